/* uuid7: RFC 9562 identifiers that begin with their time, so that they sort by it.  Pure. */
#include "common/envelope.h"

void uuid7_make(uint64_t ms, const uint8_t random[10], struct id *ret)
{
        for (unsigned i = 0; i < 6; i++)
                ret->b[i] = (uint8_t)(ms >> (40 - 8 * i));
        memcpy(ret->b + 6, random, 10);
        ret->b[6] = (uint8_t)(0x70 | (ret->b[6] & 0x0f));
        ret->b[8] = (uint8_t)(0x80 | (ret->b[8] & 0x3f));
}

uint64_t uuid7_time(const struct id *i)
{
        return get_be64(i->b) >> 16;
}

bool uuid7_check(const struct id *i)
{
        return i->b[6] >> 4 == 7 && i->b[8] >> 6 == 2;
}
