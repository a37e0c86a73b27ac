/* metrics: sums over threads, what is printed, and promtool's opinion of it where it is installed. */
#include "common/macro.h"
#include "common/metrics.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <cmocka.h>

static const char *code_label(unsigned i)
{
        static const char *const codes[] = { "E_STATE", "a\"b\\c\nd", "数驿" };

        return i < ELEMENTS(codes) ? codes[i] : NULL;
}

#define TEST_METRICS(X) \
        X(M_FRAMES, "shuyi_frames_received_total", METRIC_COUNTER, METRIC_COUNT, "Frames taken from peers.", NULL, NULL) \
        X(M_REFUSED, "shuyi_refused_total", METRIC_COUNTER, METRIC_COUNT, "Refusals, by code.", "code", code_label) \
        X(M_BUSY, "shuyi_sync_busy_seconds_total", METRIC_COUNTER, METRIC_SECONDS, "Time spent in syncs.", NULL, NULL) \
        X(M_STORE, "shuyi_store_used_ratio", METRIC_GAUGE, METRIC_RATIO, "Used of the map.", NULL, NULL) \
        X(M_SYNC, "shuyi_sync_seconds", METRIC_HISTOGRAM, METRIC_SECONDS, "Time of one log sync.", NULL, NULL) \
        X(M_SIZE, "shuyi_frame_bytes", METRIC_HISTOGRAM, METRIC_BYTES, "Size of frames,\nby code \\ path.", "code", code_label)
enum { TEST_METRICS(METRIC_ENUMERATOR) M_COUNT };
static const struct metric_row rows[] = { TEST_METRICS(METRIC_ROW) };

static void *count_a_thousand(void *arg)
{
        for (unsigned i = 0; i < 1000; i++) {
                metrics_inc(arg, M_FRAMES, 0);
                metrics_observe(arg, M_SYNC, 0, 1000000);
        }
        return NULL;
}

static void test_threads_count_apart_and_are_added_up(void **state)
{
        struct metrics *m = metrics_new(rows, M_COUNT);
        pthread_t threads[3];

        for (unsigned i = 0; i < 3; i++)
                pthread_create(&threads[i], NULL, count_a_thousand, metrics_block_new(m));
        free(metrics_format(m, &(size_t){0}));  /* a scrape meanwhile */
        for (unsigned i = 0; i < 3; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(metrics_get(m, M_FRAMES, 0), 3000);
        assert_int_equal(metrics_get(m, M_SYNC, 0), 3000);
        metrics_set_total(m, M_FRAMES, 0, 5);   /* what is kept elsewhere is added */
        assert_int_equal(metrics_get(m, M_FRAMES, 0), 3005);
        metrics_free(m);
}

static char *sample(void)
{
        struct metrics *m = metrics_new(rows, M_COUNT);
        struct metrics_block *b = metrics_block_new(m);
        size_t n;
        char *text;

        metrics_add(b, M_FRAMES, 0, 12);
        metrics_add(b, M_REFUSED, 1, 3);
        metrics_add(b, M_BUSY, 0, 1500000000);
        metrics_set(m, M_STORE, 0, 625);
        metrics_observe(b, M_SYNC, 0, 50000);           /* on a bound: inside */
        metrics_observe(b, M_SYNC, 0, 50001);
        metrics_observe(b, M_SYNC, 0, 60000000000);     /* beyond all */
        metrics_observe(b, M_SIZE, 2, 1024);
        text = metrics_format(m, &n);
        assert_int_equal(strlen(text), n);
        metrics_free(m);
        return text;
}

static void test_what_is_printed(void **state)
{
        static const char *const lines[] = {
                "# HELP shuyi_frames_received_total Frames taken from peers.\n# TYPE shuyi_frames_received_total counter\nshuyi_frames_received_total 12\n",
                "shuyi_refused_total{code=\"a\\\"b\\\\c\\nd\"} 3\n",
                "shuyi_sync_busy_seconds_total 1.5\n",
                "shuyi_store_used_ratio 0.625\n",
                "shuyi_sync_seconds_bucket{le=\"5e-05\"} 1\nshuyi_sync_seconds_bucket{le=\"0.0001\"} 2\n",
                "shuyi_sync_seconds_bucket{le=\"10\"} 2\nshuyi_sync_seconds_bucket{le=\"+Inf\"} 3\nshuyi_sync_seconds_sum 60.000100001\n",
                "shuyi_sync_seconds_count 3\n",
                "# HELP shuyi_frame_bytes Size of frames,\\nby code \\\\ path.\n",
                "shuyi_frame_bytes_bucket{code=\"数驿\",le=\"256\"} 0\nshuyi_frame_bytes_bucket{code=\"数驿\",le=\"1024\"} 1\n",
        };
        char *text = sample();

        for (unsigned i = 0; i < ELEMENTS(lines); i++)
                if (!strstr(text, lines[i]))
                        fail_msg("no line %s in:\n%s", lines[i], text);
        assert_null(strstr(text, "E_STATE"));   /* a label value that never counted */
        free(text);
}

static void test_promtool_finds_nothing_to_say(void **state)
{
        char *text = sample(), said[512] = "";
        char file[] = "/tmp/shuyi-metrics-XXXXXX", command[128];
        int fd, status;
        FILE *f;

        if (system("command -v promtool >/dev/null 2>&1") != 0) {
                free(text);
                skip();
        }
        fd = mkstemp(file);
        f = fdopen(fd, "w");
        fputs(text, f);
        fclose(f);
        free(text);
        snprintf(command, sizeof(command), "promtool check metrics < %s 2>&1", file);
        f = popen(command, "r");
        said[fread(said, 1, sizeof(said) - 1, f)] = '\0';
        status = pclose(f);
        remove(file);
        assert_string_equal(said, "");
        assert_int_equal(status, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_threads_count_apart_and_are_added_up),
                cmocka_unit_test(test_what_is_printed),
                cmocka_unit_test(test_promtool_finds_nothing_to_say),
        };

        return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
