/* hostile, log: a center whose log is not what it says (DESIGN 7, 14: dropped tails, second histories).
 *
 * A real agent is connected to a center of the test that signs what it must sign with the right keys, and lies about its log: what it
 * receipted is not there, or another; its published head forks, goes back, or lacks the witnesses; others have seen something
 * else.  Each lie is found by the agent, told once, kept with its evidence; two histories halt it, also after a new start. */
#include "common/anchor.h"
#include "common/checkpoint.h"
#include "common/credential.h"
#include "common/exchange/exchange.h"
#include "common/merkle.h"
#include "common/receipt.h"
#include "common/times.h"
#include "proto/audit.pb-c.h"
#include "proto/log.pb-c.h"
#include "tests/lib/false_center.h"
#include "tests/lib/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base64.h"

#define LEAVES_MAX 64
#define LATE_MS 5000
#define LATE "proof:\n  late: 5s\n"

static const char *shifted_clock;       /* a library; NULL: not with this build */

/* ---- the log ---- */

/* What the center publishes.  `tree` is what its proofs are made from. */
struct lying_log {
        struct center *s;
        struct digest tree[LEAVES_MAX];
        uint64_t size;                          /* published */
        uint64_t receipted;                     /* entries that were receipted */
        struct digest receipt_leaf[LEAVES_MAX];
        bool other_leaf;                        /* the tree gets another leaf than the receipt */
        bool withhold;                          /* the tree gets none */
        bool foreign_leaf;                      /* receipt and tree agree on a leaf that is not that of what was sent */
        uint64_t backdate_ms;                   /* the receipt gives it an earlier time than the leaf */
        bool refuse_consistency, refuse_proof;
        bool other_key, cosigned;
        bool empty_proof;
        unsigned asked[32];                     /* reads, by what */
};

static struct digest leaf_of(uint64_t n, uint8_t history)
{
        uint8_t b[9] = { history };

        put_be64(b + 1, n);
        return merkle_leaf(bytes_of(b, sizeof(b)));
}

static void grow(struct lying_log *g, unsigned n, uint8_t history)
{
        while (n--) {
                g->tree[g->size] = leaf_of(g->size, history);
                g->size++;
        }
        g->receipted = g->receipted > g->size ? g->receipted : g->size;
}

static struct party *witness_of(struct lying_log *g)
{
        return city_party(g->s->c, "witness", "", 0);
}

static char *note(struct lying_log *g, uint64_t size)
{
        const struct party *log = city_find(g->s->c, "log"), *w;
        struct checkpoint cp = { .origin = "shuyi/" CITY_DOMAIN, .size = size, .root = merkle_root_of(g->tree, size) };
        char *text;

        if (g->other_key)
                log = g->s->c->broker;
        text = checkpoint_sign(g->s->arena, &cp, log->sign_secret, log->sign_key);
        assert_non_null(text);
        if (!g->cosigned)
                return text;
        w = witness_of(g);
        return arena_printf(g->s->arena, "%s%s", text, checkpoint_cosign(g->s->arena, text, "witness.example", times_wall().ms / 1000, w->sign_secret, w->sign_key));
}

/* ---- answers ---- */

static ProtobufCBinaryData *hashes(struct lying_log *g, const struct digest *d, size_t n)
{
        ProtobufCBinaryData *list = ARENA_ARRAY(g->s->arena, ProtobufCBinaryData, n + 1);

        for (size_t i = 0; i < n; i++)
                list[i] = (ProtobufCBinaryData){ DIGEST_BYTES, (uint8_t *)arena_copy(g->s->arena, bytes_digest(&d[i])).p };
        return list;
}

static void send_page(struct lying_log *g, uint32_t number, uint32_t code, const ProtobufCMessage *row)
{
        Shuyi__V1__Page page = SHUYI__V1__PAGE__INIT;
        struct bytes packed = row ? message_pack(g->s->arena, row) : (struct bytes){ 0 };
        ProtobufCBinaryData rows = { packed.n, (uint8_t *)packed.p };

        page.number = number;
        page.code = code;
        page.n_rows = row != NULL;
        page.rows = &rows;
        center_send_bytes(g->s, FRAME_ENCODE(g->s->arena, FRAME_PAGE, &page));
}

