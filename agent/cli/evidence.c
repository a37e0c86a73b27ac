/* evidence: asks the center for the parts of a bundle and lays them into one file; has records opened by the own agent. */
#include "agent/cli/evidence.h"
#include "agent/cli/client.h"
#include "agent/cli/file.h"
#include "common/bundle.h"
#include "common/bundle_make.h"
#include "common/envelope.h"
#include "common/macro.h"
#include <string.h>

struct parts { Shuyi__V1__Bundle *b; Shuyi__V1__BundleEntry *entries[BUNDLE_ENTRIES_MAX]; ProtobufCBinaryData links[BUNDLE_LINKS_MAX]; };

/* ---- which act ---- */

static int wanted(struct cli *c, struct bytes *ret)
{
        Shuyi__V1__EvidenceQuery *q = ARENA_NEW(c->arena, Shuyi__V1__EvidenceQuery);
        const char *seq = cli_option(c, "seq"), *act = cli_option(c, "act"), *grant = cli_option(c, "grant");

        shuyi__v1__evidence_query__init(q);
        if ((seq != NULL) + (act != NULL) + (grant != NULL) != 1 || (grant && !cli_option(c, "stream-seq") == !cli_option(c, "id")) ||
            (!grant && (cli_option(c, "stream-seq") || cli_option(c, "id") || cli_option(c, "record")))) {
                cli_error("name one act: --seq N, --act DIGEST, or --grant ID with --stream-seq N or --id RECORD_ID, as `shuyi audit search` shows them");
                return CLI_USAGE;
        }
        if (cli_number(c, "seq", 1, UINT64_MAX, 0, &q->seq) < 0 || cli_number(c, "stream-seq", 1, UINT64_MAX, 0, &q->stream_seq) < 0 ||
            (act && act_hex(c, act, "--act", DIGEST_BYTES, &q->digest) < 0) || (grant && act_hex(c, grant, "--grant", DIGEST_BYTES, &q->grant) < 0) ||
            (cli_option(c, "id") && act_hex(c, cli_option(c, "id"), "--id", DIGEST_BYTES, &q->record_id) < 0))
                return CLI_USAGE;
        *ret = message_pack(c->arena, &q->base);
        return CLI_OK;
}

/* ---- its parts ---- */

static int take(struct cli *c, struct bytes b, void *ctx)
{
        struct parts *p = ctx;
        const Shuyi__V1__EvidenceRow *row = message_parse(c->arena, &shuyi__v1__evidence_row__descriptor, b);

        if (!row || (row->entry && p->b->n_entries == BUNDLE_ENTRIES_MAX) || (row->link.len && p->b->n_links == BUNDLE_LINKS_MAX)) {
                cli_error("a part of the answer is not of the form that this version knows");
                return -1;
        }
        if (row->kind) {
                p->b->kind = row->kind;
                p->b->checkpoint = row->checkpoint;
        }
        if (row->entry)
                p->entries[p->b->n_entries++] = row->entry;
        if (row->link.len)
                p->links[p->b->n_links++] = row->link;
        return 0;
}

static int fetch(struct cli *c, struct bytes key, Shuyi__V1__Bundle **ret)
{
        struct parts *p = ARENA_NEW(c->arena, struct parts);
        struct client_query q = { .what = READ_EVIDENCE, .key = key };
        int code = CLI_OK;

        if (cli_option(c, "key")) {
                struct asker asker;

                code = asker_open(c, &asker);
                if (code != CLI_OK)
                        return code;
                code = asker_sign(c, &asker, key, &q.signed_query);
                asker_fini(&asker);
        }
        p->b = ARENA_NEW(c->arena, Shuyi__V1__Bundle);
        shuyi__v1__bundle__init(p->b);
        p->b->version = 1;
        p->b->entries = p->entries;
        p->b->links = p->links;
        if (code == CLI_OK)
                code = client_read(c, &q, take, p);
        if (code == CLI_OK && (!p->b->kind || p->b->n_entries < 2)) {
                cli_error("the center gave no bundle");
                code = CLI_FAILED;
        }
        *ret = p->b;
        return code;
}

/* ---- records, opened by the consumer's agent ---- */

static bool take_record(struct cli *c, const json_t *row, Shuyi__V1__BundleRecord *r)
{
        const json_t *path = json_object_get(row, "path"), *step;
        struct bytes record = client_unbase64(c, json_string_value(json_object_get(row, "record")));
        const char *salt = json_string_value(json_object_get(row, "salt"));
        uint8_t *bytes = arena_alloc(c->arena, 16);
        size_t i;

        shuyi__v1__bundle_record__init(r);
        if (!record.p || !salt || !bytes || strlen(salt) != 32 || !hex_parse(salt, bytes, 16))
                return false;
        r->index = (uint32_t)json_integer_value(json_object_get(row, "index"));
        r->salt = (ProtobufCBinaryData){ 16, bytes };
        r->record = (ProtobufCBinaryData){ record.n, (uint8_t *)record.p };
        r->path = ARENA_ARRAY(c->arena, ProtobufCBinaryData, json_array_size(path) + 1);
        json_array_foreach(path, i, step) {
                uint8_t *hash = arena_alloc(c->arena, DIGEST_BYTES);
                const char *text = json_string_value(step);

                if (!hash || !text || strlen(text) != 64 || !hex_parse(text, hash, DIGEST_BYTES))
                        return false;
                r->path[r->n_path++] = (ProtobufCBinaryData){ DIGEST_BYTES, hash };
        }
        return true;
}

