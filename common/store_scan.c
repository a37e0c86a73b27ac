/* store_scan: see the header. */
#include "common/store_scan.h"
#include "common/bytes.h"
#include "common/macro.h"
#include "common/store_internal.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* What LMDB writes (mdb.c of 0.9): little-endian, as all machines we run on. */
#define PAGE_HEADER 16
#define NODE_HEADER 8
#define PAGE_BRANCH 0x01
#define PAGE_LEAF 0x02
#define PAGE_OVERFLOW 0x04
#define PAGE_META 0x08
#define NODE_BIG 0x01
#define NODE_DATABASE 0x02
#define META_MAGIC 0xbeefc0deu
#define NO_PAGE UINT64_MAX
#define FREE_FLAGS 0x08                         /* integer keys; */
#define FREE_MADE_ALONE 0x4000                  /* made as a file without directory: says nothing */
#define DEPTH_MAX 32
#define KEY_MAX STORE_KEY_MAX
#define GO_ON_PAGES 64

struct tree { uint32_t page_bytes; uint16_t flags, depth; uint64_t branches, leaves, overflow, entries, root; };
struct meta { uint64_t map_bytes, last_page, txn; struct tree free, main; };

struct scan {
        int fd;
        uint64_t page_bytes, file_pages, last_page;
        enum store_scan_depth depth;
        store_scan_go_on_fn go_on;
        uint8_t *used;                          /* a bit a page */
        store_damage_fn tell;
        void *ctx;
        struct store_scan *out;
        int fault;
};

/* One tree on the way through it. */
struct walk {
        struct scan *scan;
        const char *name;
        uint8_t row_key[8];                     /* of the rows' checks */
        bool is_free, is_main;
        struct tree is;                         /* counted */
        unsigned depth;
        uint8_t last[KEY_MAX];                  /* the last leaf key seen */
        size_t last_n;
        bool any;
        struct bytes least;                     /* the next leaf key must not be below it; n = 0: none */
        unsigned nested;
};

/* ---- telling ---- */

__attribute__((format(printf, 4, 5)))
static void tell(struct scan *s, const char *name, uint64_t page, const char *format, ...)
{
        char text[STORE_DAMAGE_BYTES], what[200];
        va_list ap;

        va_start(ap, format);
        vsnprintf(what, sizeof(what), format, ap);
        va_end(ap);
        snprintf(text, sizeof(text), "%s, page %llu: %s", name, (unsigned long long)page, what);
        s->out->damages++;
        s->tell(s->ctx, text);
}

static const char *key_text(struct bytes key, char ret[100])
{
        size_t n = key.n < 40 ? key.n : 40;

        for (size_t i = 0; i < n; i++)
                snprintf(ret + 2 * i, 3, "%02x", key.p[i]);
        snprintf(ret + 2 * n, 4, "%s", key.n > n ? "..." : "");
        return ret;
}

/* ---- pages ---- */

static uint16_t le16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

static int read_pages(struct scan *s, uint64_t page, uint64_t n, uint8_t *to)
{
        size_t want = (size_t)(n * s->page_bytes), at = 0;

        while (at < want) {
                ssize_t got = pread(s->fd, to + at, want - at, (off_t)(page * s->page_bytes + at));

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -errno;
                if (got == 0)
                        return -ENODATA;
                at += (size_t)got;
        }
        s->out->pages += n;
        if (s->go_on && s->out->pages % GO_ON_PAGES < n && !s->go_on(s->ctx))
                return -ECANCELED;
        return 0;
}

/* Marks `n` pages as used by this; false (and told) if that cannot be. */
static bool use_pages(struct scan *s, const char *name, uint64_t page, uint64_t n)
{
        if (page < 2 || n == 0 || page > s->last_page || n > s->last_page - page + 1) {
                tell(s, name, page, "no such page");
                return false;
        }
        for (uint64_t i = page; i < page + n; i++) {
                if (s->used[i / 8] & (1u << i % 8)) {
                        tell(s, name, i, "is used twice");
                        return false;
                }
                s->used[i / 8] |= (uint8_t)(1u << i % 8);
        }
        return true;
}

/* ---- nodes ---- */

struct node { uint16_t flags; struct bytes key; uint64_t child; uint32_t data_n; const uint8_t *data; size_t size; };

