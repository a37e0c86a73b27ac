/* uses: the department's own copy of the record of every use of shared data (使用记录, ZS 32(2); REGULATIONS 9.1).
 *
 * One row for each UPDATE that was taken in, written in the commit that makes its records durable here: channel, user,
 * approver, content, time, method and medium, as the envelope and the grant say; no value, no record key.  The center has the
 * same facts from its own log, so the two copies can be compared. */
#pragma once
#include "agent/opener.h"

/* Notes what was opened, or refused as a breach, at `acquired`.  Does nothing for links that carry no records.  The thread that
 * writes the store.  0, or a fault. */
int uses_note(struct agent *ag, struct arena *a, const struct digest *grant, const Shuyi__Agent__PendingRow *link, const struct opened *o,
              struct wall_time acquired);
