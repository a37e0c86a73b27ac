/* outbox: what waits for the broker, in two stages (DESIGN 9).
 *
 * *Taken*: records of business systems, encrypted, in order of their take numbers, one queue a resource; kept until every
 * live view of the resource has a receipt for them.  *Sealed*: finished envelopes with an outbox_seq, a lane each;
 * sent as often as needed with the same bytes, gone with their receipt.  Nothing here sends: what is written is durable
 * with the writer's next commit, and only then goes out.
 *
 * All functions that write belong to the writer, within a group. */
#pragma once
#include "agent/agent.h"
#include "agent/keep.h"
#include "agent/rows.pb-c.h"
#include "common/kind.h"

#define OUTBOX_LANES 2

/* Makes the outbox of a new store.  Its epoch is the second at which it was made: a store that was lost and made anew begins a
 * higher life, so the center takes its numbers from 1 on.  Writer, in a group. */
int outbox_begin(struct agent *ag, struct arena *a, struct wall_time now);
/* The outbox as a whole. */
int outbox_get(struct state s, struct arena *a, Shuyi__Agent__OutboxRow **ret);
int outbox_put(struct store *s, struct arena *a, const Shuyi__Agent__OutboxRow *row);
uint64_t outbox_next(const Shuyi__Agent__OutboxRow *row, uint32_t lane);
uint64_t outbox_first(const Shuyi__Agent__OutboxRow *row, uint32_t lane);

/* ---- taken ---- */

struct outbox_push {
        struct id id;
        const char *resource;
        uint32_t version;
        uint64_t taken_at;                      /* UTC ms */
        const struct bytes *records;            /* encrypted under outbox_taken_what() */
        const uint32_t *record_bytes;           /* in the clear */
        uint32_t n;
        const struct digest *idempotency;       /* digest of the client's key; NULL: none */
        struct digest request;                  /* digest of the body */
};

/* Associated data of one taken record: push id and index. */
struct bytes outbox_taken_what(struct arena *a, const struct id *push, uint32_t index);

enum outbox_answer { OUTBOX_TAKEN, OUTBOX_REPEATED, OUTBOX_CONFLICT, OUTBOX_FULL };
/* Takes a push whole or not at all.  REPEATED: the key was used with the same body; *ret_id is that push.  CONFLICT: with another
 * body.  FULL: beyond `quota` bytes. */
int outbox_take(struct agent *ag, struct arena *a, const struct outbox_push *push, uint64_t quota, enum outbox_answer *ret, struct id *ret_id);
/* Forgets pushes and idempotency keys older than `before`; a few at a time. */
int outbox_forget(struct agent *ag, struct arena *a, uint64_t before);

/* The short number of a resource: 1 and *ret; 0 if nothing was ever taken for it. */
int outbox_resource(struct state s, const char *code, uint32_t *ret);
/* Gives it one. */
int outbox_resource_make(struct agent *ag, struct arena *a, const char *code, uint32_t *ret);
struct agent_key outbox_taken_key(uint32_t resource, uint64_t take);
/* The highest take number of a resource; 0 if nothing waits. */
int outbox_taken_last(struct store *s, uint32_t resource, uint64_t *ret);
/* Removes what all live views of the resource have settled: take numbers up to `to`; a bounded number of them. */
int outbox_release(struct agent *ag, struct arena *a, uint32_t resource, uint64_t to);

/* ---- sealed ---- */

/* Adds an envelope to a lane; its number at ret_seq.  `row` has everything but what the lane says. */
int outbox_add(struct agent *ag, struct arena *a, uint32_t lane, const Shuyi__Agent__SealedRow *row, uint64_t *ret_seq);
int outbox_find(struct state s, struct arena *a, uint32_t lane, uint64_t seq, Shuyi__Agent__SealedRow **ret);
/* It has its receipt: the lane's first unsettled number moves past it.  The frame goes, unless it is to be held until its entry is
 * proved: then it goes by outbox_drop(). */
int outbox_settle(struct agent *ag, struct arena *a, uint32_t lane, const Shuyi__Agent__SealedRow *row, uint64_t seq, bool hold);
/* What was held, if it is there and settled. */
int outbox_drop(struct agent *ag, const Shuyi__Agent__OutboxRow *box, uint32_t lane, uint64_t seq);
/* Refused for good: kept aside with its code. */
int outbox_bury(struct agent *ag, struct arena *a, const Shuyi__Agent__SealedRow *row, const char *resource, uint32_t code, const char *detail);
