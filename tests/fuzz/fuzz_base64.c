/* base64, hex and UTF-8: what decodes encodes to the same text; room is never passed. */
#include "common/base64.h"
#include "common/macro.h"
#include "tests/fuzz/fuzz.h"

static void check_base64(struct arena *a, struct bytes text, size_t room)
{
        uint8_t *to = arena_alloc(a, room + 1);
        char *again = arena_alloc(a, text.n + 8);
        size_t n = 0;

        if (!base64_decode(text, to, room, &n))
                return;
        REQUIRE(n <= room && BASE64_CHARS(n) == text.n);
        base64_encode(bytes_of(to, n), again);
        REQUIRE(bytes_equal(bytes_str(again), text));
        REQUIRE(base64_decode_exact(text, to, n));
}

static void check_there_and_back(struct arena *a, struct bytes b)
{
        char *text = arena_alloc(a, BASE64_CHARS(b.n) + 2 * b.n + 2);
        uint8_t *back = arena_alloc(a, b.n + 1);

        base64_encode(b, text);
        REQUIRE(base64_decode_exact(bytes_str(text), back, b.n) && bytes_equal(bytes_of(back, b.n), b));
        hex_format(b, text);
        REQUIRE(hex_parse(text, back, b.n) && bytes_equal(bytes_of(back, b.n), b));
        REQUIRE(!hex_parse(text, back, b.n + 1));
}

/* Decoded by hand to scalar values and back. */
static void check_utf8(struct bytes b)
{
        size_t i = 0;

        if (!utf8_check(b))
                return;
        while (i < b.n) {
                unsigned more = b.p[i] < 0x80 ? 0 : b.p[i] < 0xe0 ? 1 : b.p[i] < 0xf0 ? 2 : 3;
                uint32_t v = b.p[i] & (more == 0 ? 0x7f : 0x3f >> more);

                REQUIRE(i + more < b.n);
                for (unsigned k = 1; k <= more; k++) {
                        REQUIRE((b.p[i + k] & 0xc0) == 0x80);
                        v = v << 6 | (b.p[i + k] & 0x3f);
                }
                REQUIRE(v != 0 && v <= 0x10ffff && (v < 0xd800 || v > 0xdfff));
                REQUIRE(more == (v < 0x80 ? 0u : v < 0x800 ? 1u : v < 0x10000 ? 2u : 3u));
                i += more + 1;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_(arena_freep) struct arena *a = fuzz_arena(4 << 20);
        struct bytes b = bytes_of(data, n);

        check_base64(a, b, n);
        check_base64(a, b, n / 4 * 3);
        check_base64(a, b, n / 2);
        check_there_and_back(a, b);
        check_utf8(b);
        return 0;
}
