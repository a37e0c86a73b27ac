/* inbox: see inbox.h. */
#include "agent/inbox.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/opener.h"
#include "agent/prover.h"
#include "agent/receipts.h"
#include "agent/uses.h"
#include "common/envelope.h"
#include "common/log.h"

#define OPEN_AT_ONCE 64

struct inbox {
        struct agent *ag;
        struct receipts *receipts;
        uint64_t opened_bytes;                  /* wait for sinks */
        bool waits;
};

struct agent_key inbox_opened_key(const struct digest *grant, uint64_t stream_seq)
{
        return agent_key_u64(agent_key_bytes(agent_key(AGENT_OPENED), bytes_digest(grant)), stream_seq);
}

static struct agent_key pending_key(const struct digest *grant, uint64_t stream_seq)
{
        return agent_key_u64(agent_key_bytes(agent_key(AGENT_PENDING), bytes_digest(grant)), stream_seq);
}

static struct agent_key cursor_key(const struct digest *grant)
{
        return agent_key_bytes(agent_key(AGENT_CURSOR), bytes_digest(grant));
}

struct bytes inbox_what(struct arena *a, const struct digest *grant, uint64_t stream_seq)
{
        uint8_t *p = arena_alloc(a, DIGEST_BYTES + 8);

        if (!p)
                return (struct bytes){ 0 };
        memcpy(p, grant->b, DIGEST_BYTES);
        put_be64(p + DIGEST_BYTES, stream_seq);
        return bytes_of(p, DIGEST_BYTES + 8);
}

int inbox_cursor(struct state s, struct arena *a, const struct digest *grant, Shuyi__Agent__CursorRow **ret)
{
        struct agent_key k = cursor_key(grant);
        int r = keep_get(s, a, &k, &shuyi__agent__cursor_row__descriptor, ret);

        if (r != 0)
                return r;
        *ret = ARENA_NEW(a, Shuyi__Agent__CursorRow);
        if (!*ret)
                return -ENOMEM;
        shuyi__agent__cursor_row__init(*ret);
        return 0;
}

int inbox_cursor_put(struct agent *ag, struct arena *a, const struct digest *grant, const Shuyi__Agent__CursorRow *row)
{
        struct agent_key k = cursor_key(grant);

        return keep_put(ag->store, a, &k, &row->base);
}

/* ---- start ---- */

static int count_opened(struct inbox *i)
{
        struct agent_key prefix = agent_key(AGENT_OPENED), from = prefix;
        struct state s = store_state(i->ag->store);
        struct bytes key, value;
        int r;

        while ((r = keep_next(s, &prefix, &from, &key, &value)) > 0) {
                i->opened_bytes += value.n;
                from = keep_after(key);
        }
        prefix = agent_key(AGENT_PENDING);
        if (r == 0)
                r = keep_next(s, &prefix, NULL, &key, &value);
        i->waits = r > 0;
        return r < 0 ? r : 0;
}

int inbox_new(struct agent *ag, struct inbox **ret)
{
        struct inbox *i = calloc(1, sizeof(*i));
        int r;

        if (!i)
                return -ENOMEM;
        i->ag = ag;
        r = receipts_new(ag, &i->receipts);
        if (r == 0)
                r = count_opened(i);
        if (r < 0) {
                inbox_free(i);
                return r;
        }
        *ret = i;
        return 0;
}

void inbox_free(struct inbox *i)
{
        if (!i)
                return;
        receipts_free(i->receipts);
        free(i);
}

bool inbox_waits(const struct inbox *i)
{
        return i->waits;
}

/* ---- taking ---- */

/* What a link says of itself, before anything of it is believed. */
struct facts { struct digest header, prev; struct bytes stream; uint64_t stream_seq; uint32_t kind; const Shuyi__V1__Seen *seen; };

static bool read_facts(struct arena *a, struct bytes wire, struct facts *ret)
{
        Shuyi__V1__Envelope *e = message_parse(a, &shuyi__v1__envelope__descriptor, wire);
        Shuyi__V1__Header *h = e ? message_parse(a, &shuyi__v1__header__descriptor, keep_bytes(e->header)) : NULL;
        Shuyi__V1__Intent *in = h ? message_parse(a, &shuyi__v1__intent__descriptor, keep_bytes(h->intent)) : NULL;

        if (!in)
                return false;
        *ret = (struct facts){ .header = digest_plain(keep_bytes(e->header)), .stream = keep_bytes(in->stream),
                                .stream_seq = in->stream_seq, .kind = in->kind, .seen = in->seen };
        return in->prev_digest.len == 0 || bytes_copy_exact(keep_bytes(in->prev_digest), ret->prev.b, DIGEST_BYTES);
}

