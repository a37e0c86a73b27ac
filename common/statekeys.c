/* statekeys: see the header.  Credentials are ids and keys of fixed width; the walk is over three short tables. */
#include "common/statekeys.h"
#include "common/anchor.h"
#include "common/fold.h"
#include "common/macro.h"
#include <errno.h>

#define ROW_ARENA_MAX (1 << 20)

/* Calls `each` for the rows of a table, with an arena that lives as long as the row. */
static int walk(struct state state, enum table table, int (*each)(struct state, struct bytes key, struct bytes value, struct arena *a, void *to), void *to)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(ROW_ARENA_MAX);
        uint8_t prefix = (uint8_t)table, from[FOLD_KEY_MAX] = { (uint8_t)table };
        size_t from_n = 1;
        struct bytes key, value;
        int r;

        if (!a)
                return -ENOMEM;
        while ((r = state.ops->next(state.ctx, bytes_of(&prefix, 1), bytes_of(from, from_n), &key, &value)) > 0) {
                if (key.n + 1 > sizeof(from))
                        return -EBADMSG;
                memcpy(from, key.p, key.n);
                from[key.n] = 0;
                from_n = key.n + 1;
                arena_reset(a);
                r = each(state, bytes_of(from + 1, key.n - 1), arena_copy(a, value), a, to);
                if (r < 0)
                        return r;
        }
        return r;
}

static const Shuyi__V1__Credential *credential_of(struct bytes row_bytes, struct arena *a, const Shuyi__V1__CredentialRow **ret_row)
{
        const Shuyi__V1__CredentialRow *row = shuyi__v1__credential_row__unpack(arena_allocator(a), row_bytes.n, row_bytes.p);

        if (!row)
                return NULL;
        *ret_row = row;
        return shuyi__v1__credential__unpack(arena_allocator(a), row->credential.len, row->credential.data);
}

static int add_credential(struct state state, struct bytes key, struct bytes value, struct arena *a, void *to)
{
        const Shuyi__V1__CredentialRow *row;
        const Shuyi__V1__Credential *c = credential_of(value, a, &row);
        struct digest id;

        if (!c || !c->subject || c->subject->sign_key.len != 32 || !bytes_copy_exact(key, id.b, DIGEST_BYTES))
                return -EBADMSG;
        return keydir_add_credential(to, &id, c->suite, c->subject->sign_key.data, c->subject->department);
}

struct newest { struct keydir_builder *builder; uint8_t signed_anchor[256 * 1024]; size_t n; };

static int find_anchor(struct state state, struct bytes key, struct bytes value, struct arena *a, void *to)
{
        const Shuyi__V1__DocumentRow *row = shuyi__v1__document_row__unpack(arena_allocator(a), value.n, value.p);
        struct newest *newest = to;

        if (!row || row->bytes_.len > sizeof(newest->signed_anchor))
                return -EBADMSG;
        memcpy(newest->signed_anchor, row->bytes_.data, row->bytes_.len);       /* keys ascend: the last one stays */
        newest->n = row->bytes_.len;
        return 0;
}

static int add_roots(struct state state, struct keydir_builder *b)
{
        static _Thread_local struct newest newest;
        _cleanup_(arena_freep) struct arena *a = arena_new(ROW_ARENA_MAX);
        const Shuyi__V1__Anchor *anchor;
        int r;

        newest.n = 0;
        r = a ? walk(state, TABLE_ANCHOR, find_anchor, &newest) : -ENOMEM;
        if (r < 0 || newest.n == 0)
                return r;
        if (anchor_check(a, bytes_of(newest.signed_anchor, newest.n), &anchor))
                return -EBADMSG;
        for (size_t i = 0; i < anchor->n_roots && r == 0; i++) {
                struct digest id = root_key_id(anchor->roots[i]->suite, anchor->roots[i]->key.data);

                r = keydir_add_root(b, &id, anchor->roots[i]->suite, anchor->roots[i]->key.data);
        }
        return r;
}

