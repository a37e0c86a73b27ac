/* resume: a provider that does not know the end of its stream any more. */
#include "agent/resume.h"
#include "common/kind.h"
#include "tests/lib/unit.h"

static void test_only_a_link_that_others_stand_before_marks_the_view(void **state)
{
        static const struct { const char *name; uint32_t code; uint64_t seq; const char *detail; bool lost; } cases[] = {
                { "the center expects a later link", E_REPLAY, 0, "expected=9", true },
                { "it expects an earlier one: links behind a refused one", E_STATE, 0, "expected=1", false },
                { "it expects this one", E_REPLAY, 0, "expected=2", false },
                { "this number is an entry already", E_REPLAY, 4711, "expected=9", false },
                { "a repetition by the outbox's number", E_REPLAY, 0, "", false },
                { "no number", E_REPLAY, 0, "expected=many", false },
                { "another refusal", E_STALE_EPOCH, 0, "expected=9", false },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                Shuyi__Agent__ViewRow v = SHUYI__AGENT__VIEW_ROW__INIT;
                Shuyi__Agent__SealedRow sent = SHUYI__AGENT__SEALED_ROW__INIT;
                Shuyi__V1__ReceiptRow row = SHUYI__V1__RECEIPT_ROW__INIT;

                print_message("# %s\n", cases[i].name);
                sent.kind = KIND_VIEW_EPOCH;
                sent.stream_seq = 2;
                row.code = cases[i].code;
                row.seq = cases[i].seq;
                row.detail = (char *)cases[i].detail;
                assert_int_equal(resume_note(&v, &sent, &row), cases[i].lost);
                assert_int_equal(v.lost, cases[i].lost);
        }
}

static void test_the_stream_goes_on_from_the_centers_head_with_a_new_epoch(void **state)
{
        static const struct { const char *name; uint8_t agent, view; uint64_t head; size_t digest; bool taken; } cases[] = {
                { "the head of this view", 1, 2, 40, 32, true },
                { "another agent's", 9, 2, 40, 32, false },
                { "another view's", 1, 9, 40, 32, false },
                { "one that is not ahead", 1, 2, 3, 32, false },
                { "one without its digest", 1, 2, 40, 0, false },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                Shuyi__Agent__ViewRow v = SHUYI__AGENT__VIEW_ROW__INIT;
                Shuyi__V1__StreamRow head = SHUYI__V1__STREAM_ROW__INIT;
                struct id agent = { { 1 } };
                uint8_t of_agent[16] = { cases[i].agent }, view[32] = { 2 }, of_view[32] = { cases[i].view }, digest[32] = { 7 };

                print_message("# %s\n", cases[i].name);
                v.view = (ProtobufCBinaryData){ 32, view };
                v.head = v.settled = 3;
                v.lost = true;
                head.agent = (ProtobufCBinaryData){ 16, of_agent };
                head.view = (ProtobufCBinaryData){ 32, of_view };
                head.head = cases[i].head;
                head.head_digest = (ProtobufCBinaryData){ cases[i].digest, digest };
                head.view_epoch = 5;
                assert_int_equal(resume_take(&v, &agent, &head), cases[i].taken);
                assert_int_equal(v.head, cases[i].taken ? 40 : 3);
                assert_int_equal(v.settled, cases[i].taken ? 40 : 3);
                assert_int_equal(v.view_epoch, cases[i].taken ? 5 : 0);
                assert_int_equal(v.stale, cases[i].taken);
                assert_int_equal(v.lost, !cases[i].taken);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_only_a_link_that_others_stand_before_marks_the_view),
                cmocka_unit_test(test_the_stream_goes_on_from_the_centers_head_with_a_new_epoch),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
