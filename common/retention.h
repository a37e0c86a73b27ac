/* retention: takes out of the log's files what a PURGE says is no longer owed (REGULATIONS 9.2, DESIGN 2).
 *
 * What goes is a function of the state: the marks of the PURGE entries, who still waits for a link, what the trust chain
 * stands on.  Bodies are those of UPDATEs.  Inputs are transfer and event records, and acts that were refused: UPDATE, NO_CHANGE,
 * STREAM_HEAD, SUBSCRIBE, DELIVERY_RECEIPT, what the broker says of its own work, applications that opened no grant.  The acts of
 * the registry, the catalog and of grants stay, since new agents learn from them, and what is proved later stands on them; so do
 * VIEW_EPOCHs and TRUST_HEADs, by which it is proved that they were in force (some 500 bytes each, a day's at most 720 KB).
 *
 * A body that a live subscription has not got yet stays, and so does its input; the file is looked at again by the next
 * PURGE, and after a start.  Whatever goes leaves its leaf hash.  One thread; crash-safe as segment_rewrite is. */
#pragma once
#include <stdatomic.h>
#include "common/base.h"

struct retention_marks { uint64_t bodies_to, inputs_to, base_seq; struct digest base_digest; };        /* base: of the last INPUTS */
/* What has been purged by the state, in all; zeros if nothing.  0 or a fault. */
int retention_marks_read(struct state state, struct retention_marks *ret);

struct retention {
        struct store *store;
        struct segment_log *segments;
        const char *base_dir, *origin, *domain;
        const uint8_t *log_key;                 /* 32 */
        const _Atomic bool *stop;               /* may be NULL */
        struct retention_marks tried;           /* an earlier run did all under these marks, */
        uint64_t tried_to;                      /* up to this file: by the same marks those are not due again; 0: none */
        /* what came of it */
        struct retention_marks used;            /* no inputs where no BASE covers them */
        uint64_t files, bodies, inputs;         /* rewritten, taken out */
        uint64_t owed;                          /* bodies that stay for a reader */
        uint64_t bytes_before, bytes_after;
        char reason[160];                       /* why inputs wait; "" if they do not */
};

/* Does all that is due now.  0, -ECANCELED, or the fault that stopped it: the rest is due again. */
int retention_run(struct retention *r);
