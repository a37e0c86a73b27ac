/* keydir: everything added is found, nothing else is, and the slot hands out what is current. */
#include "common/keydir.h"
#include "tests/lib/sample.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define MANY 5000

static struct digest numbered(uint32_t n, uint8_t fill)
{
        struct digest d;

        memset(d.b, fill, sizeof(d.b));
        put_be32(d.b, n);
        return d;
}

static struct keydir *build(uint32_t n)
{
        struct keydir_builder *b = keydir_builder_new();
        struct digest root = numbered(1, 0xee);

        for (uint32_t i = 0; i < n; i++) {
                struct digest id = numbered(i, 1), key = numbered(i, 2), link_key = numbered(i, 3);
                struct keydir_link link = { .link = i + 1, .credential = id, .revoked = i % 7 == 0 };

                memcpy(link.link_key, link_key.b, 32);
                memcpy(link.department, SAMPLE_DEPT, 19);
                assert_int_equal(keydir_add_credential(b, &id, 1, key.b, i % 2 ? SAMPLE_DEPT : SAMPLE_DEPT_2), 0);
                assert_int_equal(keydir_add_link(b, &link), 0);
        }
        assert_int_equal(keydir_add_root(b, &root, 1, root.b), 0);
        return keydir_build(b);
}

static void test_all_that_was_added_is_found_and_nothing_else(void **state)
{
        struct keydir *d = build(MANY);
        struct key_source keys = keydir_keys(d);
        uint8_t key[32];
        uint32_t suite;

        for (uint32_t i = 0; i < MANY; i++) {
                struct digest id = numbered(i, 1), want = numbered(i, 2), link_key = numbered(i, 3), absent = numbered(i, 4);

                assert_int_equal(keys.find(keys.ctx, &id, ROLE_USER, key, &suite), 1);
                assert_memory_equal(key, want.b, 32);
                assert_int_equal(keydir_find_link(d, link_key.b)->link, i + 1);
                assert_int_equal(keydir_link_at(d, i + 1)->revoked, i % 7 == 0);
                assert_string_equal(keydir_department(d, &id), i % 2 ? SAMPLE_DEPT : SAMPLE_DEPT_2);
                assert_int_equal(keys.find(keys.ctx, &absent, ROLE_USER, key, &suite), 0);
                assert_null(keydir_find_link(d, absent.b));
                assert_null(keydir_department(d, &absent));
        }
        assert_null(keydir_link_at(d, 0));
        assert_null(keydir_link_at(d, MANY + 1));
        keydir_unref(d);
}

static void test_a_root_is_found_under_root_alone_and_a_credential_never_there(void **state)
{
        struct keydir *d = build(3);
        struct key_source keys = keydir_keys(d);
        struct digest root = numbered(1, 0xee), credential = numbered(1, 1);
        uint8_t key[32];
        uint32_t suite;

        assert_int_equal(keys.find(keys.ctx, &root, ROLE_ROOT, key, &suite), 1);
        assert_int_equal(keys.find(keys.ctx, &root, ROLE_SEC_ADMIN, key, &suite), 0);
        assert_int_equal(keys.find(keys.ctx, &credential, ROLE_ROOT, key, &suite), 0);
        keydir_unref(d);
}

static void test_an_empty_directory_finds_nothing(void **state)
{
        struct keydir *d = build(0);
        struct digest any = numbered(1, 1);

        assert_null(keydir_find_link(d, any.b));
        assert_null(keydir_department(d, &any));
        keydir_unref(d);
        keydir_unref(NULL);
        keydir_builder_free(keydir_builder_new());
        keydir_builder_free(NULL);
}

static void test_the_slot_gives_the_current_one_and_an_old_one_lives_while_held(void **state)
{
        struct keydir_slot *s = keydir_slot_new();
        struct keydir *old, *now;
        struct digest second = numbered(1, 1);

        assert_null(keydir_slot_get(s));
        keydir_slot_set(s, build(1));
        old = keydir_slot_get(s);
        keydir_slot_set(s, build(2));
        now = keydir_slot_get(s);
        assert_null(keydir_department(old, &second));
        assert_non_null(keydir_department(now, &second));
        keydir_unref(old);
        keydir_unref(now);
        keydir_slot_free(s);
        keydir_slot_free(NULL);
}

/* A reader sees whole directories only: what it counts is what some build() put in. */
static void *read_on(void *slot)
{
        struct digest first = numbered(0, 1);

        for (unsigned i = 0; i < 3000; i++) {
                struct keydir *d = keydir_slot_get(slot);

                if (!keydir_department(d, &first) || keydir_link_at(d, 4))
                        return slot;
                keydir_unref(d);
        }
        return NULL;
}

static void test_readers_hold_what_a_writer_swaps_away(void **state)
{
        struct keydir_slot *s = keydir_slot_new();
        pthread_t readers[2];
        void *wrong;

        keydir_slot_set(s, build(1));
        for (unsigned i = 0; i < 2; i++)
                assert_int_equal(pthread_create(&readers[i], NULL, read_on, s), 0);
        for (unsigned i = 0; i < 500; i++)
                keydir_slot_set(s, build(1 + i % 3));
        for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(pthread_join(readers[i], &wrong), 0);
                assert_null(wrong);
        }
        keydir_slot_free(s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_that_was_added_is_found_and_nothing_else),
                cmocka_unit_test(test_a_root_is_found_under_root_alone_and_a_credential_never_there),
                cmocka_unit_test(test_an_empty_directory_finds_nothing),
                cmocka_unit_test(test_the_slot_gives_the_current_one_and_an_old_one_lives_while_held),
                cmocka_unit_test(test_readers_hold_what_a_writer_swaps_away),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
