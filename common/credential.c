/* credential: the form of credentials and key requests, their signatures, and one link of a chain.
 *
 * Every check answers the first thing that is wrong as a static text: for logs and tests, never for the wire. */
#include "common/credential.h"

#include "common/idcode.h"
#include "common/sign.h"

#include <sodium.h>

#define ROLES_MAX 16
#define LIST_MAX 64
#define DEPTH_MAX 8
#define LAST_PERSON_ROLE ROLE_METRICS_VIEWER

struct digest credential_id(struct bytes credential)
{
        return DIGEST_OF(CTX_CREDENTIAL, credential);
}

struct digest root_key_id(uint32_t suite, const uint8_t key[32])
{
        uint8_t s[2];

        put_be16(s, (uint16_t)suite);
        return DIGEST_OF(CTX_ROOT_KEY, bytes_of(s, sizeof(s)), bytes_of(key, 32));
}

bool domain_check(const char *domain)
{
        size_t n = strnlen(domain, 7);

        for (size_t i = 0; i < n; i++)
                if (domain[i] < '0' || domain[i] > '9')
                        return false;
        return n == 6;
}

bool department_check(const char *code)
{
        const char *wrong = idcode_check_uscc(bytes_of(code, strnlen(code, 19)));

        return !wrong || strcmp(wrong, "org_checksum") == 0;    /* a warning only (REGULATIONS 5.3) */
}

/* ---- form ---- */

static bool is_key(ProtobufCBinaryData b)
{
        return b.len == 32 && !sodium_is_zero(b.data, 32);
}

static bool ascending(const uint32_t *v, size_t n, uint32_t most)
{
        for (size_t i = 0; i < n; i++)
                if (v[i] == 0 || v[i] > most || (i > 0 && v[i] <= v[i - 1]))
                        return false;
        return true;
}

/* What credential and key request say alike: kind, where, keys. */
static const char *check_holder(uint32_t kind, const char *domain, const char *department, ProtobufCBinaryData sign_key, ProtobufCBinaryData link_key)
{
        bool linked = kind == SUBJECT_AGENT || kind == SUBJECT_BROKER;

        if (!word_known(LIST_subject_kind, kind))
                return "subject kind";
        if (!domain_check(domain))
                return "domain";
        if (kind == SUBJECT_BROKER ? department[0] != 0 : !department_check(department))
                return "department";
        if (!is_key(sign_key))
                return "sign key";
        if (linked ? !is_key(link_key) : link_key.len != 0)
                return "link key";
        return NULL;
}

static const char *check_may_issue(const Shuyi__V1__MayIssue *m)
{
        if (!ascending(m->kinds, m->n_kinds, SUBJECT_BROKER) || m->n_kinds == 0)
                return "may_issue kinds";
        if (!ascending(m->roles, m->n_roles, LAST_PERSON_ROLE))
                return "may_issue roles";
        if (m->n_domains == 0 || m->n_domains > LIST_MAX || m->n_departments > LIST_MAX)
                return "may_issue lists";
        for (size_t i = 0; i < m->n_domains; i++)
                if (!domain_check(m->domains[i]))
                        return "may_issue domain";
        for (size_t i = 0; i < m->n_departments; i++)
                if (!department_check(m->departments[i]))
                        return "may_issue department";
        return m->depth > DEPTH_MAX ? "may_issue depth" : NULL;
}

static const char *check_subject(const Shuyi__V1__Subject *s)
{
        const char *wrong = check_holder(s->kind, s->domain, s->department, s->sign_key, s->link_key);

        if (wrong)
                return wrong;
        if (s->id.len != (s->kind == SUBJECT_BROKER ? 0 : ID_BYTES))
                return "subject id";
        if (!ascending(s->roles, s->n_roles, LAST_PERSON_ROLE) || s->n_roles > ROLES_MAX)
                return "roles";
        if ((s->n_roles > 0) != (s->kind == SUBJECT_PERSON))
                return "roles";
        return NULL;
}

const char *credential_check_form(const Shuyi__V1__Credential *c)
{
        const char *wrong;

        if (c->suite != SUITE_1)
                return "suite";
        if (!c->subject)
                return "subject";
        wrong = check_subject(c->subject);
        if (wrong)
                return wrong;
        if (c->not_before == 0 || c->not_before >= c->not_after || c->issued_at == 0 || c->issued_at >= c->not_after)
                return "times";
        if (c->issuer.len != DIGEST_BYTES)
                return "issuer";
        return c->may_issue ? check_may_issue(c->may_issue) : NULL;
}

/* ---- key requests ---- */

static const char *check_request_form(const Shuyi__V1__KeyRequest *r)
{
        const char *wrong;

        if (r->suite != SUITE_1)
                return "suite";
        wrong = check_holder(r->subject_kind, r->domain, r->department, r->sign_key, r->link_key);
        if (wrong)
                return wrong;
        if (r->agent_id.len != (r->subject_kind == SUBJECT_AGENT ? ID_BYTES : 0))
                return "agent id";
        return r->created_at == 0 ? "created_at" : NULL;
}

const char *key_request_check(struct bytes request, struct bytes signature, struct arena *a, const Shuyi__V1__KeyRequest **ret)
{
        const Shuyi__V1__KeyRequest *r = request.n <= CREDENTIAL_MAX_BYTES ? message_parse(a, &shuyi__v1__key_request__descriptor, request) : NULL;
        struct digest d = digest_plain(request);
        const char *wrong;

        if (!r)
                return "key request";
        wrong = check_request_form(r);
        if (wrong)
                return wrong;
        if (!sign_check_digest(CTX_KEY_REQUEST, &d, signature, r->sign_key.data))
                return "key request signature";
        *ret = r;
        return NULL;
}

