/* vectors: reads hex, calls the product, prints hex.  Whatever an operation needs lives in one arena a case. */
#include "tests/vectors/vectors.h"

#include "common/anchor.h"
#include "common/artifact.h"
#include "common/checkpoint.h"
#include "common/witness.h"
#include "common/credential.h"
#include "common/envelope.h"
#include "common/exchange/exchange.h"
#include "common/exchange/lookup.h"
#include "common/exchange/trust_map.h"
#include "common/frame.h"
#include "common/keyfile.h"
#include "common/macro.h"
#include "common/merkle.h"
#include "common/receipt.h"
#include "common/record.h"
#include "common/seal.h"
#include "common/segment_internal.h"
#include "common/wire.h"
#include "proto/identity.pb-c.h"

#include <sodium.h>

#define LEAVES_MAX 300

struct vector { struct arena *a; const json_t *in; json_t *out; bool bad; };

/* ---- inputs: a missing or misspelt one makes the case bad ---- */

static struct bytes hex_value(struct vector *v, const json_t *value)
{
        const char *text = json_string_value(value);
        size_t n = text ? strlen(text) / 2 : 0;
        uint8_t *p = arena_alloc(v->a, n + 1);

        if (!text || !p || strlen(text) % 2 || !hex_parse(text, p, n)) {
                v->bad = true;
                return (struct bytes){ 0 };
        }
        return bytes_of(p, n);
}

static struct bytes run(struct vector *v, const char *name)
{
        return hex_value(v, json_object_get(v->in, name));
}

/* Exactly n bytes; zeros where the case is bad. */
static const uint8_t *exact(struct vector *v, const char *name, size_t n)
{
        struct bytes b = run(v, name);

        if (b.n == n)
                return b.p;
        v->bad = true;
        return arena_zalloc(v->a, n);
}

static struct digest digest(struct vector *v, const char *name)
{
        struct digest d;

        memcpy(d.b, exact(v, name, DIGEST_BYTES), DIGEST_BYTES);
        return d;
}

static uint64_t number(struct vector *v, const char *name)
{
        const json_t *j = json_object_get(v->in, name);

        v->bad = v->bad || !json_is_integer(j);
        return (uint64_t)json_integer_value(j);
}

static const char *text(struct vector *v, const char *name)
{
        const char *s = json_string_value(json_object_get(v->in, name));

        v->bad = v->bad || !s;
        return s ? s : "";
}

static struct digest *digests(struct vector *v, const char *name, size_t *ret_n)
{
        const json_t *list = json_object_get(v->in, name);
        size_t n = json_array_size(list);
        struct digest *d = ARENA_ARRAY(v->a, struct digest, n + 1);

        v->bad = v->bad || !json_is_array(list) || n > LEAVES_MAX;
        for (size_t i = 0; i < n && !v->bad; i++) {
                struct bytes b = hex_value(v, json_array_get(list, i));

                v->bad = v->bad || !bytes_copy_exact(b, d[i].b, DIGEST_BYTES);
        }
        *ret_n = v->bad ? 0 : n;
        return d;
}

/* An Ed25519 pair out of the seed at `name`. */
struct pair { uint8_t key[32], secret[64]; };

static struct pair pair(struct vector *v, const char *name)
{
        struct pair p;

        crypto_sign_seed_keypair(p.key, p.secret, exact(v, name, 32));
        return p;
}

/* ---- outputs ---- */

static void put(struct vector *v, const char *name, struct bytes b)
{
        char *hex = arena_alloc(v->a, 2 * b.n + 1);

        if (!hex || (!b.p && b.n)) {
                v->bad = true;
                return;
        }
        hex_format(b, hex);
        json_object_set_new(v->out, name, json_string(hex));
}

static void put_digest(struct vector *v, const char *name, struct digest d)
{
        put(v, name, bytes_digest(&d));
}

static void put_text(struct vector *v, const char *name, const char *s)
{
        json_object_set_new(v->out, name, json_string(s ? s : ""));
}

static void put_number(struct vector *v, const char *name, uint64_t n)
{
        json_object_set_new(v->out, name, json_integer((json_int_t)n));
}

/* ---- digests and form ---- */

