/* segment_check: the whole log read for what is wrong with it.
 *
 * Recovery stops at the first damage, for nothing may be built upon it.  Who has to repair wants to know all: so this walk takes up
 * again at the next record that holds.  Records say their own epoch and seq, so one that does not read hides no other. */
#include "common/segment_internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "common/macro.h"

#define SEARCH_WORK 64                          /* times the file's size: what a search may hash */

struct check {
        const char *domain;
        uint64_t synced_seq;
        void (*tell)(void *ctx, const struct segment_damage *d);
        void *ctx;
        struct segment_checked *out;
        int dir_fd;
        uint64_t *files;
        size_t files_n;
        struct segment_reader reader;
        uint64_t epoch, next;                   /* of the entry that should come; next 0: not known yet */
        uint64_t headed;                        /* the last entry that a head covers */
        struct segment_place end;               /* behind the last good record */
};

__attribute__((format(printf, 5, 6)))
static void damaged(struct check *c, struct segment_place place, uint64_t first, uint64_t last, const char *format, ...)
{
        struct segment_damage d = { .place = place, .first = first, .last = last };
        va_list ap;

        va_start(ap, format);
        vsnprintf(d.reason, sizeof(d.reason), format, ap);
        va_end(ap);
        c->out->damages++;
        c->tell(c->ctx, &d);
}

/* ---- the directory ---- */

