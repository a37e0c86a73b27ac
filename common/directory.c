/* directory: one table of file systems that break the promise of a sync or of shared memory maps, and of those that
 * forget all at a restart; one lock file that nobody else opens. */
#include "common/directory.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "common/macro.h"

static const struct { uint32_t magic; const char *name; bool is_volatile; } refused[] = {
        { 0x00006969, "nfs", false },
        { 0x0000517b, "smb", false },
        { 0xff534d42, "cifs", false },
        { 0xfe534d42, "smb2", false },
        { 0x65735546, "fuse", false },
        { 0x5346414f, "afs", false },
        { 0x73757245, "coda", false },
        { 0x01021997, "9p", false },
        { 0x00c36400, "ceph", false },
        { 0x0000564c, "ncp", false },
        { 0x7461636f, "ocfs2", false },
        { 0x01161970, "gfs2", false },
        { 0x0bd00bd0, "lustre", false },
        { 0x47504653, "gpfs", false },
        { 0x01021994, "tmpfs", true },
        { 0x858458f6, "ramfs", true },
};

int directory_check_filesystem(const char *dir, bool allow_volatile)
{
        struct statfs fs;

        if (statfs(dir, &fs) < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTS(refused); i++)
                if ((uint32_t)fs.f_type == refused[i].magic)
                        return refused[i].is_volatile && allow_volatile ? 0 : -EMEDIUMTYPE;
        return 0;
}

int directory_sync(const char *dir)
{
        int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

        if (fd < 0)
                return -errno;
        if (fsync(fd) < 0)
                r = -errno;
        close(fd);
        return r;
}

/* A new directory is there for good only when the one above it is synced. */
static int sync_above(const char *dir)
{
        char copy[4096];

        if (strlen(dir) >= sizeof(copy))
                return -ENAMETOOLONG;
        strcpy(copy, dir);
        return directory_sync(dirname(copy));
}

int directory_make(const char *dir, bool allow_volatile)
{
        int r = mkdir(dir, 0700) == 0 ? sync_above(dir) : errno == EEXIST ? 0 : -errno;

        return r < 0 ? r : directory_check_filesystem(dir, allow_volatile);
}

int directory_lock(const char *dir)
{
        char path[4096];
        int fd;

        if (snprintf(path, sizeof(path), "%s/owner.lock", dir) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                int r = errno == EWOULDBLOCK ? -EBUSY : -errno;

                close(fd);
                return r;
        }
        return fd;
}
