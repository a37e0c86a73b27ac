/* segment_rewrite under kill -9: a process that rewrites file after file is stopped at each named point; the log opens again
 * with every entry there, whole or cut, and what was begun can be done again. */
#include "common/macro.h"
#include "common/segment.h"
#include "tests/lib/temp_dir.h"
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define SMALL (16u << 10)
#define LAST 40                                 /* three a file */

static char dir[256];

static struct segment_log *open_log(void)
{
        struct segment_options o = { .dir = dir, .domain = "442000", .segment_bytes = SMALL, .keep_free = 2, .allow_volatile = true };
        struct segment_recovery found;
        struct segment_log *log;

        if (segment_open(&o, &log, &found) < 0)
                fail_msg("file %llu offset %llu: %s", (unsigned long long)found.damage.file, (unsigned long long)found.damage.offset, found.reason);
        return log;
}

static void write_log(void)
{
        static uint8_t envelope[3500];
        struct segment_batch *b = segment_batch_new(SMALL);
        struct segment_log *log = open_log();

        for (uint64_t seq = 1; seq <= LAST; seq++) {
                struct segment_entry e = { .epoch = 1, .seq = seq, .outbox_seq = ~seq, .envelope = { envelope, sizeof(envelope) } };
                char note[64];

                segment_batch_reset(b);
                segment_batch_add_entry(b, &e);
                snprintf(note, sizeof(note), "442000/log\n%llu\nroot\n", (unsigned long long)seq);
                segment_batch_add_head(b, 1, seq, bytes_str(note));
                assert_true(segment_plan(log, b) == 0 && segment_write(log, b) == 0 && segment_sync(log) == 0);
        }
        segment_batch_free(b);
        segment_close(log);
}

static int cut(void *ctx, struct segment_entry *e)
{
        e->judged = true;
        e->envelope.n = 10;
        e->purged_by = LAST;
        return 0;
}

/* All that is not yet rewritten. */
static void rewrite_all(void)
{
        struct segment_log *log = open_log();
        struct segment_closed f;
        uint64_t bytes;

        for (uint64_t from = 1; segment_closed_find(log, from, &f); from = f.file + 1)
                if (f.bodies_to == 0 && segment_rewrite(log, &f, &(struct segment_marks){ LAST, 0 }, cut, NULL, &bytes) < 0)
                        _exit(3);
        segment_close(log);
}

/* In a process of its own, since a process looks for its failpoint once. */
static int run_child(void (*work)(void), const char *failpoint)
{
        pid_t pid;
        int status;

        if (failpoint)
                setenv("SHUYI_FAILPOINT", failpoint, 1);
        else
                unsetenv("SHUYI_FAILPOINT");
        pid = fork();
        if (pid == 0) {
                work();
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return status;
}

/* Every entry is there; answers how many are cut. */
static unsigned check_log(void)
{
        struct segment_log *log = open_log();
        struct segment_cursor *c;
        struct segment_record rec;
        struct segment_entry e;
        unsigned n = 0;
        uint64_t seq = 1;

        assert_int_equal(segment_cursor_open(log, (struct segment_place){ 0 }, 0, 0, &c), 0);
        while (segment_cursor_next(c, &rec) > 0) {
                if (rec.type == SEGMENT_HEAD)
                        continue;
                assert_true(segment_record_entry(rec.type, rec.payload, &e));
                assert_int_equal(e.seq, seq++);
                assert_true(e.outbox_seq == ~e.seq);
                assert_int_equal(e.envelope.n, e.purged_by ? 10 : 3500);
                n += e.purged_by > 0;
        }
        assert_int_equal(seq, LAST + 1);
        segment_cursor_close(c);
        segment_close(log);
        return n;
}

/* Nothing but the log's own files is left. */
static void check_names(void)
{
        DIR *d = opendir(dir);
        struct dirent *e;

        assert_non_null(d);
        while ((e = readdir(d)))
                assert_null(strstr(e->d_name, ".new"));
        closedir(d);
}

static void test_killed_at_each_point_of_a_rewriting_no_entry_is_lost(void **state)
{
        static const char *const points[] = { "rewrite.half_written", "rewrite.before_sync", "rewrite.before_rename", "rewrite.after_rename" };
        static const unsigned times[] = { 1, 3, 7 };

        for (unsigned i = 0; i < ELEMENTS(points); i++)
                for (unsigned t = 0; t < ELEMENTS(times); t++) {
                        char failpoint[64];

                        temp_dir_make(dir);
                        assert_int_equal(run_child(write_log, NULL), 0);
                        snprintf(failpoint, sizeof(failpoint), "%s:%u", points[i], times[t]);
                        int status = run_child(rewrite_all, failpoint);
                        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
                                fail_msg("%s: was not killed (status %d)", failpoint, status);
                        assert_in_range(check_log(), 0, LAST - 1);
                        check_names();
                        assert_int_equal(run_child(rewrite_all, NULL), 0);
                        assert_in_range(check_log(), LAST - 4, LAST - 1);       /* all but what the last file holds */
                        temp_dir_remove(dir);
                }
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_killed_at_each_point_of_a_rewriting_no_entry_is_lost) };

        return cmocka_run_group_tests_name("segment_rewrite under kill -9", tests, NULL, NULL);
}
