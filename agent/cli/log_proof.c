/* log_proof: see the header. */
#include "agent/cli/log_proof.h"
#include "agent/cli/act.h"
#include "agent/cli/client.h"
#include "agent/cli/file.h"
#include "agent/cli/shown.h"
#include "common/anchor.h"
#include "common/artifact.h"
#include "common/checkpoint.h"
#include "common/digest.h"
#include "common/exchange/exchange.h"
#include "common/merkle.h"
#include "common/words.h"
#include "proto/audit.pb-c.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ANCHOR_OPTION { "anchor", "FILE", "the anchor you hold: the head's signatures are checked by it", false }

const struct cli_option log_head_options[] = {
        ANCHOR_OPTION,
        { "since", "FILE", "a head that you kept: it must be a beginning of this one", false },
        { NULL, NULL, NULL, false },
};
const struct cli_option log_prove_options[] = { ANCHOR_OPTION, { NULL, NULL, NULL, false } };

/* ---- the head ---- */

struct head {
        const char *note;
        struct checkpoint c;
        bool signed_;                   /* by a log of the anchor; else no anchor was given */
        struct checkpoint_quorum seen;
        uint32_t quorum;
};

static const Shuyi__V1__Anchor *read_anchor(struct cli *c, const char *path)
{
        const Shuyi__V1__Anchor *anchor = NULL;
        struct bytes text, content;
        const char *wrong;

        if (file_read(c, path, &text) < 0)
                return NULL;
        wrong = artifact_decode(c->arena, ARTIFACT_ANCHOR, text, &content);
        if (!wrong)
                wrong = anchor_check(c->arena, content, &anchor);
        if (wrong)
                cli_error("%s: %s", path, wrong);
        return wrong ? NULL : anchor;
}

static const char *check_signatures(struct cli *c, const Shuyi__V1__Anchor *anchor, struct head *h)
{
        const Shuyi__V1__LogKey *log = anchor_find_log(anchor, h->c.origin);
        const char *wrong;

        if (!log || log->key.len != 32)
                return "the anchor knows no log of this origin";
        wrong = checkpoint_verify(c->arena, h->note, h->c.origin, log->key.data, &h->c);
        if (!wrong)
                wrong = checkpoint_quorum(h->note, anchor, &h->seen);
        h->quorum = anchor->witness_quorum;
        h->signed_ = !wrong;
        return wrong ? wrong : h->seen.count < h->quorum ? "it has not the cosignatures that the anchor asks for" : NULL;
}

/* 0, or an exit code after a message. */
static int take_head(struct cli *c, const char *what, const char *note, struct head *ret)
{
        const char *path = cli_option(c, "anchor"), *wrong;
        const Shuyi__V1__Anchor *anchor = path ? read_anchor(c, path) : NULL;

        if (path && !anchor)
                return CLI_FAILED;
        *ret = (struct head){ .note = note };
        wrong = checkpoint_peek(c->arena, note, &ret->c);
        if (!wrong && anchor)
                wrong = check_signatures(c, anchor, ret);
        if (wrong)
                cli_error("%s: %s", what, wrong);
        return wrong ? CLI_CHECK : CLI_OK;
}

static json_t *head_json(struct cli *c, const struct head *h)
{
        return json_pack("{s:s, s:I, s:s, s:s, s:o, s:o, s:o}", "origin", h->c.origin, "size", (json_int_t)h->c.size, "root", client_hex(c, bytes_digest(&h->c.root)),
                         "note", h->note, "signed", h->signed_ ? json_true() : json_null(), "cosigned", h->signed_ ? json_integer(h->seen.count) : json_null(),
                         "quorum", h->signed_ ? json_integer(h->quorum) : json_null());
}

static void say_signed(const json_t *head, FILE *out)
{
        if (json_is_true(json_object_get(head, "signed")))
                fprintf(out, "signed by the log that the anchor names; cosigned by %" JSON_INTEGER_FORMAT " of its witnesses, %" JSON_INTEGER_FORMAT " asked for\n",
                        json_integer_value(json_object_get(head, "cosigned")), json_integer_value(json_object_get(head, "quorum")));
        else
                fprintf(out, "signatures were not checked: give --anchor FILE\n");
}

/* ---- questions ---- */

struct answer { const ProtobufCMessageDescriptor *type; void *row; };

static int take_row(struct cli *c, struct bytes b, void *ctx)
{
        struct answer *a = ctx;

        a->row = message_parse(c->arena, a->type, b);
        return a->row ? 1 : -1;
}

