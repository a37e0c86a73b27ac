/* broker, purged: a real log three years old is purged by two persons; bundles, an auditor's copies, old and new, searches and a replay
 * from BASE hold as before, and so they do when the state was made anew (R-155, R-161, DESIGN 7). */
#include "agent/cli/mirror.h"
#include "common/macro.h"
#include "common/times.h"
#include "proto/log.pb-c.h"
#include "tests/lib/evidence.h"
#include "tests/lib/proofs.h"
#include "tests/lib/unit.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define UPDATES 150                             /* of 64 KiB: more than one file of the log */
#define YEARS_MS ((int64_t)(3 * 366 + 5) * (int64_t)DAY_MS)
#define CONFIG "clock:\n  ahead_max_days: 3650\nlink:\n  listen: tcp://127.0.0.1:0\n"

static const char *program, *library;

static void run_and_find(struct stage *s, const char *how, const char *words, char *out, size_t n)
{
        int code = live_run(&s->live, how, NULL, out, n);

        if (code != 0 || !strstr(out, words))
                fail_msg("%s: %d: %s", how, code, out);
}

/* The same time for the broker and the city. */
static void shift(struct stage *s, int64_t ms)
{
        live_shift_clock(&s->live, library, ms);
        s->m->c->now.ms = times_wall().ms + (uint64_t)ms;
}

static void update(struct stage *s)
{
        static const uint8_t sealed[64 << 10] = { 1 };
        Shuyi__V1__Intent *i = market_update_intent(s->m, &s->stream, 64);
        struct city_result r = city_act(s->m->c, &(struct city_act){ .kind = KIND_UPDATE, .intent = i, .raw = bytes_of(sealed, sizeof(sealed)), .by = { { s->m->civil_agent, ROLE_AGENT } } });

        assert_refusal(r.code, ACCEPTED);
        s->stream.head = i->stream_seq;
        s->stream.head_digest = r.digest;
}

/* To the broker alone: its log has more entries than the city's, of its own. */
static struct live_row purge(struct stage *s, enum purge what, uint64_t to, uint64_t base_seq, const char *base_state)
{
        struct city *c = s->m->c;
        Shuyi__V1__PurgeBody b = SHUYI__V1__PURGE_BODY__INIT;
        uint8_t digest[DIGEST_BYTES];

        b.what = what;
        b.to = to;
        if (what == PURGE_INPUTS) {
                assert_true(hex_parse(base_state, digest, DIGEST_BYTES));
                b.base_seq = base_seq;
                b.base_digest = (ProtobufCBinaryData){ DIGEST_BYTES, digest };
        }
        return live_act(stage_agent(s, c->authority_agent), 0,
                        city_envelope(c, &(struct city_act){ .kind = KIND_PURGE, .body = &b.base,
                                                             .by = { { c->data_operator, ROLE_DATA_OPERATOR }, { city_find(c, "auditor"), ROLE_AUDIT_OFFICER } } }));
}

static void move(struct stage *s, const char *from, const char *to)
{
        char a[400], b[400];

        snprintf(a, sizeof(a), "%s/%s", s->live.dir, from);
        snprintf(b, sizeof(b), "%s/%s", s->live.dir, to);
        assert_int_equal(rename(a, b), 0);
}

/* ---- evidence, as the consumer gets it ---- */

struct asked { struct arena *a; Shuyi__V1__Bundle b; Shuyi__V1__BundleEntry *entries[BUNDLE_ENTRIES_MAX]; ProtobufCBinaryData links[BUNDLE_LINKS_MAX]; };

static void take_rows(struct asked *k, const Shuyi__V1__Page *page)
{
        for (size_t i = 0; i < page->n_rows; i++) {
                const Shuyi__V1__EvidenceRow *row = message_parse(k->a, &shuyi__v1__evidence_row__descriptor, arena_copy(k->a, bytes_of(page->rows[i].data, page->rows[i].len)));

                assert_non_null(row);
                if (row->kind) {
                        k->b.kind = row->kind;
                        k->b.checkpoint = row->checkpoint;
                }
                if (row->entry)
                        k->entries[k->b.n_entries++] = row->entry;
                if (row->link.len)
                        k->links[k->b.n_links++] = row->link;
        }
}

/* Its code, and if it is ACCEPTED what the offline check says: proven. */
static enum refusal evidence(struct stage *s, Shuyi__V1__EvidenceQuery *q, struct bundle_report *ret)
{
        _cleanup_(evidence_freep) struct evidence *city = evidence_of(s->m->c);
        struct asked *k = arena_zalloc(s->m->c->arena, sizeof(*k));
        struct live_agent *a = stage_agent(s, s->m->health_agent);
        const Shuyi__V1__Page *page;

