/* reader: see the header.  What goes first: trust records, the trust head above them, mail, then links in turn. */
#include "broker/reader.h"
#include "broker/peek.h"
#include "common/exchange/trust.h"
#include "common/fold.h"
#include "common/record.h"
#include <errno.h>
#include <stdlib.h>

/* ---- an entry, from memory or from the segments ---- */

struct loaded {
        uint64_t epoch, seq;
        struct wall_time accepted_at;
        struct bytes envelope;
        enum refusal code;
        struct digest effects;
};

static int load_cold(struct delivery *d, uint64_t seq, struct loaded *ret)
{
        struct store_snapshot *p;
        struct segment_place place;
        struct fold_outcome outcome;
        struct segment_entry e;
        int r = store_snapshot_open(d->broker->store, &p);

        if (r < 0)
                return r;
        r = store_snapshot_index_find(p, seq, &place);
        if (r > 0)
                r = fold_outcome_read(p, seq, &outcome);
        store_snapshot_close(p);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        r = segment_read_entry(d->broker->segments, place, seq, &d->buffer, &d->buffer_bytes, &e);
        d->gone = r == -ENOENT;
        if (r < 0)
                return r;
        metrics_inc(d->counts, M_COLD, 0);
        *ret = (struct loaded){ e.epoch, e.seq, e.accepted_at, e.envelope, outcome.code, outcome.effects };
        return 0;
}

static int load(struct delivery *d, uint64_t seq, struct loaded *ret)
{
        const struct hot_entry *e = hot_find(d->hot, seq);

        d->gone = false;
        if (!e)
                return load_cold(d, seq, ret);
        *ret = (struct loaded){ e->epoch, e->seq, e->accepted_at, e->envelope, e->code, e->effects };
        return 0;
}

/* The state as the newest durable entry left it: what is hot over what is committed.  Only get: nothing here walks. */
struct view { struct delivery *d; struct store_snapshot *committed; };

static int view_get(void *ctx, struct bytes key, struct bytes *ret)
{
        struct view *v = ctx;
        int r = hot_row(v->d->hot, key, ret);

        if (r == 0)
                r = store_snapshot_get(v->committed, STORE_STATE, key, ret);
        return r == -ENODATA ? 0 : r;
}

static int view_next(void *ctx, struct bytes prefix, struct bytes from, struct bytes *ret_key, struct bytes *ret_value)
{
        return -ENOTSUP;
}

static const struct state_ops view_ops = { view_get, view_next };

/* A row, decoded into the arena; NULL: there is none. */
static void *find_message(struct delivery *d, struct bytes key, const ProtobufCMessageDescriptor *type)
{
        struct view v = { .d = d };
        struct bytes value;
        void *m = NULL;
        int r = hot_row(d->hot, key, &value);

        if (r == 0) {
                if (store_snapshot_open(d->broker->store, &v.committed) < 0)
                        return NULL;
                r = view_get(&v, key, &value);
        }
        if (r > 0)
                m = protobuf_c_message_unpack(type, arena_allocator(d->arena), value.n, value.p);
        store_snapshot_close(v.committed);
        return m;
}

/* ---- parcels ---- */

static ProtobufCBinaryData data_of(struct bytes b)
{
        return (ProtobufCBinaryData){ b.n, (uint8_t *)b.p };
}

static void about_entry(Shuyi__V1__Parcel *p, const struct loaded *e)
{
        p->epoch = e->epoch;
        p->seq = e->seq;
        p->accepted_at = e->accepted_at.ms;
        p->code = e->code;
}

static struct outgoing *finish(struct reader *r, Shuyi__V1__Parcel *p)
{
        struct outgoing *x;

        p->number = r->sent + 1;
        x = outgoing_new(r->link, r->session, FRAME_PARCEL, &p->base);
        if (x) {
                x->number = p->number;
                x->window_bytes = (uint32_t)(p->envelope.len + p->related.len);
        }
        return x;
}

