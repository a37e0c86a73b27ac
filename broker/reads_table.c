/* reads_table: rows of the registry, the catalog, applications, grants, streams; the log's state; one entry.
 *
 * One row a question: which table is walked, how Read.key narrows it, and who may see a row. */
#include "broker/reads.h"
#include "common/retention.h"
#include "common/kind.h"
#include "common/macro.h"
#include <errno.h>

/* May this link see the row?  `key` is without the table's byte. */
typedef bool (*sees_fn)(struct reading *r, struct bytes key, struct bytes row);
/* Does the row answer Read.key?  NULL: by its key's beginning. */
typedef bool (*fits_fn)(struct reading *r, struct bytes key, struct bytes row, struct bytes wanted);

static bool own(const struct reading *r, const char *department)
{
        return r->authority || strcmp(r->question->department, department) == 0;
}

static bool sees_all(struct reading *r, struct bytes key, struct bytes row)
{
        return true;
}

static bool sees_filing(struct reading *r, struct bytes key, struct bytes row)
{
        const Shuyi__V1__FilingRow *f = shuyi__v1__filing_row__unpack(arena_allocator(r->arena), row.n, row.p);

        return f && own(r, f->department);
}

static bool sees_matter(struct reading *r, struct bytes key, struct bytes row)
{
        const Shuyi__V1__MatterRow *m = shuyi__v1__matter_row__unpack(arena_allocator(r->arena), row.n, row.p);

        return m && own(r, m->provider);
}

static bool sees_request(struct reading *r, struct bytes key, struct bytes row)
{
        const Shuyi__V1__RequestRow *q = shuyi__v1__request_row__unpack(arena_allocator(r->arena), row.n, row.p);

        return q && (own(r, q->consumer) || own(r, q->provider));
}

static bool sees_grant(struct reading *r, struct bytes key, struct bytes row)
{
        const Shuyi__V1__GrantRow *g = shuyi__v1__grant_row__unpack(arena_allocator(r->arena), row.n, row.p);

        return g && (own(r, g->consumer) || own(r, g->provider));
}

static bool party_of_grant(struct reading *r, struct bytes grant)
{
        const Shuyi__V1__GrantRow *g = FOLD_ROW(r->state, r->arena, shuyi__v1__grant_row__descriptor, TABLE_GRANT, grant);

        return g && (own(r, g->consumer) || own(r, g->provider));
}

static bool sees_subscription(struct reading *r, struct bytes key, struct bytes row)
{
        return r->authority || party_of_grant(r, key);
}

static bool sees_stream(struct reading *r, struct bytes key, struct bytes row)
{
        const Shuyi__V1__StreamRow *s = shuyi__v1__stream_row__unpack(arena_allocator(r->arena), row.n, row.p);

        if (!s || own(r, s->provider))
                return s != NULL;
        for (size_t i = 0; i < s->n_audience; i++)
                if (party_of_grant(r, bytes_of(s->audience[i].data, s->audience[i].len)))
                        return true;
        return false;
}

static bool same_text(struct bytes wanted, const char *text)
{
        return bytes_equal(wanted, bytes_str(text));
}

static bool fits_agent(struct reading *r, struct bytes key, struct bytes row, struct bytes wanted)
{
        const Shuyi__V1__AgentRow *a = shuyi__v1__agent_row__unpack(arena_allocator(r->arena), row.n, row.p);

        return bytes_equal(key, wanted) || (a && same_text(wanted, a->department));
}

static bool fits_filing(struct reading *r, struct bytes key, struct bytes row, struct bytes wanted)
{
        const Shuyi__V1__FilingRow *f = shuyi__v1__filing_row__unpack(arena_allocator(r->arena), row.n, row.p);

        return bytes_equal(key, wanted) || (f && same_text(wanted, f->department));
}

static bool fits_matter(struct reading *r, struct bytes key, struct bytes row, struct bytes wanted)
{
        const Shuyi__V1__MatterRow *m = shuyi__v1__matter_row__unpack(arena_allocator(r->arena), row.n, row.p);

        return bytes_equal(key, wanted) || (m && same_text(wanted, m->provider));
}

static bool fits_version(struct reading *r, struct bytes key, struct bytes row, struct bytes wanted)
{
        return key.n > 4 && bytes_equal(bytes_of(key.p + 4, key.n - 4), wanted);
}

