/* witness_serve: the HTTP side of a witness (C2SP tlog-witness): what a POST /add-checkpoint is answered.
 *
 * One log after the other and one request after the other: handlers run on the server's thread, so that looking at the last head and
 * replacing it is one step.  The state is durable before the cosignature leaves. */
#pragma once
#include "agent/cli/witness_store.h"
#include "common/secret.h"

struct witness_known { const char *origin; uint8_t key[32]; };         /* a log that it cosigns for */
struct witness_self { const struct secret *secret; uint8_t key[32]; };

struct witness_server;

/* `listen`: tcp://127.0.0.1:PORT (0: any) or unix:/path; NULL: no socket, for tests.  All is borrowed until the stop, and the store is the server's alone.  A fault of http_start. */
int witness_serve_start(const char *listen, struct witness_store *store, const struct witness_self *self, const struct witness_known *known, unsigned known_n,
                        struct witness_server **ret);
void witness_serve_stop(struct witness_server *s);      /* NULL is fine */
unsigned witness_serve_port(const struct witness_server *s);

/* The answer to one request body, as the handler gives it: status and text, which is in `a`.  *ret_type: its media type. */
unsigned witness_serve_answer(struct witness_server *s, struct arena *a, struct bytes body, const char **ret_text, const char **ret_type);
