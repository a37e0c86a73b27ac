/* view: grouping of grants, cutting of records.  See view.h. */
#include "agent/view.h"

#include <stdlib.h>

#include "common/envelope.h"
#include "common/record.h"
#include "common/words.h"

#define KEY_SEPARATOR 0x1f

static int member_compare(const void *a, const void *b)
{
        const struct view_member *x = a, *y = b;
        int r = bytes_compare(bytes_of(x->row->view.data, x->row->view.len), bytes_of(y->row->view.data, y->row->view.len));

        return r ? r : memcmp(x->grant.b, y->grant.b, DIGEST_BYTES);
}

static bool same_view(const struct view_member *x, const struct view_member *y)
{
        return bytes_equal(bytes_of(x->row->view.data, x->row->view.len), bytes_of(y->row->view.data, y->row->view.len));
}

size_t view_group(struct view_member *m, size_t n, struct view_group *ret)
{
        size_t groups = 0;

        if (n > 1)
                qsort(m, n, sizeof(*m), member_compare);
        for (size_t i = 0; i < n; i++) {
                if (groups && same_view(ret[groups - 1].first, &m[i]))
                        ret[groups - 1].n++;
                else
                        ret[groups++] = (struct view_group){ &m[i], 1 };
        }
        return groups;
}

bool view_audience_is(const struct view_group *g, const ProtobufCBinaryData *audience, size_t n)
{
        if (g->n != n)
                return false;
        for (size_t i = 0; i < n; i++)
                if (!bytes_equal(bytes_digest(&g->first[i].grant), bytes_of(audience[i].data, audience[i].len)))
                        return false;
        return true;
}

bool view_items_equal(const uint32_t *a, size_t a_n, const uint32_t *b, size_t b_n)
{
        return a_n == b_n && (a_n == 0 || memcmp(a, b, a_n * sizeof(*a)) == 0);
}

static ProtobufCBinaryData binary(struct bytes b)
{
        return (ProtobufCBinaryData){ b.n, (uint8_t *)b.p };
}

static Shuyi__V1__AudienceRow *row_of(struct arena *a, const struct view_member *m)
{
        Shuyi__V1__AudienceRow *row = ARENA_NEW(a, Shuyi__V1__AudienceRow);

        if (!row)
                return NULL;
        shuyi__v1__audience_row__init(row);
        row->grant = binary(bytes_digest(&m->grant));
        row->channel = m->row->channel;
        row->consumer = m->row->consumer;
        row->purpose = m->row->purpose;
        row->user = m->row->user;
        row->approver = m->row->approver;
        row->method = m->row->method;
        row->agent = m->row->agent;
        row->seal_key = binary(bytes_of(m->seal_key, sizeof(m->seal_key)));
        return row;
}

Shuyi__V1__AudienceRow **view_rows(struct arena *a, const struct view_group *g)
{
        Shuyi__V1__AudienceRow **rows = ARENA_ARRAY(a, Shuyi__V1__AudienceRow *, g->n ? g->n : 1);

        for (size_t i = 0; rows && i < g->n; i++) {
                rows[i] = row_of(a, &g->first[i]);
                if (!rows[i])
                        return NULL;
        }
        return rows;
}

struct bytes view_cut(struct arena *a, const Shuyi__V1__Entry *entry, const uint32_t *items, size_t n,
                      struct bytes taken, int32_t today, const char **ret_why, uint32_t *ret_item)
{
        Shuyi__V1__Record *r = message_parse(a, &shuyi__v1__record__descriptor, taken);
        struct bytes packed;

        *ret_item = 0;
        if (!r) {
                *ret_why = "form";
                return (struct bytes){ 0 };
        }
        record_project(r, items, n);
        *ret_why = record_check(entry, items, n, r, today, ret_item);
        if (*ret_why)
                return (struct bytes){ 0 };
        packed = message_pack(a, &r->base);
        if (!packed.p)
                *ret_why = "memory";
        return packed;
}

static int u32_compare(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return (x > y) - (x < y);
}

const uint32_t *view_all_items(struct arena *a, const Shuyi__V1__Entry *entry, size_t *ret_n)
{
        uint32_t *items = ARENA_ARRAY(a, uint32_t, entry->n_items ? entry->n_items : 1);

        if (!items)
                return NULL;
        for (size_t i = 0; i < entry->n_items; i++)
                items[i] = entry->items[i]->item_no;
        qsort(items, entry->n_items, sizeof(*items), u32_compare);
        *ret_n = entry->n_items;
        return items;
}

const Shuyi__V1__Item *view_find_item(const Shuyi__V1__Entry *entry, uint32_t item)
{
        for (size_t i = 0; i < entry->n_items; i++)
                if (entry->items[i]->item_no == item)
                        return entry->items[i];
        return NULL;
}

static const Shuyi__V1__Item *find_name(const Shuyi__V1__Entry *entry, const char *name)
{
        for (size_t i = 0; i < entry->n_items; i++)
                if (strcmp(entry->items[i]->name_en, name) == 0)
                        return entry->items[i];
        return NULL;
}

/* A resident number's check character is X; systems that write x mean it (REGULATIONS 5.3). */
static char *normalise(struct arena *a, const Shuyi__V1__Item *item, const char *text)
{
        char *copy = arena_strdup(a, text);
        size_t n = copy ? strlen(copy) : 0;

        if (copy && item->identifier_kind == IDENT_RESIDENT_ID && n == 18 && copy[17] == 'x')
                copy[17] = 'X';
        return copy;
}

