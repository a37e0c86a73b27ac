/* generate: writes proto/vectors/ anew from fixed seeds: generate DIR.
 *
 * Inputs are made here, outputs by the operations of vectors.c; wrapped keys are made by hand after PROTOCOL.md with a
 * fixed ephemeral key, since libsodium draws one.  Run it only when the wire changes, and look at the difference. */
#include "tests/lib/sample.h"
#include "tests/vectors/vectors.h"

#include "common/anchor.h"
#include "common/artifact.h"
#include "common/frame.h"
#include "common/keyfile.h"
#include "common/macro.h"
#include "common/merkle.h"
#include "common/record.h"
#include "common/seal.h"
#include "common/segment.h"
#include "proto/identity.pb-c.h"
#include "proto/log.pb-c.h"
#include "proto/stream.pb-c.h"

#include <stdio.h>

static struct arena *arena;
static json_t *file;                            /* cases of the file being made */

/* ---- making cases ---- */

static json_t *hex(struct bytes b)
{
        char *text = arena_alloc(arena, 2 * b.n + 1);

        hex_format(b, text);
        return json_string(text);
}

static json_t *fill(uint8_t value, size_t n)
{
        uint8_t *p = arena_alloc(arena, n);

        memset(p, value, n);
        return hex(bytes_of(p, n));
}

static json_t *digest_hex(struct digest d)
{
        return hex(bytes_digest(&d));
}

/* Takes `in`.  The outputs, borrowed. */
static const json_t *add(const char *op, const char *name, json_t *in)
{
        json_t *out = in ? vectors_run(op, in) : NULL, *c;

        if (!out) {
                fprintf(stderr, "cannot make %s: %s\n", op, name);
                exit(1);
        }
        c = json_pack("{s:s, s:s, s:o, s:o}", "op", op, "name", name, "in", in, "out", out);
        json_array_append_new(file, c);
        return out;
}

static struct bytes unhex(const json_t *object, const char *name)
{
        const char *text = json_string_value(json_object_get(object, name));
        size_t n = strlen(text) / 2;
        uint8_t *p = arena_alloc(arena, n + 1);

        if (!hex_parse(text, p, n))
                exit(1);
        return bytes_of(p, n);
}

static void begin(void)
{
        file = json_array();
}

static void end(const char *dir, const char *name)
{
        char path[512];

        snprintf(path, sizeof(path), "%s/%s.json", dir, name);
        if (json_dump_file(file, path, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII) < 0) {
                perror(path);
                exit(1);
        }
        json_decref(file);
        arena_reset(arena);
}

static ProtobufCBinaryData data(struct bytes b)
{
        return (ProtobufCBinaryData){ b.n, (uint8_t *)b.p };
}

/* ---- the files ---- */

static void canonical(const char *name, const char *message, const char *bytes)
{
        add("canonical", name, json_pack("{s:s, s:s}", "message", message, "bytes", bytes));
}

static void make_form(const char *dir)
{
        begin();
        for (unsigned c = 0; c < DIGEST_CONTEXT_COUNT; c++)
                add("digest", "each context over three bytes", json_pack("{s:s, s:s}", "context", digest_context_text(c), "bytes", "010203"));
        add("digest", "without a context", json_pack("{s:s, s:s}", "context", "", "bytes", "010203"));
        canonical("epoch 1, size 300", "Seen", "080110ac02");
        canonical("empty is a message", "Seen", "");
        canonical("fields out of order", "Seen", "10ac020801");
        canonical("a field twice", "Seen", "08010801");
        canonical("a varint that is not minimal", "Seen", "08810010ac02");
        canonical("a default written out", "Seen", "0800");
        canonical("an empty run written out", "Seen", "1a00");
        canonical("truncated", "Seen", "080110ac");
        canonical("a length beyond the end", "Seen", "1a20ff");
        canonical("a wrong wire type", "Seen", "0d01000000");
        canonical("an unknown critical field", "Seen", "0801a00600");
        canonical("an unknown field from 1000 on", "Seen", "0801c23e0178");
        canonical("packed roles", "Subject", "2a020102");
        canonical("roles not packed", "Subject", "28012802");
        canonical("packed and empty", "Subject", "2a00");
        canonical("a bool of 2", "Value", "08011802");
        canonical("text that is not UTF-8", "Value", "08011202c080");
        canonical("text with NUL", "Value", "0801120100");
        canonical("33 bits in a u32", "Value", "088080808010");
        end(dir, "form");
}