/* May this department see the envelope, and which other one goes along with it? */
static int judge_trust(struct reader *r, struct delivery *d, const Shuyi__V1__TrustRecord *t, const struct claim *claim, bool *ret_may, uint64_t *ret_related)
{
        struct view v = { .d = d };
        struct state state = { &view_ops, &v };
        int f = store_snapshot_open(d->broker->store, &v.committed);

        *ret_related = 0;
        if (f == 0)
                f = trust_may_see(state, d->arena, t, claim, r->department, ret_may);
        if (f == 0 && *ret_may)
                f = trust_related_seq(state, d->arena, claim, ret_related);
        store_snapshot_close(v.committed);
        return f;
}

static struct outgoing *trust_parcel(struct reader *r, struct delivery *d, uint64_t number)
{
        Shuyi__V1__Parcel p = SHUYI__V1__PARCEL__INIT;
        Shuyi__V1__TrustRecord *t;
        const struct claim *claim;
        uint8_t key[FOLD_KEY_MAX], n[8];
        struct loaded e, other;
        uint64_t related;
        bool may;

        put_be64(n, number);
        t = find_message(d, FOLD_KEY(key, TABLE_TRUST, bytes_of(n, 8)), &shuyi__v1__trust_record__descriptor);
        if (!t || load(d, t->seq, &e) < 0)
                return NULL;
        e.envelope = arena_copy(d->arena, e.envelope);          /* the related one may take the buffer */
        if (envelope_parse(d->arena, e.envelope, &claim) != ACCEPTED || judge_trust(r, d, t, claim, &may, &related) < 0)
                return NULL;
        about_entry(&p, &e);
        p.type = PARCEL_TRUST;
        p.cursor = number;
        p.trust = t;
        p.effects_digest = data_of(bytes_digest(&e.effects));
        if (may)
                p.envelope = data_of(e.envelope);
        else
                p.envelope_digest = data_of(bytes_digest(&claim->envelope_digest));
        if (related > 0 && load(d, related, &other) == 0)
                p.related = data_of(other.envelope);
        return finish(r, &p);
}

static struct outgoing *head_parcel(struct reader *r, const struct trust_head *h, const struct head_proof *proof)
{
        Shuyi__V1__Parcel p = SHUYI__V1__PARCEL__INIT;
        ProtobufCBinaryData path[TREE_PATH_MAX];

        p.type = PARCEL_TRUST;
        p.cursor = h->trust_seq;
        p.epoch = h->epoch;
        p.seq = h->seq;
        p.accepted_at = h->accepted_at.ms;
        p.envelope = (ProtobufCBinaryData){ h->envelope_n, h->envelope };
        p.checkpoint = proof->note;
        p.effects_digest = data_of(bytes_digest(&h->effects));
        for (unsigned i = 0; i < proof->path_n; i++)
                path[i] = data_of(bytes_digest(&proof->path[i]));
        p.n_path = proof->path_n;
        p.path = path;
        return finish(r, &p);
}

static struct outgoing *mail_parcel(struct reader *r, struct delivery *d, uint64_t number)
{
        Shuyi__V1__Parcel p = SHUYI__V1__PARCEL__INIT;
        const Shuyi__V1__FeedRow *row;
        uint8_t key[FOLD_KEY_MAX], n[8];
        struct loaded e;

        put_be64(n, number);
        row = find_message(d, FOLD_KEY(key, TABLE_FEED, bytes_str(r->department), bytes_of(n, 8)), &shuyi__v1__feed_row__descriptor);
        if (!row || load(d, row->seq, &e) < 0)
                return NULL;
        about_entry(&p, &e);
        p.type = PARCEL_MAIL;
        p.cursor = number;
        p.notice = row->notice;
        p.envelope = data_of(e.envelope);
        p.effects_digest = data_of(bytes_digest(&e.effects));
        return finish(r, &p);
}

