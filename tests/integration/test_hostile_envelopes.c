/* hostile, envelopes: forged, foreign, out of date, said before (DESIGN 3 to 6; PROTOCOL 2, 4, 5).
 *
 * All come over the good link of a registered agent.  What is not of the exact form or not signed as it says makes no entry;
 * what the rules refuse is an entry with its code where it is an act, and none where it is data.  Nothing else moves. */
#include "common/credential.h"
#include "common/times.h"
#include "tests/integration/hostile.h"
#include "tests/lib/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char *program;

#define COUNT(cases) (sizeof(cases) / sizeof((cases)[0]))

static ProtobufCBinaryData run_of(struct forge *f, size_t n)
{
        uint8_t *p = arena_zalloc(f->arena, n);

        memset(p, 'x', n);
        return (ProtobufCBinaryData){ n, p };
}

static char *text_of(struct forge *f, size_t n)
{
        char *text = (char *)run_of(f, n + 1).data;

        text[n] = 0;
        return text;
}

static void expect(const char *name, struct live_row row, enum refusal code, bool entry)
{
        if (row.code != (uint32_t)code || (row.seq > 0) != entry)
                fail_msg("%s: %s (%s), seq %llu", name, refusal_text(row.code)->code, row.detail, (unsigned long long)row.seq);
        assert_true(row.code == ACCEPTED || (*refusal_text(row.code)->english && *refusal_text(row.code)->todo));
}

struct forgery { const char *name; void (*spoil)(struct forge *f); enum refusal code; bool entry; uint8_t lane; };

/* Each with a receipt of its own; the refusals of the code are counted; afterwards the act itself is taken. */
static void play(const struct forgery *cases, size_t n)
{
        struct hostile *h = hostile_new(program, "");
        struct forge good = forge_get(h);
        double before[2] = { hostile_count(h, "shuyi_refused_total{code=\"E_FORM\"}"), hostile_count(h, "shuyi_refused_total{code=\"E_CRED\"}") };
        unsigned form = 0, cred = 0;

        hostile_open(h);
        for (size_t i = 0; i < n; i++) {
                struct forge f = forge_get(h);

                cases[i].spoil(&f);
                expect(cases[i].name, hostile_put(h, cases[i].lane, forge_envelope(&f)), cases[i].code, cases[i].entry);
                form += cases[i].code == E_FORM;
                cred += cases[i].code == E_CRED;
        }
        hostile_quiet(h);
        assert_true(hostile_count(h, "shuyi_refused_total{code=\"E_FORM\"}") == before[0] + form);
        assert_true(hostile_count(h, "shuyi_refused_total{code=\"E_CRED\"}") == before[1] + cred);
        assert_refusal(hostile_act(h, forge_envelope(&good)).code, ACCEPTED);
        live_stop(&h->s->live);
        stage_hang_up(h->s);
        stage_must_hold(h->s, "check");
        hostile_free(h);
}

/* ---- the form ---- */

