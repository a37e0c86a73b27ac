/* base and retention: a log from which bodies and inputs are gone still gives every signed root, and a replay from BASE ends in the
 * state of a full replay (R-155, DESIGN 2). */
#include "common/checkpoint.h"
#include "common/macro.h"
#include "tests/lib/place.h"
#include "tests/lib/temp_dir.h"
#include "tests/lib/unit.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what is shown ---- */

/* Leaf of what is left of an entry; of an ENTRY, which retention has not touched, as the store has it. */
static struct digest leaf_of(struct place *p, const struct segment_entry *e, struct arena *a)
{
        struct entry entry = { .epoch = e->epoch, .seq = e->seq, .accepted_at = e->accepted_at };
        struct outcome outcome = { .code = (enum refusal)e->code, .effects_digest = e->effects };
        struct fold_outcome recorded;
        uint8_t record[LEAF_RECORD_BYTES];
        struct digest leaf;

        assert_int_equal(fold_outcome_get(p->store, e->seq, &recorded), 1);
        if (e->gone)
                return e->leaf;
        if (!e->judged)
                return recorded.leaf;
        assert_refusal(envelope_read_kept(a, e->envelope, NULL, &entry.claim), ACCEPTED);
        exchange_leaf_record(CITY_DOMAIN, &entry, &outcome, record);
        leaf = merkle_leaf(bytes_of(record, sizeof(record)));
        assert_true(digest_equal(&leaf, &recorded.leaf));
        return leaf;
}

/* Every HEAD of the log signs the tree that the leaves give which can be found in it now. */
static unsigned check_heads(struct place *p)
{
        struct arena *a = arena_new(8 << 20);
        struct merkle_frontier tree = { 0 };
        struct segment_cursor *c;
        struct segment_record rec;
        struct segment_entry e;
        unsigned heads = 0;
        int r;

        assert_int_equal(segment_cursor_open(p->segments, (struct segment_place){ 0 }, 0, 0, &c), 0);
        while ((r = segment_cursor_next(c, &rec)) > 0) {
                arena_reset(a);
                if (rec.type != SEGMENT_HEAD) {
                        assert_true(segment_record_entry(rec.type, rec.payload, &e));
                        struct digest leaf = leaf_of(p, &e, a);
                        merkle_append(&tree, &leaf);
                        continue;
                }
                struct checkpoint head;
                struct digest root = merkle_root(&tree);
                char *note = arena_printf(a, "%.*s", (int)rec.payload.n, (const char *)rec.payload.p);

                assert_null(checkpoint_verify(a, note, ORIGIN, p->log->sign_key, &head));
                assert_int_equal(head.size, tree.size);
                assert_true(digest_equal(&head.root, &root));
                heads++;
        }
        assert_int_equal(r, 0);
        assert_int_equal(tree.size, p->fold.seq);
        segment_cursor_close(c);
        arena_free(a);
        return heads;
}

static void test_R_155_a_purged_log_gives_every_signed_root(void **state)
{
        struct place *p = place_new();
        unsigned heads = check_heads(p);
        struct retention r = place_retain(p);

        assert_true(r.files >= 1);
        assert_true(r.bytes_after < r.bytes_before);
        assert_true(r.inputs >= PLACE_GONE);
        assert_int_equal(r.owed, PLACE_UPDATES - PLACE_GONE);          /* nobody has them yet: they stay */
        assert_string_equal(r.reason, "");
        assert_int_equal(check_heads(p), heads);
        place_open_segments(p);
        assert_int_equal(check_heads(p), heads);
        r = place_retain_behind(p, &r);
        assert_int_equal(r.files, 0);                           /* all that was due is done */
        place_free(p);
}

static void test_R_155_what_was_owed_goes_with_the_next_purge(void **state)
{
        struct place *p = place_new();
        struct retention r = place_retain(p);
        unsigned heads;

        assert_int_equal(r.owed, PLACE_UPDATES - PLACE_GONE);
        place_receive_all(p);
        place_purge_bodies(p);
        heads = check_heads(p);
        r = place_retain_behind(p, &r);
        assert_true(r.inputs >= PLACE_UPDATES - PLACE_GONE);    /* their bodies with them */
        assert_int_equal(r.owed, 0);
        assert_int_equal(check_heads(p), heads);
        r = place_retain(p);
        assert_int_equal(r.bodies + r.inputs, 0);
        place_free(p);
}

