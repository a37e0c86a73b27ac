/* lookup: buckets in memory, paths with sides, and their check. */
#include "common/exchange/lookup.h"

#include "common/exchange/trust_map.h"
#include "common/merkle.h"

#include <errno.h>
#include <stdlib.h>

#define STEP_BYTES (1 + DIGEST_BYTES)
#define MAP_PATH 8                              /* of 256 buckets */
#define SIDE_LEFT 0                             /* the sibling stands left */
#define SIDE_RIGHT 1

struct bucket { struct lookup_object *objects; size_t n, room; bool dirty; struct digest root; };
struct lookup_map { struct bucket buckets[TRUST_BUCKETS]; };

/* ---- the map ---- */

struct lookup_map *lookup_map_new(void)
{
        struct lookup_map *m = calloc(1, sizeof(*m));

        if (m)
                lookup_map_clear(m);
        return m;
}

void lookup_map_free(struct lookup_map *m)
{
        if (!m)
                return;
        for (unsigned i = 0; i < TRUST_BUCKETS; i++)
                free(m->buckets[i].objects);
        free(m);
}

void lookup_map_clear(struct lookup_map *m)
{
        for (unsigned i = 0; i < TRUST_BUCKETS; i++) {
                m->buckets[i].n = 0;
                m->buckets[i].dirty = true;
        }
}

