/* registry: genesis, departments and their first people, anchors, the broker's credential, seal keys. */
#include "tests/lib/city.h"
#include "tests/lib/unit.h"

#include "common/exchange/rows.h"
#include "common/macro.h"

static Shuyi__V1__MetaRow *meta_row(struct city *c)
{
        return CITY_ROW(c, TABLE_META, &shuyi__v1__meta_row__descriptor, (struct bytes){ 0 });
}

/* ---- genesis ---- */

static void a_city_is_founded_by_its_own_entries(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        Shuyi__V1__MetaRow *meta = meta_row(c);

        assert_int_equal(meta->seq, 5);         /* ANCHOR CREDENTIAL DEPARTMENT POLICY_SET CALENDAR_SET */
        assert_string_equal(meta->authority, CITY_AUTHORITY);
        assert_int_equal(meta->anchor_version, 1);
        assert_int_equal(c->authority_agent->link, 1);
        assert_int_equal(city_count(c, TABLE_PERSON), 3);
        assert_int_equal(city_count(c, TABLE_CREDENTIAL), 5);
        assert_int_equal(meta->trust_seq, 9);   /* anchor, broker, department, four credentials, policy, calendar */
}

static void the_log_replays_to_the_same_state(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        struct digest own, again;

        city_department(c, CITY_CIVIL, "civil");
        city_department(c, CITY_HEALTH, "health");
        city_hire(c, CITY_HEALTH, "zhang", ROLE_USER, 0);
        city_join(c, CITY_HEALTH, "second");
        city_trust_head(c);
        city_revoke(c, city_find(c, "zhang"));
        city_trust_head(c);
        city_pass(c, 40 * DAY_MS);
        assert_true(city_tick(c) > 0);
        own = city_digest(c);
        again = city_replay(c);
        assert_true(digest_equal(&own, &again));
}

static void only_the_root_speaks_without_a_link(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        Shuyi__V1__RevokeBody body = SHUYI__V1__REVOKE_BODY__INIT;
        struct city_act act = { .kind = KIND_REVOKE, .body = &body.base, .by = { { c->sec_admin, ROLE_SEC_ADMIN } }, .no_link = true };

        assert_refusal(city_act(c, &act).code, E_CRED);
}

/* ---- DEPARTMENT ---- */

struct founding { struct city *c; Shuyi__V1__DepartmentBody *body; struct party *officer, *agent; };

static Shuyi__V1__Admission *admission(struct city *c, struct party *p, uint32_t role)
{
        Shuyi__V1__Admission *a = ARENA_NEW(c->arena, Shuyi__V1__Admission);
        Shuyi__V1__AgentLabel *label = ARENA_NEW(c->arena, Shuyi__V1__AgentLabel);

        shuyi__v1__admission__init(a);
        shuyi__v1__agent_label__init(label);
        label->label = p->name;
        if (role)
                a->staff = city_staff(c, p->name, &role, 1);
        else
                a->agent = label;
        a->credential = city_sign_credential(c, p, city_credential(c, p, &role, role ? 1 : 0, c->root[0]), c->root[0]);
        return a;
}

static struct founding founding_new(void)
{
        struct founding f = { .c = city_founded() };
        struct city *c = f.c;

        f.officer = city_party(c, "first", CITY_CIVIL, SUBJECT_PERSON);
        f.agent = city_party(c, "machine", CITY_CIVIL, SUBJECT_AGENT);
        f.body = ARENA_NEW(c->arena, Shuyi__V1__DepartmentBody);
        shuyi__v1__department_body__init(f.body);
        f.body->department = ARENA_NEW(c->arena, Shuyi__V1__Department);
        shuyi__v1__department__init(f.body->department);
        f.body->department->code = CITY_CIVIL;
        f.body->department->name = "民政局";
        f.body->department->dept_class = DEPT_GOV_DEPT;
        f.body->department->applies = APPLIES_MUST;
        f.body->admissions = ARENA_ARRAY(c->arena, Shuyi__V1__Admission *, 4);
        f.body->n_admissions = 2;
        f.body->admissions[0] = admission(c, f.officer, ROLE_DATA_OFFICER);
        f.body->admissions[1] = admission(c, f.agent, 0);
        return f;
}

static struct city_result found(struct founding *f)
{
        return city_act(f->c, &(struct city_act){ .kind = KIND_DEPARTMENT, .body = &f->body->base, .by = { { f->c->root[1], ROLE_ROOT }, { f->c->root[2], ROLE_ROOT } } });
}