static void op_digest(struct vector *v)
{
        const char *context = text(v, "context");
        struct bytes b = run(v, "bytes");

        for (unsigned c = 0; c < DIGEST_CONTEXT_COUNT; c++)
                if (strcmp(digest_context_text(c), context) == 0) {
                        put_digest(v, "digest", DIGEST_OF(c, b));
                        return;
                }
        if (context[0] == 0)
                put_digest(v, "digest", digest_plain(b));
        else
                v->bad = true;
}

static void op_canonical(struct vector *v)
{
        static const struct { const char *name; const ProtobufCMessageDescriptor *d; } types[] = {
                { "Envelope", &shuyi__v1__envelope__descriptor }, { "Intent", &shuyi__v1__intent__descriptor },
                { "Seen", &shuyi__v1__seen__descriptor }, { "Value", &shuyi__v1__value__descriptor },
                { "Subject", &shuyi__v1__subject__descriptor },
        };
        const char *name = text(v, "message");
        struct bytes b = run(v, "bytes");

        for (unsigned i = 0; i < ELEMENTS(types); i++)
                if (strcmp(types[i].name, name) == 0) {
                        put_number(v, "canonical", wire_scan(types[i].d, b) == NULL);
                        return;
                }
        v->bad = true;
}

static void op_frame(struct vector *v)
{
        struct frame f;
        enum frame_direction to = strcmp(text(v, "to"), "broker") == 0 ? FRAME_TO_BROKER : FRAME_TO_AGENT;
        enum refusal no = frame_decode(v->a, run(v, "frame"), to, &f);

        put_number(v, "code", no);
        if (no == ACCEPTED)
                put_text(v, "type", frame_find((uint8_t)f.type)->name);
}

/* ---- envelopes ---- */

static void op_signed_bytes(struct vector *v)
{
        struct digest credential = digest(v, "credential"), header = digest(v, "header_digest");
        uint8_t m[ENVELOPE_SIGNED_BYTES];

        envelope_signed_bytes((uint32_t)number(v, "suite"), (enum role)number(v, "capacity"), &credential, &header, m);
        put(v, "signed_bytes", bytes_of(m, sizeof(m)));
}

static void op_envelope(struct vector *v)
{
        Shuyi__V1__Intent *i = message_parse(v->a, &shuyi__v1__intent__descriptor, run(v, "intent"));
        const json_t *signers = json_object_get(v->in, "signers"), *s;
        struct bytes e = i ? envelope_draft(v->a, i, run(v, "body")) : (struct bytes){ 0 };
        const struct claim *c;
        size_t at;

        json_array_foreach((json_t *)signers, at, s) {
                struct vector of = { .a = v->a, .in = s };
                struct pair p = pair(&of, "seed");
                struct digest credential = digest(&of, "credential");

                e = envelope_sign(v->a, e, &credential, (enum role)number(&of, "capacity"), p.secret);
                v->bad = v->bad || of.bad;
        }
        if (v->bad || envelope_parse(v->a, e, &c) != ACCEPTED) {
                v->bad = true;
                return;
        }
        put(v, "envelope", e);
        put_digest(v, "header_digest", c->header_digest);
        put_digest(v, "envelope_digest", c->envelope_digest);
}

/* Keys out of the case: a list of {credential, key, root}. */
static int find_key(void *ctx, const struct digest *credential, enum role capacity, uint8_t ret_key[32], uint32_t *ret_suite)
{
        struct vector *v = ctx;
        const json_t *k;
        size_t at;

        json_array_foreach((json_t *)json_object_get(v->in, "keys"), at, k) {
                struct vector of = { .a = v->a, .in = k };
                struct digest id = digest(&of, "credential");

                if (!of.bad && digest_equal(&id, credential) && json_is_true(json_object_get(k, "root")) == (capacity == ROLE_ROOT)) {
                        memcpy(ret_key, exact(&of, "key", 32), 32);
                        *ret_suite = SUITE_1;
                        return 1;
                }
        }
        return 0;
}

static void op_verify(struct vector *v)
{
        const struct key_source keys = { find_key, v };
        const struct claim *c;
        enum refusal no = json_is_true(json_object_get(v->in, "bare")) ? envelope_verify_bare(v->a, run(v, "envelope"), &keys, &c)
                                                                       : envelope_verify(v->a, run(v, "envelope"), &keys, &c);

        put_number(v, "code", no);
        if (no == ACCEPTED)
                put_digest(v, "envelope_digest", c->envelope_digest);
}

/* ---- identity ---- */

