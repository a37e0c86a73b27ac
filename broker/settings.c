/* settings: see the header. */
#include "broker/settings.h"
#include "common/credential.h"
#include "common/log.h"
#include <errno.h>
#include <stdio.h>

static const struct config_key keys[] = { BROKER_SETTINGS(CONFIG_KEY) };

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
        return r;
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
