/* audit_search: see the header. */
#include "common/audit_search.h"
#include "common/macro.h"
#include "common/refusal.h"
#include "common/words.h"
#include <errno.h>

#define SCAN_MAX 20000                          /* hits looked at for one page */
#define ENTRIES_MAX 2000                        /* entries read for one page */
#define ARENA_MAX (12u << 20)
#define CRITERIA_MAX 8

struct criterion { enum search_by by; struct bytes value; };

struct walk {
        const struct audit_search *s;
        enum search_set set;
        struct criterion criteria[CRITERIA_MAX];        /* the first is walked */
        unsigned criteria_n;
        uint8_t code[4];
        struct arena *scratch;          /* of one entry */
        unsigned looked, read;
        /* the receipt at hand */
        struct audit_sources sources;
        struct digest grant;
        uint32_t epoch;
        bool has_row;
};

static bool is_digest(ProtobufCBinaryData b) { return b.len == 0 || b.len == DIGEST_BYTES; }

bool audit_query_fits(const Shuyi__V1__AuditQuery *q)
{
        return is_digest(q->grant) && (q->person.len == 0 || q->person.len == ID_BYTES) && strlen(q->department) < 255 && strlen(q->resource) < 255 &&
               (q->outcome == 0 || word_known(LIST_audit_outcome, q->outcome)) && (q->code == 0 || refusal_known(q->code)) && !(q->outcome == AUDIT_TAKEN && q->code);
}

/* ---- which criteria, the narrowest first ---- */

static void add_criterion(struct walk *w, enum search_by by, struct bytes value)
{
        if (value.n > 0)
                w->criteria[w->criteria_n++] = (struct criterion){ by, value };
}

static void add_outcome(struct walk *w)
{
        const Shuyi__V1__AuditQuery *q = w->s->query;

        if (q->outcome == 0 && q->code == 0)
                return;
        put_be32(w->code, q->code ? q->code : q->outcome == AUDIT_REFUSED ? SEARCH_REFUSED : ACCEPTED);
        add_criterion(w, SEARCH_CODE, bytes_of(w->code, 4));
}

static void choose(struct walk *w)
{
        const Shuyi__V1__AuditQuery *q = w->s->query;
        bool refused = q->code || q->outcome == AUDIT_REFUSED;

        w->set = q->acts ? SEARCH_ACTS : SEARCH_ACQUISITIONS;
        add_criterion(w, SEARCH_GRANT, bytes_of(q->grant.data, q->grant.len));
        if (refused)
                add_outcome(w);
        add_criterion(w, SEARCH_PERSON, bytes_of(q->person.data, q->person.len));
        add_criterion(w, SEARCH_PERSON, w->s->scope.person);
        add_criterion(w, SEARCH_RESOURCE, bytes_str(q->resource));
        add_criterion(w, SEARCH_DEPARTMENT, bytes_str(q->department));
        add_criterion(w, SEARCH_DEPARTMENT, bytes_str(w->s->scope.department ? w->s->scope.department : ""));
        if (!refused)
                add_outcome(w);
        if (w->criteria_n == 0)
                w->criteria[w->criteria_n++] = (struct criterion){ SEARCH_ALL, { 0 } };
}

/* 1, 0, or a fault. */
static int fits(struct walk *w, const struct search_hit *h)
{
        const Shuyi__V1__AuditQuery *q = w->s->query;
        int r = 1;

        if (h->to < q->from || (q->to > 0 && h->from >= q->to))
                return 0;
        for (unsigned i = 1; i < w->criteria_n && r > 0; i++)
                r = search_has(w->s->index, w->s->index_db, w->set, w->criteria[i].by, w->criteria[i].value, h->seq);
        return r;
}

/* The first entry that may hold anything of `from` on: nothing is acquired later than its receipt is accepted, but for the skew. */
static int first_seq(struct walk *w, uint64_t *ret)
{
        uint64_t low = 1, high = w->s->as_of + 1, from = w->s->query->from;

        while (from > SKEW_MS && low < high) {
                uint64_t middle = low + (high - low) / 2;
                struct fold_outcome o = { 0 };
                int r = fold_outcome_read(w->s->ledger, middle, &o);

                if (r < 0)
                        return r;
                if (r == 0 || o.accepted_at.ms + SKEW_MS < from)
                        low = middle + 1;
                else
                        high = middle;
        }
        *ret = low;
        return 0;
}

