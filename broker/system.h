/* system: entries that the broker makes itself, signed with its entry key at the moment of stamping (DESIGN 2). */
#pragma once
#include "common/arena.h"
#include "common/envelope.h"
#include "common/times.h"

struct system_signer { const char *domain; struct digest credential; const uint8_t *secret; };

/* An envelope of `kind` with that body (NULL: none), created `now`, as a claim in `a`.  NULL when the arena is full. */
const struct claim *system_make(const struct system_signer *s, struct arena *a, enum kind_number kind, const ProtobufCMessage *body, struct wall_time now);
