/* published: heads go forward, candidates wait for who takes them. */
#include "broker/published.h"
#include "common/macro.h"
#include "tests/lib/unit.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static struct published_head head(uint64_t epoch, uint64_t size, uint8_t root, const char *note)
{
        return (struct published_head){ epoch, size, { { root } }, note };
}

static void test_heads_never_go_back(void **state)
{
        static const struct { const char *name; uint64_t epoch, size; uint8_t root; const char *note; int want; } cases[] = {
                { "the first", 1, 10, 1, "a", 0 },
                { "a larger one", 1, 20, 2, "b", 0 },
                { "the same with more cosignatures", 1, 20, 2, "b+", 0 },
                { "another root at that size", 1, 20, 3, "x", -ESTALE },
                { "a smaller one", 1, 19, 1, "x", -ESTALE },
                { "a new epoch may begin lower", 2, 15, 4, "c", 0 },
                { "the epoch before never returns", 1, 30, 5, "x", -ESTALE },
        };
        struct published *p = published_new();
        struct arena *a = arena_new(1 << 16);
        struct published_head got;
        const char *newest = NULL;

        assert_int_equal(published_get(p, a, &got), 0);
        assert_int_equal(published_size(p), 0);
        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                struct published_head h = head(cases[i].epoch, cases[i].size, cases[i].root, cases[i].note);

                if (published_set(p, &h) != cases[i].want)
                        fail_msg("%s", cases[i].name);
                newest = cases[i].want == 0 ? cases[i].note : newest;
                assert_int_equal(published_get(p, a, &got), 1);
                assert_string_equal(got.note, newest);
        }
        assert_int_equal(published_size(p), 15);
        arena_free(a);
        published_free(p);
        published_free(NULL);
}

static void *offer_later(void *arg)
{
        struct published_head h = head(1, 8, 8, "eight");

        usleep(20000);
        assert_int_equal(published_offer(arg, &h), 0);
        return NULL;
}

static void test_a_candidate_is_waited_for_and_stays_in_line(void **state)
{
        struct published *p = published_new();
        struct arena *a = arena_new(1 << 16);
        struct published_head h = head(1, 5, 5, "five"), got;
        pthread_t other;

        assert_int_equal(published_candidate(p, 0, 1, a, &got), 0);
        assert_int_equal(published_offer(p, &h), 0);
        assert_int_equal(published_candidate(p, 4, 0, a, &got), 1);
        assert_string_equal(got.note, "five");
        assert_int_equal(got.root.b[0], 5);
        assert_int_equal(published_candidate(p, 4, 0, a, &got), 1);
        assert_int_equal(published_candidate(p, 5, 1, a, &got), 0);
        assert_int_equal(pthread_create(&other, NULL, offer_later, p), 0);
        assert_int_equal(published_candidate(p, 5, -1, a, &got), 1);
        assert_int_equal(got.size, 8);
        pthread_join(other, NULL);
        assert_int_equal(published_get(p, a, &got), 0);         /* to be in line is not to be published */
        published_close(p);
        assert_int_equal(published_candidate(p, 0, -1, a, &got), -EPIPE);
        arena_free(a);
        published_free(p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_heads_never_go_back),
                cmocka_unit_test(test_a_candidate_is_waited_for_and_stays_in_line),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
