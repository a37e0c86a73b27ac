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

/* One view of three items, another of two: two streams. */
static void grant_to(struct sim *s, struct sim_agent *a, unsigned stream, const char *resource)
{
        Shuyi__V1__Intent *i = market_ask(s->market, resource);
        Shuyi__V1__SubscribeBody body = SHUYI__V1__SUBSCRIBE_BODY__INIT;
        Shuyi__V1__Intent take = SHUYI__V1__INTENT__INIT;
        struct city_result r;

        i->agent = field_of_bytes(bytes_id(&a->who->id));
        i->n_items -= stream;
        r = market_get(s->market, i);
        if (r.code != ACCEPTED)
                sim_fail(s, refusal_text(r.code)->code);
        a->subs[stream].grant = r.digest;
        take.grant = field_of_bytes(bytes_digest(&r.digest));
        city_must(s->city, &(struct city_act){ .kind = KIND_SUBSCRIBE, .intent = &take, .body = &body.base, .by = { { a->who, ROLE_AGENT } } });
}

static void found_stream(struct sim *s, unsigned stream, const char *resource)
{
        struct sim_stream *p = &s->streams[stream];

        for (unsigned i = 1; i < SIM_AGENTS; i++)
                grant_to(s, &s->agents[i], stream, resource);
        p->stream = market_stream_of(s->market, &s->agents[1].subs[stream].grant);
        p->stream.resource = arena_strdup(s->city->arena, resource);
        p->next_record = 1;
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
        s->decided = decided_new();
        s->group_most = sim_below(s, 2) ? 1 + sim_below(s, 4) : SIM_PIPELINE;   /* a slow broker, or not */
        s->group_seldom = s->group_most < SIM_PIPELINE ? 1 + sim_below(s, 20) : 1;
        s->cuts_in_64 = 1 + sim_below(s, 12);
        s->acts_in_64 = 1 + sim_below(s, 12);
        s->market = market_new();
        s->city = s->market->c;
        s->now.ns = 1000000000;
        resource = market_publish(s->market, market_open_entry(s->market));
        rows_find_matter(&(struct rows){ .state = map_state_ops(s->city->state), .arena = s->city->arena }, resource, &s->matter);
        second = city_join(s->city, CITY_HEALTH, "health-second");
        publish_seal_key(s, second);
        s->agents[1].who = s->market->health_agent;
        s->agents[2].who = second;
        for (unsigned i = 0; i < SIM_STREAMS; i++)
                found_stream(s, i, resource);
        found_agent(s, 0, s->market->civil_agent);
        found_agent(s, 1, s->market->health_agent);
        found_agent(s, 2, second);
        s->city->skip_signatures = true;
        s->base = s->city->arena;
        s->scratch = s->city->arena = arena_new(SCRATCH_MAX);
        for (unsigned i = 0; i < SIM_STREAMS; i++)
                provider_look(s, i);
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
        decided_free(s->decided);
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
        if (sim_below(s, 64) < s->cuts_in_64)
                connection_cut(s, agent);
        else if (sim_below(s, 64) < s->acts_in_64)
                people_act(s);
        else
                switch (sim_below(s, 64)) {
                case 0: agent_crash(s, agent); break;
                case 1: broker_crash(s); break;
                case 2: pass(s, 1000 + sim_below(s, 30000)); break;
                default: break;
                }
}

void sim_step(struct sim *s, bool faults)
{
        unsigned agent = sim_below(s, SIM_AGENTS), stream = sim_below(s, SIM_STREAMS);
        struct sim_agent *a = &s->agents[agent];

        arena_reset(s->scratch);
        s->resting = !faults;
        switch (sim_below(s, 16)) {
        case 0: if (faults && sim_below(s, 3) == 0) provider_take(s, stream); break;
        case 1: case 2: deliver(s, agent, &a->up, broker_hear); break;
        case 3: case 4: deliver(s, agent, &a->down, agent_hear); break;
        case 5: case 6: if (s->resting || sim_below(s, s->group_seldom) == 0) broker_run_group(s); break;
        case 7: case 8: agent_send(s, agent); break;
        case 9: if (agent) broker_deliver(s, agent, stream); break;
        case 10: provider_seal(s, stream); break;
        case 11: provider_look(s, stream); break;
        case 12: if (agent) consumer_receipt(s, agent, stream); break;
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

static struct sim_stream *stream_of(struct sim *s, ProtobufCBinaryData id)
{
        for (unsigned i = 0; i < SIM_STREAMS; i++)
                if (bytes_equal(bytes_digest(&s->streams[i].stream.id), bytes_of_field(id)))
                        return &s->streams[i];
        sim_fail(s, "a link of no stream");
}

/* Each UPDATE of a stream begins where the one before it ended. */
static void check_entry(struct sim *s, const struct city_entry *e)
{
        const struct claim *claim;
        struct sim_stream *p;
        uint64_t from;

        if (envelope_parse(s->scratch, e->wire, &claim) != ACCEPTED)
                sim_fail(s, "an entry does not read");
        if (claim->kind->number != KIND_UPDATE)
                return;
        p = stream_of(s, claim->intent->stream);
        from = get_be64(claim->body.p);
        if (from != p->logged + 1)
                sim_fail(s, from <= p->logged ? "a record is in the log twice" : "a record was left out of the log");
        p->logged = get_be64(claim->body.p + 8);
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
        for (unsigned i = 0; i < SIM_STREAMS; i++)
                if (a->subs[i].receipted > a->subs[i].position.cursor || a->subs[i].last_record > s->streams[i].logged)
                        sim_fail(s, "a consumer is ahead of the log");
}

void sim_check(struct sim *s)
{
        for (; s->checked < s->city->log_n; s->checked++)
                check_entry(s, &s->city->log[s->checked]);
        for (unsigned i = 0; i < SIM_AGENTS; i++)
                check_windows(s, &s->agents[i]);
}

/* ---- at rest ---- */

static bool subscription_done(struct sim *s, const struct sim_subscription *at, const struct sim_stream *p)
{
        Shuyi__V1__SubscriptionRow *sub = market_subscription(s->market, &at->grant);

        /* fresh: what was sealed while its grant was suspended is not for it */
        return (at->last_record == p->records || at->fresh) && sub->cursor == at->position.cursor && sub->cursor == p->accepted;
}

static bool stream_done(struct sim *s, unsigned stream)
{
        const struct sim_stream *p = &s->streams[stream];

        for (unsigned i = 1; i < SIM_AGENTS; i++)
                if (!s->agents[i].revoked && !subscription_done(s, &s->agents[i].subs[stream], p))
                        return false;
        return p->next_record > p->records && p->pending_n == 0 && p->logged == p->records;
}

bool sim_is_done(struct sim *s)
{
        arena_reset(s->scratch);
        for (unsigned i = 0; i < SIM_STREAMS; i++)
                if (!stream_done(s, i))
                        return false;
        for (unsigned i = 0; i < SIM_AGENTS; i++)
                if (!s->agents[i].revoked && (s->agents[i].out[0].first <= s->agents[i].out[0].n || s->agents[i].out[1].first <= s->agents[i].out[1].n))
                        return false;
        return true;
}
