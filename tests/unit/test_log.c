/* log: a line is one JSON object whatever the fields hold; notify: a datagram where the manager listens. */
#include "common/log.h"
#include "common/macro.h"
#include "common/notify.h"
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#define FORMAT(ret, ...) \
        log_format(LOG_WARNING, "a.b", (const struct log_field[]){ __VA_ARGS__ }, \
                   sizeof((const struct log_field[]){ __VA_ARGS__ }) / sizeof(struct log_field), \
                   (struct wall_time){ 1770861600000 }, (ret), sizeof(ret))

static json_t *parse(const char *text, size_t n)
{
        json_error_t error;
        json_t *j = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);

        if (!j)
                fail_msg("%s in: %.*s", error.text, (int)n, text);
        return j;
}

static void test_fields_stand_in_their_order_and_type(void **state)
{
        struct digest d = { { 0xab } };
        char text[1024];
        size_t n;

        log_init("shuyi-test", LOG_INFO);
        n = FORMAT(text, log_u64("seq", UINT64_MAX), log_i64("delta", -5), log_str("refusal", "E_STATE"), log_bool("late", true),
                   log_errno("fault", -ENOSPC), log_hex("id", bytes_of(d.b, 2)), log_str("none", NULL), log_double("rate", 0.25));
        text[n] = '\0';
        assert_string_equal(text, "{\"time\":\"2026-02-12T02:00:00.000Z\",\"level\":\"warning\",\"program\":\"shuyi-test\",\"event\":\"a.b\","
                            "\"seq\":18446744073709551615,\"delta\":-5,\"refusal\":\"E_STATE\",\"late\":true,\"fault\":\"ENOSPC\","
                            "\"id\":\"ab00\",\"none\":null,\"rate\":0.25}");
}

static void test_hostile_text_stays_inside_its_string(void **state)
{
        static const struct { const char *name, *text, *read; } cases[] = {
                { "quotes and backslashes", "a\"b\\c", "a\"b\\c" },
                { "a line feed and an escape", "a\nb\033[31m", "a\nb\033[31m" },
                { "Chinese passes", "数驿", "数驿" },
                { "a lone continuation byte", "a\x80z", "a?z" },
                { "a truncated sequence at the end", "a\xe6\x95", "a??" },
                { "a surrogate", "\xed\xa0\x80", "???" },
                { "an overlong slash", "\xc0\xaf", "??" },
                { "four bytes", "\xf0\x9f\x90\x8e", "\xf0\x9f\x90\x8e" },
        };
        char text[1024];

        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                size_t n = FORMAT(text, log_str("v", cases[i].text));
                json_t *j = parse(text, n);

                if (memchr(text, '\n', n) || strcmp(json_string_value(json_object_get(j, "v")), cases[i].read) != 0)
                        fail_msg("%s: %.*s", cases[i].name, (int)n, text);
                json_decref(j);
        }
}

static void test_a_line_that_is_too_long_loses_whole_fields_and_says_so(void **state)
{
        char text[512], longer[600];

        memset(longer, 'x', sizeof(longer) - 1);
        longer[sizeof(longer) - 1] = '\0';
        for (size_t keep = 1; keep < sizeof(longer); keep++) {
                json_t *j;
                size_t n;

                longer[keep] = '\0';
                n = FORMAT(text, log_str("v", longer), log_u64("after", 1));
                assert_true(n <= sizeof(text));
                j = parse(text, n);
                assert_true(json_is_true(json_object_get(j, "cut")) == !json_object_get(j, "after"));
                if (json_object_get(j, "v"))
                        assert_int_equal(json_string_length(json_object_get(j, "v")), keep);
                json_decref(j);
                longer[keep] = 'x';
        }
}

static void test_events_below_the_level_are_left_out(void **state)
{
        char text[1024];
        int fds[2];
        ssize_t n;

        assert_int_equal(pipe(fds), 0);
        log_init("t", LOG_NOTICE);
        log_set_fd(fds[1]);
        log_event(LOG_INFO, "not.seen");
        log_event(LOG_NOTICE, "seen", log_u64("n", 1));
        log_set_fd(STDERR_FILENO);
        close(fds[1]);
        n = read(fds[0], text, sizeof(text));
        assert_true(n > 0 && text[n - 1] == '\n');
        json_t *j = parse(text, (size_t)n - 1);
        assert_string_equal(json_string_value(json_object_get(j, "event")), "seen");
        json_decref(j);
        close(fds[0]);
        assert_int_equal(log_level_parse("warning"), LOG_WARNING);
        assert_int_equal(log_level_parse("loud"), -1);
}

static void test_the_manager_gets_a_datagram(void **state)
{
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        socklen_t len;
        char name[64], got[64];
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        ssize_t n;

        unsetenv("NOTIFY_SOCKET");
        assert_int_equal(notify_send("READY=1"), 0);
        snprintf(name, sizeof(name), "@shuyi-test-%d", (int)getpid());
        memcpy(sa.sun_path + 1, name + 1, strlen(name) - 1);
        len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
        assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
        setenv("NOTIFY_SOCKET", name, 1);
        assert_int_equal(notify_send("READY=1"), 0);
        n = recv(fd, got, sizeof(got), MSG_DONTWAIT);
        assert_int_equal(n, 7);
        assert_memory_equal(got, "READY=1", 7);
        close(fd);
        assert_int_equal(notify_send("READY=1"), -ECONNREFUSED);
        setenv("NOTIFY_SOCKET", "relative", 1);
        assert_int_equal(notify_send("READY=1"), -EINVAL);
        unsetenv("NOTIFY_SOCKET");
}

static void test_the_watchdog_wants_half_its_time_and_its_own_process(void **state)
{
        char pid[16];

        unsetenv("WATCHDOG_PID");
        unsetenv("WATCHDOG_USEC");
        assert_int_equal(notify_watchdog_ms(), 0);
        setenv("WATCHDOG_USEC", "30000000", 1);
        assert_int_equal(notify_watchdog_ms(), 15000);
        snprintf(pid, sizeof(pid), "%d", (int)getpid());
        setenv("WATCHDOG_PID", pid, 1);
        assert_int_equal(notify_watchdog_ms(), 15000);
        setenv("WATCHDOG_PID", "1", 1);
        assert_int_equal(notify_watchdog_ms(), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fields_stand_in_their_order_and_type),
                cmocka_unit_test(test_hostile_text_stays_inside_its_string),
                cmocka_unit_test(test_a_line_that_is_too_long_loses_whole_fields_and_says_so),
                cmocka_unit_test(test_events_below_the_level_are_left_out),
                cmocka_unit_test(test_the_manager_gets_a_datagram),
                cmocka_unit_test(test_the_watchdog_wants_half_its_time_and_its_own_process),
        };

        return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
