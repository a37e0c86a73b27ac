/* sequence: puts everything into one order.  DESIGN 2.
 *
 * This thread alone writes the state.  It takes verified tickets in their order, stamps each with the next seq and time,
 * applies it, and adds it to the open group; closes the group (TRUST_HEAD where trust moved, then HEAD) when the
 * sync thread is free; and commits the state when everything in it is on disk.  So the state is never ahead of the log,
 * and nothing leaves before it is both applied and synced. */
#include "broker/sequence.h"
#include "common/failpoint.h"
#include <errno.h>
#include <stdlib.h>

/* The log is the truth, so a late commit costs nothing but a longer tail to apply after a crash; a commit, on the other hand,
 * is the one thing that an acknowledgement may have to stand behind.  So data are committed by what a restart may cost; what
 * somebody may look for (an act, a read that waits) soon. */
#define COMMIT_SOON_IDLE_NS 20000000ull         /* nothing to do for so long */
#define COMMIT_SOON_NS 100000000ull             /* at the latest */
#define COMMIT_LAZY_NS 1000000000ull
#define COMMIT_LAZY_ENTRIES 1024
#define COMMIT_LAZY_BYTES (8u << 20)
#define TALLY_NS 1000000000ull
#define TAKE_MAX 256

/* ---- a ticket ---- */

/* Is this number an entry already?  Then its receipt goes out again. */
static bool answer_again(struct sequence *s, struct ticket *t)
{
        struct fold_outcome o;
        uint64_t seq;
        int r = exchange_find_settled(store_state(s->broker->store), t->link, t->lane, t->outbox_epoch, t->outbox_seq, &seq);

        if (r > 0)
                r = fold_outcome_get(s->broker->store, seq, &o);
        if (r < 0)
                broker_fail("sequence.settled", r);
        if (r == 0)
                return false;
        t->settled_before = true;
        t->seq = seq;
        t->code = o.code;
        t->accepted_at = o.accepted_at;
        t->leaf = o.leaf;
        t->outcome.effects_digest = o.effects;
        t->detail = arena_strdup(t->arena, o.detail);
        if (!t->detail)
                t->detail = "";
        metrics_inc(s->counts, M_REPEATED, 0);
        return true;
}

/* Does what was said of this lane before settle it?  Behind a number that was taken back it goes back, too; what was refused
 * without an entry is refused again, whatever may have changed meanwhile: its sender holds that answer. */
static bool answer_as_before(struct sequence *s, struct ticket *t)
{
        enum refusal before;

        if (t->link == 0)
                return false;
        if (decided_is_behind(s->decided, t->link, t->lane, t->outbox_epoch, t->outbox_seq)) {
                t->busy = BUSY_SPACE;
                return true;
        }
        before = decided_find(s->decided, t->link, t->lane, t->outbox_epoch, t->outbox_seq);
        if (before == ACCEPTED)
                return false;
        t->code = before;
        t->detail = "";
        t->settled_before = true;
        metrics_inc(s->counts, M_REPEATED, 0);
        return true;
}

static void remember_refusal(struct sequence *s, const struct ticket *t)
{
        int r = decided_refuse(s->decided, t->link, t->lane, t->outbox_epoch, t->outbox_seq, t->code);

        if (r < 0)
                broker_fail("sequence.decided", r);
}

static void wish(struct sequence *s, enum commit_wish w)
{
        if (w > s->commit_wish)
                s->commit_wish = w;
}

/* An act may be looked for by whoever is told of it, and by others. */
static bool may_be_looked_for(const struct ticket *t)
{
        return t->link > 0 && t->seq > 0 && !t->settled_before && t->claim->kind->class == KIND_CONTROL && t->claim->kind->number != KIND_DELIVERY_RECEIPT;
}

