/* catalog: the life of an entry (SM-CAT 2, 3, 4, 12; rows 5 to 10 come later, row 11 with them).
 *
 * A matter is named by the digest of its first SUBMIT; the center assigns the resource code when the authority approves.
 * A code, once given, belongs to its matter for ever. */
#include "common/exchange/catalog.h"

#include "common/exchange/catalog_rules.h"
#include "common/exchange/grant.h"
#include "common/exchange/signers.h"
#include "common/macro.h"
#include "common/wire.h"

#include <errno.h>

struct matter {
        struct rows rows;
        struct bytes id;
        Shuyi__V1__MatterRow *row;              /* a fresh one for a first SUBMIT */
        const Shuyi__V1__Entry *entry;          /* submitted now, or under review */
        struct catalog_results results;
};

/* ---- finding ---- */

static const Shuyi__V1__Entry *entry_submitted(const struct turn *t)
{
        const Shuyi__V1__CatSubmitBody *body = (const Shuyi__V1__CatSubmitBody *)t->claim->open_body;

        return t->intent->kind == KIND_CAT_SUBMIT && body ? body->entry : NULL;
}

/* A first SUBMIT makes the matter; its own digest is the name. */
static Shuyi__V1__MatterRow *first_submit(struct turn *t, struct matter *m)
{
        Shuyi__V1__MatterRow *row = turn_new_matter(t, sizeof(*row));

        if (!row)
                return NULL;
        shuyi__v1__matter_row__init(row);
        row->provider = t->intent->from;
        m->id = arena_copy(t->arena, bytes_digest(&t->claim->header_digest));
        return row;
}

/* A provider sees its own matters, the authority all; each has its own acts. */
static enum refusal check_actor(struct turn *t, const struct matter *m)
{
        bool provider = strcmp(signers_department(t), m->row->provider) == 0;

        if (t->intent->kind == KIND_CAT_SUBMIT)
                return provider ? ACCEPTED : turn_refuse(t, E_NOT_FOUND, "object");
        return t->actors_n && t->actors[0].authority ? ACCEPTED : turn_refuse(t, E_ROLE, "authority");
}

static enum refusal matter_load(struct turn *t, void **ret_matter, unsigned *ret_state)
{
        struct matter *m = turn_new_matter(t, sizeof(*m));
        bool first = t->intent->kind == KIND_CAT_SUBMIT && t->intent->object.len == 0;

        if (!m)
                return E_NOT_FOUND;
        m->rows = rows_of(t);
        m->id = bytes_of_field(t->intent->object);
        m->row = first ? first_submit(t, m) : m->id.n == DIGEST_BYTES ? rows_matter(&m->rows, m->id) : NULL;
        if (!m->row)
                return turn_refuse(t, E_NOT_FOUND, "object");
        if (first && rows_matter(&m->rows, m->id))
                return turn_refuse(t, E_REPLAY, "object");      /* the same header under other signatures */
        m->entry = t->intent->kind == KIND_CAT_SUBMIT ? entry_submitted(t) : m->row->pending;
        *ret_matter = m;
        *ret_state = m->row->state;
        return check_actor(t, m);
}

static void matter_store(struct turn *t, void *matter, unsigned state)
{
        struct matter *m = matter;

        m->row->state = state;
        turn_put_row(t, TURN_KEY(t, TABLE_MATTER, m->id), &m->row->base);
}

/* ---- guards ---- */

static enum refusal guard_not_yet(struct turn *t, void *matter)
{
        const struct matter *m = matter;
        const char *field = m->entry ? catalog_not_yet(m->entry) : NULL;

        return field ? turn_refuse(t, E_NOT_YET, field) : ACCEPTED;
}

/* The agent that may push is named by who submits, and is the department's own. */
static enum refusal guard_fields(struct turn *t, void *matter)
{
        struct matter *m = matter;

        t->detail[0] = 0;
        if (!m->entry)
                turn_detail(t, "entry");
        if (!rows_agent_in_force(&m->rows, m->row->provider, bytes_of_field(t->intent->agent), t->now))
                turn_detail(t, "agent");
        return t->detail[0] ? G_FIELD : ACCEPTED;
}

