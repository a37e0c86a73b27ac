/* session_client: the agent's end of a session.
 *
 * A lane is three numbers, first <= send <= end: settled before `first`, sent in this session before `send`, existing
 * before `end`.  A new session and a BUSY move `send` back, only a receipt moves `first`, so nothing is ever skipped. */
#include "common/macro.h"
#include "common/session.h"

#define BEHIND_MAX 8                    /* BUSYs about settled numbers before a new session clears it up */

static struct mono_time after_ms(struct mono_time t, uint64_t ms)
{
        return (struct mono_time){ t.ns + ms * 1000000 };
}

static uint32_t least(uint32_t a, uint32_t b)
{
        return a < b ? a : b;
}

void session_client_init(struct session_client *c, const struct session_timing *timing, uint64_t outbox_epoch,
                         const uint64_t first[SESSION_LANES], const uint64_t end[SESSION_LANES])
{
        *c = (struct session_client){ .phase = SESSION_WAITING, .timing = *timing, .outbox_epoch = outbox_epoch };
        for (unsigned l = 0; l < SESSION_LANES; l++)
                c->lanes[l] = (struct session_outlane){ .first = first[l], .send = first[l], .end = end[l] };
}

static struct session_action nothing(enum session_why why)
{
        return (struct session_action){ .what = SESSION_NOTHING, .why = why };
}

/* Half of it certain, half of it jitter, doubled at each failure in a row. */
static uint32_t backoff(const struct session_client *c, uint32_t random)
{
        unsigned doublings = c->attempt < 20 ? c->attempt : 20;
        uint64_t wide = (uint64_t)c->timing.backoff_min_ms << doublings;
        uint32_t ceiling = wide < c->timing.backoff_max_ms ? (uint32_t)wide : c->timing.backoff_max_ms;

        return ceiling / 2 + random % (ceiling / 2 + 1);
}

static struct session_action fail(struct session_client *c, enum session_why why, enum refusal code, uint32_t least_ms, struct mono_time now, uint32_t random)
{
        uint32_t wait = backoff(c, random);

        c->phase = SESSION_WAITING;
        c->session = 0;
        c->attempt++;
        c->last_why = why;
        c->last_code = code;
        c->retry_at = after_ms(now, wait > least_ms ? wait : least_ms);
        return (struct session_action){ .what = SESSION_RECONNECT, .why = why, .code = code, .at = c->retry_at };
}

static struct session_action broken(struct session_client *c, struct mono_time now, uint32_t random)
{
        return fail(c, SESSION_WHY_PROTOCOL, E_FORM, 0, now, random);
}

/* ---- the connection ---- */

void session_client_connecting(struct session_client *c, struct mono_time now)
{
        c->phase = SESSION_CONNECTING;
        c->session = 0;
        c->began = now;
}

static void lane_begin(struct session_outlane *l)
{
        l->send = l->first;
        l->frames = l->bytes = 0;
        l->credit_frames = l->credit_bytes = 0;
        l->hold = (struct mono_time){ 0 };
        l->behind = 0;
        memset(l->flight, 0, sizeof l->flight);
}

struct session_action session_client_up(struct session_client *c, struct mono_time now)
{
        for (unsigned l = 0; l < SESSION_LANES; l++)
                lane_begin(&c->lanes[l]);
        c->phase = SESSION_GREETING;
        c->session = 0;
        c->parcel_seen = c->parcel_kept = 0;
        c->began = c->heard = c->spoke = now;
        return (struct session_action){ .what = SESSION_SEND_HELLO };
}

struct session_action session_client_down(struct session_client *c, struct mono_time now)
{
        if (c->phase == SESSION_WAITING)
                return nothing(SESSION_WHY_OK);
        c->last_why = SESSION_WHY_LOST;
        session_client_connecting(c, now);
        return nothing(SESSION_WHY_LOST);
}

struct session_action session_client_denied(struct session_client *c, enum refusal code, struct mono_time now, uint32_t random)
{
        return fail(c, SESSION_WHY_DENIED, code, 0, now, random);
}

