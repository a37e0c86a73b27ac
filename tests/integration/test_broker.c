/* broker: the real program on loopback: a city is founded, acts, publishes and receives; it dies and comes back. */
#include "broker/peek.h"
#include "proto/audit.pb-c.h"
#include "tests/lib/live.h"
#include "tests/lib/market.h"
#include "tests/lib/unit.h"
#include <stdio.h>
#include <stdlib.h>

static const char *program;

/* The market's whole life in memory first; then the same bytes go to a real broker, entry by entry. */
struct stage {
        struct market *m;
        struct live live;
        struct live_agent agents[16];           /* by link */
        size_t told;                            /* entries of the city's log told so far */
        struct digest grant;
        struct market_stream stream;
        const char *resource;
};

static struct live_agent *agent_of(struct stage *s, uint32_t link)
{
        struct live_agent *a = &s->agents[link];

        if (a->live)
                return a;
        for (struct party *p = s->m->c->parties; p; p = p->next)
                if (p->kind == SUBJECT_AGENT && p->link == link) {
                        live_open(&s->live, p, a);
                        return a;
                }
        fail_msg("no agent with link %u", link);
        return NULL;
}

/* Tells the broker what the city's log has more; every code must be the city's. */
static void tell(struct stage *s)
{
        struct city *c = s->m->c;

        for (; s->told < c->log_n; s->told++) {
                const struct city_entry *e = &c->log[s->told];
                struct live_row row;

                if (e->link == 0)
                        continue;
                row = live_act(agent_of(s, e->link), e->lane, e->wire);
                if (row.code != e->code)
                        print_error("# entry %zu of the city: %s\n", s->told + 1, row.detail);
                assert_refusal(row.code, e->code);
        }
}

static struct stage *stage_new(void)
{
        struct stage *s = calloc(1, sizeof(*s));
        struct city *c = city_new();

        c->now = times_wall();
        city_anchor(c);
        city_broker_credential(c);
        city_department(c, CITY_AUTHORITY, "authority");
        live_found(&s->live, program, c, "");
        city_publish(c, NULL);
        s->m = market_of(c);
        live_start(&s->live, NULL);
        return s;
}

static void hang_up(struct stage *s)
{
        for (unsigned i = 0; i < 16; i++)
                if (s->agents[i].live)
                        live_close(&s->agents[i]);
}

static void stage_free(struct stage *s)
{
        hang_up(s);
        live_end(&s->live);
        market_free(s->m);
        free(s);
}

/* A stream with one subscriber, live. */
static void go_live(struct stage *s)
{
        s->resource = market_publish(s->m, market_open_entry(s->m));
        s->grant = market_live(s->m, s->resource, &s->stream);
        tell(s);
}

static void replay_must_hold(struct stage *s, const char *how)
{
        char out[4000];
        int code = live_run(&s->live, how, NULL, out, sizeof(out));

        if (code != 0)
                print_error("# %s", out);
        assert_int_equal(code, 0);
        assert_non_null(strstr(out, "all holds"));
}

static void test_an_act_gets_a_signed_receipt_and_the_log_holds(void **state)
{
        struct stage *s = stage_new();

        tell(s);
        live_stop(&s->live);
        hang_up(s);
        replay_must_hold(s, "--replay");
        replay_must_hold(s, "check");
        stage_free(s);
}

static void test_links_reach_their_subscriber_in_order_through_kill_9(void **state)
{
        struct stage *s = stage_new();
        const Shuyi__V1__Parcel *p;
        uint32_t consumer;

        go_live(s);
        consumer = s->m->health_agent->link;
        p = live_parcel(agent_of(s, consumer), PARCEL_LINK, 1);
        assert_true(p->row.len > 0);
        for (unsigned i = 0; i < 20; i++)
                assert_refusal(market_update(s->m, &s->stream, 3).code, ACCEPTED);
        tell(s);
        live_parcel(agent_of(s, consumer), PARCEL_LINK, s->stream.head);
        live_kill(&s->live);
        hang_up(s);
        live_start(&s->live, NULL);
        /* not receipted: all of it comes again, each once and in order */
        live_parcel(agent_of(s, consumer), PARCEL_LINK, s->stream.head);
        uint64_t next = 1;
        for (size_t i = 0; i < s->agents[consumer].parcels_n; i++)
                if (s->agents[consumer].parcels[i].parcel->type == PARCEL_LINK)
                        assert_int_equal(s->agents[consumer].parcels[i].parcel->cursor, next++);
        assert_int_equal(next, s->stream.head + 1);
        live_stop(&s->live);
        replay_must_hold(s, "check");
        stage_free(s);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_an_act_gets_a_signed_receipt_and_the_log_holds),
                cmocka_unit_test(test_links_reach_their_subscriber_in_order_through_kill_9),
        };

        if (argc < 2)
                return 2;
        program = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
