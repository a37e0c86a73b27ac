/* space: what is still taken when the disk fills.  DESIGN 8.
 *
 * A ladder, so that the last of the disk is kept for what must never be refused: receipts, revocations, suspensions,
 * trust heads and ticks.  No step loses anything acknowledged.  Pure but for space_read(). */
#pragma once
#include "common/kind.h"
#include <stdint.h>

enum space_step {
        SPACE_FREE,
        SPACE_ALERT,            /* 80 %: people are told */
        SPACE_NO_DATA,          /* 90 %: lane 1 is BUSY */
        SPACE_RESERVED,         /* 95 %: only what is listed in space.c */
};

struct space { uint64_t used, total; };        /* bytes */

/* The file system that holds `dir`; with `limit_bytes` at most that much of it counts, of which the files under `dir` use
 * their blocks.  0 or a fault. */
int space_read(const char *dir, uint64_t limit_bytes, struct space *ret);
enum space_step space_step_of(struct space s);
bool space_takes(enum space_step step, const struct kind *kind);
const char *space_step_name(enum space_step step);
