/* bundle_stream: a transfer: the epoch's row, the UPDATE under it, the consumer's receipt, records of it (PROTOCOL.md 17.3). */
#include "common/bundle_internal.h"
#include "common/digest.h"
#include "common/exchange/catalog_rules.h"
#include "common/exchange/guards.h"
#include "common/intent.h"
#include "common/merkle.h"
#include "common/record.h"
#include "common/seal.h"
#include "common/wire.h"
#include "proto/envelope.pb-c.h"

static bool same_bytes(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
        return bytes_equal(bytes_of_field(a), bytes_of_field(b));
}

static struct rows rows_at(struct bundle_walk *w)
{
        return (struct rows){ .state = bundle_rows_state(&w->rows), .arena = w->a };
}

/* ---- a link against the grant ---- */

/* The consumer's row, and that it stands under the header's root. */
static const char *take_row(struct bundle_walk *w, const struct bundle_step *s)
{
        const Shuyi__V1__Intent *i = s->claim->intent;
        struct bytes packed = bytes_of_field(s->entry->row);
        struct digest leaf = row_leaf(packed), root, path[MERKLE_DEPTH_MAX];

        w->row = message_parse(w->a, &shuyi__v1__audience_row__descriptor, packed);
        if (!w->row || !bytes_copy_exact(bytes_of_field(i->records_root), root.b, DIGEST_BYTES))
                return "row";
        for (size_t k = 0; k < s->entry->n_row_path; k++)
                memcpy(path[k].b, s->entry->row_path[k].data, DIGEST_BYTES);
        return s->entry->row_index < i->record_count && merkle_records_check(&leaf, s->entry->row_index, i->record_count, path, s->entry->n_row_path, &root)
                       ? NULL : "row_path";
}

static const char *row_differs(const Shuyi__V1__AudienceRow *r, const Shuyi__V1__GrantRow *g)
{
        if (r->channel != g->channel || strcmp(r->consumer, g->consumer) != 0)
                return "row: channel or consumer";
        if (!same_bytes(r->user, g->user) || !same_bytes(r->approver, g->approver))
                return "row: user or approver";
        if (strcmp(r->purpose, g->purpose) != 0 || r->method != g->method)
                return "row: purpose or method";
        return same_bytes(r->agent, g->agent) ? NULL : "row: agent";
}

static bool in_period(const Shuyi__V1__GrantRow *g, uint64_t at)
{
        return at >= g->period_from && (g->period_to == 0 || at < g->period_to);
}

/* What VIEW_EPOCH and UPDATE have in common.  NULL or what differs. */
static const char *check_link(struct bundle_walk *w, const struct bundle_step *s, const Shuyi__V1__GrantRow *g)
{
        const Shuyi__V1__Intent *i = s->claim->intent;
        struct rows rows = rows_at(w);
        const Shuyi__V1__VersionRow *v = rows_version(&rows, g->resource, g->version);
        struct digest view, stream, secrecy;
        struct id agent;

        if (!v || !bytes_copy_exact(bytes_of_field(v->agent), agent.b, ID_BYTES) || !bytes_equal(bytes_id(&s->signers[0].id), bytes_id(&agent)))
                return "the agent is not the one that the catalog names";
        if (strcmp(i->from, g->provider) != 0 || strcmp(i->resource, g->resource) != 0 || i->resource_version != g->version)
                return "provider or resource";
        if (!items_equal(i->items, i->n_items, g->items, g->n_items) || !same_bytes(i->view, g->view) || !bytes_copy_exact(bytes_of_field(g->view), view.b, DIGEST_BYTES))
                return "items or view";
        stream = stream_id(&agent, &view);
        secrecy = entry_secrecy_digest(w->a, v->entry);
        if (!bytes_equal(bytes_of_field(i->stream), bytes_digest(&stream)))
                return "stream";
        if (!bytes_equal(bytes_of_field(i->secrecy_review), bytes_digest(&secrecy)))
                return "secrecy_review";
        if (!in_period(g, s->entry->accepted_at))
                return "outside the grant's period";
        return g->state == GRANT_ACTIVE ? NULL : "the grant is suspended or ended";
}

