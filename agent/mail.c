/* mail: see mail.h. */
#include "agent/mail.h"

#include <errno.h>

#include "agent/acts.h"
#include "agent/alarms.h"
#include "agent/inbox.h"
#include "agent/prover.h"
#include "agent/replica.h"
#include "common/log.h"
#include "common/seal.h"

#define ASK_AGAIN_MS 60000

static struct agent_key mail_key(uint64_t number)
{
        return agent_key_u64(agent_key(AGENT_MAIL), number);
}

/* Whoever subscribes, again too, waits for an epoch that names him: the view's next link is one. */
static int ask_for_epoch(struct agent *ag, struct arena *a, struct bytes grant)
{
        struct rows rows = { store_state(ag->store), a, 0 };
        Shuyi__V1__GrantRow *row = rows_grant(&rows, grant);
        Shuyi__Agent__ViewRow *v;
        struct digest view, stream;
        struct agent_key k;
        int r;

        if (!row || !bytes_copy_exact(keep_bytes(row->view), view.b, DIGEST_BYTES))
                return rows.fault;
        stream = stream_id(&ag->self.agent, &view);
        k = agent_key_bytes(agent_key(AGENT_VIEW), bytes_digest(&stream));
        r = keep_get(rows.state, a, &k, &shuyi__agent__view_row__descriptor, &v);
        if (r <= 0)
                return r;
        v->stale = true;
        return keep_put(ag->store, a, &k, &v->base);
}

/* A SUBSCRIBE whose grant we serve; the broker judged it, the grant itself is checked when an epoch is made. */
static int note_subscriber(struct agent *ag, struct arena *a, const Shuyi__V1__Parcel *p, const struct claim *c)
{
        Shuyi__Agent__SubscriberRow row = SHUYI__AGENT__SUBSCRIBER_ROW__INIT;
        struct agent_key k = agent_key_bytes(agent_key(AGENT_SUBSCRIBER), keep_bytes(c->intent->grant));
        int r;

        row.digest = keep_binary(bytes_digest(&c->header_digest));
        row.seq = p->seq;
        row.at = p->accepted_at;
        r = keep_put(ag->store, a, &k, &row.base);
        return r < 0 ? r : ask_for_epoch(ag, a, keep_bytes(c->intent->grant));
}

static int look_inside(struct agent *ag, struct arena *a, const Shuyi__V1__Parcel *p, bool *ret_subscriber)
{
        struct replica_keys keys = { store_state(ag->store), ag->self.anchor, a };
        struct key_source source = replica_key_source(&keys);
        const struct claim *c;

        if (p->code != ACCEPTED || p->envelope.len == 0 || envelope_verify(a, keep_bytes(p->envelope), &source, &c) != ACCEPTED)
                return 0;
        if (c->kind->number != KIND_SUBSCRIBE || c->intent->grant.len != DIGEST_BYTES)
                return 0;
        *ret_subscriber = true;
        return note_subscriber(ag, a, p, c);
}

static int put_mail(struct agent *ag, struct arena *a, const Shuyi__V1__Parcel *p)
{
        Shuyi__Agent__MailRow row = SHUYI__AGENT__MAIL_ROW__INIT;
        struct agent_key k = mail_key(p->cursor), old;
        int r;

        row.seq = p->seq;
        row.epoch = p->epoch;
        row.accepted_at = p->accepted_at;
        row.notice = p->notice;
        row.code = p->code;
        row.envelope = p->envelope;
        r = keep_put(ag->store, a, &k, &row.base);
        if (r < 0 || p->cursor <= MAIL_KEPT)
                return r;
        old = mail_key(p->cursor - MAIL_KEPT);
        r = keep_del(ag->store, &old);
        return r < 0 ? r : 0;
}

/* Numbers of a feed have no holes but where the center put an entry aside, or retention took it: people look at both. */
static int tell_missing(struct agent *ag, struct arena *a, uint64_t held, uint64_t came)
{
        char *detail = arena_printf(a, "%llu of them, up to %llu", (unsigned long long)(came - held - 1), (unsigned long long)(came - 1));

        if (held == 0 || came == held + 1)
                return 0;
        return alarms_raise(ag, a, times_wall(), &(struct alarm){ .kind = ALARM_MAIL_MISSING, .about = held + 1, .detail = detail });
}

