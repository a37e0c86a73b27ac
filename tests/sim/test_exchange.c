/* The simulation of a city's exchange.  SEED repeats a run, SIM_STEPS makes it longer (a million finds nothing). */
#include "tests/lib/unit.h"
#include "tests/sim/sim.h"
#include "common/macro.h"
#include <stdio.h>
#include <stdlib.h>

#define RUNS 4
#define STEPS 40000
#define REST 2000000

/* What happened: how many refusals. */
static unsigned tell(const struct sim *s, uint64_t rest)
{
        uint64_t records = 0, taken = 0;
        unsigned restarts = 0, refusals = 0, again = 0;

        for (unsigned k = 0; k < SIM_STREAMS; k++) {
                records += s->streams[k].logged;
                refusals += s->streams[k].refusals;
                again += s->streams[k].again;
                for (unsigned i = 1; i < SIM_AGENTS; i++) {
                        taken += s->agents[i].subs[k].taken;
                        restarts += s->agents[i].subs[k].restarts;
                }
        }
        printf("# %zu entries, %llu records, %llu taken, %u restarts, %u refusals, %u sealed again, %u cuts, %u crashes, %u acts, at rest after %llu\n",
               s->city->log_n, (unsigned long long)records, (unsigned long long)taken, restarts, refusals, again, s->cuts, s->crashes, s->acts,
               (unsigned long long)rest);
        assert_true(records > 0 && taken > 0 && s->cuts > 0 && s->crashes > 0);
        return refusals;
}

static unsigned run(uint64_t seed, uint64_t steps)
{
        struct sim *s = sim_new(seed);
        struct digest now, again;
        unsigned refusals;
        uint64_t i;

        printf("# run SEED=%llu\n", (unsigned long long)seed);
        fflush(stdout);
        for (i = 0; i < steps; i++) {
                sim_step(s, true);
                sim_check(s);
        }
        for (i = 0; i < REST && !sim_is_done(s); i++) {
                sim_step(s, false);
                sim_check(s);
        }
        if (!sim_is_done(s))
                sim_fail(s, "it does not come to rest");
        s->city->arena = s->base;
        now = city_digest(s->city);
        again = city_replay(s->city);
        assert_memory_equal(now.b, again.b, DIGEST_BYTES);
        refusals = tell(s, i);
        s->city->arena = s->scratch;
        sim_free(s);
        return refusals;
}

static void test_a_city_on_bad_links_loses_nothing_and_doubles_nothing(void **state)
{
        struct chance c = chance_start();
        const char *steps = getenv("SIM_STEPS");
        unsigned refusals = 0;

        for (unsigned i = 0; i < (getenv("SEED") ? 1 : RUNS); i++)
                refusals += run(c.state + i, steps ? strtoull(steps, NULL, 10) : STEPS);
        assert_true(refusals > 0 || getenv("SEED"));    /* nothing was spared them */
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_a_city_on_bad_links_loses_nothing_and_doubles_nothing) };

        return cmocka_run_group_tests_name("exchange-sim", tests, NULL, NULL);
}
