/* crowd: many agents at once, most of them quiet, some of them dead or hostile.
 *
 * Reads configuration files of agents (one a line) from a file, connects each, prints "up", and holds them until its standard
 * input ends.  The last ones of the list misbehave: the dead are connected and then stopped, so that they read nothing and
 * say nothing; the hostile send what a session forbids, as fast as they are told, and come back when they are thrown out. */
#include "party.h"
#include "common/frame.h"
#include "common/macro.h"
#include "proto/audit.pb-c.h"
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define A_PROCESS 200u                  /* sockets of libzmq are few: 1,023 a context */
#define AGENTS_MAX 4096u
#define TURN_MS 200                     /* a quiet agent looks at its link so often */
#define HOSTILE_FRAME 2048u
#define HOSTILE_MS 10                   /* each of the hostile sends one frame every so many */

static const char usage[] = "crowd [--dead N] [--hostile N] LIST   (standard input held open meanwhile)\n";

enum manner { QUIET, DEAD, HOSTILE };

struct crowd {
        char *configs[AGENTS_MAX];
        unsigned n, dead, hostile;
        uint64_t trust;                 /* all trust records there are: a replica that is up to date */
};

static bool parent_is_there(void)
{
        struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
        char c;

        return poll(&in, 1, 0) <= 0 || read(STDIN_FILENO, &c, 1) > 0;
}

/* ---- the quiet ---- */

static void stay(struct party *parties, unsigned n)
{
        while (parent_is_there()) {
                for (unsigned i = 0; i < n; i++)
                        party_turn(&parties[i], NULL, 0, 0);
                usleep(TURN_MS * 1000);
        }
}

/* ---- the hostile ---- */

/* A PUT far ahead of its turn, with an envelope of noise; a question nobody may ask; plain noise. */
static struct bytes noise(struct arena *a, unsigned turn)
{
        uint8_t *junk = arena_alloc(a, HOSTILE_FRAME);
        Shuyi__V1__Put put = SHUYI__V1__PUT__INIT;
        Shuyi__V1__Read q = SHUYI__V1__READ__INIT;

        if (!junk)
                return (struct bytes){ 0 };
        randombytes_buf(junk, HOSTILE_FRAME);
        put.lane = 1;
        put.outbox_epoch = 1;
        put.outbox_seq = 1 + turn;
        put.envelope = data_of(bytes_of(junk, HOSTILE_FRAME));
        q.number = turn + 1;
        q.what = READ_GRANTS;
        q.limit = 500;
        switch (turn % 4) {
        case 0: return bytes_of(junk, HOSTILE_FRAME);
        case 1: return frame_encode(a, FRAME_READ, &q.base);
        default: return frame_encode(a, FRAME_PUT, &put.base);
        }
}

static void annoy(struct party *p, unsigned turn)
{
        struct link_frame *f;

        while (link_client_event(p->link, NULL) != LINK_EVENT_NONE)
                ;
        while (link_client_receive(p->link, &f) == 0)
                link_frame_free(f);
        arena_reset(p->frames);
        (void)link_client_send(p->link, noise(p->frames, turn));        /* not connected, or full: again later */
}

static void attack(struct party *parties, unsigned n)
{
        for (unsigned turn = 0; parent_is_there(); turn++) {
                for (unsigned i = 0; i < n; i++)
                        annoy(&parties[i], turn);
                usleep(HOSTILE_MS * 1000);
        }
}

/* ---- processes ---- */

static void live(const struct crowd *c, unsigned first, unsigned n, enum manner manner, int up)
{
        struct party *parties = calloc(n, sizeof *parties);
        struct link_context *context;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!parties || link_context_new(&context) < 0)
                die("crowd", "memory", 0);
        for (unsigned i = 0; i < n; i++) {
                party_open_with(&parties[i], c->configs[first + i], context, c->configs[first + i], c->trust, INT64_MAX);
                for (unsigned k = 0; i % 16 == 15 && k < i; k++)        /* nobody falls silent while the others come */
                        party_turn(&parties[k], NULL, 0, 0);
        }
        if (write(up, "u", 1) != 1)
                die("crowd", "pipe", errno);
        switch (manner) {
        case QUIET: stay(parties, n); break;
        case HOSTILE: attack(parties, n); break;
        case DEAD: raise(SIGSTOP); break;
        }
        _Exit(0);
}

