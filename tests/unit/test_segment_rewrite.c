/* segment_rewrite: a file with less in it reads as the one before, at places noted before; where all is gone a tombstone says so. */
#include "common/macro.h"
#include "common/segment.h"
#include "tests/lib/temp_dir.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define SMALL (16u << 10)
#define GROUPS 30                               /* of five entries each: some files */
#define LAST (5 * GROUPS)
#define BODY 200                                /* of an envelope of 300 bytes */

static char dir[256];
static struct segment_log *log_;
static struct segment_place places[LAST + 1];
static uint8_t *buffer;
static size_t buffer_bytes;

static void reopen(void)
{
        struct segment_options o = { .dir = dir, .domain = "442000", .segment_bytes = SMALL, .keep_free = 2, .allow_volatile = true };
        struct segment_recovery found;

        segment_close(log_);
        log_ = NULL;
        if (segment_open(&o, &log_, &found) < 0)
                fail_msg("file %llu offset %llu: %s", (unsigned long long)found.damage.file, (unsigned long long)found.damage.offset, found.reason);
}

static void write_group(struct segment_batch *b, uint64_t first)
{
        uint8_t envelopes[5][300];
        char note[64];

        segment_batch_reset(b);
        for (unsigned i = 0; i < 5; i++) {
                struct segment_entry e = { .epoch = 1, .seq = first + i, .accepted_at = { 1000 + first + i }, .outbox_seq = first + i + 5, .envelope = { envelopes[i], 300 } };

                memset(envelopes[i], (int)(e.seq % 251 + 1), 300);
                assert_int_equal(segment_batch_add_entry(b, &e), 0);
        }
        snprintf(note, sizeof(note), "442000/log\n%llu\nroot\n\n", (unsigned long long)(first + 4));
        assert_int_equal(segment_batch_add_head(b, 1, first + 4, bytes_str(note)), 0);
        assert_int_equal(segment_plan(log_, b), 0);
        assert_int_equal(segment_write(log_, b), 0);
        assert_int_equal(segment_sync(log_), 0);
        for (unsigned i = 0; i < 5; i++)
                places[first + i] = segment_batch_place(b, i);
}

static int set_up(void **state)
{
        struct segment_batch *b = segment_batch_new(1 << 20);

        temp_dir_make(dir);
        reopen();
        for (uint64_t first = 1; first <= LAST; first += 5)
                write_group(b, first);
        segment_batch_free(b);
        return 0;
}

static int tear_down(void **state)
{
        segment_close(log_);
        log_ = NULL;
        free(buffer);
        buffer = NULL;
        buffer_bytes = 0;
        temp_dir_remove(dir);
        return 0;
}

/* ---- the fate of entries: up to where bodies and inputs go; every seventh input is kept ---- */

struct marks { uint64_t bodies, inputs; };

static bool is_kept(uint64_t seq) { return seq % 7 == 0; }

static int judge(void *ctx, struct segment_entry *e)
{
        const struct marks *m = ctx;

        e->judged = true;
        e->code = (uint32_t)(e->seq % 3);
        memset(e->effects.b, (int)e->seq, DIGEST_BYTES);
        if (e->seq <= m->bodies && e->purged_by == 0) {
                e->envelope.n = 300 - BODY;
                e->purged_by = 1000;
        }
        if (e->seq <= m->inputs && !is_kept(e->seq)) {
                e->gone = true;
                e->why = 2;
                e->purged_by = 2000;
                memset(e->leaf.b, (int)e->seq + 1, DIGEST_BYTES);
        }
        return 0;
}

static uint64_t purge(struct marks m)
{
        struct segment_closed f;
        uint64_t files = 0, bytes;

        for (uint64_t from = 1; segment_closed_find(log_, from, &f); from = f.file + 1) {
                uint64_t mark = m.bodies > m.inputs ? m.bodies : m.inputs;

                if (f.first_seq > mark)
                        continue;
                assert_int_equal(segment_rewrite(log_, &f, &(struct segment_marks){ m.bodies, m.inputs }, judge, &m, &bytes), 0);
                files++;
        }
        return files;
}

