/* deliver: lets what is durable out: receipts to senders, parcels to readers.
 *
 * A group comes here only after its sync, so everything sent from here can be found again after any crash.  Receipts are
 * one a link and group, signed with the log key.  Parcels follow each reader's window; what the mirror says may go is
 * taken from memory while it is hot, from the segments when it is not. */
#include "broker/reader.h"
#include "common/failpoint.h"
#include "common/macro.h"
#include "common/receipt.h"
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>

#define PARCELS_A_TURN 64               /* of one reader, before the next has its turn */

struct deliver {
        struct delivery d;
        pthread_t thread;
        struct reader **readers;        /* by link number; NULL: no session */
        size_t readers_n;
        sem_t ended;                    /* all sessions ended, their HANDOVERs told */
        bool stop;
};

static struct reader *reader_of(struct deliver *self, uint32_t link)
{
        return link < self->readers_n ? self->readers[link] : NULL;
}

static void push(struct deliver *self, struct outgoing *p)
{
        FAILPOINT("deliver.before_send");
        if (outgoing_queue_push(&self->d.broker->parcels, p) < 0)
                outgoing_free(p);         /* the front has ended */
        FAILPOINT("deliver.after_send");
}

/* ---- receipts ---- */

static void take_row(Shuyi__V1__Receipt *receipt, Shuyi__V1__ReceiptRow *row, struct ticket *t)
{
        shuyi__v1__receipt_row__init(row);
        row->lane = t->lane;
        row->outbox_seq = t->outbox_seq;
        row->seq = t->seq;
        row->accepted_at = t->seq > 0 ? t->accepted_at.ms : 0;
        row->code = t->code;
        if (t->seq > 0) {
                row->leaf_hash = (ProtobufCBinaryData){ DIGEST_BYTES, t->leaf.b };
                row->effects_digest = (ProtobufCBinaryData){ DIGEST_BYTES, t->outcome.effects_digest.b };
        }
        row->detail = (char *)(t->detail ? t->detail : "");
        receipt->rows[receipt->n_rows++] = row;
}

static struct outgoing *receipt_for(struct deliver *self, const struct reader *r, const struct group *g, struct arena *a)
{
        Shuyi__V1__Receipt receipt = SHUYI__V1__RECEIPT__INIT;
        Shuyi__V1__ReceiptRow *rows = ARENA_ARRAY(a, Shuyi__V1__ReceiptRow, g->n);
        Shuyi__V1__SignedReceipt *s;
        struct outgoing *p;

        receipt.rows = ARENA_ARRAY(a, Shuyi__V1__ReceiptRow *, g->n);
        if (!rows || !receipt.rows)
                return NULL;
        receipt.domain = self->d.broker->domain;
        receipt.agent = (ProtobufCBinaryData){ ID_BYTES, (uint8_t *)r->agent.b };
        receipt.log_epoch = self->d.broker->epoch;
        receipt.stable_seq = atomic_load(&self->d.broker->synced);
        receipt.outbox_epoch = r->outbox_epoch;
        for (unsigned i = 0; i < g->n; i++)
                if (g->tickets[i]->link == r->link && g->tickets[i]->outbox_epoch == r->outbox_epoch && g->tickets[i]->busy == 0)
                        take_row(&receipt, &rows[i], g->tickets[i]);
        if (receipt.n_rows == 0)
                return NULL;
        s = receipt_sign(a, &receipt, secret_peek(self->d.broker->log_keys.sign));
        p = s ? outgoing_new(r->link, 0, FRAME_RECEIPT, &s->base) : NULL;
        if (!p)
                broker_fail("deliver.receipt", -ENOMEM);
        p->settled = calloc(receipt.n_rows, sizeof(*p->settled));
        for (size_t i = 0; p->settled && i < receipt.n_rows; i++)
                p->settled[p->settled_n++] = (struct settled_row){ (uint8_t)receipt.rows[i]->lane, receipt.rows[i]->outbox_seq };
        return p;
}

