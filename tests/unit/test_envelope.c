/* envelope: what verifies, and each way in which an envelope may fail to. */
#include "tests/lib/sample.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct key_source known = { sample_find, NULL };

static int setup(void **state)
{
        if (sodium_init() < 0)
                return -1;
        *state = arena_new(8 << 20);
        return *state ? 0 : -1;
}

static int teardown(void **state)
{
        arena_free(*state);
        return 0;
}

static void test_a_signed_get_becomes_a_claim(void **state)
{
        struct arena *a = *state;
        struct bytes e = sample_get(a);
        struct digest d;
        const struct claim *c;

        assert_int_equal(envelope_verify(a, e, &known, &c), ACCEPTED);
        assert_ptr_equal(c->kind, kind_find(KIND_GET));
        assert_int_equal(c->signers_n, 2);
        assert_int_equal(c->signers[0].capacity, ROLE_USER);
        assert_int_equal(c->signers[1].capacity, ROLE_APPROVER);
        assert_string_equal(c->intent->purpose, "CHILD_HEALTH");
        assert_string_equal(((const Shuyi__V1__RequestBody *)c->open_body)->need, "divisions");
        d = digest_plain(c->header);
        assert_memory_equal(d.b, c->header_digest.b, DIGEST_BYTES);
        d = (struct digest){ { 0 } };
        assert_true(envelope_header_digest(e, &d));
        assert_memory_equal(d.b, c->header_digest.b, DIGEST_BYTES);
        for (size_t n = 0; n < 4 + c->header.n; n++)
                assert_true(n >= (size_t)(c->header.p + c->header.n - e.p) || !envelope_header_digest(bytes_of(e.p, n), &d));
        assert_true(c->header.p > e.p && c->body.p + c->body.n < e.p + e.n);    /* borrowed */
}

static void test_the_signed_bytes_are_context_suite_capacity_credential_digest(void **state)
{
        struct digest credential, header;
        uint8_t m[ENVELOPE_SIGNED_BYTES];

        memset(credential.b, 0xc1, DIGEST_BYTES);
        memset(header.b, 0xd2, DIGEST_BYTES);
        envelope_signed_bytes(SUITE_1, ROLE_APPROVER, &credential, &header, m);
        assert_memory_equal(m, "shuyi/envelope/v1\0\0\x01\x03", 21);
        assert_memory_equal(m + 21, credential.b, 32);
        assert_memory_equal(m + 53, header.b, 32);
        assert_int_equal(sizeof(m), 85);
}

static void test_an_unsigned_draft_parses_and_does_not_verify(void **state)
{
        struct arena *a = *state;
        struct bytes e = envelope_draft(a, sample_intent(a, KIND_NO_CHANGE), (struct bytes){ 0 });
        const struct claim *c;

        assert_int_equal(envelope_parse(a, e, &c), ACCEPTED);
        assert_int_equal(c->signers_n, 0);
        assert_int_equal(envelope_verify(a, e, &known, &c), E_FORM);
}

static void test_what_is_issued_is_the_draft_signed_and_as_exact(void **state)
{
        struct arena *a = *state;
        struct sample_key agent = sample_key(1);
        uint8_t sealed[100] = { 7 };
        Shuyi__V1__Intent *intent = sample_intent(a, KIND_UPDATE);
        struct bytes e = envelope_sign(a, envelope_draft(a, intent, bytes_of(sealed, sizeof(sealed))), &agent.id, ROLE_AGENT, agent.secret);
        const struct claim *c = envelope_issue(a, intent, bytes_of(sealed, sizeof(sealed)), &agent.id, ROLE_AGENT, agent.secret), *same;

        assert_non_null(c);
        assert_true(bytes_equal(c->wire, e));
        assert_int_equal(envelope_parse(a, e, &same), ACCEPTED);
        assert_memory_equal(c->header_digest.b, same->header_digest.b, DIGEST_BYTES);
        assert_memory_equal(c->envelope_digest.b, same->envelope_digest.b, DIGEST_BYTES);
        assert_null(envelope_issue(a, intent, bytes_of(sealed, 3), &agent.id, ROLE_AGENT, agent.secret));       /* no UPDATE's body */
        intent->id.len = 3;
        assert_null(envelope_issue(a, intent, bytes_of(sealed, sizeof(sealed)), &agent.id, ROLE_AGENT, agent.secret));
}

