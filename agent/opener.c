/* opener: see opener.h. */
#include "agent/opener.h"

#include <errno.h>
#include <sodium.h>

#include "agent/replica.h"
#include "agent/sealkeys.h"
#include "common/envelope.h"
#include "common/exchange/grant_check.h"
#include "common/merkle.h"
#include "common/record.h"
#include "common/seal.h"
#include "common/words.h"

/* All that the steps share. */
struct opening_of {
        struct agent *ag;
        struct arena *a;
        struct rows rows;
        const struct digest *grant_id;
        const Shuyi__Agent__PendingRow *link;
        Shuyi__Agent__CursorRow *cursor;
        struct wall_time now;
        const struct claim *claim;
        Shuyi__V1__GrantRow *grant;
        Shuyi__V1__VersionRow *version;
        struct opened *out;
};

static bool later(struct opening_of *o, const char *why)
{
        o->out->result = OPENING_LATER;
        o->out->why = why;
        return false;
}

static bool breach(struct opening_of *o, enum refusal code, const char *why)
{
        o->out->result = OPENING_BREACH;
        o->out->code = code;
        o->out->why = why;
        if (o->out->count == 0)
                o->out->count = 1;
        return false;
}

struct bytes opener_key_what(struct arena *a, const struct digest *grant, uint32_t view_epoch)
{
        uint8_t *p = arena_alloc(a, DIGEST_BYTES + 5);

        if (!p)
                return (struct bytes){ 0 };
        memcpy(p, grant->b, DIGEST_BYTES);
        p[DIGEST_BYTES] = 'g';
        put_be32(p + DIGEST_BYTES + 1, view_epoch);
        return bytes_of(p, DIGEST_BYTES + 5);
}

/* ---- who says so ---- */

static bool open_grant(struct opening_of *o)
{
        Shuyi__Agent__ReplicaRow *head;
        struct replica_terms terms = replica_terms_now(o->ag, o->a);

        o->grant = rows_grant(&o->rows, bytes_digest(o->grant_id));
        if (!o->grant)
                return later(o, "the grant is not known yet");
        o->version = rows_version(&o->rows, o->grant->resource, o->grant->version);
        if (!o->version || !o->version->entry)
                return later(o, "the catalog entry is not known yet");
        if (replica_get(o->rows.state, o->a, &head) < 0)
                return later(o, "no trust head");
        if (!flow_may(FLOW_OPEN, replica_trust(head, &terms, o->now, replica_personal(o->version->entry), NULL)))
                return later(o, "the trust head is stale");
        return true;
}

static bool open_signature(struct opening_of *o)
{
        struct replica_keys keys = { o->rows.state, o->ag->self.anchor, o->a };
        struct key_source source = replica_key_source(&keys);
        struct bytes wire = keep_bytes(o->link->envelope);
        enum refusal r = o->link->row.len ? envelope_verify_bare(o->a, wire, &source, &o->claim) : envelope_verify(o->a, wire, &source, &o->claim);

        if (r != ACCEPTED && arena_failed(o->a))
                return later(o, "memory");
        if (r != ACCEPTED)
                return breach(o, r, "form or signature");
        o->out->kind = o->claim->kind->number;
        o->out->claim = o->claim;
        return true;
}

static bool open_signer(struct opening_of *o)
{
        const struct signer *s = &o->claim->signers[0];
        Shuyi__V1__CredentialRow *row;
        Shuyi__V1__Credential *c;

        if (o->claim->signers_n != 1 || s->capacity != ROLE_AGENT)
                return breach(o, E_ROLE, "not signed by one agent");
        row = rows_credential(&o->rows, bytes_digest(&s->credential));
        c = row ? rows_open_credential(&o->rows, row) : NULL;
        if (!c)
                return later(o, "the signer is not known yet");
        if (row->status == STATUS_REVOKED && row->revoke_reason == REVOKE_COMPROMISED)
                return breach(o, E_CRED, "the signer is revoked");
        if ((row->revoked_at && o->link->accepted_at > row->revoked_at) || o->link->accepted_at >= c->not_after)
                return breach(o, E_CRED, "accepted after the signer's end");
        if (!bytes_equal(keep_bytes(c->subject->id), keep_bytes(o->grant->serving_agent)) || strcmp(c->subject->department, o->grant->provider) != 0)
                return breach(o, E_ROLE, "not the agent that serves the grant");
        return true;
}

static bool fields_fit(const struct opening_of *o)
{
        const Shuyi__V1__Intent *in = o->claim->intent;
        struct digest view, stream;

        if (!bytes_copy_exact(keep_bytes(o->grant->view), view.b, DIGEST_BYTES))
                return false;
        stream = stream_id((const struct id *)o->grant->serving_agent.data, &view);
        return bytes_equal(keep_bytes(in->view), keep_bytes(o->grant->view)) && bytes_equal(keep_bytes(in->stream), bytes_digest(&stream)) &&
               strcmp(in->resource, o->grant->resource) == 0 && in->resource_version == o->grant->version &&
               in->stream_seq == o->link->stream_seq && strcmp(in->from, o->grant->provider) == 0;
}

