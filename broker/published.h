/* published: the newest head that the world may rely on, and the next one in line.  DESIGN 7.
 *
 * Every group ends with a head; at most one a second becomes a candidate: it is synced, and its whole tree lies in the
 * tiles and has its root, so that every proof up to it can be made.  Where the anchor's witness_quorum is 0 the candidate
 * is published as it is; else who collects cosignatures takes it and publishes it with their lines.  Published heads
 * never go back.  Any thread; one mutex, held for copies alone. */
#pragma once
#include "common/arena.h"
#include "common/bytes.h"

struct published;
struct published_head { uint64_t epoch, size; struct digest root; const char *note; };  /* note: signature lines and all */

/* NULL: no memory. */
struct published *published_new(void);
void published_free(struct published *p);       /* NULL is fine */

/* The published head, its note copied into `a`.  1; 0: there is none yet; -ENOMEM. */
int published_get(struct published *p, struct arena *a, struct published_head *ret);
uint64_t published_size(struct published *p);   /* 0: none yet */
/* Makes it the published one; the note is copied.  The same size again brings other cosignatures; another root with it, or a
 * lower (epoch, size), is -ESTALE and changes nothing.  0 or -ENOMEM. */
int published_set(struct published *p, const struct published_head *head);

/* The next in line, in place of an earlier one that nobody took; copied.  0 or -ENOMEM. */
int published_offer(struct published *p, const struct published_head *head);
/* Waits for a candidate whose size is above `above` and copies it: it stays in line for others.  1; 0: none within
 * timeout_ms (-1: for ever); -EPIPE after published_close; -ENOMEM. */
int published_candidate(struct published *p, uint64_t above, int timeout_ms, struct arena *a, struct published_head *ret);
void published_close(struct published *p);      /* who waits gets -EPIPE */
