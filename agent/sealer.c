/* sealer: see sealer.h. */
#include "agent/sealer.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/chain.h"
#include "agent/replica.h"
#include "agent/view.h"
#include "common/exchange/grant_check.h"
#include "common/log.h"
#include "common/macro.h"
#include "common/record.h"
#include "common/words.h"

#define PLAN_MAX_BYTES (64 * 1024 * 1024)
#define PLAN_AGE_MS 5000                        /* periods and seal keys run out without telling */
#define LINK_MAX_BYTES (8 * 1024 * 1024)
#define EPOCH_RETRY_MS 60000

struct planned {
        struct digest stream;
        struct view_group group;
        Shuyi__V1__Entry *entry;
        bool personal;
        struct mono_time waiting_since;         /* the first record that waits for this view; 0 none */
};

struct sealer {
        struct agent *ag;
        struct arena *plan_arena, *arena;
        struct planned *views;
        size_t views_n;
        struct view_member *members;
        struct view_group *groups;
        size_t members_n;
        bool stale;
        struct wall_time planned_at;
        struct replica_terms terms;
};

struct sealer *sealer_new(struct agent *ag)
{
        struct sealer *s = calloc(1, sizeof(*s));

        if (!s)
                return NULL;
        s->ag = ag;
        s->stale = true;
        s->plan_arena = arena_new(PLAN_MAX_BYTES);
        s->arena = arena_new(LINK_MAX_BYTES);
        if (s->plan_arena && s->arena)
                return s;
        sealer_free(s);
        return NULL;
}

void sealer_free(struct sealer *s)
{
        if (!s)
                return;
        arena_free(s->plan_arena);
        arena_free(s->arena);
        free(s);
}

void sealer_replan(struct sealer *s)
{
        s->stale = true;
}

/* ---- the plan ---- */

static bool subscribed(struct state st, const struct digest *grant)
{
        struct agent_key k = agent_key_bytes(agent_key(AGENT_SUBSCRIBER), bytes_digest(grant));
        struct bytes value;

        return st.ops->get(st.ctx, agent_key_get(&k), &value) > 0;
}

/* May this grant be served now, and under which seal key? */
static bool member_of(struct sealer *s, struct rows *rows, const struct digest *grant, Shuyi__V1__GrantRow *row, struct wall_time now,
                      struct view_member *ret)
{
        enum refusal refusal = E_NOT_FOUND;
        Shuyi__V1__AgentRow *agent;

        if (row->state != GRANT_ACTIVE || !bytes_equal(keep_bytes(row->serving_agent), bytes_id(&s->ag->self.agent)))
                return false;
        if (!subscribed(rows->state, grant))
                return false;
        if (grant_check_use(rows->state, rows->arena, row, row->items, row->n_items, row->purpose, row->method, now, &refusal) < 0 || refusal != ACCEPTED)
                return false;
        agent = rows_agent(rows, keep_bytes(row->agent));
        if (!agent || agent->revoked || agent->seal_key.len != sizeof(ret->seal_key) || agent->seal_not_after <= now.ms)
                return false;
        ret->grant = *grant;
        ret->row = row;
        memcpy(ret->seal_key, agent->seal_key.data, sizeof(ret->seal_key));
        return true;
}

static size_t count_grants(struct state st)
{
        uint8_t table = TABLE_GRANT;
        struct bytes prefix = bytes_of(&table, 1), key = prefix, value;
        struct agent_key from;
        size_t n = 0;

        for (; st.ops->next(st.ctx, prefix, key, &key, &value) > 0; n++) {
                from = keep_after(key);
                key = agent_key_get(&from);
        }
        return n;
}

