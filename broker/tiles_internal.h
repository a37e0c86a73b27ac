/* tiles: what its files share.  The right edge (the partial tile of each level) is kept in memory as it was derived; only
 * the writer changes it, under the lock; readers copy it from there, and take full tiles from the files. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include "broker/tiles.h"

#define TILES_BATCH 2048                        /* leaves taken and written at once */
#define TILES_DAMAGE_MAX 32

struct tiles_place { unsigned level; uint64_t n; };

struct tiles {
        int fd[TILES_LEVELS];
        tiles_leaves leaves;
        void *ctx;
        _Atomic uint64_t visible;       /* tiles_size */
        _Atomic bool cancelled;
        _Atomic uint64_t mended, lost;

        pthread_mutex_t lock;           /* guards written, edge and damage */
        pthread_cond_t found, served;
        uint64_t written;               /* leaves */
        struct digest edge[TILES_LEVELS][TILES_WIDTH];
        struct tiles_place damage[TILES_DAMAGE_MAX];
        unsigned damage_n;
        uint64_t rounds;                /* scrubs that took all damage found before */

        /* the writer's own */
        bool agreed;
        struct tiles_place at;          /* where the scrub goes on */
        struct digest batch[TILES_BATCH];
};

/* How many hashes level `level` has for `size` leaves; how many of them lie in its tile `n`. */
static inline uint64_t tiles_count(uint64_t size, unsigned level) { return size >> (8 * level); }
static inline unsigned tiles_width(uint64_t size, unsigned level, uint64_t n)
{
        uint64_t count = tiles_count(size, level), from = n * TILES_WIDTH;

        return count <= from ? 0 : count - from < TILES_WIDTH ? (unsigned)(count - from) : TILES_WIDTH;
}

/* Whole runs of hashes of a file; -EBADMSG if it is shorter. */
int tiles_pread(const struct tiles *t, unsigned level, uint64_t first, unsigned n, struct digest *ret);
int tiles_pwrite(const struct tiles *t, unsigned level, uint64_t first, unsigned n, const struct digest *from);
/* Derives the tile, all below it and the hash above it from the leaves again. */
int tiles_mend(struct tiles *t, struct tiles_place at);
/* All tiles. */
int tiles_mend_all(struct tiles *t);
/* A reader found a full tile that is not what the level above says: asks the writer, and waits so long at most. */
void tiles_report(struct tiles *t, struct tiles_place at, unsigned patience_ms);
