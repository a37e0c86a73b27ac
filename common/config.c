/* config: walks a YAML document beside the table of keys.
 *
 * The document is taken whole (libyaml's document API gives each node its position), every node is matched with a key,
 * every key then gets its value, its default or an error.  Recursion follows the table's paths, so that its depth
 * is theirs and an alias to its own ancestor ends as an unknown key. */
#include "common/config_internal.h"
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>
#include "common/macro.h"

#define FILE_MAX_BYTES (1u << 20)

struct walk {
        yaml_document_t *doc;
        struct config *config;
        struct config_errors *errors;
        const char *dir;
        bool failed;                            /* memory */
};

__attribute__((format(printf, 4, 5)))
static void add_error(struct config_errors *e, const yaml_mark_t *mark, const char *path, const char *format, ...)
{
        struct config_error *error;
        va_list ap;

        if (e->n == CONFIG_ERRORS_MAX)
                return;
        error = &e->at[e->n++];
        error->line = mark ? (unsigned)mark->line + 1 : 0;
        error->column = mark ? (unsigned)mark->column + 1 : 0;
        snprintf(error->path, sizeof(error->path), "%s", path);
        va_start(ap, format);
        vsnprintf(error->text, sizeof(error->text), format, ap);
        va_end(ap);
}

/* -- Finding keys. -- */

static int find_key(const struct config *c, const char *path)
{
        for (unsigned i = 0; i < c->n; i++)
                if (strcmp(c->keys[i].path, path) == 0)
                        return (int)i;
        return -1;
}

/* Is there a key whose path begins with `path` and goes on with `next`? */
static bool leads_on(const struct config *c, const char *path, const char *next)
{
        size_t n = strlen(path), m = strlen(next);

        for (unsigned i = 0; i < c->n; i++)
                if (strncmp(c->keys[i].path, path, n) == 0 && strncmp(c->keys[i].path + n, next, m) == 0)
                        return true;
        return false;
}

/* -- Taking values. -- */

static void value_free(struct config_value *v)
{
        free(v->text);
        for (unsigned i = 0; i < v->list_count; i++)
                free(v->list[i]);
        free(v->list);
        *v = (struct config_value){0};
}

