/* decided: a ring by number for each lane that needs one. */
#include "common/decided.h"
#include "common/session.h"
#include <errno.h>
#include <stdlib.h>

#define LINKS_MAX (1024 * 1024)

struct decision { uint64_t outbox_epoch, number; enum refusal code; };
struct ring { struct decision of[SESSION_LANE_WINDOW]; uint64_t back_epoch, back; };   /* back 0: none */

struct decided { struct ring **rings; size_t n; };      /* by link and lane */

struct decided *decided_new(void)
{
        return calloc(1, sizeof(struct decided));
}

void decided_free(struct decided *d)
{
        if (!d)
                return;
        for (size_t i = 0; i < d->n; i++)
                free(d->rings[i]);
        free(d->rings);
        free(d);
}

static size_t place_of(uint32_t link, uint32_t lane)
{
        return (size_t)link * SESSION_LANES + lane;
}

static int grow(struct decided *d, size_t place)
{
        size_t n = place + 1 > 2 * d->n ? place + 1 : 2 * d->n;
        struct ring **rings;

        if (place < d->n)
                return 0;
        rings = realloc(d->rings, n * sizeof(*rings));
        if (!rings)
                return -ENOMEM;
        memset(rings + d->n, 0, (n - d->n) * sizeof(*rings));
        d->rings = rings;
        d->n = n;
        return 0;
}

static struct ring *find_ring(const struct decided *d, uint32_t link, uint32_t lane)
{
        size_t place = place_of(link, lane);

        return lane < SESSION_LANES && place < d->n ? d->rings[place] : NULL;
}

static int make_ring(struct decided *d, uint32_t link, uint32_t lane, struct ring **ret)
{
        size_t place = place_of(link, lane);
        int r;

        if (link > LINKS_MAX || lane >= SESSION_LANES)
                return -ERANGE;
        r = grow(d, place);
        if (r == 0 && !d->rings[place] && !(d->rings[place] = calloc(1, sizeof(struct ring))))
                r = -ENOMEM;
        if (r == 0)
                *ret = d->rings[place];
        return r;
}

int decided_refuse(struct decided *d, uint32_t link, uint32_t lane, uint64_t outbox_epoch, uint64_t number, enum refusal code)
{
        struct ring *ring;
        int r = make_ring(d, link, lane, &ring);

        if (r == 0)
                ring->of[number % SESSION_LANE_WINDOW] = (struct decision){ outbox_epoch, number, code };
        return r;
}

void decided_forget(struct decided *d, uint32_t link, uint32_t lane, uint64_t outbox_epoch, uint64_t number)
{
        struct ring *ring = find_ring(d, link, lane);

        if (ring && ring->of[number % SESSION_LANE_WINDOW].number == number)
                ring->of[number % SESSION_LANE_WINDOW] = (struct decision){ 0 };
}

enum refusal decided_find(const struct decided *d, uint32_t link, uint32_t lane, uint64_t outbox_epoch, uint64_t number)
{
        const struct ring *ring = find_ring(d, link, lane);
        const struct decision *c;

        if (!ring)
                return ACCEPTED;
        c = &ring->of[number % SESSION_LANE_WINDOW];
        return c->number == number && c->outbox_epoch == outbox_epoch ? c->code : ACCEPTED;
}

int decided_back(struct decided *d, uint32_t link, uint32_t lane, uint64_t outbox_epoch, uint64_t number)
{
        struct ring *ring;
        int r = make_ring(d, link, lane, &ring);

        if (r < 0)
                return r;
        if (ring->back == 0 || ring->back_epoch != outbox_epoch || number < ring->back)
                ring->back = number;
        ring->back_epoch = outbox_epoch;
        return 0;
}

bool decided_is_behind(struct decided *d, uint32_t link, uint32_t lane, uint64_t outbox_epoch, uint64_t number)
{
        struct ring *ring = find_ring(d, link, lane);

        if (!ring || ring->back == 0 || ring->back_epoch > outbox_epoch)
                return false;
        if (ring->back_epoch == outbox_epoch && number > ring->back)
                return true;
        ring->back = 0;
        return false;
}
