/* genesis: the first entries of a domain's log, by the same verify, sequence and apply as all others.  DESIGN 3. */
#pragma once
#include "broker/broker.h"
#include "broker/fold.h"

/* envelope_verify with a directory; of the very first entry the roots are those of the anchor in its own body, which its
 * threshold signed: what makes an anchor trusted is that people compared it, not this log. */
enum refusal genesis_verify(struct arena *a, struct bytes wire, const struct keydir *d, bool first, const struct claim **ret);

/* Makes the envelopes of `path` entries 1..n of the empty store and log of `b` (opened), with an ENGINE and a TRUST_HEAD
 * behind them.  Prints what is wrong to stderr.  0 or a fault; -EINVAL: the file. */
int genesis_run(struct broker *b, const char *path);