/* Not taken after all: each lane goes back to the first of its numbers. */
static void send_back(struct deliver *self, const struct group *g, unsigned first)
{
        const struct ticket *t = g->tickets[first];
        struct outgoing *p;

        for (unsigned i = 0; i < first; i++)
                if (g->tickets[i]->link == t->link && g->tickets[i]->lane == t->lane && g->tickets[i]->busy != 0)
                        return;
        p = outgoing_new(t->link, t->session, FRAME_BUSY, NULL);
        if (!p)
                return;
        p->busy = t->busy;
        p->settled = calloc(1, sizeof(*p->settled));
        if (!p->settled) {
                outgoing_free(p);
                return;
        }
        p->settled[0] = (struct settled_row){ t->lane, t->outbox_seq };
        p->settled_n = 1;
        push(self, p);
}

static void answer(struct deliver *self, struct group *g)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(32u << 20);
        struct mono_time now = times_mono();

        if (!a)
                broker_fail("deliver.memory", -ENOMEM);
        for (unsigned i = 0; i < g->n; i++) {
                struct ticket *t = g->tickets[i];
                struct reader *r = t->link > 0 ? reader_of(self, t->link) : NULL;
                struct outgoing *p;

                if (t->link > 0)
                        metrics_observe(self->d.counts, M_ACK, 0, now.ns - t->taken_in.ns);
                if (t->busy != 0)
                        send_back(self, g, i);
                if (!r || r->answered == g)
                        continue;
                r->answered = g;
                arena_reset(a);
                p = receipt_for(self, r, g, a);
                if (p)
                        push(self, p);
        }
}

/* ---- what a group changes ---- */

static void wake_all(struct deliver *self)
{
        for (size_t i = 0; i < self->readers_n; i++)
                if (self->readers[i])
                        self->readers[i]->wake = true;
}

/* A subscription is new or changed: its agent's session, if one is open, takes it up. */
static void wake_agent(struct deliver *self, struct mirror_sub *s)
{
        for (size_t i = 0; i < self->readers_n; i++) {
                struct reader *r = self->readers[i];

                if (!r || memcmp(r->agent.b, s->agent.b, ID_BYTES) != 0)
                        continue;
                if (reader_add_sub(r, s) < 0)
                        broker_fail("deliver.memory", -ENOMEM);
                r->wake = true;
        }
}

static void wake_subscribers(struct mirror_stream *stream)
{
        for (struct mirror_sub *s = stream->subs; s; s = s->next)
                if (s->reader)
                        ((struct reader *)s->reader)->wake = true;
}

static void note(struct deliver *self, const struct mirror_news *n)
{
        switch (n->what) {
        case MIRROR_NOTHING:
                break;
        case MIRROR_SUB:
                if (n->sub->reader)
                        ((struct reader *)n->sub->reader)->wake = true;
                else
                        wake_agent(self, n->sub);
                break;
        case MIRROR_STREAM:
                wake_subscribers(n->stream);
                break;
        case MIRROR_FEED:
                for (size_t i = 0; i < self->readers_n; i++)
                        if (self->readers[i] && strcmp(self->readers[i]->department, n->department) == 0)
                                self->readers[i]->wake = true;
                break;
        case MIRROR_TRUST:
                wake_all(self);
                break;
        }
}

static void take_head(struct deliver *self, const struct group *g)
{
        const struct ticket *t = g->trust_head;
        const Shuyi__V1__TrustHeadBody *body = (const void *)t->claim->open_body;
        struct trust_head head = { .seq = t->seq, .trust_seq = body->trust_seq, .epoch = t->entry.epoch, .accepted_at = t->accepted_at,
                                   .effects = t->outcome.effects_digest };
        char *note = strdup(g->note);

        if (!note || trust_head_set(&self->d.head, &head, t->claim->wire) < 0 || trust_heads_add(&self->d.heads, &self->d.head) < 0)
                broker_fail("deliver.memory", -ENOMEM);
        free(self->d.own.note);
        self->d.own.note = note;
        self->d.own.seq = t->seq;
        self->d.own.path_n = merkle_last_path(&g->before_head, self->d.own.path);
        wake_all(self);
}

