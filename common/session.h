/* session: the state machine of one link, both of its ends.
 *
 * A session begins with HELLO and WELCOME and ends with the connection.  Each lane numbers its envelopes (outbox_seq);
 * the broker takes exactly the next number, a BUSY sends the agent back to the number it names (go-back-N), and a receipt
 * row settles a number for good, in order: a row that a former session left in the pipeline may come ahead of those that were
 * sent again, and is then told once more in its place.  The first decision on a number stands (common/decided.h).  Credit is a window: how many frames and bytes of a lane may be unsettled at once.  A
 * lane with nothing unsettled always takes one frame, whatever its size.  Unsettled numbers outlive a session: the next
 * one begins at the first of them and sends the same bytes again.
 *
 * Pure: no I/O, no clock, no randomness, no allocation.  Inputs are decoded frames and times, outputs are small action
 * values for the shell to carry out.  One thread per session. */
#pragma once
#include "common/bytes.h"
#include "common/frame.h"
#include "common/refusal.h"
#include "common/times.h"
#include "common/words.h"

#define SESSION_PROTOCOL 1
#define SESSION_LANES 2                         /* 0 acts and receipts, 1 streams */
#define SESSION_LANE_WINDOW 1024                /* most unsettled frames a lane: LANE_WINDOW of the exchange */
#define SESSION_PARCEL_WINDOW 256               /* most unacknowledged parcels */
#define SESSION_SILENT_BEATS 3                  /* heartbeats without a word: the peer is gone */

/* ---- what to do ---- */

enum session_do {
        SESSION_NOTHING,                /* `why` says why, for the counters */
        /* either end */
        SESSION_SEND_PING,
        SESSION_SEND_PONG,              /* with the time of the PING: `number` */
        SESSION_CLOSED,                 /* the peer said BYE: forget it (agent: as RECONNECT) */
        /* at the broker */
        SESSION_SEND_WELCOME,           /* session_server_welcome() fills what it knows */
        SESSION_SUBMIT,                 /* take this PUT into the pipeline: lane, number */
        SESSION_REPEAT,                 /* a number settled before: into the pipeline all the same, so that its row is told again in its
                                         * place; it takes no credit */
        SESSION_SEND_BUSY,              /* lane, number, reason, retry_ms */
        SESSION_ACKED,                  /* parcels first..number are off the books */
        SESSION_SERVE_READ,             /* answer with a PAGE */
        SESSION_SEND_BYE,               /* code, retry_ms, detail; then cut */
        SESSION_CUT,                    /* shut the connection, say nothing more */
        /* at the agent */
        SESSION_SEND_HELLO,             /* session_client_hello() fills what it knows */
        SESSION_OPENED,                 /* WELCOME is here: lanes may be sent */
        SESSION_TAKE_RECEIPT,           /* verify and keep it, then session_client_settle() each row */
        SESSION_TAKE_PARCEL,            /* number; session_client_ack() once it is kept */
        SESSION_TAKE_PAGE,
        SESSION_RECONNECT,              /* close the socket; a tick at `at` says CONNECT */
        SESSION_CONNECT,                /* open a socket, then session_client_connecting() */
};

/* Why something was not taken, for counters; the broker's metrics have a label for each. */
#define SESSION_WHYS(X) \
        X(OK, "ok") X(NO_HELLO, "before HELLO") X(AFTER_BYE, "after BYE") X(CREDIT, "over credit") \
        X(GAP, "number ahead of the next") X(QUENCHED, "behind a BUSY") X(IN_FLIGHT, "repeats what is in flight") \
        X(REPEAT, "repeats what was settled") \
        X(EPOCH, "other outbox epoch") X(LANE, "no such lane") X(ACK, "acknowledges what was not sent") \
        X(SILENT, "silent too long") X(LATE_HELLO, "no HELLO in time") X(LATE_WELCOME, "no WELCOME in time") \
        X(LATE_RECEIPT, "no receipt in time") X(STRIKES, "goes on after being refused") X(PROTOCOL, "not in this state") \
        X(LOST, "connection lost") X(DENIED, "denied in the handshake") X(DRAIN, "draining") \
        X(HELLO, "HELLO does not fit the link") X(BYE, "the peer said BYE") X(FORM, "not a frame")
#define SESSION_WHY_ENUMERATOR(name, text) SESSION_WHY_##name,
enum session_why { SESSION_WHYS(SESSION_WHY_ENUMERATOR) SESSION_WHY_COUNT };
const char *session_why_text(enum session_why w);

struct session_action {
        enum session_do what;
        enum session_why why;
        uint32_t lane;
        uint64_t first, number;
        enum busy reason;
        uint32_t retry_ms;
        enum refusal code;
        const char *detail;             /* static text, may be NULL */
        struct mono_time at;
};

/* ---- the broker's end ---- */

