/* fuzz: failing, and reading scripts. */
#include "tests/fuzz/fuzz.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* The engine calls it before the first input. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
        REQUIRE(sodium_init() >= 0);
        return 0;
}

void fuzz_fail(const char *what, const char *file, int line)
{
        fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
        abort();
}

struct arena *fuzz_arena(size_t max_bytes)
{
        struct arena *a = arena_new(max_bytes);

        REQUIRE(a);
        return a;
}

struct bytes script_take(struct script *s, size_t n)
{
        struct bytes b = bytes_of(s->p, n < s->n ? n : s->n);

        s->p += b.n;
        s->n -= b.n;
        return b;
}

static uint64_t take_number(struct script *s, size_t width)
{
        uint8_t v[8] = { 0 };
        struct bytes b = script_take(s, width);

        if (b.n > 0)
                memcpy(v, b.p, b.n);
        return get_le64(v);
}

uint8_t script_u8(struct script *s) { return (uint8_t)take_number(s, 1); }
uint16_t script_u16(struct script *s) { return (uint16_t)take_number(s, 2); }
uint32_t script_u32(struct script *s) { return (uint32_t)take_number(s, 4); }
uint64_t script_u64(struct script *s) { return take_number(s, 8); }

const char *fuzz_text(struct arena *a, struct bytes b)
{
        char *text = arena_alloc(a, b.n + 1);

        REQUIRE(text);
        if (b.n > 0)
                memcpy(text, b.p, b.n);
        text[b.n] = 0;
        return text;
}
