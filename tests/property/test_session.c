/* session: both ends over a link that is cut, with crashes on either side.
 *
 * The broker is a pipeline in memory and a log that survives; the agent an outbox and an inbox that survive.  A cut loses
 * what is under way in both directions (TCP never reorders).  After every step: nothing receipted is missing from the log,
 * no number is there twice, each lane is in order, no credit is exceeded, parcels arrive without gap or double.  When the
 * faults stop, everything settles.  SEED repeats a run. */
#include "common/macro.h"
#include "common/session.h"
#include "tests/lib/bad_link.h"
#include "tests/lib/random_message.h"
#include "tests/lib/unit.h"
#include <stdio.h>
#include <stdlib.h>

#define RUNS 40
#define STEPS 6000
#define SETTLE_STEPS 400000
#define NUMBERS 8192                            /* most numbers a lane, entries in all: a run stays far below */
#define PIPELINE 8192
#define ENVELOPE_MOST 400

/* ---- the world ---- */

struct ticket { uint32_t lane; uint64_t number; uint32_t bytes; };
struct row { uint32_t lane; uint64_t number, seq; enum refusal code; };

struct world {
        struct chance chance;
        struct arena *arena;
        struct mono_time now;
        bool connected, known;                  /* the TCP connection stands; the broker has a session for it */
        struct bad_link up, down;

        /* the broker: lost in a crash */
        struct session_server server;
        uint64_t sessions;
        struct ticket pipeline[PIPELINE];
        unsigned pipeline_n;
        uint64_t parcel_next;                   /* of the feed */
        /* the broker: kept */
        struct { uint32_t lane; uint64_t number; } log[2 * NUMBERS];    /* by seq */
        uint64_t log_n;
        uint64_t seq_of[SESSION_LANES][NUMBERS];        /* 0: no entry */
        bool refused[SESSION_LANES][NUMBERS];
        uint64_t highest[SESSION_LANES];
        uint64_t feed_n;

        /* the agent: lost in a crash */
        struct session_client client;
        /* the agent: kept */
        uint64_t first[SESSION_LANES], end[SESSION_LANES];
        uint64_t inbox;

        unsigned reconnects, crashes, busies, oversteps, repeats;
};

/* ---- envelopes: equal bytes at every sending ---- */

static uint32_t envelope_bytes(uint32_t lane, uint64_t number)
{
        return 16 + (uint32_t)((number * 7919 + lane * 104729) % (ENVELOPE_MOST - 16));
}

static struct bytes envelope_of(struct arena *a, uint32_t lane, uint64_t number)
{
        uint32_t n = envelope_bytes(lane, number);
        uint8_t *p = arena_alloc(a, n);

        memset(p, (int)(number & 0xff), n);
        put_be64(p, lane);
        put_be64(p + 8, number);
        return bytes_of(p, n);
}

/* One in sixteen data envelopes is refused, always the same ones. */
static bool is_refused(uint32_t lane, uint64_t number)
{
        return lane == 1 && number % 16 == 7;
}

/* ---- the broker ---- */

static void broker_say(struct world *w, enum frame_type type, const ProtobufCMessage *m)
{
        bad_link_push(&w->down, frame_encode(w->arena, type, m));
}

static void broker_receipt(struct world *w, const struct row *rows, size_t n)
{
        Shuyi__V1__SignedReceipt signed_receipt = SHUYI__V1__SIGNED_RECEIPT__INIT;
        Shuyi__V1__Receipt receipt = SHUYI__V1__RECEIPT__INIT;
        Shuyi__V1__ReceiptRow *list = ARENA_ARRAY(w->arena, Shuyi__V1__ReceiptRow, n);
        Shuyi__V1__ReceiptRow **pointers = ARENA_ARRAY(w->arena, Shuyi__V1__ReceiptRow *, n);
        uint8_t *packed;

        if (!w->connected || !w->known || w->server.state != SESSION_OPEN)
                return;                         /* nobody to tell: it will ask again */
        for (size_t i = 0; i < n; i++) {
                shuyi__v1__receipt_row__init(&list[i]);
                list[i].lane = rows[i].lane;
                list[i].outbox_seq = rows[i].number;
                list[i].seq = rows[i].seq;
                list[i].code = rows[i].code;
                pointers[i] = &list[i];
                session_server_settle(&w->server, rows[i].lane, rows[i].number);
        }
        receipt.rows = pointers;
        receipt.n_rows = n;
        packed = arena_alloc(w->arena, protobuf_c_message_get_packed_size(&receipt.base));
        signed_receipt.receipt = (ProtobufCBinaryData){ protobuf_c_message_pack(&receipt.base, packed), packed };
        broker_say(w, FRAME_RECEIPT, &signed_receipt.base);
}

