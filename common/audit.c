/* audit: see the header. */
#include "common/audit.h"

static ProtobufCBinaryData data_of(struct bytes b)
{
        return (ProtobufCBinaryData){ b.n, (uint8_t *)b.p };
}

static bool fits_text(const char *wanted, const char *a, const char *b)
{
        return !wanted[0] || strcmp(wanted, a) == 0 || strcmp(wanted, b) == 0;
}

static bool same(ProtobufCBinaryData a, struct bytes b)
{
        return bytes_equal(bytes_of(a.data, a.len), b);
}

struct wall_time audit_acquired_at(const Shuyi__V1__DeliveryReceiptBody *receipt, uint64_t stream_seq)
{
        uint64_t at = receipt->acquired_at;

        for (uint64_t i = 0; i < receipt->n_deltas && receipt->first + i < stream_seq; i++)
                at += receipt->deltas[i];
        return (struct wall_time){ at };
}

static uint32_t nack_of(const Shuyi__V1__DeliveryReceiptBody *receipt, uint64_t stream_seq)
{
        for (size_t i = 0; i < receipt->n_nacks; i++)
                if (receipt->nacks[i]->stream_seq == stream_seq)
                        return receipt->nacks[i]->code;
        return 0;
}

/* What the UPDATE's header says. */
static void take_update(const struct audit_sources *s, Shuyi__V1__AcquisitionRow *ret)
{
        const Shuyi__V1__Intent *i = s->update->intent;

        ret->resource = i->resource;
        ret->resource_version = i->resource_version;
        ret->n_items = i->n_items;
        ret->items = i->items;
        ret->record_count = i->record_count;
        ret->medium = i->medium;
        ret->provider = i->from;
        ret->sent_at = i->created_at;
        ret->broker_at = s->update_at.ms;
        ret->stream = i->stream;
        ret->stream_seq = i->stream_seq;
        ret->view_epoch = i->view_epoch;
        ret->filter_digest = i->filter_digest;
        ret->mask_version = i->mask_version;
        ret->update_seq = s->update_seq;
        ret->payload_digest = data_of(s->update->body_digest);
        ret->record_id = data_of(bytes_digest(&s->update->header_digest));
}

/* What the consumer's row of the epoch says. */
static void take_row(const struct audit_sources *s, Shuyi__V1__AcquisitionRow *ret)
{
        const Shuyi__V1__AudienceRow *row = s->row;

        ret->channel = row->channel;
        ret->user = row->user;
        ret->approver = row->approver;
        ret->method = row->method;
        ret->purpose = row->purpose;
        ret->consumer = row->consumer;
        ret->agent = row->agent;
        ret->epoch_seq = s->epoch_seq;
}

bool audit_expand(const struct audit_sources *s, Shuyi__V1__AcquisitionRow *ret)
{
        uint64_t at = s->update->intent->stream_seq;

        if (at < s->receipt->first || at > s->receipt->last)
                return false;
        shuyi__v1__acquisition_row__init(ret);
        take_update(s, ret);
        take_row(s, ret);
        if (ret->n_items == 0) {                /* the header names items only where they differ from the view's */
                ret->n_items = s->grant->n_items;
                ret->items = s->grant->items;
        }
        if (!ret->resource[0]) {
                ret->resource = s->grant->resource;
                ret->resource_version = s->grant->version;
        }
        ret->acquired_at = audit_acquired_at(s->receipt, at).ms;
        ret->nack = nack_of(s->receipt, at);
        ret->receipt_seq = s->receipt_seq;
        ret->requested_at = s->requested_at.ms;
        ret->grant = data_of(s->grant_id);
        ret->request = s->grant->request;
        return true;
}

static bool fits_outcome(const Shuyi__V1__AuditQuery *q, uint32_t nack)
{
        if (q->code)
                return nack == q->code;
        return q->outcome == 0 || (q->outcome == AUDIT_REFUSED) == (nack != 0);
}

bool audit_matches(const Shuyi__V1__AuditQuery *q, const Shuyi__V1__AcquisitionRow *row)
{
        return fits_text(q->department, row->consumer, row->provider) && fits_text(q->resource, row->resource, row->resource) &&
               (q->person.len == 0 || same(q->person, bytes_of(row->user.data, row->user.len)) ||
                same(q->person, bytes_of(row->approver.data, row->approver.len))) &&
               (q->grant.len == 0 || same(q->grant, bytes_of(row->grant.data, row->grant.len))) &&
               row->acquired_at >= q->from && (q->to == 0 || row->acquired_at < q->to) && fits_outcome(q, row->nack);
}
