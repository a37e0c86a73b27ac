/* leaf: does a receipt speak of what was sent?
 *
 * A leaf binds seq, time and outcome to one envelope.  A sender has the envelope and is told the rest, so it derives the leaf hash
 * itself: a receipt that gives its act another time or outcome than the log holds, or names the entry of another act, cannot have
 * a leaf hash that is proved and derived alike.  Pure. */
#pragma once
#include "common/bytes.h"
#include "proto/session.pb-c.h"

/* NULL, or what is wrong with the row (static text).  `sent` is the Envelope; the row's seq is not 0. */
const char *leaf_check(const char *domain, uint64_t epoch, const Shuyi__V1__ReceiptRow *row, struct bytes sent);
