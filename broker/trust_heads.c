/* trust_heads: see the header. */
#include "broker/trust_heads.h"

#include <errno.h>
#include <stdlib.h>

int trust_head_set(struct trust_head *ret, const struct trust_head *from, struct bytes envelope)
{
        uint8_t *copy = malloc(envelope.n > 0 ? envelope.n : 1);
        struct trust_head made = *from;

        if (!copy)
                return -ENOMEM;
        memcpy(copy, envelope.p, envelope.n);
        made.envelope = copy;
        made.envelope_n = envelope.n;
        free(ret->envelope);
        *ret = made;
        return 0;
}

void trust_head_fini(struct trust_head *h)
{
        free(h->envelope);
        *h = (struct trust_head){ 0 };
}

int trust_heads_add(struct trust_heads *h, const struct trust_head *head)
{
        unsigned at = (h->first + h->n) % TRUST_HEADS_MAX;
        int r = trust_head_set(&h->ring[at], head, bytes_of(head->envelope, head->envelope_n));

        if (r < 0)
                return r;
        if (h->n < TRUST_HEADS_MAX)
                h->n++;
        else
                h->first = (h->first + 1) % TRUST_HEADS_MAX;
        return 0;
}

void trust_heads_fini(struct trust_heads *h)
{
        for (unsigned i = 0; i < TRUST_HEADS_MAX; i++)
                trust_head_fini(&h->ring[i]);
        h->n = 0;
}

const struct trust_head *trust_heads_find(const struct trust_heads *h, uint64_t trust_seq, uint64_t size)
{
        for (unsigned i = h->n; i > 0; i--) {
                const struct trust_head *t = &h->ring[(h->first + i - 1) % TRUST_HEADS_MAX];

                if (t->trust_seq == trust_seq && t->seq <= size)
                        return t;
                if (t->trust_seq < trust_seq)
                        return NULL;            /* they never go back */
        }
        return NULL;
}