static void test_R_155_inputs_wait_for_a_base(void **state)
{
        struct place *p = place_new();
        char path[400];

        place_base_path(p, path);
        assert_int_equal(unlink(path), 0);
        struct retention r = place_retain(p);
        assert_int_equal(r.inputs, 0);
        assert_int_equal(r.bodies, PLACE_GONE);
        assert_string_not_equal(r.reason, "");
        check_heads(p);
        struct replay all;
        struct digest d;
        assert_int_equal(place_replay_all(p, &all, &d), 0);           /* without the bodies, which no rule reads */
        assert_true(digest_equal(&d, &p->full));
        place_free(p);
}

static void test_a_replay_from_base_ends_where_a_full_one_does(void **state)
{
        struct place *p = place_new();
        struct replay all, rest;
        struct digest d;
        struct base b;
        struct fold f;
        struct store *s;
        char path[400], dir[256];
        int fault;

        place_retain(p);
        assert_int_equal(place_replay_all(p, &all, &d), -EBADMSG);    /* it says where it can begin */
        assert_non_null(strstr(all.reason, "BASE"));
        place_base_path(p, path);
        temp_dir_make(dir);
        s = place_open_store(dir);
        assert_null(base_load(path, s, ORIGIN, p->log->sign_key, NULL, NULL, &f, &b, &fault));
        assert_int_equal(f.seq, p->base.seq);
        assert_int_equal(place_replay(p, &f, &rest), 0);
        assert_int_equal(f.seq, p->fold.seq);
        d = place_state(s);
        assert_true(digest_equal(&d, &p->full));
        fold_close(&f);
        store_close(s);
        temp_dir_remove(dir);
        place_free(p);
}

static void test_any_flipped_byte_of_a_base_is_refused(void **state)
{
        struct place *p = place_new();
        char path[400], dir[256];
        struct stat st;
        struct fold f;
        struct base b;
        int fd, fault;

        place_base_path(p, path);
        fd = open(path, O_RDWR);
        assert_int_equal(fstat(fd, &st), 0);
        for (off_t at = 0; at < st.st_size; at += at < 1500 ? 13 : at < BASE_HEADER_BYTES ? BASE_HEADER_BYTES - at : 997) {
                uint8_t byte;
                struct store *s;
                const char *wrong;

                assert_int_equal(pread(fd, &byte, 1, at), 1);
                byte ^= 4;
                assert_int_equal(pwrite(fd, &byte, 1, at), 1);
                temp_dir_make(dir);
                s = place_open_store(dir);
                wrong = base_load(path, s, ORIGIN, NULL, NULL, NULL, &f, &b, &fault);
                byte ^= 4;
                assert_int_equal(pwrite(fd, &byte, 1, at), 1);
                if (!wrong)
                        fail_msg("offset %lld of %lld", (long long)at, (long long)st.st_size);
                store_close(s);
                temp_dir_remove(dir);
        }
        close(fd);
        place_free(p);
}

static void test_old_bases_go_and_half_written_ones_too(void **state)
{
        struct place *p = place_new();
        uint64_t list[BASE_KEPT_MAX], first = p->base.seq;
        char path[400];
        FILE *half;

        assert_int_equal(base_write(p->store, p->segments, p->base_dir, CITY_DOMAIN, ORIGIN, p->log->sign_secret, p->log->sign_key, NULL, &p->base), 0);
        snprintf(path, sizeof(path), "%s/BASE-%016x.new", p->base_dir, 0);
        half = fopen(path, "w");
        assert_non_null(half);
        fclose(half);
        assert_int_equal(base_list(p->base_dir, true, list), 2);
        assert_int_not_equal(access(path, F_OK), 0);
        assert_int_equal(list[0], first);
        assert_int_equal(list[1], p->fold.seq);
        assert_int_equal(base_prune(p->base_dir, 1), 0);
        assert_int_equal(base_list(p->base_dir, true, list), 1);
        assert_int_equal(list[0], p->fold.seq);
        place_free(p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_R_155_a_purged_log_gives_every_signed_root),
                cmocka_unit_test(test_R_155_what_was_owed_goes_with_the_next_purge),
                cmocka_unit_test(test_R_155_inputs_wait_for_a_base),
                cmocka_unit_test(test_a_replay_from_base_ends_where_a_full_one_does),
                cmocka_unit_test(test_any_flipped_byte_of_a_base_is_refused),
                cmocka_unit_test(test_old_bases_go_and_half_written_ones_too),
        };

        return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
