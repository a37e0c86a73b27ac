/* flow: what outbox and inbox decide. */
#include "agent/flow.h"
#include "common/macro.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

#define MS 1000000ull
#define FAILED_CASE(name) fail_msg("case \"%s\"", (name))

static struct mono_time mono(uint64_t ms)
{
        return (struct mono_time){ ms * MS };
}

static struct wall_time wall(uint64_t ms)
{
        return (struct wall_time){ ms };
}

static struct digest digest_filled(uint8_t with)
{
        struct digest d;

        memset(d.b, with, sizeof d.b);
        return d;
}

static const struct { const char *name; uint32_t size, records, bytes; } fits[] = {
        { "small records stop at the count", 100, RECORDS_MAX, 100 * RECORDS_MAX },
        { "large ones stop at the bytes", RECORD_MAX_BYTES, 8, FLOW_CONTENT_MAX_BYTES },
        { "one byte too many is the next envelope's", RECORD_MAX_BYTES + 1, 7, 7 * (RECORD_MAX_BYTES + 1) },
        { "the first always fits", FLOW_CONTENT_MAX_BYTES + 1, 1, FLOW_CONTENT_MAX_BYTES + 1 },
};

static void test_an_envelope_takes_what_fits(void **state)
{
        for (size_t i = 0; i < ELEMENTS(fits); i++) {
                struct flow_batch b = { 0 };

                while (flow_batch_add(&b, fits[i].size))
                        ;
                if (b.records != fits[i].records || b.bytes != fits[i].bytes)
                        FAILED_CASE(fits[i].name);
                assert_int_equal(flow_batch_full(&b), b.records == RECORDS_MAX);
        }
}

static const struct { const char *name; uint32_t records; bool more; uint64_t unacknowledged; bool credit; uint64_t now_us; enum flow_seal verdict; } seals[] = {
        { "nothing waits: nothing is sealed", 0, false, 0, true, 9000, FLOW_SEAL_NOTHING },
        { "alone: at once", 1, false, 0, true, 5000, FLOW_SEAL_NOW },
        { "behind an unacknowledged one: it lingers", 1, false, 1, true, 6999, FLOW_SEAL_AT },
        { "until 2 ms have passed", 1, false, 1, true, 7000, FLOW_SEAL_NOW },
        { "or the envelope is full by count", RECORDS_MAX, false, 1, true, 5000, FLOW_SEAL_NOW },
        { "or by bytes", 3, true, 1, true, 5000, FLOW_SEAL_NOW },
        { "without credit records stay taken", RECORDS_MAX, true, 0, false, 9000, FLOW_SEAL_NOTHING },
};

static void test_when_to_seal(void **state)
{
        for (size_t i = 0; i < ELEMENTS(seals); i++) {
                struct flow_waiting w = { .batch = { seals[i].records, 10 }, .more = seals[i].more, .oldest = mono(5),
                                          .unacknowledged = seals[i].unacknowledged, .credit = seals[i].credit };
                struct mono_time at = { 0 };

                if (flow_seal_when(&w, (struct mono_time){ seals[i].now_us * 1000 }, &at) != seals[i].verdict)
                        FAILED_CASE(seals[i].name);
                assert_true(at.ns == (seals[i].verdict == FLOW_SEAL_AT ? 7 * MS : 0));
        }
}

static void test_numbers_and_chain_go_on_and_back(void **state)
{
        struct flow_lane l = { .epoch = 1, .next = 1 };
        struct flow_stream s = { 0 };
        struct digest d[4] = { digest_filled(1), digest_filled(2), digest_filled(3), digest_filled(4) };

        assert_true(flow_lane_take(&l) == 1 && flow_lane_take(&l) == 2 && l.next == 3);
        for (unsigned i = 0; i < 3; i++) {
                struct flow_next n = flow_stream_next(&s);

                assert_true(n.stream_seq == i + 1);
                assert_memory_equal(n.prev.b, i ? d[i - 1].b : (struct digest){ { 0 } }.b, DIGEST_BYTES);
                flow_stream_sealed(&s, &d[i]);
        }
        flow_stream_back(&s, 1, &d[0]);         /* 2 refused: 2 and 3 are sealed again */
        assert_true(flow_stream_next(&s).stream_seq == 2);
        assert_memory_equal(flow_stream_next(&s).prev.b, d[0].b, DIGEST_BYTES);
        flow_stream_back(&s, 0, NULL);
        assert_true(flow_stream_next(&s).stream_seq == 1);
        assert_memory_equal(flow_stream_next(&s).prev.b, (struct digest){ { 0 } }.b, DIGEST_BYTES);
}

