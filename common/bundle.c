/* bundle: the stages of the check in their order, and its words. */
#include "common/bundle_internal.h"
#include "common/anchor.h"
#include "common/artifact.h"
#include "common/exchange/rows.h"
#include "common/macro.h"
#include "common/merkle.h"
#include "common/wire.h"
#include <errno.h>

#define BUNDLE_FIELDS_MAX 400000                /* all levels: 1,024 entries with paths and lookups, and room */

/* ---- words ---- */

static const struct { const char *word, *chinese, *meaning; } items[] = {
#define ITEM_ROW(constant, word, zh, what) { word, zh, what },
        BUNDLE_ITEMS(ITEM_ROW)
};
static const char *const faults[] = {
#define FAULT_ROW(constant, word) word,
        BUNDLE_FAULTS(FAULT_ROW)
};
static const char *const states[] = { "OK", "FAILED", "NOT_IN_BUNDLE", "DOES_NOT_APPLY" };

static const char *const not_proven[][2] = {
        { "The outcome codes and effects digests are stated by the log; a mirror or `log check` re-derives them.", "处理结果及其影响摘要由日志声明，可由镜像或全库核验重新推导。" },
        { "The number in a resource code was counted by the log over all entries of its class.", "资源代码中的顺序号由日志统计，本证据不能单独证明。" },
        { "The content of a transfer is sealed; only records that were opened are compared with it.", "传输内容已加密，仅对已开封的记录进行比对。" },
        { "That no other act stands in the log beside these; a mirror of the whole log shows it.", "不能证明日志中没有其他相关行为，须由完整镜像查证。" },
        { "Times are the log's clock, bracketed by the witnesses' alone.", "时间为日志时钟，仅由见证时间佐证其区间。" },
        { "What happened outside the exchange, or to the data after they were received.", "不能证明平台之外或数据接收之后发生的事。" },
};

const char *bundle_item_word(enum bundle_item i) { return items[i].word; }
const char *bundle_item_chinese(enum bundle_item i) { return items[i].chinese; }
const char *bundle_item_meaning(enum bundle_item i) { return items[i].meaning; }
const char *bundle_fault_word(enum bundle_fault f) { return faults[f]; }
const char *bundle_state_word(enum bundle_state s) { return states[s]; }

bool bundle_not_proven(unsigned index, const char **ret_english, const char **ret_chinese)
{
        if (index >= ELEMENTS(not_proven))
                return false;
        *ret_english = not_proven[index][0];
        *ret_chinese = not_proven[index][1];
        return true;
}

/* ---- findings ---- */

void bundle_note(struct bundle_walk *w, enum bundle_item item, enum bundle_fault fault, enum refusal code, const struct bundle_step *s, const char *detail)
{
        struct bundle_finding *f = &w->report->items[item];
        enum bundle_state state = fault == BUNDLE_MISSING ? BUNDLE_NOT_IN_BUNDLE : BUNDLE_FAILED;

        if (f->state == BUNDLE_FAILED || (f->state == BUNDLE_NOT_IN_BUNDLE && state == BUNDLE_NOT_IN_BUNDLE))
                return;
        *f = (struct bundle_finding){ state, fault, code, s ? s->entry->seq : 0, detail ? detail : "" };
}

void bundle_spare(struct bundle_walk *w, enum bundle_item item)
{
        if (w->report->items[item].state == BUNDLE_OK)
                w->report->items[item].state = BUNDLE_DOES_NOT_APPLY;
}

const struct bundle_step *bundle_find(const struct bundle_walk *w, const struct bundle_step *s, struct bytes header_digest)
{
        for (const struct bundle_step *b = w->steps; b < s; b++)
                if (b->stands && bytes_equal(bytes_digest(&b->claim->header_digest), header_digest))
                        return b;
        return NULL;
}

