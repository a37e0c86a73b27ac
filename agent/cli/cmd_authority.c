/* cmd_authority: genesis of a domain: root, anchor, broker's credential, the authority with its first persons and agent. */
#include "agent/cli/client.h"
#include "agent/cli/file.h"
#include "agent/cli/issue.h"
#include "agent/cli/root.h"
#include "agent/cli/signer.h"
#include "common/artifact.h"
#include "common/macro.h"
#include "common/note.h"
#include <string.h>

static ProtobufCBinaryData binary(struct bytes b) { return (ProtobufCBinaryData){ b.n, (uint8_t *)b.p }; }

static const char *spec_text(const json_t *spec, const char *name)
{
        const char *text = json_string_value(json_object_get(spec, name));

        if (!text)
                cli_error("the specification needs \"%s\"", name);
        return text;
}

/* The log's public key, out of its key file: no passphrase is needed for that. */
static int log_key(struct cli *c, const char *path, Shuyi__V1__LogKey *log)
{
        struct bytes text;
        enum keyfile_use use;
        enum keyfile_protection protection;
        uint8_t *key = arena_alloc(c->arena, 32);

        if (!path || !key || file_read(c, path, &text) < 0)
                return -1;
        if (!keyfile_peek(text, &use, &protection, key) || use != KEYFILE_LOG) {
                cli_error("%s is not a log's key file", path);
                return -1;
        }
        log->key = binary(bytes_of(key, 32));
        return 0;
}

#define WITNESSES_MAX 32

struct witnesses { Shuyi__V1__WitnessKey key[WITNESSES_MAX], *keys[WITNESSES_MAX]; uint8_t bytes[WITNESSES_MAX][NOTE_KEY_BYTES]; };

/* "witnesses": their verifier keys, as `shuyi witness init` prints them; "witness_quorum": how many must have cosigned. */
static int spec_witnesses(struct cli *c, const json_t *spec, struct witnesses *w, Shuyi__V1__Anchor *anchor)
{
        const json_t *list = json_object_get(spec, "witnesses"), *vkey;
        json_int_t quorum = json_integer_value(json_object_get(spec, "witness_quorum"));
        const char *name, *wrong;
        size_t i;

        if (json_array_size(list) > WITNESSES_MAX || quorum < 0 || quorum > WITNESSES_MAX) {
                cli_error("at most %d witnesses, and no quorum above them", WITNESSES_MAX);
                return -1;
        }
        json_array_foreach(list, i, vkey) {
                wrong = json_is_string(vkey) ? note_vkey_parse(c->arena, json_string_value(vkey), NOTE_COSIGNATURE, &name, w->bytes[i]) : "not a text";
                if (wrong) {
                        cli_error("witness %zu: %s", i + 1, wrong);
                        return -1;
                }
                shuyi__v1__witness_key__init(&w->key[i]);
                w->key[i].name = (char *)name;
                w->key[i].key = binary(bytes_of(w->bytes[i], NOTE_KEY_BYTES));
                w->keys[i] = &w->key[i];
        }
        anchor->witnesses = w->keys;
        anchor->n_witnesses = json_array_size(list);
        anchor->witness_quorum = (uint32_t)quorum;
        return 0;
}

/* The anchor's bytes, version 1, of the opened roots; {0} after a message. */
static struct bytes pack_anchor(struct cli *c, const struct roots *r, const json_t *spec, const char *domain)
{
        Shuyi__V1__Anchor anchor = SHUYI__V1__ANCHOR__INIT;
        Shuyi__V1__RootKey root[ROOTS_MAX], *roots[ROOTS_MAX];
        Shuyi__V1__LogKey log = SHUYI__V1__LOG_KEY__INIT, *logs[] = { &log };
        uint32_t suites[] = { SUITE_1 };
        struct witnesses witnesses;
        json_int_t threshold = json_integer_value(json_object_get(spec, "threshold"));