static int ask(struct cli *c, uint32_t what, struct bytes key, const ProtobufCMessageDescriptor *type, void *ret)
{
        struct client_query q = { .what = what, .key = key };
        struct answer a = { type, NULL };
        int code = client_read(c, &q, take_row, &a);

        if (code == CLI_OK && !a.row) {
                cli_error("the center's answer is none of this kind");
                code = CLI_FAILED;
        }
        *(void **)ret = a.row;
        return code;
}

static bool take_path(const ProtobufCBinaryData *path, size_t n, struct digest ret[MERKLE_PROOF_MAX])
{
        for (size_t i = 0; i < n; i++)
                if (i >= MERKLE_PROOF_MAX || !bytes_copy_exact(bytes_of(path[i].data, path[i].len), ret[i].b, DIGEST_BYTES))
                        return false;
        return true;
}

static json_t *path_json(struct cli *c, const struct digest *path, size_t n)
{
        json_t *a = json_array();

        for (size_t i = 0; i < n; i++)
                json_array_append_new(a, json_string(client_hex(c, bytes_digest(&path[i]))));
        return a;
}

/* ---- log head ---- */

/* The head that was kept leads to the one that is shown. */
static int check_since(struct cli *c, const char *file, const struct head *now, uint64_t *ret_size)
{
        Shuyi__V1__ConsistencyQuery q = SHUYI__V1__CONSISTENCY_QUERY__INIT;
        const Shuyi__V1__ConsistencyRow *row = NULL;
        struct digest path[MERKLE_PROOF_MAX];
        struct bytes text;
        struct head before;
        char *note;
        int code;

        if (file_read(c, file, &text) < 0)
                return CLI_FAILED;
        note = arena_printf(c->arena, "%.*s", (int)text.n, (const char *)text.p);
        code = note ? take_head(c, arena_printf(c->arena, "%s: the head that was kept does not hold", file), note, &before) : CLI_FAILED;
        if (code != CLI_OK)
                return code;
        if (strcmp(before.c.origin, now->c.origin) != 0 || before.c.size > now->c.size) {
                cli_error("%s: this head is of another log, or larger than the one that is published", file);
                return CLI_CHECK;
        }
        q.first = before.c.size;
        q.second = now->c.size;
        code = ask(c, READ_CONSISTENCY, message_pack(c->arena, &q.base), &shuyi__v1__consistency_row__descriptor, &row);
        if (code != CLI_OK)
                return code;
        *ret_size = before.c.size;
        if (take_path(row->path, row->n_path, path) && merkle_check_consistency(q.first, q.second, &before.c.root, &now->c.root, path, row->n_path))
                return CLI_OK;
        cli_error("%s: THE LOG HAS TWO HISTORIES: what it shows now does not go on from this head; keep both and tell the auditor", file);
        return CLI_CHECK;
}

static void print_head(const struct cli *c, const json_t *head, FILE *out)
{
        const json_t *since = json_object_get(head, "since");

        say_signed(head, stderr);
        if (json_is_integer(since))
                fprintf(stderr, "goes on from the head of %" JSON_INTEGER_FORMAT " entries that you kept\n", json_integer_value(since));
}

int log_head(struct cli *c)
{
        const Shuyi__V1__CheckpointRow *row = NULL;
        uint64_t since = 0;
        struct head h;
        json_t *out;
        int code = ask(c, READ_CHECKPOINT, (struct bytes){ 0 }, &shuyi__v1__checkpoint_row__descriptor, &row);

        if (code == CLI_OK)
                code = take_head(c, "the head does not hold", row->note, &h);
        if (code == CLI_OK && cli_option(c, "since"))
                code = check_since(c, cli_option(c, "since"), &h, &since);
        if (code != CLI_OK)
                return code;
        out = head_json(c, &h);
        json_object_set_new(out, "epoch", json_integer((json_int_t)row->epoch));
        if (since > 0)
                json_object_set_new(out, "since", json_integer((json_int_t)since));
        if (!c->json)
                shown_put(h.note, stdout);      /* the note and nothing else, so that it can be kept */
        cli_print(c, out, print_head);
        return CLI_OK;
}

/* ---- log prove ---- */

/* The entry, where this department may read it; else NULL, and no word of it. */
static const Shuyi__V1__EntryRow *try_entry(struct cli *c, uint64_t seq)
{
        const Shuyi__V1__EntryRow *row = NULL;
        uint8_t key[8];
        struct client_query q = { .what = READ_ENTRY, .key = bytes_of(key, sizeof key) };
        const char *text;
        json_t *page;

        put_be64(key, seq);
        if (client_page(c, &q, NULL, 1, &page) != CLI_OK)
                return NULL;
        text = json_string_value(json_array_get(json_object_get(page, "rows"), 0));
        if (text)
                row = message_parse(c->arena, &shuyi__v1__entry_row__descriptor, client_unbase64(c, text));
        json_decref(page);
        return row;
}

