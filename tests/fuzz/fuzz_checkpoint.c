/* checkpoint: a note as it came, or a text signed here.  What verifies is the one spelling of what it says. */
#include "common/base64.h"
#include "common/checkpoint.h"
#include "common/macro.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/sample.h"

#define ORIGIN "shuyi.example/log"

/* Puts our signature line under any text: id and line are taken from a note that was signed properly. */
static const char *sign_text(struct arena *a, const char *text, const struct sample_key *k)
{
        struct checkpoint any = { .origin = ORIGIN };
        const char *good = checkpoint_sign(a, &any, k->secret, k->key), *last;
        uint8_t blob[68];
        char line[BASE64_CHARS(sizeof(blob)) + 1];

        REQUIRE(good);
        last = strrchr(good, ' ') + 1;
        REQUIRE(base64_decode_exact(bytes_of(last, strlen(last) - 1), blob, sizeof(blob)));
        crypto_sign_detached(blob + 4, NULL, (const uint8_t *)text, strlen(text), k->secret);
        base64_encode(bytes_of(blob, sizeof(blob)), line);
        return arena_printf(a, "%s\n\xe2\x80\x94 " ORIGIN " %s\n", text, line);
}

static void check(struct arena *a, const char *note, const struct sample_key *k, bool signed_here)
{
        struct checkpoint c = { 0 }, other;
        const char *again;

        if (checkpoint_verify(a, note, ORIGIN, k->key, &c))
                return;
        REQUIRE(strcmp(c.origin, ORIGIN) == 0);
        again = checkpoint_sign(a, &c, k->secret, k->key);
        REQUIRE(again && !checkpoint_verify(a, again, ORIGIN, k->key, &other));
        REQUIRE(other.size == c.size && digest_equal(&other.root, &c.root));
        REQUIRE(!signed_here || strcmp(again, note) == 0);
        REQUIRE(strncmp(again, note, (size_t)(strstr(again, "\n\n") - again)) == 0);
        REQUIRE(checkpoint_verify(a, note, "another.example/log", k->key, &other));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_(arena_freep) struct arena *a = fuzz_arena(1 << 20);
        struct sample_key k = sample_key(1);
        struct script s = { data, n };
        bool sign = script_u8(&s) % 2;
        const char *text = fuzz_text(a, script_rest(&s));

        check(a, sign ? sign_text(a, text, &k) : text, &k, sign);
        return 0;
}
