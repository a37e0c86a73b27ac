/* make_seeds: writes the seeds of every corpus, the same each time.
 *
 *         fuzz-make-seeds SOURCE_ROOT
 *
 * Run by hand when a form changes; what it writes is in the tree, beside the inputs of bugs found (crash-*), which it leaves alone. */
#include "common/anchor.h"
#include "common/artifact.h"
#include "common/base64.h"
#include "common/checkpoint.h"
#include "common/frame.h"
#include "common/keyfile.h"
#include "common/message_json.h"
#include "common/receipt.h"
#include "common/seal.h"
#include "common/witness.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/messages.h"
#include "tests/lib/evidence.h"
#include "tests/lib/random_message.h"
#include "tests/lib/sample.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define SEED_MAX_BYTES 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) { return 0; }
int LLVMFuzzerInitialize(int *argc, char ***argv);

static const char *root;
static struct arena *a;

/* ---- files ---- */

static void seed(const char *target, const char *name, struct bytes b)
{
        char path[4096];
        FILE *f;

        snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s", root, target);
        REQUIRE(mkdir(path, 0755) == 0 || errno == EEXIST);
        snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s/%s", root, target, name);
        f = fopen(path, "wb");
        REQUIRE(f && fwrite(b.p, 1, b.n, f) == b.n && fclose(f) == 0);
}

static void seed_text(const char *target, const char *name, const char *text) { seed(target, name, bytes_str(text)); }

/* `head` of n bytes, then `b`. */
static struct bytes headed(const void *head, size_t n, struct bytes b)
{
        uint8_t *p = arena_alloc(a, n + b.n + 1);

        memcpy(p, head, n);
        if (b.n > 0)
                memcpy(p + n, b.p, b.n);
        return bytes_of(p, n + b.n);
}
#define HEADED(b, ...) headed((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), (b))

static struct bytes joined(struct bytes x, struct bytes y) { return headed(x.p, x.n, y); }

static struct bytes file(const char *path)
{
        char full[4096];
        uint8_t *p = arena_alloc(a, 1 << 18);
        FILE *f;
        size_t n;

        snprintf(full, sizeof(full), "%s/%s", root, path);
        f = fopen(full, "rb");
        REQUIRE(f);
        n = fread(p, 1, 1 << 18, f);
        fclose(f);
        return bytes_of(p, n);
}

static struct bytes pack(const ProtobufCMessage *m)
{
        struct bytes b = message_pack(a, m);

        REQUIRE(b.p || b.n == 0);
        return b;
}

static ProtobufCBinaryData field(struct bytes b) { return (ProtobufCBinaryData){ b.n, (uint8_t *)b.p }; }

/* ---- messages of every type ---- */

/* A filled message of the type that is neither empty nor long. */
static ProtobufCMessage *some_message(const ProtobufCMessageDescriptor *d, uint64_t from)
{
        ProtobufCMessage *m = NULL;

        for (uint64_t i = 0; i < 200; i++) {
                struct chance c = { from * 1000 + i };
                size_t n;

                m = random_message(a, &c, d);
                n = protobuf_c_message_get_packed_size(m);
                if (n >= 8 && n <= 300)
                        break;
        }
        return m;
}

static void make_messages(void)
{
        for (unsigned i = 0; i < ELEMENTS(messages); i++) {
                ProtobufCMessage *m = some_message(messages[i], i);
                json_t *json = message_json_print(m);
                char *text = json_dumps(json, JSON_COMPACT);
                struct bytes wire = pack(m);

                if (wire.n <= 400)
                        seed("wire", messages[i]->short_name, HEADED(wire, (uint8_t)i, 0));
                if (i % 4 == 0 && strlen(text) < 900)
                        seed("message_json", messages[i]->short_name, HEADED(bytes_str(text), (uint8_t)i, 0));
                free(text);
                json_decref(json);
        }
}

static void make_frames(void)
{
        const struct frame_row *row;

        for (unsigned i = 0; (row = frame_at(i)); i++) {
                struct bytes b = frame_encode(a, row->type, some_message(row->message, i + 1));

                if (b.p && b.n <= 700)
                        seed("frame", row->name, b);
        }
}

/* ---- envelopes ---- */

static struct bytes built(uint8_t signers, struct bytes intent, struct bytes body)
{
        uint8_t n[2];

