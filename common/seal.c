/* seal: XChaCha20-Poly1305 for bodies, sealed boxes for their keys, and BLAKE2b for what commits to them.
 *
 * Integers in what is hashed are big-endian; the part of variable width stands last, since parts are not delimited. */
#include "common/seal.h"

#include "common/envelope.h"

#include <assert.h>
#include <sodium.h>

#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES
#define ITEMS_MAX 1024
#define VIEW_KEY_MAX_BYTES 512                  /* of a packed ViewKey */
#define PART_KEY_BYTES (KEY_BYTES + ID_BYTES + DIGEST_BYTES)

_Static_assert(NONCE_BYTES + TAG_BYTES == SEAL_OVERHEAD, "body = nonce | ciphertext | tag");

/* ---- ids ---- */

struct digest view_id(const char *resource, uint32_t version, const uint32_t *items, size_t n, struct bytes filter_digest, uint32_t mask_version, uint32_t rate)
{
        uint8_t head[4 * 4], filter[1 + DIGEST_BYTES] = { 0 }, list[4 * ITEMS_MAX];

        assert(n <= ITEMS_MAX && (filter_digest.n == 0 || filter_digest.n == DIGEST_BYTES));
        put_be32(head, version);
        put_be32(head + 4, mask_version);
        put_be32(head + 8, rate);
        put_be32(head + 12, (uint32_t)n);
        for (size_t i = 0; i < n; i++)
                put_be32(list + 4 * i, items[i]);
        if (filter_digest.n > 0) {
                filter[0] = 1;
                memcpy(filter + 1, filter_digest.p, DIGEST_BYTES);
        }
        return DIGEST_OF(CTX_VIEW, bytes_of(head, sizeof(head)), bytes_of(list, 4 * n), bytes_of(filter, sizeof(filter)), bytes_str(resource));
}

struct digest stream_id(const struct id *agent, const struct digest *view)
{
        return DIGEST_OF(CTX_STREAM, bytes_id(agent), bytes_digest(view));
}

struct digest view_key_id(const char *provider, const struct digest *view, uint32_t view_epoch, const uint8_t key[KEY_BYTES])
{
        uint8_t epoch[4];

        put_be32(epoch, view_epoch);
        return DIGEST_OF(CTX_VIEW_KEY, bytes_digest(view), bytes_of(epoch, sizeof(epoch)), bytes_of(key, KEY_BYTES), bytes_str(provider));
}

/* ---- bodies ---- */

static void aead_seal(const uint8_t key[KEY_BYTES], const struct digest *ad, struct bytes plain, const uint8_t nonce[24], uint8_t *ret)
{
        unsigned long long n;

        memcpy(ret, nonce, NONCE_BYTES);
        crypto_aead_xchacha20poly1305_ietf_encrypt(ret + NONCE_BYTES, &n, plain.p, plain.n, ad->b, DIGEST_BYTES, NULL, nonce, key);
        assert(n == plain.n + TAG_BYTES);
}

static bool aead_open(const uint8_t key[KEY_BYTES], const struct digest *ad, struct bytes sealed, uint8_t *ret)
{
        if (sealed.n < SEAL_OVERHEAD)
                return false;
        return crypto_aead_xchacha20poly1305_ietf_decrypt(ret, NULL, NULL, sealed.p + NONCE_BYTES, sealed.n - NONCE_BYTES,
                                                          ad->b, DIGEST_BYTES, sealed.p, key) == 0;
}

void seal_update(const uint8_t view_key[KEY_BYTES], struct bytes intent, struct bytes plain, const uint8_t nonce[24], uint8_t *ret)
{
        struct digest key = DIGEST_OF(CTX_SUBKEY_UPDATE, bytes_of(view_key, KEY_BYTES));
        struct digest ad = DIGEST_OF(CTX_SEAL, intent);

        aead_seal(key.b, &ad, plain, nonce, ret);
        sodium_memzero(&key, sizeof(key));
}

bool seal_open_update(const uint8_t view_key[KEY_BYTES], struct bytes intent, struct bytes sealed, uint8_t *ret)
{
        struct digest key = DIGEST_OF(CTX_SUBKEY_UPDATE, bytes_of(view_key, KEY_BYTES));
        struct digest ad = DIGEST_OF(CTX_SEAL, intent);
        bool ok = aead_open(key.b, &ad, sealed, ret);

        sodium_memzero(&key, sizeof(key));
        return ok;
}

