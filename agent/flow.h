/* flow: what an agent's outbox and inbox decide.
 *
 * When taken records are sealed and how many fit; which number comes next; what a refusal does to what was sent; when a
 * delivery receipt is due; whether a link that came in continues its stream; whether the trust held is fresh enough to
 * act under.  Values in, values out: no clock, no I/O; the shells (outbox, inbox) carry it out.  Any thread. */
#pragma once
#include "common/bytes.h"
#include "common/record.h"
#include "common/refusal.h"
#include "common/times.h"

#define FLOW_CONTENT_MAX_BYTES (512 * 1024)     /* packed records of one UPDATE */
#define FLOW_LINGER_MS 2
#define FLOW_RECEIPT_TRANSFERS 256
#define FLOW_RECEIPT_MS 100
#define FLOW_AHEAD_MS 5000                      /* a head further ahead of our clock than this counts as stale */

/* ---- outbox: what goes into one envelope ---- */

struct flow_batch { uint32_t records; uint32_t bytes; };        /* {0} is empty */

/* Adds a record of so many packed bytes if it fits; false, and unchanged, if not.  One record always fits into {0}: its size
 * was checked when it was taken. */
bool flow_batch_add(struct flow_batch *b, uint32_t record_bytes);
bool flow_batch_full(const struct flow_batch *b);       /* by count; by bytes it shows at the next add */

struct flow_waiting {
        struct flow_batch batch;        /* what would go into the next envelope */
        bool more;                      /* another record waits that does not fit */
        struct mono_time oldest;        /* when the first of them was taken */
        uint64_t unacknowledged;        /* sealed and without a receipt, of this stream */
        bool credit;                    /* session_client_has_credit */
};

enum flow_seal { FLOW_SEAL_NOTHING, FLOW_SEAL_NOW, FLOW_SEAL_AT };      /* AT: wait until *ret_at, or until a receipt comes */
/* At once when nothing is unacknowledged, else when the envelope is full or 2 ms have passed. */
enum flow_seal flow_seal_when(const struct flow_waiting *w, struct mono_time now, struct mono_time *ret_at);

/* ---- outbox: numbers ---- */

struct flow_lane { uint64_t epoch, next; };             /* of the outbox: next outbox_seq, from 1 */
uint64_t flow_lane_take(struct flow_lane *l);           /* the number, and moves on */

/* The chain of one stream as its provider seals it. */
struct flow_stream { uint64_t sealed; struct digest head; };    /* last stream_seq sealed and its header digest; {0} before link 1 */
struct flow_next { uint64_t stream_seq; struct digest prev; };
struct flow_next flow_stream_next(const struct flow_stream *s);
void flow_stream_sealed(struct flow_stream *s, const struct digest *header_digest);
/* Links after `accepted` were refused and go back to taken: the chain ends at it again. */
void flow_stream_back(struct flow_stream *s, uint64_t accepted, const struct digest *header_digest);

/* ---- outbox: refusals ---- */

/* A refused link drags the later ones of its stream along: each is sent all the same and refused in its turn (or answered
 * E_REPLAY), because a stream_seq may be sealed again only when its signed refusal is held.  So the chain goes back when the
 * last link sealed after the refused one has its receipt. */
enum flow_verdict {
        FLOW_DONE,                      /* accepted */
        FLOW_NEW_EPOCH,                 /* this link and later ones back to taken; next view epoch with a new key; seal again */
        FLOW_WAIT,                      /* back to taken; nothing is sealed for the stream until `retry_ms` or a trust record */
        FLOW_AGAIN,                     /* back to taken and sealed again at once: it never became an entry */
        FLOW_DEAD_LETTER,               /* this envelope's records to the dead-letter place with the code; later ones back to taken */
};

struct flow_refusal { enum refusal code; enum flow_verdict verdict; uint32_t retry_ms; const char *why; };

/* What a receipt row of a data link means.  `seq` of the row: 0 made no entry.  Codes without a row of their own: dead letter. */
struct flow_refusal flow_data_refused(enum refusal code, uint64_t seq);
const struct flow_refusal *flow_refusal_at(unsigned index);     /* the table, for manuals; NULL past the end */

