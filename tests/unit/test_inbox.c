/* inbox: links in order, opened records kept until a sink has them, receipts, and what follows a breach. */
#include "agent/inbox.h"
#include "agent/outbox.h"
#include "agent/receipts.h"
#include "agent/tables.h"
#include "common/audit.h"
#include "common/envelope.h"
#include "common/macro.h"
#include "tests/lib/transfer.h"
#include "tests/lib/unit.h"

#include <errno.h>
#include <sodium.h>

static const uint32_t granted[] = { 1, 2, 3 }, more[] = { 1, 2, 3, 4 };

struct scene {
        struct transfer *t;
        struct inbox *inbox;
        struct mono_time mono;
};

static struct scene *scene_new(void)
{
        struct scene *s = calloc(1, sizeof(*s));

        s->t = transfer_new();
        s->mono.ns = 1000000000;
        return s;
}

/* The consumer's inbox, once the city is as it should be. */
static void scene_open(struct scene *s)
{
        transfer_replicate(s->t, s->t->m->c->now.ms);
        assert_int_equal(store_group_begin(s->t->consumer.store), 0);
        assert_int_equal(outbox_begin(&s->t->consumer, s->t->arena, s->t->m->c->now), 0);
        assert_int_equal(inbox_new(&s->t->consumer, &s->inbox), 0);
}

static void scene_freep(struct scene **s)
{
        inbox_free((*s)->inbox);
        transfer_free((*s)->t);
        free(*s);
}

static int take(struct scene *s, const Shuyi__Agent__PendingRow *link)
{
        Shuyi__V1__Parcel p = SHUYI__V1__PARCEL__INIT;

        p.cursor = link->stream_seq;
        p.accepted_at = link->accepted_at;
        p.envelope = link->envelope;
        p.grant = keep_binary(bytes_digest(&s->t->grant));
        p.row = link->row;
        p.row_count = link->row_count;
        return inbox_take(s->inbox, s->t->arena, &p, s->t->m->c->now, s->mono);
}

static Shuyi__Agent__CursorRow *cursor(struct scene *s)
{
        Shuyi__Agent__CursorRow *c;

        assert_true(inbox_cursor(store_state(s->t->consumer.store), s->t->arena, &s->t->grant, &c) >= 0);
        return c;
}

static bool opened(struct scene *s, uint64_t stream_seq)
{
        struct agent_key k = inbox_opened_key(&s->t->grant, stream_seq);
        struct bytes value;

        return store_get(s->t->consumer.store, STORE_STATE, agent_key_get(&k), &value) > 0;
}

/* Signs what is due and gives it to the city: the code, or ACCEPTED if nothing was due. */
static enum refusal receipt(struct scene *s, int want)
{
        Shuyi__Agent__OutboxRow *box;
        Shuyi__Agent__SealedRow *row;
        struct mono_time at;
        enum refusal code;
        uint64_t next;

        assert_int_equal(outbox_get(store_state(s->t->consumer.store), s->t->arena, &box), 0);
        next = box->next_act;
        assert_int_equal(inbox_receipts(s->inbox, s->t->arena, s->t->m->c->now, s->mono, &at), want);
        if (want == 0)
                return ACCEPTED;
        assert_int_equal(outbox_find(store_state(s->t->consumer.store), s->t->arena, 0, next, &row), 1);
        code = city_put(s->t->m->c, keep_bytes(row->envelope), s->t->m->health_agent).code;
        if (code == ACCEPTED)
                assert_true(receipts_told(&s->t->consumer, s->t->arena, keep_bytes(row->envelope)) >= 0);
        return code;
}

static void test_R_151_links_are_taken_in_order_and_receipted_when_due(void **state)
{
        _cleanup_(scene_freep) struct scene *s = scene_new();
        Shuyi__Agent__SealedRow e = transfer_send_epoch(s->t), u = transfer_send_update(s->t, transfer_record(s->t, granted, 3, "中山市"));
        Shuyi__Agent__PendingRow first = transfer_epoch_link(s->t, &e), second = transfer_link(s->t, &u);

        scene_open(s);
        assert_int_equal(take(s, &first), 1);
        assert_int_equal(take(s, &first), 0);           /* again: acknowledged, nothing more */
        assert_int_equal(take(s, &second), 1);
        assert_int_equal(take(s, &second), 0);
        assert_int_equal(cursor(s)->opened, 2);
        assert_true(opened(s, 2));
        assert_false(opened(s, 1));                     /* an epoch carries no records */
        receipt(s, 0);
        s->mono.ns += 101000000;
        assert_refusal(receipt(s, 1), ACCEPTED);
        assert_int_equal(cursor(s)->receipted, 2);
        assert_int_equal(market_subscription(s->t->m, &s->t->grant)->cursor, 2);
        assert_int_equal(inbox_release(s->inbox, s->t->arena, &s->t->grant, 2), 0);
        assert_false(opened(s, 2));
}