/* Node `i` of a page; false: it does not lie within it. */
static bool read_node(const struct walk *w, const uint8_t *p, unsigned i, bool branch, struct node *ret)
{
        uint64_t page = w->scan->page_bytes;
        unsigned at = le16(p + PAGE_HEADER + 2 * i), upper = le16(p + 14);
        const uint8_t *n = p + at;
        size_t data_n;

        if (at < upper || (at & 1) || at + NODE_HEADER > page)
                return false;
        *ret = (struct node){ .flags = le16(n + 4), .key = bytes_of(n + NODE_HEADER, le16(n + 6)), .data_n = le16(n) | (uint32_t)le16(n + 2) << 16 };
        ret->child = ret->data_n | (uint64_t)ret->flags << 32;
        ret->data = n + NODE_HEADER + ret->key.n;
        data_n = branch ? 0 : ret->flags & NODE_BIG ? 8 : ret->data_n;
        ret->size = (NODE_HEADER + ret->key.n + data_n + 1) & ~(size_t)1;
        return ret->key.n <= KEY_MAX && at + NODE_HEADER + ret->key.n + data_n <= page;
}

static int compare_keys(const struct walk *w, struct bytes a, struct bytes b)
{
        if (w->is_free && a.n == 8 && b.n == 8)
                return get_le64(a.p) < get_le64(b.p) ? -1 : get_le64(a.p) > get_le64(b.p);
        return bytes_compare(a, b);
}

static bool key_follows(struct walk *w, uint64_t page, struct bytes key)
{
        char text[100];

        if (key.n == 0 || (w->is_free && key.n != 8)) {
                tell(w->scan, w->name, page, "a key of %zu bytes", key.n);
                return false;
        }
        if ((w->any && compare_keys(w, bytes_of(w->last, w->last_n), key) >= 0) || (w->least.n > 0 && compare_keys(w, key, w->least) < 0)) {
                tell(w->scan, w->name, page, "key %s out of order", key_text(key, text));
                return false;
        }
        w->least = (struct bytes){ 0 };
        memcpy(w->last, key.p, key.n);
        w->last_n = key.n;
        w->any = true;
        return true;
}

/* ---- what a leaf's node holds ---- */

static void walk_tree(struct scan *s, const char *name, const struct tree *t, bool is_free, bool is_main, unsigned nested);

static struct tree read_tree(const uint8_t *p)
{
        return (struct tree){ get_le32(p), le16(p + 4), le16(p + 6), get_le64(p + 8), get_le64(p + 16), get_le64(p + 24), get_le64(p + 32), get_le64(p + 40) };
}

/* Pages that may be written again: u64 count, then so many page numbers, descending. */
static void take_free(struct walk *w, uint64_t page, struct bytes value)
{
        uint64_t n = value.n >= 8 ? get_le64(value.p) : NO_PAGE;

        if (n > value.n / 8 || (n + 1) * 8 > value.n) {
                tell(w->scan, w->name, page, "a list of free pages that does not fit");
                return;
        }
        for (uint64_t i = 1; i <= n; i++)
                if (!use_pages(w->scan, w->name, get_le64(value.p + 8 * i), 1))
                        return;
}

static void take_value(struct walk *w, uint64_t page, const struct node *n, struct bytes value)
{
        struct scan *s = w->scan;
        char text[100], name[64];

        if (w->is_free) {
                take_free(w, page, value);
        } else if (w->is_main) {
                struct tree t;

                if (n->flags != NODE_DATABASE || value.n != 48 || n->key.n >= sizeof(name)) {
                        tell(s, w->name, page, "%s is no database", key_text(n->key, text));
                        return;
                }
                memcpy(name, n->key.p, n->key.n);
                name[n->key.n] = 0;
                t = read_tree(value.p);
                walk_tree(s, name, &t, false, false, w->nested + 1);
        } else if (!store_row_holds(w->row_key, n->key, value)) {
                tell(s, w->name, page, "row %s does not hold its check", key_text(n->key, text));
        }
}

static void take_big(struct walk *w, uint64_t page, const struct node *n)
{
        struct scan *s = w->scan;
        uint64_t first = get_le64(n->data), pages = (PAGE_HEADER + (uint64_t)n->data_n + s->page_bytes - 1) / s->page_bytes;
        uint8_t *p;
        int r;

        if (!use_pages(s, w->name, first, pages))
                return;
        w->is.overflow += pages;
        p = malloc((size_t)(pages * s->page_bytes));
        r = p ? read_pages(s, first, pages, p) : -ENOMEM;
        if (r == -ENODATA)
                tell(s, w->name, first, "beyond the end of the file");
        else if (r < 0)
                s->fault = r;
        else if (get_le64(p) != first || le16(p + 10) != PAGE_OVERFLOW || get_le32(p + 12) != pages)
                tell(s, w->name, first, "is not the large value of page %llu", (unsigned long long)page);
        else
                take_value(w, first, n, bytes_of(p + PAGE_HEADER, n->data_n));
        free(p);
}

