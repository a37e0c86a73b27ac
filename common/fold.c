/* fold: see the header. */
#include "common/fold.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

const char *const fold_databases[] = { "outcomes", "digests", "heads", NULL };

/* ---- rows ---- */

size_t fold_key(enum table table, const struct bytes *parts, size_t n, uint8_t ret[FOLD_KEY_MAX])
{
        size_t at = 0;

        ret[at++] = (uint8_t)table;
        for (size_t i = 0; i < n; i++) {
                assert(at + parts[i].n <= FOLD_KEY_MAX);
                if (parts[i].n > 0)
                        memcpy(ret + at, parts[i].p, parts[i].n);
                at += parts[i].n;
        }
        return at;
}

void *fold_row(struct state state, struct arena *a, const ProtobufCMessageDescriptor *d, enum table table, const struct bytes *parts, size_t n)
{
        uint8_t key[FOLD_KEY_MAX];
        struct bytes value;
        size_t total = 1;

        for (size_t i = 0; i < n; i++)
                total += parts[i].n;
        if (total > FOLD_KEY_MAX || state.ops->get(state.ctx, bytes_of(key, fold_key(table, parts, n, key)), &value) <= 0)
                return NULL;
        return protobuf_c_message_unpack(d, arena_allocator(a), value.n, value.p);
}

const Shuyi__V1__MetaRow *fold_meta(struct state state, struct arena *a)
{
        return FOLD_ROW(state, a, shuyi__v1__meta_row__descriptor, TABLE_META, (struct bytes){ 0 });
}

/* ---- what is kept about an entry: u32 code, effects 32, leaf 32, u64 accepted_at, detail ---- */

#define OUTCOME_FIXED (4 + 32 + 32 + 8)
#define OUTCOME_MAX (OUTCOME_FIXED + 512)

static size_t outcome_encode(const struct outcome *o, const struct digest *leaf, struct wall_time at, uint8_t ret[OUTCOME_MAX])
{
        size_t n = o->detail ? strnlen(o->detail, 512) : 0;

        put_le32(ret, o->code);
        memcpy(ret + 4, o->effects_digest.b, 32);
        memcpy(ret + 36, leaf->b, 32);
        put_le64(ret + 68, at.ms);
        memcpy(ret + OUTCOME_FIXED, o->detail ? o->detail : "", n);
        return OUTCOME_FIXED + n;
}

static int outcome_decode(struct bytes b, struct fold_outcome *ret)
{
        if (b.n < OUTCOME_FIXED || b.n > OUTCOME_MAX)
                return -EBADMSG;
        ret->code = (enum refusal)get_le32(b.p);
        memcpy(ret->effects.b, b.p + 4, 32);
        memcpy(ret->leaf.b, b.p + 36, 32);
        ret->accepted_at.ms = get_le64(b.p + 68);
        memcpy(ret->detail, b.p + OUTCOME_FIXED, b.n - OUTCOME_FIXED);
        ret->detail[b.n - OUTCOME_FIXED] = 0;
        return 1;
}

int fold_outcome_get(struct store *s, uint64_t seq, struct fold_outcome *ret)
{
        uint8_t key[8];
        struct bytes value;
        int r;

        put_be64(key, seq);
        r = store_get(s, STORE_OUTCOMES, bytes_of(key, 8), &value);
        return r > 0 ? outcome_decode(value, ret) : r;
}

int fold_outcome_read(struct store_snapshot *p, uint64_t seq, struct fold_outcome *ret)
{
        uint8_t key[8];
        struct bytes value;
        int r;

        put_be64(key, seq);
        r = store_snapshot_get(p, STORE_OUTCOMES, bytes_of(key, 8), &value);
        return r > 0 ? outcome_decode(value, ret) : r;
}

int fold_leaves_read(struct store_snapshot *p, uint64_t first_seq, unsigned n, struct digest *ret)
{
        struct fold_outcome o;
        int r = 1;

        for (unsigned i = 0; i < n && r > 0; i++) {
                r = fold_outcome_read(p, first_seq + i, &o);
                if (r > 0)
                        ret[i] = o.leaf;
        }
        return r;
}

int fold_digest_read(struct store_snapshot *p, struct bytes header_digest, uint64_t *ret_seq)
{
        struct bytes value;
        int r = header_digest.n == DIGEST_BYTES ? store_snapshot_get(p, STORE_DIGESTS, header_digest, &value) : 0;

        if (r > 0 && value.n != 8)
                return -EBADMSG;
        if (r > 0)
                *ret_seq = get_be64(value.p);
        return r;
}

