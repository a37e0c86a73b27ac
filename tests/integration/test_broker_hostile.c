/* broker, hostile: what must not be taken, from peers that may connect and from those that may not (DESIGN 14).
 *
 * Each bad thing is answered with its code, changes nothing, is counted, and leaves the others' service as it was. */
#include "broker/space.h"
#include "tests/lib/stage.h"
#include "tests/lib/unit.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static const char *program;

static bool is_denied(struct live_agent *a, void *arg)
{
        return a->denied;
}

static bool has_bye(struct live_agent *a, void *arg)
{
        return a->bye != NULL;
}

static bool is_down(struct live_agent *a, void *arg)
{
        return a->down || a->denied;
}

static bool is_busy(struct live_agent *a, void *arg)
{
        return a->busies > 0;
}

static bool settled_or_busy(struct live_agent *a, void *arg)
{
        const uint64_t *number = arg;

        for (size_t i = a->rows_n; i > 0; i--)
                if (a->rows[i - 1].lane == 1 && a->rows[i - 1].number == *number)
                        return true;
        return a->busies > 0;
}

/* An act of health's user that nobody has sent yet. */
static struct bytes fresh_act(struct stage *s)
{
        Shuyi__V1__Intent *i = market_ask(s->m, s->resource);

        return city_envelope(s->m->c, &(struct city_act){ .kind = KIND_GET, .intent = i, .body = NULL, .raw = { 0 },
                                                         .by = { { s->m->health_user, ROLE_USER }, { s->m->health_approver, ROLE_APPROVER } } });
}

static void test_R_004_an_unregistered_agent_is_denied_in_the_handshake_and_counted(void **state)
{
        struct stage *s = stage_new(program, "");
        struct party *stranger = city_party(s->m->c, "stranger", CITY_TAX, SUBJECT_AGENT);
        struct live_agent a;

        live_connect(&s->live, stranger, &a);
        live_pump(&a, is_denied, NULL, "a denial");
        live_wait_metric(&s->live, "shuyi_handshakes_denied_total", 1);
        live_close(&a);
        assert_true(stage_tell(s));             /* the others are served */
        stage_free(s);
}

static void test_a_revoked_agent_is_cut_in_mid_stream(void **state)
{
        struct stage *s = stage_new(program, "");
        struct live_agent *a, again;

        stage_go_live(s);
        assert_true(stage_tell(s));
        a = stage_agent(s, s->m->health_agent);
        live_parcel(a, PARCEL_LINK, 1);
        city_revoke(s->m->c, s->m->health_agent);
        assert_true(stage_tell(s));
        live_pump(a, is_down, NULL, "the end of the link");
        live_connect(&s->live, s->m->health_agent, &again);
        live_pump(&again, is_denied, NULL, "a denial");
        live_close(&again);
        stage_free(s);
}

static void test_what_is_altered_or_anothers_is_refused_without_an_entry(void **state)
{
        struct stage *s = stage_new(program, "");
        struct live_agent *health, *civil;
        struct live_row row;
        struct bytes wire;
        uint8_t *copy;
        double refused;

        stage_go_live(s);
        assert_true(stage_tell(s));
        health = stage_agent(s, s->m->health_agent);
        civil = stage_agent(s, s->m->civil_agent);
        wire = fresh_act(s);
        refused = live_metric(&s->live, "shuyi_refused_total{code=\"E_CRED\"}");

        row = live_act(civil, 0, wire);                         /* a person of health over civil's link */
        assert_refusal(row.code, E_CRED);
        assert_int_equal(row.seq, 0);

        copy = malloc(wire.n);
        memcpy(copy, wire.p, wire.n);
        copy[wire.n - 1] ^= 1;                                  /* the last signature */
        row = live_act(health, 0, bytes_of(copy, wire.n));
        assert_refusal(row.code, E_CRED);
        assert_int_equal(row.seq, 0);

        memcpy(copy, wire.p, wire.n);
        row = live_act(health, 0, bytes_of(copy, wire.n - 1));  /* truncated */
        assert_refusal(row.code, E_FORM);
        row = live_act(health, 0, bytes_str("no envelope at all"));
        assert_refusal(row.code, E_FORM);
        row = live_act(health, 1, wire);                        /* an act in the lane of streams */
        assert_refusal(row.code, E_FORM);
        live_wait_metric(&s->live, "shuyi_refused_total{code=\"E_CRED\"}", refused + 2);
        live_wait_metric(&s->live, "shuyi_accepted_total{kind=\"REFUSED\"}", 1);
        free(copy);
        live_stop(&s->live);
        stage_hang_up(s);
        stage_must_hold(s, "check");
        stage_free(s);
}

static void test_a_number_sent_again_gets_its_first_receipt(void **state)
{
        struct stage *s = stage_new(program, "");
        struct live_agent *a;
        struct live_row first, again;
        size_t last;

        stage_go_live(s);
        assert_true(stage_tell(s));
        for (last = s->told - 1; s->m->c->log[last].link != s->m->health_agent->link; last--)
                ;
        first = s->rows[last];
        stage_hang_up(s);
        live_kill(&s->live);
        live_start(&s->live, NULL);
        s->next[s->m->health_agent->link][first.lane] = first.number;   /* as if its receipt had been lost */
        a = stage_agent(s, s->m->health_agent);
        again = live_act(a, first.lane, s->m->c->log[last].wire);
        assert_int_equal(again.seq, first.seq);
        assert_int_equal(again.accepted_at, first.accepted_at);
        assert_refusal(again.code, first.code);
        assert_true(digest_equal(&again.leaf, &first.leaf));
        live_wait_metric(&s->live, "shuyi_repeated_total", 1);
        stage_free(s);
}

