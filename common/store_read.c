/* store_read: what stands in the databases, read through the write transaction or through a snapshot. */
#include "common/store_internal.h"
#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include "common/log.h"

int store_translate(int r)
{
        if (r >= 0)
                return -r;
        switch (r) {
        case MDB_MAP_FULL:
        case MDB_TXN_FULL:
                return -ENOSPC;
        case MDB_KEYEXIST:
                return -EEXIST;
        case MDB_BAD_VALSIZE:
                return -EINVAL;
        case MDB_READERS_FULL:
        case MDB_MAP_RESIZED:
                return -EAGAIN;
        case MDB_BAD_TXN:
                return -ECANCELED;
        case MDB_CORRUPTED:
        case MDB_PAGE_NOTFOUND:
        case MDB_PANIC:
        case MDB_INVALID:
        case MDB_VERSION_MISMATCH:
        case MDB_INCOMPATIBLE:
                return -EBADMSG;
        default:
                return -EIO;
        }
}

/* -- What a row bears against damage. -- */

void store_row_key(const char *name, uint8_t ret[8])
{
        static const uint8_t key[crypto_shorthash_KEYBYTES] = "shuyi/store/row";

        crypto_shorthash(ret, (const uint8_t *)name, strlen(name), key);
}

#define LANES 4
#define FOLD_BYTES (LANES * 8)
#define FOLD_FROM 128

/* A long value is folded before it is hashed, at ten times the speed: each step is one to one in the word it takes and in what came
 * before, so no change of one word, and no exchange of two blocks, is lost on the way. */
static struct bytes fold(struct bytes value, uint8_t room[2 * FOLD_BYTES + 8])
{
        static const uint64_t odd = 0x9e3779b97f4a7c15ull;
        uint64_t lane[LANES] = { 1, 2, 3, 4 }, word[LANES], n = value.n;
        size_t left = value.n % FOLD_BYTES;

        for (const uint8_t *p = value.p, *end = p + (value.n - left); p < end; p += FOLD_BYTES) {
                memcpy(word, p, FOLD_BYTES);
                for (unsigned i = 0; i < LANES; i++) {
                        lane[i] = (lane[i] ^ word[i]) * odd;
                        lane[i] = lane[i] << 29 | lane[i] >> 35;
                }
        }
        memcpy(room, lane, FOLD_BYTES);
        memcpy(room + FOLD_BYTES, &n, 8);
        memcpy(room + FOLD_BYTES + 8, value.p + (value.n - left), left);
        return bytes_of(room, FOLD_BYTES + 8 + left);
}

void store_row_check(const uint8_t row_key[8], struct bytes key, struct bytes value, uint8_t ret[STORE_CHECK_BYTES])
{
        uint8_t k[crypto_shorthash_KEYBYTES] = { 0 }, room[2 * FOLD_BYTES + 8];

        memcpy(k, row_key, 8);
        crypto_shorthash(k + 8, key.p, key.n, k);
        if (value.n >= FOLD_FROM)
                value = fold(value, room);
        crypto_shorthash(ret, value.p, value.n, k);
}

bool store_row_holds(const uint8_t row_key[8], struct bytes key, struct bytes with_check)
{
        uint8_t check[STORE_CHECK_BYTES];

        if (with_check.n < STORE_CHECK_BYTES)
                return false;
        with_check.n -= STORE_CHECK_BYTES;
        store_row_check(row_key, key, with_check, check);
        return memcmp(check, with_check.p + with_check.n, STORE_CHECK_BYTES) == 0;
}

/* 1 and the value without its check; -EBADMSG, and the log names the row. */
static int take_row(const struct store *s, unsigned db, struct bytes key, MDB_val v, struct bytes *ret)
{
        struct bytes value = store_bytes(v);

        if (!store_row_holds(s->row_keys[db], key, value)) {
                log_event(LOG_CRIT, "store.damaged", log_str("database", s->names[db]), log_hex("key", key), log_u64("bytes", value.n));
                return -EBADMSG;
        }
        *ret = bytes_of(value.p, value.n - STORE_CHECK_BYTES);
        return 1;
}

