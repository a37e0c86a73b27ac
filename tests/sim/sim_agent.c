/* sim_agent: what provider and consumers share: connection, session, numbered envelopes. */
#include "tests/sim/sim.h"
#include "common/exchange/rows.h"
#include <stdlib.h>

static const struct session_timing timing = { 10000, 60000, 100, 5000 };

static void say(struct sim *s, unsigned agent, enum frame_type type, const ProtobufCMessage *m)
{
        struct sim_agent *a = &s->agents[agent];

        if (a->connected)
                bad_link_push(&a->up, frame_encode(s->scratch, type, m));
}

/* ---- disk ---- */

void sim_put(struct sim *s, struct sim_agent *a, uint32_t lane, struct bytes wire, unsigned stream)
{
        struct sim_lane *l = &a->out[lane];
        uint8_t *copy = malloc(wire.n);

        if (l->n == l->room) {
                l->room = l->room ? 2 * l->room : 64;
                l->rows = realloc(l->rows, l->room * sizeof(*l->rows));
        }
        if (!copy || !l->rows)
                abort();
        memcpy(copy, wire.p, wire.n);
        l->rows[l->n++] = (struct sim_envelope){ bytes_of(copy, wire.n), stream };
        session_client_extend(&a->client, lane, l->n + 1);
}

/* Settled for good: the bytes may go. */
static void forget(struct sim_lane *l, uint64_t first)
{
        for (; l->first < first; l->first++) {
                free((void *)l->rows[l->first - 1].wire.p);
                l->rows[l->first - 1].wire = (struct bytes){ 0 };
        }
}

/* ---- receipts ---- */

static void settle(struct sim *s, unsigned agent, const Shuyi__V1__ReceiptRow *row)
{
        struct sim_agent *a = &s->agents[agent];
        struct sim_lane *l = &a->out[row->lane];

        if (row->outbox_seq > l->n)
                sim_fail(s, "a receipt for what was never made");
        if (!session_client_settle(&a->client, row->lane, row->outbox_seq))
                return;                         /* told before, or too early */
        if (row->seq > 0 && !bytes_equal(s->city->log[row->seq - 1].wire, l->rows[row->outbox_seq - 1].wire))
                sim_fail(s, "a receipt names an entry of other bytes");
        if (agent == 0)
                provider_settled(s, row);
        else
                consumer_settled(s, agent, row);
        forget(l, a->client.lanes[row->lane].first);
}

static void take_receipt(struct sim *s, unsigned agent, const Shuyi__V1__SignedReceipt *m)
{
        Shuyi__V1__Receipt *receipt = message_parse(s->scratch, &shuyi__v1__receipt__descriptor, bytes_of_field(m->receipt));

        if (!receipt)
                sim_fail(s, "a receipt does not read");
        for (size_t i = 0; i < receipt->n_rows; i++)
                settle(s, agent, receipt->rows[i]);
}

/* ---- session ---- */

static void say_hello(struct sim *s, unsigned agent)
{
        struct sim_agent *a = &s->agents[agent];
        Shuyi__V1__Lane lane[SESSION_LANES], *rows[SESSION_LANES];
        Shuyi__V1__Hello m;

        session_client_hello(&a->client, &m, lane, rows);
        m.domain = (char *)CITY_DOMAIN;
        m.agent = field_of_bytes(bytes_id(&a->who->id));
        m.parcel_frames = 100;
        m.parcel_bytes = 1 << 20;
        say(s, agent, FRAME_HELLO, &m.base);
}

static void acknowledge(struct sim *s, unsigned agent, uint64_t number)
{
        Shuyi__V1__ParcelAck m = SHUYI__V1__PARCEL_ACK__INIT;

        m.number = number;
        if (session_client_ack(&s->agents[agent].client, number))
                say(s, agent, FRAME_PARCEL_ACK, &m.base);
}

