/* system: the sequencer's own entries fit the state or are faults; ticks fire what is due, in order and in portions. */
#include "tests/lib/city.h"
#include "tests/lib/unit.h"

#include "common/exchange/rows.h"
#include "common/exchange/trust_map.h"
#include "common/macro.h"
#include "common/merkle.h"

#include <errno.h>

/* Applies a SYSTEM entry without keeping it: 0, or the fault. */
static int try_system(struct city *c, uint16_t kind, const ProtobufCMessage *body, uint64_t epoch)
{
        struct bytes wire = city_envelope(c, &(struct city_act){ .kind = kind, .body = body, .by = { { c->broker, ROLE_SYSTEM } } });
        const struct claim *claim;
        struct entry e = { .epoch = epoch, .seq = c->seq + 1, .accepted_at = c->now };
        struct outcome o;

        assert_refusal(envelope_parse(c->arena, wire, &claim), ACCEPTED);
        e.claim = claim;
        return exchange_apply(c->exchange, map_state_ops(c->state), &e, c->arena, &o);
}

static void a_tick_that_miscounts_is_a_fault(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        Shuyi__V1__TickBody body = SHUYI__V1__TICK_BODY__INIT;

        assert_int_equal(try_system(c, KIND_TICK, &body.base, 1), 0);
        body.fired = 1;
        assert_int_equal(try_system(c, KIND_TICK, &body.base, 1), -EBADMSG);
}

static void a_tick_takes_at_most_64(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        bool due;

        for (unsigned i = 0; i < 50; i++)
                city_hire(c, CITY_AUTHORITY, arena_printf(c->arena, "person-%u", i), ROLE_USER, 0);
        assert_int_equal(exchange_tick_due(map_state_ops(c->state), c->now, &due), 0);
        assert_false(due);
        size_t ids = city_count(c, TABLE_IDEM_EXPIRY);
        assert_true(ids > 64);
        city_pass(c, 31 * DAY_MS);
        assert_int_equal(city_tick(c), (ids + TICK_MAX - 1) / TICK_MAX);
        assert_int_equal(city_count(c, TABLE_IDEM_EXPIRY), 0);
}

static void the_next_due_item_is_known(void **state)
{
        _cleanup_(city_freep) struct city *c = city_new();
        struct wall_time due;

        assert_int_equal(exchange_next_due(map_state_ops(c->state), &due), 0);
        assert_true(due.ms == UINT64_MAX);
        city_anchor(c);
        assert_int_equal(exchange_next_due(map_state_ops(c->state), &due), 0);
        assert_true(due.ms == CITY_START + DAY_MS);     /* the root's act expires then */
}

static void a_trust_head_that_differs_is_a_fault(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        Shuyi__V1__TrustHeadBody body, wrong;
        uint8_t root[32];

        assert_int_equal(exchange_trust_head_body(map_state_ops(c->state), c->arena, &body), 0);
        assert_int_equal(try_system(c, KIND_TRUST_HEAD, &body.base, 1), 0);
        wrong = body;
        wrong.trust_seq++;
        assert_int_equal(try_system(c, KIND_TRUST_HEAD, &wrong.base, 1), -EBADMSG);
        wrong = body;
        wrong.chain = body.map_root;
        assert_int_equal(try_system(c, KIND_TRUST_HEAD, &wrong.base, 1), -EBADMSG);
        wrong = body;
        memcpy(root, body.map_root.data, 32);
        root[0] ^= 1;
        wrong.map_root.data = root;
        assert_int_equal(try_system(c, KIND_TRUST_HEAD, &wrong.base, 1), -EBADMSG);
}

/* The map's root by its definition, from all rows at once. */
static struct digest whole_map_root(struct city *c)
{
        struct state s = map_state_ops(c->state);
        struct merkle_frontier map = { 0 };

        for (unsigned bucket = 0; bucket < TRUST_BUCKETS; bucket++) {
                uint8_t prefix[2] = { TABLE_TRUST_MAP, (uint8_t)bucket }, from[64] = { TABLE_TRUST_MAP, (uint8_t)bucket };
                struct merkle_frontier tree = { 0 };
                struct bytes key, value;
                struct digest root, leaf;
                size_t n = 2;

                while (s.ops->next(s.ctx, bytes_of(prefix, 2), bytes_of(from, n), &key, &value) > 0) {
                        Shuyi__V1__TrustMapRow *row = message_parse(c->arena, &shuyi__v1__trust_map_row__descriptor, value);
                        uint8_t data[TRUST_LEAF_BYTES];

                        trust_map_leaf(key.p + 1, row->status, row->since_seq, data);
                        leaf = merkle_leaf(bytes_of(data, sizeof(data)));
                        merkle_append(&tree, &leaf);
                        memcpy(from, key.p, key.n);
                        from[key.n] = 0;
                        n = key.n + 1;
                }
                root = merkle_root(&tree);
                leaf = merkle_leaf(bytes_digest(&root));
                merkle_append(&map, &leaf);
        }
        return merkle_root(&map);
}

static void dirty_buckets_alone_give_the_same_root(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();

        for (unsigned i = 0; i < 10; i++) {
                Shuyi__V1__TrustHeadBody body;
                struct digest whole;

                city_hire(c, CITY_AUTHORITY, arena_printf(c->arena, "person-%u", i), ROLE_USER, 0);
                if (i == 5)
                        city_revoke(c, city_find(c, "person-2"));
                assert_int_equal(exchange_trust_head_body(map_state_ops(c->state), c->arena, &body), 0);
                whole = whole_map_root(c);
                assert_true(bytes_equal(bytes_of_field(body.map_root), bytes_digest(&whole)));
                city_trust_head(c);
        }
}