static bool open_use(struct opening_of *o)
{
        const Shuyi__V1__Intent *in = o->claim->intent;
        const uint32_t *items = in->n_items ? in->items : o->grant->items;
        size_t n = in->n_items ? in->n_items : o->grant->n_items;
        enum refusal refusal = E_NOT_FOUND;

        if (!fields_fit(o))
                return breach(o, E_CONTENT, "the header is not of this grant's stream");
        if (grant_check_use(o->rows.state, o->a, o->grant, items, n, o->grant->purpose, o->grant->method, o->now, &refusal) < 0)
                return later(o, "state");
        if (refusal == G_ITEMS || refusal == G_PURPOSE || refusal == G_METHOD)
                return breach(o, refusal, "not within the grant");
        if (o->grant->state != GRANT_ACTIVE && o->grant->state != GRANT_SUSPENDED) {
                o->out->result = OPENING_OVER;
                o->out->why = "the grant has ended";
                return false;
        }
        return refusal == ACCEPTED ? true : later(o, "the grant may not be used now");
}

/* ---- VIEW_EPOCH ---- */

static bool row_in_root(const struct opening_of *o)
{
        const Shuyi__Agent__PendingRow *l = o->link;
        struct digest leaf = row_leaf(keep_bytes(l->row)), root, path[MERKLE_DEPTH_MAX];

        if (l->n_row_path > MERKLE_DEPTH_MAX || l->row_count != o->claim->intent->record_count ||
            !bytes_copy_exact(keep_bytes(o->claim->intent->records_root), root.b, DIGEST_BYTES))
                return false;
        for (size_t i = 0; i < l->n_row_path; i++)
                if (!bytes_copy_exact(keep_bytes(l->row_path[i]), path[i].b, DIGEST_BYTES))
                        return false;
        return merkle_records_check(&leaf, l->row_index, l->row_count, path, l->n_row_path, &root);
}

static bool row_fits(const struct opening_of *o, const Shuyi__V1__AudienceRow *row)
{
        const Shuyi__V1__GrantRow *g = o->grant;

        return bytes_equal(keep_bytes(row->grant), bytes_digest(o->grant_id)) && bytes_equal(keep_bytes(row->agent), bytes_id(&o->ag->self.agent)) &&
               row->channel == g->channel && strcmp(row->consumer, g->consumer) == 0 && strcmp(row->purpose, g->purpose) == 0 && row->method == g->method &&
               bytes_equal(keep_bytes(row->user), keep_bytes(g->user)) && bytes_equal(keep_bytes(row->approver), keep_bytes(g->approver));
}

static bool take_key(struct opening_of *o, const uint8_t key[KEY_BYTES])
{
        const Shuyi__V1__Intent *in = o->claim->intent;
        struct bytes sealed = vault_seal_in(o->ag->vault, o->a, opener_key_what(o->a, o->grant_id, in->view_epoch), bytes_of(key, KEY_BYTES));

        if (!sealed.p)
                return later(o, "memory");
        o->cursor->key = keep_binary(sealed);
        o->cursor->key_id = in->key_id;
        o->cursor->view_epoch = in->view_epoch;
        o->cursor->view = in->view;
        o->cursor->stream = in->stream;
        o->cursor->resource = in->resource;
        o->cursor->version = in->resource_version;
        return true;
}

static bool unwrap(struct opening_of *o, const Shuyi__V1__AudienceRow *row)
{
        const Shuyi__V1__Intent *in = o->claim->intent;
        uint8_t secret[32], key[KEY_BYTES];
        struct digest view, key_id;
        bool ok;

        if (!bytes_copy_exact(keep_bytes(in->view), view.b, DIGEST_BYTES) || !bytes_copy_exact(keep_bytes(in->key_id), key_id.b, DIGEST_BYTES))
                return breach(o, E_FORM, "view or key id");
        if (!sealkeys_secret(o->ag, o->rows.state, o->a, keep_bytes(row->seal_key), secret))
                return breach(o, E_SEAL, "wrapped to a seal key that is not ours");
        ok = view_key_unwrap(o->a, keep_bytes(row->wrapped), row->seal_key.data, secret, row, o->grant->provider, &view, in->view_epoch, &key_id, key);
        if (ok)
                ok = take_key(o, key);
        else
                breach(o, E_SEAL, "the view key does not open");
        sodium_memzero(secret, sizeof(secret));
        sodium_memzero(key, sizeof(key));
        return ok;
}

static bool open_epoch(struct opening_of *o)
{
        Shuyi__V1__AudienceRow *row = message_parse(o->a, &shuyi__v1__audience_row__descriptor, keep_bytes(o->link->row));

        if (!row)
                return breach(o, E_FORM, "audience row");
        if (!row_in_root(o))
                return breach(o, E_CONTENT, "the row is not under the epoch's root");
        if (!row_fits(o, row))
                return breach(o, E_CONTENT, "the row is not this grant's");
        return unwrap(o, row);
}

/* ---- UPDATE ---- */

static bool same_epoch(const struct opening_of *o)
{
        return o->claim->intent->view_epoch == o->cursor->view_epoch && bytes_equal(keep_bytes(o->claim->intent->key_id), keep_bytes(o->cursor->key_id));
}

