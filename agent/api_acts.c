/* api_acts: acts that people hand in, and what became of them. */
#include <errno.h>

#include "agent/acts.h"
#include "agent/api.h"
#include "common/failpoint.h"
#include "common/macro.h"

struct act_job {
        struct api_job api;
        const struct claim *claim;
        int kept;                               /* 1 new, 0 known already */
};

static struct agent_key draft_key(const struct digest *d)
{
        return agent_key_bytes(agent_key(AGENT_DRAFT), bytes_digest(d));
}

/* A draft that is complete and handed in waits no longer. */
static int act_run(struct agent *ag, struct arena *a, struct job *job)
{
        struct act_job *j = (struct act_job *)job;
        struct agent_key k = draft_key(&j->claim->header_digest);
        int r = acts_keep(ag, a, j->claim, times_wall());

        if (r < 0)
                return r;
        j->kept = r;
        r = keep_del(ag->store, &k);
        return r < 0 ? r : 0;
}

static void act_done(struct job *job, int result)
{
        struct act_job *j = (struct act_job *)job;
        struct http_reply reply = { 0 };

        if (result >= 0)
                FAILPOINT("acts.after_taken");
        if (result < 0) {
                api_fault(&reply, "act", result);
        } else {
                char digest[2 * DIGEST_BYTES + 1];

                hex_format(bytes_digest(&j->claim->header_digest), digest);
                snprintf(reply.location, sizeof(reply.location), "/v1/acts/%s", digest);
                api_reply(&reply, 202, json_pack("{s:s, s:s, s:b}", "digest", digest, "state", "kept", "repeated", !j->kept));
        }
        api_job_answer(&j->api, &reply);
}

static unsigned status_of(enum refusal r)
{
        return r == E_FORM ? 400 : r == E_CRED || r == E_ROLE ? 403 : r == E_REPLAY ? 409 : 422;
}

/* What waits may be handed in again, to learn that it waits; what the center has answered is settled. */
static enum refusal check_repeat(struct state s, struct act_job *j, const char **ret_detail)
{
        Shuyi__Agent__ActRow *row;

        if (acts_find(s, j->api.arena, &j->claim->header_digest, &row) <= 0 || row->state != ACT_RECEIVED)
                return ACCEPTED;
        *ret_detail = arena_printf(j->api.arena, "seq %llu, %s", (unsigned long long)row->seq, refusal_text(row->code)->code);
        return E_REPLAY;
}

/* ?check=no hands in what would be refused here: the center decides, and its refusal is recorded. */
static bool check_act(struct api *api, struct http_request *rq, struct http_reply *reply, struct act_job *j, struct bytes wire)
{
        _cleanup_(store_snapshot_closep) struct store_snapshot *snapshot = NULL;
        const char *query = http_query(rq, "check"), *detail = "";
        enum refusal refusal;
        int r = store_snapshot_open(api->ag->store, &snapshot);

        if (r < 0) {
                api_fault(reply, "snapshot", r);
                return false;
        }
        if (query && strcmp(query, "no") == 0)
                refusal = envelope_parse(j->api.arena, wire, &j->claim);
        else
                refusal = acts_check(api->ag, store_snapshot_state(snapshot), j->api.arena, wire, times_wall(), &j->claim, &detail);
        if (refusal == ACCEPTED)
                refusal = check_repeat(store_snapshot_state(snapshot), j, &detail);
        if (refusal == ACCEPTED)
                return true;
        metrics_inc(api->block, M_ACTS_REFUSED, agent_refusal_index(refusal));
        api_refuse(reply, status_of(refusal), refusal, detail);
        return false;
}

API_HANDLER(api_act_post)
{
        struct api *api = ctx;
        struct act_job *j = (struct act_job *)api_job_new(sizeof(*j));
        json_t *body = j ? api_body(rq, reply) : NULL;
        struct bytes wire;
        bool good = body && api_base64(body, "envelope", j->api.arena, reply, &wire) && check_act(api, rq, reply, j, wire);

        json_decref(body);
        if (!good) {
                api_job_free(j ? &j->api : NULL);
                return;
        }
        j->api.job.run = act_run;
        j->api.job.done = act_done;
        api_hand_over(api, rq, reply, &j->api);
}

/* ---- GET /v1/acts/{digest} ---- */

static const char *state_now(struct api *api, const Shuyi__Agent__ActRow *row)
{
        if (row->state == ACT_KEPT && row->outbox_seq < agent_status_get(api->ag).acts_sent)
                return acts_state_text(ACT_SENT);
        return acts_state_text(row->state);
}

static json_t *act_json(struct api *api, const struct digest *d, const Shuyi__Agent__ActRow *row)
{
        const struct kind *kind = kind_find(row->kind);
        json_t *json = json_pack("{s:o, s:s, s:s, s:o}", "digest", api_json_hex(bytes_digest(d)), "state", state_now(api, row), "kind", kind ? kind->name : "",
                                 "kept_at", api_json_time(row->kept_at));

        if (!json || row->state != ACT_RECEIVED)
                return json;
        json_object_set_new(json, "seq", json_integer((json_int_t)row->seq));
        json_object_set_new(json, "accepted_at", json_integer((json_int_t)row->accepted_at));
        json_object_set_new(json, "code", json_integer(row->code));
        json_object_set_new(json, "refusal", json_string(refusal_text(row->code)->code));
        json_object_set_new(json, "detail", json_string(row->detail));
        json_object_set_new(json, "leaf_hash", api_json_hex(keep_bytes(row->leaf_hash)));
        if (row->code == ACCEPTED && *row->detail)
                json_object_set_new(json, "due", json_string(row->detail));
        return json;
}

API_HANDLER(api_act_get)
{
        _cleanup_(store_snapshot_closep) struct store_snapshot *snapshot = NULL;
        _cleanup_(arena_freep) struct arena *a = arena_new(API_ARENA_BYTES);
        struct api *api = ctx;
        Shuyi__Agent__ActRow *row;
        struct digest d;
        int r;

        if (!api_hex_param(rq, reply, "digest", d.b, sizeof(d.b)))
                return;
        r = a ? store_snapshot_open(api->ag->store, &snapshot) : -ENOMEM;
        if (r == 0)
                r = acts_find(store_snapshot_state(snapshot), a, &d, &row);
        if (r < 0)
                api_fault(reply, "act", r);
        else if (r == 0)
                api_refuse(reply, 404, E_NOT_FOUND, "no such act was handed in here");
        else
                api_reply(reply, 200, act_json(api, &d, row));
}
