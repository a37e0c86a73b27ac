/* decided: what the sequencer must remember of a lane's numbers that no entry tells, as long as this process lives.
 *
 * Refused data leaves no trace in the state, so a second copy of the same PUT, which a reconnect brings into the pipeline
 * behind the first, could be accepted when what stood against it has changed meanwhile: and the sender, holding the signed
 * refusal, would seal its records again.  So the first decision stands: the sequencer asks here before it applies a data
 * envelope, and tells the same refusal again.  After a crash there is no second copy left to fear.
 *
 * And a number that was taken back (no room for its group) keeps those behind it out until it comes again: a lane never skips.
 * One thread: the sequencer's.  Costs nothing for a lane that was never refused or taken back, 24 KiB for one that was. */
#pragma once
#include "common/refusal.h"

struct decided;

struct decided *decided_new(void);              /* NULL: no memory */
void decided_free(struct decided *d);           /* NULL is fine */

/* 0; -ENOMEM; -ERANGE: no such lane, or a link number beyond a million.  Of a lane the last 1,024 numbers are remembered. */
int decided_refuse(struct decided *d, uint32_t link, uint32_t lane, uint64_t outbox_epoch, uint64_t number, enum refusal code);
/* Its group is taken back, its refusal was not told: forgets it. */
void decided_forget(struct decided *d, uint32_t link, uint32_t lane, uint64_t outbox_epoch, uint64_t number);
/* The refusal that this number was told, or ACCEPTED: it was not refused, or long ago. */
enum refusal decided_find(const struct decided *d, uint32_t link, uint32_t lane, uint64_t outbox_epoch, uint64_t number);

/* This number was taken back.  The lowest of a lane counts.  Faults as decided_refuse. */
int decided_back(struct decided *d, uint32_t link, uint32_t lane, uint64_t outbox_epoch, uint64_t number);
/* Is a number behind one that was taken back, and not yet come again?  Then it goes back, too.  The number itself, or one
 * before it, lets the lane go on. */
bool decided_is_behind(struct decided *d, uint32_t link, uint32_t lane, uint64_t outbox_epoch, uint64_t number);
