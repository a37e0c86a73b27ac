/* store: the environment and its one write transaction.
 *
 * Reading is in store_read.c, room and care in store_care.c. */
#include "common/store_internal.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "common/directory.h"
#include "common/log.h"
#include "common/macro.h"
#include "common/store_scan.h"

#define MAP_BYTES_DEFAULT (1ull << 30)
#define RESERVE_BYTES_MAX (64ull << 20)
#define READERS_DEFAULT 64
#define READERS_SPARE 4                         /* for the inspector, store_copy and tools */

/* -- Opening. -- */

static int open_databases(struct store *s, const struct store_options *o)
{
        static const char *const first[] = { "state", "index", "meta" };
        MDB_txn *txn;
        int r = mdb_txn_begin(s->env, NULL, o->read_only ? MDB_RDONLY : 0, &txn);

        if (r != 0)
                return store_translate(r);
        for (unsigned i = 0; r == 0; i++) {
                const char *name = i < ELEMENTS(first) ? first[i] : o->databases ? o->databases[i - ELEMENTS(first)] : NULL;

                if (!name)
                        break;
                assert(i < STORE_DATABASES_MAX);
                assert(strlen(name) < STORE_NAME_BYTES);
                strcpy(s->names[i], name);
                store_row_key(name, s->row_keys[i]);
                r = mdb_dbi_open(txn, name, o->read_only ? 0 : MDB_CREATE, &s->dbis[i]);
                s->db_count = i + 1;
        }
        if (r != 0) {
                mdb_txn_abort(txn);
                return store_translate(r);
        }
        return store_translate(mdb_txn_commit(txn));
}

/* LMDB begins a file with a write that it does not sync: cut then, it would never open again.  So a new one is made under
 * another name and takes its own when it is whole. */
static int make_file(const char *dir)
{
        char made[4096], lock[4096 + 8], named[4096];
        MDB_env *env = NULL;
        int r;

        if (snprintf(named, sizeof(named), "%s/data.mdb", dir) >= (int)sizeof(named) || snprintf(made, sizeof(made), "%s/new.mdb", dir) >= (int)sizeof(made))
                return -ENAMETOOLONG;
        if (access(named, F_OK) == 0)
                return 0;
        snprintf(lock, sizeof(lock), "%s-lock", made);
        if (unlink(made) < 0 && errno != ENOENT)
                return -errno;
        r = mdb_env_create(&env);
        if (r == 0)
                r = mdb_env_open(env, made, MDB_NOSUBDIR, 0600);
        if (r == 0)
                r = mdb_env_sync(env, 1);
        mdb_env_close(env);
        unlink(lock);
        if (r == 0 && rename(made, named) < 0)
                r = errno;
        return r == 0 ? directory_sync(dir) : store_translate(r);
}

static void tell_damage(void *ctx, const char *text)
{
        log_event(LOG_CRIT, "store.damaged", log_str("dir", ctx), log_str("where", text));
}

