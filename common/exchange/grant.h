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
