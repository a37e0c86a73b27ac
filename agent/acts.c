/* acts: see acts.h. */
#include "agent/acts.h"

#include <errno.h>
#include <sodium.h>

#include "agent/replica.h"
#include "common/exchange/catalog_rules.h"
#include "common/log.h"
#include "common/words.h"

const char *acts_state_text(uint32_t state)
{
        switch (state) {
        case ACT_KEPT: return "kept";
        case ACT_SENT: return "sent";
        case ACT_RECEIVED: return "received";
        default: return "unknown";
        }
}

/* ---- checks ---- */

static enum refusal check_times(const Shuyi__V1__Intent *in, struct wall_time now, const char **ret_detail)
{
        *ret_detail = "created_at";
        if (in->created_at > now.ms + SKEW_MS)
                return E_FORM;
        *ret_detail = "expires_at";
        if (in->expires_at <= now.ms)
                return E_FORM;
        *ret_detail = "";
        return ACCEPTED;
}

/* Acts of the agent's own kinds are made here and nowhere else. */
static enum refusal check_kind(const struct claim *c, const char **ret_detail)
{
        *ret_detail = c->kind->name;
        if (c->kind->later)
                return E_NOT_YET;
        if (c->kind->class != KIND_CONTROL || c->kind->number == KIND_DELIVERY_RECEIPT || c->kind->number == KIND_SEAL_KEY)
                return E_FORM;
        *ret_detail = "";
        return ACCEPTED;
}

static bool is_authority(struct rows *rows, const char *department)
{
        Shuyi__V1__DepartmentRow *row = rows_department(rows, department);

        return row && row->department && row->department->authority;
}

static bool revoked(struct rows *rows, const struct signer *s)
{
        Shuyi__V1__CredentialRow *row = rows_credential(rows, bytes_digest(&s->credential));

        return row && row->status == STATUS_REVOKED;
}

/* A wrong signature would use the act up at the center, and the right person's beside it.  What is unknown here the center decides. */
static bool lacks_role(struct rows *rows, const struct signer *s)
{
        Shuyi__V1__CredentialRow *row = s->capacity < ROLE_AGENT ? rows_credential(rows, bytes_digest(&s->credential)) : NULL;
        Shuyi__V1__Credential *c = row ? message_parse(rows->arena, &shuyi__v1__credential__descriptor, keep_bytes(row->credential)) : NULL;

        for (size_t i = 0; c && c->subject && i < c->subject->n_roles; i++)
                if (c->subject->roles[i] == (uint32_t)s->capacity)
                        return false;
        return c && c->subject;
}

/* Over this link only its own department's persons sign; FILE, DEPARTMENT and the root's acts may pass over the authority's. */
static enum refusal check_signers(struct agent *ag, struct rows *rows, const struct claim *c, const char **ret_detail)
{
        uint16_t kind = c->kind->number;
        bool any = kind == KIND_FILE || kind == KIND_DEPARTMENT || c->signers[0].capacity == ROLE_ROOT;

        *ret_detail = "from";
        if (strcmp(c->intent->domain, ag->self.domain) != 0)
                return E_DOMAIN;
        if (strcmp(c->intent->from, ag->self.department) != 0 && !(any && is_authority(rows, ag->self.department)))
                return E_CRED;
        for (unsigned i = 0; i < c->signers_n; i++)
                if (c->signers[i].capacity != ROLE_ROOT && revoked(rows, &c->signers[i]))
                        return E_CRED;
        for (unsigned i = 0; i < c->signers_n; i++)
                if (lacks_role(rows, &c->signers[i])) {
                        *ret_detail = word_name(LIST_role, c->signers[i].capacity);
                        return E_ROLE;
                }
        *ret_detail = "";
        return ACCEPTED;
}

static struct policy *policy_of(struct rows *rows)
{
        struct bytes value;
        uint8_t key = TABLE_POLICY;
        Shuyi__V1__DocumentRow *row;

        if (rows->state.ops->get(rows->state.ctx, bytes_of(&key, 1), &value) <= 0 ||
            keep_decode(rows->arena, value, &shuyi__v1__document_row__descriptor, &row) <= 0)
                return NULL;
        return policy_parse(keep_bytes(row->bytes_), NULL, NULL);
}

/* 4.5: a catalog entry is checked before it leaves the department. */
static enum refusal check_entry(struct agent *ag, struct rows *rows, const struct claim *c, struct wall_time now, const char **ret_detail)
{
        const Shuyi__V1__CatSubmitBody *body = (const Shuyi__V1__CatSubmitBody *)c->open_body;
        struct catalog_lookup lookup = { rows, ag->self.department, keep_bytes(c->intent->object), times_shanghai_day(now), rows->arena };
        struct catalog_results *results = ARENA_NEW(rows->arena, struct catalog_results);
        char *text = arena_alloc(rows->arena, CATALOG_CODES_TEXT);
        struct policy *policy = policy_of(rows);

        if (!policy || !results || !text || !body->entry) {
                policy_free(policy);
                return ACCEPTED;                /* nothing to check by: the center will */
        }
        catalog_check(body->entry, policy, &lookup, results);
        policy_free(policy);
        if (results->first == ACCEPTED)
                return ACCEPTED;
        catalog_format(results, false, text);
        *ret_detail = text;
        return results->first;
}

bool acts_signed_twice(struct arena *a, struct bytes wire)
{
        Shuyi__V1__Envelope *e = message_parse(a, &shuyi__v1__envelope__descriptor, wire);

        for (size_t i = 1; e && i < e->n_signatures; i++)
                for (size_t k = 0; k < i; k++)
                        if (bytes_equal(keep_bytes(e->signatures[i]->credential), keep_bytes(e->signatures[k]->credential)))
                                return true;
        return false;
}

