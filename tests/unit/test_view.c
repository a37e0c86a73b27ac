/* view: who shares a view, how a pushed record is made whole, what of it a view carries. */
#include "agent/view.h"
#include "common/record.h"
#include "tests/lib/sample.h"
#include "tests/lib/unit.h"

#define TODAY 20496                             /* 2026-02-12 */

/* code (key), name, level, id number (nullable) */
static Shuyi__V1__Entry *entry_make(struct arena *a)
{
        static const struct { const char *name; char type; uint32_t length; bool nullable, key; uint32_t identifier; } rows[] = {
                { "code", 'C', 12, false, true, 0 }, { "name", 'C', 60, false, false, 0 }, { "level", 'C', 10, false, false, 0 },
                { "holder", 'C', 18, true, false, IDENT_RESIDENT_ID },
        };
        Shuyi__V1__Entry *e = ARENA_NEW(a, Shuyi__V1__Entry);

        shuyi__v1__entry__init(e);
        e->n_items = ELEMENTS(rows);
        e->items = ARENA_ARRAY(a, Shuyi__V1__Item *, e->n_items);
        for (unsigned i = 0; i < ELEMENTS(rows); i++) {
                Shuyi__V1__Item *item = ARENA_NEW(a, Shuyi__V1__Item);

                shuyi__v1__item__init(item);
                item->item_no = i + 1;
                item->name_en = (char *)rows[i].name;
                item->data_type = (uint32_t)rows[i].type;
                item->length = rows[i].length;
                item->nullable = rows[i].nullable;
                item->key = rows[i].key;
                item->identifier_kind = rows[i].identifier;
                e->items[i] = item;
        }
        return e;
}

struct push_case { const char *name; uint32_t op; const char *names[6], *values[6]; const char *want; uint32_t item; };

static void test_a_pushed_record_is_made_whole_or_names_what_is_wrong(void **state)
{
        static const struct push_case cases[] = {
                { "all items", OP_UPSERT, { "code", "name", "level", "holder" }, { "442000", "中山市", "county", "11010519491231002X" }, NULL, 0 },
                { "in any order", OP_UPSERT, { "level", "code", "name" }, { "county", "442000", "中山市" }, NULL, 0 },
                { "what may be empty may be left out", OP_UPSERT, { "code", "name", "level" }, { "442000", "中山市", "county" }, NULL, 0 },
                { "a lower-case x is normalised", OP_UPSERT, { "code", "name", "level", "holder" }, { "1", "n", "l", "11010519491231002x" }, NULL, 0 },
                { "an identifier that fails its check", OP_UPSERT, { "code", "name", "level", "holder" }, { "1", "n", "l", "110105194912310021" }, "checksum", 4 },
                { "an unknown name", OP_UPSERT, { "code", "nom", "level" }, { "1", "n", "l" }, "name", 0 },
                { "one item twice", OP_UPSERT, { "code", "name", "level", "name" }, { "1", "n", "l", "m" }, "repeated", 2 },
                { "what must be there is missing", OP_UPSERT, { "code", "level" }, { "1", "l" }, "null", 2 },
                { "what must be there is null", OP_UPSERT, { "code", "name", "level" }, { "1", NULL, "l" }, "null", 2 },
                { "no key", OP_UPSERT, { "name", "level" }, { "n", "l" }, "null", 1 },
                { "an empty key", OP_UPSERT, { "code", "name", "level" }, { "", "n", "l" }, "key", 1 },
                { "a key that holds the separator", OP_UPSERT, { "code", "name", "level" }, { "1\x1f" "2", "n", "l" }, "key", 1 },
                { "too long", OP_UPSERT, { "code", "name", "level" }, { "1234567890123", "n", "l" }, "length", 1 },
                { "a delete by its key", OP_DELETE, { "code" }, { "442000" }, NULL, 0 },
                { "a delete with more than its key", OP_DELETE, { "code", "name" }, { "442000", "中山市" }, NULL, 0 },
                { "a delete without its key", OP_DELETE, { "name" }, { "n" }, "key", 1 },
        };
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        Shuyi__V1__Entry *entry = entry_make(a);

        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                struct view_input in = { .op = cases[i].op, .changed_at = SAMPLE_TIME, .names = cases[i].names, .values = cases[i].values };
                const char *why = NULL;
                uint32_t item = 99;
                Shuyi__V1__Record *r;

                while (in.n < 6 && cases[i].names[in.n])
                        in.n++;
                r = view_record(a, entry, &in, SAMPLE_TIME + 1, TODAY, &why, &item);
                if ((r == NULL) != (cases[i].want != NULL) || (why && (!cases[i].want || strcmp(why, cases[i].want) != 0)) || (why && item != cases[i].item))
                        fail_msg("%s: %s, item %u", cases[i].name, why ? why : "taken", (unsigned)item);
                if (r && cases[i].op == OP_UPSERT)
                        assert_int_equal(r->n_values, 4);
                if (r && cases[i].op == OP_DELETE)
                        assert_int_equal(r->n_values, 0);
        }
}

