/* front: the ROUTER, sessions, credit; what comes in is bounded here and nowhere later.
 *
 * A frame's identity is the key that ZAP admitted, never the routing id; every frame is held against the directory
 * again, so a revoked link is out at once.  One session a link: a new HELLO takes the place of the old one.  A PUT that may
 * go on becomes a ticket; one that may not is answered BUSY, and its lane goes back to it.  This thread never waits for
 * another: what deliver has no room for yet is kept and offered again. */
#include "broker/front.h"
#include "common/macro.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TICK_MS 50
#define DRAIN_RETRY_MS 1000
#define FORGET_MS 10000                         /* after its end a session's connection is ignored for so long */

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
                if (!front_send_frame(f, p, FRAME_CREDIT, &credit.base))
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
                front_cut(f, p);
                return;
        }
        if (atomic_load(&f->draining) && p->session.state == SESSION_OPEN) {
                act = session_server_drain(&p->session, DRAIN_RETRY_MS);
                front_act_on(f, p, &act, NULL);
                return;
        }
        if (p->session.state == SESSION_OPEN && !tell_credit(f, p))
                return;
        act = session_server_tick(&p->session, f->now);
        if (act.what != SESSION_NOTHING)
                front_act_on(f, p, &act, NULL);
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

        pthread_setname_np(pthread_self(), "front");
        while (!atomic_load(&f->stopping)) {
                struct link_frame *in;
                bool ready;

                link_server_wait(f->server, &fd, &ready, 1, f->late_n > 0 ? 1 : TICK_MS);
                f->now = times_mono();
                f->directory = keydir_slot_get(f->broker->directory);
                for (unsigned i = 0; i < FRONT_FRAMES_A_TURN; i++) {
                        int r = link_server_receive(f->server, &in);

                        if (r == -EAGAIN)
                                break;
                        if (r == 0)
                                front_take_frame(f, in);
                        else if (r == -EBADMSG)         /* of several parts, or without identity */
                                metrics_inc(f->counts, M_IGNORED, SESSION_WHY_FORM);
                }
                front_take_parcels(f);
                front_tell_late(f);
                if (f->now.ns - f->ticked.ns >= TICK_MS * 1000000ull)
                        tick(f);
                keydir_unref(f->directory);
                f->directory = NULL;
        }
        f->now = times_mono();
        front_take_parcels(f);                /* what was made durable last is still told */
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
