/* bundle_status: that what an act rests on was in force when it was taken (PROTOCOL.md 17.3, 5).
 *
 * The last entry is a TRUST_HEAD behind all others: what it calls ACTIVE since before an act was so all the time between.  What
 * changed later is asked of the TRUST_HEAD before the act, which must not be old. */
#include "common/bundle_internal.h"
#include "common/exchange/lookup.h"
#include "common/exchange/rows.h"
#include "common/policy.h"
#include "proto/log.pb-c.h"
#include "proto/registry.pb-c.h"
#include <stdlib.h>

#define HEAD_AGE_MS 300000                      /* where no policy says otherwise */

static const Shuyi__V1__MapLeaf *find(const struct bundle_step *head, const struct digest *object)
{
        for (size_t i = 0; head && i < head->entry->n_lookups; i++)
                if (memcmp(head->entry->lookups[i]->object.data, object->b, DIGEST_BYTES) == 0)
                        return head->entry->lookups[i];
        return NULL;
}

static void check_lookups(struct bundle_walk *w)
{
        for (size_t i = 0; i < w->n; i++) {
                const struct bundle_step *s = &w->steps[i];
                const Shuyi__V1__TrustHeadBody *body = (const void *)s->claim->open_body;
                struct digest root = { { 0 } };
                bool holds = true;

                if (s->claim->kind->number != KIND_TRUST_HEAD)
                        continue;
                holds = body && bytes_copy_exact(bytes_of_field(body->map_root), root.b, DIGEST_BYTES);
                for (size_t k = 0; k < s->entry->n_lookups && holds; k++)
                        holds = lookup_check(s->entry->lookups[k], &root);
                if (!holds)
                        bundle_note(w, BUNDLE_STATUS, BUNDLE_LOOKUP, ACCEPTED, s, "a lookup does not lead to the head's map root");
        }
}

/* ---- the newest of a kind is the one in force ---- */

static const struct bundle_step *newest(const struct bundle_walk *w, uint16_t kind)
{
        for (size_t i = w->n; i-- > 0;)
                if (w->steps[i].claim->kind->number == kind && !bundle_is_refused(&w->steps[i]))
                        return &w->steps[i];
        return NULL;
}

static void check_newest(struct bundle_walk *w, uint16_t kind, enum trust_kind trust)
{
        const struct bundle_step *s = newest(w, kind);
        struct digest object = turn_trust_object(trust, bytes_str(w->anchor->domain));
        const Shuyi__V1__MapLeaf *leaf = find(w->last, &object);

        if (!s && kind != KIND_ANCHOR && !w->update)
                return;                         /* before the first one; a transfer has both */
        if (!leaf || !s)
                bundle_note(w, BUNDLE_STATUS, BUNDLE_MISSING, ACCEPTED, s, word_name(LIST_trust_kind, trust));
        else if ( leaf->status != STATUS_ACTIVE || leaf->since_seq != s->entry->seq)
                bundle_note(w, BUNDLE_STATUS, BUNDLE_NOT_ACTIVE, ACCEPTED, s, word_name(LIST_trust_kind, trust));
}

/* ---- one object at one entry ---- */

static const struct bundle_step *head_before(const struct bundle_walk *w, const struct bundle_step *s)
{
        while (s-- > w->steps)
                if (s->claim->kind->number == KIND_TRUST_HEAD)
                        return s;
        return NULL;
}

/* trust_max_age_s of the policy that stood then, in ms. */
static uint64_t head_age(struct bundle_walk *w, const struct bundle_step *at)
{
        uint64_t age = HEAD_AGE_MS;

        for (const struct bundle_step *s = w->steps; s < at; s++) {
                const Shuyi__V1__PolicySetBody *body = (const void *)s->claim->open_body;
                struct policy *p;

                if (s->claim->kind->number != KIND_POLICY_SET || bundle_is_refused(s))
                        continue;
                p = policy_parse(bytes_of_field(body->canonical), NULL, NULL);
                if (p)
                        age = policy_number(p, POLICY_trust_max_age_s) * 1000ull;
                policy_free(p);
        }
        return age;
}

static bool active_at(const Shuyi__V1__MapLeaf *leaf, const struct bundle_step *s, uint64_t from, bool exactly)
{
        return leaf->status == STATUS_ACTIVE && leaf->since_seq < s->entry->seq && (exactly ? leaf->since_seq == from : leaf->since_seq >= from);
}

