/* seal: what opens, with which key, and that nothing outside tells what is inside. */
#include "common/merkle.h"
#include "common/record.h"
#include "common/seal.h"
#include "tests/lib/sample.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const uint8_t view_key[32] = { 1, 2, 3 }, nonce[24] = { 9 };
static const char plain[] = "SECRET-VALUE of a person";

static void test_R_126_a_body_opens_only_with_the_view_key_and_its_own_intent(void **state)
{
        uint8_t sealed[sizeof(plain) + SEAL_OVERHEAD], out[sizeof(plain)], other[32];
        struct bytes body = bytes_of(sealed, sizeof(sealed));

        seal_update(view_key, bytes_str("intent"), bytes_of(plain, sizeof(plain)), nonce, sealed);
        assert_true(seal_open_update(view_key, bytes_str("intent"), body, out));
        assert_memory_equal(out, plain, sizeof(plain));
        assert_false(seal_open_update(view_key, bytes_str("another intent"), body, out));
        for (unsigned bit = 0; bit < 256; bit++) {
                memcpy(other, view_key, 32);
                other[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_false(seal_open_update(other, bytes_str("intent"), body, out));
        }
        for (unsigned bit = 0; bit < sizeof(sealed) * 8; bit++) {
                sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_false(seal_open_update(view_key, bytes_str("intent"), body, out));
                sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t n = 0; n < sizeof(sealed); n++)
                assert_false(seal_open_update(view_key, bytes_str("intent"), bytes_of(sealed, n), out));
}

static void test_the_view_key_itself_never_encrypts(void **state)
{
        uint8_t sealed[sizeof(plain) + SEAL_OVERHEAD], out[sizeof(plain)];
        struct digest ad = DIGEST_OF(CTX_SEAL, bytes_str("intent"));

        seal_update(view_key, bytes_str("intent"), bytes_of(plain, sizeof(plain)), nonce, sealed);
        assert_int_not_equal(crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed + 24, sizeof(sealed) - 24, ad.b, 32, sealed, view_key), 0);
}

static void test_ids_differ_by_each_of_their_parts(void **state)
{
        static const uint32_t items[] = { 1, 2, 3 }, others[] = { 1, 2, 4 };
        static const uint8_t filter[32] = { 5 };
        const struct bytes none = { 0 };
        struct digest ids[] = {
                view_id("344001/17", 1, items, 3, none, 0, 0),
                view_id("344001/18", 1, items, 3, none, 0, 0),
                view_id("344001/17", 2, items, 3, none, 0, 0),
                view_id("344001/17", 1, others, 3, none, 0, 0),
                view_id("344001/17", 1, items, 2, none, 0, 0),
                view_id("344001/17", 1, items, 3, bytes_of(filter, 32), 0, 0),
                view_id("344001/17", 1, items, 3, none, 1, 0),
                view_id("344001/17", 1, items, 3, none, 0, 1),
        };
        struct id agent = { { 1 } }, other = { { 2 } };
        struct digest a = stream_id(&agent, &ids[0]), b = stream_id(&other, &ids[0]);

        for (unsigned i = 0; i < ELEMENTS(ids); i++)
                for (unsigned j = 0; j < i; j++)
                        assert_false(digest_equal(&ids[i], &ids[j]));
        assert_false(digest_equal(&a, &b));
}

/* ---- view keys ---- */

struct wrapping {
        struct arena *a;
        struct sample_box box;
        struct digest view, key_id;
        uint8_t grant[32], agent[16];
        Shuyi__V1__ViewKey key;
        Shuyi__V1__AudienceRow row;
        struct bytes wrapped;
};