        log.origin = (char *)spec_text(spec, "origin");
        if (!log.origin || log_key(c, spec_text(spec, "log_key"), &log) < 0)
                return (struct bytes){ 0 };
        if (spec_witnesses(c, spec, &witnesses, &anchor) < 0)
                return (struct bytes){ 0 };
        anchor.version = 1;
        anchor.domain = (char *)domain;
        anchor.threshold = threshold > 0 ? (uint32_t)threshold : (uint32_t)r->n;
        anchor.demo = json_is_true(json_object_get(spec, "demo"));
        anchor.logs = logs;
        anchor.n_logs = 1;
        anchor.suites = suites;
        anchor.n_suites = 1;
        anchor.roots = roots;
        for (size_t i = 0; i < r->n; i++) {
                shuyi__v1__root_key__init(&root[i]);
                root[i].suite = SUITE_1;
                root[i].key = binary(bytes_of(r->key[i].sign_key, 32));
                roots[anchor.n_roots++] = &root[i];
        }
        return message_pack(c->arena, &anchor.base);
}

/* The SignedAnchor, by every opened root; {0} after a message. */
static struct bytes make_anchor(struct cli *c, const struct roots *r, const json_t *spec, const char *domain)
{
        Shuyi__V1__SignedAnchor whole = SHUYI__V1__SIGNED_ANCHOR__INIT;
        Shuyi__V1__RootSignature signature[ROOTS_MAX], *signatures[ROOTS_MAX];
        struct digest id[ROOTS_MAX];
        uint8_t bytes[ROOTS_MAX][64];
        const Shuyi__V1__Anchor *checked;
        struct bytes packed = pack_anchor(c, r, spec, domain);

        if (!packed.p)
                return packed;
        whole.anchor = binary(packed);
        whole.signatures = signatures;
        for (size_t i = 0; i < r->n; i++) {
                id[i] = root_id(&r->key[i]);
                anchor_sign(packed, secret_peek(r->key[i].sign), bytes[i]);
                shuyi__v1__root_signature__init(&signature[i]);
                signature[i].root_key = binary(bytes_digest(&id[i]));
                signature[i].signature = binary(bytes_of(bytes[i], 64));
                signatures[whole.n_signatures++] = &signature[i];
        }
        struct bytes signed_anchor = message_pack(c->arena, &whole.base);
        const char *wrong = signed_anchor.p ? anchor_check(c->arena, signed_anchor, &checked) : "out of memory";
        if (wrong)
                cli_error("the anchor would not hold: %s", wrong);
        return wrong ? (struct bytes){ 0 } : signed_anchor;
}

static struct bytes anchor_envelope(struct cli *c, const struct roots *r, const char *domain, struct bytes signed_anchor)
{
        Shuyi__V1__AnchorBody body = SHUYI__V1__ANCHOR_BODY__INIT;

        body.anchor = message_parse(c->arena, &shuyi__v1__signed_anchor__descriptor, signed_anchor);
        return body.anchor ? root_envelope(c, r, KIND_ANCHOR, domain, &body.base) : (struct bytes){ 0 };
}

static struct bytes broker_envelope(struct cli *c, const struct roots *r, const json_t *spec, const char *domain, struct bytes *ret_link_key)
{
        Shuyi__V1__CredentialBody body = SHUYI__V1__CREDENTIAL_BODY__INIT;
        struct issuer by = { .id = root_id(&r->key[0]), .secret = secret_peek(r->key[0].sign) };
        struct issue issue = { .valid_days = 3650 };
        const Shuyi__V1__KeyRequest *request;
        const char *path = spec_text(spec, "broker_join");

