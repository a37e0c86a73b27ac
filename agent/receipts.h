/* receipts: delivery receipts, signed when they are due (DESIGN 6): at 256 transfers, 100 ms after the first, at once with a NACK.
 *
 * What is unreceipted stands in the cursors; here is only since when.  Belongs to the writer. */
#pragma once
#include "agent/agent.h"
#include "agent/rows.pb-c.h"

struct receipts;

/* Finds the cursors that have something unreceipted: they are due at once. */
int receipts_new(struct agent *ag, struct receipts **ret);
void receipts_free(struct receipts *r);         /* NULL is fine */

/* One more link was opened, or broke what it said.  -ENOMEM. */
int receipts_note(struct receipts *r, const struct digest *grant, struct mono_time now, bool nack);
/* Signs those that are due; answers how many.  Within a group. */
int receipts_run(struct receipts *r, struct arena *a, struct wall_time now, struct mono_time mono, struct mono_time *ret_at);
/* Signs one now and moves the cursor's row on, which the caller stores. */
int receipts_sign(struct receipts *r, struct arena *a, const struct digest *grant, Shuyi__Agent__CursorRow *c, struct wall_time now);
/* The center has accepted one of ours: a NACK in it is told now.  Writer, in a group. */
int receipts_told(struct agent *ag, struct arena *a, struct bytes envelope);
