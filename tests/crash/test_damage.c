/* Damage: one byte of a file is another one.  Whatever byte of whatever file: it is told and named, or all that the file says is as
 * it was; and nothing else is lost with it. */
#include "common/digest.h"
#include "common/macro.h"
#include "common/segment.h"
#include "common/store.h"
#include "tests/lib/disk.h"
#include "tests/lib/temp_dir.h"
#include "tests/lib/unit.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>
#include "common/log.h"

#define FLIPS 4000
#define ENTRIES 160
#define SEGMENT_BYTES (16u << 10)
#define ROWS 900

static uint64_t seed = 20260212;
static char dir[256];

/* ---- files ---- */

struct file { char path[400]; uint8_t *p; size_t n; };

static struct file load(const char *path)
{
        struct file f = { .n = 0 };
        struct stat st;
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        snprintf(f.path, sizeof(f.path), "%s", path);
        assert_true(fd >= 0 && fstat(fd, &st) == 0);
        f.n = (size_t)st.st_size;
        f.p = malloc(f.n);
        assert_int_equal(pread(fd, f.p, f.n, 0), f.n);
        close(fd);
        return f;
}

static void put_byte(const struct file *f, size_t at, uint8_t byte)
{
        int fd = open(f->path, O_WRONLY | O_CLOEXEC);

        assert_true(fd >= 0 && pwrite(fd, &byte, 1, (off_t)at) == 1);
        close(fd);
}

struct told { unsigned n; uint64_t missing; char first[STORE_DAMAGE_BYTES]; };

/* ---- a log ---- */

static struct segment_options log_options(uint64_t synced)
{
        return (struct segment_options){ .dir = dir, .domain = "442000", .segment_bytes = SEGMENT_BYTES, .synced_seq = synced, .read_only = synced > 0, .allow_volatile = true };
}

static void make_log(void)
{
        static uint8_t envelope[3000];
        struct segment_options o = log_options(0);
        struct segment_batch *b = segment_batch_new(SEGMENT_BYTES);
        struct segment_recovery found;
        struct segment_log *log;
        char note[64];

        assert_int_equal(segment_open(&o, &log, &found), 0);
        for (size_t i = 0; i < sizeof(envelope); i++)
                envelope[i] = (uint8_t)disk_random(&seed);
        for (uint64_t seq = 1; seq <= ENTRIES; seq++) {
                struct segment_entry e = { .epoch = 1, .seq = seq, .outbox_seq = ~seq, .envelope = { envelope, 100 + disk_random(&seed) % 1500 } };

                assert_int_equal(segment_batch_add_entry(b, &e), 0);
                if (seq % 3 && seq < ENTRIES)
                        continue;
                snprintf(note, sizeof(note), "x\n%llu\nroot\n", (unsigned long long)seq);
                assert_int_equal(segment_batch_add_head(b, 1, seq, bytes_str(note)), 0);
                assert_int_equal(segment_plan(log, b), 0);
                assert_int_equal(segment_write(log, b), 0);
                assert_int_equal(segment_sync(log), 0);
                segment_batch_reset(b);
        }
        segment_batch_free(b);
        segment_close(log);
}

static void tell_log(void *ctx, const struct segment_damage *d)
{
        struct told *t = ctx;

        if (t->n++ == 0)
                snprintf(t->first, sizeof(t->first), "file %llu offset %llu: %llu to %llu %s", (unsigned long long)d->place.file, (unsigned long long)d->place.offset,
                         (unsigned long long)d->first, (unsigned long long)d->last, d->reason);
        if (d->first)
                t->missing += d->last - d->first + 1;
}

/* The start of a broker on it: all of it, or a name for what is wrong. */
static void check_opening(const struct file *f, size_t at, bool whole)
{
        struct segment_options o = log_options(ENTRIES);
        struct segment_recovery found;
        struct segment_log *log;
        int r = segment_open(&o, &log, &found);

        if (r == 0 && found.last_seq != ENTRIES)
                fail_msg("%s byte %zu: the log opens with %llu entries", f->path, at, (unsigned long long)found.last_seq);
        if (r < 0 && (r != -EBADMSG || !found.reason[0] || whole))
                fail_msg("%s byte %zu: the log does not open: %d %s", f->path, at, r, found.reason);
        if (r == 0)
                segment_close(log);
}

