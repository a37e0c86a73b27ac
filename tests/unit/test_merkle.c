/* merkle: the trees of RFC 6962's eight leaves, and every path of every size up to 200. */
#include "common/arena.h"
#include "common/digest.h"
#include "common/macro.h"
#include "common/merkle.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define LEAVES_MAX 200

/* The eight leaves that certificate transparency's own tests use, and their roots for sizes 1 to 8. */
static const char *const leaves_hex[] = { "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f" };
static const char *const roots_hex[] = {
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

static struct digest leaf_at(unsigned i)
{
        uint8_t data[64];
        size_t n = strlen(leaves_hex[i]) / 2;

        assert_true(hex_parse(leaves_hex[i], data, n));
        return merkle_leaf(bytes_of(data, n));
}

static void test_the_eight_leaves_give_the_known_roots(void **state)
{
        struct merkle_frontier f = { 0 };
        struct digest leaves[8], want, root;

        root = merkle_root(&f);
        assert_true(hex_parse("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", want.b, DIGEST_BYTES));
        assert_memory_equal(root.b, want.b, DIGEST_BYTES);
        for (unsigned i = 0; i < 8; i++) {
                leaves[i] = leaf_at(i);
                merkle_append(&f, &leaves[i]);
                assert_true(hex_parse(roots_hex[i], want.b, DIGEST_BYTES));
                root = merkle_root(&f);
                assert_memory_equal(root.b, want.b, DIGEST_BYTES);
                root = merkle_root_of(leaves, i + 1);
                assert_memory_equal(root.b, want.b, DIGEST_BYTES);
        }
}

static void make_leaves(struct digest *ret)
{
        for (unsigned i = 0; i < LEAVES_MAX; i++) {
                uint8_t data[4];

                put_be32(data, i * 2654435761u);
                ret[i] = merkle_leaf(bytes_of(data, sizeof(data)));
        }
}

static void test_every_path_up_to_200_leads_to_its_root_and_nowhere_else(void **state)
{
        struct digest leaves[LEAVES_MAX], path[MERKLE_DEPTH_MAX];

        make_leaves(leaves);
        for (uint64_t n = 1; n <= LEAVES_MAX; n++) {
                struct digest root = merkle_root_of(leaves, n);

                for (uint64_t i = 0; i < n; i++) {
                        unsigned m = merkle_path_of(leaves, n, i, path);

                        assert_true(merkle_check_inclusion(&leaves[i], i, n, path, m, &root));
                        assert_false(merkle_check_inclusion(&leaves[i], (i + 1) % n, n, path, m, &root) && n > 1);
                        assert_false(merkle_check_inclusion(&leaves[i], i, i, path, m, &root));
                        assert_false(merkle_check_inclusion(&leaves[i], i, n, path, m + 1, &root));
                        if (m == 0)
                                continue;
                        assert_false(merkle_check_inclusion(&leaves[i], i, n, path, m - 1, &root));
                        path[m / 2].b[7] ^= 1;
                        assert_false(merkle_check_inclusion(&leaves[i], i, n, path, m, &root));
                }
        }
}

static void test_the_frontier_is_the_path_of_the_leaf_that_ends_a_group(void **state)
{
        struct digest leaves[LEAVES_MAX], path[MERKLE_DEPTH_MAX], want[MERKLE_DEPTH_MAX];
        struct merkle_frontier f = { 0 };

        make_leaves(leaves);
        for (uint64_t i = 0; i < LEAVES_MAX; i++) {
                unsigned m = merkle_last_path(&f, path);
                struct digest root;

                assert_int_equal(m, merkle_peaks(&f));
                merkle_append(&f, &leaves[i]);
                root = merkle_root(&f);
                assert_int_equal(merkle_path_of(leaves, i + 1, i, want), m);
                assert_memory_equal(path, want, m * sizeof(path[0]));
                assert_true(merkle_check_inclusion(&leaves[i], i, i + 1, path, m, &root));
        }
}

/* RFC 9162 2.1.4.1, told by the definition: only for the test. */
static unsigned consistency_of(const struct digest *leaves, uint64_t m, uint64_t n, bool whole, struct digest *ret)
{
        uint64_t k = 1;
        unsigned at;

        if (m == n) {
                if (whole)
                        return 0;
                ret[0] = merkle_root_of(leaves, n);
                return 1;
        }
        while (k * 2 < n)
                k *= 2;
        if (m <= k) {
                at = consistency_of(leaves, m, k, whole, ret);
                ret[at] = merkle_root_of(leaves + k, n - k);
        } else {
                at = consistency_of(leaves + k, m - k, n - k, false, ret);
                ret[at] = merkle_root_of(leaves, k);
        }
        return at + 1;
}

static void test_consistency_holds_between_all_sizes_to_70_and_fails_when_touched(void **state)
{
        struct digest leaves[LEAVES_MAX], path[2 * MERKLE_DEPTH_MAX];

        make_leaves(leaves);
        for (uint64_t n = 1; n <= 70; n++) {
                struct digest root2 = merkle_root_of(leaves, n);

                for (uint64_t m = 1; m <= n; m++) {
                        struct digest root1 = merkle_root_of(leaves, m);
                        unsigned k = consistency_of(leaves, m, n, true, path);

                        assert_true(merkle_check_consistency(m, n, &root1, &root2, path, k));
                        assert_false(merkle_check_consistency(m, n, &root1, &root2, path, k + 1));
                        assert_false(merkle_check_consistency(n + 1, m, &root1, &root2, path, k));
                        root1.b[0] ^= 1;
                        assert_false(merkle_check_consistency(m, n, &root1, &root2, path, k));
                }
        }
}

static void test_hostile_numbers_are_false_and_nothing_worse(void **state)
{
        struct digest d = { { 1 } }, path[MERKLE_DEPTH_MAX + 2] = { { { 0 } } };

        assert_false(merkle_check_inclusion(&d, 0, 0, path, 0, &d));
        assert_false(merkle_check_inclusion(&d, UINT64_MAX, UINT64_MAX, path, 64, &d));
        assert_false(merkle_check_inclusion(&d, UINT64_MAX - 1, UINT64_MAX, path, 64, &d));
        assert_false(merkle_check_inclusion(&d, 0, 1, path, SIZE_MAX, &d));
        assert_true(merkle_check_inclusion(&d, 0, 1, NULL, 0, &d));
        assert_false(merkle_check_consistency(0, 4, &d, &d, path, 1));
        assert_false(merkle_check_consistency(UINT64_MAX, UINT64_MAX, &d, &d, path, 1));
        assert_false(merkle_check_consistency(3, UINT64_MAX, &d, &d, path, SIZE_MAX));
        assert_false(merkle_check_consistency(3, 7, &d, &d, NULL, 0));
}

static void test_the_record_tree_has_the_same_shape_and_other_hashes(void **state)
{
        struct digest leaves[LEAVES_MAX], path[MERKLE_DEPTH_MAX], both, root;

        make_leaves(leaves);
        for (uint64_t n = 1; n <= 65; n++) {
                root = merkle_records_root(leaves, n);
                for (uint64_t i = 0; i < n; i++) {
                        unsigned m = merkle_records_path(leaves, n, i, path);

                        assert_true(merkle_records_check(&leaves[i], i, n, path, m, &root));
                        assert_false(n > 1 && merkle_check_inclusion(&leaves[i], i, n, path, m, &root));
                }
        }
        both = DIGEST_OF(CTX_NODE, bytes_digest(&leaves[0]), bytes_digest(&leaves[1]));
        root = merkle_records_root(leaves, 2);
        assert_memory_equal(both.b, root.b, DIGEST_BYTES);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_eight_leaves_give_the_known_roots),
                cmocka_unit_test(test_every_path_up_to_200_leads_to_its_root_and_nowhere_else),
                cmocka_unit_test(test_the_frontier_is_the_path_of_the_leaf_that_ends_a_group),
                cmocka_unit_test(test_consistency_holds_between_all_sizes_to_70_and_fails_when_touched),
                cmocka_unit_test(test_hostile_numbers_are_false_and_nothing_worse),
                cmocka_unit_test(test_the_record_tree_has_the_same_shape_and_other_hashes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
