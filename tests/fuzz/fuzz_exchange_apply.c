/* exchange_apply: entries of a market, edited and at the wrong time, applied to the state as it stood at some point.
 *
 * Two evaluations agree to the byte.  A refused data envelope leaves nothing, a refused act only what remembers it; effects keep
 * their bounds, one a key; a fault is answered only to entries that the broker itself would have had to make. */
#include "tests/fuzz/scene.h"

#include "common/macro.h"

#include <errno.h>

#define ACTS_MAX 6
#define EDITS_MAX 6
#define OWN_ROWS 16                             /* what closing an entry adds to its own rows */

struct stage {
        const struct scene *scene;
        struct map_state *state;
        struct scene_undo *undo;
        struct exchange *exchange, *other;
        struct arena *a, *first, *second;
        Shuyi__V1__MetaRow *meta;
};

static void read_meta(struct stage *g)
{
        struct state s = map_state_ops(g->state);
        uint8_t key = TABLE_META;
        struct bytes value;

        REQUIRE(s.ops->get(s.ctx, bytes_of(&key, 1), &value) == 1);
        g->meta = message_parse(g->a, &shuyi__v1__meta_row__descriptor, value);
        REQUIRE(g->meta);
}

/* ---- an act ---- */

static ProtobufCBinaryData field(struct bytes b) { return (ProtobufCBinaryData){ b.n, (uint8_t *)b.p }; }

/* The template with edits, packed as an envelope that nobody signed: signatures are not the rules' affair. */
static struct bytes edited(struct stage *g, struct script *s, const struct claim *from)
{
        Shuyi__V1__Envelope e = SHUYI__V1__ENVELOPE__INIT;
        Shuyi__V1__Header h = SHUYI__V1__HEADER__INIT;
        Shuyi__V1__Intent *intent = message_parse(g->a, &shuyi__v1__intent__descriptor, from->intent_bytes);
        ProtobufCMessage *open = from->open_body ? message_parse(g->a, from->kind->body, from->body) : NULL;
        Shuyi__V1__Envelope *whole = message_parse(g->a, &shuyi__v1__envelope__descriptor, from->wire);
        struct bytes body = from->body, packed;
        struct digest d;

        REQUIRE(intent && whole);
        for (unsigned n = script_u8(s) % EDITS_MAX; n > 0; n--) {
                uint8_t where = script_u8(s);

                if (where % 8 == 0 && whole->n_signatures > 0)
                        message_edit(g->a, s, &g->scene->words, &whole->signatures[where / 8 % whole->n_signatures]->base);
                else if (open && where % 2)
                        message_edit(g->a, s, &g->scene->words, open);
                else
                        message_edit(g->a, s, &g->scene->words, &intent->base);
        }
        if (open)
                body = message_pack(g->a, open);
        d = digest_plain(body);
        packed = message_pack(g->a, &intent->base);
        h.intent = field(packed);
        h.body_digest = (ProtobufCBinaryData){ DIGEST_BYTES, d.b };
        h.body_bytes = (uint32_t)body.n;
        e.header = field(message_pack(g->a, &h.base));
        e.body = field(body);
        e.signatures = whole->signatures;
        e.n_signatures = whole->n_signatures;
        return message_pack(g->a, &e.base);
}

/* ---- what must hold ---- */

static bool is_table(uint8_t byte)
{
#define TABLE_CASE(constant, number, key, row) case constant:
        switch (byte) { TABLES(TABLE_CASE) return true; default: return false; }
}

static void check_outcome(const struct claim *c, const struct outcome *o)
{
        size_t bytes = 0;

        REQUIRE(o->detail && strlen(o->detail) <= 512 && (o->code == ACCEPTED || refusal_known(o->code)));
        REQUIRE(o->code == ACCEPTED || c->kind->class != KIND_DATA || o->effects_n == 0);
        REQUIRE(o->code == ACCEPTED || o->wakes_n == 0);
        REQUIRE(o->code == ACCEPTED || !o->trust_moved);
        REQUIRE(o->code != ACCEPTED || !c->kind->later);
        REQUIRE(o->effects_n <= EFFECT_ROWS_MAX + OWN_ROWS);
        for (size_t i = 0; i < o->effects_n; i++) {
                const struct effect *e = &o->effects[i];

                REQUIRE(e->key.n > 0 && is_table(e->key.p[0]) && (!e->remove || e->value.n == 0));
                REQUIRE(o->code == ACCEPTED || table_remembers(e->key.p[0]));
                bytes += e->key.n + e->value.n;
                for (size_t k = 0; o->effects_n < 64 && k < i; k++)
                        REQUIRE(!bytes_equal(e->key, o->effects[k].key));
        }
        REQUIRE(bytes <= EFFECT_BYTES_MAX + 4096);
}