static enum refusal guard_rules(struct turn *t, void *matter)
{
        struct matter *m = matter;
        struct catalog_lookup lookup = { &m->rows, m->row->provider, m->id, times_shanghai_day(t->now), t->arena };
        char codes[CATALOG_CODES_TEXT];

        catalog_check(m->entry, t->policy, &lookup, &m->results);
        if (m->results.first == ACCEPTED)
                return ACCEPTED;
        catalog_format(&m->results, false, codes);
        return turn_refuse(t, m->results.first, codes);
}

static enum refusal guard_defects(struct turn *t, void *matter)
{
        const Shuyi__V1__ReturnBody *body = (const Shuyi__V1__ReturnBody *)t->claim->open_body;

        if (!body || body->n_defects == 0 || body->n_defects > 64)
                return turn_refuse(t, G_FIELD, "defects");
        for (size_t i = 0; i < body->n_defects; i++)
                if (!body->defects[i]->code[0] || strlen(body->defects[i]->code) > 64 || strlen(body->defects[i]->remark) > 500)
                        return turn_refuse(t, G_FIELD, "defects");
        return ACCEPTED;
}

static enum refusal guard_reviewer(struct turn *t, void *matter)
{
        const struct matter *m = matter;

        if (signers_person_signed(t, bytes_of_field(m->row->officer)) || signers_person_signed(t, bytes_of_field(m->row->approver)))
                return turn_refuse(t, G_SEPARATION, "reviewer");
        return ACCEPTED;
}

/* What is approved is what was read: a resubmission in between is another text. */
static enum refusal guard_same_submit(struct turn *t, void *matter)
{
        const struct matter *m = matter;
        const Shuyi__V1__CatApproveBody *body = (const Shuyi__V1__CatApproveBody *)t->claim->open_body;

        return body && field_equal(body->submit_digest, m->row->submit_digest) ? ACCEPTED : turn_refuse(t, G_FIELD, "submit_digest");
}

static enum refusal guard_freeze(struct turn *t, void *matter)
{
        const struct matter *m = matter;
        const Shuyi__V1__FreezeBody *body = (const Shuyi__V1__FreezeBody *)t->claim->open_body;

        if (m->row->frozen)
                return turn_refuse(t, E_STATE, "frozen");
        if (!body || (body->reason != REASON_SECURITY_INCIDENT && body->reason != REASON_SECRECY_INCIDENT))
                return turn_refuse(t, G_REASON, "reason");
        return ACCEPTED;
}

static enum refusal guard_unfreeze(struct turn *t, void *matter)
{
        const struct matter *m = matter;
        const Shuyi__V1__FreezeBody *body = (const Shuyi__V1__FreezeBody *)t->claim->open_body;

        if (!m->row->frozen)
                return turn_refuse(t, E_STATE, "not frozen");
        return body && body->reason == REASON_RESOLVED ? ACCEPTED : turn_refuse(t, G_REASON, "reason");
}

/* ---- effects ---- */

static void submit(struct turn *t, void *matter)
{
        struct matter *m = matter;
        char *codes = arena_alloc(t->arena, CATALOG_CODES_TEXT);

        if (!codes) {
                t->fault = t->fault ? t->fault : -ENOMEM;
                return;
        }
        catalog_format(&m->results, true, codes);
        m->row->submit_digest = field_of_bytes(bytes_digest(&t->claim->header_digest));
        m->row->pending = (Shuyi__V1__Entry *)m->entry;
        m->row->agent = t->intent->agent;
        m->row->officer = field_of_bytes(bytes_id(&t->actors[0].subject));
        m->row->approver = field_of_bytes(bytes_id(&t->actors[1].subject));
        m->row->warnings = m->results.warnings;
        m->row->warning_codes = codes;
        m->row->submitted_at = t->now.ms;
        m->row->submit_seq = t->entry->seq;
        m->row->n_defects = 0;
        m->row->defects = NULL;
        turn_detail(t, codes);
        turn_clock_start(t, CLOCK_CAT_REVIEW, m->id, t->now, policy_number(t->policy, POLICY_catalog_review_wd));
        TELL(t, NOTICE_CAT_TASK, t->meta->authority);
}

