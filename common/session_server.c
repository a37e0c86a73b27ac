/* session_server: the broker's end of a session.
 *
 * A lane takes exactly its next number.  The flight ring remembers the bytes of what is unsettled by number modulo the
 * window, so that a receipt gives back exactly the credit its envelope took.  What a peer must not send is ignored and
 * counted; one that goes on is cut, since ignoring costs as much as serving. */
#include "common/macro.h"
#include "common/session.h"
#include <assert.h>

static struct mono_time after_ms(struct mono_time t, uint64_t ms)
{
        return (struct mono_time){ t.ns + ms * 1000000 };
}

static uint32_t least(uint32_t a, uint32_t b)
{
        return a < b ? a : b;
}

void session_server_init(struct session_server *s, uint64_t session, const struct session_limits *limits, struct mono_time now)
{
        *s = (struct session_server){ .state = SESSION_NEW, .session = session, .limits = *limits, .heard = now, .spoke = now, .began = now };
        for (unsigned l = 0; l < SESSION_LANES; l++)
                s->limits.frames[l] = least(limits->frames[l], SESSION_LANE_WINDOW);
}

/* ---- answers ---- */

static struct session_action nothing(void)
{
        return (struct session_action){ .what = SESSION_NOTHING };
}

static struct session_action cut(struct session_server *s, enum session_why why)
{
        s->state = SESSION_DEAD;
        s->ignored[why]++;
        return (struct session_action){ .what = SESSION_CUT, .why = why };
}

static struct session_action bye(struct session_server *s, enum session_why why, enum refusal code, const char *detail)
{
        s->state = SESSION_DEAD;
        s->ignored[why]++;
        return (struct session_action){ .what = SESSION_SEND_BYE, .why = why, .code = code, .detail = detail };
}

static bool struck(struct session_server *s, enum session_why why)
{
        s->ignored[why]++;
        return ++s->strikes > s->limits.strikes;
}

static struct session_action ignore(struct session_server *s, enum session_why why)
{
        if (struck(s, why))
                return cut(s, SESSION_WHY_STRIKES);
        return (struct session_action){ .what = SESSION_NOTHING, .why = why };
}

static struct session_action busy(struct session_server *s, uint32_t lane, enum busy reason, uint32_t retry_ms, enum session_why why)
{
        s->lanes[lane].quenched = true;
        return (struct session_action){ .what = SESSION_SEND_BUSY, .why = why, .lane = lane, .number = s->lanes[lane].next,
                                        .reason = reason, .retry_ms = retry_ms };
}

/* ---- HELLO ---- */

static bool lanes_fit(const Shuyi__V1__Hello *h)
{
        if (h->n_lanes != SESSION_LANES)
                return false;
        for (unsigned l = 0; l < SESSION_LANES; l++)
                if (h->lanes[l]->lane != l || h->lanes[l]->next == 0 || h->lanes[l]->next > INT64_MAX)
                        return false;
        return true;
}

static struct session_action hello(struct session_server *s, const Shuyi__V1__Hello *h, const struct session_peer *peer)
{
        struct bytes agent = bytes_of(h->agent.data, h->agent.len);

        assert(peer);
        if (h->protocol != SESSION_PROTOCOL)
                return bye(s, SESSION_WHY_HELLO, E_FORM, "protocol");
        if (strcmp(h->domain, peer->domain) != 0)
                return bye(s, SESSION_WHY_HELLO, E_DOMAIN, "domain");
        if (!bytes_equal(agent, bytes_id(&peer->agent)))
                return bye(s, SESSION_WHY_HELLO, E_CRED, "agent");
        if (h->outbox_epoch == 0 || !lanes_fit(h))
                return bye(s, SESSION_WHY_HELLO, E_FORM, "lanes");
        if (h->outbox_epoch < peer->outbox_epoch)
                return bye(s, SESSION_WHY_HELLO, E_REPLAY, "outbox_epoch");

        s->state = SESSION_OPEN;
        s->agent = peer->agent;
        s->outbox_epoch = h->outbox_epoch;
        for (unsigned l = 0; l < SESSION_LANES; l++)
                s->lanes[l].next = h->lanes[l]->next;
        s->parcel_frames = least(least(h->parcel_frames, s->limits.parcel_frames), SESSION_PARCEL_WINDOW);
        s->parcel_bytes = least(h->parcel_bytes, s->limits.parcel_bytes);
        s->strikes = 0;
        return (struct session_action){ .what = SESSION_SEND_WELCOME };
}

void session_server_welcome(const struct session_server *s, Shuyi__V1__Welcome *ret,
                            Shuyi__V1__LaneCredit credit[SESSION_LANES], Shuyi__V1__LaneCredit *rows[SESSION_LANES])
{
        shuyi__v1__welcome__init(ret);
        ret->protocol = SESSION_PROTOCOL;
        ret->session = s->session;
        ret->heartbeat_ms = s->limits.heartbeat_ms;
        ret->max_frame = FRAME_MAX_BYTES;
        for (unsigned l = 0; l < SESSION_LANES; l++) {
                shuyi__v1__lane_credit__init(&credit[l]);
                credit[l].lane = l;
                credit[l].frames = s->limits.frames[l];
                credit[l].bytes = s->limits.bytes[l];
                rows[l] = &credit[l];
        }
        ret->credit = rows;
        ret->n_credit = SESSION_LANES;
}

