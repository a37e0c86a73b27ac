/* broker, proofs: what the real broker shows of its tree, to links and over HTTP, holds for who trusts nobody; and tiles that were
 * cut off or altered are found and derived again. */
#include "common/merkle.h"
#include "proto/audit.pb-c.h"
#include "tests/lib/proofs.h"
#include "tests/lib/unit.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *program;

static void update(struct stage *s, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                assert_refusal(market_update(s->m, &s->stream, 1).code, ACCEPTED);
        assert_true(stage_tell(s));
}

static struct stage *make_stage(unsigned updates)
{
        struct stage *s = stage_new(program, "");

        stage_go_live(s);
        update(s, updates);
        return s;
}

/* ---- proofs ---- */

static void test_every_entry_is_proved_under_the_published_head_and_heads_are_consistent(void **state)
{
        struct stage *s = make_stage(10);
        struct proofs_head first = proofs_must_hold(s, NULL), second;

        update(s, 290);                         /* past the first full tile */
        second = proofs_must_hold(s, &first);
        assert_true(second.head.size > 256 && first.head.size < second.head.size);
        assert_int_equal(second.epoch, 1);
        assert_true(live_metric(&s->live, "shuyi_tiles_leaves") >= (double)second.head.size);
        assert_int_equal(live_metric(&s->live, "shuyi_tiles_mended_total"), 0);
        stage_free(s);
}

static void test_any_department_gets_proofs_of_any_entry(void **state)
{
        struct stage *s = make_stage(0);
        uint64_t seqs[] = { 1, 2, 3 };

        proofs_published(s, 3);
        assert_int_equal(proofs_ask(stage_agent(s, s->m->health_agent), 0, seqs, 3)->n_rows, 1);
        assert_int_equal(proofs_ask_consistency(stage_agent(s, s->m->health_agent), 1, 3)->n_rows, 1);
        assert_int_equal(live_read(stage_agent(s, s->m->health_agent), READ_CHECKPOINT, (struct bytes){ 0 }, 0, (struct bytes){ 0 })->n_rows, 1);
        stage_free(s);
}

static void test_queries_that_make_no_sense_are_refused_with_a_sentence(void **state)
{
        static const struct { const char *name; uint64_t size; uint64_t seqs[3]; size_t n; enum refusal want; } cases[] = {
                { "none named", 0, { 0 }, 0, E_FORM },
                { "entry 0", 0, { 0, 1 }, 2, E_FORM },
                { "not ascending", 0, { 2, 1 }, 2, E_FORM },
                { "one twice", 0, { 2, 2 }, 2, E_FORM },
                { "above the published head", 0, { 1, 1u << 30 }, 2, E_FORM },
                { "above the size that is asked for", 3, { 4 }, 1, E_FORM },
                { "a size that is not there", 1ull << 40, { 1 }, 1, E_BOUND },
                { "no size at all", UINT64_MAX, { 1 }, 1, E_BOUND },
        };
        static const struct { const char *name; uint64_t first, second; enum refusal want; } spans[] = {
                { "from nothing", 0, 3, E_FORM }, { "backwards", 3, 2, E_FORM }, { "from above the published head", 1ull << 40, 0, E_FORM },
                { "to a size that is not there", 1, 1ull << 40, E_BOUND }, { "to no size at all", 1, UINT64_MAX, E_BOUND },
        };
        static uint64_t many[257];
        struct stage *s = make_stage(0);
        struct live_agent *a = stage_agent(s, s->m->health_agent);
        const Shuyi__V1__Page *page;

        proofs_published(s, 5);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                page = proofs_ask(a, cases[i].size, cases[i].seqs, cases[i].n);
                if (page->code != (uint32_t)cases[i].want || page->n_rows > 0 || strlen(page->detail) < 20)
                        fail_msg("%s: %s %s", cases[i].name, refusal_text(page->code)->code, page->detail);
        }
        for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
                page = proofs_ask_consistency(a, spans[i].first, spans[i].second);
                if (page->code != (uint32_t)spans[i].want || page->n_rows > 0 || strlen(page->detail) < 20)
                        fail_msg("%s: %s %s", spans[i].name, refusal_text(page->code)->code, page->detail);
        }
        for (unsigned i = 0; i < 257; i++)
                many[i] = i + 1;
        assert_refusal(proofs_ask(a, 0, many, 257)->code, E_FORM);
        assert_refusal(live_read(a, READ_PROOF, bytes_str("no message"), 0, (struct bytes){ 0 })->code, E_FORM);
        assert_refusal(live_read(a, READ_CONSISTENCY, bytes_str("no message"), 0, (struct bytes){ 0 })->code, E_FORM);
        stage_free(s);
}

