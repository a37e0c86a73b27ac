/* grant_check: broker, agents and offline checkers derive one grant from the same signatures. */
#include "tests/lib/market.h"
#include "tests/lib/unit.h"

#include "common/exchange/grant_check.h"
#include "common/macro.h"

#include <errno.h>

static const struct claim *claim_of(struct market *m, struct bytes wire)
{
        const struct claim *c = NULL;

        assert_refusal(envelope_parse(m->c->arena, wire, &c), ACCEPTED);
        return c;
}

static struct bytes asking(struct market *m, uint16_t kind, const Shuyi__V1__Intent *i, const struct party *user, const struct party *approver)
{
        Shuyi__V1__RequestBody body = SHUYI__V1__REQUEST_BODY__INIT;

        body.need = "网格与区划对应";
        return city_envelope(m->c, &(struct city_act){ .kind = kind, .intent = i, .body = &body.base,
                                                       .by = { { user, ROLE_USER }, { approver, ROLE_APPROVER } } });
}

static struct bytes deciding(struct market *m, uint16_t kind, const struct digest *request, const uint32_t *items, size_t n,
                             const struct party *handler, const struct party *approver)
{
        Shuyi__V1__ReplyBody body = SHUYI__V1__REPLY_BODY__INIT;

        return city_envelope(m->c, &(struct city_act){ .kind = kind, .intent = market_answer(m, request, items, n), .body = &body.base,
                                                       .by = { { handler, ROLE_DATA_OFFICER }, { approver, ROLE_APPROVER } } });
}

static enum refusal check(struct market *m, const struct claim *request, const struct claim *decision, struct wall_time at, struct grant_facts *ret)
{
        enum refusal no = E_FORM;

        assert_int_equal(grant_check(map_state_ops(m->c->state), m->c->arena, request, decision, at, &no, ret), 0);
        return no;
}

static void assert_row_is_the_states(struct market *m, const struct grant_facts *facts)
{
        Shuyi__V1__GrantRow *kept = market_grant(m, &facts->id);
        struct bytes a, b;

        assert_non_null(kept);
        a = message_pack(m->c->arena, &kept->base);
        b = message_pack(m->c->arena, &facts->row->base);
        assert_true(bytes_equal(a, b));
}

static const uint32_t all[] = { 1, 2, 3 };

static void a_get_gives_the_row_that_apply_wrote(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct bytes wire = asking(m, KIND_GET, market_ask(m, market_publish(m, market_open_entry(m))), m->health_user, m->health_approver);
        struct wall_time at = m->c->now;
        struct grant_facts facts;

        assert_refusal(city_put(m->c, wire, m->health_agent).code, ACCEPTED);
        city_pass(m->c, DAY_MS);
        assert_refusal(check(m, NULL, claim_of(m, wire), at, &facts), ACCEPTED);
        assert_row_is_the_states(m, &facts);
}

static void a_consent_in_part_gives_the_row_that_apply_wrote(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct bytes request = asking(m, KIND_REQ_SUBMIT, market_ask(m, market_publish(m, market_conditional_entry(m))), m->health_user, m->health_approver);
        const struct claim *asked = claim_of(m, request), *decided;
        Shuyi__V1__ReplyBody body = SHUYI__V1__REPLY_BODY__INIT;
        Shuyi__V1__ItemReason reason = SHUYI__V1__ITEM_REASON__INIT, *reasons[] = { &reason };
        struct grant_facts facts;
        struct bytes wire;

        assert_refusal(city_put(m->c, request, m->health_agent).code, ACCEPTED);
        city_pass(m->c, DAY_MS);
        reason.item_no = 3;
        reason.reason = R_EXCESS;
        body.n_refused = 1;
        body.refused = reasons;
        wire = city_envelope(m->c, &(struct city_act){ .kind = KIND_CONSENT_PART, .intent = market_answer(m, &asked->header_digest, all, 2), .body = &body.base,
                                                       .by = { { m->civil_officer, ROLE_DATA_OFFICER }, { m->civil_approver, ROLE_APPROVER } } });
        decided = claim_of(m, wire);
        assert_refusal(city_put(m->c, wire, m->civil_agent).code, ACCEPTED);
        assert_refusal(check(m, asked, decided, m->c->now, &facts), ACCEPTED);
        assert_row_is_the_states(m, &facts);
}

