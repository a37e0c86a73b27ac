/* tiles: they grow, survive being cut off, and no flipped byte of theirs is ever proved from. */
#include "broker/tiles.h"
#include "common/digest.h"
#include "common/macro.h"
#include "tests/lib/temp_dir.h"
#include "tests/lib/unit.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEAVES (TILES_WIDTH * TILES_WIDTH + 2 * TILES_WIDTH + 77)       /* a full tile of level 1, and more */

static struct digest *leaves;
static struct digest *roots;                    /* roots[n]: of the first n leaves */

struct place { char dir[256]; struct tiles *t; uint64_t kept_from; unsigned asked; };

static int give(void *ctx, uint64_t first, unsigned n, struct digest *ret)
{
        struct place *p = ctx;

        p->asked++;
        assert_true(first + n <= LEAVES);
        if (first < p->kept_from)
                return 0;
        memcpy(ret, leaves + first, n * sizeof(*ret));
        return 1;
}

static void reopen(struct place *p)
{
        tiles_close(TAKE(p->t));
        assert_int_equal(tiles_open(p->dir, give, p, &p->t), 0);
}

static int make_place(void **state)
{
        struct place *p = calloc(1, sizeof(*p));

        temp_dir_make(p->dir);
        reopen(p);
        *state = p;
        return 0;
}

static int drop_place(void **state)
{
        struct place *p = *state;

        tiles_close(p->t);
        temp_dir_remove(p->dir);
        free(p);
        return 0;
}

static void grow(struct place *p, uint64_t size)
{
        assert_int_equal(tiles_extend(p->t, size), 0);
        assert_int_equal(tiles_agree(p->t, size, &roots[size]), 0);
        assert_int_equal(tiles_size(p->t), size);
}

static const char *path_of(const struct place *p, unsigned level)
{
        static char path[300];

        snprintf(path, sizeof(path), "%s/%u", p->dir, level);
        return path;
}

static uint64_t hashes_in(const struct place *p, unsigned level)
{
        struct stat st;

        assert_int_equal(stat(path_of(p, level), &st), 0);
        return (uint64_t)st.st_size / DIGEST_BYTES;
}

static void flip(const struct place *p, unsigned level, uint64_t hash)
{
        int fd = open(path_of(p, level), O_RDWR);
        uint8_t b;

        assert_int_equal(pread(fd, &b, 1, (off_t)(hash * DIGEST_BYTES + 5)), 1);
        b ^= 0x10;
        assert_int_equal(pwrite(fd, &b, 1, (off_t)(hash * DIGEST_BYTES + 5)), 1);
        close(fd);
}

static int prove(struct place *p, uint64_t index, uint64_t size)
{
        struct tiles_reader *reader = tiles_reader_new(p->t, 1000);
        struct merkle_source s = tiles_source(reader);
        struct digest path[MERKLE_PROOF_MAX];
        unsigned n;
        int r = merkle_prove_inclusion(&s, index, size, path, &n);

        if (r == 0)
                assert_true(merkle_check_inclusion(&leaves[index], index, size, path, n, &roots[size]));
        tiles_reader_free(reader);
        return r;
}

static uint64_t mended(const struct place *p)
{
        struct tiles_counts c;

        tiles_counts(p->t, &c);
        assert_int_equal(c.lost, 0);
        return c.mended;
}

/* ---- growing ---- */

static void test_each_level_is_a_flat_file_of_the_roots_of_full_tiles_below(void **state)
{
        static const uint64_t sizes[] = { 1, 255, 256, 257, 511, 512, 5000, 65535, 65536, 65537, LEAVES };
        struct place *p = *state;
        uint8_t tile[TILES_BYTES];
        struct tiles_reader *reader;
        struct digest root;

        for (unsigned i = 0; i < ELEMENTS(sizes); i++) {
                grow(p, sizes[i]);
                for (unsigned level = 0; level < 3; level++)
                        assert_int_equal(hashes_in(p, level), sizes[i] >> (8 * level));
        }
        reader = tiles_reader_new(p->t, 1000);
        assert_int_equal(tiles_read(reader, 1, 0, 256, tile), 0);
        for (unsigned i = 0; i < 256; i++) {
                root = merkle_root_of(leaves + i * 256, 256);
                assert_memory_equal(tile + i * DIGEST_BYTES, root.b, DIGEST_BYTES);
        }
        assert_int_equal(tiles_read(reader, 2, 0, 1, tile), 0);
        assert_memory_equal(tile, roots[65536].b, DIGEST_BYTES);
        assert_int_equal(tiles_read(reader, 0, 258, 77, tile), 0);
        assert_memory_equal(tile, leaves[258 * 256].b, 77 * DIGEST_BYTES);
        assert_int_equal(tiles_read(reader, 0, 258, 78, tile), -ERANGE);
        assert_int_equal(tiles_read(reader, 0, 259, 1, tile), -ERANGE);
        assert_int_equal(tiles_read(reader, 2, 0, 2, tile), -ERANGE);
        assert_int_equal(tiles_read(reader, 3, 0, 1, tile), -ERANGE);
        assert_int_equal(tiles_read(reader, TILES_LEVELS, 0, 1, tile), -ERANGE);
        assert_int_equal(tiles_read(reader, 0, UINT64_MAX, 1, tile), -ERANGE);
        tiles_reader_free(reader);
        assert_int_equal(mended(p), 0);
}

