/* trust: what an agent's replica makes of the trust records (DESIGN 3).
 *
 * The replica has the tables and rows of the state, begun with exchange_genesis_effects().  Public acts are judged again,
 * by the same rule tables and over the replica's own rows, so a record that the act does not bear is not believed; the
 * records that come out are compared with those that came.  What is not public, or not for this agent, moves only the
 * chain and the map.  Pure; signatures of the claims were verified before (envelope_verify). */
#pragma once
#include "common/exchange/turn.h"
#include "proto/log.pb-c.h"

/* The chain after one more record.  `chain` is empty before the first.  {0} when the arena is full. */
struct digest trust_chain_next(struct bytes chain, const Shuyi__V1__TrustRecord *record, struct arena *a);

/* ---- the broker's side ---- */

/* Which entry goes along with the one behind a record, since the act refers to it: seq of the FILE of an ACCEPT, of the CAT_SUBMIT
 * of a CAT_APPROVE, of the REQ_SUBMIT of a CONSENT or CONSENT_PART.  0: none.  0 or a fault. */
int trust_related_seq(struct state state, struct arena *a, const struct claim *claim, uint64_t *ret_seq);
/* May `department` have `claim`, the envelope behind a record?  Acts of registry, settings and catalog are public; those behind a
 * grant's record are for its parties, those behind a view epoch's for nobody here. */
int trust_may_see(struct state state, struct arena *a, const Shuyi__V1__TrustRecord *record, const struct claim *claim, const char *department, bool *ret);

/* ---- the agent's side ---- */

struct trust_outcome {
        enum refusal code;              /* ACCEPTED; else the record is not believed, and nothing may be written */
        enum refusal grant;             /* of a GRANT record with its envelopes: does the grant stand (grant_check)? */
        const char *detail;
        bool known;                     /* a record of an entry that was taken before, equal to what came out of it */
        const struct effect *effects;   /* to be written to the replica together */
        size_t effects_n;
};

/* Takes the next record (trust_seq one more than the last, or one that came out of an entry before).  `claim`: the envelope behind
 * it, NULL if it did not come; `related`: see trust_related_seq, NULL if there is none.  `accepted_at`: of its entry.
 * Faults: those of the state, -ENOMEM, -EBADMSG (the replica contradicts itself). */
int trust_replica_apply(struct exchange *x, struct state replica, const Shuyi__V1__TrustRecord *record, const struct claim *claim,
                        const struct claim *related, struct wall_time accepted_at, struct arena *a, struct trust_outcome *ret);

/* For who holds acts and no records (an evidence bundle): an act of the registry, of the settings, or upon a grant that the replica has, judged
 * by the same tables; with what it refers to (the filing of an ACCEPT).  The effects move the replica on to `seq`. */
int trust_judge(struct exchange *x, struct state replica, const struct claim *claim, const struct claim *related, uint64_t seq,
                struct wall_time accepted_at, struct arena *a, struct trust_outcome *ret);
/* Only who signed: credentials in force, their capacities and department, and the places that a row by `by` has. */
int trust_judge_signers(struct exchange *x, struct state replica, const struct claim *claim, struct wall_time accepted_at, enum by by,
                        struct arena *a, enum refusal *ret);

enum trust_head_state {
        TRUST_HEAD_HOLDS,
        TRUST_HEAD_EARLY,               /* it covers records that the replica does not have yet */
        TRUST_HEAD_LOWER,               /* lower than what the replica holds: never taken */
        TRUST_HEAD_BROKEN,              /* signer, chain or map differ */
};

/* Is a TRUST_HEAD by the broker's key of the registry, and are its figures those of the replica?  Where it HOLDS, the effects (bucket
 * roots, META) are to be written.  Inclusion in a checkpoint is for the caller. */
int trust_head_check(struct state replica, const struct claim *claim, struct wall_time accepted_at, struct arena *a,
                     enum trust_head_state *ret, const struct effect **ret_effects, size_t *ret_effects_n);
