/* segment_recover: what the files hold after a stop, however hard.
 *
 * One batch at a time is written and synced, so only the last one can be torn: entries or its head missing, in any
 * mixture, with nothing good behind its head.  That is dropped and erased, lest it stand again behind what is
 * written over it.  Anything else that does not read is damage, and is named. */
#include "common/segment_internal.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/macro.h"

#define SEARCH_WORK 8                           /* times the file's size */

struct recovery {
        struct segment_log *log;
        const struct segment_options *options;
        struct segment_recovery *out;
        struct segment_reader reader;
        uint64_t epoch, seq;                    /* of the last entry read */
        bool reading;                           /* files are walked, no longer only looked at */
};

__attribute__((format(printf, 3, 4)))
static int damaged(struct recovery *rc, struct segment_place place, const char *format, ...)
{
        va_list ap;

        rc->out->damage = place;
        va_start(ap, format);
        vsnprintf(rc->out->reason, sizeof(rc->out->reason), format, ap);
        va_end(ap);
        return -EBADMSG;
}

/* -- The directory. -- */

static bool name_parse(const char *name, const char *suffix, uint64_t *ret)
{
        char *end;

        if (strspn(name, "0123456789abcdef") != 16 || strcmp(name + 16, suffix) != 0)
                return false;
        *ret = strtoull(name, &end, 16);
        return *ret > 0;
}

/* Prepared and free files become free ones, if they have the right size. */
static int keep_spare(struct segment_log *l, const char *name, uint64_t number)
{
        char to[SEGMENT_NAME_BYTES];
        struct stat st;

        if (l->read_only)
                return 0;
        if (fstatat(l->dir_fd, name, &st, 0) < 0)
                return -errno;
        if ((uint64_t)st.st_size != l->segment_bytes)
                return unlinkat(l->dir_fd, name, 0) < 0 ? -errno : 0;
        segment_name_free(number, to);
        if (renameat(l->dir_fd, name, l->dir_fd, to) < 0)
                return -errno;
        l->free_count++;
        return 0;
}

