/* link_server: the ROUTER and its doorkeeper.
 *
 * A second thread owns the ZAP socket and the monitor: it answers every handshake from the callback and counts.  The
 * peer's identity reaches the frames as ZAP's User-Id: agent id and link key in hex.  libzmq 4.3.4 loses it on the
 * first part after a poll, so it is read from the body. */
#include "common/frame.h"
#include "common/link_zmq.h"
#include "common/macro.h"
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define ZAP_DOMAIN "shuyi"
#define USER_HEX (2 * ID_BYTES)
#define USER_BYTES (USER_HEX + 2 * LINK_KEY_BYTES)
#define LINGER_MS 200                           /* a BYE still goes */

struct link_server {
        void *router;
        char endpoint[128];
        /* of the doorkeeper's thread */
        pthread_t thread;
        bool thread_runs;
        int stop;
        void *zap, *monitor;
        link_admit_fn admit;
        void *admit_ctx;
        _Atomic uint64_t admitted, denied, not_ready, connected, disconnected, handshake_failed;
};

/* ---- the doorkeeper ---- */

enum { ZAP_VERSION, ZAP_REQUEST, ZAP_REQUEST_DOMAIN, ZAP_ADDRESS, ZAP_IDENTITY, ZAP_MECHANISM, ZAP_KEY, ZAP_PARTS };
struct zap_part { size_t n; char b[64]; };

/* False: not a request of the form that CURVE makes. */
static bool zap_read(void *socket, struct zap_part parts[ZAP_PARTS])
{
        int more = 1;
        unsigned i = 0;

        for (; more && i < ZAP_PARTS; i++) {
                int n = zmq_recv(socket, parts[i].b, sizeof parts[i].b - 1, ZMQ_DONTWAIT);

                if (n < 0)
                        return false;
                parts[i].n = (size_t)n < sizeof parts[i].b ? (size_t)n : sizeof parts[i].b - 1;
                parts[i].b[parts[i].n] = 0;
                zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &(size_t){ sizeof more });
        }
        if (more)
                link_drop_parts(socket);
        return i == ZAP_PARTS && !more && strcmp(parts[ZAP_VERSION].b, "1.0") == 0 &&
               strcmp(parts[ZAP_MECHANISM].b, "CURVE") == 0 && parts[ZAP_KEY].n == LINK_KEY_BYTES;
}

static void zap_reply(void *socket, const struct zap_part *request, enum link_admission a, const char *user)
{
        char status[4];

        snprintf(status, sizeof status, "%03d", (int)a);
        zmq_send(socket, "1.0", 3, ZMQ_SNDMORE | ZMQ_DONTWAIT);
        zmq_send(socket, request->b, request->n, ZMQ_SNDMORE | ZMQ_DONTWAIT);
        zmq_send(socket, status, 3, ZMQ_SNDMORE | ZMQ_DONTWAIT);
        zmq_send(socket, "", 0, ZMQ_SNDMORE | ZMQ_DONTWAIT);
        zmq_send(socket, user, strlen(user), ZMQ_SNDMORE | ZMQ_DONTWAIT);
        zmq_send(socket, "", 0, ZMQ_DONTWAIT);
}

static void count_admission(struct link_server *s, enum link_admission a)
{
        atomic_fetch_add(a == LINK_ADMIT ? &s->admitted : a == LINK_NOT_READY ? &s->not_ready : &s->denied, 1);
}

static void zap_answer(struct link_server *s)
{
        struct zap_part parts[ZAP_PARTS] = { 0 };
        enum link_admission a = LINK_DENY;
        char user[USER_BYTES + 1] = "";
        struct id agent;

        if (zap_read(s->zap, parts)) {
                const uint8_t *key = (const uint8_t *)parts[ZAP_KEY].b;

                a = s->admit(s->admit_ctx, key, parts[ZAP_ADDRESS].b, &agent);
                if (a == LINK_ADMIT) {
                        hex_format(bytes_id(&agent), user);
                        hex_format(bytes_of(key, LINK_KEY_BYTES), user + USER_HEX);
                }
        }
        count_admission(s, a);
        zap_reply(s->zap, &parts[ZAP_REQUEST], a, user);
}

