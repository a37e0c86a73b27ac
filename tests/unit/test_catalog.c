/* catalog: the life of an entry, row by row (SM-CAT 2-4, 12). */
#include "tests/lib/market.h"
#include "tests/lib/unit.h"

#include "common/macro.h"

#include <stdio.h>

static struct city_result give_back(struct market *m, const struct digest *matter, const char *code, const struct party *who, enum role as)
{
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        Shuyi__V1__ReturnBody body = SHUYI__V1__RETURN_BODY__INIT;
        Shuyi__V1__Defect defect = SHUYI__V1__DEFECT__INIT, *defects[] = { &defect };

        i.object = (ProtobufCBinaryData){ DIGEST_BYTES, (uint8_t *)matter->b };
        defect.code = (char *)code;
        defect.remark = "摘要过短";
        body.n_defects = *code ? 1 : 0;
        body.defects = defects;
        return city_act(m->c, &(struct city_act){ .kind = KIND_CAT_RETURN, .intent = &i, .body = &body.base, .by = { { who, as } } });
}

static struct city_result freeze(struct market *m, uint16_t kind, const struct digest *matter, uint32_t reason, const struct party *who, enum role as)
{
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        Shuyi__V1__FreezeBody body = SHUYI__V1__FREEZE_BODY__INIT;

        i.object = (ProtobufCBinaryData){ DIGEST_BYTES, (uint8_t *)matter->b };
        body.reason = reason;
        return city_act(m->c, &(struct city_act){ .kind = kind, .intent = &i, .body = &body.base, .by = { { who, as } } });
}

static Shuyi__V1__FeedRow *last_mail(struct market *m, const char *department)
{
        Shuyi__V1__NumberRow *head = CITY_ROW(m->c, TABLE_FEED_HEAD, &shuyi__v1__number_row__descriptor, bytes_str(department));
        uint8_t number[8];

        put_be64(number, head ? head->n : 0);
        return CITY_ROW(m->c, TABLE_FEED, &shuyi__v1__feed_row__descriptor, bytes_str(department), bytes_of(number, 8));
}

static void a_submit_waits_for_the_authority(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct city_result r = market_submit(m, market_open_entry(m), NULL);
        Shuyi__V1__MatterRow *row = market_matter(m, &r.digest);

        assert_refusal(r.code, ACCEPTED);
        assert_string_equal(r.detail, "due=2026-02-26");        /* 5 working days from 12 February (ZS 11) */
        assert_int_equal(row->state, CAT_SUBMITTED);
        assert_string_equal(row->provider, CITY_CIVIL);
        assert_int_equal(row->version, 0);
        assert_memory_equal(row->officer.data, m->civil_officer->id.b, ID_BYTES);
        assert_int_equal(last_mail(m, CITY_AUTHORITY)->notice, NOTICE_CAT_TASK);
        assert_int_equal(city_count(m->c, TABLE_VERSION), 0);
}

static void an_approval_publishes_and_gives_the_next_number_of_the_class(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        Shuyi__V1__Entry *second = market_conditional_entry(m);
        struct city_result r = market_submit(m, market_conditional_entry(m), NULL);
        struct digest matter = r.digest;
        Shuyi__V1__VersionRow *v;
        uint8_t one[4];

        r = market_approve(m, &matter, &matter);
        assert_refusal(r.code, ACCEPTED);
        assert_true(r.outcome.trust_moved);
        assert_string_equal(market_matter(m, &matter)->resource, "344001/1");
        assert_int_equal(market_matter(m, &matter)->state, CAT_PUBLISHED);
        assert_null(market_matter(m, &matter)->pending);
        put_be32(one, 1);
        v = CITY_ROW(m->c, TABLE_VERSION, &shuyi__v1__version_row__descriptor, bytes_of(one, 4), bytes_str("344001/1"));
        assert_string_equal(v->entry->resource_code, "344001/1");
        assert_memory_equal(v->agent.data, m->civil_agent->id.b, ID_BYTES);
        assert_memory_equal(v->submit_digest.data, matter.b, DIGEST_BYTES);
        assert_int_equal(last_mail(m, CITY_CIVIL)->notice, NOTICE_CAT_RESULT);
        second->resource_name = "另一份";
        assert_string_equal(market_publish(m, second), "344001/2");
        assert_string_equal(market_publish(m, market_open_entry(m)), "130001/1");
}