static void make_envelope(const char *dir)
{
        struct sample_key user = sample_key(1), approver = sample_key(2);
        struct digest root = root_key_id(SUITE_1, user.key);
        struct bytes get = sample_get(arena);
        const struct claim *c;
        const json_t *out;
        json_t *keys;
        struct bytes e;

        begin();
        add("signed_bytes", "an approver's", json_pack("{s:i, s:i, s:o, s:o}", "suite", 1, "capacity", ROLE_APPROVER, "credential", fill(0xc1, 32), "header_digest", fill(0xd2, 32)));
        if (envelope_parse(arena, get, &c) != ACCEPTED)
                exit(1);
        out = add("envelope", "GET by USER and APPROVER",
                  json_pack("{s:o, s:o, s:[{s:o, s:o, s:i}, {s:o, s:o, s:i}]}", "intent", hex(c->intent_bytes), "body", hex(c->body), "signers",
                            "seed", fill(1, 32), "credential", digest_hex(user.id), "capacity", ROLE_USER,
                            "seed", fill(2, 32), "credential", digest_hex(approver.id), "capacity", ROLE_APPROVER));
        e = unhex(out, "envelope");
        keys = json_pack("[{s:o, s:o}, {s:o, s:o}, {s:o, s:o, s:b}]", "credential", digest_hex(user.id), "key", hex(bytes_of(user.key, 32)),
                         "credential", digest_hex(approver.id), "key", hex(bytes_of(approver.key, 32)),
                         "credential", digest_hex(root), "key", hex(bytes_of(user.key, 32)), "root", 1);
        add("verify", "it verifies", json_pack("{s:o, s:O}", "envelope", hex(e), "keys", keys));
        add("verify", "bare: the body left out", json_pack("{s:o, s:O, s:b}", "envelope", hex(envelope_strip(arena, e)), "keys", keys, "bare", 1));
        add("verify", "without its body it is not whole", json_pack("{s:o, s:O}", "envelope", hex(envelope_strip(arena, e)), "keys", keys));
        {
                Shuyi__V1__Envelope *m = message_parse(arena, &shuyi__v1__envelope__descriptor, e);

                m->signatures[1]->capacity = ROLE_SEC_ADMIN;
                add("verify", "a relabelled capacity", json_pack("{s:o, s:O}", "envelope", hex(message_pack(arena, &m->base)), "keys", keys));
                m->signatures[1]->capacity = ROLE_APPROVER;
                m->body.data[m->body.len - 1] ^= 1;
                add("verify", "another body", json_pack("{s:o, s:O}", "envelope", hex(message_pack(arena, &m->base)), "keys", keys));
                m->body.data[m->body.len - 1] ^= 1;
                m->n_signatures = 0;
                add("verify", "no signature", json_pack("{s:o, s:O}", "envelope", hex(message_pack(arena, &m->base)), "keys", keys));
        }
        {
                Shuyi__V1__Intent *i = sample_intent(arena, KIND_DEPARTMENT);
                struct bytes signed_by_root;

                i->from = "";
                signed_by_root = envelope_sign(arena, envelope_draft(arena, i, (struct bytes){ 0 }), &root, ROLE_ROOT, user.secret);
                add("verify", "by a root", json_pack("{s:o, s:O}", "envelope", hex(signed_by_root), "keys", keys));
        }
        json_decref(keys);
        end(dir, "envelope");
}

