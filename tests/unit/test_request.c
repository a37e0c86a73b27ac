/* request: an application and its deadlines, row by row (SM-REQ 2, 6-10, 15, 17). */
#include "tests/lib/market.h"
#include "tests/lib/unit.h"

#include "common/macro.h"

static uint64_t day_end(int year, int month, int day)
{
        return times_day_start(times_day_from_date(year, month, day) + 1).ms;
}

static Shuyi__V1__ClockRow *clock_of(struct market *m, const struct digest *object, enum clock clock)
{
        uint8_t c = (uint8_t)clock;

        return CITY_ROW(m->c, TABLE_CLOCK, &shuyi__v1__clock_row__descriptor, bytes_digest(object), bytes_of(&c, 1));
}

static Shuyi__V1__FactRow *fact(struct market *m, uint64_t n)
{
        uint8_t number[8];

        put_be64(number, n);
        return CITY_ROW(m->c, TABLE_FACT, &shuyi__v1__fact_row__descriptor, bytes_of(number, 8));
}

static unsigned mail_count(struct market *m, const char *department, enum notice notice)
{
        Shuyi__V1__NumberRow *head = CITY_ROW(m->c, TABLE_FEED_HEAD, &shuyi__v1__number_row__descriptor, bytes_str(department));
        unsigned n = 0;

        for (uint64_t i = 1; head && i <= head->n; i++) {
                uint8_t number[8];

                put_be64(number, i);
                const Shuyi__V1__FeedRow *row = CITY_ROW(m->c, TABLE_FEED, &shuyi__v1__feed_row__descriptor, bytes_str(department), bytes_of(number, 8));

                n += row && row->notice == (uint32_t)notice;
        }
        return n;
}

static struct digest applied(struct market *m)
{
        const char *resource = market_publish(m, market_conditional_entry(m));
        struct city_result r = market_apply(m, market_ask(m, resource));

        assert_refusal(r.code, ACCEPTED);
        return r.digest;
}

static void a_submit_starts_the_reply_and_tells_both_sides(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const char *resource = market_publish(m, market_conditional_entry(m));
        struct city_result r = market_apply(m, market_ask(m, resource));
        Shuyi__V1__RequestRow *row = market_request(m, &r.digest);

        assert_refusal(r.code, ACCEPTED);
        assert_string_equal(r.detail, "due=2026-02-26");
        assert_int_equal(row->state, REQ_SUBMITTED);
        assert_string_equal(row->consumer, CITY_HEALTH);
        assert_string_equal(row->provider, CITY_CIVIL);
        assert_int_equal(row->policy_digest.len, DIGEST_BYTES);
        assert_int_equal(row->received_at, CITY_START);
        assert_int_equal(mail_count(m, CITY_CIVIL, NOTICE_REQ_TASK), 1);
        assert_int_equal(mail_count(m, CITY_HEALTH, NOTICE_REQ_RECEIPT), 1);
        assert_int_equal(city_count(m->c, TABLE_DEPT_REQUEST), 2);
        assert_int_equal(city_count(m->c, TABLE_GRANT), 0);
}

/* REGULATIONS 6.2, the worked example: received Thursday 12 February 2026 at 10:00. */
static void the_worked_example_of_6_2(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct digest request = applied(m);

        assert_int_equal(clock_of(m, &request, CLOCK_REPLY)->due_end, day_end(2026, 2, 26));
        m->c->now.ms = day_end(2026, 2, 26) - 1;
        city_tick(m->c);
        assert_int_equal(market_request(m, &request)->state, REQ_SUBMITTED);
        m->c->now.ms = day_end(2026, 2, 26) + 3600 * 1000;      /* the center notices an hour late: nothing differs */
        assert_true(city_tick(m->c) > 0);
        assert_int_equal(market_request(m, &request)->state, REQ_SILENT);
        assert_true(market_request(m, &request)->overdue);
        assert_null(clock_of(m, &request, CLOCK_REPLY));
        assert_int_equal(clock_of(m, &request, CLOCK_AUTH_PROVIDE)->due_end, day_end(2026, 3, 4));
        assert_string_equal(fact(m, 1)->violation, "V_REPLY_LATE");
        assert_string_equal(fact(m, 1)->department, CITY_CIVIL);
        assert_int_equal(fact(m, 1)->due_end, day_end(2026, 2, 26));
        assert_int_equal(mail_count(m, CITY_AUTHORITY, NOTICE_OVERDUE), 1);
        assert_int_equal(mail_count(m, CITY_CIVIL, NOTICE_OVERDUE), 1);
        assert_int_equal(mail_count(m, CITY_HEALTH, NOTICE_OVERDUE), 1);
        /* A reply comes too late; the authority's own five days run out on 4 March: a fact, and nothing else. */
        assert_refusal(market_reply(m, KIND_CONSENT, market_answer(m, &request, (const uint32_t[]){ 1, 2, 3 }, 3), NULL).code, E_STATE);
        m->c->now.ms = day_end(2026, 3, 4);
        city_tick(m->c);
        assert_string_equal(fact(m, 2)->violation, "V_AUTHORITY_LATE");
        assert_int_equal(fact(m, 2)->due_end, day_end(2026, 3, 4));
        assert_int_equal(market_request(m, &request)->state, REQ_SILENT);
}