static void check_same(const struct outcome *x, const struct outcome *y)
{
        REQUIRE(x->code == y->code && strcmp(x->detail, y->detail) == 0 && x->trust_moved == y->trust_moved);
        REQUIRE(x->effects_n == y->effects_n && x->wakes_n == y->wakes_n && digest_equal(&x->effects_digest, &y->effects_digest));
        for (size_t i = 0; i < x->effects_n; i++)
                REQUIRE(bytes_equal(x->effects[i].key, y->effects[i].key) && bytes_equal(x->effects[i].value, y->effects[i].value) &&
                        x->effects[i].remove == y->effects[i].remove);
}

static void apply(struct stage *g, const struct entry *e)
{
        struct state s = map_state_ops(g->state);
        struct outcome o = { 0 }, again = { 0 };
        int r, r2;

        arena_reset(g->first);
        arena_reset(g->second);
        r = exchange_apply(g->exchange, s, e, g->first, &o);
        r2 = exchange_apply(g->other, s, e, g->second, &again);
        REQUIRE(r == r2);
        if (r < 0) {
                REQUIRE(r == -EBADMSG && e->claim->kind->class == KIND_SYSTEM && e->link == 0);
                return;
        }
        check_same(&o, &again);
        check_outcome(e->claim, &o);
        scene_apply(g->a, g->state, o.effects, o.effects_n, &g->undo);
}

/* ---- the script ---- */

static void act(struct stage *g, struct script *s, size_t point)
{
        uint16_t which = script_u16(s);
        uint8_t odd = script_u8(s);             /* rarely another link, lane, number or time than it had */
        const struct city_entry *from = &g->scene->entry[which % 2 ? which / 2 % g->scene->n : point % g->scene->n];
        const struct claim *template = NULL, *c;
        struct entry e = { .link = from->link, .lane = from->lane, .outbox_epoch = from->outbox_epoch, .outbox_seq = from->outbox_seq };

        REQUIRE(envelope_parse(g->a, from->wire, &template) == ACCEPTED);
        if (envelope_parse(g->a, edited(g, s, template), &c) != ACCEPTED)
                return;
        read_meta(g);
        e.claim = c;
        e.epoch = g->meta->epoch + (c->kind->number == KIND_EPOCH);
        e.seq = g->meta->seq + 1;
        e.accepted_at.ms = g->meta->accepted_at > from->accepted_at ? g->meta->accepted_at : from->accepted_at;
        switch (odd) {
        case 1: e.link = script_u8(s) % 8; break;
        case 2: e.outbox_seq += script_u8(s); break;
        case 3: e.lane ^= 1; break;
        case 4: e.outbox_epoch += script_u8(s) % 3; break;
        case 5: e.accepted_at.ms += script_u8(s) * DAY_MS; break;
        default: break;
        }
        apply(g, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        static struct stage g;
        struct script s = { data, n };
        size_t point;

        if (!g.scene) {
                g.scene = scene_get();
                g.exchange = exchange_new(CITY_DOMAIN);
                g.other = exchange_new(CITY_DOMAIN);
                g.a = fuzz_arena(64u << 20);
                g.first = fuzz_arena(64u << 20);
                g.second = fuzz_arena(64u << 20);
        }
        point = script_u8(&s) % (g.scene->n + 1);
        arena_reset(g.a);
        g.state = g.scene->before[point];
        for (size_t i = 0; i < ACTS_MAX && s.n > 0; i++)
                act(&g, &s, point + i);
        scene_undo(g.state, &g.undo);
        return 0;
}
