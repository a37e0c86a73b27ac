/* session_server: a session driven by a script of frames, answers and times.
 *
 * After each step: a lane takes one number after the other, what is unsettled adds up, a dead session stays dead, and the
 * deadline is when a tick has something to say. */
#include "common/macro.h"
#include "common/session.h"
#include "tests/fuzz/fuzz.h"

#define DOMAIN "442000"
#define STEPS_MAX 3000

struct drive {
        struct session_server s;
        struct mono_time now;
        struct session_action last;
        struct session_peer peer;
        enum session_state before;
        uint64_t next[SESSION_LANES];
};

static void check_lane(const struct session_lane *l)
{
        uint64_t frames = 0, bytes = 0;

        for (unsigned i = 0; i < SESSION_LANE_WINDOW; i++) {
                frames += l->flight[i] > 0;
                bytes += l->flight[i] > 0 ? l->flight[i] - 1 : 0;
        }
        REQUIRE(l->frames == frames && l->bytes == bytes);
}

static void check(struct drive *d)
{
        const struct session_server *s = &d->s;
        uint64_t out = s->parcel_sent - s->parcel_acked, bytes = 0;

        REQUIRE(session_server_unsettled(s) == (uint64_t)s->lanes[0].frames + s->lanes[1].frames);
        for (unsigned l = 0; l < SESSION_LANES; l++)
                check_lane(&s->lanes[l]);
        REQUIRE(out <= s->parcel_frames && s->parcel_frames <= SESSION_PARCEL_WINDOW);
        for (uint64_t n = s->parcel_acked + 1; n <= s->parcel_sent; n++)
                bytes += s->parcel_flight[n % SESSION_PARCEL_WINDOW];
        REQUIRE(s->parcel_bytes_out == bytes && (out <= 1 || bytes <= s->parcel_bytes));
        REQUIRE(d->before != SESSION_DEAD || s->state == SESSION_DEAD);
        REQUIRE(s->state >= d->before);
}

/* The frame is of the script; what is answered fits the state. */
static void answer(struct drive *d, enum frame_type type, const ProtobufCMessage *m)
{
        struct frame f = { .type = type, .message = m };
        struct session_action a = session_server_frame(&d->s, &f, &d->peer, d->now);

        d->last = a;
        switch (a.what) {
        case SESSION_NOTHING: case SESSION_SERVE_READ: case SESSION_SEND_PONG: case SESSION_SEND_BYE: case SESSION_CUT: case SESSION_CLOSED:
                break;
        case SESSION_SEND_WELCOME:
                REQUIRE(type == FRAME_HELLO && d->before == SESSION_NEW && d->s.state == SESSION_OPEN);
                break;
        case SESSION_SUBMIT:
                REQUIRE(type == FRAME_PUT && d->before == SESSION_OPEN && a.lane < SESSION_LANES);
                REQUIRE(a.number == d->next[a.lane] && d->s.lanes[a.lane].next > a.number);
                break;
        case SESSION_REPEAT:
                REQUIRE(a.number > 0 && a.number < d->s.lanes[a.lane].next);
                break;
        case SESSION_SEND_BUSY:
                REQUIRE(a.number == d->s.lanes[a.lane].next);
                break;
        case SESSION_ACKED:
                REQUIRE(a.first <= a.number && a.number == d->s.parcel_acked && a.number <= d->s.parcel_sent);
                break;
        default:
                REQUIRE(!"an answer of a broker");
        }
        REQUIRE(d->before != SESSION_DEAD || a.what == SESSION_NOTHING);
        REQUIRE(d->before != SESSION_NEW || (a.what != SESSION_SUBMIT && a.what != SESSION_SERVE_READ && a.what != SESSION_ACKED));
}

static void say_hello(struct drive *d, struct script *s)
{
        Shuyi__V1__Hello h = SHUYI__V1__HELLO__INIT;
        Shuyi__V1__Lane lane[3] = { SHUYI__V1__LANE__INIT, SHUYI__V1__LANE__INIT, SHUYI__V1__LANE__INIT }, *rows[3] = { &lane[0], &lane[1], &lane[2] };
        uint8_t odd = script_u8(s);             /* rarely wrong */

        h.protocol = odd == 1 ? 2 : SESSION_PROTOCOL;
        h.domain = odd == 2 ? "440000" : DOMAIN;
        h.agent = (ProtobufCBinaryData){ odd == 3 ? 15 : ID_BYTES, d->peer.agent.b };
        h.outbox_epoch = script_u8(s) % 4;
        h.lanes = rows;
        h.n_lanes = odd == 4 ? 3 : odd == 5 ? 0 : SESSION_LANES;
        lane[1].lane = odd == 6 ? 0 : 1;
        lane[0].next = odd == 7 ? script_u64(s) : 1 + (uint64_t)script_u8(s);
        lane[1].next = 1 + script_u16(s);
        h.parcel_frames = script_u16(s);
        h.parcel_bytes = script_u32(s);
        answer(d, FRAME_HELLO, &h.base);
}

static void put(struct drive *d, struct script *s)
{
        Shuyi__V1__Put p = SHUYI__V1__PUT__INIT;
        uint8_t odd = script_u8(s);

        p.lane = odd < 2 ? 2 : odd % 2;
        p.outbox_epoch = odd == 3 ? 9 : d->s.outbox_epoch;
        p.outbox_seq = d->next[p.lane % 2] + (odd > 200 ? (uint64_t)(int64_t)(int8_t)script_u8(s) : 0);
        p.envelope.len = odd % 8 == 7 ? script_u32(s) % FRAME_MAX_BYTES : script_u8(s);
        answer(d, FRAME_PUT, &p.base);
}

