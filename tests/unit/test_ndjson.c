/* ndjson and line: what a line looks like, and that a crash neither loses nor doubles one. */
#include "agent/sink/line.h"
#include "agent/sink/ndjson.h"
#include "common/macro.h"
#include "tests/lib/sample.h"
#include "tests/lib/temp_dir.h"
#include "tests/lib/unit.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_a_line_is_exact_json_with_names_and_escapes(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        Shuyi__V1__Entry entry = SHUYI__V1__ENTRY__INIT;
        Shuyi__V1__Item item = SHUYI__V1__ITEM__INIT, *items[] = { &item };
        Shuyi__V1__Value one = SHUYI__V1__VALUE__INIT, two = SHUYI__V1__VALUE__INIT, *values[] = { &one, &two };
        Shuyi__V1__Record r = SHUYI__V1__RECORD__INIT;
        struct line_source s = { .resource = "101001/1", .version = 1, .stream_seq = 7, .index = 3, .entry = &entry };
        struct bytes line;

        item.item_no = 1;
        item.name_en = (char *)"name";
        entry.items = items;
        entry.n_items = 1;
        one.item = 1;
        one.text = (char *)"a\"b\\c\n\x01 区";
        two.item = 9;
        two.null = true;
        r.op = OP_UPSERT;
        r.key = (char *)"k\x1f" "2";
        r.changed_at = SAMPLE_TIME;
        r.values = values;
        r.n_values = 2;
        line = line_format(a, &s, &r);
        assert_int_equal(line.p[line.n - 1], '\n');
        assert_string_equal(arena_printf(a, "%.*s", (int)line.n - 1, (const char *)line.p),
                            "{\"resource\":\"101001/1\",\"version\":1,\"grant\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"stream_seq\":7,"
                            "\"index\":3,\"op\":\"UPSERT\",\"key\":\"k\\u001f2\",\"changed_at\":\"2026-02-12T02:00:00.000Z\","
                            "\"values\":{\"name\":\"a\\\"b\\\\c\\n\\u0001 区\",\"9\":null}}");
}

static void test_what_counts_decides_where_a_file_begins_again(void **state)
{
        static const struct { bool exists; uint64_t size, offset; int want; uint64_t at; } cases[] = {
                { false, 0, 0, 0, 0 },          { false, 0, 500, 0, 0 },      { true, 0, 0, 0, 0 },
                { true, 800, 500, 0, 500 },     { true, 500, 500, 0, 500 },   { true, 499, 500, -EBADMSG, 0 },
                { true, 800, NDJSON_END, 0, 800 }, { false, 0, NDJSON_END, 0, 0 },
        };

        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                uint64_t at = 0;

                assert_int_equal(ndjson_recover(cases[i].exists, cases[i].size, cases[i].offset, &at), cases[i].want);
                assert_int_equal(at, cases[i].at);
        }
}

static uint64_t size_of(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 ? (uint64_t)st.st_size : UINT64_MAX;
}

static void test_lines_behind_what_counts_are_cut_and_written_again(void **state)
{
        char dir[256], path[300];
        struct ndjson *n;
        uint64_t at = 99, counts;

        temp_dir_make(dir);
        snprintf(path, sizeof(path), "%s/out.ndjson", dir);
        assert_int_equal(ndjson_open(path, 0, &n, &at), 0);
        assert_int_equal(at, 0);
        assert_int_equal(ndjson_append(n, bytes_str("one\n")), 0);
        assert_int_equal(ndjson_sync(n, &counts), 0);
        assert_int_equal(ndjson_append(n, bytes_str("two\n")), 0);
        assert_int_equal(ndjson_sync(n, &at), 0);       /* in the file, but the commit that says so never came */
        ndjson_close(n);
        assert_int_equal(size_of(path), 8);
        assert_int_equal(ndjson_open(path, counts, &n, &at), 0);
        assert_int_equal(at, 4);
        assert_int_equal(size_of(path), 4);
        assert_int_equal(ndjson_append(n, bytes_str("two\n")), 0);
        assert_int_equal(ndjson_sync(n, &at), 0);
        assert_int_equal(size_of(path), 8);
        ndjson_close(n);
        assert_int_equal(ndjson_open(path, 9, &n, &at), -EBADMSG);
        assert_int_equal(ndjson_open(path, 6, &n, &at), -EBADMSG);      /* within a line: another file */
        assert_int_equal(size_of(path), 8);
        temp_dir_remove(dir);
}

static void test_a_failed_round_is_taken_back(void **state)
{
        char dir[256], path[300];
        struct ndjson *n;
        uint64_t at;

        temp_dir_make(dir);
        snprintf(path, sizeof(path), "%s/out.ndjson", dir);
        assert_int_equal(ndjson_open(path, 0, &n, &at), 0);
        assert_int_equal(ndjson_append(n, bytes_str("one\n")), 0);
        assert_int_equal(ndjson_sync(n, &at), 0);
        assert_int_equal(ndjson_append(n, bytes_str("half of two")), 0);
        assert_int_equal(ndjson_rewind(n), 0);
        assert_int_equal(ndjson_append(n, bytes_str("two\n")), 0);
        assert_int_equal(ndjson_sync(n, &at), 0);
        assert_int_equal(at, 8);
        assert_int_equal(size_of(path), 8);
        ndjson_close(n);
        temp_dir_remove(dir);
}

static void test_what_stands_in_an_unknown_file_is_not_cut(void **state)
{
        char dir[256], path[300];
        struct ndjson *n;
        uint64_t at;

        temp_dir_make(dir);
        snprintf(path, sizeof(path), "%s/out.ndjson", dir);
        assert_int_equal(ndjson_open(path, NDJSON_END, &n, &at), 0);
        assert_int_equal(at, 0);
        assert_int_equal(ndjson_append(n, bytes_str("one\n")), 0);
        assert_int_equal(ndjson_sync(n, &at), 0);
        ndjson_close(n);
        assert_int_equal(ndjson_open(path, NDJSON_END, &n, &at), 0);
        assert_int_equal(at, 4);
        assert_int_equal(size_of(path), 4);
        ndjson_close(n);
        temp_dir_remove(dir);
}

static void test_lines_into_a_file_that_was_removed_do_not_count(void **state)
{
        char dir[256], path[300];
        struct ndjson *n;
        uint64_t at = 99;

        temp_dir_make(dir);
        snprintf(path, sizeof(path), "%s/out.ndjson", dir);
        assert_int_equal(ndjson_open(path, 0, &n, &at), 0);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(ndjson_append(n, bytes_str("one\n")), 0);
        assert_int_equal(ndjson_sync(n, &at), -ESTALE);
        assert_int_equal(at, 0);
        ndjson_close(n);
        temp_dir_remove(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_line_is_exact_json_with_names_and_escapes),
                cmocka_unit_test(test_what_counts_decides_where_a_file_begins_again),
                cmocka_unit_test(test_lines_behind_what_counts_are_cut_and_written_again),
                cmocka_unit_test(test_a_failed_round_is_taken_back),
                cmocka_unit_test(test_what_stands_in_an_unknown_file_is_not_cut),
                cmocka_unit_test(test_lines_into_a_file_that_was_removed_do_not_count),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
