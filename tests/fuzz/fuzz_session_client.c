/* session_client: an agent's session driven by a script of frames, link events and times.
 *
 * After each step: first <= send <= end in each lane, what was sent and is unsettled adds up, only a receipt moves `first`, and
 * the deadline is when a tick has something to say. */
#include "common/macro.h"
#include "common/session.h"
#include "tests/fuzz/fuzz.h"

#define STEPS_MAX 3000

struct drive {
        struct session_client c;
        struct mono_time now;
        uint64_t first[SESSION_LANES], end[SESSION_LANES];
        bool settling;
};

static void check_lane(const struct session_outlane *l)
{
        uint64_t frames = 0, bytes = 0;

        REQUIRE(l->first <= l->send && l->send <= l->end && l->send - l->first <= SESSION_LANE_WINDOW);
        for (unsigned i = 0; i < SESSION_LANE_WINDOW; i++) {
                frames += l->flight[i] > 0;
                bytes += l->flight[i] > 0 ? l->flight[i] - 1 : 0;
        }
        REQUIRE(l->frames == frames && l->bytes == bytes);
}

static void check(const struct drive *d)
{
        const struct session_client *c = &d->c;

        for (unsigned l = 0; l < SESSION_LANES; l++) {
                check_lane(&c->lanes[l]);
                REQUIRE(c->lanes[l].first == d->first[l] || (d->settling && c->lanes[l].first > d->first[l]));
                REQUIRE(c->lanes[l].end >= d->end[l]);
                REQUIRE(session_client_unsettled(c, l) == c->lanes[l].end - c->lanes[l].first);
        }
        REQUIRE((c->phase == SESSION_SENDING) == (c->session != 0));
        REQUIRE(c->parcel_kept <= c->parcel_seen);
}

static void answer(struct drive *d, enum frame_type type, const ProtobufCMessage *m, uint32_t random)
{
        struct frame f = { .type = type, .message = m };
        enum session_phase before = d->c.phase;
        struct session_action a = session_client_frame(&d->c, &f, d->now, random);

        switch (a.what) {
        case SESSION_NOTHING: case SESSION_SEND_PONG: break;
        case SESSION_OPENED: REQUIRE(before == SESSION_GREETING && d->c.phase == SESSION_SENDING); break;
        case SESSION_TAKE_RECEIPT: case SESSION_TAKE_PAGE: REQUIRE(before == SESSION_SENDING); break;
        case SESSION_TAKE_PARCEL: REQUIRE(before == SESSION_SENDING && a.number == d->c.parcel_seen); break;
        case SESSION_CLOSED: case SESSION_RECONNECT: REQUIRE(d->c.phase == SESSION_WAITING && a.at.ns >= d->now.ns); break;
        default: REQUIRE(!"an answer of an agent");
        }
}

static void say_welcome(struct drive *d, struct script *s)
{
        Shuyi__V1__Welcome w = SHUYI__V1__WELCOME__INIT;
        Shuyi__V1__LaneCredit credit[2] = { SHUYI__V1__LANE_CREDIT__INIT, SHUYI__V1__LANE_CREDIT__INIT }, *rows[2] = { &credit[0], &credit[1] };
        uint8_t odd = script_u8(s);

        w.protocol = odd == 1 ? 2 : SESSION_PROTOCOL;
        w.session = odd == 2 ? 0 : 9;
        w.heartbeat_ms = odd == 3 ? script_u32(s) : 10000;
        credit[1].lane = odd == 4 ? 7 : 1;
        for (unsigned l = 0; l < SESSION_LANES; l++) {
                credit[l].frames = script_u16(s);
                credit[l].bytes = script_u16(s) * 64u;
        }
        w.credit = rows;
        w.n_credit = SESSION_LANES;
        answer(d, FRAME_WELCOME, &w.base, script_u8(s));
}

static void say_busy(struct drive *d, struct script *s)
{
        Shuyi__V1__Busy b = SHUYI__V1__BUSY__INIT;
        uint8_t odd = script_u8(s);

        b.lane = odd == 0 ? 2 : odd % 2;
        b.outbox_seq = d->c.lanes[b.lane % 2].send - script_u8(s);
        b.reason = script_u8(s);
        b.retry_ms = script_u16(s);
        answer(d, FRAME_BUSY, &b.base, script_u8(s));
}

static void say_parcel(struct drive *d, struct script *s)
{
        Shuyi__V1__Parcel p = SHUYI__V1__PARCEL__INIT;
        uint64_t kept = d->c.parcel_kept, number;

        p.number = d->c.parcel_seen + (script_u8(s) == 0 ? 2 : 1);
        answer(d, FRAME_PARCEL, &p.base, 0);
        number = d->c.parcel_seen - script_u8(s) % 4;
        if (session_client_ack(&d->c, number))
                REQUIRE(number > kept && d->c.parcel_kept == number);
}

static void say_small(struct drive *d, struct script *s)
{
        Shuyi__V1__Ping ping = SHUYI__V1__PING__INIT;
        Shuyi__V1__Bye bye = SHUYI__V1__BYE__INIT;
        Shuyi__V1__LaneCredit credit = SHUYI__V1__LANE_CREDIT__INIT;
        Shuyi__V1__Page page = SHUYI__V1__PAGE__INIT;

        switch (script_u8(s) % 8) {
        case 0: bye.retry_ms = script_u32(s); answer(d, FRAME_BYE, &bye.base, script_u8(s)); break;
        case 1: answer(d, FRAME_PONG, &ping.base, 0); break;
        case 2: answer(d, FRAME_PAGE, &page.base, 0); break;
        case 3: answer(d, FRAME_PING, &ping.base, 0); break;
        default:
                credit.lane = script_u8(s) % 3;
                credit.frames = script_u16(s);
                credit.bytes = script_u32(s);
                answer(d, FRAME_CREDIT, &credit.base, 0);
                break;
        }
}

