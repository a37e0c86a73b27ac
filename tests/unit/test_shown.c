/* shown: no text of others moves the cursor, breaks a line or turns the writing round. */
#include "agent/cli/shown.h"
#include "common/macro.h"
#include "tests/lib/unit.h"

#include <stdlib.h>

struct shown_case { const char *name, *text, *want; };

static const struct shown_case cases[] = {
        { "plain text stays", "Ab 1~", "Ab 1~" },
        { "Chinese stays", "\xe4\xb8\xad\xe5\xb1\xb1\xe5\xb8\x82\xef\xbc\x88", "\xe4\xb8\xad\xe5\xb1\xb1\xe5\xb8\x82\xef\xbc\x88" },
        { "a character beyond the first plane stays", "\xf0\xa0\xae\xb7", "\xf0\xa0\xae\xb7" },
        { "a line feed cannot begin another line", "x\n  digest of what is signed: 00", "x\\u000a  digest of what is signed: 00" },
        { "an escape sequence is shown", "\033[2J", "\\u001b[2J" },
        { "C1 control characters too", "\xc2\x9b" "2J", "\\u009b2J" },
        { "writing is not turned round", "a\xe2\x80\xae" "b", "a\\u202eb" },
        { "nor isolated", "\xe2\x81\xa6x\xe2\x81\xa9", "\\u2066x\\u2069" },
        { "invisible spaces are seen", "a\xe2\x80\x8b" "b", "a\\u200bb" },
        { "tags are seen", "\xf3\xa0\x81\x81", "\\U000e0041" },
        { "bytes that are no UTF-8 are shown one by one", "\xff\xe4\xb8", "\\xff\\xe4\\xb8" },
        { "a surrogate is no UTF-8", "\xed\xa0\x80", "\\xed\\xa0\\x80" },
};

static void test_shown(void **state)
{
        const struct shown_case *k = *state;
        char *got = shown_line(k->text);

        assert_string_equal(got, k->want);
        free(got);
}

static void test_every_string_of_a_value(void **state)
{
        json_t *v = shown_json(json_pack("{s:s, s:[s, {s:s}], s:i}", "a", "\033", "list", "x\ny", "in", "\177", "n", 7));

        assert_string_equal(json_string_value(json_object_get(v, "a")), "\\u001b");
        assert_string_equal(json_string_value(json_array_get(json_object_get(v, "list"), 0)), "x\\u000ay");
        assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(v, "list"), 1), "in")), "\\u007f");
        assert_int_equal(json_integer_value(json_object_get(v, "n")), 7);
        json_decref(v);
}

int main(void)
{
        struct CMUnitTest tests[ELEMENTS(cases) + 1];

        for (size_t i = 0; i < ELEMENTS(cases); i++)
                tests[i] = (struct CMUnitTest){ cases[i].name, test_shown, NULL, NULL, (void *)&cases[i] };
        tests[ELEMENTS(cases)] = (struct CMUnitTest)cmocka_unit_test(test_every_string_of_a_value);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
