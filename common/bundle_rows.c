/* bundle_rows: a sorted array of rows. */
#include "common/bundle_internal.h"
#include <errno.h>

static size_t place_of(const struct bundle_rows *r, struct bytes key)
{
        size_t low = 0, high = r->n;

        while (low < high) {
                size_t mid = low + (high - low) / 2;

                if (bytes_compare(r->rows[mid].key, key) < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        return low;
}

static int get(void *ctx, struct bytes key, struct bytes *ret)
{
        const struct bundle_rows *r = ctx;
        size_t at = place_of(r, key);

        if (at == r->n || !bytes_equal(r->rows[at].key, key))
                return 0;
        *ret = r->rows[at].value;
        return 1;
}

static int next(void *ctx, struct bytes prefix, struct bytes from, struct bytes *ret_key, struct bytes *ret_value)
{
        const struct bundle_rows *r = ctx;
        size_t at = place_of(r, bytes_compare(from, prefix) < 0 ? prefix : from);

        if (at == r->n || !bytes_has_prefix(r->rows[at].key, prefix))
                return 0;
        *ret_key = r->rows[at].key;
        *ret_value = r->rows[at].value;
        return 1;
}

struct state bundle_rows_state(struct bundle_rows *r)
{
        static const struct state_ops ops = { get, next };

        return (struct state){ &ops, r };
}

static int make_room(struct bundle_rows *r)
{
        size_t room = r->room ? r->room * 2 : 256;
        struct effect *rows;

        if (r->n < r->room)
                return 0;
        rows = arena_array(r->a, sizeof(*rows), room);
        if (!rows)
                return -ENOMEM;
        if (r->n)
                memcpy(rows, r->rows, r->n * sizeof(*rows));
        r->rows = rows;
        r->room = room;
        return 0;
}

int bundle_rows_put(struct bundle_rows *r, struct bytes key, struct bytes value)
{
        size_t at = place_of(r, key);
        struct effect row = { .key = arena_copy(r->a, key), .value = arena_copy(r->a, value) };

        if (arena_failed(r->a) || make_room(r) < 0)
                return -ENOMEM;
        if (at == r->n || !bytes_equal(r->rows[at].key, key)) {
                memmove(r->rows + at + 1, r->rows + at, (r->n - at) * sizeof(row));
                r->n++;
        }
        r->rows[at] = row;
        return 0;
}

int bundle_rows_put_row(struct bundle_rows *r, enum table table, const struct bytes *parts, size_t n, const ProtobufCMessage *row)
{
        uint8_t key[ROW_KEY_MAX + 1];
        size_t at = 0;

        key[at++] = (uint8_t)table;
        for (size_t i = 0; i < n; i++) {
                if (at + parts[i].n > ROW_KEY_MAX)
                        return 0;               /* no row has such a key: who looks for it finds nothing */
                memcpy(key + at, parts[i].p, parts[i].n);
                at += parts[i].n;
        }
        return bundle_rows_put(r, bytes_of(key, at), message_pack(r->a, row));
}

static void drop(struct bundle_rows *r, struct bytes key)
{
        size_t at = place_of(r, key);

        if (at == r->n || !bytes_equal(r->rows[at].key, key))
                return;
        r->n--;
        memmove(r->rows + at, r->rows + at + 1, (r->n - at) * sizeof(*r->rows));
}

int bundle_rows_apply(struct bundle_rows *r, const struct effect *effects, size_t n)
{
        int f = 0;

        for (size_t i = 0; i < n && f == 0; i++) {
                if (effects[i].remove)
                        drop(r, effects[i].key);
                else
                        f = bundle_rows_put(r, effects[i].key, effects[i].value);
        }
        return f;
}
