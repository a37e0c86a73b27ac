/* link: the turns.  See link.h. */
#include "agent/link.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "agent/link_internal.h"
#include "agent/mail.h"
#include "agent/prover.h"
#include "agent/replica.h"
#include "agent/sealkeys.h"
#include "agent/tidy.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/macro.h"

#define FRAMES_AT_ONCE 256
#define CARE_MS 1000
#define PACE_MS 4                               /* between commits under load */
#define BUSY_WORK 16
#define LAZY_MS 10                             /* what nobody waits for is committed this late at most */
#define ITEM_MAX_BYTES (64 * 1024 * 1024)
#define FRAMES_MAX_BYTES (256 * 1024 * 1024)

/* ---- the turn's transaction ---- */

int link_begin(struct link *l)
{
        int r;

        if (l->begun)
                return 0;
        r = store_begin(l->ag->store);
        if (r == 0)
                l->begun = true;
        return r;
}

int link_item(struct link *l, link_item_fn fn, const void *item)
{
        int r = link_begin(l);

        if (r == 0)
                r = store_group_begin_reserved(l->ag->store);
        if (r < 0)
                return r;
        arena_reset(l->item);
        r = fn(l, l->item, item);
        if (r < 0) {
                store_group_abort(l->ag->store);
                return r;
        }
        return store_group_commit(l->ag->store) < 0 ? -EIO : r;
}

static struct session_timing timing = SESSION_TIMING_DEFAULT;

/* Numbers and inbox as the store has them. */
static int start_over(struct link *l)
{
        uint64_t first[SESSION_LANES], end[SESSION_LANES];
        Shuyi__Agent__OutboxRow *box;
        int r = link_begin(l);

        inbox_free(TAKE(l->inbox));
        link_fail_reads(l, -ECANCELED);
        l->ag->prover = NULL;
        prover_free(TAKE(l->prover));
        arena_reset(l->item);
        if (r == 0)
                r = inbox_new(l->ag, &l->inbox);
        if (r == 0)
                r = prover_new(l, &l->prover);
        l->ag->prover = l->prover;
        if (r == 0)
                r = outbox_get(store_state(l->ag->store), l->item, &box);
        if (r < 0)
                return r;
        for (uint32_t lane = 0; lane < SESSION_LANES; lane++) {
                first[lane] = outbox_first(box, lane);
                end[lane] = outbox_next(box, lane);
        }
        session_client_init(&l->session, &timing, box->epoch, first, end);
        sealer_replan(l->sealer);
        store_abort(l->ag->store);
        l->begun = l->settled_open = false;
        l->commit_at.ns = 0;
        return 0;
}

static int commit(struct link *l)
{
        struct mono_time start = times_mono();
        int r;

        if (!l->begun)
                return 0;
        l->begun = false;
        if (l->sealed)
                FAILPOINT("sealed.before_commit");
        if (l->settled_open)
                FAILPOINT("settled.before_commit");
        if (l->opened)
                FAILPOINT("inbox.before_commit");
        FAILPOINT("turn.before_commit");
        r = store_commit(l->ag->store);
        FAILPOINT("turn.after_commit");
        l->committed_at = times_mono();
        metrics_observe(l->ag->block, M_COMMIT, 0, l->committed_at.ns - start.ns);
        l->status.store_fault = r;
        if (r == 0 && l->sealed)
                FAILPOINT("sealed.after_commit");
        if (r == 0 && l->settled_open)
                FAILPOINT("settled.after_commit");
        if (r == 0 && l->opened)
                FAILPOINT("inbox.after_commit");
        l->settled_open = false;
        l->commit_at.ns = 0;
        return r;
}

/* Receipts, and where a sink has got to, wait for a commit that somebody needs: until then the store has them still to come, as
 * the broker and the file can give them again. */
static bool may_wait(struct link *l)
{
        if (l->urgent || !l->begun || !store_written(l->ag->store))
                return false;
        if (!l->commit_at.ns)
                l->commit_at.ns = l->mono.ns + LAZY_MS * 1000000ull;
        return l->mono.ns < l->commit_at.ns;
}

static void end_turn(struct link *l)
{
        int r;

        if (may_wait(l)) {
                link_release(l, false);
                return;
        }
        r = commit(l);
        if (r < 0) {
                log_event(LOG_ERR, "link.commit", log_errno("fault", r));
                link_again(l, 1000);
                if (start_over(l) < 0)
                        log_event(LOG_CRIT, "link.store_unreadable");
        } else {
                link_release(l, true);
        }
        link_tell_jobs(l, r);
}

/* ---- care ---- */

