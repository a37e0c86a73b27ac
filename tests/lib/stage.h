/* stage: a market that lives twice: in memory first, then, as the same bytes, at a real broker (tests/lib/live.h, market.h). */
#pragma once
#include "tests/lib/live.h"
#include "tests/lib/market.h"

#define STAGE_LINKS 32

struct stage {
        struct market *m;
        struct live live;
        struct live_agent agents[STAGE_LINKS];  /* by link; opened when first needed */
        size_t told;                            /* entries of the city's log told so far */
        struct digest grant;
        struct market_stream stream;
        const char *resource;
        /* what each entry told got as its receipt, by its place in the city's log */
        struct live_row *rows;
        /* outbox numbers used, by link and lane: they outlive a connection */
        uint64_t next[STAGE_LINKS][2];
};

/* Genesis at the broker, which runs; policy, departments and people in memory, to be told.  `extra`: more configuration. */
struct stage *stage_new(const char *program, const char *extra);
void stage_free(struct stage *s);
/* A stream with one subscriber, live in memory; told with the rest. */
void stage_go_live(struct stage *s);
struct live_agent *stage_agent(struct stage *s, const struct party *agent);
/* Tells the broker what the city's log has more.  Every code must be the city's.  False: the broker died of a failpoint;
 * start it again and go on telling: the entry under way is sent again with the number that it had. */
bool stage_tell(struct stage *s);
void stage_hang_up(struct stage *s);
/* `--replay` or `check` must hold; the broker must not run. */
void stage_must_hold(struct stage *s, const char *how);
