/* session: both ends, frame by frame. */
#include "common/macro.h"
#include "common/session.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define MS 1000000ull
#define SEC (1000 * MS)

static const struct id agent_id = { { 1, 2, 3 } };
static const struct session_peer peer = { .domain = "442000", .agent = { { 1, 2, 3 } }, .outbox_epoch = 3 };
static const struct session_limits limits = { { 4, 3 }, { 100, 1000 }, 5, 500, 10000, 2000, 50, 10 };
static const struct session_timing timing = { 5000, 60000, 100, 30000 };
static const struct mono_time t0 = { 1000 * SEC };

static struct mono_time later(uint64_t ms)
{
        return (struct mono_time){ t0.ns + ms * MS };
}

/* ---- frames ---- */

struct hello { Shuyi__V1__Hello m; Shuyi__V1__Lane lane[2], *rows[2]; };

static void hello_good(struct hello *h)
{
        shuyi__v1__hello__init(&h->m);
        h->m.protocol = SESSION_PROTOCOL;
        h->m.domain = (char *)"442000";
        h->m.agent = (ProtobufCBinaryData){ ID_BYTES, (uint8_t *)agent_id.b };
        h->m.outbox_epoch = 3;
        for (unsigned l = 0; l < 2; l++) {
                shuyi__v1__lane__init(&h->lane[l]);
                h->lane[l].lane = l;
                h->lane[l].next = 1;
                h->rows[l] = &h->lane[l];
        }
        h->m.lanes = h->rows;
        h->m.n_lanes = 2;
        h->m.parcel_frames = 100;
        h->m.parcel_bytes = 1000;
}

static struct session_action say_hello(struct session_server *s, const struct hello *h)
{
        struct frame f = { .type = FRAME_HELLO, .hello = &h->m };

        return session_server_frame(s, &f, &peer, t0);
}

static struct session_action say_put(struct session_server *s, uint32_t lane, uint64_t number, size_t bytes)
{
        Shuyi__V1__Put m = SHUYI__V1__PUT__INIT;
        struct frame f = { .type = FRAME_PUT, .put = &m };

        m.lane = lane;
        m.outbox_epoch = 3;
        m.outbox_seq = number;
        m.envelope.len = bytes;
        return session_server_frame(s, &f, NULL, t0);
}

static struct session_action say_ack(struct session_server *s, uint64_t number)
{
        Shuyi__V1__ParcelAck m = SHUYI__V1__PARCEL_ACK__INIT;
        struct frame f = { .type = FRAME_PARCEL_ACK, .parcel_ack = &m };

        m.number = number;
        return session_server_frame(s, &f, NULL, t0);
}

static struct session_server *open_server(void)
{
        static struct session_server s;
        struct hello h;

        session_server_init(&s, 7, &limits, t0);
        hello_good(&h);
        assert_int_equal(say_hello(&s, &h).what, SESSION_SEND_WELCOME);
        return &s;
}

/* ---- the broker's end ---- */

static void spoil_nothing(struct hello *h) { }
static void spoil_protocol(struct hello *h) { h->m.protocol = 2; }
static void spoil_domain(struct hello *h) { h->m.domain = (char *)"442001"; }
static void spoil_agent(struct hello *h) { h->m.agent.data = (uint8_t *)"another agent id"; }
static void spoil_agent_size(struct hello *h) { h->m.agent.len = 15; }
static void spoil_epoch_zero(struct hello *h) { h->m.outbox_epoch = 0; }
static void spoil_epoch_lower(struct hello *h) { h->m.outbox_epoch = 2; }
static void spoil_epoch_higher(struct hello *h) { h->m.outbox_epoch = 4; }
static void spoil_lane_missing(struct hello *h) { h->m.n_lanes = 1; }
static void spoil_lane_order(struct hello *h) { h->lane[0].lane = 1; h->lane[1].lane = 0; }
static void spoil_lane_twice(struct hello *h) { h->lane[1].lane = 0; }
static void spoil_number_zero(struct hello *h) { h->lane[1].next = 0; }
static void spoil_number_huge(struct hello *h) { h->lane[1].next = UINT64_MAX; }

