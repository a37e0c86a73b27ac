/* trust: the replica's way through the rule tables, and what the broker sends for it. */
#include "common/exchange/trust.h"

#include "common/digest.h"
#include "common/exchange/admission.h"
#include "common/exchange/apply.h"
#include "common/exchange/effects.h"
#include "common/exchange/grant_check.h"
#include "common/exchange/memo.h"
#include "common/exchange/rows.h"
#include "common/exchange/signers.h"
#include "common/exchange/trust_map.h"

#include <errno.h>

struct digest trust_chain_next(struct bytes chain, const Shuyi__V1__TrustRecord *record, struct arena *a)
{
        struct bytes packed = message_pack(a, &record->base);

        if (!packed.p)
                return (struct digest){ { 0 } };
        return DIGEST_OF(CTX_TRUST_CHAIN, chain, packed);
}

/* ---- the broker's side ---- */

int trust_related_seq(struct state state, struct arena *a, const struct claim *claim, uint64_t *ret_seq)
{
        struct rows rows = { .state = state, .arena = a };
        Shuyi__V1__FilingRow *filing = NULL;
        Shuyi__V1__MatterRow *matter = NULL;
        Shuyi__V1__RequestRow *request = NULL;

        switch (claim->kind->number) {
        case KIND_ACCEPT:
                filing = ROWS_GET(&rows, &shuyi__v1__filing_row__descriptor, TABLE_FILING, bytes_of_field(claim->intent->object));
                break;
        case KIND_CAT_APPROVE:
                matter = rows_matter(&rows, bytes_of_field(claim->intent->object));
                break;
        case KIND_CONSENT:
        case KIND_CONSENT_PART:
                request = rows_request(&rows, bytes_of_field(claim->intent->request));
                break;
        default:
                break;
        }
        *ret_seq = filing ? filing->seq : matter ? matter->submit_seq : request ? request->submit_seq : 0;
        return rows.fault;
}

/* Acts of the catalog; an entry may be frozen by others too, which are not for everybody. */
static bool catalog_act(const struct claim *c)
{
        return c->kind->number == KIND_CAT_APPROVE || c->kind->number == KIND_FREEZE || c->kind->number == KIND_UNFREEZE;
}

static bool public_act(const Shuyi__V1__TrustRecord *record, const struct claim *c)
{
        return record->kind != TRUST_GRANT && record->kind != TRUST_VIEW_EPOCH && (record->kind != TRUST_CATALOG || catalog_act(c));
}

int trust_may_see(struct state state, struct arena *a, const Shuyi__V1__TrustRecord *record, const struct claim *claim, const char *department, bool *ret)
{
        struct rows rows = { .state = state, .arena = a };
        Shuyi__V1__GrantRow *grant;

        *ret = public_act(record, claim);
        if (record->kind != TRUST_GRANT)
                return 0;
        grant = rows_grant(&rows, bytes_of_field(record->object));
        *ret = grant && (strcmp(grant->consumer, department) == 0 || strcmp(grant->provider, department) == 0);
        return rows.fault;
}

/* ---- a turn over the replica ---- */

static int open_replica(struct exchange *x, struct state replica, const struct entry *entry, struct arena *a, struct turn *t)
{
        *t = (struct turn){ .exchange = x, .state = replica, .entry = entry, .claim = entry->claim, .arena = a, .now = entry->accepted_at,
                            .effects = effects_new(a), .replica = true };
        if (!t->effects)
                return -ENOMEM;
        t->intent = t->claim ? t->claim->intent : NULL;
        t->meta = turn_get_row(t, TURN_KEY(t, TABLE_META, (struct bytes){ 0 }), &shuyi__v1__meta_row__descriptor);
        if (!t->meta)
                return t->fault ? t->fault : -EBADMSG;
        return x ? memo_fill(x, t) : 0;
}

