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

Shuyi__V1__SignedCredential *issue_credential(struct cli *c, const struct issue *i, const struct issuer *by)
{
        const Shuyi__V1__KeyRequest *r;
        Shuyi__V1__Credential credential = SHUYI__V1__CREDENTIAL__INIT;
        Shuyi__V1__Subject subject = SHUYI__V1__SUBJECT__INIT;
        Shuyi__V1__MayIssue may = SHUYI__V1__MAY_ISSUE__INIT;
        Shuyi__V1__SignedCredential *s = arena_alloc(c->arena, sizeof *s);
        uint8_t *signature = arena_alloc(c->arena, 64);
        const char *wrong = key_request_check(bytes_of(i->join->key_request.data, i->join->key_request.len),
                                              bytes_of(i->join->signature.data, i->join->signature.len), c->arena, &r);

        if (wrong || !s || !signature) {
                cli_error("key request: %s", wrong ? wrong : "out of memory");
                return NULL;
        }
        subject.kind = r->subject_kind;
        subject.domain = r->domain;
        subject.department = r->department;
        if (r->subject_kind == SUBJECT_PERSON)
                subject.id = binary(bytes_id(&i->subject));
        else
                subject.id = r->agent_id;       /* empty in a broker's request */
        subject.roles = (uint32_t *)i->roles;
        subject.n_roles = r->subject_kind == SUBJECT_PERSON ? i->roles_n : 0;
        subject.sign_key = r->sign_key;
        subject.link_key = r->link_key;
        credential.suite = r->suite;
        credential.subject = &subject;
        credential.issued_at = times_wall().ms;
        credential.not_before = credential.issued_at;
        credential.not_after = credential.not_before + i->valid_days * DAY_MS;
        if (by->not_after.ms && credential.not_after > by->not_after.ms)
                credential.not_after = by->not_after.ms;
        credential.issuer = binary(bytes_digest(&by->id));
        if (i->registrar) {
                may_issue_fill(&may, r->domain);
                credential.may_issue = &may;
        }
        wrong = credential_check_form(&credential);
        struct bytes packed = wrong ? (struct bytes){ 0 } : message_pack(c->arena, &credential.base);
        if (!packed.p) {
                cli_error("the credential would not hold: %s", wrong ? wrong : "out of memory");
                return NULL;
        }
        credential_sign(packed, by->secret, signature);
        shuyi__v1__signed_credential__init(s);
        s->credential = binary(packed);
        s->signature = binary(bytes_of(signature, 64));
        s->key_request = i->join->key_request;
        s->key_request_signature = i->join->signature;
        return s;
}
