/* sender, peek: whose envelope may travel over whose link, read from bytes that nobody has checked (DESIGN 3, 8). */
#include "broker/sender.h"
#include "tests/lib/city.h"
#include "tests/lib/unit.h"
#include <stdlib.h>

static const struct sender_case {
        const char *name;
        const char *link;
        uint32_t kind;
        const char *signer;             /* department of the credential; NULL: unknown */
        uint32_t capacity;
        enum refusal code;
} cases[] = {
        { "a person over the own department's link", CITY_CIVIL, KIND_CAT_SUBMIT, CITY_CIVIL, ROLE_DATA_OFFICER, ACCEPTED },
        { "a person over another's link", CITY_HEALTH, KIND_CAT_SUBMIT, CITY_CIVIL, ROLE_DATA_OFFICER, E_CRED },
        { "an act over the authority's link is still another's", CITY_AUTHORITY, KIND_CAT_SUBMIT, CITY_CIVIL, ROLE_DATA_OFFICER, E_CRED },
        { "FILE may travel over the authority's link", CITY_AUTHORITY, KIND_FILE, CITY_CIVIL, ROLE_DATA_OFFICER, ACCEPTED },
        { "FILE over a third department's link may not", CITY_HEALTH, KIND_FILE, CITY_CIVIL, ROLE_DATA_OFFICER, E_CRED },
        { "the root's acts come over the authority's link", CITY_AUTHORITY, KIND_DEPARTMENT, NULL, ROLE_ROOT, ACCEPTED },
        { "and over no other", CITY_CIVIL, KIND_DEPARTMENT, NULL, ROLE_ROOT, E_CRED },
        { "an agent over its own link", CITY_CIVIL, KIND_UPDATE, CITY_CIVIL, ROLE_AGENT, ACCEPTED },
        { "an agent over another's link", CITY_HEALTH, KIND_UPDATE, CITY_CIVIL, ROLE_AGENT, E_CRED },
        { "a credential that nobody knows", CITY_CIVIL, KIND_GET, NULL, ROLE_USER, E_CRED },
        { "nobody speaks as the broker", CITY_AUTHORITY, KIND_TICK, CITY_AUTHORITY, ROLE_SYSTEM, E_CRED },
};

static struct keydir *directory_of(const struct digest *known, const char *department)
{
        static const uint8_t key[32] = { 1 };
        struct keydir_builder *b = keydir_builder_new();

        assert_int_equal(keydir_add_credential(b, known, SUITE_1, key, department), 0);
        return keydir_build(b);
}

static void test_the_sender_belongs_to_the_link(void **state)
{
        struct digest known = { "known" }, unknown = { "unknown" };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct keydir *d = directory_of(&known, cases[i].signer ? cases[i].signer : CITY_TAX);
                struct keydir_link link = { .link = 1 };
                struct peek p = { .kind = cases[i].kind, .signers_n = 1, .signers = { { cases[i].signer ? known : unknown, cases[i].capacity } } };

                strcpy(link.department, cases[i].link);
                if (sender_check(d, &link, CITY_AUTHORITY, &p) != cases[i].code)
                        fail_msg("%s", cases[i].name);
                keydir_unref(d);
        }
}

static void test_one_strange_signer_among_good_ones_is_enough(void **state)
{
        struct digest known = { "known" }, unknown = { "unknown" };
        struct keydir *d = directory_of(&known, CITY_CIVIL);
        struct keydir_link link = { .link = 1, .department = CITY_CIVIL };
        struct peek p = { .kind = KIND_GET, .signers_n = 2, .signers = { { known, ROLE_USER }, { unknown, ROLE_APPROVER } } };

        assert_refusal(sender_check(d, &link, CITY_AUTHORITY, &p), E_CRED);
        keydir_unref(d);
}

static void test_peek_sees_what_a_real_envelope_holds(void **state)
{
        struct city *c = city_founded();
        struct bytes wire = c->log[0].wire;
        struct peek p;

        assert_true(peek_envelope(wire, &p));
        assert_int_equal(p.kind, KIND_ANCHOR);
        assert_int_equal(p.signers_n, 2);
        assert_int_equal(p.signers[0].capacity, ROLE_ROOT);
        assert_true(digest_equal(&p.signers[0].credential, &c->root[0]->credential));
        city_free(c);
}

static void test_peek_survives_every_truncation_and_flipped_bit(void **state)
{
        struct city *c = city_founded();
        struct bytes wire = c->log[0].wire;
        uint8_t *copy = malloc(wire.n);
        struct peek p;

        for (size_t n = 0; n < wire.n; n++) {
                memcpy(copy, wire.p, n);
                uint8_t *exact = malloc(n ? n : 1);     /* so that a read past the end shows */

                memcpy(exact, copy, n);
                peek_envelope(bytes_of(exact, n), &p);
                assert_true(p.signers_n <= ENVELOPE_SIGNATURES_MAX);
                free(exact);
        }
        memcpy(copy, wire.p, wire.n);
        for (size_t bit = 0; bit < wire.n * 8; bit++) {
                copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
                peek_envelope(bytes_of(copy, wire.n), &p);
                assert_true(p.signers_n <= ENVELOPE_SIGNATURES_MAX);
                copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        free(copy);
        city_free(c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_sender_belongs_to_the_link),
                cmocka_unit_test(test_one_strange_signer_among_good_ones_is_enough),
                cmocka_unit_test(test_peek_sees_what_a_real_envelope_holds),
                cmocka_unit_test(test_peek_survives_every_truncation_and_flipped_bit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
