/* policy: the shipped profiles, every mistake a file can hold, the conditions between keys. */
#include "common/digest.h"
#include "common/macro.h"
#include "common/policy.h"
#include "common/times.h"
#include "tests/lib/text_file.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const char *const profiles[] = { "zs", "gd", "xw", "sz", "na", "sc51" };

static char *read_profile(const char *name)
{
        char path[64];

        snprintf(path, sizeof(path), "deploy/policies/%s.conf", name);
        return (char *)text_file_read(path).p;
}

static struct policy *load(const char *name)
{
        char *text = read_profile(name), error[200] = "";
        struct policy *p = policy_parse(bytes_str(text), name, error);

        free(text);
        if (!p)
                fail_msg("%s: %s", name, error);
        return p;
}

static void test_every_shipped_profile_loads_and_its_canonical_form_is_itself(void **state)
{
        for (unsigned i = 0; i < ELEMENTS(profiles); i++) {
                struct policy *p = load(profiles[i]), *again;
                struct digest digest = policy_digest(p), same;

                assert_int_equal(POLICY_KEY_COUNT, 135);
                again = policy_parse(policy_canonical(p), profiles[i], NULL);
                assert_non_null(again);
                assert_true(bytes_equal(policy_canonical(p), policy_canonical(again)));
                same = policy_digest(again);
                assert_true(digest_equal(&digest, &same));
                same = DIGEST_OF(CTX_POLICY, policy_canonical(p));
                assert_true(digest_equal(&digest, &same));
                for (unsigned k = 0; k < POLICY_KEY_COUNT; k++) {
                        assert_true(strlen(policy_citation(p, k)) > 0);
                        assert_string_equal(policy_citation(again, k), "");
                        assert_string_equal(policy_text(p, k), policy_text(again, k));
                }
                policy_free(again);
                policy_free(p);
        }
}

static void test_values_of_zhongshan(void **state)
{
        struct policy *p = load("zs");

        assert_int_equal(policy_number(p, POLICY_reply_wd), 5);
        assert_true(policy_number(p, POLICY_verify_wd) == 5);
        assert_true(policy_number(p, POLICY_uncond_reply_wd) == POLICY_NONE);
        assert_true(policy_number(p, POLICY_use_record_years) == POLICY_NONE);
        assert_int_equal(policy_number(p, POLICY_effective_from), times_day_from_date(2020, 6, 15));
        assert_int_equal(policy_number(p, POLICY_annual_report_due), 331);
        assert_true(policy_is(p, POLICY_cond_decider, "PROVIDER"));
        assert_false(policy_is(p, POLICY_cond_decider, "AUTHORITY"));
        assert_true(policy_is(p, POLICY_emergency, "YES"));
        assert_true(policy_has(p, POLICY_base_dbs, "E_LICENCE"));
        assert_false(policy_has(p, POLICY_base_dbs, "MACRO_ECONOMY"));
        assert_false(policy_has(p, POLICY_request_fields, "NEED"));
        assert_string_equal(policy_text(p, POLICY_authority_title), "市政务数据主管部门");
        assert_string_equal(policy_citation(p, POLICY_reply_wd), "ZS 22");
        assert_string_equal(policy_key_name(POLICY_batch_max_dup), "batch_max_dup");
        policy_free(p);
}

