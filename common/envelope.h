/* envelope: building, signing and opening the one message form of the exchange (DESIGN 4).
 *
 * A `struct claim` is an envelope whose form is exact and whose signatures hold; only envelope_verify()
 * makes one, so unchecked bytes cannot reach the rules.  Whether the signers may do what they say is for
 * exchange_apply().  Pure: keys come through a function, no clock, no I/O. */
#pragma once
#include "common/arena.h"
#include "common/bytes.h"
#include "common/digest.h"
#include "common/kind.h"
#include "common/refusal.h"
#include "common/words.h"
#include "proto/envelope.pb-c.h"

#define SUITE_1 1                               /* Ed25519, X25519, XChaCha20-Poly1305, BLAKE2b-256 */
#define ENVELOPE_SIGNATURES_MAX 4
#define ENVELOPE_MAX_BYTES (960 * 1024)         /* under the frame limit of 1 MiB - 33 */
#define CONTROL_BODY_MAX_BYTES (256 * 1024)
#define INTENT_MAX_BYTES (16 * 1024)
#define BODY_FIELDS_MAX 24576                   /* of an open body, all levels: 512 items with 20 samples have 20,000; unpacked at most 6 MiB */

struct signer { struct digest credential; enum role capacity; struct bytes signature; };

struct claim {
        struct bytes wire, header, intent_bytes, body;  /* borrowed from the bytes verified */
        struct bytes body_digest;                       /* 32, in the header: of the body, there or left out; and */
        uint64_t body_bytes;                            /* its length */
        struct digest header_digest;                    /* digest_plain(header) */
        struct digest envelope_digest;                  /* over header digest and signatures: the leaf's */
        const struct kind *kind;
        const Shuyi__V1__Intent *intent;
        const ProtobufCMessage *open_body;              /* decoded, by kind->body; NULL where that is NULL */
        struct signer signers[ENVELOPE_SIGNATURES_MAX];
        unsigned signers_n;
};

/* Where public keys come from: credentials by their id, root keys by theirs (capacity ROOT). */
struct key_source {
        /* 1 and 32 bytes at ret_key if known (revoked ones too: apply judges status), else 0. */
        int (*find)(void *ctx, const struct digest *credential, enum role capacity, uint8_t ret_key[32], uint32_t *ret_suite);
        void *ctx;
};

/* Parses strictly (wire_scan), checks sizes, digest, signatures.  All that `*ret` points to lies in `a` or
 * in `wire`, which must outlive it.  ACCEPTED, E_FORM or E_CRED; on a refusal `*ret` is not written.  An
 * unknown kind is E_FORM, a later one passes with its body undecoded. */
enum refusal envelope_verify(struct arena *a, struct bytes wire, const struct key_source *keys, const struct claim **ret);
/* The same without signatures: for drafts, display, and logs whose signatures were checked before. */
enum refusal envelope_parse(struct arena *a, struct bytes wire, const struct claim **ret);
/* envelope_verify() for an envelope whose body was left out (a VIEW_EPOCH on its way to a consumer, a log without bodies):
 * the body must be absent, so its digest is not compared, and open_body is NULL. */
enum refusal envelope_verify_bare(struct arena *a, struct bytes wire, const struct key_source *keys, const struct claim **ret);
enum refusal envelope_parse_bare(struct arena *a, struct bytes wire, const struct claim **ret);         /* without signatures */
/* For a log that may have been kept without the bodies of UPDATEs, which apply never reads: envelope_verify(), or with `keys`
 * NULL envelope_parse(), but of an UPDATE the body may be absent.  Any other envelope must be whole. */
enum refusal envelope_read_kept(struct arena *a, struct bytes wire, const struct key_source *keys, const struct claim **ret);
/* The same envelope without its body, in `a`; {0} if `wire` is not an envelope or `a` is full. */
struct bytes envelope_strip(struct arena *a, struct bytes wire);

/* Starts an envelope: packs intent and body, no signatures yet.  `body` may be {0}.  The result lies in
 * `a`; {0} if it does not fit.  The intent's id, created_at and expires_at are the caller's. */
struct bytes envelope_draft(struct arena *a, const Shuyi__V1__Intent *intent, struct bytes body);
/* The same envelope with one more signature, made with the Ed25519 secret key (64 bytes). */
struct bytes envelope_sign(struct arena *a, struct bytes wire, const struct digest *credential, enum role capacity, const uint8_t secret[64]);
/* Draft and first signature in one: the same bytes, the body hashed and copied once.  The claim lies in `a`, its bytes in
 * claim->wire; NULL if they would not be accepted anywhere, or `a` is full. */
const struct claim *envelope_issue(struct arena *a, const Shuyi__V1__Intent *intent, struct bytes body, const struct digest *credential, enum role capacity,
                                   const uint8_t secret[64]);
/* What a signature is over: context NUL suite(u16 BE) capacity(u8) credential(32) header digest(32). */
#define ENVELOPE_SIGNED_BYTES (17 + 1 + 2 + 1 + 32 + 32)
void envelope_signed_bytes(uint32_t suite, enum role capacity, const struct digest *credential, const struct digest *header, uint8_t ret[ENVELOPE_SIGNED_BYTES]);

/* Envelope digest, as it stands in the leaf, of an envelope of our own making: the body is not read.  False if it is none. */
bool envelope_own_digest(struct bytes wire, struct digest *ret);
/* Header digest of an envelope of our own making, without reading the rest.  False if `wire` does not begin with a header. */
bool envelope_header_digest(struct bytes wire, struct digest *ret);

/* A packed message in the arena, canonical by construction; {0} when full. */
struct bytes message_pack(struct arena *a, const ProtobufCMessage *m);
/* Scan, then unpack into the arena: NULL if the bytes are not exactly one canonical message. */
void *message_parse(struct arena *a, const ProtobufCMessageDescriptor *d, struct bytes b);

/* UUIDv7: time in ms, 74 random bits given by the caller. */
void uuid7_make(uint64_t ms, const uint8_t random[10], struct id *ret);
uint64_t uuid7_time(const struct id *i);
bool uuid7_check(const struct id *i);           /* version and variant bits */
