/* The simulation of a city's exchange.  SEED repeats a run, SIM_STEPS makes it longer (a million finds nothing). */
#include "tests/lib/unit.h"
#include "tests/sim/sim.h"
#include "common/macro.h"
#include <stdio.h>
#include <stdlib.h>

#define RUNS 4
#define STEPS 40000
#define REST 2000000

static void run(uint64_t seed, uint64_t steps)
{
        struct sim *s = sim_new(seed);
        struct digest now, again;
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
        printf("# %zu entries, %llu records, taken %u and %u, %u restarts, %u refusals, %u cuts, %u crashes, %u acts, at rest after %llu\n", s->city->log_n,
               (unsigned long long)s->last_record, s->agents[1].taken, s->agents[2].taken, s->agents[1].restarts + s->agents[2].restarts,
               s->provider.refusals, s->cuts, s->crashes, s->acts, (unsigned long long)i);
        assert_true(s->last_record > 0 && s->agents[1].taken > 0 && s->cuts > 0 && s->crashes > 0 && s->acts > 0 && s->provider.refusals > 0);
        s->city->arena = s->scratch;
        sim_free(s);
}

static void test_a_city_on_bad_links_loses_nothing_and_doubles_nothing(void **state)
{
        struct chance c = chance_start();
        const char *steps = getenv("SIM_STEPS");

        for (unsigned i = 0; i < (getenv("SEED") ? 1 : RUNS); i++)
                run(c.state + i, steps ? strtoull(steps, NULL, 10) : STEPS);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_a_city_on_bad_links_loses_nothing_and_doubles_nothing) };

        return cmocka_run_group_tests_name("exchange-sim", tests, NULL, NULL);
}
