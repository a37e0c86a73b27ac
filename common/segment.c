/* segment: plans, writes and syncs batches; keeps the files' names in order.
 *
 * A file is "N.ready" once there is room for it, "N.seg" from its first batch on, "N.free" when its entries are not needed
 * any more.  Renames are synced before what they name is written over, so that no header ever stands under
 * another file's name. */
#include "common/segment_internal.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>
#include "common/directory.h"
#include "common/failpoint.h"
#include "common/macro.h"

#define WRITE_RUNS 192                          /* of one call: 64 entries */

/* -- Names. -- */

void segment_name(uint64_t file, char ret[SEGMENT_NAME_BYTES])
{
        snprintf(ret, SEGMENT_NAME_BYTES, "%016" PRIx64 ".seg", file);
}

void segment_name_ready(uint64_t file, char ret[SEGMENT_NAME_BYTES])
{
        snprintf(ret, SEGMENT_NAME_BYTES, "%016" PRIx64 ".ready", file);
}

void segment_name_free(uint64_t file, char ret[SEGMENT_NAME_BYTES])
{
        snprintf(ret, SEGMENT_NAME_BYTES, "%016" PRIx64 ".free", file);
}

void segment_name_new(uint64_t file, char ret[SEGMENT_NAME_BYTES])
{
        snprintf(ret, SEGMENT_NAME_BYTES, "%016" PRIx64 ".new", file);
}

int segment_files_add(struct segment_log *l, struct segment_file file)
{
        if (l->file_count == l->file_room) {
                unsigned room = l->file_room ? 2 * l->file_room : 16;
                struct segment_file *files = realloc(l->files, room * sizeof(*files));

                if (!files)
                        return -ENOMEM;
                l->files = files;
                l->file_room = room;
        }
        assert(l->file_count == 0 || file.number == l->files[l->file_count - 1].number + 1);
        l->files[l->file_count++] = file;
        return 0;
}

/* A new file of full size, or none: what is allocated cannot run out of space later. */
static int allocate(struct segment_log *l, const char *name)
{
        int fd = openat(l->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), r = 0;

        if (fd < 0)
                return -errno;
        if (fallocate(fd, 0, 0, (off_t)l->segment_bytes) < 0 || fsync(fd) < 0)
                r = errno == EFBIG || errno == EDQUOT ? -ENOSPC : -errno;
        close(fd);
        if (r < 0)
                unlinkat(l->dir_fd, name, 0);
        return r;
}

/* Any free file; false if there is none. */
static bool find_free(struct segment_log *l, char ret[SEGMENT_NAME_BYTES])
{
        for (uint64_t n = l->ready + 1; l->free_count > 0 && n > 0; n--) {
                segment_name_free(n, ret);
                if (faccessat(l->dir_fd, ret, F_OK, 0) == 0)
                        return true;
        }
        return false;
}

int segment_files_prepare(struct segment_log *l)
{
        char from[SEGMENT_NAME_BYTES], to[SEGMENT_NAME_BYTES];
        int r = 0;

        segment_name_ready(l->ready + 1, to);
        if (find_free(l, from)) {
                if (renameat(l->dir_fd, from, l->dir_fd, to) < 0)
                        return -errno;
                l->free_count--;
        } else {
                r = allocate(l, to);
        }
        if (r == 0)
                l->ready++;
        return r;
}

int segment_files_retire(struct segment_log *l, uint64_t file, uint64_t bytes)
{
        char from[SEGMENT_NAME_BYTES], to[SEGMENT_NAME_BYTES];

        segment_name(file, from);
        segment_name_free(file, to);
        if (bytes == l->segment_bytes && l->free_count < l->keep_free) {
                if (renameat(l->dir_fd, from, l->dir_fd, to) < 0)
                        return -errno;
                l->free_count++;
        } else if (unlinkat(l->dir_fd, from, 0) < 0) {
                return -errno;
        }
        FAILPOINT("segment.after_retire");
        return fsync(l->dir_fd) < 0 ? -errno : 0;
}

/* -- Opening. -- */

