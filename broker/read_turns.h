/* read_turns: which question is answered next: of the link that has cost the least lately.
 *
 * All questions are answered by one thread, and one of them may cost it a second (a lookup under an old trust head, evidence of a long
 * stream).  So what a link has cost is remembered, halved each second, and who asks little waits for one question of another at
 * most.  Questions of one link keep their order.  One thread. */
#pragma once
#include "broker/pipeline.h"

struct read_turns {
        struct question *first, *last;          /* in the order in which they came */
        uint64_t *cost_ns;                      /* by link */
        size_t links;
        uint64_t halved_ns;                     /* when, last */
};

void read_turns_fini(struct read_turns *t);     /* none may be left */
void read_turns_put(struct read_turns *t, struct question *q);          /* gives it away */
struct question *read_turns_take(struct read_turns *t);                 /* the caller's again; NULL: none */
/* A question of this link has cost so much.  0 or -ENOMEM: then nothing is remembered. */
int read_turns_charge(struct read_turns *t, uint32_t link, uint64_t ns, uint64_t now_ns);
