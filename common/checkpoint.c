/* checkpoint: tree heads as signed notes.  Lines of keys other than the log's are skipped: cosignatures stand there. */
#include "common/checkpoint.h"

#include "common/base64.h"

#include <sodium.h>

#define ROOT_BASE64 BASE64_CHARS(DIGEST_BYTES)
#define SIGNATURE_BLOB (NOTE_ID_BYTES + crypto_sign_BYTES)

char *checkpoint_sign(struct arena *a, const struct checkpoint *c, const uint8_t secret[64], const uint8_t key[32])
{
        char root[ROOT_BASE64 + 1], *text, *line;
        uint8_t blob[SIGNATURE_BLOB];

        if (!note_name_check(c->origin))
                return NULL;
        base64_encode(bytes_digest(&c->root), root);
        text = arena_printf(a, "%s\n%llu\n%s\n", c->origin, (unsigned long long)c->size, root);
        if (!text)
                return NULL;
        note_key_id(NOTE_ED25519, c->origin, key, blob);
        crypto_sign_detached(blob + NOTE_ID_BYTES, NULL, (const uint8_t *)text, strlen(text), secret);
        line = note_line(a, c->origin, bytes_of(blob, sizeof(blob)));
        return line ? arena_printf(a, "%s\n%s", text, line) : NULL;
}

char *checkpoint_vkey(struct arena *a, const char *name, const uint8_t key[32])
{
        return note_vkey(a, NOTE_ED25519, name, key);
}

/* ---- reading ---- */

struct head { struct bytes origin, text; uint64_t size; struct digest root; };

/* The three lines, the blank one, and the signature lines in `c`.  No extension lines. */
static const char *parse_head(const char *note, struct note_cursor *c, struct head *ret)
{
        size_t n = strnlen(note, NOTE_MAX_BYTES + 1);
        struct bytes line;

        if (n > NOTE_MAX_BYTES)
                return "longer than a note may be";
        *c = (struct note_cursor){ note, note + n };
        if (!note_next_line(c, &ret->origin) || ret->origin.n == 0)
                return "origin";
        if (!note_next_line(c, &line) || !note_parse_number(line, &ret->size))
                return "size";
        if (!note_next_line(c, &line) || line.n != ROOT_BASE64 || !base64_decode_exact(line, ret->root.b, DIGEST_BYTES))
                return "root";
        ret->text = bytes_of(note, (size_t)(c->p - note));
        return note_next_line(c, &line) && line.n == 0 ? NULL : "no blank line after the root";
}

/* Walks the signature lines: one of `key` must be there, and every one of `key` must hold. */
static const char *check_signatures(struct note_cursor *c, struct bytes text, const char *origin, const uint8_t key[32])
{
        uint8_t own[NOTE_ID_BYTES], blob[SIGNATURE_BLOB];
        struct note_signature s;
        unsigned lines = 0;
        bool found = false;
        int r;

        note_key_id(NOTE_ED25519, origin, key, own);
        while ((r = note_next_signature(c, &s)) != 0) {
                if (r < 0 || ++lines > NOTE_LINES_MAX)
                        return "signature lines";
                if (!note_signature_is_by(&s, origin, own))
                        continue;
                if (found || !note_signature_blob(&s, blob, sizeof(blob)) ||
                    crypto_sign_verify_detached(blob + NOTE_ID_BYTES, text.p, text.n, key) != 0)
                        return "signature";
                found = true;
        }
        return found ? NULL : "no signature by the log key";
}

const char *checkpoint_verify(struct arena *a, const char *note, const char *origin, const uint8_t key[32], struct checkpoint *ret)
{
        struct note_cursor c;
        struct head h;
        const char *wrong, *copy;

        if (!note_name_check(origin))
                return "origin";
        wrong = parse_head(note, &c, &h);
        if (!wrong && !bytes_equal(h.origin, bytes_str(origin)))
                wrong = "another origin";
        if (!wrong)
                wrong = check_signatures(&c, h.text, origin, key);
        if (wrong)
                return wrong;
        copy = arena_strdup(a, origin);
        if (!copy)
                return "no room";
        *ret = (struct checkpoint){ copy, h.size, h.root };
        return NULL;
}

const char *checkpoint_peek(struct arena *a, const char *note, struct checkpoint *ret)
{
        struct note_cursor c;
        struct head h;
        const char *wrong = parse_head(note, &c, &h), *origin;
        struct note_signature s;
        unsigned lines = 0;
        int r;

        if (wrong)
                return wrong;
        while ((r = note_next_signature(&c, &s)) != 0)
                if (r < 0 || ++lines > NOTE_LINES_MAX)
                        return "signature lines";
        origin = arena_printf(a, "%.*s", (int)h.origin.n, (const char *)h.origin.p);
        if (!origin)
                return "no room";
        if (!note_name_check(origin))
                return "origin";
        *ret = (struct checkpoint){ origin, h.size, h.root };
        return NULL;
}

struct bytes checkpoint_text(const char *note)
{
        const char *blank = strstr(note, "\n\n");

        return blank ? bytes_of(note, (size_t)(blank + 1 - note)) : (struct bytes){ 0 };
}
