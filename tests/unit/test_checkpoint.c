/* checkpoint: a note signs and verifies, and every other spelling of it is refused. */
#include "common/checkpoint.h"
#include "tests/lib/sample.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define ORIGIN "log.442000.example"

static struct checkpoint sample(void)
{
        struct checkpoint c = { ORIGIN, 20852163, { { 0 } } };

        memset(c.root.b, 0x5a, DIGEST_BYTES);
        return c;
}

static void test_what_was_signed_verifies_with_its_size_and_root(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct sample_key k = sample_key(1);
        struct checkpoint c = sample(), got;
        char *note = checkpoint_sign(a, &c, k.secret, k.key);

        assert_non_null(note);
        assert_null(checkpoint_verify(a, note, ORIGIN, k.key, &got));
        assert_string_equal(got.origin, ORIGIN);
        assert_int_equal(got.size, c.size);
        assert_memory_equal(got.root.b, c.root.b, DIGEST_BYTES);
}

static void test_the_published_example_verifies(void **state)
{
        /* PeterNeumann, the key of the documentation of Go's note package, over a text of another form: only its key line
         * can be compared, since our notes are tree heads. */
        _cleanup_(arena_freep) struct arena *a = arena_new(4096);
        uint8_t blob[33];
        size_t n;

        assert_int_equal(sodium_base642bin(blob, sizeof(blob), "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", 44, NULL, &n, NULL, sodium_base64_VARIANT_ORIGINAL), 0);
        assert_int_equal(n, sizeof(blob));
        assert_string_equal(checkpoint_vkey(a, "PeterNeumann", blob + 1), "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
}

static void test_every_changed_character_is_refused(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct sample_key k = sample_key(1);
        struct checkpoint c = sample(), got;
        char *note = checkpoint_sign(a, &c, k.secret, k.key);
        size_t n = strlen(note);

        for (size_t i = 0; i < n; i++) {
                for (unsigned bit = 0; bit < 8; bit++) {
                        note[i] = (char)(note[i] ^ (1 << bit));
                        if (!checkpoint_verify(a, note, ORIGIN, k.key, &got))
                                fail_msg("character %zu bit %u: %s", i, bit, note);
                        note[i] = (char)(note[i] ^ (1 << bit));
                }
        }
        for (size_t i = 0; i < n; i++) {
                char *cut = arena_strdup(a, note);

                cut[i] = 0;
                assert_non_null(checkpoint_verify(a, cut, ORIGIN, k.key, &got));
                arena_reset(a);
                note = checkpoint_sign(a, &c, k.secret, k.key);
        }
}

static void test_signatures_of_others_are_skipped_and_a_known_wrong_one_refuses(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct sample_key k = sample_key(1), other = sample_key(2);
        struct checkpoint c = sample(), got, named = c;
        char *note = checkpoint_sign(a, &c, k.secret, k.key), *both, *line;

        named.origin = "witness.example";
        line = strstr(checkpoint_sign(a, &named, other.secret, other.key), "\n\n") + 2;
        both = arena_printf(a, "%s%s", note, line);
        assert_null(checkpoint_verify(a, both, ORIGIN, k.key, &got));
        assert_non_null(checkpoint_verify(a, both, ORIGIN, other.key, &got));
        line = strstr(note, "\n\n") + 2;
        assert_non_null(checkpoint_verify(a, arena_printf(a, "%s%s", note, line), ORIGIN, k.key, &got));
        /* a key that signs another tree in this one's place: known by id, wrong by signature */
        named = c;
        named.size++;
        line = strstr(checkpoint_sign(a, &named, k.secret, k.key), "\n\n") + 2;
        assert_string_equal(checkpoint_verify(a, arena_printf(a, "%s\n%llu\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n\n%s", ORIGIN,
                                                              (unsigned long long)c.size, line), ORIGIN, k.key, &got), "signature");
}

static void test_forms_that_are_not_exact_are_refused(void **state)
{
        static const char *const notes[] = {
                "", "\n", ORIGIN, ORIGIN "\n", ORIGIN "\n1\n", ORIGIN "\n1\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n",
                ORIGIN "\n01\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n\n", ORIGIN "\n18446744073709551616\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n\n",
                ORIGIN "\n-1\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n\n", ORIGIN "\n1\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\nextension\n\n",
                ORIGIN "\n1\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n\n\xe2\x80\x94 \n",
                ORIGIN "\n1\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n\n\xe2\x80\x94 x y\n",
        };
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct sample_key k = sample_key(1);
        struct checkpoint got;
        char *long_note = arena_alloc(a, 10001);

        for (unsigned i = 0; i < ELEMENTS(notes); i++)
                assert_non_null(checkpoint_verify(a, notes[i], ORIGIN, k.key, &got));
        memset(long_note, 'a', 10000);
        long_note[10000] = 0;
        assert_non_null(checkpoint_verify(a, long_note, ORIGIN, k.key, &got));
        assert_null(checkpoint_vkey(a, "with space", k.key));
        assert_null(checkpoint_vkey(a, "with+plus", k.key));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_was_signed_verifies_with_its_size_and_root),
                cmocka_unit_test(test_the_published_example_verifies),
                cmocka_unit_test(test_every_changed_character_is_refused),
                cmocka_unit_test(test_signatures_of_others_are_skipped_and_a_known_wrong_one_refuses),
                cmocka_unit_test(test_forms_that_are_not_exact_are_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
