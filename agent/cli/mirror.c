/* mirror: see the header. */
#include "agent/cli/mirror_internal.h"
#include "common/anchor.h"
#include "common/checkpoint.h"
#include "common/macro.h"
#include "common/statekeys.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>

#define MAP_BYTES (1ull << 36)                  /* address space, not disk */
#define ANCHOR_MAX (256 * 1024)

static const char *const own_databases[] = { "entries", "roots", "search" };

int mirror_bad(struct mirror *m, uint64_t seq, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        vsnprintf(m->wrong.what, sizeof(m->wrong.what), format, ap);
        va_end(ap);
        m->wrong.seq = seq;
        return -EBADMSG;
}

/* ---- the directory ---- */

static int take_anchor(struct mirror *m, struct bytes signed_anchor)
{
        struct bytes copy = arena_copy(m->lasting, signed_anchor);
        const Shuyi__V1__SignedAnchor *s = message_parse(m->lasting, &shuyi__v1__signed_anchor__descriptor, copy);

        if (!s || anchor_check(m->lasting, copy, &m->anchor) || m->anchor->n_logs == 0)
                return -EINVAL;
        m->anchor_bytes = bytes_of(s->anchor.data, s->anchor.len);
        m->origin = m->anchor->logs[0]->origin;
        return 0;
}

/* The anchor is given once, then kept with the copy: another one is another log. */
static int find_anchor(struct mirror *m, const struct mirror_options *o)
{
        _cleanup_(store_snapshot_closep) struct store_snapshot *p = NULL;
        struct bytes kept, published;
        int r = store_snapshot_open(m->store, &p);

        if (r == 0)
                r = store_snapshot_get(p, STORE_META, mirror_published_key, &published);
        if (r > 0 && published.n == 8)
                m->published = get_be64(published.p);
        if (r >= 0)
                r = mirror_image_read(m, p);
        if (r >= 0)
                r = store_snapshot_get(p, STORE_META, mirror_anchor_key, &kept);
        if (r < 0)
                return r;
        if (r == 0 && o->signed_anchor.n == 0)
                return -ENOKEY;
        if (r > 0 && o->signed_anchor.n > 0 && !bytes_equal(kept, o->signed_anchor))
                return -EKEYREJECTED;
        return take_anchor(m, r > 0 ? kept : o->signed_anchor);
}

static int open_fold(struct mirror *m, struct bytes signed_anchor)
{
        int r = fold_open(&m->fold, m->store, m->anchor->domain);

        if (r == -ENODATA) {
                r = store_put(m->store, STORE_META, mirror_anchor_key, signed_anchor);
                if (r == 0)
                        r = fold_found(&m->fold);
                if (r == 0)
                        r = store_commit(m->store);
                fold_close(&m->fold);
                if (r == 0)
                        r = fold_open(&m->fold, m->store, m->anchor->domain);
        }
        store_abort(m->store);                  /* opening reads in a transaction */
        return r;
}

static int open_store(struct mirror *m, const struct mirror_options *o)
{
        const char *databases[STORE_DATABASES_MAX] = { NULL };
        unsigned n = 0;
        char dir[4096];
        struct store_options s = { .dir = dir, .map_bytes = MAP_BYTES, .databases = databases, .allow_volatile = o->allow_volatile, .read_only = o->read_only };

        while (fold_databases[n]) {
                databases[n] = fold_databases[n];
                n++;
        }
        memcpy(databases + n, own_databases, sizeof(own_databases));
        if (!o->read_only && mkdir(o->dir, 0700) < 0 && errno != EEXIST)
                return -errno;
        if (snprintf(dir, sizeof(dir), "%s/store", o->dir) >= (int)sizeof(dir))
                return -ENAMETOOLONG;
        return store_open(&s, &m->store);
}

int mirror_open(const struct mirror_options *o, struct mirror **ret)
{
        struct mirror *m = calloc(1, sizeof(*m));
        int r;

        if (!m)
                return -ENOMEM;
        m->lasting = arena_new(4u << 20);
        m->arena = arena_new(32u << 20);
        r = m->lasting && m->arena ? open_store(m, o) : -ENOMEM;
        if (r == 0)
                r = find_anchor(m, o);
        if (r == 0 && !o->read_only)
                r = open_fold(m, o->signed_anchor);
        if (r < 0) {
                mirror_close(m);
                return r;
        }
        m->fold.directory_moved = true;
        *ret = m;
        return 0;
}

