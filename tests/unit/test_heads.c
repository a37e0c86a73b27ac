/* heads: what is verified, and what others say. */
#include "agent/heads.h"
#include "tests/lib/unit.h"

static struct head head(uint64_t epoch, uint64_t size, uint8_t root)
{
        struct head h = { .epoch = epoch, .size = size };

        h.root.b[0] = root;
        return h;
}

static void test_published_heads_go_forward_only(void **state)
{
        static const struct { const char *name; uint64_t held, came; uint8_t root; enum heads_order order; } cases[] = {
                { "the first of all", 0, 7, 1, HEADS_FIRST },
                { "the same again", 7, 7, 1, HEADS_SAME },
                { "a larger one", 7, 8, 2, HEADS_NEWER },
                { "a smaller one", 7, 6, 2, HEADS_BACK },
                { "one size, two roots", 7, 7, 2, HEADS_FORK },
                { "an empty log after one that was not", 7, 0, 2, HEADS_BACK },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct head held = head(1, cases[i].held, 1), came = head(1, cases[i].came, cases[i].root);

                print_message("# %s\n", cases[i].name);
                assert_int_equal(heads_compare(&held, &came), cases[i].order);
        }
}

/* Verified is 100 with root 1, known besides 50 with root 2, and 120 with root 3 waits. */
static void test_what_a_peer_has_seen(void **state)
{
        static const struct { const char *name; uint64_t epoch, size; uint8_t root; enum heads_hearing hearing; } cases[] = {
                { "the head that we verified", 1, 100, 1, HEADS_KNOWN },
                { "another root at its size", 1, 100, 9, HEADS_CONFLICT },
                { "one that we verified before", 1, 50, 2, HEADS_KNOWN },
                { "another root at that size", 1, 50, 9, HEADS_CONFLICT },
                { "one that waits already", 1, 120, 3, HEADS_KNOWN },
                { "another one of a size that waits", 1, 120, 4, HEADS_QUEUED },
                { "a smaller one that we do not know", 1, 70, 5, HEADS_QUEUED },
                { "a larger one", 1, 4000000000, 5, HEADS_QUEUED },
                { "one of a former life of the log", 0, 70, 5, HEADS_APART },
                { "one of a next life", 2, 170, 5, HEADS_QUEUED },
                { "none", 1, 0, 0, HEADS_APART },
        };
        struct head h50 = head(1, 50, 2), h100 = head(1, 100, 1), h120 = head(1, 120, 3);

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct heads h = { 0 };
                struct head came = head(cases[i].epoch, cases[i].size, cases[i].root);
                unsigned slot;

                heads_advance(&h, &h50);
                heads_advance(&h, &h100);
                assert_int_equal(heads_hear(&h, &h120, false, (struct mono_time){ 1 }, &slot), HEADS_QUEUED);
                print_message("# %s\n", cases[i].name);
                assert_int_equal(heads_hear(&h, &came, false, (struct mono_time){ 1 }, &slot), cases[i].hearing);
        }
}

static void test_claims_are_judged_when_the_verified_head_has_reached_them(void **state)
{
        struct heads h = { 0 };
        struct head h10 = head(1, 10, 1), h20 = head(1, 20, 2), h30 = head(1, 30, 3);
        unsigned slot, next;

        assert_false(heads_wait(&h));
        assert_int_equal(heads_hear(&h, &h20, false, (struct mono_time){ 5 }, &slot), HEADS_QUEUED);
        assert_true(heads_wait(&h));
        assert_false(heads_next(&h, &next));
        heads_advance(&h, &h10);
        assert_false(heads_next(&h, &next));
        assert_false(heads_late(&h, (struct mono_time){ 4 }, &next));
        assert_true(heads_late(&h, (struct mono_time){ 5 }, &next));
        assert_int_equal(next, slot);
        heads_advance(&h, &h30);
        assert_false(heads_late(&h, (struct mono_time){ 5 }, &next));
        assert_true(heads_next(&h, &next));
        assert_int_equal(next, slot);
        heads_settle(&h, next, true);
        assert_false(heads_wait(&h));
        assert_int_equal(heads_hear(&h, &h20, false, (struct mono_time){ 5 }, &slot), HEADS_KNOWN);
        assert_int_equal(heads_hear(&h, &h10, false, (struct mono_time){ 5 }, &slot), HEADS_KNOWN);
}

static void test_peers_cannot_crowd_out_the_log(void **state)
{
        struct heads h = { 0 };
        struct head verified = head(1, 5, 1), more = head(1, 10000, 1);
        unsigned slot;

        heads_advance(&h, &verified);
        for (unsigned i = 0; i < HEADS_CLAIMS_MAX - HEADS_CLAIMS_LOG; i++) {
                struct head came = head(1, 1000 + i, 1);

                assert_int_equal(heads_hear(&h, &came, false, (struct mono_time){ 1 }, &slot), HEADS_QUEUED);
                assert_true(slot >= HEADS_CLAIMS_LOG);
        }
        assert_int_equal(heads_hear(&h, &more, false, (struct mono_time){ 1 }, &slot), HEADS_FULL);
        assert_int_equal(heads_hear(&h, &more, true, (struct mono_time){ 1 }, &slot), HEADS_QUEUED);
        assert_true(slot < HEADS_CLAIMS_LOG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_published_heads_go_forward_only),
                cmocka_unit_test(test_what_a_peer_has_seen),
                cmocka_unit_test(test_claims_are_judged_when_the_verified_head_has_reached_them),
                cmocka_unit_test(test_peers_cannot_crowd_out_the_log),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
