/* plan: see plan.h. */
#include "agent/plan.h"

#include <errno.h>

#include "agent/keep.h"
#include "agent/outbox.h"
#include "common/exchange/grant_check.h"
#include "common/macro.h"
#include "common/seal.h"

#define PLAN_MAX_BYTES (64 * 1024 * 1024)
#define GRANT_MAX_BYTES (4 * 1024 * 1024)       /* looked at one by one, in an arena of its own: most are not served, and none is forgotten */

/* Asked to be served, and not put off after an epoch was refused because of it. */
static bool subscribed(struct rows *rows, const struct digest *grant, struct wall_time now)
{
        struct agent_key k = agent_key_bytes(agent_key(AGENT_SUBSCRIBER), bytes_digest(grant));
        Shuyi__Agent__SubscriberRow *row;

        return keep_get(rows->state, rows->arena, &k, &shuyi__agent__subscriber_row__descriptor, &row) > 0 && row->not_before <= now.ms;
}

/* May this grant be served now, and under which seal key? */
static bool member_of(struct agent *ag, struct rows *rows, const struct digest *grant, Shuyi__V1__GrantRow *row, struct wall_time now,
                      struct view_member *ret)
{
        enum refusal refusal = E_NOT_FOUND;
        Shuyi__V1__AgentRow *agent;