/* ---- PUT ---- */

static bool in_flight(const struct session_lane *l, uint64_t number)
{
        return number < l->next && l->next - number <= SESSION_LANE_WINDOW && l->flight[number % SESSION_LANE_WINDOW] > 0;
}

static bool has_room(const struct session_server *s, uint32_t lane, uint32_t bytes)
{
        const struct session_lane *l = &s->lanes[lane];

        if (l->flight[l->next % SESSION_LANE_WINDOW] > 0)
                return false;
        if (l->frames == 0)
                return s->limits.frames[lane] > 0;
        return l->frames < s->limits.frames[lane] && (uint64_t)l->bytes + bytes <= s->limits.bytes[lane];
}

static struct session_action take_next(struct session_server *s, uint32_t lane, uint32_t bytes)
{
        struct session_lane *l = &s->lanes[lane];
        uint64_t number = l->next++;

        l->flight[number % SESSION_LANE_WINDOW] = bytes + 1;
        l->frames++;
        l->bytes += bytes;
        l->quenched = false;
        s->strikes = 0;
        return (struct session_action){ .what = SESSION_SUBMIT, .lane = lane, .number = number };
}

static struct session_action take_again(struct session_server *s, uint32_t lane, uint64_t number)
{
        if (in_flight(&s->lanes[lane], number))
                return ignore(s, SESSION_WHY_IN_FLIGHT);
        if (struck(s, SESSION_WHY_REPEAT))
                return cut(s, SESSION_WHY_STRIKES);
        return (struct session_action){ .what = SESSION_REPEAT, .why = SESSION_WHY_REPEAT, .lane = lane, .number = number };
}

static struct session_action put(struct session_server *s, const Shuyi__V1__Put *p)
{
        struct session_lane *l;

        if (s->state == SESSION_DRAINING)
                return ignore(s, SESSION_WHY_AFTER_BYE);
        if (p->lane >= SESSION_LANES)
                return bye(s, SESSION_WHY_LANE, E_FORM, "lane");
        if (p->outbox_epoch != s->outbox_epoch || p->outbox_seq == 0)
                return bye(s, SESSION_WHY_EPOCH, E_FORM, "outbox_epoch");
        l = &s->lanes[p->lane];
        if (p->outbox_seq < l->next)
                return take_again(s, p->lane, p->outbox_seq);
        if (p->outbox_seq > l->next && l->quenched)
                return ignore(s, SESSION_WHY_QUENCHED);
        if (p->outbox_seq > l->next)
                return struck(s, SESSION_WHY_GAP) ? cut(s, SESSION_WHY_STRIKES)
                                                  : busy(s, p->lane, BUSY_LOAD, s->limits.busy_retry_ms, SESSION_WHY_GAP);
        if (!has_room(s, p->lane, (uint32_t)p->envelope.len))
                return struck(s, SESSION_WHY_CREDIT) ? cut(s, SESSION_WHY_STRIKES)
                                                     : busy(s, p->lane, BUSY_CREDIT, s->limits.busy_retry_ms, SESSION_WHY_CREDIT);
        return take_next(s, p->lane, (uint32_t)p->envelope.len);
}

static void release(struct session_lane *l, uint64_t number)
{
        uint32_t *slot = &l->flight[number % SESSION_LANE_WINDOW];

        if (*slot == 0)
                return;
        l->bytes -= *slot - 1;
        l->frames--;
        *slot = 0;
}

struct session_action session_server_busy(struct session_server *s, uint32_t lane, uint64_t number, enum busy reason, uint32_t retry_ms)
{
        struct session_lane *l = &s->lanes[lane];

        if (in_flight(l, number))
                while (l->next > number)
                        release(l, --l->next);
        return busy(s, lane, reason, retry_ms, SESSION_WHY_OK);
}

bool session_server_settle(struct session_server *s, uint32_t lane, uint64_t number)
{
        struct session_lane *l = &s->lanes[lane];

        if (in_flight(l, number)) {
                release(l, number);
                return true;
        }
        if (s->outbox_epoch == 0 || number != l->next)
                return false;
        l->next++;                      /* the agent, waiting for just this row, passes over it alike */
        return true;
}

uint64_t session_server_unsettled(const struct session_server *s)
{
        uint64_t n = 0;

        for (unsigned l = 0; l < SESSION_LANES; l++)
                n += s->lanes[l].frames;
        return n;
}

/* ---- parcels ---- */

bool session_server_may_send(const struct session_server *s, uint32_t bytes)
{
        uint64_t out = s->parcel_sent - s->parcel_acked;

        if (s->state != SESSION_OPEN || out >= s->parcel_frames)
                return false;
        return out == 0 || (uint64_t)s->parcel_bytes_out + bytes <= s->parcel_bytes;
}

