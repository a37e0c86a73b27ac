/* bundle_make: what stands behind an act, entry by entry, until nothing is left that leads on. */
#include "common/bundle_make.h"
#include "common/artifact.h"
#include "common/bundle.h"
#include "common/envelope.h"
#include "common/exchange/rows.h"
#include "common/macro.h"
#include "common/merkle.h"
#include "common/record.h"
#include "common/wire.h"
#include "proto/log.pb-c.h"
#include "proto/registry.pb-c.h"
#include <errno.h>
#include <stdlib.h>

/* ---- the trust map as of a head ---- */

struct bundle_trust { struct lookup_map *map; uint64_t at; };

struct bundle_trust *bundle_trust_new(void)
{
        struct bundle_trust *t = calloc(1, sizeof(*t));

        if (!t)
                return NULL;
        t->map = lookup_map_new();
        if (t->map)
                return t;
        free(t);
        return NULL;
}

void bundle_trust_free(struct bundle_trust *t)
{
        if (!t)
                return;
        lookup_map_free(t->map);
        free(t);
}

/* Field numbers of TrustRecord. */
#define RECORD_SEQ 2
#define RECORD_KIND 3
#define RECORD_OBJECT 4
#define RECORD_STATUS 5

static int read_record(struct state state, uint64_t n, struct bytes *ret)
{
        uint8_t key[9] = { TABLE_TRUST };
        int r;

        put_be64(key + 1, n);
        r = state.ops->get(state.ctx, bytes_of(key, sizeof(key)), ret);
        return r > 0 ? 0 : r < 0 ? r : -ENOENT;
}

int bundle_trust_at(struct bundle_trust *t, struct state state, uint64_t trust_seq, struct lookup_map **ret)
{
        struct bytes row, object;
        int r = 0;

        if (trust_seq < t->at) {
                lookup_map_clear(t->map);
                t->at = 0;
        }
        if (trust_seq - t->at > BUNDLE_TRUST_RECORDS_MAX)
                return -E2BIG;
        while (t->at < trust_seq && r == 0) {
                struct lookup_object o = { .status = 0 };

                r = read_record(state, t->at + 1, &row);
                if (r == 0 && (!wire_find_run(row, RECORD_OBJECT, &object) || !bytes_copy_exact(object, o.object.b, DIGEST_BYTES)))
                        r = -EBADMSG;
                o.status = r == 0 ? (uint32_t)wire_find_number(row, RECORD_STATUS) : 0;
                o.since_seq = r == 0 ? wire_find_number(row, RECORD_SEQ) : 0;
                if (r == 0)
                        r = lookup_map_put(t->map, &o);
                if (r == 0)
                        t->at++;
        }
        *ret = t->map;
        return r;
}

/* ---- a bundle in the making ---- */

struct piece {
        uint64_t seq;
        struct bundle_log_entry log;
        const struct claim *claim;
        struct bytes row;                       /* of a VIEW_EPOCH: the consumer's, */
        uint32_t row_index;
        struct digest *row_path;                /* and its path */
        unsigned row_path_n;
        struct digest *asked;                   /* of a TRUST_HEAD: objects to be looked up */
        size_t asked_n, asked_room;
};

struct make {
        const struct bundle_source *s;
        const struct bundle_wish *wish;
        struct arena *a;
        struct rows rows;
        struct piece **pieces;                  /* by seq */
        size_t n, room;
        uint64_t last;                          /* seq of the TRUST_HEAD behind all */
        struct digest matter, grant;
        bool has_matter, has_grant;
        uint64_t last_stream_seq;               /* of the receipt; 0: none */
        int fault;
};

static int put(struct make *m, uint64_t seq);

static int no_room(void)
{
        return -ENOMEM;
}

/* ---- the list ---- */

static size_t place_of(const struct make *m, uint64_t seq)
{
        size_t low = 0, high = m->n;

        while (low < high) {
                size_t mid = low + (high - low) / 2;

                if (m->pieces[mid]->seq < seq)
                        low = mid + 1;
                else
                        high = mid;
        }
        return low;
}

static struct piece *piece_at(const struct make *m, uint64_t seq)
{
        size_t at = place_of(m, seq);

        return at < m->n && m->pieces[at]->seq == seq ? m->pieces[at] : NULL;
}

