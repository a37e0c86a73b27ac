/* city: foundations and people. */
#include "tests/lib/city.h"

#include "common/anchor.h"
#include "common/credential.h"
#include "common/exchange/rows.h"
#include "common/policy.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define YEARS_10 (3650 * DAY_MS)
#define FILE_MAX_BYTES (1 << 20)
#define ROLES_MAX 9

static void *must(void *p)
{
        if (!p)
                abort();
        return p;
}

#define NEW(c, upper, lower) ({ Shuyi__V1__##upper *_m = must(ARENA_NEW((c)->arena, Shuyi__V1__##upper)); shuyi__v1__##lower##__init(_m); _m; })

static ProtobufCBinaryData keep(struct city *c, const void *p, size_t n)
{
        struct bytes b = arena_copy(c->arena, bytes_of(p, n));

        must((void *)b.p);
        return field_of_bytes(b);
}

/* ---- credentials ---- */

Shuyi__V1__KeyRequest *city_key_request(struct city *c, const struct party *p)
{
        Shuyi__V1__KeyRequest *k = NEW(c, KeyRequest, key_request);

        k->suite = SUITE_1;
        k->subject_kind = p->kind;
        k->domain = CITY_DOMAIN;
        k->department = (char *)p->department;
        k->sign_key = keep(c, p->sign_key, 32);
        if (p->kind != SUBJECT_PERSON)
                k->link_key = keep(c, p->link_key, 32);
        if (p->kind == SUBJECT_AGENT)
                k->agent_id = keep(c, p->id.b, ID_BYTES);
        k->created_at = CITY_START;
        return k;
}

static Shuyi__V1__MayIssue *may_issue(struct city *c, uint32_t depth)
{
        Shuyi__V1__MayIssue *m = NEW(c, MayIssue, may_issue);

        m->n_kinds = 2;
        m->kinds = must(ARENA_ARRAY(c->arena, uint32_t, 2));
        m->kinds[0] = SUBJECT_PERSON;
        m->kinds[1] = SUBJECT_AGENT;
        m->n_roles = ROLES_MAX;
        m->roles = must(ARENA_ARRAY(c->arena, uint32_t, ROLES_MAX));
        for (uint32_t i = 0; i < ROLES_MAX; i++)
                m->roles[i] = i + 1;
        m->n_domains = 1;
        m->domains = must(ARENA_ARRAY(c->arena, char *, 1));
        m->domains[0] = CITY_DOMAIN;
        m->depth = depth;
        return m;
}

Shuyi__V1__Credential *city_credential(struct city *c, const struct party *p, const uint32_t *roles, size_t n, const struct party *issuer)
{
        Shuyi__V1__Credential *k = NEW(c, Credential, credential);
        Shuyi__V1__Subject *s = NEW(c, Subject, subject);

        s->kind = p->kind;
        s->domain = CITY_DOMAIN;
        s->department = (char *)p->department;
        if (p->kind != SUBJECT_BROKER)
                s->id = keep(c, p->id.b, ID_BYTES);
        s->n_roles = n;
        s->roles = n ? (uint32_t *)keep(c, roles, n * sizeof(*roles)).data : NULL;
        s->sign_key = keep(c, p->sign_key, 32);
        if (p->kind != SUBJECT_PERSON)
                s->link_key = keep(c, p->link_key, 32);
        k->suite = SUITE_1;
        k->subject = s;
        k->not_before = CITY_START;
        k->not_after = CITY_START + YEARS_10;
        if (roles_mask(roles, n) & (1ull << ROLE_SEC_ADMIN))
                k->may_issue = may_issue(c, issuer->kind ? 0 : 1);       /* who came with the root may make one more registrar */
        k->issuer = keep(c, issuer->credential.b, DIGEST_BYTES);
        k->issued_at = c->now.ms;
        return k;
}

Shuyi__V1__SignedCredential *city_sign_credential(struct city *c, struct party *p, const Shuyi__V1__Credential *cred, const struct party *issuer)
{
        Shuyi__V1__SignedCredential *s = NEW(c, SignedCredential, signed_credential);
        uint8_t *signature = must(arena_alloc(c->arena, 64)), *request_signature = must(arena_alloc(c->arena, 64));
        struct bytes packed = message_pack(c->arena, &cred->base);

        s->credential = field_of_bytes(packed);
        credential_sign(packed, issuer->sign_secret, signature);
        s->signature = (ProtobufCBinaryData){ 64, signature };
        s->key_request = field_of_bytes(key_request_sign(c->arena, city_key_request(c, p), p->sign_secret, request_signature));
        s->key_request_signature = (ProtobufCBinaryData){ 64, request_signature };
        p->credential = credential_id(packed);
        p->signed_credential = message_pack(c->arena, &s->base);
        return s;
}