static void take_leaf(struct walk *w, uint64_t page, const uint8_t *p, unsigned count)
{
        struct scan *s = w->scan;
        uint16_t allowed = w->is_main ? NODE_DATABASE : NODE_BIG;
        size_t sum = 0;

        for (unsigned i = 0; i < count && s->fault == 0; i++) {
                struct node n;

                if (!read_node(w, p, i, false, &n) || (n.flags & ~allowed)) {
                        tell(s, w->name, page, "node %u does not read", i);
                        return;
                }
                sum += n.size;
                w->is.entries++;
                if (!key_follows(w, page, n.key))
                        return;
                if (!w->is_free && !w->is_main)
                        s->out->rows++;
                if (n.flags & NODE_BIG)
                        take_big(w, page, &n);
                else
                        take_value(w, page, &n, bytes_of(n.data, n.data_n));
        }
        if (s->fault == 0 && sum != s->page_bytes - le16(p + 14))
                tell(s, w->name, page, "its nodes are not what it has room for");
}

/* ---- the way down ---- */

static void walk_page(struct walk *w, uint64_t page, unsigned level);

static void take_branch(struct walk *w, uint64_t page, const uint8_t *p, unsigned count, unsigned level)
{
        struct scan *s = w->scan;
        struct bytes before = { 0 };
        size_t sum = 0;

        for (unsigned i = 0; i < count && s->fault == 0; i++) {
                struct node n;
                char text[100];

                if (!read_node(w, p, i, true, &n) || (i > 0 && n.key.n == 0)) {
                        tell(s, w->name, page, "branch %u does not read", i);
                        return;
                }
                sum += n.size;
                if (i > 0 && ((before.n > 0 && compare_keys(w, before, n.key) >= 0) || (w->any && compare_keys(w, bytes_of(w->last, w->last_n), n.key) >= 0))) {
                        tell(s, w->name, page, "branch %s out of order", key_text(n.key, text));
                        return;
                }
                if (i > 0)
                        before = w->least = n.key;
                walk_page(w, n.child, level + 1);
        }
        if (s->fault == 0 && sum != s->page_bytes - le16(p + 14))
                tell(s, w->name, page, "its branches are not what it has room for");
}

static void walk_page(struct walk *w, uint64_t page, unsigned level)
{
        struct scan *s = w->scan;
        bool branch = level < w->depth;
        unsigned lower, upper, count;
        uint8_t *p;
        int r;

        if (!use_pages(s, w->name, page, 1))
                return;
        if (branch)
                w->is.branches++;
        else
                w->is.leaves++;
        if (!branch && s->depth == STORE_SCAN_ROOTS && !w->is_main)
                return;
        p = malloc((size_t)s->page_bytes);
        r = p ? read_pages(s, page, 1, p) : -ENOMEM;
        if (r == -ENODATA) {
                tell(s, w->name, page, "beyond the end of the file");
        } else if (r < 0) {
                s->fault = r;
        } else {
                lower = le16(p + 12);
                upper = le16(p + 14);
                count = lower >= PAGE_HEADER ? (lower - PAGE_HEADER) / 2 : 0;
                if (get_le64(p) != page || le16(p + 10) != (branch ? PAGE_BRANCH : PAGE_LEAF))
                        tell(s, w->name, page, "is another page, or another kind of page");
                else if ((lower & 1) || lower > upper || upper > s->page_bytes || count < (branch ? 2 : 1))
                        tell(s, w->name, page, "its bounds are wrong");
                else if (branch)
                        take_branch(w, page, p, count, level);
                else
                        take_leaf(w, page, p, count);
        }
        free(p);
}

static void check_counts(struct walk *w, const struct tree *t)
{
        bool all = w->scan->depth == STORE_SCAN_ALL || w->is_main;

        if (w->is.branches != t->branches || w->is.leaves != t->leaves || (all && (w->is.overflow != t->overflow || w->is.entries != t->entries)))
                tell(w->scan, w->name, t->root, "holds %llu rows in %llu+%llu+%llu pages, should hold %llu in %llu+%llu+%llu",
                     (unsigned long long)w->is.entries, (unsigned long long)w->is.branches, (unsigned long long)w->is.leaves, (unsigned long long)w->is.overflow,
                     (unsigned long long)t->entries, (unsigned long long)t->branches, (unsigned long long)t->leaves, (unsigned long long)t->overflow);
}

