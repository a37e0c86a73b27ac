/* envelope: what holds for every bit, every cut and every value.
 *
 * The seed prints on failure; SEED=n gives it. */
#include "tests/lib/sample.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct key_source known = { sample_find, NULL };

static uint64_t seed_of_the_run(void)
{
        const char *s = getenv("SEED");

        return s ? strtoull(s, NULL, 10) : 20260212;
}

/* xorshift64*: enough to draw test values, and the same everywhere. */
static uint64_t draw(uint64_t *s)
{
        *s ^= *s >> 12;
        *s ^= *s << 25;
        *s ^= *s >> 27;
        return *s * 2685821657736338717ull;
}

static void test_R_130_every_flipped_bit_is_refused(void **state)
{
        _cleanup_(arena_freep) struct arena *keep = arena_new(1 << 20), *a = arena_new(1 << 20);
        struct bytes e = sample_get(keep);
        uint8_t *p = (uint8_t *)arena_copy(keep, e).p;
        const struct claim *c;

        assert_int_equal(envelope_verify(a, bytes_of(p, e.n), &known, &c), ACCEPTED);
        for (size_t bit = 0; bit < e.n * 8; bit++) {
                arena_reset(a);
                p[bit / 8] ^= (uint8_t)(1 << bit % 8);
                if (envelope_verify(a, bytes_of(p, e.n), &known, &c) == ACCEPTED)
                        fail_msg("bit %zu", bit);
                p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
}

static void test_R_130_every_cut_and_every_addition_is_refused(void **state)
{
        _cleanup_(arena_freep) struct arena *keep = arena_new(1 << 20), *a = arena_new(1 << 20);
        struct bytes e = sample_get(keep);
        uint8_t *p = memcpy(arena_alloc(keep, e.n + 1), e.p, e.n);
        const struct claim *c;
        size_t one = 2 + 34 + 2 + 66;           /* one signature: its absence is for the rules to see */

        for (size_t n = 0; n < e.n; n++) {
                arena_reset(a);
                if (n != e.n - one && envelope_verify(a, bytes_of(p, n), &known, &c) == ACCEPTED)
                        fail_msg("cut at %zu", n);
        }
        for (unsigned last = 0; last < 256; last++) {
                arena_reset(a);
                p[e.n] = (uint8_t)last;
                assert_int_equal(envelope_verify(a, bytes_of(p, e.n + 1), &known, &c), E_FORM);
        }
}

static char *text_of(struct arena *a, uint64_t *s, size_t most)
{
        size_t n = draw(s) % (most + 1);
        char *t = arena_alloc(a, n + 1);

        for (size_t i = 0; i < n; i++)
                t[i] = (char)('A' + draw(s) % 26);
        t[n] = 0;
        return t;
}

static ProtobufCBinaryData run_of(struct arena *a, uint64_t *s, size_t n)
{
        uint8_t *p = arena_alloc(a, n);

        if (draw(s) % 2)
                return (ProtobufCBinaryData){ 0, NULL };
        for (size_t i = 0; i < n; i++)
                p[i] = (uint8_t)draw(s);
        return (ProtobufCBinaryData){ n, p };
}

/* Any intent of good form. */
static Shuyi__V1__Intent *intent_of(struct arena *a, uint64_t *s)
{
        Shuyi__V1__Intent *i = sample_intent(a, KIND_NO_CHANGE);
        uint32_t *items = arena_alloc(a, 64 * sizeof(*items));

        i->view = run_of(a, s, 32);
        i->stream = run_of(a, s, 32);
        i->grant = run_of(a, s, 32);
        i->prev_digest = run_of(a, s, 32);
        i->agent = run_of(a, s, 16);
        i->purpose = text_of(a, s, 100);
        i->resource = text_of(a, s, 32);
        i->stream_seq = draw(s) >> draw(s) % 64;
        i->oldest_changed_at = draw(s) >> draw(s) % 64;
        i->record_count = (uint32_t)(draw(s) >> (32 + draw(s) % 32));
        i->rate = (uint32_t)draw(s);
        i->n_items = draw(s) % 65;
        for (size_t k = 0, no = 0; k < i->n_items; k++)
                items[k] = (uint32_t)(no += 1 + draw(s) % 300);
        i->items = items;
        i->channel = (uint32_t)(draw(s) % 8);
        i->method = (uint32_t)(draw(s) % 6);
        if (draw(s) % 2) {
                i->seen = ARENA_NEW(a, Shuyi__V1__Seen);
                shuyi__v1__seen__init(i->seen);
                i->seen->epoch = 1 + draw(s) % 9;
                i->seen->size = draw(s);
                i->seen->root = sample_run(a, (uint8_t)draw(s), 32);
        }
        return i;
}

static void test_what_is_parsed_packs_to_the_same_bytes(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        uint64_t s = seed_of_the_run();
        struct sample_key k = sample_key(1);

        print_message("seed %llu\n", (unsigned long long)s);
        for (unsigned round = 0; round < 3000; round++) {
                struct bytes e, again;
                const struct claim *c;

                arena_reset(a);
                e = envelope_sign(a, envelope_draft(a, intent_of(a, &s), (struct bytes){ 0 }), &k.id, ROLE_AGENT, k.secret);
                assert_int_equal(envelope_parse(a, e, &c), ACCEPTED);
                again = message_pack(a, &c->intent->base);
                assert_true(bytes_equal(again, c->intent_bytes));
                again = message_pack(a, message_parse(a, &shuyi__v1__envelope__descriptor, e));
                assert_true(bytes_equal(again, e));
        }
}

static void test_any_bytes_are_safe_and_what_passes_is_canonical(void **state)
{
        _cleanup_(arena_freep) struct arena *keep = arena_new(1 << 20), *a = arena_new(1 << 20);
        struct bytes e = sample_get(keep);
        uint8_t *p = arena_alloc(keep, e.n);
        uint64_t s = seed_of_the_run();
        unsigned passed = 0;

        for (unsigned round = 0; round < 20000; round++) {
                const struct claim *c;

                arena_reset(a);
                memcpy(p, e.p, e.n);
                for (uint64_t change = 1 + draw(&s) % 4; change > 0; change--)
                        p[draw(&s) % e.n] = (uint8_t)draw(&s);
                if (envelope_parse(a, bytes_of(p, e.n), &c) != ACCEPTED)
                        continue;
                passed++;               /* a changed signature is of good form */
                assert_true(bytes_equal(message_pack(a, message_parse(a, &shuyi__v1__envelope__descriptor, bytes_of(p, e.n))), bytes_of(p, e.n)));
        }
        assert_true(passed > 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_R_130_every_flipped_bit_is_refused),
                cmocka_unit_test(test_R_130_every_cut_and_every_addition_is_refused),
                cmocka_unit_test(test_what_is_parsed_packs_to_the_same_bytes),
                cmocka_unit_test(test_any_bytes_are_safe_and_what_passes_is_canonical),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
