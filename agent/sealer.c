/* sealer: see sealer.h. */
#include "agent/sealer.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/chain.h"
#include "agent/plan.h"
#include "agent/replica.h"
#include "agent/resume.h"
#include "agent/rewind.h"
#include "agent/taken.h"
#include "agent/view.h"
#include "common/log.h"
#include "common/record.h"

#define PUT_OFF_MS 5000ull
#define PLAN_AGE_MS 5000                        /* periods and seal keys run out without telling */
#define LINK_MAX_BYTES (32 * 1024 * 1024)

struct sealer {
        struct agent *ag;
        struct arena *arena;                    /* of one link */
        struct plan plan;
        bool stale;
};

struct sealer *sealer_new(struct agent *ag)
{
        struct sealer *s = calloc(1, sizeof(*s));

        if (!s)
                return NULL;
        s->ag = ag;
        s->stale = true;
        s->arena = arena_new(LINK_MAX_BYTES);
        if (s->arena)
                return s;
        sealer_free(s);
        return NULL;
}

void sealer_free(struct sealer *s)
{
        if (!s)
                return;
        plan_fini(&s->plan);
        arena_free(s->arena);
        free(s);
}

void sealer_replan(struct sealer *s)
{
        s->stale = true;
}

/* ---- views ---- */

static struct agent_key view_key(const struct digest *stream)
{
        return agent_key_bytes(agent_key(AGENT_VIEW), bytes_digest(stream));
}

static int has_views(struct state st, struct arena *a, uint32_t resource, bool *ret)
{
        struct agent_key prefix = agent_key(AGENT_VIEW), from = prefix;
        Shuyi__Agent__ViewRow *row;
        struct bytes key, value;
        int r;

        *ret = false;
        while ((r = keep_next(st, &prefix, &from, &key, &value)) > 0) {
                from = keep_after(key);
                r = keep_decode(a, value, &shuyi__agent__view_row__descriptor, &row);
                if (r < 0)
                        return r;
                if (row->number == resource)
                        *ret = true;
        }
        return r;
}

/* The first view of a resource takes all that has waited; a later one begins with what comes. */
static int view_make(struct sealer *s, struct arena *a, const struct planned *p, Shuyi__Agent__ViewRow **ret)
{
        const Shuyi__V1__GrantRow *row = p->group.first->row;
        Shuyi__Agent__ViewRow *v = ARENA_NEW(a, Shuyi__Agent__ViewRow);
        bool others = false;
        int r;

        if (!v)
                return -ENOMEM;
        shuyi__agent__view_row__init(v);
        r = outbox_resource_make(s->ag, a, row->resource, &v->number);
        if (r == 0)
                r = has_views(store_state(s->ag->store), a, v->number, &others);
        if (r == 0 && others)
                r = outbox_taken_last(s->ag->store, v->number, &v->sealed_to);
        v->view = row->view;
        v->resource = row->resource;
        v->version = row->version;
        v->n_items = row->n_items;
        v->items = row->items;
        v->settled_to = v->sealed_to;
        v->stale = true;
        *ret = v;
        return r;
}

static int view_find(struct sealer *s, struct arena *a, const struct planned *p, Shuyi__Agent__ViewRow **ret)
{
        struct agent_key k = view_key(&p->stream);
        int r = keep_get(store_state(s->ag->store), a, &k, &shuyi__agent__view_row__descriptor, ret);

        return r == 0 ? view_make(s, a, p, ret) : r < 0 ? r : 0;
}

static int view_put(struct sealer *s, struct arena *a, const struct digest *stream, const Shuyi__Agent__ViewRow *v)
{
        struct agent_key k = view_key(stream);

        return keep_put(s->ag->store, a, &k, &v->base);
}

/* ---- sealing ---- */

static int put_link(struct sealer *s, struct arena *a, struct planned *p, Shuyi__Agent__ViewRow *v, Shuyi__Agent__SealedRow *row)
{
        uint64_t number = 0;
        int r;

        v->inflight++;
        p->again = false;
        r = outbox_add(s->ag, a, 1, row, &number);
        if (r >= 0)
                r = view_put(s, a, &p->stream, v);
        metrics_inc(s->ag->block, M_SEALED, 0);
        return r < 0 ? r : 1;
}

