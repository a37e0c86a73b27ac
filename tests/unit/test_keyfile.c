/* keyfile: what opens with which passphrase, and which files are not opened at all; secrets beneath. */
#include "common/artifact.h"
#include "common/keyfile.h"
#include "tests/lib/sample.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const uint8_t drawn[KEYFILE_RANDOM_BYTES] = { 1, 2, 3, 4, 5 };
static const struct bytes none = { 0 };

static struct keyfile sample(enum keyfile_use use)
{
        struct sample_key k = sample_key(1);
        struct sample_box link = sample_box(2), seal = sample_box(3);
        struct keyfile f = { .use = use };

        memcpy(f.sign_key, k.key, 32);
        f.sign = secret_copy(bytes_of(k.secret, 64));
        if (use == KEYFILE_AGENT) {
                f.link = secret_copy(bytes_of(link.secret, 32));
                f.seal = secret_copy(bytes_of(seal.secret, 32));
        }
        return f;
}

static void test_a_persons_key_opens_with_its_passphrase_alone(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 16);
        _cleanup_(keyfile_fini) struct keyfile k = sample(KEYFILE_PERSON), got = { 0 };
        struct bytes text;

        assert_int_equal(keyfile_seal(a, &k, KEYFILE_SEALED_DEMO, bytes_str("木棉花开"), drawn, &text), 0);
        assert_int_equal(keyfile_open(text, bytes_str("木棉花谢"), true, &got), -EKEYREJECTED);
        assert_int_equal(keyfile_open(text, none, true, &got), -EKEYREJECTED);
        assert_int_equal(keyfile_open(text, bytes_str("木棉花开"), false, &got), -EPERM);
        assert_null(got.sign);
        assert_int_equal(keyfile_open(text, bytes_str("木棉花开"), true, &got), 0);
        assert_true(secret_equal(got.sign, k.sign));
        assert_null(got.link);
        assert_null(got.seal);
        assert_int_equal(got.use, KEYFILE_PERSON);
        assert_memory_equal(got.sign_key, k.sign_key, 32);
        assert_null(memmem(text.p, text.n, secret_peek(k.sign), 32));
}

static void test_an_agents_keys_may_lie_open(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 16);
        _cleanup_(keyfile_fini) struct keyfile k = sample(KEYFILE_AGENT), got = { 0 };
        enum keyfile_protection protection;
        enum keyfile_use use;
        struct bytes text;
        uint8_t key[32];

        assert_int_equal(keyfile_seal(a, &k, KEYFILE_OPEN, none, drawn, &text), 0);
        assert_int_equal(keyfile_open(text, none, false, &got), 0);
        assert_true(secret_equal(got.sign, k.sign));
        assert_true(secret_equal(got.link, k.link));
        assert_true(secret_equal(got.seal, k.seal));
        assert_true(keyfile_peek(text, &use, &protection, key));
        assert_int_equal(use, KEYFILE_AGENT);
        assert_int_equal(protection, KEYFILE_OPEN);
        assert_memory_equal(key, k.sign_key, 32);
}

static void test_what_may_not_be_sealed_so(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 16);
        _cleanup_(keyfile_fini) struct keyfile person = sample(KEYFILE_PERSON), root = sample(KEYFILE_ROOT), agent = sample(KEYFILE_AGENT);
        struct bytes text;

        assert_int_equal(keyfile_seal(a, &person, KEYFILE_OPEN, none, drawn, &text), -EINVAL);
        assert_int_equal(keyfile_seal(a, &root, KEYFILE_OPEN, none, drawn, &text), -EINVAL);
        assert_int_equal(keyfile_seal(a, &person, KEYFILE_SEALED, none, drawn, &text), -EINVAL);
        assert_int_equal(keyfile_seal(a, &agent, KEYFILE_OPEN, bytes_str("x"), drawn, &text), -EINVAL);
        agent.sign_key[0] ^= 1;
        assert_int_equal(keyfile_seal(a, &agent, KEYFILE_OPEN, none, drawn, &text), -EINVAL);
}

