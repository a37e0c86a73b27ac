/* act: builds, shows, signs and sends one envelope. */
#include "agent/cli/act.h"
#include "agent/cli/client.h"
#include "agent/cli/shown.h"
#include "common/credential.h"
#include "common/macro.h"
#include "common/message_json.h"
#include "common/times.h"
#include "proto/registry.pb-c.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ACT_LIFE_MS (7 * DAY_MS)        /* how long a draft may wait for its second signature */
#define POLL_NS 50000000L

/* Who signs, in order (REGULATIONS 6.12); what apply asks in the end is the profile's. */
static const struct { enum kind_number kind; enum role roles[2]; } signers[] = {
        { KIND_FILE, { ROLE_DATA_OFFICER, 0 } },
        { KIND_ACCEPT, { ROLE_SEC_ADMIN, 0 } },
        { KIND_STAFF_RETURN, { ROLE_SEC_ADMIN, 0 } },
        { KIND_STAFF_CHANGE, { ROLE_DATA_OFFICER, 0 } },
        { KIND_REVOKE, { ROLE_DATA_OFFICER, 0 } },
        { KIND_POLICY_SET, { ROLE_SEC_ADMIN, ROLE_DATA_OPERATOR } },
        { KIND_CALENDAR_SET, { ROLE_SEC_ADMIN, ROLE_DATA_OPERATOR } },
        { KIND_PURGE, { ROLE_DATA_OPERATOR, ROLE_AUDIT_OFFICER } },
        { KIND_CLOCK, { ROLE_SEC_ADMIN, 0 } },
        { KIND_CAT_SUBMIT, { ROLE_DATA_OFFICER, ROLE_APPROVER } },
        { KIND_CAT_RETURN, { ROLE_DATA_OPERATOR, 0 } },
        { KIND_CAT_APPROVE, { ROLE_DATA_OPERATOR, 0 } },
        { KIND_FREEZE, { ROLE_SEC_ADMIN, 0 } },
        { KIND_UNFREEZE, { ROLE_SEC_ADMIN, 0 } },
        { KIND_GET, { ROLE_USER, ROLE_APPROVER } },
        { KIND_REQ_SUBMIT, { ROLE_USER, ROLE_APPROVER } },
        { KIND_CONSENT, { ROLE_DATA_OFFICER, ROLE_APPROVER } },
        { KIND_CONSENT_PART, { ROLE_DATA_OFFICER, ROLE_APPROVER } },
        { KIND_REFUSE, { ROLE_DATA_OFFICER, ROLE_APPROVER } },
        { KIND_WITHDRAW, { ROLE_APPROVER, 0 } },
        { KIND_GRANT_SUSPEND, { ROLE_APPROVER, 0 } },
        { KIND_GRANT_RESUME, { ROLE_APPROVER, 0 } },
        { KIND_GRANT_TERMINATE, { ROLE_APPROVER, 0 } },
        { KIND_GRANT_END, { ROLE_APPROVER, 0 } },
        { KIND_SUBSCRIBE, { ROLE_DATA_OFFICER, 0 } },
        { KIND_AUDIT_READ, { ROLE_AUDIT_OFFICER, 0 } },
};

static const enum role *signers_of(uint32_t kind)
{
        static const enum role nobody[2];

        for (size_t i = 0; i < ELEMENTS(signers); i++)
                if (signers[i].kind == kind)
                        return signers[i].roles;
        return nobody;
}

static ProtobufCBinaryData binary(struct bytes b) { return (ProtobufCBinaryData){ b.n, (uint8_t *)b.p }; }

/* The head that the department's agent has verified: what is signed here says so, and who reads it compares (gossip). */
static Shuyi__V1__Seen *seen_of(struct cli *c, const json_t *status)
{
        const json_t *head = json_object_get(json_object_get(status, "proof"), "verified");
        const char *text = json_string_value(json_object_get(head, "root"));
        Shuyi__V1__Seen *seen = ARENA_NEW(c->arena, Shuyi__V1__Seen);
        uint8_t *root = arena_alloc(c->arena, DIGEST_BYTES);

        if (!seen || !root || !text || strlen(text) != 2 * DIGEST_BYTES || !hex_parse(text, root, DIGEST_BYTES))
                return NULL;
        shuyi__v1__seen__init(seen);
        seen->epoch = (uint64_t)json_integer_value(json_object_get(head, "epoch"));
        seen->size = (uint64_t)json_integer_value(json_object_get(head, "size"));
        seen->root = binary(bytes_of(root, DIGEST_BYTES));
        return seen->epoch && seen->size ? seen : NULL;
}

