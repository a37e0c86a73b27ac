/* sequence: puts everything into one order.  DESIGN 2.
 *
 * This thread alone writes the state.  It takes verified tickets in their order, stamps each with the next seq and time,
 * applies it, and adds it to the open group; closes the group (TRUST_HEAD where trust moved, then HEAD) when the
 * sync thread is free; and commits the state when everything in it is on disk.  So the state is never ahead of the log,
 * and nothing leaves before it is both applied and synced. */
#include "broker/broker.h"
#include "broker/clock_guard.h"
#include "broker/directory.h"
#include "broker/fold.h"
#include "broker/mirror.h"
#include "broker/quarantine.h"
#include "broker/system.h"
#include "broker/tally.h"
#include "broker/turnstile.h"
#include "common/checkpoint.h"
#include "common/failpoint.h"
#include "common/macro.h"
#include "common/policy.h"
#include "common/policy_keys.h"
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>

#define GROUP_GAP_NS 4000000ull                 /* under load, between syncs: groups grow (LIMITS) */
#define COMMIT_IDLE_NS 20000000ull              /* nothing to do for so long: commit */
#define COMMIT_MAX_NS 100000000ull              /* at the latest */
#define TALLY_NS 1000000000ull
#define TAKE_MAX 256

struct sequence {
        struct broker *broker;
        pthread_t thread;
        struct metrics_block *counts;
        struct fold fold;
        struct clock_guard guard;
        struct quarantine *quarantine;
        struct system_signer signer;
        struct turnstile turnstile;
        struct tally tally;
        struct mono_time tallied;

        struct group *group;            /* open; with it a group of the store */
        struct fold before;             /* as the fold stood when it was opened */
        struct segment_batch *spare;
        size_t group_bytes_max;
        bool in_flight, crowded;        /* a group is being synced; more came meanwhile */
        struct mono_time sent;          /* when the last group went to sync */

        struct handover *handovers;     /* to be told */
        bool dirty, commit_wanted, stopping, clean;
        struct mono_time dirty_since, busy_at;
        struct wall_time due;           /* of the next row that falls due */
        struct mono_time trust_head_at;
        uint64_t trust_head_ns;
        struct wall_time wall, now;     /* read once a turn; now: as the guard believes it */
        struct mono_time mono;

        const struct sequence_start *from;      /* while starting */
        sem_t started;
        int start_result;
};

/* ---- the open group ---- */

static int open_group(struct sequence *s)
{
        struct store *store = s->broker->store;
        int r = store_is_open(store) ? 0 : store_begin(store);

        if (r == 0) {
                r = store_group_begin(store);
                if (r == -ENOSPC)
                        r = store_group_begin_reserved(store);
        }
        if (r < 0)
                return r;
        s->before = s->fold;
        s->group = group_new();
        if (s->group)
                s->group->batch = s->spare ? TAKE(s->spare) : segment_batch_new(s->group_bytes_max + (1u << 20));
        if (!s->group || !s->group->batch)
                return -ENOMEM;
        segment_batch_reset(s->group->batch);
        return 0;
}

static void need_group(struct sequence *s)
{
        int r = s->group ? 0 : open_group(s);

        if (r < 0)
                broker_fail("sequence.group", r);
}

static bool has_room(const struct sequence *s, size_t wire)
{
        return !s->group || (s->group->n < GROUP_TICKETS_MAX &&
                             segment_batch_bytes(s->group->batch) + segment_record_bytes(SEGMENT_ENTRY_PREFIX + wire) < s->group_bytes_max);
}

static void group_take(struct sequence *s, struct ticket *t)
{
        s->group->tickets[s->group->n++] = t;
}

/* ---- stamping and applying ---- */

static struct wall_time later(struct wall_time a, struct wall_time b)
{
        return a.ms > b.ms ? a : b;
}

static struct wall_time stamp(const struct sequence *s, const struct ticket *t)
{
        struct wall_time at = s->now;

        if (s->guard.fault != CLOCK_GOOD && t->claim->kind->number == KIND_CLOCK)
                at.ms = ((const Shuyi__V1__ClockBody *)t->claim->open_body)->stated;
        return later(at, s->fold.accepted_at);
}

