/* taken: the records that wait for one view: how many would fill its next envelope, and those, cut down to its items.
 *
 * Reads only, in the writer's open transaction. */
#pragma once
#include "agent/agent.h"
#include "agent/flow.h"
#include "agent/rows.pb-c.h"
#include "proto/catalog.pb-c.h"

/* `last`: take number up to which they fit; the rows themselves are in the arena, so that each is read once. */
struct taken_waiting { struct flow_batch batch; bool more; uint64_t last; Shuyi__Agent__TakenRow **rows; size_t room; };

int taken_look(struct agent *ag, struct arena *a, const Shuyi__Agent__ViewRow *v, struct taken_waiting *ret);
/* What was looked at; `records` has room for RECORDS_MAX.  A record that breaks the entry by now is left out, and the log says so.
 * *ret_n counts from what it was. */
int taken_gather(struct agent *ag, struct arena *a, const Shuyi__V1__Entry *entry, const Shuyi__Agent__ViewRow *v, const struct taken_waiting *waiting,
                 struct wall_time now, struct bytes *records, size_t *ret_n, uint64_t *ret_oldest);