static struct bytes taken(struct arena *a, const Shuyi__V1__Entry *entry)
{
        static const char *const names[] = { "code", "name", "level", "holder" }, *const values[] = { "442000", "中山市", "county", "11010519491231002x" };
        struct view_input in = { .op = OP_UPSERT, .changed_at = SAMPLE_TIME, .names = names, .values = values, .n = 4 };
        const char *why;
        uint32_t item;
        Shuyi__V1__Record *r = view_record(a, entry, &in, SAMPLE_TIME, TODAY, &why, &item);

        assert_non_null(r);
        assert_string_equal(r->values[3]->text, "11010519491231002X");
        return message_pack(a, &r->base);
}

static void test_a_view_carries_its_items_and_no_other(void **state)
{
        static const uint32_t items[] = { 1, 3 };
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        Shuyi__V1__Entry *entry = entry_make(a);
        const char *why = NULL;
        uint32_t item;
        struct bytes cut = view_cut(a, entry, items, 2, taken(a, entry), TODAY, &why, &item);
        Shuyi__V1__Record *r = message_parse(a, &shuyi__v1__record__descriptor, cut);

        assert_non_null(r);
        assert_int_equal(r->n_values, 2);
        assert_int_equal(r->values[0]->item, 1);
        assert_int_equal(r->values[1]->item, 3);
        assert_string_equal(r->key, "442000");
        assert_null(memmem(cut.p, cut.n, "中山", strlen("中山")));
}

static void test_what_is_no_record_is_not_cut(void **state)
{
        static const uint32_t items[] = { 1 };
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        Shuyi__V1__Entry *entry = entry_make(a);
        const char *why = NULL;
        uint32_t item;
        struct bytes cut = view_cut(a, entry, items, 1, bytes_str("no record"), TODAY, &why, &item);

        assert_null(cut.p);
        assert_string_equal(why, "form");
}

static struct view_member member(struct arena *a, uint8_t grant, uint8_t view)
{
        struct view_member m = { .grant = { { grant } } };
        Shuyi__V1__GrantRow *row = ARENA_NEW(a, Shuyi__V1__GrantRow);
        uint8_t *id = arena_zalloc(a, DIGEST_BYTES);

        shuyi__v1__grant_row__init(row);
        id[0] = view;
        row->view = (ProtobufCBinaryData){ DIGEST_BYTES, id };
        row->consumer = (char *)SAMPLE_DEPT_2;
        row->purpose = (char *)"网格划分";
        m.row = row;
        return m;
}

static void test_grants_of_one_view_share_it_in_the_order_of_their_ids(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct view_member m[] = { member(a, 9, 2), member(a, 3, 1), member(a, 5, 2), member(a, 1, 2) };
        struct view_group groups[4];
        ProtobufCBinaryData audience[3];

        assert_int_equal(view_group(m, 4, groups), 2);
        assert_int_equal(groups[0].n, 1);
        assert_int_equal(groups[0].first[0].grant.b[0], 3);
        assert_int_equal(groups[1].n, 3);
        for (unsigned i = 0; i < 3; i++)
                audience[i] = (ProtobufCBinaryData){ DIGEST_BYTES, (uint8_t *)groups[1].first[i].grant.b };
        assert_int_equal(groups[1].first[0].grant.b[0], 1);
        assert_int_equal(groups[1].first[2].grant.b[0], 9);
        assert_true(view_audience_is(&groups[1], audience, 3));
        assert_false(view_audience_is(&groups[1], audience, 2));
        assert_false(view_audience_is(&groups[0], audience, 1));
        assert_int_equal(view_group(m, 0, groups), 0);
}

static void test_audience_rows_say_what_the_grants_say(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct view_member m[] = { member(a, 1, 1) };
        struct view_group g = { m, 1 };
        Shuyi__V1__AudienceRow **rows;

        memset(m[0].seal_key, 7, sizeof(m[0].seal_key));
        rows = view_rows(a, &g);
        assert_non_null(rows);
        assert_string_equal(rows[0]->consumer, SAMPLE_DEPT_2);
        assert_string_equal(rows[0]->purpose, "网格划分");
        assert_memory_equal(rows[0]->grant.data, m[0].grant.b, DIGEST_BYTES);
        assert_memory_equal(rows[0]->seal_key.data, m[0].seal_key, 32);
        assert_int_equal(rows[0]->wrapped.len, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_pushed_record_is_made_whole_or_names_what_is_wrong),
                cmocka_unit_test(test_a_view_carries_its_items_and_no_other),
                cmocka_unit_test(test_what_is_no_record_is_not_cut),
                cmocka_unit_test(test_grants_of_one_view_share_it_in_the_order_of_their_ids),
                cmocka_unit_test(test_audience_rows_say_what_the_grants_say),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