static int open_directory(struct segment_log *l, const struct segment_options *o)
{
        int r = o->read_only ? directory_check_filesystem(o->dir, true) : directory_make(o->dir, o->allow_volatile);

        if (r < 0)
                return r;
        l->dir_fd = open(o->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (l->dir_fd < 0)
                return -errno;
        if (o->read_only)
                return 0;
        l->lock_fd = directory_lock(o->dir);
        return l->lock_fd < 0 ? l->lock_fd : 0;
}

int segment_open(const struct segment_options *o, struct segment_log **ret, struct segment_recovery *ret_recovery)
{
        uint64_t bytes = o->segment_bytes ? o->segment_bytes : SEGMENT_BYTES_DEFAULT;
        struct segment_log *l;
        int r;

        *ret_recovery = (struct segment_recovery){0};
        if (strlen(o->domain) > SEGMENT_DOMAIN_MAX || bytes < SEGMENT_BYTES_MIN || bytes > SEGMENT_BYTES_MAX)
                return -EINVAL;
        l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        l->dir_fd = l->lock_fd = l->write_fd = -1;
        l->segment_bytes = (bytes + SEGMENT_HEADER_BYTES - 1) & ~(uint64_t)(SEGMENT_HEADER_BYTES - 1);
        l->keep_free = o->keep_free;
        l->read_only = o->read_only;
        pthread_mutex_init(&l->lock, NULL);
        strcpy(l->domain, o->domain);

        r = open_directory(l, o);
        if (r == 0)
                r = segment_recover(l, o, ret_recovery);
        if (r == 0 && !o->read_only && l->ready == l->plan.file - 1)
                r = segment_files_prepare(l);   /* an empty log: its first file */
        if (r < 0) {
                segment_close(l);
                return r;
        }
        if (!o->read_only)
                segment_prepare(l);             /* no room for another file is no reason not to start */
        *ret = l;
        return 0;
}

void segment_close(struct segment_log *l)
{
        if (!l)
                return;
        if (l->write_fd >= 0)
                close(l->write_fd);
        if (l->lock_fd >= 0)
                close(l->lock_fd);
        if (l->dir_fd >= 0)
                close(l->dir_fd);
        pthread_mutex_destroy(&l->lock);
        free(l->files);
        free(l);
}

/* -- Planning. -- */

static int plan_locked(struct segment_log *l, struct segment_batch *b)
{
        struct segment_place place = l->plan;
        uint64_t limit = l->plan_limit;

        if (place.offset + b->n > limit) {
                place = (struct segment_place){ place.file + 1, SEGMENT_HEADER_BYTES };
                limit = l->segment_bytes;
                if (b->n > limit - SEGMENT_HEADER_BYTES)
                        return -EMSGSIZE;
                if (l->ready < place.file) {
                        int r = segment_files_prepare(l);

                        if (r < 0)
                                return r;
                }
        }
        b->plan_before = l->plan;
        b->limit_before = l->plan_limit;
        b->place = place;
        l->plan = (struct segment_place){ place.file, place.offset + b->n };
        l->plan_limit = limit;
        return 0;
}

int segment_plan(struct segment_log *l, struct segment_batch *b)
{
        int r;

        assert(b->count > 0 && !l->read_only);
        pthread_mutex_lock(&l->lock);
        r = plan_locked(l, b);
        pthread_mutex_unlock(&l->lock);
        return r;
}

void segment_unplan(struct segment_log *l, struct segment_batch *b)
{
        pthread_mutex_lock(&l->lock);
        assert(l->plan.file == b->place.file && l->plan.offset == b->place.offset + b->n);
        l->plan = b->plan_before;
        l->plan_limit = b->limit_before;
        b->place = (struct segment_place){0};
        pthread_mutex_unlock(&l->lock);
}

int segment_prepare(struct segment_log *l)
{
        int r = 0;

        pthread_mutex_lock(&l->lock);
        if (l->ready == l->plan.file)
                r = segment_files_prepare(l);
        pthread_mutex_unlock(&l->lock);
        return r;
}

/* -- Writing. -- */

static int write_at(int fd, const void *buffer, size_t n, uint64_t offset)
{
        const uint8_t *p = buffer;

        while (n > 0) {
                ssize_t done = pwrite(fd, p, n, (off_t)offset);

                if (done < 0 && errno == EINTR)
                        continue;
                if (done < 0)
                        return -errno;
                p += done;
                n -= (size_t)done;
                offset += (uint64_t)done;
        }
        return 0;
}

/* Gives the prepared file its header and its name. */
static int begin_file(struct segment_log *l, const struct segment_batch *b)
{
        struct segment_header h = { .file = b->place.file, .first_seq = b->first_seq, .epoch = b->first_epoch, .bytes = l->segment_bytes };
        char from[SEGMENT_NAME_BYTES], to[SEGMENT_NAME_BYTES];
        uint8_t block[SEGMENT_HEADER_BYTES];
        int r;

        strcpy(h.domain, l->domain);
        segment_header_encode(&h, block);
        segment_name_ready(b->place.file, from);
        segment_name(b->place.file, to);
        l->write_fd = openat(l->dir_fd, from, O_RDWR | O_CLOEXEC);
        if (l->write_fd < 0)
                return -errno;
        r = write_at(l->write_fd, block, sizeof(block), 0);
        if (r < 0)
                return r;
        FAILPOINT("segment.before_rename");
        pthread_mutex_lock(&l->lock);
        if (renameat(l->dir_fd, from, l->dir_fd, to) < 0)
                r = -errno;
        else
                r = segment_files_add(l, (struct segment_file){ .number = h.file, .first_seq = h.first_seq, .epoch = h.epoch, .bytes = h.bytes });
        pthread_mutex_unlock(&l->lock);
        FAILPOINT("segment.after_rename");
        l->new_name = true;
        return r;
}

/* Makes write_fd that of the batch's file: the one at hand, one that was there at the start, or a new one. */
static int turn_to_file(struct segment_log *l, const struct segment_batch *b)
{
        char name[SEGMENT_NAME_BYTES];
        bool known;

        if (l->write_fd >= 0 && l->write_file == b->place.file)
                return 0;
        if (l->write_fd >= 0)
                close(l->write_fd);
        l->write_fd = -1;
        l->write_file = b->place.file;
        pthread_mutex_lock(&l->lock);
        known = l->file_count > 0 && l->files[l->file_count - 1].number == b->place.file;
        pthread_mutex_unlock(&l->lock);
        if (!known)
                return begin_file(l, b);
        segment_name(b->place.file, name);
        l->write_fd = openat(l->dir_fd, name, O_RDWR | O_CLOEXEC);
        return l->write_fd < 0 ? -errno : 0;
}

void segment_fail_after(struct segment_log *l, unsigned n, int fault)
{
        l->fail_in = n;
        l->fail_with = fault;
}

static int injected_fault(struct segment_log *l)
{
        return l->fail_in > 0 && --l->fail_in == 0 ? l->fail_with : 0;
}

/* Bytes of a batch that are written with one call. */
struct runs { struct iovec v[WRITE_RUNS]; int n; size_t bytes; };

static void runs_add(struct runs *r, const void *p, size_t n)
{
        if (n > 0)
                r->v[r->n++] = (struct iovec){ (void *)p, n };
        r->bytes += n;
}

/* The records from *at on, as many as go with one call. */
static void runs_take(struct runs *r, const struct segment_batch *b, unsigned *at)
{
        static const uint8_t zeros[8];

        *r = (struct runs){ .n = 0 };
        for (; *at < b->count && r->n + 3 <= WRITE_RUNS; (*at)++) {
                const struct segment_part *part = &b->parts[*at];

                runs_add(r, b->own + part->own, part->own_n);
                runs_add(r, part->envelope.p, part->envelope.n);
                runs_add(r, zeros, (8 - (part->own_n + part->envelope.n) % 8) % 8);
        }
}

static int write_runs(int fd, struct runs *r, uint64_t offset)
{
        struct iovec *v = r->v, *end = r->v + r->n;

        while (v < end) {
                ssize_t done = pwritev(fd, v, (int)(end - v), (off_t)offset);

                if (done < 0 && errno == EINTR)
                        continue;
                if (done < 0)
                        return -errno;
                offset += (uint64_t)done;
                for (; v < end && (size_t)done >= v->iov_len; v++)
                        done -= (ssize_t)v->iov_len;
                if (v < end) {
                        v->iov_base = (uint8_t *)v->iov_base + done;
                        v->iov_len -= (size_t)done;
                }
        }
        return 0;
}

static int write_batch(struct segment_log *l, const struct segment_batch *b)
{
        uint64_t offset = b->place.offset;
        struct runs runs;
        int r = 0;

        for (unsigned at = 0; at < b->count && r == 0; offset += runs.bytes) {
                runs_take(&runs, b, &at);
                r = write_runs(l->write_fd, &runs, offset);
        }
        return r;
}

#ifdef FAILPOINTS
/* As a power cut may leave it: torn within a record. */
static void write_half(struct segment_log *l, const struct segment_batch *b)
{
        uint64_t offset = b->place.offset, end = offset + b->n / 2;
        struct runs runs;

        for (unsigned at = 0; at < b->count; ) {
                runs_take(&runs, b, &at);
                for (int i = 0; i < runs.n && offset < end; i++) {
                        size_t n = runs.v[i].iov_len < end - offset ? runs.v[i].iov_len : end - offset;

                        write_at(l->write_fd, runs.v[i].iov_base, n, offset);
                        offset += n;
                }
        }
}
#endif

int segment_write(struct segment_log *l, struct segment_batch *b)
{
        int r = injected_fault(l);

        assert(!l->unsynced && b->place.file > 0);
        if (r < 0)
                return r;
        l->unsynced = true;
        segment_batch_seal(b);
        FAILPOINT("segment.before_write");
        r = turn_to_file(l, b);
        if (r < 0)
                return r;
#ifdef FAILPOINTS
        write_half(l, b);
        FAILPOINT("segment.half_written");
#endif
        return write_batch(l, b);
}

int segment_sync(struct segment_log *l)
{
        int r = injected_fault(l);

        if (r < 0)
                return r;
        FAILPOINT("segment.before_sync");
        if (fdatasync(l->write_fd) < 0)
                return -errno;
        if (l->new_name && fsync(l->dir_fd) < 0)
                return -errno;
        l->new_name = false;
        l->unsynced = false;
        FAILPOINT("segment.after_sync");
        return 0;
}

/* -- Retention and figures. -- */

int segment_release(struct segment_log *l, uint64_t seq)
{
        unsigned gone = 0;
        int r = 0;

        pthread_mutex_lock(&l->lock);
        while (r == 0 && gone + 1 < l->file_count && l->files[gone + 1].first_seq <= seq) {
                r = segment_files_retire(l, l->files[gone].number, l->files[gone].bytes);
                if (r == 0)
                        gone++;
        }
        l->file_count -= gone;
        memmove(l->files, l->files + gone, l->file_count * sizeof(*l->files));
        pthread_mutex_unlock(&l->lock);
        return r;
}

int segment_space(struct segment_log *l, struct segment_space *ret)
{
        struct statvfs fs;
        uint64_t all = 0;

        if (fstatvfs(l->dir_fd, &fs) < 0)
                return -errno;
        pthread_mutex_lock(&l->lock);
        for (unsigned i = 0; i < l->file_count; i++)
                all += l->files[i].bytes;
        *ret = (struct segment_space){
                .files = l->file_count,
                .free_files = l->free_count,
                .log_bytes = all,
                .ready_bytes = l->plan_limit - l->plan.offset + (l->ready - l->plan.file) * (l->segment_bytes - SEGMENT_HEADER_BYTES),
                .disk_bytes = (uint64_t)fs.f_blocks * fs.f_frsize,
                .disk_free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize,
        };
        pthread_mutex_unlock(&l->lock);
        return 0;
}

uint64_t segment_first_seq(struct segment_log *l)
{
        uint64_t seq;

        pthread_mutex_lock(&l->lock);
        seq = l->file_count > 0 ? l->files[0].first_seq : 1;
        pthread_mutex_unlock(&l->lock);
        return seq;
}
