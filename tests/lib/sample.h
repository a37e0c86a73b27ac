/* sample: keys from seeds, and an envelope or two, for tests of the wire.  Everything is fixed, so a failure repeats. */
#pragma once
#include "common/arena.h"
#include "common/credential.h"
#include "common/envelope.h"
#include "common/macro.h"
#include "proto/request.pb-c.h"

#include <sodium.h>

#define SAMPLE_DOMAIN "442000"
#define SAMPLE_DEPT "11442000MX00000197"        /* invented, REGULATIONS 5.3 */
#define SAMPLE_DEPT_2 "91350100M000100Y43"
#define SAMPLE_TIME 1770861600000ull            /* 2026-02-12T02:00:00Z */

struct sample_key { uint8_t key[32], secret[64]; struct digest id; };
struct sample_box { uint8_t key[32], secret[32]; };

/* An Ed25519 pair from a seed of 32 equal bytes; `id` is the digest of the public key, which stands for a credential id. */
static inline struct sample_key sample_key(uint8_t seed)
{
        struct sample_key k;
        uint8_t s[32];

        memset(s, seed, sizeof(s));
        crypto_sign_seed_keypair(k.key, k.secret, s);
        k.id = digest_plain(bytes_of(k.key, 32));
        return k;
}

static inline struct sample_box sample_box(uint8_t seed)
{
        struct sample_box k;
        uint8_t s[32];

        memset(s, seed, sizeof(s));
        crypto_box_seed_keypair(k.key, k.secret, s);
        return k;
}

/* Knows the keys of seeds 1..9, as credentials under every capacity but ROOT, and as roots under ROOT alone. */
static inline int sample_find(void *ctx, const struct digest *id, enum role capacity, uint8_t ret_key[32], uint32_t *ret_suite)
{
        for (uint8_t seed = 1; seed <= 9; seed++) {
                struct sample_key k = sample_key(seed);
                struct digest want = capacity == ROLE_ROOT ? root_key_id(SUITE_1, k.key) : k.id;

                if (digest_equal(&want, id)) {
                        memcpy(ret_key, k.key, 32);
                        *ret_suite = ctx ? *(uint32_t *)ctx : SUITE_1;
                        return 1;
                }
        }
        return 0;
}

static inline Shuyi__V1__Intent *sample_intent(struct arena *a, enum kind_number kind)
{
        static const uint8_t random[10] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };
        Shuyi__V1__Intent *i = ARENA_NEW(a, Shuyi__V1__Intent);
        struct id *id = ARENA_NEW(a, struct id);

        shuyi__v1__intent__init(i);
        uuid7_make(SAMPLE_TIME, random, id);
        i->suite = SUITE_1;
        i->id = (ProtobufCBinaryData){ ID_BYTES, id->b };
        i->kind = kind;
        i->domain = SAMPLE_DOMAIN;
        i->from = SAMPLE_DEPT;
        i->created_at = SAMPLE_TIME;
        i->expires_at = SAMPLE_TIME + 86400000;
        return i;
}

static inline ProtobufCBinaryData sample_run(struct arena *a, uint8_t fill, size_t n)
{
        uint8_t *p = arena_alloc(a, n);

        memset(p, fill, n);
        return (ProtobufCBinaryData){ n, p };
}

/* GET with its open body, signed by seed 1 as USER and seed 2 as APPROVER. */
static inline struct bytes sample_get(struct arena *a)
{
        struct sample_key user = sample_key(1), approver = sample_key(2);
        Shuyi__V1__Intent *i = sample_intent(a, KIND_GET);
        Shuyi__V1__RequestBody b;
        static uint32_t items[] = { 1, 2, 5 };
        struct bytes e;

        i->to = SAMPLE_DEPT_2;
        i->resource = "344001/17";
        i->resource_version = 1;
        i->items = items;
        i->n_items = 3;
        i->purpose = "CHILD_HEALTH";
        i->agent = sample_run(a, 0xa1, 16);
        shuyi__v1__request_body__init(&b);
        b.need = "divisions";
        b.duty_basis = "ZS 6";
        e = envelope_draft(a, i, message_pack(a, &b.base));
        e = envelope_sign(a, e, &user.id, ROLE_USER, user.secret);
        return envelope_sign(a, e, &approver.id, ROLE_APPROVER, approver.secret);
}
