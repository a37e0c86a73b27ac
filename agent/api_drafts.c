/* api_drafts: acts that wait for a second signature.
 *
 * A draft is an envelope under its header digest; whoever signs next fetches it, shows it from its own bytes, and gives it back
 * with one more signature.  The header cannot change under its name, and no signature can be taken away. */
#include <errno.h>

#include "agent/acts.h"
#include "agent/api.h"
#include "agent/replica.h"
#include "common/envelope.h"
#include "common/kind.h"
#include "common/macro.h"
#include "common/words.h"

struct draft_job {
        struct api_job api;
        struct digest digest;
        const struct claim *claim;              /* NULL: to be removed */
        bool must_exist;
        enum { DRAFT_KEPT, DRAFT_NONE, DRAFT_CONFLICT } answer;
};

static struct agent_key draft_key(const struct digest *d)
{
        return agent_key_bytes(agent_key(AGENT_DRAFT), bytes_digest(d));
}

/* All signatures that stand must stand again, in the same order. */
static bool extends(const struct claim *old, const struct claim *new)
{
        if (new->signers_n < old->signers_n)
                return false;
        for (unsigned i = 0; i < old->signers_n; i++)
                if (!digest_equal(&old->signers[i].credential, &new->signers[i].credential) || old->signers[i].capacity != new->signers[i].capacity ||
                    !bytes_equal(old->signers[i].signature, new->signers[i].signature))
                        return false;
        return true;
}

static int put_draft(struct agent *ag, struct arena *a, struct draft_job *j)
{
        struct agent_key k = draft_key(&j->digest);
        const struct claim *old;
        struct bytes value;
        int r = store_get(ag->store, STORE_STATE, agent_key_get(&k), &value);

        if (r < 0)
                return r;
        j->answer = r == 0 && j->must_exist ? DRAFT_NONE : DRAFT_KEPT;
        if (r > 0 && (envelope_parse(a, value, &old) != ACCEPTED || !extends(old, j->claim)))
                j->answer = DRAFT_CONFLICT;
        return j->answer == DRAFT_KEPT ? keep_put_bytes(ag->store, &k, j->claim->wire) : 0;
}

static int draft_run(struct agent *ag, struct arena *a, struct job *job)
{
        struct draft_job *j = (struct draft_job *)job;
        struct agent_key k = draft_key(&j->digest);
        int r;

        if (j->claim)
                return put_draft(ag, a, j);
        r = keep_del(ag->store, &k);
        j->answer = r > 0 ? DRAFT_KEPT : DRAFT_NONE;
        return r < 0 ? r : 0;
}

static json_t *signatures_json(const struct claim *c)
{
        json_t *list = json_array();

        for (unsigned i = 0; i < c->signers_n; i++) {
                const char *capacity = word_name(LIST_role, c->signers[i].capacity);

                json_array_append_new(list, json_pack("{s:o, s:s}", "credential", api_json_hex(bytes_digest(&c->signers[i].credential)), "capacity",
                                                      capacity ? capacity : ""));
        }
        return list;
}

static json_t *draft_json(const struct claim *c, bool whole)
{
        json_t *json = json_pack("{s:o, s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "digest", api_json_hex(bytes_digest(&c->header_digest)), "kind", c->kind->name, "from",
                                 c->intent->from, "to", c->intent->to, "resource", c->intent->resource, "created_at", api_json_time(c->intent->created_at),
                                 "expires_at", api_json_time(c->intent->expires_at), "signatures", signatures_json(c));

        if (json && whole)
                json_object_set_new(json, "envelope", api_json_base64(c->wire));
        return json;
}

static void draft_done(struct job *job, int result)
{
        struct draft_job *j = (struct draft_job *)job;
        struct http_reply reply = { 0 };

        if (result < 0)
                api_fault(&reply, "draft", result);
        else if (j->answer == DRAFT_NONE)
                api_refuse(&reply, 404, E_NOT_FOUND, "no such draft");
        else if (j->answer == DRAFT_CONFLICT)
                api_problem(&reply, 409, refusal_text(E_STATE)->code, "the draft carries signatures that this one lacks", "fetch it again and add yours");
        else if (!j->claim)
                api_reply(&reply, 200, json_pack("{s:o, s:s}", "digest", api_json_hex(bytes_digest(&j->digest)), "state", "removed"));
        else
                api_reply(&reply, j->must_exist ? 200 : 201, draft_json(j->claim, false));
        api_job_answer(&j->api, &reply);
}

