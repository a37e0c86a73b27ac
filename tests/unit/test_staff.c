/* staff: filing, accepting, returning, changing, revoking; separation of duties by person. */
#include "tests/lib/city.h"
#include "tests/lib/unit.h"

#include "common/exchange/rows.h"
#include "common/macro.h"

#include <stdlib.h>

static const uint32_t user[] = { ROLE_USER }, both[] = { ROLE_USER, ROLE_APPROVER };

static struct city *two_departments(void)
{
        struct city *c = city_founded();

        city_department(c, CITY_CIVIL, "civil");
        city_department(c, CITY_HEALTH, "health");
        return c;
}

static Shuyi__V1__PersonRow *person_row(struct city *c, const struct party *p)
{
        return CITY_ROW(c, TABLE_PERSON, &shuyi__v1__person_row__descriptor, bytes_str(p->department), bytes_id(&p->id));
}

static Shuyi__V1__CredentialRow *credential_row(struct city *c, const struct digest *id)
{
        return CITY_ROW(c, TABLE_CREDENTIAL, &shuyi__v1__credential_row__descriptor, bytes_digest(id));
}

static Shuyi__V1__FilingRow *filing_row(struct city *c, const struct digest *id)
{
        return CITY_ROW(c, TABLE_FILING, &shuyi__v1__filing_row__descriptor, bytes_digest(id));
}

/* ---- FILE ---- */

static void a_filing_waits_for_the_authority(void **state)
{
        _cleanup_(city_freep) struct city *c = two_departments();
        const struct party *p = city_party(c, "zhang", CITY_HEALTH, SUBJECT_PERSON);
        struct city_result r = city_file_staff(c, city_find(c, "health-officer"), city_file_body(c, p, user, 1));

        assert_refusal(r.code, ACCEPTED);
        assert_int_equal(filing_row(c, &r.digest)->state, STAFF_FILED);
        assert_null(person_row(c, p));                  /* nobody yet */
        assert_int_equal(r.outcome.wakes_n, 1);         /* the authority's feed */
        assert_true(bytes_equal(r.outcome.wakes[0].key, bytes_str(CITY_AUTHORITY)));
}

static void a_filing_names_all_that_it_lacks(void **state)
{
        _cleanup_(city_freep) struct city *c = two_departments();
        const struct party *p = city_party(c, "zhang", CITY_HEALTH, SUBJECT_PERSON);
        Shuyi__V1__FileBody *b = city_file_body(c, p, NULL, 0);
        struct city_result r;

        b->staff->office = b->staff->name = b->staff->phone = "";
        r = city_file_staff(c, city_find(c, "health-officer"), b);
        assert_refusal(r.code, G_FIELD);
        assert_string_equal(r.detail, "office,name,phone,roles");
}

static void what_is_filed_is_a_person_or_an_agent(void **state)
{
        _cleanup_(city_freep) struct city *c = two_departments();
        const struct party *officer = city_find(c, "health-officer");
        Shuyi__V1__FileBody *b = city_file_body(c, city_party(c, "zhang", CITY_HEALTH, SUBJECT_PERSON), user, 1);
        Shuyi__V1__AgentLabel label = SHUYI__V1__AGENT_LABEL__INIT;

        b->agent = &label;
        assert_refusal(city_file_staff(c, officer, b).code, G_FIELD);
        b->agent = NULL;
        b->staff = NULL;
        assert_refusal(city_file_staff(c, officer, b).code, G_FIELD);
}

static void a_department_files_its_own_people_only(void **state)
{
        _cleanup_(city_freep) struct city *c = two_departments();
        const struct party *p = city_party(c, "zhang", CITY_HEALTH, SUBJECT_PERSON);

        assert_refusal(city_file_staff(c, city_find(c, "civil-officer"), city_file_body(c, p, user, 1)).code, G_FIELD);
}

