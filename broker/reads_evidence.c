/* reads_evidence: lookups in the trust map, and the parts of an evidence bundle (PROTOCOL.md 17; proto/bundle.proto).
 *
 * A bundle is put together anew for each of its pages, under the tree size that the first page chose: the cursor is
 * (size, next item), and what was given out once comes again the same. */
#include "broker/reads.h"
#include "common/macro.h"
#include "common/seal.h"
#include <errno.h>

#define CURSOR_BYTES (8 + 4)
#define LINKS_SCANNED_MAX 200000                /* of a stream, for an UPDATE named by its digest */

static int refuse(struct reading *r, enum refusal code, const char *detail)
{
        r->page.code = code;
        r->page.detail = (char *)detail;
        return 0;
}

/* ---- the log as a source of bundles ---- */

static int source_entry(void *ctx, uint64_t seq, struct arena *a, struct bundle_log_entry *ret)
{
        struct reading *r = ctx;
        struct fold_outcome outcome;
        struct segment_entry e;
        int f = reading_entry(r, seq, &e);

        if (f > 0)
                f = fold_outcome_read(r->snapshot, seq, &outcome);
        if (f <= 0)
                return f;
        *ret = (struct bundle_log_entry){ e.epoch, e.accepted_at, outcome.code, outcome.effects, arena_copy(a, e.envelope) };
        return ret->envelope.p ? 1 : -ENOMEM;
}

static int source_find(void *ctx, struct bytes header_digest, uint64_t *ret_seq)
{
        struct reading *r = ctx;

        return fold_digest_read(r->snapshot, header_digest, ret_seq);
}

static int source_head(void *ctx, uint64_t seq, uint64_t *ret_seq)
{
        struct reading *r = ctx;

        return fold_head_read(r->snapshot, seq, ret_seq, NULL);
}

static int source_path(void *ctx, uint64_t seq, uint64_t size, struct digest ret[64], unsigned *ret_n)
{
        struct reading *r = ctx;
        struct merkle_source s = tiles_source(r->tiles);

        return merkle_prove_inclusion(&s, seq - 1, size, ret, ret_n);
}

/* ---- which act ---- */

static const Shuyi__V1__NumberRow *link_row(struct reading *r, const struct digest *stream, uint64_t stream_seq)
{
        uint8_t number[8];

        put_be64(number, stream_seq);
        return FOLD_ROW(r->state, r->arena, shuyi__v1__number_row__descriptor, TABLE_LINK_SEQ, bytes_digest(stream), bytes_of(number, 8));
}

/* The link of that header digest, from the stream's start.  Its seq; 0: none, or too far. */
static uint64_t scan_links(struct reading *r, const struct digest *stream, struct bytes record_id)
{
        for (uint64_t n = 1; n <= LINKS_SCANNED_MAX; n++) {
                const Shuyi__V1__NumberRow *row = link_row(r, stream, n);

                if (!row)
                        return 0;
                if (bytes_equal(bytes_of(row->digest.data, row->digest.len), record_id))
                        return row->n;
                if (n % 1024 == 0)
                        arena_allow(r->arena, 1 << 20);
        }
        return 0;
}

static bool may_see_grant(const struct reading *r, const Shuyi__V1__GrantRow *g)
{
        const char *own = r->question->department;

        return r->auditor || strcmp(g->consumer, own) == 0 || strcmp(g->provider, own) == 0;
}

static bool choose_update(struct reading *r, const Shuyi__V1__EvidenceQuery *q, struct bundle_wish *ret)
{
        const Shuyi__V1__GrantRow *g = q->grant.len == DIGEST_BYTES ? FOLD_ROW(r->state, r->arena, shuyi__v1__grant_row__descriptor, TABLE_GRANT, bytes_of(q->grant.data, q->grant.len)) : NULL;
        const Shuyi__V1__NumberRow *row = NULL;
        struct digest view, stream;
        struct id agent;

        if (!g || !may_see_grant(r, g) || !bytes_copy_exact(bytes_of(g->view.data, g->view.len), view.b, DIGEST_BYTES) ||
            !bytes_copy_exact(bytes_of(g->serving_agent.data, g->serving_agent.len), agent.b, ID_BYTES))
                return false;
        memcpy(ret->grant.b, q->grant.data, DIGEST_BYTES);
        stream = stream_id(&agent, &view);
        if (q->stream_seq)
                row = link_row(r, &stream, q->stream_seq);
        ret->kind = BUNDLE_UPDATE;
        ret->seq = row ? row->n : q->stream_seq ? 0 : scan_links(r, &stream, bytes_of(q->record_id.data, q->record_id.len));
        return ret->seq != 0;
}

/* What a DECISION is of: `bundle_check` takes no other. */
static bool is_control(struct reading *r, const struct segment_entry *e)
{
        const struct claim *claim;

        return envelope_read_kept(r->arena, e->envelope, NULL, &claim) == ACCEPTED && claim->kind->class == KIND_CONTROL;
}

static bool choose_act(struct reading *r, const Shuyi__V1__EvidenceQuery *q, struct bundle_wish *ret)
{
        struct segment_entry e;

        ret->kind = BUNDLE_DECISION;
        ret->seq = q->seq;
        if (q->digest.len && fold_digest_read(r->snapshot, bytes_of(q->digest.data, q->digest.len), &ret->seq) <= 0)
                return false;
        return ret->seq && reading_entry(r, ret->seq, &e) > 0 && is_control(r, &e) && reading_is_party(r, &e);
}