static void test_R_130_a_relabelled_capacity_is_refused(void **state)
{
        struct arena *a = *state;
        struct bytes e = sample_get(a);
        uint8_t *p = (uint8_t *)arena_copy(a, e).p;
        const struct claim *c;
        Shuyi__V1__Envelope *m = shuyi__v1__envelope__unpack(NULL, e.n, p);

        for (uint32_t role = 1; role <= 34; role++) {
                m->signatures[1]->capacity = role;
                assert_int_equal(envelope_verify(a, message_pack(a, &m->base), &known, &c),
                                 role == ROLE_APPROVER ? ACCEPTED : word_known(LIST_role, role) ? E_CRED : E_FORM);
        }
        shuyi__v1__envelope__free_unpacked(m, NULL);
}

static void test_R_130_a_signature_under_another_credential_is_refused(void **state)
{
        struct arena *a = *state;
        struct bytes e = sample_get(a);
        struct sample_key other = sample_key(3), unknown = sample_key(77);
        Shuyi__V1__Envelope *m = message_parse(a, &shuyi__v1__envelope__descriptor, e);
        uint8_t *own = m->signatures[0]->credential.data;
        Shuyi__V1__Signature *first = m->signatures[0];
        const struct claim *c;

        m->signatures[0]->credential.data = other.id.b;
        assert_int_equal(envelope_verify(a, message_pack(a, &m->base), &known, &c), E_CRED);
        m->signatures[0]->credential.data = unknown.id.b;
        assert_int_equal(envelope_verify(a, message_pack(a, &m->base), &known, &c), E_CRED);
        uint32_t capacity = first->capacity;
        first->credential.data = m->signatures[1]->credential.data;
        assert_int_equal(envelope_verify(a, message_pack(a, &m->base), &known, &c), E_CRED);    /* one signer in two capacities: for the rules, if it held */
        first->capacity = m->signatures[1]->capacity;
        assert_int_equal(envelope_verify(a, message_pack(a, &m->base), &known, &c), E_FORM);    /* one signer twice in one */
        first->capacity = capacity;
        m->signatures[0]->credential.data = own;
        assert_int_equal(envelope_verify(a, message_pack(a, &m->base), &known, &c), ACCEPTED);
        m->signatures[0] = m->signatures[1];
        m->signatures[1] = first;
        assert_int_equal(envelope_verify(a, message_pack(a, &m->base), &known, &c), ACCEPTED);  /* order is for the rules, and another leaf: */
        assert_int_equal(c->signers[0].capacity, ROLE_APPROVER);
}

static void test_the_order_of_signatures_is_in_the_envelope_digest(void **state)
{
        struct arena *a = *state;
        struct bytes e = sample_get(a);
        Shuyi__V1__Envelope *m = message_parse(a, &shuyi__v1__envelope__descriptor, e);
        Shuyi__V1__Signature *first = m->signatures[0];
        const struct claim *one, *two;

        assert_int_equal(envelope_verify(a, e, &known, &one), ACCEPTED);
        m->signatures[0] = m->signatures[1];
        m->signatures[1] = first;
        assert_int_equal(envelope_verify(a, message_pack(a, &m->base), &known, &two), ACCEPTED);
        assert_true(digest_equal(&one->header_digest, &two->header_digest));
        assert_false(digest_equal(&one->envelope_digest, &two->envelope_digest));
}

static void test_R_130_a_readdressed_intent_is_refused(void **state)
{
        struct arena *a = *state;
        Shuyi__V1__Envelope *m = message_parse(a, &shuyi__v1__envelope__descriptor, sample_get(a));
        Shuyi__V1__Header *h = message_parse(a, &shuyi__v1__header__descriptor, bytes_of(m->header.data, m->header.len));
        Shuyi__V1__Intent *i = message_parse(a, &shuyi__v1__intent__descriptor, bytes_of(h->intent.data, h->intent.len));
        struct bytes intent, header;
        const struct claim *c;

        i->to = SAMPLE_DEPT;
        intent = message_pack(a, &i->base);
        h->intent = (ProtobufCBinaryData){ intent.n, (uint8_t *)intent.p };
        header = message_pack(a, &h->base);
        m->header = (ProtobufCBinaryData){ header.n, (uint8_t *)header.p };
        assert_int_equal(envelope_verify(a, message_pack(a, &m->base), &known, &c), E_CRED);
}

