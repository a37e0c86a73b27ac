/* segment_rewrite: a closed file of the log written anew, with less in it (DESIGN 2, REGULATIONS 9.2).
 *
 * The new file stands beside the old one as "N.new" until it is whole and synced, then takes its name: at every point one
 * of the two is there, and the old one says as well as the new what is still to be done.  Entries keep their file, so what
 * was noted elsewhere about their places stays true as far as the file goes; where in it they stand the MAP at its end says. */
#include "common/segment_internal.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "common/failpoint.h"
#include "common/macro.h"

#define WRITE_BYTES (1u << 20)

/* -- Which files. -- */

int segment_closed_find(struct segment_log *l, uint64_t from, struct segment_closed *ret)
{
        int r = 0;

        pthread_mutex_lock(&l->lock);
        for (unsigned i = 0; r == 0 && i + 1 < l->file_count; i++) {
                const struct segment_file *f = &l->files[i];

                if (f->number < from)
                        continue;
                *ret = (struct segment_closed){ .file = f->number, .epoch = f->epoch, .first_seq = f->first_seq, .last_seq = f[1].first_seq - 1,
                                                .bytes = f->bytes, .bodies_to = f->bodies_to, .inputs_to = f->inputs_to };
                r = 1;
        }
        pthread_mutex_unlock(&l->lock);
        return r;
}

/* -- The map of a rewritten file. -- */

static int read_exactly(int fd, void *buffer, size_t n, uint64_t offset)
{
        ssize_t got;

        do
                got = pread(fd, buffer, n, (off_t)offset);
        while (got < 0 && errno == EINTR);
        return got < 0 ? -errno : (size_t)got == n ? 0 : -EBADMSG;
}

/* Where the search for `seq` begins: at the last step of the map that is not behind it. */
static int map_step(int fd, const struct segment_file *file, uint64_t seq, uint64_t *ret_offset)
{
        uint8_t head[SEGMENT_RECORD_OVERHEAD + SEGMENT_MAP_PREFIX], place[4];
        enum segment_type type;
        uint32_t length, step;
        uint64_t first, at;
        int r = read_exactly(fd, head, sizeof(head), file->map);

        if (r < 0)
                return r;
        if (!segment_record_peek(head, &type, &length) || type != SEGMENT_MAP || length < SEGMENT_MAP_PREFIX)
                return -EBADMSG;
        first = get_le64(head + SEGMENT_RECORD_OVERHEAD);
        step = get_le32(head + SEGMENT_RECORD_OVERHEAD + 8);
        if (step == 0 || seq < first)
                return -EBADMSG;
        at = (seq - first) / step;
        if (at >= (length - SEGMENT_MAP_PREFIX) / 4)
                return 0;
        r = read_exactly(fd, place, 4, file->map + sizeof(head) + 4 * at);
        *ret_offset = (uint64_t)get_le32(place) * 8;
        return r < 0 ? r : 1;
}

/* The seq of the entry at `b`, whose type has been looked at; 0 of anything else. */
static uint64_t entry_seq(enum segment_type type, const uint8_t *b)
{
        const uint8_t *payload = b + SEGMENT_RECORD_OVERHEAD;

        switch (type) {
        case SEGMENT_ENTRY:
        case SEGMENT_TOMBSTONE:
                return get_le64(payload + 8);
        case SEGMENT_KEPT:
                return get_le64(payload + SEGMENT_KEPT_PREFIX + 8);
        default:
                return 0;
        }
}

int segment_map_find(int fd, const struct segment_file *file, uint64_t seq, uint64_t *ret_offset)
{
        uint8_t b[SEGMENT_RECORD_OVERHEAD + SEGMENT_KEPT_PREFIX + SEGMENT_ENTRY_PREFIX];
        uint64_t offset = 0;
        int r = map_step(fd, file, seq, &offset);

        while (r > 0 && offset + SEGMENT_RECORD_OVERHEAD < file->map) {
                enum segment_type type;
                uint32_t length;
                uint64_t here;

                r = read_exactly(fd, b, sizeof(b), offset);     /* a map is longer than the shortest record: never beyond the end */
                if (r < 0)
                        return r;
                if (!segment_record_peek(b, &type, &length))
                        return -EBADMSG;
                here = entry_seq(type, b);
                if (here >= seq) {
                        *ret_offset = offset;
                        return here == seq;
                }
                offset += segment_record_bytes(length);
                r = 1;
        }
        return r < 0 ? r : 0;
}

