/* credential: form, proof of possession, issuer, and that a chain only narrows. */
#include "tests/lib/sample.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* An agent's key request by seed 5, and the credential that seed 1 issues for it. */
struct sample {
        Shuyi__V1__KeyRequest request;
        Shuyi__V1__Subject subject;
        Shuyi__V1__MayIssue may;
        Shuyi__V1__Credential credential;
        uint8_t id[16], link[32], issuer[32];
        struct sample_key key;
};

static void sample_init(struct sample *s)
{
        memset(s, 0, sizeof(*s));
        s->key = sample_key(5);
        memset(s->id, 7, sizeof(s->id));
        memset(s->link, 8, sizeof(s->link));
        memset(s->issuer, 9, sizeof(s->issuer));
        shuyi__v1__key_request__init(&s->request);
        s->request.suite = 1;
        s->request.subject_kind = SUBJECT_AGENT;
        s->request.domain = SAMPLE_DOMAIN;
        s->request.department = SAMPLE_DEPT;
        s->request.agent_id = (ProtobufCBinaryData){ 16, s->id };
        s->request.sign_key = (ProtobufCBinaryData){ 32, s->key.key };
        s->request.link_key = (ProtobufCBinaryData){ 32, s->link };
        s->request.created_at = SAMPLE_TIME;
        shuyi__v1__subject__init(&s->subject);
        s->subject.kind = SUBJECT_AGENT;
        s->subject.domain = SAMPLE_DOMAIN;
        s->subject.department = SAMPLE_DEPT;
        s->subject.id = s->request.agent_id;
        s->subject.sign_key = s->request.sign_key;
        s->subject.link_key = s->request.link_key;
        shuyi__v1__may_issue__init(&s->may);
        shuyi__v1__credential__init(&s->credential);
        s->credential.suite = 1;
        s->credential.subject = &s->subject;
        s->credential.not_before = SAMPLE_TIME;
        s->credential.not_after = SAMPLE_TIME + 1000;
        s->credential.issued_at = SAMPLE_TIME;
        s->credential.issuer = (ProtobufCBinaryData){ 32, s->issuer };
}

static const char *check_signed(struct sample *s)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 16);
        Shuyi__V1__SignedCredential g = SHUYI__V1__SIGNED_CREDENTIAL__INIT;
        struct sample_key issuer = sample_key(1);
        const Shuyi__V1__Credential *ret;
        uint8_t by_issuer[64], by_owner[64];
        struct bytes c = message_pack(a, &s->credential.base), r = key_request_sign(a, &s->request, s->key.secret, by_owner);

        credential_sign(c, issuer.secret, by_issuer);
        g.credential = (ProtobufCBinaryData){ c.n, (uint8_t *)c.p };
        g.signature = (ProtobufCBinaryData){ 64, by_issuer };
        g.key_request = (ProtobufCBinaryData){ r.n, (uint8_t *)r.p };
        g.key_request_signature = (ProtobufCBinaryData){ 64, by_owner };
        return credential_check_signed(a, &g, issuer.key, &ret);
}

static void nothing(struct sample *s) { }
static void other_agent(struct sample *s) { static uint8_t id[16] = { 1 }; s->subject.id.data = id; }
static void other_department(struct sample *s) { s->subject.department = SAMPLE_DEPT_2; }
static void other_link_key(struct sample *s) { static uint8_t k[32] = { 1 }; s->subject.link_key.data = k; }
static void other_domain(struct sample *s) { s->request.domain = "440000"; }
static void key_not_held(struct sample *s) { memcpy(s->key.secret, sample_key(6).secret, 64); }
static void zero_key(struct sample *s) { static uint8_t k[32]; s->request.link_key.data = k; }
static void short_key(struct sample *s) { s->subject.sign_key.len = 31; }
static void roles_of_an_agent(struct sample *s) { static uint32_t r[] = { 1 }; s->subject.roles = r; s->subject.n_roles = 1; }
static void backwards(struct sample *s) { s->credential.not_after = s->credential.not_before; }
static void no_subject(struct sample *s) { s->credential.subject = NULL; }
static void suite_2(struct sample *s) { s->credential.suite = 2; }
static void department_code(struct sample *s) { s->subject.department = s->request.department = "11442000MX00000198"; }
static void no_issuer(struct sample *s) { s->credential.issuer.len = 0; }
static void may_nothing(struct sample *s) { s->credential.may_issue = &s->may; }