int store_txn_get(const struct store *s, MDB_txn *txn, unsigned db, struct bytes key, struct bytes *ret)
{
        MDB_val k = store_val(key), v;
        int r;

        assert(txn && db < s->db_count);
        if (key.n == 0 || key.n > STORE_KEY_MAX)
                return -EINVAL;
        r = mdb_get(txn, s->dbis[db], &k, &v);
        if (r == MDB_NOTFOUND)
                return 0;
        if (r != 0)
                return store_translate(r);
        return take_row(s, db, key, v, ret);
}

/* Hands out what a cursor stands on, if it begins with `prefix`. */
static int take_if_prefixed(const struct store *s, unsigned db, int r, struct bytes prefix, MDB_val k, MDB_val v, struct bytes *ret_key, struct bytes *ret_value)
{
        if (r == MDB_NOTFOUND)
                return 0;
        if (r != 0)
                return store_translate(r);
        if (!bytes_has_prefix(store_bytes(k), prefix))
                return 0;
        *ret_key = store_bytes(k);
        return take_row(s, db, store_bytes(k), v, ret_value);
}

int store_txn_next(const struct store *s, MDB_txn *txn, unsigned db, struct bytes prefix, struct bytes from,
                   struct bytes *ret_key, struct bytes *ret_value)
{
        struct bytes start = bytes_compare(from, prefix) > 0 ? from : prefix;
        MDB_val k = store_val(start), v = {0};
        MDB_cursor *cursor;
        int r;

        assert(txn && db < s->db_count);
        r = mdb_cursor_open(txn, s->dbis[db], &cursor);
        if (r != 0)
                return store_translate(r);
        r = mdb_cursor_get(cursor, &k, &v, start.n > 0 ? MDB_SET_RANGE : MDB_FIRST);
        r = take_if_prefixed(s, db, r, prefix, k, v, ret_key, ret_value);
        mdb_cursor_close(cursor);
        return r;
}

/* The smallest key that sorts after all that begin with `prefix`; false if there is none. */
static bool prefix_successor(struct bytes prefix, uint8_t ret[STORE_KEY_MAX], size_t *ret_n)
{
        size_t n = prefix.n;

        while (n > 0 && prefix.p[n - 1] == 0xff)
                n--;
        if (n == 0)
                return false;
        memcpy(ret, prefix.p, n);
        ret[n - 1]++;
        *ret_n = n;
        return true;
}

int store_txn_last(const struct store *s, MDB_txn *txn, unsigned db, struct bytes prefix, struct bytes *ret_key, struct bytes *ret_value)
{
        uint8_t after[STORE_KEY_MAX];
        MDB_val k, v = {0};
        MDB_cursor *cursor;
        size_t n;
        int r;

        assert(txn && db < s->db_count);
        if (prefix.n > STORE_KEY_MAX)
                return -EINVAL;
        r = mdb_cursor_open(txn, s->dbis[db], &cursor);
        if (r != 0)
                return store_translate(r);
        r = MDB_NOTFOUND;
        if (prefix_successor(prefix, after, &n)) {
                k = (MDB_val){ n, after };
                r = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
        }
        if (r == 0)
                r = mdb_cursor_get(cursor, &k, &v, MDB_PREV);
        else if (r == MDB_NOTFOUND)
                r = mdb_cursor_get(cursor, &k, &v, MDB_LAST);
        r = take_if_prefixed(s, db, r, prefix, k, v, ret_key, ret_value);
        mdb_cursor_close(cursor);
        return r;
}

/* -- Snapshots. -- */

