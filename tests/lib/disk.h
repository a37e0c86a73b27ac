/* disk: what a disk may hold after its power was cut, at any moment of a run.
 *
 * Linked into a test, it stands between the program (LMDB too) and the kernel: every write, truncation, allocation, creation,
 * renaming, removal and sync below one directory is noted in its order.  Then the run can be cut after any of them, as often
 * as wanted.  What a returned fsync, fdatasync or O_DSYNC write covers is there.  Of the rest each piece may be there or not,
 * whatever came before or after it: a write torn at sectors of 512 bytes, a sector of it never written or written with
 * garbage, a size without its bytes, a name without its directory's sync.  A sector is never torn by itself, as disks promise
 * and LMDB's meta page needs: O_DSYNC writes get no garbage.
 *
 * Only calls by descriptors and paths are seen; maps that are written are not (LMDB's data map is read only, its lock file is
 * left out of images).  One recording at a time, any thread may write; one thread cuts.  A fault of the test's own machinery
 * ends the program. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk;

#define DISK_TEXT_BYTES 300

/* Records from now on what happens below `root`; what is there counts as synced.  `ignore`: a kind of sync that is taken for
 * done and does nothing, to see that cuts find it out; NULL: none.  See disk_sync_kind. */
struct disk *disk_begin(const char *root, const char *ignore);
void disk_end(struct disk *d);                  /* no longer records; may still be cut */
void disk_free(struct disk *d);

/* Records a number that cuts are told: `value` was promised to somebody. */
void disk_promise(struct disk *d, uint64_t value);

size_t disk_moments(const struct disk *d);      /* a cut at m: the first m calls had begun, the first m - 1 returned */
/* The last value promised before the moment; 0 if none.  `m` as disk_cut. */
uint64_t disk_promised(const struct disk *d, size_t m);
/* Fills the directory `image` (its former files go) with one of the states that the disk may have at `m`; `random` is the state of
 * a generator and decides which.  Moments must not go down from one call to the next. */
void disk_cut(struct disk *d, size_t m, uint64_t *random, const char *image);
/* The call before the moment, for a report. */
void disk_describe(const struct disk *d, size_t m, char ret[DISK_TEXT_BYTES]);

/* The kinds of sync that the run made, "fdatasync .seg", "fsync log/", ...; NULL behind the last. */
const char *disk_sync_kind(const struct disk *d, size_t i);

uint64_t disk_random(uint64_t *state);          /* splitmix64 */
