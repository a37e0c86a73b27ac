/* reads_audit: acquisitions, one row an UPDATE taken, expanded from delivery receipts (audit.h).
 *
 * The cursor is (grant, last of the receipt, next stream_seq): pages may end inside a receipt's range. */
#include "common/audit.h"
#include "broker/reads.h"
#include "common/macro.h"
#include <errno.h>

#define CURSOR_BYTES (32 + 8 + 8)

struct audit_walk {
        struct reading *r;
        const Shuyi__V1__AuditQuery *query;
        struct audit_sources s;
        struct digest grant;
        uint64_t last;                  /* of the receipt at hand */
        uint32_t epoch;                 /* whose row s.row is */
        bool has_row;
        unsigned looked;
};

static uint64_t number_at(struct reading *r, enum table table, struct bytes stream, struct bytes second)
{
        const Shuyi__V1__NumberRow *n = FOLD_ROW(r->state, r->arena, shuyi__v1__number_row__descriptor, table, stream, second);

        return n ? n->n : 0;
}

/* An entry as a claim that outlives the next one read.  NULL: gone, or not readable. */
static const struct claim *claim_at(struct reading *r, uint64_t seq, struct wall_time *ret_at)
{
        struct segment_entry e;
        const struct claim *claim;
        struct bytes copy;

        if (seq == 0 || reading_entry(r, seq, &e) <= 0)
                return NULL;
        copy = arena_copy(r->arena, e.envelope);
        if (copy.n == 0 || envelope_parse(r->arena, copy, &claim) != ACCEPTED)
                return NULL;
        *ret_at = e.accepted_at;
        return claim;
}

/* The consumer's row of the view epoch; kept while the epoch stays the same. */
static bool find_row(struct audit_walk *w, struct bytes stream, uint32_t epoch)
{
        const Shuyi__V1__ViewEpochBody *body;
        const struct claim *claim;
        struct wall_time at;
        uint8_t number[4];

        if (w->has_row && w->epoch == epoch)
                return true;
        put_be32(number, epoch);
        w->has_row = false;
        w->s.epoch_seq = number_at(w->r, TABLE_EPOCH_SEQ, stream, bytes_of(number, 4));
        claim = claim_at(w->r, w->s.epoch_seq, &at);
        if (!claim || claim->kind->number != KIND_VIEW_EPOCH || !claim->open_body)
                return false;
        body = (const void *)claim->open_body;
        for (size_t i = 0; i < body->n_rows; i++)
                if (bytes_equal(bytes_of(body->rows[i]->grant.data, body->rows[i]->grant.len), bytes_digest(&w->grant))) {
                        w->s.row = body->rows[i];
                        w->epoch = epoch;
                        w->has_row = true;
                }
        return w->has_row;
}

static void name_person(struct reading *r, const char *department, ProtobufCBinaryData person, char **ret)
{
        const Shuyi__V1__PersonRow *row = FOLD_ROW(r->state, r->arena, shuyi__v1__person_row__descriptor, TABLE_PERSON, bytes_str(department), bytes_of(person.data, person.len));

        if (row && row->staff)
                *ret = row->staff->name;
}

static bool emit(struct audit_walk *w)
{
        Shuyi__V1__AcquisitionRow row;

        if (!audit_expand(&w->s, &row) || !audit_matches(w->query, &row))
                return true;
        name_person(w->r, row.consumer, row.user, &row.user_name);
        name_person(w->r, row.consumer, row.approver, &row.approver_name);
        return reading_add(w->r, message_pack(w->r->arena, &row.base));
}

static void stop_at(struct audit_walk *w, uint64_t stream_seq)
{
        uint8_t cursor[CURSOR_BYTES];

        memcpy(cursor, w->grant.b, 32);
        put_be64(cursor + 32, w->last);
        put_be64(cursor + 40, stream_seq);
        reading_next(w->r, bytes_of(cursor, sizeof(cursor)));
}

/* The links of one receipt from `from` on.  False: the page is full. */
static bool walk_receipt(struct audit_walk *w, const struct claim *receipt, uint64_t from)
{
        struct bytes stream = bytes_of(receipt->intent->stream.data, receipt->intent->stream.len);
        uint64_t n = from > w->s.receipt->first ? from : w->s.receipt->first;

        for (; n <= w->s.receipt->last; n++) {
                uint8_t number[8];

                if (!reading_has_room(w->r) || arena_used(w->r->arena) > (16u << 20)) {
                        stop_at(w, n);
                        return false;
                }
                put_be64(number, n);
                w->s.update_seq = number_at(w->r, TABLE_LINK_SEQ, stream, bytes_of(number, 8));
                w->s.update = claim_at(w->r, w->s.update_seq, &w->s.update_at);
                if (!w->s.update || w->s.update->kind->number != KIND_UPDATE || !find_row(w, stream, w->s.update->intent->view_epoch))
                        continue;
                w->s.payload = digest_plain(w->s.update->body);
                if (!emit(w)) {
                        stop_at(w, n);
                        return false;
                }
        }
        return true;
}

