/* machines: every kind by every capacity on objects in every state of staff and credentials.  What no row lists is refused, with
 * a code that says why, and changes nothing but META, its lane and its id; and the tables themselves are well formed. */
#include "common/exchange/machines.h"
#include "common/macro.h"
#include "tests/lib/city.h"
#include "tests/lib/unit.h"

#include <stdlib.h>

/* ---- the tables ---- */

static void every_row_is_complete(void **state)
{
        for (unsigned m = 0; machine_at(m); m++) {
                const struct machine *machine = machine_at(m);

                assert_non_null(machine->load);
                for (size_t i = 0; i < machine->rules_n; i++) {
                        const struct rule *r = &machine->rules[i];

                        assert_non_null(kind_find(r->event));
                        assert_non_null(r->row);
                        assert_non_null(r->law);
                        assert_int_not_equal(r->in, 0);
                        if (kind_find(r->event)->later)
                                assert_true(r->later);          /* a later kind has no row that acts */
                        if (r->becomes)
                                assert_non_null(machine->store);
                }
        }
}

static void a_kind_belongs_to_one_machine(void **state)
{
        for (unsigned k = 0; kind_at(k); k++) {
                unsigned owners = 0;

                for (unsigned m = 0; machine_at(m); m++)
                        for (size_t i = 0; i < machine_at(m)->rules_n; i++)
                                if (machine_at(m)->rules[i].event == kind_at(k)->number) {
                                        owners++;
                                        break;
                                }
                assert_in_range(owners, 0, 1);
        }
}

static void a_clock_belongs_to_one_machine_that_knows_its_end(void **state)
{
        for (uint32_t clock = 1; word_known(LIST_clock, clock); clock++) {
                unsigned owners = 0;

                for (unsigned m = 0; machine_at(m); m++)
                        for (size_t i = 0; i < machine_at(m)->clocks_n; i++)
                                owners += machine_at(m)->clocks[i] == clock;
                assert_in_range(owners, 0, 1);
                if (owners)
                        assert_non_null(machine_of_clock(clock)->expire);
        }
}

/* ---- the walk ---- */

#define OBJECTS_MAX 8

struct object { const char *name; struct digest id; };

struct walk {
        struct city *c;
        const struct party *by_role[ROLE_ROOT + 1];
        struct object objects[OBJECTS_MAX];
        unsigned objects_n;
};

static void add_object(struct walk *w, const char *name, struct digest id)
{
        assert_true(w->objects_n < OBJECTS_MAX);
        w->objects[w->objects_n++] = (struct object){ name, id };
}

static struct digest file_somebody(struct city *c, const char *name)
{
        uint32_t user = ROLE_USER;

        return city_file_staff(c, c->officer, city_file_body(c, city_party(c, name, CITY_AUTHORITY, SUBJECT_PERSON), &user, 1)).digest;
}

static void return_filing(struct city *c, struct digest filing)
{
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        Shuyi__V1__ReturnBody body = SHUYI__V1__RETURN_BODY__INIT;
        Shuyi__V1__Defect defect = SHUYI__V1__DEFECT__INIT, *defects[] = { &defect };

        defect.code = "phone";
        body.defects = defects;
        body.n_defects = 1;
        i.object = (ProtobufCBinaryData){ 32, filing.b };
        city_must(c, &(struct city_act){ .kind = KIND_STAFF_RETURN, .intent = &i, .body = &body.base, .by = { { c->sec_admin, ROLE_SEC_ADMIN } } });
}

/* Everybody of every role in the authority, and something in every state. */
static struct walk walk_new(void)
{
        struct walk w = { .c = city_founded() };
        struct city *c = w.c;
        struct digest returned;

        for (uint32_t role = ROLE_DATA_OFFICER; role <= ROLE_METRICS_VIEWER; role++)
                w.by_role[role] = city_hire(c, CITY_AUTHORITY, word_name(LIST_role, role), (int)role, 0);
        w.by_role[ROLE_AGENT] = c->authority_agent;
        w.by_role[ROLE_SYSTEM] = c->broker;
        w.by_role[ROLE_ROOT] = c->root[0];
        add_object(&w, "none", (struct digest){ { 0xee } });
        add_object(&w, "filing FILED", file_somebody(c, "waits"));
        returned = file_somebody(c, "goes back");
        return_filing(c, returned);
        add_object(&w, "filing RETURNED", returned);
        city_hire(c, CITY_AUTHORITY, "revoked", ROLE_USER, 0);
        city_revoke(c, city_find(c, "revoked"));
        add_object(&w, "credential REVOKED", city_find(c, "revoked")->credential);
        city_hire(c, CITY_AUTHORITY, "published", ROLE_USER, 0);
        add_object(&w, "credential PUBLISHED", city_find(c, "published")->credential);
        return w;
}