static void answer_checkpoint(struct lying_log *g, const Shuyi__V1__Read *read)
{
        Shuyi__V1__CheckpointRow row = SHUYI__V1__CHECKPOINT_ROW__INIT;

        row.epoch = 1;
        row.note = note(g, g->size);
        send_page(g, read->number, ACCEPTED, &row.base);
}

static int node_of(void *ctx, unsigned level, uint64_t index, struct digest *ret)
{
        struct lying_log *g = ctx;

        *ret = merkle_root_of(g->tree + (index << level), 1ull << level);
        return 0;
}

static void answer_consistency(struct lying_log *g, const Shuyi__V1__Read *read)
{
        const Shuyi__V1__ConsistencyQuery *q = message_parse(g->s->arena, &shuyi__v1__consistency_query__descriptor, bytes_of(read->key.data, read->key.len));
        Shuyi__V1__ConsistencyRow row = SHUYI__V1__CONSISTENCY_ROW__INIT;
        struct merkle_source source = { node_of, g };
        struct digest path[MERKLE_PROOF_MAX];
        unsigned n = 0;

        assert_non_null(q);
        row.first = q->first;
        row.second = q->second;
        if (!g->refuse_consistency && q->second <= g->size)
                assert_int_equal(merkle_prove_consistency(&source, q->first, q->second, path, &n), 0);
        row.path = hashes(g, path, n);
        row.n_path = n;
        send_page(g, read->number, g->refuse_consistency || q->second > g->size ? E_NOT_FOUND : ACCEPTED, &row.base);
}

static void answer_proof(struct lying_log *g, const Shuyi__V1__Read *read)
{
        const Shuyi__V1__ProofQuery *q = message_parse(g->s->arena, &shuyi__v1__proof_query__descriptor, bytes_of(read->key.data, read->key.len));
        Shuyi__V1__ProofRow row = SHUYI__V1__PROOF_ROW__INIT;
        Shuyi__V1__LeafProof *proofs;

        assert_non_null(q);
        proofs = ARENA_ARRAY(g->s->arena, Shuyi__V1__LeafProof, q->n_seqs);
        row.proofs = ARENA_ARRAY(g->s->arena, Shuyi__V1__LeafProof *, q->n_seqs);
        row.size = q->size;
        for (size_t i = 0; i < q->n_seqs && !g->empty_proof; i++) {
                struct digest path[MERKLE_DEPTH_MAX];
                unsigned n = merkle_path_of(g->tree, q->size, q->seqs[i] - 1, path);

                assert_true(q->seqs[i] <= q->size);
                proofs[i] = (Shuyi__V1__LeafProof)SHUYI__V1__LEAF_PROOF__INIT;
                proofs[i].seq = q->seqs[i];
                proofs[i].leaf_hash = hashes(g, &g->receipt_leaf[q->seqs[i] - 1], 1)[0];        /* it repeats the lie */
                proofs[i].path = hashes(g, path, n);
                proofs[i].n_path = n;
                row.proofs[row.n_proofs++] = &proofs[i];
        }
        send_page(g, read->number, g->refuse_proof ? E_NOT_YET : ACCEPTED, &row.base);
}

/* The leaf of what was sent, as any log must have it; what apply made of it is nothing. */
static struct digest leaf_of_put(struct lying_log *g, const Shuyi__V1__Put *put, uint64_t seq, uint64_t at)
{
        struct entry entry = { .epoch = 1, .seq = seq, .accepted_at = { at } };
        struct outcome outcome = { .code = ACCEPTED };
        uint8_t record[LEAF_RECORD_BYTES];

        assert_refusal(envelope_parse(g->s->arena, bytes_of(put->envelope.data, put->envelope.len), &entry.claim), ACCEPTED);
        exchange_leaf_record(CITY_DOMAIN, &entry, &outcome, record);
        return merkle_leaf(bytes_of(record, sizeof(record)));
}

