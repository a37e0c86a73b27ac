/* anchor: a SignedAnchor, raw or an Anchor signed here by seeds 1 to 4.  What passes has its threshold, and follows nothing like itself. */
#include "common/anchor.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/sample.h"

#define SIGNERS 4

static struct bytes signed_by_all(struct arena *a, struct bytes anchor, unsigned n)
{
        Shuyi__V1__SignedAnchor s = SHUYI__V1__SIGNED_ANCHOR__INIT;
        Shuyi__V1__RootSignature row[SIGNERS], *rows[SIGNERS];
        uint8_t signature[SIGNERS][64];
        struct digest id[SIGNERS];

        for (unsigned i = 0; i < n; i++) {
                struct sample_key k = sample_key((uint8_t)(i + 1));

                id[i] = root_key_id(SUITE_1, k.key);
                anchor_sign(anchor, k.secret, signature[i]);
                shuyi__v1__root_signature__init(&row[i]);
                row[i].root_key = (ProtobufCBinaryData){ DIGEST_BYTES, id[i].b };
                row[i].signature = (ProtobufCBinaryData){ 64, signature[i] };
                rows[i] = &row[i];
        }
        s.anchor = (ProtobufCBinaryData){ anchor.n, (uint8_t *)anchor.p };
        s.signatures = rows;
        s.n_signatures = n;
        return message_pack(a, &s.base);
}

static void check(struct arena *a, struct bytes wire, unsigned most)
{
        const Shuyi__V1__Anchor *n = NULL;

        if (anchor_check(a, wire, &n))
                return;
        REQUIRE(n && n->version > 0 && n->threshold > 0 && n->threshold <= n->n_roots && n->threshold <= most);
        REQUIRE(n->demo || (n->threshold > 1 && n->witness_quorum > 0));
        for (size_t i = 0; i < n->n_roots; i++) {
                struct digest id = root_key_id(n->roots[i]->suite, n->roots[i]->key.data);

                REQUIRE(anchor_find_root(n, &id) == n->roots[i]);
        }
        for (size_t i = 0; i < n->n_logs; i++)
                REQUIRE(anchor_find_log(n, n->logs[i]->origin) == n->logs[i]);
        for (size_t i = 0; i < n->n_suites; i++)
                REQUIRE(anchor_allows_suite(n, n->suites[i]));
        REQUIRE(anchor_check_succession(a, n, n, wire));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_(arena_freep) struct arena *a = fuzz_arena(8 << 20);
        struct script s = { data, n };
        unsigned signers = script_u8(&s) % (SIGNERS + 1);

        if (signers == 0)
                check(a, script_rest(&s), 32);
        else
                check(a, signed_by_all(a, script_rest(&s), signers), signers);
        return 0;
}
