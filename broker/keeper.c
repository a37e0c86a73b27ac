/* keeper: see the header. */
#include "broker/keeper.h"
#include "broker/recover.h"
#include "common/retention.h"
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define LOOK_MS 2000
#define RETRY_MS 60000

struct keeper {
        struct broker *broker;
        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t wake;
        _Atomic bool stopping;
        struct base *base;                      /* the newest; seq 0: none yet */
        char dir[4096];
        struct metrics_block *counts;
        struct retention_marks done;            /* what the last run was asked for, */
        uint64_t file;                          /* and the newest closed file then */
        struct retention_marks tried;           /* what the last whole run was made under, */
        uint64_t tried_to;                      /* and up to which file */
        struct mono_time purge_retry;           /* one that failed is not tried before */
        struct mono_time retry;                 /* a BASE that failed is not tried before */
        bool failed;                            /* it did not do all: said once */
};

/* ---- BASE ---- */

static void find_newest(struct keeper *k)
{
        struct broker *b = k->broker;
        uint64_t list[BASE_KEPT_MAX];
        int n = base_list(k->dir, true, list), fault;
        const char *wrong = NULL;
        char path[4200], name[BASE_NAME_BYTES];

        for (int i = n - 1; i >= 0; i--) {
                base_name(list[i], name);
                snprintf(path, sizeof(path), "%s/%s", k->dir, name);
                wrong = base_peek(path, b->origin, b->log_keys.sign_key, k->base, &fault);
                if (!wrong)
                        break;
                log_event(LOG_ERR, "base.bad", log_str("file", path), log_str("reason", wrong));
        }
        metrics_set(b->metrics, M_BASE_SEQ, 0, k->base->seq);
}

/* So many entries, or so long, behind the newest one. */
static bool base_is_due(struct keeper *k)
{
        struct broker *b = k->broker;
        uint64_t seq = atomic_load(&b->committed), entries = (uint64_t)broker_setting(b, S_BASE_ENTRIES), age = (uint64_t)broker_setting(b, S_BASE_EVERY);

        if (atomic_load(&b->space_step) >= SPACE_NO_DATA)
                return false;                   /* what room there is belongs to the log */
        if (entries == 0 || seq <= k->base->seq || times_mono().ns < k->retry.ns)
                return false;
        return seq - k->base->seq >= entries || (k->base->seq > 0 && times_wall().ms > k->base->accepted_at.ms + age);
}

static void write_base(struct keeper *k)
{
        struct broker *b = k->broker;
        struct mono_time begin = times_mono();
        char state[65];
        int r = base_write(b->store, b->segments, k->dir, b->domain, b->origin, secret_peek(b->log_keys.sign), b->log_keys.sign_key, &k->stopping, k->base);

        if (r == 0)
                r = base_prune(k->dir, (unsigned)broker_setting(b, S_BASE_KEEP));
        if (r == -ECANCELED)
                return;
        if (r < 0) {
                log_event(LOG_ERR, "base.failed", log_errno("fault", r));
                metrics_inc(k->counts, M_BASE_FAILED, 0);
                k->retry.ns = times_mono().ns + RETRY_MS * 1000000ull;
                return;
        }
        hex_format(bytes_digest(&k->base->state), state);
        metrics_set(b->metrics, M_BASE_SEQ, 0, k->base->seq);
        log_event(LOG_NOTICE, "base.written", log_u64("seq", k->base->seq), log_u64("rows", k->base->rows), log_u64("bytes", k->base->bytes),
                  log_str("state", state), log_u64("ms", (times_mono().ns - begin.ns) / 1000000));
}

/* ---- retention ---- */

static bool purge_is_due(struct keeper *k, struct retention_marks *ret, uint64_t *ret_file)
{
        struct store_snapshot *p;
        struct segment_closed f;

        *ret_file = 0;
        if (times_mono().ns < k->purge_retry.ns || store_snapshot_open(k->broker->store, &p) < 0)
                return false;
        if (retention_marks_read(store_snapshot_state(p), ret) < 0)
                *ret = (struct retention_marks){ 0 };
        store_snapshot_close(p);
        if (ret->bodies_to == 0)
                return false;
        for (uint64_t from = 1; segment_closed_find(k->broker->segments, from, &f); from = f.file + 1)
                *ret_file = f.file;
        return k->failed || *ret_file != k->file || ret->bodies_to != k->done.bodies_to || ret->inputs_to != k->done.inputs_to;
}