static const struct { const char *name; void (*spoil)(struct hello *); enum session_do what; enum refusal code; } hellos[] = {
        { "a good HELLO is welcome", spoil_nothing, SESSION_SEND_WELCOME, ACCEPTED },
        { "a new life of the outbox is welcome", spoil_epoch_higher, SESSION_SEND_WELCOME, ACCEPTED },
        { "an older life is a replay", spoil_epoch_lower, SESSION_SEND_BYE, E_REPLAY },
        { "another protocol", spoil_protocol, SESSION_SEND_BYE, E_FORM },
        { "another domain", spoil_domain, SESSION_SEND_BYE, E_DOMAIN },
        { "another agent than the link key's", spoil_agent, SESSION_SEND_BYE, E_CRED },
        { "half an agent", spoil_agent_size, SESSION_SEND_BYE, E_CRED },
        { "outbox epoch zero", spoil_epoch_zero, SESSION_SEND_BYE, E_FORM },
        { "a lane missing", spoil_lane_missing, SESSION_SEND_BYE, E_FORM },
        { "lanes out of order", spoil_lane_order, SESSION_SEND_BYE, E_FORM },
        { "a lane twice", spoil_lane_twice, SESSION_SEND_BYE, E_FORM },
        { "number zero", spoil_number_zero, SESSION_SEND_BYE, E_FORM },
        { "a number that cannot be counted on", spoil_number_huge, SESSION_SEND_BYE, E_FORM },
};

static void test_hello_is_held_against_the_link(void **state)
{
        for (size_t i = 0; i < ELEMENTS(hellos); i++) {
                struct session_server s;
                struct session_action a;
                struct hello h;

                session_server_init(&s, 7, &limits, t0);
                hello_good(&h);
                hellos[i].spoil(&h);
                a = say_hello(&s, &h);
                if (a.what != hellos[i].what || a.code != hellos[i].code)
                        fail_msg("case \"%s\": %d %d", hellos[i].name, a.what, a.code);
                assert_int_equal(s.state, a.what == SESSION_SEND_WELCOME ? SESSION_OPEN : SESSION_DEAD);
        }
}

static void test_welcome_says_the_credit(void **state)
{
        struct session_server *s = open_server();
        Shuyi__V1__LaneCredit credit[2], *rows[2];
        Shuyi__V1__Welcome w;

        session_server_welcome(s, &w, credit, rows);
        assert_true(w.protocol == 1 && w.session == 7 && w.heartbeat_ms == 10000 && w.max_frame == FRAME_MAX_BYTES);
        assert_true(w.n_credit == 2 && credit[1].lane == 1 && credit[1].frames == 3 && credit[1].bytes == 1000);
        assert_int_equal(s->parcel_frames, 5);          /* ours is less than was asked for */
        assert_int_equal(s->parcel_bytes, 500);
}

static void test_nothing_is_taken_before_hello_and_a_second_one_ends_it(void **state)
{
        struct session_server s;
        struct session_action a;
        struct hello h;

        session_server_init(&s, 7, &limits, t0);
        a = say_put(&s, 0, 1, 10);
        assert_true(a.what == SESSION_NOTHING && a.why == SESSION_WHY_NO_HELLO);
        hello_good(&h);
        assert_int_equal(say_hello(&s, &h).what, SESSION_SEND_WELCOME);
        assert_int_equal(say_hello(&s, &h).what, SESSION_SEND_BYE);
        a = say_put(&s, 0, 1, 10);
        assert_true(a.what == SESSION_NOTHING && a.why == SESSION_WHY_AFTER_BYE);
        assert_int_equal(s.ignored[SESSION_WHY_AFTER_BYE], 1);
}

static void test_who_goes_on_after_BYE_is_cut(void **state)
{
        struct session_limits few = limits;
        struct session_server s;

        few.strikes = 3;
        session_server_init(&s, 7, &few, t0);
        assert_int_equal(session_server_garbage(&s, t0).what, SESSION_SEND_BYE);
        for (unsigned i = 0; i < few.strikes; i++)
                assert_int_equal(i % 2 ? session_server_garbage(&s, t0).what : say_put(&s, 0, 1, 10).what, SESSION_NOTHING);
        assert_int_equal(session_server_garbage(&s, t0).what, SESSION_CUT);
}

/* Steps of one lane-0 story: PUT number/bytes, or settle (bytes 0), and what comes of it. */
struct step { uint64_t number; uint32_t bytes; enum session_do what; enum session_why why; };

static void play(const char *name, const struct step *steps, size_t n)
{
        struct session_server *s = open_server();

        for (size_t i = 0; i < n; i++) {
                struct session_action a;

                if (steps[i].bytes == 0) {
                        if (!session_server_settle(s, 0, steps[i].number))
                                fail_msg("story \"%s\", step %zu: not settled", name, i);
                        continue;
                }
                a = say_put(s, 0, steps[i].number, steps[i].bytes);
                if (a.what != steps[i].what || a.why != steps[i].why)
                        fail_msg("story \"%s\", step %zu: %d (%s)", name, i, a.what, session_why_text(a.why));
        }
}

