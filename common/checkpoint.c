/* checkpoint: C2SP signed notes, of which tree heads are one.
 *
 * A key is known by its id: the first four bytes of SHA-256(name LF type key).  Signature lines of other keys are
 * skipped, and there may be sixteen of them: cosignatures of witnesses stand there too. */
#include "common/checkpoint.h"

#include "common/base64.h"

#include <sodium.h>
#include <stdio.h>

#define TYPE_ED25519 0x01
#define NOTE_MAX_BYTES 8192
#define SIGNATURE_LINES_MAX 16
#define ORIGIN_MAX_BYTES 255
#define DASH "\xe2\x80\x94 "                    /* U+2014 and a space begin a signature line */
#define ROOT_BASE64 BASE64_CHARS(DIGEST_BYTES)
#define SIGNATURE_BLOB (4 + crypto_sign_BYTES)
#define SIGNATURE_BASE64 BASE64_CHARS(SIGNATURE_BLOB)

static void key_id(const char *name, const uint8_t key[32], uint8_t ret[4])
{
        static const uint8_t tail[2] = { '\n', TYPE_ED25519 };
        crypto_hash_sha256_state h;
        uint8_t d[crypto_hash_sha256_BYTES];

        crypto_hash_sha256_init(&h);
        crypto_hash_sha256_update(&h, (const uint8_t *)name, strlen(name));
        crypto_hash_sha256_update(&h, tail, sizeof(tail));
        crypto_hash_sha256_update(&h, key, 32);
        crypto_hash_sha256_final(&h, d);
        memcpy(ret, d, 4);
}

/* A key's name: UTF-8, no space, plus or control character. */
static bool name_check(const char *name)
{
        size_t n = strlen(name);

        if (n == 0 || n > ORIGIN_MAX_BYTES || !utf8_check(bytes_of(name, n)))
                return false;
        for (size_t i = 0; i < n; i++)
                if ((uint8_t)name[i] <= ' ' || name[i] == '+' || name[i] == 0x7f)
                        return false;
        return true;
}

static char *note_text(struct arena *a, const struct checkpoint *c)
{
        char root[ROOT_BASE64 + 1];

        base64_encode(bytes_digest(&c->root), root);
        return arena_printf(a, "%s\n%llu\n%s\n", c->origin, (unsigned long long)c->size, root);
}

char *checkpoint_sign(struct arena *a, const struct checkpoint *c, const uint8_t secret[64], const uint8_t key[32])
{
        char line[SIGNATURE_BASE64 + 1];
        uint8_t blob[SIGNATURE_BLOB];
        char *text;

        if (!name_check(c->origin))
                return NULL;
        text = note_text(a, c);
        if (!text)
                return NULL;
        key_id(c->origin, key, blob);
        crypto_sign_detached(blob + 4, NULL, (const uint8_t *)text, strlen(text), secret);
        base64_encode(bytes_of(blob, sizeof(blob)), line);
        return arena_printf(a, "%s\n" DASH "%s %s\n", text, c->origin, line);
}

/* ---- reading ---- */

struct cursor { const char *p, *end; };

/* The next line without its LF; false at the end or if the LF is missing. */
static bool next_line(struct cursor *c, struct bytes *ret)
{
        const char *lf = c->p < c->end ? memchr(c->p, '\n', (size_t)(c->end - c->p)) : NULL;

        if (!lf)
                return false;
        *ret = bytes_of(c->p, (size_t)(lf - c->p));
        c->p = lf + 1;
        return true;
}

/* Decimal without leading zeros, within 64 bits. */
static bool parse_size(struct bytes t, uint64_t *ret)
{
        uint64_t v = 0;

        if (t.n == 0 || t.n > 20 || (t.p[0] == '0' && t.n > 1))
                return false;
        for (size_t i = 0; i < t.n; i++) {
                if (t.p[i] < '0' || t.p[i] > '9')
                        return false;
                if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(t.p[i] - '0'), &v))
                        return false;
        }
        *ret = v;
        return true;
}

