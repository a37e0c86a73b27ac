/* tally: refused envelopes that made no entry, counted by link and code until a REFUSED entry tells of them (DESIGN 7).
 * Pure.  One thread. */
#pragma once
#include "common/arena.h"
#include "common/envelope.h"
#include "proto/log.pb-c.h"

#define TALLY_ROWS_MAX 64
#define TALLY_IDS_MAX 8

struct tally_row { uint32_t link, code, count; unsigned ids_n; struct id ids[TALLY_IDS_MAX]; };
struct tally { struct tally_row rows[TALLY_ROWS_MAX]; unsigned n; };

/* `id` may be NULL where none could be read.  False: full, tell first. */
bool tally_add(struct tally *t, uint32_t link, enum refusal code, const struct id *id);
/* The body of a REFUSED entry, in `a`; empties the tally.  NULL when the arena is full. */
Shuyi__V1__RefusedBody *tally_take(struct tally *t, struct arena *a);