/* What an agent keeps of the effects: who is who and what is in force; neither feeds nor clocks nor filings. */
static bool kept(struct bytes key)
{
        switch (key.p[0]) {
        case TABLE_META:
        case TABLE_ANCHOR:
        case TABLE_DEPARTMENT:
        case TABLE_CREDENTIAL:
        case TABLE_KEY:
        case TABLE_PERSON:
        case TABLE_PERSON_DEPT:
        case TABLE_AGENT:
        case TABLE_LINK:
        case TABLE_DEPT_AGENT:
        case TABLE_POLICY:
        case TABLE_POLICY_OLD:
        case TABLE_CALENDAR:
        case TABLE_MATTER:
        case TABLE_RESOURCE:
        case TABLE_VERSION:
        case TABLE_CLASS:
        case TABLE_NAME:
        case TABLE_DATUM:
        case TABLE_GRANT:
        case TABLE_TRUST:
        case TABLE_TRUST_MAP:
        case TABLE_BUCKET:
        case TABLE_IDEM:                        /* an act that is told again is known by it, however old */
                return true;
        default:
                return false;
        }
}

static int close_replica(struct turn *t, const struct effect **ret, size_t *ret_n)
{
        struct effect *rows;
        size_t n = 0;

        turn_put_row(t, TURN_KEY(t, TABLE_META, (struct bytes){ 0 }), &t->meta->base);
        rows = ARENA_ARRAY(t->arena, struct effect, t->effects->n + 1);
        if (t->fault < 0 || !rows)
                return t->fault ? t->fault : -ENOMEM;
        for (size_t i = 0; i < t->effects->n; i++)
                if (kept(t->effects->rows[i].key))
                        rows[n++] = t->effects->rows[i];
        *ret = rows;
        *ret_n = n;
        return 0;
}

/* ---- what an act refers to, brought in front of it ---- */

/* The signer is, or was, somebody of that department with that role: the act itself was judged when it was made. */
static bool signed_by(struct turn *t, const struct claim *c, unsigned i, enum role role, struct bytes *ret_person)
{
        Shuyi__V1__CredentialRow *row = i < c->signers_n ? admission_row(t, bytes_digest(&c->signers[i].credential)) : NULL;
        Shuyi__V1__Credential *k = row && c->signers[i].capacity == role ? admission_credential(t, row) : NULL;

        if (!k || strcmp(k->subject->department, c->intent->from) != 0)
                return false;
        *ret_person = bytes_of_field(k->subject->id);
        for (size_t r = 0; r < k->subject->n_roles; r++)
                if (k->subject->roles[r] == role)
                        return true;
        return false;
}

static bool refers_to(struct bytes id, const struct claim *related)
{
        return bytes_equal(id, bytes_digest(&related->header_digest));
}

static enum refusal bring_filing(struct turn *t, const struct claim *filed)
{
        Shuyi__V1__FilingRow row = SHUYI__V1__FILING_ROW__INIT;
        struct bytes officer;

        if ((filed->kind->number != KIND_FILE && filed->kind->number != KIND_STAFF_CHANGE) || !filed->open_body ||
            !refers_to(bytes_of_field(t->intent->object), filed) || !signed_by(t, filed, 0, ROLE_DATA_OFFICER, &officer))
                return turn_refuse(t, E_NOT_FOUND, "filing");
        row.state = STAFF_FILED;
        row.department = filed->intent->from;
        row.filing = (Shuyi__V1__FileBody *)(void *)filed->open_body;
        row.officer = field_of_bytes(officer);
        if (filed->kind->number == KIND_STAFF_CHANGE)
                row.replaces = filed->intent->object;
        turn_put_row(t, TURN_KEY(t, TABLE_FILING, bytes_of_field(t->intent->object)), &row.base);
        return ACCEPTED;
}

/* The matter as it lay before the authority.  Whether it was frozen then is in no public act: the record says it. */
static enum refusal bring_matter(struct turn *t, const struct claim *submitted, bool frozen)
{
        const Shuyi__V1__CatSubmitBody *body = (const void *)submitted->open_body;
        struct bytes id = bytes_of_field(t->intent->object), officer, approver;
        Shuyi__V1__MatterRow row = SHUYI__V1__MATTER_ROW__INIT;
        bool first = submitted->intent->object.len == 0;

        if (submitted->kind->number != KIND_CAT_SUBMIT || !body || !body->entry ||
            (first ? !refers_to(id, submitted) : !bytes_equal(id, bytes_of_field(submitted->intent->object))) ||
            !signed_by(t, submitted, 0, ROLE_DATA_OFFICER, &officer) || !signed_by(t, submitted, 1, ROLE_APPROVER, &approver))
                return turn_refuse(t, E_NOT_FOUND, "submission");
        row.state = CAT_SUBMITTED;
        row.provider = submitted->intent->from;
        row.submit_digest = field_of_bytes(bytes_digest(&submitted->header_digest));
        row.pending = body->entry;
        row.agent = submitted->intent->agent;
        row.officer = field_of_bytes(officer);
        row.approver = field_of_bytes(approver);
        row.frozen = frozen;
        turn_put_row(t, TURN_KEY(t, TABLE_MATTER, id), &row.base);
        return ACCEPTED;
}

