/* grant_check: do the signatures that a grant's channel requires stand in the log?
 *
 * Reads, of the state or of an agent's replica: POLICY (in force when it was decided), DEPARTMENT, PERSON, CREDENTIAL,
 * AGENT and VERSION.  MATTER, REQUEST and GRANT rows are not asked: a grant is derived, never asserted. */
#include "common/exchange/grant_check.h"

#include "common/exchange/grant.h"
#include "common/exchange/guards.h"
#include "common/macro.h"
#include "common/seal.h"

#include <errno.h>

static void policy_freep(struct policy **p)
{
        policy_free(*p);
}

/* NULL: none yet, or damaged (then a fault). */
static struct policy *policy_in_force(struct rows *rows)
{
        Shuyi__V1__DocumentRow *row = rows_get(rows, &shuyi__v1__document_row__descriptor, TABLE_POLICY, NULL, 0);
        struct policy *p = row ? policy_parse(bytes_of_field(row->bytes_), NULL, NULL) : NULL;

        if (row && !p)
                rows->fault = -EBADMSG;
        return p;
}

/* ---- the decision ---- */

const char *decision_department(const struct policy *policy, const Shuyi__V1__RequestRow *request, const char *authority)
{
        return policy_is(policy, POLICY_cond_decider, "AUTHORITY") ? authority : request->provider;
}

static enum refusal decision_signers(struct rows *rows, const struct policy *policy, const struct claim *decision, struct wall_time at,
                                     struct id ret_persons[2])
{
        bool authority = policy_is(policy, POLICY_cond_decider, "AUTHORITY");
        enum role handler = authority ? ROLE_DATA_OPERATOR : ROLE_DATA_OFFICER, approver = ROLE_APPROVER;
        const struct signer *s = decision->signers;
        enum refusal no;

        if (!authority && policy_is(policy, POLICY_provider_internal_approval, "SHARING_HEAD"))
                approver = ROLE_SHARING_HEAD;
        if (policy_is(policy, POLICY_cond_decider, "AUTHORITY_WITH_PROVIDER"))
                return E_NOT_YET;
        if (decision->signers_n != 2 || s[0].capacity != handler || s[1].capacity != approver)
                return G_SIGNERS;
        no = signer_stands(rows, &s[0], decision->intent->from, at, &ret_persons[0]);
        return no == ACCEPTED ? signer_stands(rows, &s[1], decision->intent->from, at, &ret_persons[1]) : no;
}

static bool is_decider(struct rows *rows, const struct policy *policy, const Shuyi__V1__RequestRow *request, const char *department)
{
        const Shuyi__V1__DepartmentRow *d;

        if (!policy_is(policy, POLICY_cond_decider, "AUTHORITY"))
                return strcmp(department, request->provider) == 0;
        d = rows_department(rows, department);
        return d && d->department->authority;
}

/* Handler, approver, and both who applied: four persons, by person_id and in whatever department. */
static bool persons_apart(const Shuyi__V1__RequestRow *request, const struct id persons[2])
{
        if (bytes_equal(bytes_id(&persons[0]), bytes_id(&persons[1])))
                return false;
        for (unsigned i = 0; i < 2; i++)
                if (bytes_equal(bytes_id(&persons[i]), bytes_of_field(request->user)) ||
                    bytes_equal(bytes_id(&persons[i]), bytes_of_field(request->approver)))
                        return false;
        return true;
}

bool decision_items_fit(const Shuyi__V1__RequestRow *request, const struct claim *decision)
{
        const Shuyi__V1__Intent *i = decision->intent;

        switch (decision->kind->number) {
        case KIND_CONSENT:
                return items_equal(i->items, i->n_items, request->items, request->n_items);
        case KIND_CONSENT_PART:
                return i->n_items > 0 && i->n_items < request->n_items && items_ordered(i->items, i->n_items) &&
                       items_subset(i->items, i->n_items, request->items, request->n_items);
        default:
                return i->n_items == 0;         /* REFUSE grants nothing */
        }
}

enum refusal decision_check_persons(struct rows *rows, const struct policy *policy, const Shuyi__V1__RequestRow *request,
                                    const struct claim *decision, struct wall_time at)
{
        struct id persons[2];
        enum refusal no = decision_signers(rows, policy, decision, at, persons);

        if (no != ACCEPTED)
                return no;
        if (!is_decider(rows, policy, request, decision->intent->from))
                return E_ROLE;
        return persons_apart(request, persons) ? ACCEPTED : G_SEPARATION;
}

/* ---- the grant ---- */

/* AUTHORITY, VERIFY, EMERGENCY and CROSS have kinds of their own, later. */
static enum channel channel_of(const struct claim *decision)
{
        return decision->kind->number == KIND_GET ? CHANNEL_UNCONDITIONAL : CHANNEL_CONDITIONAL;
}

Shuyi__V1__GrantRow *grant_derive(struct rows *rows, const Shuyi__V1__RequestRow *request, const Shuyi__V1__VersionRow *version,
                                  struct bytes request_id, const struct claim *decision, struct wall_time at)
{
        const Shuyi__V1__Intent *i = decision->intent;
        Shuyi__V1__GrantRow *g = ARENA_NEW(rows->arena, Shuyi__V1__GrantRow);
        struct digest view = view_id(request->resource, request->version, i->items, i->n_items,
                                     bytes_of_field(request->filter_digest), 0, request->rate);
        struct bytes view_copy = arena_copy(rows->arena, bytes_digest(&view));

