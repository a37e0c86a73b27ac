/* proofs: every receipt of a stage proved against the head that the broker has published. */
#pragma once
#include "common/checkpoint.h"
#include "tests/lib/stage.h"

struct proofs_head { uint64_t epoch; struct checkpoint head; const char *note; };

/* The published head once it covers `least` entries; its signature is checked. */
struct proofs_head proofs_published(struct stage *s, uint64_t least);
/* READ_PROOF and READ_CONSISTENCY; size or second 0: the published head's. */
const Shuyi__V1__Page *proofs_ask(struct live_agent *a, uint64_t size, const uint64_t *seqs, size_t n);
const Shuyi__V1__Page *proofs_ask_consistency(struct live_agent *a, uint64_t first, uint64_t second);
/* All that was receipted so far is under the published head, with the receipts' leaf hashes; and so it is for every later size
 * that is asked for; and `before` (size 0: none) is a beginning of it.  Answers the head. */
struct proofs_head proofs_must_hold(struct stage *s, const struct proofs_head *before);