enum refusal acts_check(struct agent *ag, struct state s, struct arena *a, struct bytes wire, struct wall_time now, const struct claim **ret,
                        const char **ret_detail)
{
        struct replica_keys keys = { s, ag->self.anchor, a };
        struct key_source source = replica_key_source(&keys);
        struct rows rows = { s, a, 0 };
        const struct claim *c;
        enum refusal r = envelope_verify(a, wire, &source, &c);

        *ret_detail = "";
        if (r == E_FORM && acts_signed_twice(a, wire)) {
                *ret_detail = "one credential signed twice";
                return G_SEPARATION;
        }
        if (r == ACCEPTED)
                r = check_kind(c, ret_detail);
        if (r == ACCEPTED)
                r = check_times(c->intent, now, ret_detail);
        if (r == ACCEPTED)
                r = check_signers(ag, &rows, c, ret_detail);
        if (r == ACCEPTED && c->kind->number == KIND_CAT_SUBMIT)
                r = check_entry(ag, &rows, c, now, ret_detail);
        if (r == ACCEPTED)
                *ret = c;
        return r;
}

/* ---- keeping ---- */

static struct agent_key act_key(const struct digest *d)
{
        return agent_key_bytes(agent_key(AGENT_ACT), bytes_digest(d));
}

int acts_find(struct state s, struct arena *a, const struct digest *d, Shuyi__Agent__ActRow **ret)
{
        struct agent_key k = act_key(d);

        return keep_get(s, a, &k, &shuyi__agent__act_row__descriptor, ret);
}

static int put_act(struct agent *ag, struct arena *a, const struct digest *d, const Shuyi__Agent__ActRow *row)
{
        struct agent_key k = act_key(d);

        return keep_put(ag->store, a, &k, &row->base);
}

static int keep(struct agent *ag, struct arena *a, const struct claim *c, struct wall_time now, bool remember)
{
        Shuyi__Agent__SealedRow sealed = SHUYI__AGENT__SEALED_ROW__INIT;
        Shuyi__Agent__ActRow row = SHUYI__AGENT__ACT_ROW__INIT;
        uint64_t number = 0;
        int r;

        sealed.envelope = keep_binary(c->wire);
        sealed.kind = c->kind->number;
        sealed.digest = keep_binary(bytes_digest(&c->header_digest));
        sealed.sealed_at = now.ms;
        r = outbox_add(ag, a, 0, &sealed, &number);
        if (r < 0 || !remember)
                return r;
        row.state = ACT_KEPT;
        row.outbox_seq = number;
        row.kept_at = now.ms;
        row.kind = c->kind->number;
        row.resource = c->intent->resource;
        row.to = c->intent->to;
        return put_act(ag, a, &c->header_digest, &row);
}

int acts_keep(struct agent *ag, struct arena *a, const struct claim *claim, struct wall_time now)
{
        Shuyi__Agent__ActRow *row;
        int r = acts_find(store_state(ag->store), a, &claim->header_digest, &row);

        if (r != 0)
                return r < 0 ? r : 0;
        r = keep(ag, a, claim, now, true);
        metrics_inc(ag->block, M_ACTS, 0);
        return r < 0 ? r : 1;
}

int acts_make(struct agent *ag, struct arena *a, Shuyi__V1__Intent *in, const ProtobufCMessage *body, struct wall_time now, bool remember, struct digest *ret)
{
        struct bytes packed = body ? message_pack(a, body) : (struct bytes){ 0 };
        const struct claim *c;
        uint8_t random[10];
        struct id id;

        randombytes_buf(random, sizeof(random));
        uuid7_make(now.ms, random, &id);
        in->suite = SUITE_1;
        in->id = keep_copy(a, bytes_id(&id));
        in->domain = ag->self.domain;
        in->from = ag->self.department;
        in->created_at = now.ms;
        in->expires_at = now.ms + EXPIRY_MAX_MS;
        in->seen = agent_seen(ag, a);
        c = envelope_issue(a, in, packed, &ag->self.credential, ROLE_AGENT, secret_peek(ag->self.keys.sign));
        if (!c)
                return arena_failed(a) ? -ENOMEM : -EINVAL;
        *ret = c->header_digest;
        return keep(ag, a, c, now, remember);
}

int acts_sent(struct agent *ag, struct arena *a, const struct digest *d)
{
        Shuyi__Agent__ActRow *row;
        int r = acts_find(store_state(ag->store), a, d, &row);

        if (r <= 0 || row->state != ACT_KEPT)
                return r < 0 ? r : 0;
        row->state = ACT_SENT;
        return put_act(ag, a, d, row);
}

int acts_settled(struct agent *ag, struct arena *a, const Shuyi__Agent__SealedRow *sent, const Shuyi__V1__ReceiptRow *receipt, struct bytes signed_receipt)
{
        Shuyi__Agent__ActRow *row;
        struct digest d;
        int r;

        if (!bytes_copy_exact(keep_bytes(sent->digest), d.b, DIGEST_BYTES))
                return -EBADMSG;
        log_event(receipt->code ? LOG_WARNING : LOG_INFO, "act.received", log_digest("envelope", &d), log_u64("kind", sent->kind),
                  log_u64("seq", receipt->seq), log_str("refusal", refusal_text(receipt->code)->code), log_str("detail", receipt->detail));
        r = acts_find(store_state(ag->store), a, &d, &row);
        if (r <= 0)
                return r;
        row->state = ACT_RECEIVED;
        row->seq = receipt->seq;
        row->accepted_at = receipt->accepted_at;
        row->code = receipt->code;
        row->detail = receipt->detail;
        row->leaf_hash = receipt->leaf_hash;
        row->receipt = keep_binary(signed_receipt);
        return put_act(ag, a, &d, row);
}