static void test_frames_that_do_not_decode_end_the_session_and_nothing_else(void **state)
{
        static const struct { const char *name; struct bytes frame; } frames[] = {
                { "an unknown type", { (const uint8_t *)"\x63whatever", 9 } },
                { "a frame of the other direction", { (const uint8_t *)"\x02", 1 } },
                { "a PUT that is no message", { (const uint8_t *)"\x03\xff\xff\xff", 4 } },
                { "a HELLO cut short", { (const uint8_t *)"\x01\x12\x06" "4420", 7 } },
                { "a field twice", { (const uint8_t *)"\x0a\x08\x01\x08\x01", 5 } },
                { "an encoded default", { (const uint8_t *)"\x0a\x08\x00", 3 } },
        };
        struct stage *s = stage_new(program, "");

        assert_true(stage_tell(s));
        stage_hang_up(s);
        for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
                struct live_agent *a = stage_agent(s, s->m->health_agent);

                live_send_bytes(a, frames[i].frame);
                live_pump(a, has_bye, NULL, frames[i].name);
                assert_refusal(a->bye->code, E_FORM);
                stage_hang_up(s);
        }
        stage_free(s);
}

static void test_a_flood_over_its_credit_is_cut_and_others_are_served(void **state)
{
        struct stage *s = stage_new(program, "");
        struct live_agent *a;
        struct bytes junk = bytes_str("junk");

        stage_go_live(s);
        assert_true(stage_tell(s));
        a = stage_agent(s, s->m->civil_agent);
        a->next[1] = 1 << 20;                   /* far ahead of the next number: never credit for these */
        for (unsigned i = 0; i < 5000 && !a->down; i++) {
                live_put(a, 1, junk);
                if (i % 64 == 0)
                        live_pump_once(a, 0);
        }
        live_wait_metric(&s->live, "shuyi_links_cut_total", 1);
        a = stage_agent(s, s->m->health_agent);
        assert_refusal(live_act(a, 0, fresh_act(s)).code, ACCEPTED);
        stage_free(s);
}

static void test_a_full_disk_refuses_data_then_acts_and_resumes_by_itself(void **state)
{
        struct stage *s = stage_new(program, "");
        struct live_agent *provider;
        FILE *f;
        char path[300], text[4000];
        size_t n;

        stage_go_live(s);
        assert_true(stage_tell(s));
        provider = stage_agent(s, s->m->civil_agent);
        snprintf(path, sizeof(path), "%s/broker.yaml", s->live.dir);
        f = fopen(path, "r");
        n = fread(text, 1, sizeof(text) - 1, f);
        text[n] = 0;
        fclose(f);
        f = fopen(path, "a");
        fprintf(f, "space:\n  limit_bytes: 64KiB\n");           /* far less than the store holds already */
        fclose(f);
        assert_int_equal(kill(s->live.pid, SIGHUP), 0);
        live_wait_metric(&s->live, "shuyi_space_step", SPACE_RESERVED);
        assert_refusal(market_update(s->m, &s->stream, 2).code, ACCEPTED);
        live_put(provider, 1, s->m->c->log[s->m->c->log_n - 1].wire);
        live_pump(provider, is_busy, NULL, "BUSY");
        assert_int_equal(provider->busy->reason, BUSY_SPACE);
        f = fopen(path, "w");
        fputs(text, f);
        fclose(f);
        assert_int_equal(kill(s->live.pid, SIGHUP), 0);
        live_wait_metric(&s->live, "shuyi_config_last_reload_success", 1);
        while (live_metric(&s->live, "shuyi_space_step") == SPACE_RESERVED)
                ;
        provider->next[1]--;                                    /* the same bytes, the same number */
        assert_true(stage_tell(s));
        stage_free(s);
}

static void test_a_full_state_refuses_data_and_loses_nothing(void **state)
{
        struct stage *s;
        struct live_agent *provider;
        unsigned told = 0;

        live_map_bytes = "4MiB";
        s = stage_new(program, "");
        live_map_bytes = "256MiB";
        stage_go_live(s);
        assert_true(stage_tell(s));
        provider = stage_agent(s, s->m->civil_agent);
        while (provider->busies == 0) {
                uint64_t number;

                assert_refusal(market_update(s->m, &s->stream, 2).code, ACCEPTED);
                number = live_put(provider, 1, s->m->c->log[s->m->c->log_n - 1].wire);
                live_pump(provider, settled_or_busy, &number, "a receipt or BUSY");
                told++;
        }
        assert_int_equal(provider->busy->reason, BUSY_SPACE);
        assert_true(told > 100);
        stage_hang_up(s);
        live_stop(&s->live);                                    /* it ends in order, and all it said stands */
        stage_must_hold(s, "check");
        live_start(&s->live, NULL);
        stage_free(s);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_R_004_an_unregistered_agent_is_denied_in_the_handshake_and_counted),
                cmocka_unit_test(test_a_revoked_agent_is_cut_in_mid_stream),
                cmocka_unit_test(test_what_is_altered_or_anothers_is_refused_without_an_entry),
                cmocka_unit_test(test_a_number_sent_again_gets_its_first_receipt),
                cmocka_unit_test(test_frames_that_do_not_decode_end_the_session_and_nothing_else),
                cmocka_unit_test(test_a_flood_over_its_credit_is_cut_and_others_are_served),
                cmocka_unit_test(test_a_full_disk_refuses_data_then_acts_and_resumes_by_itself),
                cmocka_unit_test(test_a_full_state_refuses_data_and_loses_nothing),
        };

        if (argc < 2)
                return 2;
        program = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