static void check_entry(const struct segment_entry *e, uint64_t seq, struct marks m)
{
        struct digest leaf;

        assert_int_equal(e->seq, seq);
        assert_int_equal(e->accepted_at.ms, 1000 + seq);
        if (seq <= m.inputs && !is_kept(seq)) {
                memset(leaf.b, (int)seq + 1, DIGEST_BYTES);
                assert_true(e->gone);
                assert_int_equal(e->why, 2);
                assert_int_equal(e->purged_by, 2000);
                assert_memory_equal(e->leaf.b, leaf.b, DIGEST_BYTES);
                return;
        }
        assert_false(e->gone);
        assert_int_equal(e->outbox_seq, seq + 5);
        assert_int_equal(e->purged_by, seq <= m.bodies ? 1000 : 0);
        assert_int_equal(e->envelope.n, seq <= m.bodies ? 300 - BODY : 300);
        for (size_t i = 0; i < e->envelope.n; i++)
                assert_int_equal(e->envelope.p[i], seq % 251 + 1);
        if (e->judged)
                assert_int_equal(e->code, seq % 3);
}

/* By the cursor from the beginning and from the middle, and each at the place where it was written first. */
static void check_all(struct marks m)
{
        static const uint64_t from[] = { 1, 2, LAST / 2, LAST };
        struct segment_record rec;
        struct segment_entry e;
        struct segment_cursor *c;

        for (unsigned i = 0; i < ELEMENTS(from); i++) {
                uint64_t seq = from[i];
                int r;

                assert_int_equal(segment_cursor_open(log_, i == 0 ? (struct segment_place){ 0 } : places[seq], 1, seq, &c), 0);
                while ((r = segment_cursor_next(c, &rec)) > 0) {
                        if (rec.type == SEGMENT_HEAD)
                                continue;
                        assert_true(segment_record_entry(rec.type, rec.payload, &e));
                        check_entry(&e, seq++, m);
                }
                assert_int_equal(r, 0);
                assert_int_equal(seq, LAST + 1);
                segment_cursor_close(c);
        }
        for (uint64_t seq = 1; seq <= LAST; seq++) {
                assert_int_equal(segment_read_left(log_, places[seq], seq, &buffer, &buffer_bytes, &e), 0);
                check_entry(&e, seq, m);
                assert_int_equal(segment_read_entry(log_, places[seq], seq, &buffer, &buffer_bytes, &e), seq <= m.inputs && !is_kept(seq) ? -ENOENT : 0);
        }
}

/* ---- what is shown ---- */

static void test_bodies_then_inputs_leave_and_all_else_stays(void **state)
{
        struct segment_space before, after;
        struct segment_closed f;

        check_all((struct marks){ 0, 0 });
        assert_int_equal(segment_space(log_, &before), 0);
        assert_true(purge((struct marks){ 70, 0 }) >= 2);
        check_all((struct marks){ 70, 0 });
        assert_int_equal(segment_space(log_, &after), 0);
        assert_true(after.log_bytes < before.log_bytes);
        reopen();
        check_all((struct marks){ 70, 0 });
        assert_int_equal(segment_closed_find(log_, 1, &f), 1);
        assert_int_equal(f.bodies_to, 70);
        assert_int_equal(f.inputs_to, 0);
        purge((struct marks){ 90, 60 });
        check_all((struct marks){ 90, 60 });
        reopen();
        check_all((struct marks){ 90, 60 });
        assert_int_equal(segment_closed_find(log_, 1, &f), 1);
        assert_int_equal(f.inputs_to, 60);
}

