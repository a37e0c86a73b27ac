/* base64: libsodium's codec behind a check of the alphabet. */
#include "common/base64.h"

#include <sodium.h>

#define VARIANT sodium_base64_VARIANT_ORIGINAL

void base64_encode(struct bytes b, char *ret)
{
        sodium_bin2base64(ret, BASE64_CHARS(b.n) + 1, b.p, b.n, VARIANT);
}

static bool in_alphabet(uint8_t c)
{
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/' || c == '=';
}

bool base64_decode(struct bytes text, void *ret, size_t room, size_t *ret_n)
{
        size_t n = 0;

        if (text.n % 4 != 0)
                return false;
        for (size_t i = 0; i < text.n; i++)
                if (!in_alphabet(text.p[i]))
                        return false;
        if (text.n > 0 && sodium_base642bin(ret, room, (const char *)text.p, text.n, NULL, &n, NULL, VARIANT) != 0)
                return false;
        *ret_n = n;
        return true;
}

bool base64_decode_exact(struct bytes text, void *ret, size_t n)
{
        size_t got;

        return base64_decode(text, ret, n, &got) && got == n;
}
