/* settings: the agent's configuration, one table of keys (common/config.h). */
#pragma once
#include "common/config.h"

/* X(constant, path, type, unit, min, max, default, flags, help) */
#define AGENT_CONFIG(X) \
        X(S_STATE, "state_dir", CONFIG_PATH, "", 1, 4000, NULL, CONFIG_REQUIRED, "where the agent keeps its outbox, inbox and trust replica; a local disk") \
        X(S_KEYS, "keys_file", CONFIG_SECRET, "", 1, 4000, NULL, CONFIG_REQUIRED, "the agent's key file, mode 0600") \
        X(S_WELCOME, "welcome_file", CONFIG_FILE, "", 1, 4000, NULL, CONFIG_REQUIRED, "address, link key, anchor and credential, as the authority gave them") \
        X(S_ANCHOR, "anchor_file", CONFIG_FILE, "", 0, 4000, NULL, 0, "a trust anchor that counts instead of the welcome file's; never a lower version") \
        X(S_ENDPOINT, "broker.endpoint", CONFIG_ENDPOINT, "", 0, 0, NULL, 0, "where the broker listens, if not as the welcome file says") \
        X(S_SOCKET, "api.listen", CONFIG_ENDPOINT, "", 0, 0, "unix:/run/shuyi/agent.sock", 0, "the API: a Unix socket (mode 0660)") \
        X(S_SOCKET_GROUP, "api.group", CONFIG_INT, "", -1, 4294967294, "-1", 0, "group id that may use the socket; -1: the agent's own") \
        X(S_SOCKET_USERS, "api.users", CONFIG_LIST, "user ids", 0, 64, NULL, CONFIG_RELOAD, "who may use the socket besides root and the agent's own user; none named: whom its mode lets in") \
        X(S_BODY, "api.body_max", CONFIG_BYTES, "", 4096, 67108864, "4MiB", 0, "largest request body") \
        X(S_METRICS, "metrics.listen", CONFIG_STRING, "", 0, 200, "", 0, "loopback address of /metrics, /healthz and /readyz, such as tcp://127.0.0.1:9712; empty: on the API socket only") \
        X(S_MAP, "store.size_max", CONFIG_BYTES, "", 16777216, 1099511627776, "4GiB", 0, "most the store may grow to") \
        X(S_VOLATILE, "store.allow_volatile", CONFIG_BOOL, "", 0, 0, "false", 0, "take a memory file system: tests and demos only") \
        X(S_QUOTA, "outbox.quota", CONFIG_BYTES, "", 4096, 1099511627776, "1GiB", CONFIG_RELOAD, "records that wait for the broker: beyond it a push is answered 429") \
        X(S_QUOTA_INBOX, "inbox.quota", CONFIG_BYTES, "", 1048576, 1099511627776, "1GiB", CONFIG_RELOAD, "opened records that wait for a sink: beyond it nothing more is taken in") \
        X(S_KEEP_PUSHES, "outbox.keep_pushes", CONFIG_DURATION, "", 60000, 31536000000, "7d", CONFIG_RELOAD, "how long a push can be asked about, and its idempotency key counts") \
        X(S_KEEP_DEAD, "outbox.keep_dead_letters", CONFIG_DURATION, "", 60000, 31536000000, "90d", CONFIG_RELOAD, "how long an envelope that was refused for good is kept with its code") \
        X(S_LATE, "proof.late", CONFIG_DURATION, "", 5000, 3600000, "60s", CONFIG_RELOAD, "how long the center may take, over a standing link, to prove what it receipted; then an alarm is raised") \
        X(S_SUBSCRIBE, "subscribe_by_itself", CONFIG_BOOL, "", 0, 0, "true", CONFIG_RELOAD, "send SUBSCRIBE for every grant that names this agent") \
        X(S_LOG, "log.level", CONFIG_STRING, "", 0, 16, "info", 0, "error, warning, notice, info or debug") \
        X(S_SINK_SOURCE, "sinks[].source", CONFIG_STRING, "", 1, 64, "*", 0, "what goes there: a grant id, a resource code, or * for the rest") \
        X(S_SINK_TYPE, "sinks[].type", CONFIG_STRING, "", 1, 16, "ndjson", 0, "ndjson") \
        X(S_SINK_PATH, "sinks[].path", CONFIG_PATH, "", 1, 4000, NULL, CONFIG_REQUIRED, "the file")

enum settings_key { AGENT_CONFIG(CONFIG_ENUMERATOR) S_COUNT };

extern const struct config_key settings_keys[S_COUNT];

/* Loads and checks what the table alone cannot say (a sink's type and source).  As config_load; what is wrong is printed to `to`
 * with file, line and column. */
int settings_load(const char *path, FILE *to, struct config **ret);