/* ---- over HTTP ---- */

static struct bytes fetch(struct stage *s, const char *path, const char *type, const char *cache)
{
        const char *head;
        struct bytes body;
        char want[100];

        if (live_fetch(&s->live, path, &head, &body) != 200)
                fail_msg("%s: %s", path, head);
        snprintf(want, sizeof(want), "Content-Type: %s\r\n", type);
        assert_non_null(strstr(head, want));
        snprintf(want, sizeof(want), "Cache-Control: %s\r\n", cache);
        assert_non_null(strstr(head, want));
        return body;
}

static size_t fetch_tile(struct stage *s, const char *path, struct digest *ret)
{
        struct bytes b = fetch(s, path, "application/octet-stream", "public, max-age=31536000, immutable");

        assert_true(b.n % DIGEST_BYTES == 0 && b.n <= 256 * DIGEST_BYTES);
        memcpy(ret, b.p, b.n);
        return b.n / DIGEST_BYTES;
}

/* A client of C2SP tlog-tiles: the checkpoint, then the tiles that its size implies, then the root. */
static void test_checkpoint_and_tiles_over_http_give_the_root(void **state)
{
        static const char *const absent[] = {
                "/tile/0/002", "/tile/0/001", "/tile/0/001.p/255", "/tile/1/000", "/tile/1/000.p/2", "/tile/2/000.p/1", "/tile/63/000", "/tile/64/000",
                "/tile/0/000.p/0", "/tile/0/000.p/256", "/tile/0/0", "/tile/0/x000/000", "/tile/00/000", "/tile/0/000/", "/tile/entries/000", "/tile/data/000",
                "/tile/0/x999/x999/x999/x999/x999/999", "/tile/0/999999999999999999999", "/tile", "/tile/0",
        };
        struct stage *s = make_stage(280);
        struct digest leaves[512], upper[256], root;
        struct checkpoint c;
        const char *head;
        struct bytes body;
        char path[40];

        proofs_published(s, 300);
        body = fetch(s, "/checkpoint", "text/plain; charset=utf-8", "no-cache");
        char *note = strndup((const char *)body.p, body.n);
        assert_null(checkpoint_verify(s->m->c->arena, note, "shuyi/" CITY_DOMAIN, city_find(s->m->c, "log")->sign_key, &c));
        free(note);
        assert_true(c.size > 256 && c.size < 511);
        assert_int_equal(fetch_tile(s, "/tile/0/000", leaves), 256);
        snprintf(path, sizeof(path), "/tile/0/001.p/%u", (unsigned)(c.size - 256));
        assert_int_equal(fetch_tile(s, path, leaves + 256), c.size - 256);
        root = merkle_root_of(leaves, c.size);
        assert_memory_equal(root.b, c.root.b, DIGEST_BYTES);
        assert_int_equal(fetch_tile(s, "/tile/1/000.p/1", upper), 1);
        root = merkle_root_of(leaves, 256);
        assert_memory_equal(root.b, upper[0].b, DIGEST_BYTES);
        assert_int_equal(fetch_tile(s, "/tile/0/000.p/7", upper), 7);
        assert_memory_equal(upper, leaves, 7 * DIGEST_BYTES);
        for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
                if (live_fetch(&s->live, absent[i], &head, &body) != 404)
                        fail_msg("%s is there: %s", absent[i], head);
        stage_free(s);
}

/* ---- damage ---- */

static const char *tile_file(struct stage *s, unsigned level)
{
        static char path[400];

        snprintf(path, sizeof(path), "%s/store/tiles/%u", s->live.dir, level);
        return path;
}

