/* witness: a request has one form; a head is cosigned only if its tree goes on from the last one; what was cosigned survives, or the start is refused. */
#include "agent/cli/witness_serve.h"
#include "common/merkle.h"
#include "tests/lib/sample.h"
#include "tests/lib/temp_dir.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define ORIGIN "log.442000.example"
#define NAME "audit.example/w1"
#define LEAVES 32

/* A log of LEAVES entries and a fork of it whose leaf 5 is another. */
struct scene {
        char dir[256];
        struct arena *a;
        struct sample_key log, own, other;
        struct digest leaf[2][LEAVES];
        struct secret *secret;
        struct witness_known known[2];
        struct witness_self self;
        struct witness_store *store;
        struct witness_server *server;
};

static void open_witness(struct scene *s)
{
        assert_int_equal(witness_store_open(s->dir, &s->store), 0);
        assert_int_equal(witness_serve_start(NULL, s->store, &s->self, s->known, 2, &s->server), 0);
}

static void close_witness(struct scene *s)
{
        witness_serve_stop(s->server);
        witness_store_close(s->store);
        s->server = NULL;
        s->store = NULL;
}

static int make_scene(void **state)
{
        struct scene *s = calloc(1, sizeof(*s));

        s->a = arena_new(8 << 20);
        s->log = sample_key(1);
        s->own = sample_key(2);
        s->other = sample_key(3);
        for (uint8_t i = 0; i < LEAVES; i++) {
                s->leaf[0][i] = merkle_leaf(bytes_of(&i, 1));
                s->leaf[1][i] = i == 5 ? merkle_leaf(bytes_of("fork", 4)) : s->leaf[0][i];
        }
        s->secret = secret_copy(bytes_of(s->own.secret, 64));
        s->self.secret = s->secret;
        memcpy(s->self.key, s->own.key, 32);
        s->known[0].origin = ORIGIN;
        memcpy(s->known[0].key, s->log.key, 32);
        s->known[1].origin = "second.example";
        memcpy(s->known[1].key, s->other.key, 32);
        temp_dir_make(s->dir);
        assert_int_equal(witness_store_make(s->dir, NAME), 0);
        open_witness(s);
        *state = s;
        return 0;
}

static int end_scene(void **state)
{
        struct scene *s = *state;

        close_witness(s);
        temp_dir_remove(s->dir);
        secret_free(s->secret);
        arena_free(s->a);
        free(s);
        return 0;
}

static int leaf_node(void *ctx, unsigned level, uint64_t index, struct digest *ret)
{
        const struct digest *leaves = ctx;

        *ret = merkle_root_of(leaves + (index << level), (uint64_t)1 << level);
        return 0;
}

static char *note_of(struct scene *s, unsigned history, uint64_t size)
{
        struct checkpoint c = { ORIGIN, size, merkle_root_of(s->leaf[history], size) };

        return checkpoint_sign(s->a, &c, s->log.secret, s->log.key);
}

/* The request from `old` to `size` of that history, with a true proof within it. */
static char *request_of(struct scene *s, unsigned history, uint64_t old, uint64_t size)
{
        struct merkle_source source = { leaf_node, s->leaf[history] };
        struct digest path[MERKLE_PROOF_MAX];
        unsigned n = 0;

        if (old > 0 && old < size)
                assert_int_equal(merkle_prove_consistency(&source, old, size, path, &n), 0);
        return witness_request_format(s->a, old, path, n, note_of(s, history, size));
}

struct told { unsigned status; const char *text, *type; };

static struct told tell(struct scene *s, const char *body)
{
        struct told t;

        t.status = witness_serve_answer(s->server, s->a, bytes_str(body), &t.text, &t.type);
        return t;
}

static void assert_cosigned(struct scene *s, unsigned history, uint64_t old, uint64_t size)
{
        struct told t = tell(s, request_of(s, history, old, size));
        uint64_t at;

        if (t.status != 200)
                fail_msg("%llu to %llu: %u %s", (unsigned long long)old, (unsigned long long)size, t.status, t.text);
        assert_null(checkpoint_check_cosignature(note_of(s, history, size), bytes_str(t.text), NAME, s->own.key, &at));
        assert_in_range(at, time(NULL) - 10, time(NULL) + 1);
}