static void test_a_walk_under_way_goes_on_in_the_old_file(void **state)
{
        struct segment_cursor *c;
        struct segment_record rec;
        struct segment_entry e;
        uint64_t seq = 1;

        assert_int_equal(segment_cursor_open(log_, (struct segment_place){ 0 }, 0, 0, &c), 0);
        for (unsigned i = 0; i < 3; i++, seq++)
                assert_int_equal(segment_cursor_next(c, &rec), 1);
        purge((struct marks){ LAST, 0 });
        while (segment_cursor_next(c, &rec) > 0)
                if (rec.type != SEGMENT_HEAD) {
                        assert_true(segment_record_entry(rec.type, rec.payload, &e));
                        assert_int_equal(e.seq, seq++);
                }
        assert_int_equal(seq, LAST + 1);
        segment_cursor_close(c);
}

static void test_the_file_being_written_is_left_alone(void **state)
{
        struct segment_closed f = { 0 }, last;
        uint64_t bytes;

        for (uint64_t from = 1; segment_closed_find(log_, from, &last); from = last.file + 1)
                f = last;
        assert_true(f.last_seq < LAST);
        f.file++;
        f.first_seq = f.last_seq + 1;
        f.last_seq = LAST + 1;
        assert_int_equal(segment_rewrite(log_, &f, &(struct segment_marks){ 1, 0 }, judge, &(struct marks){ 0 }, &bytes), -EBADMSG);
        check_all((struct marks){ 0, 0 });
}

static int refuse(void *ctx, struct segment_entry *e) { return e->seq == 8 ? -EIO : judge(ctx, e); }

static void test_a_fault_leaves_the_old_file(void **state)
{
        struct segment_closed f;
        uint64_t bytes;

        assert_int_equal(segment_closed_find(log_, 1, &f), 1);
        assert_int_equal(segment_rewrite(log_, &f, &(struct segment_marks){ LAST, 0 }, refuse, &(struct marks){ LAST, 0 }, &bytes), -EIO);
        check_all((struct marks){ 0, 0 });
        reopen();
        check_all((struct marks){ 0, 0 });
}

static void test_any_flipped_byte_of_a_rewritten_file_is_damage(void **state)
{
        struct segment_options o = { .dir = dir, .domain = "442000", .segment_bytes = SMALL, .allow_volatile = true };
        struct segment_recovery found;
        struct segment_closed f;
        char path[300];
        uint8_t b;
        int fd;

        purge((struct marks){ 90, 60 });
        assert_int_equal(segment_closed_find(log_, 1, &f), 1);
        segment_close(log_);
        log_ = NULL;
        snprintf(path, sizeof(path), "%s/%016llx.seg", dir, (unsigned long long)f.file);
        fd = open(path, O_RDWR);
        assert_true(fd >= 0);
        for (off_t at = 0; at < (off_t)f.bytes - 4096; at += at == 0 ? 4096 : 37) {       /* behind the map there are zeros */
                assert_int_equal(pread(fd, &b, 1, at), 1);
                b ^= 0x10;
                assert_int_equal(pwrite(fd, &b, 1, at), 1);
                int r = segment_open(&o, &log_, &found);
                b ^= 0x10;
                assert_int_equal(pwrite(fd, &b, 1, at), 1);
                if (r == 0) {                   /* padding of a record: nobody reads it */
                        segment_close(log_);
                        log_ = NULL;
                        continue;
                }
                assert_int_equal(r, -EBADMSG);
                assert_int_equal(found.damage.file, f.file);
        }
        close(fd);
        reopen();
        check_all((struct marks){ 90, 60 });
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_bodies_then_inputs_leave_and_all_else_stays, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_walk_under_way_goes_on_in_the_old_file, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_the_file_being_written_is_left_alone, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_fault_leaves_the_old_file, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_any_flipped_byte_of_a_rewritten_file_is_damage, set_up, tear_down),
        };

        return cmocka_run_group_tests_name("segment_rewrite", tests, NULL, NULL);
}
