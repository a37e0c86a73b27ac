/* stage: see the header. */
#include "tests/lib/stage.h"
#include "common/times.h"
#include "tests/lib/unit.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

struct stage *stage_new(const char *program, const char *extra)
{
        struct stage *s = calloc(1, sizeof(*s));
        struct city *c = city_new();

        for (unsigned i = 0; i < STAGE_LINKS; i++)
                s->next[i][0] = s->next[i][1] = 1;
        c->now = times_wall();
        city_anchor(c);
        city_broker_credential(c);
        city_department(c, CITY_AUTHORITY, "authority");
        live_found(&s->live, program, c, extra);
        city_publish(c, NULL);
        s->m = market_of(c);
        s->rows = calloc(100000, sizeof(*s->rows));
        live_start(&s->live, NULL);
        return s;
}

void stage_hang_up(struct stage *s)
{
        for (unsigned i = 0; i < STAGE_LINKS; i++)
                if (s->agents[i].live) {
                        s->next[i][0] = s->agents[i].next[0];
                        s->next[i][1] = s->agents[i].next[1];
                        live_close(&s->agents[i]);
                }
}

void stage_free(struct stage *s)
{
        stage_hang_up(s);
        live_end(&s->live);
        market_free(s->m);
        free(s->rows);
        free(s);
}

void stage_go_live(struct stage *s)
{
        s->resource = market_publish(s->m, market_open_entry(s->m));
        s->grant = market_live(s->m, s->resource, &s->stream);
}

static struct live_agent *agent_at(struct stage *s, uint32_t link)
{
        struct live_agent *a = &s->agents[link];

        if (a->live)
                return a;
        for (struct party *p = s->m->c->parties; p; p = p->next)
                if (p->kind == SUBJECT_AGENT && p->link == link) {
                        live_connect(&s->live, p, a);
                        if (a->denied)
                                fail_msg("%s was denied", p->name);
                        a->next[0] = s->next[link][0];
                        a->next[1] = s->next[link][1];
                        live_hello(a);
                        return a;
                }
        fail_msg("no agent with link %u", link);
        return NULL;
}

struct live_agent *stage_agent(struct stage *s, const struct party *agent)
{
        return agent_at(s, agent->link);
}

struct telling { uint8_t lane; uint64_t number; struct live_row row; bool found, died; };

static bool told_or_dead(struct live_agent *a, void *arg)
{
        struct telling *t = arg;

        for (size_t i = 0; i < a->rows_n; i++)
                if (a->rows[i].lane == t->lane && a->rows[i].number == t->number) {
                        t->row = a->rows[i];
                        t->found = true;
                        return true;
                }
        t->died = a->down && waitpid(a->live->pid, NULL, WNOHANG) == a->live->pid;
        return t->died;
}

bool stage_tell(struct stage *s)
{
        struct city *c = s->m->c;

        for (; s->told < c->log_n; s->told++) {
                const struct city_entry *e = &c->log[s->told];
                struct live_agent *a;
                struct telling t = { e->lane };

                if (e->link == 0)
                        continue;
                a = agent_at(s, e->link);
                t.number = live_put(a, e->lane, e->wire);
                live_pump(a, told_or_dead, &t, "a receipt");
                if (t.died) {
                        s->live.pid = 0;
                        a->next[e->lane] = t.number;
                        stage_hang_up(s);
                        return false;
                }
                s->rows[s->told] = t.row;
                if (t.row.code != e->code)
                        print_error("# entry %zu of the city: %s\n", s->told + 1, t.row.detail);
                assert_refusal(t.row.code, e->code);
        }
        return true;
}

void stage_must_hold(struct stage *s, const char *how)
{
        char out[4000];
        int code = live_run(&s->live, how, NULL, out, sizeof(out));

        if (code != 0)
                print_error("# %s", out);
        assert_int_equal(code, 0);
        assert_non_null(strstr(out, "all holds"));
}