static void count_events(struct link_server *s)
{
        unsigned value;
        int event;

        while ((event = link_monitor_take(s->monitor, &value)) != 0)
                switch (event) {
                case ZMQ_EVENT_ACCEPTED: atomic_fetch_add(&s->connected, 1); break;
                case ZMQ_EVENT_DISCONNECTED: atomic_fetch_add(&s->disconnected, 1); break;
                case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
                case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL: atomic_fetch_add(&s->handshake_failed, 1); break;
                default: break;
                }
}

static bool has_input(void *socket)
{
        int events = 0;

        return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &(size_t){ sizeof events }) == 0 && (events & ZMQ_POLLIN);
}

static void *doorkeeper(void *argument)
{
        struct link_server *s = argument;
        void *const sockets[] = { s->zap, s->monitor };

        pthread_setname_np(pthread_self(), "zap");
        for (bool stop = false; !stop;) {
                if (link_poll(sockets, 2, &s->stop, &stop, 1, -1) < 0)
                        continue;               /* EINTR */
                while (has_input(s->zap))
                        zap_answer(s);
                count_events(s);
        }
        return NULL;
}

/* ---- opening ---- */

static int zap_open(struct link_context *c, struct link_server *s)
{
        s->zap = zmq_socket(c->zmq, ZMQ_REP);
        if (!s->zap)
                return -errno;
        if (zmq_setsockopt(s->zap, ZMQ_LINGER, &(int){ 0 }, sizeof(int)) < 0 || zmq_bind(s->zap, ZAP_ENDPOINT) < 0)
                return -errno;
        return 0;
}

static int router_options(struct link_server *s, const struct link_server_options *o)
{
        const struct link_option options[] = {
                LINK_INT(ZMQ_LINGER, LINGER_MS),
                LINK_INT(ZMQ_ROUTER_MANDATORY, 1),
                LINK_INT(ZMQ_RCVHWM, o->receive_hwm ? o->receive_hwm : 64),
                LINK_INT(ZMQ_SNDHWM, o->send_hwm ? o->send_hwm : 1024),
                { ZMQ_MAXMSGSIZE, &(int64_t){ LINK_MAX_MESSAGE }, sizeof(int64_t) },
                LINK_INT(ZMQ_HANDSHAKE_IVL, o->handshake_ms ? o->handshake_ms : LINK_HANDSHAKE_MS),
                LINK_INT(ZMQ_HEARTBEAT_IVL, LINK_BEAT_MS),
                LINK_INT(ZMQ_HEARTBEAT_TIMEOUT, LINK_BEAT_TIMEOUT_MS),
                LINK_INT(ZMQ_BACKLOG, 256),
                { ZMQ_ZAP_DOMAIN, ZAP_DOMAIN, strlen(ZAP_DOMAIN) },
                LINK_INT(ZMQ_CURVE_SERVER, 1),
                { ZMQ_CURVE_SECRETKEY, o->secret_key, LINK_KEY_BYTES },
        };

        return link_set_options(s->router, options, ELEMENTS(options));
}

static int router_open(struct link_context *c, struct link_server *s, const struct link_server_options *o)
{
        const int events = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL;
        int r;

        s->router = zmq_socket(c->zmq, ZMQ_ROUTER);
        if (!s->router)
                return -errno;
        r = router_options(s, o);
        if (r < 0)
                return r;
        s->monitor = link_monitor_open(c, s->router, events, &r);
        return s->monitor ? 0 : r;
}

static int doorkeeper_start(struct link_server *s)
{
        int r;

        s->stop = eventfd(0, EFD_CLOEXEC);
        if (s->stop < 0)
                return -errno;
        r = -pthread_create(&s->thread, NULL, doorkeeper, s);
        s->thread_runs = r == 0;
        return r;
}

static int router_bind(struct link_server *s, const char *endpoint)
{
        if (zmq_bind(s->router, endpoint) < 0)
                return -errno;
        if (zmq_getsockopt(s->router, ZMQ_LAST_ENDPOINT, s->endpoint, &(size_t){ sizeof s->endpoint }) < 0)
                return -errno;
        return 0;
}

