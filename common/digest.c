/* digest: BLAKE2b-256 of libsodium in our contexts.  Pure. */
#include "common/digest.h"
#include "common/macro.h"
#include <assert.h>
#include <sodium.h>

#define CONTEXT_TEXT(constant, text) text,
static const char *const contexts[] = { DIGEST_CONTEXTS(CONTEXT_TEXT) };

const char *digest_context_text(enum digest_context c)
{
        assert((unsigned)c < DIGEST_CONTEXT_COUNT);
        return contexts[c];
}

struct digest digest_plain(struct bytes b)
{
        struct digest d;

        crypto_generichash(d.b, DIGEST_BYTES, b.p, b.n, NULL, 0);
        return d;
}

struct digest digest_of(enum digest_context c, const struct bytes *parts, size_t n)
{
        const char *text = digest_context_text(c);
        crypto_generichash_state state;
        struct digest d;

        crypto_generichash_init(&state, NULL, 0, DIGEST_BYTES);
        crypto_generichash_update(&state, (const uint8_t *)text, strlen(text) + 1);
        for (size_t i = 0; i < n; i++)
                if (parts[i].n)
                        crypto_generichash_update(&state, parts[i].p, parts[i].n);
        crypto_generichash_final(&state, d.b, DIGEST_BYTES);
        return d;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
        return memcmp(a->b, b->b, DIGEST_BYTES) == 0;
}

bool digest_is_zero(const struct digest *d)
{
        static const struct digest zero;

        return digest_equal(d, &zero);
}
