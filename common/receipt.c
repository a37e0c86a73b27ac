/* receipt: packs, signs and checks. */
#include "common/receipt.h"

#include "common/envelope.h"
#include "common/sign.h"

Shuyi__V1__SignedReceipt *receipt_sign(struct arena *a, const Shuyi__V1__Receipt *r, const uint8_t log_secret[64])
{
        struct bytes packed = message_pack(a, &r->base);
        Shuyi__V1__SignedReceipt *s = ARENA_NEW(a, Shuyi__V1__SignedReceipt);
        uint8_t *signature = arena_alloc(a, SIGNATURE_BYTES);
        struct digest d;

        if (!packed.p || !s || !signature)
                return NULL;
        d = digest_plain(packed);
        sign_digest(CTX_RECEIPT, &d, log_secret, signature);
        shuyi__v1__signed_receipt__init(s);
        s->receipt = (ProtobufCBinaryData){ packed.n, (uint8_t *)packed.p };
        s->signature = (ProtobufCBinaryData){ SIGNATURE_BYTES, signature };
        return s;
}

static const char *check_row(const Shuyi__V1__ReceiptRow *w)
{
        if (w->lane > 1)
                return "lane";
        if (w->outbox_seq == 0)
                return "outbox_seq";
        if (w->leaf_hash.len != (w->seq ? DIGEST_BYTES : 0))
                return "leaf_hash";
        if (w->effects_digest.len != (w->seq ? DIGEST_BYTES : 0))
                return "effects_digest";
        if (w->seq == 0 && w->code == ACCEPTED)
                return "accepted without an entry";
        return NULL;
}

static const char *check_form(const Shuyi__V1__Receipt *r, const char *domain, const struct id *agent)
{
        const char *wrong = NULL;

        if (strcmp(r->domain, domain) != 0)
                return "another domain";
        if (!bytes_equal(bytes_of(r->agent.data, r->agent.len), bytes_id(agent)))
                return "another agent";
        if (r->log_epoch == 0 || r->outbox_epoch == 0)
                return "epoch";
        if (r->n_rows == 0 || r->n_rows > RECEIPT_ROWS_MAX)
                return "rows";
        for (size_t i = 0; i < r->n_rows && !wrong; i++)
                wrong = check_row(r->rows[i]);
        return wrong;
}

const char *receipt_check(struct arena *a, const Shuyi__V1__SignedReceipt *s, const uint8_t log_key[32],
                          const char *domain, const struct id *agent, const Shuyi__V1__Receipt **ret)
{
        struct bytes packed = bytes_of(s->receipt.data, s->receipt.len);
        struct digest d = digest_plain(packed);
        const Shuyi__V1__Receipt *r;
        const char *wrong;

        if (!sign_check_digest(CTX_RECEIPT, &d, bytes_of(s->signature.data, s->signature.len), log_key))
                return "signature";
        r = message_parse(a, &shuyi__v1__receipt__descriptor, packed);
        if (!r)
                return "form";
        wrong = check_form(r, domain, agent);
        if (wrong)
                return wrong;
        *ret = r;
        return NULL;
}