static int insert(struct make *m, struct piece *p)
{
        size_t at = place_of(m, p->seq);

        if (m->n == BUNDLE_ENTRIES_MAX)
                return -E2BIG;
        memmove(m->pieces + at + 1, m->pieces + at, (m->n - at) * sizeof(*m->pieces));
        m->pieces[at] = p;
        m->n++;
        return 0;
}

static int load(struct make *m, uint64_t seq, struct piece *ret)
{
        int r = m->s->entry(m->s->ctx, seq, m->a, &ret->log);

        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        ret->seq = seq;
        if (envelope_read_kept(m->a, ret->log.envelope, NULL, &ret->claim) != ACCEPTED)
                return -ENOENT;
        return 0;
}

/* ---- what leads on ---- */

static int put_digest(struct make *m, struct bytes header_digest)
{
        uint64_t seq = 0;
        int r = header_digest.n == DIGEST_BYTES ? m->s->find(m->s->ctx, header_digest, &seq) : 0;

        return r > 0 ? put(m, seq) : r < 0 ? r : -ENOENT;
}

/* The credential that another one, brought in behind the last head, replaced. */
static int put_replaced(struct make *m, uint64_t accept_seq);

static int put_credential(struct make *m, struct bytes id)
{
        const Shuyi__V1__CredentialRow *row = id.n == DIGEST_BYTES ? rows_credential(&m->rows, id) : NULL;

        if (!row)
                return m->rows.fault ? m->rows.fault : -ENOENT;
        return row->from_seq < m->last ? put(m, row->from_seq) : put_replaced(m, row->from_seq);
}

static int put_replaced(struct make *m, uint64_t accept_seq)
{
        struct piece accept = { 0 }, filing = { 0 };
        uint64_t seq;
        int r = load(m, accept_seq, &accept);

        if (r == 0)
                r = m->s->find(m->s->ctx, bytes_of_field(accept.claim->intent->object), &seq) > 0 ? load(m, seq, &filing) : -ENOENT;
        if (r < 0)
                return r;
        return filing.claim->kind->number == KIND_STAFF_CHANGE ? put_credential(m, bytes_of_field(filing.claim->intent->object)) : -EAGAIN;
}

static int put_agent(struct make *m, struct bytes agent)
{
        const Shuyi__V1__AgentRow *row = agent.n == ID_BYTES ? rows_agent(&m->rows, agent) : NULL;

        return row ? put_credential(m, bytes_of_field(row->credential)) : m->rows.fault ? m->rows.fault : -ENOENT;
}

static int put_department(struct make *m, const char *code)
{
        const Shuyi__V1__DepartmentRow *row = rows_department(&m->rows, code);

        return row ? put(m, row->seq) : m->rows.fault ? m->rows.fault : -ENOENT;
}

static int put_version(struct make *m, const char *resource, uint32_t version)
{
        const Shuyi__V1__VersionRow *v = rows_version(&m->rows, resource, version);
        int r = v ? put(m, v->submit_seq) : m->rows.fault ? m->rows.fault : -ENOENT;

        if (r == 0)
                r = put_digest(m, bytes_of_field(v->publish_digest));
        if (r == 0)
                m->has_matter = bytes_copy_exact(bytes_of_field(v->matter), m->matter.b, DIGEST_BYTES);
        return r;
}

/* What was done to a grant before: a RESUME goes back to its SUSPEND. */
static int put_grant_moves(struct make *m, struct bytes grant, uint64_t before)
{
        uint8_t from[10] = { TABLE_TRUST }, prefix = TABLE_TRUST;
        struct bytes key, value, object;
        size_t from_n = 1;
        int r = 0, more;

        while (r == 0 && (more = m->s->state.ops->next(m->s->state.ctx, bytes_of(&prefix, 1), bytes_of(from, from_n), &key, &value)) != 0) {
                uint64_t seq;

                if (more < 0 || key.n != 9)
                        return more < 0 ? more : -EBADMSG;
                memcpy(from, key.p, 9);
                from[9] = 0;
                from_n = 10;
                seq = wire_find_number(value, RECORD_SEQ);
                if (seq >= before)
                        return r;
                if (wire_find_number(value, RECORD_KIND) == TRUST_GRANT && wire_find_run(value, RECORD_OBJECT, &object) && bytes_equal(object, grant))
                        r = put(m, seq);
        }
        return r;
}

