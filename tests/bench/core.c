/* core: the load on the broker's core, from outbox to inbox.
 *
 * Plays the agents of a provider and of its consumers against a real broker, over CURVE, each in a process of its own.  Every
 * envelope is sealed, signed and on the outbox's disk before it is sent; verified, opened, its records checked and on an inbox's
 * disk before it counts as delivered there.  Prints name, value, unit (tab-separated); any refusal or gap ends it with status 1. */
#include "core.h"
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
        "core [options] PROVIDER.yaml DIRECTORY CONSUMER.yaml GRANT [CONSUMER.yaml GRANT]...\n"
        "  --records N    records of 1 KiB an envelope (1)\n"
        "  --rate R       envelopes a second (as many as go)\n"
        "  --alone        one in flight\n"
        "  --seconds S    timed run (5), after --warm S (1)\n"
        "  --broker PID   count its processor time too\n";

/* ---- shared by both sides ---- */

double process_cpu_us(void)
{
        struct timespec t;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* ---- start ---- */

static const struct option options[] = {
        { "records", required_argument, NULL, 'n' }, { "rate", required_argument, NULL, 'r' }, { "alone", no_argument, NULL, 'a' },
        { "seconds", required_argument, NULL, 's' }, { "warm", required_argument, NULL, 'w' }, { "broker", required_argument, NULL, 'b' },
        { NULL, 0, NULL, 0 },
};

static bool parse(int argc, char **argv, struct load *l)
{
        int o;

        *l = (struct load){ .records = 1, .warm_ns = 1000000000, .run_ns = 5000000000 };
        while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                switch (o) {
                case 'n': l->records = (uint32_t)atoi(optarg); break;
                case 'r': l->rate = (uint32_t)atoi(optarg); break;
                case 'a': l->alone = true; break;
                case 's': l->run_ns = (uint64_t)(atof(optarg) * 1e9); break;
                case 'w': l->warm_ns = (uint64_t)(atof(optarg) * 1e9); break;
                case 'b': l->broker = atoi(optarg); break;
                default: return false;
                }
        }
        if (argc - optind < 4 || (argc - optind) % 2 || l->records < 1 || l->records > 256)
                return false;
        l->provider = argv[optind];
        l->directory = argv[optind + 1];
        for (int i = optind + 2; i < argc; i += 2) {
                struct reader *r = &l->readers[l->readers_n];

                if (l->readers_n++ == CORE_CONSUMERS_MAX || !hex_parse(argv[i + 1], r->grant.b, DIGEST_BYTES))
                        return false;
                r->config = argv[i];
        }
        return true;
}

static pid_t consume(const struct load *l, struct board *b, unsigned which)
{
        pid_t parent = getppid(), child = fork();

        if (child < 0)
                die("core", "fork", errno);
        if (child > 0)
                return child;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
                _Exit(1);
        core_consume(l, b, which);
        _Exit(0);
}

int main(int argc, char **argv)
{
        struct load load;
        struct board *board;
        pid_t children[CORE_CONSUMERS_MAX];
        int status = 0;

        if (!parse(argc, argv, &load) || sodium_init() < 0) {
                fputs(usage, stderr);
                return 2;
        }
        board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (board == MAP_FAILED)
                die("core", "memory", errno);
        for (unsigned i = 0; i < load.readers_n; i++)
                children[i] = consume(&load, board, i);
        core_provide(&load, board);
        for (unsigned i = 0; i < load.readers_n; i++)
                if (waitpid(children[i], &status, 0) < 0 || status != 0)
                        die("core", "a consumer failed", 0);
        return 0;
}
