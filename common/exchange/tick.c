/* tick: firing, and what the sequencer asks beforehand. */
#include "common/exchange/tick.h"

#include "common/exchange/effects.h"
#include "common/exchange/machines.h"
#include "common/exchange/repetition.h"

#include <errno.h>

struct item { uint64_t due_end; uint8_t clock; uint8_t object[DIGEST_BYTES]; };

#define DUE_KEY_BYTES (1 + 8 + 1 + DIGEST_BYTES)

static bool item_of_due_key(struct bytes key, struct item *ret)
{
        if (key.n != DUE_KEY_BYTES)
                return false;
        ret->due_end = get_be64(key.p + 1);
        ret->clock = key.p[9];
        memcpy(ret->object, key.p + 10, DIGEST_BYTES);
        return true;
}

/* The clock ends, then its noun says what that means.  An earlier item may have stopped it: then nothing happens. */
static void fire(struct turn *t, const struct item *item)
{
        struct bytes object = arena_copy(t->arena, bytes_of(item->object, DIGEST_BYTES)), value;
        struct bytes due = TURN_KEY(t, TABLE_DUE, turn_u64(t, item->due_end), turn_u8(t, item->clock), object);
        const struct machine *m = machine_of_clock(item->clock);
        struct wall_time now = t->now;

        if (!turn_get(t, due, &value))
                return;
        if (!m || !m->expire) {
                t->fault = -EBADMSG;
                return;
        }
        turn_clock_stop(t, item->clock, object);
        t->now.ms = item->due_end;
        m->expire(t, item->clock, object);
        t->now = now;
}

/* ---- in front of an event ---- */

static bool first_due_of(struct turn *t, struct bytes object, struct item *ret)
{
        struct bytes prefix = TURN_KEY(t, TABLE_CLOCK, object), from = prefix, key, value;
        bool found = false;

        while (turn_next(t, prefix, from, &key, &value)) {
                Shuyi__V1__ClockRow *row = turn_get_row(t, key, &shuyi__v1__clock_row__descriptor);

                if (!row)
                        return false;
                if (row->due_end <= t->now.ms && (!found || row->due_end < ret->due_end)) {
                        *ret = (struct item){ .due_end = row->due_end, .clock = (uint8_t)row->clock };
                        memcpy(ret->object, object.p, DIGEST_BYTES);
                        found = true;
                }
                from = turn_after(t, key);
        }
        return found;
}

void turn_fire_due(struct turn *t, struct bytes object)
{
        char kept[sizeof(t->detail)];
        struct item item;

        if (object.n != DIGEST_BYTES)
                return;
        memcpy(kept, t->detail, sizeof(kept));
        for (unsigned i = 0; i < TICK_MAX && t->fault == 0 && first_due_of(t, object, &item); i++)
                fire(t, &item);
        memcpy(t->detail, kept, sizeof(kept));          /* due dates of fired rows are not the event's */
}

/* ---- a TICK ---- */

static unsigned collect_due(struct turn *t, struct item items[TICK_MAX])
{
        struct bytes prefix = TURN_KEY(t, TABLE_DUE, (struct bytes){ 0 }), from = prefix, key, value;
        unsigned n = 0;

        while (n < TICK_MAX && turn_next(t, prefix, from, &key, &value)) {
                if (!item_of_due_key(key, &items[n])) {
                        t->fault = -EBADMSG;
                        break;
                }
                if (items[n].due_end > t->now.ms)
                        break;
                n++;
                from = turn_after(t, key);
        }
        return n;
}

uint32_t tick_fire(struct turn *t)
{
        struct item items[TICK_MAX];
        unsigned n = collect_due(t, items);

        for (unsigned i = 0; i < n && t->fault == 0; i++)
                fire(t, &items[i]);
        t->detail[0] = 0;
        while (n < TICK_MAX && t->fault == 0 && repetition_forget_one(t))
                n++;
        return n;
}

/* ---- what the sequencer asks ---- */

/* Time of the first row >= `from` in a table whose keys begin with a time; UINT64_MAX if none.  Hands out the key's end. */
static int first_time(struct state state, enum table table, uint64_t *ret)
{
        uint8_t prefix = (uint8_t)table;
        struct bytes key, value;
        int r = state.ops->next(state.ctx, bytes_of(&prefix, 1), bytes_of(&prefix, 1), &key, &value);

        *ret = UINT64_MAX;
        if (r > 0 && key.n < 9)
                return -EBADMSG;
        if (r > 0)
                *ret = get_be64(key.p + 1);
        return r < 0 ? r : 0;
}

int exchange_next_due(struct state state, struct wall_time *ret)
{
        uint64_t due, expiry;
        int r = first_time(state, TABLE_DUE, &due);

        if (r == 0)
                r = first_time(state, TABLE_IDEM_EXPIRY, &expiry);
        if (r < 0)
                return r;
        ret->ms = due < expiry ? due : expiry;
        return 0;
}

int exchange_tick_due(struct state state, struct wall_time now, bool *ret)
{
        struct wall_time due;
        int r = exchange_next_due(state, &due);

        if (r < 0)
                return r;
        *ret = due.ms <= now.ms;
        return 0;
}

#define TIMED_KEY_MAX 128

/* How many rows, at most `room`, of a table whose keys begin with a time are due at `now`. */
static int count_due(struct state state, enum table table, struct wall_time now, uint32_t room, uint32_t *ret)
{
        uint8_t prefix = (uint8_t)table, from[TIMED_KEY_MAX] = { (uint8_t)table };
        size_t from_n = 1;
        uint32_t n = 0;

        while (n < room) {
                struct bytes key, value;
                int r = state.ops->next(state.ctx, bytes_of(&prefix, 1), bytes_of(from, from_n), &key, &value);

                if (r < 0)
                        return r;
                if (r == 0)
                        break;
                if (key.n < 9 || key.n + 1 > sizeof(from))
                        return -EBADMSG;
                if (get_be64(key.p + 1) > now.ms)
                        break;
                memcpy(from, key.p, key.n);
                from[key.n] = 0;
                from_n = key.n + 1;
                n++;
        }
        *ret = n;
        return 0;
}

int exchange_tick_body(struct state state, struct wall_time now, Shuyi__V1__TickBody *ret)
{
        uint32_t clocks = 0, ids = 0;
        int r = count_due(state, TABLE_DUE, now, TICK_MAX, &clocks);

        if (r == 0)
                r = count_due(state, TABLE_IDEM_EXPIRY, now, TICK_MAX - clocks, &ids);
        if (r < 0)
                return r;
        shuyi__v1__tick_body__init(ret);
        ret->fired = clocks + ids;
        return 0;
}
