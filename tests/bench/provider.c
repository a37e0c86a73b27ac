/* provider: seals and signs envelopes, keeps them in its outbox, sends what is on disk, takes receipts. */
#include "core.h"
#include "journal.h"
#include "common/envelope.h"
#include "common/merkle.h"
#include "common/record.h"
#include "common/seal.h"
#include "common/secret.h"
#include "proto/state.pb-c.h"
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define RING 1024u
#define AHEAD_FRAMES 512u               /* made and without a receipt */
#define AHEAD_BYTES (8u << 20)
#define DRAIN_NS 60000000000ull         /* the readers may be behind when the run ends */
#define MAKE_NS 300000u                 /* making for so long, then the link has its turn */

struct slot { uint8_t *p; size_t n, room; uint64_t sent_ns; };

struct provider {
        const struct load *load;
        struct board *board;
        struct party party;
        struct journal *outbox;
        struct arena *arena, *facts;
        Shuyi__V1__GrantRow *grants[CORE_CONSUMERS_MAX], *grant;        /* of the readers; the first */
        Shuyi__V1__StreamRow *stream;
        struct digest id;               /* of the stream */
        uint32_t view_epoch;
        uint64_t head;
        struct digest head_digest;
        ProtobufCBinaryData records[RECORDS_MAX];
        uint64_t oldest;
        struct slot ring[RING];         /* by outbox number */
        uint64_t made, durable, settled;
        uint64_t bytes_ahead;
        struct samples acks;
        uint64_t acked_records;
        int timer;
};

/* ---- facts ---- */

static void read_facts(struct provider *p)
{
        struct party *y = &p->party;
        struct digest view;

        for (unsigned i = 0; i < p->load->readers_n; i++) {
                p->grants[i] = party_read(y, p->facts, READ_GRANTS, bytes_digest(&p->load->readers[i].grant), &shuyi__v1__grant_row__descriptor);
                if (!bytes_equal(bytes_of(p->grants[i]->view.data, p->grants[i]->view.len), bytes_of(p->grants[0]->view.data, p->grants[0]->view.len)))
                        die(y->name, "the grants are of several views", 0);
        }
        p->grant = p->grants[0];
        if (!bytes_copy_exact(bytes_of(p->grant->view.data, p->grant->view.len), view.b, DIGEST_BYTES))
                die(y->name, "the grant names no view", 0);
        p->id = stream_id(&y->self.agent, &view);
        p->stream = party_read(y, p->facts, READ_STREAMS, bytes_digest(&p->id), &shuyi__v1__stream_row__descriptor);
        p->head = p->stream->head;
        p->view_epoch = p->stream->view_epoch + 1;
        if (!bytes_copy_exact(bytes_of(p->stream->head_digest.data, p->stream->head_digest.len), p->head_digest.b, DIGEST_BYTES))
                die(y->name, "the stream has no head", 0);
        randombytes_buf(p->board->view_key, KEY_BYTES);
        p->board->key_id = view_key_id(y->self.department, &view, p->view_epoch, p->board->view_key);
}

static void tell_consumers(struct provider *p)
{
        for (unsigned i = 0; i < p->load->readers_n; i++) {
                struct corner *c = &p->board->corners[i];
                Shuyi__V1__SubscriptionRow *sub;

                sub = party_read(&p->party, p->facts, READ_SUBSCRIPTIONS, bytes_digest(&p->load->readers[i].grant), &shuyi__v1__subscription_row__descriptor);
                c->cursor = sub->cursor;
                if (sub->last_digest.len == DIGEST_BYTES)
                        memcpy(c->prev.b, sub->last_digest.data, DIGEST_BYTES);
        }
        memcpy(p->board->provider_key, p->party.self.keys.sign_key, 32);
        p->board->provider_credential = p->party.self.credential;
        p->board->stream = p->id;
        p->board->base = p->head + 1;
        p->board->ready = 1;
}

static void make_records(struct provider *p)
{
        static const char filler[] = "0123456789abcdef";

        p->oldest = times_wall().ms;
        for (uint32_t i = 0; i < p->load->records; i++) {
                Shuyi__V1__Record r = SHUYI__V1__RECORD__INIT;
                Shuyi__V1__Value v = SHUYI__V1__VALUE__INIT, *values = &v;
                char text[CORE_RECORD_BYTES];

                for (unsigned k = 0; k < sizeof text - 1; k++)
                        text[k] = filler[randombytes_uniform(16)];
                text[CORE_RECORD_BYTES - 48] = 0;
                v.item = 1;
                v.text = text;
                r.op = 1;
                r.key = arena_printf(p->facts, "4420000%05u", i);
                r.changed_at = r.taken_at = p->oldest;
                r.values = &values;
                r.n_values = 1;
                p->records[i] = data_of(message_pack(p->facts, &r.base));
                if (p->records[i].len == 0)
                        die(p->party.name, "memory", 0);
        }
}

