/* quarantine: which envelope a crash keeps out, and which it does not (DESIGN 2). */
#include "broker/quarantine.h"
#include "tests/lib/temp_dir.h"
#include "tests/lib/unit.h"

static const struct digest one = { "one" }, two = { "two" };

/* A run that ends in the middle of applying `d`; with the mark of a crash or without (SIGKILL). */
static void die_in(const char *dir, const struct digest *d, bool crash)
{
        struct quarantine *q;
        unsigned found;

        assert_int_equal(quarantine_open(dir, &q, &found), 0);
        quarantine_enter(q, d);
        if (crash)
                quarantine_mark();
        quarantine_close(q);
}

static bool held(const char *dir, const struct digest *d)
{
        struct quarantine *q;
        unsigned found;
        bool holds;

        assert_int_equal(quarantine_open(dir, &q, &found), 0);
        holds = quarantine_holds(q, d);
        assert_true(found >= (unsigned)holds);
        quarantine_close(q);
        return holds;
}

static void test_a_crash_in_apply_keeps_that_envelope_out_for_good(void **state)
{
        char dir[256];

        temp_dir_make(dir);
        die_in(dir, &one, true);
        assert_true(held(dir, &one));
        assert_true(held(dir, &one));
        assert_false(held(dir, &two));
        die_in(dir, &two, true);
        assert_true(held(dir, &one) && held(dir, &two));
        temp_dir_remove(dir);
}

static void test_a_kill_in_apply_costs_nobody_anything_but_a_second_one_does(void **state)
{
        char dir[256];

        temp_dir_make(dir);
        die_in(dir, &one, false);
        assert_false(held(dir, &one));
        die_in(dir, &two, false);               /* another one: begins anew */
        assert_false(held(dir, &two));
        temp_dir_remove(dir);

        temp_dir_make(dir);
        die_in(dir, &one, false);
        die_in(dir, &one, false);
        assert_true(held(dir, &one));
        temp_dir_remove(dir);
}

/* A start applies entries of its own before the envelope comes again: they do not count it out. */
static void test_what_is_applied_between_two_kills_does_not_hide_the_second(void **state)
{
        struct quarantine *q;
        unsigned found;
        char dir[256];

        temp_dir_make(dir);
        die_in(dir, &one, false);
        assert_int_equal(quarantine_open(dir, &q, &found), 0);
        quarantine_enter(q, &two);
        quarantine_leave(q);
        quarantine_enter(q, &one);
        quarantine_close(q);
        assert_true(held(dir, &one));
        assert_false(held(dir, &two));
        temp_dir_remove(dir);

        temp_dir_make(dir);
        die_in(dir, &one, false);
        assert_int_equal(quarantine_open(dir, &q, &found), 0);
        quarantine_enter(q, &one);              /* it was a kill, and no fault of the envelope's */
        quarantine_leave(q);
        quarantine_close(q);
        die_in(dir, &one, false);
        assert_false(held(dir, &one));
        temp_dir_remove(dir);
}

static void test_what_was_applied_whole_is_forgotten(void **state)
{
        struct quarantine *q;
        unsigned found;
        char dir[256];

        temp_dir_make(dir);
        assert_int_equal(quarantine_open(dir, &q, &found), 0);
        quarantine_enter(q, &one);
        quarantine_leave(q);
        quarantine_mark();                      /* a crash elsewhere */
        quarantine_close(q);
        assert_false(held(dir, &one));
        temp_dir_remove(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_crash_in_apply_keeps_that_envelope_out_for_good),
                cmocka_unit_test(test_a_kill_in_apply_costs_nobody_anything_but_a_second_one_does),
                cmocka_unit_test(test_what_is_applied_between_two_kills_does_not_hide_the_second),
                cmocka_unit_test(test_what_was_applied_whole_is_forgotten),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
