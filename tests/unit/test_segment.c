/* segment: what was synced is read again, what was torn is dropped and never comes back, what is damaged is named. */
#include "common/macro.h"
#include "common/segment.h"
#include "common/segment_internal.h"
#include "tests/lib/temp_dir.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define SMALL (16u << 10)

static char dir[256];
static struct segment_log *log_;
static struct segment_recovery found;
static struct segment_batch *batch;
static uint8_t *buffer;
static size_t buffer_bytes;

static struct segment_options options(void)
{
        return (struct segment_options){ .dir = dir, .domain = "442000", .segment_bytes = SMALL, .keep_free = 2, .allow_volatile = true };
}

static int try_open(const struct segment_options *o)
{
        segment_close(log_);
        log_ = NULL;
        return segment_open(o, &log_, &found);
}

static void reopen(void)
{
        struct segment_options o = options();

        assert_int_equal(try_open(&o), 0);
}

static int set_up(void **state)
{
        temp_dir_make(dir);
        batch = segment_batch_new(1 << 20);
        reopen();
        return 0;
}

static int tear_down(void **state)
{
        segment_close(log_);
        log_ = NULL;
        segment_batch_free(batch);
        free(buffer);
        buffer = NULL;
        buffer_bytes = 0;
        temp_dir_remove(dir);
        return 0;
}

/* -- Writing and reading back. -- */

/* Entry `seq`: its envelope is `bytes` long and can be told from any other's. */
static void add_entry(uint64_t epoch, uint64_t seq, size_t bytes)
{
        static uint8_t envelopes[64][8192];     /* borrowed until written */
        uint8_t *envelope = envelopes[seq % 64];
        struct segment_entry e = { .epoch = epoch, .seq = seq, .accepted_at = { 1000 + seq }, .link = 7, .lane = 1,
                                   .outbox_epoch = 2, .outbox_seq = seq + 5, .envelope = { envelope, bytes } };

        memset(envelope, (int)(seq % 251 + 1), bytes);
        assert_int_equal(segment_batch_add_entry(batch, &e), 0);
}

static void add_head(uint64_t epoch, uint64_t seq)
{
        char note[80];

        snprintf(note, sizeof(note), "442000/log\n%llu\nroot\n\n", (unsigned long long)seq);
        assert_int_equal(segment_batch_add_head(batch, epoch, seq, bytes_str(note)), 0);
}

static void fill_group(uint64_t epoch, uint64_t first, unsigned n, size_t bytes)
{
        segment_batch_reset(batch);
        for (unsigned i = 0; i < n; i++)
                add_entry(epoch, first + i, bytes);
        add_head(epoch, first + n - 1);
}

static void write_batch(void)
{
        assert_int_equal(segment_plan(log_, batch), 0);
        assert_int_equal(segment_write(log_, batch), 0);
        assert_int_equal(segment_sync(log_), 0);
}

static void write_group(uint64_t epoch, uint64_t first, unsigned n, size_t bytes)
{
        fill_group(epoch, first, n, bytes);
        write_batch();
}

/* Reads all and compares: entries `first` to `last`, each `bytes` long; 0 bytes: any. */
static void assert_log_holds(uint64_t first, uint64_t last, size_t bytes)
{
        struct segment_cursor *c;
        struct segment_record rec;
        struct segment_entry e;
        uint64_t seq = first - 1;
        int r;

        assert_int_equal(segment_cursor_open(log_, (struct segment_place){0}, 0, 0, &c), 0);
        while ((r = segment_cursor_next(c, &rec)) > 0) {
                if (rec.type == SEGMENT_HEAD) {
                        assert_int_equal(rec.seq, seq);
                        continue;
                }
                assert_true(segment_entry_decode(rec.payload, &e));
                assert_int_equal(e.seq, ++seq);
                assert_int_equal(e.outbox_seq, seq + 5);
                if (bytes > 0)
                        assert_int_equal(e.envelope.n, bytes);
                for (size_t i = 0; i < e.envelope.n; i++)
                        if (e.envelope.p[i] != seq % 251 + 1)
                                fail_msg("entry %llu", (unsigned long long)seq);
        }
        assert_int_equal(r, 0);
        assert_int_equal(seq, last);
        segment_cursor_close(c);
}