static const struct question_row {
        enum read what;
        enum table table;
        sees_fn sees;
        fits_fn fits;
} questions[] = {
        { READ_DEPARTMENTS, TABLE_DEPARTMENT, sees_all, NULL },
        { READ_STAFF, TABLE_PERSON, sees_all, NULL },
        { READ_AGENTS, TABLE_AGENT, sees_all, fits_agent },
        { READ_FILINGS, TABLE_FILING, sees_filing, fits_filing },
        { READ_CATALOG, TABLE_VERSION, sees_all, fits_version },
        { READ_MATTERS, TABLE_MATTER, sees_matter, fits_matter },
        { READ_REQUESTS, TABLE_REQUEST, sees_request, NULL },
        { READ_GRANTS, TABLE_GRANT, sees_grant, NULL },
        { READ_SUBSCRIPTIONS, TABLE_SUBSCRIPTION, sees_subscription, NULL },
        { READ_STREAMS, TABLE_STREAM, sees_stream, NULL },
        { READ_POLICY, TABLE_POLICY, sees_all, NULL },
        { READ_CALENDAR, TABLE_CALENDAR, sees_all, NULL },
};

static bool add_row(struct reading *r, struct bytes key, struct bytes value)
{
        Shuyi__V1__ReadRow row = SHUYI__V1__READ_ROW__INIT;

        row.key = (ProtobufCBinaryData){ key.n, (uint8_t *)key.p };
        row.row = (ProtobufCBinaryData){ value.n, (uint8_t *)value.p };
        return reading_add(r, message_pack(r->arena, &row.base));
}

/* Newest version first. */
static void reverse(struct reading *r)
{
        for (size_t i = 0, n = r->page.n_rows; i < n / 2; i++) {
                ProtobufCBinaryData kept = r->rows[i];

                r->rows[i] = r->rows[n - 1 - i];
                r->rows[n - 1 - i] = kept;
        }
}

static int walk(struct reading *r, const struct question_row *q, struct bytes wanted)
{
        uint8_t prefix[FOLD_KEY_MAX] = { (uint8_t)q->table }, from[FOLD_KEY_MAX + 1];
        size_t prefix_n = 1, from_n;
        struct bytes after = bytes_of(r->question->read->after.data, r->question->read->after.len), key, value;
        int f;

        if (wanted.n > 0 && !q->fits) {
                memcpy(prefix + 1, wanted.p, wanted.n);
                prefix_n += wanted.n;
        }
        memcpy(from, prefix, prefix_n);
        from_n = prefix_n;
        if (after.n > 0) {
                memcpy(from + 1, after.p, after.n);
                from[1 + after.n] = 0;
                from_n = after.n + 2;
        }
        for (unsigned seen = 0; (f = store_snapshot_next(r->snapshot, STORE_STATE, bytes_of(prefix, prefix_n), bytes_of(from, from_n), &key, &value)) > 0; seen++) {
                struct bytes rest = bytes_of(key.p + 1, key.n - 1);
                bool shown = (!q->fits || wanted.n == 0 || q->fits(r, rest, value, wanted)) && q->sees(r, rest, value);

                if (seen == PAGE_SCAN_MAX || arena_used(r->arena) > (16u << 20) || (shown && !add_row(r, rest, value))) {
                        reading_next(r, bytes_of(from + 1, from_n > prefix_n || after.n > 0 || seen > 0 ? from_n - 2 : 0));
                        break;
                }
                memcpy(from, key.p, key.n);
                from[key.n] = 0;
                from_n = key.n + 1;
        }
        if (q->what == READ_CATALOG && wanted.n > 0)
                reverse(r);
        return f < 0 ? f : 0;
}

int reads_table(struct reading *r)
{
        const Shuyi__V1__Read *read = r->question->read;

        if (read->key.len > FOLD_KEY_MAX - 4 || read->after.len > FOLD_KEY_MAX - 4) {
                r->page.code = E_FORM;
                r->page.detail = "key";
                return 0;
        }
        for (unsigned i = 0; i < ELEMENTS(questions); i++)
                if (questions[i].what == read->what)
                        return walk(r, &questions[i], bytes_of(read->key.data, read->key.len));
        r->page.code = E_FORM;
        r->page.detail = "what";
        return 0;
}

/* ---- one entry ---- */

static bool party_of_request(struct reading *r, struct bytes request)
{
        const Shuyi__V1__RequestRow *q = FOLD_ROW(r->state, r->arena, shuyi__v1__request_row__descriptor, TABLE_REQUEST, request);

        return q && (own(r, q->consumer) || own(r, q->provider));
}

