/* quarantine: an envelope that brings the process down is kept out of the next run.  DESIGN 2.
 *
 * The digest of what is being applied stands in a mapped page of a file, which survives the process.  A start that
 * finds one there with the mark of a crash, or for the second time since it was last applied whole, keeps that envelope out (E_QUARANTINED), puts
 * its digest aside and alarms.  A SIGKILL that happens to fall into an apply leaves no mark and costs nobody anything.  One thread,
 * but for the mark, which a signal handler sets. */
#pragma once
#include "common/digest.h"

struct quarantine;

/* The page and the list in `dir`.  *ret_found: how many envelopes are kept out. */
int quarantine_open(const char *dir, struct quarantine **ret, unsigned *ret_found);
void quarantine_close(struct quarantine *q);    /* NULL is fine */
void quarantine_enter(struct quarantine *q, const struct digest *envelope);     /* it is being applied */
void quarantine_leave(struct quarantine *q);
bool quarantine_holds(const struct quarantine *q, const struct digest *envelope);
/* From a handler of a fatal signal, or before a fault ends the process. */
void quarantine_mark(void);
