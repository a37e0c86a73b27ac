/* trust_map: buckets and their roots. */
#include "common/exchange/trust_map.h"

#include "common/exchange/effects.h"
#include "common/merkle.h"
#include "common/wire.h"

#include <errno.h>

void trust_map_leaf(const uint8_t object[DIGEST_BYTES], uint32_t status, uint64_t since_seq, uint8_t ret[TRUST_LEAF_BYTES])
{
        memcpy(ret, object, DIGEST_BYTES);
        put_le32(ret + DIGEST_BYTES, status);
        put_le64(ret + DIGEST_BYTES + 4, since_seq);
}

#define MAP_KEY_BYTES (1 + DIGEST_BYTES)
#define ROW_STATUS 1                            /* field numbers in TrustMapRow */
#define ROW_SINCE_SEQ 2

static struct digest leaf_of(struct bytes key, struct bytes row)
{
        uint8_t leaf[TRUST_LEAF_BYTES];

        trust_map_leaf(key.p + 1, (uint32_t)wire_find_number(row, ROW_STATUS), wire_find_number(row, ROW_SINCE_SEQ), leaf);
        return merkle_leaf(bytes_of(leaf, sizeof(leaf)));
}

/* The map grows for ever, an arena does not: a walk takes nothing from it. */
static struct digest bucket_root(struct turn *t, uint8_t bucket)
{
        uint8_t from[MAP_KEY_BYTES + 1] = { TABLE_TRUST_MAP, bucket };
        struct bytes prefix = TURN_KEY(t, TABLE_TRUST_MAP, turn_u8(t, bucket)), key, value;
        struct merkle_frontier tree = { 0 };
        size_t from_n = prefix.n;

        while (turn_next(t, prefix, bytes_of(from, from_n), &key, &value)) {
                struct digest leaf;

                if (key.n != MAP_KEY_BYTES) {
                        t->fault = -EBADMSG;
                        break;
                }
                leaf = leaf_of(key, value);
                merkle_append(&tree, &leaf);
                memcpy(from, key.p, key.n);
                from[key.n] = 0;
                from_n = key.n + 1;
        }
        return merkle_root(&tree);
}

static bool dirty(const Shuyi__V1__MetaRow *meta, unsigned bucket)
{
        return meta->dirty_buckets.len == 32 && (meta->dirty_buckets.data[bucket / 8] & (1u << (bucket % 8)));
}

static struct digest current_root(struct turn *t, unsigned bucket, const struct digest *empty)
{
        struct bytes key = TURN_KEY(t, TABLE_BUCKET, turn_u8(t, (uint8_t)bucket)), value;
        struct digest root = *empty;

        if (dirty(t->meta, bucket)) {
                root = bucket_root(t, (uint8_t)bucket);
                turn_put(t, key, bytes_digest(&root));
        } else if (turn_get(t, key, &value) && !bytes_copy_exact(value, root.b, DIGEST_BYTES)) {
                t->fault = -EBADMSG;
        }
        return root;
}

struct digest trust_map_root(struct turn *t)
{
        struct merkle_frontier none = { 0 }, map = { 0 };
        struct digest empty = merkle_root(&none);

        for (unsigned i = 0; i < TRUST_BUCKETS && t->fault == 0; i++) {
                struct digest root = current_root(t, i, &empty);
                struct digest leaf = merkle_leaf(bytes_digest(&root));

                merkle_append(&map, &leaf);
        }
        t->meta->dirty_buckets = (ProtobufCBinaryData){ 0 };
        return merkle_root(&map);
}
