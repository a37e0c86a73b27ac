/* rows: pages of the center's state, printed as JSON or as aligned lines. */
#pragma once
#include "agent/cli/cli.h"
#include <protobuf-c/protobuf-c.h>

struct rows_column { const char *title, *path; int width; };    /* path into the row's JSON: "staff.name"; width in columns */

struct rows_view {
        uint32_t what;                                  /* enum read */
        const ProtobufCMessageDescriptor *row;          /* type of ReadRow.row */
        const char *key_name;                           /* what the row's key is called in JSON */
        enum { ROWS_KEY_HEX, ROWS_KEY_TEXT, ROWS_KEY_PERSON, ROWS_KEY_VERSION } key_form;
        const struct rows_column *columns;              /* ended by a NULL title */
};

/* Prints all rows that `key` narrows to; `filter` (may be NULL) leaves rows out.  Answers an exit code. */
int rows_print(struct cli *c, const struct rows_view *view, struct bytes key, bool (*filter)(const struct cli *c, const json_t *row));
/* The rows as a JSON array, the caller's; NULL after a message. */
json_t *rows_fetch(struct cli *c, const struct rows_view *view, struct bytes key);
/* "staff.name" of a JSON object: NULL if absent. */
const json_t *rows_find(const json_t *row, const char *path);
