/* bundle_form: the form of a bundle, of which any breach refuses the whole (PROTOCOL.md 17.2). */
#include "common/bundle_internal.h"
#include "common/exchange/rows.h"
#include "common/merkle.h"
#include <stdlib.h>

#define PATH_MAX_STEPS 64

static bool all_of_length(ProtobufCBinaryData *const list, size_t n, size_t length)
{
        for (size_t i = 0; i < n; i++)
                if (list[i].len != length)
                        return false;
        return true;
}

/* None stands under a digest or a signature here, so a field of a later part would be bound by nothing. */
static bool no_unknown(const Shuyi__V1__Bundle *b)
{
        bool none = b->base.n_unknown_fields == 0;

        for (size_t i = 0; i < b->n_entries; i++) {
                none = none && b->entries[i]->base.n_unknown_fields == 0;
                for (size_t k = 0; k < b->entries[i]->n_lookups; k++)
                        none = none && b->entries[i]->lookups[k]->base.n_unknown_fields == 0;
        }
        for (size_t i = 0; i < b->n_records; i++)
                none = none && b->records[i]->base.n_unknown_fields == 0;
        return none;
}

static bool lookups_fit(const Shuyi__V1__BundleEntry *e)
{
        for (size_t i = 0; i < e->n_lookups; i++) {
                if (e->lookups[i]->object.len != DIGEST_BYTES)
                        return false;
                if (i && memcmp(e->lookups[i - 1]->object.data, e->lookups[i]->object.data, DIGEST_BYTES) >= 0)
                        return false;
        }
        return true;
}

static const char *check_entry(const Shuyi__V1__BundleEntry *e)
{
        if (e->epoch == 0 || e->seq == 0 || e->accepted_at == 0 || e->effects_digest.len != DIGEST_BYTES)
                return "leaf data";
        if (e->n_path > PATH_MAX_STEPS || !all_of_length(e->path, e->n_path, DIGEST_BYTES))
                return "path";
        if (e->n_row_path > PATH_MAX_STEPS || !all_of_length(e->row_path, e->n_row_path, DIGEST_BYTES))
                return "row_path";
        return lookups_fit(e) ? NULL : "lookups";
}

static enum refusal parse(struct bundle_walk *w, struct bytes wire, const struct claim **ret)
{
        if (envelope_read_kept(w->a, wire, NULL, ret) == ACCEPTED)      /* whole, or an UPDATE without body */
                return (*ret)->kind->number == KIND_VIEW_EPOCH ? E_FORM : ACCEPTED;
        if (envelope_parse_bare(w->a, wire, ret) == ACCEPTED && (*ret)->kind->number == KIND_VIEW_EPOCH)
                return ACCEPTED;
        return E_FORM;
}

static const char *check_claim(struct bundle_walk *w, const Shuyi__V1__BundleEntry *e, const struct claim *c)
{
        const char *resource = c->intent->resource;

        if (c->kind->later || c->kind->class == KIND_READ || c->signers_n == 0)
                return "kind";
        if (strcmp(c->intent->domain, w->anchor->domain) != 0)
                return "domain";
        if (resource[0] && w->resource[0] && strcmp(resource, w->resource) != 0)
                return "more than one resource";
        if (resource[0])
                w->resource = resource;
        if (c->kind->number == KIND_VIEW_EPOCH ? e->row.len == 0 : e->row.len || e->row_index || e->n_row_path)
                return "row";
        return c->kind->number == KIND_TRUST_HEAD || e->n_lookups == 0 ? NULL : "lookups";
}

static const char *read_steps(struct bundle_walk *w)
{
        const char *wrong = NULL;

        w->n = w->bundle->n_entries;
        w->steps = ARENA_ARRAY(w->a, struct bundle_step, w->n);
        for (size_t i = 0; w->steps && i < w->n && !wrong; i++) {
                const Shuyi__V1__BundleEntry *e = w->bundle->entries[i];

                w->steps[i].entry = e;
                wrong = check_entry(e);
                if (!wrong && parse(w, bytes_of_field(e->envelope), &w->steps[i].claim) != ACCEPTED)
                        wrong = "envelope";
                if (!wrong)
                        wrong = check_claim(w, e, w->steps[i].claim);
                if (!wrong && i && e->code != ACCEPTED)
                        wrong = "code";
                if (!wrong && i > 1 && e->seq <= w->bundle->entries[i - 1]->seq)
                        wrong = "order";
        }
        return wrong;
}

