/* retention: see the header. */
#include "common/retention.h"
#include "common/macro.h"
#include "proto/stream.pb-c.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ENTRIES_A_SNAPSHOT 256                  /* an open one pins pages */

/* ---- what was purged ---- */

/* The first PURGE of `what` that reaches `seq`; NULL: none. */
static const Shuyi__V1__PurgeRow *purge_of(struct state state, struct arena *a, enum purge what, uint64_t seq)
{
        uint8_t prefix[2] = { TABLE_PURGE, (uint8_t)what }, from[10] = { TABLE_PURGE, (uint8_t)what };
        struct bytes key, value;

        put_be64(from + 2, seq);
        if (state.ops->next(state.ctx, bytes_of(prefix, 2), bytes_of(from, 10), &key, &value) <= 0)
                return NULL;
        return shuyi__v1__purge_row__unpack(arena_allocator(a), value.n, value.p);
}

static int last_purge(struct state state, struct arena *a, enum purge what, const Shuyi__V1__PurgeRow **ret)
{
        const Shuyi__V1__PurgeRow *row = NULL, *next;
        uint64_t from = 0;

        while ((next = purge_of(state, a, what, from))) {
                row = next;
                from = row->to + 1;
        }
        *ret = row;
        return arena_failed(a) ? -ENOMEM : 0;
}

int retention_marks_read(struct state state, struct retention_marks *ret)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        const Shuyi__V1__PurgeRow *bodies, *inputs;
        int r = a ? last_purge(state, a, PURGE_BODIES, &bodies) : -ENOMEM;

        *ret = (struct retention_marks){ 0 };
        if (r == 0)
                r = last_purge(state, a, PURGE_INPUTS, &inputs);
        if (r < 0)
                return r;
        ret->bodies_to = bodies ? bodies->to : 0;
        if (inputs) {
                ret->inputs_to = inputs->to;
                ret->base_seq = inputs->base_seq;
                bytes_copy_exact(bytes_of(inputs->base_digest.data, inputs->base_digest.len), ret->base_digest.b, DIGEST_BYTES);
        }
        return 0;
}

/* ---- who still needs it ---- */

struct judging {
        struct retention *r;
        struct retention_marks marks;
        struct store_snapshot *snapshot;
        struct segment_marks done;              /* of the file at hand: before the first entry that is still owed */
        unsigned seen;                          /* under this snapshot */
        struct state state;
        struct arena *arena;                    /* of the entry at hand */
};

enum part { BODY, INPUT };

/* The inputs behind the last one that a reader gets stay with it: the proof of its delivery to others goes over them. */
static bool waits_for(const Shuyi__V1__SubscriptionRow *s, uint64_t stream_seq, enum part part)
{
        if (s->state != SUB_LIVE && s->state != SUB_KEY_WAIT && s->state != SUB_SNAPSHOT && s->state != SUB_STOPPED)
                return false;
        if (s->start == 0 || stream_seq < s->start || stream_seq <= s->cursor)
                return false;
        return s->stop == 0 || (part == BODY ? stream_seq : s->cursor + 1) <= s->stop;
}

/* Is this link of a stream still to be delivered to somebody? */
static bool is_owed(struct judging *j, const Shuyi__V1__Intent *i, uint64_t stream_seq, enum part part)
{
        uint8_t prefix[1 + DIGEST_BYTES] = { TABLE_STREAM_SUB }, from[1 + 2 * DIGEST_BYTES + 1] = { 0 };
        size_t from_n = sizeof(prefix);
        struct bytes key, value;

        if (i->stream.len != DIGEST_BYTES)
                return false;
        memcpy(prefix + 1, i->stream.data, DIGEST_BYTES);
        memcpy(from, prefix, sizeof(prefix));
        while (j->state.ops->next(j->state.ctx, bytes_of(prefix, sizeof(prefix)), bytes_of(from, from_n), &key, &value) > 0) {
                const Shuyi__V1__SubscriptionRow *s;

                if (key.n != 1 + 2 * DIGEST_BYTES)
                        return true;
                memcpy(from, key.p, key.n);
                from_n = sizeof(from);          /* a zero behind it: the next one */
                s = FOLD_ROW(j->state, j->arena, shuyi__v1__subscription_row__descriptor, TABLE_SUBSCRIPTION, bytes_of(from + 1 + DIGEST_BYTES, DIGEST_BYTES));
                if (s && waits_for(s, stream_seq, part))
                        return true;
        }
        return false;
}

static uint64_t trust_seq_at(struct judging *j, uint64_t n)
{
        const Shuyi__V1__TrustRecord *t;
        uint8_t key[8];

        put_be64(key, n);
        t = FOLD_ROW(j->state, j->arena, shuyi__v1__trust_record__descriptor, TABLE_TRUST, bytes_of(key, 8));
        return t ? t->seq : 0;
}

