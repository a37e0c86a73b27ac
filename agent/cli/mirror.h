/* mirror: an auditor's own copy of the log, derived again entry by entry (DESIGN 7, R-161).
 *
 * A directory holds a store: the entries without data bodies, the state that they give by the same rules as the center's, the
 * root of the tree at every size, and the search index.  What is taken is verified first: every signature against the
 * credentials that the log itself brought in, every tree head against the tree that the entries give, the published heads
 * against the root at their size, the anchor against the one that the auditor was handed.  All of a page is one durable
 * transaction, so a mirror that is killed goes on where it was.  One thread. */
#pragma once
#include "agent/cli/cli.h"
#include "common/audit_search.h"
#include "proto/identity.pb-c.h"

struct mirror;

struct mirror_options {
        const char *dir;                        /* made if absent, 0700 */
        struct bytes signed_anchor;             /* {0}: the one kept in the directory */
        bool read_only;                         /* to search; another process may be following */
        bool allow_volatile;
};

/* What does not hold; then every function answers -EBADMSG. */
struct mirror_wrong { uint64_t seq; char what[240]; };

struct mirror_counts { uint64_t entries, signatures, heads, left, gone; };      /* left, gone: before the image */

/* -EBUSY: another process follows; -ENOKEY: no anchor was ever given; -EKEYREJECTED: it is not the one that was; -EINVAL: not an anchor. */
int mirror_open(const struct mirror_options *o, struct mirror **ret);
void mirror_close(struct mirror *m);            /* NULL is fine */

const char *mirror_domain(const struct mirror *m);
const char *mirror_origin(const struct mirror *m);
uint64_t mirror_seq(const struct mirror *m);    /* the last entry held */
const struct mirror_wrong *mirror_wrong(const struct mirror *m);
const struct mirror_counts *mirror_counts(const struct mirror *m);      /* of this run */

/* A log that was purged gives nothing to derive a state from: an empty mirror then begins at a state image (BASE), which the anchor's log
 * key must have signed, and the leaves in it must give its tree.  What the log has left before it is taken next, as rows like others.
 * 0, -EEXIST: the mirror is not empty; -EBADMSG, or a fault: it stays empty. */
int mirror_begin_at(struct mirror *m, const char *path);
uint64_t mirror_image(const struct mirror *m);  /* its seq; 0: all was derived here */
uint64_t mirror_reached(const struct mirror *m);        /* rows of the log are taken up to here */

/* A page: begin, rows (packed LogRow) in their order, commit.  A row of the last entry held is compared with what is held.
 * 0, -EBADMSG: see mirror_wrong; -ENODATA: it was purged, and no image covers it; or a fault.  abort leaves the mirror as the last commit had it. */
int mirror_begin(struct mirror *m);
int mirror_take(struct mirror *m, struct bytes row);
int mirror_commit(struct mirror *m);
void mirror_abort(struct mirror *m);

/* The center says that its log ends at `as_of`. */
int mirror_check_end(struct mirror *m, uint64_t as_of);
/* A published head.  1: it is ahead of what is held, read on; 0: it holds, and is remembered. */
int mirror_check_published(struct mirror *m, const char *note);
uint64_t mirror_published(const struct mirror *m);      /* size of the last one that held */

/* Where the copy stands: root of its tree, digest of its state over all rows. */
struct mirror_standing { uint64_t epoch, seq, rows; struct digest root, state; };
int mirror_standing(struct mirror *m, struct mirror_standing *ret);

/* A page of a search of the whole copy: rows go to `add`.  See audit_search_page(). */
int mirror_search(struct mirror *m, const Shuyi__V1__AuditQuery *q, struct bytes after, struct arena *a, bool (*add)(void *ctx, struct bytes row), void *ctx,
                  bool *ret_more, uint8_t ret_next[AUDIT_CURSOR_BYTES]);
