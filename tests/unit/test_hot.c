/* hot, bytemap, turnstile: what deliver keeps in memory, and the order in which the sequencer takes tickets. */
#include "broker/bytemap.h"
#include "broker/hot.h"
#include "broker/turnstile.h"
#include "tests/lib/unit.h"
#include <errno.h>
#include <stdlib.h>

/* An entry with one effect: `key` becomes `value`, or goes. */
static struct ticket *entry(uint64_t seq, const char *key, const char *value)
{
        struct ticket *t = ticket_new();
        struct effect *e = ARENA_NEW(t->arena, struct effect);

        e->key = bytes_str(key);
        e->value = value ? bytes_str(value) : (struct bytes){ 0 };
        e->remove = !value;
        t->seq = seq;
        t->outcome.effects = e;
        t->outcome.effects_n = 1;
        return t;
}

static void row_must_be(struct hot *h, const char *key, const char *value)
{
        struct bytes found;

        assert_int_equal(hot_row(h, bytes_str(key), &found), 1);
        assert_true(bytes_equal(found, bytes_str(value)));
}

static void test_rows_are_as_the_newest_entry_left_them(void **state)
{
        struct hot *h = hot_new();
        struct bytes found;

        assert_int_equal(hot_add(h, entry(5, "a", "1")), 0);
        assert_int_equal(hot_add(h, entry(6, "b", "1")), 0);
        assert_int_equal(hot_add(h, entry(7, "a", "2")), 0);
        row_must_be(h, "a", "2");
        assert_int_equal(hot_row(h, bytes_str("c"), &found), 0);
        assert_int_equal(hot_add(h, entry(8, "b", NULL)), 0);
        assert_int_equal(hot_row(h, bytes_str("b"), &found), -ENODATA);
        hot_prune(h, 6, 0);                     /* the committed state has 5 and 6 */
        row_must_be(h, "a", "2");
        hot_prune(h, 8, 0);
        assert_int_equal(hot_row(h, bytes_str("a"), &found), 0);
        hot_free(h);
}

static void test_nothing_goes_before_it_is_committed(void **state)
{
        struct hot *h = hot_new();

        for (uint64_t seq = 1; seq <= 5000; seq++)
                assert_int_equal(hot_add(h, entry(seq, "a", "1")), 0);
        hot_prune(h, 100, 0);
        assert_null(hot_find(h, 100));
        for (uint64_t seq = 101; seq <= 5000; seq++)
                assert_int_equal(hot_find(h, seq)->seq, seq);
        hot_prune(h, 5000, SIZE_MAX);           /* committed, but within the budget */
        assert_non_null(hot_find(h, 101));
        hot_prune(h, 5000, 0);
        assert_null(hot_find(h, 5000));
        assert_int_equal(hot_bytes(h), 0);
        assert_int_equal(hot_add(h, entry(5001, "a", "1")), 0);
        assert_non_null(hot_find(h, 5001));
        assert_null(hot_find(h, 5002));
        hot_free(h);
}

static void test_a_map_finds_what_was_put_and_nothing_else(void **state)
{
        struct bytemap *m = bytemap_new();
        uint8_t key[8];

        for (uintptr_t i = 1; i <= 10000; i++) {
                put_be64(key, i);
                assert_int_equal(bytemap_put(m, bytes_of(key, 8), (void *)i), 0);
        }
        assert_int_equal(bytemap_size(m), 10000);
        for (uintptr_t i = 1; i <= 10000; i += 2) {
                put_be64(key, i);
                assert_ptr_equal(bytemap_remove(m, bytes_of(key, 8)), (void *)i);
        }
        for (uintptr_t i = 1; i <= 10000; i++) {
                put_be64(key, i);
                assert_ptr_equal(bytemap_get(m, bytes_of(key, 8)), i % 2 ? NULL : (void *)i);
        }
        put_be64(key, 2);
        assert_null(bytemap_get(m, bytes_of(key, 7)));          /* a prefix is another key */
        assert_int_equal(bytemap_put(m, bytes_of(key, 8), (void *)7), 0);
        assert_ptr_equal(bytemap_get(m, bytes_of(key, 8)), (void *)7);
        assert_int_equal(bytemap_size(m), 5000);
        bytemap_free(m, NULL);
}

static void test_tickets_leave_in_the_order_of_their_numbers(void **state)
{
        static const uint64_t arrivals[] = { 2, 0, 3, 1, 5, 4 };
        struct turnstile s = { .next = 0 };
        struct ticket tickets[6] = { 0 };
        uint64_t next = 0;

        for (unsigned i = 0; i < 6; i++) {
                struct ticket *t;

                tickets[i].number = arrivals[i];
                turnstile_put(&s, &tickets[i]);
                while ((t = turnstile_take(&s)))
                        assert_int_equal(t->number, next++);
        }
        assert_int_equal(next, 6);
        assert_null(turnstile_peek(&s));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rows_are_as_the_newest_entry_left_them),
                cmocka_unit_test(test_nothing_goes_before_it_is_committed),
                cmocka_unit_test(test_a_map_finds_what_was_put_and_nothing_else),
                cmocka_unit_test(test_tickets_leave_in_the_order_of_their_numbers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
