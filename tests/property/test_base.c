/* base and retention: a log from which bodies and inputs are gone still gives every signed root, and a replay from BASE ends in the
 * state of a full replay (R-155, DESIGN 2). */
#include "common/checkpoint.h"
#include "common/macro.h"
#include "common/replay.h"
#include "common/retention.h"
#include "tests/lib/market.h"
#include "tests/lib/temp_dir.h"
#include "tests/lib/unit.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ORIGIN "shuyi/" CITY_DOMAIN
#define GROUP 5
#define UPDATES 30
#define RECEIPTED 20

/* A market whose log goes to files and a store as a broker would write them. */
struct place {
        char dir[256], log_dir[300], base_dir[300];
        struct market *m;
        struct market_stream stream;
        struct digest grant;
        const struct party *log;                /* its key */
        struct store *store;
        struct segment_log *segments;
        struct segment_batch *batch;
        struct fold fold;
        size_t fed;                             /* entries of the city */
        struct base base;
        struct digest full;                     /* state digest of a full replay, before anything went */
};

static struct store *open_store(const char *dir)
{
        struct store_options o = { .dir = dir, .map_bytes = 64 << 20, .databases = fold_databases, .allow_volatile = true };
        struct store *s;

        assert_int_equal(store_open(&o, &s), 0);
        return s;
}

static void found(struct fold *f, struct store *s)
{
        struct fold before;

        assert_int_equal(fold_open(f, s, CITY_DOMAIN), -ENODATA);
        assert_int_equal(store_group_begin(s), 0);
        assert_int_equal(fold_found(f), 0);
        assert_int_equal(store_group_commit(s), 0);
        before = *f;
        assert_int_equal(fold_open(f, s, CITY_DOMAIN), 0);
        fold_close(&before);
}

static void open_segments(struct place *p)
{
        struct segment_options o = { .dir = p->log_dir, .domain = CITY_DOMAIN, .segment_bytes = 64 << 10, .allow_volatile = true };
        struct segment_recovery recovery;

        segment_close(p->segments);
        if (segment_open(&o, &p->segments, &recovery) < 0)
                fail_msg("%s", recovery.reason);
}

/* ---- a broker's work ---- */

static void end_group(struct place *p, uint64_t first)
{
        struct arena *a = arena_new(1 << 20);
        struct checkpoint c = { ORIGIN, p->fold.seq, merkle_root(&p->fold.frontier) };
        const char *note = checkpoint_sign(a, &c, p->log->sign_secret, p->log->sign_key);

        assert_int_equal(segment_batch_add_head(p->batch, p->fold.epoch, p->fold.seq, bytes_str(note)), 0);
        assert_int_equal(segment_plan(p->segments, p->batch), 0);
        assert_int_equal(segment_write(p->segments, p->batch), 0);
        assert_int_equal(segment_sync(p->segments), 0);
        for (unsigned i = 0; first + i <= p->fold.seq; i++)
                assert_int_equal(store_index_append(p->store, first + i, segment_batch_place(p->batch, i)), 0);
        segment_batch_reset(p->batch);
        arena_free(a);
}

/* What the city did since the last time; committed. */
static void feed(struct place *p)
{
        struct arena *a = arena_new(32 << 20);

        while (p->fed < p->m->c->log_n) {
                uint64_t first = p->fold.seq + 1;

                arena_reset(a);
                for (unsigned i = 0; i < GROUP && p->fed < p->m->c->log_n; i++, p->fed++) {
                        const struct city_entry *e = &p->m->c->log[p->fed];
                        struct entry entry = { .accepted_at = { e->accepted_at }, .link = e->link, .lane = e->lane, .outbox_epoch = e->outbox_epoch, .outbox_seq = e->outbox_seq };
                        struct outcome outcome;
                        struct digest leaf;

                        assert_refusal(envelope_parse(a, e->wire, &entry.claim), ACCEPTED);
                        assert_int_equal(fold_step(&p->fold, &entry, a, &outcome, &leaf), 0);
                        struct segment_entry s = { .epoch = entry.epoch, .seq = entry.seq, .accepted_at = entry.accepted_at, .link = e->link, .lane = e->lane,
                                                   .outbox_epoch = e->outbox_epoch, .outbox_seq = e->outbox_seq, .envelope = e->wire };
                        assert_int_equal(segment_batch_add_entry(p->batch, &s), 0);
                }
                end_group(p, first);
        }
        assert_int_equal(fold_save(&p->fold), 0);
        assert_int_equal(store_commit(p->store), 0);
        assert_int_equal(store_begin(p->store), 0);
        arena_free(a);
}

