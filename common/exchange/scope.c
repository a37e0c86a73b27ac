/* scope: the machine form of a share scope (REGULATIONS 4.14). */
#include "common/exchange/scope.h"

#include <stdio.h>

enum who { WHO_ALL, WHO_CLASS, WHO_CODE, WHO_ROLE, WHO_REGION };

struct range { uint32_t from, to; };

struct line {
        enum who who;
        struct bytes *values;
        unsigned values_n;
        uint32_t uses;                          /* bit use_class; 0: ANY */
        struct range *ranges;                   /* none: ALL */
        unsigned ranges_n;
};

struct scope { struct line lines[SCOPE_LINES_MAX]; unsigned n; };

/* Reads a text once, from left to right. */
struct cursor { const char *p, *end; struct arena *arena; };

static bool take_word(struct cursor *c, const char *word)
{
        size_t n = strlen(word);

        if ((size_t)(c->end - c->p) < n || memcmp(c->p, word, n) != 0)
                return false;
        c->p += n;
        return true;
}

/* Letters, digits and underscore: what values, uses and words are made of. */
static bool is_value_byte(char b)
{
        return (b >= '0' && b <= '9') || (b >= 'A' && b <= 'Z') || (b >= 'a' && b <= 'z') || b == '_';
}

static struct bytes take_value(struct cursor *c)
{
        const char *from = c->p;

        while (c->p < c->end && is_value_byte(*c->p))
                c->p++;
        return bytes_of(from, (size_t)(c->p - from));
}

static bool value_fits(enum who who, struct bytes v)
{
        char text[32];

        if (v.n == 0 || v.n >= sizeof(text))
                return false;
        memcpy(text, v.p, v.n);
        text[v.n] = 0;
        switch (who) {
        case WHO_CLASS:
                return word_find(LIST_dept_class, text) != 0;
        case WHO_CODE:
                return v.n == 18;
        case WHO_ROLE:
                return !strcmp(text, "SAFETY_DEPT") || !strcmp(text, "LEAD") || !strcmp(text, "AUTHORITY");
        case WHO_REGION:
                return v.n <= 6 && strspn(text, "0123456789") == v.n;
        case WHO_ALL:
                break;
        }
        return false;
}

static bool parse_who(struct cursor *c, struct line *l)
{
        if (take_word(c, "ALL"))
                return true;
        if (take_word(c, "class "))
                l->who = WHO_CLASS;
        else if (take_word(c, "code "))
                l->who = WHO_CODE;
        else if (take_word(c, "role "))
                l->who = WHO_ROLE;
        else if (take_word(c, "region "))
                l->who = WHO_REGION;
        else
                return false;
        l->values = ARENA_ARRAY(c->arena, struct bytes, SCOPE_VALUES_MAX);
        if (!l->values)
                return false;
        do {
                struct bytes v = take_value(c);

                if (l->values_n == SCOPE_VALUES_MAX || !value_fits(l->who, v))
                        return false;
                if (l->values_n && bytes_compare(l->values[l->values_n - 1], v) >= 0)
                        return false;           /* not sorted, or twice */
                l->values[l->values_n++] = v;
        } while (take_word(c, ","));
        return true;
}

static bool parse_uses(struct cursor *c, struct line *l)
{
        struct bytes last = { 0 };

        if (take_word(c, "ANY"))
                return true;
        do {
                struct bytes v = take_value(c);
                char text[32];
                uint32_t use;

                if (v.n == 0 || v.n >= sizeof(text) || (last.n && bytes_compare(last, v) >= 0))
                        return false;
                memcpy(text, v.p, v.n);
                text[v.n] = 0;
                use = word_find(LIST_use_class, text);
                if (use == 0)
                        return false;
                l->uses |= 1u << use;
                last = v;
        } while (take_word(c, ","));
        return true;
}

static bool take_number(struct cursor *c, uint32_t *ret)
{
        uint32_t v = 0;

        if (c->p == c->end || *c->p < '1' || *c->p > '9')
                return false;
        while (c->p < c->end && *c->p >= '0' && *c->p <= '9') {
                if (v > 99999)
                        return false;
                v = v * 10 + (uint32_t)(*c->p++ - '0');
        }
        *ret = v;
        return true;
}

