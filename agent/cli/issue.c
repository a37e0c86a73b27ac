/* issue: makes credentials out of join files. */
#include "agent/cli/issue.h"
#include "agent/cli/file.h"
#include "common/artifact.h"
#include "common/envelope.h"
#include "common/times.h"
#include <sodium.h>
#include <string.h>

static ProtobufCBinaryData binary(struct bytes b) { return (ProtobufCBinaryData){ b.n, (uint8_t *)b.p }; }

const Shuyi__V1__JoinFile *issue_read_join(struct cli *c, const char *path, const Shuyi__V1__KeyRequest **ret_request)
{
        struct bytes text;
        Shuyi__V1__JoinFile *join;

        if (file_read(c, path, &text) < 0)
                return NULL;
        const char *wrong = artifact_read(c->arena, ARTIFACT_JOIN, text, &join);
        if (!wrong)
                wrong = key_request_check(bytes_of(join->key_request.data, join->key_request.len),
                                          bytes_of(join->signature.data, join->signature.len), c->arena, ret_request);
        if (wrong)
                cli_error("%s: %s", path, wrong);
        return wrong ? NULL : join;
}

void issue_new_id(struct id *ret)
{
        uint8_t random[10];

        randombytes_buf(random, sizeof random);
        uuid7_make(times_wall().ms, random, ret);
}

static int add_role(struct issue *i, const char *word)
{
        uint32_t role = word ? word_find(LIST_role, word) : 0;
        size_t at = 0;

        if (!role || role >= ROLE_AGENT || i->roles_n == sizeof i->roles / sizeof i->roles[0]) {
                cli_error("'%s' is not a person's role", word ? word : "");
                return -1;
        }
        while (at < i->roles_n && i->roles[at] < role)
                at++;
        if (at < i->roles_n && i->roles[at] == role)
                return 0;
        memmove(&i->roles[at + 1], &i->roles[at], (i->roles_n - at) * sizeof i->roles[0]);
        i->roles[at] = role;
        i->roles_n++;
        return 0;
}

int issue_roles_json(const json_t *list, struct issue *i)
{
        size_t k;
        json_t *word;

        json_array_foreach(list, k, word)
                if (add_role(i, json_string_value(word)) < 0)
                        return -1;
        return 0;
}

int issue_roles_text(struct cli *c, const char *list, struct issue *i)
{
        char *text = arena_strdup(c->arena, list), *save = NULL;

        for (char *word = text ? strtok_r(text, ",", &save) : NULL; word; word = strtok_r(NULL, ",", &save))
                if (add_role(i, word) < 0)
                        return -1;
        return text ? 0 : -1;
}

/* What a registrar may issue: persons of every role and agents, of its own domain. */
static void may_issue_fill(Shuyi__V1__MayIssue *m, const char *domain)
{
        static uint32_t kinds[] = { SUBJECT_PERSON, SUBJECT_AGENT };
        static uint32_t roles[] = { ROLE_DATA_OFFICER, ROLE_USER, ROLE_APPROVER, ROLE_SEC_ADMIN, ROLE_DATA_OPERATOR, ROLE_AUDIT_OFFICER,
                                    ROLE_DEPT_HEAD, ROLE_SHARING_HEAD, ROLE_METRICS_VIEWER };
        static char *domains[1];

        domains[0] = (char *)domain;
        m->kinds = kinds;
        m->n_kinds = sizeof kinds / sizeof kinds[0];
        m->roles = roles;
        m->n_roles = sizeof roles / sizeof roles[0];
        m->domains = domains;
        m->n_domains = 1;
}

/* Whom the request names: a person gets the id that was chosen, an agent brings its own, a broker has none. */
static void subject_fill(Shuyi__V1__Subject *s, const Shuyi__V1__KeyRequest *r, const struct issue *i)
{
        bool person = r->subject_kind == SUBJECT_PERSON;

        s->kind = r->subject_kind;
        s->domain = r->domain;
        s->department = r->department;
        s->id = person ? binary(bytes_id(&i->subject)) : r->agent_id;
        s->roles = (uint32_t *)i->roles;
        s->n_roles = person ? i->roles_n : 0;
        s->sign_key = r->sign_key;
        s->link_key = r->link_key;
}

static void validity_fill(Shuyi__V1__Credential *k, uint32_t days, const struct issuer *by)
{
        k->issued_at = k->not_before = times_wall().ms;
        k->not_after = k->not_before + days * DAY_MS;
        if (by->not_after.ms && k->not_after > by->not_after.ms)
                k->not_after = by->not_after.ms;
}

/* The packed credential that answers the request; {0} after a message. */
static struct bytes credential_pack(struct cli *c, const Shuyi__V1__KeyRequest *r, const struct issue *i, const struct issuer *by)
{
        Shuyi__V1__Credential credential = SHUYI__V1__CREDENTIAL__INIT;
        Shuyi__V1__Subject subject = SHUYI__V1__SUBJECT__INIT;
        Shuyi__V1__MayIssue may = SHUYI__V1__MAY_ISSUE__INIT;

        subject_fill(&subject, r, i);
        validity_fill(&credential, i->valid_days, by);
        credential.suite = r->suite;
        credential.subject = &subject;
        credential.issuer = binary(bytes_digest(&by->id));
        if (i->registrar) {
                may_issue_fill(&may, r->domain);
                credential.may_issue = &may;
        }
        const char *wrong = credential_check_form(&credential);
        struct bytes packed = wrong ? (struct bytes){ 0 } : message_pack(c->arena, &credential.base);
        if (!packed.p)
                cli_error("the credential would not hold: %s", wrong ? wrong : "out of memory");
        return packed;
}

Shuyi__V1__SignedCredential *issue_credential(struct cli *c, const struct issue *i, const struct issuer *by)
{
        const Shuyi__V1__KeyRequest *r;
        Shuyi__V1__SignedCredential *s = arena_alloc(c->arena, sizeof *s);
        uint8_t *signature = arena_alloc(c->arena, 64);
        const char *wrong = key_request_check(bytes_of(i->join->key_request.data, i->join->key_request.len),
                                              bytes_of(i->join->signature.data, i->join->signature.len), c->arena, &r);

        if (wrong || !s || !signature) {
                cli_error("key request: %s", wrong ? wrong : "out of memory");
                return NULL;
        }
        struct bytes packed = credential_pack(c, r, i, by);
        if (!packed.p)
                return NULL;
        credential_sign(packed, by->secret, signature);
        shuyi__v1__signed_credential__init(s);
        s->credential = binary(packed);
        s->signature = binary(bytes_of(signature, 64));
        s->key_request = i->join->key_request;
        s->key_request_signature = i->join->signature;
        return s;
}