static int tidy(struct link *l, struct arena *a)
{
        if (l->tidied_at.ns && l->mono.ns < l->tidied_at.ns + TIDY_MS * 1000000ull)
                return 0;
        l->tidied_at = l->mono;
        return tidy_run(l->ag, a, l->now);
}

static int run_care(struct link *l, struct arena *a, const void *item)
{
        struct agent *ag = l->ag;
        int r = sealkeys_run(ag, a, l->now);

        (void)item;
        if (r >= 0 && config_bool(ag->config, S_SUBSCRIBE))
                r = mail_subscribe(ag, a, l->now);
        if (r >= 0)
                r = silence_watch(&l->silence, ag, a, l->session.phase == SESSION_SENDING, l->now);
        if (r >= 0)
                r = tidy(l, a);
        if (r >= 0)
                r = outbox_forget(ag, a, l->now.ms - (uint64_t)config_int(ag->config, S_KEEP_PUSHES));
        return r;
}

static void gauges(struct link *l)
{
        Shuyi__Agent__ReplicaRow *row;
        struct store_room room;

        arena_reset(l->item);
        if (replica_get(store_state(l->ag->store), l->item, &row) >= 0 && row->head_at && row->head_at <= l->now.ms)
                metrics_set(l->ag->metrics, M_HEAD_AGE, 0, (l->now.ms - row->head_at) * 1000000);
        if (store_room(l->ag->store, &room) == 0)
                metrics_set(l->ag->metrics, M_STORE_USED, 0, room.permille);
        metrics_set(l->ag->metrics, M_LINK_STATE, 0, l->session.phase == SESSION_SENDING);
}

static void care(struct link *l)
{
        int r;

        if (l->mono.ns < l->cared_at.ns + CARE_MS * 1000000ull)
                return;
        l->cared_at = l->mono;
        r = link_item(l, run_care, NULL);
        if (r < 0)
                log_event(LOG_ERR, "link.care", log_errno("fault", r));
        resume_run(l);
        gauges(l);
}

/* ---- one turn ---- */

static int run_waiting(struct link *l, struct arena *a, const void *item)
{
        int r = inbox_open_waiting(l->inbox, a, l->now, l->mono);

        (void)item;
        l->opened |= r > 0;
        l->urgent |= r > 0;
        return r;
}

static int run_receipts(struct link *l, struct arena *a, const void *item)
{
        int r = inbox_receipts(l->inbox, a, l->now, l->mono, &l->receipt_at);

        (void)item;
        l->urgent |= r > 0;
        return r;
}

static void seal(struct link *l)
{
        const struct session_outlane *lane = &l->session.lanes[1];
        struct sealer_credit credit = { .open = session_client_has_credit(&l->session, 1) };
        int r;

        if (credit.open && lane->credit_frames > lane->frames)
                credit.frames = lane->credit_frames - lane->frames;
        if (credit.open && lane->credit_bytes > lane->bytes)
                credit.bytes = lane->credit_bytes - lane->bytes;
        if (credit.open && credit.frames == 0)
                credit.frames = 1;
        r = link_begin(l);
        if (r == 0)
                r = sealer_run(l->sealer, credit, l->now, l->mono, &l->seal_at);
        if (r < 0)
                log_event(LOG_ERR, "link.seal", log_errno("fault", r));
        else
                l->work += (unsigned)r;
        l->sealed = r > 0;
        l->urgent |= r > 0;
}

static void take_frames(struct link *l)
{
        struct link_frame *f = NULL;
        unsigned status = 0;
        enum link_event e;
        int r = 0;

        while ((e = link_client_event(l->client, &status)) != LINK_EVENT_NONE)
                link_on_event(l, e, status);
        for (int i = 0; i < FRAMES_AT_ONCE && !l->reopen_at.ns && l->settled_n < LINK_SETTLED_MAX / 2; i++) {
                r = link_client_receive(l->client, &f);
                if (r == -EBADMSG)
                        continue;
                if (r < 0)
                        break;
                link_on_frame(l, f->body);
                link_frame_free(TAKE(f));
                if (arena_used(l->frames) > FRAMES_MAX_BYTES / 4)
                        break;
        }
}

static void open_socket(struct link *l)
{
        if (!l->reopen_at.ns || l->mono.ns < l->reopen_at.ns)
                return;
        if (link_client_reopen(l->client) < 0) {
                l->reopen_at.ns = l->mono.ns + 1000000000ull;
                return;
        }
        l->reopen_at.ns = 0;
        session_client_connecting(&l->session, l->mono);
        l->status.link = l->status.link == AGENT_LINK_DENIED ? AGENT_LINK_DENIED : AGENT_LINK_CONNECTING;
}