static void assert_told(struct scene *s, const char *body, unsigned status, const char *text)
{
        struct told t = tell(s, body);

        if (t.status != status || (text && strcmp(t.text, text) != 0))
                fail_msg("%u %s instead of %u %s", t.status, t.text, status, text ? text : "");
        if (status == 409)
                assert_string_equal(t.type, WITNESS_SIZE_TYPE);
}

/* ---- requests ---- */

static void test_a_request_reads_as_it_was_written(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct digest path[WITNESS_PATH_MAX + 1];
        struct witness_request rq;

        memset(path, 7, sizeof(path));
        for (unsigned n = 0; n <= WITNESS_PATH_MAX; n++) {
                char *body = witness_request_format(a, n * 1000000007ull, path, n, "note\n");

                assert_null(witness_request_parse(a, bytes_str(body), &rq));
                assert_int_equal(rq.old, n * 1000000007ull);
                assert_int_equal(rq.path_n, n);
                assert_memory_equal(rq.path, path, n * DIGEST_BYTES);
                assert_string_equal(rq.note, "note\n");
        }
        assert_null(witness_request_format(a, 1, path, WITNESS_PATH_MAX + 1, "note\n"));
}

static void test_a_request_of_another_form_is_refused(void **state)
{
        static const char *const bodies[] = {
                "", "\n", "old\n\nnote\n", "old \n\nnote\n", "old 01\n\nnote\n", "old -1\n\nnote\n", "old 18446744073709551616\n\nnote\n", "OLD 1\n\nnote\n", "old  1\n\nnote\n",
                "old 1 \n\nnote\n", "old 1\r\n\nnote\n", "old 1", "old 1\n", "old 1\n\n", "old 1\nnote\n",
                "old 1\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw\n\nnote\n", "old 1\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkax=\n\nnote\n",
                "old 1\n PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\nnote\n",
        };
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        char *long_body = arena_alloc(a, WITNESS_REQUEST_MAX_BYTES + 2), *many = arena_zalloc(a, 8192), *at = many;
        struct witness_request rq;

        for (unsigned i = 0; i < ELEMENTS(bodies); i++)
                if (!witness_request_parse(a, bytes_str(bodies[i]), &rq))
                        fail_msg("%s", bodies[i]);
        memset(long_body, 'a', WITNESS_REQUEST_MAX_BYTES + 1);
        memcpy(long_body, "old 1\n\n", 7);
        assert_non_null(witness_request_parse(a, bytes_of(long_body, WITNESS_REQUEST_MAX_BYTES + 1), &rq));
        assert_null(witness_request_parse(a, bytes_of(long_body, WITNESS_REQUEST_MAX_BYTES), &rq));
        assert_non_null(witness_request_parse(a, bytes_of("old 1\n\nno\0te\n", 13), &rq));
        at += sprintf(at, "old 1\n");
        for (unsigned i = 0; i <= WITNESS_PATH_MAX; i++)
                at += sprintf(at, "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n");
        sprintf(at, "\nnote\n");
        assert_string_equal(witness_request_parse(a, bytes_str(many), &rq), "more than 63 hashes");
}

static void test_the_published_example_request_reads(void **state)
{
        /* the example of C2SP tlog-witness */
        static const char body[] = "old 20852014\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\njrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n"
                "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\n"
                "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
                NOTE_DASH "example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
                NOTE_DASH "example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n";
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct witness_request rq;
        struct checkpoint c;

        assert_null(witness_request_parse(a, bytes_str(body), &rq));
        assert_int_equal(rq.old, 20852014);
        assert_int_equal(rq.path_n, 4);
        assert_null(checkpoint_peek(a, rq.note, &c));
        assert_string_equal(c.origin, "example.com/behind-the-sofa");
        assert_int_equal(c.size, 20852163);
}

/* ---- answers ---- */

static void test_a_log_that_grows_is_cosigned_at_every_step(void **state)
{
        struct scene *s = *state;

        for (uint64_t old = 0; old < 12; old++)
                assert_cosigned(s, 0, old, old + 1);
        assert_cosigned(s, 0, 12, 12);          /* the same again: a new time */
        assert_cosigned(s, 0, 12, 32);
}