void session_client_hello(const struct session_client *c, Shuyi__V1__Hello *ret,
                          Shuyi__V1__Lane lane[SESSION_LANES], Shuyi__V1__Lane *rows[SESSION_LANES])
{
        shuyi__v1__hello__init(ret);
        ret->protocol = SESSION_PROTOCOL;
        ret->outbox_epoch = c->outbox_epoch;
        for (unsigned l = 0; l < SESSION_LANES; l++) {
                shuyi__v1__lane__init(&lane[l]);
                lane[l].lane = l;
                lane[l].next = c->lanes[l].first;
                rows[l] = &lane[l];
        }
        ret->lanes = rows;
        ret->n_lanes = SESSION_LANES;
}

/* ---- frames ---- */

static bool take_credit(struct session_client *c, const Shuyi__V1__LaneCredit *credit)
{
        if (credit->lane >= SESSION_LANES)
                return false;
        c->lanes[credit->lane].credit_frames = least(credit->frames, SESSION_LANE_WINDOW);
        c->lanes[credit->lane].credit_bytes = credit->bytes;
        return true;
}

static struct session_action welcome(struct session_client *c, const Shuyi__V1__Welcome *w, struct mono_time now, uint32_t random)
{
        if (c->phase != SESSION_GREETING || w->protocol != SESSION_PROTOCOL || w->session == 0 || w->heartbeat_ms == 0)
                return broken(c, now, random);
        for (size_t i = 0; i < w->n_credit; i++)
                if (!take_credit(c, w->credit[i]))
                        return broken(c, now, random);
        c->phase = SESSION_SENDING;
        c->session = w->session;
        c->heartbeat_ms = w->heartbeat_ms;
        c->max_frame = w->max_frame;
        c->attempt = 0;
        c->last_why = SESSION_WHY_OK;
        c->last_code = ACCEPTED;
        return (struct session_action){ .what = SESSION_OPENED, .number = w->session };
}

static void lane_unsend(struct session_outlane *l, uint64_t number)
{
        uint32_t *slot = &l->flight[number % SESSION_LANE_WINDOW];

        if (*slot == 0)
                return;
        l->bytes -= *slot - 1;
        l->frames--;
        *slot = 0;
}

static struct session_action busy(struct session_client *c, const Shuyi__V1__Busy *b, struct mono_time now, uint32_t random)
{
        struct session_outlane *l;
        uint64_t back;

        if (b->lane >= SESSION_LANES)
                return broken(c, now, random);
        l = &c->lanes[b->lane];
        if (b->outbox_seq > l->end)
                return broken(c, now, random);
        if (b->outbox_seq < l->first && ++l->behind > BEHIND_MAX)
                return broken(c, now, random);
        /* Above `send` it may be when two BUSYs and receipts of a former session cross: what is between was taken. */
        back = b->outbox_seq > l->first ? b->outbox_seq : l->first;
        while (l->send > back)
                lane_unsend(l, --l->send);
        l->hold = after_ms(now, least(b->retry_ms, c->timing.backoff_max_ms));
        return (struct session_action){ .what = SESSION_NOTHING, .why = SESSION_WHY_CREDIT, .lane = b->lane, .number = back,
                                        .reason = (enum busy)b->reason, .at = l->hold };
}

static struct session_action bye(struct session_client *c, const Shuyi__V1__Bye *b, struct mono_time now, uint32_t random)
{
        struct session_action a = fail(c, SESSION_WHY_BYE, (enum refusal)b->code, least(b->retry_ms, c->timing.backoff_max_ms), now, random);

        a.what = SESSION_CLOSED;
        return a;
}

static struct session_action parcel(struct session_client *c, const Shuyi__V1__Parcel *p, struct mono_time now, uint32_t random)
{
        if (p->number != c->parcel_seen + 1)
                return broken(c, now, random);
        c->parcel_seen++;
        return (struct session_action){ .what = SESSION_TAKE_PARCEL, .number = p->number };
}

