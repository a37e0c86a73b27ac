/* staff: SM-STAFF 1 to 5, for persons and agents alike (REGULATIONS 3.4, 3.5; DESIGN 3).
 *
 * Two events of two parties make a participant: the department's DATA_OFFICER files, the authority's SEC_ADMIN accepts,
 * assigns the person_id and issues the credential; so no single registrar can invent an approver. */
#include "common/credential.h"
#include "common/exchange/admission.h"
#include "common/exchange/effects.h"
#include "common/exchange/rows.h"
#include "common/exchange/signers.h"
#include "common/macro.h"

#define LABEL_MAX_BYTES 128
#define DEFECTS_MAX 64
#define REMARK_MAX_BYTES 512

struct staff_matter {
        struct digest object;                   /* filing or credential */
        Shuyi__V1__FilingRow *filing;           /* ACCEPT, STAFF_RETURN */
        Shuyi__V1__CredentialRow *row;          /* STAFF_CHANGE, REVOKE; ACCEPT of a change: what it replaces */
        Shuyi__V1__Credential *credential;
        struct admitted admitted;
        bool store_filing;
};

static const Shuyi__V1__FileBody *file_body(const struct turn *t)
{
        return (const void *)t->claim->open_body;
}

/* ---- load ---- */

static unsigned state_of(const Shuyi__V1__CredentialRow *row)
{
        return row->status == STATUS_ACTIVE || row->status == STATUS_SUSPENDED ? STAFF_PUBLISHED : STAFF_REVOKED;
}

/* A DATA_OFFICER, the authority's too, acts on the own department's people; SEC_ADMIN and the root on everybody's. */
static bool visible(struct turn *t, const char *department)
{
        return t->actors[0].capacity == ROLE_SEC_ADMIN || t->actors[0].capacity == ROLE_ROOT || strcmp(department, signers_department(t)) == 0;
}

static enum refusal load_credential(struct turn *t, struct staff_matter *m, struct bytes id, unsigned *ret_state)
{
        m->row = admission_row(t, id);
        m->credential = m->row ? admission_credential(t, m->row) : NULL;
        if (!m->credential || !visible(t, m->credential->subject->department))
                return turn_refuse(t, E_NOT_FOUND, "credential");
        *ret_state = state_of(m->row);
        return ACCEPTED;
}

static enum refusal load_filing(struct turn *t, struct staff_matter *m, unsigned *ret_state)
{
        m->filing = turn_get_row(t, TURN_KEY(t, TABLE_FILING, bytes_digest(&m->object)), &shuyi__v1__filing_row__descriptor);
        if (!m->filing || !m->filing->filing || !visible(t, m->filing->department))
                return turn_refuse(t, E_NOT_FOUND, "filing");
        m->store_filing = true;
        *ret_state = m->filing->state;
        return ACCEPTED;
}

static enum refusal load(struct turn *t, void **ret_matter, unsigned *ret_state)
{
        struct staff_matter *m = ARENA_NEW(t->arena, struct staff_matter);
        uint16_t kind = t->claim->kind->number;
        struct bytes filed;

        if (!m || !t->claim->open_body)
                return turn_refuse(t, E_FORM, "body");
        *ret_matter = m;
        *ret_state = 0;
        if ((kind == KIND_FILE || kind == KIND_STAFF_CHANGE) && turn_get(t, TURN_KEY(t, TABLE_FILING, bytes_digest(&t->claim->header_digest)), &filed))
                return turn_refuse(t, E_REPLAY, "filing");      /* the same header under another signature */
        if (kind == KIND_FILE)
                return ACCEPTED;
        if (!bytes_copy_exact(bytes_of_field(t->intent->object), m->object.b, DIGEST_BYTES))
                return turn_refuse(t, E_NOT_FOUND, "object");
        if (kind == KIND_STAFF_CHANGE || kind == KIND_REVOKE)
                return load_credential(t, m, bytes_digest(&m->object), ret_state);
        return load_filing(t, m, ret_state);
}

static void store(struct turn *t, void *matter, unsigned state)
{
        struct staff_matter *m = matter;

        if (!m->store_filing)
                return;
        m->filing->state = state;
        turn_put_row(t, TURN_KEY(t, TABLE_FILING, bytes_digest(&m->object)), &m->filing->base);
}

/* ---- 1 FILE, 4 CHANGE ---- */

static enum refusal filing_complete(struct turn *t, void *matter)
{
        const Shuyi__V1__FileBody *b = file_body(t);
        bool authority = t->actors[0].authority;

