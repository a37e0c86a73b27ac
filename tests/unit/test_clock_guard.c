/* clock_guard: what stops stamping, and what starts it again (REGULATIONS 12.6). */
#include "broker/clock_guard.h"
#include "tests/lib/unit.h"

#define AT(x) ((struct wall_time){ 1770861600000ull + (x) })
#define AFTER(ms) ((struct mono_time){ 5000000000ull + (uint64_t)(ms) * 1000000 })

static const struct start_case {
        const char *name;
        int64_t wall_from_log;          /* ms */
        enum clock_fault fault;
} starts[] = {
        { "a start right behind the log is good", 1000, CLOCK_GOOD },
        { "five seconds behind the log are forgiven", -5000, CLOCK_GOOD },
        { "further behind the log stops", -5001, CLOCK_BEHIND_LOG },
        { "three days ahead are within what was set", 3 * (int64_t)DAY_MS, CLOCK_GOOD },
        { "more days ahead stop", 3 * (int64_t)DAY_MS + 1, CLOCK_AHEAD_OF_LOG },
};

static void test_a_start_is_held_against_the_log(void **state)
{
        for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
                struct clock_guard g;

                clock_guard_init(&g, AT(0), 3, (struct wall_time){ AT(0).ms + (uint64_t)starts[i].wall_from_log }, AFTER(0));
                if (g.fault != starts[i].fault)
                        fail_msg("%s: %s", starts[i].name, clock_fault_name(g.fault));
        }
}

static void test_an_empty_log_says_nothing_about_the_clock(void **state)
{
        struct clock_guard g;

        clock_guard_init(&g, (struct wall_time){ 0 }, 1, AT(0), AFTER(0));
        assert_int_equal(g.fault, CLOCK_GOOD);
}

static const struct step_case { const char *name; uint64_t mono; uint64_t wall; bool good; } steps[] = {
        { "both clocks agree", 10000, 10000, true },
        { "a step of five seconds is followed", 10000, 15000, true },
        { "a step of more stops", 10000, 15001, false },
        { "a step back of more stops", 10000, 4999, false },
};

static void test_a_step_stops_until_a_CLOCK_act(void **state)
{
        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
                struct clock_guard g;

                clock_guard_init(&g, AT(0), 3, AT(0), AFTER(0));
                if (clock_guard_check(&g, AT(steps[i].wall), AFTER(steps[i].mono)) != steps[i].good)
                        fail_msg("%s", steps[i].name);
                if (!steps[i].good) {
                        assert_false(clock_guard_check(&g, AT(steps[i].mono), AFTER(steps[i].mono)));   /* it does not heal by itself */
                        assert_int_equal(clock_guard_now(&g, AFTER(steps[i].mono)).ms, AT(steps[i].mono).ms);
                }
        }
}

static void test_slow_drift_is_followed(void **state)
{
        struct clock_guard g;

        clock_guard_init(&g, AT(0), 3, AT(0), AFTER(0));
        for (uint64_t i = 1; i <= 100; i++)
                assert_true(clock_guard_check(&g, AT(i * 1100), AFTER(i * 1000)));
}

static void test_time_goes_on_from_what_was_stated(void **state)
{
        struct clock_guard g;

        clock_guard_init(&g, AT(0), 3, AT(0), AFTER(0));
        assert_false(clock_guard_check(&g, AT(3600000), AFTER(1000)));
        clock_guard_state(&g, AT(2000), AFTER(2000));
        assert_true(clock_guard_check(&g, AT(3602000), AFTER(3000)));           /* the wall clock is still wrong */
        assert_int_equal(clock_guard_now(&g, AFTER(3000)).ms, AT(3000).ms);
        assert_true(clock_guard_check(&g, AT(4000), AFTER(4000)));              /* set right: believed again */
        assert_false(g.stated);
        assert_false(clock_guard_check(&g, AT(60000), AFTER(5000)));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_start_is_held_against_the_log),
                cmocka_unit_test(test_an_empty_log_says_nothing_about_the_clock),
                cmocka_unit_test(test_a_step_stops_until_a_CLOCK_act),
                cmocka_unit_test(test_slow_drift_is_followed),
                cmocka_unit_test(test_time_goes_on_from_what_was_stated),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
