/* sink: the thread that carries opened records out of the inbox to where the department wants them.
 *
 * It reads what is committed, writes and syncs, and then hands the writer a job that records how much of the file counts and
 * lets the records go, in one commit.  A crash between the two leaves lines behind the recorded end; they are cut off
 * at the next start and written again.  A fault (a full disk, a file moved away) is tried again; nothing is lost meanwhile.  What stands in a
 * file of which the store has no record is never cut: lines are added behind it. */
#pragma once
#include "agent/agent.h"

struct sink;

/* Opens the files of the configuration, cuts what does not count, and starts.  -EBADMSG: a file is shorter than what counted. */
int sink_start(struct agent *ag, struct sink **ret);
void sink_stop(struct sink *s);                 /* NULL is fine */

/* Which sink of the configuration takes records of this grant and resource?  The grant's own, the resource's, "*"; -1 none. */
int sink_choose(const struct config *c, const char *grant_hex, const char *resource);