        k->a = s->m->c->arena;
        while ((page = live_read(a, READ_EVIDENCE, message_pack(k->a, &q->base), 0, (struct bytes){ 0 }))->code == E_STATE)
                usleep(200000);                 /* no published trust head stands behind it yet */
        if (page->code != ACCEPTED)
                return (enum refusal)page->code;
        shuyi__v1__bundle__init(&k->b);
        k->b.version = 1;
        k->b.entries = k->entries;
        k->b.links = k->links;
        take_rows(k, page);
        assert_int_equal(page->next.len, 0);
        assert_int_equal(bundle_check(k->a, bundle_write(k->a, &k->b), city->anchor, &(struct bundle_options){ .unwitnessed = true }, ret), 0);
        for (unsigned i = 0; i < BUNDLE_ITEM_COUNT && !ret->wrong && !ret->proven; i++)
                print_error("# %s %s %s %s\n", bundle_item_word(i), bundle_state_word(ret->items[i].state), bundle_fault_word(ret->items[i].fault), ret->items[i].detail);
        assert_null(ret->wrong);
        assert_true(ret->proven);
        return ACCEPTED;
}

static enum refusal transfer(struct stage *s, struct bundle_report *ret)
{
        Shuyi__V1__EvidenceQuery q = SHUYI__V1__EVIDENCE_QUERY__INIT;

        q.grant = (ProtobufCBinaryData){ DIGEST_BYTES, s->grant.b };
        q.stream_seq = UPDATES / 2;
        return evidence(s, &q, ret);
}

/* Of the deciding act by its digest: where it is found is kept, too. */
static void grant_must_be_proven(struct stage *s)
{
        Shuyi__V1__EvidenceQuery q = SHUYI__V1__EVIDENCE_QUERY__INIT;
        struct bundle_report r;

        q.digest = (ProtobufCBinaryData){ DIGEST_BYTES, s->grant.b };
        assert_refusal(evidence(s, &q, &r), ACCEPTED);
        assert_int_equal(r.kind, BUNDLE_DECISION);
}

/* Newest BASE and what is behind it: quick, says how quick, and ends in the recorded state. */
static void replay_from_base(struct stage *s, const char *how)
{
        char out[6000], line[200];
        double seconds;
        unsigned long long entries, per_s, base;
        int code = live_run(&s->live, how, "--from-base", out, sizeof(out));
        const char *speed = strstr(out, "speed "), *counts = strstr(out, "\nentries="), *from = strstr(out, "base seq=");

        if (code != 0 || !speed || !counts || !from || !strstr(out, "all holds") || !strstr(out, "recorded seq="))
                fail_msg("%s --from-base: %d: %s", how, code, out);
        assert_int_equal(sscanf(speed, "speed seconds=%lf cpu_seconds=%*f entries_per_s=%llu", &seconds, &per_s), 2);
        assert_int_equal(sscanf(counts, "\nentries=%llu", &entries), 1);
        assert_int_equal(sscanf(from, "base seq=%llu", &base), 1);
        snprintf(line, sizeof(line), "replayed seq=%llu ", base + entries);
        assert_non_null(strstr(out, line));
        assert_true(base > UPDATES && per_s > 0);
        print_error("# %s --from-base: %.*s\n", how, (int)strcspn(speed, "\n"), speed);
}

/* ---- an auditor's copies ---- */

static struct bytes signed_question(struct stage *s, struct bytes key)
{
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        struct digest d = digest_plain(key);

        i.object = (ProtobufCBinaryData){ DIGEST_BYTES, d.b };
        return city_envelope(s->m->c, &(struct city_act){ .kind = KIND_AUDIT_READ, .intent = &i, .by = { { city_find(s->m->c, "auditor"), ROLE_AUDIT_OFFICER } } });
}

static const Shuyi__V1__Page *ask_log(struct stage *s, enum read what, struct bytes after)
{
        Shuyi__V1__LogQuery q = SHUYI__V1__LOG_QUERY__INIT;
        struct bytes key;
        const Shuyi__V1__Page *page;

        q.origin = "shuyi/" CITY_DOMAIN;
        key = message_pack(s->m->c->arena, &q.base);
        page = live_read_on(stage_agent(s, s->m->c->authority_agent), what, key, after, signed_question(s, key));
        if (page->code != ACCEPTED)
                fail_msg("%s: %s", word_name(LIST_read, what), page->detail);
        return page;
}

static struct mirror *open_copy(struct stage *s, const char *name)
{
        _cleanup_(evidence_freep) struct evidence *city = evidence_of(s->m->c);
        char dir[400];
        struct mirror_options o = { .dir = dir, .signed_anchor = city->anchor, .allow_volatile = true };
        struct mirror *m;

        snprintf(dir, sizeof(dir), "%s/%s", s->live.dir, name);
        assert_int_equal(mirror_open(&o, &m), 0);
        return m;
}

