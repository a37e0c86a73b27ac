/* sim: the world, its steps, and what must hold after each. */
#include "tests/sim/sim.h"
#include "common/exchange/rows.h"
#include "common/macro.h"
#include <stdio.h>
#include <stdlib.h>

#define SCRATCH_MAX (256u * 1024 * 1024)

void sim_fail(const struct sim *s, const char *what)
{
        fprintf(stderr, "sim: %s (entry %zu, now %llu ms)\n", what, s->city->log_n, (unsigned long long)(s->now.ns / 1000000));
        abort();
}

uint32_t sim_below(struct sim *s, uint32_t n)
{
        return (uint32_t)chance_below(&s->chance, n);
}

/* ---- foundation ---- */

static void publish_seal_key(struct sim *s, const struct party *agent)
{
        struct digest key = digest_plain(bytes_str(agent->name));
        Shuyi__V1__SealKeyBody body = SHUYI__V1__SEAL_KEY_BODY__INIT;

        body.seal_key = field_of_bytes(bytes_digest(&key));
        body.not_after = s->city->now.ms + 30 * DAY_MS;
        city_must(s->city, &(struct city_act){ .kind = KIND_SEAL_KEY, .body = &body.base, .by = { { agent, ROLE_AGENT } } });
}

static void grant_to(struct sim *s, struct sim_agent *a, const char *resource)
{
        Shuyi__V1__Intent *i = market_ask(s->market, resource);
        Shuyi__V1__SubscribeBody body = SHUYI__V1__SUBSCRIBE_BODY__INIT;
        Shuyi__V1__Intent take = SHUYI__V1__INTENT__INIT;
        struct city_result r;

        i->agent = field_of_bytes(bytes_id(&a->who->id));
        r = market_get(s->market, i);
        if (r.code != ACCEPTED)
                sim_fail(s, refusal_text(r.code)->code);
        a->grant = r.digest;
        take.grant = field_of_bytes(bytes_digest(&a->grant));
        city_must(s->city, &(struct city_act){ .kind = KIND_SUBSCRIBE, .intent = &take, .body = &body.base, .by = { { a->who, ROLE_AGENT } } });
}

/* What the agents did before the simulation went over their lanes in life 0 of their outboxes would be refused: they go on. */
static uint64_t lane_next(struct sim *s, const struct party *agent, uint8_t lane)
{
        uint8_t link[4];
        Shuyi__V1__LaneRow *row;

        put_be32(link, agent->link);
        row = CITY_ROW(s->city, TABLE_LANE, &shuyi__v1__lane_row__descriptor, bytes_of(link, 4), bytes_of(&lane, 1));
        return row ? row->highest + 1 : 1;
}

static void found_agent(struct sim *s, unsigned index, struct party *who)
{
        struct sim_agent *a = &s->agents[index];

        a->who = who;
        for (uint8_t lane = 0; lane < SESSION_LANES; lane++) {
                struct sim_lane *l = &a->out[lane];

                l->first = lane_next(s, who, lane);
                l->n = l->first - 1;
                l->room = l->n + 64;
                l->rows = calloc(l->room, sizeof(*l->rows));
                if (!l->rows)
                        abort();
        }
        agent_start(s, index);
}

struct sim *sim_new(uint64_t seed)
{
        struct sim *s = calloc(1, sizeof(*s));
        const char *resource;
        struct party *second;

        if (!s)
                abort();
        s->chance.state = seed;
        s->market = market_new();
        s->city = s->market->c;
        s->now.ns = 1000000000;
        resource = market_publish(s->market, market_open_entry(s->market));
        rows_find_matter(&(struct rows){ .state = map_state_ops(s->city->state), .arena = s->city->arena }, resource, &s->matter);
        second = city_join(s->city, CITY_HEALTH, "health-second");
        publish_seal_key(s, second);
        s->agents[1].who = s->market->health_agent;
        s->agents[2].who = second;
        grant_to(s, &s->agents[1], resource);
        grant_to(s, &s->agents[2], resource);
        s->provider.stream = market_stream_of(s->market, &s->agents[1].grant);
        s->provider.next_record = 1;
        found_agent(s, 0, s->market->civil_agent);
        found_agent(s, 1, s->market->health_agent);
        found_agent(s, 2, second);
        s->provider.stream.resource = arena_strdup(s->city->arena, s->provider.stream.resource);
        s->city->skip_signatures = true;
        s->base = s->city->arena;
        s->scratch = s->city->arena = arena_new(SCRATCH_MAX);
        provider_look(s);
        return s;
}

void sim_free(struct sim *s)
{
        for (unsigned i = 0; i < SIM_AGENTS; i++) {
                bad_link_cut(&s->agents[i].up);
                bad_link_cut(&s->agents[i].down);
                for (unsigned lane = 0; lane < SESSION_LANES; lane++) {
                        struct sim_lane *l = &s->agents[i].out[lane];

                        for (uint64_t n = l->first; n <= l->n; n++)
                                free((void *)l->rows[n - 1].wire.p);
                        free(l->rows);
                }
        }
        for (unsigned i = 0; i < s->pipeline_n; i++)
                free(s->pipeline[i].wire);
        s->city->arena = s->base;
        arena_free(s->scratch);
        market_free(s->market);
        free(s);
}