static void a_filing_may_travel_over_the_authoritys_link(void **state)
{
        _cleanup_(city_freep) struct city *c = two_departments();
        const struct party *p = city_party(c, "zhang", CITY_HEALTH, SUBJECT_PERSON);
        struct city_act act = { .kind = KIND_FILE, .body = &city_file_body(c, p, user, 1)->base,
                                .by = { { city_find(c, "health-officer"), ROLE_DATA_OFFICER } }, .over = city_find(c, "civil-agent") };

        assert_refusal(city_act(c, &act).code, E_CRED);
        act.over = c->authority_agent;
        assert_refusal(city_act(c, &act).code, ACCEPTED);
}

static void roles_of_the_authority_stay_there(void **state)
{
        static const uint32_t roles[] = { ROLE_SEC_ADMIN, ROLE_DATA_OPERATOR, ROLE_AUDIT_OFFICER };
        _cleanup_(city_freep) struct city *c = two_departments();
        const struct party *p = city_party(c, "zhang", CITY_HEALTH, SUBJECT_PERSON);

        for (size_t i = 0; i < ELEMENTS(roles); i++)
                assert_refusal(city_file_staff(c, city_find(c, "health-officer"), city_file_body(c, p, &roles[i], 1)).code, G_FIELD);
}

static void a_public_key_appears_once_ever(void **state)
{
        _cleanup_(city_freep) struct city *c = two_departments();
        const struct party *zhang = city_hire(c, CITY_HEALTH, "zhang", ROLE_USER, 0);
        struct party *twin = city_party(c, "twin", CITY_HEALTH, SUBJECT_PERSON);

        memcpy(twin->sign_key, zhang->sign_key, 32);
        memcpy(twin->sign_secret, zhang->sign_secret, 64);
        assert_refusal(city_file_staff(c, city_find(c, "health-officer"), city_file_body(c, twin, user, 1)).code, G_ONCE);
        city_revoke(c, zhang);
        assert_refusal(city_file_staff(c, city_find(c, "health-officer"), city_file_body(c, twin, user, 1)).code, G_ONCE);
}

/* ---- ACCEPT ---- */

struct acceptance { struct city *c; struct party *p; struct city_result filed; Shuyi__V1__Credential *credential; };

static struct acceptance filed_user(void)
{
        struct acceptance a = { .c = two_departments() };

        a.p = city_party(a.c, "zhang", CITY_HEALTH, SUBJECT_PERSON);
        a.filed = city_file_staff(a.c, city_find(a.c, "health-officer"), city_file_body(a.c, a.p, user, 1));
        a.credential = city_credential(a.c, a.p, user, 1, a.c->sec_admin);
        return a;
}

static enum refusal accept_it(struct acceptance *a)
{
        return city_accept(a->c, &a->filed.digest, city_sign_credential(a->c, a->p, a->credential, a->c->sec_admin)).code;
}

static void an_accepted_person_is_published(void **state)
{
        struct acceptance a = filed_user();
        Shuyi__V1__PersonRow *row;

        assert_refusal(accept_it(&a), ACCEPTED);
        row = person_row(a.c, a.p);
        assert_int_equal(row->state, STAFF_PUBLISHED);
        assert_int_equal(row->version, 1);
        assert_string_equal(row->staff->name, "zhang");
        assert_true(bytes_equal(bytes_of_field(row->credential), bytes_digest(&a.p->credential)));
        assert_int_equal(filing_row(a.c, &a.filed.digest)->state, STAFF_PUBLISHED);
        assert_refusal(accept_it(&a), E_STATE);                 /* once */
        city_free(a.c);
}

