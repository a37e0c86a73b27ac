/* bundle: evidence of a transfer and of decisions is proven from its bytes and the caller's anchor, and nothing that differs is. */
#include "common/artifact.h"
#include "common/macro.h"
#include "tests/lib/evidence.h"
#include "tests/lib/unit.h"
#include <errno.h>
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

/* ---- a log that its own keeper spoils: every head, path and lookup holds, and still nothing is proven ---- */

static struct city_entry *entry_of(struct transferred *t, uint64_t seq)
{
        return &t->m->c->log[seq - 1];
}

/* The entry's bytes with a change, in the log as in the bundle: leaves and head are made anew. */
static Shuyi__V1__Envelope *open_entry(struct transferred *t, struct evidence *e, uint64_t seq)
{
        return shuyi__v1__envelope__unpack(arena_allocator(e->a), entry_of(t, seq)->wire.n, entry_of(t, seq)->wire.p);
}

static void close_entry(struct transferred *t, struct evidence *e, uint64_t seq, const Shuyi__V1__Envelope *v)
{
        struct bytes packed = message_pack(e->a, &v->base);
        uint8_t *p = malloc(packed.n);

        assert_non_null(p);
        memcpy(p, packed.p, packed.n);
        free((void *)entry_of(t, seq)->wire.p);
        entry_of(t, seq)->wire = bytes_of(p, packed.n);
}

static void one_signature(struct transferred *t, struct evidence *e)
{
        Shuyi__V1__Envelope *v = open_entry(t, e, t->get);

        v->n_signatures = 1;
        close_entry(t, e, t->get, v);
}

static void other_order(struct transferred *t, struct evidence *e)
{
        Shuyi__V1__Envelope *v = open_entry(t, e, t->get);
        Shuyi__V1__Signature *first = v->signatures[0];

        v->signatures[0] = v->signatures[1];
        v->signatures[1] = first;
        close_entry(t, e, t->get, v);
}

static void relabelled(struct transferred *t, struct evidence *e)
{
        Shuyi__V1__Envelope *v = open_entry(t, e, t->get);

        v->signatures[1]->capacity = ROLE_SHARING_HEAD;
        close_entry(t, e, t->get, v);
}

static void other_body(struct transferred *t, struct evidence *e)
{
        Shuyi__V1__Envelope *v = open_entry(t, e, t->update);

        v->signatures[0]->signature.data[5] ^= 1;
        close_entry(t, e, t->update, v);
}

static void back_dated(struct transferred *t, struct evidence *e)
{
        for (uint64_t seq = t->get; seq <= t->m->c->log_n; seq++)
                entry_of(t, seq)->accepted_at += 400ull * DAY_MS;       /* the persons' credentials have run out by then */
}

static void (*const log_forgeries[])(struct transferred *t, struct evidence *e) = { one_signature, other_order, relabelled, other_body, back_dated };

static void test_a_keeper_that_rewrites_its_log_proves_nothing(void **state)
{
        static const struct { enum bundle_item item; enum bundle_fault fault; } wanted[] = {
                { BUNDLE_AUTHORISED, BUNDLE_GRANT }, { BUNDLE_AUTHORISED, BUNDLE_GRANT }, { BUNDLE_SIGNED, BUNDLE_SIGNATURE }, { BUNDLE_SIGNED, BUNDLE_SIGNATURE },
                { BUNDLE_AUTHORISED, BUNDLE_NO_FAULT },
        };

        for (unsigned i = 0; i < ELEMENTS(log_forgeries); i++) {
                struct transferred t = evidence_transfer();
                struct evidence *honest = evidence_of(t.m->c), *e;
                struct bundle_report r;

                log_forgeries[i](&t, honest);
                e = evidence_of(t.m->c);
                r = check(e, evidence_make(e, &(struct bundle_wish){ BUNDLE_UPDATE, t.update, t.grant }));
                if (r.proven || r.items[wanted[i].item].state != BUNDLE_FAILED)
                        show(&r);
                assert_false(r.proven);
                assert_int_equal(r.items[BUNDLE_INCLUDED].state, BUNDLE_OK);
                assert_int_equal(r.items[wanted[i].item].state, BUNDLE_FAILED);
                if (wanted[i].fault)
                        assert_int_equal(r.items[wanted[i].item].fault, wanted[i].fault);
                evidence_free(honest);
                evidence_free(e);
                market_free(t.m);
        }
}