/* What the sequencer does: a number is an entry once, and only in order. */
static struct row broker_decide(struct world *w, const struct ticket *t)
{
        struct row row = { t->lane, t->number, w->seq_of[t->lane][t->number], ACCEPTED };

        if (row.seq > 0)
                return row;
        if (t->number <= w->highest[t->lane]) {
                assert_true(w->refused[t->lane][t->number]);    /* passed over only if it was refused: never lost */
                row.code = E_REPLAY;
                return row;
        }
        if (is_refused(t->lane, t->number)) {
                w->refused[t->lane][t->number] = true;
                row.code = E_FROZEN;
                return row;
        }
        w->log[w->log_n].lane = t->lane;
        w->log[w->log_n].number = t->number;
        row.seq = ++w->log_n;
        w->seq_of[t->lane][t->number] = row.seq;
        w->highest[t->lane] = t->number;
        return row;
}

static void broker_run_group(struct world *w)
{
        unsigned n = w->pipeline_n ? 1 + (unsigned)chance_below(&w->chance, w->pipeline_n) : 0;
        struct row *rows = ARENA_ARRAY(w->arena, struct row, n + 1);

        for (unsigned i = 0; i < n; i++)
                rows[i] = broker_decide(w, &w->pipeline[i]);
        memmove(w->pipeline, w->pipeline + n, (w->pipeline_n - n) * sizeof w->pipeline[0]);
        w->pipeline_n -= n;
        if (n > 0)
                broker_receipt(w, rows, n);
}

static void broker_send_parcels(struct world *w)
{
        while (w->connected && w->known && w->parcel_next <= w->feed_n && session_server_may_send(&w->server, 100)) {
                Shuyi__V1__Parcel m = SHUYI__V1__PARCEL__INIT;

                m.number = session_server_sent(&w->server, 100, w->now);
                m.cursor = w->parcel_next++;
                broker_say(w, FRAME_PARCEL, &m.base);
        }
}

static void broker_say_busy(struct world *w, struct session_action a)
{
        Shuyi__V1__Busy m = SHUYI__V1__BUSY__INIT;

        m.lane = a.lane;
        m.outbox_seq = a.number;
        m.reason = a.reason;
        m.retry_ms = a.retry_ms;
        w->busies++;
        w->oversteps += a.why == SESSION_WHY_CREDIT;
        broker_say(w, FRAME_BUSY, &m.base);
}

static void broker_welcome(struct world *w, const struct frame *f)
{
        Shuyi__V1__LaneCredit credit[SESSION_LANES], *rows[SESSION_LANES];
        Shuyi__V1__Welcome m;

        session_server_welcome(&w->server, &m, credit, rows);
        w->parcel_next = f->hello->mail + 1;
        broker_say(w, FRAME_WELCOME, &m.base);
}

static void broker_submit(struct world *w, struct session_action a, const Shuyi__V1__Put *put)
{
        struct bytes same = envelope_of(w->arena, a.lane, a.number);

        assert_true(bytes_equal(same, bytes_of(put->envelope.data, put->envelope.len)));
        if (chance_below(&w->chance, 40) == 0) {
                broker_say_busy(w, session_server_busy(&w->server, a.lane, a.number, BUSY_LOAD, 20));
                return;
        }
        assert_true(w->pipeline_n < PIPELINE);
        w->pipeline[w->pipeline_n++] = (struct ticket){ a.lane, a.number, (uint32_t)put->envelope.len };
}

static void broker_repeat(struct world *w, struct session_action a)
{
        assert_true(w->pipeline_n < PIPELINE);
        w->pipeline[w->pipeline_n++] = (struct ticket){ a.lane, a.number, 0 };
        w->repeats++;
}

static void cut_connection(struct world *w);

