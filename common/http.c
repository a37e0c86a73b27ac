/* http: libmicrohttpd, told to be small and strict, and a table of routes.
 *
 * A request is made at the first call for it and freed when the library says it is completed.  It is NEW until its handler
 * has run, DEFERRED while somebody else works on the answer, ANSWERED when there is one.  `lock` guards that state,
 * for answers come from any thread; it is static, as a late answer may come when its server is gone.
 *
 * The library bounds neither a body nor takes offence at Content-Length beside chunks: both is done here. */
#include "common/http.h"
#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "common/http_listen.h"
#include "common/macro.h"
#include "common/refusal.h"

#define BODY_MAX_DEFAULT (1u << 20)
#define CONNECTIONS_DEFAULT 64
#define TIMEOUT_DEFAULT_S 30
#define CONNECTION_MEMORY (16u << 10)
#define PARAMS_MAX 4
#define SWALLOW_TIMES 4                         /* of the body's maximum is read past it before the connection is cut */
#define STOP_WAIT_MS 500

enum request_state { NEW, DEFERRED, ANSWERED };

struct param { const char *name; size_t name_len; char *value; };

struct http_request {
        struct http_server *server;
        struct MHD_Connection *connection;
        char *method, *path;
        struct param params[PARAMS_MAX];
        unsigned param_count;
        uint8_t *body;
        size_t body_len, body_room, swallowed;
        bool too_large;
        enum request_state state;
        struct http_deferred *deferred;
        struct http_reply reply;
};

struct http_deferred { struct http_request *rq; };      /* NULL: the connection or the server is gone */

