/* bundle_acts: the walk over all entries in their order: signatures, and the rules (PROTOCOL.md 17.3, 3 and 4). */
#include "common/anchor.h"
#include "common/bundle_internal.h"
#include "common/exchange/catalog_rules.h"
#include "common/exchange/grant.h"
#include "common/exchange/guards.h"
#include "common/exchange/signers.h"
#include "common/exchange/trust.h"
#include "common/macro.h"
#include <errno.h>
#include <stdlib.h>

/* ---- keys, as the rows before an entry hold them ---- */

struct keys { struct bundle_walk *w; const struct claim *claim; bool unknown; };

/* The newest anchor of the rows; before the first, that of the first ANCHOR's body. */
static const Shuyi__V1__Anchor *anchor_of(struct bundle_walk *w, const struct claim *claim)
{
        struct rows rows = { .state = bundle_rows_state(&w->rows), .arena = w->a };
        const Shuyi__V1__MetaRow *meta = ROWS_GET(&rows, &shuyi__v1__meta_row__descriptor, TABLE_META, (struct bytes){ 0 });
        const Shuyi__V1__AnchorBody *body = (const void *)claim->open_body;
        const Shuyi__V1__DocumentRow *document;
        const Shuyi__V1__Anchor *anchor = NULL;
        struct bytes signed_anchor = { 0 };
        uint8_t version[4];

        if (meta && meta->anchor_version) {
                put_be32(version, meta->anchor_version);
                document = ROWS_GET(&rows, &shuyi__v1__document_row__descriptor, TABLE_ANCHOR, bytes_of(version, sizeof(version)));
                if (document)
                        signed_anchor = bytes_of_field(document->bytes_);
        } else if (claim->kind->number == KIND_ANCHOR && body && body->anchor) {
                signed_anchor = message_pack(w->a, &body->anchor->base);
        }
        return signed_anchor.p && !anchor_check(w->a, signed_anchor, &anchor) ? anchor : NULL;
}

static int find_root(struct keys *k, const struct digest *id, uint8_t ret_key[32], uint32_t *ret_suite)
{
        const Shuyi__V1__Anchor *anchor = anchor_of(k->w, k->claim);
        const Shuyi__V1__RootKey *root = anchor ? anchor_find_root(anchor, id) : NULL;

        if (!root || root->key.len != 32)
                return 0;
        memcpy(ret_key, root->key.data, 32);
        *ret_suite = root->suite;
        return 1;
}

static int find_key(void *ctx, const struct digest *credential, enum role capacity, uint8_t ret_key[32], uint32_t *ret_suite)
{
        struct keys *k = ctx;
        struct rows rows = { .state = bundle_rows_state(&k->w->rows), .arena = k->w->a };
        const Shuyi__V1__CredentialRow *row;
        const Shuyi__V1__Credential *c;
        int found = 0;

        if (capacity == ROLE_ROOT) {
                found = find_root(k, credential, ret_key, ret_suite);
        } else {
                row = rows_credential(&rows, bytes_digest(credential));
                c = row ? rows_open_credential(&rows, row) : NULL;
                if (c && c->subject->sign_key.len == 32) {
                        memcpy(ret_key, c->subject->sign_key.data, 32);
                        *ret_suite = c->suite;
                        found = 1;
                }
        }
        k->unknown |= !found;
        return found;
}

static bool check_signatures(struct bundle_walk *w, struct bundle_step *s)
{
        struct keys k = { w, s->claim, false };
        struct key_source keys = { find_key, &k };
        struct bytes wire = bytes_of_field(s->entry->envelope);
        const struct claim *claim;
        bool bare = s->claim->kind->number == KIND_VIEW_EPOCH;
        enum refusal code = bare ? envelope_verify_bare(w->a, wire, &keys, &claim) : envelope_read_kept(w->a, wire, &keys, &claim);

        if (code == ACCEPTED)
                return true;
        bundle_note(w, BUNDLE_SIGNED, k.unknown ? BUNDLE_SIGNER : BUNDLE_SIGNATURE, E_CRED, s, "");
        return false;
}

/* Who signed, for the report: of credentials that the rows hold. */
static void name_signers(struct bundle_walk *w, struct bundle_step *s)
{
        struct rows rows = { .state = bundle_rows_state(&w->rows), .arena = w->a };

        for (unsigned i = 0; i < s->claim->signers_n; i++) {
                const struct signer *by = &s->claim->signers[i];
                const Shuyi__V1__Subject *subject = by->capacity == ROLE_ROOT ? NULL : bundle_subject(w, bytes_digest(&by->credential));
                const Shuyi__V1__PersonRow *person = NULL;

                s->signers[i] = (struct bundle_signer){ .capacity = by->capacity, .department = "", .name = "" };
                if (!subject)
                        continue;
                s->signers[i].department = subject->department;
                bytes_copy_exact(bytes_of_field(subject->id), s->signers[i].id.b, ID_BYTES);
                if (subject->kind == SUBJECT_PERSON)
                        person = rows_person(&rows, subject->department, bytes_of_field(subject->id));
                if (person && person->staff)
                        s->signers[i].name = person->staff->name;
        }
}

