/* broker: what the threads of one broker share.
 *
 * Everything here is set before the first thread starts and then only read, but for the queues, the directory slot, the
 * configuration slot and the flags, each of which says who writes it. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include "broker/counters.h"
#include "broker/pipeline.h"
#include "broker/published.h"
#include "broker/settings.h"
#include "broker/space.h"
#include "broker/tiles.h"
#include "common/keydir.h"
#include "common/keyfile.h"
#include "common/fold.h"
#include "common/log.h"
#include "common/store.h"

struct broker {
        char domain[8];
        const char *origin;             /* of the log */
        char authority[24];
        uint64_t epoch;                 /* of the log */
        struct digest credential;       /* the broker's own */
        struct keyfile keys, log_keys;
        struct store *store;            /* written by the sequencer alone */
        struct segment_log *segments;
        struct metrics *metrics;
        struct index *index;            /* what an audit is answered from; set by main */
        struct link_context *links;
        struct keydir_slot *directory;  /* set by the sequencer */

        struct work_queue work;         /* to the sequencer */
        struct group_queue groups;      /* to sync */
        struct news_queue news;         /* to deliver */
        struct outgoing_queue parcels;    /* to the front */
        struct question_queue questions;        /* to reads */

        pthread_mutex_t config_lock;    /* guards `config` alone */
        struct config *config;          /* borrowed under the lock, or by main */
        struct config *first_config;    /* what the process started with: its strings are borrowed */

        _Atomic uint64_t seq, synced, committed;        /* sequencer; sync; sequencer */
        _Atomic uint64_t trust_seq;     /* sequencer */
        _Atomic int space_step;         /* timer */
        _Atomic unsigned store_permille;        /* sequencer: how full the state's map is */
        _Atomic bool clock_stopped;     /* sequencer */
        _Atomic bool draining;          /* main */
        _Atomic bool ready;             /* main */
        _Atomic uint64_t links_open;    /* front */
        _Atomic uint64_t pipeline_bytes;        /* of tickets between front and deliver: front adds, deliver takes away */
        _Atomic uint64_t heartbeat[4];  /* mono ns of the last turn: front, sequence, deliver, reads */
        pthread_mutex_t checkpoint_lock;        /* guards `note` */
        char *note;
        struct published *published;    /* has a lock of its own */
        _Atomic unsigned witness_quorum;        /* of the anchor in force; witness */
        _Atomic uint64_t witnessed_at;  /* wall ms of the last cosignature on the published head, at first of the start; 0: nobody is asked; witness */
        struct tiles *tiles;            /* written by the publish thread */
};

/* A fault of ours that leaves no way on: logged, and the process ends at once; what was acknowledged is on disk. */
_Noreturn void broker_fail(const char *event, int fault);
/* A value of the configuration in force. */
int64_t broker_setting(struct broker *b, enum setting key);
/* Newest checkpoint, copied into `a`; "" if none. */
const char *broker_checkpoint(struct broker *b, struct arena *a);
void broker_set_checkpoint(struct broker *b, const char *note);

/* ---- threads: each start returns when the thread runs, or its fault; each stop when it has ended ---- */
struct front;
struct verify;
struct sequence;
struct sync;
struct deliver;
struct reads;
struct observe;
struct publish;
struct timer;
struct scrub;

int verify_start(struct broker *b, struct verify **ret);
void verify_stop(struct verify *v);             /* what was pushed is done first */
/* Takes the ticket; number and claim are given there.  Never blocks: the front's credits bound it. */
void verify_push(struct verify *v, struct ticket *t);
unsigned verify_depth(struct verify *v);

struct sequence_start { bool crashed; };        /* the last run did not end in order */
int sequence_start(struct broker *b, const struct sequence_start *from, struct sequence **ret);
void sequence_stop(struct sequence *s);         /* takes what is there, closes the group, commits */

int sync_start(struct broker *b, struct sync **ret);
void sync_stop(struct sync *s);
/* Does the same for one group at once; only while the thread has none.  Returns the batch, for the next group. */
struct segment_batch *sync_here(struct broker *b, struct metrics_block *counts, struct group *g);

int deliver_start(struct broker *b, struct deliver **ret);
void deliver_end_sessions(struct deliver *d);   /* ends all; their HANDOVER rows are with the sequencer on return */
void deliver_stop(struct deliver *d);

int reads_start(struct broker *b, struct reads **ret);
void reads_stop(struct reads *r);

int publish_start(struct broker *b, struct publish **ret);     /* makes b->tiles */
void publish_stop(struct publish *p);

int front_start(struct broker *b, struct verify *v, struct front **ret);
void front_drain(struct front *f);              /* no more PUTs; sessions are told BYE */
void front_stop(struct front *f);
const char *front_endpoint(const struct front *f);
void front_counts(const struct front *f, struct link_counts *ret);     /* any thread */

int observe_start(struct broker *b, struct verify *v, struct front *f, struct observe **ret);
void observe_stop(struct observe *o);
unsigned observe_port(const struct observe *o);

int timer_start(struct broker *b, struct timer **ret);
void timer_stop(struct timer *t);

int scrub_start(struct broker *b, struct scrub **ret);
void scrub_stop(struct scrub *s);
