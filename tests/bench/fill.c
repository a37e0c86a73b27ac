/* fill: makes a log long, so that what the exchange does on a long one can be measured.
 *
 * Opens the store of a broker that does not run, and goes on with one stream: UPDATEs of one small record, after every 256 of
 * them the consumer's DELIVERY_RECEIPT.  Each entry goes through the broker's own fold, segments, index and heads, so state and
 * log are as if it had come over a link; only the signatures of the entries are noise, since nothing verifies them again but
 * a full log check.  Heads are signed.  Prints name, value, unit (tab-separated). */
#include "broker/recover.h"
#include "common/checkpoint.h"
#include "common/envelope.h"
#include "common/fold.h"
#include "common/macro.h"
#include "common/seal.h"
#include "common/statekeys.h"
#include "proto/stream.pb-c.h"
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define GROUP 1024u
#define GROUPS_A_COMMIT 32u
#define RECEIPT_EVERY 256u
#define BODY_BYTES 160u

static const char usage[] = "fill BROKER.yaml GRANT SEQ    until the log holds SEQ entries\n";

struct side { const Shuyi__V1__AgentRow *agent; uint64_t outbox_epoch, outbox_seq; };

struct filler {
        struct broker broker;
        struct fold fold;
        struct segment_batch *batch;
        struct arena *arena, *facts, *kept;     /* of one entry; of all; envelopes of the open group */
        struct side provider, consumer;
        struct digest grant_id, stream_id;
        const Shuyi__V1__GrantRow *grant;
        const Shuyi__V1__StreamRow *stream;
        uint64_t head, receipted, first_of_group;
        struct digest head_digest;
        uint8_t body[BODY_BYTES];
        unsigned groups;
};

static void die(const char *what, int r)
{
        fprintf(stderr, "fill: %s%s%s\n", what, r ? ": " : "", r ? strerror(r < 0 ? -r : r) : "");
        exit(1);
}

static ProtobufCBinaryData data_of(struct bytes b)
{
        return (ProtobufCBinaryData){ b.n, (uint8_t *)b.p };
}

/* ---- who and what ---- */

static struct side side_of(struct filler *f, ProtobufCBinaryData agent)
{
        const Shuyi__V1__AgentRow *row = FOLD_ROW(store_state(f->broker.store), f->facts, shuyi__v1__agent_row__descriptor, TABLE_AGENT, bytes_of(agent.data, agent.len));

        if (!row)
                die("an agent of the grant is not registered", 0);
        return (struct side){ .agent = row, .outbox_epoch = times_wall().ms };
}

static void read_facts(struct filler *f)
{
        struct state state = store_state(f->broker.store);
        const Shuyi__V1__SubscriptionRow *sub = FOLD_ROW(state, f->facts, shuyi__v1__subscription_row__descriptor, TABLE_SUBSCRIPTION, bytes_digest(&f->grant_id));

        f->grant = FOLD_ROW(state, f->facts, shuyi__v1__grant_row__descriptor, TABLE_GRANT, bytes_digest(&f->grant_id));
        if (!f->grant || !sub || !bytes_copy_exact(bytes_of(sub->stream.data, sub->stream.len), f->stream_id.b, DIGEST_BYTES))
                die("the grant has no live subscription", 0);
        f->stream = FOLD_ROW(state, f->facts, shuyi__v1__stream_row__descriptor, TABLE_STREAM, bytes_digest(&f->stream_id));
        if (!f->stream || !bytes_copy_exact(bytes_of(f->stream->head_digest.data, f->stream->head_digest.len), f->head_digest.b, DIGEST_BYTES))
                die("the stream has no head", 0);
        f->provider = side_of(f, f->grant->serving_agent);
        f->consumer = side_of(f, f->grant->agent);
        f->head = f->stream->head;
        f->receipted = sub->cursor;
        randombytes_buf(f->body, sizeof f->body);
}

/* ---- an envelope ---- */

static void begin(struct filler *f, const struct side *s, uint32_t kind, Shuyi__V1__Intent *in)
{
        uint64_t now = times_wall().ms;
        struct id *id = ARENA_NEW(f->arena, struct id);
        uint8_t random[10];

        if (!id)
                die("memory", 0);
        randombytes_buf(random, sizeof random);
        uuid7_make(now, random, id);
        shuyi__v1__intent__init(in);
        in->suite = SUITE_1;
        in->id = data_of(bytes_id(id));
        in->kind = kind;
        in->domain = f->broker.domain;
        in->from = s->agent->department;
        in->created_at = now;
        in->stream = data_of(bytes_digest(&f->stream_id));
}

