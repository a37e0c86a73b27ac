/* transfer: what the provider's agent makes (chain) the rules accept, and the consumer's agent opens (opener); what breaks its
 * word is a breach (R-126, R-185, REGULATIONS 9.9). */
#include "agent/chain.h"
#include "agent/opener.h"
#include "agent/plan.h"
#include "agent/replica.h"
#include "agent/view.h"
#include "common/macro.h"
#include "common/merkle.h"
#include "common/record.h"
#include "tests/lib/market.h"
#include "tests/lib/temp_dir.h"
#include "tests/lib/unit.h"

#include <sodium.h>

struct transfer {
        struct market *m;
        const char *resource;
        struct digest grant, stream;
        struct agent provider, consumer;
        struct arena *arena;
        char dir[256];
        Shuyi__Agent__ViewRow view;
        Shuyi__Agent__CursorRow cursor;
        struct digest provider_credential;
};

/* ---- two agents over one city ---- */

static void be(struct agent *ag, const struct party *p, uint8_t vault_byte)
{
        uint8_t key[32] = { vault_byte }, seal[32] = { vault_byte, 7 };

        ag->self.agent = p->id;
        snprintf(ag->self.domain, sizeof(ag->self.domain), "%s", CITY_DOMAIN);
        snprintf(ag->self.department, sizeof(ag->self.department), "%s", p->department);
        ag->self.credential = p->credential;
        ag->self.keys.sign = secret_copy(bytes_of(p->sign_secret, 64));
        ag->self.keys.seal = secret_copy(bytes_of(seal, 32));
        crypto_scalarmult_base(ag->self.seal_key, seal);
        assert_int_equal(vault_new(key, &ag->vault), 0);
}

static void be_not(struct agent *ag)
{
        secret_free(ag->self.keys.sign);
        secret_free(ag->self.keys.seal);
        vault_close(ag->vault);
        store_close(ag->store);
}

/* The consumer's replica: here simply all rows of the city, and a head of this moment. */
static void replicate(struct transfer *t, uint64_t head_at)
{
        struct state from = map_state_ops(t->m->c->state);
        struct bytes none = { 0 }, at = none, key, value;
        Shuyi__Agent__ReplicaRow row = SHUYI__AGENT__REPLICA_ROW__INIT;
        uint8_t chain[DIGEST_BYTES] = { 1 };
        struct agent_key k;

        assert_int_equal(store_begin(t->consumer.store), 0);
        assert_int_equal(store_group_begin(t->consumer.store), 0);
        while (from.ops->next(from.ctx, none, at, &key, &value) > 0) {
                assert_true(store_put(t->consumer.store, STORE_STATE, key, value) >= 0);
                k = keep_after(key);
                at = agent_key_get(&k);
        }
        row.trust_seq = 1;
        row.head_at = head_at;
        row.chain = keep_binary(bytes_of(chain, sizeof(chain)));
        assert_true(replica_put(t->consumer.store, t->arena, &row) >= 0);
        assert_int_equal(store_group_commit(t->consumer.store), 0);
}

static void publish_seal_key(struct transfer *t)
{
        Shuyi__V1__SealKeyBody body = SHUYI__V1__SEAL_KEY_BODY__INIT;

        body.seal_key = keep_binary(bytes_of(t->consumer.self.seal_key, 32));
        body.not_after = t->m->c->now.ms + 30 * DAY_MS;
        city_must(t->m->c, &(struct city_act){ .kind = KIND_SEAL_KEY, .body = &body.base, .by = { { t->m->health_agent, ROLE_AGENT } } });
}

static struct transfer *transfer_new(void)
{
        struct transfer *t = calloc(1, sizeof(*t));
        struct store_options o = { .map_bytes = 64 << 20, .allow_volatile = true };
        struct city_result got;

        temp_dir_make(t->dir);
        o.dir = t->dir;
        t->arena = arena_new(64 << 20);
        t->m = market_new();
        be(&t->provider, t->m->civil_agent, 1);
        be(&t->consumer, t->m->health_agent, 2);
        assert_int_equal(store_open(&o, &t->consumer.store), 0);
        publish_seal_key(t);
        t->resource = market_publish(t->m, market_open_entry(t->m));
        got = market_get(t->m, market_ask(t->m, t->resource));
        assert_refusal(got.code, ACCEPTED);
        t->grant = got.digest;
        assert_refusal(market_subscribe(t->m, &t->grant).code, ACCEPTED);
        t->stream = market_stream_of(t->m, &t->grant).id;
        t->provider_credential = t->m->civil_agent->credential;
        shuyi__agent__view_row__init(&t->view);
        shuyi__agent__cursor_row__init(&t->cursor);
        return t;
}

