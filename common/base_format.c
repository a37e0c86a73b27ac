/* base_format: the bytes of a BASE's header and the check of a chunk.  Pure. */
#include "common/base_internal.h"
#include "common/checkpoint.h"
#include "common/macro.h"

#define MAGIC "SHUYIBAS"
#define VERSION 2

const unsigned base_databases[SECTION_END] = { [SECTION_STATE] = STORE_STATE, [SECTION_OUTCOMES] = STORE_OUTCOMES, [SECTION_DIGESTS] = STORE_DIGESTS,
                                               [SECTION_HEADS] = STORE_HEADS };
const uint8_t base_meta_key = TABLE_META;

/* ---- header: fixed fields, the tree's roots, the HEAD, the signature ---- */

size_t base_header_encode(const struct base_header *h, uint8_t ret[BASE_HEADER_BYTES])
{
        unsigned peaks = merkle_peaks(&h->b.frontier);
        size_t note_n = strlen(h->b.note);
        uint8_t *p = ret;

        memset(ret, 0, BASE_HEADER_BYTES);
        memcpy(p, MAGIC, 8);
        put_be32(p + 8, VERSION);
        memcpy(p + 12, h->b.domain, 8);
        put_be64(p + 20, h->b.epoch);
        put_be64(p + 28, h->b.seq);
        put_be64(p + 36, h->b.accepted_at.ms);
        put_be64(p + 44, h->b.rows);
        put_be64(p + 52, h->b.outcomes);
        put_be64(p + 60, h->b.found);
        p += 68;
        memcpy(p, h->b.state.b, DIGEST_BYTES);
        memcpy(p + 32, h->b.effects_chain.b, DIGEST_BYTES);
        memcpy(p + 64, h->content.b, DIGEST_BYTES);
        put_be32(p + 96, peaks);
        put_be32(p + 100, (uint32_t)note_n);
        p += 104;
        memcpy(p, h->b.frontier.peak, peaks * DIGEST_BYTES);
        p += peaks * DIGEST_BYTES;
        memcpy(p, h->b.note, note_n);
        p += note_n;
        memcpy(p, h->signature, SIGNATURE_BYTES);
        return (size_t)(p - ret);
}

/* The length of what is signed; 0: it is not a header. */
size_t base_header_decode(const uint8_t b[BASE_HEADER_BYTES], struct base_header *ret)
{
        const uint8_t *p = b + 68;
        uint32_t peaks = get_be32(p + 96), note_n = get_be32(p + 100);

        if (memcmp(b, MAGIC, 8) != 0 || get_be32(b + 8) != VERSION || b[19] != 0 || peaks > MERKLE_DEPTH_MAX || note_n >= sizeof(ret->b.note))
                return 0;
        *ret = (struct base_header){ .b = { .epoch = get_be64(b + 20), .seq = get_be64(b + 28), .accepted_at = { get_be64(b + 36) },
                                       .rows = get_be64(b + 44), .outcomes = get_be64(b + 52), .found = get_be64(b + 60) } };
        memcpy(ret->b.domain, b + 12, 8);
        memcpy(ret->b.state.b, p, DIGEST_BYTES);
        memcpy(ret->b.effects_chain.b, p + 32, DIGEST_BYTES);
        memcpy(ret->content.b, p + 64, DIGEST_BYTES);
        p += 104;
        ret->b.frontier.size = ret->b.seq;
        if (merkle_peaks(&ret->b.frontier) != peaks)
                return 0;
        memcpy(ret->b.frontier.peak, p, peaks * DIGEST_BYTES);
        p += peaks * DIGEST_BYTES;
        memcpy(ret->b.note, p, note_n);
        p += note_n;
        memcpy(ret->signature, p, SIGNATURE_BYTES);
        for (const uint8_t *zero = p + SIGNATURE_BYTES; zero < b + BASE_HEADER_BYTES; zero++)
                if (*zero)
                        return 0;
        return (size_t)(p - b);
}

const char *base_header_verify(const struct base_header *h, const uint8_t *raw, size_t signed_n, const char *origin, const uint8_t key[32])
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct digest d = digest_plain(bytes_of(raw, signed_n)), root = merkle_root(&h->b.frontier);
        struct checkpoint c;
        const char *wrong;

        if (!a)
                return "no memory";
        if (!sign_check_digest(CTX_BASE, &d, bytes_of(h->signature, SIGNATURE_BYTES), key))
                return "the log key's signature does not hold";
        wrong = checkpoint_verify(a, h->b.note, origin, key, &c);
        if (wrong)
                return "its HEAD does not verify";
        return c.size == h->b.seq && digest_equal(&c.root, &root) ? NULL : "its HEAD signs another tree";
}

/* ---- chunks ---- */

void base_chunk_check(const uint8_t *payload, size_t n, uint64_t number, uint8_t ret[CHECK_BYTES])
{
        uint8_t key[16] = { 0 };

        put_be64(key + 8, number);
        crypto_generichash(ret, CHECK_BYTES, payload, n, key, sizeof(key));
}
