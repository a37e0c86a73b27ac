/* logcheck: see the header. */
#include "broker/logcheck.h"
#include "broker/purged.h"
#include "broker/rebuild.h"
#include "broker/recover.h"
#include "common/statekeys.h"
#include "common/fold.h"
#include "common/macro.h"
#include "common/replay.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <sys/stat.h>
#include <unistd.h>

static void remove_dir(const char *dir)
{
        static const char *const names[] = { "data.mdb", "lock.mdb" };
        char path[4096 + 300];
        DIR *d;
        struct dirent *e;

        for (unsigned i = 0; i < ELEMENTS(names); i++) {
                snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
                unlink(path);
        }
        d = opendir(dir);
        while (d && (e = readdir(d))) {
                snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
                if (e->d_name[0] != '.')
                        unlink(path);
        }
        if (d)
                closedir(d);
        rmdir(dir);
}

/* Large commits need more room than the broker's small ones: address space only. */
static int open_scratch(struct broker *b, char dir[4096], struct store **ret)
{
        struct store_options o = { .dir = dir, .map_bytes = 4 * (uint64_t)broker_setting(b, S_STORE_MAP) + (1ull << 30), .databases = fold_databases, .allow_volatile = true };

        snprintf(dir, 4096, "%s/scratch-XXXXXX", config_string(b->config, S_STORE_DIR));
        if (!mkdtemp(dir)) {
                snprintf(dir, 4096, "%s/shuyi-scratch-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
                if (!mkdtemp(dir))
                        return -errno;
        }
        return store_open(&o, ret);
}

/* The broker's own state, if no broker holds it.  -EBADMSG: it is damaged, and the log says where. */
static int open_own(struct broker *b)
{
        int r = 0;

        char dir[4096], file[4200];
        struct stat st;
        struct store_options o = { .dir = recover_dir(b, "state", dir), .map_bytes = (uint64_t)broker_setting(b, S_STORE_MAP),
                                   .databases = fold_databases, .allow_volatile = true };

        snprintf(file, sizeof(file), "%s/data.mdb", dir);
        if (stat(file, &st) == 0)
                r = store_open(&o, &b->store);
        if (r < 0)
                b->store = NULL;
        return r == -EBADMSG ? r : 0;
}

/* ---- all that is damaged ---- */

static void tell_log(void *ctx, const struct segment_damage *d)
{
        (void)ctx;
        fprintf(stderr, "damaged: log file %llu offset %llu: ", (unsigned long long)d->place.file, (unsigned long long)d->place.offset);
        if (d->first > 0 && d->first == d->last)
                fprintf(stderr, "entry %llu ", (unsigned long long)d->first);
        else if (d->first > 0)
                fprintf(stderr, "entries %llu to %llu ", (unsigned long long)d->first, (unsigned long long)d->last);
        fprintf(stderr, "%s\n", d->reason);
}

static void tell_state(void *ctx, const char *text)
{
        (void)ctx;
        fprintf(stderr, "damaged: state: %s\n", text);
}

/* Each place of log and state that does not read.  0, -EBADMSG or a fault. */
static int find_damage(struct broker *b)
{
        struct segment_checked log = { 0 };
        struct store_scan state = { 0 };
        uint64_t synced = 0, file;
        char dir[4096];
        int r = open_own(b), s;

        if (r == 0 && b->store)
                r = store_scan(b->store, NULL, tell_state, NULL, &state);
        if (r == 0 && b->store)
                r = recover_synced_before(b, &synced, &file);
        s = segment_check(recover_dir(b, "log", dir), config_string(b->config, S_DOMAIN), synced, tell_log, NULL, &log);
        printf("log_files=%llu log_entries=%llu log_heads=%llu log_damages=%llu state_rows=%llu state_damages=%llu\n", (unsigned long long)log.files,
               (unsigned long long)log.entries, (unsigned long long)log.heads, (unsigned long long)log.damages, (unsigned long long)state.rows, (unsigned long long)state.damages);
        if (r == -EBADMSG) {                    /* what is damaged is not compared with */
                store_close(b->store);
                b->store = NULL;
                printf("the state is damaged: move %s/state away, and the next start makes it anew from the log\n", config_string(b->config, S_STORE_DIR));
        }
        if (s < 0 && s != -ENOENT)
                return s;
        return log.damages > 0 ? -EBADMSG : r;
}

struct standing { uint64_t seq, rows; struct digest chain, state; };

static int read_standing(struct store *s, struct standing *ret)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        _cleanup_(store_snapshot_closep) struct store_snapshot *p = NULL;
        const Shuyi__V1__MetaRow *meta;
        int r = a ? store_snapshot_open(s, &p) : -ENOMEM;

        *ret = (struct standing){ 0 };
        if (r < 0)
                return r;
        meta = fold_meta(store_snapshot_state(p), a);
        if (!meta)
                return -ENODATA;
        ret->seq = meta->seq;
        bytes_copy_exact(bytes_of(meta->effects_chain.data, meta->effects_chain.len), ret->chain.b, DIGEST_BYTES);
        return fold_state_digest(p, &ret->state, &ret->rows);
}

