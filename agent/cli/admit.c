/* admit: SEC_ADMIN issues the credential that a filing asks for, and takes credentials back. */
#include "agent/cli/admit.h"
#include "agent/cli/act.h"
#include "agent/cli/file.h"
#include "agent/cli/issue.h"
#include "agent/cli/source.h"
#include "common/artifact.h"
#include "common/macro.h"
#include "proto/registry.pb-c.h"
#include <string.h>

static int write_welcome(struct cli *c, Shuyi__V1__SignedCredential *credential)
{
        const char *like = cli_option(c, "like"), *out = cli_option(c, "welcome");
        Shuyi__V1__WelcomeFile *welcome;
        struct bytes text;

        if (!out)
                return 0;
        if (!like || file_read(c, like, &text) < 0) {
                if (!like)
                        cli_error("--welcome needs --like");
                return -1;
        }
        const char *wrong = artifact_read(c->arena, ARTIFACT_WELCOME, text, &welcome);
        if (wrong) {
                cli_error("%s: %s", like, wrong);
                return -1;
        }
        struct bytes packed = message_pack(c->arena, &credential->base);
        welcome->credential = (ProtobufCBinaryData){ packed.n, (uint8_t *)packed.p };
        text = artifact_write(c->arena, ARTIFACT_WELCOME, &welcome->base);
        return text.p ? file_write(c, out, text, 0644, false) : -1;
}

/* The credential that the filing asks for, by the registrar's key: out of what was signed, not of the center's row. */
static Shuyi__V1__SignedCredential *issue_for(struct cli *c, const Shuyi__V1__FileBody *filing, const struct issuer *by, uint64_t days)
{
        Shuyi__V1__JoinFile join = SHUYI__V1__JOIN_FILE__INIT;
        struct issue issue = { .join = &join, .valid_days = (uint32_t)days };
        const Shuyi__V1__Staff *staff = filing->staff;
        const char *person = cli_option(c, "person");
        ProtobufCBinaryData id;

        join.key_request = filing->key_request;
        join.signature = filing->key_request_signature;
        issue_new_id(&issue.subject);
        if (person) {
                if (act_hex(c, person, "--person", ID_BYTES, &id) < 0)
                        return NULL;
                memcpy(issue.subject.b, id.data, ID_BYTES);
        }
        for (size_t i = 0; staff && i < staff->n_roles && i < ELEMENTS(issue.roles); i++)
                issue.roles[issue.roles_n++] = staff->roles[i];
        return issue_credential(c, &issue, by);
}

int admit_accept(struct cli *c, const char *filing)
{
        Shuyi__V1__AcceptBody body = SHUYI__V1__ACCEPT_BODY__INIT;
        _cleanup_(keyfile_fini) struct keyfile key = { 0 };
        struct issuer by = { 0 };
        struct act act;
        uint64_t days;
        int code = cli_number(c, "days", 1, 3660, 365, &days) < 0 ? CLI_USAGE : act_begin(c, KIND_ACCEPT, &act);

        if (code != CLI_OK)
                return code;
        if (act_hex(c, filing, "a filing", DIGEST_BYTES, &act.intent.object) < 0)
                return CLI_USAGE;
        const struct claim *filed;
        code = source_show(c, 0, bytes_of(act.intent.object.data, act.intent.object.len), "What was filed", &filed);
        if (code == CLI_OK && filed->kind->body != &shuyi__v1__file_body__descriptor) {
                cli_error("that is no filing");
                code = CLI_USAGE;
        }
        if (code != CLI_OK || signer_open(c, cli_option(c, "key"), &key) < 0)
                return code == CLI_OK ? CLI_FAILED : code;
        by.secret = secret_peek(key.sign);
        code = act_credential(c, &key, &by.id, &by.not_after);
        body.credential = code == CLI_OK ? issue_for(c, (const Shuyi__V1__FileBody *)filed->open_body, &by, days) : NULL;
        if (!body.credential)
                return code == CLI_OK ? CLI_FAILED : code;
        act.body = &body.base;
        code = act_finish(&act);
        return code == CLI_OK && write_welcome(c, body.credential) < 0 ? CLI_FAILED : code;
}

int admit_revoke(struct cli *c, const char *credential)
{
        Shuyi__V1__RevokeBody body = SHUYI__V1__REVOKE_BODY__INIT;
        const char *reason = cli_option(c, "reason");
        struct act act;

        if (cli_number(c, "suspect-since", 1, UINT64_MAX, 0, &body.suspect_since_seq) < 0)
                return CLI_USAGE;
        body.reason = word_find(LIST_revoke_reason, reason ? reason : "CEASED");
        if (!body.reason) {
                cli_error("--reason is one of %s", word_all(LIST_revoke_reason));
                return CLI_USAGE;
        }
        int code = act_begin(c, KIND_REVOKE, &act);
        if (code != CLI_OK)
                return code;
        if (act_hex(c, credential, "a credential id", DIGEST_BYTES, &act.intent.object) < 0)
                return CLI_USAGE;
        act.body = &body.base;
        return act_finish(&act);
}