static struct chain chain_of(struct sealer *s, struct arena *a, const struct planned *p, Shuyi__Agent__ViewRow *v, struct wall_time now)
{
        return (struct chain){ .ag = s->ag, .arena = a, .now = now, .stream = p->stream, .view = v, .entry = p->entry, .credential = &s->ag->self.credential };
}

static int emit_epoch(struct sealer *s, struct arena *a, struct planned *p, Shuyi__Agent__ViewRow *v, struct wall_time now)
{
        struct chain c = chain_of(s, a, p, v, now);
        Shuyi__Agent__SealedRow row;
        int r = chain_epoch(&c, &p->group, &row);

        if (r < 0)
                return r;
        metrics_inc(s->ag->block, M_EPOCHS, 0);
        log_event(LOG_INFO, "sealer.view_epoch", log_digest("stream", &p->stream), log_str("resource", v->resource), log_u64("view_epoch", v->view_epoch),
                  log_u64("stream_seq", v->head), log_u64("audience", p->group.n));
        return put_link(s, a, p, v, &row);
}

static int emit_update(struct sealer *s, struct arena *a, struct planned *p, Shuyi__Agent__ViewRow *v, const struct taken_waiting *w, struct wall_time now)
{
        struct chain c = chain_of(s, a, p, v, now);
        struct bytes *records = ARENA_ARRAY(a, struct bytes, RECORDS_MAX + 1);
        Shuyi__Agent__SealedRow row;
        uint64_t oldest, first = v->sealed_to + 1;
        size_t n = 0;
        int r;

        if (!records)
                return -ENOMEM;
        r = taken_gather(s->ag, a, p->entry, v, w, now, records, &n, &oldest);
        if (r < 0)
                return r;
        v->sealed_to = w->last;
        p->waiting_since = (struct mono_time){ 0 };
        if (n == 0) {                           /* every one of them breaks the entry now */
                r = view_put(s, a, &p->stream, v);
                return r < 0 ? r : 0;
        }
        r = chain_update(&c, records, n, oldest, &row);
        if (r < 0)
                return r;
        row.first_take = first;
        row.last_take = w->last;
        metrics_add(s->ag->block, M_SEALED_RECORDS, 0, n);
        return put_link(s, a, p, v, &row);
}

static int emit_head(struct sealer *s, struct arena *a, struct planned *p, Shuyi__Agent__ViewRow *v, struct wall_time now)
{
        struct chain c = chain_of(s, a, p, v, now);
        Shuyi__Agent__SealedRow row;
        int r = chain_head(&c, &row);

        return r < 0 ? r : put_link(s, a, p, v, &row);
}

static void come_again(struct mono_time *at, struct mono_time when)
{
        if (when.ns < at->ns)
                at->ns = when.ns;
}

/* The next link of one view, if one is due: 1 sealed, 0 nothing. */
static int seal_next(struct sealer *s, struct arena *a, struct planned *p, const struct sealer_credit *credit, struct wall_time now, struct mono_time mono,
                     struct mono_time *ret_at)
{
        Shuyi__Agent__ViewRow *v;
        struct flow_waiting f = { .credit = credit->open && credit->frames > 0 };
        struct taken_waiting w = { 0 };
        int r = view_find(s, a, p, &v);

