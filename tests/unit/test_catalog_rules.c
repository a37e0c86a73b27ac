/* catalog_rules: one spoiled field, the codes that name it (REGULATIONS 4.5). */
#include "tests/lib/market.h"
#include "tests/lib/unit.h"

#include "common/exchange/catalog_rules.h"
#include "common/macro.h"

#define TODAY 20496             /* 2026-02-12 */

static void set_share(Shuyi__V1__Entry *e, enum share_type type, const char *condition, const char *scope)
{
        e->share_type = type;
        e->share_condition = (char *)condition;
        e->share_scope = (char *)scope;
}

#define CASE(name) static void name(Shuyi__V1__Entry *e)
CASE(nothing) { (void)e; }
CASE(no_abstract_no_office) { e->abstract = ""; e->office = ""; }
CASE(name_too_long) { static char text[3 * 201 + 1]; memset(text, 'x', 201); e->resource_name = text; }
CASE(no_sample) { e->n_sample = 0; }
CASE(sample_of_another_width) { e->sample[0]->n_values = 3; }
CASE(no_grade) { e->grade = 0; }
CASE(by_law_without_basis) { e->collect_basis = ""; }
CASE(item_without_length) { e->items[1]->length = 0; }
CASE(item_of_unknown_type) { e->items[1]->data_type = 'Z'; }
CASE(item_name_with_space) { e->items[2]->name_en = "parent code"; }
CASE(item_without_sensitivity) { e->items[0]->sensitivity = 0; }
CASE(contact_of_nobody) { static uint8_t id[16] = { 9 }; e->contact = (ProtobufCBinaryData){ 16, id }; }
CASE(name_of_another_department) { e->provider_name = "health"; }
CASE(base_class_without_database) { e->base_db = 0; }
CASE(code_with_letters) { e->resource_code = "13000A"; }
CASE(code_too_short) { e->resource_code = "13000"; }
CASE(code_of_another_class) { e->resource_code = "344001"; }
CASE(code_with_a_number_nobody_gave) { e->resource_code = "130001/1"; }
CASE(provider_checksum) { e->provider_code = "11442000007332041W"; e->provider_name = "x"; }
CASE(provider_not_the_signer) { e->provider_code = CITY_HEALTH; e->provider_name = "health"; }
CASE(no_items) { e->n_items = 0; }
CASE(item_number_twice) { e->items[3]->item_no = 1; }
CASE(item_name_twice) { e->items[3]->name_en = "code"; }
CASE(conditional_without_condition) { set_share(e, SHARE_CONDITIONAL, "", "ALL : ANY : ALL"); e->class_level = 3; e->resource_code = "344001"; e->base_db = 0; }
CASE(withheld_without_basis) { set_share(e, SHARE_WITHHELD, "", ""); e->withheld_reason = "x"; e->class_level = 3; e->resource_code = "344001"; e->base_db = 0; }
CASE(withheld_base) { set_share(e, SHARE_WITHHELD, "", ""); e->withheld_reason = "x"; }
CASE(base_item_conditional) { e->items[3]->item_share_type = SHARE_CONDITIONAL; }
CASE(unconditional_with_condition) { e->share_condition = "x"; }
CASE(unconditional_with_scope) { e->share_scope = "ALL : ANY : ALL"; }
CASE(monthly_without_reason) { e->update_cycle = CYCLE_MONTHLY; }
CASE(no_review) { e->secrecy_review = NULL; }
CASE(review_before_the_items) { e->items_changed_on = "2026-02-11"; }
CASE(review_of_tomorrow) { e->secrecy_review->date = "2026-02-13"; }
CASE(review_not_concluding) { e->secrecy_review->conclusion = 0; }
CASE(no_method) { e->n_share_methods = 0; }
CASE(short_abstract) { e->abstract = "区划"; }
CASE(abstract_is_the_name) { e->abstract = e->resource_name; }
CASE(much_at_once) { e->office = ""; e->items[3]->item_no = 1; e->share_condition = "x"; e->abstract = "区划"; }