static void test_a_lane_takes_exactly_the_next(void **state)
{
        static const struct step order[] = {
                { 1, 10, SESSION_SUBMIT, SESSION_WHY_OK }, { 2, 10, SESSION_SUBMIT, SESSION_WHY_OK },
                { 4, 10, SESSION_SEND_BUSY, SESSION_WHY_GAP }, { 5, 10, SESSION_NOTHING, SESSION_WHY_QUENCHED },
                { 3, 10, SESSION_SUBMIT, SESSION_WHY_OK }, { 4, 10, SESSION_SUBMIT, SESSION_WHY_OK },
        };
        static const struct step again[] = {
                { 1, 10, SESSION_SUBMIT, SESSION_WHY_OK }, { 1, 10, SESSION_NOTHING, SESSION_WHY_IN_FLIGHT },
                { 1, 0, 0, 0 }, { 1, 10, SESSION_REPEAT, SESSION_WHY_REPEAT }, { 2, 10, SESSION_SUBMIT, SESSION_WHY_OK },
        };
        static const struct step left_behind[] = {      /* a receipt of a former session moves the lane on */
                { 1, 0, 0, 0 }, { 1, 10, SESSION_REPEAT, SESSION_WHY_REPEAT }, { 2, 10, SESSION_SUBMIT, SESSION_WHY_OK },
        };

        static const struct step ahead[] = {            /* of a former session, while numbers before it are in flight */
                { 1, 10, SESSION_SUBMIT, SESSION_WHY_OK }, { 2, 0, 0, 0 }, { 2, 10, SESSION_REPEAT, SESSION_WHY_REPEAT },
                { 3, 10, SESSION_SUBMIT, SESSION_WHY_OK }, { 1, 0, 0, 0 },
        };

        play("ahead", ahead, ELEMENTS(ahead));
        play("in order", order, ELEMENTS(order));
        play("again", again, ELEMENTS(again));
        play("left behind", left_behind, ELEMENTS(left_behind));
}

static void test_credit_is_a_window_of_frames_and_bytes(void **state)
{
        static const struct step frames[] = {
                { 1, 10, SESSION_SUBMIT, SESSION_WHY_OK }, { 2, 10, SESSION_SUBMIT, SESSION_WHY_OK },
                { 3, 10, SESSION_SUBMIT, SESSION_WHY_OK }, { 4, 10, SESSION_SUBMIT, SESSION_WHY_OK },
                { 5, 10, SESSION_SEND_BUSY, SESSION_WHY_CREDIT }, { 6, 10, SESSION_NOTHING, SESSION_WHY_QUENCHED },
                { 1, 0, 0, 0 }, { 5, 10, SESSION_SUBMIT, SESSION_WHY_OK }, { 6, 10, SESSION_SEND_BUSY, SESSION_WHY_CREDIT },
        };
        static const struct step bytes[] = {
                { 1, 60, SESSION_SUBMIT, SESSION_WHY_OK }, { 2, 40, SESSION_SUBMIT, SESSION_WHY_OK },
                { 3, 1, SESSION_SEND_BUSY, SESSION_WHY_CREDIT }, { 2, 0, 0, 0 }, { 3, 41, SESSION_SEND_BUSY, SESSION_WHY_CREDIT },
                { 3, 40, SESSION_SUBMIT, SESSION_WHY_OK },
        };
        static const struct step alone[] = {            /* larger than the credit: alone it passes */
                { 1, 5000, SESSION_SUBMIT, SESSION_WHY_OK }, { 2, 1, SESSION_SEND_BUSY, SESSION_WHY_CREDIT },
                { 1, 0, 0, 0 }, { 2, 5000, SESSION_SUBMIT, SESSION_WHY_OK },
        };

        play("frames", frames, ELEMENTS(frames));
        play("bytes", bytes, ELEMENTS(bytes));
        play("alone", alone, ELEMENTS(alone));
}

