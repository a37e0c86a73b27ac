/* envelope: raw bytes, or an intent and a body put into an envelope that is signed.
 *
 * What verifies also parses, to the same digests; a flipped bit is refused; without its body it is the same act. */
#include "common/envelope.h"
#include "common/intent.h"
#include "common/wire.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/sample.h"

static bool inside(struct bytes part, struct bytes whole)
{
        return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void check_claim(struct bytes wire, const struct claim *c)
{
        struct digest d = digest_plain(c->header);

        REQUIRE(inside(c->header, wire) && inside(c->body, wire) && inside(c->intent_bytes, c->header));
        REQUIRE(digest_equal(&d, &c->header_digest));
        REQUIRE(c->kind && c->kind->number == c->intent->kind);
        REQUIRE(c->signers_n <= ENVELOPE_SIGNATURES_MAX);
        REQUIRE(!intent_check_form(c->intent));
        for (unsigned i = 0; i < c->signers_n; i++)
                REQUIRE(inside(c->signers[i].signature, wire) && c->signers[i].signature.n == 64);
        if (c->open_body)
                REQUIRE(c->open_body->descriptor == c->kind->body);
}

/* Without its body: still the act that was signed. */
static void check_bare(struct arena *a, struct bytes wire, const struct key_source *keys, const struct claim *whole)
{
        struct bytes bare = envelope_strip(a, wire), again;
        const struct claim *c;

        REQUIRE(bare.p);
        again = envelope_strip(a, bare);
        REQUIRE(bytes_equal(bare, again));
        REQUIRE(envelope_verify_bare(a, bare, keys, &c) == ACCEPTED);
        REQUIRE(digest_equal(&c->header_digest, &whole->header_digest) && digest_equal(&c->envelope_digest, &whole->envelope_digest));
        REQUIRE(!c->open_body);
}

static enum refusal check_wire(struct arena *a, struct bytes wire)
{
        struct key_source keys = { sample_find, NULL };
        const struct claim *parsed = NULL, *verified = NULL;
        enum refusal p = envelope_parse(a, wire, &parsed), v = envelope_verify(a, wire, &keys, &verified);

        REQUIRE(p == ACCEPTED || p == E_FORM);
        REQUIRE(v == ACCEPTED || v == E_FORM || v == E_CRED);
        REQUIRE((p == ACCEPTED) == (parsed != NULL) && (v == ACCEPTED) == (verified != NULL));
        if (parsed)
                check_claim(wire, parsed);
        if (!verified)
                return v;
        REQUIRE(parsed && verified->signers_n > 0);
        REQUIRE(digest_equal(&parsed->envelope_digest, &verified->envelope_digest));
        check_bare(a, wire, &keys, verified);
        return v;
}

/* Three bytes choose signers and the bit to flip, two how long the intent is. */
static void check_built(struct arena *a, struct script *s)
{
        uint8_t signers = script_u8(s) % 5, bit = script_u8(s);
        uint16_t at = script_u16(s);
        struct bytes packed = script_take(s, script_u16(s)), body = script_rest(s), wire;
        const Shuyi__V1__Intent *intent = message_parse(a, &shuyi__v1__intent__descriptor, packed);
        uint8_t *flipped;

        if (!intent)
                return;
        wire = envelope_draft(a, intent, body);
        for (uint8_t i = 1; i <= signers && wire.p; i++) {
                struct sample_key k = sample_key(i);

                wire = envelope_sign(a, wire, &k.id, ROLE_USER, k.secret);
        }
        if (!wire.p)
                return;
        REQUIRE(check_wire(a, wire) == ACCEPTED || signers == 0 || intent->suite != SUITE_1 || arena_failed(a));
        flipped = (uint8_t *)arena_copy(a, wire).p;
        REQUIRE(flipped);
        flipped[at % wire.n] ^= (uint8_t)(1 << bit % 8);
        REQUIRE(check_wire(a, bytes_of(flipped, wire.n)) != ACCEPTED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_(arena_freep) struct arena *a = fuzz_arena(32 << 20);
        struct script s = { data, n };

        if (script_u8(&s) % 2)
                check_built(a, &s);
        else
                check_wire(a, script_rest(&s));
        return 0;
}
