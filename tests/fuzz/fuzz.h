/* fuzz: what every fuzz target includes.
 *
 * A target is one function over bytes from outside: LLVMFuzzerTestOneInput.  It must not crash on any of them, and it states what
 * holds of whatever passes (REQUIRE).  replay.c runs it over its corpus and over mutations of it; libFuzzer can take its place.
 * A target keeps nothing between two inputs that could change an outcome. */
#pragma once
#include "common/arena.h"
#include "common/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Ends the program, as a crash does: the engine keeps the input. */
void fuzz_fail(const char *what, const char *file, int line) __attribute__((noreturn));
#define REQUIRE(x) ((x) ? (void)0 : fuzz_fail(#x, __FILE__, __LINE__))

/* An arena for one input; the program ends if there is no memory. */
struct arena *fuzz_arena(size_t max_bytes);

/* Input read piece by piece: past the end everything is zero. */
struct script { const uint8_t *p; size_t n; };

uint8_t script_u8(struct script *s);
uint16_t script_u16(struct script *s);
uint32_t script_u32(struct script *s);
uint64_t script_u64(struct script *s);
struct bytes script_take(struct script *s, size_t n);   /* up to n bytes, borrowed */
static inline struct bytes script_rest(struct script *s) { return script_take(s, s->n); }

/* All of it as a string in the arena, up to the first NUL. */
const char *fuzz_text(struct arena *a, struct bytes b);
