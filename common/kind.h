/* kind: the table of envelope kinds.
 *
 * A kind has a number that never changes, a lane, an open body type or none, and a row of the law.
 * Kinds of later parts are reserved here: the engine answers them with E_NOT_YET.  Pure. */
#pragma once
#include "common/bytes.h"
#include <protobuf-c/protobuf-c.h>

enum kind_class {
        KIND_CONTROL,           /* lane 0: acts of persons, agents and roots; refused ones are entries too */
        KIND_DATA,              /* lane 1: links of streams; a refused one makes no entry */
        KIND_SYSTEM,            /* made by the broker's sequencer; never taken from a link */
        KIND_READ,              /* signed question; never an entry */
};

/* X(NAME, number, class, body message or none, row) */
#define KINDS_NOW(X) \
        X(ANCHOR, 1, CONTROL, anchor_body, "DESIGN 3") \
        X(CREDENTIAL, 2, CONTROL, credential_body, "DESIGN 3") \
        X(DEPARTMENT, 3, CONTROL, department_body, "DESIGN 3") \
        X(FILE, 4, CONTROL, file_body, "SM-STAFF 1") \
        X(ACCEPT, 5, CONTROL, accept_body, "SM-STAFF 2") \
        X(STAFF_RETURN, 6, CONTROL, return_body, "SM-STAFF 3") \
        X(STAFF_CHANGE, 7, CONTROL, file_body, "SM-STAFF 4") \
        X(REVOKE, 8, CONTROL, revoke_body, "SM-STAFF 5") \
        X(SEAL_KEY, 9, CONTROL, seal_key_body, "DESIGN 3") \
        X(POLICY_SET, 12, CONTROL, policy_set_body, "11") \
        X(CALENDAR_SET, 13, CONTROL, calendar_set_body, "12") \
        X(CLOCK, 14, CONTROL, clock_body, "12.6") \
        X(PURGE, 18, CONTROL, purge_body, "9.2") \
        X(CAT_SUBMIT, 20, CONTROL, cat_submit_body, "SM-CAT 2") \
        X(CAT_RETURN, 21, CONTROL, return_body, "SM-CAT 3") \
        X(CAT_APPROVE, 22, CONTROL, cat_approve_body, "SM-CAT 4") \
        X(FREEZE, 27, CONTROL, freeze_body, "SM-CAT 12") \
        X(UNFREEZE, 28, CONTROL, freeze_body, "SM-CAT 12") \
        X(GET, 40, CONTROL, request_body, "SM-DIRECT 1") \
        X(REQ_SUBMIT, 41, CONTROL, request_body, "SM-REQ 2") \
        X(CONSENT, 45, CONTROL, reply_body, "SM-REQ 6") \
        X(CONSENT_PART, 46, CONTROL, reply_body, "SM-REQ 7") \
        X(REFUSE, 47, CONTROL, reply_body, "SM-REQ 8") \
        X(WITHDRAW, 51, CONTROL, reason_body, "SM-REQ 17") \
        X(GRANT_SUSPEND, 60, CONTROL, reason_body, "SM-GRANT 4") \
        X(GRANT_RESUME, 61, CONTROL, reason_body, "SM-GRANT 5") \
        X(GRANT_TERMINATE, 62, CONTROL, reason_body, "SM-GRANT 6") \
        X(GRANT_END, 63, CONTROL, reason_body, "SM-GRANT 9") \
        X(SUBSCRIBE, 70, CONTROL, subscribe_body, "DESIGN 6") \
        X(DELIVERY_RECEIPT, 71, CONTROL, delivery_receipt_body, "SM-GRANT 2") \
        X(VIEW_EPOCH, 80, DATA, view_epoch_body, "DESIGN 6") \
        X(UPDATE, 81, DATA, none, "SM-GRANT 2") \
        X(NO_CHANGE, 82, DATA, none, "5.4") \
        X(STREAM_HEAD, 83, DATA, none, "DESIGN 6") \
        X(TICK, 100, SYSTEM, tick_body, "DESIGN 2") \
        X(TRUST_HEAD, 101, SYSTEM, trust_head_body, "DESIGN 3") \
        X(REFUSED, 102, SYSTEM, refused_body, "DESIGN 7") \
        X(HANDOVER, 103, SYSTEM, handover_body, "DESIGN 6") \
        X(OUTAGE, 104, SYSTEM, outage_body, "12.6") \
        X(ENGINE, 105, SYSTEM, engine_body, "DESIGN 2") \
        X(EPOCH, 106, SYSTEM, epoch_body, "DESIGN 7") \
        X(AUDIT_READ, 120, READ, none, "3.5")