/* Changes one byte of the content and writes the file anew. */
static struct bytes changed(struct arena *a, struct bytes text, size_t at, uint8_t value)
{
        struct bytes content;

        assert_null(artifact_decode(a, ARTIFACT_KEY, text, &content));
        ((uint8_t *)content.p)[at] = value;
        return artifact_encode(a, ARTIFACT_KEY, content);
}

static void test_files_that_are_not_exact_or_ask_for_too_much(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        _cleanup_(keyfile_fini) struct keyfile k = sample(KEYFILE_AGENT), got = { 0 };
        struct bytes open, sealed;

        assert_int_equal(keyfile_seal(a, &k, KEYFILE_OPEN, none, drawn, &open), 0);
        assert_int_equal(keyfile_seal(a, &k, KEYFILE_SEALED_DEMO, bytes_str("p"), drawn, &sealed), 0);
        assert_int_equal(keyfile_open(changed(a, open, 0, 9), none, false, &got), -EBADMSG);           /* use */
        assert_int_equal(keyfile_open(changed(a, open, 0, KEYFILE_PERSON), none, false, &got), -EBADMSG);
        assert_int_equal(keyfile_open(changed(a, open, 1, 3), none, false, &got), -EBADMSG);           /* protection */
        assert_int_equal(keyfile_open(changed(a, open, 2, 1), none, false, &got), -EBADMSG);           /* present, and a secret that is not */
        assert_int_equal(keyfile_open(changed(a, open, 3, 1), none, false, &got), -EBADMSG);
        assert_int_equal(keyfile_open(changed(a, open, 20, 1), none, false, &got), -EBADMSG);          /* salt of an open one */
        assert_int_equal(keyfile_open(changed(a, open, 60, 0), none, false, &got), -EBADMSG);          /* another public key */
        assert_int_equal(keyfile_open(changed(a, sealed, 6, 1), bytes_str("p"), true, &got), -EBADMSG);/* 258 passes */
        assert_int_equal(keyfile_open(changed(a, sealed, 10, 1), bytes_str("p"), true, &got), -EBADMSG);       /* a tebibyte */
        assert_int_equal(keyfile_open(changed(a, sealed, 7, 1), bytes_str("p"), true, &got), -EPERM);  /* one pass */
        assert_int_equal(keyfile_open(changed(a, sealed, 1, KEYFILE_SEALED), bytes_str("p"), false, &got), -EPERM);    /* demo figures under another name */
        assert_int_equal(keyfile_open(changed(a, sealed, 60, 0), bytes_str("p"), true, &got), -EKEYREJECTED);
        for (size_t n = 0; n < open.n; n++)
                assert_int_equal(keyfile_open(bytes_of(open.p, n), none, false, &got), -EBADMSG);
        assert_null(got.sign);
}

static void test_secrets_hold_compare_and_go(void **state)
{
        struct secret *a = secret_copy(bytes_str("0123456789")), *b = secret_new(10);

        assert_non_null(a);
        assert_int_equal(secret_size(b), 10);
        assert_true(sodium_is_zero(secret_peek(b), 10));
        assert_false(secret_equal(a, b));
        memcpy(secret_bytes(b), "0123456789", 10);
        assert_true(secret_equal(a, b));
        secret_free(a);
        secret_free(b);
        secret_free(NULL);
        assert_null(secret_new(0));
        assert_true(secret_check_mlock() <= 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_persons_key_opens_with_its_passphrase_alone),
                cmocka_unit_test(test_an_agents_keys_may_lie_open),
                cmocka_unit_test(test_what_may_not_be_sealed_so),
                cmocka_unit_test(test_files_that_are_not_exact_or_ask_for_too_much),
                cmocka_unit_test(test_secrets_hold_compare_and_go),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
