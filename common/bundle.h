/* bundle: the offline check of an evidence file (DESIGN 7; PROTOCOL.md 17.2, 17.3).
 *
 * One act of the exchange, with everything that stands behind it, is judged anew from bytes: who checks trusts the anchor that
 * he brings and nothing else.  The registry acts of the bundle build a small state, and the rules of the exchange judge over it
 * as they do in the broker and at agents.  For hostile input; bounded by the arena's cap.  Pure. */
#pragma once
#include "common/checkpoint.h"
#include "common/envelope.h"
#include "common/refusal.h"
#include "common/words.h"
#include "proto/bundle.pb-c.h"
#include "proto/state.pb-c.h"
#include "proto/stream.pb-c.h"

#define BUNDLE_MAX_BYTES 6000000
#define BUNDLE_ENTRIES_MAX 1024
#define BUNDLE_LINKS_MAX 255
#define BUNDLE_RECORDS_MAX 256
#define BUNDLE_ARENA_BYTES (512u << 20)         /* enough for whatever form allows */

/* X(constant, word, Chinese, what it says) */
#define BUNDLE_ITEMS(X) \
        X(BUNDLE_INCLUDED, "included", "已入日志", "every entry stands in the log, under one signed head") \
        X(BUNDLE_WITNESSED, "witnessed", "已见证", "the head was seen by the anchor's quorum of witnesses") \
        X(BUNDLE_SIGNED, "signed", "签名有效", "every signature holds, by keys that lead to the caller's anchor") \
        X(BUNDLE_AUTHORISED, "authorised", "依规办理", "those who had to sign did, and the rules allow the act") \
        X(BUNDLE_STATUS, "status proven", "状态已证明", "credentials, grant, catalog and policy were in force then") \
        X(BUNDLE_DELIVERED, "delivered", "已签收", "the consumer's signed receipt covers it") \
        X(BUNDLE_OPENED, "opened", "内容相符", "the records shown are those that were sealed")

/* X(constant, word) */
#define BUNDLE_FAULTS(X) \
        X(BUNDLE_NO_FAULT, "") X(BUNDLE_FORM, "FORM") X(BUNDLE_ANCHOR, "ANCHOR") X(BUNDLE_PATH, "PATH") X(BUNDLE_CHECKPOINT, "CHECKPOINT") \
        X(BUNDLE_QUORUM, "QUORUM") X(BUNDLE_SIGNER, "SIGNER") X(BUNDLE_SIGNATURE, "SIGNATURE") X(BUNDLE_ACT, "ACT") X(BUNDLE_GRANT, "GRANT") \
        X(BUNDLE_STREAM, "STREAM") X(BUNDLE_LOOKUP, "LOOKUP") X(BUNDLE_NOT_ACTIVE, "NOT_ACTIVE") X(BUNDLE_HEAD_AGE, "HEAD_AGE") \
        X(BUNDLE_SUSPECT, "SUSPECT") X(BUNDLE_RECEIPT, "RECEIPT") X(BUNDLE_NACK, "NACK") X(BUNDLE_WRONG_RECORD, "RECORD") X(BUNDLE_MISSING, "MISSING")

#define BUNDLE_ITEM_ENUMERATOR(constant, word, zh, what) constant,
enum bundle_item { BUNDLE_ITEMS(BUNDLE_ITEM_ENUMERATOR) BUNDLE_ITEM_COUNT };
#define BUNDLE_FAULT_ENUMERATOR(constant, word) constant,
enum bundle_fault { BUNDLE_FAULTS(BUNDLE_FAULT_ENUMERATOR) BUNDLE_FAULT_COUNT };

/* The sealed records of a transfer; they are bound by digest, so that it is proven without them, too. */
enum bundle_content { BUNDLE_NO_CONTENT, BUNDLE_CONTENT_SEALED, BUNDLE_CONTENT_GONE };
enum bundle_state { BUNDLE_OK, BUNDLE_FAILED, BUNDLE_NOT_IN_BUNDLE, BUNDLE_DOES_NOT_APPLY };

/* An item's answer: the first thing that is wrong with it. */
struct bundle_finding {
        enum bundle_state state;
        enum bundle_fault fault;
        enum refusal code;                      /* where a rule of the exchange says it; else ACCEPTED */
        uint64_t seq;                           /* the entry; 0: none in particular */
        const char *detail;                     /* "" if none */
};

struct bundle_signer { enum role capacity; const char *department; struct id id; const char *name; };        /* name: as filed; "" if not a person */

/* An entry, as the report tells it: in order of seq. */
struct bundle_step {
        const Shuyi__V1__BundleEntry *entry;
        const struct claim *claim;
        bool stands;                            /* taken, signed and by the rules: others may rest on it */
        struct bundle_signer signers[ENVELOPE_SIGNATURES_MAX];
};

struct bundle_report {
        const char *wrong;                      /* the file has not even the form of a bundle: nothing below was looked at; NULL: it has */
        bool proven;                            /* all items that apply are OK */
        struct bundle_finding items[BUNDLE_ITEM_COUNT];
        enum bundle kind;
        struct checkpoint head;
        unsigned witnesses, quorum;
        uint64_t seen_first_s, seen_last_s;     /* between these times witnesses saw it; 0: none did */
        bool demo;                              /* the anchor says that it is one for demonstrations */
        struct bundle_step *steps;              /* of them the act: */
        size_t steps_n;
        const struct bundle_step *act;
        enum bundle_content content;            /* GONE: the log gives it no more, or who made the bundle left it out */
        /* what was derived, NULL where it was not; the grant of the transfer, or the one that the act opened or names */
        const Shuyi__V1__GrantRow *grant;
        const struct bundle_step *decision;     /* GET, CONSENT or CONSENT_PART */
        const Shuyi__V1__Entry *entry;          /* catalog */
        const char *user, *approver;            /* names as filed; "" */
        uint64_t acquired_at;                   /* 0: no receipt */
        const Shuyi__V1__Record **records;
        size_t records_n;
};

struct bundle_options {
        bool unwitnessed;                       /* a head that too few witnesses saw is taken */
        bool brief;                             /* no more is looked at once one item failed: whether it is proven is all that is asked */
};

/* `file`: text of the bundle's file.  `anchor`: SignedAnchor bytes of who checks.  What the report points to lies in `a` or in `file`.
 * 0, -ENOMEM (the arena's cap), -EINVAL: the caller's anchor does not hold (*ret->wrong says why). */
int bundle_check(struct arena *a, struct bytes file, struct bytes anchor, const struct bundle_options *options, struct bundle_report *ret);

const char *bundle_item_word(enum bundle_item i);
const char *bundle_item_chinese(enum bundle_item i);
const char *bundle_item_meaning(enum bundle_item i);
const char *bundle_fault_word(enum bundle_fault f);
const char *bundle_state_word(enum bundle_state s);
/* What no bundle proves: English and Chinese, a sentence each; false past the end. */
bool bundle_not_proven(unsigned index, const char **ret_english, const char **ret_chinese);
