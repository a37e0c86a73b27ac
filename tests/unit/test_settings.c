/* settings: policy and calendar as entries of two persons, and the clock set right. */
#include "tests/lib/city.h"
#include "tests/lib/unit.h"

#include "common/exchange/rows.h"
#include "common/macro.h"

#include <stdlib.h>

/* The authority with its people and nothing published. */
static struct city *unpublished(void)
{
        struct city *c = city_new();

        city_anchor(c);
        city_broker_credential(c);
        city_department(c, CITY_AUTHORITY, "authority");
        return c;
}

static struct city_result set_policy(struct city *c, struct bytes canonical, const struct party *a, enum role as_a, const struct party *b, enum role as_b)
{
        Shuyi__V1__PolicySetBody body = SHUYI__V1__POLICY_SET_BODY__INIT;

        body.canonical = field_of_bytes(canonical);
        return city_act(c, &(struct city_act){ .kind = KIND_POLICY_SET, .body = &body.base, .by = { { a, as_a }, { b, as_b } } });
}

static struct city_result set_by_two(struct city *c, struct bytes canonical)
{
        return set_policy(c, canonical, c->sec_admin, ROLE_SEC_ADMIN, c->data_operator, ROLE_DATA_OPERATOR);
}

/* The text with one value in place of another, of the same length or not. */
static struct bytes with(struct city *c, struct bytes text, const char *line, const char *instead)
{
        const char *at = strstr(arena_printf(c->arena, "%.*s", (int)text.n, (const char *)text.p), line);
        const char *whole = arena_printf(c->arena, "%.*s", (int)text.n, (const char *)text.p);
        size_t before;

        assert_non_null(at);
        before = (size_t)(strstr(whole, line) - whole);
        return bytes_str(arena_printf(c->arena, "%.*s%s%s", (int)before, whole, instead, whole + before + strlen(line)));
}

static void the_first_policy_is_of_sec_admin_and_operator(void **state)
{
        _cleanup_(city_freep) struct city *c = unpublished();
        struct bytes zs = city_policy(c, "deploy/policies/zs.conf");
        const struct party *other = city_hire(c, CITY_AUTHORITY, "other", ROLE_SEC_ADMIN, 0), *approver = city_hire(c, CITY_AUTHORITY, "approver", ROLE_APPROVER, 0);

        assert_refusal(set_policy(c, zs, c->sec_admin, ROLE_SEC_ADMIN, NULL, 0).code, G_SIGNERS);
        assert_refusal(set_policy(c, zs, c->sec_admin, ROLE_SEC_ADMIN, other, ROLE_SEC_ADMIN).code, G_SIGNERS);
        assert_refusal(set_policy(c, zs, c->sec_admin, ROLE_SEC_ADMIN, approver, ROLE_APPROVER).code, E_ROLE);
        assert_refusal(set_policy(c, zs, c->data_operator, ROLE_DATA_OPERATOR, c->sec_admin, ROLE_SEC_ADMIN).code, ACCEPTED);
}

static void later_ones_are_of_any_two_persons_of_the_authority(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        struct bytes next = with(c, city_policy(c, "deploy/policies/zs.conf"), "profile_version = 1\n", "profile_version = 2\n");
        struct party *approver = city_hire(c, CITY_AUTHORITY, "approver", ROLE_APPROVER, 0);
        struct party *same = city_hire_again(c, approver, "approver-too", CITY_AUTHORITY, ROLE_DATA_OFFICER, 0);

        assert_refusal(set_policy(c, next, approver, ROLE_APPROVER, same, ROLE_DATA_OFFICER).code, G_SEPARATION);
        assert_refusal(set_policy(c, next, approver, ROLE_APPROVER, c->sec_admin, ROLE_SEC_ADMIN).code, ACCEPTED);
}

static void what_is_not_a_profile_of_this_domain_is_refused(void **state)
{
        static const struct { const char *name, *line, *instead; enum refusal code; } cases[] = {
                { "another domain", "division_code = 442000\n", "division_code = 440000\n", E_DOMAIN },
                { "for comparison only", "standing = DEPLOY\n", "standing = COMPARE\n", G_PATH },
                { "a version that does not follow", "profile_version = 1\n", "profile_version = 3\n", G_FIELD },
                { "the same version again", "profile_version = 1\n", "profile_version = 1\n", G_FIELD },
                { "a comment: not canonical", "profile_version = 1\n", "profile_version = 2  # why\n", G_FIELD },
                { "an unknown key", "verify_wd = 5\n", "verify_wd = 5\nverify_wx = 5\n", G_FIELD },
                { "a missing key", "verify_wd = 5\n", "", G_FIELD },
                { "a value out of its list", "silence = AUTHORITY_PROVIDES\n", "silence = PERHAPS\n", G_FIELD },
        };
        _cleanup_(city_freep) struct city *c = city_founded();
        struct bytes zs = city_policy(c, "deploy/policies/zs.conf");

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct bytes text = with(c, zs, cases[i].line, cases[i].instead);
                struct city_result r = set_by_two(c, text);

                if (r.code != cases[i].code)
                        fail_msg("%s: %s %s", cases[i].name, refusal_text(r.code)->code, r.detail);
        }
}

