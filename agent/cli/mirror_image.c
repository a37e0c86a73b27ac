/* mirror_image: a mirror of a log that was purged begins at a signed state image (BASE), since what came before cannot be derived.
 *
 * The image brings the state and the leaf of every entry so far.  The leaves must give the tree whose HEAD the image bears; then what
 * the log has left of those entries is read, each against its leaf, each head against the root at its size.  So nothing that is left is
 * other than it was; but that the rules were kept before the image is the center's word, and the mirror says so. */
#include "agent/cli/mirror_internal.h"
#include "common/anchor.h"
#include "common/base.h"
#include "common/checkpoint.h"
#include "common/macro.h"
#include "common/statekeys.h"
#include <errno.h>
#include <stdlib.h>

int mirror_image_read(struct mirror *m, struct store_snapshot *p)
{
        struct bytes value;
        int r = store_snapshot_get(p, STORE_META, mirror_image_key, &value);

        m->image = r > 0 && value.n == 16 ? get_be64(value.p) : 0;
        m->filled = r > 0 && value.n == 16 ? get_be64(value.p + 8) : 0;
        return r < 0 ? r : 0;
}

int mirror_image_put(struct mirror *m, struct store *s)
{
        uint8_t value[16];

        put_be64(value, m->image);
        put_be64(value + 8, m->filled);
        return store_put(s, STORE_META, mirror_image_key, bytes_of(value, sizeof(value)));
}

uint64_t mirror_image(const struct mirror *m) { return m->image; }
uint64_t mirror_reached(const struct mirror *m) { return m->filled < m->image ? m->filled : m->fold.seq; }

/* ---- taking the image ---- */

struct taking { struct mirror *m; struct bytes signed_anchor; };

/* The root at each size, out of the leaves. */
static int write_roots(struct store *s, const struct base *b)
{
        struct merkle_frontier tree = { 0 };
        struct digest root = { { 0 } }, want = merkle_root(&b->frontier);
        struct fold_outcome o;
        uint8_t key[8];
        int r = 1;

        for (uint64_t seq = 1; seq <= b->seq && r > 0; seq++) {
                r = fold_outcome_get(s, seq, &o);
                if (r <= 0)
                        break;
                merkle_append(&tree, &o.leaf);
                root = merkle_root(&tree);
                put_be64(key, seq);
                r = store_put(s, DB_ROOTS, bytes_of(key, 8), bytes_digest(&root));
                r = r < 0 ? r : 1;
        }
        return r < 0 ? r : r == 0 || !digest_equal(&root, &want) ? -EBADMSG : 0;
}

static int write_beside(void *ctx, struct store *s, const struct base *b)
{
        struct taking *t = ctx;
        int r = write_roots(s, b);

        t->m->image = b->seq;
        t->m->filled = 0;
        if (r == 0)
                r = store_put(s, STORE_META, mirror_anchor_key, t->signed_anchor);
        return r == 0 ? mirror_image_put(t->m, s) : r;
}

static int read_anchor(struct mirror *m, struct bytes *ret)
{
        struct store_snapshot *p;
        struct bytes kept;
        int r = store_snapshot_open(m->store, &p);

        if (r < 0)
                return r;
        r = store_snapshot_get(p, STORE_META, mirror_anchor_key, &kept);
        *ret = r > 0 ? arena_copy(m->lasting, kept) : (struct bytes){ 0 };
        store_snapshot_close(p);
        return r < 0 ? r : ret->p ? 0 : -ENOMEM;
}

int mirror_begin_at(struct mirror *m, const char *path)
{
        const Shuyi__V1__LogKey *log = anchor_find_log(m->anchor, m->origin);
        struct taking t = { .m = m };
        struct base *b = calloc(1, sizeof(*b));
        const char *wrong;
        int fault = -ENOMEM, r = b && log ? read_anchor(m, &t.signed_anchor) : -ENOMEM;

        if (r < 0 || m->fold.seq > 0) {
                free(b);
                return r < 0 ? r : -EEXIST;
        }
        fold_close(&m->fold);
        wrong = base_load(path, m->store, m->origin, log->key.data, write_beside, &t, &m->fold, b, &fault);
        store_abort(m->store);                  /* opening reads in a transaction */
        m->fold.directory_moved = true;
        arena_reset(m->arena);
        if (wrong) {
                m->image = m->filled = m->fold.seq = 0;
                r = fault == -EBADMSG ? mirror_bad(m, b->seq ? b->seq : 1, "the state image is not the log's: %s", wrong) : fault;
        }
        free(b);
        return wrong ? r : 0;
}

