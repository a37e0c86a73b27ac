/* peer: see the header.  Prints name, value, unit (tab-separated). */
#include "peer.h"
#include "samples.h"
#include "common/record.h"
#include "common/times.h"
#include <errno.h>
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <signal.h>

#define PEER_RECORD_BYTES 1024
#define FRAMES_MAX (1u << 20)
#define READERS_MAX 16u
#define SIGNED_BYTES 85                 /* what an Ed25519 signature covers: a digest and who signs (PROTOCOL.md 4) */
#define RECORDS_A_FRAME_MAX 256u

static const char usage[] =
        "peer nats|redis PORT [options]\n"
        "  --records N   records of 1 KiB a frame (1)\n"
        "  --readers N   each takes every frame (1)\n"
        "  --rate R      frames a second (as many as go)\n"
        "  --seconds S   timed run (5), after one second of warming up\n";

struct frame { uint8_t nonce[24], signature[64]; uint32_t number, sealed; uint8_t body[]; };

struct peer_corner { uint64_t frames; double p50, p99; _Atomic int ready, done; };

struct peer_board {
        uint8_t key[32], public_key[32], secret_key[64];
        _Atomic uint64_t start, stop, last;             /* ns, ns; number of the last frame; 0 not yet */
        struct peer_corner corners[READERS_MAX];
        uint64_t made_ns[FRAMES_MAX];
};

struct peer {
        const struct transport *transport;
        int port;
        uint32_t records, readers, rate;
        uint64_t run_ns;
        struct peer_board *board;
        uint8_t *plain;                                 /* seed, then the records */
        size_t plain_n;
        struct frame *frame;
};

void peer_die(const char *what, const char *why)
{
        fprintf(stderr, "peer: %s: %s\n", what, why);
        _Exit(1);
}

static uint64_t now_ns(void)
{
        return times_mono().ns;
}

/* ---- a frame, made and checked ---- */

/* Root over the records, as each may be shown without its neighbours. */
static void root_of(const struct peer *p, const uint8_t *plain, uint8_t ret[32])
{
        ProtobufCBinaryData records[RECORDS_A_FRAME_MAX];
        struct digest leaves[RECORDS_A_FRAME_MAX], root;

        for (uint32_t i = 0; i < p->records; i++)
                records[i] = (ProtobufCBinaryData){ PEER_RECORD_BYTES, (uint8_t *)plain + 32 + (size_t)i * PEER_RECORD_BYTES };
        root = record_root(plain, records, p->records, leaves);
        memcpy(ret, root.b, 32);
}

static void signed_bytes(const struct frame *f, const uint8_t root[32], uint8_t ret[SIGNED_BYTES])
{
        memset(ret, 0, SIGNED_BYTES);
        memcpy(ret, &f->number, 4);
        memcpy(ret + 8, root, 32);
        crypto_generichash(ret + 45, 32, f->body, f->sealed, NULL, 0);
}

static size_t make(struct peer *p, uint32_t number)
{
        struct frame *f = p->frame;
        uint8_t root[32], about[SIGNED_BYTES];
        unsigned long long n;

        p->board->made_ns[number] = now_ns();
        randombytes_buf(p->plain, 32);
        randombytes_buf(f->nonce, sizeof f->nonce);
        root_of(p, p->plain, root);
        crypto_aead_xchacha20poly1305_ietf_encrypt(f->body + 32, &n, p->plain, p->plain_n, root, 32, NULL, f->nonce, p->board->key);
        memcpy(f->body, root, 32);
        f->sealed = (uint32_t)n + 32;
        f->number = number;
        signed_bytes(f, root, about);
        crypto_sign_detached(f->signature, NULL, about, sizeof about, p->board->secret_key);
        return sizeof *f + f->sealed;
}

struct reader_state { struct peer *peer; struct peer_corner *corner; struct samples times; uint32_t last; };

static void check(void *ctx, const uint8_t *bytes, size_t size)
{
        struct reader_state *r = ctx;
        struct peer *p = r->peer;
        struct peer_board *b = p->board;
        uint8_t about[SIGNED_BYTES], root[32];
        const struct frame *f = (const void *)bytes;
        unsigned long long n;
        uint64_t now;

        if (size < sizeof *f || size != sizeof *f + f->sealed)
                peer_die("a frame", "of no form");
        signed_bytes(f, f->body, about);
        if (crypto_sign_verify_detached(f->signature, about, sizeof about, b->public_key) != 0)
                peer_die("a frame", "does not verify");
        if (crypto_aead_xchacha20poly1305_ietf_decrypt(p->plain, &n, NULL, f->body + 32, f->sealed - 32, f->body, 32, f->nonce, b->key) != 0)
                peer_die("a frame", "does not open");
        root_of(p, p->plain, root);
        if (memcmp(root, f->body, 32) != 0)
                peer_die("a frame", "holds other records");
        if (f->number <= r->last)
                return;                                 /* delivered again */
        r->last = f->number;
        now = now_ns();
        if (b->start && now >= b->start && now < b->stop) {
                r->corner->frames++;
                samples_add(&r->times, (double)(now - b->made_ns[f->number]) / 1e3);
        }
}

/* ---- the two sides ---- */