static void send_some(struct drive *d, struct script *s)
{
        uint32_t lane = script_u8(s) % SESSION_LANES, bytes = script_u16(s);
        bool credit = session_client_has_credit(&d->c, lane);
        uint64_t number, before = d->c.lanes[lane].send;

        REQUIRE(!credit || before == d->c.lanes[lane].end);
        if (!session_client_next(&d->c, lane, d->now, &number)) {
                REQUIRE(!session_client_put(&d->c, lane, before, bytes, d->now));
                return;
        }
        REQUIRE(number == before && number < d->c.lanes[lane].end);
        REQUIRE(!session_client_put(&d->c, lane, number + 1, bytes, d->now));
        if (session_client_put(&d->c, lane, number, bytes, d->now))
                REQUIRE(d->c.lanes[lane].send == number + 1 && d->c.lanes[lane].frames <= d->c.lanes[lane].credit_frames);
}

static void settle(struct drive *d, struct script *s)
{
        uint32_t lane = script_u8(s) % SESSION_LANES;
        uint64_t number = d->c.lanes[lane].first + script_u8(s) % 64;

        d->settling = true;
        if (session_client_settle(&d->c, lane, number))
                REQUIRE(!session_client_settle(&d->c, lane, number));
}

static void receipt(struct drive *d, struct script *s)
{
        Shuyi__V1__SignedReceipt r = SHUYI__V1__SIGNED_RECEIPT__INIT;

        answer(d, FRAME_RECEIPT, &r.base, 0);
        settle(d, s);
}

/* Held at BUSY's end there is nothing to say, but the lane goes on. */
static bool released(const struct drive *d, const struct mono_time held[SESSION_LANES])
{
        for (unsigned l = 0; l < SESSION_LANES; l++)
                if (held[l].ns > 0 && d->c.lanes[l].hold.ns == 0)
                        return true;
        return false;
}

static void tick(struct drive *d, struct script *s)
{
        struct mono_time deadline = session_client_deadline(&d->c), held[SESSION_LANES] = { d->c.lanes[0].hold, d->c.lanes[1].hold };
        struct session_action a;

        if (script_u8(s) % 2 && deadline.ns != UINT64_MAX) {
                if (deadline.ns > d->now.ns)
                        d->now = deadline;
                a = session_client_tick(&d->c, d->now, script_u8(s));
                REQUIRE(a.what != SESSION_NOTHING || released(d, held));
        } else {
                d->now.ns += script_u16(s) * 1000000ull;
                a = session_client_tick(&d->c, d->now, script_u8(s));
                REQUIRE(a.what == SESSION_NOTHING || d->now.ns >= deadline.ns);
        }
}

static void link_event(struct drive *d, struct script *s)
{
        uint8_t what = script_u8(s);

        switch (what % 8) {
        case 0: session_client_down(&d->c, d->now); break;
        case 1: session_client_denied(&d->c, E_CRED, d->now, script_u8(s)); break;
        case 2: case 3: case 4: session_client_connecting(&d->c, d->now); break;
        default: REQUIRE(session_client_up(&d->c, d->now).what == SESSION_SEND_HELLO); break;
        }
}

/* Bytes as a peer sends them. */
static void raw(struct drive *d, struct script *s)
{
        _cleanup_(arena_freep) struct arena *a = fuzz_arena(1 << 20);
        struct bytes wire = script_take(s, script_u8(s));
        struct frame f;

        if (frame_decode(a, wire, FRAME_TO_AGENT, &f) == ACCEPTED)
                answer(d, f.type, f.message, 0);
        else
                session_client_garbage(&d->c, d->now, 0);
}

static void step(struct drive *d, struct script *s)
{
        d->settling = false;
        for (unsigned l = 0; l < SESSION_LANES; l++) {
                d->first[l] = d->c.lanes[l].first;
                d->end[l] = d->c.lanes[l].end;
        }
        switch (script_u8(s) % 16) {
        case 0: link_event(d, s); break;
        case 1: case 2: say_welcome(d, s); break;
        case 3: say_busy(d, s); break;
        case 4: say_parcel(d, s); break;
        case 5: say_small(d, s); break;
        case 6: case 7: receipt(d, s); break;
        case 8: tick(d, s); break;
        case 9: raw(d, s); break;
        case 10: case 11: {
                uint32_t lane = script_u8(s) % SESSION_LANES;

                session_client_extend(&d->c, lane, d->end[lane] + script_u8(s));
                break;
        }
        default: send_some(d, s); break;
        }
        check(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        static const struct session_timing timing = SESSION_TIMING_DEFAULT;
        static const uint64_t first[SESSION_LANES] = { 1, 5 }, end[SESSION_LANES] = { 4, 900 };
        struct script s = { data, n };
        struct drive d = { .now = { 1000000000 } };

        session_client_init(&d.c, &timing, 1, first, end);
        for (unsigned i = 0; s.n > 0 && i < STEPS_MAX; i++)
                step(&d, &s);
        return 0;
}
