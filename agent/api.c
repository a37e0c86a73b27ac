/* api: servers, routes, and what all handlers share.  See api.h. */
#include "agent/api.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base64.h"
#include "common/log.h"
#include "common/macro.h"
#include "common/refusal.h"

const struct http_route api_routes[] = {
        { "POST", "/v1/resources/{class}/{seq}/records", api_push },
        { "GET", "/v1/pushes/{id}", api_push_get },
        { "POST", "/v1/acts", api_act_post },
        { "GET", "/v1/acts/{digest}", api_act_get },
        { "POST", "/v1/drafts", api_draft_post },
        { "GET", "/v1/drafts", api_draft_list },
        { "GET", "/v1/drafts/{digest}", api_draft_get },
        { "POST", "/v1/drafts/{digest}/signatures", api_draft_sign },
        { "DELETE", "/v1/drafts/{digest}", api_draft_delete },
        { "POST", "/v1/read", api_read },
        { "POST", "/v1/open", api_open },
        { "GET", "/v1/credentials", api_credentials },
        { "GET", "/v1/agents", api_agents },
        { "GET", "/v1/streams", api_streams },
        { "GET", "/v1/subscriptions", api_subscriptions },
        { "POST", "/v1/subscriptions/{grant}", api_subscribe },
        { "GET", "/v1/uses/{grant}", api_uses },
        { "GET", "/v1/mail", api_mail },
        { "GET", "/v1/status", api_status },
        { "GET", "/v1/alarms", api_alarms },
        { "DELETE", "/v1/alarms/{number}", api_alarm_delete },
        { "GET", "/metrics", api_metrics },
        { "GET", "/healthz", api_healthz },
        { "GET", "/readyz", api_readyz },
};
const unsigned api_routes_n = ELEMENTS(api_routes);

static const struct http_route metrics_routes[] = {
        { "GET", "/metrics", api_metrics },
        { "GET", "/healthz", api_healthz },
        { "GET", "/readyz", api_readyz },
};

/* ---- answers ---- */

void api_reply(struct http_reply *reply, unsigned status, json_t *json)
{
        char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

        json_decref(json);
        if (!text) {
                reply->status = 500;
                return;
        }
        reply->status = status;
        reply->body = text;
        reply->body_len = strlen(text);
}

void api_problem(struct http_reply *reply, unsigned status, const char *code, const char *title, const char *detail)
{
        http_reply_problem(reply, status, code, title, detail);
}

void api_refuse(struct http_reply *reply, unsigned status, enum refusal refusal, const char *detail)
{
        const struct refusal_text *t = refusal_text(refusal);

        api_reply(reply, status, json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:s}", "type", "about:blank", "title", t->english, "status", (int)status, "code", t->code,
                                           "refusal", t->code, "detail", detail ? detail : "", "todo", t->todo));
        reply->type = "application/problem+json";
}

void api_fault(struct http_reply *reply, const char *what, int fault)
{
        log_event(LOG_ERR, "api.fault", log_str("what", what), log_errno("fault", fault));
        if (fault == -ENOSPC) {
                http_reply_problem(reply, 507, NULL, "the agent's store is full", "records and acts taken before are safe; make room and try again");
                reply->retry_after_s = 10;
        } else if (fault == -ECANCELED) {
                http_reply_problem(reply, 503, NULL, "the agent is stopping", "try again");
                reply->retry_after_s = 5;
        } else {
                http_reply_problem(reply, 500, NULL, "a fault of the agent", "see its log");
        }
}

/* ---- reading requests ---- */

json_t *api_body(struct http_request *rq, struct http_reply *reply)
{
        struct bytes b = http_body(rq);
        json_error_t error;
        json_t *json;
        char text[300];

        if (!http_is_json(rq)) {
                http_reply_problem(reply, 415, refusal_text(E_FORM)->code, "only application/json is taken", "set Content-Type: application/json");
                return NULL;
        }
        json = json_loadb((const char *)b.p, b.n, JSON_REJECT_DUPLICATES, &error);
        if (json && json_is_object(json))
                return json;
        if (json)
                snprintf(text, sizeof(text), "the body must be an object");
        else
                snprintf(text, sizeof(text), "line %d, column %d: not JSON, or a member twice", error.line, error.column);
        json_decref(json);
        http_reply_problem(reply, 400, refusal_text(E_FORM)->code, "the body is not of the form", text);
        return NULL;
}

bool api_hex_param(struct http_request *rq, struct http_reply *reply, const char *name, void *ret, size_t n)
{
        const char *text = http_param(rq, name);

        if (text && strlen(text) == 2 * n && hex_parse(text, ret, n))
                return true;
        http_reply_problem(reply, 400, refusal_text(E_FORM)->code, "malformed identifier", name);
        return false;
}

