/* anchor: form, thresholds and succession. */
#include "common/anchor.h"

#include "common/note.h"
#include "common/sign.h"

#define ROOTS_MAX 16
#define LOGS_MAX 16
#define WITNESSES_MAX 32
#define SUITES_MAX 16
#define SIGNATURES_MAX (2 * ROOTS_MAX)

static struct digest root_id(const Shuyi__V1__RootKey *k)
{
        return root_key_id(k->suite, k->key.data);
}

static const char *check_roots(const Shuyi__V1__Anchor *n)
{
        if (n->n_roots == 0 || n->n_roots > ROOTS_MAX)
                return "number of root keys";
        for (size_t i = 0; i < n->n_roots; i++) {
                if (n->roots[i]->suite != SUITE_1 || n->roots[i]->key.len != SIGN_KEY_BYTES)
                        return "root key";
                for (size_t j = 0; j < i; j++)
                        if (memcmp(n->roots[i]->key.data, n->roots[j]->key.data, SIGN_KEY_BYTES) == 0)
                                return "root key given twice";
        }
        if (n->threshold == 0 || n->threshold > n->n_roots)
                return "threshold";
        if (n->threshold == 1 && !n->demo)
                return "threshold of one outside a demo";
        return NULL;
}

static const char *check_logs(const Shuyi__V1__Anchor *n)
{
        if (n->n_logs == 0 || n->n_logs > LOGS_MAX)
                return "number of logs";
        for (size_t i = 0; i < n->n_logs; i++) {
                if (!note_name_check(n->logs[i]->origin) || n->logs[i]->key.len != SIGN_KEY_BYTES)
                        return "log key";
                for (size_t j = 0; j < i; j++)
                        if (strcmp(n->logs[i]->origin, n->logs[j]->origin) == 0)
                                return "log origin given twice";
        }
        return NULL;
}

static const char *check_witnesses(const Shuyi__V1__Anchor *n)
{
        if (n->n_witnesses > WITNESSES_MAX)
                return "number of witnesses";
        for (size_t i = 0; i < n->n_witnesses; i++) {
                if (!note_name_check(n->witnesses[i]->name) || n->witnesses[i]->key.len != SIGN_KEY_BYTES)
                        return "witness key";
                for (size_t j = 0; j < i; j++)          /* a cosignature does not bind the name: one key a witness */
                        if (strcmp(n->witnesses[i]->name, n->witnesses[j]->name) == 0 ||
                            memcmp(n->witnesses[i]->key.data, n->witnesses[j]->key.data, SIGN_KEY_BYTES) == 0)
                                return "witness given twice";
        }
        if (n->witness_quorum > n->n_witnesses)
                return "witness quorum";
        if (n->witness_quorum == 0 && !n->demo)
                return "no witness quorum outside a demo";
        return NULL;
}

static const char *check_form(const Shuyi__V1__Anchor *n)
{
        const char *wrong;

        if (n->version == 0)
                return "version";
        if (!domain_check(n->domain))
                return "domain";
        if (n->n_suites == 0 || n->n_suites > SUITES_MAX)
                return "suites";
        for (size_t i = 0; i < n->n_suites; i++)
                if (n->suites[i] == 0 || n->suites[i] > UINT16_MAX || (i > 0 && n->suites[i] <= n->suites[i - 1]))
                        return "suites";
        wrong = check_roots(n);
        if (!wrong)
                wrong = check_logs(n);
        if (!wrong)
                wrong = check_witnesses(n);
        return wrong;
}

/* How many of `by`'s roots signed?  Signatures of other roots are not judged here: an anchor bears its predecessor's too.
 * NULL, or what is wrong: one given twice, or one of `by` that does not hold. */
static const char *check_threshold(const Shuyi__V1__Anchor *by, const Shuyi__V1__SignedAnchor *s)
{
        struct digest d = digest_plain(bytes_of(s->anchor.data, s->anchor.len)), id;
        unsigned count = 0;

        if (s->n_signatures > SIGNATURES_MAX)
                return "number of signatures";
        for (size_t i = 0; i < s->n_signatures; i++) {
                const Shuyi__V1__RootSignature *g = s->signatures[i];
                const Shuyi__V1__RootKey *root;

                if (!bytes_copy_exact(bytes_of(g->root_key.data, g->root_key.len), id.b, DIGEST_BYTES))
                        return "root key id";
                for (size_t j = 0; j < i; j++)
                        if (memcmp(id.b, s->signatures[j]->root_key.data, DIGEST_BYTES) == 0)
                                return "root signed twice";
                root = anchor_find_root(by, &id);
                if (!root)
                        continue;
                if (!sign_check_digest(CTX_ANCHOR, &d, bytes_of(g->signature.data, g->signature.len), root->key.data))
                        return "root signature";
                count++;
        }
        return count >= by->threshold ? NULL : "threshold of signatures not reached";
}

const char *anchor_check(struct arena *a, struct bytes signed_anchor, const Shuyi__V1__Anchor **ret)
{
        const Shuyi__V1__SignedAnchor *s = message_parse(a, &shuyi__v1__signed_anchor__descriptor, signed_anchor);
        const Shuyi__V1__Anchor *n;
        const char *wrong;

        n = s ? message_parse(a, &shuyi__v1__anchor__descriptor, bytes_of(s->anchor.data, s->anchor.len)) : NULL;
        if (!n)
                return "form";
        wrong = check_form(n);
        if (!wrong)
                wrong = check_threshold(n, s);
        if (wrong)
                return wrong;
        *ret = n;
        return NULL;
}

const char *anchor_check_succession(struct arena *a, const Shuyi__V1__Anchor *current, const Shuyi__V1__Anchor *next, struct bytes next_signed)
{
        const Shuyi__V1__SignedAnchor *s = message_parse(a, &shuyi__v1__signed_anchor__descriptor, next_signed);

        if (!s)
                return "form";
        if (strcmp(current->domain, next->domain) != 0)
                return "another domain";
        if (current->version == UINT32_MAX || next->version != current->version + 1)
                return "version does not follow";
        return check_threshold(current, s);
}

void anchor_sign(struct bytes anchor, const uint8_t secret[64], uint8_t ret_signature[64])
{
        struct digest d = digest_plain(anchor);

        sign_digest(CTX_ANCHOR, &d, secret, ret_signature);
}

const Shuyi__V1__RootKey *anchor_find_root(const Shuyi__V1__Anchor *anchor, const struct digest *id)
{
        for (size_t i = 0; i < anchor->n_roots; i++) {
                struct digest d = root_id(anchor->roots[i]);

                if (digest_equal(&d, id))
                        return anchor->roots[i];
        }
        return NULL;
}

const Shuyi__V1__LogKey *anchor_find_log(const Shuyi__V1__Anchor *anchor, const char *origin)
{
        for (size_t i = 0; i < anchor->n_logs; i++)
                if (strcmp(anchor->logs[i]->origin, origin) == 0)
                        return anchor->logs[i];
        return NULL;
}

bool anchor_allows_suite(const Shuyi__V1__Anchor *anchor, uint32_t suite)
{
        for (size_t i = 0; i < anchor->n_suites; i++)
                if (anchor->suites[i] == suite)
                        return true;
        return false;
}
