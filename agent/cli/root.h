/* root: envelopes signed by the domain's root (genesis, departments), made offline. */
#pragma once
#include "agent/cli/cli.h"
#include "common/anchor.h"
#include "common/envelope.h"
#include "common/keyfile.h"
#include "proto/registry.pb-c.h"

#define ROOTS_MAX 9

struct roots {
        struct keyfile key[ROOTS_MAX];
        size_t n;
};

/* Opens root key files (the operands after the first `skip`).  0, or -1 after a message; roots_fini() either way. */
int roots_open(struct cli *c, unsigned skip, struct roots *ret);
void roots_fini(struct roots *r);
struct digest root_id(const struct keyfile *k);

/* An envelope of `kind` signed by all opened roots, in the command's arena; {0} after a message. */
struct bytes root_envelope(struct cli *c, const struct roots *r, enum kind_number kind, const char *domain, const ProtobufCMessage *body);
/* DEPARTMENT body out of a specification: {"department":{…}, "persons":[{"join","staff"}], "agents":[{"join"}], "valid_days"}.
 * Credentials are issued by the first root.  NULL after a message. */
Shuyi__V1__DepartmentBody *root_department(struct cli *c, const struct roots *r, const json_t *spec, bool authority);
/* Welcome file of the agent admitted by `body`. 0, or -1 after a message. */
int root_write_welcome(struct cli *c, const Shuyi__V1__DepartmentBody *body, const char *endpoint, struct bytes broker_link_key,
                       struct bytes signed_anchor, const char *path);
