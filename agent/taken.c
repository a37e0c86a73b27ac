/* taken: see taken.h. */
#include "agent/taken.h"

#include <errno.h>

#include "agent/outbox.h"
#include "agent/view.h"
#include "common/envelope.h"
#include "common/log.h"

static bool make_room(struct arena *a, struct taken_waiting *w)
{
        size_t more = w->room ? 2 * w->room : 16;
        Shuyi__Agent__TakenRow **grown;

        if (w->batch.records < w->room)
                return true;
        grown = ARENA_ARRAY(a, Shuyi__Agent__TakenRow *, more);
        if (!grown)
                return false;
        if (w->room)
                memcpy(grown, w->rows, w->room * sizeof(*grown));
        w->rows = grown;
        w->room = more;
        return true;
}

int taken_look(struct agent *ag, struct arena *a, const Shuyi__Agent__ViewRow *v, struct taken_waiting *ret)
{
        struct agent_key prefix = agent_key_u32(agent_key(AGENT_TAKEN), v->number), from = outbox_taken_key(v->number, v->sealed_to + 1);
        Shuyi__Agent__TakenRow *row;
        struct bytes key, value;
        int r;

        *ret = (struct taken_waiting){ .last = v->sealed_to };
        while ((r = keep_next(store_state(ag->store), &prefix, &from, &key, &value)) > 0) {
                r = keep_decode(a, value, &shuyi__agent__taken_row__descriptor, &row);
                if (r < 0)
                        return r;
                if (!make_room(a, ret))
                        return -ENOMEM;
                if (flow_batch_full(&ret->batch) || !flow_batch_add(&ret->batch, row->record_bytes)) {
                        ret->more = true;
                        return 0;
                }
                ret->rows[ret->batch.records - 1] = row;
                ret->last = get_be64(key.p + prefix.n);
                from = keep_after(key);
        }
        return r;
}

/* One taken record as this view sees it; {0}: it breaks the entry and is left out. */
static int cut_one(struct agent *ag, struct arena *a, const Shuyi__V1__Entry *entry, const Shuyi__Agent__ViewRow *v, const Shuyi__Agent__TakenRow *row,
                   int32_t today, struct bytes *ret, uint64_t *ret_changed_at)
{
        struct bytes plain;
        const char *why = NULL;
        uint32_t item = 0;
        Shuyi__V1__Record *r;
        struct id push;

        *ret = (struct bytes){ 0 };
        if (!bytes_copy_exact(keep_bytes(row->push), push.b, ID_BYTES))
                return -EBADMSG;
        if (!vault_unseal(ag->vault, a, outbox_taken_what(a, &push, row->index), keep_bytes(row->record), &plain))
                return arena_failed(a) ? -ENOMEM : -EBADMSG;
        *ret = view_cut(a, entry, v->items, v->n_items, plain, today, &why, &item);
        if (!ret->p) {
                log_event(LOG_ERR, "sealer.record_left_out", log_id("push", &push), log_u64("index", row->index), log_str("why", why), log_u64("item", item));
                return arena_failed(a) ? -ENOMEM : 0;
        }
        r = message_parse(a, &shuyi__v1__record__descriptor, *ret);
        *ret_changed_at = r ? r->changed_at : 0;
        return 0;
}

int taken_gather(struct agent *ag, struct arena *a, const Shuyi__V1__Entry *entry, const Shuyi__Agent__ViewRow *v, const struct taken_waiting *waiting,
                 struct wall_time now, struct bytes *records, size_t *ret_n, uint64_t *ret_oldest)
{
        int32_t today = times_shanghai_day(now);

        *ret_oldest = UINT64_MAX;
        for (uint32_t i = 0; i < waiting->batch.records; i++) {
                uint64_t changed_at = 0;
                int r = cut_one(ag, a, entry, v, waiting->rows[i], today, &records[*ret_n], &changed_at);

                if (r < 0)
                        return r;
                if (!records[*ret_n].p)
                        continue;
                (*ret_n)++;
                if (changed_at < *ret_oldest)
                        *ret_oldest = changed_at;
        }
        return 0;
}
