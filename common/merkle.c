/* merkle: the trees.  The log's and the records' have one shape and differ in how a node is hashed, so the walks below
 * take that as a function. */
#include "common/merkle.h"

#include "common/digest.h"

#include <errno.h>
#include <sodium.h>

typedef struct digest (*node_fn)(const struct digest *l, const struct digest *r);

struct digest merkle_leaf(struct bytes data)
{
        static const uint8_t prefix = 0x00;
        crypto_hash_sha256_state h;
        struct digest d;

        crypto_hash_sha256_init(&h);
        crypto_hash_sha256_update(&h, &prefix, 1);
        if (data.n > 0)
                crypto_hash_sha256_update(&h, data.p, data.n);
        crypto_hash_sha256_final(&h, d.b);
        return d;
}

struct digest merkle_node(const struct digest *l, const struct digest *r)
{
        static const uint8_t prefix = 0x01;
        crypto_hash_sha256_state h;
        struct digest d;

        crypto_hash_sha256_init(&h);
        crypto_hash_sha256_update(&h, &prefix, 1);
        crypto_hash_sha256_update(&h, l->b, DIGEST_BYTES);
        crypto_hash_sha256_update(&h, r->b, DIGEST_BYTES);
        crypto_hash_sha256_final(&h, d.b);
        return d;
}

static struct digest record_node(const struct digest *l, const struct digest *r)
{
        return DIGEST_OF(CTX_NODE, bytes_digest(l), bytes_digest(r));
}

static struct digest empty_root(void)
{
        struct digest d;

        crypto_hash_sha256(d.b, (const uint8_t *)"", 0);
        return d;
}

/* ---- the frontier ---- */

unsigned merkle_peaks(const struct merkle_frontier *f)
{
        return (unsigned)__builtin_popcountll(f->size);
}

void merkle_append(struct merkle_frontier *f, const struct digest *leaf)
{
        struct digest h = *leaf;
        unsigned n = merkle_peaks(f);

        for (uint64_t size = f->size; size & 1; size >>= 1)
                h = merkle_node(&f->peak[--n], &h);
        f->peak[n] = h;
        f->size++;
}

struct digest merkle_root(const struct merkle_frontier *f)
{
        unsigned n = merkle_peaks(f);
        struct digest h;

        if (n == 0)
                return empty_root();
        h = f->peak[--n];
        while (n > 0)
                h = merkle_node(&f->peak[--n], &h);
        return h;
}

unsigned merkle_last_path(const struct merkle_frontier *before, struct digest ret[MERKLE_DEPTH_MAX])
{
        unsigned n = merkle_peaks(before);

        for (unsigned i = 0; i < n; i++)
                ret[i] = before->peak[n - 1 - i];
        return n;
}

/* ---- checks, RFC 9162 2.1.3.2 and 2.1.4.2 ---- */

static bool check_inclusion(node_fn node, const struct digest *leaf, uint64_t index, uint64_t size,
                            const struct digest *path, size_t path_n, const struct digest *root)
{
        struct digest h = *leaf;
        uint64_t fn = index, sn;

        if (index >= size || path_n > MERKLE_DEPTH_MAX)
                return false;
        sn = size - 1;
        for (size_t i = 0; i < path_n; i++) {
                if (sn == 0)
                        return false;
                if ((fn & 1) || fn == sn) {
                        h = node(&path[i], &h);
                        while (fn != 0 && !(fn & 1)) {
                                fn >>= 1;
                                sn >>= 1;
                        }
                } else {
                        h = node(&h, &path[i]);
                }
                fn >>= 1;
                sn >>= 1;
        }
        return sn == 0 && digest_equal(&h, root);
}

bool merkle_check_inclusion(const struct digest *leaf, uint64_t index, uint64_t size, const struct digest *path, size_t path_n, const struct digest *root)
{
        return check_inclusion(merkle_node, leaf, index, size, path, path_n, root);
}

/* The walk of a consistency proof that begins at `start`: both roots are rebuilt side by side. */
static bool check_consistency(uint64_t fn, uint64_t sn, const struct digest *start, const struct digest *path, size_t path_n,
                              const struct digest *root1, const struct digest *root2)
{
        struct digest fr = *start, sr = *start;

        for (; fn & 1; fn >>= 1)
                sn >>= 1;
        for (size_t i = 0; i < path_n; i++) {
                if (sn == 0)
                        return false;
                if ((fn & 1) || fn == sn) {
                        fr = merkle_node(&path[i], &fr);
                        sr = merkle_node(&path[i], &sr);
                        while (fn != 0 && !(fn & 1)) {
                                fn >>= 1;
                                sn >>= 1;
                        }
                } else {
                        sr = merkle_node(&sr, &path[i]);
                }
                fn >>= 1;
                sn >>= 1;
        }
        return sn == 0 && digest_equal(&fr, root1) && digest_equal(&sr, root2);
}

bool merkle_check_consistency(uint64_t size1, uint64_t size2, const struct digest *root1, const struct digest *root2, const struct digest *path, size_t path_n)
{
        if (size1 == 0 || size1 > size2 || path_n > 2 * MERKLE_DEPTH_MAX)
                return false;
        if (size1 == size2)
                return path_n == 0 && digest_equal(root1, root2);
        if (path_n == 0)
                return false;
        if ((size1 & (size1 - 1)) == 0)         /* a perfect subtree: its root is where the walk begins */
                return check_consistency(size1 - 1, size2 - 1, root1, path, path_n, root1, root2);
        return check_consistency(size1 - 1, size2 - 1, &path[0], path + 1, path_n - 1, root1, root2);
}

