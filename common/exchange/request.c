/* request: an application for conditional data, from SUBMIT to PROVIDED (SM-REQ 2, 6-10, 15, 17).
 *
 * The clocks are the point: every row that starts one says from when, and a decider who stays silent loses the decision to
 * the authority where the profile says so (ZS 22(2)).  Who may sign is decision_check()'s, the same for apply and agents. */
#include "common/exchange/request.h"

#include "common/exchange/catalog.h"
#include "common/exchange/catalog_rules.h"
#include "common/exchange/grant.h"
#include "common/exchange/guards.h"
#include "common/exchange/reply.h"
#include "common/exchange/signers.h"
#include "common/macro.h"

struct application {
        struct rows rows;
        struct bytes id;
        struct asked asked;                             /* SUBMIT */
        Shuyi__V1__RequestRow *row;
        Shuyi__V1__VersionRow *version;
        Shuyi__V1__MatterRow *matter;
        Shuyi__V1__GrantRow *grant;                     /* what a consent opens */
        struct reply reply;
};

/* ---- finding ---- */

static enum refusal load_submit(struct turn *t, struct application *a)
{
        enum refusal no = asked_load(&a->rows, t->policy, t->claim, t->now, &a->asked);

        if (no != ACCEPTED)
                return turn_refuse(t, no, a->asked.detail);
        a->id = arena_copy(t->arena, bytes_digest(&t->claim->header_digest));
        a->matter = rows_matter(&a->rows, bytes_of_field(a->asked.version->matter));
        if (!a->matter || a->matter->version != t->intent->resource_version)
                return turn_refuse(t, E_NOT_FOUND, "resource_version");
        if (rows_request(&a->rows, a->id))
                return turn_refuse(t, E_REPLAY, "request");     /* the same header under other signatures */
        return ACCEPTED;
}

static bool is_party(const struct turn *t, const Shuyi__V1__RequestRow *row)
{
        const char *actor = signers_department(t);

        return strcmp(actor, row->consumer) == 0 || strcmp(actor, row->provider) == 0 || strcmp(actor, t->meta->authority) == 0;
}

static enum refusal load_existing(struct turn *t, struct application *a)
{
        const char *whose;

        a->id = bytes_of_field(t->intent->request);
        a->row = a->id.n == DIGEST_BYTES ? rows_request(&a->rows, a->id) : NULL;
        if (!a->row || !is_party(t, a->row))
                return turn_refuse(t, E_NOT_FOUND, "request");
        whose = t->intent->kind == KIND_WITHDRAW ? a->row->consumer : decision_department(t->policy, a->row, t->meta->authority);
        if (strcmp(signers_department(t), whose) != 0)
                return turn_refuse(t, E_ROLE, "department");
        a->version = rows_version(&a->rows, a->row->resource, a->row->version);
        if (!a->version)
                return turn_refuse(t, E_NOT_FOUND, "resource");
        a->reply = (struct reply){ t->arena, t->policy, a->version->entry, a->row, t->intent, (const Shuyi__V1__ReplyBody *)t->claim->open_body, "" };
        return ACCEPTED;
}

static enum refusal request_load(struct turn *t, void **ret_matter, unsigned *ret_state)
{
        struct application *a = turn_new_matter(t, sizeof(*a));
        enum refusal no;

        if (!a)
                return E_NOT_FOUND;
        a->rows = rows_of(t);
        no = t->intent->kind == KIND_REQ_SUBMIT ? load_submit(t, a) : load_existing(t, a);
        if (no != ACCEPTED)
                return no;
        *ret_matter = a;
        *ret_state = a->row ? a->row->state : 0;
        return ACCEPTED;
}

/* Only a new application is kept from a frozen entry: a decider must be able to keep its deadline. */
static enum refusal request_frozen(struct turn *t, void *matter)
{
        const struct application *a = matter;

        return a->matter && a->matter->frozen ? turn_refuse(t, E_FROZEN, t->intent->resource) : ACCEPTED;
}

static void put_request(struct turn *t, struct bytes id, Shuyi__V1__RequestRow *row)
{
        turn_put_row(t, TURN_KEY(t, TABLE_REQUEST, id), &row->base);
}

static void request_store(struct turn *t, void *matter, unsigned state)
{
        struct application *a = matter;

        if (!a->row)
                return;                         /* the arena was full: the turn's fault says so */
        a->row->state = state;
        put_request(t, a->id, a->row);
}