static void test_a_body_that_is_not_the_headers_is_refused(void **state)
{
        struct arena *a = *state;
        Shuyi__V1__Envelope *m = message_parse(a, &shuyi__v1__envelope__descriptor, sample_get(a));
        const struct claim *c;
        size_t n = m->body.len;

        m->body.data[2] ^= 1;
        assert_int_equal(envelope_verify(a, message_pack(a, &m->base), &known, &c), E_FORM);
        m->body.data[2] ^= 1;
        m->body.len = n - 1;
        assert_int_equal(envelope_verify(a, message_pack(a, &m->base), &known, &c), E_FORM);
        m->body.len = 0;
        assert_int_equal(envelope_verify(a, message_pack(a, &m->base), &known, &c), E_FORM);
}

static void test_a_root_key_counts_only_under_the_capacity_root(void **state)
{
        struct arena *a = *state;
        struct sample_key k = sample_key(4);
        struct digest root = root_key_id(SUITE_1, k.key);
        Shuyi__V1__ReasonBody body = SHUYI__V1__REASON_BODY__INIT;
        Shuyi__V1__Intent *i = sample_intent(a, KIND_WITHDRAW);
        struct bytes e = envelope_draft(a, i, message_pack(a, &body.base));
        const struct claim *c;

        assert_int_equal(envelope_verify(a, envelope_sign(a, e, &root, ROLE_ROOT, k.secret), &known, &c), ACCEPTED);
        assert_int_equal(envelope_verify(a, envelope_sign(a, e, &root, ROLE_APPROVER, k.secret), &known, &c), E_CRED);
        assert_int_equal(envelope_verify(a, envelope_sign(a, e, &k.id, ROLE_ROOT, k.secret), &known, &c), E_CRED);
}

static void test_the_suite_must_be_the_signers(void **state)
{
        struct arena *a = *state;
        uint32_t suite = 2;
        const struct key_source other = { sample_find, &suite };
        const struct claim *c;

        assert_int_equal(envelope_verify(a, sample_get(a), &other, &c), E_CRED);
}

static void test_at_most_four_sign(void **state)
{
        struct arena *a = *state;
        struct bytes e = envelope_draft(a, sample_intent(a, KIND_NO_CHANGE), (struct bytes){ 0 });
        struct sample_key fifth = sample_key(5);
        const struct claim *c;

        for (uint8_t seed = 1; seed <= 4; seed++) {
                struct sample_key k = sample_key(seed);

                e = envelope_sign(a, e, &k.id, ROLE_AGENT, k.secret);
                assert_non_null(e.p);
        }
        assert_int_equal(envelope_verify(a, e, &known, &c), ACCEPTED);
        assert_int_equal(c->signers_n, 4);
        assert_null(envelope_sign(a, e, &fifth.id, ROLE_AGENT, fifth.secret).p);
        e = bytes_of(memcpy(arena_alloc(a, e.n * 2), e.p, e.n), e.n);
        {       /* a fifth by hand: the fourth once more */
                size_t one = 2 + 34 + 2 + 66;
                uint8_t *p = (uint8_t *)e.p;

                memcpy(p + e.n, p + e.n - one, one);
                assert_int_equal(envelope_verify(a, bytes_of(p, e.n + one), &known, &c), E_FORM);
        }
}

