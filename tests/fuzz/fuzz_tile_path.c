/* tile_path: a path that is taken is the one spelling of its tile. */
#include "broker/tile_path.h"
#include "common/macro.h"
#include "tests/fuzz/fuzz.h"
#include <stdio.h>

static size_t spell(const struct tile_path *p, char *to, size_t room)
{
        unsigned group[TILE_PATH_GROUPS], n = 0;
        uint64_t left = p->n;
        size_t at = (size_t)snprintf(to, room, "%u/", p->level);

        do
                group[n++] = (unsigned)(left % 1000);
        while ((left /= 1000) > 0);
        while (n-- > 0)
                at += (size_t)snprintf(to + at, room - at, n > 0 ? "x%03u/" : "%03u", group[n]);
        if (p->width < 256)
                at += (size_t)snprintf(to + at, room - at, ".p/%u", p->width);
        return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_(arena_freep) struct arena *a = fuzz_arena(1 << 20);
        char *text = arena_alloc(a, n + 1), again[80];
        struct tile_path p;

        memcpy(text, data, n);
        text[n] = 0;
        if (!tile_path_parse(text, &p))
                return 0;
        REQUIRE(p.level <= 63 && p.width >= 1 && p.width <= 256 && p.n < 1000000000000000000ull);
        REQUIRE(spell(&p, again, sizeof(again)) == strlen(text) && strcmp(again, text) == 0);
        return 0;
}
