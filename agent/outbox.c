/* outbox: see outbox.h. */
#include "agent/outbox.h"

#include <errno.h>

#include "common/log.h"

#define RELEASE_MAX 2048
#define FORGET_MAX 256

int outbox_get(struct state s, struct arena *a, Shuyi__Agent__OutboxRow **ret)
{
        struct agent_key k = agent_key(AGENT_OUTBOX);
        int r = keep_get(s, a, &k, &shuyi__agent__outbox_row__descriptor, ret);

        if (r != 0)
                return r < 0 ? r : 0;
        *ret = ARENA_NEW(a, Shuyi__Agent__OutboxRow);
        if (!*ret)
                return -ENOMEM;
        shuyi__agent__outbox_row__init(*ret);
        (*ret)->next_act = (*ret)->first_act = 1;
        (*ret)->next_link = (*ret)->first_link = 1;
        (*ret)->next_take = 1;
        (*ret)->next_resource = 1;
        return 0;
}

int outbox_begin(struct agent *ag, struct arena *a, struct wall_time now)
{
        Shuyi__Agent__OutboxRow *box;
        int r = outbox_get(store_state(ag->store), a, &box);

        if (r < 0 || box->epoch)
                return r;
        box->epoch = now.ms / 1000;
        return outbox_put(ag->store, a, box);
}

int outbox_put(struct store *s, struct arena *a, const Shuyi__Agent__OutboxRow *row)
{
        struct agent_key k = agent_key(AGENT_OUTBOX);

        return keep_put(s, a, &k, &row->base);
}

uint64_t outbox_next(const Shuyi__Agent__OutboxRow *row, uint32_t lane)
{
        return lane ? row->next_link : row->next_act;
}

uint64_t outbox_first(const Shuyi__Agent__OutboxRow *row, uint32_t lane)
{
        return lane ? row->first_link : row->first_act;
}

/* ---- taken ---- */

struct bytes outbox_taken_what(struct arena *a, const struct id *push, uint32_t index)
{
        uint8_t *p = arena_alloc(a, ID_BYTES + 4);

        if (!p)
                return (struct bytes){ 0 };
        memcpy(p, push->b, ID_BYTES);
        put_be32(p + ID_BYTES, index);
        return bytes_of(p, ID_BYTES + 4);
}

struct agent_key outbox_taken_key(uint32_t resource, uint64_t take)
{
        return agent_key_u64(agent_key_u32(agent_key(AGENT_TAKEN), resource), take);
}

int outbox_resource(struct state s, const char *code, uint32_t *ret)
{
        struct agent_key k = agent_key_bytes(agent_key(AGENT_RESOURCE), bytes_str(code));
        struct bytes value;
        int r = s.ops->get(s.ctx, agent_key_get(&k), &value);

        if (r > 0 && value.n != 4)
                return -EBADMSG;
        if (r > 0)
                *ret = get_be32(value.p);
        return r;
}

static int resource_make(struct store *s, const char *code, Shuyi__Agent__OutboxRow *box, uint32_t *ret)
{
        struct agent_key k = agent_key_bytes(agent_key(AGENT_RESOURCE), bytes_str(code));
        uint8_t number[4];
        int r = outbox_resource(store_state(s), code, ret);

        if (r != 0)
                return r < 0 ? r : 0;
        *ret = box->next_resource++;
        put_be32(number, *ret);
        return keep_put_bytes(s, &k, bytes_of(number, 4));
}

int outbox_resource_make(struct agent *ag, struct arena *a, const char *code, uint32_t *ret)
{
        Shuyi__Agent__OutboxRow *box;
        int r = outbox_get(store_state(ag->store), a, &box);

        if (r == 0)
                r = resource_make(ag->store, code, box, ret);
        return r < 0 ? r : outbox_put(ag->store, a, box);
}

static struct agent_key idempotency_key(const struct digest *d)
{
        return agent_key_bytes(agent_key(AGENT_IDEMPOTENCY), bytes_digest(d));
}

static struct agent_key idempotency_age_key(uint64_t at, const struct digest *d)
{
        return agent_key_bytes(agent_key_u64(agent_key(AGENT_IDEMPOTENCY_AGE), at), bytes_digest(d));
}

/* 1: the key was used before, and what that means. */
static int find_repeat(struct agent *ag, struct arena *a, const struct outbox_push *push, enum outbox_answer *ret, struct id *ret_id)
{
        Shuyi__Agent__IdempotencyRow *row;
        struct agent_key k;
        int r;

        if (!push->idempotency)
                return 0;
        k = idempotency_key(push->idempotency);
        r = keep_get(store_state(ag->store), a, &k, &shuyi__agent__idempotency_row__descriptor, &row);
        if (r <= 0)
                return r;
        *ret = bytes_equal(keep_bytes(row->request), bytes_digest(&push->request)) ? OUTBOX_REPEATED : OUTBOX_CONFLICT;
        return bytes_copy_exact(keep_bytes(row->push), ret_id->b, ID_BYTES) ? 1 : -EBADMSG;
}