static struct city_result purge(struct place *p, enum purge what, uint64_t to)
{
        struct city *c = p->m->c;
        Shuyi__V1__PurgeBody b = SHUYI__V1__PURGE_BODY__INIT;

        b.what = what;
        b.to = to;
        if (what == PURGE_INPUTS) {
                b.base_seq = p->base.seq;
                b.base_digest = (ProtobufCBinaryData){ DIGEST_BYTES, p->base.state.b };
        }
        return city_act(c, &(struct city_act){ .kind = KIND_PURGE, .body = &b.base,
                                               .by = { { c->data_operator, ROLE_DATA_OPERATOR }, { city_find(c, "auditor"), ROLE_AUDIT_OFFICER } } });
}

static struct retention run_retention(struct place *p)
{
        struct retention r = { .store = p->store, .segments = p->segments, .base_dir = p->base_dir, .origin = ORIGIN, .domain = CITY_DOMAIN, .log_key = p->log->sign_key };

        assert_int_equal(retention_run(&r), 0);
        return r;
}

static struct digest state_digest(struct store *s)
{
        struct store_snapshot *snapshot;
        struct digest d;
        uint64_t rows;

        assert_int_equal(store_snapshot_open(s, &snapshot), 0);
        assert_int_equal(fold_state_digest(snapshot, &d, &rows), 0);
        store_snapshot_close(snapshot);
        return d;
}

static int replay(struct place *p, struct fold *f, struct replay *ret)
{
        int r;

        *ret = (struct replay){ .fold = f, .segments = p->segments, .origin = ORIGIN, .log_key = p->log->sign_key, .signatures = true };
        r = replay_run(ret);
        if (r == 0) {
                assert_int_equal(fold_save(f), 0);
                assert_int_equal(store_commit(f->store), 0);
        } else {
                store_abort(f->store);
        }
        return r;
}

static int replay_all(struct place *p, struct replay *ret, struct digest *ret_state)
{
        char dir[256];
        struct store *s;
        struct fold f;
        int r;

        temp_dir_make(dir);
        s = open_store(dir);
        found(&f, s);
        r = replay(p, &f, ret);
        if (r == 0)
                *ret_state = state_digest(s);
        fold_close(&f);
        store_close(s);
        temp_dir_remove(dir);
        return r;
}

/* ---- the place ---- */

/* Updates of which two thirds are receipted; more than three years later the bodies go, and after a BASE the inputs. */
static struct place *place_new(void)
{
        struct place *p = calloc(1, sizeof(*p));
        struct replay all;

        temp_dir_make(p->dir);
        snprintf(p->log_dir, sizeof(p->log_dir), "%s/log", p->dir);
        snprintf(p->base_dir, sizeof(p->base_dir), "%s/base", p->dir);
        p->store = open_store(p->dir);
        open_segments(p);
        p->batch = segment_batch_new(1 << 20);
        found(&p->fold, p->store);
        p->m = market_new();
        p->log = city_find(p->m->c, "log");
        city_hire(p->m->c, CITY_AUTHORITY, "auditor", ROLE_AUDIT_OFFICER, 0);
        p->grant = market_live(p->m, market_publish(p->m, market_open_entry(p->m)), &p->stream);
        for (unsigned i = 0; i < UPDATES; i++) {
                assert_refusal(market_update(p->m, &p->stream, 3).code, ACCEPTED);
                if (i + 1 == RECEIPTED)
                        assert_refusal(market_send_receipt(p->m, &p->grant, &p->stream.id, market_receipt(p->m, 1, p->stream.head, &p->stream.head_digest)).code, ACCEPTED);
        }
        uint64_t old = p->m->c->seq;
        city_pass(p->m->c, 3 * 366 * DAY_MS);
        city_tick(p->m->c);
        assert_refusal(purge(p, PURGE_BODIES, old).code, ACCEPTED);
        feed(p);
        assert_int_equal(replay_all(p, &all, &p->full), 0);
        assert_int_equal(base_write(p->store, p->segments, p->base_dir, CITY_DOMAIN, ORIGIN, p->log->sign_secret, p->log->sign_key, NULL, &p->base), 0);
        assert_int_equal(p->base.seq, p->fold.seq);
        assert_refusal(purge(p, PURGE_INPUTS, old).code, ACCEPTED);
        city_hire(p->m->c, CITY_AUTHORITY, "late", ROLE_USER, 0);
        for (unsigned i = 0; i < 60; i++)       /* and more, so that the files before are closed */
                city_hire(p->m->c, CITY_AUTHORITY, arena_printf(p->m->c->arena, "later-%u", i), ROLE_USER, 0);
        feed(p);
        assert_int_equal(replay_all(p, &all, &p->full), 0);
        return p;
}

