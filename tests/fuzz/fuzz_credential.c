/* credential: credentials, key requests and signed credentials, raw or signed here.  What passes keeps its form and its bounds. */
#include "common/credential.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/sample.h"

static void check_form(struct arena *a, struct bytes wire)
{
        const Shuyi__V1__Credential *c = message_parse(a, &shuyi__v1__credential__descriptor, wire);

        if (!c || credential_check_form(c))
                return;
        REQUIRE(c->subject && domain_check(c->subject->domain) && c->subject->sign_key.len == 32);
        REQUIRE(c->not_before < c->not_after && c->issuer.len == DIGEST_BYTES);
        REQUIRE(c->subject->kind == SUBJECT_BROKER || department_check(c->subject->department));
        REQUIRE(!credential_check_issue(c, c)); /* no link of a chain may be made by its own like */
}

/* Signed by seed 1: passes exactly if the form does and the key is that one; then no flipped signature does. */
static void check_request(struct arena *a, struct bytes wire, uint8_t bit)
{
        const Shuyi__V1__KeyRequest *r = message_parse(a, &shuyi__v1__key_request__descriptor, wire), *checked = NULL;
        struct sample_key k = sample_key(1);
        uint8_t signature[64];
        struct bytes again;

        if (!r)
                return;
        again = key_request_sign(a, r, k.secret, signature);
        REQUIRE(bytes_equal(again, wire));
        if (key_request_check(wire, bytes_of(signature, 64), a, &checked))
                return;
        REQUIRE(checked && checked->sign_key.len == 32 && memcmp(checked->sign_key.data, k.key, 32) == 0);
        signature[bit / 8 * 2] ^= (uint8_t)(1 << bit % 8);
        REQUIRE(key_request_check(wire, bytes_of(signature, 64), a, &checked));
}

/* Credential and key request of the input, signed by seeds 2 and 1. */
static void check_signed(struct arena *a, struct script *s)
{
        struct bytes credential = script_take(s, script_u16(s)), request = script_rest(s);
        struct sample_key holder = sample_key(1), issuer = sample_key(2);
        Shuyi__V1__SignedCredential sc = SHUYI__V1__SIGNED_CREDENTIAL__INIT;
        const Shuyi__V1__Credential *c = NULL;
        uint8_t by_issuer[64], by_holder[64];
        const Shuyi__V1__KeyRequest *r = message_parse(a, &shuyi__v1__key_request__descriptor, request);

        if (!r)
                return;
        credential_sign(credential, issuer.secret, by_issuer);
        key_request_sign(a, r, holder.secret, by_holder);
        sc.credential = (ProtobufCBinaryData){ credential.n, (uint8_t *)credential.p };
        sc.signature = (ProtobufCBinaryData){ 64, by_issuer };
        sc.key_request = (ProtobufCBinaryData){ request.n, (uint8_t *)request.p };
        sc.key_request_signature = (ProtobufCBinaryData){ 64, by_holder };
        if (credential_check_signed(a, &sc, issuer.key, &c))
                return;
        REQUIRE(c && !credential_check_form(c));
        REQUIRE(memcmp(c->subject->sign_key.data, holder.key, 32) == 0);
        REQUIRE(credential_check_signed(a, &sc, holder.key, &c));
}

static void check_raw(struct arena *a, struct bytes wire)
{
        const Shuyi__V1__SignedCredential *s = message_parse(a, &shuyi__v1__signed_credential__descriptor, wire);
        const Shuyi__V1__Credential *c = NULL;
        struct sample_key issuer = sample_key(2);
        char fingerprint[FINGERPRINT_TEXT];

        if (s && !credential_check_signed(a, s, issuer.key, &c))
                REQUIRE(c && !credential_check_form(c));
        fingerprint_format(wire, fingerprint);
        REQUIRE(strlen(fingerprint) == FINGERPRINT_TEXT - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_(arena_freep) struct arena *a = fuzz_arena(8 << 20);
        struct script s = { data, n };
        uint8_t bit;

        switch (script_u8(&s) % 4) {
        case 0: check_form(a, script_rest(&s)); break;
        case 1:
                bit = script_u8(&s);
                check_request(a, script_rest(&s), bit);
                break;
        case 2: check_signed(a, &s); break;
        case 3: check_raw(a, script_rest(&s)); break;
        }
        return 0;
}