static Shuyi__Agent__PendingRow *pending_of(struct arena *a, const Shuyi__V1__Parcel *p)
{
        Shuyi__Agent__PendingRow *row = ARENA_NEW(a, Shuyi__Agent__PendingRow);

        if (!row)
                return NULL;
        shuyi__agent__pending_row__init(row);
        row->envelope = p->envelope;
        row->row = p->row;
        row->row_index = p->row_index;
        row->row_count = p->row_count;
        row->row_path = p->row_path;
        row->n_row_path = p->n_row_path;
        row->epoch = p->epoch;
        row->seq = p->seq;
        row->accepted_at = p->accepted_at;
        row->stream_seq = p->cursor;
        return row;
}

static int store_opened(struct inbox *i, struct arena *a, const struct digest *grant, const Shuyi__Agent__PendingRow *link, const struct opened *o)
{
        Shuyi__Agent__OpenedRow row = SHUYI__AGENT__OPENED_ROW__INIT;
        struct agent_key k = inbox_opened_key(grant, link->stream_seq);
        struct bytes sealed;
        int r;

        if (!o->records.p)
                return 0;
        sealed = vault_seal_in(i->ag->vault, a, inbox_what(a, grant, link->stream_seq), o->records);
        if (!sealed.p)
                return -ENOMEM;
        row.resource = o->grant->resource;
        row.version = o->version;
        row.accepted_at = link->accepted_at;
        row.seq = link->seq;
        row.records = keep_binary(sealed);
        row.count = o->count;
        r = keep_put(i->ag->store, a, &k, &row.base);
        if (r < 0)
                return r;
        i->opened_bytes += sealed.n;
        metrics_add(i->ag->block, M_OPENED, 0, o->count);
        return 0;
}

static int note_acquired(struct arena *a, Shuyi__Agent__CursorRow *c, uint64_t at)
{
        uint64_t *list = ARENA_ARRAY(a, uint64_t, c->n_acquired_at + 1);

        if (!list)
                return -ENOMEM;
        if (c->n_acquired_at)
                memcpy(list, c->acquired_at, c->n_acquired_at * sizeof(*list));
        list[c->n_acquired_at] = at;
        c->acquired_at = list;
        c->n_acquired_at++;
        return 0;
}

/* When a link counts as acquired: now, but not before the one in front of it in the same receipt, whose times only go up. */
static struct wall_time acquired(const Shuyi__Agent__CursorRow *c, struct wall_time now)
{
        uint64_t before = c->n_acquired_at ? c->acquired_at[c->n_acquired_at - 1] : 0;

        return (struct wall_time){ before > now.ms ? before : now.ms };
}

static void tell_breach(struct inbox *i, const struct digest *grant, const Shuyi__Agent__PendingRow *link, const struct opened *o)
{
        metrics_inc(i->ag->block, M_BREACH, agent_refusal_index(o->code));
        log_event(LOG_ERR, "inbox.breach", log_digest("grant", grant), log_u64("stream_seq", link->stream_seq), log_u64("seq", link->seq),
                  log_str("refusal", refusal_text(o->code)->code), log_str("why", o->why), log_u64("records", o->count));
}

/* Opens one link into the cursor: 1 done (opened or a breach), 0 it must wait. */
static int open_into(struct inbox *i, struct arena *a, const struct digest *grant, Shuyi__Agent__CursorRow *c, const Shuyi__Agent__PendingRow *link,
                     const struct digest *header, struct wall_time now, struct mono_time mono)
{
        struct wall_time at = acquired(c, now);
        struct opened o;
        int r = opener_open(i->ag, a, grant, c, link, now, &o);

        if (r < 0 || o.result == OPENING_LATER)
                return r < 0 ? r : 0;
        if (o.result == OPENING_OVER) {
                log_event(LOG_NOTICE, "inbox.over", log_digest("grant", grant), log_u64("stream_seq", link->stream_seq));
                return 1;
        }
        if (o.result == OPENING_BREACH) {
                tell_breach(i, grant, link, &o);
                c->nack = o.code;
                c->nack_seq = link->stream_seq;
                c->nack_count = o.count;
                c->nack_told = false;
        } else {
                r = store_opened(i, a, grant, link, &o);
        }
        if (r == 0)
                r = note_acquired(a, c, at.ms);
        if (r == 0)
                r = uses_note(i->ag, a, grant, link, &o, at);
        if (r < 0)
                return r;
        c->opened = link->stream_seq;
        c->opened_digest = keep_copy(a, bytes_digest(header));
        c->records += o.result == OPENING_DONE && o.records.p ? o.count : 0;
        r = receipts_note(i->receipts, grant, mono, c->nack != 0);
        return r < 0 ? r : 1;
}