static void make_identity(const char *dir)
{
        struct sample_key agent = sample_key(5), issuer = sample_key(1), root2 = sample_key(2);
        Shuyi__V1__KeyRequest r = SHUYI__V1__KEY_REQUEST__INIT;
        Shuyi__V1__Subject s = SHUYI__V1__SUBJECT__INIT;
        Shuyi__V1__Credential c = SHUYI__V1__CREDENTIAL__INIT;
        Shuyi__V1__SignedCredential g = SHUYI__V1__SIGNED_CREDENTIAL__INIT;
        Shuyi__V1__RootKey roots[2] = { SHUYI__V1__ROOT_KEY__INIT, SHUYI__V1__ROOT_KEY__INIT }, *root_list[] = { &roots[0], &roots[1] };
        Shuyi__V1__LogKey log = SHUYI__V1__LOG_KEY__INIT, *logs[] = { &log };
        Shuyi__V1__WitnessKey witness = SHUYI__V1__WITNESS_KEY__INIT, *witnesses[] = { &witness };
        Shuyi__V1__Anchor a = SHUYI__V1__ANCHOR__INIT;
        Shuyi__V1__SignedAnchor sa = SHUYI__V1__SIGNED_ANCHOR__INIT;
        Shuyi__V1__RootSignature signatures[2] = { SHUYI__V1__ROOT_SIGNATURE__INIT, SHUYI__V1__ROOT_SIGNATURE__INIT }, *signature_list[] = { &signatures[0], &signatures[1] };
        struct digest root_id = root_key_id(SUITE_1, issuer.key), root2_id = root_key_id(SUITE_1, root2.key);
        uint32_t suites[] = { 1 };
        struct bytes request, credential, anchor;
        const json_t *out;

        begin();
        r.suite = 1;
        r.subject_kind = SUBJECT_AGENT;
        r.domain = SAMPLE_DOMAIN;
        r.department = SAMPLE_DEPT;
        r.agent_id = sample_run(arena, 0xa1, 16);
        r.sign_key = data(bytes_of(agent.key, 32));
        r.link_key = sample_run(arena, 0x0b, 32);
        r.created_at = SAMPLE_TIME;
        request = message_pack(arena, &r.base);
        out = add("key_request", "an agent's", json_pack("{s:o, s:o}", "key_request", hex(request), "seed", fill(5, 32)));
        g.key_request = data(request);
        g.key_request_signature = data(unhex(out, "signature"));

        s.kind = SUBJECT_AGENT;
        s.domain = SAMPLE_DOMAIN;
        s.department = SAMPLE_DEPT;
        s.id = r.agent_id;
        s.sign_key = r.sign_key;
        s.link_key = r.link_key;
        c.suite = 1;
        c.subject = &s;
        c.not_before = SAMPLE_TIME;
        c.not_after = SAMPLE_TIME + 365ull * 86400000;
        c.issuer = data(bytes_digest(&root_id));
        c.issued_at = SAMPLE_TIME;
        credential = message_pack(arena, &c.base);
        out = add("credential", "issued by a root", json_pack("{s:o, s:o}", "credential", hex(credential), "issuer_seed", fill(1, 32)));
        g.credential = data(credential);
        g.signature = data(unhex(out, "signature"));
        add("credential_check", "whole", json_pack("{s:o, s:o}", "signed_credential", hex(message_pack(arena, &g.base)), "issuer_key", hex(bytes_of(issuer.key, 32))));
        add("credential_check", "another issuer", json_pack("{s:o, s:o}", "signed_credential", hex(message_pack(arena, &g.base)), "issuer_key", hex(bytes_of(root2.key, 32))));
        add("root_key_id", "of seed 01", json_pack("{s:i, s:o}", "suite", 1, "key", hex(bytes_of(issuer.key, 32))));

        for (unsigned i = 0; i < 2; i++) {
                roots[i].suite = 1;
                roots[i].key = data(bytes_of(i ? root2.key : issuer.key, 32));
                signatures[i].root_key = data(bytes_digest(i ? &root2_id : &root_id));
        }
        log.origin = "log.442000.example";
        log.key = sample_run(arena, 0x10, 32);
        witness.name = "witness.example";
        witness.key = sample_run(arena, 0x11, 32);
        a.version = 1;
        a.domain = SAMPLE_DOMAIN;
        a.roots = root_list;
        a.n_roots = 2;
        a.threshold = 2;
        a.logs = logs;
        a.n_logs = 1;
        a.witnesses = witnesses;
        a.n_witnesses = 1;
        a.witness_quorum = 1;
        a.suites = suites;
        a.n_suites = 1;
        anchor = message_pack(arena, &a.base);
        sa.anchor = data(anchor);
        sa.signatures = signature_list;
        for (uint8_t i = 0; i < 2; i++) {
                out = add("anchor", "a root signs", json_pack("{s:o, s:o}", "anchor", hex(anchor), "seed", fill((uint8_t)(i + 1), 32)));
                signatures[i].signature = data(unhex(out, "signature"));
        }
        sa.n_signatures = 2;
        add("anchor_check", "by both", json_pack("{s:o}", "signed_anchor", hex(message_pack(arena, &sa.base))));
        sa.n_signatures = 1;
        add("anchor_check", "by one of two", json_pack("{s:o}", "signed_anchor", hex(message_pack(arena, &sa.base))));
        end(dir, "identity");
}

/* crypto_box_seal with the ephemeral pair of seed 0e. */
static struct bytes box_seal(struct bytes plain, const uint8_t to[32])
{
        struct sample_box ephemeral = sample_box(0x0e);
        uint8_t nonce[24], both[64];
        uint8_t *p = arena_alloc(arena, plain.n + crypto_box_SEALBYTES);

