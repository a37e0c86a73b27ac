/* message_json: any message there and back, the words, and each thing that is refused with its place. */
#include "common/envelope.h"
#include "common/macro.h"
#include "common/message_json.h"
#include "tests/lib/random_message.h"
#include "tests/lib/text_file.h"
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
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const ProtobufCMessageDescriptor *const messages[] = {
#include "messages.inc"
};

static const ProtobufCMessageDescriptor *find_message(const char *name)
{
        for (unsigned i = 0; i < ELEMENTS(messages); i++)
                if (strcmp(messages[i]->short_name, name) == 0)
                        return messages[i];
        return NULL;
}

static bool has_words(const ProtobufCMessageDescriptor *d, const char *field)
{
        for (uint32_t n = 1; n < 256; n++)
                if (message_json_word(d, field, n))
                        return true;
        return false;
}

/* Random numbers in fields of words become words. */
static void give_words(struct chance *c, ProtobufCMessage *m)
{
        for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
                const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
                uint8_t *at = (uint8_t *)m + f->offset;
                bool repeated = f->label == PROTOBUF_C_LABEL_REPEATED;
                size_t n = repeated ? *(size_t *)((uint8_t *)m + f->quantifier_offset) : 1;

                for (size_t k = 0; k < n; k++) {
                        if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
                                ProtobufCMessage *inner = (repeated ? *(ProtobufCMessage ***)at : (ProtobufCMessage **)at)[k];

                                if (inner)
                                        give_words(c, inner);
                        } else if (f->type == PROTOBUF_C_TYPE_UINT32 && has_words(m->descriptor, f->name)) {
                                uint32_t *v = &(repeated ? *(uint32_t **)at : (uint32_t *)at)[k];

                                while (*v && !message_json_word(m->descriptor, f->name, *v))
                                        *v = 1 + (uint32_t)chance_below(c, 255);
                        }
                }
        }
}

static void test_every_message_comes_back_the_same(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(64 << 20);
        struct chance chance = chance_start();

        for (unsigned i = 0; i < ELEMENTS(messages); i++)
                for (unsigned round = 0; round < 10; round++) {
                        ProtobufCMessage *m = random_message(a, &chance, messages[i]), *back;
                        json_t *printed, *read;
                        char *text, error[MESSAGE_JSON_ERROR_BYTES] = "";

                        give_words(&chance, m);
                        printed = message_json_print(m);
                        assert_non_null(printed);
                        text = json_dumps(printed, JSON_COMPACT);
                        read = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
                        back = message_json_parse(a, messages[i], read, error);
                        if (!back || !bytes_equal(message_pack(a, m), message_pack(a, back)))
                                fail_msg("%s: %s: %s", messages[i]->name, error, text);
                        free(text);
                        json_decref(read);
                        json_decref(printed);
                        arena_reset(a);
                }
}

/* Where a .proto says that a field is an enum, it has words. */
static void check_enum_comments(const char *path, unsigned *count)
{
        struct bytes file = text_file_read(path);
        const ProtobufCMessageDescriptor *d = NULL;
        char *text = (char *)file.p, *line, name[64];

        while ((line = text_file_line(&text))) {
                char *field = strstr(line, "uint32 ");

                if (sscanf(line, "message %63s", name) == 1)
                        d = find_message(name);
                if (!field || !strstr(line, "// enum ") || sscanf(field, "uint32 %63s", name) != 1)
                        continue;
                (*count)++;
                if (!d || !has_words(d, name))
                        fail_msg("%s: %s has no words", path, line);
        }
        free((void *)file.p);
}

static void test_every_enum_of_the_proto_files_has_words(void **state)
{
        static const char *const names[] = { "envelope", "identity", "registry", "catalog", "request", "stream", "log", "session", "state", "audit" };
        unsigned count = 0;
        char path[64];

        for (unsigned i = 0; i < ELEMENTS(names); i++) {
                snprintf(path, sizeof(path), "proto/%s.proto", names[i]);
                check_enum_comments(path, &count);
        }
        assert_true(count > 40);
}

#define ITEM "{\"item_no\":1,\"name_en\":\"x\",\"data_type\":\"C\",\"sensitivity\":\"PUBLIC\"}"

static void test_an_entry_reads_in_words(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        json_t *json = json_loads("{\"resource_code\":\"307001\",\"class_level\":\"DEPARTMENT\",\"share_type\":\"CONDITIONAL\",\"grade\":\"L2\","
                                  "\"contact\":\"00112233445566778899aabbccddeeff\",\"share_methods\":[\"INTERFACE\",\"DB_PUSH\"],"
                                  "\"items\":[" ITEM "],\"existence_sensitive\":false,\"sample\":[{\"values\":[\"\",\"数\"]}]}", 0, NULL);
        Shuyi__V1__Entry *entry = message_json_parse(a, &shuyi__v1__entry__descriptor, json, NULL);
        json_t *printed;

        assert_non_null(entry);
        assert_int_equal(entry->class_level, 3);
        assert_int_equal(entry->share_type, 2);
        assert_int_equal(entry->grade, 2);
        assert_int_equal(entry->contact.len, 16);
        assert_int_equal(entry->contact.data[15], 0xff);
        assert_int_equal(entry->n_share_methods, 2);
        assert_int_equal(entry->share_methods[1], 5);
        assert_int_equal(entry->items[0]->data_type, 'C');
        assert_int_equal(entry->items[0]->sensitivity, 1);
        assert_string_equal(entry->resource_name, "");
        assert_string_equal(entry->sample[0]->values[1], "数");
        printed = message_json_print(&entry->base);
        json_object_del(json, "existence_sensitive");           /* a default: left out */
        assert_true(json_equal(printed, json));
        json_decref(printed);
        json_decref(json);
}

