/* signers: the registry's answer to "who are you", and the table of who must sign what. */
#include "common/exchange/signers.h"

#include "common/anchor.h"
#include "common/exchange/effects.h"
#include "common/policy_keys.h"

#include <errno.h>

#define ROLE_BIT(role) (1ull << (role))
#define ROLES_AUTHORITY_ONLY (ROLE_BIT(ROLE_SEC_ADMIN) | ROLE_BIT(ROLE_DATA_OPERATOR) | ROLE_BIT(ROLE_AUDIT_OFFICER))
#define ROLES_REVIEW (ROLE_BIT(ROLE_SEC_ADMIN) | ROLE_BIT(ROLE_DATA_OPERATOR) | ROLE_BIT(ROLE_APPROVER))
#define ROLES_ACCOUNTABLE (ROLES_REVIEW | ROLE_BIT(ROLE_AUDIT_OFFICER) | ROLE_BIT(ROLE_DATA_OFFICER) | ROLE_BIT(ROLE_DEPT_HEAD))

uint64_t roles_mask(const uint32_t *roles, size_t n)
{
        uint64_t mask = 0;

        for (size_t i = 0; i < n; i++)
                if (roles[i] < 64)
                        mask |= ROLE_BIT(roles[i]);
        return mask;
}

bool roles_exclusive(uint64_t roles)
{
        uint64_t apart = roles & ROLES_AUTHORITY_ONLY;

        return (apart & (apart - 1)) != 0;
}

/* ---- credentials ---- */

const Shuyi__V1__Anchor *signers_anchor(struct turn *t)
{
        const Shuyi__V1__Anchor *anchor = NULL;
        struct bytes document;

        if (t->meta->anchor_version) {
                Shuyi__V1__DocumentRow *row = turn_get_row(t, TURN_KEY(t, TABLE_ANCHOR, turn_u32(t, t->meta->anchor_version)),
                                                           &shuyi__v1__document_row__descriptor);
                if (!row)
                        return NULL;
                document = bytes_of(row->bytes_.data, row->bytes_.len);
        } else {
                const Shuyi__V1__AnchorBody *body = (const void *)t->claim->open_body;

                if (t->claim->kind->number != KIND_ANCHOR || !body || !body->anchor)
                        return NULL;
                document = message_pack(t->arena, &body->anchor->base);
        }
        return anchor_check(t->arena, document, &anchor) ? NULL : anchor;
}

static enum refusal resolve_root(struct turn *t, const struct signer *s, struct actor *ret)
{
        const Shuyi__V1__Anchor *anchor = signers_anchor(t);

        if (!anchor || !anchor_find_root(anchor, &s->credential))
                return turn_refuse(t, E_CRED, "root");
        *ret = (struct actor){ .capacity = ROLE_ROOT, .department = "" };
        return ACCEPTED;
}

/* What the broker says to its own log.  To refuse it is to stop, and then the root could not bring in a new credential either;
 * that the old one has run out is for agents to hold against its heads. */
static bool own_word(const struct turn *t, const Shuyi__V1__Credential *c)
{
        return !t->replica && t->entry->link == 0 && c->subject->kind == SUBJECT_BROKER;
}

/* Is the credential in force now, and of a subject that may have this capacity at all? */
static enum refusal credential_in_force(struct turn *t, const Shuyi__V1__CredentialRow *row, const Shuyi__V1__Credential *c)
{
        if (row->status != STATUS_ACTIVE && row->status != STATUS_SUSPENDED)
                return turn_refuse(t, E_CRED, word_name(LIST_trust_status, row->status));
        if (!own_word(t, c) && (t->now.ms < c->not_before || t->now.ms >= c->not_after))
                return turn_refuse(t, E_CRED, "validity");
        return ACCEPTED;
}

static enum refusal resolve_credential(struct turn *t, const struct signer *s, struct actor *ret)
{
        Shuyi__V1__CredentialRow *row = turn_get_row(t, TURN_KEY(t, TABLE_CREDENTIAL, bytes_digest(&s->credential)),
                                                     &shuyi__v1__credential_row__descriptor);
        Shuyi__V1__Credential *c;
        enum refusal r;