/* What is issued must be what was filed, within what the issuer may issue. */
static void other_roles(struct acceptance *a) { a->credential->subject->roles[0] = ROLE_APPROVER; }
static void no_person_id(struct acceptance *a) { memset(a->credential->subject->id.data, 0, 16); }
static void beyond_the_issuer(struct acceptance *a) { a->credential->not_after += 1; }
static void another_issuer(struct acceptance *a) { a->credential->issuer.data[0] ^= 1; }
static void may_issue_too(struct acceptance *a)
{
        Shuyi__V1__Credential *other = city_credential(a->c, a->p, (const uint32_t[]){ ROLE_SEC_ADMIN }, 1, a->c->root[0]);

        a->credential->may_issue = other->may_issue;
}
static void already_over(struct acceptance *a)
{
        a->credential->not_after = a->c->now.ms;
        a->credential->issued_at = a->credential->not_before = a->c->now.ms - 10;
}
static void another_key(struct acceptance *a)
{
        struct party *other = city_party(a->c, "other", CITY_HEALTH, SUBJECT_PERSON);

        other->id = a->p->id;
        a->p = other;
        a->credential = city_credential(a->c, other, user, 1, a->c->sec_admin);
}

static void what_is_issued_is_what_was_filed(void **state)
{
        static const struct { const char *name; void (*spoil)(struct acceptance *a); enum refusal code; } cases[] = {
                { "other roles", other_roles, G_FIELD }, { "no person_id", no_person_id, G_FIELD }, { "longer than the issuer's", beyond_the_issuer, G_FIELD },
                { "another issuer", another_issuer, G_FIELD }, { "may issue more than its issuer", may_issue_too, G_FIELD },
                { "over already", already_over, G_FIELD }, { "another key", another_key, G_FIELD },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct acceptance a = filed_user();
                enum refusal r;

                cases[i].spoil(&a);
                r = accept_it(&a);
                if (r != cases[i].code)
                        fail_msg("%s: %s", cases[i].name, refusal_text(r)->code);
                assert_int_equal(filing_row(a.c, &a.filed.digest)->state, STAFF_FILED);
                city_free(a.c);
        }
}

static void who_filed_does_not_accept(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        const uint32_t officer_and_security[] = { ROLE_DATA_OFFICER };
        struct party *second = city_hire_again(c, c->sec_admin, "security-too", CITY_AUTHORITY, ROLE_DATA_OFFICER, 0);
        struct party *p = city_party(c, "zhang", CITY_AUTHORITY, SUBJECT_PERSON);
        struct city_result filed = city_file_staff(c, second, city_file_body(c, p, officer_and_security, 1));

        assert_refusal(filed.code, ACCEPTED);
        assert_refusal(city_accept(c, &filed.digest, city_sign_credential(c, p, city_credential(c, p, officer_and_security, 1, c->sec_admin), c->sec_admin)).code,
                       G_SEPARATION);
}

/* ---- RETURN ---- */

static void a_returned_filing_is_over(void **state)
{
        struct acceptance a = filed_user();
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        Shuyi__V1__ReturnBody body = SHUYI__V1__RETURN_BODY__INIT;
        Shuyi__V1__Defect defect = SHUYI__V1__DEFECT__INIT, *defects[] = { &defect };
        struct city_act act = { .kind = KIND_STAFF_RETURN, .intent = &i, .body = &body.base, .by = { { a.c->sec_admin, ROLE_SEC_ADMIN } } };

        i.object = field_of_bytes(bytes_digest(&a.filed.digest));
        assert_refusal(city_act(a.c, &act).code, G_REASON);
        defect.code = "phone";
        body.n_defects = 1;
        body.defects = defects;
        assert_refusal(city_act(a.c, &act).code, ACCEPTED);
        assert_int_equal(filing_row(a.c, &a.filed.digest)->state, STAFF_RETURNED);
        assert_string_equal(filing_row(a.c, &a.filed.digest)->defects[0]->code, "phone");
        assert_refusal(accept_it(&a), E_STATE);
        city_free(a.c);
}