static void test_what_is_wrong_is_told_with_its_place(void **state)
{
        static const struct { const char *json, *error; } cases[] = {
                { "[]", "must be an object" },
                { "{\"resource\":\"x\"}", "no member \"resource\" in Entry" },
                { "{\"items\":[" ITEM "," ITEM ",{\"sensitivity\":\"HIGH\"}]}",
                  "items[2].sensitivity: must be one of PUBLIC, INTERNAL, PERSONAL, SENSITIVE_PERSONAL, TRADE_SECRET" },
                { "{\"items\":[{\"sensitivity\":1}]}", "items[0].sensitivity: must be one of PUBLIC" },
                { "{\"items\":[{\"data_type\":\"X\"}]}", "items[0].data_type: must be one of C, N" },
                { "{\"items\":[{\"data_type\":\"CN\"}]}", "items[0].data_type: must be one of C, N" },
                { "{\"items\":[{\"colour\":\"X\"}]}", "items[0]: no member \"colour\" in Item" },
                { "{\"items\":[[]]}", "items[0]: must be an object" },
                { "{\"items\":{}}", "items: must be an array" },
                { "{\"items\":[{\"length\":-1}]}", "items[0].length: must be a whole number from 0 to 4294967295" },
                { "{\"items\":[{\"length\":4294967296}]}", "items[0].length: must be a whole number" },
                { "{\"items\":[{\"length\":1.0}]}", "items[0].length: must be a whole number" },
                { "{\"items\":[{\"length\":\"1\"}]}", "items[0].length: must be a whole number" },
                { "{\"items\":[{\"nullable\":1}]}", "items[0].nullable: must be true or false" },
                { "{\"items\":[{\"nullable\":null}]}", "items[0].nullable: must be true or false" },
                { "{\"share_methods\":[\"INTERFACE\",\"FAX\"]}", "share_methods[1]: must be one of INTERFACE" },
                { "{\"sample\":[{\"values\":[\"a\",2]}]}", "sample[0].values[1]: must be a text" },
                { "{\"abstract\":null}", "abstract: must be a text" },
                { "{\"abstract\":\"a\\u0000b\"}", "abstract: must be a text without NUL" },
                { "{\"contact\":\"0g\"}", "contact: must be bytes in hexadecimal" },
                { "{\"contact\":\"001\"}", "contact: must be bytes in hexadecimal" },
                { "{\"contact\":17}", "contact: must be bytes in hexadecimal" },
                { "{\"secrecy_review\":\"none\"}", "secrecy_review: must be an object" },
                { "{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa数aaaaaaaaaaaaaa\":1}", "no member \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" in Entry" },
        };
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        char error[MESSAGE_JSON_ERROR_BYTES];

        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                json_t *json = json_loads(cases[i].json, JSON_ALLOW_NUL, NULL);

                assert_non_null(json);
                if (message_json_parse(a, &shuyi__v1__entry__descriptor, json, error))
                        fail_msg("case %u is taken", i);
                if (strncmp(error, cases[i].error, strlen(cases[i].error)) != 0)
                        fail_msg("case %u: %s", i, error);
                json_decref(json);
        }
}

static void test_large_numbers_are_text_only_where_they_must(void **state)
{
        static const struct { const char *json; uint64_t value; bool good; } cases[] = {
                { "{\"n\":9223372036854775807}", INT64_MAX, true },
                { "{\"n\":\"9223372036854775808\"}", (uint64_t)INT64_MAX + 1, true },
                { "{\"n\":\"18446744073709551615\"}", UINT64_MAX, true },
                { "{\"n\":\"18446744073709551616\"}", 0, false },
                { "{\"n\":\"9223372036854775807\"}", 0, false },
                { "{\"n\":\"1\"}", 0, false },
                { "{\"n\":-1}", 0, false },
        };
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);

        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                json_t *json = json_loads(cases[i].json, 0, NULL), *again;
                Shuyi__V1__NumberRow *row = message_json_parse(a, &shuyi__v1__number_row__descriptor, json, NULL);

                if (!row != !cases[i].good || (row && row->n != cases[i].value))
                        fail_msg("%s", cases[i].json);
                again = row ? message_json_print(&row->base) : json_incref(json);
                assert_true(json_equal(json, again));
                json_decref(again);
                json_decref(json);
        }
}

static void test_an_unknown_number_prints_as_a_number(void **state)
{
        Shuyi__V1__GrantRow row = SHUYI__V1__GRANT_ROW__INIT;
        json_t *json;

        row.state = 77;
        row.channel = 2;
        json = message_json_print(&row.base);
        assert_int_equal(json_integer_value(json_object_get(json, "state")), 77);
        assert_string_equal(json_string_value(json_object_get(json, "channel")), "CONDITIONAL");
        json_decref(json);
}

static void test_the_arena_bounds_what_is_read(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1024);
        json_t *json = json_object(), *list = json_array();
        char error[MESSAGE_JSON_ERROR_BYTES];

        for (unsigned i = 0; i < 1000; i++)
                json_array_append_new(list, json_string("a"));
        json_object_set_new(json, "theme_tags", list);
        assert_null(message_json_parse(a, &shuyi__v1__entry__descriptor, json, error));
        assert_string_equal(error, "theme_tags: too large");
        json_decref(json);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_message_comes_back_the_same),
                cmocka_unit_test(test_every_enum_of_the_proto_files_has_words),
                cmocka_unit_test(test_an_entry_reads_in_words),
                cmocka_unit_test(test_what_is_wrong_is_told_with_its_place),
                cmocka_unit_test(test_large_numbers_are_text_only_where_they_must),
                cmocka_unit_test(test_an_unknown_number_prints_as_a_number),
                cmocka_unit_test(test_the_arena_bounds_what_is_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
