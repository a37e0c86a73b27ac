/* view: a pushed record as JSON becomes a record of the entry, is cut for a view, and is written as a line.
 *
 * What is made fits the entry and packs canonically; cut to all items it is itself, cut to fewer it has no others; its line is JSON
 * that says the same values.  First byte: 0 JSON as a business system sends it, 1 a Record as it comes out of a seal. */
#include "agent/sink/line.h"
#include "agent/view.h"
#include "common/envelope.h"
#include "common/macro.h"
#include "common/record.h"
#include "common/wire.h"
#include "common/words.h"
#include "tests/fuzz/scene.h"

#include <jansson.h>

#define TODAY 20496
#define VALUES_MAX 64

static void check_line(struct arena *a, const Shuyi__V1__Entry *entry, const Shuyi__V1__Record *r)
{
        struct line_source from = { .resource = "344001/17", .version = 1, .stream_seq = INT64_MAX, .index = 255, .entry = entry };
        struct bytes line = line_format(a, &from, r), again;
        json_t *json, *values;

        REQUIRE(line.p && line.n > 0 && line.p[line.n - 1] == '\n' && !memchr(line.p, '\n', line.n - 1));
        json = json_loadb((const char *)line.p, line.n, JSON_REJECT_DUPLICATES, NULL);
        REQUIRE(json);
        REQUIRE(strcmp(json_string_value(json_object_get(json, "key")), r->key) == 0);
        values = json_object_get(json, "values");
        REQUIRE(json_object_size(values) == r->n_values);
        for (size_t i = 0; i < r->n_values; i++) {
                const Shuyi__V1__Item *item = view_find_item(entry, r->values[i]->item);
                const json_t *v = json_object_get(values, item->name_en);

                REQUIRE(r->values[i]->null ? json_is_null(v) : json_is_string(v) && strcmp(json_string_value(v), r->values[i]->text) == 0);
        }
        json_decref(json);
        again = line_format(a, &from, r);
        REQUIRE(bytes_equal(line, again));
}

static void check_record(struct arena *a, const Shuyi__V1__Entry *entry, const Shuyi__V1__Record *r)
{
        static const uint32_t some[] = { 1, 2 };
        const char *why = NULL;
        uint32_t item;
        size_t n;
        const uint32_t *all = view_all_items(a, entry, &n);
        struct bytes packed = message_pack(a, &r->base), cut;
        const Shuyi__V1__Record *narrow;

        REQUIRE(!wire_scan(r->base.descriptor, packed));
        cut = view_cut(a, entry, all, n, packed, TODAY, &why, &item);
        REQUIRE(cut.p && bytes_equal(cut, packed));
        cut = view_cut(a, entry, some, 2, packed, TODAY, &why, &item);
        REQUIRE(cut.p);
        narrow = message_parse(a, &shuyi__v1__record__descriptor, cut);
        REQUIRE(narrow && strcmp(narrow->key, r->key) == 0 && narrow->changed_at == r->changed_at);
        for (size_t i = 0; i < narrow->n_values; i++)
                REQUIRE(narrow->values[i]->item <= 2);
        check_line(a, entry, r);
        check_line(a, entry, narrow);
}

/* {"name_en": "text" or null}: what the agent's API reads of a record. */
static void check_json(struct arena *a, const Shuyi__V1__Entry *entry, struct bytes text)
{
        json_t *json = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL), *value;
        const char *names[VALUES_MAX], *texts[VALUES_MAX], *name, *why = NULL;
        struct view_input in = { .op = OP_UPSERT, .changed_at = 1770861600000, .names = names, .values = texts };
        const Shuyi__V1__Record *r;
        uint32_t item = 0;

        json_object_foreach(json, name, value) {
                if (in.n == VALUES_MAX || (!json_is_string(value) && !json_is_null(value)))
                        break;
                names[in.n] = name;
                texts[in.n++] = json_string_value(value);
        }
        r = view_record(a, entry, &in, in.changed_at, TODAY, &why, &item);
        REQUIRE(!r == !!why);
        if (r)
                check_record(a, entry, r);
        in.op = OP_DELETE;
        r = view_record(a, entry, &in, in.changed_at, TODAY, &why, &item);
        REQUIRE(!r == !!why && (!r || r->n_values == 0));
        if (r)
                check_record(a, entry, r);
        json_decref(json);
}

static void check_wire(struct arena *a, const Shuyi__V1__Entry *entry, struct bytes wire)
{
        const Shuyi__V1__Record *r = message_parse(a, &shuyi__v1__record__descriptor, wire);
        const uint32_t *all;
        uint32_t item;
        size_t n;

        if (!r)
                return;
        all = view_all_items(a, entry, &n);
        if (!record_check(entry, all, n, r, TODAY, &item))
                check_line(a, entry, r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_(arena_freep) struct arena *a = fuzz_arena(8 << 20);
        const Shuyi__V1__Entry *entry = scene_get()->open_entry;
        struct script s = { data, n };

        if (script_u8(&s) % 2)
                check_wire(a, entry, script_rest(&s));
        else
                check_json(a, entry, script_rest(&s));
        return 0;
}
