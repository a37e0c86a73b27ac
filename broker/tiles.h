/* tiles: leaf and upper hashes of the log's tree, in flat files of 32-byte hashes, one file a tile level.  DESIGN 2, 7.
 *
 * File L of the directory holds the hashes of level 8 L: 0 the leaves, 1 the roots of full tiles of 256 leaves, ...; so
 * tile n of level L is the bytes from n * 8192 on, as C2SP tlog-tiles has it.  Written behind by one thread, from the leaf
 * hashes that the state keeps; what is missing, short or wrong is written again from there and named in the log.  A reader
 * checks each full tile against the level above before it uses it, so a flipped byte is never proved from: it waits for
 * the writer to mend it.  All sizes count leaves. */
#pragma once
#include "common/merkle.h"

#define TILES_LEVELS 6                          /* 2^48 leaves */
#define TILES_WIDTH 256
#define TILES_BYTES (TILES_WIDTH * DIGEST_BYTES)

struct tiles;
struct tiles_reader;

/* Where leaf hashes come from: the n from `first` on (from 0).  1; 0: not all of them are kept; or a fault.  Called by the
 * writer alone. */
typedef int (*tiles_leaves)(void *ctx, uint64_t first, unsigned n, struct digest *ret);

/* Opens or makes `dir`; what a crash left half written is completed.  *ret becomes the caller's.  A fault. */
int tiles_open(const char *dir, tiles_leaves leaves, void *ctx, struct tiles **ret);
void tiles_close(struct tiles *t);              /* no reader may be left; NULL is fine */
/* Proofs up to it can be made; 0 until the first tiles_agree of a run.  Any thread. */
uint64_t tiles_size(const struct tiles *t);

/* ---- the writer: one thread ---- */

uint64_t tiles_written(const struct tiles *t);  /* leaves in the files, agreed or not */
/* Before the first tiles_agree: forgets all leaves from `size` on.  0 or a fault. */
int tiles_cut(struct tiles *t, uint64_t size);
/* Appends until the tree has `size` leaves.  0; -ENODATA: a leaf is not kept; -ECANCELED after tiles_cancel; or a fault. */
int tiles_extend(struct tiles *t, uint64_t size);
/* Is the tree of the first `size` leaves (at most tiles_written) the one of that root?  If not, every hash is derived again
 * and what differs is mended and named.  0; -EBADMSG: it cannot be mended from what is kept; or a fault. */
int tiles_agree(struct tiles *t, uint64_t size, const struct digest *root);
/* Mends what readers found, compares the right edge in memory with the files, and checks the next full tiles in turn: `n`,
 * or what is left of this round; then it begins anew.  0 or a fault. */
int tiles_scrub(struct tiles *t, unsigned n);
/* Waits until a reader has found damage, at most timeout_ms. */
bool tiles_wait_damage(struct tiles *t, int timeout_ms);

/* ---- any thread ---- */

/* All that was written is on disk on return: to be called before the rows that it was made from go, for then these files
 * are the only keeper of those leaf hashes.  0 or a fault. */
int tiles_sync(struct tiles *t);
void tiles_cancel(struct tiles *t);             /* what the writer is at ends soon */

struct tiles_counts { uint64_t mended, lost; };         /* tiles written again; times one was found wrong with nothing to mend from */
void tiles_counts(const struct tiles *t, struct tiles_counts *ret);

/* ---- readers: any number, each of one thread ---- */

/* `patience_ms`: how long a reader that meets a damaged tile waits for the writer to mend it.  NULL: no memory. */
struct tiles_reader *tiles_reader_new(struct tiles *t, unsigned patience_ms);
void tiles_reader_free(struct tiles_reader *r);                 /* NULL is fine */
/* For merkle_prove_inclusion, merkle_prove_consistency, merkle_source_root, up to tiles_size.  Borrows `r`.  Its faults:
 * -ERANGE above the size, -EAGAIN: damaged, and not mended yet. */
struct merkle_source tiles_source(struct tiles_reader *r);
/* The first `width` hashes (1 to 256) of tile `n` of `level`, TILES_BYTES at most, checked where the tile is full.  The same
 * faults. */
int tiles_read(struct tiles_reader *r, unsigned level, uint64_t n, unsigned width, uint8_t *ret);
