/* store: groups inside a transaction, a full map, snapshots, the index, growing, copying. */
#include "common/directory.h"
#include "common/exchange/tables.h"
#include "common/macro.h"
#include "common/store.h"
#include "common/store_internal.h"
#include "tests/lib/temp_dir.h"
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[256];
static struct store *store;

static struct store_options options(void)
{
        static const char *const own[] = { "outbox", "inbox", NULL };

        return (struct store_options){ .dir = dir, .map_bytes = 4 << 20, .readers = 4, .databases = own, .allow_volatile = true };
}

static int open_store(void **state)
{
        struct store_options o = options();

        temp_dir_make(dir);
        return store_open(&o, &store);
}

static int close_store(void **state)
{
        store_close(store);
        store = NULL;
        temp_dir_remove(dir);
        return 0;
}

static void reopen(void)
{
        struct store_options o = options();

        store_close(store);
        assert_int_equal(store_open(&o, &store), 0);
}

static void put(unsigned db, const char *key, const char *value)
{
        assert_int_equal(store_put(store, db, bytes_str(key), bytes_str(value)), 0);
}

static void assert_has(unsigned db, const char *key, const char *value)
{
        struct bytes v;

        assert_int_equal(store_get(store, db, bytes_str(key), &v), value != NULL);
        if (value)
                assert_true(bytes_equal(v, bytes_str(value)));
}

static void test_what_is_committed_is_there_after_a_restart(void **state)
{
        assert_int_equal(store_begin(store), 0);
        put(STORE_META, "a", "1");
        put(STORE_OWN + 1, "a", "2");
        assert_int_equal(store_commit(store), 0);
        assert_int_equal(store_begin(store), 0);
        put(STORE_META, "b", "3");
        reopen();                               /* what was open is gone */
        assert_int_equal(store_begin(store), 0);
        assert_has(STORE_META, "a", "1");
        assert_has(STORE_OWN + 1, "a", "2");
        assert_has(STORE_OWN, "a", NULL);
        assert_has(STORE_META, "b", NULL);
        store_abort(store);
        store_abort(store);                     /* nothing open is fine */
}

static void test_a_group_is_all_or_nothing_and_its_parent_stays(void **state)
{
        assert_int_equal(store_begin(store), 0);
        assert_true(store_is_open(store));
        assert_int_equal(store_group_begin(store), 0);
        put(STORE_STATE, "a", "1");
        assert_int_equal(store_group_commit(store), 0);
        assert_int_equal(store_group_begin(store), 0);
        put(STORE_STATE, "a", "2");
        put(STORE_STATE, "b", "2");
        assert_int_equal(store_del(store, STORE_STATE, bytes_str("b")), 1);
        assert_int_equal(store_del(store, STORE_STATE, bytes_str("b")), 0);
        assert_has(STORE_STATE, "a", "2");
        store_group_abort(store);
        assert_has(STORE_STATE, "a", "1");
        assert_int_equal(store_commit(store), 0);
        assert_false(store_is_open(store));
}

/* The first key that no longer fits. */
static unsigned fill(unsigned from)
{
        static const uint8_t value[2000];
        uint8_t key[8];
        unsigned i;

        for (i = from;; i++) {
                int r;

                put_be64(key, i);
                r = store_put(store, STORE_OWN, bytes_of(key, 8), bytes_of(value, sizeof(value)));
                if (r == 0)
                        continue;
                assert_int_equal(r, -ENOSPC);
                return i;
        }
}

static void test_a_full_map_costs_one_group_and_not_its_parent(void **state)
{
        struct bytes v;
        uint8_t key[8];

        assert_int_equal(store_begin(store), 0);
        assert_int_equal(store_group_begin(store), 0);
        put(STORE_STATE, "first", "group");
        assert_int_equal(store_group_commit(store), 0);

        assert_int_equal(store_group_begin(store), 0);
        put(STORE_STATE, "second", "group");
        assert_true(fill(0) > 500);
        store_group_abort(store);

        assert_has(STORE_STATE, "first", "group");
        assert_has(STORE_STATE, "second", NULL);
        assert_int_equal(store_group_begin_reserved(store), 0);
        put(STORE_STATE, "third", "group");
        assert_int_equal(store_group_commit(store), 0);
        assert_int_equal(store_commit(store), 0);

        reopen();
        assert_int_equal(store_begin(store), 0);
        assert_has(STORE_STATE, "first", "group");
        assert_has(STORE_STATE, "third", "group");
        put_be64(key, 0);
        assert_int_equal(store_get(store, STORE_OWN, bytes_of(key, 8), &v), 0);
}

