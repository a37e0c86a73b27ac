/* config_value: what a key's type takes, and what it says of anything else.
 *
 * Numbers are read exactly: decimal digits without leading zero, then the unit where the type has one. */
#include "common/config_internal.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/bytes.h"
#include "common/macro.h"

struct unit { const char *suffix; int64_t factor; };

/* Largest first: that is also how values are printed. */
static const struct unit byte_units[] = {
        { "TiB", 1ll << 40 }, { "GiB", 1ll << 30 }, { "MiB", 1ll << 20 }, { "KiB", 1ll << 10 }, { "", 1 }, { NULL, 0 },
};
static const struct unit duration_units[] = {
        { "d", 86400000 }, { "h", 3600000 }, { "min", 60000 }, { "s", 1000 }, { "ms", 1 }, { NULL, 0 },
};
static const struct unit no_units[] = { { "", 1 }, { NULL, 0 } };

static const struct unit *units_of(enum config_type type)
{
        return type == CONFIG_BYTES ? byte_units : type == CONFIG_DURATION ? duration_units : no_units;
}

static const char *const type_names[] = {
        [CONFIG_STRING] = "text", [CONFIG_INT] = "number", [CONFIG_BYTES] = "size", [CONFIG_DURATION] = "duration",
        [CONFIG_BOOL] = "true or false", [CONFIG_PATH] = "path", [CONFIG_FILE] = "file", [CONFIG_SECRET] = "secret file",
        [CONFIG_ENDPOINT] = "endpoint", [CONFIG_LIST] = "list",
};

const char *config_type_name(enum config_type type)
{
        return type_names[type];
}

void config_value_format(enum config_type type, int64_t v, char ret[32])
{
        const struct unit *u = units_of(type);

        while (u[1].suffix && (v == 0 || v % u->factor != 0))
                u++;
        snprintf(ret, 32, "%" PRId64 "%s", v / u->factor, u->suffix);
}

static bool say(char *problem, const char *text)
{
        snprintf(problem, CONFIG_PROBLEM_BYTES, "%s", text);
        return false;
}

/* -- Numbers. -- */

/* Digits, then exactly one of the units. */
static bool number_parse(const char *text, const struct unit *units, int64_t *ret)
{
        bool negative = *text == '-' && units == no_units;
        const char *digits = text + negative;
        size_t n = strspn(digits, "0123456789");
        int64_t v;

        if (n == 0 || n > 18 || (n > 1 && digits[0] == '0'))
                return false;
        v = strtoll(digits, NULL, 10);
        for (; units->suffix; units++) {
                if (strcmp(digits + n, units->suffix) != 0)
                        continue;
                if (v > INT64_MAX / units->factor)
                        return false;
                *ret = (negative ? -v : v) * units->factor;
                return true;
        }
        return false;
}

static bool take_number(const struct config_key *key, const char *text, bool plain, struct config_value *value, char *problem)
{
        static const char *const forms[] = {
                [CONFIG_INT] = "must be a number in decimal digits",
                [CONFIG_BYTES] = "must be a size such as 512, 64KiB or 1MiB",
                [CONFIG_DURATION] = "must be a duration such as 250ms, 5s, 10min, 2h or 30d",
        };
        char low[32], high[32];

        if (!plain || !number_parse(text, units_of(key->type), &value->number))
                return say(problem, forms[key->type]);
        if ((key->min == 0 && key->max == 0) || (value->number >= key->min && value->number <= key->max))
                return true;
        config_value_format(key->type, key->min, low);
        config_value_format(key->type, key->max, high);
        snprintf(problem, CONFIG_PROBLEM_BYTES, "must be between %s and %s", low, high);
        return false;
}

static bool take_bool(const char *text, bool plain, struct config_value *value, char *problem)
{
        value->number = strcmp(text, "true") == 0;
        if (!plain || (!value->number && strcmp(text, "false") != 0))
                return say(problem, "must be true or false");
        return true;
}

/* -- Text. -- */