static void wrapping_init(struct wrapping *w)
{
        memset(w, 0, sizeof(*w));
        w->a = arena_new(1 << 16);
        w->box = sample_box(1);
        memset(w->view.b, 0x11, 32);
        memset(w->grant, 0x22, 32);
        memset(w->agent, 0x33, 16);
        w->key_id = view_key_id(SAMPLE_DEPT, &w->view, 3, view_key);
        shuyi__v1__view_key__init(&w->key);
        w->key.key = (ProtobufCBinaryData){ 32, (uint8_t *)view_key };
        w->key.grant = (ProtobufCBinaryData){ 32, w->grant };
        w->key.agent = (ProtobufCBinaryData){ 16, w->agent };
        w->key.view = (ProtobufCBinaryData){ 32, w->view.b };
        w->key.view_epoch = 3;
        shuyi__v1__audience_row__init(&w->row);
        w->row.grant = w->key.grant;
        w->row.agent = w->key.agent;
}

static bool unwraps(struct wrapping *w, const struct sample_box *box, const char *provider, uint32_t epoch)
{
        uint8_t key[32];
        bool ok = view_key_unwrap(w->a, w->wrapped, box->key, box->secret, &w->row, provider, &w->view, epoch, &w->key_id, key);

        if (ok)
                assert_memory_equal(key, view_key, 32);
        return ok;
}

static void test_R_126_a_view_key_unwraps_for_its_grantee_and_its_purpose_alone(void **state)
{
        struct sample_box other = sample_box(2);
        struct wrapping w;
        uint8_t moved[32] = { 0x44 };

        wrapping_init(&w);
        w.wrapped = view_key_wrap(w.a, &w.key, w.box.key);
        assert_true(unwraps(&w, &w.box, SAMPLE_DEPT, 3));
        assert_false(unwraps(&w, &other, SAMPLE_DEPT, 3));
        assert_false(unwraps(&w, &w.box, SAMPLE_DEPT_2, 3));            /* key_id names the provider */
        assert_false(unwraps(&w, &w.box, SAMPLE_DEPT, 4));
        w.row.grant.data = moved;                                       /* moved into another grant's row */
        assert_false(unwraps(&w, &w.box, SAMPLE_DEPT, 3));
        w.row.grant.data = w.grant;
        w.view.b[0] ^= 1;
        assert_false(unwraps(&w, &w.box, SAMPLE_DEPT, 3));
        w.view.b[0] ^= 1;
        w.key_id.b[0] ^= 1;
        assert_false(unwraps(&w, &w.box, SAMPLE_DEPT, 3));
        w.key_id.b[0] ^= 1;
        assert_true(unwraps(&w, &w.box, SAMPLE_DEPT, 3));
        for (size_t n = 0; n < w.wrapped.n; n++) {
                struct bytes whole = w.wrapped;

                w.wrapped.n = n;
                assert_false(unwraps(&w, &w.box, SAMPLE_DEPT, 3));
                w.wrapped = whole;
        }
        arena_free(w.a);
}

static void test_a_key_that_was_not_committed_to_is_not_taken(void **state)
{
        struct wrapping w;
        uint8_t other[32] = { 0xff };

        wrapping_init(&w);
        w.key.key.data = other;
        w.wrapped = view_key_wrap(w.a, &w.key, w.box.key);
        assert_false(unwraps(&w, &w.box, SAMPLE_DEPT, 3));
        arena_free(w.a);
}

/* ---- sealed parts ---- */

static void test_R_126_a_sealed_part_opens_for_the_named_agents_and_body_alone(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 16);
        struct sample_box box[3] = { sample_box(1), sample_box(2), sample_box(3) };
        struct seal_recipient to[2] = { { .agent = { { 1 } } }, { .agent = { { 2 } } } };
        struct digest open = { { 0x55 } }, other = { { 0x56 } };
        Shuyi__V1__SealedPart *part;
        struct bytes got;

        memcpy(to[0].seal_key, box[0].key, 32);
        memcpy(to[1].seal_key, box[1].key, 32);
        part = sealed_part_make(a, bytes_str(plain), &open, to, 2, view_key, nonce);
        assert_non_null(part);
        for (unsigned i = 0; i < 2; i++) {
                got = sealed_part_open(a, part, &open, &to[i].agent, box[i].key, box[i].secret);
                assert_true(bytes_equal(got, bytes_str(plain)));
                assert_null(sealed_part_open(a, part, &other, &to[i].agent, box[i].key, box[i].secret).p);
        }
        assert_null(sealed_part_open(a, part, &open, &to[0].agent, box[1].key, box[1].secret).p);
        assert_null(sealed_part_open(a, part, &open, &to[0].agent, box[2].key, box[2].secret).p);
        part->sealed.data[30] ^= 1;
        assert_null(sealed_part_open(a, part, &open, &to[0].agent, box[0].key, box[0].secret).p);
        assert_null(sealed_part_make(a, bytes_str(plain), &open, to, 0, view_key, nonce));
}

