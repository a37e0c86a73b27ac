/* published: see the header. */
#include "broker/published.h"
#include "common/digest.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct slot { struct published_head head; char *note; };       /* note NULL: empty; head.note is not used */

struct published {
        pthread_mutex_t lock;           /* guards all below */
        pthread_cond_t offered;
        struct slot newest, candidate;
        bool closed;
};

struct published *published_new(void)
{
        struct published *p = calloc(1, sizeof(*p));
        pthread_condattr_t attr;

        if (!p)
                return NULL;
        pthread_mutex_init(&p->lock, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&p->offered, &attr);
        return p;
}

void published_free(struct published *p)
{
        if (!p)
                return;
        free(p->newest.note);
        free(p->candidate.note);
        free(p);
}

/* ---- slots; the lock is held ---- */

static int read_slot(const struct slot *s, struct arena *a, struct published_head *ret)
{
        const char *note;

        if (!s->note)
                return 0;
        note = arena_strdup(a, s->note);
        if (!note)
                return -ENOMEM;
        *ret = s->head;
        ret->note = note;
        return 1;
}

static void write_slot(struct slot *s, const struct published_head *head, char *note)
{
        free(s->note);
        s->head = *head;
        s->note = note;
}

static bool goes_back(const struct slot *s, const struct published_head *head)
{
        if (!s->note)
                return false;
        if (head->epoch != s->head.epoch)
                return head->epoch < s->head.epoch;
        return head->size < s->head.size || (head->size == s->head.size && !digest_equal(&head->root, &s->head.root));
}

/* ---- the published head ---- */

int published_get(struct published *p, struct arena *a, struct published_head *ret)
{
        int r;

        pthread_mutex_lock(&p->lock);
        r = read_slot(&p->newest, a, ret);
        pthread_mutex_unlock(&p->lock);
        return r;
}

uint64_t published_size(struct published *p)
{
        uint64_t size;

        pthread_mutex_lock(&p->lock);
        size = p->newest.note ? p->newest.head.size : 0;
        pthread_mutex_unlock(&p->lock);
        return size;
}

int published_set(struct published *p, const struct published_head *head)
{
        char *note = strdup(head->note);
        int r = 0;

        if (!note)
                return -ENOMEM;
        pthread_mutex_lock(&p->lock);
        if (goes_back(&p->newest, head))
                r = -ESTALE;
        else
                write_slot(&p->newest, head, note);
        pthread_mutex_unlock(&p->lock);
        if (r < 0)
                free(note);
        return r;
}

/* ---- the next in line ---- */

int published_offer(struct published *p, const struct published_head *head)
{
        char *note = strdup(head->note);

        if (!note)
                return -ENOMEM;
        pthread_mutex_lock(&p->lock);
        write_slot(&p->candidate, head, note);
        pthread_cond_broadcast(&p->offered);
        pthread_mutex_unlock(&p->lock);
        return 0;
}

static struct timespec later(int ms)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        t.tv_sec += ms / 1000;
        t.tv_nsec += ms % 1000 * 1000000l;
        if (t.tv_nsec >= 1000000000l) {
                t.tv_nsec -= 1000000000l;
                t.tv_sec++;
        }
        return t;
}

int published_candidate(struct published *p, uint64_t above, int timeout_ms, struct arena *a, struct published_head *ret)
{
        struct timespec until = later(timeout_ms < 0 ? 0 : timeout_ms);
        int r = 0;

        pthread_mutex_lock(&p->lock);
        while (r == 0 && !p->closed && !(p->candidate.note && p->candidate.head.size > above))
                r = timeout_ms < 0 ? pthread_cond_wait(&p->offered, &p->lock) : pthread_cond_timedwait(&p->offered, &p->lock, &until);
        if (p->closed)
                r = -EPIPE;
        else
                r = r == ETIMEDOUT ? 0 : read_slot(&p->candidate, a, ret);
        pthread_mutex_unlock(&p->lock);
        return r;
}

void published_close(struct published *p)
{
        pthread_mutex_lock(&p->lock);
        p->closed = true;
        pthread_cond_broadcast(&p->offered);
        pthread_mutex_unlock(&p->lock);
}
