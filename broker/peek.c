/* peek: see the header.  A walk over tags and lengths, nothing is allocated. */
#include "broker/peek.h"

struct walk { const uint8_t *p, *end; };
struct field { uint32_t number, type; uint64_t value; struct bytes bytes; };

static bool take_varint(struct walk *w, uint64_t *ret)
{
        uint64_t v = 0;

        for (unsigned shift = 0; shift < 64 && w->p < w->end; shift += 7) {
                uint8_t b = *w->p++;

                v |= (uint64_t)(b & 0x7f) << shift;
                if (!(b & 0x80)) {
                        *ret = v;
                        return true;
                }
        }
        return false;
}

/* Varints and length-delimited fields are all that our messages have. */
static bool take_field(struct walk *w, struct field *ret)
{
        uint64_t tag, n;

        if (w->p >= w->end || !take_varint(w, &tag))
                return false;
        ret->number = (uint32_t)(tag >> 3);
        ret->type = tag & 7;
        if (ret->type == 0)
                return take_varint(w, &ret->value);
        if (ret->type != 2 || !take_varint(w, &n) || n > (uint64_t)(w->end - w->p))
                return false;
        ret->bytes = bytes_of(w->p, (size_t)n);
        w->p += n;
        return true;
}

static struct walk walk_of(struct bytes b)
{
        return (struct walk){ b.p, b.n ? b.p + b.n : b.p };
}

static uint32_t kind_of(struct bytes header)
{
        struct walk h = walk_of(header), i;
        struct field f;

        if (!take_field(&h, &f) || f.number != 1 || f.type != 2)
                return 0;
        i = walk_of(f.bytes);
        while (take_field(&i, &f))
                if (f.number == 3 && f.type == 0)
                        return f.value <= UINT32_MAX ? (uint32_t)f.value : 0;
        return 0;
}

static bool signer_of(struct bytes signature, struct peek *ret)
{
        struct walk w = walk_of(signature);
        struct field f;
        bool found = false;

        if (ret->signers_n == ENVELOPE_SIGNATURES_MAX)
                return false;
        while (take_field(&w, &f)) {
                if (f.number == 1 && f.type == 2)
                        found = bytes_copy_exact(f.bytes, ret->signers[ret->signers_n].credential.b, DIGEST_BYTES);
                else if (f.number == 2 && f.type == 0)
                        ret->signers[ret->signers_n].capacity = f.value <= UINT32_MAX ? (uint32_t)f.value : 0;
        }
        ret->signers_n++;
        return found;
}

uint32_t peek_kind(struct bytes beginning)
{
        struct walk w = walk_of(beginning);
        struct field f;

        return take_field(&w, &f) && f.number == 1 && f.type == 2 ? kind_of(f.bytes) : 0;
}

bool peek_envelope(struct bytes wire, struct peek *ret)
{
        struct walk w = walk_of(wire);
        struct field f;

        memset(ret, 0, sizeof(*ret));
        while (take_field(&w, &f)) {
                if (f.number == 1 && f.type == 2)
                        ret->kind = kind_of(f.bytes);
                else if (f.number == 3 && f.type == 2 && !signer_of(f.bytes, ret))
                        return false;
        }
        return w.p == w.end && ret->kind != 0 && ret->signers_n > 0;
}