/* A head that the anchor's quorum has seen: TRUST_HEADs below it may go. */
static void take_published(struct deliver *self, struct news *n)
{
        if (!self->d.tiles)
                self->d.tiles = tiles_reader_new(self->d.broker->tiles, 0);
        if (!self->d.tiles)
                broker_fail("deliver.memory", -ENOMEM);
        free(self->d.published);
        self->d.published = TAKE(n->note);
        self->d.published_size = n->size;
        self->d.published_ns = self->d.now_ns;
        self->d.proof = (struct head_proof){ 0 };
        wake_all(self);
}

static void keep(struct deliver *self, struct group *g)
{
        for (unsigned i = 0; i < g->n; i++) {
                struct ticket *t = g->tickets[i];
                struct mirror_news news;

                if (t->link > 0)
                        atomic_fetch_sub(&self->d.broker->pipeline_bytes, t->again ? 0 : t->wire.n);
                if (t->seq == 0 || t->settled_before)
                        continue;
                for (size_t k = 0; k < t->outcome.effects_n; k++) {
                        if (mirror_apply(&self->d.mirror, &t->outcome.effects[k], &news) < 0)
                                broker_fail("deliver.mirror", -ENOMEM);
                        note(self, &news);
                }
                if (hot_add(self->d.hot, t) < 0)
                        broker_fail("deliver.memory", -ENOMEM);
                g->tickets[i] = NULL;
        }
}

static void take_group(struct deliver *self, struct group *g)
{
        answer(self, g);
        for (size_t i = 0; i < self->readers_n; i++)
                if (self->readers[i])
                        self->readers[i]->answered = NULL;      /* the next group may get this one's address */
        if (g->trust_head)
                take_head(self, g);
        keep(self, g);
        group_free(g);
        hot_prune(self->d.hot, atomic_load(&self->d.broker->committed), (size_t)broker_setting(self->d.broker, S_HOT_BYTES));
        metrics_set(self->d.broker->metrics, M_HOT_BYTES, 0, hot_bytes(self->d.hot));
}

/* ---- sessions ---- */

static void end_session(struct deliver *self, uint32_t link)
{
        struct reader *r = reader_of(self, link);
        struct handover *list = NULL, *next;

        if (!r)
                return;
        if (reader_handover(r, &list) < 0)
                broker_fail("deliver.memory", -ENOMEM);
        for (; list; list = next) {
                next = list->next;
                if (work_queue_push(&self->d.broker->work, &list->work) < 0)
                        free(list);
        }
        reader_fini(r);
        free(r);
        self->readers[link] = NULL;
}

static void open_session(struct deliver *self, const struct news *n)
{
        struct reader *r;

        if (n->link >= self->readers_n) {
                size_t size = (size_t)n->link + 64;
                struct reader **readers = realloc(self->readers, size * sizeof(*readers));

                if (!readers)
                        broker_fail("deliver.memory", -ENOMEM);
                memset(readers + self->readers_n, 0, (size - self->readers_n) * sizeof(*readers));
                self->readers = readers;
                self->readers_n = size;
        }
        end_session(self, n->link);
        r = calloc(1, sizeof(*r));
        if (!r || reader_open(r, &self->d, n) < 0)
                broker_fail("deliver.memory", -ENOMEM);
        self->readers[n->link] = r;
}

