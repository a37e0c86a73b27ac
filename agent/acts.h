/* acts: control acts on their way to the center: handed in by people, or made by the agent itself (lane 0).
 *
 * A person's act is checked first, so that what the center would surely refuse never leaves; then it is kept, and stays so
 * over crashes, until its signed receipt says what became of it.  States: kept, sent, received. */
#pragma once
#include "agent/agent.h"
#include "agent/keep.h"
#include "agent/outbox.h"
#include "proto/session.pb-c.h"
#include "common/envelope.h"

enum act_state { ACT_KEPT = 1, ACT_SENT = 2, ACT_RECEIVED = 3 };
const char *acts_state_text(uint32_t state);

/* What can be known here before the center decides: form, signatures, department, times, a kind that people may send; of a CAT_SUBMIT the
 * rules of 4.5.  ACCEPTED and the claim, or the refusal and, at ret_detail, ids or codes in `a` ("" if none).  Any thread. */
enum refusal acts_check(struct agent *ag, struct state s, struct arena *a, struct bytes wire, struct wall_time now, const struct claim **ret,
                        const char **ret_detail);

/* Do two signatures stand on it by one credential?  No form for an envelope; for people it is separation of duties. */
bool acts_signed_twice(struct arena *a, struct bytes wire);

/* Keeps it: 1 new, 0 known already.  Writer, in a group. */
int acts_keep(struct agent *ag, struct arena *a, const struct claim *claim, struct wall_time now);

/* An act of the agent itself: the caller fills what the kind needs in `in`, the rest is filled here, signed, and put into the
 * outbox.  `remember`: it can be asked about later.  Writer, in a group. */
int acts_make(struct agent *ag, struct arena *a, Shuyi__V1__Intent *in, const ProtobufCMessage *body, struct wall_time now, bool remember, struct digest *ret);

int acts_find(struct state s, struct arena *a, const struct digest *d, Shuyi__Agent__ActRow **ret);
/* It was handed to the link at least once. */
int acts_sent(struct agent *ag, struct arena *a, const struct digest *d);
/* Its receipt; `signed_receipt` is kept beside it.  Writer, in a group. */
int acts_settled(struct agent *ag, struct arena *a, const Shuyi__Agent__SealedRow *sent, const Shuyi__V1__ReceiptRow *row, struct bytes signed_receipt);
