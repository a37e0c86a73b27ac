/* policy: what parses has one canonical form, which parses to itself, in both directions. */
#include "common/digest.h"
#include "common/macro.h"
#include "common/policy.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        char error[200] = "";
        struct policy *p = policy_parse(bytes_of(data, n), NULL, error), *again;
        struct digest a, b;

        REQUIRE(!p == (error[0] != 0) && strnlen(error, sizeof(error)) < sizeof(error));
        if (!p)
                return 0;
        again = policy_parse(policy_canonical(p), policy_text(p, POLICY_profile), error);
        REQUIRE(again && bytes_equal(policy_canonical(again), policy_canonical(p)));
        a = policy_digest(p);
        b = policy_digest(again);
        REQUIRE(digest_equal(&a, &b));
        for (unsigned k = 0; k < POLICY_KEY_COUNT; k++)
                REQUIRE(strcmp(policy_text(p, k), policy_text(again, k)) == 0 && *policy_citation(again, k) == 0);
        policy_free(again);
        policy_free(p);
        return 0;
}
