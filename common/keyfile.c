/* keyfile: a fixed layout, so that reading it parses nothing.
 *
 *   0  use        1                    56  sign key (public)   32
 *   1  protection 1                    88  sealed: secrets 128, tag 16; or open: secrets 128
 *   2  present    1   bit 0 link, bit 1 seal
 *   3  zero       1
 *   4  passes     4   big-endian
 *   8  memory     8   bytes, big-endian
 *  16  salt      16
 *  32  nonce     24
 *
 * secrets = sign 64 | link 32 | seal 32, absent ones zero.  Bytes 0..87 are the associated data of the seal. */
#include "common/keyfile.h"

#include "common/artifact.h"
#include "common/macro.h"
#include "common/sign.h"

#include <errno.h>
#include <sodium.h>

#define HEAD_BYTES 88
#define LINK_BYTES 32
#define SECRETS_BYTES (SIGN_SECRET_BYTES + 2 * LINK_BYTES)
#define TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES
#define CONTENT_MAX (HEAD_BYTES + SECRETS_BYTES + TAG_BYTES)
#define PASSES_MAX 16
#define MEMORY_MAX (1024ull * 1024 * 1024)
#define TEXT_MAX 1024
#define PRESENT_LINK 1
#define PRESENT_SEAL 2

_Static_assert(crypto_pwhash_SALTBYTES == 16 && crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == 24, "layout");

/* What each protection costs at least, in Argon2id passes and bytes. */
static const struct { uint32_t passes; uint64_t memory; } least[] = {
        [KEYFILE_OPEN] = { 0, 0 },
        [KEYFILE_SEALED] = { 3, 256ull * 1024 * 1024 },
        [KEYFILE_SEALED_DEMO] = { 2, 64ull * 1024 * 1024 },
};

struct head {
        enum keyfile_use use;
        enum keyfile_protection protection;
        uint8_t present;
        uint32_t passes;
        uint64_t memory;
        const uint8_t *salt, *nonce, *sign_key;
};

static bool may_be_open(enum keyfile_use use)
{
        return use == KEYFILE_AGENT || use == KEYFILE_BROKER || use == KEYFILE_LOG || use == KEYFILE_WITNESS;
}

void keyfile_fini(struct keyfile *k)
{
        secret_free(k->sign);
        secret_free(k->link);
        secret_free(k->seal);
        *k = (struct keyfile){ 0 };
}

/* ---- writing ---- */

static void write_head(const struct keyfile *k, enum keyfile_protection p, const uint8_t random[KEYFILE_RANDOM_BYTES], uint8_t ret[HEAD_BYTES])
{
        memset(ret, 0, HEAD_BYTES);
        ret[0] = (uint8_t)k->use;
        ret[1] = (uint8_t)p;
        ret[2] = (uint8_t)((k->link ? PRESENT_LINK : 0) | (k->seal ? PRESENT_SEAL : 0));
        put_be32(ret + 4, least[p].passes);
        put_be64(ret + 8, least[p].memory);
        if (p != KEYFILE_OPEN)
                memcpy(ret + 16, random, KEYFILE_RANDOM_BYTES);
        memcpy(ret + 56, k->sign_key, SIGN_KEY_BYTES);
}

static void write_secrets(const struct keyfile *k, uint8_t *ret)
{
        memset(ret, 0, SECRETS_BYTES);
        memcpy(ret, secret_peek(k->sign), SIGN_SECRET_BYTES);
        if (k->link)
                memcpy(ret + SIGN_SECRET_BYTES, secret_peek(k->link), LINK_BYTES);
        if (k->seal)
                memcpy(ret + SIGN_SECRET_BYTES + LINK_BYTES, secret_peek(k->seal), LINK_BYTES);
}

static int stretch(struct bytes passphrase, const uint8_t *salt, uint32_t passes, uint64_t memory, uint8_t ret_key[32])
{
        return crypto_pwhash(ret_key, 32, passphrase.n ? (const char *)passphrase.p : "", passphrase.n, salt, passes, (size_t)memory,
                             crypto_pwhash_ALG_ARGON2ID13) == 0 ? 0 : -ENOMEM;
}