static int put_pending(struct inbox *i, struct arena *a, const struct digest *grant, const Shuyi__Agent__PendingRow *link)
{
        struct agent_key k = pending_key(grant, link->stream_seq);

        i->waits = true;
        return keep_put(i->ag->store, a, &k, &link->base);
}

/* The first link of all, or a later epoch that names us. */
static bool begins(const Shuyi__Agent__CursorRow *c, uint64_t stream_seq)
{
        return c->cursor == 0 || stream_seq > c->cursor + 1;
}

/* After a NACK what was already on its way is passed over.  Once the center has the NACK it sends nothing more, until somebody
 * of the department takes the subscription up again. */
static bool stopped(Shuyi__Agent__CursorRow *c, uint64_t stream_seq)
{
        if (c->nack && c->nack_told && stream_seq > c->cursor)
                c->nack = 0;
        return c->nack != 0;
}

/* A subscription that begins, or begins again at a later epoch that names us: what lies between was not for us. */
static int begin_at(struct inbox *i, struct arena *a, const struct digest *grant, Shuyi__Agent__CursorRow *c, uint64_t stream_seq, struct wall_time now)
{
        int r = 0;

        if (c->opened > c->receipted)
                r = receipts_sign(i->receipts, a, grant, c, now);
        if (r < 0)
                return r;
        if (c->cursor)
                log_event(LOG_WARNING, "inbox.begins_again", log_digest("grant", grant), log_u64("cursor", c->cursor), log_u64("stream_seq", stream_seq));
        c->first = stream_seq;
        c->cursor = c->opened = c->receipted = stream_seq - 1;
        c->n_acquired_at = 0;
        c->nack = 0;
        return 0;
}

static int take_link(struct inbox *i, struct arena *a, const struct digest *grant, Shuyi__Agent__CursorRow *c, const struct facts *f,
                     const Shuyi__V1__Parcel *p, struct wall_time now, struct mono_time mono)
{
        Shuyi__Agent__PendingRow *link = pending_of(a, p);
        bool may_open = c->opened == c->cursor;
        int r = 0;

        if (!link)
                return -ENOMEM;
        c->cursor = f->stream_seq;
        c->last_digest = keep_copy(a, bytes_digest(&f->header));
        c->last_link_at = p->accepted_at < now.ms ? p->accepted_at : now.ms;    /* a time to come would make silence longer */
        if (c->stream.len == 0)
                c->stream = keep_binary(f->stream);
        if (may_open)
                r = open_into(i, a, grant, c, link, &f->header, now, mono);
        if (r == 0)
                r = put_pending(i, a, grant, link);
        if (r < 0)
                return r;
        r = inbox_cursor_put(i->ag, a, grant, c);
        return r < 0 ? r : 1;
}

static int stop(struct inbox *i, struct arena *a, const struct digest *grant, Shuyi__Agent__CursorRow *c, const struct facts *f)
{
        log_event(LOG_ERR, "inbox.fork", log_digest("grant", grant), log_u64("stream_seq", f->stream_seq), log_digest("header", &f->header));
        metrics_inc(i->ag->block, M_BREACH, agent_refusal_index(E_CONTENT));
        c->nack = E_CONTENT;
        c->nack_seq = f->stream_seq;
        c->nack_count = 1;
        return inbox_cursor_put(i->ag, a, grant, c);
}

