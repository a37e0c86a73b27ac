/* purged: what DESIGN 7 promises of a log still holds when bodies and inputs are gone: bundles about all that is kept are proven, and a store
 * made anew from BASE is what the first one was. */
#include "common/bundle.h"
#include "common/bundle_make.h"
#include "common/checkpoint.h"
#include "common/macro.h"
#include "tests/lib/place.h"
#include "tests/lib/temp_dir.h"
#include "tests/lib/unit.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- the store as a source of bundles ---- */

struct source {
        struct place *p;
        struct store *store;
        struct store_snapshot *snapshot;
        struct arena *a;
        struct bundle_trust *trust;
        struct digest *leaves;
        struct bundle_source s;
        struct bytes anchor;
        char *note;
};

static int entry_at(void *ctx, uint64_t seq, struct arena *a, struct bundle_log_entry *ret)
{
        struct source *s = ctx;
        struct fold_outcome outcome;
        struct segment_place place;
        struct segment_entry e;
        uint8_t *buffer = NULL;
        size_t n = 0;
        int r = store_snapshot_index_find(s->snapshot, seq, &place);

        if (r > 0)
                r = segment_read_entry(s->p->segments, place, seq, &buffer, &n, &e);
        if (r == 0)
                r = fold_outcome_read(s->snapshot, seq, &outcome);
        if (r > 0)
                *ret = (struct bundle_log_entry){ e.epoch, e.accepted_at, outcome.code, outcome.effects, arena_copy(a, e.envelope) };
        free(buffer);
        return r == -ENOENT ? 0 : r;
}

static int find(void *ctx, struct bytes header_digest, uint64_t *ret_seq)
{
        return fold_digest_read(((struct source *)ctx)->snapshot, header_digest, ret_seq);
}

static int head_before(void *ctx, uint64_t seq, uint64_t *ret_seq)
{
        return fold_head_read(((struct source *)ctx)->snapshot, seq, ret_seq, NULL);
}

static int path(void *ctx, uint64_t seq, uint64_t size, struct digest ret[64], unsigned *ret_n)
{
        *ret_n = merkle_path_of(((struct source *)ctx)->leaves, size, seq - 1, ret);
        return 0;
}

static struct bytes anchor_of(struct source *s)
{
        const Shuyi__V1__DocumentRow *row;
        uint8_t number[4];

        put_be32(number, 1);
        row = FOLD_ROW(s->s.state, s->a, shuyi__v1__document_row__descriptor, TABLE_ANCHOR, bytes_of(number, 4));
        assert_non_null(row);
        return bytes_of(row->bytes_.data, row->bytes_.len);
}

static void source_open(struct source *s, struct place *p, struct store *store)
{
        uint64_t size = p->fold.seq;
        struct checkpoint head = { ORIGIN, size, { { 0 } } };

        *s = (struct source){ .p = p, .store = store, .a = arena_new(256u << 20), .trust = bundle_trust_new() };
        assert_int_equal(store_snapshot_open(store, &s->snapshot), 0);
        s->leaves = ARENA_ARRAY(s->a, struct digest, size);
        for (uint64_t i = 0; i < size; i++)
                assert_int_equal(fold_leaves_read(s->snapshot, i + 1, 1, &s->leaves[i]), 1);
        head.root = merkle_root_of(s->leaves, size);
        s->note = checkpoint_sign(s->a, &head, p->log->sign_secret, p->log->sign_key);
        s->s = (struct bundle_source){ store_snapshot_state(s->snapshot), entry_at, find, head_before, path, s, s->trust, size };
        s->anchor = anchor_of(s);
}

static void source_close(struct source *s)
{
        store_snapshot_close(s->snapshot);
        bundle_trust_free(s->trust);
        arena_free(s->a);
}

/* ---- bundles ---- */

static int make(struct source *s, enum bundle kind, uint64_t seq, const struct digest *grant, struct bundle_report *ret)
{
        struct bundle_wish wish = { .kind = kind, .seq = seq };
        Shuyi__V1__Bundle b = SHUYI__V1__BUNDLE__INIT;
        int r;

        if (grant)
                wish.grant = *grant;
        b.checkpoint = s->note;
        r = bundle_make(&s->s, &wish, s->a, &b);
        if (r < 0)
                return r;
        return bundle_check(s->a, bundle_write(s->a, &b), s->anchor, &(struct bundle_options){ false }, ret);
}

