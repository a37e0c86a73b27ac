/* hot: see the header. */
#include "broker/hot.h"
#include "broker/bytemap.h"
#include "common/macro.h"
#include <errno.h>
#include <stdlib.h>

#define FRAME_BYTES 256                 /* of a frame, besides the envelope */
#define COPY_MAX 8192

struct row { uint64_t seq; struct row *later; uint32_t key_n, value_n; bool removed; uint8_t bytes[]; };

/* A large envelope stays in its frame; a small one is copied to `own`: among what checking and applying thousands has freed, a few
 * hundred bytes that stay would hold a page each. */
struct kept { struct hot_entry entry; struct link_frame *frame; uint8_t own[]; };

struct hot {
        struct kept **ring;           /* by seq modulo its size */
        size_t size;                    /* a power of two */
        uint64_t first, end;            /* seqs here: first <= seq < end */
        size_t bytes;
        struct bytemap *rows;
        struct row *oldest, *newest;    /* in the order written */
};

struct hot *hot_new(void)
{
        struct hot *h = calloc(1, sizeof(*h));

        if (!h)
                return NULL;
        h->size = 1024;
        h->ring = calloc(h->size, sizeof(*h->ring));
        h->rows = bytemap_new();
        if (!h->ring || !h->rows) {
                hot_free(h);
                return NULL;
        }
        return h;
}

static size_t cost(const struct kept *k)
{
        return sizeof(*k) + (k->frame ? FRAME_BYTES : 0) + k->entry.envelope.n;
}

static void drop_first(struct hot *h)
{
        struct kept *k = h->ring[h->first % h->size];

        h->bytes -= cost(k);
        h->ring[h->first % h->size] = NULL;
        h->first++;
        link_frame_free(k->frame);
        free(k);
}

static void drop_row(struct hot *h)
{
        struct row *r = h->oldest;
        struct bytes key = bytes_of(r->bytes, r->key_n);

        if (bytemap_get(h->rows, key) == r)
                bytemap_remove(h->rows, key);
        h->oldest = r->later;
        if (!h->oldest)
                h->newest = NULL;
        free(r);
}

void hot_free(struct hot *h)
{
        if (!h)
                return;
        while (h->ring && h->first < h->end)
                drop_first(h);
        while (h->oldest)
                drop_row(h);
        bytemap_free(h->rows, NULL);
        free(h->ring);
        free(h);
}

static int grow(struct hot *h)
{
        struct kept **ring = calloc(h->size * 2, sizeof(*ring));

        if (!ring)
                return -ENOMEM;
        for (uint64_t seq = h->first; seq < h->end; seq++)
                ring[seq % (h->size * 2)] = h->ring[seq % h->size];
        free(h->ring);
        h->ring = ring;
        h->size *= 2;
        return 0;
}

static int add_row(struct hot *h, uint64_t seq, const struct effect *e)
{
        size_t value_n = e->remove ? 0 : e->value.n;
        struct row *r = malloc(sizeof(*r) + e->key.n + value_n);

        if (!r)
                return -ENOMEM;
        *r = (struct row){ .seq = seq, .key_n = (uint32_t)e->key.n, .value_n = (uint32_t)value_n, .removed = e->remove };
        memcpy(r->bytes, e->key.p, e->key.n);
        if (value_n > 0)
                memcpy(r->bytes + e->key.n, e->value.p, value_n);
        if (bytemap_put(h->rows, e->key, r) < 0) {
                free(r);
                return -ENOMEM;
        }
        if (h->newest)
                h->newest->later = r;
        else
                h->oldest = r;
        h->newest = r;
        return 0;
}

static struct kept *keep(struct ticket *t)
{
        size_t own = t->frame && t->wire.n > COPY_MAX ? 0 : t->wire.n;
        struct kept *k = malloc(sizeof(*k) + own);

        if (!k)
                return NULL;
        k->entry = (struct hot_entry){ t->entry.epoch, t->seq, t->accepted_at, t->code, t->outcome.effects_digest, t->wire };
        k->frame = own > 0 ? NULL : TAKE(t->frame);
        if (own > 0) {
                memcpy(k->own, t->wire.p, own);
                k->entry.envelope.p = k->own;
        }
        return k;
}

int hot_add(struct hot *h, struct ticket *t)
{
        struct kept *k;
        int r = 0;

        if (h->first == h->end)
                h->first = h->end = t->seq;
        if (h->end - h->first == h->size)
                r = grow(h);
        for (size_t i = 0; i < t->outcome.effects_n && r == 0; i++)
                r = add_row(h, t->seq, &t->outcome.effects[i]);
        k = r == 0 ? keep(t) : NULL;
        if (!k)
                return -ENOMEM;
        h->ring[t->seq % h->size] = k;
        h->end = t->seq + 1;
        h->bytes += cost(k);
        ticket_free(t);
        return 0;
}

const struct hot_entry *hot_find(const struct hot *h, uint64_t seq)
{
        return seq >= h->first && seq < h->end ? &h->ring[seq % h->size]->entry : NULL;
}

int hot_row(const struct hot *h, struct bytes key, struct bytes *ret)
{
        const struct row *r = bytemap_get(h->rows, key);

        if (!r)
                return 0;
        if (r->removed)
                return -ENODATA;
        *ret = bytes_of(r->bytes + r->key_n, r->value_n);
        return 1;
}

void hot_prune(struct hot *h, uint64_t committed, size_t budget_bytes)
{
        while (h->oldest && h->oldest->seq <= committed)
                drop_row(h);
        while (h->first < h->end && h->first <= committed && h->bytes > budget_bytes)
                drop_first(h);
}

size_t hot_bytes(const struct hot *h)
{
        return h->bytes;
}