static void test_unknown_fields_outside_what_is_signed_are_refused_and_inside_are_kept(void **state)
{
        static const uint8_t extra[] = { 0xc2, 0x3e, 1, 'x' };                  /* field 1000, a run */
        struct arena *a = *state;
        struct sample_key k = sample_key(1);
        Shuyi__V1__Envelope *m;
        struct bytes e = sample_get(a), header;
        uint8_t *p = arena_alloc(a, e.n + sizeof(extra));
        const struct claim *c;

        memcpy(p, e.p, e.n);
        memcpy(p + e.n, extra, sizeof(extra));
        assert_int_equal(envelope_verify(a, bytes_of(p, e.n + sizeof(extra)), &known, &c), E_FORM);

        e = envelope_draft(a, sample_intent(a, KIND_NO_CHANGE), (struct bytes){ 0 });
        m = message_parse(a, &shuyi__v1__envelope__descriptor, e);
        p = arena_alloc(a, m->header.len + sizeof(extra));
        memcpy(p, m->header.data, m->header.len);
        memcpy(p + m->header.len, extra, sizeof(extra));
        header = bytes_of(p, m->header.len + sizeof(extra));
        m->header = (ProtobufCBinaryData){ header.n, (uint8_t *)header.p };
        e = envelope_sign(a, message_pack(a, &m->base), &k.id, ROLE_AGENT, k.secret);
        assert_int_equal(envelope_verify(a, e, &known, &c), ACCEPTED);
        assert_true(bytes_equal(c->header, header));
}

/* ---- the intent's form ---- */

static void no_change(struct arena *a, Shuyi__V1__Intent *i) { }
static void suite_2(struct arena *a, Shuyi__V1__Intent *i) { i->suite = 2; }
static void no_kind(struct arena *a, Shuyi__V1__Intent *i) { i->kind = 999; }
static void short_id(struct arena *a, Shuyi__V1__Intent *i) { i->id.len = 15; }
static void other_time(struct arena *a, Shuyi__V1__Intent *i) { i->created_at++; }
static void not_v7(struct arena *a, Shuyi__V1__Intent *i) { i->id.data[6] ^= 0x10; }
static void bad_domain(struct arena *a, Shuyi__V1__Intent *i) { i->domain = "44200"; }
static void bad_from(struct arena *a, Shuyi__V1__Intent *i) { i->from = "11442000MX00000198"; }
static void bad_to(struct arena *a, Shuyi__V1__Intent *i) { i->to = "somebody"; }
static void short_digest(struct arena *a, Shuyi__V1__Intent *i) { i->grant = sample_run(a, 1, 31); }
static void long_agent(struct arena *a, Shuyi__V1__Intent *i) { i->agent = sample_run(a, 1, 17); }
static void no_such_channel(struct arena *a, Shuyi__V1__Intent *i) { i->channel = 99; }
static void no_such_method(struct arena *a, Shuyi__V1__Intent *i) { i->method = 6; }
static void expired_at_birth(struct arena *a, Shuyi__V1__Intent *i) { i->expires_at = i->created_at; }
static void long_resource(struct arena *a, Shuyi__V1__Intent *i) { i->resource = "344001/12345678901234567890123456789"; }

static void item_zero(struct arena *a, Shuyi__V1__Intent *i)
{
        static uint32_t items[] = { 0, 1 };

        i->items = items;
        i->n_items = 2;
}

static void item_twice(struct arena *a, Shuyi__V1__Intent *i)
{
        static uint32_t items[] = { 1, 3, 3 };

        i->items = items;
        i->n_items = 3;
}

static void half_seen(struct arena *a, Shuyi__V1__Intent *i)
{
        i->seen = ARENA_NEW(a, Shuyi__V1__Seen);
        shuyi__v1__seen__init(i->seen);
        i->seen->epoch = 1;
}

static void test_the_intents_form(void **state)
{
        static const struct { const char *name; void (*change)(struct arena *a, Shuyi__V1__Intent *i); enum refusal want; } cases[] = {
                { "as it is", no_change, ACCEPTED },
                { "another suite", suite_2, E_FORM },
                { "an unknown kind", no_kind, E_FORM },
                { "an id of 15 bytes", short_id, E_FORM },
                { "an id of another time", other_time, E_FORM },
                { "an id that is no UUIDv7", not_v7, E_FORM },
                { "a domain of five digits", bad_domain, E_FORM },
                { "a sender whose check character fails", bad_from, E_FORM },
                { "an addressee that is no code", bad_to, E_FORM },
                { "a digest of 31 bytes", short_digest, E_FORM },
                { "an agent of 17 bytes", long_agent, E_FORM },
                { "an unknown channel", no_such_channel, E_FORM },
                { "an unknown method", no_such_method, E_FORM },
                { "expired when created", expired_at_birth, E_FORM },
                { "a resource code too long", long_resource, E_FORM },
                { "item number zero", item_zero, E_FORM },
                { "an item twice", item_twice, E_FORM },
                { "a head seen without its root", half_seen, E_FORM },
        };
        struct arena *a = *state;
        const struct claim *c;

        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                Shuyi__V1__Intent *intent = sample_intent(a, KIND_NO_CHANGE);

                cases[i].change(a, intent);
                if (envelope_parse(a, envelope_draft(a, intent, (struct bytes){ 0 }), &c) != cases[i].want)
                        fail_msg("%s", cases[i].name);
        }
}

