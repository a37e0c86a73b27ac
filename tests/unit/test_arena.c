/* arena: alignment, the cap, reset, huge counts, protobuf-c. */
#include "common/arena.h"
#include "common/macro.h"
#include "proto/envelope.pb-c.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_every_allocation_is_aligned_and_apart(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        uint8_t *last = NULL;

        for (size_t n = 0; n < 200; n++) {
                uint8_t *p = arena_alloc(a, n);

                assert_non_null(p);
                assert_int_equal((uintptr_t)p % 16, 0);
                assert_ptr_not_equal(p, last);
                memset(p, (int)n, n);
                last = p;
        }
}

static void test_the_cap_holds_and_failure_stays_until_reset(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1000);

        assert_non_null(arena_alloc(a, 992));
        assert_int_equal(arena_used(a), 992);
        assert_false(arena_failed(a));
        assert_null(arena_alloc(a, 1));
        assert_true(arena_failed(a));
        arena_reset(a);
        assert_false(arena_failed(a));
        assert_int_equal(arena_used(a), 0);
        assert_null(arena_alloc(a, 1001));
        assert_null(arena_alloc(a, 1));         /* stays so, though it would fit */
        arena_reset(a);
        assert_non_null(arena_alloc(a, 16));
}

static void test_a_huge_count_is_full_and_not_a_wrap(void **state)
{
        static const size_t counts[] = { SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 8 + 2 };
        _cleanup_(arena_freep) struct arena *a = arena_new(SIZE_MAX);

        for (unsigned i = 0; i < ELEMENTS(counts); i++) {
                arena_reset(a);
                assert_null(ARENA_ARRAY(a, uint64_t, counts[i]));
                assert_true(arena_failed(a));
        }
        arena_reset(a);
        assert_null(arena_alloc(a, SIZE_MAX));
        arena_reset(a);
        assert_null(arena_alloc(a, SIZE_MAX - 15));
}

static void test_large_and_small_share_an_arena(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(4 << 20);
        char *small = arena_strdup(a, "small"), *large = arena_zalloc(a, 1 << 20), *after = arena_printf(a, "%d-%s", 7, small);

        memset(large, 'x', 1 << 20);
        assert_string_equal(small, "small");
        assert_string_equal(after, "7-small");
        for (unsigned round = 0; round < 3; round++) {
                arena_reset(a);
                for (unsigned i = 0; i < 1000; i++)
                        assert_non_null(ARENA_NEW(a, struct digest));
                assert_int_equal(arena_used(a), 32000);
        }
}

static void test_copies_of_nothing_are_not_failures(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(16);

        assert_non_null(arena_copy(a, (struct bytes){ 0 }).p);
        assert_null(arena_copy(a, bytes_str("x")).p);
        assert_null(arena_strdup(a, ""));
        assert_null(arena_printf(a, "x"));
}

static void test_protobuf_c_unpacks_under_the_cap(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(64 * 1024);
        uint8_t many[4000];

        for (size_t i = 0; i < sizeof(many); i += 2) {          /* signatures: 2000 empty ones */
                many[i] = 3 << 3 | 2;
                many[i + 1] = 0;
        }
        assert_non_null(shuyi__v1__envelope__unpack(arena_allocator(a), 40, many));
        arena_reset(a);
        assert_null(shuyi__v1__envelope__unpack(arena_allocator(a), sizeof(many), many));
        assert_true(arena_failed(a));
}

static void test_a_stage_is_allowed_its_own(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1024);

        assert_non_null(arena_alloc(a, 1024));
        arena_allow(a, 2048);
        assert_non_null(arena_alloc(a, 2048));
        assert_null(arena_alloc(a, 1));
        arena_reset(a);
        arena_allow(a, SIZE_MAX);
        assert_non_null(arena_alloc(a, 1 << 20));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_allocation_is_aligned_and_apart),
                cmocka_unit_test(test_the_cap_holds_and_failure_stays_until_reset),
                cmocka_unit_test(test_a_huge_count_is_full_and_not_a_wrap),
                cmocka_unit_test(test_large_and_small_share_an_arena),
                cmocka_unit_test(test_copies_of_nothing_are_not_failures),
                cmocka_unit_test(test_protobuf_c_unpacks_under_the_cap),
                cmocka_unit_test(test_a_stage_is_allowed_its_own),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
