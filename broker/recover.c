/* recover: see the header. */
#include "broker/recover.h"
#include "broker/rebuild.h"
#include "common/anchor.h"
#include "common/directory.h"
#include "common/macro.h"
#include "common/replay.h"
#include "common/statekeys.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

const char *recover_dir(struct broker *b, const char *name, char buffer[4096])
{
        snprintf(buffer, 4096, "%s/%s", config_string(b->config, S_STORE_DIR), name);
        return buffer;
}

int recover_read_file(struct arena *a, const char *path, size_t max_bytes, struct bytes *ret)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat st;
        uint8_t *p;
        size_t n = 0;

        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size > max_bytes) {
                close(fd);
                return -EFBIG;
        }
        p = arena_alloc(a, (size_t)st.st_size + 1);
        while (p && n < (size_t)st.st_size) {
                ssize_t got = read(fd, p + n, (size_t)st.st_size - n);

                if (got <= 0)
                        break;
                n += (size_t)got;
        }
        close(fd);
        if (!p)
                return -ENOMEM;
        *ret = bytes_of(p, n);
        return 0;
}

/* ---- keys ---- */

static int open_key(const char *path, enum keyfile_use use, struct keyfile *ret)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct bytes text;
        int r = a ? recover_read_file(a, path, 64 * 1024, &text) : -ENOMEM;

        if (r == 0)
                r = keyfile_open(text, (struct bytes){ 0 }, true, ret);
        if (r == 0 && (ret->use != use || !ret->sign || (use == KEYFILE_BROKER && !ret->link)))
                r = -EKEYREJECTED;
        if (r < 0)
                log_event(LOG_ERR, "keys.open", log_str("file", path), log_errno("fault", r));
        return r;
}

static int open_keys(struct broker *b)
{
        int r = open_key(config_string(b->config, S_KEYS_BROKER), KEYFILE_BROKER, &b->keys);

        if (r == 0)
                r = open_key(config_string(b->config, S_KEYS_LOG), KEYFILE_LOG, &b->log_keys);
        if (secret_check_mlock() < 0)
                log_event(LOG_WARNING, "keys.not_locked");
        return r;
}

/* ---- store and log ---- */

static int open_store(struct broker *b)
{
        char dir[4096];
        struct store_options o = {
                .dir = recover_dir(b, "state", dir), .map_bytes = (uint64_t)broker_setting(b, S_STORE_MAP),
                .databases = fold_databases, .allow_volatile = config_bool(b->config, S_STORE_VOLATILE),
        };
        int r = directory_make(config_string(b->config, S_STORE_DIR), o.allow_volatile);

        if (r == 0)
                r = store_open(&o, &b->store);
        if (r < 0)
                log_event(LOG_ERR, "store.open", log_str("dir", dir), log_errno("fault", r));
        return r;
}

int recover_synced_before(struct broker *b, uint64_t *ret_seq, uint64_t *ret_file)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        _cleanup_(store_snapshot_closep) struct store_snapshot *p = NULL;
        const Shuyi__V1__MetaRow *meta;
        struct segment_place place;
        int r = a ? store_snapshot_open(b->store, &p) : -ENOMEM;

        *ret_seq = *ret_file = 0;
        if (r < 0)
                return r;
        meta = fold_meta(store_snapshot_state(p), a);
        if (!meta || meta->seq == 0)
                return 0;
        *ret_seq = meta->seq;
        r = store_snapshot_index_find(p, meta->seq, &place);
        if (r > 0)
                *ret_file = place.file;
        return r < 0 ? r : 0;
}

static int open_segments(struct broker *b, bool read_only)
{
        char dir[4096];
        struct segment_recovery found = { 0 };
        struct segment_options o = {
                .dir = recover_dir(b, "log", dir), .domain = b->domain, .segment_bytes = (uint64_t)broker_setting(b, S_SEGMENT_BYTES) & ~4095ull,
                .keep_free = 2, .read_only = read_only, .allow_volatile = config_bool(b->config, S_STORE_VOLATILE),
        };
        int r = b->store ? recover_synced_before(b, &o.synced_seq, &o.check_from_file) : 0;

        if (r == 0)
                r = segment_open(&o, &b->segments, &found);
        if (r == -EBADMSG)
                log_event(LOG_CRIT, "log.damaged", log_u64("file", found.damage.file), log_u64("offset", found.damage.offset), log_str("reason", found.reason));
        else if (r < 0)
                log_event(LOG_ERR, "log.open", log_str("dir", dir), log_errno("fault", r));
        else
                log_event(LOG_INFO, "log.opened", log_u64("seq", found.last_seq), log_u64("dropped_records", found.dropped_records), log_u64("dropped_bytes", found.dropped_bytes));
        return r;
}

