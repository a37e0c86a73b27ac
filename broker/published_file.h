/* published_file: the newest witnessed head on disk, so that a start has it before the witnesses answer.
 *
 * One line "shuyi-published-v1 EPOCH base64(BLAKE2b-256 of the note)", then the note with all its cosignatures.  Replaced by
 * rename and not synced: after a power cut an older one, or a torn one that is dropped, costs a second of waiting; it can never say
 * more than the synced log does. */
#pragma once
#include "broker/published.h"

/* 0 or a fault. */
int published_file_write(const char *path, const struct published_head *head);
/* Epoch and note (in `a`); size and root are for who verifies the note.  1; 0: there is none; -EBADMSG: torn; or a fault. */
int published_file_read(const char *path, struct arena *a, struct published_head *ret);
