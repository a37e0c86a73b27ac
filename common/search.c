/* search: see the header.  What an entry is about is gathered first, then each thing is one key. */
#include "common/search.h"
#include "common/fold.h"
#include "common/macro.h"
#include "proto/stream.pb-c.h"
#include <errno.h>

#define DEPARTMENTS_MAX 8
#define PERSONS_MAX 64
#define RESOURCES_MAX 4
#define GRANTS_MAX 8

/* ---- keys and values ---- */

size_t search_prefix(enum search_set set, enum search_by by, struct bytes value, uint8_t ret[SEARCH_KEY_MAX])
{
        size_t n = value.n < 255 ? value.n : 255;

        ret[0] = (uint8_t)set;
        ret[1] = (uint8_t)by;
        ret[2] = (uint8_t)n;
        if (n > 0)
                memcpy(ret + 3, value.p, n);
        return 3 + n;
}

#define HIT_BYTES (32 + 4 * 8)

static void hit_encode(const struct search_hit *h, uint8_t ret[HIT_BYTES])
{
        memcpy(ret, h->grant.b, 32);
        put_be64(ret + 32, h->first);
        put_be64(ret + 40, h->last);
        put_be64(ret + 48, h->from);
        put_be64(ret + 56, h->to);
}

static int hit_decode(struct bytes key, struct bytes value, struct search_hit *ret)
{
        if (key.n < 8 || value.n != HIT_BYTES)
                return -EBADMSG;
        ret->seq = get_be64(key.p + key.n - 8);
        memcpy(ret->grant.b, value.p, 32);
        ret->first = get_be64(value.p + 32);
        ret->last = get_be64(value.p + 40);
        ret->from = get_be64(value.p + 48);
        ret->to = get_be64(value.p + 56);
        return 1;
}

/* ---- what an entry is about: small sets, each value once ---- */

struct about {
        struct search_hit hit;
        enum search_set set;
        struct bytes departments[DEPARTMENTS_MAX], persons[PERSONS_MAX], resources[RESOURCES_MAX], grants[GRANTS_MAX];
        unsigned departments_n, persons_n, resources_n, grants_n;
        uint32_t codes[8];
        unsigned codes_n;
};

static void add_once(struct bytes *list, unsigned *n, unsigned max, struct bytes value)
{
        for (unsigned i = 0; i < *n; i++)
                if (bytes_equal(list[i], value))
                        return;
        if (value.n > 0 && *n < max)
                list[(*n)++] = value;
}

static void add_department(struct about *o, const char *code) { add_once(o->departments, &o->departments_n, DEPARTMENTS_MAX, bytes_str(code ? code : "")); }
static void add_resource(struct about *o, const char *code) { add_once(o->resources, &o->resources_n, RESOURCES_MAX, bytes_str(code ? code : "")); }

static void add_person(struct about *o, ProtobufCBinaryData id)
{
        if (id.len == ID_BYTES)
                add_once(o->persons, &o->persons_n, PERSONS_MAX, bytes_of(id.data, id.len));
}

static void add_code(struct about *o, uint32_t code)
{
        for (unsigned i = 0; i < o->codes_n; i++)
                if (o->codes[i] == code)
                        return;
        if (o->codes_n < ELEMENTS(o->codes))
                o->codes[o->codes_n++] = code;
}

/* A grant: its parties and its resource.  NULL if there is none. */
static const Shuyi__V1__GrantRow *add_grant(struct search_writer *w, struct about *o, struct bytes id)
{
        const Shuyi__V1__GrantRow *g = id.n == DIGEST_BYTES ? FOLD_ROW(w->state, w->arena, shuyi__v1__grant_row__descriptor, TABLE_GRANT, id) : NULL;

        if (!g)
                return NULL;
        add_once(o->grants, &o->grants_n, GRANTS_MAX, id);
        add_department(o, g->consumer);
        add_department(o, g->provider);
        add_resource(o, g->resource);
        return g;
}

static int write_key(struct search_writer *w, const struct about *o, enum search_by by, struct bytes value)
{
        uint8_t key[SEARCH_KEY_MAX], row[HIT_BYTES];
        size_t n = search_prefix(o->set, by, value, key);

        put_be64(key + n, o->hit.seq);
        hit_encode(&o->hit, row);
        return store_put(w->store, w->db, bytes_of(key, n + 8), bytes_of(row, sizeof(row)));
}

static int write_list(struct search_writer *w, const struct about *o, enum search_by by, const struct bytes *list, unsigned n)
{
        int r = 0;

        for (unsigned i = 0; i < n && r == 0; i++)
                r = write_key(w, o, by, list[i]);
        return r;
}

static int write_about(struct search_writer *w, const struct about *o)
{
        uint8_t code[4];
        int r = write_key(w, o, SEARCH_ALL, (struct bytes){ 0 });

        if (r == 0)
                r = write_list(w, o, SEARCH_DEPARTMENT, o->departments, o->departments_n);
        if (r == 0)
                r = write_list(w, o, SEARCH_PERSON, o->persons, o->persons_n);
        if (r == 0)
                r = write_list(w, o, SEARCH_RESOURCE, o->resources, o->resources_n);
        if (r == 0)
                r = write_list(w, o, SEARCH_GRANT, o->grants, o->grants_n);
        for (unsigned i = 0; i < o->codes_n && r == 0; i++) {
                put_be32(code, o->codes[i]);
                r = write_key(w, o, SEARCH_CODE, bytes_of(code, 4));
        }
        return r;
}

