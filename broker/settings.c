/* settings: see the header. */
#include "broker/settings.h"
#include "broker/ask.h"
#include "common/credential.h"
#include "common/log.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct config_key keys[] = { BROKER_SETTINGS(CONFIG_KEY) };

static int check_witnesses(const struct config *c, const char *path)
{
        unsigned n = config_count(c, S_WITNESS_NAME);
        int r = 0;

        for (unsigned i = 0; i < n; i++) {
                const char *wrong = i >= SETTINGS_WITNESSES_MAX ? "more witnesses than an anchor has" : NULL;

                for (unsigned j = 0; j < i && !wrong; j++)
                        if (strcmp(config_string_at(c, S_WITNESS_NAME, i), config_string_at(c, S_WITNESS_NAME, j)) == 0)
                                wrong = "given twice";
                if (wrong)
                        config_print_wrong(c, S_WITNESS_NAME, i, path, wrong, stderr);
                if (!ask_url_check(config_string_at(c, S_WITNESS_URL, i))) {
                        config_print_wrong(c, S_WITNESS_URL, i, path, "https://..., or http:// on loopback", stderr);
                        r = -EINVAL;
                }
                r = wrong ? -EINVAL : r;
        }
        return r;
}

/* What the table alone cannot say. */
static int check(const struct config *c, const char *path)
{
        int r = 0;

        if (!domain_check(config_string(c, S_DOMAIN))) {
                config_print_wrong(c, S_DOMAIN, 0, path, "six digits", stderr);
                r = -EINVAL;
        }
        if (log_level_parse(config_string(c, S_LOG_LEVEL)) < 0) {
                config_print_wrong(c, S_LOG_LEVEL, 0, path, "error, warning, notice, info or debug", stderr);
                r = -EINVAL;
        }
        return check_witnesses(c, path) < 0 ? -EINVAL : r;
}

int settings_load(const char *path, struct config **ret)
{
        struct config_errors *errors = NULL;
        struct config *c = NULL;
        int r = config_load(path, keys, S_COUNT, &c, &errors);

        if (r < 0)
                config_errors_print(errors, path, stderr);
        else
                r = check(c, path);
        config_errors_free(errors);
        if (r < 0) {
                config_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

void settings_print_manual(void)
{
        config_print_manual(keys, S_COUNT, stdout);
}
