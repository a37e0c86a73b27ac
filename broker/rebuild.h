/* rebuild: a state that was lost or damaged is made anew from the newest BASE and the log behind it.
 *
 * What lies beside the state (where entries stand, header digests) is read from the log's files again, so that afterwards the
 * broker answers as before; of entries that were purged there is no more than before.  Nobody else may hold the store. */
#pragma once
#include "broker/broker.h"
#include "common/fold.h"

/* Into b->store, which holds no state.  *ret is opened; the log behind its seq is still to be applied.  -ENOENT: no BASE is there;
 * -EBADMSG: none that is there can be used. */
int rebuild_from_base(struct broker *b, struct fold *ret);
/* Has something of the log been purged, or released, that a replay from its first entry would need? */
bool rebuild_needs_base(struct broker *b);

/* --rebuild: puts the state aside as state.old and makes a new one.  --base: writes a BASE of the state at the end of the log.
 * Both print what they did.  0 or a fault. */
int rebuild_run(struct broker *b);
int rebuild_write_base(struct broker *b);
