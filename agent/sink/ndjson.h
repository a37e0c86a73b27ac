/* ndjson: a file of lines that only grows, and of which only so much counts as was synced and recorded elsewhere.
 *
 * The owner keeps the offset up to which lines are done, in the commit that marks their records as done.  What stands
 * behind that offset when the file is opened was written before a crash and is cut off: it will be written again, byte
 * for byte.  So lines are neither lost nor doubled.  One thread. */
#pragma once
#include <stdint.h>

#include "common/bytes.h"

struct ndjson;

#define NDJSON_END UINT64_MAX   /* as an offset: nobody knows yet what counts, so all that stands there does */

/* Opens or makes the file (mode 0640) and cuts it to `offset`; at NDJSON_END nothing is cut.  A file that is not there begins anew at 0,
 * whatever the offset: somebody moved it away.  *ret_offset is where it stands, to be recorded before the first append.
 * -EBADMSG: it does not hold the lines that counted: shorter than `offset`, or no line ends there.  Then nothing is cut. */
int ndjson_open(const char *path, uint64_t offset, struct ndjson **ret, uint64_t *ret_offset);
void ndjson_close(struct ndjson *n);            /* NULL is fine; what was not synced does not count */

/* Adds bytes, buffered.  Negative errno of write: the file's end is undefined until the next ndjson_rewind. */
int ndjson_append(struct ndjson *n, struct bytes line);
/* Writes out and syncs; *ret_offset is what then counts.  -ESTALE: the file was moved away or removed meanwhile, nothing counts. */
int ndjson_sync(struct ndjson *n, uint64_t *ret_offset);
/* Back to the last synced offset, after a failed write (a full disk). */
int ndjson_rewind(struct ndjson *n);

/* What to do with a file of `size` bytes when `offset` of them count: pure.  0 cut to *ret, or -EBADMSG. */
int ndjson_recover(bool exists, uint64_t size, uint64_t offset, uint64_t *ret);