static void test_a_signed_credential_and_what_is_wrong_with_others(void **state)
{
        static const struct { void (*change)(struct sample *s); const char *want; } cases[] = {
                { nothing, NULL },
                { other_agent, "key request of another subject" },
                { other_department, "key request of another subject" },
                { other_link_key, "key request of another subject" },
                { other_domain, "key request of another subject" },
                { key_not_held, "key request signature" },
                { zero_key, "link key" },
                { short_key, "sign key" },
                { roles_of_an_agent, "roles" },
                { backwards, "times" },
                { no_subject, "subject" },
                { suite_2, "suite" },
                { department_code, "department" },
                { no_issuer, "issuer" },
                { may_nothing, "may_issue kinds" },
        };

        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                struct sample s;
                const char *wrong;

                sample_init(&s);
                cases[i].change(&s);
                wrong = check_signed(&s);
                if (!cases[i].want)
                        assert_null(wrong);
                else
                        assert_string_equal(wrong ? wrong : "nothing", cases[i].want);
        }
}

static void test_a_persons_credential_needs_roles_and_has_no_link_key(void **state)
{
        static uint32_t roles[] = { ROLE_USER, ROLE_AUDIT_OFFICER }, unordered[] = { 3, 2 }, capacity[] = { ROLE_AGENT };
        struct sample s;

        sample_init(&s);
        s.request.subject_kind = s.subject.kind = SUBJECT_PERSON;
        s.request.agent_id.len = 0;
        s.request.link_key.len = s.subject.link_key.len = 0;
        assert_string_equal(check_signed(&s), "roles");
        s.subject.roles = roles;
        s.subject.n_roles = 2;
        assert_null(check_signed(&s));
        s.subject.roles = unordered;
        assert_string_equal(check_signed(&s), "roles");
        s.subject.roles = capacity;
        s.subject.n_roles = 1;
        assert_string_equal(check_signed(&s), "roles");
}

static void test_another_issuers_signature_does_not_hold(void **state)
{
        struct sample_key one = sample_key(1), two = sample_key(2);
        uint8_t signature[64];

        credential_sign(bytes_str("credential"), one.secret, signature);
        assert_true(credential_check_signature(bytes_str("credential"), bytes_of(signature, 64), one.key));
        assert_false(credential_check_signature(bytes_str("credential"), bytes_of(signature, 64), two.key));
        assert_false(credential_check_signature(bytes_str("credentiam"), bytes_of(signature, 64), one.key));
        assert_false(credential_check_signature(bytes_str("credential"), bytes_of(signature, 63), one.key));
}

/* ---- one link of a chain ---- */

struct chain { struct sample issuer, issued; };

static uint32_t kinds[] = { SUBJECT_PERSON, SUBJECT_AGENT }, roles[] = { ROLE_DATA_OFFICER, ROLE_USER }, user[] = { ROLE_USER }, approver[] = { ROLE_APPROVER };
static char *domains[] = { "442000" }, *other_domains[] = { "440000" }, *departments[] = { SAMPLE_DEPT };

static void chain_init(struct chain *c)
{
        sample_init(&c->issuer);
        sample_init(&c->issued);
        c->issuer.credential.may_issue = &c->issuer.may;
        c->issuer.may.kinds = kinds;
        c->issuer.may.n_kinds = 2;
        c->issuer.may.roles = roles;
        c->issuer.may.n_roles = 2;
        c->issuer.may.domains = domains;
        c->issuer.may.n_domains = 1;
        c->issuer.may.depth = 1;
        c->issued.subject.kind = SUBJECT_PERSON;
        c->issued.subject.roles = user;
        c->issued.subject.n_roles = 1;
        c->issued.may = c->issuer.may;
        c->issued.may.depth = 0;
}

