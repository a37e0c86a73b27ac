/* anchor: thresholds, demo marks, and who may follow whom. */
#include "common/anchor.h"
#include "tests/lib/sample.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define ROOTS 3

/* Version 1, two of three roots (seeds 1..3), one log, one witness with quorum 1. */
struct sample {
        struct sample_key root[ROOTS], log, witness;
        Shuyi__V1__RootKey roots[ROOTS], *root_list[ROOTS];
        Shuyi__V1__LogKey logs[2], *log_list[2];
        Shuyi__V1__WitnessKey witnesses[2], *witness_list[2];
        uint32_t suites[2];
        Shuyi__V1__Anchor anchor;
};

static void sample_init(struct sample *s)
{
        memset(s, 0, sizeof(*s));
        s->log = sample_key(8);
        s->witness = sample_key(9);
        shuyi__v1__anchor__init(&s->anchor);
        for (unsigned i = 0; i < ROOTS; i++) {
                s->root[i] = sample_key((uint8_t)(i + 1));
                shuyi__v1__root_key__init(&s->roots[i]);
                s->roots[i].suite = 1;
                s->roots[i].key = (ProtobufCBinaryData){ 32, s->root[i].key };
                s->root_list[i] = &s->roots[i];
        }
        for (unsigned i = 0; i < 2; i++) {
                shuyi__v1__log_key__init(&s->logs[i]);
                s->logs[i].origin = i ? "log.two" : "log.one";
                s->logs[i].key = (ProtobufCBinaryData){ 32, s->log.key };
                s->log_list[i] = &s->logs[i];
                shuyi__v1__witness_key__init(&s->witnesses[i]);
                s->witnesses[i].name = i ? "witness.two" : "witness.one";
                s->witnesses[i].key = (ProtobufCBinaryData){ 32, i ? s->log.key : s->witness.key };
                s->witness_list[i] = &s->witnesses[i];
        }
        s->suites[0] = 1;
        s->anchor.version = 1;
        s->anchor.domain = SAMPLE_DOMAIN;
        s->anchor.roots = s->root_list;
        s->anchor.n_roots = ROOTS;
        s->anchor.threshold = 2;
        s->anchor.logs = s->log_list;
        s->anchor.n_logs = 1;
        s->anchor.witnesses = s->witness_list;
        s->anchor.n_witnesses = 1;
        s->anchor.witness_quorum = 1;
        s->anchor.suites = s->suites;
        s->anchor.n_suites = 1;
}

/* The anchor signed by the keys of these seeds, in order. */
static struct bytes sign_by(struct arena *a, struct sample *s, const char *seeds)
{
        Shuyi__V1__SignedAnchor *g = ARENA_NEW(a, Shuyi__V1__SignedAnchor);
        struct bytes packed = message_pack(a, &s->anchor.base);

        shuyi__v1__signed_anchor__init(g);
        g->anchor = (ProtobufCBinaryData){ packed.n, (uint8_t *)packed.p };
        g->signatures = ARENA_ARRAY(a, Shuyi__V1__RootSignature *, 8);
        for (; *seeds; seeds++) {
                struct sample_key k = sample_key((uint8_t)(*seeds - '0'));
                struct digest id = root_key_id(1, k.key);
                Shuyi__V1__RootSignature *r = ARENA_NEW(a, Shuyi__V1__RootSignature);

                shuyi__v1__root_signature__init(r);
                r->root_key.data = (uint8_t *)arena_copy(a, bytes_digest(&id)).p;
                r->root_key.len = 32;
                r->signature.data = arena_alloc(a, 64);
                r->signature.len = 64;
                anchor_sign(packed, k.secret, r->signature.data);
                g->signatures[g->n_signatures++] = r;
        }
        return message_pack(a, &g->base);
}

static void nothing(struct sample *s) { }
static void version_zero(struct sample *s) { s->anchor.version = 0; }
static void bad_domain(struct sample *s) { s->anchor.domain = "zs"; }
static void threshold_zero(struct sample *s) { s->anchor.threshold = 0; }
static void threshold_four(struct sample *s) { s->anchor.threshold = 4; }
static void threshold_one(struct sample *s) { s->anchor.threshold = 1; }
static void demo_of_one(struct sample *s) { s->anchor.threshold = 1; s->anchor.demo = 1; s->anchor.witness_quorum = 0; }
static void no_quorum(struct sample *s) { s->anchor.witness_quorum = 0; }
static void quorum_two(struct sample *s) { s->anchor.witness_quorum = 2; }
static void same_root(struct sample *s) { s->roots[2].key.data = s->root[0].key; }
static void no_logs(struct sample *s) { s->anchor.n_logs = 0; }
static void same_origin(struct sample *s) { s->anchor.n_logs = 2; s->logs[1].origin = "log.one"; }
static void spaced_origin(struct sample *s) { s->logs[0].origin = "log one"; }
static void same_witness(struct sample *s) { s->anchor.n_witnesses = 2; s->witnesses[1].key.data = s->witness.key; }
static void no_suites(struct sample *s) { s->anchor.n_suites = 0; }
static void later_suites(struct sample *s) { s->suites[1] = 7; s->anchor.n_suites = 2; }

