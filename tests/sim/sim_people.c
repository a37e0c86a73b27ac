/* sim_people: acts of persons between the machines: suspend, resume, freeze, revoke. */
#include "tests/sim/sim.h"
#include "common/exchange/rows.h"

static void must_accept(struct sim *s, struct city_result r)
{
        if (r.code != ACCEPTED)
                sim_fail(s, refusal_text(r.code)->code);
        if (r.outcome.trust_moved)
                city_trust_head(s->city);
        s->acts++;
}

static void suspend_or_resume(struct sim *s, struct sim_subscription *sub)
{
        must_accept(s, market_reason(s->market, sub->suspended ? KIND_GRANT_RESUME : KIND_GRANT_SUSPEND, &sub->grant, NULL,
                                     sub->suspended ? REASON_RECTIFIED : REASON_MISUSE, s->city->sec_admin, ROLE_SEC_ADMIN));
        sub->suspended = !sub->suspended;
}

static void freeze_or_not(struct sim *s)
{
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        Shuyi__V1__FreezeBody body = SHUYI__V1__FREEZE_BODY__INIT;

        i.object = field_of_bytes(bytes_digest(&s->matter));
        body.reason = s->frozen ? REASON_RESOLVED : REASON_SECURITY_INCIDENT;
        must_accept(s, city_act(s->city, &(struct city_act){ .kind = s->frozen ? KIND_UNFREEZE : KIND_FREEZE, .intent = &i, .body = &body.base,
                                                             .by = { { s->city->sec_admin, ROLE_SEC_ADMIN } } }));
        s->frozen = !s->frozen;
}

static void revoke(struct sim *s, struct sim_agent *a)
{
        if (a->revoked)
                return;
        city_revoke(s->city, a->who);
        city_trust_head(s->city);
        a->revoked = true;
        s->acts++;
}

void people_relent(struct sim *s)
{
        if (s->frozen)
                freeze_or_not(s);
        for (unsigned i = 1; i < SIM_AGENTS; i++)
                for (unsigned k = 0; k < SIM_STREAMS; k++)
                        if (s->agents[i].subs[k].suspended)
                                suspend_or_resume(s, &s->agents[i].subs[k]);
}

/* Trouble is seldom; most of the time it is cleared. */
void people_act(struct sim *s)
{
        unsigned n = sim_below(s, 24);

        if (n < 8)
                suspend_or_resume(s, &s->agents[1 + sim_below(s, SIM_AGENTS - 1)].subs[sim_below(s, SIM_STREAMS)]);
        else if (n == 8)
                freeze_or_not(s);
        else if (n == 9 && s->acts > 40)
                revoke(s, &s->agents[2]);
        else
                people_relent(s);
}