/* A broker that is taken over can show an agent envelopes, but not the signatures that are missing. */
static void test_R_008_what_the_signatures_do_not_say_is_no_grant(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const char *open = market_publish(m, market_open_entry(m)), *conditional = market_publish(m, market_conditional_entry(m));
        struct party *both = city_hire(m->c, CITY_HEALTH, "both", ROLE_USER, 0);
        struct party *again = city_hire_again(m->c, both, "both-2", CITY_HEALTH, ROLE_APPROVER, 0);
        struct party *there = city_hire_again(m->c, m->health_user, "zhang-there", CITY_CIVIL, ROLE_APPROVER, 0);
        const struct claim *request = claim_of(m, asking(m, KIND_REQ_SUBMIT, market_ask(m, conditional), m->health_user, m->health_approver));
        const struct claim *other = claim_of(m, asking(m, KIND_REQ_SUBMIT, market_ask(m, conditional), m->health_user, m->health_approver));
        const struct digest *id = &request->header_digest;
        Shuyi__V1__Intent *four = market_ask(m, conditional);
        struct grant_facts facts;
        struct wall_time at = m->c->now;

        four->n_items = 2;
        const struct claim *less = claim_of(m, asking(m, KIND_REQ_SUBMIT, four, m->health_user, m->health_approver));
        const struct { const char *name; const struct claim *request; struct bytes decision; enum refusal code; } cases[] = {
                { "the approver is the user, by another key", NULL, asking(m, KIND_GET, market_ask(m, open), both, again), G_SEPARATION },
                { "a direct get of conditional items", NULL, asking(m, KIND_GET, market_ask(m, conditional), m->health_user, m->health_approver), G_TYPE },
                { "a person of another department", NULL, asking(m, KIND_GET, market_ask(m, open), m->health_user, m->civil_approver), E_ROLE },
                { "a role that is not held", NULL, asking(m, KIND_GET, market_ask(m, open), m->health_officer, m->health_approver), E_ROLE },
                { "a consent without its request", NULL, deciding(m, KIND_CONSENT, id, all, 3, m->civil_officer, m->civil_approver), E_NOT_FOUND },
                { "a consent to another request", other, deciding(m, KIND_CONSENT, id, all, 3, m->civil_officer, m->civil_approver), E_NOT_FOUND },
                { "a refusal", request, deciding(m, KIND_REFUSE, id, NULL, 0, m->civil_officer, m->civil_approver), E_NOT_FOUND },
                { "the consumer's own consent", request, deciding(m, KIND_CONSENT, id, all, 3, m->health_officer, m->health_approver), E_ROLE },
                { "the applicant as decider", request, deciding(m, KIND_CONSENT, id, all, 3, m->civil_officer, there), G_SEPARATION },
                { "more than was asked", less, deciding(m, KIND_CONSENT, &less->header_digest, all, 3, m->civil_officer, m->civil_approver), G_ITEMS },
                { "half of a consent", request, deciding(m, KIND_CONSENT, id, all, 3, m->civil_officer, NULL), G_SIGNERS },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                enum refusal r = check(m, cases[i].request, claim_of(m, cases[i].decision), at, &facts);

                if (r != cases[i].code)
                        fail_msg("%s: %s", cases[i].name, refusal_text(r)->code);
        }
}

static void what_was_signed_before_a_revocation_stands_and_after_it_does_not(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct bytes wire = asking(m, KIND_GET, market_ask(m, market_publish(m, market_open_entry(m))), m->health_user, m->health_approver);
        struct wall_time before = m->c->now;
        struct grant_facts facts;
        enum refusal use;

        city_put(m->c, wire, m->health_agent);
        city_pass(m->c, DAY_MS);
        city_revoke(m->c, m->health_user);
        assert_refusal(check(m, NULL, claim_of(m, wire), before, &facts), ACCEPTED);
        assert_refusal(check(m, NULL, claim_of(m, wire), m->c->now, &facts), E_CRED);
        assert_refusal(check(m, NULL, claim_of(m, wire), before, &facts), ACCEPTED);
        assert_int_equal(grant_check_use(map_state_ops(m->c->state), m->c->arena, facts.row, all, 3, "CHILD_HEALTH", METHOD_DB_PUSH, m->c->now, &use), 0);
        assert_refusal(use, E_CRED);
}

