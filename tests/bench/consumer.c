/* consumer: takes what the broker delivers, verifies, opens, checks the records' root, keeps it in its inbox, and only when
 * that is on disk acknowledges and signs delivery receipts. */
#include "core.h"
#include "journal.h"
#include "agent/flow.h"
#include "common/envelope.h"
#include "common/record.h"
#include "common/seal.h"
#include "proto/stream.pb-c.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PENDING 1024u                   /* more than the parcel window and the receipts under way */
#define LANE0 256u

struct item { uint64_t journal, parcel, stream_seq; uint32_t records; bool receipt; };
struct act { uint8_t *p; size_t n; };

struct consumer {
        const struct reader *reader;
        struct board *board;
        struct corner *corner;          /* ours */
        struct party party;
        struct journal *inbox;
        struct arena *arena;
        uint64_t cursor;                /* last link taken */
        struct digest head;
        struct item pending[PENDING];   /* on their way to the disk: first <= i < next */
        uint64_t first, next;
        uint64_t kept, receipted;       /* links on disk; links told of in a receipt */
        struct digest kept_digest, digests[PENDING];    /* by stream_seq: of links not yet receipted */
        uint64_t acquired[PENDING];
        uint64_t first_ns;              /* when the first unreceipted one came to disk; 0 none */
        struct act acts[LANE0];
        uint64_t acts_made, acts_durable;
        struct samples delivery;
        bool begun, ended;
        double cpu;
        struct journal_use use;
};

/* ---- a link ---- */

static int find_key(void *ctx, const struct digest *credential, enum role capacity, uint8_t ret_key[32], uint32_t *ret_suite)
{
        const struct board *b = ctx;

        if (!digest_equal(credential, &b->provider_credential))
                return 0;
        memcpy(ret_key, b->provider_key, 32);
        *ret_suite = SUITE_1;
        return 1;
}

static void add_pending(struct consumer *c, struct item i, struct bytes content)
{
        if (c->next - c->first == PENDING)
                die(c->party.name, "more parcels than the window allows", 0);
        i.journal = journal_append(c->inbox, content);
        if (i.journal == 0)
                die(c->party.name, "the inbox is full", 0);
        c->pending[c->next++ % PENDING] = i;
}

/* The records, opened and compared with the root that the provider signed. */
static struct bytes open_update(struct consumer *c, const struct claim *claim)
{
        uint8_t *plain = claim->body.n > SEAL_OVERHEAD ? arena_alloc(c->arena, claim->body.n) : NULL;
        size_t n = claim->body.n - SEAL_OVERHEAD;
        struct digest leaves[RECORDS_MAX], root;
        Shuyi__V1__UpdateContent *content;

        if (!plain || !seal_open_update(c->board->view_key, claim->intent_bytes, claim->body, plain))
                die(c->party.name, "a body that does not open", 0);
        content = message_parse(c->arena, &shuyi__v1__update_content__descriptor, bytes_of(plain, n));
        if (!content || content->n_records != claim->intent->record_count || content->n_records > RECORDS_MAX || content->seed.len != 32)
                die(c->party.name, "a content of no form", 0);
        root = record_root(content->seed.data, content->records, content->n_records, leaves);
        if (!bytes_equal(bytes_digest(&root), bytes_of(claim->intent->records_root.data, claim->intent->records_root.len)))
                die(c->party.name, "another records root", 0);
        return bytes_of(plain, n);
}

/* An epoch named us again after one that did not: the stream goes on for us there. */
static void rejoin(struct consumer *c, uint64_t stream_seq)
{
        c->cursor = c->kept = c->receipted = stream_seq - 1;
        c->head = (struct digest){ { 0 } };
}

