/* link_zmq: what the two ends of a link share of libzmq.  Included by link*.c alone. */
#pragma once
#include "common/link.h"
#include <pthread.h>
#include <stdatomic.h>
#include <zmq.h>

#define LINK_MAX_MESSAGE (1024 * 1024)          /* with CURVE's 33 bytes: FRAME_MAX_BYTES of body */
#define LINK_BEAT_MS 15000                      /* ZMTP heartbeats: only to notice connections that died in silence */
#define LINK_BEAT_TIMEOUT_MS 45000
#define LINK_HANDSHAKE_MS 5000

struct link_context { void *zmq; atomic_uint monitors; };

struct link_option { int name; const void *value; size_t size; };
#define LINK_INT(name, v) { (name), &(int){ (v) }, sizeof(int) }

/* 0, or the negative errno of the first that failed. */
int link_set_options(void *socket, const struct link_option *options, size_t n);

/* Starts monitoring `socket` and opens the PAIR that hears it.  NULL: -errno at *ret_error. */
void *link_monitor_open(struct link_context *c, void *socket, int events, int *ret_error);
/* The next event, never blocking: its number and value, or 0. */
int link_monitor_take(void *pair, unsigned *ret_value);

/* Receives one part, never blocking, into a new frame: 0 or negative errno.  *ret_more: other parts follow. */
int link_receive_part(void *socket, struct link_frame **ret, bool *ret_more);
const zmq_msg_t *link_frame_message(const struct link_frame *f);
/* Throws away the rest of a message of several parts. */
void link_drop_parts(void *socket);

/* zmq_poll over `sockets` (n_sockets <= 2) and fds.  1 if any socket has input, 0, -EINTR. */
int link_poll(void *const *sockets, size_t n_sockets, const int *fds, bool *ret_ready, size_t n, int timeout_ms);
