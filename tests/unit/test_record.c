/* record: each item type's values, records against entry and grant, salted leaves. */
#include "common/merkle.h"
#include "common/record.h"
#include "tests/lib/sample.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define TODAY 20496                             /* 2026-02-12 */

struct value_case { char type; uint32_t length, scale; const char *text, *want; };

static void test_values_fit_their_items_or_name_what_does_not(void **state)
{
        static const struct value_case cases[] = {
                { 'C', 3, 0, "石岐区", NULL }, { 'C', 2, 0, "石岐区", "length" }, { 'C', 0, 0, "any length", NULL }, { 'C', 5, 0, "", NULL },
                { 'C', 5, 0, "a\x1f" "b", "charset" }, { 'M', 0, 0, "line\nline", NULL },
                { 'N', 5, 2, "123.45", NULL }, { 'N', 5, 2, "1234.5", "length" }, { 'N', 5, 2, "0.123", "scale" }, { 'N', 5, 2, "-0.5", NULL },
                { 'N', 5, 2, "-0", "type" }, { 'N', 5, 2, "-0.00", "type" }, { 'N', 5, 2, "+1", "type" }, { 'N', 5, 2, "01", "type" },
                { 'N', 5, 2, "1.", "type" }, { 'N', 5, 2, ".5", "type" }, { 'N', 5, 2, "1e3", "type" }, { 'N', 5, 2, "", "type" }, { 'N', 5, 0, "0", NULL },
                { 'N', 2, 2, "0.99", NULL }, { 'N', 0, 0, "99999999999999999999999999999999999999", NULL }, { 'N', 0, 0, "999999999999999999999999999999999999999", "length" },
                { 'Y', 12, 2, "1000000.00", NULL }, { 'Y', 12, 2, "1,000", "type" },
                { 'I', 0, 0, "-9223372036854775808", NULL }, { 'I', 0, 0, "9223372036854775807", NULL }, { 'I', 0, 0, "9223372036854775808", "length" },
                { 'I', 0, 0, "-9223372036854775809", "length" }, { 'I', 0, 0, "-0", "type" }, { 'I', 0, 0, "007", "type" }, { 'I', 0, 0, "1.0", "type" },
                { 'B', 0, 0, "-1.5", NULL }, { 'F', 0, 0, "6.02E+23", NULL }, { 'B', 0, 0, "nan", "type" }, { 'B', 0, 0, "1e", "type" }, { 'B', 0, 0, "1e1000", "type" },
                { 'D', 0, 0, "2024-02-29", NULL }, { 'D', 0, 0, "2023-02-29", "type" }, { 'D', 0, 0, "2024-2-29", "type" }, { 'D', 0, 0, "", "type" },
                { 'T', 0, 0, "2026-02-12T10:00:00+08:00", NULL }, { 'T', 0, 0, "2026-02-12T02:00:00.123Z", NULL }, { 'T', 0, 0, "2026-02-12 10:00:00", NULL },
                { 'T', 0, 0, "2026-02-12T10:00:00", "type" }, { 'T', 0, 0, "2026-02-12 10:00:00Z", "type" }, { 'T', 0, 0, "2026-02-12T24:00:00Z", "type" },
                { 'T', 0, 0, "2026-02-12T10:60:00Z", "type" }, { 'T', 0, 0, "2026-02-12T10:00:60Z", "type" }, { 'T', 0, 0, "2026-02-12T10:00:00.Z", "type" },
                { 'T', 0, 0, "2026-02-12T10:00:00+8", "type" }, { 'T', 0, 0, "2026-02-12", "type" }, { 'T', 0, 0, "2026-02-12T10:00:00+08:00x", "type" },
                { 'L', 0, 0, "true", NULL }, { 'L', 0, 0, "TRUE", "type" }, { 'L', 0, 0, "1", "type" },
                { 'G', 0, 0, "aGVsbG8=", NULL }, { 'G', 5, 0, "aGVsbG8=", NULL }, { 'G', 4, 0, "aGVsbG8=", "length" }, { 'G', 0, 0, "aGVsbG8", "type" }, { 'G', 0, 0, "aGVsb===", "type" },
                { 'X', 0, 0, "x", "type" },
        };

        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                Shuyi__V1__Item item = SHUYI__V1__ITEM__INIT;
                Shuyi__V1__Value v = SHUYI__V1__VALUE__INIT;
                const char *wrong;

                item.data_type = (uint32_t)cases[i].type;
                item.length = cases[i].length;
                item.scale = cases[i].scale;
                v.text = (char *)cases[i].text;
                wrong = value_check(&item, &v, TODAY);
                if ((wrong == NULL) != (cases[i].want == NULL) || (wrong && strcmp(wrong, cases[i].want) != 0))
                        fail_msg("%c %u,%u \"%s\": %s", cases[i].type, cases[i].length, cases[i].scale, cases[i].text, wrong ? wrong : "fits");
        }
}