static enum refusal bring_related(struct turn *t, const struct claim *related, const Shuyi__V1__TrustRecord *record)
{
        switch (t->claim->kind->number) {
        case KIND_ACCEPT:
                return related ? bring_filing(t, related) : turn_refuse(t, E_NOT_FOUND, "filing");
        case KIND_CAT_APPROVE:
                return related ? bring_matter(t, related, record->status == STATUS_FROZEN) : turn_refuse(t, E_NOT_FOUND, "submission");
        default:
                return ACCEPTED;
        }
}

/* ---- records ---- */

static bool record_wellformed(const Shuyi__V1__TrustRecord *r)
{
        return r->object.len == DIGEST_BYTES && r->header_digest.len == DIGEST_BYTES && word_known(LIST_trust_kind, r->kind) &&
               word_known(LIST_trust_status, r->status);
}

/* Did this very record come out?  Its row is packed as it came in. */
static bool came_out(struct turn *t, const Shuyi__V1__TrustRecord *record)
{
        struct bytes own, packed = message_pack(t->arena, &record->base);

        return turn_get(t, TURN_KEY(t, TABLE_TRUST, turn_u64(t, record->trust_seq)), &own) && bytes_equal(own, packed);
}

/* Public acts: the registry, the settings, the catalog; and what persons do to a grant that this agent has. */
static enum refusal judge_act(struct turn *t, const Shuyi__V1__TrustRecord *record, const struct claim *related)
{
        enum refusal r;

        r = bring_related(t, related, record);
        if (r == ACCEPTED)
                r = apply_again(t);
        if (r == ACCEPTED && t->fault == 0 && !came_out(t, record))
                r = turn_refuse(t, E_FORM, "record");
        return r;
}

/* A freeze by an act that is not public (a reply that says R_SECRET): the flag alone, and to the safe side only. */
static enum refusal note_frozen(struct turn *t, const Shuyi__V1__TrustRecord *record)
{
        struct bytes key = TURN_KEY(t, TABLE_MATTER, bytes_of_field(record->object));
        Shuyi__V1__MatterRow *row = turn_get_row(t, key, &shuyi__v1__matter_row__descriptor);

        if (record->status != STATUS_FROZEN)
                return turn_refuse(t, E_NOT_FOUND, "envelope");
        if (row) {
                row->frozen = true;
                turn_put_row(t, key, &row->base);
        }
        return ACCEPTED;
}

static bool opens_grant(const struct claim *c)
{
        return c && (c->kind->number == KIND_GET || c->kind->number == KIND_CONSENT || c->kind->number == KIND_CONSENT_PART);
}

static bool moves_grant(const struct claim *c)
{
        return c && (c->kind->number == KIND_GRANT_SUSPEND || c->kind->number == KIND_GRANT_RESUME || c->kind->number == KIND_GRANT_TERMINATE ||
                     c->kind->number == KIND_GRANT_END);
}

/* A grant is derived by its parties, never asserted. */
static void derive_grant(struct turn *t, struct bytes key, const struct claim *related, struct trust_outcome *ret)
{
        struct grant_facts facts = { .row = NULL };
        int r = grant_check(t->state, t->arena, related, t->claim, t->now, &ret->grant, &facts);

        if (r < 0)
                t->fault = t->fault ? t->fault : r;
        else if (ret->grant == ACCEPTED)
                turn_put_row(t, key, &facts.row->base);
}

/* Stopped or ended by what is not shown (its time, a withdrawn application): believed, since nothing flows by it.  Nothing
 * but a person's act gives a grant back. */
static enum refusal stop_grant(struct turn *t, struct bytes key, Shuyi__V1__GrantRow *row, uint32_t status)
{
        if (status == STATUS_ACTIVE)
                return turn_refuse(t, E_NOT_FOUND, "envelope");
        if (row->state == GRANT_ACTIVE || row->state == GRANT_SUSPENDED)
                row->state = status == STATUS_SUSPENDED ? GRANT_SUSPENDED : GRANT_ENDED;
        turn_put_row(t, key, &row->base);
        return ACCEPTED;
}