static void test_a_missing_link_is_not_passed_over(void **state)
{
        _cleanup_(scene_freep) struct scene *s = scene_new();
        Shuyi__Agent__SealedRow e = transfer_send_epoch(s->t), one = transfer_send_update(s->t, transfer_record(s->t, granted, 3, "a")),
                                two = transfer_send_update(s->t, transfer_record(s->t, granted, 3, "b"));
        Shuyi__Agent__PendingRow first = transfer_epoch_link(s->t, &e), third = transfer_link(s->t, &two);

        (void)one;
        scene_open(s);
        assert_int_equal(take(s, &first), 1);
        assert_int_equal(take(s, &third), -EPROTO);
        assert_int_equal(cursor(s)->cursor, 1);
}

static void test_what_cannot_be_opened_yet_waits_and_is_opened_in_order(void **state)
{
        _cleanup_(scene_freep) struct scene *s = scene_new();
        Shuyi__Agent__SealedRow e = transfer_send_epoch(s->t), u = transfer_send_update(s->t, transfer_record(s->t, granted, 3, "中山市"));
        Shuyi__Agent__PendingRow first = transfer_epoch_link(s->t, &e), second = transfer_link(s->t, &u);
        struct wall_time now = s->t->m->c->now;

        scene_open(s);
        s->t->m->c->now.ms += 400000;                   /* the head is too old now */
        assert_int_equal(take(s, &first), 1);
        assert_int_equal(take(s, &second), 1);
        assert_int_equal(cursor(s)->cursor, 2);
        assert_int_equal(cursor(s)->opened, 0);
        assert_true(inbox_waits(s->inbox));
        assert_int_equal(inbox_open_waiting(s->inbox, s->t->arena, s->t->m->c->now, s->mono), 0);
        assert_int_equal(inbox_open_waiting(s->inbox, s->t->arena, now, s->mono), 2);
        assert_int_equal(cursor(s)->opened, 2);
        assert_true(opened(s, 2));
        assert_int_equal(inbox_open_waiting(s->inbox, s->t->arena, now, s->mono), 0);
        assert_false(inbox_waits(s->inbox));
}

static void subscribe_again(struct scene *s)
{
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        Shuyi__V1__SubscribeBody body = SHUYI__V1__SUBSCRIBE_BODY__INIT;

        i.grant = keep_binary(bytes_digest(&s->t->grant));
        city_must(s->t->m->c, &(struct city_act){ .kind = KIND_SUBSCRIBE, .intent = &i, .body = &body.base, .by = { { s->t->m->health_officer, ROLE_DATA_OFFICER } } });
}

static void test_R_075_a_breach_is_told_by_a_nack_and_the_subscription_taken_up_again_goes_on_behind_it(void **state)
{
        _cleanup_(scene_freep) struct scene *s = scene_new();
        Shuyi__Agent__SealedRow e = transfer_send_epoch(s->t), bad = transfer_send_update(s->t, transfer_record(s->t, more, 4, "中山市")),
                                late = transfer_send_update(s->t, transfer_record(s->t, granted, 3, "b"));
        Shuyi__Agent__PendingRow first = transfer_epoch_link(s->t, &e), second = transfer_link(s->t, &bad), third = transfer_link(s->t, &late);

        scene_open(s);
        assert_int_equal(take(s, &first), 1);
        assert_int_equal(take(s, &second), 1);
        assert_false(opened(s, 2));                     /* nothing of it is stored */
        assert_int_equal(cursor(s)->nack, E_CONTENT);
        assert_int_equal(take(s, &third), 0);           /* stopped */
        assert_false(opened(s, 3));
        assert_refusal(receipt(s, 1), ACCEPTED);        /* at once */
        assert_int_equal(market_subscription(s->t->m, &s->t->grant)->state, SUB_STOPPED);

        subscribe_again(s);
        e = transfer_send_epoch(s->t);
        bad = transfer_send_update(s->t, transfer_record(s->t, granted, 3, "c"));
        first = transfer_epoch_link(s->t, &e);
        second = transfer_link(s->t, &bad);
        assert_int_equal(take(s, &third), 1);           /* the center goes on behind the link that was wrong */
        assert_int_equal(cursor(s)->nack, 0);
        assert_true(opened(s, 3));
        assert_int_equal(take(s, &first), 1);
        assert_int_equal(take(s, &second), 1);
        assert_true(opened(s, second.stream_seq));
        s->mono.ns += 200000000;
        assert_refusal(receipt(s, 1), ACCEPTED);
        assert_int_equal(market_subscription(s->t->m, &s->t->grant)->cursor, second.stream_seq);
}