/* A field that a later version might have added: kept, but not without measure. */
static void a_staff_record_of_many_bytes_is_refused(void **state)
{
        _cleanup_(city_freep) struct city *c = two_departments();
        struct party *p = city_party(c, "fat", CITY_HEALTH, SUBJECT_PERSON);
        const uint32_t roles[] = { ROLE_USER };
        Shuyi__V1__FileBody *body = city_file_body(c, p, roles, 1);
        uint8_t more[5002] = { 0x88, 0x27 };            /* 5,000 */
        ProtobufCMessageUnknownField field = { 1000, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, sizeof(more), more };

        body->staff->base.n_unknown_fields = 1;
        body->staff->base.unknown_fields = &field;
        assert_refusal(city_file_staff(c, city_find(c, "health-officer"), body).code, G_FIELD);
        more[0] = 10;
        more[1] = 0;
        field.len = 11;
        assert_refusal(city_file_staff(c, city_find(c, "health-officer"), body).code, ACCEPTED);
        body->staff->base.n_unknown_fields = 0;
}

/* ---- CHANGE ---- */

static struct city_result change(struct city *c, const struct party *old, const struct party *fresh, const uint32_t *roles, size_t n)
{
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        char officer[32] = "health-officer";

        i.object = field_of_bytes(bytes_digest(&old->credential));
        return city_act(c, &(struct city_act){ .kind = KIND_STAFF_CHANGE, .intent = &i, .body = &city_file_body(c, fresh, roles, n)->base,
                                               .by = { { city_find(c, officer), ROLE_DATA_OFFICER } } });
}

static void a_change_is_a_new_version_and_ends_the_old_credential(void **state)
{
        _cleanup_(city_freep) struct city *c = two_departments();
        struct party *old = city_hire(c, CITY_HEALTH, "zhang", ROLE_USER, 0), *fresh = city_party(c, "zhang-2", CITY_HEALTH, SUBJECT_PERSON);
        struct city_result filed;

        fresh->id = old->id;
        filed = change(c, old, fresh, both, 2);
        assert_refusal(filed.code, ACCEPTED);
        assert_int_equal(credential_row(c, &old->credential)->status, STATUS_ACTIVE);   /* until the authority accepts */
        assert_refusal(city_accept(c, &filed.digest, city_sign_credential(c, fresh, city_credential(c, fresh, both, 2, c->sec_admin), c->sec_admin)).code, ACCEPTED);
        assert_int_equal(credential_row(c, &old->credential)->status, STATUS_SUPERSEDED);
        assert_int_equal(person_row(c, fresh)->version, 2);
        assert_int_equal(person_row(c, fresh)->n_also, 0);
}

static void a_change_keeps_the_person(void **state)
{
        _cleanup_(city_freep) struct city *c = two_departments();
        struct party *old = city_hire(c, CITY_HEALTH, "zhang", ROLE_USER, 0), *fresh = city_party(c, "stranger", CITY_HEALTH, SUBJECT_PERSON);
        struct city_result filed = change(c, old, fresh, user, 1);

        assert_refusal(city_accept(c, &filed.digest, city_sign_credential(c, fresh, city_credential(c, fresh, user, 1, c->sec_admin), c->sec_admin)).code, G_FIELD);
}

static void an_agent_keeps_its_link_over_a_renewal(void **state)
{
        _cleanup_(city_freep) struct city *c = two_departments();
        struct party *old = city_find(c, "health-agent"), *fresh = city_party(c, "health-agent-2", CITY_HEALTH, SUBJECT_AGENT);
        struct city_result filed;
        Shuyi__V1__AgentRow *row;

        fresh->id = old->id;
        filed = change(c, old, fresh, NULL, 0);
        assert_refusal(filed.code, ACCEPTED);
        assert_refusal(city_accept(c, &filed.digest, city_sign_credential(c, fresh, city_credential(c, fresh, NULL, 0, c->sec_admin), c->sec_admin)).code, ACCEPTED);
        row = CITY_ROW(c, TABLE_AGENT, &shuyi__v1__agent_row__descriptor, bytes_id(&fresh->id));
        assert_int_equal(row->link, old->link);
        assert_true(bytes_equal(bytes_of_field(row->credential), bytes_digest(&fresh->credential)));
}