/* ---- guards ---- */

#define GUARD_DEFINITION(name) \
        static enum refusal guard_##name(struct turn *t, void *matter) \
        { \
                struct application *a = matter; \
                enum refusal no = asked_##name(&a->asked); \
                return no == ACCEPTED ? no : turn_refuse(t, no, a->asked.detail); \
        }
ASKED_REQUEST_GUARDS(GUARD_DEFINITION)

static enum refusal guard_in_reply_to(struct turn *t, void *matter)
{
        const struct application *a = matter;
        struct bytes answered = bytes_of_field(t->intent->in_reply_to);

        return answered.n == 0 || bytes_equal(answered, a->id) ? ACCEPTED : turn_refuse(t, G_FIELD, "in_reply_to");
}

/* Handler, approver, applicants: apart. */
static enum refusal guard_persons(struct turn *t, void *matter)
{
        struct application *a = matter;
        enum refusal no = decision_check_persons(&a->rows, t->policy, a->row, t->claim, t->now);

        return no == ACCEPTED ? no : turn_refuse(t, no, no == G_SEPARATION ? "decider" : "");
}

static enum refusal guard_items_decided(struct turn *t, void *matter)
{
        const struct application *a = matter;

        return decision_items_fit(a->row, t->claim) ? ACCEPTED : turn_refuse(t, G_ITEMS, "items");
}

/* What everybody may have is not refused, wholly or in part (NA 21). */
static enum refusal guard_not_unconditional(struct turn *t, void *matter)
{
        const struct application *a = matter;
        const Shuyi__V1__Entry *e = a->version->entry;
        bool conditional = e->share_type != SHARE_UNCONDITIONAL;

        for (size_t i = 0; i < a->row->n_items && !conditional; i++) {
                const Shuyi__V1__Item *item = entry_find_item(e, a->row->items[i]);

                conditional = item && entry_item_type(e, item) != SHARE_UNCONDITIONAL;
        }
        return conditional ? ACCEPTED : turn_refuse(t, G_TYPE, "UNCONDITIONAL");
}

#define REPLY_GUARD(name) \
        static enum refusal guard_reply_##name(struct turn *t, void *matter) \
        { \
                struct application *a = matter; \
                enum refusal no = reply_check_##name(&a->reply); \
                return no == ACCEPTED ? no : turn_refuse(t, no, a->reply.detail); \
        }
REPLY_GUARD(items)
REPLY_GUARD(reasons)
REPLY_GUARD(basis)

static enum refusal guard_withdraw_reason(struct turn *t, void *matter)
{
        const Shuyi__V1__ReasonBody *body = (const Shuyi__V1__ReasonBody *)t->claim->open_body;
        bool ok = body && (body->reason == REASON_PURPOSE_REACHED || body->reason == REASON_IMPOSSIBLE || body->reason == REASON_NOT_NEEDED);

        return ok ? ACCEPTED : turn_refuse(t, G_REASON, "reason");
}

/* ---- effects ---- */

static void index_for(struct turn *t, const char *department, struct bytes id)
{
        turn_put(t, TURN_KEY(t, TABLE_DEPT_REQUEST, bytes_str(department), turn_u64(t, t->entry->seq)), id);
}

static void submit(struct turn *t, void *matter)
{
        struct application *a = matter;
        enum policy_key wd = a->asked.type == SHARE_UNCONDITIONAL ? POLICY_uncond_reply_wd : POLICY_reply_wd;

        a->row = asked_request_row(&a->asked);
        if (!a->row)
                return;
        a->row->submit_seq = t->entry->seq;
        a->row->policy_digest = field_of_bytes(bytes_digest(&t->policy_digest));
        index_for(t, a->row->consumer, a->id);
        index_for(t, a->row->provider, a->id);
        turn_clock_start(t, CLOCK_REPLY, a->id, t->now, policy_number(t->policy, wd));
        TELL(t, NOTICE_REQ_TASK, a->row->provider, decision_department(t->policy, a->row, t->meta->authority));
        TELL(t, NOTICE_REQ_RECEIPT, a->row->consumer);
}

static void replied(struct turn *t, struct application *a)
{
        a->row->replied_at = t->now.ms;
        turn_clock_stop(t, CLOCK_REPLY, a->id);
        TELL(t, NOTICE_REQ_RESULT, a->row->consumer, a->row->provider, t->meta->authority);
}

