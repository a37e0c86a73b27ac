/* registry: genesis, departments, the public key that appears once, anchors, seal keys. */
#include "tests/lib/city.h"
#include "tests/lib/unit.h"

#include "common/exchange/rows.h"
#include "common/macro.h"

static void a_city_is_founded_by_its_own_entries(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        Shuyi__V1__MetaRow *meta = CITY_ROW(c, TABLE_META, &shuyi__v1__meta_row__descriptor, (struct bytes){ 0 });

        assert_int_equal(meta->seq, 5);         /* ANCHOR CREDENTIAL DEPARTMENT POLICY_SET CALENDAR_SET */
        assert_string_equal(meta->authority, CITY_AUTHORITY);
        assert_int_equal(meta->anchor_version, 1);
        assert_int_equal(c->authority_agent->link, 1);
        assert_int_equal(city_count(c, TABLE_PERSON), 3);
        assert_int_equal(city_count(c, TABLE_CREDENTIAL), 5);
        assert_int_equal(meta->trust_seq, 9);   /* anchor, broker, department, four credentials, policy, calendar */
}

static void the_log_replays_to_the_same_state(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();

        city_department(c, CITY_CIVIL, "civil");
        city_department(c, CITY_HEALTH, "health");
        city_hire(c, CITY_HEALTH, "zhang", ROLE_USER, 0);
        city_hire(c, CITY_HEALTH, "li", ROLE_APPROVER, 0);
        city_join(c, CITY_HEALTH, "second");
        city_trust_head(c);
        city_revoke(c, city_find(c, "zhang"));
        city_trust_head(c);
        city_pass(c, 40 * DAY_MS);
        assert_true(city_tick(c) > 0);
        assert_int_equal(city_count(c, TABLE_IDEM), 0);
        struct digest a = city_digest(c), b = city_replay(c);
        assert_memory_equal(a.b, b.b, 32);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_city_is_founded_by_its_own_entries),
                cmocka_unit_test(the_log_replays_to_the_same_state),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
