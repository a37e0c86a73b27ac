/* log: formats a line into a buffer on the stack and writes it with one system call.
 *
 * The JSON is made by hand, as a line must come out when memory is short and must not wait for a lock. */
#include "common/log.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "common/macro.h"

#define LINE_MAX_BYTES 4096
#define LINE_TAIL_BYTES 16                      /* kept for ,"cut":true} and LF */

static struct { char program[32]; int max_level, fd; } self = { "shuyi", LOG_INFO, STDERR_FILENO };

static const char *const level_names[] = { "emergency", "alert", "critical", "error", "warning", "notice", "info", "debug" };

struct line { char *p; size_t n, size; bool cut; };

/* All of it or nothing, so that what is cut stays JSON. */
static void line_add(struct line *l, const char *s, size_t n)
{
        if (l->cut || n > l->size - l->n) {
                l->cut = true;
                return;
        }
        memcpy(l->p + l->n, s, n);
        l->n += n;
}

/* How long the well-formed UTF-8 sequence at `s` is; 0 if it is none. */
static size_t utf8_length(const uint8_t *s, size_t left)
{
        for (size_t n = 2; n <= 4 && n <= left; n++)
                if (utf8_check(bytes_of(s, n)))
                        return n;
        return 0;
}

static void line_add_text(struct line *l, const char *text)
{
        const uint8_t *s = (const uint8_t *)text;
        size_t left = strlen(text);

        line_add(l, "\"", 1);
        while (left > 0) {
                char escaped[8];
                size_t n = 1;

                if (*s == '"' || *s == '\\') {
                        line_add(l, escaped, (size_t)snprintf(escaped, sizeof(escaped), "\\%c", *s));
                } else if (*s < 0x20 || *s == 0x7f) {
                        line_add(l, escaped, (size_t)snprintf(escaped, sizeof(escaped), "\\u%04x", *s));
                } else if (*s < 0x80) {
                        line_add(l, (const char *)s, 1);
                } else if ((n = utf8_length(s, left)) > 0) {
                        line_add(l, (const char *)s, n);
                } else {
                        n = 1;
                        line_add(l, "?", 1);
                }
                s += n;
                left -= n;
        }
        line_add(l, "\"", 1);
}

static void line_add_hex(struct line *l, struct bytes b)
{
        char two[3];

        line_add(l, "\"", 1);
        for (size_t i = 0; i < b.n; i++)
                line_add(l, two, (size_t)snprintf(two, sizeof(two), "%02x", b.p[i]));
        line_add(l, "\"", 1);
}

static void line_add_errno(struct line *l, int64_t r)
{
        const char *name = strerrorname_np((int)(r < 0 ? -r : r));

        line_add_text(l, name ? name : "UNKNOWN");
}

static void line_add_double(struct line *l, double d)
{
        char number[32];

        if (!isfinite(d))
                line_add(l, "null", 4);
        else
                line_add(l, number, (size_t)snprintf(number, sizeof(number), "%.9g", d));
}

static void line_add_value(struct line *l, const struct log_field *f)
{
        char number[24];

        switch (f->type) {
        case LOG_U64_:
                line_add(l, number, (size_t)snprintf(number, sizeof(number), "%llu", (unsigned long long)f->u));
                break;
        case LOG_I64_:
                line_add(l, number, (size_t)snprintf(number, sizeof(number), "%lld", (long long)f->i));
                break;
        case LOG_STR_:
                f->s ? line_add_text(l, f->s) : line_add(l, "null", 4);
                break;
        case LOG_HEX_:
                line_add_hex(l, f->h);
                break;
        case LOG_BOOL_:
                f->b ? line_add(l, "true", 4) : line_add(l, "false", 5);
                break;
        case LOG_ERRNO_:
                line_add_errno(l, f->i);
                break;
        case LOG_DOUBLE_:
                line_add_double(l, f->d);
                break;
        case LOG_NONE_:
                line_add(l, "null", 4);
                break;
        }
}

static void line_add_field(struct line *l, const struct log_field *f)
{
        size_t before = l->n;

        line_add(l, l->n > 1 ? ",\"" : "\"", l->n > 1 ? 2 : 1);
        line_add(l, f->name, strlen(f->name));
        line_add(l, "\":", 2);
        line_add_value(l, f);
        if (l->cut)
                l->n = before;                  /* a field is there whole, or not at all */
}

size_t log_format(int level, const char *event, const struct log_field *fields, size_t n, struct wall_time now, char *ret, size_t size)
{
        struct line l = { .p = ret, .size = size - LINE_TAIL_BYTES };
        char at[25];

        assert(size >= 256);
        times_format_utc(now, at);
        line_add(&l, "{", 1);
        line_add_field(&l, &(struct log_field){ "time", LOG_STR_, { .s = at } });
        line_add_field(&l, &(struct log_field){ "level", LOG_STR_, { .s = level_names[level & 7] } });
        line_add_field(&l, &(struct log_field){ "program", LOG_STR_, { .s = self.program } });
        line_add_field(&l, &(struct log_field){ "event", LOG_STR_, { .s = event } });
        for (size_t i = 0; i < n; i++)
                if (fields[i].type != LOG_NONE_)
                        line_add_field(&l, &fields[i]);
        l.size = size;
        if (l.cut) {
                l.cut = false;
                line_add(&l, ",\"cut\":true", 11);
        }
        line_add(&l, "}", 1);
        return l.n;
}

void log_write(int level, const char *event, const struct log_field *fields, size_t n)
{
        char text[LINE_MAX_BYTES + 1];
        size_t len;

        if (level > self.max_level)
                return;
        len = log_format(level, event, fields, n, times_wall(), text, sizeof(text) - 1);
        text[len++] = '\n';
        if (write(self.fd, text, len) < 0)
                return;                         /* there is nowhere left to say it */
}

void log_init(const char *program, int max_level)
{
        snprintf(self.program, sizeof(self.program), "%s", program);
        self.max_level = max_level;
}

void log_set_fd(int fd)
{
        self.fd = fd;
}

int log_level_parse(const char *name)
{
        for (unsigned i = 0; i < ELEMENTS(level_names); i++)
                if (strcmp(name, level_names[i]) == 0)
                        return (int)i;
        return -1;
}