static void test_a_group_is_refused_before_the_map_is_full(void **state)
{
        struct store_room before, after;
        static const uint8_t value[2000];
        uint8_t key[8];
        unsigned groups = 0;
        int r;

        assert_int_equal(store_room(store, &before), 0);
        assert_int_equal(before.map_bytes, 4 << 20);
        for (unsigned n = 0;; groups++) {
                assert_int_equal(store_begin(store), 0);
                r = store_group_begin(store);
                if (r < 0)
                        break;
                for (unsigned i = 0; i < 20; i++) {
                        put_be64(key, n++);
                        assert_int_equal(store_append(store, STORE_OWN, bytes_of(key, 8), bytes_of(value, sizeof(value))), 0);
                }
                assert_int_equal(store_group_commit(store), 0);
                assert_int_equal(store_commit(store), 0);
        }
        assert_int_equal(r, -ENOSPC);
        assert_in_range(groups, 40, 100);
        assert_int_equal(store_room(store, &after), 0);
        assert_true(after.used_bytes > before.used_bytes && after.used_bytes <= after.map_bytes);
        assert_in_range(after.permille, 900, 1000);
        assert_int_equal(store_group_begin_reserved(store), 0);         /* releases go on */
        for (unsigned n = 0; n < 800; n++) {
                put_be64(key, n);
                assert_int_equal(store_del(store, STORE_OWN, bytes_of(key, 8)), 1);
        }
        assert_int_equal(store_group_commit(store), 0);
        assert_int_equal(store_commit(store), 0);
        for (unsigned n = 0; n < 2; n++) {      /* freed pages come back one transaction later */
                assert_int_equal(store_begin(store), 0);
                put(STORE_META, "tick", "x");
                assert_int_equal(store_commit(store), 0);
        }
        assert_int_equal(store_begin(store), 0);
        assert_int_equal(store_group_begin(store), 0);
}

static void test_a_larger_map_takes_more(void **state)
{
        unsigned full;

        assert_int_equal(store_begin(store), 0);
        assert_int_equal(store_group_begin(store), 0);
        full = fill(0);
        store_abort(store);
        assert_int_equal(store_grow(store, 8 << 20), 0);
        assert_int_equal(store_begin(store), 0);
        assert_int_equal(store_group_begin(store), 0);
        assert_true(fill(0) > full + full / 2);
}

static void test_next_and_last_keep_to_their_prefix(void **state)
{
        static const struct { const char *name, *prefix, *from, *key; } cases[] = {
                { "the first of a prefix", "b", "", "b1" },
                { "at the key itself", "b", "b1", "b1" },
                { "after a key", "b", "b1\x01", "b2" },
                { "a from before the prefix begins with it", "b", "a9", "b1" },
                { "past the last", "b", "b3", NULL },
                { "a from beyond the prefix", "b", "c", NULL },
                { "no such prefix", "bb", "", NULL },
                { "the empty prefix is all", "", "", "a1" },
                { "the last key of all", "", "c1", "c1" },
                { "past all", "", "d", NULL },
        };
        struct bytes k, v;
        uint8_t high[] = { 0xff, 0xff, 1 };

        assert_int_equal(store_begin(store), 0);
        put(STORE_STATE, "a1", "x");
        put(STORE_STATE, "b1", "x");
        put(STORE_STATE, "b2", "x");
        put(STORE_STATE, "c1", "x");
        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                int r = store_next(store, STORE_STATE, bytes_str(cases[i].prefix), bytes_str(cases[i].from), &k, &v);

                if (r != (cases[i].key != NULL) || (r == 1 && !bytes_equal(k, bytes_str(cases[i].key))))
                        fail_msg("%s", cases[i].name);
        }
        assert_int_equal(store_last(store, STORE_STATE, bytes_str("b"), &k, &v), 1);
        assert_true(bytes_equal(k, bytes_str("b2")));
        assert_int_equal(store_last(store, STORE_STATE, bytes_str("c"), &k, &v), 1);
        assert_true(bytes_equal(k, bytes_str("c1")));
        assert_int_equal(store_last(store, STORE_STATE, bytes_str("bb"), &k, &v), 0);
        assert_int_equal(store_last(store, STORE_STATE, bytes_of(high, 2), &k, &v), 0);
        assert_int_equal(store_put(store, STORE_STATE, bytes_of(high, 3), bytes_str("x")), 0);
        assert_int_equal(store_last(store, STORE_STATE, bytes_of(high, 2), &k, &v), 1);
        assert_int_equal(store_last(store, STORE_META, bytes_str(""), &k, &v), 0);
}

