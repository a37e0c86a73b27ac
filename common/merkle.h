/* merkle: the tree over log entries (RFC 9162 hashing, SHA-256), and the record tree (same shape, BLAKE2b-256 with CTX_NODE).
 *
 * A frontier holds the roots of the perfect subtrees: all that an append needs, at most 64 hashes however long the log.
 * Pure: no I/O, no clock, no allocation.  A frontier belongs to one thread. */
#pragma once
#include "common/bytes.h"

#define MERKLE_DEPTH_MAX 64

struct merkle_frontier { uint64_t size; struct digest peak[MERKLE_DEPTH_MAX]; };        /* {0} is the empty tree; peaks of the largest subtree first */

struct digest merkle_leaf(struct bytes data);                   /* SHA-256(0x00 | data) */
struct digest merkle_node(const struct digest *l, const struct digest *r);      /* SHA-256(0x01 | l | r) */
void merkle_append(struct merkle_frontier *f, const struct digest *leaf);
struct digest merkle_root(const struct merkle_frontier *f);     /* of the empty tree: SHA-256("") */
unsigned merkle_peaks(const struct merkle_frontier *f);         /* how many of peak[] are in use */

/* Path of the next leaf: what proves the leaf that is appended to `before` as the last of its tree.  These are the peaks of
 * `before`, smallest subtree first; so a frontier is the inclusion path of the entry that ends a group.  Answers their number. */
unsigned merkle_last_path(const struct merkle_frontier *before, struct digest ret[MERKLE_DEPTH_MAX]);

/* Does `path` lead from `leaf` at `index` to `root` of a tree of `size` leaves?  For untrusted input: any bytes are
 * safe, and a wrong proof is false, never a fault. */
bool merkle_check_inclusion(const struct digest *leaf, uint64_t index, uint64_t size, const struct digest *path, size_t path_n, const struct digest *root);
bool merkle_check_consistency(uint64_t size1, uint64_t size2, const struct digest *root1, const struct digest *root2, const struct digest *path, size_t path_n);

/* Trees over an array, for proofs over tiles and tests.  `leaves` are leaf hashes. */
struct digest merkle_root_of(const struct digest *leaves, uint64_t n);
unsigned merkle_path_of(const struct digest *leaves, uint64_t n, uint64_t index, struct digest ret[MERKLE_DEPTH_MAX]);

/* Where proofs over a log of any length come from: the root of the perfect subtree of leaves [index << level, (index + 1) << level);
 * level 0 is the leaves.  0 or a negative errno, which the walks below hand on.  Asked only for what lies inside the tree. */
struct merkle_source { int (*node)(void *ctx, unsigned level, uint64_t index, struct digest *ret); void *ctx; };

#define MERKLE_PROOF_MAX (MERKLE_DEPTH_MAX + 1)

/* RFC 9162 2.1.3.1 and 2.1.4.1: what merkle_check_inclusion and merkle_check_consistency take.  0 and the number of hashes;
 * -EINVAL: no such leaf, or size1 is 0 or above size2; or the source's fault. */
int merkle_prove_inclusion(const struct merkle_source *s, uint64_t index, uint64_t size, struct digest ret[MERKLE_DEPTH_MAX], unsigned *ret_n);
int merkle_prove_consistency(const struct merkle_source *s, uint64_t size1, uint64_t size2, struct digest ret[MERKLE_PROOF_MAX], unsigned *ret_n);
int merkle_source_root(const struct merkle_source *s, uint64_t size, struct digest *ret);

/* The record tree: BLAKE2b-256 in CTX_NODE instead of SHA-256; leaves are digests made by record.h or of rows. */
struct digest merkle_records_root(const struct digest *leaves, uint64_t n);
unsigned merkle_records_path(const struct digest *leaves, uint64_t n, uint64_t index, struct digest ret[MERKLE_DEPTH_MAX]);
bool merkle_records_check(const struct digest *leaf, uint64_t index, uint64_t n, const struct digest *path, size_t path_n, const struct digest *root);