/* Is the department asking a party of what this envelope made, or is about: an application, a grant? */
static bool party_of_matter(struct reading *r, const struct claim *claim)
{
        const Shuyi__V1__Intent *i = claim->intent;
        struct bytes self = bytes_digest(&claim->header_digest);

        return party_of_request(r, self) || party_of_grant(r, self) || (i->request.len && party_of_request(r, bytes_of(i->request.data, i->request.len))) ||
               (i->grant.len && party_of_grant(r, bytes_of(i->grant.data, i->grant.len)));
}

bool reading_is_party(struct reading *r, const struct segment_entry *e)
{
        struct keydir *d;
        const struct keydir_link *link;
        const struct claim *claim;
        bool same;

        if (r->authority || r->auditor)
                return true;
        d = keydir_slot_get(r->broker->directory);
        link = e->link > 0 ? keydir_link_at(d, e->link) : NULL;
        same = link && strcmp(link->department, r->question->department) == 0;
        keydir_unref(d);
        if (same || envelope_read_kept(r->arena, e->envelope, NULL, &claim) != ACCEPTED)
                return same;
        return strcmp(claim->intent->from, r->question->department) == 0 || strcmp(claim->intent->to, r->question->department) == 0 ||
               party_of_matter(r, claim);
}

int reads_entry(struct reading *r)
{
        const Shuyi__V1__Read *read = r->question->read;
        Shuyi__V1__EntryRow row = SHUYI__V1__ENTRY_ROW__INIT;
        struct fold_outcome outcome = { 0 };
        struct segment_entry e;
        uint64_t seq = 0;
        int f = 1;

        if (read->key.len == 8)
                seq = get_be64(read->key.data);
        else
                f = fold_digest_read(r->snapshot, bytes_of(read->key.data, read->key.len), &seq);
        if (f > 0)
                f = reading_left(r, seq, &e);
        if (f > 0 && !e.gone)
                f = fold_outcome_read(r->snapshot, seq, &outcome);
        if (f < 0)
                return f;
        if (f > 0 && e.gone) {                  /* that it was, and that it went by the rules, is no secret */
                r->page.code = E_NOT_FOUND;
                r->page.detail = arena_printf(r->arena, "purged by %llu", (unsigned long long)e.purged_by);
                return 0;
        }
        if (f == 0 || !reading_is_party(r, &e)) {
                r->page.code = E_NOT_FOUND;
                return 0;
        }
        row.epoch = e.epoch;
        row.seq = e.seq;
        row.accepted_at = e.accepted_at.ms;
        row.link = e.link;
        row.lane = e.lane;
        row.outbox_epoch = e.outbox_epoch;
        row.outbox_seq = e.outbox_seq;
        row.envelope = (ProtobufCBinaryData){ e.envelope.n, (uint8_t *)e.envelope.p };
        row.code = outcome.code;
        row.effects_digest = (ProtobufCBinaryData){ DIGEST_BYTES, outcome.effects.b };
        row.leaf_hash = (ProtobufCBinaryData){ DIGEST_BYTES, outcome.leaf.b };
        row.detail = outcome.detail;
        reading_add(r, message_pack(r->arena, &row.base));
        return 0;
}

/* ---- status ---- */

static ProtobufCBinaryData document_digest(struct reading *r, enum table table)
{
        const Shuyi__V1__DocumentRow *d = FOLD_ROW(r->state, r->arena, shuyi__v1__document_row__descriptor, table, (struct bytes){ 0 });

        return d ? d->digest : (ProtobufCBinaryData){ 0 };
}

int reads_status(struct reading *r)
{
        const Shuyi__V1__MetaRow *meta = fold_meta(r->state, r->arena);
        Shuyi__V1__StatusRow row = SHUYI__V1__STATUS_ROW__INIT;
        struct retention_marks marks = { 0 };
        int f;

        if (!meta)
                return -EBADMSG;
        row.domain = meta->domain;
        row.epoch = meta->epoch;
        row.seq = meta->seq;
        row.accepted_at = meta->accepted_at;
        row.trust_seq = meta->trust_seq;
        row.effects_chain = meta->effects_chain;
        row.rules_version = meta->rules_version;
        row.authority = meta->authority;
        row.policy_digest = document_digest(r, TABLE_POLICY);
        row.calendar_digest = document_digest(r, TABLE_CALENDAR);
        row.software = (char *)"shuyi-broker " SHUYI_VERSION;
        row.checkpoint = (char *)broker_checkpoint(r->broker, r->arena);
        row.broker_time = times_wall().ms;
        row.facts = meta->fact_count;
        f = retention_marks_read(r->state, &marks);
        row.bodies_purged_to = marks.bodies_to;
        row.inputs_purged_to = marks.inputs_to;
        reading_add(r, message_pack(r->arena, &row.base));
        return f;
}
