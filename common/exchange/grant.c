/* grant: a running provision (SM-GRANT 1, 2, 4-6, 8, 9).
 *
 * Row 1 is done by whoever decides (direct, request), row 2 by the stream (update, receipt_act).  What depends on a
 * grant is found ended or suspended by look-up; ending one writes a constant number of rows. */
#include "common/exchange/grant.h"

#include "common/exchange/signers.h"
#include "common/macro.h"
#include "common/seal.h"

struct grant {
        struct rows rows;
        struct bytes id;
        Shuyi__V1__GrantRow *row;
        const Shuyi__V1__ReasonBody *body;
};

void tell(struct turn *t, enum notice notice, const char *const *departments, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                bool told = !departments[i] || !departments[i][0];

                for (size_t k = 0; k < i && !told; k++)
                        told = departments[k] && strcmp(departments[k], departments[i]) == 0;
                if (!told)
                        turn_notice(t, departments[i], notice);
        }
}

/* ---- opening and closing ---- */

static void put_subscription(struct turn *t, struct bytes id, const Shuyi__V1__GrantRow *row)
{
        Shuyi__V1__SubscriptionRow sub = SHUYI__V1__SUBSCRIPTION_ROW__INIT;

        sub.state = SUB_REQUESTED;
        sub.agent = row->agent;
        sub.view = row->view;
        sub.consumer = row->consumer;
        turn_put_row(t, TURN_KEY(t, TABLE_SUBSCRIPTION, id), &sub.base);
        turn_put(t, TURN_KEY(t, TABLE_AGENT_SUB, bytes_of_field(row->agent), id), (struct bytes){ 0 });
}

static void index_for(struct turn *t, const char *department, struct bytes id)
{
        turn_put(t, TURN_KEY(t, TABLE_DEPT_GRANT, bytes_str(department), turn_u64(t, t->entry->seq)), id);
}

void grant_open(struct turn *t, const Shuyi__V1__GrantRow *row)
{
        struct bytes id = bytes_of_field(row->opening);

        turn_put_row(t, TURN_KEY(t, TABLE_GRANT, id), &row->base);
        index_for(t, row->consumer, id);
        index_for(t, row->provider, id);
        put_subscription(t, id, row);
        if (row->period_to)
                turn_clock_start_at(t, CLOCK_GRANT_PERIOD, id, (struct wall_time){ row->period_to });
        turn_trust(t, TRUST_GRANT, id, STATUS_ACTIVE);
        TELL(t, NOTICE_GRANT, row->consumer, row->provider, t->meta->authority);
}

/* What was accepted before may still be delivered; nothing after. */
static void end_subscription(struct turn *t, struct rows *rows, struct bytes id)
{
        Shuyi__V1__SubscriptionRow *sub = rows_subscription(rows, id);
        Shuyi__V1__StreamRow *stream = sub && sub->stream.len ? rows_stream(rows, bytes_of_field(sub->stream)) : NULL;

        if (!sub)
                return;
        if (stream && sub->stop == 0)
                sub->stop = stream->head;
        sub->state = SUB_ENDED;
        turn_put_row(t, TURN_KEY(t, TABLE_SUBSCRIPTION, id), &sub->base);
        turn_wake(t, WAKE_SUBSCRIPTION, id);
}

void grant_close(struct turn *t, struct bytes id, Shuyi__V1__GrantRow *row, enum grant_state state, enum notice notice)
{
        struct rows rows = rows_of(t);

        row->state = state;
        turn_put_row(t, TURN_KEY(t, TABLE_GRANT, id), &row->base);
        end_subscription(t, &rows, id);
        turn_clock_stop(t, CLOCK_GRANT_PERIOD, id);
        if (policy_is(t->policy, POLICY_grant_rules, "FULL"))
                turn_clock_start(t, CLOCK_DISPOSE, id, t->now, policy_number(t->policy, POLICY_disposal_wd));
        turn_trust(t, TRUST_GRANT, id, STATUS_ENDED);
        TELL(t, notice, row->consumer, row->provider, t->meta->authority);
}

