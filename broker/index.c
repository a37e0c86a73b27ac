/* index: see the header. */
#include "broker/index.h"
#include "broker/peek.h"
#include "broker/recover.h"
#include "common/failpoint.h"
#include "common/macro.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define BATCH_ENTRIES 2000
#define BATCH_NS 100000000ull                   /* most of a batch: a snapshot of the state is held as long */
#define RETRY_S 10                              /* after a fault: a full disk may pass */
#define NICENESS 10

struct index {
        struct broker *broker;
        struct store *store;
        pthread_t thread;
        struct arena *arena;
        uint8_t *buffer;
        size_t buffer_bytes;
        uint64_t seq;                   /* of the thread */
        struct digest leaf;             /* of that entry */
        _Atomic uint64_t done;          /* the same, durable */
        pthread_mutex_t lock;           /* guards what follows */
        pthread_cond_t wake;
        bool hurry, stopping;
};

static const char *const databases[] = { "search", NULL };

/* ---- opening, or beginning anew ---- */

static const char *doubt_path(struct broker *b, char path[4200])
{
        char dir[4096];

        snprintf(path, 4200, "%s/doubt", recover_dir(b, "index", dir));
        return path;
}

static int open_store(struct broker *b, struct store **ret)
{
        char dir[4096];
        struct store_options o = { .dir = recover_dir(b, "index", dir), .map_bytes = (uint64_t)broker_setting(b, S_STORE_MAP), .databases = databases,
                                   .allow_volatile = config_bool(b->config, S_STORE_VOLATILE) };

        return store_open(&o, ret);
}

static void throw_away(struct broker *b, const char *why)
{
        static const char *const names[] = { "data.mdb", "lock.mdb" };
        char dir[4096], path[4200];

        recover_dir(b, "index", dir);
        for (unsigned i = 0; i < ELEMENTS(names); i++) {
                snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
                unlink(path);
        }
        unlink(doubt_path(b, path));
        log_event(LOG_WARNING, "index.rebuild", log_str("why", why));
}

/* Is the index one of this very log?  NULL, or why not. */
static const char *doubt(struct store_snapshot *index, struct store_snapshot *ledger, struct search_position *ret, int *ret_fault)
{
        struct fold_outcome outcome = { 0 };
        int r = search_position_read(index, ret);

        *ret_fault = r < 0 ? r : 0;
        if (r < 0)
                return "damaged";
        if (r == 0) {
                struct bytes key, value;

                *ret = (struct search_position){ 0 };
                return store_snapshot_next(index, INDEX_DB, (struct bytes){ 0 }, (struct bytes){ 0 }, &key, &value) == 0 ? NULL : "version";
        }
        r = fold_outcome_read(ledger, ret->seq, &outcome);
        if (r < 0)
                *ret_fault = r;
        return r <= 0 ? "ahead of the state" : digest_equal(&outcome.leaf, &ret->leaf) ? NULL : "another history";
}

static const char *check(struct index *x, int *ret_fault)
{
        _cleanup_(store_snapshot_closep) struct store_snapshot *index = NULL, *ledger = NULL;
        struct search_position at = { 0 };
        const char *why;

        *ret_fault = store_snapshot_open(x->store, &index);
        if (*ret_fault == 0)
                *ret_fault = store_snapshot_open(x->broker->store, &ledger);
        if (*ret_fault < 0)
                return "damaged";
        why = doubt(index, ledger, &at, ret_fault);
        x->seq = at.seq;
        x->leaf = at.leaf;
        atomic_store(&x->done, at.seq);
        return why;
}

static int open_index(struct index *x)
{
        char path[4200];
        bool doubted = access(doubt_path(x->broker, path), F_OK) == 0;
        int fault = 0, r = open_store(x->broker, &x->store);
        const char *why = r == -EBADMSG || doubted ? "damaged" : r == 0 ? check(x, &fault) : NULL;

        if (r < 0 && !why)
                return r;
        if (!why)
                return 0;
        store_close(TAKE(x->store));
        throw_away(x->broker, why);
        x->seq = 0;
        atomic_store(&x->done, 0);
        return open_store(x->broker, &x->store);
}

/* ---- a batch ---- */

/* Most entries are, and most bytes are theirs: they are not read, let alone hashed, to be left out. */
static bool looks_like_update(struct index *x, struct segment_place place, uint64_t seq)
{
        uint8_t buffer[SEGMENT_PEEK_BYTES];
        struct bytes begins;

        return segment_peek_entry(x->broker->segments, place, seq, buffer, &begins) > 0 && peek_kind(begins) == KIND_UPDATE;
}

/* An entry may be gone (kept no longer) or unreadable: the index goes on without it, as a search could not show it either. */
static int add_entry(struct index *x, struct search_writer *w, struct store_snapshot *ledger, uint64_t seq, const struct fold_outcome *outcome)
{
        const struct claim *claim;
        struct segment_place place;
        struct segment_entry e;
        struct peek peek;
        int r = store_snapshot_index_find(ledger, seq, &place);

        if (r > 0 && looks_like_update(x, place, seq))
                return 0;
        if (r > 0)
                r = segment_read_entry(x->broker->segments, place, seq, &x->buffer, &x->buffer_bytes, &e);
        else if (r == 0)
                r = -ENOENT;
        if (r == -EBADMSG)
                log_event(LOG_ERR, "index.entry", log_u64("seq", seq), log_errno("fault", r));
        if (r == -EBADMSG || r == -ENOENT)
                return 0;
        if (r < 0 || !peek_envelope(e.envelope, &peek) || peek.kind == KIND_UPDATE)
                return r;
        return envelope_read_kept(w->arena, e.envelope, NULL, &claim) == ACCEPTED ? search_add(w, seq, e.accepted_at, claim, outcome->code) : 0;
}

