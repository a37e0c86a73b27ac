/* link_frames: what the broker says, and what the session says to do about it.  See link.h. */
#include <errno.h>
#include <sodium.h>

#include "agent/acts.h"
#include "agent/leaf.h"
#include "agent/link_internal.h"
#include "agent/mail.h"
#include "agent/prover.h"
#include "agent/receipts.h"
#include "agent/replica.h"
#include "common/log.h"
#include "common/receipt.h"
#include "common/words.h"

#define BLOCKED_RETRY_MS 1000
#define BROKEN_RETRY_MS 10000

int link_send(struct link *l, enum frame_type type, const ProtobufCMessage *m)
{
        struct bytes body = frame_encode(l->frames, type, m);
        int r = body.p ? link_client_send(l->client, body) : -EMSGSIZE;

        if (r == 0)
                session_client_spoke(&l->session, l->mono);
        return r;
}

void link_again(struct link *l, unsigned ms)
{
        link_client_pause(l->client);
        l->reopen_at.ns = l->mono.ns + (uint64_t)ms * 1000000;
        if (l->reopen_at.ns == 0)
                l->reopen_at.ns = 1;
        l->parcels_blocked = false;
        l->status.link = l->status.link == AGENT_LINK_DENIED ? AGENT_LINK_DENIED : AGENT_LINK_DOWN;
        link_fail_reads(l, -ENOTCONN);
}

void link_fail_reads(struct link *l, int fault)
{
        while (l->reads) {
                struct link_read *r = l->reads;

                l->reads = r->next;
                r->answered(r, NULL, fault);
        }
        l->reads_n = 0;
}

/* ---- HELLO ---- */

static void say_hello(struct link *l)
{
        Shuyi__V1__Hello h = SHUYI__V1__HELLO__INIT;
        Shuyi__V1__Lane lane[SESSION_LANES], *rows[SESSION_LANES];
        Shuyi__Agent__ReplicaRow *row;

        if (link_begin(l) < 0 || replica_get(store_state(l->ag->store), l->frames, &row) < 0)
                return;
        session_client_hello(&l->session, &h, lane, rows);
        h.domain = l->ag->self.domain;
        h.agent = keep_binary(bytes_id(&l->ag->self.agent));
        h.trust_seq = row->record_seq;
        h.mail = row->mail;
        h.log_epoch = row->log_epoch;
        h.log_size = row->log_size;
        h.software = (char *)"shuyi-agent/" SHUYI_VERSION;
        h.parcel_frames = SESSION_PARCEL_WINDOW;
        h.parcel_bytes = 4 << 20;
        link_send(l, FRAME_HELLO, &h.base);
}

/* ---- receipts ---- */

struct receipt_item { const Shuyi__V1__Receipt *receipt; const Shuyi__V1__ReceiptRow *row; struct bytes wire; const char **wrong; };

static int settle_row(struct link *l, struct arena *a, const struct receipt_item *i)
{
        const Shuyi__V1__ReceiptRow *row = i->row;
        Shuyi__Agent__SealedRow *sent;
        Shuyi__Agent__OutboxRow *box;
        int r = outbox_get(store_state(l->ag->store), a, &box);

        if (r < 0 || row->outbox_seq != outbox_first(box, row->lane))
                return r < 0 ? r : 0;           /* answered before, or ahead of what was sent again: it comes in its turn */
        r = outbox_find(store_state(l->ag->store), a, row->lane, row->outbox_seq, &sent);
        if (r <= 0)
                return r;
        if (row->seq > 0)
                *i->wrong = leaf_check(l->ag->self.domain, i->receipt->log_epoch, row, keep_bytes(sent->envelope));
        r = outbox_settle(l->ag, a, row->lane, sent, row->outbox_seq, row->seq > 0);
        if (r >= 0 && row->lane == 0)
                r = acts_settled(l->ag, a, sent, row, i->wire);
        if (r >= 0 && row->lane == 0 && sent->kind == KIND_DELIVERY_RECEIPT && row->code == ACCEPTED)
                r = receipts_told(l->ag, a, keep_bytes(sent->envelope));
        if (r >= 0 && row->lane == 1)
                r = sealer_settled(l->sealer, a, sent, row, l->now);
        metrics_inc(l->ag->block, M_SETTLED, 0);
        if (row->code)
                metrics_inc(l->ag->block, M_REFUSED, agent_refusal_index((enum refusal)row->code));
        return r < 0 ? r : 1;
}

static int run_row(struct link *l, struct arena *a, const void *item)
{
        return settle_row(l, a, item);
}

static int run_hold(struct link *l, struct arena *a, const void *item)
{
        const struct receipt_item *i = item;

        return prover_hold(l->prover, a, i->receipt, i->wire);
}

