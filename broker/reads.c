/* reads: see the header.  The thread: takes questions, lets those wait whose entry is not committed yet, sends pages. */
#include "broker/reads.h"
#include "common/macro.h"
#include <errno.h>
#include <stdlib.h>

#define TILE_PATIENCE_MS 1000           /* a proof waits so long for a damaged tile to be mended */

struct reads {
        struct broker *broker;
        pthread_t thread;
        struct metrics_block *counts;
        struct arena *arena;
        uint8_t *buffer;
        size_t buffer_bytes;
        struct tiles_reader *tiles;
        struct question *waiting;       /* for need_seq */
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
        struct segment_place place;
        int f = store_snapshot_index_find(r->snapshot, seq, &place);

        if (f > 0)
                f = segment_read_entry(r->broker->segments, place, seq, r->buffer, r->buffer_bytes, ret);
        else
                return f;
        return f == -ENOENT ? 0 : f < 0 ? f : 1;
}

/* ---- who asks ---- */

static bool has_role(const Shuyi__V1__Credential *c, enum role role)
{
        for (size_t i = 0; i < c->subject->n_roles; i++)
                if (c->subject->roles[i] == (uint32_t)role)
                        return true;
        return false;
}

/* Is the query's signature that of an AUDIT_OFFICER of the authority in force, made now and for this very key? */
static bool is_auditor(struct reading *r)
{
        const Shuyi__V1__Read *read = r->question->read;
        struct digest key = digest_plain(bytes_of(read->key.data, read->key.len));
        uint64_t now = times_wall().ms;
        struct keydir *d = keydir_slot_get(r->broker->directory);
        struct key_source keys = keydir_keys(d);
        const Shuyi__V1__CredentialRow *row;
        const Shuyi__V1__Credential *c;
        const struct claim *claim;
        enum refusal code = envelope_verify(r->arena, bytes_of(read->query.data, read->query.len), &keys, &claim);

        keydir_unref(d);
        if (code != ACCEPTED || claim->kind->number != KIND_AUDIT_READ || claim->signers[0].capacity != ROLE_AUDIT_OFFICER)
                return false;
        if (claim->intent->created_at > now + SKEW_MS || claim->intent->created_at + SKEW_MS < now ||
            !bytes_equal(bytes_of(claim->intent->object.data, claim->intent->object.len), bytes_digest(&key)))
                return false;
        row = FOLD_ROW(r->state, r->arena, shuyi__v1__credential_row__descriptor, TABLE_CREDENTIAL, bytes_digest(&claim->signers[0].credential));
        c = row && row->status == STATUS_ACTIVE ? shuyi__v1__credential__unpack(arena_allocator(r->arena), row->credential.len, row->credential.data) : NULL;
        return c && c->subject && has_role(c, ROLE_AUDIT_OFFICER) && strcmp(c->subject->department, r->broker->authority) == 0 && now < c->not_after;
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
        *r = (struct reading){ .broker = self->broker, .question = q, .arena = self->arena, .buffer = &self->buffer, .buffer_bytes = &self->buffer_bytes, .tiles = self->tiles };
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
                        r->auditor = is_auditor(r);
                        if (!r->auditor)
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

/* An answer holds all that was acknowledged to anybody before the question came, so that who is told of an act finds it,
 * whichever agent asks.  Only a named seq hurries the commit. */
static void take(struct reads *self, struct question *q)
{
        uint64_t synced = atomic_load(&self->broker->synced);
        bool hurry = q->need_seq > atomic_load(&self->broker->committed);

        if (q->need_seq < synced)
                q->need_seq = synced;
        if (q->need_seq <= atomic_load(&self->broker->committed)) {
                answer(self, q);
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
        uint64_t committed = atomic_load(&self->broker->committed), now = times_mono().ns;

        self->waiting = NULL;
        for (; list; list = next) {
                next = list->next;
                if (list->need_seq <= committed) {
                        answer(self, list);
                } else if (now >= list->until.ns) {
                        refuse_late(self, list);
                } else {
                        list->next = self->waiting;
                        self->waiting = list;
                }
        }
}

static void *run(void *arg)
{
        struct reads *self = arg;
        struct question *q;
        int r;

        pthread_setname_np(pthread_self(), "reads");
        while ((r = question_queue_take(&self->broker->questions, self->waiting ? 2 : 500, &q)) >= 0) {
                if (r > 0)
                        take(self, q);
                if (self->waiting)
                        look_again(self);
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
        r = self->arena && self->tiles ? -pthread_create(&self->thread, NULL, run, self) : -ENOMEM;
        if (r < 0) {
                tiles_reader_free(self->tiles);
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
        tiles_reader_free(self->tiles);
        arena_free(self->arena);
        free(self->buffer);
        free(self);
}
