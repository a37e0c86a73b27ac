/* apply: which failure is reported, what a refusal leaves behind, repetitions, bounds, faults. */
#include "tests/lib/city.h"
#include "tests/lib/market.h"
#include "tests/lib/unit.h"

#include "common/exchange/rows.h"
#include "common/macro.h"

#include <errno.h>

/* ---- the first failing check of 6.13 gives the code ---- */

enum flaw { FLAW_TIME, FLAW_REPLAY, FLAW_DOMAIN, FLAW_CREDENTIAL, FLAW_ROLE, FLAW_SUSPENDED, FLAW_OBJECT, FLAW_STATE, FLAW_SIGNERS, FLAW_REASON, FLAWS };

static const enum refusal code_of_flaw[FLAWS] = { E_FORM, E_REPLAY, E_DOMAIN, E_CRED, E_ROLE, E_SUSPENDED, E_NOT_FOUND, E_STATE, G_SIGNERS, G_REASON };

struct stage {
        struct city *c;
        struct digest filed, returned, nothing;
        struct party *security_gone, *operator_gone, *security_other;
        struct id used;                         /* envelope ids that are entries, one for each signer */
};

static void suspend_authority(struct city *c, bool suspended)
{
        Shuyi__V1__DepartmentRow *row = CITY_ROW(c, TABLE_DEPARTMENT, &shuyi__v1__department_row__descriptor, bytes_str(CITY_AUTHORITY));
        uint8_t key[1 + 18] = { TABLE_DEPARTMENT };

        memcpy(key + 1, CITY_AUTHORITY, 18);
        row->suspended = suspended;
        map_state_put(c->state, bytes_of(key, sizeof(key)), message_pack(c->arena, &row->base));
}

static Shuyi__V1__ReturnBody *return_body(struct city *c, bool complete)
{
        Shuyi__V1__ReturnBody *b = ARENA_NEW(c->arena, Shuyi__V1__ReturnBody);

        shuyi__v1__return_body__init(b);
        if (complete) {
                b->n_defects = 1;
                b->defects = ARENA_ARRAY(c->arena, Shuyi__V1__Defect *, 1);
                b->defects[0] = ARENA_NEW(c->arena, Shuyi__V1__Defect);
                shuyi__v1__defect__init(b->defects[0]);
                b->defects[0]->code = "phone";
        }
        return b;
}

/* A STAFF_RETURN with any set of flaws. */
static struct city_result send_flawed(struct stage *s, unsigned flaws)
{
        struct city *c = s->c;
        bool gone = flaws & (1u << FLAW_CREDENTIAL), role = flaws & (1u << FLAW_ROLE);
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        struct city_act act = { .kind = KIND_STAFF_RETURN, .intent = &i, .over = c->authority_agent };
        const struct digest *object = flaws & (1u << FLAW_OBJECT) ? &s->nothing : flaws & (1u << FLAW_STATE) ? &s->returned : &s->filed;

        i.object = field_of_bytes(bytes_digest(object));
        if (flaws & (1u << FLAW_REPLAY)) {
                i.id = field_of_bytes(bytes_id(&s->used));
                i.created_at = uuid7_time(&s->used);
        }
        if (flaws & (1u << FLAW_TIME)) {
                i.created_at = c->now.ms + SKEW_MS + 1;
                i.id = (ProtobufCBinaryData){ 0 };
        }
        if (flaws & (1u << FLAW_DOMAIN))
                i.domain = "440000";
        act.body = &return_body(c, !(flaws & (1u << FLAW_REASON)))->base;
        act.by[0].who = role ? (gone ? s->operator_gone : c->data_operator) : gone ? s->security_gone : c->sec_admin;
        act.by[0].as = role ? ROLE_DATA_OPERATOR : ROLE_SEC_ADMIN;
        if (flaws & (1u << FLAW_SIGNERS)) {
                act.by[1].who = s->security_other;
                act.by[1].as = ROLE_SEC_ADMIN;
        }
        suspend_authority(c, flaws & (1u << FLAW_SUSPENDED));
        return city_act(c, &act);
}

