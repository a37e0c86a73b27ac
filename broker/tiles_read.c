/* tiles_read: subtree roots out of tiles, for proofs; and tiles as they are served.
 *
 * A reader keeps the last tile of each level with all hashes inside it, so a page of proofs near each other reads each tile
 * once.  A full tile is checked against the hash above it when it is loaded; a partial one is the writer's own memory. */
#include "broker/tiles_internal.h"
#include "common/digest.h"
#include <errno.h>
#include <stdlib.h>

/* node[256 + i] is hash i of the tile, node[k] the parent of node[2 k] and node[2 k + 1], node[1] the root. */
struct cached { unsigned width; uint64_t n, mended; struct digest node[2 * TILES_WIDTH]; };

struct tiles_reader { struct tiles *tiles; unsigned patience_ms; struct cached *level[TILES_LEVELS]; };

struct tiles_reader *tiles_reader_new(struct tiles *t, unsigned patience_ms)
{
        struct tiles_reader *r = calloc(1, sizeof(*r));

        if (r) {
                r->tiles = t;
                r->patience_ms = patience_ms;
        }
        return r;
}

void tiles_reader_free(struct tiles_reader *r)
{
        if (!r)
                return;
        for (unsigned level = 0; level < TILES_LEVELS; level++)
                free(r->level[level]);
        free(r);
}

/* ---- loading ---- */

/* The partial tile out of the writer's memory; 0: it is not the edge (any more). */
static unsigned copy_edge(struct tiles *t, unsigned level, uint64_t n, struct digest *ret)
{
        unsigned width = 0;

        pthread_mutex_lock(&t->lock);
        if (n == tiles_count(t->written, level) / TILES_WIDTH) {
                width = tiles_width(t->written, level, n);
                memcpy(ret, t->edge[level], width * sizeof(*ret));
        }
        pthread_mutex_unlock(&t->lock);
        return width;
}

/* Hashes whose whole subtree lies inside the width; others are never asked for. */
static void hash_inside(struct cached *c)
{
        for (unsigned k = TILES_WIDTH - 1, row = TILES_WIDTH / 2; k > 0; k--) {
                if (k < row)
                        row /= 2;
                if ((k - row + 1) * (TILES_WIDTH / row) <= c->width)
                        c->node[k] = merkle_node(&c->node[2 * k], &c->node[2 * k + 1]);
        }
}

static int load_full(struct tiles *t, unsigned level, struct cached *c)
{
        struct digest above;
        int r = tiles_pread(t, level, c->n * TILES_WIDTH, TILES_WIDTH, &c->node[TILES_WIDTH]);

        c->width = TILES_WIDTH;
        if (r == 0)
                r = tiles_pread(t, level + 1, c->n, 1, &above);
        if (r < 0)
                return r;
        hash_inside(c);
        return digest_equal(&c->node[1], &above) ? 0 : -EBADMSG;
}

static int load(struct tiles_reader *reader, unsigned level, struct cached *c)
{
        struct tiles *t = reader->tiles;
        int r = -EBADMSG;

        c->mended = atomic_load(&t->mended);
        c->width = copy_edge(t, level, c->n, &c->node[TILES_WIDTH]);
        if (c->width > 0) {
                hash_inside(c);
                return 0;
        }
        if (level + 1 >= TILES_LEVELS)
                return -ERANGE;
        for (unsigned attempt = 0; attempt < 2 && r == -EBADMSG; attempt++) {
                if (attempt > 0)
                        tiles_report(t, (struct tiles_place){ level, c->n }, reader->patience_ms);
                c->mended = atomic_load(&t->mended);
                r = load_full(t, level, c);
        }
        return r == -EBADMSG ? -EAGAIN : r;
}

/* The tile with at least `width` hashes, which the caller knows to be there. */
static int find(struct tiles_reader *r, unsigned level, uint64_t n, unsigned width, const struct cached **ret)
{
        struct cached *c = r->level[level];
        int f = 0;

        if (!c)
                c = r->level[level] = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        if (c->n != n || c->width < width || c->mended != atomic_load(&r->tiles->mended)) {
                c->n = n;
                f = load(r, level, c);
        }
        if (f < 0 || c->width < width) {
                c->width = 0;
                return f < 0 ? f : -ERANGE;
        }
        *ret = c;
        return 0;
}

/* ---- what readers ask ---- */

static int node(void *ctx, unsigned level, uint64_t index, struct digest *ret)
{
        struct tiles_reader *r = ctx;
        const struct cached *c;
        unsigned inside = level % 8, at;
        uint64_t first;
        int f;

        if (level >= 8 * TILES_LEVELS || index >= tiles_size(r->tiles) >> level)
                return -ERANGE;
        first = index << inside;
        at = first % TILES_WIDTH;
        f = find(r, level / 8, first / TILES_WIDTH, at + (1u << inside), &c);
        if (f == 0)
                *ret = c->node[(TILES_WIDTH + at) >> inside];
        return f;
}

struct merkle_source tiles_source(struct tiles_reader *r)
{
        return (struct merkle_source){ node, r };
}

int tiles_read(struct tiles_reader *r, unsigned level, uint64_t n, unsigned width, uint8_t *ret)
{
        const struct cached *c;
        int f;

        if (level >= TILES_LEVELS || width == 0 || n > UINT64_MAX / TILES_WIDTH - 1 || tiles_width(tiles_size(r->tiles), level, n) < width)
                return -ERANGE;
        f = find(r, level, n, width, &c);
        if (f == 0)
                memcpy(ret, &c->node[TILES_WIDTH], (size_t)width * DIGEST_BYTES);
        return f;
}