        n[0] = (uint8_t)intent.n;
        n[1] = (uint8_t)(intent.n >> 8);
        return HEADED(joined(bytes_of(n, 2), joined(intent, body)), 1, signers, 3, 17, 0);
}

static void make_envelopes(void)
{
        struct bytes get = sample_get(a);
        const struct claim *c;
        Shuyi__V1__Intent *i = sample_intent(a, KIND_UPDATE);

        REQUIRE(envelope_parse(a, get, &c) == ACCEPTED);
        seed("envelope", "get", HEADED(get, 0));
        seed("envelope", "get-built", built(2, c->intent_bytes, c->body));
        seed("envelope", "get-draft", built(0, c->intent_bytes, c->body));
        i->resource = "344001/17";
        i->resource_version = 1;
        seed("envelope", "update-built", built(1, pack(&i->base), bytes_of(sample_run(a, 9, 64).data, 64)));
            seed("artifact", "draft", artifact_encode(a, ARTIFACT_DRAFT, get));
}

/* ---- keys and anchors ---- */

static Shuyi__V1__KeyRequest *agent_request(const struct sample_key *k)
{
        Shuyi__V1__KeyRequest *r = ARENA_NEW(a, Shuyi__V1__KeyRequest);

        shuyi__v1__key_request__init(r);
        r->suite = SUITE_1;
        r->subject_kind = SUBJECT_AGENT;
        r->domain = SAMPLE_DOMAIN;
        r->department = SAMPLE_DEPT;
        r->agent_id = sample_run(a, 0xa1, 16);
        r->sign_key = (ProtobufCBinaryData){ 32, (uint8_t *)k->key };
        r->link_key = sample_run(a, 0xb2, 32);
        r->created_at = SAMPLE_TIME;
        return r;
}

static Shuyi__V1__Credential *credential(const struct sample_key *k, uint32_t kind)
{
        Shuyi__V1__Credential *c = ARENA_NEW(a, Shuyi__V1__Credential);
        Shuyi__V1__Subject *s = ARENA_NEW(a, Shuyi__V1__Subject);
        static uint32_t roles[] = { ROLE_USER, ROLE_APPROVER };

        shuyi__v1__credential__init(c);
        shuyi__v1__subject__init(s);
        s->kind = kind;
        s->domain = SAMPLE_DOMAIN;
        s->department = SAMPLE_DEPT;
        s->id = sample_run(a, 0xa1, 16);
        s->sign_key = (ProtobufCBinaryData){ 32, (uint8_t *)k->key };
        if (kind == SUBJECT_AGENT) {
                s->link_key = sample_run(a, 0xb2, 32);
        } else {
                s->roles = roles;
                s->n_roles = ELEMENTS(roles);
        }
        c->suite = SUITE_1;
        c->subject = s;
        c->not_before = SAMPLE_TIME;
        c->not_after = SAMPLE_TIME + 1000000;
        c->issued_at = SAMPLE_TIME;
        c->issuer = sample_run(a, 0xc3, DIGEST_BYTES);
        return c;
}

static void make_credentials(void)
{
        struct sample_key holder = sample_key(1), issuer = sample_key(2);
        struct bytes request = pack(&agent_request(&holder)->base), agent = pack(&credential(&holder, SUBJECT_AGENT)->base);
        Shuyi__V1__SignedCredential s = SHUYI__V1__SIGNED_CREDENTIAL__INIT;
        Shuyi__V1__JoinFile join = SHUYI__V1__JOIN_FILE__INIT;
        uint8_t by_issuer[64], by_holder[64], n[2] = { (uint8_t)agent.n, (uint8_t)(agent.n >> 8) };

        credential_sign(agent, issuer.secret, by_issuer);
        key_request_sign(a, agent_request(&holder), holder.secret, by_holder);
        s.credential = field(agent);
        s.signature = (ProtobufCBinaryData){ 64, by_issuer };
        s.key_request = field(request);
        s.key_request_signature = (ProtobufCBinaryData){ 64, by_holder };
        seed("credential", "form-agent", HEADED(agent, 0));
        seed("credential", "form-person", HEADED(pack(&credential(&holder, SUBJECT_PERSON)->base), 0));
        seed("credential", "request", HEADED(request, 1, 9));
        seed("credential", "signed-here", HEADED(joined(bytes_of(n, 2), joined(agent, request)), 2));
        seed("credential", "signed", HEADED(pack(&s.base), 3));
        join.key_request = field(request);
        join.signature = (ProtobufCBinaryData){ 64, by_holder };
        join.label = "health";
        seed("artifact", "join", artifact_write(a, ARTIFACT_JOIN, &join.base));
}

