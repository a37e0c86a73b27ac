/* sign: one Ed25519 signature over a digest, in a context of its own.
 *
 * What is signed is the context's text, NUL and the 32 bytes: never a whole message (Ed25519 hashes slowly), and
 * never the same bytes for two purposes.  Credentials, key requests, anchors and receipts use it; the
 * envelope has its own signed bytes (envelope.h).  Pure; any thread. */
#pragma once
#include "common/bytes.h"
#include "common/digest.h"

#define SIGNATURE_BYTES 64
#define SIGN_KEY_BYTES 32
#define SIGN_SECRET_BYTES 64                    /* libsodium's form: seed, then public key */

void sign_digest(enum digest_context c, const struct digest *d, const uint8_t secret[SIGN_SECRET_BYTES], uint8_t ret_signature[SIGNATURE_BYTES]);
/* false for a signature of another length as well. */
bool sign_check_digest(enum digest_context c, const struct digest *d, struct bytes signature, const uint8_t key[SIGN_KEY_BYTES]);