static int compare_numbers(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

static int list_files(struct check *c)
{
        int fd = openat(c->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
        struct dirent *e;
        int r = d ? 0 : -errno;

        while (r == 0 && (e = readdir(d))) {
                uint64_t *more;

                if (strspn(e->d_name, "0123456789abcdef") != 16 || strcmp(e->d_name + 16, ".seg") != 0)
                        continue;
                more = realloc(c->files, (c->files_n + 1) * sizeof(*more));
                if (!more) {
                        r = -ENOMEM;
                        break;
                }
                c->files = more;
                c->files[c->files_n++] = strtoull(e->d_name, NULL, 16);
        }
        if (d)
                closedir(d);
        else if (fd >= 0)
                close(fd);
        if (c->files_n > 0)
                qsort(c->files, c->files_n, sizeof(*c->files), compare_numbers);
        return r == 0 && c->files_n == 0 ? -ENOENT : r;
}

/* ---- a file ---- */

/* The first record that holds, at `from` or behind it: 1, 0, or a fault. */
static int find_later(struct check *c, uint64_t file, uint64_t from, uint64_t *work, struct segment_record *ret)
{
        for (uint64_t offset = from; offset + SEGMENT_RECORD_OVERHEAD <= c->reader.size; offset += 8) {
                int r = segment_reader_later(&c->reader, file, offset, c->epoch, c->next > 1 ? c->next - 1 : 1, work, ret);

                if (r == -E2BIG)
                        return 0;
                if (r != 0)
                        return r;
        }
        return 0;
}

static void take(struct check *c, const struct segment_record *rec)
{
        c->epoch = rec->epoch;
        c->next = rec->seq + 1;
        if (rec->type == SEGMENT_HEAD) {
                c->out->heads++;
                c->headed = rec->seq;
        } else if (rec->type != SEGMENT_MAP) {
                c->out->entries++;
        }
        if (rec->type != SEGMENT_MAP)
                c->out->last_seq = rec->seq;
        if (c->out->first_seq == 0)
                c->out->first_seq = rec->seq;
}

/* Is what stands from `rec` on more than the rest of one group that was never synced? */
static int is_beyond(struct check *c, struct segment_record rec, uint64_t *work, bool *ret)
{
        int r = 1;

        while (r > 0 && rec.type != SEGMENT_HEAD)
                r = find_later(c, rec.place.file, rec.next.offset, work, &rec);
        if (r > 0)
                r = find_later(c, rec.place.file, rec.next.offset, work, &rec);
        *ret = r > 0;
        return r < 0 ? r : 0;
}

static void tell_gap(struct check *c, struct segment_place at, const struct segment_record *found)
{
        uint64_t last = found->type == SEGMENT_HEAD ? found->seq : found->seq - 1;

        if (last >= c->next)
                damaged(c, at, c->next, last, "does not read; good records go on at offset %" PRIu64, found->place.offset);
        else
                damaged(c, at, 0, 0, "a head does not read; good records go on at offset %" PRIu64, found->place.offset);
}

/* Records of one file as far as they go.  `last`: no file follows. */
static int walk_records(struct check *c, uint64_t file, bool last)
{
        struct segment_place at = { file, SEGMENT_HEADER_BYTES };
        uint64_t work = SEARCH_WORK * c->reader.size;
        struct segment_record rec;
        int r;

        for (;;) {
                c->end = at;
                r = c->next > 0 ? segment_reader_record(&c->reader, file, at.offset, c->epoch, c->next, &rec) : 0;
                if (r == 0) {
                        bool beyond = true;

                        r = find_later(c, file, at.offset + (c->next > 0 ? 8 : 0), &work, &rec);
                        if (r > 0 && last && c->next > c->synced_seq)
                                r = is_beyond(c, rec, &work, &beyond) < 0 ? -EIO : beyond;
                        if (r > 0 && c->next > 0)
                                tell_gap(c, at, &rec);
                }
                if (r <= 0)
                        return r;
                take(c, &rec);
                at = rec.next;
        }
}

/* What its header says; 1, 0 (told) or a fault. */
static int read_header(struct check *c, uint64_t file, struct segment_header *ret)
{
        const uint8_t *b;
        int r = segment_reader_bytes(&c->reader, 0, SEGMENT_HEADER_BYTES, &b);

        if (r < 0)
                return r;
        if (r > 0 && segment_header_decode(b, ret) && ret->file == file && strcmp(ret->domain, c->domain) == 0) {
                if (ret->bytes == c->reader.size)
                        return 1;
                damaged(c, (struct segment_place){ file, 0 }, 0, 0, "has %" PRIu64 " bytes, should have %" PRIu64, c->reader.size, ret->bytes);
                return 1;
        }
        damaged(c, (struct segment_place){ file, 0 }, 0, 0, "header does not read");
        return 0;
}

static int check_file(struct check *c, size_t i)
{
        struct segment_header h = { 0 };
        bool last = i + 1 == c->files_n;
        int r;

        if (i > 0 && c->files[i] != c->files[i - 1] + 1)
                damaged(c, (struct segment_place){ c->files[i - 1] + 1, 0 }, 0, 0, "file is missing");
        r = segment_reader_open(&c->reader, c->dir_fd, c->files[i]);
        if (r == 0)
                r = read_header(c, c->files[i], &h);
        if (r > 0 && h.first_seq > 0 && c->next > 0 && h.first_seq > c->next)
                damaged(c, c->end, c->next, h.first_seq - 1, "do not read; file %" PRIu64 " goes on with %" PRIu64, h.file, h.first_seq);
        else if (r > 0 && c->next > 0 && h.first_seq == c->next && c->headed + 1 != c->next)
                damaged(c, c->end, 0, 0, "its last head does not read; file %" PRIu64 " goes on", h.file);
        if (r > 0 && h.first_seq > c->next) {
                c->next = h.first_seq;
                c->epoch = h.epoch;
        }
        if (r >= 0)
                r = walk_records(c, c->files[i], last);
        segment_reader_close(&c->reader);
        c->out->files++;
        if (r == 0 && last && c->next > 0 && c->next <= c->synced_seq)
                damaged(c, c->end, c->next, c->synced_seq, "was synced, and does not read");
        else if (r == 0 && last && c->headed < c->synced_seq)
                damaged(c, c->end, 0, 0, "the last head was synced, and does not read");
        return r;
}

int segment_check(const char *dir, const char *domain, uint64_t synced_seq, void (*tell)(void *ctx, const struct segment_damage *d), void *ctx,
                  struct segment_checked *ret)
{
        struct check c = { .domain = domain, .synced_seq = synced_seq, .tell = tell, .ctx = ctx, .out = ret, .reader.fd = -1 };
        int r;

        *ret = (struct segment_checked){ 0 };
        c.dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (c.dir_fd < 0)
                return -errno;
        r = list_files(&c);
        for (size_t i = 0; r >= 0 && i < c.files_n; i++)
                r = check_file(&c, i);
        free(c.files);
        close(c.dir_fd);
        return r < 0 ? r : 0;
}