static void test_each_answer_has_its_code(void **state)
{
        struct scene *s = *state;
        struct checkpoint c = { ORIGIN, 9, merkle_root_of(s->leaf[0], 9) }, elsewhere = { "unknown.example", 9, c.root }, second = { "second.example", 9, c.root };
        struct digest wrong[1] = { { { 1 } } };
        char *body;

        assert_cosigned(s, 0, 0, 8);
        assert_told(s, "old 8\n\nnot a note\n", 400, NULL);
        assert_told(s, request_of(s, 0, 9, 8), 400, NULL);
        assert_told(s, witness_request_format(s->a, 0, NULL, 0, checkpoint_sign(s->a, &elsewhere, s->log.secret, s->log.key)), 404, NULL);
        assert_told(s, witness_request_format(s->a, 0, NULL, 0, checkpoint_sign(s->a, &second, s->log.secret, s->log.key)), 403, NULL);
        body = request_of(s, 0, 8, 9);
        body[strlen(body) - 5] ^= 1;            /* in the log's signature */
        assert_int_not_equal(tell(s, body).status, 200);
        assert_told(s, request_of(s, 0, 0, 9), 409, "8\n");
        assert_told(s, request_of(s, 0, 7, 9), 409, "8\n");
        assert_told(s, request_of(s, 0, 9, 12), 409, "8\n");
        assert_told(s, witness_request_format(s->a, 8, wrong, 1, note_of(s, 0, 9)), 422, NULL);
        assert_told(s, witness_request_format(s->a, 8, NULL, 0, note_of(s, 0, 9)), 422, NULL);
        assert_told(s, witness_request_format(s->a, 8, wrong, 1, note_of(s, 0, 8)), 422, NULL);
        assert_cosigned(s, 0, 8, 9);
}

static void test_it_never_goes_back(void **state)
{
        struct scene *s = *state;

        assert_cosigned(s, 0, 0, 20);
        for (uint64_t size = 1; size < 20; size++) {
                assert_told(s, request_of(s, 0, 0, size), 409, "20\n");
                assert_told(s, request_of(s, 0, size, size), 409, "20\n");
                assert_told(s, request_of(s, 0, 20, size), 400, NULL);
        }
}

static unsigned files_beginning(const char *dir, const char *prefix)
{
        char command[600], text[16] = "";
        FILE *f;

        snprintf(command, sizeof(command), "ls %s | grep -c '^%s'", dir, prefix);
        f = popen(command, "r");
        assert_non_null(f);
        assert_non_null(fgets(text, sizeof(text), f));
        pclose(f);
        return (unsigned)atoi(text);
}

static void test_a_second_history_is_refused_wherever_it_is_shown(void **state)
{
        struct scene *s = *state;

        assert_cosigned(s, 0, 0, 5);
        assert_cosigned(s, 0, 5, 10);
        for (uint64_t size = 11; size <= LEAVES; size++)
                assert_told(s, request_of(s, 1, 10, size), 422, NULL);
        assert_int_equal(files_beginning(s->dir, "conflict-"), 0);
        assert_told(s, request_of(s, 1, 10, 10), 409, "10\n");
        assert_int_equal(files_beginning(s->dir, "conflict-"), 1);      /* both heads, each signed by the log */
        assert_cosigned(s, 0, 10, 11);
}

static void test_the_first_head_may_have_any_size_and_the_empty_tree_one_root(void **state)
{
        struct scene *s = *state;
        struct checkpoint c = { ORIGIN, 0, { { 1 } } };

        assert_told(s, witness_request_format(s->a, 0, NULL, 0, checkpoint_sign(s->a, &c, s->log.secret, s->log.key)), 422, NULL);
        assert_cosigned(s, 0, 0, 0);
        assert_cosigned(s, 0, 0, 31);
}

static void test_too_many_heads_of_one_log_are_put_off_and_others_are_not(void **state)
{
        struct scene *s = *state;
        struct checkpoint second = { "second.example", 9, merkle_root_of(s->leaf[0], 9) };
        unsigned refused = 0;

        assert_cosigned(s, 0, 0, 8);
        for (unsigned i = 0; i < 400; i++)
                refused += tell(s, request_of(s, 0, 8, 8)).status == 429;
        assert_in_range(refused, 200, 399);
        assert_int_equal(tell(s, witness_request_format(s->a, 0, NULL, 0, checkpoint_sign(s->a, &second, s->other.secret, s->other.key))).status, 200);
        assert_cosigned(s, 0, 8, 9);            /* who repeats does not keep the log from going on */
}

/* ---- what it remembers ---- */

