/* turn: a turn reads what it has written, in order, and leaves the state alone; trust, notices, clocks and facts as rows. */
#include "common/exchange/effects.h"
#include "common/exchange/rows.h"
#include "common/macro.h"
#include "tests/lib/city.h"
#include "tests/lib/unit.h"

#include <errno.h>
#include <stdlib.h>

struct desk {
        struct map_state *state;
        struct arena *arena;
        struct entry entry;
        struct claim claim;
        struct calendar *calendar;
        struct turn turn;
};

static int set_up(void **state)
{
        struct desk *d = calloc(1, sizeof(*d));
        struct city *c = city_new();

        d->state = map_state_new();
        d->arena = arena_new(1u << 24);
        d->calendar = calendar_parse(city_file(c, "deploy/calendar/cn-holidays.csv"), NULL);
        d->entry = (struct entry){ .epoch = 1, .seq = 7, .accepted_at = { CITY_START }, .claim = &d->claim };
        d->turn = (struct turn){ .state = map_state_ops(d->state), .entry = &d->entry, .claim = &d->claim, .arena = d->arena, .now = { CITY_START },
                                 .calendar = d->calendar, .effects = effects_new(d->arena), .meta = ARENA_NEW(d->arena, Shuyi__V1__MetaRow) };
        shuyi__v1__meta_row__init(d->turn.meta);
        city_free(c);
        *state = d;
        return 0;
}

static int tear_down(void **state)
{
        struct desk *d = *state;

        calendar_free(d->calendar);
        map_state_free(d->state);
        arena_free(d->arena);
        free(d);
        return 0;
}

static size_t rows_under(struct turn *t, enum table table)
{
        struct bytes prefix = TURN_KEY(t, table, (struct bytes){ 0 }), from = prefix, key, value;
        size_t n = 0;

        while (turn_next(t, prefix, from, &key, &value)) {
                from = turn_after(t, key);
                n++;
        }
        return n;
}

static void the_last_write_of_a_key_counts(void **state)
{
        struct turn *t = &((struct desk *)*state)->turn;
        struct bytes key = TURN_KEY(t, TABLE_LINK, turn_u32(t, 1)), value;

        assert_false(turn_get(t, key, &value));
        turn_put(t, key, bytes_str("one"));
        turn_put(t, key, bytes_str("two"));
        assert_true(turn_get(t, key, &value));
        assert_true(bytes_equal(value, bytes_str("two")));
        assert_int_equal(t->effects->n, 1);
        assert_int_equal(t->effects->bytes, key.n + 3);
        turn_remove(t, key);
        assert_false(turn_get(t, key, &value));
        assert_int_equal(t->effects->n, 1);
}

/* Random writes over random rows: what turn_next walks is what the state would be with the effects applied. */
static void next_walks_state_and_effects_as_one(void **state)
{
        struct desk *d = *state;
        struct turn *t = &d->turn;
        struct bytes prefix = TURN_KEY(t, TABLE_KEY, (struct bytes){ 0 }), from = prefix, key, value;
        struct state after = map_state_ops(d->state);

        srand(20260212);
        for (unsigned i = 0; i < 300; i++)
                map_state_put(d->state, TURN_KEY(t, TABLE_KEY, turn_u32(t, (uint32_t)(rand() % 500))), bytes_str("old"));
        for (unsigned i = 0; i < 300; i++) {
                struct bytes k = TURN_KEY(t, TABLE_KEY, turn_u32(t, (uint32_t)(rand() % 500)));

                if (rand() % 2)
                        turn_put(t, k, bytes_str("new"));
                else
                        turn_remove(t, k);
        }
        struct map_state *copy = map_state_new();
        while (after.ops->next(after.ctx, prefix, from, &key, &value) > 0) {
                map_state_put(copy, key, value);
                from = turn_after(t, key);
        }
        map_state_apply(copy, t->effects->rows, t->effects->n);
        from = prefix;
        size_t n = 0;
        while (turn_next(t, prefix, from, &key, &value)) {
                struct bytes want;
                struct state s = map_state_ops(copy);

                assert_int_equal(s.ops->get(s.ctx, key, &want), 1);
                assert_true(bytes_equal(value, want));
                from = turn_after(t, key);
                n++;
        }
        assert_int_equal(n, map_state_rows(copy));
        map_state_free(copy);
}

