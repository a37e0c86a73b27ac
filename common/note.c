/* note: see the header. */
#include "common/note.h"

#include "common/base64.h"

#include <sodium.h>

#define LINE_BASE64_MAX 8192
#define VKEY_BLOB (1 + NOTE_KEY_BYTES)
#define VKEY_BASE64 BASE64_CHARS(VKEY_BLOB)

bool note_name_check(const char *name)
{
        size_t n = strnlen(name, NOTE_NAME_MAX_BYTES + 1);

        if (n == 0 || n > NOTE_NAME_MAX_BYTES || !utf8_check(bytes_of(name, n)))
                return false;
        for (size_t i = 0; i < n; i++)
                if ((uint8_t)name[i] <= ' ' || name[i] == '+' || name[i] == 0x7f)
                        return false;
        return true;
}

void note_key_id(enum note_type type, const char *name, const uint8_t key[NOTE_KEY_BYTES], uint8_t ret[NOTE_ID_BYTES])
{
        const uint8_t tail[2] = { '\n', (uint8_t)type };
        crypto_hash_sha256_state h;
        uint8_t d[crypto_hash_sha256_BYTES];

        crypto_hash_sha256_init(&h);
        crypto_hash_sha256_update(&h, (const uint8_t *)name, strlen(name));
        crypto_hash_sha256_update(&h, tail, sizeof(tail));
        crypto_hash_sha256_update(&h, key, NOTE_KEY_BYTES);
        crypto_hash_sha256_final(&h, d);
        memcpy(ret, d, NOTE_ID_BYTES);
}

/* ---- verifier keys ---- */

char *note_vkey(struct arena *a, enum note_type type, const char *name, const uint8_t key[NOTE_KEY_BYTES])
{
        uint8_t id[NOTE_ID_BYTES], blob[VKEY_BLOB] = { (uint8_t)type };
        char hex[2 * NOTE_ID_BYTES + 1], base64[VKEY_BASE64 + 1];

        if (!note_name_check(name))
                return NULL;
        note_key_id(type, name, key, id);
        hex_format(bytes_of(id, sizeof(id)), hex);
        memcpy(blob + 1, key, NOTE_KEY_BYTES);
        base64_encode(bytes_of(blob, sizeof(blob)), base64);
        return arena_printf(a, "%s+%s+%s", name, hex, base64);
}

const char *note_vkey_parse(struct arena *a, const char *vkey, enum note_type type, const char **ret_name, uint8_t ret_key[NOTE_KEY_BYTES])
{
        const char *plus = strchr(vkey, '+'), *again;
        size_t n = plus ? (size_t)(plus - vkey) : 0;
        uint8_t blob[VKEY_BLOB];
        char *name;

        if (n == 0 || n > NOTE_NAME_MAX_BYTES || strlen(plus) != 1 + 2 * NOTE_ID_BYTES + 1 + VKEY_BASE64)
                return "not a verifier key: name+id+key";
        if (!base64_decode_exact(bytes_of(plus + 2 + 2 * NOTE_ID_BYTES, VKEY_BASE64), blob, sizeof(blob)))
                return "its key is not base64";
        if (blob[0] != type)
                return type == NOTE_COSIGNATURE ? "not the key of a witness (type 0x04)" : "not the key of a log (type 0x01)";
        name = arena_printf(a, "%.*s", (int)n, vkey);
        again = name ? note_vkey(a, type, name, blob + 1) : NULL;
        if (!again || strcmp(again, vkey) != 0)
                return "its id is not that of its name and key";
        *ret_name = name;
        memcpy(ret_key, blob + 1, NOTE_KEY_BYTES);
        return NULL;
}

/* ---- lines ---- */

char *note_line(struct arena *a, const char *name, struct bytes blob)
{
        char *base64 = arena_alloc(a, BASE64_CHARS(blob.n) + 1);

        if (!base64)
                return NULL;
        base64_encode(blob, base64);
        return arena_printf(a, NOTE_DASH "%s %s\n", name, base64);
}

bool note_next_line(struct note_cursor *c, struct bytes *ret)
{
        const char *lf = c->p < c->end ? memchr(c->p, '\n', (size_t)(c->end - c->p)) : NULL;

        if (!lf)
                return false;
        *ret = bytes_of(c->p, (size_t)(lf - c->p));
        c->p = lf + 1;
        return true;
}

bool note_parse_number(struct bytes text, uint64_t *ret)
{
        uint64_t v = 0;

        if (text.n == 0 || text.n > 20 || (text.p[0] == '0' && text.n > 1))
                return false;
        for (size_t i = 0; i < text.n; i++) {
                if (text.p[i] < '0' || text.p[i] > '9')
                        return false;
                if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(text.p[i] - '0'), &v))
                        return false;
        }
        *ret = v;
        return true;
}

/* Divides "DASH name SP base64"; false if it is no signature line. */
static bool split_line(struct bytes line, struct note_signature *ret)
{
        const struct bytes dash = bytes_str(NOTE_DASH);
        const uint8_t *space;
        uint8_t head[6];

        if (!bytes_has_prefix(line, dash))
                return false;
        line = bytes_of(line.p + dash.n, line.n - dash.n);
        space = line.n > 0 ? memchr(line.p, ' ', line.n) : NULL;
        if (!space || space == line.p)
                return false;
        ret->name = bytes_of(line.p, (size_t)(space - line.p));
        ret->base64 = bytes_of(space + 1, line.n - ret->name.n - 1);
        if (!utf8_check(ret->name) || memchr(ret->name.p, '+', ret->name.n) || ret->base64.n < 8 || ret->base64.n > LINE_BASE64_MAX)
                return false;
        if (!base64_decode_exact(bytes_of(ret->base64.p, 8), head, sizeof(head)))
                return false;
        memcpy(ret->id, head, NOTE_ID_BYTES);
        return true;
}

int note_next_signature(struct note_cursor *c, struct note_signature *ret)
{
        struct bytes line;

        if (c->p >= c->end)
                return 0;
        return note_next_line(c, &line) && split_line(line, ret) ? 1 : -1;
}

bool note_signature_is_by(const struct note_signature *s, const char *name, const uint8_t id[NOTE_ID_BYTES])
{
        return memcmp(s->id, id, NOTE_ID_BYTES) == 0 && bytes_equal(s->name, bytes_str(name));
}

bool note_signature_blob(const struct note_signature *s, void *ret, size_t n)
{
        return base64_decode_exact(s->base64, ret, n);
}
