/* frame: what decodes in a direction is of a type that travels so, within its size, and encodes to the same bytes. */
#include "common/frame.h"
#include "common/macro.h"
#include "tests/fuzz/fuzz.h"

static void check(struct arena *a, struct bytes wire, enum frame_direction direction)
{
        struct frame f;
        struct bytes again;

        if (frame_decode(a, wire, direction, &f) != ACCEPTED)
                return;
        REQUIRE(wire.n > 0 && f.type == wire.p[0] && frame_find(wire.p[0]));
        REQUIRE(frame_find(wire.p[0])->direction & direction);
        REQUIRE(wire.n <= frame_find(wire.p[0])->max_bytes && f.message->descriptor == frame_find(wire.p[0])->message);
        if (f.type == FRAME_PUT && f.put->envelope.len > 0) {
                REQUIRE(f.put->envelope.data >= wire.p && f.put->envelope.data + f.put->envelope.len <= wire.p + wire.n);
                return;                         /* fields from 1000 are not kept of a PUT: see check_put */
        }
        again = frame_encode(a, f.type, f.message);
        REQUIRE(bytes_equal(again, wire) || f.type == FRAME_PUT || arena_failed(a));
}

/* A PUT read by hand says what protobuf-c reads. */
static void check_put(struct arena *a, struct bytes wire)
{
        const Shuyi__V1__Put *p;
        struct frame f;

        if (wire.n == 0 || frame_decode(a, wire, FRAME_TO_BROKER, &f) != ACCEPTED || f.type != FRAME_PUT)
                return;
        p = (void *)protobuf_c_message_unpack(&shuyi__v1__put__descriptor, arena_allocator(a), wire.n - 1, wire.p + 1);
        REQUIRE(p || arena_failed(a));
        if (!p)
                return;
        REQUIRE(p->lane == f.put->lane && p->outbox_epoch == f.put->outbox_epoch && p->outbox_seq == f.put->outbox_seq);
        REQUIRE(p->envelope.len == f.put->envelope.len && (p->envelope.len == 0 || memcmp(p->envelope.data, f.put->envelope.data, p->envelope.len) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_(arena_freep) struct arena *a = fuzz_arena(8 << 20);
        struct bytes wire = bytes_of(data, n);

        check(a, wire, FRAME_TO_BROKER);
        check(a, wire, FRAME_TO_AGENT);
        check(a, wire, FRAME_TO_BOTH);
        check_put(a, wire);
        return 0;
}