/* ---- making ---- */

static void begin(struct provider *p, uint32_t kind, Shuyi__V1__Intent *in)
{
        party_begin(&p->party, p->arena, kind, in);
        in->view = p->grant->view;
        in->view_epoch = p->view_epoch;
        in->resource = p->grant->resource;
        in->resource_version = p->grant->version;
        in->n_items = p->grant->n_items;
        in->items = p->grant->items;
        in->key_id = data_of(bytes_digest(&p->board->key_id));
        in->stream = data_of(bytes_digest(&p->id));
        in->stream_seq = p->head + 1;
        in->prev_digest = data_of(bytes_digest(&p->head_digest));
        in->secrecy_review = p->stream->secrecy;
        in->filter_digest = p->stream->filter_digest;
        in->mask_version = p->stream->mask_version;
}

static struct slot *slot_of(struct provider *p, uint64_t number)
{
        return &p->ring[number % RING];
}

/* Into outbox and ring, under the next number. */
static void keep(struct provider *p, struct bytes wire)
{
        struct slot *s = slot_of(p, p->made + 1);

        if (s->room < wire.n) {
                free(s->p);
                s->p = malloc(s->room = wire.n + 256);
        }
        if (!s->p || !envelope_header_digest(wire, &p->head_digest))
                die(p->party.name, "memory", 0);
        p->head++;
        memcpy(s->p, wire.p, wire.n);
        s->n = wire.n;
        s->sent_ns = 0;
        p->bytes_ahead += wire.n;
        if (journal_append(p->outbox, wire) != ++p->made)
                die(p->party.name, "the outbox is full", 0);
}

/* One reader's row of the epoch, in the arena. */
static Shuyi__V1__AudienceRow *make_row(struct provider *p, unsigned which)
{
        const Shuyi__V1__GrantRow *g = p->grants[which];
        Shuyi__V1__AgentRow *agent = party_read(&p->party, p->facts, READ_AGENTS, bytes_of(g->agent.data, g->agent.len), &shuyi__v1__agent_row__descriptor);
        Shuyi__V1__AudienceRow *row = ARENA_ARRAY(p->arena, Shuyi__V1__AudienceRow, 1);
        Shuyi__V1__ViewKey key = SHUYI__V1__VIEW_KEY__INIT;

        if (!row)
                die(p->party.name, "memory", 0);
        shuyi__v1__audience_row__init(row);
        row->grant = key.grant = data_of(bytes_digest(&p->load->readers[which].grant));
        row->channel = g->channel;
        row->consumer = g->consumer;
        row->purpose = g->purpose;
        row->user = g->user;
        row->approver = g->approver;
        row->method = g->method;
        row->agent = key.agent = g->agent;
        row->seal_key = agent->seal_key;
        key.key = data_of(bytes_of(p->board->view_key, KEY_BYTES));
        key.view = g->view;
        key.view_epoch = p->view_epoch;
        row->wrapped = data_of(view_key_wrap(p->arena, &key, agent->seal_key.data));
        return row;
}

static void make_epoch(struct provider *p)
{
        Shuyi__V1__AudienceRow *rows[CORE_CONSUMERS_MAX];
        Shuyi__V1__ViewEpochBody body = SHUYI__V1__VIEW_EPOCH_BODY__INIT;
        struct digest leaves[CORE_CONSUMERS_MAX], root;
        unsigned n = p->load->readers_n;
        Shuyi__V1__Intent in;

        arena_reset(p->arena);
        begin(p, KIND_VIEW_EPOCH, &in);
        for (unsigned i = 0; i < n; i++) {
                rows[i] = make_row(p, i);
                leaves[i] = row_leaf(message_pack(p->arena, &rows[i]->base));
        }
        root = merkle_records_root(leaves, n);
        in.records_root = data_of(bytes_digest(&root));
        in.record_count = n;
        body.rows = rows;
        body.n_rows = n;
        keep(p, party_sign(&p->party, p->arena, &in, message_pack(p->arena, &body.base)));
}