        memcpy(both, ephemeral.key, 32);
        memcpy(both + 32, to, 32);
        crypto_generichash(nonce, sizeof(nonce), both, sizeof(both), NULL, 0);
        memcpy(p, ephemeral.key, 32);
        if (crypto_box_easy(p + 32, plain.p, plain.n, nonce, to, ephemeral.secret) != 0)
                exit(1);
        return bytes_of(p, plain.n + crypto_box_SEALBYTES);
}

static void make_seal(const char *dir)
{
        struct sample_box box = sample_box(7);
        Shuyi__V1__ViewKey k = SHUYI__V1__VIEW_KEY__INIT;
        Shuyi__V1__AudienceRow row = SHUYI__V1__AUDIENCE_ROW__INIT;
        Shuyi__V1__SealedPart part = SHUYI__V1__SEALED_PART__INIT;
        Shuyi__V1__SealedKey key = SHUYI__V1__SEALED_KEY__INIT, *keys[] = { &key };
        struct digest view, open, ad;
        struct bytes intent, open_body = bytes_str("open body");
        uint8_t nonce[24], plain_key[80], content_key[32], *sealed;
        unsigned long long n;
        const json_t *out;

        begin();
        out = add("view", "three items, no filter", json_pack("{s:s, s:i, s:[i,i,i], s:s, s:i, s:i, s:o, s:s, s:i, s:o}", "resource", "344001/17", "resource_version", 1, "items", 1, 2, 5,
                  "filter_digest", "", "mask_version", 0, "rate", 0, "agent", fill(0xa1, 16), "provider", SAMPLE_DEPT, "view_epoch", 1, "view_key", fill(0x77, 32)));
        memcpy(view.b, unhex(out, "view").p, DIGEST_BYTES);
        add("view", "with filter, mask and rate", json_pack("{s:s, s:i, s:[i], s:o, s:i, s:i, s:o, s:s, s:i, s:o}", "resource", "344001/17", "resource_version", 2, "items", 1,
            "filter_digest", fill(0xf1, 32), "mask_version", 3, "rate", 1000, "agent", fill(0xa1, 16), "provider", SAMPLE_DEPT, "view_epoch", 2, "view_key", fill(0x77, 32)));
        intent = message_pack(arena, &sample_intent(arena, KIND_UPDATE)->base);
        add("seal", "a body", json_pack("{s:o, s:o, s:s, s:o}", "view_key", fill(0x77, 32), "intent", hex(intent), "plain", "706c61696e", "nonce", fill(0x24, 24)));

        row.grant = sample_run(arena, 0x91, 32);
        row.agent = sample_run(arena, 0xb2, 16);
        row.seal_key = data(bytes_of(box.key, 32));
        k.key = sample_run(arena, 0x77, 32);
        k.grant = row.grant;
        k.agent = row.agent;
        k.view = data(bytes_digest(&view));
        k.view_epoch = 1;
        row.wrapped = data(box_seal(message_pack(arena, &k.base), box.key));
        for (int epoch = 1; epoch <= 2; epoch++) {
                struct digest key_id = view_key_id(SAMPLE_DEPT, &view, 1, k.key.data);

                add("unwrap", epoch == 1 ? "of its epoch" : "of another epoch",
                    json_pack("{s:o, s:o, s:s, s:o, s:i, s:o}", "row", hex(message_pack(arena, &row.base)), "seal_seed", fill(7, 32), "provider", SAMPLE_DEPT,
                              "view", digest_hex(view), "view_epoch", epoch, "key_id", digest_hex(key_id)));
        }

        memset(nonce, 0x24, sizeof(nonce));
        memset(content_key, 0x55, sizeof(content_key));
        open = digest_plain(open_body);
        ad = DIGEST_OF(CTX_SEAL_PART, bytes_digest(&open));
        sealed = arena_alloc(arena, 24 + 6 + 16);
        memcpy(sealed, nonce, 24);
        crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + 24, &n, (const uint8_t *)"remark", 6, ad.b, 32, NULL, nonce, content_key);
        memcpy(plain_key, content_key, 32);
        memset(plain_key + 32, 0xb2, 16);
        memcpy(plain_key + 48, open.b, 32);
        part.sealed = data(bytes_of(sealed, 24 + 6 + 16));
        key.agent = row.agent;
        key.seal_key = row.seal_key;
        key.wrapped = data(box_seal(bytes_of(plain_key, 80), box.key));
        part.keys = keys;
        part.n_keys = 1;
        add("sealed_part", "for its agent", json_pack("{s:o, s:o, s:o, s:o}", "part", hex(message_pack(arena, &part.base)), "open_body", hex(open_body), "agent", fill(0xb2, 16), "seal_seed", fill(7, 32)));
        add("sealed_part", "moved to another body", json_pack("{s:o, s:s, s:o, s:o}", "part", hex(message_pack(arena, &part.base)), "open_body", "00", "agent", fill(0xb2, 16), "seal_seed", fill(7, 32)));
        end(dir, "seal");
}