static void test_long_base64_is_checked_to_its_end(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 16);
        Shuyi__V1__Item item = SHUYI__V1__ITEM__INIT;
        Shuyi__V1__Value v = SHUYI__V1__VALUE__INIT;
        char *text = arena_alloc(a, 4097);

        memset(text, 'A', 4096);
        text[4096] = 0;
        item.data_type = 'G';
        item.length = 3072;
        v.text = text;
        assert_null(value_check(&item, &v, TODAY));
        item.length = 3071;
        assert_string_equal(value_check(&item, &v, TODAY), "length");
        text[63] = '=';                                         /* padding in the middle */
        assert_string_equal(value_check(&item, &v, TODAY), "type");
        text[63] = (char)0xc1;
        assert_string_equal(value_check(&item, &v, TODAY), "type");
}

static void test_null_and_identifiers(void **state)
{
        Shuyi__V1__Item item = SHUYI__V1__ITEM__INIT;
        Shuyi__V1__Value v = SHUYI__V1__VALUE__INIT;

        item.data_type = 'C';
        v.null = 1;
        assert_string_equal(value_check(&item, &v, TODAY), "null");
        item.nullable = 1;
        assert_null(value_check(&item, &v, TODAY));
        v.text = "x";
        assert_string_equal(value_check(&item, &v, TODAY), "type");
        v.null = 0;
        item.identifier_kind = IDENT_RESIDENT_ID;
        v.text = "442000189602290013";
        assert_null(value_check(&item, &v, TODAY));
        v.text = "442000189602290010";
        assert_string_equal(value_check(&item, &v, TODAY), "checksum");
        item.identifier_kind = IDENT_USCC;
        v.text = SAMPLE_DEPT;
        assert_null(value_check(&item, &v, TODAY));
        v.text = "11442000MX00000198";
        assert_string_equal(value_check(&item, &v, TODAY), "checksum");
}

/* ---- records ---- */

/* code (key, C6), name (C), population (I, nullable), in an entry; items 1, 2 and 3. */
struct sample {
        Shuyi__V1__Item items[3], *item_list[3];
        Shuyi__V1__Entry entry;
        Shuyi__V1__Value values[3], *value_list[3];
        Shuyi__V1__Record record;
};

static void sample_init(struct sample *s)
{
        static const char types[] = { 'C', 'C', 'I' };
        static char *const texts[] = { "442000", "中山市", "4418060" };

        memset(s, 0, sizeof(*s));
        shuyi__v1__entry__init(&s->entry);
        shuyi__v1__record__init(&s->record);
        for (unsigned i = 0; i < 3; i++) {
                shuyi__v1__item__init(&s->items[i]);
                s->items[i].item_no = i + 1;
                s->items[i].data_type = (uint32_t)types[i];
                s->item_list[i] = &s->items[i];
                shuyi__v1__value__init(&s->values[i]);
                s->values[i].item = i + 1;
                s->values[i].text = texts[i];
                s->value_list[i] = &s->values[i];
        }
        s->items[0].key = 1;
        s->items[2].nullable = 1;
        s->entry.items = s->item_list;
        s->entry.n_items = 3;
        s->record.op = OP_UPSERT;
        s->record.key = "442000";
        s->record.changed_at = SAMPLE_TIME;
        s->record.values = s->value_list;
        s->record.n_values = 3;
}

static void whole(struct sample *s) { }
static void no_population(struct sample *s) { s->record.n_values = 2; }
static void no_name(struct sample *s) { s->record.n_values = 1; }
static void no_op(struct sample *s) { s->record.op = 9; }
static void no_time(struct sample *s) { s->record.changed_at = 0; }
static void no_key(struct sample *s) { s->record.key = ""; }
static void other_key(struct sample *s) { s->record.key = "440000"; }
static void two_part_key(struct sample *s) { s->record.key = "442000\x1f" "1"; }
static void unordered(struct sample *s) { s->values[1].item = 1; }
static void unknown_item(struct sample *s) { s->values[2].item = 9; }
static void bad_value(struct sample *s) { s->values[2].text = "many"; }
static void delete_with_values(struct sample *s) { s->record.op = OP_DELETE; }
static void delete(struct sample *s) { s->record.op = OP_DELETE; s->record.n_values = 0; }
static void flag(struct sample *s) { s->record.op = OP_FLAG; s->record.n_values = 0; }