struct bytes key_request_sign(struct arena *a, const Shuyi__V1__KeyRequest *r, const uint8_t secret[64], uint8_t ret_signature[64])
{
        struct bytes packed = message_pack(a, &r->base);

        if (packed.p) {
                struct digest d = digest_plain(packed);

                sign_digest(CTX_KEY_REQUEST, &d, secret, ret_signature);
        }
        return packed;
}

/* ---- signatures and chains ---- */

void credential_sign(struct bytes credential, const uint8_t issuer_secret[64], uint8_t ret_signature[64])
{
        struct digest id = credential_id(credential);

        sign_digest(CTX_CREDENTIAL, &id, issuer_secret, ret_signature);
}

bool credential_check_signature(struct bytes credential, struct bytes signature, const uint8_t issuer_key[32])
{
        struct digest id = credential_id(credential);

        return sign_check_digest(CTX_CREDENTIAL, &id, signature, issuer_key);
}

static bool number_in(uint32_t v, const uint32_t *list, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (list[i] == v)
                        return true;
        return false;
}

static bool numbers_inside(const uint32_t *v, size_t v_n, const uint32_t *list, size_t n)
{
        for (size_t i = 0; i < v_n; i++)
                if (!number_in(v[i], list, n))
                        return false;
        return true;
}

static bool text_in(const char *v, char *const *list, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(list[i], v) == 0)
                        return true;
        return false;
}

static bool texts_inside(char *const *v, size_t v_n, char *const *list, size_t n)
{
        for (size_t i = 0; i < v_n; i++)
                if (!text_in(v[i], list, n))
                        return false;
        return true;
}

/* May `m` hand on `next`?  No list may grow; an empty department list means any, so it may not follow a closed one. */
static bool hand_on_inside(const Shuyi__V1__MayIssue *m, const Shuyi__V1__MayIssue *next)
{
        if (m->depth == 0 || next->depth >= m->depth)
                return false;
        if (m->n_departments > 0 && next->n_departments == 0)
                return false;
        return numbers_inside(next->kinds, next->n_kinds, m->kinds, m->n_kinds) &&
               numbers_inside(next->roles, next->n_roles, m->roles, m->n_roles) &&
               texts_inside(next->domains, next->n_domains, m->domains, m->n_domains) &&
               (m->n_departments == 0 || texts_inside(next->departments, next->n_departments, m->departments, m->n_departments));
}

bool credential_check_issue(const Shuyi__V1__Credential *issuer, const Shuyi__V1__Credential *issued)
{
        const Shuyi__V1__MayIssue *m = issuer->may_issue;
        const Shuyi__V1__Subject *s = issued->subject;

        if (!m || !number_in(s->kind, m->kinds, m->n_kinds) || !numbers_inside(s->roles, s->n_roles, m->roles, m->n_roles))
                return false;
        if (!text_in(s->domain, m->domains, m->n_domains))
                return false;
        if (m->n_departments > 0 && !text_in(s->department, m->departments, m->n_departments))
                return false;
        if (issued->not_before < issuer->not_before || issued->not_after > issuer->not_after)
                return false;
        return !issued->may_issue || hand_on_inside(m, issued->may_issue);
}

static bool same(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
        return bytes_equal(bytes_of(a.data, a.len), bytes_of(b.data, b.len));
}

/* The request must be by the very subject: else a key could be bound to somebody who never asked. */
static bool request_fits(const Shuyi__V1__KeyRequest *r, const Shuyi__V1__Credential *c)
{
        const Shuyi__V1__Subject *s = c->subject;

        return r->suite == c->suite && r->subject_kind == s->kind && strcmp(r->domain, s->domain) == 0 &&
               strcmp(r->department, s->department) == 0 && same(r->sign_key, s->sign_key) && same(r->link_key, s->link_key) &&
               (s->kind != SUBJECT_AGENT || same(r->agent_id, s->id));
}

const char *credential_check_signed(struct arena *a, const Shuyi__V1__SignedCredential *s, const uint8_t issuer_key[32], const Shuyi__V1__Credential **ret)
{
        struct bytes packed = bytes_of(s->credential.data, s->credential.len);
        const Shuyi__V1__Credential *c = packed.n <= CREDENTIAL_MAX_BYTES ? message_parse(a, &shuyi__v1__credential__descriptor, packed) : NULL;
        const Shuyi__V1__KeyRequest *r;
        const char *wrong;

        if (!c)
                return "credential";
        wrong = credential_check_form(c);
        if (wrong)
                return wrong;
        wrong = key_request_check(bytes_of(s->key_request.data, s->key_request.len),
                                  bytes_of(s->key_request_signature.data, s->key_request_signature.len), a, &r);
        if (wrong)
                return wrong;
        if (!request_fits(r, c))
                return "key request of another subject";
        if (!credential_check_signature(packed, bytes_of(s->signature.data, s->signature.len), issuer_key))
                return "issuer signature";
        *ret = c;
        return NULL;
}

/* ---- fingerprint ---- */

void fingerprint_format(struct bytes b, char ret[FINGERPRINT_TEXT])
{
        static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";     /* no I L O U */
        struct digest d = DIGEST_OF(CTX_FINGERPRINT, b);
        char *p = ret;

        for (unsigned i = 0; i < 32; i++) {
                unsigned bit = i * 5, at = bit / 8;
                unsigned two = (unsigned)d.b[at] << 8 | d.b[at + 1];

                if (i > 0 && i % 4 == 0)
                        *p++ = '-';
                *p++ = alphabet[two >> (11 - bit % 8) & 31];
        }
        *p = 0;
}
