/* tidy: drafts and dead letters that nobody can use any more; `seen` in what an agent signs. */
#include "agent/tidy.h"
#include "common/kind.h"
#include "tests/lib/transfer.h"
#include "tests/lib/unit.h"

static void put(struct transfer *t, struct agent_key k, struct bytes value)
{
        assert_int_equal(keep_put_bytes(t->consumer.store, &k, value), 0);
}

static void put_dead(struct transfer *t, uint64_t at, uint8_t name)
{
        struct digest d = { { name } };

        put(t, agent_key_bytes(agent_key_u64(agent_key(AGENT_DEAD), at), bytes_digest(&d)), bytes_str("x"));
}

static void put_draft(struct transfer *t, uint64_t expires_at, uint8_t name)
{
        Shuyi__V1__Intent in = SHUYI__V1__INTENT__INIT;
        struct city *c = t->m->c;
        struct digest d = { { name } };

        in.expires_at = expires_at;
        put(t, agent_key_bytes(agent_key(AGENT_DRAFT), bytes_digest(&d)),
            city_envelope(c, &(struct city_act){ .kind = KIND_SUBSCRIBE, .intent = &in, .raw = { 0 }, .by = { { c->sec_admin, ROLE_SEC_ADMIN } } }));
}

static uint64_t count(struct transfer *t, enum agent_table table)
{
        uint64_t n;

        assert_int_equal(tidy_count(store_state(t->consumer.store), table, &n), 0);
        return n;
}

static void test_what_has_expired_goes_and_the_rest_stays(void **state)
{
        struct transfer *t = transfer_new();
        struct wall_time now = t->m->c->now;

        transfer_replicate(t, now.ms);
        assert_int_equal(store_group_begin(t->consumer.store), 0);
        put_dead(t, now.ms - 91 * DAY_MS, 1);
        put_dead(t, now.ms - 90 * DAY_MS - 1, 2);
        put_dead(t, now.ms - 90 * DAY_MS, 3);
        put_dead(t, now.ms, 4);
        put_draft(t, now.ms + 1000, 5);
        put_draft(t, now.ms + DAY_MS, 6);
        assert_int_equal(tidy_run(&t->consumer, t->arena, now), 2);
        assert_int_equal(count(t, AGENT_DEAD), 2);
        assert_int_equal(count(t, AGENT_DRAFT), 2);
        now.ms += 1000;
        assert_int_equal(tidy_run(&t->consumer, t->arena, now), 2);     /* the third letter's time is over, too */
        assert_int_equal(count(t, AGENT_DEAD), 1);
        assert_int_equal(count(t, AGENT_DRAFT), 1);
        assert_int_equal(tidy_run(&t->consumer, t->arena, now), 0);
        transfer_free(t);
}

static void test_what_an_agent_signs_says_which_head_it_has_verified(void **state)
{
        struct transfer *t = transfer_new();
        const struct claim *claim;
        Shuyi__Agent__SealedRow sent;

        t->provider.seen = (struct head){ .epoch = 1, .size = 4711, .root = { { 7 } } };
        transfer_replicate(t, t->m->c->now.ms);
        sent = transfer_send_epoch(t);
        assert_refusal(envelope_parse(t->arena, keep_bytes(sent.envelope), &claim), ACCEPTED);
        assert_non_null(claim->intent->seen);
        assert_int_equal(claim->intent->seen->epoch, 1);
        assert_int_equal(claim->intent->seen->size, 4711);
        assert_true(bytes_equal(keep_bytes(claim->intent->seen->root), bytes_digest(&t->provider.seen.root)));
        t->provider.seen = (struct head){ 0 };
        sent = transfer_send_update(t, transfer_record(t, (uint32_t[]){ 1, 2 }, 2, "name"));
        assert_refusal(envelope_parse(t->arena, keep_bytes(sent.envelope), &claim), ACCEPTED);
        assert_null(claim->intent->seen);
        transfer_free(t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_has_expired_goes_and_the_rest_stays),
                cmocka_unit_test(test_what_an_agent_signs_says_which_head_it_has_verified),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
