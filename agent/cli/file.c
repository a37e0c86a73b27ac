/* file: whole files in and out. */
#include "agent/cli/file.h"
#include "common/macro.h"
#include "common/message_json.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_fdp(int *fd)
{
        if (*fd > STDERR_FILENO)
                close(*fd);
}

int file_read(struct cli *c, const char *path, struct bytes *ret)
{
        _cleanup_(close_fdp) int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
        size_t size = 4096, n = 0;
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0) {
                cli_error("%s: %s", path, strerror(errno));
                return -1;
        }
        if (S_ISREG(st.st_mode))
                size = (size_t)st.st_size + 1;
        uint8_t *p = size <= FILE_MAX_BYTES ? arena_alloc(c->arena, size) : NULL;
        while (p) {
                ssize_t r = read(fd, p + n, size - n);
                if (r < 0) {
                        cli_error("%s: %s", path, strerror(errno));
                        return -1;
                }
                if (r == 0) {
                        *ret = bytes_of(p, n);
                        return 0;
                }
                n += (size_t)r;
                if (n == size) {
                        uint8_t *grown = size <= FILE_MAX_BYTES / 2 ? arena_alloc(c->arena, size * 2) : NULL;
                        if (grown)
                                memcpy(grown, p, n);
                        p = grown;
                        size *= 2;
                }
        }
        cli_error("%s: larger than %u MiB", path, FILE_MAX_BYTES >> 20);
        return -1;
}

static int write_all(int fd, struct bytes b)
{
        while (b.n) {
                ssize_t r = write(fd, b.p, b.n);
                if (r < 0 && errno != EINTR)
                        return -errno;
                if (r > 0)
                        b = bytes_of(b.p + r, b.n - (size_t)r);
        }
        return 0;
}

static mode_t mask_now(void)
{
        mode_t mask = umask(077);

        umask(mask);
        return mask;
}

/* Not every file system can refuse to replace in one step; there the look before it must do. */
static int put_in_place(const char *temporary, const char *path, bool replace)
{
        if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, replace ? 0 : RENAME_NOREPLACE) == 0)
                return 0;
        if (errno != EINVAL && errno != ENOSYS)
                return -errno;
        return rename(temporary, path) < 0 ? -errno : 0;
}

int file_write(struct cli *c, const char *path, struct bytes b, unsigned mode, bool replace)
{
        char *temporary = arena_printf(c->arena, "%s.XXXXXX", path);
        int r;

        if (!temporary) {
                cli_error("out of memory");
                return -1;
        }
        if (!replace && access(path, F_OK) == 0) {
                cli_error("%s is there already; it is not overwritten", path);
                return -1;
        }
        _cleanup_(close_fdp) int fd = mkostemp(temporary, O_CLOEXEC);
        if (fd < 0) {
                cli_error("%s: %s", path, strerror(errno));
                return -1;
        }
        fchmod(fd, mode & ~mask_now());         /* where it cannot be widened, it stays the owner's */
        r = write_all(fd, b);
        if (r == 0 && fsync(fd) < 0)
                r = -errno;
        if (r == 0)
                r = put_in_place(temporary, path, replace);
        if (r < 0) {
                cli_error("%s: %s", path, strerror(-r));
                unlink(temporary);
                return -1;
        }
        return 0;
}

json_t *file_read_json(struct cli *c, const char *path)
{
        struct bytes b;
        json_error_t error;

        if (file_read(c, path, &b) < 0)
                return NULL;
        json_t *value = json_loadb((const char *)b.p, b.n, JSON_REJECT_DUPLICATES, &error);
        if (!value)
                cli_error("%s:%d:%d: %s", path, error.line, error.column, error.text);
        return value;
}

void *file_read_message(struct cli *c, const ProtobufCMessageDescriptor *d, const char *path)
{
        json_t *value = file_read_json(c, path);
        char error[MESSAGE_JSON_ERROR_BYTES] = "";
        void *m = value ? message_json_parse(c->arena, d, value, error) : NULL;

        if (value && !m)
                cli_error("%s: %s", path, error);
        json_decref(value);
        return m;
}
