/* rewind: how the row of a view answers the receipts of its links (DESIGN 6).
 *
 * An accepted link moves the settled end on.  A refused one takes all later ones of its stream with it: they will be refused
 * too, and a stream_seq may be sealed again only when its signed refusal is held.  So the view waits until every link in
 * flight is answered, then goes back to its last accepted one.  Pure. */
#pragma once
#include <stdbool.h>

#include "agent/rows.pb-c.h"

#define REWIND_EPOCH_RETRY_MS 60000             /* after a VIEW_EPOCH was refused for good */

/* `*ret_dead`: the envelope goes to the dead-letter place.  true: the view went back and may be sealed again. */
bool rewind_answer(Shuyi__Agent__ViewRow *v, const Shuyi__Agent__SealedRow *sent, uint32_t code, uint64_t seq, uint64_t now_ms, bool *ret_dead);
