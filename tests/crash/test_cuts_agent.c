/* Power cuts of an agent: its store and storage key from the first start on, outbox, inbox and the lines of a sink.  Each image
 * is opened as the agent does it: what was answered for is there, the store is that of one commit, all that is encrypted in it
 * opens, and the lines that the store counts stand in the file. */
#include "agent/inbox.h"
#include "agent/outbox.h"
#include "agent/replica.h"
#include "agent/sink/ndjson.h"
#include "common/log.h"
#include "common/macro.h"
#include "tests/crash/cuts.h"
#include "tests/lib/temp_dir.h"
#include "tests/lib/transfer.h"
#include "tests/lib/unit.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINKS 60
#define COMMITS_MAX 400
#define RECORDS_MAX_A_PUSH 12
#define LINE "{\"op\":\"UPSERT\",\"key\":\"%08llu\",\"values\":{\"name_en\":\"some value of some length, as lines have it\"}}\n"

static struct transfer *city;
static Shuyi__Agent__PendingRow links[LINKS];
static struct vault *first_vault;

/* What the store comes to at each commit of the run at hand, and how many lines count. */
static struct digest expected[COMMITS_MAX];
static uint64_t commits;

#define DIE(...) (fprintf(stderr, __VA_ARGS__), abort())
#define MUST(call) do { int must_r = (call); if (must_r < 0) DIE("%s:%d: %s: %s\n", __FILE__, __LINE__, #call, strerror(-must_r)); } while (0)
#define WRONG(...) (snprintf(wrong, CUTS_WRONG_BYTES, __VA_ARGS__), false)

static struct digest store_digest(struct store *s, bool *ret_empty)
{
        uint8_t from[STORE_KEY_MAX + 1], lengths[8];
        struct digest d = { { 0 } };
        struct bytes key, value;
        size_t from_n = 0;

        *ret_empty = true;
        while (store_next(s, STORE_STATE, (struct bytes){ 0 }, bytes_of(from, from_n), &key, &value) > 0) {
                *ret_empty = false;
                put_le32(lengths, (uint32_t)key.n);
                put_le32(lengths + 4, (uint32_t)value.n);
                d = DIGEST_OF(CTX_EFFECTS_CHAIN, bytes_digest(&d), bytes_of(lengths, 8), key, value);
                memcpy(from, key.p, key.n);
                from[key.n] = 0;
                from_n = key.n + 1;
        }
        return d;
}

/* ---- the agent over a directory ---- */

static const struct agent_key *lines_key(void)
{
        static struct agent_key k;

        k = agent_key(AGENT_SINK_FILE);
        return &k;
}

static int open_agent(struct agent *ag, const char *root)
{
        struct agent_key k = agent_key(AGENT_OUTBOX);
        char dir[400];
        struct bytes value;
        int r;

        snprintf(dir, sizeof(dir), "%s/state", root);
        struct store_options o = { .dir = dir, .map_bytes = 16 << 20, .readers = 8, .allow_volatile = true, .scan = true };

        ag->store = NULL;
        ag->vault = NULL;
        r = store_open(&o, &ag->store);
        if (r < 0)
                return r;
        MUST(store_begin(ag->store));
        r = store_get(ag->store, STORE_STATE, agent_key_get(&k), &value);
        store_abort(ag->store);
        return r < 0 ? r : vault_open(dir, r == 0, &ag->vault);
}

static void close_agent(struct agent *ag)
{
        vault_close(ag->vault);
        store_close(ag->store);
        ag->vault = NULL;
        ag->store = NULL;
}

/* ---- the run ---- */

struct working {
        struct agent *ag;
        struct inbox *inbox;
        struct ndjson *sink;
        struct disk *disk;
        uint64_t *random, lines, mono;
        struct arena *arena;
        unsigned link, pushes;
};

static uint64_t up_to(struct working *w, uint64_t n)
{
        return disk_random(w->random) % n;
}

static void commit(struct working *w)
{
        bool empty;

        if (++commits >= COMMITS_MAX)
                DIE("too many commits\n");
        expected[commits] = store_digest(w->ag->store, &empty);
        MUST(store_commit(w->ag->store));
        disk_promise(w->disk, commits);
}

