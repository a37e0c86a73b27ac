/* admission: checks first, then rows. */
#include "common/exchange/admission.h"

#include "common/credential.h"
#include "common/exchange/effects.h"
#include "common/exchange/rows.h"
#include "common/exchange/signers.h"

#include <errno.h>

#define STAFF_TEXT_MAX 256
#define STAFF_MAX_BYTES (4 * 1024)              /* packed: read for each consumer of a stream at each of its links */

/* ---- rows ---- */

Shuyi__V1__CredentialRow *admission_row(struct turn *t, struct bytes id)
{
        return turn_get_row(t, TURN_KEY(t, TABLE_CREDENTIAL, id), &shuyi__v1__credential_row__descriptor);
}

Shuyi__V1__Credential *admission_credential(struct turn *t, const Shuyi__V1__CredentialRow *row)
{
        Shuyi__V1__Credential *c = (void *)protobuf_c_message_unpack(&shuyi__v1__credential__descriptor, arena_allocator(t->arena),
                                                                     row->credential.len, row->credential.data);
        if (c && c->subject)
                return c;
        if (t->fault == 0)
                t->fault = arena_failed(t->arena) ? -ENOMEM : -EBADMSG;
        return NULL;
}

struct bytes admission_person_key(struct turn *t, const char *department, struct bytes person_id)
{
        return TURN_KEY(t, TABLE_PERSON, bytes_str(department), person_id);
}

struct bytes admission_agent_key(struct turn *t, struct bytes agent_id)
{
        return TURN_KEY(t, TABLE_AGENT, agent_id);
}

Shuyi__V1__PersonRow *admission_person(struct turn *t, const char *department, struct bytes person_id)
{
        return turn_get_row(t, admission_person_key(t, department, person_id), &shuyi__v1__person_row__descriptor);
}

Shuyi__V1__AgentRow *admission_agent(struct turn *t, struct bytes agent_id)
{
        return turn_get_row(t, admission_agent_key(t, agent_id), &shuyi__v1__agent_row__descriptor);
}

/* ---- checks ---- */

static bool text_missing(const char *s)
{
        return !*s || strlen(s) > STAFF_TEXT_MAX;
}

static bool roles_wellformed(const Shuyi__V1__Staff *s, bool authority)
{
        uint64_t kept_apart = (1ull << ROLE_SEC_ADMIN) | (1ull << ROLE_DATA_OPERATOR) | (1ull << ROLE_AUDIT_OFFICER);

        for (size_t i = 0; i < s->n_roles; i++) {
                if (s->roles[i] < ROLE_DATA_OFFICER || s->roles[i] > ROLE_METRICS_VIEWER || (i && s->roles[i] <= s->roles[i - 1]))
                        return false;
                if (!authority && ((1ull << s->roles[i]) & kept_apart))
                        return false;
        }
        return s->n_roles > 0;
}

enum refusal admission_check_staff(struct turn *t, const Shuyi__V1__Staff *s, bool authority)
{
        if (roles_exclusive(roles_mask(s->roles, s->n_roles)))
                return turn_refuse(t, G_SEPARATION, "roles");
        t->detail[0] = 0;
        if (protobuf_c_message_get_packed_size(&s->base) > STAFF_MAX_BYTES)
                turn_detail(t, "size");
        if (text_missing(s->office))
                turn_detail(t, "office");
        if (text_missing(s->name))
                turn_detail(t, "name");
        if (text_missing(s->phone))
                turn_detail(t, "phone");
        if (strlen(s->duty) > STAFF_TEXT_MAX)
                turn_detail(t, "duty");
        if (strlen(s->email) > STAFF_TEXT_MAX)
                turn_detail(t, "email");
        if (!roles_wellformed(s, authority))
                turn_detail(t, "roles");
        return t->detail[0] ? G_FIELD : ACCEPTED;
}

enum refusal admission_check_key(struct turn *t, const ProtobufCBinaryData *key, const char *name)
{
        struct bytes value;

