/* base: an image of the state at one seq, signed with the tree of that size, so that a replay may begin there.  DESIGN 2.
 *
 * One file, "BASE-" and the seq in 16 hexadecimal digits: a header of 16 KiB (what it is, the HEAD of that size, the log
 * key's signature over all of it), then chunks of rows, each with a check: the whole state in key order, then the other databases
 * that fold keeps, which are no part of the state's digest, but what older entries are answered from: outcomes (receipts and
 * proofs), header digests and trust heads (where entries are found), which no log gives any more once inputs are gone.
 * Written beside ("BASE-….new") and renamed when it is synced: a BASE that has its name is whole.  PROTOCOL.md 14.
 *
 * Writing holds one snapshot while the rows are copied out, without hashing them, and lets go before it reads them again
 * for their digests: pages freed meanwhile stay pinned for that long, about a second for each 500 MB. */
#pragma once
#include "common/fold.h"
#include "common/segment.h"

#define BASE_HEADER_BYTES 16384
#define BASE_NAME_BYTES 24
#define BASE_KEPT_MAX 64                        /* BASEs that a list can name */

struct base {
        char domain[8];
        uint64_t epoch, seq;
        struct wall_time accepted_at;
        struct merkle_frontier frontier;        /* of `seq` leaves */
        struct digest effects_chain, state;     /* state: fold_state_digest */
        uint64_t rows, outcomes, found, bytes;  /* found: header digests and trust heads; bytes: of the file */
        char note[8200];                        /* the HEAD of that size */
};

void base_name(uint64_t seq, char ret[BASE_NAME_BYTES]);
/* The BASEs in `dir`, ascending; their number (the newest BASE_KEPT_MAX), 0 where there is no `dir`, or a fault.  What a crash
 * left half written is removed where `sweep` says so. */
int base_list(const char *dir, bool sweep, uint64_t ret[BASE_KEPT_MAX]);
/* All but the newest `keep` are removed.  0 or a fault. */
int base_prune(const char *dir, unsigned keep);

/* Writes a BASE of what is committed in `s` now into `dir` (made if absent).  -ENODATA: nothing is committed; -ECANCELED: *stop
 * was set meanwhile (may be NULL); -EBADMSG: state and log do not belong together; or a fault: then nothing is left.  Any
 * thread but one at a time. */
int base_write(struct store *s, struct segment_log *l, const char *dir, const char *domain, const char *origin,
               const uint8_t secret[64], const uint8_t key[32], const _Atomic bool *stop, struct base *ret);

/* The header alone, its signature and its HEAD by `key`; NULL: unchecked.  NULL, or what is wrong; a fault in *ret_fault. */
const char *base_peek(const char *path, const char *origin, const uint8_t key[32], struct base *ret, int *ret_fault);
/* What is to be done between the rows and META, which makes a state of them; in an open transaction, which it may commit and
 * begin anew.  0 or a fault. */
typedef int (*base_between)(void *ctx, struct store *s, const struct base *b);
/* Into a store without META, in transactions of its own; what an earlier load left there is removed first.  All digests are
 * compared, and with `key` NULL the signature is held against the anchor that the state itself brings.  A load that is cut off
 * leaves no META, so no state.  `f` is opened there (the caller closes it); `between` may be NULL.  NULL, or what is wrong. */
const char *base_load(const char *path, struct store *s, const char *origin, const uint8_t key[32], base_between between, void *ctx,
                      struct fold *f, struct base *ret, int *ret_fault);