/* The profile with the first occurrence of `from` replaced; must be freed. */
static char *changed(const char *from, const char *to)
{
        char *text = read_profile("zs"), *at = strstr(text, from), *out;

        if (!at)
                fail_msg("no \"%s\" in the profile", from);
        out = calloc(1, strlen(text) + strlen(to) + 1);
        sprintf(out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
        free(text);
        return out;
}

static void test_a_mistake_is_refused_with_line_and_key(void **state)
{
        static const struct { const char *from, *to, *error; } cases[] = {
                { "reply_wd = 5  #", "reply_wd = 61  #", "line 16: reply_wd: must be 0..60, or none" },
                { "reply_wd = 5  #", "reply_wd = 05  #", "line 16: reply_wd" },
                { "reply_wd = 5  #", "reply_wd = +5  #", "line 16: reply_wd" },
                { "reply_wd = 5  #", "reply_wd = 5x  #", "line 16: reply_wd" },
                { "reply_wd = 5  #", "reply_wd =  5  #", "line 16: reply_wd" },
                { "reply_wd = 5  #", "reply_wd = 4294967301  #", "line 16: reply_wd" },
                { "reply_wd = 5  #", "reply_wd =   #", "line 16: reply_wd" },
                { "reply_wd = 5  #", "reply_wd = 5 #", "line 16: reply_wd: a comment" },
                { "reply_wd = 5  #", "reply_wd = 5   #", "line 16: reply_wd" },
                { "reply_wd = 5  # ZS 22", "reply_wd = 5  #ZS 22", "line 16: reply_wd: a comment" },
                { "reply_wd = 5  # ZS 22", "reply_wd = 5  # ", "line 16: reply_wd: a comment" },
                { "reply_wd = 5  #", "reply_wd=5  #", "line 16: must be empty" },
                { "reply_wd = 5  #", "Reply_wd = 5  #", "line 16: no such key" },
                { "reply_wd = 5  #", "reply_wd = 5\treply  #", "must be at most" },
                { "\nreply_wd = 5  # ZS 22", "", "line 16: reply_wd: missing" },
                { "\nreply_wd = 5", "\nsilence = REPORT\nreply_wd = 5", "line 16: reply_wd: missing" },
                { "reply_wd = 5  # ZS 22\n", "reply_wd = 5\nreply_wd = 5\n", "line 17: reply_wd: repeated" },
                { "\nbatch_max_dup = 0  # P\n", "\n", "line 141: batch_max_dup: missing" },
                { "\nbatch_max_dup = 0  # P\n", "\nbatch_max_dup = 0", "line 141: the last line does not end" },
                { "\nbatch_max_dup = 0  # P\n", "\nbatch_max_dup = 0\nreply_wd = 5\n", "line 142: reply_wd: repeated" },
                { "reply_ext_wd = 0  #", "reply_ext_wd = none  #", "line 17: reply_ext_wd: must be 0..60" },
                { "level = CITY", "level = TOWN", "line 8: level: must be one of NATION, PROVINCE, CITY, COUNTY" },
                { "level = CITY", "level = CITY, COUNTY", "line 8: level" },
                { "level = CITY", "level = none", "line 8: level" },
                { "refuse_reason = YES", "refuse_reason = yes", "line 22: refuse_reason: must be one of YES, NO" },
                { "division_code = 442000", "division_code = 44200x", "line 9: division_code: must be 6 to 6" },
                { "division_code = 442000", "division_code = 4420", "line 9: division_code" },
                { "name = Zhongshan", "name =  Zhongshan", "line 7: name: must be 1 to 60" },
                { "effective_from = 2020-06-15", "effective_from = 2020-06-31", "line 10: effective_from: must be a date" },
                { "annual_report_due = 03-31", "annual_report_due = 02-29", "line 70: annual_report_due: must be a day of every year" },
                { "base_dbs = NATURAL_PERSON, LEGAL_ENTITY", "base_dbs = LEGAL_ENTITY, NATURAL_PERSON", "line 38: base_dbs: must be some of" },
                { "base_dbs = NATURAL_PERSON, LEGAL_ENTITY", "base_dbs = NATURAL_PERSON,LEGAL_ENTITY", "line 38: base_dbs" },
                { "base_dbs = NATURAL_PERSON, LEGAL_ENTITY", "base_dbs = NATURAL_PERSON, NATURAL_PERSON", "line 38: base_dbs" },
                { "base_dbs = NATURAL_PERSON, LEGAL_ENTITY", "base_dbs = , LEGAL_ENTITY", "line 38: base_dbs" },
                { "base_dbs = NATURAL_PERSON, LEGAL_ENTITY", "base_dbs = none, LEGAL_ENTITY", "line 38: base_dbs" },
                { "E_LICENCE  # ZS 13", "E_LICENCE,  # ZS 13", "line 38: base_dbs" },
                { "share_methods = INTERFACE, ONLINE_QUERY, BATCH_DOWNLOAD, BATCH_EXCHANGE, DB_PUSH", "share_methods = none", "line 59: share_methods" },
                { "# Zhongshan", "\xef\xbb\xbf# Zhongshan", "line 1: must be empty" },
                { "# Zhongshan", "# Zhong\xffshan", "must be at most 64 KiB of UTF-8" },
                { "# Zhongshan", "# Zhong\r\nshan", "must be at most 64 KiB of UTF-8" },
                { "# Zhongshan", "# Zhong\xc2\x85shan", "must be at most 64 KiB of UTF-8" },
                { "profile = zs", "profile = gd", "profile: must equal the name of the file" },
                { "profile = zs", "profile = ZS", "line 4: profile: must be 2 to 16" },
        };
        char error[200];

        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                char *text = changed(cases[i].from, cases[i].to);

                if (policy_parse(bytes_str(text), "zs", error))
                        fail_msg("case %u is taken: %s", i, cases[i].to);
                if (strncmp(error, cases[i].error, strlen(cases[i].error)) != 0)
                        fail_msg("case %u: %s", i, error);
                free(text);
        }
        assert_null(policy_parse((struct bytes){ 0 }, NULL, error));
        assert_string_equal(error, "line 1: profile: missing");
}

