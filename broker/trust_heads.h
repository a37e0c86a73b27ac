/* trust_heads: the last TRUST_HEADs, so that the one which a published head covers can be handed over.
 *
 * Where the anchor has a witness quorum a TRUST_HEAD waits for a witnessed head of its size or more; newer ones come meanwhile, and a reader
 * takes the one that fits the records which it holds.  Past TRUST_HEADS_MAX the oldest goes.  One thread. */
#pragma once
#include "common/bytes.h"
#include "common/times.h"

#define TRUST_HEADS_MAX 256

struct trust_head {
        uint64_t seq, trust_seq, epoch;
        struct wall_time accepted_at;
        uint8_t *envelope;
        size_t envelope_n;
        struct digest effects;
};

struct trust_heads { struct trust_head ring[TRUST_HEADS_MAX]; unsigned first, n; };

/* One reader's wait.  Records go on without waiting for witnesses: a revocation must not.  But where they never pause, no head would ever fit
 * the records that a reader has; then, after STARVING_NS, it stands still for the moment that a witnessed head takes. */
#define HEAD_STARVING_NS 20000000000ull
#define HEAD_HOLD_NS 2000000000ull              /* at most */
#define HEAD_WITNESSES_NS 5000000000ull         /* nothing published for so long: they are away, and waiting is of no use */

struct head_wait {
        uint64_t missed_ns;             /* since when it was given records while the head below them was not witnessed; 0: never since its last head */
        uint64_t hold_until_ns;         /* 0: it does not stand still */
};

/* It goes on to further records, and has not been given the head of those it has. */
void head_wait_missed(struct head_wait *w, uint64_t now_ns);
void head_wait_given(struct head_wait *w);      /* a head */
/* Is it to stand still?  `fits`: the newest head is that of exactly its records. */
bool head_wait_holds(struct head_wait *w, uint64_t now_ns, uint64_t published_ns, bool fits);

/* Makes a head of these bytes, copied; 0 or -ENOMEM.  *ret as {0} or made before. */
int trust_head_set(struct trust_head *ret, const struct trust_head *from, struct bytes envelope);
void trust_head_fini(struct trust_head *h);

int trust_heads_add(struct trust_heads *h, const struct trust_head *head);  /* copied; 0 or -ENOMEM */
void trust_heads_fini(struct trust_heads *h);
/* The newest over exactly the records up to trust_seq; `size`: of a tree in which it must lie.  Borrowed until the next add; NULL: none. */
const struct trust_head *trust_heads_find(const struct trust_heads *h, uint64_t trust_seq, uint64_t size);
