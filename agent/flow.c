/* flow: small decisions, mostly tables. */
#include "agent/flow.h"
#include "common/digest.h"
#include "common/macro.h"
#include <stdlib.h>

static struct mono_time after_ms(struct mono_time t, uint64_t ms)
{
        return (struct mono_time){ t.ns + ms * 1000000 };
}

/* ---- outbox: one envelope ---- */

bool flow_batch_add(struct flow_batch *b, uint32_t record_bytes)
{
        if (b->records >= RECORDS_MAX)
                return false;
        if (b->records > 0 && (uint64_t)b->bytes + record_bytes > FLOW_CONTENT_MAX_BYTES)
                return false;
        b->records++;
        b->bytes += record_bytes;
        return true;
}

bool flow_batch_full(const struct flow_batch *b)
{
        return b->records >= RECORDS_MAX;
}

enum flow_seal flow_seal_when(const struct flow_waiting *w, struct mono_time now, struct mono_time *ret_at)
{
        struct mono_time due = after_ms(w->oldest, FLOW_LINGER_MS);

        if (w->batch.records == 0 || !w->credit)
                return FLOW_SEAL_NOTHING;
        if (w->unacknowledged == 0 || w->more || flow_batch_full(&w->batch) || now.ns >= due.ns)
                return FLOW_SEAL_NOW;
        *ret_at = due;
        return FLOW_SEAL_AT;
}

/* ---- outbox: numbers ---- */

uint64_t flow_lane_take(struct flow_lane *l)
{
        return l->next++;
}

struct flow_next flow_stream_next(const struct flow_stream *s)
{
        return (struct flow_next){ .stream_seq = s->sealed + 1, .prev = s->head };
}

void flow_stream_sealed(struct flow_stream *s, const struct digest *header_digest)
{
        s->sealed++;
        s->head = *header_digest;
}

void flow_stream_back(struct flow_stream *s, uint64_t accepted, const struct digest *header_digest)
{
        s->sealed = accepted;
        s->head = accepted > 0 ? *header_digest : (struct digest){ { 0 } };
}

/* ---- outbox: refusals ---- */

static const struct flow_refusal refusals[] = {
        /* code           verdict           again after   why */
        { ACCEPTED,       FLOW_DONE,        0,            "it is an entry" },
        { E_STALE_EPOCH,  FLOW_NEW_EPOCH,   0,            "a grant or key of the audience changed: next epoch, new key" },
        { E_FROZEN,       FLOW_WAIT,        30000,        "until the authority unfreezes the entry" },
        { E_SUSPENDED,    FLOW_WAIT,        30000,        "until department, person or grant are resumed" },
        { G_RATE,         FLOW_WAIT,        300000,       "until the next day" },
        { E_QUOTA,        FLOW_WAIT,        300000,       "until the next day, or the operator raises it" },
        { E_REPLAY,       FLOW_AGAIN,       0,            "a later number became an entry first and this one never will" },
};

static const struct flow_refusal dead_letter = { G_OTHER, FLOW_DEAD_LETTER, 0, "the content or the act is refused for good" };

struct flow_refusal flow_data_refused(enum refusal code, uint64_t seq)
{
        struct flow_refusal r = dead_letter;

        for (size_t i = 0; i < ELEMENTS(refusals); i++)
                if (refusals[i].code == code)
                        r = refusals[i];
        if (code == E_REPLAY && seq > 0)
                r = refusals[0];                /* this very number is an entry */
        r.code = code;
        return r;
}

const struct flow_refusal *flow_refusal_at(unsigned index)
{
        return index < ELEMENTS(refusals) ? &refusals[index] : NULL;
}

bool flow_refusal_follows(uint64_t stream_seq, uint64_t first_refused)
{
        return first_refused > 0 && stream_seq > first_refused;
}

/* ---- inbox: links ---- */

struct flow_position flow_position_start(uint64_t first)
{
        return (struct flow_position){ .cursor = first > 0 ? first - 1 : 0 };
}

/* A link that should be held already. */
static enum flow_arrival arrive_again(const struct flow_position *p, uint64_t stream_seq, const struct digest *header_digest, const struct digest *held)
{
        if (!held && stream_seq == p->cursor && !digest_is_zero(&p->head))
                held = &p->head;
        return held && !digest_equal(held, header_digest) ? FLOW_FORK : FLOW_REPEAT;
}

