/* timer: once a second, what nobody else does by himself: space, the next log file, gauges. */
#include "broker/broker.h"
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <time.h>

#define TRIM_AFTER 256                  /* entries and changes of links */
#define TRIM_QUIET 16                   /* of these in a second */

struct timer {
        struct broker *broker;
        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t wake;
        bool stopping;
        uint64_t seq;                   /* a second ago */
        uint64_t links;
        uint64_t moved;                 /* since memory was last given back */
};

static void watch_space(struct broker *b)
{
        struct space s;
        enum space_step step, map, before = (enum space_step)atomic_load(&b->space_step);
        int r = space_read(config_string(b->first_config, S_STORE_DIR), (uint64_t)broker_setting(b, S_SPACE_LIMIT), &s);

        if (r < 0) {
                log_event(LOG_ERR, "space.read", log_errno("fault", r));
                return;
        }
        step = space_step_of(s);
        map = space_step_of((struct space){ atomic_load(&b->store_permille), 1000 });
        if (map > step)                 /* the state's map may be full before the disk is */
                step = map;
        atomic_store(&b->space_step, step);
        metrics_set(b->metrics, M_SPACE, 0, s.total ? s.used / (s.total / 1000 + 1) : 1000);
        metrics_set(b->metrics, M_SPACE_STEP, 0, step);
        if (step != before)
                log_event(step > before ? LOG_WARNING : LOG_NOTICE, "space.step", log_str("step", space_step_name(step)), log_u64("used_bytes", s.used), log_u64("total_bytes", s.total));
}

/* What a load has freed stays with the threads' heaps, and counts as ours: it goes back once the load is over. */
static void watch_memory(struct timer *t)
{
        uint64_t seq = atomic_load(&t->broker->seq), came = seq - t->seq;
        uint64_t links = atomic_load(&t->broker->links_open);

        came += links > t->links ? links - t->links : t->links - links;
        t->seq = seq;
        t->links = links;
        t->moved += came;
        if (t->moved < TRIM_AFTER || came >= TRIM_QUIET)
                return;
        malloc_trim(0);
        t->moved = 0;
}

static void watch(struct timer *t)
{
        struct broker *b = t->broker;

        watch_space(b);
        watch_memory(t);
        segment_prepare(b->segments);
        metrics_set(b->metrics, M_READER_AGE, 0, store_oldest_reader_ns(b->store));
        metrics_set(b->metrics, M_DEPTH, Q_SEQUENCE, work_queue_depth(&b->work));
        metrics_set(b->metrics, M_DEPTH, Q_DELIVER, news_queue_depth(&b->news));
        metrics_set(b->metrics, M_DEPTH, Q_FRONT, outgoing_queue_depth(&b->parcels));
        metrics_set(b->metrics, M_DEPTH, Q_READS, question_queue_depth(&b->questions));
        metrics_set(b->metrics, M_LINKS, 0, atomic_load(&b->links_open));
        metrics_set(b->metrics, M_TRUST, 0, atomic_load(&b->trust_seq));
}

static void *run(void *arg)
{
        struct timer *t = arg;

        pthread_setname_np(pthread_self(), "timer");
        pthread_mutex_lock(&t->lock);
        while (!t->stopping) {
                struct timespec until;

                pthread_mutex_unlock(&t->lock);
                watch(t);
                pthread_mutex_lock(&t->lock);
                clock_gettime(CLOCK_MONOTONIC, &until);
                until.tv_sec++;
                while (!t->stopping && pthread_cond_timedwait(&t->wake, &t->lock, &until) == 0)
                        ;
        }
        pthread_mutex_unlock(&t->lock);
        return NULL;
}

int timer_start(struct broker *b, struct timer **ret)
{
        struct timer *t = calloc(1, sizeof(*t));
        pthread_condattr_t attr;
        int r;

        if (!t)
                return -ENOMEM;
        t->broker = b;
        pthread_mutex_init(&t->lock, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&t->wake, &attr);
        watch_space(b);
        r = pthread_create(&t->thread, NULL, run, t);
        if (r != 0) {
                free(t);
                return -r;
        }
        *ret = t;
        return 0;
}

void timer_stop(struct timer *t)
{
        if (!t)
                return;
        pthread_mutex_lock(&t->lock);
        t->stopping = true;
        pthread_cond_signal(&t->wake);
        pthread_mutex_unlock(&t->lock);
        pthread_join(t->thread, NULL);
        free(t);
}