/* One and the same id, already an entry of each of the four possible first signers. */
static void use_an_id(struct stage *s)
{
        const struct party *by[] = { s->c->sec_admin, s->c->data_operator, s->security_gone, s->operator_gone };
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        uint8_t random[10] = { 0xff };

        uuid7_make(s->c->now.ms, random, &s->used);
        i.id = field_of_bytes(bytes_id(&s->used));
        i.created_at = s->c->now.ms;
        for (unsigned k = 0; k < ELEMENTS(by); k++)
                city_act(s->c, &(struct city_act){ .kind = KIND_OPERATOR_ACT, .intent = &i, .raw = bytes_str("x"),
                                                   .by = { { by[k], k % 2 ? ROLE_DATA_OPERATOR : ROLE_SEC_ADMIN } } });
}

static struct stage stage_new(void)
{
        struct stage s = { .c = city_founded(), .nothing = { { 7 } } };
        uint32_t user = ROLE_USER;
        struct city *c = s.c;

        s.security_gone = city_hire(c, CITY_AUTHORITY, "security-gone", ROLE_SEC_ADMIN, 0);
        s.operator_gone = city_hire(c, CITY_AUTHORITY, "operator-gone", ROLE_DATA_OPERATOR, 0);
        s.security_other = city_hire(c, CITY_AUTHORITY, "security-other", ROLE_SEC_ADMIN, 0);
        s.filed = city_file_staff(c, c->officer, city_file_body(c, city_party(c, "new", CITY_AUTHORITY, SUBJECT_PERSON), &user, 1)).digest;
        s.returned = city_file_staff(c, c->officer, city_file_body(c, city_party(c, "newer", CITY_AUTHORITY, SUBJECT_PERSON), &user, 1)).digest;
        use_an_id(&s);
        city_revoke(c, s.security_gone);
        city_revoke(c, s.operator_gone);
        struct digest filed = s.filed;
        s.filed = s.returned;
        assert_refusal(send_flawed(&s, 0).code, ACCEPTED);      /* this one is RETURNED from now on */
        s.filed = filed;
        return s;
}

static void test_R_194_the_first_failing_check_gives_the_code(void **state)
{
        struct stage s = stage_new();

        s.c->skip_signatures = true;
        for (unsigned flaws = 1; flaws < 1u << FLAWS; flaws++) {
                struct city_result r = send_flawed(&s, flaws);
                enum refusal expected = code_of_flaw[__builtin_ctz(flaws)];

                if (r.code != expected)
                        fail_msg("flaws 0x%x: %s instead of %s", flaws, refusal_text(r.code)->code, refusal_text(expected)->code);
        }
        assert_refusal(send_flawed(&s, 0).code, ACCEPTED);
        city_free(s.c);
}

static void test_R_194_policy_comes_before_kinds_of_later(void **state)
{
        _cleanup_(city_freep) struct city *c = city_new();
        struct city_act later = { .kind = KIND_OPERATOR_ACT, .raw = bytes_str("x") };

        city_anchor(c);
        city_broker_credential(c);
        city_department(c, CITY_AUTHORITY, "authority");
        later.by[0].who = c->data_operator;
        later.by[0].as = ROLE_DATA_OPERATOR;
        assert_refusal(city_act(c, &later).code, E_NO_POLICY);
        city_publish(c, NULL);
        assert_refusal(city_act(c, &later).code, E_NOT_YET);
}

/* ---- R-004 ---- */

static struct city_result revoke_by(struct city *c, const struct party *who, enum role as, const struct party *over)
{
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        Shuyi__V1__RevokeBody body = SHUYI__V1__REVOKE_BODY__INIT;

        i.object = field_of_bytes(bytes_digest(&c->officer->credential));
        body.reason = REVOKE_CEASED;
        return city_act(c, &(struct city_act){ .kind = KIND_REVOKE, .intent = &i, .body = &body.base, .by = { { who, as } }, .over = over });
}

