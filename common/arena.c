/* arena: a list of blocks, the newest first, filled from their start.
 *
 * The cap counts what was asked for, rounded up to the alignment; blocks may take a little more from the
 * machine.  Nothing is given back but by reset and free. */
#include "common/arena.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ALIGNMENT 16
#define FIRST_BLOCK_BYTES (8 * 1024)
#define BLOCK_MAX_BYTES (256 * 1024)

struct block {
        struct block *older;
        size_t size, used;                      /* of the bytes that follow */
        _Alignas(ALIGNMENT) uint8_t bytes[];
};

struct arena {
        struct block *newest;
        size_t max_bytes, used;
        bool failed;
        ProtobufCAllocator allocator;
};

static void *allocator_alloc(void *data, size_t n)
{
        return arena_alloc(data, n);
}

static void allocator_free(void *data, void *pointer)
{
}

struct arena *arena_new(size_t max_bytes)
{
        struct arena *a = calloc(1, sizeof(*a));

        if (!a)
                return NULL;
        a->max_bytes = max_bytes;
        a->allocator = (ProtobufCAllocator){ allocator_alloc, allocator_free, a };
        return a;
}

void arena_free(struct arena *a)
{
        if (!a)
                return;
        while (a->newest) {
                struct block *b = a->newest;

                a->newest = b->older;
                free(b);
        }
        free(a);
}

void arena_freep(struct arena **a)
{
        arena_free(*a);
}

void arena_reset(struct arena *a)
{
        while (a->newest && a->newest->older) {
                struct block *b = a->newest;

                a->newest = b->older;
                free(b);
        }
        if (a->newest)
                a->newest->used = 0;
        a->used = 0;
        a->failed = false;
}

bool arena_failed(const struct arena *a)
{
        return a->failed;
}

size_t arena_used(const struct arena *a)
{
        return a->used;
}

void arena_allow(struct arena *a, size_t more)
{
        a->max_bytes = more > SIZE_MAX - a->used ? SIZE_MAX : a->used + more;
}

/* A new block with room for `n`: each twice as large as the one before, so that few are needed. */
static bool arena_grow(struct arena *a, size_t n)
{
        size_t size = a->newest ? a->newest->size * 2 : FIRST_BLOCK_BYTES;
        struct block *b;

        if (size > BLOCK_MAX_BYTES)
                size = BLOCK_MAX_BYTES;
        if (size < n)
                size = n;
        if (size > SIZE_MAX - sizeof(*b) || !(b = malloc(sizeof(*b) + size)))
                return false;
        b->older = a->newest;
        b->size = size;
        b->used = 0;
        a->newest = b;
        return true;
}

void *arena_alloc(struct arena *a, size_t n)
{
        size_t rounded = n ? (n + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1) : ALIGNMENT;
        uint8_t *p;

        if (a->failed || n > a->max_bytes || rounded < n || rounded > a->max_bytes - a->used)
                goto full;
        if ((!a->newest || rounded > a->newest->size - a->newest->used) && !arena_grow(a, rounded))
                goto full;
        p = a->newest->bytes + a->newest->used;
        a->newest->used += rounded;
        a->used += rounded;
        return p;
full:
        a->failed = true;
        return NULL;
}

void *arena_zalloc(struct arena *a, size_t n)
{
        void *p = arena_alloc(a, n);

        if (p && n)
                memset(p, 0, n);
        return p;
}

void *arena_array(struct arena *a, size_t size, size_t count)
{
        if (count && size > SIZE_MAX / count) {
                a->failed = true;
                return NULL;
        }
        return arena_zalloc(a, size * count);
}

struct bytes arena_copy(struct arena *a, struct bytes b)
{
        uint8_t *p = arena_alloc(a, b.n);

        if (!p)
                return (struct bytes){ 0 };
        if (b.n)
                memcpy(p, b.p, b.n);
        return bytes_of(p, b.n);
}

char *arena_strdup(struct arena *a, const char *s)
{
        return (char *)arena_copy(a, bytes_of(s, strlen(s) + 1)).p;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
        va_list list, again;
        char *text = NULL;
        int n;

        va_start(list, format);
        va_copy(again, list);
        n = vsnprintf(NULL, 0, format, list);
        if (n >= 0 && (text = arena_alloc(a, (size_t)n + 1)))
                vsnprintf(text, (size_t)n + 1, format, again);
        va_end(again);
        va_end(list);
        return text;
}

ProtobufCAllocator *arena_allocator(struct arena *a)
{
        return &a->allocator;
}
