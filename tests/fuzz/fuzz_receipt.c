/* receipt: a SignedReceipt, raw or a Receipt signed here.  What passes is for this agent, and its rows are whole. */
#include "common/macro.h"
#include "common/receipt.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/sample.h"

static void check(struct arena *a, const Shuyi__V1__SignedReceipt *s, const struct sample_key *log)
{
        struct id agent = { { 0xa1, 0xa1, 0xa1, 0xa1, 0xa1, 0xa1, 0xa1, 0xa1, 0xa1, 0xa1, 0xa1, 0xa1, 0xa1, 0xa1, 0xa1, 0xa1 } };
        struct sample_key other = sample_key(4);
        const Shuyi__V1__Receipt *r = NULL;

        if (receipt_check(a, s, log->key, SAMPLE_DOMAIN, &agent, &r))
                return;
        REQUIRE(strcmp(r->domain, SAMPLE_DOMAIN) == 0 && r->n_rows > 0 && r->n_rows <= RECEIPT_ROWS_MAX);
        for (size_t i = 0; i < r->n_rows; i++) {
                REQUIRE(r->rows[i]->lane < 2 && r->rows[i]->outbox_seq > 0);
                REQUIRE(r->rows[i]->seq ? r->rows[i]->leaf_hash.len == DIGEST_BYTES && r->rows[i]->effects_digest.len == DIGEST_BYTES : r->rows[i]->code != 0);
        }
        REQUIRE(receipt_check(a, s, other.key, SAMPLE_DOMAIN, &agent, &r));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_(arena_freep) struct arena *a = fuzz_arena(8 << 20);
        struct sample_key log = sample_key(3);
        struct script s = { data, n };
        bool sign = script_u8(&s) % 2;
        struct bytes wire = script_rest(&s);
        const Shuyi__V1__SignedReceipt *signed_receipt = NULL;
        const Shuyi__V1__Receipt *r;

        if (!sign)
                signed_receipt = message_parse(a, &shuyi__v1__signed_receipt__descriptor, wire);
        else if ((r = message_parse(a, &shuyi__v1__receipt__descriptor, wire)))
                signed_receipt = receipt_sign(a, r, log.secret);
        if (signed_receipt)
                check(a, signed_receipt, &log);
        return 0;
}
