/* bundle: any bytes are an answer, never a fault; what is proven has the form, and is proven in brief as at length.
 *
 * Input: u16 length of the SignedAnchor | it | the bundle's content. */
#include "common/artifact.h"
#include "common/bundle.h"
#include "common/macro.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_(arena_freep) struct arena *a = fuzz_arena(64 << 20);
        struct script s = { data, n };
        struct bytes anchor = script_take(&s, script_u16(&s)), text = artifact_encode(a, ARTIFACT_BUNDLE, script_rest(&s));
        struct bundle_report whole, brief;
        int r;

        if (!text.p)
                return 0;
        r = bundle_check(a, text, anchor, &(struct bundle_options){ false, false }, &whole);
        if (r < 0)
                return 0;
        REQUIRE(!whole.proven || !whole.wrong);
        if (bundle_check(a, text, anchor, &(struct bundle_options){ false, true }, &brief) == 0)
                REQUIRE(whole.proven == brief.proven);
        return 0;
}
