/* replica: the agent's own copy of who is who and what is granted, built from trust records alone (DESIGN 3).
 *
 * The rows are those of the state (common/exchange/tables.h), so grant_check() and its readers run on them.  Records
 * are taken in order and chained; what they mean is decided by common/exchange/trust.h.  A TRUST_HEAD counts once its
 * signature, its chain and its inclusion in a checkpoint signed by the anchor's log key hold; a lower one is never taken.
 *
 * Writes belong to the writer; reads go over any `struct state`. */
#pragma once
#include "agent/agent.h"
#include "agent/flow.h"
#include "agent/keep.h"
#include "agent/rows.pb-c.h"
#include "common/envelope.h"
#include "common/exchange/rows.h"
#include "proto/session.pb-c.h"

#define REPLICA_MAX_AGE_MS 300000ull            /* before the first policy is here */
#define REPLICA_MAX_AGE_PERSONAL_MS 120000ull
#define REPLICA_HEAD_MS 60000ull

/* The domain's first row, if the replica is empty. */
int replica_begin(struct agent *ag, struct arena *a);

/* Keys of all that ever signed, for envelope_verify.  Storage of the caller's, valid with the state and anchor. */
struct replica_keys { struct state state; const Shuyi__V1__Anchor *anchor; struct arena *arena; };
struct key_source replica_key_source(struct replica_keys *k);

/* Takes one TRUST parcel.  1 something changed, 0 held already; -EBADMSG: it does not hold (nothing is taken); faults. */
int replica_take(struct agent *ag, struct arena *a, const Shuyi__V1__Parcel *p);

/* The row of heads; an empty one before the first. */
int replica_get(struct state s, struct arena *a, Shuyi__Agent__ReplicaRow **ret);
int replica_put(struct store *s, struct arena *a, const Shuyi__Agent__ReplicaRow *row);

/* Figures of the policy held, or their defaults. */
struct replica_terms replica_terms(struct state s, struct arena *a);
/* The same of the writer's own state, read anew only when the policy is another: for each link that comes. */
struct replica_terms replica_terms_now(struct agent *ag, struct arena *a);
/* Is the trust held fresh enough to act under? */
enum flow_trust replica_trust(const Shuyi__Agent__ReplicaRow *row, const struct replica_terms *t, struct wall_time now, bool personal, uint64_t *ret_age_ms);
/* Does an entry hold items above INTERNAL? */
bool replica_personal(const Shuyi__V1__Entry *entry);

/* The version in force of a resource that `agent` may push: ACCEPTED and *ret; E_NOT_FOUND, or E_ROLE if another agent pushes it. */
enum refusal replica_own_version(struct state s, struct arena *a, const char *resource, const struct id *agent, Shuyi__V1__VersionRow **ret, uint32_t *ret_version, int *ret_fault);