Shuyi__V1__Staff *city_staff(struct city *c, const char *name, const uint32_t *roles, size_t n)
{
        Shuyi__V1__Staff *s = NEW(c, Staff, staff);

        s->office = "办公室";
        s->name = must(arena_strdup(c->arena, name));
        s->duty = "科员";
        s->phone = "0760-88880000";
        s->n_roles = n;
        s->roles = n ? (uint32_t *)keep(c, roles, n * sizeof(*roles)).data : NULL;
        return s;
}

/* ---- genesis ---- */

static Shuyi__V1__SignedAnchor *sign_anchor(struct city *c, const Shuyi__V1__Anchor *a)
{
        Shuyi__V1__SignedAnchor *s = NEW(c, SignedAnchor, signed_anchor);
        struct bytes packed = message_pack(c->arena, &a->base);

        s->anchor = field_of_bytes(packed);
        s->n_signatures = 2;
        s->signatures = must(ARENA_ARRAY(c->arena, Shuyi__V1__RootSignature *, 2));
        for (unsigned i = 0; i < 2; i++) {
                uint8_t *signature = must(arena_alloc(c->arena, 64));

                anchor_sign(packed, c->root[i]->sign_secret, signature);
                s->signatures[i] = NEW(c, RootSignature, root_signature);
                s->signatures[i]->root_key = keep(c, c->root[i]->credential.b, DIGEST_BYTES);
                s->signatures[i]->signature = (ProtobufCBinaryData){ 64, signature };
        }
        return s;
}

static Shuyi__V1__Anchor *make_anchor(struct city *c, uint32_t version)
{
        Shuyi__V1__Anchor *a = NEW(c, Anchor, anchor);
        struct party *log = city_party(c, "log", "", 0);

        a->version = version;
        a->domain = CITY_DOMAIN;
        a->threshold = 2;
        a->n_roots = CITY_ROOTS;
        a->roots = must(ARENA_ARRAY(c->arena, Shuyi__V1__RootKey *, CITY_ROOTS));
        for (unsigned i = 0; i < CITY_ROOTS; i++) {
                a->roots[i] = NEW(c, RootKey, root_key);
                a->roots[i]->suite = SUITE_1;
                a->roots[i]->key = keep(c, c->root[i]->sign_key, 32);
        }
        a->n_logs = 1;
        a->logs = must(ARENA_ARRAY(c->arena, Shuyi__V1__LogKey *, 1));
        a->logs[0] = NEW(c, LogKey, log_key);
        a->logs[0]->origin = "shuyi/" CITY_DOMAIN;
        a->logs[0]->key = keep(c, log->sign_key, 32);
        a->demo = true;
        a->witnesses = must(ARENA_ARRAY(c->arena, Shuyi__V1__WitnessKey *, c->witnesses + 1));
        for (; a->n_witnesses < c->witnesses; a->n_witnesses++) {
                struct party *w = city_party(c, arena_printf(c->arena, "witness-%u", (unsigned)a->n_witnesses), "", 0);

                a->witnesses[a->n_witnesses] = NEW(c, WitnessKey, witness_key);
                a->witnesses[a->n_witnesses]->name = w->name;
                a->witnesses[a->n_witnesses]->key = keep(c, w->sign_key, 32);
        }
        a->witness_quorum = c->witnesses;
        a->n_suites = 1;
        a->suites = must(ARENA_ARRAY(c->arena, uint32_t, 1));
        a->suites[0] = SUITE_1;
        return a;
}

void city_anchor(struct city *c)
{
        Shuyi__V1__MetaRow *meta = CITY_ROW(c, TABLE_META, &shuyi__v1__meta_row__descriptor, (struct bytes){ 0 });
        Shuyi__V1__AnchorBody body = SHUYI__V1__ANCHOR_BODY__INIT;

        body.anchor = sign_anchor(c, make_anchor(c, meta->anchor_version + 1));
        city_must(c, &(struct city_act){ .kind = KIND_ANCHOR, .body = &body.base, .by = { { c->root[0], ROLE_ROOT }, { c->root[1], ROLE_ROOT } },
                                         .no_link = !c->authority_agent });
}

void city_broker_credential(struct city *c)
{
        Shuyi__V1__CredentialBody body = SHUYI__V1__CREDENTIAL_BODY__INIT;

        body.credential = city_sign_credential(c, c->broker, city_credential(c, c->broker, NULL, 0, c->root[0]), c->root[0]);
        city_must(c, &(struct city_act){ .kind = KIND_CREDENTIAL, .body = &body.base, .by = { { c->root[0], ROLE_ROOT }, { c->root[1], ROLE_ROOT } },
                                         .no_link = !c->authority_agent });
}