static void test_lanes_have_their_own_numbers_and_credit(void **state)
{
        struct session_server *s = open_server();

        for (uint64_t n = 1; n <= 4; n++)
                assert_int_equal(say_put(s, 0, n, 10).what, SESSION_SUBMIT);
        assert_int_equal(say_put(s, 0, 5, 10).what, SESSION_SEND_BUSY);
        assert_int_equal(say_put(s, 1, 1, 10).what, SESSION_SUBMIT);
        assert_int_equal(session_server_unsettled(s), 5);
        assert_true(session_server_settle(s, 1, 1));
        assert_false(session_server_settle(s, 1, 1));
        assert_int_equal(session_server_unsettled(s), 4);
}

static void test_a_pipeline_that_is_full_takes_a_submit_back(void **state)
{
        struct session_server *s = open_server();
        struct session_action a;

        assert_int_equal(say_put(s, 0, 1, 30).what, SESSION_SUBMIT);
        assert_int_equal(say_put(s, 0, 2, 40).what, SESSION_SUBMIT);
        a = session_server_busy(s, 0, 2, BUSY_SPACE, 1000);
        assert_true(a.what == SESSION_SEND_BUSY && a.number == 2 && a.reason == BUSY_SPACE && a.retry_ms == 1000);
        assert_true(s->lanes[0].frames == 1 && s->lanes[0].bytes == 30);
        assert_int_equal(say_put(s, 0, 3, 10).why, SESSION_WHY_QUENCHED);
        assert_int_equal(say_put(s, 0, 2, 40).what, SESSION_SUBMIT);
        assert_false(session_server_settle(s, 0, 4));           /* too early: it will be told again */

        assert_int_equal(say_put(s, 0, 3, 10).what, SESSION_SUBMIT);    /* a whole group is taken back */
        assert_true(session_server_busy(s, 0, 2, BUSY_SPACE, 1000).number == 2);
        assert_true(s->lanes[0].frames == 1 && s->lanes[0].bytes == 30);
        assert_true(session_server_busy(s, 0, 3, BUSY_SPACE, 1000).number == 2);       /* of the same */
        assert_int_equal(say_put(s, 0, 2, 40).what, SESSION_SUBMIT);
}

static void test_what_cannot_be_ends_the_session(void **state)
{
        Shuyi__V1__Put other_epoch = SHUYI__V1__PUT__INIT;
        struct frame f = { .type = FRAME_PUT, .put = &other_epoch };

        assert_int_equal(say_put(open_server(), 2, 1, 10).what, SESSION_SEND_BYE);
        assert_int_equal(say_put(open_server(), 0, 0, 10).what, SESSION_SEND_BYE);
        other_epoch.outbox_epoch = 4;
        other_epoch.outbox_seq = 1;
        assert_int_equal(session_server_frame(open_server(), &f, NULL, t0).what, SESSION_SEND_BYE);
        assert_int_equal(session_server_garbage(open_server(), t0).code, E_FORM);
        assert_int_equal(say_ack(open_server(), 1).what, SESSION_SEND_BYE);
}

static void test_who_goes_on_after_being_refused_is_cut(void **state)
{
        struct session_server *s = open_server();
        unsigned n = 0;

        assert_int_equal(say_put(s, 0, 9, 10).what, SESSION_SEND_BUSY);
        while (say_put(s, 0, 10 + n, 10).what == SESSION_NOTHING)
                n++;
        assert_int_equal(n, limits.strikes - 1);
        assert_int_equal(s->state, SESSION_DEAD);
        assert_int_equal(s->ignored[SESSION_WHY_STRIKES], 1);

        s = open_server();                      /* one that obeys is not */
        for (uint64_t i = 1; i < 100; i++) {
                assert_int_equal(say_put(s, 0, i + 1, 10).what, SESSION_SEND_BUSY);
                assert_int_equal(say_put(s, 0, i, 10).what, SESSION_SUBMIT);
                assert_true(session_server_settle(s, 0, i));
        }
}

static void test_parcels_have_a_window(void **state)
{
        struct session_server *s = open_server();
        struct session_action a;

        assert_true(session_server_may_send(s, 9999));          /* alone it passes */
        assert_true(session_server_sent(s, 200, t0) == 1);
        assert_false(session_server_may_send(s, 301));
        for (uint64_t n = 2; n <= 5; n++) {
                assert_true(session_server_may_send(s, 75));
                assert_true(session_server_sent(s, 75, t0) == n);
        }
        assert_false(session_server_may_send(s, 0));
        a = say_ack(s, 3);
        assert_true(a.what == SESSION_ACKED && a.first == 1 && a.number == 3);
        assert_int_equal(s->parcel_bytes_out, 150);
        assert_int_equal(say_ack(s, 3).what, SESSION_NOTHING);
        assert_int_equal(say_ack(s, 2).what, SESSION_NOTHING);
        assert_true(session_server_may_send(s, 350));
        assert_int_equal(say_ack(s, 6).what, SESSION_SEND_BYE);
        assert_false(session_server_may_send(s, 1));
}

