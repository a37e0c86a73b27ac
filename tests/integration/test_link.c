/* link: real sockets on loopback: who gets in, what is bounded, what a lost connection takes with it. */
#include "common/frame.h"
#include "common/link.h"
#include "common/macro.h"
#include "common/times.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 20000

/* A broker that knows one key, and an agent with it. */
struct house {
        struct link_context *context;
        struct link_server *server;
        struct link_client *client;
        uint8_t server_public[LINK_KEY_BYTES], server_secret[LINK_KEY_BYTES];
        uint8_t known[LINK_KEY_BYTES], known_secret[LINK_KEY_BYTES];
        struct id agent;
        atomic_int answer;                      /* to the known key */
        char endpoint[128];
};

static enum link_admission admit(void *ctx, const uint8_t key[LINK_KEY_BYTES], const char *address, struct id *ret_agent)
{
        struct house *h = ctx;

        if (memcmp(key, h->known, LINK_KEY_BYTES) != 0)
                return LINK_DENY;
        *ret_agent = h->agent;
        return (enum link_admission)atomic_load(&h->answer);
}

static void open_server(struct house *h, const char *endpoint)
{
        struct link_server_options o = {
                .endpoint = endpoint, .secret_key = h->server_secret, .admit = admit, .admit_ctx = h, .handshake_ms = 500,
                .receive_hwm = 8, .send_hwm = 8,
        };
        int r = link_server_open(h->context, &o, &h->server);

        assert_int_equal(r, 0);
        snprintf(h->endpoint, sizeof h->endpoint, "%s", link_server_endpoint(h->server));
}

static struct link_client *open_client(struct house *h, const uint8_t *server_key, const uint8_t *secret)
{
        struct link_client_options o = { .endpoint = h->endpoint, .server_key = server_key, .secret_key = secret,
                                         .handshake_ms = 500, .reconnect_min_ms = 20, .reconnect_max_ms = 100 };
        struct link_client *l = NULL;

        assert_int_equal(link_client_open(h->context, &o, &l), 0);
        return l;
}

static int setup(void **state)
{
        struct house *h = calloc(1, sizeof *h);

        assert_int_equal(link_context_new(&h->context), 0);
        link_keypair(h->server_public, h->server_secret);
        link_keypair(h->known, h->known_secret);
        memset(h->agent.b, 0xa7, ID_BYTES);
        atomic_store(&h->answer, LINK_ADMIT);
        open_server(h, "tcp://127.0.0.1:*");
        *state = h;
        return 0;
}

static int teardown(void **state)
{
        struct house *h = *state;

        link_client_close(h->client);
        link_server_close(h->server);
        link_context_free(h->context);
        free(h);
        return 0;
}

/* ---- waiting for conditions ---- */

static uint64_t now_ms(void)
{
        return times_mono().ns / 1000000;
}

static enum link_event wait_event(struct link_client *l, enum link_event wanted, unsigned *ret_status)
{
        uint64_t end = now_ms() + PATIENCE_MS;

        while (now_ms() < end) {
                enum link_event e = link_client_event(l, ret_status);

                if (e == wanted)
                        return e;
                if (e == LINK_EVENT_NONE)
                        link_client_wait(l, NULL, NULL, 0, 50);
        }
        return LINK_EVENT_NONE;
}

static struct link_frame *wait_server_frame(struct link_server *s)
{
        uint64_t end = now_ms() + PATIENCE_MS;
        struct link_frame *f = NULL;

        while (!f && now_ms() < end)
                if (link_server_receive(s, &f) == -EAGAIN)
                        link_server_wait(s, NULL, NULL, 0, 50);
        assert_non_null(f);
        return f;
}

static struct link_frame *wait_client_frame(struct link_client *l)
{
        uint64_t end = now_ms() + PATIENCE_MS;
        struct link_frame *f = NULL;

        while (!f && now_ms() < end)
                if (link_client_receive(l, &f) == -EAGAIN)
                        link_client_wait(l, NULL, NULL, 0, 10);
        assert_non_null(f);
        return f;
}

static void connect_known(struct house *h)
{
        h->client = open_client(h, h->server_public, h->known_secret);
        assert_int_equal(wait_event(h->client, LINK_EVENT_UP, NULL), LINK_EVENT_UP);
}

static void say(struct house *h, const char *text)
{
        uint64_t end = now_ms() + PATIENCE_MS;
        int r;

        while ((r = link_client_send(h->client, bytes_str(text))) == -EAGAIN && now_ms() < end)
                link_client_wait(h->client, NULL, NULL, 0, 10);
        assert_int_equal(r, 0);
}

