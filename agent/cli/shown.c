/* shown: see shown.h. */
#include "agent/cli/shown.h"
#include "common/bytes.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const struct { uint32_t first, last; } hidden[] = {
        { 0x00, 0x1f }, { 0x7f, 0x9f }, { 0xad, 0xad }, { 0x61c, 0x61c }, { 0x115f, 0x1160 }, { 0x180e, 0x180e }, { 0x200b, 0x200f },
        { 0x2028, 0x202e }, { 0x2060, 0x206f }, { 0x3164, 0x3164 }, { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0xe0000, 0xe007f },
};

static bool is_hidden(uint32_t c)
{
        for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
                if (c >= hidden[i].first && c <= hidden[i].last)
                        return true;
        return false;
}

/* The character at `p` and its length; length 0: not UTF-8. */
static uint32_t character(const unsigned char *p, unsigned *ret_len)
{
        unsigned len = *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
        uint32_t c = len == 1 ? *p : *p & (0x7fu >> len);

        *ret_len = 0;
        for (unsigned i = 1; i < len; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (p[i] & 0x3f);
        }
        if (utf8_check(bytes_of(p, len)))
                *ret_len = len;
        return c;
}

/* At most ten bytes for one: \U000e0001. */
static char *line_into(char *to, const char *text)
{
        for (const unsigned char *p = (const unsigned char *)text; *p;) {
                unsigned len;
                uint32_t c = character(p, &len);

                if (len && !is_hidden(c)) {
                        memcpy(to, p, len);
                        to += len;
                } else {
                        to += len ? sprintf(to, c > 0xffff ? "\\U%08x" : "\\u%04x", c) : sprintf(to, "\\x%02x", *p);
                }
                p += len ? len : 1;
        }
        *to = 0;
        return to;
}

char *shown_line(const char *text)
{
        char *ret = malloc(strlen(text) * 10 + 1);

        if (ret)
                line_into(ret, text);
        return ret;
}

void shown_put(const char *text, FILE *out)
{
        char *copy = strdup(text), *rest = copy;

        for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
                char *clean = shown_line(line);
                fputs(clean ? clean : "", out);
                if (rest)
                        fputc('\n', out);
                free(clean);
        }
        free(copy);
}

static json_t *shown_string(const char *text)
{
        char *clean = shown_line(text);
        json_t *json = json_string(clean ? clean : "");

        free(clean);
        return json;
}

json_t *shown_json(json_t *value)
{
        const char *key;
        json_t *inner;
        size_t i;

        if (json_is_object(value))
                json_object_foreach(value, key, inner)
                        json_is_string(inner) ? (void)json_object_set_new(value, key, shown_string(json_string_value(inner))) : (void)shown_json(inner);
        else if (json_is_array(value))
                json_array_foreach(value, i, inner)
                        json_is_string(inner) ? (void)json_array_set_new(value, i, shown_string(json_string_value(inner))) : (void)shown_json(inner);
        return value;
}
