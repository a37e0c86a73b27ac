/* link: ZeroMQ over CURVE, met here and nowhere else.
 *
 * The broker binds one ROUTER; every connection must pass ZAP, where a callback decides by the peer's public key, so
 * that a frame always comes with the identity of its key and never with one the peer chose.  The agent connects one
 * DEALER and watches its own monitor, because a refused handshake ends a socket for good (after 400 libzmq never
 * connects again): it is told so, and opens a new one with its own back-off.
 *
 * Sizes are bounded before libzmq allocates (ZMQ_MAXMSGSIZE 1 MiB), queues by small HWMs, handshakes in time.  Sending
 * never blocks.  A sent frame is only queued in this process: durability is the session's business.
 *
 * One context a process, closed last.  A link_server and a link_client belong to the thread that opened them. */
#pragma once
#include "common/bytes.h"
#include "common/refusal.h"

#define LINK_KEY_BYTES 32
#define LINK_FDS_MAX 8                          /* file descriptors that one wait may watch besides the socket */

struct link_context;
/* -ENOMEM, -EMFILE. */
int link_context_new(struct link_context **ret);
void link_context_free(struct link_context *c); /* NULL is fine; after all links of it are closed */

/* A CURVE key pair, raw X25519 (the secret belongs into a struct secret).  Wipe what you copy. */
void link_keypair(uint8_t ret_public[LINK_KEY_BYTES], uint8_t ret_secret[LINK_KEY_BYTES]);
/* The public key of a secret one. */
void link_public_key(const uint8_t secret[LINK_KEY_BYTES], uint8_t ret_public[LINK_KEY_BYTES]);

/* A frame as it came in.  Freed by whoever holds it last; it may change threads. */
struct link_route { uint8_t n; uint8_t b[15]; };        /* the connection: new after every reconnect; made by libzmq */
struct link_frame {
        struct link_route route;                /* at the broker */
        struct id agent;                        /* at the broker: as ZAP decided */
        uint8_t key[LINK_KEY_BYTES];            /* at the broker: the peer's public key */
        char address[48];                       /* at the broker: bare IP of the peer */
        int fd;                                 /* at the broker: for link_port */
        struct bytes body;                      /* type byte and message; lives as long as the frame */
};
void link_frame_free(struct link_frame *f);     /* NULL is fine */
void link_frame_freep(struct link_frame **f);   /* for _cleanup_ */

/* ---- the broker's end ---- */

enum link_admission { LINK_ADMIT = 200, LINK_NOT_READY = 300, LINK_DENY = 400 };

/* Who is behind this key?  LINK_ADMIT with the agent's id; LINK_DENY for an unknown or revoked key (the peer's socket never
 * connects again); LINK_NOT_READY before the directory stands.  Called on the ZAP thread: must only read shared snapshots. */
typedef enum link_admission (*link_admit_fn)(void *ctx, const uint8_t key[LINK_KEY_BYTES], const char *address, struct id *ret_agent);

struct link_server_options {
        const char *endpoint;                   /* "tcp://127.0.0.1:*" binds a free port */
        const uint8_t *secret_key;              /* LINK_KEY_BYTES */
        link_admit_fn admit;
        void *admit_ctx;
        int handshake_ms;                       /* 0: 5000 */
        int receive_hwm, send_hwm;              /* 0: 64 and 1024 messages a connection */
};

struct link_server;
/* Starts the ZAP thread, then binds.  -EADDRINUSE, -EINVAL (endpoint), -ENOMEM, -EMFILE. */
int link_server_open(struct link_context *c, const struct link_server_options *o, struct link_server **ret);
void link_server_close(struct link_server *s);  /* NULL is fine; nothing lingers */
const char *link_server_endpoint(const struct link_server *s);  /* with the port that was bound */

/* Waits until a frame is there or one of `fds` (n <= LINK_FDS_MAX) is readable: ret_ready[i] says which.  timeout_ms -1: no
 * limit.  1 a frame waits, 0 not, -EINTR. */