/* Where the object stands in its bucket, or would. */
static size_t place_of(const struct bucket *b, const struct digest *object)
{
        size_t low = 0, high = b->n;

        while (low < high) {
                size_t mid = low + (high - low) / 2;

                if (memcmp(b->objects[mid].object.b, object->b, DIGEST_BYTES) < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        return low;
}

static bool stands_at(const struct bucket *b, size_t at, const struct digest *object)
{
        return at < b->n && memcmp(b->objects[at].object.b, object->b, DIGEST_BYTES) == 0;
}

static int make_room(struct bucket *b)
{
        size_t room = b->room ? b->room * 2 : 8;
        struct lookup_object *objects;

        if (b->n < b->room)
                return 0;
        objects = realloc(b->objects, room * sizeof(*objects));
        if (!objects)
                return -ENOMEM;
        b->objects = objects;
        b->room = room;
        return 0;
}

int lookup_map_put(struct lookup_map *m, const struct lookup_object *o)
{
        struct bucket *b = &m->buckets[o->object.b[0]];
        size_t at = place_of(b, &o->object);

        if (!stands_at(b, at, &o->object)) {
                if (make_room(b) < 0)
                        return -ENOMEM;
                memmove(b->objects + at + 1, b->objects + at, (b->n - at) * sizeof(*b->objects));
                b->n++;
        }
        b->objects[at] = *o;
        b->dirty = true;
        return 0;
}

bool lookup_map_find(const struct lookup_map *m, const struct digest *object, struct lookup_object *ret)
{
        const struct bucket *b = &m->buckets[object->b[0]];
        size_t at = place_of(b, object);

        if (!stands_at(b, at, object))
                return false;
        *ret = b->objects[at];
        return true;
}

/* ---- roots ---- */

static struct digest leaf_of(const struct digest *object, uint32_t status, uint64_t since_seq)
{
        uint8_t data[TRUST_LEAF_BYTES];

        trust_map_leaf(object->b, status, since_seq, data);
        return merkle_leaf(bytes_of(data, sizeof(data)));
}

static struct digest bucket_root(struct bucket *b)
{
        struct merkle_frontier tree = { 0 };

        for (size_t i = 0; b->dirty && i < b->n; i++) {
                struct digest leaf = leaf_of(&b->objects[i].object, b->objects[i].status, b->objects[i].since_seq);

                merkle_append(&tree, &leaf);
        }
        if (b->dirty)
                b->root = merkle_root(&tree);
        b->dirty = false;
        return b->root;
}

static void bucket_leaves(struct lookup_map *m, struct digest ret[TRUST_BUCKETS])
{
        for (unsigned i = 0; i < TRUST_BUCKETS; i++) {
                struct digest root = bucket_root(&m->buckets[i]);

                ret[i] = merkle_leaf(bytes_digest(&root));
        }
}

struct digest lookup_map_root(struct lookup_map *m)
{
        struct digest leaves[TRUST_BUCKETS];

        bucket_leaves(m, leaves);
        return merkle_root_of(leaves, TRUST_BUCKETS);
}

/* ---- proving ---- */

/* The steps in `a`, as fields; false when it is full. */
static bool put_steps(struct arena *a, const struct digest *path, unsigned n, uint64_t index, uint64_t size, ProtobufCBinaryData **ret)
{
        ProtobufCBinaryData *list = ARENA_ARRAY(a, ProtobufCBinaryData, n + 1);
        uint64_t at = index, last = size - 1;

        for (unsigned i = 0; list && i < n; i++) {
                uint8_t *step = arena_alloc(a, STEP_BYTES);
                bool left = (at & 1) || at == last;

                if (!step)
                        return false;
                for (; left && !(at & 1) && at; last >>= 1)
                        at >>= 1;
                step[0] = left ? SIDE_LEFT : SIDE_RIGHT;
                memcpy(step + 1, path[i].b, DIGEST_BYTES);
                list[i] = (ProtobufCBinaryData){ STEP_BYTES, step };
                at >>= 1;
                last >>= 1;
        }
        *ret = list;
        return list != NULL;
}

static bool put_map_path(struct lookup_map *m, struct arena *a, unsigned bucket, size_t *ret_n, ProtobufCBinaryData **ret)
{
        struct digest leaves[TRUST_BUCKETS], path[MERKLE_DEPTH_MAX];
        unsigned n;

        bucket_leaves(m, leaves);
        n = merkle_path_of(leaves, TRUST_BUCKETS, bucket, path);
        *ret = ARENA_ARRAY(a, ProtobufCBinaryData, n);
        for (unsigned i = 0; *ret && i < n; i++) {
                struct bytes copy = arena_copy(a, bytes_digest(&path[i]));

                (*ret)[i] = (ProtobufCBinaryData){ copy.n, (uint8_t *)copy.p };
        }
        *ret_n = n;
        return *ret && !arena_failed(a);
}

static Shuyi__V1__MapLeaf *prove_at(struct lookup_map *m, struct arena *a, unsigned bucket, size_t at)
{
        const struct bucket *b = &m->buckets[bucket];
        Shuyi__V1__MapLeaf *leaf = ARENA_NEW(a, Shuyi__V1__MapLeaf);
        struct digest *leaves = ARENA_ARRAY(a, struct digest, b->n), path[MERKLE_DEPTH_MAX];
        struct bytes object = arena_copy(a, bytes_digest(&b->objects[at].object));
        unsigned n;

        if (!leaf || !leaves || !object.p)
                return NULL;
        for (size_t i = 0; i < b->n; i++)
                leaves[i] = leaf_of(&b->objects[i].object, b->objects[i].status, b->objects[i].since_seq);
        shuyi__v1__map_leaf__init(leaf);
        leaf->object = (ProtobufCBinaryData){ object.n, (uint8_t *)object.p };
        leaf->status = b->objects[at].status;
        leaf->since_seq = b->objects[at].since_seq;
        n = merkle_path_of(leaves, b->n, at, path);
        leaf->n_bucket_path = n;
        if (!put_steps(a, path, n, at, b->n, &leaf->bucket_path) || !put_map_path(m, a, bucket, &leaf->n_map_path, &leaf->map_path))
                return NULL;
        return leaf;
}

Shuyi__V1__MapLeaf *lookup_prove(struct lookup_map *m, struct arena *a, const struct digest *object)
{
        const struct bucket *b = &m->buckets[object->b[0]];
        size_t at = place_of(b, object);

        return stands_at(b, at, object) ? prove_at(m, a, object->b[0], at) : NULL;
}

int lookup_answer(struct lookup_map *m, struct arena *a, const struct digest *object, Shuyi__V1__LookupRow *ret)
{
        const struct bucket *b = &m->buckets[object->b[0]];
        size_t at = place_of(b, object);
        struct digest root = lookup_map_root(m);
        struct bytes copy = arena_copy(a, bytes_digest(&root));

        ret->map_root = (ProtobufCBinaryData){ copy.n, (uint8_t *)copy.p };
        if (stands_at(b, at, object)) {
                ret->leaf = prove_at(m, a, object->b[0], at);
        } else if (b->n == 0) {
                put_map_path(m, a, object->b[0], &ret->n_map_path, &ret->map_path);
        } else {
                ret->left = at > 0 ? prove_at(m, a, object->b[0], at - 1) : NULL;
                ret->right = at < b->n ? prove_at(m, a, object->b[0], at) : NULL;
        }
        return arena_failed(a) ? -ENOMEM : 0;
}

/* ---- checking ---- */

static bool take_path(ProtobufCBinaryData *const list, size_t n, struct digest ret[MAP_PATH])
{
        if (n != MAP_PATH)
                return false;
        for (size_t i = 0; i < n; i++)
                if (!bytes_copy_exact(bytes_of(list[i].data, list[i].len), ret[i].b, DIGEST_BYTES))
                        return false;
        return true;
}

static bool check_bucket(const struct digest *root, unsigned bucket, ProtobufCBinaryData *const list, size_t n, const struct digest *map_root)
{
        struct digest path[MAP_PATH], leaf = merkle_leaf(bytes_digest(root));

        return take_path(list, n, path) && merkle_check_inclusion(&leaf, bucket, TRUST_BUCKETS, path, MAP_PATH, map_root);
}

static bool climb(const Shuyi__V1__MapLeaf *leaf, struct digest *h)
{
        if (leaf->n_bucket_path > MERKLE_DEPTH_MAX)
                return false;
        for (size_t i = 0; i < leaf->n_bucket_path; i++) {
                const ProtobufCBinaryData *step = &leaf->bucket_path[i];
                struct digest sibling;

                if (step->len != STEP_BYTES || step->data[0] > SIDE_RIGHT)
                        return false;
                memcpy(sibling.b, step->data + 1, DIGEST_BYTES);
                *h = step->data[0] == SIDE_LEFT ? merkle_node(&sibling, h) : merkle_node(h, &sibling);
        }
        return true;
}

bool lookup_check(const Shuyi__V1__MapLeaf *leaf, const struct digest *map_root)
{
        struct digest object, h;

        if (!bytes_copy_exact(bytes_of(leaf->object.data, leaf->object.len), object.b, DIGEST_BYTES))
                return false;
        h = leaf_of(&object, leaf->status, leaf->since_seq);
        return climb(leaf, &h) && check_bucket(&h, object.b[0], leaf->map_path, leaf->n_map_path, map_root);
}

/* The side of the step that is `down` steps below the root. */
static unsigned side(const Shuyi__V1__MapLeaf *leaf, size_t down)
{
        return leaf->bucket_path[leaf->n_bucket_path - 1 - down].data[0];
}

/* From `down` on, all siblings on that side: the outermost leaf of that subtree. */
static bool outermost(const Shuyi__V1__MapLeaf *leaf, size_t down, unsigned of)
{
        for (; down < leaf->n_bucket_path; down++)
                if (side(leaf, down) != of)
                        return false;
        return true;
}

/* Two leaves of one tree, the first directly before the second. */
static bool adjacent(const Shuyi__V1__MapLeaf *left, const Shuyi__V1__MapLeaf *right)
{
        size_t down = 0;

        while (down < left->n_bucket_path && down < right->n_bucket_path && side(left, down) == side(right, down))
                down++;
        return down < left->n_bucket_path && down < right->n_bucket_path && side(left, down) == SIDE_RIGHT &&
               outermost(left, down + 1, SIDE_LEFT) && outermost(right, down + 1, SIDE_RIGHT);
}

static enum lookup_verdict check_neighbours(const struct digest *object, const Shuyi__V1__MapLeaf *left, const Shuyi__V1__MapLeaf *right,
                                            const struct digest *map_root)
{
        if ((left && (!lookup_check(left, map_root) || left->object.data[0] != object->b[0] || memcmp(left->object.data, object->b, DIGEST_BYTES) >= 0)) ||
            (right && (!lookup_check(right, map_root) || right->object.data[0] != object->b[0] || memcmp(right->object.data, object->b, DIGEST_BYTES) <= 0)))
                return LOOKUP_WRONG;
        if (left && right)
                return adjacent(left, right) ? LOOKUP_ABSENT : LOOKUP_WRONG;
        return (left ? outermost(left, 0, SIDE_LEFT) : outermost(right, 0, SIDE_RIGHT)) ? LOOKUP_ABSENT : LOOKUP_WRONG;
}

enum lookup_verdict lookup_check_row(const struct digest *object, const Shuyi__V1__LookupRow *row, const struct digest *map_root)
{
        struct merkle_frontier none = { 0 };
        struct digest empty = merkle_root(&none);

        if (row->leaf) {
                bool alone = !row->left && !row->right && row->n_map_path == 0;

                return alone && lookup_check(row->leaf, map_root) && memcmp(row->leaf->object.data, object->b, DIGEST_BYTES) == 0 ? LOOKUP_PRESENT : LOOKUP_WRONG;
        }
        if (row->left || row->right)
                return row->n_map_path == 0 ? check_neighbours(object, row->left, row->right, map_root) : LOOKUP_WRONG;
        return check_bucket(&empty, object->b[0], row->map_path, row->n_map_path, map_root) ? LOOKUP_ABSENT : LOOKUP_WRONG;
}