static void critical_in_intent(struct forge *f) { f->intent_tail = forge_field(f->arena, 999, 1, (struct bytes){ 0 }); }
static void critical_in_header(struct forge *f) { f->header_tail = forge_field(f->arena, 4, 0, bytes_str("new")); }
static void unknown_in_envelope(struct forge *f) { f->envelope_tail = forge_field(f->arena, 1000, 0, bytes_str("new")); }
static void unknown_in_signature(struct forge *f) { f->signature_tail = forge_field(f->arena, 1000, 1, (struct bytes){ 0 }); }
static void default_written(struct forge *f) { f->intent_tail = forge_field(f->arena, 42, 0, (struct bytes){ 0 }); }
static void field_again(struct forge *f) { f->intent_tail = forge_field(f->arena, 41, 1, (struct bytes){ 0 }); f->intent.rate = 1; }
static void fields_out_of_order(struct forge *f) { f->header_tail = forge_field(f->arena, 1, 0, bytes_str("intent")); }
static void varint_too_long(struct forge *f) { f->intent_tail = bytes_of((const uint8_t *)"\xc8\x02\x81\x00", 4); }
static void not_utf8(struct forge *f) { f->intent.purpose = (char *)"\xff\xfe"; }
static void domain_not_of_digits(struct forge *f) { f->intent.domain = (char *)"4420-0"; }
static void no_such_kind(struct forge *f) { f->intent.kind = 98; }
static void kind_beyond(struct forge *f) { f->intent.kind = UINT32_MAX; }
static void kind_of_the_broker(struct forge *f) { f->intent.kind = KIND_TICK; }
static void kind_of_a_read(struct forge *f) { f->intent.kind = KIND_AUDIT_READ; }
static void kind_of_data(struct forge *f) { f->intent.kind = KIND_UPDATE; }
static void kind_of_later(struct forge *f) { f->intent.kind = KIND_DEPUTE; }
static void no_suite(struct forge *f) { f->intent.suite = 0; }
static void another_suite(struct forge *f) { f->intent.suite = 2; }
static void as_it_is(struct forge *f) { }
static void no_id(struct forge *f) { f->intent.id = (ProtobufCBinaryData){ 0 }; }
static void id_of_another_time(struct forge *f) { f->intent.created_at -= 1000; }
static void short_digest(struct forge *f) { f->intent.object = run_of(f, 31); }
static void no_such_word(struct forge *f) { f->intent.method = 77; }
static void bad_department(struct forge *f) { f->intent.to = (char *)"11442000MX00000198"; }
static void emergency_of_two(struct forge *f) { f->intent.emergency = 2; }
static void items_descending(struct forge *f) { static uint32_t items[] = { 2, 1 }; f->intent.items = items; f->intent.n_items = 2; }
static void body_is_not_the_digested(struct forge *f) { f->said_body = bytes_str("another body"); }
static void body_is_longer(struct forge *f) { f->more_bytes = -1; }
static void body_is_shorter(struct forge *f) { f->more_bytes = 1; }
static void body_is_no_message(struct forge *f) { f->body = bytes_str("\xff\xff\xff"); }
static void body_of_another_kind(struct forge *f) { f->body = forge_field(f->arena, 77, 0, bytes_str("what")); }
static void no_signature(struct forge *f) { f->by[0].who = NULL; }
static void five_signatures(struct forge *f) { for (unsigned i = 2; i < 5; i++) { f->by[i] = f->by[0]; f->by[i].as = (enum role)(4 + i); } }
static void one_signs_twice(struct forge *f) { f->by[2] = f->by[1]; }

static void test_what_is_not_of_the_exact_form_is_E_FORM_and_no_entry(void **state)
{
        static const struct forgery cases[] = {
                { "a critical field in the intent", critical_in_intent, E_FORM }, { "one in the header", critical_in_header, E_FORM },
                { "an unknown field in the envelope", unknown_in_envelope, E_FORM }, { "one in a signature", unknown_in_signature, E_FORM },
                { "an encoded default", default_written, E_FORM }, { "a field twice", field_again, E_FORM }, { "fields out of order", fields_out_of_order, E_FORM },
                { "a varint longer than it must be", varint_too_long, E_FORM }, { "text that is not UTF-8", not_utf8, E_FORM }, { "a domain not of digits", domain_not_of_digits, E_FORM },
                { "an unknown kind", no_such_kind, E_FORM }, { "a kind of 32 ones", kind_beyond, E_FORM }, { "a kind of the broker's own", kind_of_the_broker, E_FORM },
                { "a question as an act", kind_of_a_read, E_FORM }, { "data in the lane of acts", kind_of_data, E_FORM }, { "an act in the lane of data", as_it_is, E_FORM, false, 1 },
                { "no suite", no_suite, E_FORM }, { "another suite", another_suite, E_FORM }, { "no id", no_id, E_FORM }, { "an id of another time", id_of_another_time, E_FORM },
                { "a digest of 31 bytes", short_digest, E_FORM }, { "a word that is not in its list", no_such_word, E_FORM }, { "a department whose check fails", bad_department, E_FORM },
                { "an emergency of 2", emergency_of_two, E_FORM }, { "items descending", items_descending, E_FORM },
                { "a body that is not the one digested", body_is_not_the_digested, E_FORM }, { "a body longer than said", body_is_longer, E_FORM },
                { "a body shorter than said", body_is_shorter, E_FORM }, { "a body that is no message", body_is_no_message, E_FORM },
                { "a body with a critical field", body_of_another_kind, E_FORM }, { "no signature", no_signature, E_FORM },
                { "five signatures", five_signatures, E_FORM }, { "one credential twice in one capacity", one_signs_twice, E_FORM },
        };

        play(cases, COUNT(cases));
}

