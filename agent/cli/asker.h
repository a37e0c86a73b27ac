/* asker: who signs the questions of an audit (REGULATIONS 3.5).
 *
 * The key is opened once and stays in guarded memory until asker_fini(), so that a long reading can sign again when a
 * question grows old: the center takes one for five minutes. */
#pragma once
#include "agent/cli/act.h"

#define ASKER_OPTIONS \
        { "key", "FILE", "key file of who asks", false }, PASSPHRASE_OPTIONS, \
        { "as", "ROLE", "AUDIT_OFFICER, DATA_OFFICER, APPROVER or USER; else the first of these that the key has", false }

struct asker { struct keyfile key; struct digest credential; enum role role; };

/* Opens --key, finds its credential and the role to ask in.  0 (then asker_fini), or an exit code after a message. */
int asker_open(struct cli *c, struct asker *ret);
void asker_fini(struct asker *a);
/* The signed question for `key`, made now, in the command's arena.  An exit code. */
int asker_sign(struct cli *c, const struct asker *a, struct bytes key, struct bytes *ret);