static const struct { const char *name; enum refusal code; uint64_t seq; enum flow_verdict verdict; } verdicts[] = {
        { "accepted is done", ACCEPTED, 7, FLOW_DONE },
        { "a closed epoch is followed by the next", E_STALE_EPOCH, 0, FLOW_NEW_EPOCH },
        { "frozen waits", E_FROZEN, 0, FLOW_WAIT },
        { "suspended waits", E_SUSPENDED, 0, FLOW_WAIT },
        { "over the rate waits", G_RATE, 0, FLOW_WAIT },
        { "over the link's quota waits", E_QUOTA, 0, FLOW_WAIT },
        { "a repetition of an entry is done", E_REPLAY, 7, FLOW_DONE },
        { "a number passed over is sealed again", E_REPLAY, 0, FLOW_AGAIN },
        { "bad form is put aside", E_FORM, 0, FLOW_DEAD_LETTER },
        { "no right to it is put aside", E_ROLE, 0, FLOW_DEAD_LETTER },
        { "wrong items are put aside", G_ITEMS, 0, FLOW_DEAD_LETTER },
        { "an unknown code is put aside", (enum refusal)9999, 0, FLOW_DEAD_LETTER },
};

static void test_what_a_refusal_does(void **state)
{
        for (size_t i = 0; i < ELEMENTS(verdicts); i++) {
                struct flow_refusal r = flow_data_refused(verdicts[i].code, verdicts[i].seq);

                if (r.verdict != verdicts[i].verdict || r.code != verdicts[i].code)
                        FAILED_CASE(verdicts[i].name);
                assert_int_equal(r.verdict == FLOW_WAIT, r.retry_ms > 0);
        }
        assert_int_equal(flow_refusal_at(0)->code, ACCEPTED);
        assert_null(flow_refusal_at(1000));
        assert_true(flow_refusal_follows(6, 5));
        assert_false(flow_refusal_follows(5, 5));
        assert_false(flow_refusal_follows(6, 0));
}

/* Held: links up to 10; header digest of link n is all n. */
static const struct { const char *name; uint64_t cursor, seq; uint8_t head, prev, digest, held; enum flow_arrival verdict; } arrivals[] = {
        { "the next one, chained", 10, 11, 10, 10, 11, 0, FLOW_TAKE },
        { "the next one of another chain", 10, 11, 10, 9, 11, 0, FLOW_FORK },
        { "the next one without a predecessor", 10, 11, 10, 0, 11, 0, FLOW_FORK },
        { "one is missing", 10, 12, 10, 11, 12, 0, FLOW_GAP },
        { "the last one again", 10, 10, 10, 9, 10, 0, FLOW_REPEAT },
        { "the last one, but another", 10, 10, 10, 9, 99, 0, FLOW_FORK },
        { "an older one again", 10, 4, 10, 3, 4, 4, FLOW_REPEAT },
        { "an older one, but another", 10, 4, 10, 3, 99, 4, FLOW_FORK },
        { "an older one not held any more", 10, 4, 10, 3, 99, 0, FLOW_REPEAT },
        { "nothing held: any link is the first", 0, 57, 0, 56, 57, 0, FLOW_TAKE },
        { "nothing held: link 1", 0, 1, 0, 0, 1, 0, FLOW_TAKE },
        { "something before link 1", 0, 1, 0, 7, 1, 0, FLOW_FORK },
        { "link 0 is none", 10, 0, 10, 0, 1, 0, FLOW_FORK },
        { "a start in the middle takes exactly its link", 56, 57, 0, 56, 57, 0, FLOW_TAKE },
        { "a start in the middle misses one", 56, 58, 0, 57, 58, 0, FLOW_GAP },
        { "before the start", 56, 50, 0, 49, 50, 0, FLOW_REPEAT },
};

