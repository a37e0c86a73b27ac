/* Power cuts of a broker: genesis, then groups through fold, segments and state as the pipeline does it, with commits behind,
 * new files, released files and restarts.  Each image is opened by the broker's own recovery: what was acknowledged is there, and
 * state, index, outcomes and digests are those of the log. */
#include "broker/broker.h"
#include "broker/genesis.h"
#include "broker/recover.h"
#include "broker/system.h"
#include "common/artifact.h"
#include "common/checkpoint.h"
#include "common/fold.h"
#include "common/macro.h"
#include "tests/crash/cuts.h"
#include "tests/lib/live.h"
#include "tests/lib/market.h"
#include "tests/lib/temp_dir.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SEGMENT_BYTES (64u << 10)
#define GROUP_MAX 6
#define SEQS_MAX 4096
#define UPDATES 150

static struct live files;                       /* keys and genesis, once */
static struct market *market;
static struct config_key keys[] = { BROKER_SETTINGS(CONFIG_KEY) };

/* What a log that ends with an entry must come to; of the run at hand. */
static struct digest expected[SEQS_MAX];
static bool is_end[SEQS_MAX];
static struct digest founded_again[8];          /* by the last recoveries that found nothing: other times, other ids */
static unsigned founded_n;

#define DIE(...) (fprintf(stderr, __VA_ARGS__), abort())
#define MUST(call) do { int must_r = (call); if (must_r < 0) DIE("%s:%d: %s: %s\n", __FILE__, __LINE__, #call, strerror(-must_r)); } while (0)

/* ---- a broker over a directory ---- */

static void configure(struct broker *b, const char *root)
{
        char text[1400], path[300];

        snprintf(path, sizeof(path), "%s/broker.yaml", files.dir);
        snprintf(text, sizeof(text),
                 "domain: \"%s\"\nlog:\n  origin: shuyi/%s\n  segment_bytes: 64KiB\nkeys:\n  broker: %s/broker.key\n  log: %s/log.key\n"
                 "store:\n  dir: %s/store\n  allow_volatile: true\n  map_bytes: 16MiB\n", CITY_DOMAIN, CITY_DOMAIN, files.dir, files.dir, root);
        *b = (struct broker){ .config_lock = PTHREAD_MUTEX_INITIALIZER };
        MUST(config_parse(text, strlen(text), path, keys, S_COUNT, &b->config, NULL));
}

static void end(struct broker *b)
{
        recover_close(b);
        config_free(b->config);
}

/* Over all that is kept: databases in order. */
static struct digest whole_digest(struct store *s)
{
        static const unsigned dbs[] = { STORE_STATE, STORE_INDEX, STORE_OUTCOMES, STORE_DIGESTS };
        struct digest d = { { 0 } };

        for (unsigned i = 0; i < ELEMENTS(dbs); i++) {
                uint8_t from[STORE_KEY_MAX + 1], lengths[8];
                size_t from_n = 0;
                struct bytes key, value;
                int r;

                while ((r = store_next(s, dbs[i], (struct bytes){ 0 }, bytes_of(from, from_n), &key, &value)) > 0) {
                        put_le32(lengths, (uint32_t)key.n);
                        put_le32(lengths + 4, (uint32_t)value.n);
                        d = DIGEST_OF(CTX_EFFECTS_CHAIN, bytes_digest(&d), bytes_of(lengths, 8), key, value);
                        memcpy(from, key.p, key.n);
                        from[key.n] = 0;
                        from_n = key.n + 1;
                }
                MUST(r);
        }
        return d;
}

/* ---- the pipeline, one call after the other ---- */

struct pipeline {
        struct broker b;
        struct fold fold;
        struct disk *disk;
        uint64_t *random;
        struct arena *arena[2];                 /* of the groups being synced and being filled: a batch borrows its envelopes */
        struct segment_batch *batch[2];
        uint64_t synced, committed, in_flight;  /* last seqs; in_flight 0: none */
        bool written;                           /* the one in flight is written, not yet synced */
        size_t next;                            /* of the city's log */
};

static bool chance(struct pipeline *p, unsigned percent)
{
        return disk_random(p->random) % 100 < percent;
}