static void print_standing(const char *whose, const struct standing *s)
{
        char chain[65], state[65];

        hex_format(bytes_digest(&s->chain), chain);
        hex_format(bytes_digest(&s->state), state);
        printf("%s seq=%llu rows=%llu effects=%s state=%s\n", whose, (unsigned long long)s->seq, (unsigned long long)s->rows, chain, state);
}

/* The recorded state may lag behind the log by a tail that the next start applies: then only outcomes were compared. */
static int compare(struct broker *b, struct store *scratch)
{
        struct standing replayed, recorded;
        int r = read_standing(scratch, &replayed);

        if (r < 0)
                return r;
        print_standing("replayed", &replayed);
        if (!b->store)
                return 0;
        r = read_standing(b->store, &recorded);
        if (r < 0)
                return r;
        print_standing("recorded", &recorded);
        if (recorded.seq != replayed.seq) {
                printf("the recorded state is behind the log by %llu entries, which the next start applies\n", (unsigned long long)(replayed.seq - recorded.seq));
                return 0;
        }
        if (!digest_equal(&recorded.state, &replayed.state)) {
                fprintf(stderr, "the recorded state differs from the replayed one\n");
                return -EBADMSG;
        }
        return 0;
}

/* ---- where it begins ---- */

struct beginning { struct base base; bool from_base; };

/* The oldest BASE where the log before it is not whole any more, the newest where that is asked for, else the first entry. */
static int begin(struct broker *b, struct store *scratch, bool newest, struct fold *fold, struct beginning *ret)
{
        uint64_t list[BASE_KEPT_MAX];
        char dir[4096], name[BASE_NAME_BYTES], path[4200];
        struct mono_time start = times_mono();
        const char *wrong;
        int n = base_list(recover_dir(b, "base", dir), false, list), fault;

        if (n < 0)
                return n;
        if (!rebuild_needs_base(b) && !(newest && n > 0))
                return fold_open_new(fold, scratch, b->domain);
        if (n == 0) {
                fprintf(stderr, "part of the log was purged, and there is no BASE in %s to begin from\n", dir);
                return -EBADMSG;
        }
        base_name(list[newest ? n - 1 : 0], name);
        snprintf(path, sizeof(path), "%s/%s", dir, name);
        wrong = base_load(path, scratch, b->origin, NULL, NULL, NULL, fold, &ret->base, &fault);
        if (wrong) {
                fprintf(stderr, "%s: %s\n", path, wrong);
                return fault;
        }
        ret->from_base = true;
        printf("base seq=%llu rows=%llu ms=%llu\n", (unsigned long long)ret->base.seq, (unsigned long long)ret->base.rows,
               (unsigned long long)((times_mono().ns - start.ns) / 1000000));
        return 0;
}