static void act_on(struct sim *s, unsigned agent, struct session_action act, const struct frame *f)
{
        switch (act.what) {
        case SESSION_NOTHING: case SESSION_OPENED: break;
        case SESSION_SEND_HELLO: say_hello(s, agent); break;
        case SESSION_SEND_PING: say(s, agent, FRAME_PING, &(Shuyi__V1__Ping)SHUYI__V1__PING__INIT.base); break;
        case SESSION_SEND_PONG: say(s, agent, FRAME_PONG, &(Shuyi__V1__Ping)SHUYI__V1__PING__INIT.base); break;
        case SESSION_TAKE_RECEIPT: take_receipt(s, agent, f->receipt); break;
        case SESSION_TAKE_PARCEL:
                consumer_parcel(s, agent, f->parcel);
                acknowledge(s, agent, act.number);
                break;
        case SESSION_CONNECT: session_client_connecting(&s->agents[agent].client, s->now); break;
        case SESSION_RECONNECT:
                if (act.why == SESSION_WHY_PROTOCOL || act.why == SESSION_WHY_FORM)
                        sim_fail(s, "an agent leaves an honest broker");
                connection_cut(s, agent);
                break;
        default: sim_fail(s, session_why_text(act.why));
        }
}

void agent_hear(struct sim *s, unsigned agent, struct bytes wire)
{
        struct frame f;

        if (frame_decode(s->scratch, wire, FRAME_TO_AGENT, &f) != ACCEPTED)
                sim_fail(s, "the broker's frame does not read");
        act_on(s, agent, session_client_frame(&s->agents[agent].client, &f, s->now, (uint32_t)chance_next(&s->chance)), &f);
}

void agent_send(struct sim *s, unsigned agent)
{
        struct sim_agent *a = &s->agents[agent];
        uint64_t number;

        for (uint32_t lane = 0; lane < SESSION_LANES; lane++)
                while (session_client_next(&a->client, lane, s->now, &number)) {
                        Shuyi__V1__Put m = SHUYI__V1__PUT__INIT;
                        struct bytes wire = a->out[lane].rows[number - 1].wire;

                        if (!session_client_put(&a->client, lane, number, (uint32_t)wire.n, s->now))
                                break;
                        m.lane = lane;
                        m.outbox_epoch = 1;
                        m.outbox_seq = number;
                        m.envelope = field_of_bytes(wire);
                        say(s, agent, FRAME_PUT, &m.base);
                }
}

void agent_tick(struct sim *s, unsigned agent)
{
        act_on(s, agent, session_client_tick(&s->agents[agent].client, s->now, (uint32_t)chance_next(&s->chance)), NULL);
}

/* ---- the connection ---- */

void agent_connect(struct sim *s, unsigned agent)
{
        struct sim_agent *a = &s->agents[agent];

        if (a->connected || a->client.phase != SESSION_CONNECTING)
                return;
        if (a->revoked) {                       /* ZAP says 400 */
                session_client_denied(&a->client, E_UNKNOWN_AGENT, s->now, (uint32_t)chance_next(&s->chance));
                return;
        }
        a->connected = true;
        act_on(s, agent, session_client_up(&a->client, s->now), NULL);
}

void connection_cut(struct sim *s, unsigned agent)
{
        struct sim_agent *a = &s->agents[agent];

        if (!a->connected)
                return;
        bad_link_cut(&a->up);
        bad_link_cut(&a->down);
        a->connected = a->known = false;
        session_client_down(&a->client, s->now);
        s->cuts++;
}

void agent_start(struct sim *s, unsigned agent)
{
        struct sim_agent *a = &s->agents[agent];

        session_client_init(&a->client, &timing, 1, (uint64_t[]){ a->out[0].first, a->out[1].first }, (uint64_t[]){ a->out[0].n + 1, a->out[1].n + 1 });
        for (unsigned i = 0; i < SIM_STREAMS; i++) {
                struct sim_subscription *sub = &a->subs[i];

                sub->unreceipted = (struct flow_unreceipted){ 0 };
                for (uint64_t n = sub->receipted; n < sub->position.cursor; n++)
                        flow_unreceipted_add(&sub->unreceipted, s->now, false);
        }
}

void agent_crash(struct sim *s, unsigned agent)
{
        connection_cut(s, agent);
        agent_start(s, agent);
        s->crashes++;
}
