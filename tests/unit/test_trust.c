/* trust: an agent's replica, fed with records and the envelopes behind them, comes to what the broker holds; and it believes
 * no record that its act does not bear. */
#include "tests/lib/city.h"
#include "tests/lib/market.h"
#include "tests/lib/unit.h"

#include "common/exchange/rows.h"
#include "common/exchange/trust.h"
#include "common/macro.h"

#include <stdlib.h>

struct replica {
        struct map_state *state;
        struct exchange *exchange;
        struct arena *arena;
        uint64_t trust_seq;             /* last record taken */
};

static struct replica replica_new(void)
{
        struct replica r = { map_state_new(), exchange_new(CITY_DOMAIN), arena_new(64u << 20), 0 };
        const struct effect *effects;
        size_t n;

        assert_int_equal(exchange_genesis_effects(CITY_DOMAIN, r.arena, &effects, &n), 0);
        map_state_apply(r.state, effects, n);
        return r;
}

static void replica_free(struct replica *r)
{
        map_state_free(r->state);
        exchange_free(r->exchange);
        arena_free(r->arena);
}

static const struct claim *claim_at(struct city *c, uint64_t seq, struct wall_time *ret_at)
{
        const struct claim *claim = NULL;

        if (seq == 0)
                return NULL;
        assert_refusal(envelope_parse(c->arena, c->log[seq - 1].wire, &claim), ACCEPTED);
        if (ret_at)
                ret_at->ms = c->log[seq - 1].accepted_at;
        return claim;
}

static Shuyi__V1__TrustRecord *record_at(struct city *c, uint64_t trust_seq)
{
        uint8_t key[8];

        put_be64(key, trust_seq);
        return CITY_ROW(c, TABLE_TRUST, &shuyi__v1__trust_record__descriptor, bytes_of(key, 8));
}

/* The next record as the broker has it, with the envelopes that belong to it. */
static struct trust_outcome offer(struct replica *r, struct city *c, const Shuyi__V1__TrustRecord *record, const struct claim *claim)
{
        struct trust_outcome out;
        struct wall_time at;
        uint64_t related;

        claim_at(c, record->seq, &at);
        assert_int_equal(trust_related_seq(map_state_ops(c->state), c->arena, claim, &related), 0);
        assert_int_equal(trust_replica_apply(r->exchange, map_state_ops(r->state), record, claim, claim_at(c, related, NULL), at, r->arena, &out), 0);
        return out;
}

static void follow(struct replica *r, struct city *c)
{
        Shuyi__V1__TrustRecord *record;

        while ((record = record_at(c, r->trust_seq + 1))) {
                struct trust_outcome out = offer(r, c, record, claim_at(c, record->seq, NULL));

                if (out.code != ACCEPTED)
                        fail_msg("trust_seq %llu kind %u: %s %s", (unsigned long long)record->trust_seq, record->kind, refusal_text(out.code)->code, out.detail);
                map_state_apply(r->state, out.effects, out.effects_n);
                r->trust_seq++;
        }
}

static void check_same_rows(struct replica *r, struct city *c, enum table table)
{
        struct state s = map_state_ops(c->state), o = map_state_ops(r->state);
        uint8_t prefix = (uint8_t)table, from[256] = { (uint8_t)table };
        struct bytes key, value, other;
        size_t n = 1;

        while (s.ops->next(s.ctx, bytes_of(&prefix, 1), bytes_of(from, n), &key, &value) > 0) {
                assert_int_equal(o.ops->get(o.ctx, key, &other), 1);
                assert_true(bytes_equal(value, other));
                memcpy(from, key.p, key.n);
                from[key.n] = 0;
                n = key.n + 1;
        }
}

static struct city *busy_city(void)
{
        struct city *c = city_founded();
        const struct party *zhang;

