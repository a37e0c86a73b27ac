/* shown: text of others, made fit for a terminal.
 *
 * Names, purposes and remarks come from other departments.  What could move the cursor, colour the screen, break a line or
 * turn the direction of writing (control characters, C1 as well, bidirectional marks, invisible spaces) is written as \u001b,
 * and what is not UTF-8 as \xff: so no text can pretend to be another line of what is about to be signed.  Pure. */
#pragma once
#include <jansson.h>
#include <stdio.h>

/* The whole text on one line; the caller frees it.  NULL: no memory. */
char *shown_line(const char *text);
/* Writes text of several lines: line feeds stay. */
void shown_put(const char *text, FILE *out);
/* Every string of the value as by shown_line(), in place; answers `value`. */
json_t *shown_json(json_t *value);
