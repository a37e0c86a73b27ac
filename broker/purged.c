/* purged: see the header. */
#include "broker/purged.h"
#include "common/checkpoint.h"
#include "common/macro.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

struct walk {
        struct broker *broker;
        const struct base *base;
        const uint8_t *key;
        struct store_snapshot *against;
        struct purged *out;
        struct arena *arena;
        struct merkle_frontier tree;
};

__attribute__((format(printf, 2, 3)))
static int bad(struct walk *w, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        vsnprintf(w->out->reason, sizeof(w->out->reason), format, ap);
        va_end(ap);
        return -EBADMSG;
}

/* From what is kept of the entry and its outcome.  1, 0: nobody knows its outcome any more, or a fault. */
static int derive_leaf(struct walk *w, struct segment_entry *e, struct digest *ret)
{
        struct entry entry = { .epoch = e->epoch, .seq = e->seq, .accepted_at = e->accepted_at };
        struct fold_outcome recorded = { .code = (enum refusal)e->code, .effects = e->effects };
        struct outcome outcome;
        uint8_t record[LEAF_RECORD_BYTES];
        int r = e->judged ? 1 : w->against ? fold_outcome_read(w->against, e->seq, &recorded) : 0;

        if (r <= 0)
                return r;
        if (envelope_read_kept(w->arena, e->envelope, NULL, &entry.claim) != ACCEPTED)
                return bad(w, "entry %llu is not of the exact form", (unsigned long long)e->seq);
        outcome = (struct outcome){ .code = recorded.code, .effects_digest = recorded.effects };
        exchange_leaf_record(w->broker->domain, &entry, &outcome, record);
        *ret = merkle_leaf(bytes_of(record, sizeof(record)));
        return 1;
}

static int take_entry(struct walk *w, const struct segment_record *rec)
{
        struct segment_entry e;
        struct digest leaf;
        int r = 1;

        if (!segment_record_entry(rec->type, rec->payload, &e))
                return bad(w, "entry %llu is too short", (unsigned long long)rec->seq);
        w->out->entries++;
        w->out->bodies += !e.gone && e.purged_by > 0;
        w->out->inputs += e.gone;
        if (w->out->unknown_from > 0)
                return 0;
        if (e.gone)
                leaf = e.leaf;
        else
                r = derive_leaf(w, &e, &leaf);
        if (r > 0)
                merkle_append(&w->tree, &leaf);
        else if (r == 0)
                w->out->unknown_from = e.seq;
        return r < 0 ? r : 0;
}

static int take_head(struct walk *w, const struct segment_record *rec)
{
        char *note = arena_printf(w->arena, "%.*s", (int)rec->payload.n, (const char *)rec->payload.p);
        struct digest root = merkle_root(&w->tree);
        struct checkpoint c;
        const char *wrong;

        if (w->out->unknown_from > 0)
                return 0;
        if (!note)
                return -ENOMEM;
        wrong = checkpoint_verify(w->arena, note, w->broker->origin, w->key, &c);
        if (wrong)
                return bad(w, "the head behind entry %llu does not verify: %s", (unsigned long long)rec->seq, wrong);
        if (c.size != w->tree.size || !digest_equal(&c.root, &root))
                return bad(w, "the head behind entry %llu signs another tree than what is left gives", (unsigned long long)rec->seq);
        w->out->heads++;
        return 0;
}

static int walk(struct walk *w, struct segment_cursor *c)
{
        struct digest root, of_base = merkle_root(&w->base->frontier);
        struct segment_record rec;
        int r;

        while ((r = segment_cursor_next(c, &rec)) > 0 && rec.seq <= w->base->seq) {
                arena_reset(w->arena);
                r = rec.type == SEGMENT_HEAD ? take_head(w, &rec) : take_entry(w, &rec);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r == -EBADMSG ? bad(w, "a record before the BASE is damaged") : r;
        root = merkle_root(&w->tree);
        if (w->out->unknown_from == 0 && !digest_equal(&root, &of_base))
                return bad(w, "what is left gives another tree than the BASE has");
        return 0;
}

int purged_check(struct broker *b, const struct base *base, const uint8_t key[32], struct store_snapshot *against, struct purged *ret)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(8u << 20);
        struct walk w = { .broker = b, .base = base, .key = key, .against = against, .out = ret, .arena = a };
        struct segment_cursor *c;
        int r = a ? segment_cursor_open(b->segments, (struct segment_place){ 0 }, 0, 0, &c) : -ENOMEM;

        *ret = (struct purged){ .unknown_from = segment_first_seq(b->segments) > 1 ? 1 : 0 };
        if (r < 0)
                return r;
        r = walk(&w, c);
        segment_cursor_close(c);
        return r;
}