static struct bytes anchor(void)
{
        Shuyi__V1__Anchor n = SHUYI__V1__ANCHOR__INIT;
        Shuyi__V1__RootKey root_key_row[3], *roots[3];
        Shuyi__V1__LogKey log = SHUYI__V1__LOG_KEY__INIT, *logs[] = { &log };
        Shuyi__V1__WitnessKey w = SHUYI__V1__WITNESS_KEY__INIT, *witnesses[] = { &w };
        struct sample_key k[3] = { sample_key(1), sample_key(2), sample_key(3) };
        uint32_t suites[] = { SUITE_1 };

        for (unsigned i = 0; i < 3; i++) {
                shuyi__v1__root_key__init(&root_key_row[i]);
                root_key_row[i].suite = SUITE_1;
                root_key_row[i].key = (ProtobufCBinaryData){ 32, k[i].key };
                roots[i] = &root_key_row[i];
        }
        log.origin = "shuyi.example/log";
        log.key = sample_run(a, 5, 32);
        w.name = "witness.example/1";
        w.key = sample_run(a, 6, 32);
        n.version = 1;
        n.domain = SAMPLE_DOMAIN;
        n.roots = roots;
        n.n_roots = 3;
        n.threshold = 2;
        n.logs = logs;
        n.n_logs = 1;
        n.witnesses = witnesses;
        n.n_witnesses = 1;
        n.witness_quorum = 1;
        n.suites = suites;
        n.n_suites = 1;
        return pack(&n.base);
}

static void make_anchors(void)
{
        struct bytes n = anchor();
        Shuyi__V1__SignedAnchor s = SHUYI__V1__SIGNED_ANCHOR__INIT;
        Shuyi__V1__RootSignature g = SHUYI__V1__ROOT_SIGNATURE__INIT, *rows[] = { &g };
        struct sample_key k = sample_key(1);
        struct digest id = root_key_id(SUITE_1, k.key);
        uint8_t signature[64];

        anchor_sign(n, k.secret, signature);
        g.root_key = (ProtobufCBinaryData){ DIGEST_BYTES, id.b };
        g.signature = (ProtobufCBinaryData){ 64, signature };
        s.anchor = field(n);
        s.signatures = rows;
        s.n_signatures = 1;
        seed("anchor", "raw-one-signature", HEADED(pack(&s.base), 0));
        seed("anchor", "two-signers", HEADED(n, 2));
        seed("anchor", "four-signers", HEADED(n, 4));
        seed("artifact", "anchor", artifact_write(a, ARTIFACT_ANCHOR, &s.base));
}

static void make_keyfiles(void)
{
        struct sample_key k = sample_key(1);
        uint8_t link[32] = { 5 }, content[256] = { KEYFILE_PERSON, KEYFILE_SEALED, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0x10 };
        struct keyfile f = { .use = KEYFILE_AGENT, .sign = secret_copy(bytes_of(k.secret, 64)), .link = secret_copy(bytes_of(link, 32)) };
        struct bytes text, inside;

        memcpy(f.sign_key, k.key, 32);
        REQUIRE(keyfile_seal(a, &f, KEYFILE_OPEN, (struct bytes){ 0 }, NULL, &text) == 0);
        REQUIRE(!artifact_decode(a, ARTIFACT_KEY, text, &inside));
        seed("keyfile", "agent-text", text);
        seed("keyfile", "agent-content", HEADED(inside, 0));
        seed("keyfile", "person-content", HEADED(bytes_of(content, 88 + 128 + 16), 0));
        seed("artifact", "key", text);
        keyfile_fini(&f);
}

/* ---- trees, heads, seals, receipts ---- */

