/* registry: what the root signs (anchors, the broker's credential, departments with their first people) and what an agent
 * says of its own seal key.  DESIGN 3.
 *
 * Genesis is the same machine: without an anchor in force the first ANCHOR is checked against itself, the first DEPARTMENT
 * is the authority. */
#include "common/exchange/admission.h"
#include "common/anchor.h"
#include "common/exchange/effects.h"
#include "common/exchange/rows.h"
#include "common/exchange/signers.h"
#include "common/macro.h"

#define SEAL_KEY_MAX_MS (30 * DAY_MS)
#define ADMISSIONS_MAX 8
#define NAME_MAX_BYTES 256
#define REGISTERED 1

/* What the acts are about: each kind uses its part. */
struct registry_matter {
        const Shuyi__V1__Anchor *anchor;        /* in force; NULL before the first */
        const Shuyi__V1__Anchor *next;
        struct bytes next_signed;
        const Shuyi__V1__DepartmentBody *department;
        struct admitted admitted[ADMISSIONS_MAX];
        size_t admitted_n;
        Shuyi__V1__AgentRow *agent;
};

/* ---- load ---- */

static enum refusal load_department(struct turn *t, struct registry_matter *m, unsigned *ret_state)
{
        struct bytes value;

        m->department = (const void *)t->claim->open_body;
        if (!m->department || !m->department->department)
                return turn_refuse(t, E_FORM, "body");
        if (turn_get(t, TURN_KEY(t, TABLE_DEPARTMENT, bytes_str(m->department->department->code)), &value))
                *ret_state = REGISTERED;
        return ACCEPTED;
}

static enum refusal load(struct turn *t, void **ret_matter, unsigned *ret_state)
{
        struct registry_matter *m = ARENA_NEW(t->arena, struct registry_matter);

        if (!m)
                return turn_refuse(t, E_FORM, "size");
        *ret_matter = m;
        *ret_state = 0;
        if (!t->claim->open_body)
                return turn_refuse(t, E_FORM, "body");
        switch (t->claim->kind->number) {
        case KIND_ANCHOR:
                m->anchor = t->meta->anchor_version ? signers_anchor(t) : NULL;
                *ret_state = m->anchor ? REGISTERED : 0;
                return ACCEPTED;
        case KIND_DEPARTMENT:
                m->anchor = signers_anchor(t);
                return load_department(t, m, ret_state);
        case KIND_SEAL_KEY:
                m->agent = admission_agent(t, bytes_id(&t->actors[0].subject));
                return m->agent ? ACCEPTED : turn_refuse(t, E_NOT_FOUND, "agent");
        default:
                m->anchor = signers_anchor(t);
                return ACCEPTED;
        }
}

/* ---- ANCHOR ---- */

static enum refusal anchor_fits(struct turn *t, void *matter)
{
        struct registry_matter *m = matter;
        const Shuyi__V1__AnchorBody *body = (const void *)t->claim->open_body;
        const char *wrong;

        if (!body->anchor)
                return turn_refuse(t, G_FIELD, "anchor");
        m->next_signed = message_pack(t->arena, &body->anchor->base);
        wrong = anchor_check(t->arena, m->next_signed, &m->next);
        if (wrong)
                return turn_refuse(t, G_FIELD, wrong);
        if (strcmp(m->next->domain, t->meta->domain) != 0)
                return turn_refuse(t, E_DOMAIN, "anchor");
        if (m->next->version != t->meta->anchor_version + 1)
                return turn_refuse(t, G_FIELD, "version");
        wrong = m->anchor ? anchor_check_succession(t->arena, m->anchor, m->next, m->next_signed) : NULL;
        return wrong ? turn_refuse(t, G_FIELD, wrong) : ACCEPTED;
}

static void anchor_install(struct turn *t, void *matter)
{
        struct registry_matter *m = matter;
        Shuyi__V1__DocumentRow row = SHUYI__V1__DOCUMENT_ROW__INIT;
        struct digest digest = digest_plain(m->next_signed);

        row.bytes_ = field_of_bytes(m->next_signed);
        row.version = m->next->version;
        row.digest = field_of_bytes(bytes_digest(&digest));
        row.seq = t->entry->seq;
        turn_put_row(t, TURN_KEY(t, TABLE_ANCHOR, turn_u32(t, m->next->version)), &row.base);
        t->meta->anchor_version = m->next->version;
        turn_trust(t, TRUST_ANCHOR, bytes_str(t->meta->domain), STATUS_ACTIVE);
        turn_wake(t, WAKE_DIRECTORY, (struct bytes){ 0 });
}

/* ---- what the root issues ---- */