static void test_every_entry_of_a_small_log_is_proved_at_every_size(void **state)
{
        struct place *p = *state;
        struct tiles_reader *reader = tiles_reader_new(p->t, 1000);
        struct merkle_source s = tiles_source(reader);
        struct digest path[MERKLE_PROOF_MAX], root;
        unsigned n;

        grow(p, 600);
        for (uint64_t size = 1; size <= 600; size += size < 500 && size > 3 ? 37 : 7) {
                assert_int_equal(merkle_source_root(&s, size, &root), 0);
                assert_memory_equal(root.b, roots[size].b, DIGEST_BYTES);
                for (uint64_t i = 0; i < size; i++) {
                        assert_int_equal(merkle_prove_inclusion(&s, i, size, path, &n), 0);
                        assert_true(merkle_check_inclusion(&leaves[i], i, size, path, n, &roots[size]));
                }
                assert_int_equal(merkle_prove_consistency(&s, size, 600, path, &n), 0);
                assert_true(merkle_check_consistency(size, 600, &roots[size], &roots[600], path, n));
        }
        assert_int_equal(merkle_prove_inclusion(&s, 3, 601, path, &n), -ERANGE);
        tiles_reader_free(reader);
}

static void test_proofs_of_a_log_of_three_levels(void **state)
{
        struct place *p = *state;
        struct tiles_reader *reader = tiles_reader_new(p->t, 1000);
        struct merkle_source s = tiles_source(reader);
        struct digest path[MERKLE_PROOF_MAX];
        unsigned n;

        grow(p, LEAVES);
        for (uint64_t size = LEAVES; size > 3000; size -= 2903) {
                for (uint64_t i = 0; i < size; i += 1 + size / 23) {
                        assert_int_equal(merkle_prove_inclusion(&s, i, size, path, &n), 0);
                        assert_true(merkle_check_inclusion(&leaves[i], i, size, path, n, &roots[size]));
                        assert_int_equal(merkle_prove_consistency(&s, i + 1, size, path, &n), 0);
                        assert_true(merkle_check_consistency(i + 1, size, &roots[i + 1], &roots[size], path, n));
                }
        }
        tiles_reader_free(reader);
}

static void test_nothing_is_shown_before_the_tree_is_agreed(void **state)
{
        struct place *p = *state;

        assert_int_equal(tiles_extend(p->t, 300), 0);
        assert_int_equal(tiles_size(p->t), 0);
        assert_int_equal(prove(p, 0, 300), -ERANGE);
        grow(p, 300);
        assert_int_equal(tiles_extend(p->t, 310), 0);
        assert_int_equal(tiles_size(p->t), 310);
        reopen(p);
        assert_int_equal(tiles_size(p->t), 0);
        assert_int_equal(tiles_written(p->t), 310);
}

static void test_leaves_that_are_not_kept_are_not_appended(void **state)
{
        struct place *p = *state;

        p->kept_from = 1;
        assert_int_equal(tiles_extend(p->t, 10), -ENODATA);
        assert_int_equal(tiles_extend(p->t, 1ull << 48), -EFBIG);
        p->kept_from = 0;
        tiles_cancel(p->t);
        assert_int_equal(tiles_extend(p->t, 10), -ECANCELED);
}

/* ---- what a crash leaves ---- */