/* ---- the caller's anchor among those of the log ---- */

static void check_anchor(struct bundle_walk *w)
{
        for (size_t i = 0; i < w->n; i++) {
                const Shuyi__V1__AnchorBody *body = (const void *)w->steps[i].claim->open_body;

                if (w->steps[i].claim->kind->number == KIND_ANCHOR && !bundle_is_refused(&w->steps[i]) && body && body->anchor &&
                    bytes_equal(bytes_of_field(body->anchor->anchor), w->anchor_bytes))
                        return;
        }
        bundle_note(w, BUNDLE_SIGNED, BUNDLE_ANCHOR, ACCEPTED, NULL, "the caller's anchor is none of the log's");
}

/* ---- judging ---- */

typedef enum refusal (*judge_fn)(struct bundle_walk *w, struct bundle_step *s, const char **ret_detail);

static struct wall_time time_of(const struct bundle_step *s)
{
        return (struct wall_time){ s->entry->accepted_at };
}

static void keep_fault(struct bundle_walk *w, int f)
{
        if (f == -ENOMEM)
                w->fault = f;
}

/* By the rules as they stand; what the act does enters the rows. */
static enum refusal judge_rules(struct bundle_walk *w, struct bundle_step *s, const char **ret_detail)
{
        const struct bundle_step *related = s->claim->kind->number == KIND_ACCEPT ? bundle_find(w, s, bytes_of_field(s->claim->intent->object)) : NULL;
        struct trust_outcome outcome;
        int f = trust_judge(w->exchange, bundle_rows_state(&w->rows), s->claim, related ? related->claim : NULL, s->entry->seq, time_of(s), w->a, &outcome);
        if (f == 0 && outcome.code == ACCEPTED)
                f = bundle_rows_apply(&w->rows, outcome.effects, outcome.effects_n);
        keep_fault(w, f);
        if (f < 0)
                return E_BOUND;
        *ret_detail = outcome.detail;
        return outcome.code;
}

/* Times of the intent (PROTOCOL.md 5): what a person or a root signs expires, and nothing lives longer than 30 days. */
static bool in_time(const struct bundle_step *s)
{
        const Shuyi__V1__Intent *i = s->claim->intent;
        bool must_expire = false;

        for (unsigned k = 0; k < s->claim->signers_n; k++)
                must_expire |= s->claim->signers[k].capacity != ROLE_AGENT && s->claim->signers[k].capacity != ROLE_SYSTEM;
        if (i->created_at > s->entry->accepted_at + SKEW_MS)
                return false;
        return i->expires_at == 0 ? !must_expire : i->expires_at > s->entry->accepted_at && i->expires_at - i->created_at <= EXPIRY_MAX_MS;
}

static enum refusal judge_signers(struct bundle_walk *w, struct bundle_step *s, enum by by)
{
        enum refusal no = E_FORM;
        int f = trust_judge_signers(w->exchange, bundle_rows_state(&w->rows), s->claim, time_of(s), by, w->a, &no);

        keep_fault(w, f);
        return f < 0 ? E_BOUND : no;
}

static struct rows rows_at(struct bundle_walk *w)
{
        return (struct rows){ .state = bundle_rows_state(&w->rows), .arena = w->a };
}

static void policy_freep(struct policy **p)
{
        policy_free(*p);
}

static struct policy *policy_at(struct rows *rows)
{
        const Shuyi__V1__DocumentRow *row = ROWS_GET(rows, &shuyi__v1__document_row__descriptor, TABLE_POLICY, (struct bytes){ 0 });

        return row ? policy_parse(bytes_of_field(row->bytes_), NULL, NULL) : NULL;
}

/* ---- catalog ---- */

static enum refusal judge_submit(struct bundle_walk *w, struct bundle_step *s, const char **ret_detail)
{
        const Shuyi__V1__CatSubmitBody *body = (const void *)s->claim->open_body;
        struct rows rows = rows_at(w);
        enum refusal no = judge_signers(w, s, BY_OFFICER_APPROVER);