static bool may_see(const struct audit_walk *w, const Shuyi__V1__GrantRow *g)
{
        const char *own = w->r->question->department;

        return w->r->auditor || strcmp(g->consumer, own) == 0 || strcmp(g->provider, own) == 0;
}

static uint64_t asked_at(const struct audit_walk *w, const Shuyi__V1__GrantRow *g)
{
        const Shuyi__V1__RequestRow *q = g->request.len == 32 ? FOLD_ROW(w->r->state, w->r->arena, shuyi__v1__request_row__descriptor, TABLE_REQUEST, bytes_of(g->request.data, 32)) : NULL;

        return q ? q->received_at : g->opened_at;
}

/* A new grant comes up in the walk: is it asked for, and may this link see it? */
static bool take_grant(struct audit_walk *w, struct bytes id)
{
        const Shuyi__V1__GrantRow *g;

        if (w->s.grant && bytes_equal(id, bytes_digest(&w->grant)))
                return true;
        w->s.grant = NULL;
        w->has_row = false;
        memcpy(w->grant.b, id.p, DIGEST_BYTES);
        g = FOLD_ROW(w->r->state, w->r->arena, shuyi__v1__grant_row__descriptor, TABLE_GRANT, id);
        if (!g || !may_see(w, g) || !audit_grant_matches(w->query, id, g))
                return false;
        w->s.grant = g;
        w->s.grant_id = bytes_digest(&w->grant);
        w->s.requested_at.ms = asked_at(w, g);
        return true;
}

static int walk(struct audit_walk *w, struct bytes prefix, uint8_t from[64], size_t from_n, uint64_t inside)
{
        struct bytes key, value;
        int f;

        while ((f = store_snapshot_next(w->r->snapshot, STORE_STATE, prefix, bytes_of(from, from_n), &key, &value)) > 0) {
                const struct claim *receipt;
                struct wall_time at;

                if (key.n != 41)
                        return -EBADMSG;
                memcpy(from, key.p, 41);
                from[41] = 0;
                from_n = 42;
                if (!take_grant(w, bytes_of(from + 1, 32))) {
                        memset(from + 33, 0xff, 9);     /* on to the next grant */
                        continue;
                }
                const Shuyi__V1__NumberRow *number = shuyi__v1__number_row__unpack(arena_allocator(w->r->arena), value.n, value.p);

                w->last = get_be64(from + 33);
                w->s.receipt_seq = number ? number->n : 0;
                receipt = claim_at(w->r, w->s.receipt_seq, &at);
                if (!receipt || receipt->kind->number != KIND_DELIVERY_RECEIPT || !receipt->open_body)
                        continue;
                w->s.receipt = (const void *)receipt->open_body;
                if (!walk_receipt(w, receipt, inside))
                        return 0;
                inside = 0;
        }
        return f;
}

int reads_audit(struct reading *r)
{
        const Shuyi__V1__Read *read = r->question->read;
        struct audit_walk w = { .r = r };
        uint8_t prefix[33] = { TABLE_RECEIPT }, from[64] = { TABLE_RECEIPT };
        size_t prefix_n = 1, from_n = 1;
        uint64_t inside = 0;

        w.query = message_parse(r->arena, &shuyi__v1__audit_query__descriptor, bytes_of(read->key.data, read->key.len));
        if (!w.query || (w.query->grant.len != 0 && w.query->grant.len != 32) || (read->after.len != 0 && read->after.len != CURSOR_BYTES)) {
                r->page.code = E_FORM;
                r->page.detail = "key";
                return 0;
        }
        if (w.query->grant.len == 32) {
                memcpy(prefix + 1, w.query->grant.data, 32);
                memcpy(from + 1, w.query->grant.data, 32);
                prefix_n = from_n = 33;
        }
        if (read->after.len == CURSOR_BYTES) {
                memcpy(from + 1, read->after.data, 40);
                from_n = 41;
                inside = get_be64(read->after.data + 40);
        }
        return walk(&w, bytes_of(prefix, prefix_n), from, from_n, inside);
}
