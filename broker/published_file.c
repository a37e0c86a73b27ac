/* published_file: see the header. */
#include "broker/published_file.h"

#include "broker/recover.h"
#include "common/base64.h"
#include "common/digest.h"
#include "common/failpoint.h"
#include "common/note.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define MAGIC "shuyi-published-v1 "
#define CHECK BASE64_CHARS(DIGEST_BYTES)

static void check_of(const char *note, char ret[CHECK + 1])
{
        struct digest d = digest_plain(bytes_str(note));

        base64_encode(bytes_digest(&d), ret);
}

int published_file_write(const char *path, const struct published_head *head)
{
        char temporary[4100], check[CHECK + 1];
        FILE *f;
        int r = 0;

        snprintf(temporary, sizeof(temporary), "%s.new", path);
        check_of(head->note, check);
        f = fopen(temporary, "we");
        if (!f)
                return -errno;
        if (fprintf(f, MAGIC "%llu %s\n%s", (unsigned long long)head->epoch, check, head->note) < 0)
                r = -EIO;
        if (fclose(f) != 0 && r == 0)
                r = -errno;
        FAILPOINT("published.before_rename");
        if (r == 0 && rename(temporary, path) < 0)
                r = -errno;
        FAILPOINT("published.after_rename");
        if (r < 0)
                unlink(temporary);
        return r;
}

int published_file_read(const char *path, struct arena *a, struct published_head *ret)
{
        const struct bytes magic = bytes_str(MAGIC);
        struct bytes all, line, number;
        char check[CHECK + 1];
        struct note_cursor c;
        uint64_t epoch;
        char *note;
        int r = recover_read_file(a, path, NOTE_MAX_BYTES + 256, &all);

        if (r < 0)
                return r == -ENOENT ? 0 : r == -EFBIG ? -EBADMSG : r;
        c = (struct note_cursor){ (const char *)all.p, (const char *)all.p + all.n };
        if (!note_next_line(&c, &line) || !bytes_has_prefix(line, magic) || line.n < magic.n + 2 + CHECK)
                return -EBADMSG;
        number = bytes_of(line.p + magic.n, line.n - magic.n - 1 - CHECK);
        if (number.p[number.n] != ' ' || !note_parse_number(number, &epoch) || memchr(c.p, 0, (size_t)(c.end - c.p)))
                return -EBADMSG;
        note = arena_printf(a, "%.*s", (int)(c.end - c.p), c.p);
        if (!note)
                return -ENOMEM;
        check_of(note, check);
        if (memcmp(number.p + number.n + 1, check, CHECK) != 0)
                return -EBADMSG;
        *ret = (struct published_head){ .epoch = epoch, .note = note };
        return 1;
}