static void begin(struct working *w)
{
        arena_reset(w->arena);
        MUST(store_begin(w->ag->store));
        MUST(store_group_begin(w->ag->store));
}

static void take_push(struct working *w)
{
        struct bytes records[RECORDS_MAX_A_PUSH];
        uint32_t sizes[RECORDS_MAX_A_PUSH];
        struct outbox_push push = { .resource = "R1", .version = 1, .taken_at = 1770861600000ull + w->pushes, .records = records, .record_bytes = sizes };
        enum outbox_answer answer;
        struct id id;

        w->pushes++;
        for (unsigned i = 0; i < ID_BYTES; i++)
                push.id.b[i] = (uint8_t)disk_random(w->random);
        push.n = 1 + (uint32_t)up_to(w, RECORDS_MAX_A_PUSH - 1);
        for (uint32_t i = 0; i < push.n; i++) {
                uint8_t plain[600] = { (uint8_t)i };

                sizes[i] = 40 + (uint32_t)up_to(w, 500);
                records[i] = vault_seal_in(w->ag->vault, w->arena, outbox_taken_what(w->arena, &push.id, i), bytes_of(plain, sizes[i]));
        }
        MUST(outbox_take(w->ag, w->arena, &push, 1 << 30, &answer, &id));
}

static void seal(struct working *w)
{
        Shuyi__Agent__SealedRow row = SHUYI__AGENT__SEALED_ROW__INIT;
        static uint8_t bytes[3000];
        uint64_t seq;

        row.envelope = keep_binary(bytes_of(bytes, 100 + up_to(w, 2900)));
        row.digest = keep_binary(bytes_of(bytes, 32));
        MUST(outbox_add(w->ag, w->arena, (uint32_t)up_to(w, 2), &row, &seq));
}

static void settle(struct working *w)
{
        uint32_t lane = (uint32_t)up_to(w, 2), number;
        Shuyi__Agent__OutboxRow *box;
        Shuyi__Agent__SealedRow *row;
        uint64_t last, first;

        MUST(outbox_get(store_state(w->ag->store), w->arena, &box));
        first = outbox_first(box, lane);
        if (outbox_find(store_state(w->ag->store), w->arena, lane, first, &row) > 0)
                MUST(outbox_settle(w->ag, w->arena, lane, row, first, first % 2));
        if (outbox_resource(store_state(w->ag->store), "R1", &number) > 0) {
                MUST(outbox_taken_last(w->ag->store, number, &last));
                MUST(outbox_release(w->ag, w->arena, number, last > 20 ? last - 20 : 0));
        }
}

static void take_link(struct working *w)
{
        Shuyi__V1__Parcel p = SHUYI__V1__PARCEL__INIT;
        const Shuyi__Agent__PendingRow *link = &links[w->link];
        int r;

        if (w->link == LINKS)
                return;
        p.cursor = link->stream_seq;
        p.accepted_at = link->accepted_at;
        p.envelope = link->envelope;
        p.grant = keep_binary(bytes_digest(&city->grant));
        p.row = link->row;
        p.row_count = link->row_count;
        r = inbox_take(w->inbox, w->arena, &p, city->m->c->now, (struct mono_time){ w->mono });
        if (r != 1)
                DIE("link %u: %d\n", w->link, r);
        w->link++;
}

static void receipts_and_release(struct working *w)
{
        struct mono_time at;

        w->mono += 150000000;
        MUST(inbox_receipts(w->inbox, w->arena, city->m->c->now, (struct mono_time){ w->mono }, &at));
        if (w->link > 10)
                MUST(inbox_release(w->inbox, w->arena, &city->grant, w->link - 10));
}

/* Lines are synced before the commit that counts them. */
static void write_lines(struct working *w)
{
        uint64_t offset, n = 1 + up_to(w, 40);
        uint8_t value[8];
        char line[200];

        for (uint64_t i = 0; i < n; i++) {
                snprintf(line, sizeof(line), LINE, (unsigned long long)w->lines++);
                MUST(ndjson_append(w->sink, bytes_str(line)));
        }
        MUST(ndjson_sync(w->sink, &offset));
        put_be64(value, offset);
        MUST(keep_put_bytes(w->ag->store, lines_key(), bytes_of(value, 8)));
}

