/* api_push: records from business systems. */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "agent/api.h"
#include "agent/outbox.h"
#include "agent/push_json.h"
#include "agent/replica.h"
#include "common/failpoint.h"
#include "common/macro.h"
#include "common/record.h"

#define ERRORS_MAX 50
#define KEY_MAX 255
#define QUOTA_RETRY_S 5

struct push_job {
        struct api_job api;
        struct outbox_push push;
        struct digest idempotency;
        uint64_t quota;
        enum outbox_answer answer;
        struct id id;
};

/* What one push needs while it is read. */
struct reading {
        struct api *api;
        struct arena *arena, *one;              /* of the push; of one record */
        const Shuyi__V1__Entry *entry;
        uint64_t now;
        int32_t today;
        struct bytes *records;                  /* encrypted */
        uint32_t *record_bytes;
        struct id push;
        json_t *errors;
};

/* ---- one record ---- */

static void note_error(struct reading *r, size_t index, const char *why, uint32_t item)
{
        const Shuyi__V1__Item *i = item ? view_find_item(r->entry, item) : NULL;

        if (json_array_size(r->errors) < ERRORS_MAX)
                json_array_append_new(r->errors, json_pack("{s:I, s:s*, s:s}", "index", (json_int_t)index, "item", i ? i->name_en : NULL, "error", why));
}

static const char *read_record(struct reading *r, const struct push_record *pushed, uint32_t index, uint32_t *ret_item)
{
        const char *why = pushed->why;
        Shuyi__V1__Record *record;
        struct bytes packed;

        *ret_item = 0;
        if (why)
                return why;
        arena_reset(r->one);
        record = view_record(r->one, r->entry, &pushed->in, r->now, r->today, &why, ret_item);
        if (!record)
                return why;
        packed = message_pack(r->one, &record->base);
        if (!packed.p)
                return "memory";
        if (packed.n > RECORD_MAX_BYTES)
                return "size";
        r->record_bytes[index] = (uint32_t)packed.n;
        r->records[index] = vault_seal_in(r->api->ag->vault, r->arena, outbox_taken_what(r->one, &r->push, index), packed);
        return r->records[index].p ? NULL : "memory";
}

/* ---- the body ---- */

static bool read_records(struct reading *r, const struct push_list *list)
{
        for (size_t i = 0; i < list->n; i++) {
                uint32_t item = 0;
                const char *why = read_record(r, &list->records[i], (uint32_t)i, &item);

                if (why)
                        note_error(r, i, why, item);
        }
        return json_array_size(r->errors) == 0;
}

static void refuse_records(struct http_reply *reply, json_t *errors)
{
        const struct refusal_text *t = refusal_text(E_CONTENT);

        api_reply(reply, 422, json_pack("{s:s, s:s, s:i, s:s, s:s, s:O}", "type", "about:blank", "title", "records that do not fit their catalog entry", "status", 422,
                                        "code", t->code, "detail", "nothing was taken; correct the records named and push again", "errors", errors));
        reply->type = "application/problem+json";
}

/* The strings of the list are the arena's or those of *ret_body. */
static bool read_body(struct http_request *rq, struct http_reply *reply, struct arena *a, json_t **ret_body, struct push_list *ret)
{
        if (http_is_json(rq) && push_form(a, http_body(rq), ret))
                return true;
        arena_reset(a);
        *ret_body = api_body(rq, reply);
        if (!*ret_body)
                return false;
        if (push_json(a, *ret_body, ret))
                return true;
        if (arena_failed(a))
                api_fault(reply, "push", -ENOMEM);
        else
                api_problem(reply, 400, refusal_text(E_FORM)->code, "the body is not of the form", "{\"records\": [...]} with 1 to 10000 records and nothing else");
        return false;
}

/* ---- answering ---- */

static json_t *push_state(const struct id *id, uint32_t records, const char *state)
{
        return json_pack("{s:o, s:I, s:s}", "id", api_json_hex(bytes_id(id)), "records", (json_int_t)records, "state", state);
}

static void answer_taken(struct push_job *j, struct http_reply *reply)
{
        char id[2 * ID_BYTES + 1];

        hex_format(bytes_id(&j->id), id);
        snprintf(reply->location, sizeof(reply->location), "/v1/pushes/%s", id);
        api_reply(reply, 202, push_state(&j->id, j->push.n, "taken"));
}

