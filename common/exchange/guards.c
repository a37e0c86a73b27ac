/* guards: what a GET and an application must hold, in the order of REGULATIONS 6.13. */
#include "common/exchange/guards.h"

#include "common/exchange/catalog_rules.h"
#include "common/exchange/scope.h"
#include "common/macro.h"

#include <stdio.h>

static enum refusal refuse(struct asked *q, enum refusal code, const char *detail)
{
        snprintf(q->detail, sizeof(q->detail), "%s", detail);
        return code;
}

static void need(struct asked *q, bool present, const char *field)
{
        size_t used = strlen(q->detail);

        if (!present && used + strlen(field) + 2 <= sizeof(q->detail))
                snprintf(q->detail + used, sizeof(q->detail) - used, "%s%s", used ? "," : "", field);
}

bool items_ordered(const uint32_t *items, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (items[i] == 0 || (i && items[i] <= items[i - 1]))
                        return false;
        return true;
}

bool items_subset(const uint32_t *items, size_t n, const uint32_t *of, size_t of_n)
{
        size_t k = 0;

        for (size_t i = 0; i < n; i++) {
                while (k < of_n && of[k] < items[i])
                        k++;
                if (k == of_n || of[k] != items[i])
                        return false;
        }
        return true;
}

bool items_equal(const uint32_t *a, size_t a_n, const uint32_t *b, size_t b_n)
{
        return a_n == b_n && (a_n == 0 || memcmp(a, b, a_n * sizeof(*a)) == 0);
}

/* ---- loading ---- */

/* The strictest type among the items; an entry that is not UNCONDITIONAL itself is at least CONDITIONAL. */
static enum share_type type_asked(const Shuyi__V1__Entry *e, const uint32_t *items, size_t n)
{
        enum share_type type = e->share_type == SHARE_UNCONDITIONAL ? SHARE_UNCONDITIONAL : SHARE_CONDITIONAL;

        for (size_t i = 0; i < n; i++) {
                const Shuyi__V1__Item *item = entry_find_item(e, items[i]);
                enum share_type own = item ? entry_item_type(e, item) : SHARE_UNCONDITIONAL;

                type = own > type ? own : type;
        }
        return type;
}

enum refusal asked_load(struct rows *rows, const struct policy *policy, const struct claim *claim, struct wall_time at, struct asked *ret)
{
        const Shuyi__V1__Intent *intent = claim->intent;

        *ret = (struct asked){ .rows = rows, .policy = policy, .claim = claim, .intent = intent, .at = at };
        ret->body = (const Shuyi__V1__RequestBody *)claim->open_body;
        ret->consumer = rows_department(rows, intent->from);
        ret->version = intent->resource[0] ? rows_version(rows, intent->resource, intent->resource_version) : NULL;
        if (!ret->version)
                return refuse(ret, E_NOT_FOUND, "resource");
        ret->type = type_asked(ret->version->entry, intent->items, intent->n_items);
        return ACCEPTED;
}

/* ---- who signed ---- */

static bool has_role(const Shuyi__V1__Subject *s, enum role role)
{
        for (size_t i = 0; i < s->n_roles; i++)
                if (s->roles[i] == (uint32_t)role)
                        return true;
        return false;
}

/* Replaced, revoked or suspended since is not against it: the person signed while it was in force, as apply saw at that entry. */
static bool status_stood(const Shuyi__V1__CredentialRow *row, struct wall_time at)
{
        return row->status == STATUS_ACTIVE || row->status == STATUS_SUSPENDED || row->revoked_at > at.ms;
}

enum refusal signer_stands(struct rows *rows, const struct signer *s, const char *department, struct wall_time at, struct id *ret_person)
{
        const Shuyi__V1__CredentialRow *row = rows_credential(rows, bytes_digest(&s->credential));
        const Shuyi__V1__Credential *c = row ? rows_open_credential(rows, row) : NULL;

        if (!c || !status_stood(row, at) || at.ms < c->not_before || at.ms >= c->not_after)
                return E_CRED;
        if (c->subject->kind != SUBJECT_PERSON || strcmp(c->subject->department, department) != 0 || !has_role(c->subject, s->capacity))
                return E_ROLE;
        return bytes_copy_exact(bytes_of_field(c->subject->id), ret_person->b, ID_BYTES) ? ACCEPTED : E_CRED;
}

