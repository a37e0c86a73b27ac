/* try: see try.h. */
#include "agent/try.h"

#include <errno.h>
#include <sodium.h>

#include "agent/sink/line.h"
#include "agent/view.h"
#include "common/envelope.h"
#include "common/record.h"
#include "common/seal.h"
#include "common/times.h"

struct trial {
        struct arena *a;
        const Shuyi__V1__Entry *entry;
        const uint32_t *items;
        size_t items_n;
        uint64_t now_ms;
        int32_t today;
        struct try_result *out;
        struct bytes *records;                  /* cut and packed */
        size_t records_n;
        uint8_t sign_public[32], sign_secret[64], view_key[KEY_BYTES];
        struct digest credential;
};

static void note(struct trial *t, size_t row, uint32_t item, const char *why)
{
        if (t->out->problems_n < TRY_PROBLEMS_MAX)
                t->out->problems[t->out->problems_n++] = (struct try_problem){ row, item, why };
}

/* ---- the provider's half ---- */

static bool name_values(struct trial *t, const Shuyi__V1__SampleRow *row, struct view_input *in)
{
        const char **names = ARENA_ARRAY(t->a, const char *, t->entry->n_items + 1), **values = ARENA_ARRAY(t->a, const char *, t->entry->n_items + 1);

        if (!names || !values)
                return false;
        for (size_t i = 0; i < t->entry->n_items; i++) {
                names[i] = t->entry->items[i]->name_en;
                values[i] = *row->values[i] || !t->entry->items[i]->nullable ? row->values[i] : NULL;
        }
        *in = (struct view_input){ .op = OP_UPSERT, .changed_at = t->now_ms, .names = names, .values = values, .n = t->entry->n_items };
        return true;
}

static int take_row(struct trial *t, size_t index)
{
        const Shuyi__V1__SampleRow *row = t->entry->sample[index];
        Shuyi__V1__Record *record;
        struct view_input in;
        struct bytes packed;
        uint32_t item = 0;
        const char *why = NULL;

        if (row->n_values != t->entry->n_items) {
                note(t, index, 0, "values");
                return 0;
        }
        if (!name_values(t, row, &in))
                return -ENOMEM;
        record = view_record(t->a, t->entry, &in, t->now_ms, t->today, &why, &item);
        packed = record ? message_pack(t->a, &record->base) : (struct bytes){ 0 };
        if (packed.p)
                packed = view_cut(t->a, t->entry, t->items, t->items_n, packed, t->today, &why, &item);
        if (packed.p)
                t->records[t->records_n++] = packed;
        else
                note(t, index, item, why);
        return arena_failed(t->a) ? -ENOMEM : 0;
}

static int fill_intent(struct trial *t, Shuyi__V1__Intent *in, struct bytes root)
{
        uint8_t random[10];
        struct id *id = ARENA_NEW(t->a, struct id);

        if (!id)
                return -ENOMEM;
        randombytes_buf(random, sizeof(random));
        uuid7_make(t->now_ms, random, id);
        in->suite = SUITE_1;
        in->id = (ProtobufCBinaryData){ ID_BYTES, id->b };
        in->kind = KIND_UPDATE;
        in->domain = (char *)"442000";
        in->resource = (char *)"000000/1";
        in->resource_version = 1;
        in->created_at = t->now_ms;
        in->record_count = (uint32_t)t->records_n;
        in->records_root = (ProtobufCBinaryData){ root.n, (uint8_t *)root.p };
        return 0;
}

static int seal(struct trial *t, struct bytes *ret)
{
        Shuyi__V1__UpdateContent content = SHUYI__V1__UPDATE_CONTENT__INIT;
        Shuyi__V1__Intent in = SHUYI__V1__INTENT__INIT;
        ProtobufCBinaryData *list = ARENA_ARRAY(t->a, ProtobufCBinaryData, t->records_n + 1);
        struct digest *leaves = ARENA_ARRAY(t->a, struct digest, t->records_n + 1), root;
        uint8_t *seed = arena_alloc(t->a, 32), nonce[24], *sealed;
        struct bytes plain, intent;

        if (!list || !leaves || !seed)
                return -ENOMEM;
        randombytes_buf(seed, 32);
        for (size_t i = 0; i < t->records_n; i++)
                list[i] = (ProtobufCBinaryData){ t->records[i].n, (uint8_t *)t->records[i].p };
        root = record_root(seed, list, t->records_n, leaves);
        content.seed = (ProtobufCBinaryData){ 32, seed };
        content.records = list;
        content.n_records = t->records_n;
        plain = message_pack(t->a, &content.base);
        if (!plain.p || fill_intent(t, &in, arena_copy(t->a, bytes_digest(&root))) < 0)
                return -ENOMEM;
        intent = message_pack(t->a, &in.base);
        sealed = arena_alloc(t->a, plain.n + SEAL_OVERHEAD);
        if (!intent.p || !sealed)
                return -ENOMEM;
        randombytes_buf(nonce, sizeof(nonce));
        seal_update(t->view_key, intent, plain, nonce, sealed);
        *ret = envelope_draft(t->a, &in, bytes_of(sealed, plain.n + SEAL_OVERHEAD));
        if (ret->p)
                *ret = envelope_sign(t->a, *ret, &t->credential, ROLE_AGENT, t->sign_secret);
        return ret->p ? 0 : -ENOMEM;
}