static void expect(struct house *h, const char *text, struct link_route *ret_route)
{
        struct link_frame *f = wait_server_frame(h->server);

        assert_int_equal(f->body.n, strlen(text));
        assert_memory_equal(f->body.p, text, f->body.n);
        if (ret_route)
                *ret_route = f->route;
        link_frame_free(f);
}

/* ---- cases ---- */

static void test_a_frame_comes_with_the_identity_of_its_key(void **state)
{
        struct house *h = *state;
        struct link_route route;
        struct link_frame *f;

        connect_known(h);
        for (unsigned i = 0; i < 100; i++) {    /* after a poll, and without one */
                say(h, "hello");
                f = wait_server_frame(h->server);
                assert_memory_equal(f->agent.b, h->agent.b, ID_BYTES);
                assert_memory_equal(f->key, h->known, LINK_KEY_BYTES);
                assert_string_equal(f->address, "127.0.0.1");
                assert_true(f->fd >= 0);
                route = f->route;
                link_frame_free(f);
        }
        assert_int_equal(link_server_send(h->server, &route, bytes_str("welcome")), 0);
        f = wait_client_frame(h->client);
        assert_int_equal(f->body.n, 7);
        assert_memory_equal(f->body.p, "welcome", 7);
        link_frame_free(f);
}

/* what is not registered does not get in, and is told so. */
static void test_R_004_an_unknown_key_is_denied_and_hears_400(void **state)
{
        struct house *h = *state;
        uint8_t public[LINK_KEY_BYTES], secret[LINK_KEY_BYTES];
        struct link_counts counts;
        unsigned status = 0;

        link_keypair(public, secret);
        h->client = open_client(h, h->server_public, secret);
        assert_int_equal(wait_event(h->client, LINK_EVENT_DENIED, &status), LINK_EVENT_DENIED);
        assert_int_equal(status, LINK_DENY);
        assert_int_equal(link_client_send(h->client, bytes_str("x")), -EAGAIN);
        link_server_counts(h->server, &counts);
        assert_true(counts.denied >= 1);
        assert_int_equal(counts.admitted, 0);
}

static void test_a_denied_client_comes_in_by_a_new_socket(void **state)
{
        struct house *h = *state;
        unsigned status = 0;

        atomic_store(&h->answer, LINK_DENY);
        h->client = open_client(h, h->server_public, h->known_secret);
        assert_int_equal(wait_event(h->client, LINK_EVENT_DENIED, &status), LINK_EVENT_DENIED);
        link_client_pause(h->client);
        assert_int_equal(link_client_wait(h->client, NULL, NULL, 0, 0), 0);
        assert_int_equal(link_client_event(h->client, NULL), LINK_EVENT_NONE);
        assert_int_equal(link_client_send(h->client, bytes_str("x")), -EAGAIN);

        atomic_store(&h->answer, LINK_ADMIT);
        assert_int_equal(link_client_reopen(h->client), 0);
        assert_int_equal(wait_event(h->client, LINK_EVENT_UP, NULL), LINK_EVENT_UP);
        say(h, "now");
        expect(h, "now", NULL);
}

static void test_not_ready_is_tried_again_by_the_same_socket(void **state)
{
        struct house *h = *state;
        struct link_counts counts = { 0 };
        uint64_t end = now_ms() + PATIENCE_MS;

        atomic_store(&h->answer, LINK_NOT_READY);
        h->client = open_client(h, h->server_public, h->known_secret);
        while (counts.not_ready == 0 && now_ms() < end) {
                link_client_wait(h->client, NULL, NULL, 0, 20);
                assert_int_not_equal(link_client_event(h->client, NULL), LINK_EVENT_DENIED);
                link_server_counts(h->server, &counts);
        }
        assert_true(counts.not_ready > 0);
        atomic_store(&h->answer, LINK_ADMIT);
        assert_int_equal(wait_event(h->client, LINK_EVENT_UP, NULL), LINK_EVENT_UP);
}

static void test_a_wrong_server_key_fails_and_says_so(void **state)
{
        struct house *h = *state;
        uint8_t public[LINK_KEY_BYTES], secret[LINK_KEY_BYTES];

        link_keypair(public, secret);
        h->client = open_client(h, public, h->known_secret);
        assert_int_equal(wait_event(h->client, LINK_EVENT_FAILED, NULL), LINK_EVENT_FAILED);
}

static void test_nobody_there_is_unreachable_then_up(void **state)
{
        struct house *h = *state;
        char endpoint[128];

        snprintf(endpoint, sizeof endpoint, "%s", h->endpoint);
        link_server_close(TAKE(h->server));
        h->client = open_client(h, h->server_public, h->known_secret);
        assert_int_equal(wait_event(h->client, LINK_EVENT_UNREACHABLE, NULL), LINK_EVENT_UNREACHABLE);
        open_server(h, endpoint);
        assert_int_equal(wait_event(h->client, LINK_EVENT_UP, NULL), LINK_EVENT_UP);
}