static void handle(struct sequence *s, struct ticket *t)
{
        sequence_need_group(s);
        if (answer_again(s, t) || answer_as_before(s, t)) {
                sequence_group_take(s, t);
                return;
        }
        if (t->again) {                         /* long ago: nobody waits for it */
                ticket_free(t);
                return;
        }
        if (t->code == ACCEPTED && s->short_of_room && !space_takes(SPACE_RESERVED, t->claim->kind)) {
                sequence_send_back(s, t);
                sequence_group_take(s, t);
                return;
        }
        if (t->code == ACCEPTED && quarantine_holds(s->quarantine, &t->claim->envelope_digest))
                t->code = E_QUARANTINED;
        if (t->code == ACCEPTED)
                sequence_step(s, t);
        if (s->map_full) {
                sequence_group_take(s, t);
                return;
        }
        if (t->seq > 0 && t->code == ACCEPTED && t->claim->kind->number == KIND_CLOCK)
                clock_guard_state(&s->guard, s->fold.accepted_at, s->mono);
        if (t->link > 0 && t->seq == 0 && t->code != ACCEPTED)
                remember_refusal(s, t);
        if (may_be_looked_for(t))
                wish(s, COMMIT_SOON);
        sequence_count(s, t);
        sequence_group_take(s, t);
}

/* ---- the state ---- */

static uint64_t until(uint64_t now, uint64_t then)
{
        return then > now ? then - now : 0;
}

static bool tail_is_long(const struct sequence *s)
{
        return s->fold.seq - atomic_load(&s->broker->committed) >= COMMIT_LAZY_ENTRIES || s->uncommitted_bytes >= COMMIT_LAZY_BYTES;
}

/* In how long a commit is due, if nothing comes. */
static uint64_t commit_due_in(const struct sequence *s)
{
        uint64_t age = s->mono.ns - s->dirty_since.ns, idle = s->mono.ns - s->busy_at.ns;

        if (!s->dirty)
                return s->stopping && !s->clean ? 0 : UINT64_MAX;       /* an orderly end is marked, even after a quiet spell */
        if (s->stopping || s->commit_wish == COMMIT_NOW || tail_is_long(s))
                return 0;
        if (s->commit_wish == COMMIT_LAZY)
                return until(age, COMMIT_LAZY_NS);
        return until(age, COMMIT_SOON_NS) < until(idle, COMMIT_SOON_IDLE_NS) ? until(age, COMMIT_SOON_NS) : until(idle, COMMIT_SOON_IDLE_NS);
}

static bool commit_due(const struct sequence *s)
{
        return commit_due_in(s) == 0;
}

static void commit(struct sequence *s)
{
        struct store *store = s->broker->store;
        struct mono_time from = times_mono();
        struct store_room room;
        int r = store_is_open(store) ? 0 : store_begin(store);

        if (r == 0)
                r = fold_save(&s->fold);
        if (r == 0 && s->clean)
                r = fold_mark_clean(&s->fold);
        FAILPOINT("state.before_commit");
        if (r == 0)
                r = store_commit(store);
        if (r < 0)
                broker_fail("sequence.commit", r);
        FAILPOINT("state.after_commit");
        metrics_observe(s->counts, M_COMMIT, 0, times_mono().ns - from.ns);
        if (store_room(store, &room) == 0) {
                atomic_store(&s->broker->store_permille, room.permille);
                metrics_set(s->broker->metrics, M_STORE_BYTES, 0, room.file_bytes);
        }
        s->dirty = false;
        s->commit_wish = COMMIT_LAZY;
        s->uncommitted_bytes = 0;
        atomic_store(&s->broker->committed, s->fold.seq);
        metrics_set(s->broker->metrics, M_COMMITTED, 0, s->fold.seq);
}

/* ---- a turn ---- */

static void take_synced(struct sequence *s, struct synced *done)
{
        s->in_flight = false;
        sequence_keep_batch(s, done->batch);
        free(done);
}

static void take_work(struct sequence *s, struct work *w)
{
        switch (w->kind) {
        case WORK_TICKET:
                turnstile_put(&s->turnstile, (struct ticket *)w);
                break;
        case WORK_SYNCED:
                take_synced(s, (struct synced *)w);
                break;
        case WORK_HANDOVER:
                ((struct handover *)w)->next = s->handovers;
                s->handovers = (struct handover *)w;
                break;
        case WORK_COMMIT:
        case WORK_COMMIT_SOON:
                wish(s, w->kind == WORK_COMMIT ? COMMIT_NOW : COMMIT_SOON);
                free(w);
                break;
        case WORK_STOP:
                s->stopping = true;
                free(w);
                break;
        }
}

