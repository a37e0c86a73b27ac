/* calendar: whatever file was taken, days are counted without a gap.  First bytes: a day and a number of working days. */
#include "common/calendar.h"
#include "tests/fuzz/fuzz.h"

static void check_day(const struct calendar *c, day_number d, uint32_t n)
{
        day_number last = calendar_add_workdays(c, d, n), before = calendar_previous_workday(c, d);
        struct wall_time due = calendar_due_end(c, d, n), next = calendar_due_end(c, d, n + 1);
        uint32_t worked = 0;

        REQUIRE(n == 0 ? last == d : last > d && calendar_is_workday(c, last));
        REQUIRE(before < d && calendar_is_workday(c, before));
        for (day_number i = before + 1; i < d; i++)
                REQUIRE(!calendar_is_workday(c, i));
        for (day_number i = d + 1; i <= last; i++)
                worked += calendar_is_workday(c, i);
        REQUIRE(worked == n);
        REQUIRE(due.ms == times_day_start(last + 1).ms && due.ms < next.ms);
}

static void check_months(day_number d, uint32_t n)
{
        int y, m, day, y2, m2, day2;
        day_number to = calendar_add_months(d, n);

        times_date_from_day(d, &y, &m, &day);
        times_date_from_day(to, &y2, &m2, &day2);
        REQUIRE(y2 * 12 + m2 == y * 12 + m + (int)n && day2 <= day);
        REQUIRE(times_date_exists(y2, m2, day2) && times_day_from_date(y2, m2, day2) == to);
        REQUIRE(day2 == day || !times_date_exists(y2, m2, day2 + 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        struct script s = { data, n };
        day_number day = 7000 + script_u16(&s) % 80000; /* 1989 to 2208 */
        uint32_t count = script_u8(&s);
        char error[160] = "";
        struct calendar *c = calendar_parse(script_rest(&s), error);

        REQUIRE(!c == (error[0] != 0) && strnlen(error, sizeof(error)) < sizeof(error));
        if (!c)
                return 0;
        check_day(c, day, count);
        check_months(day, count);
        calendar_free(c);
        return 0;
}