static void take_news(struct deliver *self, struct news *n)
{
        struct reader *r = reader_of(self, n->link);

        switch (n->kind) {
        case NEWS_GROUP:
                take_group(self, n->group);
                break;
        case NEWS_OPENED:
                open_session(self, n);
                break;
        case NEWS_CLOSED:
                if (r && r->session == n->session)
                        end_session(self, n->link);
                break;
        case NEWS_ACKED:
                if (r && r->session == n->session) {
                        reader_acked(r, n->acked);
                        r->wake = true;
                }
                break;
        case NEWS_PUBLISHED:
                take_published(self, n);
                break;
        case NEWS_END:
                for (uint32_t i = 0; i < self->readers_n; i++)
                        end_session(self, i);
                sem_post(&self->ended);
                break;
        case NEWS_STOP:
                self->stop = true;
                break;
        }
        free(n);
}

/* ---- a turn ---- */

/* Sends each reader some; true if one has more. */
static bool pump(struct deliver *self)
{
        bool more = false;

        for (size_t i = 0; i < self->readers_n; i++) {
                struct reader *r = self->readers[i];

                if (r && r->head_wait.hold_until_ns != 0 && self->d.now_ns >= r->head_wait.hold_until_ns)
                        r->wake = true;
                for (unsigned k = 0; r && r->wake && k < PARCELS_A_TURN; k++) {
                        struct outgoing *p = reader_next(r, &self->d);

                        if (p)
                                push(self, p);
                        else
                                r->wake = false;
                }
                more |= r && r->wake;
        }
        return more;
}

static void *run(void *arg)
{
        struct deliver *self = arg;
        bool more = false;

        pthread_setname_np(pthread_self(), "deliver");
        while (!self->stop) {
                void *news[64];
                int n = queue_take_many(self->d.broker->news.q, more ? 0 : 200, news, ELEMENTS(news));

                self->d.now_ns = times_mono().ns;
                for (int i = 0; i < n; i++)
                        take_news(self, news[i]);
                if (n == -EPIPE)
                        break;
                more = pump(self);
                atomic_store(&self->d.broker->heartbeat[2], self->d.now_ns);
        }
        return NULL;
}

/* ---- start and stop ---- */

int deliver_start(struct broker *b, struct deliver **ret)
{
        struct deliver *self = calloc(1, sizeof(*self));
        int r;

        if (!self)
                return -ENOMEM;
        self->d.broker = b;
        self->d.counts = metrics_block_new(b->metrics);
        self->d.hot = hot_new();
        self->d.arena = arena_new(16u << 20);
        sem_init(&self->ended, 0, 0);
        r = self->d.hot && self->d.arena ? mirror_load(&self->d.mirror, b->store) : -ENOMEM;
        if (r == 0)
                r = -pthread_create(&self->thread, NULL, run, self);
        if (r < 0)
                return r;
        *ret = self;
        return 0;
}

static void tell(struct deliver *self, enum news_kind kind)
{
        struct news *n = calloc(1, sizeof(*n));

        if (!n)
                broker_fail("deliver.stop", -ENOMEM);
        n->kind = kind;
        if (news_queue_push(&self->d.broker->news, n) < 0)
                free(n);
}

void deliver_end_sessions(struct deliver *self)
{
        tell(self, NEWS_END);
        while (sem_wait(&self->ended) < 0 && errno == EINTR)
                ;
}

void deliver_stop(struct deliver *self)
{
        if (!self)
                return;
        tell(self, NEWS_STOP);
        pthread_join(self->thread, NULL);
        for (uint32_t i = 0; i < self->readers_n; i++)
                if (self->readers[i]) {
                        reader_fini(self->readers[i]);
                        free(self->readers[i]);
                }
        free(self->readers);
        hot_free(self->d.hot);
        mirror_fini(&self->d.mirror);
        arena_free(self->d.arena);
        free(self->d.buffer);
        trust_head_fini(&self->d.head);
        trust_heads_fini(&self->d.heads);
        tiles_reader_free(self->d.tiles);
        free(self->d.own.note);
        free(self->d.published);
        sem_destroy(&self->ended);
        free(self);
}
