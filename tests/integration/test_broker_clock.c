/* broker, clock: a wall clock that steps, or lies behind the log at the start, stops stamping and readiness until it is stated
 * again (DESIGN 2, Time; REGULATIONS 12.6). */
#include "common/times.h"
#include "proto/log.pb-c.h"
#include "tests/lib/stage.h"
#include "tests/lib/unit.h"
#include <stdio.h>
#include <stdlib.h>

#define HOUR_MS 3600000ll

static const char *program, *library;

static bool is_busy(struct live_agent *a, void *arg)
{
        return a->busies > 0;
}

static void must_be_ready(struct stage *s, bool ready)
{
        char body[1000];

        live_wait_metric(&s->live, "shuyi_log_sequence", 1);
        while ((live_metric(&s->live, "shuyi_clock_stopped") == 0) != ready)
                ;
        assert_int_equal(live_get(&s->live, "/readyz", body, sizeof(body)), ready ? 200 : 503);
        assert_non_null(strstr(body, ready ? "\"clock\":true" : "\"clock\":false"));
}

/* An act that meets a stopped clock goes back to its sender, and is taken once the clock is set right. */
static void act_must_wait(struct stage *s, struct live_agent *a, struct bytes wire, uint64_t *ret_number)
{
        a->busies = 0;
        *ret_number = live_put(a, 0, wire);
        live_pump(a, is_busy, NULL, "BUSY");
        assert_int_equal(a->busy->reason, BUSY_CLOCK);
        assert_int_equal(a->busy->outbox_seq, *ret_number);
        a->next[0] = *ret_number;
}

/* SEC_ADMIN states the time, over the authority's link. */
static struct live_row state_time(struct stage *s, uint64_t ms)
{
        Shuyi__V1__ClockBody body = SHUYI__V1__CLOCK_BODY__INIT;
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;

        body.stated = ms;
        return live_act(stage_agent(s, s->m->c->authority_agent), 0,
                        city_envelope(s->m->c, &(struct city_act){ .kind = KIND_CLOCK, .intent = &i, .body = &body.base, .by = { { s->m->c->sec_admin, ROLE_SEC_ADMIN } } }));
}

static struct stage *stage_with_clock(int64_t shift)
{
        struct stage *s = stage_new(program, "");

        assert_true(stage_tell(s));
        stage_hang_up(s);
        live_stop(&s->live);
        live_shift_clock(&s->live, library, shift);
        live_start(&s->live, NULL);
        return s;
}

static void test_a_step_stops_stamping_until_SEC_ADMIN_states_the_time(void **state)
{
        struct stage *s = stage_with_clock(0);
        const char *resource;
        uint64_t number;
        struct live_row row;

        must_be_ready(s, true);
        live_shift_clock(&s->live, library, HOUR_MS);
        must_be_ready(s, false);
        resource = market_publish(s->m, market_open_entry(s->m));
        assert_non_null(resource);
        act_must_wait(s, stage_agent(s, s->m->civil_agent), s->m->c->log[s->told].wire, &number);
        row = state_time(s, times_wall().ms);
        assert_refusal(row.code, ACCEPTED);
        assert_true(row.accepted_at <= times_wall().ms);
        must_be_ready(s, true);
        assert_true(stage_tell(s));                     /* stamped by the stated time, though the wall clock is still wrong */
        assert_true(s->rows[s->told - 1].accepted_at < times_wall().ms + (uint64_t)HOUR_MS / 2);
        live_shift_clock(&s->live, library, 0);         /* set right */
        must_be_ready(s, true);
        stage_hang_up(s);
        live_stop(&s->live);
        stage_must_hold(s, "check");
        stage_free(s);
}

static void test_a_start_behind_the_log_waits_for_the_time(void **state)
{
        struct stage *s = stage_with_clock(-HOUR_MS);

        must_be_ready(s, false);
        assert_refusal(state_time(s, times_wall().ms).code, ACCEPTED);
        must_be_ready(s, true);
        stage_free(s);
}

static void test_a_start_days_ahead_of_the_log_waits_for_the_time(void **state)
{
        struct stage *s = stage_with_clock(31 * 24 * HOUR_MS);

        must_be_ready(s, false);
        assert_refusal(state_time(s, times_wall().ms).code, ACCEPTED);
        must_be_ready(s, true);
        stage_free(s);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_step_stops_stamping_until_SEC_ADMIN_states_the_time),
                cmocka_unit_test(test_a_start_behind_the_log_waits_for_the_time),
                cmocka_unit_test(test_a_start_days_ahead_of_the_log_waits_for_the_time),
        };

        if (argc < 3)
                return 2;
        program = argv[1];
        library = argv[2];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