static int follow_body(struct make *m, const struct piece *p)
{
        const Shuyi__V1__Intent *i = p->claim->intent;
        const Shuyi__V1__DepartmentBody *department = (const void *)p->claim->open_body;
        const Shuyi__V1__CatApproveBody *approve = (const void *)p->claim->open_body;
        int r = 0;

        switch (p->claim->kind->number) {
        case KIND_DEPARTMENT:
                return department->department->via_dept[0] ? put_department(m, department->department->via_dept) : 0;
        case KIND_ACCEPT:
                return put_digest(m, bytes_of_field(i->object));
        case KIND_STAFF_CHANGE:
        case KIND_REVOKE:
                return put_credential(m, bytes_of_field(i->object));
        case KIND_CAT_SUBMIT:
                return put_agent(m, bytes_of_field(i->agent));
        case KIND_CAT_APPROVE:
                return put_digest(m, bytes_of_field(approve->submit_digest));
        case KIND_GET:
        case KIND_REQ_SUBMIT:
                r = put_version(m, i->resource, i->resource_version);
                return r == 0 ? put_agent(m, bytes_of_field(i->agent)) : r;
        case KIND_CONSENT:
        case KIND_CONSENT_PART:
        case KIND_REFUSE:
        case KIND_WITHDRAW:
                return put_digest(m, bytes_of_field(i->request));
        case KIND_SUBSCRIBE:
        case KIND_DELIVERY_RECEIPT:
                return put_digest(m, bytes_of_field(i->grant));
        case KIND_GRANT_SUSPEND:
        case KIND_GRANT_RESUME:
        case KIND_GRANT_TERMINATE:
        case KIND_GRANT_END:
                r = put_digest(m, bytes_of_field(i->grant));
                return r == 0 ? put_grant_moves(m, bytes_of_field(i->grant), p->seq) : r;
        default:
                return 0;
        }
}

/* A refused act leads nowhere but to its signers. */
static int follow(struct make *m, const struct piece *p)
{
        int r = p->log.code == ACCEPTED ? follow_body(m, p) : 0;

        for (unsigned i = 0; i < p->claim->signers_n && r == 0; i++)
                if (p->claim->signers[i].capacity != ROLE_ROOT)
                        r = put_credential(m, bytes_digest(&p->claim->signers[i].credential));
        return r;
}

static int put(struct make *m, uint64_t seq)
{
        struct piece *p;
        int r;

        if (piece_at(m, seq))
                return 0;
        if (seq == 0 || seq > m->last)
                return seq ? -EAGAIN : -ENOENT;
        p = ARENA_NEW(m->a, struct piece);
        r = p ? load(m, seq, p) : no_room();
        if (r == 0 && p->log.code != ACCEPTED && seq != m->wish->seq)
                r = -ENOENT;
        if (r == 0)
                r = insert(m, p);
        return r == 0 ? follow(m, p) : r;
}

/* ---- what every bundle has ---- */

/* All anchors, policies and calendars up to the last head. */
static int put_settings(struct make *m)
{
        uint8_t from[10] = { TABLE_TRUST }, prefix = TABLE_TRUST;
        struct bytes key, value;
        size_t from_n = 1;
        int r = 0, more;

        while (r == 0 && (more = m->s->state.ops->next(m->s->state.ctx, bytes_of(&prefix, 1), bytes_of(from, from_n), &key, &value)) != 0) {
                uint64_t kind, seq;

                if (more < 0 || key.n != 9)
                        return more < 0 ? more : -EBADMSG;
                memcpy(from, key.p, 9);
                from[9] = 0;
                from_n = 10;
                kind = wire_find_number(value, RECORD_KIND);
                seq = wire_find_number(value, RECORD_SEQ);
                if (seq > m->last)
                        return 0;
                if (kind == TRUST_ANCHOR || kind == TRUST_POLICY || kind == TRUST_CALENDAR)
                        r = put(m, seq);
        }
        return r;
}

static int put_authority(struct make *m)
{
        const Shuyi__V1__MetaRow *meta = ROWS_GET(&m->rows, &shuyi__v1__meta_row__descriptor, TABLE_META, (struct bytes){ 0 });

        return meta && meta->authority[0] ? put_department(m, meta->authority) : -ENOENT;
}