int act_begin(struct cli *c, enum kind_number kind, struct act *ret)
{
        json_t *status = NULL;
        long http;
        uint8_t random[10];
        struct id *id = ARENA_NEW(c->arena, struct id);

        if (client_call(c, "GET", "/v1/status", NULL, &http, &status) < 0)
                return CLI_FAILED;
        const char *domain = json_string_value(json_object_get(status, "domain"));
        const char *department = json_string_value(json_object_get(status, "department"));
        if (http != 200 || !domain || !department || !id) {
                int code = http != 200 ? client_problem(c, http, status) : CLI_FAILED;
                json_decref(status);
                return code;
        }
        struct wall_time now = times_wall();
        randombytes_buf(random, sizeof random);
        uuid7_make(now.ms, random, id);
        *ret = (struct act){ .c = c, .intent = SHUYI__V1__INTENT__INIT };
        ret->intent.suite = SUITE_1;
        ret->intent.id = binary(bytes_id(id));
        ret->intent.kind = kind;
        ret->intent.domain = arena_strdup(c->arena, domain);
        ret->intent.from = arena_strdup(c->arena, department);
        ret->intent.created_at = now.ms;
        ret->intent.expires_at = now.ms + ACT_LIFE_MS;
        ret->intent.seen = seen_of(c, status);
        json_decref(status);
        return CLI_OK;
}

/* ---- showing ---- */

/* Times are milliseconds: nobody can read those, and periods are signed. */
static void show_time(const json_t *value, FILE *out)
{
        static const json_int_t from = 1000000000000, to = 10000000000000;     /* of 2001 to 2286; no count or number is there */
        json_int_t ms = json_integer_value(value);
        char text[20];

        if (ms < from || ms > to)
                return;
        times_format_shanghai((struct wall_time){ (uint64_t)ms }, text);
        fprintf(out, "  (%s)", text);
}

static void show_value(const char *name, const json_t *value, int depth, FILE *out)
{
        const char *key;
        json_t *inner;
        size_t i;

        if (json_is_object(value)) {
                fprintf(out, "%*s%s:\n", depth * 2, "", name);
                json_object_foreach((json_t *)value, key, inner)
                        show_value(key, inner, depth + 1, out);
        } else if (json_is_array(value)) {
                fprintf(out, "%*s%s: %zu\n", depth * 2, "", name, json_array_size(value));
                json_array_foreach(value, i, inner)
                        show_value("-", inner, depth + 1, out);
        } else {
                char *text = json_is_string(value) ? shown_line(json_string_value(value)) : json_dumps(value, JSON_ENCODE_ANY);
                fprintf(out, "%*s%s: %s", depth * 2, "", name, text ? text : "");
                show_time(value, out);
                fputc('\n', out);
                free(text);
        }
}

/* What is packed inside a body as bytes, because it has a signature of its own. */
static void show_packed(struct cli *c, const char *name, const ProtobufCMessageDescriptor *d, ProtobufCBinaryData packed, FILE *out)
{
        const ProtobufCMessage *m = packed.len ? message_parse(c->arena, d, bytes_of(packed.data, packed.len)) : NULL;
        json_t *json = m ? message_json_print(m) : NULL;

        if (json)
                show_value(name, json, 1, out);
        json_decref(json);
}

static void show_key_request(struct cli *c, ProtobufCBinaryData packed, FILE *out)
{
        char fingerprint[FINGERPRINT_TEXT];

        if (!packed.len)
                return;
        show_packed(c, "key request", &shuyi__v1__key_request__descriptor, packed, out);
        fingerprint_format(bytes_of(packed.data, packed.len), fingerprint);
        fprintf(out, "  fingerprint of its join file: %s\n", fingerprint);
}

static void show_credential(struct cli *c, const Shuyi__V1__SignedCredential *s, FILE *out)
{
        if (!s)
                return;
        show_packed(c, "credential", &shuyi__v1__credential__descriptor, s->credential, out);
        show_key_request(c, s->key_request, out);
}

