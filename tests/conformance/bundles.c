/* bundles: evidence of every act of two cities, and the keys of all who live there, as files: what the conformance tests judge and spoil.
 *
 * Usage: bundles DIR.  Writes DIR/<city>/<seq>-<kind>.bundle, anchor (SignedAnchor bytes) and keys (name, id of the credential, seed; a line each). */
#include "tests/lib/evidence.h"
#include "common/exchange/rows.h"
#include "proto/log.pb-c.h"
#include "common/macro.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static FILE *create(struct evidence *e, const char *dir, const char *name)
{
        FILE *f = fopen(arena_printf(e->a, "%s/%s", dir, name), "wb");

        if (!f)
                abort();
        return f;
}

static void write_file(struct evidence *e, const char *dir, const char *name, struct bytes content)
{
        FILE *f = create(e, dir, name);

        if (fwrite(content.p, 1, content.n, f) != content.n || fclose(f))
                abort();
}

static void write_keys(struct evidence *e, const char *dir)
{
        FILE *f = create(e, dir, "keys");

        for (const struct party *p = e->c->parties; p; p = p->next) {
                char credential[2 * DIGEST_BYTES + 1], seed[65];

                hex_format(bytes_digest(&p->credential), credential);
                hex_format(bytes_of(p->sign_secret, 32), seed);
                fprintf(f, "%s %s %s\n", p->name, credential, seed);
        }
        if (fclose(f))
                abort();
}

/* A DECISION of each control act that has a trust head behind it. */
static void write_decisions(struct evidence *e, const char *dir)
{
        for (uint64_t seq = 1; seq < e->size; seq++) {
                const struct kind *k = kind_find(e->kinds[seq - 1]);
                Shuyi__V1__Bundle *b;

                if (k->class == KIND_CONTROL && evidence_try(e, &(struct bundle_wish){ .kind = BUNDLE_DECISION, .seq = seq }, &b) == 0)
                        write_file(e, dir, arena_printf(e->a, "%03llu-%s.bundle", (unsigned long long)seq, k->name), evidence_file(e, b));
        }
}

static struct evidence *begin(struct city *c, const char *root, const char *name, char **ret_dir)
{
        struct evidence *e = evidence_of(c);

        *ret_dir = arena_printf(e->a, "%s/%s", root, name);
        if (mkdir(*ret_dir, 0700) < 0)
                abort();
        write_file(e, *ret_dir, "anchor", e->anchor);
        write_keys(e, *ret_dir);
        write_decisions(e, *ret_dir);
        return e;
}

static void write_transfer(const char *root)
{
        struct transferred t = evidence_transfer();
        _cleanup_(evidence_freep) struct evidence *e = NULL;
        char *dir;

        e = begin(t.m->c, root, "transfer", &dir);
        write_file(e, dir, arena_printf(e->a, "%03llu-UPDATE.bundle", (unsigned long long)t.update),
                   evidence_file(e, evidence_make(e, &(struct bundle_wish){ BUNDLE_UPDATE, t.update, t.grant })));
        market_free(t.m);
}

/* ---- a city where much is decided ---- */

static const uint32_t items[] = { 1, 2, 3 };

static void must(struct city_result r)
{
        if (r.code != ACCEPTED) {
                fprintf(stderr, "refused: %s %s\n", refusal_text(r.code)->code, r.detail ? r.detail : "");
                abort();
        }
}

static void refused(struct city_result r)
{
        if (r.code == ACCEPTED || r.seq == 0)
                abort();
}

/* Applications with each of their ends. */
static void decide(struct market *m, const char *resource)
{
        Shuyi__V1__ReplyBody yes = SHUYI__V1__REPLY_BODY__INIT, no = SHUYI__V1__REPLY_BODY__INIT, part = SHUYI__V1__REPLY_BODY__INIT;
        Shuyi__V1__ItemReason excess = SHUYI__V1__ITEM_REASON__INIT, *excesses[] = { &excess };
        struct digest asked = market_apply(m, market_ask(m, resource)).digest;

        must(market_reply(m, KIND_CONSENT, market_answer(m, &asked, items, 3), &yes));
        asked = market_apply(m, market_ask(m, resource)).digest;
        excess.item_no = 3;
        excess.reason = R_EXCESS;
        part.refused = excesses;
        part.n_refused = 1;
        must(market_reply(m, KIND_CONSENT_PART, market_answer(m, &asked, items, 2), &part));
        asked = market_apply(m, market_ask(m, resource)).digest;
        no.reason = R_NOT_HELD;
        must(market_reply(m, KIND_REFUSE, market_answer(m, &asked, NULL, 0), &no));
        refused(market_reply(m, KIND_CONSENT, market_answer(m, &asked, items, 3), &yes));
        asked = market_apply(m, market_ask(m, resource)).digest;
        must(market_reason(m, KIND_WITHDRAW, NULL, &asked, REASON_NOT_NEEDED, m->health_approver, ROLE_APPROVER));
}