static void a_second_agent_gets_a_link_of_its_own(void **state)
{
        _cleanup_(city_freep) struct city *c = two_departments();
        const struct party *second = city_join(c, CITY_HEALTH, "second");

        assert_int_not_equal(second->link, 0);
        assert_int_not_equal(second->link, city_find(c, "health-agent")->link);
}

/* ---- REVOKE ---- */

static struct city_result revoke(struct city *c, const struct party *who, const struct party *by, enum role as, uint32_t reason, uint64_t suspect)
{
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        Shuyi__V1__RevokeBody body = SHUYI__V1__REVOKE_BODY__INIT;

        i.object = field_of_bytes(bytes_digest(&who->credential));
        body.reason = reason;
        body.suspect_since_seq = suspect;
        return city_act(c, &(struct city_act){ .kind = KIND_REVOKE, .intent = &i, .body = &body.base, .by = { { by, as } } });
}

static void who_may_revoke_whom(void **state)
{
        _cleanup_(city_freep) struct city *c = two_departments();
        const struct party *zhang = city_hire(c, CITY_HEALTH, "zhang", ROLE_USER, 0), *own = city_find(c, "health-officer"), *other = city_find(c, "civil-officer");

        assert_refusal(revoke(c, zhang, other, ROLE_DATA_OFFICER, REVOKE_CEASED, 0).code, E_NOT_FOUND);
        assert_refusal(revoke(c, zhang, c->officer, ROLE_DATA_OFFICER, REVOKE_CEASED, 0).code, E_NOT_FOUND);    /* the authority's officer */
        assert_refusal(revoke(c, zhang, zhang, ROLE_USER, REVOKE_CEASED, 0).code, E_ROLE);
        assert_refusal(revoke(c, zhang, own, ROLE_DATA_OFFICER, 0, 0).code, G_REASON);
        assert_refusal(revoke(c, zhang, own, ROLE_DATA_OFFICER, REVOKE_CEASED, 3).code, G_FIELD);
        assert_refusal(revoke(c, zhang, own, ROLE_DATA_OFFICER, REVOKE_CEASED, 0).code, ACCEPTED);
        assert_refusal(revoke(c, zhang, own, ROLE_DATA_OFFICER, REVOKE_CEASED, 0).code, E_STATE);
}

static void test_R_009_a_revoked_person_cannot_act_any_more(void **state)
{
        _cleanup_(city_freep) struct city *c = two_departments();
        struct party *officer = city_hire(c, CITY_HEALTH, "officer-two", ROLE_DATA_OFFICER, 0);
        struct party *second = city_hire_again(c, officer, "officer-two-b", CITY_HEALTH, ROLE_DATA_OFFICER, 0);
        Shuyi__V1__FileBody *body = city_file_body(c, city_party(c, "zhang", CITY_HEALTH, SUBJECT_PERSON), user, 1);

        assert_refusal(city_file_staff(c, officer, body).code, ACCEPTED);
        assert_refusal(revoke(c, officer, c->sec_admin, ROLE_SEC_ADMIN, REVOKE_COMPROMISED, 2).code, ACCEPTED);
        assert_refusal(city_file_staff(c, officer, body).code, E_CRED);         /* the very next act */
        assert_refusal(city_file_staff(c, second, body).code, E_CRED);          /* nor with another key of the same person */
        assert_int_equal(person_row(c, officer)->state, STAFF_REVOKED);
        assert_int_equal(credential_row(c, &officer->credential)->suspect_since_seq, 2);
}

