/* transfer: what the provider's agent makes (chain) the rules accept, and the consumer's agent opens (opener); what breaks its
 * word is a breach (R-126, R-185, REGULATIONS 9.9). */
#include "agent/plan.h"
#include "common/macro.h"
#include "tests/lib/transfer.h"
#include "tests/lib/unit.h"

#include <sodium.h>

static const uint32_t granted[] = { 1, 2, 3 }, more[] = { 1, 2, 3, 4 };

static struct opened open_link(struct transfer *t, const Shuyi__Agent__PendingRow *link)
{
        struct opened o;

        assert_int_equal(opener_open(&t->consumer, t->arena, &t->grant, &t->cursor, link, t->m->c->now, &o), 0);
        return o;
}

static void must_break(struct transfer *t, const Shuyi__Agent__PendingRow *link, enum refusal code)
{
        struct opened o = open_link(t, link);

        assert_int_equal(o.result, OPENING_BREACH);
        assert_refusal(o.code, code);
        assert_null(o.records.p);
}

/* ---- cases ---- */

static void test_R_126_what_is_sealed_the_rules_accept_and_the_consumer_opens(void **state)
{
        _cleanup_(transfer_freep) struct transfer *t = transfer_new();
        Shuyi__Agent__SealedRow epoch = transfer_send_epoch(t), update = transfer_send_update(t, transfer_record(t, granted, 3, "中山市"));
        Shuyi__Agent__PendingRow first = transfer_epoch_link(t, &epoch), second = transfer_link(t, &update);
        Shuyi__Agent__OpenedRecords *list;
        struct opened o;

        transfer_replicate(t, t->m->c->now.ms);
        assert_int_equal(open_link(t, &first).result, OPENING_DONE);
        o = open_link(t, &second);
        assert_int_equal(o.result, OPENING_DONE);
        assert_int_equal(o.count, 1);
        list = message_parse(t->arena, &shuyi__agent__opened_records__descriptor, o.records);
        assert_true(bytes_equal(keep_bytes(list->records[0]), transfer_record(t, granted, 3, "中山市")));
}

static void test_R_185_nothing_of_a_record_stands_outside_the_seal(void **state)
{
        _cleanup_(transfer_freep) struct transfer *t = transfer_new();
        Shuyi__Agent__SealedRow sent;
        struct bytes record = transfer_record(t, granted, 3, "不可见之值"), wire;
        struct digest plain = digest_plain(record);

        transfer_send_epoch(t);
        sent = transfer_send_update(t, record);
        wire = keep_bytes(sent.envelope);
        assert_null(memmem(wire.p, wire.n, "不可见之值", strlen("不可见之值")));
        assert_null(memmem(wire.p, wire.n, "442000\x1a", 7));
        assert_null(memmem(wire.p, wire.n, plain.b, DIGEST_BYTES));
}

static void test_an_item_that_was_not_granted_is_a_breach(void **state)
{
        _cleanup_(transfer_freep) struct transfer *t = transfer_new();
        Shuyi__Agent__SealedRow epoch = transfer_send_epoch(t), update = transfer_send_update(t, transfer_record(t, more, 4, "中山市"));
        Shuyi__Agent__PendingRow first = transfer_epoch_link(t, &epoch), second = transfer_link(t, &update);

        transfer_replicate(t, t->m->c->now.ms);
        assert_int_equal(open_link(t, &first).result, OPENING_DONE);
        must_break(t, &second, E_CONTENT);
}