static void add_record(struct sequence *s, const struct ticket *t)
{
        struct segment_entry e = {
                .epoch = t->entry.epoch, .seq = t->entry.seq, .accepted_at = t->entry.accepted_at, .link = t->link, .lane = t->lane,
                .outbox_epoch = t->outbox_epoch, .outbox_seq = t->outbox_seq, .envelope = t->claim->wire,
        };
        int r = segment_batch_add_entry(s->group->batch, &e);

        if (r < 0)
                broker_fail("sequence.batch", r);
        if (s->group->first_seq == 0)
                s->group->first_seq = e.seq;
        s->group->last_seq = e.seq;
}

/* Applies what the ticket claims; afterwards it is an entry, or refused without one. */
static void step(struct sequence *s, struct ticket *t)
{
        struct mono_time from = times_mono();
        struct merkle_frontier before = s->fold.frontier;
        int r;

        t->entry = (struct entry){ .accepted_at = stamp(s, t), .link = t->link, .lane = t->lane, .outbox_epoch = t->outbox_epoch,
                                   .outbox_seq = t->outbox_seq, .claim = t->claim };
        quarantine_enter(s->quarantine, &t->claim->envelope_digest);
        r = fold_step(&s->fold, &t->entry, t->arena, &t->outcome, &t->leaf);
        if (r < 0) {
                quarantine_mark();
                broker_fail("sequence.apply", r);
        }
        quarantine_leave(s->quarantine);
        metrics_observe(s->counts, M_APPLY, 0, times_mono().ns - from.ns);
        t->code = t->outcome.code;
        t->detail = t->outcome.detail;
        t->accepted_at = t->entry.accepted_at;
        t->seq = s->fold.seq == t->entry.seq ? t->entry.seq : 0;
        if (t->seq > 0) {
                s->group->before_head = before;
                s->group->trust_head = NULL;
                add_record(s, t);
        }
}

static void count(struct sequence *s, const struct ticket *t)
{
        if (t->code == ACCEPTED)
                metrics_inc(s->counts, M_ACCEPTED, counters_kind_label(t->claim->kind->number));
        else
                metrics_inc(s->counts, M_REFUSED, counters_refusal_label(t->code));
        if (t->seq == 0 && t->code != ACCEPTED) {
                struct id id;
                bool has_id = t->claim && bytes_copy_exact(bytes_of(t->claim->intent->id.data, t->claim->intent->id.len), id.b, ID_BYTES);

                tally_add(&s->tally, t->link, t->code, has_id ? &id : NULL);
        }
}

/* An entry of the broker's own; it must be accepted, or our state is not what we think. */
static struct ticket *add_system(struct sequence *s, enum kind_number kind, const ProtobufCMessage *body, struct ticket *t)
{
        need_group(s);
        t->claim = system_make(&s->signer, t->arena, kind, body, later(s->now, s->fold.accepted_at));
        if (!t->claim)
                broker_fail("sequence.system", -ENOMEM);
        t->wire = t->claim->wire;
        step(s, t);
        if (t->code != ACCEPTED)
                broker_fail("sequence.system", -EBADMSG);
        count(s, t);
        group_take(s, t);
        return t;
}

static struct ticket *system_ticket(void)
{
        struct ticket *t = ticket_new();

        if (!t)
                broker_fail("sequence.memory", -ENOMEM);
        return t;
}

/* ---- what the broker says by itself ---- */

static void read_trust_interval(struct sequence *s)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        Shuyi__V1__DocumentRow *row = a ? FOLD_ROW(store_state(s->broker->store), a, shuyi__v1__document_row__descriptor, TABLE_POLICY, (struct bytes){ 0 }) : NULL;
        struct policy *p = row ? policy_parse(bytes_of(row->bytes_.data, row->bytes_.len), NULL, NULL) : NULL;

        s->trust_head_ns = (p ? policy_number(p, POLICY_trust_head_s) : 60) * 1000000000ull;
        policy_free(p);
}

static void add_trust_head(struct sequence *s)
{
        Shuyi__V1__TrustHeadBody body = SHUYI__V1__TRUST_HEAD_BODY__INIT;
        struct ticket *t = system_ticket();
        int r;

        need_group(s);
        r = exchange_trust_head_body(store_state(s->broker->store), t->arena, &body);
        if (r < 0)
                broker_fail("sequence.trust_head", r);
        add_system(s, KIND_TRUST_HEAD, &body.base, t);
        s->group->trust_head = t;
        s->fold.trust_moved = false;
        s->trust_head_at = s->mono;
        atomic_store(&s->broker->trust_seq, body.trust_seq);
        read_trust_interval(s);
}

