/* base_load: a BASE read back, into a store or by its header alone. */
#include "common/base_internal.h"
#include "common/macro.h"
#include "common/statekeys.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

static const char *fault(int *ret, int r)
{
        *ret = r;
        return r == -EBADMSG ? "the file is damaged" : strerror(-r);
}

static const char *read_header(FILE *f, struct base_header *ret, uint8_t raw[BASE_HEADER_BYTES], size_t *ret_signed)
{
        if (fread(raw, 1, BASE_HEADER_BYTES, f) != BASE_HEADER_BYTES)
                return "the header is cut short";
        *ret_signed = base_header_decode(raw, ret);
        return *ret_signed > 0 ? NULL : "this is not a BASE of a form known here";
}

const char *base_peek(const char *path, const char *origin, const uint8_t key[32], struct base *ret, int *ret_fault)
{
        struct base_header *h = calloc(1, sizeof(*h));
        uint8_t raw[BASE_HEADER_BYTES];
        FILE *f = h ? fopen(path, "rbe") : NULL;
        const char *wrong;
        struct stat st;
        size_t n;

        *ret_fault = 0;
        if (!f) {
                wrong = fault(ret_fault, h ? -errno : -ENOMEM);
                free(h);
                return wrong;
        }
        wrong = read_header(f, h, raw, &n);
        if (!wrong && key)
                wrong = base_header_verify(h, raw, n, origin, key);
        if (!wrong) {
                h->b.bytes = fstat(fileno(f), &st) == 0 ? (uint64_t)st.st_size : 0;
                *ret = h->b;
        } else {
                *ret_fault = -EBADMSG;
        }
        fclose(f);
        free(h);
        return wrong;
}

/* What the rows gave is what the header says. */
static const char *agree(const struct base_scan *s, const struct base_header *h, const struct digest *content)
{
        if (!base_same_counts(s, h))
                return "rows are missing";
        if (!digest_equal(content, &h->content))
                return "the chunks are not those that were signed";
        return digest_equal(&s->state, &h->b.state) ? NULL : "the state's digest is another one";
}

/* META of what was loaded, and the anchor in force. */
static const char *fits_state(struct fold *f, const struct base_header *h, const uint8_t *raw, size_t n, const char *origin)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(4 << 20);
        const Shuyi__V1__MetaRow *meta = a ? fold_meta(store_state(f->store), a) : NULL;
        uint8_t key[32];

        if (!meta || meta->seq != h->b.seq || meta->epoch != h->b.epoch || meta->accepted_at != h->b.accepted_at.ms || strcmp(meta->domain, h->b.domain) != 0 ||
            !bytes_equal(bytes_of(meta->effects_chain.data, meta->effects_chain.len), bytes_digest(&h->b.effects_chain)))
                return "the header is not that of the state";
        if (!statekeys_log(store_state(f->store), a, origin, key))
                return "the anchor in force has no key for this log";
        return base_header_verify(h, raw, n, origin, key);
}

/* All rows of a database, in slices. */
static int clear(struct store *s, unsigned db)
{
        struct bytes key, value;
        uint64_t n = 0;
        int r;

        while ((r = store_next(s, db, (struct bytes){ 0 }, (struct bytes){ 0 }, &key, &value)) > 0) {
                uint8_t copy[STORE_KEY_MAX];

                memcpy(copy, key.p, key.n);
                r = store_del(s, db, bytes_of(copy, key.n));
                if (r >= 0 && ++n % ROWS_A_COMMIT == 0) {
                        r = store_commit(s);
                        if (r == 0)
                                r = store_begin(s);
                }
                if (r < 0)
                        return r;
        }
        return r;
}

static int begin_load(struct store *store)
{
        int r = store_is_open(store) ? 0 : store_begin(store);

        for (unsigned db = STORE_STATE; r == 0 && db < STORE_FOLD_END; db++)
                r = clear(store, db);
        return r;
}

/* META and the tree, in one transaction: now there is a state. */
static int end_load(struct store *store, struct base_scan *s, const struct base_header *h)
{
        struct fold tree = { .store = store, .frontier = h->b.frontier };
        int r = s->meta.p ? store_put(store, STORE_STATE, bytes_of(&base_meta_key, 1), s->meta) : -EBADMSG;

        if (r == 0)
                r = fold_save(&tree);
        return r == 0 ? store_commit(store) : r;
}

static const char *load_rows(FILE *f, struct store *store, struct base_header *h, base_between between, void *ctx, int *ret_fault)
{
        struct base_scan s = { .f = f, .store = store };
        struct digest content;
        const char *wrong = NULL;
        int r = begin_load(store);

        if (r == 0)
                r = base_scan_rows(&s, NULL, &content);
        if (r == 0)
                wrong = agree(&s, h, &content);
        if (r == 0 && !wrong && between)
                r = between(ctx, store, &h->b);
        if (r == 0 && !wrong)
                r = end_load(store, &s, h);
        if (r < 0 || wrong)
                store_abort(store);
        free(s.p);
        free((void *)s.meta.p);
        *ret_fault = wrong ? -EBADMSG : r;
        return wrong ? wrong : r < 0 ? fault(ret_fault, r) : NULL;
}

static const char *load(FILE *f, struct store *s, const char *origin, const uint8_t *key, base_between between, void *ctx,
                        struct fold *fold, struct base_header *h, int *ret_fault)
{
        uint8_t raw[BASE_HEADER_BYTES];
        const char *wrong;
        size_t n;
        int r;

        *ret_fault = -EBADMSG;
        wrong = read_header(f, h, raw, &n);
        if (!wrong && key)
                wrong = base_header_verify(h, raw, n, origin, key);
        if (!wrong)
                wrong = load_rows(f, s, h, between, ctx, ret_fault);
        if (wrong)
                return wrong;
        r = fold_open(fold, s, h->b.domain);
        if (r < 0) {
                fold_close(fold);
                return fault(ret_fault, r);
        }
        wrong = fits_state(fold, h, raw, n, origin);
        *ret_fault = wrong ? -EBADMSG : 0;
        if (wrong) {
                store_abort(s);
                fold_close(fold);
        }
        return wrong;
}

const char *base_load(const char *path, struct store *s, const char *origin, const uint8_t key[32], base_between between, void *ctx,
                      struct fold *f, struct base *ret, int *ret_fault)
{
        struct base_header *h = calloc(1, sizeof(*h));
        FILE *file = h ? fopen(path, "rbe") : NULL;
        const char *wrong;

        *ret_fault = 0;
        if (!file)
                wrong = fault(ret_fault, h ? -errno : -ENOMEM);
        else
                wrong = load(file, s, origin, key, between, ctx, f, h, ret_fault);
        if (file)
                fclose(file);
        if (!wrong)
                *ret = h->b;
        free(h);
        return wrong;
}
