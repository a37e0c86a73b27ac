/* trust_map: buckets and their roots. */
#include "common/exchange/trust_map.h"

#include "common/exchange/effects.h"
#include "common/merkle.h"

#include <errno.h>

void trust_map_leaf(const uint8_t object[DIGEST_BYTES], uint32_t status, uint64_t since_seq, uint8_t ret[TRUST_LEAF_BYTES])
{
        memcpy(ret, object, DIGEST_BYTES);
        put_le32(ret + DIGEST_BYTES, status);
        put_le64(ret + DIGEST_BYTES + 4, since_seq);
}

static struct digest leaf_of(struct turn *t, struct bytes key)
{
        Shuyi__V1__TrustMapRow *row = turn_get_row(t, key, &shuyi__v1__trust_map_row__descriptor);
        uint8_t leaf[TRUST_LEAF_BYTES];

        if (!row || key.n != 1 + DIGEST_BYTES)
                return (struct digest){ { 0 } };
        trust_map_leaf(key.p + 1, row->status, row->since_seq, leaf);
        return merkle_leaf(bytes_of(leaf, sizeof(leaf)));
}

static struct digest bucket_root(struct turn *t, uint8_t bucket)
{
        struct bytes prefix = TURN_KEY(t, TABLE_TRUST_MAP, turn_u8(t, bucket)), from = prefix, key, value;
        struct merkle_frontier tree = { 0 };

        while (turn_next(t, prefix, from, &key, &value)) {
                struct digest leaf = leaf_of(t, key);

                merkle_append(&tree, &leaf);
                from = turn_after(t, key);
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