static void path_of(uint64_t file, char *ret)
{
        char name[SEGMENT_NAME_BYTES];

        segment_name(file, name);
        snprintf(ret, 320, "%s/%s", dir, name);
}

/* What stands in the log's file. */
static void look(struct segment_place at, void *ret, size_t n)
{
        char path[320];
        int fd;

        path_of(at.file, path);
        fd = open(path, O_RDONLY);
        assert_true(fd >= 0 && pread(fd, ret, n, (off_t)at.offset) == (ssize_t)n);
        close(fd);
}

/* Writes over the log's bytes, as a disk or a crash might. */
static void scribble(struct segment_place at, const void *bytes, size_t n)
{
        char path[320];
        int fd;

        path_of(at.file, path);
        fd = open(path, O_WRONLY);
        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, bytes, n, (off_t)at.offset), (ssize_t)n);
        close(fd);
}

static void flip(struct segment_place at)
{
        char path[320];
        uint8_t b;
        int fd;

        path_of(at.file, path);
        fd = open(path, O_RDWR);
        assert_int_equal(pread(fd, &b, 1, (off_t)at.offset), 1);
        b ^= 0x40;
        assert_int_equal(pwrite(fd, &b, 1, (off_t)at.offset), 1);
        close(fd);
}

static unsigned count_files(const char *suffix)
{
        char command[400];
        unsigned n = 0;
        FILE *p;

        snprintf(command, sizeof(command), "ls %s | grep -c '%s$'", dir, suffix);
        p = popen(command, "r");
        assert_int_equal(fscanf(p, "%u", &n), 1);
        pclose(p);
        return n;
}

static void test_an_empty_log_says_so(void **state)
{
        struct segment_space space;

        assert_int_equal(found.last_seq, 0);
        assert_int_equal(found.first_seq, 1);
        assert_int_equal(found.end.file, 1);
        assert_int_equal(segment_space(log_, &space), 0);
        assert_int_equal(space.files, 0);
        assert_int_equal(space.ready_bytes, 2 * (SMALL - SEGMENT_HEADER_BYTES));        /* this file and the next */
        assert_log_holds(1, 0, 0);
        reopen();
        assert_int_equal(found.last_seq, 0);
}

static void test_groups_are_read_again_after_a_restart(void **state)
{
        for (uint64_t seq = 1; seq <= 40; seq += 4)
                write_group(1, seq, 4, 300);
        assert_log_holds(1, 40, 300);
        reopen();
        assert_int_equal(found.last_seq, 40);
        assert_int_equal(found.epoch, 1);
        assert_int_equal(found.dropped_records, 0);
        assert_log_holds(1, 40, 300);
        write_group(2, 41, 2, 10);              /* the next epoch goes on counting */
        write_group(2, 43, 1, 0);               /* an empty envelope is the caller's affair */
        reopen();
        assert_int_equal(found.last_seq, 43);
        assert_int_equal(found.epoch, 2);
        assert_log_holds(1, 43, 0);
}

