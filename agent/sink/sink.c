/* sink: see sink.h. */
#include "agent/sink/sink.h"

#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/inbox.h"
#include "agent/keep.h"
#include "agent/link.h"
#include "agent/sink/line.h"
#include "agent/sink/ndjson.h"
#include "common/envelope.h"
#include "common/exchange/rows.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/macro.h"

#define LINKS_AT_ONCE 256
#define LINES_MAX_BYTES (4 * 1024 * 1024)
#define ROUND_MAX_BYTES (256 * 1024 * 1024)
#define RETRY_MS 1000
#define IDLE_MS 1000
#define REOPEN_NS 10000000000ull

struct sink_file {
        const char *path;
        struct ndjson *file;                    /* NULL: another entry of the same path has it, or it could not be opened */
        uint64_t offset;
};

/* What one round wrote of one grant. */
struct written { struct digest grant; uint64_t stream_seq, lines; unsigned file; };

struct sink {
        struct agent *ag;
        pthread_t thread;
        bool running;
        int stop_fd;
        struct metrics_block *block;
        struct arena *arena;
        struct sink_file *files;
        unsigned files_n;
        struct written *written;
        size_t written_n, written_room;
        uint64_t bytes;
};

int sink_choose(const struct config *c, const char *grant_hex, const char *resource)
{
        int best = -1, rank = 0;

        for (unsigned i = 0; i < config_count(c, S_SINK_PATH); i++) {
                const char *source = config_string_at(c, S_SINK_SOURCE, i);
                int r = strcmp(source, grant_hex) == 0 ? 3 : strcmp(source, resource) == 0 ? 2 : strcmp(source, "*") == 0 ? 1 : 0;

                if (r > rank) {
                        best = (int)i;
                        rank = r;
                }
        }
        return best;
}

/* ---- files ---- */

static struct agent_key file_key(const char *path)
{
        struct digest d = digest_plain(bytes_str(path));

        return agent_key_bytes(agent_key(AGENT_SINK_FILE), bytes_digest(&d));
}

static unsigned same_path(const struct sink *s, unsigned i)
{
        for (unsigned k = 0; k < i; k++)
                if (strcmp(s->files[k].path, s->files[i].path) == 0)
                        return k;
        return i;
}

static int open_file(struct sink *s, unsigned i)
{
        _cleanup_(store_snapshot_closep) struct store_snapshot *snapshot = NULL;
        struct agent_key k = file_key(s->files[i].path);
        Shuyi__Agent__SinkRow *row;
        int r = store_snapshot_open(s->ag->store, &snapshot);

        if (same_path(s, i) != i)
                return 0;
        arena_reset(s->arena);
        if (r == 0)
                r = keep_get(store_snapshot_state(snapshot), s->arena, &k, &shuyi__agent__sink_row__descriptor, &row);
        if (r < 0)
                return r;
        r = ndjson_open(s->files[i].path, r > 0 ? row->offset : NDJSON_END, &s->files[i].file, &s->files[i].offset);
        if (r < 0)
                log_event(LOG_ERR, "sink.open", log_str("path", s->files[i].path), log_errno("fault", r),
                          log_str("todo", r == -EBADMSG ? "not the file that was written before: move it away" : ""));
        return r;
}

/* ---- what was written ---- */

static struct written *written_of(struct sink *s, const struct digest *grant, unsigned file)
{
        struct written *grown;

        for (size_t i = 0; i < s->written_n; i++)
                if (digest_equal(&s->written[i].grant, grant))
                        return &s->written[i];
        if (s->written_n == s->written_room) {
                size_t room = s->written_room ? 2 * s->written_room : 16;

                grown = realloc(s->written, room * sizeof(*grown));
                if (!grown)
                        return NULL;
                s->written = grown;
                s->written_room = room;
        }
        s->written[s->written_n] = (struct written){ .grant = *grant, .file = file };
        return &s->written[s->written_n++];
}

/* ---- one link ---- */

static int write_lines(struct sink *s, struct arena *a, struct line_source *source, const Shuyi__Agent__OpenedRecords *list, struct ndjson *file)
{
        for (size_t i = 0; i < list->n_records; i++) {
                Shuyi__V1__Record *record = message_parse(a, &shuyi__v1__record__descriptor, keep_bytes(list->records[i]));
                struct bytes line;
                int r;

                source->index = (uint32_t)i;
                line = record ? line_format(a, source, record) : (struct bytes){ 0 };
                if (!line.p)
                        return record ? -ENOMEM : -EBADMSG;
                r = ndjson_append(file, line);
                if (r < 0)
                        return r;
                s->bytes += line.n;
        }
        return 0;
}