        if (!b->staff == !b->agent)
                return turn_refuse(t, G_FIELD, "staff,agent");
        if (b->staff)
                return admission_check_staff(t, b->staff, authority);
        return !*b->agent->label || strlen(b->agent->label) > LABEL_MAX_BYTES ? turn_refuse(t, G_FIELD, "label") : ACCEPTED;
}

/* The new key asks for itself, for this department, and nobody ever had it. */
static enum refusal key_request_fits(struct turn *t, void *matter)
{
        const Shuyi__V1__FileBody *b = file_body(t);
        const Shuyi__V1__KeyRequest *k = NULL;
        const char *wrong = key_request_check(bytes_of_field(b->key_request), bytes_of_field(b->key_request_signature), t->arena, &k);
        enum refusal r;

        if (wrong)
                return turn_refuse(t, G_FIELD, wrong);
        if (k->subject_kind != (b->staff ? SUBJECT_PERSON : SUBJECT_AGENT))
                return turn_refuse(t, G_FIELD, "subject_kind");
        if (strcmp(k->domain, t->meta->domain) != 0)
                return turn_refuse(t, E_DOMAIN, "key_request");
        if (strcmp(k->department, signers_department(t)) != 0)
                return turn_refuse(t, G_FIELD, "department");
        r = admission_check_key(t, &k->sign_key, "sign_key");
        return r == ACCEPTED && k->link_key.len ? admission_check_key(t, &k->link_key, "link_key") : r;
}

/* A change replaces a credential of the same kind of subject. */
static enum refusal change_fits(struct turn *t, void *matter)
{
        const struct staff_matter *m = matter;

        return m->credential->subject->kind == (file_body(t)->staff ? SUBJECT_PERSON : SUBJECT_AGENT) ? ACCEPTED : turn_refuse(t, G_FIELD, "object");
}

static void file_write(struct turn *t, void *matter)
{
        Shuyi__V1__FilingRow row = SHUYI__V1__FILING_ROW__INIT;

        row.state = STAFF_FILED;
        row.department = (char *)signers_department(t);
        row.filing = (Shuyi__V1__FileBody *)file_body(t);
        row.seq = t->entry->seq;
        row.filed_at = t->now.ms;
        if (t->claim->kind->number == KIND_STAFF_CHANGE)
                row.replaces = t->intent->object;
        row.officer = field_of_bytes(bytes_id(&t->actors[0].subject));
        turn_put_row(t, TURN_KEY(t, TABLE_FILING, bytes_digest(&t->claim->header_digest)), &row.base);
        turn_notice(t, t->meta->authority, NOTICE_STAFF);
}

/* ---- 2 ACCEPT ---- */

static const Shuyi__V1__SignedCredential *accepted_credential(const struct turn *t)
{
        return ((const Shuyi__V1__AcceptBody *)(const void *)t->claim->open_body)->credential;
}

/* Who accepts is not who filed. */
static enum refusal acceptor_is_other(struct turn *t, void *matter)
{
        const struct staff_matter *m = matter;

        return signers_person_signed(t, bytes_of_field(m->filing->officer)) ? turn_refuse(t, G_SEPARATION, "SEC_ADMIN") : ACCEPTED;
}

/* The signer issued it, within what he may issue. */
static enum refusal issue_fits(struct turn *t, void *matter)
{
        struct staff_matter *m = matter;
        const Shuyi__V1__SignedCredential *s = accepted_credential(t);
        const Shuyi__V1__Credential *issuer = t->actors[0].credential;
        enum refusal r;

        if (!s)
                return turn_refuse(t, G_FIELD, "credential");
        r = admission_check(t, s, issuer->subject->sign_key.data, &m->admitted);
        if (r != ACCEPTED)
                return r;
        if (!bytes_equal(bytes_of_field(m->admitted.credential->issuer), bytes_digest(&t->claim->signers[0].credential)))
                return turn_refuse(t, G_FIELD, "issuer");
        return credential_check_issue(issuer, m->admitted.credential) ? ACCEPTED : turn_refuse(t, G_FIELD, "may_issue");
}

static bool roles_equal(const Shuyi__V1__Subject *s, const Shuyi__V1__Staff *staff)
{
        size_t n = staff ? staff->n_roles : 0;

        return s->n_roles == n && (n == 0 || memcmp(s->roles, staff->roles, n * sizeof(*s->roles)) == 0);
}