static void add_claim(struct pipeline *p, const struct claim *claim, uint64_t at, const struct city_entry *e)
{
        struct entry entry = { .accepted_at = { at > p->fold.accepted_at.ms ? at : p->fold.accepted_at.ms }, .claim = claim };
        struct outcome outcome;
        struct digest leaf;

        if (e) {
                entry.link = e->link;
                entry.lane = e->lane;
                entry.outbox_epoch = e->outbox_epoch;
                entry.outbox_seq = e->outbox_seq;
        }
        MUST(fold_step(&p->fold, &entry, p->arena[1], &outcome, &leaf));
        if (e ? outcome.code != e->code : outcome.code != ACCEPTED)
                DIE("entry %zu of the city: %s %s\n", p->next, refusal_text(outcome.code)->code, outcome.detail);
        if (p->fold.seq != entry.seq)
                return;
        struct segment_entry s = { .epoch = entry.epoch, .seq = entry.seq, .accepted_at = entry.accepted_at, .link = entry.link, .lane = entry.lane,
                                   .outbox_epoch = entry.outbox_epoch, .outbox_seq = entry.outbox_seq, .envelope = claim->wire };
        MUST(segment_batch_add_entry(p->batch[1], &s));
}

static void add_trust_head(struct pipeline *p)
{
        struct system_signer signer = { p->b.domain, p->b.credential, secret_peek(p->b.keys.sign) };
        Shuyi__V1__TrustHeadBody head = SHUYI__V1__TRUST_HEAD_BODY__INIT;
        const struct claim *claim;

        MUST(exchange_trust_head_body(store_state(p->b.store), p->arena[1], &head));
        claim = system_make(&signer, p->arena[1], KIND_TRUST_HEAD, &head.base, p->fold.accepted_at);
        add_claim(p, claim, 0, NULL);
        p->fold.trust_moved = false;
}

static void close_group(struct pipeline *p, uint64_t first)
{
        struct checkpoint c = { p->b.origin, p->fold.frontier.size, merkle_root(&p->fold.frontier) };
        const char *note = checkpoint_sign(p->arena[1], &c, secret_peek(p->b.log_keys.sign), p->b.log_keys.sign_key);
        struct segment_batch *filled = p->batch[1];

        MUST(segment_batch_add_head(filled, p->fold.epoch, p->fold.seq, bytes_str(note)));
        MUST(segment_plan(p->b.segments, filled));
        for (uint64_t seq = first; seq <= p->fold.seq; seq++)
                MUST(store_index_append(p->b.store, seq, segment_batch_place(filled, (unsigned)(seq - first))));
        MUST(store_group_commit(p->b.store));
        expected[p->fold.seq] = whole_digest(p->b.store);
        is_end[p->fold.seq] = true;
}

/* A group of some entries; false: there are no more. */
static bool make_group(struct pipeline *p, struct city *c)
{
        uint64_t first = p->fold.seq + 1, want = 1 + disk_random(p->random) % GROUP_MAX;

        if (!store_is_open(p->b.store))
                MUST(store_begin(p->b.store));
        MUST(store_group_begin(p->b.store));
        segment_batch_reset(p->batch[1]);
        arena_reset(p->arena[1]);
        while (want > 0 && p->next < c->log_n) {
                const struct city_entry *e = &c->log[p->next++];
                const struct claim *claim;

                if (e->link == 0)
                        continue;
                if (envelope_parse(p->arena[1], e->wire, &claim) != ACCEPTED)
                        DIE("an envelope of the city does not parse\n");
                add_claim(p, claim, e->accepted_at, e);
                want--;
        }
        if (p->fold.seq < first) {
                store_group_abort(p->b.store);
                return p->next < c->log_n;
        }
        if (p->fold.trust_moved)
                add_trust_head(p);
        close_group(p, first);
        return true;
}

static void write_flying(struct pipeline *p)
{
        if (p->in_flight && !p->written)
                MUST(segment_write(p->b.segments, p->batch[0]));
        p->written = p->in_flight > 0;
}

/* The sync, and what follows it: the acknowledgement. */
static void land(struct pipeline *p)
{
        write_flying(p);
        if (!p->in_flight)
                return;
        MUST(segment_sync(p->b.segments));
        disk_promise(p->disk, p->in_flight);
        p->synced = p->in_flight;
        p->in_flight = 0;
        p->written = false;
}

static void launch(struct pipeline *p)
{
        struct segment_batch *filled = p->batch[1];
        struct arena *a = p->arena[1];

        p->batch[1] = p->batch[0];
        p->batch[0] = filled;
        p->arena[1] = p->arena[0];
        p->arena[0] = a;
        p->in_flight = p->fold.seq;
}

static void commit(struct pipeline *p, bool clean)
{
        land(p);
        if (!store_is_open(p->b.store))
                return;
        MUST(fold_save(&p->fold));
        if (clean)
                MUST(fold_mark_clean(&p->fold));
        MUST(store_commit(p->b.store));
        p->committed = p->fold.seq;
}

static void start(struct pipeline *p, const char *root)
{
        bool crashed;

        configure(&p->b, root);
        MUST(recover_open(&p->b, false));
        MUST(recover_run(&p->b, &crashed));
        MUST(fold_open(&p->fold, p->b.store, p->b.domain));
        store_abort(p->b.store);
}

