/* direct: a GET opens a grant without anybody's decision, and only what it may (SM-DIRECT 1). */
#include "tests/lib/market.h"
#include "tests/lib/unit.h"

#include "common/macro.h"

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
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_R_071_an_unconditional_item_is_had_without_a_decision),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
