/* search: the index by which an audit finds acquisitions and acts (DESIGN 7, 8).
 *
 * Key: u8 set, u8 by, u8 length of the value, value, u64 seq (big-endian), so that what answers one criterion lies together in
 * the order of the log, and whether an entry answers a second one is a single look.  Of an acquisition the entry is its
 * DELIVERY_RECEIPT.  Derived from the log alone, an entry at a time; it lies in a database of its own and may be thrown away.
 * Who writes it keeps the position in the same transaction.  One thread writes; snapshots read. */
#pragma once
#include "common/envelope.h"
#include "common/exchange/exchange.h"
#include "common/store.h"

#define SEARCH_VERSION 2                        /* of the keys: another one is rebuilt */
#define SEARCH_KEY_MAX (3 + 255 + 8)
#define SEARCH_REFUSED UINT32_MAX               /* stands beside each code that is no acceptance */

enum search_set { SEARCH_ACQUISITIONS = 1, SEARCH_ACTS = 2, SEARCH_AUDIENCE = 3 };
enum search_by { SEARCH_ALL, SEARCH_DEPARTMENT, SEARCH_PERSON, SEARCH_RESOURCE, SEARCH_GRANT, SEARCH_CODE };

/* What lies under a key of the first two sets. */
struct search_hit {
        uint64_t seq;
        struct digest grant;                    /* acquisitions: whose, and */
        uint64_t first, last;                   /* which links */
        uint64_t from, to;                      /* UTC ms: acquired first and last; of an act both are its acceptance */
};

struct search_writer {
        struct store *store;                    /* in an open group or transaction */
        unsigned db;
        struct state state;                     /* that has applied the entry at least */
        struct arena *arena;                    /* for one entry: the caller resets it */
};

/* Adds what entry `seq` is found by; most data envelopes by nothing.  0 or a fault. */
int search_add(struct search_writer *w, uint64_t seq, struct wall_time accepted_at, const struct claim *claim, enum refusal code);

/* Length of the prefix at `ret`: without the seq. */
size_t search_prefix(enum search_set set, enum search_by by, struct bytes value, uint8_t ret[SEARCH_KEY_MAX]);
/* The next hit behind the prefix from `seq` on.  1, 0, or a fault. */
int search_next(struct store_snapshot *p, unsigned db, struct bytes prefix, uint64_t seq, struct search_hit *ret);
/* Does entry `seq` answer this criterion?  1, 0, or a fault. */
int search_has(struct store_snapshot *p, unsigned db, enum search_set set, enum search_by by, struct bytes value, uint64_t seq);

/* How far the index goes, and the leaf of that entry: it commits to envelope, outcome and effects, so an index of another log,
 * or of another reading of it, is known by it. */
struct search_position { uint64_t seq; struct digest leaf; };
int search_position_put(struct store *s, const struct search_position *at);
/* 1, 0: none, or of another version; or a fault. */
int search_position_read(struct store_snapshot *p, struct search_position *ret);