/* Was `object` ACTIVE when `s` was taken, since the entry `from` (exactly: that very one)? */
static void check_object(struct bundle_walk *w, const struct bundle_step *s, const struct digest *object, uint64_t from, bool exactly, const char *what)
{
        const Shuyi__V1__MapLeaf *now = find(w->last, object), *then;
        const struct bundle_step *before;

        if (!now) {
                bundle_note(w, BUNDLE_STATUS, BUNDLE_MISSING, ACCEPTED, s, what);
                return;
        }
        if (active_at(now, s, from, exactly))
                return;
        before = head_before(w, s);
        then = find(before, object);
        if (now->since_seq <= s->entry->seq || (then && !active_at(then, s, from, exactly)))
                bundle_note(w, BUNDLE_STATUS, BUNDLE_NOT_ACTIVE, ACCEPTED, s, what);
        else if (!then)
                bundle_note(w, BUNDLE_STATUS, BUNDLE_MISSING, ACCEPTED, s, what);
        else if (before->entry->accepted_at + head_age(w, s) < s->entry->accepted_at)
                bundle_note(w, BUNDLE_STATUS, BUNDLE_HEAD_AGE, ACCEPTED, s, what);
}

/* A credential that was revoked later: may it have been another's hand already? */
static void check_suspect(struct bundle_walk *w, const struct bundle_step *s, const struct digest *credential)
{
        const Shuyi__V1__MapLeaf *now = find(w->last, credential);
        const Shuyi__V1__RevokeBody *body = NULL;

        if (!now || now->status != STATUS_REVOKED)
                return;
        for (size_t i = 0; i < w->n; i++)
                if (w->steps[i].entry->seq == now->since_seq && w->steps[i].claim->kind->number == KIND_REVOKE && !bundle_is_refused(&w->steps[i]))
                        body = (const void *)w->steps[i].claim->open_body;
        if (!body)
                bundle_note(w, BUNDLE_STATUS, BUNDLE_MISSING, ACCEPTED, s, "the revocation");
        else if (body->reason == REVOKE_COMPROMISED && body->suspect_since_seq <= s->entry->seq)
                bundle_note(w, BUNDLE_STATUS, BUNDLE_SUSPECT, ACCEPTED, s, "signed by a key that was reported stolen");
}

static uint64_t entered_at(struct bundle_walk *w, const struct digest *credential)
{
        struct rows rows = { .state = bundle_rows_state(&w->rows), .arena = w->a };
        const Shuyi__V1__CredentialRow *row = rows_credential(&rows, bytes_digest(credential));

        return row ? row->from_seq : 0;
}

static void check_signers(struct bundle_walk *w, const struct bundle_step *s)
{
        for (unsigned i = 0; i < s->claim->signers_n; i++) {
                const struct signer *by = &s->claim->signers[i];

                if (by->capacity == ROLE_ROOT)
                        continue;
                check_object(w, s, &by->credential, entered_at(w, &by->credential), true, "credential");
                check_suspect(w, s, &by->credential);
        }
}

static void check_transfer(struct bundle_walk *w)
{
        struct digest grant, matter;

        if (!w->row || !bytes_copy_exact(bytes_of_field(w->row->grant), grant.b, DIGEST_BYTES) || !w->report->decision)
                bundle_note(w, BUNDLE_STATUS, BUNDLE_MISSING, ACCEPTED, w->update, "grant");
        else
                check_object(w, w->update, &grant, w->report->decision->entry->seq, false, "grant");
        if (!w->approve || !bytes_copy_exact(w->matter, matter.b, DIGEST_BYTES))
                bundle_note(w, BUNDLE_STATUS, BUNDLE_MISSING, ACCEPTED, w->update, "catalog version");
        else
                check_object(w, w->update, &matter, w->approve->entry->seq, false, "catalog version");
}

void bundle_status(struct bundle_walk *w)
{
        check_lookups(w);
        check_newest(w, KIND_ANCHOR, TRUST_ANCHOR);
        check_newest(w, KIND_POLICY_SET, TRUST_POLICY);
        check_newest(w, KIND_CALENDAR_SET, TRUST_CALENDAR);
        for (size_t i = 0; i < w->n && w->fault == 0; i++)
                if (!bundle_is_refused(&w->steps[i]))
                        check_signers(w, &w->steps[i]);
        if (w->update)
                check_transfer(w);
}
