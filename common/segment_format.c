/* segment_format: bytes of file headers, records and batches.  Pure. */
#include "common/segment_internal.h"
#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include "common/digest.h"

#define MAGIC "SHUYISEG"
#define VERSION 3
#define VERSION_REWRITTEN 4
#define HEADER_USED (8 + 4 + 4 + 4 * 8 + 1 + SEGMENT_DOMAIN_MAX)
#define HEADER_REWRITTEN_USED (HEADER_USED + 3 * 8)
#define SEGMENT_OWN_BYTES (SEGMENT_RECORD_OVERHEAD + SEGMENT_ENTRY_PREFIX)
#define FIRST_PARTS 64

_Static_assert(SEGMENT_CHECK_BYTES == crypto_onetimeauth_BYTES && DIGEST_BYTES == crypto_onetimeauth_KEYBYTES, "a record's check");

/* magic, u32 version, u32 header bytes, u64 file, u64 first seq, u64 epoch, u64 file bytes, u8 domain length,
 * domain (64, zeros after); of a rewritten file u64 offset of its MAP, u64 bodies gone to, u64 inputs gone to; 16-byte BLAKE2b
 * over all of that, zeros. */
static void header_check_bytes(const uint8_t *b, size_t used, uint8_t ret[SEGMENT_CHECK_BYTES])
{
        struct digest d = DIGEST_OF(CTX_SEGMENT, bytes_of(b, used));

        memcpy(ret, d.b, SEGMENT_CHECK_BYTES);
}

void segment_header_encode(const struct segment_header *h, uint8_t ret[SEGMENT_HEADER_BYTES])
{
        size_t n = strlen(h->domain), used = h->map > 0 ? HEADER_REWRITTEN_USED : HEADER_USED;
        uint8_t *p = ret + 8;

        memset(ret, 0, SEGMENT_HEADER_BYTES);
        memcpy(ret, MAGIC, 8);
        put_le32(p, h->map > 0 ? VERSION_REWRITTEN : VERSION);
        put_le32(p + 4, SEGMENT_HEADER_BYTES);
        put_le64(p + 8, h->file);
        put_le64(p + 16, h->first_seq);
        put_le64(p + 24, h->epoch);
        put_le64(p + 32, h->bytes);
        p[40] = (uint8_t)n;
        memcpy(p + 41, h->domain, n);
        if (h->map > 0) {
                put_le64(ret + HEADER_USED, h->map);
                put_le64(ret + HEADER_USED + 8, h->bodies_to);
                put_le64(ret + HEADER_USED + 16, h->inputs_to);
        }
        header_check_bytes(ret, used, ret + used);
}

