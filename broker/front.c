/* front: the ROUTER, sessions, credit; what comes in is bounded here and nowhere later.
 *
 * A frame's identity is the key that ZAP admitted, never the routing id; every frame is held against the directory
 * again, so a revoked link is out at once.  One session a link: a new HELLO takes the place of the old one.  A PUT that may
 * go on becomes a ticket; one that may not is answered BUSY, and its lane goes back to it.  This thread never waits for
 * another: what deliver has no room for yet is kept and offered again. */
#include "broker/broker.h"
#include "broker/fold.h"
#include "broker/peek.h"
#include "broker/peers.h"
#include "common/macro.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define FRAMES_A_TURN 256
#define TICK_MS 50
#define QUESTIONS_A_LINK 64
#define BUSY_RETRY_MS 200
#define DRAIN_RETRY_MS 1000
#define FORGET_MS 10000                         /* after its end a session's connection is ignored for so long */

struct front {
        struct broker *broker;
        struct verify *verify;
        struct link_server *server;
        pthread_t thread;
        struct metrics_block *counts;
        struct peers peers;
        struct keydir *directory;       /* of this turn */
        struct session_limits limits;
        uint64_t budget, reserve, quota;
        uint64_t last_session;
        struct arena *scratch;          /* for frames of ours */
        struct news *late[4096];        /* to deliver, when it has room */
        unsigned late_n;
        struct mono_time now, ticked;
        _Atomic bool stopping, draining;
        bool drained;
};

/* ---- telling deliver ---- */

static void tell(struct front *f, struct news *n)
{
        if (f->late_n == 0 && news_queue_try_push(&f->broker->news, n) == 0)
                return;
        if (f->late_n == ELEMENTS(f->late))
                broker_fail("front.deliver_stalled", -ENOBUFS);
        f->late[f->late_n++] = n;
}

static void tell_late(struct front *f)
{
        unsigned done = 0;

        while (done < f->late_n && news_queue_try_push(&f->broker->news, f->late[done]) == 0)
                done++;
        memmove(f->late, f->late + done, (f->late_n - done) * sizeof(f->late[0]));
        f->late_n -= done;
}

static struct news *news_of(const struct peer *p, enum news_kind kind)
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
static void retire(struct front *f, struct peer *p)
{
        p->session.state = SESSION_DEAD;
        p->retired_at = f->now;
        if (peers_current(&f->peers, p->link) != p)
                return;
        tell(f, news_of(p, NEWS_CLOSED));
        peers_set_current(&f->peers, p->link, NULL);
        atomic_fetch_sub(&f->broker->links_open, 1);
}

static void cut(struct front *f, struct peer *p)
{
        metrics_inc(f->counts, M_CUT, 0);
        log_event(LOG_NOTICE, "link.cut", log_u64("link", p->link), log_str("address", p->address));
        link_cut(p->fd, p->port);
        retire(f, p);
}

/* False: the peer is gone (retired). */
static bool send_bytes(struct front *f, struct peer *p, struct bytes frame)
{
        int r = frame.n == 0 ? -EMSGSIZE : link_server_send(f->server, &p->route, frame);

        if (r == 0) {
                metrics_inc(f->counts, M_SENT, frame.p[0]);
                session_server_spoke(&p->session, f->now);
                return true;
        }
        metrics_inc(f->counts, M_SEND_FAILED, 0);
        log_event(LOG_INFO, "link.unsent", log_u64("link", p->link), log_errno("fault", r));
        cut(f, p);                              /* it comes back and goes on where it was: nothing is lost in silence */
        return false;
}

static bool send_frame(struct front *f, struct peer *p, enum frame_type type, const ProtobufCMessage *m)
{
        arena_reset(f->scratch);
        return send_bytes(f, p, frame_encode(f->scratch, type, m));
}

