/* anchor: the versioned document from which all trust of a domain hangs (DESIGN 3).
 *
 * Version n+1 counts only if thresholds of both n and n+1 signed it; nobody installs a lower version.  Pure. */
#pragma once
#include "common/arena.h"
#include "common/bytes.h"
#include "common/credential.h"
#include "proto/identity.pb-c.h"

/* Form, threshold within the keys, quorum 0 only where demo, own threshold of signatures.  NULL or what is wrong. */
const char *anchor_check(struct arena *a, struct bytes signed_anchor, const Shuyi__V1__Anchor **ret);
/* May `next` follow `current`?  Both already anchor_check()ed.  `next_signed` is the SignedAnchor's bytes. */
const char *anchor_check_succession(struct arena *a, const Shuyi__V1__Anchor *current, const Shuyi__V1__Anchor *next, struct bytes next_signed);
/* One root's signature over the anchor's bytes, in context CTX_ANCHOR. */
void anchor_sign(struct bytes anchor, const uint8_t secret[64], uint8_t ret_signature[64]);
/* Root key by id: NULL if the anchor has none such. */
const Shuyi__V1__RootKey *anchor_find_root(const Shuyi__V1__Anchor *anchor, const struct digest *id);
/* Log key by origin. */
const Shuyi__V1__LogKey *anchor_find_log(const Shuyi__V1__Anchor *anchor, const char *origin);
bool anchor_allows_suite(const Shuyi__V1__Anchor *anchor, uint32_t suite);