static void long_purpose(struct forge *f) { f->intent.purpose = text_of(f, 513); }
static void long_resource(struct forge *f) { f->intent.resource = text_of(f, 33); }
static void many_items(struct forge *f)
{
        f->intent.n_items = 1025;
        f->intent.items = ARENA_ARRAY(f->arena, uint32_t, 1025);
        for (uint32_t i = 0; i < 1025; i++)
                f->intent.items[i] = i + 1;
}
static void large_intent(struct forge *f) { f->intent_tail = forge_field(f->arena, 1000, 0, bytes_of_field(run_of(f, 16 * 1024))); }
static void large_body(struct forge *f) { f->body = forge_field(f->arena, 1000, 0, bytes_of_field(run_of(f, CONTROL_BODY_MAX_BYTES))); }
static void large_envelope(struct forge *f) { f->body = forge_field(f->arena, 1000, 0, bytes_of_field(run_of(f, ENVELOPE_MAX_BYTES))); }

static void test_what_is_too_large_is_E_FORM_at_each_limit(void **state)
{
        static const struct forgery cases[] = {
                { "a purpose of 513 bytes", long_purpose, E_FORM }, { "a resource of 33", long_resource, E_FORM }, { "1,025 items", many_items, E_FORM },
                { "an intent beyond 16 KiB", large_intent, E_FORM }, { "a body beyond 256 KiB", large_body, E_FORM }, { "an envelope beyond 960 KiB", large_envelope, E_FORM },
        };

        play(cases, COUNT(cases));
}

static void test_a_real_envelope_cut_or_flipped_anywhere_is_refused(void **state)
{
        struct hostile *h = hostile_new(program, "");
        struct forge f = forge_get(h);
        struct bytes wire = forge_envelope(&f);
        uint8_t *copy = malloc(wire.n);
        unsigned n = 0;

        hostile_open(h);
        for (size_t i = 0; i < wire.n; i += 3, n++) {
                struct live_row row;

                memcpy(copy, wire.p, wire.n);
                copy[i] ^= (uint8_t)(1u << (i % 8));
                row = hostile_act(h, bytes_of(copy, wire.n));
                if ((row.code != E_FORM && row.code != E_CRED) || row.seq > 0)
                        fail_msg("byte %zu flipped: %s", i, refusal_text(row.code)->code);
        }
        for (size_t cut = 0; cut < wire.n; cut += 7, n++)
                expect("cut", hostile_act(h, bytes_of(wire.p, cut)), E_FORM, false);
        hostile_quiet(h);
        print_message("# %u alterations\n", n);
        expect("as it was", hostile_act(h, wire), ACCEPTED, true);
        free(copy);
        hostile_free(h);
}

/* ---- times ---- */

static void too_early(struct forge *f) { f->intent.created_at += 400000; f->intent.expires_at += 400000; forge_id(f); }
static void no_expiry(struct forge *f) { f->intent.expires_at = 0; }
static void expired(struct forge *f) { f->intent.created_at -= DAY_MS; f->intent.expires_at = f->intent.created_at + 1000; forge_id(f); }
static void too_long(struct forge *f) { f->intent.expires_at = f->intent.created_at + 30 * DAY_MS + 1; }
static void another_domain(struct forge *f) { f->intent.domain = (char *)"440000"; }

static void test_times_outside_the_window_other_domains_and_later_kinds_are_refused_entries(void **state)
{
        static const struct forgery cases[] = {
                { "made in 400 s", too_early, E_FORM, true }, { "without end", no_expiry, E_FORM, true }, { "over since yesterday", expired, E_FORM, true },
                { "for more than 30 days", too_long, E_FORM, true }, { "of another domain", another_domain, E_DOMAIN, true }, { "of a later kind", kind_of_later, E_NOT_YET, true },
        };

        play(cases, COUNT(cases));
}