static void push_done(struct job *job, int result)
{
        struct push_job *j = (struct push_job *)job;
        struct http_reply reply = { 0 };

        if (result >= 0 && j->answer == OUTBOX_TAKEN)
                FAILPOINT("outbox.after_taken");
        if (result < 0)
                api_fault(&reply, "push", result);
        else if (j->answer == OUTBOX_CONFLICT)
                api_problem(&reply, 422, refusal_text(E_REPLAY)->code, "this Idempotency-Key was used with another body", "use a new key for a new push");
        else if (j->answer == OUTBOX_FULL) {
                api_refuse(&reply, 429, E_QUOTA, "what waits for the center has reached the quota");
                reply.retry_after_s = QUOTA_RETRY_S;
        } else
                answer_taken(j, &reply);
        api_job_answer(&j->api, &reply);
}

/* What is left is for acts, receipts and what others send. */
static int look_for_room(struct agent *ag, bool *ret_short)
{
        struct store_room room;
        int r = store_room(ag->store, &room);

        *ret_short = r == 0 && room.map_bytes - room.used_bytes < room.map_bytes / 16;
        return r == 0 && room.disk_short ? -ENOSPC : 0;
}

static int push_run(struct agent *ag, struct arena *a, struct job *job)
{
        struct push_job *j = (struct push_job *)job;
        bool full;
        int r = look_for_room(ag, &full);

        if (r == 0)
                r = outbox_take(ag, a, &j->push, full ? 0 : j->quota, &j->answer, &j->id);

        if (r == 0 && j->answer == OUTBOX_TAKEN) {
                FAILPOINT("outbox.before_taken");
                metrics_add(ag->block, M_PUSHED, 0, j->push.n);
        }
        if (r == 0 && j->answer == OUTBOX_FULL)
                metrics_inc(ag->block, M_QUOTA, 0);
        return r;
}

/* ---- POST /v1/resources/{class}/{seq}/records ---- */

static bool find_entry(struct api *api, struct http_reply *reply, struct state s, struct arena *a, const char *resource, struct reading *r, uint32_t *ret_version)
{
        Shuyi__V1__VersionRow *version = NULL;
        int fault = 0;
        enum refusal refusal = replica_own_version(s, a, resource, &api->ag->self.agent, &version, ret_version, &fault);

        if (fault < 0)
                api_fault(reply, "entry", fault);
        else if (refusal == E_NOT_FOUND)
                api_refuse(reply, 404, refusal, "no such entry in force here");
        else if (refusal != ACCEPTED)
                api_refuse(reply, 403, refusal, "the entry names another agent to push it");
        else
                r->entry = version->entry;
        return refusal == ACCEPTED && fault == 0;
}

static bool take_key(struct http_request *rq, struct http_reply *reply, struct push_job *j)
{
        const char *key = http_header(rq, "Idempotency-Key");

        if (!key)
                return true;
        if (!*key || strlen(key) > KEY_MAX) {
                api_problem(reply, 400, refusal_text(E_FORM)->code, "malformed Idempotency-Key", "1 to 255 characters");
                return false;
        }
        j->idempotency = DIGEST_OF(CTX_STORAGE, bytes_str("push"), bytes_str(j->push.resource), bytes_of("", 1), bytes_str(key));
        j->push.idempotency = &j->idempotency;
        return true;
}

static void fill_push(struct push_job *j, const struct reading *r, struct http_request *rq, uint32_t n)
{
        j->push.id = r->push;
        j->push.taken_at = r->now;
        j->push.records = r->records;
        j->push.record_bytes = r->record_bytes;
        j->push.n = n;
        if (j->push.idempotency)
                j->push.request = digest_plain(http_body(rq));
        j->quota = (uint64_t)config_int(r->api->ag->config, S_QUOTA);
        j->api.job.run = push_run;
        j->api.job.done = push_done;
}

static bool read_push(struct api *api, struct http_request *rq, struct http_reply *reply, struct push_job *j, const struct push_list *list)
{
        _cleanup_(store_snapshot_closep) struct store_snapshot *snapshot = NULL;
        _cleanup_(arena_freep) struct arena *one = arena_new(API_ARENA_BYTES);
        struct reading r = { .api = api, .arena = j->api.arena, .one = one, .now = times_wall().ms, .errors = json_array() };
        uint8_t random[10];
        bool good = false;
        int e = one ? store_snapshot_open(api->ag->store, &snapshot) : -ENOMEM;

        if (e < 0) {
                api_fault(reply, "snapshot", e);
        } else if (take_key(rq, reply, j) &&
                   find_entry(api, reply, store_snapshot_state(snapshot), r.arena, j->push.resource, &r, &j->push.version)) {
                randombytes_buf(random, sizeof(random));
                uuid7_make(r.now, random, &r.push);
                r.today = times_shanghai_day((struct wall_time){ r.now });
                r.records = ARENA_ARRAY(r.arena, struct bytes, list->n);
                r.record_bytes = ARENA_ARRAY(r.arena, uint32_t, list->n);
                good = r.records && r.record_bytes && read_records(&r, list);
                if (!good)
                        refuse_records(reply, r.errors);
                else
                        fill_push(j, &r, rq, (uint32_t)list->n);
        }
        json_decref(r.errors);
        return good;
}