static struct session_action open_frame(struct session_client *c, const struct frame *f, struct mono_time now, uint32_t random)
{
        switch (f->type) {
        case FRAME_RECEIPT: return (struct session_action){ .what = SESSION_TAKE_RECEIPT };
        case FRAME_BUSY: return busy(c, f->busy, now, random);
        case FRAME_PARCEL: return parcel(c, f->parcel, now, random);
        case FRAME_PAGE: return (struct session_action){ .what = SESSION_TAKE_PAGE };
        case FRAME_CREDIT: return take_credit(c, f->credit) ? nothing(SESSION_WHY_OK) : broken(c, now, random);
        case FRAME_PONG: return nothing(SESSION_WHY_OK);
        default: return broken(c, now, random);
        }
}

struct session_action session_client_frame(struct session_client *c, const struct frame *frame, struct mono_time now, uint32_t random)
{
        if (c->phase != SESSION_GREETING && c->phase != SESSION_SENDING)
                return nothing(SESSION_WHY_LOST);       /* of a connection that is gone */
        c->heard = now;
        switch (frame->type) {
        case FRAME_WELCOME: return welcome(c, frame->welcome, now, random);
        case FRAME_BYE: return bye(c, frame->bye, now, random);
        case FRAME_PING:
                c->spoke = now;
                return (struct session_action){ .what = SESSION_SEND_PONG, .number = frame->ping->time };
        default: return c->phase == SESSION_SENDING ? open_frame(c, frame, now, random) : nothing(SESSION_WHY_NO_HELLO);
        }
}

struct session_action session_client_garbage(struct session_client *c, struct mono_time now, uint32_t random)
{
        if (c->phase != SESSION_GREETING && c->phase != SESSION_SENDING)
                return nothing(SESSION_WHY_LOST);
        return fail(c, SESSION_WHY_FORM, E_FORM, 0, now, random);
}

/* ---- time ---- */

static struct mono_time silent_at(const struct session_client *c)
{
        return after_ms(c->heard, (uint64_t)c->heartbeat_ms * SESSION_SILENT_BEATS);
}

/* When the oldest unsettled frame of this session is overdue. */
static struct mono_time receipt_at(const struct session_client *c)
{
        uint64_t oldest = UINT64_MAX;

        for (unsigned l = 0; l < SESSION_LANES; l++) {
                const struct session_outlane *lane = &c->lanes[l];

                if (lane->first < lane->send && lane->sent_ns[lane->first % SESSION_LANE_WINDOW] < oldest)
                        oldest = lane->sent_ns[lane->first % SESSION_LANE_WINDOW];
        }
        return oldest == UINT64_MAX ? (struct mono_time){ UINT64_MAX } : after_ms((struct mono_time){ oldest }, c->timing.receipt_ms);
}

static void release_holds(struct session_client *c, struct mono_time now)
{
        for (unsigned l = 0; l < SESSION_LANES; l++)
                if (now.ns >= c->lanes[l].hold.ns)
                        c->lanes[l].hold = (struct mono_time){ 0 };
}

struct session_action session_client_tick(struct session_client *c, struct mono_time now, uint32_t random)
{
        release_holds(c, now);
        switch (c->phase) {
        case SESSION_WAITING:
                return (struct session_action){ .what = now.ns >= c->retry_at.ns ? SESSION_CONNECT : SESSION_NOTHING };
        case SESSION_CONNECTING:
                return nothing(SESSION_WHY_OK);
        case SESSION_GREETING:
                if (now.ns >= after_ms(c->began, c->timing.welcome_ms).ns)
                        return fail(c, SESSION_WHY_LATE_WELCOME, ACCEPTED, 0, now, random);
                return nothing(SESSION_WHY_OK);
        case SESSION_SENDING:
                break;
        }
        if (now.ns >= silent_at(c).ns)
                return fail(c, SESSION_WHY_SILENT, ACCEPTED, 0, now, random);
        if (now.ns >= receipt_at(c).ns)
                return fail(c, SESSION_WHY_LATE_RECEIPT, ACCEPTED, 0, now, random);
        if (now.ns < after_ms(c->spoke, c->heartbeat_ms).ns)
                return nothing(SESSION_WHY_OK);
        c->spoke = now;
        return (struct session_action){ .what = SESSION_SEND_PING };
}