static void op_key_request(struct vector *v)
{
        struct bytes b = run(v, "key_request");
        Shuyi__V1__KeyRequest *r = message_parse(v->a, &shuyi__v1__key_request__descriptor, b);
        struct pair p = pair(v, "seed");
        uint8_t signature[64];
        char fingerprint[FINGERPRINT_TEXT];

        if (!r || !key_request_sign(v->a, r, p.secret, signature).p) {
                v->bad = true;
                return;
        }
        fingerprint_format(b, fingerprint);
        put(v, "signature", bytes_of(signature, sizeof(signature)));
        put_text(v, "fingerprint", fingerprint);
}

static void op_credential(struct vector *v)
{
        struct bytes b = run(v, "credential");
        struct pair p = pair(v, "issuer_seed");
        uint8_t signature[64];

        credential_sign(b, p.secret, signature);
        put_digest(v, "id", credential_id(b));
        put(v, "signature", bytes_of(signature, sizeof(signature)));
}

static void op_credential_check(struct vector *v)
{
        Shuyi__V1__SignedCredential *s = message_parse(v->a, &shuyi__v1__signed_credential__descriptor, run(v, "signed_credential"));
        const Shuyi__V1__Credential *c;

        if (!s) {
                v->bad = true;
                return;
        }
        put_number(v, "holds", credential_check_signed(v->a, s, exact(v, "issuer_key", 32), &c) == NULL);
}

static void op_root_key_id(struct vector *v)
{
        put_digest(v, "id", root_key_id((uint32_t)number(v, "suite"), exact(v, "key", 32)));
}

static void op_anchor(struct vector *v)
{
        struct bytes b = run(v, "anchor");
        struct pair p = pair(v, "seed");
        uint8_t signature[64];

        anchor_sign(b, p.secret, signature);
        put(v, "signature", bytes_of(signature, sizeof(signature)));
}

static void op_anchor_check(struct vector *v)
{
        const Shuyi__V1__Anchor *n;

        put_number(v, "holds", anchor_check(v->a, run(v, "signed_anchor"), &n) == NULL);
}

/* ---- seals ---- */

static void op_view(struct vector *v)
{
        const json_t *list = json_object_get(v->in, "items");
        size_t n = json_array_size(list);
        uint32_t items[16];
        struct digest view;
        struct id agent;

        for (size_t i = 0; i < n && i < ELEMENTS(items); i++)
                items[i] = (uint32_t)json_integer_value(json_array_get(list, i));
        view = view_id(text(v, "resource"), (uint32_t)number(v, "resource_version"), items, n, run(v, "filter_digest"),
                       (uint32_t)number(v, "mask_version"), (uint32_t)number(v, "rate"));
        memcpy(agent.b, exact(v, "agent", ID_BYTES), ID_BYTES);
        put_digest(v, "view", view);
        put_digest(v, "stream", stream_id(&agent, &view));
        put_digest(v, "key_id", view_key_id(text(v, "provider"), &view, (uint32_t)number(v, "view_epoch"), exact(v, "view_key", KEY_BYTES)));
}

static void op_seal(struct vector *v)
{
        struct bytes plain = run(v, "plain");
        uint8_t *body = arena_alloc(v->a, plain.n + SEAL_OVERHEAD);

        seal_update(exact(v, "view_key", KEY_BYTES), run(v, "intent"), plain, exact(v, "nonce", 24), body);
        put(v, "body", bytes_of(body, plain.n + SEAL_OVERHEAD));
}

static void op_unwrap(struct vector *v)
{
        Shuyi__V1__AudienceRow *row = message_parse(v->a, &shuyi__v1__audience_row__descriptor, run(v, "row"));
        struct digest view = digest(v, "view"), key_id = digest(v, "key_id");
        uint8_t seal_key[32], secret[32], key[KEY_BYTES];
        bool ok;

        crypto_box_seed_keypair(seal_key, secret, exact(v, "seal_seed", 32));
        ok = row && view_key_unwrap(v->a, bytes_of(row->wrapped.data, row->wrapped.len), seal_key, secret, row, text(v, "provider"), &view,
                                    (uint32_t)number(v, "view_epoch"), &key_id, key);
        put_number(v, "opens", ok);
        if (ok)
                put(v, "view_key", bytes_of(key, KEY_BYTES));
}

