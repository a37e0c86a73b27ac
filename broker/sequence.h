/* sequence, inside: what the files of the sequencer share.  All of it belongs to the sequencer's thread. */
#pragma once
#include "broker/broker.h"
#include "broker/clock_guard.h"
#include "broker/quarantine.h"
#include "broker/system.h"
#include "broker/tally.h"
#include "broker/turnstile.h"
#include "common/decided.h"
#include "common/fold.h"
#include <semaphore.h>

/* What a commit waits for: its time, or somebody. */
enum commit_wish { COMMIT_LAZY, COMMIT_SOON, COMMIT_NOW };

#define SEQUENCE_GROUP_GAP_NS 4000000ull        /* under load, between syncs: groups grow (LIMITS) */

struct sequence {
        struct broker *broker;
        pthread_t thread;
        struct metrics_block *counts;
        struct fold fold;
        struct clock_guard guard;
        struct quarantine *quarantine;
        struct decided *decided;        /* refusals told, numbers taken back: what no entry tells */
        struct system_signer signer;
        struct turnstile turnstile;
        struct tally tally;
        struct mono_time tallied;

        struct group *group;            /* open; with it a group of the store */
        struct fold before;             /* as the fold stood when it was opened */
        struct segment_batch *spare;
        size_t group_bytes_max;
        bool short_of_room;             /* the open group may only hold what must never be refused (space.h) */
        bool map_full;                  /* the open group does not fit into the state: it goes back */
        bool in_flight;                 /* a group is being synced */
        struct { struct mono_time from; unsigned n; size_t bytes; bool heavy; } load;   /* what came in the last milliseconds */
        struct mono_time sent;          /* when the last group went to sync */

        struct handover *handovers;     /* to be told */
        bool dirty, stopping, clean;
        enum commit_wish commit_wish;
        uint64_t uncommitted_bytes;     /* of the log, since the last commit */
        struct mono_time dirty_since, busy_at;
        struct wall_time due;           /* of the next row that falls due */
        struct mono_time trust_head_at;
        uint64_t trust_head_ns;
        struct wall_time wall, now;     /* read once a turn; now: as the guard believes it */
        struct mono_time mono;

        const struct sequence_start *from;      /* while starting */
        sem_t started;
        int start_result;
};

/* ---- sequence_group.c: the open group ---- */

void sequence_need_group(struct sequence *s);   /* opens one if none is */
bool sequence_has_room(const struct sequence *s, size_t wire);
void sequence_group_take(struct sequence *s, struct ticket *t);
/* Applies what the ticket claims; afterwards it is an entry, or refused without one. */
void sequence_step(struct sequence *s, struct ticket *t);
void sequence_send_back(struct sequence *s, struct ticket *t);  /* not taken after all: BUSY for want of space */
void sequence_count(struct sequence *s, const struct ticket *t);
bool sequence_may_close(const struct sequence *s);
void sequence_close_group(struct sequence *s);  /* to sync */
void sequence_watch_load(struct sequence *s);
void sequence_keep_batch(struct sequence *s, struct segment_batch *b);  /* for the next group */
void sequence_swap_directory(struct sequence *s);
struct wall_time sequence_later(struct wall_time a, struct wall_time b);

/* ---- sequence_own.c: what the broker says by itself ---- */

void sequence_add_trust_head(struct sequence *s);
void sequence_add_tick(struct sequence *s);
void sequence_find_due(struct sequence *s);     /* of the next row */
void sequence_add_refused(struct sequence *s);
void sequence_add_handover(struct sequence *s, const struct handover *h);
void sequence_add_outage(struct sequence *s, enum outage what);
void sequence_read_trust_interval(struct sequence *s);
/* Adds what may have been handed over before a crash.  0 or a fault. */
int sequence_handed_over_before(struct store *store, struct handover **list);