static void test_draining_takes_nothing_and_settles_the_rest(void **state)
{
        struct session_server *s = open_server();
        struct session_action a;

        assert_int_equal(say_put(s, 0, 1, 10).what, SESSION_SUBMIT);
        a = session_server_drain(s, 3000);
        assert_true(a.what == SESSION_SEND_BYE && a.retry_ms == 3000);
        assert_int_equal(session_server_drain(s, 3000).what, SESSION_NOTHING);
        assert_int_equal(say_put(s, 0, 2, 10).why, SESSION_WHY_AFTER_BYE);
        assert_true(session_server_settle(s, 0, 1));
        assert_false(session_server_may_send(s, 1));
}

static void test_credit_may_change(void **state)
{
        struct session_server *s = open_server();

        assert_false(session_server_set_credit(s, 0, 4, 100));
        assert_true(session_server_set_credit(s, 0, 1, 100));
        assert_int_equal(say_put(s, 0, 1, 10).what, SESSION_SUBMIT);
        assert_int_equal(say_put(s, 0, 2, 10).what, SESSION_SEND_BUSY);
        session_server_set_credit(s, 0, 100000, 100);
        assert_int_equal(s->limits.frames[0], SESSION_LANE_WINDOW);
}

static void test_the_broker_pings_and_gives_up(void **state)
{
        struct session_server s;
        struct session_action a;

        session_server_init(&s, 7, &limits, t0);
        assert_true(session_server_deadline(&s).ns == later(2000).ns);
        assert_int_equal(session_server_tick(&s, later(1999)).what, SESSION_NOTHING);
        a = session_server_tick(&s, later(2000));
        assert_true(a.what == SESSION_CUT && a.why == SESSION_WHY_LATE_HELLO);

        s = *open_server();
        assert_true(session_server_deadline(&s).ns == later(10000).ns);
        assert_int_equal(session_server_tick(&s, later(9999)).what, SESSION_NOTHING);
        assert_int_equal(session_server_tick(&s, later(10000)).what, SESSION_SEND_PING);
        assert_int_equal(session_server_tick(&s, later(10001)).what, SESSION_NOTHING);
        assert_int_equal(session_server_tick(&s, later(20000)).what, SESSION_SEND_PING);
        assert_true(session_server_deadline(&s).ns == later(30000).ns);
        a = session_server_tick(&s, later(30000));
        assert_true(a.what == SESSION_CUT && a.why == SESSION_WHY_SILENT);
        assert_true(session_server_deadline(&s).ns == UINT64_MAX);
}

static void test_ping_is_answered_and_bye_taken(void **state)
{
        struct session_server *s = open_server();
        Shuyi__V1__Ping ping = SHUYI__V1__PING__INIT;
        Shuyi__V1__Bye bye = SHUYI__V1__BYE__INIT;
        struct session_action a;

        ping.time = 77;
        a = session_server_frame(s, &(struct frame){ .type = FRAME_PING, .ping = &ping }, NULL, t0);
        assert_true(a.what == SESSION_SEND_PONG && a.number == 77);
        assert_int_equal(session_server_frame(s, &(struct frame){ .type = FRAME_PONG, .ping = &ping }, NULL, t0).what, SESSION_NOTHING);
        assert_int_equal(session_server_frame(s, &(struct frame){ .type = FRAME_BYE, .bye = &bye }, NULL, t0).what, SESSION_CLOSED);
        assert_int_equal(s->state, SESSION_DEAD);
}

/* ---- the agent's end ---- */

static struct session_client *open_client(uint64_t end)
{
        static struct session_client c;
        Shuyi__V1__LaneCredit credit[2] = { SHUYI__V1__LANE_CREDIT__INIT, SHUYI__V1__LANE_CREDIT__INIT }, *rows[2] = { &credit[0], &credit[1] };
        Shuyi__V1__Welcome w = SHUYI__V1__WELCOME__INIT;

