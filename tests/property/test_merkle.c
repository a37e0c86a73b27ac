/* merkle: proofs from subtree roots are those of the definition, lead to the root, and ask for nothing outside the tree. */
#include "common/macro.h"
#include "common/merkle.h"
#include "tests/lib/random_message.h"
#include "tests/lib/unit.h"
#include <errno.h>
#include <string.h>

#define SMALL 70                                /* every size up to it */
#define LARGE 5000
#define ROUNDS 400

static struct chance chance;
static struct digest leaves[LARGE];

/* A tree of real leaves; what is asked for must lie inside `size`. */
struct tree { uint64_t size; unsigned asked, fail_at; };

static int node(void *ctx, unsigned level, uint64_t index, struct digest *ret)
{
        struct tree *t = ctx;

        assert_true(level < 64 && (index + 1) << level <= t->size);
        if (++t->asked == t->fail_at)
                return -EIO;
        *ret = merkle_root_of(leaves + (index << level), 1ull << level);
        return 0;
}

static void check_inclusion(uint64_t index, uint64_t size)
{
        struct tree t = { size, 0, 0 };
        struct merkle_source s = { node, &t };
        struct digest path[MERKLE_DEPTH_MAX], want[MERKLE_DEPTH_MAX], root = merkle_root_of(leaves, size);
        unsigned n;

        assert_int_equal(merkle_prove_inclusion(&s, index, size, path, &n), 0);
        assert_int_equal(n, merkle_path_of(leaves, size, index, want));
        assert_memory_equal(path, want, n * sizeof(path[0]));
        assert_true(merkle_check_inclusion(&leaves[index], index, size, path, n, &root));
}

static void check_consistency(uint64_t size1, uint64_t size2)
{
        struct tree t = { size2, 0, 0 };
        struct merkle_source s = { node, &t };
        struct digest path[MERKLE_PROOF_MAX], root1 = merkle_root_of(leaves, size1), root2 = merkle_root_of(leaves, size2);
        unsigned n;

        assert_int_equal(merkle_prove_consistency(&s, size1, size2, path, &n), 0);
        assert_true(merkle_check_consistency(size1, size2, &root1, &root2, path, n));
        if (size1 < size2)
                assert_false(merkle_check_consistency(size1, size2, &root2, &root2, path, n));
}

static void test_every_proof_of_every_small_tree(void **state)
{
        for (uint64_t size = 1; size <= SMALL; size++) {
                struct tree t = { size, 0, 0 };
                struct digest root, want = merkle_root_of(leaves, size);

                assert_int_equal(merkle_source_root(&(struct merkle_source){ node, &t }, size, &root), 0);
                assert_memory_equal(root.b, want.b, DIGEST_BYTES);
                for (uint64_t i = 0; i < size; i++) {
                        check_inclusion(i, size);
                        check_consistency(i + 1, size);
                }
        }
}

static void test_proofs_of_larger_trees_taken_by_chance(void **state)
{
        for (unsigned round = 0; round < ROUNDS / 40; round++) {
                uint64_t size = 1 + chance_below(&chance, LARGE);

                check_inclusion(chance_below(&chance, size), size);
                check_consistency(1 + chance_below(&chance, size), size);
        }
}

/* A tree as large as one likes: all its leaves are one, so its subtrees of one level are too. */
static struct digest same[MERKLE_DEPTH_MAX];

static int same_node(void *ctx, unsigned level, uint64_t index, struct digest *ret)
{
        uint64_t size = *(uint64_t *)ctx;

        assert_true(level < 64 && index < size >> level);
        *ret = same[level];
        return 0;
}

/* The frontier of such a tree, told apart from the walks that are under test. */
static struct digest root_of_same(uint64_t size)
{
        struct merkle_frontier f = { .size = size };
        unsigned n = 0;

        for (unsigned level = 64; level-- > 0;)
                if (size >> level & 1)
                        f.peak[n++] = same[level];
        return merkle_root(&f);
}

static void test_proofs_of_trees_of_any_size(void **state)
{
        struct digest path[MERKLE_PROOF_MAX], root, root1, other = { { 1 } };
        unsigned n;

        same[0] = leaves[0];
        for (unsigned i = 1; i < MERKLE_DEPTH_MAX; i++)
                same[i] = merkle_node(&same[i - 1], &same[i - 1]);
        for (unsigned round = 0; round < ROUNDS; round++) {
                uint64_t size = 1 + (chance_next(&chance) >> chance_below(&chance, 64)), size1 = 1 + chance_below(&chance, size), index = chance_below(&chance, size);
                struct merkle_source s = { same_node, &size };

                if (size == 0)
                        continue;               /* 2^64 is no size */
                root = root_of_same(size);
                root1 = root_of_same(size1);
                assert_int_equal(merkle_prove_inclusion(&s, index, size, path, &n), 0);
                assert_true(merkle_check_inclusion(&same[0], index, size, path, n, &root));
                assert_false(merkle_check_inclusion(&other, index, size, path, n, &root));
                assert_int_equal(merkle_prove_consistency(&s, size1, size, path, &n), 0);
                assert_true(merkle_check_consistency(size1, size, &root1, &root, path, n));
                assert_false(size1 < size && merkle_check_consistency(size1, size, &other, &root, path, n));
        }
}

static void test_what_is_not_in_the_tree_is_not_proved_and_a_fault_is_handed_on(void **state)
{
        struct tree t = { 100, 0, 0 };
        struct merkle_source s = { node, &t };
        struct digest path[MERKLE_PROOF_MAX];
        unsigned n, calls;

        assert_int_equal(merkle_prove_inclusion(&s, 100, 100, path, &n), -EINVAL);
        assert_int_equal(merkle_prove_inclusion(&s, 0, 0, path, &n), -EINVAL);
        assert_int_equal(merkle_prove_consistency(&s, 0, 100, path, &n), -EINVAL);
        assert_int_equal(merkle_prove_consistency(&s, 101, 100, path, &n), -EINVAL);
        assert_int_equal(t.asked, 0);
        assert_int_equal(merkle_prove_inclusion(&s, 37, 100, path, &n), 0);
        calls = t.asked;
        for (unsigned fail = 1; fail <= calls; fail++) {
                t = (struct tree){ 100, 0, fail };
                assert_int_equal(merkle_prove_inclusion(&s, 37, 100, path, &n), -EIO);
        }
        t = (struct tree){ 100, 0, 1 };
        assert_int_equal(merkle_prove_consistency(&s, 37, 100, path, &n), -EIO);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_proof_of_every_small_tree),
                cmocka_unit_test(test_proofs_of_larger_trees_taken_by_chance),
                cmocka_unit_test(test_proofs_of_trees_of_any_size),
                cmocka_unit_test(test_what_is_not_in_the_tree_is_not_proved_and_a_fault_is_handed_on),
        };

        for (unsigned i = 0; i < LARGE; i++) {
                uint8_t data[4];

                put_be32(data, i);
                leaves[i] = merkle_leaf(bytes_of(data, sizeof(data)));
        }
        chance = chance_start();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
