/* trust_map: the root over who is in force (DESIGN 3).
 *
 * Objects stand in 256 buckets by their first byte.  A bucket's root is the RFC 9162 tree over its objects in order, leaf data
 * object 32 | status u32 | since_seq u64 (little-endian); the map's root is the tree over the 256 bucket roots as leaf data.
 * Only buckets that changed since the last TRUST_HEAD are computed anew.  Pure. */
#pragma once
#include "common/exchange/turn.h"

#define TRUST_BUCKETS 256
#define TRUST_LEAF_BYTES (DIGEST_BYTES + 4 + 8)

/* Writes the roots of dirty buckets as rows, clears the dirty bits, and answers the map's root. */
struct digest trust_map_root(struct turn *t);
/* Leaf data of one object: for lookup proofs. */
void trust_map_leaf(const uint8_t object[DIGEST_BYTES], uint32_t status, uint64_t since_seq, uint8_t ret[TRUST_LEAF_BYTES]);
