/* hostile: see the header. */
#include "tests/integration/hostile.h"

#include "common/times.h"
#include "proto/audit.pb-c.h"
#include "tests/lib/unit.h"

#include <sodium.h>
#include <stdlib.h>

/* ---- the stage ---- */

struct hostile *hostile_new(const char *program, const char *extra)
{
        struct hostile *h = calloc(1, sizeof(*h));

        h->s = stage_new(program, extra);
        stage_go_live(h->s);
        h->mallory = city_join(h->s->m->c, CITY_HEALTH, "mallory");
        h->epoch = h->next[0] = h->next[1] = 1;
        assert_true(stage_tell(h->s));
        hostile_quiet(h);
        return h;
}

void hostile_free(struct hostile *h)
{
        hostile_close(h);
        stage_free(h->s);
        free(h);
}

/* ---- nothing has happened ---- */

static struct live_agent *watcher(struct hostile *h)
{
        return stage_agent(h->s, h->s->m->c->authority_agent);
}

static uint64_t last_seq(struct hostile *h)
{
        const Shuyi__V1__Page *page = live_read(watcher(h), READ_STATUS, (struct bytes){ 0 }, 0, (struct bytes){ 0 });
        const Shuyi__V1__StatusRow *row;

        assert_refusal(page->code, ACCEPTED);
        row = message_parse(h->s->m->c->arena, &shuyi__v1__status_row__descriptor, bytes_of(page->rows[0].data, page->rows[0].len));
        assert_non_null(row);
        return row->seq;
}

/* True: an act that was refused; false: the broker's own.  Anything else ends the test. */
static bool is_refused_act(struct hostile *h, uint64_t seq)
{
        struct arena *a = h->s->m->c->arena;
        uint8_t key[8];
        const Shuyi__V1__Page *page;
        const Shuyi__V1__EntryRow *row;
        const struct claim *claim;

        put_be64(key, seq);
        page = live_read(watcher(h), READ_ENTRY, bytes_of(key, 8), 0, (struct bytes){ 0 });
        assert_refusal(page->code, ACCEPTED);
        row = message_parse(a, &shuyi__v1__entry_row__descriptor, bytes_of(page->rows[0].data, page->rows[0].len));
        assert_non_null(row);
        assert_refusal(envelope_parse(a, bytes_of(row->envelope.data, row->envelope.len), &claim), ACCEPTED);
        if (claim->kind->class == KIND_SYSTEM)
                return false;
        if (row->code == ACCEPTED)
                fail_msg("entry %llu, %s, was accepted", (unsigned long long)seq, claim->kind->name);
        return true;
}

void hostile_quiet(struct hostile *h)
{
        uint64_t now = last_seq(h);
        unsigned refused = 0;

        if (h->quiet_seq > 0)
                for (uint64_t seq = h->quiet_seq + 1; seq <= now; seq++)
                        refused += is_refused_act(h, seq);
        assert_int_equal(refused, h->answered);
        h->quiet_seq = now;
        h->answered = 0;
}

double hostile_count(struct hostile *h, const char *metric)
{
        return live_metric(&h->s->live, metric);
}

/* ---- the link ---- */

void hostile_close(struct hostile *h)
{
        if (h->a.live)
                live_close(&h->a);
}

void hostile_connect(struct hostile *h)
{
        hostile_close(h);
        live_connect(&h->s->live, h->mallory, &h->a);
        assert_false(h->a.denied);
}

void hostile_open(struct hostile *h)
{
        hostile_connect(h);
        hostile_hello(h, NULL);
        hostile_welcome(h);
}

void hostile_hello(struct hostile *h, void (*spoil)(Shuyi__V1__Hello *hello))
{
        Shuyi__V1__Hello hello = SHUYI__V1__HELLO__INIT;
        Shuyi__V1__Lane lanes[2] = { SHUYI__V1__LANE__INIT, SHUYI__V1__LANE__INIT }, *rows[2] = { &lanes[0], &lanes[1] };

        lanes[0].next = h->next[0];
        lanes[1].lane = 1;
        lanes[1].next = h->next[1];
        hello.protocol = 1;
        hello.domain = CITY_DOMAIN;
        hello.agent = (ProtobufCBinaryData){ ID_BYTES, h->mallory->id.b };
        hello.outbox_epoch = h->epoch;
        hello.n_lanes = 2;
        hello.lanes = rows;
        hello.parcel_frames = 8;
        hello.parcel_bytes = 1 << 20;
        if (spoil)
                spoil(&hello);
        h->a.welcome = NULL;
        h->a.bye = NULL;
        live_send(&h->a, FRAME_HELLO, &hello.base);
}

static bool has_welcome(struct live_agent *a, void *arg)
{
        return a->welcome != NULL;
}

void hostile_welcome(struct hostile *h)
{
        live_pump(&h->a, has_welcome, NULL, "WELCOME");
}

static bool has_bye(struct live_agent *a, void *arg)
{
        return a->bye != NULL;
}

void hostile_bye(struct hostile *h, enum refusal code)
{
        live_pump(&h->a, has_bye, NULL, "BYE");
        assert_refusal(h->a.bye->code, code);
        assert_true(*refusal_text(h->a.bye->code)->english && *refusal_text(h->a.bye->code)->chinese);
}