static unsigned start(const struct crowd *c, unsigned first, unsigned n, enum manner manner, int up)
{
        unsigned processes = 0;

        for (unsigned done = 0; done < n; done += A_PROCESS, processes++) {
                pid_t child = fork();

                if (child < 0)
                        die("crowd", "fork", errno);
                if (child == 0)
                        live(c, first + done, n - done < A_PROCESS ? n - done : A_PROCESS, manner, up);
        }
        return processes;
}

/* ---- start ---- */

static void read_list(struct crowd *c, const char *path)
{
        FILE *f = fopen(path, "re");
        char line[4096];

        if (!f)
                die("crowd", path, errno);
        while (c->n < AGENTS_MAX && fgets(line, sizeof line, f)) {
                line[strcspn(line, "\n")] = 0;
                c->configs[c->n] = strdup(line);
                if (!c->configs[c->n++])
                        die("crowd", "memory", 0);
        }
        fclose(f);
}

/* In a process of its own: a context of libzmq does not live through fork. */
static uint64_t ask_trust(const char *config)
{
        int ends[2];
        uint64_t trust = 0;
        pid_t child = pipe(ends) < 0 ? -1 : fork();

        if (child < 0)
                die("crowd", "fork", errno);
        if (child == 0) {
                struct arena *a = arena_new(1u << 20);
                struct link_context *context;
                Shuyi__V1__StatusRow *row;
                struct party p;
                struct bytes answer;

                if (!a || link_context_new(&context) < 0)
                        die("crowd", "memory", 0);
                party_open_with(&p, "crowd", context, config, INT64_MAX, INT64_MAX);
                answer = party_ask(&p, a, READ_STATUS, (struct bytes){ 0 });
                row = shuyi__v1__status_row__unpack(arena_allocator(a), answer.n, answer.p);
                if (!row || write(ends[1], &row->trust_seq, sizeof row->trust_seq) != sizeof row->trust_seq)
                        die("crowd", "no status", 0);
                _Exit(0);
        }
        if (read(ends[0], &trust, sizeof trust) != sizeof trust)
                die("crowd", "no status", 0);
        waitpid(child, NULL, 0);
        return trust;
}

static bool parse(int argc, char **argv, struct crowd *c)
{
        static const struct option options[] = { { "dead", required_argument, NULL, 'd' }, { "hostile", required_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
        int o;

        while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                if (o != 'd' && o != 'h')
                        return false;
                *(o == 'd' ? &c->dead : &c->hostile) = (unsigned)atoi(optarg);
        }
        if (argc - optind != 1)
                return false;
        read_list(c, argv[optind]);
        return c->n > 0 && c->dead < c->n && c->hostile < c->n - c->dead;
}

int main(int argc, char **argv)
{
        static struct crowd c;
        unsigned quiet, processes;
        int up[2];
        char byte;

        if (sodium_init() < 0 || !parse(argc, argv, &c)) {
                fputs(usage, stderr);
                return 2;
        }
        c.trust = ask_trust(c.configs[0]);
        if (pipe(up) < 0)
                die("crowd", "pipe", errno);
        quiet = c.n - c.dead - c.hostile;
        processes = start(&c, 0, quiet, QUIET, up[1]);
        processes += start(&c, quiet, c.dead, DEAD, up[1]);
        processes += start(&c, quiet + c.dead, c.hostile, HOSTILE, up[1]);
        close(up[1]);
        for (unsigned i = 0; i < processes; i++)
                if (read(up[0], &byte, 1) != 1)
                        die("crowd", "one of the processes failed", 0);
        puts("up");
        fflush(stdout);
        while (poll(&(struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN }, 1, -1) >= 0 && read(STDIN_FILENO, &byte, 1) > 0)
                ;
        return 0;
}
