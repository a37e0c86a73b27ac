/* settings: see the header. */
#include "broker/settings.h"
#include <stdio.h>

static const struct config_key keys[] = { BROKER_SETTINGS(CONFIG_KEY) };

int settings_load(const char *path, struct config **ret)
{
        struct config_errors *errors = NULL;
        int r = config_load(path, keys, S_COUNT, ret, &errors);

        if (r < 0)
                config_errors_print(errors, path, stderr);
        config_errors_free(errors);
        return r;
}

void settings_print_manual(void)
{
        config_print_manual(keys, S_COUNT, stdout);
}
