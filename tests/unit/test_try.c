/* try: an entry's sample from source to sink, and what it says of a bad row. */
#include "agent/try.h"
#include "common/words.h"
#include "tests/lib/sample.h"
#include "tests/lib/unit.h"

static Shuyi__V1__Item *item_make(struct arena *a, uint32_t no, const char *name, bool nullable)
{
        Shuyi__V1__Item *item = ARENA_NEW(a, Shuyi__V1__Item);

        shuyi__v1__item__init(item);
        item->item_no = no;
        item->name_en = (char *)name;
        item->data_type = 'C';
        item->length = 8;
        item->nullable = nullable;
        item->key = no == 1;
        return item;
}

static void add_row(struct arena *a, Shuyi__V1__Entry *e, const char *code, const char *name)
{
        Shuyi__V1__SampleRow *row = ARENA_NEW(a, Shuyi__V1__SampleRow);

        shuyi__v1__sample_row__init(row);
        row->values = ARENA_ARRAY(a, char *, 2);
        row->values[0] = (char *)code;
        row->values[1] = (char *)name;
        row->n_values = 2;
        e->sample[e->n_sample++] = row;
}

static Shuyi__V1__Entry *entry_make(struct arena *a)
{
        Shuyi__V1__Entry *e = ARENA_NEW(a, Shuyi__V1__Entry);

        shuyi__v1__entry__init(e);
        e->items = ARENA_ARRAY(a, Shuyi__V1__Item *, 2);
        e->items[0] = item_make(a, 1, "code", false);
        e->items[1] = item_make(a, 2, "name", true);
        e->n_items = 2;
        e->sample = ARENA_ARRAY(a, Shuyi__V1__SampleRow *, 4);
        return e;
}

static void test_good_rows_come_out_as_lines(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(8 << 20);
        Shuyi__V1__Entry *e = entry_make(a);
        struct try_result r;

        add_row(a, e, "440000", "示例");
        add_row(a, e, "440001", "");
        assert_int_equal(try_entry(a, e, NULL, 0, SAMPLE_TIME, &r), 0);
        assert_int_equal(r.rows, 2);
        assert_int_equal(r.good, 2);
        assert_int_equal(r.problems_n, 0);
        assert_non_null(memmem(r.lines.p, r.lines.n, "\"values\":{\"code\":\"440000\",\"name\":\"示例\"}}\n", strlen("\"values\":{\"code\":\"440000\",\"name\":\"示例\"}}\n")));
        assert_non_null(memmem(r.lines.p, r.lines.n, "\"name\":null", strlen("\"name\":null")));
}

static void test_bad_rows_are_named_and_the_good_ones_go_on(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(8 << 20);
        Shuyi__V1__Entry *e = entry_make(a);
        struct try_result r;

        add_row(a, e, "440000000", "too long");
        add_row(a, e, "440001", "good");
        assert_int_equal(try_entry(a, e, NULL, 0, SAMPLE_TIME, &r), 0);
        assert_int_equal(r.good, 1);
        assert_int_equal(r.problems_n, 1);
        assert_int_equal(r.problems[0].row, 0);
        assert_int_equal(r.problems[0].item, 1);
        assert_string_equal(r.problems[0].why, "length");
}

static void test_only_the_items_granted_come_out(void **state)
{
        static const uint32_t items[] = { 1 };
        _cleanup_(arena_freep) struct arena *a = arena_new(8 << 20);
        Shuyi__V1__Entry *e = entry_make(a);
        struct try_result r;

        add_row(a, e, "440000", "示例");
        assert_int_equal(try_entry(a, e, items, 1, SAMPLE_TIME, &r), 0);
        assert_int_equal(r.good, 1);
        assert_null(memmem(r.lines.p, r.lines.n, "示例", strlen("示例")));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_good_rows_come_out_as_lines),
                cmocka_unit_test(test_bad_rows_are_named_and_the_good_ones_go_on),
                cmocka_unit_test(test_only_the_items_granted_come_out),
        };

        if (sodium_init() < 0)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
