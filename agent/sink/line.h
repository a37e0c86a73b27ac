/* line: one record as one line of newline-delimited JSON.
 *
 * The same record gives the same bytes for ever, so that lines cut off by a crash can be written again.  Values are
 * text, decimals included; what is null is null; names are name_en of the entry's version.  Pure. */
#pragma once
#include "common/arena.h"
#include "common/bytes.h"
#include "proto/catalog.pb-c.h"
#include "proto/stream.pb-c.h"

/* Where a record came from. */
struct line_source {
        const char *resource;
        uint32_t version;
        struct digest grant;
        uint64_t stream_seq;
        uint32_t index;                 /* within the envelope, from 0 */
        const Shuyi__V1__Entry *entry;
};

/* {resource, version, grant, stream_seq, index, op, key, changed_at, values} and LF, in `a`; {0} when full.  A value whose item the
 * entry does not name is written under its number. */
struct bytes line_format(struct arena *a, const struct line_source *s, const Shuyi__V1__Record *r);

/* A JSON string with its quotes, in `a`; NULL when full.  `text` is UTF-8 without NUL. */
char *line_quote(struct arena *a, const char *text);