static const char *check_update(const struct bundle_walk *w, const struct bundle_step *s)
{
        const Shuyi__V1__Intent *i = s->claim->intent, *e = w->epoch ? w->epoch->claim->intent : NULL;

        if (!e || w->epoch > s || !same_bytes(i->stream, e->stream) || i->view_epoch != e->view_epoch || !same_bytes(i->key_id, e->key_id))
                return "another epoch";
        if (i->stream_seq <= e->stream_seq || i->medium != MEDIUM_NETWORK || i->record_count == 0 || i->record_count > RECORDS_MAX)
                return "stream_seq, medium or record_count";
        return NULL;
}

/* ---- the receipt ---- */

static const char *check_receipt(struct bundle_walk *w, const struct bundle_step *s, const Shuyi__V1__GrantRow *g, struct bytes grant)
{
        const Shuyi__V1__Intent *i = s->claim->intent;
        struct rows rows = rows_at(w);
        const Shuyi__V1__VersionRow *v = rows_version(&rows, g->resource, g->version);
        struct digest view, stream;
        struct id agent;

        if (strcmp(i->from, g->consumer) != 0 || !bytes_equal(bytes_id(&s->signers[0].id), bytes_of_field(g->agent)))
                return "not the agent that the grant names";
        if (!v || !bytes_copy_exact(bytes_of_field(v->agent), agent.b, ID_BYTES) || !bytes_copy_exact(bytes_of_field(g->view), view.b, DIGEST_BYTES))
                return "no such catalog version";
        stream = stream_id(&agent, &view);
        return bytes_equal(bytes_of_field(i->grant), grant) && bytes_equal(bytes_of_field(i->stream), bytes_digest(&stream)) ? NULL : "grant or stream";
}

static struct bytes grant_of(const struct bundle_walk *w, const struct bundle_step *s)
{
        if (w->bundle->kind == BUNDLE_DECISION)
                return bytes_of_field(s->claim->intent->grant);
        return w->row ? bytes_of_field(w->row->grant) : (struct bytes){ 0 };
}

bool bundle_stream(struct bundle_walk *w, struct bundle_step *s)
{
        struct rows rows = rows_at(w);
        const char *wrong = s == w->epoch ? take_row(w, s) : NULL;
        struct bytes id = grant_of(w, s);
        const Shuyi__V1__GrantRow *g = id.n == DIGEST_BYTES ? rows_grant(&rows, id) : NULL;

        if (!wrong && !g)
                wrong = "no such grant";
        if (!wrong)
                wrong = s == w->receipt ? check_receipt(w, s, g, id) : check_link(w, s, g);
        if (!wrong && s == w->epoch)
                wrong = row_differs(w->row, g);
        if (!wrong && s == w->update)
                wrong = check_update(w, s);
        if (wrong)
                bundle_note(w, BUNDLE_AUTHORISED, BUNDLE_STREAM, ACCEPTED, s, wrong);
        else if (s == w->receipt)
                w->receipt_holds = true;
        return !wrong;
}

/* ---- delivered ---- */

/* Headers of the links behind the UPDATE, each the next of the one before; the last one's digest.  NULL or what is wrong. */
static const char *follow_links(struct bundle_walk *w, struct digest *digest)
{
        const Shuyi__V1__Intent *update = w->update->claim->intent;
        uint64_t n = update->stream_seq;

        for (size_t k = 0; k < w->bundle->n_links; k++) {
                struct bytes header = bytes_of_field(w->bundle->links[k]);
                const Shuyi__V1__Header *h = message_parse(w->a, &shuyi__v1__header__descriptor, header);
                const Shuyi__V1__Intent *i = h ? message_parse(w->a, &shuyi__v1__intent__descriptor, bytes_of_field(h->intent)) : NULL;

                if (!i || intent_check_form(i) || i->stream_seq != ++n || !same_bytes(i->stream, update->stream) ||
                    !bytes_equal(bytes_of_field(i->prev_digest), bytes_digest(digest)))
                        return "links";
                *digest = digest_plain(header);
        }
        return NULL;
}

