/* edit_message: walks a descriptor; every field of our wire is a number, a bool, a text, bytes or a message. */
#include "tests/fuzz/edit_message.h"
#include "common/times.h"

#define ELEMENTS_MAX 64
#define DEPTH_MAX 4

/* ---- the vocabulary ---- */

void vocabulary_add_run(struct vocabulary *v, struct bytes b)
{
        if (b.n == 0 || b.n > 256 || v->runs == VOCABULARY_MAX)
                return;
        for (size_t i = 0; i < v->runs; i++)
                if (bytes_equal(v->run[i], b))
                        return;
        v->run[v->runs++] = b;
}

static void add_text(struct vocabulary *v, char *text)
{
        if (*text == 0 || strlen(text) > 256 || v->texts == VOCABULARY_MAX)
                return;
        for (size_t i = 0; i < v->texts; i++)
                if (strcmp(v->text[i], text) == 0)
                        return;
        v->text[v->texts++] = text;
}

static size_t width_of(ProtobufCType type)
{
        switch (type) {
        case PROTOBUF_C_TYPE_UINT32: return sizeof(uint32_t);
        case PROTOBUF_C_TYPE_BOOL: return sizeof(protobuf_c_boolean);
        case PROTOBUF_C_TYPE_UINT64: return sizeof(uint64_t);
        case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
        default: return sizeof(void *);
        }
}

/* Where the values of a field lie, and how many there are. */
static uint8_t *values_of(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, size_t *ret_n)
{
        uint8_t *at = (uint8_t *)m + f->offset;

        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
                *ret_n = *(const size_t *)((const uint8_t *)m + f->quantifier_offset);
                return *(uint8_t **)at;
        }
        *ret_n = f->type == PROTOBUF_C_TYPE_MESSAGE && !*(void **)at ? 0 : 1;
        return at;
}

static void add_value(struct vocabulary *v, const ProtobufCFieldDescriptor *f, const uint8_t *at)
{
        const ProtobufCBinaryData *b = (const void *)at;

        switch (f->type) {
        case PROTOBUF_C_TYPE_BYTES: vocabulary_add_run(v, bytes_of(b->data, b->len)); break;
        case PROTOBUF_C_TYPE_STRING: add_text(v, *(char *const *)(const void *)at); break;
        case PROTOBUF_C_TYPE_MESSAGE: vocabulary_add(v, *(ProtobufCMessage *const *)(const void *)at); break;
        default: break;
        }
}

void vocabulary_add(struct vocabulary *v, const ProtobufCMessage *m)
{
        for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
                const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
                size_t n;
                uint8_t *values = values_of(m, f, &n);

                for (size_t k = 0; k < n; k++)
                        add_value(v, f, values + k * width_of(f->type));
        }
}

/* ---- edits ---- */

static uint64_t edited_number(struct script *s, uint64_t was)
{
        switch (script_u8(s) % 8) {
        case 0: return 0;
        case 1: return was + 1;
        case 2: return was - 1;
        case 3: return script_u8(s);
        case 4: return was + DAY_MS * script_u8(s);
        case 5: return was - DAY_MS * script_u8(s);
        case 6: return UINT64_MAX >> script_u8(s) % 64;
        default: return script_u64(s);
        }
}

static char *edited_text(struct arena *a, struct script *s, const struct vocabulary *v, char *was)
{
        switch (script_u8(s) % 4) {
        case 0: return "";
        case 1: return arena_printf(a, "%s%c", was, 'a' + script_u8(s) % 26);
        default: return v->texts > 0 ? v->text[script_u16(s) % v->texts] : "x";
        }
}

static ProtobufCBinaryData edited_run(struct arena *a, struct script *s, const struct vocabulary *v, ProtobufCBinaryData was)
{
        struct bytes b = { 0 };

        switch (script_u8(s) % 8) {
        case 0: break;
        case 1: b = arena_copy(a, script_take(s, script_u8(s) % 40)); break;
        case 2:
                b = arena_copy(a, bytes_of(was.data, was.len));
                if (b.n > 0)
                        ((uint8_t *)b.p)[script_u8(s) % b.n] ^= 1;
                break;
        case 3: b = bytes_of(was.data, was.len / 2); break;
        default: b = v->runs > 0 ? v->run[script_u16(s) % v->runs] : b; break;
        }
        return (ProtobufCBinaryData){ b.n, (uint8_t *)b.p };
}

static void edit_value(struct arena *a, struct script *s, const struct vocabulary *v, const ProtobufCFieldDescriptor *f, uint8_t *at, unsigned depth);

static void edit_count(struct arena *a, struct script *s, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
        size_t width = width_of(f->type), *n = (size_t *)((uint8_t *)m + f->quantifier_offset);
        uint8_t **values = (uint8_t **)(void *)((uint8_t *)m + f->offset), *more;

        if (*n == 0 || *n >= ELEMENTS_MAX || script_u8(s) % 2) {
                *n -= *n > 0;
                return;
        }
        more = arena_array(a, width, *n + 1);
        REQUIRE(more);
        memcpy(more, *values, *n * width);
        memcpy(more + *n * width, *values + script_u8(s) % *n * width, width);
        *values = more;
        ++*n;
}

static void edit(struct arena *a, struct script *s, const struct vocabulary *v, ProtobufCMessage *m, unsigned depth)
{
        const ProtobufCFieldDescriptor *f;
        uint8_t *values;
        size_t n;

        if (m->descriptor->n_fields == 0 || depth > DEPTH_MAX)
                return;
        f = &m->descriptor->fields[script_u8(s) % m->descriptor->n_fields];
        values = values_of(m, f, &n);
        if (f->label == PROTOBUF_C_LABEL_REPEATED && (n == 0 || script_u8(s) % 4 == 0))
                edit_count(a, s, m, f);
        else if (n > 0)
                edit_value(a, s, v, f, values + script_u8(s) % n * width_of(f->type), depth);
        else
                *(ProtobufCMessage **)(void *)values = NULL;
}

static void edit_value(struct arena *a, struct script *s, const struct vocabulary *v, const ProtobufCFieldDescriptor *f, uint8_t *at, unsigned depth)
{
        void *p = at;

        switch (f->type) {
        case PROTOBUF_C_TYPE_UINT32: *(uint32_t *)p = (uint32_t)edited_number(s, *(uint32_t *)p); break;
        case PROTOBUF_C_TYPE_UINT64: *(uint64_t *)p = edited_number(s, *(uint64_t *)p); break;
        case PROTOBUF_C_TYPE_BOOL: *(protobuf_c_boolean *)p = !*(protobuf_c_boolean *)p; break;
        case PROTOBUF_C_TYPE_STRING: *(char **)p = edited_text(a, s, v, *(char **)p); break;
        case PROTOBUF_C_TYPE_BYTES: *(ProtobufCBinaryData *)p = edited_run(a, s, v, *(ProtobufCBinaryData *)p); break;
        case PROTOBUF_C_TYPE_MESSAGE:
                if (f->label != PROTOBUF_C_LABEL_REPEATED && script_u8(s) % 16 == 0)
                        *(ProtobufCMessage **)p = NULL;
                else
                        edit(a, s, v, *(ProtobufCMessage **)p, depth + 1);
                break;
        default: break;
        }
}

void message_edit(struct arena *a, struct script *s, const struct vocabulary *v, ProtobufCMessage *m)
{
        edit(a, s, v, m, 0);
}
