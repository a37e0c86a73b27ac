/* verify: form and signatures, on all cores.
 *
 * Links are served in turn, a link's acts before its data, so that a flood costs its sender and nobody else.  A worker
 * that takes a ticket gives it the next number; the sequencer puts them back into that order.  Workers may run at most
 * TICKETS_AHEAD numbers apart, which bounds the sequencer's ring. */
#include "broker/broker.h"
#include "broker/sender.h"
#include "broker/turnstile.h"
#include "common/macro.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define WORKERS_MAX 64

struct line {                                   /* what waits of one link */
        struct ticket *head[SESSION_LANES], *tail[SESSION_LANES];
        bool queued;
        struct line *next;
};

struct worker { struct verify *verify; pthread_t thread; uint64_t number; struct metrics_block *counts; };

struct verify {
        struct broker *broker;
        pthread_mutex_t lock;           /* guards everything below but the workers' threads */
        pthread_cond_t work;            /* something waits, or the end */
        pthread_cond_t room;            /* a number is free again */
        struct line **lines;            /* by link number */
        size_t lines_n;
        struct line *first, *last;      /* links with something waiting, in turn */
        uint64_t next_number;
        unsigned waiting;
        unsigned stalled;               /* workers that wait for room */
        bool stopping;
        struct worker workers[WORKERS_MAX];
        unsigned workers_n;
};

static struct line *line_of(struct verify *v, uint32_t link)
{
        if (link >= v->lines_n) {
                size_t n = (size_t)link + 64;
                struct line **lines = realloc(v->lines, n * sizeof(*lines));

                if (!lines)
                        return NULL;
                memset(lines + v->lines_n, 0, (n - v->lines_n) * sizeof(*lines));
                v->lines = lines;
                v->lines_n = n;
        }
        if (!v->lines[link])
                v->lines[link] = calloc(1, sizeof(struct line));
        return v->lines[link];
}

static void enqueue_line(struct verify *v, struct line *l)
{
        l->queued = true;
        l->next = NULL;
        if (v->last)
                v->last->next = l;
        else
                v->first = l;
        v->last = l;
}

void verify_push(struct verify *v, struct ticket *t)
{
        struct line *l;

        pthread_mutex_lock(&v->lock);
        l = line_of(v, t->link);
        if (!l)
                broker_fail("verify.memory", -ENOMEM);
        t->next = NULL;
        if (l->tail[t->lane])
                l->tail[t->lane]->next = t;
        else
                l->head[t->lane] = t;
        l->tail[t->lane] = t;
        if (!l->queued)
                enqueue_line(v, l);
        v->waiting++;
        pthread_cond_signal(&v->work);
        pthread_mutex_unlock(&v->lock);
}

unsigned verify_depth(struct verify *v)
{
        unsigned n;

        pthread_mutex_lock(&v->lock);
        n = v->waiting;
        pthread_mutex_unlock(&v->lock);
        return n;
}

static bool may_number(const struct verify *v)
{
        uint64_t oldest = v->next_number;

        for (unsigned i = 0; i < v->workers_n; i++)
                if (v->workers[i].number < oldest)
                        oldest = v->workers[i].number;
        return v->next_number - oldest < TICKETS_AHEAD;
}

static struct ticket *take_from(struct line *l)
{
        unsigned lane = l->head[0] ? 0 : 1;
        struct ticket *t = l->head[lane];

        l->head[lane] = t->next;
        if (!l->head[lane])
                l->tail[lane] = NULL;
        return t;
}

static struct ticket *take(struct verify *v, struct worker *w)
{
        struct ticket *t = NULL;
        struct line *l;

        pthread_mutex_lock(&v->lock);
        w->number = UINT64_MAX;
        if (v->stalled > 0)
                pthread_cond_broadcast(&v->room);
        for (;;) {
                while (!v->first && !v->stopping)
                        pthread_cond_wait(&v->work, &v->lock);
                if (!v->first || may_number(v))
                        break;
                v->stalled++;
                pthread_cond_wait(&v->room, &v->lock);
                v->stalled--;
        }
        if (v->first) {
                l = v->first;
                v->first = l->next;
                if (!v->first)
                        v->last = NULL;
                l->queued = false;
                t = take_from(l);
                if (l->head[0] || l->head[1])
                        enqueue_line(v, l);
                t->number = w->number = v->next_number++;
                v->waiting--;
        }
        pthread_mutex_unlock(&v->lock);
        return t;
}

/* Form, kind and lane; then who sent it; then the signatures. */
static enum refusal check(struct broker *b, struct ticket *t, const struct keydir *d)
{
        const struct keydir_link *link = keydir_link_at(d, t->link);
        const struct kind *kind;
        struct peek p;
        enum refusal code;

        if (!peek_envelope(t->wire, &p))
                return E_FORM;
        kind = kind_find(p.kind);
        if (!kind || kind->class == KIND_SYSTEM || kind->class == KIND_READ || kind_lane(kind) != t->lane)
                return E_FORM;
        if (!link || link->revoked)
                return E_CRED;
        code = sender_check(d, link, b->authority, &p);
        if (code != ACCEPTED)
                return code;
        struct key_source keys = keydir_keys(d);
        return envelope_verify(t->arena, t->wire, &keys, &t->claim);
}

static void *work(void *arg)
{
        struct worker *w = arg;
        struct verify *v = w->verify;
        struct ticket *t;

        pthread_setname_np(pthread_self(), "verify");
        while ((t = take(v, w))) {
                struct mono_time from = times_mono();
                struct keydir *d = keydir_slot_get(v->broker->directory);

                if (t->code == ACCEPTED)
                        t->code = check(v->broker, t, d);
                keydir_unref(d);
                metrics_observe(w->counts, M_VERIFY, 0, times_mono().ns - from.ns);
                if (work_queue_push(&v->broker->work, &t->work) < 0)
                        ticket_free(t);
        }
        return NULL;
}

int verify_start(struct broker *b, struct verify **ret)
{
        struct verify *v = calloc(1, sizeof(*v));
        int64_t wanted = broker_setting(b, S_WORKERS);
        long cores = sysconf(_SC_NPROCESSORS_ONLN);

        if (!v)
                return -ENOMEM;
        v->broker = b;
        pthread_mutex_init(&v->lock, NULL);
        pthread_cond_init(&v->work, NULL);
        pthread_cond_init(&v->room, NULL);
        v->workers_n = (unsigned)(wanted > 0 ? wanted : cores < 1 ? 1 : cores > WORKERS_MAX ? WORKERS_MAX : cores);
        for (unsigned i = 0; i < v->workers_n; i++)
                v->workers[i] = (struct worker){ .verify = v, .number = UINT64_MAX, .counts = metrics_block_new(b->metrics) };
        for (unsigned i = 0; i < v->workers_n; i++) {
                int r = pthread_create(&v->workers[i].thread, NULL, work, &v->workers[i]);

                if (r != 0)
                        broker_fail("verify.start", -r);
        }
        *ret = v;
        return 0;
}

void verify_stop(struct verify *v)
{
        if (!v)
                return;
        pthread_mutex_lock(&v->lock);
        v->stopping = true;
        pthread_cond_broadcast(&v->work);
        pthread_mutex_unlock(&v->lock);
        for (unsigned i = 0; i < v->workers_n; i++)
                pthread_join(v->workers[i].thread, NULL);
        for (size_t i = 0; i < v->lines_n; i++)
                free(v->lines[i]);
        free(v->lines);
        pthread_cond_destroy(&v->work);
        pthread_cond_destroy(&v->room);
        pthread_mutex_destroy(&v->lock);
        free(v);
}