static void the_worked_example_with_a_consent_on_the_last_day(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct digest request = applied(m);

        m->c->now.ms = day_end(2026, 2, 26) - 1;
        assert_refusal(market_reply(m, KIND_CONSENT, market_answer(m, &request, (const uint32_t[]){ 1, 2, 3 }, 3), NULL).code, ACCEPTED);
        assert_int_equal(market_request(m, &request)->state, REQ_CONSENTED);
        assert_null(clock_of(m, &request, CLOCK_REPLY));
        assert_int_equal(clock_of(m, &request, CLOCK_PROVIDE)->due_end, day_end(2026, 3, 4));
        m->c->now.ms = day_end(2026, 3, 4);
        city_tick(m->c);
        assert_string_equal(fact(m, 1)->violation, "V_PROVIDE_LATE");
        assert_int_equal(market_request(m, &request)->state, REQ_CONSENTED);
}

/* The due row is fired in front of the act that comes first, whether or not a TICK ran. */
static void a_reply_after_the_due_date_finds_the_silence(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct digest request = applied(m);

        m->c->now.ms = day_end(2026, 2, 26);
        assert_refusal(market_reply(m, KIND_CONSENT, market_answer(m, &request, (const uint32_t[]){ 1, 2, 3 }, 3), NULL).code, E_STATE);
        city_tick(m->c);
        assert_int_equal(market_request(m, &request)->state, REQ_SILENT);
}

static void where_silence_is_only_reported_the_request_stays(void **state)
{
        static const char *const lines[] = { "silence = REPORT", "authority_provide_wd = none", NULL };
        _cleanup_(market_freep) struct market *m = market_under(lines);
        struct digest request = applied(m);

        m->c->now.ms = day_end(2026, 2, 26);
        city_tick(m->c);
        assert_int_equal(market_request(m, &request)->state, REQ_SUBMITTED);
        assert_true(market_request(m, &request)->overdue);
        assert_string_equal(fact(m, 1)->violation, "V_REPLY_LATE");
        assert_null(clock_of(m, &request, CLOCK_AUTH_PROVIDE));
        assert_refusal(market_reply(m, KIND_CONSENT, market_answer(m, &request, (const uint32_t[]){ 1, 2, 3 }, 3), NULL).code, ACCEPTED);
}

static void a_consent_opens_the_grant_that_was_asked(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct digest request = applied(m);
        struct city_result r = market_reply(m, KIND_CONSENT, market_answer(m, &request, (const uint32_t[]){ 1, 2, 3 }, 3), NULL);
        Shuyi__V1__GrantRow *g = market_grant(m, &r.digest);

        assert_refusal(r.code, ACCEPTED);
        assert_int_equal(g->state, GRANT_ACTIVE);
        assert_int_equal(g->channel, CHANNEL_CONDITIONAL);
        assert_memory_equal(g->request.data, request.b, DIGEST_BYTES);
        assert_memory_equal(g->user.data, m->health_user->id.b, ID_BYTES);
        assert_memory_equal(g->approver.data, m->health_approver->id.b, ID_BYTES);      /* the consumer's, never the decider */
        assert_memory_equal(market_request(m, &request)->grant.data, r.digest.b, DIGEST_BYTES);
        assert_int_equal(mail_count(m, CITY_HEALTH, NOTICE_REQ_RESULT), 1);
        assert_int_equal(mail_count(m, CITY_AUTHORITY, NOTICE_REQ_RESULT), 1);
        assert_int_equal(mail_count(m, CITY_HEALTH, NOTICE_GRANT), 1);
        assert_refusal(market_reply(m, KIND_REFUSE, market_answer(m, &request, NULL, 0), NULL).code, E_STATE);
}

