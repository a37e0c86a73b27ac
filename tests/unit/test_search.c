/* search, audit_search: what an audit finds through the index is what is there, page by page, for who may see it. */
#include "common/audit_search.h"
#include "tests/lib/market.h"
#include "tests/lib/temp_dir.h"
#include "tests/lib/unit.h"
#include <errno.h>
#include <stdio.h>

#define DB_SEARCH STORE_FOLD_END
#define FOUND_MAX 64

/* A market with two grants of one stream, its log applied to a store and indexed. */
struct scene {
        struct market *m;
        struct market_stream stream;
        struct digest grant;
        char dir[256];
        struct store *store;
        struct fold fold;
        struct store_snapshot *p;
        struct arena *a;
};

static void step(struct scene *s, const struct city_entry *e)
{
        struct entry entry = { .accepted_at = { e->accepted_at }, .link = e->link, .lane = e->lane, .outbox_epoch = e->outbox_epoch, .outbox_seq = e->outbox_seq };
        struct search_writer w = { .store = s->store, .db = DB_SEARCH, .state = store_state(s->store), .arena = s->a };
        struct outcome outcome;
        struct digest leaf;

        arena_reset(s->a);
        assert_refusal(envelope_parse(s->a, e->wire, &entry.claim), ACCEPTED);
        assert_int_equal(fold_step(&s->fold, &entry, s->a, &outcome, &leaf), 0);
        assert_int_equal(search_add(&w, e->seq, entry.accepted_at, entry.claim, outcome.code), 0);
        assert_int_equal(search_position_put(s->store, &(struct search_position){ e->seq, leaf }), 0);
}

static void apply_all(struct scene *s)
{
        const char *databases[STORE_DATABASES_MAX] = { NULL };
        struct store_options o = { .dir = s->dir, .map_bytes = 64 << 20, .databases = databases, .allow_volatile = true };
        unsigned n = 0;

        for (; fold_databases[n]; n++)
                databases[n] = fold_databases[n];
        databases[n] = "search";
        temp_dir_make(s->dir);
        assert_int_equal(store_open(&o, &s->store), 0);
        assert_int_equal(fold_open_new(&s->fold, s->store, CITY_DOMAIN), 0);
        for (size_t i = 0; i < s->m->c->log_n; i++)
                step(s, &s->m->c->log[i]);
        assert_int_equal(fold_save(&s->fold), 0);
        assert_int_equal(store_commit(s->store), 0);
        assert_int_equal(store_snapshot_open(s->store, &s->p), 0);
}

/* Links 1 to 4 taken, link 3 with a NACK; one refused suspension by somebody who may not. */
static void setup(struct scene *s)
{
        struct digest head;
        Shuyi__V1__DeliveryReceiptBody *body;
        Shuyi__V1__Nack nack = SHUYI__V1__NACK__INIT, *nacks[] = { &nack };

        *s = (struct scene){ .m = market_new(), .a = arena_new(8 << 20) };
        s->grant = market_live(s->m, market_publish(s->m, market_open_entry(s->m)), &s->stream);
        market_reason(s->m, KIND_GRANT_SUSPEND, &s->grant, NULL, 4, s->m->health_approver, ROLE_APPROVER);
        for (unsigned i = 0; i < 3; i++)
                assert_refusal(market_update(s->m, &s->stream, 5).code, ACCEPTED);
        head = s->stream.head_digest;
        body = market_receipt(s->m, 1, s->stream.head, &head);
        nack.stream_seq = 3;
        nack.code = E_CONTENT;
        nack.count = 1;
        body->nacks = nacks;
        body->n_nacks = 1;
        assert_refusal(market_send_receipt(s->m, &s->grant, &s->stream.id, body).code, ACCEPTED);
        apply_all(s);
}

static void teardown(struct scene *s)
{
        store_snapshot_close(s->p);
        fold_close(&s->fold);
        store_close(s->store);
        temp_dir_remove(s->dir);
        arena_free(s->a);
        market_free(s->m);
}

/* ---- asking ---- */

