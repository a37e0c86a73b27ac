/* bytes: comparing, integers, hex, UTF-8. */
#include "common/bytes.h"
#include "common/macro.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_compare_sorts_a_prefix_first(void **state)
{
        assert_true(bytes_compare(bytes_str("ab"), bytes_str("abc")) < 0);
        assert_true(bytes_compare(bytes_str("abd"), bytes_str("abc")) > 0);
        assert_true(bytes_compare(bytes_str("\xff"), bytes_str("a")) > 0);
        assert_int_equal(bytes_compare(bytes_str("abc"), bytes_str("abc")), 0);
        assert_int_equal(bytes_compare((struct bytes){ 0 }, (struct bytes){ 0 }), 0);
        assert_true(bytes_has_prefix(bytes_str("abc"), bytes_str("ab")));
        assert_true(bytes_has_prefix(bytes_str("abc"), (struct bytes){ 0 }));
        assert_false(bytes_has_prefix(bytes_str("ab"), bytes_str("abc")));
        assert_false(bytes_has_prefix(bytes_str("abc"), bytes_str("b")));
}

static void test_integers_have_their_byte_order(void **state)
{
        static const uint8_t be[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
        uint8_t out[8];

        put_be64(out, 0x0102030405060708);
        assert_memory_equal(out, be, 8);
        assert_true(get_be64(be) == 0x0102030405060708);
        assert_int_equal(get_be32(be), 0x01020304);
        assert_int_equal(get_be16(be), 0x0102);
        assert_true(get_le64(be) == 0x0807060504030201);
        assert_int_equal(get_le32(be), 0x04030201);
        put_be32(out, 0x01020304);
        put_be16(out + 4, 0x0506);
        assert_memory_equal(out, be, 6);
        put_le32(out, 0x04030201);
        assert_memory_equal(out, be, 4);
        put_le64(out, 0x0807060504030201);
        assert_memory_equal(out, be, 8);
}

static void test_copy_exact_writes_only_what_fits(void **state)
{
        char out[4] = "xyz";

        assert_false(bytes_copy_exact(bytes_str("ab"), out, 3));
        assert_string_equal(out, "xyz");
        assert_true(bytes_copy_exact(bytes_str("abc"), out, 3));
        assert_string_equal(out, "abc");
}

static void test_hex_reads_what_it_writes_and_nothing_else(void **state)
{
        static const char *const wrong[] = { "", "0", "00f", "00fg", "00ff0", "00ff00", " 0ff", "0x0f", "00f\n" };
        uint8_t out[2] = { 7, 7 };
        char text[5];

        hex_format(bytes_of("\x00\xff", 2), text);
        assert_string_equal(text, "00ff");
        for (unsigned i = 0; i < ELEMENTS(wrong); i++)
                assert_false(hex_parse(wrong[i], out, 2));
        assert_int_equal(out[0], 7);
        assert_true(hex_parse("00fF", out, 2));
        assert_memory_equal(out, "\x00\xff", 2);
        assert_true(hex_parse("", out, 0));
}

static void test_utf8_takes_only_the_one_spelling(void **state)
{
        static const struct { const char *text; size_t n; bool good; } cases[] = {
                { "", 0, true }, { "abc", 3, true }, { "数驿", 6, true },
                { "\xc2\x80", 2, true }, { "\xe0\xa0\x80", 3, true }, { "\xed\x9f\xbf", 3, true },
                { "\xf0\x90\x80\x80", 4, true }, { "\xf4\x8f\xbf\xbf", 4, true },
                { "a\0b", 3, false },                   /* NUL */
                { "\xc0\x80", 2, false },               /* overlong NUL */
                { "\xc1\xbf", 2, false }, { "\xe0\x9f\xbf", 3, false }, { "\xf0\x8f\xbf\xbf", 4, false },
                { "\xed\xa0\x80", 3, false },           /* surrogate */
                { "\xf4\x90\x80\x80", 4, false },       /* beyond U+10FFFF */
                { "\xf5\x80\x80\x80", 4, false }, { "\x80", 1, false }, { "\xff", 1, false },
                { "\xe6\x95", 2, false },               /* cut */
                { "\xe6\x95\x30", 3, false }, { "\xf0\x90\x80\xc0", 4, false },
        };

        for (unsigned i = 0; i < ELEMENTS(cases); i++)
                if (utf8_check(bytes_of(cases[i].text, cases[i].n)) != cases[i].good)
                        fail_msg("case %u", i);
}

/* Text is read by eights where it can be: wherever in a run the odd byte stands, the answer is the same. */
static void test_utf8_sees_every_place_of_a_run(void **state)
{
        for (size_t n = 1; n <= 40; n++)
                for (size_t at = 0; at < n; at++) {
                        uint8_t text[40];

                        memset(text, 'a', n);
                        assert_true(utf8_check(bytes_of(text, n)));
                        text[at] = 0;
                        assert_false(utf8_check(bytes_of(text, n)));
                        text[at] = 0x80;
                        assert_false(utf8_check(bytes_of(text, n)));
                        text[at] = 0x7f;
                        assert_true(utf8_check(bytes_of(text, n)));
                        if (at + 3 > n)
                                continue;
                        memcpy(text + at, "数", 3);
                        assert_true(utf8_check(bytes_of(text, n)));
                }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_compare_sorts_a_prefix_first),
                cmocka_unit_test(test_integers_have_their_byte_order),
                cmocka_unit_test(test_copy_exact_writes_only_what_fits),
                cmocka_unit_test(test_hex_reads_what_it_writes_and_nothing_else),
                cmocka_unit_test(test_utf8_takes_only_the_one_spelling),
                cmocka_unit_test(test_utf8_sees_every_place_of_a_run),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
