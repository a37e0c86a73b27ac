/* clock_guard: may the wall clock still be believed?  DESIGN 2, Time; REGULATIONS 12.6.
 *
 * The guard compares the wall clock with CLOCK_BOOTTIME, which nobody can set.  A step of more than five seconds, or a start
 * with the clock behind the log or days ahead of it, stops stamping: from then on only a CLOCK act is taken, which
 * states the time, and the guard goes on from that.  Pure: both clocks are arguments.  Belongs to the sequencer. */
#pragma once
#include "common/times.h"

#define CLOCK_STEP_MAX_MS 5000ull

enum clock_fault { CLOCK_GOOD, CLOCK_STEPPED, CLOCK_BEHIND_LOG, CLOCK_AHEAD_OF_LOG };

struct clock_guard {
        struct wall_time base_wall;             /* last pair that was believed */
        struct mono_time base_mono;
        bool stated;                            /* the wall clock is wrong; time goes on from a CLOCK act */
        enum clock_fault fault;
};

/* `log_time`: accepted_at of the last entry, 0 for an empty log. */
void clock_guard_init(struct clock_guard *g, struct wall_time log_time, uint32_t ahead_max_days, struct wall_time wall, struct mono_time mono);
/* One look at both clocks: may entries be stamped?  Once stopped it stays so until clock_guard_state(). */
bool clock_guard_check(struct clock_guard *g, struct wall_time wall, struct mono_time mono);
/* A CLOCK act was accepted: this is the time now. */
void clock_guard_state(struct clock_guard *g, struct wall_time stated, struct mono_time mono);
/* The time by the guard: the wall clock while it is believed, else the last believed time and what has passed since. */
struct wall_time clock_guard_now(const struct clock_guard *g, struct mono_time mono);
const char *clock_fault_name(enum clock_fault f);
