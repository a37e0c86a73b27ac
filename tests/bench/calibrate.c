/* calibrate: what the parts of the exchange cost on this machine at this minute.
 *
 * Prints one line a part: name, value, unit (tab-separated).  A figure of the exchange is only worth something beside
 * these, taken in the same run.  CPU parts are timed in CPU time of the thread, waits in wall time. */
#include "common/exchange/exchange.h"
#include "common/link.h"
#include "common/macro.h"
#include "common/merkle.h"
#include "common/record.h"
#include "common/segment.h"
#include "common/store.h"
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double clock_us(clockid_t id)
{
        struct timespec t;

        clock_gettime(id, &t);
        return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void print(const char *name, double value, const char *unit)
{
        printf("%s\t%.2f\t%s\n", name, value, unit);
        fflush(stdout);
}

static void fail(const char *what, int r)
{
        fprintf(stderr, "calibrate: %s: %s\n", what, strerror(-r));
        exit(1);
}

static int by_value(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static void print_median(const char *name, double *times, size_t n)
{
        qsort(times, n, sizeof *times, by_value);
        print(name, times[n / 2], "us");
}

/* ---- processor ---- */

static uint8_t public_key[32], secret_key[64], signature[64], message[65536], sealed[65536 + 64];

static void sign_once(void)
{
        crypto_sign_detached(signature, NULL, message, 85, secret_key);
}

static void verify_once(void)
{
        if (crypto_sign_verify_detached(signature, message, 85, public_key) != 0)
                abort();
}

static void hash_once(void)
{
        crypto_generichash(signature, 32, message, sizeof message, NULL, 0);
}

static void hash_1k_once(void)
{
        crypto_generichash(signature, 32, message, 1024, NULL, 0);
}

static void record_leaf_once(void)
{
        record_leaf(public_key, 1, bytes_of(message, 1024));
}

/* The record of an entry's leaf, into a tree. */
static void tree_leaf_once(void)
{
        static struct merkle_frontier tree;
        struct digest leaf = merkle_leaf(bytes_of(message, LEAF_RECORD_BYTES));

        merkle_append(&tree, &leaf);
}

static void seal_1k_once(void)
{
        unsigned long long n;

        crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, &n, message, 1024, secret_key, 32, NULL, message, secret_key);
}

static void seal_once(void)
{
        unsigned long long n;

        crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, &n, message, sizeof message, secret_key, 32, NULL, message, secret_key);
}

/* A pushed record of 1 KiB. */
static char record[1024];

static void make_record(void)
{
        int n = snprintf(record, sizeof record, "{\"op\":\"UPSERT\",\"changed_at\":\"2026-02-12T02:00:00.000Z\",\"values\":{\"code\":\"442000001001\","
                         "\"name\":\"示例社区居委会\",\"level\":\"village\",\"parent\":\"442000001\",\"memo\":\"");

        memset(record + n, 'm', sizeof record - (size_t)n - 4);
        memcpy(record + sizeof record - 4, "\"}}", 4);
}

static void parse_once(void)
{
        json_t *j = json_loads(record, JSON_REJECT_DUPLICATES, NULL);

        free(json_dumps(j, JSON_COMPACT));
        json_decref(j);
}

/* ---- what the other processors do meanwhile ---- */

enum { NEIGHBOURS_MAX = 64 };
static pid_t neighbours[NEIGHBOURS_MAX];
static unsigned neighbours_n;

/* A ceiling counts all processors at once, and two that share a core or its clock do less each than one alone: so what costs
 * processor time is timed while the others work. */
static void neighbours_start(void)
{
        long cores = sysconf(_SC_NPROCESSORS_ONLN);

        while (neighbours_n + 1 < cores && neighbours_n < NEIGHBOURS_MAX) {
                pid_t child = fork();

                if (child < 0)
                        fail("fork", -errno);
                if (child == 0) {
                        prctl(PR_SET_PDEATHSIG, SIGKILL);
                        for (;;) {
                                verify_once();
                                hash_once();
                                seal_once();
                        }
                }
                neighbours[neighbours_n++] = child;
        }
}

static void neighbours_stop(void)
{
        while (neighbours_n > 0) {
                kill(neighbours[--neighbours_n], SIGKILL);
                waitpid(neighbours[neighbours_n], NULL, 0);
        }
}

static void calibrate_cpu(const char *name, void (*once)(void), unsigned n)
{
        double times[5];

        for (int round = 0; round < 5; round++) {
                double start = clock_us(CLOCK_THREAD_CPUTIME_ID);
                for (unsigned i = 0; i < n; i++)
                        once();
                times[round] = (clock_us(CLOCK_THREAD_CPUTIME_ID) - start) / n;
        }
        print_median(name, times, 5);
}

/* ---- disk ---- */

enum { SYNCS = 200 };

