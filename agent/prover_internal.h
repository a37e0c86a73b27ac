/* prover_internal: what the files of the prover share: prover.c (what waits and what is asked), prover_answers.c (what came back). */
#pragma once
#include "agent/alarms.h"
#include "agent/link_internal.h"
#include "agent/proof.h"
#include "agent/prover.h"
#include "common/receipt.h"

#define PROVER_LEAVES_MAX (2 * RECEIPT_ROWS_MAX)        /* of one round */

enum prover_question {
        PROVER_NOTHING,
        PROVER_HEAD,                            /* the newest published head */
        PROVER_GO_ON,                           /* does it go on from the verified one? */
        PROVER_CLAIM,                           /* is what another says a head before it? */
        PROVER_LEAVES,                          /* do the receipted leaves stand under it? */
};

struct prover {
        struct link *l;
        struct heads heads;
        char *note;                             /* of the verified head */
        struct wall_time verified_at;
        struct bytes evidence[HEADS_CLAIMS_MAX];        /* of each claim: a note, or an envelope without body */
        struct head heard;                      /* the last one, to pass over repetitions */
        struct head conflict;                   /* heard with another root than ours: told at the next run */
        bool conflict_by_log;
        struct bytes conflict_evidence;
        /* receipts */
        uint64_t next_number, waiting, stable, released;
        struct wall_time oldest;                /* when the first one without a proof came; 0: none */
        uint64_t oldest_seq, told_seq;
        uint64_t collected_at;                  /* size of the head under which nothing more could be collected */
        /* the question that is out */
        enum prover_question asking;
        struct link_read read;
        uint8_t key[4096];
        struct head candidate;                  /* published, larger, not yet proved to go on; size 0: none */
        char *candidate_note;
        struct mono_time candidate_since;
        unsigned slot;                          /* of the claim asked about */
        /* the round: leaves of receipts round_from..round_to */
        struct proof_leaf *leaves;
        struct digest *scratch;
        size_t leaves_n, done, asked_n;
        uint64_t round_from, round_to;
        bool singly;                            /* a run was not proved: leaf by leaf, to find which */
        /* times */
        struct mono_time up_since, watched_at, head_at, claim_at, again_at;
        struct wall_time seen_wall;             /* both clocks at the last look for what is late */
        struct mono_time seen_mono;
        const char *why;                        /* static: why the last answer did not serve */
        unsigned alarms;
        bool halted;
};

void prover_tell(struct prover *p);             /* status and gauges */
uint64_t prover_late_ms(const struct prover *p);
/* The head is verified: durable, and what is signed from now on says so. */
void prover_verified(struct prover *p, const struct head *h, const char *note);
/* The leaves of these receipts are proved. */
void prover_drop(struct prover *p, uint64_t from, uint64_t to);
void prover_end_round(struct prover *p);
const Shuyi__V1__Receipt *prover_receipt_of(struct arena *a, const Shuyi__Agent__HeldRow *row);

/* prover_answers.c */
void prover_answered(struct link_read *r, const Shuyi__V1__Page *page, int fault);
/* An alarm with the receipt that names `seq`. */
void prover_tell_receipt(struct prover *p, enum alarm_kind kind, uint64_t seq, const char *why);
/* The claim names more of the log than is published to us, and it has waited long enough. */
void prover_tell_more(struct prover *p, unsigned slot);
/* Another history: by the log's own signature it halts; by a peer's word only if his signature holds is it told. */
void prover_tell_other(struct prover *p, const struct head *h, bool by_log, struct bytes evidence, const char *why);
void prover_judge_claim(struct prover *p, unsigned slot, bool good, const char *why);
void prover_settle_claim(struct prover *p, unsigned slot, bool good);
