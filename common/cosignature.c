/* cosignature: what a witness signs (C2SP tlog-cosignature, Ed25519): two lines of its own, then the text of the head. */
#include "common/checkpoint.h"

#include "common/base64.h"

#include <sodium.h>
#include <stdio.h>

#define TIME_AT NOTE_ID_BYTES
#define SIGNATURE_AT (TIME_AT + 8)
#define BLOB (SIGNATURE_AT + crypto_sign_BYTES)
#define TEXT_MAX 512                            /* of a head: origin, size, root */
#define WITNESSES_MAX NOTE_LINES_MAX

struct signed_text { size_t n; char p[64 + TEXT_MAX]; };

/* "cosignature/v1 LF time T LF" and the head's text.  False: no head, or no time that may be signed. */
static bool make_text(const char *note, uint64_t time_s, struct signed_text *ret)
{
        struct bytes text = checkpoint_text(note);
        int n;

        if (text.n == 0 || text.n > TEXT_MAX || time_s == 0 || time_s > COSIGNATURE_TIME_MAX)
                return false;
        n = snprintf(ret->p, sizeof(ret->p), "cosignature/v1\ntime %llu\n", (unsigned long long)time_s);
        memcpy(ret->p + n, text.p, text.n);
        ret->n = (size_t)n + text.n;
        return true;
}

char *checkpoint_cosign(struct arena *a, const char *note, const char *name, uint64_t time_s, const uint8_t secret[64], const uint8_t key[32])
{
        struct signed_text t;
        uint8_t blob[BLOB];

        if (!note_name_check(name) || !make_text(note, time_s, &t))
                return NULL;
        note_key_id(NOTE_COSIGNATURE, name, key, blob);
        put_be64(blob + TIME_AT, time_s);
        crypto_sign_detached(blob + SIGNATURE_AT, NULL, (const uint8_t *)t.p, t.n, secret);
        return note_line(a, name, bytes_of(blob, sizeof(blob)));
}

static const char *check_blob(const char *note, const struct note_signature *s, const uint8_t key[32], uint64_t *ret_time_s)
{
        struct signed_text t;
        uint8_t blob[BLOB];

        if (!note_signature_blob(s, blob, sizeof(blob)))
                return "not the width of a cosignature";
        if (!make_text(note, get_be64(blob + TIME_AT), &t))
                return "time of a cosignature";
        if (crypto_sign_verify_detached(blob + SIGNATURE_AT, (const uint8_t *)t.p, t.n, key) != 0)
                return "cosignature";
        *ret_time_s = get_be64(blob + TIME_AT);
        return NULL;
}

const char *checkpoint_check_cosignature(const char *note, struct bytes line, const char *name, const uint8_t key[32], uint64_t *ret_time_s)
{
        bool whole = line.n > 0 && line.p[line.n - 1] == '\n';
        char copy[NOTE_NAME_MAX_BYTES + BASE64_CHARS(BLOB) + 16];
        struct note_cursor c = { copy, copy + line.n + !whole };
        struct note_signature s;
        uint8_t id[NOTE_ID_BYTES];

        if (line.n == 0 || line.n + 1 > sizeof(copy))
                return "not a signature line";
        memcpy(copy, line.p, line.n);
        copy[line.n] = '\n';                    /* behind an LF it is beyond the cursor's end */
        if (note_next_signature(&c, &s) != 1 || c.p != c.end)
                return "not a signature line";
        note_key_id(NOTE_COSIGNATURE, name, key, id);
        if (!note_signature_is_by(&s, name, id))
                return "another key";
        return check_blob(note, &s, key, ret_time_s);
}

/* ---- all that stand on a note ---- */

struct tally { const Shuyi__V1__Anchor *anchor; uint8_t id[WITNESSES_MAX][NOTE_ID_BYTES]; bool seen[WITNESSES_MAX]; struct checkpoint_quorum q; };

static void count_one(struct checkpoint_quorum *q, uint64_t time_s)
{
        q->first_s = q->count == 0 || time_s < q->first_s ? time_s : q->first_s;
        q->last_s = time_s > q->last_s ? time_s : q->last_s;
        q->count++;
}

/* NULL, also if the line is of nobody that the anchor names. */
static const char *judge_line(const char *note, const struct note_signature *s, struct tally *t)
{
        const char *wrong;
        uint64_t time_s;

        for (size_t i = 0; i < t->anchor->n_witnesses; i++) {
                if (!note_signature_is_by(s, t->anchor->witnesses[i]->name, t->id[i]))
                        continue;
                if (t->seen[i])
                        return "a witness stands twice";
                t->seen[i] = true;
                wrong = check_blob(note, s, t->anchor->witnesses[i]->key.data, &time_s);
                if (!wrong)
                        count_one(&t->q, time_s);
                return wrong;
        }
        return NULL;
}

const char *checkpoint_quorum(const char *note, const Shuyi__V1__Anchor *anchor, struct checkpoint_quorum *ret)
{
        struct bytes text = checkpoint_text(note);
        struct note_cursor c = { note + text.n + 1, note + text.n + 1 };
        struct tally t = { .anchor = anchor };
        struct note_signature s;
        unsigned lines = 0;
        int r;

        if (text.n == 0 || strnlen(note, NOTE_MAX_BYTES + 1) > NOTE_MAX_BYTES)
                return "not a note";
        if (anchor->n_witnesses > WITNESSES_MAX)
                return "more witnesses than a note has lines";
        for (size_t i = 0; i < anchor->n_witnesses; i++) {
                if (anchor->witnesses[i]->key.len != NOTE_KEY_BYTES)
                        return "witness key";
                note_key_id(NOTE_COSIGNATURE, anchor->witnesses[i]->name, anchor->witnesses[i]->key.data, t.id[i]);
        }
        c.end = note + strlen(note);
        while ((r = note_next_signature(&c, &s)) != 0) {
                const char *wrong = r < 0 || ++lines > NOTE_LINES_MAX ? "signature lines" : judge_line(note, &s, &t);

                if (wrong)
                        return wrong;
        }
        *ret = t.q;
        return NULL;
}