/* ---- view keys ---- */

struct bytes view_key_wrap(struct arena *a, const Shuyi__V1__ViewKey *k, const uint8_t seal_key[32])
{
        uint8_t plain[VIEW_KEY_MAX_BYTES];
        size_t n = protobuf_c_message_get_packed_size(&k->base);
        uint8_t *p;
        int r;

        assert(n <= sizeof(plain));
        p = arena_alloc(a, n + crypto_box_SEALBYTES);
        if (!p)
                return (struct bytes){ 0 };
        protobuf_c_message_pack(&k->base, plain);
        r = crypto_box_seal(p, plain, n, seal_key);
        sodium_memzero(plain, sizeof(plain));
        return r == 0 ? bytes_of(p, n + crypto_box_SEALBYTES) : (struct bytes){ 0 };    /* a seal key of small order */
}

static bool same(ProtobufCBinaryData a, struct bytes b)
{
        return bytes_equal(bytes_of(a.data, a.len), b);
}

static bool view_key_fits(const Shuyi__V1__ViewKey *k, const Shuyi__V1__AudienceRow *row, const char *provider,
                          const struct digest *view, uint32_t view_epoch, const struct digest *key_id)
{
        struct digest id;

        if (k->key.len != KEY_BYTES || k->grant.len != DIGEST_BYTES || k->agent.len != ID_BYTES || k->view_epoch != view_epoch)
                return false;
        if (!same(k->grant, bytes_of(row->grant.data, row->grant.len)) || !same(k->agent, bytes_of(row->agent.data, row->agent.len)) ||
            !same(k->view, bytes_digest(view)))
                return false;
        id = view_key_id(provider, view, view_epoch, k->key.data);
        return digest_equal(&id, key_id);
}

/* The plaintext passes through the arena, so both copies of the key in it are wiped before it is left. */
bool view_key_unwrap(struct arena *a, struct bytes wrapped, const uint8_t seal_key[32], const uint8_t seal_secret[32],
                     const Shuyi__V1__AudienceRow *row, const char *provider, const struct digest *view, uint32_t view_epoch,
                     const struct digest *key_id, uint8_t ret_key[KEY_BYTES])
{
        uint8_t plain[VIEW_KEY_MAX_BYTES];
        Shuyi__V1__ViewKey *k = NULL;
        bool ok = false;
        size_t n;

        if (wrapped.n < crypto_box_SEALBYTES || wrapped.n - crypto_box_SEALBYTES > sizeof(plain))
                return false;
        n = wrapped.n - crypto_box_SEALBYTES;
        if (crypto_box_seal_open(plain, wrapped.p, wrapped.n, seal_key, seal_secret) == 0)
                k = message_parse(a, &shuyi__v1__view_key__descriptor, bytes_of(plain, n));
        if (k && view_key_fits(k, row, provider, view, view_epoch, key_id)) {
                memcpy(ret_key, k->key.data, KEY_BYTES);
                ok = true;
        }
        if (k && k->key.len > 0)
                sodium_memzero(k->key.data, k->key.len);
        sodium_memzero(plain, sizeof(plain));
        return ok;
}

/* ---- sealed parts of control bodies ---- */

static bool wrap_part_key(struct arena *a, Shuyi__V1__SealedKey *ret, const struct seal_recipient *to, const struct digest *open, const uint8_t content_key[32])
{
        uint8_t plain[PART_KEY_BYTES];
        uint8_t *agent = arena_alloc(a, ID_BYTES), *seal_key = arena_alloc(a, 32);
        uint8_t *wrapped = arena_alloc(a, PART_KEY_BYTES + crypto_box_SEALBYTES);
        int r;

        if (!agent || !seal_key || !wrapped)
                return false;
        memcpy(agent, to->agent.b, ID_BYTES);
        memcpy(seal_key, to->seal_key, 32);
        memcpy(plain, content_key, KEY_BYTES);
        memcpy(plain + KEY_BYTES, to->agent.b, ID_BYTES);
        memcpy(plain + KEY_BYTES + ID_BYTES, open->b, DIGEST_BYTES);
        r = crypto_box_seal(wrapped, plain, sizeof(plain), to->seal_key);
        sodium_memzero(plain, sizeof(plain));
        shuyi__v1__sealed_key__init(ret);
        ret->agent = (ProtobufCBinaryData){ ID_BYTES, agent };
        ret->seal_key = (ProtobufCBinaryData){ 32, seal_key };
        ret->wrapped = (ProtobufCBinaryData){ PART_KEY_BYTES + crypto_box_SEALBYTES, wrapped };
        return r == 0;
}

