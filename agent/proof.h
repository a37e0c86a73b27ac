/* proof: how an agent has it proved that what was receipted stands in the log (DESIGN 7).
 *
 * Every leaf that a receipt names is proved, but leaves that lie side by side share a proof: their subtree is computed here,
 * from the leaf hashes of the signed receipts, and only its two ends need a path.  So one READ_PROOF covers up to 128 runs
 * of any length; and a run climbs only to the first node that a run before it has proved.  Under load, where a group's
 * entries are one agent's for the most part, that costs about one hash a leaf.  Pure: no I/O, no clock, no allocation. */
#pragma once
#include "common/bytes.h"
#include "proto/audit.pb-c.h"

#define PROOF_ASK_MAX 256                       /* seqs of one ProofQuery */

struct proof_leaf { uint64_t seq; struct digest hash; };

/* Sorts by seq and keeps one of each.  False: one seq was receipted with two hashes, which no log can hold; the first such
 * stands at *ret_seq. */
bool proof_sort(struct proof_leaf *leaves, size_t *n, uint64_t *ret_seq);

/* The seqs to ask for, in order: both ends of each run, or every leaf if `singly`.  Answers how many leaves from the
 * first on they prove. */
size_t proof_ask(const struct proof_leaf *leaves, size_t n, bool singly, uint64_t seqs[PROOF_ASK_MAX], size_t *ret_seqs);

/* An answer to proof_ask() of the same leaves, from outside.  How many leaves from the first on are proved under `root`, the head of a
 * tree of `size` entries; fewer than n: the run that begins there is not.  `scratch` has room for n. */
size_t proof_check(const struct proof_leaf *leaves, size_t n, bool singly, const Shuyi__V1__ProofRow *answer, uint64_t size, const struct digest *root,
                   struct digest *scratch);
