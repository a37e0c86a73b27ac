/* heads, published_file, ask: which TRUST_HEAD goes under which published head; what is read back of the witnessed one; whom the broker may ask. */
#include "broker/ask.h"
#include "broker/trust_heads.h"
#include "broker/published_file.h"
#include "common/arena.h"
#include "common/macro.h"
#include "tests/lib/temp_dir.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void add(struct trust_heads *h, uint64_t seq, uint64_t trust_seq)
{
        uint8_t envelope[8] = { (uint8_t)seq };
        struct trust_head head = { .seq = seq, .trust_seq = trust_seq, .envelope = envelope, .envelope_n = sizeof(envelope) };

        assert_int_equal(trust_heads_add(h, &head), 0);
}

static void test_the_head_that_fits_the_records_and_lies_in_the_tree_is_found(void **state)
{
        static const struct { uint64_t trust_seq, size, want; } cases[] = {
                { 5, 9, 0 }, { 5, 10, 10 }, { 5, 11, 10 }, { 5, 20, 20 }, { 5, 1000, 20 }, { 7, 29, 0 }, { 7, 30, 30 }, { 6, 1000, 0 }, { 8, 1000, 0 }, { 0, 1000, 0 },
        };
        struct trust_heads *h = calloc(1, sizeof(*h));

        add(h, 10, 5);
        add(h, 20, 5);                          /* repeated after a minute */
        add(h, 30, 7);
        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                const struct trust_head *found = trust_heads_find(h, cases[i].trust_seq, cases[i].size);

                assert_int_equal(found ? found->seq : 0, cases[i].want);
                if (found)
                        assert_int_equal(found->envelope[0], found->seq);
        }
        trust_heads_fini(h);
        free(h);
}

static void test_the_oldest_goes_when_there_are_too_many(void **state)
{
        struct trust_heads *h = calloc(1, sizeof(*h));

        for (uint64_t i = 1; i <= TRUST_HEADS_MAX + 10; i++)
                add(h, 10 * i, i);
        assert_null(trust_heads_find(h, 10, UINT64_MAX));
        for (uint64_t i = 11; i <= TRUST_HEADS_MAX + 10; i++)
                assert_int_equal(trust_heads_find(h, i, UINT64_MAX)->seq, 10 * i);
        trust_heads_fini(h);
        free(h);
}

#define S 1000000000ull

static void test_a_reader_whose_records_never_pause_stands_still_for_a_moment(void **state)
{
        struct head_wait w = { 0 };

        assert_false(head_wait_holds(&w, 100 * S, 100 * S, true));      /* it missed nothing */
        head_wait_missed(&w, 100 * S);
        head_wait_missed(&w, 110 * S);
        assert_false(head_wait_holds(&w, 119 * S, 119 * S, true));
        assert_false(head_wait_holds(&w, 121 * S, 115 * S, true));      /* the witnesses are away */
        assert_false(head_wait_holds(&w, 121 * S, 121 * S, false));     /* no head fits what it has */
        assert_true(head_wait_holds(&w, 121 * S, 121 * S, true));
        assert_true(head_wait_holds(&w, 122 * S, 121 * S, true));
        head_wait_given(&w);
        assert_false(head_wait_holds(&w, 122 * S, 122 * S, true));
        /* in vain: it goes on, and tries again only after as long */
        head_wait_missed(&w, 130 * S);
        assert_true(head_wait_holds(&w, 150 * S, 150 * S, true));
        assert_true(head_wait_holds(&w, 151 * S, 150 * S, true));
        assert_false(head_wait_holds(&w, 152 * S, 152 * S, true));
        assert_false(head_wait_holds(&w, 171 * S, 171 * S, true));
        assert_true(head_wait_holds(&w, 172 * S, 172 * S, true));
}

static void test_the_published_head_is_read_back_and_a_torn_one_is_told(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(4 << 20);
        struct published_head head = { .epoch = 3, .size = 2, .note = "origin\n2\nroot\n\nline\n" }, got;
        char dir[256], path[300], bytes[1000];
        size_t n;
        FILE *f;

        temp_dir_make(dir);
        snprintf(path, sizeof(path), "%s/published", dir);
        assert_int_equal(published_file_read(path, a, &got), 0);
        assert_int_equal(published_file_write(path, &head), 0);
        assert_int_equal(published_file_write(path, &head), 0);
        assert_int_equal(published_file_read(path, a, &got), 1);
        assert_int_equal(got.epoch, 3);
        assert_string_equal(got.note, head.note);
        f = fopen(path, "rb");
        n = fread(bytes, 1, sizeof(bytes), f);
        fclose(f);
        for (size_t cut = 0; cut < n; cut++) {
                f = fopen(path, "wb");
                assert_int_equal(fwrite(bytes, 1, cut, f), cut);
                fclose(f);
                assert_int_equal(published_file_read(path, a, &got), -EBADMSG);
        }
        for (size_t i = 0; i < n; i++) {
                bytes[i] ^= 1;
                f = fopen(path, "wb");
                assert_int_equal(fwrite(bytes, 1, n, f), n);
                fclose(f);
                if (published_file_read(path, a, &got) == 1 && (strcmp(got.note, head.note) != 0 || i < 19 || i > 20))
                        fail_msg("byte %zu", i);        /* but for the epoch, which another check holds against the log */
                bytes[i] ^= 1;
        }
        temp_dir_remove(dir);
}

static void test_who_may_be_asked(void **state)
{
        static const struct { const char *url; bool may; } cases[] = {
                { "https://witness.example/add-checkpoint", true }, { "https://[2001:db8::1]:8443/x", true }, { "http://127.0.0.1:8080/add-checkpoint", true },
                { "http://[::1]:1/a", true }, { "http://localhost/a", true }, { "http://127.0.0.1", true },
                { "http://witness.example/add-checkpoint", false }, { "http://127.0.0.1.evil.example/", false }, { "http://localhost.example/", false },
                { "http://127.0.0.1@evil.example/", false }, { "http://127.0.0.1:80@evil.example/", false }, { "https://", false }, { "https:///x", false },
                { "https://user:word@witness.example/", false }, { "ftp://127.0.0.1/", false }, { "file:///etc/passwd", false }, { "", false },
        };

        for (unsigned i = 0; i < ELEMENTS(cases); i++)
                if (ask_url_check(cases[i].url) != cases[i].may)
                        fail_msg("%s", cases[i].url);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_head_that_fits_the_records_and_lies_in_the_tree_is_found),
                cmocka_unit_test(test_the_oldest_goes_when_there_are_too_many),
                cmocka_unit_test(test_a_reader_whose_records_never_pause_stands_still_for_a_moment),
                cmocka_unit_test(test_the_published_head_is_read_back_and_a_torn_one_is_told),
                cmocka_unit_test(test_who_may_be_asked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
