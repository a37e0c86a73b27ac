/* wire: each way to spell a message that is not the one way, and what the generated types may look like. */
#include "common/envelope.h"
#include "common/macro.h"
#include "common/wire.h"
#include "proto/audit.pb-c.h"
#include "proto/bundle.pb-c.h"
#include "proto/catalog.pb-c.h"
#include "proto/log.pb-c.h"
#include "proto/registry.pb-c.h"
#include "proto/request.pb-c.h"
#include "proto/session.pb-c.h"
#include "proto/state.pb-c.h"
#include "proto/stream.pb-c.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const ProtobufCMessageDescriptor *const messages[] = {
#include "messages.inc"
};

#define INTENT &shuyi__v1__intent__descriptor
#define ENVELOPE &shuyi__v1__envelope__descriptor
#define HEADER &shuyi__v1__header__descriptor
#define VALUE &shuyi__v1__value__descriptor
#define SAMPLE &shuyi__v1__sample_row__descriptor

struct spelling { const char *shows; const ProtobufCMessageDescriptor *type; const char *bytes; size_t n; const char *error; };
#define B(text) text, sizeof(text) - 1

static const struct spelling spellings[] = {
        { "nothing is the empty message", INTENT, B(""), NULL },
        { "two fields in order", INTENT, B("\x08\x01\x18\x04"), NULL },
        { "fields swapped", INTENT, B("\x18\x04\x08\x01"), "fields not ascending, or one repeated" },
        { "a singular field twice", INTENT, B("\x08\x01\x08\x01"), "fields not ascending, or one repeated" },
        { "a tag not minimal", INTENT, B("\x88\x00\x01"), "varint not minimal" },
        { "a value not minimal", INTENT, B("\x08\x81\x00"), "varint not minimal" },
        { "a length not minimal", INTENT, B("\x22\x81\x00" "a"), "varint not minimal" },
        { "a value of zero", INTENT, B("\x08\x00"), "default encoded" },
        { "an empty text", INTENT, B("\x22\x00"), "default encoded" },
        { "empty bytes", HEADER, B("\x0a\x00"), "default encoded" },
        { "u32 at its greatest", INTENT, B("\x08\xff\xff\xff\xff\x0f"), NULL },
        { "u32 one more", INTENT, B("\x08\x80\x80\x80\x80\x10"), "number beyond 32 bits" },
        { "u64 at its greatest", INTENT, B("\xc8\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), NULL },
        { "u64 one more", INTENT, B("\xc8\x01\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02"), "varint beyond 64 bits" },
        { "a varint of eleven bytes", INTENT, B("\xc8\x01\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), "varint beyond 64 bits" },
        { "a bool of two", VALUE, B("\x18\x02"), "bool neither 0 nor 1" },
        { "a bool", VALUE, B("\x18\x01"), NULL },
        { "a number as a run", INTENT, B("\x0a\x01\x01"), "wrong wire type" },
        { "a number as fixed", INTENT, B("\x0d\x01\x00\x00\x00"), "wrong wire type" },
        { "a text as a number", INTENT, B("\x20\x01"), "wrong wire type" },
        { "a group", INTENT, B("\x23\x24"), "wrong wire type" },
        { "text with NUL", INTENT, B("\x22\x03" "a\0b"), "text is not UTF-8, or holds NUL" },
        { "text that is not UTF-8", INTENT, B("\x22\x02\xc3\x28"), "text is not UTF-8, or holds NUL" },
        { "bytes of any kind", INTENT, B("\x12\x02\xc3\x00"), NULL },
        { "cut in a tag", INTENT, B("\xc8"), "truncated varint" },
        { "cut after a tag", INTENT, B("\x08"), "truncated varint" },
        { "cut in a value", INTENT, B("\x08\x80"), "truncated varint" },
        { "cut in a text", INTENT, B("\x22\x05" "abcd"), "length beyond the end" },
        { "a length near 2^64", INTENT, B("\x22\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" "a"), "length beyond the end" },
        { "packed numbers", INTENT, B("\x62\x03\x01\x80\x01"), NULL },
        { "a packed zero is a value", INTENT, B("\x62\x01\x00"), NULL },
        { "packed and empty", INTENT, B("\x62\x00"), "empty packed field" },
        { "packed in two runs", INTENT, B("\x62\x01\x01\x62\x01\x02"), "fields not ascending, or one repeated" },
        { "repeated and not packed", INTENT, B("\x60\x01"), "repeated number not packed" },
        { "packed and cut", INTENT, B("\x62\x01\x80"), "truncated varint" },
        { "packed and not minimal", INTENT, B("\x62\x02\x81\x00"), "varint not minimal" },
        { "packed beyond its width", INTENT, B("\x62\x05\xff\xff\xff\xff\x1f"), "number beyond 32 bits" },
        { "repeated texts, one empty", SAMPLE, B("\x0a\x00\x0a\x01" "a\x0a\x00"), NULL },
        { "repeated text that is not UTF-8", SAMPLE, B("\x0a\x01" "a\x0a\x01\xff"), "text is not UTF-8, or holds NUL" },
        { "an empty message within is present", INTENT, B("\x92\x02\x00"), NULL },
        { "a message within, wrong", INTENT, B("\x92\x02\x02\x08\x00"), "default encoded" },
        { "a message within, twice", INTENT, B("\x92\x02\x00\x92\x02\x00"), "fields not ascending, or one repeated" },
        { "messages repeated", ENVELOPE, B("\x1a\x00\x1a\x02\x10\x01"), NULL },
        { "field number zero", INTENT, B("\x00\x01"), "no such field number" },
        { "unknown below 1000", INTENT, B("\xba\x3e\x01" "a"), "unknown critical field" },
        { "unknown just above the known", INTENT, B("\xd0\x02\x01"), "unknown critical field" },
        { "unknown from 1000 as a number", INTENT, B("\xc0\x3e\x01"), NULL },
        { "unknown from 1000 as a run", INTENT, B("\xc2\x3e\x01" "a"), NULL },
        { "unknown from 1000 as fixed", INTENT, B("\xc1\x3e" "12345678\xcd\x3e" "1234"), NULL },
        { "unknown and cut", INTENT, B("\xc1\x3e" "1234567"), "truncated number" },
        { "unknown and cut again", INTENT, B("\xc2\x3e\x02" "a"), "length beyond the end" },
        { "unknown and a group", INTENT, B("\xc3\x3e\xc4\x3e"), "wire type not known" },
        { "unknown before the known", INTENT, B("\xc0\x3e\x01\x08\x01"), "fields not ascending, or one repeated" },
        { "unknown twice", INTENT, B("\xc0\x3e\x01\xc0\x3e\x01"), "fields not ascending, or one repeated" },
        { "the greatest field number", INTENT, B("\xf8\xff\xff\xff\x0f\x01"), NULL },
        { "a field number beyond it", INTENT, B("\x80\x80\x80\x80\x10\x01"), "no such field number" },
};

static void test_each_spelling_is_taken_or_refused_for_its_reason(void **state)
{
        for (unsigned i = 0; i < ELEMENTS(spellings); i++) {
                const struct spelling *s = &spellings[i];
                const char *error = wire_scan(s->type, bytes_of(s->bytes, s->n));

                if (strcmp(error ? error : "", s->error ? s->error : "") != 0)
                        fail_msg("%s: %s", s->shows, error ? error : "taken");
        }
}

static void test_what_is_taken_re_encodes_to_itself(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);

        for (unsigned i = 0; i < ELEMENTS(spellings); i++) {
                const struct spelling *s = &spellings[i];
                ProtobufCMessage *m = message_parse(a, s->type, bytes_of(s->bytes, s->n));

                assert_int_equal(m != NULL, s->error == NULL);
                if (m && !bytes_equal(message_pack(a, m), bytes_of(s->bytes, s->n)))
                        fail_msg("%s: re-encoded otherwise", s->shows);
        }
}

/* Depth of a type; fails where it holds itself, directly or below. */
static unsigned depth_of(const ProtobufCMessageDescriptor *d, const ProtobufCMessageDescriptor **path, unsigned n)
{
        unsigned deepest = 0;

        for (unsigned i = 0; i < n; i++)
                if (path[i] == d)
                        fail_msg("%s holds itself", d->name);
        assert_true(n < 32);
        path[n] = d;
        for (unsigned i = 0; i < d->n_fields; i++)
                if (d->fields[i].type == PROTOBUF_C_TYPE_MESSAGE) {
                        unsigned depth = depth_of(d->fields[i].descriptor, path, n + 1);

                        deepest = depth > deepest ? depth : deepest;
                }
        return deepest + 1;
}

static void test_no_type_holds_itself_and_none_is_deeper_than_the_scan(void **state)
{
        const ProtobufCMessageDescriptor *path[32];

        assert_true(ELEMENTS(messages) > 100);
        for (unsigned i = 0; i < ELEMENTS(messages); i++)
                if (depth_of(messages[i], path, 0) > WIRE_DEPTH_MAX)
                        fail_msg("%s is too deep", messages[i]->name);
}

/* What the scan takes for granted of a descriptor, and what canonical packing needs. */
static void test_every_field_is_of_a_form_that_the_scan_knows(void **state)
{
        for (unsigned i = 0; i < ELEMENTS(messages); i++)
                for (unsigned j = 0; j < messages[i]->n_fields; j++) {
                        const ProtobufCFieldDescriptor *f = &messages[i]->fields[j];
                        bool number = f->type == PROTOBUF_C_TYPE_UINT32 || f->type == PROTOBUF_C_TYPE_UINT64 || f->type == PROTOBUF_C_TYPE_BOOL;
                        bool run = f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_BYTES || f->type == PROTOBUF_C_TYPE_MESSAGE;
                        bool repeated = f->label == PROTOBUF_C_LABEL_REPEATED, packed = f->flags & PROTOBUF_C_FIELD_FLAG_PACKED;

                        if (!(number || run) || f->label == PROTOBUF_C_LABEL_REQUIRED || (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) ||
                            (!repeated && f->type != PROTOBUF_C_TYPE_MESSAGE && f->label != PROTOBUF_C_LABEL_NONE) ||
                            (repeated && number) != packed || f->id >= WIRE_UNKNOWN_FROM || (j > 0 && f[-1].id >= f->id))
                                fail_msg("%s.%s", messages[i]->name, f->name);
                }
}

static void test_many_bytes_of_small_messages_are_linear(void **state)
{
        static uint8_t many[960 * 1024];

        for (size_t i = 0; i < sizeof(many); i += 2) {
                many[i] = 0x1a;
                many[i + 1] = 0;
        }
        assert_null(wire_scan(ENVELOPE, bytes_of(many, sizeof(many))));
}

static void test_uuid7_keeps_its_time_and_its_marks(void **state)
{
        static const uint8_t random[10] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
        struct id id, later, zero = { 0 };

        uuid7_make(1770861600123, random, &id);
        assert_true(uuid7_check(&id));
        assert_true(uuid7_time(&id) == 1770861600123);
        uuid7_make(1770861600124, (const uint8_t[10]){ 0 }, &later);
        assert_true(uuid7_check(&later));
        assert_true(bytes_compare(bytes_id(&id), bytes_id(&later)) < 0);
        assert_false(uuid7_check(&zero));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_spelling_is_taken_or_refused_for_its_reason),
                cmocka_unit_test(test_what_is_taken_re_encodes_to_itself),
                cmocka_unit_test(test_no_type_holds_itself_and_none_is_deeper_than_the_scan),
                cmocka_unit_test(test_every_field_is_of_a_form_that_the_scan_knows),
                cmocka_unit_test(test_many_bytes_of_small_messages_are_linear),
                cmocka_unit_test(test_uuid7_keeps_its_time_and_its_marks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