static void take_link(struct consumer *c, const Shuyi__V1__Parcel *p)
{
        struct key_source keys = { find_key, c->board };
        struct bytes wire = bytes_of(p->envelope.data, p->envelope.len), content = { 0 }, prev;
        const struct claim *claim;
        enum refusal r;

        arena_reset(c->arena);
        if (p->row.len && p->cursor > c->cursor + 1 && c->kept == c->cursor)
                rejoin(c, p->cursor);
        r = p->row.len ? envelope_verify_bare(c->arena, wire, &keys, &claim) : envelope_verify(c->arena, wire, &keys, &claim);
        if (r != ACCEPTED || claim->intent->stream_seq != p->cursor || p->cursor != c->cursor + 1)
                die(c->party.name, "a link that does not verify, or not the next", 0);
        prev = bytes_of(claim->intent->prev_digest.data, claim->intent->prev_digest.len);
        if (c->cursor && !digest_is_zero(&c->head) && !bytes_equal(prev, bytes_digest(&c->head)))
                die(c->party.name, "a broken chain", 0);
        c->cursor++;
        c->head = c->digests[c->cursor % PENDING] = claim->header_digest;
        if (claim->kind->number == KIND_UPDATE && c->cursor >= c->board->base)
                content = open_update(c, claim);
        add_pending(c, (struct item){ .parcel = p->number, .stream_seq = c->cursor, .records = content.n ? claim->intent->record_count : 0 }, content);
}

static void parcel(void *ctx, const Shuyi__V1__Parcel *p)
{
        struct consumer *c = ctx;

        if (p->type == PARCEL_LINK && bytes_equal(bytes_of(p->grant.data, p->grant.len), bytes_digest(&c->reader->grant)))
                take_link(c, p);
        else
                add_pending(c, (struct item){ .parcel = p->number }, (struct bytes){ 0 });
}

/* ---- receipts ---- */

static void sign_receipt(struct consumer *c, uint64_t last)
{
        Shuyi__V1__DeliveryReceiptBody body = SHUYI__V1__DELIVERY_RECEIPT_BODY__INIT;
        uint64_t deltas[FLOW_RECEIPT_TRANSFERS];
        struct act *act = &c->acts[(c->acts_made + 1) % LANE0];
        Shuyi__V1__Intent in;
        struct digest stream;
        struct bytes wire;

        arena_reset(c->arena);
        party_begin(&c->party, c->arena, KIND_DELIVERY_RECEIPT, &in);
        stream = c->board->stream;
        in.grant = data_of(bytes_digest(&c->reader->grant));
        in.stream = data_of(bytes_digest(&stream));
        body.first = c->receipted + 1;
        body.last = last;
        body.last_digest = data_of(bytes_digest(&c->digests[last % PENDING]));
        body.acquired_at = c->acquired[body.first % PENDING];
        for (uint64_t i = body.first + 1; i <= last; i++)
                deltas[body.n_deltas++] = c->acquired[i % PENDING] - c->acquired[(i - 1) % PENDING];
        body.deltas = deltas;
        wire = party_sign(&c->party, c->arena, &in, message_pack(c->arena, &body.base));
        free(act->p);
        act->p = malloc(wire.n);
        if (!act->p)
                die(c->party.name, "memory", 0);
        memcpy(act->p, wire.p, act->n = wire.n);
        c->acts_made++;
        c->receipted = last;
        if (c->begun && !c->ended)
                c->corner->receipts++;
        add_pending(c, (struct item){ .receipt = true }, wire);
}

/* At 256 transfers, or 100 ms after the first unreceipted one. */
static void sign_due(struct consumer *c)
{
        while (c->kept - c->receipted >= FLOW_RECEIPT_TRANSFERS)
                sign_receipt(c, c->receipted + FLOW_RECEIPT_TRANSFERS);
        if (c->kept > c->receipted && c->party.now.ns - c->first_ns >= FLOW_RECEIPT_MS * 1000000ull)
                sign_receipt(c, c->kept);
}

/* ---- what came to disk ---- */

