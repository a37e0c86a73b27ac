/* link_out: what leaves once the turn is durable: frames of the outbox, link acks, wake-ups.  See link.h. */
#include <errno.h>

#include "agent/link_internal.h"
#include "agent/outbox.h"
#include "common/log.h"
#include "common/macro.h"

static int send_one(struct link *l, struct store_snapshot *snapshot, uint32_t lane, uint64_t number)
{
        Shuyi__V1__Put put = SHUYI__V1__PUT__INIT;
        Shuyi__Agent__SealedRow *row;
        int r;

        arena_reset(l->item);
        r = outbox_find(store_snapshot_state(snapshot), l->item, lane, number, &row);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        if (!session_client_put(&l->session, lane, number, (uint32_t)row->envelope.len, l->mono))
                return 0;
        put.lane = lane;
        put.outbox_epoch = l->session.outbox_epoch;
        put.outbox_seq = number;
        put.envelope = row->envelope;
        r = link_send(l, FRAME_PUT, &put.base);
        arena_reset(l->frames);
        if (r == 0)
                metrics_inc(l->ag->block, M_SENT, 0);
        return r < 0 ? r : 1;
}

static void send_frames(struct link *l)
{
        _cleanup_(store_snapshot_closep) struct store_snapshot *snapshot = NULL;
        uint64_t number;

        for (uint32_t lane = 0; lane < SESSION_LANES; lane++)
                while (session_client_next(&l->session, lane, l->mono, &number)) {
                        int r = snapshot ? 0 : store_snapshot_open(l->ag->store, &snapshot);

                        if (r == 0)
                                r = send_one(l, snapshot, lane, number);
                        if (r < 0)
                                log_event(LOG_ERR, "link.send", log_u64("lane", lane), log_u64("outbox_seq", number), log_errno("fault", r));
                        if (r <= 0)
                                break;
                }
}

static int extend_lanes(struct link *l)
{
        _cleanup_(store_snapshot_closep) struct store_snapshot *snapshot = NULL;
        Shuyi__Agent__OutboxRow *box;
        int r = store_snapshot_open(l->ag->store, &snapshot);

        arena_reset(l->item);
        if (r == 0)
                r = outbox_get(store_snapshot_state(snapshot), l->item, &box);
        if (r < 0)
                return r;
        for (uint32_t lane = 0; lane < SESSION_LANES; lane++)
                session_client_extend(&l->session, lane, outbox_next(box, lane));
        metrics_set(l->ag->metrics, M_TAKEN, 0, box->taken_records);
        metrics_set(l->ag->metrics, M_TAKEN_BYTES, 0, box->taken_bytes);
        return 0;
}

void link_release(struct link *l, bool committed)
{
        Shuyi__V1__ParcelAck ack = SHUYI__V1__PARCEL_ACK__INIT;

        for (unsigned i = 0; i < l->settled_n; i++)
                session_client_settle(&l->session, l->settled[i].lane, l->settled[i].number);
        if (!committed || extend_lanes(l) == 0)
                send_frames(l);
        if (l->parcel_kept && session_client_ack(&l->session, l->parcel_kept)) {
                ack.number = l->parcel_kept;
                link_send(l, FRAME_PARCEL_ACK, &ack.base);
        }
        if (l->opened)
                queue_try_push(l->ag->opened, l);
}
