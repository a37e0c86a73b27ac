/* sim_broker: session ends, a pipeline, the city behind it, delivery by cursor. */
#include "tests/sim/sim.h"
#include "common/exchange/rows.h"
#include <stdlib.h>

static const struct session_limits limits = { { 32, 48 }, { 64 << 10, 96 << 10 }, 24, 64 << 10, 10000, 10000, 50, 400 };

static void say(struct sim *s, unsigned agent, enum frame_type type, const ProtobufCMessage *m)
{
        struct sim_agent *a = &s->agents[agent];

        if (a->connected)
                bad_link_push(&a->down, frame_encode(s->scratch, type, m));
}

/* ---- answers ---- */

static void say_busy(struct sim *s, unsigned agent, struct session_action act)
{
        Shuyi__V1__Busy m = SHUYI__V1__BUSY__INIT;

        m.lane = act.lane;
        m.outbox_seq = act.number;
        m.reason = act.reason;
        m.retry_ms = act.retry_ms;
        say(s, agent, FRAME_BUSY, &m.base);
}

static void say_welcome(struct sim *s, unsigned agent)
{
        Shuyi__V1__LaneCredit credit[SESSION_LANES], *rows[SESSION_LANES];
        Shuyi__V1__Welcome m;

        session_server_welcome(&s->agents[agent].server, &m, credit, rows);
        say(s, agent, FRAME_WELCOME, &m.base);
}

static void say_receipt(struct sim *s, unsigned agent, Shuyi__V1__ReceiptRow **rows, size_t n)
{
        struct sim_agent *a = &s->agents[agent];
        Shuyi__V1__SignedReceipt outer = SHUYI__V1__SIGNED_RECEIPT__INIT;
        Shuyi__V1__Receipt m = SHUYI__V1__RECEIPT__INIT;

        if (n == 0 || !a->connected || !a->known || a->server.state != SESSION_OPEN)
                return;                         /* nobody to tell: it will ask again */
        for (size_t i = 0; i < n; i++)
                session_server_settle(&a->server, rows[i]->lane, rows[i]->outbox_seq);
        m.outbox_epoch = 1;
        m.rows = rows;
        m.n_rows = n;
        outer.receipt = field_of_bytes(message_pack(s->scratch, &m.base));
        say(s, agent, FRAME_RECEIPT, &outer.base);
}

/* ---- the pipeline ---- */

static Shuyi__V1__ReceiptRow *row_of(struct sim *s, uint32_t lane, uint64_t number, uint64_t seq, enum refusal code, const char *detail)
{
        Shuyi__V1__ReceiptRow *row = ARENA_NEW(s->scratch, Shuyi__V1__ReceiptRow);

        shuyi__v1__receipt_row__init(row);
        row->lane = lane;
        row->outbox_seq = number;
        row->seq = seq;
        row->code = code;
        row->detail = (char *)detail;
        return row;
}

static Shuyi__V1__ReceiptRow *decide(struct sim *s, unsigned agent, uint32_t lane, uint64_t number, struct bytes wire, bool *trust_moved)
{
        uint32_t link = s->agents[agent].who->link;
        struct city_result r;
        enum refusal code;
        uint64_t seq;

        if (exchange_find_settled(map_state_ops(s->city->state), link, (uint8_t)lane, 1, number, &seq) > 0)
                return row_of(s, lane, number, seq, s->city->log[seq - 1].code, "");
        code = decided_find(s->decided, link, lane, 1, number);
        if (code != ACCEPTED)
                return row_of(s, lane, number, 0, code, "");
        r = city_put_as(s->city, wire, link, (uint8_t)lane, 1, number);
        if (r.seq == 0 && decided_refuse(s->decided, link, lane, 1, number, r.code) < 0)
                abort();
        *trust_moved |= r.seq > 0 && r.outcome.trust_moved;
        return row_of(s, lane, number, r.seq, r.code, r.detail);
}

void broker_run_group(struct sim *s)
{
        unsigned most = s->pipeline_n < s->group_most ? s->pipeline_n : s->group_most, n = most ? 1 + sim_below(s, most) : 0;
        Shuyi__V1__ReceiptRow **rows[SIM_AGENTS];
        size_t rows_n[SIM_AGENTS] = { 0 };
        bool trust_moved = false;

        for (unsigned i = 0; i < SIM_AGENTS; i++)
                rows[i] = ARENA_ARRAY(s->scratch, Shuyi__V1__ReceiptRow *, n + 1);
        for (unsigned i = 0; i < n; i++) {
                struct sim_ticket *t = &s->pipeline[i];

                rows[t->agent][rows_n[t->agent]++] = decide(s, t->agent, t->lane, t->number, bytes_of(t->wire, t->bytes), &trust_moved);
                free(t->wire);
        }
        s->pipeline_n -= n;
        memmove(s->pipeline, s->pipeline + n, s->pipeline_n * sizeof(s->pipeline[0]));
        if (trust_moved)
                city_trust_head(s->city);
        city_tick(s->city);
        for (unsigned i = 0; i < SIM_AGENTS; i++)
                say_receipt(s, i, rows[i], rows_n[i]);
}