static void test_form_and_own_threshold(void **state)
{
        static const struct { void (*change)(struct sample *s); const char *by, *want; } cases[] = {
                { nothing, "12", NULL },
                { nothing, "31", NULL },
                { nothing, "123", NULL },
                { nothing, "179", "threshold of signatures not reached" },
                { nothing, "1", "threshold of signatures not reached" },
                { nothing, "", "threshold of signatures not reached" },
                { nothing, "11", "root signed twice" },
                { nothing, "1277", "root signed twice" },
                { version_zero, "12", "version" },
                { bad_domain, "12", "domain" },
                { threshold_zero, "12", "threshold" },
                { threshold_four, "123", "threshold" },
                { threshold_one, "1", "threshold of one outside a demo" },
                { demo_of_one, "1", NULL },
                { no_quorum, "12", "no witness quorum outside a demo" },
                { quorum_two, "12", "witness quorum" },
                { same_root, "12", "root key given twice" },
                { no_logs, "12", "number of logs" },
                { same_origin, "12", "log origin given twice" },
                { spaced_origin, "12", "log key" },
                { same_witness, "12", "witness given twice" },
                { no_suites, "12", "suites" },
                { later_suites, "12", NULL },
        };

        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                _cleanup_(arena_freep) struct arena *a = arena_new(1 << 16);
                const Shuyi__V1__Anchor *got;
                struct sample s;
                const char *wrong;

                sample_init(&s);
                cases[i].change(&s);
                wrong = anchor_check(a, sign_by(a, &s, cases[i].by), &got);
                if ((wrong == NULL) != (cases[i].want == NULL) || (wrong && strcmp(wrong, cases[i].want) != 0))
                        fail_msg("case %u: %s", i, wrong ? wrong : "accepted");
        }
}

static void test_the_next_version_needs_both_thresholds(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 18);
        const Shuyi__V1__Anchor *current, *next;
        struct sample one, two;
        struct bytes g;

        sample_init(&one);
        sample_init(&two);
        assert_null(anchor_check(a, sign_by(a, &one, "12"), &current));
        two.anchor.version = 2;                                 /* roots 1 and 2 make room for 4 and 5; 3 stays */
        two.root[0] = sample_key(4);
        two.root[1] = sample_key(5);
        assert_null(anchor_check(a, g = sign_by(a, &two, "4512"), &next));
        assert_null(anchor_check_succession(a, current, next, g));
        assert_null(anchor_check(a, g = sign_by(a, &two, "43"), &next));
        assert_non_null(anchor_check_succession(a, current, next, g));          /* one of the old */
        assert_null(anchor_check(a, g = sign_by(a, &two, "431"), &next));
        assert_null(anchor_check_succession(a, current, next, g));              /* 3 counts for both */
        assert_non_null(anchor_check(a, sign_by(a, &two, "123"), &next));       /* one of the new */
        two.anchor.version = 3;
        assert_null(anchor_check(a, g = sign_by(a, &two, "4512"), &next));
        assert_string_equal(anchor_check_succession(a, current, next, g), "version does not follow");
        assert_string_equal(anchor_check_succession(a, next, current, g), "version does not follow");
}

static void test_keys_are_found_by_id_and_origin(void **state)
{
        struct sample s;
        struct digest id;

        sample_init(&s);
        id = root_key_id(1, s.root[2].key);
        assert_ptr_equal(anchor_find_root(&s.anchor, &id), &s.roots[2]);
        id.b[0] ^= 1;
        assert_null(anchor_find_root(&s.anchor, &id));
        assert_ptr_equal(anchor_find_log(&s.anchor, "log.one"), &s.logs[0]);
        assert_null(anchor_find_log(&s.anchor, "log.two"));
        assert_true(anchor_allows_suite(&s.anchor, 1));
        assert_false(anchor_allows_suite(&s.anchor, 2));
}

static void test_changed_bytes_are_refused(void **state)
{
        _cleanup_(arena_freep) struct arena *keep = arena_new(1 << 16), *a = arena_new(1 << 16);
        const Shuyi__V1__Anchor *got;
        struct sample s;
        struct bytes g;

        sample_init(&s);
        g = sign_by(keep, &s, "12");
        for (size_t bit = 0; bit < g.n * 8; bit++) {
                arena_reset(a);
                ((uint8_t *)g.p)[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_non_null(anchor_check(a, g, &got));
                ((uint8_t *)g.p)[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_form_and_own_threshold),
                cmocka_unit_test(test_the_next_version_needs_both_thresholds),
                cmocka_unit_test(test_keys_are_found_by_id_and_origin),
                cmocka_unit_test(test_changed_bytes_are_refused),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