static int collect(struct sealer *s, struct rows *rows, struct wall_time now)
{
        uint8_t table = TABLE_GRANT;
        struct bytes prefix = bytes_of(&table, 1), from = prefix, key, value;
        struct agent_key after;
        int r;

        s->members_n = 0;
        while ((r = rows->state.ops->next(rows->state.ctx, prefix, from, &key, &value)) > 0) {
                struct digest grant;
                Shuyi__V1__GrantRow *row;

                after = keep_after(key);
                from = agent_key_get(&after);
                if (key.n != 1 + DIGEST_BYTES)
                        continue;
                memcpy(grant.b, key.p + 1, DIGEST_BYTES);
                r = keep_decode(rows->arena, value, &shuyi__v1__grant_row__descriptor, &row);
                if (r < 0)
                        return r;
                if (member_of(s, rows, &grant, row, now, &s->members[s->members_n]))
                        s->members_n++;
        }
        return r < 0 ? r : rows->fault;
}

static int plan_view(struct sealer *s, struct rows *rows, const struct view_group *g, struct planned *ret)
{
        const Shuyi__V1__GrantRow *row = g->first->row;
        Shuyi__V1__VersionRow *version = rows_version(rows, row->resource, row->version);
        struct digest view;

        if (!version || !version->entry || !bytes_copy_exact(keep_bytes(row->view), view.b, DIGEST_BYTES))
                return 0;
        ret->stream = stream_id(&s->ag->self.agent, &view);
        ret->group = *g;
        ret->entry = version->entry;
        ret->personal = replica_personal(version->entry);
        return 1;
}

static struct mono_time waiting_of(const struct planned *old, size_t n, const struct digest *stream)
{
        for (size_t i = 0; i < n; i++)
                if (digest_equal(&old[i].stream, stream))
                        return old[i].waiting_since;
        return (struct mono_time){ 0 };
}

static int plan(struct sealer *s, struct wall_time now)
{
        struct state st = store_state(s->ag->store);
        struct rows rows = { st, s->plan_arena, 0 };
        size_t room = count_grants(st) + 1, groups;
        int r;

        arena_reset(s->plan_arena);
        s->views_n = 0;
        s->terms = replica_terms(st, s->plan_arena);
        s->members = ARENA_ARRAY(s->plan_arena, struct view_member, room);
        s->groups = ARENA_ARRAY(s->plan_arena, struct view_group, room);
        s->views = ARENA_ARRAY(s->plan_arena, struct planned, room);
        if (!s->members || !s->groups || !s->views)
                return -ENOMEM;
        r = collect(s, &rows, now);
        if (r < 0)
                return r;
        groups = view_group(s->members, s->members_n, s->groups);
        for (size_t i = 0; i < groups; i++)
                s->views_n += (size_t)plan_view(s, &rows, &s->groups[i], &s->views[s->views_n]);
        s->stale = false;
        s->planned_at = now;
        return rows.fault;
}

