/* fold: the log over LMDB gives what the same log gives over a map, whenever it is committed and reopened. */
#include "broker/broker.h"
#include "common/fold.h"
#include "tests/lib/market.h"
#include "tests/lib/temp_dir.h"
#include "tests/lib/unit.h"
#include <errno.h>

struct place { char dir[256]; struct store *store; struct fold fold; };

static void open_place(struct place *p)
{
        struct store_options o = { .dir = p->dir, .map_bytes = 64 << 20, .databases = fold_databases, .allow_volatile = true };

        assert_int_equal(store_open(&o, &p->store), 0);
}

static void found(struct place *p)
{
        struct fold before;

        temp_dir_make(p->dir);
        open_place(p);
        assert_int_equal(fold_open(&p->fold, p->store, CITY_DOMAIN), -ENODATA);
        assert_int_equal(store_group_begin(p->store), 0);
        assert_int_equal(fold_found(&p->fold), 0);
        before = p->fold;
        assert_int_equal(fold_open(&p->fold, p->store, CITY_DOMAIN), 0);
        fold_close(&before);
}

static void commit(struct place *p)
{
        assert_int_equal(store_group_commit(p->store), 0);
        assert_int_equal(fold_save(&p->fold), 0);
        assert_int_equal(store_commit(p->store), 0);
        fold_close(&p->fold);
        store_close(p->store);
        p->store = NULL;
}

static void reopen(struct place *p)
{
        open_place(p);
        assert_int_equal(fold_open(&p->fold, p->store, CITY_DOMAIN), 0);
        assert_int_equal(store_group_begin(p->store), 0);
}

static void step(struct place *p, const struct city_entry *e)
{
        struct arena *a = arena_new(8 << 20);
        struct entry entry = { .accepted_at = { e->accepted_at }, .link = e->link, .lane = e->lane, .outbox_epoch = e->outbox_epoch, .outbox_seq = e->outbox_seq };
        struct outcome outcome;
        struct fold_outcome kept;
        struct digest leaf;

        assert_refusal(envelope_parse(a, e->wire, &entry.claim), ACCEPTED);
        assert_int_equal(fold_step(&p->fold, &entry, a, &outcome, &leaf), 0);
        assert_refusal(outcome.code, e->code);
        assert_true(digest_equal(&outcome.effects_digest, &e->effects_digest));
        assert_int_equal(p->fold.seq, e->seq);
        assert_int_equal(fold_outcome_get(p->store, e->seq, &kept), 1);
        assert_refusal(kept.code, e->code);
        assert_true(digest_equal(&kept.leaf, &leaf));
        arena_free(a);
}

static struct digest chain_of(struct state state)
{
        struct arena *a = arena_new(1 << 20);
        const Shuyi__V1__MetaRow *meta = fold_meta(state, a);
        struct digest d;

        assert_true(bytes_copy_exact(bytes_of(meta->effects_chain.data, meta->effects_chain.len), d.b, 32));
        arena_free(a);
        return d;
}

static void test_a_market_gives_the_same_state_however_often_it_is_reopened(void **state)
{
        struct market *m = market_new();
        struct market_stream stream;
        struct place whole = { .store = NULL }, pieces = { .store = NULL };
        struct digest root;

        market_live(m, market_publish(m, market_open_entry(m)), &stream);
        for (unsigned i = 0; i < 10; i++)
                assert_refusal(market_update(m, &stream, 3).code, ACCEPTED);
        found(&whole);
        found(&pieces);
        for (size_t i = 0; i < m->c->log_n; i++) {
                step(&whole, &m->c->log[i]);
                step(&pieces, &m->c->log[i]);
                if (i % 7 == 3) {
                        commit(&pieces);
                        reopen(&pieces);
                }
        }
        root = merkle_root(&whole.fold.frontier);
        assert_int_equal(whole.fold.frontier.size, m->c->log_n);
        assert_true(digest_equal(&root, &(struct digest[]){ merkle_root(&pieces.fold.frontier) }[0]));
        struct digest chain = chain_of(store_state(whole.store)), expected = chain_of(map_state_ops(m->c->state)), other = chain_of(store_state(pieces.store));

        assert_true(digest_equal(&chain, &expected));
        assert_true(digest_equal(&other, &expected));
        commit(&whole);
        commit(&pieces);
        temp_dir_remove(whole.dir);
        temp_dir_remove(pieces.dir);
        market_free(m);
}

/* The header of an accepted act signed again by somebody else is refused, and an entry: the digest still leads to the act. */
static void test_a_refused_act_hides_no_accepted_one_of_the_same_header(void **state)
{
        struct market *m = market_new();
        struct place p = { .store = NULL };
        struct city_result got = market_get(m, market_ask(m, market_publish(m, market_open_entry(m)))), again;
        Shuyi__V1__Intent i = *got.claim->intent;
        uint64_t seq = got.seq;
        struct bytes value;

        again = city_act(m->c, &(struct city_act){ .kind = KIND_GET, .intent = &i, .body = got.claim->open_body, .by = { { m->civil_officer, ROLE_DATA_OFFICER } } });
        assert_true(again.code != ACCEPTED && again.seq == seq + 1);
        assert_true(digest_equal(&again.digest, &got.digest));
        found(&p);
        for (size_t k = 0; k < m->c->log_n; k++)
                step(&p, &m->c->log[k]);
        assert_int_equal(store_get(p.store, STORE_DIGESTS, bytes_digest(&got.digest), &value), 1);
        assert_int_equal(get_be64(value.p), seq);
        commit(&p);
        temp_dir_remove(p.dir);
        market_free(m);
}

static void test_refused_data_leave_all_as_it_was(void **state)
{
        struct market *m = market_new();
        struct market_stream stream;
        struct place p = { .store = NULL };
        struct arena *a = arena_new(8 << 20);
        struct entry entry = { .link = 0 };
        struct outcome outcome;
        struct digest leaf, before;
        const struct city_entry *last;

        market_live(m, market_publish(m, market_open_entry(m)), &stream);
        assert_refusal(market_update(m, &stream, 3).code, ACCEPTED);
        found(&p);
        for (size_t i = 0; i < m->c->log_n; i++)
                step(&p, &m->c->log[i]);
        before = chain_of(store_state(p.store));
        last = &m->c->log[m->c->log_n - 1];
        entry = (struct entry){ .accepted_at = { last->accepted_at }, .link = last->link, .lane = 1, .outbox_epoch = 1, .outbox_seq = last->outbox_seq + 1 };
        assert_refusal(envelope_parse(a, last->wire, &entry.claim), ACCEPTED);
        assert_int_equal(fold_step(&p.fold, &entry, a, &outcome, &leaf), 0);
        assert_true(outcome.code != ACCEPTED);
        assert_int_equal(p.fold.seq, last->seq);
        assert_true(digest_is_zero(&leaf));
        assert_true(digest_equal(&before, &(struct digest[]){ chain_of(store_state(p.store)) }[0]));
        commit(&p);
        temp_dir_remove(p.dir);
        arena_free(a);
        market_free(m);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_market_gives_the_same_state_however_often_it_is_reopened),
                cmocka_unit_test(test_refused_data_leave_all_as_it_was),
                cmocka_unit_test(test_a_refused_act_hides_no_accepted_one_of_the_same_header),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