/* Walked as a replay does: found, checked, given on. */
static void calibrate_segment_read(struct segment_log *log)
{
        double best = 1e18;

        for (int round = 0; round < 5; round++) {
                double start = clock_us(CLOCK_THREAD_CPUTIME_ID);
                struct segment_cursor *c;
                struct segment_record next;
                int r = segment_cursor_open(log, (struct segment_place){ 0 }, 0, 0, &c);

                if (r < 0)
                        fail("segment_cursor_open", r);
                while ((r = segment_cursor_next(c, &next)) > 0)
                        ;
                if (r < 0)
                        fail("segment_cursor_next", r);
                segment_cursor_close(c);
                double took = (clock_us(CLOCK_THREAD_CPUTIME_ID) - start) / SYNCS;
                best = took < best ? took : best;
        }
        print("segment_read_1k", best, "us");
}

static void calibrate_segment(const char *dir)
{
        char path[4096];
        struct segment_log *log;
        struct segment_recovery recovery;
        struct segment_batch *batch = segment_batch_new(1 << 20);
        double times[SYNCS], cpu;

        snprintf(path, sizeof path, "%s/segments", dir);
        struct segment_options o = { .dir = path, .domain = "442000", .allow_volatile = true };
        int r = segment_open(&o, &log, &recovery);
        if (r < 0 || !batch)
                fail("segment_open", r < 0 ? r : -ENOMEM);
        cpu = clock_us(CLOCK_THREAD_CPUTIME_ID);
        for (uint64_t i = 0; i < SYNCS; i++) {
                struct segment_entry e = { .epoch = 1, .seq = i + 1, .envelope = bytes_of(message, 1400) };
                char note[64];
                snprintf(note, sizeof note, "calibrate\n%llu\nAAAA\n", (unsigned long long)e.seq);
                segment_batch_reset(batch);
                r = segment_batch_add_entry(batch, &e);
                r = r < 0 ? r : segment_batch_add_head(batch, 1, e.seq, bytes_str(note));
                r = r < 0 ? r : segment_plan(log, batch);
                double start = clock_us(CLOCK_MONOTONIC);
                r = r < 0 ? r : segment_write(log, batch);
                r = r < 0 ? r : segment_sync(log);
                times[i] = clock_us(CLOCK_MONOTONIC) - start;
                if (r < 0)
                        fail("segment", r);
        }
        print("segment_sync_cpu", (clock_us(CLOCK_THREAD_CPUTIME_ID) - cpu) / SYNCS, "us");
        print_median("segment_sync", times, SYNCS);
        segment_batch_free(batch);
        neighbours_start();
        calibrate_segment_read(log);
        neighbours_stop();
        segment_close(log);
}

enum { STORE_GROUPS = 40, STORE_GROUP = 256 };

/* Appended and removed again, as a record passes through an outbox; commits of 256. */
static void calibrate_store_records(struct store *store)
{
        double start = clock_us(CLOCK_THREAD_CPUTIME_ID);
        uint64_t put = 1 << 20, removed = put;

        for (unsigned g = 0; g < STORE_GROUPS; g++) {
                int r = store_begin(store);
                for (unsigned i = 0; i < STORE_GROUP && r >= 0; i++) {
                        uint8_t key[8];
                        put_be64(key, ++put);
                        r = store_append(store, STORE_STATE, bytes_of(key, 8), bytes_of(message, 1024));
                        if (r >= 0 && g > 0) {
                                put_be64(key, ++removed);
                                r = store_del(store, STORE_STATE, bytes_of(key, 8));
                        }
                }
                r = r < 0 ? r : store_commit(store);
                if (r < 0)
                        fail("store", r);
        }
        print("store_record", (clock_us(CLOCK_THREAD_CPUTIME_ID) - start) / (STORE_GROUPS * STORE_GROUP), "us");
}

/* Rows of a state: small, appended by tables that grow with time, in large commits. */
static void calibrate_state_rows(struct store *store)
{
        double start = clock_us(CLOCK_THREAD_CPUTIME_ID);

        for (uint64_t g = 0; g < STORE_GROUPS; g++) {
                int r = store_begin(store);
                for (uint64_t i = 0; i < 4 * STORE_GROUP && r >= 0; i++) {
                        uint8_t key[41] = { (uint8_t)(0x80 + i % 4) };
                        put_be64(key + 33, g * 4 * STORE_GROUP + i);
                        r = store_put(store, STORE_STATE, bytes_of(key, sizeof key), bytes_of(message, 64));
                }
                r = r < 0 ? r : store_commit(store);
                if (r < 0)
                        fail("store", r);
        }
        print("state_row", (clock_us(CLOCK_THREAD_CPUTIME_ID) - start) / (STORE_GROUPS * 4 * STORE_GROUP), "us");
}

static void calibrate_store(const char *dir)
{
        char path[4096];
        struct store *store;
        double times[SYNCS];

        snprintf(path, sizeof path, "%s/store", dir);
        struct store_options o = { .dir = path, .map_bytes = 256 << 20, .allow_volatile = true };
        int r = store_open(&o, &store);
        if (r < 0)
                fail("store_open", r);
        for (uint64_t i = 0; i < SYNCS; i++) {
                uint8_t key[8];
                put_be64(key, i + 1);
                double start = clock_us(CLOCK_MONOTONIC);
                r = store_begin(store);
                r = r < 0 ? r : store_append(store, STORE_STATE, bytes_of(key, 8), bytes_of(message, 1400));
                r = r < 0 ? r : store_commit(store);
                times[i] = clock_us(CLOCK_MONOTONIC) - start;
                if (r < 0)
                        fail("store", r);
        }
        print_median("store_commit", times, SYNCS);
        neighbours_start();
        calibrate_store_records(store);
        calibrate_state_rows(store);
        neighbours_stop();
        store_close(store);
}

