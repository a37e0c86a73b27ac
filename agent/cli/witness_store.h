/* witness_store: what a witness has cosigned last, log by log, in one small file.
 *
 * D/state holds the witness's name and each log's last head; a change is a new file, synced, renamed over the old one and its directory synced,
 * before the call returns: so a cosignature that left can always be found again.  A file that is missing or damaged
 * is a fault, never an empty state: a witness that forgot could cosign a second history.  One thread; D/lock keeps other processes out. */
#pragma once
#include "common/witness.h"

#define WITNESS_LOGS_MAX 64

struct witness_store;
/* `epoch`: 0, or that of the last cut its operator declared.  `note`: the head as the log signed it; "" after a cut. */
struct witness_log { const char *origin; struct witness_head head; uint64_t epoch; const char *note; };

/* A state without logs for the witness `name`.  -EEXIST: there is one; -EINVAL: no such name. */
int witness_store_make(const char *dir, const char *name);
/* -ENOENT: none was made here; -EBADMSG: damaged; -EBUSY: another process has it. */
int witness_store_open(const char *dir, struct witness_store **ret);
void witness_store_close(struct witness_store *s);      /* NULL is fine */

const char *witness_store_name(const struct witness_store *s);
/* Borrowed until the next put; NULL: nothing cosigned yet. */
const struct witness_log *witness_store_find(const struct witness_store *s, const char *origin);
/* Durable on 0.  After a fault the caller must end: what is on disk is not known.  -ENOSPC also for one log too many. */
int witness_store_put(struct witness_store *s, const struct witness_log *log);
/* Evidence for people: a file of its own in the directory, synced; "" if one of that name is there already. */
int witness_store_keep(struct witness_store *s, const char *name, const char *text);
