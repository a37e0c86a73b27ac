/* push_form: which bodies it takes by itself, and that it reads them as they are meant. */
#include "agent/push_form.h"
#include "common/macro.h"
#include "common/words.h"
#include "tests/lib/unit.h"

#define AT "\"changed_at\":\"2026-02-12T02:00:00.000Z\""
#define VALUES "\"values\":{\"a\":\"1\"}"
#define ONE "{" AT "," VALUES "}"

struct body_case { const char *name, *body; bool taken; };

static void test_exactly_the_form_is_taken_all_else_declined(void **state)
{
        static const struct body_case cases[] = {
                { "one record", "{\"records\":[" ONE "]}", true },
                { "two, spread out", " {\n\"records\" :\t[ " ONE " ,\r\n" ONE " ] } \n", true },
                { "no value at all", "{\"records\":[{\"values\":{}," AT "}]}", true },
                { "the same names in another order", "{\"records\":[{" AT ",\"values\":{\"a\":\"1\",\"b\":null}},{" AT ",\"values\":{\"b\":\"2\",\"a\":\"3\"}}]}", true },
                { "no records", "{\"records\":[]}", false },
                { "another member beside them", "{\"records\":[" ONE "],\"more\":1}", false },
                { "something behind it", "{\"records\":[" ONE "]}x", false },
                { "cut off", "{\"records\":[" ONE "]", false },
                { "cut off in a string", "{\"records\":[{\"values\":{\"a\":\"1", false },
                { "cut off behind a backslash", "{\"records\":[{\"values\":{\"a\":\"1\\", false },
                { "a comma too many", "{\"records\":[" ONE ",]}", false },
                { "an unknown operation", "{\"records\":[{\"op\":\"FLAG\"," AT "," VALUES "}]}", false },
                { "no time", "{\"records\":[{" VALUES "}]}", false },
                { "a day that is none", "{\"records\":[{\"changed_at\":\"2026-02-30T00:00:00Z\"," VALUES "}]}", false },
                { "no values", "{\"records\":[{" AT "}]}", false },
                { "a member twice", "{\"records\":[{" AT "," AT "," VALUES "}]}", false },
                { "a name twice", "{\"records\":[{" AT ",\"values\":{\"a\":\"1\",\"a\":\"2\"}}]}", false },
                { "a name twice, once in disguise", "{\"records\":[{" AT ",\"values\":{\"a\":\"1\",\"\\u0061\":\"2\"}}]}", false },
                { "a number", "{\"records\":[{" AT ",\"values\":{\"a\":1}}]}", false },
                { "a control character", "{\"records\":[{" AT ",\"values\":{\"a\":\"\n\"}}]}", false },
                { "half a pair", "{\"records\":[{" AT ",\"values\":{\"a\":\"\\ud800x\"}}]}", false },
                { "the other half", "{\"records\":[{" AT ",\"values\":{\"a\":\"\\udc00\"}}]}", false },
                { "NUL", "{\"records\":[{" AT ",\"values\":{\"a\":\"\\u0000\"}}]}", false },
                { "an escape that is none", "{\"records\":[{" AT ",\"values\":{\"a\":\"\\x\"}}]}", false },
                { "bytes that are no UTF-8", "{\"records\":[{" AT ",\"values\":{\"a\":\"\xff\"}}]}", false },
                { "a surrogate in UTF-8", "{\"records\":[{" AT ",\"values\":{\"a\":\"\xed\xa0\x80\"}}]}", false },
                { "nothing", "", false },
        };
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct push_list list;

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                arena_reset(a);
                if (push_form(a, bytes_str(cases[i].body), &list) != cases[i].taken)
                        fail_msg("%s", cases[i].name);
        }
}

static void test_what_is_taken_is_read_as_it_is_meant(void **state)
{
        static const char body[] = "{\"records\":[{\"op\":\"DELETE\"," AT ",\"values\":{\"c\\u006fde\":\"示例\\u793a\\ud83d\\ude00\\\"\\\\\\/\\b\\f\\n\\r\\t\",\"n\":null}},"
                                   "{" AT ",\"values\":{\"code\":\"\",\"n\":\"a long one, plain, of more than eight\"}}]}";
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        const struct view_input *in;
        struct push_list list;

        assert_true(push_form(a, bytes_str(body), &list));
        assert_int_equal(list.n, 2);
        in = &list.records[0].in;
        assert_int_equal(in->op, OP_DELETE);
        assert_int_equal(in->n, 2);
        assert_string_equal(in->names[0], "code");
        assert_string_equal(in->values[0], "示例示😀\"\\/\b\f\n\r\t");
        assert_string_equal(in->names[1], "n");
        assert_null(in->values[1]);
        in = &list.records[1].in;
        assert_int_equal(in->op, OP_UPSERT);
        assert_true(in->changed_at == 1770861600000ull);
        assert_string_equal(in->values[0], "");
        assert_string_equal(in->values[1], "a long one, plain, of more than eight");
}

static void test_an_arena_that_is_full_declines(void **state)
{
        for (size_t room = 0; room < 4096; room += 16) {
                _cleanup_(arena_freep) struct arena *a = arena_new(room);
                struct push_list list;

                assert_false(push_form(a, bytes_str("{\"records\":[" ONE "]}"), &list) && arena_failed(a));
        }
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_exactly_the_form_is_taken_all_else_declined),
                cmocka_unit_test(test_what_is_taken_is_read_as_it_is_meant),
                cmocka_unit_test(test_an_arena_that_is_full_declines),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
