/* push_form: one pass over the bytes; strings are copied out once.  See push_form.h. */
#include "agent/push_form.h"

#include "common/macro.h"
#include "common/record.h"
#include "common/times.h"
#include "common/words.h"

#define NAMES_MAX 64                            /* of one record: each is compared with each */
#define FIRST_ROOM 128

struct form {
        const uint8_t *p, *end;
        struct arena *a;
        size_t n;                               /* names of the record that is read, */
        const char *names[NAMES_MAX], *values[NAMES_MAX];
        size_t before_n;                        /* and of the one before: mostly the same, and then not copied again */
        const char *before[NAMES_MAX];
};

/* ---- bytes ---- */

static void skip_space(struct form *f)
{
        while (f->p < f->end && (*f->p == ' ' || *f->p == '\n' || *f->p == '\r' || *f->p == '\t'))
                f->p++;
}

/* This character, with space before it. */
static bool take(struct form *f, char c)
{
        skip_space(f);
        if (f->p == f->end || *f->p != (uint8_t)c)
                return false;
        f->p++;
        return true;
}

static bool take_null(struct form *f)
{
        if (f->end - f->p < 4 || memcmp(f->p, "null", 4) != 0)
                return false;
        f->p += 4;
        return true;
}

/* ---- strings ---- */

/* Up to the first quote, backslash or control character. */
static const uint8_t *plain_end(const uint8_t *p, const uint8_t *end)
{
        return p + bytes_json_plain(bytes_of(p, (size_t)(end - p)));
}

static int hex_digit(uint8_t c)
{
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Four digits; 0 where there are not. */
static uint32_t take_hex(struct form *f)
{
        uint32_t c = 0;

        if (f->end - f->p < 4)
                return 0;
        for (int i = 0; i < 4; i++) {
                int digit = hex_digit(*f->p++);

                if (digit < 0)
                        return 0;
                c = c << 4 | (uint32_t)digit;
        }
        return c;
}

static char *put_utf8(char *to, uint32_t c)
{
        if (c < 0x80) {
                *to++ = (char)c;
                return to;
        }
        if (c < 0x800) {
                *to++ = (char)(0xc0 | c >> 6);
        } else {
                if (c < 0x10000) {
                        *to++ = (char)(0xe0 | c >> 12);
                } else {
                        *to++ = (char)(0xf0 | c >> 18);
                        *to++ = (char)(0x80 | (c >> 12 & 0x3f));
                }
                *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        }
        *to++ = (char)(0x80 | (c & 0x3f));
        return to;
}

/* After "\u": NULL for half a pair, and for NUL, which no string holds. */
static char *take_unicode(struct form *f, char *to)
{
        uint32_t c = take_hex(f), low;

        if (c == 0 || (c >= 0xdc00 && c <= 0xdfff))
                return NULL;
        if (c < 0xd800 || c > 0xdbff)
                return put_utf8(to, c);
        if (f->end - f->p < 6 || *f->p++ != '\\' || *f->p++ != 'u')
                return NULL;
        low = take_hex(f);
        return low >= 0xdc00 && low <= 0xdfff ? put_utf8(to, 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00)) : NULL;
}

/* After a backslash. */
static char *take_escape(struct form *f, char *to)
{
        static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
        uint8_t c = f->p < f->end ? *f->p++ : 0;
        const char *hit = c ? strchr(letters, c) : NULL;

        if (c == 'u')
                return take_unicode(f, to);
        if (!hit)
                return NULL;
        *to++ = meant[hit - letters];
        return to;
}

/* The quote that ends the string; NULL: it does not end. */
static const uint8_t *string_end(const uint8_t *p, const uint8_t *end)
{
        for (;;) {
                p = plain_end(p, end);
                if (end - p < 2)
                        return NULL;
                if (*p != '\\')
                        return *p == '"' ? p : NULL;
                p += 2;
        }
}

/* A string with escapes is never longer than what stands for it. */
static const char *take_escaped(struct form *f, const uint8_t *start)
{
        const uint8_t *quote = string_end(f->p, f->end), *plain = start;
        char *ret = quote ? arena_alloc(f->a, (size_t)(quote - start) + 1) : NULL, *to = ret;

        if (!ret)
                return NULL;
        for (;;) {
                memcpy(to, plain, (size_t)(f->p - plain));
                to += f->p - plain;
                if (f->p == quote)
                        break;
                f->p++;                         /* the backslash */
                to = take_escape(f, to);
                if (!to)
                        return NULL;
                plain = f->p;
                f->p = plain_end(plain, quote);
        }
        f->p++;
        *to = '\0';
        return ret;
}

/* The one at hand is the same as `known`: no copy. */
static bool take_known(struct form *f, const char *known)
{
        size_t n = strlen(known);

        if ((size_t)(f->end - f->p) <= n || memcmp(f->p, known, n) != 0 || f->p[n] != '"')
                return false;
        f->p += n + 1;
        return true;
}

