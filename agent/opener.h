/* opener: is a link what it says, and what is in it?  The consumer's half of REGULATIONS 9.9.
 *
 * The signature of the provider's agent against the replica, the grant and its use now, the own row of a VIEW_EPOCH under its root
 * and the key in it, the seal of an UPDATE, the root over its records, every record against the entry, and that nothing
 * came that was not granted.  What fails there is a breach: told to the provider by a NACK, never stored.  Reads only. */
#pragma once
#include "agent/agent.h"
#include "agent/keep.h"
#include "agent/rows.pb-c.h"
#include "common/envelope.h"
#include "proto/state.pb-c.h"

enum opening {
        OPENING_DONE,
        OPENING_LATER,                          /* trust is stale, or the replica does not know enough yet */
        OPENING_OVER,                           /* the grant has ended: nothing under it is opened any more */
        OPENING_BREACH,                         /* `code`, `count` records of it */
};

struct opened {
        enum opening result;
        enum refusal code;
        uint32_t count;                         /* records in it, or broken ones */
        const char *why;                        /* static text for the log; NULL where done */
        uint32_t kind;
        struct bytes records;                   /* packed OpenedRecords; {0} if the link carries none */
        Shuyi__V1__GrantRow *grant;
        uint32_t version;
        const struct claim *claim;              /* in the arena; NULL where the link was not even read */
};

/* Moves `c` on to what the link says (stream, view, epoch and key); the caller stores it.  0, or a fault. */
int opener_open(struct agent *ag, struct arena *a, const struct digest *grant, Shuyi__Agent__CursorRow *c, const Shuyi__Agent__PendingRow *link,
                struct wall_time now, struct opened *ret);

/* Associated data of a subscription's view key under the storage key. */
struct bytes opener_key_what(struct arena *a, const struct digest *grant, uint32_t view_epoch);
