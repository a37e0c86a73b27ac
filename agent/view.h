/* view: what the provider's agent decides about views: who shares one, and what of a record each carries (DESIGN 6).
 *
 * Grants of the same resource version and item set share a view; its id stands in the grant's row.  A record is kept
 * whole when it is taken and cut down for each view when it is sealed, checked before and after (REGULATIONS 9.9).  Pure. */
#pragma once
#include "common/arena.h"
#include "common/bytes.h"
#include "proto/catalog.pb-c.h"
#include "proto/state.pb-c.h"
#include "proto/stream.pb-c.h"

/* Somebody who may be served: a grant that passed its checks, and the seal key of the agent that it names. */
struct view_member {
        struct digest grant;
        const Shuyi__V1__GrantRow *row;         /* borrowed */
        uint8_t seal_key[32];
};

/* Members of one view: `n` neighbours from `first` on. */
struct view_group { const struct view_member *first; size_t n; };

/* Sorts `m` by view, then grant, and finds the groups.  `ret` holds n; answers how many there are. */
size_t view_group(struct view_member *m, size_t n, struct view_group *ret);

/* Is the audience of the last epoch exactly this group?  `audience`: its grants, ascending. */
bool view_audience_is(const struct view_group *g, const ProtobufCBinaryData *audience, size_t n);

/* Are these the view's very items?  Both ascending. */
bool view_items_equal(const uint32_t *a, size_t a_n, const uint32_t *b, size_t b_n);

/* The rows of a VIEW_EPOCH for this group, without wrapped keys.  In `a`; NULL when full. */
Shuyi__V1__AudienceRow **view_rows(struct arena *a, const struct view_group *g);

/* Cuts a taken record down to `items` and checks it against the entry.  The packed record of the view in `a`; {0} and
 * at ret_why the code (of record_check, or "form", "memory") and at ret_item the item that breaks it. */
struct bytes view_cut(struct arena *a, const Shuyi__V1__Entry *entry, const uint32_t *items, size_t n,
                      struct bytes taken, int32_t today, const char **ret_why, uint32_t *ret_item);

/* A record as a business system names it: values by name_en. */
struct view_input {
        uint32_t op;
        uint64_t changed_at;                    /* UTC ms */
        const char *const *names;               /* name_en */
        const char *const *values;              /* NULL: null */
        size_t n;
};

/* Makes a whole record of the entry: values ascending by item, the key from the key items, identifiers normalised
 * (5.3: a lower-case x).  An UPSERT must carry every item that is not nullable, a DELETE at least the key.  NULL and at ret_why
 * "name" (unknown), "repeated", "key", "null", or a code of record_check; ret_item says which, 0 if none. */
Shuyi__V1__Record *view_record(struct arena *a, const Shuyi__V1__Entry *entry, const struct view_input *in,
                               uint64_t taken_at, int32_t today, const char **ret_why, uint32_t *ret_item);

/* Item numbers of an entry, ascending, in `a`. */
const uint32_t *view_all_items(struct arena *a, const Shuyi__V1__Entry *entry, size_t *ret_n);
const Shuyi__V1__Item *view_find_item(const Shuyi__V1__Entry *entry, uint32_t item);
