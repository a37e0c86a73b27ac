/* genesis: the first entries of a domain's log, by the same verify, sequence and apply as all others.  DESIGN 3. */
#pragma once
#include "broker/broker.h"

/* Makes the envelopes of `path` entries 1..n of the empty store and log of `b` (opened), with an ENGINE and a TRUST_HEAD
 * behind them.  Prints what is wrong to stderr.  0 or a fault; -EINVAL: the file. */
int genesis_run(struct broker *b, const char *path);
