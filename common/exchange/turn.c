/* turn: rows through the overlay of effects, and what an entry does besides: trust records, notices, clocks, facts. */
#include "common/exchange/turn.h"

#include "common/digest.h"
#include "common/exchange/effects.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

static void fault(struct turn *t, int r)
{
        if (t->fault == 0)
                t->fault = r;
}

static uint8_t *take(struct turn *t, size_t n)
{
        uint8_t *p = arena_alloc(t->arena, n);

        if (!p)
                fault(t, -ENOMEM);
        return p;
}

/* ---- keys ---- */

struct bytes turn_key(struct turn *t, enum table table, const struct bytes *parts, size_t n)
{
        size_t length = 1, at = 1;
        uint8_t *p;

        for (size_t i = 0; i < n; i++)
                length += parts[i].n;
        p = take(t, length);
        if (!p)
                return (struct bytes){ 0 };
        p[0] = (uint8_t)table;
        for (size_t i = 0; i < n; i++) {
                if (parts[i].n)
                        memcpy(p + at, parts[i].p, parts[i].n);
                at += parts[i].n;
        }
        return bytes_of(p, length);
}

struct bytes turn_u64(struct turn *t, uint64_t v)
{
        uint8_t *p = take(t, 8);

        if (!p)
                return (struct bytes){ 0 };
        put_be64(p, v);
        return bytes_of(p, 8);
}

struct bytes turn_u32(struct turn *t, uint32_t v)
{
        uint8_t *p = take(t, 4);

        if (!p)
                return (struct bytes){ 0 };
        put_be32(p, v);
        return bytes_of(p, 4);
}

struct bytes turn_u8(struct turn *t, uint8_t v)
{
        uint8_t *p = take(t, 1);

        if (!p)
                return (struct bytes){ 0 };
        *p = v;
        return bytes_of(p, 1);
}

struct bytes turn_after(struct turn *t, struct bytes key)
{
        uint8_t *p = take(t, key.n + 1);

        if (!p)
                return (struct bytes){ 0 };
        if (key.n)
                memcpy(p, key.p, key.n);
        p[key.n] = 0;
        return bytes_of(p, key.n + 1);
}

/* ---- reading ---- */

bool turn_get(struct turn *t, struct bytes key, struct bytes *ret)
{
        const struct effect *own;
        int r;

        if (t->fault < 0 || key.n > ROW_KEY_MAX)
                return false;
        own = effects_find(t->effects, key);
        if (own) {
                if (!own->remove)
                        *ret = own->value;
                return !own->remove;
        }
        r = t->state.ops->get(t->state.ctx, key, ret);
        if (r < 0)
                fault(t, r);
        return r > 0;
}

void *turn_get_row(struct turn *t, struct bytes key, const ProtobufCMessageDescriptor *d)
{
        struct bytes value;
        void *row;

        if (!turn_get(t, key, &value))
                return NULL;
        row = protobuf_c_message_unpack(d, arena_allocator(t->arena), value.n, value.p);
        if (!row)
                fault(t, arena_failed(t->arena) ? -ENOMEM : -EBADMSG);
        return row;
}

/* The first own effect at or after `from` within `prefix`, removed or not. */
static const struct effect *next_own(const struct turn *t, struct bytes prefix, struct bytes from)
{
        size_t i = effects_lower_bound(t->effects, from);
        const struct effect *e = i < t->effects->n ? effects_sorted(t->effects, i) : NULL;

        return e && bytes_has_prefix(e->key, prefix) ? e : NULL;
}

bool turn_next(struct turn *t, struct bytes prefix, struct bytes from, struct bytes *ret_key, struct bytes *ret_value)
{
        if (bytes_compare(from, prefix) < 0)
                from = prefix;
        while (t->fault == 0) {
                const struct effect *own = next_own(t, prefix, from);
                struct bytes key, value;
                int r = t->state.ops->next(t->state.ctx, prefix, from, &key, &value);

                if (r < 0) {
                        fault(t, r);
                        break;
                }
                if (!own && r == 0)
                        break;
                if (!own || (r > 0 && bytes_compare(key, own->key) < 0)) {
                        *ret_key = key;
                        *ret_value = value;
                        return true;
                }
                if (!own->remove) {
                        *ret_key = own->key;
                        *ret_value = own->value;
                        return true;
                }
                from = turn_after(t, own->key);
        }
        return false;
}

/* ---- writing ---- */