/* ---- replies: what is granted, what is refused and why ---- */

struct reply_case {
        const char *name;
        uint16_t kind;
        uint32_t granted[4];
        struct { uint32_t item, reason; } refused[4];
        uint32_t reason, basis_level, condition_line;
        enum refusal code;
        const char *detail;
};

static const struct reply_case replies[] = {
        { "all is less than all", KIND_CONSENT, { 1, 2 }, { { 0 } }, 0, 0, 0, G_ITEMS, "items" },
        { "more than was asked", KIND_CONSENT, { 1, 2, 3, 4 }, { { 0 } }, 0, 0, 0, G_ITEMS, "items" },
        { "a part that is all", KIND_CONSENT_PART, { 1, 2, 3 }, { { 0 } }, 0, 0, 0, G_ITEMS, "items" },
        { "a part of nothing", KIND_CONSENT_PART, { 0 }, { { 1, R_EXCESS } }, 0, 0, 0, G_ITEMS, "items" },
        { "a part with an item that was not asked", KIND_CONSENT_PART, { 1, 4 }, { { 2, R_EXCESS } }, 0, 0, 0, G_ITEMS, "items" },
        { "an item without a word", KIND_CONSENT_PART, { 1, 2 }, { { 0 } }, 0, 0, 0, G_ITEMS, "refused" },
        { "a word on an item that is granted", KIND_CONSENT_PART, { 1, 2 }, { { 2, R_EXCESS }, { 3, R_EXCESS } }, 0, 0, 0, G_ITEMS, "refused" },
        { "an item without a reason", KIND_CONSENT_PART, { 1, 2 }, { { 3, 0 } }, 0, 0, 0, G_REASON, "refused" },
        { "an item withheld by law without the law", KIND_CONSENT_PART, { 1, 2 }, { { 3, R_BASIS } }, 0, 0, 0, G_BASIS, "basis" },
        { "a part with its reasons", KIND_CONSENT_PART, { 1 }, { { 2, R_EXCESS }, { 3, R_PURPOSE } }, 0, 0, 0, ACCEPTED, NULL },
        { "a refusal without a reason is silence", KIND_REFUSE, { 0 }, { { 0 } }, 0, 0, 0, G_REASON, "reason" },
        { "an unknown reason", KIND_REFUSE, { 0 }, { { 0 } }, 99, 0, 0, G_REASON, "reason" },
        { "more than needed stands for single items only", KIND_REFUSE, { 0 }, { { 0 } }, R_EXCESS, 0, 0, G_REASON, "reason" },
        { "incomplete is to be supplemented first", KIND_REFUSE, { 0 }, { { 0 } }, R_INCOMPLETE, 0, 0, G_REASON, "reason" },
        { "a legal bar without the law", KIND_REFUSE, { 0 }, { { 0 } }, R_BASIS, 0, 0, G_BASIS, "basis" },
        { "a legal bar by a municipal paper", KIND_REFUSE, { 0 }, { { 0 } }, R_BASIS, BASIS_MUNICIPAL_DOC, 0, G_BASIS, "basis" },
        { "a legal bar by a house rule", KIND_REFUSE, { 0 }, { { 0 } }, R_BASIS, BASIS_INTERNAL_RULE, 0, G_BASIS, "basis" },
        { "a condition that was never published", KIND_REFUSE, { 0 }, { { 0 } }, R_CONDITION, 0, 3, G_BASIS, "condition_line" },
        { "a condition without its line", KIND_REFUSE, { 0 }, { { 0 } }, R_CONDITION, 0, 0, G_BASIS, "condition_line" },
        { "a refusal that grants", KIND_REFUSE, { 1 }, { { 0 } }, R_PURPOSE, 0, 0, G_ITEMS, "items" },
        { "a legal bar by law", KIND_REFUSE, { 0 }, { { 0 } }, R_BASIS, BASIS_LAW, 0, ACCEPTED, NULL },
        { "a published condition", KIND_REFUSE, { 0 }, { { 0 } }, R_CONDITION, 0, 2, ACCEPTED, NULL },
        { "outside the duty", KIND_REFUSE, { 0 }, { { 0 } }, R_PURPOSE, 0, 0, ACCEPTED, NULL },
        { "not held", KIND_REFUSE, { 0 }, { { 0 } }, R_NOT_HELD, 0, 0, ACCEPTED, NULL },
};