static void answer_put(struct lying_log *g, const Shuyi__V1__Put *put)
{
        static uint8_t no_effects[DIGEST_BYTES];
        Shuyi__V1__Receipt r = SHUYI__V1__RECEIPT__INIT;
        Shuyi__V1__ReceiptRow row = SHUYI__V1__RECEIPT_ROW__INIT, *rows[] = { &row };
        uint64_t at = g->receipted++;

        row.accepted_at = times_wall().ms;
        g->receipt_leaf[at] = g->foreign_leaf ? leaf_of(at, 1) : leaf_of_put(g, put, at + 1, row.accepted_at);
        if (!g->withhold) {
                g->tree[at] = g->other_leaf ? leaf_of(at, 7) : g->receipt_leaf[at];
                g->size = at + 1;
        }
        row.lane = put->lane;
        row.outbox_seq = put->outbox_seq;
        row.seq = at + 1;
        row.accepted_at -= g->backdate_ms;
        row.effects_digest = (ProtobufCBinaryData){ DIGEST_BYTES, no_effects };
        row.leaf_hash = (ProtobufCBinaryData){ DIGEST_BYTES, g->receipt_leaf[at].b };
        r.domain = (char *)CITY_DOMAIN;
        r.agent = (ProtobufCBinaryData){ ID_BYTES, g->s->agent->id.b };
        r.log_epoch = 1;
        r.stable_seq = at + 1;
        r.outbox_epoch = put->outbox_epoch;
        r.rows = rows;
        r.n_rows = 1;
        center_send_bytes(g->s, FRAME_ENCODE(g->s->arena, FRAME_RECEIPT, receipt_sign(g->s->arena, &r, city_find(g->s->c, "log")->sign_secret)));
}

static void serve(struct lying_log *g)
{
        const struct frame *f = &g->s->said;

        if (!center_hear(g->s, 20))
                return;
        if (f->type == FRAME_HELLO)
                center_send_welcome(g->s);
        if (f->type == FRAME_PUT)
                answer_put(g, f->put);
        if (f->type != FRAME_READ)
                return;
        g->asked[f->read->what]++;
        if (f->read->what == READ_CHECKPOINT)
                answer_checkpoint(g, f->read);
        else if (f->read->what == READ_CONSISTENCY)
                answer_consistency(g, f->read);
        else if (f->read->what == READ_PROOF)
                answer_proof(g, f->read);
        else
                fail_msg("a question of no meaning here: %u", f->read->what);
}

/* ---- the agent ---- */

static void until_metric(struct lying_log *g, const char *name, double value)
{
        uint64_t end = center_now_ms() + CENTER_PATIENCE_MS;

        while (center_metric(g->s, name) != value) {
                serve(g);
                if (center_now_ms() > end)
                        fail_msg("%s is %g, not %g", name, center_metric(g->s, name), value);
        }
}

static void until_read(struct lying_log *g, enum read what, unsigned times)
{
        uint64_t end = center_now_ms() + CENTER_PATIENCE_MS;

        while (g->asked[what] < times) {
                serve(g);
                if (center_now_ms() > end)
                        fail_msg("read %u does not come", what);
        }
}

/* Some act of a person, so that a receipt waits. */
static void act(struct lying_log *g)
{
        Shuyi__V1__AnchorBody body = SHUYI__V1__ANCHOR_BODY__INIT;
        const struct claim *claim;
        struct bytes wire;
        char *text;

        assert_refusal(envelope_parse(g->s->arena, g->s->c->log[0].wire, &claim), ACCEPTED);
        body.anchor = ((const Shuyi__V1__AnchorBody *)claim->open_body)->anchor;
        wire = city_envelope(g->s->c, &(struct city_act){ .kind = KIND_ANCHOR, .body = &body.base, .by = { { g->s->c->root[0], ROLE_ROOT } } });
        text = arena_alloc(g->s->arena, BASE64_CHARS(wire.n) + 1);
        base64_encode(wire, text);
        assert_non_null(strstr(center_http(g->s, "POST", "/v1/acts?check=no", arena_printf(g->s->arena, "{\"envelope\":\"%s\"}", text)), " 202 "));
}

