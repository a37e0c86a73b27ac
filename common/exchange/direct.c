/* direct: taking unconditional data without anybody's decision (SM-DIRECT 1), as a subscription.
 *
 * One GET opens a grant and is done; each delivery under it is SM-GRANT 2 with its own record and receipt. */
#include "common/exchange/grant.h"
#include "common/exchange/guards.h"
#include "common/macro.h"

struct direct {
        struct rows rows;
        struct asked asked;
        const Shuyi__V1__MatterRow *matter;
        struct grant_facts facts;
};

static enum refusal direct_load(struct turn *t, void **ret_matter, unsigned *ret_state)
{
        struct direct *d = turn_new_matter(t, sizeof(*d));
        enum refusal no;

        if (!d)
                return E_NOT_FOUND;
        d->rows = rows_of(t);
        no = asked_load(&d->rows, t->policy, t->claim, t->now, &d->asked);
        if (no != ACCEPTED)
                return turn_refuse(t, no, d->asked.detail);
        d->matter = rows_matter(&d->rows, bytes_of_field(d->asked.version->matter));
        if (!d->matter || d->matter->version != t->intent->resource_version)
                return turn_refuse(t, E_NOT_FOUND, "resource_version");
        if (rows_grant(&d->rows, bytes_digest(&t->claim->header_digest)))
                return turn_refuse(t, E_REPLAY, "grant");       /* the same header under other signatures */
        *ret_matter = d;
        *ret_state = 0;
        return ACCEPTED;
}

static enum refusal direct_frozen(struct turn *t, void *matter)
{
        const struct direct *d = matter;

        return d->matter->frozen ? turn_refuse(t, E_FROZEN, t->intent->resource) : ACCEPTED;
}

/* Nothing but the grant is kept. */
static void direct_store(struct turn *t, void *matter, unsigned state)
{
}

#define GUARD_DEFINITION(name) \
        static enum refusal guard_##name(struct turn *t, void *matter) \
        { \
                struct direct *d = matter; \
                enum refusal no = asked_##name(&d->asked); \
                return no == ACCEPTED ? no : turn_refuse(t, no, d->asked.detail); \
        }
ASKED_GET_GUARDS(GUARD_DEFINITION)

/* The same answer that every agent will come to; and the row that it comes to. */
static enum refusal guard_grant_stands(struct turn *t, void *matter)
{
        struct direct *d = matter;
        enum refusal no = ACCEPTED;
        int r = grant_check(d->rows.state, t->arena, NULL, t->claim, t->now, &no, &d->facts);

        if (r < 0 && t->fault == 0)
                t->fault = r;
        return no;
}

static void open(struct turn *t, void *matter)
{
        struct direct *d = matter;

        grant_open(t, d->facts.row);
}

#define GUARD_NAME(name) guard_##name,

static const struct rule rules[] = {
        { IN_NONE, KIND_GET, BY_USER_APPROVER, { ASKED_GET_GUARDS(GUARD_NAME) guard_grant_stands }, 0, open, "SM-DIRECT 1", "ZS 22(1)" },
        { IN_NONE, KIND_QUERY, BY_USER_APPROVER, { NULL }, 0, NULL, "SM-DIRECT 1", "ZS 22(1)", true },
        { IN_NONE, KIND_ANSWER, BY_AGENT, { NULL }, 0, NULL, "SM-DIRECT 2", "ZS 22(1)", true },
};

const struct machine machine_direct = {
        .name = "SM-DIRECT",
        .load = direct_load,
        .frozen = direct_frozen,
        .store = direct_store,
        .rules = rules,
        .rules_n = ELEMENTS(rules),
};
