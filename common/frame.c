/* frame: one table, a reader and a writer that walk it.
 *
 * A PUT is read by hand after its scan, so that its envelope (up to 960 KiB) is borrowed and not copied. */
#include "common/frame.h"
#include "common/envelope.h"
#include "common/macro.h"
#include "common/wire.h"

#define TO_BROKER FRAME_TO_BROKER
#define TO_AGENT FRAME_TO_AGENT
#define TO_BOTH FRAME_TO_BOTH
#define FRAME_ROW(name, number, message, max, direction) \
        { FRAME_##name, #name, &shuyi__v1__##message##__descriptor, max, direction },

static const struct frame_row rows[] = { FRAMES(FRAME_ROW) };

const struct frame_row *frame_find(uint8_t type)
{
        return type >= 1 && type <= ELEMENTS(rows) ? &rows[type - 1] : NULL;
}

const struct frame_row *frame_at(unsigned index)
{
        return index < ELEMENTS(rows) ? &rows[index] : NULL;
}

/* Only after wire_scan: every tag and length is known to be good. */
static uint64_t take_varint(const uint8_t **p)
{
        uint64_t v = 0;

        for (unsigned shift = 0;; shift += 7) {
                uint8_t byte = *(*p)++;

                v |= (uint64_t)(byte & 0x7f) << shift;
                if (!(byte & 0x80))
                        return v;
        }
}

enum { PUT_LANE = 1 << 3, PUT_EPOCH = 2 << 3, PUT_SEQ = 3 << 3, PUT_ENVELOPE = 4 << 3 | 2 };

static void put_read(struct bytes b, Shuyi__V1__Put *ret)
{
        const uint8_t *p = b.p, *end = b.p + b.n;

        while (p < end) {
                uint64_t tag = take_varint(&p);

                switch (tag) {
                case PUT_LANE: ret->lane = (uint32_t)take_varint(&p); break;
                case PUT_EPOCH: ret->outbox_epoch = take_varint(&p); break;
                case PUT_SEQ: ret->outbox_seq = take_varint(&p); break;
                case PUT_ENVELOPE:
                        ret->envelope.len = (size_t)take_varint(&p);
                        ret->envelope.data = (uint8_t *)p;
                        p += ret->envelope.len;
                        break;
                default: return;                /* 1000 and above: of a later version */
                }
        }
}

static const ProtobufCMessage *put_decode(struct arena *a, struct bytes b)
{
        Shuyi__V1__Put *put;

        if (wire_scan(&shuyi__v1__put__descriptor, b))
                return NULL;
        put = ARENA_NEW(a, Shuyi__V1__Put);
        if (!put)
                return NULL;
        shuyi__v1__put__init(put);
        put_read(b, put);
        return &put->base;
}

enum refusal frame_decode(struct arena *a, struct bytes wire, enum frame_direction direction, struct frame *ret)
{
        const struct frame_row *row = wire.n > 0 ? frame_find(wire.p[0]) : NULL;
        const ProtobufCMessage *m;
        struct bytes b;

        if (!row || !(row->direction & direction) || wire.n > row->max_bytes)
                return E_FORM;
        b = bytes_of(wire.p + 1, wire.n - 1);
        m = row->type == FRAME_PUT ? put_decode(a, b) : message_parse(a, row->message, b);
        if (!m)
                return E_FORM;
        *ret = (struct frame){ .type = row->type, .message = m };
        return ACCEPTED;
}

struct bytes frame_encode(struct arena *a, enum frame_type type, const ProtobufCMessage *message)
{
        const struct frame_row *row = frame_find((uint8_t)type);
        size_t n = 1 + protobuf_c_message_get_packed_size(message);
        uint8_t *p;

        if (!row || message->descriptor != row->message || n > row->max_bytes)
                return (struct bytes){ 0 };
        p = arena_alloc(a, n);
        if (!p)
                return (struct bytes){ 0 };
        p[0] = (uint8_t)type;
        protobuf_c_message_pack(message, p + 1);
        return bytes_of(p, n);
}
