/* cmd_agent: an agent's keys, its filing and acceptance, and what it says of itself. */
#include "agent/cli/act.h"
#include "agent/cli/admit.h"
#include "agent/cli/client.h"
#include "agent/cli/file.h"
#include "agent/cli/issue.h"
#include "agent/cli/rows.h"
#include "agent/try.h"
#include "common/macro.h"
#include "common/message_json.h"
#include "proto/registry.pb-c.h"
#include "proto/state.pb-c.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static int agent_init(struct cli *c)
{
        const char *dir = c->operands[0], *label = cli_option(c, "label");
        _cleanup_(keyfile_fini) struct keyfile k = { 0 };
        struct id id;
        char *key = arena_printf(c->arena, "%s/agent.key", dir), *join = arena_printf(c->arena, "%s/agent.join", dir);

        if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
                cli_error("%s: %s", dir, strerror(errno));
                return CLI_FAILED;
        }
        issue_new_id(&id);
        if (!key || !join || signer_make(c, key, KEYFILE_AGENT, &k) < 0 ||
            signer_write_join(c, &k, join, cli_option(c, "domain"), cli_option(c, "department"), &id, label ? label : "") < 0)
                return CLI_FAILED;
        return CLI_OK;
}

static int agent_file(struct cli *c)
{
        Shuyi__V1__FileBody body = SHUYI__V1__FILE_BODY__INIT;
        Shuyi__V1__AgentLabel label = SHUYI__V1__AGENT_LABEL__INIT;
        const Shuyi__V1__KeyRequest *request;
        const Shuyi__V1__JoinFile *join = issue_read_join(c, c->operands[0], &request);
        struct act act;

        if (!join)
                return CLI_FAILED;
        int code = act_begin(c, KIND_FILE, &act);
        if (code != CLI_OK)
                return code;
        label.label = join->label;
        body.agent = &label;
        body.key_request = join->key_request;
        body.key_request_signature = join->signature;
        act.body = &body.base;
        return act_finish(&act);
}

static int agent_accept(struct cli *c) { return admit_accept(c, c->operands[0]); }
static int agent_revoke(struct cli *c) { return admit_revoke(c, c->operands[0]); }

/* An entry's sample from source to sink, with no broker. */
static int agent_try(struct cli *c)
{
        const Shuyi__V1__Entry *entry = file_read_message(c, &shuyi__v1__entry__descriptor, c->operands[0]);
        const char *numbers = cli_option(c, "items");
        struct try_result result;
        uint32_t *items = NULL;
        size_t n = 0;

        if (!entry || (numbers && act_numbers(c, numbers, &items, &n) < 0))
                return entry ? CLI_USAGE : CLI_FAILED;
        int r = try_entry(c->arena, entry, items, n, times_wall().ms, &result);
        if (r < 0) {
                cli_error("%s", r == -EPROTO ? "what was sealed did not open as it was" : strerror(-r));
                return CLI_FAILED;
        }
        fwrite(result.lines.p, 1, result.lines.n, stdout);
        for (size_t i = 0; i < result.problems_n; i++)
                fprintf(stderr, "sample row %zu, item %u: %s\n", result.problems[i].row + 1, result.problems[i].item, result.problems[i].why);
        fprintf(stderr, "%zu of %zu sample rows went from source to sink\n", result.good, result.rows);
        return result.good == result.rows ? CLI_OK : CLI_CHECK;
}

static const struct rows_column columns[] = {
        { "AGENT", "agent", 32 }, { "DEPARTMENT", "department", 18 }, { "LABEL", "label", 20 }, { "LINK", "link", 5 }, { "REVOKED", "revoked", 7 }, { NULL, NULL, 0 },
};
static const struct rows_view view = { READ_AGENTS, &shuyi__v1__agent_row__descriptor, "agent", ROWS_KEY_HEX, columns };

static int agent_list(struct cli *c)
{
        return rows_print(c, &view, cli_option(c, "department") ? bytes_str(cli_option(c, "department")) : (struct bytes){ 0 }, NULL);
}

static int agent_status(struct cli *c)
{
        json_t *answer = NULL;
        long status;

        if (client_call(c, "GET", "/v1/status", NULL, &status, &answer) < 0)
                return CLI_FAILED;
        if (status != 200) {
                int code = client_problem(c, status, answer);
                json_decref(answer);
                return code;
        }
        cli_print(c, answer, NULL);
        return CLI_OK;
}

