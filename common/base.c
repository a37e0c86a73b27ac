/* base: see the header. */
#include "common/base.h"
#include "common/checkpoint.h"
#include "common/failpoint.h"
#include "common/macro.h"
#include "common/sign.h"
#include "common/statekeys.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "SHUYIBAS"
#define VERSION 2
#define CHUNK_BYTES (256u << 10)                /* a row never spans two chunks, so one may be longer */
#define CHUNK_MAX (8u << 20)
#define CHECK_BYTES 16
#define CHUNK_OVERHEAD (4 + CHECK_BYTES)
#define ROW_OVERHEAD 7                          /* u8 section, u16 key length, u32 value length */
#define ROWS_A_COMMIT 65536

/* What is in a file, in this order; of each the database that it is of. */
enum section { SECTION_STATE = 1, SECTION_OUTCOMES, SECTION_DIGESTS, SECTION_HEADS, SECTION_END };
static const unsigned databases[SECTION_END] = { [SECTION_STATE] = STORE_STATE, [SECTION_OUTCOMES] = STORE_OUTCOMES, [SECTION_DIGESTS] = STORE_DIGESTS,
                                                 [SECTION_HEADS] = STORE_HEADS };

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

/* ---- header: fixed fields, the tree's roots, the HEAD, the signature ---- */

struct header { struct base b; struct digest content; uint64_t chunks; uint8_t signature[SIGNATURE_BYTES]; };

/* The length of what is signed. */
static size_t header_encode(const struct header *h, uint8_t ret[BASE_HEADER_BYTES])
{
        unsigned peaks = merkle_peaks(&h->b.frontier);
        size_t note_n = strlen(h->b.note);
        uint8_t *p = ret;

        memset(ret, 0, BASE_HEADER_BYTES);
        memcpy(p, MAGIC, 8);
        put_be32(p + 8, VERSION);
        memcpy(p + 12, h->b.domain, 8);
        put_be64(p + 20, h->b.epoch);
        put_be64(p + 28, h->b.seq);
        put_be64(p + 36, h->b.accepted_at.ms);
        put_be64(p + 44, h->b.rows);
        put_be64(p + 52, h->b.outcomes);
        put_be64(p + 60, h->b.found);
        p += 68;
        memcpy(p, h->b.state.b, DIGEST_BYTES);
        memcpy(p + 32, h->b.effects_chain.b, DIGEST_BYTES);
        memcpy(p + 64, h->content.b, DIGEST_BYTES);
        put_be32(p + 96, peaks);
        put_be32(p + 100, (uint32_t)note_n);
        p += 104;
        memcpy(p, h->b.frontier.peak, peaks * DIGEST_BYTES);
        p += peaks * DIGEST_BYTES;
        memcpy(p, h->b.note, note_n);
        p += note_n;
        memcpy(p, h->signature, SIGNATURE_BYTES);
        return (size_t)(p - ret);
}

/* The length of what is signed; 0: it is not a header. */
static size_t header_decode(const uint8_t b[BASE_HEADER_BYTES], struct header *ret)
{
        const uint8_t *p = b + 68;
        uint32_t peaks = get_be32(p + 96), note_n = get_be32(p + 100);

        if (memcmp(b, MAGIC, 8) != 0 || get_be32(b + 8) != VERSION || b[19] != 0 || peaks > MERKLE_DEPTH_MAX || note_n >= sizeof(ret->b.note))
                return 0;
        *ret = (struct header){ .b = { .epoch = get_be64(b + 20), .seq = get_be64(b + 28), .accepted_at = { get_be64(b + 36) },
                                       .rows = get_be64(b + 44), .outcomes = get_be64(b + 52), .found = get_be64(b + 60) } };
        memcpy(ret->b.domain, b + 12, 8);
        memcpy(ret->b.state.b, p, DIGEST_BYTES);
        memcpy(ret->b.effects_chain.b, p + 32, DIGEST_BYTES);
        memcpy(ret->content.b, p + 64, DIGEST_BYTES);
        p += 104;
        ret->b.frontier.size = ret->b.seq;
        if (merkle_peaks(&ret->b.frontier) != peaks)
                return 0;
        memcpy(ret->b.frontier.peak, p, peaks * DIGEST_BYTES);
        p += peaks * DIGEST_BYTES;
        memcpy(ret->b.note, p, note_n);
        p += note_n;
        memcpy(ret->signature, p, SIGNATURE_BYTES);
        for (const uint8_t *zero = p + SIGNATURE_BYTES; zero < b + BASE_HEADER_BYTES; zero++)
                if (*zero)
                        return 0;
        return (size_t)(p - b);
}

