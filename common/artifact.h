/* artifact: the files that people carry between machines, as text that survives a mail.
 *
 * The first line says which file it is, so that one cannot be read as another; then follow the content's bytes in
 * base64, 76 characters a line, the last one shorter, LF after each.  One spelling only: what decodes encodes to the same
 * text (a carriage return before LF is forgiven, since mail adds it).  Pure. */
#pragma once
#include "common/arena.h"
#include "common/bytes.h"
#include <protobuf-c/protobuf-c.h>

/* X(constant, magic, message or none) */
#define ARTIFACTS(X) \
        X(ARTIFACT_GENESIS, "shuyi-genesis-v1", genesis_file) \
        X(ARTIFACT_JOIN, "shuyi-join-v1", join_file) \
        X(ARTIFACT_WELCOME, "shuyi-welcome-v1", welcome_file) \
        X(ARTIFACT_ANCHOR, "shuyi-anchor-v1", signed_anchor) \
        X(ARTIFACT_DRAFT, "shuyi-draft-v1", envelope) \
        X(ARTIFACT_KEY, "shuyi-key-v1", none) \
        X(ARTIFACT_BUNDLE, "shuyi-bundle-v1", bundle)

#define ARTIFACT_ENUMERATOR(constant, magic, message) constant,
enum artifact { ARTIFACTS(ARTIFACT_ENUMERATOR) ARTIFACT_COUNT };

#define ARTIFACT_MAX_BYTES (8 * 1024 * 1024)    /* of text */

/* The magic line without its LF. */
const char *artifact_magic(enum artifact kind);
/* Which file a text claims to be: false if none of ours. */
bool artifact_find(struct bytes text, enum artifact *ret);

/* Text of `content` in `a`; {0} when full. */
struct bytes artifact_encode(struct arena *a, enum artifact kind, struct bytes content);
/* NULL and the content in `a`, or what is wrong. */
const char *artifact_decode(struct arena *a, enum artifact kind, struct bytes text, struct bytes *ret);

/* The same for the kinds that hold a message; its type is the table's.  write: {0} when full.  read: NULL and *ret in `a`, or
 * what is wrong. */
struct bytes artifact_write(struct arena *a, enum artifact kind, const ProtobufCMessage *m);
const char *artifact_read(struct arena *a, enum artifact kind, struct bytes text, void *ret_message);