/* X(NAME, number, class, row): numbers of later parts, without bodies */
#define KINDS_LATER(X) \
        X(DEPUTE, 10, CONTROL, "SM-STAFF 6") \
        X(DEPUTE_END, 11, CONTROL, "SM-STAFF 7") \
        X(ANNUL, 15, CONTROL, "6.0") \
        X(PROPOSE, 16, CONTROL, "6.12") \
        X(COUNTERSIGN, 17, CONTROL, "6.12") \
        X(OPERATOR_ACT, 19, CONTROL, "DESIGN 11") \
        X(CAT_SET_TYPE, 23, CONTROL, "SM-CAT 5") \
        X(CAT_CAUSE, 24, CONTROL, "SM-CAT 6") \
        X(CAT_EXTEND_CHANGE, 25, CONTROL, "SM-CAT 7") \
        X(CAT_SUBMIT_CHANGE, 26, CONTROL, "SM-CAT 8") \
        X(CATALOG_CHECK, 29, CONTROL, "4.10") \
        X(DISPUTE_RAISE, 30, CONTROL, "SM-DISP 1") \
        X(DISPUTE_STEP, 31, CONTROL, "SM-DISP 2-7") \
        X(INCONS_STEP, 32, CONTROL, "SM-INCONS") \
        X(NOJOIN_STEP, 33, CONTROL, "5.8") \
        X(QUALITY_DAY, 34, CONTROL, "5.6") \
        X(REQ_ASK_SUPPLEMENT, 42, CONTROL, "SM-REQ 3") \
        X(REQ_SUPPLY, 43, CONTROL, "SM-REQ 4") \
        X(REQ_EXTEND, 44, CONTROL, "SM-REQ 5") \
        X(AUTH_PROVIDE, 48, CONTROL, "SM-REQ 11") \
        X(LATE_CONSENT, 49, CONTROL, "SM-REQ 12") \
        X(LATE_REFUSE, 50, CONTROL, "SM-REQ 13") \
        X(REQ_DISPUTE, 52, CONTROL, "SM-REQ 18-20") \
        X(GRANT_WIDEN, 64, CONTROL, "SM-GRANT 3") \
        X(GRANT_STOP, 65, CONTROL, "SM-GRANT 7") \
        X(GRANT_DISPOSE, 66, CONTROL, "SM-GRANT 10") \
        X(GRANT_REASSIGN, 67, CONTROL, "SM-GRANT 12") \
        X(DELEGATION, 68, CONTROL, "DESIGN 3") \
        X(USE_LOG, 69, CONTROL, "9.1") \
        X(VERIFY, 72, CONTROL, "SM-VERIFY") \
        X(VERIFY_ANSWER, 73, CONTROL, "SM-VERIFY") \
        X(EMERGENCY, 74, CONTROL, "SM-EMERG") \
        X(EMERGENCY_STEP, 75, CONTROL, "SM-EMERG") \
        X(QUERY, 76, CONTROL, "SM-DIRECT 1") \
        X(ANSWER, 77, CONTROL, "SM-DIRECT 2") \
        X(SNAPSHOT_BEGIN, 84, DATA, "DESIGN 6") \
        X(SNAPSHOT_CHUNK, 85, DATA, "DESIGN 6") \
        X(SNAPSHOT_END, 86, DATA, "DESIGN 6") \
        X(BATCH_MANIFEST, 87, CONTROL, "DESIGN 8") \
        X(CORRECTION, 90, CONTROL, "SM-CORR") \
        X(OPENING, 91, CONTROL, "SM-OPEN") \
        X(INCIDENT, 92, CONTROL, "SM-INC") \
        X(RECTIFICATION, 93, CONTROL, "SM-RECT") \
        X(CROSS_STEP, 94, CONTROL, "SM-CROSS") \
        X(AGGREGATE_STEP, 95, CONTROL, "SM-AGG") \
        X(UNLISTED_STEP, 96, CONTROL, "6.9") \
        X(REPORT, 97, CONTROL, "10.5")

#define KIND_ENUMERATOR_NOW(name, number, class, body, row) KIND_##name = number,
#define KIND_ENUMERATOR_LATER(name, number, class, row) KIND_##name = number,
enum kind_number { KINDS_NOW(KIND_ENUMERATOR_NOW) KINDS_LATER(KIND_ENUMERATOR_LATER) };

struct kind {
        uint16_t number;
        enum kind_class class;
        bool later;                                     /* reserved: E_NOT_YET */
        const char *name;
        const ProtobufCMessageDescriptor *body;         /* open body; NULL: none, or sealed (UPDATE) */
        const char *row;
};

const struct kind *kind_find(uint32_t number);          /* NULL: no such kind */
const struct kind *kind_at(unsigned index);             /* for manuals; NULL past the end */
static inline unsigned kind_lane(const struct kind *k) { return k->class == KIND_DATA ? 1 : 0; }
