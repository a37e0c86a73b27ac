/* keyfile: the text of a key file, or its content.  Only open ones are opened (a passphrase costs a second each); what opens
 * seals to the same text. */
#include "common/artifact.h"
#include "common/keyfile.h"
#include "common/macro.h"
#include "tests/fuzz/fuzz.h"

static void check(struct arena *a, struct bytes text)
{
        enum keyfile_use use;
        enum keyfile_protection protection;
        struct keyfile k;
        struct bytes again;
        uint8_t sign_key[32];

        if (!keyfile_peek(text, &use, &protection, sign_key)) {
                REQUIRE(keyfile_open(text, (struct bytes){ 0 }, true, &k) < 0);
                return;
        }
        REQUIRE(use >= KEYFILE_PERSON && use <= KEYFILE_WITNESS && protection <= KEYFILE_SEALED_DEMO);
        if (protection != KEYFILE_OPEN || keyfile_open(text, (struct bytes){ 0 }, false, &k) < 0)
                return;
        REQUIRE(use != KEYFILE_PERSON && use != KEYFILE_ROOT);
        REQUIRE(k.use == use && memcmp(k.sign_key, sign_key, 32) == 0);
        REQUIRE(keyfile_seal(a, &k, KEYFILE_OPEN, (struct bytes){ 0 }, NULL, &again) == 0);
        REQUIRE(again.n <= text.n && (again.n < text.n || bytes_equal(again, text)));   /* shorter: carriage returns */
        keyfile_fini(&k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_(arena_freep) struct arena *a = fuzz_arena(1 << 20);
        struct script s = { data, n };
        bool whole = script_u8(&s) == 's';      /* the first letter of every first line of ours */

        check(a, whole ? bytes_of(data, n) : artifact_encode(a, ARTIFACT_KEY, script_take(&s, 512)));
        return 0;
}
