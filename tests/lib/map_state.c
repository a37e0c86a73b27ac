/* map_state: the treap. */
#include "tests/lib/map_state.h"

#include "common/digest.h"
#include "common/exchange/tables.h"

#include <errno.h>
#include <stdlib.h>

struct node {
        struct node *left, *right;
        uint64_t priority;
        struct bytes key, value;
};

struct map_state {
        struct node *root;
        size_t rows;
        unsigned countdown;
};

static void *must(void *p)
{
        if (!p)
                abort();                /* a test machine without memory tests nothing */
        return p;
}

static struct bytes keep(struct bytes b)
{
        uint8_t *p = must(malloc(b.n ? b.n : 1));

        if (b.n)
                memcpy(p, b.p, b.n);
        return bytes_of(p, b.n);
}

static uint64_t priority_of(struct bytes key)
{
        uint64_t h = 0xcbf29ce484222325u;

        for (size_t i = 0; i < key.n; i++)
                h = (h ^ key.p[i]) * 0x100000001b3u;
        h ^= h >> 31;
        return h * 0x9e3779b97f4a7c15u;
}

struct map_state *map_state_new(void)
{
        return must(calloc(1, sizeof(struct map_state)));
}

static void node_free(struct node *n)
{
        if (!n)
                return;
        node_free(n->left);
        node_free(n->right);
        free((void *)n->key.p);
        free((void *)n->value.p);
        free(n);
}

void map_state_free(struct map_state *m)
{
        if (!m)
                return;
        node_free(m->root);
        free(m);
}

/* Splits into keys < `key` and keys >= `key`. */
static void split(struct node *n, struct bytes key, struct node **ret_low, struct node **ret_high)
{
        if (!n) {
                *ret_low = *ret_high = NULL;
        } else if (bytes_compare(n->key, key) < 0) {
                split(n->right, key, &n->right, ret_high);
                *ret_low = n;
        } else {
                split(n->left, key, ret_low, &n->left);
                *ret_high = n;
        }
}

static struct node *join(struct node *low, struct node *high)
{
        if (!low || !high)
                return low ? low : high;
        if (low->priority >= high->priority) {
                low->right = join(low->right, high);
                return low;
        }
        high->left = join(low, high->left);
        return high;
}

static struct node *find(struct node *n, struct bytes key)
{
        while (n) {
                int c = bytes_compare(key, n->key);

                if (c == 0)
                        return n;
                n = c < 0 ? n->left : n->right;
        }
        return NULL;
}

static struct node *lower_bound(struct node *n, struct bytes from)
{
        struct node *best = NULL;

        while (n) {
                if (bytes_compare(n->key, from) >= 0) {
                        best = n;
                        n = n->left;
                } else {
                        n = n->right;
                }
        }
        return best;
}

void map_state_put(struct map_state *m, struct bytes key, struct bytes value)
{
        struct node *n = find(m->root, key), *low, *high;

        if (n) {
                struct bytes old = n->value;

                n->value = keep(value);
                free((void *)old.p);
                return;
        }
        n = must(calloc(1, sizeof(*n)));
        n->key = keep(key);
        n->value = keep(value);
        n->priority = priority_of(key);
        split(m->root, key, &low, &high);
        m->root = join(join(low, n), high);
        m->rows++;
}

void map_state_remove(struct map_state *m, struct bytes key)
{
        struct node **at = &m->root, *gone;

        while (*at && !bytes_equal((*at)->key, key))
                at = bytes_compare(key, (*at)->key) < 0 ? &(*at)->left : &(*at)->right;
        gone = *at;
        if (!gone)
                return;
        *at = join(gone->left, gone->right);
        gone->left = gone->right = NULL;
        node_free(gone);
        m->rows--;
}

void map_state_apply(struct map_state *m, const struct effect *effects, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (effects[i].key.n == 0 || effects[i].key.n > ROW_KEY_MAX)
                        abort();                /* the store would not take it, and the broker stop */
                if (effects[i].remove)
                        map_state_remove(m, effects[i].key);
                else
                        map_state_put(m, effects[i].key, effects[i].value);
        }
}

size_t map_state_rows(const struct map_state *m)
{
        return m->rows;
}

static void digest_node(const struct node *n, struct digest *d)
{
        uint8_t length[4];

        if (!n)
                return;
        digest_node(n->left, d);
        put_le32(length, (uint32_t)n->key.n);
        *d = DIGEST_OF(CTX_EFFECTS_CHAIN, bytes_digest(d), bytes_of(length, 4), n->key, n->value);
        digest_node(n->right, d);
}

struct digest map_state_digest(const struct map_state *m)
{
        struct digest d = { { 0 } };

        digest_node(m->root, &d);
        return d;
}

void map_state_fail_at(struct map_state *m, unsigned n)
{
        m->countdown = n;
}

static bool fails(struct map_state *m)
{
        return m->countdown && --m->countdown == 0;
}

static int map_get(void *ctx, struct bytes key, struct bytes *ret)
{
        struct map_state *m = ctx;
        struct node *n;

        if (fails(m))
                return -EIO;
        if (key.n == 0 || key.n > ROW_KEY_MAX)
                return -EINVAL;                 /* as the store */
        n = find(m->root, key);
        if (!n)
                return 0;
        *ret = n->value;
        return 1;
}

static int map_next(void *ctx, struct bytes prefix, struct bytes from, struct bytes *ret_key, struct bytes *ret_value)
{
        struct map_state *m = ctx;
        struct node *n;

        if (fails(m))
                return -EIO;
        n = lower_bound(m->root, bytes_compare(from, prefix) < 0 ? prefix : from);
        if (!n || !bytes_has_prefix(n->key, prefix))
                return 0;
        *ret_key = n->key;
        *ret_value = n->value;
        return 1;
}

static const struct state_ops map_ops = { .get = map_get, .next = map_next };

struct state map_state_ops(struct map_state *m)
{
        return (struct state){ .ops = &map_ops, .ctx = m };
}