        if (r < 0 || v->refused || v->lost || !f.credit)
                return r;
        if (v->wait_until > now.ms && !p->again) {
                come_again(ret_at, (struct mono_time){ mono.ns + (v->wait_until - now.ms) * 1000000 });
                return 0;
        }
        if (p->frozen && (v->stale || v->view_epoch == 0))
                return 0;
        if (!p->frozen && (v->stale || v->view_epoch == 0 || !view_audience_is(&p->group, v->audience, v->n_audience)))
                return emit_epoch(s, a, p, v, now);
        r = p->frozen ? 0 : taken_look(s->ag, a, v, &w);
        if (r < 0)
                return r;
        if (w.batch.records && !p->waiting_since.ns)
                p->waiting_since = mono;
        f.batch = w.batch;
        f.more = w.more;
        f.oldest = p->waiting_since;
        f.unacknowledged = v->inflight;
        if (w.batch.records) {
                struct mono_time at = { UINT64_MAX };

                switch (flow_seal_when(&f, mono, &at)) {
                case FLOW_SEAL_NOW:
                        return emit_update(s, a, p, v, &w, now);
                case FLOW_SEAL_AT:
                        come_again(ret_at, at);
                        return 0;
                case FLOW_SEAL_NOTHING:
                        return 0;
                }
        }
        if (v->inflight == 0 && now.ms >= v->head_at + s->plan.terms.head_ms * 9 / 10)
                return emit_head(s, a, p, v, now);
        if (v->inflight == 0)
                come_again(ret_at, (struct mono_time){ mono.ns + (v->head_at + s->plan.terms.head_ms * 9 / 10 - now.ms) * 1000000 });
        return 0;
}

static int seal_view(struct sealer *s, struct planned *p, struct sealer_credit *credit, struct wall_time now, struct mono_time mono, struct mono_time *ret_at)
{
        int sealed = 0, r = 1;

        while (r > 0 && credit->frames > 0) {
                arena_reset(s->arena);
                r = store_group_begin(s->ag->store);
                if (r < 0)
                        return r == -ENOSPC ? sealed : r;
                r = seal_next(s, s->arena, p, credit, now, mono, ret_at);
                if (r < 0) {
                        store_group_abort(s->ag->store);
                        return r;
                }
                r = store_group_commit(s->ag->store) < 0 ? -EIO : r;
                sealed += r > 0;
                credit->frames -= r > 0;
        }
        return r < 0 ? r : sealed;
}

static bool trusted(struct sealer *s, struct wall_time now, bool personal)
{
        Shuyi__Agent__ReplicaRow *row;

        arena_reset(s->arena);
        if (replica_get(store_state(s->ag->store), s->arena, &row) < 0)
                return false;
        return flow_may(FLOW_SEAL, replica_trust(row, &s->plan.terms, now, personal, NULL));
}

static int run_plan(struct sealer *s, struct wall_time now)
{
        struct plan next = { 0 };
        int r;

        if (!s->stale && now.ms < s->plan.at.ms + PLAN_AGE_MS)
                return 0;
        r = store_group_begin_reserved(s->ag->store);
        if (r < 0)
                return r;
        r = plan_make(s->ag, now, &s->plan, &next);
        if (r < 0) {
                store_group_abort(s->ag->store);
                return r;
        }
        plan_fini(&s->plan);
        s->plan = next;
        for (size_t i = 0; i < next.views_n; i++)
                next.views[i].again = s->stale;
        s->stale = false;
        return store_group_commit(s->ag->store);
}

int sealer_run(struct sealer *s, struct sealer_credit credit, struct wall_time now, struct mono_time mono, struct mono_time *ret_at)
{
        int sealed = 0, r = run_plan(s, now);

        ret_at->ns = UINT64_MAX;
        if (r < 0 || !credit.open)
                return r;
        for (size_t i = 0; i < s->plan.views_n && credit.frames; i++) {
                if (!trusted(s, now, s->plan.views[i].personal))
                        continue;
                r = seal_view(s, &s->plan.views[i], &credit, now, mono, ret_at);
                if (r < 0) {
                        log_event(LOG_ERR, "sealer.fault", log_digest("stream", &s->plan.views[i].stream), log_errno("fault", r));
                        s->plan.views[i].waiting_since = (struct mono_time){ 0 };
                        if (r == -ENOSPC || r == -EIO)
                                return r;
                        come_again(ret_at, (struct mono_time){ mono.ns + 1000000000ull });
                        continue;
                }
                sealed += r;
        }
        return sealed;
}

/* ---- receipts ---- */