static struct store_snapshot *find_unused(struct store *s)
{
        for (unsigned i = 0; i < s->snapshot_count; i++)
                if (!s->snapshots[i].in_use)
                        return &s->snapshots[i];
        return NULL;
}

int store_snapshot_open(struct store *s, struct store_snapshot **ret)
{
        struct store_snapshot *p;
        int r = 0;

        pthread_mutex_lock(&s->lock);
        p = find_unused(s);
        if (!p)
                r = -EAGAIN;
        else if (p->txn)
                r = store_translate(mdb_txn_renew(p->txn));
        else
                r = store_translate(mdb_txn_begin(s->env, NULL, MDB_RDONLY, &p->txn));
        if (r == 0) {
                p->store = s;
                p->in_use = true;
                p->opened = times_mono();
                s->open_count++;
                *ret = p;
        }
        pthread_mutex_unlock(&s->lock);
        return r;
}

void store_snapshot_close(struct store_snapshot *p)
{
        struct store *s;

        if (!p)
                return;
        s = p->store;
        pthread_mutex_lock(&s->lock);
        mdb_txn_reset(p->txn);
        p->in_use = false;
        if (--s->open_count == 0)
                pthread_cond_broadcast(&s->none_open);
        pthread_mutex_unlock(&s->lock);
}

void store_snapshot_closep(struct store_snapshot **p)
{
        store_snapshot_close(*p);
}

int store_snapshot_get(struct store_snapshot *p, unsigned db, struct bytes key, struct bytes *ret)
{
        return store_txn_get(p->store, p->txn, db, key, ret);
}

int store_snapshot_next(struct store_snapshot *p, unsigned db, struct bytes prefix, struct bytes from, struct bytes *ret_key, struct bytes *ret_value)
{
        return store_txn_next(p->store, p->txn, db, prefix, from, ret_key, ret_value);
}

int store_snapshot_last(struct store_snapshot *p, unsigned db, struct bytes prefix, struct bytes *ret_key, struct bytes *ret_value)
{
        return store_txn_last(p->store, p->txn, db, prefix, ret_key, ret_value);
}

static int snapshot_state_get(void *ctx, struct bytes key, struct bytes *ret)
{
        return store_snapshot_get(ctx, STORE_STATE, key, ret);
}

static int snapshot_state_next(void *ctx, struct bytes prefix, struct bytes from, struct bytes *ret_key, struct bytes *ret_value)
{
        return store_snapshot_next(ctx, STORE_STATE, prefix, from, ret_key, ret_value);
}

struct state store_snapshot_state(struct store_snapshot *p)
{
        static const struct state_ops ops = { .get = snapshot_state_get, .next = snapshot_state_next };

        return (struct state){ &ops, p };
}

/* -- The index. -- */

static int place_parse(int r, struct bytes value, struct segment_place *ret)
{
        if (r <= 0)
                return r;
        if (value.n != 16)
                return -EBADMSG;
        *ret = (struct segment_place){ get_le64(value.p), get_le64(value.p + 8) };
        return 1;
}

int store_index_append(struct store *s, uint64_t seq, struct segment_place place)
{
        uint8_t key[8], value[16];

        put_be64(key, seq);
        put_le64(value, place.file);
        put_le64(value + 8, place.offset);
        return store_append(s, STORE_INDEX, bytes_of(key, 8), bytes_of(value, 16));
}

int store_index_find(struct store *s, uint64_t seq, struct segment_place *ret)
{
        struct bytes value = {0};
        uint8_t key[8];

        put_be64(key, seq);
        return place_parse(store_get(s, STORE_INDEX, bytes_of(key, 8), &value), value, ret);
}

int store_snapshot_index_find(struct store_snapshot *p, uint64_t seq, struct segment_place *ret)
{
        struct bytes value = {0};
        uint8_t key[8];

        put_be64(key, seq);
        return place_parse(store_snapshot_get(p, STORE_INDEX, bytes_of(key, 8), &value), value, ret);
}
