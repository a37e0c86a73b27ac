/* settings: see settings.h. */
#include "agent/settings.h"

#include <errno.h>
#include <string.h>

#include "common/bytes.h"
#include "common/log.h"

const struct config_key settings_keys[S_COUNT] = { AGENT_CONFIG(CONFIG_KEY) };

struct checking { const struct config *config; const char *path; FILE *to; };

static int wrong(const struct checking *k, enum settings_key key, unsigned i, const char *text)
{
        config_print_wrong(k->config, key, i, k->path, text, k->to);
        return -EINVAL;
}

/* A grant id is 64 hex digits; a resource code has a slash. */
static bool source_check(const char *s)
{
        uint8_t id[DIGEST_BYTES];

        return strcmp(s, "*") == 0 || strchr(s, '/') || (strlen(s) == 2 * DIGEST_BYTES && hex_parse(s, id, sizeof(id)));
}

static bool users_check(const struct config *c)
{
        for (unsigned i = 0; i < config_list_count(c, S_SOCKET_USERS); i++) {
                const char *user = config_list_at(c, S_SOCKET_USERS, i);

                if (!*user || strspn(user, "0123456789") != strlen(user))
                        return false;
        }
        return true;
}

static int check(const struct checking *k)
{
        const struct config *c = k->config;
        const char *metrics = config_string(c, S_METRICS);

        if (log_level_parse(config_string(c, S_LOG)) < 0)
                return wrong(k, S_LOG, 0, "error, warning, notice, info or debug");
        if (strncmp(config_string(c, S_SOCKET), "unix:", 5) != 0)
                return wrong(k, S_SOCKET, 0, "a Unix socket: unix:/path");
        if (*metrics && strncmp(metrics, "tcp://", 6) != 0)
                return wrong(k, S_METRICS, 0, "a loopback address: tcp://127.0.0.1:port");
        if (!users_check(c))
                return wrong(k, S_SOCKET_USERS, 0, "numbers of users");
        for (unsigned i = 0; i < config_count(c, S_SINK_PATH); i++) {
                if (strcmp(config_string_at(c, S_SINK_TYPE, i), "ndjson") != 0)
                        return wrong(k, S_SINK_TYPE, i, "only ndjson is known");
                if (!source_check(config_string_at(c, S_SINK_SOURCE, i)))
                        return wrong(k, S_SINK_SOURCE, i, "a grant id, a resource code or *");
        }
        return 0;
}

int settings_load(const char *path, FILE *to, struct config **ret)
{
        struct config_errors *errors = NULL;
        struct config *c = NULL;
        int r = config_load(path, settings_keys, S_COUNT, &c, &errors);

        if (r < 0)
                config_errors_print(errors, path, to);
        else
                r = check(&(struct checking){ c, path, to });
        config_errors_free(errors);
        if (r < 0) {
                config_free(c);
                return r;
        }
        *ret = c;
        return 0;
}