static void test_a_restarted_broker_is_found_again_on_a_new_route(void **state)
{
        struct house *h = *state;
        char endpoint[128];

        connect_known(h);
        say(h, "before");
        expect(h, "before", NULL);
        snprintf(endpoint, sizeof endpoint, "%s", h->endpoint);
        link_server_close(TAKE(h->server));
        assert_int_equal(wait_event(h->client, LINK_EVENT_DOWN, NULL), LINK_EVENT_DOWN);
        assert_int_equal(link_client_send(h->client, bytes_str("lost")), -EAGAIN);
        open_server(h, endpoint);
        assert_int_equal(wait_event(h->client, LINK_EVENT_UP, NULL), LINK_EVENT_UP);
        say(h, "after");
        expect(h, "after", NULL);               /* nothing of the old connection comes first */
}

static void test_a_cut_peer_is_down_and_its_route_is_gone(void **state)
{
        struct house *h = *state;
        uint64_t end = now_ms() + PATIENCE_MS;
        struct link_frame *f;
        int r;

        connect_known(h);
        say(h, "flood");
        f = wait_server_frame(h->server);
        atomic_store(&h->answer, LINK_DENY);
        link_cut(f->fd, link_port(f->fd));
        assert_int_equal(wait_event(h->client, LINK_EVENT_DENIED, NULL), LINK_EVENT_DENIED);    /* DOWN, then refused */
        while ((r = link_server_send(h->server, &f->route, bytes_str("x"))) != -EHOSTUNREACH && now_ms() < end)
                link_server_wait(h->server, NULL, NULL, 0, 10);
        assert_int_equal(r, -EHOSTUNREACH);
        link_frame_free(f);
}

static void test_the_largest_frame_passes_and_one_more_byte_does_not(void **state)
{
        struct house *h = *state;
        uint8_t *big = calloc(1, FRAME_MAX_BYTES + 1);
        struct link_frame *f;
        struct link_route route;

        connect_known(h);
        assert_int_equal(link_client_send(h->client, bytes_of(big, FRAME_MAX_BYTES + 1)), -EMSGSIZE);
        assert_int_equal(link_client_send(h->client, bytes_of(big, FRAME_MAX_BYTES)), 0);
        f = wait_server_frame(h->server);
        assert_int_equal(f->body.n, FRAME_MAX_BYTES);
        route = f->route;
        link_frame_free(f);
        assert_int_equal(link_server_send(h->server, &route, bytes_of(big, FRAME_MAX_BYTES + 1)), -EMSGSIZE);
        assert_int_equal(link_server_send(h->server, &route, bytes_of(big, FRAME_MAX_BYTES)), 0);
        f = wait_client_frame(h->client);
        assert_int_equal(f->body.n, FRAME_MAX_BYTES);
        link_frame_free(f);
        free(big);
}

static void count_release(void *p, void *owner)
{
        atomic_fetch_add((_Atomic int *)owner, 1);
        free(p);
}

static void wait_released(_Atomic int *released, int n)
{
        for (uint64_t end = now_ms() + 5000; atomic_load(released) < n && now_ms() < end;)
                usleep(1000);
        assert_int_equal(atomic_load(released), n);
}

static void test_bytes_given_away_arrive_and_are_released_once_sent_or_not(void **state)
{
        struct house *h = *state;
        static _Atomic int released;
        struct link_route route, nowhere = { .b = { 0, 1, 2, 3, 4 }, .n = 5 };
        struct link_frame *f;

        atomic_store(&released, 0);
        connect_known(h);
        assert_int_equal(link_client_send(h->client, bytes_str("x")), 0);
        f = wait_server_frame(h->server);
        route = f->route;
        link_frame_free(f);
        assert_int_equal(link_server_give(h->server, &route, bytes_of(calloc(1, 70000), 70000), count_release, &released), 0);
        f = wait_client_frame(h->client);
        assert_int_equal(f->body.n, 70000);
        link_frame_free(f);
        wait_released(&released, 1);
        assert_int_equal(link_server_give(h->server, &route, bytes_of(malloc(1), FRAME_MAX_BYTES + 1), count_release, &released), -EMSGSIZE);
        assert_int_equal(atomic_load(&released), 2);
        assert_int_equal(link_server_give(h->server, &nowhere, bytes_of(malloc(1), 1), count_release, &released), -EHOSTUNREACH);
        assert_int_equal(atomic_load(&released), 3);
}

