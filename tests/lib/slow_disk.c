/* slow_disk: preloaded into a program under test, it makes each sync of a file take as many milliseconds longer as stand in
 * the file that $SLOW_DISK names. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const int64_t *delay;
static int (*real_fsync)(int), (*real_fdatasync)(int);

__attribute__((constructor))
static void map_delay(void)
{
        const char *path = getenv("SLOW_DISK");
        int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *p = fd >= 0 ? mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

        if (fd >= 0)
                close(fd);
        if (p != MAP_FAILED)
                delay = p;
        *(void **)&real_fsync = dlsym(RTLD_NEXT, "fsync");
        *(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
}

static void wait_for_disk(void)
{
        int64_t ms = delay ? __atomic_load_n(delay, __ATOMIC_SEQ_CST) : 0;

        if (ms > 0)
                nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

int fsync(int fd)
{
        wait_for_disk();
        return real_fsync(fd);
}

int fdatasync(int fd)
{
        wait_for_disk();
        return real_fdatasync(fd);
}