/* ---- what stands outside ---- */

static bool holds(struct bytes in, struct bytes what)
{
        return memmem(in.p, in.n, what.p, what.n) != NULL;
}

static void test_R_185_no_digest_over_plaintext_alone_appears_in_the_envelope(void **state)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        static const char value[] = "442000189602290013";
        Shuyi__V1__Value v = SHUYI__V1__VALUE__INIT, *values[] = { &v };
        Shuyi__V1__Record r = SHUYI__V1__RECORD__INIT;
        Shuyi__V1__UpdateContent u = SHUYI__V1__UPDATE_CONTENT__INIT;
        Shuyi__V1__Intent *i = sample_intent(a, KIND_UPDATE);
        struct sample_key k = sample_key(1);
        ProtobufCBinaryData record;
        struct digest leaf, root, unsalted[6];
        struct bytes content, packed, e;
        uint8_t seed[32] = { 77 }, *body;

        v.item = 1;
        v.text = (char *)value;
        r.op = OP_UPSERT;
        r.key = (char *)value;
        r.changed_at = SAMPLE_TIME;
        r.values = values;
        r.n_values = 1;
        packed = message_pack(a, &r.base);
        record = (ProtobufCBinaryData){ packed.n, (uint8_t *)packed.p };
        u.seed = (ProtobufCBinaryData){ 32, seed };
        u.records = &record;
        u.n_records = 1;
        content = message_pack(a, &u.base);
        root = record_root(seed, &record, 1, &leaf);
        i->records_root = (ProtobufCBinaryData){ 32, root.b };
        i->record_count = 1;
        body = arena_alloc(a, content.n + SEAL_OVERHEAD);
        seal_update(view_key, message_pack(a, &i->base), content, nonce, body);
        e = envelope_sign(a, envelope_draft(a, i, bytes_of(body, content.n + SEAL_OVERHEAD)), &k.id, ROLE_AGENT, k.secret);
        assert_non_null(e.p);
        assert_false(holds(e, bytes_str(value)));
        unsalted[0] = digest_plain(bytes_str(value));
        unsalted[1] = digest_plain(packed);
        unsalted[2] = digest_plain(content);
        unsalted[3] = DIGEST_OF(CTX_RECORD_LEAF, packed);
        unsalted[4] = DIGEST_OF(CTX_SALTED, bytes_str(value));
        crypto_hash_sha256(unsalted[5].b, packed.p, packed.n);
        for (unsigned n = 0; n < ELEMENTS(unsalted); n++)
                assert_false(holds(e, bytes_digest(&unsalted[n])));
        assert_false(holds(e, bytes_of(seed, 32)));
        assert_true(holds(e, bytes_digest(&root)));                     /* the salted one is there */
        seed[0]++;
        root = record_root(seed, &record, 1, &leaf);
        assert_false(holds(e, bytes_digest(&root)));                    /* and depends on the sealed seed */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_R_126_a_body_opens_only_with_the_view_key_and_its_own_intent),
                cmocka_unit_test(test_the_view_key_itself_never_encrypts),
                cmocka_unit_test(test_ids_differ_by_each_of_their_parts),
                cmocka_unit_test(test_R_126_a_view_key_unwraps_for_its_grantee_and_its_purpose_alone),
                cmocka_unit_test(test_a_key_that_was_not_committed_to_is_not_taken),
                cmocka_unit_test(test_R_126_a_sealed_part_opens_for_the_named_agents_and_body_alone),
                cmocka_unit_test(test_R_185_no_digest_over_plaintext_alone_appears_in_the_envelope),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
