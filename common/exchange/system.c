/* system: what the sequencer says of itself.  Each body is compared with the state; a difference is a fault of ours and
 * stops the process, so guards answer through t->fault and never refuse. */
#include "common/exchange/effects.h"
#include "common/exchange/tick.h"
#include "common/exchange/trust_map.h"
#include "common/macro.h"

#include <errno.h>

static enum refusal differs(struct turn *t)
{
        t->fault = -EBADMSG;
        return E_FORM;
}

static bool is_digest(const ProtobufCBinaryData *b)
{
        return b->len == DIGEST_BYTES;
}

static enum refusal load_nothing(struct turn *t, void **ret_matter, unsigned *ret_state)
{
        *ret_matter = NULL;
        *ret_state = 0;
        return t->claim->open_body ? ACCEPTED : differs(t);
}

/* ---- TICK ---- */

static void tick(struct turn *t, void *matter)
{
        const Shuyi__V1__TickBody *body = (const void *)t->claim->open_body;

        if (tick_fire(t) != body->fired)
                differs(t);
}

/* ---- TRUST_HEAD ---- */

static void trust_head(struct turn *t, void *matter)
{
        const Shuyi__V1__TrustHeadBody *body = (const void *)t->claim->open_body;
        struct digest root = trust_map_root(t);

        if (body->trust_seq != t->meta->trust_seq ||
            !bytes_equal(bytes_of(body->chain.data, body->chain.len), bytes_of(t->meta->trust_chain.data, t->meta->trust_chain.len)) ||
            !bytes_equal(bytes_of(body->map_root.data, body->map_root.len), bytes_digest(&root)))
                differs(t);
        t->meta->trust_head_seq = t->meta->trust_seq;
        t->meta->trust_head_at = t->now.ms;
        turn_wake(t, WAKE_TRUST, (struct bytes){ 0 });
}

/* ---- REFUSED ---- */

static enum refusal tallies_fit(struct turn *t, void *matter)
{
        const Shuyi__V1__RefusedBody *body = (const void *)t->claim->open_body;

        for (size_t i = 0; i < body->n_rows; i++)
                if (!body->rows[i]->count || !body->rows[i]->code || !refusal_known(body->rows[i]->code))
                        return differs(t);
        return body->n_rows ? ACCEPTED : differs(t);
}

static void tally(struct turn *t, void *matter)
{
        const Shuyi__V1__RefusedBody *body = (const void *)t->claim->open_body;

        for (size_t i = 0; i < body->n_rows; i++) {
                struct bytes key = TURN_KEY(t, TABLE_TALLY, turn_u32(t, body->rows[i]->link), turn_u32(t, body->rows[i]->code));
                Shuyi__V1__NumberRow *old = turn_get_row(t, key, &shuyi__v1__number_row__descriptor);
                Shuyi__V1__NumberRow row = SHUYI__V1__NUMBER_ROW__INIT;

                row.n = (old ? old->n : 0) + body->rows[i]->count;
                turn_put_row(t, key, &row.base);
        }
}

/* ---- HANDOVER: the log holds it, the state needs nothing ---- */

static enum refusal handover_fits(struct turn *t, void *matter)
{
        const Shuyi__V1__HandoverBody *body = (const void *)t->claim->open_body;

        for (size_t i = 0; i < body->n_rows; i++) {
                const Shuyi__V1__HandoverRow *row = body->rows[i];
                struct bytes value, grant = bytes_of(row->grant.data, row->grant.len);

                if (!is_digest(&row->grant) || !is_digest(&row->stream) || row->first == 0 || row->first > row->last ||
                    !turn_get(t, TURN_KEY(t, TABLE_SUBSCRIPTION, grant), &value))
                        return differs(t);
        }
        return body->n_rows ? ACCEPTED : differs(t);
}

/* ---- OUTAGE ---- */

