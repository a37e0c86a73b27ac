/* cmd_log: the log itself: one entry, its proof, the head, and the check of a whole store. */
#include "agent/cli/act.h"
#include "agent/cli/log_proof.h"
#include "agent/cli/source.h"
#include "agent/cli/shown.h"
#include "common/message_json.h"
#include "proto/audit.pb-c.h"
#include "proto/log.pb-c.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The broker's program does it, since the rules and the store are its own; it is found beside this one, else in $PATH. */
static int log_check(struct cli *c)
{
        char self[4096];
        ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
        char *slash = n > 0 ? (self[n] = 0, strrchr(self, '/')) : NULL;
        char *beside = slash ? arena_printf(c->arena, "%.*s/shuyi-broker", (int)(slash - self), self) : NULL;
        char *const args[] = { (char *)"shuyi-broker", (char *)"check", (char *)"--config", (char *)c->operands[0], NULL };
        const char *env = getenv("SHUYI_BROKER");

        if (env)
                execv(env, args);
        else if (beside && access(beside, X_OK) == 0)
                execv(beside, args);
        else
                execvp("shuyi-broker", args);
        cli_error("shuyi-broker: %s", strerror(errno));
        return CLI_FAILED;
}

static int log_entry(struct cli *c)
{
        const Shuyi__V1__EntryRow *r;
        size_t digits = strspn(c->operands[0], "0123456789");
        bool number = digits > 0 && digits < 20 && !c->operands[0][digits];
        uint8_t key[8];
        ProtobufCBinaryData digest = { 0, NULL };

        if (!number && act_hex(c, c->operands[0], "an entry (a number, or a digest)", DIGEST_BYTES, &digest) < 0)
                return CLI_USAGE;
        put_be64(key, number ? strtoull(c->operands[0], NULL, 10) : 0);
        int code = source_fetch(c, number ? bytes_of(key, sizeof key) : bytes_of(digest.data, digest.len), &r);
        if (code != CLI_OK)
                return code;
        if (c->json) {
                cli_print(c, message_json_print(&r->base), NULL);
                return CLI_OK;
        }
        char *detail = shown_line(r->detail);
        printf("seq %llu, epoch %llu, outcome %s %s\n", (unsigned long long)r->seq, (unsigned long long)r->epoch, refusal_text(r->code)->code, detail ? detail : "");
        free(detail);
        return act_show(c, bytes_of(r->envelope.data, r->envelope.len), stdout);
}

/* ---- purge (REGULATIONS 9.2) ---- */

static bool parse_seq(const char *text, uint64_t *ret)
{
        size_t digits = strspn(text, "0123456789");

        if (digits == 0 || digits > 19 || text[digits])
                return false;
        *ret = strtoull(text, NULL, 10);
        return true;
}

static int log_purge(struct cli *c)
{
        Shuyi__V1__PurgeBody body = SHUYI__V1__PURGE_BODY__INIT;
        bool inputs = strcmp(c->operands[0], "inputs") == 0;
        struct act act;
        int code;

        if ((!inputs && strcmp(c->operands[0], "bodies") != 0) || !parse_seq(c->operands[1], &body.to) || c->operands_n != (inputs ? 4 : 2)) {
                cli_error("log purge bodies SEQ, or log purge inputs SEQ BASE_SEQ BASE_STATE");
                return CLI_USAGE;
        }
        body.what = inputs ? PURGE_INPUTS : PURGE_BODIES;
        if (inputs && !parse_seq(c->operands[2], &body.base_seq)) {
                cli_error("%s: not the seq of a BASE", c->operands[2]);
                return CLI_USAGE;
        }
        if (inputs && act_hex(c, c->operands[3], "the state digest of a BASE", DIGEST_BYTES, &body.base_digest) < 0)
                return CLI_USAGE;
        code = act_begin(c, KIND_PURGE, &act);
        if (code != CLI_OK)
                return code;
        act.body = &body.base;
        return act_finish(&act);
}

static const struct cli_option options_act[] = { ACT_OPTIONS, { NULL, NULL, NULL, false } };

const struct cli_command commands_log[] = {
        { "log", "check", "BROKER_CONFIG", 1, 1, "derive every hash, signature and outcome of a store again", NULL, log_check },
        { "log", "entry", "SEQ|DIGEST", 1, 1, "one entry of the log", NULL, log_entry },
        { "log", "head", "", 0, 0, "the published head of the log, with its signatures", log_head_options, log_head },
        { "log", "prove", "SEQ", 1, 1, "that an entry stands in the log, under the published head", log_prove_options, log_prove },
        { "log", "purge", "WHAT SEQ [BASE_SEQ BASE_STATE]", 2, 4, "let bodies, or whole inputs, up to SEQ go (DATA_OPERATOR, then AUDIT_OFFICER)", options_act, log_purge },
        { NULL, NULL, NULL, 0, 0, NULL, NULL, NULL },
};
