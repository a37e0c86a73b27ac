/* wire: one pass over the bytes, beside the descriptor.
 *
 * Fields come in ascending order in both, so the scan walks them like two sorted lists.  Every length is held
 * against what is left before it is used; the work is linear in the bytes, and so is what a message can cost. */
#include "common/wire.h"

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_RUN = 2, WIRE_FIXED32 = 5 };

struct scan { const uint8_t *p, *end; size_t *fields; };      /* fields: how many more there may be */

static const char *scan_message(const ProtobufCMessageDescriptor *d, struct bytes b, unsigned depth, size_t *fields);

static const char *take_varint(struct scan *s, uint64_t *ret)
{
        uint64_t v = 0;

        for (unsigned shift = 0; shift < 70; shift += 7) {
                uint8_t byte;

                if (s->p == s->end)
                        return "truncated varint";
                byte = *s->p++;
                if (shift == 63 && byte > 1)
                        return "varint beyond 64 bits";
                v |= (uint64_t)(byte & 0x7f) << shift;
                if (byte & 0x80)
                        continue;
                if (byte == 0 && shift > 0)
                        return "varint not minimal";
                *ret = v;
                return NULL;
        }
        return "varint beyond 64 bits";
}

static const char *take_run(struct scan *s, struct bytes *ret)
{
        const char *wrong;
        uint64_t n;

        if ((wrong = take_varint(s, &n)))
                return wrong;
        if (n > (uint64_t)(s->end - s->p))
                return "length beyond the end";
        *ret = bytes_of(s->p, (size_t)n);
        s->p += n;
        return NULL;
}

static const char *take_number(struct scan *s, ProtobufCType type, uint64_t *ret)
{
        const char *wrong;
        uint64_t v;

        if ((wrong = take_varint(s, &v)))
                return wrong;
        if (type == PROTOBUF_C_TYPE_BOOL && v > 1)
                return "bool neither 0 nor 1";
        if (type == PROTOBUF_C_TYPE_UINT32 && v > UINT32_MAX)
                return "number beyond 32 bits";
        *ret = v;
        return NULL;
}

static bool is_number(ProtobufCType type)
{
        return type == PROTOBUF_C_TYPE_UINT32 || type == PROTOBUF_C_TYPE_UINT64 || type == PROTOBUF_C_TYPE_BOOL;
}

static const char *scan_packed(ProtobufCType type, struct scan *s)
{
        const char *wrong;
        struct bytes run;
        uint64_t v;

        if ((wrong = take_run(s, &run)))
                return wrong;
        if (run.n == 0)
                return "empty packed field";
        for (struct scan in = { run.p, run.p + run.n, NULL }; in.p < in.end;)
                if ((wrong = take_number(&in, type, &v)))
                        return wrong;
        return NULL;
}

static const char *scan_run(const ProtobufCFieldDescriptor *f, struct scan *s, unsigned depth)
{
        const char *wrong;
        struct bytes run;

        if ((wrong = take_run(s, &run)))
                return wrong;
        if (f->type == PROTOBUF_C_TYPE_MESSAGE)
                return scan_message(f->descriptor, run, depth + 1, s->fields);
        if (run.n == 0 && f->label != PROTOBUF_C_LABEL_REPEATED)
                return "default encoded";
        if (f->type == PROTOBUF_C_TYPE_STRING && !utf8_check(run))
                return "text is not UTF-8, or holds NUL";
        return NULL;
}

static const char *scan_field(const ProtobufCFieldDescriptor *f, unsigned wire, struct scan *s, unsigned depth)
{
        const char *wrong;
        uint64_t v;

        switch (f->type) {
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_BOOL:
                if (f->label == PROTOBUF_C_LABEL_REPEATED)
                        return wire == WIRE_RUN ? scan_packed(f->type, s) : "repeated number not packed";
                if (wire != WIRE_VARINT)
                        return "wrong wire type";
                if ((wrong = take_number(s, f->type, &v)))
                        return wrong;
                return v ? NULL : "default encoded";
        case PROTOBUF_C_TYPE_STRING:
        case PROTOBUF_C_TYPE_BYTES:
        case PROTOBUF_C_TYPE_MESSAGE:
                return wire == WIRE_RUN ? scan_run(f, s, depth) : "wrong wire type";
        default:
                return "type not used on this wire";
        }
}

