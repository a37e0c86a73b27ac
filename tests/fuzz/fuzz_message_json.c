/* message_json: JSON becomes a message that packs canonically, and is printed to what reads as the same.  First two bytes: which. */
#include "common/envelope.h"
#include "common/message_json.h"
#include "common/wire.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/messages.h"

static void check_message(struct arena *a, const ProtobufCMessage *m)
{
        struct bytes packed = message_pack(a, m), again;
        json_t *json = message_json_print(m);
        const ProtobufCMessage *back;

        REQUIRE(!wire_scan(m->descriptor, packed));
        REQUIRE(json);
        back = message_json_parse(a, m->descriptor, json, NULL);
        json_decref(json);
        REQUIRE(back || arena_failed(a));
        if (!back)
                return;
        again = message_pack(a, back);
        REQUIRE(bytes_equal(packed, again) || arena_failed(a));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_(arena_freep) struct arena *a = fuzz_arena(16 << 20);
        struct script s = { data, n };
        const ProtobufCMessageDescriptor *d = messages[script_u16(&s) % ELEMENTS(messages)];
        struct bytes text = script_rest(&s);
        json_t *json = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
        char error[MESSAGE_JSON_ERROR_BYTES] = "";
        const ProtobufCMessage *m;

        if (!json)
                return 0;
        m = message_json_parse(a, d, json, error);
        json_decref(json);
        REQUIRE(!m == (error[0] != 0) && strnlen(error, sizeof(error)) < sizeof(error));
        if (m)
                check_message(a, m);
        return 0;
}
