/* hot: what was just made durable, kept in memory for delivery.
 *
 * Entries by seq, up to a budget; and the rows that they left, over the committed state.  Nothing is let go before
 * that has it, so whatever is not here is in the store and the segments.  One thread. */
#pragma once
#include "broker/pipeline.h"

struct hot;

/* What a parcel tells of an entry.  What checking and applying it took is gone. */
struct hot_entry {
        uint64_t epoch, seq;
        struct wall_time accepted_at;
        enum refusal code;
        struct digest effects;
        struct bytes envelope;
};

struct hot *hot_new(void);
void hot_free(struct hot *h);
/* Takes an entry's ticket, frees what it does not keep.  Seqs come without gaps.  0 or -ENOMEM (the ticket stays the caller's). */
int hot_add(struct hot *h, struct ticket *t);
const struct hot_entry *hot_find(const struct hot *h, uint64_t seq);    /* borrowed; NULL: not here */
/* A row as the newest entries left it: 1 and the value, borrowed until the next call that adds or prunes; 0: not here;
 * -ENODATA: they removed it. */
int hot_row(const struct hot *h, struct bytes key, struct bytes *ret);
void hot_prune(struct hot *h, uint64_t committed, size_t budget_bytes);
size_t hot_bytes(const struct hot *h);          /* of the entries */