int link_server_wait(struct link_server *s, const int *fds, bool *ret_ready, size_t n, int timeout_ms);
/* The next frame, never blocking: 0; -EAGAIN none; -EBADMSG one of more than one part or without identity was dropped (call
 * again); -ENOMEM. */
int link_server_receive(struct link_server *s, struct link_frame **ret);
/* Queues a copy.  -EAGAIN: that peer's queue is full (its window should have prevented it); -EHOSTUNREACH: gone; -EMSGSIZE. */
int link_server_send(struct link_server *s, const struct link_route *route, struct bytes body);
/* The same without a copy: `release` gets body.p and `owner` when the bytes are not needed any more, sent or not: at once,
 * or later on a thread of the link's own. */
int link_server_give(struct link_server *s, const struct link_route *route, struct bytes body, void (*release)(void *p, void *owner), void *owner);
/* The peer's port: tells this connection from a later one with the same descriptor.  0: it is gone already. */
uint16_t link_port(int fd);
/* Shuts a peer's connection, unless the descriptor is no longer that of the peer with this port.  Only for cost: what it sent
 * before still comes and is to be ignored. */
void link_cut(int fd, uint16_t port);

/* Counters since the start; any thread. */
struct link_counts {
        uint64_t admitted, denied, not_ready;   /* ZAP answers */
        uint64_t connected, disconnected;       /* TCP accepted and gone */
        uint64_t handshake_failed;              /* by time, by protocol, by a wrong server key */
};
void link_server_counts(const struct link_server *s, struct link_counts *ret);

/* ---- the agent's end ---- */

struct link_client_options {
        const char *endpoint;                   /* "tcp://host:port" */
        const uint8_t *server_key;              /* public, LINK_KEY_BYTES */
        const uint8_t *secret_key;              /* own */
        int handshake_ms;                       /* 0: 5000 */
        int reconnect_min_ms, reconnect_max_ms; /* 0: 100 and 30000 */
        int send_hwm, receive_hwm;              /* 0: 4096 and 256 messages */
};

enum link_event {
        LINK_EVENT_NONE,
        LINK_EVENT_UP,                          /* handshake done: say HELLO */
        LINK_EVENT_DOWN,                        /* connection lost; libzmq connects again */
        LINK_EVENT_UNREACHABLE,                 /* nobody answers; libzmq goes on trying */
        LINK_EVENT_FAILED,                      /* handshake broke off: a wrong server key, or no ZAP answer in time */
        LINK_EVENT_DENIED,                      /* ZAP said 400 or 500: this socket is dead, link_client_reopen() later */
};

struct link_client;
/* Opens a socket and begins to connect.  -EINVAL (endpoint), -ENOMEM, -EMFILE. */
int link_client_open(struct link_context *c, const struct link_client_options *o, struct link_client **ret);
void link_client_close(struct link_client *l);  /* NULL is fine */
/* Closes the socket with all that is queued in it and opens a new one.  Faults as link_client_open; call again later. */
int link_client_reopen(struct link_client *l);
/* Closes the socket only; the next link_client_reopen connects.  Between the two wait, receive and send answer as if idle. */
void link_client_pause(struct link_client *l);

/* As link_server_wait; 1 if a frame or an event waits.  Take events before frames. */
int link_client_wait(struct link_client *l, const int *fds, bool *ret_ready, size_t n, int timeout_ms);
/* The next event, never blocking.  ret_status (may be NULL): the ZAP status of DENIED. */
enum link_event link_client_event(struct link_client *l, unsigned *ret_status);
int link_client_receive(struct link_client *l, struct link_frame **ret);        /* as link_server_receive */
/* -EAGAIN: not connected, or the queue is full; -EMSGSIZE. */
int link_client_send(struct link_client *l, struct bytes body);
const char *link_event_text(enum link_event e);