/* To the end of the log, the entry held shown again; what mirror_take() says last. */
static int follow(struct stage *s, struct mirror *m)
{
        uint64_t before, as_of;

        do {
                uint64_t after = mirror_reached(m) == mirror_seq(m) && mirror_seq(m) > 0 ? mirror_seq(m) - 1 : mirror_reached(m);
                const Shuyi__V1__Page *page;
                uint8_t key[8];
                int r = 0;

                put_be64(key, after);
                page = ask_log(s, READ_LOG, after ? bytes_of(key, 8) : (struct bytes){ 0 });
                before = mirror_reached(m);
                as_of = page->as_of;
                assert_int_equal(mirror_begin(m), 0);
                for (size_t i = 0; i < page->n_rows && r == 0; i++)
                        r = mirror_take(m, bytes_of(page->rows[i].data, page->rows[i].len));
                if (r == 0)
                        r = mirror_commit(m);
                if (r < 0) {
                        mirror_abort(m);
                        return r;
                }
        } while (mirror_reached(m) > before && mirror_reached(m) < as_of);
        return 0;
}

static void follow_well(struct stage *s, struct mirror *m)
{
        int r = follow(s, m);

        if (r < 0)
                fail_msg("entry %llu: %s (%d)", (unsigned long long)mirror_wrong(m)->seq, mirror_wrong(m)->what, r);
}

static void save_image(struct stage *s, const char *path)
{
        FILE *f = fopen(path, "wb");
        struct bytes after = { 0 };

        assert_non_null(f);
        do {
                const Shuyi__V1__Page *page = ask_log(s, READ_BASE, after);

                for (size_t i = 0; i < page->n_rows; i++)
                        assert_int_equal(fwrite(page->rows[i].data, 1, page->rows[i].len, f), page->rows[i].len);
                after = arena_copy(s->m->c->arena, bytes_of(page->next.data, page->next.len));
        } while (after.n > 0);
        fclose(f);
}

static bool count_row(void *ctx, struct bytes row)
{
        (*(unsigned *)ctx)++;
        return true;
}

static unsigned kept_acts;

/* By an index that was made anew out of what is left. */
static unsigned acts_found_by_center(struct stage *s)
{
        Shuyi__V1__AuditQuery q = SHUYI__V1__AUDIT_QUERY__INIT;
        struct bytes key;
        const Shuyi__V1__Page *page;

        q.department = CITY_HEALTH;
        q.acts = 1;
        key = message_pack(s->m->c->arena, &q.base);
        page = live_read(stage_agent(s, s->m->c->authority_agent), READ_AUDIT, key, 0, signed_question(s, key));
        assert_refusal(page->code, ACCEPTED);
        return (unsigned)page->n_rows;
}

static unsigned acts_found(struct stage *s, struct mirror *m)
{
        Shuyi__V1__AuditQuery q = SHUYI__V1__AUDIT_QUERY__INIT;
        _cleanup_(arena_freep) struct arena *a = arena_new(32 << 20);
        uint8_t next[AUDIT_CURSOR_BYTES];
        unsigned n = 0;
        bool more;

        q.department = CITY_HEALTH;
        q.acts = 1;
        assert_int_equal(mirror_search(m, &q, (struct bytes){ 0 }, a, count_row, &n, &more, next), 0);
        assert_false(more);
        return n;
}

/* A copy as old as the log goes on through both purges; a new one begins at the image, and comes to the same state; one whose image
 * was touched does not begin. */
static void new_copy_must_come_to_the_same(struct stage *s, struct mirror *old)
{
        struct mirror *new = open_copy(s, "new-copy");
        struct mirror_standing a, b;
        char path[400];
        FILE *f;

        assert_int_equal(follow(s, new), -ENODATA);
        snprintf(path, sizeof(path), "%s/image", s->live.dir);
        save_image(s, path);
        mirror_close(new);
        new = open_copy(s, "newer-copy");
        assert_int_equal(mirror_begin_at(new, path), 0);
        follow_well(s, new);
        follow_well(s, old);
        follow_well(s, new);
        assert_int_equal(mirror_standing(old, &a), 0);
        assert_int_equal(mirror_standing(new, &b), 0);
        assert_int_equal(a.seq, b.seq);
        assert_memory_equal(a.root.b, b.root.b, DIGEST_BYTES);
        assert_memory_equal(a.state.b, b.state.b, DIGEST_BYTES);
        assert_true(mirror_image(new) > 0 && mirror_image(old) == 0);
        print_error("# a new copy: image %llu, left %llu, gone %llu, heads %llu\n", (unsigned long long)mirror_image(new), (unsigned long long)mirror_counts(new)->left,
                    (unsigned long long)mirror_counts(new)->gone, (unsigned long long)mirror_counts(new)->heads);
        assert_true(mirror_counts(new)->left > 20 && mirror_counts(new)->gone >= 100 && mirror_counts(new)->heads > 10);
        assert_true(acts_found(s, new) > 0);
        assert_int_equal(acts_found(s, new) + 1, acts_found(s, old));   /* a SUBSCRIBE went with the inputs */
        kept_acts = acts_found(s, new);
        mirror_close(new);
        f = fopen(path, "r+b");
        assert_non_null(f);
        fseek(f, -200, SEEK_END);
        fputc(fgetc(f) ^ 1, f);
        fclose(f);
        new = open_copy(s, "misled-copy");
        assert_int_equal(mirror_begin_at(new, path), -EBADMSG);
        assert_non_null(strstr(mirror_wrong(new)->what, "image"));
        mirror_close(new);
}

