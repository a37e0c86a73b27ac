/* http: a connection that sends the input and shuts down.  Whatever it sends, handlers see bounded bodies and parameters of one
 * segment, and what is answered, if anything, is HTTP. */
#include "common/http.h"
#include "common/macro.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/temp_dir.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BODY_MAX 256
#define SEND_MAX (16 * 1024)
#define TURNS_MAX 50

static void handle(struct http_request *rq, struct http_reply *reply, void *ctx)
{
        const char *id = http_param(rq, "id"), *part = http_param(rq, "part"), *query = http_query(rq, "q");

        REQUIRE(http_body(rq).n <= BODY_MAX);
        REQUIRE(!id || (*id && !strchr(id, '/')));
        REQUIRE(!part || (*part && !strchr(part, '/')));
        if (http_is_json(rq))
                http_reply_problem(reply, 409, "E_STATE", id, query);
        else
                http_reply_text(reply, 200, "text/plain", http_header(rq, "Idempotency-Key") ? "key" : "none");
}

static const struct http_route routes[] = {
        { "GET", "/v1/status", handle },
        { "GET", "/v1/things/{id}", handle },
        { "POST", "/v1/things/{id}/parts/{part}", handle },
        { "DELETE", "/v1/things/{id}", handle },
};

static struct http_server *server;
static char dir[256];

static void finish(void)
{
        http_stop(server);
        temp_dir_remove(dir);
}

static void start(void)
{
        static char listen[320];
        static const char *const hosts[] = { "localhost", "shuyi", NULL };
        struct http_options o = { .listen = listen, .routes = routes, .route_count = ELEMENTS(routes), .body_max_bytes = BODY_MAX, .hosts = hosts,
                                  .connections = 16, .external = true, .group = -1 };

        temp_dir_make(dir);
        snprintf(listen, sizeof(listen), "unix:%s/s", dir);
        REQUIRE(http_start(&o, &server) == 0);
        atexit(finish);
}

static int connect_to_it(void)
{
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        snprintf(sa.sun_path, sizeof(sa.sun_path), "%.100s/s", dir);
        REQUIRE(fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
        return fd;
}

/* Lets the server work until the connection is closed or has nothing more to say. */
static size_t receive(int fd, char *to, size_t room)
{
        size_t n = 0;
        ssize_t r;

        for (unsigned turn = 0, idle = 0; turn < TURNS_MAX && idle < 3; turn++) {
                http_run(server);
                while (n < room && (r = recv(fd, to + n, room - n, MSG_DONTWAIT)) > 0) {
                        n += (size_t)r;
                        idle = 0;
                }
                if (n < room && r == 0)
                        break;
                idle++;
        }
        return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        static char answer[64 * 1024];
        size_t got;
        int fd;

        if (!server)
                start();
        fd = connect_to_it();
        http_run(server);
        if (n > 0)
                REQUIRE(send(fd, data, n < SEND_MAX ? n : SEND_MAX, MSG_NOSIGNAL) > 0);
        shutdown(fd, SHUT_WR);
        got = receive(fd, answer, sizeof(answer));
        REQUIRE(got == 0 || (got > 12 && memcmp(answer, "HTTP/1.", 7) == 0));
        close(fd);
        for (unsigned i = 0; i < 3; i++)
                http_run(server);
        return 0;
}
