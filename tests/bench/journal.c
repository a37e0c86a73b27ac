/* journal: see the header.  Two buffers: one is filled while the other is written. */
#include "journal.h"
#include "common/times.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES (16u << 20)
#define GAP_NS 4000000ull
#define ALIGN 4096u

struct buffer { uint8_t *p; size_t n; uint64_t last; };

struct journal {
        int file, event;
        size_t size, at;
        struct buffer buffers[2];
        unsigned filling;
        uint64_t appended;
        bool crowded, stop;
        struct mono_time synced;
        _Atomic uint64_t durable, syncs, bytes, cpu_ns;
        pthread_mutex_t lock;           /* guards buffers[filling], filling, crowded, stop */
        pthread_cond_t more;
        pthread_t thread;
};

static void give_up(const char *what)
{
        perror(what);
        _exit(1);
}

/* ---- the thread ---- */

static void make_durable(struct journal *j, const struct buffer *b)
{
        size_t n = (b->n + ALIGN - 1) / ALIGN * ALIGN;

        if (j->at + n > j->size)
                j->at = 0;
        if (pwrite(j->file, b->p, n, (off_t)j->at) != (ssize_t)n || fdatasync(j->file) < 0)
                give_up("journal");
        j->at += n;
        atomic_fetch_add(&j->bytes, n);
        atomic_fetch_add(&j->syncs, 1);
}

static void keep_gap(struct journal *j)
{
        uint64_t now = times_mono().ns, next = j->synced.ns + GAP_NS;
        struct timespec t = { 0, (long)(next > now ? next - now : 0) };

        if (t.tv_nsec > 0)
                nanosleep(&t, NULL);
}

static bool take_filled(struct journal *j, struct buffer **ret)
{
        bool crowded, some;

        pthread_mutex_lock(&j->lock);
        while (j->buffers[j->filling].n == 0 && !j->stop)
                pthread_cond_wait(&j->more, &j->lock);
        crowded = j->crowded;
        pthread_mutex_unlock(&j->lock);
        if (crowded)
                keep_gap(j);
        pthread_mutex_lock(&j->lock);
        *ret = &j->buffers[j->filling];
        some = (*ret)->n > 0;
        j->filling ^= 1;
        j->crowded = false;
        pthread_mutex_unlock(&j->lock);
        return some;
}

static void finish(struct journal *j, struct buffer *b)
{
        uint64_t one = 1;
        struct timespec t;

        j->synced = times_mono();
        atomic_store(&j->durable, b->last);
        b->n = 0;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        atomic_store(&j->cpu_ns, (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec);
        pthread_mutex_lock(&j->lock);
        j->crowded = j->buffers[j->filling].n > 0;
        pthread_mutex_unlock(&j->lock);
        if (write(j->event, &one, sizeof one) < 0 && errno != EAGAIN)
                give_up("eventfd");
}

static void *run(void *arg)
{
        struct journal *j = arg;
        struct buffer *b;

        while (take_filled(j, &b)) {
                make_durable(j, b);
                finish(j, b);
        }
        return NULL;
}

/* ---- the owner ---- */

static int preallocate(struct journal *j)
{
        uint8_t *zeros = calloc(1, 1 << 20);
        int r = zeros ? 0 : -ENOMEM;

        for (size_t at = 0; r == 0 && at < j->size; at += 1 << 20)
                if (pwrite(j->file, zeros, 1 << 20, (off_t)at) != 1 << 20)
                        r = -errno;
        free(zeros);
        return r == 0 && fsync(j->file) < 0 ? -errno : r;
}

int journal_open(const char *path, size_t size, struct journal **ret)
{
        struct journal *j = calloc(1, sizeof *j);
        int r;

        if (!j)
                return -ENOMEM;
        j->size = size;
        j->file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        j->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        r = j->file < 0 || j->event < 0 ? -errno : preallocate(j);
        for (unsigned i = 0; r == 0 && i < 2; i++) {
                j->buffers[i].p = aligned_alloc(ALIGN, BUFFER_BYTES + ALIGN);
                if (!j->buffers[i].p)
                        r = -ENOMEM;
        }
        pthread_mutex_init(&j->lock, NULL);
        pthread_cond_init(&j->more, NULL);
        if (r == 0)
                r = -pthread_create(&j->thread, NULL, run, j);
        if (r == 0)
                *ret = j;
        return r;
}

void journal_close(struct journal *j)
{
        if (!j)
                return;
        pthread_mutex_lock(&j->lock);
        j->stop = true;
        pthread_cond_signal(&j->more);
        pthread_mutex_unlock(&j->lock);
        pthread_join(j->thread, NULL);
        close(j->file);
        close(j->event);
        free(j->buffers[0].p);
        free(j->buffers[1].p);
        free(j);
}

uint64_t journal_append(struct journal *j, struct bytes item)
{
        struct buffer *b;
        uint64_t number = 0;

        pthread_mutex_lock(&j->lock);
        b = &j->buffers[j->filling];
        if (b->n + 4 + item.n <= BUFFER_BYTES) {
                if (b->n == 0)
                        pthread_cond_signal(&j->more);
                put_le32(b->p + b->n, (uint32_t)item.n);
                if (item.n)
                        memcpy(b->p + b->n + 4, item.p, item.n);
                b->n += 4 + item.n;
                b->last = number = ++j->appended;
        }
        pthread_mutex_unlock(&j->lock);
        return number;
}

uint64_t journal_durable(struct journal *j)
{
        uint64_t count;

        if (read(j->event, &count, sizeof count) < 0 && errno != EAGAIN)
                give_up("eventfd");
        return atomic_load(&j->durable);
}

int journal_fd(const struct journal *j)
{
        return j->event;
}

struct journal_use journal_use(const struct journal *j)
{
        struct journal *q = (struct journal *)j;

        return (struct journal_use){ atomic_load(&q->syncs), atomic_load(&q->bytes), atomic_load(&q->cpu_ns) };
}
