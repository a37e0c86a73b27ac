/* temp_dir: a fresh directory for one test, and its removal with all that is in it. */
#pragma once
#include <stddef.h>

/* Under $TMPDIR or /tmp; aborts the test if it cannot be made.  `ret` holds 256 bytes. */
void temp_dir_make(char *ret);
void temp_dir_remove(const char *dir);