        if (no != ACCEPTED)
                return no;
        if (!body->entry || strcmp(body->entry->provider_code, s->claim->intent->from) != 0)
                return C_003;
        *ret_detail = "agent";
        return rows_agent_in_force(&rows, s->claim->intent->from, bytes_of_field(s->claim->intent->agent), time_of(s)) ? ACCEPTED : G_FIELD;
}

/* "344001/17" of "344001"? */
static bool code_fits(const char *resource, const char *class)
{
        size_t n = strlen(class), digits = strlen(resource) > n ? strspn(resource + n + 1, "0123456789") : 0;

        return n > 0 && strncmp(resource, class, n) == 0 && resource[n] == '/' && digits > 0 && digits < 20 && resource[n + 1] != '0' && !resource[n + 1 + digits];
}

static bool same_person(const struct bundle_step *a, const struct bundle_step *b)
{
        for (unsigned i = 0; i < a->claim->signers_n; i++)
                for (unsigned k = 0; k < b->claim->signers_n; k++)
                        if (memcmp(a->signers[i].id.b, b->signers[k].id.b, ID_BYTES) == 0)
                                return true;
        return false;
}

static void publish(struct bundle_walk *w, struct bundle_step *s, const struct bundle_step *submit)
{
        const Shuyi__V1__CatSubmitBody *body = (const void *)submit->claim->open_body;
        Shuyi__V1__VersionRow v = SHUYI__V1__VERSION_ROW__INIT;
        uint8_t version[4];

        v.entry = body->entry;
        v.matter = s->claim->intent->object;
        v.agent = submit->claim->intent->agent;
        v.submit_digest = field_of_bytes(bytes_digest(&submit->claim->header_digest));
        v.publish_digest = field_of_bytes(bytes_digest(&s->claim->header_digest));
        put_be32(version, 1);
        keep_fault(w, bundle_rows_put_row(&w->rows, TABLE_VERSION, (const struct bytes[]){ bytes_of(version, 4), bytes_str(w->resource) }, 2, &v.base));
        w->matter = bytes_of_field(s->claim->intent->object);
        w->approve = s;
        w->report->entry = body->entry;
}

static enum refusal judge_approve(struct bundle_walk *w, struct bundle_step *s, const char **ret_detail)
{
        const Shuyi__V1__CatApproveBody *body = (const void *)s->claim->open_body;
        const struct bundle_step *submit = bundle_find(w, s, bytes_of_field(body->submit_digest));
        const Shuyi__V1__CatSubmitBody *submitted;
        struct bytes object = bytes_of_field(s->claim->intent->object), matter;
        enum refusal no = judge_signers(w, s, BY_OPERATOR);

        if (no != ACCEPTED)
                return no;
        *ret_detail = "submission";
        if (!submit || submit->claim->kind->number != KIND_CAT_SUBMIT || w->approve)
                return E_NOT_FOUND;
        submitted = (const void *)submit->claim->open_body;
        matter = submit->claim->intent->object.len ? bytes_of_field(submit->claim->intent->object) : bytes_digest(&submit->claim->header_digest);
        if (!submitted->entry || !bytes_equal(matter, object))
                return E_NOT_FOUND;
        if (same_person(s, submit))
                return G_SEPARATION;
        *ret_detail = "resource code";
        if (w->resource[0] && !code_fits(w->resource, submitted->entry->resource_code))
                return C_002;
        publish(w, s, submit);
        return ACCEPTED;
}

static enum refusal judge_return(struct bundle_walk *w, struct bundle_step *s, const char **ret_detail)
{
        return judge_signers(w, s, BY_OPERATOR);
}

static enum refusal judge_freeze(struct bundle_walk *w, struct bundle_step *s, const char **ret_detail)
{
        return judge_signers(w, s, BY_SEC_ADMIN);
}

/* ---- applications and grants ---- */

static enum bundle_fault fault_of(const struct kind *k)
{
        return k->number == KIND_GET || k->number == KIND_CONSENT || k->number == KIND_CONSENT_PART ? BUNDLE_GRANT : BUNDLE_ACT;
}

static enum refusal load_asked(struct bundle_walk *w, struct rows *rows, const struct policy *policy, const struct claim *claim, struct wall_time at,
                               struct asked *ret, const char **ret_detail)
{
        enum refusal no = policy ? asked_load(rows, policy, claim, at, ret) : E_NO_POLICY;

        if (no == ACCEPTED)
                no = asked_check(ret, false);
        if (policy)
                *ret_detail = arena_strdup(w->a, ret->detail);
        if (!*ret_detail)
                *ret_detail = "";
        return rows->fault ? E_BOUND : no;
}