static void test_does_a_link_continue_its_stream(void **state)
{
        for (size_t i = 0; i < ELEMENTS(arrivals); i++) {
                struct flow_position p = { arrivals[i].cursor, digest_filled(arrivals[i].head) };
                struct digest prev = digest_filled(arrivals[i].prev), d = digest_filled(arrivals[i].digest), held = digest_filled(arrivals[i].held);

                if (flow_arrive(&p, arrivals[i].seq, arrivals[i].prev ? &prev : NULL, &d, arrivals[i].held ? &held : NULL) != arrivals[i].verdict)
                        FAILED_CASE(arrivals[i].name);
        }
        assert_string_equal(flow_arrival_text(FLOW_FORK), "fork");
}

static void test_a_position_follows_what_it_takes(void **state)
{
        struct flow_position p = flow_position_start(57);

        for (uint64_t n = 57; n < 60; n++) {
                struct digest prev = digest_filled((uint8_t)(n - 1)), d = digest_filled((uint8_t)n);

                assert_int_equal(flow_arrive(&p, n, &prev, &d, NULL), FLOW_TAKE);
                flow_position_take(&p, n, &d);
                assert_int_equal(flow_arrive(&p, n, &prev, &d, NULL), FLOW_REPEAT);
        }
        assert_true(flow_position_start(0).cursor == 0 && flow_position_start(1).cursor == 0);
}

static const struct { const char *name; uint32_t transfers; bool nack; uint64_t now_ms; bool due; } receipts[] = {
        { "none waits", 0, false, 900, false },
        { "one waits 100 ms", 1, false, 199, false },
        { "and no longer", 1, false, 200, true },
        { "255 wait", FLOW_RECEIPT_TRANSFERS - 1, false, 150, false },
        { "256 do not", FLOW_RECEIPT_TRANSFERS, false, 101, true },
        { "a NACK does not", 1, true, 100, true },
};

static void test_when_a_delivery_receipt_is_due(void **state)
{
        for (size_t i = 0; i < ELEMENTS(receipts); i++) {
                struct flow_unreceipted u = { 0 };
                struct mono_time at;

                for (uint32_t n = 0; n < receipts[i].transfers; n++)
                        flow_unreceipted_add(&u, mono(100 + n % 2), receipts[i].nack);
                if (flow_receipt_due(&u, mono(receipts[i].now_ms), &at) != receipts[i].due)
                        FAILED_CASE(receipts[i].name);
                assert_true(at.ns == (receipts[i].transfers ? 200 * MS : UINT64_MAX));
        }
}

static const struct { const char *name; enum refusal code; const char *detail; bool known; uint64_t first; } expectations[] = {
        { "the center's cursor is elsewhere", E_STATE, "expected=57", true, 57 },
        { "receipted before", E_REPLAY, "expected=3", true, 3 },
        { "told again, without its detail", E_REPLAY, "", true, 0 },
        { "another reason", G_FIELD, "expected=57", false, 0 },
        { "no number", E_STATE, "expected=", false, 0 },
        { "a sign", E_STATE, "expected=-1", false, 0 },
        { "something behind it", E_STATE, "expected=5x", false, 0 },
        { "beyond the head", E_STATE, "last", false, 0 },
};

static void test_where_to_receipt_again(void **state)
{
        for (size_t i = 0; i < ELEMENTS(expectations); i++) {
                uint64_t first = 0;

                if (flow_receipt_expected(expectations[i].code, expectations[i].detail, &first) != expectations[i].known || first != expectations[i].first)
                        FAILED_CASE(expectations[i].name);
        }
}