static int remember_key(struct agent *ag, struct arena *a, const struct outbox_push *push)
{
        Shuyi__Agent__IdempotencyRow row = SHUYI__AGENT__IDEMPOTENCY_ROW__INIT;
        struct agent_key k, age;
        int r;

        if (!push->idempotency)
                return 0;
        k = idempotency_key(push->idempotency);
        age = idempotency_age_key(push->taken_at, push->idempotency);
        row.push = keep_binary(bytes_id(&push->id));
        row.request = keep_binary(bytes_digest(&push->request));
        row.at = push->taken_at;
        r = keep_put(ag->store, a, &k, &row.base);
        return r < 0 ? r : keep_put_bytes(ag->store, &age, (struct bytes){ 0 });
}

static int put_record(struct agent *ag, struct arena *a, const struct outbox_push *push, uint32_t resource, uint64_t take, uint32_t i)
{
        Shuyi__Agent__TakenRow row = SHUYI__AGENT__TAKEN_ROW__INIT;
        struct agent_key k = outbox_taken_key(resource, take);

        row.push = keep_binary(bytes_id(&push->id));
        row.index = i;
        row.version = push->version;
        row.taken_at = push->taken_at;
        row.record = keep_binary(push->records[i]);
        row.record_bytes = push->record_bytes[i];
        return keep_put(ag->store, a, &k, &row.base);
}

static int put_push(struct agent *ag, struct arena *a, const struct outbox_push *push, uint32_t resource, uint64_t first)
{
        Shuyi__Agent__PushRow row = SHUYI__AGENT__PUSH_ROW__INIT;
        struct agent_key k = agent_key_bytes(agent_key(AGENT_PUSH), bytes_id(&push->id));

        row.resource = resource;
        row.first_take = first;
        row.last_take = first + push->n - 1;
        row.taken_at = push->taken_at;
        row.records = push->n;
        row.code = (char *)push->resource;
        return keep_put(ag->store, a, &k, &row.base);
}

static uint64_t push_bytes(const struct outbox_push *push)
{
        uint64_t sum = 0;

        for (uint32_t i = 0; i < push->n; i++)
                sum += push->record_bytes[i];
        return sum;
}

static int take_records(struct agent *ag, struct arena *a, const struct outbox_push *push, Shuyi__Agent__OutboxRow *box)
{
        uint32_t resource = 0;
        uint64_t first = box->next_take;
        int r = resource_make(ag->store, push->resource, box, &resource);

        for (uint32_t i = 0; i < push->n && r >= 0; i++)
                r = put_record(ag, a, push, resource, box->next_take++, i);
        if (r >= 0)
                r = put_push(ag, a, push, resource, first);
        if (r >= 0)
                r = remember_key(ag, a, push);
        box->taken_records += push->n;
        box->taken_bytes += push_bytes(push);
        return r < 0 ? r : outbox_put(ag->store, a, box);
}

int outbox_take(struct agent *ag, struct arena *a, const struct outbox_push *push, uint64_t quota, enum outbox_answer *ret, struct id *ret_id)
{
        Shuyi__Agent__OutboxRow *box;
        int r = find_repeat(ag, a, push, ret, ret_id);

        if (r != 0)
                return r < 0 ? r : 0;
        r = outbox_get(store_state(ag->store), a, &box);
        if (r < 0)
                return r;
        *ret_id = push->id;
        if (box->taken_bytes + push_bytes(push) > quota) {
                *ret = OUTBOX_FULL;
                return 0;
        }
        *ret = OUTBOX_TAKEN;
        r = take_records(ag, a, push, box);
        return r;
}