        if (!path || !(issue.join = issue_read_join(c, path, &request)))
                return (struct bytes){ 0 };
        if (request->subject_kind != SUBJECT_BROKER) {
                cli_error("%s is not the join file of a broker", path);
                return (struct bytes){ 0 };
        }
        *ret_link_key = bytes_of(request->link_key.data, request->link_key.len);
        body.credential = issue_credential(c, &issue, &by);
        return body.credential ? root_envelope(c, r, KIND_CREDENTIAL, domain, &body.base) : (struct bytes){ 0 };
}

static int write_artifact(struct cli *c, enum artifact kind, const ProtobufCMessage *m, const char *path)
{
        struct bytes text = artifact_write(c->arena, kind, m);

        return text.p ? file_write(c, path, text, 0644, false) : -1;
}

static int write_genesis(struct cli *c, const struct roots *r, const json_t *spec, const char *domain, struct bytes signed_anchor)
{
        Shuyi__V1__GenesisFile genesis = SHUYI__V1__GENESIS_FILE__INIT;
        Shuyi__V1__SignedAnchor *anchor = message_parse(c->arena, &shuyi__v1__signed_anchor__descriptor, signed_anchor);
        ProtobufCBinaryData envelopes[3];
        struct bytes link_key = { 0 }, made[3];
        const char *endpoint = spec_text(spec, "endpoint");
        Shuyi__V1__DepartmentBody *body = root_department(c, r, spec, true);

        if (!body || !endpoint || !anchor)
                return -1;
        made[0] = anchor_envelope(c, r, domain, signed_anchor);
        made[1] = broker_envelope(c, r, spec, domain, &link_key);
        made[2] = root_envelope(c, r, KIND_DEPARTMENT, domain, &body->base);
        for (size_t i = 0; i < ELEMENTS(made); i++) {
                if (!made[i].p)
                        return -1;
                envelopes[i] = binary(made[i]);
        }
        genesis.envelopes = envelopes;
        genesis.n_envelopes = ELEMENTS(envelopes);
        if (write_artifact(c, ARTIFACT_GENESIS, &genesis.base, cli_option(c, "genesis")) < 0 ||
            write_artifact(c, ARTIFACT_ANCHOR, &anchor->base, cli_option(c, "anchor")) < 0)
                return -1;
        return root_write_welcome(c, body, endpoint, link_key, signed_anchor, cli_option(c, "welcome"));
}

static int authority_init(struct cli *c)
{
        _cleanup_(roots_fini) struct roots roots = { 0 };
        json_t *spec = file_read_json(c, c->operands[0]);
        const char *domain = spec ? spec_text(spec, "domain") : NULL;
        int code = CLI_FAILED;

        if (domain && roots_open(c, 1, &roots) == 0) {
                if (roots.n < 2 && !json_is_true(json_object_get(spec, "demo")))
                        cli_error("a root of one key is for demonstrations only: give several keys, or \"demo\": true");
                else {
                        struct bytes anchor = make_anchor(c, &roots, spec, domain);
                        if (anchor.p && write_genesis(c, &roots, spec, domain, anchor) == 0)
                                code = CLI_OK;
                }
        }
        if (code == CLI_OK)
                cli_print(c, json_pack("{s:s, s:s, s:s, s:s}", "domain", domain, "genesis", cli_option(c, "genesis"), "anchor",
                                       cli_option(c, "anchor"), "welcome", cli_option(c, "welcome")), NULL);
        json_decref(spec);
        return code;
}

static const struct cli_option options_init[] = {
        { "genesis", "FILE", "where to write what the broker starts from", true },
        { "anchor", "FILE", "where to write the anchor that everybody pins", true },
        { "welcome", "FILE", "where to write the welcome file of the authority's first agent", true },
        PASSPHRASE_OPTIONS,
        { NULL, NULL, NULL, false },
};

const struct cli_command commands_authority[] = {
        { "authority", "init", "SPEC ROOT_KEY...", 2, 1 + ROOTS_MAX, "make the genesis of a domain, offline, with the root keys", options_init, authority_init },
        { NULL, NULL, NULL, 0, 0, NULL, NULL, NULL },
};
