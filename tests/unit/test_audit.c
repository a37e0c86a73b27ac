/* audit: the seven facts of ZS 32 of one acquisition, and who finds it (REGULATIONS 9.1). */
#include "common/audit.h"
#include "broker/tally.h"
#include "tests/lib/unit.h"

static uint8_t user[16] = "user", approver[16] = "approver", agent[16] = "agent";
static uint8_t grant_id[32] = "grant", request[32] = "request", stream[32] = "stream";
static uint32_t items[] = { 1, 3 };
static uint64_t deltas[] = { 10, 0, 5 };

struct scene {
        Shuyi__V1__GrantRow grant;
        Shuyi__V1__Intent intent;
        Shuyi__V1__AudienceRow row;
        Shuyi__V1__DeliveryReceiptBody receipt;
        Shuyi__V1__Nack nack, *nacks[1];
        struct claim update;
        struct audit_sources s;
};

#define DATA(x) ((ProtobufCBinaryData){ sizeof(x), (x) })

/* UPDATE 7 of a stream, taken by public health in a receipt for 5..8. */
static void set(struct scene *c)
{
        *c = (struct scene){ SHUYI__V1__GRANT_ROW__INIT, SHUYI__V1__INTENT__INIT, SHUYI__V1__AUDIENCE_ROW__INIT,
                             SHUYI__V1__DELIVERY_RECEIPT_BODY__INIT, SHUYI__V1__NACK__INIT };
        c->grant.consumer = c->row.consumer = "1144200000733381X8";
        c->grant.provider = c->intent.from = "11442000007332040W";
        c->grant.resource = c->intent.resource = "3074420000001/000001";
        c->grant.user = c->row.user = DATA(user);
        c->grant.approver = c->row.approver = DATA(approver);
        c->grant.request = DATA(request);
        c->row.agent = DATA(agent);
        c->row.channel = CHANNEL_CONDITIONAL;
        c->row.method = METHOD_DB_PUSH;
        c->row.purpose = "CHILD_HEALTH";
        c->intent.resource_version = 1;
        c->intent.items = items;
        c->intent.n_items = 2;
        c->intent.record_count = 64;
        c->intent.medium = MEDIUM_NETWORK;
        c->intent.stream = DATA(stream);
        c->intent.stream_seq = 7;
        c->intent.view_epoch = 2;
        c->intent.created_at = 900;
        c->receipt.first = 5;
        c->receipt.last = 8;
        c->receipt.acquired_at = 1000;
        c->receipt.deltas = deltas;
        c->receipt.n_deltas = 3;
        c->update.intent = &c->intent;
        c->s = (struct audit_sources){ bytes_of(grant_id, 32), &c->grant, { 100 }, &c->update, 70, { 950 }, &c->row, 60, &c->receipt, 80 };
}

static void test_the_seven_facts_of_ZS_32_are_laid_side_by_side(void **state)
{
        Shuyi__V1__AcquisitionRow r;
        struct scene c;

        set(&c);
        assert_true(audit_expand(&c.s, &r));
        assert_int_equal(r.channel, CHANNEL_CONDITIONAL);                               /* 具体途径 */
        assert_memory_equal(r.user.data, user, 16);                                     /* 使用人员 */
        assert_memory_equal(r.approver.data, approver, 16);                             /* 批准人员 */
        assert_string_equal(r.resource, "3074420000001/000001");                        /* 数据内容 */
        assert_int_equal(r.n_items, 2);
        assert_int_equal(r.record_count, 64);
        assert_int_equal(r.acquired_at, 1010);                                          /* 获取时间 */
        assert_int_equal(r.method, METHOD_DB_PUSH);                                     /* 获取方式 */
        assert_int_equal(r.medium, MEDIUM_NETWORK);                                     /* 介质类型 */
        assert_string_equal(r.purpose, "CHILD_HEALTH");
        assert_int_equal(r.requested_at, 100);
        assert_int_equal(r.sent_at, 900);
        assert_int_equal(r.broker_at, 950);
        assert_int_equal(r.update_seq, 70);
        assert_int_equal(r.epoch_seq, 60);
        assert_int_equal(r.receipt_seq, 80);
        assert_int_equal(r.nack, 0);
}

static const struct time_case { uint64_t seq, at; } times[] = { { 5, 1000 }, { 6, 1010 }, { 7, 1010 }, { 8, 1015 }, { 9, 1015 } };

