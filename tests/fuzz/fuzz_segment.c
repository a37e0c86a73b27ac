/* segment: a small log whose files were changed, opened.
 *
 * Either damage is named, or what opens is a beginning of what was written, entry by entry, and goes on: a further group is there
 * after the next opening.  Whatever the bytes, an entry that is read is one that was written. */
#include "common/macro.h"
#include "common/segment.h"
#include "common/segment_internal.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/temp_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES SEGMENT_BYTES_MIN
#define FILES 2
#define ENTRIES 40
#define ENVELOPE_BYTES 500
#define GROUP 4

static char dir[256];
static uint8_t good[FILES][FILE_BYTES];
static struct segment_batch *batch;

static struct segment_options options(void)
{
        return (struct segment_options){ .dir = dir, .domain = "442000", .segment_bytes = FILE_BYTES, .allow_volatile = true };
}

/* ---- the good log ---- */

static void add_entry(uint64_t seq)
{
        static uint8_t envelopes[64][ENVELOPE_BYTES];   /* borrowed until written */
        uint8_t *envelope = envelopes[seq % 64];
        struct segment_entry e = { .epoch = 1, .seq = seq, .accepted_at = { 1000 + seq }, .outbox_epoch = 1, .outbox_seq = seq, .envelope = { envelope, ENVELOPE_BYTES } };

        memset(envelope, (int)(seq % 251 + 1), ENVELOPE_BYTES);
        REQUIRE(segment_batch_add_entry(batch, &e) == 0);
}

static void write_group(struct segment_log *l, uint64_t first, unsigned n)
{
        char note[80];

        segment_batch_reset(batch);
        for (unsigned i = 0; i < n; i++)
                add_entry(first + i);
        snprintf(note, sizeof(note), "442000/log\n%llu\nroot\n\n", (unsigned long long)(first + n - 1));
        REQUIRE(segment_batch_add_head(batch, 1, first + n - 1, bytes_str(note)) == 0);
        REQUIRE(segment_plan(l, batch) == 0 && segment_write(l, batch) == 0 && segment_sync(l) == 0);
}

static void file_path(uint64_t file, char ret[512])
{
        char name[SEGMENT_NAME_BYTES];

        segment_name(file, name);
        snprintf(ret, 512, "%s/%s", dir, name);
}

static void read_file(uint64_t file, uint8_t *ret)
{
        char path[512];
        FILE *f;

        file_path(file, path);
        f = fopen(path, "rb");
        REQUIRE(f && fread(ret, 1, FILE_BYTES, f) == FILE_BYTES);
        fclose(f);
}

static void write_file(uint64_t file, struct bytes b)
{
        char path[512];
        FILE *f;

        file_path(file, path);
        f = fopen(path, "wb");
        REQUIRE(f && fwrite(b.p, 1, b.n, f) == b.n && fclose(f) == 0);
}

/* In memory where there is room for it: each input makes and syncs files. */
static void choose_place(void)
{
        if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
                setenv("TMPDIR", "/dev/shm", 1);
}

static void make_good(void)
{
        struct segment_recovery found;
        struct segment_log *l;
        struct segment_options o = options();

        choose_place();
        temp_dir_make(dir);
        o.dir = dir;
        batch = segment_batch_new(1 << 20);
        REQUIRE(batch && segment_open(&o, &l, &found) == 0);
        for (uint64_t seq = 1; seq < ENTRIES; seq += GROUP)
                write_group(l, seq, GROUP);
        segment_close(l);
        for (unsigned i = 0; i < FILES; i++)
                read_file(i + 1, good[i]);
        temp_dir_remove(dir);
}

/* ---- what comes out ---- */