static void a_fault_of_the_state_sticks(void **state)
{
        struct desk *d = *state;
        struct bytes value;

        map_state_put(d->state, TURN_KEY(&d->turn, TABLE_META, (struct bytes){ 0 }), bytes_str("x"));
        map_state_fail_at(d->state, 1);
        assert_false(turn_get(&d->turn, TURN_KEY(&d->turn, TABLE_META, (struct bytes){ 0 }), &value));
        assert_int_equal(d->turn.fault, -EIO);
        assert_false(turn_get(&d->turn, TURN_KEY(&d->turn, TABLE_META, (struct bytes){ 0 }), &value));
}

/* The worked example of REGULATIONS 6.2: received Thu 12 Feb, five working days over the festival. */
static void a_clock_falls_due_by_the_calendar(void **state)
{
        struct turn *t = &((struct desk *)*state)->turn;
        uint8_t object[32] = { 1 };
        Shuyi__V1__ClockRow *row;

        turn_clock_start(t, CLOCK_REPLY, bytes_of(object, 32), t->now, 5);
        row = turn_get_row(t, TURN_KEY(t, TABLE_CLOCK, bytes_of(object, 32), turn_u8(t, CLOCK_REPLY)), &shuyi__v1__clock_row__descriptor);
        assert_non_null(row);
        assert_int_equal(row->due_end, times_day_start(times_day_from_date(2026, 2, 27)).ms);
        assert_false(row->provisional);
        assert_string_equal(t->detail, "due=2026-02-26");
        assert_int_equal(rows_under(t, TABLE_DUE), 1);
        turn_clock_stop(t, CLOCK_REPLY, bytes_of(object, 32));
        assert_int_equal(rows_under(t, TABLE_DUE) + rows_under(t, TABLE_CLOCK), 0);
}

static void a_clock_started_again_has_one_due_date(void **state)
{
        struct turn *t = &((struct desk *)*state)->turn;
        uint8_t object[32] = { 1 };

        turn_clock_start(t, CLOCK_REPLY, bytes_of(object, 32), t->now, 5);
        turn_clock_start(t, CLOCK_REPLY, bytes_of(object, 32), t->now, 6);
        assert_int_equal(rows_under(t, TABLE_DUE), 1);
        assert_int_equal(rows_under(t, TABLE_CLOCK), 1);
}

static void none_and_zero_start_no_clock(void **state)
{
        struct turn *t = &((struct desk *)*state)->turn;
        uint8_t object[32] = { 1 };

        turn_clock_start(t, CLOCK_REPLY, bytes_of(object, 32), t->now, POLICY_NONE);
        turn_clock_start(t, CLOCK_REPLY, bytes_of(object, 32), t->now, 0);
        assert_int_equal(t->effects->n, 0);
        assert_string_equal(t->detail, "");
}

static void a_due_date_beyond_the_calendar_is_provisional(void **state)
{
        struct turn *t = &((struct desk *)*state)->turn;
        uint8_t object[32] = { 1 };
        struct wall_time new_year = times_day_start(times_day_from_date(2026, 12, 30));

        turn_clock_start(t, CLOCK_REPLY, bytes_of(object, 32), new_year, 5);
        assert_non_null(strstr(t->detail, "PROVISIONAL"));
}

static void a_notice_is_the_next_number_of_the_feed(void **state)
{
        struct turn *t = &((struct desk *)*state)->turn;
        Shuyi__V1__FeedRow *row;

        turn_notice(t, CITY_CIVIL, NOTICE_STAFF);
        turn_notice(t, CITY_HEALTH, NOTICE_STAFF);
        turn_notice(t, CITY_CIVIL, NOTICE_STAFF_END);
        row = turn_get_row(t, TURN_KEY(t, TABLE_FEED, bytes_str(CITY_CIVIL), turn_u64(t, 2)), &shuyi__v1__feed_row__descriptor);
        assert_non_null(row);
        assert_int_equal(row->notice, NOTICE_STAFF_END);
        assert_int_equal(row->seq, 7);
        assert_int_equal(t->effects->wakes_n, 2);               /* each department once */
}

