/* evidence_check: `audit check`: reads two files, nothing else, and says what they prove, in English and Chinese. */
#include "agent/cli/evidence.h"
#include "agent/cli/file.h"
#include "common/artifact.h"
#include "common/bundle.h"
#include "common/macro.h"
#include "common/message_json.h"
#include <errno.h>
#include <string.h>

/* ---- as JSON ---- */

static json_t *hex_json(struct cli *c, struct bytes b)
{
        char *text = arena_alloc(c->arena, 2 * b.n + 1);

        if (text)
                hex_format(b, text);
        return json_string(text);
}

static json_t *time_json(uint64_t ms)
{
        char text[20];

        times_format_shanghai((struct wall_time){ ms }, text);
        return json_string(text);
}

static json_t *item_json(const struct bundle_report *r, enum bundle_item i)
{
        const struct bundle_finding *f = &r->items[i];
        json_t *item = json_pack("{s:s, s:s, s:s, s:s}", "item", bundle_item_word(i), "zh", bundle_item_chinese(i), "state", bundle_state_word(f->state), "meaning",
                                 bundle_item_meaning(i));

        if (f->fault)
                json_object_set_new(item, "reason", json_string(bundle_fault_word(f->fault)));
        if (f->code)
                json_object_set_new(item, "code", json_string(refusal_text(f->code)->code));
        if (f->seq)
                json_object_set_new(item, "seq", json_integer((json_int_t)f->seq));
        if (f->detail && *f->detail)
                json_object_set_new(item, "detail", json_string(f->detail));
        return item;
}

static json_t *signer_json(struct cli *c, const struct bundle_signer *s)
{
        json_t *j = json_pack("{s:s}", "as", word_name(LIST_role, s->capacity));

        if (s->department && *s->department)
                json_object_set_new(j, "department", json_string(s->department));
        if (s->capacity != ROLE_ROOT && s->capacity != ROLE_SYSTEM)
                json_object_set_new(j, "id", hex_json(c, bytes_id(&s->id)));
        if (s->name && *s->name)
                json_object_set_new(j, "name", json_string(s->name));
        return j;
}

static json_t *step_json(struct cli *c, const struct bundle_step *s)
{
        json_t *signers = json_array();
        json_t *j;

        for (unsigned i = 0; i < s->claim->signers_n; i++)
                json_array_append_new(signers, signer_json(c, &s->signers[i]));
        j = json_pack("{s:I, s:I, s:o, s:s, s:s, s:o, s:o}", "seq", (json_int_t)s->entry->seq, "epoch", (json_int_t)s->entry->epoch, "accepted_at",
                      time_json(s->entry->accepted_at), "kind", s->claim->kind->name, "code", refusal_text(s->entry->code)->code, "digest",
                      hex_json(c, bytes_digest(&s->claim->header_digest)), "signers", signers);
        return j;
}

static json_t *grant_json(struct cli *c, const struct bundle_report *r)
{
        const Shuyi__V1__GrantRow *g = r->grant;
        json_t *items = json_array();

        for (size_t i = 0; i < g->n_items; i++)
                json_array_append_new(items, json_integer(g->items[i]));
        return json_pack("{s:o, s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:s, s:s, s:s, s:s, s:I}", "grant", hex_json(c, bytes_of(g->opening.data, g->opening.len)),
                         "channel", word_name(LIST_channel, g->channel), "consumer", g->consumer, "provider", g->provider, "resource", g->resource, "name",
                         r->entry ? r->entry->resource_name : "", "version", (json_int_t)g->version, "items", items, "purpose", g->purpose, "method",
                         word_name(LIST_share_method, g->method), "user", r->user, "approver", r->approver, "decided_seq", (json_int_t)r->decision->entry->seq);
}

