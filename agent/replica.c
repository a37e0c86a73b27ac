/* replica: see replica.h. */
#include "agent/replica.h"
#include "agent/prover.h"

#include <errno.h>

#include "common/checkpoint.h"
#include "common/credential.h"
#include "common/exchange/trust.h"
#include "common/log.h"
#include "common/merkle.h"
#include "common/policy_keys.h"

/* ---- keys ---- */

static int find_root(const struct replica_keys *k, const struct digest *id, uint8_t ret_key[32], uint32_t *ret_suite)
{
        const Shuyi__V1__RootKey *root = anchor_find_root(k->anchor, id);

        if (!root || root->key.len != 32)
                return 0;
        memcpy(ret_key, root->key.data, 32);
        *ret_suite = root->suite;
        return 1;
}

static int find_key(void *ctx, const struct digest *credential, enum role capacity, uint8_t ret_key[32], uint32_t *ret_suite)
{
        struct replica_keys *k = ctx;
        struct rows rows = { k->state, k->arena, 0 };
        Shuyi__V1__CredentialRow *row;
        Shuyi__V1__Credential *c;

        if (capacity == ROLE_ROOT)
                return find_root(k, credential, ret_key, ret_suite);
        row = rows_credential(&rows, bytes_digest(credential));
        c = row ? rows_open_credential(&rows, row) : NULL;
        if (!c || !c->subject || c->subject->sign_key.len != 32)
                return 0;
        memcpy(ret_key, c->subject->sign_key.data, 32);
        *ret_suite = c->suite;
        return 1;
}

struct key_source replica_key_source(struct replica_keys *k)
{
        return (struct key_source){ find_key, k };
}

/* ---- heads ---- */

int replica_get(struct state s, struct arena *a, Shuyi__Agent__ReplicaRow **ret)
{
        struct agent_key k = agent_key(AGENT_REPLICA);
        int r = keep_get(s, a, &k, &shuyi__agent__replica_row__descriptor, ret);

        if (r != 0)
                return r < 0 ? r : 0;
        *ret = ARENA_NEW(a, Shuyi__Agent__ReplicaRow);
        if (!*ret)
                return -ENOMEM;
        shuyi__agent__replica_row__init(*ret);
        return 0;
}

int replica_put(struct store *s, struct arena *a, const Shuyi__Agent__ReplicaRow *row)
{
        struct agent_key k = agent_key(AGENT_REPLICA);

        return keep_put(s, a, &k, &row->base);
}

static int get_meta(struct state s, struct arena *a, Shuyi__V1__MetaRow **ret)
{
        uint8_t key = TABLE_META;
        struct bytes value;
        int r = s.ops->get(s.ctx, bytes_of(&key, 1), &value);

        return r > 0 ? keep_decode(a, value, &shuyi__v1__meta_row__descriptor, ret) : r;
}

static int put_effects(struct store *s, const struct effect *e, size_t n)
{
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++)
                r = e[i].remove ? store_del(s, STORE_STATE, e[i].key) : store_put(s, STORE_STATE, e[i].key, e[i].value);
        return r < 0 ? r : 0;
}

int replica_begin(struct agent *ag, struct arena *a)
{
        const struct effect *effects;
        Shuyi__V1__MetaRow *meta;
        size_t n;
        int r = get_meta(store_state(ag->store), a, &meta);

        if (r != 0)
                return r < 0 ? r : 0;
        r = exchange_genesis_effects(ag->self.domain, a, &effects, &n);
        return r < 0 ? r : put_effects(ag->store, effects, n);
}

/* Not believed: counted, told, and nothing written. */
static int reject(struct agent *ag, const Shuyi__V1__Parcel *p, const char *why, const char *detail)
{
        metrics_inc(ag->block, M_TRUST_BAD, 0);
        log_event(LOG_ERR, "trust.rejected", log_str("why", why), log_str("detail", detail), log_u64("trust_seq", p->cursor), log_u64("seq", p->seq));
        return -EBADMSG;
}

static enum refusal verify(struct agent *ag, struct arena *a, struct bytes wire, const struct claim **ret)
{
        struct replica_keys keys = { store_state(ag->store), ag->self.anchor, a };
        struct key_source source = replica_key_source(&keys);

        *ret = NULL;
        return wire.n ? envelope_verify(a, wire, &source, ret) : ACCEPTED;
}

/* ---- records ---- */

static int note_records(struct agent *ag, struct arena *a)
{
        Shuyi__Agent__ReplicaRow *row;
        Shuyi__V1__MetaRow *meta;
        int r = replica_get(store_state(ag->store), a, &row);

        if (r == 0)
                r = get_meta(store_state(ag->store), a, &meta);
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        row->record_seq = meta->trust_seq;
        row->record_chain = meta->trust_chain;
        return replica_put(ag->store, a, row);
}

