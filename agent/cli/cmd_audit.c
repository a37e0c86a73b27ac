/* cmd_audit: who got what, when, by whose approval, how: the seven facts of ZS 32 for each acquisition. */
#include "agent/cli/act.h"
#include "agent/cli/client.h"
#include "common/macro.h"
#include "common/message_json.h"
#include "common/times.h"
#include "proto/audit.pb-c.h"
#include <string.h>

static int take(struct cli *c, struct bytes b, void *ctx)
{
        const Shuyi__V1__AcquisitionRow *r = message_parse(c->arena, &shuyi__v1__acquisition_row__descriptor, b);

        if (!r) {
                cli_error("a row of the answer is not of the form that this version knows");
                return -1;
        }
        return json_array_append_new(ctx, message_json_print(&r->base));
}

static const char *text_of(const json_t *row, const char *name)
{
        const char *text = json_string_value(json_object_get(row, name));

        return text ? text : "";
}

static void print_rows(const struct cli *c, const json_t *list, FILE *out)
{
        size_t i;
        const json_t *row;

        json_array_foreach(list, i, row) {
                char at[20];
                times_format_shanghai((struct wall_time){ (uint64_t)json_integer_value(json_object_get(row, "acquired_at")) }, at);
                fprintf(out, "%s  %s -> %s\n", at, text_of(row, "provider"), text_of(row, "consumer"));
                fprintf(out, "  channel   %s\n", text_of(row, "channel"));
                fprintf(out, "  user      %s %s\n", text_of(row, "user_name"), text_of(row, "user"));
                fprintf(out, "  approver  %s %s\n", text_of(row, "approver_name"), text_of(row, "approver"));
                fprintf(out, "  content   %s v%" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT " records, payload %s\n", text_of(row, "resource"),
                        json_integer_value(json_object_get(row, "resource_version")), json_integer_value(json_object_get(row, "record_count")),
                        text_of(row, "payload_digest"));
                fprintf(out, "  method    %s by %s, for: %s\n", text_of(row, "method"), text_of(row, "medium"), text_of(row, "purpose"));
                fprintf(out, "  grant     %s, stream link %" JSON_INTEGER_FORMAT "\n\n", text_of(row, "grant"),
                        json_integer_value(json_object_get(row, "stream_seq")));
        }
        fprintf(out, "%zu acquisitions\n", json_array_size(list));
}

/* The signed question of an AUDIT_OFFICER: covers the query by its digest. */
static int sign_query(struct cli *c, struct bytes key, struct bytes *ret)
{
        _cleanup_(keyfile_fini) struct keyfile file = { 0 };
        struct digest credential, about = digest_plain(key);
        struct act act;
        int code = act_begin(c, KIND_AUDIT_READ, &act);

        if (code != CLI_OK)
                return code;
        act.intent.object = (ProtobufCBinaryData){ DIGEST_BYTES, about.b };
        act.intent.expires_at = act.intent.created_at + 300000;
        struct bytes wire = envelope_draft(c->arena, &act.intent, (struct bytes){ 0 });
        if (!wire.p || signer_open(c, cli_option(c, "key"), &file) < 0)
                return CLI_FAILED;
        code = act_credential(c, &file, &credential, NULL);
        if (code == CLI_OK)
                *ret = envelope_sign(c->arena, wire, &credential, ROLE_AUDIT_OFFICER, secret_peek(file.sign));
        return code;
}

static int audit_search(struct cli *c)
{
        Shuyi__V1__AuditQuery query = SHUYI__V1__AUDIT_QUERY__INIT;
        struct client_query q = { .what = READ_AUDIT };
        json_t *list;
        int code = CLI_OK;

        if ((cli_option(c, "person") && act_hex(c, cli_option(c, "person"), "--person", ID_BYTES, &query.person) < 0) ||
            (cli_option(c, "grant") && act_hex(c, cli_option(c, "grant"), "--grant", DIGEST_BYTES, &query.grant) < 0) ||
            act_day(c, cli_option(c, "from"), &query.from) < 0 || act_day(c, cli_option(c, "until"), &query.to) < 0)
                return CLI_USAGE;
        if (cli_option(c, "department"))
                query.department = (char *)cli_option(c, "department");
        if (cli_option(c, "resource"))
                query.resource = (char *)cli_option(c, "resource");
        q.key = message_pack(c->arena, &query.base);
        if (cli_option(c, "key"))
                code = sign_query(c, q.key, &q.signed_query);
        if (code != CLI_OK)
                return code;
        list = json_array();
        code = client_read(c, &q, take, list);
        if (code == CLI_OK)
                cli_print(c, list, print_rows);
        else
                json_decref(list);
        return code;
}

static const struct cli_option options_search[] = {
        { "department", "CODE", "consumer or provider", false }, { "person", "ID", "user or approver", false },
        { "resource", "CODE", "resource code", false }, { "grant", "ID", "grant", false },
        { "from", "DAY", "acquired from this day on", false }, { "until", "DAY", "and before this day", false },
        { "key", "FILE", "an AUDIT_OFFICER's key: shows all departments, not only one's own", false },
        PASSPHRASE_OPTIONS, { NULL, NULL, NULL, false },
};

const struct cli_command commands_audit[] = {
        { "audit", "search", "", 0, 0, "acquisitions with the seven facts of ZS 32", options_search, audit_search },
        { NULL, NULL, NULL, 0, 0, NULL, NULL, NULL },
};
