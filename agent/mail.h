/* mail: the department's feed: decisions, notices, subscriptions (DESIGN 6), and what the agent does by itself about them.
 *
 * Each entry is kept under its number; a SUBSCRIBE makes its grant one to be served; a grant of the replica that names this agent
 * gets a SUBSCRIBE from it.  Writer, within a group. */
#pragma once
#include "agent/agent.h"
#include "agent/keep.h"
#include "agent/rows.pb-c.h"
#include "proto/session.pb-c.h"

#define MAIL_KEPT 10000                         /* entries; older ones can be read from the center */

/* One MAIL parcel: 1 kept, 0 held already; -EBADMSG: its envelope is none.  *ret_subscriber: who is served may have changed. */
int mail_take(struct agent *ag, struct arena *a, const Shuyi__V1__Parcel *p, bool *ret_subscriber);
/* Sends SUBSCRIBE for grants that name this agent and were not asked for; answers how many. */
int mail_subscribe(struct agent *ag, struct arena *a, struct wall_time now);
/* Sends it for one grant, asked for or not: -ENOENT unknown here, -EPERM not this agent's, -EALREADY one is on its way; *ret the act's digest. */
int mail_subscribe_one(struct agent *ag, struct arena *a, const struct digest *grant, struct wall_time now, struct digest *ret);