        if (!row)
                return turn_refuse(t, E_CRED, "unknown");
        c = (void *)protobuf_c_message_unpack(&shuyi__v1__credential__descriptor, arena_allocator(t->arena), row->credential.len, row->credential.data);
        if (!c || !c->subject) {
                t->fault = c ? -EBADMSG : arena_failed(t->arena) ? -ENOMEM : -EBADMSG;
                return E_CRED;
        }
        r = credential_in_force(t, row, c);
        if (r != ACCEPTED)
                return r;
        *ret = (struct actor){ .credential = c, .capacity = s->capacity, .department = c->subject->department,
                               .suspended = row->status == STATUS_SUSPENDED };
        if (c->subject->id.len == ID_BYTES)
                memcpy(ret->subject.b, c->subject->id.data, ID_BYTES);
        ret->authority = *ret->department && strcmp(ret->department, t->meta->authority) == 0;
        return ACCEPTED;
}

/* ---- the link ---- */

/* FILE and DEPARTMENT may also travel over a link of the authority, and what the root signs. */
static bool link_of_authority_carries(const struct turn *t, const struct actor *a)
{
        return a->capacity == ROLE_ROOT || t->claim->kind->number == KIND_FILE || t->claim->kind->number == KIND_DEPARTMENT;
}

static bool link_carries(const struct turn *t, const Shuyi__V1__AgentRow *agent, const struct actor *a)
{
        if (a->capacity == ROLE_SYSTEM)
                return false;
        if (a->capacity == ROLE_AGENT)
                return bytes_equal(bytes_id(&a->subject), bytes_of(agent->agent_id.data, agent->agent_id.len));
        if (a->capacity != ROLE_ROOT && strcmp(agent->department, a->department) == 0)
                return true;
        return strcmp(agent->department, t->meta->authority) == 0 && link_of_authority_carries(t, a);
}

static enum refusal check_link(struct turn *t)
{
        const Shuyi__V1__AgentRow *agent = NULL;
        struct bytes id;

        if (t->entry->link) {
                if (turn_get(t, TURN_KEY(t, TABLE_LINK, turn_u32(t, t->entry->link)), &id))
                        agent = turn_get_row(t, TURN_KEY(t, TABLE_AGENT, id), &shuyi__v1__agent_row__descriptor);
                if (!agent || agent->revoked)
                        return turn_refuse(t, E_CRED, "link");
        }
        for (unsigned i = 0; i < t->actors_n; i++) {
                const struct actor *a = &t->actors[i];
                bool ok = agent ? link_carries(t, agent, a) : a->capacity == ROLE_ROOT || a->capacity == ROLE_SYSTEM;

                if (!ok)
                        return turn_refuse(t, E_CRED, "link");
        }
        return ACCEPTED;
}

/* ---- capacity and department ---- */

static bool capacity_held(const struct actor *a)
{
        const Shuyi__V1__Subject *s = a->credential ? a->credential->subject : NULL;

        switch (a->capacity) {
        case ROLE_ROOT:
                return !s;
        case ROLE_SYSTEM:
                return s && s->kind == SUBJECT_BROKER;
        case ROLE_AGENT:
                return s && s->kind == SUBJECT_AGENT;
        default:
                return s && s->kind == SUBJECT_PERSON && (roles_mask(s->roles, s->n_roles) & ROLE_BIT(a->capacity));
        }
}

static enum refusal check_department(struct turn *t, struct actor *a)
{
        Shuyi__V1__DepartmentRow *row;

        if (strcmp(t->intent->from, a->department) != 0)
                return turn_refuse(t, E_ROLE, "from");
        if (!*a->department)
                return ACCEPTED;
        row = turn_get_row(t, TURN_KEY(t, TABLE_DEPARTMENT, bytes_str(a->department)), &shuyi__v1__department_row__descriptor);
        if (!row)
                return turn_refuse(t, E_ROLE, "department");
        a->suspended |= row->suspended;
        return ACCEPTED;
}

static enum refusal check_capacities(struct turn *t)
{
        enum refusal r = ACCEPTED;

        for (unsigned i = 0; i < t->actors_n && r == ACCEPTED; i++) {
                struct actor *a = &t->actors[i];
                const char *word = word_name(LIST_role, a->capacity);

                if (!capacity_held(a))
                        return turn_refuse(t, E_ROLE, word ? word : "capacity");
                if ((ROLE_BIT(a->capacity) & ROLES_AUTHORITY_ONLY) && !a->authority)
                        return turn_refuse(t, E_ROLE, word);
                r = check_department(t, a);
        }
        return r;
}

