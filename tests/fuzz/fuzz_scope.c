/* scope: a text of 4.14 asked about departments.  Who may have two items may have each of them; what does not parse is told why. */
#include "common/exchange/scope.h"
#include "common/macro.h"
#include "tests/fuzz/fuzz.h"

static const char *const codes[] = { "11442000007331101A", "1144200000733381X8", "91350100M000100Y43", "11442000007334521Q" };

static void ask(const struct scope *s, const Shuyi__V1__Department *d, enum use_class use, uint32_t x, uint32_t y)
{
        const uint32_t both[] = { x, y };
        bool all = scope_allows(s, d, use, both, 2), one = scope_allows(s, d, use, &x, 1), other = scope_allows(s, d, use, &y, 1);

        REQUIRE(all == (one && other));
        REQUIRE(scope_allows(NULL, d, use, both, 2));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_(arena_freep) struct arena *a = fuzz_arena(4 << 20);
        struct script script = { data, n };
        Shuyi__V1__Department d = SHUYI__V1__DEPARTMENT__INIT;
        uint32_t x = script_u8(&script), y = script_u16(&script);
        uint8_t who = script_u8(&script);
        const char *why = NULL, *text = fuzz_text(a, script_rest(&script));
        const struct scope *s = scope_parse(a, text, &why);

        REQUIRE(!s == !!why);
        if (!s)
                return 0;
        REQUIRE(scope_lines(s) > 0 && scope_lines(s) <= SCOPE_LINES_MAX && strlen(text) <= SCOPE_MAX_BYTES);
        d.code = (char *)codes[who % ELEMENTS(codes)];
        d.name = "x";
        d.dept_class = script_u8(&script);
        d.authority = script_u8(&script) % 2;
        for (uint32_t use = 0; use < 8; use++)
                ask(s, &d, (enum use_class)use, x, y);
        return 0;
}
