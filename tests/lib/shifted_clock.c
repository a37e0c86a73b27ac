/* shifted_clock: preloaded into a program under test, it moves its wall clock by the milliseconds in the file that
 * $SHIFTED_CLOCK names.  All other clocks are the machine's. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const int64_t *shift;

__attribute__((constructor))
static void map_shift(void)
{
        const char *path = getenv("SHIFTED_CLOCK");
        int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *p = fd >= 0 ? mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

        if (fd >= 0)
                close(fd);
        if (p != MAP_FAILED)
                shift = p;
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
        int r = (int)syscall(SYS_clock_gettime, clock, t);
        int64_t ms = shift && clock == CLOCK_REALTIME && r == 0 ? __atomic_load_n(shift, __ATOMIC_SEQ_CST) : 0;

        if (ms != 0) {
                int64_t ns = t->tv_nsec + ms % 1000 * 1000000;

                t->tv_sec += ms / 1000 + (ns < 0 ? -1 : ns / 1000000000);
                t->tv_nsec = (ns + 1000000000) % 1000000000;
        }
        return r;
}
