/* audit_query: see the header. */
#include "agent/cli/audit_query.h"
#include "agent/cli/act.h"
#include "agent/cli/shown.h"
#include "common/message_json.h"
#include <stdlib.h>
#include <string.h>

static int read_outcome(const char *word, Shuyi__V1__AuditQuery *ret)
{
        ret->outcome = word ? word_find(LIST_audit_outcome, word) : 0;
        for (unsigned i = 0; word && ret->outcome == 0 && refusal_at(i); i++)
                if (strcmp(refusal_at(i)->code, word) == 0)
                        ret->code = refusal_at(i)->number;
        if (!word || ret->outcome || ret->code)
                return CLI_OK;
        if (strcmp(word, refusal_text(ACCEPTED)->code) == 0) {
                ret->outcome = AUDIT_TAKEN;
                return CLI_OK;
        }
        cli_error("--outcome takes TAKEN, REFUSED or a refusal's code");
        return CLI_USAGE;
}

int audit_query_read(struct cli *c, Shuyi__V1__AuditQuery *ret)
{
        shuyi__v1__audit_query__init(ret);
        if ((cli_option(c, "person") && act_hex(c, cli_option(c, "person"), "--person", ID_BYTES, &ret->person) < 0) ||
            (cli_option(c, "grant") && act_hex(c, cli_option(c, "grant"), "--grant", DIGEST_BYTES, &ret->grant) < 0) ||
            act_day(c, cli_option(c, "from"), &ret->from) < 0 || act_day(c, cli_option(c, "to"), &ret->to) < 0)
                return CLI_USAGE;
        if (ret->to)
                ret->to += DAY_MS;
        if (cli_option(c, "department"))
                ret->department = (char *)cli_option(c, "department");
        if (cli_option(c, "resource"))
                ret->resource = (char *)cli_option(c, "resource");
        ret->acts = cli_switch(c, "acts");
        return read_outcome(cli_option(c, "outcome"), ret);
}

json_t *audit_query_row(const Shuyi__V1__AuditQuery *q, struct bytes row, struct arena *a)
{
        const ProtobufCMessage *m = message_parse(a, q->acts ? &shuyi__v1__act_row__descriptor : &shuyi__v1__acquisition_row__descriptor, row);
        json_t *json = m ? message_json_print(m) : NULL;

        if (!json)
                cli_error("a row of the answer is not of the form that this version knows");
        return json;
}

static const char *text_of(const json_t *row, const char *name)
{
        const char *text = json_string_value(json_object_get(row, name));

        return text ? text : "";
}

static void print_time(const json_t *row, const char *name, FILE *out)
{
        char at[20];

        times_format_shanghai((struct wall_time){ (uint64_t)json_integer_value(json_object_get(row, name)) }, at);
        fprintf(out, "%s", at);
}

static void print_acquisition(const json_t *row, FILE *out)
{
        print_time(row, "acquired_at", out);
        fprintf(out, "  %s -> %s\n", text_of(row, "provider"), text_of(row, "consumer"));
        fprintf(out, "  channel   %s\n", text_of(row, "channel"));
        fprintf(out, "  user      %s %s\n", text_of(row, "user_name"), text_of(row, "user"));
        fprintf(out, "  approver  %s %s\n", text_of(row, "approver_name"), text_of(row, "approver"));
        fprintf(out, "  content   %s v%" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT " records\n", text_of(row, "resource"),
                json_integer_value(json_object_get(row, "resource_version")), json_integer_value(json_object_get(row, "record_count")));
        fprintf(out, "  payload   %s\n", text_of(row, "payload_digest"));
        fprintf(out, "  method    %s by %s, for: %s\n", text_of(row, "method"), text_of(row, "medium"), text_of(row, "purpose"));
        if (*text_of(row, "nack"))
                fprintf(out, "  nack      %s\n", text_of(row, "nack"));
        fprintf(out, "  grant     %s\n  stream    link %" JSON_INTEGER_FORMAT ": entry %" JSON_INTEGER_FORMAT " of the log, its receipt %" JSON_INTEGER_FORMAT "\n\n",
                text_of(row, "grant"), json_integer_value(json_object_get(row, "stream_seq")), json_integer_value(json_object_get(row, "update_seq")),
                json_integer_value(json_object_get(row, "receipt_seq")));
}

static void print_act(const json_t *row, FILE *out)
{
        const json_t *capacity, *names = json_object_get(row, "names");
        size_t i;
        char *detail = shown_line(text_of(row, "detail"));
        const char *code = text_of(row, "code");

        print_time(row, "accepted_at", out);
        fprintf(out, "  seq %" JSON_INTEGER_FORMAT "  %s  %s%s%s\n", json_integer_value(json_object_get(row, "seq")), text_of(row, "kind"), *code ? code : "ACCEPTED",
                detail && *detail ? " " : "", detail ? detail : "");
        fprintf(out, "  by       %s%s", *text_of(row, "from") ? " " : "", text_of(row, "from"));
        json_array_foreach(json_object_get(row, "capacities"), i, capacity) {
                const char *name = json_string_value(json_array_get(names, i));
                fprintf(out, "%s %s%s%s", i ? "," : "", name ? name : "", name ? " as " : "", json_string_value(capacity) ? json_string_value(capacity) : "");
        }
        fprintf(out, "\n");
        if (*text_of(row, "resource"))
                fprintf(out, "  resource  %s\n", text_of(row, "resource"));
        if (*text_of(row, "grant"))
                fprintf(out, "  grant     %s\n", text_of(row, "grant"));
        fprintf(out, "\n");
        free(detail);
}

void audit_query_print(const struct cli *c, const json_t *list, FILE *out)
{
        bool acts = cli_switch(c, "acts");
        size_t i;
        json_t *row;

        json_array_foreach(list, i, row) {
                if (acts)
                        print_act(row, out);
                else
                        print_acquisition(row, out);
        }
        fprintf(out, "%zu %s\n", json_array_size(list), acts ? "acts" : "acquisitions");
}