static json_t *leaves(unsigned n)
{
        json_t *list = json_array();

        for (unsigned i = 0; i < n; i++) {
                uint8_t b = (uint8_t)i;

                json_array_append_new(list, digest_hex(merkle_leaf(bytes_of(&b, 1))));
        }
        return list;
}

static void make_records(const char *dir)
{
        Shuyi__V1__Value value = SHUYI__V1__VALUE__INIT, none = SHUYI__V1__VALUE__INIT, *values[] = { &value, &none };
        Shuyi__V1__Record r = SHUYI__V1__RECORD__INIT;
        Shuyi__V1__AudienceRow row = SHUYI__V1__AUDIENCE_ROW__INIT;

        begin();
        value.item = 1;
        value.text = "442000";
        none.item = 2;
        none.null = 1;
        r.op = OP_UPSERT;
        r.key = "442000";
        r.changed_at = SAMPLE_TIME;
        r.values = values;
        r.n_values = 2;
        r.taken_at = SAMPLE_TIME + 5;
        for (int i = 0; i < 2; i++)
                add("record_leaf", "an upsert", json_pack("{s:o, s:i, s:o}", "seed", fill(0x5e, 32), "index", i, "record", hex(message_pack(arena, &r.base))));
        row.grant = sample_run(arena, 0x91, 32);
        row.channel = CHANNEL_UNCONDITIONAL;
        row.consumer = SAMPLE_DEPT_2;
        row.purpose = "CHILD_HEALTH";
        row.user = sample_run(arena, 1, 16);
        row.approver = sample_run(arena, 2, 16);
        row.method = METHOD_DB_PUSH;
        row.agent = sample_run(arena, 0xb2, 16);
        row.seal_key = sample_run(arena, 3, 32);
        row.wrapped = sample_run(arena, 4, 8);
        add("row_leaf", "an audience row", json_pack("{s:o}", "row", hex(message_pack(arena, &row.base))));
        for (int n = 0; n <= 5; n++)
                add("records_root", "with the path of the last", json_pack("{s:o, s:i}", "leaves", leaves((unsigned)n), "index", n ? n - 1 : 0));
        end(dir, "records");
}

/* What witnesses make of a head, and how they are asked. */
static void make_witnessed(const char *note)
{
        static const char *const names[] = { "audit.442000.example/w1", "archive.442000.example/w1" };
        const json_t *one[2];
        const char *line[2];

        for (int i = 0; i < 2; i++) {
                one[i] = add("cosignature", "of a witness", json_pack("{s:s, s:s, s:I, s:o}", "note", note, "name", names[i], "time",
                                                                      (json_int_t)(SAMPLE_TIME / 1000 + 7u * (unsigned)i), "seed", fill((uint8_t)(11 + i), 32)));
                line[i] = json_string_value(json_object_get(one[i], "line"));
        }
        json_t *both = json_pack("[O, O]", json_object_get(one[0], "vkey"), json_object_get(one[1], "vkey"));
        json_t *first = json_pack("[O]", json_object_get(one[0], "vkey"));
        json_t *path = json_pack("[o, o]", fill(1, 32), fill(2, 32));

        add("quorum", "both", json_pack("{s:s++, s:O}", "note", note, line[0], line[1], "witnesses", both));
        add("quorum", "one whom the anchor names, one whom it does not", json_pack("{s:s++, s:O}", "note", note, line[0], line[1], "witnesses", first));
        add("quorum", "nobody yet", json_pack("{s:s, s:O}", "note", note, "witnesses", both));
        add("quorum", "one twice", json_pack("{s:s++, s:O}", "note", note, line[0], line[0], "witnesses", both));
        add("add_checkpoint", "the first", json_pack("{s:i, s:[], s:s}", "old", 0, "path", "note", note));
        add("add_checkpoint", "with a proof", json_pack("{s:i, s:O, s:s}", "old", 4000, "path", path, "note", note));
        json_decref(both);
        json_decref(first);
        json_decref(path);
}

