/* grant_check: do the signatures that a grant's channel requires stand in the log?  DESIGN 5, REGULATIONS 6.1, 6.2, 6.6.
 *
 * One pure function for broker, provider's agent, consumer's agent and offline checker.  A grant is derived, never
 * asserted: from its deciding envelopes and the registry, catalog and policy rows of `state` (the broker's, or an
 * agent's replica of the trust records). */
#pragma once
#include "common/exchange/exchange.h"

struct grant_facts {
        struct digest id;                       /* header digest of the deciding envelope */
        Shuyi__V1__GrantRow *row;               /* in the arena: what apply writes too */
};

/* `request`: the REQ_SUBMIT of a conditional grant, NULL for a GET.  `decision`: GET, CONSENT or CONSENT_PART.  Both as
 * claims (signatures verified).  `at`: when it was decided.  ACCEPTED and *ret, or the refusal. 0 or a fault as return. */
int grant_check(struct state state, struct arena *a, const struct claim *request, const struct claim *decision,
                struct wall_time at, enum refusal *ret_refusal, struct grant_facts *ret);

/* Is a use under the grant within it now?  State, period, items, purpose, method (SM-GRANT 2), and its persons and agent
 * still in force.  ACCEPTED or the code. */
int grant_check_use(struct state state, struct arena *a, const Shuyi__V1__GrantRow *grant, const uint32_t *items, size_t items_n,
                    const char *purpose, uint32_t method, struct wall_time at, enum refusal *ret);
