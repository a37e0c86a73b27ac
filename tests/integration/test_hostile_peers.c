/* hostile, peers: who floods, stalls, never reads, or asks for what is not his (DESIGN 8, 14).
 *
 * While one does it, another department's agent is served within SOON_MS; what was done is counted. */
#include "common/times.h"
#include "proto/audit.pb-c.h"
#include "tests/integration/hostile.h"
#include "tests/lib/unit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

static const char *program;

#define SOON_MS 3000

static uint64_t now_ms(void)
{
        return times_mono().ns / 1000000;
}

static void nap(unsigned ms)
{
        nanosleep(&(struct timespec){ ms / 1000, (long)(ms % 1000) * 1000000 }, NULL);
}

/* Civil's stream goes on, receipt and all. */
static void others_are_served(struct hostile *h)
{
        uint64_t from = now_ms(), took;

        assert_refusal(market_update(h->s->m, &h->s->stream, 3).code, ACCEPTED);
        assert_true(stage_tell(h->s));
        h->quiet_seq = h->s->rows[h->s->told - 1].seq;
        took = now_ms() - from;
        if (took > SOON_MS)
                fail_msg("a receipt took %llu ms", (unsigned long long)took);
}

/* ---- floods ---- */

static void test_a_flood_of_bad_envelopes_within_credit_delays_nobody_else(void **state)
{
        struct hostile *h = hostile_new(program, "");
        double refused = hostile_count(h, "shuyi_refused_total{code=\"E_FORM\"}");
        uint64_t until = now_ms() + 3000;
        unsigned sent = 0;

        hostile_open(h);
        h->a.next[0] = h->next[0];
        while (now_ms() < until) {
                for (unsigned i = 0; i < 100; i++, sent++)
                        live_put(&h->a, 0, bytes_str("no envelope"));
                for (unsigned i = 0; i < 50; i++)
                        live_pump_once(&h->a, 0);
                if (sent % 1000 == 0)
                        others_are_served(h);
        }
        others_are_served(h);
        print_message("# %u bad envelopes\n", sent);
        live_wait_metric(&h->s->live, "shuyi_refused_total{code=\"E_FORM\"}", refused + 100);
        hostile_close(h);
        hostile_quiet(h);
        live_wait_metric(&h->s->live, "shuyi_accepted_total{kind=\"REFUSED\"}", 1);     /* they stand in the log as a tally */
        hostile_free(h);
}

static void test_who_ignores_BUSY_and_credit_is_cut_and_comes_back_to_nothing_taken(void **state)
{
        struct hostile *h = hostile_new(program, "link:\n  listen: tcp://127.0.0.1:0\n  credit_frames: 4\n");
        struct forge f = forge_get(h);

        hostile_open(h);
        assert_int_equal(h->a.welcome->credit[0]->frames, 4);
        h->a.next[0] = h->next[0] + 1000;       /* ahead: none of these is ever taken */
        for (unsigned i = 0; i < 20000 && !h->a.down; i++) {
                live_put(&h->a, 0, bytes_str("over"));
                if (i % 64 == 0)
                        live_pump_once(&h->a, 0);
        }
        live_wait_metric(&h->s->live, "shuyi_frames_ignored_total{reason=\"goes on after being refused\"}", 1);
        live_wait_metric(&h->s->live, "shuyi_links_cut_total", 1);
        others_are_served(h);
        hostile_quiet(h);
        hostile_open(h);
        assert_refusal(hostile_act(h, forge_envelope(&f)).code, ACCEPTED);
        hostile_free(h);
}

static void test_a_quota_used_up_is_BUSY_and_only_for_its_link(void **state)
{
        struct hostile *h = hostile_new(program, "link:\n  listen: tcp://127.0.0.1:0\n  quota_bytes: 200KiB\n");
        uint8_t *junk = calloc(1, 60000);

        hostile_open(h);
        h->a.next[1] = h->next[1];
        for (unsigned i = 0; i < 8 && h->a.busies == 0; i++) {
                live_put(&h->a, 1, bytes_of(junk, 60000));
                for (unsigned k = 0; k < 20 && h->a.busies == 0; k++)
                        live_pump_once(&h->a, 5);
        }
        assert_int_equal(h->a.busies, 1);
        assert_int_equal(h->a.busy->reason, BUSY_QUOTA);
        assert_true(h->a.busy->retry_ms >= 1000);
        live_wait_metric(&h->s->live, "shuyi_busy_total{reason=\"QUOTA\"}", 1);
        others_are_served(h);
        free(junk);
        hostile_free(h);
}

