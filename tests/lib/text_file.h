/* text_file: a whole file for a test, and the cells of its CSV lines.  Test data only: it trusts its files. */
#pragma once
#include "common/bytes.h"

/* Named by a path under the source root (SOURCE_ROOT in the environment).  Fails the test if it cannot be read;
 * the bytes are the caller's to free, and a NUL follows them. */
struct bytes text_file_read(const char *path);
/* Cuts one LF-ended line off the front of *text, as a string; NULL at the end.  Writes NULs into the text. */
char *text_file_line(char **text);
/* Cuts one cell off the front of *line; a cell in double quotes may hold commas.  "" past the end. */
char *text_file_cell(char **line);
