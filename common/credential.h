/* credential: who holds which key, said by whom (DESIGN 3).
 *
 * Pure.  Status (revoked, superseded) is the state's; here is only what the bytes say. */
#pragma once
#include "common/arena.h"
#include "common/bytes.h"
#include "common/digest.h"
#include "common/envelope.h"
#include "common/times.h"
#include "proto/identity.pb-c.h"

#define CREDENTIAL_MAX_BYTES (4 * 1024)        /* of a credential, and of a key request: what unpacking them may cost */

struct digest credential_id(struct bytes credential);
struct digest root_key_id(uint32_t suite, const uint8_t key[32]);

/* Form: suite, lengths, subject kind against keys and roles, times in order, domain and department codes. NULL or what is wrong. */
const char *credential_check_form(const Shuyi__V1__Credential *c);
/* Key request: form and the signature by the new key itself (proof of possession). */
const char *key_request_check(struct bytes request, struct bytes signature, struct arena *a, const Shuyi__V1__KeyRequest **ret);
struct bytes key_request_sign(struct arena *a, const Shuyi__V1__KeyRequest *r, const uint8_t secret[64], uint8_t ret_signature[64]);

/* Issuer's signature over the credential id, in context CTX_CREDENTIAL. */
void credential_sign(struct bytes credential, const uint8_t issuer_secret[64], uint8_t ret_signature[64]);
bool credential_check_signature(struct bytes credential, struct bytes signature, const uint8_t issuer_key[32]);
/* Does `subject` lie inside `may_issue`, and validity nest in the issuer's?  One link of a chain. */
bool credential_check_issue(const Shuyi__V1__Credential *issuer, const Shuyi__V1__Credential *issued);
/* A SignedCredential whole: form, id, key request matching the subject's keys, issuer signature by `issuer_key`. NULL or what is wrong. */
const char *credential_check_signed(struct arena *a, const Shuyi__V1__SignedCredential *s, const uint8_t issuer_key[32], const Shuyi__V1__Credential **ret);

/* Eight groups of four characters, to read over the telephone: of a key request's bytes. */
#define FINGERPRINT_TEXT 40
void fingerprint_format(struct bytes b, char ret[FINGERPRINT_TEXT]);

/* Six digits; eighteen characters of GB 32100 (checksum included). */
bool domain_check(const char *domain);
bool department_check(const char *code);