static void a_revocation_writes_a_constant_number_of_rows(void **state)
{
        _cleanup_(city_freep) struct city *c = two_departments();
        const struct party *early = city_hire(c, CITY_HEALTH, "early", ROLE_USER, 0), *late;
        size_t first, then;

        first = revoke(c, early, c->sec_admin, ROLE_SEC_ADMIN, REVOKE_CEASED, 0).outcome.effects_n;
        for (unsigned i = 0; i < 20; i++)
                city_hire(c, CITY_HEALTH, arena_printf(c->arena, "person-%u", i), ROLE_USER, 0);
        late = city_hire(c, CITY_HEALTH, "late", ROLE_USER, 0);
        then = revoke(c, late, c->sec_admin, ROLE_SEC_ADMIN, REVOKE_CEASED, 0).outcome.effects_n;
        assert_int_equal(first, then);
}

static void a_revoked_agents_link_carries_nothing(void **state)
{
        _cleanup_(city_freep) struct city *c = two_departments();
        struct party *second = city_join(c, CITY_HEALTH, "second");
        struct city_act act = { .kind = KIND_FILE, .by = { { city_find(c, "health-officer"), ROLE_DATA_OFFICER } }, .over = second };

        act.body = &city_file_body(c, city_party(c, "zhang", CITY_HEALTH, SUBJECT_PERSON), user, 1)->base;
        assert_refusal(city_act(c, &act).code, ACCEPTED);
        city_revoke(c, second);
        assert_refusal(city_act(c, &act).code, E_CRED);
        act.over = NULL;
        assert_refusal(city_act(c, &act).code, ACCEPTED);       /* the department's other link does */
}

static void the_root_can_revoke_the_registrar(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        Shuyi__V1__RevokeBody body = SHUYI__V1__REVOKE_BODY__INIT;
        struct city_act act = { .kind = KIND_REVOKE, .intent = &i, .body = &body.base, .by = { { c->root[0], ROLE_ROOT } } };

        i.object = field_of_bytes(bytes_digest(&c->sec_admin->credential));
        body.reason = REVOKE_COMPROMISED;
        assert_refusal(city_act(c, &act).code, G_SIGNERS);      /* 2 of 3 */
        act.by[1].who = c->root[2];
        act.by[1].as = ROLE_ROOT;
        assert_refusal(city_act(c, &act).code, ACCEPTED);
}

/* A registrar's stolen key is not to stop the exchange: without the broker's own no head can be signed. */
static void the_brokers_key_is_the_roots_to_end(void **state)
{
        _cleanup_(city_freep) struct city *c = city_founded();

        assert_refusal(revoke(c, c->broker, c->sec_admin, ROLE_SEC_ADMIN, REVOKE_COMPROMISED, 0).code, E_ROLE);
        city_trust_head(c);
}

/* ---- R-008 ---- */

static void test_R_006_offices_and_staff_lie_open_in_the_registry(void **state)
{
        _cleanup_(city_freep) struct city *c = two_departments();
        const struct party *zhang = city_hire(c, CITY_HEALTH, "zhang", ROLE_USER, 0);
        Shuyi__V1__PersonRow *row = person_row(c, zhang);
        Shuyi__V1__DepartmentRow *department = CITY_ROW(c, TABLE_DEPARTMENT, &shuyi__v1__department_row__descriptor, bytes_str(CITY_HEALTH));

        assert_string_equal(row->staff->office, "办公室");
        assert_string_equal(row->staff->phone, "0760-88880000");
        assert_string_equal(department->department->name, "health");
        assert_int_equal(city_count(c, TABLE_PERSON), 6);       /* three of the authority, two first officers, zhang */
}

