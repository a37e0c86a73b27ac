/* push_json: see push_json.h. */
#include "agent/push_json.h"

#include "common/record.h"
#include "common/times.h"
#include "common/words.h"

static const char *read_values(struct arena *a, const json_t *values, struct view_input *in)
{
        size_t n = json_object_size(values), k = 0;
        const char **names = ARENA_ARRAY(a, const char *, n + 1), **texts = ARENA_ARRAY(a, const char *, n + 1);
        const char *name;
        json_t *value;

        if (!names || !texts)
                return "memory";
        json_object_foreach((json_t *)values, name, value) {
                if (!json_is_string(value) && !json_is_null(value))
                        return "type";          /* decimals travel as strings, and so does everything else */
                names[k] = name;
                texts[k++] = json_string_value(value);
        }
        in->names = names;
        in->values = texts;
        in->n = n;
        return NULL;
}

static const char *read_record(struct arena *a, const json_t *record, struct view_input *in)
{
        const char *op = json_string_value(json_object_get(record, "op")), *at = json_string_value(json_object_get(record, "changed_at"));
        const json_t *values = json_object_get(record, "values");
        struct wall_time changed;
        const char *name;
        json_t *member;

        if (!json_is_object(record))
                return "object";
        json_object_foreach((json_t *)record, name, member)
                if (strcmp(name, "op") && strcmp(name, "changed_at") && strcmp(name, "values"))
                        return "unknown member";
        in->op = op ? word_find(LIST_record_op, op) : json_object_get(record, "op") ? 0 : OP_UPSERT;
        if (in->op != OP_UPSERT && in->op != OP_DELETE)
                return "op";
        if (!at || !times_parse_utc(at, &changed))
                return "changed_at";
        if (!json_is_object(values))
                return "values";
        in->changed_at = changed.ms;
        return read_values(a, values, in);
}

bool push_json(struct arena *a, const json_t *body, struct push_list *ret)
{
        const json_t *list = json_object_get(body, "records");
        size_t n = json_array_size(list);
        struct push_record *records;

        if (json_object_size(body) != 1 || !json_is_array(list) || n == 0 || n > PUSH_RECORDS_MAX)
                return false;
        records = ARENA_ARRAY(a, struct push_record, n);
        if (!records)
                return false;
        for (size_t i = 0; i < n; i++)
                records[i].why = read_record(a, json_array_get(list, i), &records[i].in);
        *ret = (struct push_list){ records, n };
        return true;
}
