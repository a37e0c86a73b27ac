/* city: keys, acts, and the log of them. */
#include "tests/lib/city.h"

#include "common/anchor.h"
#include "common/credential.h"
#include "common/exchange/rows.h"
#include "common/macro.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_MAX (1024u * 1024 * 1024)
#define TURN_MAX (64u * 1024 * 1024)
#define ACT_LIFE_MS DAY_MS

static void die(const char *what, const char *why)
{
        fprintf(stderr, "city: %s: %s\n", what, why);
        abort();
}

static void *must(void *p)
{
        if (!p)
                die("memory", "none left");
        return p;
}

/* ---- beginnings ---- */

static void write_genesis_row(struct city *c)
{
        const struct effect *effects;
        size_t n;

        if (exchange_genesis_effects(CITY_DOMAIN, c->arena, &effects, &n) < 0)
                die("genesis", "no effects");
        map_state_apply(c->state, effects, n);
}

struct city *city_new(void)
{
        struct city *c = must(calloc(1, sizeof(*c)));

        if (sodium_init() < 0)
                die("sodium", "does not start");
        c->state = map_state_new();
        c->exchange = must(exchange_new(CITY_DOMAIN));
        c->arena = must(arena_new(ARENA_MAX));
        c->turn = must(arena_new(TURN_MAX));
        c->now.ms = CITY_START;
        c->epoch = 1;
        write_genesis_row(c);
        for (unsigned i = 0; i < CITY_ROOTS; i++) {
                c->root[i] = city_party(c, arena_printf(c->arena, "root-%u", i), "", 0);
                c->root[i]->credential = root_key_id(SUITE_1, c->root[i]->sign_key);
        }
        c->broker = city_party(c, "broker", "", SUBJECT_BROKER);
        return c;
}

struct city *city_founded(void)
{
        struct city *c = city_new();

        city_anchor(c);
        city_broker_credential(c);
        city_department(c, CITY_AUTHORITY, "authority");
        city_publish(c, NULL);
        return c;
}

void city_free(struct city *c)
{
        if (!c)
                return;
        for (size_t i = 0; i < c->log_n; i++)
                free((void *)c->log[i].wire.p);
        free(c->log);
        exchange_free(c->exchange);
        map_state_free(c->state);
        arena_free(c->turn);
        arena_free(c->arena);
        free(c);
}

void city_freep(struct city **c)
{
        city_free(*c);
}

/* ---- parties ---- */

struct party *city_party(struct city *c, const char *name, const char *department, enum subject_kind kind)
{
        struct party *p = must(ARENA_NEW(c->arena, struct party));
        struct digest seed = digest_plain(bytes_str(name));
        struct digest link_seed = DIGEST_OF(CTX_FINGERPRINT, bytes_str(name));

        snprintf(p->name, sizeof(p->name), "%s", name);
        snprintf(p->department, sizeof(p->department), "%s", department);
        p->kind = kind;
        memcpy(p->id.b, seed.b + 16, ID_BYTES);
        crypto_sign_seed_keypair(p->sign_key, p->sign_secret, seed.b);
        crypto_box_seed_keypair(p->link_key, p->link_secret, link_seed.b);
        p->next = c->parties;
        c->parties = p;
        return p;
}

struct party *city_find(struct city *c, const char *name)
{
        for (struct party *p = c->parties; p; p = p->next)
                if (strcmp(p->name, name) == 0)
                        return p;
        die(name, "nobody has this name");
        return NULL;
}

static int find_key(void *ctx, const struct digest *credential, enum role capacity, uint8_t ret_key[32], uint32_t *ret_suite)
{
        const struct city *c = ctx;

        for (const struct party *p = c->parties; p; p = p->next) {
                if (!digest_equal(&p->credential, credential))
                        continue;
                memcpy(ret_key, p->sign_key, 32);
                *ret_suite = SUITE_1;
                return 1;
        }
        return 0;
}

/* ---- envelopes ---- */