/* ---- who puts bundles together badly, or on purpose so ---- */

static void drop(Shuyi__V1__Bundle *b, size_t at)
{
        memmove(b->entries + at, b->entries + at + 1, (b->n_entries - at - 1) * sizeof(*b->entries));
        b->n_entries--;
}

/* Whatever is left out, nothing is proven but where it was more than needed: an earlier trust head. */
static void test_what_is_left_out_is_missed(void **state)
{
        struct transferred t = evidence_transfer();
        _cleanup_(evidence_freep) struct evidence *e = evidence_of(t.m->c);
        const struct bundle_wish wish = { BUNDLE_UPDATE, t.update, t.grant };
        size_t n = evidence_make(e, &wish)->n_entries, spare = 0;

        for (size_t i = 0; i < n; i++) {
                Shuyi__V1__Bundle *b = evidence_make(e, &wish);
                bool head = e->kinds[b->entries[i]->seq - 1] == KIND_TRUST_HEAD && i + 1 < n;
                struct bundle_report r;

                drop(b, i);
                r = check(e, b);
                if (r.proven && !head)
                        print_error("# without %s\n", kind_find(e->kinds[evidence_make(e, &wish)->entries[i]->seq - 1])->name);
                assert_true(!r.proven || head);
                spare += r.proven;
        }
        assert_true(spare <= 1);
        market_free(t.m);
}

static void test_lookups_left_out_are_missed(void **state)
{
        struct transferred t = evidence_transfer();
        _cleanup_(evidence_freep) struct evidence *e = evidence_of(t.m->c);
        const struct bundle_wish wish = { BUNDLE_UPDATE, t.update, t.grant };
        size_t n = evidence_make(e, &wish)->entries[evidence_make(e, &wish)->n_entries - 1]->n_lookups;

        assert_true(n > 10);
        for (size_t i = 0; i < n; i++) {
                Shuyi__V1__Bundle *b = evidence_make(e, &wish);
                Shuyi__V1__BundleEntry *last = b->entries[b->n_entries - 1];
                struct bundle_report r;

                memmove(last->lookups + i, last->lookups + i + 1, (n - i - 1) * sizeof(*last->lookups));
                last->n_lookups--;
                r = check(e, b);
                assert_false(r.proven);
                assert_int_equal(r.items[BUNDLE_STATUS].state, BUNDLE_NOT_IN_BUNDLE);
        }
        market_free(t.m);
}

/* Of two consumers each sees that its own was delivered, and nothing of the other's. */
static void test_anothers_receipt_row_or_grant_does_not_pass(void **state)
{
        struct transferred t = evidence_transfer();
        _cleanup_(evidence_freep) struct evidence *e = evidence_of(t.m->c);
        Shuyi__V1__Bundle *b = evidence_make(e, &(struct bundle_wish){ BUNDLE_UPDATE, t.update, t.grant });
        struct digest nobody = digest_plain(bytes_str("nobody"));
        Shuyi__V1__Bundle *none;

        assert_int_equal(evidence_try(e, &(struct bundle_wish){ BUNDLE_UPDATE, t.update, nobody }, &none), -ENOENT);
        assert_int_equal(evidence_try(e, &(struct bundle_wish){ BUNDLE_UPDATE, t.get, t.grant }, &none), -ENOENT);
        assert_int_equal(evidence_try(e, &(struct bundle_wish){ .kind = BUNDLE_DECISION, .seq = e->size }, &none), -EAGAIN);
        b->n_links = 0;
        assert_int_equal(check(e, b).items[BUNDLE_DELIVERED].fault, BUNDLE_RECEIPT);
        market_free(t.m);
}