void turn_put(struct turn *t, struct bytes key, struct bytes value)
{
        if (t->fault == 0 && !effects_put(t->effects, key, value))
                fault(t, -ENOMEM);
}

void turn_put_row(struct turn *t, struct bytes key, const ProtobufCMessage *row)
{
        size_t n = protobuf_c_message_get_packed_size(row);
        uint8_t *p = take(t, n ? n : 1);

        if (!p)
                return;
        protobuf_c_message_pack(row, p);
        turn_put(t, key, bytes_of(p, n));
}

void turn_remove(struct turn *t, struct bytes key)
{
        if (t->fault == 0 && !effects_remove(t->effects, key))
                fault(t, -ENOMEM);
}

void turn_wake(struct turn *t, enum wake_kind kind, struct bytes key)
{
        if (t->fault == 0 && !effects_wake(t->effects, kind, key))
                fault(t, -ENOMEM);
}

/* ---- trust records ---- */

struct digest turn_trust_object(enum trust_kind kind, struct bytes object)
{
        struct digest d;
        uint8_t k = (uint8_t)kind;

        if (bytes_copy_exact(object, d.b, DIGEST_BYTES))
                return d;
        return DIGEST_OF(CTX_TRUST_MAP, bytes_of(&k, 1), object);
}

static ProtobufCBinaryData binary(struct bytes b)
{
        return (ProtobufCBinaryData){ b.n, (uint8_t *)b.p };
}

static void trust_chain(struct turn *t, struct bytes record)
{
        struct bytes old = bytes_of(t->meta->trust_chain.data, t->meta->trust_chain.len);
        struct digest chain = DIGEST_OF(CTX_TRUST_CHAIN, old, record);
        struct bytes kept = arena_copy(t->arena, bytes_digest(&chain));

        if (!kept.p)
                fault(t, -ENOMEM);
        t->meta->trust_chain = binary(kept);
}

static void trust_dirty(struct turn *t, uint8_t bucket)
{
        uint8_t *bits = take(t, 32);

        if (!bits)
                return;
        memset(bits, 0, 32);
        if (t->meta->dirty_buckets.len == 32)
                memcpy(bits, t->meta->dirty_buckets.data, 32);
        bits[bucket / 8] |= (uint8_t)(1u << (bucket % 8));
        t->meta->dirty_buckets = (ProtobufCBinaryData){ 32, bits };
}

void turn_put_trust(struct turn *t, const Shuyi__V1__TrustRecord *record)
{
        Shuyi__V1__TrustMapRow row = SHUYI__V1__TRUST_MAP_ROW__INIT;
        struct bytes key = TURN_KEY(t, TABLE_TRUST, turn_u64(t, record->trust_seq)), packed;

        t->meta->trust_seq = record->trust_seq;
        turn_put_row(t, key, &record->base);
        if (turn_get(t, key, &packed))
                trust_chain(t, packed);

        row.status = record->status;
        row.since_seq = record->seq;
        turn_put_row(t, TURN_KEY(t, TABLE_TRUST_MAP, bytes_of(record->object.data, record->object.len)), &row.base);
        trust_dirty(t, record->object.data[0]);
        t->effects->trust_moved = true;
        turn_wake(t, WAKE_TRUST, (struct bytes){ 0 });
}

void turn_trust(struct turn *t, enum trust_kind kind, struct bytes object, enum trust_status status)
{
        Shuyi__V1__TrustRecord record = SHUYI__V1__TRUST_RECORD__INIT;
        struct digest id = turn_trust_object(kind, object);

        if (t->fault < 0)
                return;
        record.trust_seq = t->meta->trust_seq + 1;
        record.seq = t->entry->seq;
        record.kind = kind;
        record.object = binary(bytes_digest(&id));
        record.status = status;
        record.header_digest = binary(bytes_digest(&t->claim->header_digest));
        turn_put_trust(t, &record);
}

/* ---- notices ---- */

void turn_notice(struct turn *t, const char *department, enum notice notice)
{
        struct bytes code = bytes_str(department), head_key = TURN_KEY(t, TABLE_FEED_HEAD, code);
        Shuyi__V1__NumberRow *head = turn_get_row(t, head_key, &shuyi__v1__number_row__descriptor);
        Shuyi__V1__NumberRow next = SHUYI__V1__NUMBER_ROW__INIT;
        Shuyi__V1__FeedRow row = SHUYI__V1__FEED_ROW__INIT;

        next.n = head ? head->n + 1 : 1;
        row.seq = t->entry->seq;
        row.notice = notice;
        turn_put_row(t, head_key, &next.base);
        turn_put_row(t, TURN_KEY(t, TABLE_FEED, code, turn_u64(t, next.n)), &row.base);
        turn_wake(t, WAKE_FEED, code);
}

