/* witness: killed at every point between the request and the answer, it comes back with the state before or after, and never cosigned
 * what it does not remember. */
#include "agent/cli/witness_serve.h"
#include "common/merkle.h"
#include "tests/lib/sample.h"
#include "tests/lib/temp_dir.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define ORIGIN "log.442000.example"
#define LEAVES 8

static struct digest leaves[LEAVES];
static struct sample_key log_key, own;

static int leaf_node(void *ctx, unsigned level, uint64_t index, struct digest *ret)
{
        *ret = merkle_root_of(leaves + (index << level), (uint64_t)1 << level);
        return 0;
}

static char *request_of(struct arena *a, uint64_t old, uint64_t size)
{
        struct checkpoint c = { ORIGIN, size, merkle_root_of(leaves, size) };
        struct merkle_source source = { leaf_node, NULL };
        struct digest path[MERKLE_PROOF_MAX];
        unsigned n = 0;

        if (old > 0 && merkle_prove_consistency(&source, old, size, path, &n) < 0)
                return NULL;
        return witness_request_format(a, old, path, n, checkpoint_sign(a, &c, log_key.secret, log_key.key));
}

/* Cosigns the log at 1, 2, 3, ...; each size goes into the pipe once its cosignature is there.  Ends by the failpoint. */
static void be_witness(const char *dir, int told)
{
        struct witness_known known = { .origin = ORIGIN };
        struct witness_self self = { .secret = secret_copy(bytes_of(own.secret, 64)) };
        struct arena *a = arena_new(4 << 20);
        struct witness_server *server;
        struct witness_store *store;
        const char *text, *type;

        memcpy(known.key, log_key.key, 32);
        memcpy(self.key, own.key, 32);
        if (witness_store_open(dir, &store) < 0 || witness_serve_start(NULL, store, &self, &known, 1, &server) < 0)
                _exit(3);
        for (uint8_t size = 1; size <= LEAVES; size++) {
                char *body = request_of(a, size - 1u, size);

                if (witness_serve_answer(server, a, bytes_str(body), &text, &type) != WITNESS_COSIGN || write(told, &size, 1) != 1)
                        _exit(4);
        }
        _exit(0);
}

/* The largest size whose cosignature came out. */
static uint64_t run_until_killed(const char *dir, const char *point)
{
        uint8_t size, last = 0;
        int status, ends[2];
        pid_t child;

        assert_int_equal(pipe(ends), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
                setenv("SHUYI_FAILPOINT", point, 1);
                close(ends[0]);
                be_witness(dir, ends[1]);
        }
        close(ends[1]);
        while (read(ends[0], &size, 1) == 1)
                last = size;
        close(ends[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
                fail_msg("%s: not killed there: status %d", point, status);
        return last;
}

/* In a process of its own: the points count from a process's first visit. */
static void make_state(const char *dir)
{
        pid_t child = fork();
        int status;

        assert_true(child >= 0);
        if (child == 0)
                _exit(witness_store_make(dir, "audit.example/w1") == 0 ? 0 : 1);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
}

static void test_killed_at_any_point_it_remembers_what_it_cosigned(void **state)
{
        static const char *const points[] = { "witness.before_state", "witness.before_rename", "witness.after_rename", "witness.after_state" };

        for (unsigned i = 0; i < ELEMENTS(points); i++) {
                for (unsigned n = 1; n <= 5; n += 2) {
                        const struct witness_log *log;
                        struct witness_store *store;
                        uint64_t told, held;
                        char dir[256], point[64];

                        temp_dir_make(dir);
                        make_state(dir);
                        snprintf(point, sizeof(point), "%s:%u", points[i], n);
                        told = run_until_killed(dir, point);
                        assert_int_equal(told, n - 1);
                        assert_int_equal(witness_store_open(dir, &store), 0);
                        log = witness_store_find(store, ORIGIN);
                        held = log ? log->head.size : 0;
                        if (held != (i < 2 ? n - 1 : n))
                                fail_msg("%s: cosigned %llu, remembers %llu", point, (unsigned long long)told, (unsigned long long)held);
                        if (held > 0) {
                                struct digest root = merkle_root_of(leaves, held);

                                assert_memory_equal(log->head.root.b, root.b, DIGEST_BYTES);
                        }
                        witness_store_close(store);
                        temp_dir_remove(dir);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_killed_at_any_point_it_remembers_what_it_cosigned) };

        if (sodium_init() < 0)
                return 1;
        log_key = sample_key(1);
        own = sample_key(2);
        for (uint8_t i = 0; i < LEAVES; i++)
                leaves[i] = merkle_leaf(bytes_of(&i, 1));
        return cmocka_run_group_tests(tests, NULL, NULL);
}
