/* sequence_group: the open group, from its first ticket to the sync thread.
 *
 * A group of the store goes with it, so that one which does not fit on the disk is as if it had never been. */
#include "broker/sequence.h"
#include "common/checkpoint.h"
#include "common/failpoint.h"
#include "common/macro.h"
#include "common/statekeys.h"
#include <errno.h>
#include <stdlib.h>

#define HEAVY_TICKETS 8                 /* in SEQUENCE_GROUP_GAP_NS */
#define HEAVY_BYTES (128u << 10)

/* ---- the open group ---- */

static int open_group(struct sequence *s)
{
        struct store *store = s->broker->store;
        int r = store_is_open(store) ? 0 : store_begin(store);

        if (r == 0) {
                r = store_group_begin(store);
                s->short_of_room = r == -ENOSPC;
                if (r == -ENOSPC) {
                        atomic_store(&s->broker->store_permille, 1000);
                        atomic_store(&s->broker->space_step, SPACE_RESERVED);
                        r = store_group_begin_reserved(store);
                }
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

void sequence_need_group(struct sequence *s)
{
        int r = s->group ? 0 : open_group(s);

        if (r < 0)
                broker_fail("sequence.group", r);
}

bool sequence_has_room(const struct sequence *s, size_t wire)
{
        return !s->group || (!s->map_full && s->group->n < GROUP_TICKETS_MAX &&
                             segment_batch_bytes(s->group->batch) + segment_record_bytes(SEGMENT_ENTRY_PREFIX + wire) < s->group_bytes_max);
}

void sequence_group_take(struct sequence *s, struct ticket *t)
{
        s->group->tickets[s->group->n++] = t;
        s->load.n++;
        s->load.bytes += t->wire.n;
}

/* ---- stamping and applying ---- */

struct wall_time sequence_later(struct wall_time a, struct wall_time b)
{
        return a.ms > b.ms ? a : b;
}

/* While our clock is not believed, a CLOCK is tried at the time that it states: accepted, it is stamped so; refused, whoever
 * sent it moves the log's time by nothing. */
static struct wall_time stamp_clock(const struct sequence *s, const struct ticket *t)
{
        struct wall_time stated = { ((const Shuyi__V1__ClockBody *)t->claim->open_body)->stated };
        struct entry trial = t->entry;
        struct outcome outcome;

        trial.epoch = s->fold.epoch;
        trial.seq = s->fold.seq + 1;
        trial.accepted_at = sequence_later(stated, s->fold.accepted_at);
        if (exchange_apply(s->fold.exchange, store_state(s->broker->store), &trial, t->arena, &outcome) < 0 || outcome.code != ACCEPTED)
                return s->fold.accepted_at;
        return trial.accepted_at;
}

static struct wall_time stamp(const struct sequence *s, const struct ticket *t)
{
        if (s->guard.fault != CLOCK_GOOD && t->claim->kind->number == KIND_CLOCK)
                return stamp_clock(s, t);
        return sequence_later(s->now, s->fold.accepted_at);
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
void sequence_step(struct sequence *s, struct ticket *t)
{
        struct mono_time from = times_mono();
        struct merkle_frontier before = s->fold.frontier;
        int r;

        t->entry = (struct entry){ .link = t->link, .lane = t->lane, .outbox_epoch = t->outbox_epoch, .outbox_seq = t->outbox_seq, .claim = t->claim };
        arena_allow(t->arena, APPLY_ARENA_MAX);
        quarantine_enter(s->quarantine, &t->claim->envelope_digest);
        if (t->claim->kind->number == KIND_UPDATE)
                FAILPOINT("apply.update");
        t->entry.accepted_at = stamp(s, t);
        r = fold_step(&s->fold, &t->entry, t->arena, &t->outcome, &t->leaf);
        if (r == -ENOSPC) {                     /* the state's map is full: no fault of the envelope's; the group goes back */
                quarantine_leave(s->quarantine);
                s->map_full = true;
                return;
        }
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

void sequence_count(struct sequence *s, const struct ticket *t)
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

/* An answer that an earlier group had settled already needs no room: it may go. */
static bool told_before(const struct sequence *s, const struct ticket *t)
{
        if (!t->settled_before)
                return false;
        if (t->seq > 0)
                return t->seq <= s->before.seq;
        return decided_find(s->decided, t->link, t->lane, t->outbox_epoch, t->outbox_seq) != ACCEPTED;
}

void sequence_send_back(struct sequence *s, struct ticket *t)
{
        int r = decided_back(s->decided, t->link, t->lane, t->outbox_epoch, t->outbox_seq);

        if (r < 0)
                broker_fail("sequence.decided", r);
        decided_forget(s->decided, t->link, t->lane, t->outbox_epoch, t->outbox_seq);
        t->busy = BUSY_SPACE;
        t->seq = 0;
}

/* No room on the disk for the group: as if it had never been; its tickets go back to their senders. */
static void take_back(struct sequence *s, struct group *g)
{
        unsigned kept = 0;

        log_event(LOG_ERR, "sequence.no_space", log_u64("entries", g->last_seq > 0 ? g->last_seq - g->first_seq + 1 : 0), log_bool("map", s->map_full));
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
                if (!told_before(s, t))
                        sequence_send_back(s, t);
                g->tickets[kept++] = t;
        }
        g->n = kept;
        g->first_seq = g->last_seq = 0;
        g->trust_head = NULL;
        if (s->map_full)
                atomic_store(&s->broker->store_permille, 1000); /* until the next commit tells */
        s->map_full = false;
        atomic_store(&s->broker->space_step, SPACE_RESERVED);
}

void sequence_swap_directory(struct sequence *s)
{
        struct keydir *d;
        int r = statekeys_build(store_state(s->broker->store), &d);

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
        if (r == -ENOSPC) {
                segment_unplan(s->broker->segments, g->batch);
                take_back(s, g);
                return;
        }
        if (r < 0)
                broker_fail("sequence.close", r);
        if (s->fold.directory_moved)
                sequence_swap_directory(s);
        atomic_store(&s->broker->seq, s->fold.seq);
        metrics_set(s->broker->metrics, M_SEQ, 0, s->fold.seq);
        if (!s->dirty)
                s->dirty_since = s->mono;
        s->dirty = true;
        s->uncommitted_bytes += segment_batch_bytes(g->batch);
        sequence_find_due(s);
}

void sequence_close_group(struct sequence *s)
{
        struct group *g;

        if (s->fold.trust_moved && !s->map_full)
                sequence_add_trust_head(s);
        g = TAKE(s->group);
        metrics_observe(s->counts, M_GROUP, 0, g->n);
        if (s->map_full)
                take_back(s, g);
        else if (g->last_seq > 0)
                finish_entries(s, g);
        else
                store_group_abort(s->broker->store);
        g->closed = s->sent = s->mono;
        s->load.heavy |= g->n >= HEAVY_TICKETS || segment_batch_bytes(g->batch) >= HEAVY_BYTES;
        if (s->load.heavy) {
                s->in_flight = true;
                if (group_queue_push(&s->broker->groups, g) < 0)
                        broker_fail("sequence.push", -EPIPE);
                return;
        }
        sequence_keep_batch(s, sync_here(s->broker, s->counts, g));
        s->mono = times_mono();
}

void sequence_keep_batch(struct sequence *s, struct segment_batch *b)
{
        if (s->spare)
                segment_batch_free(b);
        else
                s->spare = b;
}

/* From some thousand envelopes a second on, or tens of megabytes, a sync for each costs more than the wait for the next. */
void sequence_watch_load(struct sequence *s)
{
        uint64_t ns = s->mono.ns - s->load.from.ns;

        if (ns < SEQUENCE_GROUP_GAP_NS)
                return;
        s->load.heavy = s->load.n * SEQUENCE_GROUP_GAP_NS >= HEAVY_TICKETS * ns || s->load.bytes * SEQUENCE_GROUP_GAP_NS >= HEAVY_BYTES * ns;
        s->load.from = s->mono;
        s->load.n = 0;
        s->load.bytes = 0;
}

/* At once while little comes; under load when the group is full (a ticket is left over) or some milliseconds after the last one,
 * so that groups grow. */
bool sequence_may_close(const struct sequence *s)
{
        return s->group && s->group->n > 0 && !s->in_flight &&
               (!s->load.heavy || s->stopping || turnstile_peek(&s->turnstile) || s->mono.ns - s->sent.ns >= SEQUENCE_GROUP_GAP_NS);
}