/* Two groups; the first fault ends it. */
static int run_scenario(void)
{
        int r = store_begin(store);

        for (unsigned g = 0; r == 0 && g < 2; g++) {
                char key[2] = { (char)('a' + g), '\0' };

                r = store_group_begin(store);
                if (r == 0)
                        r = store_put(store, STORE_STATE, bytes_str(key), bytes_str("x"));
                if (r == 0)
                        r = store_index_append(store, g + 1, (struct segment_place){ 1, 1 });
                if (r == 0)
                        r = store_group_commit(store);
        }
        if (r == 0)
                r = store_commit(store);
        store_abort(store);
        return r;
}

static void test_each_fault_of_a_scenario_leaves_nothing_behind(void **state)
{
        for (unsigned n = 1;; n++) {
                int r;

                store_fail_after(store, n, n % 2 ? -EIO : -ENOSPC);
                r = run_scenario();
                store_fail_after(store, 0, 0);
                assert_false(store_is_open(store));
                assert_int_equal(store_begin(store), 0);
                assert_has(STORE_STATE, "a", r == 0 ? "x" : NULL);
                assert_has(STORE_STATE, "b", r == 0 ? "x" : NULL);
                store_abort(store);
                if (r == 0) {
                        assert_int_equal(n, 8);         /* two puts, two appends, two groups, one commit, then none */
                        return;
                }
                assert_int_equal(r, n % 2 ? -EIO : -ENOSPC);
        }
}

static void test_keys_out_of_bounds_and_out_of_order_are_refused(void **state)
{
        uint8_t key[STORE_KEY_MAX + 1] = { 1 };
        struct bytes v;

        assert_int_equal(store_begin(store), 0);
        assert_int_equal(store_put(store, STORE_META, bytes_of(key, STORE_KEY_MAX), bytes_str("x")), 0);
        assert_int_equal(store_put(store, STORE_META, bytes_of(key, STORE_KEY_MAX + 1), bytes_str("x")), -EINVAL);
        assert_int_equal(store_get(store, STORE_META, bytes_of(key, STORE_KEY_MAX + 1), &v), -EINVAL);
        assert_int_equal(store_put(store, STORE_META, (struct bytes){0}, bytes_str("x")), -EINVAL);
        assert_int_equal(store_append(store, STORE_META, bytes_str("b"), bytes_str("x")), 0);
        assert_int_equal(store_append(store, STORE_META, bytes_str("a"), bytes_str("x")), -EEXIST);
        assert_has(STORE_META, "a", NULL);
}

static void test_a_snapshot_sees_what_was_committed_when_it_was_opened(void **state)
{
        struct store_snapshot *old, *new;
        struct state view;
        struct bytes v, k;

        assert_int_equal(store_begin(store), 0);
        put(STORE_STATE, "a", "1");
        assert_int_equal(store_snapshot_open(store, &old), 0);
        assert_int_equal(store_snapshot_get(old, STORE_STATE, bytes_str("a"), &v), 0);
        assert_int_equal(store_commit(store), 0);
        assert_int_equal(store_snapshot_get(old, STORE_STATE, bytes_str("a"), &v), 0);
        assert_int_equal(store_snapshot_open(store, &new), 0);
        view = store_snapshot_state(new);
        assert_int_equal(view.ops->get(view.ctx, bytes_str("a"), &v), 1);
        assert_int_equal(view.ops->next(view.ctx, bytes_str(""), bytes_str(""), &k, &v), 1);
        assert_true(bytes_equal(v, bytes_str("1")));
        assert_int_equal(store_snapshot_last(new, STORE_STATE, bytes_str("a"), &k, &v), 1);
        assert_true(store_oldest_reader_ns(store) > 0);
        store_snapshot_close(old);
        store_snapshot_close(new);
        assert_int_equal(store_oldest_reader_ns(store), 0);
}

static void test_the_state_of_the_open_group_is_what_apply_reads(void **state)
{
        struct state view = store_state(store);
        struct bytes k, v;

        assert_int_equal(store_begin(store), 0);
        assert_int_equal(store_group_begin(store), 0);
        put(STORE_STATE, "a", "1");
        assert_int_equal(view.ops->get(view.ctx, bytes_str("a"), &v), 1);
        assert_int_equal(view.ops->next(view.ctx, bytes_str("a"), bytes_str(""), &k, &v), 1);
        store_group_abort(store);
        assert_int_equal(view.ops->get(view.ctx, bytes_str("a"), &v), 0);
}

