/* http: routes, bounds, deferred answers, who is at the other end; by a client that writes its bytes itself. */
#include "common/http.h"
#include "common/macro.h"
#include "tests/lib/temp_dir.h"
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[256], listen_at[300];
static struct http_server *server;
static struct http_deferred *_Atomic put_off;
static pthread_t answerer;

/* -- Handlers. -- */

static void handle_status(struct http_request *rq, struct http_reply *reply, void *ctx)
{
        http_reply_text(reply, 200, "text/plain", "well");
}

static void handle_echo(struct http_request *rq, struct http_reply *reply, void *ctx)
{
        char text[400];

        snprintf(text, sizeof(text), "class=%s seq=%s limit=%s json=%d body=%zu", http_param(rq, "class"), http_param(rq, "seq"),
                 http_query(rq, "limit") ? http_query(rq, "limit") : "-", http_is_json(rq), http_body(rq).n);
        http_reply_text(reply, 202, NULL, text);
        snprintf(reply->location, sizeof(reply->location), "/v1/pushes/7");
}

static void handle_tree(struct http_request *rq, struct http_reply *reply, void *ctx)
{
        http_reply_text(reply, 200, "text/plain", http_path(rq));
        reply->cache = "max-age=60";
}

static void handle_peer(struct http_request *rq, struct http_reply *reply, void *ctx)
{
        uid_t uid;
        gid_t gid;
        pid_t pid;
        char text[64];

        if (!http_peer(rq, &uid, &gid, &pid))
                strcpy(text, "unknown");
        else
                snprintf(text, sizeof(text), "uid=%u pid=%d", uid, pid);
        http_reply_text(reply, 200, NULL, text);
}

static void handle_refuse(struct http_request *rq, struct http_reply *reply, void *ctx)
{
        http_reply_problem(reply, 409, "E_STATE", "not in this \"state\"", NULL);
        reply->retry_after_s = 5;
}

static void *answer_soon(void *arg)
{
        struct http_reply reply = {0};

        http_reply_text(&reply, 200, NULL, "later");
        http_answer(arg, &reply);
        return NULL;
}

static void handle_later(struct http_request *rq, struct http_reply *reply, void *ctx)
{
        pthread_create(&answerer, NULL, answer_soon, http_defer(rq));
}

static void handle_never(struct http_request *rq, struct http_reply *reply, void *ctx)
{
        put_off = http_defer(rq);
}

static const struct http_route routes[] = {
        { "GET", "/v1/status", handle_status },
        { "POST", "/v1/resources/{class}/{seq}/records", handle_echo },
        { "GET", "/v1/tree/*", handle_tree },
        { "GET", "/v1/peer", handle_peer },
        { "GET", "/v1/refuse", handle_refuse },
        { "GET", "/v1/later", handle_later },
        { "GET", "/v1/never", handle_never },
        { "DELETE", "/v1/status", handle_refuse },
};

/* -- A client. -- */

static struct sockaddr_un unix_address(const char *path)
{
        struct sockaddr_un sa = { .sun_family = AF_UNIX };

        assert_true(strlen(path) < sizeof(sa.sun_path));
        memcpy(sa.sun_path, path, strlen(path));
        return sa;
}

static int connect_to(const char *where)
{
        struct sockaddr_un sun;
        struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
        int fd;

        if (strncmp(where, "unix:", 5) == 0) {
                sun = unix_address(where + 5);
                fd = socket(AF_UNIX, SOCK_STREAM, 0);
                assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
        } else {
                sin.sin_port = htons((uint16_t)http_port(server));
                fd = socket(AF_INET, SOCK_STREAM, 0);
                assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
        }
        return fd;
}

static char answer[8192];

/* All until the server closes. */
static void read_answer(int fd)
{
        size_t n = 0;
        ssize_t got;

        while (n < sizeof(answer) - 1 && (got = read(fd, answer + n, sizeof(answer) - 1 - n)) > 0)
                n += (size_t)got;
        answer[n] = '\0';
        close(fd);
}

static void ask(const char *request)
{
        int fd = connect_to(listen_at);

        assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
        read_answer(fd);
}

static struct http_options options(void)
{
        return (struct http_options){ .listen = listen_at, .routes = routes, .route_count = ELEMENTS(routes), .body_max_bytes = 1000, .timeout_s = 5 };
}