struct http_server {
        struct http_options o;
        struct MHD_Daemon *daemon;
        int listen_fd;
        unsigned port;
        char *unix_path;
        unsigned open_requests;                 /* under lock */
        bool stopping;                          /* under lock */
        struct http_request *deferred[256];     /* under lock: those somebody works on */
        unsigned deferred_count;
        atomic_ullong requests, problems, too_large, connections;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t completed = PTHREAD_COND_INITIALIZER;

/* -- Of a request. -- */

const char *http_method(const struct http_request *rq) { return rq->method; }
const char *http_path(const struct http_request *rq) { return rq->path; }
struct bytes http_body(const struct http_request *rq) { return bytes_of(rq->body, rq->body_len); }

const char *http_param(const struct http_request *rq, const char *name)
{
        for (unsigned i = 0; i < rq->param_count; i++)
                if (strlen(name) == rq->params[i].name_len && strncmp(name, rq->params[i].name, rq->params[i].name_len) == 0)
                        return rq->params[i].value;
        return NULL;
}

const char *http_query(const struct http_request *rq, const char *name)
{
        return MHD_lookup_connection_value(rq->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *http_header(const struct http_request *rq, const char *name)
{
        return MHD_lookup_connection_value(rq->connection, MHD_HEADER_KIND, name);
}

bool http_is_json(const struct http_request *rq)
{
        static const char json[] = "application/json";
        const char *type = http_header(rq, "Content-Type");

        return type && strncasecmp(type, json, sizeof(json) - 1) == 0 && strchr(" ;", type[sizeof(json) - 1]);
}

bool http_peer(const struct http_request *rq, uid_t *ret_uid, gid_t *ret_gid, pid_t *ret_pid)
{
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(rq->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        struct ucred peer;
        socklen_t len = sizeof(peer);

        if (!rq->server->unix_path || !info || getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
                return false;
        *ret_uid = peer.uid;
        *ret_gid = peer.gid;
        *ret_pid = peer.pid;
        return true;
}

/* -- Answering. -- */

/* Hands the reply to the library; takes its body.  `allow`: the methods of a 405, or NULL. */
static enum MHD_Result send_reply_allowing(struct http_request *rq, struct http_reply *reply, const char *allow)
{
        struct MHD_Response *response;
        unsigned status = reply->status ? reply->status : 500;
        char number[16];
        enum MHD_Result r;

        response = MHD_create_response_from_buffer(reply->body_len, reply->body, reply->body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
        if (!response) {
                free(TAKE(reply->body));
                return MHD_NO;
        }
        reply->body = NULL;
        if (status >= 400)
                rq->server->problems++;
        MHD_add_response_header(response, "Content-Type", reply->type ? reply->type : "application/json");
        MHD_add_response_header(response, "Cache-Control", reply->cache ? reply->cache : "no-store");
        MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
        if (reply->retry_after_s > 0) {
                snprintf(number, sizeof(number), "%u", reply->retry_after_s);
                MHD_add_response_header(response, "Retry-After", number);
        }
        if (reply->location[0])
                MHD_add_response_header(response, "Location", reply->location);
        if (allow)
                MHD_add_response_header(response, "Allow", allow);
        r = MHD_queue_response(rq->connection, status, response);
        MHD_destroy_response(response);
        return r;
}

static enum MHD_Result send_reply(struct http_request *rq, struct http_reply *reply)
{
        return send_reply_allowing(rq, reply, NULL);
}

/* What the server refuses by itself has a code like all refusals. */
static const char *code_of(unsigned status)
{
        return refusal_text(status == 404 ? E_NOT_FOUND : status == 403 ? E_ROLE : E_FORM)->code;
}

static enum MHD_Result send_problem(struct http_request *rq, unsigned status, const char *title, const char *detail)
{
        struct http_reply reply = {0};

        http_reply_problem(&reply, status, code_of(status), title, detail);
        return send_reply(rq, &reply);
}

/* -- Putting off. -- */

static void forget_deferred(struct http_server *s, struct http_request *rq)     /* under lock */
{
        for (unsigned i = 0; i < s->deferred_count; i++)
                if (s->deferred[i] == rq) {
                        s->deferred[i] = s->deferred[--s->deferred_count];
                        return;
                }
}

struct http_deferred *http_defer(struct http_request *rq)
{
        struct http_deferred *d = calloc(1, sizeof(*d));

        pthread_mutex_lock(&lock);
        if (d && (rq->server->stopping || rq->server->deferred_count == ELEMENTS(rq->server->deferred))) {
                free(d);
                d = NULL;
        }
        if (d) {
                d->rq = rq;
                rq->deferred = d;
                rq->state = DEFERRED;
                rq->server->deferred[rq->server->deferred_count++] = rq;
                MHD_suspend_connection(rq->connection);
        }
        pthread_mutex_unlock(&lock);
        return d;
}

/* Under lock: the request goes on with `reply`, whose body it takes. */
static void answer_deferred(struct http_request *rq, struct http_reply *reply)
{
        forget_deferred(rq->server, rq);
        rq->reply = *reply;
        rq->deferred = NULL;
        rq->state = ANSWERED;
        reply->body = NULL;
        MHD_resume_connection(rq->connection);
}

void http_answer(struct http_deferred *d, struct http_reply *reply)
{
        pthread_mutex_lock(&lock);
        if (d && d->rq)
                answer_deferred(d->rq, reply);
        pthread_mutex_unlock(&lock);
        free(TAKE(reply->body));
        free(d);
}

/* -- Routing. -- */

/* Does `path` match the route's?  Segments in braces are taken as parameters; a star at the end takes the rest. */
static bool match_path(struct http_request *rq, const char *pattern, const char *path)
{
        rq->param_count = 0;
        while (*pattern == '/' && *path == '/') {
                size_t want = strcspn(++pattern, "/"), have = strcspn(++path, "/");

                if (strcmp(pattern, "*") == 0)
                        return *path != '\0';
                if (want > 2 && pattern[0] == '{' && have > 0) {
                        assert(rq->param_count < PARAMS_MAX);
                        rq->params[rq->param_count++] = (struct param){ pattern + 1, want - 2, (char *)path };
                } else if (want != have || strncmp(pattern, path, want) != 0) {
                        return false;
                }
                pattern += want;
                path += have;
        }
        return *pattern == '\0' && *path == '\0';
}

/* Parameters point into the path until here: now each gets its own end. */
static bool own_params(struct http_request *rq)
{
        for (unsigned i = 0; i < rq->param_count; i++) {
                rq->params[i].value = strndup(rq->params[i].value, strcspn(rq->params[i].value, "/"));
                if (!rq->params[i].value) {
                        rq->param_count = i;
                        return false;
                }
        }
        return true;
}

#define ALLOW_BYTES 64

/* The route of the request; else NULL, and which methods would do. */
static const struct http_route *find_route(struct http_request *rq, char ret_allow[ALLOW_BYTES])
{
        const struct http_options *o = &rq->server->o;
        const char *method = strcmp(rq->method, "HEAD") == 0 ? "GET" : rq->method;
        size_t n = 0;

        ret_allow[0] = '\0';
        for (unsigned i = 0; i < o->route_count; i++) {
                if (!match_path(rq, o->routes[i].path, rq->path))
                        continue;
                if (strcmp(o->routes[i].method, method) == 0)
                        return &o->routes[i];
                if (n < ALLOW_BYTES)
                        n += (size_t)snprintf(ret_allow + n, ALLOW_BYTES - n, "%s%s", n ? ", " : "", o->routes[i].method);
        }
        rq->param_count = 0;
        return NULL;
}

static enum MHD_Result send_no_route(struct http_request *rq, const char *allow)
{
        struct http_reply reply = {0};

        if (!*allow)
                return send_problem(rq, 404, "Not Found", "no such path");
        http_reply_problem(&reply, 405, code_of(405), "Method Not Allowed", "the path has other methods: see Allow");
        return send_reply_allowing(rq, &reply, allow);
}

static enum MHD_Result dispatch(struct http_request *rq)
{
        const struct http_options *o = &rq->server->o;
        struct http_reply reply = {0};
        char allow[ALLOW_BYTES];
        const struct http_route *route = find_route(rq, allow);
        bool deferred;

        if (!route)
                return send_no_route(rq, allow);
        if (!own_params(rq))
                return MHD_NO;
        if (o->authorize && !o->authorize(rq, &reply, o->ctx))
                return send_reply(rq, &reply);
        route->handle(rq, &reply, o->ctx);
        pthread_mutex_lock(&lock);
        deferred = rq->state != NEW;            /* perhaps answered meanwhile: the library calls again */
        pthread_mutex_unlock(&lock);
        return deferred ? MHD_YES : send_reply(rq, &reply);
}

/* -- What the library calls. -- */

static bool host_allowed(struct http_request *rq)
{
        const char *host = http_header(rq, "Host");

        if (!rq->server->o.hosts)
                return true;
        for (const char *const *h = rq->server->o.hosts; host && *h; h++)
                if (strcasecmp(*h, host) == 0)
                        return true;
        return false;
}

/* What can be said before the body comes; MHD_YES and nothing queued: go on. */
static enum MHD_Result first_look(struct http_request *rq)
{
        const char *length = http_header(rq, "Content-Length"), *coding = http_header(rq, "Transfer-Encoding");

        if (length && coding)
                return send_problem(rq, 400, "Bad Request", "Content-Length beside Transfer-Encoding");
        if (!host_allowed(rq))
                return send_problem(rq, 403, "Forbidden", "this Host is not served here");
        if (length && strtoull(length, NULL, 10) > rq->server->o.body_max_bytes) {
                rq->server->too_large++;
                return send_problem(rq, 413, "Content Too Large", "the body is beyond the server's maximum");
        }
        return MHD_YES;
}

static enum MHD_Result begin_request(struct http_server *s, struct MHD_Connection *connection, const char *url, const char *method, void **ret)
{
        struct http_request *rq = calloc(1, sizeof(*rq));

        if (!rq)
                return MHD_NO;
        rq->server = s;
        rq->connection = connection;
        rq->path = strdup(url);
        rq->method = strdup(method);
        pthread_mutex_lock(&lock);
        s->open_requests++;
        pthread_mutex_unlock(&lock);
        *ret = rq;                              /* from here on_completed frees it */
        s->requests++;
        return rq->path && rq->method ? first_look(rq) : MHD_NO;
}

/* A body that passes its maximum is read a while longer, as no answer can be queued meanwhile, then cut. */
static enum MHD_Result take_upload(struct http_request *rq, const char *data, size_t n)
{
        size_t max = rq->server->o.body_max_bytes;

        if (rq->too_large || n > max - rq->body_len) {
                rq->too_large = true;
                rq->swallowed += n;
                return rq->swallowed <= SWALLOW_TIMES * max ? MHD_YES : MHD_NO;
        }
        if (n > rq->body_room - rq->body_len) {
                size_t room = rq->body_len + n > 2 * rq->body_room ? rq->body_len + n : 2 * rq->body_room;
                uint8_t *body = realloc(rq->body, room);

                if (!body)
                        return MHD_NO;
                rq->body = body;
                rq->body_room = room;
        }
        memcpy(rq->body + rq->body_len, data, n);
        rq->body_len += n;
        return MHD_YES;
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                 const char *upload, size_t *upload_bytes, void **con_cls)
{
        struct http_request *rq = *con_cls;
        struct http_reply reply = {0};
        bool answered;

        if (!rq)
                return begin_request(cls, connection, url, method, con_cls);
        if (*upload_bytes > 0) {
                enum MHD_Result r = take_upload(rq, upload, *upload_bytes);

                *upload_bytes = 0;
                return r;
        }
        pthread_mutex_lock(&lock);
        answered = rq->state == ANSWERED;
        if (answered) {
                reply = rq->reply;
                rq->reply.body = NULL;
        }
        pthread_mutex_unlock(&lock);
        if (answered)
                return send_reply(rq, &reply);
        if (rq->too_large) {
                rq->server->too_large++;
                return send_problem(rq, 413, "Content Too Large", "the body is beyond the server's maximum");
        }
        return dispatch(rq);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **con_cls, enum MHD_RequestTerminationCode code)
{
        struct http_request *rq = *con_cls;

        if (!rq)
                return;
        pthread_mutex_lock(&lock);
        if (rq->deferred) {                     /* whoever works on it finds nobody */
                rq->deferred->rq = NULL;
                forget_deferred(rq->server, rq);
        }
        rq->server->open_requests--;
        pthread_cond_broadcast(&completed);
        pthread_mutex_unlock(&lock);
        for (unsigned i = 0; i < rq->param_count; i++)
                free(rq->params[i].value);
        free(rq->reply.body);
        free(rq->body);
        free(rq->path);
        free(rq->method);
        free(rq);
        *con_cls = NULL;
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_ctx, enum MHD_ConnectionNotificationCode code)
{
        struct http_server *s = cls;

        if (code == MHD_CONNECTION_NOTIFY_STARTED)
                s->connections++;
}

/* -- The server. -- */

static int start_daemon(struct http_server *s)
{
        unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (s->o.external ? 0 : MHD_USE_INTERNAL_POLLING_THREAD);

        s->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_access, s,
                                     MHD_OPTION_LISTEN_SOCKET, s->listen_fd,
                                     MHD_OPTION_CONNECTION_LIMIT, s->o.connections,
                                     MHD_OPTION_PER_IP_CONNECTION_LIMIT, s->o.connections_per_ip,
                                     MHD_OPTION_CONNECTION_TIMEOUT, s->o.timeout_s,
                                     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
                                     MHD_OPTION_STRICT_FOR_CLIENT, 1,
                                     MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
                                     MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
                                     MHD_OPTION_END);
        return s->daemon ? 0 : -EIO;
}

int http_start(const struct http_options *options, struct http_server **ret)
{
        struct http_server *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->o = *options;
        s->o.body_max_bytes = s->o.body_max_bytes ? s->o.body_max_bytes : BODY_MAX_DEFAULT;
        s->o.connections = s->o.connections ? s->o.connections : CONNECTIONS_DEFAULT;
        s->o.timeout_s = s->o.timeout_s ? s->o.timeout_s : TIMEOUT_DEFAULT_S;
        s->listen_fd = http_listen(s->o.listen, s->o.group, s->o.allow_remote);
        r = s->listen_fd < 0 ? s->listen_fd : 0;
        if (r == 0) {
                s->port = http_listen_port(s->listen_fd);
                if (http_listen_is_unix(s->o.listen)) {
                        s->unix_path = strdup(http_listen_path(s->o.listen));
                        r = s->unix_path ? 0 : -ENOMEM;
                }
        }
        *ret = s;                               /* before there is a thread whose handlers may read it */
        if (r == 0)
                r = start_daemon(s);
        if (r < 0) {
                *ret = NULL;
                http_stop(s);
        }
        return r;
}

/* Everybody who waits is told 503, and gets a moment to hear it. */
static void answer_all(struct http_server *s)
{
        struct timespec until;

        pthread_mutex_lock(&lock);
        s->stopping = true;
        while (s->deferred_count > 0) {
                struct http_request *rq = s->deferred[0];
                struct http_reply reply = { .retry_after_s = 1 };

                http_reply_problem(&reply, 503, NULL, "Service Unavailable", "shutting down");
                rq->deferred->rq = NULL;
                answer_deferred(rq, &reply);
        }
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += STOP_WAIT_MS * 1000000l;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        while (s->open_requests > 0 && !s->o.external)
                if (pthread_cond_timedwait(&completed, &lock, &until) == ETIMEDOUT)
                        break;
        pthread_mutex_unlock(&lock);
        if (s->o.external)
                for (unsigned i = 0; i < 8; i++)
                        MHD_run(s->daemon);
}

void http_stop(struct http_server *s)
{
        if (!s)
                return;
        if (s->daemon) {
                if (MHD_quiesce_daemon(s->daemon) == MHD_INVALID_SOCKET)
                        s->listen_fd = -1;      /* then the library closes it */
                answer_all(s);
                MHD_stop_daemon(s->daemon);
        }
        if (s->listen_fd >= 0)
                close(s->listen_fd);
        if (s->unix_path)
                unlink(s->unix_path);
        free(s->unix_path);
        free(s);
}

int http_fd(struct http_server *s)
{
        const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);

        assert(s->o.external);
        return info ? info->epoll_fd : -EIO;
}

int http_run(struct http_server *s)
{
        MHD_UNSIGNED_LONG_LONG ms;

        assert(s->o.external);
        MHD_run(s->daemon);
        if (MHD_get_timeout(s->daemon, &ms) != MHD_YES)
                return -1;
        return ms > 60000 ? 60000 : (int)ms;
}

unsigned http_port(const struct http_server *s)
{
        return s->port;
}

void http_counts(struct http_server *s, struct http_counts *ret)
{
        *ret = (struct http_counts){ s->requests, s->problems, s->too_large, s->connections };
}
