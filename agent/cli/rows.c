/* rows: pages of the center's state. */
#include "agent/cli/rows.h"
#include "agent/cli/client.h"
#include "common/envelope.h"
#include "common/message_json.h"
#include "proto/audit.pb-c.h"
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

struct fetch { const struct rows_view *view; json_t *list; };

static const char *key_text(struct cli *c, const struct rows_view *view, struct bytes key)
{
        switch (view->key_form) {
        case ROWS_KEY_TEXT:
                return arena_printf(c->arena, "%.*s", (int)key.n, (const char *)key.p);
        case ROWS_KEY_PERSON:
                return key.n > 18 ? client_hex(c, bytes_of(key.p + 18, key.n - 18)) : "";
        case ROWS_KEY_VERSION:
                return key.n > 4 ? arena_printf(c->arena, "%.*s", (int)key.n - 4, (const char *)key.p + 4) : "";
        default:
                return client_hex(c, key);
        }
}

static int take_row(struct cli *c, struct bytes b, void *ctx)
{
        struct fetch *f = ctx;
        const Shuyi__V1__ReadRow *r = message_parse(c->arena, &shuyi__v1__read_row__descriptor, b);
        const ProtobufCMessage *m = r ? message_parse(c->arena, f->view->row, bytes_of(r->row.data, r->row.len)) : NULL;
        json_t *row = m ? message_json_print(m) : NULL;

        if (!row) {
                cli_error("a row of the answer is not of the form that this version knows");
                return -1;
        }
        if (r->key.len)
                json_object_set_new(row, f->view->key_name, json_string(key_text(c, f->view, bytes_of(r->key.data, r->key.len))));
        if (f->view->key_form == ROWS_KEY_VERSION && r->key.len > 4)
                json_object_set_new(row, "version", json_integer(get_be32(r->key.data)));
        return json_array_append_new(f->list, row);
}

static json_t *fetch_rows(struct cli *c, const struct rows_view *view, struct bytes key, int *ret_code)
{
        struct fetch f = { view, json_array() };
        struct client_query q = { .what = view->what, .key = key };

        *ret_code = client_read(c, &q, take_row, &f);
        if (*ret_code == CLI_OK)
                return f.list;
        json_decref(f.list);
        return NULL;
}

json_t *rows_fetch(struct cli *c, const struct rows_view *view, struct bytes key)
{
        int code;

        return fetch_rows(c, view, key, &code);
}

const json_t *rows_find(const json_t *row, const char *path)
{
        char name[64];

        while (row && *path) {
                size_t n = strcspn(path, ".");
                if (n >= sizeof name)
                        return NULL;
                memcpy(name, path, n);
                name[n] = 0;
                row = json_object_get(row, name);
                path += n + (path[n] == '.');
        }
        return row;
}

/* How many terminal columns a UTF-8 text takes: Chinese characters take two. */
static int text_columns(const char *text)
{
        int columns = 0;

        for (const unsigned char *p = (const unsigned char *)text; *p; p++)
                if ((*p & 0xc0) != 0x80)
                        columns += *p >= 0xe2 ? 2 : 1;
        return columns;
}

static void write_cell(const json_t *value, FILE *out)
{
        char *text;
        size_t i;
        const json_t *part;

        if (json_is_array(value)) {
                json_array_foreach(value, i, part) {
                        fputs(i ? "," : "", out);
                        write_cell(part, out);
                }
        } else if (json_is_string(value)) {
                fputs(json_string_value(value), out);
        } else if (value && (text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT))) {
                fputs(text, out);
                free(text);
        } else {
                fputs("-", out);
        }
}

static void print_cell(const json_t *value, int width, FILE *out)
{
        char *text = NULL;
        size_t n;
        FILE *memory = open_memstream(&text, &n);

        if (!memory)
                return;
        write_cell(value, memory);
        fclose(memory);
        int used = text ? text_columns(text) : 0;

        fprintf(out, "%s%*s", text ? text : "", used < width ? width - used + 2 : 2, "");
        free(text);
}

static const struct rows_column *columns_shown;

static void print_rows(const struct cli *c, const json_t *list, FILE *out)
{
        size_t i;
        const json_t *row;

        for (const struct rows_column *k = columns_shown; k->title; k++)
                fprintf(out, "%-*s  ", k->width, k->title);
        fputc('\n', out);
        json_array_foreach(list, i, row) {
                for (const struct rows_column *k = columns_shown; k->title; k++)
                        print_cell(rows_find(row, k->path), k->width, out);
                fputc('\n', out);
        }
}

int rows_print(struct cli *c, const struct rows_view *view, struct bytes key, bool (*filter)(const struct cli *c, const json_t *row))
{
        int code;
        json_t *list = fetch_rows(c, view, key, &code);

        if (!list)
                return code;
        for (size_t i = json_array_size(list); filter && i-- > 0;)
                if (!filter(c, json_array_get(list, i)))
                        json_array_remove(list, i);
        columns_shown = view->columns;
        cli_print(c, list, print_rows);
        return CLI_OK;
}
