/* issue: credentials for keys that others made (DESIGN 3). */
#pragma once
#include "agent/cli/cli.h"
#include "common/credential.h"
#include "common/times.h"
#include "common/words.h"
#include "proto/identity.pb-c.h"

struct issuer {
        struct digest id;               /* credential id, or root key id */
        const uint8_t *secret;          /* 64, borrowed */
        struct wall_time not_after;     /* what is issued ends no later; {0}: a root, which does not end */
};

struct issue {
        const Shuyi__V1__JoinFile *join;        /* key request and the proof that its owner made it */
        struct id subject;                      /* person_id; an agent brings its own id */
        uint32_t roles[16];                     /* ascending; persons only */
        size_t roles_n;
        bool registrar;                         /* may issue credentials of persons and agents of the domain */
        uint32_t valid_days;
};

/* Reads a join file and checks its signature.  NULL after a message. */
const Shuyi__V1__JoinFile *issue_read_join(struct cli *c, const char *path, const Shuyi__V1__KeyRequest **ret_request);
/* Makes and signs the credential, in the command's arena; NULL after a message. */
Shuyi__V1__SignedCredential *issue_credential(struct cli *c, const struct issue *i, const struct issuer *by);
/* Fresh person_id or agent_id. */
void issue_new_id(struct id *ret);
/* ["SEC_ADMIN", ...] or "SEC_ADMIN,USER" as ascending numbers.  0, or -1 after a message. */
int issue_roles_json(const json_t *list, struct issue *i);
int issue_roles_text(struct cli *c, const char *list, struct issue *i);
