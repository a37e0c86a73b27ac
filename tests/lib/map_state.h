/* map_state: a state in memory, ordered by key, for tests and simulations.
 *
 * A treap whose priorities come from the keys, so that equal contents have equal shapes.  Values that get and next
 * hand out are valid until the next change.  One thread. */
#pragma once
#include "common/exchange/exchange.h"

struct map_state;

struct map_state *map_state_new(void);
void map_state_free(struct map_state *m);       /* NULL is fine */
struct state map_state_ops(struct map_state *m);

void map_state_put(struct map_state *m, struct bytes key, struct bytes value);
void map_state_remove(struct map_state *m, struct bytes key);
void map_state_apply(struct map_state *m, const struct effect *effects, size_t n);
size_t map_state_rows(const struct map_state *m);
/* Over all rows in order: equal states, equal digests. */
struct digest map_state_digest(const struct map_state *m);

/* Countdown hook: the n-th get or next from now answers -EIO; 0 switches it off. */
void map_state_fail_at(struct map_state *m, unsigned n);
