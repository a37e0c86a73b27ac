/* memo: what an exchange remembers between evaluations: the parsed policy and calendar, by the digests in META.
 *
 * Nothing here can change an outcome: a memo that does not fit is read again from the state.  Pure, heap. */
#pragma once
#include "common/exchange/turn.h"

/* Fills t->policy, t->calendar (NULL where none is published yet) and t->policy_digest.  0 or a fault. */
int memo_fill(struct exchange *x, struct turn *t);
const char *memo_domain(const struct exchange *x);