static enum refusal judge_request(struct bundle_walk *w, struct bundle_step *s, const char **ret_detail)
{
        struct rows rows = rows_at(w);
        _cleanup_(policy_freep) struct policy *policy = policy_at(&rows);

        return load_asked(w, &rows, policy, s->claim, time_of(s), &(struct asked){ 0 }, ret_detail);
}

static const struct bundle_step *request_of(const struct bundle_walk *w, const struct bundle_step *s)
{
        const struct bundle_step *r = bundle_find(w, s, bytes_of_field(s->claim->intent->request));

        return r && r->claim->kind->number == KIND_REQ_SUBMIT ? r : NULL;
}

/* A reply says what it answers, or nothing. */
static bool answers(const struct bundle_step *s, const struct bundle_step *request)
{
        struct bytes answered = bytes_of_field(s->claim->intent->in_reply_to);

        return answered.n == 0 || bytes_equal(answered, bytes_digest(&request->claim->header_digest));
}

static enum refusal judge_refuse(struct bundle_walk *w, struct bundle_step *s, const char **ret_detail)
{
        struct rows rows = rows_at(w);
        _cleanup_(policy_freep) struct policy *policy = policy_at(&rows);
        const struct bundle_step *request = request_of(w, s);
        Shuyi__V1__RequestRow *row = NULL;
        struct asked asked;
        enum refusal no = request ? load_asked(w, &rows, policy, request->claim, (struct wall_time){ request->claim->intent->created_at }, &asked, ret_detail) : E_NOT_FOUND;

        if (no == ACCEPTED)
                row = asked_request_row(&asked);
        if (row)
                no = decision_check_persons(&rows, policy, row, s->claim, time_of(s));
        if (row && no == ACCEPTED)
                no = !decision_items_fit(row, s->claim) ? G_ITEMS : answers(s, request) ? ACCEPTED : G_FIELD;
        return no;
}

/* The grant that the bundle is about: of the transfer's row, the one that the act opened, or the one that it names. */
static struct bytes grant_meant(const struct bundle_walk *w)
{
        if (w->update)
                return w->row ? bytes_of_field(w->row->grant) : (struct bytes){ 0 };
        return fault_of(w->act->claim->kind) == BUNDLE_GRANT ? bytes_digest(&w->act->claim->header_digest) : bytes_of_field(w->act->claim->intent->grant);
}

static void name_grant(struct bundle_walk *w)
{
        struct bytes id = grant_meant(w);
        struct rows rows = rows_at(w);
        const struct bundle_step *decision = id.n == DIGEST_BYTES ? bundle_find(w, w->last, id) : NULL;
        const Shuyi__V1__GrantRow *g = decision ? rows_grant(&rows, id) : NULL;
        const Shuyi__V1__PersonRow *user, *approver;

        if (!g)
                return;
        user = rows_person(&rows, g->consumer, bytes_of_field(g->user));
        approver = rows_person(&rows, g->consumer, bytes_of_field(g->approver));
        w->report->grant = g;
        w->report->decision = decision;
        w->report->user = user && user->staff ? user->staff->name : "";
        w->report->approver = approver && approver->staff ? approver->staff->name : "";
}

static enum refusal judge_grant(struct bundle_walk *w, struct bundle_step *s, const char **ret_detail)
{
        const struct bundle_step *request = s->claim->kind->number == KIND_GET ? NULL : request_of(w, s);
        struct bytes id = bytes_digest(&s->claim->header_digest);
        struct grant_facts facts = { .row = NULL };
        enum refusal no = E_NOT_FOUND;
        int f;

        if (request && !answers(s, request))
                return G_FIELD;
        f = grant_check(bundle_rows_state(&w->rows), w->a, request ? request->claim : NULL, s->claim, time_of(s), &no, &facts);

        if (f == 0 && no == ACCEPTED)
                f = bundle_rows_put_row(&w->rows, TABLE_GRANT, &id, 1, &facts.row->base);
        keep_fault(w, f);
        if (f < 0)
                return E_BOUND;
        return no;
}

static enum refusal judge_withdraw(struct bundle_walk *w, struct bundle_step *s, const char **ret_detail)
{
        const struct bundle_step *request = request_of(w, s);
        enum refusal no = judge_signers(w, s, BY_APPROVER);

        if (no != ACCEPTED)
                return no;
        return request && strcmp(request->claim->intent->from, s->claim->intent->from) == 0 ? ACCEPTED : E_NOT_FOUND;
}

