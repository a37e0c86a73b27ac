/* times: days in Shanghai, dates and back, the texts, and saturation. */
#include "common/macro.h"
#include "common/times.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void test_a_shanghai_day_begins_at_16_utc(void **state)
{
        struct wall_time t;
        day_number d;

        assert_true(times_parse_date("2026-02-12", &d));
        assert_true(times_parse_utc("2026-02-11T15:59:59.999Z", &t));
        assert_int_equal(times_shanghai_day(t), d - 1);
        assert_true(times_parse_utc("2026-02-11T16:00:00Z", &t));
        assert_int_equal(times_shanghai_day(t), d);
        assert_true(times_day_start(d).ms == t.ms);
}

static void test_every_day_of_1400_years_goes_there_and_back(void **state)
{
        int year, month, day, weekday = times_weekday(times_day_from_date(1600, 1, 1));
        day_number last = times_day_from_date(3000, 1, 1);

        assert_int_equal(weekday, 5);           /* a Saturday */
        for (day_number d = times_day_from_date(1600, 1, 1); d < last; d++, weekday = (weekday + 1) % 7) {
                times_date_from_day(d, &year, &month, &day);
                if (!times_date_exists(year, month, day) || times_day_from_date(year, month, day) != d || times_weekday(d) != weekday)
                        fail_msg("day %d", d);
        }
        assert_int_equal(times_day_from_date(1970, 1, 1), 0);
        assert_int_equal(times_day_from_date(2000, 2, 29), 11016);
        assert_int_equal(times_weekday(times_day_from_date(2026, 2, 12)), 3);
}

static void test_dates_are_read_exactly(void **state)
{
        static const char *const wrong[] = { "", "2026-2-12", "2026-02-30", "2025-02-29", "1900-02-29", "2026-13-01", "2026-00-01", "2026-01-00",
                                             "0000-01-01", " 2026-01-01", "2026-01-01 ", "2026/01/01", "20260101", "2026-01-0x", "+026-01-01" };
        char text[11];
        day_number d = 7;

        for (unsigned i = 0; i < ELEMENTS(wrong); i++)
                if (times_parse_date(wrong[i], &d) || d != 7)
                        fail_msg("%s", wrong[i]);
        assert_true(times_parse_date("2024-02-29", &d));
        times_format_date(d, text);
        assert_string_equal(text, "2024-02-29");
}

static void test_instants_are_read_as_they_are_written(void **state)
{
        static const char *const wrong[] = { "", "2026-02-12T02:00:00", "2026-02-12T24:00:00Z", "2026-02-12T02:60:00Z", "2026-02-12T02:00:60Z",
                                             "2026-02-12 02:00:00Z", "2026-02-12T02:00:00.1Z", "2026-02-12T02:00:00.0000Z", "2026-02-12T02:00:00Zx",
                                             "1969-12-31T00:00:00Z", "2026-02-12T02:00:00+08:00" };
        struct wall_time t = { 7 };
        char text[25];

        for (unsigned i = 0; i < ELEMENTS(wrong); i++)
                if (times_parse_utc(wrong[i], &t) || t.ms != 7)
                        fail_msg("%s", wrong[i]);
        assert_true(times_parse_utc("2026-02-12T02:00:00.123Z", &t));
        assert_true(t.ms == 1770861600123);
        times_format_utc(t, text);
        assert_string_equal(text, "2026-02-12T02:00:00.123Z");
        times_format_shanghai(t, text);
        assert_string_equal(text, "2026-02-12 10:00:00");
}

static void test_any_number_is_safe_as_a_time(void **state)
{
        static const uint64_t extremes[] = { 0, 1, UINT64_MAX, UINT64_MAX - SHANGHAI_OFFSET_MS, 253402300800000 };
        char text[25];

        for (unsigned i = 0; i < ELEMENTS(extremes); i++) {
                struct wall_time t = { extremes[i] };

                times_format_utc(t, text);
                assert_int_equal(text[23], 'Z');
                times_format_shanghai(t, text);
                times_format_date(times_shanghai_day(t), text);
                assert_int_equal(text[10], 0);
        }
        assert_int_equal(times_shanghai_day((struct wall_time){ UINT64_MAX }), INT32_MAX);
        assert_true(times_day_start(0).ms == 0);
        assert_true(times_day_start(INT32_MIN).ms == 0);
        times_format_date(INT32_MIN, text);
        times_format_date(INT32_MAX, text);
        assert_string_equal(text, "9999-12-31");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_shanghai_day_begins_at_16_utc),
                cmocka_unit_test(test_every_day_of_1400_years_goes_there_and_back),
                cmocka_unit_test(test_dates_are_read_exactly),
                cmocka_unit_test(test_instants_are_read_as_they_are_written),
                cmocka_unit_test(test_any_number_is_safe_as_a_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