        city_department(c, CITY_CIVIL, "civil");
        city_department(c, CITY_HEALTH, "health");
        zhang = city_hire(c, CITY_HEALTH, "zhang", ROLE_USER, 0);
        city_hire(c, CITY_HEALTH, "li", ROLE_APPROVER, 0);
        city_join(c, CITY_HEALTH, "health-second");
        city_pass(c, DAY_MS);
        city_revoke(c, zhang);
        city_anchor(c);
        return c;
}

static void a_replica_comes_to_what_the_broker_holds(void **state)
{
        static const enum table tables[] = { TABLE_ANCHOR, TABLE_DEPARTMENT, TABLE_CREDENTIAL, TABLE_KEY, TABLE_PERSON, TABLE_AGENT, TABLE_LINK,
                                             TABLE_POLICY, TABLE_CALENDAR, TABLE_TRUST, TABLE_TRUST_MAP };
        _cleanup_(city_freep) struct city *c = busy_city();
        struct replica r = replica_new();

        follow(&r, c);
        for (size_t i = 0; i < ELEMENTS(tables); i++)
                check_same_rows(&r, c, tables[i]);
        replica_free(&r);
}

static enum trust_head_state check_head(struct replica *r, struct city *c)
{
        struct wall_time at;
        const struct claim *claim = claim_at(c, c->seq, &at);
        enum trust_head_state head;
        const struct effect *effects;
        size_t n;

        assert_int_equal(trust_head_check(map_state_ops(r->state), claim, at, r->arena, &head, &effects, &n), 0);
        map_state_apply(r->state, effects, n);
        return head;
}

static void a_head_holds_only_over_the_same_records(void **state)
{
        _cleanup_(city_freep) struct city *c = busy_city();
        struct replica r = replica_new();

        city_trust_head(c);
        assert_int_equal(check_head(&r, c), TRUST_HEAD_EARLY);
        follow(&r, c);
        assert_int_equal(check_head(&r, c), TRUST_HEAD_HOLDS);
        city_hire(c, CITY_CIVIL, "wang", ROLE_USER, 0);
        city_trust_head(c);
        assert_int_equal(check_head(&r, c), TRUST_HEAD_EARLY);
        follow(&r, c);
        assert_int_equal(check_head(&r, c), TRUST_HEAD_HOLDS);
        replica_free(&r);
}

/* Years of grants: what a head costs does not grow with the map, or one day none could be made. */
static void a_head_over_many_objects_takes_no_more_memory(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        _cleanup_(arena_freep) struct arena *a = arena_new(256 * 1024);
        Shuyi__V1__MetaRow *meta = CITY_ROW(c, TABLE_META, &shuyi__v1__meta_row__descriptor, (struct bytes){ 0 });
        Shuyi__V1__TrustMapRow row = SHUYI__V1__TRUST_MAP_ROW__INIT;
        Shuyi__V1__TrustHeadBody body;
        uint8_t key[1 + DIGEST_BYTES] = { TABLE_META }, all[32];

        memset(all, 0xff, sizeof(all));
        meta->dirty_buckets = field_of_bytes(bytes_of(all, sizeof(all)));
        map_state_put(c->state, bytes_of(key, 1), message_pack(c->arena, &meta->base));
        row.status = STATUS_ACTIVE;
        key[0] = TABLE_TRUST_MAP;
        for (uint32_t i = 0; i < 20000; i++) {
                struct digest id = digest_plain(bytes_of(&i, sizeof(i)));

                row.since_seq = i + 1;
                memcpy(key + 1, id.b, DIGEST_BYTES);
                map_state_put(c->state, bytes_of(key, sizeof(key)), message_pack(c->arena, &row.base));
        }
        assert_int_equal(exchange_trust_head_body(map_state_ops(c->state), a, &body), 0);
}