static const struct { const char *name; uint64_t trust_seq, accepted_at, now, max_age, age; enum flow_trust verdict; } judgements[] = {
        { "no head held", 0, 0, 1000000, 300000, 0, FLOW_STALE },
        { "of this moment", 5, 1000000, 1000000, 300000, 0, FLOW_FRESH },
        { "as old as allowed", 5, 1000000, 1300000, 300000, 300000, FLOW_FRESH },
        { "a millisecond older", 5, 1000000, 1300001, 300000, 300001, FLOW_STALE },
        { "stricter for personal data", 5, 1000000, 1120001, 120000, 120001, FLOW_STALE },
        { "5 s ahead of our clock", 5, 1005000, 1000000, 300000, 0, FLOW_FRESH },
        { "more than 5 s ahead", 5, 1005001, 1000000, 300000, 0, FLOW_AHEAD },
};

static void test_how_fresh_is_trust(void **state)
{
        for (size_t i = 0; i < ELEMENTS(judgements); i++) {
                struct flow_head h = { .trust_seq = judgements[i].trust_seq, .accepted_at = wall(judgements[i].accepted_at) };
                uint64_t age;

                if (flow_trust_judge(&h, wall(judgements[i].now), judgements[i].max_age, &age) != judgements[i].verdict || age != judgements[i].age)
                        FAILED_CASE(judgements[i].name);
        }
}

static const struct { const char *name; uint64_t seq, at; uint8_t digest; enum flow_head_order order; } heads[] = {
        { "more records", 6, 50, 9, FLOW_HEAD_NEWER },
        { "repeated later", 5, 101, 1, FLOW_HEAD_NEWER },
        { "the very same", 5, 100, 1, FLOW_HEAD_SAME },
        { "repeated earlier", 5, 99, 1, FLOW_HEAD_LOWER },
        { "fewer records", 4, 200, 1, FLOW_HEAD_LOWER },
        { "as many records of another chain", 5, 200, 2, FLOW_HEAD_FORK },
};

static void test_a_lower_head_is_never_taken(void **state)
{
        const struct flow_head held = { 5, { 100 }, digest_filled(1) };

        for (size_t i = 0; i < ELEMENTS(heads); i++) {
                struct flow_head came = { heads[i].seq, wall(heads[i].at), digest_filled(heads[i].digest) };

                if (flow_head_compare(&held, &came) != heads[i].order)
                        FAILED_CASE(heads[i].name);
        }
        assert_int_equal(flow_head_compare(&(struct flow_head){ 0 }, &held), FLOW_HEAD_NEWER);
}

static void test_what_may_be_done_under_stale_trust(void **state)
{
        static const struct { enum flow_work work; bool stale; } works[] = {
                { FLOW_TAKE_PUSH, true }, { FLOW_QUEUE_ACT, true }, { FLOW_QUEUE_RECEIPT, true }, { FLOW_SERVE_OPENED, true },
                { FLOW_SEAL, false }, { FLOW_OPEN, false }, { FLOW_ANSWER, false },
        };

        for (size_t i = 0; i < ELEMENTS(works); i++) {
                assert_true(flow_may(works[i].work, FLOW_FRESH));
                assert_int_equal(flow_may(works[i].work, FLOW_STALE), works[i].stale);
                assert_int_equal(flow_may(works[i].work, FLOW_AHEAD), works[i].stale);
                assert_int_equal(flow_may(works[i].work, FLOW_HALTED), works[i].stale);
        }
}

static void test_a_silent_stream_shows(void **state)
{
        assert_false(flow_stream_silent(wall(1000), wall(301000), 300000));
        assert_true(flow_stream_silent(wall(1000), wall(301001), 300000));
        assert_false(flow_stream_silent(wall(2000), wall(1000), 0));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_an_envelope_takes_what_fits),
                cmocka_unit_test(test_when_to_seal),
                cmocka_unit_test(test_numbers_and_chain_go_on_and_back),
                cmocka_unit_test(test_what_a_refusal_does),
                cmocka_unit_test(test_does_a_link_continue_its_stream),
                cmocka_unit_test(test_a_position_follows_what_it_takes),
                cmocka_unit_test(test_when_a_delivery_receipt_is_due),
                cmocka_unit_test(test_where_to_receipt_again),
                cmocka_unit_test(test_how_fresh_is_trust),
                cmocka_unit_test(test_a_lower_head_is_never_taken),
                cmocka_unit_test(test_what_may_be_done_under_stale_trust),
                cmocka_unit_test(test_a_silent_stream_shows),
        };

        return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