/* What is issued is what was filed: the same key request, department, roles. */
static enum refusal filed_fits(struct turn *t, void *matter)
{
        struct staff_matter *m = matter;
        const Shuyi__V1__FileBody *f = m->filing->filing;
        const Shuyi__V1__Subject *s = m->admitted.credential->subject;

        t->detail[0] = 0;
        if (!bytes_equal(bytes_of_field(m->admitted.signed_credential->key_request), bytes_of_field(f->key_request)))
                turn_detail(t, "key_request");
        if (strcmp(s->department, m->filing->department) != 0)
                turn_detail(t, "department");
        if (s->kind != (f->staff ? SUBJECT_PERSON : SUBJECT_AGENT))
                turn_detail(t, "kind");
        if (!roles_equal(s, f->staff))
                turn_detail(t, "roles");
        return t->detail[0] ? G_FIELD : ACCEPTED;
}

static bool id_is_zero(const ProtobufCBinaryData *id)
{
        static const uint8_t zero[ID_BYTES];

        return id->len != ID_BYTES || memcmp(id->data, zero, ID_BYTES) == 0;
}

static enum refusal replaced_fits(struct turn *t, struct staff_matter *m)
{
        unsigned state;
        enum refusal r = load_credential(t, m, bytes_of_field(m->filing->replaces), &state);

        if (r != ACCEPTED)
                return r;
        if (state != STAFF_PUBLISHED)
                return turn_refuse(t, E_STATE, "replaces");
        return bytes_equal(bytes_of_field(m->credential->subject->id), bytes_of_field(m->admitted.credential->subject->id)) ? ACCEPTED
                                                                                                                  : turn_refuse(t, G_FIELD, "id");
}

/* person_id: new or existing, assigned here; a change keeps it.  agent_id: an existing one is its department's, in force, and
 * comes as a change. */
static enum refusal identity_fits(struct turn *t, void *matter)
{
        struct staff_matter *m = matter;
        const Shuyi__V1__Subject *s = m->admitted.credential->subject;
        const Shuyi__V1__PersonRow *person;

        if (id_is_zero(&s->id))
                return turn_refuse(t, G_FIELD, "id");
        if (m->filing->replaces.len)
                return replaced_fits(t, m);
        if (s->kind == SUBJECT_AGENT)
                return admission_agent(t, bytes_of_field(s->id)) ? turn_refuse(t, G_ONCE, "agent_id") : ACCEPTED;
        person = admission_person(t, s->department, bytes_of_field(s->id));
        return person && person->n_also >= PERSON_CREDENTIALS_MAX ? turn_refuse(t, G_LIMIT, "credentials") : ACCEPTED;
}

static enum refusal roles_apart(struct turn *t, void *matter)
{
        struct staff_matter *m = matter;

        return m->filing->filing->staff ? admission_check_roles(t, &m->admitted, bytes_of_field(m->filing->replaces)) : ACCEPTED;
}

static void accept_write(struct turn *t, void *matter)
{
        struct staff_matter *m = matter;

        m->admitted.staff = m->filing->filing->staff;
        m->admitted.label = m->filing->filing->agent ? m->filing->filing->agent->label : "";
        admission_write(t, &m->admitted, bytes_of_field(m->filing->replaces));
        turn_notice(t, m->filing->department, NOTICE_STAFF);
}

/* ---- 3 RETURN ---- */

static enum refusal defects_named(struct turn *t, void *matter)
{
        const Shuyi__V1__ReturnBody *b = (const void *)t->claim->open_body;

        if (b->n_defects == 0 || b->n_defects > DEFECTS_MAX)
                return turn_refuse(t, G_REASON, "defects");
        for (size_t i = 0; i < b->n_defects; i++)
                if (!*b->defects[i]->code || strlen(b->defects[i]->remark) > REMARK_MAX_BYTES)
                        return turn_refuse(t, G_REASON, "defects");
        return ACCEPTED;
}

static void return_write(struct turn *t, void *matter)
{
        struct staff_matter *m = matter;
        const Shuyi__V1__ReturnBody *b = (const void *)t->claim->open_body;

        m->filing->n_defects = b->n_defects;
        m->filing->defects = b->defects;
        turn_notice(t, m->filing->department, NOTICE_STAFF);
}

/* ---- 5 REVOKE ---- */

static const Shuyi__V1__RevokeBody *revoke_body(const struct turn *t)
{
        return (const void *)t->claim->open_body;
}