static void op_sealed_part(struct vector *v)
{
        Shuyi__V1__SealedPart *part = message_parse(v->a, &shuyi__v1__sealed_part__descriptor, run(v, "part"));
        struct digest open = digest_plain(run(v, "open_body"));
        uint8_t seal_key[32], secret[32];
        struct bytes plain = { 0 };
        struct id agent;

        crypto_box_seed_keypair(seal_key, secret, exact(v, "seal_seed", 32));
        memcpy(agent.b, exact(v, "agent", ID_BYTES), ID_BYTES);
        if (part)
                plain = sealed_part_open(v->a, part, &open, &agent, seal_key, secret);
        put_number(v, "opens", plain.p != NULL);
        if (plain.p)
                put(v, "plain", plain);
}

/* ---- records ---- */

static void op_record_leaf(struct vector *v)
{
        put_digest(v, "leaf", record_leaf(exact(v, "seed", 32), (uint32_t)number(v, "index"), run(v, "record")));
}

static void op_row_leaf(struct vector *v)
{
        put_digest(v, "leaf", row_leaf(run(v, "row")));
}

static void put_path(struct vector *v, const struct digest *path, unsigned n)
{
        json_t *list = json_array();

        for (unsigned i = 0; i < n; i++) {
                char hex[2 * DIGEST_BYTES + 1];

                hex_format(bytes_digest(&path[i]), hex);
                json_array_append_new(list, json_string(hex));
        }
        json_object_set_new(v->out, "path", list);
}

static void op_records_root(struct vector *v)
{
        struct digest path[MERKLE_DEPTH_MAX];
        size_t n;
        struct digest *leaves = digests(v, "leaves", &n);
        uint64_t index = number(v, "index");

        put_digest(v, "root", merkle_records_root(leaves, n));
        put_path(v, path, index < n ? merkle_records_path(leaves, n, index, path) : 0);
}

/* ---- the log ---- */

static void op_leaf(struct vector *v)
{
        struct claim claim = { .envelope_digest = digest(v, "envelope_digest") };
        struct entry entry = { .epoch = number(v, "epoch"), .seq = number(v, "seq"), .accepted_at = { number(v, "accepted_at") }, .claim = &claim };
        struct outcome outcome = { .code = (enum refusal)number(v, "code"), .effects_digest = digest(v, "effects_digest") };
        uint8_t record[LEAF_RECORD_BYTES];

        exchange_leaf_record(text(v, "domain"), &entry, &outcome, record);
        put(v, "leaf_record", bytes_of(record, sizeof(record)));
        put_digest(v, "leaf_hash", merkle_leaf(bytes_of(record, sizeof(record))));
}

static void op_tree(struct vector *v)
{
        struct digest path[MERKLE_DEPTH_MAX];
        size_t n;
        struct digest *leaves = digests(v, "leaves", &n);
        uint64_t index = number(v, "index");

        put_digest(v, "root", merkle_root_of(leaves, n));
        put_path(v, path, index < n ? merkle_path_of(leaves, n, index, path) : 0);
}

static void op_consistency(struct vector *v)
{
        struct digest root1 = digest(v, "root1"), root2 = digest(v, "root2");
        size_t n;
        struct digest *path = digests(v, "path", &n);

        put_number(v, "holds", merkle_check_consistency(number(v, "size1"), number(v, "size2"), &root1, &root2, path, n));
}

static void op_checkpoint(struct vector *v)
{
        struct checkpoint c = { text(v, "origin"), number(v, "size"), digest(v, "root") };
        struct pair p = pair(v, "seed");

        put_text(v, "note", checkpoint_sign(v->a, &c, p.secret, p.key));
        put_text(v, "vkey", checkpoint_vkey(v->a, c.origin, p.key));
}

static void op_cosignature(struct vector *v)
{
        struct pair p = pair(v, "seed");
        const char *note = text(v, "note"), *name = text(v, "name");
        char *line = checkpoint_cosign(v->a, note, name, number(v, "time"), p.secret, p.key);
        uint64_t at = 0;

        put_text(v, "line", line);
        put_text(v, "vkey", note_vkey(v->a, NOTE_COSIGNATURE, name, p.key));
        put_number(v, "holds", line && !checkpoint_check_cosignature(note, bytes_str(line), name, p.key, &at) && at == number(v, "time"));
}

