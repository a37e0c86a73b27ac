/* admit: acceptance and revocation, the same for persons and agents (SM-STAFF 2, 5). */
#pragma once
#include "agent/cli/cli.h"

#define ADMIT_OPTIONS \
        { "person", "ID", "person_id of somebody already registered elsewhere; else a new one is made", false }, \
        { "days", "N", "validity of the credential (default 365)", false }, \
        { "welcome", "FILE", "agents: where to write the welcome file", false }, \
        { "like", "WELCOME", "agents: a welcome file of this domain, for endpoint, link key and anchor", false }
#define REVOKE_OPTIONS \
        { "reason", "WORD", "CEASED (default) or COMPROMISED", false }, \
        { "suspect-since", "SEQ", "COMPROMISED: entries from this one on are suspect", false }

int admit_accept(struct cli *c, const char *filing);
int admit_revoke(struct cli *c, const char *credential);
