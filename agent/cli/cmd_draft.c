/* cmd_draft: acts that wait at the agent for a further signature (REGULATIONS 6.12). */
#include "agent/cli/act.h"
#include "agent/cli/client.h"
#include <string.h>

static void print_list(const struct cli *c, const json_t *list, FILE *out)
{
        size_t i;
        const json_t *d;

        json_array_foreach(json_is_array(list) ? list : json_object_get(list, "drafts"), i, d)
                fprintf(out, "%s  %-14s %s\n", json_string_value(json_object_get(d, "digest")), json_string_value(json_object_get(d, "kind")),
                        json_string_value(json_object_get(d, "created_at")) ? json_string_value(json_object_get(d, "created_at")) : "");
}

static int draft_list(struct cli *c)
{
        json_t *answer = NULL;
        long status;

        if (client_call(c, "GET", "/v1/drafts", NULL, &status, &answer) < 0)
                return CLI_FAILED;
        if (status != 200) {
                int code = client_problem(c, status, answer);
                json_decref(answer);
                return code;
        }
        cli_print(c, answer, print_list);
        return CLI_OK;
}

/* The draft's bytes, which must be what their name says: the digest of the header. */
static int fetch(struct cli *c, struct bytes *ret)
{
        json_t *answer = NULL;
        long status;
        const struct claim *claim;
        ProtobufCBinaryData digest;

        if (act_hex(c, c->operands[0], "a draft", DIGEST_BYTES, &digest) < 0)
                return CLI_USAGE;
        if (client_call(c, "GET", arena_printf(c->arena, "/v1/drafts/%s", c->operands[0]), NULL, &status, &answer) < 0)
                return CLI_FAILED;
        int code = status == 200 ? CLI_OK : client_problem(c, status, answer);
        if (code == CLI_OK) {
                *ret = client_unbase64(c, json_string_value(json_object_get(answer, "envelope")));
                if (!ret->p || envelope_parse(c->arena, *ret, &claim) != ACCEPTED || memcmp(claim->header_digest.b, digest.data, DIGEST_BYTES) != 0) {
                        cli_error("the agent gave other bytes than the draft asked for");
                        code = CLI_FAILED;
                }
        }
        json_decref(answer);
        return code;
}

static int draft_show(struct cli *c)
{
        struct bytes wire;
        int code = fetch(c, &wire);

        return code == CLI_OK ? act_show(c, wire, stdout) : code;
}

static int draft_sign(struct cli *c)
{
        struct bytes wire;
        int code = fetch(c, &wire);

        return code == CLI_OK ? act_sign_draft(c, wire) : code;
}

static int draft_drop(struct cli *c)
{
        json_t *answer = NULL;
        ProtobufCBinaryData digest;
        long status;

        if (act_hex(c, c->operands[0], "a draft", DIGEST_BYTES, &digest) < 0)
                return CLI_USAGE;
        if (client_call(c, "DELETE", arena_printf(c->arena, "/v1/drafts/%s", c->operands[0]), NULL, &status, &answer) < 0)
                return CLI_FAILED;
        int code = status < 300 ? CLI_OK : client_problem(c, status, answer);
        json_decref(answer);
        return code;
}

static const struct cli_option options_sign[] = { ACT_OPTIONS, { NULL, NULL, NULL, false } };

const struct cli_command commands_draft[] = {
        { "draft", "list", "", 0, 0, "acts that wait for a further signature", NULL, draft_list },
        { "draft", "show", "DRAFT", 1, 1, "what would be signed, from its bytes", NULL, draft_show },
        { "draft", "sign", "DRAFT", 1, 1, "sign it; the last signature sends it", options_sign, draft_sign },
        { "draft", "drop", "DRAFT", 1, 1, "throw it away", NULL, draft_drop },
        { NULL, NULL, NULL, 0, 0, NULL, NULL, NULL },
};
