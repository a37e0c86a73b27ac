/* link: context, frames, monitors, polling. */
#include "common/link_zmq.h"
#include "common/macro.h"
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define LINK_IO_THREADS 2

int link_context_new(struct link_context **ret)
{
        struct link_context *c = calloc(1, sizeof *c);

        if (!c)
                return -ENOMEM;
        c->zmq = zmq_ctx_new();
        if (!c->zmq || zmq_ctx_set(c->zmq, ZMQ_IO_THREADS, LINK_IO_THREADS) < 0) {
                int r = -errno;

                link_context_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

void link_context_free(struct link_context *c)
{
        if (!c)
                return;
        if (c->zmq)
                while (zmq_ctx_term(c->zmq) < 0 && errno == EINTR)
                        ;
        free(c);
}

void link_keypair(uint8_t ret_public[LINK_KEY_BYTES], uint8_t ret_secret[LINK_KEY_BYTES])
{
        crypto_box_keypair(ret_public, ret_secret);
}

void link_public_key(const uint8_t secret[LINK_KEY_BYTES], uint8_t ret_public[LINK_KEY_BYTES])
{
        crypto_scalarmult_base(ret_public, secret);
}

/* ---- frames ---- */

struct owned_frame { struct link_frame frame; zmq_msg_t message; };

void link_frame_free(struct link_frame *f)
{
        struct owned_frame *o = (struct owned_frame *)f;

        if (!o)
                return;
        zmq_msg_close(&o->message);
        free(o);
}

void link_frame_freep(struct link_frame **f)
{
        link_frame_free(*f);
}

const zmq_msg_t *link_frame_message(const struct link_frame *f)
{
        return &((const struct owned_frame *)f)->message;
}

int link_receive_part(void *socket, struct link_frame **ret, bool *ret_more)
{
        struct owned_frame *o = calloc(1, sizeof *o);

        if (!o)
                return -ENOMEM;
        zmq_msg_init(&o->message);
        if (zmq_msg_recv(&o->message, socket, ZMQ_DONTWAIT) < 0) {
                int r = -errno;

                link_frame_free(&o->frame);
                return r;
        }
        o->frame.fd = -1;
        o->frame.body = bytes_of(zmq_msg_data(&o->message), zmq_msg_size(&o->message));
        *ret_more = zmq_msg_more(&o->message);
        *ret = &o->frame;
        return 0;
}

void link_drop_parts(void *socket)
{
        int more = 1;

        while (more) {
                zmq_msg_t part;

                zmq_msg_init(&part);
                more = zmq_msg_recv(&part, socket, ZMQ_DONTWAIT) >= 0 && zmq_msg_more(&part);
                zmq_msg_close(&part);
        }
}

uint16_t link_port(int fd)
{
        struct sockaddr_storage peer = { 0 };
        socklen_t n = sizeof(peer);

        if (fd < 0 || getpeername(fd, (struct sockaddr *)&peer, &n) < 0)
                return 0;
        if (peer.ss_family == AF_INET6)
                return ntohs(((struct sockaddr_in6 *)&peer)->sin6_port);
        return peer.ss_family == AF_INET ? ntohs(((struct sockaddr_in *)&peer)->sin_port) : 0;
}

void link_cut(int fd, uint16_t port)
{
        if (port != 0 && link_port(fd) == port)
                shutdown(fd, SHUT_RDWR);
}

/* ---- sockets ---- */

int link_set_options(void *socket, const struct link_option *options, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (zmq_setsockopt(socket, options[i].name, options[i].value, options[i].size) < 0)
                        return -errno;
        return 0;
}

void *link_monitor_open(struct link_context *c, void *socket, int events, int *ret_error)
{
        char name[48];
        void *pair;

        snprintf(name, sizeof name, "inproc://shuyi-monitor-%u", atomic_fetch_add(&c->monitors, 1));
        if (zmq_socket_monitor(socket, name, events) < 0) {
                *ret_error = -errno;
                return NULL;
        }
        pair = zmq_socket(c->zmq, ZMQ_PAIR);
        if (!pair || zmq_setsockopt(pair, ZMQ_LINGER, &(int){ 0 }, sizeof(int)) < 0 || zmq_connect(pair, name) < 0) {
                *ret_error = -errno;
                if (pair)
                        zmq_close(pair);
                return NULL;
        }
        return pair;
}

/* A first part of u16 event and u32 value in the machine's order, a second with the address. */
int link_monitor_take(void *pair, unsigned *ret_value)
{
        uint8_t part[6];
        uint16_t event;
        uint32_t value;
        int n = zmq_recv(pair, part, sizeof part, ZMQ_DONTWAIT);

        if (n < 0)
                return 0;
        link_drop_parts(pair);
        if (n != (int)sizeof part)
                return 0;
        memcpy(&event, part, sizeof event);
        memcpy(&value, part + 2, sizeof value);
        *ret_value = value;
        return event;
}

int link_poll(void *const *sockets, size_t n_sockets, const int *fds, bool *ret_ready, size_t n, int timeout_ms)
{
        zmq_pollitem_t items[2 + LINK_FDS_MAX];
        bool any = false;

        assert(n_sockets <= 2 && n <= LINK_FDS_MAX);
        for (size_t i = 0; i < n_sockets; i++)
                items[i] = (zmq_pollitem_t){ .socket = sockets[i], .events = ZMQ_POLLIN };
        for (size_t i = 0; i < n; i++)
                items[n_sockets + i] = (zmq_pollitem_t){ .fd = fds[i], .events = ZMQ_POLLIN };
        if (zmq_poll(items, (int)(n_sockets + n), timeout_ms) < 0)
                return -errno;
        for (size_t i = 0; i < n_sockets; i++)
                any |= items[i].revents != 0;
        for (size_t i = 0; i < n; i++)
                ret_ready[i] = items[n_sockets + i].revents != 0;
        return any;
}
