/* api_status: how the agent is: status, streams, subscriptions, mail, who is who in its replica, metrics and health. */
#include <errno.h>
#include <stdlib.h>

#include "agent/acts.h"
#include "agent/api.h"
#include "agent/inbox.h"
#include "agent/link.h"
#include "agent/mail.h"
#include "agent/outbox.h"
#include "agent/replica.h"
#include "agent/tidy.h"
#include "common/macro.h"
#include "common/message_json.h"
#include "common/words.h"
#include "proto/audit.pb-c.h"

#define MAIL_PAGE 200
#define USES_PAGE 500

/* What a reading handler needs; closed by look_end. */
struct look { struct api *api; struct arena *arena; struct store_snapshot *snapshot; struct state state; };

static bool look_begin(struct look *l, struct api *api, struct http_reply *reply)
{
        int r;

        *l = (struct look){ .api = api, .arena = arena_new(API_ARENA_BYTES) };
        r = l->arena ? store_snapshot_open(api->ag->store, &l->snapshot) : -ENOMEM;
        if (r < 0) {
                api_fault(reply, "snapshot", r);
                return false;
        }
        l->state = store_snapshot_state(l->snapshot);
        return true;
}

static void look_end(struct look *l)
{
        store_snapshot_close(l->snapshot);
        arena_free(l->arena);
}

static const char *const link_names[] = { [AGENT_LINK_DOWN] = "down", [AGENT_LINK_CONNECTING] = "connecting", [AGENT_LINK_UP] = "up", [AGENT_LINK_DENIED] = "denied" };
static const char *const trust_names[] = { [FLOW_FRESH] = "fresh", [FLOW_STALE] = "stale", [FLOW_AHEAD] = "ahead", [FLOW_HALTED] = "halted" };

/* ---- GET /v1/status ---- */

static json_t *session_json(const struct agent_status *s)
{
        return json_pack("{s:s, s:s*, s:s*, s:I, s:I, s:I, s:I, s:o}", "refusal", refusal_text(s->link_code)->code, "todo",
                         s->link_code ? refusal_text(s->link_code)->todo : NULL, "why", s->link_why, "number", (json_int_t)s->session, "log_size",
                         (json_int_t)s->log_size, "acts_unsettled", (json_int_t)s->unsettled[0], "links_unsettled", (json_int_t)s->unsettled[1],
                         "connected_at", api_json_time(s->connected_at.ms));
}

static json_t *trust_json(struct look *l, const Shuyi__Agent__ReplicaRow *row)
{
        struct replica_terms terms = replica_terms(l->state, l->arena);
        uint64_t age = 0;
        enum flow_trust t = replica_trust(row, &terms, times_wall(), false, &age);

        return json_pack("{s:s, s:I, s:I, s:I, s:I, s:o, s:I}", "state", trust_names[t], "head_age_ms", (json_int_t)age, "max_age_ms", (json_int_t)terms.max_age_ms,
                         "trust_seq", (json_int_t)row->record_seq, "head_trust_seq", (json_int_t)row->trust_seq, "head_at", api_json_time(row->head_at),
                         "log_size", (json_int_t)row->log_size);
}

static json_t *outbox_json(const struct look *l, const Shuyi__Agent__OutboxRow *box)
{
        uint64_t dead = 0, drafts = 0;

        if (tidy_count(l->state, AGENT_DEAD, &dead) < 0 || tidy_count(l->state, AGENT_DRAFT, &drafts) < 0)
                return NULL;
        return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "dead_letters", (json_int_t)dead, "drafts", (json_int_t)drafts, "epoch", (json_int_t)box->epoch, "taken_records", (json_int_t)box->taken_records, "taken_bytes",
                         (json_int_t)box->taken_bytes, "sealed_bytes", (json_int_t)box->sealed_bytes);
}

static json_t *seen_json(const struct head *h)
{
        return h->size ? json_pack("{s:I, s:I, s:o}", "epoch", (json_int_t)h->epoch, "size", (json_int_t)h->size, "root", api_json_hex(bytes_digest(&h->root))) : json_null();
}

static uint64_t age_ms(struct wall_time t)
{
        uint64_t now = times_wall().ms;

        return t.ms && now > t.ms ? now - t.ms : 0;
}