static void be_reader(struct peer *p, unsigned which)
{
        struct peer_board *b = p->board;
        struct reader_state r = { .peer = p, .corner = &b->corners[which] };
        void *t = p->transport->open_reader(p->port, which);

        r.corner->ready = 1;
        while (!b->last || r.last < b->last)
                p->transport->read(t, check, &r);
        r.corner->p99 = samples_at(&r.times, 0.99);
        r.corner->p50 = samples_at(&r.times, 0.5);
        r.corner->done = 1;
        _Exit(0);
}

static void pace(const struct peer *p, uint64_t began, uint32_t number)
{
        uint64_t due = began + (uint64_t)number * 1000000000u / (p->rate ? p->rate : 1), now = now_ns();

        if (p->rate && due > now)
                usleep((useconds_t)((due - now) / 1000));
}

static void provide(struct peer *p)
{
        struct peer_board *b = p->board;
        void *t = p->transport->open_provider(p->port);
        uint64_t began = now_ns(), start = began + 1000000000u, stop = start + p->run_ns;
        uint32_t number = 0;

        b->stop = stop;
        b->start = start;
        while (now_ns() < stop && number + 1 < FRAMES_MAX) {
                size_t n = make(p, ++number);

                p->transport->publish(t, (const uint8_t *)p->frame, n);
                if (p->rate)
                        p->transport->flush(t);
                pace(p, began, number);
        }
        p->transport->flush(t);
        b->last = number;
}

static void report(const struct peer *p)
{
        const struct peer_board *b = p->board;
        double frames = 0, p50 = 0, p99 = 0;

        for (uint32_t i = 0; i < p->readers; i++) {
                frames += (double)b->corners[i].frames;
                p50 = b->corners[i].p50 > p50 ? b->corners[i].p50 : p50;
                p99 = b->corners[i].p99 > p99 ? b->corners[i].p99 : p99;
        }
        printf("delivered\t%.2f\trecords/s\n", frames * p->records / p->readers / ((double)p->run_ns / 1e9));
        printf("delivery_p50\t%.2f\tus\ndelivery_p99\t%.2f\tus\n", p50, p99);
}

/* ---- start ---- */

static bool parse(int argc, char **argv, struct peer *p)
{
        static const struct option options[] = { { "records", required_argument, NULL, 'n' }, { "readers", required_argument, NULL, 'c' },
                                                 { "rate", required_argument, NULL, 'r' }, { "seconds", required_argument, NULL, 's' }, { NULL, 0, NULL, 0 } };
        int o;

        *p = (struct peer){ .records = 1, .readers = 1, .run_ns = 5000000000u };
        while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                switch (o) {
                case 'n': p->records = (uint32_t)atoi(optarg); break;
                case 'c': p->readers = (uint32_t)atoi(optarg); break;
                case 'r': p->rate = (uint32_t)atoi(optarg); break;
                case 's': p->run_ns = (uint64_t)(atof(optarg) * 1e9); break;
                default: return false;
                }
        }
        if (argc - optind != 2 || p->records < 1 || p->records > RECORDS_A_FRAME_MAX || p->readers < 1 || p->readers > READERS_MAX)
                return false;
        p->transport = strcmp(argv[optind], "nats") == 0 ? &peer_nats : strcmp(argv[optind], "redis") == 0 ? &peer_redis : NULL;
        p->port = atoi(argv[optind + 1]);
        return p->transport != NULL;
}

static void prepare(struct peer *p)
{
        p->plain_n = 32 + (size_t)p->records * PEER_RECORD_BYTES;
        p->plain = malloc(p->plain_n);
        p->frame = malloc(sizeof *p->frame + p->plain_n + 64);
        p->board = mmap(NULL, sizeof *p->board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (!p->plain || !p->frame || p->board == MAP_FAILED)
                peer_die("memory", strerror(errno));
        randombytes_buf(p->plain, p->plain_n);
        randombytes_buf(p->board->key, 32);
        crypto_sign_keypair(p->board->public_key, p->board->secret_key);
}

/* In a process of its own, as every side is: no client library lives through fork. */
static void apart(void (*what)(struct peer *p, unsigned which), struct peer *p, unsigned which, pid_t *ret)
{
        *ret = fork();
        if (*ret < 0)
                peer_die("fork", strerror(errno));
        if (*ret == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                what(p, which);
                _Exit(0);
        }
}

static void make_stream(struct peer *p, unsigned which)
{
        p->transport->prepare(p->port, p->readers);
}

static void wait_end(pid_t child)
{
        int status;

        if (waitpid(child, &status, 0) < 0 || status != 0)
                peer_die("a side of the load", "failed");
}

int main(int argc, char **argv)
{
        struct peer p;
        pid_t first, readers[READERS_MAX];

        if (sodium_init() < 0 || !parse(argc, argv, &p)) {
                fputs(usage, stderr);
                return 2;
        }
        prepare(&p);
        apart(make_stream, &p, 0, &first);
        wait_end(first);
        for (uint32_t i = 0; i < p.readers; i++)
                apart(be_reader, &p, i, &readers[i]);
        for (uint32_t i = 0; i < p.readers; i++)
                while (!p.board->corners[i].ready)
                        usleep(1000);
        provide(&p);
        for (uint32_t i = 0; i < p.readers; i++)
                wait_end(readers[i]);
        report(&p);
        return 0;
}