static bool is_plain(const yaml_node_t *node)
{
        return node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static const char *scalar_text(const yaml_node_t *node)
{
        const char *text = (const char *)node->data.scalar.value;

        return strlen(text) == node->data.scalar.length ? text : NULL;          /* a NUL inside is no text */
}

static void take_list(struct walk *w, const struct config_key *key, const char *name, const yaml_node_t *node, struct config_value *v)
{
        static const struct config_key member = { .type = CONFIG_STRING };
        int64_t n = node->data.sequence.items.top - node->data.sequence.items.start;

        if ((key->min != 0 || key->max != 0) && (n < key->min || n > key->max)) {
                add_error(w->errors, &node->start_mark, name, "must have %lld to %lld members", (long long)key->min, (long long)key->max);
                return;
        }
        v->list = calloc(n > 0 ? (size_t)n : 1, sizeof(*v->list));
        if (!v->list) {
                w->failed = true;
                return;
        }
        for (int64_t i = 0; i < n; i++) {
                const yaml_node_t *item = yaml_document_get_node(w->doc, node->data.sequence.items.start[i]);
                const char *text = item->type == YAML_SCALAR_NODE ? scalar_text(item) : NULL;
                struct config_value one = {0};
                char problem[CONFIG_PROBLEM_BYTES];

                if (!text)
                        add_error(w->errors, &item->start_mark, name, "members must be text");
                else if (!config_value_parse(&member, text, is_plain(item), NULL, &one, problem))
                        add_error(w->errors, &item->start_mark, name, "%s", problem);
                if (text && one.text)
                        v->list[v->list_count++] = TAKE(one.text);
                free(one.text);
        }
}

static void take_value(struct walk *w, int index, unsigned member, const yaml_node_t *node)
{
        const struct config_key *key = &w->config->keys[index];
        struct config_value *v = &w->config->slots[index].values[member];
        char name[CONFIG_PATH_BYTES], problem[CONFIG_PROBLEM_BYTES];
        const char *text;

        config_name_member(key->path, member, name);
        v->set = true;
        v->line = (unsigned)node->start_mark.line + 1;
        v->column = (unsigned)node->start_mark.column + 1;
        if (key->type == CONFIG_LIST && node->type == YAML_SEQUENCE_NODE) {
                take_list(w, key, name, node, v);
                return;
        }
        if (key->type == CONFIG_LIST || node->type != YAML_SCALAR_NODE) {
                add_error(w->errors, &node->start_mark, name, "must be a %s", config_type_name(key->type));
                return;
        }
        text = scalar_text(node);
        if (!text || (*text == '\0' && is_plain(node)))
                add_error(w->errors, &node->start_mark, name, "has no value");
        else if (!config_value_parse(key, text, is_plain(node), w->dir, v, problem))
                add_error(w->errors, &node->start_mark, name, "%s", problem);
}

/* -- Walking. -- */

static void walk_mapping(struct walk *w, const yaml_node_t *node, const char *prefix, unsigned member);

/* All keys of the list at `path` get a value for each of `n` members. */
static void make_members(struct walk *w, const char *path, unsigned n)
{
        size_t len = strlen(path);

        for (unsigned i = 0; i < w->config->n; i++) {
                struct slot *slot = &w->config->slots[i];

                if (strncmp(w->config->keys[i].path, path, len) != 0 || strncmp(w->config->keys[i].path + len, "[]", 2) != 0 || slot->values)
                        continue;
                slot->values = calloc(n > 0 ? n : 1, sizeof(*slot->values));
                if (slot->values)
                        slot->count = n;
                else
                        w->failed = true;
        }
}

/* What each member must have, as its position is known here. */
static void require_in_member(struct walk *w, const yaml_node_t *node, const char *path, unsigned member)
{
        size_t len = strlen(path);

        for (unsigned i = 0; i < w->config->n; i++) {
                const struct config_key *key = &w->config->keys[i];
                char name[CONFIG_PATH_BYTES];

                if (strncmp(key->path, path, len) != 0 || !(key->flags & CONFIG_REQUIRED) || w->config->slots[i].values[member].set)
                        continue;
                config_name_member(key->path, member, name);
                add_error(w->errors, &node->start_mark, name, "is missing");
        }
}

static void walk_members(struct walk *w, const yaml_node_t *node, const char *path)
{
        char inner[CONFIG_PATH_BYTES + 2];
        unsigned n;

        if (node->type != YAML_SEQUENCE_NODE) {
                add_error(w->errors, &node->start_mark, path, "must be a list of mappings");
                return;
        }
        n = (unsigned)(node->data.sequence.items.top - node->data.sequence.items.start);
        make_members(w, path, n);
        snprintf(inner, sizeof(inner), "%s[]", path);
        for (unsigned i = 0; i < n && !w->failed; i++) {
                const yaml_node_t *item = yaml_document_get_node(w->doc, node->data.sequence.items.start[i]);

                if (item->type != YAML_MAPPING_NODE) {
                        add_error(w->errors, &item->start_mark, path, "members must be mappings");
                        continue;
                }
                walk_mapping(w, item, inner, i);
                require_in_member(w, item, inner, i);
        }
}

static void walk_pair(struct walk *w, const yaml_node_t *key, const yaml_node_t *value, const char *path, unsigned member)
{
        int index = find_key(w->config, path);
        char name[CONFIG_PATH_BYTES];

        config_name_member(path, member, name);
        if (index >= 0) {
                take_value(w, index, member, value);
        } else if (leads_on(w->config, path, "[].")) {
                walk_members(w, value, path);
        } else if (leads_on(w->config, path, ".")) {
                if (value->type == YAML_MAPPING_NODE)
                        walk_mapping(w, value, path, member);
                else
                        add_error(w->errors, &value->start_mark, name, "must be a mapping of keys");
        } else {
                add_error(w->errors, &key->start_mark, name, "unknown key");
        }
}

/* Does the same key stand before `pair`? */
static bool is_repeated(struct walk *w, const yaml_node_t *mapping, const yaml_node_pair_t *pair, const char *name)
{
        for (const yaml_node_pair_t *p = mapping->data.mapping.pairs.start; p < pair; p++) {
                const yaml_node_t *key = yaml_document_get_node(w->doc, p->key);

                if (key->type == YAML_SCALAR_NODE && strcmp((const char *)key->data.scalar.value, name) == 0)
                        return true;
        }
        return false;
}

static void walk_mapping(struct walk *w, const yaml_node_t *node, const char *prefix, unsigned member)
{
        for (const yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top && !w->failed; p++) {
                const yaml_node_t *key = yaml_document_get_node(w->doc, p->key);
                const char *text = key->type == YAML_SCALAR_NODE ? scalar_text(key) : NULL;
                char path[CONFIG_PATH_BYTES];

                if (!text) {
                        add_error(w->errors, &key->start_mark, prefix, "keys must be text");
                        continue;
                }
                if (snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix ? "." : "", text) >= (int)sizeof(path))
                        add_error(w->errors, &key->start_mark, path, "unknown key");
                else if (is_repeated(w, node, p, text))
                        add_error(w->errors, &key->start_mark, path, "stands here twice");
                else
                        walk_pair(w, key, yaml_document_get_node(w->doc, p->value), path, member);
        }
}