/* Is there a trust record of this entry?  They stand in the order of the log. */
static bool is_trusted(struct judging *j, uint64_t seq)
{
        const Shuyi__V1__MetaRow *meta = fold_meta(j->state, j->arena);
        uint64_t low = 1, high = meta ? meta->trust_seq + 1 : 1;

        while (low < high) {
                uint64_t middle = low + (high - low) / 2;

                if (trust_seq_at(j, middle) < seq)
                        low = middle + 1;
                else
                        high = middle;
        }
        return trust_seq_at(j, low) == seq;
}

/* An application that never became a grant; one that did is what the grant stands on. */
static bool opened_nothing(struct judging *j, struct bytes request)
{
        const Shuyi__V1__RequestRow *q = FOLD_ROW(j->state, j->arena, shuyi__v1__request_row__descriptor, TABLE_REQUEST, request);

        return q && (q->state == REQ_REFUSED || q->state == REQ_WITHDRAWN || q->state == REQ_REFUSED_FINAL) && q->grant.len == 0;
}

static uint64_t last_of_receipt(const struct claim *c)
{
        const Shuyi__V1__DeliveryReceiptBody *b = (const void *)c->open_body;

        return b ? b->last : 0;
}

static bool may_go(struct judging *j, const struct claim *c, const struct segment_entry *e)
{
        if (e->code != ACCEPTED)
                return true;
        switch (c->kind->number) {
        case KIND_UPDATE:
        case KIND_NO_CHANGE:
        case KIND_STREAM_HEAD:
                return !is_owed(j, c->intent, c->intent->stream_seq, INPUT);
        case KIND_DELIVERY_RECEIPT:             /* what is kept for one reader stays proved for the others */
                return !is_owed(j, c->intent, last_of_receipt(c), INPUT);
        case KIND_SUBSCRIBE:
        case KIND_TICK:
        case KIND_REFUSED:
        case KIND_HANDOVER:
        case KIND_OUTAGE:
                return !is_trusted(j, e->seq);
        case KIND_REQ_SUBMIT:
                return opened_nothing(j, bytes_digest(&c->header_digest)) && !is_trusted(j, e->seq);
        case KIND_REFUSE:
        case KIND_WITHDRAW:
                return opened_nothing(j, bytes_of(c->intent->request.data, c->intent->request.len)) && !is_trusted(j, e->seq);
        default:
                return false;
        }
}

/* ---- an entry ---- */

static int look(struct judging *j)
{
        int r = 0;

        arena_reset(j->arena);
        if (j->snapshot && ++j->seen < ENTRIES_A_SNAPSHOT)
                return 0;
        store_snapshot_close(TAKE(j->snapshot));
        j->seen = 0;
        r = store_snapshot_open(j->r->store, &j->snapshot);
        if (r == 0)
                j->state = store_snapshot_state(j->snapshot);
        return r;
}

static int fill_outcome(struct judging *j, struct segment_entry *e)
{
        struct fold_outcome o;
        int r;

        if (e->judged)
                return 0;
        r = fold_outcome_read(j->snapshot, e->seq, &o);
        if (r <= 0)
                return r < 0 ? r : -ENODATA;    /* without it no leaf could be proved any more */
        e->judged = true;
        e->code = o.code;
        e->effects = o.effects;
        return 0;
}

static int bury(struct judging *j, const struct claim *c, struct segment_entry *e)
{
        const Shuyi__V1__PurgeRow *p = purge_of(j->state, j->arena, PURGE_INPUTS, e->seq);
        struct entry entry = { .epoch = e->epoch, .seq = e->seq, .accepted_at = e->accepted_at, .claim = c };
        struct outcome outcome = { .code = (enum refusal)e->code, .effects_digest = e->effects };
        uint8_t record[LEAF_RECORD_BYTES];

        if (!p)
                return -EBADMSG;
        exchange_leaf_record(j->r->domain, &entry, &outcome, record);
        e->leaf = merkle_leaf(bytes_of(record, sizeof(record)));
        e->gone = true;
        e->why = PURGE_INPUTS;
        e->purged_by = p->seq;
        j->r->inputs++;
        return 0;
}

static int strip(struct judging *j, struct segment_entry *e)
{
        const Shuyi__V1__PurgeRow *p = purge_of(j->state, j->arena, PURGE_BODIES, e->seq);
        struct bytes bare = envelope_strip(j->arena, e->envelope);

        if (!p || bare.n == 0)
                return p ? -ENOMEM : -EBADMSG;
        e->envelope = bare;
        e->purged_by = p->seq;
        j->r->bodies++;
        return 0;
}