/* Under a signature of noise. */
static const struct claim *finish(struct filler *f, const struct side *s, const Shuyi__V1__Intent *in, struct bytes body)
{
        static const uint8_t noise[64] = { 1 };
        struct bytes draft = envelope_draft(f->arena, in, body);
        Shuyi__V1__Envelope *e = shuyi__v1__envelope__unpack(arena_allocator(f->arena), draft.n, draft.p);
        Shuyi__V1__Signature signature = SHUYI__V1__SIGNATURE__INIT, *signatures = &signature;
        const struct claim *claim;
        enum refusal code;

        if (!e)
                die("memory", 0);
        signature.credential = s->agent->credential;
        signature.capacity = ROLE_AGENT;
        signature.signature = data_of(bytes_of(noise, sizeof noise));
        e->signatures = &signatures;
        e->n_signatures = 1;
        code = envelope_parse(f->arena, message_pack(f->arena, &e->base), &claim);
        if (code != ACCEPTED)
                die(refusal_text(code)->code, 0);
        return claim;
}

static const struct claim *make_update(struct filler *f)
{
        Shuyi__V1__Intent in;
        struct digest root = digest_plain(bytes_of(f->body, 32));

        begin(f, &f->provider, KIND_UPDATE, &in);
        in.view = f->grant->view;
        in.view_epoch = f->stream->view_epoch;
        in.resource = f->grant->resource;
        in.resource_version = f->grant->version;
        in.n_items = f->grant->n_items;
        in.items = f->grant->items;
        in.key_id = f->stream->key_id;
        in.stream_seq = f->head + 1;
        in.prev_digest = data_of(bytes_digest(&f->head_digest));
        in.secrecy_review = f->stream->secrecy;
        in.filter_digest = f->stream->filter_digest;
        in.mask_version = f->stream->mask_version;
        in.records_root = data_of(bytes_digest(&root));
        in.record_count = 1;
        in.medium = MEDIUM_NETWORK;
        in.oldest_changed_at = in.created_at;
        return finish(f, &f->provider, &in, bytes_of(f->body, sizeof f->body));
}

static ProtobufCBinaryData digest_of_link(struct filler *f, uint64_t stream_seq)
{
        uint8_t number[8];
        const Shuyi__V1__NumberRow *row;

        put_be64(number, stream_seq);
        row = FOLD_ROW(store_state(f->broker.store), f->arena, shuyi__v1__number_row__descriptor, TABLE_LINK_SEQ, bytes_digest(&f->stream_id), bytes_of(number, 8));
        if (!row)
                die("a link of the stream is not there", 0);
        return row->digest;
}

static const struct claim *make_receipt(struct filler *f)
{
        Shuyi__V1__DeliveryReceiptBody body = SHUYI__V1__DELIVERY_RECEIPT_BODY__INIT;
        uint64_t deltas[RECEIPT_EVERY] = { 0 };
        Shuyi__V1__Intent in;

        begin(f, &f->consumer, KIND_DELIVERY_RECEIPT, &in);
        in.expires_at = in.created_at + EXPIRY_MAX_MS;
        in.grant = data_of(bytes_digest(&f->grant_id));
        body.first = f->receipted + 1;
        body.last = f->head - f->receipted > RECEIPT_EVERY ? f->receipted + RECEIPT_EVERY : f->head;
        body.last_digest = digest_of_link(f, body.last);
        body.acquired_at = in.created_at;
        body.deltas = deltas;
        body.n_deltas = body.last - body.first;
        return finish(f, &f->consumer, &in, message_pack(f->arena, &body.base));
}

/* ---- the log ---- */

static void close_group(struct filler *f)
{
        struct broker *b = &f->broker;
        struct checkpoint c = { b->origin, f->fold.frontier.size, merkle_root(&f->fold.frontier) };
        const char *note = checkpoint_sign(f->arena, &c, secret_peek(b->log_keys.sign), b->log_keys.sign_key);
        int r = note ? segment_batch_add_head(f->batch, f->fold.epoch, f->fold.seq, bytes_str(note)) : -ENOMEM;

        r = r < 0 ? r : segment_plan(b->segments, f->batch);
        for (uint64_t seq = f->first_of_group; seq <= f->fold.seq && r == 0; seq++)
                r = store_index_append(b->store, seq, segment_batch_place(f->batch, (unsigned)(seq - f->first_of_group)));
        r = r < 0 ? r : segment_write(b->segments, f->batch);
        r = r < 0 ? r : segment_sync(b->segments);
        r = r < 0 ? r : store_group_commit(b->store);
        if (r == 0 && ++f->groups % GROUPS_A_COMMIT == 0) {
                r = fold_save(&f->fold);
                r = r < 0 ? r : store_commit(b->store);
                r = r < 0 ? r : store_begin(b->store);
        }
        r = r < 0 ? r : store_group_begin(b->store);
        if (r < 0)
                die("group", r);
        segment_batch_reset(f->batch);
        arena_reset(f->kept);
        f->first_of_group = f->fold.seq + 1;
}