struct session_limits {                 /* of the front's configuration; equal for all links */
        uint32_t frames[SESSION_LANES]; /* credit a lane: at most SESSION_LANE_WINDOW */
        uint32_t bytes[SESSION_LANES];
        uint32_t parcel_frames, parcel_bytes;   /* most we keep unacknowledged; HELLO may ask for less */
        uint32_t heartbeat_ms;
        uint32_t hello_ms;              /* from the first frame to a good HELLO */
        uint32_t busy_retry_ms;
        uint32_t strikes;               /* ignored frames after which a peer is cut */
};
#define SESSION_LIMITS_DEFAULT { { 256, 256 }, { 1 << 20, 2 << 20 }, 256, 4 << 20, 10000, 10000, 50, 1024 }

/* What the link's credential and the state say about the peer; borrowed during session_server_hello only. */
struct session_peer {
        const char *domain;             /* ours */
        struct id agent;                /* the link key's */
        uint64_t outbox_epoch;          /* highest known in the state; 0 if none */
};

enum session_state { SESSION_NEW, SESSION_OPEN, SESSION_DRAINING, SESSION_DEAD };

struct session_lane {
        uint64_t next;                  /* the number taken next */
        uint32_t frames, bytes;         /* unsettled */
        bool quenched;                  /* a BUSY is out: what is higher than `next` is dropped without a word */
        uint32_t flight[SESSION_LANE_WINDOW];   /* by number modulo: bytes + 1 of an unsettled number; 0 is free */
};

struct session_server {
        enum session_state state;
        uint64_t session;               /* number of this session */
        struct session_limits limits;
        struct id agent;
        uint64_t outbox_epoch;
        struct session_lane lanes[SESSION_LANES];
        uint64_t parcel_sent, parcel_acked;
        uint32_t parcel_frames, parcel_bytes;   /* the window agreed */
        uint32_t parcel_bytes_out;
        uint32_t parcel_flight[SESSION_PARCEL_WINDOW];
        struct mono_time heard, spoke, began;
        uint32_t strikes;
        uint64_t ignored[SESSION_WHY_COUNT];    /* counters */
};

/* A connection whose first frame has come.  `session` is any number never used before by this process. */
void session_server_init(struct session_server *s, uint64_t session, const struct session_limits *limits, struct mono_time now);

/* One decoded frame (direction FRAME_TO_BROKER).  For HELLO `peer` must be given; otherwise it may be NULL.  Answers one of:
 * NOTHING, SEND_WELCOME, SUBMIT, REPEAT, SEND_BUSY, ACKED, SERVE_READ, SEND_PONG, SEND_BYE, CUT, CLOSED. */
struct session_action session_server_frame(struct session_server *s, const struct frame *frame, const struct session_peer *peer, struct mono_time now);
/* Bytes that did not decode: SEND_BYE E_FORM. */
struct session_action session_server_garbage(struct session_server *s, struct mono_time now);

/* A SUBMIT cannot be taken after all (space, quota, clock, load): the lane goes back to it.  SEND_BUSY.  What was submitted behind
 * it comes again, too, and the pipeline must not let it through before (decided_back).  If the number is not in flight the
 * lane only pauses. */
struct session_action session_server_busy(struct session_server *s, uint32_t lane, uint64_t number, enum busy reason, uint32_t retry_ms);
/* Its receipt row leaves: credit returns.  A row that a former session left in the pipeline passes over the number if it is
 * the next one; if the agent sends it all the same, it is a REPEAT.  False: neither in flight nor next. */
bool session_server_settle(struct session_server *s, uint32_t lane, uint64_t number);
uint64_t session_server_unsettled(const struct session_server *s);      /* frames of all lanes */

/* May a parcel of so many envelope bytes go now?  With none unacknowledged one always may. */
bool session_server_may_send(const struct session_server *s, uint32_t bytes);
/* It goes: its number in this session. */
uint64_t session_server_sent(struct session_server *s, uint32_t bytes, struct mono_time now);
/* Anything else that was sent counts as a sign of life. */
void session_server_spoke(struct session_server *s, struct mono_time now);

/* Changes a lane's credit: true if the agent must be told by a CREDIT frame. */
bool session_server_set_credit(struct session_server *s, uint32_t lane, uint32_t frames, uint32_t bytes);
/* Takes no more PUTs: SEND_BYE with a retry time, if the session is open.  Receipts may still go. */
struct session_action session_server_drain(struct session_server *s, uint32_t retry_ms);

/* At `now` and again at session_server_deadline(): NOTHING, SEND_PING or CUT. */
struct session_action session_server_tick(struct session_server *s, struct mono_time now);
struct mono_time session_server_deadline(const struct session_server *s);

/* Fills protocol, session, credit, heartbeat_ms, max_frame.  `credit` and `rows` are the caller's storage, valid as long as
 * the message; log_epoch, log_size, stable_seq and broker_time are the caller's to fill. */
void session_server_welcome(const struct session_server *s, Shuyi__V1__Welcome *ret,
                            Shuyi__V1__LaneCredit credit[SESSION_LANES], Shuyi__V1__LaneCredit *rows[SESSION_LANES]);

/* ---- the agent's end ---- */

