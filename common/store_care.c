/* store_care: how full it is, how old its readers are, growing and copying it. */
#include "common/store_internal.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define AHEAD_BYTES_MAX (8ull << 20)

#define PAGES_PER_WRITE 3                       /* copied on the way from root to leaf, at most what lives */

/* Pages of all trees as `txn` sees them. */
uint64_t store_live_pages(const struct store *s, MDB_txn *txn)
{
        uint64_t n = 0;

        for (unsigned i = 0; i < s->db_count; i++) {
                MDB_stat stat;

                if (mdb_stat(txn, s->dbis[i], &stat) == 0)
                        n += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
        }
        return n;
}

/* What was freed before this transaction is nobody's any more. */
static uint64_t oldest_needed_txn(struct store *s, uint64_t last_committed)
{
        uint64_t oldest = last_committed;

        pthread_mutex_lock(&s->lock);
        for (unsigned i = 0; i < s->snapshot_count; i++)
                if (s->snapshots[i].in_use && mdb_txn_id(s->snapshots[i].txn) < oldest)
                        oldest = mdb_txn_id(s->snapshots[i].txn);
        pthread_mutex_unlock(&s->lock);
        return oldest;
}

/* Adds up the free list (database 0, which only a reader may look into): each row is the transaction that freed
 * some pages, and their list, which begins with its length. */
static int sum_free_list(MDB_txn *reader, uint64_t oldest, uint64_t *ret)
{
        MDB_cursor *cursor;
        MDB_val k, v;
        int r = mdb_cursor_open(reader, 0, &cursor);

        *ret = 0;
        if (r != 0)
                return store_translate(r);
        while ((r = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
                size_t freed_by, length;

                memcpy(&freed_by, k.mv_data, sizeof(freed_by));
                memcpy(&length, v.mv_data, sizeof(length));
                if (freed_by < oldest)
                        *ret += length;
        }
        mdb_cursor_close(cursor);
        return r == MDB_NOTFOUND ? 0 : store_translate(r);
}

/* Pages in use as of the last commit: all of the file but those that may be taken again. */
int store_committed_pages(struct store *s, uint64_t *ret)
{
        MDB_envinfo info;
        uint64_t unused;
        int r;

        r = s->inspector ? mdb_txn_renew(s->inspector) : mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->inspector);
        if (r != 0)
                return store_translate(r);
        mdb_env_info(s->env, &info);
        r = sum_free_list(s->inspector, oldest_needed_txn(s, info.me_last_txnid), &unused);
        mdb_txn_reset(s->inspector);
        if (r == 0)
                *ret = info.me_last_pgno + 1 - unused;
        return r;
}

/* An upper estimate: what was used at the beginning, what the trees have grown, what had to be copied. */
uint64_t store_used_pages(const struct store *s)
{
        uint64_t live = store_live_pages(s, s->now);
        uint64_t grown = live > s->begin_live ? live - s->begin_live : 0;
        uint64_t copied = s->writes * PAGES_PER_WRITE;

        return s->begin_used + grown + (copied < s->begin_live ? copied : s->begin_live);
}

static uint64_t ahead_bytes(const struct store *s)
{
        return s->map_bytes / 8 < AHEAD_BYTES_MAX ? s->map_bytes / 8 : AHEAD_BYTES_MAX;
}

int store_room(struct store *s, struct store_room *ret)
{
        MDB_envinfo info;
        uint64_t used;
        int r;

        if (s->now) {
                used = store_used_pages(s);
        } else {
                r = store_committed_pages(s, &used);
                if (r < 0)
                        return r;
        }
        mdb_env_info(s->env, &info);
        ret->map_bytes = s->map_bytes;
        ret->used_bytes = used * s->page_bytes;
        ret->file_bytes = (info.me_last_pgno + 1) * s->page_bytes;
        ret->disk_short = s->disk_short && s->disk_to < ret->used_bytes + ahead_bytes(s) / 2;
        ret->permille = (unsigned)(ret->used_bytes / (s->map_bytes / 1000));
        return 0;
}

void store_take_ahead(struct store *s)
{
        uint64_t end, ahead = ahead_bytes(s);
        mdb_filehandle_t fd;
        MDB_envinfo info;

        mdb_env_info(s->env, &info);
        end = (info.me_last_pgno + 1) * s->page_bytes;
        s->disk_short = false;
        if (s->disk_to >= end + ahead / 2 || mdb_env_get_fd(s->env, &fd) != 0)
                return;
        if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)s->disk_to, (off_t)(end + ahead - s->disk_to)) == 0)
                s->disk_to = end + ahead;
        else
                s->disk_short = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
}

bool store_disk_is_full(struct store *s)
{
        mdb_filehandle_t fd;
        struct statvfs fs;

        return mdb_env_get_fd(s->env, &fd) == 0 && fstatvfs(fd, &fs) == 0 && fs.f_bavail == 0;
}

int store_grow(struct store *s, uint64_t map_bytes)
{
        MDB_envinfo info;
        int r;

        assert(!s->txn);
        pthread_mutex_lock(&s->lock);
        while (s->open_count > 0)
                pthread_cond_wait(&s->none_open, &s->lock);
        r = store_translate(mdb_env_set_mapsize(s->env, map_bytes & ~(s->page_bytes - 1)));
        mdb_env_info(s->env, &info);
        s->map_bytes = info.me_mapsize;
        pthread_mutex_unlock(&s->lock);
        return r;
}

int store_reader_check(struct store *s, unsigned *ret)
{
        int dead = 0;
        int r = store_translate(mdb_reader_check(s->env, &dead));

        if (r == 0 && ret)
                *ret = (unsigned)dead;
        return r;
}

int store_scan(struct store *s, store_scan_go_on_fn go_on, store_damage_fn tell, void *ctx, struct store_scan *ret)
{
        struct store_snapshot *p;
        mdb_filehandle_t fd;
        int r = store_translate(mdb_env_get_fd(s->env, &fd));

        for (int tries = 0; r == 0 && tries < 10; tries++) {
                r = store_snapshot_open(s, &p);
                if (r < 0)
                        return r;
                r = store_scan_fd(fd, mdb_txn_id(p->txn), STORE_SCAN_ALL, go_on, tell, ctx, ret);
                store_snapshot_close(p);
                if (r != -EAGAIN)               /* two commits passed before the meta pages were read */
                        break;
                r = 0;
        }
        return r == 0 && ret->damages > 0 ? -EBADMSG : r;
}

uint64_t store_oldest_reader_ns(struct store *s)
{
        uint64_t now = times_mono().ns, oldest = now;

        pthread_mutex_lock(&s->lock);
        for (unsigned i = 0; i < s->snapshot_count; i++)
                if (s->snapshots[i].in_use && s->snapshots[i].opened.ns < oldest)
                        oldest = s->snapshots[i].opened.ns;
        pthread_mutex_unlock(&s->lock);
        return now - oldest;
}

static int sync_path(const char *path, int flags)
{
        int fd = open(path, flags | O_CLOEXEC), r = 0;

        if (fd < 0)
                return -errno;
        if (fsync(fd) < 0)
                r = -errno;
        close(fd);
        return r;
}

/* LMDB copies without a sync. */
int store_copy(struct store *s, const char *dir)
{
        char path[4096];
        int r = store_translate(mdb_env_copy2(s->env, dir, MDB_CP_COMPACT));

        if (r < 0)
                return r;
        if (snprintf(path, sizeof(path), "%s/data.mdb", dir) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        r = sync_path(path, O_RDONLY);
        return r < 0 ? r : sync_path(dir, O_RDONLY | O_DIRECTORY);
}
