/* bytes: the functions behind bytes.h.  Pure, no allocation. */
#include "common/bytes.h"

int bytes_compare(struct bytes a, struct bytes b)
{
        size_t n = a.n < b.n ? a.n : b.n;
        int r = n ? memcmp(a.p, b.p, n) : 0;

        return r ? r : (a.n > b.n) - (a.n < b.n);
}

bool bytes_has_prefix(struct bytes b, struct bytes prefix)
{
        return b.n >= prefix.n && bytes_equal(bytes_of(b.p, prefix.n), prefix);
}

static void put_be(uint8_t *p, uint64_t v, unsigned width)
{
        for (unsigned i = width; i-- > 0; v >>= 8)
                p[i] = (uint8_t)v;
}

static uint64_t get_be(const uint8_t *p, unsigned width)
{
        uint64_t v = 0;

        for (unsigned i = 0; i < width; i++)
                v = v << 8 | p[i];
        return v;
}

static void put_le(uint8_t *p, uint64_t v, unsigned width)
{
        for (unsigned i = 0; i < width; i++, v >>= 8)
                p[i] = (uint8_t)v;
}

static uint64_t get_le(const uint8_t *p, unsigned width)
{
        uint64_t v = 0;

        for (unsigned i = width; i-- > 0;)
                v = v << 8 | p[i];
        return v;
}

void put_be64(uint8_t *p, uint64_t v) { put_be(p, v, 8); }
void put_be32(uint8_t *p, uint32_t v) { put_be(p, v, 4); }
void put_be16(uint8_t *p, uint16_t v) { put_be(p, v, 2); }
uint64_t get_be64(const uint8_t *p) { return get_be(p, 8); }
uint32_t get_be32(const uint8_t *p) { return (uint32_t)get_be(p, 4); }
uint16_t get_be16(const uint8_t *p) { return (uint16_t)get_be(p, 2); }
void put_le64(uint8_t *p, uint64_t v) { put_le(p, v, 8); }
void put_le32(uint8_t *p, uint32_t v) { put_le(p, v, 4); }
uint64_t get_le64(const uint8_t *p) { return get_le(p, 8); }
uint32_t get_le32(const uint8_t *p) { return (uint32_t)get_le(p, 4); }

bool bytes_copy_exact(struct bytes b, void *ret, size_t n)
{
        if (b.n != n)
                return false;
        if (n)
                memcpy(ret, b.p, n);
        return true;
}

void hex_format(struct bytes b, char *ret)
{
        static const char digits[] = "0123456789abcdef";

        for (size_t i = 0; i < b.n; i++) {
                *ret++ = digits[b.p[i] >> 4];
                *ret++ = digits[b.p[i] & 15];
        }
        *ret = '\0';
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -1;
}

bool hex_parse(const char *text, void *ret, size_t n)
{
        uint8_t *out = ret;

        for (size_t i = 0; i < 2 * n; i++)
                if (hex_digit(text[i]) < 0)             /* the NUL of a text that is too short stops here */
                        return false;
        if (text[2 * n] != '\0')
                return false;
        for (size_t i = 0; i < n; i++)
                out[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
        return true;
}

/* How many bytes a well-formed character takes at `p`, of `n` that are there; 0 if it is none. */
static size_t utf8_length(const uint8_t *p, size_t n)
{
        uint8_t low = 0x80, high = 0xbf;
        size_t need;

        if (p[0] < 0x80)
                return p[0] != 0;
        if (p[0] >= 0xc2 && p[0] <= 0xdf)
                need = 2;
        else if (p[0] >= 0xe0 && p[0] <= 0xef)
                need = 3;
        else if (p[0] >= 0xf0 && p[0] <= 0xf4)
                need = 4;
        else
                return 0;
        if (n < need)
                return 0;

        switch (p[0]) {                                 /* RFC 3629: the second byte's range narrows at the edges */
        case 0xe0: low = 0xa0; break;
        case 0xed: high = 0x9f; break;
        case 0xf0: low = 0x90; break;
        case 0xf4: high = 0x8f; break;
        }
        if (p[1] < low || p[1] > high)
                return 0;
        for (size_t i = 2; i < need; i++)
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
        return need;
}

#define ONES 0x0101010101010101ull              /* eight bytes at once */
#define HIGH (0x80 * ONES)

/* How many bytes from `p` on, by eights, are ASCII and not NUL: most of what comes is.  With no high bit set, taking one from
 * each byte sets one exactly where there is a zero. */
static size_t ascii_run(const uint8_t *p, size_t n)
{
        size_t i = 0;
        uint64_t w;

        for (; n - i >= sizeof(w); i += sizeof(w)) {
                memcpy(&w, p + i, sizeof(w));
                if ((w | (w - ONES)) & HIGH)
                        break;
        }
        return i;
}

/* Not 0: one of its bytes is.  Which of those above the first are, it does not say. */
static uint64_t has_zero(uint64_t w)
{
        return (w - ONES) & ~w & HIGH;
}

size_t bytes_json_plain(struct bytes b)
{
        size_t i = 0;

        for (uint64_t w; b.n - i >= 8; i += 8) {
                memcpy(&w, b.p + i, 8);
                if (has_zero(w ^ '"' * ONES) | has_zero(w ^ '\\' * ONES) | ((w - 0x20 * ONES) & ~w & HIGH))
                        break;
        }
        while (i < b.n && b.p[i] >= 0x20 && b.p[i] != '"' && b.p[i] != '\\')
                i++;
        return i;
}

bool utf8_check(struct bytes b)
{
        for (size_t i = 0; i < b.n;) {
                size_t n = b.p[i] < 0x80 ? ascii_run(b.p + i, b.n - i) : 0;

                if (n == 0)
                        n = utf8_length(b.p + i, b.n - i);
                if (n == 0)
                        return false;
                i += n;
        }
        return true;
}