static void test_bodies_are_of_the_form_of_their_kind(void **state)
{
        struct arena *a = *state;
        const struct claim *c;
        uint8_t byte[41] = { 0xff };

        assert_int_equal(envelope_parse(a, envelope_draft(a, sample_intent(a, KIND_NO_CHANGE), bytes_of(byte, 1)), &c), E_FORM);
        assert_int_equal(envelope_parse(a, envelope_draft(a, sample_intent(a, KIND_GET), bytes_of(byte, 1)), &c), E_FORM);
        assert_int_equal(envelope_parse(a, envelope_draft(a, sample_intent(a, KIND_UPDATE), bytes_of(byte, 40)), &c), E_FORM);
        assert_int_equal(envelope_parse(a, envelope_draft(a, sample_intent(a, KIND_UPDATE), bytes_of(byte, 41)), &c), ACCEPTED);
        assert_null(c->open_body);
        assert_int_equal(envelope_parse(a, envelope_draft(a, sample_intent(a, KIND_VERIFY), bytes_of(byte, 1)), &c), ACCEPTED);
        assert_true(c->kind->later);
        assert_null(c->open_body);
}

static void test_sizes_are_held_to_their_limits(void **state)
{
        struct arena *a = *state;
        uint8_t *large = arena_zalloc(a, ENVELOPE_MAX_BYTES + 1);
        const struct claim *c;

        assert_int_equal(envelope_parse(a, envelope_draft(a, sample_intent(a, KIND_VERIFY), bytes_of(large, CONTROL_BODY_MAX_BYTES)), &c), ACCEPTED);
        assert_int_equal(envelope_parse(a, envelope_draft(a, sample_intent(a, KIND_VERIFY), bytes_of(large, CONTROL_BODY_MAX_BYTES + 1)), &c), E_FORM);
        assert_int_equal(envelope_parse(a, envelope_draft(a, sample_intent(a, KIND_UPDATE), bytes_of(large, 900 * 1024)), &c), ACCEPTED);
        assert_int_equal(envelope_parse(a, envelope_draft(a, sample_intent(a, KIND_UPDATE), bytes_of(large, ENVELOPE_MAX_BYTES)), &c), E_FORM);
        assert_int_equal(envelope_parse(a, (struct bytes){ 0 }, &c), E_FORM);
}

/* Two bytes on the wire, a hundred unpacked: without a bound one receipt would leave nothing of a ticket's arena for apply. */
static void test_a_body_of_many_empty_fields_is_refused(void **state)
{
        struct arena *a = *state;
        uint8_t *many = arena_alloc(a, 2 * (BODY_FIELDS_MAX + 1));
        const struct claim *c;

        for (size_t i = 0; i <= BODY_FIELDS_MAX; i++) {
                many[2 * i] = 6 << 3 | 2;               /* nacks, all empty */
                many[2 * i + 1] = 0;
        }
        assert_int_equal(envelope_parse(a, envelope_draft(a, sample_intent(a, KIND_DELIVERY_RECEIPT), bytes_of(many, 2 * BODY_FIELDS_MAX)), &c), ACCEPTED);
        assert_int_equal(envelope_parse(a, envelope_draft(a, sample_intent(a, KIND_DELIVERY_RECEIPT), bytes_of(many, 2 * BODY_FIELDS_MAX + 2)), &c), E_FORM);
}