static void take_receipt(struct link *l, const Shuyi__V1__SignedReceipt *s)
{
        const Shuyi__V1__Receipt *receipt;
        const char *why = receipt_check(l->frames, s, l->ag->self.log_key, l->ag->self.domain, &l->ag->self.agent, &receipt);
        const char *wrong = NULL, *first_wrong = NULL;
        struct receipt_item item = { .wire = message_pack(l->frames, &s->base), .wrong = &wrong };
        unsigned entries = 0;
        uint64_t wrong_seq = 0;

        if (why) {
                metrics_inc(l->ag->block, M_CENTER_BAD, 0);
                log_event(LOG_ERR, "link.receipt_bad", log_str("why", why));
                link_again(l, BROKEN_RETRY_MS);
                return;
        }
        if (receipt->outbox_epoch != l->session.outbox_epoch)
                return;
        item.receipt = receipt;
        for (size_t i = 0; i < receipt->n_rows && l->settled_n < LINK_SETTLED_MAX; i++) {
                item.row = receipt->rows[i];
                wrong = NULL;
                if (item.row->lane >= SESSION_LANES || link_item(l, run_row, &item) <= 0)
                        continue;
                if (item.row->seq > l->seen_seq)
                        l->seen_seq = item.row->seq;
                l->settled[l->settled_n].lane = item.row->lane;
                l->settled[l->settled_n++].number = item.row->outbox_seq;
                l->settled_open = true;
                l->work++;
                entries += item.row->seq > 0;
                if (wrong && !first_wrong) {
                        first_wrong = wrong;
                        wrong_seq = item.row->seq;
                }
        }
        if (entries && link_item(l, run_hold, &item) < 0)
                log_event(LOG_ERR, "link.receipt_not_held", log_u64("rows", entries));
        if (first_wrong)
                prover_receipt_wrong(l->prover, wrong_seq, first_wrong);
}

/* ---- parcels ---- */

static int run_parcel(struct link *l, struct arena *a, const void *item)
{
        const Shuyi__V1__Parcel *p = item;
        bool subscriber = false;
        int r;

        switch (p->type) {
        case PARCEL_TRUST:
                r = replica_take(l->ag, a, p);
                if (r > 0)
                        sealer_replan(l->sealer);
                return r;
        case PARCEL_MAIL:
                r = mail_take(l->ag, a, p, &subscriber);
                if (subscriber)
                        sealer_replan(l->sealer);
                return r;
        case PARCEL_LINK:
                r = inbox_take(l->inbox, a, p, l->now, l->mono);
                l->opened |= r > 0;
                return r;
        default:
                return -EBADMSG;
        }
}

/* What cannot be kept now stops the acknowledging: the broker sends it again in the next session.  A link that is no link is a
 * fault of the broker that a repetition does not mend: it is told to the log and passed over. */
static void take_parcel(struct link *l, uint64_t number, const Shuyi__V1__Parcel *p)
{
        int r;

        if (l->parcels_blocked)
                return;
        l->work++;
        r = link_item(l, run_parcel, p);
        if (r >= 0 && p->seq > l->seen_seq)
                l->seen_seq = p->seq;
        if (r == -EBADMSG && p->type != PARCEL_TRUST) {
                metrics_inc(l->ag->block, M_CENTER_BAD, 0);
                log_event(LOG_ERR, "link.parcel_bad", log_u64("type", p->type), log_u64("cursor", p->cursor));
                r = 0;
        }
        if (r >= 0) {
                l->parcel_kept = number;
                l->urgent = true;               /* the acknowledgement */
                metrics_inc(l->ag->block, M_PARCELS, 0);
                return;
        }
        log_event(LOG_WARNING, "link.parcel_not_kept", log_u64("type", p->type), log_u64("cursor", p->cursor), log_errno("fault", r));
        l->parcels_blocked = true;
        link_again(l, r == -EBADMSG ? BROKEN_RETRY_MS : BLOCKED_RETRY_MS);
}

/* ---- pages ---- */

static void take_page(struct link *l, const Shuyi__V1__Page *page)
{
        for (struct link_read **p = &l->reads; *p; p = &(*p)->next) {
                struct link_read *r = *p;

                if (r->number != page->number)
                        continue;
                *p = r->next;
                l->reads_n--;
                r->answered(r, page, 0);
                return;
        }
}

/* ---- what the session says ---- */

static void opened(struct link *l, const Shuyi__V1__Welcome *w)
{
        l->status.link = AGENT_LINK_UP;
        l->status.link_code = ACCEPTED;
        l->status.link_why = NULL;
        l->status.session = w->session;
        l->status.log_epoch = w->log_epoch;
        l->status.log_size = w->log_size;
        l->status.connected_at = l->now;
        metrics_inc(l->ag->block, M_RECONNECTS, 0);
        log_event(LOG_NOTICE, "link.opened", log_u64("session", w->session), log_u64("log_size", w->log_size));
        prover_told_size(l->prover, w->log_epoch, w->log_size);
}

