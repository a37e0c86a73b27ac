/* segment_read: one record at its place, or all of them in order.
 *
 * A file is opened for each read: with its hash that costs more than the descriptor, and nothing is shared between
 * threads.  A reader's buffer may hold what was there before a batch was written: what does not fit is read again. */
#include "common/segment_internal.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/macro.h"

#define READ_BYTES (256u << 10)

static int open_file(int dir_fd, uint64_t file, uint64_t *ret_size)
{
        char name[SEGMENT_NAME_BYTES];
        struct stat st;
        int fd;

        segment_name(file, name);
        fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0) {
                int r = -errno;

                close(fd);
                return r;
        }
        *ret_size = (uint64_t)st.st_size;
        return fd;
}

/* Exactly `n` bytes, or -EBADMSG at the end of the file. */
static int read_at(int fd, void *buffer, size_t n, uint64_t offset)
{
        uint8_t *p = buffer;

        while (n > 0) {
                ssize_t got = pread(fd, p, n, (off_t)offset);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -errno;
                if (got == 0)
                        return -EBADMSG;
                p += got;
                n -= (size_t)got;
                offset += (uint64_t)got;
        }
        return 0;
}

int segment_reader_open(struct segment_reader *r, int dir_fd, uint64_t file)
{
        int fd = open_file(dir_fd, file, &r->size);

        if (fd < 0)
                return fd;
        r->fd = fd;
        r->filled = 0;
        return 0;
}

void segment_reader_close(struct segment_reader *r)
{
        if (r->fd >= 0)
                close(r->fd);
        free(r->buffer);
        *r = (struct segment_reader){ .fd = -1 };
}

void segment_reader_forget(struct segment_reader *r)
{
        r->filled = 0;
}

static int reader_fill(struct segment_reader *r, uint64_t offset, size_t n)
{
        size_t want = n > READ_BYTES ? n : READ_BYTES;
        int e;

        if (want > r->size - offset)
                want = (size_t)(r->size - offset);
        if (want > r->room) {
                uint8_t *buffer = realloc(r->buffer, want);

                if (!buffer)
                        return -ENOMEM;
                r->buffer = buffer;
                r->room = want;
        }
        r->filled = 0;
        e = read_at(r->fd, r->buffer, want, offset);
        if (e < 0)
                return e;
        r->at = offset;
        r->filled = want;
        return 0;
}

int segment_reader_bytes(struct segment_reader *r, uint64_t offset, size_t n, const uint8_t **ret)
{
        int e;

        if (offset > r->size || n > r->size - offset)
                return 0;
        if (n == 0) {
                *ret = (const uint8_t *)"";
                return 1;                       /* there may be no buffer yet */
        }
        if (r->filled == 0 || offset < r->at || offset - r->at > r->filled || n > r->filled - (size_t)(offset - r->at)) {
                e = reader_fill(r, offset, n);
                if (e < 0)
                        return e;
        }
        *ret = r->buffer + (offset - r->at);
        return 1;
}

/* 1 and a record's bytes, if something of a record's form is whole there. */
static int reader_shape(struct segment_reader *r, uint64_t file, uint64_t offset, const uint8_t **ret_bytes, struct segment_record *ret)
{
        enum segment_type type;
        const uint8_t *b;
        uint32_t length;
        int e = segment_reader_bytes(r, offset, SEGMENT_RECORD_OVERHEAD, &b);

        if (e <= 0)
                return e;
        if (!segment_record_peek(b, &type, &length))
                return 0;
        e = segment_reader_bytes(r, offset, segment_record_bytes(length), &b);
        if (e <= 0)
                return e;
        *ret_bytes = b;
        *ret = (struct segment_record){
                .type = type,
                .payload = bytes_of(b + SEGMENT_RECORD_OVERHEAD, length),
                .place = { file, offset },
                .next = { file, offset + segment_record_bytes(length) },
        };
        return 1;
}

int segment_reader_record(struct segment_reader *r, uint64_t file, uint64_t offset, uint64_t epoch, uint64_t seq, struct segment_record *ret)
{
        struct segment_record rec;
        struct segment_entry entry;
        const uint8_t *b;
        int e = reader_shape(r, file, offset, &b, &rec);

        if (e <= 0)
                return e;
        rec.epoch = epoch;
        rec.seq = seq - 1;
        if (rec.type != SEGMENT_HEAD && rec.type != SEGMENT_MAP) {
                if (!segment_record_entry(rec.type, rec.payload, &entry) || entry.seq != seq || entry.epoch - epoch > 1)
                        return 0;
                rec.epoch = entry.epoch;
                rec.seq = seq;
        }
        if (!segment_record_check(b, rec.epoch, rec.seq))
                return 0;
        *ret = rec;
        return 1;
}