static int open_records(struct sink *s, struct arena *a, const struct digest *grant, uint64_t seq, const Shuyi__Agent__OpenedRow *row,
                        Shuyi__Agent__OpenedRecords **ret)
{
        struct bytes plain;

        if (!vault_unseal(s->ag->vault, a, inbox_what(a, grant, seq), keep_bytes(row->records), &plain))
                return arena_failed(a) ? -ENOMEM : -EBADMSG;
        *ret = message_parse(a, &shuyi__agent__opened_records__descriptor, plain);
        return *ret ? 0 : -EBADMSG;
}

/* 1 written, 0 no sink takes it. */
static int write_link(struct sink *s, struct state st, struct arena *a, const struct digest *grant, uint64_t seq, struct bytes value)
{
        struct line_source source = { .grant = *grant, .stream_seq = seq };
        struct rows rows = { st, a, 0 };
        Shuyi__Agent__OpenedRecords *list;
        Shuyi__V1__VersionRow *version;
        Shuyi__Agent__OpenedRow *row;
        struct written *w;
        char hex[2 * DIGEST_BYTES + 1];
        int choice, r = keep_decode(a, value, &shuyi__agent__opened_row__descriptor, &row);

        if (r < 0)
                return r;
        hex_format(bytes_digest(grant), hex);
        choice = sink_choose(s->ag->config, hex, row->resource);
        version = rows_version(&rows, row->resource, row->version);
        if (choice < 0 || !version)
                return 0;
        choice = (int)same_path(s, (unsigned)choice);
        if (!s->files[choice].file)
                return 0;
        source.resource = row->resource;
        source.version = row->version;
        source.entry = version->entry;
        r = open_records(s, a, grant, seq, row, &list);
        if (r == 0)
                r = write_lines(s, a, &source, list, s->files[choice].file);
        w = r == 0 ? written_of(s, grant, (unsigned)choice) : NULL;
        if (!w)
                return r < 0 ? r : -ENOMEM;
        w->stream_seq = seq;
        w->lines += list->n_records;
        return 1;
}

/* ---- a round ---- */

static struct agent_key next_grant(const struct digest *grant)
{
        return agent_key_u64(agent_key_bytes(agent_key(AGENT_OPENED), bytes_digest(grant)), UINT64_MAX);
}

/* Writes what is there, up to a bound; the order within a grant is that of its stream.  Answers how many links. */
static int write_some(struct sink *s)
{
        _cleanup_(store_snapshot_closep) struct store_snapshot *snapshot = NULL;
        struct agent_key prefix = agent_key(AGENT_OPENED), from = prefix;
        struct bytes key, value;
        struct digest grant;
        int links = 0, r = store_snapshot_open(s->ag->store, &snapshot);

        if (r < 0)
                return r;
        while (links < LINKS_AT_ONCE && s->bytes < LINES_MAX_BYTES) {
                r = keep_next(store_snapshot_state(snapshot), &prefix, &from, &key, &value);
                if (r <= 0 || key.n != 1 + DIGEST_BYTES + 8)
                        break;
                memcpy(grant.b, key.p + 1, DIGEST_BYTES);
                from = keep_after(key);
                arena_reset(s->arena);
                r = write_link(s, store_snapshot_state(snapshot), s->arena, &grant, get_be64(key.p + 1 + DIGEST_BYTES), value);
                if (r < 0)
                        return r;
                if (r == 0)
                        from = next_grant(&grant);
                links += r;
        }
        return r < 0 ? r : links;
}

static int sync_files(struct sink *s)
{
        for (unsigned i = 0; i < s->files_n; i++) {
                int r = s->files[i].file ? ndjson_sync(s->files[i].file, &s->files[i].offset) : 0;

                if (r < 0)
                        return r;
        }
        FAILPOINT("sink.after_sync");
        return 0;
}

static void rewind_files(struct sink *s)
{
        for (unsigned i = 0; i < s->files_n; i++)
                if (s->files[i].file && ndjson_rewind(s->files[i].file) < 0)
                        log_event(LOG_ERR, "sink.rewind", log_str("path", s->files[i].path));
}

/* ---- telling the writer ---- */

struct sunk { struct job job; struct sink *sink; int result; sem_t done; };

static int put_positions(struct agent *ag, struct arena *a, struct sink *s)
{
        int r = 0;

        for (unsigned i = 0; i < s->files_n && r >= 0; i++) {
                Shuyi__Agent__SinkRow row = SHUYI__AGENT__SINK_ROW__INIT;
                struct agent_key k = file_key(s->files[i].path);

                if (!s->files[i].file)
                        continue;
                row.offset = s->files[i].offset;
                r = keep_put(ag->store, a, &k, &row.base);
        }
        return r;
}

