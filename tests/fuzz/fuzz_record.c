/* record: a record of the input held against a catalog entry.  What passes keeps to its items, also when projected to fewer. */
#include "common/macro.h"
#include "common/record.h"
#include "tests/fuzz/scene.h"

#define TODAY 20496

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_(arena_freep) struct arena *a = fuzz_arena(8 << 20);
        static const uint32_t all[] = { 1, 2, 3, 4 }, some[] = { 1, 3 };
        struct script s = { data, n };
        const Shuyi__V1__Entry *entry = scene_get()->open_entry;
        uint8_t raw = script_u8(&s);
        Shuyi__V1__Record *r = message_parse(a, &shuyi__v1__record__descriptor, script_rest(&s));
        const char *wrong, *narrow;
        uint32_t item = 0;

        if (!r)
                return 0;
        wrong = record_check(entry, all, ELEMENTS(all), r, TODAY, &item);
        REQUIRE(wrong == record_check(entry, all, ELEMENTS(all), r, TODAY, &item) || !strcmp(wrong, record_check(entry, all, ELEMENTS(all), r, TODAY, &item)));
        for (size_t i = 0; !wrong && i < r->n_values; i++)
                REQUIRE(r->values[i]->item >= 1 && r->values[i]->item <= 4 && (i == 0 || r->values[i]->item > r->values[i - 1]->item));
        for (size_t i = 0; raw % 2 && i < r->n_values; i++)
                for (size_t k = 0; k < entry->n_items; k++)
                        value_check(entry->items[k], r->values[i], TODAY);
        record_project(r, some, ELEMENTS(some));
        for (size_t i = 0; i < r->n_values; i++)
                REQUIRE(r->values[i]->item == 1 || r->values[i]->item == 3);
        narrow = record_check(entry, some, ELEMENTS(some), r, TODAY, &item);
        REQUIRE(wrong || !narrow);
        return 0;
}
