/* keep: reading and writing the agent's own rows (agent/rows.proto) under their keys (agent/tables.h).
 *
 * Reads go through a `struct state`, so the writer's open transaction and a snapshot of any thread look alike.
 * Writes belong to the one thread that writes the store. */
#pragma once
#include "agent/tables.h"
#include "common/arena.h"
#include "common/exchange/state.h"
#include "common/store.h"

/* 1 and *ret in `a`; 0 none; -EBADMSG if it does not decode, -ENOMEM, faults of the store. */
int keep_get(struct state s, struct arena *a, const struct agent_key *k, const ProtobufCMessageDescriptor *d, void *ret);
/* The same for a row already read. */
int keep_decode(struct arena *a, struct bytes value, const ProtobufCMessageDescriptor *d, void *ret);
int keep_put(struct store *s, struct arena *a, const struct agent_key *k, const ProtobufCMessage *m);
int keep_put_bytes(struct store *s, const struct agent_key *k, struct bytes value);
int keep_del(struct store *s, const struct agent_key *k);       /* as store_del */

/* Walks all keys that begin with `prefix`, from `from` on (or from the start, if `from` is NULL): 1 and key and value, 0 at the end. */
int keep_next(struct state s, const struct agent_key *prefix, const struct agent_key *from, struct bytes *ret_key, struct bytes *ret_value);
/* A key right behind `key`, for the next step of a walk. */
struct agent_key keep_after(struct bytes key);

static inline ProtobufCBinaryData keep_binary(struct bytes b)
{
        return (ProtobufCBinaryData){ b.n, (uint8_t *)b.p };
}

static inline struct bytes keep_bytes(ProtobufCBinaryData b)
{
        return bytes_of(b.data, b.len);
}

/* A copy in the arena, for what must outlive the next write. */
ProtobufCBinaryData keep_copy(struct arena *a, struct bytes b);
