/* rows: reading the tables of the registry, catalog and grants, over any `struct state`.
 *
 * The rules read through a turn, an agent's grant_check through its replica: one set of readers for both.  Rows lie in
 * the arena.  A fault of the state sticks in `fault`, and every later read finds nothing.  Pure. */
#pragma once
#include "common/exchange/turn.h"

struct rows { struct state state; struct arena *arena; int fault; struct turn *turn; };   /* turn: who else must know of a fault; may be NULL */

/* Over the turn's own effects, then the state.  Faults also stick in the turn. */
struct rows rows_of(struct turn *t);

/* A zeroed struct for what an act is about, in the turn's arena; NULL and -ENOMEM in the turn when that is full. */
void *turn_new_matter(struct turn *t, size_t n);

/* NULL: none, or fault. */
void *rows_get(struct rows *r, const ProtobufCMessageDescriptor *d, enum table table, const struct bytes *parts, size_t n);
#define ROWS_GET(r, d, table, ...) rows_get((r), (d), (table), (const struct bytes[]){ __VA_ARGS__ }, \
                                            sizeof((const struct bytes[]){ __VA_ARGS__ }) / sizeof(struct bytes))
/* The bare 32 bytes of a reference row, such as RESOURCE, NAME or DATUM. */
bool rows_get_digest(struct rows *r, enum table table, const struct bytes *parts, size_t n, struct digest *ret);

static inline struct bytes bytes_of_field(ProtobufCBinaryData b) { return bytes_of(b.data, b.len); }
static inline ProtobufCBinaryData field_of_bytes(struct bytes b) { return (ProtobufCBinaryData){ b.n, (uint8_t *)b.p }; }
static inline bool field_equal(ProtobufCBinaryData a, ProtobufCBinaryData b) { return bytes_equal(bytes_of_field(a), bytes_of_field(b)); }

Shuyi__V1__DepartmentRow *rows_department(struct rows *r, const char *code);
Shuyi__V1__PersonRow *rows_person(struct rows *r, const char *department, struct bytes person);
Shuyi__V1__AgentRow *rows_agent(struct rows *r, struct bytes agent);
Shuyi__V1__CredentialRow *rows_credential(struct rows *r, struct bytes id);
Shuyi__V1__MatterRow *rows_matter(struct rows *r, struct bytes matter);
bool rows_find_matter(struct rows *r, const char *resource, struct digest *ret);
Shuyi__V1__VersionRow *rows_version(struct rows *r, const char *resource, uint32_t version);
Shuyi__V1__RequestRow *rows_request(struct rows *r, struct bytes request);
Shuyi__V1__GrantRow *rows_grant(struct rows *r, struct bytes grant);
Shuyi__V1__StreamRow *rows_stream(struct rows *r, struct bytes stream);
Shuyi__V1__SubscriptionRow *rows_subscription(struct rows *r, struct bytes grant);

/* The credential behind a row, decoded; NULL (and -EBADMSG) if the row is damaged. */
Shuyi__V1__Credential *rows_open_credential(struct rows *r, const Shuyi__V1__CredentialRow *row);

/* Is the credential that the person holds in this department now not revoked and within its time? */
bool rows_person_in_force(struct rows *r, const char *department, struct bytes person, struct wall_time at);
/* Is the agent registered for this department, not revoked, and its credential within its time? */
bool rows_agent_in_force(struct rows *r, const char *department, struct bytes agent, struct wall_time at);
