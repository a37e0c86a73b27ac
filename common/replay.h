/* replay: applies what the log holds to a state, checking on the way all that can be checked.
 *
 * Recovery (the tail above the state), --replay and the log check (all of it, into a scratch store) are this one walk.
 * Each HEAD must sign the very tree that the entries give; where asked each signature is verified, and each outcome
 * compared with what another store recorded.  One thread. */
#pragma once
#include "common/fold.h"

struct replay {
        struct fold *fold;
        struct segment_log *segments;
        const char *origin;
        const uint8_t *log_key;                 /* 32 bytes; NULL: as the anchor in force says */
        bool signatures;                        /* verify them, too */
        bool bare;                              /* a log kept without the bodies of UPDATEs */
        bool index;                             /* write where each entry lies */
        struct store_snapshot *against;         /* recorded outcomes to compare with; may be NULL */
        /* what came of it */
        uint64_t entries, heads, signed_n, compared, bytes, bare_n;      /* bytes: of envelopes; bare_n: purged of their body */
        uint64_t bad_seq;                       /* with -EBADMSG: the entry, and */
        char reason[160];                       /* what is wrong with it */
};

/* From behind the fold's seq to the end of the log.  Leaves the store's transaction open.  0, -EBADMSG with reason, or a fault. */
int replay_run(struct replay *r);