static void transfer_free(struct transfer *t)
{
        store_abort(t->consumer.store);
        be_not(&t->provider);
        be_not(&t->consumer);
        market_free(t->m);
        arena_free(t->arena);
        temp_dir_remove(t->dir);
        free(t);
}

static void transfer_freep(struct transfer **t)
{
        transfer_free(*t);
}

/* ---- links ---- */

static struct chain chain_of(struct transfer *t)
{
        struct rows rows = { map_state_ops(t->m->c->state), t->arena, 0 };
        Shuyi__V1__GrantRow *g = market_grant(t->m, &t->grant);

        t->view.view = g->view;
        t->view.resource = g->resource;
        t->view.version = g->version;
        t->view.n_items = g->n_items;
        t->view.items = g->items;
        return (struct chain){ .ag = &t->provider, .arena = t->arena, .now = t->m->c->now, .stream = t->stream, .view = &t->view,
                               .entry = rows_version(&rows, t->resource, 1)->entry, .credential = &t->provider_credential };
}

/* What the center would hand to the consumer. */
static Shuyi__Agent__PendingRow link_of(struct transfer *t, const Shuyi__Agent__SealedRow *sent)
{
        Shuyi__Agent__PendingRow link = SHUYI__AGENT__PENDING_ROW__INIT;

        link.envelope = sent->envelope;
        link.stream_seq = sent->stream_seq;
        link.accepted_at = t->m->c->now.ms;
        return link;
}

static Shuyi__Agent__PendingRow epoch_link_of(struct transfer *t, const Shuyi__Agent__SealedRow *sent)
{
        Shuyi__Agent__PendingRow link = link_of(t, sent);
        const struct claim *c;
        const Shuyi__V1__ViewEpochBody *body;

        assert_refusal(envelope_parse(t->arena, keep_bytes(sent->envelope), &c), ACCEPTED);
        body = (const Shuyi__V1__ViewEpochBody *)c->open_body;
        assert_int_equal(body->n_rows, 1);
        link.envelope = keep_binary(envelope_strip(t->arena, keep_bytes(sent->envelope)));
        link.row = keep_binary(message_pack(t->arena, &body->rows[0]->base));
        link.row_count = 1;
        return link;
}

static Shuyi__Agent__SealedRow send_epoch(struct transfer *t)
{
        struct chain c = chain_of(t);
        struct view_member m = { .grant = t->grant, .row = market_grant(t->m, &t->grant) };
        struct view_group g = { &m, 1 };
        Shuyi__Agent__SealedRow sent;
        struct city_result r;

        memcpy(m.seal_key, t->consumer.self.seal_key, 32);
        assert_int_equal(chain_epoch(&c, &g, &sent), 0);
        r = city_put(t->m->c, keep_bytes(sent.envelope), t->m->civil_agent);
        if (r.code != ACCEPTED)
                fail_msg("%s %s", refusal_text(r.code)->code, r.detail);
        return sent;
}

static struct bytes record_of(struct transfer *t, const uint32_t *items, size_t n, const char *name)
{
        Shuyi__V1__Record r = SHUYI__V1__RECORD__INIT;
        Shuyi__V1__Value *v[4];

        for (size_t i = 0; i < n; i++) {
                v[i] = ARENA_NEW(t->arena, Shuyi__V1__Value);
                shuyi__v1__value__init(v[i]);
                v[i]->item = items[i];
                v[i]->text = (char *)(items[i] == 1 ? "442000" : items[i] == 2 ? name : "44");
        }
        r.op = OP_UPSERT;
        r.key = (char *)"442000";
        r.changed_at = t->m->c->now.ms;
        r.taken_at = t->m->c->now.ms;
        r.values = v;
        r.n_values = n;
        return message_pack(t->arena, &r.base);
}

static const uint32_t granted[] = { 1, 2, 3 }, more[] = { 1, 2, 3, 4 };

static Shuyi__Agent__SealedRow send_update(struct transfer *t, struct bytes record)
{
        struct chain c = chain_of(t);
        Shuyi__Agent__SealedRow sent;
        struct city_result r;

        assert_int_equal(chain_update(&c, &record, 1, t->m->c->now.ms, &sent), 0);
        r = city_put(t->m->c, keep_bytes(sent.envelope), t->m->civil_agent);
        if (r.code != ACCEPTED)
                fail_msg("%s %s", refusal_text(r.code)->code, r.detail);
        return sent;
}

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
        Shuyi__Agent__SealedRow epoch = send_epoch(t), update = send_update(t, record_of(t, granted, 3, "中山市"));
        Shuyi__Agent__PendingRow first = epoch_link_of(t, &epoch), second = link_of(t, &update);
        Shuyi__Agent__OpenedRecords *list;
        struct opened o;

        replicate(t, t->m->c->now.ms);
        assert_int_equal(open_link(t, &first).result, OPENING_DONE);
        o = open_link(t, &second);
        assert_int_equal(o.result, OPENING_DONE);
        assert_int_equal(o.count, 1);
        list = message_parse(t->arena, &shuyi__agent__opened_records__descriptor, o.records);
        assert_true(bytes_equal(keep_bytes(list->records[0]), record_of(t, granted, 3, "中山市")));
}

