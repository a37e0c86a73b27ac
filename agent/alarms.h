/* alarms: what the center or a peer has done that an honest one cannot do, kept with its evidence.
 *
 * An alarm is a row of the store and a file in `state_dir`/evidence, a line of the log and a counter; it stands until a person
 * dismisses it.  Some of them halt: the agent seals and opens nothing, as if its trust head were stale, since what it would act
 * on may be one of two histories.  Each thing is told once (kind and `about`; of streams the grant, too), and at most ALARMS_MAX stand: the first ones are
 * the evidence, what comes after them is only counted.
 *
 * What a peer says in `seen` does not halt: one department could stop all others by a false word; it is evidence against him or
 * against the center, and people find out which.  Writes belong to the writer, within a group. */
#pragma once
#include "agent/agent.h"
#include "agent/keep.h"
#include "agent/rows.pb-c.h"

#define ALARMS_MAX 64

/* X(constant, number, name, halts, what it says) */
#define ALARM_KINDS(X) \
        X(ALARM_SECOND_HISTORY, 1, "second_history", true, "the center has signed two histories of its log") \
        X(ALARM_HEAD_BACK, 2, "head_back", true, "the published head is smaller than one that was verified") \
        X(ALARM_NOT_CONSISTENT, 3, "not_consistent", true, "the center does not prove that its log goes on from the head that was verified") \
        X(ALARM_HEAD_BAD, 4, "head_bad", false, "a head of the log is not published as it must be: the signature or the quorum of witnesses is missing, or it does not come") \
        X(ALARM_RECEIPT_WRONG, 5, "receipt_wrong", false, "an entry does not stand in the log as its signed receipt says") \
        X(ALARM_RECEIPT_LATE, 6, "receipt_late", false, "the center does not prove in time that a receipted entry stands in the log") \
        X(ALARM_SEEN_OTHER, 7, "seen_other", false, "a peer has seen another history of the log, or says so") \
        X(ALARM_SEEN_MORE, 8, "seen_more", false, "a peer has seen more of the log than the center publishes to us, or says so") \
        X(ALARM_STREAM_SILENT, 9, "stream_silent", false, "nothing comes of a stream that must say at least that it is there: its tail is kept back, or the provider is silent") \
        X(ALARM_MAIL_MISSING, 10, "mail_missing", false, "the center passed over mail of this department")
#define ALARM_ENUMERATOR(constant, number, name, halts, text) constant = number,
enum alarm_kind { ALARM_KINDS(ALARM_ENUMERATOR) ALARM_KIND_END };

const char *alarm_name(uint32_t kind);          /* "unknown" for others */
const char *alarm_text(uint32_t kind);
bool alarm_halts(uint32_t kind);
const char *alarm_label(unsigned i);            /* for metrics: kind by index from 0 */

struct alarm {
        enum alarm_kind kind;
        uint64_t about;                         /* a seq, the size of a tree, a stream_seq, a number of mail */
        const char *detail;                     /* short; may be NULL */
        const char *held_note, *came_note;      /* may be NULL */
        struct bytes receipt, envelope;         /* may be {0} */
};

/* 1 raised, 0 told already or too many stand; faults.  A file that cannot be written is logged, not a fault. */
int alarms_raise(struct agent *ag, struct arena *a, struct wall_time now, const struct alarm *alarm);
/* Counts those that stand; *ret_halted: one of them halts. */
int alarms_count(struct state s, struct arena *a, unsigned *ret, bool *ret_halted);
/* 1 gone, 0 no such.  When no alarm that halts is left, the agent goes on. */
int alarms_dismiss(struct agent *ag, struct arena *a, uint64_t number);
