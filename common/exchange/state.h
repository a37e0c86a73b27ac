/* state: how the rules read what has been decided before.
 *
 * One ordered space of keys; the first byte of a key is its table (tables.h).  The broker fills the functions
 * from LMDB, an agent's replica and the tests from a map.  Values are valid until the next call that writes. */
#pragma once
#include "common/bytes.h"

struct state_ops {
        /* 1 found, 0 not, negative errno. */
        int (*get)(void *ctx, struct bytes key, struct bytes *ret);
        /* The first key >= `from` that begins with `prefix`. */
        int (*next)(void *ctx, struct bytes prefix, struct bytes from, struct bytes *ret_key, struct bytes *ret_value);
};

struct state { const struct state_ops *ops; void *ctx; };
