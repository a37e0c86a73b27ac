/* heads: see heads.h. */
#include "agent/heads.h"

#include "common/digest.h"

enum heads_order heads_compare(const struct head *held, const struct head *came)
{
        if (held->size == 0)
                return HEADS_FIRST;
        if (came->size < held->size)
                return HEADS_BACK;
        if (came->size > held->size)
                return HEADS_NEWER;
        return digest_equal(&came->root, &held->root) ? HEADS_SAME : HEADS_FORK;
}

static bool same(const struct head *a, const struct head *b)
{
        return a->size == b->size && digest_equal(&a->root, &b->root);
}

/* One we know of that size: is it the same?  False: we know none. */
static bool judge(const struct heads *h, const struct head *head, bool *ret_same)
{
        if (h->verified.size == head->size) {
                *ret_same = same(&h->verified, head);
                return true;
        }
        for (unsigned i = 0; i < HEADS_KNOWN_MAX; i++)
                if (h->known[i].size == head->size) {
                        *ret_same = same(&h->known[i], head);
                        return true;
                }
        return false;
}

enum heads_hearing heads_hear(struct heads *h, const struct head *head, bool by_log, struct mono_time now, unsigned *ret_slot)
{
        unsigned from = by_log ? 0 : HEADS_CLAIMS_LOG, to = by_log ? HEADS_CLAIMS_LOG : HEADS_CLAIMS_MAX, free = to;
        bool good;

        if (head->size == 0 || (h->verified.size && head->epoch < h->verified.epoch))
                return HEADS_APART;
        if (judge(h, head, &good))
                return good ? HEADS_KNOWN : HEADS_CONFLICT;
        for (unsigned i = from; i < to; i++) {
                if (h->claim[i].used && same(&h->claim[i].head, head))
                        return HEADS_KNOWN;
                if (!h->claim[i].used && free == to)
                        free = i;
        }
        if (free == to)
                return HEADS_FULL;
        h->claim[free] = (struct heads_claim){ .head = *head, .used = true, .by_log = by_log, .since = now };
        *ret_slot = free;
        return HEADS_QUEUED;
}

bool heads_next(const struct heads *h, unsigned *ret_slot)
{
        for (unsigned i = 0; i < HEADS_CLAIMS_MAX; i++)
                if (h->claim[i].used && h->claim[i].head.size <= h->verified.size) {
                        *ret_slot = i;
                        return true;
                }
        return false;
}

bool heads_late(const struct heads *h, struct mono_time limit, unsigned *ret_slot)
{
        for (unsigned i = 0; i < HEADS_CLAIMS_MAX; i++)
                if (h->claim[i].used && h->claim[i].head.size > h->verified.size && h->claim[i].since.ns <= limit.ns) {
                        *ret_slot = i;
                        return true;
                }
        return false;
}

bool heads_wait(const struct heads *h)
{
        for (unsigned i = 0; i < HEADS_CLAIMS_MAX; i++)
                if (h->claim[i].used)
                        return true;
        return false;
}

static void know(struct heads *h, const struct head *head)
{
        h->known[h->known_next++ % HEADS_KNOWN_MAX] = *head;
}

void heads_settle(struct heads *h, unsigned slot, bool good)
{
        if (good)
                know(h, &h->claim[slot].head);
        h->claim[slot] = (struct heads_claim){ .used = false };
}

void heads_advance(struct heads *h, const struct head *head)
{
        if (h->verified.size)
                know(h, &h->verified);
        h->verified = *head;
}