/* A key that was reported stolen, with suspicion from before the act on, proves nothing; from after it on, it does. */
static void suspected(bool before)
{
        struct transferred t = evidence_transfer();
        struct city *c = t.m->c;
        Shuyi__V1__RevokeBody body = SHUYI__V1__REVOKE_BODY__INIT;
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        struct evidence *e;
        struct bundle_report r;

        body.reason = REVOKE_COMPROMISED;
        body.suspect_since_seq = before ? t.update : c->log_n;
        i.object = (ProtobufCBinaryData){ DIGEST_BYTES, t.m->civil_agent->credential.b };
        city_must(c, &(struct city_act){ .kind = KIND_REVOKE, .intent = &i, .body = &body.base, .by = { { c->sec_admin, ROLE_SEC_ADMIN } } });
        city_trust_head(c);
        e = evidence_of(c);
        r = check(e, evidence_make(e, &(struct bundle_wish){ BUNDLE_UPDATE, t.update, t.grant }));
        if (r.proven == before)
                show(&r);
        assert_int_equal(r.proven, !before);
        if (before)
                assert_int_equal(r.items[BUNDLE_STATUS].fault, BUNDLE_SUSPECT);
        evidence_free(e);
        market_free(t.m);
}

static void test_a_key_reported_stolen_proves_nothing_from_then_on(void **state)
{
        suspected(true);
        suspected(false);
}

/* ---- witnesses ---- */

/* The note with cosignatures of the first n witnesses; `by` signs in place of the last one, under its name. */
static char *cosigned(struct evidence *e, unsigned n, const struct party *by)
{
        char *note = e->note;

        for (unsigned i = 0; i < n; i++) {
                const struct party *w = city_find(e->c, arena_printf(e->a, "witness-%u", i)), *key = by && i + 1 == n ? by : w;

                note = arena_printf(e->a, "%s%s", note, checkpoint_cosign(e->a, e->note, w->name, 1700000000 + i, key->sign_secret, key->sign_key));
        }
        return note;
}

static struct bundle_report check_note(struct evidence *e, char *note, bool unwitnessed)
{
        Shuyi__V1__Bundle *b = evidence_make(e, &(struct bundle_wish){ .kind = BUNDLE_DECISION, .seq = 1 });
        struct bundle_report r;

        b->checkpoint = note;
        assert_int_equal(bundle_check(e->a, evidence_file(e, b), e->anchor, &(struct bundle_options){ unwitnessed, false }, &r), 0);
        return r;
}

static void test_without_quorum_it_is_proven_only_where_that_is_said(void **state)
{
        _cleanup_(city_freep) struct city *c = city_new();
        _cleanup_(evidence_freep) struct evidence *e = NULL;
        struct bundle_report r;

        c->witnesses = 2;
        city_anchor(c);
        city_broker_credential(c);
        city_department(c, CITY_AUTHORITY, "authority");
        city_trust_head(c);
        e = evidence_of(c);
        r = check_note(e, cosigned(e, 2, NULL), false);
        assert_true(r.proven && r.witnesses == 2 && r.seen_first_s == 1700000000 && r.seen_last_s == 1700000001);
        r = check_note(e, cosigned(e, 1, NULL), false);
        assert_false(r.proven);
        assert_int_equal(r.items[BUNDLE_WITNESSED].fault, BUNDLE_QUORUM);
        assert_int_equal(r.items[BUNDLE_INCLUDED].state, BUNDLE_OK);
        assert_true(check_note(e, cosigned(e, 1, NULL), true).proven);
        assert_true(check_note(e, e->note, true).proven);
        r = check_note(e, cosigned(e, 2, city_find(c, "log")), true);
        assert_int_equal(r.items[BUNDLE_INCLUDED].fault, BUNDLE_CHECKPOINT);           /* a line of nobody: bound by nothing, so refused */
        assert_false(r.proven);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_transfer_is_proven),
                cmocka_unit_test(test_every_act_of_a_log_is_proven),
                cmocka_unit_test(test_a_keeper_that_rewrites_its_log_proves_nothing),
                cmocka_unit_test(test_what_is_left_out_is_missed),
                cmocka_unit_test(test_lookups_left_out_are_missed),
                cmocka_unit_test(test_anothers_receipt_row_or_grant_does_not_pass),
                cmocka_unit_test(test_a_key_reported_stolen_proves_nothing_from_then_on),
                cmocka_unit_test(test_without_quorum_it_is_proven_only_where_that_is_said),
                cmocka_unit_test(test_no_bit_of_a_small_bundle_may_be_turned),
                cmocka_unit_test(test_no_bit_of_a_large_one_may_be_turned),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