static void add_tick(struct sequence *s)
{
        Shuyi__V1__TickBody body = SHUYI__V1__TICK_BODY__INIT;
        struct ticket *t = system_ticket();
        int r;

        need_group(s);
        r = exchange_tick_body(store_state(s->broker->store), later(s->now, s->fold.accepted_at), &body);
        if (r < 0)
                broker_fail("sequence.tick", r);
        add_system(s, KIND_TICK, &body.base, t);
}

static void find_due(struct sequence *s)
{
        int r = store_is_open(s->broker->store) ? 0 : store_begin(s->broker->store);

        if (r == 0)
                r = exchange_next_due(store_state(s->broker->store), &s->due);
        if (r < 0)
                broker_fail("sequence.due", r);
}

static void add_refused(struct sequence *s)
{
        struct ticket *t = system_ticket();
        Shuyi__V1__RefusedBody *body = tally_take(&s->tally, t->arena);

        if (!body)
                broker_fail("sequence.tally", -ENOMEM);
        s->tallied = s->mono;
        add_system(s, KIND_REFUSED, &body->base, t);
}

static void add_handover(struct sequence *s, const struct handover *h)
{
        Shuyi__V1__HandoverBody body = SHUYI__V1__HANDOVER_BODY__INIT;
        struct ticket *t = system_ticket();

        body.link = h->link;
        body.n_rows = h->n;
        body.rows = ARENA_ARRAY(t->arena, Shuyi__V1__HandoverRow *, h->n + 1);
        for (unsigned i = 0; body.rows && i < h->n; i++) {
                Shuyi__V1__HandoverRow *row = ARENA_NEW(t->arena, Shuyi__V1__HandoverRow);

                if (!row)
                        broker_fail("sequence.memory", -ENOMEM);
                shuyi__v1__handover_row__init(row);
                row->grant = (ProtobufCBinaryData){ DIGEST_BYTES, (uint8_t *)h->rows[i].grant.b };
                row->stream = (ProtobufCBinaryData){ DIGEST_BYTES, (uint8_t *)h->rows[i].stream.b };
                row->first = h->rows[i].first;
                row->last = h->rows[i].last;
                body.rows[i] = row;
        }
        add_system(s, KIND_HANDOVER, &body.base, t);
}

static void add_outage(struct sequence *s, enum outage what)
{
        Shuyi__V1__OutageBody body = SHUYI__V1__OUTAGE_BODY__INIT;

        body.from = s->fold.accepted_at.ms;
        body.to = later(s->now, s->fold.accepted_at).ms;
        body.what = what;
        add_system(s, KIND_OUTAGE, &body.base, system_ticket());
}

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
        t->detail = arena_strdup(t->arena, o.detail);
        if (!t->detail)
                t->detail = "";
        metrics_inc(s->counts, M_REPEATED, 0);
        return true;
}

static void handle(struct sequence *s, struct ticket *t)
{
        need_group(s);
        if (answer_again(s, t)) {
                group_take(s, t);
                return;
        }
        if (t->again) {                         /* refused before without an entry: that was said once */
                ticket_free(t);
                return;
        }
        if (t->code == ACCEPTED && quarantine_holds(s->quarantine, &t->claim->envelope_digest))
                t->code = E_QUARANTINED;
        if (t->code == ACCEPTED)
                step(s, t);
        if (t->seq > 0 && t->code == ACCEPTED && t->claim->kind->number == KIND_CLOCK)
                clock_guard_state(&s->guard, s->fold.accepted_at, s->mono);
        count(s, t);
        group_take(s, t);
}

/* ---- closing the group ---- */

static void sign_head(struct sequence *s, struct group *g)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 16);
        struct checkpoint c = { s->broker->origin, s->fold.frontier.size, merkle_root(&s->fold.frontier) };
        const struct keyfile *log = &s->broker->log_keys;
        char *note = a ? checkpoint_sign(a, &c, secret_peek(log->sign), log->sign_key) : NULL;
        int r;

        g->note = note ? strdup(note) : NULL;
        if (!g->note)
                broker_fail("sequence.head", -ENOMEM);
        r = segment_batch_add_head(g->batch, s->fold.epoch, s->fold.seq, bytes_str(g->note));
        if (r < 0)
                broker_fail("sequence.head", r);
}

static int index_group(struct sequence *s, struct group *g)
{
        int r = 0;

        for (uint64_t seq = g->first_seq; seq <= g->last_seq && r == 0; seq++)
                r = store_index_append(s->broker->store, seq, segment_batch_place(g->batch, (unsigned)(seq - g->first_seq)));
        return r;
}

