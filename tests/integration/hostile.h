/* hostile: a bad peer on a stage (tests/lib/stage.h): an agent that is registered like any other, and lies.
 *
 * What bad input must leave behind is one thing for all tests: the log has grown by the broker's own entries at most, or by as
 * many refused acts as were answered with a seq, and somebody else is served as before.  One thread. */
#pragma once
#include "tests/lib/stage.h"

struct hostile {
        struct stage *s;
        struct party *mallory;          /* an agent of health */
        struct live_agent a;            /* its link; .live NULL: not connected */
        uint64_t epoch, next[2];        /* its outbox, over all connections */
        uint64_t quiet_seq;             /* last entry that was looked at */
        unsigned answered;              /* refused acts that were told a seq, since then */
};

/* A city with one live stream, all of it told; `extra`: more configuration of the broker. */
struct hostile *hostile_new(const char *program, const char *extra);
void hostile_free(struct hostile *h);

/* Ends the test unless since the last call nothing was entered but refusals that were answered, and the broker answers. */
void hostile_quiet(struct hostile *h);
/* A metric now. */
double hostile_count(struct hostile *h, const char *metric);

/* ---- the link ---- */

void hostile_connect(struct hostile *h);                /* anew, as far as the handshake */
void hostile_open(struct hostile *h);                   /* anew, to WELCOME */
void hostile_close(struct hostile *h);
/* HELLO with something else in it; what comes is for hostile_bye() or hostile_welcome(). */
void hostile_hello(struct hostile *h, void (*spoil)(Shuyi__V1__Hello *hello));
void hostile_welcome(struct hostile *h);
/* Waits for BYE; ends the test unless it is this code. */
void hostile_bye(struct hostile *h, enum refusal code);
void hostile_cut_off(struct hostile *h);                /* waits until the connection is gone */
/* PUT with the next number of its lane; its receipt row.  A refusal that made an entry is noted for hostile_quiet. */
struct live_row hostile_put(struct hostile *h, uint8_t lane, struct bytes envelope);
struct live_row hostile_act(struct hostile *h, struct bytes envelope);  /* lane 0 */

/* ---- envelopes that no library of ours would make ---- */

#define FORGE_SIGNERS 6
struct forge {
        struct arena *arena;
        Shuyi__V1__Intent intent;
        struct bytes intent_tail;       /* after the packed intent */
        struct bytes body;
        struct bytes said_body;         /* what header digests, if not the body; .p NULL: the body */
        int more_bytes;                 /* added to body_bytes */
        struct bytes header_tail, envelope_tail, signature_tail;
        struct forge_signer {
                const struct party *who;
                enum role as;           /* as signed */
                enum role said;         /* as told; 0: as signed */
                const struct party *key;        /* whose key; NULL: who's */
        } by[FORGE_SIGNERS];
};

/* A GET that would be accepted, with user and approver; spoil it. */
struct forge forge_get(struct hostile *h);
/* Packed and signed as it stands. */
struct bytes forge_envelope(const struct forge *f);
/* One field in wire form: a varint (value) or a run (bytes.p not NULL). */
struct bytes forge_field(struct arena *a, uint32_t number, uint64_t value, struct bytes bytes);
/* Intents must have their time in their id: call after a change of created_at. */
void forge_id(struct forge *f);