static void test_what_was_cosigned_is_there_after_a_start(void **state)
{
        struct scene *s = *state;

        assert_cosigned(s, 0, 0, 17);
        close_witness(s);
        open_witness(s);
        assert_string_equal(witness_store_name(s->store), NAME);
        assert_told(s, request_of(s, 0, 0, 17), 409, "17\n");
        assert_told(s, request_of(s, 1, 17, 18), 422, NULL);
        assert_cosigned(s, 0, 17, 18);
}

static void test_a_second_process_is_kept_out(void **state)
{
        struct scene *s = *state;
        struct witness_store *again = NULL;

        assert_int_equal(witness_store_open(s->dir, &again), -EBUSY);
        assert_null(again);
}

static char *state_path(struct scene *s)
{
        return arena_printf(s->a, "%s/state", s->dir);
}

static size_t read_state(struct scene *s, uint8_t *ret)
{
        FILE *f = fopen(state_path(s), "rb");
        size_t n;

        assert_non_null(f);
        n = fread(ret, 1, 16384, f);
        fclose(f);
        return n;
}

static void write_state(struct scene *s, const uint8_t *p, size_t n)
{
        FILE *f = fopen(state_path(s), "wb");

        assert_non_null(f);
        assert_int_equal(fwrite(p, 1, n, f), n);
        fclose(f);
}

static void test_a_damaged_or_missing_state_is_never_an_empty_one(void **state)
{
        struct scene *s = *state;
        struct witness_store *again = NULL;
        uint8_t bytes[16384];
        size_t n;

        assert_cosigned(s, 0, 0, 17);
        close_witness(s);
        n = read_state(s, bytes);
        for (size_t i = 0; i < n; i++) {
                bytes[i] ^= 1 << i % 8;
                write_state(s, bytes, n);
                assert_int_equal(witness_store_open(s->dir, &again), -EBADMSG);
                bytes[i] ^= 1 << i % 8;
        }
        for (size_t cut = 0; cut < n; cut++) {
                write_state(s, bytes, cut);
                assert_int_equal(witness_store_open(s->dir, &again), -EBADMSG);
        }
        assert_int_equal(unlink(state_path(s)), 0);
        assert_int_equal(witness_store_open(s->dir, &again), -ENOENT);
        write_state(s, bytes, n);
        open_witness(s);
}

static void test_a_state_is_made_once(void **state)
{
        struct scene *s = *state;

        assert_int_equal(witness_store_make(s->dir, NAME), -EEXIST);
        assert_int_equal(witness_store_make("/nowhere/at/all", NAME), -ENOENT);
}

static void test_a_declared_cut_lets_the_log_go_on_from_there_alone(void **state)
{
        struct scene *s = *state;
        struct witness_log cut = { ORIGIN, { 5, merkle_root_of(s->leaf[0], 5) }, 2, "" };

        assert_cosigned(s, 0, 0, 10);
        assert_int_equal(witness_store_put(s->store, &cut), 0);
        close_witness(s);
        open_witness(s);
        assert_int_equal(witness_store_find(s->store, ORIGIN)->epoch, 2);
        assert_told(s, request_of(s, 1, 0, 7), 409, "5\n");
        assert_cosigned(s, 1, 5, 7);
        assert_told(s, request_of(s, 0, 7, 10), 422, NULL);
        assert_int_equal(witness_store_find(s->store, ORIGIN)->epoch, 2);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, make_scene, end_scene)

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_request_reads_as_it_was_written),
                cmocka_unit_test(test_a_request_of_another_form_is_refused),
                cmocka_unit_test(test_the_published_example_request_reads),
                IN_SCENE(test_a_log_that_grows_is_cosigned_at_every_step),
                IN_SCENE(test_each_answer_has_its_code),
                IN_SCENE(test_it_never_goes_back),
                IN_SCENE(test_a_second_history_is_refused_wherever_it_is_shown),
                IN_SCENE(test_the_first_head_may_have_any_size_and_the_empty_tree_one_root),
                IN_SCENE(test_too_many_heads_of_one_log_are_put_off_and_others_are_not),
                IN_SCENE(test_what_was_cosigned_is_there_after_a_start),
                IN_SCENE(test_a_second_process_is_kept_out),
                IN_SCENE(test_a_damaged_or_missing_state_is_never_an_empty_one),
                IN_SCENE(test_a_state_is_made_once),
                IN_SCENE(test_a_declared_cut_lets_the_log_go_on_from_there_alone),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