/* A draft must carry good signatures, at least one: who drafts, signs. */
static bool verify(struct api *api, struct http_reply *reply, struct draft_job *j, struct bytes wire)
{
        _cleanup_(store_snapshot_closep) struct store_snapshot *snapshot = NULL;
        struct replica_keys keys = { .anchor = api->ag->self.anchor, .arena = j->api.arena };
        struct key_source source = replica_key_source(&keys);
        enum refusal refusal;
        int r = store_snapshot_open(api->ag->store, &snapshot);

        if (r < 0) {
                api_fault(reply, "snapshot", r);
                return false;
        }
        keys.state = store_snapshot_state(snapshot);
        refusal = envelope_verify(j->api.arena, wire, &source, &j->claim);
        if (refusal == ACCEPTED && j->claim->kind->class != KIND_CONTROL)
                refusal = E_FORM;
        if (refusal == E_FORM && acts_signed_twice(j->api.arena, wire))
                api_refuse(reply, 422, G_SEPARATION, "one credential signed twice");
        else if (refusal != ACCEPTED)
                api_refuse(reply, refusal == E_FORM ? 400 : 403, refusal, "draft");
        return refusal == ACCEPTED;
}

static void take(struct api *api, struct http_request *rq, struct http_reply *reply, bool must_exist)
{
        struct draft_job *j = (struct draft_job *)api_job_new(sizeof(*j));
        json_t *body = j ? api_body(rq, reply) : NULL;
        struct bytes wire;
        struct digest named;
        bool good = body && api_base64(body, "envelope", j->api.arena, reply, &wire) && verify(api, reply, j, wire);

        json_decref(body);
        if (good && must_exist) {
                good = api_hex_param(rq, reply, "digest", named.b, sizeof(named.b));
                if (good && !digest_equal(&named, &j->claim->header_digest)) {
                        api_problem(reply, 409, refusal_text(E_FORM)->code, "another act than the draft's", "the header digest differs");
                        good = false;
                }
        }
        if (!good) {
                api_job_free(j ? &j->api : NULL);
                return;
        }
        j->digest = j->claim->header_digest;
        j->must_exist = must_exist;
        j->api.job.run = draft_run;
        j->api.job.done = draft_done;
        api_hand_over(api, rq, reply, &j->api);
}

API_HANDLER(api_draft_post)
{
        take(ctx, rq, reply, false);
}

API_HANDLER(api_draft_sign)
{
        take(ctx, rq, reply, true);
}

API_HANDLER(api_draft_delete)
{
        struct api *api = ctx;
        struct draft_job *j;
        struct digest d;

        if (!api_hex_param(rq, reply, "digest", d.b, sizeof(d.b)))
                return;
        j = (struct draft_job *)api_job_new(sizeof(*j));
        if (!j)
                return;
        j->digest = d;
        j->api.job.run = draft_run;
        j->api.job.done = draft_done;
        api_hand_over(api, rq, reply, &j->api);
}

/* ---- reading ---- */

static json_t *list_drafts(struct state s, struct arena *a)
{
        struct agent_key prefix = agent_key(AGENT_DRAFT), from = prefix;
        json_t *list = json_array();
        const struct claim *c;
        struct bytes key, value;

        while (keep_next(s, &prefix, &from, &key, &value) > 0) {
                from = keep_after(key);
                if (envelope_parse(a, value, &c) == ACCEPTED)
                        json_array_append_new(list, draft_json(c, false));
        }
        return json_pack("{s:o}", "drafts", list);
}

API_HANDLER(api_draft_list)
{
        _cleanup_(store_snapshot_closep) struct store_snapshot *snapshot = NULL;
        _cleanup_(arena_freep) struct arena *a = arena_new(API_ARENA_BYTES);
        struct api *api = ctx;
        int r = a ? store_snapshot_open(api->ag->store, &snapshot) : -ENOMEM;

        if (r < 0)
                api_fault(reply, "drafts", r);
        else
                api_reply(reply, 200, list_drafts(store_snapshot_state(snapshot), a));
}

API_HANDLER(api_draft_get)
{
        _cleanup_(store_snapshot_closep) struct store_snapshot *snapshot = NULL;
        _cleanup_(arena_freep) struct arena *a = arena_new(API_ARENA_BYTES);
        struct api *api = ctx;
        const struct claim *c;
        struct agent_key k;
        struct bytes value;
        struct digest d;
        int r;

        if (!api_hex_param(rq, reply, "digest", d.b, sizeof(d.b)))
                return;
        k = draft_key(&d);
        r = a ? store_snapshot_open(api->ag->store, &snapshot) : -ENOMEM;
        if (r == 0)
                r = store_snapshot_get(snapshot, STORE_STATE, agent_key_get(&k), &value);
        if (r < 0)
                api_fault(reply, "draft", r);
        else if (r == 0 || envelope_parse(a, value, &c) != ACCEPTED)
                api_refuse(reply, 404, E_NOT_FOUND, "no such draft");
        else
                api_reply(reply, 200, draft_json(c, true));
}
