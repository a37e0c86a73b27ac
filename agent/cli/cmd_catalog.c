/* cmd_catalog: entries are submitted by their provider and published by the authority (SM-CAT). */
#include "agent/cli/act.h"
#include "agent/cli/client.h"
#include "agent/cli/file.h"
#include "agent/cli/rows.h"
#include "agent/cli/source.h"
#include "common/macro.h"
#include "common/message_json.h"
#include "common/policy.h"
#include "common/exchange/catalog_rules.h"
#include "proto/catalog.pb-c.h"
#include "proto/registry.pb-c.h"
#include "proto/state.pb-c.h"
#include <string.h>

static const struct rows_column catalog_columns[] = {
        { "RESOURCE", "resource", 14 }, { "V", "version", 3 }, { "NAME", "entry.resource_name", 24 }, { "PROVIDER", "entry.provider_name", 18 },
        { "SHARE", "entry.share_type", 14 }, { "CYCLE", "entry.update_cycle", 9 }, { NULL, NULL, 0 },
};
static const struct rows_view catalog_view = { READ_CATALOG, &shuyi__v1__version_row__descriptor, "resource", ROWS_KEY_VERSION, catalog_columns };

static const struct rows_column matter_columns[] = {
        { "MATTER", "matter", 64 }, { "STATE", "state", 12 }, { "NAME", "pending.resource_name", 20 }, { "RESOURCE", "resource", 14 },
        { "WARNINGS", "warning_codes", 10 }, { "FROZEN", "frozen", 6 }, { NULL, NULL, 0 },
};
static const struct rows_view matter_view = { READ_MATTERS, &shuyi__v1__matter_row__descriptor, "matter", ROWS_KEY_HEX, matter_columns };

static int catalog_submit(struct cli *c)
{
        Shuyi__V1__CatSubmitBody body = SHUYI__V1__CAT_SUBMIT_BODY__INIT;
        const char *matter = cli_option(c, "matter");
        struct act act;

        body.entry = file_read_message(c, &shuyi__v1__entry__descriptor, c->operands[0]);
        if (!body.entry)
                return CLI_FAILED;
        int code = act_begin(c, KIND_CAT_SUBMIT, &act);
        if (code != CLI_OK)
                return code;
        if (act_hex(c, cli_option(c, "agent-id"), "--agent-id", ID_BYTES, &act.intent.agent) < 0 ||
            (matter && act_hex(c, matter, "--matter", DIGEST_BYTES, &act.intent.object) < 0))
                return CLI_USAGE;
        act.body = &body.base;
        return act_finish(&act);
}

static int begin_about(struct cli *c, enum kind_number kind, struct act *act)
{
        int code = act_begin(c, kind, act);

        if (code == CLI_OK && act_hex(c, c->operands[0], "a catalog matter", DIGEST_BYTES, &act->intent.object) < 0)
                code = CLI_USAGE;
        return code;
}

static int catalog_return(struct cli *c)
{
        Shuyi__V1__ReturnBody body = SHUYI__V1__RETURN_BODY__INIT;
        Shuyi__V1__Defect defect[16], *defects[16];
        char *list = arena_strdup(c->arena, cli_option(c, "defects")), *save = NULL;
        struct act act;
        int code = begin_about(c, KIND_CAT_RETURN, &act);

        for (char *word = strtok_r(list, ",", &save); word && body.n_defects < ELEMENTS(defects); word = strtok_r(NULL, ",", &save)) {
                Shuyi__V1__Defect *d = &defect[body.n_defects];
                shuyi__v1__defect__init(d);
                d->code = word;
                if (cli_option(c, "remark"))
                        d->remark = (char *)cli_option(c, "remark");
                defects[body.n_defects++] = d;
        }
        body.defects = defects;
        act.body = &body.base;
        return code == CLI_OK ? act_finish(&act) : code;
}

static int catalog_approve(struct cli *c)
{
        Shuyi__V1__CatApproveBody body = SHUYI__V1__CAT_APPROVE_BODY__INIT;
        struct act act;
        ProtobufCBinaryData matter;

        if (act_hex(c, c->operands[0], "a catalog matter", DIGEST_BYTES, &matter) < 0)
                return CLI_USAGE;
        json_t *list = rows_fetch(c, &matter_view, bytes_of(matter.data, matter.len));
        const char *digest = json_string_value(json_object_get(json_array_get(list, 0), "submit_digest"));
        if (!digest || act_hex(c, digest, "submit_digest", DIGEST_BYTES, &body.submit_digest) < 0) {
                cli_error("no such matter, or nothing of it is under review");
                json_decref(list);
                return CLI_REFUSED;
        }
        uint64_t seq = (uint64_t)json_integer_value(json_object_get(json_array_get(list, 0), "submit_seq"));
        json_decref(list);
        int code = source_show(c, seq, bytes_of(body.submit_digest.data, body.submit_digest.len), "What would be published", NULL);
        if (code == CLI_OK)
                code = begin_about(c, KIND_CAT_APPROVE, &act);
        act.body = &body.base;
        return code == CLI_OK ? act_finish(&act) : code;
}