static int add_entries(struct index *x, struct store_snapshot *ledger, uint64_t to, uint64_t *ret_seq, struct digest *ret_leaf)
{
        struct search_writer w = { .store = x->store, .db = INDEX_DB, .state = store_snapshot_state(ledger), .arena = x->arena };
        uint64_t began = times_mono().ns, seq = x->seq;
        struct fold_outcome outcome;
        int r = 0;

        while (r == 0 && seq < to && seq - x->seq < BATCH_ENTRIES && times_mono().ns - began < BATCH_NS) {
                arena_reset(x->arena);
                outcome = (struct fold_outcome){ 0 };
                r = fold_outcome_read(ledger, seq + 1, &outcome);
                if (r >= 0)
                        r = add_entry(x, &w, ledger, seq + 1, &outcome);
                seq++;
        }
        *ret_seq = seq;
        *ret_leaf = outcome.leaf;
        return r;
}

static int write_batch(struct index *x, uint64_t to, uint64_t *ret_seq, struct digest *ret_leaf)
{
        _cleanup_(store_snapshot_closep) struct store_snapshot *ledger = NULL;
        int r = store_snapshot_open(x->broker->store, &ledger);

        return r == 0 ? add_entries(x, ledger, to, ret_seq, ret_leaf) : r;
}

/* 0 or a fault, which leaves the index as it was. */
static int batch(struct index *x, uint64_t to)
{
        struct search_position at = { 0 };
        int r = store_begin(x->store);

        if (r == 0)
                r = write_batch(x, to, &at.seq, &at.leaf);
        if (r == 0)
                r = search_position_put(x->store, &at);
        FAILPOINT("index.before_commit");
        if (r == 0)
                r = store_commit(x->store);
        FAILPOINT("index.after_commit");
        if (r < 0) {
                store_abort(x->store);
                log_event(LOG_ERR, "index.write", log_u64("seq", x->seq), log_errno("fault", r));
                if (r == -EBADMSG)
                        index_doubt(x);
                return r;
        }
        x->seq = at.seq;
        x->leaf = at.leaf;
        atomic_store(&x->done, at.seq);
        return 0;
}

/* ---- the thread ---- */

/* False: stop. */
static bool rest(struct index *x, unsigned seconds)
{
        struct timespec until;
        bool stopping;

        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += seconds;
        pthread_mutex_lock(&x->lock);
        while (!x->stopping && !x->hurry && seconds > 0 && pthread_cond_timedwait(&x->wake, &x->lock, &until) == 0)
                ;
        x->hurry = false;
        stopping = x->stopping;
        pthread_mutex_unlock(&x->lock);
        return !stopping;
}

static void *run(void *arg)
{
        struct index *x = arg;
        uint64_t from = x->seq;
        int r = 0;

        pthread_setname_np(pthread_self(), "index");
        setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS);
        do {
                uint64_t to = atomic_load(&x->broker->committed);

                r = x->seq < to ? batch(x, to) : 0;
                if (r == 0 && x->seq == to && from + BATCH_ENTRIES < to)
                        log_event(LOG_INFO, "index.caught_up", log_u64("from", from), log_u64("seq", to));
                if (x->seq == to)
                        from = to;
                metrics_set(x->broker->metrics, M_INDEX, 0, x->seq);
        } while (rest(x, r < 0 ? RETRY_S : x->seq < atomic_load(&x->broker->committed) && x->seq != from ? 0 : 1));
        return NULL;
}

int index_start(struct broker *b, struct index **ret)
{
        struct index *x = calloc(1, sizeof(*x));
        pthread_condattr_t attr;
        int r;

        if (!x)
                return -ENOMEM;
        x->broker = b;
        pthread_mutex_init(&x->lock, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&x->wake, &attr);
        x->arena = arena_new(16u << 20);
        r = x->arena ? open_index(x) : -ENOMEM;
        if (r == 0)
                r = -pthread_create(&x->thread, NULL, run, x);
        if (r < 0) {
                log_event(LOG_ERR, "index.open", log_errno("fault", r));
                store_close(x->store);
                arena_free(x->arena);
                free(x);
                return r;
        }
        *ret = x;
        return 0;
}

void index_stop(struct index *x)
{
        if (!x)
                return;
        pthread_mutex_lock(&x->lock);
        x->stopping = true;
        pthread_cond_signal(&x->wake);
        pthread_mutex_unlock(&x->lock);
        pthread_join(x->thread, NULL);
        store_close(x->store);
        arena_free(x->arena);
        free(x->buffer);
        free(x);
}

void index_doubt(struct index *x)
{
        char path[4200];
        int fd = open(doubt_path(x->broker, path), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        log_event(LOG_ERR, "index.damaged", log_u64("seq", atomic_load(&x->done)), log_str("action", "the next start builds it again"));
        if (fd >= 0)
                close(fd);
}

uint64_t index_seq(const struct index *x)
{
        return atomic_load(&x->done);
}

void index_hurry(struct index *x)
{
        pthread_mutex_lock(&x->lock);
        x->hurry = true;
        pthread_cond_signal(&x->wake);
        pthread_mutex_unlock(&x->lock);
}

int index_snapshot(struct index *x, struct store_snapshot **ret)
{
        return store_snapshot_open(x->store, ret);
}
