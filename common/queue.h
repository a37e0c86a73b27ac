/* queue: how threads tell each other things.
 *
 * Bounded, first in first out, any number of pushers and takers.  What is pushed is gone: the taker owns it.  It never
 * drops: a full queue says so (-EAGAIN) or makes the pusher wait.  A poller asks for a descriptor that is readable
 * while something is there.  QUEUE(claims, struct claim) makes a type of its own, so that only claims fit in:
 *
 *         QUEUE(claim_queue, struct claim)
 *         struct claim_queue q = {0};  struct claim *claim = NULL;
 *         r = claim_queue_init(&q, 1024);  claim_queue_push(&q, TAKE(claim));  claim_queue_take(&q, -1, &claim);
 *
 * The mutex guards the ring alone and is never held across a call of anyone else's. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue;

/* `capacity` at least 1.  NULL: no memory. */
struct queue *queue_new(unsigned capacity);
/* What is still inside goes to `free_item` (may be NULL).  No thread may be in a call.  NULL is fine. */
void queue_free(struct queue *q, void (*free_item)(void *));
int queue_push(struct queue *q, void *item);            /* waits for room.  -EPIPE: closed, the item stays the caller's */
int queue_try_push(struct queue *q, void *item);        /* -EAGAIN: full; -EPIPE */
/* 1 and an item; 0: nothing within timeout_ms (-1: for ever, 0: at once); -EPIPE: closed and empty. */
int queue_take(struct queue *q, int timeout_ms, void **ret);
/* Up to `max` at once, waiting as queue_take does for the first.  Count, 0, or -EPIPE. */
int queue_take_many(struct queue *q, int timeout_ms, void **ret, unsigned max);
void queue_close(struct queue *q);                      /* no more pushes; takers get the rest, then -EPIPE */
/* A descriptor for poll: readable while there is something, or closed.  Made at the first call; owned by the queue. */
int queue_fd(struct queue *q);
unsigned queue_depth(struct queue *q);
unsigned queue_capacity(const struct queue *q);
unsigned queue_peak(struct queue *q);                   /* deepest since the last call */

#define QUEUE(name, type) \
        struct name { struct queue *q; }; \
        static inline __attribute__((unused)) int name##_init(struct name *n, unsigned capacity) \
        { n->q = queue_new(capacity); return n->q ? 0 : -12 /* ENOMEM */; } \
        static inline __attribute__((unused)) void name##_fini(struct name *n, void (*free_item)(void *)) \
        { queue_free(n->q, free_item); n->q = NULL; } \
        static inline __attribute__((unused)) int name##_push(struct name *n, type *item) { return queue_push(n->q, item); } \
        static inline __attribute__((unused)) int name##_try_push(struct name *n, type *item) { return queue_try_push(n->q, item); } \
        static inline __attribute__((unused)) int name##_take(struct name *n, int timeout_ms, type **ret) \
        { void *item = NULL; int r = queue_take(n->q, timeout_ms, &item); if (r > 0) *ret = item; return r; } \
        static inline __attribute__((unused)) void name##_close(struct name *n) { queue_close(n->q); } \
        static inline __attribute__((unused)) int name##_fd(struct name *n) { return queue_fd(n->q); } \
        static inline __attribute__((unused)) unsigned name##_depth(struct name *n) { return queue_depth(n->q); }