struct found { unsigned n, room; uint64_t at[FOUND_MAX]; bool acts; struct arena *a; struct scene *s; };

static int entry_at(void *ctx, uint64_t seq, struct segment_entry *ret)
{
        const struct found *f = ctx;
        const struct city_entry *e = &f->s->m->c->log[seq - 1];

        assert_in_range(seq, 1, f->s->m->c->log_n);
        *ret = (struct segment_entry){ .epoch = 1, .seq = seq, .accepted_at = { e->accepted_at }, .envelope = e->wire };
        return 1;
}

static bool add(void *ctx, struct bytes row)
{
        struct found *f = ctx;

        if (f->room == 0)
                return false;
        f->room--;
        assert_true(f->n < FOUND_MAX);
        f->at[f->n++] = f->acts ? ((Shuyi__V1__ActRow *)message_parse(f->a, &shuyi__v1__act_row__descriptor, row))->seq
                                : ((Shuyi__V1__AcquisitionRow *)message_parse(f->a, &shuyi__v1__acquisition_row__descriptor, row))->stream_seq;
        return true;
}

/* All that is found, in pages of `page` rows. */
static struct found ask(struct scene *s, const Shuyi__V1__AuditQuery *q, const struct audit_scope *scope, unsigned page)
{
        struct arena *a = arena_new(16 << 20);
        struct found f = { .acts = q->acts, .a = a, .s = s };
        struct audit_search search = { .query = q, .scope = *scope, .ledger = s->p, .state = store_snapshot_state(s->p), .index = s->p, .index_db = DB_SEARCH,
                                       .as_of = s->fold.seq, .arena = a, .entry = entry_at, .add = add, .ctx = &f };
        uint8_t after[AUDIT_CURSOR_BYTES], next[AUDIT_CURSOR_BYTES];
        size_t after_n = 0;
        bool more = true;

        assert_true(audit_query_fits(q));
        for (unsigned pages = 0; more; pages++) {
                assert_true(pages < 2 * FOUND_MAX);
                f.room = page;
                assert_int_equal(audit_search_page(&search, bytes_of(after, after_n), &more, next), 0);
                memcpy(after, next, after_n = more ? sizeof(after) : 0);
        }
        arena_free(a);
        return f;
}

static const struct audit_scope everything = { .all = true };

#define ID(party) ((ProtobufCBinaryData){ 16, (party)->id.b })

