/* scene: a market where most kinds happened once. */
#include "tests/fuzz/scene.h"

#include "common/macro.h"

#include <stdlib.h>

#define SCENE_MAX_BYTES (64u << 20)

/* ---- what happens ---- */

static void ask_and_answer(struct market *m, const char *resource, uint16_t reply)
{
        struct city_result asked = market_apply(m, market_ask(m, resource));
        Shuyi__V1__ReplyBody body = SHUYI__V1__REPLY_BODY__INIT;
        Shuyi__V1__RequestRow *row = asked.code == ACCEPTED ? market_request(m, &asked.digest) : NULL;
        Shuyi__V1__Intent *i;

        if (!row)
                return;
        i = market_answer(m, &asked.digest, (const uint32_t[]){ 1, 2, 3 }, reply == KIND_REFUSE ? 0 : 3);
        if (reply == KIND_REFUSE)
                body.reason = 1;
        market_reply(m, reply, i, &body);
}

static void play(struct market *m)
{
        struct city *c = m->c;
        const char *open = market_publish(m, market_open_entry(m)), *closed = market_publish(m, market_conditional_entry(m));
        struct market_stream s;
        struct digest grant = market_live(m, open, &s);

        market_update(m, &s, 3);
        market_send(m, &s, KIND_NO_CHANGE, market_link(m, &s));
        market_send_receipt(m, &grant, &s.id, market_receipt(m, 1, s.head, &s.head_digest));
        city_trust_head(c);
        market_apply(m, market_ask(m, closed));
        ask_and_answer(m, closed, KIND_CONSENT);
        ask_and_answer(m, closed, KIND_REFUSE);
        market_reason(m, KIND_GRANT_SUSPEND, &grant, NULL, REASON_MISUSE, c->sec_admin, ROLE_SEC_ADMIN);
        market_reason(m, KIND_GRANT_RESUME, &grant, NULL, REASON_RECTIFIED, c->sec_admin, ROLE_SEC_ADMIN);
        city_hire(c, CITY_HEALTH, "wang", ROLE_USER, 0);
        city_join(c, CITY_HEALTH, "second");
        city_revoke(c, m->health_user);
        city_pass(c, 20 * DAY_MS);
        city_tick(c);
        market_reason(m, KIND_GRANT_SUSPEND, &grant, NULL, REASON_MISUSE, c->sec_admin, ROLE_SEC_ADMIN);
        market_reason(m, KIND_GRANT_TERMINATE, &grant, NULL, REASON_NOT_RECTIFIED, c->sec_admin, ROLE_SEC_ADMIN);
        city_trust_head(c);
}

/* ---- states ---- */

/* A state with the same rows. */
static struct map_state *copy(const struct map_state *m)
{
        struct state from = map_state_ops((struct map_state *)(uintptr_t)m);
        struct map_state *to = map_state_new();
        uint8_t at[512] = { 0 };
        size_t at_n = 0;
        struct bytes key, value;

        while (from.ops->next(from.ctx, (struct bytes){ at, 0 }, bytes_of(at, at_n), &key, &value) > 0) {
                REQUIRE(key.n < sizeof(at));
                memcpy(at, key.p, key.n);
                at[key.n] = 0;
                at_n = key.n + 1;
                map_state_put(to, key, value);
        }
        REQUIRE(map_state_rows(to) == map_state_rows(m));
        return to;
}

static struct map_state *empty_state(void)
{
        struct map_state *m = map_state_new();
        struct arena *a = fuzz_arena(1 << 20);
        const struct effect *effects;
        size_t n;

        REQUIRE(exchange_genesis_effects(CITY_DOMAIN, a, &effects, &n) == 0);
        map_state_apply(m, effects, n);
        arena_free(a);
        return m;
}

static void step(struct scene *s, struct exchange *x, struct arena *words, struct arena *turn, size_t i)
{
        const struct city_entry *e = &s->entry[i];
        const struct claim *c;
        struct entry entry = { e->epoch, e->seq, { e->accepted_at }, e->link, e->lane, e->outbox_epoch, e->outbox_seq, NULL };
        struct outcome o;

        REQUIRE(envelope_parse(words, e->wire, &c) == ACCEPTED);
        vocabulary_add_run(&s->words, bytes_digest(&c->header_digest));
        for (unsigned k = 0; k < c->signers_n; k++)
                vocabulary_add_run(&s->words, bytes_digest(&c->signers[k].credential));
        vocabulary_add(&s->words, &c->intent->base);
        if (c->open_body)
                vocabulary_add(&s->words, c->open_body);
        entry.claim = c;
        arena_reset(turn);
        REQUIRE(exchange_apply(x, map_state_ops(s->before[i]), &entry, turn, &o) == 0);
        REQUIRE(o.code == e->code && digest_equal(&o.effects_digest, &e->effects_digest));
        s->before[i + 1] = copy(s->before[i]);
        map_state_apply(s->before[i + 1], o.effects, o.effects_n);
}

static struct scene *scene_make(void)
{
        static struct scene s;
        struct market *m = market_new();
        struct exchange *x = exchange_new(CITY_DOMAIN);
        struct arena *words = fuzz_arena(SCENE_MAX_BYTES), *turn = fuzz_arena(SCENE_MAX_BYTES);

        play(m);
        s.market = m;
        s.arena = words;
        s.entry = m->c->log;
        s.n = m->c->log_n;
        s.open_entry = market_open_entry(m);
        s.conditional_entry = market_conditional_entry(m);
        s.before = calloc(s.n + 1, sizeof(*s.before));
        REQUIRE(s.before);
        s.before[0] = empty_state();
        for (size_t i = 0; i < s.n; i++)
                step(&s, x, words, turn, i);
        exchange_free(x);
        arena_free(turn);
        return &s;
}

void scene_apply(struct arena *a, struct map_state *m, const struct effect *effects, size_t n, struct scene_undo **undo)
{
        struct state s = map_state_ops(m);

        for (size_t i = 0; i < n; i++) {
                struct scene_undo *u = ARENA_NEW(a, struct scene_undo);
                struct bytes value;

                REQUIRE(u);
                u->key = arena_copy(a, effects[i].key);
                u->found = s.ops->get(s.ctx, effects[i].key, &value) == 1;
                if (u->found)
                        u->value = arena_copy(a, value);
                u->before = *undo;
                *undo = u;
        }
        map_state_apply(m, effects, n);
}

void scene_undo(struct map_state *m, struct scene_undo **undo)
{
        for (; *undo; *undo = (*undo)->before) {
                if ((*undo)->found)
                        map_state_put(m, (*undo)->key, (*undo)->value);
                else
                        map_state_remove(m, (*undo)->key);
        }
}

const struct scene *scene_get(void)
{
        static struct scene *s;

        if (!s)
                s = scene_make();
        return s;
}