/* ---- who signs ---- */

static struct hostile *scene;           /* whose people the spoilers below may name */

static void by_another_key(struct forge *f) { f->by[0].key = scene->s->m->civil_officer; }
static void relabelled(struct forge *f) { f->by[0].said = ROLE_DATA_OFFICER; }
static void unknown_credential(struct forge *f) { f->by[0].who = city_party(scene->s->m->c, "nobody", CITY_HEALTH, SUBJECT_PERSON); }
static void of_another_department(struct forge *f) { f->by[0].who = scene->s->m->civil_officer; }
static void as_root(struct forge *f) { f->by[0].who = scene->s->m->c->root[0]; f->by[0].as = ROLE_ROOT; }
static void as_broker(struct forge *f) { f->by[0].who = scene->s->m->c->broker; f->by[0].as = ROLE_SYSTEM; }
static void as_agent(struct forge *f) { f->by[0].as = ROLE_AGENT; }
static void without_the_role(struct forge *f) { f->by[1].who = f->by[0].who; f->by[1].as = ROLE_APPROVER; }
static void in_another_order(struct forge *f) { struct forge_signer one = f->by[0]; f->by[0] = f->by[1]; f->by[1] = one; }
static void one_is_missing(struct forge *f) { f->by[1].who = NULL; }
static void the_agent_alone(struct forge *f) { f->by[0].who = scene->mallory; f->by[0].as = ROLE_AGENT; f->by[1].who = NULL; }
static void for_another_department(struct forge *f) { f->intent.from = (char *)CITY_CIVIL; }

static void test_R_130_who_did_not_sign_as_it_says_is_refused(void **state)
{
        static const struct forgery cases[] = {
                { "a signature by another key", by_another_key, E_CRED }, { "a relabelled capacity", relabelled, E_CRED }, { "a credential that nobody has", unknown_credential, E_CRED },
                { "a person of another department", of_another_department, E_CRED }, { "the root over a department's link", as_root, E_CRED }, { "the broker's capacity", as_broker, E_CRED },
                { "a person as an agent", as_agent, E_CRED, true }, { "a user as approver", without_the_role, E_ROLE, true }, { "approver before user", in_another_order, G_SIGNERS, true },
                { "the user alone", one_is_missing, G_SIGNERS, true }, { "the agent for its people", the_agent_alone, E_ROLE, true }, { "in the name of another department", for_another_department, E_ROLE, true },
        };
        struct hostile *h = scene = hostile_new(program, "");

        hostile_open(h);
        for (size_t i = 0; i < COUNT(cases); i++) {
                struct forge f = forge_get(h);

                cases[i].spoil(&f);
                expect(cases[i].name, hostile_put(h, cases[i].lane, forge_envelope(&f)), cases[i].code, cases[i].entry);
        }
        hostile_quiet(h);
        hostile_free(h);
}

static struct live_row put_over(struct hostile *h, const struct party *agent, uint8_t lane, struct bytes wire)
{
        struct live_row row = live_act(stage_agent(h->s, agent), lane, wire);

        h->answered += row.code != ACCEPTED && row.seq > 0;
        if (row.code == ACCEPTED)
                h->quiet_seq = row.seq;
        return row;
}

static void test_another_domains_root_can_do_nothing_here(void **state)
{
        struct hostile *h = hostile_new(program, "");
        struct city *c = h->s->m->c;
        struct party *root = city_party(c, "foreign-root", "", 0), *second = city_party(c, "foreign-root-2", "", 0);
        struct city_act act = { .kind = KIND_DEPARTMENT, .by = { { root, ROLE_ROOT }, { second, ROLE_ROOT } } };
        Shuyi__V1__DepartmentBody body = SHUYI__V1__DEPARTMENT_BODY__INIT;
        Shuyi__V1__Department department = SHUYI__V1__DEPARTMENT__INIT;

        root->credential = root_key_id(SUITE_1, root->sign_key);
        second->credential = root_key_id(SUITE_1, second->sign_key);
        department.code = (char *)CITY_TAX;
        department.name = (char *)"tax";
        body.department = &department;
        act.body = &body.base;
        expect("a foreign root over the authority's link", put_over(h, c->authority_agent, 0, city_envelope(c, &act)), E_CRED, false);
        act.by[0].who = c->root[0];
        expect("one of two is foreign", put_over(h, c->authority_agent, 0, city_envelope(c, &act)), E_CRED, false);
        hostile_quiet(h);
        hostile_free(h);
}