/* `known`, if it is that one; else a copy.  NULL: not a string, or no memory. */
static const char *take_string(struct form *f, const char *known)
{
        const uint8_t *start;
        struct bytes text;
        char *ret;

        if (!take(f, '"'))
                return NULL;
        if (known && take_known(f, known))
                return known;
        start = f->p;
        f->p = plain_end(start, f->end);
        if (f->p == f->end)
                return NULL;
        if (*f->p == '\\')
                return take_escaped(f, start);
        if (*f->p != '"')
                return NULL;
        text = bytes_of(start, (size_t)(f->p++ - start));
        ret = arena_alloc(f->a, text.n + 1);
        if (!ret)
                return NULL;
        memcpy(ret, text.p, text.n);
        ret[text.n] = '\0';
        return ret;
}

/* ---- one record ---- */

static bool twice(const struct form *f, const char *name)
{
        for (size_t i = 0; i < f->n; i++)
                if (f->names[i] == name || strcmp(f->names[i], name) == 0)
                        return true;
        return false;
}

static bool take_value(struct form *f)
{
        const char *known = f->n < f->before_n ? f->before[f->n] : NULL, *name = take_string(f, known), *text = NULL;

        if (!name || twice(f, name) || !take(f, ':'))
                return false;
        skip_space(f);
        if (!take_null(f) && !(text = take_string(f, NULL)))
                return false;
        f->names[f->n] = name;
        f->values[f->n++] = text;
        return true;
}

static const char **keep(struct form *f, const char *const *list)
{
        return (const char **)arena_copy(f->a, bytes_of(list, f->n * sizeof(*list))).p;
}

static bool take_values(struct form *f, struct view_input *in)
{
        f->n = 0;
        if (!take(f, '{'))
                return false;
        if (!take(f, '}')) {
                do {
                        if (f->n == NAMES_MAX || !take_value(f))
                                return false;
                } while (take(f, ','));
                if (!take(f, '}'))
                        return false;
        }
        in->n = f->n;
        in->names = keep(f, f->names);
        in->values = keep(f, f->values);
        f->before_n = f->n;
        memcpy(f->before, f->names, f->n * sizeof(*f->before));
        return in->names && in->values;
}

static bool take_op(struct form *f, struct view_input *in)
{
        const char *op = take_string(f, "UPSERT");

        in->op = op ? word_find(LIST_record_op, op) : 0;
        return in->op == OP_UPSERT || in->op == OP_DELETE;
}

static bool take_time(struct form *f, struct view_input *in)
{
        const char *text = take_string(f, NULL);
        struct wall_time t;

        if (!text || !times_parse_utc(text, &t))
                return false;
        in->changed_at = t.ms;
        return true;
}

enum member { OP = 1, CHANGED_AT = 2, VALUES = 4 };

static bool take_member(struct form *f, struct view_input *in, unsigned *seen)
{
        unsigned which;

        if (!take(f, '"'))
                return false;
        which = take_known(f, "op") ? OP : take_known(f, "changed_at") ? CHANGED_AT : take_known(f, "values") ? VALUES : 0;
        if (!which || (*seen & which) || !take(f, ':'))
                return false;
        *seen |= which;
        return which == OP ? take_op(f, in) : which == CHANGED_AT ? take_time(f, in) : take_values(f, in);
}

static bool take_record(struct form *f, struct view_input *in)
{
        unsigned seen = 0;

        *in = (struct view_input){ .op = OP_UPSERT };
        if (!take(f, '{'))
                return false;
        do {
                if (!take_member(f, in, &seen))
                        return false;
        } while (take(f, ','));
        return take(f, '}') && (seen & (CHANGED_AT | VALUES)) == (CHANGED_AT | VALUES);
}

/* ---- the body ---- */

static bool make_room(struct arena *a, struct push_list *list, size_t *room)
{
        size_t more = *room ? 2 * *room : FIRST_ROOM;
        struct push_record *grown;

        if (list->n < *room)
                return true;
        grown = ARENA_ARRAY(a, struct push_record, more);
        if (!grown)
                return false;
        if (list->n)
                memcpy(grown, list->records, list->n * sizeof(*grown));
        list->records = grown;
        *room = more;
        return true;
}

static bool take_records(struct form *f, struct push_list *list)
{
        size_t room = 0;

        do {
                if (list->n == PUSH_RECORDS_MAX || !make_room(f->a, list, &room) || !take_record(f, &list->records[list->n].in))
                        return false;
                list->n++;
        } while (take(f, ','));
        return true;
}

bool push_form(struct arena *a, struct bytes body, struct push_list *ret)
{
        struct form f = { .p = body.p, .a = a };
        struct push_list list = { 0 };

        if (body.n == 0 || !utf8_check(body))
                return false;
        f.end = body.p + body.n;
        if (!take(&f, '{') || !take(&f, '"') || !take_known(&f, "records") || !take(&f, ':') || !take(&f, '[') || !take_records(&f, &list) || !take(&f, ']') ||
            !take(&f, '}'))
                return false;
        skip_space(&f);
        if (f.p != f.end)
                return false;
        *ret = list;
        return true;
}
