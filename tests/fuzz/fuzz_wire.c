/* wire: whatever the scan passes is unpacked, and packs to the same bytes; nothing else is.  First two bytes: which message. */
#include "common/envelope.h"
#include "common/wire.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_(arena_freep) struct arena *a = fuzz_arena(32 << 20);
        struct script s = { data, n };
        const ProtobufCMessageDescriptor *d = messages[script_u16(&s) % ELEMENTS(messages)];
        struct bytes wire = script_rest(&s), again;
        const char *wrong = wire_scan(d, wire);
        const ProtobufCMessage *m = message_parse(a, d, wire);

        REQUIRE(!wrong == !!m || arena_failed(a));
        if (!m)
                return 0;
        again = message_pack(a, m);
        REQUIRE(again.p || wire.n == 0 || arena_failed(a));
        REQUIRE(arena_failed(a) || bytes_equal(again, wire));
        return 0;
}