static void make_log(const char *dir)
{
        Shuyi__V1__ReceiptRow rows[2] = { SHUYI__V1__RECEIPT_ROW__INIT, SHUYI__V1__RECEIPT_ROW__INIT }, *list[] = { &rows[0], &rows[1] };
        Shuyi__V1__Receipt r = SHUYI__V1__RECEIPT__INIT;

        begin();
        add("leaf", "accepted", json_pack("{s:s, s:i, s:i, s:I, s:o, s:i, s:o}", "domain", SAMPLE_DOMAIN, "epoch", 1, "seq", 4711, "accepted_at", (json_int_t)SAMPLE_TIME,
            "envelope_digest", fill(0xe1, 32), "code", 0, "effects_digest", fill(0xe2, 32)));
        add("leaf", "refused G-TYPE", json_pack("{s:s, s:i, s:i, s:I, s:o, s:i, s:o}", "domain", SAMPLE_DOMAIN, "epoch", 2, "seq", 4712, "accepted_at", (json_int_t)SAMPLE_TIME + 1,
            "envelope_digest", fill(0xe1, 32), "code", G_TYPE, "effects_digest", fill(0xe2, 32)));
        for (int n = 0; n <= 8; n++)
                add("tree", "with the path of the middle one", json_pack("{s:o, s:i}", "leaves", leaves((unsigned)n), "index", n / 2));
        {
                json_t *path = json_array();
                struct digest l[3], root2, root3;

                for (unsigned i = 0; i < 3; i++) {
                        uint8_t b = (uint8_t)i;

                        l[i] = merkle_leaf(bytes_of(&b, 1));
                }
                root2 = merkle_root_of(l, 2);
                root3 = merkle_root_of(l, 3);
                json_array_append_new(path, digest_hex(l[2]));
                add("consistency", "2 to 3", json_pack("{s:i, s:i, s:o, s:o, s:O}", "size1", 2, "size2", 3, "root1", digest_hex(root2), "root2", digest_hex(root3), "path", path));
                add("consistency", "2 to 3 with another root", json_pack("{s:i, s:i, s:o, s:o, s:o}", "size1", 2, "size2", 3, "root1", digest_hex(root3), "root2", digest_hex(root3), "path", path));
        }
        make_witnessed(json_string_value(json_object_get(
                add("checkpoint", "a head", json_pack("{s:s, s:i, s:o, s:o}", "origin", "log.442000.example", "size", 4711, "root", fill(0x5a, 32), "seed", fill(8, 32))), "note")));
        for (unsigned i = 0; i < 2; i++) {
                rows[i].lane = i;
                rows[i].outbox_seq = i + 7;
                rows[i].accepted_at = SAMPLE_TIME;
        }
        rows[0].seq = 4711;
        rows[0].leaf_hash = sample_run(arena, 0x1f, 32);
        rows[0].effects_digest = sample_run(arena, 0x2e, 32);
        rows[1].code = E_STALE_EPOCH;
        r.domain = SAMPLE_DOMAIN;
        r.agent = sample_run(arena, 0xa1, 16);
        r.log_epoch = 1;
        r.stable_seq = 4711;
        r.outbox_epoch = 1;
        r.rows = list;
        r.n_rows = 2;
        add("receipt", "one entry, one refused link", json_pack("{s:o, s:o}", "receipt", hex(message_pack(arena, &r.base)), "seed", fill(8, 32)));
        end(dir, "log");
}

/* Five objects in one bucket and one in another: each verdict, and each way to be absent. */
static void add_lookups(void)
{
        static const uint8_t asked[] = { 0x10, 0x50, 0x20, 0x05, 0x60 };
        static const char *const names[] = { "the first of five", "the last of five", "absent between two", "absent before the first", "absent behind the last" };
        uint8_t object[DIGEST_BYTES] = { 0xc1 };

        for (unsigned i = 0; i < ELEMENTS(asked) + 1; i++) {
                json_t *objects = json_array();

                for (unsigned k = 1; k <= 5; k++) {
                        object[0] = 0xc1;
                        object[1] = (uint8_t)(k * 0x10 + (k == 2));
                        json_array_append_new(objects, json_pack("{s:o, s:i, s:i}", "object", hex(bytes_of(object, sizeof(object))), "status", STATUS_ACTIVE, "since_seq", 100 + k));
                }
                json_array_append_new(objects, json_pack("{s:o, s:i, s:i}", "object", fill(0x07, 32), "status", STATUS_REVOKED, "since_seq", 7));
                object[0] = i < ELEMENTS(asked) ? 0xc1 : 0xaa;
                object[1] = i < ELEMENTS(asked) ? asked[i] : 0;
                add("lookup", i < ELEMENTS(asked) ? names[i] : "absent in an empty bucket", json_pack("{s:o, s:o}", "objects", objects, "object", hex(bytes_of(object, sizeof(object)))));
        }
}

