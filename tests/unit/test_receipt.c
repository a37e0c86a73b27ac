/* receipt: signed by the log key for one agent, and refused in every other form. */
#include "common/receipt.h"
#include "tests/lib/sample.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct sample {
        struct id agent;
        uint8_t leaf[32];
        Shuyi__V1__ReceiptRow rows[2], *list[2];
        Shuyi__V1__Receipt receipt;
};

static void sample_init(struct sample *s)
{
        memset(s, 0, sizeof(*s));
        memset(s->agent.b, 0xa1, ID_BYTES);
        shuyi__v1__receipt__init(&s->receipt);
        for (unsigned i = 0; i < 2; i++) {
                shuyi__v1__receipt_row__init(&s->rows[i]);
                s->rows[i].lane = 1;
                s->rows[i].outbox_seq = i + 7;
                s->rows[i].accepted_at = SAMPLE_TIME;
                s->list[i] = &s->rows[i];
        }
        s->rows[0].seq = 4711;
        s->rows[0].leaf_hash = (ProtobufCBinaryData){ 32, s->leaf };
        s->rows[0].effects_digest = (ProtobufCBinaryData){ 32, s->leaf };
        s->rows[1].code = E_STALE_EPOCH;
        s->receipt.domain = SAMPLE_DOMAIN;
        s->receipt.agent = (ProtobufCBinaryData){ ID_BYTES, s->agent.b };
        s->receipt.log_epoch = 1;
        s->receipt.stable_seq = 4711;
        s->receipt.outbox_epoch = 1;
        s->receipt.rows = s->list;
        s->receipt.n_rows = 2;
}

static void nothing(struct sample *s) { }
static void no_rows(struct sample *s) { s->receipt.n_rows = 0; }
static void lane_2(struct sample *s) { s->rows[0].lane = 2; }
static void no_number(struct sample *s) { s->rows[0].outbox_seq = 0; }
static void no_leaf(struct sample *s) { s->rows[0].leaf_hash.len = 0; }
static void no_effects(struct sample *s) { s->rows[0].effects_digest.len = 0; }
static void accepted_nowhere(struct sample *s) { s->rows[1].code = 0; }
static void no_epoch(struct sample *s) { s->receipt.log_epoch = 0; }
static void other_domain(struct sample *s) { s->receipt.domain = "440000"; }
static void other_agent(struct sample *s) { static uint8_t id[16] = { 1 }; s->receipt.agent.data = id; }

static void test_form_signature_and_addressee(void **state)
{
        static const struct { void (*change)(struct sample *s); const char *want; } cases[] = {
                { nothing, NULL }, { no_rows, "rows" }, { lane_2, "lane" }, { no_number, "outbox_seq" }, { no_leaf, "leaf_hash" },
                { no_effects, "effects_digest" },
                { accepted_nowhere, "accepted without an entry" }, { no_epoch, "epoch" }, { other_domain, "another domain" }, { other_agent, "another agent" },
        };
        struct sample_key log = sample_key(8);

        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                _cleanup_(arena_freep) struct arena *a = arena_new(1 << 16);
                Shuyi__V1__SignedReceipt *g;
                const Shuyi__V1__Receipt *got;
                struct sample s;
                const char *wrong;

                sample_init(&s);
                cases[i].change(&s);
                g = receipt_sign(a, &s.receipt, log.secret);
                wrong = receipt_check(a, g, log.key, SAMPLE_DOMAIN, &(struct id){ { 0xa1, 0xa1, 0xa1, 0xa1, 0xa1, 0xa1, 0xa1, 0xa1, 0xa1, 0xa1, 0xa1, 0xa1, 0xa1, 0xa1, 0xa1, 0xa1 } }, &got);
                if (!cases[i].want) {
                        assert_null(wrong);
                        assert_int_equal(got->rows[0]->seq, 4711);
                } else {
                        assert_string_equal(wrong ? wrong : "nothing", cases[i].want);
                }
        }
}

static void test_R_130_every_flipped_bit_of_a_receipt_is_refused(void **state)
{
        _cleanup_(arena_freep) struct arena *keep = arena_new(1 << 16), *a = arena_new(1 << 16);
        struct sample_key log = sample_key(8), other = sample_key(7);
        Shuyi__V1__SignedReceipt *g;
        const Shuyi__V1__Receipt *got;
        struct sample s;

        sample_init(&s);
        g = receipt_sign(keep, &s.receipt, log.secret);
        assert_non_null(receipt_check(a, g, other.key, SAMPLE_DOMAIN, &s.agent, &got));
        for (size_t bit = 0; bit < g->receipt.len * 8; bit++) {
                g->receipt.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_non_null(receipt_check(a, g, log.key, SAMPLE_DOMAIN, &s.agent, &got));
                g->receipt.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t bit = 0; bit < g->signature.len * 8; bit++) {
                g->signature.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_non_null(receipt_check(a, g, log.key, SAMPLE_DOMAIN, &s.agent, &got));
                g->signature.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_null(receipt_check(a, g, log.key, SAMPLE_DOMAIN, &s.agent, &got));
        g->signature.len = 63;
        assert_non_null(receipt_check(a, g, log.key, SAMPLE_DOMAIN, &s.agent, &got));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_form_signature_and_addressee),
                cmocka_unit_test(test_R_130_every_flipped_bit_of_a_receipt_is_refused),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