static json_t *proof_json(const struct agent_proof *p, uint32_t quorum)
{
        return json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:b}", "verified", seen_json(&p->head), "verified_at", api_json_time(p->at.ms), "verified_age_ms",
                         (json_int_t)age_ms(p->at), "receipts_waiting", (json_int_t)p->waiting, "oldest_receipt_ms", (json_int_t)age_ms(p->oldest), "witness_quorum",
                         (json_int_t)quorum, "alarms", (json_int_t)p->alarms, "halted", p->halted);
}

static void reply_status(struct look *l, struct http_reply *reply)
{
        const struct identity *self = &l->api->ag->self;
        struct agent_status s = agent_status_get(l->api->ag);
        Shuyi__Agent__OutboxRow *box;
        Shuyi__Agent__ReplicaRow *row;
        int r = outbox_get(l->state, l->arena, &box);

        if (r == 0)
                r = replica_get(l->state, l->arena, &row);
        if (r < 0) {
                api_fault(reply, "status", r);
                return;
        }
        api_reply(reply, 200, json_pack("{s:s, s:s, s:o, s:o, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:b}", "domain", self->domain, "department", self->department, "agent",
                                        api_json_hex(bytes_id(&self->agent)), "credential", api_json_hex(bytes_digest(&self->credential)), "endpoint",
                                        self->endpoint, "software", "shuyi-agent/" SHUYI_VERSION, "link", link_names[s.link], "session",
                                        session_json(&s), "trust", trust_json(l, row), "proof",
                                        proof_json(&s.proof, self->anchor->witness_quorum), "outbox", outbox_json(l, box), "store_ok", s.store_fault == 0));
}

API_HANDLER(api_status)
{
        struct look l;

        if (look_begin(&l, ctx, reply))
                reply_status(&l, reply);
        look_end(&l);
}

/* ---- lists ---- */

/* Calls `print` for each row under `prefix`; a NULL answer leaves the row out. */
static void list_rows(struct look *l, struct http_reply *reply, const char *name, struct agent_key prefix, struct agent_key from, size_t max,
                      json_t *(*print)(struct look *l, struct bytes key, struct bytes value))
{
        json_t *list = json_array();
        struct bytes key, value;
        int r;

        while ((r = keep_next(l->state, &prefix, &from, &key, &value)) > 0 && json_array_size(list) < max) {
                json_t *row = print(l, key, value);

                from = keep_after(key);
                if (row)
                        json_array_append_new(list, row);
        }
        if (r < 0) {
                json_decref(list);
                api_fault(reply, name, r);
                return;
        }
        api_reply(reply, 200, json_pack("{s:o}", name, list));
}

static json_t *items_json(const uint32_t *items, size_t n)
{
        json_t *list = json_array();

        for (size_t i = 0; i < n; i++)
                json_array_append_new(list, json_integer(items[i]));
        return list;
}

/* What holds the stream's data back: what the center answered, or a freeze that the replica knows of. */
static const char *waits_for(struct look *l, const Shuyi__Agent__ViewRow *v)
{
        struct rows rows = { l->state, l->arena, 0 };
        Shuyi__V1__MatterRow *matter = NULL;
        struct digest id;

        if (v->wait_until > times_wall().ms)
                return refusal_text(v->wait_code)->code;
        if (rows_find_matter(&rows, v->resource, &id))
                matter = rows_matter(&rows, bytes_digest(&id));
        return matter && matter->frozen ? refusal_text(E_FROZEN)->code : "";
}

static json_t *stream_json(struct look *l, struct bytes key, struct bytes value)
{
        Shuyi__Agent__ViewRow *v;
        json_t *audience = json_array();

        if (keep_decode(l->arena, value, &shuyi__agent__view_row__descriptor, &v) <= 0)
                return audience;
        for (size_t i = 0; i < v->n_audience; i++)
                json_array_append_new(audience, api_json_hex(keep_bytes(v->audience[i])));
        return json_pack("{s:o, s:o, s:s, s:I, s:o, s:I, s:I, s:I, s:I, s:o, s:I, s:b, s:s, s:o}", "stream", api_json_hex(bytes_of(key.p + 1, key.n - 1)), "view",
                         api_json_hex(keep_bytes(v->view)), "resource", v->resource, "version", (json_int_t)v->version, "items", items_json(v->items, v->n_items),
                         "stream_seq", (json_int_t)v->head, "settled", (json_int_t)v->settled, "view_epoch", (json_int_t)v->view_epoch, "in_flight",
                         (json_int_t)v->inflight, "audience", audience, "sealed_to", (json_int_t)v->sealed_to, "ended", v->ended, "waits_for",
                         waits_for(l, v), "head_at", api_json_time(v->head_at));
}

