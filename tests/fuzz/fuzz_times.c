/* times: dates and instants as text; what parses formats to the same text. */
#include "common/macro.h"
#include "common/times.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_(arena_freep) struct arena *a = fuzz_arena(1 << 20);
        const char *text = fuzz_text(a, bytes_of(data, n));
        char date[11], utc[25];
        struct wall_time t, again;
        day_number d;

        if (times_parse_date(text, &d)) {
                times_format_date(d, date);
                REQUIRE(strcmp(date, text) == 0);
                REQUIRE(d < 0 || times_shanghai_day(times_day_start(d)) == d);
        }
        if (times_parse_utc(text, &t)) {
                times_format_utc(t, utc);
                REQUIRE(strncmp(utc, text, 19) == 0);
                REQUIRE(strlen(text) != 24 || strcmp(utc, text) == 0);
                REQUIRE(times_parse_utc(utc, &again) && again.ms == t.ms);
        }
        return 0;
}