static const char *covers(struct bundle_walk *w, const Shuyi__V1__DeliveryReceiptBody *b)
{
        uint64_t n = w->update->claim->intent->stream_seq;
        struct digest digest = w->update->claim->header_digest;

        if (n < b->first || n > b->last || b->last - n != w->bundle->n_links || b->n_deltas != b->last - b->first)
                return "the receipt is of other links";
        if (follow_links(w, &digest) || !bytes_equal(bytes_of_field(b->last_digest), bytes_digest(&digest)))
                return "last_digest";
        return NULL;
}

static uint64_t acquired_at(const Shuyi__V1__DeliveryReceiptBody *b, uint64_t stream_seq)
{
        uint64_t at = b->acquired_at;

        for (uint64_t i = 0; i < b->n_deltas && b->first + i < stream_seq; i++)
                at += b->deltas[i];
        return at;
}

void bundle_delivered(struct bundle_walk *w)
{
        const Shuyi__V1__DeliveryReceiptBody *b;
        const char *wrong;

        if (!w->update) {
                bundle_spare(w, BUNDLE_DELIVERED);
                return;
        }
        if (!w->receipt) {
                if (w->bundle->n_links)
                        bundle_note(w, BUNDLE_DELIVERED, BUNDLE_RECEIPT, ACCEPTED, NULL, "links");
                else
                        bundle_note(w, BUNDLE_DELIVERED, BUNDLE_MISSING, ACCEPTED, NULL, "no receipt of the consumer");
                return;
        }
        b = (const void *)w->receipt->claim->open_body;
        wrong = covers(w, b);
        if (wrong || !w->receipt_holds) {
                bundle_note(w, BUNDLE_DELIVERED, BUNDLE_RECEIPT, ACCEPTED, w->receipt, wrong ? wrong : "not authorised");
                return;
        }
        w->report->acquired_at = acquired_at(b, w->update->claim->intent->stream_seq);
        for (size_t i = 0; i < b->n_nacks; i++)
                if (b->nacks[i]->stream_seq == w->update->claim->intent->stream_seq)
                        bundle_note(w, BUNDLE_DELIVERED, BUNDLE_NACK, (enum refusal)b->nacks[i]->code, w->receipt, "the consumer could not use it");
}

/* ---- opened ---- */

void bundle_opened(struct bundle_walk *w)
{
        const Shuyi__V1__Intent *i = w->update ? w->update->claim->intent : NULL;
        size_t n = w->bundle->n_records;
        struct digest root, path[MERKLE_DEPTH_MAX];

        if (n == 0) {
                bundle_spare(w, BUNDLE_OPENED);
                return;
        }
        w->report->records = ARENA_ARRAY(w->a, const Shuyi__V1__Record *, n);
        if (!w->report->records || !bytes_copy_exact(bytes_of_field(i->records_root), root.b, DIGEST_BYTES)) {
                bundle_note(w, BUNDLE_OPENED, BUNDLE_WRONG_RECORD, ACCEPTED, w->update, "records_root");
                return;
        }
        for (size_t k = 0; k < n; k++) {
                const Shuyi__V1__BundleRecord *r = w->bundle->records[k];
                struct digest leaf = DIGEST_OF(CTX_RECORD_LEAF, bytes_of_field(r->salt), bytes_of_field(r->record));
                const Shuyi__V1__Record *record = message_parse(w->a, &shuyi__v1__record__descriptor, bytes_of_field(r->record));

                for (size_t p = 0; p < r->n_path; p++)
                        memcpy(path[p].b, r->path[p].data, DIGEST_BYTES);
                if (!record || !merkle_records_check(&leaf, r->index, i->record_count, path, r->n_path, &root))
                        bundle_note(w, BUNDLE_OPENED, BUNDLE_WRONG_RECORD, ACCEPTED, w->update, "record");
                else
                        w->report->records[w->report->records_n++] = record;
        }
}