static void test_a_flipped_byte_of_the_log_is_named_and_hides_no_other_entry(void **state)
{
        struct segment_checked whole = { 0 }, is;
        struct file files[64];
        unsigned found = 0, n = 0;
        struct told t = { 0 };
        glob_t g;

        make_log();
        assert_int_equal(segment_check(dir, "442000", ENTRIES, tell_log, &t, &whole), 0);
        if (t.n)
                fail_msg("a good log is damaged: %s", t.first);
        assert_int_equal(whole.entries, ENTRIES);
        assert_int_equal(whole.last_seq, ENTRIES);
        char pattern[300];

        snprintf(pattern, sizeof(pattern), "%s/*.seg", dir);
        assert_int_equal(glob(pattern, 0, NULL, &g), 0);
        for (; n < g.gl_pathc && n < ELEMENTS(files); n++)
                files[n] = load(g.gl_pathv[n]);
        globfree(&g);
        assert_true(n > 5);
        for (unsigned i = 0; i < FLIPS; i++) {
                struct file *f = &files[disk_random(&seed) % n];
                size_t at = disk_random(&seed) % (i % 4 == 0 ? SEGMENT_HEADER_BYTES : f->n);

                put_byte(f, at, f->p[at] ^ (uint8_t)(1 + disk_random(&seed) % 255));
                t = (struct told){ 0 };
                assert_int_equal(segment_check(dir, "442000", ENTRIES, tell_log, &t, &is), 0);
                if (is.entries + t.missing != ENTRIES || t.missing > 1 || (t.n == 0 && is.heads != whole.heads) || is.damages != t.n)
                        fail_msg("%s byte %zu: %llu entries, %llu missing, %u damages: %s", f->path, at, (unsigned long long)is.entries, (unsigned long long)t.missing, t.n, t.first);
                check_opening(f, at, t.n == 0);
                found += t.n > 0;
                put_byte(f, at, f->p[at]);
        }
        print_message("# %u of %u flips of the log told, the others in bytes that say nothing\n", found, FLIPS);
        assert_true(found > FLIPS / 4);
        for (unsigned i = 0; i < n; i++)
                free(files[i].p);
}

static void test_all_damages_of_a_log_are_told_not_only_the_first(void **state)
{
        struct segment_checked is;
        struct told t = { 0 };
        struct file f[3];

        make_log();
        for (unsigned i = 0; i < 3; i++) {
                char path[400];

                snprintf(path, sizeof(path), "%s/%016x.seg", dir, 2 * i + 1);
                f[i] = load(path);
                put_byte(&f[i], SEGMENT_HEADER_BYTES + 60, f[i].p[SEGMENT_HEADER_BYTES + 60] ^ 1);
                free(f[i].p);
        }
        assert_int_equal(segment_check(dir, "442000", ENTRIES, tell_log, &t, &is), 0);
        assert_int_equal(t.n, 3);
        assert_int_equal(t.missing, 3);
        assert_int_equal(is.entries, ENTRIES - 3);
}

/* ---- a store ---- */

static const char *const databases[] = { "outcomes", "digests", NULL };

static struct store *open_store(bool scan, int want)
{
        struct store_options o = { .dir = dir, .map_bytes = 32 << 20, .databases = databases, .allow_volatile = true, .scan = scan };
        struct store *s = NULL;
        int r = store_open(&o, &s);

        if (r != want)
                fail_msg("the store opens with %d, not %d", r, want);
        return s;
}

/* Small and large values, many removed again, over some commits: trees of two levels, large pages, a free list. */
static void make_store(void)
{
        struct store *s = open_store(false, 0);
        static uint8_t value[20000];

        for (size_t i = 0; i < sizeof(value); i++)
                value[i] = (uint8_t)disk_random(&seed);
        for (unsigned i = 0; i < ROWS; i++) {
                uint8_t key[40];
                size_t n = 8 + disk_random(&seed) % 32;

                for (size_t k = 0; k < n; k++)
                        key[k] = (uint8_t)disk_random(&seed);
                if (!store_is_open(s)) {
                        assert_int_equal(store_begin(s), 0);
                        assert_int_equal(store_group_begin(s), 0);
                }
                assert_int_equal(store_put(s, i % 5, bytes_of(key, n), bytes_of(value, i % 40 == 0 ? 5000 + i * 10 : disk_random(&seed) % 400)), 0);
                if (i % 3 == 2)
                        assert_true(store_del(s, i % 5, bytes_of(key, n)) == 1);
                if (i % 100 == 99) {
                        assert_int_equal(store_group_commit(s), 0);
                        assert_int_equal(store_commit(s), 0);
                }
        }
        store_close(s);
}

static struct digest rows_digest(struct store *s)
{
        uint8_t from[STORE_KEY_MAX + 1], lengths[8];
        struct digest d = { { 0 } };
        struct store_snapshot *p;
        struct bytes key, value;

        assert_int_equal(store_snapshot_open(s, &p), 0);
        for (unsigned db = 0; db < 5; db++) {
                size_t n = 0;

                while (store_snapshot_next(p, db, (struct bytes){ 0 }, bytes_of(from, n), &key, &value) > 0) {
                        put_le32(lengths, (uint32_t)key.n);
                        put_le32(lengths + 4, (uint32_t)value.n);
                        d = DIGEST_OF(CTX_EFFECTS_CHAIN, bytes_digest(&d), bytes_of(lengths, 8), key, value);
                        memcpy(from, key.p, key.n);
                        from[key.n] = 0;
                        n = key.n + 1;
                }
        }
        store_snapshot_close(p);
        return d;
}

