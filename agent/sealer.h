/* sealer: turns taken records into links of streams, while the link has credit and the trust held is fresh.
 *
 * It keeps a plan: which views this agent serves and who may be in the audience of each now, from the grants of the
 * replica that pass grant_check_use(), the SUBSCRIBEs that came by mail, and the seal keys published.  A view whose
 * audience differs from its last epoch's gets a new epoch first.  A refused link takes all later ones of its stream
 * with it: once every one of them is answered, the view goes back to its last accepted link and seals again.
 *
 * Belongs to the writer. */
#pragma once
#include "agent/agent.h"
#include "agent/flow.h"
#include "agent/outbox.h"
#include "proto/session.pb-c.h"

struct sealer;

struct sealer *sealer_new(struct agent *ag);    /* NULL: no memory */
void sealer_free(struct sealer *s);             /* NULL is fine */

/* Something that the plan depends on has changed: trust, mail, time. */
void sealer_replan(struct sealer *s);

/* How much may go out in this turn. */
struct sealer_credit { bool open; uint32_t frames, bytes; };

/* Seals what is due, each link in a group of its own.  *ret_at: when to come again at the latest (UINT64_MAX ns: when
 * something happens).  Answers how many links were sealed, or a fault. */
int sealer_run(struct sealer *s, struct sealer_credit credit, struct wall_time now, struct mono_time mono, struct mono_time *ret_at);

/* A receipt row for a link of ours, already removed from the outbox.  Within a group. */
int sealer_settled(struct sealer *s, struct arena *a, const Shuyi__Agent__SealedRow *sent, const Shuyi__V1__ReceiptRow *row, struct wall_time now);