struct session_timing {
        uint32_t welcome_ms;            /* from HELLO to WELCOME */
        uint32_t receipt_ms;            /* oldest unsettled frame of a session that lives */
        uint32_t backoff_min_ms, backoff_max_ms;
};
#define SESSION_TIMING_DEFAULT { 10000, 60000, 100, 30000 }

enum session_phase { SESSION_WAITING, SESSION_CONNECTING, SESSION_GREETING, SESSION_SENDING };

struct session_outlane {
        uint64_t first;                 /* first unsettled number */
        uint64_t send;                  /* the number sent next: first <= send <= end */
        uint64_t end;                   /* one past the last that exists */
        uint32_t credit_frames, credit_bytes;
        uint32_t frames, bytes;         /* sent in this session and unsettled */
        struct mono_time hold;          /* BUSY: nothing before this */
        uint32_t flight[SESSION_LANE_WINDOW];   /* bytes + 1 of a number sent and unsettled */
        uint32_t behind;                        /* BUSYs in a row that named a settled number */
        uint64_t sent_ns[SESSION_LANE_WINDOW];
};

struct session_client {
        enum session_phase phase;
        struct session_timing timing;
        uint64_t outbox_epoch;
        uint64_t session;               /* the broker's number; 0 before WELCOME */
        struct session_outlane lanes[SESSION_LANES];
        uint64_t parcel_seen, parcel_kept;
        uint32_t heartbeat_ms, max_frame;
        uint32_t attempt;               /* failures in a row */
        struct mono_time heard, spoke, began, retry_at;
        enum session_why last_why;      /* of the last failure, for status */
        enum refusal last_code;         /* of the last BYE or denial */
};

/* `first` and `end` per lane come from the outbox. */
void session_client_init(struct session_client *c, const struct session_timing *timing, uint64_t outbox_epoch,
                         const uint64_t first[SESSION_LANES], const uint64_t end[SESSION_LANES]);

/* ---- the connection: what the link told ---- */
/* A new socket was opened and connects. */
void session_client_connecting(struct session_client *c, struct mono_time now);
/* The link is up (each time anew): SEND_HELLO. */
struct session_action session_client_up(struct session_client *c, struct mono_time now);
/* The link went down; the socket connects again by itself.  NOTHING. */
struct session_action session_client_down(struct session_client *c, struct mono_time now);
/* Denied in the handshake (the socket is dead): RECONNECT at a time backed off by `random`. */
struct session_action session_client_denied(struct session_client *c, enum refusal code, struct mono_time now, uint32_t random);

/* One decoded frame (FRAME_TO_AGENT): NOTHING, OPENED, TAKE_RECEIPT, TAKE_PARCEL, TAKE_PAGE, SEND_PONG, CLOSED, RECONNECT. */
struct session_action session_client_frame(struct session_client *c, const struct frame *frame, struct mono_time now, uint32_t random);
struct session_action session_client_garbage(struct session_client *c, struct mono_time now, uint32_t random);

/* At `now` and again at session_client_deadline(): NOTHING, SEND_PING, RECONNECT, CONNECT. */
struct session_action session_client_tick(struct session_client *c, struct mono_time now, uint32_t random);
struct mono_time session_client_deadline(const struct session_client *c);
void session_client_spoke(struct session_client *c, struct mono_time now);

/* Fills protocol, outbox_epoch and lanes; the rest is the caller's. */
void session_client_hello(const struct session_client *c, Shuyi__V1__Hello *ret,
                          Shuyi__V1__Lane lane[SESSION_LANES], Shuyi__V1__Lane *rows[SESSION_LANES]);

/* ---- sending ---- */
/* The outbox now holds numbers up to `end` - 1. */
void session_client_extend(struct session_client *c, uint32_t lane, uint64_t end);
/* Is there a number to send, and a frame of credit?  Then its number; the caller reads its bytes. */
bool session_client_next(const struct session_client *c, uint32_t lane, struct mono_time now, uint64_t *ret_number);
/* May those bytes go now?  true: it counts as sent, the PUT must follow.  false: wait for receipts. */
bool session_client_put(struct session_client *c, uint32_t lane, uint64_t number, uint32_t bytes, struct mono_time now);
/* A receipt row: true if it is the one of the first unsettled number, which is settled now.  False: told before, told too
 * early, or never made; such a row must not be handled, it comes again in its turn if it matters.  So an outbox sees the answers
 * of a lane exactly in the order of its numbers, and each once; its own first unsettled number tells it the same. */
bool session_client_settle(struct session_client *c, uint32_t lane, uint64_t number);
/* Has the lane room for one more envelope, were it sealed now?  (open, nothing waiting to be sent, credit left) */
bool session_client_has_credit(const struct session_client *c, uint32_t lane);
uint64_t session_client_unsettled(const struct session_client *c, uint32_t lane);      /* numbers first..end - 1 */

/* ---- receiving ---- */
/* Parcels up to `number` are kept: true if a PARCEL_ACK with that number is to be sent. */
bool session_client_ack(struct session_client *c, uint64_t number);
