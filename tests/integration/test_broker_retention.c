/* broker, retention: a real log three years old is purged by two persons; the files shrink, every head still follows from what
 * is left, the broker restarts, and a state that is lost is made anew from BASE (REGULATIONS 9.2, R-155). */
#include "common/macro.h"
#include "common/times.h"
#include "proto/log.pb-c.h"
#include "tests/lib/proofs.h"
#include "tests/lib/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define UPDATES 150                             /* of 64 KiB: more than one file of the log */
#define YEARS_MS ((int64_t)(3 * 366 + 5) * (int64_t)DAY_MS)
#define CONFIG "clock:\n  ahead_max_days: 3650\nlink:\n  listen: tcp://127.0.0.1:0\n"

static const char *program, *library;

static void run_and_find(struct stage *s, const char *how, const char *words, char *out, size_t n)
{
        int code = live_run(&s->live, how, NULL, out, n);

        if (code != 0 || !strstr(out, words))
                fail_msg("%s: %d: %s", how, code, out);
}

/* The same time for the broker and the city. */
static void shift(struct stage *s, int64_t ms)
{
        live_shift_clock(&s->live, library, ms);
        s->m->c->now.ms = times_wall().ms + (uint64_t)ms;
}

static void update(struct stage *s)
{
        static const uint8_t sealed[64 << 10] = { 1 };
        Shuyi__V1__Intent *i = market_update_intent(s->m, &s->stream, 64);
        struct city_result r = city_act(s->m->c, &(struct city_act){ .kind = KIND_UPDATE, .intent = i, .raw = bytes_of(sealed, sizeof(sealed)), .by = { { s->m->civil_agent, ROLE_AGENT } } });

        assert_refusal(r.code, ACCEPTED);
        s->stream.head = i->stream_seq;
        s->stream.head_digest = r.digest;
}

/* To the broker alone: its log has more entries than the city's, of its own. */
static struct live_row purge(struct stage *s, enum purge what, uint64_t to, uint64_t base_seq, const char *base_state)
{
        struct city *c = s->m->c;
        Shuyi__V1__PurgeBody b = SHUYI__V1__PURGE_BODY__INIT;
        uint8_t digest[DIGEST_BYTES];

        b.what = what;
        b.to = to;
        if (what == PURGE_INPUTS) {
                assert_true(hex_parse(base_state, digest, DIGEST_BYTES));
                b.base_seq = base_seq;
                b.base_digest = (ProtobufCBinaryData){ DIGEST_BYTES, digest };
        }
        return live_act(stage_agent(s, c->authority_agent), 0,
                        city_envelope(c, &(struct city_act){ .kind = KIND_PURGE, .body = &b.base,
                                                             .by = { { c->data_operator, ROLE_DATA_OPERATOR }, { city_find(c, "auditor"), ROLE_AUDIT_OFFICER } } }));
}

static void move(struct stage *s, const char *from, const char *to)
{
        char a[400], b[400];

        snprintf(a, sizeof(a), "%s/%s", s->live.dir, from);
        snprintf(b, sizeof(b), "%s/%s", s->live.dir, to);
        assert_int_equal(rename(a, b), 0);
}

/* Stopped; the newest entry that a person may purge is *ret_old. */
static struct stage *stage_years_old(uint64_t *ret_old)
{
        struct stage *s = stage_new(program, CONFIG);

        city_hire(s->m->c, CITY_AUTHORITY, "auditor", ROLE_AUDIT_OFFICER, 0);
        stage_go_live(s);
        for (unsigned i = 0; i < UPDATES; i++)
                update(s);
        assert_refusal(market_send_receipt(s->m, &s->grant, &s->stream.id, market_receipt(s->m, 1, s->stream.head, &s->stream.head_digest)).code, ACCEPTED);
        assert_true(stage_tell(s));
        *ret_old = s->rows[s->told - 1].seq;
        stage_hang_up(s);
        live_stop(&s->live);
        shift(s, YEARS_MS);
        return s;
}