/* ---- finding ---- */

static bool is_consumer(const struct turn *t, const struct grant *g)
{
        return strcmp(signers_department(t), g->row->consumer) == 0;
}

/* AUTHORITY SEC_ADMIN, or the provider's APPROVER (BY_SUSPENDER has seen the capacity). */
static bool may_suspend(const struct turn *t, const struct grant *g)
{
        const struct actor *a = &t->actors[0];

        return (a->authority && a->capacity == ROLE_SEC_ADMIN) ||
               (a->capacity == ROLE_APPROVER && strcmp(a->department, g->row->provider) == 0);
}

static enum refusal grant_load(struct turn *t, void **ret_matter, unsigned *ret_state)
{
        struct grant *g = turn_new_matter(t, sizeof(*g));
        const char *actor = signers_department(t);

        if (!g)
                return E_NOT_FOUND;
        g->rows = rows_of(t);
        g->id = bytes_of_field(t->intent->grant);
        g->body = (const Shuyi__V1__ReasonBody *)t->claim->open_body;
        g->row = g->id.n == DIGEST_BYTES ? rows_grant(&g->rows, g->id) : NULL;
        if (!g->row || (strcmp(actor, g->row->consumer) && strcmp(actor, g->row->provider) && strcmp(actor, t->meta->authority)))
                return turn_refuse(t, E_NOT_FOUND, "grant");
        if (t->intent->kind == KIND_GRANT_END ? !is_consumer(t, g) : !may_suspend(t, g))
                return turn_refuse(t, E_ROLE, "department");
        *ret_matter = g;
        *ret_state = g->row->state;
        return ACCEPTED;
}

static void grant_store(struct turn *t, void *matter, unsigned state)
{
        struct grant *g = matter;

        g->row->state = state;
        turn_put_row(t, TURN_KEY(t, TABLE_GRANT, g->id), &g->row->base);
}

/* ---- guards ---- */

static bool reason_in(const struct grant *g, uint32_t allowed)
{
        return g->body && g->body->reason < 32 && (allowed & IN(g->body->reason));
}

static enum refusal guard_by_suspender(struct turn *t, void *matter)
{
        struct grant *g = matter;

        return strcmp(g->row->suspended_by, signers_department(t)) == 0 ? ACCEPTED : turn_refuse(t, E_ROLE, "suspender");
}

static enum refusal guard_rectify_by(struct turn *t, void *matter)
{
        struct grant *g = matter;

        return !g->body || g->body->rectify_by == 0 || g->body->rectify_by > t->now.ms ? ACCEPTED : turn_refuse(t, G_FIELD, "rectify_by");
}

static enum refusal guard_misuse(struct turn *t, void *matter)
{
        return reason_in(matter, IN(REASON_MISUSE) | IN(REASON_SECURITY_INCIDENT)) ? ACCEPTED : turn_refuse(t, G_REASON, "reason");
}

static enum refusal guard_rectified(struct turn *t, void *matter)
{
        return reason_in(matter, IN(REASON_RECTIFIED) | IN(REASON_RESOLVED)) ? ACCEPTED : turn_refuse(t, G_REASON, "reason");
}

static enum refusal guard_not_rectified(struct turn *t, void *matter)
{
        return reason_in(matter, IN(REASON_NOT_RECTIFIED)) ? ACCEPTED : turn_refuse(t, G_REASON, "reason");
}

static enum refusal guard_no_need(struct turn *t, void *matter)
{
        return reason_in(matter, IN(REASON_PURPOSE_REACHED) | IN(REASON_IMPOSSIBLE) | IN(REASON_NOT_NEEDED)) ? ACCEPTED : turn_refuse(t, G_REASON, "reason");
}

/* ---- effects ---- */