static int forget_keys(struct agent *ag, uint64_t before)
{
        struct agent_key prefix = agent_key(AGENT_IDEMPOTENCY_AGE), k;
        struct bytes key, value;
        struct digest d;
        int r = 0;

        for (int i = 0; i < FORGET_MAX; i++) {
                r = keep_next(store_state(ag->store), &prefix, NULL, &key, &value);
                if (r <= 0 || key.n != 1 + 8 + DIGEST_BYTES || get_be64(key.p + 1) >= before)
                        return r < 0 ? r : 0;
                memcpy(d.b, key.p + 9, DIGEST_BYTES);
                k = idempotency_age_key(get_be64(key.p + 1), &d);
                r = keep_del(ag->store, &k);
                k = idempotency_key(&d);
                if (r >= 0)
                        r = keep_del(ag->store, &k);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* A push id is a UUIDv7: its first six bytes are the time, so the oldest come first. */
int outbox_forget(struct agent *ag, struct arena *a, uint64_t before)
{
        struct agent_key prefix = agent_key(AGENT_PUSH), k;
        Shuyi__Agent__PushRow *row;
        struct bytes key, value;
        int r = forget_keys(ag, before);

        for (int i = 0; i < FORGET_MAX && r >= 0; i++) {
                r = keep_next(store_state(ag->store), &prefix, NULL, &key, &value);
                if (r > 0)
                        r = keep_decode(a, value, &shuyi__agent__push_row__descriptor, &row);
                if (r <= 0 || row->taken_at >= before)
                        break;
                k = agent_key_bytes((struct agent_key){ .n = 0 }, key);
                r = keep_del(ag->store, &k);
        }
        return r < 0 ? r : 0;
}

int outbox_taken_last(struct store *s, uint32_t resource, uint64_t *ret)
{
        struct agent_key k = agent_key_u32(agent_key(AGENT_TAKEN), resource);
        struct bytes key, value;
        int r = store_last(s, STORE_STATE, agent_key_get(&k), &key, &value);

        *ret = 0;
        if (r > 0 && key.n == k.n + 8)
                *ret = get_be64(key.p + k.n);
        return r < 0 ? r : 0;
}

int outbox_release(struct agent *ag, struct arena *a, uint32_t resource, uint64_t to)
{
        struct agent_key prefix = agent_key_u32(agent_key(AGENT_TAKEN), resource), k;
        Shuyi__Agent__OutboxRow *box;
        Shuyi__Agent__TakenRow *row;
        struct bytes key, value;
        int r = outbox_get(store_state(ag->store), a, &box);
        bool changed = false;

        for (int i = 0; i < RELEASE_MAX && r >= 0; i++) {
                r = keep_next(store_state(ag->store), &prefix, NULL, &key, &value);
                if (r <= 0 || key.n != prefix.n + 8 || get_be64(key.p + prefix.n) > to)
                        break;
                r = keep_decode(a, value, &shuyi__agent__taken_row__descriptor, &row);
                if (r < 0)
                        break;
                box->taken_records -= box->taken_records ? 1 : 0;
                box->taken_bytes -= row->record_bytes < box->taken_bytes ? row->record_bytes : box->taken_bytes;
                changed = true;
                k = agent_key_bytes((struct agent_key){ .n = 0 }, key);
                r = keep_del(ag->store, &k);
        }
        return r < 0 || !changed ? r < 0 ? r : 0 : outbox_put(ag->store, a, box);
}

/* ---- sealed ---- */

static struct agent_key sealed_key(uint32_t lane, uint64_t seq)
{
        uint8_t b = (uint8_t)lane;

        return agent_key_u64(agent_key_bytes(agent_key(AGENT_SEALED), bytes_of(&b, 1)), seq);
}

int outbox_add(struct agent *ag, struct arena *a, uint32_t lane, const Shuyi__Agent__SealedRow *row, uint64_t *ret_seq)
{
        Shuyi__Agent__OutboxRow *box;
        struct agent_key k;
        int r = outbox_get(store_state(ag->store), a, &box);

        if (r < 0)
                return r;
        *ret_seq = lane ? box->next_link++ : box->next_act++;
        box->sealed_bytes += row->envelope.len;
        k = sealed_key(lane, *ret_seq);
        r = keep_put(ag->store, a, &k, &row->base);
        if (r >= 0)
                r = outbox_put(ag->store, a, box);
        return r;
}

int outbox_find(struct state s, struct arena *a, uint32_t lane, uint64_t seq, Shuyi__Agent__SealedRow **ret)
{
        struct agent_key k = sealed_key(lane, seq);

        return keep_get(s, a, &k, &shuyi__agent__sealed_row__descriptor, ret);
}

int outbox_settle(struct agent *ag, struct arena *a, uint32_t lane, const Shuyi__Agent__SealedRow *row, uint64_t seq, bool hold)
{
        Shuyi__Agent__OutboxRow *box;
        struct agent_key k = sealed_key(lane, seq);
        int r = outbox_get(store_state(ag->store), a, &box);

        if (r >= 0 && !hold)
                r = keep_del(ag->store, &k);
        if (r < 0)
                return r;
        if (lane)
                box->first_link = seq + 1;
        else
                box->first_act = seq + 1;
        box->sealed_bytes -= row->envelope.len < box->sealed_bytes ? row->envelope.len : box->sealed_bytes;
        return outbox_put(ag->store, a, box);
}

int outbox_drop(struct agent *ag, const Shuyi__Agent__OutboxRow *box, uint32_t lane, uint64_t seq)
{
        struct agent_key k = sealed_key(lane, seq);

        return seq < outbox_first(box, lane) ? keep_del(ag->store, &k) : 0;
}

int outbox_bury(struct agent *ag, struct arena *a, const Shuyi__Agent__SealedRow *row, const char *resource, uint32_t code, const char *detail)
{
        Shuyi__Agent__DeadRow dead = SHUYI__AGENT__DEAD_ROW__INIT;
        uint64_t now = times_wall().ms;
        struct agent_key k = agent_key_bytes(agent_key_u64(agent_key(AGENT_DEAD), now), keep_bytes(row->digest));

        dead.code = code;
        dead.detail = (char *)detail;
        dead.at = now;
        dead.envelope = row->envelope;
        dead.resource = (char *)resource;
        dead.first_take = row->first_take;
        dead.last_take = row->last_take;
        metrics_inc(ag->block, M_DEAD, 0);
        log_event(LOG_ERR, "outbox.dead_letter", log_hex("envelope", keep_bytes(row->digest)), log_str("refusal", refusal_text(code)->code),
                  log_str("resource", resource), log_str("detail", detail));
        return keep_put(ag->store, a, &k, &dead.base);
}
