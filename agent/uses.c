/* uses: see uses.h. */
#include "agent/uses.h"
#include <errno.h>

#include "common/envelope.h"
#include "proto/audit.pb-c.h"

static void fill_grant(Shuyi__V1__AcquisitionRow *row, const Shuyi__V1__GrantRow *g)
{
        row->channel = g->channel;
        row->user = g->user;
        row->approver = g->approver;
        row->resource = g->resource;
        row->resource_version = g->version;
        row->items = g->items;
        row->n_items = g->n_items;
        row->method = g->method;
        row->purpose = g->purpose;
        row->provider = g->provider;
        row->consumer = g->consumer;
        row->request = g->request;
        row->agent = g->agent;
}

static void fill_update(Shuyi__V1__AcquisitionRow *row, const struct claim *c)
{
        row->record_count = c->intent->record_count;
        row->medium = c->intent->medium;
        row->sent_at = c->intent->created_at;
        row->stream = c->intent->stream;
        row->stream_seq = c->intent->stream_seq;
        row->view_epoch = c->intent->view_epoch;
        row->filter_digest = c->intent->filter_digest;
        row->mask_version = c->intent->mask_version;
        row->record_id = keep_binary(bytes_digest(&c->header_digest));
}

int uses_note(struct agent *ag, struct arena *a, const struct digest *grant, const Shuyi__Agent__PendingRow *link, const struct opened *o,
              struct wall_time acquired)
{
        struct agent_key k = agent_key_u64(agent_key_bytes(agent_key(AGENT_USE), bytes_digest(grant)), link->stream_seq);
        Shuyi__V1__AcquisitionRow row = SHUYI__V1__ACQUISITION_ROW__INIT;
        const Shuyi__V1__Header *header;

        if (o->kind != KIND_UPDATE || !o->grant || !o->claim)
                return 0;
        header = message_parse(a, &shuyi__v1__header__descriptor, o->claim->header);
        if (!header)
                return -ENOMEM;
        fill_grant(&row, o->grant);
        fill_update(&row, o->claim);
        row.grant = keep_binary(bytes_digest(grant));
        row.payload_digest = header->body_digest;       /* checked when the link was opened */
        row.acquired_at = acquired.ms;
        row.broker_at = link->accepted_at;
        row.update_seq = link->seq;
        row.nack = o->result == OPENING_BREACH ? o->code : 0;
        return keep_put(ag->store, a, &k, &row.base);
}