static void test_each_criterion_narrows_and_pages_join_without_gap_or_double(void **state)
{
        struct scene s;

        setup(&s);
        uint64_t now = s.m->c->log[s.m->c->log_n - 1].accepted_at;
        uint8_t nobody[16] = "nobody", none[32] = "none";
        const struct { const char *name; Shuyi__V1__AuditQuery q; unsigned found; } cases[] = {
                { "everything", { .department = "", .resource = "" }, 3 },
                { "the consumer", { .department = CITY_HEALTH, .resource = "" }, 3 },
                { "the provider", { .department = CITY_CIVIL, .resource = "" }, 3 },
                { "a stranger", { .department = CITY_TAX, .resource = "" }, 0 },
                { "the user", { .department = "", .resource = "", .person = ID(s.m->health_user) }, 3 },
                { "the approver", { .department = "", .resource = "", .person = ID(s.m->health_approver) }, 3 },
                { "nobody", { .department = "", .resource = "", .person = { 16, nobody } }, 0 },
                { "the resource", { .department = "", .resource = (char *)s.stream.resource }, 3 },
                { "another resource", { .department = "", .resource = "3074420000001/000099" }, 0 },
                { "the grant", { .department = "", .resource = "", .grant = { 32, s.grant.b } }, 3 },
                { "no grant", { .department = "", .resource = "", .grant = { 32, none } }, 0 },
                { "two criteria that both fit", { .department = CITY_CIVIL, .resource = "", .grant = { 32, s.grant.b } }, 3 },
                { "two of which one does not", { .department = CITY_TAX, .resource = "", .grant = { 32, s.grant.b } }, 0 },
                { "taken", { .department = "", .resource = "", .outcome = AUDIT_TAKEN }, 2 },
                { "refused", { .department = "", .resource = "", .outcome = AUDIT_REFUSED }, 1 },
                { "refused by this code", { .department = "", .resource = "", .code = E_CONTENT }, 1 },
                { "by another", { .department = "", .resource = "", .code = E_FORM }, 0 },
                { "from long ago", { .department = "", .resource = "", .from = 1 }, 3 },
                { "from tomorrow", { .department = "", .resource = "", .from = now + DAY_MS }, 0 },
                { "until yesterday", { .department = "", .resource = "", .to = now - DAY_MS }, 0 },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                for (unsigned page = 1; page < 4; page++) {
                        Shuyi__V1__AuditQuery empty = SHUYI__V1__AUDIT_QUERY__INIT, q = cases[i].q;

                        q.base = empty.base;
                        struct found f = ask(&s, &q, &everything, page);

                        if (f.n != cases[i].found)
                                fail_msg("%s, pages of %u: %u, not %u", cases[i].name, page, f.n, cases[i].found);
                        for (unsigned k = 1; k < f.n; k++)
                                assert_true(f.at[k] > f.at[k - 1]);
                }
        teardown(&s);
}

static void test_R_154_a_scope_shows_no_more_than_the_role_may_see(void **state)
{
        Shuyi__V1__AuditQuery q = SHUYI__V1__AUDIT_QUERY__INIT;
        struct scene s;

        setup(&s);
        const struct { struct audit_scope scope; unsigned found; } cases[] = {
                { { .department = CITY_HEALTH }, 3 }, { { .department = CITY_CIVIL }, 3 }, { { .department = CITY_TAX }, 0 }, { { .department = CITY_AUTHORITY }, 0 },
                { { .person = bytes_id(&s.m->health_user->id) }, 3 }, { { .person = bytes_id(&s.m->health_approver->id) }, 3 },
                { { .person = bytes_id(&s.m->civil_officer->id) }, 0 }, { { .all = false }, 0 },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                if (ask(&s, &q, &cases[i].scope, 2).n != cases[i].found)
                        fail_msg("scope %zu: not %u", i, cases[i].found);
        q.acts = true;
        assert_int_equal(ask(&s, &q, &(struct audit_scope){ .all = false }, 2).n, 0);
        teardown(&s);
}

static void test_acts_are_found_by_who_signed_and_by_outcome(void **state)
{
        Shuyi__V1__AuditQuery q = SHUYI__V1__AUDIT_QUERY__INIT;
        struct scene s;
        struct found f;

        setup(&s);
        q.acts = true;
        q.grant = (ProtobufCBinaryData){ 32, s.grant.b };
        f = ask(&s, &q, &everything, 1);                /* GET, SUBSCRIBE, the refused suspension */
        assert_int_equal(f.n, 3);
        q.outcome = AUDIT_REFUSED;
        f = ask(&s, &q, &everything, 1);
        assert_int_equal(f.n, 1);
        assert_true(s.m->c->log[f.at[0] - 1].code != ACCEPTED);
        q.grant.len = 0;
        q.person = ID(s.m->health_user);
        assert_int_equal(ask(&s, &q, &everything, 1).n, 0);
        q.outcome = 0;
        assert_true(ask(&s, &q, &everything, 1).n > 0);
        q.person = (ProtobufCBinaryData){ 0, NULL };
        f = ask(&s, &q, &(struct audit_scope){ .department = CITY_TAX }, 5);
        assert_int_equal(f.n, 0);
        teardown(&s);
}

/* ---- a HANDOVER of many grants ---- */

#define HANDED_OVER 200

static struct digest handed_over(unsigned i)
{
        return digest_plain(bytes_of(&i, sizeof(i)));
}

static void put_grant(struct scene *s, unsigned i)
{
        Shuyi__V1__GrantRow g = SHUYI__V1__GRANT_ROW__INIT;
        struct digest id = handed_over(i);
        uint8_t key[33] = { TABLE_GRANT };
        char consumer[19];

        snprintf(consumer, sizeof(consumer), "%018u", i);
        g.consumer = consumer;
        g.provider = (char *)CITY_CIVIL;
        g.resource = (char *)"3074420000001/000001";
        memcpy(key + 1, id.b, DIGEST_BYTES);
        assert_int_equal(store_put(s->store, STORE_STATE, bytes_of(key, sizeof(key)), message_pack(s->a, &g.base)), 0);
}

static void test_R_161_each_grant_of_a_long_handover_is_found(void **state)
{
        Shuyi__V1__HandoverBody body = SHUYI__V1__HANDOVER_BODY__INIT;
        Shuyi__V1__HandoverRow rows[HANDED_OVER], *list[HANDED_OVER];
        struct digest ids[HANDED_OVER];
        Shuyi__V1__Intent intent = SHUYI__V1__INTENT__INIT;
        struct claim c = { .kind = kind_find(KIND_HANDOVER), .intent = &intent, .open_body = &body.base };
        uint64_t seq;
        struct scene s;

        setup(&s);
        seq = s.fold.seq + 1;
        store_snapshot_close(s.p);
        assert_int_equal(store_begin(s.store), 0);
        for (unsigned i = 0; i < HANDED_OVER; i++) {
                put_grant(&s, i);
                ids[i] = handed_over(i);
                shuyi__v1__handover_row__init(&rows[i]);
                rows[i].grant = (ProtobufCBinaryData){ DIGEST_BYTES, ids[i].b };
                list[i] = &rows[i];
        }
        body.rows = list;
        body.n_rows = HANDED_OVER;
        struct search_writer w = { .store = s.store, .db = DB_SEARCH, .state = store_state(s.store), .arena = s.a };
        assert_int_equal(search_add(&w, seq, (struct wall_time){ 1 }, &c, ACCEPTED), 0);
        assert_int_equal(store_commit(s.store), 0);
        assert_int_equal(store_snapshot_open(s.store, &s.p), 0);
        for (unsigned i = 0; i < HANDED_OVER; i++) {
                char consumer[19];

                snprintf(consumer, sizeof(consumer), "%018u", i);
                assert_int_equal(search_has(s.p, DB_SEARCH, SEARCH_ACTS, SEARCH_GRANT, bytes_digest(&ids[i]), seq), 1);
                assert_int_equal(search_has(s.p, DB_SEARCH, SEARCH_ACTS, SEARCH_DEPARTMENT, bytes_str(consumer), seq), 1);
        }
        teardown(&s);
}

static void test_the_position_is_read_again_and_another_version_is_none(void **state)
{
        struct search_position at;
        struct fold_outcome last;
        struct scene s;
        uint8_t old[4 + 8 + 32] = { 0, 0, 0, SEARCH_VERSION + 1 };

        setup(&s);
        assert_int_equal(search_position_read(s.p, &at), 1);
        assert_int_equal(at.seq, s.fold.seq);
        assert_int_equal(fold_outcome_read(s.p, at.seq, &last), 1);
        assert_true(digest_equal(&last.leaf, &at.leaf));
        store_snapshot_close(s.p);
        assert_int_equal(store_begin(s.store), 0);
        assert_int_equal(store_put(s.store, STORE_META, bytes_str("search"), bytes_of(old, sizeof(old))), 0);
        assert_int_equal(store_commit(s.store), 0);
        assert_int_equal(store_snapshot_open(s.store, &s.p), 0);
        assert_int_equal(search_position_read(s.p, &at), 0);
        teardown(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_criterion_narrows_and_pages_join_without_gap_or_double),
                cmocka_unit_test(test_R_154_a_scope_shows_no_more_than_the_role_may_see),
                cmocka_unit_test(test_acts_are_found_by_who_signed_and_by_outcome),
                cmocka_unit_test(test_R_161_each_grant_of_a_long_handover_is_found),
                cmocka_unit_test(test_the_position_is_read_again_and_another_version_is_none),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
