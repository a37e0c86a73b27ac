/* decided: a refusal stands for its number, and for no other. */
#include "tests/lib/unit.h"
#include "common/decided.h"
#include "common/session.h"
#include <errno.h>

static void test_a_refusal_is_told_again(void **state)
{
        struct decided *d = decided_new();

        assert_refusal(decided_find(d, 7, 1, 1, 5), ACCEPTED);
        assert_int_equal(decided_refuse(d, 7, 1, 1, 5, E_FROZEN), 0);
        assert_refusal(decided_find(d, 7, 1, 1, 5), E_FROZEN);
        assert_refusal(decided_find(d, 7, 1, 1, 6), ACCEPTED);         /* another number, */
        assert_refusal(decided_find(d, 7, 1, 2, 5), ACCEPTED);         /* life of the outbox, */
        assert_refusal(decided_find(d, 7, 0, 1, 5), ACCEPTED);         /* lane, */
        assert_refusal(decided_find(d, 8, 1, 1, 5), ACCEPTED);         /* link */
        assert_refusal(decided_find(d, 70000, 1, 1, 5), ACCEPTED);
        decided_free(d);
}

static void test_the_window_is_remembered_and_what_is_older_makes_room(void **state)
{
        struct decided *d = decided_new();

        for (uint64_t n = 1; n <= SESSION_LANE_WINDOW; n++)
                assert_int_equal(decided_refuse(d, 1, 1, 1, n, E_SUSPENDED), 0);
        for (uint64_t n = 1; n <= SESSION_LANE_WINDOW; n++)
                assert_refusal(decided_find(d, 1, 1, 1, n), E_SUSPENDED);
        assert_int_equal(decided_refuse(d, 1, 1, 1, SESSION_LANE_WINDOW + 1, E_FROZEN), 0);
        assert_refusal(decided_find(d, 1, 1, 1, 1), ACCEPTED);
        assert_refusal(decided_find(d, 1, 1, 1, SESSION_LANE_WINDOW + 1), E_FROZEN);
        decided_free(d);
}

static void test_a_refusal_not_told_is_forgotten(void **state)
{
        struct decided *d = decided_new();

        decided_refuse(d, 7, 1, 1, 5, E_FROZEN);
        decided_forget(d, 7, 1, 1, 6);
        assert_refusal(decided_find(d, 7, 1, 1, 5), E_FROZEN);
        decided_forget(d, 7, 1, 1, 5);
        assert_refusal(decided_find(d, 7, 1, 1, 5), ACCEPTED);
        decided_forget(d, 70, 1, 1, 5);
        decided_free(d);
}

static void test_nothing_passes_a_number_that_was_taken_back(void **state)
{
        struct decided *d = decided_new();

        assert_false(decided_is_behind(d, 7, 0, 1, 6));
        assert_int_equal(decided_back(d, 7, 0, 1, 5), 0);
        assert_int_equal(decided_back(d, 7, 0, 1, 6), 0);      /* of the same group */
        assert_true(decided_is_behind(d, 7, 0, 1, 6));
        assert_true(decided_is_behind(d, 7, 0, 1, 7));
        assert_false(decided_is_behind(d, 7, 1, 1, 7));         /* another lane */
        assert_false(decided_is_behind(d, 7, 0, 1, 5));         /* it comes again */
        assert_false(decided_is_behind(d, 7, 0, 1, 6));
        assert_int_equal(decided_back(d, 7, 0, 1, 8), 0);
        assert_false(decided_is_behind(d, 7, 0, 2, 1));         /* a new life of the outbox */
        assert_false(decided_is_behind(d, 7, 0, 2, 9));
        decided_free(d);
}

static void test_what_is_out_of_range_is_a_fault(void **state)
{
        struct decided *d = decided_new();

        assert_int_equal(decided_refuse(d, 1, SESSION_LANES, 1, 1, E_FROZEN), -ERANGE);
        assert_int_equal(decided_refuse(d, UINT32_MAX, 1, 1, 1, E_FROZEN), -ERANGE);
        assert_refusal(decided_find(d, 1, SESSION_LANES, 1, 1), ACCEPTED);
        assert_refusal(decided_find(d, UINT32_MAX, 1, 1, 1), ACCEPTED);
        decided_free(d);
        decided_free(NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_refusal_is_told_again),
                cmocka_unit_test(test_the_window_is_remembered_and_what_is_older_makes_room),
                cmocka_unit_test(test_a_refusal_not_told_is_forgotten),
                cmocka_unit_test(test_nothing_passes_a_number_that_was_taken_back),
                cmocka_unit_test(test_what_is_out_of_range_is_a_fault),
        };

        return cmocka_run_group_tests_name("decided", tests, NULL, NULL);
}