/* ---- clocks ---- */

static struct bytes clock_key(struct turn *t, enum clock clock, struct bytes object)
{
        return TURN_KEY(t, TABLE_CLOCK, object, turn_u8(t, (uint8_t)clock));
}

static struct bytes due_key(struct turn *t, enum clock clock, struct bytes object, uint64_t due_end)
{
        return TURN_KEY(t, TABLE_DUE, turn_u64(t, due_end), turn_u8(t, (uint8_t)clock), object);
}

static void clock_put(struct turn *t, struct bytes object, Shuyi__V1__ClockRow *row)
{
        Shuyi__V1__DueRow due = SHUYI__V1__DUE_ROW__INIT;

        turn_clock_stop(t, row->clock, object);
        row->started_seq = t->entry->seq;
        row->policy_digest = binary(bytes_digest(&t->policy_digest));
        due.clock = row->clock;
        due.object = binary(object);
        turn_put_row(t, clock_key(t, row->clock, object), &row->base);
        turn_put_row(t, due_key(t, row->clock, object, row->due_end), &due.base);
}

/* The receipt names the due date: what an actor must know besides "received". */
static void tell_due(struct turn *t, day_number due_date, bool provisional)
{
        char date[11], text[40];

        times_format_date(due_date, date);
        snprintf(text, sizeof(text), "due=%s%s", date, provisional ? ",PROVISIONAL" : "");
        turn_detail(t, text);
}

void turn_clock_start(struct turn *t, enum clock clock, struct bytes object, struct wall_time base, uint32_t working_days)
{
        Shuyi__V1__ClockRow row = SHUYI__V1__CLOCK_ROW__INIT;
        day_number base_day = times_shanghai_day(base), due_date;

        if (working_days == POLICY_NONE || working_days == 0)
                return;
        if (!t->calendar) {
                fault(t, -EBADMSG);     /* kinds that start clocks are E_NO_POLICY before there is a calendar */
                return;
        }
        due_date = calendar_add_workdays(t->calendar, base_day, working_days);
        row.clock = clock;
        row.base_day = (uint64_t)base_day;
        row.working_days = working_days;
        row.due_end = calendar_due_end(t->calendar, base_day, working_days).ms;
        row.provisional = !calendar_covers(t->calendar, due_date);
        clock_put(t, object, &row);
        tell_due(t, due_date, row.provisional);
}

void turn_clock_start_at(struct turn *t, enum clock clock, struct bytes object, struct wall_time due_end)
{
        Shuyi__V1__ClockRow row = SHUYI__V1__CLOCK_ROW__INIT;

        row.clock = clock;
        row.base_day = (uint64_t)times_shanghai_day(t->now);
        row.due_end = due_end.ms;
        clock_put(t, object, &row);
}

void turn_clock_stop(struct turn *t, enum clock clock, struct bytes object)
{
        struct bytes key = clock_key(t, clock, object);
        Shuyi__V1__ClockRow *row = turn_get_row(t, key, &shuyi__v1__clock_row__descriptor);

        if (!row)
                return;
        turn_remove(t, key);
        turn_remove(t, due_key(t, clock, object, row->due_end));
}

void turn_fact(struct turn *t, enum clock clock, struct bytes object, const char *department, const char *violation)
{
        Shuyi__V1__FactRow row = SHUYI__V1__FACT_ROW__INIT;

        row.clock = clock;
        row.object = binary(object);
        row.due_end = t->now.ms;
        row.recorded_seq = t->entry->seq;
        row.violation = (char *)violation;
        row.department = (char *)department;
        turn_put_row(t, TURN_KEY(t, TABLE_FACT, turn_u64(t, ++t->meta->fact_count)), &row.base);
}

/* ---- details ---- */

void turn_detail(struct turn *t, const char *detail)
{
        size_t used = strlen(t->detail);

        if (!*detail || used + strlen(detail) + 2 > sizeof(t->detail))
                return;
        snprintf(t->detail + used, sizeof(t->detail) - used, "%s%s", used ? "," : "", detail);
}

enum refusal turn_refuse(struct turn *t, enum refusal code, const char *detail)
{
        t->detail[0] = 0;
        turn_detail(t, detail);
        return code;
}
