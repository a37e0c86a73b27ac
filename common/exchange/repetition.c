/* repetition: lane rows, the window of settled numbers, idempotency rows. */
#include "common/exchange/repetition.h"

#include "common/exchange/effects.h"

#include <errno.h>

#define LANES 2
#define FORGET_AT_ONCE 2                        /* numbers leave gaps: two removed for one added catches up */

static bool has_lane(const struct turn *t)
{
        return t->entry->link != 0;
}

static Shuyi__V1__LaneRow lane_read(struct turn *t, uint8_t lane)
{
        Shuyi__V1__LaneRow *row = turn_get_row(t, TURN_KEY(t, TABLE_LANE, turn_u32(t, t->entry->link), turn_u8(t, lane)),
                                               &shuyi__v1__lane_row__descriptor);
        Shuyi__V1__LaneRow none = SHUYI__V1__LANE_ROW__INIT;

        return row ? *row : none;
}

/* The life of the outbox that the link is in: a higher one restarts both lanes. */
static uint64_t outbox_life(struct turn *t)
{
        uint64_t life = 0;

        for (uint8_t lane = 0; lane < LANES; lane++) {
                uint64_t epoch = lane_read(t, lane).outbox_epoch;

                life = epoch > life ? epoch : life;
        }
        return life;
}

static bool lane_moves(struct turn *t)
{
        Shuyi__V1__LaneRow row = lane_read(t, t->entry->lane);

        if (t->entry->outbox_seq == 0 || t->entry->outbox_epoch < outbox_life(t))
                return false;
        return t->entry->outbox_epoch > row.outbox_epoch || t->entry->outbox_seq > row.highest;
}

enum refusal repetition_check_lane(struct turn *t)
{
        return !has_lane(t) || lane_moves(t) ? ACCEPTED : turn_refuse(t, E_REPLAY, "lane");
}

/* ---- the window ---- */

static struct bytes settled_prefix(struct turn *t)
{
        return TURN_KEY(t, TABLE_LANE_SEQ, turn_u32(t, t->entry->link), turn_u8(t, t->entry->lane));
}

static void forget_settled(struct turn *t)
{
        struct bytes prefix = settled_prefix(t), key, value;

        for (unsigned i = 0; i < FORGET_AT_ONCE && turn_next(t, prefix, prefix, &key, &value); i++) {
                uint64_t epoch = get_be64(key.p + prefix.n), number = get_be64(key.p + prefix.n + 8);

                if (epoch == t->entry->outbox_epoch && number + LANE_WINDOW > t->entry->outbox_seq)
                        return;
                turn_remove(t, key);
        }
}

static void settle_lane(struct turn *t)
{
        Shuyi__V1__LaneRow row = SHUYI__V1__LANE_ROW__INIT;
        Shuyi__V1__NumberRow seq = SHUYI__V1__NUMBER_ROW__INIT;

        row.outbox_epoch = t->entry->outbox_epoch;
        row.highest = t->entry->outbox_seq;
        seq.n = t->entry->seq;
        turn_put_row(t, TURN_KEY(t, TABLE_LANE, turn_u32(t, t->entry->link), turn_u8(t, t->entry->lane)), &row.base);
        forget_settled(t);
        turn_put_row(t, TURN_KEY(t, TABLE_LANE_SEQ, turn_u32(t, t->entry->link), turn_u8(t, t->entry->lane),
                                 turn_u64(t, row.outbox_epoch), turn_u64(t, row.highest)), &seq.base);
}

/* ---- ids ---- */

static bool remembered(const struct signer *s)
{
        return s->capacity != ROLE_AGENT && s->capacity != ROLE_SYSTEM;
}

static struct bytes id_of(const struct turn *t)
{
        return bytes_of(t->intent->id.data, t->intent->id.len);
}

enum refusal repetition_check_id(struct turn *t)
{
        for (unsigned i = 0; i < t->claim->signers_n; i++) {
                const struct signer *s = &t->claim->signers[i];
                Shuyi__V1__NumberRow *row = NULL;

                if (remembered(s))
                        row = turn_get_row(t, TURN_KEY(t, TABLE_IDEM, bytes_digest(&s->credential), id_of(t)), &shuyi__v1__number_row__descriptor);
                if (row)
                        return turn_refuse(t, E_REPLAY, arena_printf(t->arena, "seq=%llu", (unsigned long long)row->n) ?: "");
        }
        return ACCEPTED;
}

static void settle_ids(struct turn *t)
{
        Shuyi__V1__NumberRow seq = SHUYI__V1__NUMBER_ROW__INIT;

        seq.n = t->entry->seq;
        for (unsigned i = 0; i < t->claim->signers_n; i++) {
                struct bytes credential = bytes_digest(&t->claim->signers[i].credential), key, value;

                if (!remembered(&t->claim->signers[i]))
                        continue;
                key = TURN_KEY(t, TABLE_IDEM, credential, id_of(t));
                if (turn_get(t, key, &value))
                        continue;               /* the first one counts, and expires with its own time */
                turn_put_row(t, key, &seq.base);
                turn_put(t, TURN_KEY(t, TABLE_IDEM_EXPIRY, turn_u64(t, t->intent->expires_at), credential, id_of(t)), (struct bytes){ 0 });
        }
}

void repetition_settle(struct turn *t, enum refusal code)
{
        if (has_lane(t) && (code == ACCEPTED || lane_moves(t)))
                settle_lane(t);
        if (code != E_CRED && t->intent->expires_at > t->now.ms && t->intent->expires_at <= t->now.ms + SKEW_MS + EXPIRY_MAX_MS)
                settle_ids(t);                  /* what is refused for its times will be refused for them again */
}

#define EXPIRY_PREFIX 9                         /* table, expires_at */

bool repetition_forget_one(struct turn *t)
{
        struct bytes prefix = TURN_KEY(t, TABLE_IDEM_EXPIRY, (struct bytes){ 0 }), key, value;

        if (!turn_next(t, prefix, prefix, &key, &value) || get_be64(key.p + 1) > t->now.ms)
                return false;
        turn_remove(t, TURN_KEY(t, TABLE_IDEM, bytes_of(key.p + EXPIRY_PREFIX, key.n - EXPIRY_PREFIX)));
        turn_remove(t, key);
        return true;
}

/* ---- without a turn ---- */

static size_t settled_key(uint32_t link, uint8_t lane, uint64_t outbox_epoch, uint64_t outbox_seq, uint8_t ret[22])
{
        ret[0] = TABLE_LANE_SEQ;
        put_be32(ret + 1, link);
        ret[5] = lane;
        put_be64(ret + 6, outbox_epoch);
        put_be64(ret + 14, outbox_seq);
        return 22;
}

int exchange_find_settled(struct state state, uint32_t link, uint8_t lane, uint64_t outbox_epoch, uint64_t outbox_seq, uint64_t *ret_seq)
{
        uint8_t key[22];
        struct bytes value;
        Shuyi__V1__NumberRow *row;
        int r = state.ops->get(state.ctx, bytes_of(key, settled_key(link, lane, outbox_epoch, outbox_seq, key)), &value);

        if (r <= 0)
                return r;
        row = shuyi__v1__number_row__unpack(NULL, value.n, value.p);
        if (!row)
                return -EBADMSG;
        *ret_seq = row->n;
        shuyi__v1__number_row__free_unpacked(row, NULL);
        return 1;
}