static bool parse_items(struct cursor *c, struct line *l)
{
        if (take_word(c, "ALL"))
                return true;
        l->ranges = ARENA_ARRAY(c->arena, struct range, SCOPE_VALUES_MAX);
        if (!l->ranges)
                return false;
        do {
                struct range r;

                if (l->ranges_n == SCOPE_VALUES_MAX || !take_number(c, &r.from))
                        return false;
                r.to = r.from;
                if (take_word(c, "-") && (!take_number(c, &r.to) || r.to <= r.from))
                        return false;
                if (l->ranges_n && r.from <= l->ranges[l->ranges_n - 1].to + 1)
                        return false;           /* not ascending, or not merged */
                l->ranges[l->ranges_n++] = r;
        } while (take_word(c, ","));
        return true;
}

static const char *parse_line(struct cursor *c, struct line *l)
{
        if (!parse_who(c, l))
                return "who";
        if (!take_word(c, " : ") || !parse_uses(c, l))
                return "uses";
        if (!take_word(c, " : ") || !parse_items(c, l))
                return "items";
        return NULL;
}

const struct scope *scope_parse(struct arena *a, const char *text, const char **ret_why)
{
        struct cursor c = { text, text + strlen(text), a };
        const char *wrong = strlen(text) > SCOPE_MAX_BYTES ? "length" : NULL;
        struct scope *s = ARENA_NEW(a, struct scope);

        if (!s)
                return NULL;
        while (!wrong) {
                if (s->n == SCOPE_LINES_MAX) {
                        wrong = "count";
                        break;
                }
                wrong = parse_line(&c, &s->lines[s->n++]);
                if (wrong || c.p == c.end)
                        break;
                if (!take_word(&c, "; "))
                        wrong = "end";
        }
        if (!wrong)
                return s;
        if (ret_why)
                *ret_why = arena_printf(a, "line %u: %s", s->n, wrong);
        return NULL;
}

unsigned scope_lines(const struct scope *s)
{
        return s->n;
}

void scope_region(const char *code, char ret[7])
{
        size_t n = strlen(code) == 18 ? 6 : 0;

        memcpy(ret, code + (n ? 2 : 0), n);
        ret[n] = 0;
        while (n >= 2 && ret[n - 1] == '0' && ret[n - 2] == '0') {
                n -= 2;
                ret[n] = 0;
        }
}

static bool has_value(const struct line *l, struct bytes v)
{
        for (unsigned i = 0; i < l->values_n; i++)
                if (bytes_equal(l->values[i], v))
                        return true;
        return false;
}

static bool region_begins(const struct line *l, const char *code)
{
        char region[7];

        scope_region(code, region);
        for (unsigned i = 0; i < l->values_n; i++) {
                char value[7] = { 0 };
                size_t n = l->values[i].n;

                memcpy(value, l->values[i].p, n);
                while (n > 2 && n % 2 == 0 && value[n - 1] == '0' && value[n - 2] == '0')
                        n -= 2;
                if (bytes_has_prefix(bytes_str(region), bytes_of(value, n)))
                        return true;
        }
        return false;
}

static bool line_names(const struct line *l, const Shuyi__V1__Department *d)
{
        const char *class;

        switch (l->who) {
        case WHO_ALL:
                return true;
        case WHO_CLASS:
                class = word_name(LIST_dept_class, d->dept_class);
                return class && has_value(l, bytes_str(class));
        case WHO_CODE:
                return has_value(l, bytes_str(d->code));
        case WHO_ROLE:
                return d->authority && has_value(l, bytes_str("AUTHORITY"));
        case WHO_REGION:
                return region_begins(l, d->code);
        }
        return false;
}

static bool line_covers(const struct line *l, uint32_t item)
{
        if (l->ranges_n == 0)
                return true;
        for (unsigned i = 0; i < l->ranges_n; i++)
                if (l->ranges[i].from <= item && item <= l->ranges[i].to)
                        return true;
        return false;
}

bool scope_allows(const struct scope *s, const Shuyi__V1__Department *d, enum use_class use, const uint32_t *items, size_t n)
{
        if (!s)
                return true;
        for (size_t i = 0; i < n; i++) {
                bool covered = false;

                for (unsigned k = 0; k < s->n && !covered; k++) {
                        const struct line *l = &s->lines[k];

                        covered = (l->uses == 0 || (l->uses & (1u << use))) && line_covers(l, items[i]) && line_names(l, d);
                }
                if (!covered)
                        return false;
        }
        return true;
}