/* ---- what is left before it ---- */

int mirror_compare_leaf(struct mirror *m, const struct segment_entry *e)
{
        struct fold_outcome o;
        int r = fold_outcome_get(m->store, e->seq, &o);

        if (r <= 0)
                return r < 0 ? r : mirror_bad(m, e->seq, "nothing is known of this entry");
        return digest_equal(&o.leaf, &e->leaf) ? 0 : mirror_bad(m, e->seq, "what is left of a purged entry is of another one than the tree has");
}

static int compare_entry(struct mirror *m, const struct segment_entry *e, const struct claim **ret, struct fold_outcome *ret_outcome)
{
        struct entry entry = { .epoch = e->epoch, .seq = e->seq, .accepted_at = e->accepted_at };
        struct outcome outcome = { .code = ACCEPTED };
        struct segment_entry left = *e;
        uint8_t record[LEAF_RECORD_BYTES];
        int r = fold_outcome_get(m->store, e->seq, ret_outcome);

        if (r <= 0)
                return r < 0 ? r : mirror_bad(m, e->seq, "nothing is known of this entry");
        if (envelope_read_kept(m->arena, e->envelope, NULL, ret) != ACCEPTED)
                return mirror_bad(m, e->seq, "the envelope is not of the exact form");
        entry.claim = *ret;
        outcome.code = ret_outcome->code;
        outcome.effects_digest = ret_outcome->effects;
        exchange_leaf_record(m->anchor->domain, &entry, &outcome, record);
        left.leaf = merkle_leaf(bytes_of(record, sizeof(record)));
        return mirror_compare_leaf(m, &left);
}

static int keep(struct mirror *m, struct bytes payload, const struct segment_entry *e)
{
        struct search_writer w = { .store = m->store, .db = DB_SEARCH, .state = store_state(m->store), .arena = m->arena };
        struct fold_outcome o;
        const struct claim *claim;
        uint8_t key[8];
        int r = compare_entry(m, e, &claim, &o);

        put_be64(key, e->seq);
        if (r == 0)
                r = store_append(m->store, DB_ENTRIES, bytes_of(key, 8), payload);
        return r == 0 ? search_add(&w, e->seq, e->accepted_at, claim, o.code) : r;
}

static int check_head(struct mirror *m, uint64_t seq, const char *note)
{
        struct checkpoint c;
        struct bytes root;
        const char *wrong;
        uint8_t log_key[32], key[8];
        int r;

        put_be64(key, seq);
        r = store_get(m->store, DB_ROOTS, bytes_of(key, 8), &root);
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        if (!statekeys_log(store_state(m->store), m->arena, m->origin, log_key))
                return mirror_bad(m, seq, "the anchor in force has no key for %s", m->origin);
        wrong = checkpoint_verify(m->arena, note, m->origin, log_key, &c);
        if (wrong)
                return mirror_bad(m, seq, "the head does not verify: %s", wrong);
        if (c.size != seq || !bytes_equal(root, bytes_digest(&c.root)))
                return mirror_bad(m, seq, "the head signs another tree than the entries give");
        m->counts.heads++;
        return 0;
}

int mirror_fill(struct mirror *m, struct bytes payload, const struct segment_entry *e, const char *head)
{
        int r;

        if (e->seq != m->filled + 1)
                return mirror_bad(m, m->filled + 1, "the log shows entry %llu instead", (unsigned long long)e->seq);
        r = e->gone ? mirror_compare_leaf(m, e) : keep(m, payload, e);
        if (r < 0)
                return r;
        m->filled = e->seq;
        m->counts.left += !e->gone;
        m->counts.gone += e->gone;
        return head[0] ? check_head(m, e->seq, head) : 0;
}