static bool unseal(struct opening_of *o, struct bytes *ret)
{
        struct bytes key;
        uint8_t *plain;
        bool ok;

        if (o->claim->body.n < SEAL_OVERHEAD)
                return breach(o, E_FORM, "body");
        plain = arena_alloc(o->a, o->claim->body.n - SEAL_OVERHEAD + 1);
        if (!plain || !vault_unseal(o->ag->vault, o->a, opener_key_what(o->a, o->grant_id, o->cursor->view_epoch), keep_bytes(o->cursor->key), &key) ||
            key.n != KEY_BYTES)
                return later(o, "the view key is not at hand");
        ok = seal_open_update(key.p, o->claim->intent_bytes, o->claim->body, plain);
        sodium_memzero((uint8_t *)key.p, key.n);
        *ret = bytes_of(plain, o->claim->body.n - SEAL_OVERHEAD);
        return ok ? true : breach(o, E_SEAL, "the body does not open");
}

static bool content_fits(struct opening_of *o, const Shuyi__V1__UpdateContent *c)
{
        const Shuyi__V1__Intent *in = o->claim->intent;
        struct digest *leaves, root;

        if (c->seed.len != 32 || c->n_records == 0 || c->n_records > RECORDS_MAX || c->n_records != in->record_count)
                return breach(o, E_CONTENT, "record count");
        if (!bytes_equal(keep_bytes(c->agent), keep_bytes(o->grant->serving_agent)) || !bytes_equal(keep_bytes(c->stream), keep_bytes(in->stream)))
                return breach(o, E_CONTENT, "sealed by another agent or for another stream");
        leaves = ARENA_ARRAY(o->a, struct digest, c->n_records);
        if (!leaves)
                return later(o, "memory");
        root = record_root(c->seed.data, c->records, c->n_records, leaves);
        if (!bytes_equal(keep_bytes(in->records_root), bytes_digest(&root)))
                return breach(o, E_CONTENT, "records root");
        return true;
}

/* Every record once more against the entry, and nothing that was not granted. */
static bool records_fit(struct opening_of *o, const Shuyi__V1__UpdateContent *c)
{
        int32_t today = times_shanghai_day(o->now);
        uint32_t broken = 0, item = 0;
        const char *first = NULL;

        for (size_t i = 0; i < c->n_records; i++) {
                Shuyi__V1__Record *r = message_parse(o->a, &shuyi__v1__record__descriptor, keep_bytes(c->records[i]));
                const char *why = r ? record_check(o->version->entry, o->grant->items, o->grant->n_items, r, today, &item) : "form";

                if (why && arena_failed(o->a))
                        return later(o, "memory");
                if (why && !first)
                        first = why;
                broken += why != NULL;
        }
        o->out->count = broken;
        return first ? breach(o, E_CONTENT, first) : true;
}

static bool open_update(struct opening_of *o)
{
        Shuyi__Agent__OpenedRecords out = SHUYI__AGENT__OPENED_RECORDS__INIT;
        Shuyi__V1__UpdateContent *c;
        struct bytes plain;

        if (!same_epoch(o))
                return breach(o, E_STALE_EPOCH, "not of the epoch that is open");
        if (!unseal(o, &plain))
                return false;
        c = message_parse(o->a, &shuyi__v1__update_content__descriptor, plain);
        if (!c)
                return arena_failed(o->a) ? later(o, "memory") : breach(o, E_CONTENT, "content is not of the exact form");
        if (!content_fits(o, c) || !records_fit(o, c))
                return false;
        out.records = c->records;
        out.n_records = c->n_records;
        o->out->records = message_pack(o->a, &out.base);
        o->out->count = (uint32_t)c->n_records;
        return o->out->records.p ? true : later(o, "memory");
}

static bool open_body(struct opening_of *o)
{
        switch (o->out->kind) {
        case KIND_VIEW_EPOCH:
                return open_epoch(o);
        case KIND_UPDATE:
                return open_update(o);
        case KIND_NO_CHANGE:
        case KIND_STREAM_HEAD:
                return same_epoch(o) ? true : breach(o, E_STALE_EPOCH, "not of the epoch that is open");
        default:
                return breach(o, E_FORM, "not a link of a stream");
        }
}

int opener_open(struct agent *ag, struct arena *a, const struct digest *grant, Shuyi__Agent__CursorRow *c, const Shuyi__Agent__PendingRow *link,
                struct wall_time now, struct opened *ret)
{
        struct opening_of o = { .ag = ag, .a = a, .rows = { store_state(ag->store), a, 0 }, .grant_id = grant, .link = link, .cursor = c, .now = now, .out = ret };

        *ret = (struct opened){ .result = OPENING_DONE, .code = ACCEPTED };
        if (open_grant(&o) && open_signature(&o) && open_signer(&o) && open_use(&o) && open_body(&o))
                ret->result = OPENING_DONE;
        ret->grant = o.grant;
        ret->version = o.grant ? o.grant->version : 0;
        if (o.rows.fault < 0)
                return o.rows.fault;
        return arena_failed(a) ? -ENOMEM : 0;
}