static void test_R_004_only_registered_keys_of_the_links_department_are_heard(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        struct party *nobody = city_party(c, "nobody", CITY_AUTHORITY, SUBJECT_PERSON), *gone;
        const struct party *zhang;

        city_department(c, CITY_CIVIL, "civil");
        zhang = city_hire(c, CITY_CIVIL, "zhang", ROLE_DATA_OFFICER, 0);
        gone = city_hire(c, CITY_AUTHORITY, "gone", ROLE_SEC_ADMIN, 0);
        city_revoke(c, gone);

        nobody->credential.b[0] = 1;
        assert_refusal(revoke_by(c, nobody, ROLE_SEC_ADMIN, c->authority_agent).code, E_CRED);  /* no such credential */
        assert_refusal(revoke_by(c, gone, ROLE_SEC_ADMIN, c->authority_agent).code, E_CRED);    /* revoked */
        assert_refusal(revoke_by(c, c->sec_admin, ROLE_SEC_ADMIN, city_find(c, "civil-agent")).code, E_CRED);   /* another department's link */
        assert_refusal(revoke_by(c, zhang, ROLE_DATA_OFFICER, c->authority_agent).code, E_CRED);        /* nor the authority's, for this act */
        assert_refusal(revoke_by(c, c->authority_agent, ROLE_SEC_ADMIN, c->authority_agent).code, E_ROLE);      /* an agent is no person */
        assert_refusal(revoke_by(c, c->officer, ROLE_SEC_ADMIN, c->authority_agent).code, E_ROLE);      /* a capacity that he does not hold */
        assert_refusal(revoke_by(c, c->sec_admin, ROLE_SEC_ADMIN, c->authority_agent).code, ACCEPTED);
}

static void a_signature_by_another_key_makes_no_entry(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        struct party forged = *c->sec_admin;
        uint64_t seq = c->seq;

        memcpy(forged.sign_secret, c->officer->sign_secret, 64);
        assert_refusal(revoke_by(c, &forged, ROLE_SEC_ADMIN, c->authority_agent).code, E_CRED);
        assert_int_equal(c->seq, seq);
}

static void a_credential_counts_within_its_validity_only(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();

        city_pass(c, 3651 * DAY_MS);
        assert_refusal(revoke_by(c, c->sec_admin, ROLE_SEC_ADMIN, c->authority_agent).code, E_CRED);
}

/* ---- repetition ---- */

static struct bytes an_act(struct city *c)
{
        uint32_t user = ROLE_USER;
        static unsigned n;
        struct party *p = city_party(c, arena_printf(c->arena, "someone-%u", n++), CITY_AUTHORITY, SUBJECT_PERSON);

        return city_envelope(c, &(struct city_act){ .kind = KIND_FILE, .body = &city_file_body(c, p, &user, 1)->base, .by = { { c->officer, ROLE_DATA_OFFICER } } });
}

static void a_persons_act_counts_once(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        struct bytes wire = an_act(c);
        struct city_result first = city_put(c, wire, c->authority_agent), again = city_put(c, wire, c->authority_agent);

        assert_refusal(first.code, ACCEPTED);
        assert_refusal(again.code, E_REPLAY);
        assert_string_equal(again.detail, arena_printf(c->arena, "seq=%llu", (unsigned long long)first.seq));
}

static void numbers_of_a_lane_go_up_only(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        uint32_t link = c->authority_agent->link;
        uint64_t seq;

        assert_refusal(city_put_as(c, an_act(c), link, 0, 1, 100).code, ACCEPTED);
        assert_refusal(city_put_as(c, an_act(c), link, 0, 1, 100).code, E_REPLAY);
        assert_refusal(city_put_as(c, an_act(c), link, 0, 1, 99).code, E_REPLAY);
        assert_refusal(city_put_as(c, an_act(c), link, 0, 1, 102).code, ACCEPTED);      /* 101 was refused without an entry */
        assert_int_equal(exchange_find_settled(map_state_ops(c->state), link, 0, 1, 100, &seq), 1);
        assert_int_equal(exchange_find_settled(map_state_ops(c->state), link, 0, 1, 101, &seq), 0);
}

static void a_new_life_of_the_outbox_starts_both_lanes_again(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        uint32_t link = c->authority_agent->link;

        assert_refusal(city_put_as(c, an_act(c), link, 0, 3, 1).code, ACCEPTED);
        assert_refusal(city_put_as(c, an_act(c), link, 0, 2, 50).code, E_REPLAY);
        assert_refusal(city_put_as(c, an_act(c), link, 0, 3, 2).code, ACCEPTED);
}

