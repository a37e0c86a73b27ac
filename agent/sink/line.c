/* line: JSON by hand, since the form is small and fixed.  See line.h. */
#include "agent/sink/line.h"

#include <stdio.h>

#include "agent/view.h"
#include "common/times.h"
#include "common/words.h"

static char *escape_into(char *to, char c)
{
        static const char plain[] = "\"\\\b\f\n\r\t", escaped[] = "\"\\bfnrt";
        const char *hit = strchr(plain, c);

        if (!hit)
                return to + sprintf(to, "\\u%04x", (unsigned)(unsigned char)c);
        *to++ = '\\';
        *to++ = escaped[hit - plain];
        return to;
}

/* At most six bytes for one: \u001f. */
static char *quote_into(char *to, const char *text)
{
        struct bytes left = bytes_str(text);

        *to++ = '"';
        for (;;) {
                size_t n = bytes_json_plain(left);

                memcpy(to, left.p, n);
                to += n;
                if (n == left.n)
                        break;
                to = escape_into(to, (char)left.p[n]);
                left = bytes_of(left.p + n + 1, left.n - n - 1);
        }
        *to++ = '"';
        *to = '\0';
        return to;
}

char *line_quote(struct arena *a, const char *text)
{
        char *ret = arena_alloc(a, strlen(text) * 6 + 3);

        if (ret)
                quote_into(ret, text);
        return ret;
}

static size_t value_room(const Shuyi__V1__Value *v)
{
        return strlen(v->text) * 6 + 64 * 6 + 32;
}

static char *put_value(char *to, const Shuyi__V1__Entry *entry, const Shuyi__V1__Value *v)
{
        const Shuyi__V1__Item *item = view_find_item(entry, v->item);

        if (item && strlen(item->name_en) <= 64)
                to = quote_into(to, item->name_en);
        else
                to += sprintf(to, "\"%u\"", (unsigned)v->item);
        *to++ = ':';
        if (v->null) {
                memcpy(to, "null", 4);
                return to + 4;
        }
        return quote_into(to, v->text);
}

static char *put_values(char *to, const Shuyi__V1__Entry *entry, const Shuyi__V1__Record *r)
{
        *to++ = '{';
        for (size_t i = 0; i < r->n_values; i++) {
                if (i)
                        *to++ = ',';
                to = put_value(to, entry, r->values[i]);
        }
        *to++ = '}';
        return to;
}

struct bytes line_format(struct arena *a, const struct line_source *s, const Shuyi__V1__Record *r)
{
        size_t room = 512 + strlen(s->resource) * 6 + strlen(r->key) * 6;
        char grant[2 * DIGEST_BYTES + 1], time[25], *start, *to;
        const char *op = word_name(LIST_record_op, r->op);

        for (size_t i = 0; i < r->n_values; i++)
                room += value_room(r->values[i]);
        start = to = arena_alloc(a, room);
        if (!start)
                return (struct bytes){ 0 };
        hex_format(bytes_digest(&s->grant), grant);
        times_format_utc((struct wall_time){ r->changed_at }, time);
        to += sprintf(to, "{\"resource\":");
        to = quote_into(to, s->resource);
        to += sprintf(to, ",\"version\":%u,\"grant\":\"%s\",\"stream_seq\":%llu,\"index\":%u,\"op\":\"%s\",\"key\":", (unsigned)s->version, grant,
                      (unsigned long long)s->stream_seq, (unsigned)s->index, op ? op : "");
        to = quote_into(to, r->key);
        to += sprintf(to, ",\"changed_at\":\"%s\",\"values\":", time);
        to = put_values(to, s->entry, r);
        *to++ = '}';
        *to++ = '\n';
        return bytes_of(start, (size_t)(to - start));
}
