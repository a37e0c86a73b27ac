/* base: see the header.  Here: names, and writing one. */
#include "common/base_internal.h"
#include "common/failpoint.h"
#include "common/macro.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- names ---- */

void base_name(uint64_t seq, char ret[BASE_NAME_BYTES])
{
        snprintf(ret, BASE_NAME_BYTES, "BASE-%016" PRIx64, seq);
}

static bool name_parse(const char *name, const char *suffix, uint64_t *ret)
{
        if (strncmp(name, "BASE-", 5) != 0 || strspn(name + 5, "0123456789abcdef") != 16 || strcmp(name + 21, suffix) != 0)
                return false;
        *ret = strtoull(name + 5, NULL, 16);
        return true;
}

static int compare_seqs(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

/* Keeps the greatest: a lower one makes room for a higher. */
static void list_add(uint64_t list[BASE_KEPT_MAX], int *n, uint64_t seq)
{
        if (*n == BASE_KEPT_MAX) {
                qsort(list, BASE_KEPT_MAX, sizeof(*list), compare_seqs);
                if (seq > list[0])
                        list[0] = seq;
                return;
        }
        list[(*n)++] = seq;
}

int base_list(const char *dir, bool sweep, uint64_t ret[BASE_KEPT_MAX])
{
        DIR *d = opendir(dir);
        struct dirent *e;
        uint64_t seq;
        int n = 0;

        if (!d)
                return errno == ENOENT ? 0 : -errno;
        while ((e = readdir(d))) {
                if (name_parse(e->d_name, "", &seq))
                        list_add(ret, &n, seq);
                else if (sweep && name_parse(e->d_name, ".new", &seq))
                        unlinkat(dirfd(d), e->d_name, 0);
        }
        closedir(d);
        qsort(ret, (size_t)n, sizeof(*ret), compare_seqs);
        return n;
}

int base_prune(const char *dir, unsigned keep)
{
        uint64_t list[BASE_KEPT_MAX];
        char path[4200], name[BASE_NAME_BYTES];
        int n = base_list(dir, false, list);

        for (int i = 0; i + (int)keep < n; i++) {
                base_name(list[i], name);
                snprintf(path, sizeof(path), "%s/%s", dir, name);
                if (unlink(path) < 0)
                        return -errno;
        }
        return n < 0 ? n : 0;
}

/* ---- rows out ---- */

struct writer {
        int fd;
        uint8_t *p;                             /* the chunk at hand, its overhead first */
        size_t n, room;
        uint64_t offset, chunks;
        const _Atomic bool *stop;
};

static int write_all(int fd, const uint8_t *p, size_t n, uint64_t offset)
{
        while (n > 0) {
                ssize_t done = pwrite(fd, p, n, (off_t)offset);

                if (done < 0 && errno == EINTR)
                        continue;
                if (done < 0)
                        return -errno;
                p += done;
                n -= (size_t)done;
                offset += (uint64_t)done;
        }
        return 0;
}

static int flush_chunk(struct writer *w)
{
        int r;

        if (w->stop && atomic_load(w->stop))
                return -ECANCELED;
        put_be32(w->p, (uint32_t)(w->n - CHUNK_OVERHEAD));
        base_chunk_check(w->p + CHUNK_OVERHEAD, w->n - CHUNK_OVERHEAD, w->chunks, w->p + 4);
        r = write_all(w->fd, w->p, w->n, w->offset);
        if (r < 0)
                return r;
        sync_file_range(w->fd, (off_t)w->offset, (off_t)w->n, SYNC_FILE_RANGE_WRITE);   /* begun now, so that the fsync at the end is short */
        w->offset += w->n;
        w->n = CHUNK_OVERHEAD;
        w->chunks++;
        FAILPOINT("base.half_written");
        return 0;
}

static int put_row(struct writer *w, enum section section, struct bytes key, struct bytes value)
{
        size_t n = ROW_OVERHEAD + key.n + value.n;
        int r = w->n > CHUNK_OVERHEAD && w->n + n > CHUNK_BYTES ? flush_chunk(w) : 0;

        if (r < 0)
                return r;
        if (CHUNK_OVERHEAD + n > CHUNK_MAX)
                return -EMSGSIZE;
        if (w->n + n > w->room) {
                uint8_t *p = realloc(w->p, w->n + n);

                if (!p)
                        return -ENOMEM;
                w->p = p;
                w->room = w->n + n;
        }
        w->p[w->n] = (uint8_t)section;
        put_be16(w->p + w->n + 1, (uint16_t)key.n);
        put_be32(w->p + w->n + 3, (uint32_t)value.n);
        memcpy(w->p + w->n + ROW_OVERHEAD, key.p, key.n);
        if (value.n > 0)
                memcpy(w->p + w->n + ROW_OVERHEAD + key.n, value.p, value.n);
        w->n += n;
        return 0;
}

/* Adds to *rows. */
static int put_rows(struct writer *w, struct store_snapshot *p, enum section section, uint64_t *rows)
{
        uint8_t from[STORE_KEY_MAX + 1] = { 0 };
        size_t from_n = 0;
        struct bytes key, value;
        int r;

        while ((r = store_snapshot_next(p, base_databases[section], (struct bytes){ 0 }, bytes_of(from, from_n), &key, &value)) > 0) {
                r = put_row(w, section, key, value);
                if (r < 0)
                        return r;
                (*rows)++;
                memcpy(from, key.p, key.n);
                from[key.n] = 0;
                from_n = key.n + 1;
        }
        return r;
}

static int read_meta(struct store_snapshot *p, struct base *ret)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        const Shuyi__V1__MetaRow *meta = a ? fold_meta(store_snapshot_state(p), a) : NULL;
        int r;

        if (!a)
                return -ENOMEM;
        if (!meta || meta->seq == 0)
                return -ENODATA;
        snprintf(ret->domain, sizeof(ret->domain), "%s", meta->domain);
        ret->epoch = meta->epoch;
        ret->seq = meta->seq;
        ret->accepted_at.ms = meta->accepted_at;
        if (!bytes_copy_exact(bytes_of(meta->effects_chain.data, meta->effects_chain.len), ret->effects_chain.b, DIGEST_BYTES))
                return -EBADMSG;
        r = fold_tree_read(p, &ret->frontier);
        return r == 0 && ret->frontier.size != ret->seq ? -EBADMSG : r;
}