/* A VIEW_EPOCH without its body: the consumer's own row and the path that proves it stand beside it. */
static bool own_row(struct delivery *d, struct bytes envelope, const struct mirror_sub *s, Shuyi__V1__Parcel *p)
{
        Shuyi__V1__Envelope *bare = shuyi__v1__envelope__unpack(arena_allocator(d->arena), envelope.n, envelope.p);
        const Shuyi__V1__ViewEpochBody *body;
        const struct claim *claim;
        struct digest *leaves, *path;

        if (!bare || envelope_parse(d->arena, envelope, &claim) != ACCEPTED || !claim->open_body)
                return false;
        body = (const void *)claim->open_body;
        leaves = arena_alloc(d->arena, sizeof(*leaves) * (body->n_rows + 1));
        path = arena_alloc(d->arena, sizeof(*path) * MERKLE_DEPTH_MAX);
        p->row_path = ARENA_ARRAY(d->arena, ProtobufCBinaryData, MERKLE_DEPTH_MAX);
        bare->body = (ProtobufCBinaryData){ 0 };
        p->envelope = data_of(message_pack(d->arena, &bare->base));
        if (!leaves || !path || !p->row_path || p->envelope.len == 0)
                return false;
        p->row_count = (uint32_t)body->n_rows;
        for (size_t i = 0; i < body->n_rows; i++) {
                struct bytes packed = message_pack(d->arena, &body->rows[i]->base);

                leaves[i] = row_leaf(packed);
                if (bytes_equal(bytes_of(body->rows[i]->grant.data, body->rows[i]->grant.len), bytes_digest(&s->grant))) {
                        p->row = data_of(packed);
                        p->row_index = (uint32_t)i;
                }
        }
        if (p->row.len > 0)
                p->n_row_path = merkle_records_path(leaves, body->n_rows, p->row_index, path);
        for (size_t i = 0; i < p->n_row_path; i++)
                p->row_path[i] = data_of(bytes_digest(&path[i]));
        return true;
}

static struct outgoing *link_parcel(struct reader *r, struct delivery *d, struct mirror_sub *s, uint64_t number)
{
        Shuyi__V1__Parcel p = SHUYI__V1__PARCEL__INIT;
        const Shuyi__V1__NumberRow *row;
        uint8_t key[FOLD_KEY_MAX], n[8];
        struct loaded e;
        struct peek peek;

        put_be64(n, number);
        row = find_message(d, FOLD_KEY(key, TABLE_LINK_SEQ, bytes_digest(&s->stream), bytes_of(n, 8)), &shuyi__v1__number_row__descriptor);
        if (!row || load(d, row->n, &e) < 0 || !peek_envelope(e.envelope, &peek))
                return NULL;
        about_entry(&p, &e);
        p.type = PARCEL_LINK;
        p.cursor = number;
        p.grant = data_of(bytes_digest(&s->grant));
        p.effects_digest = data_of(bytes_digest(&e.effects));
        if (peek.kind != KIND_VIEW_EPOCH)
                p.envelope = data_of(e.envelope);
        else if (!own_row(d, e.envelope, s, &p))
                return NULL;
        return finish(r, &p);
}

/* ---- what comes next ---- */

static void dead_letter(struct reader *r, struct delivery *d, const char *what, uint64_t number)
{
        metrics_inc(d->counts, M_DEAD, 0);
        log_event(LOG_ERR, "deliver.dead_letter", log_u64("link", r->link), log_str("what", what), log_u64("number", number));
}

static uint64_t next_link(const struct mirror_sub *s)
{
        uint64_t next = mirror_next(s);

        return s->sent >= next ? s->sent + 1 : next;
}