static void test_each_record_is_where_its_batch_said(void **state)
{
        struct segment_place places[30];
        struct segment_record rec;
        struct segment_entry e;

        for (unsigned g = 0; g < 10; g++) {
                fill_group(3, 3 * g + 1, 3, 900);
                assert_int_equal(segment_plan(log_, batch), 0);
                for (unsigned i = 0; i < 3; i++)
                        places[3 * g + i] = segment_batch_place(batch, i);
                assert_int_equal(segment_write(log_, batch), 0);
                assert_int_equal(segment_sync(log_), 0);
        }
        assert_true(places[29].file > 1);
        for (unsigned i = 0; i < 30; i++) {
                assert_int_equal(segment_read(log_, places[i], 3, i + 1, &buffer, &buffer_bytes, &rec), 0);
                assert_int_equal(rec.type, SEGMENT_ENTRY);
                assert_int_equal(segment_read_entry(log_, places[i], i + 1, &buffer, &buffer_bytes, &e), 0);
                assert_int_equal(e.epoch, 3);
                assert_int_equal(e.accepted_at.ms, 1001 + i);
        }
        assert_int_equal(segment_read(log_, places[3], 3, 3, &buffer, &buffer_bytes, &rec), -EBADMSG);
        assert_int_equal(segment_read(log_, places[3], 2, 4, &buffer, &buffer_bytes, &rec), -EBADMSG);
        assert_int_equal(segment_read_entry(log_, places[3], 5, &buffer, &buffer_bytes, &e), -EBADMSG);
        places[3].offset += 8;
        assert_int_equal(segment_read_entry(log_, places[3], 4, &buffer, &buffer_bytes, &e), -EBADMSG);
        assert_int_equal(segment_read_entry(log_, (struct segment_place){ 99, 4096 }, 4, &buffer, &buffer_bytes, &e), -ENOENT);
}

static void test_a_cursor_goes_on_when_more_is_written(void **state)
{
        struct segment_cursor *c;
        struct segment_record rec;
        uint64_t seq = 0;

        assert_int_equal(segment_cursor_open(log_, (struct segment_place){0}, 0, 0, &c), 0);
        for (unsigned g = 0; g < 30; g++) {
                assert_int_equal(segment_cursor_next(c, &rec), 0);
                write_group(1, g + 1, 1, 2000);
                assert_int_equal(segment_cursor_next(c, &rec), 1);
                assert_int_equal(rec.seq, ++seq);
                assert_int_equal(rec.type, SEGMENT_ENTRY);
                assert_int_equal(segment_cursor_next(c, &rec), 1);
                assert_int_equal(rec.type, SEGMENT_HEAD);
        }
        segment_cursor_close(c);
}

static void test_a_cursor_begins_at_any_entry(void **state)
{
        struct segment_place tenth;
        struct segment_cursor *c;
        struct segment_record rec;

        for (uint64_t seq = 1; seq <= 20; seq++) {
                fill_group(1, seq, 1, 1000);
                assert_int_equal(segment_plan(log_, batch), 0);
                if (seq == 10)
                        tenth = segment_batch_place(batch, 0);
                assert_int_equal(segment_write(log_, batch), 0);
                assert_int_equal(segment_sync(log_), 0);
        }
        assert_int_equal(segment_cursor_open(log_, tenth, 1, 10, &c), 0);
        for (uint64_t seq = 10; seq <= 20; seq++) {
                assert_int_equal(segment_cursor_next(c, &rec), 1);
                assert_int_equal(rec.seq, seq);
                assert_int_equal(segment_cursor_next(c, &rec), 1);
        }
        assert_int_equal(segment_cursor_next(c, &rec), 0);
        segment_cursor_close(c);
}

struct follower { uint64_t until, seen; int r; };

/* Walks behind the writer, as an index does. */
static void *follow(void *arg)
{
        struct follower *f = arg;
        struct segment_cursor *c;
        struct segment_record rec;

        f->r = segment_cursor_open(log_, (struct segment_place){0}, 0, 0, &c);
        while (f->r >= 0 && f->seen < f->until) {
                f->r = segment_cursor_next(c, &rec);
                if (f->r > 0 && rec.type == SEGMENT_ENTRY && rec.seq != ++f->seen)
                        f->r = -ERANGE;
        }
        segment_cursor_close(c);
        return NULL;
}

static void test_a_cursor_follows_a_writer_from_file_to_file(void **state)
{
        struct follower f = { .until = 300 };
        pthread_t thread;

        pthread_create(&thread, NULL, follow, &f);
        for (uint64_t seq = 1; seq <= f.until; seq++)
                write_group(1, seq, 1, 3500);
        pthread_join(thread, NULL);
        assert_int_equal(f.r, 1);
        assert_int_equal(f.seen, 300);
}