/* The part before the BASE: what is left of it gives the trees that were signed. */
static int check_before(struct broker *b, const struct beginning *from, struct fold *fold, struct store_snapshot *against)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct purged p;
        uint8_t key[32];
        int f;

        if (!a || !statekeys_log(store_state(fold->store), a, b->origin, key))
                return a ? -EBADMSG : -ENOMEM;
        f = purged_check(b, &from->base, key, against, &p);
        printf("before_base entries=%llu purged_bodies=%llu purged_inputs=%llu heads_proved=%llu\n", (unsigned long long)p.entries,
               (unsigned long long)p.bodies, (unsigned long long)p.inputs, (unsigned long long)p.heads);
        if (p.unknown_from > 0)
                printf("from entry %llu to the BASE no outcome is recorded any more: the BASE's own signature stands for them\n", (unsigned long long)p.unknown_from);
        if (f == -EBADMSG)
                fprintf(stderr, "before the BASE: %s\n", p.reason);
        return f;
}

static double cpu_seconds(void)
{
        struct timespec t;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void report(const struct replay *r, uint64_t ns, double cpu_s)
{
        double s = (double)(ns ? ns : 1) / 1e9;

        printf("entries=%llu heads=%llu signatures=%llu outcomes_compared=%llu purged_bodies=%llu bytes=%llu\n", (unsigned long long)r->entries,
               (unsigned long long)r->heads, (unsigned long long)r->signed_n, (unsigned long long)r->compared, (unsigned long long)r->bare_n, (unsigned long long)r->bytes);
        printf("speed seconds=%.3f cpu_seconds=%.3f entries_per_s=%.0f bytes_per_s=%.0f\n", s, cpu_s, (double)r->entries / s, (double)r->bytes / s);
}

static int walk(struct broker *b, struct store *scratch, bool signatures, bool newest)
{
        _cleanup_(store_snapshot_closep) struct store_snapshot *against = NULL;
        struct fold fold = { 0 };
        struct replay r = { .fold = &fold, .segments = b->segments, .origin = b->origin, .signatures = signatures };
        struct beginning *from = calloc(1, sizeof(*from));
        struct mono_time start;
        double cpu;
        int f = from ? begin(b, scratch, newest, &fold, from) : -ENOMEM;

        if (f == 0 && b->store)
                f = store_snapshot_open(b->store, &against);
        r.against = against;
        if (f == 0 && from->from_base && !newest)
                f = check_before(b, from, &fold, against);
        start = times_mono();
        cpu = cpu_seconds();
        if (f == 0)
                f = replay_run(&r);
        if (f == 0)
                f = fold_save(&fold);
        if (f == 0)
                f = store_commit(scratch);
        else
                store_abort(scratch);
        report(&r, times_mono().ns - start.ns, cpu_seconds() - cpu);
        fold_close(&fold);
        if (f == -EBADMSG && r.reason[0])
                fprintf(stderr, "first divergent entry %llu: %s\n", (unsigned long long)r.bad_seq, r.reason);
        free(from);
        return f;
}

int logcheck_run(struct broker *b, bool signatures, bool from_base)
{
        struct store *scratch = NULL;
        char dir[4096];
        int r;

        int damage = find_damage(b);

        r = damage == 0 || damage == -EBADMSG ? recover_open(b, true) : damage;
        if (r == 0)
                r = open_scratch(b, dir, &scratch);
        if (r == 0) {
                r = walk(b, scratch, signatures, from_base);
                if (r == 0)
                        r = compare(b, scratch);
                store_close(scratch);
                remove_dir(dir);
        }
        if (r == 0)
                r = damage;
        printf("%s: %s\n", signatures ? "log check" : "replay", r == 0 ? "all holds" : r == -EBADMSG ? "DOES NOT HOLD" : strerror(-r));
        return r;
}