int mail_take(struct agent *ag, struct arena *a, const Shuyi__V1__Parcel *p, bool *ret_subscriber)
{
        Shuyi__Agent__ReplicaRow *row;
        const struct claim *claim;
        int r = replica_get(store_state(ag->store), a, &row);

        if (r < 0 || p->cursor <= row->mail)
                return r < 0 ? r : 0;
        if (p->envelope.len > 0) {
                if (envelope_parse(a, keep_bytes(p->envelope), &claim) != ACCEPTED)
                        return -EBADMSG;
                prover_heard(ag->prover, a, claim->intent->seen, claim->wire);
        }
        r = tell_missing(ag, a, row->mail, p->cursor);
        if (r >= 0)
                r = put_mail(ag, a, p);
        if (r >= 0)
                r = look_inside(ag, a, p, ret_subscriber);
        row->mail = p->cursor;
        if (r >= 0)
                r = replica_put(ag->store, a, row);
        return r < 0 ? r : 1;
}

/* ---- subscribing ---- */

static int send_subscribe(struct agent *ag, struct arena *a, const struct digest *grant, Shuyi__Agent__CursorRow *c, struct wall_time now, struct digest *ret)
{
        Shuyi__V1__SubscribeBody body = SHUYI__V1__SUBSCRIBE_BODY__INIT;
        Shuyi__V1__Intent in = SHUYI__V1__INTENT__INIT;
        int r;

        in.kind = KIND_SUBSCRIBE;
        in.grant = keep_copy(a, bytes_digest(grant));
        r = acts_make(ag, a, &in, &body.base, now, true, ret);
        if (r < 0)
                return r;
        c->asked = true;
        c->asked_at = now.ms;
        c->asked_digest = keep_copy(a, bytes_digest(ret));
        log_event(LOG_INFO, "mail.subscribe", log_digest("grant", grant), log_digest("envelope", ret));
        return inbox_cursor_put(ag, a, grant, c);
}

/* Asked for already, and not refused since?  A refused one may be asked again after a while. */
static bool waits(struct agent *ag, struct arena *a, const Shuyi__Agent__CursorRow *c, struct wall_time now)
{
        Shuyi__Agent__ActRow *act;
        struct digest d;

        if (!c->asked || !bytes_copy_exact(keep_bytes(c->asked_digest), d.b, DIGEST_BYTES))
                return false;
        if (acts_find(store_state(ag->store), a, &d, &act) <= 0)
                return true;
        return act->state != ACT_RECEIVED || act->code == ACCEPTED || now.ms < c->asked_at + ASK_AGAIN_MS;
}

int mail_subscribe_one(struct agent *ag, struct arena *a, const struct digest *grant, struct wall_time now, struct digest *ret)
{
        struct rows rows = { store_state(ag->store), a, 0 };
        Shuyi__V1__GrantRow *row = rows_grant(&rows, bytes_digest(grant));
        Shuyi__Agent__CursorRow *c;
        int r;

        if (!row)
                return rows.fault < 0 ? rows.fault : -ENOENT;
        if (!bytes_equal(keep_bytes(row->agent), bytes_id(&ag->self.agent)))
                return -EPERM;
        r = inbox_cursor(store_state(ag->store), a, grant, &c);
        return r < 0 ? r : send_subscribe(ag, a, grant, c, now, ret);
}

static int ask_for(struct agent *ag, struct arena *a, struct bytes key, struct bytes value, struct wall_time now)
{
        Shuyi__V1__GrantRow *row;
        Shuyi__Agent__CursorRow *c;
        struct digest grant, digest;
        int r;

        if (!bytes_copy_exact(bytes_of(key.p + 1, key.n - 1), grant.b, DIGEST_BYTES))
                return 0;
        r = keep_decode(a, value, &shuyi__v1__grant_row__descriptor, &row);
        if (r < 0 || row->state != GRANT_ACTIVE || !bytes_equal(keep_bytes(row->agent), bytes_id(&ag->self.agent)))
                return r < 0 ? r : 0;
        r = inbox_cursor(store_state(ag->store), a, &grant, &c);
        if (r < 0 || c->nack || waits(ag, a, c, now))
                return r < 0 ? r : 0;
        r = send_subscribe(ag, a, &grant, c, now, &digest);
        return r < 0 ? r : 1;
}

int mail_subscribe(struct agent *ag, struct arena *a, struct wall_time now)
{
        uint8_t table = TABLE_GRANT;
        struct bytes prefix = bytes_of(&table, 1), from = prefix, key, value;
        struct state s = store_state(ag->store);
        struct agent_key after;
        int asked = 0, r;

        while ((r = s.ops->next(s.ctx, prefix, from, &key, &value)) > 0) {
                after = keep_after(key);
                from = agent_key_get(&after);
                r = ask_for(ag, a, bytes_of(after.b, after.n - 1), value, now);
                if (r < 0)
                        return r;
                asked += r;
        }
        return r < 0 ? r : asked;
}