static bool is_gone(struct live_agent *a, void *arg)
{
        return a->down;
}

void hostile_cut_off(struct hostile *h)
{
        live_pump(&h->a, is_gone, NULL, "the end of the connection");
}

struct live_row hostile_put(struct hostile *h, uint8_t lane, struct bytes envelope)
{
        struct live_row row;

        h->a.epoch = h->epoch;
        h->a.next[lane] = h->next[lane]++;
        row = live_act(&h->a, lane, envelope);
        if (row.code != ACCEPTED && row.seq > 0)
                h->answered++;
        if (row.code == ACCEPTED)
                h->quiet_seq = row.seq;         /* what was meant to be taken */
        return row;
}

struct live_row hostile_act(struct hostile *h, struct bytes envelope)
{
        return hostile_put(h, 0, envelope);
}

/* ---- forging ---- */

void forge_id(struct forge *f)
{
        struct id *id = ARENA_NEW(f->arena, struct id);
        uint8_t random[10];

        randombytes_buf(random, sizeof(random));
        uuid7_make(f->intent.created_at, random, id);
        f->intent.id = (ProtobufCBinaryData){ ID_BYTES, id->b };
}

struct forge forge_get(struct hostile *h)
{
        struct market *m = h->s->m;
        Shuyi__V1__RequestBody body = SHUYI__V1__REQUEST_BODY__INIT;
        struct forge f = { .arena = m->c->arena, .intent = *market_ask(m, h->s->resource), .by = { { .who = m->health_user, .as = ROLE_USER }, { .who = m->health_approver, .as = ROLE_APPROVER } } };

        f.intent.suite = SUITE_1;
        f.intent.kind = KIND_GET;
        f.intent.domain = CITY_DOMAIN;
        f.intent.from = CITY_HEALTH;
        f.intent.created_at = times_wall().ms;
        f.intent.expires_at = f.intent.created_at + DAY_MS;
        forge_id(&f);
        body.need = "网格与区划对应";
        body.duty_basis = "三定方案";
        f.body = message_pack(f.arena, &body.base);
        return f;
}

static struct bytes join(struct arena *a, struct bytes one, struct bytes two)
{
        uint8_t *p = arena_alloc(a, one.n + two.n + 1);

        assert_non_null(p);
        memcpy(p, one.p, one.n);
        if (two.n > 0)
                memcpy(p + one.n, two.p, two.n);
        return bytes_of(p, one.n + two.n);
}

static size_t write_varint(uint8_t *to, uint64_t v)
{
        size_t n = 0;

        do {
                to[n++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
                v >>= 7;
        } while (v > 0);
        return n;
}

struct bytes forge_field(struct arena *a, uint32_t number, uint64_t value, struct bytes bytes)
{
        uint8_t *p = arena_alloc(a, bytes.n + 24);
        size_t n = write_varint(p, (uint64_t)number << 3 | (bytes.p ? 2 : 0));

        n += write_varint(p + n, bytes.p ? bytes.n : value);
        if (bytes.n > 0)
                memcpy(p + n, bytes.p, bytes.n);
        return bytes_of(p, n + bytes.n);
}

static struct bytes forge_header(const struct forge *f)
{
        Shuyi__V1__Header header = SHUYI__V1__HEADER__INIT;
        struct bytes intent = join(f->arena, message_pack(f->arena, &f->intent.base), f->intent_tail);
        struct digest body = digest_plain(f->said_body.p ? f->said_body : f->body);

        header.intent = (ProtobufCBinaryData){ intent.n, (uint8_t *)intent.p };
        header.body_digest = (ProtobufCBinaryData){ DIGEST_BYTES, body.b };
        header.body_bytes = (uint32_t)((int)f->body.n + f->more_bytes);
        return join(f->arena, message_pack(f->arena, &header.base), f->header_tail);
}

static struct bytes forge_signature(const struct forge *f, const struct forge_signer *by, const struct digest *header)
{
        Shuyi__V1__Signature s = SHUYI__V1__SIGNATURE__INIT;
        uint8_t said[ENVELOPE_SIGNED_BYTES], signature[64];

        envelope_signed_bytes(SUITE_1, by->as, &by->who->credential, header, said);
        crypto_sign_detached(signature, NULL, said, sizeof(said), (by->key ? by->key : by->who)->sign_secret);
        s.credential = (ProtobufCBinaryData){ DIGEST_BYTES, (uint8_t *)by->who->credential.b };
        s.capacity = by->said ? by->said : by->as;
        s.signature = (ProtobufCBinaryData){ sizeof(signature), signature };
        return join(f->arena, message_pack(f->arena, &s.base), f->signature_tail);
}

struct bytes forge_envelope(const struct forge *f)
{
        struct bytes header = forge_header(f), wire = forge_field(f->arena, 1, 0, header);
        struct digest digest = digest_plain(header);

        if (f->body.n > 0)
                wire = join(f->arena, wire, forge_field(f->arena, 2, 0, f->body));
        for (unsigned i = 0; i < FORGE_SIGNERS && f->by[i].who; i++)
                wire = join(f->arena, wire, forge_field(f->arena, 3, 0, forge_signature(f, &f->by[i], &digest)));
        return join(f->arena, wire, f->envelope_tail);
}
