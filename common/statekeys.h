/* statekeys: the keys that the state holds: of signers and links, of the log. */
#pragma once
#include "common/exchange/exchange.h"
#include "common/keydir.h"
#include "proto/identity.pb-c.h"

/* A new directory of all credentials, roots of the newest anchor, and links.  0 or a fault. */
int statekeys_build(struct state state, struct keydir **ret);

/* envelope_read_kept (an UPDATE may have lost its body) with a directory; of the very first entry the roots are those of the anchor in its own body, which its
 * threshold signed: what makes an anchor trusted is that people compared it, not this log. */
enum refusal statekeys_verify(struct arena *a, struct bytes wire, const struct keydir *d, bool first, const struct claim **ret);

/* The anchor in force; NULL before the first. */
const Shuyi__V1__Anchor *statekeys_anchor(struct state state, struct arena *a);
/* The log's public key by the anchor in force; false if there is none for `origin`. */
bool statekeys_log(struct state state, struct arena *a, const char *origin, uint8_t ret[32]);
