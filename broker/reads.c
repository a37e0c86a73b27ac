/* reads: see the header.  The thread: takes questions, lets those wait whose entry is not committed yet, answers the others by
 * turns, sends pages. */
#include "broker/reads.h"
#include "broker/index.h"
#include "broker/read_turns.h"
#include "common/macro.h"
#include <errno.h>
#include <stdlib.h>

#define TAKE_MAX 256                    /* questions taken in before one is answered */
#define TILE_PATIENCE_MS 1000           /* a proof waits so long for a damaged tile to be mended */

struct reads {
        struct broker *broker;
        pthread_t thread;
        struct metrics_block *counts;
        struct arena *arena;
        uint8_t *buffer;
        size_t buffer_bytes;
        struct tiles_reader *tiles;
        struct bundle_trust *trust;
        struct question *waiting;       /* for need_seq */
        struct read_turns turns;        /* of those that can be answered */
};

/* ---- a page ---- */

bool reading_has_room(const struct reading *r)
{
        return r->page.n_rows < r->limit && r->bytes < PAGE_BYTES_MAX;
}

bool reading_add(struct reading *r, struct bytes packed)
{
        if (!reading_has_room(r) || packed.n == 0 || (r->page.n_rows > 0 && r->bytes + packed.n > PAGE_BYTES_MAX))
                return false;
        r->rows[r->page.n_rows++] = (ProtobufCBinaryData){ packed.n, (uint8_t *)packed.p };
        r->bytes += packed.n;
        return true;
}

void reading_next(struct reading *r, struct bytes cursor)
{
        struct bytes copy = arena_copy(r->arena, cursor);

        r->page.next = (ProtobufCBinaryData){ copy.n, (uint8_t *)copy.p };
}

int reading_entry(struct reading *r, uint64_t seq, struct segment_entry *ret)
{
        int f = reading_left(r, seq, ret);

        return f > 0 && ret->gone ? 0 : f;
}

int reading_left(struct reading *r, uint64_t seq, struct segment_entry *ret)
{
        struct segment_place place;
        int f = store_snapshot_index_find(r->snapshot, seq, &place);

        if (f > 0)
                f = segment_read_left(r->broker->segments, place, seq, r->buffer, r->buffer_bytes, ret);
        else
                return f;
        return f == -ENOENT ? 0 : f < 0 ? f : 1;
}

/* ---- answering ---- */

static int dispatch(struct reading *r)
{
        switch (r->question->read->what) {
        case READ_ENTRY:
                return reads_entry(r);
        case READ_STATUS:
                return reads_status(r);
        case READ_AUDIT:
                return reads_audit(r);
        case READ_CHECKPOINT:
                return reads_checkpoint(r);
        case READ_PROOF:
                return reads_proof(r);
        case READ_CONSISTENCY:
                return reads_consistency(r);
        case READ_LOG:
                return reads_log(r);
        case READ_BASE:
                return reads_base(r);
        case READ_LOOKUP:
                return reads_lookup(r);
        case READ_EVIDENCE:
                return reads_evidence(r);
        default:
                return reads_table(r);
        }
}

static void send_page(struct reads *self, const struct question *q, Shuyi__V1__Page *page)
{
        struct outgoing *p;

        page->number = q->read->number;
        p = outgoing_new(q->link, q->session, FRAME_PAGE, &page->base);
        if (p && outgoing_queue_push(&self->broker->parcels, p) < 0)
                outgoing_free(p);
        metrics_inc(self->counts, M_READS, word_known(LIST_read, q->read->what) ? q->read->what : 0);
}

static void answer(struct reads *self, struct question *q)
{
        struct reading *r = calloc(1, sizeof(*r));
        const Shuyi__V1__MetaRow *meta;
        int f = r ? 0 : -ENOMEM;

        if (f < 0)
                broker_fail("reads.memory", f);
        arena_reset(self->arena);
        *r = (struct reading){ .broker = self->broker, .question = q, .arena = self->arena, .buffer = &self->buffer, .buffer_bytes = &self->buffer_bytes, .tiles = self->tiles, .trust = self->trust };
        shuyi__v1__page__init(&r->page);
        r->page.rows = r->rows;
        r->limit = q->read->limit == 0 ? 100 : q->read->limit < PAGE_ROWS_MAX ? q->read->limit : PAGE_ROWS_MAX;
        r->authority = strcmp(q->department, self->broker->authority) == 0;
        f = store_snapshot_open(self->broker->store, &r->snapshot);
        if (f == 0) {
                r->state = store_snapshot_state(r->snapshot);
                meta = fold_meta(r->state, r->arena);
                r->page.as_of = meta ? meta->seq : 0;
                if (q->read->query.len > 0) {
                        if (!reading_identify(r))
                                r->page.code = E_ROLE;
                }
                if (r->page.code == ACCEPTED)
                        f = dispatch(r);
                store_snapshot_close(r->snapshot);
        }
        if (f < 0) {
                log_event(LOG_ERR, "reads.failed", log_u64("link", q->link), log_u64("what", q->read->what), log_errno("fault", f));
                shuyi__v1__page__init(&r->page);
                r->page.code = E_BOUND;
                r->page.detail = "the center could not read it";
        }
        send_page(self, q, &r->page);
        free(r);
        question_free(q);
}