static struct mono_time earlier(struct mono_time a, struct mono_time b)
{
        return a.ns < b.ns ? a : b;
}

/* A lane that a BUSY holds back goes on by itself: then the caller asks session_client_next again. */
static struct mono_time hold_at(const struct session_client *c)
{
        struct mono_time t = { UINT64_MAX };

        for (unsigned l = 0; l < SESSION_LANES; l++)
                if (c->lanes[l].hold.ns > 0 && c->lanes[l].send < c->lanes[l].end)
                        t = earlier(t, c->lanes[l].hold);
        return t;
}

struct mono_time session_client_deadline(const struct session_client *c)
{
        switch (c->phase) {
        case SESSION_WAITING: return c->retry_at;
        case SESSION_CONNECTING: return (struct mono_time){ UINT64_MAX };
        case SESSION_GREETING: return after_ms(c->began, c->timing.welcome_ms);
        case SESSION_SENDING: break;
        }
        return earlier(earlier(silent_at(c), receipt_at(c)), earlier(after_ms(c->spoke, c->heartbeat_ms), hold_at(c)));
}

void session_client_spoke(struct session_client *c, struct mono_time now)
{
        c->spoke = now;
}

/* ---- sending ---- */

void session_client_extend(struct session_client *c, uint32_t lane, uint64_t end)
{
        if (end > c->lanes[lane].end)
                c->lanes[lane].end = end;
}

bool session_client_next(const struct session_client *c, uint32_t lane, struct mono_time now, uint64_t *ret_number)
{
        const struct session_outlane *l = &c->lanes[lane];

        if (c->phase != SESSION_SENDING || l->send >= l->end || now.ns < l->hold.ns)
                return false;
        if (l->frames >= l->credit_frames || l->send - l->first >= SESSION_LANE_WINDOW)
                return false;
        *ret_number = l->send;
        return true;
}

bool session_client_put(struct session_client *c, uint32_t lane, uint64_t number, uint32_t bytes, struct mono_time now)
{
        struct session_outlane *l = &c->lanes[lane];
        uint64_t next;

        if (!session_client_next(c, lane, now, &next) || next != number)
                return false;
        if (l->frames > 0 && (uint64_t)l->bytes + bytes > l->credit_bytes)
                return false;
        l->flight[number % SESSION_LANE_WINDOW] = bytes + 1;
        l->sent_ns[number % SESSION_LANE_WINDOW] = now.ns;
        l->frames++;
        l->bytes += bytes;
        l->send++;
        l->hold = (struct mono_time){ 0 };
        c->spoke = now;
        return true;
}

bool session_client_settle(struct session_client *c, uint32_t lane, uint64_t number)
{
        struct session_outlane *l = &c->lanes[lane];

        if (number != l->first || number >= l->end)
                return false;
        lane_unsend(l, number);
        l->first++;
        if (l->send < l->first)
                l->send = l->first;     /* of a former session: not sent in this one */
        l->behind = 0;
        return true;
}

bool session_client_has_credit(const struct session_client *c, uint32_t lane)
{
        const struct session_outlane *l = &c->lanes[lane];

        return c->phase == SESSION_SENDING && l->send == l->end && l->end - l->first < SESSION_LANE_WINDOW &&
               l->frames < l->credit_frames && (l->frames == 0 || l->bytes < l->credit_bytes);
}

uint64_t session_client_unsettled(const struct session_client *c, uint32_t lane)
{
        return c->lanes[lane].end - c->lanes[lane].first;
}

bool session_client_ack(struct session_client *c, uint64_t number)
{
        if (number <= c->parcel_kept || number > c->parcel_seen)
                return false;
        c->parcel_kept = number;
        return true;
}
