/* settings: the broker's configuration, one row a key (STYLE 8).  Quotas, credit and BUSY are the front's and make no
 * entry: nothing here can change an outcome. */
#pragma once
#include "common/config.h"

#define BROKER_SETTINGS(X) \
        X(S_DOMAIN, "domain", CONFIG_STRING, "", 6, 6, NULL, CONFIG_REQUIRED, "The jurisdiction: six digits of GB/T 2260.") \
        X(S_ORIGIN, "log.origin", CONFIG_STRING, "", 1, 200, NULL, CONFIG_REQUIRED, "Origin line of the log's checkpoints, as the anchor has it.") \
        X(S_SEGMENT_BYTES, "log.segment_bytes", CONFIG_BYTES, "", 2 << 20, 1ll << 32, "64MiB", 0, "Size of a new segment file.") \
        X(S_KEYS_BROKER, "keys.broker", CONFIG_SECRET, "", 0, 0, NULL, CONFIG_REQUIRED, "Key file of the broker: signs its own entries, opens links.") \
        X(S_KEYS_LOG, "keys.log", CONFIG_SECRET, "", 0, 0, NULL, CONFIG_REQUIRED, "Key file of the log: signs checkpoints and receipts.") \
        X(S_STORE_DIR, "store.dir", CONFIG_PATH, "", 1, 4000, NULL, CONFIG_REQUIRED, "Where log and state lie.") \
        X(S_STORE_MAP, "store.map_bytes", CONFIG_BYTES, "", 1 << 20, 1ll << 44, "16GiB", 0, "The most the state may grow to: address space, not disk.") \
        X(S_STORE_VOLATILE, "store.allow_volatile", CONFIG_BOOL, "", 0, 0, "false", 0, "Take a file system that forgets: for tests and demonstrations.") \
        X(S_LISTEN, "link.listen", CONFIG_ENDPOINT, "", 0, 0, "tcp://0.0.0.0:7711", 0, "Where agents connect; port 0 takes a free one.") \
        X(S_CREDIT_FRAMES, "link.credit_frames", CONFIG_INT, "frames", 1, 1024, "256", CONFIG_RELOAD, "Unsettled frames a link and lane.") \
        X(S_CREDIT_BYTES, "link.credit_bytes", CONFIG_BYTES, "", 64 << 10, 8 << 20, "2MiB", CONFIG_RELOAD, "Unsettled bytes a link and lane.") \
        X(S_BUDGET, "link.budget_bytes", CONFIG_BYTES, "", 4 << 20, 1ll << 36, "256MiB", CONFIG_RELOAD, "Unsettled bytes of all links together.") \
        X(S_RESERVE, "link.reserve_bytes", CONFIG_BYTES, "", 1 << 20, 1ll << 34, "32MiB", CONFIG_RELOAD, "Of the budget, what only acts and receipts may use.") \
        X(S_QUOTA, "link.quota_bytes", CONFIG_BYTES, "", 0, 1ll << 44, "64GiB", CONFIG_RELOAD, "Bytes a link may send on a Shanghai day; 0 is no limit.") \
        X(S_HEARTBEAT, "link.heartbeat", CONFIG_DURATION, "", 100, 600000, "10s", CONFIG_RELOAD, "A link that says nothing for three of these is closed.") \
        X(S_HANDSHAKE, "link.handshake", CONFIG_DURATION, "", 100, 60000, "5s", 0, "How long a connection may take to prove its key.") \
        X(S_WORKERS, "verify.workers", CONFIG_INT, "threads", 0, 64, "0", 0, "Threads that check signatures; 0 is one a core.") \
        X(S_HOT_BYTES, "deliver.hot_bytes", CONFIG_BYTES, "", 1 << 20, 1ll << 34, "24MiB", CONFIG_RELOAD, "Entries kept in memory for delivery.") \
        X(S_HTTP, "http.listen", CONFIG_ENDPOINT, "", 0, 0, "tcp://127.0.0.1:7712", 0, "Metrics and health, on loopback.") \
        X(S_SPACE_LIMIT, "space.limit_bytes", CONFIG_BYTES, "", 0, 1ll << 44, "0", CONFIG_RELOAD, "Count this much as the whole disk; 0 is the file system.") \
        X(S_CLOCK_AHEAD, "clock.ahead_max_days", CONFIG_INT, "days", 1, 3650, "30", 0, "A start with the clock further ahead of the log waits for a CLOCK act.") \
        X(S_BASE_ENTRIES, "base.every_entries", CONFIG_INT, "entries", 0, 1ll << 40, "1000000", CONFIG_RELOAD, "A state image is written each so many entries; 0 is never.") \
        X(S_BASE_EVERY, "base.every", CONFIG_DURATION, "", 1000, 366ll * 24 * 3600 * 1000, "24h", CONFIG_RELOAD, "Or so long after the last one, if there are new entries.") \
        X(S_BASE_KEEP, "base.keep", CONFIG_INT, "files", 1, 32, "2", CONFIG_RELOAD, "State images kept.") \
        X(S_LOG_LEVEL, "logging.level", CONFIG_STRING, "", 1, 10, "info", 0, "error, warning, notice, info or debug.") \
        X(S_WITNESS_NAME, "witnesses[].name", CONFIG_STRING, "", 1, 255, NULL, CONFIG_REQUIRED, "A witness, as the anchor names it.") \
        X(S_WITNESS_URL, "witnesses[].url", CONFIG_STRING, "", 8, 1000, NULL, CONFIG_REQUIRED, "Where its add-checkpoint is: https, or http on loopback.")

#define SETTINGS_WITNESSES_MAX 32

enum setting { BROKER_SETTINGS(CONFIG_ENUMERATOR) S_COUNT };

/* 0 and *ret, or the fault; what is wrong is printed to stderr with line and column. */
int settings_load(const char *path, struct config **ret);
void settings_print_manual(void);               /* scdoc text of the table, to stdout */
