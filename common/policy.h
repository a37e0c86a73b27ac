/* policy: one jurisdiction's figures and choices (REGULATIONS 11).
 *
 * Strict `key = value  # citation` files; the canonical form is `key = value` LF of every key in order, which is what
 * the log holds and the digest is over.  Keys, types and ranges stand in one table (policy_keys.h).  Pure;
 * immutable once parsed; any thread. */
#pragma once
#include "common/bytes.h"
#include "common/policy_keys.h"

#define POLICY_NONE UINT32_MAX                  /* `none` of a wd, int or date */

struct policy;

/* A file with comments, or the canonical form.  `name`: the file's name without .conf, which `profile` must equal; NULL
 * skips that check.  NULL and, at `ret_error` (may be NULL; 200 bytes), line, key and what is wrong. */
struct policy *policy_parse(struct bytes text, const char *name, char *ret_error);
void policy_free(struct policy *p);             /* NULL is fine */
struct bytes policy_canonical(const struct policy *p);          /* borrowed */
struct digest policy_digest(const struct policy *p);            /* CTX_POLICY over the canonical form */

/* Value of a key by its type.  The key's type is asserted. */
uint32_t policy_number(const struct policy *p, enum policy_key k);      /* wd and int; date: day number, MM-DD: month * 100 + day; POLICY_NONE */
bool policy_is(const struct policy *p, enum policy_key k, const char *word);    /* enum and bool: is it this word? */
bool policy_has(const struct policy *p, enum policy_key k, const char *word);   /* set: does it hold this word?  Any word may be asked */
const char *policy_text(const struct policy *p, enum policy_key k);     /* any key: the value as it stands */
const char *policy_key_name(enum policy_key k);
const char *policy_key_use(enum policy_key k);          /* for manuals: what it is for, or the section that uses it */
/* The citation beside the key in the shipped profile text; "" in the canonical form. */
const char *policy_citation(const struct policy *p, enum policy_key k);