        return turn_get(t, TURN_KEY(t, TABLE_KEY, bytes_of_field(*key)), &value) ? turn_refuse(t, G_ONCE, name) : ACCEPTED;
}

static enum refusal check_keys(struct turn *t, const Shuyi__V1__Subject *s)
{
        enum refusal r = admission_check_key(t, &s->sign_key, "sign_key");

        if (r == ACCEPTED && s->link_key.len)
                r = admission_check_key(t, &s->link_key, "link_key");
        return r;
}

enum refusal admission_check(struct turn *t, const Shuyi__V1__SignedCredential *s, const uint8_t issuer_key[32], struct admitted *ret)
{
        const char *wrong = credential_check_signed(t->arena, s, issuer_key, &ret->credential);

        if (wrong)
                return turn_refuse(t, G_FIELD, wrong);
        wrong = key_request_check(bytes_of_field(s->key_request), bytes_of_field(s->key_request_signature), t->arena, &ret->request);
        if (wrong)
                return turn_refuse(t, G_FIELD, wrong);
        ret->signed_credential = s;
        ret->id = credential_id(bytes_of_field(s->credential));
        if (strcmp(ret->credential->subject->domain, t->meta->domain) != 0)
                return turn_refuse(t, E_DOMAIN, "subject");
        if (ret->credential->not_after <= t->now.ms)
                return turn_refuse(t, G_FIELD, "not_after");
        return check_keys(t, ret->credential->subject);
}

static uint64_t roles_of(struct turn *t, struct bytes id)
{
        const Shuyi__V1__CredentialRow *row = admission_row(t, id);
        const Shuyi__V1__Credential *c = row && row->status == STATUS_ACTIVE ? admission_credential(t, row) : NULL;

        return c ? roles_mask(c->subject->roles, c->subject->n_roles) : 0;
}

enum refusal admission_check_roles(struct turn *t, const struct admitted *n, struct bytes replaced)
{
        const Shuyi__V1__Subject *s = n->credential->subject;
        uint64_t roles = roles_mask(s->roles, s->n_roles);
        const Shuyi__V1__PersonRow *row = admission_person(t, s->department, bytes_of_field(s->id));

        if (row && row->state == STAFF_PUBLISHED) {
                if (!bytes_equal(bytes_of_field(row->credential), replaced))
                        roles |= roles_of(t, bytes_of_field(row->credential));
                for (size_t i = 0; i < row->n_also; i++)
                        if (!bytes_equal(bytes_of_field(row->also[i]), replaced))
                                roles |= roles_of(t, bytes_of_field(row->also[i]));
        }
        return roles_exclusive(roles) ? turn_refuse(t, G_SEPARATION, "roles") : ACCEPTED;
}

/* ---- writing ---- */

static void write_key(struct turn *t, const ProtobufCBinaryData *key, const struct digest *id)
{
        if (key->len)
                turn_put(t, TURN_KEY(t, TABLE_KEY, bytes_of_field(*key)), bytes_digest(id));
}

static void write_credential(struct turn *t, const struct admitted *n)
{
        Shuyi__V1__CredentialRow row = SHUYI__V1__CREDENTIAL_ROW__INIT;

        row.credential = n->signed_credential->credential;
        row.status = STATUS_ACTIVE;
        row.since_seq = t->entry->seq;
        row.from_seq = t->entry->seq;
        turn_put_row(t, TURN_KEY(t, TABLE_CREDENTIAL, bytes_digest(&n->id)), &row.base);
        write_key(t, &n->credential->subject->sign_key, &n->id);
        write_key(t, &n->credential->subject->link_key, &n->id);
        turn_trust(t, TRUST_CREDENTIAL, bytes_digest(&n->id), STATUS_ACTIVE);
        turn_wake(t, WAKE_DIRECTORY, (struct bytes){ 0 });
}