/* How long nothing can happen by itself. */
static int patience_ms(const struct sequence *s)
{
        uint64_t ns = 500000000ull, now = s->mono.ns;

        if (s->group && s->group->n > 0 && !s->in_flight)
                ns = until(now, s->sent.ns + SEQUENCE_GROUP_GAP_NS);
        if (!s->in_flight && commit_due_in(s) < ns)
                ns = commit_due_in(s);
        if (s->due.ms != UINT64_MAX && until(s->now.ms, s->due.ms) < 500 && until(s->now.ms, s->due.ms) * 1000000 < ns && s->guard.fault == CLOCK_GOOD)
                ns = until(s->now.ms, s->due.ms) * 1000000;
        return (int)((ns + 999999) / 1000000);
}

static void take_all(struct sequence *s)
{
        void *work[TAKE_MAX];
        int n = queue_take_many(s->broker->work.q, turnstile_peek(&s->turnstile) && !s->in_flight ? 0 : patience_ms(s), work, TAKE_MAX);

        for (int i = 0; i < n; i++)
                take_work(s, work[i]);
        s->mono = times_mono();
        s->wall = times_wall();
        if (n > 0)
                s->busy_at = s->mono;
        atomic_store(&s->broker->heartbeat[1], s->mono.ns);
}

static void watch_clock(struct sequence *s)
{
        bool was = s->guard.fault == CLOCK_GOOD, good = clock_guard_check(&s->guard, s->wall, s->mono);

        if (was && !good)
                log_event(LOG_ALERT, "clock.stopped", log_str("fault", clock_fault_name(s->guard.fault)));
        if (atomic_load(&s->broker->clock_stopped) && good)
                log_event(LOG_NOTICE, "clock.resumed", log_u64("seq", s->fold.seq));
        s->now = good && !s->guard.stated ? s->wall : clock_guard_now(&s->guard, s->mono);
        atomic_store(&s->broker->clock_stopped, !good);
        metrics_set(s->broker->metrics, M_CLOCK, 0, !good);
}

static void handle_tickets(struct sequence *s)
{
        struct ticket *t;

        while ((t = turnstile_peek(&s->turnstile)) && sequence_has_room(s, t->wire.n)) {
                turnstile_take(&s->turnstile);
                handle(s, t);
        }
        while (s->handovers && s->guard.fault == CLOCK_GOOD && sequence_has_room(s, HANDOVER_ROWS_MAX * sizeof(struct handover_row))) {
                struct handover *h = s->handovers;

                s->handovers = h->next;
                sequence_add_handover(s, h);
                free(h);
        }
}

static void speak(struct sequence *s)
{
        if (s->guard.fault != CLOCK_GOOD)
                return;
        if (s->due.ms <= s->now.ms && sequence_has_room(s, 0)) {
                sequence_add_tick(s);
                sequence_find_due(s);
        }
        if (s->tally.n > 0 && (s->stopping || s->mono.ns - s->tallied.ns >= TALLY_NS) && sequence_has_room(s, 0))
                sequence_add_refused(s);
        if (s->mono.ns - s->trust_head_at.ns >= s->trust_head_ns && sequence_has_room(s, 0)) {
                sequence_need_group(s);
                s->fold.trust_moved = true;
        }
}

static bool is_done(const struct sequence *s)
{
        return s->stopping && !s->in_flight && !s->dirty && s->clean && !s->group && !turnstile_peek(&s->turnstile) && (!s->handovers || s->guard.fault != CLOCK_GOOD);
}

static int open_run(struct sequence *s);

static void *run(void *arg)
{
        struct sequence *s = arg;

        pthread_setname_np(pthread_self(), "sequence");
        s->start_result = open_run(s);
        sem_post(&s->started);
        if (s->start_result < 0)
                return NULL;
        while (!is_done(s)) {
                bool hold;

                take_all(s);
                watch_clock(s);
                sequence_watch_load(s);
                hold = commit_due(s);           /* no more into the state until it is committed */
                if (!hold || s->stopping) {
                        handle_tickets(s);
                        speak(s);
                }
                if (sequence_may_close(s) || (s->group && s->group->n == 0 && !s->in_flight))
                        sequence_close_group(s);         /* an empty one holds a trust head that is due, or goes as it came */
                if (commit_due(s) && !s->group && !s->in_flight) {
                        s->clean = s->stopping && !turnstile_peek(&s->turnstile);
                        commit(s);
                }
        }
        return NULL;
}