static void broker_hear(struct world *w, struct bytes wire)
{
        static const struct session_limits limits = { { 20, 30 }, { 3000, 5000 }, 8, 700, 1000, 1000, 20, 200 };
        const struct session_peer peer = { .domain = "442000", .agent = { { 7 } }, .outbox_epoch = 1 };
        struct session_action a;
        struct frame f;

        assert_int_equal(frame_decode(w->arena, wire, FRAME_TO_BROKER, &f), ACCEPTED);
        if (!w->known)
                session_server_init(&w->server, ++w->sessions, &limits, w->now);
        w->known = true;
        a = session_server_frame(&w->server, &f, &peer, w->now);
        switch (a.what) {
        case SESSION_NOTHING: case SESSION_ACKED: break;
        case SESSION_SEND_WELCOME: broker_welcome(w, &f); break;
        case SESSION_SUBMIT: broker_submit(w, a, f.put); break;
        case SESSION_REPEAT: broker_repeat(w, a); break;
        case SESSION_SEND_BUSY: broker_say_busy(w, a); break;
        case SESSION_SEND_PONG: broker_say(w, FRAME_PONG, &(Shuyi__V1__Ping)SHUYI__V1__PING__INIT.base); break;
        default: fail_msg("the broker would do %d (%s): an honest agent gave no cause", a.what, session_why_text(a.why));
        }
}

/* ---- the agent ---- */

static void agent_say(struct world *w, enum frame_type type, const ProtobufCMessage *m)
{
        if (w->connected)
                bad_link_push(&w->up, frame_encode(w->arena, type, m));
}

static void agent_hello(struct world *w)
{
        static uint8_t id[ID_BYTES] = { 7 };
        Shuyi__V1__Lane lane[SESSION_LANES], *rows[SESSION_LANES];
        Shuyi__V1__Hello m;

        session_client_hello(&w->client, &m, lane, rows);
        m.domain = (char *)"442000";
        m.agent = (ProtobufCBinaryData){ ID_BYTES, id };
        m.mail = w->inbox;
        m.parcel_frames = 50;
        m.parcel_bytes = 5000;
        agent_say(w, FRAME_HELLO, &m.base);
}

static void agent_send(struct world *w)
{
        for (uint32_t l = 0; l < SESSION_LANES; l++) {
                uint64_t number;

                while (session_client_next(&w->client, l, w->now, &number) &&
                       session_client_put(&w->client, l, number, envelope_bytes(l, number), w->now)) {
                        Shuyi__V1__Put m = SHUYI__V1__PUT__INIT;
                        struct bytes e = envelope_of(w->arena, l, number);

                        m.lane = l;
                        m.outbox_epoch = 1;
                        m.outbox_seq = number;
                        m.envelope = (ProtobufCBinaryData){ e.n, (uint8_t *)e.p };
                        agent_say(w, FRAME_PUT, &m.base);
                }
        }
}

static void agent_settle(struct world *w, const Shuyi__V1__ReceiptRow *r)
{
        assert_true(r->lane < SESSION_LANES && r->outbox_seq < w->end[r->lane]);
        if (r->seq > 0)
                assert_true(w->log[r->seq - 1].lane == r->lane && w->log[r->seq - 1].number == r->outbox_seq);
        else
                assert_true(w->refused[r->lane][r->outbox_seq]);
        if (!session_client_settle(&w->client, r->lane, r->outbox_seq))
                return;
        assert_true(r->outbox_seq == w->first[r->lane]);        /* in order, each once */
        w->first[r->lane]++;
}

static void agent_receipt(struct world *w, const Shuyi__V1__SignedReceipt *s)
{
        Shuyi__V1__Receipt *receipt = shuyi__v1__receipt__unpack(arena_allocator(w->arena), s->receipt.len, s->receipt.data);

        assert_non_null(receipt);
        for (size_t i = 0; i < receipt->n_rows; i++)
                agent_settle(w, receipt->rows[i]);
}

static void agent_parcel(struct world *w, const Shuyi__V1__Parcel *p)
{
        Shuyi__V1__ParcelAck ack = SHUYI__V1__PARCEL_ACK__INIT;

        assert_true(p->cursor == w->inbox + 1);         /* no gap, no double */
        w->inbox++;
        ack.number = p->number;
        if (chance_below(&w->chance, 3) == 0 && session_client_ack(&w->client, p->number))
                agent_say(w, FRAME_PARCEL_ACK, &ack.base);
}