API_HANDLER(api_streams)
{
        struct look l;

        if (look_begin(&l, ctx, reply))
                list_rows(&l, reply, "streams", agent_key(AGENT_VIEW), agent_key(AGENT_VIEW), SIZE_MAX, stream_json);
        look_end(&l);
}

static const char *subscription_state(const Shuyi__Agent__CursorRow *c, const Shuyi__V1__GrantRow *g)
{
        if (c->nack)
                return "STOPPED";
        if (g && g->state != GRANT_ACTIVE)
                return word_name(LIST_grant_state, g->state);
        return c->view_epoch ? "LIVE" : c->asked ? "KEY_WAIT" : "REQUESTED";
}

static json_t *subscription_json(struct look *l, struct bytes key, struct bytes value)
{
        struct rows rows = { l->state, l->arena, 0 };
        Shuyi__V1__GrantRow *g = rows_grant(&rows, bytes_of(key.p + 1, key.n - 1));
        Shuyi__Agent__CursorRow *c;
        const char *state;

        if (keep_decode(l->arena, value, &shuyi__agent__cursor_row__descriptor, &c) <= 0)
                return NULL;
        state = subscription_state(c, g);
        return json_pack("{s:o, s:s, s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:o, s:o}", "grant", api_json_hex(bytes_of(key.p + 1, key.n - 1)), "state",
                         state ? state : "", "stream", api_json_hex(keep_bytes(c->stream)), "resource", g ? g->resource : c->resource, "version",
                         (json_int_t)(g ? g->version : c->version), "cursor", (json_int_t)c->cursor, "opened", (json_int_t)c->opened, "receipted",
                         (json_int_t)c->receipted, "view_epoch", (json_int_t)c->view_epoch, "records", (json_int_t)c->records, "nack",
                         c->nack ? refusal_text(c->nack)->code : "", "nack_stream_seq", (json_int_t)c->nack_seq, "asked",
                         api_json_hex(keep_bytes(c->asked_digest)), "last_link_at", api_json_time(c->last_link_at));
}

API_HANDLER(api_subscriptions)
{
        struct look l;

        if (look_begin(&l, ctx, reply))
                list_rows(&l, reply, "subscriptions", agent_key(AGENT_CURSOR), agent_key(AGENT_CURSOR), SIZE_MAX, subscription_json);
        look_end(&l);
}

static json_t *use_json(struct look *l, struct bytes key, struct bytes value)
{
        const Shuyi__V1__AcquisitionRow *row = message_parse(l->arena, &shuyi__v1__acquisition_row__descriptor, value);

        return row ? message_json_print(&row->base) : NULL;
}

/* ?name= as a number; 0 where there is none.  False: a problem was put into `reply`. */
static bool query_number(struct http_request *rq, struct http_reply *reply, const char *name, uint64_t *ret)
{
        const char *text = http_query(rq, name);

        *ret = 0;
        if (!text)
                return true;
        if (*text && strlen(text) <= 18 && strspn(text, "0123456789") == strlen(text)) {
                *ret = strtoull(text, NULL, 10);
                return true;
        }
        api_problem(reply, 400, refusal_text(E_FORM)->code, "a number expected", name);
        return false;
}