static int freeze(struct cli *c, enum kind_number kind, const char *fallback)
{
        Shuyi__V1__FreezeBody body = SHUYI__V1__FREEZE_BODY__INIT;
        const char *reason = cli_option(c, "reason");
        struct act act;

        body.reason = word_find(LIST_act_reason, reason ? reason : fallback);
        if (!body.reason) {
                cli_error("--reason is one of %s", word_all(LIST_act_reason));
                return CLI_USAGE;
        }
        if (cli_option(c, "incident"))
                body.incident = (char *)cli_option(c, "incident");
        int code = begin_about(c, kind, &act);
        act.body = &body.base;
        return code == CLI_OK ? act_finish(&act) : code;
}

static int catalog_freeze(struct cli *c) { return freeze(c, KIND_FREEZE, "SECURITY_INCIDENT"); }
static int catalog_unfreeze(struct cli *c) { return freeze(c, KIND_UNFREEZE, "RESOLVED"); }
static int catalog_list(struct cli *c) { return rows_print(c, &catalog_view, (struct bytes){ 0 }, NULL); }

static int catalog_show(struct cli *c)
{
        json_t *list = rows_fetch(c, &catalog_view, bytes_str(c->operands[0]));

        if (!list)
                return CLI_FAILED;
        if (json_array_size(list) == 0) {
                cli_error("no entry %s", c->operands[0]);
                json_decref(list);
                return CLI_REFUSED;
        }
        cli_print(c, json_incref(json_array_get(list, 0)), NULL);
        json_decref(list);
        return CLI_OK;
}

static bool matter_is_open(const struct cli *c, const json_t *row)
{
        const char *state = json_string_value(json_object_get(row, "state"));

        return cli_switch(c, "all") || (state && (strcmp(state, "SUBMITTED") == 0 || strcmp(state, "RETURNED") == 0));
}

static int catalog_matters(struct cli *c) { return rows_print(c, &matter_view, (struct bytes){ 0 }, matter_is_open); }

/* The rules of 4.5 that need no registry, before anything leaves the department. */
static int catalog_dry_run(struct cli *c)
{
        Shuyi__V1__Entry *entry = file_read_message(c, &shuyi__v1__entry__descriptor, c->operands[0]);
        struct bytes text;
        char error[200] = "";
        struct catalog_results results = { 0 };

        if (!entry || file_read(c, cli_option(c, "policy"), &text) < 0)
                return CLI_FAILED;
        struct policy *policy = policy_parse(text, NULL, error);
        if (!policy) {
                cli_error("%s: %s", cli_option(c, "policy"), error);
                return CLI_FAILED;
        }
        struct catalog_lookup lookup = { .department = "", .today = times_shanghai_day(times_wall()), .arena = c->arena };
        catalog_check(entry, policy, &lookup, &results);
        policy_free(policy);
        json_t *list = json_array();
        for (size_t i = 0; i < results.n; i++) {
                const struct refusal_text *t = refusal_text(results.rows[i].code);
                json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "code", t->code, "where", results.rows[i].where, "severity",
                                                      results.rows[i].warning ? "W" : "E", "text", t->english, "zh", t->chinese));
        }
        cli_print(c, list, NULL);
        return results.errors ? CLI_CHECK : CLI_OK;
}

static const struct cli_option options_submit[] = {
        { "agent-id", "ID", "the agent that may push this resource", true },
        { "matter", "ID", "the returned matter that this submits again", false }, ACT_OPTIONS, { NULL, NULL, NULL, false },
};
static const struct cli_option options_return[] = {
        { "defects", "CODES", "rule codes, such as C-021", true }, { "remark", "TEXT", "naming no person", false }, ACT_OPTIONS, { NULL, NULL, NULL, false },
};
static const struct cli_option options_act[] = { ACT_OPTIONS, { NULL, NULL, NULL, false } };
static const struct cli_option options_freeze[] = {
        { "reason", "WORD", "why", false }, { "incident", "ID", "incident number", false }, ACT_OPTIONS, { NULL, NULL, NULL, false },
};
static const struct cli_option options_check[] = { { "policy", "FILE", "profile to check against", true }, { NULL, NULL, NULL, false } };
static const struct cli_option options_matters[] = { { "all", NULL, "also those that are decided", false }, { NULL, NULL, NULL, false } };

const struct cli_command commands_catalog[] = {
        { "catalog", "check", "ENTRY.json", 1, 1, "check an entry against the rules of a profile, before it leaves", options_check, catalog_dry_run },
        { "catalog", "submit", "ENTRY.json", 1, 1, "submit an entry (DATA_OFFICER, then APPROVER)", options_submit, catalog_submit },
        { "catalog", "list", "", 0, 0, "published entries", NULL, catalog_list },
        { "catalog", "show", "RESOURCE", 1, 1, "one published entry, whole", NULL, catalog_show },
        { "catalog", "matters", "", 0, 0, "entries under review", options_matters, catalog_matters },
        { "catalog", "return", "MATTER", 1, 1, "return an entry with its defects (authority, DATA_OPERATOR)", options_return, catalog_return },
        { "catalog", "approve", "MATTER", 1, 1, "publish an entry (authority, DATA_OPERATOR)", options_act, catalog_approve },
        { "catalog", "freeze", "MATTER", 1, 1, "freeze an entry after an incident (SEC_ADMIN)", options_freeze, catalog_freeze },
        { "catalog", "unfreeze", "MATTER", 1, 1, "let it run again (SEC_ADMIN)", options_freeze, catalog_unfreeze },
        { NULL, NULL, NULL, 0, 0, NULL, NULL, NULL },
};
