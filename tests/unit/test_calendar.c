/* calendar: the vectors, the count against the loop, what a file must not hold, months. */
#include "common/calendar.h"
#include "common/macro.h"
#include "tests/lib/text_file.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct calendar *shipped;

static int load(void **state)
{
        struct bytes file = text_file_read("deploy/calendar/cn-holidays.csv");
        char error[160] = "";

        shipped = calendar_parse(file, error);
        free((void *)file.p);
        if (!shipped)
                fail_msg("%s", error);
        return 0;
}

static int unload(void **state)
{
        calendar_free(shipped);
        return 0;
}

static day_number day(const char *text)
{
        day_number d = 0;

        if (!times_parse_date(text, &d))
                fail_msg("%s is no date", text);
        return d;
}

static void test_every_deadline_vector_is_met(void **state)
{
        struct bytes file = text_file_read("tests/vectors/deadline-vectors.csv");
        char *text = (char *)file.p, *line;
        unsigned n = 0;

        for (text_file_line(&text); (line = text_file_line(&text)); n++) {
                struct wall_time received, end;
                const char *at = text_file_cell(&line);
                day_number base = day(text_file_cell(&line));
                uint32_t days = (uint32_t)atoi(text_file_cell(&line));
                day_number due = day(text_file_cell(&line));
                const char *due_end = text_file_cell(&line);

                assert_true(times_parse_utc(at, &received) && times_parse_utc(due_end, &end));
                if (times_shanghai_day(received) != base || calendar_add_workdays(shipped, base, days) != due ||
                    calendar_due_end(shipped, base, days).ms != end.ms)
                        fail_msg("%s + %u: %s", at, days, text_file_cell(&line));
        }
        assert_int_equal(n, 30);
        free((void *)file.p);
}

/* The loop of 12.4 is the rule, the count only its speed. */
static void test_the_count_equals_the_loop_for_all_days_and_n_to_60(void **state)
{
        day_number last = day("2026-12-31");

        for (day_number base = day("2020-01-01"); base <= last; base++) {
                day_number d = base;

                for (uint32_t n = 0; n <= 60; n++) {
                        while (n > 0 && !calendar_is_workday(shipped, ++d))
                                ;
                        if (calendar_add_workdays(shipped, base, n) != d)
                                fail_msg("day %d + %u", base, n);
                }
        }
}

static void test_R_174_adjusted_weekends_count_and_holidays_do_not(void **state)
{
        struct bytes file = text_file_read("deploy/calendar/cn-holidays.csv");
        char *text = (char *)file.p, *line;
        unsigned n = 0;

        for (text_file_line(&text); (line = text_file_line(&text)); n++) {
                day_number d = day(text_file_cell(&line));

                assert_int_equal(calendar_is_workday(shipped, d), strcmp(text_file_cell(&line), "workday") == 0);
        }
        assert_int_equal(n, 254);
        assert_int_equal(calendar_add_workdays(shipped, day("2026-02-13"), 2), day("2026-02-24"));
        assert_int_equal(calendar_previous_workday(shipped, day("2026-02-24")), day("2026-02-14"));
        free((void *)file.p);
}

static void test_beyond_the_file_weeks_are_plain_and_not_covered(void **state)
{
        assert_true(calendar_covers(shipped, day("2020-01-01")));
        assert_true(calendar_covers(shipped, day("2026-12-31")));
        assert_false(calendar_covers(shipped, day("2027-01-01")));
        assert_false(calendar_covers(shipped, day("2019-12-31")));
        assert_true(calendar_is_workday(shipped, day("2027-01-01")));           /* a Friday */
        assert_false(calendar_is_workday(shipped, day("2027-01-02")));
        assert_false(calendar_is_workday(shipped, day("2019-12-29")));
        assert_int_equal(calendar_add_workdays(shipped, day("2026-12-31"), 2), day("2027-01-04"));
        assert_int_equal(calendar_add_workdays(shipped, day("2030-01-01"), 250), day("2030-12-17"));
        assert_int_equal(calendar_add_workdays(shipped, day("2019-12-27"), 2), day("2019-12-31"));
}

static void test_extremes_saturate(void **state)
{
        assert_true(calendar_add_workdays(shipped, 0, UINT32_MAX) == INT32_MAX);
        assert_true(calendar_add_workdays(shipped, INT32_MAX, 60) == INT32_MAX);
        assert_true(calendar_due_end(shipped, INT32_MAX, 60).ms > 0);
        assert_int_equal(calendar_add_months(INT32_MAX, UINT32_MAX), day("9999-12-31"));
}