static void the_chain_is_that_of_the_records(void **state)
{
        _cleanup_(city_freep) struct city *c = busy_city();
        Shuyi__V1__MetaRow *meta = CITY_ROW(c, TABLE_META, &shuyi__v1__meta_row__descriptor, (struct bytes){ 0 });
        struct digest chain = trust_chain_next((struct bytes){ 0 }, record_at(c, 1), c->arena);

        for (uint64_t i = 2; i <= meta->trust_seq; i++)
                chain = trust_chain_next(bytes_digest(&chain), record_at(c, i), c->arena);
        assert_true(bytes_equal(bytes_digest(&chain), bytes_of_field(meta->trust_chain)));
}

static void test_R_009_a_replica_learns_of_a_revocation(void **state)
{
        _cleanup_(city_freep) struct city *c = busy_city();
        struct replica r = replica_new();
        struct rows rows = { .state = map_state_ops(r.state), .arena = r.arena };
        const struct party *zhang = city_find(c, "zhang");

        follow(&r, c);
        assert_false(rows_person_in_force(&rows, CITY_HEALTH, bytes_id(&zhang->id), c->now));
        assert_true(rows_person_in_force(&rows, CITY_HEALTH, bytes_id(&city_find(c, "li")->id), c->now));
        replica_free(&r);
}

/* ---- catalog and grants ---- */

struct trade { struct market *m; const char *open, *conditional; struct digest got, requested, consented; };

/* A direct get of one entry, an application for part of another. */
static struct trade trade_new(void)
{
        struct trade t = { .m = market_new() };
        const uint32_t part[] = { 1, 2 };
        struct city_result r;

        t.open = market_publish(t.m, market_open_entry(t.m));
        t.conditional = market_publish(t.m, market_conditional_entry(t.m));
        r = market_get(t.m, market_ask(t.m, t.open));
        assert_refusal(r.code, ACCEPTED);
        t.got = r.digest;
        r = market_apply(t.m, market_ask(t.m, t.conditional));
        assert_refusal(r.code, ACCEPTED);
        t.requested = r.digest;
        Shuyi__V1__ItemReason refused = SHUYI__V1__ITEM_REASON__INIT, *reasons[] = { &refused };
        Shuyi__V1__ReplyBody body = SHUYI__V1__REPLY_BODY__INIT;

        refused.item_no = 3;
        refused.reason = R_EXCESS;
        body.refused = reasons;
        body.n_refused = 1;
        r = market_reply(t.m, KIND_CONSENT_PART, market_answer(t.m, &t.requested, part, 2), &body);
        if (r.code != ACCEPTED)
                fail_msg("consent: %s %s", refusal_text(r.code)->code, r.detail);
        t.consented = r.digest;
        return t;
}

static Shuyi__V1__GrantRow *grant_of(struct replica *r, const struct digest *id)
{
        struct rows rows = { .state = map_state_ops(r->state), .arena = r->arena };

        return rows_grant(&rows, bytes_digest(id));
}

static void a_replica_has_the_versions_in_force(void **state)
{
        struct trade t = trade_new();
        struct replica r = replica_new();
        struct rows own = { .state = map_state_ops(r.state), .arena = r.arena }, theirs = { .state = map_state_ops(t.m->c->state), .arena = t.m->c->arena };

        follow(&r, t.m->c);
        for (unsigned i = 0; i < 2; i++) {
                const char *resource = i ? t.conditional : t.open;
                Shuyi__V1__VersionRow *a = rows_version(&own, resource, 1), *b = rows_version(&theirs, resource, 1);

                assert_non_null(a);
                b->submit_seq = 0;              /* the broker's log only */
                assert_true(bytes_equal(message_pack(r.arena, &a->base), message_pack(r.arena, &b->base)));
        }
        city_trust_head(t.m->c);
        assert_int_equal(check_head(&r, t.m->c), TRUST_HEAD_HOLDS);
        replica_free(&r);
        market_free(t.m);
}