static void a_lane_remembers_the_last_1024_numbers(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        uint32_t link = c->authority_agent->link;
        uint64_t seq;

        c->skip_signatures = true;
        for (uint64_t n = 1000; n < 1000 + LANE_WINDOW + 10; n++)
                city_put_as(c, an_act(c), link, 0, 2, n);
        assert_int_equal(city_count(c, TABLE_LANE_SEQ), LANE_WINDOW);
        assert_int_equal(exchange_find_settled(map_state_ops(c->state), link, 0, 2, 1009, &seq), 0);
        assert_int_equal(exchange_find_settled(map_state_ops(c->state), link, 0, 2, 1010, &seq), 1);
}

static void an_id_is_forgotten_when_the_act_has_expired(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        struct bytes wire = an_act(c);

        city_put(c, wire, c->authority_agent);
        assert_true(city_count(c, TABLE_IDEM) > 0);
        city_pass(c, 31 * DAY_MS);
        assert_true(city_tick(c) > 0);
        assert_int_equal(city_count(c, TABLE_IDEM) + city_count(c, TABLE_IDEM_EXPIRY), 0);
        assert_refusal(city_put(c, wire, c->authority_agent).code, E_FORM);     /* and the act itself is too old */
}

/* ---- times ---- */

static void times_outside_the_window_are_refused(void **state)
{
        static const struct { const char *name; int64_t created, expires; enum refusal code; } cases[] = {
                { "now", 0, DAY_MS, ACCEPTED },
                { "a clock ahead within the skew", SKEW_MS, DAY_MS, ACCEPTED },
                { "a clock ahead beyond it", SKEW_MS + 1, DAY_MS, E_FORM },
                { "old, and not expired", -(int64_t)DAY_MS * 20, 25 * DAY_MS, ACCEPTED },
                { "expired", -(int64_t)DAY_MS * 2, DAY_MS, E_FORM },
                { "expires too far off", 0, EXPIRY_MAX_MS + 1, E_FORM },
                { "expires as late as it may", 0, EXPIRY_MAX_MS, ACCEPTED },
        };
        _cleanup_(city_freep) struct city *c = city_founded();
        uint32_t user = ROLE_USER;

        for (size_t k = 0; k < ELEMENTS(cases); k++) {
                struct party *p = city_party(c, cases[k].name, CITY_AUTHORITY, SUBJECT_PERSON);
                Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
                struct city_result r;

                i.created_at = c->now.ms + (uint64_t)cases[k].created;
                i.expires_at = i.created_at + (uint64_t)cases[k].expires;
                r = city_act(c, &(struct city_act){ .kind = KIND_FILE, .intent = &i, .body = &city_file_body(c, p, &user, 1)->base,
                                                    .by = { { c->officer, ROLE_DATA_OFFICER } } });
                if (r.code != cases[k].code)
                        fail_msg("%s: %s %s", cases[k].name, refusal_text(r.code)->code, r.detail);
        }
}

/* ---- what a refusal leaves ---- */

static void a_refused_control_act_leaves_only_its_lane_and_ids(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        struct city_result r = revoke_by(c, c->officer, ROLE_SEC_ADMIN, c->authority_agent);

        assert_refusal(r.code, E_ROLE);
        assert_int_equal(r.seq, c->seq);
        for (size_t i = 0; i < r.outcome.effects_n; i++) {
                uint8_t table = r.outcome.effects[i].key.p[0];

                assert_true(table_remembers(table));
        }
        assert_false(r.outcome.trust_moved);
        assert_int_equal(r.outcome.wakes_n, 0);
}

static void refused_data_leave_nothing_and_make_no_entry(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        struct digest before = city_digest(c), after;
        struct city_result r = city_act(c, &(struct city_act){ .kind = KIND_STREAM_HEAD, .by = { { c->authority_agent, ROLE_AGENT } } });

        assert_int_not_equal(r.code, ACCEPTED);
        assert_int_equal(r.seq, 0);
        assert_int_equal(r.outcome.effects_n, 0);
        after = city_digest(c);
        assert_true(digest_equal(&before, &after));
}

/* ---- R-011 ---- */

