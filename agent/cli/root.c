/* root: what the root of a domain signs: genesis and departments. */
#include "agent/cli/root.h"
#include "agent/cli/file.h"
#include "agent/cli/issue.h"
#include "agent/cli/signer.h"
#include "common/artifact.h"
#include "common/macro.h"
#include "common/message_json.h"
#include "common/times.h"
#include <sodium.h>
#include <string.h>

#define VALID_DAYS_DEFAULT 365
#define ADMISSIONS_MAX 16
#define ROOT_ACT_LIFE_MS (25 * DAY_MS)

static ProtobufCBinaryData binary(struct bytes b) { return (ProtobufCBinaryData){ b.n, (uint8_t *)b.p }; }

int roots_open(struct cli *c, unsigned skip, struct roots *ret)
{
        memset(ret, 0, sizeof *ret);
        if (c->operands_n - skip > ROOTS_MAX) {
                cli_error("at most %d root keys", ROOTS_MAX);
                return -1;
        }
        for (unsigned i = skip; i < c->operands_n; i++) {
                if (signer_open(c, c->operands[i], &ret->key[ret->n]) < 0)
                        return -1;
                if (ret->key[ret->n++].use != KEYFILE_ROOT) {
                        cli_error("%s is not a root key", c->operands[i]);
                        return -1;
                }
        }
        return 0;
}

void roots_fini(struct roots *r)
{
        for (size_t i = 0; i < r->n; i++)
                keyfile_fini(&r->key[i]);
}

struct digest root_id(const struct keyfile *k)
{
        return root_key_id(SUITE_1, k->sign_key);
}

struct bytes root_envelope(struct cli *c, const struct roots *r, enum kind_number kind, const char *domain, const ProtobufCMessage *body)
{
        Shuyi__V1__Intent intent = SHUYI__V1__INTENT__INIT;
        struct bytes packed = message_pack(c->arena, body), wire;
        struct id id;

        issue_new_id(&id);
        intent.suite = SUITE_1;
        intent.id = binary(bytes_id(&id));
        intent.kind = kind;
        intent.domain = (char *)domain;
        intent.created_at = uuid7_time(&id);
        intent.expires_at = intent.created_at + ROOT_ACT_LIFE_MS;
        wire = packed.p ? envelope_draft(c->arena, &intent, packed) : packed;
        for (size_t i = 0; wire.p && i < r->n; i++) {
                struct digest root = root_id(&r->key[i]);
                wire = envelope_sign(c->arena, wire, &root, ROLE_ROOT, secret_peek(r->key[i].sign));
        }
        if (!wire.p)
                cli_error("the act is too large for one envelope");
        return wire;
}

/* One person or agent of the specification, with a credential by the first root. */
static Shuyi__V1__Admission *admit(struct cli *c, const struct roots *r, const json_t *who, uint32_t valid_days, bool authority, bool person)
{
        const char *path = json_string_value(json_object_get(who, "join"));
        Shuyi__V1__Admission *a = arena_alloc(c->arena, sizeof *a);
        const Shuyi__V1__KeyRequest *request;
        struct issue issue = { .valid_days = valid_days };
        struct issuer by = { .id = root_id(&r->key[0]), .secret = secret_peek(r->key[0].sign) };
        char error[200] = "";

        if (!path || !a) {
                cli_error("every person and agent of the specification needs \"join\": a file");
                return NULL;
        }
        shuyi__v1__admission__init(a);
        if (!(issue.join = issue_read_join(c, path, &request)))
                return NULL;
        if (person) {
                a->staff = message_json_parse(c->arena, &shuyi__v1__staff__descriptor, json_object_get(who, "staff"), error);
                if (!a->staff || issue_roles_json(json_object_get(json_object_get(who, "staff"), "roles"), &issue) < 0) {
                        cli_error("%s: staff: %s", path, error);
                        return NULL;
                }
                a->staff->roles = issue.roles_n ? memcpy(arena_alloc(c->arena, sizeof issue.roles), issue.roles, sizeof issue.roles) : NULL;
                a->staff->n_roles = issue.roles_n;
                issue_new_id(&issue.subject);
                for (size_t i = 0; i < issue.roles_n; i++)
                        issue.registrar |= authority && issue.roles[i] == ROLE_SEC_ADMIN;
        } else {
                a->agent = arena_alloc(c->arena, sizeof *a->agent);
                if (!a->agent)
                        return NULL;
                shuyi__v1__agent_label__init(a->agent);
                a->agent->label = issue.join->label;
        }
        a->credential = issue_credential(c, &issue, &by);
        return a->credential ? a : NULL;
}

static int admit_all(struct cli *c, const struct roots *r, const json_t *list, uint32_t valid_days, bool authority, bool persons, Shuyi__V1__DepartmentBody *body)
{
        const json_t *who;
        size_t i;

        json_array_foreach(list, i, who) {
                Shuyi__V1__Admission *a = body->n_admissions < ADMISSIONS_MAX ? admit(c, r, who, valid_days, authority, persons) : NULL;
                if (!a)
                        return -1;
                body->admissions[body->n_admissions++] = a;
        }
        return 0;
}

Shuyi__V1__DepartmentBody *root_department(struct cli *c, const struct roots *r, const json_t *spec, bool authority)
{
        Shuyi__V1__DepartmentBody *body = arena_alloc(c->arena, sizeof *body);
        json_int_t days = json_integer_value(json_object_get(spec, "valid_days"));
        uint32_t valid_days = days > 0 && days <= 3660 ? (uint32_t)days : VALID_DAYS_DEFAULT;
        char error[200] = "";

        if (!body)
                return NULL;
        shuyi__v1__department_body__init(body);
        body->department = message_json_parse(c->arena, &shuyi__v1__department__descriptor, json_object_get(spec, "department"), error);
        body->admissions = ARENA_ARRAY(c->arena, Shuyi__V1__Admission *, ADMISSIONS_MAX);
        if (!body->department || !body->admissions) {
                cli_error("department: %s", error);
                return NULL;
        }
        body->department->authority = authority;
        if (admit_all(c, r, json_object_get(spec, "persons"), valid_days, authority, true, body) < 0 ||
            admit_all(c, r, json_object_get(spec, "agents"), valid_days, authority, false, body) < 0)
                return NULL;
        return body;
}

int root_write_welcome(struct cli *c, const Shuyi__V1__DepartmentBody *body, const char *endpoint, struct bytes broker_link_key,
                       struct bytes signed_anchor, const char *path)
{
        Shuyi__V1__WelcomeFile welcome = SHUYI__V1__WELCOME_FILE__INIT;

        for (size_t i = 0; i < body->n_admissions; i++) {
                if (!body->admissions[i]->agent)
                        continue;
                welcome.endpoint = (char *)endpoint;
                welcome.broker_link_key = binary(broker_link_key);
                welcome.anchor = binary(signed_anchor);
                welcome.credential = binary(message_pack(c->arena, &body->admissions[i]->credential->base));
                struct bytes text = artifact_write(c->arena, ARTIFACT_WELCOME, &welcome.base);
                return text.p ? file_write(c, path, text, 0644, false) : -1;
        }
        cli_error("no agent is admitted, so there is nobody to welcome");
        return -1;
}