static struct city_result reply_as(struct market *m, const struct digest *request, const struct reply_case *c)
{
        Shuyi__V1__ReplyBody body = SHUYI__V1__REPLY_BODY__INIT;
        Shuyi__V1__ItemReason reasons[4], *list[4];
        Shuyi__V1__Basis basis = SHUYI__V1__BASIS__INIT, *bases[] = { &basis };
        size_t n = 0;

        while (n < 4 && c->granted[n])
                n++;
        for (body.n_refused = 0; body.n_refused < 4 && c->refused[body.n_refused].item; body.n_refused++) {
                Shuyi__V1__ItemReason *r = list[body.n_refused] = &reasons[body.n_refused];

                shuyi__v1__item_reason__init(r);
                r->item_no = c->refused[body.n_refused].item;
                r->reason = c->refused[body.n_refused].reason;
        }
        body.refused = list;
        body.reason = c->reason;
        body.condition_line = c->condition_line;
        basis.level = c->basis_level;
        basis.title = "中华人民共和国数据安全法";
        body.n_basis = c->basis_level ? 1 : 0;
        body.basis = bases;
        return market_reply(m, c->kind, market_answer(m, request, c->granted, n), &body);
}

static void replies_give_reasons_and_basis(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const char *resource = market_publish(m, market_conditional_entry(m));

        for (size_t i = 0; i < ELEMENTS(replies); i++) {
                struct city_result r = market_apply(m, market_ask(m, resource));
                struct digest request = r.digest;

                r = reply_as(m, &request, &replies[i]);
                if (r.code != replies[i].code || (replies[i].detail && strcmp(r.detail, replies[i].detail) != 0))
                        fail_msg("%s: %s %s", replies[i].name, refusal_text(r.code)->code, r.detail);
                assert_int_equal(market_request(m, &request)->state, r.code != ACCEPTED ? REQ_SUBMITTED : replies[i].kind == KIND_REFUSE ? REQ_REFUSED : REQ_CONSENTED);
        }
}

static void a_part_is_kept_with_its_reasons(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct digest request = applied(m);
        static const struct reply_case part = { "", KIND_CONSENT_PART, { 1 }, { { 2, R_EXCESS }, { 3, R_PURPOSE } }, 0, 0, 0, ACCEPTED, NULL };
        struct city_result r = reply_as(m, &request, &part);
        Shuyi__V1__RequestRow *row = market_request(m, &request);

        assert_int_equal(row->n_refused, 2);
        assert_int_equal(row->refused[1]->item_no, 3);
        assert_int_equal(row->refused[1]->reason, R_PURPOSE);
        assert_int_equal(market_grant(m, &r.digest)->n_items, 1);
}

static void a_state_secret_freezes_the_entry(void **state)
{
        static const struct reply_case secret = { "", KIND_REFUSE, { 0 }, { { 0 } }, R_SECRET, BASIS_LAW, 0, ACCEPTED, NULL };
        static const struct reply_case without = { "", KIND_REFUSE, { 0 }, { { 0 } }, R_SECRET, 0, 0, ACCEPTED, NULL };
        _cleanup_(market_freep) struct market *m = market_new();
        struct digest request = applied(m);

        assert_refusal(reply_as(m, &request, &without).code, G_BASIS);
        assert_refusal(reply_as(m, &request, &secret).code, ACCEPTED);
        assert_refusal(market_apply(m, market_ask(m, "344001/1")).code, E_FROZEN);
        assert_int_equal(mail_count(m, CITY_CIVIL, NOTICE_FREEZE), 1);
}