static json_t *lists_json(struct cli *c, const struct bundle_report *r, json_t *all)
{
        json_t *items = json_array(), *steps = json_array(), *records = json_array(), *rest = json_array();
        const char *english, *chinese;

        for (unsigned i = 0; i < BUNDLE_ITEM_COUNT; i++)
                json_array_append_new(items, item_json(r, i));
        for (size_t i = 0; i < r->steps_n; i++)
                json_array_append_new(steps, step_json(c, &r->steps[i]));
        for (size_t i = 0; i < r->records_n; i++)
                json_array_append_new(records, message_json_print(&r->records[i]->base));
        for (unsigned i = 0; bundle_not_proven(i, &english, &chinese); i++)
                json_array_append_new(rest, json_pack("{s:s, s:s}", "en", english, "zh", chinese));
        json_object_set_new(all, "items", items);
        json_object_set_new(all, "entries", steps);
        json_object_set_new(all, "records", records);
        json_object_set_new(all, "not_proven", rest);
        return all;
}

static json_t *report_json(struct cli *c, const struct bundle_report *r)
{
        json_t *all = json_pack("{s:b, s:b}", "proven", r->proven, "unwitnessed", cli_switch(c, "unwitnessed"));

        if (r->wrong) {
                json_object_set_new(all, "wrong", json_string(r->wrong));
                return all;
        }
        json_object_set_new(all, "kind", json_string(word_name(LIST_bundle, r->kind)));
        json_object_set_new(all, "head", json_pack("{s:s, s:I, s:o, s:i, s:i, s:b}", "origin", r->head.origin ? r->head.origin : "", "size", (json_int_t)r->head.size,
                                                   "root", hex_json(c, bytes_digest(&r->head.root)), "witnesses", (int)r->witnesses, "quorum", (int)r->quorum, "demo", r->demo));
        if (r->seen_last_s && r->seen_last_s < UINT64_MAX / 1000) {
                json_object_set_new(all, "seen_first", time_json(r->seen_first_s * 1000));
                json_object_set_new(all, "seen_last", time_json(r->seen_last_s * 1000));
        }
        json_object_set_new(all, "act", step_json(c, r->act));
        if (r->content)
                json_object_set_new(all, "content", json_string(r->content == BUNDLE_CONTENT_GONE ? "GONE" : "SEALED"));
        if (r->grant && r->decision)
                json_object_set_new(all, "grant", grant_json(c, r));
        if (r->acquired_at)
                json_object_set_new(all, "acquired_at", time_json(r->acquired_at));
        return lists_json(c, r, all);
}

/* ---- as text ---- */

static const char *text_of(const json_t *o, const char *name)
{
        const char *text = json_string_value(json_object_get(o, name));

        return text ? text : "";
}

static void print_items(const json_t *all, FILE *out)
{
        const json_t *item;
        size_t i;

        json_array_foreach(json_object_get(all, "items"), i, item) {
                fprintf(out, "  %-14s %-15s %s", text_of(item, "item"), text_of(item, "state"), text_of(item, "zh"));
                if (*text_of(item, "reason"))
                        fprintf(out, ": %s %s", text_of(item, "reason"), text_of(item, "code"));
                if (json_object_get(item, "seq"))
                        fprintf(out, ", entry %" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(item, "seq")));
                if (*text_of(item, "detail"))
                        fprintf(out, " (%s)", text_of(item, "detail"));
                fprintf(out, "\n                 %s\n", text_of(item, "meaning"));
        }
}

static void print_step(const json_t *s, FILE *out)
{
        const json_t *signer;
        size_t i;

        fprintf(out, "  %8" JSON_INTEGER_FORMAT "  %s  %-16s %s\n", json_integer_value(json_object_get(s, "seq")), text_of(s, "accepted_at"), text_of(s, "kind"), text_of(s, "code"));
        json_array_foreach(json_object_get(s, "signers"), i, signer)
                fprintf(out, "            by %s%s%s%s%s\n", text_of(signer, "as"), *text_of(signer, "department") ? " " : "", text_of(signer, "department"),
                        *text_of(signer, "name") ? " " : "", text_of(signer, "name"));
}

static void print_grant(const json_t *g, FILE *out)
{
        if (!g)
                return;
        fprintf(out, "\nGrant 授权 %s\n", text_of(g, "grant"));
        fprintf(out, "  %s -> %s, %s\n", text_of(g, "provider"), text_of(g, "consumer"), text_of(g, "channel"));
        fprintf(out, "  resource  资源   %s %s\n", text_of(g, "resource"), text_of(g, "name"));
        fprintf(out, "  purpose   用途   %s\n", text_of(g, "purpose"));
        fprintf(out, "  user      使用人 %s\n  approver  批准人 %s\n", text_of(g, "user"), text_of(g, "approver"));
}