bool segment_header_decode(const uint8_t b[SEGMENT_HEADER_BYTES], struct segment_header *ret)
{
        const uint8_t *p = b + 8;
        uint32_t version = get_le32(p);
        size_t used = version == VERSION_REWRITTEN ? HEADER_REWRITTEN_USED : HEADER_USED;
        uint8_t check[SEGMENT_CHECK_BYTES];

        header_check_bytes(b, used, check);
        if (memcmp(b, MAGIC, 8) != 0 || (version != VERSION && version != VERSION_REWRITTEN) || get_le32(p + 4) != SEGMENT_HEADER_BYTES ||
            p[40] > SEGMENT_DOMAIN_MAX || memcmp(check, b + used, SEGMENT_CHECK_BYTES) != 0)
                return false;
        ret->map = ret->bodies_to = ret->inputs_to = 0;
        if (version == VERSION_REWRITTEN) {
                ret->map = get_le64(b + HEADER_USED);
                ret->bodies_to = get_le64(b + HEADER_USED + 8);
                ret->inputs_to = get_le64(b + HEADER_USED + 16);
        }
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

/* Poly1305 (RFC 8439) under a key of epoch and seq, so that a record says nothing under any other.  It finds what disks and
 * crashes do: any change within one 16-byte block surely, any other but for one key in 2^90.  Whoever forges is found by signatures
 * and digests.  The payload comes in one run or two. */
static void record_check_bytes(const uint8_t *b, uint64_t epoch, uint64_t seq, struct bytes payload, struct bytes more, uint8_t ret[SEGMENT_CHECK_BYTES])
{
        crypto_onetimeauth_state h;
        struct digest key;
        uint8_t who[16];

        put_le64(who, epoch);
        put_le64(who + 8, seq);
        key = DIGEST_OF(CTX_SEGMENT_RECORD, bytes_of(who, sizeof(who)));
        crypto_onetimeauth_init(&h, key.b);
        crypto_onetimeauth_update(&h, b + 4, 1);                                /* type */
        crypto_onetimeauth_update(&h, b, 4);                                    /* length */
        crypto_onetimeauth_update(&h, payload.p, payload.n);
        if (more.n > 0)
                crypto_onetimeauth_update(&h, more.p, more.n);
        crypto_onetimeauth_final(&h, ret);
}

static void record_begin(uint8_t *b, enum segment_type type, size_t length)
{
        put_le32(b, (uint32_t)length);
        b[4] = (uint8_t)type;
}

void segment_record_encode(enum segment_type type, uint64_t epoch, uint64_t seq, struct bytes payload, uint8_t *ret)
{
        size_t end = SEGMENT_RECORD_OVERHEAD + payload.n;

        record_begin(ret, type, payload.n);
        memcpy(ret + SEGMENT_RECORD_OVERHEAD, payload.p, payload.n);
        record_check_bytes(ret, epoch, seq, payload, (struct bytes){ 0 }, ret + 5);
        memset(ret + end, 0, segment_record_bytes(payload.n) - end);
}

bool segment_record_peek(const uint8_t *b, enum segment_type *ret_type, uint32_t *ret_length)
{
        uint32_t length = get_le32(b);

        if (b[4] < SEGMENT_ENTRY || b[4] > SEGMENT_MAP || length == 0 || length > SEGMENT_PAYLOAD_MAX)
                return false;
        if ((b[4] == SEGMENT_ENTRY && length < SEGMENT_ENTRY_PREFIX) || (b[4] == SEGMENT_KEPT && length < SEGMENT_KEPT_PREFIX + SEGMENT_ENTRY_PREFIX) ||
            (b[4] == SEGMENT_TOMBSTONE && length != SEGMENT_TOMBSTONE_BYTES))
                return false;
        *ret_type = b[4];
        *ret_length = length;
        return true;
}

bool segment_record_check(const uint8_t *b, uint64_t epoch, uint64_t seq)
{
        uint8_t check[SEGMENT_CHECK_BYTES];

        record_check_bytes(b, epoch, seq, bytes_of(b + SEGMENT_RECORD_OVERHEAD, get_le32(b)), (struct bytes){ 0 }, check);
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

static void entry_encode_prefix(const struct segment_entry *e, uint8_t *p)
{
        put_le64(p, e->epoch);
        put_le64(p + 8, e->seq);
        put_le64(p + 16, e->accepted_at.ms);
        put_le32(p + 24, e->link);
        p[28] = e->lane;
        put_le64(p + 29, e->outbox_epoch);
        put_le64(p + 37, e->outbox_seq);
}

/* ---- what a rewritten file holds ---- */

/* KEPT: u64 PURGE of its body (0: whole), u32 code, effects digest (32), then an ENTRY's payload. */
static bool kept_decode(struct bytes payload, struct segment_entry *ret)
{
        const uint8_t *p = payload.p;

        if (payload.n < SEGMENT_KEPT_PREFIX || !segment_entry_decode(bytes_of(p + SEGMENT_KEPT_PREFIX, payload.n - SEGMENT_KEPT_PREFIX), ret))
                return false;
        ret->purged_by = get_le64(p);
        ret->judged = true;
        ret->code = get_le32(p + 8);
        memcpy(ret->effects.b, p + 12, DIGEST_BYTES);
        return true;
}

void segment_kept_encode(const struct segment_entry *e, uint8_t *ret)
{
        put_le64(ret, e->purged_by);
        put_le32(ret + 8, e->code);
        memcpy(ret + 12, e->effects.b, DIGEST_BYTES);
        entry_encode_prefix(e, ret + SEGMENT_KEPT_PREFIX);
        if (e->envelope.n > 0)
                memcpy(ret + SEGMENT_KEPT_PREFIX + SEGMENT_ENTRY_PREFIX, e->envelope.p, e->envelope.n);
}

/* TOMBSTONE: u64 epoch, u64 seq, u64 accepted_at, u64 PURGE, u8 why, leaf hash (32). */
static bool tombstone_decode(struct bytes payload, struct segment_entry *ret)
{
        const uint8_t *p = payload.p;

        if (payload.n != SEGMENT_TOMBSTONE_BYTES)
                return false;
        *ret = (struct segment_entry){ .epoch = get_le64(p), .seq = get_le64(p + 8), .accepted_at = { get_le64(p + 16) },
                                       .purged_by = get_le64(p + 24), .gone = true, .why = p[32] };
        memcpy(ret->leaf.b, p + 33, DIGEST_BYTES);
        return true;
}

void segment_tombstone_encode(const struct segment_entry *e, uint8_t ret[SEGMENT_TOMBSTONE_BYTES])
{
        put_le64(ret, e->epoch);
        put_le64(ret + 8, e->seq);
        put_le64(ret + 16, e->accepted_at.ms);
        put_le64(ret + 24, e->purged_by);
        ret[32] = e->why;
        memcpy(ret + 33, e->leaf.b, DIGEST_BYTES);
}

bool segment_record_entry(enum segment_type type, struct bytes payload, struct segment_entry *ret)
{
        switch (type) {
        case SEGMENT_ENTRY:
                return segment_entry_decode(payload, ret);
        case SEGMENT_KEPT:
                return kept_decode(payload, ret);
        case SEGMENT_TOMBSTONE:
                return tombstone_decode(payload, ret);
        default:
                return false;
        }
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
        free(b->own);
        free(b->parts);
        free(b);
}

void segment_batch_reset(struct segment_batch *b)
{
        b->n = b->own_n = 0;
        b->count = 0;
        b->first_seq = b->first_epoch = 0;
        b->place = b->plan_before = (struct segment_place){0};
}

/* At least `wanted` items of `size` at *items; 0 or -ENOMEM. */
static int grow(void **items, size_t size, size_t *room, size_t first, size_t wanted)
{
        size_t more = *room ? *room : first;
        void *p;

        if (wanted <= *room)
                return 0;
        while (more < wanted)
                more *= 2;
        p = realloc(*items, more * size);
        if (!p)
                return -ENOMEM;
        *items = p;
        *room = more;
        return 0;
}

/* A record of `length` bytes, of which `own_n` (overhead included) are to be filled in at the answer; NULL with *ret_fault. */
static uint8_t *batch_add(struct segment_batch *b, enum segment_type type, size_t length, size_t own_n, int *ret_fault)
{
        struct segment_part *part;
        uint8_t *p;

        *ret_fault = -EMSGSIZE;
        if (length > SEGMENT_PAYLOAD_MAX || segment_record_bytes(length) > b->max - b->n)
                return NULL;
        *ret_fault = grow((void **)&b->parts, sizeof(*b->parts), &b->room, FIRST_PARTS, b->count + 1);
        if (*ret_fault == 0)
                *ret_fault = grow((void **)&b->own, 1, &b->own_room, FIRST_PARTS * SEGMENT_OWN_BYTES, b->own_n + own_n);
        if (*ret_fault < 0)
                return NULL;
        part = &b->parts[b->count++];
        *part = (struct segment_part){ .offset = b->n, .own = b->own_n, .own_n = own_n };
        b->n += segment_record_bytes(length);
        b->own_n += own_n;
        p = b->own + part->own;
        record_begin(p, type, length);
        return p + SEGMENT_RECORD_OVERHEAD;
}

int segment_batch_add_entry(struct segment_batch *b, const struct segment_entry *e)
{
        uint8_t *p;
        int r;

        if (e->envelope.n > SEGMENT_PAYLOAD_MAX)
                return -EMSGSIZE;
        p = batch_add(b, SEGMENT_ENTRY, SEGMENT_ENTRY_PREFIX + e->envelope.n, SEGMENT_OWN_BYTES, &r);
        if (!p)
                return r;
        entry_encode_prefix(e, p);
        b->parts[b->count - 1].epoch = e->epoch;
        b->parts[b->count - 1].seq = e->seq;
        b->parts[b->count - 1].envelope = e->envelope;
        if (b->count == 1) {
                b->first_seq = e->seq;
                b->first_epoch = e->epoch;
        }
        return 0;
}

int segment_batch_add_head(struct segment_batch *b, uint64_t epoch, uint64_t seq, struct bytes note)
{
        uint8_t *p;
        int r;

        assert(segment_note_seq(note) == seq);
        p = batch_add(b, SEGMENT_HEAD, note.n, SEGMENT_RECORD_OVERHEAD + note.n, &r);
        if (!p)
                return r;
        memcpy(p, note.p, note.n);
        b->parts[b->count - 1].epoch = epoch;
        b->parts[b->count - 1].seq = seq;
        if (b->count == 1) {
                b->first_seq = seq + 1;
                b->first_epoch = epoch;
        }
        return 0;
}

void segment_batch_seal(struct segment_batch *b)
{
        for (unsigned i = 0; i < b->count; i++) {
                const struct segment_part *part = &b->parts[i];
                uint8_t *p = b->own + part->own;

                record_check_bytes(p, part->epoch, part->seq, bytes_of(p + SEGMENT_RECORD_OVERHEAD, part->own_n - SEGMENT_RECORD_OVERHEAD), part->envelope, p + 5);
        }
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
        return (struct segment_place){ b->place.file, b->place.offset + b->parts[i].offset };
}
