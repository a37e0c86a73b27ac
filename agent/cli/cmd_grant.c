/* cmd_grant: running provisions and what is done to them (SM-GRANT). */
#include "agent/cli/act.h"
#include "agent/cli/client.h"
#include "agent/cli/rows.h"
#include "proto/request.pb-c.h"
#include "proto/state.pb-c.h"
#include "proto/stream.pb-c.h"

static const struct rows_column columns[] = {
        { "GRANT", "grant", 64 }, { "STATE", "state", 10 }, { "CHANNEL", "channel", 14 }, { "CONSUMER", "consumer", 18 },
        { "RESOURCE", "resource", 12 }, { "ITEMS", "items", 10 }, { "PURPOSE", "purpose", 20 }, { NULL, NULL, 0 },
};
static const struct rows_view view = { READ_GRANTS, &shuyi__v1__grant_row__descriptor, "grant", ROWS_KEY_HEX, columns };

static const struct rows_column subscription_columns[] = {
        { "GRANT", "grant", 64 }, { "STATE", "state", 10 }, { "CONSUMER", "consumer", 18 }, { "START", "start", 6 }, { "CURSOR", "cursor", 8 }, { NULL, NULL, 0 },
};
static const struct rows_view subscription_view = { READ_SUBSCRIPTIONS, &shuyi__v1__subscription_row__descriptor, "grant", ROWS_KEY_HEX, subscription_columns };

static int grant_act(struct cli *c, enum kind_number kind, const char *fallback)
{
        Shuyi__V1__ReasonBody body = SHUYI__V1__REASON_BODY__INIT;
        const char *reason = cli_option(c, "reason");
        struct act act;
        int code = act_begin(c, kind, &act);

        if (code != CLI_OK)
                return code;
        body.reason = word_find(LIST_act_reason, reason ? reason : fallback);
        if (!body.reason) {
                cli_error("--reason is one of %s", word_all(LIST_act_reason));
                return CLI_USAGE;
        }
        if (act_hex(c, c->operands[0], "a grant", DIGEST_BYTES, &act.intent.grant) < 0 || act_day(c, cli_option(c, "rectify-by"), &body.rectify_by) < 0)
                return CLI_USAGE;
        act.body = &body.base;
        return act_finish(&act);
}

static int grant_suspend(struct cli *c) { return grant_act(c, KIND_GRANT_SUSPEND, "MISUSE"); }
static int grant_resume(struct cli *c) { return grant_act(c, KIND_GRANT_RESUME, "RECTIFIED"); }
static int grant_terminate(struct cli *c) { return grant_act(c, KIND_GRANT_TERMINATE, "NOT_RECTIFIED"); }
static int grant_end(struct cli *c) { return grant_act(c, KIND_GRANT_END, "NOT_NEEDED"); }
static int grant_list(struct cli *c) { return rows_print(c, &view, (struct bytes){ 0 }, NULL); }
static int grant_subscriptions(struct cli *c) { return rows_print(c, &subscription_view, (struct bytes){ 0 }, NULL); }

/* Leaves STOPPED: signed by the consumer's DATA_OFFICER (DESIGN 6). */
static int grant_subscribe(struct cli *c)
{
        Shuyi__V1__SubscribeBody body = SHUYI__V1__SUBSCRIBE_BODY__INIT;
        struct act act;
        int code = act_begin(c, KIND_SUBSCRIBE, &act);

        if (code == CLI_OK && act_hex(c, c->operands[0], "a grant", DIGEST_BYTES, &act.intent.grant) < 0)
                code = CLI_USAGE;
        if (code == CLI_OK && cli_option(c, "purpose"))
                act.intent.purpose = (char *)cli_option(c, "purpose");
        act.body = &body.base;
        return code == CLI_OK ? act_finish(&act) : code;
}

static const struct cli_option options_act[] = {
        { "reason", "WORD", "why", false }, { "rectify-by", "DAY", "suspension: until when it is to be put right", false }, ACT_OPTIONS, { NULL, NULL, NULL, false },
};
static const struct cli_option options_subscribe[] = {
        { "purpose", "TEXT", "the grant's purpose, to be checked", false }, ACT_OPTIONS, { NULL, NULL, NULL, false },
};

const struct cli_command commands_grant[] = {
        { "grant", "list", "", 0, 0, "grants of and to this department", NULL, grant_list },
        { "grant", "subscriptions", "", 0, 0, "how far each stream has come", NULL, grant_subscriptions },
        { "grant", "subscribe", "GRANT", 1, 1, "take a stopped subscription up again (DATA_OFFICER)", options_subscribe, grant_subscribe },
        { "grant", "suspend", "GRANT", 1, 1, "suspend (provider's APPROVER, or --as SEC_ADMIN at the authority)", options_act, grant_suspend },
        { "grant", "resume", "GRANT", 1, 1, "resume, by who suspended", options_act, grant_resume },
        { "grant", "terminate", "GRANT", 1, 1, "terminate a suspended grant, by who suspended", options_act, grant_terminate },
        { "grant", "end", "GRANT", 1, 1, "end it: no longer needed (consumer's APPROVER)", options_act, grant_end },
        { NULL, NULL, NULL, 0, 0, NULL, NULL, NULL },
};