static void fill_intent(struct city *c, const struct city_act *act, Shuyi__V1__Intent *i)
{
        uint8_t random[10] = { 0 };
        struct id *id = must(ARENA_NEW(c->arena, struct id));
        const struct party *first = act->by[0].who;

        i->suite = i->suite ? i->suite : SUITE_1;
        i->kind = i->kind ? i->kind : act->kind;
        i->domain = *i->domain ? i->domain : CITY_DOMAIN;
        i->from = *i->from || !first ? i->from : (char *)first->department;
        i->created_at = i->created_at ? i->created_at : c->now.ms;
        if (!i->expires_at && first && act->by[0].as != ROLE_AGENT && act->by[0].as != ROLE_SYSTEM)
                i->expires_at = i->created_at + ACT_LIFE_MS;
        if (i->id.len == 0) {
                put_be64(random + 2, ++c->ids);
                uuid7_make(i->created_at, random, id);
                i->id = field_of_bytes(bytes_id(id));
        }
}

struct bytes city_envelope(struct city *c, const struct city_act *act)
{
        Shuyi__V1__Intent intent = SHUYI__V1__INTENT__INIT;
        struct bytes wire, body = act->raw;

        if (act->intent)
                intent = *act->intent;
        fill_intent(c, act, &intent);
        if (act->body)
                body = message_pack(c->arena, act->body);
        wire = envelope_draft(c->arena, &intent, body);
        for (unsigned i = 0; i < ENVELOPE_SIGNATURES_MAX && act->by[i].who && wire.p; i++)
                wire = envelope_sign(c->arena, wire, &act->by[i].who->credential, act->by[i].as, act->by[i].who->sign_secret);
        if (!wire.p)
                die("envelope", "does not fit");
        return wire;
}

/* ---- applying ---- */

static void log_add(struct city *c, const struct entry *e, const struct outcome *o)
{
        struct city_entry *row;
        uint8_t *wire = must(malloc(e->claim->wire.n));

        if (c->log_n == c->log_room) {
                c->log_room = c->log_room ? 2 * c->log_room : 64;
                c->log = must(realloc(c->log, c->log_room * sizeof(*c->log)));
        }
        memcpy(wire, e->claim->wire.p, e->claim->wire.n);
        row = &c->log[c->log_n++];
        *row = (struct city_entry){ e->epoch, e->seq, e->accepted_at.ms, e->link, e->lane, e->outbox_epoch, e->outbox_seq,
                                    bytes_of(wire, e->claim->wire.n), o->code, o->effects_digest };
}

static struct city_result apply_claim(struct city *c, const struct claim *claim, uint32_t link, uint8_t lane, uint64_t outbox_epoch, uint64_t outbox_seq)
{
        struct entry e = { c->epoch, c->seq + 1, c->now, link, lane, outbox_epoch, outbox_seq, claim };
        struct city_result r = { .claim = claim, .digest = claim->header_digest };
        int fault;

        if (claim->kind->number == KIND_EPOCH)
                e.epoch++;
        arena_reset(c->turn);
        fault = exchange_apply(c->exchange, map_state_ops(c->state), &e, c->turn, &r.outcome);
        if (fault < 0)
                die(claim->kind->name, strerror(-fault));
        map_state_apply(c->state, r.outcome.effects, r.outcome.effects_n);
        r.code = r.outcome.code;
        r.detail = must(arena_strdup(c->arena, r.outcome.detail));
        if (r.code == ACCEPTED || claim->kind->class != KIND_DATA) {
                r.seq = c->seq = e.seq;
                c->epoch = e.epoch;
                log_add(c, &e, &r.outcome);
        }
        return r;
}

struct city_result city_put_as(struct city *c, struct bytes wire, uint32_t link, uint8_t lane, uint64_t outbox_epoch, uint64_t outbox_seq)
{
        struct key_source keys = { find_key, c };
        const struct claim *claim;
        enum refusal code = c->skip_signatures ? envelope_parse(c->arena, wire, &claim) : envelope_verify(c->arena, wire, &keys, &claim);

        if (code != ACCEPTED)
                return (struct city_result){ .code = code, .detail = "verify" };
        return apply_claim(c, claim, link, lane, outbox_epoch, outbox_seq);
}

static uint64_t lane_next(struct city *c, uint32_t link, uint8_t lane, uint64_t *ret_epoch)
{
        uint8_t l[4];
        Shuyi__V1__LaneRow *row;

        put_be32(l, link);
        row = CITY_ROW(c, TABLE_LANE, &shuyi__v1__lane_row__descriptor, bytes_of(l, 4), bytes_of(&lane, 1));
        *ret_epoch = row ? row->outbox_epoch : 1;
        return row ? row->highest + 1 : 1;
}