static void place_free(struct place *p)
{
        fold_close(&p->fold);
        store_close(p->store);
        segment_batch_free(p->batch);
        segment_close(p->segments);
        temp_dir_remove(p->base_dir);
        temp_dir_remove(p->log_dir);
        temp_dir_remove(p->dir);
        market_free(p->m);
        free(p);
}

/* ---- what is shown ---- */

/* Leaf of what is left of an entry; of an ENTRY, which retention has not touched, as the store has it. */
static struct digest leaf_of(struct place *p, const struct segment_entry *e, struct arena *a)
{
        struct entry entry = { .epoch = e->epoch, .seq = e->seq, .accepted_at = e->accepted_at };
        struct outcome outcome = { .code = (enum refusal)e->code, .effects_digest = e->effects };
        struct fold_outcome recorded;
        uint8_t record[LEAF_RECORD_BYTES];
        struct digest leaf;

        assert_int_equal(fold_outcome_get(p->store, e->seq, &recorded), 1);
        if (e->gone)
                return e->leaf;
        if (!e->judged)
                return recorded.leaf;
        assert_refusal(envelope_read_kept(a, e->envelope, NULL, &entry.claim), ACCEPTED);
        exchange_leaf_record(CITY_DOMAIN, &entry, &outcome, record);
        leaf = merkle_leaf(bytes_of(record, sizeof(record)));
        assert_true(digest_equal(&leaf, &recorded.leaf));
        return leaf;
}

/* Every HEAD of the log signs the tree that the leaves give which can be found in it now. */
static unsigned check_heads(struct place *p)
{
        struct arena *a = arena_new(8 << 20);
        struct merkle_frontier tree = { 0 };
        struct segment_cursor *c;
        struct segment_record rec;
        struct segment_entry e;
        unsigned heads = 0;
        int r;

        assert_int_equal(segment_cursor_open(p->segments, (struct segment_place){ 0 }, 0, 0, &c), 0);
        while ((r = segment_cursor_next(c, &rec)) > 0) {
                arena_reset(a);
                if (rec.type != SEGMENT_HEAD) {
                        assert_true(segment_record_entry(rec.type, rec.payload, &e));
                        struct digest leaf = leaf_of(p, &e, a);
                        merkle_append(&tree, &leaf);
                        continue;
                }
                struct checkpoint head;
                struct digest root = merkle_root(&tree);
                char *note = arena_printf(a, "%.*s", (int)rec.payload.n, (const char *)rec.payload.p);

                assert_null(checkpoint_verify(a, note, ORIGIN, p->log->sign_key, &head));
                assert_int_equal(head.size, tree.size);
                assert_true(digest_equal(&head.root, &root));
                heads++;
        }
        assert_int_equal(r, 0);
        assert_int_equal(tree.size, p->fold.seq);
        segment_cursor_close(c);
        arena_free(a);
        return heads;
}

static void base_path(struct place *p, char ret[400])
{
        char name[BASE_NAME_BYTES];

        base_name(p->base.seq, name);
        snprintf(ret, 400, "%s/%s", p->base_dir, name);
}

static void test_R_155_a_purged_log_gives_every_signed_root(void **state)
{
        struct place *p = place_new();
        unsigned heads = check_heads(p);
        struct retention r = run_retention(p);

        assert_true(r.files >= 1);
        assert_true(r.bytes_after < r.bytes_before);
        assert_true(r.inputs >= RECEIPTED);
        assert_int_equal(r.owed, UPDATES - RECEIPTED);          /* nobody has them yet: they stay */
        assert_string_equal(r.reason, "");
        assert_int_equal(check_heads(p), heads);
        open_segments(p);
        assert_int_equal(check_heads(p), heads);
        r = run_retention(p);
        assert_int_equal(r.files, 0);                           /* all that was due is done */
        place_free(p);
}

