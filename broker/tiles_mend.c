/* tiles_mend: what finds wrong hashes, and derives them again from the leaves that the state keeps. */
#include "broker/tiles_internal.h"
#include "common/digest.h"
#include "common/log.h"
#include <errno.h>
#include <time.h>

/* ---- deriving ---- */

static uint64_t edge_tile(const struct tiles *t, unsigned level)
{
        return tiles_count(t->written, level) / TILES_WIDTH;
}

static int write_tile(struct tiles *t, struct tiles_place at, unsigned width, const struct digest *fresh)
{
        log_event(LOG_WARNING, "tiles.mended", log_u64("level", at.level), log_u64("tile", at.n));
        atomic_fetch_add(&t->mended, 1);
        return tiles_pwrite(t, at.level, at.n * TILES_WIDTH, width, fresh);
}

static void take_edge(struct tiles *t, struct tiles_place at, unsigned width, const struct digest *fresh)
{
        if (at.n != edge_tile(t, at.level))
                return;
        pthread_mutex_lock(&t->lock);
        memcpy(t->edge[at.level], fresh, width * sizeof(*fresh));
        pthread_mutex_unlock(&t->lock);
}

/* The files are the only keeper of these leaves: good if the hash above, which is there of full tiles only, says so. */
static int judge_kept(struct tiles *t, struct tiles_place at, unsigned width, const struct digest *stored, const struct digest *above, struct digest *ret)
{
        struct digest root;

        if (!above)
                return 0;
        root = merkle_root_of(stored, width);
        *ret = *above;
        if (digest_equal(&root, above))
                return 0;
        log_event(LOG_CRIT, "tiles.lost", log_u64("level", at.level), log_u64("tile", at.n));
        atomic_fetch_add(&t->lost, 1);
        return 0;
}

static int derive(struct tiles *t, struct tiles_place at, unsigned width, const struct digest *above, struct digest *ret);

static int derive_below(struct tiles *t, struct tiles_place at, unsigned width, const struct digest *stored, struct digest *fresh)
{
        int r = 0;

        for (unsigned i = 0; i < width && r == 0; i++)
                r = derive(t, (struct tiles_place){ at.level - 1, at.n * TILES_WIDTH + i }, TILES_WIDTH, &stored[i], &fresh[i]);
        return r;
}

/* Tile `at` and all below it.  `above`: what the level above says of it, and *ret what it should say; NULL: nothing yet. */
static int derive(struct tiles *t, struct tiles_place at, unsigned width, const struct digest *above, struct digest *ret)
{
        struct digest stored[TILES_WIDTH] = { { { 0 } } }, fresh[TILES_WIDTH];
        int r = tiles_pread(t, at.level, at.n * TILES_WIDTH, width, stored);

        if (r < 0 && r != -EBADMSG)
                return r;
        if (atomic_load(&t->cancelled))
                return -ECANCELED;
        if (at.level == 0) {
                r = t->leaves(t->ctx, at.n * TILES_WIDTH, width, fresh);
                if (r == 0)
                        return judge_kept(t, at, width, stored, above, ret);
        } else {
                r = derive_below(t, at, width, stored, fresh);
        }
        if (r >= 0 && memcmp(stored, fresh, width * sizeof(*fresh)) != 0)
                r = write_tile(t, at, width, fresh);
        if (r < 0)
                return r;
        take_edge(t, at, width, fresh);
        if (above)
                *ret = merkle_root_of(fresh, width);
        return 0;
}

int tiles_mend(struct tiles *t, struct tiles_place at)
{
        unsigned width = tiles_width(t->written, at.level, at.n);
        struct tiles_place above = { at.level + 1, at.n / TILES_WIDTH };
        struct digest was, is;
        int r;

        if (width < TILES_WIDTH)
                return width > 0 ? derive(t, at, width, NULL, NULL) : 0;
        r = tiles_pread(t, above.level, at.n, 1, &was);
        if (r == 0)
                r = derive(t, at, width, &was, &is);
        if (r < 0 || digest_equal(&was, &is))
                return r;
        log_event(LOG_WARNING, "tiles.mended", log_u64("level", above.level), log_u64("tile", above.n));
        atomic_fetch_add(&t->mended, 1);
        r = tiles_pwrite(t, above.level, at.n, 1, &is);
        if (r == 0 && above.n == edge_tile(t, above.level)) {
                pthread_mutex_lock(&t->lock);
                t->edge[above.level][at.n % TILES_WIDTH] = is;
                pthread_mutex_unlock(&t->lock);
        }
        return r;
}

/* Each full tile lies below a hash of the level above, so the partial ones lead to all. */
int tiles_mend_all(struct tiles *t)
{
        int r = 0;

        for (unsigned level = TILES_LEVELS; level-- > 0 && r == 0;) {
                struct tiles_place at = { level, edge_tile(t, level) };

                r = tiles_width(t->written, level, at.n) > 0 ? derive(t, at, tiles_width(t->written, level, at.n), NULL, NULL) : 0;
        }
        return r;
}

/* ---- agreeing ---- */