static void a_party_derives_the_grant_that_the_broker_has(void **state)
{
        struct trade t = trade_new();
        struct replica r = replica_new();

        follow(&r, t.m->c);
        for (unsigned i = 0; i < 2; i++) {
                const struct digest *id = i ? &t.consented : &t.got;
                Shuyi__V1__GrantRow *a = grant_of(&r, id), *b = market_grant(t.m, id);

                assert_non_null(a);
                assert_true(bytes_equal(message_pack(r.arena, &a->base), message_pack(r.arena, &b->base)));
        }
        replica_free(&r);
        market_free(t.m);
}

static void a_suspension_reaches_the_grant(void **state)
{
        struct trade t = trade_new();
        struct replica r = replica_new();
        struct city_result s;

        follow(&r, t.m->c);
        s = market_reason(t.m, KIND_GRANT_SUSPEND, &t.got, NULL, REASON_MISUSE, t.m->civil_approver, ROLE_APPROVER);
        assert_refusal(s.code, ACCEPTED);
        follow(&r, t.m->c);
        assert_int_equal(grant_of(&r, &t.got)->state, GRANT_SUSPENDED);
        assert_int_equal(grant_of(&r, &t.consented)->state, GRANT_ACTIVE);
        replica_free(&r);
        market_free(t.m);
}

static void a_freeze_reaches_the_entry(void **state)
{
        struct trade t = trade_new();
        struct replica r = replica_new();
        struct rows rows = { .state = map_state_ops(r.state), .arena = r.arena };
        Shuyi__V1__FreezeBody body = SHUYI__V1__FREEZE_BODY__INIT;
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        struct digest matter;

        follow(&r, t.m->c);
        assert_true(rows_find_matter(&rows, t.open, &matter));
        i.object = field_of_bytes(bytes_digest(&matter));
        body.reason = REASON_SECURITY_INCIDENT;
        city_must(t.m->c, &(struct city_act){ .kind = KIND_FREEZE, .intent = &i, .body = &body.base, .by = { { t.m->c->sec_admin, ROLE_SEC_ADMIN } } });
        follow(&r, t.m->c);
        assert_true(rows_matter(&rows, bytes_digest(&matter))->frozen);
        replica_free(&r);
        market_free(t.m);
}

/* Nobody shows a stranger the envelope: records move chain and map, no grant row comes of them. */
static void a_stranger_holds_only_the_status_of_a_grant(void **state)
{
        struct trade t = trade_new();
        struct city *c = t.m->c;
        struct replica r = replica_new();
        Shuyi__V1__TrustRecord *record;

        while ((record = record_at(c, r.trust_seq + 1))) {
                const struct claim *claim = claim_at(c, record->seq, NULL);
                struct trust_outcome out;
                bool mine, party;

                assert_int_equal(trust_may_see(map_state_ops(c->state), c->arena, record, claim, CITY_TAX, &mine), 0);
                assert_int_equal(trust_may_see(map_state_ops(c->state), c->arena, record, claim, CITY_HEALTH, &party), 0);
                assert_int_equal(mine, record->kind != TRUST_GRANT);
                assert_true(party);
                if (!mine) {
                        struct wall_time at = { c->log[record->seq - 1].accepted_at };

                        assert_int_equal(trust_replica_apply(r.exchange, map_state_ops(r.state), record, NULL, NULL, at, r.arena, &out), 0);
                } else {
                        out = offer(&r, c, record, claim);
                }
                assert_refusal(out.code, ACCEPTED);
                map_state_apply(r.state, out.effects, out.effects_n);
                r.trust_seq++;
        }
        assert_null(grant_of(&r, &t.got));
        city_trust_head(c);
        assert_int_equal(check_head(&r, c), TRUST_HEAD_HOLDS);
        replica_free(&r);
        market_free(t.m);
}

/* ---- a broker that is taken over ---- */

/* The next record as a broker would make it up over this act. */
static struct trust_outcome make_up(struct replica *r, struct city *c, enum trust_kind kind, struct bytes object, enum trust_status status, const struct claim *claim,
                                    struct wall_time at)
{
        Shuyi__V1__TrustRecord record = SHUYI__V1__TRUST_RECORD__INIT;
        struct digest nothing = digest_plain(bytes_str("nothing"));
        struct trust_outcome out;