static void test_R_155_a_log_is_purged_and_all_still_holds(void **state)
{
        uint64_t old;
        struct stage *s = stage_years_old(&old);
        char out[6000], base_state[65];
        unsigned long long base_seq;

        live_start(&s->live, NULL);
        assert_refusal(purge(s, PURGE_BODIES, old, 0, NULL).code, ACCEPTED);
        live_wait_metric(&s->live, "shuyi_purged_bodies_total", 1);
        stage_hang_up(s);
        live_stop(&s->live);
        run_and_find(s, "check", "all holds", out, sizeof(out));
        run_and_find(s, "--base", "base seq=", out, sizeof(out));
        assert_int_equal(sscanf(strstr(out, "base seq="), "base seq=%llu rows=%*u outcomes=%*u bytes=%*u state=%64s", &base_seq, base_state), 2);
        live_start(&s->live, NULL);
        assert_refusal(purge(s, PURGE_INPUTS, old, base_seq, base_state).code, ACCEPTED);
        live_wait_metric(&s->live, "shuyi_purged_inputs_total", 100);
        proofs_must_hold(s, NULL);
        stage_hang_up(s);
        live_stop(&s->live);
        run_and_find(s, "check", "all holds", out, sizeof(out));
        assert_non_null(strstr(out, "purged_inputs="));
        run_and_find(s, "--replay", "all holds", out, sizeof(out));
        run_and_find(s, "--rebuild", "made anew", out, sizeof(out));
        move(s, "store/base", "store/base.away");
        assert_int_not_equal(live_run(&s->live, "--rebuild", NULL, out, sizeof(out)), 0);       /* part of the log is gone: it needs one */
        assert_int_not_equal(live_run(&s->live, "check", NULL, out, sizeof(out)), 0);
        move(s, "store/base.away", "store/base");
        run_and_find(s, "--rebuild", "made anew", out, sizeof(out));
        run_and_find(s, "check", "all holds", out, sizeof(out));
        live_start(&s->live, NULL);
        city_hire(s->m->c, CITY_AUTHORITY, "after", ROLE_USER, 0);
        assert_true(stage_tell(s));
        proofs_must_hold(s, NULL);              /* old and new, purged and not */
        stage_free(s);
}

#ifdef FAILPOINTS
/* Each point at a purge that goes further than the one before. */
static void test_R_155_killed_at_each_point_of_a_rewriting_the_broker_goes_on_with_it(void **state)
{
        static const char *const points[] = { "rewrite.half_written", "rewrite.before_sync", "rewrite.before_rename", "rewrite.after_rename" };
        uint64_t old;
        struct stage *s = stage_years_old(&old);
        char out[6000];

        for (unsigned i = 0; i < ELEMENTS(points); i++) {
                live_start(&s->live, points[i]);
                assert_refusal(purge(s, PURGE_BODIES, old - UPDATES + (i + 1) * 8, 0, NULL).code, ACCEPTED);
                assert_true(live_wait_death(&s->live));
                stage_hang_up(s);
                live_start(&s->live, NULL);
                if (i < 3)                      /* the last one comes when the file is there */
                        live_wait_metric(&s->live, "shuyi_purged_bodies_total", 1);
                proofs_must_hold(s, NULL);
                stage_hang_up(s);
                live_stop(&s->live);
                run_and_find(s, "check", "all holds", out, sizeof(out));
        }
        stage_free(s);
}
#endif

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_R_155_a_log_is_purged_and_all_still_holds),
#ifdef FAILPOINTS
                cmocka_unit_test(test_R_155_killed_at_each_point_of_a_rewriting_the_broker_goes_on_with_it),
#endif
        };

        if (argc < 3)
                return 2;
        program = argv[1];
        library = argv[2];
        return cmocka_run_group_tests_name("broker, retention", tests, NULL, NULL);
}
