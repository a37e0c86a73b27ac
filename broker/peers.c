/* peers: see the header. */
#include "broker/peers.h"
#include <errno.h>
#include <stdlib.h>

static struct peer **bucket_of(struct peers *s, const struct link_route *route)
{
        uint32_t h = 2166136261u;

        for (unsigned i = 0; i < route->n; i++)
                h = (h ^ route->b[i]) * 16777619u;
        return &s->buckets[h % PEERS_BUCKETS];
}

static bool same_route(const struct link_route *a, const struct link_route *b)
{
        return a->n == b->n && memcmp(a->b, b->b, a->n) == 0;
}

static struct peers_link *link_of(struct peers *s, uint32_t link)
{
        if (link >= s->links_n) {
                size_t n = (size_t)link + 64;
                struct peers_link **links = realloc(s->links, n * sizeof(*links));

                if (!links)
                        return NULL;
                memset(links + s->links_n, 0, (n - s->links_n) * sizeof(*links));
                s->links = links;
                s->links_n = n;
        }
        if (!s->links[link])
                s->links[link] = calloc(1, sizeof(struct peers_link));
        return s->links[link];
}

int peers_init(struct peers *s)
{
        memset(s, 0, sizeof(*s));
        return 0;
}

void peers_fini(struct peers *s)
{
        for (unsigned i = 0; i < PEERS_BUCKETS; i++)
                while (s->buckets[i])
                        peers_remove(s, s->buckets[i]);
        for (size_t i = 0; i < s->links_n; i++)
                free(s->links[i]);
        free(s->links);
        s->links = NULL;
        s->links_n = 0;
}

struct peer *peers_find(struct peers *s, const struct link_route *route)
{
        struct peer *p = *bucket_of(s, route);

        while (p && !same_route(&p->route, route))
                p = p->next;
        return p;
}

struct peer *peers_add(struct peers *s, const struct link_frame *frame, const struct keydir_link *link)
{
        struct peers_link *l = link_of(s, link->link);
        struct peer *p = l ? calloc(1, sizeof(*p)) : NULL, **bucket = bucket_of(s, &frame->route);

        if (!p)
                return NULL;
        p->route = frame->route;
        p->link = link->link;
        p->agent = link->agent;
        memcpy(p->department, link->department, sizeof(p->department));
        memcpy(p->address, frame->address, sizeof(p->address));
        p->fd = frame->fd;
        p->port = link_port(frame->fd);
        p->use = &l->use;
        p->next = *bucket;
        *bucket = p;
        return p;
}

void peers_remove(struct peers *s, struct peer *p)
{
        struct peer **at = bucket_of(s, &p->route);

        while (*at != p)
                at = &(*at)->next;
        *at = p->next;
        free(p);
}

struct peer *peers_current(struct peers *s, uint32_t link)
{
        return link < s->links_n && s->links[link] ? s->links[link]->current : NULL;
}

void peers_set_current(struct peers *s, uint32_t link, struct peer *p)
{
        struct peers_link *l = link_of(s, link);

        if (l)
                l->current = p;
}

void peers_each(struct peers *s, void (*each)(struct peer *p, void *arg), void *arg)
{
        for (unsigned i = 0; i < PEERS_BUCKETS; i++)
                for (struct peer *p = s->buckets[i], *next; p; p = next) {
                        next = p->next;
                        each(p, arg);
                }
}

uint64_t peer_used_today(struct peer *p, struct wall_time now)
{
        day_number day = times_shanghai_day(now);

        if (p->use->day != day)
                *p->use = (struct peer_use){ .day = day };
        return p->use->bytes;
}

void peer_use(struct peer *p, uint64_t bytes)
{
        p->use->bytes += bytes;
}