static void tell_store(void *ctx, const char *text)
{
        struct told *t = ctx;

        if (t->n++ == 0)
                snprintf(t->first, sizeof(t->first), "%s", text);
}

static void test_a_flipped_byte_of_a_store_is_named_or_says_nothing(void **state)
{
        struct digest whole, is;
        struct store_scan scan;
        struct store *s;
        struct file f;
        char path[300];
        unsigned found = 0;

        make_store();
        s = open_store(true, 0);
        whole = rows_digest(s);
        store_close(s);
        snprintf(path, sizeof(path), "%s/data.mdb", dir);
        f = load(path);
        for (unsigned i = 0; i < FLIPS; i++) {
                size_t at = disk_random(&seed) % (i % 4 == 0 ? 2 * 4096 : f.n);
                struct told t = { 0 };
                int fd;

                put_byte(&f, at, f.p[at] ^ (uint8_t)(1 + disk_random(&seed) % 255));
                fd = open(path, O_RDONLY | O_CLOEXEC);
                assert_int_equal(store_scan_fd(fd, 0, STORE_SCAN_ALL, NULL, tell_store, &t, &scan), 0);
                close(fd);
                assert_int_equal(scan.damages, t.n);
                s = open_store(true, t.n ? -EBADMSG : 0);
                if (s) {
                        is = rows_digest(s);
                        if (!digest_equal(&is, &whole))
                                fail_msg("byte %zu of %zu: nobody tells, and rows differ", at, f.n);
                        store_close(s);
                }
                found += t.n > 0;
                for (int fd_back = open(path, O_WRONLY | O_CLOEXEC); fd_back >= 0; fd_back = -1) {
                        assert_int_equal(ftruncate(fd_back, (off_t)f.n), 0);
                        assert_int_equal(pwrite(fd_back, f.p, f.n, 0), f.n);
                        close(fd_back);
                }
        }
        print_message("# %u of %u flips of the store told, the others in bytes that say nothing\n", found, FLIPS);
        assert_true(found > FLIPS / 10);
        free(f.p);
}

/* Without the look at everything: a damaged row is found when it is asked for, and never handed out. */
static void test_a_damaged_row_is_not_handed_out(void **state)
{
        static const uint8_t marker[] = "a value to be found in the file, and to be spoilt there";
        struct bytes value;
        struct store_snapshot *p;
        struct store *s = open_store(false, 0);
        struct file f;
        char path[300];

        assert_int_equal(store_begin(s), 0);
        assert_int_equal(store_group_begin(s), 0);
        assert_int_equal(store_put(s, STORE_META, bytes_str("spoilt"), bytes_of(marker, sizeof(marker))), 0);
        assert_int_equal(store_put(s, STORE_META, bytes_str("whole"), bytes_of(marker, 10)), 0);
        assert_int_equal(store_group_commit(s), 0);
        assert_int_equal(store_commit(s), 0);
        store_close(s);
        snprintf(path, sizeof(path), "%s/data.mdb", dir);
        f = load(path);
        for (size_t at = 0; at + sizeof(marker) <= f.n; at++)
                if (memcmp(f.p + at, marker, sizeof(marker)) == 0)
                        put_byte(&f, at + 20, 'X');
        s = open_store(false, 0);
        assert_int_equal(store_snapshot_open(s, &p), 0);
        assert_int_equal(store_snapshot_get(p, STORE_META, bytes_str("spoilt"), &value), -EBADMSG);
        assert_int_equal(store_snapshot_get(p, STORE_META, bytes_str("whole"), &value), 1);
        store_snapshot_close(p);
        store_close(s);
        open_store(true, -EBADMSG);
        free(f.p);
}

/* ---- all ---- */

static int make_dir(void **state)
{
        temp_dir_make(dir);
        return 0;
}

static int remove_dir(void **state)
{
        temp_dir_remove(dir);
        return 0;
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_a_flipped_byte_of_the_log_is_named_and_hides_no_other_entry, make_dir, remove_dir),
                cmocka_unit_test_setup_teardown(test_all_damages_of_a_log_are_told_not_only_the_first, make_dir, remove_dir),
                cmocka_unit_test_setup_teardown(test_a_flipped_byte_of_a_store_is_named_or_says_nothing, make_dir, remove_dir),
                cmocka_unit_test_setup_teardown(test_a_damaged_row_is_not_handed_out, make_dir, remove_dir),
        };

        if (argc > 1)
                seed = strtoull(argv[1], NULL, 0);
        print_message("# seed %llu\n", (unsigned long long)seed);
        log_init("test", LOG_EMERG);
        if (access("/dev/shm", W_OK) == 0)
                setenv("TMPDIR", "/dev/shm", 0);
        return cmocka_run_group_tests_name("one byte is another one", tests, NULL, NULL);
}
