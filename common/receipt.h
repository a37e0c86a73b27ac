/* receipt: what the center answers to a sender, signed with the log key (DESIGN 7).
 *
 * One receipt tells, for some envelopes of one agent, which became entries, at which seq and time, with which code.
 * The agent keeps it until it has checked the leaf hashes against a tree head.  Signed are CTX_RECEIPT, NUL and the
 * BLAKE2b-256 of the packed Receipt.  Pure. */
#pragma once
#include "common/arena.h"
#include "common/bytes.h"
#include "proto/session.pb-c.h"

#define RECEIPT_ROWS_MAX 4096

/* NULL when `a` is full. */
Shuyi__V1__SignedReceipt *receipt_sign(struct arena *a, const Shuyi__V1__Receipt *r, const uint8_t log_secret[64]);
/* Form and signature: NULL and *ret in `a`, or what is wrong.  The domain and agent must be these. */
const char *receipt_check(struct arena *a, const Shuyi__V1__SignedReceipt *s, const uint8_t log_key[32],
                          const char *domain, const struct id *agent, const Shuyi__V1__Receipt **ret);