static bool send_busy(struct front *f, struct peer *p, const struct session_action *act)
{
        Shuyi__V1__Busy busy = SHUYI__V1__BUSY__INIT;

        busy.lane = act->lane;
        busy.outbox_seq = act->number;
        busy.reason = act->reason;
        busy.retry_ms = act->retry_ms;
        metrics_inc(f->counts, M_BUSY, act->reason);
        return send_frame(f, p, FRAME_BUSY, &busy.base);
}

static void send_bye(struct front *f, struct peer *p, const struct session_action *act)
{
        Shuyi__V1__Bye bye = SHUYI__V1__BYE__INIT;

        bye.code = act->code;
        bye.retry_ms = act->retry_ms;
        bye.detail = (char *)(act->detail ? act->detail : "");
        log_event(LOG_NOTICE, "link.bye", log_u64("link", p->link), log_str("code", refusal_text(act->code)->code), log_str("detail", act->detail));
        if (send_frame(f, p, FRAME_BYE, &bye.base) && p->session.state != SESSION_DRAINING)
                retire(f, p);
}

static void send_pong(struct front *f, struct peer *p, enum frame_type type, uint64_t time)
{
        Shuyi__V1__Ping ping = SHUYI__V1__PING__INIT;

        ping.time = time;
        send_frame(f, p, type, &ping.base);
}

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
        struct news *n = news_of(p, NEWS_OPENED);

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
                retire(f, old);
        if (!peers_current(&f->peers, p->link))
                atomic_fetch_add(&f->broker->links_open, 1);
        peers_set_current(&f->peers, p->link, p);
        tell(f, n);
        send_frame(f, p, FRAME_WELCOME, &w.base);
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
                struct session_action act = session_server_busy(&p->session, t->lane, t->outbox_seq, busy, busy == BUSY_QUOTA ? 60000 : BUSY_RETRY_MS);

                send_busy(f, p, &act);
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
        send_frame(f, p, FRAME_PAGE, &page.base);
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

static void act_on(struct front *f, struct peer *p, const struct session_action *act, const struct frame *frame)
{
        if (act->why != SESSION_WHY_OK)
                metrics_inc(f->counts, M_IGNORED, act->why);
        switch (act->what) {
        case SESSION_SEND_WELCOME:
                welcome(f, p, frame->hello);
                break;
        case SESSION_SEND_BUSY:
                send_busy(f, p, act);
                break;
        case SESSION_ACKED: {
                struct news *n = news_of(p, NEWS_ACKED);

                n->acked = act->number;
                tell(f, n);
                break;
        }
        case SESSION_SEND_PING:
        case SESSION_SEND_PONG:
                send_pong(f, p, act->what == SESSION_SEND_PING ? FRAME_PING : FRAME_PONG, act->number);
                break;
        case SESSION_SEND_BYE:
                send_bye(f, p, act);
                break;
        case SESSION_CUT:
                cut(f, p);
                break;
        case SESSION_CLOSED:
                retire(f, p);
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
                act_on(f, p, &act, NULL);
                return;
        }
        act = session_server_frame(&p->session, &frame, NULL, f->now);
        if (act.what == SESSION_SUBMIT || act.what == SESSION_REPEAT) {
                submit(f, p, t, act.what == SESSION_REPEAT);
                return;
        }
        act_on(f, p, &act, &frame);
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
                act_on(f, p, &act, NULL);
                return;
        }
        if (frame.type == FRAME_HELLO)
                about.outbox_epoch = known_epoch(f, p->link);
        act = session_server_frame(&p->session, &frame, &about, f->now);
        if (act.what == SESSION_SERVE_READ)
                ask(f, p, in, &a, frame.read);
        else if (act.what == SESSION_SEND_PONG) {
                act.number = frame.ping->time;
                act_on(f, p, &act, &frame);
        } else
                act_on(f, p, &act, &frame);
}

static void take_frame(struct front *f, struct link_frame *in)
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
                        retire(f, p);
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

/* ---- what the others send ---- */

