/* direct: a GET opens a grant without anybody's decision, and only what it may (SM-DIRECT 1). */
#include "tests/lib/market.h"
#include "tests/lib/unit.h"

#include "common/macro.h"

static struct city_result get_by(struct market *m, const Shuyi__V1__Intent *i, const struct party *user, enum role as_user,
                                 const struct party *approver, enum role as_approver)
{
        Shuyi__V1__RequestBody body = SHUYI__V1__REQUEST_BODY__INIT;

        body.need = "网格与区划对应";
        return city_act(m->c, &(struct city_act){ .kind = KIND_GET, .intent = i, .body = &body.base,
                                                  .by = { { user, as_user }, { approver, as_approver } } });
}

static void test_R_071_an_unconditional_item_is_had_without_a_decision(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const char *resource = market_publish(m, market_open_entry(m));
        struct city_result r = market_get(m, market_ask(m, resource));
        Shuyi__V1__GrantRow *g = market_grant(m, &r.digest);

        assert_refusal(r.code, ACCEPTED);
        assert_non_null(g);
        assert_int_equal(g->state, GRANT_ACTIVE);
        assert_int_equal(g->channel, CHANNEL_UNCONDITIONAL);
        assert_string_equal(g->consumer, CITY_HEALTH);
        assert_string_equal(g->provider, CITY_CIVIL);
        assert_string_equal(g->purpose, "CHILD_HEALTH");
        assert_int_equal(g->n_items, 3);
        assert_memory_equal(g->user.data, m->health_user->id.b, ID_BYTES);
        assert_memory_equal(g->approver.data, m->health_approver->id.b, ID_BYTES);
        assert_memory_equal(g->serving_agent.data, m->civil_agent->id.b, ID_BYTES);
        assert_int_equal(market_subscription(m, &r.digest)->state, SUB_REQUESTED);
        assert_true(r.outcome.trust_moved);
}

/* ---- and the other guards: one field spoiled, the code that names it ---- */

#define CASE(name) static void name(struct market *m, Shuyi__V1__Intent *i)
CASE(no_purpose) { i->purpose = ""; }
CASE(no_items) { i->n_items = 0; }
CASE(no_use_class) { i->use_class = 0; }
CASE(no_method) { i->method = 0; }
CASE(no_medium) { i->medium = 0; }
CASE(no_agent) { i->agent = (ProtobufCBinaryData){ 0, NULL }; }
CASE(no_purpose_no_items) { i->purpose = ""; i->n_items = 0; }
CASE(agent_of_the_provider) { i->agent = (ProtobufCBinaryData){ ID_BYTES, m->civil_agent->id.b }; }
CASE(period_that_is_over) { i->period_to = m->c->now.ms - 1; }
CASE(period_backward) { i->period_from = m->c->now.ms + 2 * DAY_MS; i->period_to = m->c->now.ms + DAY_MS; }
CASE(no_such_resource) { i->resource = "130001/99"; }
CASE(no_such_version) { i->resource_version = 2; }
CASE(no_such_item) { i->items[2] = 9; }
CASE(method_not_offered) { i->method = METHOD_ONLINE_QUERY; }
CASE(medium_paper) { i->medium = MEDIUM_PAPER; }
CASE(a_row_filter) { static uint8_t d[32] = { 1 }; i->filter_digest = (ProtobufCBinaryData){ 32, d }; }
CASE(a_mask) { i->mask_version = 1; }
CASE(item_before_method) { i->items[2] = 9; i->method = METHOD_ONLINE_QUERY; i->medium = MEDIUM_PAPER; }
CASE(field_before_item) { i->purpose = ""; i->items[2] = 9; }

