/* evidence: see the header. */
#include "tests/lib/evidence.h"
#include "common/checkpoint.h"
#include "common/merkle.h"
#include "proto/registry.pb-c.h"
#include <errno.h>
#include <stdlib.h>

static void *must(void *p)
{
        if (!p)
                abort();
        return p;
}

/* ---- the log as a source ---- */

static int entry(void *ctx, uint64_t seq, struct arena *a, struct bundle_log_entry *ret)
{
        struct evidence *e = ctx;
        const struct city_entry *c = seq && seq <= e->c->log_n ? &e->c->log[seq - 1] : NULL;

        if (!c)
                return 0;
        *ret = (struct bundle_log_entry){ c->epoch, { c->accepted_at }, c->code, c->effects_digest, arena_copy(a, c->wire) };
        return ret->envelope.p ? 1 : -ENOMEM;
}

static int find(void *ctx, struct bytes header_digest, uint64_t *ret_seq)
{
        struct evidence *e = ctx;

        for (size_t i = 0; i < e->c->log_n; i++) {
                struct digest d;

                if (e->c->log[i].code == ACCEPTED && envelope_header_digest(e->c->log[i].wire, &d) && bytes_equal(bytes_digest(&d), header_digest)) {
                        *ret_seq = i + 1;
                        return 1;
                }
        }
        return 0;
}

static int head_before(void *ctx, uint64_t seq, uint64_t *ret_seq)
{
        struct evidence *e = ctx;

        for (uint64_t i = seq - 1; i > 0; i--)
                if (e->kinds[i - 1] == KIND_TRUST_HEAD) {
                        *ret_seq = i;
                        return 1;
                }
        return 0;
}

static int path(void *ctx, uint64_t seq, uint64_t size, struct digest ret[64], unsigned *ret_n)
{
        struct evidence *e = ctx;

        *ret_n = merkle_path_of(e->leaves, size, seq - 1, ret);
        return 0;
}

/* ---- */

static void read_log(struct evidence *e)
{
        for (size_t i = 0; i < e->c->log_n; i++) {
                const struct city_entry *c = &e->c->log[i];
                const struct claim *claim;
                struct entry at = { .epoch = c->epoch, .seq = c->seq, .accepted_at = { c->accepted_at } };
                struct outcome outcome = { .code = c->code, .effects_digest = c->effects_digest };
                uint8_t record[LEAF_RECORD_BYTES];

                if (envelope_parse(e->a, c->wire, &claim) != ACCEPTED)
                        abort();
                at.claim = claim;
                exchange_leaf_record(CITY_DOMAIN, &at, &outcome, record);
                e->leaves[i] = merkle_leaf(bytes_of(record, sizeof(record)));
                e->kinds[i] = claim->kind->number;
                if (claim->kind->number == KIND_ANCHOR && c->code == ACCEPTED)
                        e->anchor = message_pack(e->a, &((const Shuyi__V1__AnchorBody *)(const void *)claim->open_body)->anchor->base);
        }
}

struct evidence *evidence_of(struct city *c)
{
        struct evidence *e = must(calloc(1, sizeof(*e)));
        struct party *log = city_find(c, "log");
        struct checkpoint head = { "shuyi/" CITY_DOMAIN, c->log_n, { { 0 } } };

        e->c = c;
        e->a = must(arena_new(256u << 20));
        e->trust = must(bundle_trust_new());
        e->leaves = must(ARENA_ARRAY(e->a, struct digest, c->log_n));
        e->kinds = must(ARENA_ARRAY(e->a, uint16_t, c->log_n));
        e->size = c->log_n;
        read_log(e);
        head.root = merkle_root_of(e->leaves, e->size);
        e->note = must(checkpoint_sign(e->a, &head, log->sign_secret, log->sign_key));
        return e;
}

void evidence_free(struct evidence *e)
{
        if (!e)
                return;
        bundle_trust_free(e->trust);
        arena_free(e->a);
        free(e);
}

void evidence_freep(struct evidence **e)
{
        evidence_free(*e);
}

int evidence_try(struct evidence *e, const struct bundle_wish *wish, Shuyi__V1__Bundle **ret)
{
        struct bundle_source s = { map_state_ops(e->c->state), entry, find, head_before, path, e, e->trust, e->size };

        *ret = must(ARENA_NEW(e->a, Shuyi__V1__Bundle));
        shuyi__v1__bundle__init(*ret);
        (*ret)->checkpoint = e->note;
        return bundle_make(&s, wish, e->a, *ret);
}

Shuyi__V1__Bundle *evidence_make(struct evidence *e, const struct bundle_wish *wish)
{
        Shuyi__V1__Bundle *b;

        if (evidence_try(e, wish, &b) < 0)
                abort();
        return b;
}

struct bytes evidence_file(struct evidence *e, const Shuyi__V1__Bundle *b)
{
        struct bytes text = bundle_write(e->a, b);

        if (!text.p)
                abort();
        return text;
}

struct transferred evidence_transfer(void)
{
        struct transferred t = { .m = market_new() };
        struct city_result r;

        city_trust_head(t.m->c);
        t.grant = market_live(t.m, market_publish(t.m, market_open_entry(t.m)), &t.stream);
        city_trust_head(t.m->c);
        city_pass(t.m->c, 1000);
        if (market_update(t.m, &t.stream, 2).code != ACCEPTED)
                abort();
        for (size_t i = 0; i < t.m->c->log_n && !t.get; i++) {
                struct digest d;

                if (envelope_header_digest(t.m->c->log[i].wire, &d) && digest_equal(&d, &t.grant))
                        t.get = i + 1;
        }
        t.update = market_update(t.m, &t.stream, 3).seq;
        if (market_update(t.m, &t.stream, 1).code != ACCEPTED)
                abort();
        city_pass(t.m->c, 100);
        r = market_send_receipt(t.m, &t.grant, &t.stream.id, market_receipt(t.m, 1, t.stream.head, &t.stream.head_digest));
        if (r.code != ACCEPTED)
                abort();
        t.receipt = r.seq;
        city_pass(t.m->c, 1000);
        city_trust_head(t.m->c);
        return t;
}