int segment_reader_later(struct segment_reader *r, uint64_t file, uint64_t offset, uint64_t epoch, uint64_t seq,
                         uint64_t *work, struct segment_record *ret)
{
        struct segment_record rec;
        struct segment_entry entry;
        const uint8_t *b;
        int e = reader_shape(r, file, offset, &b, &rec);

        if (e <= 0)
                return e;
        if (rec.type != SEGMENT_HEAD && rec.type != SEGMENT_MAP) {
                if (!segment_record_entry(rec.type, rec.payload, &entry))
                        return 0;
                rec.epoch = entry.epoch;
                rec.seq = entry.seq;
        } else {
                rec.epoch = epoch;
                rec.seq = segment_note_seq(rec.payload);
        }
        if (rec.seq < seq)
                return 0;
        if (rec.payload.n > *work)
                return -E2BIG;
        *work -= rec.payload.n;
        if (!segment_record_check(b, rec.epoch, rec.seq))
                return 0;
        *ret = rec;
        return 1;
}

/* -- One record. -- */

static int grow_buffer(uint8_t **buffer, size_t *buffer_bytes, size_t n)
{
        uint8_t *p;

        if (n <= *buffer_bytes)
                return 0;
        p = realloc(*buffer, n);
        if (!p)
                return -ENOMEM;
        *buffer = p;
        *buffer_bytes = n;
        return 0;
}

static int read_record(int fd, uint64_t size, uint64_t offset, uint8_t **buffer, size_t *buffer_bytes, enum segment_type *ret_type, uint32_t *ret_length)
{
        uint8_t first[SEGMENT_RECORD_OVERHEAD];
        size_t whole;
        int r;

        if (offset < SEGMENT_HEADER_BYTES || offset > size)
                return -EBADMSG;
        r = read_at(fd, first, sizeof(first), offset);
        if (r < 0)
                return r;
        if (!segment_record_peek(first, ret_type, ret_length))
                return -EBADMSG;
        whole = segment_record_bytes(*ret_length);
        if (whole > size - offset)
                return -EBADMSG;
        r = grow_buffer(buffer, buffer_bytes, whole);
        if (r < 0)
                return r;
        return read_at(fd, *buffer, whole, offset);
}

/* The file numbered `number`, or the oldest for 0.  1, or 0. */
static int find_file(struct segment_log *l, uint64_t number, struct segment_file *ret)
{
        int r = 0;

        pthread_mutex_lock(&l->lock);
        if (l->file_count > 0) {
                uint64_t i = number == 0 ? 0 : number - l->files[0].number;

                if (i < l->file_count) {
                        *ret = l->files[i];
                        r = 1;
                }
        }
        pthread_mutex_unlock(&l->lock);
        return r;
}

/* Where entry `seq` stands, if its file was rewritten since `place` was noted.  -EBADMSG also where it was rewritten between
 * its opening and now: then it is to be opened again. */
static int place_now(struct segment_log *l, int fd, uint64_t size, uint64_t seq, struct segment_place *place)
{
        struct segment_file file;
        int r;

        if (!find_file(l, place->file, &file) || file.map == 0)
                return 0;
        if (file.bytes != size)
                return -EBADMSG;
        r = segment_map_find(fd, &file, seq, &place->offset);
        return r == 0 ? -EBADMSG : r < 0 ? r : 0;
}

/* `epoch` NULL: the one that the entry itself says. */
static int read_checked(struct segment_log *l, struct segment_place place, const uint64_t *epoch, uint64_t seq,
                        uint8_t **buffer, size_t *buffer_bytes, struct segment_record *ret)
{
        struct segment_entry entry = {0};
        uint64_t size;
        uint32_t length;
        enum segment_type type;
        int fd = open_file(l->dir_fd, place.file, &size), r;

        if (fd < 0)
                return fd;
        r = place_now(l, fd, size, seq, &place);
        if (r == 0)
                r = read_record(fd, size, place.offset, buffer, buffer_bytes, &type, &length);
        close(fd);
        if (r < 0)
                return r;
        *ret = (struct segment_record){
                .type = type, .seq = seq,
                .payload = bytes_of(*buffer + SEGMENT_RECORD_OVERHEAD, length),
                .place = place, .next = { place.file, place.offset + segment_record_bytes(length) },
        };
        if (type == SEGMENT_HEAD || type == SEGMENT_MAP ? !epoch : !segment_record_entry(type, ret->payload, &entry) || entry.seq != seq)
                return -EBADMSG;
        ret->epoch = epoch ? *epoch : entry.epoch;
        return segment_record_check(*buffer, ret->epoch, seq) ? 0 : -EBADMSG;
}