static void give_back(struct turn *t, void *matter)
{
        struct matter *m = matter;
        const Shuyi__V1__ReturnBody *body = (const Shuyi__V1__ReturnBody *)t->claim->open_body;

        m->row->n_defects = body->n_defects;
        m->row->defects = body->defects;
        turn_clock_stop(t, CLOCK_CAT_REVIEW, m->id);
        TELL(t, NOTICE_CAT_RESULT, m->row->provider);
}

/* The next number of the class: "344001/17". */
static char *assign_code(struct turn *t, const char *class)
{
        struct bytes key = TURN_KEY(t, TABLE_CLASS, bytes_str(class));
        Shuyi__V1__NumberRow *last = turn_get_row(t, key, &shuyi__v1__number_row__descriptor);
        Shuyi__V1__NumberRow next = SHUYI__V1__NUMBER_ROW__INIT;

        next.n = last ? last->n + 1 : 1;
        turn_put_row(t, key, &next.base);
        return arena_printf(t->arena, "%s/%llu", class, (unsigned long long)next.n);
}

static void put_version(struct turn *t, struct matter *m, char *resource)
{
        Shuyi__V1__VersionRow v = SHUYI__V1__VERSION_ROW__INIT;
        Shuyi__V1__Entry *entry = m->row->pending;

        entry->resource_code = resource;
        v.entry = entry;
        v.matter = field_of_bytes(m->id);
        v.agent = m->row->agent;
        v.submit_digest = m->row->submit_digest;
        v.submit_seq = m->row->submit_seq;
        v.publish_digest = field_of_bytes(bytes_digest(&t->claim->header_digest));
        v.published_at = t->now.ms;
        v.effective_from = t->now.ms;
        turn_put_row(t, TURN_KEY(t, TABLE_VERSION, turn_u32(t, m->row->version), bytes_str(resource)), &v.base);
}

/* The names that nobody else may have from now on: code, name, and each datum it is the source of (5.2). */
static void put_names(struct turn *t, struct matter *m, const char *resource)
{
        const Shuyi__V1__Entry *e = m->row->pending;
        struct digest name = digest_plain(bytes_str(e->resource_name));

        turn_put(t, TURN_KEY(t, TABLE_RESOURCE, bytes_str(resource)), m->id);
        turn_put(t, TURN_KEY(t, TABLE_NAME, bytes_str(e->provider_code), bytes_digest(&name)), m->id);
        for (size_t i = 0; i < e->n_items; i++)
                if (e->items[i]->source_role == SOURCE_AUTHORITATIVE && e->items[i]->semantic_code[0])
                        turn_put(t, TURN_KEY(t, TABLE_DATUM, bytes_str(e->items[i]->semantic_code)), m->id);
}

static void publish(struct turn *t, void *matter)
{
        struct matter *m = matter;
        char *resource = assign_code(t, m->row->pending->resource_code);

        if (!resource) {
                t->fault = t->fault ? t->fault : -ENOMEM;
                return;
        }
        m->row->resource = resource;
        m->row->version = 1;
        put_version(t, m, resource);
        put_names(t, m, resource);
        m->row->pending = NULL;                 /* it lies in the version now */
        turn_detail(t, resource);
        turn_clock_stop(t, CLOCK_CAT_REVIEW, m->id);
        turn_trust(t, TRUST_CATALOG, m->id, m->row->frozen ? STATUS_FROZEN : STATUS_ACTIVE);
        TELL(t, NOTICE_CAT_RESULT, m->row->provider);
}

void catalog_set_frozen(struct turn *t, struct bytes matter, Shuyi__V1__MatterRow *row, bool frozen)
{
        row->frozen = frozen;
        turn_put_row(t, TURN_KEY(t, TABLE_MATTER, matter), &row->base);
        if (row->version)
                turn_trust(t, TRUST_CATALOG, matter, frozen ? STATUS_FROZEN : STATUS_ACTIVE);
        TELL(t, NOTICE_FREEZE, row->provider);
}

static void freeze(struct turn *t, void *matter)
{
        struct matter *m = matter;

        catalog_set_frozen(t, m->id, m->row, true);
}

static void unfreeze(struct turn *t, void *matter)
{
        struct matter *m = matter;

        catalog_set_frozen(t, m->id, m->row, false);
}