static void make_update(struct provider *p)
{
        Shuyi__V1__UpdateContent content = SHUYI__V1__UPDATE_CONTENT__INIT;
        struct digest leaves[RECORDS_MAX], root;
        Shuyi__V1__Intent in;
        struct bytes plain;
        uint8_t seed[32], nonce[24], *sealed;

        arena_reset(p->arena);
        p->board->made_ns[p->head + 1 - p->board->base] = times_mono().ns;
        begin(p, KIND_UPDATE, &in);
        randombytes_buf(seed, sizeof seed);
        randombytes_buf(nonce, sizeof nonce);
        content.seed = data_of(bytes_of(seed, sizeof seed));
        content.agent = data_of(bytes_id(&p->party.self.agent));
        content.stream = in.stream;
        content.records = p->records;
        content.n_records = in.record_count = p->load->records;
        root = record_root(seed, p->records, p->load->records, leaves);
        in.records_root = data_of(bytes_digest(&root));
        in.medium = MEDIUM_NETWORK;
        in.oldest_changed_at = p->oldest;
        plain = message_pack(p->arena, &content.base);
        sealed = arena_alloc(p->arena, plain.n + SEAL_OVERHEAD);
        if (!plain.p || !sealed)
                die(p->party.name, "memory", 0);
        seal_update(p->board->view_key, message_pack(p->arena, &in.base), plain, nonce, sealed);
        keep(p, party_sign(&p->party, p->arena, &in, bytes_of(sealed, plain.n + SEAL_OVERHEAD)));
}

/* ---- the link ---- */

static void settled(void *ctx, const Shuyi__V1__ReceiptRow *row)
{
        struct provider *p = ctx;
        struct slot *s = slot_of(p, row->outbox_seq);
        uint64_t now = times_mono().ns;

        p->settled++;
        p->bytes_ahead -= s->n;
        if (p->board->start && s->sent_ns >= p->board->start && now <= p->board->stop) {
                samples_add(&p->acks, (double)(now - s->sent_ns) / 1e3);
                p->acked_records += p->load->records;
        }
}

static void send_durable(struct provider *p)
{
        uint64_t number;

        p->durable = journal_durable(p->outbox);
        session_client_extend(&p->party.session, 1, p->durable + 1);
        while (session_client_next(&p->party.session, 1, p->party.now, &number)) {
                struct slot *s = slot_of(p, number);

                s->sent_ns = times_mono().ns;
                if (!party_put(&p->party, 1, number, bytes_of(s->p, s->n)))
                        return;
        }
}

static bool may_make(const struct provider *p)
{
        uint64_t ahead = p->made - p->settled;

        if (p->made + 16 >= BOARD_ENVELOPES)
                return false;
        if (p->load->alone)
                return ahead == 0;
        return ahead < AHEAD_FRAMES && p->bytes_ahead < AHEAD_BYTES;
}

static void make_some(struct provider *p)
{
        uint64_t began = times_mono().ns, due = 1;

        if (p->load->rate && read(p->timer, &due, sizeof due) < 0)
                due = 0;
        while (due && may_make(p) && times_mono().ns - began < MAKE_NS) {
                make_update(p);
                due -= p->load->rate || p->load->alone ? 1 : 0;
        }
}

static void turn(struct provider *p, bool making)
{
        int fds[2] = { journal_fd(p->outbox), p->timer };
        bool more = making && !p->load->rate && may_make(p);

        party_turn(&p->party, fds, p->load->rate ? 2 : 1, more ? 0 : 20);
        if (making)
                make_some(p);
        send_durable(p);
}

/* ---- the run ---- */

static int make_timer(uint32_t rate)
{
        struct timespec gap = { 0, 1000000000l / (rate > 1 ? rate : 2) };
        struct itimerspec t = { gap, gap };
        int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

        if (fd < 0 || timerfd_settime(fd, 0, &t, NULL) < 0)
                die("provider", "timer", -1);
        return fd;
}