/* ---- who ---- */

static struct city_result reply_by(struct market *m, uint16_t kind, const struct digest *request, const struct party *handler, enum role as,
                                   const struct party *approver, enum role as_approver)
{
        Shuyi__V1__ReplyBody body = SHUYI__V1__REPLY_BODY__INIT;

        return city_act(m->c, &(struct city_act){ .kind = kind, .intent = market_answer(m, request, (const uint32_t[]){ 1, 2, 3 }, 3), .body = &body.base,
                                                  .by = { { handler, as }, { approver, as_approver } } });
}

static void test_R_008_who_applied_does_not_decide(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct party *user_there = city_hire_again(m->c, m->health_user, "zhang-there", CITY_CIVIL, ROLE_APPROVER, 0);
        struct party *approver_there = city_hire_again(m->c, m->health_approver, "li-there", CITY_CIVIL, ROLE_DATA_OFFICER, 0);
        struct digest request = applied(m);

        assert_refusal(reply_by(m, KIND_CONSENT, &request, m->civil_officer, ROLE_DATA_OFFICER, user_there, ROLE_APPROVER).code, G_SEPARATION);
        assert_refusal(reply_by(m, KIND_CONSENT, &request, approver_there, ROLE_DATA_OFFICER, m->civil_approver, ROLE_APPROVER).code, G_SEPARATION);
        assert_int_equal(market_request(m, &request)->state, REQ_SUBMITTED);
}

static void only_the_decider_decides(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct digest request = applied(m), nothing = digest_plain(bytes_str("nothing"));

        city_department(m->c, CITY_TAX, "tax");
        struct party *tax_approver = city_hire(m->c, CITY_TAX, "zhou", ROLE_APPROVER, 0);
        assert_refusal(reply_by(m, KIND_CONSENT, &request, city_find(m->c, "tax-officer"), ROLE_DATA_OFFICER, tax_approver, ROLE_APPROVER).code, E_NOT_FOUND);
        assert_refusal(reply_by(m, KIND_CONSENT, &request, m->health_officer, ROLE_DATA_OFFICER, m->health_approver, ROLE_APPROVER).code, E_ROLE);
        assert_refusal(reply_by(m, KIND_CONSENT, &request, m->civil_officer, ROLE_DATA_OFFICER, NULL, 0).code, G_SIGNERS);
        assert_refusal(reply_by(m, KIND_CONSENT, &request, m->civil_approver, ROLE_APPROVER, m->civil_officer, ROLE_DATA_OFFICER).code, G_SIGNERS);
        assert_refusal(reply_by(m, KIND_CONSENT, &nothing, m->civil_officer, ROLE_DATA_OFFICER, m->civil_approver, ROLE_APPROVER).code, E_NOT_FOUND);
}

static void the_authority_decides_where_the_profile_says_so(void **state)
{
        static const char *const lines[] = { "cond_decider = AUTHORITY", NULL };
        _cleanup_(market_freep) struct market *m = market_under(lines);
        struct digest request = applied(m);

        assert_int_equal(mail_count(m, CITY_AUTHORITY, NOTICE_REQ_TASK), 1);
        assert_refusal(reply_by(m, KIND_CONSENT, &request, m->civil_officer, ROLE_DATA_OFFICER, m->civil_approver, ROLE_APPROVER).code, E_ROLE);
        assert_refusal(reply_by(m, KIND_CONSENT, &request, m->c->data_operator, ROLE_DATA_OPERATOR, m->authority_approver, ROLE_APPROVER).code, ACCEPTED);
        assert_int_equal(market_request(m, &request)->state, REQ_CONSENTED);
}

static void two_parties_deciding_together_come_later(void **state)
{
        static const char *const lines[] = { "cond_decider = AUTHORITY_WITH_PROVIDER", NULL };
        _cleanup_(market_freep) struct market *m = market_under(lines);
        struct digest request = applied(m);

        assert_refusal(reply_by(m, KIND_CONSENT, &request, m->civil_officer, ROLE_DATA_OFFICER, m->civil_approver, ROLE_APPROVER).code, E_NOT_YET);
}

/* ---- submitting ---- */

static void an_unconditional_entry_is_not_applied_for(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct city_result r = market_apply(m, market_ask(m, market_publish(m, market_open_entry(m))));

        assert_refusal(r.code, G_TYPE);
}

