/* turnstile: lets tickets through in the order of their numbers, whatever order the workers finish in.  One thread. */
#pragma once
#include "broker/pipeline.h"
#include <assert.h>

#define TICKETS_AHEAD 1024

struct turnstile { struct ticket *waiting[TICKETS_AHEAD]; uint64_t next; };

static inline void turnstile_put(struct turnstile *s, struct ticket *t)
{
        assert(t->number - s->next < TICKETS_AHEAD && !s->waiting[t->number % TICKETS_AHEAD]);
        s->waiting[t->number % TICKETS_AHEAD] = t;
}

static inline struct ticket *turnstile_peek(const struct turnstile *s)
{
        return s->waiting[s->next % TICKETS_AHEAD];
}

/* The ticket whose turn it is; NULL if it is still being checked. */
static inline struct ticket *turnstile_take(struct turnstile *s)
{
        struct ticket *t = turnstile_peek(s);

        if (t) {
                s->waiting[s->next % TICKETS_AHEAD] = NULL;
                s->next++;
        }
        return t;
}
