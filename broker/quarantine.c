/* quarantine: see the header. */
#include "broker/quarantine.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define LIST_MAX 1024

/* What is being applied; and what a start found there, how often, since it was last applied whole. */
struct page { uint8_t digest[DIGEST_BYTES]; uint32_t busy, crashed, finds; uint8_t suspect[DIGEST_BYTES]; };

struct quarantine {
        struct page *page;
        struct digest list[LIST_MAX];
        unsigned n;
        int list_fd;
};

static struct page *volatile marked;            /* for the signal handler */

static int map_page(int dir, struct page **ret)
{
        int fd = openat(dir, "applying", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        void *p;

        if (fd < 0)
                return -errno;
        if (ftruncate(fd, 4096) < 0) {
                close(fd);
                return -errno;
        }
        p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
        if (p == MAP_FAILED)
                return -errno;
        *ret = p;
        return 0;
}

static int read_list(struct quarantine *q, int dir)
{
        ssize_t n;

        q->list_fd = openat(dir, "quarantined", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (q->list_fd < 0)
                return -errno;
        n = pread(q->list_fd, q->list, sizeof(q->list), 0);
        if (n < 0)
                return -errno;
        q->n = (unsigned)((size_t)n / DIGEST_BYTES);
        return 0;
}

/* What the last run left in the page. */
static int settle(struct quarantine *q)
{
        struct page *p = q->page;

        if (p->busy) {
                p->finds = p->finds > 0 && memcmp(p->suspect, p->digest, DIGEST_BYTES) == 0 ? p->finds + 1 : 1;
                memcpy(p->suspect, p->digest, DIGEST_BYTES);
        }
        if (p->busy && (p->crashed || p->finds >= 2) && q->n < LIST_MAX) {
                if (write(q->list_fd, p->digest, DIGEST_BYTES) != DIGEST_BYTES || fsync(q->list_fd) < 0)
                        return -EIO;
                memcpy(q->list[q->n++].b, p->digest, DIGEST_BYTES);
                p->finds = 0;
        }
        p->busy = p->crashed = 0;
        return 0;
}

int quarantine_open(const char *dir, struct quarantine **ret, unsigned *ret_found)
{
        struct quarantine *q = calloc(1, sizeof(*q));
        int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

        if (!q || fd < 0) {
                r = q ? -errno : -ENOMEM;
                if (fd >= 0)
                        close(fd);
                free(q);
                return r;
        }
        q->list_fd = -1;
        r = map_page(fd, &q->page);
        if (r == 0)
                r = read_list(q, fd);
        if (r == 0)
                r = settle(q);
        close(fd);
        if (r < 0) {
                quarantine_close(q);
                return r;
        }
        marked = q->page;
        *ret = q;
        *ret_found = q->n;
        return 0;
}

void quarantine_close(struct quarantine *q)
{
        if (!q)
                return;
        marked = NULL;
        if (q->page)
                munmap(q->page, 4096);
        if (q->list_fd >= 0)
                close(q->list_fd);
        free(q);
}

void quarantine_enter(struct quarantine *q, const struct digest *envelope)
{
        memcpy(q->page->digest, envelope->b, DIGEST_BYTES);
        q->page->busy = 1;
}

void quarantine_leave(struct quarantine *q)
{
        q->page->busy = 0;
        if (q->page->finds > 0 && memcmp(q->page->suspect, q->page->digest, DIGEST_BYTES) == 0)
                q->page->finds = 0;
}

bool quarantine_holds(const struct quarantine *q, const struct digest *envelope)
{
        for (unsigned i = 0; i < q->n; i++)
                if (digest_equal(&q->list[i], envelope))
                        return true;
        return false;
}

void quarantine_mark(void)
{
        struct page *p = marked;

        if (p && p->busy)
                p->crashed = 1;
}
