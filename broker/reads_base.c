/* reads_base: a state image, for the auditor whose mirror begins where the log has leaf hashes alone (R-161, R-155; DESIGN 7).
 *
 * The oldest image that covers all inputs which were purged, so that the mirror derives as much as it can by itself.  The cursor is
 * (seq of the image, offset in its file). */
#include "broker/reads.h"
#include "broker/recover.h"
#include "common/retention.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define PIECE_BYTES (64u << 10)
#define CURSOR_BYTES 16

static int refuse(struct reading *r, enum refusal code, const char *detail)
{
        r->page.code = code;
        r->page.detail = (char *)detail;
        return 0;
}

/* 0: there is none; or a fault. */
static int choose(struct reading *r, uint64_t *ret)
{
        uint64_t list[BASE_KEPT_MAX];
        struct retention_marks marks;
        char dir[4096];
        int n = base_list(recover_dir(r->broker, "base", dir), false, list), f = retention_marks_read(r->state, &marks);

        *ret = 0;
        for (int i = 0; i < n && f == 0 && *ret == 0; i++)
                if (list[i] >= marks.inputs_to)
                        *ret = list[i];
        return n < 0 ? n : f;
}

static int open_image(struct reading *r, uint64_t seq)
{
        char dir[4096], name[BASE_NAME_BYTES], path[4200];
        int fd;

        base_name(seq, name);
        snprintf(path, sizeof(path), "%s/%s", recover_dir(r->broker, "base", dir), name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

/* Pieces from `offset` on, until the page is full or the file ends.  0 or a fault. */
static int add_pieces(struct reading *r, int fd, uint64_t seq, uint64_t offset)
{
        uint8_t cursor[CURSOR_BYTES];

        while (reading_has_room(r)) {
                uint8_t *piece = arena_alloc(r->arena, PIECE_BYTES);
                ssize_t n = piece ? pread(fd, piece, PIECE_BYTES, (off_t)offset) : 0;

                if (!piece || n < 0)
                        return piece ? -errno : -ENOMEM;
                if (n == 0)
                        return 0;
                if (!reading_add(r, bytes_of(piece, (size_t)n)))
                        break;
                offset += (uint64_t)n;
        }
        put_be64(cursor, seq);
        put_be64(cursor + 8, offset);
        reading_next(r, bytes_of(cursor, sizeof(cursor)));
        return 0;
}

int reads_base(struct reading *r)
{
        const Shuyi__V1__Read *read = r->question->read;
        uint64_t seq, offset = 0;
        int fd, f = 0;

        if (!r->auditor)
                return refuse(r, E_ROLE, "the log is read by an AUDIT_OFFICER of the authority");
        if (!reading_is_of_log(r) || (read->after.len != 0 && read->after.len != CURSOR_BYTES))
                return refuse(r, E_FORM, "key");
        if (read->after.len == CURSOR_BYTES) {
                seq = get_be64(read->after.data);
                offset = get_be64(read->after.data + 8);
        } else {
                f = choose(r, &seq);
        }
        if (f < 0)
                return f;
        if (offset > INT64_MAX)
                return refuse(r, E_FORM, "after");
        fd = seq > 0 ? open_image(r, seq) : -ENOENT;
        if (fd == -ENOENT)
                return refuse(r, E_NOT_FOUND, "no such state image, or it is kept no longer");
        if (fd < 0)
                return fd;
        f = add_pieces(r, fd, seq, offset);
        close(fd);
        return f;
}
