/* cmd_request: direct gets, applications and the replies to them (SM-DIRECT, SM-REQ). */
#include "agent/cli/act.h"
#include "agent/cli/client.h"
#include "agent/cli/rows.h"
#include "agent/cli/source.h"
#include "common/macro.h"
#include "proto/request.pb-c.h"
#include "proto/state.pb-c.h"
#include <string.h>

#define BASIS_MAX 4

static const struct rows_column columns[] = {
        { "REQUEST", "request", 64 }, { "STATE", "state", 10 }, { "CONSUMER", "consumer", 18 }, { "RESOURCE", "resource", 12 },
        { "ITEMS", "items", 10 }, { "PURPOSE", "purpose", 20 }, { "OVERDUE", "overdue", 7 }, { NULL, NULL, 0 },
};
static const struct rows_view view = { READ_REQUESTS, &shuyi__v1__request_row__descriptor, "request", ROWS_KEY_HEX, columns };

/* What GET and SUBMIT have in common: resource, items, purpose, use, method, agent, period, rate. */
static int fill_application(struct cli *c, struct act *act)
{
        uint64_t version, rate;
        const char *use = cli_option(c, "use");

        if (cli_number(c, "version", 1, UINT32_MAX, 1, &version) < 0 || cli_number(c, "rate", 1, UINT32_MAX, 0, &rate) < 0 ||
            act_numbers(c, cli_option(c, "items"), &act->intent.items, &act->intent.n_items) < 0 ||
            act_hex(c, cli_option(c, "agent-id"), "--agent-id", ID_BYTES, &act->intent.agent) < 0 ||
            act_day(c, cli_option(c, "from"), &act->intent.period_from) < 0 || act_day(c, cli_option(c, "until"), &act->intent.period_to) < 0)
                return CLI_USAGE;
        act->intent.resource = (char *)c->operands[0];
        act->intent.resource_version = (uint32_t)version;
        act->intent.rate = (uint32_t)rate;
        act->intent.purpose = (char *)cli_option(c, "purpose");
        act->intent.use_class = word_find(LIST_use_class, use ? use : "WORK_REFERENCE");
        act->intent.method = METHOD_DB_PUSH;
        act->intent.medium = MEDIUM_NETWORK;
        if (!act->intent.use_class) {
                cli_error("--use is one of %s", word_all(LIST_use_class));
                return CLI_USAGE;
        }
        return CLI_OK;
}

static int apply_for(struct cli *c, enum kind_number kind)
{
        Shuyi__V1__RequestBody body = SHUYI__V1__REQUEST_BODY__INIT;
        struct { const char *option; char **field; } texts[] = {
                { "need", &body.need }, { "duty-basis", &body.duty_basis }, { "legal-basis", &body.legal_basis },
                { "scene", &body.scene }, { "use-scope", &body.use_scope },
        };
        struct act act;
        int code = act_begin(c, kind, &act);

        if (code == CLI_OK)
                code = fill_application(c, &act);
        for (size_t i = 0; i < ELEMENTS(texts); i++)
                if (cli_option(c, texts[i].option))
                        *texts[i].field = (char *)cli_option(c, texts[i].option);
        act.body = &body.base;
        return code == CLI_OK ? act_finish(&act) : code;
}

static int request_get(struct cli *c) { return apply_for(c, KIND_GET); }
static int request_submit(struct cli *c) { return apply_for(c, KIND_REQ_SUBMIT); }

/* "LEVEL:TITLE:ARTICLE" as a citation. */
static int add_basis(struct cli *c, const char *text, Shuyi__V1__Basis *b)
{
        char *copy = arena_strdup(c->arena, text), *save = NULL;
        char *level = copy ? strtok_r(copy, ":", &save) : NULL, *title = strtok_r(NULL, ":", &save), *article = strtok_r(NULL, "", &save);

        shuyi__v1__basis__init(b);
        b->level = level ? word_find(LIST_basis_level, level) : 0;
        if (!b->level || !title) {
                cli_error("--basis is LEVEL:TITLE[:ARTICLE], LEVEL one of %s", word_all(LIST_basis_level));
                return -1;
        }
        b->title = title;
        if (article)
                b->article = article;
        return 0;
}

