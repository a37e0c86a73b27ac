/* index: the search index of the audit, in an environment of its own (DESIGN 8).
 *
 * A thread writes it behind the committed state: once a second, at once where a read waits for it.  Nothing of it is paid
 * for in the commit path.  It holds nothing that the log does not: where it is missing, damaged, of another version or of
 * another log, it is thrown away and built again, and the log says so. */
#pragma once
#include "broker/broker.h"
#include "common/search.h"

#define INDEX_DB STORE_OWN                      /* of its snapshots */

struct index;

/* Opens it, or begins it anew, and starts the thread.  Faults of the disk; a bad index is none. */
int index_start(struct broker *b, struct index **ret);
void index_stop(struct index *x);               /* NULL is fine */
/* The last entry that is in it and durable.  Any thread. */
uint64_t index_seq(const struct index *x);
/* Somebody waits: on with what is committed.  Any thread, never blocks long. */
void index_hurry(struct index *x);
/* What was read of it is damaged: it is begun anew at the next start, and the log says so.  Any thread. */
void index_doubt(struct index *x);
/* A snapshot of it, for store_snapshot_close().  Any thread. */
int index_snapshot(struct index *x, struct store_snapshot **ret);
