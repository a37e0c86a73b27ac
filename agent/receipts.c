/* receipts: see receipts.h. */
#include "agent/receipts.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/acts.h"
#include "agent/flow.h"
#include "agent/inbox.h"
#include "agent/replica.h"
#include "common/envelope.h"
#include "common/kind.h"

#define CLOCK_RETRY_NS 1000000000ull

struct waiting { struct digest grant; struct flow_unreceipted since; };

struct receipts {
        struct agent *ag;
        struct waiting *list;
        size_t n, room;
};

static struct waiting *find(struct receipts *r, const struct digest *grant)
{
        for (size_t i = 0; i < r->n; i++)
                if (digest_equal(&r->list[i].grant, grant))
                        return &r->list[i];
        return NULL;
}

static struct waiting *find_or_add(struct receipts *r, const struct digest *grant)
{
        struct waiting *w = find(r, grant), *grown;

        if (w)
                return w;
        if (r->n == r->room) {
                size_t room = r->room ? 2 * r->room : 16;

                grown = realloc(r->list, room * sizeof(*grown));
                if (!grown)
                        return NULL;
                r->list = grown;
                r->room = room;
        }
        r->list[r->n] = (struct waiting){ .grant = *grant };
        return &r->list[r->n++];
}

int receipts_note(struct receipts *r, const struct digest *grant, struct mono_time now, bool nack)
{
        struct waiting *w = find_or_add(r, grant);

        if (!w)
                return -ENOMEM;
        flow_unreceipted_add(&w->since, now, nack);
        return 0;
}

static int find_waiting(struct receipts *r, struct arena *a)
{
        struct agent_key prefix = agent_key(AGENT_CURSOR), from = prefix;
        Shuyi__Agent__CursorRow *c;
        struct bytes key, value;
        struct digest grant;
        int e;

        while ((e = keep_next(store_state(r->ag->store), &prefix, &from, &key, &value)) > 0) {
                from = keep_after(key);
                e = keep_decode(a, value, &shuyi__agent__cursor_row__descriptor, &c);
                if (e < 0)
                        return e;
                if (c->opened <= c->receipted || !bytes_copy_exact(bytes_of(from.b + 1, from.n - 2), grant.b, DIGEST_BYTES))
                        continue;
                e = receipts_note(r, &grant, (struct mono_time){ 1 }, c->nack != 0);
                if (e < 0)
                        return e;
        }
        return e;
}

int receipts_new(struct agent *ag, struct receipts **ret)
{
        struct receipts *r = calloc(1, sizeof(*r));
        struct arena *a = arena_new(64 * 1024 * 1024);
        int e = r && a ? 0 : -ENOMEM;

        if (e == 0) {
                r->ag = ag;
                e = find_waiting(r, a);
        }
        arena_free(a);
        if (e < 0) {
                receipts_free(r);
                return e;
        }
        *ret = r;
        return 0;
}

void receipts_free(struct receipts *r)
{
        if (!r)
                return;
        free(r->list);
        free(r);
}

static int fill_deltas(struct arena *a, const Shuyi__Agent__CursorRow *c, Shuyi__V1__DeliveryReceiptBody *body)
{
        size_t n = c->opened - c->receipted;

        if (c->n_acquired_at != n)
                return -EBADMSG;
        body->acquired_at = c->acquired_at[0];
        body->deltas = ARENA_ARRAY(a, uint64_t, n);
        if (!body->deltas)
                return -ENOMEM;
        for (size_t i = 1; i < n; i++)
                body->deltas[i - 1] = c->acquired_at[i] > c->acquired_at[i - 1] ? c->acquired_at[i] - c->acquired_at[i - 1] : 0;
        body->n_deltas = n - 1;
        return 0;
}