/* The act to its place by seq; NULL, or that it stands there twice. */
static const char *sort_steps(struct bundle_walk *w)
{
        struct bundle_step act = w->steps[0];
        size_t i = 0;

        for (; i + 1 < w->n && w->steps[i + 1].entry->seq < act.entry->seq; i++)
                w->steps[i] = w->steps[i + 1];
        w->steps[i] = act;
        w->act = &w->steps[i];
        w->last = &w->steps[w->n - 1];
        if (w->act == w->last || w->last->entry->seq == act.entry->seq || (i + 1 < w->n && w->steps[i + 1].entry->seq == act.entry->seq))
                return "order";
        for (i = 1; i < w->n; i++)
                if (w->steps[i].entry->epoch < w->steps[i - 1].entry->epoch || w->steps[i].entry->accepted_at < w->steps[i - 1].entry->accepted_at)
                        return "time goes back";
        return w->last->claim->kind->number == KIND_TRUST_HEAD ? NULL : "no TRUST_HEAD at the end";
}

static const char *once(struct bundle_step **place, struct bundle_step *s)
{
        if (*place)
                return "an entry twice";
        *place = s;
        return NULL;
}

/* The entries that a transfer is made of. */
static const char *find_parts(struct bundle_walk *w)
{
        const char *wrong = NULL;

        for (size_t i = 0; i < w->n && !wrong; i++) {
                struct bundle_step *s = &w->steps[i];

                switch (s->claim->kind->number) {
                case KIND_UPDATE: wrong = once(&w->update, s); break;
                case KIND_VIEW_EPOCH: wrong = once(&w->epoch, s); break;
                case KIND_DELIVERY_RECEIPT: wrong = once(&w->receipt, s); break;
                default: break;
                }
        }
        return wrong;
}

static const char *check_transfer(const struct bundle_walk *w)
{
        const Shuyi__V1__Bundle *b = w->bundle;

        if (w->act != w->update || w->act->entry->code != ACCEPTED || !w->epoch)
                return "not a transfer";
        if (b->n_links > BUNDLE_LINKS_MAX || (b->kind == BUNDLE_RECORD) != (b->n_records > 0) || b->n_records > BUNDLE_RECORDS_MAX)
                return "records";
        for (size_t i = 0; i < b->n_records; i++) {
                const Shuyi__V1__BundleRecord *r = b->records[i];

                if (r->index >= w->update->claim->intent->record_count || (i && r->index <= b->records[i - 1]->index) || r->salt.len != 16 ||
                    r->n_path > PATH_MAX_STEPS || !all_of_length(r->path, r->n_path, DIGEST_BYTES))
                        return "records";
        }
        return NULL;
}

static const char *check_decision(const struct bundle_walk *w)
{
        if (w->act->claim->kind->class != KIND_CONTROL)
                return "not a control act";
        if (w->bundle->n_links || w->bundle->n_records || w->update || w->epoch || (w->receipt && w->receipt != w->act))
                return "more than a decision";
        return NULL;
}

const char *bundle_form(struct bundle_walk *w)
{
        const Shuyi__V1__Bundle *b = w->bundle;
        const char *wrong;

        if (b->version != 1 || b->kind < BUNDLE_UPDATE || b->kind > BUNDLE_RECORD)
                return "version or kind";
        if (!no_unknown(b))
                return "unknown field";
        if (b->n_entries < 2 || b->n_entries > BUNDLE_ENTRIES_MAX)
                return "number of entries";
        w->resource = "";
        wrong = read_steps(w);
        if (arena_failed(w->a))
                return "too large";
        if (!wrong)
                wrong = sort_steps(w);
        if (!wrong)
                wrong = find_parts(w);
        if (wrong)
                return wrong;
        return b->kind == BUNDLE_DECISION ? check_decision(w) : check_transfer(w);
}