static void make_trees(void)
{
        struct sample_key k = sample_key(1);
        struct checkpoint c = { "shuyi.example/log", 1234, { { 1, 2, 3 } } };
        char *note = checkpoint_sign(a, &c, k.secret, k.key);
        uint8_t proof[1 + 2 + 16 + 5 * 32] = { 0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 9 };

        seed("checkpoint", "note", HEADED(bytes_str(note), 0));
        seed("checkpoint", "text", HEADED(bytes_of(note, (size_t)(strstr(note, "\n\n") + 1 - note)), 1));
        seed("checkpoint", "cosigned", HEADED(bytes_str(arena_printf(a, "%s\xe2\x80\x94 witness.example/1 AAAAAAAAAAAAAAAA\n", note)), 0));
        seed_text("witness", "first", witness_request_format(a, 0, NULL, 0, note));
        seed_text("witness", "repeat", witness_request_format(a, 1234, NULL, 0, note));
        seed_text("witness", "proof", witness_request_format(a, 1000, (struct digest[]){ { { 1 } }, { { 2 } }, { { 3 } } }, 3, note));
        seed("merkle", "raw", bytes_of(proof, sizeof(proof)));
        seed("merkle", "tree", HEADED(bytes_str("abcdefghijklmnopqrstuvwxyz0123456789"), 1, 20, 7, 12, 33));
        seed("merkle", "perfect", HEADED(bytes_str("abcdefghijklmnopqrstuvwxyz0123456789"), 1, 31, 31, 15, 99));
}

static void make_seals(void)
{
        uint8_t key[KEY_BYTES] = { 7 }, nonce[24] = { 1 }, sealed[SEAL_OVERHEAD + 5];
        struct digest view = { { 1 } };
        Shuyi__V1__ViewKey k = SHUYI__V1__VIEW_KEY__INIT;

        seal_update(key, bytes_str("intent"), bytes_str("plain"), nonce, sealed);
        seed("seal", "raw-body", HEADED(joined(bytes_str("intent"), bytes_of(sealed, sizeof(sealed))), 0, 6));
        seed("seal", "body", HEADED(bytes_str("intentplain"), 1, 3, 1, 9, 6));
        k.key = (ProtobufCBinaryData){ KEY_BYTES, key };
        k.grant = sample_run(a, 0x11, DIGEST_BYTES);
        k.agent = sample_run(a, 0x22, ID_BYTES);
        k.view = (ProtobufCBinaryData){ DIGEST_BYTES, view.b };
        k.view_epoch = 3;
        seed("seal", "view-key", HEADED(pack(&k.base), 2, 1));
        seed("seal", "raw-part", HEADED(pack(some_message(&shuyi__v1__sealed_part__descriptor, 3)), 3));
        seed("seal", "part", HEADED(bytes_str("the need of a case"), 4, 5, 1, 2, 3));
}

static void make_receipts(void)
{
        Shuyi__V1__Receipt r = SHUYI__V1__RECEIPT__INIT;
        Shuyi__V1__ReceiptRow row[2] = { SHUYI__V1__RECEIPT_ROW__INIT, SHUYI__V1__RECEIPT_ROW__INIT }, *rows[] = { &row[0], &row[1] };
        struct sample_key log = sample_key(3);

        r.domain = SAMPLE_DOMAIN;
        r.agent = sample_run(a, 0xa1, 16);
        r.log_epoch = r.outbox_epoch = 1;
        r.rows = rows;
        r.n_rows = 2;
        row[0].outbox_seq = 7;
        row[0].seq = 99;
        row[0].accepted_at = SAMPLE_TIME;
        row[0].leaf_hash = sample_run(a, 3, DIGEST_BYTES);
        row[0].effects_digest = sample_run(a, 5, DIGEST_BYTES);
        row[1].lane = 1;
        row[1].outbox_seq = 4;
        row[1].code = E_STATE;
        row[1].detail = "state";
        seed("receipt", "signed-here", HEADED(pack(&r.base), 1));
        seed("receipt", "raw", HEADED(pack(&receipt_sign(a, &r, log.secret)->base), 0));
}

/* ---- texts ---- */

