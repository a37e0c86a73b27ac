/* witness: a request as it came.  What reads is the one spelling of what it says, and no answer cosigns what does not go on. */
#include "common/digest.h"
#include "common/macro.h"
#include "common/witness.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/sample.h"

#define ORIGIN "shuyi.example/log"

static void judge(const struct witness_request *rq, struct arena *a)
{
        struct sample_key k = sample_key(1);
        struct witness_head known[] = { { 0 }, { rq->old, { { 1 } } }, { 1234, { { 1, 2, 3 } } } };
        struct checkpoint c;

        if (checkpoint_peek(a, rq->note, &c))
                return;
        REQUIRE(note_name_check(c.origin));
        if (checkpoint_verify(a, rq->note, ORIGIN, k.key, &c))
                return;
        for (unsigned i = 0; i < ELEMENTS(known); i++) {
                enum witness_answer answer = witness_judge(&known[i], rq, &c);

                REQUIRE(answer != WITNESS_COSIGN || (rq->old == known[i].size && c.size >= known[i].size));
                REQUIRE(answer != WITNESS_COSIGN || known[i].size == 0 || c.size != known[i].size || digest_equal(&c.root, &known[i].root));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_(arena_freep) struct arena *a = fuzz_arena(1 << 20);
        struct witness_request rq;
        const char *again;

        if (witness_request_parse(a, bytes_of(data, n), &rq))
                return 0;
        again = witness_request_format(a, rq.old, rq.path, rq.path_n, rq.note);
        REQUIRE(again && bytes_equal(bytes_str(again), bytes_of(data, n)));
        judge(&rq, a);
        return 0;
}