/* ---- credentials ---- */

static struct bytes accept_of(struct city *c, const struct digest *filing, struct party *p, const Shuyi__V1__Credential *credential, const struct party *issuer)
{
        struct digest kept = p->credential;
        Shuyi__V1__Intent intent = SHUYI__V1__INTENT__INIT;
        Shuyi__V1__AcceptBody body = SHUYI__V1__ACCEPT_BODY__INIT;
        struct bytes wire;

        intent.object = field_of_bytes(bytes_digest(filing));
        body.credential = city_sign_credential(c, p, credential, issuer);
        wire = city_envelope(c, &(struct city_act){ .kind = KIND_ACCEPT, .intent = &intent, .body = &body.base, .by = { { c->sec_admin, ROLE_SEC_ADMIN } } });
        p->credential = kept;
        return wire;
}

static void test_R_004_a_key_of_somebody_and_a_credential_beyond_its_issuer_are_refused(void **state)
{
        static const uint32_t user[] = { ROLE_USER };
        struct hostile *h = hostile_new(program, "");
        struct city *c = h->s->m->c;
        struct party *twin = city_party(c, "twin", CITY_HEALTH, SUBJECT_PERSON), *new = city_party(c, "new", CITY_HEALTH, SUBJECT_PERSON);
        struct city_act file = { .kind = KIND_FILE, .by = { { h->s->m->health_officer, ROLE_DATA_OFFICER } } };
        Shuyi__V1__Credential *credential;
        struct city_result filed;

        memcpy(twin->sign_key, h->s->m->health_user->sign_key, 32);
        memcpy(twin->sign_secret, h->s->m->health_user->sign_secret, 64);
        file.body = &city_file_body(c, twin, user, 1)->base;
        expect("one key under two subjects", put_over(h, h->s->m->health_agent, 0, city_envelope(c, &file)), G_ONCE, true);

        filed = city_file_staff(c, h->s->m->health_officer, city_file_body(c, new, user, 1));
        assert_refusal(filed.code, ACCEPTED);
        assert_true(stage_tell(h->s));
        h->quiet_seq = h->s->rows[h->s->told - 1].seq;
        h->answered = 0;
        credential = city_credential(c, new, user, 1, c->sec_admin);
        credential->subject->domain = (char *)"440000";
        expect("a subject of another domain", put_over(h, c->authority_agent, 0, accept_of(c, &filed.digest, new, credential, c->sec_admin)), G_FIELD, true);
        credential = city_credential(c, new, user, 1, c->sec_admin);
        credential->not_after += DAY_MS;
        expect("longer than the issuer's own", put_over(h, c->authority_agent, 0, accept_of(c, &filed.digest, new, credential, c->sec_admin)), G_FIELD, true);
        credential = city_credential(c, new, user, 1, h->s->m->health_officer);
        expect("by somebody who may issue nothing", put_over(h, c->authority_agent, 0, accept_of(c, &filed.digest, new, credential, h->s->m->health_officer)), G_FIELD, true);
        hostile_quiet(h);
        credential = city_credential(c, new, user, 1, c->sec_admin);
        expect("as it should be", put_over(h, c->authority_agent, 0, accept_of(c, &filed.digest, new, credential, c->sec_admin)), ACCEPTED, true);
        hostile_free(h);
}

/* A USER whose credential ends so soon. */
static struct party *hire_until(struct city *c, uint64_t not_after)
{
        static const uint32_t user[] = { ROLE_USER };
        struct party *p = city_party(c, "short", CITY_HEALTH, SUBJECT_PERSON);
        struct city_result filed = city_file_staff(c, city_find(c, "health-officer"), city_file_body(c, p, user, 1));
        Shuyi__V1__Credential *credential = city_credential(c, p, user, 1, c->sec_admin);