static int sunk_run(struct agent *ag, struct arena *a, struct job *job)
{
        struct sink *s = ((struct sunk *)job)->sink;
        int r = put_positions(ag, a, s);

        for (size_t i = 0; i < s->written_n && r >= 0; i++) {
                r = inbox_release(link_inbox(ag->link), a, &s->written[i].grant, s->written[i].stream_seq);
                metrics_add(ag->block, M_SUNK, 0, s->written[i].lines);
        }
        return r;
}

static void sunk_done(struct job *job, int result)
{
        struct sunk *j = (struct sunk *)job;

        j->result = result;
        sem_post(&j->done);
}

/* The thread waits for the commit: only then does it read on. */
static int tell_writer(struct sink *s)
{
        struct sunk j = { .job = { .run = sunk_run, .done = sunk_done, .lazy = true }, .sink = s };
        int r;

        sem_init(&j.done, 0, 0);
        r = agent_hand_over(s->ag, &j.job);
        if (r == 0) {
                while (sem_wait(&j.done) < 0 && errno == EINTR)
                        ;
                r = j.result;
        }
        sem_destroy(&j.done);
        return r;
}

/* ---- the thread ---- */

/* 1 there may be more, 0 nothing left, or a fault: what was written does not count then. */
static int round_of(struct sink *s)
{
        int links, r;

        s->written_n = 0;
        s->bytes = 0;
        links = write_some(s);
        r = links < 0 ? links : links == 0 ? 0 : sync_files(s);
        if (links > 0 && r == 0) {
                r = tell_writer(s);
                FAILPOINT("sink.after_commit");
        }
        if (r < 0) {
                metrics_inc(s->block, M_SINK_FAULT, 0);
                log_event(LOG_ERR, "sink.fault", log_errno("fault", r));
        }
        return r < 0 ? r : links > 0;
}

/* After a fault nobody knows what counts but the store: the files are opened anew.  False: one of them could not be. */
static bool reopen(struct sink *s)
{
        bool all = true;

        rewind_files(s);
        for (unsigned i = 0; i < s->files_n; i++) {
                ndjson_close(TAKE(s->files[i].file));
                all &= open_file(s, i) == 0;
        }
        return all;
}

/* Where the files begin is recorded before a line is written: a crash then knows what to cut, also of a file that is new. */
static int place(struct sink *s)
{
        s->written_n = 0;
        return tell_writer(s);
}

static void *loop(void *arg)
{
        struct sink *s = arg;
        struct pollfd fds[2] = { { .fd = s->stop_fd, .events = POLLIN }, { .fd = queue_fd(s->ag->opened), .events = POLLIN } };
        struct mono_time opened = times_mono();
        bool all = true, placed = false;
        int r = 1;

        pthread_setname_np(pthread_self(), "sink");
        for (;;) {
                void *wake = NULL;

                poll(fds, 2, r > 0 ? 0 : r < 0 ? RETRY_MS : IDLE_MS);
                if (fds[0].revents)
                        return NULL;
                queue_take(s->ag->opened, 0, &wake);
                if (r < 0 || (!all && times_mono().ns - opened.ns > REOPEN_NS)) {
                        all = reopen(s);
                        opened = times_mono();
                        placed = false;
                }
                r = placed ? 1 : place(s);
                placed = r >= 0;
                if (placed)
                        r = round_of(s);
        }
}

/* ---- start and stop ---- */

static int open_files(struct sink *s)
{
        int r = 0;

        s->files_n = config_count(s->ag->config, S_SINK_PATH);
        s->files = calloc(s->files_n + 1, sizeof(*s->files));
        if (!s->files)
                return -ENOMEM;
        for (unsigned i = 0; i < s->files_n; i++)
                s->files[i].path = config_string_at(s->ag->config, S_SINK_PATH, i);
        for (unsigned i = 0; i < s->files_n && r == 0; i++)
                r = open_file(s, i);
        return r;
}

int sink_start(struct agent *ag, struct sink **ret)
{
        struct sink *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->ag = ag;
        s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        s->arena = arena_new(ROUND_MAX_BYTES);
        s->block = metrics_block_new(ag->metrics);
        r = s->stop_fd < 0 ? -errno : s->arena && s->block ? open_files(s) : -ENOMEM;
        if (r == 0) {
                r = -pthread_create(&s->thread, NULL, loop, s);
                s->running = r == 0;
        }
        if (r < 0) {
                sink_stop(s);
                return r;
        }
        *ret = s;
        return 0;
}

void sink_stop(struct sink *s)
{
        if (!s)
                return;
        if (s->running) {
                eventfd_write(s->stop_fd, 1);
                pthread_join(s->thread, NULL);
        }
        for (unsigned i = 0; i < s->files_n && s->files; i++)
                ndjson_close(s->files[i].file);
        free(s->files);
        free(s->written);
        arena_free(s->arena);
        if (s->stop_fd >= 0)
                close(s->stop_fd);
        free(s);
}
