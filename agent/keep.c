/* keep: see keep.h. */
#include "agent/keep.h"

#include <errno.h>

#include "common/envelope.h"

int keep_decode(struct arena *a, struct bytes value, const ProtobufCMessageDescriptor *d, void *ret)
{
        void *m = message_parse(a, d, value);

        if (!m)
                return arena_failed(a) ? -ENOMEM : -EBADMSG;
        *(void **)ret = m;
        return 1;
}

int keep_get(struct state s, struct arena *a, const struct agent_key *k, const ProtobufCMessageDescriptor *d, void *ret)
{
        struct bytes value;
        int r = s.ops->get(s.ctx, agent_key_get(k), &value);

        return r > 0 ? keep_decode(a, value, d, ret) : r;
}

int keep_put(struct store *s, struct arena *a, const struct agent_key *k, const ProtobufCMessage *m)
{
        struct bytes value = message_pack(a, m);

        if (!value.p && arena_failed(a))
                return -ENOMEM;
        return store_put(s, STORE_STATE, agent_key_get(k), value);
}

int keep_put_bytes(struct store *s, const struct agent_key *k, struct bytes value)
{
        return store_put(s, STORE_STATE, agent_key_get(k), value);
}

int keep_del(struct store *s, const struct agent_key *k)
{
        return store_del(s, STORE_STATE, agent_key_get(k));
}

int keep_next(struct state s, const struct agent_key *prefix, const struct agent_key *from, struct bytes *ret_key, struct bytes *ret_value)
{
        return s.ops->next(s.ctx, agent_key_get(prefix), agent_key_get(from ? from : prefix), ret_key, ret_value);
}

struct agent_key keep_after(struct bytes key)
{
        static const uint8_t zero = 0;
        struct agent_key k = { .n = 0 };

        k = agent_key_bytes(k, key);
        return agent_key_bytes(k, bytes_of(&zero, 1));
}

ProtobufCBinaryData keep_copy(struct arena *a, struct bytes b)
{
        return keep_binary(arena_copy(a, b));
}