static void test_R_007_roles_kept_apart_are_not_one_persons(void **state)
{
        static const uint32_t apart[] = { ROLE_SEC_ADMIN, ROLE_DATA_OPERATOR, ROLE_AUDIT_OFFICER };

        for (size_t i = 0; i < ELEMENTS(apart); i++) {
                for (size_t j = 0; j < ELEMENTS(apart); j++) {
                        _cleanup_(city_freep) struct city *c = city_founded();
                        struct party *first = city_hire(c, CITY_AUTHORITY, "first", (int)apart[i], 0), *second = city_party(c, "second", CITY_AUTHORITY, SUBJECT_PERSON);
                        uint32_t pair[] = { apart[i < j ? i : j], apart[i < j ? j : i] };
                        struct city_result filed;

                        if (i != j)     /* two in one filing */
                                assert_refusal(city_file_staff(c, c->officer, city_file_body(c, second, pair, 2)).code, G_SEPARATION);
                        filed = city_file_staff(c, c->officer, city_file_body(c, second, &apart[j], 1));
                        second->id = first->id;         /* and by a second credential of the same person */
                        assert_refusal(city_accept(c, &filed.digest, city_sign_credential(c, second, city_credential(c, second, &apart[j], 1, c->sec_admin),
                                                                                         c->sec_admin)).code, i == j ? ACCEPTED : G_SEPARATION);
                }
        }
}

static void test_R_008_two_credentials_of_one_person_are_one_person(void **state)
{
        _cleanup_(city_freep) struct city *c = two_departments();
        const struct party *zhang = city_hire(c, CITY_HEALTH, "zhang", ROLE_USER, 0), *li = city_hire(c, CITY_HEALTH, "li", ROLE_APPROVER, 0);
        const struct party *zhang_too = city_hire_again(c, zhang, "zhang-too", CITY_HEALTH, ROLE_APPROVER, 0);
        struct turn t = { .actors_n = 2 };              /* whatever the object, the signers alone are refused */

        assert_int_equal(person_row(c, zhang)->n_also, 1);
        t.actors[0] = (struct actor){ .capacity = ROLE_USER, .department = CITY_HEALTH, .subject = zhang->id };
        t.actors[1] = (struct actor){ .capacity = ROLE_APPROVER, .department = CITY_HEALTH, .subject = zhang_too->id };
        assert_refusal(signers_check(&t, BY_USER_APPROVER), G_SEPARATION);
        t.actors[1].subject = li->id;
        assert_refusal(signers_check(&t, BY_USER_APPROVER), ACCEPTED);
        assert_true(memcmp(zhang->credential.b, zhang_too->credential.b, 32) != 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_filing_waits_for_the_authority),
                cmocka_unit_test(a_filing_names_all_that_it_lacks),
                cmocka_unit_test(what_is_filed_is_a_person_or_an_agent),
                cmocka_unit_test(a_department_files_its_own_people_only),
                cmocka_unit_test(a_filing_may_travel_over_the_authoritys_link),
                cmocka_unit_test(roles_of_the_authority_stay_there),
                cmocka_unit_test(a_public_key_appears_once_ever),
                cmocka_unit_test(an_accepted_person_is_published),
                cmocka_unit_test(what_is_issued_is_what_was_filed),
                cmocka_unit_test(who_filed_does_not_accept),
                cmocka_unit_test(a_returned_filing_is_over),
                cmocka_unit_test(a_change_is_a_new_version_and_ends_the_old_credential),
                cmocka_unit_test(a_change_keeps_the_person),
                cmocka_unit_test(an_agent_keeps_its_link_over_a_renewal),
                cmocka_unit_test(a_second_agent_gets_a_link_of_its_own),
                cmocka_unit_test(who_may_revoke_whom),
                cmocka_unit_test(test_R_009_a_revoked_person_cannot_act_any_more),
                cmocka_unit_test(a_revocation_writes_a_constant_number_of_rows),
                cmocka_unit_test(a_revoked_agents_link_carries_nothing),
                cmocka_unit_test(the_root_can_revoke_the_registrar),
                cmocka_unit_test(the_brokers_key_is_the_roots_to_end),
                cmocka_unit_test(test_R_006_offices_and_staff_lie_open_in_the_registry),
                cmocka_unit_test(test_R_007_roles_kept_apart_are_not_one_persons),
                cmocka_unit_test(test_R_008_two_credentials_of_one_person_are_one_person),
                cmocka_unit_test(a_staff_record_of_many_bytes_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