/* Checks a credential that a root key of the anchor in force issued. */
static enum refusal check_by_root(struct turn *t, struct registry_matter *m, const Shuyi__V1__SignedCredential *s, struct admitted *ret)
{
        Shuyi__V1__Credential *c = s ? message_parse(t->arena, &shuyi__v1__credential__descriptor, bytes_of_field(s->credential)) : NULL;
        struct digest issuer;
        const Shuyi__V1__RootKey *root = NULL;

        if (!c || !bytes_copy_exact(bytes_of_field(c->issuer), issuer.b, DIGEST_BYTES))
                return turn_refuse(t, G_FIELD, "credential");
        if (m->anchor)
                root = anchor_find_root(m->anchor, &issuer);
        if (!root || root->key.len != 32)
                return turn_refuse(t, G_FIELD, "issuer");
        return admission_check(t, s, root->key.data, ret);
}

/* ---- CREDENTIAL: the broker's own ---- */

static enum refusal broker_fits(struct turn *t, void *matter)
{
        struct registry_matter *m = matter;
        const Shuyi__V1__CredentialBody *body = (const void *)t->claim->open_body;
        enum refusal r = check_by_root(t, m, body->credential, &m->admitted[0]);

        if (r == ACCEPTED && m->admitted[0].credential->subject->kind != SUBJECT_BROKER)
                r = turn_refuse(t, G_FIELD, "kind");
        return r;
}

static void broker_install(struct turn *t, void *matter)
{
        struct registry_matter *m = matter;

        admission_write(t, &m->admitted[0], (struct bytes){ 0 });
}

/* ---- DEPARTMENT ---- */

static enum refusal department_fits(struct turn *t, void *matter)
{
        const Shuyi__V1__Department *d = ((struct registry_matter *)matter)->department->department;
        bool first = !*t->meta->authority;
        struct bytes value;

        t->detail[0] = 0;
        if (!department_check(d->code))
                turn_detail(t, "code");
        if (!*d->name || strlen(d->name) > NAME_MAX_BYTES)
                turn_detail(t, "name");
        if (!word_known(LIST_dept_class, d->dept_class))
                turn_detail(t, "dept_class");
        if (!word_known(LIST_applies, d->applies))
                turn_detail(t, "applies");
        if (*d->via_dept && !turn_get(t, TURN_KEY(t, TABLE_DEPARTMENT, bytes_str(d->via_dept)), &value))
                turn_detail(t, "via_dept");
        if ((d->authority != 0) != first)
                turn_detail(t, "authority");
        return t->detail[0] ? G_FIELD : ACCEPTED;
}

static enum refusal check_admission(struct turn *t, struct registry_matter *m, const Shuyi__V1__Admission *a, struct admitted *n)
{
        enum refusal r = check_by_root(t, m, a->credential, n);
        const Shuyi__V1__Subject *s;

        if (r != ACCEPTED)
                return r;
        s = n->credential->subject;
        if (strcmp(s->department, m->department->department->code) != 0)
                return turn_refuse(t, G_FIELD, "department");
        if (s->kind == SUBJECT_AGENT) {
                n->label = a->agent ? a->agent->label : "";
                return a->agent && !a->staff && !admission_agent(t, bytes_of_field(s->id)) ? ACCEPTED : turn_refuse(t, G_FIELD, "agent");
        }
        if (s->kind != SUBJECT_PERSON || !a->staff || a->agent)
                return turn_refuse(t, G_FIELD, "staff");
        n->staff = a->staff;
        if (a->staff->n_roles != s->n_roles || (s->n_roles && memcmp(a->staff->roles, s->roles, s->n_roles * sizeof(*s->roles)) != 0))
                return turn_refuse(t, G_FIELD, "roles");
        return admission_check_staff(t, a->staff, m->department->department->authority);
}

/* No key and no subject twice within the act: what TABLE_KEY says of those that are there already. */
static bool share_something(const struct admitted *a, const struct admitted *b)
{
        const Shuyi__V1__Subject *x = a->credential->subject, *y = b->credential->subject;
        const ProtobufCBinaryData *keys[] = { &x->sign_key, &x->link_key }, *others[] = { &y->sign_key, &y->link_key };

        for (unsigned i = 0; i < 2; i++)
                for (unsigned j = 0; j < 2; j++)
                        if (keys[i]->len && bytes_equal(bytes_of_field(*keys[i]), bytes_of_field(*others[j])))
                                return true;
        return bytes_equal(bytes_of_field(x->id), bytes_of_field(y->id));
}

/* The first people are different persons, one for each role, and one agent. */
static enum refusal check_company(struct turn *t, const struct registry_matter *m)
{
        bool authority = m->department->department->authority;
        uint64_t needed = (1ull << ROLE_DATA_OFFICER) | (authority ? (1ull << ROLE_SEC_ADMIN) | (1ull << ROLE_DATA_OPERATOR) : 0), held = 0;
        size_t persons = 0, agents = 0;