static void test_each_transfer_has_its_own_time(void **state)
{
        struct scene c;

        set(&c);
        for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
                assert_int_equal(audit_acquired_at(&c.receipt, times[i].seq).ms, times[i].at);
}

static void test_a_link_outside_the_receipt_is_no_acquisition(void **state)
{
        Shuyi__V1__AcquisitionRow r;
        struct scene c;

        set(&c);
        c.intent.stream_seq = 4;
        assert_false(audit_expand(&c.s, &r));
        c.intent.stream_seq = 9;
        assert_false(audit_expand(&c.s, &r));
}

static void test_a_nack_shows(void **state)
{
        Shuyi__V1__AcquisitionRow r;
        struct scene c;

        set(&c);
        c.nack.stream_seq = 7;
        c.nack.code = E_CONTENT;
        c.nacks[0] = &c.nack;
        c.receipt.nacks = c.nacks;
        c.receipt.n_nacks = 1;
        assert_true(audit_expand(&c.s, &r));
        assert_int_equal(r.nack, E_CONTENT);
}

static void test_a_query_narrows_by_each_of_its_fields(void **state)
{
        Shuyi__V1__AcquisitionRow r;
        Shuyi__V1__AuditQuery q;
        uint8_t other[32] = "other";
        struct scene c;

        set(&c);
        assert_true(audit_expand(&c.s, &r));
        shuyi__v1__audit_query__init(&q);
        assert_true(audit_matches(&q, &r));
        q.department = "11442000007332040W";
        q.resource = "3074420000001/000001";
        q.person = DATA(approver);
        q.grant = DATA(grant_id);
        q.from = 1010;
        q.to = 1011;
        assert_true(audit_matches(&q, &r));
        q.to = 1010;
        assert_false(audit_matches(&q, &r));
        q.to = 0;
        q.from = 1011;
        assert_false(audit_matches(&q, &r));
        q.from = 0;
        q.person = (ProtobufCBinaryData){ 16, other };
        assert_false(audit_matches(&q, &r));
        q.person = DATA(user);
        q.grant = DATA(other);
        assert_false(audit_matches(&q, &r));
        q.grant = (ProtobufCBinaryData){ 0, NULL };
        q.department = "11442000007334521Q";
        assert_false(audit_matches(&q, &r));
        q.department = "";
        q.outcome = AUDIT_TAKEN;
        assert_true(audit_matches(&q, &r));
        q.outcome = AUDIT_REFUSED;
        assert_false(audit_matches(&q, &r));
        r.nack = E_CONTENT;
        assert_true(audit_matches(&q, &r));
        q.outcome = 0;
        q.code = E_CONTENT;
        assert_true(audit_matches(&q, &r));
        q.code = E_FORM;
        assert_false(audit_matches(&q, &r));
}

static void test_refusals_are_counted_by_link_and_code(void **state)
{
        struct arena *a = arena_new(1 << 20);
        struct tally t = { .n = 0 };
        struct id id = { "an id" };
        Shuyi__V1__RefusedBody *body;

        for (unsigned i = 0; i < 20; i++)
                assert_true(tally_add(&t, 3, E_CRED, &id));
        assert_true(tally_add(&t, 3, E_FORM, NULL));
        assert_true(tally_add(&t, 4, E_CRED, &id));
        body = tally_take(&t, a);
        assert_int_equal(body->n_rows, 3);
        assert_int_equal(body->rows[0]->count, 20);
        assert_int_equal(body->rows[0]->n_first_ids, TALLY_IDS_MAX);
        assert_int_equal(body->rows[1]->n_first_ids, 0);
        assert_int_equal(t.n, 0);
        for (uint32_t i = 0; i < TALLY_ROWS_MAX; i++)
                assert_true(tally_add(&t, i, E_CRED, NULL));
        assert_false(tally_add(&t, TALLY_ROWS_MAX, E_CRED, NULL));
        arena_free(a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_seven_facts_of_ZS_32_are_laid_side_by_side),
                cmocka_unit_test(test_each_transfer_has_its_own_time),
                cmocka_unit_test(test_a_link_outside_the_receipt_is_no_acquisition),
                cmocka_unit_test(test_a_nack_shows),
                cmocka_unit_test(test_a_query_narrows_by_each_of_its_fields),
                cmocka_unit_test(test_refusals_are_counted_by_link_and_code),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