static void settle(struct drive *d, struct script *s)
{
        uint32_t lane = script_u8(s) % SESSION_LANES;
        uint64_t number = d->next[lane] + (uint64_t)(int64_t)(int8_t)script_u8(s), had = session_server_unsettled(&d->s);
        bool settled = session_server_settle(&d->s, lane, number);

        REQUIRE(!settled || number > 0);
        REQUIRE(!settled || session_server_unsettled(&d->s) == had - (number < d->next[lane]));
        REQUIRE(settled || session_server_unsettled(&d->s) == had);
        REQUIRE(!settled || !session_server_settle(&d->s, lane, number));
        d->last.what = SESSION_NOTHING;         /* a BUSY follows its SUBMIT at once */
}

static void busy(struct drive *d, struct script *s)
{
        if (d->last.what != SESSION_SUBMIT)
                return;
        struct session_action a = session_server_busy(&d->s, d->last.lane, d->last.number, script_u8(s), script_u16(s));
        REQUIRE(a.what == SESSION_SEND_BUSY && a.number == d->last.number && d->s.lanes[a.lane].next == a.number);
        d->last = a;
}

static void send_parcel(struct drive *d, struct script *s)
{
        uint32_t bytes = script_u16(s) * 16u;
        uint64_t before = d->s.parcel_sent;

        if (session_server_may_send(&d->s, bytes))
                REQUIRE(session_server_sent(&d->s, bytes, d->now) == before + 1);
}

static void acknowledge(struct drive *d, struct script *s)
{
        Shuyi__V1__ParcelAck k = SHUYI__V1__PARCEL_ACK__INIT;

        k.number = d->s.parcel_acked + (uint64_t)(int64_t)(int8_t)script_u8(s);
        answer(d, FRAME_PARCEL_ACK, &k.base);
}

static void tick(struct drive *d, struct script *s)
{
        struct mono_time deadline = session_server_deadline(&d->s);
        struct session_action a;

        REQUIRE((deadline.ns == UINT64_MAX) == (d->s.state == SESSION_DEAD));
        if (script_u8(s) % 2 && deadline.ns != UINT64_MAX) {
                if (deadline.ns > d->now.ns)
                        d->now = deadline;
                a = session_server_tick(&d->s, d->now);
                REQUIRE(a.what == SESSION_CUT || a.what == SESSION_SEND_PING);
        } else {
                d->now.ns += script_u16(s) * 1000000ull;
                a = session_server_tick(&d->s, d->now);
                REQUIRE(a.what == SESSION_NOTHING || d->now.ns >= deadline.ns);
        }
}

/* Bytes as a peer sends them. */
static void raw(struct drive *d, struct script *s)
{
        _cleanup_(arena_freep) struct arena *a = fuzz_arena(1 << 20);
        struct bytes wire = script_take(s, script_u8(s));
        struct frame f;

        if (frame_decode(a, wire, FRAME_TO_BROKER, &f) == ACCEPTED)
                answer(d, f.type, f.message);
        else
                REQUIRE(session_server_garbage(&d->s, d->now).what == (d->before == SESSION_DEAD ? SESSION_NOTHING : SESSION_SEND_BYE));
}

static void say_small(struct drive *d, uint8_t what)
{
        Shuyi__V1__Ping ping = SHUYI__V1__PING__INIT;
        Shuyi__V1__Read read = SHUYI__V1__READ__INIT;
        Shuyi__V1__Bye bye = SHUYI__V1__BYE__INIT;

        switch (what % 8) {
        case 0: answer(d, FRAME_BYE, &bye.base); break;
        case 1: case 2: answer(d, FRAME_READ, &read.base); break;
        case 3: answer(d, FRAME_PONG, &ping.base); break;
        default: answer(d, FRAME_PING, &ping.base); break;
        }
}

static void step(struct drive *d, struct script *s)
{
        uint8_t what = script_u8(s);

        d->before = d->s.state;
        for (unsigned l = 0; l < SESSION_LANES; l++)
                d->next[l] = d->s.lanes[l].next;
        switch (what % 16) {
        case 0: say_hello(d, s); break;
        case 1: settle(d, s); break;
        case 2: busy(d, s); break;
        case 3: send_parcel(d, s); break;
        case 4: acknowledge(d, s); break;
        case 5: tick(d, s); break;
        case 6: raw(d, s); break;
        case 7: say_small(d, script_u8(s)); break;
        case 8:
                if (script_u8(s) == 0)
                        session_server_drain(&d->s, 1000);
                break;
        case 9: session_server_set_credit(&d->s, script_u8(s) % SESSION_LANES, script_u16(s), script_u32(s)); break;
        default: put(d, s); break;
        }
        check(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        static const struct session_limits limits = SESSION_LIMITS_DEFAULT;
        struct script s = { data, n };
        struct drive d = { .now = { 1000000000 }, .peer = { .domain = DOMAIN, .agent = { { 1, 2, 3 } }, .outbox_epoch = 1 } };

        session_server_init(&d.s, 77, &limits, d.now);
        for (unsigned i = 0; s.n > 0 && i < STEPS_MAX; i++)
                step(&d, &s);
        return 0;
}
