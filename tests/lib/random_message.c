/* random_message: walks a descriptor and fills the generated struct by its offsets. */
#include "tests/lib/random_message.h"
#include "common/macro.h"
#include "common/times.h"
#include <stdio.h>
#include <stdlib.h>

struct chance chance_start(void)
{
        const char *text = getenv("SEED");
        struct chance c = { text ? strtoull(text, NULL, 10) : times_wall().ms };

        printf("# SEED=%llu\n", (unsigned long long)c.state);
        return c;
}

uint64_t chance_next(struct chance *c)
{
        uint64_t z = c->state += 0x9e3779b97f4a7c15;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        return z ^ z >> 31;
}

uint64_t chance_below(struct chance *c, uint64_t n)
{
        return chance_next(c) % n;
}

static uint64_t random_number(struct chance *c, ProtobufCType type)
{
        uint64_t v = chance_next(c) >> chance_below(c, 64);

        if (type == PROTOBUF_C_TYPE_BOOL)
                return 1;
        if (type == PROTOBUF_C_TYPE_UINT32)
                v = (uint32_t)v;
        return v ? v : 1;
}

static char *random_text(struct arena *a, struct chance *c)
{
        static const char *const pieces[] = { "a", "Z", "0", "-", " ", "\n", "\"", "\\", "é", "数", "驿", "\xf0\x9f\x93\xae", "\xef\xbf\xbf" };
        size_t n = chance_below(c, 12);
        char *text = arena_strdup(a, "");

        for (size_t i = 0; i < n; i++)
                text = arena_printf(a, "%s%s", text, pieces[chance_below(c, ELEMENTS(pieces))]);
        return text;
}

static ProtobufCBinaryData random_bytes(struct arena *a, struct chance *c)
{
        ProtobufCBinaryData b = { chance_below(c, 40), NULL };

        b.data = arena_alloc(a, b.len);
        for (size_t i = 0; i < b.len; i++)
                b.data[i] = (uint8_t)chance_next(c);
        return b;
}

static size_t size_of(ProtobufCType type)
{
        switch (type) {
        case PROTOBUF_C_TYPE_UINT32: return sizeof(uint32_t);
        case PROTOBUF_C_TYPE_BOOL: return sizeof(protobuf_c_boolean);
        case PROTOBUF_C_TYPE_UINT64: return sizeof(uint64_t);
        case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
        default: return sizeof(void *);
        }
}

static void put_value(struct arena *a, struct chance *c, const ProtobufCFieldDescriptor *f, void *at)
{
        switch (f->type) {
        case PROTOBUF_C_TYPE_UINT32: *(uint32_t *)at = (uint32_t)random_number(c, f->type); break;
        case PROTOBUF_C_TYPE_UINT64: *(uint64_t *)at = random_number(c, f->type); break;
        case PROTOBUF_C_TYPE_BOOL: *(protobuf_c_boolean *)at = 1; break;
        case PROTOBUF_C_TYPE_STRING: *(char **)at = random_text(a, c); break;
        case PROTOBUF_C_TYPE_BYTES: *(ProtobufCBinaryData *)at = random_bytes(a, c); break;
        case PROTOBUF_C_TYPE_MESSAGE: *(ProtobufCMessage **)at = random_message(a, c, f->descriptor); break;
        default: abort();
        }
}

static void put_field(struct arena *a, struct chance *c, const ProtobufCFieldDescriptor *f, uint8_t *message)
{
        uint8_t *values;
        size_t n;

        if (f->label != PROTOBUF_C_LABEL_REPEATED) {
                put_value(a, c, f, message + f->offset);
                return;
        }
        n = 1 + chance_below(c, 4);
        values = arena_array(a, size_of(f->type), n);
        for (size_t i = 0; i < n; i++)
                put_value(a, c, f, values + i * size_of(f->type));
        *(size_t *)(message + f->quantifier_offset) = n;
        *(void **)(message + f->offset) = values;
}

ProtobufCMessage *random_message(struct arena *a, struct chance *c, const ProtobufCMessageDescriptor *d)
{
        ProtobufCMessage *m = arena_zalloc(a, d->sizeof_message);

        protobuf_c_message_init(d, m);
        for (unsigned i = 0; i < d->n_fields; i++)
                if (chance_below(c, 2))
                        put_field(a, c, &d->fields[i], (uint8_t *)m);
        return m;
}