/* Whose key is filed, and for whom a credential is issued, in words. */
static void show_keys(struct cli *c, const struct claim *claim, FILE *out)
{
        const ProtobufCMessage *m = claim->open_body;

        if (!m)
                return;
        if (m->descriptor == &shuyi__v1__file_body__descriptor)
                show_key_request(c, ((const Shuyi__V1__FileBody *)m)->key_request, out);
        if (m->descriptor == &shuyi__v1__accept_body__descriptor)
                show_credential(c, ((const Shuyi__V1__AcceptBody *)m)->credential, out);
        for (size_t i = 0; m->descriptor == &shuyi__v1__department_body__descriptor && i < ((const Shuyi__V1__DepartmentBody *)m)->n_admissions; i++)
                show_credential(c, ((const Shuyi__V1__DepartmentBody *)m)->admissions[i]->credential, out);
}

int act_show(struct cli *c, struct bytes wire, FILE *out)
{
        const struct claim *claim;

        if (envelope_parse(c->arena, wire, &claim) != ACCEPTED) {
                cli_error("these bytes are not an envelope of the exact form");
                return CLI_FAILED;
        }
        char created[20];
        times_format_shanghai((struct wall_time){ claim->intent->created_at }, created);
        fprintf(out, "%s (%s), made %s\n", claim->kind->name, claim->kind->row, created);
        json_t *intent = message_json_print(&claim->intent->base), *body = claim->open_body ? message_json_print(claim->open_body) : NULL;
        const char *key;
        json_t *value;
        json_object_foreach(intent, key, value)
                show_value(key, value, 1, out);
        if (body)
                show_value("body", body, 1, out);
        show_keys(c, claim, out);
        json_decref(intent);
        json_decref(body);
        for (unsigned i = 0; i < claim->signers_n; i++)
                fprintf(out, "  signed as %s with credential %s\n", word_name(LIST_role, claim->signers[i].capacity),
                        client_hex(c, bytes_digest(&claim->signers[i].credential)));
        fprintf(out, "  digest of what is signed: %s\n", client_hex(c, bytes_digest(&claim->header_digest)));
        return CLI_OK;
}