        credential->not_after = not_after;
        assert_refusal(filed.code, ACCEPTED);
        assert_refusal(city_accept(c, &filed.digest, city_sign_credential(c, p, credential, c->sec_admin)).code, ACCEPTED);
        return p;
}

static void test_R_009_a_revoked_or_expired_credential_signs_nothing_more(void **state)
{
        struct hostile *h = hostile_new(program, "");
        struct city *c = h->s->m->c;
        uint64_t end = times_wall().ms + 2500;
        struct party *gone = city_hire(c, CITY_HEALTH, "gone", ROLE_USER, 0), *brief = hire_until(c, end);
        struct forge f;

        assert_true(stage_tell(h->s));
        h->quiet_seq = h->s->rows[h->s->told - 1].seq;
        hostile_open(h);
        f = forge_get(h);
        f.by[0].who = brief;
        if (times_wall().ms + 500 < end)
                expect("while it lasts", hostile_act(h, forge_envelope(&f)), ACCEPTED, true);
        city_revoke(c, gone);
        assert_true(stage_tell(h->s));
        h->quiet_seq = h->s->rows[h->s->told - 1].seq;
        f = forge_get(h);
        f.by[0].who = gone;
        expect("revoked", hostile_act(h, forge_envelope(&f)), E_CRED, true);
        while (times_wall().ms <= end)
                nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
        f = forge_get(h);
        f.by[0].who = brief;
        expect("expired", hostile_act(h, forge_envelope(&f)), E_CRED, true);
        hostile_quiet(h);
        hostile_free(h);
}

/* ---- said before ---- */

static void test_a_replayed_act_is_E_REPLAY_over_any_link_of_the_department(void **state)
{
        struct hostile *h = hostile_new(program, "");
        struct forge f = forge_get(h);
        struct bytes wire = forge_envelope(&f);
        struct live_row first, again;
        char seq[40];

        hostile_open(h);
        first = hostile_act(h, wire);
        assert_refusal(first.code, ACCEPTED);
        again = hostile_act(h, wire);
        expect("again", again, E_REPLAY, true);
        snprintf(seq, sizeof(seq), "seq=%llu", (unsigned long long)first.seq);
        assert_string_equal(again.detail, seq);         /* which entry counts */
        expect("over the department's other link", put_over(h, h->s->m->health_agent, 0, wire), E_REPLAY, true);
        hostile_quiet(h);
        hostile_free(h);
}

/* ---- streams ---- */

static void gap(struct market *m, Shuyi__V1__Intent *i) { i->stream_seq++; }
static void repeat(struct market *m, Shuyi__V1__Intent *i) { i->stream_seq--; }
static void fork_it(struct market *m, Shuyi__V1__Intent *i) { struct digest d = digest_plain(bytes_str("another history")); i->prev_digest = field_of_bytes(arena_copy(m->c->arena, bytes_digest(&d))); }
static void far_ahead(struct market *m, Shuyi__V1__Intent *i) { i->stream_seq = UINT64_MAX; }
static void closed_epoch(struct market *m, Shuyi__V1__Intent *i) { i->view_epoch--; }
static void another_view_key(struct market *m, Shuyi__V1__Intent *i) { struct digest d = digest_plain(bytes_str("another key")); i->key_id = field_of_bytes(arena_copy(m->c->arena, bytes_digest(&d))); }
static void other_purpose(struct market *m, Shuyi__V1__Intent *i) { i->purpose = (char *)"MARKETING"; }
static void one_item_more(struct market *m, Shuyi__V1__Intent *i) { static uint32_t items[] = { 1, 2, 3, 4 }; i->items = items; i->n_items = 4; }
static void other_resource(struct market *m, Shuyi__V1__Intent *i) { i->resource = (char *)"130001/99"; }
static void no_medium(struct market *m, Shuyi__V1__Intent *i) { i->medium = 0; }
static void many_records(struct market *m, Shuyi__V1__Intent *i) { i->record_count = 257; }
static void from_the_future(struct market *m, Shuyi__V1__Intent *i) { i->created_at = times_wall().ms + 400000; }

