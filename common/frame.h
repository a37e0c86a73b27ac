/* frame: one message of the session protocol as bytes, and back.
 *
 * A frame is u8 type, then exactly one canonical message of that type (wire_scan).  Each type has a size limit and a
 * direction in one table, so that a peer can neither send what the other side never says nor more than its type may
 * cost.  Made for untrusted input: any bytes are safe.  Pure; any thread. */
#pragma once
#include "common/arena.h"
#include "common/bytes.h"
#include "common/refusal.h"
#include "proto/session.pb-c.h"

#define FRAME_MAX_BYTES (1024 * 1024 - 33)      /* type byte included: what CURVE leaves of ZMQ_MAXMSGSIZE 1 MiB */

/* X(NAME, number, message, largest frame in bytes, direction) */
#define FRAMES(X) \
        X(HELLO, 1, hello, 4096, TO_BROKER) \
        X(WELCOME, 2, welcome, 4096, TO_AGENT) \
        X(PUT, 3, put, FRAME_MAX_BYTES, TO_BROKER) \
        X(RECEIPT, 4, signed_receipt, FRAME_MAX_BYTES, TO_AGENT) \
        X(BUSY, 5, busy, 256, TO_AGENT) \
        X(PARCEL, 6, parcel, FRAME_MAX_BYTES, TO_AGENT) \
        X(PARCEL_ACK, 7, parcel_ack, 64, TO_BROKER) \
        X(READ, 8, read, 64 * 1024, TO_BROKER) \
        X(PAGE, 9, page, FRAME_MAX_BYTES, TO_AGENT) \
        X(PING, 10, ping, 64, TO_BOTH) \
        X(PONG, 11, ping, 64, TO_BOTH) \
        X(BYE, 12, bye, 4096, TO_BOTH) \
        X(CREDIT, 13, lane_credit, 64, TO_AGENT)

enum frame_direction { FRAME_TO_BROKER = 1, FRAME_TO_AGENT = 2, FRAME_TO_BOTH = 3 };

#define FRAME_ENUMERATOR(name, number, message, max, direction) FRAME_##name = number,
enum frame_type { FRAMES(FRAME_ENUMERATOR) };

struct frame_row {
        enum frame_type type;
        const char *name;                       /* "PUT" */
        const ProtobufCMessageDescriptor *message;
        uint32_t max_bytes;
        enum frame_direction direction;
};

const struct frame_row *frame_find(uint8_t type);       /* NULL: no such type */
const struct frame_row *frame_at(unsigned index);       /* for manuals and metrics; NULL past the end */

/* A decoded frame. */
struct frame {
        enum frame_type type;
        union {
                const ProtobufCMessage *message;
                const Shuyi__V1__Hello *hello;
                const Shuyi__V1__Welcome *welcome;
                const Shuyi__V1__Put *put;
                const Shuyi__V1__SignedReceipt *receipt;
                const Shuyi__V1__Busy *busy;
                const Shuyi__V1__Parcel *parcel;
                const Shuyi__V1__ParcelAck *parcel_ack;
                const Shuyi__V1__Read *read;
                const Shuyi__V1__Page *page;
                const Shuyi__V1__Ping *ping;            /* PING and PONG */
                const Shuyi__V1__Bye *bye;
                const Shuyi__V1__LaneCredit *credit;
        };
};

/* Reads one frame that travels in `direction`.  ACCEPTED, or E_FORM with *ret not written: unknown type, wrong direction,
 * too large, not canonical, or the arena is full.  The message lies in `a`; the envelope of a PUT is borrowed from
 * `wire` (no copy), which must outlive it. */
enum refusal frame_decode(struct arena *a, struct bytes wire, enum frame_direction direction, struct frame *ret);

/* Type byte and packed message, in the arena.  {0} if the arena is full or the type's limit is passed. */
struct bytes frame_encode(struct arena *a, enum frame_type type, const ProtobufCMessage *message);
#define FRAME_ENCODE(a, type, m) frame_encode((a), (type), &(m)->base)