enum refusal signers_check_suspended(struct turn *t)
{
        for (unsigned i = 0; i < t->actors_n; i++)
                if (t->actors[i].suspended)
                        return turn_refuse(t, E_SUSPENDED, t->actors[i].department);
        return ACCEPTED;
}

enum refusal signers_resolve(struct turn *t)
{
        enum refusal r = ACCEPTED;

        for (unsigned i = 0; i < t->claim->signers_n && r == ACCEPTED; i++) {
                const struct signer *s = &t->claim->signers[i];
                struct actor *a = &t->actors[t->actors_n++];

                r = s->capacity == ROLE_ROOT ? resolve_root(t, s, a) : resolve_credential(t, s, a);
        }
        if (r == ACCEPTED && !t->replica)
                r = check_link(t);
        if (r == ACCEPTED)
                r = check_capacities(t);
        return r;
}

/* ---- who must sign what ---- */

#define PLACES_MAX 3

/* Places in the order of signing, each with the roles that may take it.  `authority`: all of them persons of the authority. */
struct places {
        unsigned n;
        uint64_t role[PLACES_MAX];
        bool authority;
        bool distinct;                  /* a capacity once */
        bool later;                     /* across parties: PROPOSE and COUNTERSIGN */
};

static const struct places fixed_places[] = {
        [BY_SYSTEM] = { 1, { ROLE_BIT(ROLE_SYSTEM) } },
        [BY_AGENT] = { 1, { ROLE_BIT(ROLE_AGENT) } },
        [BY_OFFICER] = { 1, { ROLE_BIT(ROLE_DATA_OFFICER) } },
        [BY_APPROVER] = { 1, { ROLE_BIT(ROLE_APPROVER) } },
        [BY_SEC_ADMIN] = { 1, { ROLE_BIT(ROLE_SEC_ADMIN) }, .authority = true },
        [BY_OPERATOR] = { 1, { ROLE_BIT(ROLE_DATA_OPERATOR) }, .authority = true },
        [BY_AUTHORITY] = { 1, { ROLES_REVIEW }, .authority = true },
        [BY_TWO_AUTHORITY] = { 2, { ROLES_ACCOUNTABLE, ROLES_ACCOUNTABLE }, .authority = true },
        [BY_SEC_ADMIN_AND_OPERATOR] = { 2, { ROLE_BIT(ROLE_SEC_ADMIN) | ROLE_BIT(ROLE_DATA_OPERATOR), ROLE_BIT(ROLE_SEC_ADMIN) | ROLE_BIT(ROLE_DATA_OPERATOR) },
                                        .authority = true, .distinct = true },
        [BY_OPERATOR_AND_AUDITOR] = { 2, { ROLE_BIT(ROLE_DATA_OPERATOR), ROLE_BIT(ROLE_AUDIT_OFFICER) }, .authority = true },
        [BY_OFFICER_OR_SEC_ADMIN] = { 1, { ROLE_BIT(ROLE_DATA_OFFICER) | ROLE_BIT(ROLE_SEC_ADMIN) } },
        [BY_SUSPENDER] = { 1, { ROLE_BIT(ROLE_SEC_ADMIN) | ROLE_BIT(ROLE_APPROVER) } },
};

static uint64_t internal_approval(const struct turn *t, enum policy_key k)
{
        bool head = t->policy && policy_is(t->policy, k, "SHARING_HEAD");

        return ROLE_BIT(head ? ROLE_SHARING_HEAD : ROLE_APPROVER);
}

static struct places decider_places(const struct turn *t)
{
        if (t->policy && policy_is(t->policy, POLICY_cond_decider, "AUTHORITY"))
                return (struct places){ 2, { ROLE_BIT(ROLE_DATA_OPERATOR), ROLE_BIT(ROLE_APPROVER) }, .authority = true };
        return (struct places){ 2, { ROLE_BIT(ROLE_DATA_OFFICER), internal_approval(t, POLICY_provider_internal_approval) },
                                .later = t->policy && policy_is(t->policy, POLICY_cond_decider, "AUTHORITY_WITH_PROVIDER") };
}