static struct bytes update_of(struct hostile *h, void (*spoil)(struct market *m, Shuyi__V1__Intent *i), const struct party *agent)
{
        static const uint8_t sealed[200] = { 1 };
        Shuyi__V1__Intent *i = market_update_intent(h->s->m, &h->s->stream, 3);

        spoil(h->s->m, i);
        return city_envelope(h->s->m->c, &(struct city_act){ .kind = KIND_UPDATE, .intent = i, .raw = bytes_of(sealed, sizeof(sealed)), .by = { { agent, ROLE_AGENT } } });
}

static void test_R_109_R_110_R_150_a_link_that_breaks_its_stream_or_grant_makes_no_entry(void **state)
{
        static const struct { const char *name; void (*spoil)(struct market *m, Shuyi__V1__Intent *i); enum refusal code; } cases[] = {
                { "a gap", gap, E_STATE }, { "a number taken already", repeat, E_REPLAY }, { "a fork", fork_it, E_STATE }, { "the last number there is", far_ahead, E_STATE },
                { "an epoch that is closed", closed_epoch, E_STALE_EPOCH }, { "another view key", another_view_key, E_STALE_EPOCH },
                { "R-109: a purpose that is not the grant's", other_purpose, G_PURPOSE }, { "R-110: an item that was not granted", one_item_more, G_ITEMS },
                { "another resource", other_resource, G_FIELD }, { "R-150: no medium", no_medium, G_FIELD }, { "257 records", many_records, G_FIELD },
                { "made in the future", from_the_future, E_FORM },
        };
        struct hostile *h = hostile_new(program, "");
        struct market *m = h->s->m;
        struct live_agent *consumer;

        assert_refusal(market_update(m, &h->s->stream, 3).code, ACCEPTED);
        assert_true(stage_tell(h->s));
        h->quiet_seq = h->s->rows[h->s->told - 1].seq;
        for (size_t i = 0; i < COUNT(cases); i++)
                expect(cases[i].name, put_over(h, m->civil_agent, 1, update_of(h, cases[i].spoil, m->civil_agent)), cases[i].code, false);
        hostile_open(h);
        expect("somebody else's stream", hostile_put(h, 1, update_of(h, many_records, h->mallory)), E_ROLE, false);
        expect("the agent's own, over another's link", hostile_put(h, 1, update_of(h, many_records, m->civil_agent)), E_CRED, false);
        hostile_quiet(h);
        assert_refusal(market_update(m, &h->s->stream, 3).code, ACCEPTED);      /* the stream goes on where it was */
        assert_true(stage_tell(h->s));
        consumer = stage_agent(h->s, m->health_agent);
        live_parcel(consumer, PARCEL_LINK, h->s->stream.head);
        live_wait_metric(&h->s->live, "shuyi_refused_total{code=\"STALE_EPOCH\"}", 2);
        live_wait_metric(&h->s->live, "shuyi_refused_total{code=\"G_PURPOSE\"}", 1);
        live_stop(&h->s->live);
        stage_hang_up(h->s);
        stage_must_hold(h->s, "check");
        stage_must_hold(h->s, "--replay");
        hostile_free(h);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_is_not_of_the_exact_form_is_E_FORM_and_no_entry),
                cmocka_unit_test(test_what_is_too_large_is_E_FORM_at_each_limit),
                cmocka_unit_test(test_a_real_envelope_cut_or_flipped_anywhere_is_refused),
                cmocka_unit_test(test_times_outside_the_window_other_domains_and_later_kinds_are_refused_entries),
                cmocka_unit_test(test_R_130_who_did_not_sign_as_it_says_is_refused),
                cmocka_unit_test(test_another_domains_root_can_do_nothing_here),
                cmocka_unit_test(test_R_004_a_key_of_somebody_and_a_credential_beyond_its_issuer_are_refused),
                cmocka_unit_test(test_R_009_a_revoked_or_expired_credential_signs_nothing_more),
                cmocka_unit_test(test_a_replayed_act_is_E_REPLAY_over_any_link_of_the_department),
                cmocka_unit_test(test_R_109_R_110_R_150_a_link_that_breaks_its_stream_or_grant_makes_no_entry),
        };

        if (argc < 2)
                return 2;
        program = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
