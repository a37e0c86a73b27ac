/* resume: a stream of ours whose end we do not know any more: the store was lost, and the center expects a later link than
 * ours ("expected=N").
 *
 * The view is marked when its refusal comes; nothing of it is sealed until the stream's head has been read from the center.
 * Then it goes on from there with a new epoch and key.  A head that is not the true one shows at once: the center refuses what does
 * not chain to its own, and every consumer checks the chain against the link it holds.  Belongs to the link thread. */
#pragma once
#include "agent/link.h"
#include "agent/rows.pb-c.h"
#include "proto/state.pb-c.h"

struct resume { struct link_read read; struct digest stream; bool asked; };

/* Is this refusal one of a link that others stand before?  Marks the view. */
bool resume_note(Shuyi__Agent__ViewRow *v, const Shuyi__Agent__SealedRow *sent, const Shuyi__V1__ReceiptRow *row);
/* Takes the head of the center; false: it is not this view's, or not ahead of us. */
bool resume_take(Shuyi__Agent__ViewRow *v, const struct id *agent, const Shuyi__V1__StreamRow *head);
/* Now and then: asks for the head of one marked stream. */
void resume_run(struct link *l);