/* All rows of one snapshot, behind a header still empty. */
static int write_rows(struct writer *w, struct store *s, struct base *ret, struct segment_place *ret_place)
{
        _cleanup_(store_snapshot_closep) struct store_snapshot *p = NULL;
        uint64_t *const counts[SECTION_END] = { NULL, &ret->rows, &ret->outcomes, &ret->found, &ret->found };
        int r = store_snapshot_open(s, &p);

        if (r == 0)
                r = read_meta(p, ret);
        if (r == 0) {
                r = store_snapshot_index_find(p, ret->seq, ret_place);
                r = r == 0 ? -EBADMSG : r < 0 ? r : 0;
        }
        for (unsigned i = SECTION_STATE; i < SECTION_END && r == 0; i++)
                r = put_rows(w, p, i, counts[i]);
        if (r == 0 && w->n > CHUNK_OVERHEAD)
                r = flush_chunk(w);
        return r < 0 ? r : flush_chunk(w);      /* an empty one ends it */
}

/* The HEAD behind entry `seq`, which a committed state always ends with. */
static int find_note(struct segment_log *l, struct segment_place place, struct base *b)
{
        struct segment_cursor *c;
        struct segment_record rec;
        int r = segment_cursor_open(l, place, b->epoch, b->seq, &c);

        if (r < 0)
                return r;
        while ((r = segment_cursor_next(c, &rec)) > 0)
                if (rec.type == SEGMENT_HEAD || rec.seq > b->seq)
                        break;
        if (r > 0 && (rec.type != SEGMENT_HEAD || rec.seq != b->seq || rec.payload.n >= sizeof(b->note)))
                r = -EBADMSG;
        if (r > 0) {
                memcpy(b->note, rec.payload.p, rec.payload.n);
                b->note[rec.payload.n] = 0;
        }
        segment_cursor_close(c);
        return r > 0 ? 0 : r < 0 ? r : -EBADMSG;
}

