/* directory: a place of our own for files that must last.
 *
 * Made for us alone (0700), on a file system that keeps what is synced, held by one process. */
#pragma once
#include <stdbool.h>

/* Makes `dir` if it is missing, and refuses one on a remote file system (-EMEDIUMTYPE), or on a volatile one (tmpfs,
 * ramfs) unless that is allowed. */
int directory_make(const char *dir, bool allow_volatile);
/* -EMEDIUMTYPE or 0 for one that is there. */
int directory_check_filesystem(const char *dir, bool allow_volatile);
/* Holds `dir` for this process until the descriptor that comes back is closed.  -EBUSY: another process holds it. */
int directory_lock(const char *dir);
/* The names in `dir` are on the disk on return.  0 or a fault. */
int directory_sync(const char *dir);
