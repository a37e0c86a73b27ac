/* api: HTTP/JSON for the department's systems and for `shuyi`, on a Unix socket (agent/openapi.yaml is its document).
 *
 * Handlers run on the server's thread: they read snapshots, check what came, and hand what must be kept to the writer as a
 * job, whose commit is awaited before the answer (http_defer).  Nothing a handler answers with 2xx is lost by a crash. */
#pragma once
#include <jansson.h>

#include "agent/agent.h"
#include "agent/keep.h"
#include "common/http.h"

struct api;

/* Both servers: the socket of api.listen and, where one is configured, the address of metrics.listen.  What is wrong is logged. */
int api_start(struct agent *ag, struct api **ret);
void api_stop(struct api *api);                 /* NULL is fine */

/* ---- for the files api_*.c ---- */

struct api {
        struct agent *ag;
        struct metrics_block *block;            /* of the API's thread */
        struct http_server *server, *metrics;
};

/* A request's own memory; bounded. */
#define API_ARENA_BYTES (128 * 1024 * 1024)

/* The body as a JSON object, the caller's to decref; NULL: a problem was put into `reply`. */
json_t *api_body(struct http_request *rq, struct http_reply *reply);
/* Takes `json`. */
void api_reply(struct http_reply *reply, unsigned status, json_t *json);
void api_problem(struct http_reply *reply, unsigned status, const char *code, const char *title, const char *detail);
/* A refusal's own words. */
void api_refuse(struct http_reply *reply, unsigned status, enum refusal refusal, const char *detail);
/* A fault: logged, 500 or 503. */
void api_fault(struct http_reply *reply, const char *what, int fault);
/* {name} of the path as exactly n bytes of hex; false: a problem was put into `reply`. */
bool api_hex_param(struct http_request *rq, struct http_reply *reply, const char *name, void *ret, size_t n);
/* Base64 member of a JSON object in `a`; false: a problem. */
bool api_base64(const json_t *body, const char *name, struct arena *a, struct http_reply *reply, struct bytes *ret);
json_t *api_json_hex(struct bytes b);
json_t *api_json_base64(struct bytes b);
json_t *api_json_time(uint64_t ms);             /* RFC 3339; null for 0 */

/* A job that is answered over HTTP: the common part. */
struct api_job {
        struct job job;
        struct http_deferred *http;
        struct arena *arena;
};
void api_busy(struct http_reply *reply);        /* 503: nobody can wait for more just now */
/* Hands it over, or answers 503 and frees it.  `rq` is deferred. */
void api_hand_over(struct api *api, struct http_request *rq, struct http_reply *reply, struct api_job *j);
struct api_job *api_job_new(size_t size);       /* zeroed, with an arena; NULL: no memory */
void api_job_free(struct api_job *j);
/* Answers and frees. */
void api_job_answer(struct api_job *j, struct http_reply *reply);

extern const struct http_route api_routes[];
extern const unsigned api_routes_n;

#define API_HANDLER(name) void name(struct http_request *rq, struct http_reply *reply, void *ctx)
API_HANDLER(api_push);
API_HANDLER(api_push_get);
API_HANDLER(api_act_post);
API_HANDLER(api_act_get);
API_HANDLER(api_draft_post);
API_HANDLER(api_draft_list);
API_HANDLER(api_draft_get);
API_HANDLER(api_draft_sign);
API_HANDLER(api_draft_delete);
API_HANDLER(api_read);
API_HANDLER(api_open);
API_HANDLER(api_credentials);
API_HANDLER(api_agents);
API_HANDLER(api_streams);
API_HANDLER(api_subscriptions);
API_HANDLER(api_subscribe);
API_HANDLER(api_uses);
API_HANDLER(api_mail);
API_HANDLER(api_status);
API_HANDLER(api_alarms);
API_HANDLER(api_alarm_delete);
API_HANDLER(api_metrics);
API_HANDLER(api_healthz);
API_HANDLER(api_readyz);