int fold_head_read(struct store_snapshot *p, uint64_t seq, uint64_t *ret_seq, uint64_t *ret_trust_seq)
{
        uint8_t from[8];
        struct bytes key, value;
        int r;

        put_be64(from, ~(seq - 1));
        r = store_snapshot_next(p, STORE_HEADS, (struct bytes){ 0 }, bytes_of(from, 8), &key, &value);
        if (r <= 0)
                return r;
        if (key.n != 8 || value.n != 8)
                return -EBADMSG;
        *ret_seq = ~get_be64(key.p);
        if (ret_trust_seq)
                *ret_trust_seq = get_be64(value.p);
        return 1;
}

/* ---- opening and saving ---- */

static const struct bytes frontier_key = { (const uint8_t *)"frontier", 8 };

static int decode_frontier(struct bytes value, struct merkle_frontier *ret)
{
        memset(ret, 0, sizeof(*ret));
        if (value.n < 8 || (value.n - 8) % DIGEST_BYTES != 0 || (value.n - 8) / DIGEST_BYTES > MERKLE_DEPTH_MAX)
                return -EBADMSG;
        ret->size = get_be64(value.p);
        memcpy(ret->peak, value.p + 8, value.n - 8);
        return merkle_peaks(ret) * DIGEST_BYTES == value.n - 8 ? 0 : -EBADMSG;
}

static int read_frontier(struct fold *f)
{
        struct bytes value;
        int r = store_get(f->store, STORE_META, frontier_key, &value);

        memset(&f->frontier, 0, sizeof(f->frontier));
        if (r <= 0)
                return r < 0 ? r : f->seq == 0 ? 0 : -EBADMSG;
        r = decode_frontier(value, &f->frontier);
        return r == 0 && f->frontier.size != f->seq ? -EBADMSG : r;
}

int fold_tree_read(struct store_snapshot *p, struct merkle_frontier *ret)
{
        struct bytes value;
        int r = store_snapshot_get(p, STORE_META, frontier_key, &value);

        memset(ret, 0, sizeof(*ret));
        return r > 0 ? decode_frontier(value, ret) : r;
}

int fold_save(struct fold *f)
{
        uint8_t value[8 + MERKLE_DEPTH_MAX * DIGEST_BYTES];
        unsigned peaks = merkle_peaks(&f->frontier);

        put_be64(value, f->frontier.size);
        memcpy(value + 8, f->frontier.peak, peaks * DIGEST_BYTES);
        return store_put(f->store, STORE_META, frontier_key, bytes_of(value, 8 + peaks * DIGEST_BYTES));
}

static const struct bytes clean_key = { (const uint8_t *)"clean", 5 };

int fold_mark_clean(struct fold *f)
{
        return store_put(f->store, STORE_META, clean_key, clean_key);
}

int fold_take_clean(struct fold *f)
{
        return store_del(f->store, STORE_META, clean_key);
}

int fold_open(struct fold *f, struct store *store, const char *domain)
{
        struct arena *a = arena_new(1 << 20);
        const Shuyi__V1__MetaRow *meta;
        int r = 0;

        *f = (struct fold){ .store = store, .epoch = 1 };
        snprintf(f->domain, sizeof(f->domain), "%s", domain);
        f->exchange = exchange_new(f->domain);
        if (!a || !f->exchange)
                r = -ENOMEM;
        if (r == 0 && !store_is_open(store))
                r = store_begin(store);
        if (r == 0) {
                meta = fold_meta(store_state(store), a);
                if (!meta) {
                        r = -ENODATA;
                } else {
                        f->epoch = meta->epoch;
                        f->seq = meta->seq;
                        f->accepted_at.ms = meta->accepted_at;
                        r = read_frontier(f);
                }
        }
        arena_free(a);
        return r;
}

void fold_close(struct fold *f)
{
        exchange_free(f->exchange);
        f->exchange = NULL;
}

/* ---- a step ---- */

static int write_effects(struct fold *f, const struct effect *effects, size_t n)
{
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++)
                r = effects[i].remove ? store_del(f->store, STORE_STATE, effects[i].key)
                                      : store_put(f->store, STORE_STATE, effects[i].key, effects[i].value);
        return r < 0 ? r : 0;
}

int fold_found(struct fold *f)
{
        struct arena *a = arena_new(1 << 20);
        const struct effect *effects;
        size_t n;
        int r = a ? exchange_genesis_effects(f->domain, a, &effects, &n) : -ENOMEM;

        if (r == 0)
                r = write_effects(f, effects, n);
        arena_free(a);
        return r;
}

/* Is the header digest of this kind ever asked for? */
static bool is_indexed(const struct kind *k)
{
        return k->class == KIND_CONTROL && k->number != KIND_DELIVERY_RECEIPT;
}