static void a_trust_record_moves_chain_map_and_bucket(void **state)
{
        struct turn *t = &((struct desk *)*state)->turn;
        struct digest object = turn_trust_object(TRUST_DEPARTMENT, bytes_str(CITY_CIVIL));
        Shuyi__V1__TrustMapRow *row;

        turn_trust(t, TRUST_DEPARTMENT, bytes_str(CITY_CIVIL), STATUS_ACTIVE);
        assert_int_equal(t->meta->trust_seq, 1);
        assert_int_equal(t->meta->trust_chain.len, 32);
        assert_true(t->meta->dirty_buckets.data[object.b[0] / 8] & (1u << (object.b[0] % 8)));
        row = turn_get_row(t, TURN_KEY(t, TABLE_TRUST_MAP, bytes_digest(&object)), &shuyi__v1__trust_map_row__descriptor);
        assert_non_null(row);
        assert_int_equal(row->since_seq, 7);
        assert_true(t->effects->trust_moved);
}

static void an_overdue_fact_bears_the_time_it_fell_due(void **state)
{
        struct turn *t = &((struct desk *)*state)->turn;
        uint8_t object[32] = { 1 };
        Shuyi__V1__FactRow *row;

        t->now.ms = CITY_START + 5;
        turn_fact(t, CLOCK_REPLY, bytes_of(object, 32), CITY_CIVIL, "V_REPLY_LATE");
        row = turn_get_row(t, TURN_KEY(t, TABLE_FACT, turn_u64(t, 1)), &shuyi__v1__fact_row__descriptor);
        assert_non_null(row);
        assert_int_equal(row->due_end, CITY_START + 5);
        assert_int_equal(row->recorded_seq, 7);
        assert_string_equal(row->violation, "V_REPLY_LATE");
}

static void details_are_joined_and_bounded(void **state)
{
        struct turn *t = &((struct desk *)*state)->turn;

        assert_refusal(turn_refuse(t, G_FIELD, "purpose"), G_FIELD);
        turn_detail(t, "items");
        assert_string_equal(t->detail, "purpose,items");
        for (unsigned i = 0; i < 200; i++)
                turn_detail(t, "agent");
        assert_true(strlen(t->detail) < sizeof(t->detail));
}

static void the_digest_of_effects_is_over_keys_in_order(void **state)
{
        struct desk *d = *state;
        struct effects *a = effects_new(d->arena), *b = effects_new(d->arena);
        struct digest x, y, z;

        effects_put(a, bytes_str("k1"), bytes_str("v"));
        effects_put(a, bytes_str("k2"), bytes_str("w"));
        effects_put(b, bytes_str("k2"), bytes_str("w"));
        effects_put(b, bytes_str("k1"), bytes_str("v"));
        assert_true(effects_digest(a, &x) && effects_digest(b, &y));
        assert_true(digest_equal(&x, &y));
        effects_remove(b, bytes_str("k1"));
        assert_true(effects_digest(b, &z));
        assert_false(digest_equal(&x, &z));
}

static void an_entry_has_its_bounds(void **state)
{
        struct desk *d = *state;
        struct effects *rows = effects_new(d->arena), *bytes = effects_new(d->arena);
        uint8_t *large = arena_zalloc(d->arena, EFFECT_BYTES_MAX);
        uint8_t key[4];

        for (uint32_t i = 0; i < EFFECT_ROWS_MAX; i++) {
                put_be32(key, i);
                effects_put(rows, bytes_of(key, 4), bytes_str("v"));
        }
        assert_false(effects_over(rows));
        effects_put(rows, bytes_str("one more"), bytes_str("v"));
        assert_true(effects_over(rows));
        effects_put(bytes, bytes_str("k"), bytes_of(large, EFFECT_BYTES_MAX - 1));
        assert_false(effects_over(bytes));
        effects_put(bytes, bytes_str("l"), (struct bytes){ 0 });
        assert_true(effects_over(bytes));
        effects_put(bytes, bytes_str("k"), bytes_str("small again"));
        assert_false(effects_over(bytes));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(the_last_write_of_a_key_counts),
                CASE(next_walks_state_and_effects_as_one),
                CASE(a_fault_of_the_state_sticks),
                CASE(a_clock_falls_due_by_the_calendar),
                CASE(a_clock_started_again_has_one_due_date),
                CASE(none_and_zero_start_no_clock),
                CASE(a_due_date_beyond_the_calendar_is_provisional),
                CASE(a_notice_is_the_next_number_of_the_feed),
                CASE(a_trust_record_moves_chain_map_and_bucket),
                CASE(an_overdue_fact_bears_the_time_it_fell_due),
                CASE(details_are_joined_and_bounded),
                CASE(an_entry_has_its_bounds),
                CASE(the_digest_of_effects_is_over_keys_in_order),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