static int take_records(struct cli *c, const json_t *answer, Shuyi__V1__Bundle *b)
{
        const json_t *rows = json_object_get(answer, "records"), *row;
        size_t i, n = json_array_size(rows);

        if (n == 0 || n > BUNDLE_RECORDS_MAX) {
                cli_error("the transfer has no record with this key");
                return CLI_REFUSED;
        }
        b->records = ARENA_ARRAY(c->arena, Shuyi__V1__BundleRecord *, n);
        json_array_foreach(rows, i, row) {
                Shuyi__V1__BundleRecord *r = ARENA_NEW(c->arena, Shuyi__V1__BundleRecord);

                if (!r || !take_record(c, row, r)) {
                        cli_error("the agent's answer is not of the form that this version knows");
                        return CLI_FAILED;
                }
                b->records[b->n_records++] = r;
        }
        b->kind = BUNDLE_RECORD;
        return CLI_OK;
}

static const Shuyi__V1__BundleEntry *epoch_of(const Shuyi__V1__Bundle *b)
{
        for (size_t i = 1; i < b->n_entries; i++)
                if (b->entries[i]->row.len)
                        return b->entries[i];
        return NULL;
}

static bool content_is_gone(struct cli *c, const Shuyi__V1__BundleEntry *update)
{
        const struct claim *claim;

        return envelope_read_kept(c->arena, bytes_of(update->envelope.data, update->envelope.len), NULL, &claim) == ACCEPTED && claim->body.n < claim->body_bytes;
}

static int open_records(struct cli *c, Shuyi__V1__Bundle *b, const char *key)
{
        const Shuyi__V1__BundleEntry *epoch = epoch_of(b);
        json_t *answer = NULL, *body;
        long status;
        int code;

        if (!epoch)
                return CLI_FAILED;
        if (content_is_gone(c, b->entries[0])) {
                cli_error("the sealed content of this transfer is kept no longer; without --record it is still evidence of the transfer");
                return CLI_REFUSED;
        }
        body = json_pack("{s:s, s:s, s:s, s:s}", "key", key, "row", client_base64(c, bytes_of(epoch->row.data, epoch->row.len)), "epoch",
                         client_base64(c, bytes_of(epoch->envelope.data, epoch->envelope.len)), "update",
                         client_base64(c, bytes_of(b->entries[0]->envelope.data, b->entries[0]->envelope.len)));
        if (client_call(c, "POST", "/v1/open", body, &status, &answer) < 0)
                return CLI_FAILED;
        code = status == 200 ? take_records(c, answer, b) : client_problem(c, status, answer);
        json_decref(answer);
        return code;
}

/* ---- the command ---- */

static void print_export(const struct cli *c, const json_t *made, FILE *out)
{
        const char *file = json_string_value(json_object_get(made, "file"));

        fprintf(out, "%s: %s of %" JSON_INTEGER_FORMAT " entries, %" JSON_INTEGER_FORMAT " bytes\n", file, json_string_value(json_object_get(made, "kind")),
                json_integer_value(json_object_get(made, "entries")), json_integer_value(json_object_get(made, "bytes")));
        fprintf(out, "check it: shuyi audit check %s --anchor ANCHOR\n", file);
}

int evidence_export(struct cli *c)
{
        Shuyi__V1__Bundle *b;
        struct bytes key, text;
        int code = wanted(c, &key);

        if (code == CLI_OK)
                code = fetch(c, key, &b);
        if (code == CLI_OK && cli_option(c, "record"))
                code = open_records(c, b, cli_option(c, "record"));
        if (code != CLI_OK)
                return code;
        text = bundle_write(c->arena, b);
        if (!text.p) {
                cli_error("the bundle is larger than its file may be");
                return CLI_FAILED;
        }
        if (file_write(c, cli_option(c, "out"), text, 0644, false) < 0)
                return CLI_FAILED;
        cli_print(c, json_pack("{s:s, s:s, s:I, s:I, s:I}", "file", cli_option(c, "out"), "kind", word_name(LIST_bundle, b->kind), "entries",
                               (json_int_t)b->n_entries, "records", (json_int_t)b->n_records, "bytes", (json_int_t)text.n), print_export);
        return CLI_OK;
}