static void all_failing_codes_are_told_and_the_first_decides(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        Shuyi__V1__Entry *e = market_open_entry(m);
        struct city_result r;

        e->office = "";
        e->share_condition = "x";
        e->abstract = "区划";
        r = market_submit(m, e, NULL);
        assert_refusal(r.code, C_001);
        assert_string_equal(r.detail, "C-001(office),C-009,C-021");
        assert_int_equal(city_count(m->c, TABLE_MATTER), 0);
}

static void a_warning_is_kept_for_the_reviewer_who_returns_it(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        Shuyi__V1__Entry *e = market_open_entry(m);
        struct city_result r, again;
        struct digest matter;

        e->abstract = "区划";
        r = market_submit(m, e, NULL);
        matter = r.digest;
        assert_refusal(r.code, ACCEPTED);
        assert_int_equal(market_matter(m, &matter)->warnings, 1);
        assert_string_equal(market_matter(m, &matter)->warning_codes, "C-021");
        assert_refusal(give_back(m, &matter, "", m->c->data_operator, ROLE_DATA_OPERATOR).code, G_FIELD);
        assert_refusal(give_back(m, &matter, "C-021", m->c->data_operator, ROLE_DATA_OPERATOR).code, ACCEPTED);
        assert_int_equal(market_matter(m, &matter)->state, CAT_RETURNED);
        assert_string_equal(market_matter(m, &matter)->defects[0]->code, "C-021");
        assert_int_equal(last_mail(m, CITY_CIVIL)->notice, NOTICE_CAT_RESULT);
        /* The same matter, another text; what was returned cannot be approved. */
        assert_refusal(market_approve(m, &matter, &matter).code, E_STATE);
        again = market_submit(m, market_open_entry(m), &matter);
        assert_refusal(again.code, ACCEPTED);
        assert_refusal(market_approve(m, &matter, &matter).code, G_FIELD);
        assert_refusal(market_approve(m, &matter, &again.digest).code, ACCEPTED);
        assert_int_equal(market_matter(m, &matter)->n_defects, 0);
}

static void what_changed_since_the_submit_is_tested_again_at_the_approval(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        Shuyi__V1__Entry *other = market_open_entry(m);
        struct city_result first = market_submit(m, market_open_entry(m), NULL), second;
        struct digest a = first.digest, b;

        other->resource_name = "行政区划乙";
        second = market_submit(m, other, NULL);
        b = second.digest;
        assert_refusal(market_approve(m, &a, &a).code, ACCEPTED);
        assert_refusal(market_approve(m, &b, &b).code, C_015);
}

static void who_may_do_what(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct city_result r = market_submit(m, market_open_entry(m), NULL);
        struct digest matter = r.digest, nobody = digest_plain(bytes_str("nobody"));
        Shuyi__V1__CatSubmitBody body = SHUYI__V1__CAT_SUBMIT_BODY__INIT;
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;

        assert_refusal(give_back(m, &matter, "C-021", m->civil_officer, ROLE_DATA_OFFICER).code, E_ROLE);
        assert_refusal(give_back(m, &matter, "C-021", m->c->sec_admin, ROLE_SEC_ADMIN).code, E_ROLE);
        assert_refusal(give_back(m, &nobody, "C-021", m->c->data_operator, ROLE_DATA_OPERATOR).code, E_NOT_FOUND);
        assert_refusal(market_submit(m, market_open_entry(m), &matter).code, E_STATE);
        /* Another department's entry, another department's matter, an agent that is not one's own. */
        body.entry = market_open_entry(m);
        i.agent = (ProtobufCBinaryData){ ID_BYTES, m->health_agent->id.b };
        assert_refusal(city_act(m->c, &(struct city_act){ .kind = KIND_CAT_SUBMIT, .intent = &i, .body = &body.base,
                .by = { { m->health_officer, ROLE_DATA_OFFICER }, { m->health_approver, ROLE_APPROVER } } }).code, C_003);
        i.object = (ProtobufCBinaryData){ DIGEST_BYTES, matter.b };
        assert_refusal(city_act(m->c, &(struct city_act){ .kind = KIND_CAT_SUBMIT, .intent = &i, .body = &body.base,
                .by = { { m->health_officer, ROLE_DATA_OFFICER }, { m->health_approver, ROLE_APPROVER } } }).code, E_NOT_FOUND);
        i.object = (ProtobufCBinaryData){ 0, NULL };
        assert_refusal(city_act(m->c, &(struct city_act){ .kind = KIND_CAT_SUBMIT, .intent = &i, .body = &body.base,
                .by = { { m->civil_officer, ROLE_DATA_OFFICER }, { m->civil_approver, ROLE_APPROVER } } }).code, G_FIELD);
        i.agent = (ProtobufCBinaryData){ ID_BYTES, m->civil_agent->id.b };
        assert_refusal(city_act(m->c, &(struct city_act){ .kind = KIND_CAT_SUBMIT, .intent = &i, .body = &body.base,
                .by = { { m->civil_officer, ROLE_DATA_OFFICER } } }).code, G_SIGNERS);
}

