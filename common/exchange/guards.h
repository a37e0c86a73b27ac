/* guards: what a GET and an application (REQ_SUBMIT) must hold, in the order of REGULATIONS 6.13.
 *
 * Each guard is a question about a `struct asked`: the act, its signers, and the entry that it asks of.  The rule tables
 * list them for apply, grant_check walks the same lists over an agent's replica: so both sides refuse alike and derive
 * the same grant.  Pure. */
#pragma once
#include "common/exchange/rows.h"
#include "common/policy.h"
#include "proto/request.pb-c.h"

#define PURPOSE_MAX_BYTES 300
#define ASKED_ITEMS_MAX 512

struct asked {
        struct rows *rows;
        const struct policy *policy;
        const struct claim *claim;
        const Shuyi__V1__Intent *intent;
        const Shuyi__V1__RequestBody *body;
        struct wall_time at;                            /* when it is judged */
        const Shuyi__V1__DepartmentRow *consumer;       /* of intent.from; NULL: not registered */
        const Shuyi__V1__VersionRow *version;           /* what is asked of */
        enum share_type type;                           /* the strictest that holds for the items asked */
        struct id user, approver;                       /* persons, once asked_signers() accepted */
        char detail[256];                               /* set by the guard that refused */
};

/* Finds what is asked of: ACCEPTED, or E_NOT_FOUND with a detail.  Fills all but the persons. */
enum refusal asked_load(struct rows *rows, const struct policy *policy, const struct claim *claim, struct wall_time at, struct asked *ret);

/* X(guard), in order: of a GET, of an application. */
#define ASKED_GET_GUARDS(X) \
        X(signers) X(separation) X(path_get) X(fields) X(type_get) X(items) X(method) X(medium) X(scope) X(filter)
#define ASKED_REQUEST_GUARDS(X) \
        X(signers) X(separation) X(path_request) X(fields) X(type_request) X(items) X(method) X(medium) X(scope) X(filter)

enum refusal asked_signers(struct asked *q);            /* G_SIGNERS, E_CRED, E_ROLE: user first, then approver */
enum refusal asked_separation(struct asked *q);         /* by person_id */
enum refusal asked_path_get(struct asked *q);
enum refusal asked_path_request(struct asked *q);
enum refusal asked_fields(struct asked *q);             /* all that are missing are named */
enum refusal asked_type_get(struct asked *q);
enum refusal asked_type_request(struct asked *q);
enum refusal asked_items(struct asked *q);
enum refusal asked_method(struct asked *q);
enum refusal asked_medium(struct asked *q);
enum refusal asked_scope(struct asked *q);
enum refusal asked_filter(struct asked *q);             /* row filters and masks come later: E_NOT_YET */

/* The whole list, for who has no rule table. */
enum refusal asked_check(struct asked *q, bool is_get);

/* The application as a row: what stands in the state, and what a grant is derived from. */
Shuyi__V1__RequestRow *asked_request_row(struct asked *q);

/* A person who signs with `capacity` for `department` at `at`: is the credential in force then and does it hold the role?
 * ACCEPTED and the person, E_CRED or E_ROLE. */
enum refusal signer_stands(struct rows *rows, const struct signer *s, const char *department, struct wall_time at, struct id *ret_person);

/* Ascending, none twice, none 0. */
bool items_ordered(const uint32_t *items, size_t n);
bool items_subset(const uint32_t *items, size_t n, const uint32_t *of, size_t of_n);    /* both ordered */
bool items_equal(const uint32_t *a, size_t a_n, const uint32_t *b, size_t b_n);