static int write_head(struct store *s, uint64_t seq, const struct claim *claim)
{
        const Shuyi__V1__TrustHeadBody *body = (const void *)claim->open_body;
        uint8_t key[8], value[8];

        put_be64(key, ~seq);
        put_be64(value, body->trust_seq);
        return store_put(s, STORE_HEADS, bytes_of(key, 8), bytes_of(value, 8));
}

static int note_claim(struct store *s, uint64_t seq, const struct claim *claim, enum refusal code)
{
        struct bytes known;
        uint8_t key[8];

        if (claim->kind->number == KIND_TRUST_HEAD)
                return write_head(s, seq, claim);
        if (!is_indexed(claim->kind))
                return 0;
        put_be64(key, seq);
        if (code != ACCEPTED) {                 /* the same header under other signatures hides no act that was taken */
                int r = store_get(s, STORE_DIGESTS, bytes_digest(&claim->header_digest), &known);

                if (r != 0)
                        return r < 0 ? r : 0;
        }
        return store_put(s, STORE_DIGESTS, bytes_digest(&claim->header_digest), bytes_of(key, 8));
}

static int write_about(struct fold *f, const struct entry *entry, const struct outcome *o, const struct digest *leaf)
{
        uint8_t key[8], value[OUTCOME_MAX];
        int r;

        put_be64(key, entry->seq);
        r = store_append(f->store, STORE_OUTCOMES, bytes_of(key, 8), bytes_of(value, outcome_encode(o, leaf, entry->accepted_at, value)));
        return r < 0 ? r : note_claim(f->store, entry->seq, entry->claim, o->code);
}

static void note_wakes(struct fold *f, const struct outcome *o)
{
        for (size_t i = 0; i < o->wakes_n; i++)
                f->directory_moved |= o->wakes[i].kind == WAKE_DIRECTORY;
        f->trust_moved |= o->trust_moved;
}

int fold_step(struct fold *f, struct entry *entry, struct arena *a, struct outcome *ret, struct digest *ret_leaf)
{
        uint8_t record[LEAF_RECORD_BYTES];
        int r;

        entry->epoch = f->epoch;
        entry->seq = f->seq + 1;
        r = exchange_apply(f->exchange, store_state(f->store), entry, a, ret);
        if (r < 0)
                return r;
        memset(ret_leaf, 0, sizeof(*ret_leaf));
        if (ret->code != ACCEPTED && entry->claim->kind->class == KIND_DATA)
                return 0;
        r = write_effects(f, ret->effects, ret->effects_n);
        if (r < 0)
                return r;
        exchange_leaf_record(f->domain, entry, ret, record);
        *ret_leaf = merkle_leaf(bytes_of(record, sizeof(record)));
        r = write_about(f, entry, ret, ret_leaf);
        if (r < 0)
                return r;
        merkle_append(&f->frontier, ret_leaf);
        f->seq = entry->seq;
        f->accepted_at = entry->accepted_at;
        note_wakes(f, ret);
        return 0;
}

int fold_open_new(struct fold *f, struct store *store, const char *domain)
{
        int r = fold_open(f, store, domain);

        if (r != -ENODATA)
                return r < 0 ? r : -EEXIST;
        r = store_group_begin(store);
        if (r == 0)
                r = fold_found(f);
        if (r == 0)
                r = store_group_commit(store);
        fold_close(f);
        return r == 0 ? fold_open(f, store, domain) : r;
}

struct digest fold_row_digest(const struct digest *before, struct bytes key, struct bytes value)
{
        uint8_t lengths[8];

        put_le32(lengths, (uint32_t)key.n);
        put_le32(lengths + 4, (uint32_t)value.n);
        return DIGEST_OF(CTX_EFFECTS_CHAIN, bytes_digest(before), bytes_of(lengths, 8), key, value);
}

int fold_state_digest(struct store_snapshot *p, struct digest *ret, uint64_t *ret_rows)
{
        uint8_t from[STORE_KEY_MAX + 1] = { 0 };
        size_t from_n = 0;
        struct bytes key, value;
        struct digest d = { { 0 } };
        uint64_t rows = 0;
        int r;

        while ((r = store_snapshot_next(p, STORE_STATE, (struct bytes){ 0 }, bytes_of(from, from_n), &key, &value)) > 0) {
                d = fold_row_digest(&d, key, value);
                rows++;
                memcpy(from, key.p, key.n);
                from[key.n] = 0;
                from_n = key.n + 1;
        }
        *ret = d;
        *ret_rows = rows;
        return r;
}