Shuyi__V1__SealedPart *sealed_part_make(struct arena *a, struct bytes plain, const struct digest *open,
                                        const struct seal_recipient *to, size_t n, const uint8_t content_key[32], const uint8_t nonce[24])
{
        Shuyi__V1__SealedPart *part = ARENA_NEW(a, Shuyi__V1__SealedPart);
        uint8_t *sealed = arena_alloc(a, plain.n + SEAL_OVERHEAD);
        struct digest ad = DIGEST_OF(CTX_SEAL_PART, bytes_digest(open));

        if (!part || !sealed || n == 0 || n > SEALED_PART_RECIPIENTS_MAX)
                return NULL;
        shuyi__v1__sealed_part__init(part);
        aead_seal(content_key, &ad, plain, nonce, sealed);
        part->sealed = (ProtobufCBinaryData){ plain.n + SEAL_OVERHEAD, sealed };
        part->keys = ARENA_ARRAY(a, Shuyi__V1__SealedKey *, n);
        if (!part->keys)
                return NULL;
        for (; part->n_keys < n; part->n_keys++) {
                Shuyi__V1__SealedKey *k = ARENA_NEW(a, Shuyi__V1__SealedKey);

                if (!k || !wrap_part_key(a, k, &to[part->n_keys], open, content_key))
                        return NULL;
                part->keys[part->n_keys] = k;
        }
        return part;
}

/* The content key, if it was wrapped for this agent, this key of it and this body. */
static bool unwrap_part_key(const Shuyi__V1__SealedKey *k, const struct digest *open, const struct id *agent,
                            const uint8_t seal_key[32], const uint8_t seal_secret[32], uint8_t ret[KEY_BYTES])
{
        uint8_t plain[PART_KEY_BYTES];
        bool ok;

        if (!same(k->agent, bytes_id(agent)) || !same(k->seal_key, bytes_of(seal_key, 32)) || k->wrapped.len != sizeof(plain) + crypto_box_SEALBYTES)
                return false;
        ok = crypto_box_seal_open(plain, k->wrapped.data, k->wrapped.len, seal_key, seal_secret) == 0 &&
             memcmp(plain + KEY_BYTES, agent->b, ID_BYTES) == 0 && memcmp(plain + KEY_BYTES + ID_BYTES, open->b, DIGEST_BYTES) == 0;
        if (ok)
                memcpy(ret, plain, KEY_BYTES);
        sodium_memzero(plain, sizeof(plain));
        return ok;
}

struct bytes sealed_part_open(struct arena *a, const Shuyi__V1__SealedPart *part, const struct digest *open,
                              const struct id *agent, const uint8_t seal_key[32], const uint8_t seal_secret[32])
{
        struct digest ad = DIGEST_OF(CTX_SEAL_PART, bytes_digest(open));
        uint8_t key[KEY_BYTES];
        uint8_t *plain;
        bool ok = false;

        if (part->sealed.len < SEAL_OVERHEAD || part->n_keys > SEALED_PART_RECIPIENTS_MAX)
                return (struct bytes){ 0 };
        plain = arena_alloc(a, part->sealed.len - SEAL_OVERHEAD + 1);   /* never of size 0: an opened empty part is not {0} */
        for (size_t i = 0; plain && !ok && i < part->n_keys; i++)
                ok = unwrap_part_key(part->keys[i], open, agent, seal_key, seal_secret, key) &&
                     aead_open(key, &ad, bytes_of(part->sealed.data, part->sealed.len), plain);
        sodium_memzero(key, sizeof(key));
        return ok ? bytes_of(plain, part->sealed.len - SEAL_OVERHEAD) : (struct bytes){ 0 };
}