static void the_reviewer_did_not_submit(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct party *two_hats = city_hire_again(m->c, m->c->data_operator, "two-hats", CITY_CIVIL, ROLE_APPROVER, 0);
        Shuyi__V1__CatSubmitBody body = SHUYI__V1__CAT_SUBMIT_BODY__INIT;
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        struct city_result r;

        body.entry = market_open_entry(m);
        i.agent = (ProtobufCBinaryData){ ID_BYTES, m->civil_agent->id.b };
        r = city_must(m->c, &(struct city_act){ .kind = KIND_CAT_SUBMIT, .intent = &i, .body = &body.base,
                .by = { { m->civil_officer, ROLE_DATA_OFFICER }, { two_hats, ROLE_APPROVER } } });
        struct digest matter = r.digest;
        assert_refusal(market_approve(m, &matter, &matter).code, G_SEPARATION);
        assert_refusal(give_back(m, &matter, "C-021", m->c->data_operator, ROLE_DATA_OPERATOR).code, G_SEPARATION);
}

static void an_overdue_review_is_a_fact_against_the_authority_and_approves_nothing(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct city_result r = market_submit(m, market_open_entry(m), NULL);
        struct digest matter = r.digest;
        Shuyi__V1__FactRow *fact;
        uint8_t one[8];

        city_pass(m->c, 15 * DAY_MS);
        city_tick(m->c);
        put_be64(one, 1);
        fact = CITY_ROW(m->c, TABLE_FACT, &shuyi__v1__fact_row__descriptor, bytes_of(one, 8));
        assert_non_null(fact);
        assert_string_equal(fact->violation, "V_AUTHORITY_LATE");
        assert_string_equal(fact->department, CITY_AUTHORITY);
        assert_int_equal(fact->clock, CLOCK_CAT_REVIEW);
        assert_int_equal(fact->due_end, times_day_start(times_day_from_date(2026, 2, 27)).ms);
        assert_int_equal(market_matter(m, &matter)->state, CAT_SUBMITTED);
        assert_int_equal(last_mail(m, CITY_AUTHORITY)->notice, NOTICE_OVERDUE);
        assert_refusal(market_approve(m, &matter, &matter).code, ACCEPTED);
}

static void freezing_and_unfreezing(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct city_result r = market_submit(m, market_open_entry(m), NULL);
        struct digest matter = r.digest;
        Shuyi__V1__TrustMapRow *status;

        market_approve(m, &matter, &matter);
        assert_refusal(freeze(m, KIND_FREEZE, &matter, REASON_SECRECY_INCIDENT, m->c->data_operator, ROLE_DATA_OPERATOR).code, E_ROLE);
        assert_refusal(freeze(m, KIND_FREEZE, &matter, REASON_MISUSE, m->c->sec_admin, ROLE_SEC_ADMIN).code, G_REASON);
        assert_refusal(freeze(m, KIND_UNFREEZE, &matter, REASON_RESOLVED, m->c->sec_admin, ROLE_SEC_ADMIN).code, E_STATE);
        assert_refusal(freeze(m, KIND_FREEZE, &matter, REASON_SECRECY_INCIDENT, m->c->sec_admin, ROLE_SEC_ADMIN).code, ACCEPTED);
        assert_true(market_matter(m, &matter)->frozen);
        status = CITY_ROW(m->c, TABLE_TRUST_MAP, &shuyi__v1__trust_map_row__descriptor, bytes_digest(&matter));
        assert_int_equal(status->status, STATUS_FROZEN);
        assert_int_equal(last_mail(m, CITY_CIVIL)->notice, NOTICE_FREEZE);
        assert_refusal(freeze(m, KIND_FREEZE, &matter, REASON_SECRECY_INCIDENT, m->c->sec_admin, ROLE_SEC_ADMIN).code, E_STATE);
        assert_refusal(freeze(m, KIND_UNFREEZE, &matter, REASON_SECRECY_INCIDENT, m->c->sec_admin, ROLE_SEC_ADMIN).code, G_REASON);
        assert_refusal(freeze(m, KIND_UNFREEZE, &matter, REASON_RESOLVED, m->c->sec_admin, ROLE_SEC_ADMIN).code, ACCEPTED);
        assert_false(market_matter(m, &matter)->frozen);
        assert_int_equal(market_matter(m, &matter)->state, CAT_PUBLISHED);
}