static void pass_on(struct front *f, struct outgoing *x)
{
        struct peer *p = peers_current(&f->peers, x->link);
        struct session_action act;

        if (!p || (x->session != 0 && x->session != p->session.session))
                return;
        if (x->type == FRAME_PAGE && p->questions > 0)
                p->questions--;
        for (unsigned i = 0; i < x->settled_n && x->busy == 0; i++)
                session_server_settle(&p->session, x->settled[i].lane, x->settled[i].number);
        if (x->busy != 0) {
                act = session_server_busy(&p->session, x->settled[0].lane, x->settled[0].number, x->busy, BUSY_RETRY_MS * 5);
                send_busy(f, p, &act);
                return;
        }
        if (x->type == FRAME_PARCEL && session_server_sent(&p->session, x->window_bytes, f->now) != x->number)
                broker_fail("front.parcel_number", -EPROTO);
        send_bytes(f, p, bytes_of(x->bytes, x->n));
}

static void take_parcels(struct front *f)
{
        struct outgoing *x;

        for (unsigned i = 0; i < FRAMES_A_TURN * 4 && outgoing_queue_take(&f->broker->parcels, 0, &x) > 0; i++) {
                pass_on(f, x);
                outgoing_free(x);
        }
}

/* ---- a turn ---- */

static void read_limits(struct front *f)
{
        struct session_limits limits = SESSION_LIMITS_DEFAULT;

        for (unsigned lane = 0; lane < SESSION_LANES; lane++) {
                limits.frames[lane] = (uint32_t)broker_setting(f->broker, S_CREDIT_FRAMES);
                limits.bytes[lane] = (uint32_t)broker_setting(f->broker, S_CREDIT_BYTES);
        }
        limits.heartbeat_ms = (uint32_t)broker_setting(f->broker, S_HEARTBEAT);
        f->limits = limits;
        f->budget = (uint64_t)broker_setting(f->broker, S_BUDGET);
        f->reserve = (uint64_t)broker_setting(f->broker, S_RESERVE);
        if (f->reserve > f->budget / 2)
                f->reserve = f->budget / 2;
        f->quota = (uint64_t)broker_setting(f->broker, S_QUOTA);
}

/* What a SIGHUP changed is told to each open session.  False: the peer is gone. */
static bool tell_credit(struct front *f, struct peer *p)
{
        for (uint32_t lane = 0; lane < SESSION_LANES; lane++) {
                Shuyi__V1__LaneCredit credit = SHUYI__V1__LANE_CREDIT__INIT;

                if (!session_server_set_credit(&p->session, lane, f->limits.frames[lane], f->limits.bytes[lane]))
                        continue;
                credit.lane = lane;
                credit.frames = f->limits.frames[lane];
                credit.bytes = f->limits.bytes[lane];
                if (!send_frame(f, p, FRAME_CREDIT, &credit.base))
                        return false;
        }
        return true;
}

static void tick_peer(struct peer *p, void *arg)
{
        struct front *f = arg;
        const struct keydir_link *link = keydir_link_at(f->directory, p->link);
        struct session_action act;

        if (p->session.state == SESSION_DEAD) {
                if (f->now.ns - p->retired_at.ns >= FORGET_MS * 1000000ull)
                        peers_remove(&f->peers, p);
                return;
        }
        if (!link || link->revoked) {
                cut(f, p);
                return;
        }
        if (atomic_load(&f->draining) && p->session.state == SESSION_OPEN) {
                act = session_server_drain(&p->session, DRAIN_RETRY_MS);
                act_on(f, p, &act, NULL);
                return;
        }
        if (p->session.state == SESSION_OPEN && !tell_credit(f, p))
                return;
        act = session_server_tick(&p->session, f->now);
        if (act.what != SESSION_NOTHING)
                act_on(f, p, &act, NULL);
}

static void tick(struct front *f)
{
        f->ticked = f->now;
        read_limits(f);
        peers_each(&f->peers, tick_peer, f);
        atomic_store(&f->broker->heartbeat[0], f->now.ns);
}