/* -- Writing. -- */

struct rewriter {
        struct segment_log *log;
        const struct segment_closed *file;
        struct segment_reader reader;
        int fd;
        uint8_t *buffer;                        /* of what is to be written at `offset` */
        size_t n, room;
        uint64_t offset;
        uint8_t *payload;                       /* of the record at hand */
        size_t payload_room;
        uint8_t *map;
        size_t map_n, map_room;
        uint64_t epoch, seq;                    /* of the last entry taken over */
};

static int make_room(uint8_t **p, size_t *room, size_t n)
{
        size_t more = *room > 0 ? *room : 4096;
        uint8_t *grown;

        if (n <= *room)
                return 0;
        while (more < n)
                more *= 2;
        grown = realloc(*p, more);
        if (!grown)
                return -ENOMEM;
        *p = grown;
        *room = more;
        return 0;
}

static int write_out(struct rewriter *w)
{
        for (size_t done = 0; done < w->n; ) {
                ssize_t n = pwrite(w->fd, w->buffer + done, w->n - done, (off_t)(w->offset + done));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EFBIG || errno == EDQUOT ? -ENOSPC : -errno;
                done += (size_t)n;
        }
        w->offset += w->n;
        w->n = 0;
        return 0;
}

static int put_record(struct rewriter *w, enum segment_type type, uint64_t epoch, uint64_t seq, struct bytes payload)
{
        size_t bytes = segment_record_bytes(payload.n);
        int r = w->n > 0 && w->n + bytes > WRITE_BYTES ? write_out(w) : 0;

        FAILPOINT("rewrite.half_written");
        if (r == 0)
                r = make_room(&w->buffer, &w->room, w->n + bytes);
        if (r < 0)
                return r;
        segment_record_encode(type, epoch, seq, payload, w->buffer + w->n);
        w->n += bytes;
        return 0;
}

/* Every SEGMENT_MAP_STEP-th entry's place goes into the map. */
static int note_place(struct rewriter *w, uint64_t seq)
{
        uint64_t offset = w->offset + w->n;
        int r;

        if ((seq - w->file->first_seq) % SEGMENT_MAP_STEP != 0)
                return 0;
        r = make_room(&w->map, &w->map_room, w->map_n + 4);
        if (r < 0)
                return r;
        put_le32(w->map + w->map_n, (uint32_t)(offset / 8));
        w->map_n += 4;
        return 0;
}

static int put_entry(struct rewriter *w, const struct segment_entry *e)
{
        size_t n = e->gone ? SEGMENT_TOMBSTONE_BYTES : SEGMENT_KEPT_PREFIX + SEGMENT_ENTRY_PREFIX + e->envelope.n;
        int r = make_room(&w->payload, &w->payload_room, n);

        if (r == 0)
                r = note_place(w, e->seq);
        if (r < 0)
                return r;
        if (e->gone)
                segment_tombstone_encode(e, w->payload);
        else
                segment_kept_encode(e, w->payload);
        return put_record(w, e->gone ? SEGMENT_TOMBSTONE : SEGMENT_KEPT, e->epoch, e->seq, bytes_of(w->payload, n));
}

static int take_record(struct rewriter *w, const struct segment_record *rec, segment_judge judge, void *ctx)
{
        struct segment_entry e;
        uint64_t seq = rec->seq;
        int r;

        w->epoch = rec->epoch;
        if (rec->type == SEGMENT_MAP)
                return 0;                       /* there will be a new one */
        if (rec->type == SEGMENT_HEAD)
                return put_record(w, SEGMENT_HEAD, rec->epoch, rec->seq, rec->payload);
        if (!segment_record_entry(rec->type, rec->payload, &e))
                return -EBADMSG;
        w->seq = seq;
        r = e.gone ? 0 : judge(ctx, &e);
        if (r < 0)
                return r;
        assert(e.seq == seq && (e.gone || e.judged));
        return put_entry(w, &e);
}