static void make_trust(const char *dir)
{
        Shuyi__V1__TrustRecord r = SHUYI__V1__TRUST_RECORD__INIT;
        const json_t *out;
        struct bytes packed;

        begin();
        out = add("trust_object", "an anchor is named by its domain", json_pack("{s:i, s:o}", "kind", TRUST_ANCHOR, "name", hex(bytes_str(SAMPLE_DOMAIN))));
        add("trust_object", "a department by its code", json_pack("{s:i, s:o}", "kind", TRUST_DEPARTMENT, "name", hex(bytes_str(SAMPLE_DEPT))));
        add("trust_object", "a credential is its own name", json_pack("{s:i, s:o}", "kind", TRUST_CREDENTIAL, "name", fill(0xc1, 32)));
        r.trust_seq = 1;
        r.seq = 1;
        r.kind = TRUST_ANCHOR;
        r.object = data(unhex(out, "object"));
        r.status = STATUS_ACTIVE;
        r.header_digest = sample_run(arena, 0xd2, 32);
        packed = message_pack(arena, &r.base);
        out = add("trust_chain", "the first record", json_pack("{s:s, s:o}", "before", "", "record", hex(packed)));
        add("trust_chain", "one more", json_pack("{s:o, s:o}", "before", hex(unhex(out, "chain")), "record", hex(packed)));
        add("trust_map", "empty", json_pack("{s:[]}", "objects"));
        add("trust_map", "three objects in two buckets", json_pack("{s:[{s:o, s:i, s:i}, {s:o, s:i, s:i}, {s:o, s:i, s:i}]}", "objects",
            "object", fill(0x01, 32), "status", STATUS_ACTIVE, "since_seq", 1, "object", fill(0xc1, 32), "status", STATUS_ACTIVE, "since_seq", 2,
            "object", json_string("c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1ff"), "status", STATUS_REVOKED, "since_seq", 9));
        add_lookups();
        end(dir, "trust");
}

static void make_files(const char *dir)
{
        static const uint8_t drawn[KEYFILE_RANDOM_BYTES] = { 1, 2, 3, 4, 5 };
        struct sample_key key = sample_key(1);
        struct keyfile k = { .use = KEYFILE_AGENT, .sign = secret_copy(bytes_of(key.secret, 64)) };
        struct sample_box link = sample_box(2), seal = sample_box(3);
        struct bytes text;

        begin();
        add("file", "of 3 bytes", json_pack("{s:s, s:s}", "magic", "shuyi-anchor-v1", "content", "010203"));
        add("file", "of two lines", json_pack("{s:s, s:o}", "magic", "shuyi-genesis-v1", "content", fill(0x42, 58)));
        memcpy(k.sign_key, key.key, 32);
        k.link = secret_copy(bytes_of(link.secret, 32));
        k.seal = secret_copy(bytes_of(seal.secret, 32));
        if (keyfile_seal(arena, &k, KEYFILE_OPEN, (struct bytes){ 0 }, drawn, &text) < 0)
                exit(1);
        add("key_file", "an agent's, open", json_pack("{s:s%, s:s}", "text", (const char *)text.p, text.n, "passphrase", ""));
        k.use = KEYFILE_PERSON;
        secret_free(TAKE(k.link));
        secret_free(TAKE(k.seal));
        if (keyfile_seal(arena, &k, KEYFILE_SEALED_DEMO, bytes_str("kapok"), drawn, &text) < 0)
                exit(1);
        add("key_file", "a person's", json_pack("{s:s%, s:s}", "text", (const char *)text.p, text.n, "passphrase", "kapok"));
        add("key_file", "with another passphrase", json_pack("{s:s%, s:s}", "text", (const char *)text.p, text.n, "passphrase", "banyan"));
        keyfile_fini(&k);
        end(dir, "files");
}