/* Was link `stream_seq` refused only because `first_refused` before it was (0: none)?  Then it is FLOW_AGAIN whatever its code. */
bool flow_refusal_follows(uint64_t stream_seq, uint64_t first_refused);

/* ---- inbox: does a link continue its stream? ---- */

struct flow_position { uint64_t cursor; struct digest head; };  /* last link taken and its header digest */

enum flow_arrival {
        FLOW_TAKE,                      /* exactly cursor + 1, chained to what we hold */
        FLOW_REPEAT,                    /* held already, the same: acknowledge, do nothing */
        FLOW_GAP,                       /* links are missing: do not take, subscribe again from the cursor */
        FLOW_FORK,                      /* another history: stop, incident */
};

/* `prev` may be NULL: the header names none.  `held`: header digest of the link held under that number, NULL if it is not held
 * any more.  A position of {0} holds nothing yet and takes any link as its first; one made by flow_position_start takes
 * exactly that link, whatever is before it. */
enum flow_arrival flow_arrive(const struct flow_position *p, uint64_t stream_seq, const struct digest *prev,
                              const struct digest *header_digest, const struct digest *held);
void flow_position_take(struct flow_position *p, uint64_t stream_seq, const struct digest *header_digest);
/* A subscription that begins in the middle: link `first` is the next one. */
struct flow_position flow_position_start(uint64_t first);
const char *flow_arrival_text(enum flow_arrival a);

/* ---- inbox: delivery receipts ---- */

struct flow_unreceipted { uint32_t transfers; struct mono_time first; bool nack; };     /* {0}: none */
void flow_unreceipted_add(struct flow_unreceipted *u, struct mono_time now, bool nack);
/* Due at 256 transfers, 100 ms after the first, or at once with a NACK.  false: not yet; *ret_at when (UINT64_MAX: none waits). */
bool flow_receipt_due(const struct flow_unreceipted *u, struct mono_time now, struct mono_time *ret_at);

/* A DELIVERY_RECEIPT was refused because the center's cursor stands elsewhere (E_STATE or E_REPLAY, "expected=N": the subscription
 * began anew under it): true, and the link from which to say it again; 0 where the detail is missing, as in an answer to a
 * repetition: then the subscription's row has the cursor.  Any other refusal of a receipt is an incident. */
bool flow_receipt_expected(enum refusal code, const char *detail, uint64_t *ret_first);

/* ---- trust ---- */

struct flow_head { uint64_t trust_seq; struct wall_time accepted_at; struct digest digest; };   /* chain digest; {0}: none seen */

enum flow_trust {
        FLOW_FRESH,
        FLOW_STALE,                     /* older than allowed, or none held */
        FLOW_AHEAD,                     /* more than 5 s ahead of our clock: stale too */
        FLOW_HALTED,                    /* two histories were shown: as stale, until a person has dismissed the alarm */
};
/* `max_age_ms`: trust_max_age of the policy for what is to be done.  *ret_age_ms (may be NULL) is 0 when ahead or none. */
enum flow_trust flow_trust_judge(const struct flow_head *h, struct wall_time now, uint64_t max_age_ms, uint64_t *ret_age_ms);

enum flow_head_order { FLOW_HEAD_NEWER, FLOW_HEAD_SAME, FLOW_HEAD_LOWER, FLOW_HEAD_FORK };
/* A proved head against the highest one held: by trust_seq, then by time (a head is repeated while no record comes).  Only
 * NEWER is taken; LOWER and FORK (equal trust_seq, another chain digest) never. */
enum flow_head_order flow_head_compare(const struct flow_head *held, const struct flow_head *came);

enum flow_work { FLOW_TAKE_PUSH, FLOW_QUEUE_ACT, FLOW_QUEUE_RECEIPT, FLOW_SERVE_OPENED, FLOW_SEAL, FLOW_OPEN, FLOW_ANSWER };
bool flow_may(enum flow_work w, enum flow_trust t);     /* DESIGN 3, Freshness: the last three need a fresh head */

/* No link of a live stream, not even a STREAM_HEAD, for longer than max_age_ms: a dropped tail or a silent provider. */
bool flow_stream_silent(struct wall_time last_accepted_at, struct wall_time now, uint64_t max_age_ms);
