/* purge: what may leave the log, when, and by whose word (REGULATIONS 9.2, 6.12). */
#include "tests/lib/city.h"
#include "tests/lib/unit.h"

#include "common/exchange/rows.h"
#include "common/macro.h"
#include "common/policy_keys.h"

/* A founded city and its auditor; years later the officers still hold credentials in force. */
static struct city *audited(void)
{
        struct city *c = city_founded();

        city_hire(c, CITY_AUTHORITY, "auditor", ROLE_AUDIT_OFFICER, 0);
        return c;
}

static uint8_t state_digest[DIGEST_BYTES] = { 7 };

static Shuyi__V1__PurgeBody bodies_to(uint64_t to)
{
        Shuyi__V1__PurgeBody b = SHUYI__V1__PURGE_BODY__INIT;

        b.what = PURGE_BODIES;
        b.to = to;
        return b;
}

static Shuyi__V1__PurgeBody inputs_to(uint64_t to, uint64_t base)
{
        Shuyi__V1__PurgeBody b = bodies_to(to);

        b.what = PURGE_INPUTS;
        b.base_seq = base;
        b.base_digest = (ProtobufCBinaryData){ DIGEST_BYTES, state_digest };
        return b;
}

static struct city_result purge(struct city *c, Shuyi__V1__PurgeBody b)
{
        return city_act(c, &(struct city_act){ .kind = KIND_PURGE, .body = &b.base,
                                               .by = { { c->data_operator, ROLE_DATA_OPERATOR }, { city_find(c, "auditor"), ROLE_AUDIT_OFFICER } } });
}

/* 10:00 in Shanghai of that day. */
static void go_to(struct city *c, int year, int month, int day)
{
        uint64_t at = times_day_start(times_day_from_date(year, month, day)).ms + 10 * 3600 * 1000ull;

        assert_true(at >= c->now.ms);
        city_pass(c, at - c->now.ms);
}

static void test_R_155_what_is_younger_than_three_years_stays(void **state)
{
        static const struct { const char *name; int year, month, day; enum refusal code; } cases[] = {
                { "the day after", 2026, 2, 13, G_OTHER },
                { "a day short of three years", 2029, 2, 11, G_OTHER },
                { "the same date: its hour has not come for all of the day", 2029, 2, 12, G_OTHER },
                { "three whole years", 2029, 2, 13, ACCEPTED },
        };
        _cleanup_(city_freep) struct city *c = audited();       /* of 2026-02-12 */
        uint64_t first_day = c->seq;

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                go_to(c, cases[i].year, cases[i].month, cases[i].day);
                struct city_result r = purge(c, bodies_to(first_day));

                if (r.code != cases[i].code)
                        fail_msg("%s: %s %s", cases[i].name, refusal_text(r.code)->code, r.detail);
                assert_int_not_equal(r.seq, 0);         /* refused or not, it was asked: an entry */
        }
}

static void an_entry_of_the_next_day_stays_a_day_longer(void **state)
{
        _cleanup_(city_freep) struct city *c = audited();
        uint64_t first_day = c->seq;

        go_to(c, 2026, 2, 13);
        city_hire(c, CITY_AUTHORITY, "li", ROLE_USER, 0);
        go_to(c, 2029, 2, 13);
        struct city_result r = purge(c, bodies_to(first_day + 1));
        assert_refusal(r.code, G_OTHER);
        assert_string_equal(r.detail, arena_printf(c->arena, "to: at most %llu today", (unsigned long long)first_day));
        assert_refusal(purge(c, bodies_to(first_day)).code, ACCEPTED);
        go_to(c, 2029, 2, 14);
        assert_refusal(purge(c, bodies_to(first_day + 1)).code, ACCEPTED);
}

static void test_R_155_a_profile_may_ask_for_more_years(void **state)
{
        _cleanup_(city_freep) struct city *c = audited();
        struct bytes zs = city_policy(c, "deploy/policies/zs.conf");
        char *text = arena_printf(c->arena, "%.*s", (int)zs.n, (const char *)zs.p), *at = strstr(text, "use_record_years = none\n");
        uint64_t first_day = c->seq;

        assert_non_null(at);
        char *longer = arena_printf(c->arena, "%.*suse_record_years = 5\n%s", (int)(at - text), text, at + strlen("use_record_years = none\n"));
        char *version = strstr(longer, "profile_version = 1\n");
        assert_non_null(version);
        version[strlen("profile_version = ")] = '2';
        Shuyi__V1__PolicySetBody body = SHUYI__V1__POLICY_SET_BODY__INIT;
        body.canonical = field_of_bytes(bytes_str(longer));
        city_must(c, &(struct city_act){ .kind = KIND_POLICY_SET, .body = &body.base, .by = { { c->sec_admin, ROLE_SEC_ADMIN }, { c->data_operator, ROLE_DATA_OPERATOR } } });
        go_to(c, 2029, 3, 1);
        assert_refusal(purge(c, bodies_to(first_day)).code, G_OTHER);
        go_to(c, 2031, 2, 13);
        assert_refusal(purge(c, bodies_to(first_day)).code, ACCEPTED);
}

