/* sim_provider: an outbox of two stages: records are taken, then sealed into links of their stream.
 *
 * A record is its number; an UPDATE's body names the first and the last it holds, so that the log shows whether one was lost
 * or doubled.  A refused link lets the later ones be refused in their turn; then all of them go back to taken. */
#include "tests/sim/sim.h"
#include "common/exchange/rows.h"
#include <stdlib.h>

static struct sim_agent *self(struct sim *s)
{
        return &s->agents[0];
}

static struct digest key_of(uint32_t epoch)
{
        uint8_t text[4];

        put_be32(text, epoch);
        return digest_plain(bytes_of(text, sizeof(text)));
}

void provider_take(struct sim *s, unsigned stream)
{
        struct sim_stream *p = &s->streams[stream];

        if (p->next_record > p->records)
                p->oldest = s->now;
        p->records += 1 + sim_below(s, 300);
}

/* ---- who hears it ---- */

static bool may_hear(struct sim *s, const struct sim_agent *a, unsigned stream)
{
        Shuyi__V1__GrantRow *grant = market_grant(s->market, &a->subs[stream].grant);
        Shuyi__V1__SubscriptionRow *sub = market_subscription(s->market, &a->subs[stream].grant);

        return grant && sub && !a->revoked && grant->state == GRANT_ACTIVE && (sub->state == SUB_KEY_WAIT || sub->state == SUB_LIVE);
}

void provider_look(struct sim *s, unsigned stream)
{
        s->streams[stream].wanted = 0;
        for (unsigned i = 1; i < SIM_AGENTS; i++)
                if (may_hear(s, &s->agents[i], stream))
                        s->streams[stream].wanted |= 1u << i;
}

/* ---- sealing ---- */

static void add_link(struct sim *s, struct sim_stream *p, struct bytes wire, struct sim_link l)
{
        const struct claim *claim;

        if (envelope_parse(s->scratch, wire, &claim) != ACCEPTED || p->pending_n == SIM_PENDING)
                sim_fail(s, "a link does not read, or too many wait");
        l.number = self(s)->out[1].n + 1;
        l.digest = claim->header_digest;
        l.stream_seq = p->chain.sealed + 1;
        flow_stream_sealed(&p->chain, &claim->header_digest);
        p->pending[p->pending_n++] = l;
        sim_put(s, self(s), 1, wire, (unsigned)(p - s->streams));
}

static struct market_stream stream_now(const struct sim_stream *p, uint32_t key_epoch)
{
        struct market_stream m = p->stream;

        m.head = p->chain.sealed;
        m.head_digest = p->chain.head;
        m.epoch = p->epoch;
        m.key_id = key_of(key_epoch);
        return m;
}

static void seal_epoch(struct sim *s, struct sim_stream *p)
{
        struct market_stream m = stream_now(p, p->epoch + 1);
        Shuyi__V1__AudienceRow *rows[SIM_AGENTS];
        Shuyi__V1__ViewEpochBody body = SHUYI__V1__VIEW_EPOCH_BODY__INIT;
        struct city_act act = { .kind = KIND_VIEW_EPOCH, .body = &body.base, .by = { { self(s)->who, ROLE_AGENT } } };
        size_t n = 0;

        for (unsigned i = 1; i < SIM_AGENTS; i++)
                if (p->wanted & 1u << i)
                        rows[n++] = market_row(s->market, &s->agents[i].subs[p - s->streams].grant);
        body.rows = rows;
        body.n_rows = n;
        act.intent = market_epoch_intent(s->market, &m, rows, n);
        p->epoch++;
        p->audience = p->wanted;
        add_link(s, p, city_envelope(s->city, &act), (struct sim_link){ .kind = KIND_VIEW_EPOCH, .epoch = p->epoch });
}

static void seal_update(struct sim *s, struct sim_stream *p, uint32_t records)
{
        struct market_stream m = stream_now(p, p->epoch);
        uint8_t body[64] = { 0 };
        struct sim_link l = { .kind = KIND_UPDATE, .epoch = p->epoch, .from = p->next_record, .to = p->next_record + records - 1 };
        struct city_act act = { .kind = KIND_UPDATE, .raw = bytes_of(body, sizeof(body)), .by = { { self(s)->who, ROLE_AGENT } } };

        put_be64(body, l.from);
        put_be64(body + 8, l.to);
        act.intent = market_update_intent(s->market, &m, records);
        add_link(s, p, city_envelope(s->city, &act), l);
        p->next_record = l.to + 1;
        p->oldest = s->now;
}

