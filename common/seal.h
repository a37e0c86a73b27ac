/* seal: view keys, the sealing of stream bodies, and sealed parts of control bodies (DESIGN 4, 6; R-126).
 *
 * body = nonce(24) | ciphertext | tag(16), XChaCha20-Poly1305, associated data BLAKE2b-256("shuyi/seal/v1" NUL intent).
 * key_id commits to the key and to what it is for, and is recomputed on unwrap.  Pure: nonces, keys and
 * salts come from the caller; secrets are the caller's to wipe. */
#pragma once
#include "common/arena.h"
#include "common/bytes.h"
#include "common/digest.h"
#include "proto/request.pb-c.h"
#include "proto/stream.pb-c.h"

#define SEAL_OVERHEAD 40
#define KEY_BYTES 32
#define SEALED_PART_RECIPIENTS_MAX 16

struct digest view_id(const char *resource, uint32_t version, const uint32_t *items, size_t n, struct bytes filter_digest, uint32_t mask_version, uint32_t rate);
struct digest stream_id(const struct id *agent, const struct digest *view);
struct digest view_key_id(const char *provider, const struct digest *view, uint32_t view_epoch, const uint8_t key[KEY_BYTES]);

/* Seals `plain` for updates under a view key.  `ret` must hold plain.n + SEAL_OVERHEAD. */
void seal_update(const uint8_t view_key[KEY_BYTES], struct bytes intent, struct bytes plain, const uint8_t nonce[24], uint8_t *ret);
/* false if it does not open.  `ret` must hold sealed.n - SEAL_OVERHEAD; sealed.n is checked. */
bool seal_open_update(const uint8_t view_key[KEY_BYTES], struct bytes intent, struct bytes sealed, uint8_t *ret);

/* Wraps a view key for one grantee (crypto_box_seal of a ViewKey). {0} when the arena is full. */
struct bytes view_key_wrap(struct arena *a, const Shuyi__V1__ViewKey *k, const uint8_t seal_key[32]);
/* Opens it and checks that it repeats grant, agent, view and epoch, and that `key_id` commits to it. */
bool view_key_unwrap(struct arena *a, struct bytes wrapped, const uint8_t seal_key[32], const uint8_t seal_secret[32],
                     const Shuyi__V1__AudienceRow *row, const char *provider, const struct digest *view, uint32_t view_epoch,
                     const struct digest *key_id, uint8_t ret_key[KEY_BYTES]);

/* A sealed part for several agents.  `open` is what its associated data binds: the digest of the open body packed
 * without its sealed part, with the header's intent left out (it does not exist yet). */
struct seal_recipient { struct id agent; uint8_t seal_key[32]; };
Shuyi__V1__SealedPart *sealed_part_make(struct arena *a, struct bytes plain, const struct digest *open,
                                        const struct seal_recipient *to, size_t n, const uint8_t content_key[32], const uint8_t nonce[24]);
/* The plaintext in `a`; {0} if this agent is not named or it does not open. */
struct bytes sealed_part_open(struct arena *a, const Shuyi__V1__SealedPart *part, const struct digest *open,
                              const struct id *agent, const uint8_t seal_key[32], const uint8_t seal_secret[32]);
