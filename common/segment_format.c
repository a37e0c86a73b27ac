/* segment_format: bytes of file headers, records and batches.  Pure. */
#include "common/segment_internal.h"
#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include "common/digest.h"

#define MAGIC "SHUYISEG"
#define VERSION 1
#define HEADER_USED (8 + 4 + 4 + 4 * 8 + 1 + SEGMENT_DOMAIN_MAX)
#define BATCH_FIRST_ROOM (64u << 10)

/* magic, u32 version, u32 header bytes, u64 file, u64 first seq, u64 epoch, u64 file bytes, u8 domain length,
 * domain (64, zeros after), 16-byte BLAKE2b over all of that, zeros. */
static void header_check_bytes(const uint8_t *b, uint8_t ret[SEGMENT_CHECK_BYTES])
{
        struct digest d = DIGEST_OF(CTX_SEGMENT, bytes_of(b, HEADER_USED));

        memcpy(ret, d.b, SEGMENT_CHECK_BYTES);
}

void segment_header_encode(const struct segment_header *h, uint8_t ret[SEGMENT_HEADER_BYTES])
{
        uint8_t *p = ret + 8;
        size_t n = strlen(h->domain);

        memset(ret, 0, SEGMENT_HEADER_BYTES);
        memcpy(ret, MAGIC, 8);
        put_le32(p, VERSION);
        put_le32(p + 4, SEGMENT_HEADER_BYTES);
        put_le64(p + 8, h->file);
        put_le64(p + 16, h->first_seq);
        put_le64(p + 24, h->epoch);
        put_le64(p + 32, h->bytes);
        p[40] = (uint8_t)n;
        memcpy(p + 41, h->domain, n);
        header_check_bytes(ret, ret + HEADER_USED);
}

bool segment_header_decode(const uint8_t b[SEGMENT_HEADER_BYTES], struct segment_header *ret)
{
        const uint8_t *p = b + 8;
        uint8_t check[SEGMENT_CHECK_BYTES];

        header_check_bytes(b, check);
        if (memcmp(b, MAGIC, 8) != 0 || get_le32(p) != VERSION || get_le32(p + 4) != SEGMENT_HEADER_BYTES ||
            p[40] > SEGMENT_DOMAIN_MAX || memcmp(check, b + HEADER_USED, SEGMENT_CHECK_BYTES) != 0)
                return false;
        ret->file = get_le64(p + 8);
        ret->first_seq = get_le64(p + 16);
        ret->epoch = get_le64(p + 24);
        ret->bytes = get_le64(p + 32);
        memcpy(ret->domain, p + 41, p[40]);
        ret->domain[p[40]] = '\0';
        return true;
}

/* -- Records. -- */

size_t segment_record_bytes(size_t payload_bytes)
{
        return (SEGMENT_RECORD_OVERHEAD + payload_bytes + 7) & ~(size_t)7;
}

/* The key is epoch and seq, so that a record says nothing under any other. */
static void record_check_bytes(const uint8_t *b, uint32_t length, uint64_t epoch, uint64_t seq, uint8_t ret[SEGMENT_CHECK_BYTES])
{
        crypto_generichash_state h;
        uint8_t key[16];

        put_le64(key, epoch);
        put_le64(key + 8, seq);
        crypto_generichash_init(&h, key, sizeof(key), SEGMENT_CHECK_BYTES);
        crypto_generichash_update(&h, b + 4, 1);                                /* type */
        crypto_generichash_update(&h, b, 4);                                    /* length */
        crypto_generichash_update(&h, b + SEGMENT_RECORD_OVERHEAD, length);
        crypto_generichash_final(&h, ret, SEGMENT_CHECK_BYTES);
}

/* Length, type and check around a payload that already stands at b + SEGMENT_RECORD_OVERHEAD. */
static void record_seal(uint8_t *b, enum segment_type type, uint64_t epoch, uint64_t seq, size_t length)
{
        size_t end = SEGMENT_RECORD_OVERHEAD + length;

        put_le32(b, (uint32_t)length);
        b[4] = (uint8_t)type;
        record_check_bytes(b, (uint32_t)length, epoch, seq, b + 5);
        memset(b + end, 0, segment_record_bytes(length) - end);
}

void segment_record_encode(enum segment_type type, uint64_t epoch, uint64_t seq, struct bytes payload, uint8_t *ret)
{
        memcpy(ret + SEGMENT_RECORD_OVERHEAD, payload.p, payload.n);
        record_seal(ret, type, epoch, seq, payload.n);
}

bool segment_record_peek(const uint8_t *b, enum segment_type *ret_type, uint32_t *ret_length)
{
        uint32_t length = get_le32(b);

        if ((b[4] != SEGMENT_ENTRY && b[4] != SEGMENT_HEAD) || length == 0 || length > SEGMENT_PAYLOAD_MAX)
                return false;
        if (b[4] == SEGMENT_ENTRY && length < SEGMENT_ENTRY_PREFIX)
                return false;
        *ret_type = b[4];
        *ret_length = length;
        return true;
}

bool segment_record_check(const uint8_t *b, uint64_t epoch, uint64_t seq)
{
        uint8_t check[SEGMENT_CHECK_BYTES];

        record_check_bytes(b, get_le32(b), epoch, seq, check);
        return memcmp(check, b + 5, SEGMENT_CHECK_BYTES) == 0;
}

