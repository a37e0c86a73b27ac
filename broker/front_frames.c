/* front_frames: what comes from peers: sessions, PUTs that become tickets, READs that become questions. */
#include "broker/front.h"
#include "broker/peek.h"
#include "common/fold.h"
#include "common/macro.h"
#include <errno.h>
#include <stdlib.h>

#define QUESTIONS_A_LINK 64

/* ---- a session opens ---- */

static uint64_t known_epoch(struct front *f, uint32_t link)
{
        struct store_snapshot *snapshot;
        uint64_t highest = 0;

        if (store_snapshot_open(f->broker->store, &snapshot) < 0)
                return 0;               /* the sequencer checks again */
        arena_reset(f->scratch);
        for (uint8_t lane = 0; lane < SESSION_LANES; lane++) {
                uint8_t number[4];
                const Shuyi__V1__LaneRow *row;

                put_be32(number, link);
                row = FOLD_ROW(store_snapshot_state(snapshot), f->scratch, shuyi__v1__lane_row__descriptor, TABLE_LANE, bytes_of(number, 4), bytes_of(&lane, 1));
                if (row && row->outbox_epoch > highest)
                        highest = row->outbox_epoch;
        }
        store_snapshot_close(snapshot);
        return highest;
}

static void welcome(struct front *f, struct peer *p, const Shuyi__V1__Hello *hello)
{
        Shuyi__V1__Welcome w = SHUYI__V1__WELCOME__INIT;
        Shuyi__V1__LaneCredit credit[SESSION_LANES], *rows[SESSION_LANES];
        struct peer *old = peers_current(&f->peers, p->link);
        struct news *n = front_news_of(p, NEWS_OPENED);

        n->hello.agent = p->agent;
        memcpy(n->hello.department, p->department, sizeof(n->hello.department));
        n->hello.outbox_epoch = hello->outbox_epoch;
        n->hello.trust_seq = hello->trust_seq;
        n->hello.mail = hello->mail;
        n->hello.parcel_frames = p->session.parcel_frames;
        n->hello.parcel_bytes = p->session.parcel_bytes;
        log_event(LOG_INFO, "link.open", log_u64("link", p->link), log_id("agent", &p->agent), log_str("address", p->address), log_str("software", hello->software));
        session_server_welcome(&p->session, &w, credit, rows);
        w.log_epoch = f->broker->epoch;
        w.log_size = atomic_load(&f->broker->synced);
        w.stable_seq = w.log_size;
        w.broker_time = times_wall().ms;
        if (old && old != p)
                front_retire(f, old);
        if (!peers_current(&f->peers, p->link))
                atomic_fetch_add(&f->broker->links_open, 1);
        peers_set_current(&f->peers, p->link, p);
        front_tell(f, n);
        front_send_frame(f, p, FRAME_WELCOME, &w.base);
}

/* ---- a PUT ---- */

/* 0, or why it is not taken now. */
static enum busy obstacle(struct front *f, struct peer *p, const struct ticket *t)
{
        enum space_step step = (enum space_step)atomic_load(&f->broker->space_step);
        bool stopped = atomic_load(&f->broker->clock_stopped);
        uint64_t in_pipe = atomic_load(&f->broker->pipeline_bytes);
        const struct kind *kind;
        struct peek peek;

        if (atomic_load(&f->draining))
                return BUSY_DRAIN;
        if (in_pipe + t->wire.n > (t->lane == 0 ? f->budget : f->budget - f->reserve))
                return BUSY_LOAD;
        if (f->quota > 0 && peer_used_today(p, times_wall()) + t->wire.n > f->quota)
                return BUSY_QUOTA;
        if (!stopped && step < SPACE_NO_DATA)
                return 0;
        kind = peek_envelope(t->wire, &peek) ? kind_find(peek.kind) : NULL;
        if (!kind)
                return 0;               /* verify refuses it */
        if (stopped && kind->number != KIND_CLOCK)
                return BUSY_CLOCK;
        return space_takes(step, kind) ? 0 : BUSY_SPACE;
}

static struct ticket *ticket_of(struct front *f, struct peer *p, struct link_frame **frame, struct frame *ret)
{
        struct ticket *t = ticket_new();

        if (!t)
                broker_fail("front.memory", -ENOMEM);
        t->frame = TAKE(*frame);
        t->link = p->link;
        t->session = p->session.session;
        t->taken_in = f->now;
        if (frame_decode(t->arena, t->frame->body, FRAME_TO_BROKER, ret) != ACCEPTED) {
                ticket_free(t);
                return NULL;
        }
        t->lane = ret->put->lane < SESSION_LANES ? (uint8_t)ret->put->lane : 0;
        t->outbox_epoch = ret->put->outbox_epoch;
        t->outbox_seq = ret->put->outbox_seq;
        t->wire = bytes_of(ret->put->envelope.data, ret->put->envelope.len);
        return t;
}

static void submit(struct front *f, struct peer *p, struct ticket *t, bool again)
{
        enum busy busy = again ? 0 : obstacle(f, p, t);

        if (busy != 0) {
                struct session_action act = session_server_busy(&p->session, t->lane, t->outbox_seq, busy, busy == BUSY_QUOTA ? 60000 : FRONT_BUSY_RETRY_MS);

                front_send_busy(f, p, &act);
                ticket_free(t);
                return;
        }
        t->again = again;
        if (!again) {
                peer_use(p, t->wire.n);
                atomic_fetch_add(&f->broker->pipeline_bytes, t->wire.n);
        }
        verify_push(f->verify, t);
}