/* ---- audiences: who used and approved under a grant from which link on; the newest first ---- */

#define AUDIENCE_KEY (3 + 32 + 8)

static void audience_key(struct bytes grant, uint64_t link, uint8_t ret[SEARCH_KEY_MAX])
{
        put_be64(ret + search_prefix(SEARCH_AUDIENCE, SEARCH_GRANT, grant, ret), ~link);
}

static int add_audience(struct search_writer *w, const struct claim *c)
{
        const Shuyi__V1__ViewEpochBody *body = (const void *)c->open_body;
        uint8_t key[SEARCH_KEY_MAX], row[2 * ID_BYTES];
        int r = 0;

        for (size_t i = 0; body && i < body->n_rows && r == 0; i++) {
                const Shuyi__V1__AudienceRow *a = body->rows[i];

                if (a->grant.len != DIGEST_BYTES || a->user.len != ID_BYTES || a->approver.len != ID_BYTES)
                        continue;
                audience_key(bytes_of(a->grant.data, a->grant.len), c->intent->stream_seq, key);
                memcpy(row, a->user.data, ID_BYTES);
                memcpy(row + ID_BYTES, a->approver.data, ID_BYTES);
                r = store_put(w->store, w->db, bytes_of(key, AUDIENCE_KEY), bytes_of(row, sizeof(row)));
        }
        return r;
}

/* Who stood in the epochs of the links [first, last] of a grant. */
static int find_audience(struct search_writer *w, struct about *o)
{
        uint8_t from[SEARCH_KEY_MAX];
        struct bytes grant = bytes_digest(&o->hit.grant), key, value;
        int r = 1;

        for (uint64_t link = o->hit.last; r > 0;) {
                audience_key(grant, link, from);
                r = store_next(w->store, w->db, bytes_of(from, AUDIENCE_KEY - 8), bytes_of(from, AUDIENCE_KEY), &key, &value);
                if (r <= 0)
                        return r;
                if (key.n != AUDIENCE_KEY || value.n != 2 * ID_BYTES)
                        return -EBADMSG;
                value = arena_copy(w->arena, value);
                if (!value.p)
                        return -ENOMEM;
                link = ~get_be64(key.p + AUDIENCE_KEY - 8);
                add_once(o->persons, &o->persons_n, PERSONS_MAX, bytes_of(value.p, ID_BYTES));
                add_once(o->persons, &o->persons_n, PERSONS_MAX, bytes_of(value.p + ID_BYTES, ID_BYTES));
                if (link <= o->hit.first || link == 0)
                        return 0;
                link--;
        }
        return r;
}

/* ---- acquisitions ---- */

static int add_receipt(struct search_writer *w, struct about *o, const struct claim *c)
{
        const Shuyi__V1__DeliveryReceiptBody *body = (const void *)c->open_body;
        int r;

        if (!body || !bytes_copy_exact(bytes_of(c->intent->grant.data, c->intent->grant.len), o->hit.grant.b, DIGEST_BYTES) ||
            !add_grant(w, o, bytes_digest(&o->hit.grant)))
                return 0;
        o->set = SEARCH_ACQUISITIONS;
        o->hit.first = body->first;
        o->hit.last = body->last;
        o->hit.from = o->hit.to = body->acquired_at;
        for (size_t i = 0; i < body->n_deltas; i++)
                o->hit.to += body->deltas[i];
        for (size_t i = 0; i < body->n_nacks; i++)
                add_code(o, body->nacks[i]->code);
        if (body->n_nacks > 0)
                add_code(o, SEARCH_REFUSED);
        if (body->n_nacks <= body->last - body->first)
                add_code(o, ACCEPTED);
        r = find_audience(w, o);
        return r < 0 ? r : write_about(w, o);
}

/* ---- acts ---- */

static void add_signer(struct search_writer *w, struct about *o, const struct signer *s)
{
        const Shuyi__V1__CredentialRow *row = FOLD_ROW(w->state, w->arena, shuyi__v1__credential_row__descriptor, TABLE_CREDENTIAL, bytes_digest(&s->credential));
        const Shuyi__V1__Credential *c = row ? shuyi__v1__credential__unpack(arena_allocator(w->arena), row->credential.len, row->credential.data) : NULL;

        if (!c || !c->subject)
                return;
        add_department(o, c->subject->department);
        if (c->subject->kind == SUBJECT_PERSON)
                add_person(o, c->subject->id);
}

