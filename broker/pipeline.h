/* pipeline: the types that one stage hands to the next.  DESIGN 2, 8; STYLE 1.
 *
 *         front      struct ticket   a PUT from a known link, its size already checked
 *         verify     .claim          an envelope whose signatures hold and whose form is exact, or .code
 *         sequence   .entry .outcome an input of the log and what apply made of it
 *         sync       struct group    what becomes durable with one sync
 *         deliver    struct outgoing  bytes for one reader
 *
 * What is pushed is gone: the next stage owns it.  A ticket keeps the memory of its whole trip (the frame that came
 * in, and one arena), so that freeing it frees all. */
#pragma once
#include <stdatomic.h>
#include "common/arena.h"
#include "common/exchange/exchange.h"
#include "common/link.h"
#include "common/merkle.h"
#include "common/queue.h"
#include "common/segment.h"
#include "common/session.h"

#define TICKET_ARENA_MAX (8u << 20)             /* what one envelope may cost decoded: more is E_FORM */
#define APPLY_ARENA_MAX (24u << 20)             /* what applying it may cost besides: never reached, since it would stop us */
#define GROUP_TICKETS_MAX 1024
#define GROUP_BYTES_MAX (4u << 20)
#define TREE_PATH_MAX MERKLE_DEPTH_MAX

/* What comes to the sequencer; the first member of each thing that may. */
enum work_kind { WORK_TICKET, WORK_SYNCED, WORK_HANDOVER, WORK_COMMIT, WORK_COMMIT_SOON, WORK_STOP };
struct work { enum work_kind kind; };
QUEUE(work_queue, struct work)

struct ticket {
        struct work work;
        uint64_t number;                /* order in which the sequencer takes them */
        struct link_frame *frame;       /* owns the bytes; NULL for what the broker makes itself */
        struct arena *arena;
        struct bytes wire;              /* the Envelope, in the frame or the arena */
        uint32_t link;                  /* 0: the broker */
        uint64_t session;
        uint8_t lane;
        uint64_t outbox_epoch, outbox_seq;
        bool again;                     /* the session had taken this number before: wanted is its receipt */
        struct mono_time taken_in;
        struct ticket *next;            /* in the queue of its link */

        const struct claim *claim;      /* verify: NULL if refused */
        enum refusal code;              /* front, verify, then apply */
        const char *detail;

        struct entry entry;             /* sequence */
        struct outcome outcome;
        uint64_t seq;                   /* 0: no entry */
        struct wall_time accepted_at;
        struct digest leaf;
        bool settled_before;            /* answered as before: seq, code, leaf of an earlier entry, or an earlier refusal */
        enum busy busy;                 /* not 0: not taken after all; its lane goes back to it */
};
/* NULL: no memory. */
struct ticket *ticket_new(void);
void ticket_free(struct ticket *t);             /* NULL is fine */
void ticket_freep(struct ticket **t);

/* Entries and answers that leave together, after one sync. */
struct group {
        struct ticket **tickets;        /* in order; those with seq 0 made no entry */
        unsigned n;
        uint64_t first_seq, last_seq;   /* 0, 0: answers alone */
        struct segment_batch *batch;    /* NULL: nothing to write */
        struct merkle_frontier before_head;     /* the tree before its last entry */
        char *note;                     /* malloc'ed: the HEAD's checkpoint */
        struct ticket *trust_head;      /* the last entry, if it is a TRUST_HEAD */
        struct mono_time closed;
};
struct group *group_new(void);
void group_free(struct group *g);               /* with its tickets and batch; NULL is fine */
QUEUE(group_queue, struct group)

/* sync -> sequence: everything up to `seq` is durable; the batch comes back for the next group. */
struct synced { struct work work; struct segment_batch *batch; };

/* deliver -> sequence: a session ended and these links were never receipted.  Longer lists come in several. */
#define HANDOVER_ROWS_MAX 512
struct handover_row { struct digest grant, stream; uint64_t first, last; };
struct handover { struct work work; struct handover *next; uint32_t link; unsigned n; struct handover_row rows[]; };
/* Adds a row to the list, for that link; 0 or -ENOMEM. */
int handover_add(struct handover **list, uint32_t link, const struct handover_row *row);

/* deliver and reads -> front: one frame for one link. */
struct settled_row { uint8_t lane; uint64_t number; };
struct outgoing {
        uint32_t link;
        uint64_t session;               /* 0: whichever is open; else dropped if that session is over */
        uint8_t type;                   /* frame type */
        uint64_t number;                /* of a PARCEL */
        uint32_t window_bytes;          /* of a PARCEL: what counts against the window */
        enum busy busy;                 /* not 0: no bytes; the lane of settled[0] goes back to its number */
        struct settled_row *settled;    /* of a RECEIPT: credit returns; malloc'ed */
        unsigned settled_n;
        _Atomic bool given;             /* to the link, which frees it on a thread of its own */
        size_t n;
        uint8_t bytes[];
};
/* Type byte and packed message; NULL: no memory, or larger than the type allows. */
struct outgoing *outgoing_new(uint32_t link, uint64_t session, enum frame_type type, const ProtobufCMessage *m);
void outgoing_free(struct outgoing *p);             /* NULL is fine */
QUEUE(outgoing_queue, struct outgoing)

/* front -> deliver, sync -> deliver, sequence -> deliver, witness -> deliver. */
enum news_kind { NEWS_GROUP, NEWS_OPENED, NEWS_CLOSED, NEWS_ACKED, NEWS_PUBLISHED, NEWS_END, NEWS_STOP };
struct news {
        enum news_kind kind;
        struct group *group;
        uint32_t link;
        uint64_t session;
        uint64_t acked;                 /* ACKED: parcels up to this one */
        char *note;                     /* PUBLISHED: a witnessed head; given away */
        uint64_t size;                  /* and the size of its tree */
        struct {                        /* OPENED: what HELLO said */
                struct id agent;
                char department[19];
                uint64_t outbox_epoch, trust_seq, mail;
                uint32_t parcel_frames, parcel_bytes;
        } hello;
};
QUEUE(news_queue, struct news)

/* front -> reads. */
struct question {
        uint32_t link;
        uint64_t session;
        struct id agent;
        char department[19];
        struct link_frame *frame;       /* owns what `read` borrows */
        struct arena *arena;
        const Shuyi__V1__Read *read;
        uint64_t need_seq;              /* the answer must hold this entry */
        struct mono_time until;         /* how long need_seq is waited for */
        struct question *next;
};
void question_free(struct question *q);
QUEUE(question_queue, struct question)