/* ---- the consumer's half ---- */

static int find_key(void *ctx, const struct digest *credential, enum role capacity, uint8_t ret_key[32], uint32_t *ret_suite)
{
        struct trial *t = ctx;

        if (capacity != ROLE_AGENT || !digest_equal(credential, &t->credential))
                return 0;
        memcpy(ret_key, t->sign_public, 32);
        *ret_suite = SUITE_1;
        return 1;
}

static int open_records(struct trial *t, struct bytes wire, Shuyi__V1__UpdateContent **ret)
{
        struct key_source keys = { find_key, t };
        const struct claim *c;
        uint8_t *plain;

        if (envelope_verify(t->a, wire, &keys, &c) != ACCEPTED || c->body.n < SEAL_OVERHEAD)
                return -EPROTO;
        plain = arena_alloc(t->a, c->body.n - SEAL_OVERHEAD + 1);
        if (!plain)
                return -ENOMEM;
        if (!seal_open_update(t->view_key, c->intent_bytes, c->body, plain))
                return -EPROTO;
        *ret = message_parse(t->a, &shuyi__v1__update_content__descriptor, bytes_of(plain, c->body.n - SEAL_OVERHEAD));
        return *ret && (*ret)->n_records == t->records_n ? 0 : -EPROTO;
}

static int append_line(struct trial *t, uint8_t *to, size_t *used, size_t room, size_t index, struct bytes packed)
{
        struct line_source source = { .resource = "000000/1", .version = 1, .stream_seq = 2, .index = (uint32_t)index, .entry = t->entry };
        Shuyi__V1__Record *r = message_parse(t->a, &shuyi__v1__record__descriptor, packed);
        uint32_t item = 0;
        struct bytes line;

        if (!r || record_check(t->entry, t->items, t->items_n, r, t->today, &item))
                return -EPROTO;
        line = line_format(t->a, &source, r);
        if (!line.p || line.n > room - *used)
                return -ENOMEM;
        memcpy(to + *used, line.p, line.n);
        *used += line.n;
        return 0;
}

static int write_lines(struct trial *t, const Shuyi__V1__UpdateContent *content)
{
        size_t room = 1024 * 1024, used = 0;
        uint8_t *to = arena_alloc(t->a, room);
        int r = to ? 0 : -ENOMEM;

        for (size_t i = 0; i < content->n_records && r == 0; i++)
                r = append_line(t, to, &used, room, i, bytes_of(content->records[i].data, content->records[i].len));
        t->out->lines = bytes_of(to, used);
        t->out->good = content->n_records;
        return r;
}

int try_entry(struct arena *a, const Shuyi__V1__Entry *entry, const uint32_t *items, size_t items_n, uint64_t now_ms, struct try_result *ret)
{
        struct trial t = { .a = a, .entry = entry, .items = items, .items_n = items_n, .now_ms = now_ms, .out = ret };
        Shuyi__V1__UpdateContent *content;
        struct bytes wire;
        int r = 0;

        *ret = (struct try_result){ .rows = entry->n_sample };
        t.today = times_shanghai_day((struct wall_time){ now_ms });
        if (!items)
                t.items = view_all_items(a, entry, &t.items_n);
        t.records = ARENA_ARRAY(a, struct bytes, entry->n_sample + 1);
        if (!t.records || !t.items)
                return -ENOMEM;
        crypto_sign_keypair(t.sign_public, t.sign_secret);
        randombytes_buf(t.view_key, sizeof(t.view_key));
        randombytes_buf(t.credential.b, sizeof(t.credential.b));
        for (size_t i = 0; i < entry->n_sample && i < RECORDS_MAX && r == 0; i++)
                r = take_row(&t, i);
        if (r < 0 || t.records_n == 0)
                return r;
        r = seal(&t, &wire);
        if (r == 0)
                r = open_records(&t, wire, &content);
        return r < 0 ? r : write_lines(&t, content);
}
