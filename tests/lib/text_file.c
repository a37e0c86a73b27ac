/* text_file: reading the vectors beside the tests. */
#include "tests/lib/text_file.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define FILE_MAX_BYTES (1 << 20)

struct bytes text_file_read(const char *path)
{
        const char *root = getenv("SOURCE_ROOT");
        char name[4096], *text = calloc(1, FILE_MAX_BYTES + 1);
        size_t n = 0;
        FILE *f;

        snprintf(name, sizeof(name), "%s/%s", root ? root : ".", path);
        f = fopen(name, "rb");
        if (f) {
                n = fread(text, 1, FILE_MAX_BYTES, f);
                fclose(f);
        }
        if (n == 0 || n == FILE_MAX_BYTES)
                fail_msg("cannot read %s", name);
        return bytes_of(text, n);
}

char *text_file_line(char **text)
{
        char *line = *text, *lf = strchr(line, '\n');

        if (*line == '\0')
                return NULL;
        if (lf)
                *lf = '\0';
        *text = lf ? lf + 1 : line + strlen(line);
        return line;
}

char *text_file_cell(char **line)
{
        char *cell = *line, *end;

        if (*cell == '"') {
                cell++;
                end = strchr(cell, '"');
                *end++ = '\0';
        } else {
                end = cell + strcspn(cell, ",");
        }
        *line = *end ? end + 1 : end;
        *end = '\0';
        return cell;
}