        record.trust_seq = r->trust_seq + 1;
        record.seq = c->seq + 1;
        record.kind = kind;
        record.object = field_of_bytes(object);
        record.status = status;
        record.header_digest = field_of_bytes(bytes_digest(claim ? &claim->header_digest : &nothing));
        assert_int_equal(trust_replica_apply(r->exchange, map_state_ops(r->state), &record, claim, NULL, at, r->arena, &out), 0);
        return out;
}

static struct trust_outcome give_back(struct replica *r, struct city *c, const struct digest *grant, const struct claim *claim)
{
        return make_up(r, c, TRUST_GRANT, bytes_digest(grant), STATUS_ACTIVE, claim, c->now);
}

/* what was stopped flows again by a person's act alone, and by each act once. */
static void a_broker_gives_no_grant_back(void **state)
{
        struct trade t = trade_new();
        struct replica r = replica_new();
        struct city *c = t.m->c;
        const struct claim *get, *resume;
        struct city_result s;

        follow(&r, c);
        get = claim_at(c, record_at(c, r.trust_seq)->seq, NULL);
        assert_refusal(market_reason(t.m, KIND_GRANT_SUSPEND, &t.got, NULL, REASON_MISUSE, t.m->civil_approver, ROLE_APPROVER).code, ACCEPTED);
        follow(&r, c);
        assert_refusal(give_back(&r, c, &t.got, NULL).code, E_NOT_FOUND);
        assert_refusal(give_back(&r, c, &t.got, get).code, E_NOT_FOUND);
        s = market_reason(t.m, KIND_GRANT_RESUME, &t.got, NULL, REASON_RECTIFIED, t.m->civil_approver, ROLE_APPROVER);
        assert_refusal(s.code, ACCEPTED);
        resume = claim_at(c, s.seq, NULL);
        follow(&r, c);
        assert_int_equal(grant_of(&r, &t.got)->state, GRANT_ACTIVE);
        assert_refusal(market_reason(t.m, KIND_GRANT_SUSPEND, &t.got, NULL, REASON_MISUSE, t.m->civil_approver, ROLE_APPROVER).code, ACCEPTED);
        follow(&r, c);
        assert_refusal(give_back(&r, c, &t.got, resume).code, E_REPLAY);
        assert_refusal(market_reason(t.m, KIND_GRANT_END, &t.got, NULL, REASON_NOT_NEEDED, t.m->health_approver, ROLE_APPROVER).code, ACCEPTED);
        follow(&r, c);
        assert_int_equal(grant_of(&r, &t.got)->state, GRANT_ENDED);
        assert_refusal(give_back(&r, c, &t.got, NULL).code, E_NOT_FOUND);
        assert_refusal(make_up(&r, c, TRUST_GRANT, bytes_digest(&t.consented), STATUS_ENDED, NULL, c->now).code, ACCEPTED);
        replica_free(&r);
        market_free(t.m);
}

static struct city_result freeze_act(struct city *c, uint16_t kind, const struct digest *matter, uint32_t reason)
{
        Shuyi__V1__FreezeBody body = SHUYI__V1__FREEZE_BODY__INIT;
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;

        i.object = field_of_bytes(bytes_digest(matter));
        body.reason = reason;
        return city_must(c, &(struct city_act){ .kind = kind, .intent = &i, .body = &body.base, .by = { { c->sec_admin, ROLE_SEC_ADMIN } } });
}