static struct outgoing *make_link(struct reader *r, struct delivery *d)
{
        for (unsigned i = 0; i < r->subs_n; i++) {
                struct mirror_sub *s = r->subs[(r->turn + i) % r->subs_n];
                uint64_t number = next_link(s);
                struct outgoing *x;

                if (number > mirror_limit(s) || memcmp(s->agent.b, r->agent.b, ID_BYTES) != 0)
                        continue;
                x = link_parcel(r, d, s, number);
                if (!x) {
                        dead_letter(r, d, "LINK", number);
                        s->dead = true;         /* order is promised: what follows waits for an operator */
                        continue;
                }
                s->sent = number;
                r->turn = (r->turn + i + 1) % r->subs_n;
                metrics_inc(d->counts, M_PARCELS, PARCEL_LINK);
                return x;
        }
        return NULL;
}

static bool is_witnessed(const struct delivery *d)
{
        return atomic_load(&d->broker->witness_quorum) > 0;
}

/* The TRUST_HEAD over the records that the reader has, which it has not: the newest one where nobody must have seen it, else one
 * that lies in a witnessed tree. */
static const struct trust_head *head_due(const struct reader *r, const struct delivery *d)
{
        const struct trust_head *h = trust_heads_find(&d->heads, r->trust, is_witnessed(d) ? d->published_size : UINT64_MAX);

        return h && h->seq > r->head_seq ? h : NULL;
}

/* One proof for all readers; -EAGAIN and other faults: not now. */
static int prove_head(struct delivery *d, const struct trust_head *h)
{
        struct head_proof p = { h->seq, d->published_size, d->published, .path_n = 0 };
        struct merkle_source source;
        int r;

        if (d->proof.seq == h->seq && d->proof.size == d->published_size && d->proof.note == d->published)
                return 0;
        source = tiles_source(d->tiles);
        r = merkle_prove_inclusion(&source, h->seq - 1, d->published_size, p.path, &p.path_n);
        if (r < 0)
                log_event(LOG_WARNING, "deliver.head_not_proved", log_u64("seq", h->seq), log_errno("fault", r));
        else
                d->proof = p;
        return r;
}

static struct outgoing *make_head(struct reader *r, struct delivery *d)
{
        const struct trust_head *h = head_due(r, d);
        const struct head_proof *proof = &d->own;

        if (!h || (!is_witnessed(d) && h->seq != d->head.seq))
                return NULL;
        if (is_witnessed(d)) {
                if (prove_head(d, h) < 0)
                        return NULL;            /* the next published head brings it */
                proof = &d->proof;
        }
        r->head_seq = h->seq;
        head_wait_given(&r->head_wait);
        return head_parcel(r, h, proof);
}

static bool on_hold(struct reader *r, const struct delivery *d)
{
        return is_witnessed(d) && head_wait_holds(&r->head_wait, d->now_ns, d->published_ns, r->trust == d->head.trust_seq);
}

static void note_missed(struct reader *r, const struct delivery *d)
{
        const struct trust_head *h = is_witnessed(d) ? trust_heads_find(&d->heads, r->trust, UINT64_MAX) : NULL;

        if (h && h->seq > r->head_seq)
                head_wait_missed(&r->head_wait, d->now_ns);
}

static struct outgoing *make_record(struct reader *r, struct delivery *d)
{
        struct outgoing *x;

        while (r->trust < d->mirror.trust_seq) {
                note_missed(r, d);
                x = trust_parcel(r, d, ++r->trust);
                if (x)
                        return x;
                dead_letter(r, d, "TRUST", r->trust);
        }
        return NULL;
}

static struct outgoing *make(struct reader *r, struct delivery *d)
{
        struct outgoing *x;