/* Acknowledges what chance left. */
static void agent_ack_rest(struct world *w)
{
        Shuyi__V1__ParcelAck ack = SHUYI__V1__PARCEL_ACK__INIT;

        ack.number = w->client.parcel_seen;
        if (session_client_ack(&w->client, ack.number))
                agent_say(w, FRAME_PARCEL_ACK, &ack.base);
}

static void agent_act(struct world *w, struct session_action a, const struct frame *f)
{
        switch (a.what) {
        case SESSION_NOTHING: case SESSION_OPENED: break;
        case SESSION_SEND_HELLO: agent_hello(w); break;
        case SESSION_SEND_PING: agent_say(w, FRAME_PING, &(Shuyi__V1__Ping)SHUYI__V1__PING__INIT.base); break;
        case SESSION_SEND_PONG: agent_say(w, FRAME_PONG, &(Shuyi__V1__Ping)SHUYI__V1__PING__INIT.base); break;
        case SESSION_TAKE_RECEIPT: agent_receipt(w, f->receipt); break;
        case SESSION_TAKE_PARCEL: agent_parcel(w, f->parcel); break;
        case SESSION_CONNECT: session_client_connecting(&w->client, w->now); break;
        case SESSION_RECONNECT:
                if (a.why == SESSION_WHY_PROTOCOL || a.why == SESSION_WHY_FORM)
                        fail_msg("the agent would leave: an honest broker gave no cause");
                cut_connection(w);
                break;
        default: fail_msg("the agent would do %d (%s)", a.what, session_why_text(a.why));
        }
}

static void agent_hear(struct world *w, struct bytes wire)
{
        struct frame f;

        assert_int_equal(frame_decode(w->arena, wire, FRAME_TO_AGENT, &f), ACCEPTED);
        agent_act(w, session_client_frame(&w->client, &f, w->now, (uint32_t)chance_next(&w->chance)), &f);
}

/* ---- faults ---- */

static void cut_connection(struct world *w)
{
        if (!w->connected)
                return;
        bad_link_cut(&w->up);
        bad_link_cut(&w->down);
        w->connected = w->known = false;
        session_client_down(&w->client, w->now);
        w->reconnects++;
}

static void connect_again(struct world *w)
{
        if (w->connected || w->client.phase != SESSION_CONNECTING)
                return;
        w->connected = true;
        agent_act(w, session_client_up(&w->client, w->now), NULL);
}

static void agent_start(struct world *w)
{
        static const struct session_timing timing = { 1000, 3000, 20, 500 };

        session_client_init(&w->client, &timing, 1, w->first, w->end);
}

static void agent_crash(struct world *w)
{
        cut_connection(w);
        agent_start(w);
        w->crashes++;
}

static void broker_crash(struct world *w)
{
        cut_connection(w);
        w->pipeline_n = 0;
        w->crashes++;
}

/* ---- steps ---- */

static void deliver(struct world *w, struct bad_link *link, void (*hear)(struct world *, struct bytes))
{
        uint8_t *frame;
        size_t bytes;

        for (uint64_t n = 1 + chance_below(&w->chance, 30); n > 0 && bad_link_pop(link, &frame, &bytes); n--) {
                struct bytes held = arena_copy(w->arena, bytes_of(frame, bytes));

                free(frame);
                hear(w, held);
        }
}

static void tick(struct world *w)
{
        w->now.ns += chance_below(&w->chance, 30) * 1000000ull;
        agent_act(w, session_client_tick(&w->client, w->now, (uint32_t)chance_next(&w->chance)), NULL);
        if (w->connected && w->known)
                switch (session_server_tick(&w->server, w->now).what) {
                case SESSION_SEND_PING: broker_say(w, FRAME_PING, &(Shuyi__V1__Ping)SHUYI__V1__PING__INIT.base); break;
                case SESSION_CUT: cut_connection(w); break;
                default: break;
                }
}

static void produce(struct world *w)
{
        uint32_t lane = (uint32_t)chance_below(&w->chance, SESSION_LANES);
        uint64_t more = 1 + chance_below(&w->chance, 12);

        if (w->end[lane] + more >= NUMBERS || w->end[lane] + more - w->first[lane] > SESSION_LANE_WINDOW)
                return;
        w->end[lane] += more;
        session_client_extend(&w->client, lane, w->end[lane]);
}