/* The department's own record of uses under a grant (ZS 32), from ?after=stream_seq on, a page at a time. */
API_HANDLER(api_uses)
{
        const char *text = http_param(rq, "grant");
        struct agent_key prefix = agent_key(AGENT_USE);
        uint64_t after;
        uint8_t grant[DIGEST_BYTES];
        struct look l;

        if (!text || strlen(text) != 2 * DIGEST_BYTES || !hex_parse(text, grant, sizeof(grant))) {
                api_problem(reply, 400, refusal_text(E_FORM)->code, "malformed identifier", "grant: 64 hex digits");
                return;
        }
        if (!query_number(rq, reply, "after", &after))
                return;
        prefix = agent_key_bytes(prefix, bytes_of(grant, sizeof(grant)));
        if (look_begin(&l, ctx, reply))
                list_rows(&l, reply, "uses", prefix, agent_key_u64(prefix, after + 1), USES_PAGE, use_json);
        look_end(&l);
}

static json_t *mail_json(struct look *l, struct bytes key, struct bytes value)
{
        Shuyi__Agent__MailRow *m;
        const char *notice;

        if (key.n != 9 || keep_decode(l->arena, value, &shuyi__agent__mail_row__descriptor, &m) <= 0)
                return NULL;
        notice = word_name(LIST_notice, m->notice);
        return json_pack("{s:I, s:s, s:I, s:o, s:s, s:o}", "number", (json_int_t)get_be64(key.p + 1), "notice", notice ? notice : "", "seq", (json_int_t)m->seq,
                         "accepted_at", api_json_time(m->accepted_at), "refusal", refusal_text(m->code)->code, "envelope", api_json_base64(keep_bytes(m->envelope)));
}

API_HANDLER(api_mail)
{
        struct look l;
        uint64_t number;

        if (!query_number(rq, reply, "after", &number))
                return;
        if (look_begin(&l, ctx, reply))
                list_rows(&l, reply, "mail", agent_key(AGENT_MAIL), agent_key_u64(agent_key(AGENT_MAIL), number + 1), MAIL_PAGE, mail_json);
        look_end(&l);
}

/* ---- who is who ---- */

static json_t *roles_json(const Shuyi__V1__Subject *s)
{
        json_t *list = json_array();

        for (size_t i = 0; i < s->n_roles; i++) {
                const char *word = word_name(LIST_role, s->roles[i]);

                if (word)
                        json_array_append_new(list, json_string(word));
        }
        return list;
}

static void reply_credential(struct look *l, struct http_reply *reply, struct bytes sign_key)
{
        struct rows rows = { l->state, l->arena, 0 };
        struct digest id;
        Shuyi__V1__CredentialRow *row = NULL;
        Shuyi__V1__Credential *c = NULL;
        const char *status, *kind;

        if (rows_get_digest(&rows, TABLE_KEY, &sign_key, 1, &id))
                row = rows_credential(&rows, bytes_digest(&id));
        c = row ? rows_open_credential(&rows, row) : NULL;
        if (!c) {
                api_refuse(reply, 404, E_NOT_FOUND, "no credential with this key is known here");
                return;
        }
        status = word_name(LIST_trust_status, row->status);
        kind = word_name(LIST_subject_kind, c->subject->kind);
        api_reply(reply, 200, json_pack("{s:o, s:s, s:s, s:o, s:o, s:s, s:o, s:o}", "credential", api_json_hex(bytes_digest(&id)), "department", c->subject->department,
                                        "kind", kind ? kind : "", "subject", api_json_hex(keep_bytes(c->subject->id)), "roles", roles_json(c->subject), "status",
                                        status ? status : "", "not_before", api_json_time(c->not_before), "not_after", api_json_time(c->not_after)));
}

API_HANDLER(api_credentials)
{
        const char *text = http_query(rq, "sign_key");
        uint8_t key[32];
        struct look l;

        if (!text || strlen(text) != 64 || !hex_parse(text, key, sizeof(key))) {
                api_problem(reply, 400, refusal_text(E_FORM)->code, "malformed identifier", "sign_key: 64 hex digits");
                return;
        }
        if (look_begin(&l, ctx, reply))
                reply_credential(&l, reply, bytes_of(key, sizeof(key)));
        look_end(&l);
}

static json_t *agent_json(struct look *l, struct bytes key, struct bytes value)
{
        struct rows rows = { l->state, l->arena, 0 };
        Shuyi__V1__AgentRow *row;

        (void)value;
        if (key.n != 1 + 18 + ID_BYTES)
                return NULL;
        row = rows_agent(&rows, bytes_of(key.p + 1 + 18, ID_BYTES));
        if (!row)
                return NULL;
        return json_pack("{s:o, s:s, s:s, s:o, s:o, s:o, s:b}", "agent", api_json_hex(keep_bytes(row->agent_id)), "department", row->department, "label", row->label,
                         "credential", api_json_hex(keep_bytes(row->credential)), "seal_key", api_json_hex(keep_bytes(row->seal_key)), "seal_not_after",
                         api_json_time(row->seal_not_after), "revoked", row->revoked);
}

