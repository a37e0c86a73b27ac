/* cmd_policy: the profile and the calendar of the domain, published by two persons of the authority (REGULATIONS 11, 12). */
#include "agent/cli/act.h"
#include "agent/cli/client.h"
#include "agent/cli/file.h"
#include "agent/cli/rows.h"
#include "agent/cli/shown.h"
#include "common/calendar.h"
#include "common/policy.h"
#include "proto/registry.pb-c.h"
#include "proto/state.pb-c.h"
#include <libgen.h>
#include <string.h>

/* The profile of a file named <profile>.conf; NULL after a message. */
static struct policy *load_policy(struct cli *c, const char *path)
{
        char *copy = arena_strdup(c->arena, path), error[200] = "";
        char *name = copy ? basename(copy) : NULL;
        struct bytes text;

        if (!name || file_read(c, path, &text) < 0)
                return NULL;
        size_t n = strlen(name);
        if (n < 6 || strcmp(name + n - 5, ".conf") != 0) {
                cli_error("%s: a profile is named <profile>.conf", path);
                return NULL;
        }
        name[n - 5] = 0;
        struct policy *p = policy_parse(text, name, error);
        if (!p)
                cli_error("%s: %s", path, error);
        return p;
}

static int policy_publish(struct cli *c)
{
        Shuyi__V1__PolicySetBody body = SHUYI__V1__POLICY_SET_BODY__INIT;
        struct policy *p = load_policy(c, c->operands[0]);
        struct act act;

        if (!p)
                return CLI_FAILED;
        struct bytes canonical = arena_copy(c->arena, policy_canonical(p));
        policy_free(p);
        int code = canonical.p ? act_begin(c, KIND_POLICY_SET, &act) : CLI_FAILED;
        if (code != CLI_OK)
                return code;
        body.canonical = (ProtobufCBinaryData){ canonical.n, (uint8_t *)canonical.p };
        act.body = &body.base;
        return act_finish(&act);
}

static int policy_calendar(struct cli *c)
{
        Shuyi__V1__CalendarSetBody body = SHUYI__V1__CALENDAR_SET_BODY__INIT;
        struct bytes text;
        char error[160] = "";
        struct act act;

        if (file_read(c, c->operands[0], &text) < 0)
                return CLI_FAILED;
        struct calendar *calendar = calendar_parse(text, error);
        if (!calendar) {
                cli_error("%s: %s", c->operands[0], error);
                return CLI_FAILED;
        }
        calendar_free(calendar);
        int code = act_begin(c, KIND_CALENDAR_SET, &act);
        if (code != CLI_OK)
                return code;
        body.canonical = (ProtobufCBinaryData){ text.n, (uint8_t *)text.p };
        act.body = &body.base;
        return act_finish(&act);
}

static int policy_check(struct cli *c)
{
        struct policy *p = load_policy(c, c->operands[0]);

        if (!p)
                return CLI_CHECK;
        struct digest d = policy_digest(p);
        cli_print(c, json_pack("{s:s, s:s}", "profile", c->operands[0], "digest", client_hex(c, bytes_digest(&d))), NULL);
        policy_free(p);
        return CLI_OK;
}

static int policy_show(struct cli *c)
{
        static const struct rows_view view = { READ_POLICY, &shuyi__v1__document_row__descriptor, "key", ROWS_KEY_HEX, NULL };
        json_t *list = rows_fetch(c, &view, (struct bytes){ 0 });
        const char *hex = json_string_value(json_object_get(json_array_get(list, 0), "bytes_"));
        size_t n = hex ? strlen(hex) / 2 : 0;
        char *text = arena_zalloc(c->arena, n + 1);

        if (!list || !hex || !text || !hex_parse(hex, text, n)) {
                if (list)
                        cli_error("no policy is published yet");
                json_decref(list);
                return list ? CLI_REFUSED : CLI_FAILED;
        }
        if (c->json)
                cli_print(c, json_pack("{s:s, s:s}", "digest", json_string_value(json_object_get(json_array_get(list, 0), "digest")), "text", text), NULL);
        else
                shown_put(text, stdout);
        json_decref(list);
        return CLI_OK;
}

static const struct cli_option options_act[] = { ACT_OPTIONS, { NULL, NULL, NULL, false } };

const struct cli_command commands_policy[] = {
        { "policy", "check", "FILE.conf", 1, 1, "check a profile", NULL, policy_check },
        { "policy", "publish", "FILE.conf", 1, 1, "publish a profile (two persons of the authority)", options_act, policy_publish },
        { "policy", "calendar", "FILE.csv", 1, 1, "publish the holiday calendar (two persons of the authority)", options_act, policy_calendar },
        { "policy", "show", "", 0, 0, "the profile in force", NULL, policy_show },
        { NULL, NULL, NULL, 0, 0, NULL, NULL, NULL },
};
