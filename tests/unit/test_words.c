/* words, kinds, refusals: each table holds together and is found again by number and by word. */
#include "common/digest.h"
#include "common/kind.h"
#include "common/refusal.h"
#include "common/words.h"
#include "proto/registry.pb-c.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_every_word_is_found_by_its_number_and_name(void **state)
{
        for (unsigned list = 0; list < LIST_COUNT; list++) {
                unsigned n = 0;

                assert_false(word_known(list, 0));
                for (uint32_t number = 1; number < 256; number++) {
                        const char *name = word_name(list, number);

                        assert_int_equal(word_known(list, number), name != NULL);
                        if (!name)
                                continue;
                        n++;
                        assert_int_equal(word_find(list, name), number);
                        assert_non_null(word_chinese(list, number));
                        assert_non_null(strstr(word_all(list), name));
                }
                assert_true(n > 0);
        }
}

static void test_words_are_exact(void **state)
{
        assert_int_equal(word_find(LIST_role, "APPROVER"), ROLE_APPROVER);
        assert_int_equal(word_find(LIST_role, "approver"), 0);
        assert_int_equal(word_find(LIST_role, "APPROVER "), 0);
        assert_int_equal(word_find(LIST_role, ""), 0);
        assert_null(word_name(LIST_role, UINT32_MAX));
        assert_string_equal(word_all(LIST_share_type), "UNCONDITIONAL, CONDITIONAL, WITHHELD");
        assert_string_equal(word_chinese(LIST_share_type, SHARE_WITHHELD), "不予共享");
}

static void test_kinds_are_found_by_number(void **state)
{
        unsigned n = 0;

        for (const struct kind *k; (k = kind_at(n)); n++) {
                assert_ptr_equal(kind_find(k->number), k);
                assert_true(!k->later || !k->body);
        }
        assert_true(n > 80);
        assert_null(kind_find(0));
        assert_null(kind_find(39));
        assert_null(kind_find(UINT32_MAX));
        assert_ptr_equal(kind_find(KIND_FILE)->body, &shuyi__v1__file_body__descriptor);
        assert_null(kind_find(KIND_UPDATE)->body);
        assert_string_equal(kind_find(KIND_REQ_SUBMIT)->name, "REQ_SUBMIT");
        assert_int_equal(kind_lane(kind_find(KIND_UPDATE)), 1);
        assert_int_equal(kind_lane(kind_find(KIND_CLOCK)), 0);
        assert_true(kind_find(KIND_EMERGENCY)->later);
        assert_false(kind_find(KIND_CONSENT)->later);
}

static void test_refusals_ascend_and_an_unknown_one_says_so(void **state)
{
        const struct refusal_text *row;
        int last = -1;

        for (unsigned i = 0; (row = refusal_at(i)); i++) {
                assert_true(row->number > last);
                last = row->number;
                assert_true(refusal_known(row->number));
                assert_ptr_equal(refusal_text(row->number), row);
        }
        assert_int_equal(last, C_026);
        assert_string_equal(refusal_text(C_008)->code, "C-008");
        assert_false(refusal_known(106));
        assert_string_equal(refusal_text(106)->code, "E_UNKNOWN");
        assert_string_equal(refusal_text(UINT32_MAX)->code, "E_UNKNOWN");
}

static void test_contexts_set_equal_bytes_apart(void **state)
{
        struct digest plain = digest_plain(bytes_str("x")), zero = { 0 };

        assert_true(digest_is_zero(&zero));
        for (unsigned i = 0; i < DIGEST_CONTEXT_COUNT; i++) {
                struct digest one = DIGEST_OF(i, bytes_str("x"));

                assert_false(digest_equal(&one, &plain));
                for (unsigned j = 0; j < i; j++) {
                        struct digest other = DIGEST_OF(j, bytes_str("x"));

                        assert_false(digest_equal(&one, &other));
                }
        }
}

static void test_digest_is_blake2b_of_context_nul_parts(void **state)
{
        struct digest split = DIGEST_OF(CTX_NODE, bytes_str("ab"), (struct bytes){ 0 }, bytes_str("c"));
        struct digest whole = digest_plain(bytes_of("shuyi/node/v1\0abc", 17)), known;

        assert_true(digest_equal(&split, &whole));
        assert_true(hex_parse("0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8", known.b, DIGEST_BYTES));
        whole = digest_plain((struct bytes){ 0 });
        assert_true(digest_equal(&whole, &known));      /* BLAKE2b-256 of nothing */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_word_is_found_by_its_number_and_name),
                cmocka_unit_test(test_words_are_exact),
                cmocka_unit_test(test_kinds_are_found_by_number),
                cmocka_unit_test(test_refusals_ascend_and_an_unknown_one_says_so),
                cmocka_unit_test(test_contexts_set_equal_bytes_apart),
                cmocka_unit_test(test_digest_is_blake2b_of_context_nul_parts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
