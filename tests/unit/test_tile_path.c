/* tile_path: the example of C2SP tlog-tiles, and one spelling for every tile. */
#include "broker/tile_path.h"
#include "common/macro.h"
#include "tests/lib/unit.h"

static void test_a_path_names_one_tile(void **state)
{
        static const struct { const char *path; unsigned level; uint64_t n; unsigned width; } cases[] = {
                { "0/000", 0, 0, 256 },
                { "0/x001/x234/067", 0, 1234067, 256 },         /* the standard's example */
                { "1/001", 1, 1, 256 },
                { "63/999", 63, 999, 256 },
                { "0/x001/000", 0, 1000, 256 },
                { "0/273.p/112", 0, 273, 112 },                 /* a tree of 70,000: its three partial tiles */
                { "1/001.p/17", 1, 1, 17 },
                { "2/000.p/1", 2, 0, 1 },
                { "0/x001/x234/067.p/255", 0, 1234067, 255 },
                { "0/x999/x999/x999/x999/x999/999", 0, 999999999999999999ull, 256 },
        };

        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                struct tile_path p;

                if (!tile_path_parse(cases[i].path, &p) || p.level != cases[i].level || p.n != cases[i].n || p.width != cases[i].width)
                        fail_msg("%s", cases[i].path);
        }
}

static void test_no_other_spelling_is_taken(void **state)
{
        static const char *const wrong[] = {
                "", "0", "0/", "/000", "0/0", "0/00", "0/0000", "00/000", "01/000", "64/000", "100/000", "-1/000", "+1/000", "0/ 00", "0/x000/001",
                "0/x000/x000/001", "0/001/002", "0/x001", "0/x001/", "0/x001/x002", "0/X001/002", "0/x01/002", "0/000.p", "0/000.p/", "0/000.p/0",
                "0/000.p/256", "0/000.p/01", "0/000.p/1000", "0/000.p/1/", "0/000.p/1x", "0/000/p/1", "0/000.q/1", "0/000 ", "0/000?", "entries/000", "data/000",
                "0/x001/x234/x567/x890/x123/x456/789", "0/12345678901234567890",
        };

        for (unsigned i = 0; i < ELEMENTS(wrong); i++) {
                struct tile_path p;

                if (tile_path_parse(wrong[i], &p))
                        fail_msg("%s", wrong[i]);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_path_names_one_tile),
                cmocka_unit_test(test_no_other_spelling_is_taken),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
