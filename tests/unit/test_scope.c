/* scope: one text, one meaning; and who is within it (REGULATIONS 4.14). */
#include "tests/lib/unit.h"

#include "common/exchange/scope.h"
#include "common/macro.h"

static const struct { const char *name, *text, *wrong; } parsing[] = {
        { "the example of 4.14", "class GOV_DEPT : ADMIN_BASIS,DATA_CHECK : 1-4,7; code 11442000MX00000197 : ANY : ALL", NULL },
        { "everybody, for anything, everything", "ALL : ANY : ALL", NULL },
        { "a region and a role", "region 4420 : ANY : 1; role AUTHORITY,LEAD : OTHER_USE : 2-3", NULL },
        { "nothing", "", "line 1: who" },
        { "no such word", "group GOV_DEPT : ANY : ALL", "line 1: who" },
        { "no such class", "class GOV : ANY : ALL", "line 1: who" },
        { "values out of order", "class PARTY_ORG,GOV_DEPT : ANY : ALL", "line 1: who" },
        { "a value twice", "class GOV_DEPT,GOV_DEPT : ANY : ALL", "line 1: who" },
        { "a code too short", "code 11442000 : ANY : ALL", "line 1: who" },
        { "letters in a region", "region 44A0 : ANY : ALL", "line 1: who" },
        { "no such use", "ALL : PLAY : ALL", "line 1: uses" },
        { "uses out of order", "ALL : DATA_CHECK,ADMIN_BASIS : ALL", "line 1: uses" },
        { "a space is missing", "ALL :ANY : ALL", "line 1: uses" },
        { "item zero", "ALL : ANY : 0", "line 1: items" },
        { "a range backward", "ALL : ANY : 4-1", "line 1: items" },
        { "a range of one", "ALL : ANY : 4-4", "line 1: items" },
        { "ranges not merged", "ALL : ANY : 1-4,5", "line 1: items" },
        { "ranges out of order", "ALL : ANY : 7,1-4", "line 1: items" },
        { "a leading zero", "ALL : ANY : 01", "line 1: items" },
        { "text after the end", "ALL : ANY : ALL.", "line 1: end" },
        { "a separator without a line", "ALL : ANY : ALL; ", "line 2: who" },
        { "two spaces", "ALL : ANY : ALL;  ALL : ANY : ALL", "line 2: who" },
};

static void parses(void **state)
{
        struct arena *a = arena_new(1 << 20);

        for (size_t i = 0; i < ELEMENTS(parsing); i++) {
                const char *why = NULL;
                const struct scope *s = scope_parse(a, parsing[i].text, &why);

                if (!s != !!parsing[i].wrong || (why && strcmp(why, parsing[i].wrong) != 0))
                        fail_msg("%s: %s", parsing[i].name, why ? why : "accepted");
        }
        arena_free(a);
}

#define HEALTH "1144200000733381X8"
#define ELSEWHERE "11410821MX0000019X"

static const struct { const char *name, *text, *code; uint32_t class; bool authority; enum use_class use; uint32_t items[3]; bool allowed; } asking[] = {
        { "the class, a use, its items", "class GOV_DEPT : DATA_CHECK : 1-4", HEALTH, DEPT_GOV_DEPT, false, USE_DATA_CHECK, { 1, 4 }, true },
        { "another class", "class GOV_DEPT : DATA_CHECK : 1-4", HEALTH, DEPT_UTILITY, false, USE_DATA_CHECK, { 1 }, false },
        { "another use", "class GOV_DEPT : DATA_CHECK : 1-4", HEALTH, DEPT_GOV_DEPT, false, USE_WORK_REFERENCE, { 1 }, false },
        { "one item outside", "class GOV_DEPT : DATA_CHECK : 1-4", HEALTH, DEPT_GOV_DEPT, false, USE_DATA_CHECK, { 4, 5 }, false },
        { "each item in some line", "ALL : ANY : 1; ALL : ANY : 2", HEALTH, DEPT_GOV_DEPT, false, USE_OTHER, { 1, 2 }, true },
        { "lines do not lend each other their uses", "ALL : DATA_CHECK : 1; ALL : OTHER_USE : 2", HEALTH, DEPT_GOV_DEPT, false, USE_OTHER, { 1 }, false },
        { "by its code", "code " HEALTH " : ANY : ALL", HEALTH, DEPT_UTILITY, false, USE_OTHER, { 9 }, true },
        { "another's code", "code " HEALTH " : ANY : ALL", ELSEWHERE, DEPT_GOV_DEPT, false, USE_OTHER, { 9 }, false },
        { "a region by its beginning", "region 4420 : ANY : ALL", HEALTH, DEPT_GOV_DEPT, false, USE_OTHER, { 1 }, true },
        { "a region with its zeros", "region 442000 : ANY : ALL", HEALTH, DEPT_GOV_DEPT, false, USE_OTHER, { 1 }, true },
        { "another region", "region 4420 : ANY : ALL", ELSEWHERE, DEPT_GOV_DEPT, false, USE_OTHER, { 1 }, false },
        { "the authority's role", "role AUTHORITY : ANY : ALL", HEALTH, DEPT_GOV_DEPT, true, USE_OTHER, { 1 }, true },
        { "not its role", "role AUTHORITY : ANY : ALL", HEALTH, DEPT_GOV_DEPT, false, USE_OTHER, { 1 }, false },
};

static void allows(void **state)
{
        struct arena *a = arena_new(1 << 20);

        for (size_t i = 0; i < ELEMENTS(asking); i++) {
                Shuyi__V1__Department d = SHUYI__V1__DEPARTMENT__INIT;
                size_t n = 0;

                while (n < 3 && asking[i].items[n])
                        n++;
                d.code = (char *)asking[i].code;
                d.dept_class = asking[i].class;
                d.authority = asking[i].authority;
                if (scope_allows(scope_parse(a, asking[i].text, NULL), &d, asking[i].use, asking[i].items, n) != asking[i].allowed)
                        fail_msg("%s", asking[i].name);
        }
        arena_free(a);
}

static void a_region_ends_before_its_zeros(void **state)
{
        char region[7];

        scope_region(HEALTH, region);
        assert_string_equal(region, "4420");
        scope_region(ELSEWHERE, region);
        assert_string_equal(region, "410821");
        scope_region("11440000MX00000197", region);
        assert_string_equal(region, "44");
        scope_region("too short", region);
        assert_string_equal(region, "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(parses),
                cmocka_unit_test(allows),
                cmocka_unit_test(a_region_ends_before_its_zeros),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