static void assert_proven(uint64_t seq, int r, const struct bundle_report *report)
{
        if (r < 0)
                fail_msg("a bundle about entry %llu cannot be made: %d", (unsigned long long)seq, r);
        for (unsigned i = 0; i < BUNDLE_ITEM_COUNT && !report->wrong && !report->proven; i++)
                if (report->items[i].state != BUNDLE_OK && report->items[i].state != BUNDLE_DOES_NOT_APPLY)
                        print_error("# %s %s, entry %llu: %s\n", bundle_item_word(i), bundle_fault_word(report->items[i].fault),
                                    (unsigned long long)report->items[i].seq, report->items[i].detail);
        if (!report->proven)
                fail_msg("a bundle about entry %llu is not proven: %s", (unsigned long long)seq, report->wrong ? report->wrong : "");
}

static struct bundle_report transfer_must_hold(struct source *s, unsigned update, const struct digest *grant, enum bundle_state delivered)
{
        struct bundle_report r;
        int f = make(s, BUNDLE_UPDATE, s->p->updates[update], grant, &r);

        if (f == 0 && delivered != BUNDLE_OK) {         /* nobody has it yet, and nothing else is wrong */
                assert_int_equal(r.items[BUNDLE_DELIVERED].state, delivered);
                r.items[BUNDLE_DELIVERED].state = BUNDLE_DOES_NOT_APPLY;
                r.proven = true;
                for (unsigned i = 0; i < BUNDLE_ITEM_COUNT; i++)
                        r.proven &= r.items[i].state == BUNDLE_OK || r.items[i].state == BUNDLE_DOES_NOT_APPLY;
        }
        assert_proven(s->p->updates[update], f, &r);
        return r;
}

/* Every control act that is left, old and new, the PURGEs themselves among them.  How many. */
static unsigned acts_must_hold(struct source *s)
{
        unsigned n = 0;

        for (uint64_t seq = 1; seq < s->p->fold.seq; seq++) {
                struct bundle_log_entry e;
                struct bundle_report r;
                const struct claim *c;

                if (entry_at(s, seq, s->a, &e) <= 0 || envelope_read_kept(s->a, e.envelope, NULL, &c) != ACCEPTED || c->kind->class != KIND_CONTROL)
                        continue;
                if (c->kind->number == KIND_DELIVERY_RECEIPT || c->kind->number == KIND_PURGE || seq % 7 == 0 || seq == s->p->get) {
                        assert_proven(seq, make(s, BUNDLE_DECISION, seq, NULL, &r), &r);
                        n++;
                }
        }
        return n;
}

static void test_R_155_a_transfer_is_proven_when_its_body_is_gone(void **state)
{
        struct place *p = place_new();
        struct source s;
        char base[400];
        struct bundle_report r;

        place_base_path(p, base);
        assert_int_equal(unlink(base), 0);              /* so that the inputs wait */
        assert_int_equal(place_retain(p).bodies, PLACE_GONE);
        source_open(&s, p, p->store);
        r = transfer_must_hold(&s, 3, &p->grant, BUNDLE_OK);
        assert_int_equal(r.content, BUNDLE_CONTENT_GONE);
        assert_true(r.acquired_at > 0);
        r = transfer_must_hold(&s, 3, &p->behind, BUNDLE_OK);
        assert_int_equal(r.content, BUNDLE_CONTENT_GONE);
        r = transfer_must_hold(&s, PLACE_GONE, &p->grant, BUNDLE_OK);
        assert_int_equal(r.content, BUNDLE_CONTENT_SEALED);
        acts_must_hold(&s);
        source_close(&s);
        place_free(p);
}

