/* csv: rows as RFC 4180 has them, and nothing guessed at. */
#include "agent/cli/csv.h"
#include "common/macro.h"
#include "tests/lib/unit.h"

#include <stdio.h>
#include <string.h>

enum { MOST = 4 };

struct csv_case { const char *name, *text, *want, *wrong; unsigned line; };

static const struct csv_case cases[] = {
        { "rows and fields", "a,b\nc,d\n", "[a][b];[c][d];", NULL, 2 },
        { "the last row needs no line end", "a,b\nc,d", "[a][b];[c][d];", NULL, 2 },
        { "lines may end in CR LF", "a,b\r\nc,d\r\n", "[a][b];[c][d];", NULL, 2 },
        { "a lone CR is text", "a\rb,c\n", "[a\rb][c];", NULL, 1 },
        { "a byte order mark is passed over", "\xef\xbb\xbfid,b\n", "[id][b];", NULL, 1 },
        { "blank lines are no rows", "a,b\n\n\nc,d\n\n", "[a][b];[c][d];", NULL, 5 },
        { "a quoted field holds commas, quotes and line ends", "\"x,\"\"y\"\"\nz\",2\nq,r\n", "[x,\"y\"\nz][2];[q][r];", NULL, 3 },
        { "an empty quoted field alone is a row", "\"\"\n", "[];", NULL, 1 },
        { "a comma at the end is one more field", "a,", "[a][];", NULL, 1 },
        { "text behind a closing quote is refused", "a,b\n\"c\"d,e\n", "[a][b];", "text after a closing quote", 2 },
        { "a quote left open is refused", "a,b\nc,\"d\n", "[a][b];", "a quote is not closed", 2 },
        { "GBK is refused, not dropped", "a,b\nc,\xd6\xd0\n", "[a][b];", "not UTF-8 text: save the file as UTF-8", 2 },
        { "more fields than there is room are refused", "a,b,c,d,e\n", "", "too many fields", 1 },
        { "nothing is no row", "", "", NULL, 0 },
};

static void test_csv(void **state)
{
        const struct csv_case *k = *state;
        char text[200], got[200] = "", *fields[MOST];
        size_t n = strlen(k->text);
        struct csv c;
        int found;

        memcpy(text, k->text, n + 1);
        c = csv_begin(text, text + n);
        while ((found = csv_row(&c, fields, MOST)) > 0) {
                for (int i = 0; i < found; i++)
                        snprintf(got + strlen(got), sizeof(got) - strlen(got), "[%s]", fields[i]);
                strcat(got, ";");
        }
        assert_string_equal(got, k->want);
        assert_int_equal(found, k->wrong ? -1 : 0);
        assert_int_equal(c.line, k->line);
        if (k->wrong)
                assert_string_equal(c.wrong, k->wrong);
        else
                assert_null(c.wrong);
}

static void test_a_nul_byte_is_refused(void **state)
{
        char text[] = "a,b\0c\n", *fields[MOST];
        struct csv c = csv_begin(text, text + sizeof(text) - 1);

        assert_int_equal(csv_row(&c, fields, MOST), -1);
}

int main(void)
{
        struct CMUnitTest tests[ELEMENTS(cases) + 1];

        for (size_t i = 0; i < ELEMENTS(cases); i++)
                tests[i] = (struct CMUnitTest){ cases[i].name, test_csv, NULL, NULL, (void *)&cases[i] };
        tests[ELEMENTS(cases)] = (struct CMUnitTest)cmocka_unit_test(test_a_nul_byte_is_refused);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