static void step(struct world *w, bool faults)
{
        arena_reset(w->arena);
        switch (chance_below(&w->chance, 16)) {
        case 0: case 1: if (faults) produce(w); break;
        case 2: case 3: case 4: deliver(w, &w->up, broker_hear); break;
        case 5: case 6: case 7: deliver(w, &w->down, agent_hear); break;
        case 8: case 9: broker_run_group(w); break;
        case 10: case 11: agent_send(w); break;
        case 12: broker_send_parcels(w); agent_ack_rest(w); break;
        case 13: connect_again(w); break;
        case 14: tick(w); break;
        case 15:
                if (faults && chance_below(&w->chance, 6) == 0)
                        cut_connection(w);
                else if (faults && chance_below(&w->chance, 40) == 0)
                        agent_crash(w);
                else if (faults && chance_below(&w->chance, 40) == 0)
                        broker_crash(w);
                else if (faults && chance_below(&w->chance, 60) == 0)
                        w->now.ns += 5000000000ull;     /* everybody slept */
                else if (faults)
                        w->feed_n += chance_below(&w->chance, 5);
                break;
        }
}

/* ---- invariants ---- */

static void check_credit(const struct world *w)
{
        for (unsigned l = 0; l < SESSION_LANES; l++) {
                const struct session_lane *s = &w->server.lanes[l];
                const struct session_outlane *c = &w->client.lanes[l];

                if (w->known) {
                        assert_true(s->frames <= w->server.limits.frames[l]);
                        assert_true(s->frames <= 1 || s->bytes <= w->server.limits.bytes[l]);
                }
                assert_true(c->first == w->first[l] && c->first <= c->send && c->send <= c->end && c->end == w->end[l]);
                assert_true(c->frames <= 1 || c->bytes <= c->credit_bytes);
        }
}

/* Incremental: the log only grows. */
static void check_log(const struct world *w, uint64_t *checked, uint64_t last[SESSION_LANES])
{
        for (; *checked < w->log_n; ++*checked) {
                uint32_t l = w->log[*checked].lane;

                assert_true(w->log[*checked].number > last[l]);         /* in order, none twice */
                for (uint64_t n = last[l] + 1; n < w->log[*checked].number; n++)
                        assert_true(w->refused[l][n]);                  /* none left out but the refused */
                last[l] = w->log[*checked].number;
        }
}

static bool all_settled(const struct world *w)
{
        for (unsigned l = 0; l < SESSION_LANES; l++)
                if (w->first[l] != w->end[l])
                        return false;
        return w->inbox == w->feed_n;
}

static void run(uint64_t seed)
{
        struct world *w = calloc(1, sizeof *w);
        uint64_t checked = 0, last[SESSION_LANES] = { 0 };
        unsigned i;

        if (!w)
                abort();
        *w = (struct world){ .chance = { seed }, .arena = arena_new(8 << 20), .now = { 1000000000 }, .first = { 1, 1 }, .end = { 1, 1 }, .parcel_next = 1 };
        agent_start(w);
        printf("# run SEED=%llu\n", (unsigned long long)seed);
        for (i = 0; i < STEPS; i++) {
                step(w, true);
                check_credit(w);
                check_log(w, &checked, last);
        }
        for (i = 0; i < SETTLE_STEPS && !all_settled(w); i++) {
                step(w, false);
                check_credit(w);
                check_log(w, &checked, last);
        }
        if (!all_settled(w))
                fail_msg("not settled: lanes %llu/%llu %llu/%llu, inbox %llu/%llu", (unsigned long long)w->first[0], (unsigned long long)w->end[0],
                         (unsigned long long)w->first[1], (unsigned long long)w->end[1], (unsigned long long)w->inbox, (unsigned long long)w->feed_n);
        assert_true(w->log_n > 100 && w->inbox > 50 && w->reconnects > 5 && w->crashes > 0 && w->busies > 0);  /* something happened */
        assert_true(w->oversteps * 10 <= w->busies);    /* an honest agent hardly ever: when BUSYs and old receipts cross */
        bad_link_cut(&w->up);
        bad_link_cut(&w->down);
        arena_free(w->arena);
        free(w);
}

static void test_nothing_is_lost_or_doubled_over_bad_links(void **state)
{
        struct chance c = chance_start();

        for (unsigned i = 0; i < (getenv("SEED") ? 1 : RUNS); i++)
                run(c.state + i);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_nothing_is_lost_or_doubled_over_bad_links) };

        return cmocka_run_group_tests_name("session-property", tests, NULL, NULL);
}