static int add_link(struct state state, struct bytes key, struct bytes value, struct arena *a, void *to)
{
        const Shuyi__V1__AgentRow *agent = FOLD_ROW(state, a, shuyi__v1__agent_row__descriptor, TABLE_AGENT, value);
        const Shuyi__V1__CredentialRow *row = NULL;
        const Shuyi__V1__Credential *c = NULL;
        struct keydir_link link = { 0 };
        uint8_t buffer[FOLD_KEY_MAX];
        struct bytes found;

        if (!agent || key.n != 4 || agent->agent_id.len != ID_BYTES || agent->credential.len != DIGEST_BYTES)
                return -EBADMSG;
        if (state.ops->get(state.ctx, FOLD_KEY(buffer, TABLE_CREDENTIAL, bytes_of(agent->credential.data, DIGEST_BYTES)), &found) > 0)
                c = credential_of(arena_copy(a, found), a, &row);
        if (!c || !c->subject || c->subject->link_key.len != 32 || c->subject->sign_key.len != 32)
                return -EBADMSG;
        link.link = get_be32(key.p);
        memcpy(link.agent.b, agent->agent_id.data, ID_BYTES);
        memcpy(link.credential.b, agent->credential.data, DIGEST_BYTES);
        memcpy(link.sign_key, c->subject->sign_key.data, 32);
        memcpy(link.link_key, c->subject->link_key.data, 32);
        strncpy(link.department, agent->department, sizeof(link.department) - 1);
        link.revoked = agent->revoked || row->status == STATUS_REVOKED;
        return keydir_add_link(to, &link);
}

int statekeys_build(struct state state, struct keydir **ret)
{
        struct keydir_builder *b = keydir_builder_new();
        struct keydir *d;
        int r = b ? walk(state, TABLE_CREDENTIAL, add_credential, b) : -ENOMEM;

        if (r == 0)
                r = add_roots(state, b);
        if (r == 0)
                r = walk(state, TABLE_LINK, add_link, b);
        if (r < 0) {
                keydir_builder_free(b);
                return r;
        }
        d = keydir_build(b);
        if (!d)
                return -ENOMEM;
        *ret = d;
        return 0;
}

/* ---- the keys of the first entry ---- */

static int find_in_anchor(void *ctx, const struct digest *credential, enum role capacity, uint8_t ret_key[32], uint32_t *ret_suite)
{
        const Shuyi__V1__RootKey *root = capacity == ROLE_ROOT ? anchor_find_root(ctx, credential) : NULL;

        if (!root || root->key.len != 32)
                return 0;
        memcpy(ret_key, root->key.data, 32);
        *ret_suite = root->suite;
        return 1;
}

static const Shuyi__V1__Anchor *anchor_of(struct arena *a, struct bytes wire)
{
        const Shuyi__V1__AnchorBody *body;
        const Shuyi__V1__Anchor *anchor;
        const struct claim *claim;
        struct bytes packed;

        if (envelope_parse(a, wire, &claim) != ACCEPTED || claim->kind->number != KIND_ANCHOR || !claim->open_body)
                return NULL;
        body = (const void *)claim->open_body;
        packed = body->anchor ? message_pack(a, &body->anchor->base) : (struct bytes){ 0 };
        return packed.n > 0 && !anchor_check(a, packed, &anchor) ? anchor : NULL;
}

enum refusal statekeys_verify(struct arena *a, struct bytes wire, const struct keydir *d, bool first, const struct claim **ret)
{
        struct key_source keys = keydir_keys(d);

        if (first) {
                const Shuyi__V1__Anchor *anchor = anchor_of(a, wire);

                if (!anchor)
                        return E_FORM;
                keys = (struct key_source){ find_in_anchor, (void *)anchor };
        }
        return envelope_read_kept(a, wire, &keys, ret);
}

/* ---- of the log ---- */

const Shuyi__V1__Anchor *statekeys_anchor(struct state state, struct arena *a)
{
        const Shuyi__V1__MetaRow *meta = fold_meta(state, a);
        const Shuyi__V1__DocumentRow *row;
        const Shuyi__V1__Anchor *anchor;
        uint8_t number[4];

        if (!meta)
                return NULL;
        put_be32(number, meta->anchor_version);
        row = FOLD_ROW(state, a, shuyi__v1__document_row__descriptor, TABLE_ANCHOR, bytes_of(number, 4));
        return row && !anchor_check(a, bytes_of(row->bytes_.data, row->bytes_.len), &anchor) ? anchor : NULL;
}

bool statekeys_log(struct state state, struct arena *a, const char *origin, uint8_t ret[32])
{
        const Shuyi__V1__Anchor *anchor = statekeys_anchor(state, a);
        const Shuyi__V1__LogKey *log = anchor ? anchor_find_log(anchor, origin) : NULL;

        return log && bytes_copy_exact(bytes_of(log->key.data, log->key.len), ret, 32);
}