static void test_options_out_of_bounds_are_refused(void **state)
{
        struct segment_options o = options();

        o.segment_bytes = SEGMENT_BYTES_MIN - 1;
        assert_int_equal(try_open(&o), -EINVAL);
        o.segment_bytes = SEGMENT_BYTES_MAX + 1;
        assert_int_equal(try_open(&o), -EINVAL);
        o.segment_bytes = SEGMENT_BYTES_MIN + 1;        /* rounded up */
        assert_int_equal(try_open(&o), 0);
        o.domain = "0123456789012345678901234567890123456789012345678901234567890123456789";
        assert_int_equal(try_open(&o), -EINVAL);
}

static void test_a_fault_can_be_made_at_each_write_and_sync(void **state)
{
        write_group(1, 1, 1, 10);
        segment_fail_after(log_, 1, -EIO);
        fill_group(1, 2, 1, 10);
        assert_int_equal(segment_plan(log_, batch), 0);
        assert_int_equal(segment_write(log_, batch), -EIO);
        reopen();
        assert_int_equal(found.last_seq, 1);
        segment_fail_after(log_, 2, -EIO);
        assert_int_equal(segment_plan(log_, batch), 0);
        assert_int_equal(segment_write(log_, batch), 0);
        assert_int_equal(segment_sync(log_), -EIO);
}

/* -- Torn ends. -- */

static void test_each_cut_of_the_last_group_is_dropped_whole(void **state)
{
        uint8_t group[4096], nothing[4096] = { 0 };
        size_t whole;

        write_group(1, 1, 2, 100);
        fill_group(1, 3, 2, 40);
        whole = segment_batch_bytes(batch);
        assert_true(whole <= sizeof(group));
        assert_int_equal(segment_plan(log_, batch), 0);
        assert_int_equal(segment_write(log_, batch), 0);
        look(batch->place, group, whole);
        scribble(batch->place, nothing, whole);
        for (size_t cut = 0; cut < whole; cut++) {
                reopen();
                assert_int_equal(segment_plan(log_, batch), 0);
                scribble(batch->place, group, cut);
                reopen();
                if (found.last_seq != 2)
                        fail_msg("cut at %zu: %llu", cut, (unsigned long long)found.last_seq);
                assert_int_equal(found.dropped_records > 0, cut >= SEGMENT_RECORD_OVERHEAD + SEGMENT_ENTRY_PREFIX + 40);
        }
        fill_group(1, 3, 2, 40);
        write_batch();
        reopen();
        assert_int_equal(found.last_seq, 4);
        assert_log_holds(1, 4, 0);
}

static void test_a_torn_group_in_any_mixture_of_blocks_is_dropped(void **state)
{
        /* which of the three records of the group (two entries, a head) reached the disk */
        for (unsigned kept = 0; kept < 7; kept++) {
                fill_group(1, 1, 2, 300);
                assert_int_equal(segment_plan(log_, batch), 0);
                assert_int_equal(segment_write(log_, batch), 0);
                for (unsigned i = 0; i < 3; i++)
                        if (!(kept & (1u << i)))
                                flip((struct segment_place){ batch->place.file, segment_batch_place(batch, i).offset + 25 });
                reopen();
                if (found.last_seq != 0)
                        fail_msg("kept %u: %llu", kept, (unsigned long long)found.last_seq);
        }
        write_group(1, 1, 1, 300);
        reopen();
        assert_int_equal(found.last_seq, 1);
        assert_log_holds(1, 1, 300);
}