static void test_a_kill_between_leaves_and_upper_hashes_is_completed_at_the_next_start(void **state)
{
        static const struct { unsigned level; off_t bytes; uint64_t written; } cuts[] = {
                { 1, 257 * DIGEST_BYTES, LEAVES },              /* a hash of level 1 was not written yet */
                { 2, 0, LEAVES },                               /* nor the one above 256 of them */
                { 1, 0, LEAVES },                               /* the file is gone */
                { 0, 66000 * DIGEST_BYTES + 13, 66000 },        /* a leaf torn in two */
                { 0, 40000 * DIGEST_BYTES, 40000 },             /* leaves gone: upper levels are cut back */
                { 0, 0, 0 },
        };
        struct place *p = *state;

        for (unsigned i = 0; i < ELEMENTS(cuts); i++) {
                grow(p, LEAVES);
                assert_int_equal(truncate(path_of(p, cuts[i].level), cuts[i].bytes), 0);
                reopen(p);
                assert_int_equal(tiles_written(p->t), cuts[i].written);
                grow(p, LEAVES);
                assert_int_equal(mended(p), 0);
                for (unsigned level = 0; level < 3; level++)
                        assert_int_equal(hashes_in(p, level), (uint64_t)LEAVES >> (8 * level));
                assert_int_equal(prove(p, 65000, LEAVES), 0);
        }
}

static void test_what_a_power_cut_left_as_zeros_does_not_agree_and_is_mended(void **state)
{
        struct place *p = *state;

        grow(p, 1000);
        assert_int_equal(truncate(path_of(p, 0), 990 * DIGEST_BYTES), 0);
        assert_int_equal(truncate(path_of(p, 0), 1000 * DIGEST_BYTES), 0);
        reopen(p);
        assert_int_equal(tiles_written(p->t), 1000);
        grow(p, 1000);
        assert_int_equal(mended(p), 1);
        assert_int_equal(prove(p, 995, 1000), 0);
        reopen(p);
        grow(p, 1000);
        assert_int_equal(mended(p), 0);
}

static void test_a_state_from_a_backup_cuts_the_tiles_back(void **state)
{
        struct place *p = *state;

        grow(p, 70);
        reopen(p);
        assert_int_equal(tiles_cut(p->t, 69), 0);
        assert_int_equal(tiles_written(p->t), 69);
        assert_int_equal(hashes_in(p, 0), 69);
        assert_int_equal(tiles_cut(p->t, 500), 0);
        grow(p, 300);
        assert_int_equal(prove(p, 69, 300), 0);
}

/* ---- damage ---- */

static void test_a_flipped_byte_in_any_file_is_found_at_the_scrub_and_mended(void **state)
{
        static const struct { unsigned level; uint64_t hash; } flips[] = {
                { 0, 0 }, { 0, 300 }, { 0, 65535 }, { 0, LEAVES - 1 }, { 1, 0 }, { 1, 255 }, { 1, 257 }, { 2, 0 },
        };
        struct place *p = *state;
        uint64_t before;

        grow(p, LEAVES);
        for (unsigned i = 0; i < ELEMENTS(flips); i++) {
                before = mended(p);
                flip(p, flips[i].level, flips[i].hash);
                assert_int_equal(tiles_scrub(p->t, 600), 0);
                assert_true(mended(p) > before);
                before = mended(p);
                assert_int_equal(tiles_scrub(p->t, 600), 0);
                assert_int_equal(mended(p), before);
                assert_int_equal(prove(p, flips[i].hash * (flips[i].level ? 256 : 1), LEAVES), 0);
        }
        reopen(p);
        grow(p, LEAVES);
        assert_int_equal(mended(p), 0);
}

static void test_a_flipped_byte_at_the_right_edge_is_found_at_the_next_start(void **state)
{
        static const struct { unsigned level; uint64_t hash; } flips[] = { { 0, LEAVES - 3 }, { 1, 256 }, { 2, 0 } };
        struct place *p = *state;

        for (unsigned i = 0; i < ELEMENTS(flips); i++) {
                grow(p, LEAVES);
                flip(p, flips[i].level, flips[i].hash);
                reopen(p);
                grow(p, LEAVES);
                assert_int_equal(mended(p), 1);
        }
}

/* The writer's thread as the broker has it. */
static void *serve(void *arg)
{
        struct place *p = arg;

        while (tiles_wait_damage(p->t, 2000))
                assert_int_equal(tiles_scrub(p->t, 0), 0);
        return NULL;
}