static void test_R_011_no_role_changes_or_deletes_a_record(void **state)
{
        static const uint16_t kinds[] = { KIND_DEPUTE, KIND_OPERATOR_ACT, KIND_ANNUL };
        _cleanup_(city_freep) struct city *c = city_founded();
        size_t records = city_count(c, TABLE_TRUST);

        for (uint32_t role = ROLE_DATA_OFFICER; role <= ROLE_METRICS_VIEWER; role++) {
                const struct party *p = city_hire(c, CITY_AUTHORITY, word_name(LIST_role, role), (int)role, 0);

                records++;
                for (size_t k = 0; k < ELEMENTS(kinds); k++)
                        assert_int_not_equal(city_act(c, &(struct city_act){ .kind = kinds[k], .raw = bytes_str("x"), .by = { { p, role } } }).code, ACCEPTED);
        }
        assert_int_equal(city_count(c, TABLE_TRUST), records);
        assert_int_equal(c->seq, c->log_n);                     /* every act, refused ones too, is an entry */
        struct digest own = city_digest(c), again = city_replay(c);
        assert_true(digest_equal(&own, &again));
}

/* ---- what is due already ---- */

static struct digest an_application(struct market *m)
{
        struct city_result r = market_apply(m, market_ask(m, market_publish(m, market_conditional_entry(m))));

        assert_refusal(r.code, ACCEPTED);
        assert_string_equal(r.detail, "due=2026-02-26");        /* the receipt names the date */
        return r.digest;
}

static struct city_result consent(struct market *m, const struct digest *request)
{
        static const uint32_t items[] = { 1, 2, 3 };
        Shuyi__V1__ReplyBody body = SHUYI__V1__REPLY_BODY__INIT;

        return market_reply(m, KIND_CONSENT, market_answer(m, request, items, 3), &body);
}

static Shuyi__V1__FactRow *fact(struct city *c, uint64_t number)
{
        uint8_t key[8];

        put_be64(key, number);
        return CITY_ROW(c, TABLE_FACT, &shuyi__v1__fact_row__descriptor, bytes_of(key, 8));
}

/* Clocks run on when no timer does: the answer is judged as if the reply had fallen overdue in time. */
static void what_is_due_counts_before_the_event_and_goes_with_its_refusal(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct city *c = m->c;
        struct digest request = an_application(m);

        c->now = times_day_start(times_day_from_date(2026, 2, 27));
        assert_refusal(consent(m, &request).code, E_STATE);
        assert_int_equal(market_request(m, &request)->state, REQ_SUBMITTED);    /* dropped with it */
        assert_null(fact(c, 1));
        city_pass(c, 3600 * 1000);
        assert_true(city_tick(c) > 0);
        assert_int_equal(market_request(m, &request)->state, REQ_SILENT);
        assert_non_null(fact(c, 1));
        assert_int_equal(fact(c, 1)->due_end, times_day_start(times_day_from_date(2026, 2, 27)).ms);
        assert_string_equal(fact(c, 1)->department, CITY_CIVIL);
}

static void one_millisecond_before_due_end_is_in_time(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct digest request = an_application(m);

        m->c->now.ms = times_day_start(times_day_from_date(2026, 2, 27)).ms - 1;
        assert_refusal(consent(m, &request).code, ACCEPTED);
        assert_int_equal(market_request(m, &request)->state, REQ_CONSENTED);
}

/* No timer at all: the overdue fact stands in the same entry as the act that came after it. */
static void what_is_due_is_recorded_with_an_accepted_event(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct city *c = m->c;
        struct digest request = an_application(m);
        struct city_result r;
        uint64_t due_end;

        assert_refusal(consent(m, &request).code, ACCEPTED);
        due_end = times_day_start(times_day_from_date(2026, 2, 27)).ms;         /* PROVIDE: five working days too */
        c->now.ms = due_end + 5 * DAY_MS;
        r = market_reason(m, KIND_WITHDRAW, NULL, &request, REASON_NOT_NEEDED, m->health_approver, ROLE_APPROVER);
        assert_refusal(r.code, ACCEPTED);
        assert_int_equal(fact(c, 1)->due_end, due_end);
        assert_int_equal(fact(c, 1)->recorded_seq, r.seq);
}

/* A silent provider and a silent authority, found weeks later: each tick fires what the one before started. */
static void ticks_go_on_until_none_is_due(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct city *c = m->c;
        struct digest request = an_application(m), own, again;

        city_pass(c, 29 * DAY_MS);
        assert_true(city_tick(c) >= 2);
        assert_int_equal(market_request(m, &request)->state, REQ_SILENT);
        assert_int_equal(fact(c, 1)->due_end, times_day_start(times_day_from_date(2026, 2, 27)).ms);
        assert_int_equal(fact(c, 2)->due_end, times_day_start(times_day_from_date(2026, 3, 5)).ms);     /* AUTH_PROVIDE from the due date */
        own = city_digest(c);
        again = city_replay(c);
        assert_true(digest_equal(&own, &again));
}