static void first_rows(struct working *w)
{
        begin(w);
        MUST(replica_begin(w->ag, w->arena));
        MUST(outbox_begin(w->ag, w->arena, times_wall()));
        MUST(store_group_commit(w->ag->store));
        commit(w);
        transfer_replicate(city, city->m->c->now.ms);
        commit(w);
}

static void open_parts(struct working *w, const char *root, uint64_t offset)
{
        char path[400];

        snprintf(path, sizeof(path), "%s/lines.ndjson", root);
        MUST(ndjson_open(path, offset, &w->sink, &offset));
        MUST(store_begin(w->ag->store));
        MUST(inbox_new(w->ag, &w->inbox));
        store_abort(w->ag->store);
}

static void close_parts(struct working *w)
{
        inbox_free(w->inbox);
        ndjson_close(w->sink);
}

static void work(struct working *w)
{
        static void (*const acts[])(struct working *) = { take_push, take_push, seal, seal, settle, take_link, take_link, receipts_and_release, write_lines };

        begin(w);
        for (uint64_t n = 1 + up_to(w, 5); n > 0; n--)
                acts[up_to(w, ELEMENTS(acts))](w);
        MUST(store_group_commit(w->ag->store));
        commit(w);
}

static uint64_t lines_counted(struct store *s)
{
        struct bytes value = { 0 };

        return store_get(s, STORE_STATE, agent_key_get(lines_key()), &value) > 0 && value.n == 8 ? get_be64(value.p) : 0;
}

static void run(struct disk *d, const char *root, uint64_t *random)
{
        struct working w = { .ag = &city->consumer, .disk = d, .random = random, .arena = arena_new(64 << 20), .mono = 1000000000 };

        commits = 0;
        MUST(open_agent(w.ag, root));
        first_rows(&w);
        open_parts(&w, root, 0);
        for (unsigned i = 0; i < 90; i++) {
                work(&w);
                if (up_to(&w, 25) == 0) {
                        uint64_t offset;

                        close_parts(&w);
                        close_agent(w.ag);
                        MUST(open_agent(w.ag, root));
                        MUST(store_begin(w.ag->store));
                        offset = lines_counted(w.ag->store);
                        store_abort(w.ag->store);
                        open_parts(&w, root, offset);
                }
        }
        close_parts(&w);
        vault_close(first_vault);               /* the key of this run, to compare with */
        first_vault = w.ag->vault;
        w.ag->vault = NULL;
        close_agent(w.ag);
        arena_free(w.arena);
}

/* ---- an image ---- */

/* What is encrypted opens under the key that is there. */
static bool rows_open(struct agent *ag, char *wrong)
{
        struct agent_key prefix = agent_key(AGENT_TAKEN), from = prefix;
        struct arena *a = arena_new(1 << 20);
        Shuyi__Agent__TakenRow *row;
        struct bytes key, value, plain;
        bool good = true;

        while (good && keep_next(store_state(ag->store), &prefix, &from, &key, &value) > 0) {
                struct id push = { { 0 } };

                arena_reset(a);
                from = keep_after(key);
                good = keep_decode(a, value, &shuyi__agent__taken_row__descriptor, &row) > 0 && bytes_copy_exact(keep_bytes(row->push), push.b, ID_BYTES) &&
                       vault_unseal(ag->vault, a, outbox_taken_what(a, &push, row->index), keep_bytes(row->record), &plain);
        }
        arena_free(a);
        return good ? true : WRONG("a taken record does not open");
}