static enum refusal take_grant(struct turn *t, const Shuyi__V1__TrustRecord *record, const struct claim *related, struct trust_outcome *ret)
{
        struct bytes key = TURN_KEY(t, TABLE_GRANT, bytes_of_field(record->object));
        Shuyi__V1__GrantRow *row = turn_get_row(t, key, &shuyi__v1__grant_row__descriptor);
        enum refusal r = ACCEPTED;

        if (row && moves_grant(t->claim))
                return judge_act(t, record, related);
        if (row)
                r = stop_grant(t, key, row, record->status);
        else if (record->status == STATUS_ACTIVE && opens_grant(t->claim) &&
                 bytes_equal(bytes_of_field(record->object), bytes_digest(&t->claim->header_digest)))
                derive_grant(t, key, related, ret);
        if (r == ACCEPTED)
                turn_put_trust(t, record);
        return r;
}

static enum refusal take(struct turn *t, const Shuyi__V1__TrustRecord *record, const struct claim *related, struct trust_outcome *ret)
{
        enum refusal r = ACCEPTED;

        if (t->claim && public_act(record, t->claim))
                return judge_act(t, record, related);
        switch (record->kind) {
        case TRUST_CATALOG:
                r = note_frozen(t, record);
                break;
        case TRUST_GRANT:
                return take_grant(t, record, related, ret);
        case TRUST_VIEW_EPOCH:
                break;
        default:
                return turn_refuse(t, E_NOT_FOUND, "envelope");
        }
        if (r == ACCEPTED)
                turn_put_trust(t, record);
        return r;
}

static enum refusal check_record(struct turn *t, const Shuyi__V1__TrustRecord *record)
{
        if (!record_wellformed(record) || record->trust_seq != t->meta->trust_seq + 1 || record->seq < t->meta->seq)
                return turn_refuse(t, E_FORM, "trust_seq");
        if (t->now.ms < t->meta->accepted_at)
                return turn_refuse(t, E_FORM, "accepted_at");   /* nobody's act is put before the revocation that ended him */
        if (t->claim && !bytes_equal(bytes_of_field(record->header_digest), bytes_digest(&t->claim->header_digest)))
                return turn_refuse(t, E_FORM, "header_digest");
        return ACCEPTED;
}

int trust_replica_apply(struct exchange *x, struct state replica, const Shuyi__V1__TrustRecord *record, const struct claim *claim,
                        const struct claim *related, struct wall_time accepted_at, struct arena *a, struct trust_outcome *ret)
{
        struct entry entry = { .epoch = 1, .seq = record->seq, .accepted_at = accepted_at, .claim = claim };
        struct turn *t = ARENA_NEW(a, struct turn);
        int r;

        *ret = (struct trust_outcome){ .code = ACCEPTED, .grant = ACCEPTED, .detail = "" };
        if (!t)
                return -ENOMEM;
        r = open_replica(x, replica, &entry, a, t);
        if (r < 0)
                return r;
        if (record->trust_seq <= t->meta->trust_seq) {
                ret->known = came_out(t, record);
                ret->code = ret->known ? ACCEPTED : turn_refuse(t, E_FORM, "another record");
        } else {
                ret->code = check_record(t, record);
                if (ret->code == ACCEPTED)
                        ret->code = take(t, record, related, ret);
                if (ret->code == ACCEPTED && effects_over(t->effects))
                        ret->code = turn_refuse(t, E_BOUND, "");
        }
        ret->detail = arena_strdup(a, t->detail);
        if (t->fault < 0 || !ret->detail)
                return t->fault ? t->fault : -ENOMEM;
        if (ret->code != ACCEPTED || ret->known)
                return 0;
        t->meta->seq = record->seq;
        t->meta->accepted_at = accepted_at.ms;
        return close_replica(t, &ret->effects, &ret->effects_n);
}

/* ---- acts without records ---- */

int trust_judge(struct exchange *x, struct state replica, const struct claim *claim, const struct claim *related, uint64_t seq,
                struct wall_time accepted_at, struct arena *a, struct trust_outcome *ret)
{
        struct entry entry = { .epoch = 1, .seq = seq, .accepted_at = accepted_at, .claim = claim };
        struct turn *t = ARENA_NEW(a, struct turn);
        int r;