static void make_texts(void)
{
        static const char scopes[][2][120] = {
                { "all", "ALL : ANY : ALL" },
                { "two", "class GOV_DEPT : ADMIN_BASIS,DATA_CHECK : 1-4,7; code 11442000MX00000197 : ANY : ALL" },
                { "role", "role AUTHORITY,SAFETY_DEPT : ANY : 2" },
                { "region", "region 4420,4451 : DATA_CHECK : 1" },
        };

        for (unsigned i = 0; i < ELEMENTS(scopes); i++)
                seed("scope", scopes[i][0], HEADED(bytes_str(scopes[i][1]), 2, 3, 0, 0));
        seed("tile_path", "first", bytes_str("0/000"));
        seed("tile_path", "groups", bytes_str("0/x001/x234/067"));
        seed("tile_path", "partial", bytes_str("2/x017/255.p/112"));
        seed("base64", "text", bytes_str("QUJDREVGR0g="));
        seed("base64", "utf8", bytes_str("数驿 \xf0\x9f\x93\xae e\xcc\x81"));
        seed_text("times", "date", "2026-02-28");
        seed_text("times", "leap", "2024-02-29");
        seed_text("times", "utc", "2026-02-12T02:00:00.000Z");
        seed_text("times", "utc-seconds", "2026-02-12T02:00:00Z");
        seed("idcode", "uscc", HEADED(bytes_str("11442000007331101A"), 0, 0x30));
        seed("idcode", "uscc-mx", HEADED(bytes_str("11442000MX00000197"), 0, 0x30));
        seed("idcode", "resident", HEADED(bytes_str("11010519491231002X"), 0, 0x30));
        seed("policy", "zs.conf", file("deploy/policies/zs.conf"));
        seed("calendar", "two-years", HEADED(bytes_str("date,kind,name\n2020-01-01,holiday,元旦\n2020-01-19,workday,春节\n"), 0x40, 0x30, 12));
        seed("calendar", "head", HEADED(bytes_of(file("deploy/calendar/cn-holidays.csv").p, 2500), 0x40, 0x30, 12));
}

/* ---- sessions: a letter a step, as the targets read them ---- */

static void make_sessions(void)
{
        static const uint8_t server[] = {
                0, 9, 1, 4, 0, 10, 0, 200, 0, 0xff, 0xff, 0, 0,         /* HELLO */
                10, 8, 50, 10, 9, 60, 10, 8, 70, 10, 15, 9, 0, 1, 0,    /* PUTs */
                2, 1, 50, 0, 10, 8, 20,                                 /* BUSY, again */
                1, 0, 1, 1, 1, 2,                                       /* receipts */
                3, 5, 0, 3, 7, 0, 4, 1, 7, 4, 5, 1, 5, 0, 9, 9, 7, 0,
        };
        static const uint8_t client[] = {
                0, 5, 1, 9, 200, 0, 50, 3, 40, 0, 90, 1, 7,             /* up, WELCOME */
                12, 0, 100, 0, 12, 1, 50, 0, 12, 1, 60, 0, 12, 0, 70, 0,        /* PUTs */
                3, 2, 1, 1, 200, 0, 5,                                  /* BUSY */
                8, 1, 3, 12, 1, 60, 0, 6, 1, 0, 6, 0, 1, 6, 0, 0,       /* on, receipts */
                4, 1, 0, 4, 1, 1, 10, 0, 3, 5, 3, 8, 1, 7, 0, 0,
        };

        seed("session_server", "a-day", bytes_of(server, sizeof(server)));
        seed("session_client", "a-day", bytes_of(client, sizeof(client)));
}

/* ---- acts: point, then (template, odd, edits) each, as the targets read them ---- */

static void make_acts(void)
{
        Shuyi__V1__Record r = SHUYI__V1__RECORD__INIT;
        Shuyi__V1__Value value[4], *values[4];
        static char *texts[] = { "442000001", "石岐街道", "442000", "4" };

        for (uint8_t point = 0; point < 40; point += 3) {
                const uint8_t acts[] = { point, 0, 0, 9, 0, 0, 0, 9, 1, (uint8_t)(2 + point % 5), (uint8_t)(3 + point), 4, (uint8_t)(point + 1), 7,
                                         1, (uint8_t)(2 * point), 9, 2, 0, 5, 6, 7, 8, 9 };

                seed("exchange_apply", arena_printf(a, "from-%u", point), bytes_of(acts, sizeof(acts)));
        }
        seed("catalog_rules", "open", HEADED(bytes_str("\1\2\3\4\5\6\7"), 1, 0));
        seed("catalog_rules", "conditional-edited", HEADED(bytes_str("\1\2\3\4\5\6\7\3\7\11\12\15\22\31"), 0, 6));
        seed("catalog_rules", "by-chance", HEADED(bytes_str("12345678"), 7));
        r.op = OP_UPSERT;
        r.key = "442000001";
        r.changed_at = SAMPLE_TIME;
        r.values = values;
        r.n_values = 4;
        for (uint32_t i = 0; i < 4; i++) {
                shuyi__v1__value__init(&value[i]);
                value[i].item = i + 1;
                value[i].text = texts[i];
                values[i] = &value[i];
        }
        seed("record", "upsert", HEADED(pack(&r.base), 1));
        seed("view", "record", HEADED(pack(&r.base), 1));
        r.op = OP_DELETE;
        r.n_values = 0;
        seed("record", "delete", HEADED(pack(&r.base), 0));
}

