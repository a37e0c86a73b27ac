/* admission: how a credential enters the registry, by the root's DEPARTMENT or by a SEC_ADMIN's ACCEPT (DESIGN 3, SM-STAFF 2).
 *
 * A public key appears once, ever.  A person is known by person_id: several credentials of one person in a department are
 * in force together (PersonRow.credential and .also) and end together.  Pure; inside the exchange library. */
#pragma once
#include "common/exchange/turn.h"

#define PERSON_CREDENTIALS_MAX 4                /* beside the newest one */

struct admitted {
        const Shuyi__V1__SignedCredential *signed_credential;
        const Shuyi__V1__Credential *credential;
        const Shuyi__V1__KeyRequest *request;
        struct digest id;
        const Shuyi__V1__Staff *staff;          /* NULL for an agent and the broker */
        const char *label;
};

/* Form of what is filed about a person: every empty field is named (G_FIELD); roles known, ascending, those of
 * 3.5 at the authority only, no two that are kept apart (G_SEPARATION). */
enum refusal admission_check_staff(struct turn *t, const Shuyi__V1__Staff *staff, bool authority);
/* A new public key that nobody ever had: G_ONCE. */
enum refusal admission_check_key(struct turn *t, const ProtobufCBinaryData *key, const char *name);
/* A SignedCredential by `issuer_key`: form and signatures (G_FIELD), domain (E_DOMAIN), validity (G_FIELD), keys (G_ONCE). */
enum refusal admission_check(struct turn *t, const Shuyi__V1__SignedCredential *s, const uint8_t issuer_key[32], struct admitted *ret);
/* would the person hold two of the roles that are kept apart?  `replaced` does not count.  G_SEPARATION. */
enum refusal admission_check_roles(struct turn *t, const struct admitted *n, struct bytes replaced);

/* Writes all rows and the trust record.  `replaced`: the credential that this one follows, or {0}: it becomes SUPERSEDED. */
void admission_write(struct turn *t, const struct admitted *n, struct bytes replaced);
/* Ends a credential: status, reason, trust record.  `by` is the id of what superseded it, {0} for a revocation. */
void admission_end(struct turn *t, struct bytes id, enum trust_status status, uint32_t reason, uint64_t suspect_since_seq, struct bytes by);

Shuyi__V1__CredentialRow *admission_row(struct turn *t, struct bytes id);
/* The credential's own bytes, decoded; NULL on a fault. */
Shuyi__V1__Credential *admission_credential(struct turn *t, const Shuyi__V1__CredentialRow *row);
Shuyi__V1__PersonRow *admission_person(struct turn *t, const char *department, struct bytes person_id);
Shuyi__V1__AgentRow *admission_agent(struct turn *t, struct bytes agent_id);
struct bytes admission_person_key(struct turn *t, const char *department, struct bytes person_id);
struct bytes admission_agent_key(struct turn *t, struct bytes agent_id);
