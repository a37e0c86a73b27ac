/* cuts: see the header. */
#include "tests/crash/cuts.h"
#include "tests/lib/temp_dir.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DOUBLE_EVERY 8                          /* of so many cuts one is followed by a cut of the recovery itself */
#define DEEP_EVERY 4

struct cuts {
        const struct cuts_case *c;
        uint64_t seed;
        unsigned done, twice;
        char dir[256], image[300], second[300];
        char wrong[CUTS_WRONG_BYTES], where[1000];
};

static int compare_moments(const void *a, const void *b)
{
        size_t x = *(const size_t *)a, y = *(const size_t *)b;

        return x < y ? -1 : x > y;
}

static void make_dir(const char *path)
{
        temp_dir_remove(path);
        if (mkdir(path, 0700) < 0) {
                perror(path);
                exit(2);
        }
}

/* The recovery of the image is a run of its own: it is cut, too, and what it left is recovered again. */
static bool cut_again(struct cuts *x, uint64_t promised, uint64_t *random)
{
        struct disk *d = disk_begin(x->image, NULL);
        bool good = x->c->recover(x->image, promised, false, random, x->wrong);
        size_t moments[2];

        disk_end(d);
        for (unsigned i = 0; i < 2; i++)
                moments[i] = disk_moments(d) ? disk_random(random) % (disk_moments(d) + 1) : 0;
        qsort(moments, 2, sizeof(moments[0]), compare_moments);
        for (unsigned i = 0; i < 2 && good; i++) {
                char what[DISK_TEXT_BYTES];

                disk_cut(d, moments[i], random, x->second);
                disk_describe(d, moments[i], what);
                snprintf(x->where + strlen(x->where), sizeof(x->where) - strlen(x->where), "; its recovery cut at %s", what);
                good = x->c->recover(x->second, promised, false, random, x->wrong);
                x->twice++;
                if (good)
                        *strrchr(x->where, ';') = 0;
        }
        disk_free(d);
        return good;
}

static bool cut_once(struct cuts *x, struct disk *d, size_t moment, uint64_t *random)
{
        uint64_t promised = disk_promised(d, moment);
        char what[DISK_TEXT_BYTES];

        disk_cut(d, moment, random, x->image);
        disk_describe(d, moment, what);
        snprintf(x->where, sizeof(x->where), "cut %u at %s, promised %llu", x->done, what, (unsigned long long)promised);
        x->done++;
        if (x->done % DOUBLE_EVERY == 0)
                return cut_again(x, promised, random);
        return x->c->recover(x->image, promised, x->done % DEEP_EVERY == 1, random, x->wrong);
}

/* One run and its cuts; false at the first that does not recover. */
static bool cut_run(struct cuts *x, unsigned number, unsigned cuts, const char *ignore, struct disk **ret_disk)
{
        uint64_t random = x->seed + number * 0x10001ull;
        size_t *moments = calloc(cuts, sizeof(*moments));
        struct disk *d;
        char root[300];
        bool good = true;

        snprintf(root, sizeof(root), "%s/run", x->dir);
        make_dir(root);
        make_dir(x->image);
        make_dir(x->second);
        d = disk_begin(root, ignore);
        x->c->run(d, root, &random);
        disk_end(d);
        for (unsigned i = 0; i < cuts; i++)
                moments[i] = disk_random(&random) % (disk_moments(d) + 1);
        qsort(moments, cuts, sizeof(*moments), compare_moments);
        for (unsigned i = 0; i < cuts && good; i++)
                good = cut_once(x, d, moments[i], &random);
        free(moments);
        if (ret_disk)
                *ret_disk = d;
        else
                disk_free(d);
        return good;
}

static FILE *tap;                               /* what is tested may print to stdout */

static unsigned result(unsigned number, bool good, const char *name)
{
        fprintf(tap, "%s %u - %s\n", good ? "ok" : "not ok", number, name);
        fflush(tap);
        return good ? 0 : 1;
}

