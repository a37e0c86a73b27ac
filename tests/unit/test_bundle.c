/* bundle: evidence of a transfer and of decisions is proven from its bytes and the caller's anchor, and nothing that differs is. */
#include "common/artifact.h"
#include "common/macro.h"
#include "tests/lib/evidence.h"
#include "tests/lib/unit.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

static void show(const struct bundle_report *r)
{
        if (r->wrong)
                print_error("# %s\n", r->wrong);
        for (unsigned i = 0; i < BUNDLE_ITEM_COUNT && !r->wrong; i++)
                print_error("# %-14s %s %s %u seq %llu %s\n", bundle_item_word(i), bundle_state_word(r->items[i].state), bundle_fault_word(r->items[i].fault),
                            r->items[i].code, (unsigned long long)r->items[i].seq, r->items[i].detail ? r->items[i].detail : "");
}

static struct bundle_report check_as(struct evidence *e, struct bytes file, struct bytes anchor)
{
        struct bundle_report r;

        assert_int_equal(bundle_check(e->a, file, anchor, &(struct bundle_options){ false }, &r), 0);
        return r;
}

static struct bundle_report check(struct evidence *e, const Shuyi__V1__Bundle *b)
{
        return check_as(e, evidence_file(e, b), e->anchor);
}

static void assert_proven(struct evidence *e, const Shuyi__V1__Bundle *b)
{
        struct bundle_report r = check(e, b);

        if (!r.proven)
                show(&r);
        assert_true(r.proven);
}

static void test_a_transfer_is_proven(void **state)
{
        struct transferred t = evidence_transfer();
        _cleanup_(evidence_freep) struct evidence *e = evidence_of(t.m->c);
        Shuyi__V1__Bundle *b = evidence_make(e, &(struct bundle_wish){ BUNDLE_UPDATE, t.update, t.grant });
        struct bundle_report r;

        assert_proven(e, b);
        r = check(e, b);
        print_error("# %zu entries, %zu bytes of text\n", b->n_entries, evidence_file(e, b).n);
        assert_int_equal(b->n_links, 1);
        assert_int_equal(r.items[BUNDLE_OPENED].state, BUNDLE_DOES_NOT_APPLY);
        assert_int_equal(r.items[BUNDLE_DELIVERED].state, BUNDLE_OK);
        assert_non_null(r.grant);
        assert_string_equal(r.grant->consumer, CITY_HEALTH);
        assert_true(r.acquired_at > 0);
        market_free(t.m);
}

/* ---- decisions: each control act of a log, taken or refused ---- */

static const uint32_t all[] = { 1, 2, 3 };

/* Applications with each of their ends, a grant suspended, resumed and ended, a frozen entry, renewals and revocations, a refused act. */
static struct market *busy_market(void)
{
        struct market *m = market_new();
        const char *open = market_publish(m, market_open_entry(m)), *conditional = market_publish(m, market_conditional_entry(m));
        Shuyi__V1__ReplyBody yes = SHUYI__V1__REPLY_BODY__INIT, no = SHUYI__V1__REPLY_BODY__INIT;
        struct market_stream stream;
        struct digest grant, asked;
        struct city_result r;

        city_trust_head(m->c);
        grant = market_live(m, open, &stream);
        city_trust_head(m->c);
        asked = market_apply(m, market_ask(m, conditional)).digest;
        assert_refusal(market_reply(m, KIND_CONSENT, market_answer(m, &asked, all, 3), &yes).code, ACCEPTED);
        asked = market_apply(m, market_ask(m, conditional)).digest;
        no.reason = R_NOT_HELD;
        assert_refusal(market_reply(m, KIND_REFUSE, market_answer(m, &asked, NULL, 0), &no).code, ACCEPTED);
        assert_int_not_equal(market_reply(m, KIND_CONSENT, market_answer(m, &asked, all, 3), &yes).code, ACCEPTED);
        asked = market_apply(m, market_ask(m, conditional)).digest;
        assert_refusal(market_reason(m, KIND_WITHDRAW, NULL, &asked, REASON_NOT_NEEDED, m->health_approver, ROLE_APPROVER).code, ACCEPTED);
        assert_refusal(market_reason(m, KIND_GRANT_SUSPEND, &grant, NULL, REASON_MISUSE, m->civil_approver, ROLE_APPROVER).code, ACCEPTED);
        assert_refusal(market_reason(m, KIND_GRANT_RESUME, &grant, NULL, REASON_RECTIFIED, m->civil_approver, ROLE_APPROVER).code, ACCEPTED);
        assert_refusal(market_reason(m, KIND_GRANT_END, &grant, NULL, REASON_PURPOSE_REACHED, m->health_approver, ROLE_APPROVER).code, ACCEPTED);
        city_trust_head(m->c);
        city_hire_again(m->c, m->health_user, "zhang-2", CITY_HEALTH, ROLE_USER, 0);
        r = city_act(m->c, &(struct city_act){ .kind = KIND_GET, .intent = market_ask(m, open), .by = { { m->health_user, ROLE_USER } } });
        assert_refusal(r.code, G_SIGNERS);
        city_revoke(m->c, m->health_user);
        city_pass(m->c, 1000);
        city_trust_head(m->c);
        return m;
}