static int compare_numbers(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

struct numbers { uint64_t *p; size_t n, room; };

static int numbers_add(struct numbers *v, uint64_t number)
{
        if (v->n == v->room) {
                size_t room = v->room ? 2 * v->room : 64;
                uint64_t *p = realloc(v->p, room * sizeof(*p));

                if (!p)
                        return -ENOMEM;
                v->p = p;
                v->room = room;
        }
        v->p[v->n++] = number;
        return 0;
}

static void numbers_free(struct numbers *v) { free(v->p); }
static void dir_closep(DIR **d) { if (*d) closedir(*d); }

/* All names first: renaming while a directory is read may show a name twice. */
static int list_names(struct segment_log *l, const char *suffix, struct numbers *ret)
{
        int fd = openat(l->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(dir_closep) DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
        struct dirent *e;
        uint64_t number;
        int r = 0;

        if (!d) {
                r = -errno;
                if (fd >= 0)
                        close(fd);
                return r;
        }
        while (r == 0 && (e = readdir(d)))
                if (name_parse(e->d_name, suffix, &number))
                        r = numbers_add(ret, number);
        if (r == 0 && ret->n > 0)
                qsort(ret->p, ret->n, sizeof(*ret->p), compare_numbers);
        return r;
}

/* What a crash left of a rewriting: the old file still stands, and says what is to be done. */
static int sweep_new(struct segment_log *l)
{
        _cleanup_(numbers_free) struct numbers new = {0};
        char name[SEGMENT_NAME_BYTES];
        int r = list_names(l, ".new", &new);

        for (size_t i = 0; r == 0 && !l->read_only && i < new.n; i++) {
                segment_name_new(new.p[i], name);
                if (unlinkat(l->dir_fd, name, 0) < 0)
                        r = -errno;
        }
        return r;
}

static int sweep_spares(struct segment_log *l)
{
        _cleanup_(numbers_free) struct numbers ready = {0}, kept = {0};
        char name[SEGMENT_NAME_BYTES];
        int r = sweep_new(l);

        if (r == 0)
                r = list_names(l, ".free", &kept);

        for (size_t i = 0; r == 0 && i < kept.n; i++) {
                segment_name_free(kept.p[i], name);
                r = keep_spare(l, name, kept.p[i]);
        }
        if (r == 0)
                r = list_names(l, ".ready", &ready);
        for (size_t i = 0; r == 0 && i < ready.n; i++) {
                segment_name_ready(ready.p[i], name);
                r = keep_spare(l, name, ready.p[i]);
        }
        if (r == 0 && !l->read_only && fsync(l->dir_fd) < 0)
                r = -errno;
        return r;
}

/* -- One file. -- */

/* 1: its header is whole and right; 0: it is not; -EXDEV: another domain's. */
static int read_header(struct recovery *rc, uint64_t number, struct segment_file *ret)
{
        struct segment_header h;
        const uint8_t *b;
        int r = segment_reader_bytes(&rc->reader, 0, SEGMENT_HEADER_BYTES, &b);

        if (r <= 0)
                return r;
        if (!segment_header_decode(b, &h) || h.file != number || h.bytes != rc->reader.size)
                return 0;
        if (strcmp(h.domain, rc->log->domain) != 0)
                return -EXDEV;
        *ret = (struct segment_file){ h.file, h.first_seq, h.epoch, h.bytes, h.map, h.bodies_to, h.inputs_to };
        return 1;
}

/* Reads on from `*at` as long as records follow each other.  *ret_end: behind the last head, or where it began. */
static int walk(struct recovery *rc, struct segment_place *at, struct segment_place *ret_end)
{
        struct segment_record rec;
        int r;

        *ret_end = *at;
        while ((r = segment_reader_record(&rc->reader, at->file, at->offset, rc->epoch, rc->seq + 1, &rec)) > 0) {
                *at = rec.next;
                rc->epoch = rec.epoch;
                rc->seq = rec.seq;
                if (rec.type == SEGMENT_MAP)
                        *ret_end = rec.next;
                if (rec.type == SEGMENT_HEAD) {
                        rc->out->epoch = rec.epoch;
                        rc->out->last_seq = rec.seq;
                        rc->out->head = rec.place;
                        *ret_end = rec.next;
                }
        }
        return r;
}

struct leftover { unsigned records; uint64_t bytes; struct segment_place beyond; };

/* Good records behind `from` that are newer than the last head; `beyond`: one that stands behind a head of them.
 * Old content may be made to look like many records: the bytes hashed are bounded, and then there is something left. */
static int search_leftover(struct recovery *rc, struct segment_place from, struct leftover *ret)
{
        uint64_t epoch = rc->out->epoch, offset = from.offset, covered = 0, work = SEARCH_WORK * rc->reader.size;
        const uint8_t *rest;
        int r = segment_reader_bytes(&rc->reader, from.offset, (size_t)(rc->reader.size - from.offset), &rest);

        *ret = (struct leftover){0};
        if (r < 0)
                return r;
        while (offset + SEGMENT_RECORD_OVERHEAD <= rc->reader.size) {
                struct segment_record rec;

                r = segment_reader_later(&rc->reader, from.file, offset, epoch, rc->out->last_seq + 1, &work, &rec);
                if (r == -E2BIG) {
                        ret->records++;
                        return 0;
                }
                if (r < 0)
                        return r;
                if (r == 0) {
                        offset += 8;
                        continue;
                }
                if (covered > 0 && rec.seq > covered && ret->beyond.file == 0)
                        ret->beyond = rec.place;
                if (rec.type == SEGMENT_HEAD)
                        covered = rec.seq;
                epoch = rec.epoch;
                ret->records++;
                ret->bytes += rec.next.offset - offset;
                offset = rec.next.offset;
        }
        return 0;
}

/* From `from` on nothing that was written may be read again; the space stays ours. */
static int erase_tail(struct recovery *rc, struct segment_place from)
{
        char name[SEGMENT_NAME_BYTES];
        off_t n = (off_t)(rc->reader.size - from.offset);
        int fd, r = 0;

        segment_name(from.file, name);
        fd = openat(rc->log->dir_fd, name, O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from.offset, n) < 0 ||
            fallocate(fd, 0, (off_t)from.offset, n) < 0 || fsync(fd) < 0)
                r = -errno;
        close(fd);
        return r;
}

/* The end of the log: what stands behind `end` was never synced, or is damage at `stop`. */
static int settle_tail(struct recovery *rc, struct segment_place stop, struct segment_place end)
{
        struct leftover left;
        int r = search_leftover(rc, end, &left);

        if (r < 0)
                return r;
        if (left.beyond.file > 0)
                return damaged(rc, stop, "entry %" PRIu64 " does not read, yet good records follow at offset %" PRIu64,
                               rc->seq + 1, left.beyond.offset);
        if (rc->out->last_seq < rc->options->synced_seq)
                return damaged(rc, stop, "entry %" PRIu64 " was synced, the log ends with %" PRIu64, rc->options->synced_seq, rc->out->last_seq);
        rc->out->dropped_records += left.records;
        rc->out->dropped_bytes += left.bytes;
        if (left.records > 0 && !rc->log->read_only)
                return erase_tail(rc, end);
        return 0;
}

/* -- The files in order. -- */

static void begin_walk(struct recovery *rc, const struct segment_file *file)
{
        rc->epoch = file->epoch;
        rc->seq = file->first_seq - 1;
        if (!rc->reading) {                     /* what is before is taken as its files say */
                rc->out->epoch = file->epoch;
                rc->out->last_seq = file->first_seq - 1;
        }
        rc->reading = true;
}

/* A file in the middle ends with the head before the next one's first entry. */
static int check_closed(struct recovery *rc, const struct segment_file *file, const struct segment_file *next)
{
        struct segment_place at = { file->number, SEGMENT_HEADER_BYTES }, end;
        int r;

        begin_walk(rc, file);
        r = walk(rc, &at, &end);
        if (r < 0)
                return r;
        if (rc->out->last_seq + 1 != next->first_seq || rc->out->head.file != file->number || end.offset != at.offset)
                return damaged(rc, at, "entry %" PRIu64 " does not read, yet file %" PRIu64 " goes on with %" PRIu64,
                               rc->seq + 1, next->number, next->first_seq);
        return 0;
}

static int check_last(struct recovery *rc, const struct segment_file *file)
{
        struct segment_place at = { file->number, SEGMENT_HEADER_BYTES }, end;
        int r;

        begin_walk(rc, file);
        r = walk(rc, &at, &end);
        if (r < 0)
                return r;
        rc->out->end = end;
        return settle_tail(rc, at, end);
}

/* The last file, of whose batches none is whole: it goes back to the free ones, and the one before is the last. */
static int drop_file(struct recovery *rc, uint64_t number)
{
        struct segment_place begin = { number, SEGMENT_HEADER_BYTES };
        int r = settle_tail(rc, begin, begin);

        if (r < 0 || rc->log->read_only)
                return r;
        return segment_files_retire(rc->log, number, rc->reader.size);
}

static int open_reader(struct recovery *rc, uint64_t number)
{
        segment_reader_close(&rc->reader);
        return segment_reader_open(&rc->reader, rc->log->dir_fd, number);
}

/* Takes in all headers; *ret_headless: the last file, if its header is not whole. */
static int read_headers(struct recovery *rc, const struct numbers *numbers, uint64_t *ret_headless)
{
        struct segment_log *l = rc->log;
        int r = 0;

        for (size_t i = 0; i < numbers->n; i++) {
                struct segment_file file;
                uint64_t number = numbers->p[i];

                if (i > 0 && number != numbers->p[i - 1] + 1)
                        return damaged(rc, (struct segment_place){ numbers->p[i - 1] + 1, 0 }, "file is missing");
                r = open_reader(rc, number);
                if (r == 0)
                        r = read_header(rc, number, &file);
                if (r < 0)
                        return r;
                if (r == 0) {
                        if (i + 1 < numbers->n)
                                return damaged(rc, (struct segment_place){ number, 0 }, "header does not read");
                        *ret_headless = number;
                        return 0;
                }
                if (l->file_count > 0 && file.first_seq <= l->files[l->file_count - 1].first_seq)
                        return damaged(rc, (struct segment_place){ number, 0 }, "begins with entry %" PRIu64 ", as an earlier file", file.first_seq);
                r = segment_files_add(l, file);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Walks from the file that the options name; the last one without a whole batch is dropped. */
static int walk_files(struct recovery *rc)
{
        struct segment_log *l = rc->log;
        unsigned i = 0;
        int r = 0;

        while (i + 1 < l->file_count && l->files[i].number < rc->options->check_from_file)
                i++;
        for (; r == 0 && i + 1 < l->file_count; i++) {
                r = open_reader(rc, l->files[i].number);
                if (r == 0)
                        r = check_closed(rc, &l->files[i], &l->files[i + 1]);
        }
        if (r == 0 && l->file_count > 0) {
                r = open_reader(rc, l->files[i].number);
                if (r == 0)
                        r = check_last(rc, &l->files[i]);
        }
        return r;
}

/* The last file has a header but no whole batch: then the file before is read to its end again. */
static int drop_empty_last(struct recovery *rc)
{
        struct segment_log *l = rc->log;
        int r;

        if (l->file_count == 0 || rc->out->head.file == l->files[l->file_count - 1].number)
                return 0;
        if (l->file_count == 1 && l->files[0].first_seq > 1)
                return damaged(rc, rc->out->end, "the only file begins with entry %" PRIu64 " and holds no whole batch", l->files[0].first_seq);
        if (!l->read_only) {
                const struct segment_file *last = &l->files[l->file_count - 1];

                r = segment_files_retire(l, last->number, last->bytes);
                if (r < 0)
                        return r;
        }
        l->file_count--;
        rc->out->end = (struct segment_place){0};
        if (l->file_count == 0) {
                rc->out->epoch = 0;
                return 0;
        }
        r = open_reader(rc, l->files[l->file_count - 1].number);
        return r < 0 ? r : check_last(rc, &l->files[l->file_count - 1]);
}

static void begin_plan(struct segment_log *l, struct segment_recovery *out)
{
        if (l->file_count == 0) {
                l->plan = (struct segment_place){ 1, SEGMENT_HEADER_BYTES };
                l->plan_limit = l->segment_bytes;
                l->ready = 0;
                out->end = l->plan;
                out->first_seq = 1;
                return;
        }
        l->plan = out->end;
        l->plan_limit = l->files[l->file_count - 1].bytes;
        l->ready = l->files[l->file_count - 1].number;
        out->first_seq = l->files[0].first_seq;
}

int segment_recover(struct segment_log *l, const struct segment_options *o, struct segment_recovery *out)
{
        struct recovery rc = { .log = l, .options = o, .out = out, .reader.fd = -1 };
        _cleanup_(numbers_free) struct numbers numbers = {0};
        uint64_t headless = 0;
        int r = sweep_spares(l);

        if (r == 0)
                r = list_names(l, ".seg", &numbers);
        if (r == 0)
                r = read_headers(&rc, &numbers, &headless);
        if (r == 0)
                r = walk_files(&rc);
        if (r == 0 && headless > 0) {
                r = open_reader(&rc, headless);
                if (r == 0)
                        r = drop_file(&rc, headless);
        } else if (r == 0) {
                r = drop_empty_last(&rc);
        }
        if (r == 0 && out->last_seq < o->synced_seq)
                r = damaged(&rc, out->end, "entry %" PRIu64 " was synced, the log ends with %" PRIu64, o->synced_seq, out->last_seq);
        if (r == 0)
                begin_plan(l, out);
        segment_reader_close(&rc.reader);
        return r;
}