/* ---- trees over an array ---- */

/* Largest power of two below n, n > 1. */
static uint64_t split(uint64_t n)
{
        return 1ull << (63 - __builtin_clzll(n - 1));
}

static struct digest root_of(node_fn node, const struct digest *leaves, uint64_t n)
{
        struct digest l, r;
        uint64_t k;

        if (n == 1)
                return leaves[0];
        k = split(n);
        l = root_of(node, leaves, k);
        r = root_of(node, leaves + k, n - k);
        return node(&l, &r);
}

static unsigned path_of(node_fn node, const struct digest *leaves, uint64_t n, uint64_t index, struct digest *ret)
{
        uint64_t k;
        unsigned m;

        if (n <= 1)
                return 0;
        k = split(n);
        if (index < k) {
                m = path_of(node, leaves, k, index, ret);
                ret[m] = root_of(node, leaves + k, n - k);
        } else {
                m = path_of(node, leaves + k, n - k, index - k, ret);
                ret[m] = root_of(node, leaves, k);
        }
        return m + 1;
}

struct digest merkle_root_of(const struct digest *leaves, uint64_t n)
{
        return n == 0 ? empty_root() : root_of(merkle_node, leaves, n);
}

unsigned merkle_path_of(const struct digest *leaves, uint64_t n, uint64_t index, struct digest ret[MERKLE_DEPTH_MAX])
{
        return path_of(merkle_node, leaves, n, index, ret);
}

/* ---- proofs over subtrees, RFC 9162 2.1.3.1 and 2.1.4.1 ----
 *
 * Where the walks below split n leaves that begin at `begin`, `begin` is a multiple of the power of two at or above n; so the
 * left part is always one perfect subtree of the source. */

/* The root of a run: a perfect subtree, or one beside a shorter run. */
static int run_root(const struct merkle_source *s, uint64_t begin, uint64_t n, struct digest *ret)
{
        unsigned level = 63 - (unsigned)__builtin_clzll(n);
        uint64_t k = 1ull << level;
        struct digest l, r;
        int f;

        if (n == k)
                return s->node(s->ctx, level, begin >> level, ret);
        f = s->node(s->ctx, level, begin >> level, &l);
        if (f == 0)
                f = run_root(s, begin + k, n - k, &r);
        if (f == 0)
                *ret = merkle_node(&l, &r);
        return f;
}

static int inclusion(const struct merkle_source *s, uint64_t begin, uint64_t n, uint64_t index, struct digest *ret, unsigned *at)
{
        uint64_t k;
        int f;

        if (n == 1)
                return 0;
        k = split(n);
        if (index < k) {
                f = inclusion(s, begin, k, index, ret, at);
                return f == 0 ? run_root(s, begin + k, n - k, &ret[(*at)++]) : f;
        }
        f = inclusion(s, begin + k, n - k, index - k, ret, at);
        return f == 0 ? run_root(s, begin, k, &ret[(*at)++]) : f;
}

int merkle_prove_inclusion(const struct merkle_source *s, uint64_t index, uint64_t size, struct digest ret[MERKLE_DEPTH_MAX], unsigned *ret_n)
{
        *ret_n = 0;
        return index < size ? inclusion(s, 0, size, index, ret, ret_n) : -EINVAL;
}

/* `whole`: the first m leaves are a tree whose root who checks knows already. */
static int subproof(const struct merkle_source *s, uint64_t m, uint64_t begin, uint64_t n, bool whole, struct digest *ret, unsigned *at)
{
        uint64_t k;
        int f;

        if (m == n)
                return whole ? 0 : run_root(s, begin, n, &ret[(*at)++]);
        k = split(n);
        if (m <= k) {
                f = subproof(s, m, begin, k, whole, ret, at);
                return f == 0 ? run_root(s, begin + k, n - k, &ret[(*at)++]) : f;
        }
        f = subproof(s, m - k, begin + k, n - k, false, ret, at);
        return f == 0 ? run_root(s, begin, k, &ret[(*at)++]) : f;
}

int merkle_prove_consistency(const struct merkle_source *s, uint64_t size1, uint64_t size2, struct digest ret[MERKLE_PROOF_MAX], unsigned *ret_n)
{
        *ret_n = 0;
        return size1 > 0 && size1 <= size2 ? subproof(s, size1, 0, size2, true, ret, ret_n) : -EINVAL;
}

int merkle_source_root(const struct merkle_source *s, uint64_t size, struct digest *ret)
{
        if (size > 0)
                return run_root(s, 0, size, ret);
        *ret = empty_root();
        return 0;
}

struct digest merkle_records_root(const struct digest *leaves, uint64_t n)
{
        return n == 0 ? DIGEST_OF(CTX_NODE, (struct bytes){ 0 }) : root_of(record_node, leaves, n);
}

unsigned merkle_records_path(const struct digest *leaves, uint64_t n, uint64_t index, struct digest ret[MERKLE_DEPTH_MAX])
{
        return path_of(record_node, leaves, n, index, ret);
}

bool merkle_records_check(const struct digest *leaf, uint64_t index, uint64_t n, const struct digest *path, size_t path_n, const struct digest *root)
{
        return check_inclusion(record_node, leaf, index, n, path, path_n, root);
}
