/* arena: memory that lives as long as one message and is given back at once.
 *
 * An arena has a cap: what a hostile message can cost.  When it is reached the allocation answers NULL
 * and stays so (arena_failed) until the next reset.  One thread at a time; it may be handed over. */
#pragma once
#include "common/bytes.h"
#include <protobuf-c/protobuf-c.h>

struct arena;

/* `max_bytes` bounds all allocations together.  NULL if there is no memory. */
struct arena *arena_new(size_t max_bytes);
void arena_free(struct arena *a);               /* NULL is fine */
void arena_freep(struct arena **a);             /* for _cleanup_ */
void arena_reset(struct arena *a);              /* keeps its first block, forgets the rest */
bool arena_failed(const struct arena *a);       /* the cap or the machine's memory was hit */
size_t arena_used(const struct arena *a);
/* From now on, beyond what is used, `more` bytes: what one stage left of its cap is not the next one's measure. */
void arena_allow(struct arena *a, size_t more);

void *arena_alloc(struct arena *a, size_t n);   /* aligned to 16, not zeroed; NULL when full */
void *arena_zalloc(struct arena *a, size_t n);  /* zeroed */
void *arena_array(struct arena *a, size_t size, size_t count);  /* zeroed; a product beyond size_t is "full" */
struct bytes arena_copy(struct arena *a, struct bytes b);       /* {0} when full */
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For protobuf-c: allocates from the arena, frees nothing.  Lives as long as the arena. */
ProtobufCAllocator *arena_allocator(struct arena *a);

#define ARENA_NEW(a, type) ((type *)arena_zalloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_array((a), sizeof(type), (n)))
