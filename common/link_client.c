/* link_client: the DEALER and its monitor.
 *
 * ZMQ_IMMEDIATE keeps frames from waiting for a connection: what a lost connection had queued is gone with it, and the
 * session sends it again.  UP first throws away what the former connection had left to read, so that every frame
 * after UP is of the new one. */
#include "common/frame.h"
#include "common/link_zmq.h"
#include "common/macro.h"
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#define CONNECT_TIMEOUT_MS 5000

struct link_client {
        struct link_context *context;
        struct link_client_options options;     /* endpoint is ours, keys are below */
        char *endpoint;
        uint8_t server_key[LINK_KEY_BYTES], public_key[LINK_KEY_BYTES], secret_key[LINK_KEY_BYTES];
        void *dealer, *monitor;                 /* NULL while paused */
        bool up;
};

static int dealer_options(const struct link_client *l)
{
        const struct link_client_options *o = &l->options;
        const struct link_option options[] = {
                LINK_INT(ZMQ_LINGER, 0),
                LINK_INT(ZMQ_IMMEDIATE, 1),
                LINK_INT(ZMQ_SNDHWM, o->send_hwm ? o->send_hwm : 4096),
                LINK_INT(ZMQ_RCVHWM, o->receive_hwm ? o->receive_hwm : 256),
                { ZMQ_MAXMSGSIZE, &(int64_t){ LINK_MAX_MESSAGE }, sizeof(int64_t) },
                LINK_INT(ZMQ_HANDSHAKE_IVL, o->handshake_ms ? o->handshake_ms : LINK_HANDSHAKE_MS),
                LINK_INT(ZMQ_CONNECT_TIMEOUT, CONNECT_TIMEOUT_MS),
                LINK_INT(ZMQ_RECONNECT_IVL, o->reconnect_min_ms ? o->reconnect_min_ms : 100),
                LINK_INT(ZMQ_RECONNECT_IVL_MAX, o->reconnect_max_ms ? o->reconnect_max_ms : 30000),
                LINK_INT(ZMQ_HEARTBEAT_IVL, LINK_BEAT_MS),
                LINK_INT(ZMQ_HEARTBEAT_TIMEOUT, LINK_BEAT_TIMEOUT_MS),
                { ZMQ_CURVE_SERVERKEY, l->server_key, LINK_KEY_BYTES },
                { ZMQ_CURVE_PUBLICKEY, l->public_key, LINK_KEY_BYTES },
                { ZMQ_CURVE_SECRETKEY, l->secret_key, LINK_KEY_BYTES },
        };

        return link_set_options(l->dealer, options, ELEMENTS(options));
}

static int dealer_open(struct link_client *l)
{
        const int events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                           ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED;
        int r;

        l->dealer = zmq_socket(l->context->zmq, ZMQ_DEALER);
        if (!l->dealer)
                return -errno;
        r = dealer_options(l);
        if (r < 0)
                return r;
        l->monitor = link_monitor_open(l->context, l->dealer, events, &r);
        if (!l->monitor)
                return r;
        return zmq_connect(l->dealer, l->endpoint) < 0 ? -errno : 0;
}

int link_client_open(struct link_context *c, const struct link_client_options *o, struct link_client **ret)
{
        struct link_client *l = calloc(1, sizeof *l);
        int r;

        if (!l)
                return -ENOMEM;
        l->context = c;
        l->options = *o;
        l->options.server_key = l->options.secret_key = NULL;
        memcpy(l->server_key, o->server_key, LINK_KEY_BYTES);
        memcpy(l->secret_key, o->secret_key, LINK_KEY_BYTES);
        link_public_key(l->secret_key, l->public_key);
        l->endpoint = strdup(o->endpoint);
        l->options.endpoint = l->endpoint;
        r = l->endpoint ? dealer_open(l) : -ENOMEM;
        if (r < 0) {
                link_client_close(l);
                return r;
        }
        *ret = l;
        return 0;
}