static uint64_t check_entries(struct segment_log *l, uint64_t last)
{
        struct segment_cursor *c;
        struct segment_record record;
        struct segment_entry e;
        uint64_t seen = 0;
        int r = segment_cursor_open(l, (struct segment_place){ 0 }, 0, 0, &c);

        if (r < 0)
                return 0;
        while ((r = segment_cursor_next(c, &record)) == 1) {
                if (record.type != SEGMENT_ENTRY)
                        continue;
                REQUIRE(record.seq <= last && record.seq > seen && segment_entry_decode(record.payload, &e));
                REQUIRE(e.seq == record.seq && e.outbox_seq == e.seq && e.envelope.n == ENVELOPE_BYTES);
                for (size_t i = 0; i < e.envelope.n; i++)
                        REQUIRE(e.envelope.p[i] == e.seq % 251 + 1);
                seen = record.seq;
        }
        segment_cursor_close(c);
        return r < 0 ? 0 : seen;
}

static void open_again(uint64_t last)
{
        struct segment_options o = options();
        struct segment_recovery found = { 0 };
        struct segment_log *l;

        REQUIRE(segment_open(&o, &l, &found) == 0);
        REQUIRE(found.last_seq == last && found.dropped_records == 0);
        REQUIRE(check_entries(l, last) == last);
        segment_close(l);
}

static void check_log(bool read_only)
{
        struct segment_options o = options();
        struct segment_recovery found = { 0 };
        struct segment_log *l = NULL;
        int r;

        o.read_only = read_only;
        r = segment_open(&o, &l, &found);
        REQUIRE(r == 0 || r == -EBADMSG || r == -EXDEV || r == -EINVAL || r == -ENOENT);
        REQUIRE((r == 0) == (l != NULL) && (r != -EBADMSG || found.reason[0]));
        if (r < 0)
                return;
        REQUIRE(found.last_seq <= ENTRIES);
        if (found.first_seq == 1)               /* unrepaired, what is whole behind the last head is read as well */
                REQUIRE(read_only ? check_entries(l, ENTRIES) >= found.last_seq : check_entries(l, found.last_seq) == found.last_seq);
        if (!read_only && found.epoch <= 1 && found.first_seq == 1) {
                write_group(l, found.last_seq + 1, 1);
                segment_close(l);
                open_again(found.last_seq + 1);
                return;
        }
        segment_close(l);
}

/* ---- the script: edits of the two files ---- */

static void edit(struct script *s, uint8_t *file, size_t *n)
{
        size_t at = script_u16(s) % FILE_BYTES, count = script_u8(s), from = script_u16(s) % FILE_BYTES;

        count = count < FILE_BYTES - at ? count : FILE_BYTES - at;
        count = count < FILE_BYTES - from ? count : FILE_BYTES - from;
        switch (script_u8(s) % 6) {
        case 0: *n = at; break;
        case 1: memset(file + at, 0, count); break;
        case 2: memset(file + at, 0, FILE_BYTES - at); break;           /* torn: nothing from here on */
        case 3: memmove(file + at, file + from, count); break;
        case 4: file[at] ^= (uint8_t)(1 << count % 8); break;
        case 5: {
                struct bytes b = script_take(s, count);

                if (b.n > 0)
                        memcpy(file + at, b.p, b.n);
                break;
        }
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        struct script s = { data, n };
        uint8_t how = script_u8(&s), file[FILES][FILE_BYTES];
        size_t bytes[FILES] = { FILE_BYTES, FILE_BYTES };

        if (!batch)
                make_good();
        memcpy(file, good, sizeof(file));
        for (unsigned i = 0; s.n > 0 && i < 8; i++) {
                unsigned which = script_u8(&s) % FILES;

                edit(&s, file[which], &bytes[which]);
        }
        temp_dir_make(dir);
        for (unsigned i = 0; i < FILES; i++)
                if (i > 0 || how % 16)
                        write_file(how % 32 == 17 ? i * 2 + 1 : i + 1, bytes_of(file[i], bytes[i]));
        check_log(how % 4 == 3);
        temp_dir_remove(dir);
        return 0;
}
