/* clock_guard: see the header. */
#include "broker/clock_guard.h"

static uint64_t distance(uint64_t a, uint64_t b)
{
        return a > b ? a - b : b - a;
}

static struct wall_time expected(const struct clock_guard *g, struct mono_time mono)
{
        return (struct wall_time){ g->base_wall.ms + (mono.ns - g->base_mono.ns) / 1000000 };
}

void clock_guard_init(struct clock_guard *g, struct wall_time log_time, uint32_t ahead_max_days, struct wall_time wall, struct mono_time mono)
{
        *g = (struct clock_guard){ .base_wall = wall, .base_mono = mono };
        if (wall.ms + CLOCK_STEP_MAX_MS < log_time.ms)
                g->fault = CLOCK_BEHIND_LOG;
        else if (log_time.ms > 0 && wall.ms > log_time.ms + ahead_max_days * DAY_MS)
                g->fault = CLOCK_AHEAD_OF_LOG;
}

bool clock_guard_check(struct clock_guard *g, struct wall_time wall, struct mono_time mono)
{
        bool agrees = distance(wall.ms, expected(g, mono).ms) <= CLOCK_STEP_MAX_MS;

        if (g->fault != CLOCK_GOOD)
                return false;
        if (agrees) {
                g->base_wall = wall;            /* a slewed clock is followed, so that drift does not add up to a step */
                g->base_mono = mono;
                g->stated = false;
        } else if (!g->stated) {
                g->fault = CLOCK_STEPPED;
        }
        return g->fault == CLOCK_GOOD;
}

void clock_guard_state(struct clock_guard *g, struct wall_time stated, struct mono_time mono)
{
        *g = (struct clock_guard){ .base_wall = stated, .base_mono = mono, .stated = true };
}

struct wall_time clock_guard_now(const struct clock_guard *g, struct mono_time mono)
{
        return expected(g, mono);
}

const char *clock_fault_name(enum clock_fault f)
{
        static const char *const names[] = { "good", "stepped", "behind_log", "ahead_of_log" };

        return names[f];
}
