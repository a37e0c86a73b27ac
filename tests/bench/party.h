/* party: one agent of the load program, as far as the wire goes: its identity, its link, its session.
 *
 * Takes the place of a real agent that was stopped: same key file, same welcome, an outbox epoch above any before.  Whatever
 * a good session does not do (a refusal, a BYE, a lost link) ends the process: then there is nothing to measure.
 * Belongs to one thread at a time. */
#pragma once
#include "agent/identity.h"
#include "common/link.h"
#include "common/session.h"
#include "common/words.h"

struct party {
        const char *name;
        struct config *config;
        struct identity self;
        struct link_client *link;
        struct session_client session;
        struct arena *frames;           /* of the frame at hand */
        struct mono_time now;           /* read once a turn */
        bool open;
        /* What comes. */
        void *ctx, *parcel_ctx;
        void (*settled)(void *ctx, const Shuyi__V1__ReceiptRow *row);  /* may be NULL */
        void (*parcel)(void *parcel_ctx, const Shuyi__V1__Parcel *p);
        const Shuyi__V1__Page *page;    /* the answer a party_read waits for */
        uint32_t reads;
        uint64_t trust, mail;           /* what its replica and its mailbox hold already: said in HELLO */
};

/* Says what is wrong and ends the process. */
void die(const char *who, const char *what, int r) __attribute__((noreturn));

/* Reads the agent's configuration file, connects and waits for WELCOME.  `parcel` NULL: parcels are acknowledged and forgotten. */
void party_open(struct party *p, const char *name, struct link_context *c, const char *config,
                void (*parcel)(void *ctx, const Shuyi__V1__Parcel *p), void *ctx);
/* The same for one that holds trust records and mail up to these numbers. */
void party_open_with(struct party *p, const char *name, struct link_context *c, const char *config, uint64_t trust, uint64_t mail);
void party_close(struct party *p);
/* Waits for frames or one of `fds`, then handles all that is there. */
void party_turn(struct party *p, const int *fds, size_t n, int timeout_ms);
/* Sends an envelope under the next number of a lane, if the session allows; false: not now. */
bool party_put(struct party *p, uint32_t lane, uint64_t number, struct bytes envelope);
void party_ack(struct party *p, uint64_t parcel);
/* The one row that answers, as it came, in `a`; ends the process if there is none. */
struct bytes party_ask(struct party *p, struct arena *a, enum read what, struct bytes key);
/* The row of a table under `key`, in `a`. */
void *party_read(struct party *p, struct arena *a, enum read what, struct bytes key, const ProtobufCMessageDescriptor *row);
/* Fills what every intent of this agent says, and signs. */
void party_begin(const struct party *p, struct arena *a, uint32_t kind, Shuyi__V1__Intent *ret);
struct bytes party_sign(const struct party *p, struct arena *a, const Shuyi__V1__Intent *i, struct bytes body);
ProtobufCBinaryData data_of(struct bytes b);