static void test_what_was_dropped_does_not_stand_again_behind_its_successor(void **state)
{
        write_group(1, 1, 1, 200);
        fill_group(1, 2, 2, 200);               /* entries 2 and 3, head 3: entry 2 is torn */
        assert_int_equal(segment_plan(log_, batch), 0);
        assert_int_equal(segment_write(log_, batch), 0);
        flip((struct segment_place){ batch->place.file, batch->place.offset + 30 });
        reopen();
        assert_int_equal(found.last_seq, 1);
        assert_int_equal(found.dropped_records, 2);

        segment_batch_reset(batch);             /* another entry 2 of the same length, and its head is lost */
        add_entry(1, 2, 200);
        assert_int_equal(segment_plan(log_, batch), 0);
        assert_int_equal(segment_write(log_, batch), 0);
        reopen();
        assert_int_equal(found.last_seq, 1);    /* not 3: the old entry 3 and its head are gone */
        assert_log_holds(1, 1, 200);
}

static void test_a_file_whose_first_group_is_torn_is_dropped(void **state)
{
        char path[320];

        for (uint64_t seq = 1; seq <= 3; seq++)
                write_group(1, seq, 1, 3500);   /* three fit in one file */
        fill_group(1, 4, 1, 3500);
        assert_int_equal(segment_plan(log_, batch), 0);
        assert_int_equal(batch->place.file, 2);
        assert_int_equal(segment_write(log_, batch), 0);
        flip((struct segment_place){ 2, SEGMENT_HEADER_BYTES + 100 });
        reopen();
        assert_int_equal(found.last_seq, 3);
        assert_int_equal(found.end.file, 1);
        path_of(2, path);
        assert_int_equal(access(path, F_OK), -1);
        write_group(1, 4, 1, 3500);
        reopen();
        assert_int_equal(found.last_seq, 4);

        fill_group(1, 5, 1, 3500);              /* the same with a header that is torn as well */
        write_batch();
        write_group(1, 6, 1, 3500);
        fill_group(1, 7, 1, 3500);
        assert_int_equal(segment_plan(log_, batch), 0);
        assert_int_equal(batch->place.file, 3);
        assert_int_equal(segment_write(log_, batch), 0);
        flip((struct segment_place){ 3, 20 });
        reopen();
        assert_int_equal(found.last_seq, 6);
        assert_log_holds(1, 6, 3500);
        write_group(1, 7, 1, 100);
        reopen();
        assert_log_holds(1, 7, 0);
}

static void test_less_than_what_state_knows_to_be_synced_is_damage(void **state)
{
        struct segment_options o = options();

        write_group(1, 1, 2, 100);
        write_group(1, 3, 2, 100);
        flip((struct segment_place){ 1, batch->place.offset + 30 });
        o.synced_seq = 4;
        assert_int_equal(try_open(&o), -EBADMSG);
        assert_int_equal(found.damage.offset, batch->place.offset);
        assert_non_null(strstr(found.reason, "entry 4 was synced, the log ends with 2"));
        o.synced_seq = 2;                       /* nobody knows better: the group was torn */
        assert_int_equal(try_open(&o), 0);
        assert_int_equal(found.last_seq, 2);
}

/* -- Damage. -- */

static void test_a_flipped_byte_anywhere_but_in_the_last_group_is_named(void **state)
{
        struct segment_place third = {0};

        for (uint64_t seq = 1; seq <= 6; seq++) {
                fill_group(1, seq, 1, 100);
                assert_int_equal(segment_plan(log_, batch), 0);
                if (seq == 3)
                        third = segment_batch_place(batch, 0);
                assert_int_equal(segment_write(log_, batch), 0);
                assert_int_equal(segment_sync(log_), 0);
        }
        for (size_t i = 0; i < SEGMENT_RECORD_OVERHEAD + SEGMENT_ENTRY_PREFIX + 100; i++) {
                struct segment_place at = { third.file, third.offset + i };
                struct segment_options o = options();

                flip(at);
                if (try_open(&o) != -EBADMSG || found.damage.file != 1 || found.damage.offset != third.offset)
                        fail_msg("byte %zu: %s", i, found.reason);
                assert_non_null(strstr(found.reason, "entry 3 does not read"));
                flip(at);
        }
        reopen();                               /* naming damage changed nothing */
        assert_int_equal(found.last_seq, 6);
}