static int value_compare(const void *a, const void *b)
{
        const Shuyi__V1__Value *x = *(Shuyi__V1__Value *const *)a, *y = *(Shuyi__V1__Value *const *)b;

        return (x->item > y->item) - (x->item < y->item);
}

static const char *fill_value(struct arena *a, const Shuyi__V1__Entry *entry, const char *name, const char *text,
                              Shuyi__V1__Value **ret, uint32_t *ret_item)
{
        const Shuyi__V1__Item *item = find_name(entry, name);
        Shuyi__V1__Value *v = ARENA_NEW(a, Shuyi__V1__Value);

        *ret_item = 0;
        if (!item)
                return "name";
        *ret_item = item->item_no;
        if (!v)
                return "memory";
        shuyi__v1__value__init(v);
        v->item = item->item_no;
        v->null = text == NULL;
        v->text = text ? normalise(a, item, text) : (char *)protobuf_c_empty_string;
        if (!v->text)
                return "memory";
        *ret = v;
        return NULL;
}

static const Shuyi__V1__Value *value_of(const Shuyi__V1__Record *r, uint32_t item)
{
        for (size_t i = 0; i < r->n_values; i++)
                if (r->values[i]->item == item)
                        return r->values[i];
        return NULL;
}

/* Values of the key items in the entry's order, joined by U+001F. */
static const char *fill_key(struct arena *a, const Shuyi__V1__Entry *entry, Shuyi__V1__Record *r, uint32_t *ret_item)
{
        char *key = NULL;

        for (size_t i = 0; i < entry->n_items; i++) {
                const Shuyi__V1__Value *v;

                if (!entry->items[i]->key)
                        continue;
                *ret_item = entry->items[i]->item_no;
                v = value_of(r, entry->items[i]->item_no);
                if (!v || v->null || !*v->text || strchr(v->text, KEY_SEPARATOR))
                        return "key";
                key = key ? arena_printf(a, "%s%c%s", key, KEY_SEPARATOR, v->text) : arena_strdup(a, v->text);
                if (!key)
                        return "memory";
        }
        *ret_item = 0;
        if (!key)
                return "key";
        r->key = key;
        return NULL;
}

static Shuyi__V1__Value *null_value(struct arena *a, uint32_t item)
{
        Shuyi__V1__Value *v = ARENA_NEW(a, Shuyi__V1__Value);

        if (v) {
                shuyi__v1__value__init(v);
                v->item = item;
                v->null = true;
        }
        return v;
}

/* A whole record says of each item that may be empty that it is. */
static const char *fill_missing(struct arena *a, const Shuyi__V1__Entry *entry, Shuyi__V1__Record *r, uint32_t *ret_item)
{
        size_t given = r->n_values;

        for (size_t i = 0; i < entry->n_items; i++) {
                const Shuyi__V1__Item *item = entry->items[i];
                bool there = false;

                for (size_t k = 0; k < given && !there; k++)
                        there = r->values[k]->item == item->item_no;
                if (there)
                        continue;
                *ret_item = item->item_no;
                if (!item->nullable)
                        return "null";
                r->values[r->n_values] = null_value(a, item->item_no);
                if (!r->values[r->n_values])
                        return "memory";
                r->n_values++;
        }
        *ret_item = 0;
        return NULL;
}

static const char *check_repeats(const Shuyi__V1__Record *r, uint32_t *ret_item)
{
        for (size_t i = 1; i < r->n_values; i++)
                if (r->values[i]->item == r->values[i - 1]->item) {
                        *ret_item = r->values[i]->item;
                        return "repeated";
                }
        return NULL;
}

static const char *fill_values(struct arena *a, const Shuyi__V1__Entry *entry, const struct view_input *in,
                               Shuyi__V1__Record *r, uint32_t *ret_item)
{
        const char *why = NULL;

        r->values = ARENA_ARRAY(a, Shuyi__V1__Value *, in->n + entry->n_items + 1);
        if (!r->values)
                return "memory";
        for (size_t i = 0; i < in->n && !why; i++) {
                why = fill_value(a, entry, in->names[i], in->values[i], &r->values[i], ret_item);
                if (!why)
                        r->n_values++;
        }
        if (!why && r->op != OP_DELETE)
                why = fill_missing(a, entry, r, ret_item);
        if (why)
                return why;
        qsort(r->values, r->n_values, sizeof(*r->values), value_compare);
        *ret_item = 0;
        return check_repeats(r, ret_item);
}

Shuyi__V1__Record *view_record(struct arena *a, const Shuyi__V1__Entry *entry, const struct view_input *in,
                               uint64_t taken_at, int32_t today, const char **ret_why, uint32_t *ret_item)
{
        Shuyi__V1__Record *r = ARENA_NEW(a, Shuyi__V1__Record);
        const uint32_t *items;
        size_t n = 0;

        *ret_item = 0;
        *ret_why = "memory";
        items = view_all_items(a, entry, &n);
        if (!r || !items)
                return NULL;
        shuyi__v1__record__init(r);
        r->op = in->op;
        r->changed_at = in->changed_at;
        r->taken_at = taken_at;
        *ret_why = fill_values(a, entry, in, r, ret_item);
        if (!*ret_why)
                *ret_why = fill_key(a, entry, r, ret_item);
        if (!*ret_why && r->op == OP_DELETE)
                r->n_values = 0;                /* says which record is gone, no more */
        if (!*ret_why)
                *ret_why = record_check(entry, items, n, r, today, ret_item);
        return *ret_why ? NULL : r;
}
