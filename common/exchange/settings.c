/* settings: policy, calendar and clock, each entering as an entry, so that nothing hidden changes an outcome (DESIGN 2).
 *
 * The bytes are canonical: what is digested, what two persons of the authority signed, and what every evaluation reads. */
#include "common/exchange/effects.h"
#include "common/exchange/rows.h"
#include "common/exchange/turn.h"
#include "common/macro.h"
#include "common/policy_keys.h"

#define PUBLISHED 1

struct settings_matter {
        struct bytes canonical;
        struct digest digest;
        uint32_t version;
        Shuyi__V1__DocumentRow *old;            /* in force; NULL before the first */
};

static enum refusal load_document(struct turn *t, struct settings_matter *m, enum table table, const ProtobufCBinaryData *canonical, unsigned *ret_state)
{
        m->canonical = bytes_of(canonical->data, canonical->len);
        m->old = turn_get_row(t, TURN_KEY(t, table, (struct bytes){ 0 }), &shuyi__v1__document_row__descriptor);
        *ret_state = m->old ? PUBLISHED : 0;
        return ACCEPTED;
}

static enum refusal load(struct turn *t, void **ret_matter, unsigned *ret_state)
{
        struct settings_matter *m = ARENA_NEW(t->arena, struct settings_matter);
        const void *body = t->claim->open_body;

        if (!m || !body)
                return turn_refuse(t, E_FORM, "body");
        *ret_matter = m;
        *ret_state = 0;
        switch (t->claim->kind->number) {
        case KIND_POLICY_SET:
                return load_document(t, m, TABLE_POLICY, &((const Shuyi__V1__PolicySetBody *)body)->canonical, ret_state);
        case KIND_CALENDAR_SET:
                return load_document(t, m, TABLE_CALENDAR, &((const Shuyi__V1__CalendarSetBody *)body)->canonical, ret_state);
        default:
                return ACCEPTED;
        }
}

static void document_write(struct turn *t, enum table table, const struct settings_matter *m)
{
        Shuyi__V1__DocumentRow row = SHUYI__V1__DOCUMENT_ROW__INIT;

        row.bytes_ = field_of_bytes(m->canonical);
        row.version = m->version;
        row.digest = field_of_bytes(bytes_digest(&m->digest));
        row.seq = t->entry->seq;
        turn_put_row(t, TURN_KEY(t, table, (struct bytes){ 0 }), &row.base);
}

/* ---- POLICY_SET ---- */

/* One more than the one in force, or the first. */
static bool version_follows(const struct turn *t, const struct settings_matter *m, const struct policy *p)
{
        return !m->old || policy_number(p, POLICY_profile_version) == m->old->version + 1;
}

static enum refusal judge_policy(struct turn *t, struct settings_matter *m, const struct policy *p)
{
        if (!bytes_equal(policy_canonical(p), m->canonical))
                return turn_refuse(t, G_FIELD, "canonical");
        if (strcmp(policy_text(p, POLICY_division_code), t->meta->domain) != 0)
                return turn_refuse(t, E_DOMAIN, "division_code");
        if (policy_is(p, POLICY_standing, "COMPARE"))
                return turn_refuse(t, G_PATH, "standing");
        if (!version_follows(t, m, p))
                return turn_refuse(t, G_FIELD, "profile_version");
        m->digest = policy_digest(p);
        m->version = policy_number(p, POLICY_profile_version);
        return ACCEPTED;
}

static enum refusal policy_fits(struct turn *t, void *matter)
{
        struct settings_matter *m = matter;
        char error[200] = "";
        struct policy *p = policy_parse(m->canonical, NULL, error);
        enum refusal r = p ? judge_policy(t, m, p) : turn_refuse(t, G_FIELD, error);

        policy_free(p);
        return r;
}

static void policy_write(struct turn *t, void *matter)
{
        const struct settings_matter *m = matter;
        Shuyi__V1__DocumentRow row = SHUYI__V1__DOCUMENT_ROW__INIT;

        document_write(t, TABLE_POLICY, m);
        row.bytes_ = field_of_bytes(m->canonical);
        row.version = m->version;
        row.digest = field_of_bytes(bytes_digest(&m->digest));
        row.seq = t->entry->seq;
        turn_put_row(t, TURN_KEY(t, TABLE_POLICY_OLD, bytes_digest(&m->digest)), &row.base);
        t->meta->policy_digest = field_of_bytes(bytes_digest(&m->digest));
        turn_trust(t, TRUST_POLICY, bytes_str(t->meta->domain), STATUS_ACTIVE);
}

/* ---- CALENDAR_SET ---- */

static enum refusal calendar_fits(struct turn *t, void *matter)
{
        struct settings_matter *m = matter;
        char error[160] = "";
        struct calendar *c = calendar_parse(m->canonical, error);

        if (!c)
                return turn_refuse(t, G_FIELD, error);
        calendar_free(c);
        m->digest = calendar_digest(m->canonical);
        m->version = m->old ? m->old->version + 1 : 1;
        return ACCEPTED;
}

static void calendar_write(struct turn *t, void *matter)
{
        const struct settings_matter *m = matter;

        document_write(t, TABLE_CALENDAR, m);
        t->meta->calendar_digest = field_of_bytes(bytes_digest(&m->digest));
        turn_trust(t, TRUST_CALENDAR, bytes_str(t->meta->domain), STATUS_ACTIVE);
}

/* ---- CLOCK: the sequencer stamps it max(previous, the time stated) ---- */

static enum refusal clock_fits(struct turn *t, void *matter)
{
        const Shuyi__V1__ClockBody *body = (const void *)t->claim->open_body;

        return body->stated && body->stated <= t->now.ms ? ACCEPTED : turn_refuse(t, G_FIELD, "stated");
}

static const struct rule rules[] = {
        /* in          event              by                          guards              becomes  effect          row     law */
        { IN_NONE,       KIND_POLICY_SET,   BY_SEC_ADMIN_AND_OPERATOR, { policy_fits },    0,       policy_write,   "11",   "ZS 7" },
        { IN(PUBLISHED), KIND_POLICY_SET,   BY_TWO_AUTHORITY,          { policy_fits },    0,       policy_write,   "11",   "ZS 7" },
        { IN_NONE,       KIND_CALENDAR_SET, BY_SEC_ADMIN_AND_OPERATOR, { calendar_fits },  0,       calendar_write, "12",   "ZS 7" },
        { IN(PUBLISHED), KIND_CALENDAR_SET, BY_TWO_AUTHORITY,          { calendar_fits },  0,       calendar_write, "12",   "ZS 7" },
        { IN_NONE,       KIND_CLOCK,        BY_SEC_ADMIN,              { clock_fits },     0,       NULL,           "12.6", "ZS 36" },
};

const struct machine machine_settings = {
        .name = "SETTINGS",
        .load = load,
        .rules = rules,
        .rules_n = ELEMENTS(rules),
};