/* One who comes with the department. */
static Shuyi__V1__Admission *admit(struct city *c, const char *department, const char *name, const char *suffix, uint32_t role, struct party **ret)
{
        Shuyi__V1__Admission *a = NEW(c, Admission, admission);
        struct party *p = city_party(c, arena_printf(c->arena, "%s-%s", name, suffix), department, role ? SUBJECT_PERSON : SUBJECT_AGENT);
        size_t n = role ? 1 : 0;

        if (role) {
                a->staff = city_staff(c, p->name, &role, n);
        } else {
                a->agent = NEW(c, AgentLabel, agent_label);
                a->agent->label = p->name;
        }
        a->credential = city_sign_credential(c, p, city_credential(c, p, &role, n, c->root[0]), c->root[0]);
        *ret = p;
        return a;
}

static void note_link(struct city *c, struct party *agent)
{
        Shuyi__V1__AgentRow *row = CITY_ROW(c, TABLE_AGENT, &shuyi__v1__agent_row__descriptor, bytes_id(&agent->id));

        agent->link = row ? row->link : 0;
}

void city_department(struct city *c, const char *code, const char *name)
{
        Shuyi__V1__DepartmentBody *body = NEW(c, DepartmentBody, department_body);
        bool authority = strcmp(code, CITY_AUTHORITY) == 0;
        struct party *officer, *agent;

        body->department = NEW(c, Department, department);
        body->department->code = (char *)code;
        body->department->name = (char *)name;
        body->department->dept_class = DEPT_GOV_DEPT;
        body->department->applies = APPLIES_MUST;
        body->department->authority = authority;
        body->admissions = must(ARENA_ARRAY(c->arena, Shuyi__V1__Admission *, 4));
        body->admissions[body->n_admissions++] = admit(c, code, name, "officer", ROLE_DATA_OFFICER, &officer);
        body->admissions[body->n_admissions++] = admit(c, code, name, "agent", 0, &agent);
        if (authority) {
                body->admissions[body->n_admissions++] = admit(c, code, name, "security", ROLE_SEC_ADMIN, &c->sec_admin);
                body->admissions[body->n_admissions++] = admit(c, code, name, "operator", ROLE_DATA_OPERATOR, &c->data_operator);
        }
        city_must(c, &(struct city_act){ .kind = KIND_DEPARTMENT, .body = &body->base, .by = { { c->root[0], ROLE_ROOT }, { c->root[2], ROLE_ROOT } },
                                         .no_link = authority });
        note_link(c, agent);
        if (authority) {
                c->officer = officer;
                c->authority_agent = agent;
        }
}

/* ---- settings ---- */

struct bytes city_file(struct city *c, const char *path)
{
        uint8_t *text = must(arena_alloc(c->arena, FILE_MAX_BYTES));
        FILE *f = fopen(arena_printf(c->arena, "%s/%s", CITY_SOURCE_ROOT, path), "rb");
        size_t n = f ? fread(text, 1, FILE_MAX_BYTES, f) : 0;

        if (f)
                fclose(f);
        if (n == 0 || n == FILE_MAX_BYTES) {
                fprintf(stderr, "city: cannot read %s\n", path);
                abort();
        }
        return bytes_of(text, n);
}

struct bytes city_policy(struct city *c, const char *path)
{
        struct policy *p = must(policy_parse(city_file(c, path), NULL, NULL));
        struct bytes canonical = arena_copy(c->arena, policy_canonical(p));

        policy_free(p);
        return canonical;
}

void city_publish(struct city *c, const char *policy_path)
{
        Shuyi__V1__PolicySetBody policy = SHUYI__V1__POLICY_SET_BODY__INIT;
        Shuyi__V1__CalendarSetBody calendar = SHUYI__V1__CALENDAR_SET_BODY__INIT;

        policy.canonical = field_of_bytes(city_policy(c, policy_path ? policy_path : "deploy/policies/zs.conf"));
        calendar.canonical = field_of_bytes(city_file(c, "deploy/calendar/cn-holidays.csv"));
        city_must(c, &(struct city_act){ .kind = KIND_POLICY_SET, .body = &policy.base,
                                         .by = { { c->sec_admin, ROLE_SEC_ADMIN }, { c->data_operator, ROLE_DATA_OPERATOR } } });
        city_must(c, &(struct city_act){ .kind = KIND_CALENDAR_SET, .body = &calendar.base,
                                         .by = { { c->sec_admin, ROLE_SEC_ADMIN }, { c->data_operator, ROLE_DATA_OPERATOR } } });
}