        session_client_init(&c, &timing, 3, (uint64_t[]){ 5, 1 }, (uint64_t[]){ end, 1 });
        assert_int_equal(session_client_tick(&c, t0, 0).what, SESSION_CONNECT);
        session_client_connecting(&c, t0);
        assert_int_equal(session_client_up(&c, t0).what, SESSION_SEND_HELLO);
        for (uint32_t l = 0; l < 2; l++) {
                credit[l].lane = l;
                credit[l].frames = 3;
                credit[l].bytes = 100;
        }
        w.protocol = 1;
        w.session = 7;
        w.heartbeat_ms = 10000;
        w.n_credit = 2;
        w.credit = rows;
        assert_int_equal(session_client_frame(&c, &(struct frame){ .type = FRAME_WELCOME, .welcome = &w }, t0, 0).what, SESSION_OPENED);
        return &c;
}

/* Sends what may be sent now, 10 bytes each: the first number and how many. */
static unsigned pump(struct session_client *c, struct mono_time now, uint64_t *ret_first)
{
        unsigned n = 0;
        uint64_t number;

        while (session_client_next(c, 0, now, &number) && session_client_put(c, 0, number, 10, now))
                if (n++ == 0)
                        *ret_first = number;
        return n;
}

static struct session_action hear_busy(struct session_client *c, uint64_t number, uint32_t retry_ms)
{
        Shuyi__V1__Busy m = SHUYI__V1__BUSY__INIT;

        m.outbox_seq = number;
        m.reason = BUSY_LOAD;
        m.retry_ms = retry_ms;
        return session_client_frame(c, &(struct frame){ .type = FRAME_BUSY, .busy = &m }, t0, 0);
}

static struct session_action hear_parcel(struct session_client *c, uint64_t number)
{
        Shuyi__V1__Parcel m = SHUYI__V1__PARCEL__INIT;

        m.number = number;
        return session_client_frame(c, &(struct frame){ .type = FRAME_PARCEL, .parcel = &m }, t0, 0);
}

static void test_hello_names_the_first_unsettled(void **state)
{
        struct session_client *c = open_client(8);
        Shuyi__V1__Lane lane[2], *rows[2];
        Shuyi__V1__Hello h;

        session_client_hello(c, &h, lane, rows);
        assert_true(h.protocol == 1 && h.outbox_epoch == 3 && h.n_lanes == 2);
        assert_true(lane[0].next == 5 && lane[1].lane == 1 && lane[1].next == 1);
}

static void test_the_agent_sends_within_its_credit(void **state)
{
        struct session_client *c = open_client(20);
        uint64_t first = 0, number;

        assert_int_equal(pump(c, t0, &first), 3);
        assert_true(first == 5);
        assert_false(session_client_next(c, 0, t0, &number));
        assert_true(session_client_settle(c, 0, 5));
        assert_false(session_client_settle(c, 0, 5));
        assert_true(session_client_next(c, 0, t0, &number) && number == 8);
        assert_false(session_client_put(c, 0, 8, 81, t0));      /* 20 of 100 bytes are out */
        assert_true(session_client_put(c, 0, 8, 80, t0));
        assert_false(session_client_settle(c, 0, 20));          /* never made */
        assert_false(session_client_next(c, 1, t0, &number));   /* nothing there */
}

static void test_go_back_n_on_busy(void **state)
{
        struct session_client *c = open_client(20);
        uint64_t first = 0, number;

        pump(c, t0, &first);
        assert_int_equal(hear_busy(c, 6, 50).what, SESSION_NOTHING);
        assert_false(session_client_next(c, 0, later(49), &number));
        assert_true(session_client_deadline(c).ns == later(50).ns);
        assert_int_equal(pump(c, later(50), &first), 2);        /* 5 is still out */
        assert_true(first == 6);
        assert_int_equal(hear_busy(c, 21, 50).what, SESSION_RECONNECT); /* never made */
}

static void test_a_held_lane_is_no_reason_to_spin(void **state)
{
        struct session_client *c = open_client(20);
        uint64_t first;

        pump(c, t0, &first);
        hear_busy(c, 8, 50);                    /* nothing to go back for, and no credit left */
        assert_int_equal(session_client_tick(c, later(50), 0).what, SESSION_NOTHING);
        assert_true(session_client_deadline(c).ns > later(50).ns);
}

static void test_a_busy_about_a_settled_number_is_borne_for_a_while(void **state)
{
        struct session_client *c = open_client(20);
        unsigned n = 0;
        uint64_t first;

        pump(c, t0, &first);
        session_client_settle(c, 0, 5);
        while (hear_busy(c, 5, 0).what == SESSION_NOTHING)
                n++;
        assert_true(n > 0 && n < 100);
}