/* No room on the disk for the group: as if it had never been; its tickets go back to their senders. */
static void take_back(struct sequence *s, struct group *g)
{
        unsigned kept = 0;

        log_event(LOG_ERR, "sequence.no_space", log_u64("entries", g->last_seq - g->first_seq + 1));
        store_group_abort(s->broker->store);
        struct exchange *x = s->fold.exchange;
        s->fold = s->before;
        s->fold.exchange = x;
        for (unsigned i = 0; i < g->n; i++) {
                struct ticket *t = g->tickets[i];

                if (t->link == 0) {
                        ticket_free(t);
                        continue;
                }
                t->busy = BUSY_SPACE;
                t->seq = 0;
                g->tickets[kept++] = t;
        }
        g->n = kept;
        g->first_seq = g->last_seq = 0;
        g->trust_head = NULL;
        atomic_store(&s->broker->space_step, SPACE_RESERVED);
}

static void swap_directory(struct sequence *s)
{
        struct keydir *d;
        int r = directory_build(store_state(s->broker->store), &d);

        if (r < 0)
                broker_fail("sequence.directory", r);
        keydir_slot_set(s->broker->directory, d);
        s->fold.directory_moved = false;
}

static void finish_entries(struct sequence *s, struct group *g)
{
        int r;

        sign_head(s, g);
        r = segment_plan(s->broker->segments, g->batch);
        if (r == -ENOSPC) {
                take_back(s, g);
                return;
        }
        if (r == 0)
                r = index_group(s, g);
        if (r == 0)
                r = store_group_commit(s->broker->store);
        if (r < 0)
                broker_fail("sequence.close", r);
        if (s->fold.directory_moved)
                swap_directory(s);
        atomic_store(&s->broker->seq, s->fold.seq);
        metrics_set(s->broker->metrics, M_SEQ, 0, s->fold.seq);
        if (!s->dirty)
                s->dirty_since = s->mono;
        s->dirty = true;
        find_due(s);
}

static void close_group(struct sequence *s)
{
        struct group *g;

        if (s->fold.trust_moved)
                add_trust_head(s);
        g = TAKE(s->group);
        metrics_observe(s->counts, M_GROUP, 0, g->n);
        if (g->last_seq > 0)
                finish_entries(s, g);
        else
                store_group_abort(s->broker->store);
        g->closed = s->mono;
        s->in_flight = true;
        s->crowded = false;
        s->sent = s->mono;
        if (group_queue_push(&s->broker->groups, g) < 0)
                broker_fail("sequence.push", -EPIPE);
}

/* At once when alone; under load when the group is full (a ticket is left over) or some milliseconds after the last one, so
 * that groups grow. */
static bool may_close(const struct sequence *s)
{
        return s->group && s->group->n > 0 && !s->in_flight &&
               (!s->crowded || s->stopping || turnstile_peek(&s->turnstile) || s->mono.ns - s->sent.ns >= GROUP_GAP_NS);
}

/* ---- the state ---- */

static bool commit_due(const struct sequence *s)
{
        uint64_t age = s->mono.ns - s->dirty_since.ns;

        return s->dirty && (s->commit_wanted || s->stopping || age >= COMMIT_MAX_NS || s->mono.ns - s->busy_at.ns >= COMMIT_IDLE_NS);
}

static void commit(struct sequence *s)
{
        static const struct bytes clean = { (const uint8_t *)"clean", 5 };
        struct store *store = s->broker->store;
        struct mono_time from = times_mono();
        struct store_room room;
        int r = fold_save(&s->fold);

        if (r == 0 && s->clean)
                r = store_put(store, STORE_META, clean, clean);
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
        s->dirty = s->commit_wanted = false;
        atomic_store(&s->broker->committed, s->fold.seq);
        metrics_set(s->broker->metrics, M_COMMITTED, 0, s->fold.seq);
}

/* ---- a turn ---- */

static void take_synced(struct sequence *s, struct synced *done)
{
        s->in_flight = false;
        s->crowded = s->group && s->group->n > 1;
        if (!s->spare)
                s->spare = done->batch;
        else
                segment_batch_free(done->batch);
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
                s->commit_wanted = true;
                free(w);
                break;
        case WORK_STOP:
                s->stopping = true;
                free(w);
                break;
        }
}

static uint64_t until(uint64_t now, uint64_t then)
{
        return then > now ? then - now : 0;
}

