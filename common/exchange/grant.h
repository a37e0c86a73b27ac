/* grant: opening and closing a running provision (SM-GRANT), for the nouns that do so.
 *
 * A grant's row comes from grant_derive() alone, which grant_check() shares: broker and agents hold the same row. */
#pragma once
#include "common/exchange/grant_check.h"
#include "common/exchange/rows.h"

/* The GrantRow that a decision over an application gives: what was asked, the items of the decision, the version's agent.
 * NULL when the arena is full. */
Shuyi__V1__GrantRow *grant_derive(struct rows *rows, const Shuyi__V1__RequestRow *request, const Shuyi__V1__VersionRow *version,
                                  struct bytes request_id, const struct claim *decision, struct wall_time at);

/* SM-GRANT 1: the grant's rows, its subscription (REQUESTED), its trust record, the period's clock, notices N_GRANT. */
void grant_open(struct turn *t, const Shuyi__V1__GrantRow *row);
/* To ENDED or TERMINATED: the subscription ends at the stream's head, the trust record says so, notices as told. */
void grant_close(struct turn *t, struct bytes id, Shuyi__V1__GrantRow *row, enum grant_state state, enum notice notice);

/* One notice to each of these departments, each once; NULL and "" are nobody. */
void tell(struct turn *t, enum notice notice, const char *const *departments, size_t n);
#define TELL(t, notice, ...) tell((t), (notice), (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *))

/* May these signers decide this application: the decider of the profile, and nobody who signed the application?
 * ACCEPTED, G_SIGNERS, E_CRED, E_ROLE, E_NOT_YET or G_SEPARATION. */
enum refusal decision_check_persons(struct rows *rows, const struct policy *policy, const Shuyi__V1__RequestRow *request,
                                    const struct claim *decision, struct wall_time at);
/* Are its items what the event allows: all that was asked, a part of it, or none? */
bool decision_items_fit(const Shuyi__V1__RequestRow *request, const struct claim *decision);
/* Whose part it is to decide, by the profile: a department's code.  `authority` is the domain's. */
const char *decision_department(const struct policy *policy, const Shuyi__V1__RequestRow *request, const char *authority);
