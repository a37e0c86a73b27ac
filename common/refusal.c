/* refusal: lookups in the table of refusal.h.  Pure. */
#include "common/refusal.h"
#include "common/macro.h"
#include <stddef.h>

#define REFUSAL_ROW(constant, number, code, en, zh, todo) { number, code, en, zh, todo },
static const struct refusal_text rows[] = { REFUSALS(REFUSAL_ROW) };

static const struct refusal_text unknown = { UINT16_MAX, "E_UNKNOWN", "a refusal that this version does not know", "未知的拒绝代码", "update this program" };

static const struct refusal_text *find(uint32_t number)
{
        for (unsigned i = 0; i < ELEMENTS(rows); i++)
                if (rows[i].number == number)
                        return &rows[i];
        return NULL;
}

const struct refusal_text *refusal_text(uint32_t number)
{
        const struct refusal_text *row = find(number);

        return row ? row : &unknown;
}

bool refusal_known(uint32_t number)
{
        return find(number) != NULL;
}

const struct refusal_text *refusal_at(unsigned index)
{
        return index < ELEMENTS(rows) ? &rows[index] : NULL;
}