/* Signed by the log key, and of the very tree that this HEAD signs. */
static const char *header_verify(const struct header *h, const uint8_t *raw, size_t signed_n, const char *origin, const uint8_t key[32])
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct digest d = digest_plain(bytes_of(raw, signed_n)), root = merkle_root(&h->b.frontier);
        struct checkpoint c;
        const char *wrong;

        if (!a)
                return "no memory";
        if (!sign_check_digest(CTX_BASE, &d, bytes_of(h->signature, SIGNATURE_BYTES), key))
                return "the log key's signature does not hold";
        wrong = checkpoint_verify(a, h->b.note, origin, key, &c);
        if (wrong)
                return "its HEAD does not verify";
        return c.size == h->b.seq && digest_equal(&c.root, &root) ? NULL : "its HEAD signs another tree";
}

/* ---- rows out ---- */

struct writer {
        int fd;
        uint8_t *p;                             /* the chunk at hand, its overhead first */
        size_t n, room;
        uint64_t offset, chunks;
        const _Atomic bool *stop;
};

static void chunk_check(const uint8_t *payload, size_t n, uint64_t number, uint8_t ret[CHECK_BYTES])
{
        uint8_t key[16] = { 0 };

        put_be64(key + 8, number);
        crypto_generichash(ret, CHECK_BYTES, payload, n, key, sizeof(key));
}

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
        chunk_check(w->p + CHUNK_OVERHEAD, w->n - CHUNK_OVERHEAD, w->chunks, w->p + 4);
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

        while ((r = store_snapshot_next(p, databases[section], (struct bytes){ 0 }, bytes_of(from, from_n), &key, &value)) > 0) {
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

/* ---- rows in ---- */

struct scan {
        FILE *f;
        uint8_t *p;
        size_t room;
        uint64_t chunk, rows, outcomes, found;
        enum section section;                   /* of the last row */
        struct digest state;
        crypto_generichash_state content;
        struct store *store;                    /* NULL: only digests */
        struct bytes meta;                      /* held back; malloc'ed */
        uint64_t pending;                       /* rows since the last commit */
};

/* 1 and a chunk of *ret_n bytes at s->p; 0 at the end; -EBADMSG. */
static int next_chunk(struct scan *s, size_t *ret_n)
{
        uint8_t head[CHUNK_OVERHEAD], check[CHECK_BYTES];
        size_t n;

        if (fread(head, 1, sizeof(head), s->f) != sizeof(head))
                return ferror(s->f) ? -EIO : -EBADMSG;
        n = get_be32(head);
        if (n > CHUNK_MAX)
                return -EBADMSG;
        if (n > s->room) {
                uint8_t *p = realloc(s->p, n);

                if (!p)
                        return -ENOMEM;
                s->p = p;
                s->room = n;
        }
        if (n > 0 && fread(s->p, 1, n, s->f) != n)
                return ferror(s->f) ? -EIO : -EBADMSG;
        chunk_check(s->p, n, s->chunk++, check);
        if (memcmp(check, head + 4, CHECK_BYTES) != 0)
                return -EBADMSG;
        crypto_generichash_update(&s->content, head, sizeof(head));
        crypto_generichash_update(&s->content, s->p, n);
        *ret_n = n;
        return n > 0;
}

static const uint8_t meta_key = TABLE_META;

static int hold_meta(struct scan *s, struct bytes value)
{
        uint8_t *p = malloc(value.n + 1);

        if (!p || s->meta.p) {
                free(p);
                return p ? -EBADMSG : -ENOMEM;
        }
        memcpy(p, value.p, value.n);
        s->meta = bytes_of(p, value.n);
        return 0;
}

static int keep_row(struct scan *s, enum section section, struct bytes key, struct bytes value)
{
        int r;

        if (section == SECTION_STATE && bytes_equal(key, bytes_of(&meta_key, 1)))
                return hold_meta(s, value);
        r = store_append(s->store, databases[section], key, value);
        if (r < 0 || ++s->pending < ROWS_A_COMMIT)
                return r == -EEXIST ? -EBADMSG : r;
        s->pending = 0;
        r = store_commit(s->store);
        return r < 0 ? r : store_begin(s->store);
}

static int take_row(struct scan *s, enum section section, struct bytes key, struct bytes value)
{
        if (section < SECTION_STATE || section >= SECTION_END || section < s->section)
                return -EBADMSG;
        s->section = section;
        if (section == SECTION_STATE) {
                s->state = fold_row_digest(&s->state, key, value);
                s->rows++;
        } else if (section == SECTION_OUTCOMES) {
                s->outcomes++;
        } else {
                s->found++;
        }
        return s->store ? keep_row(s, section, key, value) : 0;
}

static int take_chunk(struct scan *s, const uint8_t *p, size_t n)
{
        int r = 0;

        while (r == 0 && n > 0) {
                size_t key_n, value_n;

                if (n < ROW_OVERHEAD)
                        return -EBADMSG;
                key_n = get_be16(p + 1);
                value_n = get_be32(p + 3);
                if (key_n == 0 || key_n > n - ROW_OVERHEAD || value_n > n - ROW_OVERHEAD - key_n)
                        return -EBADMSG;
                r = take_row(s, p[0], bytes_of(p + ROW_OVERHEAD, key_n), bytes_of(p + ROW_OVERHEAD + key_n, value_n));
                p += ROW_OVERHEAD + key_n + value_n;
                n -= ROW_OVERHEAD + key_n + value_n;
        }
        return r;
}

/* All chunks from behind the header to the end of the file. */
static int scan_rows(struct scan *s, const _Atomic bool *stop, struct digest *ret_content)
{
        size_t n;
        int r;

        crypto_generichash_init(&s->content, NULL, 0, DIGEST_BYTES);
        while ((r = next_chunk(s, &n)) > 0) {
                r = stop && atomic_load(stop) ? -ECANCELED : take_chunk(s, s->p, n);
                if (r < 0)
                        return r;
        }
        if (r == 0 && fgetc(s->f) != EOF)
                return -EBADMSG;
        crypto_generichash_final(&s->content, ret_content->b, DIGEST_BYTES);
        return r;
}

static bool same_counts(const struct scan *s, const struct header *h)
{
        return s->rows == h->b.rows && s->outcomes == h->b.outcomes && s->found == h->b.found;
}

/* ---- writing one ---- */

/* Digests of what was written, with no snapshot open any more. */
static int digest_file(const char *path, struct header *h, const _Atomic bool *stop)
{
        struct scan s = { .f = fopen(path, "rbe") };
        int r;

        if (!s.f)
                return -errno;
        r = fseek(s.f, BASE_HEADER_BYTES, SEEK_SET) < 0 ? -errno : scan_rows(&s, stop, &h->content);
        if (r == 0 && !same_counts(&s, h))
                r = -EBADMSG;
        h->b.state = s.state;
        free(s.p);
        fclose(s.f);
        return r;
}

static int write_body(struct writer *w, struct store *s, struct segment_log *l, const char *path, struct header *h)
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

static int write_header(int fd, struct header *h, const char *origin, const uint8_t secret[64], const uint8_t key[32])
{
        uint8_t raw[BASE_HEADER_BYTES];
        size_t n = header_encode(h, raw);
        struct digest d = digest_plain(bytes_of(raw, n));
        int r;

        sign_digest(CTX_BASE, &d, secret, h->signature);
        n = header_encode(h, raw);
        if (header_verify(h, raw, n, origin, key))
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
        struct header *h = calloc(1, sizeof(*h));
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

/* ---- reading one ---- */

static const char *fault(int *ret, int r)
{
        *ret = r;
        return r == -EBADMSG ? "the file is damaged" : strerror(-r);
}

static const char *read_header(FILE *f, struct header *ret, uint8_t raw[BASE_HEADER_BYTES], size_t *ret_signed)
{
        if (fread(raw, 1, BASE_HEADER_BYTES, f) != BASE_HEADER_BYTES)
                return "the header is cut short";
        *ret_signed = header_decode(raw, ret);
        return *ret_signed > 0 ? NULL : "this is not a BASE of a form known here";
}

const char *base_peek(const char *path, const char *origin, const uint8_t key[32], struct base *ret, int *ret_fault)
{
        struct header *h = calloc(1, sizeof(*h));
        uint8_t raw[BASE_HEADER_BYTES];
        FILE *f = h ? fopen(path, "rbe") : NULL;
        const char *wrong;
        struct stat st;
        size_t n;

        *ret_fault = 0;
        if (!f) {
                wrong = fault(ret_fault, h ? -errno : -ENOMEM);
                free(h);
                return wrong;
        }
        wrong = read_header(f, h, raw, &n);
        if (!wrong && key)
                wrong = header_verify(h, raw, n, origin, key);
        if (!wrong) {
                h->b.bytes = fstat(fileno(f), &st) == 0 ? (uint64_t)st.st_size : 0;
                *ret = h->b;
        } else {
                *ret_fault = -EBADMSG;
        }
        fclose(f);
        free(h);
        return wrong;
}

/* What the rows gave is what the header says. */
static const char *agree(const struct scan *s, const struct header *h, const struct digest *content)
{
        if (!same_counts(s, h))
                return "rows are missing";
        if (!digest_equal(content, &h->content))
                return "the chunks are not those that were signed";
        return digest_equal(&s->state, &h->b.state) ? NULL : "the state's digest is another one";
}

/* META of what was loaded, and the anchor in force. */
static const char *fits_state(struct fold *f, const struct header *h, const uint8_t *raw, size_t n, const char *origin)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(4 << 20);
        const Shuyi__V1__MetaRow *meta = a ? fold_meta(store_state(f->store), a) : NULL;
        uint8_t key[32];

        if (!meta || meta->seq != h->b.seq || meta->epoch != h->b.epoch || meta->accepted_at != h->b.accepted_at.ms || strcmp(meta->domain, h->b.domain) != 0 ||
            !bytes_equal(bytes_of(meta->effects_chain.data, meta->effects_chain.len), bytes_digest(&h->b.effects_chain)))
                return "the header is not that of the state";
        if (!statekeys_log(store_state(f->store), a, origin, key))
                return "the anchor in force has no key for this log";
        return header_verify(h, raw, n, origin, key);
}

/* All rows of a database, in slices. */
static int clear(struct store *s, unsigned db)
{
        struct bytes key, value;
        uint64_t n = 0;
        int r;

        while ((r = store_next(s, db, (struct bytes){ 0 }, (struct bytes){ 0 }, &key, &value)) > 0) {
                uint8_t copy[STORE_KEY_MAX];

                memcpy(copy, key.p, key.n);
                r = store_del(s, db, bytes_of(copy, key.n));
                if (r >= 0 && ++n % ROWS_A_COMMIT == 0) {
                        r = store_commit(s);
                        if (r == 0)
                                r = store_begin(s);
                }
                if (r < 0)
                        return r;
        }
        return r;
}

static int begin_load(struct store *store)
{
        int r = store_is_open(store) ? 0 : store_begin(store);

        for (unsigned db = STORE_STATE; r == 0 && db < STORE_FOLD_END; db++)
                r = clear(store, db);
        return r;
}

/* META and the tree, in one transaction: now there is a state. */
static int end_load(struct store *store, struct scan *s, const struct header *h)
{
        struct fold tree = { .store = store, .frontier = h->b.frontier };
        int r = s->meta.p ? store_put(store, STORE_STATE, bytes_of(&meta_key, 1), s->meta) : -EBADMSG;

        if (r == 0)
                r = fold_save(&tree);
        return r == 0 ? store_commit(store) : r;
}

static const char *load_rows(FILE *f, struct store *store, struct header *h, base_between between, void *ctx, int *ret_fault)
{
        struct scan s = { .f = f, .store = store };
        struct digest content;
        const char *wrong = NULL;
        int r = begin_load(store);

        if (r == 0)
                r = scan_rows(&s, NULL, &content);
        if (r == 0)
                wrong = agree(&s, h, &content);
        if (r == 0 && !wrong && between)
                r = between(ctx, store, &h->b);
        if (r == 0 && !wrong)
                r = end_load(store, &s, h);
        if (r < 0 || wrong)
                store_abort(store);
        free(s.p);
        free((void *)s.meta.p);
        *ret_fault = wrong ? -EBADMSG : r;
        return wrong ? wrong : r < 0 ? fault(ret_fault, r) : NULL;
}

static const char *load(FILE *f, struct store *s, const char *origin, const uint8_t *key, base_between between, void *ctx,
                        struct fold *fold, struct header *h, int *ret_fault)
{
        uint8_t raw[BASE_HEADER_BYTES];
        const char *wrong;
        size_t n;
        int r;

        *ret_fault = -EBADMSG;
        wrong = read_header(f, h, raw, &n);
        if (!wrong && key)
                wrong = header_verify(h, raw, n, origin, key);
        if (!wrong)
                wrong = load_rows(f, s, h, between, ctx, ret_fault);
        if (wrong)
                return wrong;
        r = fold_open(fold, s, h->b.domain);
        if (r < 0) {
                fold_close(fold);
                return fault(ret_fault, r);
        }
        wrong = fits_state(fold, h, raw, n, origin);
        *ret_fault = wrong ? -EBADMSG : 0;
        if (wrong) {
                store_abort(s);
                fold_close(fold);
        }
        return wrong;
}

const char *base_load(const char *path, struct store *s, const char *origin, const uint8_t key[32], base_between between, void *ctx,
                      struct fold *f, struct base *ret, int *ret_fault)
{
        struct header *h = calloc(1, sizeof(*h));
        FILE *file = h ? fopen(path, "rbe") : NULL;
        const char *wrong;

        *ret_fault = 0;
        if (!file)
                wrong = fault(ret_fault, h ? -errno : -ENOMEM);
        else
                wrong = load(file, s, origin, key, between, ctx, f, h, ret_fault);
        if (file)
                fclose(file);
        if (!wrong)
                *ret = h->b;
        free(h);
        return wrong;
}