/* ---- entries ---- */

/* An entry without its body where that is sealed, as a claim that lies in the page's arena.  1, 0: gone; or a fault. */
static int claim_at(struct walk *w, uint64_t seq, const struct claim **ret, struct wall_time *ret_at)
{
        struct segment_entry e;
        struct bytes wire;
        int r;

        if (seq == 0)
                return 0;
        w->read++;
        r = w->s->entry(w->s->ctx, seq, &e);
        if (r <= 0)
                return r;
        arena_reset(w->scratch);
        wire = e.envelope;
        if (wire.n > 4096)              /* most of it is a body that nobody reads, if it is an UPDATE */
                wire = envelope_strip(w->scratch, e.envelope);
        wire = arena_copy(w->s->arena, wire);
        *ret_at = e.accepted_at;
        if (wire.p && envelope_read_kept(w->s->arena, wire, NULL, ret) == ACCEPTED)
                return 1;
        wire = arena_copy(w->s->arena, e.envelope);
        return wire.p && envelope_read_kept(w->s->arena, wire, NULL, ret) == ACCEPTED;
}

static uint64_t number_at(const struct walk *w, enum table table, struct bytes stream, struct bytes second)
{
        const Shuyi__V1__NumberRow *n = FOLD_ROW(w->s->state, w->s->arena, shuyi__v1__number_row__descriptor, table, stream, second);

        return n ? n->n : 0;
}

static void name_person(const struct walk *w, const char *department, ProtobufCBinaryData person, char **ret)
{
        const Shuyi__V1__PersonRow *row =
                FOLD_ROW(w->s->state, w->s->arena, shuyi__v1__person_row__descriptor, TABLE_PERSON, bytes_str(department), bytes_of(person.data, person.len));

        if (row && row->staff)
                *ret = row->staff->name;
}

/* ---- acquisitions ---- */

/* The consumer's row of the view epoch; kept while the epoch stays the same. */
static int find_row(struct walk *w, struct bytes stream, uint32_t epoch)
{
        const Shuyi__V1__ViewEpochBody *body;
        const struct claim *claim;
        struct wall_time at;
        uint8_t number[4];
        int r;

        if (w->has_row && w->epoch == epoch)
                return 1;
        put_be32(number, epoch);
        w->has_row = false;
        w->sources.epoch_seq = number_at(w, TABLE_EPOCH_SEQ, stream, bytes_of(number, 4));
        r = claim_at(w, w->sources.epoch_seq, &claim, &at);
        if (r <= 0 || claim->kind->number != KIND_VIEW_EPOCH || !claim->open_body)
                return r < 0 ? r : 0;
        body = (const void *)claim->open_body;
        for (size_t i = 0; i < body->n_rows && !w->has_row; i++)
                if (bytes_equal(bytes_of(body->rows[i]->grant.data, body->rows[i]->grant.len), bytes_digest(&w->grant))) {
                        w->sources.row = body->rows[i];
                        w->epoch = epoch;
                        w->has_row = true;
                }
        return w->has_row;
}

static bool is_of(ProtobufCBinaryData person, struct bytes wanted)
{
        return bytes_equal(bytes_of(person.data, person.len), wanted);
}

static bool sees(const struct walk *w, const Shuyi__V1__AcquisitionRow *row)
{
        const struct audit_scope *scope = &w->s->scope;

        if (scope->all)
                return true;
        if (scope->department)
                return strcmp(row->consumer, scope->department) == 0 || strcmp(row->provider, scope->department) == 0;
        return scope->person.n > 0 && (is_of(row->user, scope->person) || is_of(row->approver, scope->person));
}

static bool emit(struct walk *w)
{
        Shuyi__V1__AcquisitionRow row;

        if (!audit_expand(&w->sources, &row) || !audit_matches(w->s->query, &row) || !sees(w, &row))
                return true;
        name_person(w, row.consumer, row.user, &row.user_name);
        name_person(w, row.consumer, row.approver, &row.approver_name);
        return w->s->add(w->s->ctx, message_pack(w->s->arena, &row.base));
}