static int take_all(struct rewriter *w, segment_judge judge, void *ctx)
{
        uint64_t at = SEGMENT_HEADER_BYTES;
        struct segment_record rec;
        int r;

        w->epoch = w->file->epoch;
        w->seq = w->file->first_seq - 1;
        w->offset = SEGMENT_HEADER_BYTES;
        while ((r = segment_reader_record(&w->reader, w->file->file, at, w->epoch, w->seq + 1, &rec)) > 0) {
                at = rec.next.offset;
                r = take_record(w, &rec, judge, ctx);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : w->seq == w->file->last_seq ? 0 : -EBADMSG;
}

/* The map, then the header that says where it is. */
static int finish(struct rewriter *w, struct segment_header *h)
{
        uint8_t block[SEGMENT_HEADER_BYTES];
        int r = make_room(&w->payload, &w->payload_room, SEGMENT_MAP_PREFIX + w->map_n);

        if (r < 0)
                return r;
        put_le64(w->payload, w->file->first_seq);
        put_le32(w->payload + 8, SEGMENT_MAP_STEP);
        memcpy(w->payload + SEGMENT_MAP_PREFIX, w->map, w->map_n);
        h->map = w->offset + w->n;
        r = put_record(w, SEGMENT_MAP, w->epoch, w->seq, bytes_of(w->payload, SEGMENT_MAP_PREFIX + w->map_n));
        if (r == 0)
                r = make_room(&w->buffer, &w->room, w->n + SEGMENT_HEADER_BYTES);
        if (r < 0)
                return r;
        memset(w->buffer + w->n, 0, SEGMENT_HEADER_BYTES);      /* room behind it, so that no search reads beyond the end */
        w->n += SEGMENT_HEADER_BYTES;
        r = write_out(w);
        h->bytes = w->offset;
        segment_header_encode(h, block);
        if (r == 0 && pwrite(w->fd, block, sizeof(block), 0) != (ssize_t)sizeof(block))
                r = errno ? -errno : -EIO;
        FAILPOINT("rewrite.before_sync");
        return r == 0 && fsync(w->fd) < 0 ? -errno : r;
}

/* The new file takes the old one's name, and who reads from now on finds it. */
static int replace(struct segment_log *l, const struct segment_header *h, const char *from)
{
        char to[SEGMENT_NAME_BYTES];
        int r = 0;

        segment_name(h->file, to);
        FAILPOINT("rewrite.before_rename");
        pthread_mutex_lock(&l->lock);
        if (l->file_count == 0 || h->file < l->files[0].number)
                r = -ENOENT;                    /* released meanwhile */
        else if (renameat(l->dir_fd, from, l->dir_fd, to) < 0)
                r = -errno;
        else
                l->files[h->file - l->files[0].number] = (struct segment_file){ h->file, h->first_seq, h->epoch, h->bytes, h->map, h->bodies_to, h->inputs_to };
        pthread_mutex_unlock(&l->lock);
        FAILPOINT("rewrite.after_rename");
        return r == 0 && fsync(l->dir_fd) < 0 ? -errno : r;
}

static int rewrite(struct rewriter *w, const struct segment_marks *marks, segment_judge judge, void *ctx, struct segment_header *h)
{
        const struct segment_closed *f = w->file;
        int r = segment_reader_open(&w->reader, w->log->dir_fd, f->file);

        *h = (struct segment_header){ .file = f->file, .first_seq = f->first_seq, .epoch = f->epoch };
        strcpy(h->domain, w->log->domain);
        if (r == 0)
                r = take_all(w, judge, ctx);
        h->bodies_to = marks->bodies_to;
        h->inputs_to = marks->inputs_to;
        return r == 0 ? finish(w, h) : r;
}

int segment_rewrite(struct segment_log *l, const struct segment_closed *file, const struct segment_marks *marks,
                    segment_judge judge, void *ctx, uint64_t *ret_bytes)
{
        struct rewriter w = { .log = l, .file = file, .reader.fd = -1 };
        char name[SEGMENT_NAME_BYTES];
        struct segment_header h;
        int r;

        assert(!l->read_only);
        segment_name_new(file->file, name);
        w.fd = openat(l->dir_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (w.fd < 0)
                return -errno;
        r = rewrite(&w, marks, judge, ctx, &h);
        if (close(w.fd) < 0 && r == 0)
                r = -errno;
        if (r == 0)
                r = replace(l, &h, name);
        if (r < 0)
                unlinkat(l->dir_fd, name, 0);
        else
                *ret_bytes = h.bytes;
        segment_reader_close(&w.reader);
        free(w.buffer);
        free(w.payload);
        free(w.map);
        return r;
}