/* Keys are made of what a department writes: the store takes 511 bytes, and a fault would stop the broker. */
static void texts_longer_than_a_key_are_refused_and_no_fault(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        char text[700];
        Shuyi__V1__Entry *e;

        memset(text, '1', sizeof(text));
        text[sizeof(text) - 1] = '\0';
        e = market_open_entry(m);
        e->provider_code = text;
        assert_refusal(market_submit(m, e, NULL).code, C_001);
        e = market_open_entry(m);
        text[6] = '/';
        e->resource_code = text;
        assert_refusal(market_submit(m, e, NULL).code, C_002);
        text[6] = '1';
        e = market_open_entry(m);
        e->items[0]->semantic_code = text;
        e->items[0]->source_role = SOURCE_AUTHORITATIVE;
        assert_refusal(market_submit(m, e, NULL).code, C_001);
}

/* A whole city files its catalog on one day, and the authority looks at none of it: a TICK is not to cost what it costs to
 * unpack 64 entries. */
static void many_overdue_reviews_fit_one_tick(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        Shuyi__V1__Entry *e = market_open_entry(m);
        Shuyi__V1__TickBody body;
        char name[64];
        size_t used;

        e->abstract = arena_zalloc(m->c->arena, 3 * 1000 + 1);
        memset(e->abstract, 'x', 1000);
        for (unsigned i = 0; i < 64; i++) {
                snprintf(name, sizeof(name), "区划 %u", i);
                e->resource_name = name;
                assert_refusal(market_submit(m, e, NULL).code, ACCEPTED);
        }
        city_pass(m->c, 30 * DAY_MS);
        assert_int_equal(exchange_tick_body(map_state_ops(m->c->state), m->c->now, &body), 0);
        assert_int_equal(body.fired, 64);
        city_system(m->c, KIND_TICK, &body.base);
        assert_int_equal(city_count(m->c, TABLE_FACT), 64);
        used = arena_used(m->c->turn);
        if (used > 64 * 4096)
                fail_msg("%zu bytes", used);
}

static void what_comes_later_is_not_yet(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        Shuyi__V1__Entry *e = market_open_entry(m);
        struct city_result r;

        e->row_filter = "level = 'TOWN'";
        e->office = "";
        r = market_submit(m, e, NULL);
        assert_refusal(r.code, E_NOT_YET);
        assert_string_equal(r.detail, "row_filter");
        r = city_act(m->c, &(struct city_act){ .kind = KIND_CAT_SUBMIT_CHANGE, .by = { { m->civil_officer, ROLE_DATA_OFFICER }, { m->civil_approver, ROLE_APPROVER } } });
        assert_refusal(r.code, E_NOT_YET);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_submit_waits_for_the_authority),
                cmocka_unit_test(an_approval_publishes_and_gives_the_next_number_of_the_class),
                cmocka_unit_test(all_failing_codes_are_told_and_the_first_decides),
                cmocka_unit_test(a_warning_is_kept_for_the_reviewer_who_returns_it),
                cmocka_unit_test(what_changed_since_the_submit_is_tested_again_at_the_approval),
                cmocka_unit_test(who_may_do_what),
                cmocka_unit_test(the_reviewer_did_not_submit),
                cmocka_unit_test(an_overdue_review_is_a_fact_against_the_authority_and_approves_nothing),
                cmocka_unit_test(freezing_and_unfreezing),
                cmocka_unit_test(texts_longer_than_a_key_are_refused_and_no_fault),
                cmocka_unit_test(many_overdue_reviews_fit_one_tick),
                cmocka_unit_test(what_comes_later_is_not_yet),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