static struct lying_log *lying_log_new(void)
{
        struct lying_log *g = calloc(1, sizeof(*g));

        g->s = center_new();
        g->s->more = LATE;
        for (uint64_t i = 0; i < LEAVES_MAX; i++)
                g->receipt_leaf[i] = leaf_of(i, 1);
        return g;
}

static void begin(struct lying_log *g)
{
        center_start_agent(g->s);
        center_wait_hello(g->s);
        center_send_welcome(g->s);
        center_wait_log(g->s, "\"link.opened\"");
}

static void end(struct lying_log *g)
{
        center_stop_agent(g->s);
        center_free(g->s);
        free(g);
}

static unsigned files_of_evidence(struct lying_log *g)
{
        char path[300];
        struct dirent *e;
        unsigned n = 0;
        DIR *d;

        snprintf(path, sizeof(path), "%s/state/evidence", g->s->dir);
        d = opendir(path);
        while (d && (e = readdir(d)))
                n += e->d_name[0] != '.';
        if (d)
                closedir(d);
        return n;
}

static json_t *api(struct lying_log *g, const char *method, const char *path)
{
        const char *body = strstr(center_http(g->s, method, path, ""), "\r\n\r\n");
        json_t *json = body ? json_loads(body + 4, 0, NULL) : NULL;

        assert_non_null(json);
        return json;
}

/* The status is told at the end of a turn, a little after the counters.  `size`: of the verified head, with nothing left to prove; 0: any. */
static json_t *wait_status(struct lying_log *g, bool halted, json_int_t size)
{
        uint64_t until = center_now_ms() + CENTER_PATIENCE_MS;

        for (;;) {
                json_t *status = api(g, "GET", "/v1/status"), *proof = json_object_get(status, "proof");

                if (json_is_true(json_object_get(proof, "halted")) == halted &&
                    (!size || (json_integer_value(json_object_get(json_object_get(proof, "verified"), "size")) == size &&
                               json_integer_value(json_object_get(proof, "receipts_waiting")) == 0)))
                        return status;
                json_decref(status);
                serve(g);
                assert_true(center_now_ms() < until);
        }
}

/* ---- what an honest log looks like ---- */

static void test_receipts_of_an_honest_log_are_proved_and_go(void **state)
{
        struct lying_log *g = lying_log_new();

        grow(g, 5, 1);
        begin(g);
        act(g);
        until_metric(g, "shuyi_agent_receipts_proved_total", 1);
        act(g);
        act(g);
        until_metric(g, "shuyi_agent_receipts_proved_total", 3);
        until_metric(g, "shuyi_agent_receipts_unproved", 0);
        assert_true(center_metric(g->s, "shuyi_agent_alarms") == 0);
        json_decref(wait_status(g, false, 8));
        center_stop_agent(g->s);                /* what was verified is held over a new start: only what goes on from it is taken */
        begin(g);
        until_metric(g, "shuyi_agent_verified_log_size", 8);
        assert_int_equal(g->asked[READ_PROOF] <= 3, 1);
        end(g);
}

/* ---- the lies ---- */

static void verify_one(struct lying_log *g)
{
        grow(g, 5, 1);
        begin(g);
        act(g);
        until_metric(g, "shuyi_agent_receipts_proved_total", 1);
}

static void receipt_of_what_is_never_included(struct lying_log *g)
{
        verify_one(g);
        g->withhold = true;
        act(g);
}

static void receipt_of_another_leaf(struct lying_log *g)
{
        verify_one(g);
        g->other_leaf = true;
        act(g);
}

static void receipt_of_the_entry_of_another_act(struct lying_log *g)
{
        verify_one(g);
        g->foreign_leaf = true;
        act(g);
}

static void receipt_backdated(struct lying_log *g)
{
        verify_one(g);
        g->backdate_ms = 3600000;
        act(g);
}

