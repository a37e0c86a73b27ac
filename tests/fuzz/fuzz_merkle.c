/* merkle: proofs made of bytes.  A good proof holds, every change of it fails, and any numbers are safe. */
#include "common/digest.h"
#include "common/macro.h"
#include "common/merkle.h"
#include "tests/fuzz/fuzz.h"

#define LEAVES_MAX 70
#define PATH_MAX_HASHES 80

static size_t take_path(struct script *s, struct digest ret[PATH_MAX_HASHES])
{
        size_t n = 0;

        while (n < PATH_MAX_HASHES && s->n >= DIGEST_BYTES)
                memcpy(ret[n++].b, script_take(s, DIGEST_BYTES).p, DIGEST_BYTES);
        return n;
}

/* Any bytes as a proof: no root can be known beforehand, so it must not pass with one that is flipped as well. */
static void check_raw(struct script *s)
{
        struct digest path[PATH_MAX_HASHES], a = { { script_u8(s) } }, b = { { script_u8(s) } };
        uint64_t x = script_u64(s), y = script_u64(s);
        size_t n = take_path(s, path);

        REQUIRE(!merkle_check_inclusion(&a, x, y, path, n, &b) || (y == 1 && x == 0 && n == 0 && digest_equal(&a, &b)));
        REQUIRE(!merkle_records_check(&a, x, y, path, n, &b) || (y == 1 && x == 0 && n == 0 && digest_equal(&a, &b)));
        if (merkle_check_consistency(x, y, &a, &b, path, n))
                REQUIRE(x <= y && (x != y || digest_equal(&a, &b)) && (x == 0 || x == y || n > 0));
}

static int subtree(void *ctx, unsigned level, uint64_t index, struct digest *ret)
{
        *ret = merkle_root_of((const struct digest *)ctx + (index << level), 1ull << level);
        return 0;
}

/* What is proved from subtrees is what the definition says, and holds. */
static void check_proofs(struct digest *leaf, uint64_t n, uint64_t i, uint64_t m)
{
        struct merkle_source source = { subtree, leaf };
        struct digest path[MERKLE_PROOF_MAX], want[MERKLE_DEPTH_MAX], root = merkle_root_of(leaf, n), before = merkle_root_of(leaf, m);
        unsigned path_n;

        REQUIRE(merkle_prove_inclusion(&source, i, n, path, &path_n) == 0 && path_n == merkle_path_of(leaf, n, i, want));
        REQUIRE(path_n == 0 || memcmp(path, want, path_n * sizeof(path[0])) == 0);
        REQUIRE(merkle_prove_consistency(&source, m, n, path, &path_n) == 0 && merkle_check_consistency(m, n, &before, &root, path, path_n));
        REQUIRE(path_n == 0 || !merkle_check_consistency(m, n, &before, &root, path, path_n - 1));
}

static void check_tree(struct script *s)
{
        struct digest leaf[LEAVES_MAX], path[MERKLE_DEPTH_MAX], root, before;
        uint64_t n = 1 + script_u8(s) % LEAVES_MAX, i = script_u8(s) % n, j = script_u8(s) % n;
        uint8_t bit = script_u8(s);
        struct merkle_frontier f = { 0 };
        unsigned path_n;

        for (uint64_t k = 0; k < n; k++) {
                leaf[k] = merkle_leaf(bytes_of(&(uint8_t){ script_u8(s) }, 1));
                merkle_append(&f, &leaf[k]);
                if (k == j)
                        before = merkle_root(&f);
        }
        root = merkle_root_of(leaf, n);
        struct digest by_frontier = merkle_root(&f);
        REQUIRE(digest_equal(&root, &by_frontier));
        path_n = merkle_path_of(leaf, n, i, path);
        REQUIRE(merkle_check_inclusion(&leaf[i], i, n, path, path_n, &root));
        REQUIRE(!merkle_check_inclusion(&leaf[i], i + n, n, path, path_n, &root));
        REQUIRE(j == i || digest_equal(&leaf[i], &leaf[j]) || !merkle_check_inclusion(&leaf[j], i, n, path, path_n, &root));
        REQUIRE(path_n == 0 || !merkle_check_inclusion(&leaf[i], i, n, path, path_n - 1, &root));
        if (path_n > 0) {
                path[bit % path_n].b[bit / 8] ^= (uint8_t)(1 << bit % 8);
                REQUIRE(!merkle_check_inclusion(&leaf[i], i, n, path, path_n, &root));
        }
        check_proofs(leaf, n, i, j + 1);
        REQUIRE(merkle_check_consistency(n, n, &root, &root, NULL, 0));
        REQUIRE(j + 1 == n || !merkle_check_consistency(j + 1, n, &before, &root, NULL, 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        struct script s = { data, n };

        if (script_u8(&s) % 2)
                check_tree(&s);
        else
                check_raw(&s);
        return 0;
}
