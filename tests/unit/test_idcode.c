/* idcode: the vectors, and every wrong character of a good number. */
#include "common/idcode.h"
#include "common/macro.h"
#include "tests/lib/text_file.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define TODAY 20500                             /* 2026-02-16 */

static void test_every_vector_has_its_first_error(void **state)
{
        struct bytes file = text_file_read("tests/vectors/id-vectors.csv");
        char *text = (char *)file.p, *line;
        unsigned n = 0;

        for (text_file_line(&text); (line = text_file_line(&text)); n++) {
                const char *kind = text_file_cell(&line), *value = text_file_cell(&line), *valid = text_file_cell(&line);
                const char *expected = text_file_cell(&line), *note = text_file_cell(&line), *error;

                if (strcmp(kind, "USCC") == 0)
                        error = idcode_check_uscc(bytes_str(value));
                else
                        error = idcode_check_resident(bytes_str(value), TODAY);
                if (strcmp(error ? error : "", expected) != 0 || (*valid == '1') != !error)
                        fail_msg("%s: %s, not %s (%s)", value, error ? error : "valid", expected, note);
        }
        assert_int_equal(n, 26);
        free((void *)file.p);
}

static void test_no_single_wrong_character_passes(void **state)
{
        static const char *const good[] = { "440524188001010014", "11442000MX00000197" };
        char text[19];

        for (unsigned g = 0; g < ELEMENTS(good); g++)
                for (unsigned i = 0; i < 18; i++)
                        for (int c = 1; c < 256; c++) {
                                const char *error;

                                memcpy(text, good[g], 19);
                                if (text[i] == (char)c)
                                        continue;
                                text[i] = (char)c;
                                error = g ? idcode_check_uscc(bytes_of(text, 18)) : idcode_check_resident(bytes_of(text, 18), TODAY);
                                if (!error || strcmp(error, "org_checksum") == 0)
                                        fail_msg("%s passes as %s", text, good[g]);
                        }
}

static void test_birth_today_is_not_in_the_future(void **state)
{
        struct bytes text = bytes_str("440524188001010014");
        day_number birth = times_day_from_date(1880, 1, 1);

        assert_null(idcode_check_resident(text, birth));
        assert_string_equal(idcode_check_resident(text, birth - 1), "future");
}

static void test_any_bytes_are_safe(void **state)
{
        static const uint8_t junk[] = { 0xff, 0xc0, 0, 0x80 };

        assert_string_equal(idcode_check_resident((struct bytes){ 0 }, TODAY), "length");
        assert_string_equal(idcode_check_uscc((struct bytes){ 0 }), "length");
        assert_string_equal(idcode_check_uscc(bytes_of(junk, 4)), "length");
        assert_string_equal(idcode_check_uscc(bytes_of("1144200\0MX00000197", 18)), "charset");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_vector_has_its_first_error),
                cmocka_unit_test(test_no_single_wrong_character_passes),
                cmocka_unit_test(test_birth_today_is_not_in_the_future),
                cmocka_unit_test(test_any_bytes_are_safe),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