static void test_damage_in_a_closed_file_is_named_unless_it_is_not_read(void **state)
{
        struct segment_options o = options();

        for (uint64_t seq = 1; seq <= 12; seq++)
                write_group(1, seq, 1, 3500);   /* files 1 to 4 */
        flip((struct segment_place){ 2, SEGMENT_HEADER_BYTES + 200 });
        assert_int_equal(try_open(&o), -EBADMSG);
        assert_int_equal(found.damage.file, 2);
        assert_int_equal(found.damage.offset, SEGMENT_HEADER_BYTES);
        assert_non_null(strstr(found.reason, "entry 4 does not read"));
        o.check_from_file = 3;
        assert_int_equal(try_open(&o), 0);
        assert_int_equal(found.last_seq, 12);
        assert_int_equal(found.first_seq, 1);

        segment_close(log_);
        log_ = NULL;
        flip((struct segment_place){ 2, 9 });
        assert_int_equal(try_open(&o), -EBADMSG);
        assert_string_equal(found.reason, "header does not read");
        flip((struct segment_place){ 2, 9 });
}

static void test_a_missing_file_is_named(void **state)
{
        struct segment_options o = options();
        char path[320];

        for (uint64_t seq = 1; seq <= 12; seq++)
                write_group(1, seq, 1, 3500);
        path_of(3, path);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(try_open(&o), -EBADMSG);
        assert_int_equal(found.damage.file, 3);
        assert_string_equal(found.reason, "file is missing");
}

static void test_another_domain_s_log_is_not_taken(void **state)
{
        struct segment_options o = options();

        write_group(1, 1, 1, 10);
        o.domain = "440000";
        assert_int_equal(try_open(&o), -EXDEV);
}

static void test_a_log_has_one_owner_and_may_be_read_beside_it(void **state)
{
        struct segment_options o = options();
        struct segment_log *other = NULL;
        struct segment_recovery r;

        write_group(1, 1, 3, 10);
        assert_int_equal(segment_open(&o, &other, &r), -EBUSY);
        o.read_only = true;
        assert_int_equal(segment_open(&o, &other, &r), 0);
        assert_int_equal(r.last_seq, 3);
        segment_close(other);
        write_group(1, 4, 1, 10);
}

/* -- Recycling and space. -- */

static void test_released_files_are_recycled_and_their_content_never_parses(void **state)
{
        for (uint64_t seq = 1; seq <= 30; seq++)
                write_group(1, seq, 1, 3500);   /* files 1 to 10 */
        assert_int_equal(count_files(".seg"), 10);
        assert_int_equal(segment_release(log_, 25), 0);
        assert_int_equal(segment_first_seq(log_), 25);
        assert_int_equal(count_files(".seg"), 2);
        assert_int_equal(count_files(".free"), 2);
        for (uint64_t seq = 31; seq <= 42; seq++) {     /* the same lengths: old records stand at the right offsets */
                write_group(1, seq, 1, 3500);
                assert_int_equal(segment_prepare(log_), 0);
                reopen();
                assert_int_equal(found.last_seq, seq);
                assert_int_equal(found.first_seq, 25);
                assert_int_equal(found.dropped_records, 0);
        }
        assert_int_equal(count_files(".free"), 0);
        assert_log_holds(25, 42, 3500);
        assert_int_equal(segment_release(log_, 1000), 0);       /* the one being written stays */
        assert_int_equal(count_files(".seg"), 1);
}

