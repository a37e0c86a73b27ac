/* front_send: what leaves for deliver and for peers. */
#include "broker/front.h"
#include "common/macro.h"
#include <errno.h>
#include <stdlib.h>

/* ---- telling deliver ---- */

/* An acknowledgement of more takes the place of one that still waits. */
static bool replace_late(struct front *f, struct news *n)
{
        for (unsigned i = 0; n->kind == NEWS_ACKED && i < f->late_n; i++)
                if (f->late[i]->kind == NEWS_ACKED && f->late[i]->session == n->session) {
                        f->late[i]->acked = n->acked;
                        free(n);
                        return true;
                }
        return false;
}

void front_tell(struct front *f, struct news *n)
{
        if (f->late_n == 0 && news_queue_try_push(&f->broker->news, n) == 0)
                return;
        if (replace_late(f, n))
                return;
        if (f->late_n == ELEMENTS(f->late))
                broker_fail("front.deliver_stalled", -ENOBUFS);
        f->late[f->late_n++] = n;
}

void front_tell_late(struct front *f)
{
        unsigned done = 0;

        while (done < f->late_n && news_queue_try_push(&f->broker->news, f->late[done]) == 0)
                done++;
        memmove(f->late, f->late + done, (f->late_n - done) * sizeof(f->late[0]));
        f->late_n -= done;
}

struct news *front_news_of(const struct peer *p, enum news_kind kind)
{
        struct news *n = calloc(1, sizeof(*n));

        if (!n)
                broker_fail("front.memory", -ENOMEM);
        n->kind = kind;
        n->link = p->link;
        n->session = p->session.session;
        return n;
}

/* ---- sending ---- */

/* The session is over.  The peer stays for a while, dead: what is still on its way from that connection begins no new one. */
void front_retire(struct front *f, struct peer *p)
{
        p->session.state = SESSION_DEAD;
        p->retired_at = f->now;
        if (peers_current(&f->peers, p->link) != p)
                return;
        front_tell(f, front_news_of(p, NEWS_CLOSED));
        peers_set_current(&f->peers, p->link, NULL);
        atomic_fetch_sub(&f->broker->links_open, 1);
}

void front_cut(struct front *f, struct peer *p)
{
        metrics_inc(f->counts, M_CUT, 0);
        log_event(LOG_NOTICE, "link.cut", log_u64("link", p->link), log_str("address", p->address));
        link_cut(p->fd, p->port);
        front_retire(f, p);
}

/* False: the peer is gone (retired). */
static bool after_send(struct front *f, struct peer *p, uint8_t type, int r)
{
        if (r == 0) {
                metrics_inc(f->counts, M_SENT, type);
                session_server_spoke(&p->session, f->now);
                return true;
        }
        metrics_inc(f->counts, M_SEND_FAILED, 0);
        log_event(LOG_INFO, "link.unsent", log_u64("link", p->link), log_errno("fault", r));
        front_cut(f, p);                        /* it comes back and goes on where it was: nothing is lost in silence */
        return false;
}

bool front_send_bytes(struct front *f, struct peer *p, struct bytes frame)
{
        return after_send(f, p, frame.n > 0 ? frame.p[0] : 0, frame.n == 0 ? -EMSGSIZE : link_server_send(f->server, &p->route, frame));
}

bool front_send_frame(struct front *f, struct peer *p, enum frame_type type, const ProtobufCMessage *m)
{
        arena_reset(f->scratch);
        return front_send_bytes(f, p, frame_encode(f->scratch, type, m));
}

bool front_send_busy(struct front *f, struct peer *p, const struct session_action *act)
{
        Shuyi__V1__Busy busy = SHUYI__V1__BUSY__INIT;

        busy.lane = act->lane;
        busy.outbox_seq = act->number;
        busy.reason = act->reason;
        busy.retry_ms = act->retry_ms;
        metrics_inc(f->counts, M_BUSY, act->reason);
        return front_send_frame(f, p, FRAME_BUSY, &busy.base);
}

void front_send_bye(struct front *f, struct peer *p, const struct session_action *act)
{
        Shuyi__V1__Bye bye = SHUYI__V1__BYE__INIT;

        bye.code = act->code;
        bye.retry_ms = act->retry_ms;
        bye.detail = (char *)(act->detail ? act->detail : "");
        log_event(LOG_NOTICE, "link.bye", log_u64("link", p->link), log_str("code", refusal_text(act->code)->code), log_str("detail", act->detail));
        if (front_send_frame(f, p, FRAME_BYE, &bye.base) && p->session.state != SESSION_DRAINING)
                front_retire(f, p);
}

void front_send_ping(struct front *f, struct peer *p, enum frame_type type, uint64_t time)
{
        Shuyi__V1__Ping ping = SHUYI__V1__PING__INIT;

        ping.time = time;
        front_send_frame(f, p, type, &ping.base);
}

/* ---- what the others send ---- */

/* On a thread of the link's: what stands in `x` was written before `given` was. */
static void free_sent(void *bytes, void *owner)
{
        struct outgoing *x = owner;

        if (atomic_load_explicit(&x->given, memory_order_acquire))
                outgoing_free(x);
}

/* To its link, which frees it once it is encrypted. */
static void give(struct front *f, struct peer *p, struct outgoing *x)
{
        uint8_t type = x->type;

        atomic_store_explicit(&x->given, true, memory_order_release);
        after_send(f, p, type, link_server_give(f->server, &p->route, bytes_of(x->bytes, x->n), free_sent, x));
}

/* Takes `x`. */
static void pass_on(struct front *f, struct outgoing *x)
{
        struct peer *p = peers_current(&f->peers, x->link);
        struct session_action act;

        if (!p || (x->session != 0 && x->session != p->session.session)) {
                outgoing_free(x);
                return;
        }
        if (x->type == FRAME_PAGE && p->questions > 0)
                p->questions--;
        for (unsigned i = 0; i < x->settled_n && x->busy == 0; i++)
                session_server_settle(&p->session, x->settled[i].lane, x->settled[i].number);
        if (x->busy != 0) {
                act = session_server_busy(&p->session, x->settled[0].lane, x->settled[0].number, x->busy, FRONT_BUSY_RETRY_MS * 5);
                front_send_busy(f, p, &act);
                outgoing_free(x);
                return;
        }
        if (x->type == FRAME_PARCEL && session_server_sent(&p->session, x->window_bytes, f->now) != x->number)
                broker_fail("front.parcel_number", -EPROTO);
        give(f, p, x);
}

void front_take_parcels(struct front *f)
{
        struct outgoing *x;

        for (unsigned i = 0; i < FRONT_FRAMES_A_TURN * 4 && outgoing_queue_take(&f->broker->parcels, 0, &x) > 0; i++)
                pass_on(f, x);
}