/* ---- writing one ---- */

/* Digests of what was written, with no snapshot open any more. */
static int digest_file(const char *path, struct base_header *h, const _Atomic bool *stop)
{
        struct base_scan s = { .f = fopen(path, "rbe") };
        int r;

        if (!s.f)
                return -errno;
        r = fseek(s.f, BASE_HEADER_BYTES, SEEK_SET) < 0 ? -errno : base_scan_rows(&s, stop, &h->content);
        if (r == 0 && !base_same_counts(&s, h))
                r = -EBADMSG;
        h->b.state = s.state;
        free(s.p);
        fclose(s.f);
        return r;
}

static int write_body(struct writer *w, struct store *s, struct segment_log *l, const char *path, struct base_header *h)
{
        struct segment_place place;
        int r;

        w->p = malloc(CHUNK_BYTES);
        if (!w->p)
                return -ENOMEM;
        w->room = CHUNK_BYTES;
        w->n = CHUNK_OVERHEAD;
        w->offset = BASE_HEADER_BYTES;
        r = write_rows(w, s, &h->b, &place);
        if (r == 0)
                r = find_note(l, place, &h->b);
        if (r == 0)
                r = digest_file(path, h, w->stop);
        h->b.bytes = w->offset;
        free(w->p);
        return r;
}

static int write_header(int fd, struct base_header *h, const char *origin, const uint8_t secret[64], const uint8_t key[32])
{
        uint8_t raw[BASE_HEADER_BYTES];
        size_t n = base_header_encode(h, raw);
        struct digest d = digest_plain(bytes_of(raw, n));
        int r;

        sign_digest(CTX_BASE, &d, secret, h->signature);
        n = base_header_encode(h, raw);
        if (base_header_verify(h, raw, n, origin, key))
                return -EBADMSG;                /* the state's tree is not the log's */
        r = write_all(fd, raw, sizeof(raw), 0);
        FAILPOINT("base.before_sync");
        return r == 0 && fsync(fd) < 0 ? -errno : r;
}

static int sync_directory(const char *dir)
{
        int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

        if (fd < 0)
                return -errno;
        r = fsync(fd) < 0 ? -errno : 0;
        close(fd);
        return r;
}

static int name_it(const char *dir, const char *from, uint64_t seq)
{
        char name[BASE_NAME_BYTES], to[4200];

        base_name(seq, name);
        snprintf(to, sizeof(to), "%s/%s", dir, name);
        FAILPOINT("base.before_rename");
        if (rename(from, to) < 0)
                return -errno;
        FAILPOINT("base.after_rename");
        return sync_directory(dir);
}

int base_write(struct store *s, struct segment_log *l, const char *dir, const char *domain, const char *origin,
               const uint8_t secret[64], const uint8_t key[32], const _Atomic bool *stop, struct base *ret)
{
        struct base_header *h = calloc(1, sizeof(*h));
        struct writer w = { .stop = stop };
        char path[4200];
        int r = mkdir(dir, 0700) < 0 && errno != EEXIST ? -errno : 0;

        if (!h || r < 0) {
                free(h);
                return h ? r : -ENOMEM;
        }
        snprintf(path, sizeof(path), "%s/BASE-%016x.new", dir, 0);      /* its seq is not known before the snapshot is open */
        w.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        r = w.fd < 0 ? -errno : write_body(&w, s, l, path, h);
        if (r == 0 && strcmp(h->b.domain, domain) != 0)
                r = -EXDEV;
        if (r == 0)
                r = write_header(w.fd, h, origin, secret, key);
        if (w.fd >= 0)
                close(w.fd);
        if (r == 0)
                r = name_it(dir, path, h->b.seq);
        else if (w.fd >= 0)
                unlink(path);
        if (r == 0)
                *ret = h->b;
        free(h);
        return r;
}
