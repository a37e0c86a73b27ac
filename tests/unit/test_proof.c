/* proof: receipted leaves that share proofs. */
#include "agent/proof.h"
#include "common/digest.h"
#include "common/merkle.h"
#include "tests/lib/unit.h"

#include <stdlib.h>

#define SIZE_MAX_TRIED 70
#define PATHS_MAX PROOF_ASK_MAX

static struct digest tree[1024];

static void fill_tree(void)
{
        for (size_t i = 0; i < sizeof(tree) / sizeof(tree[0]); i++)
                tree[i] = merkle_leaf(bytes_of((uint8_t *)&i, sizeof(i)));
}

/* What an honest center answers. */
struct answer {
        Shuyi__V1__ProofRow row;
        Shuyi__V1__LeafProof proof[PATHS_MAX], *proofs[PATHS_MAX];
        ProtobufCBinaryData hash[PATHS_MAX][MERKLE_DEPTH_MAX];
        struct digest path[PATHS_MAX][MERKLE_DEPTH_MAX], leaf[PATHS_MAX];
};

static void answer(struct answer *a, const uint64_t *seqs, size_t n, uint64_t size)
{
        a->row = (Shuyi__V1__ProofRow)SHUYI__V1__PROOF_ROW__INIT;
        a->row.size = size;
        a->row.n_proofs = n;
        a->row.proofs = a->proofs;
        for (size_t i = 0; i < n; i++) {
                unsigned depth = merkle_path_of(tree, size, seqs[i] - 1, a->path[i]);

                a->proof[i] = (Shuyi__V1__LeafProof)SHUYI__V1__LEAF_PROOF__INIT;
                a->leaf[i] = tree[seqs[i] - 1];
                a->proof[i].seq = seqs[i];
                a->proof[i].leaf_hash = (ProtobufCBinaryData){ DIGEST_BYTES, a->leaf[i].b };
                a->proof[i].n_path = depth;
                a->proof[i].path = a->hash[i];
                for (unsigned d = 0; d < depth; d++)
                        a->hash[i][d] = (ProtobufCBinaryData){ DIGEST_BYTES, a->path[i][d].b };
                a->proofs[i] = &a->proof[i];
        }
}

static size_t pick(struct proof_leaf *ret, uint64_t size, unsigned one_in)
{
        size_t n = 0;

        for (uint64_t seq = 1; seq <= size; seq++)
                if (rand() % one_in == 0)
                        ret[n++] = (struct proof_leaf){ seq, tree[seq - 1] };
        return n;
}

static void test_any_leaves_of_any_tree_are_proved(void **state)
{
        static struct answer a;
        struct proof_leaf leaves[SIZE_MAX_TRIED];
        struct digest scratch[SIZE_MAX_TRIED], root;
        uint64_t seqs[PROOF_ASK_MAX];
        size_t asked;

        srand(7);
        fill_tree();
        for (uint64_t size = 1; size <= SIZE_MAX_TRIED; size++)
                for (unsigned round = 0; round < 10; round++) {
                        size_t n = pick(leaves, size, 1 + round % 5);
                        bool singly = round & 1;

                        assert_int_equal(proof_ask(leaves, n, singly, seqs, &asked), n);
                        assert_true(asked <= n);
                        answer(&a, seqs, asked, size);
                        root = merkle_root_of(tree, size);
                        assert_int_equal(proof_check(leaves, n, singly, &a.row, size, &root, scratch), n);
                }
}

static void test_a_run_is_asked_for_by_its_two_ends(void **state)
{
        struct proof_leaf leaves[] = { { 3, tree[2] }, { 4, tree[3] }, { 5, tree[4] }, { 9, tree[8] }, { 11, tree[10] }, { 12, tree[11] } };
        uint64_t seqs[PROOF_ASK_MAX], expected[] = { 3, 5, 9, 11, 12 };
        size_t asked;

        assert_int_equal(proof_ask(leaves, 6, false, seqs, &asked), 6);
        assert_int_equal(asked, 5);
        assert_memory_equal(seqs, expected, sizeof(expected));
        assert_int_equal(proof_ask(leaves, 6, true, seqs, &asked), 6);
        assert_int_equal(asked, 6);
}