/* The lowest take number that every live view of the resource has settled. */
static int settled_by_all(struct sealer *s, struct arena *a, uint32_t resource, uint64_t *ret)
{
        struct agent_key prefix = agent_key(AGENT_VIEW), from = prefix;
        Shuyi__Agent__ViewRow *row;
        struct bytes key, value;
        int r;

        *ret = UINT64_MAX;
        while ((r = keep_next(store_state(s->ag->store), &prefix, &from, &key, &value)) > 0) {
                from = keep_after(key);
                r = keep_decode(a, value, &shuyi__agent__view_row__descriptor, &row);
                if (r < 0)
                        return r;
                if (row->number == resource && !row->ended && row->settled_to < *ret)
                        *ret = row->settled_to;
        }
        if (*ret == UINT64_MAX)
                *ret = 0;
        return r;
}

static bool hex_parse_prefix(const char *text, struct digest *ret)
{
        char hex[2 * DIGEST_BYTES + 1];

        memcpy(hex, text, sizeof(hex) - 1);
        hex[sizeof(hex) - 1] = '\0';
        return hex_parse(hex, ret->b, DIGEST_BYTES);
}

/* An epoch was refused because of one grant ("grant=…"): the others go on without it, and it is tried again later and later. */
static int put_off(struct sealer *s, struct arena *a, const char *detail, struct wall_time now)
{
        Shuyi__Agent__SubscriberRow *row;
        struct agent_key k;
        struct digest grant;
        int r;

        if (strncmp(detail, "grant=", 6) != 0 || strlen(detail) < 6 + 2 * DIGEST_BYTES || !hex_parse_prefix(detail + 6, &grant))
                return 0;
        k = agent_key_bytes(agent_key(AGENT_SUBSCRIBER), bytes_digest(&grant));
        r = keep_get(store_state(s->ag->store), a, &k, &shuyi__agent__subscriber_row__descriptor, &row);
        if (r <= 0)
                return r;
        row->not_before = now.ms + (PUT_OFF_MS << (row->put_off < 8 ? row->put_off : 8));
        row->put_off++;
        s->stale = true;
        log_event(LOG_WARNING, "sealer.put_off", log_digest("grant", &grant), log_u64("until", row->not_before));
        return keep_put(s->ag->store, a, &k, &row->base);
}

int sealer_settled(struct sealer *s, struct arena *a, const Shuyi__Agent__SealedRow *sent, const Shuyi__V1__ReceiptRow *row, struct wall_time now)
{
        struct agent_key k = agent_key_bytes(agent_key(AGENT_VIEW), keep_bytes(sent->stream));
        Shuyi__Agent__ViewRow *v;
        bool dead = false;
        uint64_t to = 0;
        int r = keep_get(store_state(s->ag->store), a, &k, &shuyi__agent__view_row__descriptor, &v);

        if (r <= 0)
                return r;
        if (rewind_answer(v, sent, row->code, row->seq, now.ms, &dead))
                log_event(LOG_NOTICE, "sealer.sealed_again", log_hex("stream", keep_bytes(sent->stream)), log_u64("from_stream_seq", v->head + 1),
                          log_str("refusal", refusal_text(row->code)->code));
        if (resume_note(v, sent, row))
                log_event(LOG_WARNING, "stream.end_unknown", log_hex("stream", keep_bytes(sent->stream)), log_u64("stream_seq", sent->stream_seq), log_str("detail", row->detail));
        if (row->code == E_STALE_EPOCH && sent->kind == KIND_VIEW_EPOCH)
                r = put_off(s, a, row->detail, now);
        if (r >= 0 && dead)
                r = outbox_bury(s->ag, a, sent, v->resource, row->code, row->detail);
        if (r >= 0)
                r = keep_put(s->ag->store, a, &k, &v->base);
        if (r >= 0 && row->code == ACCEPTED && sent->kind == KIND_UPDATE)
                r = settled_by_all(s, a, v->number, &to);
        return r < 0 || to == 0 ? r < 0 ? r : 0 : outbox_release(s->ag, a, v->number, to);
}
