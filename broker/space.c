/* space: see the header. */
#include "broker/space.h"
#include "common/macro.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* From 95 % on, these alone: what stops harm or frees space. */
static const uint16_t reserved[] = {
        KIND_DELIVERY_RECEIPT, KIND_REVOKE, KIND_GRANT_SUSPEND, KIND_GRANT_TERMINATE, KIND_FREEZE, KIND_CLOCK,
        KIND_TRUST_HEAD, KIND_TICK, KIND_PURGE,
};

static int dir_used(int fd, uint64_t *total)
{
        struct dirent *e;
        struct stat st;
        DIR *d = fdopendir(fd);
        int r = 0;

        if (!d) {
                close(fd);
                return -errno;
        }
        while (r == 0 && (e = readdir(d))) {
                if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        continue;
                if (S_ISREG(st.st_mode))
                        *total += (uint64_t)st.st_blocks * 512;
                else if (S_ISDIR(st.st_mode)) {
                        int sub = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                        if (sub >= 0)
                                r = dir_used(sub, total);
                }
        }
        closedir(d);
        return r;
}

int space_read(const char *dir, uint64_t limit_bytes, struct space *ret)
{
        struct statvfs v;
        uint64_t used = 0;
        int fd;

        if (limit_bytes > 0) {
                fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (fd < 0)
                        return -errno;
                *ret = (struct space){ 0, limit_bytes };
                int r = dir_used(fd, &used);
                ret->used = used;
                return r;
        }
        if (statvfs(dir, &v) < 0)
                return -errno;
        *ret = (struct space){ (uint64_t)(v.f_blocks - v.f_bfree) * v.f_frsize,
                               (uint64_t)(v.f_blocks - v.f_bfree + v.f_bavail) * v.f_frsize };
        return 0;
}

enum space_step space_step_of(struct space s)
{
        uint64_t percent = s.total == 0 ? 100 : (uint64_t)((double)s.used * 100 / (double)s.total);

        if (percent >= 95)
                return SPACE_RESERVED;
        if (percent >= 90)
                return SPACE_NO_DATA;
        return percent >= 80 ? SPACE_ALERT : SPACE_FREE;
}

bool space_takes(enum space_step step, const struct kind *kind)
{
        if (step < SPACE_NO_DATA)
                return true;
        if (step == SPACE_NO_DATA)
                return kind->class != KIND_DATA;
        for (size_t i = 0; i < ELEMENTS(reserved); i++)
                if (reserved[i] == kind->number)
                        return true;
        return false;
}

const char *space_step_name(enum space_step step)
{
        static const char *const names[] = { "free", "alert", "no_data", "reserved" };

        return names[step];
}