/* The key that a person laid aside opens nothing from then on: no broker can have it sign later. */
static void a_replaced_key_stands_for_what_it_signed_before(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct party *fresh = city_party(m->c, "zhang-fresh", CITY_HEALTH, SUBJECT_PERSON);
        const struct claim *get = claim_of(m, asking(m, KIND_GET, market_ask(m, market_publish(m, market_open_entry(m))), m->health_user, m->health_approver));
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        const uint32_t roles[] = { ROLE_USER };
        struct wall_time before = m->c->now;
        struct grant_facts facts;
        struct digest filed;

        city_pass(m->c, 60000);
        fresh->id = m->health_user->id;
        i.object = field_of_bytes(bytes_digest(&m->health_user->credential));
        filed = city_must(m->c, &(struct city_act){ .kind = KIND_STAFF_CHANGE, .intent = &i, .body = &city_file_body(m->c, fresh, roles, 1)->base,
                                                    .by = { { m->health_officer, ROLE_DATA_OFFICER } } }).digest;
        assert_refusal(city_accept(m->c, &filed, city_sign_credential(m->c, fresh, city_credential(m->c, fresh, roles, 1, m->c->sec_admin), m->c->sec_admin)).code, ACCEPTED);
        assert_refusal(check(m, NULL, get, before, &facts), ACCEPTED);
        assert_refusal(check(m, NULL, get, m->c->now, &facts), E_CRED);
}

/* A decision that was kept back until after the day that its signers named. */
static void a_decision_is_good_until_it_expires(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const struct claim *get = claim_of(m, asking(m, KIND_GET, market_ask(m, market_publish(m, market_open_entry(m))), m->health_user, m->health_approver));
        struct grant_facts facts;

        assert_refusal(check(m, NULL, get, (struct wall_time){ get->intent->expires_at - 1 }, &facts), ACCEPTED);
        assert_refusal(check(m, NULL, get, (struct wall_time){ get->intent->expires_at }, &facts), E_FORM);
}

static void before_a_policy_there_is_no_grant(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct bytes wire = asking(m, KIND_GET, market_ask(m, market_publish(m, market_open_entry(m))), m->health_user, m->health_approver);
        struct map_state *empty = map_state_new();
        struct grant_facts facts;
        enum refusal no = ACCEPTED;

        assert_int_equal(grant_check(map_state_ops(empty), m->c->arena, NULL, claim_of(m, wire), m->c->now, &no, &facts), 0);
        assert_refusal(no, E_NO_POLICY);
        map_state_free(empty);
}

static void a_failing_store_is_a_fault_at_each_read(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const struct claim *get = claim_of(m, asking(m, KIND_GET, market_ask(m, market_publish(m, market_open_entry(m))), m->health_user, m->health_approver));
        struct state s = map_state_ops(m->c->state);
        enum refusal no = ACCEPTED;
        struct grant_facts facts;
        unsigned n = 0;
        int r;

        do {
                map_state_fail_at(m->c->state, ++n);
                r = grant_check(s, m->c->arena, NULL, get, m->c->now, &no, &facts);
                if (r < 0)
                        assert_int_equal(r, -EIO);
        } while (r < 0);
        map_state_fail_at(m->c->state, 0);
        assert_refusal(no, ACCEPTED);
        assert_true(n > 6);
}

static void a_small_arena_is_a_fault_and_no_grant(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const struct claim *get = claim_of(m, asking(m, KIND_GET, market_ask(m, market_publish(m, market_open_entry(m))), m->health_user, m->health_approver));
        enum refusal no = ACCEPTED;
        struct grant_facts facts;
        bool fitted = false;

        for (size_t bytes = 64; bytes <= 1 << 20; bytes *= 2) {
                struct arena *a = arena_new(bytes);
                int r = grant_check(map_state_ops(m->c->state), a, NULL, get, m->c->now, &no, &facts);

                assert_true(r == -ENOMEM || (r == 0 && no == ACCEPTED));
                fitted |= r == 0;
                arena_free(a);
        }
        assert_true(fitted);
}

/* ---- a use ---- */