static void the_old_policy_stays_to_be_read(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        struct bytes zs = city_policy(c, "deploy/policies/zs.conf");
        struct digest old = DIGEST_OF(CTX_POLICY, zs);

        assert_refusal(set_by_two(c, with(c, zs, "profile_version = 1\n", "profile_version = 2\n")).code, ACCEPTED);
        assert_int_equal(city_count(c, TABLE_POLICY_OLD), 2);
        Shuyi__V1__DocumentRow *row = CITY_ROW(c, TABLE_POLICY_OLD, &shuyi__v1__document_row__descriptor, bytes_digest(&old));
        assert_non_null(row);
        assert_true(bytes_equal(bytes_of_field(row->bytes_), zs));
        row = CITY_ROW(c, TABLE_POLICY, &shuyi__v1__document_row__descriptor, (struct bytes){ 0 });
        assert_int_equal(row->version, 2);
}

static void a_calendar_is_checked_before_it_counts(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        Shuyi__V1__CalendarSetBody body = SHUYI__V1__CALENDAR_SET_BODY__INIT;
        struct bytes csv = city_file(c, "deploy/calendar/cn-holidays.csv");
        struct city_act act = { .kind = KIND_CALENDAR_SET, .body = &body.base, .by = { { c->sec_admin, ROLE_SEC_ADMIN }, { c->data_operator, ROLE_DATA_OPERATOR } } };

        body.canonical = field_of_bytes(bytes_of(csv.p, csv.n - 5));
        assert_refusal(city_act(c, &act).code, G_FIELD);
        body.canonical = field_of_bytes(csv);
        assert_refusal(city_act(c, &act).code, ACCEPTED);
        Shuyi__V1__DocumentRow *row = CITY_ROW(c, TABLE_CALENDAR, &shuyi__v1__document_row__descriptor, (struct bytes){ 0 });
        assert_int_equal(row->version, 2);
}

static void only_the_registry_works_before_policy_and_calendar(void **state)
{
        _cleanup_(city_freep) struct city *c = unpublished();
        struct city_act get = { .kind = KIND_FREEZE, .by = { { c->sec_admin, ROLE_SEC_ADMIN } } };
        Shuyi__V1__CalendarSetBody calendar = SHUYI__V1__CALENDAR_SET_BODY__INIT;

        assert_refusal(city_act(c, &get).code, E_NO_POLICY);
        assert_refusal(set_by_two(c, city_policy(c, "deploy/policies/zs.conf")).code, ACCEPTED);
        assert_refusal(city_act(c, &get).code, E_NO_POLICY);
        calendar.canonical = field_of_bytes(city_file(c, "deploy/calendar/cn-holidays.csv"));
        city_must(c, &(struct city_act){ .kind = KIND_CALENDAR_SET, .body = &calendar.base,
                                         .by = { { c->sec_admin, ROLE_SEC_ADMIN }, { c->data_operator, ROLE_DATA_OPERATOR } } });
        assert_int_not_equal(city_act(c, &get).code, E_NO_POLICY);
        city_hire(c, CITY_AUTHORITY, "zhang", ROLE_USER, 0);
}

static void a_clock_entry_states_a_time_that_it_is_stamped_with(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        Shuyi__V1__ClockBody body = SHUYI__V1__CLOCK_BODY__INIT;
        struct city_act act = { .kind = KIND_CLOCK, .body = &body.base, .by = { { c->sec_admin, ROLE_SEC_ADMIN } } };

        body.stated = c->now.ms + 1;
        assert_refusal(city_act(c, &act).code, G_FIELD);
        city_pass(c, 1);
        assert_refusal(city_act(c, &act).code, ACCEPTED);
        act.by[0].who = c->data_operator;
        act.by[0].as = ROLE_DATA_OPERATOR;
        assert_refusal(city_act(c, &act).code, E_ROLE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_first_policy_is_of_sec_admin_and_operator),
                cmocka_unit_test(later_ones_are_of_any_two_persons_of_the_authority),
                cmocka_unit_test(what_is_not_a_profile_of_this_domain_is_refused),
                cmocka_unit_test(the_old_policy_stays_to_be_read),
                cmocka_unit_test(a_calendar_is_checked_before_it_counts),
                cmocka_unit_test(only_the_registry_works_before_policy_and_calendar),
                cmocka_unit_test(a_clock_entry_states_a_time_that_it_is_stamped_with),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