/* Ticks of user and system time of the broker, in us. */
static double broker_cpu_us(int pid)
{
        char path[64], line[1024], *at;
        unsigned long user = 0, system = 0;
        FILE *f;

        snprintf(path, sizeof path, "/proc/%d/stat", pid);
        f = pid ? fopen(path, "re") : NULL;
        if (f && fgets(line, sizeof line, f) && (at = strrchr(line, ')')))
                sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
        if (f)
                fclose(f);
        return (double)(user + system) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

struct gauges { double own, broker; struct journal_use use; };

static struct gauges read_gauges(const struct provider *p)
{
        return (struct gauges){ process_cpu_us(), broker_cpu_us(p->load->broker), journal_use(p->outbox) };
}

static void print(const char *name, double value, const char *unit)
{
        printf("%s\t%.2f\t%s\n", name, value, unit);
}

static double later(double a, double b)
{
        return a > b ? a : b;
}

/* Counts of all readers together, times of the slowest. */
static struct corner sum_corners(const struct provider *p)
{
        struct corner all = { 0 };

        for (unsigned i = 0; i < p->load->readers_n; i++) {
                const struct corner *c = &p->board->corners[i];

                all.delivered += c->delivered;
                all.delivered_records += c->delivered_records;
                all.receipts += c->receipts;
                all.use.cpu_us += c->use.cpu_us;
                all.use.syncs += c->use.syncs;
                all.p50 = later(all.p50, c->p50);
                all.p99 = later(all.p99, c->p99);
                all.max = later(all.max, c->max);
        }
        return all;
}

static void report(struct provider *p, const struct gauges *from, const struct gauges *to)
{
        const struct board *b = p->board;
        struct corner all = sum_corners(p);
        double n = p->load->readers_n, seconds = (double)(b->stop - b->start) / 1e9;
        double records = all.delivered_records ? (double)all.delivered_records / n : NAN;

        print("delivered", (double)all.delivered_records / n / seconds, "records/s");
        print("acknowledged", (double)p->acked_records / seconds, "records/s");
        print("ack_p50", samples_at(&p->acks, 0.5), "us");
        print("ack_p99", samples_at(&p->acks, 0.99), "us");
        print("ack_max", samples_at(&p->acks, 1), "us");
        print("delivery_p50", all.p50, "us");
        print("delivery_p99", all.p99, "us");
        print("delivery_max", all.max, "us");
        print("provider_cpu", (to->own - from->own) / records, "us/record");
        print("broker_cpu", (to->broker - from->broker) / records, "us/record");
        print("consumer_cpu", all.use.cpu_us / (double)all.delivered_records, "us/record");
        print("outbox_syncs", (double)(to->use.syncs - from->use.syncs) / seconds, "1/s");
        print("inbox_syncs", (double)all.use.syncs / seconds, "1/s");
        print("envelopes", (double)all.delivered / n, "");
        print("receipts_per_delivery", (double)all.receipts / (double)all.delivered, "");
}

static void run(struct provider *p)
{
        struct board *b = p->board;
        struct gauges from = { 0 }, to = { 0 };
        uint64_t begin_ns = times_mono().ns;
        uint64_t end;

        while (!b->start || times_mono().ns < b->stop) {
                turn(p, true);
                if (!b->start && times_mono().ns - begin_ns >= p->load->warm_ns) {
                        from = read_gauges(p);
                        b->stop = times_mono().ns + p->load->run_ns;
                        b->start = b->stop - p->load->run_ns;
                }
        }
        to = read_gauges(p);
        b->last = p->head;
        end = times_mono().ns + DRAIN_NS;
        while (p->settled < p->made) {
                turn(p, false);
                if (times_mono().ns > end)
                        die(p->party.name, "envelopes without a receipt", 0);
        }
        for (unsigned i = 0; i < p->load->readers_n; i++)
                while (!b->corners[i].done) {
                        turn(p, false);
                        if (times_mono().ns > end)
                                die(p->party.name, "a consumer did not get all", 0);
                }
        report(p, &from, &to);
}

void core_provide(const struct load *l, struct board *b)
{
        struct provider *p = calloc(1, sizeof *p);
        struct link_context *context;
        char path[4096];
        int r;

        if (!p || link_context_new(&context) < 0)
                die("provider", "memory", 0);
        p->load = l;
        p->board = b;
        p->arena = arena_new(8u << 20);
        p->facts = arena_new(16u << 20);
        p->timer = make_timer(l->rate);
        snprintf(path, sizeof path, "%s/outbox", l->directory);
        r = journal_open(path, CORE_JOURNAL_BYTES, &p->outbox);
        if (r < 0 || !p->arena || !p->facts)
                die("provider", path, r);
        party_open(&p->party, "provider", context, l->provider, NULL, NULL);
        read_facts(p);
        tell_consumers(p);
        make_records(p);
        for (unsigned i = 0; i < l->readers_n; i++)
                while (!b->corners[i].listening)
                        party_turn(&p->party, NULL, 0, 10);
        make_epoch(p);
        p->party.ctx = p;
        p->party.settled = settled;
        run(p);
        party_close(&p->party);
        link_context_free(context);
        journal_close(p->outbox);
}