static void suspend(struct turn *t, void *matter)
{
        struct grant *g = matter;

        g->row->suspended_by = (char *)signers_department(t);
        turn_trust(t, TRUST_GRANT, g->id, STATUS_SUSPENDED);
        turn_wake(t, WAKE_SUBSCRIPTION, g->id);
        TELL(t, NOTICE_GRANT_STOP, g->row->consumer, g->row->provider, t->meta->authority);
}

/* The provider's agent, told so, names the grant again in its next epoch. */
static void resume(struct turn *t, void *matter)
{
        struct grant *g = matter;

        g->row->suspended_by = (char *)"";
        turn_trust(t, TRUST_GRANT, g->id, STATUS_ACTIVE);
        turn_wake(t, WAKE_SUBSCRIPTION, g->id);
        TELL(t, NOTICE_GRANT, g->row->consumer, g->row->provider, t->meta->authority);
}

static void terminate(struct turn *t, void *matter)
{
        struct grant *g = matter;

        grant_close(t, g->id, g->row, GRANT_TERMINATED, NOTICE_GRANT_STOP);
}

static void end(struct turn *t, void *matter)
{
        struct grant *g = matter;

        grant_close(t, g->id, g->row, GRANT_ENDED, NOTICE_GRANT);
}

static const struct rule rules[] = {
        { IN(GRANT_ACTIVE), KIND_GRANT_WIDEN, BY_USER_APPROVER, { NULL }, 0, NULL, "SM-GRANT 3", "NA 25", true },
        { IN(GRANT_ACTIVE), KIND_GRANT_SUSPEND, BY_SUSPENDER, { guard_rectify_by, guard_misuse }, GRANT_SUSPENDED, suspend, "SM-GRANT 4", "NA 27" },
        { IN(GRANT_SUSPENDED), KIND_GRANT_RESUME, BY_SUSPENDER, { guard_by_suspender, guard_rectified }, GRANT_ACTIVE, resume, "SM-GRANT 5", "NA 27" },
        { IN(GRANT_SUSPENDED), KIND_GRANT_TERMINATE, BY_SUSPENDER, { guard_by_suspender, guard_not_rectified }, GRANT_TERMINATED, terminate, "SM-GRANT 6", "NA 27" },
        { IN(GRANT_ACTIVE), KIND_GRANT_STOP, BY_APPROVER, { NULL }, 0, NULL, "SM-GRANT 7", "NA 27(3)", true },
        { IN(GRANT_ACTIVE) | IN(GRANT_SUSPENDED), KIND_GRANT_END, BY_APPROVER, { guard_no_need }, GRANT_ENDED, end, "SM-GRANT 9", "NA 27" },
        { IN(GRANT_ENDED) | IN(GRANT_TERMINATED), KIND_GRANT_DISPOSE, BY_APPROVER, { NULL }, 0, NULL, "SM-GRANT 10", "NA 27", true },
        { IN(GRANT_ACTIVE), KIND_GRANT_REASSIGN, BY_USER_APPROVER, { NULL }, 0, NULL, "SM-GRANT 12", "ZS 32(2), 33(3)", true },
};

/* SM-GRANT 8; and the overdue fact of row 11, whose reminders come later. */
static void expire(struct turn *t, enum clock clock, struct bytes object)
{
        struct rows rows = rows_of(t);
        Shuyi__V1__GrantRow *row = rows_grant(&rows, object);

        if (!row)
                return;
        if (clock == CLOCK_DISPOSE)
                turn_fact(t, clock, object, row->consumer, "V_DISPOSAL");
        else if (row->state == GRANT_ACTIVE || row->state == GRANT_SUSPENDED)
                grant_close(t, object, row, GRANT_ENDED, NOTICE_GRANT);
}

static const enum clock clocks[] = { CLOCK_GRANT_PERIOD, CLOCK_DISPOSE };

const struct machine machine_grant = {
        .name = "SM-GRANT",
        .load = grant_load,
        .store = grant_store,
        .rules = rules,
        .rules_n = ELEMENTS(rules),
        .expire = expire,
        .clocks = clocks,
        .clocks_n = ELEMENTS(clocks),
};
