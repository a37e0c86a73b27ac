/* cmd_department: departments enter by one envelope that the root signs, with their first officer and agent. */
#include "agent/cli/act.h"
#include "agent/cli/client.h"
#include "agent/cli/file.h"
#include "agent/cli/root.h"
#include "agent/cli/rows.h"
#include "common/artifact.h"
#include "common/macro.h"
#include "proto/state.pb-c.h"

/* The envelope as a file, to be carried to a workstation of the authority. */
static int write_envelope(struct cli *c, struct bytes wire, const char *path)
{
        Shuyi__V1__Envelope *e = message_parse(c->arena, &shuyi__v1__envelope__descriptor, wire);
        struct bytes text = e ? artifact_write(c->arena, ARTIFACT_DRAFT, &e->base) : (struct bytes){ 0 };

        return text.p ? file_write(c, path, text, 0644, false) : -1;
}

static int department_new(struct cli *c)
{
        _cleanup_(roots_fini) struct roots roots = { 0 };
        json_t *spec = file_read_json(c, c->operands[0]);
        struct bytes text;
        Shuyi__V1__WelcomeFile *known;
        Shuyi__V1__DepartmentBody *body;
        const char *domain = json_string_value(json_object_get(spec, "domain")), *wrong = NULL;
        int code = CLI_FAILED;

        if (!spec || file_read(c, cli_option(c, "like"), &text) < 0)
                goto end;
        wrong = artifact_read(c->arena, ARTIFACT_WELCOME, text, &known);
        if (wrong || !domain) {
                cli_error("%s: %s", wrong ? cli_option(c, "like") : c->operands[0], wrong ? wrong : "the specification needs \"domain\"");
                goto end;
        }
        if (roots_open(c, 1, &roots) < 0 || !(body = root_department(c, &roots, spec, false)))
                goto end;
        struct bytes wire = root_envelope(c, &roots, KIND_DEPARTMENT, domain, &body->base);
        if (!wire.p || act_show(c, wire, stderr) != CLI_OK || write_envelope(c, wire, cli_option(c, "out")) < 0 ||
            root_write_welcome(c, body, known->endpoint, bytes_of(known->broker_link_key.data, known->broker_link_key.len),
                               bytes_of(known->anchor.data, known->anchor.len), cli_option(c, "welcome")) < 0)
                goto end;
        code = CLI_OK;
        cli_print(c, json_pack("{s:s, s:s, s:s}", "department", body->department->code, "act", cli_option(c, "out"), "welcome", cli_option(c, "welcome")), NULL);
end:
        json_decref(spec);
        return code;
}

static int department_submit(struct cli *c)
{
        struct bytes text, wire;

        if (file_read(c, c->operands[0], &text) < 0)
                return CLI_FAILED;
        const char *wrong = artifact_decode(c->arena, ARTIFACT_DRAFT, text, &wire);
        if (wrong) {
                cli_error("%s: %s", c->operands[0], wrong);
                return CLI_FAILED;
        }
        return act_send(c, wire);
}

static const struct rows_column columns[] = {
        { "CODE", "code", 18 }, { "NAME", "department.name", 24 }, { "CLASS", "department.dept_class", 12 },
        { "APPLIES", "department.applies", 12 }, { NULL, NULL, 0 },
};
static const struct rows_view view = { READ_DEPARTMENTS, &shuyi__v1__department_row__descriptor, "code", ROWS_KEY_TEXT, columns };

static int department_list(struct cli *c)
{
        return rows_print(c, &view, (struct bytes){ 0 }, NULL);
}

static const struct cli_option options_new[] = {
        { "like", "WELCOME", "welcome file of an agent of the domain: endpoint, link key and anchor are taken from it", true },
        { "out", "FILE", "where to write the signed act, for 'department submit'", true },
        { "welcome", "FILE", "where to write the welcome file of the department's first agent", true },
        PASSPHRASE_OPTIONS,
        { NULL, NULL, NULL, false },
};
static const struct cli_option options_submit[] = {
        { "wait", "SECONDS", "how long to wait for the center's receipt (default 20)", false },
        { NULL, NULL, NULL, false },
};

const struct cli_command commands_department[] = {
        { "department", "new", "SPEC ROOT_KEY...", 2, 1 + ROOTS_MAX, "admit a department, offline, with the root keys", options_new, department_new },
        { "department", "submit", "FILE", 1, 1, "send what the root signed, from the authority", options_submit, department_submit },
        { "department", "list", "", 0, 0, "departments of the domain", NULL, department_list },
        { NULL, NULL, NULL, 0, 0, NULL, NULL, NULL },
};