static const struct { const char *name; uint32_t items[4]; const char *purpose; uint32_t method; int64_t after_ms; enum refusal code; } uses[] = {
        { "as granted", { 1, 2, 3 }, "CHILD_HEALTH", METHOD_DB_PUSH, 0, ACCEPTED },
        { "a part of it", { 2 }, "CHILD_HEALTH", METHOD_DB_PUSH, 0, ACCEPTED },
        { "R-110: an item that is not granted", { 1, 4 }, "CHILD_HEALTH", METHOD_DB_PUSH, 0, G_ITEMS },
        { "no items", { 0 }, "CHILD_HEALTH", METHOD_DB_PUSH, 0, G_ITEMS },
        { "items out of order", { 2, 1 }, "CHILD_HEALTH", METHOD_DB_PUSH, 0, G_ITEMS },
        { "another method", { 1 }, "CHILD_HEALTH", METHOD_INTERFACE, 0, G_METHOD },
        { "R-109: another purpose", { 1 }, "MARKETING", METHOD_DB_PUSH, 0, G_PURPOSE },
        { "R-109: no purpose", { 1 }, "", METHOD_DB_PUSH, 0, G_PURPOSE },
        { "the last moment", { 1 }, "CHILD_HEALTH", METHOD_DB_PUSH, 10 * (int64_t)DAY_MS - 1, ACCEPTED },
        { "R-110: after the period", { 1 }, "CHILD_HEALTH", METHOD_DB_PUSH, 10 * (int64_t)DAY_MS, G_PERIOD },
        { "R-194: items before method and purpose", { 9 }, "MARKETING", METHOD_INTERFACE, 0, G_ITEMS },
};

static void test_R_109_R_110_a_use_is_within_its_grant(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        Shuyi__V1__Intent *i = market_ask(m, market_publish(m, market_open_entry(m)));
        struct digest grant;
        enum refusal no;

        i->period_to = m->c->now.ms + 10 * DAY_MS;
        grant = market_get(m, i).digest;
        for (size_t k = 0; k < ELEMENTS(uses); k++) {
                struct wall_time at = { m->c->now.ms + (uint64_t)uses[k].after_ms };
                size_t n = 0;

                while (n < 4 && uses[k].items[n])
                        n++;
                assert_int_equal(grant_check_use(map_state_ops(m->c->state), m->c->arena, market_grant(m, &grant), uses[k].items, n, uses[k].purpose,
                                                 uses[k].method, at, &no), 0);
                if (no != uses[k].code)
                        fail_msg("%s: %s", uses[k].name, refusal_text(no)->code);
        }
}

static void a_use_of_a_suspended_or_ended_grant(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct digest grant = market_get(m, market_ask(m, market_publish(m, market_open_entry(m)))).digest;
        struct state s = map_state_ops(m->c->state);
        enum refusal no;

        market_reason(m, KIND_GRANT_SUSPEND, &grant, NULL, REASON_MISUSE, m->civil_approver, ROLE_APPROVER);
        assert_int_equal(grant_check_use(s, m->c->arena, market_grant(m, &grant), all, 3, "CHILD_HEALTH", METHOD_DB_PUSH, m->c->now, &no), 0);
        assert_refusal(no, E_SUSPENDED);
        market_reason(m, KIND_GRANT_END, &grant, NULL, REASON_NOT_NEEDED, m->health_approver, ROLE_APPROVER);
        assert_int_equal(grant_check_use(s, m->c->arena, market_grant(m, &grant), all, 3, "CHILD_HEALTH", METHOD_DB_PUSH, m->c->now, &no), 0);
        assert_refusal(no, E_STATE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_get_gives_the_row_that_apply_wrote),
                cmocka_unit_test(a_consent_in_part_gives_the_row_that_apply_wrote),
                cmocka_unit_test(test_R_008_what_the_signatures_do_not_say_is_no_grant),
                cmocka_unit_test(what_was_signed_before_a_revocation_stands_and_after_it_does_not),
                cmocka_unit_test(a_replaced_key_stands_for_what_it_signed_before),
                cmocka_unit_test(a_decision_is_good_until_it_expires),
                cmocka_unit_test(before_a_policy_there_is_no_grant),
                cmocka_unit_test(a_failing_store_is_a_fault_at_each_read),
                cmocka_unit_test(a_small_arena_is_a_fault_and_no_grant),
                cmocka_unit_test(test_R_109_R_110_a_use_is_within_its_grant),
                cmocka_unit_test(a_use_of_a_suspended_or_ended_grant),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
