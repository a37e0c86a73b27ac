/* mirror_internal: what mirror.c and mirror_image.c share. */
#pragma once
#include "agent/cli/mirror.h"
#include "common/fold.h"
#include "common/keydir.h"

enum { DB_ENTRIES = STORE_FOLD_END, DB_ROOTS, DB_SEARCH };

struct mirror {
        struct store *store;
        struct fold fold;
        struct keydir *directory;               /* of the state so far */
        struct arena *lasting, *arena;          /* of the mirror; of one entry */
        struct bytes anchor_bytes;              /* the Anchor's, inside its signatures */
        const Shuyi__V1__Anchor *anchor;
        const char *origin;
        uint64_t published;
        uint64_t image, filled;                 /* the state image that it began at, 0: none; what is left before it is held up to there */
        bool anchor_seen;
        struct mirror_wrong wrong;
        struct mirror_counts counts;
};

/* In STORE_META. */
static const struct bytes mirror_anchor_key = { (const uint8_t *)"anchor", 6 }, mirror_published_key = { (const uint8_t *)"published", 9 },
                          mirror_image_key = { (const uint8_t *)"image", 5 };

/* Notes what does not hold; answers -EBADMSG. */
__attribute__((format(printf, 3, 4)))
int mirror_bad(struct mirror *m, uint64_t seq, const char *format, ...);

/* ---- mirror_image.c ---- */
int mirror_image_read(struct mirror *m, struct store_snapshot *p);      /* image and filled */
int mirror_image_put(struct mirror *m, struct store *s);
/* The next entry before the image, as it is left: its leaf is the one that the image's tree has.  `head`: "" if none. */
int mirror_fill(struct mirror *m, struct bytes payload, const struct segment_entry *e, const char *head);
/* A tombstone of an entry that is held or in the image. */
int mirror_compare_leaf(struct mirror *m, const struct segment_entry *e);
