/* recover: from what is on the disk to a broker that may run.  DESIGN 2.
 *
 * Keys, store and log are opened; the log's tail above the committed state is applied again; what follows the last good
 * head was never acknowledged and is dropped.  Damage anywhere else is named, and the broker does not start. */
#pragma once
#include "broker/broker.h"
#include "common/anchor.h"

/* Opens keys, store and segments of the configuration in `b`.  What is wrong is logged.  0 or a fault. */
int recover_open(struct broker *b, bool read_only);
/* Brings the state to the end of the log.  *ret_crashed: the last run did not end in order.  -ENODATA: no genesis yet. */
int recover_run(struct broker *b, bool *ret_crashed);
/* What the state has was synced: less in the log is damage.  Older files than that of this entry need not be read again. */
int recover_synced_before(struct broker *b, uint64_t *ret_seq, uint64_t *ret_file);
void recover_close(struct broker *b);

/* Who this broker is by the state: its credential, the authority; and that the log key is the anchor's.  0, or -EKEYREJECTED
 * after printing what does not fit. */
int recover_identity(struct broker *b, struct state state, struct arena *a);
/* A whole file into `a`; -EFBIG beyond max_bytes. */
int recover_read_file(struct arena *a, const char *path, size_t max_bytes, struct bytes *ret);
/* Directories below store.dir. */
const char *recover_dir(struct broker *b, const char *name, char buffer[4096]);
