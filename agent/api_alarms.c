/* api_alarms: the alarms that stand, with their evidence, and a person's word that one is dealt with. */
#include <errno.h>
#include <stdlib.h>

#include "agent/alarms.h"
#include "agent/api.h"
#include "agent/prover.h"
#include "common/macro.h"

static json_t *alarm_json(struct bytes key, const Shuyi__Agent__AlarmRow *row)
{
        return json_pack("{s:I, s:s, s:s, s:b, s:o, s:I, s:s, s:s, s:s, s:o, s:o}", "number", (json_int_t)get_be64(key.p + 1), "kind", alarm_name(row->kind), "text",
                         alarm_text(row->kind), "halts", alarm_halts(row->kind), "at", api_json_time(row->at), "about", (json_int_t)row->about, "detail",
                         row->detail, "held_note", row->held_note, "came_note", row->came_note, "receipt", api_json_base64(keep_bytes(row->receipt)),
                         "envelope", api_json_base64(keep_bytes(row->envelope)));
}

/* At most ALARMS_MAX and a few that halt: no pages. */
static json_t *list_alarms(struct state s, struct arena *a)
{
        struct agent_key prefix = agent_key(AGENT_ALARM), from = prefix;
        Shuyi__Agent__AlarmRow *row;
        json_t *list = json_array();
        struct bytes key, value;

        while (keep_next(s, &prefix, &from, &key, &value) > 0) {
                from = keep_after(key);
                if (key.n == 9 && keep_decode(a, value, &shuyi__agent__alarm_row__descriptor, &row) > 0)
                        json_array_append_new(list, alarm_json(key, row));
        }
        return json_pack("{s:o}", "alarms", list);
}

API_HANDLER(api_alarms)
{
        _cleanup_(store_snapshot_closep) struct store_snapshot *snapshot = NULL;
        _cleanup_(arena_freep) struct arena *a = arena_new(API_ARENA_BYTES);
        struct api *api = ctx;
        int r = a ? store_snapshot_open(api->ag->store, &snapshot) : -ENOMEM;

        (void)rq;
        if (r < 0)
                api_fault(reply, "alarms", r);
        else
                api_reply(reply, 200, list_alarms(store_snapshot_state(snapshot), a));
}

/* ---- DELETE /v1/alarms/{number} ---- */

struct dismiss_job { struct api_job api; uint64_t number; int gone; };

static int dismiss_run(struct agent *ag, struct arena *a, struct job *job)
{
        struct dismiss_job *j = (struct dismiss_job *)job;
        int r = prover_dismiss(ag->prover, a, j->number);

        j->gone = r > 0;
        return r < 0 ? r : 0;
}

static void dismiss_done(struct job *job, int result)
{
        struct dismiss_job *j = (struct dismiss_job *)job;
        struct http_reply reply = { 0 };

        if (result < 0)
                api_fault(&reply, "alarm", result);
        else if (!j->gone)
                api_refuse(&reply, 404, E_NOT_FOUND, "no such alarm");
        else
                api_reply(&reply, 200, json_pack("{s:I, s:s}", "number", (json_int_t)j->number, "state", "dismissed"));
        api_job_answer(&j->api, &reply);
}

API_HANDLER(api_alarm_delete)
{
        const char *text = http_param(rq, "number");
        struct api *api = ctx;
        struct dismiss_job *j;

        if (!text || !*text || strlen(text) > 18 || strspn(text, "0123456789") != strlen(text)) {
                api_problem(reply, 400, refusal_text(E_FORM)->code, "malformed identifier", "number");
                return;
        }
        j = (struct dismiss_job *)api_job_new(sizeof(*j));
        if (!j)
                return;
        j->number = strtoull(text, NULL, 10);
        j->api.job.run = dismiss_run;
        j->api.job.done = dismiss_done;
        api_hand_over(api, rq, reply, &j->api);
}