void mirror_close(struct mirror *m)
{
        if (!m)
                return;
        fold_close(&m->fold);
        keydir_unref(m->directory);
        store_close(m->store);
        arena_free(m->arena);
        arena_free(m->lasting);
        free(m);
}

const char *mirror_domain(const struct mirror *m) { return m->anchor->domain; }
const char *mirror_origin(const struct mirror *m) { return m->origin; }
uint64_t mirror_seq(const struct mirror *m) { return m->fold.seq; }
uint64_t mirror_published(const struct mirror *m) { return m->published; }
const struct mirror_wrong *mirror_wrong(const struct mirror *m) { return &m->wrong; }
const struct mirror_counts *mirror_counts(const struct mirror *m) { return &m->counts; }

/* ---- an entry ---- */

static int verify(struct mirror *m, const struct segment_entry *e, const struct claim **ret)
{
        enum refusal code;
        int r = 0;

        if (m->fold.directory_moved || !m->directory) {
                keydir_unref(TAKE(m->directory));
                r = statekeys_build(store_state(m->store), &m->directory);
                m->fold.directory_moved = false;
        }
        if (r < 0)
                return r;
        code = statekeys_verify(m->arena, e->envelope, m->directory, m->fold.seq == 0, ret);
        if (code != ACCEPTED)
                return mirror_bad(m, e->seq, "the envelope does not verify: %s", refusal_text(code)->code);
        m->counts.signatures += (*ret)->signers_n;
        return 0;
}

/* The anchor of the version that the auditor was handed is that very anchor.  1; 0: the log has none of that version. */
static int look_at_anchor(struct mirror *m, struct state state)
{
        const Shuyi__V1__DocumentRow *row;
        const Shuyi__V1__SignedAnchor *s;
        uint8_t number[4];

        if (m->anchor_seen)
                return 1;
        put_be32(number, m->anchor->version);
        row = FOLD_ROW(state, m->arena, shuyi__v1__document_row__descriptor, TABLE_ANCHOR, bytes_of(number, 4));
        if (!row)
                return 0;
        s = message_parse(m->arena, &shuyi__v1__signed_anchor__descriptor, bytes_of(row->bytes_.data, row->bytes_.len));
        if (!s || !bytes_equal(bytes_of(s->anchor.data, s->anchor.len), m->anchor_bytes))
                return mirror_bad(m, m->fold.seq, "the log's anchor of version %u is not the one given", m->anchor->version);
        m->anchor_seen = true;
        return 1;
}

static int keep(struct mirror *m, struct bytes payload, const struct claim *claim, const struct segment_entry *e, const struct outcome *o, const struct digest *leaf)
{
        struct search_writer w = { .store = m->store, .db = DB_SEARCH, .state = store_state(m->store), .arena = m->arena };
        struct search_position at = { e->seq, *leaf };
        struct digest root = merkle_root(&m->fold.frontier);
        uint8_t key[8];
        int r;

        put_be64(key, e->seq);
        r = store_append(m->store, DB_ENTRIES, bytes_of(key, 8), payload);
        if (r == 0)
                r = store_put(m->store, DB_ROOTS, bytes_of(key, 8), bytes_digest(&root));       /* perhaps left by an image that was not whole */
        if (r == 0)
                r = search_add(&w, e->seq, e->accepted_at, claim, o->code);
        return r == 0 ? search_position_put(m->store, &at) : r;
}

static int step(struct mirror *m, struct bytes payload, const struct segment_entry *e)
{
        const struct claim *claim;
        struct outcome outcome;
        struct digest leaf;
        int r = verify(m, e, &claim);

        if (r < 0)
                return r;
        struct entry entry = { .accepted_at = e->accepted_at, .link = e->link, .lane = e->lane, .outbox_epoch = e->outbox_epoch,
                               .outbox_seq = e->outbox_seq, .claim = claim };
        if (e->accepted_at.ms < m->fold.accepted_at.ms)
                return mirror_bad(m, e->seq, "accepted before the entry before it");
        r = fold_step(&m->fold, &entry, m->arena, &outcome, &leaf);
        if (r == -EBADMSG)
                return mirror_bad(m, e->seq, "%s contradicts the state", claim->kind->name);
        if (r < 0)
                return r;
        if (m->fold.seq != e->seq || entry.epoch != e->epoch)
                return mirror_bad(m, e->seq, "the rules refuse it, and refused data makes no entry: %s", refusal_text(outcome.code)->code);
        m->counts.entries++;
        r = keep(m, payload, claim, e, &outcome, &leaf);
        if (r == 0)
                r = look_at_anchor(m, store_state(m->store));
        return r < 0 ? r : 0;
}

