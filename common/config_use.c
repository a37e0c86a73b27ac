/* config_use: values by key, differences, and what is printed: errors, values, the manual. */
#include "common/config_internal.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool config_in_list(const struct config_key *key)
{
        return strstr(key->path, "[]") != NULL;
}

void config_name_member(const char *path, unsigned member, char ret[CONFIG_PATH_BYTES])
{
        const char *brackets = strstr(path, "[]");

        if (brackets)
                snprintf(ret, CONFIG_PATH_BYTES, "%.*s[%u]%s", (int)(brackets - path), path, member, brackets + 2);
        else
                snprintf(ret, CONFIG_PATH_BYTES, "%s", path);
}

/* -- Errors. -- */

unsigned config_errors_count(const struct config_errors *e)
{
        return e ? e->n : 0;
}

const struct config_error *config_errors_at(const struct config_errors *e, unsigned i)
{
        assert(i < e->n);
        return &e->at[i];
}

void config_errors_print(const struct config_errors *e, const char *file, FILE *to)
{
        for (unsigned i = 0; i < config_errors_count(e); i++) {
                const struct config_error *x = &e->at[i];

                if (x->line > 0)
                        fprintf(to, "%s:%u:%u: ", file, x->line, x->column);
                else
                        fprintf(to, "%s: ", file);
                fprintf(to, "%s%s%s\n", x->path, *x->path ? ": " : "", x->text);
        }
}

void config_errors_free(struct config_errors *e)
{
        free(e);
}

/* -- Values. -- */

static const struct config_value *value_of(const struct config *c, unsigned key, unsigned member)
{
        assert(key < c->n && member < c->slots[key].count);
        return &c->slots[key].values[member];
}

void config_print_wrong(const struct config *c, unsigned key, unsigned i, const char *file, const char *text, FILE *to)
{
        const struct config_value *v = value_of(c, key, i);
        char name[CONFIG_PATH_BYTES];

        config_name_member(c->keys[key].path, i, name);
        if (v->set)
                fprintf(to, "%s:%u:%u: %s: %s\n", file, v->line, v->column, name, text);
        else
                fprintf(to, "%s: %s: %s\n", file, name, text);
}

const char *config_string_at(const struct config *c, unsigned key, unsigned i)
{
        const struct config_value *v = value_of(c, key, i);

        return v->text ? v->text : "";
}

int64_t config_int_at(const struct config *c, unsigned key, unsigned i)
{
        assert(c->keys[key].type == CONFIG_INT || c->keys[key].type == CONFIG_BYTES || c->keys[key].type == CONFIG_DURATION);
        return value_of(c, key, i)->number;
}

bool config_bool_at(const struct config *c, unsigned key, unsigned i)
{
        assert(c->keys[key].type == CONFIG_BOOL);
        return value_of(c, key, i)->number != 0;
}

bool config_is_set_at(const struct config *c, unsigned key, unsigned i)
{
        return value_of(c, key, i)->set;
}

const char *config_string(const struct config *c, unsigned key) { return config_string_at(c, key, 0); }
int64_t config_int(const struct config *c, unsigned key) { return config_int_at(c, key, 0); }
bool config_bool(const struct config *c, unsigned key) { return config_bool_at(c, key, 0); }
bool config_is_set(const struct config *c, unsigned key) { return config_is_set_at(c, key, 0); }

unsigned config_count(const struct config *c, unsigned key)
{
        assert(key < c->n && config_in_list(&c->keys[key]));
        return c->slots[key].count;
}

unsigned config_list_count(const struct config *c, unsigned key)
{
        assert(c->keys[key].type == CONFIG_LIST);
        return value_of(c, key, 0)->list_count;
}

const char *config_list_at(const struct config *c, unsigned key, unsigned i)
{
        const struct config_value *v = value_of(c, key, 0);

        assert(c->keys[key].type == CONFIG_LIST && i < v->list_count);
        return v->list[i];
}

static bool values_equal(const struct config_value *a, const struct config_value *b)
{
        if ((a->text == NULL) != (b->text == NULL) || (a->text && strcmp(a->text, b->text) != 0) || a->list_count != b->list_count)
                return false;
        for (unsigned i = 0; i < a->list_count; i++)
                if (strcmp(a->list[i], b->list[i]) != 0)
                        return false;
        return true;
}

int config_first_fixed_change(const struct config *old, const struct config *new)
{
        assert(old->keys == new->keys);
        for (unsigned i = 0; i < old->n; i++) {
                if (old->keys[i].flags & CONFIG_RELOAD)
                        continue;
                if (old->slots[i].count != new->slots[i].count)
                        return (int)i;
                for (unsigned m = 0; m < old->slots[i].count; m++)
                        if (!values_equal(&old->slots[i].values[m], &new->slots[i].values[m]))
                                return (int)i;
        }
        return -1;
}

/* -- Printing. -- */

static void print_value(const struct config_key *key, const struct config_value *v, unsigned member, FILE *to)
{
        char name[CONFIG_PATH_BYTES];

        config_name_member(key->path, member, name);
        fprintf(to, "%s:", name);
        if ((key->flags & CONFIG_HIDDEN) && v->text)
                fputs(" (set)", to);
        else if (v->text)
                fprintf(to, " %s", v->text);
        for (unsigned i = 0; i < v->list_count; i++)
                fprintf(to, "%s%s", i ? ", " : " ", v->list[i]);
        if (v->set)
                fprintf(to, "  # line %u\n", v->line);
        else
                fprintf(to, "  # %s\n", v->text ? "default" : "not set");
}

void config_print(const struct config *c, FILE *to)
{
        for (unsigned i = 0; i < c->n; i++)
                for (unsigned m = 0; m < c->slots[i].count; m++)
                        print_value(&c->keys[i], &c->slots[i].values[m], m, to);
}

static bool is_counted(enum config_type type)
{
        return type == CONFIG_INT || type == CONFIG_BYTES || type == CONFIG_DURATION;
}

/* "number of agents, 1 to 64" */
static void print_kind(const struct config_key *key, FILE *to)
{
        char low[32], high[32];

        fputs(config_type_name(key->type), to);
        if (*key->unit)
                fprintf(to, " of %s", key->unit);
        if (key->min == 0 && key->max == 0)
                return;
        config_value_format(is_counted(key->type) ? key->type : CONFIG_INT, key->min, low);
        config_value_format(is_counted(key->type) ? key->type : CONFIG_INT, key->max, high);
        if (key->min == key->max)
                fprintf(to, ", %s", low);
        else
                fprintf(to, ", %s to %s", low, high);
        fputs(is_counted(key->type) ? "" : key->type == CONFIG_LIST ? " members" : " bytes", to);
}

void config_print_manual(const struct config_key *keys, unsigned n, FILE *to)
{
        for (unsigned i = 0; i < n; i++) {
                fprintf(to, "*%s*\n\t", keys[i].path);
                print_kind(&keys[i], to);
                if (keys[i].flags & CONFIG_REQUIRED)
                        fputs("; required", to);
                else if (keys[i].fallback)
                        fprintf(to, "; default %s", *keys[i].fallback ? keys[i].fallback : "empty");
                if (keys[i].flags & CONFIG_RELOAD)
                        fputs("; SIGHUP", to);
                fprintf(to, ". %s\n\n", keys[i].help);
        }
}