        *ret = (struct trust_outcome){ .code = ACCEPTED, .grant = ACCEPTED, .detail = "" };
        if (!t)
                return -ENOMEM;
        r = open_replica(x, replica, &entry, a, t);
        if (r < 0)
                return r;
        if (claim->kind->number == KIND_ACCEPT)
                ret->code = related ? bring_filing(t, related) : turn_refuse(t, E_NOT_FOUND, "filing");
        if (ret->code == ACCEPTED)
                ret->code = apply_again(t);
        if (ret->code == ACCEPTED && effects_over(t->effects))
                ret->code = turn_refuse(t, E_BOUND, "");
        ret->detail = arena_strdup(a, t->detail);
        if (t->fault < 0 || !ret->detail)
                return t->fault ? t->fault : -ENOMEM;
        if (ret->code != ACCEPTED)
                return 0;
        t->meta->seq = seq;
        t->meta->accepted_at = accepted_at.ms;
        return close_replica(t, &ret->effects, &ret->effects_n);
}

int trust_judge_signers(struct exchange *x, struct state replica, const struct claim *claim, struct wall_time accepted_at, enum by by,
                        struct arena *a, enum refusal *ret)
{
        struct entry entry = { .epoch = 1, .accepted_at = accepted_at, .claim = claim };
        struct turn *t = ARENA_NEW(a, struct turn);
        int r;

        if (!t)
                return -ENOMEM;
        r = open_replica(x, replica, &entry, a, t);
        if (r < 0)
                return r;
        *ret = signers_resolve(t);
        if (*ret == ACCEPTED)
                *ret = signers_check_suspended(t);
        if (*ret == ACCEPTED)
                *ret = signers_check(t, by);
        return t->fault;
}

/* ---- heads ---- */

static bool by_broker(struct turn *t)
{
        const struct claim *c = t->claim;
        Shuyi__V1__CredentialRow *row = c->signers_n == 1 && c->signers[0].capacity == ROLE_SYSTEM ? admission_row(t, bytes_digest(&c->signers[0].credential))
                                                                                                  : NULL;
        Shuyi__V1__Credential *k = row && row->status == STATUS_ACTIVE ? admission_credential(t, row) : NULL;

        return k && k->subject->kind == SUBJECT_BROKER && t->now.ms >= k->not_before && t->now.ms < k->not_after &&
               strcmp(c->intent->domain, t->meta->domain) == 0;
}

static enum trust_head_state judge_head(struct turn *t)
{
        const Shuyi__V1__TrustHeadBody *body = (const void *)t->claim->open_body;
        struct digest root;

        if (t->claim->kind->number != KIND_TRUST_HEAD || !body)
                return TRUST_HEAD_BROKEN;
        if (body->trust_seq > t->meta->trust_seq)
                return TRUST_HEAD_EARLY;        /* its signer, too, may be among what is missing */
        if (!by_broker(t))
                return TRUST_HEAD_BROKEN;
        if (body->trust_seq < t->meta->trust_seq)
                return TRUST_HEAD_LOWER;
        root = trust_map_root(t);
        if (!field_equal(body->chain, t->meta->trust_chain) || !bytes_equal(bytes_of_field(body->map_root), bytes_digest(&root)))
                return TRUST_HEAD_BROKEN;
        t->meta->trust_head_seq = body->trust_seq;
        t->meta->trust_head_at = t->now.ms;
        return TRUST_HEAD_HOLDS;
}

int trust_head_check(struct state replica, const struct claim *claim, struct wall_time accepted_at, struct arena *a,
                     enum trust_head_state *ret, const struct effect **ret_effects, size_t *ret_effects_n)
{
        struct entry entry = { .epoch = 1, .accepted_at = accepted_at, .claim = claim };
        struct turn *t = ARENA_NEW(a, struct turn);
        int r;

        if (!t)
                return -ENOMEM;
        r = open_replica(NULL, replica, &entry, a, t);
        if (r < 0)
                return r;
        *ret = judge_head(t);
        *ret_effects = NULL;
        *ret_effects_n = 0;
        if (t->fault < 0)
                return t->fault;
        return *ret == TRUST_HEAD_HOLDS ? close_replica(t, ret_effects, ret_effects_n) : 0;
}
