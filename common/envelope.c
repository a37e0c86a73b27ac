/* envelope: from bytes to a claim, and from an intent to bytes.
 *
 * Order of a check: size, spelling, form of header and intent, body against its digest, form of the body, and only then the
 * signatures, which cost a hundred times more than all before.  Header, body and signatures are never copied: once
 * the scan has passed, their places in the bytes are found by a walk that needs no checks of its own. */
#include "common/envelope.h"

#include "common/intent.h"
#include "common/macro.h"
#include "common/wire.h"

#include <assert.h>
#include <sodium.h>

#define SIGNATURE_BYTES 64
#define UPDATE_BODY_MIN 41                      /* nonce, tag and at least one sealed byte */

/* ---- walking bytes that wire_scan() has passed ---- */

struct field { uint32_t number; uint64_t value; struct bytes run; const uint8_t *begin; };

static uint64_t walk_varint(const uint8_t **p)
{
        uint64_t v = 0;

        for (unsigned shift = 0;; shift += 7) {
                uint8_t b = *(*p)++;

                v |= (uint64_t)(b & 0x7f) << shift;
                if (!(b & 0x80))
                        return v;
        }
}

/* The next field at *p; false at the end.  Only varints and runs: our types have no others, and fields unknown to
 * this walk end it as number UINT32_MAX. */
static bool walk(const uint8_t **p, const uint8_t *end, struct field *ret)
{
        uint64_t tag;

        if (*p == end)
                return false;
        *ret = (struct field){ .begin = *p };
        tag = walk_varint(p);
        ret->number = (uint32_t)(tag >> 3);
        switch (tag & 7) {
        case 0:
                ret->value = walk_varint(p);
                return true;
        case 2:
                ret->run.n = walk_varint(p);
                ret->run.p = *p;
                *p += ret->run.n;
                return true;
        default:
                ret->number = UINT32_MAX;
                *p = end;
                return true;
        }
}

/* ---- signed bytes ---- */

void envelope_signed_bytes(uint32_t suite, enum role capacity, const struct digest *credential, const struct digest *header, uint8_t ret[ENVELOPE_SIGNED_BYTES])
{
        const char *context = digest_context_text(CTX_ENVELOPE);
        size_t n = strlen(context) + 1;

        assert(n + 3 + 2 * DIGEST_BYTES == ENVELOPE_SIGNED_BYTES);
        memcpy(ret, context, n);
        put_be16(ret + n, (uint16_t)suite);
        ret[n + 2] = (uint8_t)capacity;
        memcpy(ret + n + 3, credential->b, DIGEST_BYTES);
        memcpy(ret + n + 3 + DIGEST_BYTES, header->b, DIGEST_BYTES);
}

/* What the leaf commits to: header digest, then credential, capacity and signature of each signer. */
static struct digest envelope_digest(const struct claim *c)
{
        struct bytes parts[1 + 3 * ENVELOPE_SIGNATURES_MAX];
        uint8_t capacity[ENVELOPE_SIGNATURES_MAX];
        size_t n = 0;

        parts[n++] = bytes_digest(&c->header_digest);
        for (unsigned i = 0; i < c->signers_n; i++) {
                capacity[i] = (uint8_t)c->signers[i].capacity;
                parts[n++] = bytes_digest(&c->signers[i].credential);
                parts[n++] = bytes_of(&capacity[i], 1);
                parts[n++] = c->signers[i].signature;
        }
        return digest_of(CTX_ENVELOPE_DIGEST, parts, n);
}

/* ---- from bytes to a claim ---- */

struct header { struct bytes intent, body_digest; uint64_t body_bytes; };