int receipts_sign(struct receipts *r, struct arena *a, const struct digest *grant, Shuyi__Agent__CursorRow *c, struct wall_time now)
{
        Shuyi__V1__DeliveryReceiptBody body = SHUYI__V1__DELIVERY_RECEIPT_BODY__INIT;
        Shuyi__V1__Intent in = SHUYI__V1__INTENT__INIT;
        Shuyi__V1__Nack nack = SHUYI__V1__NACK__INIT, *nacks = &nack;
        struct digest digest;
        int e = fill_deltas(a, c, &body);

        if (e < 0)
                return e;
        body.first = c->receipted + 1;
        body.last = c->opened;
        body.last_digest = c->opened_digest;
        if (c->nack && c->nack_seq == c->opened) {
                nack.stream_seq = c->nack_seq;
                nack.code = c->nack;
                nack.count = c->nack_count;
                body.nacks = &nacks;
                body.n_nacks = 1;
        }
        in.kind = KIND_DELIVERY_RECEIPT;
        in.grant = keep_copy(a, bytes_digest(grant));
        in.stream = c->stream;
        e = acts_make(r->ag, a, &in, &body.base, now, false, &digest);
        if (e < 0)
                return e;
        c->receipted = c->opened;
        c->n_acquired_at = 0;
        metrics_inc(r->ag->block, M_RECEIPTS, 0);
        return 0;
}

static int sign_one(struct receipts *r, struct arena *a, struct waiting *w, struct wall_time now)
{
        Shuyi__Agent__CursorRow *c;
        int e = inbox_cursor(store_state(r->ag->store), a, &w->grant, &c);

        if (e <= 0 || c->opened <= c->receipted || c->stream.len == 0)
                return e < 0 ? e : 0;
        e = receipts_sign(r, a, &w->grant, c, now);
        return e < 0 ? e : inbox_cursor_put(r->ag, a, &w->grant, c);
}

/* A clock that jumped would sign a time that the center refuses, and with it every later receipt of the stream: what waits
 * stays in its cursor until the newest head is of our time again.  1, 0, or a fault. */
static int clock_fits(struct agent *ag, struct arena *a, struct wall_time now)
{
        struct replica_terms terms = replica_terms_now(ag, a);
        Shuyi__Agent__ReplicaRow *head;
        int e = replica_get(store_state(ag->store), a, &head);

        return e < 0 ? e : replica_trust(head, &terms, now, false, NULL) == FLOW_FRESH;
}

static bool any_due(const struct receipts *r, struct mono_time mono)
{
        for (size_t i = 0; i < r->n; i++)
                if (flow_receipt_due(&r->list[i].since, mono, &(struct mono_time){ 0 }))
                        return true;
        return false;
}

int receipts_run(struct receipts *r, struct arena *a, struct wall_time now, struct mono_time mono, struct mono_time *ret_at)
{
        int signed_ = 0, fits = any_due(r, mono) ? clock_fits(r->ag, a, now) : 1;

        if (fits <= 0) {
                ret_at->ns = mono.ns + CLOCK_RETRY_NS;
                return fits;
        }

        ret_at->ns = UINT64_MAX;
        for (size_t i = 0; i < r->n;) {
                struct mono_time at = { UINT64_MAX };
                int e;

                if (!flow_receipt_due(&r->list[i].since, mono, &at)) {
                        if (at.ns < ret_at->ns)
                                ret_at->ns = at.ns;
                        i++;
                        continue;
                }
                e = sign_one(r, a, &r->list[i], now);
                if (e < 0)
                        return e;
                signed_++;
                r->list[i] = r->list[--r->n];
        }
        return signed_;
}

int receipts_told(struct agent *ag, struct arena *a, struct bytes envelope)
{
        const Shuyi__V1__DeliveryReceiptBody *body;
        Shuyi__Agent__CursorRow *c;
        const struct claim *claim;
        struct digest grant;
        int r;

        if (envelope_parse(a, envelope, &claim) != ACCEPTED || !bytes_copy_exact(keep_bytes(claim->intent->grant), grant.b, DIGEST_BYTES))
                return -EBADMSG;
        body = (const void *)claim->open_body;
        if (!body || body->n_nacks == 0)
                return 0;
        r = inbox_cursor(store_state(ag->store), a, &grant, &c);
        if (r <= 0)
                return r;
        c->nack_told = true;
        return inbox_cursor_put(ag, a, &grant, c);
}