/* Which lane an envelope goes in: 1 for data. */
static uint8_t lane_of(struct city *c, struct bytes wire)
{
        const struct claim *claim;

        return envelope_parse(c->arena, wire, &claim) == ACCEPTED ? (uint8_t)kind_lane(claim->kind) : 0;
}

struct city_result city_put(struct city *c, struct bytes wire, const struct party *over)
{
        uint8_t lane = lane_of(c, wire);
        uint64_t epoch, number;

        if (!over)
                return city_put_as(c, wire, 0, 0, 0, 0);
        number = lane_next(c, over->link, lane, &epoch);
        return city_put_as(c, wire, over->link, lane, epoch, number);
}

static const struct party *carrier(struct city *c, const struct city_act *act)
{
        const char *department = act->by[0].who ? act->by[0].who->department : "";
        const struct party *found = NULL;

        if (act->over || act->no_link)
                return act->over;
        if (!*department)
                return c->authority_agent;
        if (act->by[0].as == ROLE_AGENT)
                return act->by[0].who;
        for (const struct party *p = c->parties; p; p = p->next)        /* newest first: keep the last, the oldest */
                if (p->kind == SUBJECT_AGENT && p->link && strcmp(p->department, department) == 0)
                        found = p;
        return found;
}

struct city_result city_act(struct city *c, const struct city_act *act)
{
        return city_put(c, city_envelope(c, act), carrier(c, act));
}

struct city_result city_must(struct city *c, const struct city_act *act)
{
        struct city_result r = city_act(c, act);

        if (r.code != ACCEPTED)
                die(kind_find(act->kind)->name, arena_printf(c->arena, "%s %s", refusal_text(r.code)->code, r.detail));
        return r;
}

/* ---- the broker's own ---- */

struct city_result city_system(struct city *c, uint16_t kind, const ProtobufCMessage *body)
{
        return city_act(c, &(struct city_act){ .kind = kind, .body = body, .by = { { c->broker, ROLE_SYSTEM } }, .no_link = true });
}

void city_trust_head(struct city *c)
{
        Shuyi__V1__TrustHeadBody body;

        if (exchange_trust_head_body(map_state_ops(c->state), c->arena, &body) < 0)
                die("TRUST_HEAD", "fault");
        city_system(c, KIND_TRUST_HEAD, &body.base);
}

void city_pass(struct city *c, uint64_t ms)
{
        c->now.ms += ms;
}

unsigned city_tick(struct city *c)
{
        unsigned n = 0;
        bool due;

        while (exchange_tick_due(map_state_ops(c->state), c->now, &due) == 0 && due) {
                Shuyi__V1__TickBody body;

                if (exchange_tick_body(map_state_ops(c->state), c->now, &body) < 0)
                        die("TICK", "fault");
                city_system(c, KIND_TICK, &body.base);
                n++;
        }
        return n;
}

/* ---- looking ---- */

void *city_row(struct city *c, enum table table, const ProtobufCMessageDescriptor *d, const struct bytes *parts, size_t n)
{
        struct rows rows = { .state = map_state_ops(c->state), .arena = c->arena };

        return rows_get(&rows, d, table, parts, n);
}

size_t city_count(struct city *c, enum table table)
{
        struct state s = map_state_ops(c->state);
        uint8_t prefix = (uint8_t)table, from[256] = { (uint8_t)table };
        struct bytes key, value;
        size_t from_n = 1, n = 0;

        while (s.ops->next(s.ctx, bytes_of(&prefix, 1), bytes_of(from, from_n), &key, &value) > 0) {
                memcpy(from, key.p, key.n);
                from[key.n] = 0;
                from_n = key.n + 1;
                n++;
        }
        return n;
}

struct digest city_digest(const struct city *c)
{
        return map_state_digest(c->state);
}

struct digest city_replay(const struct city *c)
{
        struct city *again = city_new();
        struct digest d;

        again->skip_signatures = true;
        for (size_t i = 0; i < c->log_n; i++) {
                const struct city_entry *e = &c->log[i];
                struct city_result r;

                again->now.ms = e->accepted_at;
                r = city_put_as(again, e->wire, e->link, e->lane, e->outbox_epoch, e->outbox_seq);
                if (r.code != e->code || !digest_equal(&r.outcome.effects_digest, &e->effects_digest))
                        die("replay", "another outcome");
        }
        d = city_digest(again);
        city_free(again);
        return d;
}