        arena_reset(d->arena);
        x = make_head(r, d);
        if (!x && on_hold(r, d))
                return NULL;
        if (!x)
                x = make_record(r, d);
        if (!x)
                x = make_head(r, d);            /* that of the records made last, or of a record that could not be made */
        if (x) {
                metrics_inc(d->counts, M_PARCELS, PARCEL_TRUST);
                return x;
        }
        while (r->mail < mirror_feed_head(&d->mirror, r->department)) {
                x = mail_parcel(r, d, ++r->mail);
                if (x) {
                        metrics_inc(d->counts, M_PARCELS, PARCEL_MAIL);
                        return x;
                }
                if (!d->gone)                   /* a notice of what retention has taken is owed to nobody */
                        dead_letter(r, d, "MAIL", r->mail);
        }
        return make_link(r, d);
}

static bool window_open(const struct reader *r, uint32_t bytes)
{
        uint64_t out = r->sent - r->acked;

        return out == 0 || (out < r->window_frames && r->bytes_out + bytes <= r->window_bytes);
}

struct outgoing *reader_next(struct reader *r, struct delivery *d)
{
        struct outgoing *x = r->held;

        r->held = NULL;
        if (!x && window_open(r, 0))
                x = make(r, d);
        if (!x)
                return NULL;
        if (!window_open(r, x->window_bytes)) {
                r->held = x;
                return NULL;
        }
        r->sent = x->number;
        r->bytes_out += x->window_bytes;
        r->flight[x->number % SESSION_PARCEL_WINDOW] = x->window_bytes;
        return x;
}

void reader_acked(struct reader *r, uint64_t number)
{
        while (r->acked < number && r->acked < r->sent) {
                r->acked++;
                r->bytes_out -= r->flight[r->acked % SESSION_PARCEL_WINDOW];
        }
}

/* ---- opening and ending ---- */

int reader_add_sub(struct reader *r, struct mirror_sub *s)
{
        if (s->reader == r)
                return 0;
        if (r->subs_n == r->subs_cap) {
                unsigned cap = r->subs_cap ? r->subs_cap * 2 : 8;
                struct mirror_sub **subs = realloc(r->subs, cap * sizeof(*subs));

                if (!subs)
                        return -ENOMEM;
                r->subs = subs;
                r->subs_cap = cap;
        }
        s->sent = 0;
        s->reader = r;
        r->subs[r->subs_n++] = s;
        return 0;
}

struct opening { struct reader *reader; int r; };

static void open_sub(struct bytes key, void *value, void *arg)
{
        struct opening *o = arg;
        struct mirror_sub *s = value;

        if (o->r == 0 && memcmp(s->agent.b, o->reader->agent.b, ID_BYTES) == 0)
                o->r = reader_add_sub(o->reader, s);
}

int reader_open(struct reader *r, struct delivery *d, const struct news *hello)
{
        struct opening o = { r, 0 };

        *r = (struct reader){ .link = hello->link, .session = hello->session, .agent = hello->hello.agent, .outbox_epoch = hello->hello.outbox_epoch,
                              .trust = hello->hello.trust_seq, .mail = hello->hello.mail, .wake = true };
        memcpy(r->department, hello->hello.department, sizeof(r->department));
        r->window_frames = hello->hello.parcel_frames < SESSION_PARCEL_WINDOW ? hello->hello.parcel_frames : SESSION_PARCEL_WINDOW;
        r->window_bytes = hello->hello.parcel_bytes;
        bytemap_each(d->mirror.subs, open_sub, &o);
        return o.r;
}

void reader_fini(struct reader *r)
{
        for (unsigned i = 0; i < r->subs_n; i++) {
                r->subs[i]->reader = NULL;
                r->subs[i]->sent = 0;
        }
        outgoing_free(r->held);
        free(r->subs);
        *r = (struct reader){ 0 };
}

int reader_handover(const struct reader *r, struct handover **list)
{
        int f = 0;

        for (unsigned i = 0; i < r->subs_n && f == 0; i++) {
                const struct mirror_sub *s = r->subs[i];

                if (s->sent > s->cursor)
                        f = handover_add(list, r->link, &(struct handover_row){ s->grant, s->stream, mirror_next(s), s->sent });
        }
        return f;
}
