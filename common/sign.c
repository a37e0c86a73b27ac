/* sign: context NUL digest, and libsodium's detached Ed25519 over it. */
#include "common/sign.h"

#include <assert.h>
#include <sodium.h>

#define CONTEXT_MAX 40

static size_t signed_bytes(enum digest_context c, const struct digest *d, uint8_t ret[CONTEXT_MAX + 1 + DIGEST_BYTES])
{
        const char *text = digest_context_text(c);
        size_t n = strlen(text) + 1;

        assert(n <= CONTEXT_MAX + 1);
        memcpy(ret, text, n);
        memcpy(ret + n, d->b, DIGEST_BYTES);
        return n + DIGEST_BYTES;
}

void sign_digest(enum digest_context c, const struct digest *d, const uint8_t secret[SIGN_SECRET_BYTES], uint8_t ret_signature[SIGNATURE_BYTES])
{
        uint8_t m[CONTEXT_MAX + 1 + DIGEST_BYTES];
        size_t n = signed_bytes(c, d, m);

        crypto_sign_detached(ret_signature, NULL, m, n, secret);
}

bool sign_check_digest(enum digest_context c, const struct digest *d, struct bytes signature, const uint8_t key[SIGN_KEY_BYTES])
{
        uint8_t m[CONTEXT_MAX + 1 + DIGEST_BYTES];
        size_t n = signed_bytes(c, d, m);

        return signature.n == SIGNATURE_BYTES && crypto_sign_verify_detached(signature.p, m, n, key) == 0;
}