/* ---- a READ ---- */

static void refuse_read(struct front *f, struct peer *p, uint32_t number)
{
        Shuyi__V1__Page page = SHUYI__V1__PAGE__INIT;

        page.number = number;
        page.code = E_QUOTA;
        page.detail = "too many reads at once";
        front_send_frame(f, p, FRAME_PAGE, &page.base);
}

static void ask(struct front *f, struct peer *p, struct link_frame **frame, struct arena **arena, const Shuyi__V1__Read *read)
{
        struct question *q = calloc(1, sizeof(*q));

        if (!q)
                broker_fail("front.memory", -ENOMEM);
        q->link = p->link;
        q->session = p->session.session;
        q->agent = p->agent;
        memcpy(q->department, p->department, sizeof(q->department));
        q->read = read;
        q->need_seq = read->need_seq;
        q->until.ns = f->now.ns + 10000000000ull;
        q->frame = TAKE(*frame);
        q->arena = TAKE(*arena);
        if (p->questions < QUESTIONS_A_LINK && question_queue_try_push(&f->broker->questions, q) == 0) {
                p->questions++;
                return;
        }
        refuse_read(f, p, read->number);
        question_free(q);
}

/* ---- frames ---- */

void front_act_on(struct front *f, struct peer *p, const struct session_action *act, const struct frame *frame)
{
        if (act->why != SESSION_WHY_OK)
                metrics_inc(f->counts, M_IGNORED, act->why);
        switch (act->what) {
        case SESSION_SEND_WELCOME:
                welcome(f, p, frame->hello);
                break;
        case SESSION_SEND_BUSY:
                front_send_busy(f, p, act);
                break;
        case SESSION_ACKED: {
                struct news *n = front_news_of(p, NEWS_ACKED);

                n->acked = act->number;
                front_tell(f, n);
                break;
        }
        case SESSION_SEND_PING:
        case SESSION_SEND_PONG:
                front_send_ping(f, p, act->what == SESSION_SEND_PING ? FRAME_PING : FRAME_PONG, act->number);
                break;
        case SESSION_SEND_BYE:
                front_send_bye(f, p, act);
                break;
        case SESSION_CUT:
                front_cut(f, p);
                break;
        case SESSION_CLOSED:
                front_retire(f, p);
                break;
        default:
                break;
        }
}

static void take_put(struct front *f, struct peer *p, struct link_frame **in)
{
        struct frame frame;
        struct ticket *t = ticket_of(f, p, in, &frame);
        struct session_action act;

        if (!t) {
                act = session_server_garbage(&p->session, f->now);
                front_act_on(f, p, &act, NULL);
                return;
        }
        act = session_server_frame(&p->session, &frame, NULL, f->now);
        if (act.what == SESSION_SUBMIT || act.what == SESSION_REPEAT) {
                submit(f, p, t, act.what == SESSION_REPEAT);
                return;
        }
        front_act_on(f, p, &act, &frame);
        ticket_free(t);
}

static void take_other(struct front *f, struct peer *p, struct link_frame **in)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct session_peer about = { .domain = f->broker->domain, .agent = p->agent };
        struct session_action act;
        struct frame frame;

        if (!a)
                broker_fail("front.memory", -ENOMEM);
        if (frame_decode(a, (*in)->body, FRAME_TO_BROKER, &frame) != ACCEPTED) {
                act = session_server_garbage(&p->session, f->now);
                front_act_on(f, p, &act, NULL);
                return;
        }
        if (frame.type == FRAME_HELLO)
                about.outbox_epoch = known_epoch(f, p->link);
        act = session_server_frame(&p->session, &frame, &about, f->now);
        if (act.what == SESSION_SERVE_READ)
                ask(f, p, in, &a, frame.read);
        else if (act.what == SESSION_SEND_PONG) {
                act.number = frame.ping->time;
                front_act_on(f, p, &act, &frame);
        } else
                front_act_on(f, p, &act, &frame);
}

void front_take_frame(struct front *f, struct link_frame *in)
{
        const struct keydir_link *link = keydir_find_link(f->directory, in->key);
        _cleanup_(link_frame_freep) struct link_frame *frame = in;
        struct peer *p = peers_find(&f->peers, &in->route);
        uint8_t type = in->body.n > 0 ? in->body.p[0] : 0;

        metrics_inc(f->counts, M_FRAMES, frame_find(type) ? type : 0);
        metrics_add(f->counts, M_FRAME_BYTES, 0, in->body.n);
        if (!link || link->revoked) {           /* was let in before it was revoked */
                metrics_inc(f->counts, M_REFUSED, counters_refusal_label(E_CRED));
                if (p)
                        front_retire(f, p);
                link_cut(in->fd, link_port(in->fd));
                metrics_inc(f->counts, M_CUT, 0);
                return;
        }
        if (!p) {
                p = peers_add(&f->peers, in, link);
                if (!p)
                        broker_fail("front.memory", -ENOMEM);
                session_server_init(&p->session, ++f->last_session, &f->limits, f->now);
        }
        if (type == FRAME_PUT)
                take_put(f, p, &frame);
        else
                take_other(f, p, &frame);
}