enum flow_arrival flow_arrive(const struct flow_position *p, uint64_t stream_seq, const struct digest *prev,
                              const struct digest *header_digest, const struct digest *held)
{
        bool nothing_held = p->cursor == 0 && digest_is_zero(&p->head);

        if (stream_seq == 0)
                return FLOW_FORK;
        if (stream_seq == 1 && prev && !digest_is_zero(prev))
                return FLOW_FORK;               /* nothing can be before link 1 */
        if (nothing_held)
                return FLOW_TAKE;
        if (stream_seq <= p->cursor)
                return arrive_again(p, stream_seq, header_digest, held);
        if (stream_seq > p->cursor + 1)
                return FLOW_GAP;
        if (digest_is_zero(&p->head))
                return FLOW_TAKE;               /* the start of a subscription */
        return prev && digest_equal(prev, &p->head) ? FLOW_TAKE : FLOW_FORK;
}

void flow_position_take(struct flow_position *p, uint64_t stream_seq, const struct digest *header_digest)
{
        p->cursor = stream_seq;
        p->head = *header_digest;
}

const char *flow_arrival_text(enum flow_arrival a)
{
        static const char *const texts[] = { [FLOW_TAKE] = "take", [FLOW_REPEAT] = "repeat", [FLOW_GAP] = "gap", [FLOW_FORK] = "fork" };

        return (unsigned)a < ELEMENTS(texts) ? texts[a] : "unknown";
}

/* ---- inbox: delivery receipts ---- */

void flow_unreceipted_add(struct flow_unreceipted *u, struct mono_time now, bool nack)
{
        if (u->transfers++ == 0)
                u->first = now;
        u->nack |= nack;
}

bool flow_receipt_due(const struct flow_unreceipted *u, struct mono_time now, struct mono_time *ret_at)
{
        *ret_at = (struct mono_time){ UINT64_MAX };
        if (u->transfers == 0)
                return false;
        *ret_at = after_ms(u->first, FLOW_RECEIPT_MS);
        return u->nack || u->transfers >= FLOW_RECEIPT_TRANSFERS || now.ns >= ret_at->ns;
}

bool flow_receipt_expected(enum refusal code, const char *detail, uint64_t *ret_first)
{
        static const char prefix[] = "expected=";
        char *end;
        uint64_t n;

        if (code != E_STATE && code != E_REPLAY)
                return false;
        if (*detail == 0) {
                *ret_first = 0;
                return true;
        }
        if (strncmp(detail, prefix, sizeof(prefix) - 1) != 0)
                return false;
        detail += sizeof(prefix) - 1;
        if (*detail < '0' || *detail > '9')
                return false;
        n = strtoull(detail, &end, 10);
        if (*end)
                return false;
        *ret_first = n;
        return true;
}

/* ---- trust ---- */

static uint64_t age_ms(struct wall_time then, struct wall_time now)
{
        return now.ms > then.ms ? now.ms - then.ms : 0;
}

enum flow_trust flow_trust_judge(const struct flow_head *h, struct wall_time now, uint64_t max_age_ms, uint64_t *ret_age_ms)
{
        uint64_t age = h->trust_seq > 0 ? age_ms(h->accepted_at, now) : 0;

        if (ret_age_ms)
                *ret_age_ms = age;
        if (h->trust_seq == 0)
                return FLOW_STALE;
        if (h->accepted_at.ms > now.ms && h->accepted_at.ms - now.ms > FLOW_AHEAD_MS)
                return FLOW_AHEAD;
        return age > max_age_ms ? FLOW_STALE : FLOW_FRESH;
}

/* A head is repeated while no record comes: the same trust_seq, later. */
enum flow_head_order flow_head_compare(const struct flow_head *held, const struct flow_head *came)
{
        if (came->trust_seq < held->trust_seq)
                return FLOW_HEAD_LOWER;
        if (came->trust_seq > held->trust_seq)
                return FLOW_HEAD_NEWER;
        if (!digest_equal(&came->digest, &held->digest))
                return FLOW_HEAD_FORK;
        if (came->accepted_at.ms > held->accepted_at.ms)
                return FLOW_HEAD_NEWER;
        return came->accepted_at.ms == held->accepted_at.ms ? FLOW_HEAD_SAME : FLOW_HEAD_LOWER;
}

static const bool needs_fresh[] = {
        [FLOW_TAKE_PUSH] = false, [FLOW_QUEUE_ACT] = false, [FLOW_QUEUE_RECEIPT] = false, [FLOW_SERVE_OPENED] = false,
        [FLOW_SEAL] = true, [FLOW_OPEN] = true, [FLOW_ANSWER] = true,
};

bool flow_may(enum flow_work w, enum flow_trust t)
{
        return t == FLOW_FRESH || !needs_fresh[w];
}

bool flow_stream_silent(struct wall_time last_accepted_at, struct wall_time now, uint64_t max_age_ms)
{
        return age_ms(last_accepted_at, now) > max_age_ms;
}