static struct city_result attempt(struct walk *w, const struct kind *k, uint32_t role, const struct object *o)
{
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        struct city_act act = { .kind = k->number, .intent = &i, .by = { { w->by_role[role], role } }, .over = w->c->authority_agent };

        i.object = i.request = i.grant = i.stream = (ProtobufCBinaryData){ 32, (uint8_t *)o->id.b };
        if (k->later)
                act.raw = bytes_str("x");
        if (k->number == KIND_UPDATE)
                act.raw = bytes_of("0123456789012345678901234567890123456789012345678901234567890123", 64);
        return city_act(w->c, &act);
}

static bool role_has_a_row(const struct kind *k, uint32_t role)
{
        const struct machine *m = machine_of_kind(k->number);
        struct turn t = { .actors_n = 1 };

        t.actors[0] = (struct actor){ .capacity = role, .department = CITY_AUTHORITY, .authority = role != ROLE_ROOT && role != ROLE_SYSTEM };
        for (size_t i = 0; m && i < m->rules_n; i++)
                if (m->rules[i].event == k->number && signers_fit(&t, m->rules[i].by))
                        return true;
        return false;
}

static void check_attempt(struct walk *w, const struct kind *k, uint32_t role, const struct object *o)
{
        struct city_result r = attempt(w, k, role, o);
        const char *what = arena_printf(w->c->arena, "%s by %s on %s: %s %s", k->name, word_name(LIST_role, role), o->name, refusal_text(r.code)->code, r.detail);

        if (r.code == ACCEPTED)
                fail_msg("%s", what);           /* an empty body is nowhere enough */
        if (r.code != E_FORM && r.code != E_CRED && !k->later && machine_of_kind(k->number) && !role_has_a_row(k, role) && r.code != E_ROLE)
                fail_msg("%s", what);
        if (k->later && r.code != E_NOT_YET && r.code != E_CRED && r.code != E_FORM)
                fail_msg("%s", what);
        for (size_t i = 0; i < r.outcome.effects_n; i++)
                if (!table_remembers(r.outcome.effects[i].key.p[0]))
                        fail_msg("%s: writes table 0x%02x", what, r.outcome.effects[i].key.p[0]);
}

static void what_no_row_lists_changes_nothing(void **state)
{
        struct walk w = walk_new();

        w.c->skip_signatures = true;
        for (unsigned k = 0; kind_at(k); k++) {
                if (kind_at(k)->number == KIND_REVOKE)
                        continue;               /* its walk is below: a bare one lacks only its reason */
                for (uint32_t role = 1; role <= ROLE_ROOT; role++)
                        for (unsigned o = 0; w.by_role[role] && o < w.objects_n; o++)
                                check_attempt(&w, kind_at(k), role, &w.objects[o]);
        }
        struct digest own = city_digest(w.c), again = city_replay(w.c);
        assert_true(digest_equal(&own, &again));
        city_free(w.c);
}

/* SM-STAFF 5 whole: which capacity ends what, and what it finds otherwise. */
static void revocation_follows_its_rows(void **state)
{
        struct walk w = walk_new();
        Shuyi__V1__RevokeBody body = SHUYI__V1__REVOKE_BODY__INIT;

        body.reason = REVOKE_CEASED;
        for (uint32_t role = 1; role <= ROLE_AGENT; role++) {
                for (unsigned o = 0; w.by_role[role] && o < w.objects_n; o++) {
                        bool may = role == ROLE_DATA_OFFICER || role == ROLE_SEC_ADMIN, there = strncmp(w.objects[o].name, "credential", 10) == 0;
                        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
                        enum refusal expected = !may ? E_ROLE : !there ? E_NOT_FOUND : o == w.objects_n - 1 && role == ROLE_DATA_OFFICER ? ACCEPTED : E_STATE;
                        struct city_result r;

                        i.object = (ProtobufCBinaryData){ 32, w.objects[o].id.b };
                        r = city_act(w.c, &(struct city_act){ .kind = KIND_REVOKE, .intent = &i, .body = &body.base, .by = { { w.by_role[role], role } } });
                        if (r.code != expected)
                                fail_msg("%s on %s: %s", word_name(LIST_role, role), w.objects[o].name, refusal_text(r.code)->code);
                }
        }
        city_free(w.c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_row_is_complete),
                cmocka_unit_test(a_kind_belongs_to_one_machine),
                cmocka_unit_test(a_clock_belongs_to_one_machine_that_knows_its_end),
                cmocka_unit_test(what_no_row_lists_changes_nothing),
                cmocka_unit_test(revocation_follows_its_rows),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
