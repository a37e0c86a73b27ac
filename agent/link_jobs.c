/* link_jobs: what other threads hand over: carried out between two commits, told after the second.  See link.h. */
#include <errno.h>

#include "agent/link_internal.h"

#define JOBS_AT_ONCE 256

static int run_job(struct link *l, struct arena *a, const void *item)
{
        struct job *job = (struct job *)item;

        return job->run(l->ag, a, job);
}

void link_take_jobs(struct link *l)
{
        struct job *job = NULL;

        for (int i = 0; i < JOBS_AT_ONCE && job_queue_take(&l->ag->jobs, 0, &job) > 0; i++) {
                job->result = link_item(l, run_job, job);
                job->next = NULL;
                *l->jobs_end = job;
                l->jobs_end = &job->next;
                l->urgent |= !job->lazy || job->result < 0;
                l->work++;
        }
}

void link_tell_jobs(struct link *l, int fault)
{
        struct job *job = l->jobs;

        l->jobs = NULL;
        l->jobs_end = &l->jobs;
        while (job) {
                struct job *next = job->next;

                job->done(job, fault < 0 && job->result >= 0 ? fault : job->result);
                job = next;
        }
}

/* ---- reads ---- */

static int send_read(struct link *l, struct link_read *r, uint64_t need_seq)
{
        Shuyi__V1__Read m = SHUYI__V1__READ__INIT;

        if (l->session.phase != SESSION_SENDING)
                return -ENOTCONN;
        r->number = ++l->next_read ? l->next_read : ++l->next_read;
        m.number = r->number;
        m.what = r->what;
        m.limit = r->limit;
        m.key = keep_binary(r->key);
        m.after = keep_binary(r->after);
        m.query = keep_binary(r->query);
        m.need_seq = need_seq;
        if (link_send(l, FRAME_READ, &m.base) < 0)
                return -ENOTCONN;
        r->ag_link = l;
        r->deadline.ns = l->mono.ns + LINK_READ_MS * 1000000ull;
        return 0;
}

static void list_read(struct link *l, struct link_read *r)
{
        r->next = l->reads;
        l->reads = r;
        l->reads_n++;
}

static int run_read(struct agent *ag, struct arena *a, struct job *job)
{
        struct link_read *r = (struct link_read *)job;
        struct link *l = ag->link;

        (void)a;
        if (l->session.phase == SESSION_SENDING && l->reads_n >= LINK_READS_MAX)
                return -EBUSY;
        return send_read(l, r, r->need_seq > l->seen_seq ? r->need_seq : l->seen_seq);  /* nobody reads behind what he was told */
}

int link_ask(struct link *l, struct link_read *r)
{
        int e = send_read(l, r, 0);

        if (e == 0)
                list_read(l, r);
        return e;
}

/* Asked: now it waits for its page.  It may wait even if this turn's commit failed, since it wrote nothing. */
static void read_done(struct job *job, int result)
{
        struct link_read *r = (struct link_read *)job;

        if (result < 0) {
                r->answered(r, NULL, result);
                return;
        }
        list_read(r->ag_link, r);
}

void link_read_init(struct link_read *r)
{
        r->job.run = run_read;
        r->job.done = read_done;
}

/* Nothing more is handed over from here on: who tries is told so. */
void link_cancel_jobs(struct link *l)
{
        struct job *job = NULL;

        job_queue_close(&l->ag->jobs);
        while (job_queue_take(&l->ag->jobs, 0, &job) > 0)
                job->done(job, -ECANCELED);
}