static uint64_t at_least(uint64_t a, uint64_t b) { return a > b ? a : b; }
static uint64_t at_most(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* Does an entry of this kind stay for its readers alone, so that it goes when they have it? */
static bool goes_later(const struct claim *c)
{
        switch (c->kind->number) {
        case KIND_UPDATE:
        case KIND_NO_CHANGE:
        case KIND_STREAM_HEAD:
        case KIND_DELIVERY_RECEIPT:
                return true;
        default:
                return false;
        }
}

static int judge(void *ctx, struct segment_entry *e)
{
        struct judging *j = ctx;
        const struct claim *c;
        int r;

        if (j->r->stop && atomic_load(j->r->stop))
                return -ECANCELED;
        r = look(j);
        if (r == 0)
                r = fill_outcome(j, e);
        if (r < 0 || (e->seq > j->marks.bodies_to && e->seq > j->marks.inputs_to))
                return r;
        if (envelope_read_kept(j->arena, e->envelope, NULL, &c) != ACCEPTED)
                return -EBADMSG;
        if (e->seq <= j->marks.inputs_to && may_go(j, c, e))
                return bury(j, c, e);
        if (e->seq <= j->marks.inputs_to && goes_later(c))
                j->done.inputs_to = at_most(j->done.inputs_to, e->seq - 1);
        if (e->seq > j->marks.bodies_to || c->kind->number != KIND_UPDATE || c->body.n == 0)
                return 0;
        if (is_owed(j, c->intent, c->intent->stream_seq, BODY)) {
                j->done.bodies_to = at_most(j->done.bodies_to, e->seq - 1);
                j->r->owed++;
                return 0;
        }
        return strip(j, e);
}

/* ---- the files ---- */

/* Inputs go only while a BASE that covers them is there, and the one that the PURGE names is what it says. */
static bool base_covers(struct retention *r, const struct retention_marks *m)
{
        uint64_t list[BASE_KEPT_MAX];
        int n = base_list(r->base_dir, false, list), fault;
        struct base *b = calloc(1, sizeof(*b));
        bool covered = false;

        for (int i = n - 1; b && i >= 0 && !covered && list[i] >= m->inputs_to; i--) {
                char path[4200], name[BASE_NAME_BYTES];
                const char *wrong;

                base_name(list[i], name);
                snprintf(path, sizeof(path), "%s/%s", r->base_dir, name);
                wrong = base_peek(path, r->origin, r->log_key, b, &fault);
                if (!wrong && list[i] == m->base_seq && !digest_equal(&b->state, &m->base_digest))
                        wrong = "its state digest is not the one that the PURGE names";
                covered = !wrong;
                if (wrong)
                        snprintf(r->reason, sizeof(r->reason), "%s: %s", name, wrong);
        }
        if (!covered && !r->reason[0])
                snprintf(r->reason, sizeof(r->reason), "no BASE covers entry %llu", (unsigned long long)m->inputs_to);
        free(b);
        return covered;
}

static bool is_due(const struct retention *r, const struct segment_closed *f, const struct retention_marks *m)
{
        if (f->file <= r->tried_to && m->bodies_to == r->tried.bodies_to && m->inputs_to == r->tried.inputs_to)
                return false;                   /* what is left there is owed */
        return (f->first_seq <= m->bodies_to && at_most(m->bodies_to, f->last_seq) > f->bodies_to) ||
               (f->first_seq <= m->inputs_to && at_most(m->inputs_to, f->last_seq) > f->inputs_to);
}

static int rewrite(struct judging *j, const struct segment_closed *f)
{
        uint64_t bytes;
        int r;

        j->done = (struct segment_marks){ at_least(f->bodies_to, j->marks.bodies_to), at_least(f->inputs_to, j->marks.inputs_to) };
        r = segment_rewrite(j->r->segments, f, &j->done, judge, j, &bytes);
        store_snapshot_close(TAKE(j->snapshot));
        if (r < 0)
                return r;
        j->r->files++;
        j->r->bytes_before += f->bytes;
        j->r->bytes_after += bytes;
        return 0;
}

int retention_run(struct retention *r)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(32u << 20);
        _cleanup_(store_snapshot_closep) struct store_snapshot *p = NULL;
        struct judging j = { .r = r, .arena = a };
        struct segment_closed f;
        int e = a ? store_snapshot_open(r->store, &p) : -ENOMEM;

        r->reason[0] = 0;
        if (e == 0)
                e = retention_marks_read(store_snapshot_state(p), &j.marks);
        store_snapshot_close(TAKE(p));
        if (e == 0 && j.marks.inputs_to > 0 && !base_covers(r, &j.marks))
                j.marks.inputs_to = 0;
        r->used = j.marks;
        for (uint64_t from = 1; e == 0 && segment_closed_find(r->segments, from, &f); from = f.file + 1)
                if (is_due(r, &f, &j.marks))
                        e = rewrite(&j, &f);
        return e;
}