static void *run(void *arg)
{
        struct front *f = arg;
        int fd = outgoing_queue_fd(&f->broker->parcels);

        while (!atomic_load(&f->stopping)) {
                struct link_frame *in;
                bool ready;

                link_server_wait(f->server, &fd, &ready, 1, f->late_n > 0 ? 1 : TICK_MS);
                f->now = times_mono();
                f->directory = keydir_slot_get(f->broker->directory);
                for (unsigned i = 0; i < FRAMES_A_TURN; i++) {
                        int r = link_server_receive(f->server, &in);

                        if (r == -EAGAIN)
                                break;
                        if (r == 0)
                                take_frame(f, in);
                }
                take_parcels(f);
                tell_late(f);
                if (f->now.ns - f->ticked.ns >= TICK_MS * 1000000ull)
                        tick(f);
                keydir_unref(f->directory);
                f->directory = NULL;
        }
        f->now = times_mono();
        take_parcels(f);                /* what was made durable last is still told */
        return NULL;
}

/* ---- ZAP: on its own thread, reads the slot only ---- */

static enum link_admission admit(void *ctx, const uint8_t key[LINK_KEY_BYTES], const char *address, struct id *ret_agent)
{
        struct broker *b = ctx;
        struct keydir *d = keydir_slot_get(b->directory);
        const struct keydir_link *link = d ? keydir_find_link(d, key) : NULL;
        enum link_admission a = !d || !atomic_load(&b->ready) ? LINK_NOT_READY : link && !link->revoked ? LINK_ADMIT : LINK_DENY;

        if (a == LINK_ADMIT)
                *ret_agent = link->agent;
        if (a == LINK_DENY)
                log_event(LOG_NOTICE, "link.denied", log_str("address", address), log_str("code", refusal_text(link ? E_CRED : E_UNKNOWN_AGENT)->code),
                          log_hex("key", bytes_of(key, LINK_KEY_BYTES)));
        keydir_unref(d);
        return a;
}

/* ---- start and stop ---- */

static const char *endpoint_for(const char *configured, char *buffer, size_t n)
{
        size_t len = strlen(configured);

        if (len < 2 || strcmp(configured + len - 2, ":0") != 0)
                return configured;
        snprintf(buffer, n, "%.*s*", (int)(len - 1), configured);
        return buffer;
}

int front_start(struct broker *b, struct verify *v, struct front **ret)
{
        struct front *f = calloc(1, sizeof(*f));
        char buffer[300];
        struct link_server_options o;
        int r;

        if (!f)
                return -ENOMEM;
        f->broker = b;
        f->verify = v;
        f->counts = metrics_block_new(b->metrics);
        f->scratch = arena_new(4 << 20);
        f->last_session = times_wall().ms << 16;        /* never used before, by an earlier run either */
        read_limits(f);
        o = (struct link_server_options){
                .endpoint = endpoint_for(config_string(b->config, S_LISTEN), buffer, sizeof(buffer)), .secret_key = secret_peek(b->keys.link),
                .admit = admit, .admit_ctx = b, .handshake_ms = (int)broker_setting(b, S_HANDSHAKE), .send_hwm = 2048,
        };
        r = peers_init(&f->peers);
        if (r == 0)
                r = link_server_open(b->links, &o, &f->server);
        if (r == 0) {
                atomic_store(&b->ready, true);
                r = -pthread_create(&f->thread, NULL, run, f);
        }
        if (r < 0) {
                link_server_close(f->server);
                peers_fini(&f->peers);
                arena_free(f->scratch);
                free(f);
                return r;
        }
        *ret = f;
        return 0;
}

const char *front_endpoint(const struct front *f)
{
        return link_server_endpoint(f->server);
}

void front_counts(const struct front *f, struct link_counts *ret)
{
        link_server_counts(f->server, ret);
}

void front_drain(struct front *f)
{
        atomic_store(&f->draining, true);
}

void front_stop(struct front *f)
{
        if (!f)
                return;
        atomic_store(&f->stopping, true);
        pthread_join(f->thread, NULL);
        for (unsigned i = 0; i < f->late_n; i++)
                free(f->late[i]);
        link_server_close(f->server);
        peers_fini(&f->peers);
        arena_free(f->scratch);
        free(f);
}