const Shuyi__V1__Subject *bundle_subject(struct bundle_walk *w, struct bytes credential)
{
        struct rows rows = { .state = bundle_rows_state(&w->rows), .arena = w->a };
        const Shuyi__V1__CredentialRow *row = rows_credential(&rows, credential);
        const Shuyi__V1__Credential *c = row ? rows_open_credential(&rows, row) : NULL;

        return c ? c->subject : NULL;
}

bool bundle_is_refused(const struct bundle_step *s)
{
        return s->entry->code != ACCEPTED;
}

/* ---- included, witnessed ---- */

static struct digest leaf_of(const struct bundle_walk *w, const struct bundle_step *s)
{
        struct entry entry = { .epoch = s->entry->epoch, .seq = s->entry->seq, .accepted_at = { s->entry->accepted_at }, .claim = s->claim };
        struct outcome outcome = { .code = (enum refusal)s->entry->code };
        uint8_t record[LEAF_RECORD_BYTES];

        memcpy(outcome.effects_digest.b, s->entry->effects_digest.data, DIGEST_BYTES);
        exchange_leaf_record(w->anchor->domain, &entry, &outcome, record);
        return merkle_leaf(bytes_of(record, sizeof(record)));
}

static bool in_tree(const struct bundle_walk *w, const struct bundle_step *s)
{
        struct digest leaf = leaf_of(w, s), path[MERKLE_DEPTH_MAX];

        for (size_t i = 0; i < s->entry->n_path; i++)
                memcpy(path[i].b, s->entry->path[i].data, DIGEST_BYTES);
        return s->entry->seq <= w->report->head.size &&
               merkle_check_inclusion(&leaf, s->entry->seq - 1, w->report->head.size, path, s->entry->n_path, &w->report->head.root);
}

/* Each signature line is the log's or one of a witness of the anchor: no byte of the note is bound by nothing. */
static const char *check_head(struct bundle_walk *w)
{
        const char *note = w->bundle->checkpoint, *wrong;
        struct checkpoint_quorum q = { 0 };
        struct note_signature line;
        struct note_cursor c;
        const Shuyi__V1__LogKey *log;
        struct bytes text;
        unsigned lines = 0;
        int more;

        wrong = checkpoint_peek(w->a, note, &w->report->head);
        log = wrong ? NULL : anchor_find_log(w->anchor, w->report->head.origin);
        if (!wrong && !log)
                wrong = "not of a log that the anchor names";
        if (!wrong)
                wrong = checkpoint_verify(w->a, note, log->origin, log->key.data, &w->report->head);
        if (!wrong)
                wrong = checkpoint_quorum(note, w->anchor, &q);
        if (wrong)
                return wrong;
        text = checkpoint_text(note);
        c = (struct note_cursor){ note + text.n + 1, note + strlen(note) };
        while ((more = note_next_signature(&c, &line)) > 0)
                lines++;
        if (more < 0 || lines != 1 + q.count)
                return "a signature line of nobody that the anchor names";
        w->report->witnesses = q.count;
        w->report->seen_first_s = q.count ? q.first_s : 0;
        w->report->seen_last_s = q.count ? q.last_s : 0;
        return NULL;
}

void bundle_included(struct bundle_walk *w)
{
        const char *wrong = check_head(w);

        if (wrong) {
                bundle_note(w, BUNDLE_INCLUDED, BUNDLE_CHECKPOINT, ACCEPTED, NULL, wrong);
                bundle_note(w, BUNDLE_WITNESSED, BUNDLE_CHECKPOINT, ACCEPTED, NULL, wrong);
                return;
        }
        for (size_t i = 0; i < w->n; i++)
                if (!in_tree(w, &w->steps[i]))
                        bundle_note(w, BUNDLE_INCLUDED, BUNDLE_PATH, ACCEPTED, &w->steps[i], "not under the head");
        if (w->report->witnesses < w->anchor->witness_quorum)
                bundle_note(w, BUNDLE_WITNESSED, BUNDLE_QUORUM, ACCEPTED, NULL, "too few witnesses");
}

