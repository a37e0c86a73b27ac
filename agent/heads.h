/* heads: which tree heads an agent has verified, and which it was only told of.
 *
 * One head is verified: published, signed, with the anchor's quorum, and proved consistent with the one verified before.  All
 * else that comes are *claims*: heads of the log in trust parcels, and what peers say in `seen`.  A claim of a size whose root is
 * known is judged at once; one below the verified head waits for a proof, one above for the next verified head.  Claims are
 * few and counted: who says much crowds out others of his own kind only, as the log's heads have places of their own.
 * Pure: no I/O, no allocation. */
#pragma once
#include "common/bytes.h"
#include "common/times.h"

#define HEADS_CLAIMS_LOG 8                      /* places for heads of the log; behind them those for `seen` */
#define HEADS_CLAIMS_MAX 64
#define HEADS_KNOWN_MAX 64

struct head { uint64_t epoch, size; struct digest root; };      /* size 0: none */

enum heads_order {
        HEADS_FIRST,                            /* nothing is held */
        HEADS_SAME,
        HEADS_NEWER,                            /* larger: to be proved consistent */
        HEADS_BACK,                             /* smaller than one verified: the published head never goes back */
        HEADS_FORK,                             /* one size, two roots */
};
enum heads_order heads_compare(const struct head *held, const struct head *came);

struct heads_claim { struct head head; bool used, by_log; struct mono_time since; };

struct heads {
        struct head verified;
        struct head known[HEADS_KNOWN_MAX];     /* lately found to be of our history: a ring */
        unsigned known_next;
        struct heads_claim claim[HEADS_CLAIMS_MAX];
};

enum heads_hearing {
        HEADS_KNOWN,                            /* of our history, or waits already */
        HEADS_QUEUED,                           /* new, at *ret_slot */
        HEADS_CONFLICT,                         /* another root than ours at that size */
        HEADS_APART,                            /* of a life of the log before ours: there is nothing to compare */
        HEADS_FULL,
};
enum heads_hearing heads_hear(struct heads *h, const struct head *head, bool by_log, struct mono_time now, unsigned *ret_slot);

/* A claim that can be judged now: size at most the verified one's.  False: none. */
bool heads_next(const struct heads *h, unsigned *ret_slot);
/* A claim above the verified head since `limit` or longer: we are shown less than others.  False: none. */
bool heads_late(const struct heads *h, struct mono_time limit, unsigned *ret_slot);
bool heads_wait(const struct heads *h);         /* does any claim wait? */
/* Its place is free again; `good`: it is of our history. */
void heads_settle(struct heads *h, unsigned slot, bool good);
/* The next verified head; what is held becomes known. */
void heads_advance(struct heads *h, const struct head *head);