static void test_R_155_two_persons_of_the_authority_sign(void **state)
{
        _cleanup_(city_freep) struct city *c = audited();
        const struct party *auditor = city_find(c, "auditor"), *again = city_hire(c, CITY_AUTHORITY, "auditor-2", ROLE_AUDIT_OFFICER, 0);
        const struct { const char *name; const struct party *a; enum role as_a; const struct party *b; enum role as_b; enum refusal code; } cases[] = {
                { "the operator alone", c->data_operator, ROLE_DATA_OPERATOR, NULL, 0, G_SIGNERS },
                { "the auditor alone", auditor, ROLE_AUDIT_OFFICER, NULL, 0, G_SIGNERS },
                { "the auditor first", auditor, ROLE_AUDIT_OFFICER, c->data_operator, ROLE_DATA_OPERATOR, G_SIGNERS },
                { "two auditors", auditor, ROLE_AUDIT_OFFICER, again, ROLE_AUDIT_OFFICER, G_SIGNERS },
                { "SEC_ADMIN in place of the auditor", c->data_operator, ROLE_DATA_OPERATOR, c->sec_admin, ROLE_SEC_ADMIN, E_ROLE },
                { "both", c->data_operator, ROLE_DATA_OPERATOR, auditor, ROLE_AUDIT_OFFICER, ACCEPTED },
        };
        uint64_t first_day = c->seq;

        go_to(c, 2029, 3, 1);
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                Shuyi__V1__PurgeBody b = bodies_to(first_day);
                struct city_result r = city_act(c, &(struct city_act){ .kind = KIND_PURGE, .body = &b.base, .by = { { cases[i].a, cases[i].as_a }, { cases[i].b, cases[i].as_b } } });

                if (r.code != cases[i].code)
                        fail_msg("%s: %s %s", cases[i].name, refusal_text(r.code)->code, r.detail);
        }
}

static void what_does_not_hang_together_is_refused(void **state)
{
        _cleanup_(city_freep) struct city *c = audited();
        uint64_t first_day = c->seq;

        go_to(c, 2029, 3, 1);
        Shuyi__V1__PurgeBody nothing = bodies_to(first_day), with_base = inputs_to(first_day, first_day);
        nothing.what = 3;
        with_base.what = PURGE_BODIES;
        assert_refusal(purge(c, nothing).code, G_FIELD);
        assert_refusal(purge(c, with_base).code, G_FIELD);
        assert_refusal(purge(c, bodies_to(0)).code, G_FIELD);
        assert_refusal(purge(c, bodies_to(c->seq + 1)).code, G_FIELD);
}

static void inputs_go_after_bodies_and_under_a_base(void **state)
{
        _cleanup_(city_freep) struct city *c = audited();
        uint64_t first_day = c->seq;

        go_to(c, 2029, 3, 1);
        assert_refusal(purge(c, inputs_to(first_day, first_day)).code, G_OTHER);        /* bodies first */
        assert_refusal(purge(c, bodies_to(first_day - 1)).code, ACCEPTED);
        assert_refusal(purge(c, inputs_to(first_day, first_day)).code, G_OTHER);
        assert_refusal(purge(c, bodies_to(first_day)).code, ACCEPTED);
        assert_refusal(purge(c, inputs_to(first_day, first_day - 1)).code, G_FIELD);    /* the BASE ends before */
        assert_refusal(purge(c, inputs_to(first_day, c->seq + 1)).code, G_FIELD);       /* it is not there yet */
        Shuyi__V1__PurgeBody no_digest = inputs_to(first_day, first_day);
        no_digest.base_digest.len = 0;
        assert_refusal(purge(c, no_digest).code, G_FIELD);
        struct city_result r = purge(c, inputs_to(first_day, first_day + 1));
        assert_refusal(r.code, ACCEPTED);
        uint8_t what[1] = { PURGE_INPUTS }, to[8];
        put_be64(to, first_day);
        const Shuyi__V1__PurgeRow *row = CITY_ROW(c, TABLE_PURGE, &shuyi__v1__purge_row__descriptor, bytes_of(what, 1), bytes_of(to, 8));
        assert_non_null(row);
        assert_int_equal(row->seq, r.seq);
        assert_int_equal(row->base_seq, first_day + 1);
}

static void a_purge_goes_on_where_the_last_one_ended(void **state)
{
        _cleanup_(city_freep) struct city *c = audited();
        uint64_t first_day = c->seq;

        go_to(c, 2029, 3, 1);
        assert_refusal(purge(c, bodies_to(first_day - 2)).code, ACCEPTED);
        assert_refusal(purge(c, bodies_to(first_day - 2)).code, G_ONCE);
        assert_refusal(purge(c, bodies_to(first_day - 3)).code, G_ONCE);
        assert_refusal(purge(c, bodies_to(first_day)).code, ACCEPTED);
        assert_int_equal(city_count(c, TABLE_PURGE), 2);
}

static void each_day_is_noted_once(void **state)
{
        _cleanup_(city_freep) struct city *c = audited();
        uint64_t n = city_count(c, TABLE_DAY);

        assert_int_equal(n, 1);
        city_hire(c, CITY_AUTHORITY, "li", ROLE_USER, 0);
        assert_int_equal(city_count(c, TABLE_DAY), 1);
        go_to(c, 2026, 2, 14);
        city_hire(c, CITY_AUTHORITY, "wang", ROLE_USER, 0);
        assert_int_equal(city_count(c, TABLE_DAY), 2);
        struct digest replayed = city_replay(c), held = city_digest(c);
        assert_true(digest_equal(&replayed, &held));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_R_155_what_is_younger_than_three_years_stays),
                cmocka_unit_test(an_entry_of_the_next_day_stays_a_day_longer),
                cmocka_unit_test(test_R_155_a_profile_may_ask_for_more_years),
                cmocka_unit_test(test_R_155_two_persons_of_the_authority_sign),
                cmocka_unit_test(what_does_not_hang_together_is_refused),
                cmocka_unit_test(inputs_go_after_bodies_and_under_a_base),
                cmocka_unit_test(a_purge_goes_on_where_the_last_one_ended),
                cmocka_unit_test(each_day_is_noted_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