bool api_base64(const json_t *body, const char *name, struct arena *a, struct http_reply *reply, struct bytes *ret)
{
        const char *text = json_string_value(json_object_get(body, name));
        size_t n = 0, room = text ? strlen(text) : 0;
        uint8_t *p = arena_alloc(a, room + 1);

        if (text && p && base64_decode(bytes_str(text), p, room, &n) && n > 0) {
                *ret = bytes_of(p, n);
                return true;
        }
        http_reply_problem(reply, 400, refusal_text(E_FORM)->code, "base64 expected", name);
        return false;
}

json_t *api_json_hex(struct bytes b)
{
        char *text = malloc(2 * b.n + 1);
        json_t *json;

        if (!text)
                return NULL;
        hex_format(b, text);
        json = json_string(text);
        free(text);
        return json;
}

json_t *api_json_base64(struct bytes b)
{
        char *text = malloc(BASE64_CHARS(b.n) + 1);
        json_t *json;

        if (!text)
                return NULL;
        base64_encode(b, text);
        json = json_string(text);
        free(text);
        return json;
}

json_t *api_json_time(uint64_t ms)
{
        char text[25];

        if (ms == 0)
                return json_null();
        times_format_utc((struct wall_time){ ms }, text);
        return json_string(text);
}

/* ---- jobs ---- */

struct api_job *api_job_new(size_t size)
{
        struct api_job *j = calloc(1, size);

        if (!j)
                return NULL;
        j->arena = arena_new(API_ARENA_BYTES);
        if (j->arena)
                return j;
        free(j);
        return NULL;
}

void api_job_free(struct api_job *j)
{
        if (!j)
                return;
        arena_free(j->arena);
        free(j);
}

void api_job_answer(struct api_job *j, struct http_reply *reply)
{
        http_answer(j->http, reply);
        api_job_free(j);
}

void api_busy(struct http_reply *reply)
{
        http_reply_problem(reply, 503, NULL, "too much is waiting already", "try again");
        reply->retry_after_s = 1;
}

void api_hand_over(struct api *api, struct http_request *rq, struct http_reply *reply, struct api_job *j)
{
        struct http_reply busy = { 0 };

        j->http = http_defer(rq);
        if (!j->http) {
                api_busy(reply);
                api_job_free(j);
                return;
        }
        if (agent_hand_over(api->ag, &j->job) == 0)
                return;
        api_busy(&busy);
        api_job_answer(j, &busy);
}

/* ---- start and stop ---- */

/* The kernel says who is at the other end. */
static bool authorize(struct http_request *rq, struct http_reply *reply, void *ctx)
{
        struct api *api = ctx;
        struct config *c = api->ag->config;
        unsigned n = config_list_count(c, S_SOCKET_USERS);
        uid_t uid;
        gid_t gid;
        pid_t pid;

        if (n == 0 || (http_peer(rq, &uid, &gid, &pid) && (uid == 0 || uid == geteuid())))
                return true;
        for (unsigned i = 0; i < n && http_peer(rq, &uid, &gid, &pid); i++)
                if (strtoul(config_list_at(c, S_SOCKET_USERS, i), NULL, 10) == uid)
                        return true;
        api_refuse(reply, 403, E_ROLE, "this user may not use the agent's socket");
        return false;
}

static int start_server(struct api *api)
{
        struct http_options o = {
                .listen = config_string(api->ag->config, S_SOCKET),
                .routes = api_routes,
                .route_count = api_routes_n,
                .ctx = api,
                .body_max_bytes = (size_t)config_int(api->ag->config, S_BODY),
                .connections = 128,
                .authorize = authorize,
                .group = config_int(api->ag->config, S_SOCKET_GROUP) > 0 ? (int)config_int(api->ag->config, S_SOCKET_GROUP) : -1,
        };
        int r = http_start(&o, &api->server);

        if (r < 0)
                log_event(LOG_ERR, "api.start", log_str("listen", o.listen), log_errno("fault", r));
        else
                log_event(LOG_NOTICE, "api.listening", log_str("listen", o.listen));
        return r;
}

static int start_metrics(struct api *api)
{
        const char *listen = config_string(api->ag->config, S_METRICS);
        struct http_options o = { .listen = listen, .routes = metrics_routes, .route_count = ELEMENTS(metrics_routes), .ctx = api, .group = -1 };
        int r;

        if (!*listen)
                return 0;
        r = http_start(&o, &api->metrics);
        if (r < 0)
                log_event(LOG_ERR, "api.metrics", log_str("listen", listen), log_errno("fault", r));
        return r;
}

int api_start(struct agent *ag, struct api **ret)
{
        struct api *api = calloc(1, sizeof(*api));
        int r;

        if (!api)
                return -ENOMEM;
        api->ag = ag;
        api->block = metrics_block_new(ag->metrics);
        r = api->block ? start_server(api) : -ENOMEM;
        if (r == 0)
                r = start_metrics(api);
        if (r < 0) {
                api_stop(api);
                return r;
        }
        *ret = api;
        return 0;
}

void api_stop(struct api *api)
{
        if (!api)
                return;
        http_stop(api->metrics);
        http_stop(api->server);
        free(api);
}