static void test_each_condition_between_keys_is_held(void **state)
{
        static const struct { const char *from, *to, *error; } cases[] = {
                { "\nrefuse_basis = YES", "\nrefuse_basis = NO", "refuse_basis_levels: must be none exactly if refuse_basis = NO" },
                { "conditional_basis_required = YES", "conditional_basis_required = NO", "conditional_basis_levels" },
                { "uncond_mode = DIRECT", "uncond_mode = REQUEST_REPLY", "uncond_reply_wd" },
                { "uncond_reply_wd = none", "uncond_reply_wd = 1", "uncond_reply_wd" },
                { "silence = AUTHORITY_PROVIDES", "silence = REPORT", "authority_provide_wd" },
                { "authority_provide_wd = 5", "authority_provide_wd = none", "authority_provide_wd" },
                { "\nreply_ext_wd = 0", "\nreply_ext_wd = 5", "reply_ext_approver" },
                { "\nreply_ext_approver = none", "\nreply_ext_approver = AUTHORITY", "reply_ext_approver" },
                { "correction_ext_wd = 0", "correction_ext_wd = 5", "correction_ext_approver" },
                { "fix_wd = 2", "fix_wd = none", "fix_wd" },
                { "fix_within_check = NO", "fix_within_check = YES", "fix_wd" },
                { "open_application = NO", "open_application = YES", "open_reply_wd" },
                { "verify_subject_day_max = 3", "verify_subject_day_max = 11", "verify_subject_day_max: must not be above" },
        };
        char error[200];

        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                char *text = changed(cases[i].from, cases[i].to);

                if (policy_parse(bytes_str(text), "zs", error))
                        fail_msg("case %u is taken", i);
                if (strncmp(error, cases[i].error, strlen(cases[i].error)) != 0)
                        fail_msg("case %u: %s", i, error);
                free(text);
        }
}

static void test_comments_do_not_move_the_digest_and_values_do(void **state)
{
        struct policy *zs = load("zs"), *p;
        struct digest shipped = policy_digest(zs), other;
        char *text = changed("reply_wd = 5  # ZS 22", "reply_wd = 5");

        p = policy_parse(bytes_str(text), NULL, NULL);
        other = policy_digest(p);
        assert_true(digest_equal(&shipped, &other));
        policy_free(p);
        free(text);
        text = changed("reply_wd = 5", "reply_wd = 6");
        p = policy_parse(bytes_str(text), NULL, NULL);
        other = policy_digest(p);
        assert_false(digest_equal(&shipped, &other));
        policy_free(p);
        free(text);
        policy_free(zs);
}

/* The table of REGULATIONS 11 names each key once, in this order, with this type. */
static void test_the_table_is_that_of_the_rules_document(void **state)
{
        char *file = (char *)text_file_read("deploy/REGULATIONS.md").p, *at = strstr(file, "## 11. Policy profiles");
        char row[80];

        for (unsigned k = 0; k < POLICY_KEY_COUNT; k++) {
                snprintf(row, sizeof(row), "\n| `%s` | ", policy_key_name(k));
                at = strstr(at, row);
                if (!at)
                        fail_msg("%s is not in the table, or not in this place", policy_key_name(k));
        }
        free(file);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_shipped_profile_loads_and_its_canonical_form_is_itself),
                cmocka_unit_test(test_values_of_zhongshan),
                cmocka_unit_test(test_a_mistake_is_refused_with_line_and_key),
                cmocka_unit_test(test_each_condition_between_keys_is_held),
                cmocka_unit_test(test_comments_do_not_move_the_digest_and_values_do),
                cmocka_unit_test(test_the_table_is_that_of_the_rules_document),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
