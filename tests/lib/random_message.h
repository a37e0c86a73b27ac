/* random_message: any message there is, filled by chance from a seed.  For tests of properties. */
#pragma once
#include "common/arena.h"

struct chance { uint64_t state; };

/* SEED of the environment, or the clock; printed, so that a failure can be repeated. */
struct chance chance_start(void);
uint64_t chance_next(struct chance *c);
/* 0 .. n - 1 */
uint64_t chance_below(struct chance *c, uint64_t n);

/* A message of the type in the arena: every field absent or present, of small and extreme values, runs of up to a few
 * elements, sub-messages likewise.  Repeated sub-messages are never NULL, texts are UTF-8. */
ProtobufCMessage *random_message(struct arena *a, struct chance *c, const ProtobufCMessageDescriptor *d);
