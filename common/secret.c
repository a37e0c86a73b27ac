/* secret: libsodium's guarded allocations behind a small handle.  The handle is not secret; the pages are. */
#include "common/secret.h"

#include "common/macro.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct secret {
        size_t n;
        uint8_t *p;
};

struct secret *secret_new(size_t n)
{
        struct secret *s = n > 0 ? calloc(1, sizeof(*s)) : NULL;

        if (!s)
                return NULL;
        s->n = n;
        s->p = sodium_malloc(n);
        if (!s->p) {
                free(s);
                return NULL;
        }
        sodium_memzero(s->p, n);
        return s;
}

struct secret *secret_copy(struct bytes b)
{
        struct secret *s = secret_new(b.n);

        if (s)
                memcpy(s->p, b.p, b.n);
        return s;
}

void secret_free(struct secret *s)
{
        if (!s)
                return;
        sodium_free(s->p);                      /* wipes */
        free(s);
}

void secret_freep(struct secret **s)
{
        secret_free(TAKE(*s));
}

uint8_t *secret_bytes(struct secret *s)
{
        return s->p;
}

const uint8_t *secret_peek(const struct secret *s)
{
        return s->p;
}

size_t secret_size(const struct secret *s)
{
        return s->n;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
        return a->n == b->n && sodium_memcmp(a->p, b->p, a->n) == 0;
}

int secret_check_mlock(void)
{
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        void *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        int r;

        if (p == MAP_FAILED)
                return -ENOMEM;
        r = mlock(p, page) == 0 ? 0 : errno == EPERM ? -EPERM : -ENOMEM;
        munmap(p, page);
        return r;
}
