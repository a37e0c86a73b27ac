/* apply: decides an entry, in the order of REGULATIONS 6.13, by walking the tables of the nouns.
 *
 * Reading downward: what is checked of any act, how its row is found, what is written when it is accepted and what when
 * it is refused.  A refused control act leaves META, its lane and its ids; refused data leave nothing. */
#include "common/exchange/apply.h"

#include "common/exchange/effects.h"
#include "common/exchange/machines.h"
#include "common/exchange/memo.h"
#include "common/exchange/repetition.h"
#include "common/exchange/signers.h"

#include <errno.h>

/* ---- checks 2 and 3: times, repetition, domain, policy, later kinds ---- */

static bool person_signed(const struct claim *c)
{
        for (unsigned i = 0; i < c->signers_n; i++)
                if (c->signers[i].capacity != ROLE_AGENT && c->signers[i].capacity != ROLE_SYSTEM)
                        return true;
        return false;
}

/* What machines sign may stay in an outbox for days and names no expiry; what people sign must. */
static enum refusal check_expiry(struct turn *t)
{
        const Shuyi__V1__Intent *i = t->intent;

        if (i->expires_at == 0)
                return person_signed(t->claim) ? turn_refuse(t, E_FORM, "expires_at") : ACCEPTED;
        if (i->expires_at <= t->now.ms || i->expires_at < i->created_at || i->expires_at - i->created_at > EXPIRY_MAX_MS)
                return turn_refuse(t, E_FORM, "expires_at");
        return ACCEPTED;
}

static enum refusal check_times(struct turn *t)
{
        const Shuyi__V1__Intent *i = t->intent;
        struct id id;

        if (i->created_at > t->now.ms + SKEW_MS)
                return turn_refuse(t, E_FORM, "created_at");
        if (!bytes_copy_exact(bytes_of(i->id.data, i->id.len), id.b, ID_BYTES) || !uuid7_check(&id) || uuid7_time(&id) != i->created_at)
                return turn_refuse(t, E_FORM, "id");
        return check_expiry(t);
}

/* Reads are answered, never entered; and each class has its lane. */
static enum refusal check_lane(struct turn *t)
{
        const struct kind *k = t->claim->kind;

        if (k->class == KIND_READ || (t->entry->link && (k->class == KIND_SYSTEM || t->entry->lane != kind_lane(k))))
                return turn_refuse(t, E_FORM, "lane");
        return ACCEPTED;
}

static enum refusal check_domain(struct turn *t)
{
        return strcmp(t->intent->domain, t->meta->domain) == 0 ? ACCEPTED : turn_refuse(t, E_DOMAIN, "domain");
}

/* Before policy and calendar only the registry can be built; and a stopped clock can be set right at any time. */
static enum refusal check_policy(struct turn *t)
{
        const struct kind *k = t->claim->kind;

        if ((t->policy && t->calendar) || k->class == KIND_SYSTEM)
                return ACCEPTED;
        switch (k->number) {
        case KIND_ANCHOR:
        case KIND_CREDENTIAL:
        case KIND_DEPARTMENT:
        case KIND_FILE:
        case KIND_ACCEPT:
        case KIND_STAFF_RETURN:
        case KIND_STAFF_CHANGE:
        case KIND_REVOKE:
        case KIND_SEAL_KEY:
        case KIND_POLICY_SET:
        case KIND_CALENDAR_SET:
        case KIND_CLOCK:
                return ACCEPTED;
        default:
                return turn_refuse(t, E_NO_POLICY, t->policy ? "calendar" : "policy");
        }
}

static enum refusal check_later(struct turn *t)
{
        return t->claim->kind->later || !machine_of_kind(t->claim->kind->number) ? turn_refuse(t, E_NOT_YET, t->claim->kind->row) : ACCEPTED;
}

/* ---- checks 5 to 10: the row ---- */

/* Could these signers make this event in any state?  E_ROLE comes before anything is told about the object. */
static bool any_row_fits(struct turn *t, const struct machine *m)
{
        for (size_t i = 0; i < m->rules_n; i++)
                if (m->rules[i].event == t->claim->kind->number && signers_fit(t, m->rules[i].by))
                        return true;
        return false;
}

/* The first row for this event and state whose places these signers may take. */
static enum refusal find_row(struct turn *t, const struct machine *m, unsigned state, const struct rule **ret)
{
        bool listed = false;

        for (size_t i = 0; i < m->rules_n; i++) {
                const struct rule *rule = &m->rules[i];

                if (rule->event != t->claim->kind->number || !(rule->in & IN(state)))
                        continue;
                listed = true;
                if (signers_fit(t, rule->by)) {
                        *ret = rule;
                        return rule->later ? turn_refuse(t, E_NOT_YET, rule->row) : ACCEPTED;
                }
        }
        return listed ? turn_refuse(t, E_ROLE, "state") : turn_refuse(t, E_STATE, m->name);
}

