/* sequence_own: the entries that the sequencer makes of itself; apply checks each against the state, and a difference stops
 * the process. */
#include "broker/sequence.h"
#include "broker/mirror.h"
#include "common/macro.h"
#include "common/policy.h"
#include "common/policy_keys.h"
#include <errno.h>

/* An entry of the broker's own; it must be accepted, or our state is not what we think. */
static struct ticket *add_system(struct sequence *s, enum kind_number kind, const ProtobufCMessage *body, struct ticket *t)
{
        sequence_need_group(s);
        t->claim = system_make(&s->signer, t->arena, kind, body, sequence_later(s->now, s->fold.accepted_at));
        if (!t->claim)
                broker_fail("sequence.system", -ENOMEM);
        t->wire = t->claim->wire;
        sequence_step(s, t);
        if (t->code != ACCEPTED)
                broker_fail("sequence.system", -EBADMSG);
        if (!s->map_full)
                sequence_count(s, t);
        sequence_group_take(s, t);
        return t;
}

static struct ticket *system_ticket(void)
{
        struct ticket *t = ticket_new();

        if (!t)
                broker_fail("sequence.memory", -ENOMEM);
        return t;
}

/* ---- what the broker says by itself ---- */

void sequence_read_trust_interval(struct sequence *s)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        Shuyi__V1__DocumentRow *row = a ? FOLD_ROW(store_state(s->broker->store), a, shuyi__v1__document_row__descriptor, TABLE_POLICY, (struct bytes){ 0 }) : NULL;
        struct policy *p = row ? policy_parse(bytes_of(row->bytes_.data, row->bytes_.len), NULL, NULL) : NULL;

        s->trust_head_ns = (p ? policy_number(p, POLICY_trust_head_s) : 60) * 1000000000ull;
        policy_free(p);
}

void sequence_add_trust_head(struct sequence *s)
{
        Shuyi__V1__TrustHeadBody body = SHUYI__V1__TRUST_HEAD_BODY__INIT;
        struct ticket *t = system_ticket();
        int r;

        sequence_need_group(s);
        r = exchange_trust_head_body(store_state(s->broker->store), t->arena, &body);
        if (r < 0)
                broker_fail("sequence.trust_head", r);
        add_system(s, KIND_TRUST_HEAD, &body.base, t);
        s->group->trust_head = t;
        s->fold.trust_moved = false;
        s->trust_head_at = s->mono;
        atomic_store(&s->broker->trust_seq, body.trust_seq);
        sequence_read_trust_interval(s);
}

void sequence_add_tick(struct sequence *s)
{
        Shuyi__V1__TickBody body = SHUYI__V1__TICK_BODY__INIT;
        struct ticket *t = system_ticket();
        int r;

        sequence_need_group(s);
        r = exchange_tick_body(store_state(s->broker->store), sequence_later(s->now, s->fold.accepted_at), &body);
        if (r < 0)
                broker_fail("sequence.tick", r);
        add_system(s, KIND_TICK, &body.base, t);
}

void sequence_find_due(struct sequence *s)
{
        int r = store_is_open(s->broker->store) ? 0 : store_begin(s->broker->store);

        if (r == 0)
                r = exchange_next_due(store_state(s->broker->store), &s->due);
        if (r < 0)
                broker_fail("sequence.due", r);
}

void sequence_add_refused(struct sequence *s)
{
        struct ticket *t = system_ticket();
        Shuyi__V1__RefusedBody *body = tally_take(&s->tally, t->arena);

        if (!body)
                broker_fail("sequence.tally", -ENOMEM);
        s->tallied = s->mono;
        add_system(s, KIND_REFUSED, &body->base, t);
}

void sequence_add_handover(struct sequence *s, const struct handover *h)
{
        Shuyi__V1__HandoverBody body = SHUYI__V1__HANDOVER_BODY__INIT;
        struct ticket *t = system_ticket();

        body.link = h->link;
        body.n_rows = h->n;
        body.rows = ARENA_ARRAY(t->arena, Shuyi__V1__HandoverRow *, h->n + 1);
        for (unsigned i = 0; body.rows && i < h->n; i++) {
                Shuyi__V1__HandoverRow *row = ARENA_NEW(t->arena, Shuyi__V1__HandoverRow);

                if (!row)
                        broker_fail("sequence.memory", -ENOMEM);
                shuyi__v1__handover_row__init(row);
                row->grant = (ProtobufCBinaryData){ DIGEST_BYTES, (uint8_t *)h->rows[i].grant.b };
                row->stream = (ProtobufCBinaryData){ DIGEST_BYTES, (uint8_t *)h->rows[i].stream.b };
                row->first = h->rows[i].first;
                row->last = h->rows[i].last;
                body.rows[i] = row;
        }
        add_system(s, KIND_HANDOVER, &body.base, t);
}

void sequence_add_outage(struct sequence *s, enum outage what)
{
        Shuyi__V1__OutageBody body = SHUYI__V1__OUTAGE_BODY__INIT;

        body.from = s->fold.accepted_at.ms;
        body.to = sequence_later(s->now, s->fold.accepted_at).ms;
        body.what = what;
        add_system(s, KIND_OUTAGE, &body.base, system_ticket());
}

/* What may have been handed over before a crash, and was never receipted: all that a live subscription could have got. */
struct before { struct state state; struct arena *arena; struct handover **list; int fault; };

static void note_before(struct bytes key, void *value, void *arg)
{
        struct before *b = arg;
        const struct mirror_sub *sub = value;
        const Shuyi__V1__AgentRow *agent;

        if (b->fault < 0 || mirror_limit(sub) < mirror_next(sub))
                return;
        arena_reset(b->arena);
        agent = FOLD_ROW(b->state, b->arena, shuyi__v1__agent_row__descriptor, TABLE_AGENT, bytes_id(&sub->agent));
        if (agent)
                b->fault = handover_add(b->list, agent->link, &(struct handover_row){ sub->grant, sub->stream, mirror_next(sub), mirror_limit(sub) });
}

int sequence_handed_over_before(struct store *store, struct handover **list)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct before b = { store_state(store), a, list, 0 };
        struct mirror m = { 0 };

        b.fault = a ? mirror_load(&m, store) : -ENOMEM;
        if (b.fault == 0)
                bytemap_each(m.subs, note_before, &b);
        mirror_fini(&m);
        return b.fault;
}
