/* log: what a shell says about itself, one JSON object a line on stderr.
 *
 * An event has a stable name and typed fields: ids, counts, sizes, codes; never values of records, never keys.
 *
 *         log_event(LOG_WARNING, "claim.refused", log_digest("envelope", &d), log_u64("seq", seq), log_str("refusal", text));
 *         {"time":"2026-02-12T02:00:00.000Z","level":"warning","program":"shuyi-broker","event":"claim.refused","envelope":"…",…}
 *
 * Any thread; a line is one write(2), so lines do not mix.  A line longer than 4 KiB ends with "cut":true. */
#pragma once
#include <syslog.h>
#include "common/bytes.h"
#include "common/times.h"

enum log_type { LOG_NONE_, LOG_U64_, LOG_I64_, LOG_STR_, LOG_HEX_, LOG_BOOL_, LOG_ERRNO_, LOG_DOUBLE_ };

/* Borrowed until log_event returns. */
struct log_field {
        const char *name;
        enum log_type type;
        union { uint64_t u; int64_t i; const char *s; struct bytes h; bool b; double d; };
};

static inline struct log_field log_u64(const char *name, uint64_t v) { return (struct log_field){ name, LOG_U64_, { .u = v } }; }
static inline struct log_field log_i64(const char *name, int64_t v) { return (struct log_field){ name, LOG_I64_, { .i = v } }; }
static inline struct log_field log_bool(const char *name, bool v) { return (struct log_field){ name, LOG_BOOL_, { .b = v } }; }
static inline struct log_field log_double(const char *name, double v) { return (struct log_field){ name, LOG_DOUBLE_, { .d = v } }; }
/* Text of ours or an identifier: bytes that are not UTF-8 become '?'.  NULL prints null. */
static inline struct log_field log_str(const char *name, const char *v) { return (struct log_field){ name, LOG_STR_, { .s = v } }; }
static inline struct log_field log_hex(const char *name, struct bytes v) { return (struct log_field){ name, LOG_HEX_, { .h = v } }; }
static inline struct log_field log_digest(const char *name, const struct digest *v) { return log_hex(name, bytes_digest(v)); }
static inline struct log_field log_id(const char *name, const struct id *v) { return log_hex(name, bytes_id(v)); }
/* A negative (or positive) errno, by its name: "ENOSPC". */
static inline struct log_field log_errno(const char *name, int r) { return (struct log_field){ name, LOG_ERRNO_, { .i = r } }; }

/* Levels are those of syslog.h: LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG. */
#define log_event(level, event, ...) \
        log_write((level), (event), (const struct log_field[]){ { .type = LOG_NONE_ }, ##__VA_ARGS__ }, \
                  sizeof((const struct log_field[]){ { .type = LOG_NONE_ }, ##__VA_ARGS__ }) / sizeof(struct log_field))
void log_write(int level, const char *event, const struct log_field *fields, size_t n);

/* Once, before the first thread.  `program` stands in every line; events above `max_level` are left out. */
void log_init(const char *program, int max_level);
void log_set_fd(int fd);                        /* instead of stderr: tests */
/* The line as it would be written, without its LF, into `ret`; its length. */
size_t log_format(int level, const char *event, const struct log_field *fields, size_t n, struct wall_time now, char *ret, size_t size);
/* "error", "warning", ...; -1 for an unknown name. */
int log_level_parse(const char *name);