static void fire_in_front(struct turn *t)
{
        const ProtobufCBinaryData *objects[] = { &t->intent->request, &t->intent->grant, &t->intent->object };

        if (t->claim->kind->class != KIND_CONTROL || t->replica)
                return;
        for (unsigned i = 0; i < 3; i++)
                turn_fire_due(t, bytes_of(objects[i]->data, objects[i]->len));
}

static enum refusal check_guards(struct turn *t, const struct rule *rule, void *matter)
{
        enum refusal r = signers_check(t, rule->by);

        for (unsigned i = 0; i < RULE_GUARDS_MAX && rule->guards[i] && r == ACCEPTED && t->fault == 0; i++)
                r = rule->guards[i](t, matter);
        return r;
}

static enum refusal run_row(struct turn *t, const struct machine *m)
{
        const struct rule *rule = NULL;
        void *matter = NULL;
        unsigned state = 0;
        enum refusal r;

        if (!any_row_fits(t, m))
                return turn_refuse(t, E_ROLE, t->actors_n ? word_name(LIST_role, t->actors[0].capacity) : "");
        r = signers_check_suspended(t);
        if (r != ACCEPTED)
                return r;
        fire_in_front(t);
        r = m->load(t, &matter, &state);
        if (r == ACCEPTED)
                r = find_row(t, m, state, &rule);
        if (r == ACCEPTED && m->frozen)
                r = m->frozen(t, matter);
        if (r == ACCEPTED)
                r = check_guards(t, rule, matter);
        if (r != ACCEPTED || t->fault < 0)
                return r;
        if (rule->effect)
                rule->effect(t, matter);
        if (m->store)
                m->store(t, matter, rule->becomes ? rule->becomes : state);
        return ACCEPTED;
}

static enum refusal act(struct turn *t)
{
        const struct machine *m = machine_of_kind(t->claim->kind->number);
        enum refusal r = m ? signers_resolve(t) : turn_refuse(t, E_NOT_YET, t->claim->kind->row);

        return r == ACCEPTED && t->fault == 0 ? run_row(t, m) : r;
}

/* Checks 2 and 3 in their order; lanes are the broker's alone. */
static enum refusal check_act(struct turn *t)
{
        static enum refusal (*const checks[])(struct turn *t) = {
                check_lane, check_times, repetition_check_lane, repetition_check_id, check_domain, check_policy, check_later,
        };
        enum refusal r = ACCEPTED;

        for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]) && r == ACCEPTED && t->fault == 0; i++)
                r = checks[i](t);
        return r;
}

static enum refusal decide(struct turn *t)
{
        enum refusal r = check_act(t);

        return r == ACCEPTED && t->fault == 0 ? act(t) : r;
}

enum refusal apply_again(struct turn *t)
{
        enum refusal r = decide(t);

        if (r == ACCEPTED && t->fault == 0)
                repetition_settle(t, r);
        return r;
}

/* ---- one evaluation ---- */

static int read_meta(struct turn *t)
{
        t->meta = turn_get_row(t, TURN_KEY(t, TABLE_META, (struct bytes){ 0 }), &shuyi__v1__meta_row__descriptor);
        if (!t->meta)
                return t->fault ? t->fault : -EBADMSG;
        return 0;
}

/* What the sequencer itself guarantees; otherwise state and log do not belong together. */
static int check_place(const struct exchange *x, const struct turn *t)
{
        const struct entry *e = t->entry;
        bool next_epoch = t->claim->kind->number == KIND_EPOCH && e->epoch == t->meta->epoch + 1;

        if (strcmp(memo_domain(x), t->meta->domain) != 0 || e->seq != t->meta->seq + 1 || e->accepted_at.ms < t->meta->accepted_at)
                return -EBADMSG;
        return e->epoch == t->meta->epoch || next_epoch ? 0 : -EBADMSG;
}

static int open_turn(struct exchange *x, struct turn *t)
{
        int r;

        t->effects = effects_new(t->arena);
        if (!t->effects)
                return -ENOMEM;
        t->actors_n = 0;
        r = read_meta(t);
        if (r == 0)
                r = check_place(x, t);
        return r == 0 ? memo_fill(x, t) : r;
}

/* The first entry of a Shanghai day is noted: so the state knows how old an entry is (purge.c). */
static void note_day(struct turn *t)
{
        day_number day = times_shanghai_day(t->entry->accepted_at);
        Shuyi__V1__NumberRow row = SHUYI__V1__NUMBER_ROW__INIT;

        if (t->meta->seq > 0 && times_shanghai_day((struct wall_time){ t->meta->accepted_at }) == day)
                return;
        row.n = t->entry->seq;
        turn_put_row(t, TURN_KEY(t, TABLE_DAY, turn_u32(t, (uint32_t)day)), &row.base);
}