static bool lines_stand(const char *image, uint64_t counted, char *wrong)
{
        struct ndjson *sink;
        uint64_t offset, n = 0;
        char path[400], line[200], want[200];
        FILE *f;
        int r;

        snprintf(path, sizeof(path), "%s/lines.ndjson", image);
        if (counted > 0 && access(path, F_OK) < 0)
                return WRONG("the file of lines is gone");
        r = ndjson_open(path, counted, &sink, &offset);
        if (r < 0 || offset != counted)
                return WRONG("%llu bytes of lines counted: %s", (unsigned long long)counted, strerror(-r));
        ndjson_close(sink);
        f = fopen(path, "r");
        for (; f && fgets(line, sizeof(line), f); n++) {
                snprintf(want, sizeof(want), LINE, (unsigned long long)n);
                if (strcmp(line, want) != 0)
                        return fclose(f), WRONG("line %llu is not what was written", (unsigned long long)n + 1);
        }
        if (f)
                fclose(f);
        return true;
}

static bool holds(struct agent *ag, const char *image, uint64_t promised, char *wrong)
{
        struct digest is;
        uint64_t counted;
        bool empty, good;

        MUST(store_begin(ag->store));
        is = store_digest(ag->store, &empty);
        counted = lines_counted(ag->store);
        good = empty || rows_open(ag, wrong);
        store_abort(ag->store);
        if (!good)
                return false;
        if (!digest_equal(&is, &expected[promised]) && !(promised < commits && digest_equal(&is, &expected[promised + 1])) && !(promised == 0 && empty))
                return WRONG("the store is not that of commit %llu or the next", (unsigned long long)promised);
        return lines_stand(image, counted, wrong);
}

/* It is written on, closed and opened again. */
static bool goes_on(struct agent *ag, const char *image, uint64_t *random, char *wrong)
{
        struct working w = { .ag = ag, .random = random, .arena = arena_new(64 << 20) };
        struct digest before, after;
        bool empty;
        int r;

        begin(&w);
        MUST(outbox_begin(ag, w.arena, times_wall()));
        take_push(&w);
        seal(&w);
        MUST(store_group_commit(ag->store));
        before = store_digest(ag->store, &empty);
        MUST(store_commit(ag->store));
        close_agent(ag);
        arena_free(w.arena);
        r = open_agent(ag, image);
        if (r < 0)
                return WRONG("it does not open again: %s", strerror(-r));
        MUST(store_begin(ag->store));
        after = store_digest(ag->store, &empty);
        store_abort(ag->store);
        return digest_equal(&before, &after) ? true : WRONG("what was committed afterwards is not there");
}

static bool recover(const char *image, uint64_t promised, bool deep, uint64_t *random, char wrong[CUTS_WRONG_BYTES])
{
        struct agent ag = city->consumer;
        int r = open_agent(&ag, image);
        bool good = r < 0 ? WRONG("it does not open: %s", strerror(-r)) : holds(&ag, image, promised, wrong);

        if (good && deep)
                good = goes_on(&ag, image, random, wrong);
        close_agent(&ag);
        return good;
}

static void prepare(void)
{
        static const uint32_t items[] = { 1, 2, 3 };

        city = transfer_new();
        store_close(city->consumer.store);
        vault_close(city->consumer.vault);
        city->consumer.store = NULL;
        city->consumer.vault = NULL;
        for (unsigned i = 0; i < LINKS; i++) {
                Shuyi__Agent__SealedRow sent = i % 20 == 0 ? transfer_send_epoch(city) : transfer_send_update(city, transfer_record(city, items, 3, "中山市"));

                links[i] = i % 20 == 0 ? transfer_epoch_link(city, &sent) : transfer_link(city, &sent);
        }
}

int main(int argc, char **argv)
{
        static const char *const needed[] = { "fsync .part", "fsync state/", "fsync run/", "fdatasync .mdb", "O_DSYNC .mdb", "fdatasync .ndjson", NULL };
        static const struct cuts_case agent = { .name = "an agent loses nothing it answered for, whenever its power is cut", .run = run, .recover = recover,
                                                .cuts_a_run = 500, .needed = needed };
        int r;

        log_init("test", getenv("SHOW") ? LOG_INFO : LOG_EMERG);
        prepare();
        r = cuts_main(&agent, 3000, argc, argv);
        vault_close(first_vault);
        temp_dir_remove(city->dir);             /* the rest lives to the end */
        return r;
}
