/* bytemap: a hash table from short byte strings to pointers.  Keys are copied, values are the caller's.  One thread. */
#pragma once
#include "common/bytes.h"

struct bytemap;

struct bytemap *bytemap_new(void);
void bytemap_free(struct bytemap *m, void (*free_value)(void *));       /* free_value may be NULL */
void *bytemap_get(const struct bytemap *m, struct bytes key);           /* NULL: none */
int bytemap_put(struct bytemap *m, struct bytes key, void *value);      /* in place of an older one; -ENOMEM */
void *bytemap_remove(struct bytemap *m, struct bytes key);              /* what was there */
size_t bytemap_size(const struct bytemap *m);
void bytemap_each(const struct bytemap *m, void (*each)(struct bytes key, void *value, void *arg), void *arg);
