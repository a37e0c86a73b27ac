/* store_internal: what the three files of the store share.  LMDB's names end here.
 *
 * Invariants: `txn` is the one write transaction, `group` its one child, and `now` the one of them that may be used.
 * A snapshot is in use or in the pool, under `lock`; a pooled one is reset and pins nothing.  lock is taken alone. */
#pragma once
#include <lmdb.h>
#include <pthread.h>
#include "common/store.h"

#define STORE_NAME_BYTES 32

struct store_snapshot {
        struct store *store;
        MDB_txn *txn;                           /* NULL until first used */
        struct mono_time opened;
        bool in_use;
};

#define STORE_CHECK_BYTES 8                     /* behind each value: SipHash over database, key and value (a long one folded) */

struct store {
        MDB_env *env;
        MDB_dbi dbis[STORE_DATABASES_MAX];
        char names[STORE_DATABASES_MAX][STORE_NAME_BYTES];
        uint8_t row_keys[STORE_DATABASES_MAX][8];
        unsigned db_count;
        int lock_fd;
        uint64_t page_bytes, map_bytes, reserve_bytes;
        uint64_t disk_to;                       /* the file has its blocks up to here */
        bool disk_short;                        /* it could not get more */

        MDB_txn *txn, *group, *now;
        MDB_txn *inspector;                     /* the writer's own reader, for the free list; NULL until used */
        uint64_t begin_used, begin_live, writes;        /* pages at store_begin; writes since */

        unsigned fail_in;                       /* for tests; 0: never */
        int fail_with;

        pthread_mutex_t lock;                   /* snapshots and open_count; held over mdb_env_set_mapsize */
        pthread_cond_t none_open;
        struct store_snapshot *snapshots;
        unsigned snapshot_count, open_count;
};

/* LMDB answers with a positive errno or a negative code of its own; this is ours. */
int store_translate(int r);

static inline MDB_val store_val(struct bytes b) { return (MDB_val){ b.n, (void *)b.p }; }
static inline struct bytes store_bytes(MDB_val v) { return bytes_of(v.mv_data, v.mv_size); }

/* The check of a row, against damage, not against malice.  `row_key` is that of the database's name. */
void store_row_key(const char *name, uint8_t ret[8]);
void store_row_check(const uint8_t row_key[8], struct bytes key, struct bytes value, uint8_t ret[STORE_CHECK_BYTES]);
/* Does the value, with its check behind it, hold? */
bool store_row_holds(const uint8_t row_key[8], struct bytes key, struct bytes with_check);

/* store_get, store_next and store_last in any transaction. */
int store_txn_get(const struct store *s, MDB_txn *txn, unsigned db, struct bytes key, struct bytes *ret);
int store_txn_next(const struct store *s, MDB_txn *txn, unsigned db, struct bytes prefix, struct bytes from,
                   struct bytes *ret_key, struct bytes *ret_value);
int store_txn_last(const struct store *s, MDB_txn *txn, unsigned db, struct bytes prefix, struct bytes *ret_key, struct bytes *ret_value);

/* Pages: of all trees as `txn` sees them; in use as of the last commit; in use now, an upper estimate. */
uint64_t store_live_pages(const struct store *s, MDB_txn *txn);
int store_committed_pages(struct store *s, uint64_t *ret);
uint64_t store_used_pages(const struct store *s);

/* Takes blocks ahead of the file's end, so that a disk that others fill does not fail the next commits.  The writer's thread. */
void store_take_ahead(struct store *s);
/* Is there nothing left on the disk for this store? */
bool store_disk_is_full(struct store *s);