/* Its leaf, derived from the envelope and the outcome that the log states.  False: not shown to us. */
static bool derive_leaf(struct cli *c, uint64_t seq, struct digest *ret)
{
        const Shuyi__V1__EntryRow *row = try_entry(c, seq);
        uint8_t record[LEAF_RECORD_BYTES];
        struct entry e = { 0 };
        struct outcome o = { 0 };

        if (!row || row->seq != seq ||
            envelope_parse(c->arena, bytes_of(row->envelope.data, row->envelope.len), &e.claim) != ACCEPTED ||
            !bytes_copy_exact(bytes_of(row->effects_digest.data, row->effects_digest.len), o.effects_digest.b, DIGEST_BYTES))
                return false;
        e.epoch = row->epoch;
        e.seq = row->seq;
        e.accepted_at.ms = row->accepted_at;
        o.code = (enum refusal)row->code;
        exchange_leaf_record(e.claim->intent->domain, &e, &o, record);
        *ret = merkle_leaf(bytes_of(record, sizeof record));
        return true;
}

static void print_proof(const struct cli *c, const json_t *proof, FILE *out)
{
        const json_t *head = json_object_get(proof, "head"), *path = json_object_get(proof, "path"), *hash;
        size_t i;

        fprintf(out, "entry %" JSON_INTEGER_FORMAT " is in the log: leaf %s\n", json_integer_value(json_object_get(proof, "seq")), json_string_value(json_object_get(proof, "leaf_hash")));
        json_array_foreach((json_t *)path, i, hash)
                fprintf(out, "  %s\n", json_string_value(hash));
        fprintf(out, "leads to root %s of %" JSON_INTEGER_FORMAT " entries\n", json_string_value(json_object_get(head, "root")), json_integer_value(json_object_get(head, "size")));
        fputs(json_is_true(json_object_get(proof, "envelope")) ? "the leaf is that of the envelope and outcome that the center shows\n" :
              "what the leaf stands for is not shown to this department\n", out);
        say_signed(head, out);
}

static const char *check_proof(const Shuyi__V1__ProofRow *row, uint64_t seq, const struct head *h, struct digest *ret_leaf, struct digest path[MERKLE_PROOF_MAX])
{
        const Shuyi__V1__LeafProof *p = row->n_proofs == 1 ? row->proofs[0] : NULL;

        if (!p || p->seq != seq || !bytes_copy_exact(bytes_of(p->leaf_hash.data, p->leaf_hash.len), ret_leaf->b, DIGEST_BYTES) || !take_path(p->path, p->n_path, path))
                return "it is not a proof of this entry";
        return merkle_check_inclusion(ret_leaf, seq - 1, h->c.size, path, p->n_path, &h->c.root) ? NULL : "its path does not lead to the root";
}

static int prove(struct cli *c, uint64_t seq)
{
        Shuyi__V1__ProofQuery q = SHUYI__V1__PROOF_QUERY__INIT;
        const Shuyi__V1__ProofRow *row = NULL;
        struct digest leaf, derived, path[MERKLE_PROOF_MAX];
        const char *wrong;
        struct head h;
        bool shown;
        int code;

        q.seqs = &seq;
        q.n_seqs = 1;
        code = ask(c, READ_PROOF, message_pack(c->arena, &q.base), &shuyi__v1__proof_row__descriptor, &row);
        if (code == CLI_OK)
                code = take_head(c, "the head does not hold", row->checkpoint, &h);
        if (code != CLI_OK)
                return code;
        wrong = check_proof(row, seq, &h, &leaf, path);
        shown = !wrong && derive_leaf(c, seq, &derived);
        if (shown && !digest_equal(&leaf, &derived))
                wrong = "the center shows another envelope or outcome than the one in the log";
        if (wrong) {
                cli_error("the proof does not hold: %s", wrong);
                return CLI_CHECK;
        }
        cli_print(c, json_pack("{s:I, s:s, s:o, s:o, s:o}", "seq", (json_int_t)seq, "leaf_hash", client_hex(c, bytes_digest(&leaf)), "path",
                               path_json(c, path, row->proofs[0]->n_path), "head", head_json(c, &h), "envelope", shown ? json_true() : json_null()), print_proof);
        return CLI_OK;
}

int log_prove(struct cli *c)
{
        const char *text = c->operands[0];
        size_t digits = strspn(text, "0123456789");

        if (digits == 0 || digits > 19 || text[digits] || *text == '0') {
                cli_error("%s: not the number of an entry", text);
                return CLI_USAGE;
        }
        return prove(c, strtoull(text, NULL, 10));
}
