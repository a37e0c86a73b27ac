/* receipt_act: the consumer's signed word that links arrived, when, and what was wrong with them.
 *
 * It moves the subscription's cursor, and nothing else does.  `last` is compared with the log by its digest; the links before
 * it hang on it by their prev_digest.  Times of the links between first and last are the consumer's own word: the broker
 * asks that they rise and that first and last lie after their acceptance. */
#include "common/exchange/stream.h"

#include "common/exchange/grant.h"
#include "common/exchange/request.h"

static const Shuyi__V1__DeliveryReceiptBody *body_of(const struct turn *t)
{
        return (const Shuyi__V1__DeliveryReceiptBody *)t->claim->open_body;
}

static bool nacks_fit(const Shuyi__V1__DeliveryReceiptBody *b)
{
        for (size_t i = 0; i < b->n_nacks; i++) {
                const Shuyi__V1__Nack *n = b->nacks[i];

                if (n->stream_seq < b->first || n->stream_seq > b->last || n->code == ACCEPTED || !refusal_known(n->code) || n->count == 0)
                        return false;
                if (i && n->stream_seq < b->nacks[i - 1]->stream_seq)
                        return false;
        }
        return true;
}

enum refusal guard_receipt_fields(struct turn *t, void *matter)
{
        const struct stream_act *s = matter;
        const Shuyi__V1__DeliveryReceiptBody *b = body_of(t);

        t->detail[0] = 0;
        if (!s->stream || !bytes_equal(bytes_of_field(t->intent->stream), s->id))
                turn_detail(t, "stream");
        if (!b || b->first == 0 || b->last < b->first || b->last - b->first >= RECEIPT_LINKS_MAX)
                turn_detail(t, "last");
        else if (b->n_deltas != b->last - b->first)
                turn_detail(t, "deltas");
        if (b && b->last_digest.len != DIGEST_BYTES)
                turn_detail(t, "last_digest");
        if (b && !nacks_fit(b))
                turn_detail(t, "nacks");
        return t->detail[0] ? G_FIELD : ACCEPTED;
}

/* The next ones, of those that were there for it. */
enum refusal guard_receipt_range(struct turn *t, void *matter)
{
        const struct stream_act *s = matter;
        const Shuyi__V1__DeliveryReceiptBody *b = body_of(t);
        uint64_t end = s->sub->stop ? s->sub->stop : s->stream->head;

        if (b->first != s->sub->cursor + 1) {
                char *number = arena_printf(t->arena, "expected=%llu", (unsigned long long)s->sub->cursor + 1);

                return turn_refuse(t, b->first <= s->sub->cursor ? E_REPLAY : E_STATE, number ? number : "first");
        }
        return b->last <= end ? ACCEPTED : turn_refuse(t, E_STATE, "last");
}

static const Shuyi__V1__NumberRow *link_at(struct turn *t, const struct stream_act *s, uint64_t stream_seq)
{
        return turn_get_row(t, TURN_KEY(t, TABLE_LINK_SEQ, s->id, turn_u64(t, stream_seq)), &shuyi__v1__number_row__descriptor);
}

/* Another digest than the log's: another history was shown to somebody.  Refused, and so on record. */
enum refusal guard_receipt_digest(struct turn *t, void *matter)
{
        const struct stream_act *s = matter;
        const Shuyi__V1__NumberRow *link = link_at(t, s, body_of(t)->last);

        return link && field_equal(link->digest, body_of(t)->last_digest) ? ACCEPTED : turn_refuse(t, E_CONTENT, "last_digest");
}

/* acquired_at of `last`; false where the sum leaves the range of times. */
static bool last_acquired(const Shuyi__V1__DeliveryReceiptBody *b, uint64_t *ret)
{
        uint64_t at = b->acquired_at;

        for (size_t i = 0; i < b->n_deltas; i++)
                if (__builtin_add_overflow(at, b->deltas[i], &at))
                        return false;
        *ret = at;
        return true;
}

enum refusal guard_receipt_times(struct turn *t, void *matter)
{
        const struct stream_act *s = matter;
        const Shuyi__V1__DeliveryReceiptBody *b = body_of(t);
        const Shuyi__V1__NumberRow *first = link_at(t, s, b->first), *last = link_at(t, s, b->last);
        uint64_t end = 0;

        if (!first || !last || !last_acquired(b, &end) || end > t->now.ms + SKEW_MS || b->acquired_at + SKEW_MS < first->at ||
            end + SKEW_MS < last->at)
                return turn_refuse(t, G_FIELD, "acquired_at");
        return ACCEPTED;
}

/* A NACK stops the subscription here; the provider must look, the authority knows. */
static void stop(struct turn *t, struct stream_act *s, uint64_t last)
{
        if (s->sub->state == SUB_LIVE)
                listener_settle(t, s->stream, s->sub);
        s->stopped = s->sub->state != SUB_ENDED;
        if (s->sub->stop == 0 || s->sub->stop > last)
                s->sub->stop = last;
        TELL(t, NOTICE_FAIL, s->grant->provider, t->meta->authority);
}

void receipt_apply(struct turn *t, void *matter)
{
        struct stream_act *s = matter;
        const Shuyi__V1__DeliveryReceiptBody *b = body_of(t);
        Shuyi__V1__NumberRow place = SHUYI__V1__NUMBER_ROW__INIT;
        bool first = b->first == s->sub->start;

        s->sub->cursor = b->last;
        s->sub->last_digest = b->last_digest;
        place.n = t->entry->seq;
        turn_put_row(t, TURN_KEY(t, TABLE_RECEIPT, s->grant_id, turn_u64(t, b->last)), &place.base);
        if (b->n_nacks)
                stop(t, s, b->last);
        if (first && s->grant->request.len)
                request_provided(t, bytes_of_field(s->grant->request));
}