static bool many(struct cuts *x, unsigned cuts, const char *ignore)
{
        struct timespec cpu;
        unsigned run = 0;
        bool good = true;

        while (good && x->done < cuts) {
                unsigned left = cuts - x->done;

                good = cut_run(x, run++, left < x->c->cuts_a_run ? left : x->c->cuts_a_run, ignore, NULL);
        }
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
        fprintf(tap, "# %u cuts of %u runs, %u recoveries cut again, seed %llu, %lld s of CPU\n", x->done, run, x->twice, (unsigned long long)x->seed, (long long)cpu.tv_sec);
        if (!good)
                fprintf(tap, "# %s: %s\n", x->where, x->wrong);
        return good;
}

/* Each sync that is needed is left out in turn: some cut must not recover.  Else the harness could not see a loss. */
static bool control(struct cuts *x, unsigned unused, const char *ignore)
{
        bool caught = false;

        for (unsigned run = 0; run < 3 && !caught; run++)
                caught = !cut_run(x, run, x->c->cuts_a_run, ignore, NULL);
        if (caught)
                fprintf(tap, "# without %s: %s: %s\n", ignore, x->where, x->wrong);
        return caught;
}

/* In a process of its own, whose death by a signal is a result, too: a store without its syncs may crash who reads it. */
static bool apart(struct cuts *x, bool (*test)(struct cuts *x, unsigned cuts, const char *ignore), unsigned cuts, const char *ignore, bool death)
{
        pid_t pid;
        int status;

        fflush(tap);
        pid = fork();
        if (pid == 0) {
                bool good = test(x, cuts, ignore);

                fflush(tap);
                _exit(good ? 0 : 1);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
                return false;
        if (!WIFSIGNALED(status))
                return WEXITSTATUS(status) == 0;
        fprintf(tap, "# %s: killed by signal %d\n", x->where, WTERMSIG(status));
        return death;
}

/* Kinds of sync that the case does not list as needed. */
static void show_kinds(struct cuts *x)
{
        struct disk *d;
        const char *kind;

        cut_run(x, 0, 1, NULL, &d);
        for (size_t i = 0; (kind = disk_sync_kind(d, i)); i++) {
                bool needed = false;

                for (unsigned k = 0; x->c->needed[k]; k++)
                        needed |= strcmp(x->c->needed[k], kind) == 0;
                fprintf(tap, "# sync of the run: %s%s\n", kind, needed ? "" : " (left out of the control)");
        }
        disk_free(d);
}

int cuts_main(const struct cuts_case *c, unsigned cuts, int argc, char **argv)
{
        static const struct option options[] = { { "cuts", 1, NULL, 'n' }, { "seed", 1, NULL, 's' }, { "dir", 1, NULL, 'd' }, { "ignore", 1, NULL, 'i' }, { 0 } };
        struct cuts *x = mmap(NULL, sizeof(*x), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        const char *ignore = NULL, *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        unsigned failed, n = 1;
        int o;

        if (x == MAP_FAILED)
                return 2;
        x->c = c;
        x->seed = 20260212;
        while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
                if (o == 'n')
                        cuts = (unsigned)strtoul(optarg, NULL, 10);
                else if (o == 's')
                        x->seed = strtoull(optarg, NULL, 0);
                else if (o == 'd')
                        base = optarg;
                else if (o == 'i')
                        ignore = optarg;
                else
                        return 2;
        }
        tap = fdopen(dup(STDOUT_FILENO), "w");
        if (!tap || !freopen("/dev/null", "w", stdout))
                return 2;
        setenv("TMPDIR", base, 1);
        temp_dir_make(x->dir);
        snprintf(x->image, sizeof(x->image), "%s/image", x->dir);
        snprintf(x->second, sizeof(x->second), "%s/second", x->dir);
        failed = result(n++, apart(x, many, cuts, ignore, false), c->name);
        if (!ignore) {
                show_kinds(x);
                for (unsigned i = 0; c->needed[i]; i++) {
                        char name[200];

                        snprintf(name, sizeof(name), "control: %s is left out, and cuts find it", c->needed[i]);
                        failed += result(n++, apart(x, control, 0, c->needed[i], true), name);
                }
        }
        fprintf(tap, "1..%u\n", n - 1);
        fclose(tap);
        temp_dir_remove(x->dir);
        return failed > 0;
}
