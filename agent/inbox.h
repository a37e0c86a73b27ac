/* inbox: what came under our grants: links in order, opened records until a sink has them, delivery receipts.
 *
 * A link is taken exactly at cursor + 1 and chained to the one before.  It is opened at once where that is possible, else it waits
 * as it came.  Records are durable here before the receipt that says so leaves, and stay until a sink has synced them.
 *
 * Writes belong to the writer, within a group. */
#pragma once
#include "agent/agent.h"
#include "agent/flow.h"
#include "agent/keep.h"
#include "agent/rows.pb-c.h"
#include "proto/session.pb-c.h"

struct inbox;

/* Reads what waits: -ENOMEM, -EBADMSG, faults of the store. */
int inbox_new(struct agent *ag, struct inbox **ret);
void inbox_free(struct inbox *i);               /* NULL is fine */

/* One LINK parcel: 1 taken, 0 nothing new (acknowledge it); -EAGAIN: no room, do not acknowledge; faults. */
int inbox_take(struct inbox *i, struct arena *a, const Shuyi__V1__Parcel *p, struct wall_time now, struct mono_time mono);
/* Opens what waited, if it can be opened now; a bounded number.  Answers how many. */
int inbox_open_waiting(struct inbox *i, struct arena *a, struct wall_time now, struct mono_time mono);
/* Signs the delivery receipts that are due.  *ret_at: when the next one is.  Answers how many. */
int inbox_receipts(struct inbox *i, struct arena *a, struct wall_time now, struct mono_time mono, struct mono_time *ret_at);
/* A sink has synced the records of a grant up to `stream_seq`: they go. */
int inbox_release(struct inbox *i, struct arena *a, const struct digest *grant, uint64_t stream_seq);
bool inbox_waits(const struct inbox *i);        /* links that could not be opened yet */

int inbox_cursor(struct state s, struct arena *a, const struct digest *grant, Shuyi__Agent__CursorRow **ret);
int inbox_cursor_put(struct agent *ag, struct arena *a, const struct digest *grant, const Shuyi__Agent__CursorRow *row);

/* Associated data of opened records under the storage key. */
struct bytes inbox_what(struct arena *a, const struct digest *grant, uint64_t stream_seq);
struct agent_key inbox_opened_key(const struct digest *grant, uint64_t stream_seq);
