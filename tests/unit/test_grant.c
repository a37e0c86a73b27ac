/* grant: suspending, resuming, terminating, ending, expiring (SM-GRANT 1, 4-6, 8, 9). */
#include "tests/lib/market.h"
#include "tests/lib/unit.h"

#include "common/macro.h"

static struct digest opened(struct market *m)
{
        struct city_result r = market_get(m, market_ask(m, market_publish(m, market_open_entry(m))));

        assert_refusal(r.code, ACCEPTED);
        return r.digest;
}

static uint32_t trust_status(struct market *m, const struct digest *grant)
{
        Shuyi__V1__TrustMapRow *row = CITY_ROW(m->c, TABLE_TRUST_MAP, &shuyi__v1__trust_map_row__descriptor, bytes_digest(grant));

        return row ? row->status : 0;
}

/* Every event in every state, by who may and who may not: the table says what happens, anything else is refused. */
enum walker { CONSUMER, PROVIDER, SECURITY, USER };

static const struct { const char *name; enum grant_state from; uint16_t event; enum walker by; uint32_t reason; enum refusal code; enum grant_state to; } walks[] = {
        { "row 4, by the authority", GRANT_ACTIVE, KIND_GRANT_SUSPEND, SECURITY, REASON_MISUSE, ACCEPTED, GRANT_SUSPENDED },
        { "row 4, by the provider", GRANT_ACTIVE, KIND_GRANT_SUSPEND, PROVIDER, REASON_SECURITY_INCIDENT, ACCEPTED, GRANT_SUSPENDED },
        { "row 4, for no listed reason", GRANT_ACTIVE, KIND_GRANT_SUSPEND, SECURITY, REASON_NOT_NEEDED, G_REASON, GRANT_ACTIVE },
        { "row 4, by the consumer", GRANT_ACTIVE, KIND_GRANT_SUSPEND, CONSUMER, REASON_MISUSE, E_ROLE, GRANT_ACTIVE },
        { "row 4, by a user", GRANT_ACTIVE, KIND_GRANT_SUSPEND, USER, REASON_MISUSE, E_ROLE, GRANT_ACTIVE },
        { "row 4 twice", GRANT_SUSPENDED, KIND_GRANT_SUSPEND, SECURITY, REASON_MISUSE, E_STATE, GRANT_SUSPENDED },
        { "row 5, by the suspender", GRANT_SUSPENDED, KIND_GRANT_RESUME, SECURITY, REASON_RECTIFIED, ACCEPTED, GRANT_ACTIVE },
        { "row 5, by another than the suspender", GRANT_SUSPENDED, KIND_GRANT_RESUME, PROVIDER, REASON_RECTIFIED, E_ROLE, GRANT_SUSPENDED },
        { "row 5, not rectified", GRANT_SUSPENDED, KIND_GRANT_RESUME, SECURITY, REASON_NOT_RECTIFIED, G_REASON, GRANT_SUSPENDED },
        { "row 5, nothing to resume", GRANT_ACTIVE, KIND_GRANT_RESUME, SECURITY, REASON_RECTIFIED, E_STATE, GRANT_ACTIVE },
        { "row 6, by the suspender", GRANT_SUSPENDED, KIND_GRANT_TERMINATE, SECURITY, REASON_NOT_RECTIFIED, ACCEPTED, GRANT_TERMINATED },
        { "row 6, by another", GRANT_SUSPENDED, KIND_GRANT_TERMINATE, PROVIDER, REASON_NOT_RECTIFIED, E_ROLE, GRANT_SUSPENDED },
        { "row 6, without suspension", GRANT_ACTIVE, KIND_GRANT_TERMINATE, SECURITY, REASON_NOT_RECTIFIED, E_STATE, GRANT_ACTIVE },
        { "row 9, purpose reached", GRANT_ACTIVE, KIND_GRANT_END, CONSUMER, REASON_PURPOSE_REACHED, ACCEPTED, GRANT_ENDED },
        { "row 9, from suspension", GRANT_SUSPENDED, KIND_GRANT_END, CONSUMER, REASON_NOT_NEEDED, ACCEPTED, GRANT_ENDED },
        { "row 9, by the provider", GRANT_ACTIVE, KIND_GRANT_END, PROVIDER, REASON_NOT_NEEDED, E_ROLE, GRANT_ACTIVE },
        { "row 9, for no listed reason", GRANT_ACTIVE, KIND_GRANT_END, CONSUMER, REASON_MISUSE, G_REASON, GRANT_ACTIVE },
};

static struct city_result act(struct market *m, uint16_t event, enum walker by, uint32_t reason, const struct digest *grant)
{
        const struct { const struct party *who; enum role as; } people[] = {
                [CONSUMER] = { m->health_approver, ROLE_APPROVER }, [PROVIDER] = { m->civil_approver, ROLE_APPROVER },
                [SECURITY] = { m->c->sec_admin, ROLE_SEC_ADMIN }, [USER] = { m->health_user, ROLE_USER },
        };

        return market_reason(m, event, grant, NULL, reason, people[by].who, people[by].as);
}

static void each_row_by_each_actor(void **state)
{
        for (size_t i = 0; i < ELEMENTS(walks); i++) {
                _cleanup_(market_freep) struct market *m = market_new();
                struct digest grant = opened(m);
                struct city_result r;

                if (walks[i].from == GRANT_SUSPENDED)
                        assert_refusal(act(m, KIND_GRANT_SUSPEND, SECURITY, REASON_MISUSE, &grant).code, ACCEPTED);
                r = act(m, walks[i].event, walks[i].by, walks[i].reason, &grant);
                if (r.code != walks[i].code || market_grant(m, &grant)->state != (uint32_t)walks[i].to)
                        fail_msg("%s: %s %s", walks[i].name, refusal_text(r.code)->code, r.detail);
        }
}