static void test_months_end_where_the_month_does(void **state)
{
        static const struct { const char *from; uint32_t months; const char *to; } cases[] = {
                { "2026-01-31", 1, "2026-02-28" }, { "2024-01-31", 1, "2024-02-29" }, { "2026-01-15", 1, "2026-02-15" },
                { "2026-12-31", 1, "2027-01-31" }, { "2026-08-31", 1, "2026-09-30" }, { "2026-02-28", 1, "2026-03-28" },
                { "2026-02-28", 0, "2026-02-28" }, { "2024-02-29", 12, "2025-02-28" },
        };

        for (unsigned i = 0; i < ELEMENTS(cases); i++)
                assert_int_equal(calendar_add_months(day(cases[i].from), cases[i].months), day(cases[i].to));
}

#define OCTOBER "2026-10-01,holiday,国庆节\n2026-10-02,holiday,国庆节\n2026-10-03,holiday,国庆节\n2026-10-04,holiday,国庆节\n" \
                "2026-10-05,holiday,国庆节\n2026-10-06,holiday,国庆节\n"
#define YEAR "2026-01-01,holiday,元旦\n" OCTOBER "2026-10-07,holiday,国庆节\n"

static void test_a_wrong_file_is_refused_with_its_line(void **state)
{
        static const struct { const char *csv, *error; } cases[] = {
                { "", "line 1: the header" },
                { "date,kind,name", "line 1: the header" },
                { "\xef\xbb\xbf" "date,kind,name\n" YEAR, "line 1: the header" },
                { "date,kind,name\n", "line 1: no rows" },
                { "date,kind,name\n" YEAR "2026-10-10,workday,国庆节", "line 10: the last line" },
                { "date,kind,name\n2026-01-01,holiday,元旦\n2026-01-01,holiday,元旦\n", "line 3: the same date" },
                { "date,kind,name\n2026-01-02,holiday,元旦\n2026-01-01,holiday,元旦\n", "line 3: dates not sorted" },
                { "date,kind,name\n2026-02-30,holiday,春节\n", "line 2: no date" },
                { "date,kind,name\n2200-01-01,holiday,元旦\n", "line 2: no date" },
                { "date,kind,name\n2026-01-01,Holiday,元旦\n", "line 2: kind" },
                { "date,kind,name\n2026-01-01\n", "line 2: kind" },
                { "date,kind,name\n2026-01-01,holiday\n", "line 2: no name" },
                { "date,kind,name\n2026-01-01,holiday,元旦\r\n", "line 2: no name" },
                { "date,kind,name\n2026-01-01,holiday,元旦,x\n", "line 2: no name" },
                { "date,kind,name\n2026-01-01,holiday,\xff\n", "line 2: no name" },
                { "date,kind,name\n\n", "line 2: no date" },
                { "date,kind,name\n2026-01-05,workday,元旦\n", "line 2: an adjusted working day" },
                { "date,kind,name\n2028-01-01,workday,元旦\n", "year 2028: 1 January" },
                { "date,kind,name\n2026-01-01,holiday,元旦\n" OCTOBER, "year 2026: 7 October" },
                { "date,kind,name\n2026-01-01,holiday,元旦\n", "year 2026: 1 October" },
        };
        char error[160];

        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                if (calendar_parse(bytes_str(cases[i].csv), error))
                        fail_msg("case %u is taken", i);
                if (strncmp(error, cases[i].error, strlen(cases[i].error)) != 0)
                        fail_msg("case %u: %s", i, error);
                assert_null(calendar_parse(bytes_str(cases[i].csv), NULL));
        }
}

static void test_a_year_without_its_first_of_january_is_not_covered(void **state)
{
        struct calendar *c = calendar_parse(bytes_str("date,kind,name\n" YEAR "2027-02-06,holiday,春节\n"), NULL);

        assert_non_null(c);
        assert_true(calendar_covers(c, day("2026-06-01")));
        assert_false(calendar_covers(c, day("2027-06-01")));
        calendar_free(c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_deadline_vector_is_met),
                cmocka_unit_test(test_the_count_equals_the_loop_for_all_days_and_n_to_60),
                cmocka_unit_test(test_R_174_adjusted_weekends_count_and_holidays_do_not),
                cmocka_unit_test(test_beyond_the_file_weeks_are_plain_and_not_covered),
                cmocka_unit_test(test_extremes_saturate),
                cmocka_unit_test(test_months_end_where_the_month_does),
                cmocka_unit_test(test_a_wrong_file_is_refused_with_its_line),
                cmocka_unit_test(test_a_year_without_its_first_of_january_is_not_covered),
        };

        return cmocka_run_group_tests(tests, load, unload);
}