static void proof_with_nothing_in_it(struct lying_log *g)
{
        verify_one(g);
        g->empty_proof = true;
        act(g);
}

static void proofs_refused(struct lying_log *g)
{
        verify_one(g);
        g->refuse_proof = true;
        act(g);
}

static void fork_at_one_size(struct lying_log *g)
{
        verify_one(g);
        g->withhold = true;
        g->tree[2] = leaf_of(2, 9);
        act(g);
}

static void fork_that_grows(struct lying_log *g)
{
        verify_one(g);
        g->tree[2] = leaf_of(2, 9);
        act(g);
}

static void head_that_goes_back(struct lying_log *g)
{
        verify_one(g);
        g->withhold = true;
        g->size--;
        act(g);
}

static void consistency_refused(struct lying_log *g)
{
        verify_one(g);
        g->refuse_consistency = true;
        act(g);
}

static void head_of_another_key(struct lying_log *g)
{
        g->other_key = true;
        grow(g, 5, 1);
        begin(g);
        act(g);
}

static struct bytes anchor_with_a_witness(struct lying_log *g)
{
        struct city *c = g->s->c;
        struct party *w = witness_of(g);
        const struct claim *claim;
        Shuyi__V1__WitnessKey witness = SHUYI__V1__WITNESS_KEY__INIT, *witnesses[] = { &witness };
        Shuyi__V1__SignedAnchor s = SHUYI__V1__SIGNED_ANCHOR__INIT;
        Shuyi__V1__RootSignature sig[2] = { SHUYI__V1__ROOT_SIGNATURE__INIT, SHUYI__V1__ROOT_SIGNATURE__INIT }, *sigs[2] = { &sig[0], &sig[1] };
        uint8_t signature[2][64];
        Shuyi__V1__Anchor *a;
        struct bytes packed;

        assert_refusal(envelope_parse(g->s->arena, c->log[0].wire, &claim), ACCEPTED);
        packed = bytes_of(((const Shuyi__V1__AnchorBody *)claim->open_body)->anchor->anchor.data, ((const Shuyi__V1__AnchorBody *)claim->open_body)->anchor->anchor.len);
        a = message_parse(g->s->arena, &shuyi__v1__anchor__descriptor, packed);
        assert_non_null(a);
        witness.name = (char *)"witness.example";
        witness.key = (ProtobufCBinaryData){ 32, w->sign_key };
        a->witnesses = witnesses;
        a->n_witnesses = 1;
        a->witness_quorum = 1;
        packed = message_pack(g->s->arena, &a->base);
        for (unsigned i = 0; i < 2; i++) {
                anchor_sign(packed, c->root[i]->sign_secret, signature[i]);
                sig[i].root_key = (ProtobufCBinaryData){ DIGEST_BYTES, c->root[i]->credential.b };
                sig[i].signature = (ProtobufCBinaryData){ 64, signature[i] };
        }
        if (memcmp(c->root[0]->credential.b, c->root[1]->credential.b, DIGEST_BYTES) > 0) {
                sigs[0] = &sig[1];
                sigs[1] = &sig[0];
        }
        s.anchor = (ProtobufCBinaryData){ packed.n, (uint8_t *)packed.p };
        s.signatures = sigs;
        s.n_signatures = 2;
        return message_pack(g->s->arena, &s.base);
}

static void quorum_missing(struct lying_log *g)
{
        g->s->anchor = anchor_with_a_witness(g);
        grow(g, 5, 1);
        begin(g);
        act(g);
}

/* ---- what peers have seen ---- */