static void stop(struct pipeline *p)
{
        commit(p, true);
        fold_close(&p->fold);
        end(&p->b);
}

/* What the broker does beside its groups. */
static void between(struct pipeline *p, bool may_commit)
{
        if (chance(p, 30))
                write_flying(p);
        if (chance(p, 20))
                segment_prepare(p->b.segments);
        if (may_commit && chance(p, 30))
                commit(p, false);
        if (chance(p, 8) && p->committed > 40)
                MUST(segment_release(p->b.segments, p->committed - disk_random(p->random) % 40));
}

/* `init`: answers the last entry. */
static int make_genesis(struct broker *b, uint64_t *ret_seq, struct digest *ret)
{
        struct segment_place place;
        char path[300];
        int r;

        snprintf(path, sizeof(path), "%s/genesis.shuyi", files.dir);
        r = genesis_run(b, path);
        if (r < 0)
                return r;
        MUST(store_begin(b->store));
        for (*ret_seq = 1; store_index_find(b->store, *ret_seq + 1, &place) > 0;)
                ++*ret_seq;
        *ret = whole_digest(b->store);
        store_abort(b->store);
        return 0;
}

static void found(const char *root, struct disk *d)
{
        struct digest digest;
        struct broker b;
        uint64_t seq;

        configure(&b, root);
        MUST(recover_open(&b, false));
        MUST(make_genesis(&b, &seq, &digest));
        expected[seq] = digest;
        is_end[seq] = true;
        disk_promise(d, seq);
        end(&b);
}

static void run(struct disk *d, const char *root, uint64_t *random)
{
        struct pipeline p = { .disk = d, .random = random, };

        memset(is_end, 0, sizeof(is_end));
        found(root, d);
        for (unsigned i = 0; i < 2; i++)
                p.batch[i] = segment_batch_new(SEGMENT_BYTES), p.arena[i] = arena_new(64u << 20);
        start(&p, root);
        while (make_group(&p, market->c)) {
                write_flying(&p);
                between(&p, false);             /* the group just made is not on its way yet: the state is ahead of the log */
                land(&p);
                launch(&p);
                between(&p, true);
                if (chance(&p, 3)) {
                        stop(&p);
                        start(&p, root);
                }
        }
        stop(&p);
        for (unsigned i = 0; i < 2; i++)
                segment_batch_free(p.batch[i]), arena_free(p.arena[i]);
}

/* ---- an image ---- */

#define WRONG(...) (snprintf(wrong, CUTS_WRONG_BYTES, __VA_ARGS__), false)

static bool entries_are_whole(struct broker *b, uint64_t last, char *wrong)
{
        struct segment_cursor *c;
        struct segment_record record;
        uint64_t seq = segment_first_seq(b->segments), covered = 0;
        int r = segment_cursor_open(b->segments, (struct segment_place){ 0 }, 0, 0, &c);

        while (r == 0 && (r = segment_cursor_next(c, &record)) > 0) {
                if (record.type == SEGMENT_HEAD)
                        covered = record.seq;
                else if (record.seq != seq++)
                        r = -EPROTO;
                r = r < 0 ? r : 0;
        }
        segment_cursor_close(c);
        return r == 0 && covered == last && seq == last + 1 ? true : WRONG("the log reads to %llu of %llu: %s", (unsigned long long)covered, (unsigned long long)last, strerror(-r));
}

/* The log goes on behind what was recovered, and is found again. */
static bool goes_on(struct broker *b, const char *image, uint64_t last, uint64_t *random, char *wrong)
{
        struct segment_batch *batch = segment_batch_new(SEGMENT_BYTES);
        struct segment_recovery found;
        struct segment_log *log;
        uint8_t envelope[3000];
        char note[100], dir[400];
        uint64_t seq = last;
        int r = 0;

        for (size_t i = 0; i < sizeof(envelope); i++)
                envelope[i] = (uint8_t)disk_random(random);
        for (unsigned i = 0; i < 4 && r == 0; i++) {
                struct segment_entry e = { .epoch = 1, .seq = ++seq, .envelope = bytes_of(envelope, 200 + disk_random(random) % 2800) };

                segment_batch_reset(batch);
                snprintf(note, sizeof(note), "x\n%llu\nroot\n", (unsigned long long)seq);
                r = segment_batch_add_entry(batch, &e);
                if (r == 0)
                        r = segment_batch_add_head(batch, 1, seq, bytes_str(note));
                if (r == 0)
                        r = segment_plan(b->segments, batch);
                if (r == 0)
                        r = segment_write(b->segments, batch);
                if (r == 0)
                        r = segment_sync(b->segments);
        }
        segment_batch_free(batch);
        if (r < 0)
                return WRONG("it does not go on: %s", strerror(-r));
        snprintf(dir, sizeof(dir), "%s/store/log", image);
        struct segment_options o = { .dir = dir, .domain = CITY_DOMAIN, .segment_bytes = SEGMENT_BYTES, .synced_seq = seq, .read_only = true, .allow_volatile = true };

        r = segment_open(&o, &log, &found);
        if (r < 0)
                return WRONG("what went on does not open: file %llu offset %llu %s", (unsigned long long)found.damage.file, (unsigned long long)found.damage.offset, found.reason);
        segment_close(log);
        return found.last_seq == seq ? true : WRONG("what went on ends with %llu, not %llu", (unsigned long long)found.last_seq, (unsigned long long)seq);
}