/* "3:R_EXCESS,5:R_PURPOSE": items refused, each with its reason. */
static int add_item_reasons(struct cli *c, const char *text, Shuyi__V1__ReplyBody *body)
{
        enum { MOST = 256 };
        char *copy = arena_strdup(c->arena, text), *save = NULL;
        Shuyi__V1__ItemReason *reasons = ARENA_ARRAY(c->arena, Shuyi__V1__ItemReason, MOST);

        body->refused = ARENA_ARRAY(c->arena, Shuyi__V1__ItemReason *, MOST);
        if (!copy || !reasons || !body->refused)
                return -1;
        for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
                char *colon = strchr(word, ':');
                unsigned item = 0;
                uint32_t reason = colon ? word_find(LIST_refuse_reason, colon + 1) : 0;
                if (!reason || sscanf(word, "%u", &item) != 1 || item == 0 || body->n_refused == MOST) {
                        cli_error("--refuse-items is ITEM:REASON,...; REASON one of %s", word_all(LIST_refuse_reason));
                        return -1;
                }
                Shuyi__V1__ItemReason *r = &reasons[body->n_refused];
                shuyi__v1__item_reason__init(r);
                r->item_no = item;
                r->reason = reason;
                body->refused[body->n_refused++] = r;
        }
        return 0;
}

static int begin_about(struct cli *c, enum kind_number kind, struct act *act)
{
        int code = act_begin(c, kind, act);

        if (code == CLI_OK && act_hex(c, c->operands[0], "a request", DIGEST_BYTES, &act->intent.request) < 0)
                code = CLI_USAGE;
        return code;
}

/* A reply begins with a look at what the applicant signed. */
static int begin_reply(struct cli *c, enum kind_number kind, struct act *act)
{
        int code = begin_about(c, kind, act);

        if (code != CLI_OK)
                return code;
        struct bytes id = bytes_of(act->intent.request.data, act->intent.request.len);

        act->intent.in_reply_to = act->intent.request;
        return source_show(c, 0, id, "The application", NULL);
}

static int request_consent(struct cli *c)
{
        Shuyi__V1__ReplyBody body = SHUYI__V1__REPLY_BODY__INIT;
        const char *refused = cli_option(c, "refuse-items");
        struct act act;
        int code = begin_reply(c, refused ? KIND_CONSENT_PART : KIND_CONSENT, &act);

        if (code != CLI_OK)
                return code;
        if (act_numbers(c, cli_option(c, "items"), &act.intent.items, &act.intent.n_items) < 0 ||
            (refused && add_item_reasons(c, refused, &body) < 0))
                return CLI_USAGE;
        act.body = &body.base;
        return act_finish(&act);
}

static int request_refuse(struct cli *c)
{
        Shuyi__V1__ReplyBody body = SHUYI__V1__REPLY_BODY__INIT;
        Shuyi__V1__Basis basis, *list[] = { &basis };
        uint64_t line;
        struct act act;
        int code = begin_reply(c, KIND_REFUSE, &act);

        if (code != CLI_OK)
                return code;
        body.reason = word_find(LIST_refuse_reason, cli_option(c, "reason"));
        if (!body.reason) {
                cli_error("--reason is one of %s", word_all(LIST_refuse_reason));
                return CLI_USAGE;
        }
        if (cli_number(c, "condition-line", 1, 1000, 0, &line) < 0 || (cli_option(c, "basis") && add_basis(c, cli_option(c, "basis"), &basis) < 0))
                return CLI_USAGE;
        body.condition_line = (uint32_t)line;
        body.basis = list;
        body.n_basis = cli_option(c, "basis") ? 1 : 0;
        act.body = &body.base;
        return act_finish(&act);
}

