/* replay: a fuzz target as a plain test.
 *
 *         fuzz-NAME CORPUS_DIRECTORY
 *
 * Every file of the corpus is run, a case each, then mutations of them for FUZZ_SECONDS (2): bits flipped, bytes set, runs cut,
 * doubled, moved and spliced from other files.  SEED in the environment repeats a run.  An input that crashes, fails or takes
 * longer than 20 s is written to the working directory, named in the output, before the program ends. */
#include "common/macro.h"
#include "common/times.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/random_message.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT_MAX_BYTES (64 * 1024)
#define INPUT_MAX_SECONDS 20
#define EDITS_MAX 6

int LLVMFuzzerInitialize(int *argc, char ***argv);
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

struct seed { char name[256]; uint8_t *p; size_t n; };

static struct { struct seed *seed; size_t n; } corpus;
static struct { const uint8_t *p; size_t n; char file[128]; } now;

/* ---- last words ---- */

static void keep_input(void)
{
        int fd = now.p ? open(now.file, O_WRONLY | O_CREAT | O_TRUNC, 0644) : -1;

        if (fd < 0)
                return;
        if (write(fd, now.p, now.n) == (ssize_t)now.n)
                dprintf(STDERR_FILENO, "the input is kept in %s\n", now.file);
        close(fd);
        now.p = NULL;
}

static void on_signal(int number)
{
        keep_input();
        signal(number, SIG_DFL);
        raise(number);
}

static void watch(const char *program)
{
        const char *slash = strrchr(program, '/');

        snprintf(now.file, sizeof(now.file), "crash-%.100s", slash ? slash + 1 : program);
        signal(SIGABRT, on_signal);
        signal(SIGALRM, on_signal);
        if (__sanitizer_set_death_callback) {
                __sanitizer_set_death_callback(keep_input);
        } else {
                signal(SIGSEGV, on_signal);
                signal(SIGBUS, on_signal);
                signal(SIGFPE, on_signal);
        }
}

/* In memory of exactly its size, so that a sanitizer sees a read past it. */
static void run(const uint8_t *p, size_t n)
{
        uint8_t *copy = malloc(n > 0 ? n : 1);

        REQUIRE(copy);
        memcpy(copy, p, n);
        now.p = copy;
        now.n = n;
        alarm(INPUT_MAX_SECONDS);
        LLVMFuzzerTestOneInput(copy, n);
        alarm(0);
        now.p = NULL;
        free(copy);
}

/* ---- the corpus ---- */

static void read_seed(const char *directory, const char *name)
{
        char path[4096];
        struct seed *s;
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        f = fopen(path, "rb");
        REQUIRE(f);
        corpus.seed = realloc(corpus.seed, (corpus.n + 1) * sizeof(*corpus.seed));
        REQUIRE(corpus.seed);
        s = &corpus.seed[corpus.n++];
        snprintf(s->name, sizeof(s->name), "%s", name);
        s->p = malloc(INPUT_MAX_BYTES);
        REQUIRE(s->p);
        s->n = fread(s->p, 1, INPUT_MAX_BYTES, f);
        fclose(f);
}

static void read_corpus(const char *directory)
{
        struct dirent **names;
        int n = scandir(directory, &names, NULL, alphasort);

        for (int i = 0; i < n; i++) {
                if (names[i]->d_name[0] != '.')
                        read_seed(directory, names[i]->d_name);
                free(names[i]);
        }
        if (n >= 0)
                free(names);
}

static void free_corpus(void)
{
        for (size_t i = 0; i < corpus.n; i++)
                free(corpus.seed[i].p);
        free(corpus.seed);
}

/* ---- mutations ---- */

struct input { uint8_t b[INPUT_MAX_BYTES]; size_t n; };

static size_t below(struct chance *c, size_t n)
{
        return n > 0 ? (size_t)chance_below(c, n) : 0;
}

static void cut(struct input *in, size_t at, size_t n)
{
        memmove(in->b + at, in->b + at + n, in->n - at - n);
        in->n -= n;
}

static void insert(struct input *in, size_t at, const uint8_t *p, size_t n)
{
        uint8_t copy[256];

        n = n < sizeof(copy) ? n : sizeof(copy);
        if (in->n + n > INPUT_MAX_BYTES)
                return;
        memcpy(copy, p, n);
        memmove(in->b + at + n, in->b + at, in->n - at);
        memcpy(in->b + at, copy, n);
        in->n += n;
}

static void set_number(struct chance *c, uint8_t *p)
{
        static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff, ' ', '\n', '0', '9', 'A', '"', '=', ',' };

        *p = chance_below(c, 2) ? values[below(c, sizeof(values))] : (uint8_t)(*p + below(c, 9) - 4);
}

static void edit(struct chance *c, struct input *in)
{
        const struct seed *other = &corpus.seed[below(c, corpus.n)];
        size_t at = below(c, in->n), n = below(c, in->n - at) % 32 + 1, from = below(c, other->n);

        if (in->n == 0) {
                insert(in, 0, other->p, other->n);
                return;
        }
        n = n < in->n - at ? n : in->n - at;
        switch (chance_below(c, 8)) {
        case 0: in->b[at] ^= (uint8_t)(1 << below(c, 8)); break;
        case 1: in->b[at] = (uint8_t)chance_next(c); break;
        case 2: set_number(c, &in->b[at]); break;
        case 3: cut(in, at, n); break;
        case 4: insert(in, at, in->b + at, n); break;
        case 5: insert(in, below(c, in->n + 1), in->b + at, n); break;
        case 6: insert(in, at, other->p + from, below(c, other->n - from)); break;
        case 7: in->n = at; break;
        }
}

static unsigned long mutate(uint64_t milliseconds)
{
        static struct input in;
        struct chance c = chance_start();
        uint64_t end = times_mono().ns + milliseconds * 1000000;
        unsigned long rounds = 0;

        for (; times_mono().ns < end; rounds++) {
                const struct seed *s = &corpus.seed[below(&c, corpus.n)];

                memcpy(in.b, s->p, s->n);
                in.n = s->n;
                for (size_t i = 1 + below(&c, EDITS_MAX); i > 0; i--)
                        edit(&c, &in);
                run(in.b, in.n);
        }
        return rounds;
}

int main(int argc, char **argv)
{
        const char *seconds = getenv("FUZZ_SECONDS");

        if (argc != 2) {
                fprintf(stderr, "%s CORPUS_DIRECTORY\n", argv[0]);
                return 2;
        }
        setvbuf(stdout, NULL, _IOLBF, 0);
        watch(argv[0]);
        LLVMFuzzerInitialize(&argc, &argv);
        read_corpus(argv[1]);
        printf("1..%zu\n", corpus.n + 1);
        for (size_t i = 0; i < corpus.n; i++) {
                run(corpus.seed[i].p, corpus.seed[i].n);
                printf("ok %zu - %s\n", i + 1, corpus.seed[i].name);
        }
        if (corpus.n == 0)
                printf("not ok 1 - the corpus is empty\n");
        else
                printf("ok %zu - %lu mutations\n", corpus.n + 1, mutate(seconds ? strtoull(seconds, NULL, 10) * 1000 : 2000));
        free_corpus();
        return 0;
}