static bool is_founded_again(const struct digest *d)
{
        for (unsigned i = 0; i < ELEMENTS(founded_again); i++)
                if (digest_equal(d, &founded_again[i]))
                        return true;
        return false;
}

static void tell_damage(void *wrong, const char *text)
{
        snprintf(wrong, CUTS_WRONG_BYTES, "%s", text);
}

static bool holds(struct broker *b, const char *image, uint64_t promised, bool deep, uint64_t *random, char *wrong)
{
        struct arena *a = arena_new(1 << 20);
        const Shuyi__V1__MetaRow *meta;
        struct store_scan scan;
        struct digest is;
        uint64_t seq;

        if (store_scan(b->store, NULL, tell_damage, wrong, &scan) < 0)
                return false;

        MUST(store_begin(b->store));
        meta = fold_meta(store_state(b->store), a);
        seq = meta ? meta->seq : 0;
        is = whole_digest(b->store);
        store_abort(b->store);
        arena_free(a);
        if (seq < promised)
                return WRONG("entry %llu was acknowledged, the state ends with %llu", (unsigned long long)promised, (unsigned long long)seq);
        if (seq >= SEQS_MAX || !is_end[seq])
                return WRONG("it ends with %llu, which ended no group", (unsigned long long)seq);
        if (!digest_equal(&is, &expected[seq]) && !is_founded_again(&is))
                return WRONG("the state at %llu is not that of its log", (unsigned long long)seq);
        if (!entries_are_whole(b, seq, wrong))
                return false;
        return !deep || goes_on(b, image, seq, random, wrong);
}

/* Nothing was acknowledged: `init` can be run (again). */
static bool can_be_founded(struct broker *b, char *wrong)
{
        uint64_t seq;
        int r = make_genesis(b, &seq, &founded_again[founded_n++ % ELEMENTS(founded_again)]);

        return r == 0 ? true : WRONG("it cannot be founded: %s", strerror(-r));
}

static bool recover(const char *image, uint64_t promised, bool deep, uint64_t *random, char wrong[CUTS_WRONG_BYTES])
{
        struct broker b;
        bool crashed, good;
        int r;

        configure(&b, image);
        r = recover_open(&b, false);
        if (r == 0)
                r = recover_run(&b, &crashed);
        if (r == -ENODATA && promised == 0)
                good = can_be_founded(&b, wrong);
        else if (r < 0)
                good = WRONG("it does not recover: %s", strerror(-r));
        else
                good = holds(&b, image, promised, deep, random, wrong);
        end(&b);
        return good;
}

/* ---- all of it ---- */

static void make_city(void)
{
        struct city *c = city_new();
        struct market_stream stream;

        c->now = times_wall();
        city_anchor(c);
        city_broker_credential(c);
        city_department(c, CITY_AUTHORITY, "authority");
        files.city = c;
        live_found_files(&files);
        city_publish(c, NULL);
        market = market_of(c);
        market_live(market, market_publish(market, market_open_entry(market)), &stream);
        for (unsigned i = 0; i < UPDATES; i++)
                market_update(market, &stream, 1 + i % 5);
}

int main(int argc, char **argv)
{
        static const char *const needed[] = { "fdatasync .seg", "fsync log/", "fsync state/", "fsync store/", "fsync run/", "fdatasync .mdb", "O_DSYNC .mdb", NULL };
        static const struct cuts_case broker = { .name = "a broker loses nothing acknowledged, whenever its power is cut", .run = run, .recover = recover,
                                                 .cuts_a_run = 500, .needed = needed };
        int r;

        log_init("test", getenv("SHOW") ? LOG_INFO : LOG_EMERG);
        keys[S_SEGMENT_BYTES].min = SEGMENT_BYTES;
        if (!getenv("SHOW"))
                freopen("/dev/null", "w", stderr);
        make_city();
        r = cuts_main(&broker, 7000, argc, argv);
        market_free(market);
        temp_dir_remove(files.dir);
        return r;
}