static void as_it_is(struct founding *f) { }
static void bad_code(struct founding *f) { f->body->department->code = "11442000007332040X"; }
static void no_name(struct founding *f) { f->body->department->name = ""; }
static void no_class(struct founding *f) { f->body->department->dept_class = 9; }
static void second_authority(struct founding *f) { f->body->department->authority = true; }
static void unknown_via(struct founding *f) { f->body->department->via_dept = CITY_TAX; }
static void no_agent(struct founding *f) { f->body->n_admissions = 1; }
static void no_officer(struct founding *f) { f->body->admissions[0] = admission(f->c, f->officer, ROLE_USER); }
static void one_more(struct founding *f)
{
        f->body->admissions[f->body->n_admissions++] = admission(f->c, city_party(f->c, "third", CITY_CIVIL, SUBJECT_PERSON), ROLE_APPROVER);
}
static void of_another_department(struct founding *f)
{
        f->body->admissions[0] = admission(f->c, city_party(f->c, "foreign", CITY_TAX, SUBJECT_PERSON), ROLE_DATA_OFFICER);
}
static void other_roles_than_filed(struct founding *f)
{
        f->body->admissions[0]->staff = city_staff(f->c, "first", (const uint32_t[]){ ROLE_APPROVER }, 1);
}
static void not_by_the_root(struct founding *f)
{
        f->body->admissions[0]->credential = city_sign_credential(f->c, f->officer, city_credential(f->c, f->officer, (const uint32_t[]){ ROLE_DATA_OFFICER }, 1,
                                                                                                    f->c->sec_admin), f->c->sec_admin);
}
static void signature_of_another_root(struct founding *f)
{
        f->body->admissions[0]->credential = city_sign_credential(f->c, f->officer, city_credential(f->c, f->officer, (const uint32_t[]){ ROLE_DATA_OFFICER }, 1,
                                                                                                    f->c->root[0]), f->c->root[1]);
}
static void key_of_somebody_else(struct founding *f)
{
        memcpy(f->officer->sign_key, f->c->officer->sign_key, 32);
        memcpy(f->officer->sign_secret, f->c->officer->sign_secret, 64);
        f->body->admissions[0] = admission(f->c, f->officer, ROLE_DATA_OFFICER);
}
static void one_key_twice(struct founding *f)
{
        memcpy(f->officer->sign_key, f->agent->sign_key, 32);
        memcpy(f->officer->sign_secret, f->agent->sign_secret, 64);
        f->body->admissions[0] = admission(f->c, f->officer, ROLE_DATA_OFFICER);
}

static void a_department_comes_whole_or_not_at_all(void **state)
{
        static const struct { const char *name; void (*spoil)(struct founding *f); enum refusal code; } cases[] = {
                { "as it should be", as_it_is, ACCEPTED },
                { "a code that fails GB 32100", bad_code, G_FIELD },
                { "no name", no_name, G_FIELD },
                { "an unknown class", no_class, G_FIELD },
                { "a second authority", second_authority, G_FIELD },
                { "via a department that is not there", unknown_via, G_FIELD },
                { "without an agent", no_agent, G_FIELD },
                { "without a DATA_OFFICER", no_officer, G_FIELD },
                { "with an approver besides", one_more, G_FIELD },
                { "with another department's officer", of_another_department, G_FIELD },
                { "other roles than in the credential", other_roles_than_filed, G_FIELD },
                { "a credential that the root did not issue", not_by_the_root, G_FIELD },
                { "signed by another root key than it names", signature_of_another_root, G_FIELD },
                { "a key that is somebody's", key_of_somebody_else, G_ONCE },
                { "one key for two", one_key_twice, G_SEPARATION },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct founding f = founding_new();
                struct city_result r;

                cases[i].spoil(&f);
                r = found(&f);
                if (r.code != cases[i].code && !(cases[i].spoil == one_key_twice && r.code == G_ONCE))
                        fail_msg("%s: %s %s", cases[i].name, refusal_text(r.code)->code, r.detail);
                assert_int_equal(city_count(f.c, TABLE_DEPARTMENT), r.code == ACCEPTED ? 2 : 1);
                city_free(f.c);
        }
}

static void a_department_is_registered_once(void **state)
{
        struct founding f = founding_new();

        assert_refusal(found(&f).code, ACCEPTED);
        assert_refusal(found(&f).code, E_STATE);
        city_free(f.c);
}

static void one_root_key_is_not_the_threshold(void **state)
{
        struct founding f = founding_new();
        struct city_act act = { .kind = KIND_DEPARTMENT, .body = &f.body->base, .by = { { f.c->root[1], ROLE_ROOT } } };

        assert_refusal(city_act(f.c, &act).code, G_SIGNERS);
        act.by[0].who = f.c->sec_admin;
        act.by[0].as = ROLE_SEC_ADMIN;
        assert_refusal(city_act(f.c, &act).code, E_ROLE);
        city_free(f.c);
}