static unsigned ms_until(const struct link *l, struct mono_time at)
{
        return at.ns > l->mono.ns ? (unsigned)((at.ns - l->mono.ns) / 1000000) + 1 : 0;
}

static void carry_out(struct link *l, const struct session_action *act, const struct frame *f)
{
        Shuyi__V1__Ping ping = SHUYI__V1__PING__INIT;

        switch (act->what) {
        case SESSION_SEND_HELLO:
                say_hello(l);
                return;
        case SESSION_OPENED:
                opened(l, f->welcome);
                return;
        case SESSION_TAKE_RECEIPT:
                take_receipt(l, f->receipt);
                return;
        case SESSION_TAKE_PARCEL:
                take_parcel(l, act->number, f->parcel);
                return;
        case SESSION_TAKE_PAGE:
                take_page(l, f->page);
                return;
        case SESSION_SEND_PING:
                ping.time = l->now.ms;
                link_send(l, FRAME_PING, &ping.base);
                return;
        case SESSION_SEND_PONG:
                ping.time = act->number;
                link_send(l, FRAME_PONG, &ping.base);
                return;
        case SESSION_CLOSED:
        case SESSION_RECONNECT:
                if (act->why == SESSION_WHY_PROTOCOL || act->why == SESSION_WHY_FORM)
                        metrics_inc(l->ag->block, M_CENTER_BAD, 0);
                l->status.link_code = l->session.last_code;
                l->status.link_why = session_why_text(act->why);
                log_event(LOG_WARNING, "link.closed", log_str("why", session_why_text(act->why)), log_str("refusal", refusal_text(l->session.last_code)->code),
                          log_str("detail", act->detail), log_u64("again_ms", ms_until(l, act->at)));
                link_again(l, ms_until(l, act->at));
                return;
        default:
                return;
        }
}

void link_on_frame(struct link *l, struct bytes body)
{
        struct session_action act;
        struct frame f = { 0 };

        if (frame_decode(l->frames, body, FRAME_TO_AGENT, &f) != ACCEPTED) {
                act = session_client_garbage(&l->session, l->mono, randombytes_random());
                carry_out(l, &act, NULL);
                return;
        }
        act = session_client_frame(&l->session, &f, l->mono, randombytes_random());
        carry_out(l, &act, &f);
}

static void denied(struct link *l, unsigned zap_status)
{
        struct session_action act = session_client_denied(&l->session, E_UNKNOWN_AGENT, l->mono, randombytes_random());

        metrics_inc(l->ag->block, M_DENIED, 0);
        log_event(LOG_ERR, "link.denied", log_u64("status", zap_status), log_str("refusal", refusal_text(E_UNKNOWN_AGENT)->code),
                  log_str("todo", refusal_text(E_UNKNOWN_AGENT)->todo), log_str("rule", "R-004"));
        carry_out(l, &act, NULL);
        l->status.link = AGENT_LINK_DENIED;
        l->status.link_code = E_UNKNOWN_AGENT;
        l->status.link_why = "the broker knows no such agent, or it is revoked";
}

void link_on_event(struct link *l, enum link_event e, unsigned zap_status)
{
        struct session_action act;

        switch (e) {
        case LINK_EVENT_UP:
                act = session_client_up(&l->session, l->mono);
                carry_out(l, &act, NULL);
                return;
        case LINK_EVENT_DOWN:
                act = session_client_down(&l->session, l->mono);
                l->status.link = AGENT_LINK_DOWN;
                l->parcels_blocked = false;
                link_fail_reads(l, -ENOTCONN);
                log_event(LOG_WARNING, "link.down");
                carry_out(l, &act, NULL);
                return;
        case LINK_EVENT_DENIED:
                denied(l, zap_status);
                return;
        case LINK_EVENT_FAILED:
                l->status.link_why = "the handshake broke off: a wrong broker key, or no answer in time";
                return;
        case LINK_EVENT_UNREACHABLE:
                l->status.link_why = "nobody answers at the broker's address";
                return;
        case LINK_EVENT_NONE:
                return;
        }
}

void link_on_tick(struct link *l)
{
        struct session_action act = session_client_tick(&l->session, l->mono, randombytes_random());

        carry_out(l, &act, NULL);
        for (struct link_read **p = &l->reads; *p;) {
                struct link_read *r = *p;

                if (r->deadline.ns > l->mono.ns) {
                        p = &r->next;
                        continue;
                }
                *p = r->next;
                l->reads_n--;
                r->answered(r, NULL, -ETIMEDOUT);
        }
}