/* ---- a transfer ---- */

static uint64_t number_at(struct make *m, enum table table, struct bytes first, struct bytes second)
{
        const Shuyi__V1__NumberRow *row = ROWS_GET(&m->rows, &shuyi__v1__number_row__descriptor, table, first, second);

        return row ? row->n : 0;
}

/* The epoch with its body gives the row; what goes into the bundle is bare. */
static int take_row(struct make *m, struct piece *epoch)
{
        const Shuyi__V1__ViewEpochBody *body = (const void *)epoch->claim->open_body;
        struct digest *leaves = body ? ARENA_ARRAY(m->a, struct digest, body->n_rows) : NULL;

        epoch->row_path = ARENA_ARRAY(m->a, struct digest, MERKLE_DEPTH_MAX);
        if (!leaves || !epoch->row_path)
                return body ? -ENOMEM : -ENOENT;
        for (size_t i = 0; i < body->n_rows; i++) {
                struct bytes packed = message_pack(m->a, &body->rows[i]->base);

                leaves[i] = row_leaf(packed);
                if (bytes_equal(bytes_of_field(body->rows[i]->grant), bytes_digest(&m->wish->grant))) {
                        epoch->row = packed;
                        epoch->row_index = (uint32_t)i;
                }
        }
        if (!epoch->row.p)
                return -ENOENT;
        epoch->row_path_n = merkle_records_path(leaves, body->n_rows, epoch->row_index, epoch->row_path);
        epoch->log.envelope = envelope_strip(m->a, epoch->log.envelope);
        return epoch->log.envelope.p ? 0 : -ENOMEM;
}

/* The first receipt whose last link is this one or later. */
static int put_receipt(struct make *m, const Shuyi__V1__Intent *update)
{
        uint8_t prefix[33] = { TABLE_RECEIPT }, from[41] = { TABLE_RECEIPT };
        const Shuyi__V1__NumberRow *row;
        struct bytes key, value;
        int r;

        memcpy(prefix + 1, m->wish->grant.b, DIGEST_BYTES);
        memcpy(from, prefix, sizeof(prefix));
        put_be64(from + 33, update->stream_seq);
        r = m->s->state.ops->next(m->s->state.ctx, bytes_of(prefix, sizeof(prefix)), bytes_of(from, sizeof(from)), &key, &value);
        if (r <= 0)
                return r;
        m->last_stream_seq = get_be64(key.p + 33);
        row = shuyi__v1__number_row__unpack(arena_allocator(m->a), value.n, value.p);
        return row ? put(m, row->n) : -ENOMEM;
}

static int put_transfer(struct make *m)
{
        const struct piece *update = piece_at(m, m->wish->seq);
        const Shuyi__V1__Intent *i = update->claim->intent;
        uint8_t number[4];
        uint64_t epoch;
        int r;

        if (update->claim->kind->number != KIND_UPDATE)
                return -ENOENT;
        put_be32(number, i->view_epoch);
        epoch = number_at(m, TABLE_EPOCH_SEQ, bytes_of_field(i->stream), bytes_of(number, 4));
        r = m->rows.fault ? m->rows.fault : put(m, epoch);
        if (r == 0)
                r = take_row(m, piece_at(m, epoch));
        if (r == 0)
                r = put_digest(m, bytes_digest(&m->wish->grant));
        if (r == 0)
                r = put_receipt(m, i);
        m->grant = m->wish->grant;
        m->has_grant = true;
        return r;
}

/* Headers of the links between the UPDATE and the receipt's last. */
static int make_links(struct make *m, Shuyi__V1__Bundle *b)
{
        const Shuyi__V1__Intent *i = piece_at(m, m->wish->seq)->claim->intent;
        uint64_t n = m->last_stream_seq > i->stream_seq ? m->last_stream_seq - i->stream_seq : 0;
        int r = 0;

        if (n > BUNDLE_LINKS_MAX)
                return -E2BIG;
        b->links = ARENA_ARRAY(m->a, ProtobufCBinaryData, n + 1);
        if (!b->links)
                return -ENOMEM;
        for (uint64_t k = 1; k <= n && r == 0; k++) {
                struct piece link = { 0 };
                uint8_t number[8];

                put_be64(number, i->stream_seq + k);
                r = load(m, number_at(m, TABLE_LINK_SEQ, bytes_of_field(i->stream), bytes_of(number, 8)), &link);
                if (r == 0)
                        b->links[b->n_links++] = field_of_bytes(link.claim->header);
        }
        return r;
}