static void test_a_new_session_begins_at_the_first_unsettled(void **state)
{
        struct session_client *c = open_client(20);
        uint64_t first, number;

        pump(c, t0, &first);
        assert_false(session_client_settle(c, 0, 6));           /* ahead of 5: told too early */
        assert_true(c->lanes[0].first == 5 && c->lanes[0].frames == 3);
        assert_int_equal(session_client_down(c, t0).why, SESSION_WHY_LOST);
        assert_false(session_client_next(c, 0, t0, &number));
        assert_true(session_client_settle(c, 0, 5));            /* a receipt that was on its way */
        assert_true(c->lanes[0].first == 6);
        assert_int_equal(session_client_up(c, t0).what, SESSION_SEND_HELLO);
        assert_true(c->lanes[0].send == 6 && c->lanes[0].frames == 0 && c->lanes[0].bytes == 0);
        assert_int_equal(session_client_unsettled(c, 0), 14);
        assert_true(session_client_settle(c, 0, 6));            /* left behind by the former session: passed over */
        assert_true(session_client_next(c, 0, t0, &number) == false && c->lanes[0].send == 7);
}

static void test_parcels_come_without_a_gap(void **state)
{
        struct session_client *c = open_client(5);

        assert_int_equal(hear_parcel(c, 1).what, SESSION_TAKE_PARCEL);
        assert_int_equal(hear_parcel(c, 2).what, SESSION_TAKE_PARCEL);
        assert_false(session_client_ack(c, 3));
        assert_true(session_client_ack(c, 2));
        assert_false(session_client_ack(c, 1));
        assert_int_equal(hear_parcel(c, 4).what, SESSION_RECONNECT);
}

static void test_room_for_one_more(void **state)
{
        struct session_client *c = open_client(5);
        uint64_t first;

        assert_true(session_client_has_credit(c, 0));
        session_client_extend(c, 0, 6);
        assert_false(session_client_has_credit(c, 0));          /* one waits to be sent */
        pump(c, t0, &first);
        assert_true(session_client_has_credit(c, 0));
        session_client_extend(c, 0, 8);
        pump(c, t0, &first);
        assert_false(session_client_has_credit(c, 0));          /* three of three are out */
        session_client_down(c, t0);
        session_client_settle(c, 0, 5);
        assert_false(session_client_has_credit(c, 0));
}

static void test_the_agent_gives_up_in_time(void **state)
{
        struct session_client *c = open_client(20);
        struct session_action a;
        uint64_t first;

        assert_int_equal(session_client_tick(c, later(9999), 0).what, SESSION_NOTHING);
        assert_int_equal(session_client_tick(c, later(10000), 0).what, SESSION_SEND_PING);
        assert_true(session_client_deadline(c).ns == later(20000).ns);
        a = session_client_tick(c, later(30000), 0);
        assert_true(a.what == SESSION_RECONNECT && a.why == SESSION_WHY_SILENT);

        c = open_client(20);
        pump(c, t0, &first);
        c->heard = c->spoke = later(59999);
        assert_int_equal(session_client_tick(c, later(59999), 0).what, SESSION_NOTHING);
        assert_true(session_client_deadline(c).ns == later(60000).ns);
        a = session_client_tick(c, later(60000), 0);
        assert_true(a.what == SESSION_RECONNECT && a.why == SESSION_WHY_LATE_RECEIPT);

        c = open_client(20);
        session_client_up(c, t0);
        a = session_client_tick(c, later(5000), 0);
        assert_true(a.what == SESSION_RECONNECT && a.why == SESSION_WHY_LATE_WELCOME);
}

static void test_back_off_doubles_with_jitter_to_its_most(void **state)
{
        static const uint32_t ceilings[] = { 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000 };
        struct session_client c;

        session_client_init(&c, &timing, 3, (uint64_t[]){ 1, 1 }, (uint64_t[]){ 1, 1 });
        for (unsigned i = 0; i < ELEMENTS(ceilings); i++) {
                struct session_client least = c;
                uint64_t low = session_client_denied(&least, E_UNKNOWN_AGENT, t0, 0).at.ns - t0.ns;
                uint64_t high = session_client_denied(&c, E_UNKNOWN_AGENT, t0, ceilings[i] / 2).at.ns - t0.ns;

                assert_true(low == ceilings[i] / 2 * MS && high == ceilings[i] * MS);
        }
        assert_true(c.last_why == SESSION_WHY_DENIED && c.last_code == E_UNKNOWN_AGENT);
        assert_int_equal(session_client_tick(&c, later(29999), 0).what, SESSION_NOTHING);
        assert_int_equal(session_client_tick(&c, later(30000), 0).what, SESSION_CONNECT);
}

