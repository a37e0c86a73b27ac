/* sync: makes groups durable, one at a time: on a thread of its own under load, so that the next group grows meanwhile; on the
 * sequencer's own when it has nothing else to do, which spares a lone envelope two hand-overs.
 *
 * Nothing of a group leaves before it is on disk: only then it goes to deliver, and the sequencer may commit state up to
 * it.  A write or sync that fails ends the process, and is never tried again: what the kernel dropped then is gone,
 * and only what was acknowledged counts. */
#include "broker/broker.h"
#include "common/failpoint.h"
#include "common/macro.h"
#include <errno.h>
#include <stdlib.h>

struct sync { struct broker *broker; pthread_t thread; struct metrics_block *counts; };

static void make_durable(struct broker *b, struct metrics_block *counts, struct group *g)
{
        struct mono_time from = times_mono();
        int r;

        FAILPOINT("group.before_write");
        r = segment_write(b->segments, g->batch);
        if (r < 0)
                broker_fail("sync.write", r);
        FAILPOINT("group.after_write");
        FAILPOINT("sync.before_fdatasync");
        r = segment_sync(b->segments);
        if (r < 0)
                broker_fail("sync.sync", r);
        FAILPOINT("sync.after_fdatasync");
        metrics_observe(counts, M_SYNC, 0, times_mono().ns - from.ns);
        broker_set_checkpoint(b, g->note);
        atomic_store(&b->synced, g->last_seq);
        metrics_set(b->metrics, M_SYNCED, 0, g->last_seq);
}

static void release(struct broker *b, struct group *g)
{
        struct news *n = calloc(1, sizeof(*n));

        if (!n)
                broker_fail("sync.memory", -ENOMEM);
        n->kind = NEWS_GROUP;
        n->group = g;
        if (news_queue_push(&b->news, n) < 0)
                broker_fail("sync.release", -EPIPE);
}

struct segment_batch *sync_here(struct broker *b, struct metrics_block *counts, struct group *g)
{
        struct segment_batch *batch;

        if (g->last_seq > 0)
                make_durable(b, counts, g);
        batch = TAKE(g->batch);
        release(b, g);
        return batch;
}

/* To the sequencer, with the batch for its next group.  `g` has gone to deliver before: the sequencer may sync and release the next
 * group itself as soon as it knows, and deliver takes groups in the order of the log. */
static void report(struct sync *s, struct segment_batch *batch)
{
        struct synced *done = calloc(1, sizeof(*done));

        if (!done)
                broker_fail("sync.memory", -ENOMEM);
        done->work.kind = WORK_SYNCED;
        done->batch = batch;
        if (work_queue_push(&s->broker->work, &done->work) < 0)
                broker_fail("sync.report", -EPIPE);
}

static void *run(void *arg)
{
        struct sync *s = arg;
        struct group *g;

        pthread_setname_np(pthread_self(), "sync");
        while (group_queue_take(&s->broker->groups, -1, &g) > 0)
                report(s, sync_here(s->broker, s->counts, g));
        return NULL;
}

int sync_start(struct broker *b, struct sync **ret)
{
        struct sync *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->broker = b;
        s->counts = metrics_block_new(b->metrics);
        r = pthread_create(&s->thread, NULL, run, s);
        if (r != 0) {
                free(s);
                return -r;
        }
        *ret = s;
        return 0;
}

void sync_stop(struct sync *s)
{
        if (!s)
                return;
        group_queue_close(&s->broker->groups);
        pthread_join(s->thread, NULL);
        free(s);
}
