/* mirror: see the header. */
#include "broker/mirror.h"
#include "common/fold.h"
#include "common/macro.h"
#include <errno.h>
#include <stdlib.h>

static struct mirror_stream *stream_of(struct mirror *m, struct bytes id)
{
        struct mirror_stream *s = id.n == DIGEST_BYTES ? bytemap_get(m->streams, id) : NULL;

        if (s || id.n != DIGEST_BYTES)
                return s;
        s = calloc(1, sizeof(*s));
        if (!s || bytemap_put(m->streams, id, s) < 0) {
                free(s);
                return NULL;
        }
        memcpy(s->id.b, id.p, DIGEST_BYTES);
        return s;
}

static void leave_stream(struct mirror_sub *s)
{
        struct mirror_sub **at;

        if (!s->of)
                return;
        for (at = &s->of->subs; *at != s; at = &(*at)->next)
                ;
        *at = s->next;
        s->of = NULL;
}

static int join_stream(struct mirror *m, struct mirror_sub *s, struct bytes stream)
{
        struct mirror_stream *to = stream.n == DIGEST_BYTES ? stream_of(m, stream) : NULL;

        if (s->of == to)
                return stream.n == DIGEST_BYTES && !to ? -ENOMEM : 0;
        leave_stream(s);
        if (!to)
                return stream.n == DIGEST_BYTES ? -ENOMEM : 0;
        s->stream = to->id;
        s->of = to;
        s->next = to->subs;
        to->subs = s;
        return 0;
}

static int take_sub(struct mirror *m, struct bytes grant, struct bytes value, struct arena *a, struct mirror_news *ret)
{
        const Shuyi__V1__SubscriptionRow *row = shuyi__v1__subscription_row__unpack(arena_allocator(a), value.n, value.p);
        struct mirror_sub *s = bytemap_get(m->subs, grant);
        int r = 0;

        if (!row || grant.n != DIGEST_BYTES || row->agent.len != ID_BYTES)
                return -EBADMSG;
        if (!s) {
                s = calloc(1, sizeof(*s));
                if (!s || bytemap_put(m->subs, grant, s) < 0) {
                        free(s);
                        return -ENOMEM;
                }
                memcpy(s->grant.b, grant.p, DIGEST_BYTES);
        }
        memcpy(s->agent.b, row->agent.data, ID_BYTES);
        if (s->state != row->state)
                s->dead = false;
        s->state = row->state;
        s->start = row->start;
        s->cursor = row->cursor;
        s->stop = row->stop;
        r = join_stream(m, s, bytes_of(row->stream.data, row->stream.len));
        ret->what = MIRROR_SUB;
        ret->sub = s;
        return r;
}

static int take_stream(struct mirror *m, struct bytes id, struct bytes value, struct arena *a, struct mirror_news *ret)
{
        const Shuyi__V1__StreamRow *row = shuyi__v1__stream_row__unpack(arena_allocator(a), value.n, value.p);
        struct mirror_stream *s = row ? stream_of(m, id) : NULL;

        if (!row || id.n != DIGEST_BYTES)
                return -EBADMSG;
        if (!s)
                return -ENOMEM;
        s->head = row->head;
        ret->what = MIRROR_STREAM;
        ret->stream = s;
        return 0;
}

static int take_feed(struct mirror *m, struct bytes department, struct bytes value, struct arena *a, struct mirror_news *ret)
{
        const Shuyi__V1__NumberRow *row = shuyi__v1__number_row__unpack(arena_allocator(a), value.n, value.p);

        if (!row || department.n >= sizeof(ret->department))
                return -EBADMSG;
        ret->what = MIRROR_FEED;
        memcpy(ret->department, department.p, department.n);
        ret->department[department.n] = 0;
        return bytemap_put(m->feeds, department, (void *)(uintptr_t)row->n);
}

static int take(struct mirror *m, struct bytes key, struct bytes value, struct arena *a, struct mirror_news *ret)
{
        struct bytes rest = bytes_of(key.p + 1, key.n - 1);

        switch (key.p[0]) {
        case TABLE_SUBSCRIPTION:
                return take_sub(m, rest, value, a, ret);
        case TABLE_STREAM:
                return take_stream(m, rest, value, a, ret);
        case TABLE_FEED_HEAD:
                return take_feed(m, rest, value, a, ret);
        case TABLE_TRUST:
                if (rest.n == 8 && get_be64(rest.p) > m->trust_seq)
                        m->trust_seq = get_be64(rest.p);
                ret->what = MIRROR_TRUST;
                return 0;
        default:
                return 0;
        }
}

int mirror_apply(struct mirror *m, const struct effect *e, struct mirror_news *ret)
{
        uint8_t table = e->key.n > 0 ? e->key.p[0] : 0;

        *ret = (struct mirror_news){ 0 };
        if (e->remove || (table != TABLE_SUBSCRIPTION && table != TABLE_STREAM && table != TABLE_FEED_HEAD && table != TABLE_TRUST))
                return 0;
        arena_reset(m->scratch);
        return take(m, e->key, e->value, m->scratch, ret);
}

static int load_table(struct mirror *m, struct store_snapshot *p, enum table table, struct arena *a)
{
        uint8_t prefix = (uint8_t)table, from[FOLD_KEY_MAX] = { prefix };
        size_t from_n = 1;
        struct mirror_news news;
        struct bytes key, value;
        int r;

        while ((r = store_snapshot_next(p, STORE_STATE, bytes_of(&prefix, 1), bytes_of(from, from_n), &key, &value)) > 0) {
                arena_reset(a);
                memcpy(from, key.p, key.n);
                from[key.n] = 0;
                from_n = key.n + 1;
                r = take(m, key, value, a, &news);
                if (r < 0)
                        return r;
        }
        return r;
}

int mirror_load(struct mirror *m, struct store *store)
{
        static const enum table tables[] = { TABLE_STREAM, TABLE_SUBSCRIPTION, TABLE_FEED_HEAD };
        _cleanup_(store_snapshot_closep) struct store_snapshot *p = NULL;
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        const Shuyi__V1__MetaRow *meta;
        int r;

        *m = (struct mirror){ bytemap_new(), bytemap_new(), bytemap_new(), 0, arena_new(1 << 20) };
        if (!m->subs || !m->streams || !m->feeds || !m->scratch || !a)
                return -ENOMEM;
        r = store_snapshot_open(store, &p);
        for (unsigned i = 0; i < ELEMENTS(tables) && r == 0; i++)
                r = load_table(m, p, tables[i], a);
        if (r < 0)
                return r;
        meta = fold_meta(store_snapshot_state(p), a);
        if (meta)
                m->trust_seq = meta->trust_seq;
        return 0;
}

void mirror_fini(struct mirror *m)
{
        bytemap_free(m->subs, free);
        bytemap_free(m->streams, free);
        bytemap_free(m->feeds, NULL);
        arena_free(m->scratch);
        *m = (struct mirror){ 0 };
}

uint64_t mirror_limit(const struct mirror_sub *s)
{
        uint64_t head = s->of ? s->of->head : 0;

        if (s->dead)
                return 0;
        if (s->state == SUB_LIVE)
                return s->stop > 0 && s->stop < head ? s->stop : head;
        return s->state == SUB_KEY_WAIT && s->stop > 0 && s->stop <= head ? s->stop : 0;
}

uint64_t mirror_next(const struct mirror_sub *s)
{
        return s->cursor + 1 < s->start ? s->start : s->cursor + 1;
}

uint64_t mirror_feed_head(const struct mirror *m, const char *department)
{
        return (uint64_t)(uintptr_t)bytemap_get(m->feeds, bytes_str(department));
}
