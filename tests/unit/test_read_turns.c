/* read_turns: who asks little does not wait for who asks much. */
#include "broker/read_turns.h"
#include "tests/lib/unit.h"

#define SECOND 1000000000ull

static void ask(struct read_turns *t, struct question *q, uint32_t link, uint64_t number)
{
        *q = (struct question){ .link = link, .need_seq = number };
        read_turns_put(t, q);
}

static void test_one_link_is_answered_in_its_order(void **state)
{
        struct read_turns t = { 0 };
        struct question q[3];

        for (unsigned i = 0; i < 3; i++)
                ask(&t, &q[i], 7, i);
        for (unsigned i = 0; i < 3; i++)
                assert_ptr_equal(read_turns_take(&t), &q[i]);
        assert_null(read_turns_take(&t));
        read_turns_fini(&t);
}

static void test_who_asks_little_comes_before_who_cost_much(void **state)
{
        struct read_turns t = { 0 };
        struct question dear[4], little;

        for (unsigned i = 0; i < 4; i++)
                ask(&t, &dear[i], 1, i);
        assert_ptr_equal(read_turns_take(&t), &dear[0]);
        assert_int_equal(read_turns_charge(&t, 1, SECOND, 10 * SECOND), 0);
        ask(&t, &little, 900, 0);
        assert_ptr_equal(read_turns_take(&t), &little);
        assert_int_equal(read_turns_charge(&t, 900, 1000, 10 * SECOND), 0);
        ask(&t, &little, 900, 1);                               /* again: still the lesser */
        assert_ptr_equal(read_turns_take(&t), &little);
        for (unsigned i = 1; i < 4; i++)
                assert_ptr_equal(read_turns_take(&t), &dear[i]);
        assert_null(read_turns_take(&t));
        ask(&t, &little, 2, 0);                                 /* the end of the list is its beginning again */
        assert_ptr_equal(read_turns_take(&t), &little);
        read_turns_fini(&t);
}

static void test_what_it_cost_is_forgotten_by_halves(void **state)
{
        struct read_turns t = { 0 };
        struct question a, b;

        assert_int_equal(read_turns_charge(&t, 1, 4 * SECOND, SECOND), 0);
        assert_int_equal(read_turns_charge(&t, 2, SECOND, 4 * SECOND), 0);      /* of link 1 half a second is left */
        ask(&t, &a, 2, 0);
        ask(&t, &b, 1, 0);
        assert_ptr_equal(read_turns_take(&t), &b);
        assert_ptr_equal(read_turns_take(&t), &a);
        assert_int_equal(read_turns_charge(&t, 3, 0, 1000 * SECOND), 0);
        ask(&t, &a, 2, 0);
        ask(&t, &b, 1, 0);
        assert_ptr_equal(read_turns_take(&t), &a);              /* all is forgotten: as they came */
        assert_ptr_equal(read_turns_take(&t), &b);
        read_turns_fini(&t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_one_link_is_answered_in_its_order),
                cmocka_unit_test(test_who_asks_little_comes_before_who_cost_much),
                cmocka_unit_test(test_what_it_cost_is_forgotten_by_halves),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