static void a_broker_thaws_no_entry(void **state)
{
        struct trade t = trade_new();
        struct replica r = replica_new();
        struct city *c = t.m->c;
        struct rows rows = { .state = map_state_ops(r.state), .arena = r.arena };
        const struct claim *thaw;
        struct digest matter;

        follow(&r, c);
        assert_true(rows_find_matter(&rows, t.open, &matter));
        freeze_act(c, KIND_FREEZE, &matter, REASON_SECURITY_INCIDENT);
        thaw = claim_at(c, freeze_act(c, KIND_UNFREEZE, &matter, REASON_RESOLVED).seq, NULL);
        freeze_act(c, KIND_FREEZE, &matter, REASON_SECURITY_INCIDENT);
        follow(&r, c);
        assert_refusal(make_up(&r, c, TRUST_CATALOG, bytes_digest(&matter), STATUS_ACTIVE, NULL, c->now).code, E_NOT_FOUND);
        assert_refusal(make_up(&r, c, TRUST_CATALOG, bytes_digest(&matter), STATUS_ACTIVE, thaw, c->now).code, E_REPLAY);
        assert_refusal(make_up(&r, c, TRUST_CATALOG, bytes_digest(&matter), STATUS_FROZEN, NULL, c->now).code, ACCEPTED);      /* R_SECRET */
        replica_free(&r);
        market_free(t.m);
}

/* A key that was revoked signs nothing more, whatever hour the broker gives its act. */
static void a_broker_puts_nothing_before_what_it_showed(void **state)
{
        struct trade t = trade_new();
        struct replica r = replica_new();
        struct city *c = t.m->c;
        Shuyi__V1__RequestBody body = SHUYI__V1__REQUEST_BODY__INIT;
        struct wall_time before = c->now;
        struct bytes wire = city_envelope(c, &(struct city_act){ .kind = KIND_GET, .intent = market_ask(t.m, t.open), .body = &body.base,
                                                                 .by = { { t.m->health_user, ROLE_USER }, { t.m->health_approver, ROLE_APPROVER } } });
        const struct claim *get;
        struct trust_outcome out;

        assert_refusal(envelope_parse(c->arena, wire, &get), ACCEPTED);
        city_pass(c, 60000);
        city_revoke(c, t.m->health_user);
        follow(&r, c);
        assert_refusal(make_up(&r, c, TRUST_GRANT, bytes_digest(&get->header_digest), STATUS_ACTIVE, get, before).code, E_FORM);
        out = make_up(&r, c, TRUST_GRANT, bytes_digest(&get->header_digest), STATUS_ACTIVE, get, c->now);
        assert_refusal(out.code, ACCEPTED);
        assert_refusal(out.grant, E_CRED);
        replica_free(&r);
        market_free(t.m);
}

/* Without the policy that was kept back nothing is judged. */
static void an_approval_before_its_policy_is_not_believed(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct replica r = replica_new();
        Shuyi__V1__TrustRecord *record;
        struct trust_outcome out = { .code = ACCEPTED };
        uint64_t shown = 0;

        market_publish(m, market_open_entry(m));
        while (out.code == ACCEPTED && (record = record_at(m->c, ++shown))) {
                if (record->kind == TRUST_POLICY)
                        continue;
                record->trust_seq = r.trust_seq + 1;
                out = offer(&r, m->c, record, claim_at(m->c, record->seq, NULL));
                if (out.code == ACCEPTED) {
                        map_state_apply(r.state, out.effects, out.effects_n);
                        r.trust_seq++;
                }
        }
        assert_refusal(out.code, E_NO_POLICY);
        replica_free(&r);
}

/* ---- what is not believed ---- */

/* Feeds all but the last record, then that one altered by `alter`. */
static void refuse_last(void (*alter)(Shuyi__V1__TrustRecord *record, const struct claim **claim, struct city *c), enum refusal expected)
{
        _cleanup_(city_freep) struct city *c = busy_city();
        struct replica r = replica_new();
        Shuyi__V1__TrustRecord *record;
        const struct claim *claim;

        city_revoke(c, city_find(c, "li"));
        while (record_at(c, r.trust_seq + 2)) {
                struct trust_outcome out;

                record = record_at(c, r.trust_seq + 1);
                out = offer(&r, c, record, claim_at(c, record->seq, NULL));
                assert_refusal(out.code, ACCEPTED);
                map_state_apply(r.state, out.effects, out.effects_n);
                r.trust_seq++;
        }
        record = record_at(c, r.trust_seq + 1);
        claim = claim_at(c, record->seq, NULL);
        alter(record, &claim, c);
        assert_refusal(offer(&r, c, record, claim).code, expected);
        replica_free(&r);
}