/* ---- heads and lookups ---- */

static int ask(struct make *m, struct piece *head, const struct digest *object)
{
        for (size_t i = 0; i < head->asked_n; i++)
                if (digest_equal(&head->asked[i], object))
                        return 0;
        if (head->asked_n == head->asked_room) {
                size_t room = head->asked_room ? head->asked_room * 2 : 16;
                struct digest *asked = ARENA_ARRAY(m->a, struct digest, room);

                if (!asked)
                        return -ENOMEM;
                if (head->asked_n)
                        memcpy(asked, head->asked, head->asked_n * sizeof(*asked));
                head->asked = asked;
                head->asked_room = room;
        }
        head->asked[head->asked_n++] = *object;
        return 0;
}

static int map_of(struct make *m, const struct piece *head, struct lookup_map **ret)
{
        const Shuyi__V1__TrustHeadBody *body = (const void *)head->claim->open_body;

        return body ? bundle_trust_at(m->s->trust, m->s->state, body->trust_seq, ret) : -EBADMSG;
}

/* One object that an entry rests on: asked of the last head; of the head before the entry too, where it changed since, or of the act itself. */
static int rest_on(struct make *m, uint64_t seq, const struct digest *object)
{
        struct piece *last = piece_at(m, m->last);
        struct lookup_object now;
        struct lookup_map *map;
        uint64_t before;
        int r = ask(m, last, object);

        if (r == 0)
                r = map_of(m, last, &map);
        if (r < 0 || !lookup_map_find(map, object, &now))
                return r;
        if (now.status == STATUS_REVOKED)
                r = put(m, now.since_seq);
        if (r < 0 || (now.status == STATUS_ACTIVE && now.since_seq < seq && seq != m->wish->seq))
                return r;
        r = m->s->head_before(m->s->ctx, seq, &before);
        if (r > 0)
                r = put(m, before);
        return r == 0 && piece_at(m, before) ? ask(m, piece_at(m, before), object) : r;
}

/* Entries that come in on the way (a revocation, a head) have signers too: until nothing new comes. */
static int rest_on_all(struct make *m)
{
        size_t done = 0;
        int r = 0;

        while (r == 0 && done < m->n) {
                size_t was = m->n;

                for (size_t i = 0; i < m->n && r == 0; i++) {
                        const struct piece *p = m->pieces[i];

                        for (unsigned k = 0; k < p->claim->signers_n && r == 0 && p->log.code == ACCEPTED; k++)
                                if (p->claim->signers[k].capacity != ROLE_ROOT)
                                        r = rest_on(m, p->seq, &p->claim->signers[k].credential);
                }
                done = m->n == was ? m->n : 0;
        }
        return r;
}

static int rest_on_settings(struct make *m)
{
        const Shuyi__V1__Intent *i = piece_at(m, m->wish->seq)->claim->intent;
        static const enum trust_kind kinds[] = { TRUST_ANCHOR, TRUST_POLICY, TRUST_CALENDAR };
        int r = 0;

        for (unsigned k = 0; k < ELEMENTS(kinds) && r == 0; k++) {
                struct digest object = turn_trust_object(kinds[k], bytes_str(i->domain));

                r = ask(m, piece_at(m, m->last), &object);
        }
        if (r == 0 && m->has_grant)
                r = rest_on(m, m->wish->seq, &m->grant);
        if (r == 0 && m->has_matter)
                r = rest_on(m, m->wish->seq, &m->matter);
        return r;
}

static int by_object(const void *a, const void *b)
{
        return memcmp(a, b, DIGEST_BYTES);
}