/* Credentials of the person that stay in force beside the new one. */
static void keep_others(const Shuyi__V1__PersonRow *old, struct bytes replaced, ProtobufCBinaryData *also, Shuyi__V1__PersonRow *ret)
{
        for (size_t i = 0; i < old->n_also && ret->n_also < PERSON_CREDENTIALS_MAX; i++)
                if (!bytes_equal(bytes_of_field(old->also[i]), replaced))
                        also[ret->n_also++] = old->also[i];
        if (!bytes_equal(bytes_of_field(old->credential), replaced) && ret->n_also < PERSON_CREDENTIALS_MAX)
                also[ret->n_also++] = old->credential;
        ret->also = also;
}

static void write_person(struct turn *t, const struct admitted *n, struct bytes replaced)
{
        const Shuyi__V1__Subject *s = n->credential->subject;
        const Shuyi__V1__PersonRow *old = admission_person(t, s->department, bytes_of_field(s->id));
        Shuyi__V1__PersonRow row = SHUYI__V1__PERSON_ROW__INIT;
        ProtobufCBinaryData also[PERSON_CREDENTIALS_MAX];

        row.person_id = s->id;
        row.department = s->department;
        row.staff = (Shuyi__V1__Staff *)n->staff;
        row.credential = field_of_bytes(bytes_digest(&n->id));
        row.version = old ? old->version + 1 : 1;
        row.state = STAFF_PUBLISHED;
        row.filed_at = t->now.ms;
        if (old && old->state == STAFF_PUBLISHED)
                keep_others(old, replaced, also, &row);
        turn_put_row(t, admission_person_key(t, s->department, bytes_of_field(s->id)), &row.base);
        turn_put(t, TURN_KEY(t, TABLE_PERSON_DEPT, bytes_of_field(s->id), bytes_str(s->department)), (struct bytes){ 0 });
}

static void write_agent(struct turn *t, const struct admitted *n)
{
        const Shuyi__V1__Subject *s = n->credential->subject;
        const Shuyi__V1__AgentRow *old = admission_agent(t, bytes_of_field(s->id));
        Shuyi__V1__AgentRow row = SHUYI__V1__AGENT_ROW__INIT;

        if (old) {
                row = *old;                     /* link and seal key stay over renewals */
        } else {
                row.agent_id = s->id;
                row.department = s->department;
                row.link = t->meta->next_link++;
                turn_put(t, TURN_KEY(t, TABLE_LINK, turn_u32(t, row.link)), bytes_of_field(s->id));
                turn_put(t, TURN_KEY(t, TABLE_DEPT_AGENT, bytes_str(s->department), bytes_of_field(s->id)), (struct bytes){ 0 });
        }
        row.label = (char *)n->label;
        row.credential = field_of_bytes(bytes_digest(&n->id));
        turn_put_row(t, admission_agent_key(t, bytes_of_field(s->id)), &row.base);
}

void admission_write(struct turn *t, const struct admitted *n, struct bytes replaced)
{
        write_credential(t, n);
        if (replaced.n)
                admission_end(t, replaced, STATUS_SUPERSEDED, 0, 0, bytes_digest(&n->id));
        if (n->credential->subject->kind == SUBJECT_PERSON)
                write_person(t, n, replaced);
        else if (n->credential->subject->kind == SUBJECT_AGENT)
                write_agent(t, n);
}

void admission_end(struct turn *t, struct bytes id, enum trust_status status, uint32_t reason, uint64_t suspect_since_seq, struct bytes by)
{
        Shuyi__V1__CredentialRow *row = admission_row(t, id);

        if (!row)
                return;
        row->status = status;
        row->since_seq = t->entry->seq;
        row->superseded_by = field_of_bytes(by);
        row->revoke_reason = reason;
        row->suspect_since_seq = suspect_since_seq;
        row->revoked_at = t->now.ms;
        turn_put_row(t, TURN_KEY(t, TABLE_CREDENTIAL, id), &row->base);
        turn_trust(t, status == STATUS_REVOKED ? TRUST_REVOCATION : TRUST_CREDENTIAL, id, status);
        turn_wake(t, WAKE_DIRECTORY, (struct bytes){ 0 });
}