static struct places places_of(const struct turn *t, enum by by)
{
        switch (by) {
        case BY_OFFICER_APPROVER:
                return (struct places){ t->policy && policy_has(t->policy, POLICY_catalog_pre_assessment, "HEAD_APPROVAL") ? 3 : 2,
                                        { ROLE_BIT(ROLE_DATA_OFFICER), ROLE_BIT(ROLE_APPROVER), ROLE_BIT(ROLE_DEPT_HEAD) } };
        case BY_USER_APPROVER:
                return (struct places){ 2, { ROLE_BIT(ROLE_USER), internal_approval(t, POLICY_consumer_internal_approval) } };
        case BY_DECIDER:
                return decider_places(t);
        case BY_NOBODY:
        case BY_ROOT:
                return (struct places){ 0 };
        default:
                return fixed_places[by];
        }
}

bool signers_fit(struct turn *t, enum by by)
{
        struct places p = places_of(t, by);
        uint64_t any = by == BY_ROOT ? ROLE_BIT(ROLE_ROOT) : p.role[0] | p.role[1] | (p.n > 2 ? p.role[2] : 0);

        for (unsigned i = 0; i < t->actors_n; i++) {
                const struct actor *a = &t->actors[i];

                if (!(ROLE_BIT(a->capacity) & any) || (p.authority && !a->authority))
                        return false;
        }
        return true;
}

static enum refusal check_threshold(struct turn *t)
{
        const Shuyi__V1__Anchor *anchor = signers_anchor(t);
        unsigned distinct = 0;

        for (unsigned i = 0; i < t->claim->signers_n; i++) {
                unsigned j = 0;

                while (j < i && !digest_equal(&t->claim->signers[i].credential, &t->claim->signers[j].credential))
                        j++;
                distinct += j == i;
        }
        if (!anchor || distinct != t->claim->signers_n || distinct < anchor->threshold)
                return turn_refuse(t, G_SIGNERS, "root threshold");
        return ACCEPTED;
}

static enum refusal check_order(struct turn *t, const struct places *p)
{
        if (t->actors_n != p->n)
                return turn_refuse(t, G_SIGNERS, t->actors_n < p->n ? "missing" : "too many");
        for (unsigned i = 0; i < p->n; i++) {
                if (!(ROLE_BIT(t->actors[i].capacity) & p->role[i]))
                        return turn_refuse(t, G_SIGNERS, "order");
                if (p->distinct && i && t->actors[i].capacity == t->actors[i - 1].capacity)
                        return turn_refuse(t, G_SIGNERS, "missing");
        }
        return ACCEPTED;
}

static enum refusal check_separation(struct turn *t, enum by by)
{
        if (by == BY_USER_APPROVER && t->policy && policy_is(t->policy, POLICY_self_approval, "ALLOWED"))
                return ACCEPTED;
        for (unsigned i = 1; i < t->actors_n; i++)
                for (unsigned j = 0; j < i; j++)
                        if (memcmp(t->actors[i].subject.b, t->actors[j].subject.b, ID_BYTES) == 0)
                                return turn_refuse(t, G_SEPARATION, word_name(LIST_role, t->actors[i].capacity));
        return ACCEPTED;
}

enum refusal signers_check(struct turn *t, enum by by)
{
        struct places p = places_of(t, by);
        enum refusal r;

        if (!signers_fit(t, by))
                return turn_refuse(t, E_ROLE, t->actors_n ? word_name(LIST_role, t->actors[0].capacity) : "");
        if (p.later)
                return turn_refuse(t, E_NOT_YET, "AUTHORITY_WITH_PROVIDER");
        if (by == BY_ROOT)
                return check_threshold(t);
        r = check_order(t, &p);
        return r == ACCEPTED ? check_separation(t, by) : r;
}

/* ---- for guards ---- */

const struct actor *signers_find(const struct turn *t, enum role capacity)
{
        for (unsigned i = 0; i < t->actors_n; i++)
                if (t->actors[i].capacity == capacity)
                        return &t->actors[i];
        return NULL;
}

bool signers_person_signed(const struct turn *t, struct bytes person_id)
{
        for (unsigned i = 0; i < t->actors_n; i++)
                if (t->actors[i].credential && bytes_equal(bytes_id(&t->actors[i].subject), person_id))
                        return true;
        return false;
}

const char *signers_department(const struct turn *t)
{
        return t->actors_n ? t->actors[0].department : "";
}