/* META closes the entry.  Its own digest is over the rows with the chain as it stood before; then the chain goes on. */
static int close_turn(struct turn *t, enum refusal code, struct outcome *ret)
{
        struct bytes key = TURN_KEY(t, TABLE_META, (struct bytes){ 0 });
        uint8_t number[4];
        struct digest chain;

        repetition_settle(t, code);
        note_day(t);
        t->meta->epoch = t->entry->epoch;
        t->meta->seq = t->entry->seq;
        t->meta->accepted_at = t->entry->accepted_at.ms;
        turn_put_row(t, key, &t->meta->base);
        if (t->fault < 0)
                return t->fault;
        if (!effects_digest(t->effects, &ret->effects_digest))
                return -ENOMEM;
        put_le32(number, code);
        chain = DIGEST_OF(CTX_EFFECTS_CHAIN, bytes_of(t->meta->effects_chain.data, t->meta->effects_chain.len), bytes_of(number, 4),
                          bytes_digest(&ret->effects_digest));
        t->meta->effects_chain = (ProtobufCBinaryData){ DIGEST_BYTES, chain.b };
        turn_put_row(t, key, &t->meta->base);
        return t->fault;
}

static int answer(struct turn *t, enum refusal code, struct outcome *ret)
{
        ret->code = code;
        ret->detail = arena_strdup(t->arena, t->detail);
        ret->effects = t->effects->rows;
        ret->effects_n = t->effects->n;
        ret->wakes = t->effects->wakes;
        ret->wakes_n = t->effects->wakes_n;
        ret->trust_moved = t->effects->trust_moved;
        return ret->detail ? 0 : -ENOMEM;
}

static int refuse(struct exchange *x, struct turn *t, enum refusal code, struct outcome *ret)
{
        int r;

        if (t->claim->kind->class == KIND_SYSTEM && t->entry->link == 0)
                return -EBADMSG;                /* our own entry does not fit our own state */
        r = open_turn(x, t);                    /* forgets what was written so far */
        if (r == 0 && t->claim->kind->class != KIND_DATA)
                r = close_turn(t, code, ret);
        else if (r == 0 && !effects_digest(t->effects, &ret->effects_digest))
                r = -ENOMEM;
        return r == 0 ? answer(t, code, ret) : r;
}

int exchange_apply(struct exchange *x, struct state state, const struct entry *entry, struct arena *a, struct outcome *ret)
{
        struct turn *t = ARENA_NEW(a, struct turn);
        struct outcome outcome = { .code = ACCEPTED };
        enum refusal code;
        int r;

        if (!t)
                return -ENOMEM;
        *t = (struct turn){ .exchange = x, .state = state, .entry = entry, .claim = entry->claim, .intent = entry->claim->intent,
                            .arena = a, .now = entry->accepted_at };
        r = open_turn(x, t);
        if (r < 0)
                return r;
        code = decide(t);
        if (t->fault < 0)
                return t->fault;
        if (code == ACCEPTED && effects_over(t->effects) && entry->claim->kind->class != KIND_SYSTEM)
                code = turn_refuse(t, E_BOUND, "");
        if (code == ACCEPTED) {
                r = close_turn(t, code, &outcome);
                if (r == 0)
                        r = answer(t, code, &outcome);
        } else {
                r = refuse(x, t, code, &outcome);
        }
        if (r == 0)
                *ret = outcome;
        return r;
}

/* ---- the log's view of it ---- */

void exchange_leaf_record(const char *domain, const struct entry *entry, const struct outcome *outcome, uint8_t ret[LEAF_RECORD_BYTES])
{
        size_t n = strlen(domain);

        memset(ret, 0, 8);
        memcpy(ret, domain, n < 8 ? n : 8);
        put_be64(ret + 8, entry->epoch);
        put_be64(ret + 16, entry->seq);
        put_be64(ret + 24, entry->accepted_at.ms);
        memcpy(ret + 32, entry->claim->envelope_digest.b, DIGEST_BYTES);
        put_be32(ret + 64, outcome->code);
        memcpy(ret + 68, outcome->effects_digest.b, DIGEST_BYTES);
}

int exchange_genesis_effects(const char *domain, struct arena *a, const struct effect **ret, size_t *ret_n)
{
        Shuyi__V1__MetaRow meta = SHUYI__V1__META_ROW__INIT;
        struct effect *row = ARENA_NEW(a, struct effect);
        uint8_t key = TABLE_META;

        meta.domain = (char *)domain;
        meta.epoch = 1;
        meta.next_link = 1;
        meta.rules_version = RULES_VERSION;
        if (!row)
                return -ENOMEM;
        row->key = arena_copy(a, bytes_of(&key, 1));
        row->value = message_pack(a, &meta.base);
        if (!row->key.p || !row->value.p)
                return -ENOMEM;
        *ret = row;
        *ret_n = 1;
        return 0;
}
