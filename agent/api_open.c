/* api_open: records of one transfer to this agent, opened again for evidence (PROTOCOL.md 17, RECORD).
 *
 * Asked with the epoch's header, the own row and the UPDATE, as a bundle holds them; the row's key is unwrapped with a seal key
 * that is still kept.  Nothing is stored.  Whether the links were authorised is the check's business, not this one's. */
#include "agent/api.h"
#include "agent/sealkeys.h"
#include "common/envelope.h"
#include "common/macro.h"
#include "common/merkle.h"
#include "common/record.h"
#include "common/seal.h"
#include "common/store.h"
#include <sodium.h>

struct opening {
        struct arena *a;
        struct agent *ag;
        struct state state;
        const struct claim *epoch, *update;
        const Shuyi__V1__AudienceRow *row;
        const Shuyi__V1__UpdateContent *content;
};

static bool take_links(struct opening *o, const json_t *body, struct http_reply *reply)
{
        struct bytes epoch, update, row;

        if (!api_base64(body, "epoch", o->a, reply, &epoch) || !api_base64(body, "update", o->a, reply, &update) || !api_base64(body, "row", o->a, reply, &row))
                return false;
        o->row = message_parse(o->a, &shuyi__v1__audience_row__descriptor, row);
        if (o->row && o->row->seal_key.len == 32 && envelope_parse_bare(o->a, epoch, &o->epoch) == ACCEPTED && envelope_parse(o->a, update, &o->update) == ACCEPTED &&
            o->epoch->kind->number == KIND_VIEW_EPOCH && o->update->kind->number == KIND_UPDATE)
                return true;
        api_problem(reply, 400, refusal_text(E_FORM)->code, "the body is not of the form", "epoch, row and update of one transfer, with the update's body");
        return false;
}

static bool unwrap(struct opening *o, uint8_t ret_key[KEY_BYTES])
{
        const Shuyi__V1__Intent *i = o->epoch->intent;
        struct digest view, key_id;
        uint8_t secret[32];
        bool ok = bytes_copy_exact(keep_bytes(i->view), view.b, DIGEST_BYTES) && bytes_copy_exact(keep_bytes(i->key_id), key_id.b, DIGEST_BYTES) &&
                  sealkeys_secret(o->ag, o->state, o->a, keep_bytes(o->row->seal_key), secret);

        if (ok)
                ok = view_key_unwrap(o->a, keep_bytes(o->row->wrapped), o->row->seal_key.data, secret, o->row, i->from, &view, i->view_epoch, &key_id, ret_key);
        sodium_memzero(secret, sizeof(secret));
        return ok;
}

/* NULL, or why it does not open. */
static const char *open_content(struct opening *o)
{
        struct bytes sealed = o->update->body;
        uint8_t key[KEY_BYTES], *plain = sealed.n > SEAL_OVERHEAD ? arena_alloc(o->a, sealed.n - SEAL_OVERHEAD) : NULL;
        bool ok;

        if (!plain || !unwrap(o, key))
                return "the key of this transfer is not kept here";
        ok = seal_open_update(key, o->update->intent_bytes, sealed, plain);
        sodium_memzero(key, sizeof(key));
        if (ok)
                o->content = message_parse(o->a, &shuyi__v1__update_content__descriptor, bytes_of(plain, sealed.n - SEAL_OVERHEAD));
        if (!o->content || o->content->seed.len != 32 || o->content->n_records > RECORDS_MAX)
                return "the body does not open";
        return NULL;
}

static json_t *record_json(const struct opening *o, const struct digest *leaves, size_t index)
{
        struct digest path[MERKLE_DEPTH_MAX], salt;
        json_t *steps = json_array();
        uint8_t number[4];
        unsigned n = merkle_records_path(leaves, o->content->n_records, index, path);

        put_be32(number, (uint32_t)index);
        salt = DIGEST_OF(CTX_RECORD_SALT, keep_bytes(o->content->seed), bytes_of(number, 4));
        for (unsigned i = 0; i < n; i++)
                json_array_append_new(steps, api_json_hex(bytes_digest(&path[i])));
        return json_pack("{s:I, s:o, s:o, s:o}", "index", (json_int_t)index, "salt", api_json_hex(bytes_of(salt.b, 16)), "record",
                         api_json_base64(keep_bytes(o->content->records[index])), "path", steps);
}

static json_t *records_json(const struct opening *o, const char *key)
{
        struct digest leaves[RECORDS_MAX];
        json_t *list = json_array();

        for (size_t i = 0; i < o->content->n_records; i++)
                leaves[i] = record_leaf(o->content->seed.data, (uint32_t)i, keep_bytes(o->content->records[i]));
        for (size_t i = 0; i < o->content->n_records; i++) {
                const Shuyi__V1__Record *r = message_parse(o->a, &shuyi__v1__record__descriptor, keep_bytes(o->content->records[i]));

                if (r && strcmp(r->key, key) == 0)
                        json_array_append_new(list, record_json(o, leaves, i));
        }
        return list;
}

static void answer(struct opening *o, const json_t *body, struct http_reply *reply)
{
        const char *key = json_string_value(json_object_get(body, "key")), *wrong;
        struct store_snapshot *snapshot = NULL;
        int r;

        if (!key || !take_links(o, body, reply)) {
                if (!key)
                        api_problem(reply, 400, refusal_text(E_FORM)->code, "the body is not of the form", "key");
                return;
        }
        r = store_snapshot_open(o->ag->store, &snapshot);
        if (r < 0) {
                api_fault(reply, "open", r);
                return;
        }
        o->state = store_snapshot_state(snapshot);
        wrong = open_content(o);
        store_snapshot_close(snapshot);
        if (wrong)
                api_refuse(reply, 409, E_SEAL, wrong);
        else
                api_reply(reply, 200, json_pack("{s:o}", "records", records_json(o, key)));
}

API_HANDLER(api_open)
{
        struct api *api = ctx;
        _cleanup_(arena_freep) struct arena *a = arena_new(API_ARENA_BYTES);
        struct opening o = { .a = a, .ag = api->ag };
        json_t *body = a ? api_body(rq, reply) : NULL;

        if (!a)
                api_busy(reply);
        if (body)
                answer(&o, body, reply);
        json_decref(body);
}
