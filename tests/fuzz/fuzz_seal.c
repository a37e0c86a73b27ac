/* seal: sealed bodies, wrapped keys and sealed parts, raw or made here.  What opens was sealed so; a flipped bit does not open. */
#include "common/macro.h"
#include "common/seal.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/sample.h"

static const uint8_t view_key[KEY_BYTES] = { 7 };

static void check_raw_body(struct arena *a, struct script *s)
{
        struct bytes intent = script_take(s, script_u8(s)), sealed = script_rest(s);
        uint8_t *plain = arena_alloc(a, sealed.n + 1), *again = arena_alloc(a, sealed.n + SEAL_OVERHEAD);

        if (!seal_open_update(view_key, intent, sealed, plain))
                return;
        REQUIRE(sealed.n >= SEAL_OVERHEAD);
        seal_update(view_key, intent, bytes_of(plain, sealed.n - SEAL_OVERHEAD), sealed.p, again);
        REQUIRE(bytes_equal(bytes_of(again, sealed.n), sealed));
}

static void check_body(struct arena *a, struct script *s)
{
        uint16_t at = script_u16(s);
        uint8_t nonce[24] = { script_u8(s) };
        struct bytes intent = script_take(s, script_u8(s)), plain = script_rest(s);
        size_t n = plain.n + SEAL_OVERHEAD;
        uint8_t *sealed = arena_alloc(a, n), *opened = arena_alloc(a, plain.n + 1);

        seal_update(view_key, intent, plain, nonce, sealed);
        REQUIRE(seal_open_update(view_key, intent, bytes_of(sealed, n), opened));
        REQUIRE(bytes_equal(bytes_of(opened, plain.n), plain));
        sealed[at / 8 % n] ^= (uint8_t)(1 << at % 8);
        REQUIRE(!seal_open_update(view_key, intent, bytes_of(sealed, n), opened));
}

/* A plaintext of the input, sealed to seed 1's box: it unwraps only if it repeats all that the row says. */
static void check_view_key(struct arena *a, struct script *s)
{
        struct sample_box box = sample_box(1);
        bool seal = script_u8(s) % 2;
        struct bytes plain = script_rest(s), wrapped = plain;
        uint8_t room[1024], key[KEY_BYTES];
        struct digest view = { { 1 } }, key_id = view_key_id(SAMPLE_DEPT, &view, 3, view_key);
        Shuyi__V1__AudienceRow row = SHUYI__V1__AUDIENCE_ROW__INIT;

        if (seal && plain.n + crypto_box_SEALBYTES <= sizeof(room)) {
                REQUIRE(crypto_box_seal(room, plain.p, plain.n, box.key) == 0);
                wrapped = bytes_of(room, plain.n + crypto_box_SEALBYTES);
        }
        row.grant = sample_run(a, 0x11, DIGEST_BYTES);
        row.agent = sample_run(a, 0x22, ID_BYTES);
        if (view_key_unwrap(a, wrapped, box.key, box.secret, &row, SAMPLE_DEPT, &view, 3, &key_id, key))
                REQUIRE(memcmp(key, view_key, KEY_BYTES) == 0);
}

static void check_raw_part(struct arena *a, struct bytes wire)
{
        const Shuyi__V1__SealedPart *part = message_parse(a, &shuyi__v1__sealed_part__descriptor, wire);
        struct sample_box box = sample_box(1);
        struct id agent = { { 0x22 } };
        struct digest open = { { 3 } };
        struct bytes plain;

        if (!part)
                return;
        plain = sealed_part_open(a, part, &open, &agent, box.key, box.secret);
        REQUIRE(!plain.p || plain.n + SEAL_OVERHEAD == part->sealed.len);
}

static void check_part(struct arena *a, struct script *s)
{
        struct sample_box box = sample_box(1), stranger = sample_box(2);
        struct seal_recipient to[2] = { { { { 0x22 } }, { 0 } }, { { { 0x23 } }, { 0 } } };
        uint8_t nonce[24] = { script_u8(s) };
        uint16_t at = script_u16(s);
        struct digest open = { { script_u8(s) } }, other = { { (uint8_t)(open.b[0] + 1) } };
        struct bytes plain = script_rest(s), got;
        Shuyi__V1__SealedPart *part;

        memcpy(to[0].seal_key, stranger.key, 32);
        memcpy(to[1].seal_key, box.key, 32);
        part = sealed_part_make(a, plain, &open, to, 2, view_key, nonce);
        REQUIRE(part);
        got = sealed_part_open(a, part, &open, &to[1].agent, box.key, box.secret);
        REQUIRE(got.p && bytes_equal(got, plain));
        REQUIRE(!sealed_part_open(a, part, &other, &to[1].agent, box.key, box.secret).p);
        REQUIRE(!sealed_part_open(a, part, &open, &to[0].agent, box.key, box.secret).p);
        part->sealed.data[at / 8 % part->sealed.len] ^= (uint8_t)(1 << at % 8);
        REQUIRE(!sealed_part_open(a, part, &open, &to[1].agent, box.key, box.secret).p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_(arena_freep) struct arena *a = fuzz_arena(8 << 20);
        struct script s = { data, n };

        switch (script_u8(&s) % 5) {
        case 0: check_raw_body(a, &s); break;
        case 1: check_body(a, &s); break;
        case 2: check_view_key(a, &s); break;
        case 3: check_raw_part(a, script_rest(&s)); break;
        case 4: check_part(a, &s); break;
        }
        return 0;
}
