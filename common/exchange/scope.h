/* scope: who may have which items for which uses, in the machine form of REGULATIONS 4.14.
 *
 * Lines `who : uses : items`, joined by "; ".  One text has one meaning: exactly the spaces of the grammar, values and
 * uses sorted and once each, ranges ascending and merged.  Parsed whole before it is asked.  Pure. */
#pragma once
#include "common/arena.h"
#include "common/bytes.h"
#include "common/words.h"
#include "proto/registry.pb-c.h"

#define SCOPE_MAX_BYTES 4096
#define SCOPE_LINES_MAX 64
#define SCOPE_VALUES_MAX 256                    /* of one line: values, and ranges */

struct scope;

/* NULL and, at `ret_why` (may be NULL), what is wrong: "line 2: items". */
const struct scope *scope_parse(struct arena *a, const char *text, const char **ret_why);
unsigned scope_lines(const struct scope *s);

/* Is the department within scope for this use and all of these items?  Each item needs some line that has all three.
 * `s` NULL (an entry without scope) allows everything. */
bool scope_allows(const struct scope *s, const Shuyi__V1__Department *d, enum use_class use, const uint32_t *items, size_t n);

/* Division code of a department, trailing zero groups cut (4.13, consumer.region): out of its GB 32100 code.  `ret` holds 7. */
void scope_region(const char *code, char ret[7]);