static enum refusal revoke_fits(struct turn *t, void *matter)
{
        const Shuyi__V1__RevokeBody *b = revoke_body(t);

        if (b->suspect_since_seq > t->entry->seq || (b->suspect_since_seq && b->reason != REVOKE_COMPROMISED))
                return turn_refuse(t, G_FIELD, "suspect_since_seq");
        return word_known(LIST_revoke_reason, b->reason) ? ACCEPTED : turn_refuse(t, G_REASON, "reason");
}

/* The broker's own key is the root's to end: without it the exchange stands still. */
static enum refusal not_the_broker(struct turn *t, void *matter)
{
        const struct staff_matter *m = matter;

        return m->credential->subject->kind == SUBJECT_BROKER ? turn_refuse(t, E_ROLE, "broker") : ACCEPTED;
}

static void end_one(struct turn *t, struct bytes id)
{
        const Shuyi__V1__CredentialRow *row = admission_row(t, id);

        if (row && state_of(row) == STAFF_PUBLISHED)
                admission_end(t, id, STATUS_REVOKED, revoke_body(t)->reason, revoke_body(t)->suspect_since_seq, (struct bytes){ 0 });
}

/* A person ends whole: every credential of that person in the department, at most PERSON_CREDENTIALS_MAX + 1. */
static void revoke_person(struct turn *t, const Shuyi__V1__Subject *s)
{
        Shuyi__V1__PersonRow *row = admission_person(t, s->department, bytes_of_field(s->id));

        if (!row)
                return;
        row->state = STAFF_REVOKED;
        for (size_t i = 0; i < row->n_also; i++)
                end_one(t, bytes_of_field(row->also[i]));
        end_one(t, bytes_of_field(row->credential));
        row->n_also = 0;
        turn_put_row(t, admission_person_key(t, s->department, bytes_of_field(s->id)), &row->base);
}

static void revoke_agent(struct turn *t, const Shuyi__V1__Subject *s)
{
        Shuyi__V1__AgentRow *row = admission_agent(t, bytes_of_field(s->id));

        if (!row)
                return;
        row->revoked = true;
        turn_put_row(t, admission_agent_key(t, bytes_of_field(s->id)), &row->base);
}

static void revoke_write(struct turn *t, void *matter)
{
        struct staff_matter *m = matter;
        const Shuyi__V1__Subject *s = m->credential->subject;

        if (s->kind == SUBJECT_PERSON)
                revoke_person(t, s);
        else if (s->kind == SUBJECT_AGENT)
                revoke_agent(t, s);
        end_one(t, bytes_digest(&m->object));
        turn_notice(t, t->meta->authority, NOTICE_STAFF_END);
        if (*s->department && strcmp(s->department, t->meta->authority) != 0)
                turn_notice(t, s->department, NOTICE_STAFF_END);
}

static const struct rule rules[] = {
        /* in                event              by            guards                                     becomes         effect        row           law */
        { IN_NONE,           KIND_FILE,         BY_OFFICER,   { filing_complete, key_request_fits },     0,              file_write,   "SM-STAFF 1", "ZS 33(3)" },
        { IN(STAFF_FILED),   KIND_ACCEPT,       BY_SEC_ADMIN, { acceptor_is_other, issue_fits, filed_fits, identity_fits, roles_apart },
                                                                                                         STAFF_PUBLISHED, accept_write, "SM-STAFF 2", "ZS 33(3), (4)" },
        { IN(STAFF_FILED),   KIND_STAFF_RETURN, BY_SEC_ADMIN, { defects_named },                         STAFF_RETURNED, return_write, "SM-STAFF 3", "ZS 33(3)" },
        { IN(STAFF_PUBLISHED), KIND_STAFF_CHANGE, BY_OFFICER, { filing_complete, change_fits, key_request_fits },
                                                                                                         0,              file_write,   "SM-STAFF 4", "ZS 33(3)" },
        { IN(STAFF_PUBLISHED), KIND_REVOKE,     BY_OFFICER_OR_SEC_ADMIN, { not_the_broker, revoke_fits }, 0,              revoke_write, "SM-STAFF 5", "ZS 33(3)" },
        { IN(STAFF_PUBLISHED), KIND_REVOKE,     BY_ROOT,      { revoke_fits },                           0,              revoke_write, "SM-STAFF 5", "DESIGN 14" },
};

const struct machine machine_staff = {
        .name = "SM-STAFF",
        .load = load,
        .store = store,
        .rules = rules,
        .rules_n = ELEMENTS(rules),
};
