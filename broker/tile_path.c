/* tile_path: see the header. */
#include "broker/tile_path.h"
#include <string.h>

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* One to `digits` decimal digits without a leading zero; false if there are none, or more. */
static bool take_number(const char **at, unsigned digits, unsigned *ret)
{
        unsigned n = 0, v = 0;

        for (; is_digit(**at) && n < digits; n++)
                v = v * 10 + (unsigned)(*(*at)++ - '0');
        *ret = v;
        return n > 0 && !is_digit(**at) && !(n > 1 && (*at)[-(int)n] == '0');
}

static bool take_group(const char **at, uint64_t *n)
{
        for (unsigned i = 0; i < 3; i++) {
                if (!is_digit(**at))
                        return false;
                *n = *n * 10 + (uint64_t)(*(*at)++ - '0');
        }
        return true;
}

static bool take_index(const char **at, uint64_t *ret)
{
        uint64_t n = 0;

        for (unsigned group = 0; group < TILE_PATH_GROUPS; group++) {
                bool more = **at == 'x';

                *at += more;
                if (!take_group(at, &n))
                        return false;
                if (!more) {
                        *ret = n;
                        return group == 0 || n > 999;           /* x000/001 is spelled 001 */
                }
                if (*(*at)++ != '/' || n == 0)
                        return false;
        }
        return false;
}

bool tile_path_parse(const char *path, struct tile_path *ret)
{
        struct tile_path p = { .width = 256 };

        if (!take_number(&path, 2, &p.level) || p.level > 63 || *path++ != '/' || !take_index(&path, &p.n))
                return false;
        if (strncmp(path, ".p/", 3) == 0) {
                path += 3;
                if (!take_number(&path, 3, &p.width) || p.width == 0 || p.width > 255)
                        return false;
        }
        if (*path)
                return false;
        *ret = p;
        return true;
}
