/* publish: writes the tiles behind the committed state, and brings out heads whose whole tree lies in them.
 *
 * Never in the way of an acknowledgement: what it reads is committed, what it writes can be derived again.  A fault here is
 * logged and tried again a second later; proofs wait meanwhile, the exchange goes on.  One thread. */
#include "broker/broker.h"
#include "common/fold.h"
#include "broker/recover.h"
#include "common/checkpoint.h"
#include "common/macro.h"
#include "common/statekeys.h"
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define TURN_MS 100
#define FAULT_TURNS 10                         /* after a fault */
#define HEAD_MS 1000                            /* at most one head in this time */
#define SCRUB_MS 5000
#define SCRUB_TILES 64                          /* some 0.1 % of a core; 10 million entries in 50 minutes */

struct publish {
        struct broker *broker;
        pthread_t thread;
        _Atomic bool stopping;
        struct arena *arena;            /* of the head in line */
        struct published_head next;     /* note NULL: none */
        uint64_t offered;               /* size of the last one brought out */
        struct mono_time head_at, scrub_at;
        bool agreed;
};

/* ---- leaves ---- */

static int read_leaves(void *ctx, uint64_t first, unsigned n, struct digest *ret)
{
        struct broker *b = ctx;
        _cleanup_(store_snapshot_closep) struct store_snapshot *p = NULL;
        int r = store_snapshot_open(b->store, &p);

        return r < 0 ? r : fold_leaves_read(p, first + 1, n, ret);
}

/* At the start: what the files hold must be the tree that the state has reached. */
static int agree(struct publish *self)
{
        struct broker *b = self->broker;
        _cleanup_(store_snapshot_closep) struct store_snapshot *p = NULL;
        struct merkle_frontier tree;
        struct digest root;
        int r = store_snapshot_open(b->store, &p);

        if (r == 0)
                r = fold_tree_read(p, &tree);
        store_snapshot_close(TAKE(p));
        if (r == 0)
                r = tiles_cut(b->tiles, tree.size);     /* a state put back from a backup is behind them */
        if (r == 0)
                r = tiles_extend(b->tiles, tree.size);
        if (r < 0)
                return r;
        root = merkle_root(&tree);
        r = tiles_agree(b->tiles, tree.size, &root);
        self->agreed = r == 0;
        log_event(r == 0 ? LOG_INFO : LOG_ERR, "tiles.agreed", log_u64("size", tree.size), log_bool("agrees", r == 0));
        return r;
}

/* ---- heads ---- */

/* The newest synced head gets in line; it waits there until the tiles have reached it. */
static int get_in_line(struct publish *self)
{
        struct broker *b = self->broker;
        struct checkpoint c;
        const char *note;

        if (self->next.note || atomic_load(&b->synced) <= self->offered)
                return 0;
        arena_reset(self->arena);
        note = broker_checkpoint(b, self->arena);
        if (!*note)
                return 0;
        if (checkpoint_verify(self->arena, note, b->origin, b->log_keys.sign_key, &c))
                return -EBADMSG;
        if (c.size > self->offered)
                self->next = (struct published_head){ b->epoch, c.size, c.root, note };
        return 0;
}

/* 1: somebody else collects cosignatures first. */
static int needs_witnesses(struct publish *self)
{
        _cleanup_(store_snapshot_closep) struct store_snapshot *p = NULL;
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        const Shuyi__V1__Anchor *anchor;
        int r = a ? store_snapshot_open(self->broker->store, &p) : -ENOMEM;

        if (r < 0)
                return r;
        anchor = statekeys_anchor(store_snapshot_state(p), a);
        return anchor ? anchor->witness_quorum > 0 : -EBADMSG;
}

static int bring_out(struct publish *self)
{
        struct broker *b = self->broker;
        int r = tiles_agree(b->tiles, self->next.size, &self->next.root), witnessed = 0;

        if (r == 0)
                r = published_offer(b->published, &self->next);
        if (r == 0)
                r = witnessed = needs_witnesses(self);
        if (r == 0)
                r = published_set(b->published, &self->next);
        if (r < 0)
                return r;
        self->offered = self->next.size;
        self->next.note = NULL;
        return 0;
}

/* ---- the thread ---- */

static bool is_due(struct mono_time *at, uint64_t now, unsigned ms)
{
        if (at->ns != 0 && now - at->ns < ms * 1000000ull)
                return false;
        at->ns = now;
        return true;
}

static int turn(struct publish *self, uint64_t now)
{
        struct broker *b = self->broker;
        int r = self->agreed ? 0 : agree(self);

        if (r == 0)
                r = tiles_extend(b->tiles, atomic_load(&b->committed));
        if (r == 0)
                r = get_in_line(self);
        if (r == 0 && self->next.note && self->next.size <= tiles_size(b->tiles) && is_due(&self->head_at, now, HEAD_MS))
                r = bring_out(self);
        if (r == 0 && (tiles_wait_damage(b->tiles, 0) || is_due(&self->scrub_at, now, SCRUB_MS)))
                r = tiles_scrub(b->tiles, SCRUB_TILES);
        return r;
}

static void count(struct broker *b)
{
        struct tiles_counts c;

        tiles_counts(b->tiles, &c);
        metrics_set(b->metrics, M_TILES, 0, tiles_size(b->tiles));
        metrics_set(b->metrics, M_PUBLISHED, 0, published_size(b->published));
        metrics_set_total(b->metrics, M_TILES_MENDED, 0, c.mended);
        metrics_set_total(b->metrics, M_TILES_LOST, 0, c.lost);
}

static void *run(void *arg)
{
        struct publish *self = arg;

        pthread_setname_np(pthread_self(), "publish");
        while (!atomic_load(&self->stopping)) {
                int r = turn(self, times_mono().ns);

                count(self->broker);
                if (r < 0 && r != -ECANCELED) {
                        log_event(LOG_ERR, "publish.failed", log_errno("fault", r));
                        for (unsigned i = 0; i < FAULT_TURNS && !atomic_load(&self->stopping); i++)
                                nanosleep(&(struct timespec){ 0, TURN_MS * 1000000l }, NULL);
                } else {
                        tiles_wait_damage(self->broker->tiles, TURN_MS);
                }
        }
        return NULL;
}

int publish_start(struct broker *b, struct publish **ret)
{
        struct publish *self = calloc(1, sizeof(*self));
        char dir[4096];
        int r = self ? tiles_open(recover_dir(b, "tiles", dir), read_leaves, b, &b->tiles) : -ENOMEM;

        if (r == 0) {
                log_event(LOG_INFO, "tiles.opened", log_u64("leaves", tiles_written(b->tiles)), log_u64("seq", atomic_load(&b->committed)));
                self->broker = b;
                self->arena = arena_new(1 << 18);
                r = self->arena ? -pthread_create(&self->thread, NULL, run, self) : -ENOMEM;
        }
        if (r < 0) {
                log_event(LOG_ERR, "tiles.open", log_errno("fault", r));
                if (self)
                        arena_free(self->arena);
                free(self);
                return r;
        }
        *ret = self;
        return 0;
}

void publish_stop(struct publish *self)
{
        if (!self)
                return;
        atomic_store(&self->stopping, true);
        tiles_cancel(self->broker->tiles);
        published_close(self->broker->published);
        pthread_join(self->thread, NULL);
        arena_free(self->arena);
        free(self);
}
