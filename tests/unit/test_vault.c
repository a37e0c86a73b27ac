/* vault: what lies in the store opens only as what it is, and the key file is nobody else's. */
#include "agent/vault.h"
#include "common/macro.h"
#include "tests/lib/temp_dir.h"
#include "tests/lib/unit.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>

static void test_bytes_open_only_as_what_they_were_sealed(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 16);
        static const uint8_t key[32] = { 1 }, other_key[32] = { 2 };
        struct vault *v, *w;
        struct bytes sealed, plain = { 0 };

        assert_int_equal(vault_new(key, &v), 0);
        assert_int_equal(vault_new(other_key, &w), 0);
        sealed = vault_seal_in(v, a, bytes_str("record 1"), bytes_str("value"));
        assert_int_equal(sealed.n, 5 + VAULT_OVERHEAD);
        assert_true(vault_unseal(v, a, bytes_str("record 1"), sealed, &plain));
        assert_true(bytes_equal(plain, bytes_str("value")));
        assert_false(vault_unseal(v, a, bytes_str("record 2"), sealed, &plain));
        assert_false(vault_unseal(w, a, bytes_str("record 1"), sealed, &plain));
        assert_false(vault_unseal(v, a, bytes_str("record 1"), bytes_of(sealed.p, VAULT_OVERHEAD - 1), &plain));
        ((uint8_t *)sealed.p)[30] ^= 1;
        assert_false(vault_unseal(v, a, bytes_str("record 1"), sealed, &plain));
        vault_close(v);
        vault_close(w);
}

static void test_the_key_stays_over_starts_and_must_be_private(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 16);
        char dir[256], path[300];
        struct bytes sealed, plain;
        struct stat st;
        struct vault *v;

        temp_dir_make(dir);
        snprintf(path, sizeof(path), "%s/storage.key", dir);
        assert_int_equal(vault_open(dir, false, &v), -ENOKEY);  /* a store that holds something needs the key it had */
        assert_int_equal(stat(path, &st), -1);
        assert_int_equal(vault_open(dir, true, &v), 0);
        sealed = vault_seal_in(v, a, bytes_str("x"), bytes_str("value"));
        vault_close(v);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_equal(vault_open(dir, false, &v), 0);
        assert_true(vault_unseal(v, a, bytes_str("x"), sealed, &plain));
        vault_close(v);
        assert_int_equal(chmod(path, 0640), 0);
        assert_int_equal(vault_open(dir, true, &v), -EPERM);
        temp_dir_remove(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bytes_open_only_as_what_they_were_sealed),
                cmocka_unit_test(test_the_key_stays_over_starts_and_must_be_private),
        };

        if (sodium_init() < 0)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