static void test_a_reader_that_meets_a_flipped_byte_waits_until_it_is_mended(void **state)
{
        static const struct { unsigned level; uint64_t hash; } flips[] = { { 0, 700 }, { 1, 17 }, { 2, 0 } };
        struct place *p = *state;
        pthread_t writer;

        grow(p, LEAVES);
        assert_int_equal(pthread_create(&writer, NULL, serve, p), 0);
        for (unsigned i = 0; i < ELEMENTS(flips); i++) {
                uint64_t before = mended(p);

                flip(p, flips[i].level, flips[i].hash);
                assert_int_equal(prove(p, flips[i].level ? 17 * 256 : 701, LEAVES), 0);
                assert_true(mended(p) > before || flips[i].level == 2);
        }
        tiles_cancel(p->t);
        pthread_join(writer, NULL);
}

static void test_with_nobody_to_mend_it_a_reader_says_so_and_proves_nothing(void **state)
{
        struct place *p = *state;

        grow(p, 1000);
        flip(p, 0, 300);
        assert_int_equal(prove(p, 300, 1000), -EAGAIN);
        assert_int_equal(prove(p, 800, 1000), 0);
}

static void test_tiles_that_are_the_only_keeper_are_never_overwritten(void **state)
{
        struct place *p = *state;
        struct tiles_counts c;

        grow(p, 2000);
        assert_int_equal(tiles_sync(p->t), 0);
        p->kept_from = 1024;                    /* the rows of the first four tiles are gone */
        flip(p, 0, 300);
        flip(p, 0, 1100);
        assert_int_equal(tiles_scrub(p->t, 100), 0);
        tiles_counts(p->t, &c);
        assert_int_equal(c.mended, 1);
        assert_int_equal(c.lost, 1);
        assert_int_equal(prove(p, 300, 2000), -EAGAIN);
        assert_int_equal(prove(p, 10, 2000), 0);
        assert_int_equal(prove(p, 1100, 2000), 0);
        flip(p, 0, 300);
        assert_int_equal(prove(p, 300, 2000), 0);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_each_level_is_a_flat_file_of_the_roots_of_full_tiles_below, make_place, drop_place),
                cmocka_unit_test_setup_teardown(test_every_entry_of_a_small_log_is_proved_at_every_size, make_place, drop_place),
                cmocka_unit_test_setup_teardown(test_proofs_of_a_log_of_three_levels, make_place, drop_place),
                cmocka_unit_test_setup_teardown(test_nothing_is_shown_before_the_tree_is_agreed, make_place, drop_place),
                cmocka_unit_test_setup_teardown(test_leaves_that_are_not_kept_are_not_appended, make_place, drop_place),
                cmocka_unit_test_setup_teardown(test_a_kill_between_leaves_and_upper_hashes_is_completed_at_the_next_start, make_place, drop_place),
                cmocka_unit_test_setup_teardown(test_what_a_power_cut_left_as_zeros_does_not_agree_and_is_mended, make_place, drop_place),
                cmocka_unit_test_setup_teardown(test_a_state_from_a_backup_cuts_the_tiles_back, make_place, drop_place),
                cmocka_unit_test_setup_teardown(test_a_flipped_byte_in_any_file_is_found_at_the_scrub_and_mended, make_place, drop_place),
                cmocka_unit_test_setup_teardown(test_a_flipped_byte_at_the_right_edge_is_found_at_the_next_start, make_place, drop_place),
                cmocka_unit_test_setup_teardown(test_a_reader_that_meets_a_flipped_byte_waits_until_it_is_mended, make_place, drop_place),
                cmocka_unit_test_setup_teardown(test_with_nobody_to_mend_it_a_reader_says_so_and_proves_nothing, make_place, drop_place),
                cmocka_unit_test_setup_teardown(test_tiles_that_are_the_only_keeper_are_never_overwritten, make_place, drop_place),
        };
        struct merkle_frontier f = { 0 };

        leaves = calloc(LEAVES, sizeof(*leaves));
        roots = calloc(LEAVES + 1, sizeof(*roots));
        for (unsigned i = 0; i < LEAVES; i++) {
                uint8_t data[4];

                put_be32(data, i);
                leaves[i] = merkle_leaf(bytes_of(data, sizeof(data)));
                merkle_append(&f, &leaves[i]);
                roots[i + 1] = merkle_root(&f);
        }
        int failed = cmocka_run_group_tests(tests, NULL, NULL);
        free(leaves);
        free(roots);
        return failed;
}