/* ---- stalls ---- */

#define STALLED 50

static int raw_connection(struct hostile *h)
{
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        to.sin_port = htons((uint16_t)atoi(strrchr(h->s->live.endpoint, ':') + 1));
        assert_true(fd >= 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
        return fd;
}

static void test_stalls_and_noise_in_the_handshake_end_by_time_and_keep_nobody_out(void **state)
{
        struct hostile *h = hostile_new(program, "link:\n  listen: tcp://127.0.0.1:0\n  handshake: 500ms\n");
        static const char noise[] = "GET / HTTP/1.1\r\nHost: broker\r\n\r\nGET / HTTP/1.1\r\nHost: broker\r\n\r\nGET / HTTP/1.1\r\nHost: broker\r\n\r\n";
        int fds[STALLED];

        for (unsigned i = 0; i < STALLED; i++) {
                fds[i] = raw_connection(h);
                if (i % 2)
                        assert_true(write(fds[i], noise, sizeof(noise) - 1) > 0);
        }
        hostile_open(h);                        /* a newcomer gets in meanwhile */
        others_are_served(h);
        live_wait_metric(&h->s->live, "shuyi_handshakes_failed_total", STALLED / 2);
        for (unsigned i = 0; i < STALLED; i++)
                close(fds[i]);
        hostile_quiet(h);
        hostile_free(h);
}

/* PINGs go unanswered for three heartbeats; all who are silent are cut, and all come back. */
static void test_who_says_nothing_is_cut_after_its_time(void **state)
{
        struct hostile *h = hostile_new(program, "link:\n  listen: tcp://127.0.0.1:0\n  heartbeat: 1s\n");

        hostile_open(h);
        live_wait_metric(&h->s->live, "shuyi_frames_ignored_total{reason=\"silent too long\"}", 4);
        stage_hang_up(h->s);
        hostile_open(h);
        others_are_served(h);
        hostile_free(h);
}

/* ---- messages that our own link would not send ---- */

/* A bare DEALER with mallory's key. */
static void *bare_dealer(struct hostile *h, void *context)
{
        void *socket = zmq_socket(context, ZMQ_DEALER);
        uint8_t public_key[LINK_KEY_BYTES];
        int linger = 0, patience = 10000;

        link_public_key(h->mallory->link_secret, public_key);
        zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, h->s->live.link_key, LINK_KEY_BYTES);
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public_key, LINK_KEY_BYTES);
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, h->mallory->link_secret, LINK_KEY_BYTES);
        zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof(linger));
        zmq_setsockopt(socket, ZMQ_SNDTIMEO, &patience, sizeof(patience));
        assert_int_equal(zmq_connect(socket, h->s->live.endpoint), 0);
        return socket;
}

static void test_several_parts_and_messages_beyond_the_transports_limit_are_not_taken(void **state)
{
        struct hostile *h = hostile_new(program, "");
        void *context = zmq_ctx_new(), *socket = bare_dealer(h, context);
        double bytes = hostile_count(h, "shuyi_frames_received_bytes_total"), admitted;
        uint8_t *huge = calloc(1, 4 << 20);

        zmq_send(socket, "one", 3, ZMQ_SNDMORE);
        zmq_send(socket, "two", 3, 0);
        live_wait_metric(&h->s->live, "shuyi_frames_ignored_total{reason=\"not a frame\"}", 1);
        admitted = hostile_count(h, "shuyi_handshakes_admitted_total");
        assert_int_equal(zmq_send(socket, huge, 4 << 20, 0), 4 << 20);
        live_wait_metric(&h->s->live, "shuyi_handshakes_admitted_total", admitted + 1); /* cut off, it connects again */
        assert_true(hostile_count(h, "shuyi_frames_received_bytes_total") < bytes + (1 << 20));
        zmq_close(socket);
        zmq_ctx_term(context);
        free(huge);
        others_are_served(h);
        hostile_quiet(h);
        hostile_free(h);
}