uint64_t session_server_sent(struct session_server *s, uint32_t bytes, struct mono_time now)
{
        assert(session_server_may_send(s, bytes));
        s->parcel_sent++;
        s->parcel_flight[s->parcel_sent % SESSION_PARCEL_WINDOW] = bytes;
        s->parcel_bytes_out += bytes;
        s->spoke = now;
        return s->parcel_sent;
}

static struct session_action acked(struct session_server *s, uint64_t number)
{
        uint64_t first = s->parcel_acked + 1;

        if (number > s->parcel_sent)
                return bye(s, SESSION_WHY_ACK, E_FORM, "parcel number");
        if (number < first)
                return nothing();
        for (; s->parcel_acked < number; s->parcel_acked++)
                s->parcel_bytes_out -= s->parcel_flight[(s->parcel_acked + 1) % SESSION_PARCEL_WINDOW];
        return (struct session_action){ .what = SESSION_ACKED, .first = first, .number = number };
}

/* ---- frames ---- */

static struct session_action open_frame(struct session_server *s, const struct frame *f)
{
        switch (f->type) {
        case FRAME_PUT: return put(s, f->put);
        case FRAME_PARCEL_ACK: return acked(s, f->parcel_ack->number);
        case FRAME_READ: return (struct session_action){ .what = SESSION_SERVE_READ };
        case FRAME_PING: return (struct session_action){ .what = SESSION_SEND_PONG, .number = f->ping->time };
        case FRAME_PONG: return nothing();
        default: return bye(s, SESSION_WHY_PROTOCOL, E_FORM, "frame type");
        }
}

static bool is_said(enum session_do what)
{
        return what == SESSION_SEND_PONG || what == SESSION_SEND_WELCOME || what == SESSION_SEND_BUSY || what == SESSION_SEND_PING;
}

struct session_action session_server_frame(struct session_server *s, const struct frame *frame, const struct session_peer *peer, struct mono_time now)
{
        struct session_action a;

        if (s->state == SESSION_DEAD)
                return ignore(s, SESSION_WHY_AFTER_BYE);
        s->heard = now;
        if (frame->type == FRAME_BYE) {
                s->state = SESSION_DEAD;
                return (struct session_action){ .what = SESSION_CLOSED, .why = SESSION_WHY_BYE, .code = (enum refusal)frame->bye->code };
        }
        if (s->state == SESSION_NEW)
                a = frame->type == FRAME_HELLO ? hello(s, frame->hello, peer) : ignore(s, SESSION_WHY_NO_HELLO);
        else
                a = open_frame(s, frame);
        if (is_said(a.what))
                s->spoke = now;
        return a;
}

struct session_action session_server_garbage(struct session_server *s, struct mono_time now)
{
        if (s->state == SESSION_DEAD)
                return ignore(s, SESSION_WHY_AFTER_BYE);
        s->heard = now;
        return bye(s, SESSION_WHY_FORM, E_FORM, "frame");
}

void session_server_spoke(struct session_server *s, struct mono_time now)
{
        s->spoke = now;
}

/* ---- credit, drain, time ---- */

bool session_server_set_credit(struct session_server *s, uint32_t lane, uint32_t frames, uint32_t bytes)
{
        frames = least(frames, SESSION_LANE_WINDOW);
        if (s->limits.frames[lane] == frames && s->limits.bytes[lane] == bytes)
                return false;
        s->limits.frames[lane] = frames;
        s->limits.bytes[lane] = bytes;
        return s->state == SESSION_OPEN;
}

struct session_action session_server_drain(struct session_server *s, uint32_t retry_ms)
{
        if (s->state != SESSION_OPEN)
                return nothing();
        s->state = SESSION_DRAINING;
        return (struct session_action){ .what = SESSION_SEND_BYE, .why = SESSION_WHY_DRAIN, .retry_ms = retry_ms, .detail = "drain" };
}

struct session_action session_server_tick(struct session_server *s, struct mono_time now)
{
        const struct session_limits *m = &s->limits;

        if (s->state == SESSION_DEAD)
                return nothing();
        if (s->state == SESSION_NEW)
                return now.ns >= after_ms(s->began, m->hello_ms).ns ? cut(s, SESSION_WHY_LATE_HELLO) : nothing();
        if (now.ns >= after_ms(s->heard, (uint64_t)m->heartbeat_ms * SESSION_SILENT_BEATS).ns)
                return cut(s, SESSION_WHY_SILENT);
        if (now.ns < after_ms(s->spoke, m->heartbeat_ms).ns)
                return nothing();
        s->spoke = now;
        return (struct session_action){ .what = SESSION_SEND_PING };
}

struct mono_time session_server_deadline(const struct session_server *s)
{
        const struct session_limits *m = &s->limits;
        struct mono_time silent = after_ms(s->heard, (uint64_t)m->heartbeat_ms * SESSION_SILENT_BEATS);
        struct mono_time beat = after_ms(s->spoke, m->heartbeat_ms);

        if (s->state == SESSION_DEAD)
                return (struct mono_time){ UINT64_MAX };
        if (s->state == SESSION_NEW)
                return after_ms(s->began, m->hello_ms);
        return beat.ns < silent.ns ? beat : silent;
}