static void an_entry_that_moves_trust_asks_for_a_head(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        struct city_result r;
        uint32_t user = ROLE_USER;
        struct party *p = city_party(c, "zhang", CITY_AUTHORITY, SUBJECT_PERSON);

        r = city_file_staff(c, c->officer, city_file_body(c, p, &user, 1));
        assert_false(r.outcome.trust_moved);
        r = city_accept(c, &r.digest, city_sign_credential(c, p, city_credential(c, p, &user, 1, c->sec_admin), c->sec_admin));
        assert_refusal(r.code, ACCEPTED);
        assert_true(r.outcome.trust_moved);
}

static void refusals_are_tallied(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        Shuyi__V1__RefusedRow row = SHUYI__V1__REFUSED_ROW__INIT, *rows[] = { &row };
        Shuyi__V1__RefusedBody body = SHUYI__V1__REFUSED_BODY__INIT;
        uint8_t link[4] = { 0, 0, 0, 1 }, code[4] = { 0, 0, 0, E_FORM };
        Shuyi__V1__NumberRow *n;

        assert_int_equal(try_system(c, KIND_REFUSED, &body.base, 1), -EBADMSG);
        body.rows = rows;
        body.n_rows = 1;
        row.link = 1;
        row.code = E_FORM;
        row.count = 3;
        city_system(c, KIND_REFUSED, &body.base);
        city_system(c, KIND_REFUSED, &body.base);
        n = CITY_ROW(c, TABLE_TALLY, &shuyi__v1__number_row__descriptor, bytes_of(link, 4), bytes_of(code, 4));
        assert_int_equal(n->n, 6);
        row.code = 999;
        assert_int_equal(try_system(c, KIND_REFUSED, &body.base, 1), -EBADMSG);
}

static void an_epoch_begins_with_its_entry(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        Shuyi__V1__EpochBody body = SHUYI__V1__EPOCH_BODY__INIT;
        uint8_t root[32] = { 1 };

        body.base_seq = c->seq;
        body.base_root = field_of_bytes(bytes_of(root, 32));
        assert_int_equal(try_system(c, KIND_EPOCH, &body.base, c->epoch), -EBADMSG);
        body.base_seq--;
        assert_int_equal(try_system(c, KIND_EPOCH, &body.base, c->epoch + 1), -EBADMSG);
        body.base_seq++;
        city_system(c, KIND_EPOCH, &body.base);
        assert_int_equal(c->epoch, 2);
        city_trust_head(c);                     /* and the log goes on in it */
}

static void an_outage_lies_in_the_past(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        Shuyi__V1__OutageBody body = SHUYI__V1__OUTAGE_BODY__INIT;

        body.from = c->now.ms - 10;
        body.to = c->now.ms;
        body.what = OUTAGE_CRASH;
        assert_int_equal(try_system(c, KIND_OUTAGE, &body.base, 1), 0);
        body.to = c->now.ms + 1;
        assert_int_equal(try_system(c, KIND_OUTAGE, &body.base, 1), -EBADMSG);
        body.to = body.from - 1;
        assert_int_equal(try_system(c, KIND_OUTAGE, &body.base, 1), -EBADMSG);
}

static void the_rules_version_does_not_go_back(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        Shuyi__V1__EngineBody body = SHUYI__V1__ENGINE_BODY__INIT;

        body.rules_version = RULES_VERSION;
        assert_int_equal(try_system(c, KIND_ENGINE, &body.base, 1), 0);
        body.rules_version = RULES_VERSION + 1;
        assert_int_equal(try_system(c, KIND_ENGINE, &body.base, 1), -EBADMSG);
        body.rules_version = 0;
        assert_int_equal(try_system(c, KIND_ENGINE, &body.base, 1), -EBADMSG);
}

static void nobody_but_the_broker_signs_as_system(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        Shuyi__V1__TickBody body = SHUYI__V1__TICK_BODY__INIT;
        struct city_act act = { .kind = KIND_TICK, .body = &body.base, .by = { { c->broker, ROLE_SYSTEM } }, .over = c->authority_agent };

        assert_refusal(city_act(c, &act).code, E_FORM);         /* never taken from a link */
}

/* Ten years on, nobody has renewed it: the log goes on, so that the root still can; agents see no head that holds. */
static void the_brokers_credential_may_run_out(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();

        city_pass(c, 4000 * DAY_MS);
        city_trust_head(c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_tick_that_miscounts_is_a_fault),
                cmocka_unit_test(a_tick_takes_at_most_64),
                cmocka_unit_test(the_next_due_item_is_known),
                cmocka_unit_test(a_trust_head_that_differs_is_a_fault),
                cmocka_unit_test(dirty_buckets_alone_give_the_same_root),
                cmocka_unit_test(an_entry_that_moves_trust_asks_for_a_head),
                cmocka_unit_test(refusals_are_tallied),
                cmocka_unit_test(an_epoch_begins_with_its_entry),
                cmocka_unit_test(an_outage_lies_in_the_past),
                cmocka_unit_test(the_rules_version_does_not_go_back),
                cmocka_unit_test(nobody_but_the_broker_signs_as_system),
                cmocka_unit_test(the_brokers_credential_may_run_out),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