int recover_open(struct broker *b, bool read_only)
{
        int r = read_only ? 0 : open_keys(b);

        snprintf(b->domain, sizeof(b->domain), "%s", config_string(b->config, S_DOMAIN));
        b->origin = config_string(b->config, S_ORIGIN);
        if (r == 0 && !read_only)
                r = open_store(b);
        return r == 0 ? open_segments(b, read_only) : r;
}

void recover_close(struct broker *b)
{
        segment_close(b->segments);
        store_close(b->store);
        keyfile_fini(&b->keys);
        keyfile_fini(&b->log_keys);
        b->segments = NULL;
        b->store = NULL;
}

/* ---- who we are ---- */

static int misfit(const char *what)
{
        fprintf(stderr, "shuyi-broker: %s\n", what);
        log_event(LOG_ERR, "identity.misfit", log_str("what", what));
        return -EKEYREJECTED;
}

int recover_identity(struct broker *b, struct state state, struct arena *a)
{
        const Shuyi__V1__MetaRow *meta = fold_meta(state, a);
        const Shuyi__V1__Anchor *anchor = statekeys_anchor(state, a);
        const Shuyi__V1__LogKey *log = anchor ? anchor_find_log(anchor, b->origin) : NULL;
        const Shuyi__V1__CredentialRow *row;
        uint8_t key[FOLD_KEY_MAX];
        struct bytes id;

        if (!anchor)
                return misfit("the state holds no anchor in force");
        if (!log || log->key.len != 32 || memcmp(log->key.data, b->log_keys.sign_key, 32) != 0)
                return misfit("keys.log and log.origin are not those of the anchor");
        if (state.ops->get(state.ctx, FOLD_KEY(key, TABLE_KEY, bytes_of(b->keys.sign_key, 32)), &id) <= 0 || !bytes_copy_exact(id, b->credential.b, DIGEST_BYTES))
                return misfit("keys.broker has no credential in this log");
        row = FOLD_ROW(state, a, shuyi__v1__credential_row__descriptor, TABLE_CREDENTIAL, bytes_digest(&b->credential));
        if (!row || row->status != STATUS_ACTIVE)
                return misfit("the broker's credential is not in force");
        b->epoch = meta->epoch;
        snprintf(b->authority, sizeof(b->authority), "%s", meta->authority ? meta->authority : "");
        return 0;
}

/* ---- the tail ---- */

static int apply_tail(struct broker *b, struct fold *fold)
{
        struct replay r = { .fold = fold, .segments = b->segments, .origin = b->origin, .log_key = b->log_keys.sign_key, .index = true };
        uint64_t from = fold->seq;
        int f = replay_run(&r);

        if (f == -EBADMSG)
                log_event(LOG_CRIT, "log.contradicts", log_u64("seq", r.bad_seq), log_str("reason", r.reason));
        if (f == 0)
                log_event(LOG_INFO, "state.recovered", log_u64("from", from), log_u64("seq", fold->seq));
        return f;
}

/* A state that is not there, be it that the power went between the log's first sync and the state's first commit, is made from
 * the newest BASE, or from the log, if that is kept whole from its first entry. */
static int open_fold(struct broker *b, bool log_is_empty, struct fold *ret)
{
        int r = fold_open(ret, b->store, b->domain);

        if (r != -ENODATA || log_is_empty)
                return r;
        fold_close(ret);
        store_abort(b->store);
        r = rebuild_from_base(b, ret);
        if (r == 0)
                return 0;
        if (rebuild_needs_base(b)) {
                fprintf(stderr, "shuyi-broker: the state is missing, part of the log was purged, and there is no BASE to begin from\n");
                log_event(LOG_CRIT, "state.missing", log_str("todo", "put back a BASE, or a backup of the state"));
                return -ENOTRECOVERABLE;
        }
        log_event(LOG_WARNING, "state.missing", log_str("todo", "it is made anew from the whole log"));
        return fold_open_new(ret, b->store, b->domain);
}

int recover_run(struct broker *b, bool *ret_crashed)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(4 << 20);
        struct segment_space space;
        struct fold fold = { 0 };
        int r = segment_space(b->segments, &space);

        if (r == 0)
                r = open_fold(b, space.files == 0, &fold);
        if (r == 0)
                r = apply_tail(b, &fold);
        if (r == 0)
                r = a ? recover_identity(b, store_state(b->store), a) : -ENOMEM;
        if (r == 0)
                r = fold_take_clean(&fold);
        if (r >= 0) {
                *ret_crashed = r == 0;
                r = fold_save(&fold);
        }
        if (r == 0)
                r = store_commit(b->store);
        else
                store_abort(b->store);
        fold_close(&fold);
        return r;
}