static void test_a_stripped_envelope_verifies_bare_and_only_so(void **state)
{
        struct arena *a = *state;
        struct bytes e = sample_get(a), bare = envelope_strip(a, e);
        const struct claim *whole, *c;

        assert_int_equal(envelope_verify(a, e, &known, &whole), ACCEPTED);
        assert_non_null(bare.p);
        assert_int_equal(envelope_verify(a, bare, &known, &c), E_FORM);
        assert_int_equal(envelope_verify_bare(a, e, &known, &c), E_FORM);
        assert_int_equal(envelope_verify_bare(a, bare, &known, &c), ACCEPTED);
        assert_true(digest_equal(&c->header_digest, &whole->header_digest));
        assert_true(digest_equal(&c->envelope_digest, &whole->envelope_digest));
        assert_null(c->open_body);
        assert_true(bytes_equal(envelope_strip(a, bare), bare));
}

/* A log kept without data bodies: an UPDATE may be bare, no other envelope may. */
static void test_a_kept_update_may_be_bare_and_nothing_else(void **state)
{
        struct arena *a = *state;
        uint8_t sealed[64] = { 7 };
        struct sample_key agent = sample_key(5);
        const Shuyi__V1__Intent *intent = sample_intent(a, KIND_UPDATE);
        struct bytes update = envelope_sign(a, envelope_draft(a, intent, bytes_of(sealed, sizeof(sealed))), &agent.id, ROLE_AGENT, agent.secret);
        struct bytes small = envelope_draft(a, intent, bytes_of(sealed, 40));
        struct bytes get = sample_get(a), bare = envelope_strip(a, update);
        struct digest body = digest_plain(bytes_of(sealed, sizeof(sealed)));
        const struct claim *whole, *c;

        assert_int_equal(envelope_read_kept(a, update, &known, &whole), ACCEPTED);
        assert_int_equal(envelope_read_kept(a, bare, &known, &c), ACCEPTED);
        assert_int_equal(envelope_read_kept(a, bare, NULL, &c), ACCEPTED);
        assert_true(digest_equal(&c->envelope_digest, &whole->envelope_digest));
        assert_true(bytes_equal(c->body_digest, bytes_digest(&body)) && bytes_equal(whole->body_digest, c->body_digest));
        assert_int_equal(c->body_bytes, sizeof(sealed));
        assert_int_equal(c->body.n, 0);
        assert_int_equal(envelope_read_kept(a, envelope_strip(a, small), NULL, &c), E_FORM);
        assert_int_equal(envelope_read_kept(a, envelope_strip(a, get), NULL, &c), E_FORM);
        ((uint8_t *)bare.p)[bare.n - 1] ^= 1;
        assert_int_equal(envelope_read_kept(a, bare, &known, &c), E_CRED);
}

static void test_an_arena_that_is_full_refuses_and_no_more(void **state)
{
        struct bytes e = sample_get(*state);
        const struct claim *c;

        for (size_t room = 0; room < 4096; room += 64) {
                _cleanup_(arena_freep) struct arena *small = arena_new(room);
                enum refusal r = envelope_verify(small, e, &known, &c);

                assert_true(r == E_FORM || r == ACCEPTED);
        }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(test_a_signed_get_becomes_a_claim),
                CASE(test_the_signed_bytes_are_context_suite_capacity_credential_digest),
                CASE(test_an_unsigned_draft_parses_and_does_not_verify),
                CASE(test_what_is_issued_is_the_draft_signed_and_as_exact),
                CASE(test_R_130_a_relabelled_capacity_is_refused),
                CASE(test_R_130_a_signature_under_another_credential_is_refused),
                CASE(test_the_order_of_signatures_is_in_the_envelope_digest),
                CASE(test_R_130_a_readdressed_intent_is_refused),
                CASE(test_a_body_that_is_not_the_headers_is_refused),
                CASE(test_a_root_key_counts_only_under_the_capacity_root),
                CASE(test_the_suite_must_be_the_signers),
                CASE(test_at_most_four_sign),
                CASE(test_unknown_fields_outside_what_is_signed_are_refused_and_inside_are_kept),
                CASE(test_the_intents_form),
                CASE(test_bodies_are_of_the_form_of_their_kind),
                CASE(test_sizes_are_held_to_their_limits),
                CASE(test_a_body_of_many_empty_fields_is_refused),
                CASE(test_a_stripped_envelope_verifies_bare_and_only_so),
                CASE(test_a_kept_update_may_be_bare_and_nothing_else),
                CASE(test_an_arena_that_is_full_refuses_and_no_more),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
