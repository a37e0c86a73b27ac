/* chain: see chain.h. */
#include "agent/chain.h"

#include <errno.h>
#include <sodium.h>

#include "common/envelope.h"
#include "common/exchange/catalog_rules.h"
#include "common/exchange/exchange.h"
#include "common/merkle.h"
#include "common/record.h"
#include "common/seal.h"

struct bytes chain_key_what(struct arena *a, const struct digest *stream, uint32_t view_epoch)
{
        uint8_t *p = arena_alloc(a, DIGEST_BYTES + 4);

        if (!p)
                return (struct bytes){ 0 };
        memcpy(p, stream->b, DIGEST_BYTES);
        put_be32(p + DIGEST_BYTES, view_epoch);
        return bytes_of(p, DIGEST_BYTES + 4);
}

/* What every link of the stream says. */
static int begin(struct chain *c, uint32_t kind, Shuyi__V1__Intent *in)
{
        uint8_t random[10];
        struct id id;

        randombytes_buf(random, sizeof(random));
        uuid7_make(c->now.ms, random, &id);
        shuyi__v1__intent__init(in);
        in->suite = SUITE_1;
        in->id = keep_copy(c->arena, bytes_id(&id));
        in->kind = kind;
        in->domain = c->ag->self.domain;
        in->from = c->ag->self.department;
        in->view = c->view->view;
        in->view_epoch = c->view->view_epoch;
        in->resource = c->view->resource;
        in->resource_version = c->view->version;
        in->n_items = c->view->n_items;
        in->items = c->view->items;
        in->created_at = c->now.ms;
        in->expires_at = c->now.ms + EXPIRY_MAX_MS;
        in->seen = agent_seen(c->ag, c->arena);
        in->key_id = c->view->key_id;
        in->stream = keep_copy(c->arena, bytes_digest(&c->stream));
        in->stream_seq = c->view->head + 1;
        in->prev_digest = c->view->head_digest;
        return in->id.data && in->stream.data ? 0 : -ENOMEM;
}

static int secrecy(struct chain *c, Shuyi__V1__Intent *in)
{
        struct digest d = entry_secrecy_digest(c->arena, c->entry);

        if (digest_is_zero(&d))
                return 0;
        in->secrecy_review = keep_copy(c->arena, bytes_digest(&d));
        return in->secrecy_review.data ? 0 : -ENOMEM;
}

static int finish(struct chain *c, const Shuyi__V1__Intent *in, struct bytes body, Shuyi__Agent__SealedRow *ret)
{
        const struct claim *claim = envelope_issue(c->arena, in, body, c->credential, ROLE_AGENT, secret_peek(c->ag->self.keys.sign));

        if (!claim)
                return -ENOMEM;
        shuyi__agent__sealed_row__init(ret);
        ret->envelope = keep_binary(claim->wire);
        ret->kind = in->kind;
        ret->digest = keep_copy(c->arena, bytes_digest(&claim->header_digest));
        ret->stream = in->stream;
        ret->stream_seq = in->stream_seq;
        ret->records = in->record_count;
        ret->sealed_at = c->now.ms;
        ret->resource = c->view->number;
        c->view->head = in->stream_seq;
        c->view->head_digest = ret->digest;
        c->view->head_at = c->now.ms;
        return ret->digest.data ? 0 : -ENOMEM;
}

/* ---- VIEW_EPOCH ---- */

static int wrap_rows(struct chain *c, const struct view_group *g, Shuyi__V1__AudienceRow **rows, const uint8_t key[KEY_BYTES], uint32_t epoch)
{
        for (size_t i = 0; i < g->n; i++) {
                Shuyi__V1__ViewKey k = SHUYI__V1__VIEW_KEY__INIT;
                struct bytes wrapped;

                k.key = keep_binary(bytes_of(key, KEY_BYTES));
                k.grant = rows[i]->grant;
                k.agent = rows[i]->agent;
                k.view = c->view->view;
                k.view_epoch = epoch;
                wrapped = view_key_wrap(c->arena, &k, g->first[i].seal_key);
                if (!wrapped.p)
                        return -ENOMEM;
                rows[i]->wrapped = keep_binary(wrapped);
        }
        return 0;
}

static int rows_root(struct chain *c, Shuyi__V1__AudienceRow **rows, size_t n, Shuyi__V1__Intent *in)
{
        struct digest *leaves = ARENA_ARRAY(c->arena, struct digest, n);
        struct digest root;

        for (size_t i = 0; leaves && i < n; i++) {
                struct bytes packed = message_pack(c->arena, &rows[i]->base);

                if (!packed.p)
                        return -ENOMEM;
                leaves[i] = row_leaf(packed);
        }
        if (!leaves)
                return -ENOMEM;
        root = merkle_records_root(leaves, n);
        in->records_root = keep_copy(c->arena, bytes_digest(&root));
        in->record_count = (uint32_t)n;
        return in->records_root.data ? 0 : -ENOMEM;
}

static int new_key(struct chain *c, uint32_t epoch, uint8_t key[KEY_BYTES])
{
        struct digest view, id;
        struct bytes sealed;

        if (!bytes_copy_exact(keep_bytes(c->view->view), view.b, DIGEST_BYTES))
                return -EBADMSG;
        randombytes_buf(key, KEY_BYTES);
        id = view_key_id(c->ag->self.department, &view, epoch, key);
        sealed = vault_seal_in(c->ag->vault, c->arena, chain_key_what(c->arena, &c->stream, epoch), bytes_of(key, KEY_BYTES));
        if (!sealed.p)
                return -ENOMEM;
        c->view->key = keep_binary(sealed);
        c->view->key_id = keep_copy(c->arena, bytes_digest(&id));
        c->view->view_epoch = epoch;
        return c->view->key_id.data ? 0 : -ENOMEM;
}