static bool take_text(const struct config_key *key, const char *text, char *problem)
{
        size_t n = strlen(text);

        if (!utf8_check(bytes_of(text, n)))
                return say(problem, "must be UTF-8");
        for (const char *p = text; *p; p++)
                if ((unsigned char)*p < 0x20 || *p == 0x7f)
                        return say(problem, "must be one line of text");
        if ((key->min == 0 && key->max == 0) || ((int64_t)n >= key->min && (int64_t)n <= key->max))
                return true;
        if (key->min == key->max)
                snprintf(problem, CONFIG_PROBLEM_BYTES, "must have %" PRId64 " bytes", key->min);
        else
                snprintf(problem, CONFIG_PROBLEM_BYTES, "must have %" PRId64 " to %" PRId64 " bytes", key->min, key->max);
        return false;
}

/* "port" to the end: 0 to 65535. */
static bool port_check(const char *text)
{
        int64_t port;

        return number_parse(text, no_units, &port) && port >= 0 && port <= 65535;
}

static bool host_check(const char *host, size_t n)
{
        static const char *const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-*";

        if (n > 2 && host[0] == '[' && host[n - 1] == ']')
                return strspn(host + 1, "0123456789abcdefABCDEF:.%") == n - 2;
        return n > 0 && strspn(host, letters) >= n;
}

static bool take_endpoint(const char *text, char *problem)
{
        const char *port;

        if (strncmp(text, "tcp://", 6) == 0) {
                port = strrchr(text + 6, ':');
                if (port && host_check(text + 6, (size_t)(port - text - 6)) && port_check(port + 1))
                        return true;
        } else if (strncmp(text, "ipc:///", 7) == 0 || strncmp(text, "unix:/", 6) == 0) {
                if (strlen(text) < 110)
                        return true;
        }
        return say(problem, "must be tcp://host:port, unix:/path or ipc:///path");
}

/* -- Files. -- */

static bool join_path(const char *text, const char *dir, struct config_value *value, char *problem)
{
        char *joined = NULL;

        if (*text == '\0')
                return say(problem, "must be a path");
        if (*text == '/' || !dir || asprintf(&joined, "%s/%s", dir, text) < 0)
                return true;
        free(value->text);
        value->text = joined;
        return true;
}

static bool check_file(const struct config_key *key, const char *path, char *problem)
{
        struct stat st;

        if (stat(path, &st) < 0) {
                snprintf(problem, CONFIG_PROBLEM_BYTES, "cannot be read: %s", strerror(errno));
                return false;
        }
        if (!S_ISREG(st.st_mode))
                return say(problem, "must be a regular file");
        if (access(path, R_OK) < 0) {
                snprintf(problem, CONFIG_PROBLEM_BYTES, "cannot be read: %s", strerror(errno));
                return false;
        }
        if (key->type != CONFIG_SECRET)
                return true;
        if (st.st_mode & 077) {
                snprintf(problem, CONFIG_PROBLEM_BYTES, "holds a secret and others may read or write it (mode %04o): chmod 600", st.st_mode & 07777);
                return false;
        }
        if (st.st_uid != geteuid() && st.st_uid != 0 && geteuid() != 0)        /* root checks a service's file */
                return say(problem, "holds a secret and belongs to somebody else");
        return true;
}

bool config_value_parse(const struct config_key *key, const char *text, bool plain, const char *dir,
                        struct config_value *value, char problem[CONFIG_PROBLEM_BYTES])
{
        value->text = strdup(text);
        if (!value->text)
                return say(problem, "no memory");
        switch (key->type) {
        case CONFIG_STRING:
                return take_text(key, text, problem);
        case CONFIG_INT:
        case CONFIG_BYTES:
        case CONFIG_DURATION:
                return take_number(key, text, plain, value, problem);
        case CONFIG_BOOL:
                return take_bool(text, plain, value, problem);
        case CONFIG_PATH:
                return join_path(text, dir, value, problem);
        case CONFIG_FILE:
        case CONFIG_SECRET:
                return join_path(text, dir, value, problem) && check_file(key, value->text, problem);
        case CONFIG_ENDPOINT:
                return take_endpoint(text, problem);
        case CONFIG_LIST:
                break;
        }
        return say(problem, "must be a list");
}