static void test_a_question_has_at_most_256_seqs(void **state)
{
        struct proof_leaf leaves[400];
        uint64_t seqs[PROOF_ASK_MAX];
        size_t asked;

        for (size_t i = 0; i < 400; i++)
                leaves[i] = (struct proof_leaf){ 2 * i + 1, tree[2 * i] };
        assert_int_equal(proof_ask(leaves, 400, false, seqs, &asked), 256);
        assert_int_equal(asked, 256);
        leaves[255].seq = leaves[256].seq - 1;          /* the last run would need two */
        assert_int_equal(proof_ask(leaves, 400, false, seqs, &asked), 255);
        assert_int_equal(asked, 255);
}

/* Each lie, and how far the proof then goes.  Leaves 2 to 5, 9, 40 of 61. */
static void nothing(struct answer *a, struct proof_leaf *l) { }
static void other_leaf_at_an_end(struct answer *a, struct proof_leaf *l) { l[0].hash.b[0] ^= 1; }
static void other_leaf_within(struct answer *a, struct proof_leaf *l) { l[2].hash.b[31] ^= 1; }
static void other_leaf_receipted_and_answered(struct answer *a, struct proof_leaf *l) { l[4].hash.b[3] ^= 1; a->leaf[2] = l[4].hash; }
static void other_node(struct answer *a, struct proof_leaf *l) { a->path[3][1].b[7] ^= 1; }
static void path_cut(struct answer *a, struct proof_leaf *l) { a->proof[0].n_path--; }
static void path_too_long(struct answer *a, struct proof_leaf *l) { a->hash[0][a->proof[0].n_path++] = a->hash[0][0]; }
static void hash_too_short(struct answer *a, struct proof_leaf *l) { a->hash[2][0].len = 31; }
static void one_missing(struct answer *a, struct proof_leaf *l) { a->row.n_proofs--; }
static void none(struct answer *a, struct proof_leaf *l) { a->row.n_proofs = 0; }
static void other_seq(struct answer *a, struct proof_leaf *l) { a->proof[2].seq++; }
static void no_such_seq(struct answer *a, struct proof_leaf *l) { l[5].seq = a->proof[3].seq = 62; }

static void test_what_is_wrong_is_not_proved(void **state)
{
        static const struct { const char *name; void (*lie)(struct answer *a, struct proof_leaf *l); size_t proved; } cases[] = {
                { "the truth", nothing, 6 },
                { "another leaf at the end of a run", other_leaf_at_an_end, 0 },
                { "another leaf within a run", other_leaf_within, 0 },
                { "a receipted leaf that the log repeats but does not hold", other_leaf_receipted_and_answered, 4 },
                { "another node in a path", other_node, 5 },
                { "a path that is cut", path_cut, 0 },
                { "a path that is too long", path_too_long, 0 },
                { "a hash that is too short", hash_too_short, 4 },
                { "the last proof is missing", one_missing, 5 },
                { "no proof at all", none, 0 },
                { "the proof of another seq", other_seq, 4 },
                { "a seq beyond the tree", no_such_seq, 5 },
        };
        static struct answer a;

        fill_tree();
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct proof_leaf leaves[] = { { 2, tree[1] }, { 3, tree[2] }, { 4, tree[3] }, { 5, tree[4] }, { 9, tree[8] }, { 40, tree[39] } };
                struct digest scratch[6], root = merkle_root_of(tree, 61);
                uint64_t seqs[PROOF_ASK_MAX];
                size_t asked;

                print_message("# %s\n", cases[i].name);
                proof_ask(leaves, 6, false, seqs, &asked);
                answer(&a, seqs, asked, 61);
                cases[i].lie(&a, leaves);
                assert_int_equal(proof_check(leaves, 6, false, &a.row, 61, &root, scratch), cases[i].proved);
        }
}

static void test_one_seq_has_one_leaf(void **state)
{
        struct proof_leaf leaves[] = { { 9, tree[8] }, { 2, tree[1] }, { 9, tree[8] }, { 4, tree[3] } };
        size_t n = 4;
        uint64_t seq = 0;

        fill_tree();
        assert_true(proof_sort(leaves, &n, &seq));
        assert_int_equal(n, 3);
        assert_int_equal(leaves[0].seq, 2);
        assert_int_equal(leaves[2].seq, 9);
        leaves[2] = (struct proof_leaf){ 4, tree[9] };
        assert_false(proof_sort(leaves, &n, &seq));
        assert_int_equal(seq, 4);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_any_leaves_of_any_tree_are_proved),
                cmocka_unit_test(test_a_run_is_asked_for_by_its_two_ends),
                cmocka_unit_test(test_a_question_has_at_most_256_seqs),
                cmocka_unit_test(test_what_is_wrong_is_not_proved),
                cmocka_unit_test(test_one_seq_has_one_leaf),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