static void make_frames(const char *dir)
{
        Shuyi__V1__Put put = SHUYI__V1__PUT__INIT;
        Shuyi__V1__Ping ping = SHUYI__V1__PING__INIT;
        Shuyi__V1__Lane lanes[2] = { SHUYI__V1__LANE__INIT, SHUYI__V1__LANE__INIT }, *list[] = { &lanes[0], &lanes[1] };
        Shuyi__V1__Hello hello = SHUYI__V1__HELLO__INIT;
        struct bytes prefix;
        uint8_t *entry;

        begin();
        hello.protocol = 1;
        hello.domain = SAMPLE_DOMAIN;
        hello.agent = sample_run(arena, 0xa1, 16);
        hello.outbox_epoch = 1;
        for (unsigned i = 0; i < 2; i++) {
                lanes[i].lane = i;
                lanes[i].next = i + 1;
        }
        hello.lanes = list;
        hello.n_lanes = 2;
        hello.software = "example 1.0";
        hello.parcel_frames = 64;
        hello.parcel_bytes = 1 << 20;
        add("frame", "HELLO", json_pack("{s:s, s:o}", "to", "broker", "frame", hex(FRAME_ENCODE(arena, FRAME_HELLO, &hello))));
        put.lane = 1;
        put.outbox_epoch = 1;
        put.outbox_seq = 7;
        put.envelope = data(bytes_str("envelope"));
        add("frame", "PUT", json_pack("{s:s, s:o}", "to", "broker", "frame", hex(FRAME_ENCODE(arena, FRAME_PUT, &put))));
        add("frame", "PUT goes to the broker only", json_pack("{s:s, s:o}", "to", "agent", "frame", hex(FRAME_ENCODE(arena, FRAME_PUT, &put))));
        ping.time = SAMPLE_TIME;
        add("frame", "PING", json_pack("{s:s, s:o}", "to", "agent", "frame", hex(FRAME_ENCODE(arena, FRAME_PING, &ping))));
        add("frame", "no such type", json_pack("{s:s, s:s}", "to", "broker", "frame", "0e"));
        add("frame", "empty", json_pack("{s:s, s:s}", "to", "broker", "frame", ""));

        entry = arena_zalloc(arena, SEGMENT_ENTRY_PREFIX + 8);
        put_le64(entry, 1);
        put_le64(entry + 8, 4711);
        put_le64(entry + 16, SAMPLE_TIME);
        put_le32(entry + 24, 3);
        entry[28] = 1;
        put_le64(entry + 29, 1);
        put_le64(entry + 37, 7);
        memcpy(entry + SEGMENT_ENTRY_PREFIX, "envelope", 8);
        prefix = bytes_of(entry, SEGMENT_ENTRY_PREFIX + 8);
        add("segment_entry", "an ENTRY's payload", json_pack("{s:o}", "payload", hex(prefix)));
        add("segment_record", "an ENTRY", json_pack("{s:i, s:i, s:i, s:o}", "type", SEGMENT_ENTRY, "epoch", 1, "seq", 4711, "payload", hex(prefix)));
        add("segment_record", "a HEAD", json_pack("{s:i, s:i, s:i, s:o}", "type", SEGMENT_HEAD, "epoch", 1, "seq", 4711, "payload", hex(bytes_str("note"))));
        uint8_t *kept = arena_zalloc(arena, SEGMENT_KEPT_PREFIX + prefix.n);
        put_le64(kept, 4711 + 2);
        memset(kept + 12, 0xee, 32);
        memcpy(kept + SEGMENT_KEPT_PREFIX, prefix.p, prefix.n);
        add("segment_record", "a KEPT, accepted, without the body that a PURGE took", json_pack("{s:i, s:i, s:i, s:o}", "type", SEGMENT_KEPT, "epoch", 1, "seq", 4711, "payload", hex(bytes_of(kept, SEGMENT_KEPT_PREFIX + prefix.n))));
        uint8_t *tombstone = arena_zalloc(arena, SEGMENT_TOMBSTONE_BYTES);
        memcpy(tombstone, entry, 24);
        put_le64(tombstone + 24, 4711 + 2);
        tombstone[32] = PURGE_INPUTS;
        memset(tombstone + 33, 0xab, 32);
        add("segment_record", "a TOMBSTONE", json_pack("{s:i, s:i, s:i, s:o}", "type", SEGMENT_TOMBSTONE, "epoch", 1, "seq", 4711, "payload", hex(bytes_of(tombstone, SEGMENT_TOMBSTONE_BYTES))));
        end(dir, "frames");
}

int main(int argc, char **argv)
{
        const char *dir = argc == 2 ? argv[1] : NULL;

        arena = arena_new(64 << 20);
        if (!dir || !arena || sodium_init() < 0) {
                fprintf(stderr, "generate DIR\n");
                return 1;
        }
        make_form(dir);
        make_envelope(dir);
        make_identity(dir);
        make_seal(dir);
        make_records(dir);
        make_log(dir);
        make_trust(dir);
        make_files(dir);
        make_frames(dir);
        arena_free(arena);
        return 0;
}