static void test_R_155_inputs_wait_for_a_base(void **state)
{
        struct place *p = place_new();
        char path[400];

        base_path(p, path);
        assert_int_equal(unlink(path), 0);
        struct retention r = run_retention(p);
        assert_int_equal(r.inputs, 0);
        assert_int_equal(r.bodies, RECEIPTED);
        assert_string_not_equal(r.reason, "");
        check_heads(p);
        struct replay all;
        struct digest d;
        assert_int_equal(replay_all(p, &all, &d), 0);           /* without the bodies, which no rule reads */
        assert_true(digest_equal(&d, &p->full));
        place_free(p);
}

static void test_a_replay_from_base_ends_where_a_full_one_does(void **state)
{
        struct place *p = place_new();
        struct replay all, rest;
        struct digest d;
        struct base b;
        struct fold f;
        struct store *s;
        char path[400], dir[256];
        int fault;

        run_retention(p);
        assert_int_equal(replay_all(p, &all, &d), -EBADMSG);    /* it says where it can begin */
        assert_non_null(strstr(all.reason, "BASE"));
        base_path(p, path);
        temp_dir_make(dir);
        s = open_store(dir);
        assert_null(base_load(path, s, ORIGIN, p->log->sign_key, NULL, NULL, &f, &b, &fault));
        assert_int_equal(f.seq, p->base.seq);
        assert_int_equal(replay(p, &f, &rest), 0);
        assert_int_equal(f.seq, p->fold.seq);
        d = state_digest(s);
        assert_true(digest_equal(&d, &p->full));
        fold_close(&f);
        store_close(s);
        temp_dir_remove(dir);
        place_free(p);
}

static void test_any_flipped_byte_of_a_base_is_refused(void **state)
{
        struct place *p = place_new();
        char path[400], dir[256];
        struct stat st;
        struct fold f;
        struct base b;
        int fd, fault;

        base_path(p, path);
        fd = open(path, O_RDWR);
        assert_int_equal(fstat(fd, &st), 0);
        for (off_t at = 0; at < st.st_size; at += at < 1500 ? 13 : at < BASE_HEADER_BYTES ? BASE_HEADER_BYTES - at : 997) {
                uint8_t byte;
                struct store *s;
                const char *wrong;

                assert_int_equal(pread(fd, &byte, 1, at), 1);
                byte ^= 4;
                assert_int_equal(pwrite(fd, &byte, 1, at), 1);
                temp_dir_make(dir);
                s = open_store(dir);
                wrong = base_load(path, s, ORIGIN, NULL, NULL, NULL, &f, &b, &fault);
                byte ^= 4;
                assert_int_equal(pwrite(fd, &byte, 1, at), 1);
                if (!wrong)
                        fail_msg("offset %lld of %lld", (long long)at, (long long)st.st_size);
                store_close(s);
                temp_dir_remove(dir);
        }
        close(fd);
        place_free(p);
}

static void test_old_bases_go_and_half_written_ones_too(void **state)
{
        struct place *p = place_new();
        uint64_t list[BASE_KEPT_MAX], first = p->base.seq;
        char path[400];
        FILE *half;

        assert_int_equal(base_write(p->store, p->segments, p->base_dir, CITY_DOMAIN, ORIGIN, p->log->sign_secret, p->log->sign_key, NULL, &p->base), 0);
        snprintf(path, sizeof(path), "%s/BASE-%016x.new", p->base_dir, 0);
        half = fopen(path, "w");
        assert_non_null(half);
        fclose(half);
        assert_int_equal(base_list(p->base_dir, true, list), 2);
        assert_int_not_equal(access(path, F_OK), 0);
        assert_int_equal(list[0], first);
        assert_int_equal(list[1], p->fold.seq);
        assert_int_equal(base_prune(p->base_dir, 1), 0);
        assert_int_equal(base_list(p->base_dir, true, list), 1);
        assert_int_equal(list[0], p->fold.seq);
        place_free(p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_R_155_a_purged_log_gives_every_signed_root),
                cmocka_unit_test(test_R_155_inputs_wait_for_a_base),
                cmocka_unit_test(test_a_replay_from_base_ends_where_a_full_one_does),
                cmocka_unit_test(test_any_flipped_byte_of_a_base_is_refused),
                cmocka_unit_test(test_old_bases_go_and_half_written_ones_too),
        };

        return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
