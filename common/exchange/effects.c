/* effects: the overlay.  An array in order of writing, and beside it indices sorted by key: an entry has a handful of
 * effects, at most EFFECT_ROWS_MAX that count, so insertion into a sorted array is cheaper than any tree. */
#include "common/exchange/effects.h"

#include "common/digest.h"

struct effects *effects_new(struct arena *a)
{
        struct effects *e = ARENA_NEW(a, struct effects);

        if (e)
                e->arena = a;
        return e;
}

size_t effects_lower_bound(const struct effects *e, struct bytes from)
{
        size_t low = 0, high = e->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (bytes_compare(effects_sorted(e, middle)->key, from) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

const struct effect *effects_find(const struct effects *e, struct bytes key)
{
        size_t i = effects_lower_bound(e, key);

        if (i == e->n || !bytes_equal(effects_sorted(e, i)->key, key))
                return NULL;
        return effects_sorted(e, i);
}

static bool grow(struct effects *e)
{
        size_t room = e->room ? 2 * e->room : 16;
        struct effect *rows = ARENA_ARRAY(e->arena, struct effect, room);
        uint32_t *sorted = ARENA_ARRAY(e->arena, uint32_t, room);

        if (!rows || !sorted)
                return false;
        if (e->n) {
                memcpy(rows, e->rows, e->n * sizeof(*rows));
                memcpy(sorted, e->sorted, e->n * sizeof(*sorted));
        }
        e->rows = rows;
        e->sorted = sorted;
        e->room = room;
        return true;
}

static bool add(struct effects *e, size_t place, struct effect row)
{
        if (e->n == e->room && !grow(e))
                return false;
        memmove(&e->sorted[place + 1], &e->sorted[place], (e->n - place) * sizeof(*e->sorted));
        e->sorted[place] = (uint32_t)e->n;
        e->rows[e->n++] = row;
        e->bytes += row.key.n + row.value.n;
        return true;
}

static bool copy(struct effects *e, struct bytes b, struct bytes *ret)
{
        if (b.n == 0) {
                *ret = (struct bytes){ 0 };
                return true;
        }
        *ret = arena_copy(e->arena, b);
        return ret->p != NULL;
}

static bool write_row(struct effects *e, struct bytes key, struct bytes value, bool removed)
{
        size_t place = effects_lower_bound(e, key);
        struct effect row = { .remove = removed };

        e->key_over |= key.n > ROW_KEY_MAX;
        if (!copy(e, value, &row.value))
                return false;
        if (place < e->n && bytes_equal(effects_sorted(e, place)->key, key)) {
                struct effect *old = &e->rows[e->sorted[place]];

                e->bytes += row.value.n;
                e->bytes -= old->value.n;
                old->value = row.value;
                old->remove = removed;
                return true;
        }
        return copy(e, key, &row.key) && add(e, place, row);
}

bool effects_put(struct effects *e, struct bytes key, struct bytes value)
{
        return write_row(e, key, value, false);
}

bool effects_remove(struct effects *e, struct bytes key)
{
        return write_row(e, key, (struct bytes){ 0 }, true);
}

static bool grow_wakes(struct effects *e)
{
        size_t room = e->wakes_room ? 2 * e->wakes_room : 8;
        struct wake *wakes = ARENA_ARRAY(e->arena, struct wake, room);

        if (!wakes)
                return false;
        if (e->wakes_n)
                memcpy(wakes, e->wakes, e->wakes_n * sizeof(*wakes));
        e->wakes = wakes;
        e->wakes_room = room;
        return true;
}

bool effects_wake(struct effects *e, enum wake_kind kind, struct bytes key)
{
        struct wake wake = { .kind = kind };

        for (size_t i = 0; i < e->wakes_n; i++)
                if (e->wakes[i].kind == kind && bytes_equal(e->wakes[i].key, key))
                        return true;
        if (!copy(e, key, &wake.key) || (e->wakes_n == e->wakes_room && !grow_wakes(e)))
                return false;
        e->wakes[e->wakes_n++] = wake;
        return true;
}

bool effects_over(const struct effects *e)
{
        return e->n > EFFECT_ROWS_MAX || e->bytes > EFFECT_BYTES_MAX || e->key_over;
}

#define EFFECT_HEAD_BYTES 9

bool effects_digest(const struct effects *e, struct digest *ret)
{
        struct bytes *parts = ARENA_ARRAY(e->arena, struct bytes, 3 * e->n + 1);
        uint8_t *heads = arena_alloc(e->arena, EFFECT_HEAD_BYTES * (e->n + 1));

        if (!parts || !heads)
                return false;
        for (size_t i = 0; i < e->n; i++) {
                const struct effect *row = effects_sorted(e, i);
                uint8_t *head = heads + EFFECT_HEAD_BYTES * i;

                put_le32(head, (uint32_t)row->key.n);
                head[4] = row->remove;
                put_le32(head + 5, (uint32_t)row->value.n);
                parts[3 * i] = bytes_of(head, EFFECT_HEAD_BYTES);
                parts[3 * i + 1] = row->key;
                parts[3 * i + 2] = row->value;
        }
        *ret = digest_of(CTX_EFFECTS, parts, 3 * e->n);
        return true;
}
