/* tiles: the files, and how they grow.
 *
 * Leaves are written before the roots over them, so a process killed in between leaves upper levels short: they are
 * completed at the next start.  Nothing is synced here: what a power cut takes is missing or wrong at the next start, does not
 * agree with the state's tree, and is derived again. */
#include "broker/tiles_internal.h"
#include "common/failpoint.h"
#include "common/log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- files ---- */

int tiles_pread(const struct tiles *t, unsigned level, uint64_t first, unsigned n, struct digest *ret)
{
        uint8_t *p = ret->b;
        size_t left = (size_t)n * DIGEST_BYTES;
        off_t at = (off_t)(first * DIGEST_BYTES);

        while (left > 0) {
                ssize_t got = pread(t->fd[level], p, left, at);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return got < 0 ? -errno : -EBADMSG;
                p += got;
                at += got;
                left -= (size_t)got;
        }
        return 0;
}

int tiles_pwrite(const struct tiles *t, unsigned level, uint64_t first, unsigned n, const struct digest *from)
{
        const uint8_t *p = from->b;
        size_t left = (size_t)n * DIGEST_BYTES;
        off_t at = (off_t)(first * DIGEST_BYTES);

        while (left > 0) {
                ssize_t put = pwrite(t->fd[level], p, left, at);

                if (put < 0 && errno == EINTR)
                        continue;
                if (put <= 0)
                        return put < 0 ? -errno : -EIO;
                p += put;
                at += put;
                left -= (size_t)put;
        }
        return 0;
}

static int open_files(struct tiles *t, const char *dir)
{
        char path[4096 + 8];

        if (mkdir(dir, 0700) < 0 && errno != EEXIST)
                return -errno;
        for (unsigned level = 0; level < TILES_LEVELS; level++) {
                snprintf(path, sizeof(path), "%s/%u", dir, level);
                t->fd[level] = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
                if (t->fd[level] < 0)
                        return -errno;
        }
        return 0;
}

/* Leaves the file with whole hashes, at most `max` of them. */
static int trim(const struct tiles *t, unsigned level, uint64_t max, uint64_t *ret)
{
        struct stat st;
        uint64_t n;

        if (fstat(t->fd[level], &st) < 0)
                return -errno;
        n = (uint64_t)st.st_size / DIGEST_BYTES;
        if (n > max)
                n = max;
        *ret = n;
        return n * DIGEST_BYTES == (uint64_t)st.st_size || ftruncate(t->fd[level], (off_t)(n * DIGEST_BYTES)) == 0 ? 0 : -errno;
}

static int complete_level(struct tiles *t, unsigned level, uint64_t from, uint64_t to)
{
        struct digest tile[TILES_WIDTH], root;
        int r = 0;

        if (from < to)
                log_event(LOG_WARNING, "tiles.short", log_u64("level", level), log_u64("hashes", from), log_u64("wanted", to));
        for (uint64_t n = from; n < to && r == 0; n++) {
                r = tiles_pread(t, level - 1, n * TILES_WIDTH, TILES_WIDTH, tile);
                root = merkle_root_of(tile, TILES_WIDTH);
                if (r == 0)
                        r = tiles_pwrite(t, level, n, 1, &root);
        }
        return r;
}

static int load(struct tiles *t)
{
        uint64_t n;
        int r = trim(t, 0, (1ull << (8 * TILES_LEVELS)) - 1, &t->written);

        for (unsigned level = 1; level < TILES_LEVELS && r == 0; level++) {
                r = trim(t, level, tiles_count(t->written, level), &n);
                if (r == 0)
                        r = complete_level(t, level, n, tiles_count(t->written, level));
        }
        for (unsigned level = 0; level < TILES_LEVELS && r == 0; level++) {
                uint64_t tile = tiles_count(t->written, level) / TILES_WIDTH;

                r = tiles_pread(t, level, tile * TILES_WIDTH, tiles_width(t->written, level, tile), t->edge[level]);
        }
        return r;
}