static int agent_subscriptions(struct cli *c)
{
        json_t *answer = NULL;
        long status;

        if (client_call(c, "GET", "/v1/subscriptions", NULL, &status, &answer) < 0)
                return CLI_FAILED;
        cli_print(c, answer, NULL);
        return status == 200 ? CLI_OK : CLI_FAILED;
}

static void print_alarms(const struct cli *c, const json_t *answer, FILE *out)
{
        const json_t *list = json_object_get(answer, "alarms"), *a;
        size_t i;

        if (json_array_size(list) == 0)
                fprintf(out, "no alarms\n");
        json_array_foreach(list, i, a)
                fprintf(out, "%" JSON_INTEGER_FORMAT "  %s  %s%s  about %" JSON_INTEGER_FORMAT ": %s (%s)\n", json_integer_value(json_object_get(a, "number")),
                        json_string_value(json_object_get(a, "at")), json_string_value(json_object_get(a, "kind")),
                        json_is_true(json_object_get(a, "halts")) ? ", HALTS" : "", json_integer_value(json_object_get(a, "about")),
                        json_string_value(json_object_get(a, "text")), json_string_value(json_object_get(a, "detail")));
}

static int call_alarms(struct cli *c, const char *method, const char *path, void (*print)(const struct cli *c, const json_t *answer, FILE *out))
{
        json_t *answer = NULL;
        long status;

        if (!path || client_call(c, method, path, NULL, &status, &answer) < 0)
                return CLI_FAILED;
        if (status != 200) {
                int code = client_problem(c, status, answer);
                json_decref(answer);
                return code;
        }
        cli_print(c, answer, print);
        return CLI_OK;
}

static int agent_alarms(struct cli *c)
{
        return call_alarms(c, "GET", "/v1/alarms", print_alarms);
}

static int agent_dismiss(struct cli *c)
{
        if (strspn(c->operands[0], "0123456789") != strlen(c->operands[0])) {
                cli_error("an alarm is named by its number: see `shuyi agent alarms`");
                return CLI_USAGE;
        }
        return call_alarms(c, "DELETE", arena_printf(c->arena, "/v1/alarms/%s", c->operands[0]), NULL);
}

static const struct cli_option options_init[] = {
        { "domain", "CODE", "six digits", true }, { "department", "CODE", "unified social credit code", true },
        { "label", "TEXT", "what people call the agent", false }, PASSPHRASE_OPTIONS, { NULL, NULL, NULL, false },
};
static const struct cli_option options_file[] = { ACT_OPTIONS, { NULL, NULL, NULL, false } };
static const struct cli_option options_accept[] = { ADMIT_OPTIONS, ACT_OPTIONS, { NULL, NULL, NULL, false } };
static const struct cli_option options_revoke[] = { REVOKE_OPTIONS, ACT_OPTIONS, { NULL, NULL, NULL, false } };
static const struct cli_option options_try[] = { { "items", "N,...", "items granted (default: all)", false }, { NULL, NULL, NULL, false } };
static const struct cli_option options_list[] = { { "department", "CODE", "only this department", false }, { NULL, NULL, NULL, false } };

const struct cli_command commands_agent[] = {
        { "agent", "init", "DIR", 1, 1, "make an agent's keys and its join file in DIR", options_init, agent_init },
        { "agent", "file", "JOIN_FILE", 1, 1, "file a further agent with the authority (DATA_OFFICER)", options_file, agent_file },
        { "agent", "accept", "FILING", 1, 1, "accept a filed agent and issue its credential (SEC_ADMIN)", options_accept, agent_accept },
        { "agent", "revoke", "CREDENTIAL", 1, 1, "end an agent at once (DATA_OFFICER or SEC_ADMIN)", options_revoke, agent_revoke },
        { "agent", "try", "ENTRY.json", 1, 1, "send an entry's sample from source to sink, on this machine alone", options_try, agent_try },
        { "agent", "list", "", 0, 0, "agents of the domain", options_list, agent_list },
        { "agent", "status", "", 0, 0, "what the department's own agent says of itself", NULL, agent_status },
        { "agent", "alarms", "", 0, 0, "what the center or a peer could not have done honestly, with the evidence", NULL, agent_alarms },
        { "agent", "dismiss", "NUMBER", 1, 1, "an alarm is dealt with; after one that halts, the center's present log is taken as it is", NULL, agent_dismiss },
        { "agent", "subscriptions", "", 0, 0, "streams that the department's own agent receives", NULL, agent_subscriptions },
        { NULL, NULL, NULL, 0, 0, NULL, NULL, NULL },
};