static bool is_full(const struct walk *w)
{
        return w->looked >= SCAN_MAX || w->read >= ENTRIES_MAX || arena_used(w->s->arena) > ARENA_MAX;
}

/* 1: go on; 0: the page is full at *link; or a fault. */
static int expand(struct walk *w, struct bytes stream, uint64_t *link)
{
        int r = 1;

        for (; *link <= w->sources.receipt->last && r >= 0; (*link)++) {
                uint8_t number[8];

                if (is_full(w))
                        return 0;
                put_be64(number, *link);
                w->sources.update_seq = number_at(w, TABLE_LINK_SEQ, stream, bytes_of(number, 8));
                r = claim_at(w, w->sources.update_seq, &w->sources.update, &w->sources.update_at);
                if (r <= 0 || w->sources.update->kind->number != KIND_UPDATE)
                        continue;
                r = find_row(w, stream, w->sources.update->intent->view_epoch);
                if (r > 0 && !emit(w))
                        return 0;
        }
        return r < 0 ? r : 1;
}

static uint64_t asked_at(const struct walk *w, const Shuyi__V1__GrantRow *g)
{
        const Shuyi__V1__RequestRow *q =
                g->request.len == DIGEST_BYTES
                        ? FOLD_ROW(w->s->state, w->s->arena, shuyi__v1__request_row__descriptor, TABLE_REQUEST, bytes_of(g->request.data, g->request.len))
                        : NULL;

        return q ? q->received_at : g->opened_at;
}

static bool take_grant(struct walk *w, const struct digest *id)
{
        if (!w->sources.grant || !digest_equal(id, &w->grant)) {
                w->grant = *id;
                w->has_row = false;
                w->sources.grant_id = bytes_digest(&w->grant);
                w->sources.grant = FOLD_ROW(w->s->state, w->s->arena, shuyi__v1__grant_row__descriptor, TABLE_GRANT, w->sources.grant_id);
                if (w->sources.grant)
                        w->sources.requested_at.ms = asked_at(w, w->sources.grant);
        }
        return w->sources.grant;
}

static int take_receipt(struct walk *w, const struct search_hit *h, uint64_t *link)
{
        const struct claim *claim;
        struct wall_time at;
        int r;

        if (!take_grant(w, &h->grant))
                return 1;
        r = claim_at(w, h->seq, &claim, &at);
        if (r <= 0 || claim->kind->number != KIND_DELIVERY_RECEIPT || !claim->open_body)
                return r < 0 ? r : 1;
        w->sources.receipt = (const void *)claim->open_body;
        w->sources.receipt_seq = h->seq;
        if (*link < w->sources.receipt->first)
                *link = w->sources.receipt->first;
        return expand(w, bytes_of(claim->intent->stream.data, claim->intent->stream.len), link);
}

/* ---- acts ---- */

static void add_signers(struct walk *w, const struct claim *c, Shuyi__V1__ActRow *row)
{
        struct arena *a = w->s->arena;

        row->persons = arena_alloc(a, ENVELOPE_SIGNATURES_MAX * sizeof(*row->persons));
        row->names = arena_alloc(a, ENVELOPE_SIGNATURES_MAX * sizeof(*row->names));
        row->capacities = arena_alloc(a, ENVELOPE_SIGNATURES_MAX * sizeof(*row->capacities));
        for (unsigned i = 0; row->persons && row->names && row->capacities && i < c->signers_n; i++) {
                const Shuyi__V1__CredentialRow *held =
                        FOLD_ROW(w->s->state, a, shuyi__v1__credential_row__descriptor, TABLE_CREDENTIAL, bytes_digest(&c->signers[i].credential));
                const Shuyi__V1__Credential *credential =
                        held ? shuyi__v1__credential__unpack(arena_allocator(a), held->credential.len, held->credential.data) : NULL;

                row->capacities[row->n_capacities++] = c->signers[i].capacity;
                if (!credential || !credential->subject || credential->subject->kind != SUBJECT_PERSON)
                        continue;
                row->persons[row->n_persons++] = credential->subject->id;
                row->names[row->n_names] = (char *)"";
                name_person(w, credential->subject->department, credential->subject->id, &row->names[row->n_names]);
                row->n_names++;
        }
}

