/* silence: a stream of which nothing comes any more (DESIGN 6).
 *
 * The provider's agent says at least every trust_head_s that a stream is there, also when it has no records.  Whoever keeps
 * that back drops the stream's tail; nothing for longer than trust_max_age is an alarm.  Times when our own link was down do not
 * count, but a link that is cut again and again is no excuse. */
#pragma once
#include "agent/agent.h"

struct silence { struct wall_time up_last, from; };             /* {0} at the start */

/* Now and then, within a group; `up`: the link stands.  0 or a fault. */
int silence_watch(struct silence *s, struct agent *ag, struct arena *a, bool up, struct wall_time now);