/* ---- faults ---- */

/* Every read of the state fails once: a clean fault each time, and then the same outcome as without. */
static void a_fault_of_the_state_is_no_outcome(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        struct bytes wire = an_act(c);
        const struct claim *claim;
        unsigned n = 1;

        assert_refusal(envelope_parse(c->arena, wire, &claim), ACCEPTED);
        for (;; n++) {
                struct entry e = { c->epoch, c->seq + 1, c->now, c->authority_agent->link, 0, 1, 1000, claim };
                _cleanup_(arena_freep) struct arena *a = arena_new(1u << 24);
                struct outcome o;
                int r;

                map_state_fail_at(c->state, n);
                r = exchange_apply(c->exchange, map_state_ops(c->state), &e, a, &o);
                map_state_fail_at(c->state, 0);
                if (r == 0) {
                        assert_refusal(o.code, ACCEPTED);
                        break;
                }
                assert_int_equal(r, -EIO);
        }
        assert_true(n > 10);
}

/* Every cap of the arena: -ENOMEM, never another outcome. */
static void a_full_arena_is_a_fault(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        const struct claim *claim;
        bool done = false;

        assert_refusal(envelope_parse(c->arena, an_act(c), &claim), ACCEPTED);
        for (size_t cap = 512; !done; cap += 512) {
                struct entry e = { c->epoch, c->seq + 1, c->now, c->authority_agent->link, 0, 1, 1000, claim };
                _cleanup_(arena_freep) struct arena *a = arena_new(cap);
                struct outcome o;
                int r = a ? exchange_apply(c->exchange, map_state_ops(c->state), &e, a, &o) : -ENOMEM;

                done = r == 0;
                if (done)
                        assert_refusal(o.code, ACCEPTED);
                else
                        assert_int_equal(r, -ENOMEM);
        }
}

static void an_entry_out_of_place_is_a_fault(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        const struct claim *claim;
        struct outcome o;

        assert_refusal(envelope_parse(c->arena, an_act(c), &claim), ACCEPTED);
        struct entry entries[] = {
                { c->epoch, c->seq + 2, c->now, 1, 0, 1, 1000, claim },
                { c->epoch + 1, c->seq + 1, c->now, 1, 0, 1, 1000, claim },
                { c->epoch, c->seq + 1, { c->now.ms - 1 }, 1, 0, 1, 1000, claim },
        };
        for (size_t i = 0; i < ELEMENTS(entries); i++)
                assert_int_equal(exchange_apply(c->exchange, map_state_ops(c->state), &entries[i], c->arena, &o), -EBADMSG);
}

static void the_leaf_commits_to_entry_and_outcome(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        const struct claim *claim;
        uint8_t leaf[LEAF_RECORD_BYTES], other[LEAF_RECORD_BYTES];
        struct outcome o = { .code = E_ROLE };

        assert_refusal(envelope_parse(c->arena, an_act(c), &claim), ACCEPTED);
        struct entry e = { 1, 2, { 3 }, 0, 0, 0, 0, claim };
        exchange_leaf_record(CITY_DOMAIN, &e, &o, leaf);
        assert_memory_equal(leaf, "442000\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\3", 32);
        assert_memory_equal(leaf + 32, claim->envelope_digest.b, 32);
        assert_int_equal(get_be32(leaf + 64), E_ROLE);
        o.effects_digest.b[31] = 1;
        exchange_leaf_record(CITY_DOMAIN, &e, &o, other);
        assert_memory_not_equal(leaf, other, LEAF_RECORD_BYTES);
}

/* The header again, signed by others: their numbers and ids are new, and its digest is what is named by it. */
static enum refusal under_other_signatures(struct market *m, const struct city_result *first, const struct party *a, enum role as_a, const struct party *b, enum role as_b)
{
        Shuyi__V1__Intent i = *first->claim->intent;
        struct city_act act = { .kind = first->claim->kind->number, .intent = &i, .body = first->claim->open_body, .by = { { a, as_a }, { b, as_b } } };
        struct city_result r = city_act(m->c, &act);

