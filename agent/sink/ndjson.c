/* ndjson: see ndjson.h. */
#include "agent/sink/ndjson.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/macro.h"

#define BUFFER_BYTES (256 * 1024)

struct ndjson {
        int fd;
        char *path;
        uint64_t synced;                /* counts */
        uint64_t written;               /* in the file */
        size_t used;
        uint8_t buffer[BUFFER_BYTES];
};

int ndjson_recover(bool exists, uint64_t size, uint64_t offset, uint64_t *ret)
{
        if (!exists)
                offset = 0;
        else if (offset == NDJSON_END)
                offset = size;
        else if (size < offset)
                return -EBADMSG;
        *ret = offset;
        return 0;
}

/* The name of a new file is durable only when its directory is. */
static int sync_directory(const char *path)
{
        char copy[PATH_MAX];
        int fd, r;

        if (strlen(path) >= sizeof(copy))
                return -ENAMETOOLONG;
        strcpy(copy, path);
        fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = fsync(fd) < 0 ? -errno : 0;
        close(fd);
        return r;
}

/* What counts ends with a line's end; else it is another file, and nothing of it is cut. */
static bool ends_a_line(const struct ndjson *n)
{
        char last;

        return n->synced == 0 || (pread(n->fd, &last, 1, (off_t)n->synced - 1) == 1 && last == '\n');
}

static int open_at(struct ndjson *n, const char *path, uint64_t offset)
{
        struct stat st = { 0 };
        bool exists = stat(path, &st) == 0;
        int r = ndjson_recover(exists, exists ? (uint64_t)st.st_size : 0, offset, &n->synced);

        if (r < 0)
                return r;
        n->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
        if (n->fd < 0)
                return -errno;
        if (!exists && (r = sync_directory(path)) < 0)
                return r;
        if (!ends_a_line(n))
                return -EBADMSG;
        return ndjson_rewind(n);
}

int ndjson_open(const char *path, uint64_t offset, struct ndjson **ret, uint64_t *ret_offset)
{
        struct ndjson *n = calloc(1, sizeof(*n));
        int r;

        if (!n)
                return -ENOMEM;
        n->fd = -1;
        n->path = strdup(path);
        r = n->path ? open_at(n, path, offset) : -ENOMEM;
        if (r < 0) {
                ndjson_close(n);
                return r;
        }
        *ret_offset = n->synced;
        *ret = n;
        return 0;
}

void ndjson_close(struct ndjson *n)
{
        if (!n)
                return;
        if (n->fd >= 0)
                close(n->fd);
        free(n->path);
        free(n);
}

/* Lines written to a file that nobody finds under its name any more would be lost. */
static int check_place(const struct ndjson *n)
{
        struct stat here, open;

        if (fstat(n->fd, &open) < 0)
                return -errno;
        return stat(n->path, &here) == 0 && here.st_ino == open.st_ino && here.st_dev == open.st_dev ? 0 : -ESTALE;
}

static int write_all(struct ndjson *n, const uint8_t *p, size_t size)
{
        while (size) {
                ssize_t r = pwrite(n->fd, p, size, (off_t)n->written);

                if (r < 0 && errno == EINTR)
                        continue;
                if (r < 0)
                        return -errno;
                p += r;
                size -= (size_t)r;
                n->written += (uint64_t)r;
        }
        return 0;
}

static int flush(struct ndjson *n)
{
        int r = write_all(n, n->buffer, n->used);

        n->used = 0;
        return r;
}

int ndjson_append(struct ndjson *n, struct bytes line)
{
        if (line.n > BUFFER_BYTES - n->used) {
                int r = flush(n);

                if (r < 0)
                        return r;
        }
        if (line.n > BUFFER_BYTES)
                return write_all(n, line.p, line.n);
        memcpy(n->buffer + n->used, line.p, line.n);
        n->used += line.n;
        return 0;
}

int ndjson_sync(struct ndjson *n, uint64_t *ret_offset)
{
        int r = flush(n);

        if (r == 0)
                r = check_place(n);
        if (r < 0)
                return r;
        FAILPOINT("sink.before_sync");
        if (fdatasync(n->fd) < 0)
                return -errno;
        n->synced = n->written;
        *ret_offset = n->synced;
        return 0;
}

int ndjson_rewind(struct ndjson *n)
{
        n->used = 0;
        n->written = n->synced;
        return ftruncate(n->fd, (off_t)n->synced) < 0 ? -errno : 0;
}
