/* checkpoint: a note signs and verifies, and every other spelling of it is refused. */
#include "common/checkpoint.h"
#include "tests/lib/sample.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define ORIGIN "log.442000.example"

static struct checkpoint sample(void)
{
        struct checkpoint c = { ORIGIN, 20852163, { { 0 } } };

        memset(c.root.b, 0x5a, DIGEST_BYTES);
        return c;
}

static void test_what_was_signed_verifies_with_its_size_and_root(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct sample_key k = sample_key(1);
        struct checkpoint c = sample(), got;
        char *note = checkpoint_sign(a, &c, k.secret, k.key);

        assert_non_null(note);
        assert_null(checkpoint_verify(a, note, ORIGIN, k.key, &got));
        assert_string_equal(got.origin, ORIGIN);
        assert_int_equal(got.size, c.size);
        assert_memory_equal(got.root.b, c.root.b, DIGEST_BYTES);
}

static void test_the_published_example_verifies(void **state)
{
        /* PeterNeumann, the key of the documentation of Go's note package, over a text of another form: only its key line
         * can be compared, since our notes are tree heads. */
        _cleanup_(arena_freep) struct arena *a = arena_new(4096);
        uint8_t blob[33];
        size_t n;

        assert_int_equal(sodium_base642bin(blob, sizeof(blob), "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", 44, NULL, &n, NULL, sodium_base64_VARIANT_ORIGINAL), 0);
        assert_int_equal(n, sizeof(blob));
        assert_string_equal(checkpoint_vkey(a, "PeterNeumann", blob + 1), "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
}

static void test_every_changed_character_is_refused(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct sample_key k = sample_key(1);
        struct checkpoint c = sample(), got;
        char *note = checkpoint_sign(a, &c, k.secret, k.key);
        size_t n = strlen(note);

        for (size_t i = 0; i < n; i++) {
                for (unsigned bit = 0; bit < 8; bit++) {
                        note[i] = (char)(note[i] ^ (1 << bit));
                        if (!checkpoint_verify(a, note, ORIGIN, k.key, &got))
                                fail_msg("character %zu bit %u: %s", i, bit, note);
                        note[i] = (char)(note[i] ^ (1 << bit));
                }
        }
        for (size_t i = 0; i < n; i++) {
                char *cut = arena_strdup(a, note);

                cut[i] = 0;
                assert_non_null(checkpoint_verify(a, cut, ORIGIN, k.key, &got));
                arena_reset(a);
                note = checkpoint_sign(a, &c, k.secret, k.key);
        }
}

static void test_signatures_of_others_are_skipped_and_a_known_wrong_one_refuses(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct sample_key k = sample_key(1), other = sample_key(2);
        struct checkpoint c = sample(), got, named = c;
        char *note = checkpoint_sign(a, &c, k.secret, k.key), *both, *line;

        named.origin = "witness.example";
        line = strstr(checkpoint_sign(a, &named, other.secret, other.key), "\n\n") + 2;
        both = arena_printf(a, "%s%s", note, line);
        assert_null(checkpoint_verify(a, both, ORIGIN, k.key, &got));
        assert_non_null(checkpoint_verify(a, both, ORIGIN, other.key, &got));
        line = strstr(note, "\n\n") + 2;
        assert_non_null(checkpoint_verify(a, arena_printf(a, "%s%s", note, line), ORIGIN, k.key, &got));
        /* a key that signs another tree in this one's place: known by id, wrong by signature */
        named = c;
        named.size++;
        line = strstr(checkpoint_sign(a, &named, k.secret, k.key), "\n\n") + 2;
        assert_string_equal(checkpoint_verify(a, arena_printf(a, "%s\n%llu\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n\n%s", ORIGIN,
                                                              (unsigned long long)c.size, line), ORIGIN, k.key, &got), "signature");
}

static void test_forms_that_are_not_exact_are_refused(void **state)
{
        static const char *const notes[] = {
                "", "\n", ORIGIN, ORIGIN "\n", ORIGIN "\n1\n", ORIGIN "\n1\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n",
                ORIGIN "\n01\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n\n", ORIGIN "\n18446744073709551616\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n\n",
                ORIGIN "\n-1\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n\n", ORIGIN "\n1\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\nextension\n\n",
                ORIGIN "\n1\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n\n\xe2\x80\x94 \n",
                ORIGIN "\n1\nWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n\n\xe2\x80\x94 x y\n",
        };
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct sample_key k = sample_key(1);
        struct checkpoint got;
        char *long_note = arena_alloc(a, NOTE_MAX_BYTES + 2);

        for (unsigned i = 0; i < ELEMENTS(notes); i++)
                assert_non_null(checkpoint_verify(a, notes[i], ORIGIN, k.key, &got));
        memset(long_note, 'a', NOTE_MAX_BYTES + 1);
        long_note[NOTE_MAX_BYTES + 1] = 0;
        assert_non_null(checkpoint_verify(a, long_note, ORIGIN, k.key, &got));
        assert_null(checkpoint_vkey(a, "with space", k.key));
        assert_null(checkpoint_vkey(a, "with+plus", k.key));
}

/* ---- cosignatures ---- */

/* A head of a public log of certificates (arche2025h1.staging.ct.transparency.dev) as it was published, with the lines of four public witnesses,
 * and the verifier keys that log and witnesses publish.  The first line is of another type (RFC 6962), the second is the log's own. */
static const char public_note[] =
        "arche2025h1.staging.ct.transparency.dev\n1432088532\nU7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=\n\n"
        NOTE_DASH "arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=\n"
        NOTE_DASH "arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=\n"
        NOTE_DASH "transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==\n"
        NOTE_DASH "witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==\n"
        NOTE_DASH "remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==\n"
        NOTE_DASH "witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==\n";
static const char public_log[] = "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f";
static const char *const public_witnesses[] = {
        "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM",
        "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO",
        "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
        "witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv",
};
#define PUBLIC_TIME 1779573024u

struct anchor_of { Shuyi__V1__Anchor anchor; Shuyi__V1__WitnessKey key[8], *keys[8]; };

static void add_witness(struct anchor_of *o, const char *name, const uint8_t *key)
{
        size_t i = o->anchor.n_witnesses++;

        shuyi__v1__witness_key__init(&o->key[i]);
        o->key[i].name = (char *)name;
        o->key[i].key = (ProtobufCBinaryData){ 32, (uint8_t *)key };
        o->keys[i] = &o->key[i];
        o->anchor.witnesses = o->keys;
}

static void test_a_public_log_s_head_and_its_four_public_witnesses_verify(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct anchor_of o = { .anchor = SHUYI__V1__ANCHOR__INIT };
        struct checkpoint_quorum q;
        struct checkpoint got;
        uint8_t key[32];
        const char *name;

        assert_null(note_vkey_parse(a, public_log, NOTE_ED25519, &name, key));
        assert_null(checkpoint_verify(a, public_note, name, key, &got));
        assert_int_equal(got.size, 1432088532);
        for (unsigned i = 0; i < ELEMENTS(public_witnesses); i++) {
                uint8_t *own = arena_alloc(a, 32);

                assert_null(note_vkey_parse(a, public_witnesses[i], NOTE_COSIGNATURE, &name, own));
                add_witness(&o, name, own);
        }
        assert_null(checkpoint_quorum(public_note, &o.anchor, &q));
        assert_int_equal(q.count, 4);
        assert_int_equal(q.first_s, PUBLIC_TIME);
        assert_int_equal(q.last_s, PUBLIC_TIME);
}

static void test_a_verifier_key_has_one_spelling_and_one_type(void **state)
{
        static const char *const wrong[] = {
                "", "remora.n621.de", "remora.n621.de+da77ade7", "remora.n621.de+da77ade8+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
                "remora.n621.de+DA77ADE7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2", "remora.n621.dx+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
                "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2\n", "+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
                "remora.n621.de+da77ade7+-OvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
        };
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        uint8_t key[32];
        const char *name;

        for (unsigned i = 0; i < ELEMENTS(wrong); i++)
                if (!note_vkey_parse(a, wrong[i], NOTE_COSIGNATURE, &name, key))
                        fail_msg("%s", wrong[i]);
        assert_non_null(note_vkey_parse(a, public_witnesses[2], NOTE_ED25519, &name, key));
        assert_non_null(note_vkey_parse(a, public_log, NOTE_COSIGNATURE, &name, key));
}

/* Three witnesses of which two cosigned, at SAMPLE_TIME and a minute later. */
struct witnessed { struct anchor_of o; struct sample_key k[3]; char *note, *line[2]; };

static void make_witnessed(struct arena *a, struct witnessed *w)
{
        struct sample_key log = sample_key(9);
        struct checkpoint c = sample();
        char *head = checkpoint_sign(a, &c, log.secret, log.key);

        w->o.anchor = (Shuyi__V1__Anchor)SHUYI__V1__ANCHOR__INIT;
        for (uint8_t i = 0; i < 3; i++) {
                w->k[i] = sample_key((uint8_t)(i + 1));
                add_witness(&w->o, arena_printf(a, "witness.example/%u", i + 1), w->k[i].key);
        }
        for (unsigned i = 0; i < 2; i++)
                w->line[i] = checkpoint_cosign(a, head, w->o.key[i].name, SAMPLE_TIME / 1000 + 60 * i, w->k[i].secret, w->k[i].key);
        w->note = arena_printf(a, "%s%s%s", head, w->line[0], w->line[1]);
}

static void test_a_quorum_counts_distinct_witnesses_and_brackets_their_times(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct sample_key log = sample_key(9), stranger = sample_key(8);
        struct checkpoint_quorum q;
        struct checkpoint got;
        struct witnessed w = { 0 };
        char *other;

        make_witnessed(a, &w);
        assert_null(checkpoint_verify(a, w.note, ORIGIN, log.key, &got));
        assert_null(checkpoint_quorum(w.note, &w.o.anchor, &q));
        assert_int_equal(q.count, 2);
        assert_int_equal(q.first_s, SAMPLE_TIME / 1000);
        assert_int_equal(q.last_s, SAMPLE_TIME / 1000 + 60);
        /* a stranger's line counts nothing; neither does a stranger under a witness's name, whose id differs */
        other = checkpoint_cosign(a, w.note, "witness.example/3", 5, stranger.secret, stranger.key);
        assert_null(checkpoint_quorum(arena_printf(a, "%s%s", w.note, other), &w.o.anchor, &q));
        assert_int_equal(q.count, 2);
        /* the same twice */
        assert_string_equal(checkpoint_quorum(arena_printf(a, "%s%s", w.note, w.line[0]), &w.o.anchor, &q), "a witness stands twice");
        /* nobody */
        w.o.anchor.n_witnesses = 0;
        assert_null(checkpoint_quorum(w.note, &w.o.anchor, &q));
        assert_int_equal(q.count, 0);
}

static void test_every_changed_bit_of_a_cosigned_note_loses_the_quorum_or_the_note(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct sample_key log = sample_key(9);
        struct checkpoint_quorum q;
        struct checkpoint got;
        struct witnessed w = { 0 };

        make_witnessed(a, &w);
        for (size_t i = 0; w.note[i]; i++) {
                for (unsigned bit = 0; bit < 8; bit++) {
                        w.note[i] = (char)(w.note[i] ^ (1 << bit));
                        if (!checkpoint_verify(a, w.note, ORIGIN, log.key, &got) && !checkpoint_quorum(w.note, &w.o.anchor, &q) && q.count == 2)
                                fail_msg("character %zu bit %u", i, bit);
                        w.note[i] = (char)(w.note[i] ^ (1 << bit));
                }
        }
}

static void test_a_cosignature_holds_for_its_head_its_name_its_key_and_its_time_alone(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct sample_key log = sample_key(9);
        struct checkpoint c = sample();
        struct witnessed w = { 0 };
        uint64_t t = 0;
        char *line;

        make_witnessed(a, &w);
        line = w.line[0];
        assert_null(checkpoint_check_cosignature(w.note, bytes_str(line), "witness.example/1", w.k[0].key, &t));
        assert_int_equal(t, SAMPLE_TIME / 1000);
        assert_null(checkpoint_check_cosignature(w.note, bytes_of(line, strlen(line) - 1), "witness.example/1", w.k[0].key, &t));
        assert_non_null(checkpoint_check_cosignature(w.note, bytes_str(line), "witness.example/2", w.k[0].key, &t));
        assert_non_null(checkpoint_check_cosignature(w.note, bytes_str(line), "witness.example/1", w.k[1].key, &t));
        assert_non_null(checkpoint_check_cosignature(w.note, bytes_str(arena_printf(a, "%s%s", line, line)), "witness.example/1", w.k[0].key, &t));
        assert_non_null(checkpoint_check_cosignature(w.note, bytes_of(NULL, 0), "witness.example/1", w.k[0].key, &t));
        assert_non_null(checkpoint_check_cosignature("", bytes_str(line), "witness.example/1", w.k[0].key, &t));
        c.size++;
        assert_non_null(checkpoint_check_cosignature(checkpoint_sign(a, &c, log.secret, log.key), bytes_str(line), "witness.example/1", w.k[0].key, &t));
        assert_null(checkpoint_cosign(a, w.note, "witness.example/1", 0, w.k[0].secret, w.k[0].key));
        assert_null(checkpoint_cosign(a, w.note, "witness.example/1", (uint64_t)INT64_MAX + 1, w.k[0].secret, w.k[0].key));
        assert_null(checkpoint_cosign(a, w.note, "with space", 1, w.k[0].secret, w.k[0].key));
}

static void test_a_head_of_an_unknown_log_says_whose_key_it_needs(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        struct checkpoint got;

        assert_null(checkpoint_peek(a, public_note, &got));
        assert_string_equal(got.origin, "arche2025h1.staging.ct.transparency.dev");
        assert_int_equal(got.size, 1432088532);
        assert_non_null(checkpoint_peek(a, "with space\n1\nU7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=\n\n", &got));
        assert_non_null(checkpoint_peek(a, "a\n1\nU7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=\n", &got));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_was_signed_verifies_with_its_size_and_root),
                cmocka_unit_test(test_the_published_example_verifies),
                cmocka_unit_test(test_every_changed_character_is_refused),
                cmocka_unit_test(test_signatures_of_others_are_skipped_and_a_known_wrong_one_refuses),
                cmocka_unit_test(test_forms_that_are_not_exact_are_refused),
                cmocka_unit_test(test_a_public_log_s_head_and_its_four_public_witnesses_verify),
                cmocka_unit_test(test_a_verifier_key_has_one_spelling_and_one_type),
                cmocka_unit_test(test_a_quorum_counts_distinct_witnesses_and_brackets_their_times),
                cmocka_unit_test(test_every_changed_bit_of_a_cosigned_note_loses_the_quorum_or_the_note),
                cmocka_unit_test(test_a_cosignature_holds_for_its_head_its_name_its_key_and_its_time_alone),
                cmocka_unit_test(test_a_head_of_an_unknown_log_says_whose_key_it_needs),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