        assert_true(digest_equal(&r.digest, &first->digest));
        return r.code;
}

static void the_same_header_under_other_signatures_is_a_repetition(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const char *open = market_publish(m, market_open_entry(m)), *conditional = market_publish(m, market_conditional_entry(m));
        const struct party *user = city_hire(m->c, CITY_HEALTH, "user-2", ROLE_USER, 0), *approver = city_hire(m->c, CITY_HEALTH, "approver-2", ROLE_APPROVER, 0);
        const struct party *officer = city_hire(m->c, CITY_CIVIL, "officer-2", ROLE_DATA_OFFICER, 0), *head = city_hire(m->c, CITY_CIVIL, "head-2", ROLE_APPROVER, 0);
        struct party *fresh = city_party(m->c, "fresh", CITY_CIVIL, SUBJECT_PERSON);
        const uint32_t roles[] = { ROLE_USER };
        Shuyi__V1__Entry *e = market_conditional_entry(m);
        struct city_result got = market_get(m, market_ask(m, open)), asked, filed, entered;

        assert_refusal(got.code, ACCEPTED);
        market_reason(m, KIND_GRANT_SUSPEND, &got.digest, NULL, REASON_MISUSE, m->civil_approver, ROLE_APPROVER);
        assert_refusal(under_other_signatures(m, &got, user, ROLE_USER, approver, ROLE_APPROVER), E_REPLAY);
        assert_int_equal(market_grant(m, &got.digest)->state, GRANT_SUSPENDED);
        asked = market_apply(m, market_ask(m, conditional));
        assert_refusal(asked.code, ACCEPTED);
        assert_refusal(under_other_signatures(m, &asked, user, ROLE_USER, approver, ROLE_APPROVER), E_REPLAY);
        e->resource_name = "另一份";
        entered = market_submit(m, e, NULL);
        assert_refusal(market_approve(m, &entered.digest, &entered.digest).code, ACCEPTED);
        assert_refusal(under_other_signatures(m, &entered, officer, ROLE_DATA_OFFICER, head, ROLE_APPROVER), E_REPLAY);
        assert_int_equal(market_matter(m, &entered.digest)->state, CAT_PUBLISHED);
        filed = city_file_staff(m->c, m->civil_officer, city_file_body(m->c, fresh, roles, 1));
        assert_refusal(filed.code, ACCEPTED);
        assert_refusal(under_other_signatures(m, &filed, officer, ROLE_DATA_OFFICER, NULL, 0), E_REPLAY);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_R_194_the_first_failing_check_gives_the_code),
                cmocka_unit_test(test_R_194_policy_comes_before_kinds_of_later),
                cmocka_unit_test(test_R_004_only_registered_keys_of_the_links_department_are_heard),
                cmocka_unit_test(a_signature_by_another_key_makes_no_entry),
                cmocka_unit_test(a_credential_counts_within_its_validity_only),
                cmocka_unit_test(a_persons_act_counts_once),
                cmocka_unit_test(numbers_of_a_lane_go_up_only),
                cmocka_unit_test(a_new_life_of_the_outbox_starts_both_lanes_again),
                cmocka_unit_test(a_lane_remembers_the_last_1024_numbers),
                cmocka_unit_test(an_id_is_forgotten_when_the_act_has_expired),
                cmocka_unit_test(times_outside_the_window_are_refused),
                cmocka_unit_test(a_refused_control_act_leaves_only_its_lane_and_ids),
                cmocka_unit_test(refused_data_leave_nothing_and_make_no_entry),
                cmocka_unit_test(test_R_011_no_role_changes_or_deletes_a_record),
                cmocka_unit_test(what_is_due_counts_before_the_event_and_goes_with_its_refusal),
                cmocka_unit_test(one_millisecond_before_due_end_is_in_time),
                cmocka_unit_test(what_is_due_is_recorded_with_an_accepted_event),
                cmocka_unit_test(ticks_go_on_until_none_is_due),
                cmocka_unit_test(a_fault_of_the_state_is_no_outcome),
                cmocka_unit_test(a_full_arena_is_a_fault),
                cmocka_unit_test(an_entry_out_of_place_is_a_fault),
                cmocka_unit_test(the_leaf_commits_to_entry_and_outcome),
                cmocka_unit_test(the_same_header_under_other_signatures_is_a_repetition),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
