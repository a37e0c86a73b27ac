/* artifact: magic line, base64 in lines of 76, and back without a second spelling. */
#include "common/artifact.h"

#include "common/base64.h"
#include "common/envelope.h"
#include "common/macro.h"
#include "proto/bundle.pb-c.h"
#include "proto/identity.pb-c.h"

#include <assert.h>

#define LINE_CHARS 76
#define LINE_BYTES 57

#define ROW_none NULL
#define ROW_genesis_file &shuyi__v1__genesis_file__descriptor
#define ROW_join_file &shuyi__v1__join_file__descriptor
#define ROW_welcome_file &shuyi__v1__welcome_file__descriptor
#define ROW_signed_anchor &shuyi__v1__signed_anchor__descriptor
#define ROW_bundle &shuyi__v1__bundle__descriptor
#define ROW_envelope &shuyi__v1__envelope__descriptor
#define ROW(constant, magic, message) { magic, ROW_##message },

static const struct { const char *magic; const ProtobufCMessageDescriptor *message; } rows[] = { ARTIFACTS(ROW) };

const char *artifact_magic(enum artifact kind)
{
        assert(kind < ARTIFACT_COUNT);
        return rows[kind].magic;
}

/* The next line of *text, LF and a CR before it cut off; false at the end or if the LF is missing. */
static bool next_line(struct bytes *text, struct bytes *ret)
{
        const uint8_t *lf = text->n > 0 ? memchr(text->p, '\n', text->n) : NULL;
        size_t n;

        if (!lf)
                return false;
        n = (size_t)(lf - text->p);
        *ret = bytes_of(text->p, n > 0 && lf[-1] == '\r' ? n - 1 : n);
        *text = bytes_of(lf + 1, text->n - n - 1);
        return true;
}

bool artifact_find(struct bytes text, enum artifact *ret)
{
        struct bytes line;

        if (!next_line(&text, &line))
                return false;
        for (unsigned i = 0; i < ARTIFACT_COUNT; i++) {
                if (bytes_equal(line, bytes_str(rows[i].magic))) {
                        *ret = (enum artifact)i;
                        return true;
                }
        }
        return false;
}

struct bytes artifact_encode(struct arena *a, enum artifact kind, struct bytes content)
{
        const char *magic = artifact_magic(kind);
        size_t lines = (content.n + LINE_BYTES - 1) / LINE_BYTES, m = strlen(magic), most = m + 1 + lines * (LINE_CHARS + 1);
        char *text, *p;

        if (most > ARTIFACT_MAX_BYTES)
                return (struct bytes){ 0 };
        text = arena_alloc(a, most + 1);                        /* base64_encode ends its text with NUL */
        if (!text)
                return (struct bytes){ 0 };
        memcpy(text, magic, m);
        text[m] = '\n';
        p = text + m + 1;
        for (size_t at = 0; at < content.n; at += LINE_BYTES) {
                size_t n = content.n - at < LINE_BYTES ? content.n - at : LINE_BYTES;

                base64_encode(bytes_of(content.p + at, n), p);
                p += BASE64_CHARS(n);
                *p++ = '\n';
        }
        return bytes_of(text, (size_t)(p - text));
}

static const char *decode_lines(struct bytes text, uint8_t *to, size_t *ret_n)
{
        struct bytes line;
        size_t n = 0, got = 0;
        bool last = false;

        while (text.n > 0) {
                if (last)
                        return "a short line before the end";
                if (!next_line(&text, &line) || line.n == 0 || line.n > LINE_CHARS)
                        return "lines are of 76 characters, each ended";
                if (!base64_decode(line, to + n, LINE_BYTES, &got))
                        return "not base64";
                last = line.n < LINE_CHARS || got < LINE_BYTES;
                n += got;
        }
        *ret_n = n;
        return NULL;
}

const char *artifact_decode(struct arena *a, enum artifact kind, struct bytes text, struct bytes *ret)
{
        struct bytes line;
        const char *wrong;
        enum artifact found;
        uint8_t *to;
        size_t n;

        if (text.n > ARTIFACT_MAX_BYTES)
                return "too long";
        if (!artifact_find(text, &found))
                return "it has not the first line of a file of Shuyi's";
        if (found != kind)
                return "a file of another kind: see its first line";
        next_line(&text, &line);
        to = arena_alloc(a, text.n + LINE_BYTES);
        if (!to)
                return "no room";
        wrong = decode_lines(text, to, &n);
        if (wrong)
                return wrong;
        *ret = bytes_of(to, n);
        return NULL;
}

struct bytes artifact_write(struct arena *a, enum artifact kind, const ProtobufCMessage *m)
{
        struct bytes packed;

        assert(kind < ARTIFACT_COUNT && rows[kind].message == m->descriptor);
        packed = message_pack(a, m);
        return packed.p ? artifact_encode(a, kind, packed) : packed;
}

const char *artifact_read(struct arena *a, enum artifact kind, struct bytes text, void *ret_message)
{
        struct bytes content;
        const char *wrong;
        void *m;

        assert(kind < ARTIFACT_COUNT && rows[kind].message);
        wrong = artifact_decode(a, kind, text, &content);
        if (wrong)
                return wrong;
        m = message_parse(a, rows[kind].message, content);
        if (!m)
                return "not exactly one canonical message";
        *(void **)ret_message = m;
        return NULL;
}
