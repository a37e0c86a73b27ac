/* source: the envelope behind an id, fetched from the log and held against that id.
 *
 * Who approves an entry, answers an application or accepts a filing is shown what the other party signed, from the very bytes:
 * an id is the digest of a header, so the center cannot show one thing and have another signed. */
#pragma once
#include "agent/cli/cli.h"
#include "common/envelope.h"
#include "proto/audit.pb-c.h"

/* The entry with this key (seq as u64 big-endian, or a digest), in the command's arena.  An exit code, after a message. */
int source_fetch(struct cli *c, struct bytes key, const Shuyi__V1__EntryRow **ret);
/* Shows entry `seq` (0: the one that made the row of id `digest`) on stderr, if its header digest is `digest`; *ret (may be
 * NULL) is what was shown.  An exit code. */
int source_show(struct cli *c, uint64_t seq, struct bytes digest, const char *title, const struct claim **ret);
