/* lookup: proofs that an object stands in the trust map, or does not (DESIGN 3, 7; PROTOCOL.md 17.1).
 *
 * A proof tells on which side each sibling stands instead of index and size, since a bucket's size is under no root: so
 * every bit of it is bound.  Checking is for untrusted input; any bytes are safe.  Pure; a map belongs to one thread. */
#pragma once
#include "common/arena.h"
#include "common/bytes.h"
#include "proto/bundle.pb-c.h"

struct lookup_object { struct digest object; uint32_t status; uint64_t since_seq; };

/* ---- the map as of one head, on the heap ---- */

struct lookup_map;

struct lookup_map *lookup_map_new(void);        /* NULL: no memory */
void lookup_map_free(struct lookup_map *m);     /* NULL is fine */
void lookup_map_clear(struct lookup_map *m);
/* The object's status from now on.  0 or -ENOMEM. */
int lookup_map_put(struct lookup_map *m, const struct lookup_object *o);
bool lookup_map_find(const struct lookup_map *m, const struct digest *object, struct lookup_object *ret);
struct digest lookup_map_root(struct lookup_map *m);

/* The object's leaf with its paths, in `a`; NULL: it is not there, or no room (then arena_failed). */
Shuyi__V1__MapLeaf *lookup_prove(struct lookup_map *m, struct arena *a, const struct digest *object);
/* Leaf, neighbours or empty bucket: fills the rest of `ret`, whose trust_seq is the caller's.  0 or -ENOMEM. */
int lookup_answer(struct lookup_map *m, struct arena *a, const struct digest *object, Shuyi__V1__LookupRow *ret);

/* ---- checking ---- */

/* Does the leaf lead to the map's root? */
bool lookup_check(const Shuyi__V1__MapLeaf *leaf, const struct digest *map_root);

enum lookup_verdict { LOOKUP_WRONG, LOOKUP_PRESENT, LOOKUP_ABSENT };
/* What the row proves about the object under `map_root`; the row's own trust_seq and map_root are not asked. */
enum lookup_verdict lookup_check_row(const struct digest *object, const Shuyi__V1__LookupRow *row, const struct digest *map_root);