static const struct { const char *name; void (*spoil)(struct market *, Shuyi__V1__Intent *); enum refusal code; const char *detail; } cases[] = {
        { "R-072: no purpose", no_purpose, G_FIELD, "purpose" },
        { "R-072: no items", no_items, G_FIELD, "items" },
        { "R-072: all that is missing is named", no_purpose_no_items, G_FIELD, "purpose,items" },
        { "no use class", no_use_class, G_FIELD, "use_class" },
        { "no method", no_method, G_FIELD, "method" },
        { "no medium", no_medium, G_FIELD, "medium" },
        { "no agent to receive", no_agent, G_FIELD, "agent" },
        { "another department's agent", agent_of_the_provider, G_FIELD, "agent" },
        { "a period that is over", period_that_is_over, G_FIELD, "period_to" },
        { "a period that ends before it begins", period_backward, G_FIELD, "period_to" },
        { "no such resource", no_such_resource, E_NOT_FOUND, "resource" },
        { "no such version", no_such_version, E_NOT_FOUND, "resource" },
        { "no such item", no_such_item, G_ITEMS, "items[9]" },
        { "a method that the entry does not offer", method_not_offered, G_METHOD, "ONLINE_QUERY" },
        { "on paper", medium_paper, G_MEDIUM, "medium" },
        { "a row filter comes later", a_row_filter, E_NOT_YET, "filter_digest" },
        { "a mask comes later", a_mask, E_NOT_YET, "mask_version" },
        { "R-194: items before method and medium", item_before_method, G_ITEMS, "items[9]" },
        { "R-194: fields before items", field_before_item, G_FIELD, "purpose" },
};

static void test_R_072_R_194_a_get_is_refused_by_its_first_failing_guard(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const char *resource = market_publish(m, market_open_entry(m));

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                Shuyi__V1__Intent *intent = market_ask(m, resource);
                struct city_result r;

                cases[i].spoil(m, intent);
                r = market_get(m, intent);
                if (r.code != cases[i].code || strcmp(r.detail, cases[i].detail) != 0)
                        fail_msg("%s: %s %s", cases[i].name, refusal_text(r.code)->code, r.detail);
        }
        assert_int_equal(city_count(m->c, TABLE_GRANT), 0);
        assert_int_equal(city_count(m->c, TABLE_SUBSCRIPTION), 0);
}

static void test_R_072_a_get_needs_user_and_approver_in_this_order(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const char *resource = market_publish(m, market_open_entry(m));

        assert_refusal(get_by(m, market_ask(m, resource), m->health_user, ROLE_USER, NULL, 0).code, G_SIGNERS);
        assert_refusal(get_by(m, market_ask(m, resource), m->health_approver, ROLE_APPROVER, m->health_user, ROLE_USER).code, G_SIGNERS);
        assert_refusal(get_by(m, market_ask(m, resource), m->health_user, ROLE_USER, m->health_officer, ROLE_DATA_OFFICER).code, E_ROLE);
        assert_refusal(get_by(m, market_ask(m, resource), m->health_user, ROLE_USER, m->health_user, ROLE_APPROVER).code, E_ROLE);
}

/* One key in both capacities, or two keys of one person: one person all the same. */
static void test_R_008_the_approver_is_not_the_user(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const char *resource = market_publish(m, market_open_entry(m));
        struct party *both = city_hire(m->c, CITY_HEALTH, "both", ROLE_USER, ROLE_APPROVER, 0);

        assert_refusal(get_by(m, market_ask(m, resource), both, ROLE_USER, both, ROLE_APPROVER).code, G_SEPARATION);
        assert_refusal(get_by(m, market_ask(m, resource), both, ROLE_USER, m->health_approver, ROLE_APPROVER).code, ACCEPTED);
        assert_refusal(get_by(m, market_ask(m, resource), m->health_user, ROLE_USER, both, ROLE_APPROVER).code, ACCEPTED);
}

static void test_R_008_a_second_credential_of_the_user_is_the_user(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const char *resource = market_publish(m, market_open_entry(m));
        struct party *first = city_hire(m->c, CITY_HEALTH, "wu", ROLE_USER, 0);
        struct party *again = city_hire_again(m->c, first, "wu-2", CITY_HEALTH, ROLE_APPROVER, 0);

        assert_refusal(get_by(m, market_ask(m, resource), first, ROLE_USER, again, ROLE_APPROVER).code, G_SEPARATION);
        assert_int_equal(city_count(m->c, TABLE_GRANT), 0);
}

static void test_R_073_a_conditional_or_withheld_item_is_not_had_directly(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const char *conditional = market_publish(m, market_conditional_entry(m));
        Shuyi__V1__Entry *e = market_conditional_entry(m);
        struct city_result r = market_get(m, market_ask(m, conditional));
        const char *withheld;

        assert_refusal(r.code, G_TYPE);
        assert_string_equal(r.detail, "CONDITIONAL");
        e->resource_name = "另一份明细";
        e->share_type = SHARE_WITHHELD;
        e->withheld_reason = "法定不予共享";
        e->share_scope = "";
        e->share_basis[0]->level = BASIS_LAW;
        withheld = market_publish(m, e);
        r = market_get(m, market_ask(m, withheld));
        assert_refusal(r.code, G_TYPE);
        assert_string_equal(r.detail, "WITHHELD");
        assert_int_equal(city_count(m->c, TABLE_GRANT), 0);
}

