/* secret: memory for keys, between guard pages, wiped when it is freed.
 *
 * Every secret costs some pages and two mappings, so it is for long-lived keys only, never one per message.
 * It has no formatter: nothing can log one.  sodium_init() comes first.  A secret belongs to one thread at a time;
 * many may read it while nobody writes. */
#pragma once
#include "common/bytes.h"

struct secret;

struct secret *secret_new(size_t n);            /* n > 0 bytes of zeros; NULL if there is no memory */
struct secret *secret_copy(struct bytes b);     /* the caller wipes its own copy */
void secret_free(struct secret *s);             /* NULL is fine */
void secret_freep(struct secret **s);           /* for _cleanup_ */

uint8_t *secret_bytes(struct secret *s);        /* valid until secret_free */
const uint8_t *secret_peek(const struct secret *s);
size_t secret_size(const struct secret *s);
bool secret_equal(const struct secret *a, const struct secret *b);      /* constant time in the content */

/* libsodium does not say when locking pages fails: tried once, at start.  0, or -ENOMEM or -EPERM when this process
 * may not lock memory (RLIMIT_MEMLOCK): secrets could then be swapped out, and the log should say so. */
int secret_check_mlock(void);
