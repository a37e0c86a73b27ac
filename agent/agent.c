/* agent: see agent.h. */
#include "agent/agent.h"

#include "common/kind.h"

const struct metric_row agent_metric_rows[M_COUNT] = { AGENT_METRICS(METRIC_ROW) };

const char *agent_refusal_label(unsigned i)
{
        const struct refusal_text *t = refusal_at(i);

        return t ? t->code : NULL;
}

const char *agent_kind_label(unsigned i)
{
        const struct kind *k = kind_at(i);

        return k ? k->name : NULL;
}

unsigned agent_refusal_index(enum refusal code)
{
        for (unsigned i = 0; refusal_at(i); i++)
                if (refusal_at(i)->number == code)
                        return i;
        return 0;
}

Shuyi__V1__Seen *agent_seen(const struct agent *ag, struct arena *a)
{
        Shuyi__V1__Seen *seen = ag->seen.size ? ARENA_NEW(a, Shuyi__V1__Seen) : NULL;
        struct bytes root = seen ? arena_copy(a, bytes_digest(&ag->seen.root)) : (struct bytes){ 0 };

        if (!root.p)
                return NULL;
        shuyi__v1__seen__init(seen);
        seen->epoch = ag->seen.epoch;
        seen->size = ag->seen.size;
        seen->root = (ProtobufCBinaryData){ root.n, (uint8_t *)root.p };
        return seen;
}

int agent_hand_over(struct agent *ag, struct job *job)
{
        return job_queue_try_push(&ag->jobs, job);
}

struct agent_status agent_status_get(struct agent *ag)
{
        struct agent_status s;

        pthread_mutex_lock(&ag->status_lock);
        s = ag->status;
        pthread_mutex_unlock(&ag->status_lock);
        return s;
}

void agent_status_set(struct agent *ag, const struct agent_status *s)
{
        pthread_mutex_lock(&ag->status_lock);
        ag->status = *s;
        pthread_mutex_unlock(&ag->status_lock);
}