        for (size_t i = 0; i < m->admitted_n; i++) {
                const Shuyi__V1__Subject *s = m->admitted[i].credential->subject;

                for (size_t j = 0; j < i; j++)
                        if (share_something(&m->admitted[i], &m->admitted[j]))
                                return turn_refuse(t, s->kind == SUBJECT_PERSON ? G_SEPARATION : G_ONCE, "admissions");
                held |= roles_mask(s->roles, s->n_roles);
                persons += s->kind == SUBJECT_PERSON;
                agents += s->kind == SUBJECT_AGENT;
        }
        if ((held & needed) != needed || persons != (authority ? 3 : 1) || agents != 1)
                return turn_refuse(t, G_FIELD, "admissions");
        return ACCEPTED;
}

static enum refusal admissions_fit(struct turn *t, void *matter)
{
        struct registry_matter *m = matter;
        const Shuyi__V1__DepartmentBody *body = m->department;
        enum refusal r = ACCEPTED;

        if (body->n_admissions > ADMISSIONS_MAX)
                return turn_refuse(t, G_FIELD, "admissions");
        for (size_t i = 0; i < body->n_admissions && r == ACCEPTED; i++)
                r = check_admission(t, m, body->admissions[i], &m->admitted[m->admitted_n++]);
        return r == ACCEPTED ? check_company(t, m) : r;
}

static void department_write(struct turn *t, void *matter)
{
        struct registry_matter *m = matter;
        Shuyi__V1__Department *d = m->department->department;
        Shuyi__V1__DepartmentRow row = SHUYI__V1__DEPARTMENT_ROW__INIT;

        row.department = d;
        row.seq = t->entry->seq;
        turn_put_row(t, TURN_KEY(t, TABLE_DEPARTMENT, bytes_str(d->code)), &row.base);
        if (d->authority)
                t->meta->authority = d->code;
        turn_trust(t, TRUST_DEPARTMENT, bytes_str(d->code), STATUS_ACTIVE);
        for (size_t i = 0; i < m->admitted_n; i++)
                admission_write(t, &m->admitted[i], (struct bytes){ 0 });
}

/* ---- SEAL_KEY ---- */

static enum refusal seal_key_fits(struct turn *t, void *matter)
{
        const Shuyi__V1__SealKeyBody *body = (const void *)t->claim->open_body;

        if (body->seal_key.len != 32)
                return turn_refuse(t, G_FIELD, "seal_key");
        if (body->not_after <= t->now.ms || body->not_after > t->intent->created_at + SEAL_KEY_MAX_MS)
                return turn_refuse(t, G_FIELD, "not_after");
        if (body->not_after < ((struct registry_matter *)matter)->agent->seal_not_after)
                return turn_refuse(t, G_FIELD, "not_after");    /* an older one, told again, does not come back */
        return admission_check_key(t, &body->seal_key, "seal_key");     /* nobody's key for another use */
}

static void seal_key_write(struct turn *t, void *matter)
{
        const Shuyi__V1__SealKeyBody *body = (const void *)t->claim->open_body;
        Shuyi__V1__AgentRow *agent = ((struct registry_matter *)matter)->agent;

        agent->seal_key = body->seal_key;
        agent->seal_not_after = body->not_after;
        agent->seal_digest = field_of_bytes(bytes_digest(&t->claim->header_digest));
        turn_put_row(t, admission_agent_key(t, bytes_of_field(agent->agent_id)), &agent->base);
        turn_trust(t, TRUST_SEAL_KEY, bytes_of_field(agent->agent_id), STATUS_ACTIVE);
}

static const struct rule rules[] = {
        /* in                          event            by        guards                                becomes effect            row         law */
        { IN_NONE | IN(REGISTERED),    KIND_ANCHOR,     BY_ROOT,  { anchor_fits },                      0,      anchor_install,   "DESIGN 3", "ZS 31" },
        { IN_NONE,                     KIND_CREDENTIAL, BY_ROOT,  { broker_fits },                      0,      broker_install,   "DESIGN 3", "ZS 31" },
        { IN_NONE,                     KIND_DEPARTMENT, BY_ROOT,  { department_fits, admissions_fit },  0,      department_write, "3.1",      "ZS 2, 33" },
        { IN_NONE,                     KIND_SEAL_KEY,   BY_AGENT, { seal_key_fits },                    0,      seal_key_write,   "DESIGN 3", "ZS 31" },
};

const struct machine machine_registry = {
        .name = "REGISTRY",
        .load = load,
        .rules = rules,
        .rules_n = ELEMENTS(rules),
};
