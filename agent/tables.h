/* tables: which row of the agent lies under which key (rows: agent/rows.proto).
 *
 * One store holds the trust replica (tables of common/exchange/tables.h, bytes below 0x80) and what is the agent's
 * own (from 0x80), so one commit covers both.  Keys as there: the table's byte, fixed-width parts, integers
 * big-endian; at most one part of variable width, last. */
#pragma once
#include "common/bytes.h"

/* X(constant, byte, key parts, row) */
#define AGENT_TABLES(X) \
        X(AGENT_OUTBOX, 0x80, "-", "OutboxRow") \
        X(AGENT_RESOURCE, 0x81, "resource code", "u32 big-endian: its short number") \
        X(AGENT_TAKEN, 0x82, "resource number u32, take number u64", "TakenRow") \
        X(AGENT_SEALED, 0x83, "lane u8, outbox_seq u64", "SealedRow") \
        X(AGENT_PUSH, 0x84, "push id 16 (UUIDv7)", "PushRow") \
        X(AGENT_IDEMPOTENCY, 0x85, "digest of the key 32", "IdempotencyRow") \
        X(AGENT_IDEMPOTENCY_AGE, 0x86, "at u64, digest of the key 32", "empty") \
        X(AGENT_VIEW, 0x87, "stream id 32", "ViewRow") \
        X(AGENT_SUBSCRIBER, 0x88, "grant id 32", "SubscriberRow") \
        X(AGENT_DEAD, 0x89, "at u64, header digest 32", "DeadRow") \
        X(AGENT_ACT, 0x8a, "header digest 32", "ActRow") \
        X(AGENT_DRAFT, 0x8b, "header digest 32", "the Envelope as it stands") \
        X(AGENT_HELD, 0x8c, "number u64", "HeldRow: a receipt that is not proved yet") \
        X(AGENT_PROOF, 0x8d, "-", "ProofRow") \
        X(AGENT_ALARM, 0x8e, "number u64", "AlarmRow") \
        X(AGENT_CURSOR, 0x90, "grant id 32", "CursorRow") \
        X(AGENT_OPENED, 0x91, "grant id 32, stream_seq u64", "OpenedRow") \
        X(AGENT_PENDING, 0x94, "grant id 32, stream_seq u64", "PendingRow") \
        X(AGENT_SINK, 0x92, "sink number u16, grant id 32", "SinkRow") \
        X(AGENT_SINK_FILE, 0x93, "digest of the path 32", "SinkRow: how much of the file counts") \
        X(AGENT_USE, 0x95, "grant id 32, stream_seq u64", "AcquisitionRow (proto/audit.proto): the department's own record of ZS 32") \
        X(AGENT_VAULT, 0x97, "-", "a fixed text under the storage key: with another key the store is not opened") \
        X(AGENT_MAIL, 0x98, "mail number u64", "MailRow") \
        X(AGENT_REPLICA, 0xa0, "-", "ReplicaRow") \
        X(AGENT_SEAL_KEY, 0xa1, "public key 32", "SealKeyRow")

#define AGENT_TABLE_ENUMERATOR(constant, byte, key, row) constant = byte,
enum agent_table { AGENT_TABLES(AGENT_TABLE_ENUMERATOR) };

/* Longest key of these tables, and of the replica's. */
#define AGENT_KEY_MAX 96

struct agent_key { uint8_t b[AGENT_KEY_MAX]; size_t n; };

static inline struct agent_key agent_key(enum agent_table table)
{
        return (struct agent_key){ { (uint8_t)table }, 1 };
}

static inline struct agent_key agent_key_bytes(struct agent_key k, struct bytes part)
{
        if (k.n + part.n <= AGENT_KEY_MAX) {
                memcpy(k.b + k.n, part.p, part.n);
                k.n += part.n;
        }
        return k;
}

static inline struct agent_key agent_key_u64(struct agent_key k, uint64_t v)
{
        uint8_t b[8];

        put_be64(b, v);
        return agent_key_bytes(k, bytes_of(b, 8));
}

static inline struct agent_key agent_key_u32(struct agent_key k, uint32_t v)
{
        uint8_t b[4];

        put_be32(b, v);
        return agent_key_bytes(k, bytes_of(b, 4));
}

static inline struct bytes agent_key_get(const struct agent_key *k)
{
        return bytes_of(k->b, k->n);
}
