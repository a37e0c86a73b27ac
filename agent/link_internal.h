/* link_internal: what the files of the link thread share: link.c (the turns), link_frames.c (what the broker says), link_jobs.c, link_out.c. */
#pragma once
#include <pthread.h>

#include "agent/inbox.h"
#include "agent/link.h"
#include "agent/resume.h"
#include "agent/sealer.h"
#include "agent/silence.h"
#include "common/link.h"
#include "common/session.h"

#define LINK_READS_MAX 64
#define LINK_READ_MS 30000
#define LINK_SETTLED_MAX 8192

struct link {
        struct agent *ag;
        pthread_t thread;
        int stop_fd;
        bool running;
        struct link_context *context;
        struct link_client *client;
        struct session_client session;
        struct sealer *sealer;
        struct inbox *inbox;
        struct prover *prover;
        struct resume resume;
        struct silence silence;
        struct arena *item, *frames;            /* of one item; of one turn's frames */
        struct mono_time reopen_at;             /* the socket is closed until then; 0: it is open */
        struct wall_time now;
        struct mono_time mono;
        struct agent_status status;
        /* of this turn */
        unsigned work;                          /* things done, to see load */
        struct { uint32_t lane; uint64_t number; } settled[LINK_SETTLED_MAX];
        unsigned settled_n;
        uint64_t parcel_kept;
        struct job *jobs, **jobs_end;           /* carried out, to be told after the commit: perhaps a later turn's */
        bool opened;                            /* a sink may have work */
        bool sealed;                            /* something was sealed */
        bool urgent;                            /* something waits for the commit: it comes at the end of this turn */
        /* over turns, until the commit */
        bool begun;                             /* the transaction is open */
        bool settled_open;                      /* rows of receipts are in it */
        struct mono_time commit_at;             /* what is in it is committed then; 0: nothing is */
        /* over turns */
        bool parcels_blocked;                   /* one could not be kept: none is acknowledged until the session begins again */
        struct link_read *reads;
        unsigned reads_n;
        uint32_t next_read;
        uint64_t seen_seq;                      /* highest seq told to us: what a read must at least see */
        struct mono_time committed_at, cared_at, tidied_at;
        bool busy;
        struct mono_time seal_at, receipt_at;
};

/* Begins the turn's transaction if it has not begun: 0 or a fault. */
int link_begin(struct link *l);
/* One item in a group of its own: calls `fn`; negative: the group is undone. */
typedef int (*link_item_fn)(struct link *l, struct arena *a, const void *item);
int link_item(struct link *l, link_item_fn fn, const void *item);

/* link_jobs.c */
int link_ask(struct link *l, struct link_read *r);      /* a question of the link's own: sent now; answered() comes later.  -ENOTCONN */
void link_take_jobs(struct link *l);
void link_tell_jobs(struct link *l, int fault); /* all since the last commit; its fault undid them all */
void link_cancel_jobs(struct link *l);
/* link_out.c: at the end of each turn, `committed` or not. */
void link_release(struct link *l, bool committed);

/* link_frames.c */
void link_on_event(struct link *l, enum link_event e, unsigned zap_status);
void link_on_frame(struct link *l, struct bytes body);
void link_on_tick(struct link *l);
/* Closes the socket; a new one after so many milliseconds. */
void link_again(struct link *l, unsigned ms);
int link_send(struct link *l, enum frame_type type, const ProtobufCMessage *m);
void link_fail_reads(struct link *l, int fault);