static void a_trust_record_follows_each_change(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct digest grant = opened(m);

        assert_int_equal(trust_status(m, &grant), STATUS_ACTIVE);
        act(m, KIND_GRANT_SUSPEND, PROVIDER, REASON_MISUSE, &grant);
        assert_int_equal(trust_status(m, &grant), STATUS_SUSPENDED);
        assert_string_equal(market_grant(m, &grant)->suspended_by, CITY_CIVIL);
        act(m, KIND_GRANT_RESUME, PROVIDER, REASON_RECTIFIED, &grant);
        assert_int_equal(trust_status(m, &grant), STATUS_ACTIVE);
        act(m, KIND_GRANT_END, CONSUMER, REASON_NOT_NEEDED, &grant);
        assert_int_equal(trust_status(m, &grant), STATUS_ENDED);
        assert_int_equal(market_subscription(m, &grant)->state, SUB_ENDED);
}

static void nobody_else_sees_a_grant(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct digest grant = opened(m), nothing = digest_plain(bytes_str("nothing"));

        city_department(m->c, CITY_TAX, "tax");
        struct party *stranger = city_hire(m->c, CITY_TAX, "zhou", ROLE_APPROVER, 0);
        assert_refusal(market_reason(m, KIND_GRANT_END, &grant, NULL, REASON_NOT_NEEDED, stranger, ROLE_APPROVER).code, E_NOT_FOUND);
        assert_refusal(act(m, KIND_GRANT_END, CONSUMER, REASON_NOT_NEEDED, &nothing).code, E_NOT_FOUND);
}

static void a_period_ends_by_itself_also_from_suspension(void **state)
{
        for (int suspended = 0; suspended < 2; suspended++) {
                _cleanup_(market_freep) struct market *m = market_new();
                Shuyi__V1__Intent *i = market_ask(m, market_publish(m, market_open_entry(m)));
                struct city_result r;
                struct digest grant;

                i->period_to = m->c->now.ms + 10 * DAY_MS;
                r = market_get(m, i);
                grant = r.digest;
                if (suspended)
                        act(m, KIND_GRANT_SUSPEND, SECURITY, REASON_MISUSE, &grant);
                city_pass(m->c, 10 * DAY_MS - 1);
                city_tick(m->c);
                assert_int_equal(market_grant(m, &grant)->state, suspended ? GRANT_SUSPENDED : GRANT_ACTIVE);
                city_pass(m->c, 1);
                city_tick(m->c);
                assert_int_equal(market_grant(m, &grant)->state, GRANT_ENDED);
                assert_int_equal(trust_status(m, &grant), STATUS_ENDED);
                assert_int_equal(city_count(m->c, TABLE_FACT), 0);      /* an end is no delay */
        }
}

static void an_end_in_front_of_an_act_comes_first(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        Shuyi__V1__Intent *i = market_ask(m, market_publish(m, market_open_entry(m)));
        struct city_result r;
        struct digest grant;

        i->period_to = m->c->now.ms + 10 * DAY_MS;
        r = market_get(m, i);
        grant = r.digest;
        city_pass(m->c, 10 * DAY_MS);
        assert_refusal(act(m, KIND_GRANT_SUSPEND, SECURITY, REASON_MISUSE, &grant).code, E_STATE);
}

static void under_full_rules_a_disposal_falls_due(void **state)
{
        static const char *const lines[] = { "grant_rules = FULL", NULL };
        _cleanup_(market_freep) struct market *m = market_under(lines);
        struct digest grant = opened(m);
        uint8_t clock = CLOCK_DISPOSE, one[8];
        Shuyi__V1__FactRow *fact;

        act(m, KIND_GRANT_END, CONSUMER, REASON_NOT_NEEDED, &grant);
        assert_non_null(CITY_ROW(m->c, TABLE_CLOCK, &shuyi__v1__clock_row__descriptor, bytes_digest(&grant), bytes_of(&clock, 1)));
        city_pass(m->c, 60 * DAY_MS);
        city_tick(m->c);
        put_be64(one, 1);
        fact = CITY_ROW(m->c, TABLE_FACT, &shuyi__v1__fact_row__descriptor, bytes_of(one, 8));
        assert_string_equal(fact->violation, "V_DISPOSAL");
        assert_string_equal(fact->department, CITY_HEALTH);
        assert_int_equal(market_grant(m, &grant)->state, GRANT_ENDED);
}

static void the_rows_of_later_are_not_yet(void **state)
{
        static const uint16_t kinds[] = { KIND_GRANT_WIDEN, KIND_GRANT_STOP, KIND_GRANT_DISPOSE, KIND_GRANT_REASSIGN, KIND_DELEGATION };
        _cleanup_(market_freep) struct market *m = market_new();
        struct digest grant = opened(m);

        for (size_t i = 0; i < ELEMENTS(kinds); i++)
                assert_refusal(act(m, kinds[i], CONSUMER, 0, &grant).code, E_NOT_YET);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_row_by_each_actor),
                cmocka_unit_test(a_trust_record_follows_each_change),
                cmocka_unit_test(nobody_else_sees_a_grant),
                cmocka_unit_test(a_period_ends_by_itself_also_from_suspension),
                cmocka_unit_test(an_end_in_front_of_an_act_comes_first),
                cmocka_unit_test(under_full_rules_a_disposal_falls_due),
                cmocka_unit_test(the_rows_of_later_are_not_yet),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