static void add_grant(struct walk *w, const struct claim *c, Shuyi__V1__ActRow *row)
{
        const Shuyi__V1__GrantRow *opened =
                FOLD_ROW(w->s->state, w->s->arena, shuyi__v1__grant_row__descriptor, TABLE_GRANT, bytes_digest(&c->header_digest));

        row->grant = c->intent->grant;
        if (opened)
                row->grant = (ProtobufCBinaryData){ DIGEST_BYTES, (uint8_t *)c->header_digest.b };
        if (opened && !row->resource[0])
                row->resource = opened->resource;
}

/* 1: go on; 0: the page is full; or a fault. */
static int take_act(struct walk *w, const struct search_hit *h)
{
        Shuyi__V1__ActRow row = SHUYI__V1__ACT_ROW__INIT;
        struct fold_outcome outcome = { 0 };
        const struct claim *c;
        struct wall_time at;
        int r = claim_at(w, h->seq, &c, &at);

        if (r > 0)
                r = fold_outcome_read(w->s->ledger, h->seq, &outcome);
        if (r <= 0)
                return r < 0 ? r : 1;
        row.seq = h->seq;
        row.accepted_at = at.ms;
        row.kind = c->kind->number;
        row.code = outcome.code;
        row.detail = outcome.detail;
        row.from = c->intent->from;
        row.to = c->intent->to;
        row.resource = c->intent->resource;
        row.request = c->intent->request;
        row.object = c->intent->object;
        row.digest = (ProtobufCBinaryData){ DIGEST_BYTES, (uint8_t *)c->header_digest.b };
        add_signers(w, c, &row);
        add_grant(w, c, &row);
        return w->s->add(w->s->ctx, message_pack(w->s->arena, &row.base));
}

/* ---- the page ---- */

static int walk(struct walk *w, uint64_t seq, uint64_t link, bool *ret_more, uint8_t ret_next[AUDIT_CURSOR_BYTES])
{
        uint8_t prefix[SEARCH_KEY_MAX];
        size_t n = search_prefix(w->set, w->criteria[0].by, w->criteria[0].value, prefix);
        struct search_hit h;
        int r;

        *ret_more = false;
        for (;; seq = h.seq + 1, link = 0) {
                r = search_next(w->s->index, w->s->index_db, bytes_of(prefix, n), seq, &h);
                if (r <= 0 || h.seq > w->s->as_of)
                        return r < 0 ? r : 0;
                if (w->set == SEARCH_ACTS && w->s->query->to > 0 && h.from >= w->s->query->to)
                        return 0;
                if (h.seq != seq)
                        link = 0;
                w->looked++;
                r = is_full(w) ? 0 : 1;
                if (r > 0) {
                        r = fits(w, &h);
                        if (r == 0)
                                continue;
                }
                if (r > 0)
                        r = w->set == SEARCH_ACTS ? take_act(w, &h) : take_receipt(w, &h, &link);
                if (r < 0)
                        return r;
                if (r == 0) {
                        *ret_more = true;
                        put_be64(ret_next, h.seq);
                        put_be64(ret_next + 8, link);
                        return 0;
                }
        }
}

int audit_search_page(const struct audit_search *s, struct bytes after, bool *ret_more, uint8_t ret_next[AUDIT_CURSOR_BYTES])
{
        _cleanup_(arena_freep) struct arena *scratch = arena_new(4u << 20);
        struct walk w = { .s = s, .scratch = scratch };
        uint64_t seq = 1, link = 0;
        int r = scratch ? 0 : -ENOMEM;

        *ret_more = false;
        if (r < 0 || (!s->scope.all && !s->scope.department && s->scope.person.n == 0))
                return r;               /* a scope that nobody set shows nothing */
        choose(&w);
        if (after.n == AUDIT_CURSOR_BYTES) {
                seq = get_be64(after.p);
                link = get_be64(after.p + 8);
        } else {
                r = first_seq(&w, &seq);
        }
        return r < 0 ? r : walk(&w, seq, link, ret_more, ret_next);
}