/* ---- link ---- */

enum { ROUND_TRIPS = 2000, FRAMES_1K = 20000, FRAMES_64K = 1000, WINDOW = 16 };

static enum link_admission admit_all(void *ctx, const uint8_t key[LINK_KEY_BYTES], const char *address, struct id *ret_agent)
{
        memset(ret_agent, 1, sizeof *ret_agent);
        return LINK_ADMIT;
}

/* Sends every frame back. */
static void *echo(void *ctx)
{
        struct link_server *s = ctx;

        for (;;) {
                struct link_frame *f;
                if (link_server_receive(s, &f) == 0) {
                        bool end = f->body.n == 1;
                        link_server_send(s, &f->route, f->body);
                        link_frame_free(f);
                        if (end)
                                return NULL;
                } else {
                        link_server_wait(s, NULL, NULL, 0, 1000);
                }
        }
}

static void pass_events(struct link_client *l)
{
        while (link_client_event(l, NULL) != LINK_EVENT_NONE)
                ;
}

static void await_frame(struct link_client *l)
{
        struct link_frame *f;

        for (;;) {
                pass_events(l);
                if (link_client_receive(l, &f) == 0) {
                        link_frame_free(f);
                        return;
                }
                link_client_wait(l, NULL, NULL, 0, 1000);
        }
}

static void send_frame(struct link_client *l, size_t n)
{
        while (link_client_send(l, bytes_of(message, n)) == -EAGAIN) {
                link_client_wait(l, NULL, NULL, 0, 1);
                pass_events(l);
        }
}

/* CPU of one frame over CURVE, both ends. */
static double flood(struct link_client *client, size_t size, size_t frames)
{
        double start = clock_us(CLOCK_PROCESS_CPUTIME_ID);

        for (size_t i = 0; i < frames + WINDOW; i++) {
                if (i < frames)
                        send_frame(client, size);
                if (i >= WINDOW)
                        await_frame(client);
        }
        return (clock_us(CLOCK_PROCESS_CPUTIME_ID) - start) / (2.0 * (double)frames);
}

static void calibrate_link(void)
{
        uint8_t server_public[32], server_secret[32], client_public[32], client_secret[32];
        struct link_context *context;
        struct link_server *server = NULL;
        struct link_client *client;
        static double times[ROUND_TRIPS];
        pthread_t thread;

        link_keypair(server_public, server_secret);
        link_keypair(client_public, client_secret);
        int r = link_context_new(&context);
        struct link_server_options so = { .endpoint = "tcp://127.0.0.1:*", .secret_key = server_secret, .admit = admit_all };
        r = r < 0 ? r : link_server_open(context, &so, &server);
        if (r < 0)
                fail("link_server_open", r);
        struct link_client_options co = { .endpoint = link_server_endpoint(server), .server_key = server_public, .secret_key = client_secret };
        r = link_client_open(context, &co, &client);
        if (r < 0)
                fail("link_client_open", r);
        pthread_create(&thread, NULL, echo, server);
        send_frame(client, 1024);
        await_frame(client);
        for (size_t i = 0; i < ROUND_TRIPS; i++) {
                double start = clock_us(CLOCK_MONOTONIC);
                send_frame(client, 1024);
                await_frame(client);
                times[i] = clock_us(CLOCK_MONOTONIC) - start;
        }
        print_median("curve_round_trip", times, ROUND_TRIPS);
        print("curve_hop_1k", flood(client, 1400, FRAMES_1K), "us");
        print("curve_hop_64k", flood(client, sizeof message, FRAMES_64K), "us");
        send_frame(client, 1);
        pthread_join(thread, NULL);
        link_client_close(client);
        link_server_close(server);
        link_context_free(context);
}

int main(int argc, char **argv)
{
        if (argc != 2 || sodium_init() < 0) {
                fprintf(stderr, "calibrate DIR\n");
                return 2;
        }
        crypto_sign_keypair(public_key, secret_key);
        neighbours_start();
        calibrate_cpu("ed25519_sign", sign_once, 500);
        calibrate_cpu("ed25519_verify", verify_once, 500);
        make_record();
        calibrate_cpu("blake2b_1k", hash_1k_once, 5000);
        calibrate_cpu("blake2b_64k", hash_once, 500);
        calibrate_cpu("seal_1k", seal_1k_once, 5000);
        calibrate_cpu("seal_64k", seal_once, 500);
        calibrate_cpu("record_leaf_1k", record_leaf_once, 5000);
        calibrate_cpu("tree_leaf", tree_leaf_once, 5000);
        calibrate_cpu("json_record_1k", parse_once, 5000);
        neighbours_stop();
        calibrate_segment(argv[1]);
        calibrate_store(argv[1]);
        calibrate_link();
        return 0;
}