static void the_roots_acts_travel_over_the_authoritys_link(void **state)
{
        struct founding f = founding_new();
        struct city *c = f.c;

        assert_refusal(found(&f).code, ACCEPTED);
        Shuyi__V1__AgentRow *row = CITY_ROW(c, TABLE_AGENT, &shuyi__v1__agent_row__descriptor, bytes_id(&f.agent->id));
        f.agent->link = row->link;
        assert_refusal(city_act(c, &(struct city_act){ .kind = KIND_DEPARTMENT, .body = &f.body->base, .over = f.agent,
                                                       .by = { { c->root[1], ROLE_ROOT }, { c->root[2], ROLE_ROOT } } }).code, E_CRED);
        city_free(c);
}

/* ---- ANCHOR ---- */

static void an_anchor_follows_by_one(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        struct bytes first = c->log[0].wire;

        city_anchor(c);
        assert_int_equal(meta_row(c)->anchor_version, 2);
        assert_int_equal(city_count(c, TABLE_ANCHOR), 2);
        city_pass(c, 40 * DAY_MS);
        city_tick(c);
        assert_int_not_equal(city_put(c, first, NULL).code, ACCEPTED);  /* nobody installs a lower version */
        assert_int_equal(meta_row(c)->anchor_version, 2);
}

/* ---- SEAL_KEY ---- */

static struct city_result seal_key(struct city *c, const struct party *agent, const uint8_t *key, size_t n, uint64_t not_after)
{
        Shuyi__V1__SealKeyBody body = SHUYI__V1__SEAL_KEY_BODY__INIT;

        body.seal_key = field_of_bytes(bytes_of(key, n));
        body.not_after = not_after;
        return city_act(c, &(struct city_act){ .kind = KIND_SEAL_KEY, .body = &body.base, .by = { { agent, ROLE_AGENT } } });
}

static void an_agent_publishes_a_seal_key_for_30_days(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        const uint8_t key[32] = { 1, 2, 3 };
        Shuyi__V1__AgentRow *row;

        assert_refusal(seal_key(c, c->authority_agent, key, 31, c->now.ms + DAY_MS).code, G_FIELD);
        assert_refusal(seal_key(c, c->authority_agent, key, 32, c->now.ms).code, G_FIELD);
        assert_refusal(seal_key(c, c->authority_agent, key, 32, c->now.ms + 30 * DAY_MS + 1).code, G_FIELD);
        assert_refusal(seal_key(c, c->authority_agent, c->broker->link_key, 32, c->now.ms + DAY_MS).code, G_ONCE);
        assert_refusal(seal_key(c, c->authority_agent, key, 32, c->now.ms + 30 * DAY_MS).code, ACCEPTED);
        row = CITY_ROW(c, TABLE_AGENT, &shuyi__v1__agent_row__descriptor, bytes_id(&c->authority_agent->id));
        assert_memory_equal(row->seal_key.data, key, 32);
        assert_int_equal(row->link, 1);
}

/* A broker that tells an old SEAL_KEY again does not bring back a key whose secret may be gone, or known. */
static void a_seal_key_is_followed_by_one_that_ends_later(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        const uint8_t old[32] = { 1 }, fresh[32] = { 2 };

        assert_refusal(seal_key(c, c->authority_agent, old, 32, c->now.ms + 2 * DAY_MS).code, ACCEPTED);
        assert_refusal(seal_key(c, c->authority_agent, fresh, 32, c->now.ms + 3 * DAY_MS).code, ACCEPTED);
        assert_refusal(seal_key(c, c->authority_agent, old, 32, c->now.ms + 2 * DAY_MS).code, G_FIELD);
}

static void nobody_speaks_for_an_agent_over_another_link(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        Shuyi__V1__SealKeyBody body = SHUYI__V1__SEAL_KEY_BODY__INIT;
        const uint8_t key[32] = { 1 };
        struct party *second = city_join(c, CITY_AUTHORITY, "second");

        body.seal_key = field_of_bytes(bytes_of(key, 32));
        body.not_after = c->now.ms + DAY_MS;
        assert_refusal(city_act(c, &(struct city_act){ .kind = KIND_SEAL_KEY, .body = &body.base, .by = { { second, ROLE_AGENT } }, .over = c->authority_agent }).code, E_CRED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_city_is_founded_by_its_own_entries),
                cmocka_unit_test(the_log_replays_to_the_same_state),
                cmocka_unit_test(only_the_root_speaks_without_a_link),
                cmocka_unit_test(a_department_comes_whole_or_not_at_all),
                cmocka_unit_test(a_department_is_registered_once),
                cmocka_unit_test(one_root_key_is_not_the_threshold),
                cmocka_unit_test(the_roots_acts_travel_over_the_authoritys_link),
                cmocka_unit_test(an_anchor_follows_by_one),
                cmocka_unit_test(an_agent_publishes_a_seal_key_for_30_days),
                cmocka_unit_test(a_seal_key_is_followed_by_one_that_ends_later),
                cmocka_unit_test(nobody_speaks_for_an_agent_over_another_link),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