/* Mail with an act that a root signed, who says that he has seen this. */
static void gossip(struct lying_log *g, uint64_t mail, uint64_t size, struct digest root, const struct party *by)
{
        Shuyi__V1__AnchorBody body = SHUYI__V1__ANCHOR_BODY__INIT;
        Shuyi__V1__Intent in = SHUYI__V1__INTENT__INIT;
        Shuyi__V1__Seen seen = SHUYI__V1__SEEN__INIT;
        Shuyi__V1__Parcel p = SHUYI__V1__PARCEL__INIT;
        const struct claim *claim;
        struct bytes wire;

        assert_refusal(envelope_parse(g->s->arena, g->s->c->log[0].wire, &claim), ACCEPTED);
        body.anchor = ((const Shuyi__V1__AnchorBody *)claim->open_body)->anchor;
        seen.epoch = 1;
        seen.size = size;
        seen.root = (ProtobufCBinaryData){ DIGEST_BYTES, root.b };
        in.seen = &seen;
        wire = city_envelope(g->s->c, &(struct city_act){ .kind = KIND_ANCHOR, .intent = &in, .body = &body.base, .by = { { by, ROLE_ROOT } } });
        p.number = p.cursor = mail;
        p.type = PARCEL_MAIL;
        p.epoch = p.seq = 1;
        p.accepted_at = times_wall().ms;
        p.envelope = (ProtobufCBinaryData){ wire.n, (uint8_t *)wire.p };
        center_send_bytes(g->s, FRAME_ENCODE(g->s->arena, FRAME_PARCEL, &p));
}

static void peer_saw_another_root(struct lying_log *g)
{
        verify_one(g);
        gossip(g, 1, 6, leaf_of(1, 66), g->s->c->root[1]);
}

static void peer_saw_another_history_before(struct lying_log *g)
{
        verify_one(g);
        gossip(g, 1, 3, leaf_of(1, 66), g->s->c->root[1]);
}

static void peer_saw_more(struct lying_log *g)
{
        verify_one(g);
        gossip(g, 1, 40, leaf_of(1, 66), g->s->c->root[1]);
}

static const struct lie {
        const char *name;
        void (*tell)(struct lying_log *g);
        const char *kind;
        bool halts;
} lies[] = {
        { "a receipt of what is never included", receipt_of_what_is_never_included, "receipt_late", false },
        { "a receipt of another leaf than the log holds", receipt_of_another_leaf, "receipt_wrong", false },
        { "a receipt that names the entry of another act", receipt_of_the_entry_of_another_act, "receipt_wrong", false },
        { "a receipt with another time than the entry", receipt_backdated, "receipt_wrong", false },
        { "a proof with nothing in it", proof_with_nothing_in_it, "receipt_wrong", false },
        { "proofs refused", proofs_refused, "receipt_late", false },
        { "one size, two roots", fork_at_one_size, "second_history", true },
        { "a larger log that does not go on from the one verified", fork_that_grows, "not_consistent", true },
        { "a head that goes back", head_that_goes_back, "head_back", true },
        { "a consistency proof refused", consistency_refused, "not_consistent", true },
        { "a head signed with another key", head_of_another_key, "head_bad", false },
        { "a head without the quorum of witnesses", quorum_missing, "head_bad", false },
        { "a peer saw another root at our size", peer_saw_another_root, "seen_other", false },
        { "a peer saw another root before it", peer_saw_another_history_before, "seen_other", false },
        { "a peer saw more than is published to us", peer_saw_more, "seen_more", false },
};

static json_t *find_alarm(json_t *answer, const char *kind)
{
        json_t *alarm;
        size_t i;

        json_array_foreach(json_object_get(answer, "alarms"), i, alarm)
                if (strcmp(json_string_value(json_object_get(alarm, "kind")), kind) == 0)
                        return alarm;
        return NULL;
}

/* The counter is there before the commit is. */
static json_t *wait_alarm(struct lying_log *g, const char *kind, json_t **ret)
{
        uint64_t end = center_now_ms() + CENTER_PATIENCE_MS;

        for (;;) {
                json_t *answer = api(g, "GET", "/v1/alarms");

                *ret = find_alarm(answer, kind);
                if (*ret)
                        return answer;
                json_decref(answer);
                serve(g);
                assert_true(center_now_ms() < end);
        }
}