static const struct { const char *name; void (*spoil)(Shuyi__V1__Entry *); enum refusal first; const char *codes; } cases[] = {
        { "a good entry", nothing, ACCEPTED, "" },
        { "two mandatory fields are empty", no_abstract_no_office, C_001, "C-001(office abstract)" },
        { "201 characters of name", name_too_long, C_001, "C-001(resource_name)" },
        { "no sample", no_sample, C_001, "C-001(sample)" },
        { "a sample of another width", sample_of_another_width, C_001, "C-001(sample)" },
        { "no grade", no_grade, C_001, "C-001(grade)" },
        { "collected by law, by which?", by_law_without_basis, C_001, "C-001(collect_basis)" },
        { "a text item without length", item_without_length, C_001, "C-001(items[2])" },
        { "an item of unknown type", item_of_unknown_type, C_001, "C-001(items[2])" },
        { "a name with a space", item_name_with_space, C_001, "C-001(items[3])" },
        { "an item without sensitivity", item_without_sensitivity, C_001, "C-001(items[1])" },
        { "a contact that nobody knows", contact_of_nobody, C_001, "C-001(contact)" },
        { "the name of another department", name_of_another_department, C_001, "C-001(provider_name)" },
        { "base class without a base database", base_class_without_database, C_001, "C-001(base_db)" },
        { "letters in the code", code_with_letters, C_002, "C-002" },
        { "five digits", code_too_short, C_002, "C-002" },
        { "the code of another class", code_of_another_class, C_002, "C-002" },
        { "a number that the center did not give", code_with_a_number_nobody_gave, C_002, "C-002" },
        { "the provider's checksum", provider_checksum, C_001, "C-001(contact),C-003" },
        { "another department's code", provider_not_the_signer, C_001, "C-001(contact),C-003" },
        { "structured, but no items", no_items, C_004, "C-004" },
        { "an item number twice", item_number_twice, C_005, "C-005" },
        { "an item name twice", item_name_twice, C_005, "C-005" },
        { "conditional without condition and basis", conditional_without_condition, C_006, "C-006(share_condition share_basis)" },
        { "withheld without a law", withheld_without_basis, C_007, "C-007" },
        { "a base entry withheld", withheld_base, C_007, "C-007,C-008" },
        { "a base entry with a conditional item", base_item_conditional, C_006, "C-006(share_condition share_basis),C-008" },
        { "unconditional with a condition", unconditional_with_condition, C_009, "C-009" },
        { "unconditional with a scope", unconditional_with_scope, C_009, "C-009" },
        { "monthly, why?", monthly_without_reason, C_011, "C-011" },
        { "no secrecy review", no_review, C_012, "C-012" },
        { "a review older than the items", review_before_the_items, C_012, "C-012" },
        { "a review of tomorrow", review_of_tomorrow, C_012, "C-012" },
        { "a review that does not conclude", review_not_concluding, C_012, "C-012" },
        { "no share method", no_method, C_018, "C-018" },
        { "an abstract of two characters is a warning", short_abstract, ACCEPTED, "C-021" },
        { "an abstract that says the name", abstract_is_the_name, ACCEPTED, "C-021" },
        { "all that fails is named, ascending, the first E decides", much_at_once, C_001, "C-001(office),C-005,C-009,C-021" },
};

static struct policy *policy_of(struct market *m, const char *path)
{
        return policy_parse(city_policy(m->c, path), NULL, NULL);
}

static struct catalog_results check_as(struct market *m, const struct policy *p, struct rows *rows, const Shuyi__V1__Entry *e)
{
        struct catalog_lookup lookup = { rows, CITY_CIVIL, { 0 }, TODAY, m->c->arena };
        struct catalog_results r;

        catalog_check(e, p, &lookup, &r);
        return r;
}

static void each_rule(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct policy *p = policy_of(m, "deploy/policies/zs.conf");
        struct rows rows = { map_state_ops(m->c->state), m->c->arena, 0 };

        assert_int_equal(times_day_from_date(2026, 2, 12), TODAY);
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                Shuyi__V1__Entry *e = market_open_entry(m);
                char codes[CATALOG_CODES_TEXT];
                struct catalog_results r;

                cases[i].spoil(e);
                r = check_as(m, p, &rows, e);
                catalog_format(&r, false, codes);
                if (r.first != cases[i].first || strcmp(codes, cases[i].codes) != 0)
                        fail_msg("%s: %s", cases[i].name, codes);
        }
        assert_int_equal(rows.fault, 0);
        policy_free(p);
}

