/* asker: see the header. */
#include "agent/cli/asker.h"
#include "agent/cli/client.h"
#include "common/macro.h"
#include "common/words.h"
#include <string.h>

#define QUESTION_LIFE_MS 300000

/* Those who may ask, the one who sees most first. */
static const enum role order[] = { ROLE_AUDIT_OFFICER, ROLE_DATA_OFFICER, ROLE_APPROVER, ROLE_USER };

static bool holds(const json_t *roles, enum role role)
{
        size_t i;
        json_t *value;

        json_array_foreach(roles, i, value)
                if (word_find(LIST_role, json_string_value(value) ? json_string_value(value) : "") == (uint32_t)role)
                        return true;
        return false;
}

static int choose_role(struct cli *c, const struct keyfile *key, enum role *ret)
{
        const char *as = cli_option(c, "as");
        char *path = arena_printf(c->arena, "/v1/credentials?sign_key=%s", client_hex(c, bytes_of(key->sign_key, 32)));
        json_t *answer = NULL;
        long status;
        int code = CLI_OK;

        *ret = as ? (enum role)word_find(LIST_role, as) : 0;
        if (as && !*ret) {
                cli_error("--as takes one of %s", word_all(LIST_role));
                return CLI_USAGE;
        }
        if (*ret)
                return CLI_OK;
        if (!path || client_call(c, "GET", path, NULL, &status, &answer) < 0)
                return CLI_FAILED;
        for (unsigned i = 0; i < ELEMENTS(order) && !*ret; i++)
                if (holds(json_object_get(answer, "roles"), order[i]))
                        *ret = order[i];
        if (status != 200) {
                code = client_problem(c, status, answer);
        } else if (!*ret) {
                cli_error("E_ROLE: this key has no role that reads records of use");
                code = CLI_REFUSED;
        }
        json_decref(answer);
        return code;
}

int asker_open(struct cli *c, struct asker *ret)
{
        int code;

        *ret = (struct asker){ 0 };
        if (!cli_option(c, "key")) {
                cli_error("--key FILE is required: the center shows the log to persons, as their roles allow");
                return CLI_USAGE;
        }
        if (signer_open(c, cli_option(c, "key"), &ret->key) < 0)
                return CLI_FAILED;
        code = act_credential(c, &ret->key, &ret->credential, NULL);
        if (code == CLI_OK)
                code = choose_role(c, &ret->key, &ret->role);
        if (code != CLI_OK)
                asker_fini(ret);
        return code;
}

void asker_fini(struct asker *a)
{
        keyfile_fini(&a->key);
}

int asker_sign(struct cli *c, const struct asker *a, struct bytes key, struct bytes *ret)
{
        struct digest about = digest_plain(key);
        struct act act;
        struct bytes wire;
        int code = act_begin(c, KIND_AUDIT_READ, &act);

        if (code != CLI_OK)
                return code;
        act.intent.object = (ProtobufCBinaryData){ DIGEST_BYTES, about.b };
        act.intent.expires_at = act.intent.created_at + QUESTION_LIFE_MS;
        wire = envelope_draft(c->arena, &act.intent, (struct bytes){ 0 });
        *ret = wire.p ? envelope_sign(c->arena, wire, &a->credential, a->role, secret_peek(a->key.sign)) : wire;
        if (!ret->p)
                cli_error("the question cannot be signed");
        return ret->p ? CLI_OK : CLI_FAILED;
}