static int replan_if_needed(struct sealer *s, struct wall_time now)
{
        _cleanup_(arena_freep) struct arena *old_arena = NULL;
        struct planned *old = s->views;
        size_t old_n = s->views_n;
        int r;

        if (!s->stale && now.ms < s->planned_at.ms + PLAN_AGE_MS)
                return 0;
        old_arena = s->plan_arena;
        s->plan_arena = arena_new(PLAN_MAX_BYTES);
        if (!s->plan_arena) {
                s->plan_arena = TAKE(old_arena);
                return -ENOMEM;
        }
        r = plan(s, now);
        for (size_t i = 0; r >= 0 && i < s->views_n; i++)
                s->views[i].waiting_since = waiting_of(old, old_n, &s->views[i].stream);
        if (r < 0)
                s->views_n = 0;
        return r;
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

/* ---- what waits for a view ---- */

struct waiting { struct flow_batch batch; bool more; uint64_t last; };

static int look(struct sealer *s, struct arena *a, const Shuyi__Agent__ViewRow *v, struct waiting *ret)
{
        struct agent_key prefix = agent_key_u32(agent_key(AGENT_TAKEN), v->number), from = outbox_taken_key(v->number, v->sealed_to + 1);
        Shuyi__Agent__TakenRow *row;
        struct bytes key, value;
        int r;

        *ret = (struct waiting){ .last = v->sealed_to };
        while ((r = keep_next(store_state(s->ag->store), &prefix, &from, &key, &value)) > 0) {
                r = keep_decode(a, value, &shuyi__agent__taken_row__descriptor, &row);
                if (r < 0)
                        return r;
                if (flow_batch_full(&ret->batch) || !flow_batch_add(&ret->batch, row->record_bytes)) {
                        ret->more = true;
                        return 0;
                }
                ret->last = get_be64(key.p + prefix.n);
                from = keep_after(key);
        }
        return r;
}

/* One taken record as this view sees it; {0}: it breaks the entry and is left out. */
static int cut_one(struct sealer *s, struct arena *a, const struct planned *p, const Shuyi__Agent__ViewRow *v, const Shuyi__Agent__TakenRow *row,
                   int32_t today, struct bytes *ret, uint64_t *ret_changed_at)
{
        struct bytes plain;
        const char *why = NULL;
        uint32_t item = 0;
        Shuyi__V1__Record *r;
        struct id push;

        *ret = (struct bytes){ 0 };
        if (!bytes_copy_exact(keep_bytes(row->push), push.b, ID_BYTES))
                return -EBADMSG;
        if (!vault_unseal(s->ag->vault, a, outbox_taken_what(a, &push, row->index), keep_bytes(row->record), &plain))
                return arena_failed(a) ? -ENOMEM : -EBADMSG;
        *ret = view_cut(a, p->entry, v->items, v->n_items, plain, today, &why, &item);
        if (!ret->p) {
                log_event(LOG_ERR, "sealer.record_left_out", log_id("push", &push), log_u64("index", row->index), log_str("why", why), log_u64("item", item));
                return arena_failed(a) ? -ENOMEM : 0;
        }
        r = message_parse(a, &shuyi__v1__record__descriptor, *ret);
        *ret_changed_at = r ? r->changed_at : 0;
        return 0;
}

static int gather(struct sealer *s, struct arena *a, const struct planned *p, const Shuyi__Agent__ViewRow *v, uint64_t last, struct wall_time now,
                  struct bytes *records, size_t *ret_n, uint64_t *ret_oldest)
{
        struct agent_key prefix = agent_key_u32(agent_key(AGENT_TAKEN), v->number), from = outbox_taken_key(v->number, v->sealed_to + 1);
        int32_t today = times_shanghai_day(now);
        Shuyi__Agent__TakenRow *row;
        struct bytes key, value;
        int r;

        *ret_oldest = UINT64_MAX;
        while ((r = keep_next(store_state(s->ag->store), &prefix, &from, &key, &value)) > 0 && get_be64(key.p + prefix.n) <= last) {
                uint64_t changed_at = 0;

                r = keep_decode(a, value, &shuyi__agent__taken_row__descriptor, &row);
                if (r > 0)
                        r = cut_one(s, a, p, v, row, today, &records[*ret_n], &changed_at);
                if (r < 0)
                        return r;
                from = keep_after(key);
                if (!records[*ret_n].p)
                        continue;
                (*ret_n)++;
                if (changed_at < *ret_oldest)
                        *ret_oldest = changed_at;
        }
        return r < 0 ? r : 0;
}

/* ---- sealing ---- */

static int put_link(struct sealer *s, struct arena *a, const struct planned *p, Shuyi__Agent__ViewRow *v, Shuyi__Agent__SealedRow *row)
{
        uint64_t number = 0;
        int r;

        v->inflight++;
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

static int seal_epoch(struct sealer *s, struct arena *a, struct planned *p, Shuyi__Agent__ViewRow *v, struct wall_time now)
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

static int seal_update(struct sealer *s, struct arena *a, struct planned *p, Shuyi__Agent__ViewRow *v, const struct waiting *w, struct wall_time now)
{
        struct chain c = chain_of(s, a, p, v, now);
        struct bytes *records = ARENA_ARRAY(a, struct bytes, RECORDS_MAX + 1);
        Shuyi__Agent__SealedRow row;
        uint64_t oldest, first = v->sealed_to + 1;
        size_t n = 0;
        int r;

        if (!records)
                return -ENOMEM;
        r = gather(s, a, p, v, w->last, now, records, &n, &oldest);
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

static int seal_head(struct sealer *s, struct arena *a, struct planned *p, Shuyi__Agent__ViewRow *v, struct wall_time now)
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
        struct waiting w;
        int r = view_find(s, a, p, &v);

        if (r < 0 || v->refused || !f.credit)
                return r;
        if (v->wait_until > now.ms) {
                come_again(ret_at, (struct mono_time){ mono.ns + (v->wait_until - now.ms) * 1000000 });
                return 0;
        }
        if (v->stale || v->view_epoch == 0 || !view_audience_is(&p->group, v->audience, v->n_audience))
                return seal_epoch(s, a, p, v, now);
        r = look(s, a, v, &w);
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
                        return seal_update(s, a, p, v, &w, now);
                case FLOW_SEAL_AT:
                        come_again(ret_at, at);
                        return 0;
                case FLOW_SEAL_NOTHING:
                        return 0;
                }
        }
        if (v->inflight == 0 && now.ms >= v->head_at + s->terms.head_ms * 9 / 10)
                return seal_head(s, a, p, v, now);
        if (v->inflight == 0)
                come_again(ret_at, (struct mono_time){ mono.ns + (v->head_at + s->terms.head_ms * 9 / 10 - now.ms) * 1000000 });
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
        return flow_may(FLOW_SEAL, replica_trust(row, &s->terms, now, personal, NULL));
}