static void test_snapshots_are_bounded_and_come_back(void **state)
{
        struct store_snapshot *p[4], *fifth;

        for (unsigned round = 0; round < 3; round++) {
                for (unsigned i = 0; i < 4; i++)
                        assert_int_equal(store_snapshot_open(store, &p[i]), 0);
                assert_int_equal(store_snapshot_open(store, &fifth), -EAGAIN);
                assert_int_equal(store_begin(store), 0);        /* the writer does not need one of them */
                store_abort(store);
                for (unsigned i = 0; i < 4; i++)
                        store_snapshot_close(p[i]);
        }
}

static void test_the_index_tells_where_an_entry_stands(void **state)
{
        struct segment_place place;
        struct store_snapshot *p;

        assert_int_equal(store_begin(store), 0);
        assert_int_equal(store_index_append(store, 255, (struct segment_place){ 1, 4096 }), 0);
        assert_int_equal(store_index_append(store, 256, (struct segment_place){ 7, 123456789012 }), 0);
        assert_int_equal(store_index_append(store, 256, (struct segment_place){ 8, 1 }), -EEXIST);
        assert_int_equal(store_index_find(store, 256, &place), 1);
        assert_int_equal(place.file, 7);
        assert_int_equal(place.offset, 123456789012);
        assert_int_equal(store_index_find(store, 257, &place), 0);
        assert_int_equal(store_commit(store), 0);
        assert_int_equal(store_snapshot_open(store, &p), 0);
        assert_int_equal(store_snapshot_index_find(p, 255, &place), 1);
        assert_int_equal(place.offset, 4096);
        store_snapshot_close(p);
}

static void test_a_copy_opens_with_the_same_rows(void **state)
{
        struct store_options o = options();
        char copy[300];
        struct bytes v;
        struct store *s;

        assert_int_equal(store_begin(store), 0);
        put(STORE_META, "a", "1");
        assert_int_equal(store_commit(store), 0);
        snprintf(copy, sizeof(copy), "%s/copy", dir);
        assert_int_equal(mkdir(copy, 0700), 0);
        assert_int_equal(store_copy(store, copy), 0);
        o.dir = copy;
        assert_int_equal(store_open(&o, &s), 0);
        assert_int_equal(store_begin(s), 0);
        assert_int_equal(store_get(s, STORE_META, bytes_str("a"), &v), 1);
        store_close(s);
}

static void test_a_directory_has_one_owner_and_stays_on_a_real_disk(void **state)
{
        struct store_options o = options();
        struct store *s = NULL;

        assert_int_equal(store_open(&o, &s), -EBUSY);
        assert_int_equal(directory_check_filesystem("/dev/shm", true), 0);
        if (directory_check_filesystem("/dev/shm", false) == 0)
                skip();                         /* not a tmpfs here */
        assert_int_equal(directory_check_filesystem("/dev/shm", false), -EMEDIUMTYPE);
        o.dir = "/dev/shm/shuyi-test-store";
        o.allow_volatile = false;
        assert_int_equal(store_open(&o, &s), -EMEDIUMTYPE);
        rmdir(o.dir);
        assert_null(s);
}

static void test_a_damaged_file_is_a_fault_and_not_a_crash(void **state)
{
        struct store_options o = options();
        static const char noise[8192] = "not LMDB";
        char path[300];
        struct store *s = NULL;
        FILE *f;

        store_close(store);
        store = NULL;
        snprintf(path, sizeof(path), "%s/data.mdb", dir);
        f = fopen(path, "wb");
        assert_int_equal(fwrite(noise, 1, sizeof(noise), f), sizeof(noise));
        fclose(f);
        assert_int_equal(store_open(&o, &s), -EBADMSG);
        assert_null(s);
}

static void *read_for_a_while(void *arg)
{
        unsigned *seen = arg;

        for (unsigned i = 0; i < 2000; i++) {
                struct store_snapshot *p;
                struct bytes a, b;

                if (store_snapshot_open(store, &p) < 0)
                        continue;
                if (store_snapshot_get(p, STORE_STATE, bytes_str("a"), &a) == 1 &&
                    store_snapshot_get(p, STORE_STATE, bytes_str("b"), &b) == 1 && !bytes_equal(a, b))
                        *seen = i + 1;          /* half of a transaction */
                store_snapshot_close(p);
        }
        return NULL;
}

static void test_readers_beside_the_writer_and_a_growing_map_see_whole_commits(void **state)
{
        unsigned torn[2] = {0};
        pthread_t readers[2];
        char value[16];

        for (unsigned i = 0; i < 2; i++)
                pthread_create(&readers[i], NULL, read_for_a_while, &torn[i]);
        for (unsigned i = 0; i < 50; i++) {
                snprintf(value, sizeof(value), "%u", i);
                assert_int_equal(store_begin(store), 0);
                put(STORE_STATE, "a", value);
                put(STORE_STATE, "b", value);
                assert_int_equal(store_commit(store), 0);
                if (i % 10 == 0)
                        assert_int_equal(store_grow(store, (8 + i) << 20), 0);
        }
        for (unsigned i = 0; i < 2; i++)
                pthread_join(readers[i], NULL);
        assert_int_equal(torn[0] + torn[1], 0);
}

