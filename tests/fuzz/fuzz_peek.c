/* peek: the front's first look, before any check.  What then parses as an envelope was seen so. */
#include "broker/peek.h"
#include "common/macro.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_(arena_freep) struct arena *a = fuzz_arena(8 << 20);
        struct bytes wire = bytes_of(data, n);
        const struct claim *c;
        struct peek p;
        bool seen = peek_envelope(wire, &p);

        REQUIRE(p.signers_n <= ENVELOPE_SIGNATURES_MAX);
        REQUIRE(!seen || (p.kind != 0 && p.signers_n > 0));
        if (envelope_parse(a, wire, &c) != ACCEPTED || c->signers_n == 0)
                return 0;
        REQUIRE(seen && p.kind == c->intent->kind && p.signers_n == c->signers_n);
        for (unsigned i = 0; i < c->signers_n; i++)
                REQUIRE(digest_equal(&p.signers[i].credential, &c->signers[i].credential) && p.signers[i].capacity == c->signers[i].capacity);
        return 0;
}
