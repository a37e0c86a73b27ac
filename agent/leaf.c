/* leaf: see leaf.h. */
#include "agent/leaf.h"

#include "common/envelope.h"
#include "common/exchange/exchange.h"
#include "common/merkle.h"

const char *leaf_check(const char *domain, uint64_t epoch, const Shuyi__V1__ReceiptRow *row, struct bytes sent)
{
        struct claim claim = { .signers_n = 0 };
        struct entry entry = { .epoch = epoch, .seq = row->seq, .accepted_at = { row->accepted_at }, .claim = &claim };
        struct outcome outcome = { .code = (enum refusal)row->code };
        uint8_t record[LEAF_RECORD_BYTES];
        struct digest leaf;

        if (!bytes_copy_exact(bytes_of(row->effects_digest.data, row->effects_digest.len), outcome.effects_digest.b, DIGEST_BYTES))
                return "no effects digest";
        if (!envelope_own_digest(sent, &claim.envelope_digest))
                return "what was sent is no envelope";
        exchange_leaf_record(domain, &entry, &outcome, record);
        leaf = merkle_leaf(bytes_of(record, sizeof(record)));
        return bytes_equal(bytes_of(row->leaf_hash.data, row->leaf_hash.len), bytes_digest(&leaf)) ? NULL : "its leaf hash is not that of what was sent, at that time, with that outcome";
}