/* How long nothing can happen by itself. */
static int patience_ms(const struct sequence *s)
{
        uint64_t ns = 500000000ull, now = s->mono.ns;

        if (s->group && s->group->n > 0 && !s->in_flight)
                ns = until(now, s->sent.ns + GROUP_GAP_NS);
        if (s->dirty && !s->in_flight) {
                uint64_t idle = until(now, s->busy_at.ns + COMMIT_IDLE_NS);

                ns = idle < ns ? idle : ns;
        }
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

        while ((t = turnstile_peek(&s->turnstile)) && has_room(s, t->wire.n)) {
                turnstile_take(&s->turnstile);
                handle(s, t);
        }
        while (s->handovers && s->guard.fault == CLOCK_GOOD && has_room(s, HANDOVER_ROWS_MAX * sizeof(struct handover_row))) {
                struct handover *h = s->handovers;

                s->handovers = h->next;
                add_handover(s, h);
                free(h);
        }
}

static void speak(struct sequence *s)
{
        if (s->guard.fault != CLOCK_GOOD)
                return;
        if (s->due.ms <= s->now.ms && has_room(s, 0)) {
                add_tick(s);
                find_due(s);
        }
        if (s->tally.n > 0 && (s->stopping || s->mono.ns - s->tallied.ns >= TALLY_NS) && has_room(s, 0))
                add_refused(s);
        if (s->mono.ns - s->trust_head_at.ns >= s->trust_head_ns && has_room(s, 0)) {
                need_group(s);
                s->fold.trust_moved = true;
        }
}

static bool is_done(const struct sequence *s)
{
        return s->stopping && !s->in_flight && !s->dirty && !s->group && !turnstile_peek(&s->turnstile) && (!s->handovers || s->guard.fault != CLOCK_GOOD);
}

static int open_run(struct sequence *s);

static void *run(void *arg)
{
        struct sequence *s = arg;

        s->start_result = open_run(s);
        sem_post(&s->started);
        if (s->start_result < 0)
                return NULL;
        while (!is_done(s)) {
                bool hold;

                take_all(s);
                watch_clock(s);
                hold = commit_due(s);           /* no more into the state until it is committed */
                if (!hold || s->stopping) {
                        handle_tickets(s);
                        speak(s);
                }
                if (may_close(s) || (s->group && s->group->n == 0 && !s->in_flight))
                        close_group(s);         /* an empty one holds a trust head that is due, or goes as it came */
                if (commit_due(s) && !s->group && !s->in_flight) {
                        s->clean = s->stopping && !turnstile_peek(&s->turnstile);
                        commit(s);
                }
        }
        return NULL;
}

/* ---- start and stop ---- */

/* What may have been handed over before a crash, and was never receipted: all that a live subscription could have got. */
struct before { struct state state; struct arena *arena; struct handover **list; int fault; };

static void note_before(struct bytes key, void *value, void *arg)
{
        struct before *b = arg;
        const struct mirror_sub *sub = value;
        const Shuyi__V1__AgentRow *agent;

        if (b->fault < 0 || mirror_limit(sub) < mirror_next(sub))
                return;
        arena_reset(b->arena);
        agent = FOLD_ROW(b->state, b->arena, shuyi__v1__agent_row__descriptor, TABLE_AGENT, bytes_id(&sub->agent));
        if (agent)
                b->fault = handover_add(b->list, agent->link, &(struct handover_row){ sub->grant, sub->stream, mirror_next(sub), mirror_limit(sub) });
}

static int handed_over_before(struct store *store, struct handover **list)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct before b = { store_state(store), a, list, 0 };
        struct mirror m = { 0 };

        b.fault = a ? mirror_load(&m, store) : -ENOMEM;
        if (b.fault == 0)
                bytemap_each(m.subs, note_before, &b);
        mirror_fini(&m);
        return b.fault;
}

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
        if (s->guard.fault == CLOCK_GOOD) {
                add_outage(s, s->from->crashed ? OUTAGE_CRASH : OUTAGE_STOP);
                s->fold.trust_moved = true;
                if (s->from->crashed)
                        r = handed_over_before(b->store, &s->handovers);
        }
        if (r < 0)
                return r;
        find_due(s);
        swap_directory(s);
        read_trust_interval(s);
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
        r = quarantine_open(config_string(b->config, S_STORE_DIR), &s->quarantine, &kept_out);
        if (r < 0) {
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
        segment_batch_free(s->spare);
        free(s);
}