/* Witnesses by their vkeys. */
static void op_quorum(struct vector *v)
{
        Shuyi__V1__Anchor anchor = SHUYI__V1__ANCHOR__INIT;
        Shuyi__V1__WitnessKey key[8], *keys[8];
        struct checkpoint_quorum q = { 0 };
        uint8_t bytes[8][32];
        const json_t *w;
        size_t i;

        anchor.witnesses = keys;
        json_array_foreach(json_object_get(v->in, "witnesses"), i, w) {
                const char *name = "";

                if (i == ELEMENTS(keys) || note_vkey_parse(v->a, json_string_value(w), NOTE_COSIGNATURE, &name, bytes[i])) {
                        v->bad = true;
                        return;
                }
                shuyi__v1__witness_key__init(&key[i]);
                key[i].name = (char *)name;
                key[i].key = (ProtobufCBinaryData){ 32, bytes[i] };
                keys[i] = &key[i];
                anchor.n_witnesses = i + 1;
        }
        put_number(v, "refused", checkpoint_quorum(text(v, "note"), &anchor, &q) != NULL);
        put_number(v, "count", q.count);
        put_number(v, "first", q.first_s);
        put_number(v, "last", q.last_s);
}

static void op_add_checkpoint(struct vector *v)
{
        struct witness_request rq;
        size_t n;
        struct digest *path = digests(v, "path", &n);
        char *body = witness_request_format(v->a, number(v, "old"), path, (unsigned)n, text(v, "note"));

        put_text(v, "body", body);
        put_number(v, "reads", body && !witness_request_parse(v->a, bytes_str(body), &rq) && rq.path_n == n);
}

static void op_receipt(struct vector *v)
{
        const Shuyi__V1__Receipt *r = message_parse(v->a, &shuyi__v1__receipt__descriptor, run(v, "receipt"));
        struct pair p = pair(v, "seed");
        Shuyi__V1__SignedReceipt *s = r ? receipt_sign(v->a, r, p.secret) : NULL;

        if (s)
                put(v, "signed_receipt", message_pack(v->a, &s->base));
        v->bad = v->bad || !s;
}

/* ---- trust ---- */

static void op_trust_chain(struct vector *v)
{
        put_digest(v, "chain", DIGEST_OF(CTX_TRUST_CHAIN, run(v, "before"), run(v, "record")));
}

static void op_trust_object(struct vector *v)
{
        put_digest(v, "object", turn_trust_object((enum trust_kind)number(v, "kind"), run(v, "name")));
}

/* The map by its definition, from objects in ascending order. */
static void op_trust_map(struct vector *v)
{
        const json_t *list = json_object_get(v->in, "objects"), *o;
        struct merkle_frontier buckets[TRUST_BUCKETS] = { { 0 } }, map = { 0 };
        size_t at;

        json_array_foreach((json_t *)list, at, o) {
                struct vector of = { .a = v->a, .in = o };
                struct digest object = digest(&of, "object"), leaf;
                uint8_t data[TRUST_LEAF_BYTES];

                trust_map_leaf(object.b, (uint32_t)number(&of, "status"), number(&of, "since_seq"), data);
                leaf = merkle_leaf(bytes_of(data, sizeof(data)));
                merkle_append(&buckets[object.b[0]], &leaf);
                v->bad = v->bad || of.bad;
        }
        for (unsigned i = 0; i < TRUST_BUCKETS; i++) {
                struct digest root = merkle_root(&buckets[i]), leaf = merkle_leaf(bytes_digest(&root));

                merkle_append(&map, &leaf);
        }
        put_digest(v, "map_root", merkle_root(&map));
}

/* A map of the objects, and what it shows of one: the LookupRow, packed. */
static void op_lookup(struct vector *v)
{
        struct lookup_map *map = lookup_map_new();
        struct digest object = digest(v, "object"), root;
        Shuyi__V1__LookupRow row = SHUYI__V1__LOOKUP_ROW__INIT;
        const json_t *o;
        size_t i;

        json_array_foreach(json_object_get(v->in, "objects"), i, o) {
                struct vector of = { v->a, o, NULL, false };

                lookup_map_put(map, &(struct lookup_object){ digest(&of, "object"), (uint32_t)number(&of, "status"), number(&of, "since_seq") });
                v->bad = v->bad || of.bad;
        }
        root = lookup_map_root(map);
        if (lookup_answer(map, v->a, &object, &row) < 0)
                v->bad = true;
        put_digest(v, "map_root", root);
        put(v, "row", message_pack(v->a, &row.base));
        put_number(v, "verdict", lookup_check_row(&object, &row, &root));
        lookup_map_free(map);
}

