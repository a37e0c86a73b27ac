/* link: the thread that talks with the broker and the only one that writes the store.
 *
 * It turns: takes what has come (frames, jobs), decides, commits once, and only then lets anything leave: frames of the outbox,
 * link acks, answers to jobs.  A turn of which nothing leaves (receipts, a sink's positions) leaves its commit to the next that
 * has something to say, or to a moment a few milliseconds on: lost, it is said to us again.  Under load some milliseconds lie
 * between commits, so that groups grow.  A commit that fails undoes all since the last: jobs are told, the session begins again,
 * and the broker delivers again. */
#pragma once
#include "agent/agent.h"
#include "proto/session.pb-c.h"

struct link;

/* Opens the socket and starts the thread; returns when it runs.  Everything else of `ag` must stand. */
int link_start(struct agent *ag, struct link **ret);
/* Ends the thread after a last commit; jobs that wait are told -ECANCELED.  NULL is fine. */
void link_stop(struct link *l);

/* A question to the center, handed over as a job.  The caller's; freed by answered(). */
struct link_read {
        struct job job;                         /* link_read_init */
        uint32_t what, limit;
        struct bytes key, after, query;         /* the caller's, until answered */
        uint64_t need_seq;
        /* Once, on the link thread.  `page` is valid during the call, or NULL and a fault: -ENOTCONN, -ETIMEDOUT, -EBUSY. */
        void (*answered)(struct link_read *r, const Shuyi__V1__Page *page, int fault);
        /* the link's own */
        struct link *ag_link;
        uint32_t number;
        struct mono_time deadline;
        struct link_read *next;
};
void link_read_init(struct link_read *r);

struct inbox *link_inbox(struct link *l);       /* for jobs */
/* What the plan of the sealer depends on has changed: for jobs. */
void link_replan(struct link *l);
