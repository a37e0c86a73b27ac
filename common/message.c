/* message: protobuf messages out of and into an arena.
 *
 * What is packed is canonical, since protobuf-c writes fields in ascending order and leaves defaults out; what
 * is parsed was scanned first, so nothing else ever reaches protobuf-c.  Pure. */
#include "common/envelope.h"
#include "common/wire.h"

struct bytes message_pack(struct arena *a, const ProtobufCMessage *m)
{
        size_t n = protobuf_c_message_get_packed_size(m);
        uint8_t *p = arena_alloc(a, n);

        if (!p)
                return (struct bytes){ 0 };
        return bytes_of(p, protobuf_c_message_pack(m, p));
}

void *message_parse(struct arena *a, const ProtobufCMessageDescriptor *d, struct bytes b)
{
        static const uint8_t nothing;

        if (wire_scan(d, b))
                return NULL;
        return protobuf_c_message_unpack(d, arena_allocator(a), b.n, b.n ? b.p : &nothing);
}