/* A grant suspended, resumed and ended; acts that are refused. */
static void stop_and_go(struct market *m, const char *open, const struct digest *grant)
{
        must(market_reason(m, KIND_GRANT_SUSPEND, grant, NULL, REASON_MISUSE, m->civil_approver, ROLE_APPROVER));
        refused(market_reason(m, KIND_GRANT_SUSPEND, grant, NULL, REASON_MISUSE, m->civil_approver, ROLE_APPROVER));
        must(market_reason(m, KIND_GRANT_RESUME, grant, NULL, REASON_RECTIFIED, m->civil_approver, ROLE_APPROVER));
        must(market_reason(m, KIND_GRANT_END, grant, NULL, REASON_PURPOSE_REACHED, m->health_approver, ROLE_APPROVER));
        city_trust_head(m->c);
        city_hire_again(m->c, m->health_user, "zhang-2", CITY_HEALTH, ROLE_USER, 0);
        refused(city_act(m->c, &(struct city_act){ .kind = KIND_GET, .intent = market_ask(m, open), .by = { { m->health_user, ROLE_USER } } }));
        refused(market_apply(m, market_ask(m, open)));
        city_revoke(m->c, m->health_user);
}

static void freeze(struct market *m, const struct digest *matter)
{
        Shuyi__V1__FreezeBody body = SHUYI__V1__FREEZE_BODY__INIT;
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;

        body.reason = REASON_SECURITY_INCIDENT;
        i.object = (ProtobufCBinaryData){ DIGEST_BYTES, (uint8_t *)matter->b };
        must(city_act(m->c, &(struct city_act){ .kind = KIND_FREEZE, .intent = &i, .body = &body.base, .by = { { m->c->sec_admin, ROLE_SEC_ADMIN } } }));
        body.reason = REASON_RESOLVED;
        must(city_act(m->c, &(struct city_act){ .kind = KIND_UNFREEZE, .intent = &i, .body = &body.base, .by = { { m->c->sec_admin, ROLE_SEC_ADMIN } } }));
}

/* Asked for far too early, so refused. */
static void purge(struct market *m)
{
        const struct party *auditor = city_hire(m->c, CITY_AUTHORITY, "auditor", ROLE_AUDIT_OFFICER, 0);
        Shuyi__V1__PurgeBody body = SHUYI__V1__PURGE_BODY__INIT;

        body.what = PURGE_BODIES;
        body.to = 5;
        refused(city_act(m->c, &(struct city_act){ .kind = KIND_PURGE, .body = &body.base,
                                                   .by = { { m->c->data_operator, ROLE_DATA_OPERATOR }, { auditor, ROLE_AUDIT_OFFICER } } }));
}

static void write_decided(const char *root)
{
        struct market *m = market_new();
        struct digest matter = market_submit(m, market_open_entry(m), NULL).digest, grant;
        const char *open, *conditional;
        struct market_stream stream;
        struct evidence *e;
        char *dir;

        must(market_approve(m, &matter, &matter));
        open = market_matter(m, &matter)->resource;
        conditional = market_publish(m, market_conditional_entry(m));
        city_trust_head(m->c);
        grant = market_live(m, open, &stream);
        city_trust_head(m->c);
        decide(m, conditional);
        city_trust_head(m->c);
        stop_and_go(m, open, &grant);
        freeze(m, &matter);
        purge(m);
        city_pass(m->c, 1000);
        city_trust_head(m->c);
        e = begin(m->c, root, "decided", &dir);
        evidence_free(e);
        market_free(m);
}

/* The smallest evidence there is: the first ANCHOR, in a city with two witnesses that have not signed yet. */
static void write_small(const char *root)
{
        struct city *c = city_new();
        struct evidence *e;
        char *dir;

        c->witnesses = 2;
        city_anchor(c);
        city_broker_credential(c);
        city_department(c, CITY_AUTHORITY, "authority");
        city_trust_head(c);
        e = begin(c, root, "small", &dir);
        evidence_free(e);
        city_free(c);
}

int main(int argc, char **argv)
{
        if (argc != 2 || sodium_init() < 0)
                return 2;
        write_small(argv[1]);
        write_transfer(argv[1]);
        write_decided(argv[1]);
        return 0;
}