enum refusal asked_signers(struct asked *q)
{
        enum role approver = policy_is(q->policy, POLICY_consumer_internal_approval, "SHARING_HEAD") ? ROLE_SHARING_HEAD : ROLE_APPROVER;
        const struct signer *s = q->claim->signers;
        enum refusal no;

        if (q->claim->signers_n != 2 || s[0].capacity != ROLE_USER || s[1].capacity != approver)
                return refuse(q, G_SIGNERS, approver == ROLE_APPROVER ? "USER,APPROVER" : "USER,SHARING_HEAD");
        no = signer_stands(q->rows, &s[0], q->intent->from, q->at, &q->user);
        if (no == ACCEPTED)
                no = signer_stands(q->rows, &s[1], q->intent->from, q->at, &q->approver);
        return no;
}

enum refusal asked_separation(struct asked *q)
{
        bool same = bytes_equal(bytes_id(&q->user), bytes_id(&q->approver));

        return same && !policy_is(q->policy, POLICY_self_approval, "ALLOWED") ? refuse(q, G_SEPARATION, "approver") : ACCEPTED;
}

/* ---- path and type ---- */

enum refusal asked_path_get(struct asked *q)
{
        return policy_is(q->policy, POLICY_uncond_mode, "DIRECT") ? ACCEPTED : refuse(q, G_PATH, "uncond_mode");
}

enum refusal asked_path_request(struct asked *q)
{
        if (q->type != SHARE_WITHHELD)
                return ACCEPTED;
        if (policy_is(q->policy, POLICY_withheld_path, "MASKED"))
                return refuse(q, E_NOT_YET, "withheld_path");
        return policy_is(q->policy, POLICY_withheld_path, "AUTHORITY_DECIDES") ? ACCEPTED : refuse(q, G_PATH, "withheld_path");
}

enum refusal asked_type_get(struct asked *q)
{
        bool fits = q->type == SHARE_UNCONDITIONAL && q->version->entry->share_type == SHARE_UNCONDITIONAL;

        return fits ? ACCEPTED : refuse(q, G_TYPE, word_name(LIST_share_type, q->type));
}

enum refusal asked_type_request(struct asked *q)
{
        bool fits = q->type != SHARE_UNCONDITIONAL || policy_is(q->policy, POLICY_uncond_mode, "REQUEST_REPLY");

        return fits ? ACCEPTED : refuse(q, G_TYPE, word_name(LIST_share_type, q->type));
}

/* ---- fields ---- */

static bool agent_fits(struct asked *q)
{
        return rows_agent_in_force(q->rows, q->intent->from, bytes_of_field(q->intent->agent), q->at);
}

static bool period_fits(const struct asked *q)
{
        const Shuyi__V1__Intent *i = q->intent;

        return i->period_to == 0 || (i->period_to > i->period_from && i->period_to > q->at.ms);
}

static bool asks(const struct asked *q, const char *field)
{
        return policy_has(q->policy, POLICY_request_fields, field);
}

/* Fields that only an application has, as the profile asks for them. */
static void need_request_fields(struct asked *q)
{
        const Shuyi__V1__RequestBody *b = q->body;

        need(q, !asks(q, "LEGAL_BASIS") || b->legal_basis[0], "legal_basis");
        need(q, !asks(q, "DUTY_BASIS") || b->duty_basis[0], "duty_basis");
        need(q, !asks(q, "NEED") || b->need[0], "need");
        need(q, !asks(q, "SCENE") || b->scene[0], "scene");
        need(q, !asks(q, "USE_SCOPE") || b->use_scope[0], "use_scope");
        need(q, !asks(q, "PERIOD") || q->intent->period_to, "period_to");
}

enum refusal asked_fields(struct asked *q)
{
        const Shuyi__V1__Intent *i = q->intent;

        q->detail[0] = 0;
        need(q, q->consumer, "from");
        need(q, q->body, "body");
        need(q, i->purpose[0] && strlen(i->purpose) <= PURPOSE_MAX_BYTES, "purpose");
        need(q, word_known(LIST_use_class, i->use_class), "use_class");
        need(q, i->n_items > 0 && i->n_items <= ASKED_ITEMS_MAX && items_ordered(i->items, i->n_items), "items");
        need(q, word_known(LIST_share_method, i->method), "method");
        need(q, i->medium != 0, "medium");
        need(q, agent_fits(q), "agent");
        need(q, period_fits(q), "period_to");
        if (q->claim->kind->number == KIND_REQ_SUBMIT && q->body)
                need_request_fields(q);
        return q->detail[0] ? G_FIELD : ACCEPTED;
}