static const char *skip_fixed(struct scan *s, size_t width)
{
        if ((size_t)(s->end - s->p) < width)
                return "truncated number";
        s->p += width;
        return NULL;
}

/* What a later version may have added: only its spelling can be held to account. */
static const char *scan_unknown(uint64_t number, unsigned wire, struct scan *s)
{
        struct bytes run;
        uint64_t v;

        if (number < WIRE_UNKNOWN_FROM)
                return "unknown critical field";
        switch (wire) {
        case WIRE_VARINT: return take_varint(s, &v);
        case WIRE_FIXED64: return skip_fixed(s, 8);
        case WIRE_FIXED32: return skip_fixed(s, 4);
        case WIRE_RUN: return take_run(s, &run);
        default: return "wire type not known";
        }
}

/* May the same field come again?  Repeated runs do, each with its own tag; packed numbers are one run. */
static bool may_repeat(const ProtobufCFieldDescriptor *f)
{
        return f && f->label == PROTOBUF_C_LABEL_REPEATED && !is_number(f->type);
}

static const char *scan_message(const ProtobufCMessageDescriptor *d, struct bytes b, unsigned depth, size_t *fields)
{
        struct scan s = { b.p, b.p + b.n, fields };
        uint64_t tag, number, last = 0;
        unsigned next = 0;
        const char *wrong;

        if (depth > WIRE_DEPTH_MAX)
                return "nested too deep";
        while (s.p < s.end) {
                const ProtobufCFieldDescriptor *f = NULL;

                if (*fields == 0)
                        return "too many fields";
                (*fields)--;
                if ((wrong = take_varint(&s, &tag)))
                        return wrong;
                number = tag >> 3;
                if (number == 0 || tag > UINT32_MAX)
                        return "no such field number";
                while (next < d->n_fields && d->fields[next].id < number)
                        next++;
                if (next < d->n_fields && d->fields[next].id == number)
                        f = &d->fields[next];
                if (number < last || (number == last && !may_repeat(f)))
                        return "fields not ascending, or one repeated";
                last = number;
                wrong = f ? scan_field(f, tag & 7, &s, depth) : scan_unknown(number, tag & 7, &s);
                if (wrong)
                        return wrong;
        }
        return NULL;
}

const char *wire_scan(const ProtobufCMessageDescriptor *d, struct bytes b)
{
        return wire_scan_bounded(d, b, SIZE_MAX);
}

const char *wire_scan_bounded(const ProtobufCMessageDescriptor *d, struct bytes b, size_t fields_max)
{
        static const uint8_t nothing;

        return scan_message(d, b.n ? b : bytes_of(&nothing, 0), 1, &fields_max);
}

/* The first field of this number and wire type: its run, or its number. */
static bool find_field(struct bytes message, uint32_t number, unsigned wire, struct bytes *ret_run, uint64_t *ret_number)
{
        struct scan s = { message.p, message.p + message.n, NULL };
        uint64_t tag;

        while (s.p < s.end && !take_varint(&s, &tag)) {
                if ((tag & 7) == WIRE_RUN ? take_run(&s, ret_run) != NULL : (tag & 7) != WIRE_VARINT || take_varint(&s, ret_number))
                        return false;
                if (tag >> 3 == number && (tag & 7) == wire)
                        return true;
        }
        return false;
}

bool wire_find_run(struct bytes message, uint32_t number, struct bytes *ret)
{
        struct bytes run;
        uint64_t v;
        bool found = find_field(message, number, WIRE_RUN, &run, &v);

        if (found)
                *ret = run;
        return found;
}

uint64_t wire_find_number(struct bytes message, uint32_t number)
{
        struct bytes run;
        uint64_t v;

        return find_field(message, number, WIRE_VARINT, &run, &v) ? v : 0;
}