/* ---- its parts, page by page ---- */

static int refuse_bundle(struct reading *r, int fault)
{
        switch (fault) {
        case -EAGAIN:
                return refuse(r, E_STATE, "no published trust head stands behind it yet: ask again in a minute");
        case -ENOENT:
                return refuse(r, E_NOT_FOUND, "no such act, or something that it stands on is no longer kept");
        case -E2BIG:
        case -ENOMEM:
                return refuse(r, E_BOUND, "more than one bundle can hold");
        case -ERANGE:
                return refuse(r, E_STATE, "proofs of it cannot be made yet: ask again in a second");
        default:
                return fault;
        }
}

static bool add_row(struct reading *r, const Shuyi__V1__EvidenceRow *row)
{
        return reading_add(r, message_pack(r->arena, &row->base));
}

/* Items from `at` on: entries, then links. */
static void add_items(struct reading *r, const Shuyi__V1__Bundle *b, uint64_t size, uint32_t at)
{
        uint32_t items = (uint32_t)(b->n_entries + b->n_links);
        uint8_t cursor[CURSOR_BYTES];

        for (; at < items; at++) {
                Shuyi__V1__EvidenceRow row = SHUYI__V1__EVIDENCE_ROW__INIT;

                if (at < b->n_entries)
                        row.entry = b->entries[at];
                else
                        row.link = b->links[at - b->n_entries];
                if (!add_row(r, &row))
                        break;
        }
        if (at == items)
                return;
        put_be64(cursor, size);
        put_be32(cursor + 8, at);
        reading_next(r, bytes_of(cursor, sizeof(cursor)));
}

static int make_page(struct reading *r, const struct bundle_wish *wish, uint64_t size, uint32_t at, const char *note)
{
        struct bundle_source source = { r->state, source_entry, source_find, source_head, source_path, r, r->trust, size };
        Shuyi__V1__Bundle b = SHUYI__V1__BUNDLE__INIT;
        int f = bundle_make(&source, wish, r->arena, &b);

        if (f < 0)
                return refuse_bundle(r, f);
        if (note) {
                Shuyi__V1__EvidenceRow row = SHUYI__V1__EVIDENCE_ROW__INIT;

                row.kind = b.kind;
                row.checkpoint = (char *)note;
                add_row(r, &row);
        }
        add_items(r, &b, size, at);
        return 0;
}

int reads_evidence(struct reading *r)
{
        const Shuyi__V1__Read *read = r->question->read;
        const Shuyi__V1__EvidenceQuery *q = message_parse(r->arena, &shuyi__v1__evidence_query__descriptor, bytes_of(read->key.data, read->key.len));
        struct published_head head = { .note = NULL };
        struct bundle_wish wish = { .seq = 0 };
        uint32_t at = 0;
        int f;

        if (!q || (read->after.len != 0 && read->after.len != CURSOR_BYTES))
                return refuse(r, E_FORM, "key");
        if (!(q->grant.len ? choose_update(r, q, &wish) : choose_act(r, q, &wish)))
                return refuse(r, E_NOT_FOUND, "no such act, not a party of it, or no control act (a transfer is named by its grant)");
        if (read->after.len == CURSOR_BYTES) {
                head.size = get_be64(read->after.data);
                at = get_be32(read->after.data + 8);
                if (head.size > published_size(r->broker->published))
                        return refuse(r, E_FORM, "after");
        } else {
                f = published_get(r->broker->published, r->arena, &head);
                if (f <= 0)
                        return f < 0 ? f : refuse(r, E_STATE, "no head is published yet: ask again in a second");
        }
        return make_page(r, &wish, head.size, at, head.note);
}

/* ---- lookups ---- */

int reads_lookup(struct reading *r)
{
        const Shuyi__V1__Read *read = r->question->read;
        const Shuyi__V1__LookupQuery *q = message_parse(r->arena, &shuyi__v1__lookup_query__descriptor, bytes_of(read->key.data, read->key.len));
        const Shuyi__V1__MetaRow *meta = fold_meta(r->state, r->arena);
        Shuyi__V1__LookupRow row = SHUYI__V1__LOOKUP_ROW__INIT;
        struct lookup_map *map;
        struct digest object;
        uint64_t seq, newest;
        int f;

        if (!q || !bytes_copy_exact(bytes_of(q->object.data, q->object.len), object.b, DIGEST_BYTES))
                return refuse(r, E_FORM, "key");
        f = fold_head_read(r->snapshot, meta ? meta->seq + 1 : 1, &seq, &newest);
        if (f <= 0 || q->trust_seq > newest)
                return f < 0 ? f : refuse(r, E_NOT_FOUND, "trust_seq");
        row.trust_seq = q->trust_seq ? q->trust_seq : newest;
        f = bundle_trust_at(r->trust, r->state, row.trust_seq, &map);
        if (f == 0)
                f = lookup_answer(map, r->arena, &object, &row);
        if (f < 0)
                return refuse_bundle(r, f);
        reading_add(r, message_pack(r->arena, &row.base));
        return 0;
}