static void keep_link(struct consumer *c, const struct item *i, uint64_t now)
{
        struct board *b = c->board;

        if (c->kept == c->receipted)
                c->first_ns = c->party.now.ns;  /* on the clock that sign_due compares with */
        c->kept = i->stream_seq;
        c->acquired[i->stream_seq % PENDING] = times_wall().ms;
        if (i->stream_seq > c->receipted + 1 && c->acquired[i->stream_seq % PENDING] < c->acquired[(i->stream_seq - 1) % PENDING])
                c->acquired[i->stream_seq % PENDING] = c->acquired[(i->stream_seq - 1) % PENDING];
        if (i->records == 0 || !b->start || now < b->start || now > b->stop)
                return;
        c->corner->delivered++;
        c->corner->delivered_records += i->records;
        samples_add(&c->delivery, (double)(now - b->made_ns[i->stream_seq - b->base]) / 1e3);
}

static void take_durable(struct consumer *c)
{
        uint64_t durable = journal_durable(c->inbox), now = times_mono().ns, ack = 0;

        for (; c->first < c->next && c->pending[c->first % PENDING].journal <= durable; c->first++) {
                const struct item *i = &c->pending[c->first % PENDING];

                if (i->receipt)
                        c->acts_durable++;
                if (i->stream_seq)
                        keep_link(c, i, now);
                if (i->parcel)
                        ack = i->parcel;
        }
        if (ack)
                party_ack(&c->party, ack);
}

static void send_acts(struct consumer *c)
{
        uint64_t number;

        session_client_extend(&c->party.session, 0, c->acts_durable + 1);
        while (session_client_next(&c->party.session, 0, c->party.now, &number)) {
                const struct act *a = &c->acts[number % LANE0];

                if (!party_put(&c->party, 0, number, bytes_of(a->p, a->n)))
                        return;
        }
}

/* ---- the run ---- */

static void watch_run(struct consumer *c)
{
        struct board *b = c->board;
        uint64_t now = c->party.now.ns;

        if (!c->begun && b->start) {
                c->begun = true;
                c->cpu = process_cpu_us();
                c->use = journal_use(c->inbox);
        }
        if (c->begun && !c->ended && now >= b->stop) {
                struct journal_use use = journal_use(c->inbox);

                c->ended = true;
                c->corner->use = (struct side){ process_cpu_us() - c->cpu, use.syncs - c->use.syncs, use.bytes - c->use.bytes };
        }
}

static bool has_all(const struct consumer *c)
{
        return c->ended && c->board->last && c->kept == c->board->last && c->receipted == c->kept && c->first == c->next &&
               session_client_unsettled(&c->party.session, 0) == 0;
}

static void run(struct consumer *c)
{
        int fds[1] = { journal_fd(c->inbox) };

        while (!has_all(c)) {
                party_turn(&c->party, fds, 1, 20);
                take_durable(c);
                sign_due(c);
                send_acts(c);
                watch_run(c);
        }
        c->corner->p50 = samples_at(&c->delivery, 0.5);
        c->corner->p99 = samples_at(&c->delivery, 0.99);
        c->corner->max = samples_at(&c->delivery, 1);
        c->corner->done = 1;
}

void core_consume(const struct load *l, struct board *b, unsigned which)
{
        struct consumer *c = calloc(1, sizeof *c);
        struct link_context *context;
        char path[4096];
        int r;

        while (!b->ready)
                usleep(1000);
        if (!c || link_context_new(&context) < 0)
                die("consumer", "memory", 0);
        c->reader = &l->readers[which];
        c->board = b;
        c->corner = &b->corners[which];
        c->cursor = c->kept = c->receipted = c->corner->cursor;
        c->head = c->corner->prev;
        c->arena = arena_new(8u << 20);
        snprintf(path, sizeof path, "%s/inbox-%u", l->directory, which);
        r = journal_open(path, CORE_JOURNAL_BYTES, &c->inbox);
        if (r < 0 || !c->arena)
                die("consumer", path, r);
        party_open(&c->party, "consumer", context, c->reader->config, parcel, c);
        c->corner->listening = 1;
        run(c);
        party_close(&c->party);
        link_context_free(context);
        journal_close(c->inbox);
}