/* -- Defaults. -- */

static void take_default(struct walk *w, const struct config_key *key, struct config_value *v)
{
        char problem[CONFIG_PROBLEM_BYTES];

        if (v->set || !key->fallback || key->type == CONFIG_LIST)
                return;
        if (!config_value_parse(key, key->fallback, true, w->dir, v, problem))
                add_error(w->errors, NULL, key->path, "its default %s %s", key->fallback, problem);
}

static void complete(struct walk *w)
{
        for (unsigned i = 0; i < w->config->n; i++) {
                const struct config_key *key = &w->config->keys[i];
                struct slot *slot = &w->config->slots[i];

                if (!config_in_list(key) && (key->flags & CONFIG_REQUIRED) && !slot->values[0].set)
                        add_error(w->errors, NULL, key->path, "is missing");
                for (unsigned m = 0; m < slot->count; m++)
                        take_default(w, key, &slot->values[m]);
        }
}

/* -- Loading. -- */

static struct config *config_new(const struct config_key *keys, unsigned n)
{
        struct config *c = calloc(1, sizeof(*c));

        if (!c)
                return NULL;
        c->keys = keys;
        c->n = n;
        c->slots = calloc(n ? n : 1, sizeof(*c->slots));
        for (unsigned i = 0; c->slots && i < n; i++) {
                if (config_in_list(&keys[i]))
                        continue;
                c->slots[i].values = calloc(1, sizeof(*c->slots[i].values));
                if (!c->slots[i].values) {
                        config_free(c);
                        return NULL;
                }
                c->slots[i].count = 1;
        }
        if (!c->slots) {
                free(c);
                return NULL;
        }
        return c;
}

void config_free(struct config *c)
{
        if (!c)
                return;
        for (unsigned i = 0; i < c->n; i++) {
                for (unsigned m = 0; m < c->slots[i].count; m++)
                        value_free(&c->slots[i].values[m]);
                free(c->slots[i].values);
        }
        free(c->slots);
        free(c);
}

void config_freep(struct config **c)
{
        config_free(*c);
}

static void walk_document(struct walk *w)
{
        const yaml_node_t *root = yaml_document_get_root_node(w->doc);

        if (!root)
                return;                         /* an empty file: all defaults, if nothing is required */
        if (root->type == YAML_MAPPING_NODE)
                walk_mapping(w, root, "", 0);
        else
                add_error(w->errors, &root->start_mark, "", "the file must be a mapping of keys");
}