/* The last entry held, shown again. */
static int compare(struct mirror *m, struct bytes payload, uint64_t seq)
{
        struct bytes held;
        uint8_t key[8];
        int r;

        put_be64(key, seq);
        r = store_get(m->store, DB_ENTRIES, bytes_of(key, 8), &held);
        if (r < 0)
                return r;
        if (r == 0)                             /* not held: of an image */
                return 0;
        return bytes_equal(held, payload) ? 0 : mirror_bad(m, seq, "the log shows another entry than the one held");
}

static int check_head(struct mirror *m, const char *note)
{
        struct digest root = merkle_root(&m->fold.frontier);
        struct checkpoint c;
        const char *wrong;
        uint8_t key[32];

        if (!statekeys_log(store_state(m->store), m->arena, m->origin, key))
                return mirror_bad(m, m->fold.seq, "the anchor in force has no key for %s", m->origin);
        wrong = checkpoint_verify(m->arena, note, m->origin, key, &c);
        if (wrong)
                return mirror_bad(m, m->fold.seq, "the head does not verify: %s", wrong);
        if (c.size != m->fold.seq || !digest_equal(&c.root, &root))
                return mirror_bad(m, m->fold.seq, "the head signs another tree than the entries give");
        m->counts.heads++;
        return 0;
}

/* ---- a page ---- */

int mirror_begin(struct mirror *m)
{
        return store_begin(m->store);
}

int mirror_take(struct mirror *m, struct bytes packed)
{
        const Shuyi__V1__LogRow *row;
        struct segment_entry e;
        struct bytes payload, tombstone;
        int r;

        arena_reset(m->arena);
        row = message_parse(m->arena, &shuyi__v1__log_row__descriptor, packed);
        payload = row ? bytes_of(row->entry.data, row->entry.len) : (struct bytes){ 0 };
        tombstone = row ? bytes_of(row->tombstone.data, row->tombstone.len) : (struct bytes){ 0 };
        if ((payload.n > 0) == (tombstone.n > 0) || !segment_record_entry(payload.n ? SEGMENT_ENTRY : SEGMENT_TOMBSTONE, payload.n ? payload : tombstone, &e))
                return mirror_bad(m, mirror_reached(m) + 1, "a row is not of the form of the log's");
        if (m->filled < m->image)
                return mirror_fill(m, payload, &e, row->head);
        if (e.seq == m->fold.seq)
                r = e.gone ? mirror_compare_leaf(m, &e) : compare(m, payload, e.seq);
        else if (e.seq != m->fold.seq + 1)
                r = mirror_bad(m, m->fold.seq + 1, "the log shows entry %llu instead", (unsigned long long)e.seq);
        else
                r = e.gone ? -ENODATA : step(m, payload, &e);
        return r == 0 && row->head[0] ? check_head(m, row->head) : r;
}

int mirror_commit(struct mirror *m)
{
        int r = fold_save(&m->fold);

        if (r == 0 && m->image > 0)
                r = mirror_image_put(m, m->store);
        return r == 0 ? store_commit(m->store) : r;
}

/* The fold has gone further than the store: it is read again. */
void mirror_abort(struct mirror *m)
{
        struct store_snapshot *p = NULL;

        store_abort(m->store);
        fold_close(&m->fold);
        if (fold_open(&m->fold, m->store, m->anchor->domain) < 0)
                m->fold.seq = 0;
        store_abort(m->store);
        m->fold.directory_moved = true;
        if (store_snapshot_open(m->store, &p) == 0)
                mirror_image_read(m, p);
        store_snapshot_close(p);
}

/* ---- what the center says of its log ---- */

int mirror_check_end(struct mirror *m, uint64_t as_of)
{
        return as_of >= m->fold.seq ? 0 : mirror_bad(m, as_of + 1, "the log goes back: it ends at entry %llu, and entry %llu is held", (unsigned long long)as_of, (unsigned long long)m->fold.seq);
}