static void test_records_against_their_entry(void **state)
{
        static const uint32_t all[] = { 1, 2, 3 };
        static const struct { void (*change)(struct sample *s); size_t granted; const char *want; uint32_t item; } cases[] = {
                { whole, 3, NULL, 0 },
                { whole, 2, "items", 3 },
                { no_population, 3, NULL, 0 },
                { no_population, 2, NULL, 0 },
                { no_name, 3, "null", 2 },
                { no_op, 3, "op", 0 },
                { no_time, 3, "changed_at", 0 },
                { no_key, 3, "key", 0 },
                { other_key, 3, "key", 1 },
                { two_part_key, 3, "key", 0 },
                { unordered, 3, "order", 1 },
                { unknown_item, 3, "items", 9 },
                { bad_value, 3, "type", 3 },
                { delete_with_values, 3, "values", 0 },
                { delete, 3, NULL, 0 },
                { flag, 3, NULL, 0 },
        };

        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                struct sample s;
                const char *wrong;
                uint32_t item;

                sample_init(&s);
                cases[i].change(&s);
                wrong = record_check(&s.entry, all, cases[i].granted, &s.record, TODAY, &item);
                if ((wrong == NULL) != (cases[i].want == NULL) || (wrong && strcmp(wrong, cases[i].want) != 0))
                        fail_msg("case %u: %s", i, wrong ? wrong : "fits");
                if (wrong && cases[i].item)
                        assert_int_equal(item, cases[i].item);
        }
}

static void test_keys_of_several_items_are_joined_in_the_entrys_order(void **state)
{
        static const uint32_t all[] = { 1, 2, 3 };
        struct sample s;
        uint32_t item;

        sample_init(&s);
        s.items[1].key = 1;
        s.record.key = "442000\x1f中山市";
        assert_null(record_check(&s.entry, all, 3, &s.record, TODAY, &item));
        s.record.key = "中山市\x1f" "442000";
        assert_string_equal(record_check(&s.entry, all, 3, &s.record, TODAY, &item), "key");
        s.record.key = "442000";
        assert_string_equal(record_check(&s.entry, all, 3, &s.record, TODAY, &item), "key");
        s.record.key = "442000\x1f";
        assert_string_equal(record_check(&s.entry, all, 3, &s.record, TODAY, &item), "key");
}

static void test_projection_leaves_the_granted_values_and_the_key(void **state)
{
        static const uint32_t two[] = { 1, 3 };
        struct sample s;

        sample_init(&s);
        record_project(&s.record, two, 2);
        assert_int_equal(s.record.n_values, 2);
        assert_int_equal(s.record.values[0]->item, 1);
        assert_int_equal(s.record.values[1]->item, 3);
        assert_string_equal(s.record.key, "442000");
        record_project(&s.record, NULL, 0);
        assert_int_equal(s.record.n_values, 0);
}

static void test_one_record_is_proved_without_its_neighbours(void **state)
{
        uint8_t seed[32] = { 3 }, text[5] = "abcde";
        ProtobufCBinaryData records[5];
        struct digest leaves[5], root, path[MERKLE_DEPTH_MAX], leaf;
        unsigned n;

        for (unsigned i = 0; i < 5; i++)
                records[i] = (ProtobufCBinaryData){ 1, &text[i] };
        root = record_root(seed, records, 5, leaves);
        n = merkle_records_path(leaves, 5, 2, path);
        leaf = record_leaf(seed, 2, bytes_str("c"));
        assert_true(merkle_records_check(&leaf, 2, 5, path, n, &root));
        leaf = record_leaf(seed, 3, bytes_str("c"));
        assert_false(merkle_records_check(&leaf, 2, 5, path, n, &root));
        seed[0]++;
        leaf = record_leaf(seed, 2, bytes_str("c"));
        assert_false(merkle_records_check(&leaf, 2, 5, path, n, &root));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_values_fit_their_items_or_name_what_does_not),
                cmocka_unit_test(test_long_base64_is_checked_to_its_end),
                cmocka_unit_test(test_null_and_identifiers),
                cmocka_unit_test(test_records_against_their_entry),
                cmocka_unit_test(test_keys_of_several_items_are_joined_in_the_entrys_order),
                cmocka_unit_test(test_projection_leaves_the_granted_values_and_the_key),
                cmocka_unit_test(test_one_record_is_proved_without_its_neighbours),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