/* A receipt has its times as steps that cannot be negative; the department's own copy of the use must say the same. */
static void test_R_153_a_clock_set_back_leaves_receipt_and_own_copy_with_one_time(void **state)
{
        _cleanup_(scene_freep) struct scene *s = scene_new();
        Shuyi__Agent__SealedRow e = transfer_send_epoch(s->t), u = transfer_send_update(s->t, transfer_record(s->t, granted, 3, "中山市"));
        Shuyi__Agent__PendingRow first = transfer_epoch_link(s->t, &e), second = transfer_link(s->t, &u);
        struct agent_key k = agent_key_u64(agent_key_bytes(agent_key(AGENT_USE), bytes_digest(&s->t->grant)), 2);
        Shuyi__V1__AcquisitionRow *use;
        const struct claim *claim;

        scene_open(s);
        s->t->m->c->now.ms += 10000;
        assert_int_equal(take(s, &first), 1);
        s->t->m->c->now.ms -= 8000;
        assert_int_equal(take(s, &second), 1);
        s->mono.ns += 101000000;
        assert_refusal(receipt(s, 1), ACCEPTED);
        assert_int_equal(keep_get(store_state(s->t->consumer.store), s->t->arena, &k, &shuyi__v1__acquisition_row__descriptor, &use), 1);
        assert_refusal(envelope_parse(s->t->arena, s->t->m->c->log[s->t->m->c->log_n - 1].wire, &claim), ACCEPTED);
        assert_int_equal(claim->intent->kind, KIND_DELIVERY_RECEIPT);
        assert_int_equal(use->acquired_at, audit_acquired_at((const void *)claim->open_body, 2).ms);
}

static void test_another_history_stops_the_subscription(void **state)
{
        _cleanup_(scene_freep) struct scene *s = scene_new();
        Shuyi__Agent__SealedRow e = transfer_send_epoch(s->t), u = transfer_send_update(s->t, transfer_record(s->t, granted, 3, "a")), other;
        Shuyi__Agent__PendingRow first = transfer_epoch_link(s->t, &e), second = transfer_link(s->t, &u), forged;
        struct bytes record = transfer_record(s->t, granted, 3, "b");
        struct chain c = { .ag = &s->t->provider, .arena = s->t->arena, .now = s->t->m->c->now, .stream = s->t->stream, .view = &s->t->view,
                           .credential = &s->t->provider_credential };
        struct rows rows = { map_state_ops(s->t->m->c->state), s->t->arena, 0 };

        c.entry = rows_version(&rows, s->t->resource, 1)->entry;
        s->t->view.head = 1;                            /* link 2 once more, with other content */
        s->t->view.head_digest = e.digest;
        assert_int_equal(chain_update(&c, &record, 1, c.now.ms, &other), 0);
        forged = transfer_link(s->t, &other);
        scene_open(s);
        assert_int_equal(take(s, &first), 1);
        assert_int_equal(take(s, &second), 1);
        assert_true(take(s, &forged) >= 0);
        assert_int_equal(cursor(s)->nack, E_CONTENT);
        assert_int_equal(cursor(s)->cursor, 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_R_151_links_are_taken_in_order_and_receipted_when_due),
                cmocka_unit_test(test_a_missing_link_is_not_passed_over),
                cmocka_unit_test(test_what_cannot_be_opened_yet_waits_and_is_opened_in_order),
                cmocka_unit_test(test_R_075_a_breach_is_told_by_a_nack_and_the_subscription_taken_up_again_goes_on_behind_it),
                cmocka_unit_test(test_another_history_stops_the_subscription),
                cmocka_unit_test(test_R_153_a_clock_set_back_leaves_receipt_and_own_copy_with_one_time),
        };

        if (sodium_init() < 0)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
