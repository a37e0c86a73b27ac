/* rewind: see rewind.h. */
#include "agent/rewind.h"

#include "agent/flow.h"
#include "common/kind.h"

static void accepted(Shuyi__Agent__ViewRow *v, const Shuyi__Agent__SealedRow *sent)
{
        v->settled = sent->stream_seq;
        v->settled_digest = sent->digest;
        if (sent->kind == KIND_UPDATE)
                v->settled_to = sent->last_take;
        if (sent->kind != KIND_VIEW_EPOCH)
                return;
        v->settled_epoch++;
}

/* All that was sent behind the last accepted link is answered: go back to it. */
static void go_back(Shuyi__Agent__ViewRow *v)
{
        v->head = v->settled;
        v->head_digest = v->settled_digest;
        v->sealed_to = v->settled_to;
        if (v->view_epoch != v->settled_epoch)
                v->stale = true;
        v->view_epoch = v->settled_epoch;
        v->refused = 0;
        v->refused_seq = 0;
}

static bool first_refusal(Shuyi__Agent__ViewRow *v, const Shuyi__Agent__SealedRow *sent, uint32_t code, uint64_t seq, uint64_t now_ms)
{
        struct flow_refusal f = flow_data_refused((enum refusal)code, seq);
        bool dead = f.verdict == FLOW_DEAD_LETTER;

        v->refused = code;
        v->refused_seq = sent->stream_seq;
        if (f.verdict == FLOW_NEW_EPOCH)
                v->stale = true;
        if (f.verdict == FLOW_WAIT) {
                v->wait_until = now_ms + f.retry_ms;
                v->wait_code = code;
        }
        if (dead && sent->kind == KIND_UPDATE)
                v->settled_to = sent->last_take;        /* its records are put aside */
        if (dead && sent->kind != KIND_UPDATE) {
                v->wait_until = now_ms + REWIND_EPOCH_RETRY_MS;
                v->wait_code = code;
        }
        return dead;
}

bool rewind_answer(Shuyi__Agent__ViewRow *v, const Shuyi__Agent__SealedRow *sent, uint32_t code, uint64_t seq, uint64_t now_ms, bool *ret_dead)
{
        *ret_dead = false;
        if (v->inflight)
                v->inflight--;
        if (code == ACCEPTED)
                accepted(v, sent);
        else if (!v->refused)
                *ret_dead = first_refusal(v, sent, code, seq, now_ms);
        if (v->refused && v->inflight == 0) {
                go_back(v);
                return true;
        }
        return false;
}