static int take_record(struct agent *ag, struct arena *a, const Shuyi__V1__Parcel *p)
{
        const struct claim *claim, *related;
        struct trust_outcome out;
        int r;

        if (verify(ag, a, keep_bytes(p->envelope), &claim) != ACCEPTED || verify(ag, a, keep_bytes(p->related), &related) != ACCEPTED)
                return arena_failed(a) ? -ENOMEM : reject(ag, p, "envelope", "");
        r = trust_replica_apply(ag->exchange, store_state(ag->store), p->trust, claim, related, (struct wall_time){ p->accepted_at }, a, &out);
        if (r < 0)
                return r;
        if (out.code != ACCEPTED)
                return reject(ag, p, refusal_text(out.code)->code, out.detail);
        if (claim)
                prover_heard(ag->prover, a, claim->intent->seen, claim->wire);
        if (out.known)
                return 0;
        if (out.grant != ACCEPTED)
                log_event(LOG_ERR, "trust.grant_not_borne", log_hex("grant", keep_bytes(p->trust->object)), log_str("refusal", refusal_text(out.grant)->code));
        r = put_effects(ag->store, out.effects, out.effects_n);
        if (r == 0)
                r = note_records(ag, a);
        return r < 0 ? r : 1;
}

/* ---- heads ---- */

/* The leaf of the TRUST_HEAD's entry under the checkpoint, which the anchor's log key signed. */
static const char *prove(struct agent *ag, struct arena *a, const Shuyi__V1__Parcel *p, const struct claim *claim, struct checkpoint *ret)
{
        struct entry entry = { .epoch = p->epoch, .seq = p->seq, .accepted_at = { p->accepted_at }, .claim = claim };
        struct outcome outcome = { .code = ACCEPTED };
        uint8_t record[LEAF_RECORD_BYTES];
        struct digest leaf, path[MERKLE_DEPTH_MAX];
        const char *why = prover_check_note(ag, a, p->checkpoint, ret);

        if (why)
                return why;
        prover_shown(ag->prover, p->epoch, ret, p->checkpoint);
        if (p->seq == 0 || p->n_path > MERKLE_DEPTH_MAX || !bytes_copy_exact(keep_bytes(p->effects_digest), outcome.effects_digest.b, DIGEST_BYTES))
                return "form";
        for (size_t i = 0; i < p->n_path; i++)
                if (!bytes_copy_exact(keep_bytes(p->path[i]), path[i].b, DIGEST_BYTES))
                        return "path";
        exchange_leaf_record(ag->self.domain, &entry, &outcome, record);
        leaf = merkle_leaf(bytes_of(record, sizeof(record)));
        return merkle_check_inclusion(&leaf, p->seq - 1, ret->size, path, p->n_path, &ret->root) ? NULL : "not included";
}

static struct flow_head held_head(const Shuyi__Agent__ReplicaRow *row)
{
        struct flow_head h = { .trust_seq = row->trust_seq, .accepted_at = { row->head_at } };

        if (!bytes_copy_exact(keep_bytes(row->chain), h.digest.b, DIGEST_BYTES))
                return (struct flow_head){ 0 };
        return h;
}

static int keep_head(struct agent *ag, struct arena *a, const Shuyi__V1__Parcel *p, const struct claim *claim, const struct checkpoint *cp,
                     Shuyi__Agent__ReplicaRow *row)
{
        const Shuyi__V1__TrustHeadBody *body = (const void *)claim->open_body;

        row->trust_seq = body->trust_seq;
        row->chain = body->chain;
        row->map_root = body->map_root;
        row->head_at = p->accepted_at;
        row->head_seq = p->seq;
        row->log_epoch = p->epoch;
        row->log_size = cp->size;
        row->log_root = keep_copy(a, bytes_digest(&cp->root));
        row->checkpoint = p->checkpoint;
        return replica_put(ag->store, a, row);
}

static int judge_head(struct agent *ag, struct arena *a, const Shuyi__V1__Parcel *p, const struct claim *claim, const struct checkpoint *cp)
{
        const Shuyi__V1__TrustHeadBody *body = (const void *)claim->open_body;
        struct flow_head came = { .accepted_at = { p->accepted_at } }, held;
        Shuyi__Agent__ReplicaRow *row;
        const struct effect *effects;
        enum trust_head_state state;
        size_t n = 0;
        int r = trust_head_check(store_state(ag->store), claim, came.accepted_at, a, &state, &effects, &n);

        if (r == 0)
                r = replica_get(store_state(ag->store), a, &row);
        if (r < 0)
                return r;
        if (state == TRUST_HEAD_EARLY)
                return 0;                       /* its records come, and after them the head again */
        if (state != TRUST_HEAD_HOLDS)
                return reject(ag, p, state == TRUST_HEAD_LOWER ? "lower head" : "head", "");
        came.trust_seq = body->trust_seq;
        if (!bytes_copy_exact(keep_bytes(body->chain), came.digest.b, DIGEST_BYTES))
                return reject(ag, p, "chain", "");
        held = held_head(row);
        if (cp->size < row->log_size || flow_head_compare(&held, &came) == FLOW_HEAD_LOWER || flow_head_compare(&held, &came) == FLOW_HEAD_FORK)
                return reject(ag, p, "lower than a head held", "");
        r = put_effects(ag->store, effects, n);
        if (r == 0)
                r = keep_head(ag, a, p, claim, cp, row);
        return r < 0 ? r : 1;
}

