/* store: what is decided so far, in LMDB; one environment is one directory.
 *
 * Databases are numbered: the three below are always there, a program's own follow (store_options.databases).
 * ONE thread writes.  Its transaction stays open over many groups, each group a nested one: what fails inside a
 * group (a full map too) costs that group only.  Readers take snapshots, copy what they need out and close them
 * before they send, wait or sleep, for an open snapshot pins every page freed after it.
 *
 * LMDB is told to sync each commit (never NOSYNC or WRITEMAP); the log's segments carry acknowledgements.
 * LMDB has no checksums, so each row bears one: a row that was damaged is never handed out (-EBADMSG, and the log names it).
 * What leads to the rows is looked over at each opening, and all of it by store_scan.
 * Values are valid until the next write, or until the snapshot is closed: copy to keep.
 * No fork after store_open; no second store_open of a directory in one process.
 *
 * Faults everywhere: -ENOSPC (map full), -EBADMSG (damaged), -EIO, -ENOMEM. */
#pragma once
#include "common/bytes.h"
#include "common/exchange/state.h"
#include "common/segment.h"
#include "common/store_scan.h"
#include "common/times.h"

enum store_db {
        STORE_STATE,                            /* the tables of exchange/tables.h; on an agent its trust replica */
        STORE_INDEX,                            /* seq -> where in the segments */
        STORE_META,                             /* the program's own small facts */
        STORE_OWN                               /* the first of store_options.databases; then + 1, ... */
};
#define STORE_DATABASES_MAX 32
#define STORE_KEY_MAX 511                       /* bytes; a longer or an empty key is -EINVAL */

struct store_options {
        const char *dir;                        /* made if absent, 0700 */
        uint64_t map_bytes;                     /* address space and the most the file may grow to; 0: 1 GiB */
        uint64_t reserve_bytes;                 /* store_group_begin is -ENOSPC with less room; 0: map / 32, at most 64 MiB */
        unsigned readers;                       /* snapshots open at once; 0: 64 */
        const char *const *databases;           /* names after the first three, NULL-ended; may be NULL */
        bool allow_volatile;                    /* take a tmpfs or ramfs: tests and demos only */
        bool scan;                              /* look at every row before it is opened, not only at what leads to them */
        bool read_only;                         /* snapshots only, beside a process that writes; it must be there: -ENOENT */
};

struct store;
struct store_snapshot;

/* *ret becomes the caller's, for store_close().  -EBUSY: another process holds it; -EMEDIUMTYPE: the directory is on
 * a remote or volatile file system; -EACCES, -ENOSPC, -EBADMSG. */
int store_open(const struct store_options *options, struct store **ret);
void store_close(struct store *s);              /* aborts what is open; NULL is fine; no snapshot may be open */
void store_closep(struct store **s);            /* for _cleanup_ */

/* -- The write transaction: one thread. -- */

int store_begin(struct store *s);               /* none may be open */
/* Durable on return; no group may be open.  A fault leaves none open, nothing written.  Blocks of the disk are taken some
 * MiB ahead of the file's end, so that commits go on for a while on a disk that is full. */
int store_commit(struct store *s);
void store_abort(struct store *s);              /* group and transaction; fine if none is open */
bool store_is_open(const struct store *s);
bool store_written(const struct store *s);      /* has the open transaction written anything? */

int store_group_begin(struct store *s);         /* -ENOSPC, and no group opened, if the room is below the reserve */
/* The same without asking for the reserve: for what must go on when space is short. */
int store_group_begin_reserved(struct store *s);
int store_group_commit(struct store *s);        /* into the open transaction */
void store_group_abort(struct store *s);        /* the transaction stays as it was before the group; fine if none */

/* After -ENOSPC or another fault of a write only abort of the group (or of all) is of use. */
int store_put(struct store *s, unsigned db, struct bytes key, struct bytes value);
/* The key must sort after all of `db` (-EEXIST if not): the fast way for keys that grow with time. */
int store_append(struct store *s, unsigned db, struct bytes key, struct bytes value);
int store_del(struct store *s, unsigned db, struct bytes key);          /* 1 deleted, 0 was not there */