/* One Signature into the next signer's place.  Nothing unknown may stand here: it would be under no signature. */
static bool read_signer(struct claim *c, struct bytes b)
{
        const uint8_t *p = b.p, *end = b.p + b.n;
        struct signer *s;
        struct field f;
        bool named = false;

        if (c->signers_n == ENVELOPE_SIGNATURES_MAX)
                return false;
        s = &c->signers[c->signers_n];
        while (walk(&p, end, &f)) {
                switch (f.number) {
                case 1: named = bytes_copy_exact(f.run, s->credential.b, DIGEST_BYTES); break;
                case 2: s->capacity = (enum role)f.value; break;
                case 3: s->signature = f.run; break;
                default: return false;
                }
        }
        for (unsigned i = 0; i < c->signers_n; i++)
                if (digest_equal(&c->signers[i].credential, &s->credential) && c->signers[i].capacity == s->capacity)
                        return false;
        c->signers_n++;
        return named && s->signature.n == SIGNATURE_BYTES && word_known(LIST_role, s->capacity);
}

/* Envelope and its signatures, by their places in the bytes. */
static bool read_envelope(struct claim *c, struct bytes wire)
{
        const uint8_t *p, *end;
        struct field f;

        if (wire.n == 0 || wire.n > ENVELOPE_MAX_BYTES || wire_scan(&shuyi__v1__envelope__descriptor, wire))
                return false;
        p = wire.p;
        end = wire.p + wire.n;
        c->wire = wire;
        while (walk(&p, end, &f)) {
                switch (f.number) {
                case 1: c->header = f.run; break;
                case 2: c->body = f.run; break;
                case 3:
                        if (!read_signer(c, f.run))
                                return false;
                        break;
                default: return false;
                }
        }
        return c->header.n > 0;
}

static bool read_header(struct claim *c, struct header *ret)
{
        const uint8_t *p = c->header.p, *end = p + c->header.n;
        struct field f;

        *ret = (struct header){ 0 };
        if (wire_scan(&shuyi__v1__header__descriptor, c->header))
                return false;
        while (walk(&p, end, &f)) {
                switch (f.number) {
                case 1: ret->intent = f.run; break;
                case 2: ret->body_digest = f.run; break;
                case 3: ret->body_bytes = f.value; break;
                default: break;         /* from number 1000: signed, and kept as it is */
                }
        }
        return ret->intent.n > 0 && ret->intent.n <= INTENT_MAX_BYTES && ret->body_digest.n == DIGEST_BYTES;
}

static bool read_intent(struct arena *a, struct claim *c, struct bytes packed)
{
        c->intent_bytes = packed;
        c->intent = message_parse(a, &shuyi__v1__intent__descriptor, packed);
        if (!c->intent || intent_check_form(c->intent))
                return false;
        c->kind = kind_find(c->intent->kind);
        return true;
}

/* The body is the one that the header names. */
static bool has_body(const struct claim *c, const struct header *h)
{
        struct digest d;

        if (h->body_bytes != c->body.n)
                return false;
        d = digest_plain(c->body);
        return bytes_equal(bytes_digest(&d), h->body_digest);
}

/* It is of the size and form of its kind. */
static bool read_body(struct arena *a, struct claim *c)
{
        if (c->kind->class == KIND_CONTROL && c->body.n > CONTROL_BODY_MAX_BYTES)
                return false;
        if (c->kind->later)
                return true;
        if (c->kind->body) {
                if (wire_scan_bounded(c->kind->body, c->body, BODY_FIELDS_MAX))
                        return false;
                c->open_body = message_parse(a, c->kind->body, c->body);
                return c->open_body != NULL;
        }
        return c->kind->number == KIND_UPDATE ? c->body.n >= UPDATE_BODY_MIN : c->body.n == 0;
}

enum form { FORM_WHOLE, FORM_BARE, FORM_KEPT, FORM_OWN };       /* OWN: just made, its digest known to be the body's */

static bool read_claim(struct arena *a, struct bytes wire, enum form form, struct claim *c)
{
        struct header h;

        if (!read_envelope(c, wire) || !read_header(c, &h) || !read_intent(a, c, h.intent))
                return false;
        c->header_digest = digest_plain(c->header);
        c->envelope_digest = envelope_digest(c);
        c->body_digest = h.body_digest;
        c->body_bytes = h.body_bytes;
        if (form == FORM_BARE)
                return c->body.n == 0;
        if (form == FORM_KEPT && c->body.n == 0 && c->kind->number == KIND_UPDATE)
                return h.body_bytes >= UPDATE_BODY_MIN;
        return (form == FORM_OWN || has_body(c, &h)) && read_body(a, c);
}

