/* csv: rows of a file of comma-separated values (RFC 4180), in UTF-8, taken apart in place.
 *
 * Strict: what a spreadsheet would guess at is refused, since a guess would push wrong data under a signature.  Pure. */
#pragma once
#include <stddef.h>

struct csv {
        char *at, *end;         /* what is left; *end is writable and belongs to the reader */
        unsigned line;          /* looked at last, from 1 */
        unsigned next_line;
        const char *wrong;      /* why the last row is none */
};

/* Reads the bytes of [text, end), of which `end` is writable too; a byte order mark is passed over. */
struct csv csv_begin(char *text, char *end);
/* The next row that is not blank: the number of its fields, which point into the text; 0 at the end; -1: see `wrong` and `line`. */
int csv_row(struct csv *c, char *fields[], int fields_max);