static void submit(struct sim *s, unsigned agent, struct session_action act, const Shuyi__V1__Put *put)
{
        struct sim_ticket t = { agent, act.lane, act.number, malloc(put->envelope.len), put->envelope.len };

        if (!t.wire || s->pipeline_n == SIM_PIPELINE)
                abort();
        if (act.what == SESSION_SUBMIT && sim_below(s, 60) == 0) {
                free(t.wire);
                say_busy(s, agent, session_server_busy(&s->agents[agent].server, act.lane, act.number, BUSY_SPACE, 100));
                return;
        }
        memcpy(t.wire, put->envelope.data, t.bytes);
        s->pipeline[s->pipeline_n++] = t;
}

/* ---- frames ---- */

void broker_hear(struct sim *s, unsigned agent, struct bytes wire)
{
        struct sim_agent *a = &s->agents[agent];
        const struct session_peer peer = { .domain = CITY_DOMAIN, .agent = a->who->id, .outbox_epoch = 1 };
        struct session_action act;
        struct frame f;

        if (frame_decode(s->scratch, wire, FRAME_TO_BROKER, &f) != ACCEPTED)
                sim_fail(s, "an agent's frame does not read");
        if (!a->known) {
                session_server_init(&a->server, ++s->sessions, &limits, s->now);
                a->known = true;
                for (unsigned i = 0; i < SIM_STREAMS; i++)
                        a->subs[i].link_next = 0;
        }
        act = session_server_frame(&a->server, &f, &peer, s->now);
        switch (act.what) {
        case SESSION_NOTHING: case SESSION_ACKED: break;
        case SESSION_SEND_WELCOME: say_welcome(s, agent); break;
        case SESSION_SUBMIT: case SESSION_REPEAT: submit(s, agent, act, f.put); break;
        case SESSION_SEND_BUSY: say_busy(s, agent, act); break;
        case SESSION_SEND_PONG: say(s, agent, FRAME_PONG, &(Shuyi__V1__Ping)SHUYI__V1__PING__INIT.base); break;
        default: sim_fail(s, session_why_text(act.why));
        }
}

void broker_tick(struct sim *s, unsigned agent)
{
        struct sim_agent *a = &s->agents[agent];

        if (!a->connected || !a->known)
                return;
        switch (session_server_tick(&a->server, s->now).what) {
        case SESSION_SEND_PING: say(s, agent, FRAME_PING, &(Shuyi__V1__Ping)SHUYI__V1__PING__INIT.base); break;
        case SESSION_CUT: connection_cut(s, agent); break;
        default: break;
        }
}

/* ---- delivery ---- */

static struct bytes link_wire(struct sim *s, const struct digest *stream, uint64_t stream_seq, uint64_t *ret_seq)
{
        uint8_t number[8];
        Shuyi__V1__NumberRow *place;

        put_be64(number, stream_seq);
        place = CITY_ROW(s->city, TABLE_LINK_SEQ, &shuyi__v1__number_row__descriptor, bytes_digest(stream), bytes_of(number, 8));
        if (!place)
                sim_fail(s, "a stream has a gap");
        *ret_seq = place->n;
        return s->city->log[place->n - 1].wire;
}

/* Up to which link a subscription may be served now; 0: none. */
static uint64_t deliverable(struct sim *s, const Shuyi__V1__SubscriptionRow *sub, const Shuyi__V1__GrantRow *grant)
{
        if (!sub || grant->state != GRANT_ACTIVE || sub->start == 0)
                return 0;
        if (sub->stop)
                return sub->stop;
        return sub->state == SUB_LIVE ? s->city->log_n ? UINT64_MAX : 0 : 0;
}

void broker_deliver(struct sim *s, unsigned agent, unsigned stream)
{
        struct sim_agent *a = &s->agents[agent];
        struct sim_subscription *at = &a->subs[stream];
        const struct digest *id = &s->streams[stream].stream.id;
        Shuyi__V1__SubscriptionRow *sub = market_subscription(s->market, &at->grant);
        Shuyi__V1__StreamRow *row = CITY_ROW(s->city, TABLE_STREAM, &shuyi__v1__stream_row__descriptor, bytes_digest(id));
        uint64_t end = deliverable(s, sub, market_grant(s->market, &at->grant)), next, seq;

        if (!a->connected || !a->known || !row || end == 0)
                return;
        end = end < row->head ? end : row->head;
        next = at->link_next > sub->cursor ? at->link_next : sub->cursor + 1;
        for (; next <= end; next++) {
                Shuyi__V1__Parcel m = SHUYI__V1__PARCEL__INIT;
                struct bytes wire = link_wire(s, id, next, &seq);

                if (!session_server_may_send(&a->server, (uint32_t)wire.n))
                        break;
                m.number = session_server_sent(&a->server, (uint32_t)wire.n, s->now);
                m.type = PARCEL_LINK;
                m.cursor = next;
                m.seq = seq;
                m.envelope = field_of_bytes(wire);
                m.grant = field_of_bytes(bytes_digest(&at->grant));
                say(s, agent, FRAME_PARCEL, &m.base);
        }
        at->link_next = next;
}

/* ---- faults ---- */

void broker_crash(struct sim *s)
{
        for (unsigned i = 0; i < SIM_AGENTS; i++)
                connection_cut(s, i);
        for (unsigned i = 0; i < s->pipeline_n; i++)
                free(s->pipeline[i].wire);
        s->pipeline_n = 0;
        decided_free(s->decided);
        s->decided = decided_new();
        s->crashes++;
}
