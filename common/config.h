/* config: a YAML file against one table of keys; all is checked before any is used.
 *
 *         #define BROKER_CONFIG(X) \
 *                 X(C_DOMAIN, "domain", CONFIG_STRING, "", 6, 6, NULL, CONFIG_REQUIRED, "the jurisdiction's 6-digit division") \
 *                 X(C_LISTEN, "link.listen", CONFIG_ENDPOINT, "", 0, 0, "tcp://0.0.0.0:7711", 0, "where agents connect") \
 *                 X(C_CREDIT, "link.credit", CONFIG_BYTES, "", 65536, 2 << 20, "1MiB", 0, "bytes in flight a link and lane") \
 *                 X(C_SOURCE_DSN, "sources[].dsn", CONFIG_STRING, "", 1, 400, NULL, CONFIG_REQUIRED, "ODBC connection string")
 *         enum { BROKER_CONFIG(CONFIG_ENUMERATOR) C_COUNT };
 *         static const struct config_key keys[] = { BROKER_CONFIG(CONFIG_KEY) };
 *
 * A "[]" in a path (one at most) stands for a list of mappings: config_count() says how many, values are read by index.
 * A struct config is immutable once loaded: any thread; a reload loads another and swaps, or keeps the old one. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum config_type {
        CONFIG_STRING,                          /* min, max: bytes */
        CONFIG_INT,                             /* min, max: value; decimal digits only */
        CONFIG_BYTES,                           /* "512", "64KiB", "1MiB", "2GiB"; min, max: bytes */
        CONFIG_DURATION,                        /* "250ms", "5s", "10min", "2h", "30d"; min, max and value: milliseconds */
        CONFIG_BOOL,                            /* true, false */
        CONFIG_PATH,                            /* taken relative to the configuration file */
        CONFIG_FILE,                            /* a path of a regular file that is there and can be read */
        CONFIG_SECRET,                          /* the same, and no one but its owner may read or write it */
        CONFIG_ENDPOINT,                        /* tcp://host:port, ipc:///path, unix:/path */
        CONFIG_LIST                             /* of strings; min, max: members */
};
#define CONFIG_REQUIRED 1u                      /* within a list: in each of its members */
#define CONFIG_RELOAD 2u                        /* a SIGHUP may change it; else a change is an error of the reload */
#define CONFIG_HIDDEN 4u                        /* may hold a password: printed by --check-config as "(set)" only */

struct config_key {
        const char *path;
        enum config_type type;
        const char *unit;                       /* for the manual: "records", "agents"; "" if the type says it */
        int64_t min, max;                       /* 0 and 0: no bounds */
        const char *fallback;                   /* as it would be written; NULL: none (then "", 0, false) */
        unsigned flags;
        const char *help;
};
#define CONFIG_ENUMERATOR(constant, path, type, unit, min, max, fallback, flags, help) constant,
#define CONFIG_KEY(constant, path, type, unit, min, max, fallback, flags, help) { path, type, unit, min, max, fallback, flags, help },

struct config_error { unsigned line, column; char path[96]; char text[160]; };  /* line from 1; 0: the file as a whole */

struct config;
struct config_errors;

/* All errors are collected.  *ret only on success.  -EINVAL: see *ret_errors (always made, the caller's; may be NULL
 * if not wanted); -ENOENT, -EACCES: the file itself (also in the errors). */
int config_load(const char *path, const struct config_key *keys, unsigned n, struct config **ret, struct config_errors **ret_errors);
/* The same of text; `path` names it and anchors relative paths. */
int config_parse(const char *text, size_t len, const char *path, const struct config_key *keys, unsigned n,
                 struct config **ret, struct config_errors **ret_errors);
void config_free(struct config *c);             /* NULL is fine */
void config_freep(struct config **c);

unsigned config_errors_count(const struct config_errors *e);            /* NULL: 0 */
const struct config_error *config_errors_at(const struct config_errors *e, unsigned i);
void config_errors_print(const struct config_errors *e, const char *file, FILE *to);    /* file:line:column: path: text */
void config_errors_free(struct config_errors *e);
/* What the table alone cannot say, in the same form: `text` is wrong with the value of `key` (of member `i` for a key with "[]",
 * else 0), which stands where it was written in `file`. */
void config_print_wrong(const struct config *c, unsigned key, unsigned i, const char *file, const char *text, FILE *to);

/* By key; asserts that the key has that type.  Strings live as long as the config. */
const char *config_string(const struct config *c, unsigned key);        /* STRING, PATH, FILE, SECRET, ENDPOINT; never NULL */
int64_t config_int(const struct config *c, unsigned key);               /* INT, BYTES, DURATION (ms) */
bool config_bool(const struct config *c, unsigned key);
bool config_is_set(const struct config *c, unsigned key);               /* in the file, not by its default */
unsigned config_list_count(const struct config *c, unsigned key);       /* CONFIG_LIST */
const char *config_list_at(const struct config *c, unsigned key, unsigned i);
/* Keys with "[]": how many members the list of `key` has, and the values of member i. */
unsigned config_count(const struct config *c, unsigned key);
const char *config_string_at(const struct config *c, unsigned key, unsigned i);
int64_t config_int_at(const struct config *c, unsigned key, unsigned i);
bool config_bool_at(const struct config *c, unsigned key, unsigned i);
bool config_is_set_at(const struct config *c, unsigned key, unsigned i);

/* What SIGHUP may not change: the first key without CONFIG_RELOAD that differs; -1 if none. */
int config_first_fixed_change(const struct config *old, const struct config *new);

/* --check-config: every key, its value and where it comes from (file line or default); secrets by path only. */
void config_print(const struct config *c, FILE *to);
/* The manual: one paragraph a key, out of the table (scdoc text). */
void config_print_manual(const struct config_key *keys, unsigned n, FILE *to);
