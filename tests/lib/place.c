/* place: see the header. */
#include "tests/lib/place.h"
#include "common/checkpoint.h"
#include "common/macro.h"
#include "tests/lib/temp_dir.h"
#include "tests/lib/unit.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define GROUP 5

struct store *place_open_store(const char *dir)
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

void place_open_segments(struct place *p)
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
void place_feed(struct place *p)
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

struct retention place_retain_behind(struct place *p, const struct retention *before)
{
        struct retention r = { .store = p->store, .segments = p->segments, .base_dir = p->base_dir, .origin = ORIGIN, .domain = CITY_DOMAIN, .log_key = p->log->sign_key,
                               .tried = before->used, .tried_to = before->tried_to };

        assert_int_equal(retention_run(&r), 0);
        r.tried_to = UINT64_MAX;
        return r;
}

struct retention place_retain(struct place *p)
{
        return place_retain_behind(p, &(struct retention){ .tried_to = 0 });
}

struct digest place_state(struct store *s)
{
        struct store_snapshot *snapshot;
        struct digest d;
        uint64_t rows;

        assert_int_equal(store_snapshot_open(s, &snapshot), 0);
        assert_int_equal(fold_state_digest(snapshot, &d, &rows), 0);
        store_snapshot_close(snapshot);
        return d;
}

int place_replay(struct place *p, struct fold *f, struct replay *ret)
{
        int r;

        *ret = (struct replay){ .fold = f, .segments = p->segments, .origin = ORIGIN, .log_key = p->log->sign_key, .signatures = true, .index = true };
        r = replay_run(ret);
        if (r == 0) {
                assert_int_equal(fold_save(f), 0);
                assert_int_equal(store_commit(f->store), 0);
        } else {
                store_abort(f->store);
        }
        return r;
}

int place_replay_all(struct place *p, struct replay *ret, struct digest *ret_state)
{
        char dir[256];
        struct store *s;
        struct fold f;
        int r;

        temp_dir_make(dir);
        s = place_open_store(dir);
        found(&f, s);
        r = place_replay(p, &f, ret);
        if (r == 0)
                *ret_state = place_state(s);
        fold_close(&f);
        store_close(s);
        temp_dir_remove(dir);
        return r;
}

/* ---- the place ---- */

static void go_live(struct place *p)
{
        const char *resource = market_publish(p->m, market_open_entry(p->m));
        const struct digest *grants[] = { &p->grant, &p->behind };
        struct city_result first, second;

        city_trust_head(p->m->c);
        first = market_get(p->m, market_ask(p->m, resource));
        assert_refusal(first.code, ACCEPTED);
        p->grant = first.digest;
        p->get = first.seq;
        second = market_get(p->m, market_ask(p->m, resource));
        assert_refusal(second.code, ACCEPTED);
        p->behind = second.digest;
        for (unsigned i = 0; i < 2; i++)
                assert_refusal(market_subscribe(p->m, grants[i]).code, ACCEPTED);
        p->stream = market_stream_of(p->m, &p->grant);
        assert_refusal(market_epoch(p->m, &p->stream, grants, 2).code, ACCEPTED);
        city_trust_head(p->m->c);
}

static void receive(struct place *p, const struct digest *grant)
{
        assert_refusal(market_send_receipt(p->m, grant, &p->stream.id, market_receipt(p->m, 1, p->stream.head, &p->stream.head_digest)).code, ACCEPTED);
}

static void receive_rest(struct place *p, const struct digest *grant, unsigned received)
{
        uint64_t first = p->stream.head - (PLACE_UPDATES - received) + 1;

        assert_refusal(market_send_receipt(p->m, grant, &p->stream.id, market_receipt(p->m, first, p->stream.head, &p->stream.head_digest)).code, ACCEPTED);
}

void place_receive_all(struct place *p)
{
        receive_rest(p, &p->grant, PLACE_RECEIPTED);
        receive_rest(p, &p->behind, PLACE_GONE);
        place_feed(p);
}

void place_purge_bodies(struct place *p)
{
        uint64_t old = p->m->c->seq;

        city_pass(p->m->c, 3 * 366 * DAY_MS);
        city_tick(p->m->c);
        assert_refusal(purge(p, PURGE_BODIES, old).code, ACCEPTED);
        place_feed(p);
}

struct place *place_new(void)
{
        struct place *p = calloc(1, sizeof(*p));
        struct replay all;

        temp_dir_make(p->dir);
        snprintf(p->log_dir, sizeof(p->log_dir), "%s/log", p->dir);
        snprintf(p->base_dir, sizeof(p->base_dir), "%s/base", p->dir);
        p->store = place_open_store(p->dir);
        place_open_segments(p);
        p->batch = segment_batch_new(1 << 20);
        found(&p->fold, p->store);
        p->m = market_new();
        p->log = city_find(p->m->c, "log");
        city_hire(p->m->c, CITY_AUTHORITY, "auditor", ROLE_AUDIT_OFFICER, 0);
        go_live(p);
        for (unsigned i = 0; i < PLACE_UPDATES; i++) {
                struct city_result r = market_update(p->m, &p->stream, 3);

                assert_refusal(r.code, ACCEPTED);
                p->updates[i] = r.seq;
                if (i + 1 == PLACE_GONE)
                        receive(p, &p->behind);
                if (i + 1 == PLACE_RECEIPTED)
                        receive(p, &p->grant);
        }
        city_trust_head(p->m->c);
        p->old = p->m->c->seq;
        city_pass(p->m->c, 3 * 366 * DAY_MS);
        city_tick(p->m->c);
        city_revoke(p->m->c, p->m->health_user);
        city_trust_head(p->m->c);
        assert_refusal(purge(p, PURGE_BODIES, p->old).code, ACCEPTED);
        place_feed(p);
        assert_int_equal(place_replay_all(p, &all, &p->full), 0);
        assert_int_equal(base_write(p->store, p->segments, p->base_dir, CITY_DOMAIN, ORIGIN, p->log->sign_secret, p->log->sign_key, NULL, &p->base), 0);
        assert_int_equal(p->base.seq, p->fold.seq);
        assert_refusal(purge(p, PURGE_INPUTS, p->old).code, ACCEPTED);
        city_hire(p->m->c, CITY_AUTHORITY, "late", ROLE_USER, 0);
        for (unsigned i = 0; i < 60; i++)       /* and more, so that the files before are closed */
                city_hire(p->m->c, CITY_AUTHORITY, arena_printf(p->m->c->arena, "later-%u", i), ROLE_USER, 0);
        city_trust_head(p->m->c);
        place_feed(p);
        assert_int_equal(place_replay_all(p, &all, &p->full), 0);
        return p;
}

void place_free(struct place *p)
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

void place_base_path(struct place *p, char ret[400])
{
        char name[BASE_NAME_BYTES];

        base_name(p->base.seq, name);
        snprintf(ret, 400, "%s/%s", p->base_dir, name);
}