static bool signer_holds(const struct claim *c, const struct signer *s, const struct key_source *keys)
{
        uint8_t m[ENVELOPE_SIGNED_BYTES], key[32];
        uint32_t suite = 0;

        if (keys->find(keys->ctx, &s->credential, s->capacity, key, &suite) != 1 || suite != c->intent->suite)
                return false;
        envelope_signed_bytes(suite, s->capacity, &s->credential, &c->header_digest, m);
        return crypto_sign_verify_detached(s->signature.p, m, sizeof(m), key) == 0;
}

static enum refusal verify(struct arena *a, struct bytes wire, enum form form, const struct key_source *keys, const struct claim **ret)
{
        struct claim *c = ARENA_NEW(a, struct claim);

        if (!c || !read_claim(a, wire, form, c))
                return E_FORM;
        if (keys && c->signers_n == 0)
                return E_FORM;
        for (unsigned i = 0; keys && i < c->signers_n; i++)
                if (!signer_holds(c, &c->signers[i], keys))
                        return E_CRED;
        *ret = c;
        return ACCEPTED;
}

enum refusal envelope_verify(struct arena *a, struct bytes wire, const struct key_source *keys, const struct claim **ret)
{
        assert(keys);
        return verify(a, wire, FORM_WHOLE, keys, ret);
}

enum refusal envelope_parse(struct arena *a, struct bytes wire, const struct claim **ret)
{
        return verify(a, wire, FORM_WHOLE, NULL, ret);
}

enum refusal envelope_verify_bare(struct arena *a, struct bytes wire, const struct key_source *keys, const struct claim **ret)
{
        assert(keys);
        return verify(a, wire, FORM_BARE, keys, ret);
}

enum refusal envelope_parse_bare(struct arena *a, struct bytes wire, const struct claim **ret)
{
        return verify(a, wire, FORM_BARE, NULL, ret);
}

enum refusal envelope_read_kept(struct arena *a, struct bytes wire, const struct key_source *keys, const struct claim **ret)
{
        return verify(a, wire, FORM_KEPT, keys, ret);
}

/* ---- from an intent to bytes ---- */

static struct bytes pack_header(struct arena *a, const Shuyi__V1__Intent *intent, struct bytes body)
{
        struct bytes packed = message_pack(a, &intent->base);
        struct digest d = digest_plain(body);
        Shuyi__V1__Header h;

        if (!packed.p || packed.n > INTENT_MAX_BYTES || body.n > ENVELOPE_MAX_BYTES)
                return (struct bytes){ 0 };
        shuyi__v1__header__init(&h);
        h.intent = (ProtobufCBinaryData){ packed.n, (uint8_t *)packed.p };
        h.body_digest = (ProtobufCBinaryData){ DIGEST_BYTES, d.b };
        h.body_bytes = (uint32_t)body.n;
        return message_pack(a, &h.base);
}

static struct bytes pack_envelope(struct arena *a, struct bytes header, struct bytes body, Shuyi__V1__Signature *s)
{
        Shuyi__V1__Envelope e;

        shuyi__v1__envelope__init(&e);
        e.header = (ProtobufCBinaryData){ header.n, (uint8_t *)header.p };
        e.body = (ProtobufCBinaryData){ body.n, (uint8_t *)body.p };
        e.signatures = &s;
        e.n_signatures = s != NULL;
        return message_pack(a, &e.base);
}

struct bytes envelope_draft(struct arena *a, const Shuyi__V1__Intent *intent, struct bytes body)
{
        struct bytes header = pack_header(a, intent, body);

        return header.p ? pack_envelope(a, header, body, NULL) : header;
}

struct signature { Shuyi__V1__Signature message; uint8_t bytes[SIGNATURE_BYTES]; };

static void sign(struct signature *s, uint32_t suite, const struct digest *header, const struct digest *credential, enum role capacity, const uint8_t secret[64])
{
        uint8_t m[ENVELOPE_SIGNED_BYTES];

        envelope_signed_bytes(suite, capacity, credential, header, m);
        crypto_sign_detached(s->bytes, NULL, m, sizeof(m), secret);
        shuyi__v1__signature__init(&s->message);
        s->message.credential = (ProtobufCBinaryData){ DIGEST_BYTES, (uint8_t *)credential->b };
        s->message.capacity = capacity;
        s->message.signature = (ProtobufCBinaryData){ sizeof(s->bytes), s->bytes };
}

