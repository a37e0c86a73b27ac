/* read_turns: see the header. */
#include "broker/read_turns.h"
#include <errno.h>
#include <stdlib.h>

#define HALVE_NS 1000000000ull

void read_turns_fini(struct read_turns *t)
{
        free(t->cost_ns);
        *t = (struct read_turns){ 0 };
}

void read_turns_put(struct read_turns *t, struct question *q)
{
        q->next = NULL;
        if (t->last)
                t->last->next = q;
        else
                t->first = q;
        t->last = q;
}

static uint64_t cost_of(const struct read_turns *t, uint32_t link)
{
        return link < t->links ? t->cost_ns[link] : 0;
}

struct question *read_turns_take(struct read_turns *t)
{
        struct question *best = t->first, *before_best = NULL;

        for (struct question *q = t->first, *before = NULL; q; before = q, q = q->next)
                if (cost_of(t, q->link) < cost_of(t, best->link)) {
                        best = q;
                        before_best = before;
                }
        if (!best)
                return NULL;
        if (before_best)
                before_best->next = best->next;
        else
                t->first = best->next;
        if (t->last == best)
                t->last = before_best;
        best->next = NULL;
        return best;
}

static void halve(struct read_turns *t, uint64_t now_ns)
{
        uint64_t times = (now_ns - t->halved_ns) / HALVE_NS;

        if (times == 0)
                return;
        for (size_t i = 0; i < t->links; i++)
                t->cost_ns[i] = times < 64 ? t->cost_ns[i] >> times : 0;
        t->halved_ns = now_ns;
}

int read_turns_charge(struct read_turns *t, uint32_t link, uint64_t ns, uint64_t now_ns)
{
        if (link >= t->links) {
                size_t links = (size_t)link + 64;
                uint64_t *cost_ns = realloc(t->cost_ns, links * sizeof(*cost_ns));

                if (!cost_ns)
                        return -ENOMEM;
                memset(cost_ns + t->links, 0, (links - t->links) * sizeof(*cost_ns));
                t->cost_ns = cost_ns;
                t->links = links;
        }
        halve(t, now_ns);
        t->cost_ns[link] += ns;
        return 0;
}