/* `secrets` in, the tag behind it: sealed in place under the head. */
static int seal_secrets(const uint8_t head[HEAD_BYTES], enum keyfile_protection p, struct bytes passphrase, uint8_t *secrets)
{
        uint8_t key[32];
        int r = stretch(passphrase, head + 16, least[p].passes, least[p].memory, key);

        if (r == 0)
                crypto_aead_xchacha20poly1305_ietf_encrypt(secrets, NULL, secrets, SECRETS_BYTES, head, HEAD_BYTES, NULL, head + 32, key);
        sodium_memzero(key, sizeof(key));
        return r;
}

static bool keyfile_check(const struct keyfile *k)
{
        if (k->use < KEYFILE_PERSON || k->use > KEYFILE_WITNESS || !k->sign || secret_size(k->sign) != SIGN_SECRET_BYTES)
                return false;
        if ((k->link && secret_size(k->link) != LINK_BYTES) || (k->seal && secret_size(k->seal) != LINK_BYTES))
                return false;
        return memcmp(secret_peek(k->sign) + 32, k->sign_key, SIGN_KEY_BYTES) == 0;
}

int keyfile_seal(struct arena *a, const struct keyfile *k, enum keyfile_protection p, struct bytes passphrase,
                 const uint8_t random[KEYFILE_RANDOM_BYTES], struct bytes *ret)
{
        uint8_t content[CONTENT_MAX];
        size_t n = HEAD_BYTES + SECRETS_BYTES;
        struct bytes text = { 0 };
        int r = 0;

        if (!keyfile_check(k) || p > KEYFILE_SEALED_DEMO || (p == KEYFILE_OPEN) != (passphrase.n == 0))
                return -EINVAL;
        if (p == KEYFILE_OPEN && !may_be_open(k->use))
                return -EINVAL;
        write_head(k, p, random, content);
        write_secrets(k, content + HEAD_BYTES);
        if (p != KEYFILE_OPEN) {
                r = seal_secrets(content, p, passphrase, content + HEAD_BYTES);
                n += TAG_BYTES;
        }
        if (r == 0)
                text = artifact_encode(a, ARTIFACT_KEY, bytes_of(content, n));
        sodium_memzero(content, sizeof(content));
        if (r < 0)
                return r;
        if (!text.p)
                return -ENOMEM;
        *ret = text;
        return 0;
}

/* ---- reading ---- */

/* Exactly the layout?  Whether it is strong enough is for the caller. */
static bool read_head(struct bytes content, struct head *ret)
{
        struct head h;

        if (content.n < HEAD_BYTES)
                return false;
        h = (struct head){ content.p[0], content.p[1], content.p[2], get_be32(content.p + 4), get_be64(content.p + 8),
                           content.p + 16, content.p + 32, content.p + 56 };
        if (h.use < KEYFILE_PERSON || h.use > KEYFILE_WITNESS || h.protection > KEYFILE_SEALED_DEMO)
                return false;
        if (h.present > (PRESENT_LINK | PRESENT_SEAL) || content.p[3] != 0 || h.passes > PASSES_MAX || h.memory > MEMORY_MAX)
                return false;
        if (h.protection == KEYFILE_OPEN && (!sodium_is_zero(content.p + 4, 52) || !may_be_open(h.use)))
                return false;
        if (content.n != HEAD_BYTES + SECRETS_BYTES + (h.protection == KEYFILE_OPEN ? 0 : TAG_BYTES))
                return false;
        *ret = h;
        return true;
}

static struct secret *take_secret(const uint8_t *p, size_t n, bool present, bool *ok)
{
        struct secret *s;

        if (!present) {
                *ok = *ok && sodium_is_zero(p, n);
                return NULL;
        }
        s = secret_copy(bytes_of(p, n));
        return s;
}

