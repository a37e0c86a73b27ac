/* witness: see the header. */
#include "common/witness.h"

#include "common/base64.h"
#include "common/digest.h"
#include "common/merkle.h"

#include <stdio.h>

#define HASH_BASE64 BASE64_CHARS(DIGEST_BYTES)

char *witness_request_format(struct arena *a, uint64_t old, const struct digest *path, unsigned path_n, const char *note)
{
        char lines[WITNESS_PATH_MAX * (HASH_BASE64 + 1) + 1], *at = lines;

        if (path_n > WITNESS_PATH_MAX)
                return NULL;
        for (unsigned i = 0; i < path_n; i++) {
                base64_encode(bytes_digest(&path[i]), at);
                at += HASH_BASE64;
                *at++ = '\n';
        }
        *at = 0;
        return arena_printf(a, "old %llu\n%s\n%s", (unsigned long long)old, lines, note);
}

static bool parse_old(struct bytes line, uint64_t *ret)
{
        const struct bytes word = bytes_str("old ");

        return bytes_has_prefix(line, word) && note_parse_number(bytes_of(line.p + word.n, line.n - word.n), ret);
}

/* The hashes up to the blank line. */
static const char *parse_path(struct note_cursor *c, struct witness_request *rq)
{
        struct bytes line;

        for (;;) {
                if (!note_next_line(c, &line))
                        return "no blank line before the checkpoint";
                if (line.n == 0)
                        return NULL;
                if (rq->path_n == WITNESS_PATH_MAX)
                        return "more than 63 hashes";
                if (line.n != HASH_BASE64 || !base64_decode_exact(line, rq->path[rq->path_n].b, DIGEST_BYTES))
                        return "a hash is not base64 of 32 bytes";
                rq->path_n++;
        }
}

const char *witness_request_parse(struct arena *a, struct bytes body, struct witness_request *ret)
{
        struct note_cursor c;
        struct witness_request rq = { 0 };
        struct bytes line, note;
        const char *wrong;

        if (body.n == 0 || body.n > WITNESS_REQUEST_MAX_BYTES || memchr(body.p, 0, body.n))
                return "length";
        c = (struct note_cursor){ (const char *)body.p, (const char *)body.p + body.n };
        if (!note_next_line(&c, &line) || !parse_old(line, &rq.old))
                return "old size";
        wrong = parse_path(&c, &rq);
        if (wrong)
                return wrong;
        note = bytes_of(c.p, (size_t)(c.end - c.p));
        if (note.n == 0)
                return "no checkpoint";
        rq.note = arena_printf(a, "%.*s", (int)note.n, (const char *)note.p);
        if (!rq.note)
                return "no room";
        *ret = rq;
        return NULL;
}

/* From nothing, from the same size, or by the proof. */
static bool goes_on(const struct witness_head *known, const struct witness_request *rq, const struct checkpoint *c)
{
        const struct merkle_frontier empty = { 0 };
        const struct digest none = merkle_root(&empty);

        if (c->size == 0)
                return rq->path_n == 0 && digest_equal(&c->root, &none);
        if (known->size == 0 || known->size == c->size)
                return rq->path_n == 0;
        return merkle_check_consistency(known->size, c->size, &known->root, &c->root, rq->path, rq->path_n);
}

enum witness_answer witness_judge(const struct witness_head *known, const struct witness_request *rq, const struct checkpoint *c)
{
        if (rq->old > c->size)
                return WITNESS_FORM;
        if (rq->old != known->size)
                return WITNESS_CONFLICT;
        if (known->size > 0 && known->size == c->size && !digest_equal(&known->root, &c->root))
                return WITNESS_CONFLICT;
        return goes_on(known, rq, c) ? WITNESS_COSIGN : WITNESS_INCONSISTENT;
}