/* ---- people ---- */

Shuyi__V1__FileBody *city_file_body(struct city *c, const struct party *p, const uint32_t *roles, size_t n)
{
        Shuyi__V1__FileBody *b = NEW(c, FileBody, file_body);
        uint8_t *signature = must(arena_alloc(c->arena, 64));

        if (p->kind == SUBJECT_AGENT) {
                b->agent = NEW(c, AgentLabel, agent_label);
                b->agent->label = (char *)p->name;
        } else {
                b->staff = city_staff(c, p->name, roles, n);
        }
        b->key_request = field_of_bytes(key_request_sign(c->arena, city_key_request(c, p), p->sign_secret, signature));
        b->key_request_signature = (ProtobufCBinaryData){ 64, signature };
        return b;
}

struct city_result city_file_staff(struct city *c, const struct party *officer, const Shuyi__V1__FileBody *body)
{
        return city_act(c, &(struct city_act){ .kind = KIND_FILE, .body = &body->base, .by = { { officer, ROLE_DATA_OFFICER } } });
}

struct city_result city_accept(struct city *c, const struct digest *filing, const Shuyi__V1__SignedCredential *s)
{
        Shuyi__V1__Intent intent = SHUYI__V1__INTENT__INIT;
        Shuyi__V1__AcceptBody body = SHUYI__V1__ACCEPT_BODY__INIT;

        intent.object = field_of_bytes(bytes_digest(filing));
        body.credential = (Shuyi__V1__SignedCredential *)s;
        return city_act(c, &(struct city_act){ .kind = KIND_ACCEPT, .intent = &intent, .body = &body.base, .by = { { c->sec_admin, ROLE_SEC_ADMIN } } });
}

/* The first DATA_OFFICER of a department: who came with it. */
static const struct party *officer_of(struct city *c, const char *department)
{
        for (const struct party *p = c->parties; p; p = p->next) {
                size_t n = strlen(p->name);

                if (strcmp(p->department, department) == 0 && n > 8 && strcmp(p->name + n - 8, "-officer") == 0)
                        return p;
        }
        fprintf(stderr, "city: %s has no officer\n", department);
        abort();
}

static void bring_in(struct city *c, struct party *p, const uint32_t *roles, size_t n)
{
        struct city_result filed = city_file_staff(c, officer_of(c, p->department), city_file_body(c, p, roles, n)), accepted;

        if (filed.code == ACCEPTED) {
                accepted = city_accept(c, &filed.digest, city_sign_credential(c, p, city_credential(c, p, roles, n, c->sec_admin), c->sec_admin));
                if (accepted.code == ACCEPTED)
                        return;
                filed = accepted;
        }
        fprintf(stderr, "city: %s is not taken in: %s %s\n", p->name, refusal_text(filed.code)->code, filed.detail);
        abort();
}

static size_t read_roles(va_list list, uint32_t roles[ROLES_MAX])
{
        size_t n = 0;
        int role;

        while (n < ROLES_MAX && (role = va_arg(list, int)) != 0)
                roles[n++] = (uint32_t)role;
        return n;
}

struct party *city_hire(struct city *c, const char *department, const char *name, ...)
{
        struct party *p = city_party(c, name, department, SUBJECT_PERSON);
        uint32_t roles[ROLES_MAX];
        va_list list;
        size_t n;

        va_start(list, name);
        n = read_roles(list, roles);
        va_end(list);
        bring_in(c, p, roles, n);
        return p;
}

struct party *city_hire_again(struct city *c, const struct party *person, const char *name, const char *department, ...)
{
        struct party *p = city_party(c, name, department, SUBJECT_PERSON);
        uint32_t roles[ROLES_MAX];
        va_list list;
        size_t n;

        p->id = person->id;
        va_start(list, department);
        n = read_roles(list, roles);
        va_end(list);
        bring_in(c, p, roles, n);
        return p;
}

struct party *city_join(struct city *c, const char *department, const char *name)
{
        struct party *p = city_party(c, name, department, SUBJECT_AGENT);

        bring_in(c, p, NULL, 0);
        note_link(c, p);
        return p;
}

void city_revoke(struct city *c, const struct party *who)
{
        Shuyi__V1__Intent intent = SHUYI__V1__INTENT__INIT;
        Shuyi__V1__RevokeBody body = SHUYI__V1__REVOKE_BODY__INIT;

        intent.object = field_of_bytes(bytes_digest(&who->credential));
        body.reason = REVOKE_CEASED;
        city_must(c, &(struct city_act){ .kind = KIND_REVOKE, .intent = &intent, .body = &body.base, .by = { { c->sec_admin, ROLE_SEC_ADMIN } } });
}