static void seal_head(struct sim *s, struct sim_stream *p)
{
        struct market_stream m = stream_now(p, p->epoch);
        struct city_act act = { .kind = KIND_STREAM_HEAD, .intent = market_link(s->market, &m), .by = { { self(s)->who, ROLE_AGENT } } };

        add_link(s, p, city_envelope(s->city, &act), (struct sim_link){ .kind = KIND_STREAM_HEAD, .epoch = p->epoch });
}

static struct flow_waiting waiting(struct sim *s, const struct sim_stream *p)
{
        struct flow_waiting w = { .oldest = p->oldest, .unacknowledged = p->pending_n, .credit = session_client_has_credit(&self(s)->client, 1) };
        uint64_t left = p->records + 1 - p->next_record;

        while (left > 0 && flow_batch_add(&w.batch, 1000))
                left--;
        w.more = left > 0;
        return w;
}

void provider_seal(struct sim *s, unsigned stream)
{
        struct sim_stream *p = &s->streams[stream];
        struct flow_waiting w = waiting(s, p);
        struct mono_time at;

        if (p->first_refused || s->now.ns < p->wait.ns || !w.credit || p->wanted == 0)
                return;
        if (p->wanted != p->audience)
                seal_epoch(s, p);
        else if (flow_seal_when(&w, s->now, &at) == FLOW_SEAL_NOW)
                seal_update(s, p, w.batch.records);
        else if (!s->resting && w.batch.records == 0 && sim_below(s, 40) == 0)
                seal_head(s, p);
}

/* ---- receipts ---- */

static struct sim_link *find_link(struct sim_stream *p, uint64_t number)
{
        for (unsigned i = 0; i < p->pending_n; i++)
                if (p->pending[i].number == number)
                        return &p->pending[i];
        return NULL;
}

static void drop_link(struct sim_stream *p, struct sim_link *l)
{
        size_t after = (size_t)(p->pending + p->pending_n - (l + 1));

        memmove(l, l + 1, after * sizeof(*l));
        p->pending_n--;
}

static void refused(struct sim *s, struct sim_stream *p, const struct sim_link *l, enum refusal code, uint64_t seq)
{
        struct flow_refusal r = flow_data_refused(code, seq);

        if (!flow_refusal_follows(l->stream_seq, p->first_refused)) {
                if (r.verdict == FLOW_DEAD_LETTER)
                        sim_fail(s, refusal_text(code)->code);
                p->first_refused = l->stream_seq;
                p->verdict = r.verdict;
                p->again += r.verdict == FLOW_AGAIN;
                p->wait = (struct mono_time){ s->now.ns + r.retry_ms * 1000000ull };
        }
        if (l->kind == KIND_UPDATE && (p->back_to_record == 0 || l->from < p->back_to_record))
                p->back_to_record = l->from;
        p->epoch_refused |= l->kind == KIND_VIEW_EPOCH;
        p->refusals++;
}

/* The last link behind the refused one has its answer: all are taken again. */
static void go_back(struct sim *s, struct sim_stream *p)
{
        flow_stream_back(&p->chain, p->accepted, &p->accepted_head);
        if (p->back_to_record)
                p->next_record = p->back_to_record;
        p->epoch = p->accepted_epoch;
        if (p->epoch_refused || p->verdict == FLOW_NEW_EPOCH)
                p->audience = 0;
        p->first_refused = p->back_to_record = 0;
        p->epoch_refused = false;
        provider_look(s, (unsigned)(p - s->streams));
}

void provider_settled(struct sim *s, const Shuyi__V1__ReceiptRow *row)
{
        struct sim_stream *p = &s->streams[self(s)->out[row->lane].rows[row->outbox_seq - 1].stream];
        struct sim_link *l = row->lane == 1 ? find_link(p, row->outbox_seq) : NULL;

        if (row->lane == 0)
                return;
        if (l != p->pending || p->pending_n == 0)
                sim_fail(s, "an answer out of order");
        if (row->code == ACCEPTED && p->first_refused)
                sim_fail(s, "a link was accepted behind a refused one");
        if (row->code == ACCEPTED) {
                p->accepted = l->stream_seq;
                p->accepted_head = l->digest;
                p->accepted_epoch = l->epoch;
        } else {
                refused(s, p, l, (enum refusal)row->code, row->seq);
        }
        drop_link(p, l);
        if (p->first_refused && p->pending_n == 0)
                go_back(s, p);
}
