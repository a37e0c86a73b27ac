/* cmd_key: key files of persons, brokers, logs and roots. */
#include "agent/cli/file.h"
#include "agent/cli/issue.h"
#include "agent/cli/signer.h"
#include "agent/cli/client.h"
#include "common/macro.h"

static const struct { const char *word; enum keyfile_use use; } uses[] = {
        { "PERSON", KEYFILE_PERSON }, { "AGENT", KEYFILE_AGENT }, { "BROKER", KEYFILE_BROKER }, { "ROOT", KEYFILE_ROOT }, { "LOG", KEYFILE_LOG },
        { "WITNESS", KEYFILE_WITNESS },
};

static const char *use_word(enum keyfile_use use)
{
        for (size_t i = 0; i < ELEMENTS(uses); i++)
                if (uses[i].use == use)
                        return uses[i].word;
        return "";
}

static int key_new(struct cli *c)
{
        const char *word = cli_option(c, "use"), *join = cli_option(c, "join"), *domain = cli_option(c, "domain");
        const char *department = cli_option(c, "department"), *label = cli_option(c, "label");
        _cleanup_(keyfile_fini) struct keyfile k = { 0 };
        enum keyfile_use use = KEYFILE_PERSON;
        bool known = !word;

        for (size_t i = 0; word && i < ELEMENTS(uses); i++)
                if (strcmp(uses[i].word, word) == 0) {
                        use = uses[i].use;
                        known = true;
                }
        if (!known || use == KEYFILE_AGENT || use == KEYFILE_WITNESS) {
                cli_error("--use is PERSON, BROKER, ROOT or LOG (an agent's keys: shuyi agent init; a witness's: shuyi witness init)");
                return CLI_USAGE;
        }
        if (join && (use == KEYFILE_ROOT || use == KEYFILE_LOG || !domain || (use == KEYFILE_PERSON && !department))) {
                cli_error("--join is for persons (with --domain and --department) and brokers (with --domain)");
                return CLI_USAGE;
        }
        if (signer_make(c, c->operands[0], use, &k) < 0)
                return CLI_FAILED;
        if (join)
                return signer_write_join(c, &k, join, domain, use == KEYFILE_PERSON ? department : "", NULL, label ? label : "") < 0 ? CLI_FAILED : CLI_OK;
        cli_print(c, json_pack("{s:s, s:s}", "key", c->operands[0], "public", client_hex(c, bytes_of(k.sign_key, 32))), NULL);
        return CLI_OK;
}

static int key_show(struct cli *c)
{
        struct bytes text;
        enum keyfile_use use;
        enum keyfile_protection protection;
        uint8_t key[32];

        if (file_read(c, c->operands[0], &text) < 0)
                return CLI_FAILED;
        if (!keyfile_peek(text, &use, &protection, key)) {
                cli_error("%s is not a key file", c->operands[0]);
                return CLI_FAILED;
        }
        cli_print(c, json_pack("{s:s, s:s, s:s}", "use", use_word(use), "protection",
                               protection == KEYFILE_OPEN ? "open" : protection == KEYFILE_SEALED ? "sealed" : "sealed weakly (demo)",
                               "public", client_hex(c, bytes_of(key, 32))), NULL);
        return CLI_OK;
}

static int key_fingerprint(struct cli *c)
{
        const Shuyi__V1__KeyRequest *request;
        const Shuyi__V1__JoinFile *join = issue_read_join(c, c->operands[0], &request);
        char fingerprint[FINGERPRINT_TEXT];

        if (!join)
                return CLI_FAILED;
        fingerprint_format(bytes_of(join->key_request.data, join->key_request.len), fingerprint);
        cli_print(c, json_pack("{s:s, s:s, s:s}", "label", join->label, "department", request->department, "fingerprint", fingerprint), NULL);
        return CLI_OK;
}

static const struct cli_option options_new[] = {
        { "use", "USE", "PERSON (default), BROKER, LOG or ROOT", false },
        { "join", "FILE", "also write the join file that asks for a credential", false },
        { "domain", "CODE", "six digits, with --join", false },
        { "department", "CODE", "unified social credit code, with --join", false },
        { "label", "TEXT", "what people call the owner, with --join", false },
        PASSPHRASE_OPTIONS,
        { NULL, NULL, NULL, false },
};

const struct cli_command commands_key[] = {
        { "key", "new", "FILE", 1, 1, "make a key; people's and roots' are sealed by a passphrase", options_new, key_new },
        { "key", "show", "FILE", 1, 1, "what a key file says without its passphrase", NULL, key_show },
        { "key", "fingerprint", "JOIN_FILE", 1, 1, "check a join file and print its fingerprint, to compare over the telephone", NULL, key_fingerprint },
        { NULL, NULL, NULL, 0, 0, NULL, NULL, NULL },
};
