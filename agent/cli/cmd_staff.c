/* cmd_staff: staff are filed by their department and accepted by the authority (SM-STAFF, ZS 33). */
#include "agent/cli/act.h"
#include "agent/cli/admit.h"
#include "agent/cli/client.h"
#include "agent/cli/file.h"
#include "agent/cli/issue.h"
#include "agent/cli/rows.h"
#include "common/macro.h"
#include "proto/registry.pb-c.h"
#include "proto/state.pb-c.h"

static const struct rows_column staff_columns[] = {
        { "DEPARTMENT", "department", 18 }, { "PERSON", "person", 32 }, { "OFFICE", "staff.office", 16 }, { "NAME", "staff.name", 10 },
        { "ROLES", "staff.roles", 24 }, { "PHONE", "staff.phone", 14 }, { "STATE", "state", 10 }, { NULL, NULL, 0 },
};
static const struct rows_view staff_view = { READ_STAFF, &shuyi__v1__person_row__descriptor, "person", ROWS_KEY_PERSON, staff_columns };

static const struct rows_column filing_columns[] = {
        { "FILING", "filing_id", 64 }, { "DEPARTMENT", "department", 18 }, { "NAME", "filing.staff.name", 10 }, { "AGENT", "filing.agent.label", 16 },
        { "STATE", "state", 10 }, { NULL, NULL, 0 },
};
static const struct rows_view filing_view = { READ_FILINGS, &shuyi__v1__filing_row__descriptor, "filing_id", ROWS_KEY_HEX, filing_columns };

/* FILE or STAFF_CHANGE of a person: the staff particulars from a JSON file, the key from a join file. */
static int file_person(struct cli *c, enum kind_number kind, const char *replaces)
{
        Shuyi__V1__FileBody body = SHUYI__V1__FILE_BODY__INIT;
        const Shuyi__V1__KeyRequest *request;
        const Shuyi__V1__JoinFile *join = issue_read_join(c, c->operands[0], &request);
        struct act act;

        body.staff = join ? file_read_message(c, &shuyi__v1__staff__descriptor, cli_option(c, "staff")) : NULL;
        if (!body.staff)
                return CLI_FAILED;
        int code = act_begin(c, kind, &act);
        if (code != CLI_OK)
                return code;
        if (replaces && act_hex(c, replaces, "a credential id", DIGEST_BYTES, &act.intent.object) < 0)
                return CLI_USAGE;
        body.key_request = join->key_request;
        body.key_request_signature = join->signature;
        act.body = &body.base;
        return act_finish(&act);
}

static int staff_file(struct cli *c) { return file_person(c, KIND_FILE, NULL); }
static int staff_change(struct cli *c) { return file_person(c, KIND_STAFF_CHANGE, c->operands[1]); }
static int staff_accept(struct cli *c) { return admit_accept(c, c->operands[0]); }

static int staff_return(struct cli *c)
{
        Shuyi__V1__ReturnBody body = SHUYI__V1__RETURN_BODY__INIT;
        Shuyi__V1__Defect defect = SHUYI__V1__DEFECT__INIT, *defects[] = { &defect };
        struct act act;
        int code = act_begin(c, KIND_STAFF_RETURN, &act);

        if (code != CLI_OK)
                return code;
        if (act_hex(c, c->operands[0], "a filing", DIGEST_BYTES, &act.intent.object) < 0)
                return CLI_USAGE;
        defect.code = (char *)cli_option(c, "defect");
        defect.remark = (char *)(cli_option(c, "remark") ? cli_option(c, "remark") : "");
        body.defects = defects;
        body.n_defects = 1;
        act.body = &body.base;
        return act_finish(&act);
}

static int staff_revoke(struct cli *c) { return admit_revoke(c, c->operands[0]); }
static int staff_list(struct cli *c) { return rows_print(c, &staff_view, cli_option(c, "department") ? bytes_str(cli_option(c, "department")) : (struct bytes){ 0 }, NULL); }

static bool filing_is_open(const struct cli *c, const json_t *row)
{
        const char *state = json_string_value(json_object_get(row, "state"));

        return cli_switch(c, "all") || (state && strcmp(state, "FILED") == 0);
}

static int staff_filings(struct cli *c) { return rows_print(c, &filing_view, (struct bytes){ 0 }, filing_is_open); }

static const struct cli_option options_file[] = {
        { "staff", "FILE", "JSON: office, name, duty, phone, email, roles", true }, ACT_OPTIONS, { NULL, NULL, NULL, false },
};
static const struct cli_option options_accept[] = { ADMIT_OPTIONS, ACT_OPTIONS, { NULL, NULL, NULL, false } };
static const struct cli_option options_return[] = {
        { "defect", "CODE", "field or rule that is wrong", true }, { "remark", "TEXT", "naming no person", false }, ACT_OPTIONS, { NULL, NULL, NULL, false },
};
static const struct cli_option options_revoke[] = { REVOKE_OPTIONS, ACT_OPTIONS, { NULL, NULL, NULL, false } };
static const struct cli_option options_list[] = { { "department", "CODE", "only this department", false }, { NULL, NULL, NULL, false } };
static const struct cli_option options_filings[] = { { "all", NULL, "also those that are decided", false }, { NULL, NULL, NULL, false } };

const struct cli_command commands_staff[] = {
        { "staff", "file", "JOIN_FILE", 1, 1, "file a person with the authority (DATA_OFFICER)", options_file, staff_file },
        { "staff", "accept", "FILING", 1, 1, "accept a filed person and issue the credential (SEC_ADMIN)", options_accept, staff_accept },
        { "staff", "return", "FILING", 1, 1, "return a filing with its defect (SEC_ADMIN)", options_return, staff_return },
        { "staff", "change", "JOIN_FILE CREDENTIAL", 2, 2, "file a changed record with a new key in place of a credential (DATA_OFFICER)", options_file, staff_change },
        { "staff", "revoke", "CREDENTIAL", 1, 1, "end a person's ability to act (DATA_OFFICER or SEC_ADMIN)", options_revoke, staff_revoke },
        { "staff", "list", "", 0, 0, "published staff of all departments", options_list, staff_list },
        { "staff", "filings", "", 0, 0, "filings that wait for acceptance", options_filings, staff_filings },
        { NULL, NULL, NULL, 0, 0, NULL, NULL, NULL },
};