static void test_bye_says_when_to_come_again(void **state)
{
        struct session_client *c = open_client(5);
        Shuyi__V1__Bye bye = SHUYI__V1__BYE__INIT;
        struct session_action a;

        bye.code = E_SUSPENDED;
        bye.retry_ms = 2000;
        a = session_client_frame(c, &(struct frame){ .type = FRAME_BYE, .bye = &bye }, t0, 0);
        assert_true(a.what == SESSION_CLOSED && a.code == E_SUSPENDED && a.at.ns == later(2000).ns);
        assert_int_equal(c->phase, SESSION_WAITING);
        bye.retry_ms = UINT32_MAX;              /* a broker does not send an agent away for weeks */
        c = open_client(5);
        a = session_client_frame(c, &(struct frame){ .type = FRAME_BYE, .bye = &bye }, t0, 0);
        assert_true(a.at.ns == later(30000).ns);
}

static void test_a_broker_that_talks_nonsense_is_left(void **state)
{
        Shuyi__V1__Welcome w = SHUYI__V1__WELCOME__INIT;
        Shuyi__V1__LaneCredit credit = SHUYI__V1__LANE_CREDIT__INIT;

        w.protocol = 1;
        w.session = 8;
        assert_int_equal(session_client_frame(open_client(5), &(struct frame){ .type = FRAME_WELCOME, .welcome = &w }, t0, 0).what, SESSION_RECONNECT);
        credit.lane = 2;
        assert_int_equal(session_client_frame(open_client(5), &(struct frame){ .type = FRAME_CREDIT, .credit = &credit }, t0, 0).what, SESSION_RECONNECT);
        assert_int_equal(session_client_garbage(open_client(5), t0, 0).what, SESSION_RECONNECT);
}

static void test_what_comes_from_a_lost_connection_is_ignored(void **state)
{
        struct session_client *c = open_client(5);

        session_client_down(c, t0);
        assert_int_equal(hear_parcel(c, 1).what, SESSION_NOTHING);
        assert_int_equal(session_client_garbage(c, t0, 0).what, SESSION_NOTHING);
        session_client_up(c, t0);
        assert_int_equal(hear_parcel(c, 1).why, SESSION_WHY_NO_HELLO);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_hello_is_held_against_the_link),
                cmocka_unit_test(test_who_goes_on_after_BYE_is_cut),
                cmocka_unit_test(test_welcome_says_the_credit),
                cmocka_unit_test(test_nothing_is_taken_before_hello_and_a_second_one_ends_it),
                cmocka_unit_test(test_a_lane_takes_exactly_the_next),
                cmocka_unit_test(test_credit_is_a_window_of_frames_and_bytes),
                cmocka_unit_test(test_lanes_have_their_own_numbers_and_credit),
                cmocka_unit_test(test_a_pipeline_that_is_full_takes_a_submit_back),
                cmocka_unit_test(test_what_cannot_be_ends_the_session),
                cmocka_unit_test(test_who_goes_on_after_being_refused_is_cut),
                cmocka_unit_test(test_parcels_have_a_window),
                cmocka_unit_test(test_draining_takes_nothing_and_settles_the_rest),
                cmocka_unit_test(test_credit_may_change),
                cmocka_unit_test(test_the_broker_pings_and_gives_up),
                cmocka_unit_test(test_ping_is_answered_and_bye_taken),
                cmocka_unit_test(test_hello_names_the_first_unsettled),
                cmocka_unit_test(test_the_agent_sends_within_its_credit),
                cmocka_unit_test(test_go_back_n_on_busy),
                cmocka_unit_test(test_a_held_lane_is_no_reason_to_spin),
                cmocka_unit_test(test_a_busy_about_a_settled_number_is_borne_for_a_while),
                cmocka_unit_test(test_a_new_session_begins_at_the_first_unsettled),
                cmocka_unit_test(test_parcels_come_without_a_gap),
                cmocka_unit_test(test_room_for_one_more),
                cmocka_unit_test(test_the_agent_gives_up_in_time),
                cmocka_unit_test(test_back_off_doubles_with_jitter_to_its_most),
                cmocka_unit_test(test_bye_says_when_to_come_again),
                cmocka_unit_test(test_a_broker_that_talks_nonsense_is_left),
                cmocka_unit_test(test_what_comes_from_a_lost_connection_is_ignored),
        };

        return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