int link_server_open(struct link_context *c, const struct link_server_options *o, struct link_server **ret)
{
        struct link_server *s = calloc(1, sizeof *s);
        int r;

        if (!s)
                return -ENOMEM;
        s->stop = -1;
        s->admit = o->admit;
        s->admit_ctx = o->admit_ctx;
        r = zap_open(c, s);
        if (r == 0)
                r = router_open(c, s, o);
        if (r == 0)
                r = doorkeeper_start(s);
        if (r == 0)
                r = router_bind(s, o->endpoint);        /* last: whoever knocks is answered */
        if (r < 0) {
                link_server_close(s);
                return r;
        }
        *ret = s;
        return 0;
}

void link_server_close(struct link_server *s)
{
        if (!s)
                return;
        if (s->router) {
                zmq_socket_monitor(s->router, NULL, 0);
                zmq_close(s->router);
        }
        if (s->thread_runs) {
                eventfd_write(s->stop, 1);
                pthread_join(s->thread, NULL);
        }
        if (s->stop >= 0)
                close(s->stop);
        if (s->monitor)
                zmq_close(s->monitor);
        if (s->zap) {
                zmq_unbind(s->zap, ZAP_ENDPOINT);       /* at once: closing frees the name only later */
                zmq_close(s->zap);
        }
        free(s);
}

const char *link_server_endpoint(const struct link_server *s)
{
        return s->endpoint;
}

/* ---- frames ---- */

int link_server_wait(struct link_server *s, const int *fds, bool *ret_ready, size_t n, int timeout_ms)
{
        return link_poll(&s->router, 1, fds, ret_ready, n, timeout_ms);
}

static bool take_identity(struct link_frame *f)
{
        const zmq_msg_t *m = link_frame_message(f);
        const char *user = zmq_msg_gets(m, "User-Id"), *address = zmq_msg_gets(m, "Peer-Address");
        char agent[USER_HEX + 1];

        if (!user || strlen(user) != USER_BYTES)
                return false;
        memcpy(agent, user, USER_HEX);
        agent[USER_HEX] = 0;
        if (!hex_parse(agent, f->agent.b, ID_BYTES) || !hex_parse(user + USER_HEX, f->key, LINK_KEY_BYTES))
                return false;
        snprintf(f->address, sizeof f->address, "%s", address ? address : "");
        f->fd = zmq_msg_get(m, ZMQ_SRCFD);
        return true;
}

int link_server_receive(struct link_server *s, struct link_frame **ret)
{
        _cleanup_(link_frame_freep) struct link_frame *f = NULL;
        struct link_route route = { 0 };
        int n = zmq_recv(s->router, route.b, sizeof route.b, ZMQ_DONTWAIT);
        bool more;
        int r;

        if (n < 0)
                return -errno;
        route.n = (uint8_t)n;
        r = link_receive_part(s->router, &f, &more);
        if (r < 0)
                return r;
        if (more)
                link_drop_parts(s->router);
        if (more || route.n > sizeof route.b || !take_identity(f))
                return -EBADMSG;
        f->route = route;
        *ret = TAKE(f);
        return 0;
}

int link_server_send(struct link_server *s, const struct link_route *route, struct bytes body)
{
        if (body.n > FRAME_MAX_BYTES)
                return -EMSGSIZE;
        if (zmq_send(s->router, route->b, route->n, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
                return -errno;
        return zmq_send(s->router, body.p, body.n, ZMQ_DONTWAIT) < 0 ? -errno : 0;
}

int link_server_give(struct link_server *s, const struct link_route *route, struct bytes body, void (*release)(void *p, void *owner), void *owner)
{
        zmq_msg_t m;
        int r = 0;

        if (zmq_msg_init_data(&m, (void *)body.p, body.n, release, owner) < 0) {
                r = -errno;
                release((void *)body.p, owner);
                return r;
        }
        if (body.n > FRAME_MAX_BYTES)
                r = -EMSGSIZE;
        else if (zmq_send(s->router, route->b, route->n, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 || zmq_msg_send(&m, s->router, ZMQ_DONTWAIT) < 0)
                r = -errno;
        if (r < 0)
                zmq_msg_close(&m);
        return r;
}

void link_server_counts(const struct link_server *s, struct link_counts *ret)
{
        *ret = (struct link_counts){
                .admitted = atomic_load(&s->admitted),
                .denied = atomic_load(&s->denied),
                .not_ready = atomic_load(&s->not_ready),
                .connected = atomic_load(&s->connected),
                .disconnected = atomic_load(&s->disconnected),
                .handshake_failed = atomic_load(&s->handshake_failed),
        };
}