static int request_withdraw(struct cli *c)
{
        Shuyi__V1__ReasonBody body = SHUYI__V1__REASON_BODY__INIT;
        const char *reason = cli_option(c, "reason");
        struct act act;
        int code = begin_about(c, KIND_WITHDRAW, &act);

        body.reason = word_find(LIST_act_reason, reason ? reason : "NOT_NEEDED");
        if (code == CLI_OK && !body.reason) {
                cli_error("--reason is one of %s", word_all(LIST_act_reason));
                return CLI_USAGE;
        }
        act.body = &body.base;
        return code == CLI_OK ? act_finish(&act) : code;
}

static int request_list(struct cli *c) { return rows_print(c, &view, (struct bytes){ 0 }, NULL); }

static int request_show(struct cli *c)
{
        ProtobufCBinaryData id;

        if (act_hex(c, c->operands[0], "a request", DIGEST_BYTES, &id) < 0)
                return CLI_USAGE;
        json_t *list = rows_fetch(c, &view, bytes_of(id.data, id.len));
        int code = json_array_size(list) ? CLI_OK : CLI_REFUSED;
        if (code == CLI_OK)
                cli_print(c, json_incref(json_array_get(list, 0)), NULL);
        else
                cli_error("no such request, or not visible to this department");
        json_decref(list);
        return code;
}

#define APPLICATION_OPTIONS \
        { "items", "N,...", "item numbers: the least that suffices (ZS 19(3))", true }, \
        { "purpose", "TEXT", "name of the business, naming no person (ZS 21)", true }, \
        { "agent-id", "ID", "the agent that is to receive", true }, \
        { "use", "WORD", "use class (default WORK_REFERENCE)", false }, \
        { "version", "N", "version of the entry (default 1)", false }, \
        { "from", "DAY", "first day (default: at once)", false }, { "until", "DAY", "day on which it ends (default: none)", false }, \
        { "rate", "N", "most records a day", false }, { "need", "TEXT", "why it is needed", false }, \
        { "duty-basis", "TEXT", "the department's duty", false }, { "legal-basis", "TEXT", "legal basis", false }, \
        { "scene", "TEXT", "scene of use", false }, { "use-scope", "TEXT", "scope of use", false }

static const struct cli_option options_apply[] = { APPLICATION_OPTIONS, ACT_OPTIONS, { NULL, NULL, NULL, false } };
static const struct cli_option options_consent[] = {
        { "items", "N,...", "items granted", true }, { "refuse-items", "N:REASON,...", "items refused, each with its reason: consent in part", false },
        ACT_OPTIONS, { NULL, NULL, NULL, false },
};
static const struct cli_option options_refuse[] = {
        { "reason", "WORD", "R_BASIS, R_CONDITION, R_PURPOSE, R_NOT_HELD, R_SECRET", true }, { "basis", "LEVEL:TITLE:ARTICLE", "legal basis", false },
        { "condition-line", "N", "R_CONDITION: line of the entry's condition", false }, ACT_OPTIONS, { NULL, NULL, NULL, false },
};
static const struct cli_option options_reason[] = { { "reason", "WORD", "default NOT_NEEDED", false }, ACT_OPTIONS, { NULL, NULL, NULL, false } };

const struct cli_command commands_request[] = {
        { "request", "get", "RESOURCE", 1, 1, "subscribe to unconditional items, no decision needed (USER, then APPROVER)", options_apply, request_get },
        { "request", "submit", "RESOURCE", 1, 1, "apply for conditional items (USER, then APPROVER)", options_apply, request_submit },
        { "request", "consent", "REQUEST", 1, 1, "consent, whole or in part (provider: DATA_OFFICER, then APPROVER)", options_consent, request_consent },
        { "request", "refuse", "REQUEST", 1, 1, "refuse with reason and basis (provider: DATA_OFFICER, then APPROVER)", options_refuse, request_refuse },
        { "request", "withdraw", "REQUEST", 1, 1, "withdraw an application (APPROVER)", options_reason, request_withdraw },
        { "request", "list", "", 0, 0, "applications of and to this department", NULL, request_list },
        { "request", "show", "REQUEST", 1, 1, "one application, whole", NULL, request_show },
        { NULL, NULL, NULL, 0, 0, NULL, NULL, NULL },
};