/* A file that was recycled while we read holds something else: then it is gone, not damaged. */
static int explain(struct segment_log *l, struct segment_place place, int r)
{
        bool kept;

        if (r != -EBADMSG)
                return r;
        pthread_mutex_lock(&l->lock);
        kept = l->file_count > 0 && place.file >= l->files[0].number;
        pthread_mutex_unlock(&l->lock);
        return kept ? -EBADMSG : -ENOENT;
}

/* A file that was rewritten between the look at its map and its opening reads at the second try. */
static int read_twice(struct segment_log *l, struct segment_place place, const uint64_t *epoch, uint64_t seq,
                      uint8_t **buffer, size_t *buffer_bytes, struct segment_record *ret)
{
        int r = read_checked(l, place, epoch, seq, buffer, buffer_bytes, ret);

        return explain(l, place, r == -EBADMSG ? read_checked(l, place, epoch, seq, buffer, buffer_bytes, ret) : r);
}

int segment_read(struct segment_log *l, struct segment_place place, uint64_t epoch, uint64_t seq,
                 uint8_t **buffer, size_t *buffer_bytes, struct segment_record *ret)
{
        return read_twice(l, place, &epoch, seq, buffer, buffer_bytes, ret);
}

int segment_read_left(struct segment_log *l, struct segment_place place, uint64_t seq,
                       uint8_t **buffer, size_t *buffer_bytes, struct segment_entry *ret)
{
        struct segment_record record;
        int r = read_twice(l, place, NULL, seq, buffer, buffer_bytes, &record);

        if (r == 0)
                segment_record_entry(record.type, record.payload, ret);
        return r;
}

int segment_peek_entry(struct segment_log *l, struct segment_place place, uint64_t seq, uint8_t buffer[SEGMENT_PEEK_BYTES], struct bytes *ret)
{
        struct segment_entry entry;
        enum segment_type type;
        uint32_t length;
        uint64_t size;
        size_t n;
        int fd = open_file(l->dir_fd, place.file, &size), r;

        if (fd < 0)
                return fd;
        r = place_now(l, fd, size, seq, &place);
        n = place.offset > size ? 0 : size - place.offset < SEGMENT_PEEK_BYTES ? (size_t)(size - place.offset) : SEGMENT_PEEK_BYTES;
        if (r == 0)
                r = n < SEGMENT_RECORD_OVERHEAD ? -EBADMSG : read_at(fd, buffer, n, place.offset);
        close(fd);
        if (r < 0)
                return r;
        if (!segment_record_peek(buffer, &type, &length) || type != SEGMENT_ENTRY)
                return 0;
        if (length < n - SEGMENT_RECORD_OVERHEAD)
                n = SEGMENT_RECORD_OVERHEAD + length;
        if (!segment_entry_decode(bytes_of(buffer + SEGMENT_RECORD_OVERHEAD, n - SEGMENT_RECORD_OVERHEAD), &entry) || entry.seq != seq)
                return 0;
        *ret = entry.envelope;
        return 1;
}

int segment_read_entry(struct segment_log *l, struct segment_place place, uint64_t seq,
                       uint8_t **buffer, size_t *buffer_bytes, struct segment_entry *ret)
{
        int r = segment_read_left(l, place, seq, buffer, buffer_bytes, ret);

        return r == 0 && ret->gone ? -ENOENT : r;
}

/* -- All in order. -- */

struct segment_cursor {
        struct segment_log *log;
        struct segment_reader reader;
        struct segment_place place;
        uint64_t epoch, seq;                    /* the next entry's; epoch: or one more */
};