/* As the writer sees it: edge and files as they are. */
static int raw_node(void *ctx, unsigned level, uint64_t index, struct digest *ret)
{
        struct tiles *t = ctx;
        unsigned n = 1u << level % 8;
        uint64_t first = index << level % 8;
        struct digest run[TILES_WIDTH / 2];
        int r = 0;

        level /= 8;
        if (first / TILES_WIDTH == edge_tile(t, level))
                memcpy(run, &t->edge[level][first % TILES_WIDTH], n * sizeof(run[0]));
        else
                r = tiles_pread(t, level, first, n, run);
        if (r == 0)
                *ret = merkle_root_of(run, n);
        return r;
}

static int has_root(struct tiles *t, uint64_t size, const struct digest *root, bool *ret)
{
        struct merkle_source s = { raw_node, t };
        struct digest is;
        int r = merkle_source_root(&s, size, &is);

        *ret = r == 0 && digest_equal(&is, root);
        return r;
}

int tiles_agree(struct tiles *t, uint64_t size, const struct digest *root)
{
        bool agrees;
        int r = size <= t->written ? has_root(t, size, root, &agrees) : -ERANGE;

        if (r < 0)
                return r;
        if (!agrees) {
                log_event(LOG_ERR, "tiles.disagree", log_u64("size", size));
                r = tiles_mend_all(t);
                if (r == 0)
                        r = has_root(t, size, root, &agrees);
                if (r < 0)
                        return r;
        }
        if (!agrees)
                log_event(LOG_CRIT, "tiles.not_mended", log_u64("size", size));
        t->agreed = agrees;
        atomic_store(&t->visible, agrees ? t->written : 0);
        return agrees ? 0 : -EBADMSG;
}

/* ---- scrubbing ---- */

static int check_edge(struct tiles *t)
{
        struct digest stored[TILES_WIDTH];
        int r = 0;

        for (unsigned level = 0; level < TILES_LEVELS && r == 0; level++) {
                struct tiles_place at = { level, edge_tile(t, level) };
                unsigned width = tiles_width(t->written, level, at.n);

                r = tiles_pread(t, level, at.n * TILES_WIDTH, width, stored);
                if (r == -EBADMSG || (r == 0 && memcmp(stored, t->edge[level], width * sizeof(stored[0])) != 0))
                        r = write_tile(t, at, width, t->edge[level]);
        }
        return r;
}

static int check_full(struct tiles *t, struct tiles_place at)
{
        struct digest stored[TILES_WIDTH], root, above;
        int r = tiles_pread(t, at.level, at.n * TILES_WIDTH, TILES_WIDTH, stored);

        if (r == 0)
                r = tiles_pread(t, at.level + 1, at.n, 1, &above);
        if (r < 0 && r != -EBADMSG)
                return r;
        root = merkle_root_of(stored, TILES_WIDTH);
        return r == 0 && digest_equal(&root, &above) ? 0 : tiles_mend(t, at);
}

/* The next full tile; false: this was the last one, and the next time begins with the first again. */
static bool next_full(struct tiles *t, struct tiles_place *ret)
{
        while (t->at.n >= tiles_count(t->written, t->at.level + 1)) {
                t->at = (struct tiles_place){ t->at.level + 1, 0 };
                if (t->at.level + 1 == TILES_LEVELS) {
                        t->at.level = 0;
                        return false;
                }
        }
        *ret = t->at;
        t->at.n++;
        return true;
}

static int mend_found(struct tiles *t)
{
        struct tiles_place found[TILES_DAMAGE_MAX];
        unsigned n;
        int r = 0;

        pthread_mutex_lock(&t->lock);
        n = t->damage_n;
        memcpy(found, t->damage, n * sizeof(found[0]));
        t->damage_n = 0;
        pthread_mutex_unlock(&t->lock);
        for (unsigned i = 0; i < n && r == 0; i++)
                r = check_full(t, found[i]);
        pthread_mutex_lock(&t->lock);
        t->rounds++;
        pthread_cond_broadcast(&t->served);
        pthread_mutex_unlock(&t->lock);
        return r;
}

int tiles_scrub(struct tiles *t, unsigned n)
{
        struct tiles_place at;
        int r = mend_found(t);

        if (r == 0)
                r = check_edge(t);
        for (unsigned i = 0; i < n && r == 0 && next_full(t, &at); i++)
                r = check_full(t, at);
        return r;
}

/* ---- between readers and the writer ---- */

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

bool tiles_wait_damage(struct tiles *t, int timeout_ms)
{
        struct timespec until = later(timeout_ms);
        bool found;
        int r = 0;

        pthread_mutex_lock(&t->lock);
        while (t->damage_n == 0 && r == 0 && !atomic_load(&t->cancelled))
                r = pthread_cond_timedwait(&t->found, &t->lock, &until);
        found = t->damage_n > 0;
        pthread_mutex_unlock(&t->lock);
        return found;
}

void tiles_report(struct tiles *t, struct tiles_place at, unsigned patience_ms)
{
        struct timespec until = later((int)patience_ms);
        uint64_t round;
        int r = 0;

        pthread_mutex_lock(&t->lock);
        if (t->damage_n < TILES_DAMAGE_MAX)
                t->damage[t->damage_n++] = at;
        round = t->rounds;
        pthread_cond_signal(&t->found);
        while (patience_ms > 0 && t->rounds == round && r == 0)
                r = pthread_cond_timedwait(&t->served, &t->lock, &until);
        pthread_mutex_unlock(&t->lock);
}
