/* mirror: subscriptions, streams and feed heads as the newest durable entry left them, for deliver.
 *
 * Loaded from the state once, then kept up from effects: deliver decides by it without asking the store.  One thread. */
#pragma once
#include "broker/bytemap.h"
#include "common/exchange/exchange.h"
#include "common/store.h"

struct mirror_stream;

struct mirror_sub {
        struct digest grant, stream;
        struct id agent;
        uint32_t state;                 /* enum sub_state */
        uint64_t start, cursor, stop;
        struct mirror_stream *of;       /* NULL before it is live */
        struct mirror_sub *next;        /* of its stream */
        uint64_t sent;                  /* deliver's: last link handed over in this session */
        void *reader;                   /* deliver's: the open session of its agent; NULL: none */
        bool dead;                      /* deliver's: its next link cannot be read */
};

struct mirror_stream { struct digest id; uint64_t head; struct mirror_sub *subs; };

struct mirror {
        struct bytemap *subs;           /* grant -> mirror_sub */
        struct bytemap *streams;        /* stream id -> mirror_stream */
        struct bytemap *feeds;          /* department -> last number, as a pointer-sized value */
        uint64_t trust_seq;
        struct arena *scratch;          /* of one row */
};

/* 0 or a fault. */
int mirror_load(struct mirror *m, struct store *store);
void mirror_fini(struct mirror *m);

/* What an effect changed, for whoever waits. */
enum mirror_change { MIRROR_NOTHING, MIRROR_SUB, MIRROR_STREAM, MIRROR_FEED, MIRROR_TRUST };
struct mirror_news { enum mirror_change what; struct mirror_sub *sub; struct mirror_stream *stream; char department[19]; };
int mirror_apply(struct mirror *m, const struct effect *e, struct mirror_news *ret);

/* The last link that may be handed over to it now; 0: none. */
uint64_t mirror_limit(const struct mirror_sub *s);
/* The first one that was not receipted: behind the cursor, and not before its start. */
uint64_t mirror_next(const struct mirror_sub *s);
uint64_t mirror_feed_head(const struct mirror *m, const char *department);