static void add(struct filler *f, struct side *s, uint8_t lane, const struct claim *claim)
{
        struct entry entry = { .accepted_at = times_wall(), .link = s->agent->link, .lane = lane, .outbox_epoch = s->outbox_epoch,
                               .outbox_seq = ++s->outbox_seq, .claim = claim };
        struct outcome outcome;
        struct digest leaf;
        int r = fold_step(&f->fold, &entry, f->arena, &outcome, &leaf);

        if (r < 0)
                die("apply", r);
        if (outcome.code != ACCEPTED) {
                fprintf(stderr, "fill: %s: %s %s\n", claim->kind->name, refusal_text(outcome.code)->code, outcome.detail);
                exit(1);
        }
        struct segment_entry e = { .epoch = entry.epoch, .seq = entry.seq, .accepted_at = entry.accepted_at, .link = entry.link, .lane = lane,
                                   .outbox_epoch = entry.outbox_epoch, .outbox_seq = entry.outbox_seq, .envelope = arena_copy(f->kept, claim->wire) };
        r = e.envelope.n > 0 ? segment_batch_add_entry(f->batch, &e) : -ENOMEM;
        if (r < 0)
                die("batch", r);
        if (segment_batch_count(f->batch) >= GROUP)
                close_group(f);
}

static void step(struct filler *f, uint64_t until)
{
        const struct claim *claim;

        arena_reset(f->arena);
        if (f->head - f->receipted >= RECEIPT_EVERY || (f->fold.seq >= until && f->head > f->receipted)) {
                claim = make_receipt(f);
                add(f, &f->consumer, 0, claim);
                f->receipted += f->head - f->receipted > RECEIPT_EVERY ? RECEIPT_EVERY : f->head - f->receipted;
                return;
        }
        claim = make_update(f);
        add(f, &f->provider, 1, claim);
        f->head++;
        f->head_digest = claim->header_digest;
}

/* To `until` entries, and to where the consumer has receipted all. */
static void fill(struct filler *f, uint64_t until)
{
        uint64_t began = times_mono().ns, from = f->fold.seq;

        f->first_of_group = f->fold.seq + 1;
        while (f->fold.seq < until || f->head > f->receipted)
                step(f, until);
        arena_reset(f->arena);
        if (segment_batch_count(f->batch) > 0)
                close_group(f);
        printf("entries\t%llu\t\n", (unsigned long long)f->fold.seq);
        printf("filled\t%.0f\tentries/s\n", (double)(f->fold.seq - from) * 1e9 / (double)(times_mono().ns - began));
}

static void finish_store(struct filler *f)
{
        struct broker *b = &f->broker;
        int r = fold_save(&f->fold);

        r = r < 0 ? r : fold_mark_clean(&f->fold);
        r = r < 0 ? r : store_group_commit(b->store);
        r = r < 0 ? r : store_commit(b->store);
        if (r < 0)
                die("the last commit", r);
        fold_close(&f->fold);
        recover_close(b);
}

int main(int argc, char **argv)
{
        static struct filler f;
        bool crashed;
        int r;

        if (argc != 4 || sodium_init() < 0 || !hex_parse(argv[2], f.grant_id.b, DIGEST_BYTES)) {
                fputs(usage, stderr);
                return 2;
        }
        f.arena = arena_new(32u << 20);
        f.facts = arena_new(16u << 20);
        f.kept = arena_new(16u << 20);
        f.batch = segment_batch_new(GROUP_BYTES_MAX + (1u << 20));
        r = settings_load(argv[1], &f.broker.config);
        r = r < 0 ? r : recover_open(&f.broker, false);
        r = r < 0 ? r : recover_run(&f.broker, &crashed);
        r = r < 0 ? r : fold_open(&f.fold, f.broker.store, f.broker.domain);
        r = r < 0 ? r : store_group_begin(f.broker.store);
        if (r < 0 || !f.arena || !f.facts || !f.kept || !f.batch)
                die("the broker's store", r);
        read_facts(&f);
        fill(&f, strtoull(argv[3], NULL, 10));
        finish_store(&f);
        return 0;
}
