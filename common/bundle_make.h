/* bundle_make: which entries, heads and lookups make a bundle of an act, out of a log and its state (bundle.h checks it).
 *
 * Pure over the functions given: the broker reads its store and tiles, tests a log in memory.  Everything lies in the arena. */
#pragma once
#include "common/arena.h"
#include "common/exchange/lookup.h"
#include "common/exchange/state.h"
#include "common/times.h"
#include "common/words.h"
#include "proto/bundle.pb-c.h"

/* The trust map as of one trust_seq, kept between bundles so that a later head costs only the records since. */
struct bundle_trust;
struct bundle_trust *bundle_trust_new(void);    /* NULL: no memory */
void bundle_trust_free(struct bundle_trust *t); /* NULL is fine */
#define BUNDLE_TRUST_RECORDS_MAX 2000000        /* read for one question: more is -E2BIG */
/* The map as it stood after that many records.  0 or a fault. */
int bundle_trust_at(struct bundle_trust *t, struct state state, uint64_t trust_seq, struct lookup_map **ret);

struct bundle_log_entry { uint64_t epoch; struct wall_time accepted_at; uint32_t code; struct digest effects; struct bytes envelope; };     /* envelope: in the arena given */

struct bundle_source {
        struct state state;
        /* 1, 0 (no such entry), or a fault. */
        int (*entry)(void *ctx, uint64_t seq, struct arena *a, struct bundle_log_entry *ret);
        /* seq of a control act by its header digest.  1, 0, or a fault. */
        int (*find)(void *ctx, struct bytes header_digest, uint64_t *ret_seq);
        /* The TRUST_HEAD entry with the highest seq below `seq`.  1, 0, or a fault. */
        int (*head_before)(void *ctx, uint64_t seq, uint64_t *ret_seq);
        /* Inclusion path of the entry under the head of that size, in hashes.  0 or a fault. */
        int (*path)(void *ctx, uint64_t seq, uint64_t size, struct digest ret[64], unsigned *ret_n);
        void *ctx;
        struct bundle_trust *trust;
        uint64_t size;                          /* of the head that everything is proved under */
};

struct bundle_wish {
        enum bundle kind;                       /* UPDATE or DECISION */
        uint64_t seq;                           /* of the act */
        struct digest grant;                    /* UPDATE: whose */
};

/* Fills kind, entries and links of `ret` (initialised by the caller, who sets the checkpoint).
 * 0; -EAGAIN: no trust head behind all of it yet; -ENOENT: something that it needs is not kept any more, or there is no such act;
 * -E2BIG; -ENOMEM; faults of the source. */
int bundle_make(const struct bundle_source *source, const struct bundle_wish *wish, struct arena *a, Shuyi__V1__Bundle *ret);

/* The text of the file; {0}: too large, or no room. */
struct bytes bundle_write(struct arena *a, const Shuyi__V1__Bundle *b);