/* Before LMDB reads it: what is damaged may crash it. */
static int look_over(const struct store_options *o)
{
        struct store_scan found;
        char path[4096];
        int fd, r;

        if (snprintf(path, sizeof(path), "%s/data.mdb", o->dir) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = store_scan_fd(fd, 0, o->scan ? STORE_SCAN_ALL : STORE_SCAN_ROOTS, NULL, tell_damage, (void *)o->dir, &found);
        close(fd);
        return r == 0 && found.damages > 0 ? -EBADMSG : r;
}

static int open_environment(struct store *s, const struct store_options *o)
{
        int r = mdb_env_create(&s->env);

        if (r == 0)
                r = mdb_env_set_mapsize(s->env, s->map_bytes);
        if (r == 0)
                r = mdb_env_set_maxreaders(s->env, s->snapshot_count + READERS_SPARE);
        if (r == 0)
                r = mdb_env_set_maxdbs(s->env, STORE_DATABASES_MAX);
        if (r == 0)
                r = mdb_env_open(s->env, o->dir, MDB_NOTLS | (o->read_only ? MDB_RDONLY : 0), 0600);
        return store_translate(r);
}

/* What the file had before may be more than the options say. */
static void note_sizes(struct store *s, const struct store_options *o)
{
        MDB_envinfo info;
        MDB_stat stat;

        mdb_env_info(s->env, &info);
        mdb_env_stat(s->env, &stat);
        s->map_bytes = info.me_mapsize;
        s->page_bytes = stat.ms_psize;
        s->reserve_bytes = o->reserve_bytes;
        if (s->reserve_bytes == 0) {
                s->reserve_bytes = s->map_bytes / 32;
                if (s->reserve_bytes > RESERVE_BYTES_MAX)
                        s->reserve_bytes = RESERVE_BYTES_MAX;
        }
}

int store_open(const struct store_options *o, struct store **ret)
{
        _cleanup_(store_closep) struct store *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->lock_fd = -1;
        pthread_mutex_init(&s->lock, NULL);
        pthread_cond_init(&s->none_open, NULL);
        s->map_bytes = (o->map_bytes ? o->map_bytes : MAP_BYTES_DEFAULT) & ~(uint64_t)(sysconf(_SC_PAGESIZE) - 1);
        s->snapshot_count = o->readers ? o->readers : READERS_DEFAULT;
        s->snapshots = calloc(s->snapshot_count, sizeof(*s->snapshots));
        if (!s->snapshots)
                return -ENOMEM;

        r = o->read_only ? directory_check_filesystem(o->dir, true) : directory_make(o->dir, o->allow_volatile);
        if (r < 0)
                return r;
        if (!o->read_only)
                s->lock_fd = directory_lock(o->dir);
        if (!o->read_only && s->lock_fd < 0)
                return s->lock_fd;
        r = o->read_only ? 0 : make_file(o->dir);
        if (r == 0 && !o->read_only)    /* pages that another process is writing look damaged */
                r = look_over(o);
        if (r == 0)
                r = open_environment(s, o);
        if (r < 0)
                return r;
        note_sizes(s, o);
        if (!o->read_only)
                store_take_ahead(s);
        r = store_reader_check(s, NULL);
        if (r == 0)
                r = open_databases(s, o);
        if (r < 0)
                return r;
        *ret = TAKE(s);
        return 0;
}

void store_close(struct store *s)
{
        if (!s)
                return;
        store_abort(s);
        assert(s->open_count == 0);
        mdb_txn_abort(s->inspector);
        for (unsigned i = 0; s->snapshots && i < s->snapshot_count; i++)
                mdb_txn_abort(s->snapshots[i].txn);
        if (s->env)
                mdb_env_close(s->env);
        if (s->lock_fd >= 0)
                close(s->lock_fd);
        pthread_cond_destroy(&s->none_open);
        pthread_mutex_destroy(&s->lock);
        free(s->snapshots);
        free(s);
}

void store_closep(struct store **s)
{
        store_close(*s);
}

/* -- The write transaction. -- */

int store_begin(struct store *s)
{
        int r;

        assert(!s->txn);
        r = store_committed_pages(s, &s->begin_used);
        if (r < 0)
                return r;
        r = mdb_txn_begin(s->env, NULL, 0, &s->txn);
        if (r != 0) {
                s->txn = NULL;
                return store_translate(r);
        }
        s->now = s->txn;
        s->writes = 0;
        s->begin_live = store_live_pages(s, s->txn);
        return 0;
}

void store_fail_after(struct store *s, unsigned n, int fault)
{
        s->fail_in = n;
        s->fail_with = fault;
}

static int injected_fault(struct store *s)
{
        return s->fail_in > 0 && --s->fail_in == 0 ? s->fail_with : 0;
}

int store_commit(struct store *s)
{
        MDB_txn *txn = s->txn;
        int r = injected_fault(s);

        assert(txn && !s->group);
        if (r < 0) {
                store_abort(s);
                return r;
        }
        s->txn = s->now = NULL;
        r = store_translate(mdb_txn_commit(txn));
        if (r == -EIO && store_disk_is_full(s))
                return -ENOSPC;                 /* LMDB's word for a write that came to the disk's end */
        if (r == 0)
                store_take_ahead(s);
        return r;
}

void store_abort(struct store *s)
{
        store_group_abort(s);
        if (s->txn)
                mdb_txn_abort(s->txn);
        s->txn = s->now = NULL;
}

bool store_is_open(const struct store *s)
{
        return s->txn != NULL;
}

bool store_written(const struct store *s)
{
        return s->txn && s->writes > 0;
}

int store_group_begin_reserved(struct store *s)
{
        int r;

        assert(s->txn && !s->group);
        r = mdb_txn_begin(s->env, s->txn, 0, &s->group);
        if (r != 0) {
                s->group = NULL;
                return store_translate(r);
        }
        s->now = s->group;
        return 0;
}

int store_group_begin(struct store *s)
{
        uint64_t used;

        assert(s->txn && !s->group);
        used = store_used_pages(s) * s->page_bytes;
        if (used + s->reserve_bytes > s->map_bytes)
                return -ENOSPC;
        return store_group_begin_reserved(s);
}

int store_group_commit(struct store *s)
{
        MDB_txn *group = s->group;
        int r = injected_fault(s);

        assert(group);
        if (r < 0) {
                store_group_abort(s);
                return r;
        }
        s->group = NULL;
        s->now = s->txn;
        return store_translate(mdb_txn_commit(group));
}

void store_group_abort(struct store *s)
{
        if (!s->group)
                return;
        mdb_txn_abort(s->group);
        s->group = NULL;
        s->now = s->txn;
}

static int put(struct store *s, unsigned db, struct bytes key, struct bytes value, unsigned flags)
{
        MDB_val k = store_val(key), v = { value.n + STORE_CHECK_BYTES, NULL };
        uint8_t check[STORE_CHECK_BYTES];
        int r;

        assert(s->now && db < s->db_count);
        if (key.n == 0 || key.n > STORE_KEY_MAX)
                return -EINVAL;
        r = injected_fault(s);
        if (r < 0)
                return r;
        s->writes++;
        store_row_check(s->row_keys[db], key, value, check);
        r = mdb_put(s->now, s->dbis[db], &k, &v, flags | MDB_RESERVE);
        if (r != 0)
                return store_translate(r);
        if (value.n > 0)
                memmove(v.mv_data, value.p, value.n);
        memcpy((uint8_t *)v.mv_data + value.n, check, STORE_CHECK_BYTES);
        return 0;
}

int store_put(struct store *s, unsigned db, struct bytes key, struct bytes value)
{
        return put(s, db, key, value, 0);
}

int store_append(struct store *s, unsigned db, struct bytes key, struct bytes value)
{
        return put(s, db, key, value, MDB_APPEND);
}

int store_del(struct store *s, unsigned db, struct bytes key)
{
        MDB_val k = store_val(key);
        int r;

        assert(s->now && db < s->db_count);
        if (key.n == 0 || key.n > STORE_KEY_MAX)
                return -EINVAL;
        r = injected_fault(s);
        if (r < 0)
                return r;
        s->writes++;
        r = mdb_del(s->now, s->dbis[db], &k, NULL);
        return r == MDB_NOTFOUND ? 0 : r != 0 ? store_translate(r) : 1;
}

int store_get(struct store *s, unsigned db, struct bytes key, struct bytes *ret)
{
        return store_txn_get(s, s->now, db, key, ret);
}

int store_next(struct store *s, unsigned db, struct bytes prefix, struct bytes from, struct bytes *ret_key, struct bytes *ret_value)
{
        return store_txn_next(s, s->now, db, prefix, from, ret_key, ret_value);
}

int store_last(struct store *s, unsigned db, struct bytes prefix, struct bytes *ret_key, struct bytes *ret_value)
{
        return store_txn_last(s, s->now, db, prefix, ret_key, ret_value);
}

static int state_get(void *ctx, struct bytes key, struct bytes *ret)
{
        return store_get(ctx, STORE_STATE, key, ret);
}

static int state_next(void *ctx, struct bytes prefix, struct bytes from, struct bytes *ret_key, struct bytes *ret_value)
{
        return store_next(ctx, STORE_STATE, prefix, from, ret_key, ret_value);
}

struct state store_state(struct store *s)
{
        static const struct state_ops ops = { .get = state_get, .next = state_next };

        return (struct state){ &ops, s };
}
