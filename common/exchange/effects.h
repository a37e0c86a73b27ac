/* effects: what one evaluation would write, kept beside the state until it is known to be accepted.
 *
 * An overlay: one effect a key, the last write counts, remembered in the order of the first write and found by key.
 * Keys and values are copied into the arena of the entry.  Inside the exchange library only; nouns use turn.h. */
#pragma once
#include "common/exchange/exchange.h"
#include "common/exchange/turn.h"
#include "proto/log.pb-c.h"

struct effects {
        struct arena *arena;
        struct effect *rows;            /* in the order of their first write */
        uint32_t *sorted;               /* indices of rows, ascending by key */
        size_t n, room;
        size_t bytes;                   /* keys and values together */
        bool key_over;                  /* a key that no store takes */
        struct wake *wakes;
        size_t wakes_n, wakes_room;
        bool trust_moved;
};

/* NULL when the arena is full. */
struct effects *effects_new(struct arena *a);
/* The effect on `key`; NULL if none was written. */
const struct effect *effects_find(const struct effects *e, struct bytes key);
/* The first effect (in key order) whose key is >= `from`; index into sorted, e->n past the end. */
size_t effects_lower_bound(const struct effects *e, struct bytes from);
static inline const struct effect *effects_sorted(const struct effects *e, size_t i) { return &e->rows[e->sorted[i]]; }

/* false when the arena is full. */
bool effects_put(struct effects *e, struct bytes key, struct bytes value);
bool effects_remove(struct effects *e, struct bytes key);
/* Each (kind, key) once. */
bool effects_wake(struct effects *e, enum wake_kind kind, struct bytes key);

/* More than one entry may have (E_BOUND)? */
bool effects_over(const struct effects *e);
/* CTX_EFFECTS over the rows in key order: u32 key length, u8 removed, u32 value length (little-endian), key, value each.
 * false when the arena is full. */
bool effects_digest(const struct effects *e, struct digest *ret);

/* A trust record as a row, its link of the chain, its object's place in the map: what turn_trust() does with one of its own. */
void turn_put_trust(struct turn *t, const Shuyi__V1__TrustRecord *record);
