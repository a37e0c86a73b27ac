/* catalog_rules: entries as the market has them, edited, or filled by chance.  Findings are ascending, counted right, and the same
 * each time; nothing crashes that the wire lets through. */
#include "common/exchange/catalog_rules.h"
#include "common/macro.h"
#include "common/wire.h"
#include "tests/fuzz/scene.h"
#include "tests/lib/random_message.h"

#define EDITS_MAX 12

static const struct policy *policy_of(void)
{
        static const struct policy *p;
        struct arena *a;
        Shuyi__V1__DocumentRow *row;
        uint8_t key = TABLE_POLICY;
        struct bytes value;
        struct state s = map_state_ops(scene_get()->before[scene_get()->n]);

        if (p)
                return p;
        a = fuzz_arena(1 << 20);
        REQUIRE(s.ops->get(s.ctx, bytes_of(&key, 1), &value) == 1);
        row = message_parse(a, &shuyi__v1__document_row__descriptor, value);
        REQUIRE(row);
        p = policy_parse(bytes_of(row->bytes_.data, row->bytes_.len), NULL, NULL);
        REQUIRE(p);
        arena_free(a);
        return p;
}

static void check(const Shuyi__V1__Entry *e, const struct catalog_lookup *lookup)
{
        struct catalog_results r, again;
        char text[CATALOG_CODES_TEXT];
        unsigned errors = 0;

        memset(&r, 0, sizeof(r));
        memset(&again, 0, sizeof(again));
        catalog_check(e, policy_of(), lookup, &r);
        catalog_check(e, policy_of(), lookup, &again);
        REQUIRE(r.n == again.n && r.errors == again.errors && r.warnings == again.warnings && r.first == again.first);
        REQUIRE(r.n <= CATALOG_FINDINGS_MAX && r.errors + r.warnings == r.n && (r.first == ACCEPTED) == (r.errors == 0));
        for (unsigned i = 0; i < r.n; i++) {
                REQUIRE(r.rows[i].code == again.rows[i].code && strcmp(r.rows[i].where, again.rows[i].where) == 0);
                REQUIRE(i == 0 || r.rows[i].code >= r.rows[i - 1].code);
                REQUIRE(strnlen(r.rows[i].where, sizeof(r.rows[i].where)) < sizeof(r.rows[i].where));
                errors += !r.rows[i].warning;
        }
        REQUIRE(errors == r.errors);
        catalog_format(&r, false, text);
        REQUIRE(strnlen(text, sizeof(text)) < sizeof(text) && (*text != 0) == (r.n > 0));
        catalog_format(&r, true, text);
        REQUIRE(strnlen(text, sizeof(text)) < sizeof(text));
}

static void check_items(struct arena *a, const Shuyi__V1__Entry *e)
{
        catalog_not_yet(e);
        entry_secrecy_digest(a, e);
        for (size_t i = 0; i < e->n_items; i++) {
                const Shuyi__V1__Item *item = entry_find_item(e, e->items[i]->item_no);

                REQUIRE(item && item->item_no == e->items[i]->item_no);
                entry_item_type(e, item);
        }
}

static Shuyi__V1__Entry *take_entry(struct arena *a, struct script *s)
{
        const struct scene *scene = scene_get();
        uint8_t how = script_u8(s);
        const Shuyi__V1__Entry *from = how % 2 ? scene->open_entry : scene->conditional_entry;
        Shuyi__V1__Entry *e;
        struct chance c;

        if (how % 8 == 7) {
                c.state = script_u64(s);
                return (void *)random_message(a, &c, &shuyi__v1__entry__descriptor);
        }
        e = message_parse(a, &shuyi__v1__entry__descriptor, message_pack(a, &from->base));
        REQUIRE(e);
        for (unsigned n = script_u8(s) % EDITS_MAX; n > 0; n--)
                message_edit(a, s, &scene->words, &e->base);
        return message_parse(a, &shuyi__v1__entry__descriptor, message_pack(a, &e->base));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        static struct arena *a;
        struct script s = { data, n };
        struct rows rows = { 0 };
        struct catalog_lookup lookup = { .department = CITY_CIVIL, .today = 20496 };
        Shuyi__V1__Entry *e;

        if (!a)
                a = fuzz_arena(64u << 20);
        arena_reset(a);
        e = take_entry(a, &s);
        if (!e)
                return 0;
        lookup.arena = a;
        check(e, &lookup);
        rows.state = map_state_ops(scene_get()->before[scene_get()->n]);
        rows.arena = a;
        lookup.rows = &rows;
        check(e, &lookup);
        check_items(a, e);
        return 0;
}
