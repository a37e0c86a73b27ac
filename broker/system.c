/* system: see the header. */
#include "broker/system.h"
#include <sodium.h>

const struct claim *system_make(const struct system_signer *s, struct arena *a, enum kind_number kind, const ProtobufCMessage *body, struct wall_time now)
{
        Shuyi__V1__Intent intent = SHUYI__V1__INTENT__INIT;
        struct bytes packed = { 0 };
        uint8_t random[10];
        struct id id;

        randombytes_buf(random, sizeof(random));
        uuid7_make(now.ms, random, &id);
        intent.suite = SUITE_1;
        intent.id = (ProtobufCBinaryData){ ID_BYTES, id.b };
        intent.kind = kind;
        intent.domain = (char *)s->domain;
        intent.created_at = now.ms;
        if (body)
                packed = message_pack(a, body);
        return envelope_issue(a, &intent, packed, &s->credential, ROLE_SYSTEM, s->secret);
}
