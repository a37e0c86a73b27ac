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

/* ---- one reader's wait ---- */

void head_wait_missed(struct head_wait *w, uint64_t now_ns)
{
        if (w->missed_ns == 0)
                w->missed_ns = now_ns;
}

void head_wait_given(struct head_wait *w)
{
        *w = (struct head_wait){ 0 };
}

bool head_wait_holds(struct head_wait *w, uint64_t now_ns, uint64_t published_ns, bool fits)
{
        if (w->hold_until_ns != 0) {
                if (now_ns < w->hold_until_ns)
                        return true;
                *w = (struct head_wait){ .missed_ns = now_ns };         /* in vain: not again for a while */
                return false;
        }
        if (w->missed_ns == 0 || now_ns - w->missed_ns < HEAD_STARVING_NS || now_ns - published_ns > HEAD_WITNESSES_NS || !fits)
                return false;
        w->hold_until_ns = now_ns + HEAD_HOLD_NS;
        return true;
}