/* Secrets into guarded memory.  -EBADMSG: the signing key is not the one that the head shows, or an absent one is not zero. */
static int take_secrets(const struct head *h, const uint8_t *secrets, struct keyfile *ret)
{
        struct keyfile k = { .use = h->use };
        bool link = h->present & PRESENT_LINK, seal = h->present & PRESENT_SEAL, ok = true;
        uint8_t key[32], again[64];

        crypto_sign_seed_keypair(key, again, secrets);
        ok = sodium_memcmp(again, secrets, SIGN_SECRET_BYTES) == 0 && memcmp(key, h->sign_key, sizeof(key)) == 0;
        sodium_memzero(again, sizeof(again));
        memcpy(k.sign_key, h->sign_key, sizeof(k.sign_key));
        k.sign = take_secret(secrets, SIGN_SECRET_BYTES, true, &ok);
        k.link = take_secret(secrets + SIGN_SECRET_BYTES, LINK_BYTES, link, &ok);
        k.seal = take_secret(secrets + SIGN_SECRET_BYTES + LINK_BYTES, LINK_BYTES, seal, &ok);
        if (ok && k.sign && (k.link || !link) && (k.seal || !seal)) {
                *ret = k;
                return 0;
        }
        keyfile_fini(&k);
        return ok ? -ENOMEM : -EBADMSG;
}

static int open_content(struct bytes content, struct bytes passphrase, bool allow_demo, struct keyfile *ret)
{
        uint8_t secrets[SECRETS_BYTES], key[32];
        struct head h;
        int r = 0;

        if (!read_head(content, &h))
                return -EBADMSG;
        if (h.passes < least[h.protection].passes || h.memory < least[h.protection].memory || (h.protection == KEYFILE_SEALED_DEMO && !allow_demo))
                return -EPERM;
        if (h.protection == KEYFILE_OPEN) {
                memcpy(secrets, content.p + HEAD_BYTES, SECRETS_BYTES);
        } else {
                r = stretch(passphrase, h.salt, h.passes, h.memory, key);
                if (r == 0 && crypto_aead_xchacha20poly1305_ietf_decrypt(secrets, NULL, NULL, content.p + HEAD_BYTES, SECRETS_BYTES + TAG_BYTES,
                                                                        content.p, HEAD_BYTES, h.nonce, key) != 0)
                        r = -EKEYREJECTED;
                sodium_memzero(key, sizeof(key));
        }
        if (r == 0)
                r = take_secrets(&h, secrets, ret);
        sodium_memzero(secrets, sizeof(secrets));
        return r;
}

/* The content of a key file's text, in an arena of its own: *ret_arena is the caller's, whose content holds secrets if open. */
static bool read_content(struct bytes text, struct arena **ret_arena, struct bytes *ret)
{
        *ret_arena = text.n <= TEXT_MAX ? arena_new(16 * 1024) : NULL;
        return *ret_arena && !artifact_decode(*ret_arena, ARTIFACT_KEY, text, ret);
}

int keyfile_open(struct bytes text, struct bytes passphrase, bool allow_demo, struct keyfile *ret)
{
        _cleanup_(arena_freep) struct arena *a = NULL;
        struct bytes content;
        int r;

        if (!read_content(text, &a, &content))
                return -EBADMSG;
        r = open_content(content, passphrase, allow_demo, ret);
        sodium_memzero((uint8_t *)(uintptr_t)content.p, content.n);
        return r;
}

bool keyfile_peek(struct bytes text, enum keyfile_use *ret_use, enum keyfile_protection *ret_protection, uint8_t ret_sign_key[32])
{
        _cleanup_(arena_freep) struct arena *a = NULL;
        struct bytes content;
        struct head h;
        bool ok;

        if (!read_content(text, &a, &content))
                return false;
        ok = read_head(content, &h);
        if (ok) {
                *ret_use = h.use;
                *ret_protection = h.protection;
                memcpy(ret_sign_key, h.sign_key, SIGN_KEY_BYTES);
        }
        sodium_memzero((uint8_t *)(uintptr_t)content.p, content.n);
        return ok;
}