static void check_alarm(struct lying_log *g, const struct lie *lie)
{
        json_t *alarm, *answer = wait_alarm(g, lie->kind, &alarm), *status = wait_status(g, lie->halts, 0);

        assert_int_equal(json_is_true(json_object_get(alarm, "halts")), lie->halts);
        assert_int_equal(json_string_length(json_object_get(alarm, "receipt")) > 0, strncmp(lie->kind, "receipt", 7) == 0);
        assert_int_equal(json_string_length(json_object_get(alarm, "envelope")) > 0, strncmp(lie->kind, "seen", 4) == 0 || strncmp(lie->kind, "receipt", 7) == 0);
        if (lie->halts) {
                assert_non_null(strstr(json_string_value(json_object_get(alarm, "held_note")), "\n6\n"));
                assert_non_null(strstr(json_string_value(json_object_get(alarm, "came_note")), "shuyi/" CITY_DOMAIN "\n"));
        }
        assert_int_equal(strcmp(json_string_value(json_object_get(json_object_get(status, "trust"), "state")), "halted") == 0, lie->halts);
        assert_true(files_of_evidence(g) >= 1);
        json_decref(status);
        json_decref(answer);
}

static void test_each_lie_of_the_log_is_found_kept_and_told(void **state)
{
        for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
                struct lying_log *g = lying_log_new();
                char counter[100];

                print_message("# %s\n", lies[i].name);
                snprintf(counter, sizeof(counter), "shuyi_agent_alarms_raised_total{kind=\"%s\"}", lies[i].kind);
                lies[i].tell(g);
                until_metric(g, counter, 1);
                until_metric(g, "shuyi_agent_halted", lies[i].halts);
                check_alarm(g, &lies[i]);
                end(g);
        }
}

static void test_what_halts_does_so_over_a_new_start_until_a_person_dismisses_it(void **state)
{
        struct lying_log *g = lying_log_new();
        unsigned asked;

        fork_that_grows(g);
        until_metric(g, "shuyi_agent_halted", 1);
        center_stop_agent(g->s);
        begin(g);
        until_metric(g, "shuyi_agent_halted", 1);
        until_metric(g, "shuyi_agent_alarms", 1);
        asked = g->asked[READ_CHECKPOINT];
        json_decref(api(g, "DELETE", "/v1/alarms/1"));
        until_metric(g, "shuyi_agent_halted", 0);
        until_read(g, READ_CHECKPOINT, asked + 1);      /* the center's present log is the first one again */
        until_metric(g, "shuyi_agent_receipts_unproved", 0);
        assert_true(center_metric(g->s, "shuyi_agent_alarms") == 0);
        assert_int_equal(files_of_evidence(g), 1);
        end(g);
}

static void serve_for(struct lying_log *g, uint64_t ms)
{
        for (uint64_t until = center_now_ms() + ms; center_now_ms() < until;)
                serve(g);
}

/* The agent runs and nobody answers it. */
static void ignore_for(struct lying_log *g, uint64_t ms)
{
        for (uint64_t until = center_now_ms() + ms; center_now_ms() < until;)
                center_hear(g->s, 50);
}

static void test_time_without_a_link_is_not_held_against_the_center(void **state)
{
        struct lying_log *g = lying_log_new();

        verify_one(g);
        g->withhold = true;
        act(g);
        until_metric(g, "shuyi_agent_receipts_unproved", 1);
        center_stop_agent(g->s);
        center_start_agent(g->s);
        ignore_for(g, LATE_MS + 3000);
        assert_true(center_metric(g->s, "shuyi_agent_receipts_unproved") == 1);
        assert_true(center_metric(g->s, "shuyi_agent_alarms") == 0);
        end(g);
}