/* ---- files ---- */

static void op_file(struct vector *v)
{
        const char *magic = text(v, "magic");

        for (unsigned i = 0; i < ARTIFACT_COUNT; i++)
                if (strcmp(artifact_magic(i), magic) == 0) {
                        struct bytes b = artifact_encode(v->a, i, run(v, "content"));

                        json_object_set_new(v->out, "text", json_stringn((const char *)b.p, b.n));
                        return;
                }
        v->bad = true;
}

static void op_key_file(struct vector *v)
{
        struct keyfile k = { 0 };
        int r = keyfile_open(bytes_str(text(v, "text")), bytes_str(text(v, "passphrase")), true, &k);

        put_number(v, "opens", r == 0);
        if (r == 0) {
                put_number(v, "use", k.use);
                put(v, "sign", bytes_of(secret_peek(k.sign), secret_size(k.sign)));
                if (k.link)
                        put(v, "link", bytes_of(secret_peek(k.link), secret_size(k.link)));
                if (k.seal)
                        put(v, "seal", bytes_of(secret_peek(k.seal), secret_size(k.seal)));
        }
        keyfile_fini(&k);
}

/* ---- segments ---- */

static void op_segment_record(struct vector *v)
{
        struct bytes payload = run(v, "payload");
        size_t n = segment_record_bytes(payload.n);
        uint8_t *record = arena_zalloc(v->a, n);

        segment_record_encode((enum segment_type)number(v, "type"), number(v, "epoch"), number(v, "seq"), payload, record);
        put(v, "record", bytes_of(record, n));
}

static void op_segment_entry(struct vector *v)
{
        struct segment_entry e;

        if (!segment_entry_decode(run(v, "payload"), &e)) {
                v->bad = true;
                return;
        }
        put_number(v, "epoch", e.epoch);
        put_number(v, "seq", e.seq);
        put_number(v, "accepted_at", e.accepted_at.ms);
        put_number(v, "link", e.link);
        put_number(v, "lane", e.lane);
        put_number(v, "outbox_epoch", e.outbox_epoch);
        put_number(v, "outbox_seq", e.outbox_seq);
        put(v, "envelope", e.envelope);
}

static const struct { const char *op; void (*run)(struct vector *v); } ops[] = {
        { "digest", op_digest }, { "canonical", op_canonical }, { "frame", op_frame },
        { "signed_bytes", op_signed_bytes }, { "envelope", op_envelope }, { "verify", op_verify },
        { "key_request", op_key_request }, { "credential", op_credential }, { "credential_check", op_credential_check },
        { "root_key_id", op_root_key_id }, { "anchor", op_anchor }, { "anchor_check", op_anchor_check },
        { "view", op_view }, { "seal", op_seal }, { "unwrap", op_unwrap }, { "sealed_part", op_sealed_part },
        { "record_leaf", op_record_leaf }, { "row_leaf", op_row_leaf }, { "records_root", op_records_root },
        { "leaf", op_leaf }, { "tree", op_tree }, { "consistency", op_consistency }, { "checkpoint", op_checkpoint }, { "receipt", op_receipt },
        { "cosignature", op_cosignature }, { "quorum", op_quorum }, { "add_checkpoint", op_add_checkpoint },
        { "trust_chain", op_trust_chain }, { "trust_object", op_trust_object }, { "trust_map", op_trust_map }, { "lookup", op_lookup },
        { "file", op_file }, { "key_file", op_key_file },
        { "segment_record", op_segment_record }, { "segment_entry", op_segment_entry },
};

const char *vectors_op(unsigned index)
{
        return index < ELEMENTS(ops) ? ops[index].op : NULL;
}

json_t *vectors_run(const char *op, const json_t *in)
{
        struct vector v = { .a = arena_new(4 << 20), .in = in, .out = json_object(), .bad = true };

        for (unsigned i = 0; i < ELEMENTS(ops) && v.a; i++) {
                if (strcmp(ops[i].op, op) != 0)
                        continue;
                v.bad = false;
                ops[i].run(&v);
        }
        arena_free(v.a);
        if (!v.bad)
                return v.out;
        json_decref(v.out);
        return NULL;
}