static void keep_refused_items(struct turn *t, struct application *a)
{
        size_t n = a->reply.body->n_refused;
        Shuyi__V1__RefusedItem *rows = turn_new_matter(t, (n + 1) * sizeof(*rows));
        Shuyi__V1__RefusedItem **list = turn_new_matter(t, (n + 1) * sizeof(*list));

        if (!rows || !list)
                return;
        for (size_t i = 0; i < n; i++) {
                shuyi__v1__refused_item__init(&rows[i]);
                rows[i].item_no = a->reply.body->refused[i]->item_no;
                rows[i].reason = a->reply.body->refused[i]->reason;
                list[i] = &rows[i];
        }
        a->row->n_refused = n;
        a->row->refused = list;
}

static bool says_secret(const struct application *a)
{
        bool secret = a->reply.intent->kind == KIND_REFUSE && a->reply.body->reason == R_SECRET;

        for (size_t i = 0; i < a->reply.body->n_refused; i++)
                secret |= a->reply.body->refused[i]->reason == R_SECRET;
        return secret;
}

/* A state secret in a published entry: nothing of it moves until the authority has looked (6.2, R_SECRET). */
static void freeze_if_secret(struct turn *t, struct application *a)
{
        struct bytes id = bytes_of_field(a->version->matter);
        Shuyi__V1__MatterRow *m = says_secret(a) ? rows_matter(&a->rows, id) : NULL;

        if (m && !m->frozen)
                catalog_set_frozen(t, id, m, true);
}

static void consent(struct turn *t, void *matter)
{
        struct application *a = matter;

        a->grant = grant_derive(&a->rows, a->row, a->version, a->id, t->claim, t->now);
        if (!a->grant)
                return;
        a->row->grant = a->grant->opening;
        keep_refused_items(t, a);
        replied(t, a);
        turn_clock_start(t, CLOCK_PROVIDE, a->id, t->now, policy_number(t->policy, POLICY_provide_wd));
        grant_open(t, a->grant);
        freeze_if_secret(t, a);
}

static void refuse(struct turn *t, void *matter)
{
        struct application *a = matter;

        a->row->reason = a->reply.body->reason;
        replied(t, a);
        freeze_if_secret(t, a);
}

static void withdraw(struct turn *t, void *matter)
{
        struct application *a = matter;
        struct bytes grant = bytes_of_field(a->row->grant);
        Shuyi__V1__GrantRow *row = grant.n ? rows_grant(&a->rows, grant) : NULL;

        turn_clock_stop(t, CLOCK_REPLY, a->id);
        turn_clock_stop(t, CLOCK_PROVIDE, a->id);
        if (row && (row->state == GRANT_ACTIVE || row->state == GRANT_SUSPENDED))
                grant_close(t, grant, row, GRANT_ENDED, NOTICE_GRANT);
        TELL(t, NOTICE_REQ_RESULT, a->row->provider, decision_department(t->policy, a->row, t->meta->authority));
}

#define GUARD_NAME(name) guard_##name,