static void print_report(const struct cli *c, const json_t *all, FILE *out)
{
        const json_t *head = json_object_get(all, "head"), *row;
        size_t i;

        if (*text_of(all, "wrong")) {
                fprintf(out, "NOT A BUNDLE OF EVIDENCE 不是有效证据: %s\n"
                        "The file is damaged, cut, altered or another one: it proves nothing, ask for it again.\n"
                        "文件已损坏、被截断、被改动或并非证据文件，不能证明任何事项，请重新索取。\n", text_of(all, "wrong"));
                return;
        }
        if (json_is_true(json_object_get(all, "unwitnessed")))
                fputs("*** CHECKED WITHOUT WITNESSES: the log alone says that this head is its only one. 未经见证核验 ***\n", out);
        fprintf(out, "%s: %s\n", text_of(all, "kind"), json_is_true(json_object_get(all, "proven")) ? "PROVEN 已证明" : "NOT PROVEN 未能证明");
        fprintf(out, "Head 日志根 of %s, %" JSON_INTEGER_FORMAT " entries%s\n", text_of(head, "origin"), json_integer_value(json_object_get(head, "size")),
                json_is_true(json_object_get(head, "demo")) ? " (a demonstration's anchor)" : "");
        fprintf(out, "Seen by 见证方 %" JSON_INTEGER_FORMAT " witnesses, %" JSON_INTEGER_FORMAT " asked for\n", json_integer_value(json_object_get(head, "witnesses")),
                json_integer_value(json_object_get(head, "quorum")));
        if (*text_of(all, "seen_first"))
                fprintf(out, "Seen between 见证时间 %s and %s\n", text_of(all, "seen_first"), text_of(all, "seen_last"));
        fputc('\n', out);
        print_items(all, out);
        fputs("\nThe act 行为\n", out);
        print_step(json_object_get(all, "act"), out);
        if (*text_of(all, "acquired_at"))
                fprintf(out, "  acquired 获取时间 %s\n", text_of(all, "acquired_at"));
        if (strcmp(text_of(all, "content"), "GONE") == 0)
                fputs("  content  内容    is gone: its digest and size are signed, the sealed records are not kept any more 数据内容已按期限清除，摘要留存\n", out);
        print_grant(json_object_get(all, "grant"), out);
        json_array_foreach(json_object_get(all, "records"), i, row) {
                char *text = json_dumps(row, JSON_INDENT(2));

                fprintf(out, "\nRecord 记录\n%s\n", text ? text : "");
                free(text);
        }
        fputs("\nWhat stands behind it 依据\n", out);
        json_array_foreach(json_object_get(all, "entries"), i, row)
                print_step(row, out);
        fputs("\nWhat it does not prove 不能证明的事项\n", out);
        json_array_foreach(json_object_get(all, "not_proven"), i, row)
                fprintf(out, "  - %s\n    %s\n", text_of(row, "en"), text_of(row, "zh"));
}

/* ---- the command ---- */

int evidence_check(struct cli *c)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(BUNDLE_ARENA_BYTES);
        struct bundle_options options = { cli_switch(c, "unwitnessed") };
        struct bundle_report report;
        struct bytes file, text, anchor;
        const char *wrong;
        int r;

        if (!a || file_read(c, c->operands[0], &file) < 0 || file_read(c, cli_option(c, "anchor"), &text) < 0)
                return CLI_FAILED;
        wrong = artifact_decode(c->arena, ARTIFACT_ANCHOR, text, &anchor);
        r = wrong ? -EINVAL : bundle_check(a, file, anchor, &options, &report);
        if (r == -EINVAL)
                cli_error("%s: not an anchor: %s", cli_option(c, "anchor"), wrong ? wrong : report.wrong);
        else if (r < 0)
                cli_error("%s: %s", c->operands[0], strerror(-r));
        if (r < 0)
                return CLI_FAILED;
        cli_print(c, report_json(c, &report), print_report);
        return report.proven ? CLI_OK : CLI_CHECK;
}
