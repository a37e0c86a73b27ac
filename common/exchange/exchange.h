/* exchange: the rules of the exchange as one function of (state, input).  DESIGN 2.
 *
 * exchange_apply() decides an entry: accepted with effects, or refused with a code.  It has no clock, no I/O, no
 * randomness, no configuration; equal states and inputs give equal outcomes, on every machine.  Broker, replay,
 * simulation and offline checks call the same function.  One thread per `struct exchange`. */
#pragma once
#include "common/arena.h"
#include "common/bytes.h"
#include "common/envelope.h"
#include "common/exchange/state.h"
#include "common/exchange/tables.h"
#include "common/times.h"
#include "proto/log.pb-c.h"
#include "proto/state.pb-c.h"

#define RULES_VERSION 1
#define SKEW_MS 300000ull                       /* created_at beyond now + skew is refused */
#define EXPIRY_MAX_MS (30 * DAY_MS)             /* a control act lives at most this long */
#define EFFECT_ROWS_MAX 1024
#define EFFECT_BYTES_MAX (256 * 1024)
#define LANE_WINDOW 1024                        /* unsettled frames a lane; numbers remembered */
#define TICK_MAX 64

/* An input of the log: a claim with its seq and time. */
struct entry {
        uint64_t epoch, seq;                    /* seq from 1 */
        struct wall_time accepted_at;
        uint32_t link;                          /* link number it came over; 0: the broker itself, genesis */
        uint8_t lane;
        uint64_t outbox_epoch, outbox_seq;      /* 0 where link is 0 */
        const struct claim *claim;
};

struct effect { struct bytes key, value; bool remove; };

/* Whom to wake once the entry is durable: what the deliver stage needs to know, derived from the effects. */
enum wake_kind { WAKE_FEED, WAKE_STREAM, WAKE_SUBSCRIPTION, WAKE_TRUST, WAKE_DIRECTORY };
struct wake { enum wake_kind kind; struct bytes key; };         /* department; stream id; grant id; none; none */

struct outcome {
        enum refusal code;
        const char *detail;                     /* in the arena: failing codes, fields or ids, "" if none; at most 512 bytes */
        const struct effect *effects;           /* in the order written, one a key; own their bytes in the arena */
        size_t effects_n;
        struct digest effects_digest;           /* over rows the refused leave, too: lanes move */
        const struct wake *wakes;
        size_t wakes_n;
        bool trust_moved;                       /* the group must end with a TRUST_HEAD */
};

struct exchange;

/* `domain` six digits.  Holds parsed policy and calendar as a memo; nothing else. */
struct exchange *exchange_new(const char *domain);
void exchange_free(struct exchange *x);         /* NULL is fine */
void exchange_freep(struct exchange **x);

/* Decides.  0 with *ret filled, or a fault: negative errno of the state's functions, -ENOMEM when `a` is full,
 * -EBADMSG when the state contradicts itself or a SYSTEM entry does not match it (the process stops).
 * Refused data envelopes leave no effects; refused control acts only what remembers them (table_remembers). */
int exchange_apply(struct exchange *x, struct state state, const struct entry *entry, struct arena *a, struct outcome *ret);

/* What the sequencer must make next of itself, given the state at `now`: true if a TICK is due. */
int exchange_tick_due(struct state state, struct wall_time now, bool *ret);
/* When the next item falls due: UINT64_MAX ms if none. */
int exchange_next_due(struct state state, struct wall_time *ret);
/* Bodies of SYSTEM entries, from the state; apply() recomputes and compares. */
int exchange_tick_body(struct state state, struct wall_time now, Shuyi__V1__TickBody *ret);
int exchange_trust_head_body(struct state state, struct arena *a, Shuyi__V1__TrustHeadBody *ret);

/* An answer to a repetition: is (link, lane, outbox_epoch, outbox_seq) already an entry?  1 and its seq, 0, or a fault. */
int exchange_find_settled(struct state state, uint32_t link, uint8_t lane, uint64_t outbox_epoch, uint64_t outbox_seq, uint64_t *ret_seq);

/* Leaf of an entry: SHA-256(0x00 | fixed record), RFC 9162 (PROTOCOL.md, leaf). */
#define LEAF_RECORD_BYTES (8 + 8 + 8 + 8 + 32 + 4 + 32)
void exchange_leaf_record(const char *domain, const struct entry *entry, const struct outcome *outcome, uint8_t ret[LEAF_RECORD_BYTES]);

/* The empty domain's first row: writes META for `domain` as effects.  Called once by whoever makes a store. */
int exchange_genesis_effects(const char *domain, struct arena *a, const struct effect **ret, size_t *ret_n);
