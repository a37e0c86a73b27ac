/* queue: a ring under one mutex, two conditions for those who wait, and an eventfd for those who poll.
 *
 * Invariant: the eventfd, once made, is readable exactly while count > 0 or closed; both change under the mutex. */
#include "common/queue.h"
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct queue {
        pthread_mutex_t lock;
        pthread_cond_t not_empty, not_full;
        void **ring;
        unsigned capacity, first, count, peak;
        bool closed;
        int fd;                                 /* -1 until asked for */
};

static void cond_init_monotonic(pthread_cond_t *c)
{
        pthread_condattr_t attr;

        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(c, &attr);
        pthread_condattr_destroy(&attr);
}

static void fd_raise(struct queue *q)
{
        if (q->fd >= 0)
                eventfd_write(q->fd, 1);        /* cannot fail: the counter is 0 or 1 */
}

static void fd_lower(struct queue *q)
{
        eventfd_t drop;

        if (q->fd >= 0)
                eventfd_read(q->fd, &drop);
}

static void put_item(struct queue *q, void *item)
{
        q->ring[(q->first + q->count) % q->capacity] = item;
        if (q->count++ == 0)
                fd_raise(q);
        if (q->count > q->peak)
                q->peak = q->count;
        pthread_cond_signal(&q->not_empty);
}

static void *get_item(struct queue *q)
{
        void *item = q->ring[q->first];

        q->first = (q->first + 1) % q->capacity;
        if (--q->count == 0 && !q->closed)
                fd_lower(q);
        return item;
}

static struct timespec deadline_after(int timeout_ms)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        t.tv_sec += timeout_ms / 1000;
        t.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
        if (t.tv_nsec >= 1000000000) {
                t.tv_sec++;
                t.tv_nsec -= 1000000000;
        }
        return t;
}

/* Until there is an item or no hope of one: 1, 0 (time is up), -EPIPE. */
static int wait_for_item(struct queue *q, int timeout_ms)
{
        struct timespec deadline;

        if (timeout_ms > 0 && q->count == 0)
                deadline = deadline_after(timeout_ms);
        while (q->count == 0) {
                if (q->closed)
                        return -EPIPE;
                if (timeout_ms == 0)
                        return 0;
                if (timeout_ms < 0)
                        pthread_cond_wait(&q->not_empty, &q->lock);
                else if (pthread_cond_timedwait(&q->not_empty, &q->lock, &deadline) == ETIMEDOUT && q->count == 0)
                        return q->closed ? -EPIPE : 0;
        }
        return 1;
}

struct queue *queue_new(unsigned capacity)
{
        struct queue *q = calloc(1, sizeof(*q));

        assert(capacity > 0);
        if (!q)
                return NULL;
        q->ring = calloc(capacity, sizeof(*q->ring));
        if (!q->ring) {
                free(q);
                return NULL;
        }
        q->capacity = capacity;
        q->fd = -1;
        pthread_mutex_init(&q->lock, NULL);
        cond_init_monotonic(&q->not_empty);
        cond_init_monotonic(&q->not_full);
        return q;
}

void queue_free(struct queue *q, void (*free_item)(void *))
{
        if (!q)
                return;
        while (q->count > 0) {
                void *item = get_item(q);

                if (free_item)
                        free_item(item);
        }
        if (q->fd >= 0)
                close(q->fd);
        pthread_cond_destroy(&q->not_empty);
        pthread_cond_destroy(&q->not_full);
        pthread_mutex_destroy(&q->lock);
        free(q->ring);
        free(q);
}

int queue_push(struct queue *q, void *item)
{
        int r = 0;

        pthread_mutex_lock(&q->lock);
        while (q->count == q->capacity && !q->closed)
                pthread_cond_wait(&q->not_full, &q->lock);
        if (q->closed)
                r = -EPIPE;
        else
                put_item(q, item);
        pthread_mutex_unlock(&q->lock);
        return r;
}

int queue_try_push(struct queue *q, void *item)
{
        int r = 0;

        pthread_mutex_lock(&q->lock);
        if (q->closed)
                r = -EPIPE;
        else if (q->count == q->capacity)
                r = -EAGAIN;
        else
                put_item(q, item);
        pthread_mutex_unlock(&q->lock);
        return r;
}

int queue_take(struct queue *q, int timeout_ms, void **ret)
{
        return queue_take_many(q, timeout_ms, ret, 1);
}

int queue_take_many(struct queue *q, int timeout_ms, void **ret, unsigned max)
{
        int r;

        assert(max > 0);
        pthread_mutex_lock(&q->lock);
        r = wait_for_item(q, timeout_ms);
        if (r > 0) {
                unsigned n = q->count < max ? q->count : max;

                for (unsigned i = 0; i < n; i++)
                        ret[i] = get_item(q);
                if (n == 1)
                        pthread_cond_signal(&q->not_full);
                else
                        pthread_cond_broadcast(&q->not_full);
                r = (int)n;
        }
        pthread_mutex_unlock(&q->lock);
        return r;
}

void queue_close(struct queue *q)
{
        pthread_mutex_lock(&q->lock);
        if (!q->closed) {
                q->closed = true;
                if (q->count == 0)
                        fd_raise(q);
        }
        pthread_cond_broadcast(&q->not_empty);
        pthread_cond_broadcast(&q->not_full);
        pthread_mutex_unlock(&q->lock);
}

int queue_fd(struct queue *q)
{
        int fd;

        pthread_mutex_lock(&q->lock);
        if (q->fd < 0) {
                q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
                if (q->count > 0 || q->closed)
                        fd_raise(q);
        }
        fd = q->fd < 0 ? -errno : q->fd;
        pthread_mutex_unlock(&q->lock);
        return fd;
}

unsigned queue_depth(struct queue *q)
{
        unsigned n;

        pthread_mutex_lock(&q->lock);
        n = q->count;
        pthread_mutex_unlock(&q->lock);
        return n;
}

unsigned queue_capacity(const struct queue *q)
{
        return q->capacity;
}

unsigned queue_peak(struct queue *q)
{
        unsigned n;

        pthread_mutex_lock(&q->lock);
        n = q->peak;
        q->peak = q->count;
        pthread_mutex_unlock(&q->lock);
        return n;
}