static const struct rule rules[] = {
        { IN_NONE, KIND_REQ_SUBMIT, BY_USER_APPROVER, { ASKED_REQUEST_GUARDS(GUARD_NAME) }, REQ_SUBMITTED, submit, "SM-REQ 2", "ZS 22(2)" },
        { IN(REQ_SUBMITTED), KIND_REQ_ASK_SUPPLEMENT, BY_DECIDER, { NULL }, 0, NULL, "SM-REQ 3", "NA 21", true },
        { IN(REQ_SUPPLEMENT), KIND_REQ_SUPPLY, BY_USER_APPROVER, { NULL }, 0, NULL, "SM-REQ 4", "NA 21", true },
        { IN(REQ_SUBMITTED), KIND_REQ_EXTEND, BY_DECIDER, { NULL }, 0, NULL, "SM-REQ 5", "NA 21", true },
        { IN(REQ_SUBMITTED), KIND_CONSENT, BY_DECIDER, { guard_persons, guard_in_reply_to, guard_items_decided, guard_reply_items },
          REQ_CONSENTED, consent, "SM-REQ 6", "ZS 22(2)" },
        { IN(REQ_SUBMITTED), KIND_CONSENT_PART, BY_DECIDER,
          { guard_persons, guard_in_reply_to, guard_not_unconditional, guard_items_decided, guard_reply_items, guard_reply_reasons, guard_reply_basis },
          REQ_CONSENTED, consent, "SM-REQ 7", "ZS 22(2), 19(3)" },
        { IN(REQ_SUBMITTED), KIND_REFUSE, BY_DECIDER,
          { guard_persons, guard_in_reply_to, guard_not_unconditional, guard_items_decided, guard_reply_items, guard_reply_reasons, guard_reply_basis },
          REQ_REFUSED, refuse, "SM-REQ 8", "ZS 20(4), 22(2)" },
        { IN(REQ_SILENT), KIND_AUTH_PROVIDE, BY_TWO_AUTHORITY, { NULL }, 0, NULL, "SM-REQ 11", "ZS 22(2)", true },
        { IN(REQ_SILENT), KIND_LATE_CONSENT, BY_DECIDER, { NULL }, 0, NULL, "SM-REQ 12", "ZS 22(2)", true },
        { IN(REQ_SILENT), KIND_LATE_REFUSE, BY_DECIDER, { NULL }, 0, NULL, "SM-REQ 13", "ZS 22(2)", true },
        { IN(REQ_SUBMITTED) | IN(REQ_SUPPLEMENT) | IN(REQ_CONSENTED), KIND_WITHDRAW, BY_APPROVER, { guard_withdraw_reason },
          REQ_WITHDRAWN, withdraw, "SM-REQ 17", "ZS 19(3)" },
        { IN(REQ_REFUSED) | IN(REQ_DISPUTED), KIND_REQ_DISPUTE, BY_APPROVER, { NULL }, 0, NULL, "SM-REQ 18", "ZS 37", true },
};

/* ---- SYSTEM rows ---- */

void request_provided(struct turn *t, struct bytes request)
{
        struct rows rows = rows_of(t);
        Shuyi__V1__RequestRow *row = rows_request(&rows, request);

        if (!row || row->state != REQ_CONSENTED)
                return;
        row->state = REQ_PROVIDED;
        put_request(t, request, row);
        turn_clock_stop(t, CLOCK_PROVIDE, request);
        TELL(t, NOTICE_REQ_RESULT, row->consumer, t->meta->authority);
}

/* SM-REQ 9 and 10.  The time is due_end: the authority's five days count from the reply's due date, the day before. */
static void reply_overdue(struct turn *t, struct bytes id, Shuyi__V1__RequestRow *row)
{
        bool passes_on = policy_is(t->policy, POLICY_silence, "AUTHORITY_PROVIDES");
        const char *decider = decision_department(t->policy, row, t->meta->authority);

        if (row->state != REQ_SUBMITTED)
                return;
        row->overdue = true;
        if (passes_on)
                row->state = REQ_SILENT;
        put_request(t, id, row);
        turn_fact(t, CLOCK_REPLY, id, decider, "V_REPLY_LATE");
        if (passes_on)
                turn_clock_start(t, CLOCK_AUTH_PROVIDE, id, (struct wall_time){ t->now.ms - 1 }, policy_number(t->policy, POLICY_authority_provide_wd));
        TELL(t, NOTICE_OVERDUE, t->meta->authority, row->provider, row->consumer);
}

/* Rows 14 and 16 come with their reminders later: the fact is kept, and nothing else changes. */
static void expire(struct turn *t, enum clock clock, struct bytes object)
{
        struct rows rows = rows_of(t);
        Shuyi__V1__RequestRow *row = rows_request(&rows, object);

        if (!row)
                return;
        if (clock == CLOCK_REPLY)
                reply_overdue(t, object, row);
        else if (clock == CLOCK_AUTH_PROVIDE)
                turn_fact(t, clock, object, t->meta->authority, "V_AUTHORITY_LATE");
        else
                turn_fact(t, clock, object, row->provider, "V_PROVIDE_LATE");
}

static const enum clock clocks[] = { CLOCK_REPLY, CLOCK_AUTH_PROVIDE, CLOCK_PROVIDE };

const struct machine machine_request = {
        .name = "SM-REQ",
        .load = request_load,
        .frozen = request_frozen,
        .store = request_store,
        .rules = rules,
        .rules_n = ELEMENTS(rules),
        .expire = expire,
        .clocks = clocks,
        .clocks_n = ELEMENTS(clocks),
};