/* ---- start and stop ---- */

/* The store's transaction belongs to this thread.  The first group of a run: what befell us, then a head by which agents know
 * that we are here. */
static int open_run(struct sequence *s)
{
        struct broker *b = s->broker;
        int r = fold_open(&s->fold, b->store, b->domain);

        if (r < 0)
                return r;
        s->mono = s->busy_at = times_mono();
        s->wall = times_wall();
        clock_guard_init(&s->guard, s->fold.accepted_at, (uint32_t)broker_setting(b, S_CLOCK_AHEAD), s->wall, s->mono);
        if (s->guard.fault != CLOCK_GOOD)
                log_event(LOG_ALERT, "clock.stopped", log_str("fault", clock_fault_name(s->guard.fault)));
        watch_clock(s);
        atomic_store(&b->seq, s->fold.seq);
        atomic_store(&b->synced, s->fold.seq);
        atomic_store(&b->committed, s->fold.seq);
        metrics_set(b->metrics, M_SEQ, 0, s->fold.seq);
        metrics_set(b->metrics, M_SYNCED, 0, s->fold.seq);
        metrics_set(b->metrics, M_COMMITTED, 0, s->fold.seq);
        if (s->guard.fault == CLOCK_GOOD) {
                sequence_add_outage(s, s->from->crashed ? OUTAGE_CRASH : OUTAGE_STOP);
                s->fold.trust_moved = true;
                if (s->from->crashed)
                        r = sequence_handed_over_before(b->store, &s->handovers);
        }
        if (r < 0)
                return r;
        sequence_find_due(s);
        sequence_swap_directory(s);
        sequence_read_trust_interval(s);
        return 0;
}

int sequence_start(struct broker *b, const struct sequence_start *from, struct sequence **ret)
{
        struct sequence *s = calloc(1, sizeof(*s));
        int64_t segment = broker_setting(b, S_SEGMENT_BYTES);
        unsigned kept_out = 0;
        int r;

        if (!s)
                return -ENOMEM;
        s->broker = b;
        s->counts = metrics_block_new(b->metrics);
        s->trust_head_ns = 60000000000ull;
        s->group_bytes_max = segment - (64 << 10) < GROUP_BYTES_MAX ? (size_t)segment - (64 << 10) : GROUP_BYTES_MAX;
        s->signer = (struct system_signer){ b->domain, b->credential, secret_peek(b->keys.sign) };
        s->decided = decided_new();
        r = s->decided ? quarantine_open(config_string(b->config, S_STORE_DIR), &s->quarantine, &kept_out) : -ENOMEM;
        if (r < 0) {
                decided_free(s->decided);
                free(s);
                return r;
        }
        if (kept_out > 0)
                log_event(LOG_ALERT, "quarantine.found", log_u64("envelopes", kept_out));
        metrics_set(b->metrics, M_QUARANTINED, 0, kept_out);
        s->from = from;
        sem_init(&s->started, 0, 0);
        r = pthread_create(&s->thread, NULL, run, s);
        if (r != 0)
                broker_fail("sequence.start", -r);
        while (sem_wait(&s->started) < 0 && errno == EINTR)
                ;
        s->from = NULL;
        if (s->start_result < 0) {
                pthread_join(s->thread, NULL);
                quarantine_close(s->quarantine);
                decided_free(s->decided);
                r = s->start_result;
                free(s);
                return r;
        }
        *ret = s;
        return 0;
}

void sequence_stop(struct sequence *s)
{
        struct work *stop;

        if (!s)
                return;
        stop = calloc(1, sizeof(*stop));
        if (!stop)
                broker_fail("sequence.stop", -ENOMEM);
        stop->kind = WORK_STOP;
        work_queue_push(&s->broker->work, stop);
        pthread_join(s->thread, NULL);
        fold_close(&s->fold);
        quarantine_close(s->quarantine);
        decided_free(s->decided);
        segment_batch_free(s->spare);
        free(s);
}