        if (row->state != GRANT_ACTIVE || !bytes_equal(keep_bytes(row->serving_agent), bytes_id(&ag->self.agent)))
                return false;
        if (!subscribed(rows, grant, now))
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

static int collect(struct agent *ag, struct plan *p, struct rows *look, struct wall_time now)
{
        uint8_t table = TABLE_GRANT;
        struct bytes prefix = bytes_of(&table, 1), from = prefix, key, value;
        struct agent_key after;
        int r;

        p->members_n = 0;
        while ((r = look->state.ops->next(look->state.ctx, prefix, from, &key, &value)) > 0) {
                struct view_member *m = &p->members[p->members_n];
                struct digest grant;
                Shuyi__V1__GrantRow *row;

                after = keep_after(key);
                from = agent_key_get(&after);
                if (key.n != 1 + DIGEST_BYTES)
                        continue;
                memcpy(grant.b, key.p + 1, DIGEST_BYTES);
                arena_reset(look->arena);
                r = keep_decode(look->arena, value, &shuyi__v1__grant_row__descriptor, &row);
                if (r < 0 || !member_of(ag, look, &grant, row, now, m)) {
                        if (r < 0 || look->fault)
                                return r < 0 ? r : look->fault;
                        continue;
                }
                r = keep_decode(p->arena, value, &shuyi__v1__grant_row__descriptor, &row);
                if (r < 0)
                        return r;
                m->row = row;
                p->members_n++;
        }
        return r < 0 ? r : look->fault;
}

static int plan_view(struct agent *ag, struct rows *rows, const struct view_group *g, struct planned *ret)
{
        const Shuyi__V1__GrantRow *row = g->first->row;
        Shuyi__V1__VersionRow *version = rows_version(rows, row->resource, row->version);
        Shuyi__V1__MatterRow *matter = version ? rows_matter(rows, keep_bytes(version->matter)) : NULL;
        struct digest view;

        if (!version || !version->entry || !bytes_copy_exact(keep_bytes(row->view), view.b, DIGEST_BYTES))
                return 0;
        ret->stream = stream_id(&ag->self.agent, &view);
        ret->group = *g;
        ret->entry = version->entry;
        ret->frozen = !matter || matter->frozen;
        ret->personal = replica_personal(version->entry);
        return 1;
}

static struct mono_time waiting_of(const struct plan *old, const struct digest *stream)
{
        for (size_t i = 0; i < old->views_n; i++)
                if (digest_equal(&old->views[i].stream, stream))
                        return old->views[i].waiting_since;
        return (struct mono_time){ 0 };
}

/* ---- views without grants ---- */

static int has_grant(struct rows *look, struct bytes view, bool *ret)
{
        uint8_t table = TABLE_GRANT;
        struct bytes prefix = bytes_of(&table, 1), from = prefix, key, value;
        Shuyi__V1__GrantRow *row;
        struct agent_key after;
        int r = 0;

        *ret = false;
        while (!*ret && (r = look->state.ops->next(look->state.ctx, prefix, from, &key, &value)) > 0) {
                after = keep_after(key);
                from = agent_key_get(&after);
                arena_reset(look->arena);
                r = keep_decode(look->arena, value, &shuyi__v1__grant_row__descriptor, &row);
                if (r < 0)
                        return r;
                *ret = bytes_equal(keep_bytes(row->view), view) && (row->state == GRANT_ACTIVE || row->state == GRANT_SUSPENDED);
        }
        return r < 0 ? r : 0;
}

/* A view that comes back begins with what comes then, unless records waited for it alone. */
static int mark_view(struct agent *ag, struct arena *a, struct rows *look, struct bytes key, Shuyi__Agent__ViewRow *v)
{
        struct agent_key k = agent_key_bytes((struct agent_key){ .n = 0 }, key);
        uint64_t last = 0;
        bool has = false;
        int r = has_grant(look, keep_bytes(v->view), &has);

        if (r < 0 || has == !v->ended)
                return r;
        v->ended = !has;
        if (has)
                r = outbox_taken_last(ag->store, v->number, &last);
        if (has && last > v->settled_to && v->inflight == 0)
                v->sealed_to = v->settled_to = last;
        v->stale = true;
        return r < 0 ? r : keep_put(ag->store, a, &k, &v->base);
}

static int mark_views(struct agent *ag, struct arena *a, struct rows *look)
{
        struct agent_key prefix = agent_key(AGENT_VIEW), from = prefix;
        Shuyi__Agent__ViewRow *v;
        struct bytes key, value;
        int r;

        while ((r = keep_next(look->state, &prefix, &from, &key, &value)) > 0) {
                from = keep_after(key);
                r = keep_decode(a, value, &shuyi__agent__view_row__descriptor, &v);
                if (r >= 0)
                        r = mark_view(ag, a, look, key, v);
                if (r < 0)
                        return r;
        }
        return r;
}

/* ---- the plan ---- */

static int fill(struct agent *ag, struct wall_time now, const struct plan *old, struct plan *p)
{
        _cleanup_(arena_freep) struct arena *one = arena_new(GRANT_MAX_BYTES);
        struct rows rows = { store_state(ag->store), p->arena, 0 }, look = { store_state(ag->store), one, 0 };
        size_t room = count_grants(rows.state) + 1, groups;
        int r;

        p->at = now;
        p->terms = replica_terms(rows.state, p->arena);
        p->members = ARENA_ARRAY(p->arena, struct view_member, room);
        p->groups = ARENA_ARRAY(p->arena, struct view_group, room);
        p->views = ARENA_ARRAY(p->arena, struct planned, room);
        r = one && p->members && p->groups && p->views ? mark_views(ag, p->arena, &look) : -ENOMEM;
        if (r >= 0)
                r = collect(ag, p, &look, now);
        if (r < 0)
                return r;
        groups = view_group(p->members, p->members_n, p->groups);
        for (size_t i = 0; i < groups; i++)
                p->views_n += (size_t)plan_view(ag, &rows, &p->groups[i], &p->views[p->views_n]);
        for (size_t i = 0; i < p->views_n; i++)
                p->views[i].waiting_since = waiting_of(old, &p->views[i].stream);
        return rows.fault;
}

int plan_make(struct agent *ag, struct wall_time now, const struct plan *old, struct plan *ret)
{
        struct plan p = { .arena = arena_new(PLAN_MAX_BYTES) };
        int r = p.arena ? fill(ag, now, old, &p) : -ENOMEM;

        if (r < 0) {
                plan_fini(&p);
                return r;
        }
        *ret = p;
        return 0;
}

void plan_fini(struct plan *p)
{
        arena_free(p->arena);
        *p = (struct plan){ 0 };
}