/* ---- who never reads ---- */

static void ask(struct hostile *h, uint32_t what, uint32_t number)
{
        Shuyi__V1__Read r = SHUYI__V1__READ__INIT;

        r.number = number;
        r.what = what;
        r.limit = UINT32_MAX;
        live_send(&h->a, FRAME_READ, &r.base);
}

static double parcels(struct hostile *h)
{
        return hostile_count(h, "shuyi_parcels_total{type=\"TRUST\"}") + hostile_count(h, "shuyi_parcels_total{type=\"MAIL\"}");
}

static void test_who_never_acknowledges_gets_a_window_and_no_more(void **state)
{
        struct hostile *h = hostile_new(program, "");
        double before = parcels(h);

        hostile_connect(h);
        hostile_hello(h, NULL);                 /* a window of 8; the department's mail and all trust wait */
        live_wait_metric(&h->s->live, "shuyi_frames_received_total{type=\"HELLO\"}", 1);
        nap(700);
        assert_true(parcels(h) <= before + 8);
        others_are_served(h);
        hostile_free(h);
}

static void test_who_asks_and_never_reads_fills_his_own_queue_only(void **state)
{
        struct hostile *h = hostile_new(program, "");
        unsigned asked = 0;

        hostile_open(h);
        for (; asked < 3000; asked++) {
                ask(h, READ_POLICY, asked + 1);         /* large pages, none taken */
                if (asked % 1000 == 0)
                        others_are_served(h);
        }
        others_are_served(h);
        hostile_close(h);
        hostile_open(h);                        /* he may start anew */
        assert_int_equal(live_read(&h->a, READ_POLICY, (struct bytes){ 0 }, 0, (struct bytes){ 0 })->n_rows, 1);
        hostile_quiet(h);
        hostile_free(h);
}

static bool has_quota_page(struct live_agent *a, void *arg)
{
        return a->page && a->page->code == E_QUOTA;
}

static void test_too_many_questions_at_once_are_E_QUOTA(void **state)
{
        struct hostile *h = hostile_new(program, "");
        Shuyi__V1__Read late = SHUYI__V1__READ__INIT;

        hostile_open(h);
        late.what = READ_STATUS;
        late.need_seq = INT64_MAX;              /* an entry that never comes: each waits its whole time */
        for (late.number = 1; late.number <= 100; late.number++)
                live_send(&h->a, FRAME_READ, &late.base);
        live_pump(&h->a, has_quota_page, NULL, "E_QUOTA");
        others_are_served(h);
        hostile_free(h);
}

/* ---- who asks for what is not his ---- */

static const Shuyi__V1__Page *look(struct live_agent *a, uint32_t what, struct bytes key)
{
        return live_read(a, what, key, 0, (struct bytes){ 0 });
}

static void test_R_004_a_third_department_sees_nothing_of_two_others(void **state)
{
        static const uint32_t whats[] = { READ_FILINGS, READ_MATTERS, READ_REQUESTS, READ_GRANTS, READ_SUBSCRIPTIONS, READ_STREAMS };
        struct hostile *h = hostile_new(program, "");
        struct city *c = h->s->m->c;
        struct live_agent *tax;
        uint8_t seq[8];

        city_department(c, CITY_TAX, "tax");
        assert_true(stage_tell(h->s));
        tax = stage_agent(h->s, city_find(c, "tax-agent"));
        for (size_t i = 0; i < sizeof(whats) / sizeof(whats[0]); i++) {
                const Shuyi__V1__Page *page = look(tax, whats[i], (struct bytes){ 0 });

                if (page->code != ACCEPTED || page->n_rows != 0)
                        fail_msg("what %u: %s, %zu rows", whats[i], refusal_text(page->code)->code, page->n_rows);
        }
        assert_int_equal(look(tax, READ_GRANTS, bytes_digest(&h->s->grant))->n_rows, 0);        /* whoever knows the id sees no more */
        assert_int_equal(look(tax, READ_STREAMS, bytes_digest(&h->s->stream.id))->n_rows, 0);
        assert_refusal(look(tax, READ_ENTRY, bytes_digest(&h->s->grant))->code, E_NOT_FOUND);
        put_be64(seq, h->s->rows[h->s->told - 2].seq);
        assert_refusal(look(tax, READ_ENTRY, bytes_of(seq, 8))->code, E_NOT_FOUND);
        assert_refusal(look(tax, READ_AUDIT, (struct bytes){ 0 })->code, E_ROLE);
        assert_refusal(look(tax, READ_LOG, (struct bytes){ 0 })->code, E_ROLE);
        assert_refusal(live_read(tax, READ_AUDIT, (struct bytes){ 0 }, 0, bytes_str("no envelope"))->code, E_ROLE);
        hostile_free(h);
}

