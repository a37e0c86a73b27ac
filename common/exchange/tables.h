/* tables: which row lies under which key (rows: proto/state.proto).
 *
 * Keys are the table's byte, then fixed-width parts in order, integers big-endian so that they sort; at most one
 * part of variable width, last.  Hot tables grow with time (LIMITS: a random key costs more than a signature). */
#pragma once
#include "common/bytes.h"

/* No row has a longer key: LMDB's bound.  A look-up of one finds nothing; who would write one is refused (E_BOUND). */
#define ROW_KEY_MAX 511

/* X(constant, byte, key parts, row) */
#define TABLES(X) \
        X(TABLE_META, 0x01, "-", "MetaRow") \
        X(TABLE_ANCHOR, 0x02, "version u32", "DocumentRow: SignedAnchor") \
        X(TABLE_DEPARTMENT, 0x03, "code", "DepartmentRow") \
        X(TABLE_CREDENTIAL, 0x04, "credential id 32", "CredentialRow") \
        X(TABLE_KEY, 0x05, "public key 32", "credential id 32: a key appears once, ever") \
        X(TABLE_PERSON, 0x06, "department 18, person_id 16", "PersonRow") \
        X(TABLE_PERSON_DEPT, 0x07, "person_id 16, department 18", "empty: where a person is registered") \
        X(TABLE_AGENT, 0x08, "agent_id 16", "AgentRow") \
        X(TABLE_LINK, 0x09, "link u32", "agent_id 16") \
        X(TABLE_FILING, 0x0a, "header digest 32", "FilingRow") \
        X(TABLE_POLICY, 0x0b, "-", "DocumentRow: in force") \
        X(TABLE_POLICY_OLD, 0x0c, "digest 32", "DocumentRow: each one that ever was") \
        X(TABLE_CALENDAR, 0x0d, "-", "DocumentRow: in force") \
        X(TABLE_DEPT_AGENT, 0x0e, "department 18, agent_id 16", "empty") \
        X(TABLE_MATTER, 0x10, "matter id 32 (header digest of its first SUBMIT)", "MatterRow") \
        X(TABLE_RESOURCE, 0x11, "resource code", "matter id 32") \
        X(TABLE_VERSION, 0x12, "version u32, resource code", "VersionRow") \
        X(TABLE_CLASS, 0x13, "class part", "NumberRow: last sequence number") \
        X(TABLE_NAME, 0x14, "provider 18, digest of name 32", "matter id 32") \
        X(TABLE_DATUM, 0x15, "semantic code", "matter id 32: the AUTHORITATIVE one") \
        X(TABLE_REQUEST, 0x18, "header digest of SUBMIT 32", "RequestRow") \
        X(TABLE_DEPT_REQUEST, 0x19, "department 18, seq u64", "request id 32, of either party") \
        X(TABLE_GRANT, 0x1a, "grant id 32", "GrantRow") \
        X(TABLE_DEPT_GRANT, 0x1b, "department 18, seq u64", "grant id 32, of either party") \
        X(TABLE_STREAM, 0x20, "stream id 32", "StreamRow") \
        X(TABLE_LINK_SEQ, 0x21, "stream id 32, stream_seq u64", "NumberRow: log seq, header digest, accepted_at") \
        X(TABLE_SUBSCRIPTION, 0x22, "grant id 32", "SubscriptionRow") \
        X(TABLE_STREAM_SUB, 0x23, "stream id 32, grant id 32", "empty: subscriptions of a stream") \
        X(TABLE_AGENT_SUB, 0x24, "agent_id 16, grant id 32", "empty: subscriptions of an agent") \
        X(TABLE_RECEIPT, 0x25, "grant id 32, last stream_seq u64", "NumberRow: log seq of the DELIVERY_RECEIPT") \
        X(TABLE_EPOCH_SEQ, 0x26, "stream id 32, view epoch u32", "NumberRow: log seq of the VIEW_EPOCH") \
        X(TABLE_DUE, 0x30, "due_end u64, clock u8, object 32", "DueRow") \
        X(TABLE_CLOCK, 0x31, "object 32, clock u8", "ClockRow: running") \
        X(TABLE_FACT, 0x32, "fact number u64", "FactRow: overdue facts") \
        X(TABLE_FEED, 0x38, "department 18, number u64", "FeedRow") \
        X(TABLE_FEED_HEAD, 0x39, "department 18", "NumberRow: last number") \
        X(TABLE_TRUST, 0x3a, "trust_seq u64", "TrustRecord (proto/log.proto)") \
        X(TABLE_TRUST_MAP, 0x3b, "object 32", "TrustMapRow") \
        X(TABLE_BUCKET, 0x3c, "bucket u8", "root 32 of that bucket") \
        X(TABLE_LANE, 0x40, "link u32, lane u8", "LaneRow") \
        X(TABLE_LANE_SEQ, 0x41, "link u32, lane u8, outbox_epoch u64, outbox_seq u64", "NumberRow: log seq; the last 1,024") \
        X(TABLE_IDEM, 0x42, "credential 32, envelope id 16", "NumberRow: log seq, until the envelope expires") \
        X(TABLE_IDEM_EXPIRY, 0x43, "expires_at u64, credential 32, envelope id 16", "empty") \
        X(TABLE_TALLY, 0x44, "link u32, code u32", "NumberRow: refused data and forms, in all") \
        X(TABLE_DAY, 0x45, "Shanghai day u32", "NumberRow: first log seq of that day") \
        X(TABLE_PURGE, 0x46, "what u8, up to seq u64", "PurgeRow")

#define TABLE_ENUMERATOR(constant, byte, key, row) constant = byte,
enum table { TABLES(TABLE_ENUMERATOR) };

/* Rows that a refused act writes too: what remembers that it came. */
static inline bool table_remembers(uint8_t table)
{
        return table == TABLE_META || table == TABLE_LANE || table == TABLE_LANE_SEQ || table == TABLE_IDEM || table == TABLE_IDEM_EXPIRY || table == TABLE_DAY;
}
