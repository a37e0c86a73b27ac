/* peers: the connections of the front, by route, and the one session that counts of each link.  One thread. */
#pragma once
#include "common/keydir.h"
#include "common/link.h"
#include "common/session.h"

struct peer {
        struct link_route route;
        uint32_t link;
        struct id agent;
        char department[19];
        char address[48];
        int fd;
        uint16_t port;                  /* with `fd`: which connection */
        struct mono_time retired_at;    /* when its session ended; what it still says is ignored until it is forgotten */
        struct session_server session;
        unsigned questions;             /* reads not answered yet */
        struct peer_use *use;           /* of its link */
        struct peer *next;              /* in its bucket */
};

/* What a link sent on a Shanghai day: kept when it reconnects. */
struct peer_use { day_number day; uint64_t bytes; };

#define PEERS_BUCKETS 1024
struct peers {
        struct peer *buckets[PEERS_BUCKETS];
        struct peers_link { struct peer *current; struct peer_use use; } **links;       /* by link number */
        size_t links_n;
};

int peers_init(struct peers *s);
void peers_fini(struct peers *s);
struct peer *peers_find(struct peers *s, const struct link_route *route);
/* A connection whose first frame has come; its session is the caller's to begin.  NULL: no memory. */
struct peer *peers_add(struct peers *s, const struct link_frame *frame, const struct keydir_link *link);
void peers_remove(struct peers *s, struct peer *p);     /* frees it */
struct peer *peers_current(struct peers *s, uint32_t link);     /* NULL: no session open */
void peers_set_current(struct peers *s, uint32_t link, struct peer *p);
void peers_each(struct peers *s, void (*each)(struct peer *p, void *arg), void *arg);   /* `each` may remove that one */

uint64_t peer_used_today(struct peer *p, struct wall_time now);
void peer_use(struct peer *p, uint64_t bytes);