static int make_lookups(struct make *m, const struct piece *p, Shuyi__V1__BundleEntry *e)
{
        struct lookup_map *map;
        int r = p->asked_n ? map_of(m, p, &map) : 0;

        if (r < 0 || p->asked_n == 0)
                return r;
        qsort(p->asked, p->asked_n, sizeof(*p->asked), by_object);
        e->lookups = ARENA_ARRAY(m->a, Shuyi__V1__MapLeaf *, p->asked_n);
        for (size_t i = 0; e->lookups && i < p->asked_n; i++) {
                e->lookups[e->n_lookups] = lookup_prove(map, m->a, &p->asked[i]);
                e->n_lookups += e->lookups[e->n_lookups] != NULL;
        }
        return arena_failed(m->a) ? -ENOMEM : 0;
}

/* ---- the entries ---- */

static int put_path(struct make *m, const struct digest *path, size_t n, size_t *ret_n, ProtobufCBinaryData **ret)
{
        *ret = ARENA_ARRAY(m->a, ProtobufCBinaryData, n + 1);
        for (size_t i = 0; *ret && i < n; i++)
                (*ret)[i] = field_of_bytes(arena_copy(m->a, bytes_digest(&path[i])));
        *ret_n = n;
        return arena_failed(m->a) ? -ENOMEM : 0;
}

static int make_entry(struct make *m, const struct piece *p, Shuyi__V1__BundleEntry **ret)
{
        Shuyi__V1__BundleEntry *e = ARENA_NEW(m->a, Shuyi__V1__BundleEntry);
        struct digest path[MERKLE_DEPTH_MAX];
        unsigned path_n = 0;
        int r = e ? m->s->path(m->s->ctx, p->seq, m->s->size, path, &path_n) : -ENOMEM;

        if (r < 0)
                return r;
        shuyi__v1__bundle_entry__init(e);
        e->epoch = p->log.epoch;
        e->seq = p->seq;
        e->accepted_at = p->log.accepted_at.ms;
        e->code = p->log.code;
        e->effects_digest = field_of_bytes(arena_copy(m->a, bytes_digest(&p->log.effects)));
        e->envelope = field_of_bytes(p->log.envelope);
        e->row = field_of_bytes(p->row);
        e->row_index = p->row_index;
        r = put_path(m, path, path_n, &e->n_path, &e->path);
        if (r == 0)
                r = put_path(m, p->row_path, p->row_path_n, &e->n_row_path, &e->row_path);
        *ret = e;
        return r == 0 ? make_lookups(m, p, e) : r;
}

static int make_entries(struct make *m, Shuyi__V1__Bundle *b)
{
        int r = 0;

        b->entries = ARENA_ARRAY(m->a, Shuyi__V1__BundleEntry *, m->n);
        if (!b->entries)
                return -ENOMEM;
        b->n_entries = 1;
        for (size_t i = 0; i < m->n && r == 0; i++)
                r = make_entry(m, m->pieces[i], &b->entries[m->pieces[i]->seq == m->wish->seq ? 0 : b->n_entries++]);
        return r;
}

int bundle_make(const struct bundle_source *source, const struct bundle_wish *wish, struct arena *a, Shuyi__V1__Bundle *ret)
{
        struct make m = { .s = source, .wish = wish, .a = a, .rows = { .state = source->state, .arena = a } };
        int r = source->head_before(source->ctx, source->size + 1, &m.last);

        if (r <= 0 || wish->seq >= m.last)
                return r < 0 ? r : -EAGAIN;
        m.pieces = ARENA_ARRAY(a, struct piece *, BUNDLE_ENTRIES_MAX + 1);
        r = m.pieces ? put(&m, m.last) : -ENOMEM;
        if (r == 0)
                r = put(&m, wish->seq);
        if (r == 0)
                r = put_settings(&m);
        if (r == 0)
                r = put_authority(&m);
        if (r == 0 && wish->kind == BUNDLE_UPDATE)
                r = put_transfer(&m);
        if (r == 0)
                r = rest_on_settings(&m);
        if (r == 0)
                r = rest_on_all(&m);
        ret->version = 1;
        ret->kind = wish->kind;
        if (r == 0 && wish->kind == BUNDLE_UPDATE)
                r = make_links(&m, ret);
        return r == 0 ? make_entries(&m, ret) : r;
}

struct bytes bundle_write(struct arena *a, const Shuyi__V1__Bundle *b)
{
        struct bytes packed = message_pack(a, &b->base);

        return packed.p && packed.n <= BUNDLE_MAX_BYTES ? artifact_encode(a, ARTIFACT_BUNDLE, packed) : (struct bytes){ 0 };
}