static void test_a_clock_set_forward_is_not_held_against_the_center(void **state)
{
        struct lying_log *g;
        int64_t shift = 120000;
        char path[300];
        int fd;

        g = lying_log_new();
        snprintf(path, sizeof(path), "%s/clock", g->s->dir);
        fd = open(path, O_RDWR | O_CREAT, 0600);
        assert_int_equal(ftruncate(fd, 4096), 0);
        setenv("LD_PRELOAD", shifted_clock, 1);
        setenv("SHIFTED_CLOCK", path, 1);
        verify_one(g);
        unsetenv("LD_PRELOAD");
        serve_for(g, LATE_MS + 1000);
        g->withhold = true;
        act(g);
        until_metric(g, "shuyi_agent_receipts_unproved", 1);
        assert_int_equal(pwrite(fd, &shift, sizeof(shift), 0), sizeof(shift));
        serve_for(g, 3000);
        assert_true(center_metric(g->s, "shuyi_agent_alarms") == 0);
        until_metric(g, "shuyi_agent_alarms_raised_total{kind=\"receipt_late\"}", 1);         /* it is late all the same */
        close(fd);
        end(g);
}

static void test_with_the_quorum_a_head_is_taken(void **state)
{
        struct lying_log *g = lying_log_new();

        g->s->anchor = anchor_with_a_witness(g);
        g->cosigned = true;
        verify_one(g);
        assert_true(center_metric(g->s, "shuyi_agent_alarms") == 0);
        end(g);
}

static void test_what_peers_saw_of_the_same_log_is_proved_and_forgotten(void **state)
{
        struct lying_log *g = lying_log_new();
        unsigned before;

        verify_one(g);
        before = g->asked[READ_CONSISTENCY];
        gossip(g, 1, 3, merkle_root_of(g->tree, 3), g->s->c->root[1]);
        until_read(g, READ_CONSISTENCY, before + 1);
        gossip(g, 2, 3, merkle_root_of(g->tree, 3), g->s->c->root[2]);  /* known by now: not asked again */
        gossip(g, 3, 8, leaf_of(0, 1), city_party(g->s->c, "nobody", "", 0));
        act(g);
        act(g);
        act(g);
        until_metric(g, "shuyi_agent_receipts_proved_total", 4);
        until_metric(g, "shuyi_agent_center_faults_total", 1);          /* what nobody signed counts against the center, and is no alarm */
        assert_true(center_metric(g->s, "shuyi_agent_alarms") == 0);
        end(g);
}

/* Two agents at one center that shows them two histories: what the one signs tells the other. */
static void test_two_agents_shown_two_histories_find_out_by_what_they_sign(void **state)
{
        struct lying_log *one = lying_log_new(), *other = lying_log_new();
        json_t *status, *verified;
        struct digest root;

        grow(one, 3, 5);
        verify_one(one);
        status = wait_status(one, false, (json_int_t)one->size);
        verified = json_object_get(json_object_get(status, "proof"), "verified");
        assert_true(hex_parse(json_string_value(json_object_get(verified, "root")), root.b, DIGEST_BYTES));
        grow(other, 3, 1);
        verify_one(other);
        gossip(other, 1, (uint64_t)json_integer_value(json_object_get(verified, "size")), root, other->s->c->root[0]);
        until_metric(other, "shuyi_agent_alarms_raised_total{kind=\"seen_other\"}", 1);
        json_decref(status);
        end(one);
        end(other);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_receipts_of_an_honest_log_are_proved_and_go),
                cmocka_unit_test(test_each_lie_of_the_log_is_found_kept_and_told),
                cmocka_unit_test(test_what_halts_does_so_over_a_new_start_until_a_person_dismisses_it),
                cmocka_unit_test(test_time_without_a_link_is_not_held_against_the_center),
                cmocka_unit_test(test_with_the_quorum_a_head_is_taken),
                cmocka_unit_test(test_what_peers_saw_of_the_same_log_is_proved_and_forgotten),
                cmocka_unit_test(test_two_agents_shown_two_histories_find_out_by_what_they_sign),
                cmocka_unit_test(test_a_clock_set_forward_is_not_held_against_the_center),      /* the last: it needs the library */
        };

        if (argc < 2)
                return 2;
        center_program = argv[1];
        shifted_clock = argc > 2 ? argv[2] : NULL;      /* not under a sanitizer, whose runtime wants to be the first library */
        return _cmocka_run_group_tests("lying_log", tests, sizeof(tests) / sizeof(*tests) - (shifted_clock ? 0 : 1), NULL, NULL);
}