/* ---- steps ---- */

static void deliver(struct sim *s, unsigned agent, struct bad_link *l, void (*hear)(struct sim *, unsigned, struct bytes))
{
        uint8_t *frame;
        size_t n;

        for (unsigned i = 1 + sim_below(s, 20); i > 0 && bad_link_pop(l, &frame, &n); i--) {
                hear(s, agent, bytes_of(frame, n));
                free(frame);
        }
}

static void pass(struct sim *s, uint64_t ms)
{
        s->now.ns += ms * 1000000;
        city_pass(s->city, ms);
}

static void fault(struct sim *s, unsigned agent)
{
        switch (sim_below(s, 64)) {
        case 0: case 1: case 2: connection_cut(s, agent); break;
        case 3: agent_crash(s, agent); break;
        case 4: broker_crash(s); break;
        case 5: pass(s, 1000 + sim_below(s, 30000)); break;
        case 6: case 7: people_act(s); break;
        default: break;
        }
}

void sim_step(struct sim *s, bool faults)
{
        unsigned agent = sim_below(s, SIM_AGENTS);
        struct sim_agent *a = &s->agents[agent];

        arena_reset(s->scratch);
        s->resting = !faults;
        switch (sim_below(s, 16)) {
        case 0: if (faults && sim_below(s, 3) == 0) provider_take(s); break;
        case 1: case 2: deliver(s, agent, &a->up, broker_hear); break;
        case 3: case 4: deliver(s, agent, &a->down, agent_hear); break;
        case 5: case 6: broker_run_group(s); break;
        case 7: case 8: agent_send(s, agent); break;
        case 9: if (agent) broker_deliver(s, agent); break;
        case 10: provider_seal(s); break;
        case 11: provider_look(s); break;
        case 12: if (agent) consumer_receipt(s, agent); break;
        case 13: agent_connect(s, agent); break;
        case 14:
                pass(s, faults ? sim_below(s, 20) : sim_below(s, 200));
                for (unsigned i = 0; i < SIM_AGENTS; i++) {
                        agent_tick(s, i);
                        broker_tick(s, i);
                }
                break;
        case 15: if (faults) fault(s, agent); else people_relent(s); break;
        }
}

/* ---- what must hold ---- */

/* Each UPDATE of the log begins where the one before it ended; links are chained without gap. */
static void check_entry(struct sim *s, const struct city_entry *e)
{
        const struct claim *claim;
        uint64_t from;

        if (envelope_parse(s->scratch, e->wire, &claim) != ACCEPTED)
                sim_fail(s, "an entry does not read");
        if (claim->kind->number != KIND_UPDATE)
                return;
        from = get_be64(claim->body.p);
        if (from != s->last_record + 1)
                sim_fail(s, from <= s->last_record ? "a record is in the log twice" : "a record was left out of the log");
        s->last_record = get_be64(claim->body.p + 8);
}

static void check_windows(struct sim *s, const struct sim_agent *a)
{
        for (unsigned lane = 0; lane < SESSION_LANES; lane++) {
                const struct session_outlane *l = &a->client.lanes[lane];

                if (l->first < a->out[lane].first || l->send < l->first || l->send > l->end || l->end != a->out[lane].n + 1)
                        sim_fail(s, "an agent's lane is out of order");
                if (a->known && a->server.lanes[lane].frames > a->server.limits.frames[lane])
                        sim_fail(s, "more in flight than the credit");
        }
        if (a->receipted > a->position.cursor || a->last_record > s->last_record)
                sim_fail(s, "a consumer is ahead of the log");
}

void sim_check(struct sim *s)
{
        for (; s->checked < s->city->log_n; s->checked++)
                check_entry(s, &s->city->log[s->checked]);
        for (unsigned i = 0; i < SIM_AGENTS; i++)
                check_windows(s, &s->agents[i]);
}

static bool consumer_done(struct sim *s, struct sim_agent *a)
{
        Shuyi__V1__SubscriptionRow *sub = market_subscription(s->market, &a->grant);

        if (a->revoked)
                return true;
        /* fresh: what was sealed while its grant was suspended is not for it */
        return (a->last_record == s->provider.records || a->fresh) && sub->cursor == a->position.cursor && sub->cursor == s->provider.accepted &&
               a->out[0].first == a->out[0].n + 1;
}

bool sim_is_done(struct sim *s)
{
        const struct sim_provider *p = &s->provider;

        arena_reset(s->scratch);
        return p->next_record > p->records && p->pending_n == 0 && s->last_record == p->records && consumer_done(s, &s->agents[1]) &&
               consumer_done(s, &s->agents[2]);
}