const struct claim *envelope_issue(struct arena *a, const Shuyi__V1__Intent *intent, struct bytes body, const struct digest *credential, enum role capacity,
                                   const uint8_t secret[64])
{
        struct bytes header = pack_header(a, intent, body), wire;
        const struct claim *c;
        struct signature s;
        struct digest d;

        if (!header.p)
                return NULL;
        d = digest_plain(header);
        sign(&s, intent->suite, &d, credential, capacity, secret);
        wire = pack_envelope(a, header, body, &s.message);
        return wire.p && verify(a, wire, FORM_OWN, NULL, &c) == ACCEPTED ? c : NULL;
}

/* Field 3 is the last one, so a further signature is appended to the bytes as they are. */
static struct bytes append_signature(struct arena *a, struct bytes wire, Shuyi__V1__Signature *s)
{
        struct bytes packed = message_pack(a, &s->base);
        uint8_t *p;

        assert(packed.n < 128);         /* one byte of length */
        if (!packed.p || wire.n + 2 + packed.n > ENVELOPE_MAX_BYTES)
                return (struct bytes){ 0 };
        p = arena_alloc(a, wire.n + 2 + packed.n);
        if (!p)
                return (struct bytes){ 0 };
        memcpy(p, wire.p, wire.n);
        p[wire.n] = 3 << 3 | 2;
        p[wire.n + 1] = (uint8_t)packed.n;
        memcpy(p + wire.n + 2, packed.p, packed.n);
        return bytes_of(p, wire.n + 2 + packed.n);
}

struct bytes envelope_sign(struct arena *a, struct bytes wire, const struct digest *credential, enum role capacity, const uint8_t secret[64])
{
        const struct claim *c;
        struct signature s;

        if (envelope_parse(a, wire, &c) != ACCEPTED || c->signers_n == ENVELOPE_SIGNATURES_MAX)
                return (struct bytes){ 0 };
        sign(&s, c->intent->suite, &c->header_digest, credential, capacity, secret);
        return append_signature(a, wire, &s.message);
}

struct bytes envelope_strip(struct arena *a, struct bytes wire)
{
        const uint8_t *p, *end, *after = NULL;
        struct claim c = { 0 };
        struct field f;
        uint8_t *to;

        if (!read_envelope(&c, wire))
                return (struct bytes){ 0 };
        if (c.body.n == 0)
                return arena_copy(a, wire);
        for (p = wire.p, end = wire.p + wire.n; walk(&p, end, &f) && f.number < 2;)
                after = p;              /* end of the header */
        to = arena_alloc(a, wire.n);
        if (!to || !after)
                return (struct bytes){ 0 };
        memcpy(to, wire.p, (size_t)(after - wire.p));
        memcpy(to + (after - wire.p), p, (size_t)(end - p));    /* the walk stopped behind the body */
        return bytes_of(to, (size_t)(after - wire.p) + (size_t)(end - p));
}

bool envelope_own_digest(struct bytes wire, struct digest *ret)
{
        struct claim c = { .signers_n = 0 };

        if (!read_envelope(&c, wire))
                return false;
        c.header_digest = digest_plain(c.header);
        *ret = envelope_digest(&c);
        return true;
}

bool envelope_header_digest(struct bytes wire, struct digest *ret)
{
        const uint8_t *p = wire.p;
        uint64_t n;

        if (wire.n < 4 || *p++ != 0x0a)         /* field 1, a run */
                return false;
        n = *p & 0x7f;
        for (unsigned shift = 7; *p++ & 0x80; shift += 7) {
                if (shift > 28 || p == wire.p + wire.n)
                        return false;
                n |= (uint64_t)(*p & 0x7f) << shift;
        }
        if (n > (uint64_t)(wire.p + wire.n - p))
                return false;
        *ret = digest_plain(bytes_of(p, (size_t)n));
        return true;
}