static int name_audience(struct chain *c, const struct view_group *g)
{
        ProtobufCBinaryData *grants = ARENA_ARRAY(c->arena, ProtobufCBinaryData, g->n);

        for (size_t i = 0; grants && i < g->n; i++)
                grants[i] = keep_copy(c->arena, bytes_digest(&g->first[i].grant));
        c->view->audience = grants;
        c->view->n_audience = g->n;
        return grants ? 0 : -ENOMEM;
}

static int epoch_with_key(struct chain *c, const struct view_group *g, const uint8_t key[KEY_BYTES], Shuyi__Agent__SealedRow *ret)
{
        Shuyi__V1__ViewEpochBody body = SHUYI__V1__VIEW_EPOCH_BODY__INIT;
        Shuyi__V1__Intent in;
        struct bytes packed;
        int r = begin(c, KIND_VIEW_EPOCH, &in);

        body.rows = view_rows(c->arena, g);
        body.n_rows = g->n;
        if (r < 0 || !body.rows)
                return -ENOMEM;
        r = wrap_rows(c, g, body.rows, key, c->view->view_epoch);
        if (r == 0)
                r = rows_root(c, body.rows, g->n, &in);
        if (r == 0)
                r = secrecy(c, &in);
        if (r < 0)
                return r;
        packed = message_pack(c->arena, &body.base);
        return packed.p ? finish(c, &in, packed, ret) : -ENOMEM;
}

int chain_epoch(struct chain *c, const struct view_group *group, Shuyi__Agent__SealedRow *ret)
{
        uint8_t key[KEY_BYTES];
        int r = new_key(c, c->view->view_epoch + 1, key);

        if (r == 0)
                r = epoch_with_key(c, group, key, ret);
        sodium_memzero(key, sizeof(key));
        if (r == 0)
                r = name_audience(c, group);
        c->view->stale = false;
        return r;
}

/* ---- UPDATE ---- */

static int fill_content(struct chain *c, const struct bytes *records, size_t n, Shuyi__V1__UpdateContent *content, struct digest *ret_root)
{
        uint8_t *seed = arena_alloc(c->arena, 32);
        struct digest *leaves = ARENA_ARRAY(c->arena, struct digest, n);
        ProtobufCBinaryData *list = ARENA_ARRAY(c->arena, ProtobufCBinaryData, n);

        if (!seed || !leaves || !list)
                return -ENOMEM;
        randombytes_buf(seed, 32);
        for (size_t i = 0; i < n; i++)
                list[i] = keep_binary(records[i]);
        content->seed = keep_binary(bytes_of(seed, 32));
        content->agent = keep_binary(bytes_id(&c->ag->self.agent));
        content->stream = keep_binary(bytes_digest(&c->stream));
        content->records = list;
        content->n_records = n;
        *ret_root = record_root(seed, list, n, leaves);
        return 0;
}

static int seal_body(struct chain *c, const Shuyi__V1__Intent *in, struct bytes plain, struct bytes *ret)
{
        uint8_t nonce[24], *sealed = arena_alloc(c->arena, plain.n + SEAL_OVERHEAD);
        struct bytes intent = message_pack(c->arena, &in->base), key;

        if (!sealed || !intent.p)
                return -ENOMEM;
        if (!vault_unseal(c->ag->vault, c->arena, chain_key_what(c->arena, &c->stream, c->view->view_epoch), keep_bytes(c->view->key), &key) || key.n != KEY_BYTES)
                return -EBADMSG;
        randombytes_buf(nonce, sizeof(nonce));
        seal_update(key.p, intent, plain, nonce, sealed);
        sodium_memzero((uint8_t *)key.p, key.n);
        *ret = bytes_of(sealed, plain.n + SEAL_OVERHEAD);
        return 0;
}

int chain_update(struct chain *c, const struct bytes *records, size_t n, uint64_t oldest_changed_at, Shuyi__Agent__SealedRow *ret)
{
        Shuyi__V1__UpdateContent content = SHUYI__V1__UPDATE_CONTENT__INIT;
        Shuyi__V1__Intent in;
        struct digest root;
        struct bytes plain, sealed = { 0 };
        int r = begin(c, KIND_UPDATE, &in);

        if (r == 0)
                r = fill_content(c, records, n, &content, &root);
        if (r < 0)
                return r;
        in.medium = MEDIUM_NETWORK;
        in.oldest_changed_at = oldest_changed_at;
        in.record_count = (uint32_t)n;
        in.records_root = keep_copy(c->arena, bytes_digest(&root));
        r = secrecy(c, &in);
        plain = message_pack(c->arena, &content.base);
        if (r < 0 || !plain.p || !in.records_root.data)
                return -ENOMEM;
        r = seal_body(c, &in, plain, &sealed);
        return r < 0 ? r : finish(c, &in, sealed, ret);
}

int chain_head(struct chain *c, Shuyi__Agent__SealedRow *ret)
{
        Shuyi__V1__Intent in;
        int r = begin(c, KIND_STREAM_HEAD, &in);

        return r < 0 ? r : finish(c, &in, (struct bytes){ 0 }, ret);
}
