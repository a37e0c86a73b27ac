/* http: a small server for our own interfaces: metrics and health on loopback, an agent's API on a Unix socket.
 *
 * Routes are a table; a body is whole and bounded before a handler runs; errors are RFC 9457 problems.  Handlers run
 * on the server's thread (or in http_run) and must not wait: what takes time is put off (http_defer) and
 * answered later from any thread.  libmicrohttpd is met here alone. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "common/bytes.h"

struct http_server;
struct http_request;
struct http_deferred;

struct http_reply {
        unsigned status;                        /* 0 counts as 500 */
        const char *type;                       /* static text; NULL: application/json */
        const char *cache;                      /* Cache-Control, static text; NULL: no-store */
        char *body;                             /* malloc'ed, given away; may be NULL */
        size_t body_len;
        unsigned retry_after_s;                 /* 0: no such header */
        char location[160];                     /* "": no such header */
};

typedef void (*http_handler)(struct http_request *rq, struct http_reply *reply, void *ctx);

/* Path segments in braces match one segment each: "/v1/pushes/{id}", four at most; a star as the last segment all that follow. */
struct http_route { const char *method, *path; http_handler handle; };

struct http_options {
        const char *listen;                     /* "unix:/path" or "tcp://127.0.0.1:port" ("tcp://[::1]:port"; port 0: any) */
        const struct http_route *routes;        /* must outlive the server */
        unsigned route_count;
        void *ctx;                              /* for the handlers */
        size_t body_max_bytes;                  /* beyond: 413; 0: 1 MiB */
        unsigned connections, connections_per_ip;       /* 0: 64; 0: no such limit */
        unsigned timeout_s;                     /* of an idle connection; 0: 30 */
        const char *const *hosts;               /* allowed Host headers, NULL-ended; NULL: any (a Unix socket) */
        bool allow_remote;                      /* take an address that is not loopback */
        bool external;                          /* no thread: poll http_fd, call http_run */
        int group;                              /* of a Unix socket (mode 0660); -1: as it comes, 0: unset */
        bool (*authorize)(struct http_request *rq, struct http_reply *reply, void *ctx);        /* may be NULL; false: reply is sent */
};

/* -EADDRINUSE: somebody answers there (a socket file nobody answers on is replaced); -EINVAL; -EACCES. */
int http_start(const struct http_options *options, struct http_server **ret);   /* *ret is there before a handler runs */
void http_stop(struct http_server *s);          /* answers what was deferred with 503; NULL is fine */
int http_fd(struct http_server *s);             /* external only */
int http_run(struct http_server *s);            /* external only: returns the ms until it wants to run again, -1: no limit */
unsigned http_port(const struct http_server *s);        /* of a tcp server */
/* Requests by result, for metrics. */
struct http_counts { uint64_t requests, problems, too_large, connections; };
void http_counts(struct http_server *s, struct http_counts *ret);

/* Of a request; all borrowed until the handler returns. */
const char *http_method(const struct http_request *rq);
const char *http_path(const struct http_request *rq);
const char *http_param(const struct http_request *rq, const char *name);        /* "{id}" by "id"; NULL: the route has none */
const char *http_query(const struct http_request *rq, const char *name);        /* ?name=; NULL if absent */
const char *http_header(const struct http_request *rq, const char *name);
struct bytes http_body(const struct http_request *rq);
bool http_is_json(const struct http_request *rq);                               /* Content-Type: application/json */
/* The process at the other end of a Unix socket.  False on TCP. */
bool http_peer(const struct http_request *rq, uid_t *ret_uid, gid_t *ret_gid, pid_t *ret_pid);

/* The handler returns without an answer; it follows by http_answer, from any thread, exactly once.  NULL: too many wait
 * already, or the server is stopping: answer 503.  The request itself is the handler's only until it returns: copy. */
struct http_deferred *http_defer(struct http_request *rq);
void http_answer(struct http_deferred *d, struct http_reply *reply);            /* takes reply->body; d NULL: nobody waits */

/* A body of ours, copied; -ENOMEM leaves a bare 500. */
int http_reply_text(struct http_reply *reply, unsigned status, const char *type, const char *text);
/* RFC 9457: {"type","title","status","code","detail"}; `code` (may be NULL) is a refusal's. */
int http_reply_problem(struct http_reply *reply, unsigned status, const char *code, const char *title, const char *detail);
