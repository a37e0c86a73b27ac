/* segment under kill -9: a process is stopped at each named point, at the first, third and seventh time it comes there;
 * each group that it had called synced is there, and the log goes on. */
#include "common/macro.h"
#include "common/segment.h"
#include "tests/lib/temp_dir.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define SMALL (16u << 10)                       /* three groups fill a file */
#define GROUPS 40

static char dir[256];

static struct segment_options options(void)
{
        return (struct segment_options){ .dir = dir, .domain = "442000", .segment_bytes = SMALL, .keep_free = 2, .allow_volatile = true };
}

static void add_group(struct segment_batch *b, uint64_t seq)
{
        static uint8_t envelope[3500];
        struct segment_entry e = { .epoch = 1, .seq = seq, .outbox_seq = ~seq, .envelope = { envelope, sizeof(envelope) } };
        char note[64];

        segment_batch_reset(b);
        segment_batch_add_entry(b, &e);
        snprintf(note, sizeof(note), "442000/log\n%llu\nroot\n", (unsigned long long)seq);
        segment_batch_add_head(b, 1, seq, bytes_str(note));
}

/* Writes on, saying on `fd` what is synced, and releases what is old; never comes back. */
static void write_until_killed(int fd)
{
        struct segment_options o = options();
        struct segment_batch *b = segment_batch_new(SMALL);
        struct segment_recovery found;
        struct segment_log *log;

        if (segment_open(&o, &log, &found) < 0)
                _exit(2);
        for (uint64_t seq = found.last_seq + 1, n = 0; n < GROUPS; seq++, n++) {
                add_group(b, seq);
                if (segment_plan(log, b) < 0 || segment_write(log, b) < 0 || segment_sync(log) < 0)
                        _exit(3);
                if (write(fd, &seq, sizeof(seq)) != sizeof(seq))
                        _exit(4);
                if (seq > 20)
                        segment_release(log, seq - 20);
                segment_prepare(log);
        }
        _exit(0);
}

/* The last seq that a child called synced before it was killed; its exit is checked. */
static uint64_t run_child(const char *failpoint)
{
        uint64_t seq, last = 0;
        int fds[2], status;
        pid_t pid;

        assert_int_equal(pipe(fds), 0);
        setenv("SHUYI_FAILPOINT", failpoint, 1);
        pid = fork();
        if (pid == 0) {
                close(fds[0]);
                write_until_killed(fds[1]);
        }
        close(fds[1]);
        while (read(fds[0], &seq, sizeof(seq)) == sizeof(seq))
                last = seq;
        close(fds[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
                fail_msg("%s: was not killed (status %d)", failpoint, status);
        return last;
}

/* Where the log ends: with what was synced, or one group later, written but never acknowledged. */
static uint64_t check_log(const char *failpoint, uint64_t synced)
{
        struct segment_options o = options();
        struct segment_recovery found;
        struct segment_log *log;
        struct segment_cursor *c;
        struct segment_record rec;
        struct segment_entry e;
        uint64_t seq;

        o.synced_seq = synced;
        if (segment_open(&o, &log, &found) < 0)
                fail_msg("%s: file %llu offset %llu: %s", failpoint, (unsigned long long)found.damage.file, (unsigned long long)found.damage.offset, found.reason);
        assert_in_range(found.last_seq, synced, synced + 1);
        assert_int_equal(segment_cursor_open(log, (struct segment_place){0}, 0, 0, &c), 0);
        seq = found.first_seq;
        while (segment_cursor_next(c, &rec) > 0) {
                if (rec.type != SEGMENT_ENTRY)
                        continue;
                assert_true(segment_entry_decode(rec.payload, &e));
                assert_int_equal(e.seq, seq++);
                assert_true(e.outbox_seq == ~e.seq);
        }
        assert_int_equal(seq, found.last_seq + 1);
        segment_cursor_close(c);
        segment_close(log);
        return found.last_seq;
}

static void test_killed_at_each_point_what_was_synced_is_there(void **state)
{
        static const char *const points[] = { "segment.before_write", "segment.before_rename", "segment.after_rename", "segment.half_written",
                                              "segment.before_sync", "segment.after_sync", "segment.after_retire" };
        static const unsigned times[] = { 1, 3, 7 };
        uint64_t end = 0;

        for (unsigned i = 0; i < ELEMENTS(points); i++)
                for (unsigned t = 0; t < ELEMENTS(times); t++) {
                        char failpoint[64];
                        uint64_t last;

                        snprintf(failpoint, sizeof(failpoint), "%s:%u", points[i], times[t]);
                        last = run_child(failpoint);
                        end = check_log(failpoint, last > end ? last : end);
                }
}

static int make_dir(void **state)
{
        temp_dir_make(dir);
        return 0;
}

static int remove_dir(void **state)
{
        temp_dir_remove(dir);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_killed_at_each_point_what_was_synced_is_there, make_dir, remove_dir),
        };

        return cmocka_run_group_tests_name("segment under kill -9", tests, NULL, NULL);
}
