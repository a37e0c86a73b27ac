/* prover: has the center prove what it says (DESIGN 7): an agent trusts no broker.
 *
 * Receipts are kept as they came, one row for each frame, until every leaf they name is proved under a head that was verified
 * here and stable_seq has passed them; what was sent stays as long.  Published heads are taken only with the log's
 * signature, the anchor's quorum, and a proof that they go on from the one before.  Heads in trust parcels, and what peers have
 * `seen`, are proved to be of the same history.  One question is out at a time, heads are asked for at most every PROVER_HEAD_MS
 * and only while something waits for one.  What is wrong, or not proved within `proof.late` of a standing link, is an alarm.
 *
 * Belongs to the link thread. */
#pragma once
#include "agent/agent.h"
#include "agent/heads.h"
#include "common/checkpoint.h"
#include "proto/session.pb-c.h"

#define PROVER_HEAD_MS 2000

struct prover;

/* Reads what waits.  -ENOMEM, -EBADMSG, faults of the store. */
int prover_new(struct link *l, struct prover **ret);
void prover_free(struct prover *p);             /* NULL is fine */

/* A note of the log: its signature, and the quorum of the anchor in force.  NULL and *ret, or what is wrong.  Within the writer's transaction. */
const char *prover_check_note(struct agent *ag, struct arena *a, const char *note, struct checkpoint *ret);

/* A receipt came and some of its rows were settled.  Within a group. */
int prover_hold(struct prover *p, struct arena *a, const Shuyi__V1__Receipt *receipt, struct bytes signed_receipt);
/* A session begins: this is how large the center says that its log is (0: it does not say).  A log that is smaller than a head of
 * its own that was verified has gone back, published or not. */
void prover_told_size(struct prover *p, uint64_t epoch, uint64_t size);
/* A row of it does not speak of what was sent (leaf.h): an alarm, with the receipt. */
void prover_receipt_wrong(struct prover *p, uint64_t seq, const char *why);
/* What somebody signed that he has seen; `envelope` is what he signed.  Cheap when it says nothing new; nothing is believed before its
 * signature is checked.  NULL prover or seen: nothing. */
void prover_heard(struct prover *p, struct arena *a, const Shuyi__V1__Seen *seen, struct bytes envelope);
/* A head of the log that came by another way; its signature was checked. */
void prover_shown(struct prover *p, uint64_t epoch, const struct checkpoint *c, const char *note);

/* Once a turn: asks what is to be asked, watches the time. */
void prover_run(struct prover *p);
/* An alarm was dismissed: 1, or 0 if there is none of that number.  After one that halts the center's present head counts as the
 * first.  Within a group. */
int prover_dismiss(struct prover *p, struct arena *a, uint64_t number);