static void test_a_peer_that_never_reads_fills_its_own_queue_only(void **state)
{
        struct house *h = *state;
        uint8_t *big = calloc(1, 256 * 1024);
        struct link_route route;
        int r = 0;
        unsigned sent = 0;

        connect_known(h);
        say(h, "hello");
        expect(h, "hello", &route);
        for (uint64_t still = 0; still < 50 && sent < 100000;) {       /* full, and full for 50 turns */
                r = link_server_send(h->server, &route, bytes_of(big, 256 * 1024));
                still = r == -EAGAIN ? still + 1 : 0;
                if (r == 0)
                        sent++;
                else
                        usleep(2000);
        }
        assert_int_equal(r, -EAGAIN);           /* told, not dropped and not blocked */
        assert_true(sent < 1000);               /* two queues and what TCP holds */
        say(h, "still here");
        expect(h, "still here", NULL);
        free(big);
}

/* 200 TCP connections that never speak: a good peer gets in, and they are gone after the handshake's time. */
static void test_stalls_in_the_handshake_keep_nobody_out(void **state)
{
        struct house *h = *state;
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int silent[200];
        uint64_t end = now_ms() + PATIENCE_MS;
        char byte;

        to.sin_port = htons((uint16_t)atoi(strrchr(h->endpoint, ':') + 1));
        for (unsigned i = 0; i < ELEMENTS(silent); i++) {
                silent[i] = socket(AF_INET, SOCK_STREAM, 0);
                assert_int_equal(connect(silent[i], (struct sockaddr *)&to, sizeof to), 0);
        }
        connect_known(h);
        say(h, "through");
        expect(h, "through", NULL);
        for (unsigned i = 0; i < ELEMENTS(silent); i++) {
                ssize_t n;

                while ((n = recv(silent[i], &byte, 1, MSG_DONTWAIT)) != 0 && !(n < 0 && errno == ECONNRESET) && now_ms() < end)
                        usleep(n < 0 ? 5000 : 0);
                assert_true(n <= 0 && now_ms() < end);
                close(silent[i]);
        }
}

static void test_a_waiting_thread_hears_its_other_descriptors(void **state)
{
        struct house *h = *state;
        int fds[2] = { eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC) };
        bool ready[2] = { true, true };

        assert_int_equal(link_server_wait(h->server, fds, ready, 2, 0), 0);
        assert_false(ready[0] || ready[1]);
        eventfd_write(fds[1], 1);
        assert_int_equal(link_server_wait(h->server, fds, ready, 2, PATIENCE_MS), 0);
        assert_true(!ready[0] && ready[1]);
        connect_known(h);
        say(h, "x");
        while (link_server_wait(h->server, fds, ready, 2, PATIENCE_MS) == 0)
                ;
        assert_true(ready[1]);
        close(fds[0]);
        close(fds[1]);
}

static void test_a_taken_port_is_a_fault_at_start(void **state)
{
        struct house *h = *state;
        struct link_server_options o = { .secret_key = h->server_secret, .admit = admit, .admit_ctx = h, .endpoint = h->endpoint };
        struct link_context *other;
        struct link_server *s = NULL;

        assert_int_equal(link_context_new(&other), 0);
        assert_int_equal(link_server_open(other, &o, &s), -EADDRINUSE);
        o.endpoint = "nonsense";
        assert_int_equal(link_server_open(other, &o, &s), -EINVAL);
        assert_null(s);
        link_context_free(other);
}

static void test_keys_are_a_pair(void **state)
{
        struct house *h = *state;
        uint8_t public[LINK_KEY_BYTES];

        link_public_key(h->known_secret, public);
        assert_memory_equal(public, h->known, LINK_KEY_BYTES);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(test_a_frame_comes_with_the_identity_of_its_key),
                CASE(test_R_004_an_unknown_key_is_denied_and_hears_400),
                CASE(test_a_denied_client_comes_in_by_a_new_socket),
                CASE(test_not_ready_is_tried_again_by_the_same_socket),
                CASE(test_a_wrong_server_key_fails_and_says_so),
                CASE(test_nobody_there_is_unreachable_then_up),
                CASE(test_a_restarted_broker_is_found_again_on_a_new_route),
                CASE(test_a_cut_peer_is_down_and_its_route_is_gone),
                CASE(test_the_largest_frame_passes_and_one_more_byte_does_not),
                CASE(test_bytes_given_away_arrive_and_are_released_once_sent_or_not),
                CASE(test_a_peer_that_never_reads_fills_its_own_queue_only),
                CASE(test_stalls_in_the_handshake_keep_nobody_out),
                CASE(test_a_waiting_thread_hears_its_other_descriptors),
                CASE(test_a_taken_port_is_a_fault_at_start),
                CASE(test_keys_are_a_pair),
        };

        return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
