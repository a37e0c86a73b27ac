/* transfer: a provider's and a consumer's agent over one city (tests/lib/market.h), without link or thread.
 *
 * The provider makes links with chain.h, the city's rules take them, and the consumer's store holds a replica: all rows of the
 * city and a trust head.  What fails ends the test. */
#pragma once
#include "agent/chain.h"
#include "agent/opener.h"
#include "agent/replica.h"
#include "tests/lib/market.h"

struct transfer {
        struct market *m;
        const char *resource;
        struct digest grant, stream;
        struct agent provider, consumer;
        struct arena *arena;
        char dir[256];
        Shuyi__Agent__ViewRow view;
        Shuyi__Agent__CursorRow cursor;
        struct digest provider_credential;
};

/* One grant of items 1, 2, 3, subscribed, no link yet.  The consumer's seal key is published. */
struct transfer *transfer_new(void);
void transfer_free(struct transfer *t);
void transfer_freep(struct transfer **t);

/* Copies the city's rows to the consumer's store, with a head accepted at `head_at`; leaves the transaction open, without a group. */
void transfer_replicate(struct transfer *t, uint64_t head_at);

/* The provider's next link, taken by the rules. */
Shuyi__Agent__SealedRow transfer_send_epoch(struct transfer *t);
Shuyi__Agent__SealedRow transfer_send_update(struct transfer *t, struct bytes record);
/* A packed record with these items; `name` is item 2. */
struct bytes transfer_record(struct transfer *t, const uint32_t *items, size_t n, const char *name);

/* What the center would hand to the consumer: of an epoch its own row, without the body. */
Shuyi__Agent__PendingRow transfer_link(struct transfer *t, const Shuyi__Agent__SealedRow *sent);
Shuyi__Agent__PendingRow transfer_epoch_link(struct transfer *t, const Shuyi__Agent__SealedRow *sent);