static void test_every_act_of_a_log_is_proven(void **state)
{
        struct market *m = busy_market();
        _cleanup_(evidence_freep) struct evidence *e = evidence_of(m->c);
        unsigned accepted = 0, refused = 0;

        for (uint64_t seq = 1; seq < m->c->log_n; seq++) {
                const struct kind *k = kind_find(e->kinds[seq - 1]);
                struct bundle_report r;
                Shuyi__V1__Bundle *b;

                if (k->class != KIND_CONTROL)
                        continue;
                b = evidence_make(e, &(struct bundle_wish){ .kind = BUNDLE_DECISION, .seq = seq });
                r = check(e, b);
                if (!r.proven) {
                        print_error("# seq %llu %s, %zu entries\n", (unsigned long long)seq, k->name, b->n_entries);
                        show(&r);
                }
                assert_true(r.proven);
                assert_int_equal(r.act->entry->seq, seq);
                assert_int_equal(r.items[BUNDLE_AUTHORISED].state, r.act->entry->code ? BUNDLE_DOES_NOT_APPLY : BUNDLE_OK);
                accepted += r.act->entry->code == ACCEPTED;
                refused += r.act->entry->code != ACCEPTED;
        }
        assert_true(accepted > 30 && refused == 2);
        market_free(m);
}

/* ---- no bit may differ ---- */

static bool passes(struct arena *a, struct evidence *e, struct bytes content)
{
        struct bytes text;
        struct bundle_report r;
        bool proven;

        arena_reset(a);
        text = artifact_encode(a, ARTIFACT_BUNDLE, content);
        assert_int_equal(bundle_check(a, text, e->anchor, &(struct bundle_options){ true, true }, &r), 0);
        proven = r.proven;
        assert_true(!proven || !r.wrong);
        return proven;
}

static struct bytes content_of(struct evidence *e, const Shuyi__V1__Bundle *b)
{
        struct bytes content;

        assert_null(artifact_decode(e->a, ARTIFACT_BUNDLE, evidence_file(e, b), &content));
        return content;
}

static void flip(struct evidence *e, struct bytes content, size_t bit, struct arena *a)
{
        uint8_t *p = (uint8_t *)content.p;

        p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (passes(a, e, content))
                fail_msg("bit %zu of byte %zu of %zu may be turned", bit % 8, bit / 8, content.n);
        p[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

/* The smallest bundle there is: the first ANCHOR under its first trust head.  A bit of each byte; with EVERY_BIT in the environment, each. */
static void test_no_bit_of_a_small_bundle_may_be_turned(void **state)
{
        _cleanup_(city_freep) struct city *c = city_new();
        _cleanup_(arena_freep) struct arena *a = arena_new(64 << 20);
        _cleanup_(evidence_freep) struct evidence *e = NULL;
        struct bytes content;

        city_anchor(c);
        city_broker_credential(c);
        city_department(c, CITY_AUTHORITY, "authority");
        city_trust_head(c);
        e = evidence_of(c);
        content = content_of(e, evidence_make(e, &(struct bundle_wish){ .kind = BUNDLE_DECISION, .seq = 1 }));
        assert_true(passes(a, e, content));
        print_error("# %zu bytes\n", content.n);
        for (size_t bit = 0; bit < content.n * 8; bit += getenv("EVERY_BIT") ? 1 : 8)
                flip(e, content, getenv("EVERY_BIT") ? bit : bit + bit / 8 % 8, a);
        assert_true(passes(a, e, content));
}

static uint64_t next_random(uint64_t *x)
{
        *x = *x * 6364136223846793005u + 1442695040888963407u;
        return *x >> 20;
}

static void test_no_bit_of_a_large_one_may_be_turned(void **state)
{
        struct transferred t = evidence_transfer();
        _cleanup_(evidence_freep) struct evidence *e = evidence_of(t.m->c);
        _cleanup_(arena_freep) struct arena *a = arena_new(64 << 20);
        struct bytes content = content_of(e, evidence_make(e, &(struct bundle_wish){ BUNDLE_UPDATE, t.update, t.grant }));
        uint64_t x = 20261122;

        assert_true(passes(a, e, content));
        for (unsigned i = 0; i < (getenv("EVERY_BIT") ? 4000 : 300); i++)
                flip(e, content, next_random(&x) % (content.n * 8), a);
        market_free(t.m);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_transfer_is_proven),
                cmocka_unit_test(test_every_act_of_a_log_is_proven),
                cmocka_unit_test(test_no_bit_of_a_small_bundle_may_be_turned),
                cmocka_unit_test(test_no_bit_of_a_large_one_may_be_turned),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
