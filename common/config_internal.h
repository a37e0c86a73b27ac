/* config_internal: what the files of config share: values, where they lie, errors. */
#pragma once
#include "common/config.h"

#define CONFIG_PROBLEM_BYTES 160

struct config_value {
        bool set;                               /* in the file */
        unsigned line, column;                  /* there */
        char *text;                             /* as written; paths: joined to the file's directory; NULL: no value at all */
        int64_t number;
        char **list;
        unsigned list_count;
};

/* Reads `text` as the key's type.  True, or false and what is wrong.  `plain`: written without quotes. */
bool config_value_parse(const struct config_key *key, const char *text, bool plain, const char *dir,
                        struct config_value *value, char problem[CONFIG_PROBLEM_BYTES]);
/* A number in the key's own spelling: "64KiB", "5min". */
void config_value_format(enum config_type type, int64_t v, char ret[32]);
const char *config_type_name(enum config_type type);

#define CONFIG_ERRORS_MAX 64
#define CONFIG_PATH_BYTES 96

struct slot { struct config_value *values; unsigned count; };   /* of a key; count: 1, or members of its list */

struct config {
        const struct config_key *keys;
        unsigned n;
        struct slot *slots;
};

struct config_errors { struct config_error at[CONFIG_ERRORS_MAX]; unsigned n; };

bool config_in_list(const struct config_key *key);
/* "sources[].dsn" with its member's number, for people. */
void config_name_member(const char *path, unsigned member, char ret[CONFIG_PATH_BYTES]);