/* At most the last entry held is in the tree that is held. */
static int check_published(struct mirror *m, struct store_snapshot *p, const char *note)
{
        struct checkpoint_quorum quorum;
        const Shuyi__V1__Anchor *anchor = statekeys_anchor(store_snapshot_state(p), m->arena);
        struct checkpoint c;
        struct bytes root;
        const char *wrong;
        uint8_t key[32], at[8];
        int r;

        if (!anchor || !statekeys_log(store_snapshot_state(p), m->arena, m->origin, key))
                return mirror_bad(m, m->fold.seq, "the anchor in force has no key for %s", m->origin);
        wrong = checkpoint_verify(m->arena, note, m->origin, key, &c);
        if (!wrong)
                wrong = checkpoint_quorum(note, anchor, &quorum);
        if (wrong)
                return mirror_bad(m, m->fold.seq, "the published head does not verify: %s", wrong);
        if (c.size > m->fold.seq)
                return 1;
        put_be64(at, c.size);
        r = store_snapshot_get(p, DB_ROOTS, bytes_of(at, 8), &root);
        if (r < 0)
                return r;
        if (r == 0 || !bytes_equal(root, bytes_digest(&c.root)))
                return mirror_bad(m, c.size, "the published head of size %llu signs another tree than the entries give", (unsigned long long)c.size);
        if (c.size < m->published)
                return mirror_bad(m, c.size, "the published head goes back from size %llu to %llu", (unsigned long long)m->published, (unsigned long long)c.size);
        r = look_at_anchor(m, store_snapshot_state(p));
        if (r <= 0)                             /* else a log of other roots would do that never comes to this version */
                return r < 0 ? r : mirror_bad(m, c.size, "the log does not hold the anchor that was given, version %u", m->anchor->version);
        if (quorum.count < anchor->witness_quorum)
                return mirror_bad(m, c.size, "the published head has %u cosignatures of a quorum of %u", quorum.count, anchor->witness_quorum);
        m->published = c.size;
        return 0;
}

static int remember_published(struct mirror *m)
{
        uint8_t size[8];
        int r = store_begin(m->store);

        put_be64(size, m->published);
        if (r == 0)
                r = store_put(m->store, STORE_META, mirror_published_key, bytes_of(size, 8));
        if (r == 0)
                return store_commit(m->store);
        store_abort(m->store);
        return r;
}

int mirror_check_published(struct mirror *m, const char *note)
{
        struct store_snapshot *p = NULL;
        uint64_t before = m->published;
        int r = store_snapshot_open(m->store, &p);

        arena_reset(m->arena);
        if (r == 0)
                r = check_published(m, p, note);
        store_snapshot_close(p);
        return r == 0 && m->published != before ? remember_published(m) : r;
}

int mirror_standing(struct mirror *m, struct mirror_standing *ret)
{
        _cleanup_(store_snapshot_closep) struct store_snapshot *p = NULL;
        int r = store_snapshot_open(m->store, &p);

        *ret = (struct mirror_standing){ .epoch = m->fold.epoch, .seq = m->fold.seq, .root = merkle_root(&m->fold.frontier) };
        return r == 0 ? fold_state_digest(p, &ret->state, &ret->rows) : r;
}

/* ---- searching ---- */

struct finding { struct store_snapshot *p; bool (*add)(void *ctx, struct bytes row); void *ctx; };

static int entry_at(void *ctx, uint64_t seq, struct segment_entry *ret)
{
        const struct finding *f = ctx;
        struct bytes payload;
        uint8_t key[8];
        int r;

        put_be64(key, seq);
        r = store_snapshot_get(f->p, DB_ENTRIES, bytes_of(key, 8), &payload);
        return r > 0 && !segment_entry_decode(payload, ret) ? -EBADMSG : r;
}

static bool add_row(void *ctx, struct bytes row)
{
        const struct finding *f = ctx;

        return f->add(f->ctx, row);
}

int mirror_search(struct mirror *m, const Shuyi__V1__AuditQuery *q, struct bytes after, struct arena *a, bool (*add)(void *ctx, struct bytes row), void *ctx,
                  bool *ret_more, uint8_t ret_next[AUDIT_CURSOR_BYTES])
{
        _cleanup_(store_snapshot_closep) struct store_snapshot *p = NULL;
        struct finding f = { .add = add, .ctx = ctx };
        const Shuyi__V1__MetaRow *meta;
        int r = store_snapshot_open(m->store, &p);

        if (r < 0)
                return r;
        f.p = p;
        meta = fold_meta(store_snapshot_state(p), a);
        struct audit_search s = { .query = q, .scope = { .all = true }, .ledger = p, .state = store_snapshot_state(p), .index = p, .index_db = DB_SEARCH,
                                  .as_of = meta ? meta->seq : 0, .arena = a, .entry = entry_at, .add = add_row, .ctx = &f };
        return audit_search_page(&s, after, ret_more, ret_next);
}
