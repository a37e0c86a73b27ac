/* rebuild: see the header. */
#include "broker/rebuild.h"
#include "broker/recover.h"
#include "common/base.h"
#include "common/macro.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES_A_COMMIT 65536

/* ---- where the entries lie ---- */

static int note_place(struct store *s, const struct segment_record *rec)
{
        int r = store_index_append(s, rec->seq, rec->place);

        if (r == 0 && rec->seq % ENTRIES_A_COMMIT == 0) {
                r = store_commit(s);
                if (r == 0)
                        r = store_begin(s);
        }
        return r;
}

/* Of every entry up to the BASE's: all else that is known of them lies in the BASE. */
static int note_places(void *ctx, struct store *s, const struct base *b)
{
        struct broker *broker = ctx;
        struct segment_cursor *c;
        struct segment_record rec;
        int r = segment_cursor_open(broker->segments, (struct segment_place){ 0 }, 0, 0, &c);

        if (r < 0)
                return r;
        while ((r = segment_cursor_next(c, &rec)) > 0 && rec.seq <= b->seq) {
                r = rec.type == SEGMENT_HEAD ? 0 : note_place(s, &rec);
                if (r < 0)
                        break;
        }
        segment_cursor_close(c);
        return r < 0 ? r : 0;
}

/* ---- from a BASE ---- */

static const char *path_of(struct broker *b, uint64_t seq, char ret[4200])
{
        char dir[4096], name[BASE_NAME_BYTES];

        base_name(seq, name);
        snprintf(ret, 4200, "%s/%s", recover_dir(b, "base", dir), name);
        return ret;
}

static int load_one(struct broker *b, uint64_t seq, struct fold *ret)
{
        struct base *base = calloc(1, sizeof(*base));
        char path[4200];
        const char *wrong;
        int r = base ? 0 : -ENOMEM;

        if (r < 0)
                return r;
        wrong = base_load(path_of(b, seq, path), b->store, b->origin, b->log_keys.sign_key, note_places, b, ret, base, &r);
        if (wrong)
                log_event(LOG_ERR, "base.not_loaded", log_str("file", path), log_str("reason", wrong));
        else
                log_event(LOG_NOTICE, "base.loaded", log_str("file", path), log_u64("seq", base->seq), log_u64("rows", base->rows));
        free(base);
        return r;
}

int rebuild_from_base(struct broker *b, struct fold *ret)
{
        uint64_t list[BASE_KEPT_MAX];
        char dir[4096];
        int n = base_list(recover_dir(b, "base", dir), true, list), r = -ENOENT;

        if (n < 0)
                return n;
        for (int i = n - 1; i >= 0; i--) {
                r = load_one(b, list[i], ret);
                if (r != -EBADMSG)
                        break;
        }
        return r;
}

bool rebuild_needs_base(struct broker *b)
{
        struct segment_closed f;

        if (segment_first_seq(b->segments) != 1)
                return true;
        for (uint64_t from = 1; segment_closed_find(b->segments, from, &f); from = f.file + 1)
                if (f.inputs_to > 0)
                        return true;
        return false;
}

/* ---- what can be asked of the program ---- */

static void remove_store(const char *dir)
{
        DIR *d = opendir(dir);
        struct dirent *e;

        while (d && (e = readdir(d)))
                if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                        unlinkat(dirfd(d), e->d_name, 0);
        if (d)
                closedir(d);
        rmdir(dir);
}

/* The state stays to be looked at until the next time. */
static int put_aside(struct broker *b)
{
        char dir[4096], old[4096];

        recover_dir(b, "state", dir);
        recover_dir(b, "state.old", old);
        if (access(dir, F_OK) < 0)
                return errno == ENOENT ? 0 : -errno;
        remove_store(old);
        return rename(dir, old) < 0 ? -errno : 0;
}

int rebuild_run(struct broker *b)
{
        bool crashed;
        int r = put_aside(b);

        if (r == 0)
                r = recover_open(b, false);
        if (r == 0)
                r = recover_run(b, &crashed);
        printf("rebuild: %s\n", r == 0 ? "the state is made anew; what was there is in state.old" : strerror(-r));
        return r;
}

int rebuild_write_base(struct broker *b)
{
        struct base *base = calloc(1, sizeof(*base));
        char dir[4096], state[65];
        bool crashed;
        int r = base ? recover_open(b, false) : -ENOMEM;

        if (r == 0)
                r = recover_run(b, &crashed);
        if (r == 0)
                r = base_write(b->store, b->segments, recover_dir(b, "base", dir), b->domain, b->origin, secret_peek(b->log_keys.sign), b->log_keys.sign_key, NULL, base);
        if (r == 0)
                r = base_prune(dir, (unsigned)broker_setting(b, S_BASE_KEEP));
        if (r == 0) {
                hex_format(bytes_digest(&base->state), state);
                printf("base seq=%llu rows=%llu outcomes=%llu bytes=%llu state=%s\n", (unsigned long long)base->seq, (unsigned long long)base->rows,
                       (unsigned long long)base->outcomes, (unsigned long long)base->bytes, state);
        } else {
                printf("base: %s\n", strerror(-r));
        }
        free(base);
        return r;
}