static void under_request_and_reply_it_is_and_is_not_refused(void **state)
{
        static const char *const lines[] = { "uncond_mode = REQUEST_REPLY", "uncond_reply_wd = 1", NULL };
        static const struct reply_case refuse = { "", KIND_REFUSE, { 0 }, { { 0 } }, R_PURPOSE, 0, 0, ACCEPTED, NULL };
        static const struct reply_case part = { "", KIND_CONSENT_PART, { 1 }, { { 2, R_EXCESS }, { 3, R_EXCESS } }, 0, 0, 0, ACCEPTED, NULL };
        _cleanup_(market_freep) struct market *m = market_under(lines);
        struct city_result r = market_apply(m, market_ask(m, market_publish(m, market_open_entry(m))));
        struct digest request = r.digest;

        assert_refusal(r.code, ACCEPTED);
        assert_int_equal(clock_of(m, &request, CLOCK_REPLY)->due_end, day_end(2026, 2, 13));
        assert_refusal(reply_as(m, &request, &refuse).code, G_TYPE);
        assert_refusal(reply_as(m, &request, &part).code, G_TYPE);
        assert_refusal(reply_by(m, KIND_CONSENT, &request, m->civil_officer, ROLE_DATA_OFFICER, m->civil_approver, ROLE_APPROVER).code, ACCEPTED);
}

static void a_withheld_entry_has_no_path_under_zhongshan(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        Shuyi__V1__Entry *e = market_conditional_entry(m);
        struct city_result r;

        e->share_type = SHARE_WITHHELD;
        e->withheld_reason = "法定不予共享";
        e->share_basis[0]->level = BASIS_LAW;
        r = market_apply(m, market_ask(m, market_publish(m, e)));
        assert_refusal(r.code, G_PATH);
        assert_string_equal(r.detail, "withheld_path");
}

static void outside_the_scope_of_the_entry(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        Shuyi__V1__Intent *i = market_ask(m, market_publish(m, market_conditional_entry(m)));

        i->use_class = USE_DATA_CHECK;
        assert_refusal(market_apply(m, i).code, G_SCOPE);
}

static void fields_that_the_profile_asks_for_are_named(void **state)
{
        static const char *const lines[] = { "request_fields = LEGAL_BASIS, SCENE, PERIOD", NULL };
        _cleanup_(market_freep) struct market *m = market_under(lines);
        Shuyi__V1__Intent *i = market_ask(m, market_publish(m, market_conditional_entry(m)));
        struct city_result r;

        i->purpose = "";
        r = market_apply(m, i);
        assert_refusal(r.code, G_FIELD);
        assert_string_equal(r.detail, "purpose,legal_basis,scene,period_to");
}

/* ---- ends ---- */

static void a_withdrawal_stops_the_clocks_and_ends_the_grant_in_one_entry(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        const char *resource = market_publish(m, market_conditional_entry(m));
        struct city_result r = market_apply(m, market_ask(m, resource));
        struct digest first = r.digest, second, grant;

        assert_refusal(market_reason(m, KIND_WITHDRAW, NULL, &first, REASON_MISUSE, m->health_approver, ROLE_APPROVER).code, G_REASON);
        assert_refusal(market_reason(m, KIND_WITHDRAW, NULL, &first, REASON_NOT_NEEDED, m->civil_approver, ROLE_APPROVER).code, E_ROLE);
        assert_refusal(market_reason(m, KIND_WITHDRAW, NULL, &first, REASON_NOT_NEEDED, m->health_approver, ROLE_APPROVER).code, ACCEPTED);
        assert_int_equal(market_request(m, &first)->state, REQ_WITHDRAWN);
        assert_null(clock_of(m, &first, CLOCK_REPLY));
        r = market_apply(m, market_ask(m, resource));
        second = r.digest;
        r = market_reply(m, KIND_CONSENT, market_answer(m, &second, (const uint32_t[]){ 1, 2, 3 }, 3), NULL);
        grant = r.digest;
        assert_refusal(market_reason(m, KIND_WITHDRAW, NULL, &second, REASON_NOT_NEEDED, m->health_approver, ROLE_APPROVER).code, ACCEPTED);
        assert_int_equal(market_request(m, &second)->state, REQ_WITHDRAWN);
        assert_int_equal(market_grant(m, &grant)->state, GRANT_ENDED);
        assert_int_equal(market_subscription(m, &grant)->state, SUB_ENDED);
        assert_null(clock_of(m, &second, CLOCK_PROVIDE));
        assert_refusal(market_reason(m, KIND_WITHDRAW, NULL, &second, REASON_NOT_NEEDED, m->health_approver, ROLE_APPROVER).code, E_STATE);
}