int inbox_take(struct inbox *i, struct arena *a, const Shuyi__V1__Parcel *p, struct wall_time now, struct mono_time mono)
{
        Shuyi__Agent__CursorRow *c;
        struct flow_position at;
        struct digest grant, held;
        struct facts f;
        int r;

        if (!bytes_copy_exact(keep_bytes(p->grant), grant.b, DIGEST_BYTES) || !read_facts(a, keep_bytes(p->envelope), &f) || f.stream_seq != p->cursor)
                return -EBADMSG;
        prover_heard(i->ag->prover, a, f.seen, keep_bytes(p->envelope));
        r = inbox_cursor(store_state(i->ag->store), a, &grant, &c);
        if (r < 0)
                return r;
        if (i->opened_bytes > (uint64_t)config_int(i->ag->config, S_QUOTA_INBOX))
                return -EAGAIN;
        at.cursor = c->cursor;
        if (!bytes_copy_exact(keep_bytes(c->last_digest), at.head.b, DIGEST_BYTES))
                at.head = (struct digest){ { 0 } };
        held = at.head;
        if (stopped(c, f.stream_seq))
                return 0;
        if (f.kind == KIND_VIEW_EPOCH && begins(c, f.stream_seq)) {
                r = begin_at(i, a, &grant, c, f.stream_seq, now);
                at = flow_position_start(f.stream_seq);
        }
        if (r < 0)
                return r;
        switch (flow_arrive(&at, f.stream_seq, &f.prev, &f.header, f.stream_seq == at.cursor ? &held : NULL)) {
        case FLOW_TAKE:
                return take_link(i, a, &grant, c, &f, p, now, mono);
        case FLOW_REPEAT:
                metrics_inc(i->ag->block, M_REPEATED, 0);
                return 0;
        case FLOW_FORK:
                return stop(i, a, &grant, c, &f);
        case FLOW_GAP:
                log_event(LOG_WARNING, "inbox.gap", log_digest("grant", &grant), log_u64("cursor", c->cursor), log_u64("stream_seq", f.stream_seq));
                return -EPROTO;
        }
        return 0;
}

/* ---- what waited ---- */

static int open_one(struct inbox *i, struct arena *a, struct bytes key, struct bytes value, struct wall_time now, struct mono_time mono)
{
        Shuyi__Agent__PendingRow *link;
        Shuyi__Agent__CursorRow *c;
        struct agent_key k = agent_key_bytes((struct agent_key){ .n = 0 }, key);
        struct digest grant;
        struct facts f;
        int r = keep_decode(a, value, &shuyi__agent__pending_row__descriptor, &link);

        if (r < 0)
                return r;
        memcpy(grant.b, k.b + 1, DIGEST_BYTES);
        r = inbox_cursor(store_state(i->ag->store), a, &grant, &c);
        if (r < 0 || !read_facts(a, keep_bytes(link->envelope), &f))
                return r < 0 ? r : -EBADMSG;
        if (!c->nack && link->stream_seq > c->opened)
                r = open_into(i, a, &grant, c, link, &f.header, now, mono);
        else
                r = 1;                          /* stopped: what waits behind goes */
        if (r <= 0)
                return r;
        r = keep_del(i->ag->store, &k);
        if (r >= 0)
                r = inbox_cursor_put(i->ag, a, &grant, c);
        return r < 0 ? r : 1;
}

/* The next grant behind this key. */
static struct agent_key next_grant(struct bytes key)
{
        struct agent_key k = agent_key_bytes((struct agent_key){ .n = 0 }, bytes_of(key.p, 1 + DIGEST_BYTES));

        return agent_key_u64(k, UINT64_MAX);
}

int inbox_open_waiting(struct inbox *i, struct arena *a, struct wall_time now, struct mono_time mono)
{
        struct agent_key prefix = agent_key(AGENT_PENDING), from = prefix;
        struct bytes key, value;
        int opened = 0, r = 0;
        bool left = false;

        while (i->waits && opened < OPEN_AT_ONCE) {
                r = keep_next(store_state(i->ag->store), &prefix, &from, &key, &value);
                if (r <= 0 || key.n != 1 + DIGEST_BYTES + 8)
                        break;
                from = next_grant(key);
                r = open_one(i, a, key, value, now, mono);
                if (r < 0)
                        return r;
                left = true;
                if (r > 0) {
                        opened++;
                        from = prefix;
                }
        }
        if (r == 0 && opened == 0 && !left)
                i->waits = false;
        return r < 0 ? r : opened;
}

int inbox_receipts(struct inbox *i, struct arena *a, struct wall_time now, struct mono_time mono, struct mono_time *ret_at)
{
        return receipts_run(i->receipts, a, now, mono, ret_at);
}

int inbox_release(struct inbox *i, struct arena *a, const struct digest *grant, uint64_t stream_seq)
{
        struct agent_key prefix = agent_key_bytes(agent_key(AGENT_OPENED), bytes_digest(grant)), k;
        struct bytes key, value;
        int r = 0;

        (void)a;
        while ((r = keep_next(store_state(i->ag->store), &prefix, NULL, &key, &value)) > 0) {
                if (key.n != prefix.n + 8 || get_be64(key.p + prefix.n) > stream_seq)
                        return 0;
                i->opened_bytes -= value.n < i->opened_bytes ? value.n : i->opened_bytes;
                k = agent_key_bytes((struct agent_key){ .n = 0 }, key);
                r = keep_del(i->ag->store, &k);
                if (r < 0)
                        return r;
        }
        return r;
}