bool segment_entry_decode(struct bytes payload, struct segment_entry *ret)
{
        const uint8_t *p = payload.p;

        if (payload.n < SEGMENT_ENTRY_PREFIX)
                return false;
        *ret = (struct segment_entry){
                .epoch = get_le64(p),
                .seq = get_le64(p + 8),
                .accepted_at = { get_le64(p + 16) },
                .link = get_le32(p + 24),
                .lane = p[28],
                .outbox_epoch = get_le64(p + 29),
                .outbox_seq = get_le64(p + 37),
                .envelope = bytes_of(p + SEGMENT_ENTRY_PREFIX, payload.n - SEGMENT_ENTRY_PREFIX),
        };
        return true;
}

static void entry_encode(const struct segment_entry *e, uint8_t *p)
{
        put_le64(p, e->epoch);
        put_le64(p + 8, e->seq);
        put_le64(p + 16, e->accepted_at.ms);
        put_le32(p + 24, e->link);
        p[28] = e->lane;
        put_le64(p + 29, e->outbox_epoch);
        put_le64(p + 37, e->outbox_seq);
        if (e->envelope.n > 0)
                memcpy(p + SEGMENT_ENTRY_PREFIX, e->envelope.p, e->envelope.n);
}

/* A checkpoint's second line: the size of the tree, decimal without leading zero. */
uint64_t segment_note_seq(struct bytes note)
{
        const uint8_t *line = note.n > 0 ? memchr(note.p, '\n', note.n) : NULL;
        const uint8_t *end = note.p + note.n;
        uint64_t seq = 0;

        if (!line)
                return 0;
        for (line++; line < end && *line != '\n'; line++) {
                if (*line < '0' || *line > '9' || seq > UINT64_MAX / 10 - 1)
                        return 0;
                seq = seq * 10 + (uint64_t)(*line - '0');
        }
        return line < end ? seq : 0;
}

/* -- Batches. -- */

struct segment_batch *segment_batch_new(size_t max_bytes)
{
        struct segment_batch *b = calloc(1, sizeof(*b));

        if (b)
                b->max = max_bytes;
        return b;
}

void segment_batch_free(struct segment_batch *b)
{
        if (!b)
                return;
        free(b->p);
        free(b->offsets);
        free(b);
}

void segment_batch_reset(struct segment_batch *b)
{
        b->n = 0;
        b->count = 0;
        b->first_seq = b->first_epoch = 0;
        b->place = b->plan_before = (struct segment_place){0};
}

/* Room for one more record of `bytes`. */
static int batch_reserve(struct segment_batch *b, size_t bytes)
{
        if (b->count == b->offset_room) {
                unsigned room = b->offset_room ? 2 * b->offset_room : 64;
                size_t *offsets = realloc(b->offsets, room * sizeof(*offsets));

                if (!offsets)
                        return -ENOMEM;
                b->offsets = offsets;
                b->offset_room = room;
        }
        if (bytes > b->max - b->n)
                return -EMSGSIZE;
        if (bytes > b->room - b->n) {
                size_t room = b->room ? b->room : BATCH_FIRST_ROOM;
                uint8_t *p;

                while (room < b->n + bytes)
                        room *= 2;
                p = realloc(b->p, room);
                if (!p)
                        return -ENOMEM;
                b->p = p;
                b->room = room;
        }
        return 0;
}

static void batch_took(struct segment_batch *b, size_t bytes)
{
        b->offsets[b->count++] = b->n;
        b->n += bytes;
}

int segment_batch_add_entry(struct segment_batch *b, const struct segment_entry *e)
{
        size_t length = SEGMENT_ENTRY_PREFIX + e->envelope.n;
        int r;

        if (e->envelope.n > SEGMENT_PAYLOAD_MAX - SEGMENT_ENTRY_PREFIX)
                return -EMSGSIZE;
        r = batch_reserve(b, segment_record_bytes(length));
        if (r < 0)
                return r;
        if (b->count == 0) {
                b->first_seq = e->seq;
                b->first_epoch = e->epoch;
        }
        entry_encode(e, b->p + b->n + SEGMENT_RECORD_OVERHEAD);
        record_seal(b->p + b->n, SEGMENT_ENTRY, e->epoch, e->seq, length);
        batch_took(b, segment_record_bytes(length));
        return 0;
}

int segment_batch_add_head(struct segment_batch *b, uint64_t epoch, uint64_t seq, struct bytes note)
{
        int r;

        assert(segment_note_seq(note) == seq);
        if (note.n > SEGMENT_PAYLOAD_MAX)
                return -EMSGSIZE;
        r = batch_reserve(b, segment_record_bytes(note.n));
        if (r < 0)
                return r;
        if (b->count == 0) {
                b->first_seq = seq + 1;
                b->first_epoch = epoch;
        }
        segment_record_encode(SEGMENT_HEAD, epoch, seq, note, b->p + b->n);
        batch_took(b, segment_record_bytes(note.n));
        return 0;
}

size_t segment_batch_bytes(const struct segment_batch *b)
{
        return b->n;
}

unsigned segment_batch_count(const struct segment_batch *b)
{
        return b->count;
}

struct segment_place segment_batch_place(const struct segment_batch *b, unsigned i)
{
        assert(i < b->count && b->place.file > 0);
        return (struct segment_place){ b->place.file, b->place.offset + b->offsets[i] };
}