static void the_first_delivery_receipt_provides(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct digest request = applied(m);
        struct city_result r = market_reply(m, KIND_CONSENT, market_answer(m, &request, (const uint32_t[]){ 1, 2, 3 }, 3), NULL);
        struct digest grant = r.digest;
        const struct digest *grants[] = { &grant };
        struct market_stream s;

        assert_refusal(market_subscribe(m, &grant).code, ACCEPTED);
        s = market_stream_of(m, &grant);
        assert_refusal(market_epoch(m, &s, grants, 1).code, ACCEPTED);
        assert_refusal(market_update(m, &s, 10).code, ACCEPTED);
        assert_int_equal(market_request(m, &request)->state, REQ_CONSENTED);
        assert_refusal(market_send_receipt(m, &grant, &s.id, market_receipt(m, 1, 2, &s.head_digest)).code, ACCEPTED);
        assert_int_equal(market_request(m, &request)->state, REQ_PROVIDED);
        assert_null(clock_of(m, &request, CLOCK_PROVIDE));
        assert_int_equal(mail_count(m, CITY_AUTHORITY, NOTICE_REQ_RESULT), 2);
        assert_refusal(market_reason(m, KIND_WITHDRAW, NULL, &request, REASON_NOT_NEEDED, m->health_approver, ROLE_APPROVER).code, E_STATE);
}

static void the_rows_of_later_are_not_yet(void **state)
{
        static const uint16_t kinds[] = { KIND_REQ_ASK_SUPPLEMENT, KIND_REQ_SUPPLY, KIND_REQ_EXTEND, KIND_AUTH_PROVIDE, KIND_LATE_CONSENT, KIND_LATE_REFUSE, KIND_REQ_DISPUTE };
        _cleanup_(market_freep) struct market *m = market_new();
        struct digest request = applied(m);

        for (size_t i = 0; i < ELEMENTS(kinds); i++)
                assert_refusal(reply_by(m, kinds[i], &request, m->civil_officer, ROLE_DATA_OFFICER, m->civil_approver, ROLE_APPROVER).code, E_NOT_YET);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_submit_starts_the_reply_and_tells_both_sides),
                cmocka_unit_test(the_worked_example_of_6_2),
                cmocka_unit_test(the_worked_example_with_a_consent_on_the_last_day),
                cmocka_unit_test(a_reply_after_the_due_date_finds_the_silence),
                cmocka_unit_test(where_silence_is_only_reported_the_request_stays),
                cmocka_unit_test(a_consent_opens_the_grant_that_was_asked),
                cmocka_unit_test(replies_give_reasons_and_basis),
                cmocka_unit_test(a_part_is_kept_with_its_reasons),
                cmocka_unit_test(a_state_secret_freezes_the_entry),
                cmocka_unit_test(test_R_008_who_applied_does_not_decide),
                cmocka_unit_test(only_the_decider_decides),
                cmocka_unit_test(the_authority_decides_where_the_profile_says_so),
                cmocka_unit_test(two_parties_deciding_together_come_later),
                cmocka_unit_test(an_unconditional_entry_is_not_applied_for),
                cmocka_unit_test(under_request_and_reply_it_is_and_is_not_refused),
                cmocka_unit_test(a_withheld_entry_has_no_path_under_zhongshan),
                cmocka_unit_test(outside_the_scope_of_the_entry),
                cmocka_unit_test(fields_that_the_profile_asks_for_are_named),
                cmocka_unit_test(a_withdrawal_stops_the_clocks_and_ends_the_grant_in_one_entry),
                cmocka_unit_test(the_first_delivery_receipt_provides),
                cmocka_unit_test(the_rows_of_later_are_not_yet),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