/* ---- waiting for an entry ---- */

static void ask_commit(struct reads *self, enum work_kind when)
{
        struct work *w = calloc(1, sizeof(*w));

        if (!w)
                return;
        w->kind = when;
        if (work_queue_push(&self->broker->work, w) < 0)
                free(w);
}

/* Is the question's entry where its answer comes from?  Of an audit that is the index, which is hurried. */
static bool reached(struct reads *self, const struct question *q)
{
        if (q->need_seq > atomic_load(&self->broker->committed))
                return false;
        if (q->read->what != READ_AUDIT || q->need_seq <= index_seq(self->broker->index))
                return true;
        index_hurry(self->broker->index);
        return false;
}

/* An answer holds all that was acknowledged to anybody before the question came, so that who is told of an act finds it,
 * whichever agent asks.  Only a named seq hurries the commit. */
static void take(struct reads *self, struct question *q)
{
        uint64_t synced = atomic_load(&self->broker->synced);
        bool hurry = q->need_seq > atomic_load(&self->broker->committed);

        if (q->need_seq < synced)
                q->need_seq = synced;
        if (reached(self, q)) {
                read_turns_put(&self->turns, q);
                return;
        }
        q->next = self->waiting;
        self->waiting = q;
        ask_commit(self, hurry ? WORK_COMMIT : WORK_COMMIT_SOON);
}

static void refuse_late(struct reads *self, struct question *q)
{
        Shuyi__V1__Page page = SHUYI__V1__PAGE__INIT;

        page.code = E_NOT_FOUND;
        page.as_of = atomic_load(&self->broker->committed);
        page.detail = "need_seq is not reached yet";
        send_page(self, q, &page);
        question_free(q);
}

static void look_again(struct reads *self)
{
        struct question *list = self->waiting, *next;
        uint64_t now = times_mono().ns;

        self->waiting = NULL;
        for (; list; list = next) {
                next = list->next;
                if (reached(self, list)) {
                        read_turns_put(&self->turns, list);
                } else if (now >= list->until.ns) {
                        refuse_late(self, list);
                } else {
                        list->next = self->waiting;
                        self->waiting = list;
                }
        }
}

/* All that came; waits for it only if nothing else is to be done.  False: the end. */
static bool take_all(struct reads *self)
{
        int patience_ms = self->turns.first ? 0 : self->waiting ? 2 : 500, r = 1;
        struct question *q;

        for (unsigned i = 0; i < TAKE_MAX && r > 0; i++, patience_ms = 0) {
                r = question_queue_take(&self->broker->questions, patience_ms, &q);
                if (r > 0)
                        take(self, q);
        }
        return r >= 0;
}

static void answer_next(struct reads *self)
{
        struct question *q = read_turns_take(&self->turns);
        uint64_t from = times_mono().ns, now;
        uint32_t link;

        if (!q)
                return;
        link = q->link;
        answer(self, q);
        now = times_mono().ns;
        if (read_turns_charge(&self->turns, link, now - from, now) < 0)
                broker_fail("reads.memory", -ENOMEM);
}

static void *run(void *arg)
{
        struct reads *self = arg;

        pthread_setname_np(pthread_self(), "reads");
        while (take_all(self)) {
                if (self->waiting)
                        look_again(self);
                answer_next(self);
                atomic_store(&self->broker->heartbeat[3], times_mono().ns);
        }
        return NULL;
}

int reads_start(struct broker *b, struct reads **ret)
{
        struct reads *self = calloc(1, sizeof(*self));
        int r;

        if (!self)
                return -ENOMEM;
        self->broker = b;
        self->counts = metrics_block_new(b->metrics);
        self->arena = arena_new(32u << 20);
        self->tiles = tiles_reader_new(b->tiles, TILE_PATIENCE_MS);
        self->trust = bundle_trust_new();
        r = self->arena && self->tiles && self->trust ? -pthread_create(&self->thread, NULL, run, self) : -ENOMEM;
        if (r < 0) {
                tiles_reader_free(self->tiles);
                bundle_trust_free(self->trust);
                arena_free(self->arena);
                free(self);
                return r;
        }
        *ret = self;
        return 0;
}

void reads_stop(struct reads *self)
{
        if (!self)
                return;
        question_queue_close(&self->broker->questions);
        pthread_join(self->thread, NULL);
        for (struct question *q = self->waiting, *next; q; q = next) {
                next = q->next;
                question_free(q);
        }
        for (struct question *q; (q = read_turns_take(&self->turns));)
                question_free(q);
        read_turns_fini(&self->turns);
        tiles_reader_free(self->tiles);
        bundle_trust_free(self->trust);
        arena_free(self->arena);
        free(self->buffer);
        free(self);
}