        if (!g || !view_copy.p)
                return NULL;
        shuyi__v1__grant_row__init(g);
        g->state = GRANT_ACTIVE;
        g->channel = channel_of(decision);
        g->consumer = request->consumer;
        g->provider = request->provider;
        g->resource = request->resource;
        g->version = request->version;
        g->n_items = i->n_items;
        g->items = i->items;
        g->purpose = request->purpose;
        g->method = request->method;
        g->user = request->user;
        g->approver = request->approver;
        g->agent = request->agent;
        g->serving_agent = version->agent;
        g->period_from = request->period_from;
        g->period_to = request->period_to;
        g->rate = request->rate;
        g->request = field_of_bytes(request_id);
        g->view = field_of_bytes(view_copy);
        g->opened_at = at.ms;
        g->filter_digest = request->filter_digest;
        g->user_credential = request->user_credential;
        g->approver_credential = request->approver_credential;
        g->opening = field_of_bytes(arena_copy(rows->arena, bytes_digest(&decision->header_digest)));
        return g;
}

/* An application is judged at the time its signers put into it: what they were later is asked at each use. */
static enum refusal check_both(struct rows *rows, const struct policy *policy, const struct claim *request, const struct claim *decision,
                               struct wall_time at, Shuyi__V1__GrantRow **ret)
{
        bool is_get = decision->kind->number == KIND_GET;
        const struct claim *applied = is_get ? decision : request;
        struct wall_time applied_at = is_get ? at : (struct wall_time){ request->intent->created_at };
        Shuyi__V1__RequestRow *row;
        struct asked asked;
        enum refusal no = asked_load(rows, policy, applied, applied_at, &asked);

        if (no == ACCEPTED)
                no = asked_check(&asked, is_get);
        if (no != ACCEPTED)
                return no;
        row = asked_request_row(&asked);
        if (row && !is_get)
                no = decision_check_persons(rows, policy, row, decision, at);
        if (row && !is_get && no == ACCEPTED && !decision_items_fit(row, decision))
                no = G_ITEMS;
        if (row && no == ACCEPTED)
                *ret = grant_derive(rows, row, asked.version, is_get ? (struct bytes){ 0 } : bytes_digest(&request->header_digest), decision, at);
        return no;
}

/* What a person signs holds until a day that it names: a decision kept back until later is none. */
static bool in_time(const struct claim *decision, struct wall_time at)
{
        return decision->intent->expires_at > at.ms;
}

static bool claims_fit(const struct claim *request, const struct claim *decision)
{
        uint16_t kind = decision->kind->number;

        if (kind == KIND_GET)
                return !request;
        return (kind == KIND_CONSENT || kind == KIND_CONSENT_PART) && request && request->kind->number == KIND_REQ_SUBMIT &&
               bytes_equal(bytes_of_field(decision->intent->request), bytes_digest(&request->header_digest));
}

int grant_check(struct state state, struct arena *a, const struct claim *request, const struct claim *decision,
                struct wall_time at, enum refusal *ret_refusal, struct grant_facts *ret)
{
        struct rows rows = { .state = state, .arena = a };
        _cleanup_(policy_freep) struct policy *policy = policy_in_force(&rows);
        Shuyi__V1__GrantRow *row = NULL;
        enum refusal no = E_NO_POLICY;

        if (policy)
                no = claims_fit(request, decision) ? check_both(&rows, policy, request, decision, at, &row) : E_NOT_FOUND;
        if (no == ACCEPTED && !in_time(decision, at))
                no = E_FORM;
        if (rows.fault)
                return rows.fault;
        if (no == ACCEPTED && (!row || arena_failed(a)))
                return -ENOMEM;
        *ret_refusal = no;
        if (no == ACCEPTED)
                *ret = (struct grant_facts){ .id = decision->header_digest, .row = row };
        return 0;
}

/* ---- a use ---- */

static enum refusal use_state(const Shuyi__V1__GrantRow *grant)
{
        if (grant->state == GRANT_ACTIVE)
                return ACCEPTED;
        return grant->state == GRANT_SUSPENDED ? E_SUSPENDED : E_STATE;
}

static enum refusal use_fits(const Shuyi__V1__GrantRow *grant, const uint32_t *items, size_t items_n, const char *purpose, uint32_t method,
                             struct wall_time at)
{
        if (items_n == 0 || !items_ordered(items, items_n) || !items_subset(items, items_n, grant->items, grant->n_items))
                return G_ITEMS;
        if (method != grant->method)
                return G_METHOD;
        if (!purpose[0] || strcmp(purpose, grant->purpose) != 0)
                return G_PURPOSE;
        return at.ms >= grant->period_from && (grant->period_to == 0 || at.ms < grant->period_to) ? ACCEPTED : G_PERIOD;
}

int grant_check_use(struct state state, struct arena *a, const Shuyi__V1__GrantRow *grant, const uint32_t *items, size_t items_n,
                    const char *purpose, uint32_t method, struct wall_time at, enum refusal *ret)
{
        struct rows rows = { .state = state, .arena = a };
        bool in_force = rows_person_in_force(&rows, grant->consumer, bytes_of_field(grant->user), at) &&
                        rows_person_in_force(&rows, grant->consumer, bytes_of_field(grant->approver), at) &&
                        rows_agent_in_force(&rows, grant->consumer, bytes_of_field(grant->agent), at);
        enum refusal no = in_force ? use_state(grant) : E_CRED;

        if (rows.fault)
                return rows.fault;
        *ret = no == ACCEPTED ? use_fits(grant, items, items_n, purpose, method, at) : no;
        return 0;
}
