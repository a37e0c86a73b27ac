/* store_scan: reads the file of a store page by page and names all that is damaged in it.
 *
 * LMDB trusts its file: it has no checksums, and a flipped bit may crash who reads it or hide rows without a word.  Therefore each row
 * bears a check of its own (store.c), and this walk looks at everything that leads to the rows: meta pages, every page's number and
 * kind, order of keys, counts, free list, no page used twice.  What it passes LMDB may read.  Made for any bytes: a wrong file
 * is never a fault.  It knows the format of LMDB 0.9 with pages of the machine's size.  Any thread. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define STORE_DAMAGE_BYTES 320

/* Called for each damage with one line: database, page, key, what is wrong. */
typedef void (*store_damage_fn)(void *ctx, const char *text);

enum store_scan_depth {
        STORE_SCAN_ROOTS,                       /* meta pages and what leads to leaves: quick, at every opening */
        STORE_SCAN_ALL                          /* every row and page in use; takes as long as reading the file */
};

/* Asked each 64 pages: it may sleep; false ends the scan with -ECANCELED. */
typedef bool (*store_scan_go_on_fn)(void *ctx);

struct store_scan { uint64_t txn, pages, rows, damages; };

/* Of the newest transaction in `fd`, or of `txn` where that is not 0 (a snapshot's, which must stay open): a file that is not
 * written meanwhile or one that a snapshot pins.  `go_on` may be NULL.
 * 0, also with damages; -EAGAIN: `txn` is not one of the two in the meta pages any more; -ENOMEM, -EIO. */
int store_scan_fd(int fd, uint64_t txn, enum store_scan_depth depth, store_scan_go_on_fn go_on, store_damage_fn tell, void *ctx, struct store_scan *ret);