static const char *parse_text(struct cursor *c, const char *origin, struct checkpoint *ret)
{
        struct bytes line;

        if (!next_line(c, &line) || !bytes_equal(line, bytes_str(origin)))
                return "another origin";
        if (!next_line(c, &line) || !parse_size(line, &ret->size))
                return "size";
        if (!next_line(c, &line) || line.n != ROOT_BASE64 || !base64_decode_exact(line, ret->root.b, DIGEST_BYTES))
                return "root";
        return NULL;
}

/* Divides "DASH name SP base64"; false if it is no signature line. */
static bool split_line(struct bytes line, struct bytes *ret_name, uint8_t ret_id[4], struct bytes *ret_base64)
{
        const struct bytes dash = bytes_str(DASH);
        const uint8_t *space;
        uint8_t head[6];

        if (!bytes_has_prefix(line, dash))
                return false;
        line = bytes_of(line.p + dash.n, line.n - dash.n);
        space = memchr(line.p, ' ', line.n);
        if (!space || space == line.p)
                return false;
        *ret_name = bytes_of(line.p, (size_t)(space - line.p));
        *ret_base64 = bytes_of(space + 1, line.n - ret_name->n - 1);
        if (!utf8_check(*ret_name) || memchr(ret_name->p, '+', ret_name->n) || ret_base64->n < 8 || ret_base64->n > 8192)
                return false;
        if (!base64_decode_exact(bytes_of(ret_base64->p, 8), head, sizeof(head)))
                return false;
        memcpy(ret_id, head, 4);
        return true;
}

/* Walks the signature lines: one of `key` must be there, and every one of `key` must hold. */
static const char *check_signatures(struct cursor *c, struct bytes text, const char *origin, const uint8_t key[32])
{
        uint8_t own[4], id[4], blob[SIGNATURE_BLOB];
        struct bytes line, name, base64;
        unsigned lines = 0;
        bool found = false;

        key_id(origin, key, own);
        while (c->p < c->end) {
                if (!next_line(c, &line) || ++lines > SIGNATURE_LINES_MAX || !split_line(line, &name, id, &base64))
                        return "signature lines";
                if (!bytes_equal(name, bytes_str(origin)) || memcmp(id, own, 4) != 0)
                        continue;
                if (found || !base64_decode_exact(base64, blob, sizeof(blob)) ||
                    crypto_sign_verify_detached(blob + 4, text.p, text.n, key) != 0)
                        return "signature";
                found = true;
        }
        return found ? NULL : "no signature by the log key";
}

const char *checkpoint_verify(struct arena *a, const char *note, const char *origin, const uint8_t key[32], struct checkpoint *ret)
{
        size_t n = strnlen(note, NOTE_MAX_BYTES + 1);
        struct cursor c = { note, note + n };
        struct checkpoint found = { 0 };
        struct bytes text, line;
        const char *wrong;

        if (n > NOTE_MAX_BYTES)
                return "longer than a note may be";
        if (!name_check(origin))
                return "origin";
        wrong = parse_text(&c, origin, &found);
        if (wrong)
                return wrong;
        text = bytes_of(note, (size_t)(c.p - note));
        if (!next_line(&c, &line) || line.n != 0)
                return "no blank line after the root";
        wrong = check_signatures(&c, text, origin, key);
        if (wrong)
                return wrong;
        found.origin = arena_strdup(a, origin);
        if (!found.origin)
                return "no room";
        *ret = found;
        return NULL;
}

char *checkpoint_vkey(struct arena *a, const char *name, const uint8_t key[32])
{
        uint8_t id[4], blob[33] = { TYPE_ED25519 };
        char hex[9], base64[BASE64_CHARS(33) + 1];

        if (!name_check(name))
                return NULL;
        key_id(name, key, id);
        hex_format(bytes_of(id, sizeof(id)), hex);
        memcpy(blob + 1, key, 32);
        base64_encode(bytes_of(blob, sizeof(blob)), base64);
        return arena_printf(a, "%s+%s+%s", name, hex, base64);
}