static void test_a_reader_of_a_released_file_is_told_that_it_is_gone(void **state)
{
        struct segment_cursor *c;
        struct segment_entry e;

        for (uint64_t seq = 1; seq <= 12; seq++)
                write_group(1, seq, 1, 3500);
        assert_int_equal(segment_release(log_, 7), 0);
        assert_int_equal(segment_read_entry(log_, (struct segment_place){ 1, SEGMENT_HEADER_BYTES }, 1, &buffer, &buffer_bytes, &e), -ENOENT);
        assert_int_equal(segment_cursor_open(log_, (struct segment_place){ 1, SEGMENT_HEADER_BYTES }, 1, 1, &c), -ENOENT);
}

static void test_files_of_another_size_are_read_and_not_recycled(void **state)
{
        struct segment_options o = options();

        for (uint64_t seq = 1; seq <= 9; seq++)
                write_group(1, seq, 1, 3500);
        o.segment_bytes = 2 * SMALL;
        assert_int_equal(try_open(&o), 0);
        for (uint64_t seq = 10; seq <= 30; seq++)
                write_group(1, seq, 1, 3500);
        assert_int_equal(try_open(&o), 0);
        assert_log_holds(1, 30, 3500);
        assert_int_equal(segment_release(log_, 12), 0);
        assert_int_equal(count_files(".free"), 0);
}

static void test_a_group_too_large_for_a_file_is_refused_and_nothing_is_planned(void **state)
{
        struct segment_entry e = { .epoch = 1, .seq = 1, .envelope = { NULL, SEGMENT_PAYLOAD_MAX } };

        fill_group(1, 1, 10, 3500);
        assert_int_equal(segment_plan(log_, batch), -EMSGSIZE);
        write_group(1, 1, 1, 10);
        assert_int_equal(segment_batch_add_entry(batch, &e), -EMSGSIZE);
        reopen();
        assert_int_equal(found.last_seq, 1);
}

static void test_the_beginning_of_an_entry_is_peeked_at_without_the_rest(void **state)
{
        uint8_t begins[SEGMENT_PEEK_BYTES];
        struct segment_place small, large;
        struct bytes b;

        fill_group(1, 1, 1, 100);
        write_batch();
        small = segment_batch_place(batch, 0);
        fill_group(1, 2, 1, 5000);
        write_batch();
        large = segment_batch_place(batch, 0);
        assert_int_equal(segment_peek_entry(log_, small, 1, begins, &b), 1);
        assert_int_equal(b.n, 100);
        assert_int_equal(b.p[99], 2);
        flip((struct segment_place){ large.file, large.offset + 4000 });
        assert_int_equal(segment_peek_entry(log_, large, 2, begins, &b), 1);
        assert_int_equal(b.n, SEGMENT_PEEK_BYTES - SEGMENT_RECORD_OVERHEAD - SEGMENT_ENTRY_PREFIX);
        assert_int_equal(b.p[0], 3);
        assert_int_equal(segment_peek_entry(log_, large, 3, begins, &b), 0);
        assert_int_equal(segment_peek_entry(log_, segment_batch_place(batch, 1), 2, begins, &b), 0);
}

static void test_a_plan_is_taken_back(void **state)
{
        struct segment_place first;

        write_group(1, 1, 3, 3000);
        fill_group(1, 4, 2, 3000);              /* would begin file 2 */
        assert_int_equal(segment_plan(log_, batch), 0);
        assert_int_equal(batch->place.file, 2);
        segment_unplan(log_, batch);
        fill_group(1, 4, 1, 50);
        assert_int_equal(segment_plan(log_, batch), 0);
        first = segment_batch_place(batch, 0);
        assert_int_equal(first.file, 1);
        assert_int_equal(segment_write(log_, batch), 0);
        assert_int_equal(segment_sync(log_), 0);
        reopen();
        assert_int_equal(found.last_seq, 4);
}