/* ---- contents ---- */

enum refusal asked_items(struct asked *q)
{
        for (size_t i = 0; i < q->intent->n_items; i++)
                if (!entry_find_item(q->version->entry, q->intent->items[i])) {
                        snprintf(q->detail, sizeof(q->detail), "items[%u]", q->intent->items[i]);
                        return G_ITEMS;
                }
        return ACCEPTED;
}

enum refusal asked_method(struct asked *q)
{
        const Shuyi__V1__Entry *e = q->version->entry;
        bool offered = false;

        for (size_t i = 0; i < e->n_share_methods; i++)
                offered |= e->share_methods[i] == q->intent->method;
        if (!offered)
                return refuse(q, G_METHOD, word_name(LIST_share_method, q->intent->method));
        return q->intent->method == METHOD_DB_PUSH ? ACCEPTED : refuse(q, E_NOT_YET, "method");
}

enum refusal asked_medium(struct asked *q)
{
        return q->intent->medium == MEDIUM_NETWORK ? ACCEPTED : refuse(q, G_MEDIUM, "medium");
}

/* The scope stood the test of C-024 when the entry was published. */
enum refusal asked_scope(struct asked *q)
{
        const char *text = q->version->entry->share_scope;
        const struct scope *s = text[0] ? scope_parse(q->rows->arena, text, NULL) : NULL;

        if (!text[0])
                return ACCEPTED;
        return s && scope_allows(s, q->consumer->department, (enum use_class)q->intent->use_class, q->intent->items, q->intent->n_items)
                       ? ACCEPTED : refuse(q, G_SCOPE, "share_scope");
}

enum refusal asked_filter(struct asked *q)
{
        if (q->intent->filter_digest.len)
                return refuse(q, E_NOT_YET, "filter_digest");
        return q->intent->mask_version ? refuse(q, E_NOT_YET, "mask_version") : ACCEPTED;
}

#define GUARD_ENTRY(name) asked_##name,

enum refusal asked_check(struct asked *q, bool is_get)
{
        static enum refusal (*const of_get[])(struct asked *) = { ASKED_GET_GUARDS(GUARD_ENTRY) };
        static enum refusal (*const of_request[])(struct asked *) = { ASKED_REQUEST_GUARDS(GUARD_ENTRY) };
        enum refusal (*const *guards)(struct asked *) = is_get ? of_get : of_request;
        size_t n = is_get ? ELEMENTS(of_get) : ELEMENTS(of_request);
        enum refusal no = ACCEPTED;

        for (size_t i = 0; i < n && no == ACCEPTED; i++)
                no = guards[i](q);
        return no;
}

/* ---- what comes of it ---- */

Shuyi__V1__RequestRow *asked_request_row(struct asked *q)
{
        const Shuyi__V1__Intent *i = q->intent;
        Shuyi__V1__RequestRow *r = ARENA_NEW(q->rows->arena, Shuyi__V1__RequestRow);

        if (!r)
                return NULL;
        shuyi__v1__request_row__init(r);
        r->state = REQ_SUBMITTED;
        r->consumer = i->from;
        r->provider = q->version->entry->provider_code;
        r->resource = i->resource;
        r->version = i->resource_version;
        r->n_items = i->n_items;
        r->items = i->items;
        r->purpose = i->purpose;
        r->use_class = i->use_class;
        r->method = i->method;
        r->user = field_of_bytes(arena_copy(q->rows->arena, bytes_id(&q->user)));
        r->approver = field_of_bytes(arena_copy(q->rows->arena, bytes_id(&q->approver)));
        r->agent = i->agent;
        r->period_from = i->period_from;
        r->period_to = i->period_to;
        r->rate = i->rate;
        r->received_at = q->at.ms;
        r->filter_digest = i->filter_digest;
        r->user_credential = field_of_bytes(arena_copy(q->rows->arena, bytes_digest(&q->claim->signers[0].credential)));
        r->approver_credential = field_of_bytes(arena_copy(q->rows->arena, bytes_digest(&q->claim->signers[1].credential)));
        return r;
}