/* ---- all of it ---- */

static void go_unwitnessed(struct bundle_walk *w)
{
        if (w->report->items[BUNDLE_WITNESSED].fault == BUNDLE_QUORUM)
                w->report->items[BUNDLE_WITNESSED].state = BUNDLE_DOES_NOT_APPLY;
}

static bool all_hold(const struct bundle_report *r)
{
        for (unsigned i = 0; i < BUNDLE_ITEM_COUNT; i++)
                if (r->items[i].state != BUNDLE_OK && r->items[i].state != BUNDLE_DOES_NOT_APPLY)
                        return false;
        return true;
}

static int found_state(struct bundle_walk *w)
{
        const struct effect *effects;
        size_t n;
        int r = exchange_genesis_effects(w->anchor->domain, w->a, &effects, &n);

        w->rows = (struct bundle_rows){ .a = w->a };
        return r < 0 ? r : bundle_rows_apply(&w->rows, effects, n);
}

static void (*const stages[])(struct bundle_walk *w) = { bundle_included, bundle_acts, bundle_status, bundle_delivered, bundle_opened };

static int check(struct bundle_walk *w, const struct bundle_options *options)
{
        struct bundle_report *r = w->report;

        r->kind = (enum bundle)w->bundle->kind;
        r->wrong = bundle_form(w);
        if (r->wrong)
                return arena_failed(w->a) ? -ENOMEM : 0;
        r->steps = w->steps;
        r->steps_n = w->n;
        r->act = w->act;
        r->quorum = w->anchor->witness_quorum;
        r->demo = w->anchor->demo;
        r->user = r->approver = "";
        if (w->update)
                r->content = w->update->claim->body.n == w->update->claim->body_bytes ? BUNDLE_CONTENT_SEALED : BUNDLE_CONTENT_GONE;
        for (size_t i = 0; i < ELEMENTS(stages) && (i == 0 || !options->brief || r->proven); i++) {
                stages[i](w);
                if (options->unwitnessed)
                        go_unwitnessed(w);
                r->proven = all_hold(r);
        }
        return w->fault < 0 ? w->fault : arena_failed(w->a) ? -ENOMEM : 0;
}

static const char *read_file(struct arena *a, struct bytes file, Shuyi__V1__Bundle **ret)
{
        struct bytes content;
        const char *wrong = artifact_decode(a, ARTIFACT_BUNDLE, file, &content);

        if (wrong)
                return wrong;
        if (content.n > BUNDLE_MAX_BYTES || wire_scan_bounded(&shuyi__v1__bundle__descriptor, content, BUNDLE_FIELDS_MAX))
                return "not exactly one canonical bundle";
        *ret = message_parse(a, &shuyi__v1__bundle__descriptor, content);
        return *ret ? NULL : "not exactly one canonical bundle";
}

int bundle_check(struct arena *a, struct bytes file, struct bytes anchor, const struct bundle_options *options, struct bundle_report *ret)
{
        struct bundle_walk w = { .a = a, .report = ret };
        const Shuyi__V1__SignedAnchor *signed_anchor;
        Shuyi__V1__Bundle *bundle;
        int r;

        *ret = (struct bundle_report){ .wrong = anchor_check(a, anchor, &w.anchor) };
        if (ret->wrong)
                return -EINVAL;
        signed_anchor = message_parse(a, &shuyi__v1__signed_anchor__descriptor, anchor);
        if (!signed_anchor)
                return -ENOMEM;
        w.anchor_bytes = bytes_of_field(signed_anchor->anchor);
        ret->wrong = read_file(a, file, &bundle);
        if (ret->wrong)
                return arena_failed(a) ? -ENOMEM : 0;
        w.bundle = bundle;
        w.exchange = exchange_new(w.anchor->domain);
        r = w.exchange ? found_state(&w) : -ENOMEM;
        if (r == 0)
                r = check(&w, options);
        exchange_free(w.exchange);
        return r;
}