void link_client_pause(struct link_client *l)
{
        l->up = false;
        if (l->dealer) {
                zmq_socket_monitor(l->dealer, NULL, 0);
                zmq_close(l->dealer);
        }
        if (l->monitor)
                zmq_close(l->monitor);
        l->dealer = l->monitor = NULL;
}

int link_client_reopen(struct link_client *l)
{
        int r;

        link_client_pause(l);
        r = dealer_open(l);
        if (r < 0)
                link_client_pause(l);
        return r;
}

void link_client_close(struct link_client *l)
{
        if (!l)
                return;
        link_client_pause(l);
        sodium_memzero(l->secret_key, sizeof l->secret_key);
        free(l->endpoint);
        free(l);
}

int link_client_wait(struct link_client *l, const int *fds, bool *ret_ready, size_t n, int timeout_ms)
{
        void *const sockets[] = { l->dealer, l->monitor };

        return link_poll(sockets, l->dealer ? 2 : 0, fds, ret_ready, n, timeout_ms);
}

static enum link_event failed_auth(unsigned status)
{
        return status == LINK_NOT_READY ? LINK_EVENT_FAILED : LINK_EVENT_DENIED;
}

static enum link_event translate(struct link_client *l, int event, unsigned value)
{
        switch (event) {
        case ZMQ_EVENT_HANDSHAKE_SUCCEEDED: return LINK_EVENT_UP;
        case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH: return failed_auth(value);
        case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL: return LINK_EVENT_FAILED;
        case ZMQ_EVENT_CLOSED: return LINK_EVENT_UNREACHABLE;
        case ZMQ_EVENT_DISCONNECTED: return l->up ? LINK_EVENT_DOWN : LINK_EVENT_NONE;
        default: return LINK_EVENT_NONE;
        }
}

static void discard_frames(struct link_client *l)
{
        int r = 0;

        while (r == 0 || r == -EBADMSG) {
                _cleanup_(link_frame_freep) struct link_frame *f = NULL;

                r = link_client_receive(l, &f);
        }
}

enum link_event link_client_event(struct link_client *l, unsigned *ret_status)
{
        enum link_event e = LINK_EVENT_NONE;
        unsigned value = 0;
        int event;

        if (!l->monitor)
                return LINK_EVENT_NONE;
        while (e == LINK_EVENT_NONE && (event = link_monitor_take(l->monitor, &value)) != 0)
                e = translate(l, event, value);
        if (e == LINK_EVENT_UP)
                discard_frames(l);
        if (e == LINK_EVENT_DENIED && ret_status)
                *ret_status = value;
        if (e != LINK_EVENT_NONE)
                l->up = e == LINK_EVENT_UP;
        return e;
}

int link_client_receive(struct link_client *l, struct link_frame **ret)
{
        _cleanup_(link_frame_freep) struct link_frame *f = NULL;
        bool more;
        int r;

        if (!l->dealer)
                return -EAGAIN;
        r = link_receive_part(l->dealer, &f, &more);
        if (r < 0)
                return r;
        if (more) {
                link_drop_parts(l->dealer);
                return -EBADMSG;
        }
        *ret = TAKE(f);
        return 0;
}

int link_client_send(struct link_client *l, struct bytes body)
{
        if (body.n > FRAME_MAX_BYTES)
                return -EMSGSIZE;
        if (!l->dealer || !l->up)
                return -EAGAIN;
        return zmq_send(l->dealer, body.p, body.n, ZMQ_DONTWAIT) < 0 ? -errno : 0;
}

const char *link_event_text(enum link_event e)
{
        static const char *const texts[] = {
                [LINK_EVENT_NONE] = "none", [LINK_EVENT_UP] = "up", [LINK_EVENT_DOWN] = "down", [LINK_EVENT_UNREACHABLE] = "unreachable",
                [LINK_EVENT_FAILED] = "handshake failed", [LINK_EVENT_DENIED] = "denied",
        };

        return (unsigned)e < ELEMENTS(texts) ? texts[e] : "unknown";
}