/* No room for a new file, as RLIMIT_FSIZE says it: what is planned can be written, what cannot is refused. */
static void test_a_full_disk_refuses_before_anything_is_promised(void **state)
{
        struct rlimit old, tight;
        uint64_t seq = 1;
        int r = 0;

        assert_int_equal(segment_prepare(log_), 0);
        signal(SIGXFSZ, SIG_IGN);
        getrlimit(RLIMIT_FSIZE, &old);
        tight = (struct rlimit){ SMALL - 1, old.rlim_max };
        setrlimit(RLIMIT_FSIZE, &tight);
        for (;; seq++) {
                fill_group(1, seq, 1, 2500);
                r = segment_plan(log_, batch);
                if (r < 0)
                        break;
                assert_int_equal(segment_write(log_, batch), 0);
                assert_int_equal(segment_sync(log_), 0);
        }
        setrlimit(RLIMIT_FSIZE, &old);
        assert_int_equal(r, -ENOSPC);
        assert_true(seq > 4);
        assert_int_equal(segment_plan(log_, batch), 0);         /* there is room again: the same batch goes on */
        assert_int_equal(segment_write(log_, batch), 0);
        assert_int_equal(segment_sync(log_), 0);
        reopen();
        assert_int_equal(found.last_seq, seq);
}

/* Old content made to look like records everywhere must not keep a start from ending. */
static void test_a_start_over_hostile_old_content_ends(void **state)
{
        uint8_t fake[SMALL - SEGMENT_HEADER_BYTES];

        write_group(1, 1, 1, 10);
        for (size_t i = 0; i + 8 <= sizeof(fake); i += 8) {
                put_le32(fake + i, 8000);
                fake[i + 4] = SEGMENT_ENTRY;
                memset(fake + i + 5, 1, 3);
        }
        scribble((struct segment_place){ 1, batch->place.offset + batch->n }, fake, SMALL - batch->place.offset - batch->n);
        reopen();
        assert_int_equal(found.last_seq, 1);
        assert_int_equal(found.dropped_records, 1);     /* not searched to the end: erased */
        reopen();
        assert_int_equal(found.dropped_records, 0);
}

#define WITH_LOG(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH_LOG(test_an_empty_log_says_so),
                WITH_LOG(test_groups_are_read_again_after_a_restart),
                WITH_LOG(test_each_record_is_where_its_batch_said),
                WITH_LOG(test_a_cursor_goes_on_when_more_is_written),
                WITH_LOG(test_a_cursor_begins_at_any_entry),
                WITH_LOG(test_a_cursor_follows_a_writer_from_file_to_file),
                WITH_LOG(test_options_out_of_bounds_are_refused),
                WITH_LOG(test_a_fault_can_be_made_at_each_write_and_sync),
                WITH_LOG(test_each_cut_of_the_last_group_is_dropped_whole),
                WITH_LOG(test_a_torn_group_in_any_mixture_of_blocks_is_dropped),
                WITH_LOG(test_what_was_dropped_does_not_stand_again_behind_its_successor),
                WITH_LOG(test_a_file_whose_first_group_is_torn_is_dropped),
                WITH_LOG(test_less_than_what_state_knows_to_be_synced_is_damage),
                WITH_LOG(test_a_flipped_byte_anywhere_but_in_the_last_group_is_named),
                WITH_LOG(test_damage_in_a_closed_file_is_named_unless_it_is_not_read),
                WITH_LOG(test_a_missing_file_is_named),
                WITH_LOG(test_another_domain_s_log_is_not_taken),
                WITH_LOG(test_a_log_has_one_owner_and_may_be_read_beside_it),
                WITH_LOG(test_released_files_are_recycled_and_their_content_never_parses),
                WITH_LOG(test_a_reader_of_a_released_file_is_told_that_it_is_gone),
                WITH_LOG(test_files_of_another_size_are_read_and_not_recycled),
                WITH_LOG(test_a_group_too_large_for_a_file_is_refused_and_nothing_is_planned),
                WITH_LOG(test_the_beginning_of_an_entry_is_peeked_at_without_the_rest),
                WITH_LOG(test_a_plan_is_taken_back),
                WITH_LOG(test_a_full_disk_refuses_before_anything_is_promised),
                WITH_LOG(test_a_start_over_hostile_old_content_ends),
        };

        return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}