static void test_R_185_nothing_of_a_record_stands_outside_the_seal(void **state)
{
        _cleanup_(transfer_freep) struct transfer *t = transfer_new();
        Shuyi__Agent__SealedRow sent;
        struct bytes record = record_of(t, granted, 3, "不可见之值"), wire;
        struct digest plain = digest_plain(record);

        send_epoch(t);
        sent = send_update(t, record);
        wire = keep_bytes(sent.envelope);
        assert_null(memmem(wire.p, wire.n, "不可见之值", strlen("不可见之值")));
        assert_null(memmem(wire.p, wire.n, "442000\x1a", 7));
        assert_null(memmem(wire.p, wire.n, plain.b, DIGEST_BYTES));
}

static void test_an_item_that_was_not_granted_is_a_breach(void **state)
{
        _cleanup_(transfer_freep) struct transfer *t = transfer_new();
        Shuyi__Agent__SealedRow epoch = send_epoch(t), update = send_update(t, record_of(t, more, 4, "中山市"));
        Shuyi__Agent__PendingRow first = epoch_link_of(t, &epoch), second = link_of(t, &update);

        replicate(t, t->m->c->now.ms);
        assert_int_equal(open_link(t, &first).result, OPENING_DONE);
        must_break(t, &second, E_CONTENT);
}

static void test_a_value_that_breaks_its_item_is_a_breach(void **state)
{
        _cleanup_(transfer_freep) struct transfer *t = transfer_new();
        Shuyi__Agent__SealedRow epoch = send_epoch(t);
        Shuyi__Agent__PendingRow first = epoch_link_of(t, &epoch), second;
        char name[400];

        memset(name, 'x', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        Shuyi__Agent__SealedRow update = send_update(t, record_of(t, granted, 3, name));

        second = link_of(t, &update);
        replicate(t, t->m->c->now.ms);
        assert_int_equal(open_link(t, &first).result, OPENING_DONE);
        must_break(t, &second, E_CONTENT);
}

static void test_a_link_of_another_number_or_a_changed_byte_is_a_breach(void **state)
{
        _cleanup_(transfer_freep) struct transfer *t = transfer_new();
        Shuyi__Agent__SealedRow epoch = send_epoch(t), update = send_update(t, record_of(t, granted, 3, "中山市"));
        Shuyi__Agent__PendingRow first = epoch_link_of(t, &epoch), second = link_of(t, &update);

        replicate(t, t->m->c->now.ms);
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
        Shuyi__Agent__SealedRow epoch = send_epoch(t);
        Shuyi__Agent__PendingRow link = epoch_link_of(t, &epoch);

        replicate(t, t->m->c->now.ms);
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

        send_epoch(t);
        Shuyi__Agent__SealedRow update = send_update(t, record_of(t, granted, 3, "中山市"));

        link = link_of(t, &update);
        replicate(t, t->m->c->now.ms);
        must_break(t, &link, E_STALE_EPOCH);
}

static void test_R_009_under_a_stale_head_nothing_is_opened(void **state)
{
        _cleanup_(transfer_freep) struct transfer *t = transfer_new();
        Shuyi__Agent__SealedRow epoch = send_epoch(t);
        Shuyi__Agent__PendingRow link = epoch_link_of(t, &epoch);

        replicate(t, t->m->c->now.ms - 301000);
        assert_int_equal(open_link(t, &link).result, OPENING_LATER);
}

static void test_a_grant_that_is_not_known_yet_waits_and_one_that_ended_is_over(void **state)
{
        _cleanup_(transfer_freep) struct transfer *t = transfer_new();
        Shuyi__Agent__SealedRow epoch = send_epoch(t);
        Shuyi__Agent__PendingRow link = epoch_link_of(t, &epoch);
        struct opened o;
        struct digest other = { { 9 } };

        assert_refusal(market_reason(t->m, KIND_GRANT_END, &t->grant, NULL, REASON_PURPOSE_REACHED, t->m->health_approver, ROLE_APPROVER).code, ACCEPTED);
        replicate(t, t->m->c->now.ms);
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

        replicate(t, t->m->c->now.ms);
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
        };

        if (sodium_init() < 0)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