/* One document, and nothing after it. */
static void read_documents(struct walk *w, const char *text, size_t len)
{
        yaml_document_t doc, second;
        yaml_parser_t parser;

        if (!yaml_parser_initialize(&parser)) {
                w->failed = true;
                return;
        }
        yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
        if (!yaml_parser_load(&parser, &doc)) {
                add_error(w->errors, &parser.problem_mark, "", "%s", parser.problem ? parser.problem : "does not parse");
        } else {
                w->doc = &doc;
                walk_document(w);
                if (!yaml_parser_load(&parser, &second)) {
                        add_error(w->errors, &parser.problem_mark, "", "%s", parser.problem ? parser.problem : "does not parse");
                } else {
                        if (yaml_document_get_root_node(&second))
                                add_error(w->errors, &second.start_mark, "", "a second document");
                        yaml_document_delete(&second);
                }
                yaml_document_delete(&doc);
        }
        yaml_parser_delete(&parser);
}

/* Errors in the order of the file; those of the whole file last. */
static int compare_errors(const void *a, const void *b)
{
        const struct config_error *x = a, *y = b;
        uint64_t p = ((uint64_t)(x->line - 1) << 32) | x->column, q = ((uint64_t)(y->line - 1) << 32) | y->column;

        return p < q ? -1 : p > q;
}

static int parse_into(const char *text, size_t len, const char *dir, const struct config_key *keys, unsigned n,
                      struct config_errors *errors, struct config **ret)
{
        _cleanup_(config_freep) struct config *c = config_new(keys, n);
        struct walk w = { .config = c, .errors = errors, .dir = dir };

        if (!c)
                return -ENOMEM;
        read_documents(&w, text, len);
        if (w.failed)
                return -ENOMEM;
        complete(&w);
        qsort(errors->at, errors->n, sizeof(errors->at[0]), compare_errors);
        if (errors->n > 0)
                return -EINVAL;
        *ret = TAKE(c);
        return 0;
}

static void freep(char **p) { free(*p); }

int config_parse(const char *text, size_t len, const char *path, const struct config_key *keys, unsigned n,
                 struct config **ret, struct config_errors **ret_errors)
{
        struct config_errors *errors = calloc(1, sizeof(*errors));
        _cleanup_(freep) char *dir = strdup(path);
        char *slash = dir ? strrchr(dir, '/') : NULL;
        int r = -ENOMEM;

        if (errors && dir) {
                if (slash)
                        *slash = '\0';
                r = parse_into(text, len, slash ? dir : ".", keys, n, errors, ret);
        }
        if (ret_errors)
                *ret_errors = TAKE(errors);
        free(errors);
        return r;
}

/* The whole file, malloc'ed. */
static int read_file(const char *path, char **ret, size_t *ret_len)
{
        _cleanup_(freep) char *text = malloc(FILE_MAX_BYTES + 1);
        FILE *f = fopen(path, "re");
        size_t n;
        int r = 0;

        if (!f)
                return -errno;
        if (!text) {
                fclose(f);
                return -ENOMEM;
        }
        n = fread(text, 1, FILE_MAX_BYTES + 1, f);
        if (ferror(f))
                r = errno ? -errno : -EIO;
        else if (n > FILE_MAX_BYTES)
                r = -EFBIG;
        fclose(f);
        if (r < 0)
                return r;
        *ret = TAKE(text);
        *ret_len = n;
        return 0;
}

int config_load(const char *path, const struct config_key *keys, unsigned n, struct config **ret, struct config_errors **ret_errors)
{
        _cleanup_(freep) char *text = NULL;
        size_t len = 0;
        int r = read_file(path, &text, &len);

        if (r == 0)
                return config_parse(text, len, path, keys, n, ret, ret_errors);
        if (ret_errors) {
                *ret_errors = calloc(1, sizeof(**ret_errors));
                if (*ret_errors)
                        add_error(*ret_errors, NULL, "", "%s", strerror(-r));
        }
        return r;
}