static void make_shell(void)
{
        static const uint8_t torn[] = { 1, 1, 0x40, 0x20, 9, 0, 0, 2 }, flipped[] = { 1, 0, 0, 0x18, 3, 0, 0, 4 }, moved[] = { 1, 0, 0, 0x20, 200, 0, 0x10, 3, 1, 0, 1, 8, 0, 2, 1 };
        static const uint8_t lost[] = { 16, 0, 0, 0, 0, 0, 0, 1 }, whole[] = { 1 }, read_only[] = { 3, 1, 0, 0x30, 0, 0, 0, 0 };

        seed("segment", "torn", bytes_of(torn, sizeof(torn)));
        seed("segment", "flipped", bytes_of(flipped, sizeof(flipped)));
        seed("segment", "moved", bytes_of(moved, sizeof(moved)));
        seed("segment", "lost", bytes_of(lost, sizeof(lost)));
        seed("segment", "whole", bytes_of(whole, sizeof(whole)));
        seed("segment", "read-only", bytes_of(read_only, sizeof(read_only)));
        seed_text("config", "all", "domain: '442000'\nname: 数驿\nlink:\n  listen: tcp://127.0.0.1:7711\n  credit: 512KiB\n  peers: 12\n  wait: 10min\n"
                                   "demo: true\nstore: data\nhosts: [a, b]\nsources:\n  - dsn: one\n    poll: 5s\n  - {dsn: two}\n");
        seed_text("config", "alias", "domain: &d '442000'\nname: *d\n");
        seed_text("config", "errors", "link: {peers: 010, listen: [], nobody: 1}\nhosts: x\n--- \n{}\n");
        seed_text("http", "get", "GET /v1/things/7?q=a%20b HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: k\r\n\r\n");
        seed_text("http", "post", "POST /v1/things/7/parts/a%2Fb HTTP/1.1\r\nHost: shuyi\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
        seed_text("http", "chunked", "POST /v1/things/7/parts/x HTTP/1.1\r\nHost: shuyi\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        seed("peek", "get", sample_get(a));
        seed("view", "json", HEADED(bytes_str("{\"code\":\"442000001\",\"name\":\"石岐街道\",\"parent_code\":\"442000\",\"level\":\"4\"}"), 0));
}

static void seed_bundle(struct evidence *e, const char *name, const struct bundle_wish *wish)
{
        struct bytes content;
        uint8_t *p;

        REQUIRE(!artifact_decode(e->a, ARTIFACT_BUNDLE, evidence_file(e, evidence_make(e, wish)), &content));
        p = arena_alloc(e->a, 2 + e->anchor.n + content.n);
        REQUIRE(p);
        put_be16(p, (uint16_t)e->anchor.n);
        memcpy(p + 2, e->anchor.p, e->anchor.n);
        memcpy(p + 2 + e->anchor.n, content.p, content.n);
        seed("bundle", name, bytes_of(p, 2 + e->anchor.n + content.n));
}

static void make_bundles(void)
{
        struct transferred t = evidence_transfer();
        struct evidence *e = evidence_of(t.m->c);

        seed_bundle(e, "update", &(struct bundle_wish){ BUNDLE_UPDATE, t.update, t.grant });
        seed_bundle(e, "decision", &(struct bundle_wish){ .kind = BUNDLE_DECISION, .seq = t.get });
        seed_bundle(e, "anchor", &(struct bundle_wish){ .kind = BUNDLE_DECISION, .seq = 1 });
        evidence_free(e);
        market_free(t.m);
}

int main(int argc, char **argv)
{
        char path[4096];

        REQUIRE(argc == 2);
        root = argv[1];
        LLVMFuzzerInitialize(&argc, &argv);
        snprintf(path, sizeof(path), "%s/tests/fuzz/corpus", root);
        REQUIRE(mkdir(path, 0755) == 0 || errno == EEXIST);
        a = fuzz_arena(256 << 20);
        make_messages();
        make_frames();
        make_envelopes();
        make_credentials();
        make_anchors();
        make_keyfiles();
        make_trees();
        make_seals();
        make_receipts();
        make_texts();
        make_sessions();
        make_acts();
        make_shell();
        make_bundles();
        arena_free(a);
        return 0;
}