static void walk_tree(struct scan *s, const char *name, const struct tree *t, bool is_free, bool is_main, unsigned nested)
{
        struct walk *w;
        uint64_t before = s->out->damages;

        if ((is_free ? (t->flags & ~FREE_MADE_ALONE) != FREE_FLAGS : t->flags != 0) || t->depth > DEPTH_MAX || nested > 1 || (t->root == NO_PAGE) != (t->depth == 0)) {
                tell(s, name, t->root, "is not described as it should be");
                return;
        }
        w = calloc(1, sizeof(*w));
        if (!w) {
                s->fault = -ENOMEM;
                return;
        }
        *w = (struct walk){ .scan = s, .name = name, .is_free = is_free, .is_main = is_main, .depth = t->depth, .nested = nested };
        store_row_key(name, w->row_key);
        if (t->root != NO_PAGE)
                walk_page(w, t->root, 1);
        if (s->fault == 0 && s->out->damages == before)
                check_counts(w, t);
        free(w);
}

/* ---- the meta pages ---- */

/* Page header, u32 magic, u32 version, address, map size, two trees, last page, transaction. */
static bool read_meta(struct scan *s, unsigned i, const uint8_t *p, struct meta *ret)
{
        const uint8_t *m = p + PAGE_HEADER;

        if (get_le64(p) != i || le16(p + 10) != PAGE_META || get_le32(m) != META_MAGIC || get_le32(m + 4) != 1) {
                tell(s, "meta", i, "is no meta page");
                return false;
        }
        *ret = (struct meta){ get_le64(m + 16), get_le64(m + 120), get_le64(m + 128), read_tree(m + 24), read_tree(m + 72) };
        if (ret->free.page_bytes != s->page_bytes || ret->last_page < 1 || ret->last_page > (1ull << 40) || (ret->txn > 0 && ret->txn % 2 != i) ||
            get_le64(m + 8) != 0 || ret->map_bytes / s->page_bytes <= ret->last_page) {
                tell(s, "meta", i, "does not fit: transaction %llu, last page %llu", (unsigned long long)ret->txn, (unsigned long long)ret->last_page);
                return false;
        }
        return true;
}

static void free_bytes(uint8_t **p) { free(*p); }

/* The meta page of `txn`, or of the newest.  1; 0: damaged (and told); a fault. */
static int choose_meta(struct scan *s, uint64_t txn, struct meta *ret)
{
        _cleanup_(free_bytes) uint8_t *p = malloc(2 * (size_t)s->page_bytes);
        struct meta m[2];
        int r = p ? read_pages(s, 0, 2, p) : -ENOMEM;
        bool good = true;

        if (r == -ENODATA) {
                tell(s, "meta", 0, "beyond the end of the file");
                return 0;
        }
        if (r < 0)
                return r;
        for (unsigned i = 0; i < 2; i++)
                good &= read_meta(s, i, p + i * s->page_bytes, &m[i]);
        if (!good)
                return 0;
        if (m[0].txn != m[1].txn ? m[0].txn + 1 != m[1].txn && m[1].txn + 1 != m[0].txn : m[0].txn != 0) {
                tell(s, "meta", 0, "transactions %llu and %llu do not follow each other", (unsigned long long)m[0].txn, (unsigned long long)m[1].txn);
                return 0;
        }
        if (txn > 0 && m[0].txn != txn && m[1].txn != txn)
                return -EAGAIN;
        *ret = txn > 0 ? m[m[1].txn == txn] : m[m[1].txn > m[0].txn];
        return 1;
}

int store_scan_fd(int fd, uint64_t txn, enum store_scan_depth depth, store_scan_go_on_fn go_on, store_damage_fn tell_fn, void *ctx, struct store_scan *ret)
{
        struct scan s = { .fd = fd, .page_bytes = (uint64_t)sysconf(_SC_PAGESIZE), .depth = depth, .go_on = go_on, .tell = tell_fn, .ctx = ctx, .out = ret };
        struct meta m;
        struct stat st;
        int r;

        *ret = (struct store_scan){ 0 };
        if (fstat(fd, &st) < 0)
                return -errno;
        r = choose_meta(&s, txn, &m);
        if (r <= 0)
                return r;
        ret->txn = m.txn;
        s.last_page = m.last_page;
        if (m.last_page > (uint64_t)st.st_size / s.page_bytes + (1u << 20)) {
                tell(&s, "meta", 0, "pages to %llu, in a file of %llu bytes", (unsigned long long)m.last_page, (unsigned long long)st.st_size);
                return 0;
        }
        s.used = calloc(1, (size_t)(m.last_page / 8 + 1));
        if (!s.used)
                return -ENOMEM;
        walk_tree(&s, "main", &m.main, false, true, 0);
        if (s.fault == 0)
                walk_tree(&s, "free list", &m.free, true, false, 0);
        free(s.used);
        return s.fault;
}
