/* config: any text against a table with a key of each type.  Either everything is wrong somewhere, with a place, or every value keeps
 * its bounds. */
#include "common/config.h"
#include "common/macro.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>

#define FUZZ_CONFIG(X) \
        X(C_DOMAIN, "domain", CONFIG_STRING, "", 6, 6, NULL, CONFIG_REQUIRED, "The jurisdiction's division code.") \
        X(C_NAME, "name", CONFIG_STRING, "", 0, 20, "数驿", CONFIG_RELOAD, "A name for people.") \
        X(C_LISTEN, "link.listen", CONFIG_ENDPOINT, "", 0, 0, "tcp://0.0.0.0:7711", 0, "Where agents connect.") \
        X(C_CREDIT, "link.credit", CONFIG_BYTES, "", 64 << 10, 2 << 20, "1MiB", CONFIG_RELOAD, "Bytes in flight.") \
        X(C_PEERS, "link.peers", CONFIG_INT, "agents", 1, 4096, "64", CONFIG_RELOAD, "Agents at once.") \
        X(C_WAIT, "link.wait", CONFIG_DURATION, "", 100, 86400000, "30s", CONFIG_RELOAD, "How long to wait.") \
        X(C_DEMO, "demo", CONFIG_BOOL, "", 0, 0, "false", 0, "One root key is enough.") \
        X(C_STORE, "store", CONFIG_PATH, "", 0, 0, "data", 0, "Where the log lies.") \
        X(C_HOSTS, "hosts", CONFIG_LIST, "", 1, 3, NULL, 0, "Names it answers to.") \
        X(C_SOURCE_DSN, "sources[].dsn", CONFIG_STRING, "", 1, 100, NULL, CONFIG_REQUIRED, "The database.") \
        X(C_SOURCE_POLL, "sources[].poll", CONFIG_DURATION, "", 0, 0, "1s", 0, "How often to look.")
enum { FUZZ_CONFIG(CONFIG_ENUMERATOR) C_COUNT };
static const struct config_key keys[] = { FUZZ_CONFIG(CONFIG_KEY) };

static void check_config(const struct config *c)
{
        REQUIRE(config_is_set(c, C_DOMAIN) && strlen(config_string(c, C_DOMAIN)) == 6);
        REQUIRE(strlen(config_string(c, C_NAME)) <= 20);
        REQUIRE(config_int(c, C_CREDIT) >= 64 << 10 && config_int(c, C_CREDIT) <= 2 << 20);
        REQUIRE(config_int(c, C_PEERS) >= 1 && config_int(c, C_PEERS) <= 4096);
        REQUIRE(config_int(c, C_WAIT) >= 100 && config_int(c, C_WAIT) <= 86400000);
        REQUIRE(config_list_count(c, C_HOSTS) <= 3 && (config_list_count(c, C_HOSTS) > 0 || !config_is_set(c, C_HOSTS)));
        for (unsigned i = 0; i < config_list_count(c, C_HOSTS); i++)
                REQUIRE(config_list_at(c, C_HOSTS, i));
        REQUIRE(config_count(c, C_SOURCE_DSN) == config_count(c, C_SOURCE_POLL));
        for (unsigned i = 0; i < config_count(c, C_SOURCE_DSN); i++)
                REQUIRE(*config_string_at(c, C_SOURCE_DSN, i) && config_int_at(c, C_SOURCE_POLL, i) >= 0);
        REQUIRE(config_string(c, C_STORE)[0] == '/');
        REQUIRE(config_first_fixed_change(c, c) == -1);
}

static void check_errors(const struct config_errors *e)
{
        REQUIRE(config_errors_count(e) > 0);
        for (unsigned i = 0; i < config_errors_count(e); i++) {
                const struct config_error *row = config_errors_at(e, i);

                REQUIRE(row->text[0] && strnlen(row->text, sizeof(row->text)) < sizeof(row->text));
                REQUIRE(strnlen(row->path, sizeof(row->path)) < sizeof(row->path));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        struct config_errors *errors = NULL;
        struct config *c = NULL;
        int r = config_parse((const char *)data, n, "/etc/shuyi/fuzz.yaml", keys, C_COUNT, &c, &errors);

        REQUIRE(r == 0 || r == -EINVAL || r == -ENOMEM);
        REQUIRE((r == 0) == (c != NULL));
        if (r == 0)
                check_config(c);
        else
                check_errors(errors);
        config_errors_free(errors);
        config_free(c);
        return 0;
}
