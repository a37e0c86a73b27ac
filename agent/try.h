/* try: a catalog entry's sample from source to sink on this machine, with no broker (`shuyi agent try ENTRY`).
 *
 * Each sample row goes the way of a record: made from named values and checked as a push is, sealed into an UPDATE under a
 * view key of the moment, signed, verified, opened, checked again as a consumer does, and printed as the line that an
 * NDJSON sink would write.  So an entry's mistakes show before anybody is asked to approve it.  Nothing is kept. */
#pragma once
#include "common/arena.h"
#include "common/bytes.h"
#include "proto/catalog.pb-c.h"

struct try_problem { size_t row; uint32_t item; const char *why; };     /* row from 0; item 0: the row as a whole */

#define TRY_PROBLEMS_MAX 64

struct try_result {
        size_t rows, good;
        struct try_problem problems[TRY_PROBLEMS_MAX];
        size_t problems_n;
        struct bytes lines;                     /* NDJSON of the good rows, in the arena */
};

/* `items` granted, ascending; NULL: all.  `now_ms` stands for the time of the push.  0; -ENOMEM; -EPROTO: what was sealed did not open as it
 * was, a bug of ours.  sodium_init() comes first. */
int try_entry(struct arena *a, const Shuyi__V1__Entry *entry, const uint32_t *items, size_t items_n, uint64_t now_ms, struct try_result *ret);