static void test_blocks_are_taken_ahead_of_the_files_end(void **state)
{
        struct store_room room;
        struct stat st;
        char path[300];

        assert_int_equal(store_begin(store), 0);
        put(STORE_META, "a", "1");
        assert_int_equal(store_commit(store), 0);
        assert_int_equal(store_room(store, &room), 0);
        assert_false(room.disk_short);
        snprintf(path, sizeof(path), "%s/data.mdb", dir);
        assert_int_equal(stat(path, &st), 0);
        assert_true((uint64_t)st.st_blocks * 512 >= room.file_bytes + room.map_bytes / 16 || (uint64_t)st.st_blocks * 512 >= room.file_bytes + (4u << 20));
}

static bool same_check(struct bytes x, struct bytes y)
{
        static const uint8_t row_key[8] = "rowkey";
        uint8_t a[STORE_CHECK_BYTES], b[STORE_CHECK_BYTES];

        store_row_check(row_key, bytes_str("key"), x, a);
        store_row_check(row_key, bytes_str("key"), y, b);
        return memcmp(a, b, STORE_CHECK_BYTES) == 0;
}

static void test_the_check_of_a_row_sees_each_bit_and_all_order(void **state)
{
        uint8_t x[300], y[300], block[32];

        (void)state;
        for (unsigned i = 0; i < sizeof(x); i++)
                x[i] = (uint8_t)(i * 7);
        memcpy(y, x, sizeof(x));
        for (size_t n = 0; n < sizeof(x); n += n < 40 ? 1 : 13) {
                assert_true(same_check(bytes_of(x, n), bytes_of(y, n)));
                assert_false(same_check(bytes_of(x, n), bytes_of(x, n + 1)));
                for (size_t bit = 0; bit < 8 * n; bit++) {
                        y[bit / 8] ^= (uint8_t)(1 << bit % 8);
                        assert_false(same_check(bytes_of(x, n), bytes_of(y, n)));
                        y[bit / 8] ^= (uint8_t)(1 << bit % 8);
                }
        }
        for (size_t from = 0; from + 64 <= sizeof(x); from += 8) {      /* two neighbours exchanged */
                memcpy(y, x, sizeof(x));
                memcpy(block, y + from, 32);
                memmove(y + from, y + from + 32, 32);
                memcpy(y + from + 32, block, 32);
                assert_false(same_check(bytes_of(x, sizeof(x)), bytes_of(y, sizeof(y))));
        }
        memset(x, 0, sizeof(x));
        assert_false(same_check(bytes_of(x, 160), bytes_of(x, 192)));
}

#define WITH_STORE(f) cmocka_unit_test_setup_teardown(f, open_store, close_store)

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH_STORE(test_blocks_are_taken_ahead_of_the_files_end),
                WITH_STORE(test_what_is_committed_is_there_after_a_restart),
                WITH_STORE(test_a_group_is_all_or_nothing_and_its_parent_stays),
                WITH_STORE(test_a_full_map_costs_one_group_and_not_its_parent),
                WITH_STORE(test_a_group_is_refused_before_the_map_is_full),
                WITH_STORE(test_a_larger_map_takes_more),
                WITH_STORE(test_next_and_last_keep_to_their_prefix),
                WITH_STORE(test_each_fault_of_a_scenario_leaves_nothing_behind),
                WITH_STORE(test_keys_out_of_bounds_and_out_of_order_are_refused),
                WITH_STORE(test_a_snapshot_sees_what_was_committed_when_it_was_opened),
                WITH_STORE(test_the_state_of_the_open_group_is_what_apply_reads),
                WITH_STORE(test_snapshots_are_bounded_and_come_back),
                WITH_STORE(test_the_index_tells_where_an_entry_stands),
                WITH_STORE(test_a_copy_opens_with_the_same_rows),
                WITH_STORE(test_a_directory_has_one_owner_and_stays_on_a_real_disk),
                WITH_STORE(test_a_damaged_file_is_a_fault_and_not_a_crash),
                WITH_STORE(test_readers_beside_the_writer_and_a_growing_map_see_whole_commits),
                cmocka_unit_test(test_the_check_of_a_row_sees_each_bit_and_all_order),
        };

        return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