/* To the beginning of `file`; the records there must go on where the cursor is. */
static int cursor_enter(struct segment_cursor *c, const struct segment_file *file)
{
        segment_reader_close(&c->reader);
        c->place = (struct segment_place){ file->number, SEGMENT_HEADER_BYTES };
        c->epoch = file->epoch;
        c->seq = file->first_seq;
        return segment_reader_open(&c->reader, c->log->dir_fd, file->number);
}

static int cursor_open_at(struct segment_cursor *c, struct segment_place place)
{
        int r;

        segment_reader_close(&c->reader);
        c->place = place;
        r = segment_reader_open(&c->reader, c->log->dir_fd, place.file);
        return r == 0 ? place_now(c->log, c->reader.fd, c->reader.size, c->seq, &c->place) : r;
}

int segment_cursor_open(struct segment_log *l, struct segment_place place, uint64_t epoch, uint64_t seq, struct segment_cursor **ret)
{
        struct segment_cursor *c = calloc(1, sizeof(*c));
        struct segment_file file;
        int r = 0;

        if (!c)
                return -ENOMEM;
        *c = (struct segment_cursor){ .log = l, .reader.fd = -1, .place = place, .epoch = epoch, .seq = seq };
        if (find_file(l, place.file, &file)) {
                r = place.file == 0 ? cursor_enter(c, &file) : cursor_open_at(c, place);
                if (r == -EBADMSG)
                        r = cursor_open_at(c, place);
        } else if (place.file != 0 && segment_first_seq(l) > seq) {
                r = -ENOENT;
        }
        if (r < 0) {
                segment_cursor_close(c);
                return r;
        }
        *ret = c;
        return 0;
}

int segment_cursor_open_near(struct segment_log *l, uint64_t seq, struct segment_cursor **ret)
{
        struct segment_file file = { 0 };

        pthread_mutex_lock(&l->lock);
        for (unsigned i = 0; i < l->file_count && (i == 0 || l->files[i].first_seq <= seq); i++)
                file = l->files[i];
        pthread_mutex_unlock(&l->lock);
        if (file.number == 0)
                return segment_cursor_open(l, (struct segment_place){ 0 }, 0, 0, ret);
        return segment_cursor_open(l, (struct segment_place){ file.number, SEGMENT_HEADER_BYTES }, file.epoch, file.first_seq, ret);
}

void segment_cursor_close(struct segment_cursor *c)
{
        if (!c)
                return;
        segment_reader_close(&c->reader);
        free(c);
}

/* Nothing more fits here: is there a next file that goes on?  1, 0 (end of the log), -EBADMSG. */
static int cursor_turn(struct segment_cursor *c)
{
        struct segment_file file;
        bool fresh = c->reader.fd < 0 && c->place.file == 0;
        int r;

        if (!find_file(c->log, fresh ? 0 : c->place.file + 1, &file))
                return 0;
        if (!fresh && file.first_seq != c->seq)
                return -EBADMSG;
        r = cursor_enter(c, &file);
        return r < 0 ? r : 1;
}

/* What is at the cursor's place, and stays so when it is read anew. */
static int cursor_look(struct segment_cursor *c, struct segment_record *ret)
{
        int r;

        if (c->reader.fd < 0 && c->place.file > 0) {    /* its file was not there when the cursor was opened */
                r = segment_reader_open(&c->reader, c->log->dir_fd, c->place.file);
                if (r < 0)
                        return r == -ENOENT ? 0 : r;
        }
        if (c->reader.fd < 0)
                return 0;
        r = segment_reader_record(&c->reader, c->place.file, c->place.offset, c->epoch, c->seq, ret);
        if (r != 0)
                return r;
        segment_reader_forget(&c->reader);
        return segment_reader_record(&c->reader, c->place.file, c->place.offset, c->epoch, c->seq, ret);
}

int segment_cursor_next(struct segment_cursor *c, struct segment_record *ret)
{
        int r = cursor_look(c, ret);

        if (r == 0) {
                r = cursor_turn(c);
                if (r > 0)
                        r = cursor_look(c, ret);
                else if (r == -EBADMSG)         /* the writer may have finished the file since we looked */
                        r = cursor_look(c, ret) == 1 ? 1 : -EBADMSG;
        }
        if (r <= 0)
                return r;
        c->place = ret->next;
        if (ret->type == SEGMENT_MAP)           /* the file ends; nobody outside needs it */
                return segment_cursor_next(c, ret);
        if (ret->type != SEGMENT_HEAD) {
                c->epoch = ret->epoch;
                c->seq = ret->seq + 1;
        }
        return 1;
}
