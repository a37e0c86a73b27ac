/* agent: what the parts of the program share, and how other threads reach the one that writes.
 *
 * Threads: `link` owns the socket and is the only one that writes the store; the HTTP threads read snapshots and hand
 * over jobs; the sink thread reads snapshots, writes files and hands over jobs.  A job is carried out between two
 * commits and answered after the second, so that what is answered is durable. */
#pragma once
#include <pthread.h>

#include "agent/heads.h"
#include "agent/identity.h"
#include "agent/metrics_table.h"
#include "agent/settings.h"
#include "agent/vault.h"
#include "common/queue.h"
#include "common/refusal.h"
#include "common/store.h"
#include "common/times.h"
#include "proto/envelope.pb-c.h"

struct agent;
struct link;
struct exchange;

/* Work for the writer.  The owner embeds it; done() frees it. */
struct job {
        /* In a group of the open transaction; `a` is reset afterwards.  Negative errno: nothing of it is written. */
        int (*run)(struct agent *ag, struct arena *a, struct job *job);
        /* After the commit, or with the fault that undid it.  Called exactly once, on the writer's thread (or by who stops it, -ECANCELED). */
        void (*done)(struct job *job, int result);
        bool lazy;                              /* no commit for this alone: done() comes with the next, or some milliseconds on */
        int result;
        struct job *next;
};
QUEUE(job_queue, struct job)

enum agent_link_state { AGENT_LINK_DOWN, AGENT_LINK_CONNECTING, AGENT_LINK_UP, AGENT_LINK_DENIED };

/* What the link thread tells about itself. */
struct agent_proof {                    /* what is proved to it, and what is not */
        struct head head;               /* the highest verified */
        struct wall_time at;            /* when it was verified */
        uint64_t waiting;               /* receipted entries without a proof */
        struct wall_time oldest;        /* since when; 0: none */
        unsigned alarms;
        bool halted;
};

struct agent_status {
        enum agent_link_state link;
        enum refusal link_code;         /* why not */
        const char *link_why;           /* static text; may be NULL */
        uint64_t session;
        uint64_t log_epoch, log_size;   /* the broker's, at WELCOME */
        struct wall_time connected_at;
        uint64_t unsettled[2];          /* frames on their way, by lane */
        uint64_t acts_sent;             /* lane 0: numbers below this one were handed to the link */
        struct agent_proof proof;
        int store_fault;                /* last negative errno of a commit; 0 since it works again */
};

struct replica_terms { uint64_t max_age_ms, max_age_personal_ms, head_ms; };

struct agent {
        struct config *_Atomic config;  /* swapped whole by a reload; one that was in force lives until the end */
        struct identity self;
        struct vault *vault;
        struct exchange *exchange;      /* the writer's: rules over the replica */
        struct store *store;
        struct metrics *metrics;
        struct metrics_block *block;    /* the writer's counters */
        struct job_queue jobs;
        struct link *link;
        struct prover *prover;          /* of the link; NULL in tests without one */
        struct digest terms_of;         /* the writer's: the policy row that `terms` are of (replica_terms_now) */
        struct replica_terms terms;
        struct head seen;               /* the writer's: the highest head verified, which goes into what is signed here */
        pthread_mutex_t status_lock;    /* guards `status` alone; never held across a call */
        struct agent_status status;
        struct queue *opened;           /* wakes the sink thread: nothing but wake-ups */
};

/* `seen` of an intent: the highest head verified here; NULL before the first, or when `a` is full.  The writer's thread. */
Shuyi__V1__Seen *agent_seen(const struct agent *ag, struct arena *a);
/* Hands a job over.  -EAGAIN: too many wait; then done() is not called. */
int agent_hand_over(struct agent *ag, struct job *job);
struct agent_status agent_status_get(struct agent *ag);
void agent_status_set(struct agent *ag, const struct agent_status *s);
