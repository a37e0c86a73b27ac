/* journal: an append-only file with a thread of its own that syncs it; what an outbox or inbox costs at least.
 *
 * Items are numbered from 1.  The thread writes and syncs all that waits at once: immediately, but when more came during the
 * last sync some 4 ms after it, so that groups grow (LIMITS).  The file is preallocated and written round and round, since
 * only its cost is wanted.  append and durable belong to one thread. */
#pragma once
#include "common/bytes.h"

struct journal;

/* `path` is made anew, `size` bytes long.  -ENOMEM, errno of open and write. */
int journal_open(const char *path, size_t size, struct journal **ret);
void journal_close(struct journal *j);          /* NULL is fine; waits for the sync in flight */
/* The item's number; 0: no room before the next sync. */
uint64_t journal_append(struct journal *j, struct bytes item);
/* The last item that is on disk.  A failed sync ends the process. */
uint64_t journal_durable(struct journal *j);
int journal_fd(const struct journal *j);        /* readable after it moved, until journal_durable */

struct journal_use { uint64_t syncs, bytes, cpu_ns; };
struct journal_use journal_use(const struct journal *j);