static void test_R_155_what_is_kept_is_proven_when_inputs_are_gone(void **state)
{
        struct place *p = place_new();
        struct source s;
        struct bundle_report r;

        assert_true(place_retain(p).inputs >= PLACE_GONE);
        source_open(&s, p, p->store);
        assert_int_equal(make(&s, BUNDLE_UPDATE, p->updates[3], &p->grant, &r), -ENOENT);
        for (unsigned i = PLACE_GONE; i < PLACE_RECEIPTED; i++)         /* kept for the one, and the other's receipt with it */
                transfer_must_hold(&s, i, &p->grant, BUNDLE_OK);
        transfer_must_hold(&s, PLACE_RECEIPTED, &p->grant, BUNDLE_NOT_IN_BUNDLE);
        transfer_must_hold(&s, PLACE_GONE, &p->behind, BUNDLE_NOT_IN_BUNDLE);
        assert_true(acts_must_hold(&s) > 10);
        source_close(&s);
        place_free(p);
}

/* ---- a store made anew ---- */

static int append_places(void *ctx, struct store *s, const struct base *b)
{
        struct place *p = ctx;
        struct segment_cursor *c;
        struct segment_record rec;
        int r = segment_cursor_open(p->segments, (struct segment_place){ 0 }, 0, 0, &c);

        while (r >= 0 && (r = segment_cursor_next(c, &rec)) > 0 && rec.seq <= b->seq)
                r = rec.type == SEGMENT_HEAD ? 0 : store_index_append(s, rec.seq, rec.place);
        segment_cursor_close(c);
        return r < 0 ? r : 0;
}

static void compare_databases(struct store *a, struct store *b, unsigned db)
{
        struct store_snapshot *p, *q;
        uint8_t from[STORE_KEY_MAX + 1] = { 0 };
        size_t from_n = 0;
        struct bytes key[2], value[2];
        unsigned rows = 0;

        assert_int_equal(store_snapshot_open(a, &p), 0);
        assert_int_equal(store_snapshot_open(b, &q), 0);
        for (;;) {
                int more = store_snapshot_next(p, db, (struct bytes){ 0 }, bytes_of(from, from_n), &key[0], &value[0]);

                assert_int_equal(store_snapshot_next(q, db, (struct bytes){ 0 }, bytes_of(from, from_n), &key[1], &value[1]), more);
                if (more == 0)
                        break;
                if (!bytes_equal(key[0], key[1]) || !bytes_equal(value[0], value[1]))
                        fail_msg("database %u: row %u differs", db, rows);
                memcpy(from, key[0].p, key[0].n);
                from[key[0].n] = 0;
                from_n = key[0].n + 1;
                rows++;
        }
        assert_true(rows > 0);
        store_snapshot_close(p);
        store_snapshot_close(q);
}

static void test_R_155_a_store_made_from_base_is_the_one_that_was(void **state)
{
        struct place *p = place_new();
        struct replay rest;
        struct source s;
        struct fold f;
        struct base b;
        struct store *again;
        char path_of_base[400], dir[256];
        int fault;

        assert_true(place_retain(p).inputs >= PLACE_GONE);
        place_base_path(p, path_of_base);
        temp_dir_make(dir);
        again = place_open_store(dir);
        assert_null(base_load(path_of_base, again, ORIGIN, p->log->sign_key, append_places, p, &f, &b, &fault));
        assert_int_equal(place_replay(p, &f, &rest), 0);
        assert_int_equal(f.seq, p->fold.seq);
        for (unsigned db = STORE_STATE; db < STORE_FOLD_END; db++)
                if (db != STORE_META && db != STORE_INDEX)      /* the tree is compared below; files that were rewritten have other places */
                        compare_databases(p->store, again, db);
        source_open(&s, p, again);
        for (unsigned i = PLACE_GONE; i < PLACE_RECEIPTED; i++)
                transfer_must_hold(&s, i, &p->grant, BUNDLE_OK);
        assert_true(acts_must_hold(&s) > 10);
        source_close(&s);
        assert_memory_equal(&f.frontier, &p->fold.frontier, sizeof(f.frontier));
        fold_close(&f);
        store_close(again);
        temp_dir_remove(dir);
        place_free(p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_R_155_a_transfer_is_proven_when_its_body_is_gone),
                cmocka_unit_test(test_R_155_what_is_kept_is_proven_when_inputs_are_gone),
                cmocka_unit_test(test_R_155_a_store_made_from_base_is_the_one_that_was),
        };

        return cmocka_run_group_tests_name("purged", tests, NULL, NULL);
}
