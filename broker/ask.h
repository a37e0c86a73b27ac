/* ask: short HTTP POSTs to several addresses at once.  libcurl is met here alone.
 *
 * https anywhere, plain http to loopback only; no redirects, no proxy for loopback, answers of at most 4 KiB.  One thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define ASK_REPLY_MAX 4096

struct ask {
        const char *url, *body;         /* the caller's, until it is done */
        long status;                    /* of HTTP; 0: no answer, see fault */
        const char *fault;              /* static text */
        char type[64];                  /* of the answer, without parameters */
        char reply[ASK_REPLY_MAX + 1];  /* NUL-ended */
        size_t reply_n;
        void *handle, *headers;         /* ours */
};

struct asker;

/* May such an address be asked? */
bool ask_url_check(const char *url);
/* NULL: no memory, or the library does not start. */
struct asker *asker_new(unsigned timeout_ms);
void asker_free(struct asker *a);       /* what was started must be done or dropped; NULL is fine */
/* Begins; `q` stays where it is until asker_next gives it back.  0 or -ENOMEM. */
int asker_start(struct asker *a, struct ask *q);
/* One that is done, or NULL after timeout_ms. */
struct ask *asker_next(struct asker *a, unsigned timeout_ms);
void asker_drop(struct asker *a, struct ask *q);        /* one that was started and not given back; else nothing */
