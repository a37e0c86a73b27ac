/* logcheck: what the log says, derived again from nothing.
 *
 * A scratch store takes the whole log, entry by entry; every head must sign the tree that results; `check` also verifies
 * each signature.  Where the broker's own state can be opened, each recorded outcome, leaf and the state as a whole are
 * compared with what comes out. */
#pragma once
#include "broker/broker.h"

/* `signatures`: --check; else --replay.  Begins at the oldest BASE where the log before it was purged; with from_base at the
 * newest one that is there.  Prints a report to stdout, what is wrong to stderr.  0: all holds; -EBADMSG: it does
 * not; else a fault. */
int logcheck_run(struct broker *b, bool signatures, bool from_base);