API_HANDLER(api_agents)
{
        const char *department = http_query(rq, "department");
        struct agent_key prefix = agent_key((enum agent_table)TABLE_DEPT_AGENT);
        struct look l;

        if (department && strlen(department) != 18) {
                api_problem(reply, 400, refusal_text(E_FORM)->code, "malformed identifier", "department: 18 characters");
                return;
        }
        if (department)
                prefix = agent_key_bytes(prefix, bytes_str(department));
        if (look_begin(&l, ctx, reply))
                list_rows(&l, reply, "agents", prefix, prefix, SIZE_MAX, agent_json);
        look_end(&l);
}

/* ---- POST /v1/subscriptions/{grant} ---- */

struct subscribe_job { struct api_job api; struct digest grant, act; };

static int subscribe_run(struct agent *ag, struct arena *a, struct job *job)
{
        struct subscribe_job *j = (struct subscribe_job *)job;

        return mail_subscribe_one(ag, a, &j->grant, times_wall(), &j->act);
}

static void subscribe_done(struct job *job, int result)
{
        struct subscribe_job *j = (struct subscribe_job *)job;
        struct http_reply reply = { 0 };

        if (result == -ENOENT)
                api_refuse(&reply, 404, E_NOT_FOUND, "no such grant is known here");
        else if (result == -EPERM)
                api_refuse(&reply, 403, E_ROLE, "the grant names another agent");
        else if (result < 0)
                api_fault(&reply, "subscribe", result);
        else
                api_reply(&reply, 202, json_pack("{s:o, s:s}", "digest", api_json_hex(bytes_digest(&j->act)), "state", "kept"));
        api_job_answer(&j->api, &reply);
}

API_HANDLER(api_subscribe)
{
        struct api *api = ctx;
        struct subscribe_job *j;
        struct digest grant;

        if (!api_hex_param(rq, reply, "grant", grant.b, sizeof(grant.b)))
                return;
        j = (struct subscribe_job *)api_job_new(sizeof(*j));
        if (!j)
                return;
        j->grant = grant;
        j->api.job.run = subscribe_run;
        j->api.job.done = subscribe_done;
        api_hand_over(api, rq, reply, &j->api);
}

/* ---- metrics and health ---- */

API_HANDLER(api_metrics)
{
        struct api *api = ctx;
        struct http_counts counts = { 0 };

        (void)rq;
        if (api->server)                        /* not yet, if somebody asks while it starts */
                http_counts(api->server, &counts);
        metrics_set_total(api->ag->metrics, M_HTTP, 0, counts.requests);
        metrics_set_total(api->ag->metrics, M_HTTP_PROBLEMS, 0, counts.problems);
        metrics_set_total(api->ag->metrics, M_HTTP_TOO_LARGE, 0, counts.too_large);
        reply->body = metrics_format(api->ag->metrics, &reply->body_len);
        reply->type = METRICS_CONTENT_TYPE;
        reply->status = reply->body ? 200 : 500;
}

API_HANDLER(api_healthz)
{
        struct api *api = ctx;
        struct agent_status s = agent_status_get(api->ag);

        (void)rq;
        http_reply_text(reply, s.store_fault ? 503 : 200, "text/plain; charset=utf-8", s.store_fault ? "store: cannot commit\n" : "ok\n");
}

/* Ready: what is pushed is kept.  That the link is up is said, not asked. */
API_HANDLER(api_readyz)
{
        struct api *api = ctx;
        struct agent_status s = agent_status_get(api->ag);
        char text[200];

        (void)rq;
        snprintf(text, sizeof(text), "store: %s\nlink: %s\n", s.store_fault ? "cannot commit" : "ok", link_names[s.link]);
        http_reply_text(reply, s.store_fault ? 503 : 200, "text/plain; charset=utf-8", text);
}
