/* artifact: one spelling, one kind, and messages through it; base64 beneath. */
#include "common/artifact.h"
#include "common/base64.h"
#include "proto/identity.pb-c.h"
#include "tests/lib/sample.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_every_length_up_to_300_comes_back_and_lines_are_of_76(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 16);
        uint8_t content[300];

        for (size_t n = 0; n < sizeof(content); n++)
                content[n] = (uint8_t)(n * 37);
        for (size_t n = 0; n <= sizeof(content); n++) {
                struct bytes text, got;
                enum artifact kind;

                arena_reset(a);
                text = artifact_encode(a, ARTIFACT_KEY, bytes_of(content, n));
                assert_null(artifact_decode(a, ARTIFACT_KEY, text, &got));
                assert_true(bytes_equal(got, bytes_of(content, n)));
                assert_true(artifact_find(text, &kind) && kind == ARTIFACT_KEY);
                assert_non_null(artifact_decode(a, ARTIFACT_JOIN, text, &got));
                for (size_t cut = 0; cut < text.n; cut++)               /* no cut inside a line passes */
                        if (text.p[cut] != '\n' && (cut == 0 || text.p[cut - 1] != '\n'))
                                assert_non_null(artifact_decode(a, ARTIFACT_KEY, bytes_of(text.p, cut), &got));
        }
}

static void test_spellings(void **state)
{
        static const struct { const char *text; bool want; } cases[] = {
                { "shuyi-key-v1\naGVsbG8=\n", true },
                { "shuyi-key-v1\r\naGVsbG8=\r\n", true },
                { "shuyi-key-v1\n", true },
                { "shuyi-key-v1", false },
                { "shuyi-key-v2\naGVsbG8=\n", false },
                { " shuyi-key-v1\naGVsbG8=\n", false },
                { "shuyi-key-v1\naGVsbG8=", false },
                { "shuyi-key-v1\naGVsbG8=\n\n", false },
                { "shuyi-key-v1\naGVs\nbG8=\n", false },
                { "shuyi-key-v1\naGVsbG9=\n", false },
                { "shuyi-key-v1\naGVsbG8\n", false },
                { "shuyi-key-v1\naGV sbG8=\n", false },
                { "shuyi-key-v1\naGVs\xe2G8=\n", false },
                { "shuyi-key-v1\n-GVsbG8=\n", false },
                { "", false },
        };
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 16);
        struct bytes got;

        for (unsigned i = 0; i < ELEMENTS(cases); i++)
                if ((artifact_decode(a, ARTIFACT_KEY, bytes_str(cases[i].text), &got) == NULL) != cases[i].want)
                        fail_msg("%s", cases[i].text);
}

static void test_a_join_file_carries_its_message(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 16);
        Shuyi__V1__JoinFile join = SHUYI__V1__JOIN_FILE__INIT, *got;
        struct bytes text;
        uint8_t request[] = "request";

        join.key_request = (ProtobufCBinaryData){ 7, request };
        join.label = "卫生健康局一号";
        text = artifact_write(a, ARTIFACT_JOIN, &join.base);
        assert_int_equal(strncmp((const char *)text.p, "shuyi-join-v1\n", 14), 0);
        assert_null(artifact_read(a, ARTIFACT_JOIN, text, &got));
        assert_string_equal(got->label, join.label);
        assert_non_null(artifact_read(a, ARTIFACT_WELCOME, text, &got));
        text = artifact_encode(a, ARTIFACT_JOIN, bytes_str("not a message"));
        assert_non_null(artifact_read(a, ARTIFACT_JOIN, text, &got));
}

static void test_base64_has_one_spelling_of_everything(void **state)
{
        uint8_t out[64];
        size_t n;

        assert_true(base64_decode(bytes_str(""), out, sizeof(out), &n) && n == 0);
        assert_true(base64_decode(bytes_str("/+8="), out, sizeof(out), &n) && n == 2);
        assert_false(base64_decode(bytes_str("/+9="), out, sizeof(out), &n));           /* unused bits set */
        assert_false(base64_decode(bytes_str("_-8="), out, sizeof(out), &n));
        assert_false(base64_decode(bytes_str("===="), out, sizeof(out), &n));
        assert_false(base64_decode(bytes_str("AAAA"), out, 2, &n));
        for (unsigned c = 0x80; c < 0x100; c++) {
                uint8_t text[4] = { 'A', (uint8_t)c, 'A', 'A' };

                assert_false(base64_decode(bytes_of(text, 4), out, sizeof(out), &n));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_length_up_to_300_comes_back_and_lines_are_of_76),
                cmocka_unit_test(test_spellings),
                cmocka_unit_test(test_a_join_file_carries_its_message),
                cmocka_unit_test(test_base64_has_one_spelling_of_everything),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