static void test_R_073_one_conditional_item_of_an_open_entry_is_not_had_directly(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        Shuyi__V1__Entry *e = market_conditional_entry(m);
        static uint32_t open[] = { 1, 2 };
        const char *resource;
        Shuyi__V1__Intent *i;

        e->share_type = SHARE_UNCONDITIONAL;
        e->items[2]->item_share_type = SHARE_CONDITIONAL;
        resource = market_publish(m, e);
        assert_refusal(market_get(m, market_ask(m, resource)).code, G_TYPE);
        i = market_ask(m, resource);
        i->items = open;
        i->n_items = 2;
        assert_refusal(market_get(m, i).code, ACCEPTED);
}

static void a_method_of_the_entry_that_comes_later_is_not_yet(void **state)
{
        static uint32_t methods[] = { METHOD_ONLINE_QUERY, METHOD_DB_PUSH };
        _cleanup_(market_freep) struct market *m = market_new();
        Shuyi__V1__Entry *e = market_open_entry(m);
        Shuyi__V1__Intent *i;

        e->share_methods = methods;
        e->n_share_methods = 2;
        i = market_ask(m, market_publish(m, e));
        i->method = METHOD_ONLINE_QUERY;
        assert_refusal(market_get(m, i).code, E_NOT_YET);
}

static void a_profile_of_request_and_reply_has_no_direct_path(void **state)
{
        static const char *const lines[] = { "uncond_mode = REQUEST_REPLY", "uncond_reply_wd = 1", NULL };
        _cleanup_(market_freep) struct market *m = market_under(lines);
        struct city_result r = market_get(m, market_ask(m, market_publish(m, market_open_entry(m))));

        assert_refusal(r.code, G_PATH);
        assert_string_equal(r.detail, "uncond_mode");
}

static void a_frozen_entry_opens_no_grant(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct city_result submitted = market_submit(m, market_open_entry(m), NULL), r;
        struct digest matter = submitted.digest;
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        Shuyi__V1__FreezeBody body = SHUYI__V1__FREEZE_BODY__INIT;

        market_approve(m, &matter, &matter);
        i.object = (ProtobufCBinaryData){ DIGEST_BYTES, matter.b };
        body.reason = REASON_SECRECY_INCIDENT;
        city_must(m->c, &(struct city_act){ .kind = KIND_FREEZE, .intent = &i, .body = &body.base, .by = { { m->c->sec_admin, ROLE_SEC_ADMIN } } });
        r = market_get(m, market_ask(m, "130001/1"));
        assert_refusal(r.code, E_FROZEN);
        body.reason = REASON_RESOLVED;
        city_must(m->c, &(struct city_act){ .kind = KIND_UNFREEZE, .intent = &i, .body = &body.base, .by = { { m->c->sec_admin, ROLE_SEC_ADMIN } } });
        assert_refusal(market_get(m, market_ask(m, "130001/1")).code, ACCEPTED);
}

static void the_queries_of_later_are_not_yet(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct city_result r = city_act(m->c, &(struct city_act){ .kind = KIND_QUERY, .by = { { m->health_user, ROLE_USER }, { m->health_approver, ROLE_APPROVER } } });

        assert_refusal(r.code, E_NOT_YET);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_R_071_an_unconditional_item_is_had_without_a_decision),
                cmocka_unit_test(test_R_072_R_194_a_get_is_refused_by_its_first_failing_guard),
                cmocka_unit_test(test_R_072_a_get_needs_user_and_approver_in_this_order),
                cmocka_unit_test(test_R_008_the_approver_is_not_the_user),
                cmocka_unit_test(test_R_008_a_second_credential_of_the_user_is_the_user),
                cmocka_unit_test(test_R_073_a_conditional_or_withheld_item_is_not_had_directly),
                cmocka_unit_test(test_R_073_one_conditional_item_of_an_open_entry_is_not_had_directly),
                cmocka_unit_test(a_method_of_the_entry_that_comes_later_is_not_yet),
                cmocka_unit_test(a_profile_of_request_and_reply_has_no_direct_path),
                cmocka_unit_test(a_frozen_entry_opens_no_grant),
                cmocka_unit_test(the_queries_of_later_are_not_yet),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