static void test_R_155_evidence_copies_and_searches_outlive_a_purge(void **state)
{
        struct stage *s = stage_new(program, CONFIG);
        char out[6000], base_state[65];
        struct bundle_report r;
        struct mirror *copy;
        unsigned long long base_seq;

        city_hire(s->m->c, CITY_AUTHORITY, "auditor", ROLE_AUDIT_OFFICER, 0);
        stage_go_live(s);
        for (unsigned i = 0; i < UPDATES; i++)
                update(s);
        assert_refusal(market_send_receipt(s->m, &s->grant, &s->stream.id, market_receipt(s->m, 1, s->stream.head, &s->stream.head_digest)).code, ACCEPTED);
        assert_true(stage_tell(s));
        uint64_t old = s->rows[s->told - 1].seq;
        stage_hang_up(s);
        live_stop(&s->live);
        shift(s, YEARS_MS);
        live_start(&s->live, NULL);
        assert_refusal(transfer(s, &r), ACCEPTED);
        assert_int_equal(r.content, BUNDLE_CONTENT_SEALED);
        copy = open_copy(s, "copy");
        follow_well(s, copy);
        assert_refusal(purge(s, PURGE_BODIES, old, 0, NULL).code, ACCEPTED);
        live_wait_metric(&s->live, "shuyi_purged_bodies_total", 1);
        assert_refusal(transfer(s, &r), ACCEPTED);
        assert_int_equal(r.content, BUNDLE_CONTENT_GONE);
        assert_int_equal(r.items[BUNDLE_DELIVERED].state, BUNDLE_OK);
        follow_well(s, copy);
        stage_hang_up(s);
        live_stop(&s->live);
        run_and_find(s, "check", "all holds", out, sizeof(out));
        run_and_find(s, "--base", "base seq=", out, sizeof(out));
        assert_int_equal(sscanf(strstr(out, "base seq="), "base seq=%llu rows=%*u outcomes=%*u bytes=%*u state=%64s", &base_seq, base_state), 2);
        live_start(&s->live, NULL);
        assert_refusal(purge(s, PURGE_INPUTS, old, base_seq, base_state).code, ACCEPTED);
        live_wait_metric(&s->live, "shuyi_purged_inputs_total", 100);
        proofs_must_hold(s, NULL);
        assert_refusal(transfer(s, &r), E_NOT_FOUND);
        grant_must_be_proven(s);
        new_copy_must_come_to_the_same(s, copy);
        mirror_close(copy);
        stage_hang_up(s);
        live_stop(&s->live);
        run_and_find(s, "check", "all holds", out, sizeof(out));
        assert_non_null(strstr(out, "purged_inputs="));
        replay_from_base(s, "--replay");
        replay_from_base(s, "check");
        run_and_find(s, "--replay", "all holds", out, sizeof(out));
        run_and_find(s, "--rebuild", "made anew", out, sizeof(out));
        move(s, "store/base", "store/base.away");
        assert_int_not_equal(live_run(&s->live, "--rebuild", NULL, out, sizeof(out)), 0);       /* part of the log is gone: it needs one */
        assert_int_not_equal(live_run(&s->live, "check", NULL, out, sizeof(out)), 0);
        move(s, "store/base.away", "store/base");
        run_and_find(s, "--rebuild", "made anew", out, sizeof(out));
        run_and_find(s, "check", "all holds", out, sizeof(out));
        move(s, "store/index", "store/index.away");
        live_start(&s->live, NULL);
        city_hire(s->m->c, CITY_AUTHORITY, "after", ROLE_USER, 0);
        assert_true(stage_tell(s));
        proofs_must_hold(s, NULL);              /* old and new, purged and not */
        grant_must_be_proven(s);
        assert_int_equal(acts_found_by_center(s), kept_acts);
        stage_free(s);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_R_155_evidence_copies_and_searches_outlive_a_purge) };

        if (argc < 3)
                return 2;
        program = argv[1];
        library = argv[2];
        return cmocka_run_group_tests_name("broker, purged", tests, NULL, NULL);
}
