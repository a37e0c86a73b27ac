/* csv: see csv.h. */
#include "agent/cli/csv.h"
#include "common/bytes.h"
#include <stdbool.h>
#include <string.h>

struct csv csv_begin(char *text, char *end)
{
        bool mark = end - text >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0;

        return (struct csv){ .at = text + (mark ? 3 : 0), .end = end, .next_line = 1 };
}

/* The text between quotes, with doubled ones made single; answers where it ends in place, NULL if it does not. */
static char *take_quoted(struct csv *c)
{
        char *to = c->at++;

        for (; c->at < c->end; *to++ = *c->at++) {
                if (*c->at == '"' && (c->at + 1 == c->end || c->at[1] != '"')) {
                        c->at++;
                        return to;
                }
                c->at += *c->at == '"';
                c->next_line += *c->at == '\n';
        }
        c->wrong = "a quote is not closed";
        return NULL;
}

static char *take_plain(struct csv *c)
{
        while (c->at < c->end && *c->at != ',' && *c->at != '\n' && !(*c->at == '\r' && (c->at + 1 == c->end || c->at[1] == '\n')))
                c->at++;
        return c->at;
}

/* One field; *ret_last: the row ends with it. */
static bool take_field(struct csv *c, char **ret, bool *ret_last)
{
        char *start = c->at, *stop = c->at < c->end && *c->at == '"' ? take_quoted(c) : take_plain(c);

        if (!stop)
                return false;
        if (c->at < c->end && *c->at == '\r' && (c->at + 1 == c->end || c->at[1] == '\n'))
                c->at++;
        *ret_last = c->at == c->end || *c->at == '\n';
        if (!*ret_last && *c->at != ',')
                c->wrong = "text after a closing quote";
        else if (memchr(start, 0, (size_t)(stop - start)))
                c->wrong = "a NUL byte in the text";
        else if (!utf8_check(bytes_of(start, (size_t)(stop - start))))
                c->wrong = "not UTF-8 text: save the file as UTF-8";
        c->next_line += c->at < c->end && *c->at == '\n';
        c->at += c->at < c->end;
        *stop = 0;
        *ret = start;
        return !c->wrong;
}

int csv_row(struct csv *c, char *fields[], int fields_max)
{
        while (c->at < c->end) {
                bool quoted = *c->at == '"', last = false;
                int n = 0;

                c->line = c->next_line;
                while (!last) {
                        if (n == fields_max) {
                                c->wrong = "too many fields";
                                return -1;
                        }
                        if (!take_field(c, &fields[n++], &last))
                                return -1;
                }
                if (n > 1 || *fields[0] || quoted)
                        return n;
        }
        return 0;
}
