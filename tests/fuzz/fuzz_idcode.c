/* idcode: of the last characters that could stand there exactly one passes; the answers are those of the rules. */
#include "common/idcode.h"
#include "tests/fuzz/fuzz.h"

static bool one_of(const char *answer, const char *const *answers)
{
        for (; *answers; answers++)
                if (strcmp(answer, *answers) == 0)
                        return true;
        return false;
}

static bool resident_passes(struct bytes b, day_number today) { return !idcode_check_resident(b, today); }

static bool uscc_passes(struct bytes b, day_number today)
{
        const char *wrong = idcode_check_uscc(b);

        return !wrong || strcmp(wrong, "org_checksum") == 0;
}

static void check_last(struct bytes code, day_number today, bool (*passes)(struct bytes, day_number))
{
        uint8_t copy[18];
        unsigned passing = 0;

        memcpy(copy, code.p, 18);
        for (unsigned c = 0; c < 256; c++) {
                copy[17] = (uint8_t)c;
                passing += passes(bytes_of(copy, 18), today);
        }
        REQUIRE(passing == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        static const char *const resident[] = { "length", "charset", "birth_date", "future", "checksum", NULL };
        static const char *const uscc[] = { "length", "charset", "region", "checksum", "org_checksum", NULL };
        struct script s = { data, n };
        day_number today = 10000 + script_u16(&s);
        struct bytes code = script_rest(&s);
        const char *r = idcode_check_resident(code, today), *u = idcode_check_uscc(code);

        REQUIRE(!r || one_of(r, resident));
        REQUIRE(!u || one_of(u, uscc));
        if (!r)
                check_last(code, today, resident_passes);
        if (uscc_passes(code, today))
                check_last(code, today, uscc_passes);
        return 0;
}