#define IN_ANY_BUT_RETIRED (IN(CAT_SUBMITTED) | IN(CAT_RETURNED) | IN(CAT_PUBLISHED) | IN(CAT_CHANGE_SUBMITTED) | IN(CAT_SCHEDULED))

static const struct rule rules[] = {
        { IN_NONE | IN(CAT_RETURNED), KIND_CAT_SUBMIT, BY_OFFICER_APPROVER, { guard_not_yet, guard_fields, guard_rules },
          CAT_SUBMITTED, submit, "SM-CAT 2", "ZS 8, 9" },
        { IN(CAT_SUBMITTED), KIND_CAT_RETURN, BY_OPERATOR, { guard_reviewer, guard_defects }, CAT_RETURNED, give_back, "SM-CAT 3", "ZS 8" },
        { IN(CAT_SUBMITTED), KIND_CAT_APPROVE, BY_OPERATOR, { guard_reviewer, guard_same_submit, guard_rules },
          CAT_PUBLISHED, publish, "SM-CAT 4", "ZS 8, 11" },
        { IN(CAT_SUBMITTED), KIND_CAT_SET_TYPE, BY_OPERATOR, { NULL }, 0, NULL, "SM-CAT 5", "XW 18, 22", true },
        { IN(CAT_PUBLISHED), KIND_CAT_CAUSE, BY_OFFICER, { NULL }, 0, NULL, "SM-CAT 6", "ZS 11", true },
        { IN(CAT_PUBLISHED), KIND_CAT_EXTEND_CHANGE, BY_OPERATOR, { NULL }, 0, NULL, "SM-CAT 7", "NA 17", true },
        { IN(CAT_PUBLISHED), KIND_CAT_SUBMIT_CHANGE, BY_OFFICER_APPROVER, { NULL }, 0, NULL, "SM-CAT 8", "ZS 11", true },
        { IN(CAT_CHANGE_SUBMITTED), KIND_CAT_RETURN, BY_OPERATOR, { NULL }, 0, NULL, "SM-CAT 9", "ZS 11", true },
        { IN(CAT_CHANGE_SUBMITTED), KIND_CAT_APPROVE, BY_OPERATOR, { NULL }, 0, NULL, "SM-CAT 10", "ZS 11", true },
        { IN_ANY_BUT_RETIRED, KIND_FREEZE, BY_SEC_ADMIN, { guard_freeze }, 0, freeze, "SM-CAT 12", "ZS 33(2)" },
        { IN_ANY_BUT_RETIRED, KIND_UNFREEZE, BY_SEC_ADMIN, { guard_unfreeze }, 0, unfreeze, "SM-CAT 12", "ZS 33(2)" },
};

#define MATTER_PROVIDER 2                       /* field number in MatterRow */

/* Whose matter; NULL: none.  A whole entry lies in the row, and a TICK fires many: it is not unpacked for one code. */
static const char *provider_of(struct turn *t, struct bytes object)
{
        struct bytes row, code;

        if (!turn_get(t, TURN_KEY(t, TABLE_MATTER, object), &row) || !wire_find_run(row, MATTER_PROVIDER, &code))
                return NULL;
        return arena_printf(t->arena, "%.*s", (int)code.n, (const char *)code.p);
}

/* No automatic approval: the authority is late, and stays due. */
static void expire(struct turn *t, enum clock clock, struct bytes object)
{
        const char *provider = provider_of(t, object);

        if (!provider)
                return;
        if (clock == CLOCK_CAT_CHANGE) {
                turn_fact(t, clock, object, provider, "V_CATALOG_LATE");
                return;
        }
        turn_fact(t, clock, object, t->meta->authority, "V_AUTHORITY_LATE");
        TELL(t, NOTICE_OVERDUE, t->meta->authority, provider);
}

static const enum clock clocks[] = { CLOCK_CAT_REVIEW, CLOCK_CAT_CHANGE };

const struct machine machine_catalog = {
        .name = "SM-CAT",
        .load = matter_load,
        .store = matter_store,
        .rules = rules,
        .rules_n = ELEMENTS(rules),
        .expire = expire,
        .clocks = clocks,
        .clocks_n = ELEMENTS(clocks),
};