static void say(struct keeper *k, const struct retention *r, int fault)
{
        if (r->files > 0)
                log_event(LOG_NOTICE, "retention.done", log_u64("files", r->files), log_u64("bodies", r->bodies), log_u64("inputs", r->inputs),
                          log_u64("owed", r->owed), log_u64("bytes_before", r->bytes_before), log_u64("bytes_after", r->bytes_after));
        if (fault < 0 && fault != -ECANCELED && !k->failed)
                log_event(LOG_ERR, "retention.failed", log_errno("fault", fault));
        if (r->reason[0] && !k->failed)
                log_event(LOG_WARNING, "retention.waits", log_str("reason", r->reason));
}

static void purge(struct keeper *k, struct retention_marks marks, uint64_t file)
{
        struct broker *b = k->broker;
        struct retention r = { .store = b->store, .segments = b->segments, .base_dir = k->dir, .origin = b->origin, .domain = b->domain,
                               .log_key = b->log_keys.sign_key, .stop = &k->stopping, .tried = k->tried, .tried_to = k->tried_to };
        int fault = retention_run(&r);

        say(k, &r, fault);
        metrics_add(k->counts, M_PURGED_BODIES, 0, r.bodies);
        metrics_add(k->counts, M_PURGED_INPUTS, 0, r.inputs);
        k->done = marks;
        k->file = file;
        k->failed = fault < 0 || r.reason[0];
        if (fault == 0) {
                k->tried = r.used;
                k->tried_to = file;
        }
        k->purge_retry.ns = fault < 0 ? times_mono().ns + RETRY_MS * 1000000ull : 0;
}

/* ---- the thread ---- */

static void turn(struct keeper *k)
{
        struct retention_marks marks;
        uint64_t file;

        if (base_is_due(k))
                write_base(k);
        if (purge_is_due(k, &marks, &file))
                purge(k, marks, file);
}

static void *run(void *arg)
{
        struct keeper *k = arg;

        pthread_setname_np(pthread_self(), "keeper");
        find_newest(k);
        pthread_mutex_lock(&k->lock);
        while (!atomic_load(&k->stopping)) {
                struct timespec until;

                pthread_mutex_unlock(&k->lock);
                turn(k);
                pthread_mutex_lock(&k->lock);
                clock_gettime(CLOCK_MONOTONIC, &until);
                until.tv_sec += LOOK_MS / 1000;
                while (!atomic_load(&k->stopping) && pthread_cond_timedwait(&k->wake, &k->lock, &until) == 0)
                        ;
        }
        pthread_mutex_unlock(&k->lock);
        return NULL;
}

int keeper_start(struct broker *b, struct keeper **ret)
{
        struct keeper *k = calloc(1, sizeof(*k));
        pthread_condattr_t attr;
        int r;

        if (!k)
                return -ENOMEM;
        k->broker = b;
        k->base = calloc(1, sizeof(*k->base));
        k->counts = metrics_block_new(b->metrics);
        recover_dir(b, "base", k->dir);
        pthread_mutex_init(&k->lock, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&k->wake, &attr);
        r = k->base && k->counts ? -pthread_create(&k->thread, NULL, run, k) : -ENOMEM;
        if (r < 0) {
                free(k->base);
                free(k);
                return r;
        }
        *ret = k;
        return 0;
}

void keeper_stop(struct keeper *k)
{
        if (!k)
                return;
        pthread_mutex_lock(&k->lock);
        atomic_store(&k->stopping, true);
        pthread_cond_signal(&k->wake);
        pthread_mutex_unlock(&k->lock);
        pthread_join(k->thread, NULL);
        free(k->base);
        free(k);
}