static void say_active(Shuyi__V1__TrustRecord *record, const struct claim **claim, struct city *c)
{
        record->status = STATUS_ACTIVE;
}

static void name_another(Shuyi__V1__TrustRecord *record, const struct claim **claim, struct city *c)
{
        record->object = field_of_bytes(bytes_digest(&c->sec_admin->credential));
}

static void bring_another_act(Shuyi__V1__TrustRecord *record, const struct claim **claim, struct city *c)
{
        *claim = claim_at(c, record->seq - 1, NULL);
}

static void skip_one(Shuyi__V1__TrustRecord *record, const struct claim **claim, struct city *c)
{
        record->trust_seq++;
}

/* A department's officer revokes somebody of another department. */
static void let_a_stranger_sign(Shuyi__V1__TrustRecord *record, const struct claim **claim, struct city *c)
{
        Shuyi__V1__Intent intent = SHUYI__V1__INTENT__INIT;
        Shuyi__V1__RevokeBody body = SHUYI__V1__REVOKE_BODY__INIT;
        struct bytes wire;

        intent.object = record->object;
        body.reason = REVOKE_CEASED;
        wire = city_envelope(c, &(struct city_act){ .kind = KIND_REVOKE, .intent = &intent, .body = &body.base,
                                                    .by = { { city_find(c, "civil-officer"), ROLE_DATA_OFFICER } } });
        assert_refusal(envelope_parse(c->arena, wire, claim), ACCEPTED);
        record->header_digest = field_of_bytes(bytes_digest(&(*claim)->header_digest));
}

static void a_record_of_another_status_is_not_believed(void **state) { refuse_last(say_active, E_FORM); }
static void a_record_of_another_object_is_not_believed(void **state) { refuse_last(name_another, E_FORM); }
static void a_record_over_another_envelope_is_not_believed(void **state) { refuse_last(bring_another_act, E_FORM); }
static void a_record_is_not_skipped(void **state) { refuse_last(skip_one, E_FORM); }
static void an_act_by_who_may_not_is_not_believed(void **state) { refuse_last(let_a_stranger_sign, E_NOT_FOUND); }

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_replica_comes_to_what_the_broker_holds),
                cmocka_unit_test(a_head_holds_only_over_the_same_records),
                cmocka_unit_test(a_head_over_many_objects_takes_no_more_memory),
                cmocka_unit_test(the_chain_is_that_of_the_records),
                cmocka_unit_test(test_R_009_a_replica_learns_of_a_revocation),
                cmocka_unit_test(a_replica_has_the_versions_in_force),
                cmocka_unit_test(a_party_derives_the_grant_that_the_broker_has),
                cmocka_unit_test(a_suspension_reaches_the_grant),
                cmocka_unit_test(a_freeze_reaches_the_entry),
                cmocka_unit_test(a_stranger_holds_only_the_status_of_a_grant),
                cmocka_unit_test(a_broker_gives_no_grant_back),
                cmocka_unit_test(a_broker_thaws_no_entry),
                cmocka_unit_test(a_broker_puts_nothing_before_what_it_showed),
                cmocka_unit_test(an_approval_before_its_policy_is_not_believed),
                cmocka_unit_test(a_record_of_another_status_is_not_believed),
                cmocka_unit_test(a_record_of_another_object_is_not_believed),
                cmocka_unit_test(a_record_over_another_envelope_is_not_believed),
                cmocka_unit_test(a_record_is_not_skipped),
                cmocka_unit_test(an_act_by_who_may_not_is_not_believed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