static void test_questions_of_no_form_are_answered_and_limits_hold(void **state)
{
        struct hostile *h = hostile_new(program, "");
        Shuyi__V1__Read r = SHUYI__V1__READ__INIT;
        uint8_t noise[4000];

        memset(noise, 0xff, sizeof(noise));
        hostile_open(h);
        assert_refusal(look(&h->a, 0, (struct bytes){ 0 })->code, E_FORM);
        assert_refusal(look(&h->a, UINT32_MAX, (struct bytes){ 0 })->code, E_FORM);
        assert_refusal(look(&h->a, READ_STAFF, bytes_of(noise, sizeof(noise)))->code, E_FORM);
        assert_int_equal(look(&h->a, READ_STAFF, bytes_of(noise, 18))->n_rows, 0);
        assert_refusal(look(&h->a, READ_ENTRY, bytes_of(noise, 5))->code, E_NOT_FOUND);
        assert_refusal(look(&h->a, READ_ENTRY, bytes_of(noise, 8))->code, E_NOT_FOUND);
        for (size_t n = 1; n < 64; n += 7) {                    /* cursors that no page gave */
                r.number = ++h->a.reads;
                r.what = READ_AGENTS;
                r.limit = UINT32_MAX;
                r.after = (ProtobufCBinaryData){ n, noise };
                live_send(&h->a, FRAME_READ, &r.base);
        }
        assert_true(look(&h->a, READ_STATUS, (struct bytes){ 0 })->n_rows == 1);
        assert_true(look(&h->a, READ_AGENTS, (struct bytes){ 0 })->n_rows >= 4);
        hostile_quiet(h);
        hostile_free(h);
}

/* ---- one key, two connections ---- */

static void test_a_second_connection_of_one_key_takes_the_place_of_the_first(void **state)
{
        struct hostile *h = hostile_new(program, "");
        struct live_agent second;
        struct forge f = forge_get(h);

        hostile_open(h);
        live_open(&h->s->live, h->mallory, &second);
        assert_refusal(live_act(&second, 0, forge_envelope(&f)).code, ACCEPTED);
        live_put(&h->a, 0, bytes_str("from the first"));
        live_wait_metric(&h->s->live, "shuyi_frames_ignored_total{reason=\"after BYE\"}", 1);
        assert_int_equal(h->a.rows_n, 0);
        assert_true(hostile_count(h, "shuyi_links") <= 5);
        live_close(&second);
        hostile_free(h);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_flood_of_bad_envelopes_within_credit_delays_nobody_else),
                cmocka_unit_test(test_who_ignores_BUSY_and_credit_is_cut_and_comes_back_to_nothing_taken),
                cmocka_unit_test(test_a_quota_used_up_is_BUSY_and_only_for_its_link),
                cmocka_unit_test(test_stalls_and_noise_in_the_handshake_end_by_time_and_keep_nobody_out),
                cmocka_unit_test(test_who_says_nothing_is_cut_after_its_time),
                cmocka_unit_test(test_several_parts_and_messages_beyond_the_transports_limit_are_not_taken),
                cmocka_unit_test(test_who_never_acknowledges_gets_a_window_and_no_more),
                cmocka_unit_test(test_who_asks_and_never_reads_fills_his_own_queue_only),
                cmocka_unit_test(test_too_many_questions_at_once_are_E_QUOTA),
                cmocka_unit_test(test_R_004_a_third_department_sees_nothing_of_two_others),
                cmocka_unit_test(test_questions_of_no_form_are_answered_and_limits_hold),
                cmocka_unit_test(test_a_second_connection_of_one_key_takes_the_place_of_the_first),
        };

        if (argc < 2)
                return 2;
        program = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