static bool agreed(struct cli *c, enum role capacity)
{
        char answer[16];

        if (c->yes)
                return true;
        if (!isatty(STDIN_FILENO)) {
                cli_error("not on a terminal: say --yes to sign what is shown above");
                return false;
        }
        fprintf(stderr, "Sign this as %s? [y/N] ", word_name(LIST_role, capacity));
        if (fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
                return true;
        cli_error("not signed; nothing was sent");
        return false;
}

/* ---- signing ---- */

int act_credential(struct cli *c, const struct keyfile *key, struct digest *ret, struct wall_time *ret_not_after)
{
        json_t *answer = NULL;
        long status;
        char *path = arena_printf(c->arena, "/v1/credentials?sign_key=%s", client_hex(c, bytes_of(key->sign_key, 32)));

        if (!path || client_call(c, "GET", path, NULL, &status, &answer) < 0)
                return CLI_FAILED;
        const char *id = json_string_value(json_object_get(answer, "credential"));
        int code = status != 200 ? client_problem(c, status, answer) : CLI_OK;
        if (code == CLI_OK && (!id || strlen(id) != 2 * DIGEST_BYTES || !hex_parse(id, ret->b, DIGEST_BYTES))) {
                cli_error("the agent knows no credential of this key");
                code = CLI_FAILED;
        }
        const char *end = json_string_value(json_object_get(answer, "not_after"));
        if (code == CLI_OK && ret_not_after && (!end || !times_parse_utc(end, ret_not_after))) {
                cli_error("the agent does not say when this key's credential ends");
                code = CLI_FAILED;
        }
        json_decref(answer);
        return code;
}

static int capacity_of(struct cli *c, const struct claim *claim, enum role *ret)
{
        const char *as = cli_option(c, "as");
        const enum role *roles = signers_of(claim->intent->kind);

        *ret = as ? (enum role)word_find(LIST_role, as) : claim->signers_n < 2 ? roles[claim->signers_n] : 0;
        if (!*ret) {
                cli_error(as ? "--as takes one of %s" : "say in which role you sign: --as, one of %s", word_all(LIST_role));
                return CLI_USAGE;
        }
        return CLI_OK;
}

/* Shows, asks and signs: the envelope with one more signature in *ret. */
static int sign(struct cli *c, struct bytes wire, struct bytes *ret)
{
        const struct claim *claim;
        enum role capacity;
        struct digest credential;
        int code = act_show(c, wire, stderr);

        if (code != CLI_OK || envelope_parse(c->arena, wire, &claim) != ACCEPTED)
                return CLI_FAILED;
        code = capacity_of(c, claim, &capacity);
        if (code != CLI_OK)
                return code;
        if (!agreed(c, capacity))
                return CLI_FAILED;
        _cleanup_(keyfile_fini) struct keyfile key = { 0 };
        if (signer_open(c, cli_option(c, "key"), &key) < 0)
                return CLI_FAILED;
        code = act_credential(c, &key, &credential, NULL);
        if (code == CLI_OK)
                *ret = envelope_sign(c->arena, wire, &credential, capacity, secret_peek(key.sign));
        if (code == CLI_OK && !ret->p) {
                cli_error("the envelope is too large");
                code = CLI_FAILED;
        }
        return code;
}

static bool complete(struct cli *c, struct bytes wire)
{
        const struct claim *claim;

        return envelope_parse(c->arena, wire, &claim) == ACCEPTED &&
               (claim->signers_n == 2 || signers_of(claim->intent->kind)[claim->signers_n] == 0);
}

/* ---- sending ---- */

static void print_act(const struct cli *c, const json_t *a, FILE *out)
{
        const char *state = json_string_value(json_object_get(a, "state"));
        uint32_t code = (uint32_t)json_integer_value(json_object_get(a, "code"));
        const char *detail = json_string_value(json_object_get(a, "detail"));
        const struct refusal_text *t = refusal_text(code);
        char at[20];

        if (!state || strcmp(state, "received") != 0) {
                fprintf(out, "kept here, not yet received by the center: %s\n", json_string_value(json_object_get(a, "digest")));
                return;
        }
        times_format_shanghai((struct wall_time){ (uint64_t)json_integer_value(json_object_get(a, "accepted_at")) }, at);
        if (code == ACCEPTED) {
                fprintf(out, "received by the center: seq %" JSON_INTEGER_FORMAT ", %s%s%s\n", json_integer_value(json_object_get(a, "seq")), at,
                        detail && *detail ? ", " : "", detail ? detail : "");
                return;
        }
        fprintf(out, "refused: %s%s: %s / %s%s%s (seq %" JSON_INTEGER_FORMAT ")\n", refusal_is_guard(code) ? "E_GUARD " : "", t->code, t->english,
                t->chinese, detail && *detail ? ": " : "", detail ? detail : "", json_integer_value(json_object_get(a, "seq")));
        if (*t->todo)
                fprintf(out, "what to do: %s\n", t->todo);
}

static int wait_for_receipt(struct cli *c, const char *digest, uint64_t seconds, json_t **ret)
{
        char *path = arena_printf(c->arena, "/v1/acts/%s", digest);
        struct mono_time end = times_mono();

        end.ns += seconds * 1000000000ull;
        for (;;) {
                long status;
                if (!path || client_call(c, "GET", path, NULL, &status, ret) < 0)
                        return CLI_FAILED;
                if (status != 200) {
                        int code = client_problem(c, status, *ret);
                        json_decref(TAKE(*ret));
                        return code;
                }
                const char *state = json_string_value(json_object_get(*ret, "state"));
                if (state && strcmp(state, "received") == 0)
                        return json_integer_value(json_object_get(*ret, "code")) == ACCEPTED ? CLI_OK : CLI_REFUSED;
                if (times_mono().ns >= end.ns)
                        return CLI_KEPT;
                json_decref(TAKE(*ret));
                nanosleep(&(struct timespec){ 0, POLL_NS }, NULL);
        }
}

int act_send(struct cli *c, struct bytes wire)
{
        json_t *answer = NULL, *end = NULL;
        long status;
        uint64_t seconds;

        if (cli_number(c, "wait", 0, 86400, 20, &seconds) < 0)
                return CLI_USAGE;
        if (client_call(c, "POST", "/v1/acts", json_pack("{s:s}", "envelope", client_base64(c, wire)), &status, &answer) < 0)
                return CLI_FAILED;
        const char *digest = json_string_value(json_object_get(answer, "digest"));
        int code = status == 202 && digest ? wait_for_receipt(c, digest, seconds, &end) : client_problem(c, status, answer);
        if (end)
                cli_print(c, end, print_act);
        json_decref(answer);
        return code;
}

static void print_draft(const struct cli *c, const json_t *a, FILE *out)
{
        const char *next = json_string_value(json_object_get(a, "next"));

        fprintf(out, "a draft that waits for the signature of %s: %s\n", next ? next : "another person",
                json_string_value(json_object_get(a, "draft")));
}

static int leave_draft(struct cli *c, struct bytes wire)
{
        json_t *answer = NULL;
        long status;
        const struct claim *claim;

        if (client_call(c, "POST", "/v1/drafts", json_pack("{s:s}", "envelope", client_base64(c, wire)), &status, &answer) < 0)
                return CLI_FAILED;
        int code = status == 201 || status == 200 || status == 202 ? CLI_WAITS : client_problem(c, status, answer);
        if (code == CLI_WAITS && envelope_parse(c->arena, wire, &claim) == ACCEPTED) {
                enum role next = signers_of(claim->intent->kind)[claim->signers_n];
                cli_print(c, json_pack("{s:s, s:s, s:s}", "state", "draft", "draft", client_hex(c, bytes_digest(&claim->header_digest)),
                                       "next", word_name(LIST_role, next)), print_draft);
        }
        json_decref(answer);
        return code;
}

int act_finish(struct act *a)
{
        struct cli *c = a->c;
        struct bytes body = a->body ? message_pack(c->arena, a->body) : (struct bytes){ 0 };
        struct bytes wire = envelope_draft(c->arena, &a->intent, body), signed_wire;

        if (!wire.p) {
                cli_error("the act is too large for one envelope");
                return CLI_FAILED;
        }
        int code = sign(c, wire, &signed_wire);
        if (code != CLI_OK)
                return code;
        return complete(c, signed_wire) ? act_send(c, signed_wire) : leave_draft(c, signed_wire);
}

int act_sign_draft(struct cli *c, struct bytes wire)
{
        struct bytes signed_wire;
        int code = sign(c, wire, &signed_wire);

        if (code != CLI_OK)
                return code;
        return complete(c, signed_wire) ? act_send(c, signed_wire) : leave_draft(c, signed_wire);
}

/* ---- operands ---- */

int act_hex(struct cli *c, const char *text, const char *what, size_t n, ProtobufCBinaryData *ret)
{
        uint8_t *p = arena_alloc(c->arena, n);

        if (!p || strlen(text) != 2 * n || !hex_parse(text, p, n)) {
                cli_error("%s is %zu hexadecimal characters, not '%s'", what, 2 * n, text);
                return -1;
        }
        *ret = (ProtobufCBinaryData){ n, p };
        return 0;
}

int act_numbers(struct cli *c, const char *text, uint32_t **ret, size_t *ret_n)
{
        enum { MOST = 1024 };
        uint32_t *list = ARENA_ARRAY(c->arena, uint32_t, MOST), last = 0;
        size_t n = 0;
        const char *p = text;

        while (list) {
                char *end;
                unsigned long from = strtoul(p, &end, 10), to = from;
                if (end != p && *end == '-')
                        p = end + 1, to = strtoul(p, &end, 10);
                if (end == p || from <= last || to < from || to > UINT32_MAX || to - from >= MOST - n)
                        break;
                for (unsigned long v = from; v <= to; v++)
                        list[n++] = (uint32_t)v;
                last = (uint32_t)to;
                if (!*end) {
                        *ret = list;
                        *ret_n = n;
                        return 0;
                }
                if (*end != ',')
                        break;
                p = end + 1;
        }
        cli_error("items are ascending numbers such as 1,2,5-7, not '%s'", text);
        return -1;
}

int act_day(struct cli *c, const char *text, uint64_t *ret_ms)
{
        day_number day;

        *ret_ms = 0;
        if (!text)
                return 0;
        if (!times_parse_date(text, &day)) {
                cli_error("a day is YYYY-MM-DD, not '%s'", text);
                return -1;
        }
        *ret_ms = times_day_start(day).ms;
        return 0;
}
