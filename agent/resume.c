/* resume: see resume.h. */
#include "agent/resume.h"

#include <errno.h>

#include "agent/flow.h"
#include "agent/keep.h"
#include "agent/link_internal.h"
#include "common/log.h"
#include "proto/audit.pb-c.h"

bool resume_note(Shuyi__Agent__ViewRow *v, const Shuyi__Agent__SealedRow *sent, const Shuyi__V1__ReceiptRow *row)
{
        uint64_t expected;

        if (row->code != E_REPLAY || row->seq || !flow_receipt_expected(E_REPLAY, row->detail, &expected) || expected <= sent->stream_seq)
                return false;
        v->lost = true;
        return true;
}

bool resume_take(Shuyi__Agent__ViewRow *v, const struct id *agent, const Shuyi__V1__StreamRow *head)
{
        if (!bytes_equal(keep_bytes(head->agent), bytes_id(agent)) || !bytes_equal(keep_bytes(head->view), keep_bytes(v->view)) ||
            head->head <= v->settled || head->head_digest.len != DIGEST_BYTES)
                return false;
        v->head = v->settled = head->head;
        v->head_digest = v->settled_digest = head->head_digest;
        v->view_epoch = v->settled_epoch = head->view_epoch;
        v->stale = true;                        /* its key is gone with the store */
        v->lost = false;
        return true;
}

/* ---- asking ---- */

static struct agent_key view_key(const struct digest *stream)
{
        return agent_key_bytes(agent_key(AGENT_VIEW), bytes_digest(stream));
}

static int run_take(struct link *l, struct arena *a, const void *item)
{
        const Shuyi__V1__StreamRow *head = item;
        struct agent_key k = view_key(&l->resume.stream);
        Shuyi__Agent__ViewRow *v;
        int r = keep_get(store_state(l->ag->store), a, &k, &shuyi__agent__view_row__descriptor, &v);

        if (r <= 0 || !v->lost)
                return r < 0 ? r : 0;
        if (v->inflight || !resume_take(v, &l->ag->self.agent, head)) {
                log_event(LOG_WARNING, "stream.not_resumed", log_digest("stream", &l->resume.stream), log_u64("head", head->head), log_u64("settled", v->settled));
                return 0;
        }
        log_event(LOG_NOTICE, "stream.resumed", log_digest("stream", &l->resume.stream), log_u64("from_stream_seq", v->head + 1));
        r = keep_put(l->ag->store, a, &k, &v->base);
        return r < 0 ? r : 1;
}

static void answered(struct link_read *read, const Shuyi__V1__Page *page, int fault)
{
        struct link *l = read->ag_link;
        Shuyi__V1__ReadRow *row;
        Shuyi__V1__StreamRow *head = NULL;

        (void)fault;
        l->resume.asked = false;
        if (!page || page->code != ACCEPTED || page->n_rows != 1)
                return;
        row = message_parse(l->frames, &shuyi__v1__read_row__descriptor, keep_bytes(page->rows[0]));
        if (row && bytes_equal(keep_bytes(row->key), bytes_digest(&l->resume.stream)))
                head = message_parse(l->frames, &shuyi__v1__stream_row__descriptor, keep_bytes(row->row));
        if (head && link_item(l, run_take, head) > 0)
                sealer_replan(l->sealer);
}

/* The first stream that is marked and has nothing under way: 1 and its id. */
static int run_find(struct link *l, struct arena *a, const void *item)
{
        struct agent_key prefix = agent_key(AGENT_VIEW), from = prefix;
        Shuyi__Agent__ViewRow *v;
        struct bytes key, value;
        int r;

        (void)item;
        while ((r = keep_next(store_state(l->ag->store), &prefix, &from, &key, &value)) > 0) {
                from = keep_after(key);
                r = keep_decode(a, value, &shuyi__agent__view_row__descriptor, &v);
                if (r < 0)
                        return r;
                if (v->lost && v->inflight == 0 && bytes_copy_exact(bytes_of(from.b + 1, from.n - 2), l->resume.stream.b, DIGEST_BYTES))
                        return 1;
        }
        return r;
}

void resume_run(struct link *l)
{
        if (l->resume.asked || l->session.phase != SESSION_SENDING || link_item(l, run_find, NULL) <= 0)
                return;
        link_read_init(&l->resume.read);
        l->resume.read.what = READ_STREAMS;
        l->resume.read.key = bytes_digest(&l->resume.stream);
        l->resume.read.limit = 1;
        l->resume.read.answered = answered;
        l->resume.asked = link_ask(l, &l->resume.read) == 0;
}