static void far_from_any_replica_only_the_entry_speaks(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct policy *p = policy_of(m, "deploy/policies/zs.conf");
        Shuyi__V1__Entry *e = market_open_entry(m);

        contact_of_nobody(e);
        assert_int_equal(check_as(m, p, NULL, e).errors, 0);
        policy_free(p);
}

static void the_conditional_entry_is_good(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct policy *p = policy_of(m, "deploy/policies/zs.conf");

        assert_int_equal(check_as(m, p, NULL, market_conditional_entry(m)).n, 0);
        policy_free(p);
}

static void an_internal_rule_is_no_basis(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct policy *p = policy_of(m, "deploy/policies/zs.conf"), *na = policy_of(m, "deploy/policies/na.conf");
        Shuyi__V1__Entry *e = market_conditional_entry(m);
        char codes[CATALOG_CODES_TEXT];
        struct catalog_results r;

        e->share_basis[0]->level = BASIS_INTERNAL_RULE;
        r = check_as(m, p, NULL, e);
        catalog_format(&r, false, codes);
        assert_string_equal(codes, "C-006(share_basis),C-010");
        r = check_as(m, na, NULL, e);           /* no basis is asked there; an internal rule is none all the same */
        catalog_format(&r, false, codes);
        assert_string_equal(codes, "C-010");
        e->n_share_basis = 0;
        assert_int_equal(check_as(m, na, NULL, e).errors, 0);
        policy_free(p);
        policy_free(na);
}

static void a_scope_that_does_not_parse_is_named(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct policy *p = policy_of(m, "deploy/policies/zs.conf");
        Shuyi__V1__Entry *e = market_conditional_entry(m);
        char codes[CATALOG_CODES_TEXT];
        struct catalog_results r;

        e->share_scope = "everybody";
        r = check_as(m, p, NULL, e);
        catalog_format(&r, false, codes);
        assert_string_equal(codes, "C-024(line 1: who)");
        policy_free(p);
}

static void one_source_per_datum_and_one_name_per_provider(void **state)
{
        _cleanup_(market_freep) struct market *m = market_new();
        struct policy *p = policy_of(m, "deploy/policies/zs.conf");
        struct rows rows = { map_state_ops(m->c->state), m->c->arena, 0 };
        char codes[CATALOG_CODES_TEXT];
        struct catalog_results r;

        market_publish(m, market_open_entry(m));
        r = check_as(m, p, &rows, market_open_entry(m));
        catalog_format(&r, false, codes);
        assert_string_equal(codes, "C-001(resource_name),C-015(N.GEO.DIVISION)");
        policy_free(p);
}

CASE(theme) { e->class_level = 2; }
CASE(opened) { e->open_type = OPEN_UNCONDITIONAL; }
CASE(related) { static char *codes[] = { "344001/1" }; e->n_related_codes = 1; e->related_codes = codes; }
CASE(filtered) { e->row_filter = "level = 'TOWN'"; }
CASE(predicate) { e->share_condition = "consumer.class = 'GOV_DEPT'"; }
CASE(personal) { e->items[1]->sensitivity = SENS_PERSONAL; }
CASE(masked) { e->items[1]->mask_rule = "DROP"; }
CASE(item_opened) { e->items[1]->item_open = true; }

static void what_comes_later_is_named(void **state)
{
        static const struct { void (*spoil)(Shuyi__V1__Entry *); const char *field; } later[] = {
                { theme, "theme_tags" }, { opened, "open_type" }, { related, "related_codes" }, { filtered, "row_filter" },
                { predicate, "share_condition" }, { personal, "sensitivity" }, { masked, "mask_rule" }, { item_opened, "item_open" },
        };
        _cleanup_(market_freep) struct market *m = market_new();

        assert_null(catalog_not_yet(market_open_entry(m)));
        for (size_t i = 0; i < ELEMENTS(later); i++) {
                Shuyi__V1__Entry *e = market_open_entry(m);

                later[i].spoil(e);
                assert_string_equal(catalog_not_yet(e), later[i].field);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_rule),
                cmocka_unit_test(far_from_any_replica_only_the_entry_speaks),
                cmocka_unit_test(the_conditional_entry_is_good),
                cmocka_unit_test(an_internal_rule_is_no_basis),
                cmocka_unit_test(a_scope_that_does_not_parse_is_named),
                cmocka_unit_test(one_source_per_datum_and_one_name_per_provider),
                cmocka_unit_test(what_comes_later_is_named),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
