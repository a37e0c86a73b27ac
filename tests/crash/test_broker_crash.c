/* broker, crash: killed at each named point, started again, it knows all that it acknowledged, and its log derives again.
 *
 * The city's log goes on from the entry that was under way, with the number it had.  Afterwards every receipt given
 * before and after the crash stands in the log under its seq. */
#include "proto/audit.pb-c.h"
#include "tests/lib/proofs.h"
#include "tests/lib/unit.h"
#include <stdlib.h>
#include <time.h>

static const char *program;

static const struct point { const char *name; } points[] = {
        { "group.before_write:7" }, { "group.after_write:7" }, { "sync.before_fdatasync:9" }, { "sync.after_fdatasync:9" },
        { "state.before_commit:2" }, { "state.after_commit:2" }, { "deliver.before_send:12" }, { "deliver.after_send:12" },
        { "group.before_write:3" }, { "sync.after_fdatasync:25" }, { "tiles.after_leaves:2" }, { "tiles.before_upper:1" },
        { "base.half_written:1" }, { "base.before_sync:1" }, { "base.before_rename:2" }, { "base.after_rename:1" },
};

/* Every receipt: the entry with that seq is that envelope, with that code and leaf. */
static void receipts_must_hold(struct stage *s)
{
        struct live_agent *a = stage_agent(s, s->m->c->authority_agent);

        for (size_t i = 0; i < s->told; i++) {
                const struct city_entry *e = &s->m->c->log[i];
                const Shuyi__V1__EntryRow *row;
                const Shuyi__V1__Page *page;
                uint8_t seq[8];

                if (e->link == 0 || s->rows[i].seq == 0)
                        continue;
                put_be64(seq, s->rows[i].seq);
                page = live_read(a, READ_ENTRY, bytes_of(seq, 8), s->rows[i].seq, (struct bytes){ 0 });
                assert_int_equal(page->n_rows, 1);
                row = message_parse(a->arena, &shuyi__v1__entry_row__descriptor, bytes_of(page->rows[0].data, page->rows[0].len));
                assert_non_null(row);
                assert_true(bytes_equal(bytes_of(row->envelope.data, row->envelope.len), e->wire));
                assert_refusal(row->code, s->rows[i].code);
                assert_true(bytes_equal(bytes_of(row->leaf_hash.data, row->leaf_hash.len), bytes_digest(&s->rows[i].leaf)));
        }
}

static void test_nothing_acknowledged_is_lost_at(void **state)
{
        const struct point *p = *state;
        struct stage *s = stage_new(program, "base:\n  every_entries: 50\n");
        bool died;

        stage_go_live(s);
        for (unsigned i = 0; i < 30; i++)
                assert_refusal(market_update(s->m, &s->stream, 3).code, ACCEPTED);
        live_stop(&s->live);
        live_start(&s->live, p->name);
        died = !stage_tell(s);
        for (unsigned i = 0; i < 500 && !died; i++) {           /* more, at a pace that lets the state be committed between */
                nanosleep(&(struct timespec){ 0, 40000000 }, NULL);
                assert_refusal(market_update(s->m, &s->stream, 3).code, ACCEPTED);
                died = !stage_tell(s);
        }
        assert_true(died);
        live_start(&s->live, NULL);
        assert_true(stage_tell(s));
        receipts_must_hold(s);
        proofs_must_hold(s, NULL);
        live_parcel(stage_agent(s, s->m->health_agent), PARCEL_LINK, s->stream.head);
        stage_hang_up(s);
        live_stop(&s->live);
        stage_must_hold(s, "--replay");
        stage_must_hold(s, "check");
        stage_free(s);
}

int main(int argc, char **argv)
{
        struct CMUnitTest tests[sizeof(points) / sizeof(points[0])];

        if (argc < 2)
                return 2;
        program = argv[1];
        for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
                tests[i] = (struct CMUnitTest){ points[i].name, test_nothing_acknowledged_is_lost_at, NULL, NULL, (void *)&points[i] };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
