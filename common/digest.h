/* digest: every hash of the exchange, each in a context of its own.
 *
 * BLAKE2b-256 throughout, but for the log's tree (SHA-256, RFC 9162: common/merkle.h).  A context is the
 * text of the table below followed by NUL, so that what is hashed or signed for one thing can never
 * pass for another.  PROTOCOL.md has the same table.  Pure. */
#pragma once
#include "common/bytes.h"

/* X(constant, text) */
#define DIGEST_CONTEXTS(X) \
        X(CTX_ENVELOPE, "shuyi/envelope/v1") \
        X(CTX_ENVELOPE_DIGEST, "shuyi/envelope-digest/v1") \
        X(CTX_CREDENTIAL, "shuyi/credential/v1") \
        X(CTX_KEY_REQUEST, "shuyi/key-request/v1") \
        X(CTX_ROOT_KEY, "shuyi/root-key/v1") \
        X(CTX_ANCHOR, "shuyi/anchor/v1") \
        X(CTX_RECEIPT, "shuyi/receipt/v1") \
        X(CTX_SEAL, "shuyi/seal/v1") \
        X(CTX_SEAL_PART, "shuyi/seal-part/v1") \
        X(CTX_VIEW, "shuyi/view/v1") \
        X(CTX_STREAM, "shuyi/stream/v1") \
        X(CTX_VIEW_KEY, "shuyi/view-key/v1") \
        X(CTX_SUBKEY_UPDATE, "shuyi/subkey/update/v1") \
        X(CTX_SUBKEY_QUERY, "shuyi/subkey/query/v1") \
        X(CTX_SUBKEY_ANSWER, "shuyi/subkey/answer/v1") \
        X(CTX_RECORD_SALT, "shuyi/record-salt/v1") \
        X(CTX_RECORD_LEAF, "shuyi/record-leaf/v1") \
        X(CTX_ROW_LEAF, "shuyi/row-leaf/v1") \
        X(CTX_NODE, "shuyi/node/v1") \
        X(CTX_SALTED, "shuyi/salted/v1") \
        X(CTX_TRUST_CHAIN, "shuyi/trust-chain/v1") \
        X(CTX_TRUST_MAP, "shuyi/trust-map/v1") \
        X(CTX_EFFECTS, "shuyi/effects/v1") \
        X(CTX_EFFECTS_CHAIN, "shuyi/effects-chain/v1") \
        X(CTX_LEAF, "shuyi/leaf/v1") \
        X(CTX_POLICY, "shuyi/policy/v1") \
        X(CTX_CALENDAR, "shuyi/calendar/v1") \
        X(CTX_SEGMENT, "shuyi/segment/v1") \
        X(CTX_SEGMENT_RECORD, "shuyi/segment-record/v1") \
        X(CTX_SECRECY, "shuyi/secrecy-review/v1") \
        X(CTX_FINGERPRINT, "shuyi/fingerprint/v1") \
        X(CTX_STORAGE, "shuyi/storage/v1") \
        X(CTX_LOGIN, "shuyi/login/v1") \
        X(CTX_BACKUP, "shuyi/backup/v1") \
        X(CTX_BASE, "shuyi/base/v1")

#define DIGEST_ENUMERATOR(constant, text) constant,
enum digest_context { DIGEST_CONTEXTS(DIGEST_ENUMERATOR) DIGEST_CONTEXT_COUNT };

const char *digest_context_text(enum digest_context c);

/* BLAKE2b-256 of bytes alone, without a context: header and body digests. */
struct digest digest_plain(struct bytes b);
/* BLAKE2b-256 of context NUL part part ...  Parts are not delimited: give fixed-width ones, or one of
 * variable length last.  `n` parts. */
struct digest digest_of(enum digest_context c, const struct bytes *parts, size_t n);
#define DIGEST_OF(c, ...) digest_of((c), (const struct bytes[]){ __VA_ARGS__ }, \
                                    sizeof((const struct bytes[]){ __VA_ARGS__ }) / sizeof(struct bytes))
bool digest_equal(const struct digest *a, const struct digest *b);
bool digest_is_zero(const struct digest *d);