API_HANDLER(api_push)
{
        struct api *api = ctx;
        struct push_job *j = (struct push_job *)api_job_new(sizeof(*j));
        _cleanup_(arena_freep) struct arena *a = arena_new(API_ARENA_BYTES);
        struct push_list list;
        json_t *body = NULL;
        bool good = false;

        if (j && a && read_body(rq, reply, a, &body, &list)) {
                j->push.resource = arena_printf(j->api.arena, "%s/%s", http_param(rq, "class"), http_param(rq, "seq"));
                good = j->push.resource && read_push(api, rq, reply, j, &list);
        }
        json_decref(body);
        if (good) {
                api_hand_over(api, rq, reply, &j->api);
                return;
        }
        metrics_inc(api->block, M_PUSH_REFUSED, 0);
        api_job_free(j ? &j->api : NULL);
}

/* ---- GET /v1/pushes/{id} ---- */

/* How far the slowest live view is. */
static int progress(struct state s, struct arena *a, const Shuyi__Agent__PushRow *push, const char **ret)
{
        struct agent_key prefix = agent_key(AGENT_VIEW), from = prefix;
        uint64_t sealed = UINT64_MAX, settled = UINT64_MAX;
        Shuyi__Agent__ViewRow *v;
        struct bytes key, value;
        int r;

        while ((r = keep_next(s, &prefix, &from, &key, &value)) > 0) {
                from = keep_after(key);
                r = keep_decode(a, value, &shuyi__agent__view_row__descriptor, &v);
                if (r < 0)
                        return r;
                if (v->number != push->resource || v->ended)
                        continue;
                sealed = v->sealed_to < sealed ? v->sealed_to : sealed;
                settled = v->settled_to < settled ? v->settled_to : settled;
        }
        *ret = sealed == UINT64_MAX ? "taken" : settled >= push->last_take ? "received" : sealed >= push->last_take ? "sealed" : "taken";
        return r;
}

/* Was some of it refused for good?  1 and the letter, 0, or a fault.  Take numbers are those of the whole outbox. */
static int find_dead(struct state s, struct arena *a, const Shuyi__Agent__PushRow *push, Shuyi__Agent__DeadRow **ret)
{
        struct agent_key prefix = agent_key(AGENT_DEAD), from = prefix;
        struct bytes key, value;
        int r;

        while ((r = keep_next(s, &prefix, &from, &key, &value)) > 0) {
                from = keep_after(key);
                r = keep_decode(a, value, &shuyi__agent__dead_row__descriptor, ret);
                if (r < 0)
                        return r;
                if ((*ret)->first_take > 0 && (*ret)->first_take <= push->last_take && (*ret)->last_take >= push->first_take)
                        return 1;
        }
        return r;
}

static void reply_push(struct http_reply *reply, struct state s, struct arena *a, const struct id *id)
{
        struct agent_key k = agent_key_bytes(agent_key(AGENT_PUSH), bytes_id(id));
        Shuyi__Agent__PushRow *push;
        Shuyi__Agent__DeadRow *dead;
        const char *state = "taken";
        int r = keep_get(s, a, &k, &shuyi__agent__push_row__descriptor, &push), refused = 0;
        json_t *json;

        if (r == 0) {
                api_refuse(reply, 404, E_NOT_FOUND, "no such push, or it is too old");
                return;
        }
        if (r > 0)
                r = progress(s, a, push, &state);
        if (r >= 0)
                r = refused = find_dead(s, a, push, &dead);
        if (r < 0) {
                api_fault(reply, "push", r);
                return;
        }
        json = push_state(id, push->records, refused ? "refused" : state);
        if (refused) {
                json_object_set_new(json, "code", json_string(refusal_text(dead->code)->code));
                json_object_set_new(json, "detail", json_string(dead->detail ? dead->detail : ""));
        }
        json_object_set_new(json, "resource", json_string(push->code));
        json_object_set_new(json, "taken_at", api_json_time(push->taken_at));
        api_reply(reply, 200, json);
}

API_HANDLER(api_push_get)
{
        _cleanup_(store_snapshot_closep) struct store_snapshot *snapshot = NULL;
        _cleanup_(arena_freep) struct arena *a = arena_new(API_ARENA_BYTES);
        struct api *api = ctx;
        struct id id;
        int r;

        if (!api_hex_param(rq, reply, "id", id.b, sizeof(id.b)))
                return;
        r = a ? store_snapshot_open(api->ag->store, &snapshot) : -ENOMEM;
        if (r < 0)
                api_fault(reply, "snapshot", r);
        else
                reply_push(reply, store_snapshot_state(snapshot), a, &id);
}
