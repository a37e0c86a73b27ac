/* signer: a person's, agent's or root's key file, opened for one command.
 *
 * Secrets stay in guarded memory and are wiped by keyfile_fini().  The passphrase comes from --passphrase-file, else
 * $SHUYI_PASSPHRASE_FILE, else the terminal. */
#pragma once
#include "agent/cli/cli.h"
#include "common/keyfile.h"

/* Options that every command has that opens or makes a sealed key file. */
#define PASSPHRASE_OPTIONS \
        { "passphrase-file", "FILE", "its first line is the passphrase (or $SHUYI_PASSPHRASE_FILE; else it is asked for)", false }, \
        { "demo-keys", NULL, "weakly sealed keys will do (or $SHUYI_DEMO_KEYS=1): for demonstrations only", false }
#define SIGNER_OPTIONS { "key", "FILE", "key file of who signs", true }, PASSPHRASE_OPTIONS

/* 0 and *ret, to be given to keyfile_fini(); -1 after a message. */
int signer_open(struct cli *c, const char *path, struct keyfile *ret);
/* Makes and writes a new key file of mode 0600 and leaves it open in *ret.  People's and roots' keys are sealed with a new
 * passphrase; agents', brokers' and logs' are open.  0, or -1 after a message; nothing is ever overwritten. */
int signer_make(struct cli *c, const char *path, enum keyfile_use use, struct keyfile *ret);
/* Writes the join file that asks for a credential for this key, and prints its fingerprint, to be read over the telephone.
 * `agent_id` is NULL but for agents; `department` is "" for the broker. */
int signer_write_join(struct cli *c, const struct keyfile *k, const char *path, const char *domain, const char *department,
                      const struct id *agent_id, const char *label);
