/* reply: reasons and basis of a reply (REGULATIONS 6.2). */
#include "common/exchange/reply.h"

#include "common/exchange/catalog_rules.h"
#include "common/exchange/guards.h"
#include "common/exchange/scope.h"
#include "common/macro.h"

static enum refusal refuse(struct reply *r, enum refusal code, const char *detail)
{
        r->detail = detail;
        return code;
}

static bool granted(const struct reply *r, uint32_t item)
{
        return items_subset(&item, 1, r->intent->items, r->intent->n_items);
}

enum refusal reply_check_items(struct reply *r)
{
        size_t k = 0;

        if (r->intent->kind != KIND_CONSENT_PART)
                return r->body->n_refused == 0 ? ACCEPTED : refuse(r, G_ITEMS, "refused");
        for (size_t i = 0; i < r->request->n_items; i++) {
                if (granted(r, r->request->items[i]))
                        continue;
                if (k == r->body->n_refused || r->body->refused[k]->item_no != r->request->items[i])
                        return refuse(r, G_ITEMS, "refused");
                k++;
        }
        return k == r->body->n_refused ? ACCEPTED : refuse(r, G_ITEMS, "refused");
}

/* ---- which reasons, in which event ---- */

#define WHOLE 1u        /* REFUSE */
#define SINGLE 2u       /* an item of a CONSENT_PART */

enum basis_kind { BASIS_NOT_NEEDED, BASIS_OF_LEVELS, BASIS_OF_SECRECY_LAW, BASIS_OF_CONDITION };

static const struct { uint8_t in; enum basis_kind basis; } reasons[] = {
        [R_BASIS] = { WHOLE | SINGLE, BASIS_OF_LEVELS },
        [R_CONDITION] = { WHOLE | SINGLE, BASIS_OF_CONDITION },
        [R_PURPOSE] = { WHOLE | SINGLE, BASIS_NOT_NEEDED },             /* the profile's own article: ZS 19(3), 21 */
        [R_EXCESS] = { SINGLE, BASIS_NOT_NEEDED },                      /* the minimum rule itself: ZS 19(3) */
        [R_NOT_HELD] = { WHOLE | SINGLE, BASIS_NOT_NEEDED },            /* an impossibility, not a ground */
        [R_SECRET] = { WHOLE | SINGLE, BASIS_OF_SECRECY_LAW },
        [R_INCOMPLETE] = { WHOLE | SINGLE, BASIS_NOT_NEEDED },
};

static bool reason_allowed(const struct reply *r, uint32_t reason, unsigned in)
{
        if (reason == 0 || reason >= ELEMENTS(reasons) || !(reasons[reason].in & in))
                return false;
        return reason != R_INCOMPLETE || policy_is(r->policy, POLICY_incomplete, "MAY_REFUSE");
}

enum refusal reply_check_reasons(struct reply *r)
{
        if (r->intent->kind == KIND_REFUSE)
                return reason_allowed(r, r->body->reason, WHOLE) ? ACCEPTED : refuse(r, G_REASON, "reason");
        for (size_t i = 0; i < r->body->n_refused; i++)
                if (!reason_allowed(r, r->body->refused[i]->reason, SINGLE))
                        return refuse(r, G_REASON, "refused");
        return ACCEPTED;
}

/* ---- what a reason rests on ---- */

static unsigned condition_lines(struct reply *r)
{
        const struct scope *s = r->entry->share_scope[0] ? scope_parse(r->arena, r->entry->share_scope, NULL) : NULL;
        unsigned n = (s ? scope_lines(s) : 0) + (r->entry->share_condition[0] ? 1 : 0);

        for (const char *p = r->entry->share_condition; *p; p++)
                n += *p == '\n' && p[1];
        return n;
}

static bool cites_secrecy_law(const struct reply *r)
{
        for (size_t i = 0; i < r->body->n_basis; i++)
                if (r->body->basis[i]->level == BASIS_LAW && r->body->basis[i]->title[0])
                        return true;
        return false;
}

static enum refusal basis_of(struct reply *r, uint32_t reason)
{
        bool asked = policy_is(r->policy, POLICY_refuse_basis, "YES");

        switch (reasons[reason].basis) {
        case BASIS_OF_LEVELS:
                if (asked && !basis_accepted(r->body->basis, r->body->n_basis, r->policy, POLICY_refuse_basis_levels))
                        return refuse(r, G_BASIS, "basis");
                break;
        case BASIS_OF_SECRECY_LAW:
                if (asked && !cites_secrecy_law(r))
                        return refuse(r, G_BASIS, "basis");
                break;
        case BASIS_OF_CONDITION:                /* whatever the profile: no condition that was not published (NA 15) */
                if (r->body->condition_line < 1 || r->body->condition_line > condition_lines(r))
                        return refuse(r, G_BASIS, "condition_line");
                break;
        case BASIS_NOT_NEEDED:
                break;
        }
        return ACCEPTED;
}

enum refusal reply_check_basis(struct reply *r)
{
        enum refusal no = ACCEPTED;

        if (r->intent->kind == KIND_REFUSE)
                return basis_of(r, r->body->reason);
        for (size_t i = 0; i < r->body->n_refused && no == ACCEPTED; i++)
                no = basis_of(r, r->body->refused[i]->reason);
        return no;
}
