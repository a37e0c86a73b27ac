/* observe: /metrics, /healthz, /readyz and the log's tree (observe_log.h) on loopback.  Health: the threads turn.  Readiness: named checks, all must hold. */
#include "broker/broker.h"
#include "broker/observe_log.h"
#include "common/http.h"
#include "common/macro.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define STALLED_NS 5000000000ull

struct observe { struct broker *broker; struct observe_log log; struct verify *verify; struct front *front; struct http_server *server; };

static bool threads_turn(struct broker *b)
{
        uint64_t now = times_mono().ns;

        for (unsigned i = 0; i < ELEMENTS(b->heartbeat); i++) {
                uint64_t last = atomic_load(&b->heartbeat[i]);

                if (last != 0 && now > last && now - last > STALLED_NS)
                        return false;
        }
        return true;
}

static bool check_started(struct broker *b) { return atomic_load(&b->ready); }
static bool check_not_draining(struct broker *b) { return !atomic_load(&b->draining); }
static bool check_clock(struct broker *b) { return !atomic_load(&b->clock_stopped); }
static bool check_space(struct broker *b) { return atomic_load(&b->space_step) < SPACE_NO_DATA; }

static const struct check { const char *name; bool (*holds)(struct broker *b); } checks[] = {
        { "started", check_started }, { "not_draining", check_not_draining }, { "clock", check_clock },
        { "space", check_space }, { "threads", threads_turn },
};

static void handle_ready(struct http_request *rq, struct http_reply *reply, void *ctx)
{
        struct observe *o = ctx;
        char text[512], *at = text, *end = text + sizeof(text);
        bool all = true;

        at += snprintf(at, (size_t)(end - at), "{\"checks\":{");
        for (unsigned i = 0; i < ELEMENTS(checks); i++) {
                bool holds = checks[i].holds(o->broker);

                all &= holds;
                at += snprintf(at, (size_t)(end - at), "%s\"%s\":%s", i ? "," : "", checks[i].name, holds ? "true" : "false");
        }
        snprintf(at, (size_t)(end - at), "},\"ready\":%s}\n", all ? "true" : "false");
        http_reply_text(reply, all ? 200 : 503, "application/json", text);
}

static void handle_health(struct http_request *rq, struct http_reply *reply, void *ctx)
{
        struct observe *o = ctx;
        bool well = threads_turn(o->broker);

        http_reply_text(reply, well ? 200 : 503, "text/plain", well ? "ok\n" : "a thread has not turned for five seconds\n");
}

static void count_witnessed(struct broker *b)
{
        uint64_t at = atomic_load(&b->witnessed_at), now = times_wall().ms;
        unsigned quorum = atomic_load(&b->witness_quorum);

        metrics_set(b->metrics, M_WITNESS_QUORUM, 0, quorum);
        metrics_set(b->metrics, M_PUBLISHED_AGE, 0, quorum > 0 && at > 0 && now > at ? (now - at) * 1000000ull : 0);
}

static void handle_metrics(struct http_request *rq, struct http_reply *reply, void *ctx)
{
        struct observe *o = ctx;
        struct link_counts c;
        size_t n;

        count_witnessed(o->broker);
        front_counts(o->front, &c);
        metrics_set_total(o->broker->metrics, M_ADMITTED, 0, c.admitted);
        metrics_set_total(o->broker->metrics, M_DENIED, 0, c.denied);
        metrics_set_total(o->broker->metrics, M_HANDSHAKE_FAILED, 0, c.handshake_failed);
        metrics_set(o->broker->metrics, M_DEPTH, Q_VERIFY, verify_depth(o->verify));
        reply->body = metrics_format(o->broker->metrics, &n);
        reply->body_len = n;
        reply->type = METRICS_CONTENT_TYPE;
        reply->status = reply->body ? 200 : 500;
}

static void handle_checkpoint(struct http_request *rq, struct http_reply *reply, void *ctx)
{
        observe_log_checkpoint(&((struct observe *)ctx)->log, reply);
}

static void handle_tile(struct http_request *rq, struct http_reply *reply, void *ctx)
{
        observe_log_tile(&((struct observe *)ctx)->log, http_path(rq), reply);
}

static const struct http_route routes[] = {
        { "GET", "/metrics", handle_metrics },
        { "GET", "/healthz", handle_health },
        { "GET", "/readyz", handle_ready },
        { "GET", "/checkpoint", handle_checkpoint },
        { "GET", "/tile/*", handle_tile },
};

int observe_start(struct broker *b, struct verify *v, struct front *f, struct observe **ret)
{
        struct observe *o = calloc(1, sizeof(*o));
        struct http_options options = { .listen = config_string(b->config, S_HTTP), .routes = routes, .route_count = ELEMENTS(routes), .ctx = o };
        int r;

        if (!o)
                return -ENOMEM;
        o->broker = b;
        o->verify = v;
        o->front = f;
        r = observe_log_init(&o->log, b);
        if (r == 0)
                r = http_start(&options, &o->server);
        if (r < 0) {
                observe_log_fini(&o->log);
                free(o);
                return r;
        }
        *ret = o;
        return 0;
}

unsigned observe_port(const struct observe *o)
{
        return http_port(o->server);
}

void observe_stop(struct observe *o)
{
        if (!o)
                return;
        http_stop(o->server);
        observe_log_fini(&o->log);
        free(o);
}