/* The matter that an act is about: an application, a grant, a filing, a catalog matter, under the id that the act names or made. */
static void add_matter(struct search_writer *w, struct about *o, struct bytes id)
{
        const Shuyi__V1__RequestRow *q;
        const Shuyi__V1__FilingRow *f;
        const Shuyi__V1__MatterRow *m;

        if (id.n != DIGEST_BYTES)
                return;
        add_grant(w, o, id);
        q = FOLD_ROW(w->state, w->arena, shuyi__v1__request_row__descriptor, TABLE_REQUEST, id);
        if (q) {
                add_department(o, q->consumer);
                add_department(o, q->provider);
                add_resource(o, q->resource);
        }
        f = FOLD_ROW(w->state, w->arena, shuyi__v1__filing_row__descriptor, TABLE_FILING, id);
        if (f)
                add_department(o, f->department);
        m = FOLD_ROW(w->state, w->arena, shuyi__v1__matter_row__descriptor, TABLE_MATTER, id);
        if (m) {
                add_department(o, m->provider);
                add_resource(o, m->resource);
        }
}

/* More grants than `about` has room for may have been handed over at once: each row is written for itself. */
static int write_handed_over(struct search_writer *w, const struct about *act, const struct claim *c)
{
        const Shuyi__V1__HandoverBody *body = (const void *)c->open_body;
        int r = 0;

        for (size_t i = 0; body && i < body->n_rows && r == 0; i++) {
                struct about row = { .hit = act->hit, .set = act->set };

                if (add_grant(w, &row, bytes_of(body->rows[i]->grant.data, body->rows[i]->grant.len)))
                        r = write_about(w, &row);
        }
        return r;
}

static int add_act(struct search_writer *w, struct about *o, const struct claim *c, enum refusal code)
{
        const Shuyi__V1__Intent *i = c->intent;
        int r;

        o->set = SEARCH_ACTS;
        add_department(o, i->from);
        add_department(o, i->to);
        add_resource(o, i->resource);
        for (unsigned k = 0; k < c->signers_n; k++)
                add_signer(w, o, &c->signers[k]);
        add_matter(w, o, bytes_digest(&c->header_digest));
        add_matter(w, o, bytes_of(i->request.data, i->request.len));
        add_matter(w, o, bytes_of(i->grant.data, i->grant.len));
        add_matter(w, o, bytes_of(i->object.data, i->object.len));
        add_code(o, code);
        if (code != ACCEPTED)
                add_code(o, SEARCH_REFUSED);
        r = write_about(w, o);
        return r == 0 && c->kind->number == KIND_HANDOVER ? write_handed_over(w, o, c) : r;
}

static bool is_shown(const struct kind *k)
{
        return k->class != KIND_DATA && k->number != KIND_TICK && k->number != KIND_TRUST_HEAD;
}

int search_add(struct search_writer *w, uint64_t seq, struct wall_time accepted_at, const struct claim *c, enum refusal code)
{
        struct about o = { .hit = { .seq = seq, .from = accepted_at.ms, .to = accepted_at.ms } };

        if (c->kind->number == KIND_VIEW_EPOCH && code == ACCEPTED)
                return add_audience(w, c);
        if (c->kind->number == KIND_DELIVERY_RECEIPT && code == ACCEPTED)
                return add_receipt(w, &o, c);
        return is_shown(c->kind) ? add_act(w, &o, c, code) : 0;
}

/* ---- asking ---- */

int search_next(struct store_snapshot *p, unsigned db, struct bytes prefix, uint64_t seq, struct search_hit *ret)
{
        uint8_t from[SEARCH_KEY_MAX];
        struct bytes key, value;
        int r;

        memcpy(from, prefix.p, prefix.n);
        put_be64(from + prefix.n, seq);
        r = store_snapshot_next(p, db, prefix, bytes_of(from, prefix.n + 8), &key, &value);
        return r > 0 ? hit_decode(key, value, ret) : r;
}

int search_has(struct store_snapshot *p, unsigned db, enum search_set set, enum search_by by, struct bytes value, uint64_t seq)
{
        uint8_t key[SEARCH_KEY_MAX];
        size_t n = search_prefix(set, by, value, key);
        struct bytes found;

        put_be64(key + n, seq);
        return store_snapshot_get(p, db, bytes_of(key, n + 8), &found);
}

/* ---- position: u32 version, u64 seq, leaf ---- */

static const struct bytes position_key = { (const uint8_t *)"search", 6 };

int search_position_put(struct store *s, const struct search_position *at)
{
        uint8_t value[4 + 8 + DIGEST_BYTES];

        put_be32(value, SEARCH_VERSION);
        put_be64(value + 4, at->seq);
        memcpy(value + 12, at->leaf.b, DIGEST_BYTES);
        return store_put(s, STORE_META, position_key, bytes_of(value, sizeof(value)));
}

int search_position_read(struct store_snapshot *p, struct search_position *ret)
{
        struct bytes value;
        int r = store_snapshot_get(p, STORE_META, position_key, &value);

        if (r <= 0)
                return r;
        if (value.n != 4 + 8 + DIGEST_BYTES || get_be32(value.p) != SEARCH_VERSION)
                return 0;
        ret->seq = get_be64(value.p + 4);
        memcpy(ret->leaf.b, value.p + 12, DIGEST_BYTES);
        return 1;
}
