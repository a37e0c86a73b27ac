/* sim: a whole exchange in one process: real cores, a virtual clock, links that lose, crashes on every side.
 *
 * The city (tests/lib/city.h) is sequencer, state and log; in front of it stands a broker's session end for each agent with
 * a pipeline that a crash empties.  One provider's agent pushes numbered records through a two-stage outbox into two
 * streams; two consumers' agents take them, receipt them, lose a grant for a while, or all for good.  People act between.  What
 * a process would have on disk survives its crash here, and nothing else does. */
#pragma once
#include "agent/flow.h"
#include "common/decided.h"
#include "common/session.h"
#include "tests/lib/bad_link.h"
#include "tests/lib/market.h"
#include "tests/lib/random_message.h"

#define SIM_AGENTS 3                            /* 0 provider, 1 and 2 consumers */
#define SIM_STREAMS 2
#define SIM_PIPELINE 8192
#define SIM_PENDING 2048

struct sim;

/* An envelope that has its number: kept until it is settled. */
struct sim_envelope { struct bytes wire; unsigned stream; };
struct sim_lane { struct sim_envelope *rows; uint64_t n, room, first; };      /* number N is rows[N - 1] */

/* A consumer's share in a stream. */
struct sim_subscription {
        uint64_t link_next;                     /* of the broker's session: stream_seq that it sends next */
        struct flow_unreceipted unreceipted;    /* lost in a crash, counted anew */
        /* on the agent's disk */
        struct digest grant;
        struct flow_position position;
        uint64_t receipted, last_record;
        bool fresh;                             /* the next UPDATE may begin anywhere */
        unsigned taken, restarts;
        /* of the people */
        bool suspended;
};

struct sim_agent {
        struct party *who;
        /* the connection, and the broker's end of its session */
        struct bad_link up, down;
        bool connected, known, revoked;
        struct session_server server;
        /* the agent's end, lost in a crash */
        struct session_client client;
        /* the agent's disk */
        struct sim_lane out[SESSION_LANES];
        struct sim_subscription subs[SIM_STREAMS];
};

/* A link of the provider that has no receipt yet. */
struct sim_link { uint64_t number, stream_seq, from, to; struct digest digest; uint16_t kind; uint32_t epoch; };

/* A stream on the provider's disk, besides the outbox. */
struct sim_stream {
        struct market_stream stream;            /* id, view, items: what does not change */
        struct flow_stream chain;
        uint64_t accepted;
        struct digest accepted_head;
        uint32_t epoch, accepted_epoch;         /* sealed, accepted */
        unsigned audience, wanted;              /* agents by bit: of the epoch sealed last; as last looked up */
        uint64_t records, next_record;          /* taken in all; the first not sealed */
        struct mono_time oldest;
        struct sim_link pending[SIM_PENDING];
        unsigned pending_n;
        uint64_t first_refused;
        enum flow_verdict verdict;
        uint64_t back_to_record;                /* of the refused: 0 none held any */
        bool epoch_refused;
        struct mono_time wait;
        unsigned refusals, again;
        uint64_t logged;                        /* of the checks: the last record in the log */
};

struct sim_ticket { unsigned agent; uint32_t lane; uint64_t number; uint8_t *wire; size_t bytes; };

struct sim {
        struct chance chance;
        struct market *market;
        struct city *city;
        struct arena *base, *scratch;           /* the city's own, and one for each step */
        struct mono_time now;
        struct sim_agent agents[SIM_AGENTS];
        struct sim_stream streams[SIM_STREAMS];
        struct digest matter;
        uint32_t group_most, group_seldom, cuts_in_64, acts_in_64;    /* of this run's weather */
        struct sim_ticket pipeline[SIM_PIPELINE];
        unsigned pipeline_n;
        uint64_t sessions;
        struct decided *decided;                /* the broker's memory: lost in a crash */
        bool resting, frozen;
        /* of the checks */
        uint64_t checked;
        unsigned crashes, cuts, acts;
};

struct sim *sim_new(uint64_t seed);
void sim_free(struct sim *s);

/* One step of anything, chosen by chance; without faults only what makes progress. */
void sim_step(struct sim *s, bool faults);
/* Everything taken is delivered and receipted, everything put is settled. */
bool sim_is_done(struct sim *s);
/* What must hold after every step; ends the program with what does not. */
void sim_check(struct sim *s);
_Noreturn void sim_fail(const struct sim *s, const char *what);
uint32_t sim_below(struct sim *s, uint32_t n);

/* ---- the parts ---- */
void sim_put(struct sim *s, struct sim_agent *a, uint32_t lane, struct bytes wire, unsigned stream);    /* onto disk, numbered */

void broker_hear(struct sim *s, unsigned agent, struct bytes wire);
void broker_run_group(struct sim *s);
void broker_deliver(struct sim *s, unsigned agent, unsigned stream);
void broker_tick(struct sim *s, unsigned agent);
void broker_crash(struct sim *s);

void agent_hear(struct sim *s, unsigned agent, struct bytes wire);
void agent_send(struct sim *s, unsigned agent);
void agent_tick(struct sim *s, unsigned agent);
void agent_connect(struct sim *s, unsigned agent);
void agent_crash(struct sim *s, unsigned agent);
void agent_start(struct sim *s, unsigned agent);
void connection_cut(struct sim *s, unsigned agent);

void provider_take(struct sim *s, unsigned stream);     /* records from its business system */
void provider_look(struct sim *s, unsigned stream);     /* who may hear it now */
void provider_seal(struct sim *s, unsigned stream);
void provider_settled(struct sim *s, const Shuyi__V1__ReceiptRow *row);

void consumer_parcel(struct sim *s, unsigned agent, const Shuyi__V1__Parcel *p);
void consumer_receipt(struct sim *s, unsigned agent, unsigned stream);  /* if one is due */
void consumer_settled(struct sim *s, unsigned agent, const Shuyi__V1__ReceiptRow *row);

void people_act(struct sim *s);
void people_relent(struct sim *s);                      /* resume and unfreeze all */
