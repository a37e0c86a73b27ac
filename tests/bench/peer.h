/* peer: the same load over somebody else's broker, signed and sealed by hand at both ends.
 *
 * A transport carries whole frames from one provider to each of its readers, durably: what the server has acknowledged it
 * must not lose by its own settings, which the script `peers` names.  Everything else (what a frame is, when it is made, what
 * its reader checks) is the load program's and the same for all transports. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define PEER_WINDOW 512u                /* frames published and not yet acknowledged */

typedef void (*peer_take)(void *ctx, const uint8_t *frame, size_t n);

struct transport {
        const char *name;
        /* Makes the stream, empty, with a durable subscription for each of `readers`. */
        void (*prepare)(int port, unsigned readers);
        void *(*open_provider)(int port);
        void (*publish)(void *t, const uint8_t *frame, size_t n);       /* waits while the window is full */
        void (*flush)(void *t);                                         /* sends what is buffered; waits until all is acknowledged */
        void *(*open_reader)(int port, unsigned which);
        void (*read)(void *t, peer_take take, void *ctx);               /* some frames, acknowledged afterwards; waits 100 ms at most */
};

extern const struct transport peer_nats, peer_redis;

void peer_die(const char *what, const char *why) __attribute__((noreturn));
