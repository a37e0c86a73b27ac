/* chain: makes the next link of one of our streams (DESIGN 6): VIEW_EPOCH, UPDATE, STREAM_HEAD.
 *
 * Each takes the view's row, moves it one link on, and gives the frame to put into the outbox.  Nothing is written here;
 * randomness and keys are taken, the clock is the caller's. */
#pragma once
#include "agent/agent.h"
#include "agent/keep.h"
#include "agent/rows.pb-c.h"
#include "agent/view.h"

struct chain {
        struct agent *ag;
        struct arena *arena;
        struct wall_time now;
        struct digest stream;                   /* stream id */
        Shuyi__Agent__ViewRow *view;
        const Shuyi__V1__Entry *entry;          /* of the view's version */
        const struct digest *credential;        /* the agent's, in force */
};

/* A new key for this audience.  0, -ENOMEM. */
int chain_epoch(struct chain *c, const struct view_group *group, Shuyi__Agent__SealedRow *ret);
/* Records, packed and cut to the view.  `oldest_changed_at` of them all.  0, -ENOMEM, -EBADMSG: the view key does not open. */
int chain_update(struct chain *c, const struct bytes *records, size_t n, uint64_t oldest_changed_at, Shuyi__Agent__SealedRow *ret);
/* Nothing new: the stream still ends here. */
int chain_head(struct chain *c, Shuyi__Agent__SealedRow *ret);

/* Associated data of the view key under the storage key. */
struct bytes chain_key_what(struct arena *a, const struct digest *stream, uint32_t view_epoch);