static int start_unix(void **state)
{
        struct http_options o;

        temp_dir_make(dir);
        snprintf(listen_at, sizeof(listen_at), "unix:%s/api", dir);
        o = options();
        return http_start(&o, &server);
}

static int stop(void **state)
{
        http_stop(server);
        server = NULL;
        if (*dir)
                temp_dir_remove(dir);
        *dir = '\0';
        return 0;
}

#define END "Host: x\r\nConnection: close\r\n\r\n"

struct exchange { const char *name, *request, *status, *contains; };

static const struct exchange exchanges[] = {
        { "a route", "GET /v1/status HTTP/1.1\r\n" END, "HTTP/1.1 200 ", "\r\nContent-Type: text/plain\r\n" },
        { "its body", "GET /v1/status HTTP/1.1\r\n" END, "HTTP/1.1 200 ", "\r\n\r\nwell" },
        { "HEAD is GET without body", "HEAD /v1/status HTTP/1.1\r\n" END, "HTTP/1.1 200 ", "Content-Length: 4" },
        { "no such path", "GET /v1/stat HTTP/1.1\r\n" END, "HTTP/1.1 404 ", "\"status\":404" },
        { "a longer path", "GET /v1/status/x HTTP/1.1\r\n" END, "HTTP/1.1 404 ", "application/problem+json" },
        { "a trailing slash", "GET /v1/status/ HTTP/1.1\r\n" END, "HTTP/1.1 404 ", "\"title\":\"Not Found\"" },
        { "another method", "PUT /v1/status HTTP/1.1\r\n" END, "HTTP/1.1 405 ", "Allow: GET, DELETE" },
        { "parameters, query and type", "POST /v1/resources/A1/42/records?limit=7 HTTP/1.1\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 3\r\n" END "abc",
          "HTTP/1.1 202 ", "class=A1 seq=42 limit=7 json=1 body=3" },
        { "where it went", "POST /v1/resources/A1/42/records HTTP/1.1\r\nContent-Length: 0\r\n" END, "HTTP/1.1 202 ", "Location: /v1/pushes/7" },
        { "another type that begins alike", "POST /v1/resources/A1/42/records HTTP/1.1\r\nContent-Type: application/jsonp\r\nContent-Length: 0\r\n" END, "HTTP/1.1 202 ", "json=0" },
        { "an empty parameter", "POST /v1/resources//42/records HTTP/1.1\r\nContent-Length: 0\r\n" END, "HTTP/1.1 404 ", "" },
        { "a chunked body", "POST /v1/resources/A1/42/records HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" END "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "HTTP/1.1 202 ", "body=5" },
        { "both kinds of length", "POST /v1/resources/A1/42/records HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n" END "3\r\nabc\r\n0\r\n\r\n", "HTTP/1.1 400 ", "beside" },
        { "a body that says it is too large", "POST /v1/resources/A1/42/records HTTP/1.1\r\nContent-Length: 1001\r\n" END, "HTTP/1.1 413 ", "Content Too Large" },
        { "a problem of a refusal", "GET /v1/refuse HTTP/1.1\r\n" END, "HTTP/1.1 409 ",
          "{\"type\":\"urn:shuyi:refusal:E_STATE\",\"title\":\"not in this \\\"state\\\"\",\"status\":409,\"code\":\"E_STATE\"}" },
        { "when to come again", "GET /v1/refuse HTTP/1.1\r\n" END, "HTTP/1.1 409 ", "Retry-After: 5" },
        { "the rest of a path", "GET /v1/tree/a/b/c/d/e/f/g/h HTTP/1.1\r\n" END, "HTTP/1.1 200 ", "\r\n\r\n/v1/tree/a/b/c/d/e/f/g/h" },
        { "a rest of nothing", "GET /v1/tree/ HTTP/1.1\r\n" END, "HTTP/1.1 404 ", "" },
        { "no rest", "GET /v1/tree HTTP/1.1\r\n" END, "HTTP/1.1 404 ", "" },
        { "what caches may keep", "GET /v1/tree/a HTTP/1.1\r\n" END, "HTTP/1.1 200 ", "Cache-Control: max-age=60" },
        { "nothing is kept by caches", "GET /v1/status HTTP/1.1\r\n" END, "HTTP/1.1 200 ", "Cache-Control: no-store" },
};

static void test_requests_and_their_answers(void **state)
{
        struct http_counts counts;

        for (unsigned i = 0; i < ELEMENTS(exchanges); i++) {
                ask(exchanges[i].request);
                if (strncmp(answer, exchanges[i].status, strlen(exchanges[i].status)) != 0 || !strstr(answer, exchanges[i].contains))
                        fail_msg("%s: %s", exchanges[i].name, answer);
        }
        http_counts(server, &counts);
        assert_int_equal(counts.requests, ELEMENTS(exchanges));
        assert_int_equal(counts.too_large, 1);
        assert_int_equal(counts.problems, 11);
}

static void test_a_chunked_body_that_grows_too_large_is_told_so_or_cut(void **state)
{
        static const char head[] = "POST /v1/resources/A1/42/records HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" END;
        char chunk[6 + 512 + 2 + 1];
        int fd;

        snprintf(chunk, sizeof(chunk), "200\r\n%0512d\r\n", 0);
        fd = connect_to(listen_at);
        send(fd, head, strlen(head), MSG_NOSIGNAL);
        for (unsigned i = 0; i < 4; i++)
                send(fd, chunk, strlen(chunk), MSG_NOSIGNAL);
        send(fd, "0\r\n\r\n", 5, MSG_NOSIGNAL);
        read_answer(fd);
        assert_non_null(strstr(answer, "HTTP/1.1 413 "));

        fd = connect_to(listen_at);             /* endless: cut without an answer */
        send(fd, head, strlen(head), MSG_NOSIGNAL);
        for (unsigned i = 0; i < 10000; i++)
                if (send(fd, chunk, strlen(chunk), MSG_NOSIGNAL) < 0)
                        break;
        read_answer(fd);
        assert_string_equal(answer, "");
}

static void test_an_answer_may_come_later_from_another_thread(void **state)
{
        for (unsigned i = 0; i < 50; i++) {
                ask("GET /v1/later HTTP/1.1\r\n" END);
                pthread_join(answerer, NULL);
                assert_non_null(strstr(answer, "\r\n\r\nlater"));
        }
}

static void test_stopping_answers_who_waits_and_survives_a_late_answer(void **state)
{
        static const char request[] = "GET /v1/never HTTP/1.1\r\n" END;
        struct http_reply reply = {0};
        int fd = connect_to(listen_at);

        put_off = NULL;
        send(fd, request, strlen(request), MSG_NOSIGNAL);
        while (!put_off)
                usleep(1000);
        http_stop(server);
        server = NULL;
        read_answer(fd);
        assert_non_null(strstr(answer, "HTTP/1.1 503 "));
        http_reply_text(&reply, 200, NULL, "too late");
        http_answer(put_off, &reply);
        assert_null(reply.body);
}

static void test_the_process_at_the_other_end_is_known(void **state)
{
        char want[64];

        ask("GET /v1/peer HTTP/1.1\r\n" END);
        snprintf(want, sizeof(want), "uid=%u pid=%d", getuid(), getpid());
        assert_non_null(strstr(answer, want));
}

static void test_the_socket_is_ours_and_replaced_when_nobody_answers(void **state)
{
        struct http_options o = options();
        struct http_server *second = NULL;
        struct sockaddr_un sa = unix_address(listen_at + 5);
        struct stat st;
        int fd;

        assert_int_equal(stat(listen_at + 5, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0660);
        assert_int_equal(http_start(&o, &second), -EADDRINUSE);
        assert_null(second);
        ask("GET /v1/status HTTP/1.1\r\n" END);         /* the first is untouched */
        assert_non_null(strstr(answer, "well"));
        http_stop(server);
        server = NULL;
        assert_int_equal(stat(listen_at + 5, &st), -1);

        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
        close(fd);                              /* left behind */
        assert_int_equal(http_start(&o, &server), 0);
        ask("GET /v1/status HTTP/1.1\r\n" END);
        assert_non_null(strstr(answer, "well"));
}

static int start_tcp(void **state)
{
        static const char *const hosts[] = { "localhost:1", "x", NULL };
        struct http_options o;

        strcpy(listen_at, "tcp://127.0.0.1:0");
        o = options();
        o.hosts = hosts;
        return http_start(&o, &server);
}

static void test_tcp_serves_its_hosts_only(void **state)
{
        ask("GET /v1/status HTTP/1.1\r\n" END);
        assert_non_null(strstr(answer, "well"));
        ask("GET /v1/status HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
        assert_non_null(strstr(answer, "HTTP/1.1 403 "));
        ask("GET /v1/peer HTTP/1.1\r\n" END);
        assert_non_null(strstr(answer, "unknown"));
}

static void test_addresses(void **state)
{
        static const struct { const char *name, *listen; bool remote; int r; } cases[] = {
                { "all addresses", "tcp://0.0.0.0:0", false, -EPERM },
                { "all addresses, wanted", "tcp://0.0.0.0:0", true, 0 },
                { "another loopback address", "tcp://127.0.0.2:0", false, 0 },
                { "a name", "tcp://localhost:0", false, -EINVAL },
                { "no port", "tcp://127.0.0.1", false, -EINVAL },
                { "a port too large", "tcp://127.0.0.1:65536", false, -EINVAL },
                { "another scheme", "http://127.0.0.1:0", false, -EINVAL },
                { "a relative socket", "unix:x", false, -EINVAL },
                { "a path too long", "unix:/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567", false, -EINVAL },
        };

        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                struct http_options o = options();
                struct http_server *s = NULL;
                int r;

                o.listen = cases[i].listen;
                o.allow_remote = cases[i].remote;
                r = http_start(&o, &s);
                http_stop(s);
                if (r != cases[i].r)
                        fail_msg("%s: %d", cases[i].name, r);
        }
}

static void test_a_loop_of_the_caller_s_drives_it(void **state)
{
        static const char request[] = "GET /v1/status HTTP/1.1\r\n" END;
        struct http_options o;
        struct pollfd p[2];
        int fd;

        strcpy(listen_at, "tcp://127.0.0.1:0");
        o = options();
        o.external = true;
        assert_int_equal(http_start(&o, &server), 0);
        fd = connect_to(listen_at);
        send(fd, request, strlen(request), MSG_NOSIGNAL);
        p[0] = (struct pollfd){ .fd = http_fd(server), .events = POLLIN };
        p[1] = (struct pollfd){ .fd = fd, .events = POLLIN };
        for (unsigned turns = 0; turns < 100 && !(p[1].revents & POLLIN); turns++) {
                int wait = http_run(server);

                assert_true(poll(p, 2, wait < 0 || wait > 100 ? 100 : wait) >= 0);
        }
        for (unsigned i = 0; i < 4; i++)
                http_run(server);
        read_answer(fd);
        assert_non_null(strstr(answer, "well"));
}

static bool only_with_token(struct http_request *rq, struct http_reply *reply, void *ctx)
{
        const char *token = http_header(rq, "Authorization");

        if (token && strcmp(token, ctx) == 0)
                return true;
        http_reply_problem(reply, 401, NULL, "Unauthorized", NULL);
        return false;
}

static void test_a_request_without_rights_reaches_no_handler(void **state)
{
        struct http_options o;

        strcpy(listen_at, "tcp://127.0.0.1:0");
        o = options();
        o.authorize = only_with_token;
        o.ctx = "Bearer 1";
        assert_int_equal(http_start(&o, &server), 0);
        ask("GET /v1/status HTTP/1.1\r\n" END);
        assert_non_null(strstr(answer, "HTTP/1.1 401 "));
        ask("GET /v1/status HTTP/1.1\r\nAuthorization: Bearer 1\r\n" END);
        assert_non_null(strstr(answer, "well"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_requests_and_their_answers, start_unix, stop),
                cmocka_unit_test_setup_teardown(test_a_chunked_body_that_grows_too_large_is_told_so_or_cut, start_unix, stop),
                cmocka_unit_test_setup_teardown(test_an_answer_may_come_later_from_another_thread, start_unix, stop),
                cmocka_unit_test_setup_teardown(test_stopping_answers_who_waits_and_survives_a_late_answer, start_unix, stop),
                cmocka_unit_test_setup_teardown(test_the_process_at_the_other_end_is_known, start_unix, stop),
                cmocka_unit_test_setup_teardown(test_the_socket_is_ours_and_replaced_when_nobody_answers, start_unix, stop),
                cmocka_unit_test_setup_teardown(test_tcp_serves_its_hosts_only, start_tcp, stop),
                cmocka_unit_test(test_addresses),
                cmocka_unit_test_teardown(test_a_loop_of_the_caller_s_drives_it, stop),
                cmocka_unit_test_teardown(test_a_request_without_rights_reaches_no_handler, stop),
        };

        return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
