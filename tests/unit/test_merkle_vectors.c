/* merkle: the published test vectors of RFC 6962 and RFC 9162 trees, and the paths that RFC 6962 2.1.3 names.
 *
 * tests/vectors/merkle-proofs.csv holds the values (sizes, roots, leaf hashes, paths, and whether they hold) of all 98
 * inclusion and 98 consistency cases that transparency-dev/merkle publishes in testdata/ (as of commit 417fb0c), their base64
 * as hex; "." stands for a hash of no bytes, "-" for a root or leaf of none. */
#include "common/arena.h"
#include "common/macro.h"
#include "common/merkle.h"
#include "tests/lib/text_file.h"
#include "tests/lib/unit.h"
#include <stdlib.h>

#define VECTORS "tests/vectors/merkle-proofs.csv"
#define PROOF_MAX 16

/* What the check takes must be hashes: what is not 32 bytes cannot be given to it, and so is refused where it is read.  One
 * published case that holds has words in place of its two equal roots: it cannot be put to us. */
static bool read_hash(const char *hex, struct digest *ret)
{
        return strlen(hex) == 2 * DIGEST_BYTES && hex_parse(hex, ret->b, DIGEST_BYTES);
}

struct vector { const char *kind; uint64_t number, size; struct digest first, root, path[PROOF_MAX]; unsigned n; bool valid, whole; };

static struct vector read_vector(char *line)
{
        struct vector v = { .kind = text_file_cell(&line), .whole = true };
        char *proof, *hash;

        v.number = strtoull(text_file_cell(&line), NULL, 10);
        v.size = strtoull(text_file_cell(&line), NULL, 10);
        v.whole &= read_hash(text_file_cell(&line), &v.first);
        v.whole &= read_hash(text_file_cell(&line), &v.root);
        v.valid = *text_file_cell(&line) == '1';
        proof = text_file_cell(&line);
        while ((hash = strsep(&proof, " ")) && *hash) {
                assert_true(v.n < PROOF_MAX);
                v.whole &= read_hash(hash, &v.path[v.n++]);
        }
        return v;
}

static bool holds(const struct vector *v)
{
        if (!v->whole)
                return false;
        if (strcmp(v->kind, "inclusion") == 0)
                return merkle_check_inclusion(&v->first, v->number, v->size, v->path, v->n, &v->root);
        return merkle_check_consistency(v->number, v->size, &v->first, &v->root, v->path, v->n);
}

static void test_all_published_vectors_hold_or_fail_as_they_say(void **state)
{
        struct bytes file = text_file_read(VECTORS);
        char *text = (char *)file.p, *line;
        unsigned n = 0, good = 0, words = 0, row = 1;

        for (text_file_line(&text); (line = text_file_line(&text)); n++) {
                struct vector v = read_vector(line);

                row++;
                if (v.valid && !v.whole)
                        words++;
                else if (holds(&v) != v.valid)
                        fail_msg("row %u: %s %llu of %llu %s", row, v.kind, (unsigned long long)v.number, (unsigned long long)v.size, v.valid ? "must hold" : "must not hold");
                good += v.valid;
        }
        assert_int_equal(n, 196);
        assert_int_equal(good, 12);
        assert_int_equal(words, 1);
        free((void *)file.p);
}

/* ---- the tree of the eight leaves, whose values those vectors are about ---- */

static const char *const leaves_hex[] = { "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f" };
static struct digest leaves[8];

static int make_leaves(void **state)
{
        for (unsigned i = 0; i < 8; i++) {
                uint8_t data[16];
                size_t n = strlen(leaves_hex[i]) / 2;

                hex_parse(leaves_hex[i], data, n);
                leaves[i] = merkle_leaf(bytes_of(data, n));
        }
        return 0;
}

static int node(void *ctx, unsigned level, uint64_t index, struct digest *ret)
{
        assert_true((index + 1) << level <= 8);
        *ret = merkle_root_of(leaves + (index << level), 1ull << level);
        return 0;
}

static const struct merkle_source eight = { node, NULL };

static void test_what_we_prove_of_the_eight_leaves_is_what_is_published(void **state)
{
        struct bytes file = text_file_read(VECTORS);
        char *text = (char *)file.p, *line;
        struct digest path[MERKLE_PROOF_MAX];
        unsigned n, proved = 0;

        for (text_file_line(&text); (line = text_file_line(&text));) {
                struct vector v = read_vector(line);
                bool inclusion = strcmp(v.kind, "inclusion") == 0;
                int r;

                if (!v.valid || v.size > 8)
                        continue;
                r = inclusion ? merkle_prove_inclusion(&eight, v.number, v.size, path, &n) : merkle_prove_consistency(&eight, v.number, v.size, path, &n);
                assert_int_equal(r, 0);
                if (inclusion && memcmp(&v.first, &leaves[v.number], sizeof(v.first)) != 0)
                        continue;               /* a tree of another single leaf */
                assert_int_equal(n, v.n);
                assert_memory_equal(path, v.path, n * sizeof(path[0]));
                proved++;
        }
        assert_true(proved >= 9);
        free((void *)file.p);
}

/* RFC 6962 2.1.3 draws a tree of seven leaves d0..d6: hashes a, b, c, d, e, f, j of the leaves, g = ab, h = cd, i = ef,
 * k = gh, l = ij; and names these paths. */
static void test_the_paths_that_the_standard_names(void **state)
{
        static const struct { const char *name; unsigned level, index; } nodes[] = {
                { "a", 0, 0 }, { "b", 0, 1 }, { "c", 0, 2 }, { "d", 0, 3 }, { "e", 0, 4 }, { "f", 0, 5 }, { "j", 0, 6 },
                { "g", 1, 0 }, { "h", 1, 1 }, { "i", 1, 2 }, { "k", 2, 0 },
        };
        static const struct { bool consistency; unsigned number; const char *path; } cases[] = {
                { false, 0, "bhl" }, { false, 3, "cgl" }, { false, 4, "fjk" }, { false, 6, "ik" },
                { true, 3, "cdgl" }, { true, 4, "l" }, { true, 6, "ijk" },
        };
        struct digest path[MERKLE_PROOF_MAX], want, i, l;
        unsigned n;

        i = merkle_root_of(leaves + 4, 2);
        l = merkle_node(&i, &leaves[6]);
        for (unsigned c = 0; c < ELEMENTS(cases); c++) {
                if (cases[c].consistency)
                        assert_int_equal(merkle_prove_consistency(&eight, cases[c].number, 7, path, &n), 0);
                else
                        assert_int_equal(merkle_prove_inclusion(&eight, cases[c].number, 7, path, &n), 0);
                assert_int_equal(n, strlen(cases[c].path));
                for (unsigned at = 0; at < n; at++) {
                        want = l;
                        for (unsigned k = 0; k < ELEMENTS(nodes); k++)
                                if (nodes[k].name[0] == cases[c].path[at])
                                        node(NULL, nodes[k].level, nodes[k].index, &want);
                        assert_memory_equal(path[at].b, want.b, DIGEST_BYTES);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_published_vectors_hold_or_fail_as_they_say),
                cmocka_unit_test(test_what_we_prove_of_the_eight_leaves_is_what_is_published),
                cmocka_unit_test(test_the_paths_that_the_standard_names),
        };

        return cmocka_run_group_tests(tests, make_leaves, NULL);
}