int tiles_open(const char *dir, tiles_leaves leaves, void *ctx, struct tiles **ret)
{
        struct tiles *t = calloc(1, sizeof(*t));
        pthread_condattr_t attr;
        int r;

        if (!t)
                return -ENOMEM;
        for (unsigned level = 0; level < TILES_LEVELS; level++)
                t->fd[level] = -1;
        t->leaves = leaves;
        t->ctx = ctx;
        pthread_mutex_init(&t->lock, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&t->found, &attr);
        pthread_cond_init(&t->served, &attr);
        r = open_files(t, dir);
        if (r == 0)
                r = load(t);
        if (r < 0) {
                tiles_close(t);
                return r;
        }
        *ret = t;
        return 0;
}

void tiles_close(struct tiles *t)
{
        if (!t)
                return;
        for (unsigned level = 0; level < TILES_LEVELS; level++)
                if (t->fd[level] >= 0)
                        close(t->fd[level]);
        free(t);
}

int tiles_cut(struct tiles *t, uint64_t size)
{
        if (size >= t->written)
                return 0;
        log_event(LOG_WARNING, "tiles.cut", log_u64("leaves", t->written), log_u64("wanted", size));
        return ftruncate(t->fd[0], (off_t)(size * DIGEST_BYTES)) == 0 ? load(t) : -errno;
}

uint64_t tiles_size(const struct tiles *t)
{
        return atomic_load(&t->visible);
}

uint64_t tiles_written(const struct tiles *t)
{
        return t->written;
}

int tiles_sync(struct tiles *t)
{
        for (unsigned level = 0; level < TILES_LEVELS; level++)
                if (fdatasync(t->fd[level]) < 0)
                        return -errno;
        return 0;
}

void tiles_cancel(struct tiles *t)
{
        atomic_store(&t->cancelled, true);
}

void tiles_counts(const struct tiles *t, struct tiles_counts *ret)
{
        *ret = (struct tiles_counts){ atomic_load(&t->mended), atomic_load(&t->lost) };
}

/* ---- growing ---- */

/* The leaf is in its file; the edge takes it, and each tile that it fills gives one hash to the level above. */
static int append(struct tiles *t, const struct digest *leaf)
{
        uint64_t n = t->written;
        struct digest h = *leaf;
        int r = 0;

        for (unsigned level = 0;; level++, n /= TILES_WIDTH) {
                if (level > 0)
                        r = tiles_pwrite(t, level, n, 1, &h);
                t->edge[level][n % TILES_WIDTH] = h;
                if (r < 0 || n % TILES_WIDTH != TILES_WIDTH - 1)
                        break;
                FAILPOINT("tiles.before_upper");
                h = merkle_root_of(t->edge[level], TILES_WIDTH);
        }
        if (r == 0)
                t->written++;
        return r;
}

static int append_batch(struct tiles *t, unsigned n)
{
        int r = tiles_pwrite(t, 0, t->written, n, t->batch);

        FAILPOINT("tiles.after_leaves");
        pthread_mutex_lock(&t->lock);
        for (unsigned i = 0; i < n && r == 0; i++)
                r = append(t, &t->batch[i]);
        pthread_mutex_unlock(&t->lock);
        if (r == 0 && t->agreed)
                atomic_store(&t->visible, t->written);
        return r;
}

int tiles_extend(struct tiles *t, uint64_t size)
{
        int r = size >> (8 * TILES_LEVELS) == 0 ? 0 : -EFBIG;

        while (r == 0 && t->written < size) {
                unsigned n = size - t->written < TILES_BATCH ? (unsigned)(size - t->written) : TILES_BATCH;

                if (atomic_load(&t->cancelled))
                        return -ECANCELED;
                r = t->leaves(t->ctx, t->written, n, t->batch);
                if (r == 0)
                        return -ENODATA;
                if (r > 0)
                        r = append_batch(t, n);
        }
        return r;
}