int sealer_run(struct sealer *s, struct sealer_credit credit, struct wall_time now, struct mono_time mono, struct mono_time *ret_at)
{
        int sealed = 0, r = replan_if_needed(s, now);

        ret_at->ns = UINT64_MAX;
        if (r < 0 || !credit.open)
                return r;
        for (size_t i = 0; i < s->views_n && credit.frames; i++) {
                if (!trusted(s, now, s->views[i].personal))
                        continue;
                r = seal_view(s, &s->views[i], &credit, now, mono, ret_at);
                if (r < 0) {
                        log_event(LOG_ERR, "sealer.fault", log_digest("stream", &s->views[i].stream), log_errno("fault", r));
                        s->views[i].waiting_since = (struct mono_time){ 0 };
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
                v->wait_until = now_ms + EPOCH_RETRY_MS;
                v->wait_code = code;
        }
        return dead;
}

int sealer_answer(Shuyi__Agent__ViewRow *v, const Shuyi__Agent__SealedRow *sent, uint32_t code, uint64_t seq, uint64_t now_ms, bool *ret_dead)
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
                return 1;
        }
        return 0;
}

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

int sealer_settled(struct sealer *s, struct arena *a, const Shuyi__Agent__SealedRow *sent, const Shuyi__V1__ReceiptRow *row, struct wall_time now)
{
        struct agent_key k = agent_key_bytes(agent_key(AGENT_VIEW), keep_bytes(sent->stream));
        Shuyi__Agent__ViewRow *v;
        bool dead = false;
        uint64_t to = 0;
        int r = keep_get(store_state(s->ag->store), a, &k, &shuyi__agent__view_row__descriptor, &v);

        if (r <= 0)
                return r;
        if (sealer_answer(v, sent, row->code, row->seq, now.ms, &dead))
                log_event(LOG_NOTICE, "sealer.sealed_again", log_hex("stream", keep_bytes(sent->stream)), log_u64("from_stream_seq", v->head + 1),
                          log_str("refusal", refusal_text(row->code)->code));
        if (dead)
                r = outbox_bury(s->ag, a, sent, v->resource, row->code, row->detail);
        if (r >= 0)
                r = keep_put(s->ag->store, a, &k, &v->base);
        if (r >= 0 && row->code == ACCEPTED && sent->kind == KIND_UPDATE)
                r = settled_by_all(s, a, v->number, &to);
        return r < 0 || to == 0 ? r < 0 ? r : 0 : outbox_release(s->ag, a, v->number, to);
}