/* Reads see what the open transaction and group have written.  1 found, 0 not, negative errno. */
int store_get(struct store *s, unsigned db, struct bytes key, struct bytes *ret);
/* The first key >= `from` (or >= `prefix`, if that is greater) that begins with `prefix`. */
int store_next(struct store *s, unsigned db, struct bytes prefix, struct bytes from, struct bytes *ret_key, struct bytes *ret_value);
/* The last key that begins with `prefix`. */
int store_last(struct store *s, unsigned db, struct bytes prefix, struct bytes *ret_key, struct bytes *ret_value);
/* STORE_STATE of the open transaction, for exchange_apply; ctx is `s`. */
struct state store_state(struct store *s);

/* For tests: the n-th put, append, del or commit (of a group too) from now on answers `fault`, as a full map or a bad
 * disk would: nothing of that call is done. */
void store_fail_after(struct store *s, unsigned n, int fault);

/* -- Snapshots: any thread; one snapshot is used by one thread at a time. -- */

/* What is committed now.  -EAGAIN: all readers are in use.  Cheap: handles are pooled. */
int store_snapshot_open(struct store *s, struct store_snapshot **ret);
void store_snapshot_close(struct store_snapshot *p);    /* NULL is fine */
void store_snapshot_closep(struct store_snapshot **p);
int store_snapshot_get(struct store_snapshot *p, unsigned db, struct bytes key, struct bytes *ret);
int store_snapshot_next(struct store_snapshot *p, unsigned db, struct bytes prefix, struct bytes from, struct bytes *ret_key, struct bytes *ret_value);
int store_snapshot_last(struct store_snapshot *p, unsigned db, struct bytes prefix, struct bytes *ret_key, struct bytes *ret_value);
struct state store_snapshot_state(struct store_snapshot *p);            /* STORE_STATE; ctx is `p` */

/* -- The index: seq -> place in the segments. -- */

int store_index_append(struct store *s, uint64_t seq, struct segment_place place);      /* in the open transaction */
int store_index_find(struct store *s, uint64_t seq, struct segment_place *ret);         /* 1, 0, negative errno */
int store_snapshot_index_find(struct store_snapshot *p, uint64_t seq, struct segment_place *ret);

/* -- Care. -- */

struct store_room {
        uint64_t map_bytes, used_bytes;         /* used: an upper estimate, with what the open transaction may have touched */
        uint64_t file_bytes;                    /* high-water mark of the file */
        unsigned permille;                      /* used of map */
        bool disk_short;                        /* few blocks left and no more to be had (see store_commit): take what must be taken only */
};

/* The writer's thread, with or without an open transaction; as cheap as one look into the free list. */
int store_room(struct store *s, struct store_room *ret);
/* A larger map; waits until no snapshot is open and lets none open meanwhile.  The writer's thread, no transaction open. */
int store_grow(struct store *s, uint64_t map_bytes);
/* Clears slots of processes that died; at start and now and then.  *ret (may be NULL) counts them. */
int store_reader_check(struct store *s, unsigned *ret);
/* Looks at every row of what is committed now, and at all that leads to them; what is damaged is told.  `go_on`: see
 * store_scan.h; may be NULL.  Itself a long reader.  Any thread.  0; -EBADMSG: damage; a fault. */
int store_scan(struct store *s, store_scan_go_on_fn go_on, store_damage_fn tell, void *ctx, struct store_scan *ret);
/* Age of the oldest open snapshot in nanoseconds; 0 if none.  Any thread. */
uint64_t store_oldest_reader_ns(struct store *s);
/* A compacted copy, synced, into the existing empty directory `dir`: itself a long reader.  Any thread. */
int store_copy(struct store *s, const char *dir);
