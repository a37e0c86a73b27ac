/* sim_consumer: an inbox that takes what continues its stream, and answers for it. */
#include "tests/sim/sim.h"
#include "common/exchange/rows.h"
#include <stdlib.h>

/* Was the agent's grant named by the epoch that this link is of? */
static bool epoch_names(struct sim *s, const struct sim_subscription *a, const Shuyi__V1__Intent *i)
{
        uint8_t epoch[4];
        Shuyi__V1__NumberRow *place;
        const Shuyi__V1__ViewEpochBody *body;
        const struct claim *claim;

        put_be32(epoch, i->view_epoch);
        place = CITY_ROW(s->city, TABLE_EPOCH_SEQ, &shuyi__v1__number_row__descriptor, bytes_of_field(i->stream), bytes_of(epoch, 4));
        if (!place || envelope_parse(s->scratch, s->city->log[place->n - 1].wire, &claim) != ACCEPTED)
                return false;
        body = (const Shuyi__V1__ViewEpochBody *)claim->open_body;
        for (size_t k = 0; k < body->n_rows; k++)
                if (bytes_equal(bytes_of_field(body->rows[k]->grant), bytes_digest(&a->grant)))
                        return true;
        return false;
}

static void take_records(struct sim *s, struct sim_subscription *a, const struct claim *claim)
{
        uint64_t from = get_be64(claim->body.p), to = get_be64(claim->body.p + 8);

        if (!epoch_names(s, a, claim->intent))
                sim_fail(s, "records came to one whom their epoch does not name");
        if (from != a->last_record + 1 && !(a->fresh && from > a->last_record))
                sim_fail(s, "records came twice, or some never");
        a->last_record = to;
        a->fresh = false;
        a->taken += (unsigned)(to + 1 - from);
}

/* A subscription that begins anew, at the epoch that names it again. */
static void begin(struct sim_subscription *a, uint64_t stream_seq)
{
        a->restarts += a->position.cursor > 0;
        a->position = flow_position_start(stream_seq);
        a->receipted = stream_seq - 1;
        a->unreceipted = (struct flow_unreceipted){ 0 };
        a->fresh = true;
}

static bool begins_here(struct sim *s, const struct sim_subscription *a, const struct claim *claim)
{
        Shuyi__V1__SubscriptionRow *sub = market_subscription(s->market, &a->grant);

        return claim->kind->number == KIND_VIEW_EPOCH && claim->intent->stream_seq > a->position.cursor &&
               claim->intent->stream_seq <= sub->start && epoch_names(s, a, claim->intent);
}

static enum flow_arrival arrive(const struct sim_subscription *a, const struct claim *claim)
{
        struct digest prev;
        bool has_prev = bytes_copy_exact(bytes_of_field(claim->intent->prev_digest), prev.b, DIGEST_BYTES);

        return flow_arrive(&a->position, claim->intent->stream_seq, has_prev ? &prev : NULL, &claim->header_digest, NULL);
}

static unsigned stream_of(struct sim *s, const struct sim_agent *a, struct bytes grant)
{
        for (unsigned i = 0; i < SIM_STREAMS; i++)
                if (bytes_equal(bytes_digest(&a->subs[i].grant), grant))
                        return i;
        sim_fail(s, "a parcel for a grant that is another's");
}

void consumer_parcel(struct sim *s, unsigned agent, const Shuyi__V1__Parcel *p)
{
        unsigned stream = stream_of(s, &s->agents[agent], bytes_of_field(p->grant));
        struct sim_subscription *a = &s->agents[agent].subs[stream];
        const struct claim *claim;
        enum flow_arrival arrival;

        if (envelope_parse(s->scratch, bytes_of_field(p->envelope), &claim) != ACCEPTED)
                sim_fail(s, "a link does not read");
        if (arrive(a, claim) != FLOW_REPEAT && begins_here(s, a, claim))
                begin(a, claim->intent->stream_seq);
        arrival = arrive(a, claim);
        if (arrival == FLOW_REPEAT)
                return;
        if (arrival != FLOW_TAKE)
                sim_fail(s, flow_arrival_text(arrival));
        if (claim->kind->number == KIND_UPDATE)
                take_records(s, a, claim);
        flow_position_take(&a->position, claim->intent->stream_seq, &claim->header_digest);
        flow_unreceipted_add(&a->unreceipted, s->now, false);
        consumer_receipt(s, agent, stream);
}

void consumer_receipt(struct sim *s, unsigned agent, unsigned stream)
{
        struct sim_agent *a = &s->agents[agent];
        struct sim_subscription *sub = &a->subs[stream];
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        struct city_act act = { .kind = KIND_DELIVERY_RECEIPT, .intent = &i, .by = { { a->who, ROLE_AGENT } } };
        struct mono_time at;

        if (a->revoked || !flow_receipt_due(&sub->unreceipted, s->now, &at))
                return;
        i.grant = field_of_bytes(bytes_digest(&sub->grant));
        i.stream = field_of_bytes(bytes_digest(&s->streams[stream].stream.id));
        act.body = &market_receipt(s->market, sub->receipted + 1, sub->position.cursor, &sub->position.head)->base;
        sim_put(s, a, 0, city_envelope(s->city, &act), stream);
        sub->receipted = sub->position.cursor;
        sub->unreceipted = (struct flow_unreceipted){ 0 };
}

/* A receipt may be refused only where the subscription began anew under it: then it is said again from there. */
void consumer_settled(struct sim *s, unsigned agent, const Shuyi__V1__ReceiptRow *row)
{
        struct sim_agent *a = &s->agents[agent];
        struct sim_subscription *sub = &a->subs[a->out[row->lane].rows[row->outbox_seq - 1].stream];
        uint64_t expected;

        if (row->code == ACCEPTED || a->revoked)
                return;
        if (!flow_receipt_expected((enum refusal)row->code, row->detail, &expected))
                sim_fail(s, refusal_text(row->code)->code);
        if (expected == 0)
                expected = market_subscription(s->market, &sub->grant)->cursor + 1;     /* a read tells it */
        if (expected > sub->position.cursor)
                return;
        sub->receipted = expected - 1;
        sub->unreceipted = (struct flow_unreceipted){ 0 };
        flow_unreceipted_add(&sub->unreceipted, s->now, false);
}
