/* audit: an acquisition as ZS 32 wants it recorded, put together from what the log holds (DESIGN 5, REGULATIONS 9.1).
 *
 * Nothing is recorded twice: the seven facts of one UPDATE taken by one consumer stand in the UPDATE's header, the
 * consumer's row of its VIEW_EPOCH and that consumer's DELIVERY_RECEIPT.  Here they are laid side by side.  Pure. */
#pragma once
#include "common/arena.h"
#include "common/envelope.h"
#include "common/times.h"
#include "proto/audit.pb-c.h"
#include "proto/state.pb-c.h"
#include "proto/stream.pb-c.h"

struct audit_sources {
        struct bytes grant_id;
        const Shuyi__V1__GrantRow *grant;
        struct wall_time requested_at;
        const struct claim *update;             /* kind UPDATE */
        uint64_t update_seq;
        struct wall_time update_at;
        const Shuyi__V1__AudienceRow *row;      /* the consumer's, of the VIEW_EPOCH that the UPDATE names */
        uint64_t epoch_seq;
        const Shuyi__V1__DeliveryReceiptBody *receipt;
        uint64_t receipt_seq;
};

/* Fills `ret` with pointers into the sources; false if the UPDATE lies outside the receipt's range. */
bool audit_expand(const struct audit_sources *s, Shuyi__V1__AcquisitionRow *ret);
/* When `stream_seq` was acquired: the receipt's first time and the deltas up to it. */
struct wall_time audit_acquired_at(const Shuyi__V1__DeliveryReceiptBody *receipt, uint64_t stream_seq);
/* Does the row answer the query? */
bool audit_matches(const Shuyi__V1__AuditQuery *q, const Shuyi__V1__AcquisitionRow *row);