static int take_head(struct agent *ag, struct arena *a, const Shuyi__V1__Parcel *p)
{
        const struct claim *claim;
        struct checkpoint cp;
        const char *why;

        if (verify(ag, a, keep_bytes(p->envelope), &claim) != ACCEPTED || !claim || claim->kind->number != KIND_TRUST_HEAD || !claim->open_body)
                return arena_failed(a) ? -ENOMEM : reject(ag, p, "head envelope", "");
        why = prove(ag, a, p, claim, &cp);
        return why ? reject(ag, p, "checkpoint", why) : judge_head(ag, a, p, claim, &cp);
}

int replica_take(struct agent *ag, struct arena *a, const Shuyi__V1__Parcel *p)
{
        int r = 0, h = 0;

        if (p->trust)
                r = take_record(ag, a, p);
        else if (!*p->checkpoint)
                return reject(ag, p, "empty parcel", "");
        if (r >= 0 && *p->checkpoint)
                h = take_head(ag, a, p);
        return r < 0 ? r : h < 0 ? h : r || h;
}

/* ---- terms ---- */

struct replica_terms replica_terms(struct state s, struct arena *a)
{
        struct replica_terms t = { REPLICA_MAX_AGE_MS, REPLICA_MAX_AGE_PERSONAL_MS, REPLICA_HEAD_MS };
        Shuyi__V1__DocumentRow *row;
        uint8_t key = TABLE_POLICY;
        struct policy *policy;
        struct bytes value;

        if (s.ops->get(s.ctx, bytes_of(&key, 1), &value) <= 0 || keep_decode(a, value, &shuyi__v1__document_row__descriptor, &row) <= 0)
                return t;
        policy = policy_parse(keep_bytes(row->bytes_), NULL, NULL);
        if (!policy)
                return t;
        t.max_age_ms = policy_number(policy, POLICY_trust_max_age_s) * 1000ull;
        t.max_age_personal_ms = policy_number(policy, POLICY_trust_max_age_personal_s) * 1000ull;
        t.head_ms = policy_number(policy, POLICY_trust_head_s) * 1000ull;
        policy_free(policy);
        return t;
}

struct replica_terms replica_terms_now(struct agent *ag, struct arena *a)
{
        struct state s = store_state(ag->store);
        uint8_t key = TABLE_POLICY;
        struct digest row;
        struct bytes value;

        if (s.ops->get(s.ctx, bytes_of(&key, 1), &value) <= 0)
                return replica_terms(s, a);
        row = digest_plain(value);
        if (!digest_equal(&row, &ag->terms_of)) {
                ag->terms = replica_terms(s, a);
                ag->terms_of = row;
        }
        return ag->terms;
}

enum flow_trust replica_trust(const Shuyi__Agent__ReplicaRow *row, const struct replica_terms *t, struct wall_time now, bool personal, uint64_t *ret_age_ms)
{
        struct flow_head h = held_head(row);
        enum flow_trust trust = flow_trust_judge(&h, now, personal ? t->max_age_personal_ms : t->max_age_ms, ret_age_ms);

        return row->halted ? FLOW_HALTED : trust;
}

bool replica_personal(const Shuyi__V1__Entry *entry)
{
        for (size_t i = 0; i < entry->n_items; i++)
                if (entry->items[i]->sensitivity > SENS_INTERNAL)
                        return true;
        return false;
}

/* ---- own resources ---- */

enum refusal replica_own_version(struct state s, struct arena *a, const char *resource, const struct id *agent, Shuyi__V1__VersionRow **ret, uint32_t *ret_version, int *ret_fault)
{
        struct rows rows = { s, a, 0 };
        Shuyi__V1__MatterRow *matter = NULL;
        Shuyi__V1__VersionRow *version = NULL;
        struct digest id;

        *ret_fault = 0;
        if (rows_find_matter(&rows, resource, &id))
                matter = rows_matter(&rows, bytes_digest(&id));
        if (matter && matter->version)
                version = rows_version(&rows, resource, matter->version);
        *ret_fault = rows.fault;
        if (!version || !version->entry)
                return E_NOT_FOUND;
        if (!bytes_equal(keep_bytes(version->agent), bytes_id(agent)))
                return E_ROLE;
        *ret = version;
        *ret_version = matter->version;
        return ACCEPTED;
}