static enum refusal judge_subscribe(struct bundle_walk *w, struct bundle_step *s, const char **ret_detail)
{
        struct rows rows = rows_at(w);
        bool by_agent = s->claim->signers[0].capacity == ROLE_AGENT;
        enum refusal no = judge_signers(w, s, by_agent ? BY_AGENT : BY_OFFICER);
        const Shuyi__V1__GrantRow *g = rows_grant(&rows, bytes_of_field(s->claim->intent->grant));

        if (no != ACCEPTED)
                return no;
        if (!g || strcmp(g->consumer, s->claim->intent->from) != 0)
                return E_NOT_FOUND;
        return by_agent && !bytes_equal(bytes_of_field(g->agent), bytes_id(&s->signers[0].id)) ? E_ROLE : ACCEPTED;
}

static enum refusal judge_staff_return(struct bundle_walk *w, struct bundle_step *s, const char **ret_detail)
{
        return judge_signers(w, s, BY_SEC_ADMIN);
}

static enum refusal judge_purge(struct bundle_walk *w, struct bundle_step *s, const char **ret_detail)
{
        return judge_signers(w, s, BY_OPERATOR_AND_AUDITOR);
}

static enum refusal judge_system(struct bundle_walk *w, struct bundle_step *s, const char **ret_detail)
{
        return judge_signers(w, s, BY_SYSTEM);
}

static enum refusal judge_agent(struct bundle_walk *w, struct bundle_step *s, const char **ret_detail)
{
        return judge_signers(w, s, BY_AGENT);
}

static const struct { uint16_t kind; judge_fn judge; } judges[] = {
        { KIND_ANCHOR, judge_rules }, { KIND_CREDENTIAL, judge_rules }, { KIND_DEPARTMENT, judge_rules }, { KIND_FILE, judge_rules },
        { KIND_ACCEPT, judge_rules }, { KIND_STAFF_RETURN, judge_staff_return }, { KIND_STAFF_CHANGE, judge_rules }, { KIND_REVOKE, judge_rules },
        { KIND_SEAL_KEY, judge_rules }, { KIND_POLICY_SET, judge_rules }, { KIND_CALENDAR_SET, judge_rules }, { KIND_CLOCK, judge_rules },
        { KIND_CAT_SUBMIT, judge_submit }, { KIND_CAT_RETURN, judge_return }, { KIND_CAT_APPROVE, judge_approve }, { KIND_FREEZE, judge_freeze },
        { KIND_UNFREEZE, judge_freeze }, { KIND_GET, judge_grant }, { KIND_REQ_SUBMIT, judge_request }, { KIND_CONSENT, judge_grant },
        { KIND_CONSENT_PART, judge_grant }, { KIND_REFUSE, judge_refuse }, { KIND_WITHDRAW, judge_withdraw }, { KIND_GRANT_SUSPEND, judge_rules },
        { KIND_GRANT_RESUME, judge_rules }, { KIND_GRANT_TERMINATE, judge_rules }, { KIND_GRANT_END, judge_rules }, { KIND_SUBSCRIBE, judge_subscribe },
        { KIND_PURGE, judge_purge }, { KIND_VIEW_EPOCH, judge_agent }, { KIND_UPDATE, judge_agent }, { KIND_DELIVERY_RECEIPT, judge_agent },
};

static judge_fn judge_of(const struct kind *k)
{
        for (size_t i = 0; i < ELEMENTS(judges); i++)
                if (judges[i].kind == k->number)
                        return judges[i].judge;
        return k->class == KIND_SYSTEM ? judge_system : NULL;
}

bool bundle_act(struct bundle_walk *w, struct bundle_step *s)
{
        judge_fn judge = judge_of(s->claim->kind);
        const char *detail = "";
        enum refusal no = !judge ? E_NOT_YET : in_time(s) ? judge(w, s, &detail) : E_FORM;

        if (no != ACCEPTED)
                bundle_note(w, BUNDLE_AUTHORISED, fault_of(s->claim->kind), no, s, detail);
        else if (s == w->epoch || s == w->update || s == w->receipt)
                return bundle_stream(w, s);
        return no == ACCEPTED;
}

/* What was refused did nothing: it is not judged. */
void bundle_acts(struct bundle_walk *w)
{
        for (size_t i = 0; i < w->n && w->fault == 0; i++) {
                struct bundle_step *s = &w->steps[i];
                bool holds = check_signatures(w, s);

                name_signers(w, s);
                if (bundle_is_refused(s))
                        bundle_spare(w, BUNDLE_AUTHORISED);
                else if (holds)
                        s->stands = bundle_act(w, s);
                else
                        bundle_note(w, BUNDLE_AUTHORISED, BUNDLE_SIGNATURE, E_CRED, s, "");
        }
        name_grant(w);
        check_anchor(w);
}