static void begin_turn(struct link *l)
{
        l->now = times_wall();
        l->mono = times_mono();
        l->work = l->settled_n = 0;
        l->parcel_kept = 0;
        l->opened = l->sealed = l->urgent = false;
        arena_reset(l->frames);
}

static void turn(struct link *l)
{
        int r;

        begin_turn(l);
        open_socket(l);
        take_frames(l);
        link_on_tick(l);
        link_take_jobs(l);
        care(l);
        if (inbox_waits(l->inbox))
                link_item(l, run_waiting, NULL);
        r = link_item(l, run_receipts, NULL);
        if (r < 0)
                log_event(LOG_ERR, "link.receipts", log_errno("fault", r));
        prover_run(l->prover);
        seal(l);
        l->busy = l->work >= BUSY_WORK;
        end_turn(l);
        for (unsigned lane = 0; lane < SESSION_LANES; lane++)
                l->status.unsettled[lane] = session_client_unsettled(&l->session, lane);
        l->status.acts_sent = l->session.lanes[0].send;
        agent_status_set(l->ag, &l->status);
}

static int wait_ms(struct link *l)
{
        uint64_t at = l->mono.ns + CARE_MS * 1000000ull, now = times_mono().ns;
        uint64_t session = session_client_deadline(&l->session).ns;

        if (l->seal_at.ns < at)
                at = l->seal_at.ns;
        if (l->receipt_at.ns < at)
                at = l->receipt_at.ns;
        if (l->commit_at.ns && l->commit_at.ns < at)
                at = l->commit_at.ns;
        if (!l->reopen_at.ns && session < at)
                at = session;
        if (l->reopen_at.ns && l->reopen_at.ns < at)
                at = l->reopen_at.ns;
        return at <= now ? 0 : (int)((at - now) / 1000000) + 1;
}

/* Under load a commit waits a little for company. */
static void pace(struct link *l)
{
        uint64_t now = times_mono().ns, next = l->committed_at.ns + PACE_MS * 1000000ull;

        if (l->busy && now < next)
                nanosleep(&(struct timespec){ 0, (long)(next - now) }, NULL);
}

static void *loop(void *arg)
{
        struct link *l = arg;
        int fds[2] = { l->stop_fd, job_queue_fd(&l->ag->jobs) };
        bool ready[2] = { false };

        pthread_setname_np(pthread_self(), "link");
        while (!ready[0]) {
                link_client_wait(l->client, fds, ready, 2, wait_ms(l));
                pace(l);
                turn(l);
        }
        begin_turn(l);
        link_fail_reads(l, -ECANCELED);
        link_tell_jobs(l, commit(l));
        return NULL;
}

/* ---- start and stop ---- */

static int open_client(struct link *l)
{
        struct link_client_options o = {
                .endpoint = l->ag->self.endpoint,
                .server_key = l->ag->self.broker_key,
                .secret_key = secret_peek(l->ag->self.keys.link),
        };
        int r = link_context_new(&l->context);

        return r < 0 ? r : link_client_open(l->context, &o, &l->client);
}

int link_start(struct agent *ag, struct link **ret)
{
        struct link *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        l->ag = ag;
        ag->link = l;
        l->jobs_end = &l->jobs;
        l->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        l->item = arena_new(ITEM_MAX_BYTES);
        l->frames = arena_new(FRAMES_MAX_BYTES);
        l->sealer = sealer_new(ag);
        l->status.link = AGENT_LINK_CONNECTING;
        r = l->stop_fd < 0 ? -errno : l->item && l->frames && l->sealer ? 0 : -ENOMEM;
        if (r == 0)
                r = open_client(l);
        if (r == 0)
                r = start_over(l);
        if (r == 0) {
                l->mono = times_mono();
                session_client_connecting(&l->session, l->mono);
                r = -pthread_create(&l->thread, NULL, loop, l);
                l->running = r == 0;
        }
        if (r < 0) {
                link_stop(l);
                return r;
        }
        *ret = l;
        return 0;
}

void link_stop(struct link *l)
{
        if (!l)
                return;
        if (l->running) {
                eventfd_write(l->stop_fd, 1);
                pthread_join(l->thread, NULL);
        }
        link_cancel_jobs(l);
        store_abort(l->ag->store);
        link_client_close(l->client);
        link_context_free(l->context);
        inbox_free(l->inbox);
        l->ag->prover = NULL;
        prover_free(l->prover);
        sealer_free(l->sealer);
        arena_free(l->item);
        arena_free(l->frames);
        if (l->stop_fd >= 0)
                close(l->stop_fd);
        free(l);
}

struct inbox *link_inbox(struct link *l)
{
        return l->inbox;
}

void link_replan(struct link *l)
{
        sealer_replan(l->sealer);
}
