/* lookup: what the map says of an object can be shown, of any object, and nothing else can. */
#include "common/exchange/lookup.h"
#include "common/exchange/trust_map.h"
#include "common/macro.h"
#include "common/merkle.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const unsigned sizes[] = { 0, 1, 2, 3, 5, 6, 7, 8, 9, 40, 150 };

static struct digest object_at(unsigned i, unsigned bucket)
{
        struct digest d = { { 0 } };

        for (unsigned k = 0; k < DIGEST_BYTES; k++)
                d.b[k] = (uint8_t)((i + 1) * 2654435761u >> (k % 24));
        d.b[0] = (uint8_t)bucket;
        d.b[1] = (uint8_t)(i >> 8);
        d.b[2] = (uint8_t)i;
        return d;
}

/* Half of the objects in one bucket, so that it has several levels; the rest spread. */
static struct digest nth(unsigned i)
{
        return object_at(i * 2, i % 2 ? 7 : i * 37 % 256);
}

static struct lookup_map *map_of(unsigned n)
{
        struct lookup_map *m = lookup_map_new();

        assert_non_null(m);
        for (unsigned i = 0; i < n; i++)
                assert_int_equal(lookup_map_put(m, &(struct lookup_object){ nth(i), 1 + i % 3, 100 + i }), 0);
        return m;
}

static enum lookup_verdict ask(struct lookup_map *m, struct arena *a, struct digest object)
{
        Shuyi__V1__LookupRow row = SHUYI__V1__LOOKUP_ROW__INIT;
        struct digest root = lookup_map_root(m);

        assert_int_equal(lookup_answer(m, a, &object, &row), 0);
        return lookup_check_row(&object, &row, &root);
}

static void test_every_object_is_shown_to_be_there_and_every_other_not(void **state)
{
        for (unsigned s = 0; s < ELEMENTS(sizes); s++) {
                struct lookup_map *m = map_of(sizes[s]);
                _cleanup_(arena_freep) struct arena *a = arena_new(64 << 20);

                for (unsigned i = 0; i < sizes[s]; i++) {
                        struct digest near = nth(i), below = near;

                        assert_int_equal(ask(m, a, near), LOOKUP_PRESENT);
                        near.b[31] ^= 1;
                        below.b[1] = below.b[2] = 0;
                        assert_int_equal(ask(m, a, near), LOOKUP_ABSENT);
                        if (i % 16 == 0)
                                arena_reset(a);
                }
                for (unsigned b = 0; b < 256; b += 5) {
                        assert_int_equal(ask(m, a, object_at(9999, b)), LOOKUP_ABSENT);
                        arena_reset(a);
                }
                lookup_map_free(m);
        }
}

static void test_the_last_status_counts(void **state)
{
        struct lookup_map *m = map_of(9);
        struct lookup_object o = { nth(3), 3, 5000 }, found;
        struct digest before = lookup_map_root(m), after;

        assert_int_equal(lookup_map_put(m, &o), 0);
        after = lookup_map_root(m);
        assert_memory_not_equal(before.b, after.b, DIGEST_BYTES);
        assert_true(lookup_map_find(m, &o.object, &found));
        assert_int_equal(found.since_seq, 5000);
        lookup_map_clear(m);
        assert_false(lookup_map_find(m, &o.object, &found));
        lookup_map_free(m);
}

/* Every bit of every field: a leaf's, a path's, a side's. */
static void flip_all(struct arena *a, const struct digest *object, Shuyi__V1__LookupRow *row, const struct digest *root)
{
        struct bytes packed;
        enum lookup_verdict want = lookup_check_row(object, row, root);

        row->trust_seq = 0;
        row->map_root = (ProtobufCBinaryData){ 0 };
        packed = arena_copy(a, bytes_of(NULL, 0));
        packed = (struct bytes){ arena_alloc(a, shuyi__v1__lookup_row__get_packed_size(row)), shuyi__v1__lookup_row__get_packed_size(row) };
        shuyi__v1__lookup_row__pack(row, (uint8_t *)packed.p);
        for (size_t bit = 0; bit < packed.n * 8; bit++) {
                Shuyi__V1__LookupRow *spoilt;
                uint8_t *p = (uint8_t *)packed.p;

                p[bit / 8] ^= (uint8_t)(1u << bit % 8);
                spoilt = shuyi__v1__lookup_row__unpack(NULL, packed.n, packed.p);
                if (spoilt && spoilt->base.n_unknown_fields == 0 && spoilt->trust_seq == 0 && spoilt->map_root.len == 0 &&
                    lookup_check_row(object, spoilt, root) == want && want != LOOKUP_WRONG) {
                        /* only another spelling of the same message may pass, and the strict reader refuses it */
                        assert_false(shuyi__v1__lookup_row__get_packed_size(spoilt) == packed.n &&
                                     spoilt->n_map_path == row->n_map_path && !!spoilt->leaf == !!row->leaf && !!spoilt->left == !!row->left &&
                                     !!spoilt->right == !!row->right);
                }
                if (spoilt)
                        shuyi__v1__lookup_row__free_unpacked(spoilt, NULL);
                p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
}

static void test_no_flipped_bit_passes(void **state)
{
        struct lookup_map *m = map_of(40);
        _cleanup_(arena_freep) struct arena *a = arena_new(64 << 20);
        struct digest root = lookup_map_root(m), objects[] = { nth(5), nth(8), object_at(9999, 7), object_at(21, 7), object_at(0, 7), object_at(3, 99) };

        for (unsigned i = 0; i < ELEMENTS(objects); i++) {
                Shuyi__V1__LookupRow row = SHUYI__V1__LOOKUP_ROW__INIT;

                assert_int_equal(lookup_answer(m, a, &objects[i], &row), 0);
                assert_int_not_equal(lookup_check_row(&objects[i], &row, &root), LOOKUP_WRONG);
                flip_all(a, &objects[i], &row, &root);
        }
        lookup_map_free(m);
}

/* Neighbours that are not adjacent, an inner leaf as the last, a full bucket as empty: none hides an object. */
static void test_absence_hides_nothing(void **state)
{
        struct lookup_map *m = map_of(40);
        _cleanup_(arena_freep) struct arena *a = arena_new(64 << 20);
        struct digest root = lookup_map_root(m);

        for (unsigned i = 3; i + 2 < 40; i += 2) {
                struct digest hidden = nth(i), low = nth(i - 2), high = nth(i + 2);
                Shuyi__V1__LookupRow row = SHUYI__V1__LOOKUP_ROW__INIT, full = SHUYI__V1__LOOKUP_ROW__INIT;

                row.left = lookup_prove(m, a, &low);
                row.right = lookup_prove(m, a, &high);
                assert_true(row.left && row.right);
                assert_int_equal(lookup_check_row(&hidden, &row, &root), LOOKUP_WRONG);
                row.right = NULL;
                assert_int_equal(lookup_check_row(&hidden, &row, &root), LOOKUP_WRONG);
                row.right = lookup_prove(m, a, &high);
                row.left = NULL;
                assert_int_equal(lookup_check_row(&hidden, &row, &root), LOOKUP_WRONG);
                full.n_map_path = row.right->n_map_path;
                full.map_path = row.right->map_path;
                assert_int_equal(lookup_check_row(&hidden, &full, &root), LOOKUP_WRONG);
        }
        lookup_map_free(m);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_object_is_shown_to_be_there_and_every_other_not),
                cmocka_unit_test(test_the_last_status_counts),
                cmocka_unit_test(test_no_flipped_bit_passes),
                cmocka_unit_test(test_absence_hides_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