static void test_a_value_that_breaks_its_item_is_a_breach(void **state)
{
        _cleanup_(transfer_freep) struct transfer *t = transfer_new();
        Shuyi__Agent__SealedRow epoch = transfer_send_epoch(t);
        Shuyi__Agent__PendingRow first = transfer_epoch_link(t, &epoch), second;
        char name[400];

        memset(name, 'x', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        Shuyi__Agent__SealedRow update = transfer_send_update(t, transfer_record(t, granted, 3, name));

        second = transfer_link(t, &update);
        transfer_replicate(t, t->m->c->now.ms);
        assert_int_equal(open_link(t, &first).result, OPENING_DONE);
        must_break(t, &second, E_CONTENT);
}

static void test_a_link_of_another_number_or_a_changed_byte_is_a_breach(void **state)
{
        _cleanup_(transfer_freep) struct transfer *t = transfer_new();
        Shuyi__Agent__SealedRow epoch = transfer_send_epoch(t), update = transfer_send_update(t, transfer_record(t, granted, 3, "中山市"));
        Shuyi__Agent__PendingRow first = transfer_epoch_link(t, &epoch), second = transfer_link(t, &update);

        transfer_replicate(t, t->m->c->now.ms);
        assert_int_equal(open_link(t, &first).result, OPENING_DONE);
        second.stream_seq++;
        must_break(t, &second, E_CONTENT);
        second.stream_seq--;
        second.envelope.data[second.envelope.len / 2] ^= 1;
        assert_int_equal(open_link(t, &second).result, OPENING_BREACH);
}

static void test_a_row_that_is_not_under_the_root_or_not_ours_is_a_breach(void **state)
{
        _cleanup_(transfer_freep) struct transfer *t = transfer_new();
        Shuyi__Agent__SealedRow epoch = transfer_send_epoch(t);
        Shuyi__Agent__PendingRow link = transfer_epoch_link(t, &epoch);

        transfer_replicate(t, t->m->c->now.ms);
        link.row_index = 1;
        must_break(t, &link, E_CONTENT);
        link.row_index = 0;
        link.row.data[link.row.len - 1] ^= 1;
        must_break(t, &link, E_CONTENT);
}

static void test_an_update_before_its_epoch_is_a_breach(void **state)
{
        _cleanup_(transfer_freep) struct transfer *t = transfer_new();
        Shuyi__Agent__PendingRow link;

        transfer_send_epoch(t);
        Shuyi__Agent__SealedRow update = transfer_send_update(t, transfer_record(t, granted, 3, "中山市"));

        link = transfer_link(t, &update);
        transfer_replicate(t, t->m->c->now.ms);
        must_break(t, &link, E_STALE_EPOCH);
}

static void test_R_009_under_a_stale_head_nothing_is_opened(void **state)
{
        _cleanup_(transfer_freep) struct transfer *t = transfer_new();
        Shuyi__Agent__SealedRow epoch = transfer_send_epoch(t);
        Shuyi__Agent__PendingRow link = transfer_epoch_link(t, &epoch);

        transfer_replicate(t, t->m->c->now.ms - 301000);
        assert_int_equal(open_link(t, &link).result, OPENING_LATER);
}

static void test_a_grant_that_is_not_known_yet_waits_and_one_that_ended_is_over(void **state)
{
        _cleanup_(transfer_freep) struct transfer *t = transfer_new();
        Shuyi__Agent__SealedRow epoch = transfer_send_epoch(t);
        Shuyi__Agent__PendingRow link = transfer_epoch_link(t, &epoch);
        struct opened o;
        struct digest other = { { 9 } };

        assert_refusal(market_reason(t->m, KIND_GRANT_END, &t->grant, NULL, REASON_PURPOSE_REACHED, t->m->health_approver, ROLE_APPROVER).code, ACCEPTED);
        transfer_replicate(t, t->m->c->now.ms);
        assert_int_equal(open_link(t, &link).result, OPENING_OVER);
        assert_int_equal(opener_open(&t->consumer, t->arena, &other, &t->cursor, &link, t->m->c->now, &o), 0);
        assert_int_equal(o.result, OPENING_LATER);
}

/* Grants are never forgotten: those that ended long ago must not take the room in which the living are planned. */
static void test_thousands_of_old_grants_do_not_stop_a_provider(void **state)
{
        _cleanup_(transfer_freep) struct transfer *t = transfer_new();
        Shuyi__V1__GrantRow *g = market_grant(t->m, &t->grant);
        Shuyi__Agent__ViewRow view = SHUYI__AGENT__VIEW_ROW__INIT;
        struct plan old = { 0 }, plan;
        uint32_t items[512];
        struct arena *a = arena_new(1 << 20);

        transfer_replicate(t, t->m->c->now.ms);
        assert_int_equal(store_group_begin(t->consumer.store), 0);
        for (uint32_t i = 0; i < 512; i++)
                items[i] = i + 1;
        g->state = GRANT_ENDED;
        g->items = items;
        g->n_items = 512;
        for (uint32_t i = 0; i < 8000; i++) {
                uint8_t key[1 + DIGEST_BYTES] = { TABLE_GRANT };

                put_be32(key + 1, i);
                arena_reset(a);
                assert_true(store_put(t->consumer.store, STORE_STATE, bytes_of(key, sizeof(key)), message_pack(a, &g->base)) >= 0);
        }
        for (uint8_t i = 0; i < 4; i++) {
                struct digest id = { { i } };
                struct agent_key k = agent_key_bytes(agent_key(AGENT_VIEW), bytes_digest(&id));

                view.view = keep_binary(bytes_digest(&id));
                arena_reset(a);
                assert_true(keep_put(t->consumer.store, a, &k, &view.base) >= 0);
        }
        assert_int_equal(plan_make(&t->consumer, t->m->c->now, &old, &plan), 0);
        assert_int_equal(plan.members_n, 0);
        plan_fini(&plan);
        store_group_abort(t->consumer.store);
        arena_free(a);
}

/* The provider's agent knows of a freeze by itself: no broker has to refuse what it sends. */
static void test_a_frozen_entry_is_planned_as_frozen(void **state)
{
        _cleanup_(transfer_freep) struct transfer *t = transfer_new();
        Shuyi__V1__FreezeBody body = SHUYI__V1__FREEZE_BODY__INIT;
        Shuyi__Agent__SubscriberRow subscriber = SHUYI__AGENT__SUBSCRIBER_ROW__INIT;
        struct agent_key k = agent_key_bytes(agent_key(AGENT_SUBSCRIBER), bytes_digest(&t->grant));
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        struct rows rows = { map_state_ops(t->m->c->state), t->arena, 0 };
        struct plan old = { 0 }, plan;
        struct digest matter;

        t->consumer.self.agent = t->m->civil_agent->id;         /* the provider, over the store that there is */
        for (unsigned frozen = 0; frozen < 2; frozen++) {
                transfer_replicate(t, t->m->c->now.ms);
                assert_int_equal(store_group_begin(t->consumer.store), 0);
                assert_true(keep_put(t->consumer.store, t->arena, &k, &subscriber.base) >= 0);
                assert_int_equal(plan_make(&t->consumer, t->m->c->now, &old, &plan), 0);
                assert_int_equal(plan.views_n, 1);
                assert_int_equal(plan.views[0].frozen, frozen);
                plan_fini(&plan);
                store_group_abort(t->consumer.store);
                store_abort(t->consumer.store);
                assert_true(rows_find_matter(&rows, t->resource, &matter));
                i.object = keep_binary(bytes_digest(&matter));
                body.reason = REASON_SECURITY_INCIDENT;
                city_act(t->m->c, &(struct city_act){ .kind = KIND_FREEZE, .intent = &i, .body = &body.base, .by = { { t->m->c->sec_admin, ROLE_SEC_ADMIN } } });
        }
}

/* A broker and a laid-aside key of the provider's agent make no data: what it signed was accepted before it ended. */
static void test_R_009_a_link_accepted_after_its_signers_end_is_a_breach(void **state)
{
        _cleanup_(transfer_freep) struct transfer *t = transfer_new();
        Shuyi__Agent__SealedRow epoch = transfer_send_epoch(t), update = transfer_send_update(t, transfer_record(t, granted, 3, "中山市"));
        Shuyi__Agent__PendingRow first = transfer_epoch_link(t, &epoch), second = transfer_link(t, &update);

        city_pass(t->m->c, 1000);
        city_revoke(t->m->c, t->m->civil_agent);
        transfer_replicate(t, t->m->c->now.ms);
        assert_int_equal(open_link(t, &first).result, OPENING_DONE);
        second.accepted_at = t->m->c->now.ms + 1;
        must_break(t, &second, E_CRED);
        second.accepted_at = t->m->c->now.ms - 1000;
        assert_int_equal(open_link(t, &second).result, OPENING_DONE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_R_126_what_is_sealed_the_rules_accept_and_the_consumer_opens),
                cmocka_unit_test(test_R_185_nothing_of_a_record_stands_outside_the_seal),
                cmocka_unit_test(test_an_item_that_was_not_granted_is_a_breach),
                cmocka_unit_test(test_a_value_that_breaks_its_item_is_a_breach),
                cmocka_unit_test(test_a_link_of_another_number_or_a_changed_byte_is_a_breach),
                cmocka_unit_test(test_a_row_that_is_not_under_the_root_or_not_ours_is_a_breach),
                cmocka_unit_test(test_an_update_before_its_epoch_is_a_breach),
                cmocka_unit_test(test_R_009_under_a_stale_head_nothing_is_opened),
                cmocka_unit_test(test_a_grant_that_is_not_known_yet_waits_and_one_that_ended_is_over),
                cmocka_unit_test(test_thousands_of_old_grants_do_not_stop_a_provider),
                cmocka_unit_test(test_a_frozen_entry_is_planned_as_frozen),
                cmocka_unit_test(test_R_009_a_link_accepted_after_its_signers_end_is_a_breach),
        };

        if (sodium_init() < 0)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