static void fits(struct chain *c) { }
static void may_none(struct chain *c) { c->issuer.credential.may_issue = NULL; }
static void other_kind(struct chain *c) { c->issued.subject.kind = SUBJECT_BROKER; }
static void other_role(struct chain *c) { c->issued.subject.roles = approver; }
static void foreign_domain(struct chain *c) { c->issued.subject.domain = "440000"; }
static void within_departments(struct chain *c) { c->issuer.may.departments = departments; c->issuer.may.n_departments = 1; }
static void outside_departments(struct chain *c) { within_departments(c); c->issued.subject.department = SAMPLE_DEPT_2; }
static void too_early(struct chain *c) { c->issued.credential.not_before--; }
static void too_late(struct chain *c) { c->issued.credential.not_after++; }
static void hands_on(struct chain *c) { c->issued.credential.may_issue = &c->issued.may; }
static void hands_on_too_deep(struct chain *c) { hands_on(c); c->issued.may.depth = 1; }
static void hands_on_at_the_end(struct chain *c) { hands_on(c); c->issuer.may.depth = 0; }
static void hands_on_a_role(struct chain *c) { hands_on(c); c->issued.may.roles = approver; c->issued.may.n_roles = 1; }
static void hands_on_a_domain(struct chain *c) { hands_on(c); c->issued.may.domains = other_domains; }
static void hands_on_any_department(struct chain *c) { within_departments(c); hands_on(c); }

static void test_the_subject_lies_inside_may_issue_and_validity_nests(void **state)
{
        static const struct { const char *name; void (*change)(struct chain *c); bool want; } cases[] = {
                { "inside", fits, true },
                { "an issuer that may issue nothing", may_none, false },
                { "another kind", other_kind, false },
                { "another role", other_role, false },
                { "a foreign domain", foreign_domain, false },
                { "within the listed departments", within_departments, true },
                { "outside them", outside_departments, false },
                { "valid before its issuer", too_early, false },
                { "valid after its issuer", too_late, false },
                { "may itself issue, one link less", hands_on, true },
                { "as deep as its issuer", hands_on_too_deep, false },
                { "below the last link", hands_on_at_the_end, false },
                { "hands on a role it has not", hands_on_a_role, false },
                { "hands on a domain it has not", hands_on_a_domain, false },
                { "hands on any department from a closed list", hands_on_any_department, false },
        };

        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                struct chain c;

                chain_init(&c);
                cases[i].change(&c);
                if (credential_check_issue(&c.issuer.credential, &c.issued.credential) != cases[i].want)
                        fail_msg("%s", cases[i].name);
        }
}

static void test_ids_and_codes(void **state)
{
        struct sample_key k = sample_key(1);
        struct digest one = root_key_id(1, k.key), two = root_key_id(2, k.key);
        char text[FINGERPRINT_TEXT], again[FINGERPRINT_TEXT];

        assert_false(digest_equal(&one, &two));
        fingerprint_format(bytes_str("a key request"), text);
        fingerprint_format(bytes_str("a key requesu"), again);
        assert_int_equal(strlen(text), 39);
        assert_int_equal(text[4], '-');
        assert_string_not_equal(text, again);
        assert_true(domain_check("442000"));
        assert_false(domain_check("4420000"));
        assert_false(domain_check("44200a"));
        assert_true(department_check(SAMPLE_DEPT));
        assert_false(department_check(""));
        assert_false(department_check("11442000MX00000197X"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_signed_credential_and_what_is_wrong_with_others),
                cmocka_unit_test(test_a_persons_credential_needs_roles_and_has_no_link_key),
                cmocka_unit_test(test_another_issuers_signature_does_not_hold),
                cmocka_unit_test(test_the_subject_lies_inside_may_issue_and_validity_nests),
                cmocka_unit_test(test_ids_and_codes),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
