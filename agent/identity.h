/* identity: who this agent is and whom it trusts, from its key file, welcome file and anchor.
 *
 * Read once at start.  Immutable afterwards; any thread. */
#pragma once
#include <stdio.h>

#include "common/anchor.h"
#include "common/arena.h"
#include "common/config.h"
#include "common/keyfile.h"

struct identity {
        struct arena *arena;
        struct keyfile keys;
        struct id agent;
        char domain[7];
        char department[19];
        struct digest credential;               /* id of the welcome's */
        const Shuyi__V1__Anchor *anchor;
        struct bytes anchor_bytes;              /* the SignedAnchor */
        const char *origin;                     /* of the log */
        uint8_t log_key[32];
        char endpoint[256];
        uint8_t broker_key[32];                 /* CURVE */
        uint8_t seal_key[32];                   /* public half of keys.seal */
        uint8_t link_key[32];
};

/* Loads and checks all: keys open and of an agent, an agent's credential, an anchor of its domain.  What is wrong is printed to
 * `to`; a credential of other keys is only warned of, since the broker's doorkeeper decides who is known.  *ret is for identity_fini. */
int identity_load(const struct config *c, FILE *to, struct identity *ret);
void identity_fini(struct identity *i);         /* {0} is fine */

/* A whole file of at most `max` bytes in `a`.  -EFBIG, or errno of open and read. */
int identity_read_file(struct arena *a, const char *path, size_t max, struct bytes *ret);
