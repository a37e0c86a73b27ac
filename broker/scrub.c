/* scrub: looks, in the background, at every row of the state and at all that leads to them; once after each start, then daily.
 *
 * A row that is asked for is checked anyway; this finds damage in what nobody asks for, and rows that are hidden by damage.  The
 * process ends on what it finds, for nothing may be built upon it: the state is made anew from the log when it is moved away. */
#include "broker/broker.h"
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define EVERY_S (24 * 3600)
#define PAUSE_NS 1000000                        /* each 64 pages: at most some 256 MiB a second */

struct scrub { struct broker *broker; pthread_t thread; pthread_mutex_t lock; pthread_cond_t wake; bool stopping; };

/* Waits, and answers whether to go on. */
static bool wait_ns(struct scrub *s, uint64_t ns)
{
        struct timespec until;
        bool stopping;

        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += (time_t)((uint64_t)until.tv_nsec + ns) / 1000000000;
        until.tv_nsec = (long)(((uint64_t)until.tv_nsec + ns) % 1000000000);
        pthread_mutex_lock(&s->lock);
        while (!s->stopping && pthread_cond_timedwait(&s->wake, &s->lock, &until) == 0)
                ;
        stopping = s->stopping;
        pthread_mutex_unlock(&s->lock);
        return !stopping;
}

static bool go_on(void *ctx)
{
        return wait_ns(ctx, PAUSE_NS);
}

static void tell(void *ctx, const char *text)
{
        (void)ctx;
        log_event(LOG_CRIT, "state.damaged", log_str("where", text));
}

static void look(struct scrub *s)
{
        struct store_scan found = { 0 };
        int r = store_scan(s->broker->store, go_on, tell, s, &found);

        if (r == -ECANCELED || r == -EAGAIN)
                return;
        log_event(r < 0 ? LOG_CRIT : LOG_INFO, "state.scrubbed", log_u64("rows", found.rows), log_u64("pages", found.pages), log_u64("damages", found.damages));
        if (r < 0)
                broker_fail("scrub.state", r);
}

static void *run(void *arg)
{
        struct scrub *s = arg;

        pthread_setname_np(pthread_self(), "scrub");
        for (uint64_t after_s = 1; wait_ns(s, after_s * 1000000000ull); after_s = EVERY_S)
                look(s);
        return NULL;
}

int scrub_start(struct broker *b, struct scrub **ret)
{
        struct scrub *s = calloc(1, sizeof(*s));
        pthread_condattr_t attr;
        int r;

        if (!s)
                return -ENOMEM;
        s->broker = b;
        pthread_mutex_init(&s->lock, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&s->wake, &attr);
        r = pthread_create(&s->thread, NULL, run, s);
        if (r != 0) {
                free(s);
                return -r;
        }
        *ret = s;
        return 0;
}

void scrub_stop(struct scrub *s)
{
        if (!s)
                return;
        pthread_mutex_lock(&s->lock);
        s->stopping = true;
        pthread_cond_signal(&s->wake);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->thread, NULL);
        free(s);
}