static void flip(struct stage *s, unsigned level, unsigned hash)
{
        int fd = open(tile_file(s, level), O_RDWR);
        uint8_t b;

        assert_true(fd >= 0);
        assert_int_equal(pread(fd, &b, 1, hash * DIGEST_BYTES), 1);
        b ^= 0x80;
        assert_int_equal(pwrite(fd, &b, 1, hash * DIGEST_BYTES), 1);
        close(fd);
}

static void restart(struct stage *s)
{
        stage_hang_up(s);
        live_start(&s->live, NULL);
}

static void test_a_flipped_byte_in_a_tile_is_found_and_mended(void **state)
{
        static const struct { const char *name; bool running; unsigned level, hash; } cases[] = {
                { "a full tile, while it is read", true, 0, 100 },
                { "the right edge, over a restart", false, 0, 260 },
                { "the level above, over a restart", false, 1, 0 },
        };
        struct stage *s = make_stage(280);
        struct proofs_head before = proofs_must_hold(s, NULL);

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                if (!cases[i].running)
                        live_kill(&s->live);
                flip(s, cases[i].level, cases[i].hash);
                if (!cases[i].running)
                        restart(s);
                /* the reader kept the last tile that it proved from, which is another one: this is read from the file again */
                before = proofs_must_hold(s, &before);
                live_wait_metric(&s->live, "shuyi_tiles_mended_total", 1);
        }
        assert_int_equal(live_metric(&s->live, "shuyi_tiles_lost_total"), 0);
        stage_free(s);
}

static void test_tiles_that_are_missing_short_or_zeroed_are_derived_again(void **state)
{
        static const struct { const char *name; unsigned level; off_t bytes; bool zeros; } cases[] = {
                { "all leaves gone", 0, 0, false }, { "a leaf cut in two", 0, 200 * DIGEST_BYTES + 7, false },
                { "the level above gone", 1, 0, false }, { "blocks that a power cut left as zeros", 0, 200 * DIGEST_BYTES, true },
        };
        struct stage *s = make_stage(280);
        struct proofs_head before = proofs_must_hold(s, NULL);

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct stat st;

                live_kill(&s->live);
                assert_int_equal(stat(tile_file(s, cases[i].level), &st), 0);
                assert_int_equal(truncate(tile_file(s, cases[i].level), cases[i].bytes), 0);
                if (cases[i].zeros)
                        assert_int_equal(truncate(tile_file(s, cases[i].level), st.st_size), 0);
                restart(s);
                before = proofs_must_hold(s, &before);
        }
        live_kill(&s->live);
        for (unsigned level = 0; level < 6; level++)
                assert_int_equal(unlink(tile_file(s, level)), 0);
        restart(s);
        proofs_must_hold(s, &before);
        stage_free(s);
}

static void test_a_broker_that_stops_and_starts_goes_on_with_the_tree(void **state)
{
        struct stage *s = make_stage(5);
        struct proofs_head before = { 0 };

        for (unsigned i = 0; i < 4; i++) {
                before = proofs_must_hold(s, &before);
                stage_hang_up(s);
                if (i % 2)
                        live_kill(&s->live);
                else
                        live_stop(&s->live);
                restart(s);
                update(s, 3);
        }
        before = proofs_must_hold(s, &before);
        assert_int_equal(live_metric(&s->live, "shuyi_tiles_mended_total"), 0);
        stage_free(s);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_entry_is_proved_under_the_published_head_and_heads_are_consistent),
                cmocka_unit_test(test_any_department_gets_proofs_of_any_entry),
                cmocka_unit_test(test_queries_that_make_no_sense_are_refused_with_a_sentence),
                cmocka_unit_test(test_checkpoint_and_tiles_over_http_give_the_root),
                cmocka_unit_test(test_a_flipped_byte_in_a_tile_is_found_and_mended),
                cmocka_unit_test(test_tiles_that_are_missing_short_or_zeroed_are_derived_again),
                cmocka_unit_test(test_a_broker_that_stops_and_starts_goes_on_with_the_tree),
        };

        if (argc < 2)
                return 2;
        program = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