static enum refusal outage_fits(struct turn *t, void *matter)
{
        const Shuyi__V1__OutageBody *body = (const void *)t->claim->open_body;

        return body->from <= body->to && body->to <= t->now.ms && word_known(LIST_outage, body->what) ? ACCEPTED : differs(t);
}

/* ---- ENGINE ---- */

static enum refusal engine_fits(struct turn *t, void *matter)
{
        const Shuyi__V1__EngineBody *body = (const void *)t->claim->open_body;

        return body->rules_version >= t->meta->rules_version && body->rules_version <= RULES_VERSION ? ACCEPTED : differs(t);
}

static void engine(struct turn *t, void *matter)
{
        t->meta->rules_version = ((const Shuyi__V1__EngineBody *)(const void *)t->claim->open_body)->rules_version;
}

/* ---- EPOCH: the entry is the first of the new one; apply writes META's epoch ---- */

static enum refusal epoch_fits(struct turn *t, void *matter)
{
        const Shuyi__V1__EpochBody *body = (const void *)t->claim->open_body;

        return t->entry->epoch == t->meta->epoch + 1 && body->base_seq == t->meta->seq && is_digest(&body->base_root) ? ACCEPTED : differs(t);
}

static const struct rule rules[] = {
        /* in       event             by          guards               becomes  effect      row           law */
        { IN_NONE, KIND_TICK,        BY_SYSTEM, { NULL },              0,       tick,       "DESIGN 2",   "ZS 36" },
        { IN_NONE, KIND_TRUST_HEAD,  BY_SYSTEM, { NULL },              0,       trust_head, "DESIGN 3",   "ZS 32(1)" },
        { IN_NONE, KIND_REFUSED,     BY_SYSTEM, { tallies_fit },       0,       tally,      "DESIGN 7",   "ZS 32(1)" },
        { IN_NONE, KIND_HANDOVER,    BY_SYSTEM, { handover_fits },     0,       NULL,       "DESIGN 6",   "ZS 32(2)" },
        { IN_NONE, KIND_OUTAGE,      BY_SYSTEM, { outage_fits },       0,       NULL,       "12.6",       "ZS 36" },
        { IN_NONE, KIND_ENGINE,      BY_SYSTEM, { engine_fits },       0,       engine,     "DESIGN 2",   "ZS 7" },
        { IN_NONE, KIND_EPOCH,       BY_SYSTEM, { epoch_fits },        0,       NULL,       "DESIGN 7",   "ZS 32(1)" },
};

const struct machine machine_system = {
        .name = "SYSTEM",
        .load = load_nothing,
        .rules = rules,
        .rules_n = ELEMENTS(rules),
};

/* ---- for the sequencer ---- */

static int head_turn(struct turn *t, struct state state, struct arena *a)
{
        *t = (struct turn){ .state = state, .arena = a, .effects = effects_new(a) };
        if (!t->effects)
                return -ENOMEM;
        t->meta = turn_get_row(t, TURN_KEY(t, TABLE_META, (struct bytes){ 0 }), &shuyi__v1__meta_row__descriptor);
        if (!t->meta)
                return t->fault ? t->fault : -EBADMSG;
        return 0;
}

int exchange_trust_head_body(struct state state, struct arena *a, Shuyi__V1__TrustHeadBody *ret)
{
        struct turn t;
        struct digest root;
        struct bytes kept;
        int r = head_turn(&t, state, a);

        if (r < 0)
                return r;
        root = trust_map_root(&t);
        kept = arena_copy(a, bytes_digest(&root));
        if (t.fault < 0 || !kept.p)
                return t.fault ? t.fault : -ENOMEM;
        shuyi__v1__trust_head_body__init(ret);
        ret->trust_seq = t.meta->trust_seq;
        ret->chain = t.meta->trust_chain;
        ret->map_root = (ProtobufCBinaryData){ kept.n, (uint8_t *)kept.p };
        return 0;
}
